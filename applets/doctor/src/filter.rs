//! The packet filter: the walk of the very connection and of its answer, read-only.

use std::net::{IpAddr, SocketAddr};

use netkit_nf::legacy::{Blob, Info};
use netkit_nf::nft::datatype::{Name, Style};
use netkit_nf::nft::{NftRule, Userdata, build, compat, text};
use netkit_nf::walk::packet::{EPHEMERAL, Packet, protocol, tcp};
use netkit_nf::walk::{self, LegacyTable, Native, Netlink, Question, Rules, State, Step, Verdict};
use netkit_nf::{Family, save};
use netkit_sys::xtables;

/// What became of the walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Every way that was played gets through; the address behind translation, if there was one.
    Passes { behind: Option<SocketAddr>, steps: usize },
    /// This machine stops it.
    Stopped(Stop),
    /// A rule that could not be decided, or could not be read, might stop it.
    Open { why: String, stop: Option<Stop> },
    /// Nothing could be read.
    Unseen { why: String, denied: bool },
}

/// What stops a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Silently.
    pub(crate) drops: bool,
    /// `legacy filter OUTPUT 3`
    pub(crate) place: String,
    /// The rule's text.
    pub(crate) rule: String,
    /// It is the answer that is stopped.
    pub(crate) answer: bool,
    /// Per cent of the packets that meet it.
    pub(crate) share: u8,
    /// The Service that kube-proxy has no endpoints for.
    pub(crate) service: Option<String>,
}

/// The name of an IP set.
fn set_name(index: u16) -> Option<String> {
    netkit_sys::ipset::name(index).ok().flatten()
}

/// Walks the first packet of a connection, and where that passes, its answer.
pub(crate) fn walk(source: IpAddr, target: SocketAddr, udp: bool, uid: Option<u32>) -> Finding {
    let first = packet(source, None, target.ip(), Some(target.port()), udp, uid);
    let found = one(first, Some(State::New), false);
    match &found {
        Finding::Passes { .. } => {}
        _ => return found,
    }
    let mut back = packet(target.ip(), Some(target.port()), source, None, udp, None);
    back.sport = (target.port(), target.port());
    // Any port of ours will do, and conntrack knows none of this connection.
    back.dport = Some(EPHEMERAL.0);
    back.flags = if udp { 0 } else { tcp::SYN | tcp::ACK };
    match one(back, Some(State::Established), true) {
        Finding::Stopped(stop) => Finding::Stopped(stop),
        Finding::Open { why, stop } => Finding::Open { why, stop },
        _ => found,
    }
}

fn packet(
    source: IpAddr,
    sport: Option<u16>,
    destination: IpAddr,
    dport: Option<u16>,
    udp: bool,
    uid: Option<u32>,
) -> Packet {
    Packet {
        protocol: if udp { protocol::UDP } else { protocol::TCP },
        source,
        destination,
        sport: sport.map_or(EPHEMERAL, |port| (port, port)),
        dport,
        icmp: (0, 0),
        flags: if udp { 0 } else { tcp::SYN },
        tos: 0,
        ttl: None,
        length: None,
        mark: 0,
        uid,
        gid: None,
    }
}

