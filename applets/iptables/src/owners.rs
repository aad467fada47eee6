//! `--owners`: who wrote which rules, by the names of chains and tables and by comments, and what does not go together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_nf::bytes::Fields;
use netkit_nf::walk::{Kernel, Netlink, Rules};
use netkit_nf::{Family, Rule, Target};

use crate::all::{self, Item, What};
use crate::args::Request;
use crate::{ipvs, views};

/// By what an owner is known: chains, native tables, comments, each by how it begins.
struct Owner {
    name: &'static str,
    chains: &'static [&'static str],
    tables: &'static [&'static str],
    comments: &'static [&'static str],
}

const fn owner(
    name: &'static str,
    chains: &'static [&'static str],
    tables: &'static [&'static str],
    comments: &'static [&'static str],
) -> Owner {
    Owner { name, chains, tables, comments }
}

/// The first that fits owns a rule; kube-router's and kubelet's names come before kube-proxy's KUBE-.
const OWNERS: &[Owner] = &[
    owner("kubelet", &["KUBE-KUBELET-CANARY", "KUBE-IPTABLES-HINT"], &[], &[]),
    owner("kube-router", &["KUBE-POD-FW-", "KUBE-NWPLCY-", "KUBE-ROUTER-"], &["kube-router"], &["kube-router"]),
    owner("kube-proxy nftables", &[], &["kube-proxy"], &[]),
    owner("kube-proxy iptables", &["KUBE-"], &[], &["kubernetes "]),
    owner("Calico", &["cali-"], &["calico"], &["cali:"]),
    owner("Cilium", &["CILIUM_", "OLD_CILIUM_"], &[], &["cilium"]),
    owner("flannel", &["FLANNEL-"], &["flannel-"], &["flanneld"]),
    owner("Istio", &["ISTIO_"], &["istio-"], &[]),
    owner("Linkerd", &["PROXY_INIT_"], &[], &["proxy-init/"]),
    owner("CNI portmap", &["CNI-HOSTPORT-", "CNI-DN-", "CNI-SN-"], &["cni_hostport"], &[]),
    owner("CNI bridge", &["CNI-"], &["cni_plugins_masquerade"], &["name: "]),
    owner("AWS VPC CNI", &["AWS-"], &[], &["AWS"]),
    owner("Docker", &["DOCKER"], &["docker-bridges"], &[]),
    owner("Podman", &["NETAVARK"], &["netavark"], &[]),
    owner("Weave", &["WEAVE"], &[], &[]),
    owner("Antrea", &["ANTREA-"], &["antrea"], &["Antrea:"]),
    owner("OVN-Kubernetes", &["OVN-KUBE-"], &["ovn-kubernetes"], &[]),
    owner("node-local DNS", &[], &[], &["NodeLocal DNS"]),
    owner("ip-masq-agent", &["IP-MASQ"], &[], &["ip-masq-agent"]),
    owner("tailscale", &["ts-"], &["tailscale"], &[]),
    owner("firewalld", &["IN_", "FWDI_", "FWDO_", "FWD_", "OUTPUT_direct", "PRE_", "POST_"], &["firewalld"], &[]),
    owner("ufw", &["ufw-", "ufw6-"], &[], &[]),
    owner("libvirt", &["LIBVIRT_"], &["libvirt_network"], &[]),
    owner("fail2ban", &["f2b-"], &["f2b-table"], &[]),
    owner("systemd", &[], &["io.systemd"], &[]),
    owner("LXD or Incus", &[], &["lxd", "incus"], &["generated for LXD", "generated for Incus"]),
];

/// What one owner has in one place.
#[derive(Default)]
struct Tally {
    chains: u64,
    rules: u64,
    packets: u64,
}