fn one(packet: Packet, state: Option<State>, answer: bool) -> Finding {
    let family = packet.family();
    let v6 = family == Family::Ipv6;
    let mut notes = Vec::new();
    let mut denied = false;
    let mut raws: Vec<(String, xtables::Blob)> = Vec::new();
    match xtables::names(v6) {
        Ok(names) => {
            for name in names {
                match xtables::read(&name, v6) {
                    Ok(raw) => raws.push((name, raw)),
                    Err(error) => notes.push(format!("the legacy table {name} cannot be read: {error}")),
                }
            }
        }
        Err(error) => {
            denied |= error.kind() == std::io::ErrorKind::PermissionDenied;
            notes.push(format!("legacy tables cannot be read: {error}"));
        }
    }
    let mut legacy = Vec::new();
    for (name, raw) in &raws {
        let info = Info { valid_hooks: raw.valid_hooks, hook_entry: raw.hook_entry, underflow: raw.underflow };
        match Blob::read(family, &info, &raw.entries) {
            Ok(blob) => legacy.push(LegacyTable { name: name.clone(), blob }),
            Err(malformed) => notes.push(format!("the legacy table {name} cannot be read: {malformed}")),
        }
    }
    let mut none_native = false;
    let native = match Native::open() {
        Ok(native) => Some(native),
        Err(error) if error.is_unsupported() => {
            none_native = true;
            None
        }
        Err(error) => {
            denied |= error.is_denied();
            notes.push(format!("nf_tables cannot be read: {error}"));
            None
        }
    };
    if legacy.is_empty() && native.is_none() && !none_native {
        return Finding::Unseen { why: notes.join("; "), denied };
    }
    let words = |rule: &NftRule<'_>| native_text(rule, family);
    let rules = Rules { family, legacy, native, sets: &set_name, text: &words, notes };
    let question = Question { packet, from: None, input: None, state };
    let report = match walk::walk(&rules, &Netlink::new(), &question) {
        Ok(report) => report,
        Err(why) => return Finding::Unseen { why, denied: false },
    };
    let stop = |verdict: Verdict, step: Option<&Step>, share: f64| Stop {
        drops: verdict == Verdict::Drop,
        place: step.map_or_else(|| "no rule".to_owned(), Step::place),
        rule: step.map_or_else(String::new, |step| netkit_core::text::printable(&step.text)),
        answer,
        share: (share * 100.0).round() as u8,
        service: None,
    };
    let stopped = report.outcomes.iter().find(|found| matches!(found.verdict, Verdict::Drop | Verdict::Reject));
    if let Some(found) = stopped {
        let mut told = stop(found.verdict, found.deciding(), found.share);
        let map = found.steps.iter().find(|step| step.text.contains(&format!("@{NO_ENDPOINTS}")));
        told.service = map.map(|step| no_endpoints(&rules, step, &question.packet));
        return Finding::Stopped(told);
    }
    let other = report.outcomes.iter().find(|found| !matches!(found.verdict, Verdict::Accept));
    if let Some(found) = other.filter(|found| found.verdict != Verdict::Unroutable) {
        let why = format!("{} {}", found.verdict.name(), found.text);
        return Finding::Open { why, stop: Some(stop(found.verdict, found.deciding(), found.share)) };
    }
    let doubtful = report
        .alternatives
        .iter()
        .find(|other| other.matters && matches!(other.verdict, Verdict::Drop | Verdict::Reject));
    if let Some(doubtful) = doubtful {
        let place = doubtful.decider.clone().unwrap_or_default();
        let why = format!("{} by {place} if {}", doubtful.verdict.name(), doubtful.suppose.join(" and "));
        return Finding::Open { why, stop: None };
    }
    if report.truncated && !report.notes.is_empty() {
        return Finding::Open { why: report.notes.join("; "), stop: None };
    }
    let behind = report.outcomes.first().and_then(|found| {
        let port = found.packet.dport?;
        let now = SocketAddr::new(found.packet.destination, port);
        let then = SocketAddr::new(question.packet.destination, question.packet.dport?);
        (now != then).then_some(now)
    });
    let steps = report.outcomes.iter().map(|found| found.steps.len()).max().unwrap_or(0);
    Finding::Passes { behind, steps }
}

/// The map in which kube-proxy keeps Services without endpoints (nftables mode).
const NO_ENDPOINTS: &str = "no-endpoint-services";

/// The comment of the element that took the packet, which is the Service's name; its address where there is none.
fn no_endpoints(rules: &Rules<'_>, step: &Step, packet: &Packet) -> String {
    let address = match packet.destination {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let port = packet.dport.unwrap_or(0).to_be_bytes();
    let mut name = None;
    let table = rules.native.as_ref().and_then(|native| {
        let found = native.tables.iter().find(|table| table.name == step.table)?;
        Some((native, found.family))
    });
    if let Some((native, family)) = table {
        native.elements(family, &step.table, NO_ENDPOINTS, &mut |element| {
            // A concatenation of address, protocol and port, each padded to four octets.
            let rest = element.key.and_then(|key| key.strip_prefix(address.as_slice()));
            if rest.is_some_and(|rest| rest.first() == Some(&packet.protocol) && rest.get(4..6) == Some(&port)) {
                name = Userdata(element.userdata).text(0);
            }
        });
    }
    name.unwrap_or_else(|| packet.destination.to_string())
}

/// A rule of nf_tables: as iptables writes it where that has words for it, else as nft does; and its comment.
fn native_text(rule: &NftRule<'_>, family: Family) -> String {
    let mut out = String::new();
    if let Ok(found) = compat::rule(rule, family)
        && rule.table.as_str() == iptables_table(&rule.table)
    {
        save::rule(&mut out, family, &rule.chain, &found, false, &|_| None);
        return out;
    }
    let style = Style {
        numeric_symbol: false,
        numeric_priority: false,
        numeric_protocol: false,
        numeric_time: false,
        stateless: true,
        terse: false,
        handles: false,
        names: &|_: Name, _: u64| None,
    };
    text::statements(&mut out, &build::statements(rule, &mut build::NoSets), &style);
    if let Some(comment) = Userdata(rule.userdata).text(0) {
        out.push_str(&format!(" comment \"{comment}\""));
    }
    out
}

/// The name itself where it is one of iptables' tables.
fn iptables_table(name: &str) -> &str {
    if ["filter", "nat", "mangle", "raw", "security"].contains(&name) { name } else { "" }
}