fn find(item: &Item<'_>) -> Option<&'static str> {
    let native = item.backend == "nft";
    let begins = |name: &str, list: &[&str]| list.iter().any(|start| name.starts_with(start));
    let comment = match &item.what {
        What::Rule(rule) => comment(rule),
        What::Native(rule) => netkit_nf::nft::Userdata(rule.userdata).text(0),
        _ => None,
    };
    let jump = match &item.what {
        What::Rule(Rule { target: Target::Chain { name, .. }, .. }) => Some(name.as_ref()),
        _ => None,
    };
    let by_place =
        OWNERS.iter().find(|owner| begins(item.chain, owner.chains) || (native && begins(item.table, owner.tables)));
    by_place
        .or_else(|| OWNERS.iter().find(|owner| jump.is_some_and(|jump| begins(jump, owner.chains))))
        .or_else(|| OWNERS.iter().find(|owner| comment.as_deref().is_some_and(|text| begins(text, owner.comments))))
        .map(|owner| owner.name)
}

fn comment(rule: &Rule<'_>) -> Option<String> {
    let found = rule.matches.iter().find(|found| found.name == "comment")?;
    Fields(&found.data).text(0, 256).map(std::borrow::Cow::into_owned)
}

/// By owner, backend and family.
type Tallies = BTreeMap<(&'static str, &'static str, &'static str), Tally>;

/// Everything that is known of owners.
struct Survey {
    tallies: Tallies,
    /// Chains of services.
    services: u64,
    notes: Vec<String>,
    /// Nothing at all could be read.
    nothing: bool,
}

fn survey(request: &Request) -> Survey {
    let mut tallies = Tallies::new();
    let (mut notes, mut nothing, mut services) = (Vec::new(), true, 0);
    for family in [Family::Ipv4, Family::Ipv6] {
        let mut unread = Vec::new();
        let raws = views::raw_tables(request, family, &mut unread);
        let rules = views::rules(request, family, &raws, unread, &views::native_text);
        nothing &= rules.legacy.is_empty() && rules.native.is_none() && !rules.notes.is_empty();
        for note in &rules.notes {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        tally(&rules, family, &mut tallies, &mut services);
    }
    Survey { tallies, services, notes, nothing }
}

/// What does not go together, one line each: said beside a list of both backends.
pub(crate) fn say_findings(ctx: &mut Ctx, request: &Request) {
    let Survey { tallies, services, .. } = survey(request);
    let name = ctx.name.clone();
    for finding in findings(&tallies, services) {
        ctx.say(&format!("{name}: {finding}"));
    }
}

pub(crate) fn run(ctx: &mut Ctx, request: &Request) -> Result<Exit, Error> {
    let Survey { tallies, services, notes, nothing } = survey(request);
    if nothing {
        return Err(views::refused(ctx, &notes.join("; ")));
    }
    let findings = findings(&tallies, services);
    if request.options.json {
        let row = |((name, backend, family), tally): (&(&str, &str, &str), &Tally)| {
            Value::object()
                .with("owner", *name)
                .with("backend", *backend)
                .with("family", *family)
                .with("chains", tally.chains)
                .with("rules", tally.rules)
                .with("packets", tally.packets)
        };
        let value = Value::object()
            .with("schema", "iptables-owners/1")
            .with("owners", tallies.iter().map(row).collect::<Vec<_>>())
            .with("ipvs_services", ipvs::services().map(|services| services.len()))
            .with("conntrack", crate::drops::conntrack())
            .with("findings", findings)
            .with("notes", notes);
        ctx.stdout.write_all(value.pretty().as_bytes())?;
        return Ok(Exit::OK);
    }
    let mut out = String::new();
    if tallies.is_empty() {
        out.push_str("no rules in either backend\n");
    } else {
        out.push_str("owner                backend family chains  rules    packets\n");
    }
    for ((name, backend, family), tally) in &tallies {
        let _ = writeln!(
            out,
            "{name:<20} {backend:<7} {family:<6} {:6} {:6} {:10}",
            tally.chains, tally.rules, tally.packets
        );
    }
    if let Some(known) = ipvs::services().filter(|known| !known.is_empty()) {
        let servers: usize = known.iter().map(|service| service.servers.len()).sum();
        let _ = writeln!(out, "IPVS: {} services with {servers} real servers", known.len());
    }
    if let Some(line) = views::conntrack_line() {
        let _ = writeln!(out, "{line}");
    }
    for finding in &findings {
        let _ = writeln!(out, "finding: {finding}");
    }
    for note in &notes {
        let _ = writeln!(out, "note: {note}");
    }
    ctx.stdout.write_all(out.as_bytes())?;
    Ok(Exit::OK)
}

fn tally(rules: &Rules<'_>, family: Family, tallies: &mut Tallies, services: &mut u64) {
    let own = netkit_nf::nft::family::name(all::number(family));
    all::visit(rules, &mut |item| {
        // Tables of both families are seen twice.
        if item.family != own && family == Family::Ipv6 {
            return;
        }
        let found = find(item);
        *services +=
            u64::from(item.number == 0 && (item.chain.starts_with("KUBE-SVC-") || item.chain.starts_with("service-")));
        match &item.what {
            // Chains of the kernel's own belong to nobody.
            What::Head(_) => {
                if let Some(name) = found {
                    tallies.entry((name, item.backend, item.family)).or_default().chains += 1;
                }
            }
            _ => {
                let tally = tallies.entry((found.unwrap_or("(nobody known)"), item.backend, item.family)).or_default();
                tally.rules += 1;
                tally.packets = tally.packets.saturating_add(item.counters().map_or(0, |counters| counters.packets));
            }
        }
    });
}

/// What does not go together, and who bypasses the packet filter.
fn findings(tallies: &Tallies, services: u64) -> Vec<String> {
    let mut findings = Vec::new();
    let has = |name: &str, backend: &str| {
        tallies.keys().any(|(owner, found, _)| *owner == name && (backend.is_empty() || *found == backend))
    };
    for owner in OWNERS {
        // Hints and canaries of kubelet stand in both by design.
        if owner.name != "kubelet" && has(owner.name, "legacy") && has(owner.name, "nft") {
            findings.push(format!(
                "split-brain: {} has rules in legacy and in nf_tables; a packet passes both, and one of them may be stale",
                owner.name
            ));
        }
    }
    let both = |backend: &str| tallies.keys().any(|(_, found, _)| *found == backend);
    if both("legacy") && both("nft") {
        let names = |backend: &str| {
            let mut names: Vec<&str> =
                tallies.keys().filter(|(_, found, _)| *found == backend).map(|(owner, ..)| *owner).collect();
            names.dedup();
            names.join(", ")
        };
        findings.push(format!("both backends hold rules: legacy ({}), nf_tables ({})", names("legacy"), names("nft")));
    }
    let modes: Vec<&str> =
        ["kube-proxy iptables", "kube-proxy nftables"].into_iter().filter(|name| has(name, "")).collect();
    if modes.len() > 1 && services > 0 {
        findings.push("kube-proxy has rules of its iptables and of its nftables mode; one of them is stale".to_owned());
    }
    let links = Netlink::new();
    if links.link_named("cilium_host").is_some() || has("Cilium", "") {
        findings.push(match services {
            0 => "Cilium without kube-proxy's services: its eBPF programs replace them, and netfilter does not see services".to_owned(),
            _ => "Cilium forwards with eBPF, and packets may pass by netfilter; kube-proxy's services are there too".to_owned(),
        });
    }
    if links.link_named("bpfin.cali").is_some() || links.link_named("bpfout.cali").is_some() {
        findings.push("Calico's eBPF data plane is on: packets of pods may pass by netfilter".to_owned());
    }
    findings
}
