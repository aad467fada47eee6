//! `--svc`: a service and where its connections go: kube-proxy's chains and maps in either backend, and IPVS.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_nf::bytes::Fields;
use netkit_nf::legacy::Blob;
use netkit_nf::nft::{NftRule, compat};
use netkit_nf::save::protocol_text;
use netkit_nf::walk::packet::{endpoint, split_endpoint};
use netkit_nf::walk::{Native, Rules, percent};
use netkit_nf::{Counters, Family, Rule, Target, Verdict, ext};

use crate::args::Request;
use crate::{all, ipvs, svc_nft, views};

/// Where connections go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoint {
    pub(crate) address: String,
    /// 0 to 1.
    pub(crate) share: Option<f64>,
    pub(crate) counters: Option<Counters>,
    /// The chain that translates.
    pub(crate) via: String,
}

/// One way into a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Service {
    /// Namespace, name and port, as far as comments and chains tell.
    pub(crate) name: String,
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: Option<u16>,
    pub(crate) protocol: String,
    /// kube-proxy iptables (legacy) ...
    pub(crate) kind: String,
    pub(crate) endpoints: Vec<Endpoint>,
    /// What happens instead: REJECT, DROP.
    pub(crate) refused: Option<(&'static str, Option<Counters>)>,
}

/// What was asked for.
pub(crate) enum Wanted {
    At(IpAddr, Option<u16>),
    /// In lower case.
    Named(String),
}

impl Wanted {
    fn of(text: &str) -> Wanted {
        match split_endpoint(text) {
            Ok((address, port)) => Wanted::At(address, port),
            Err(_) => Wanted::Named(text.to_ascii_lowercase()),
        }
    }

    /// Whether an address and a port, or a name, are meant. Names are `namespace/name:port`; of each part the last ones may be left out.
    pub(crate) fn is(&self, address: Option<IpAddr>, port: Option<u16>, name: &str) -> bool {
        match self {
            Wanted::At(wanted, only) => {
                address == Some(*wanted) && only.is_none_or(|only| port.is_none_or(|port| port == only))
            }
            Wanted::Named(wanted) => {
                let name = name.to_ascii_lowercase();
                let plain = name.split(':').next().unwrap_or_default();
                let short = |full: &str| full.split_once('/').map_or(full, |(_, name)| name).to_owned();
                *wanted == name || wanted == plain || *wanted == short(&name) || *wanted == short(plain)
            }
        }
    }
}

/// A rule, as far as kube-proxy's are of interest.
#[derive(Default)]
struct Line {
    counters: Counters,
    jump: Option<String>,
    comment: String,
    share: Option<f64>,
    destination: Option<IpAddr>,
    protocol: String,
    port: Option<u16>,
    to: Option<String>,
    /// It takes only some of the packets: those of a source, or of clients that stick to an endpoint.
    partial: bool,
    stops: Option<&'static str>,
}

impl Line {
    fn of(rule: &Rule<'_>, rules: &Rules<'_>) -> Line {
        let header = &rule.header;
        let mut line = Line {
            counters: rule.counters,
            destination: header.destination.as_ref().filter(|found| !found.negated).map(|found| found.value.address),
            protocol: header.protocol.as_ref().map_or(String::new(), |found| protocol_text(found.value, rules.family)),
            partial: header.source.is_some() || header.input.is_some(),
            ..Line::default()
        };
        for found in &rule.matches {
            let fields = Fields(&found.data);
            match &*found.name {
                "comment" => line.comment = fields.text(0, 256).unwrap_or_default().into_owned(),
                "statistic" if fields.u16(0) == Some(0) => {
                    line.share = fields.u32(4).map(|share| f64::from(share) / f64::from(0x8000_0000u32));
                }
                "recent" | "addrtype" | "set" => line.partial = true,
                "tcp" | "udp" | "sctp" => line.port = fields.u16(4).filter(|low| fields.u16(6) == Some(*low)),
                _ => {}
            }
        }
        match &rule.target {
            Target::Chain { name, .. } => line.jump = Some(name.to_string()),
            Target::Verdict(Verdict::Drop) => line.stops = Some("DROP"),
            Target::Extension(found) if found.name == "REJECT" => line.stops = Some("REJECT"),
            Target::Extension(found) if found.name == "DNAT" => {
                let context = ext::Context {
                    family: rules.family,
                    protocol: 0,
                    numeric: true,
                    save: true,
                    names: None,
                    sets: rules.sets,
                };
                let mut text = String::new();
                ext::save_target(&mut text, found, &context);
                let words = text.trim().trim_start_matches("--to-destination ");
                line.to = words.split_whitespace().next().map(str::to_owned);
            }
            _ => {}
        }
        line
    }
}

/// A table of either backend, read chain by chain.
enum Table<'t> {
    Legacy(&'t Blob<'t>),
    Native(&'t Native, u8, &'static str),
}

impl Table<'_> {
    fn lines(&self, chain: &str, rules: &Rules<'_>) -> Vec<Line> {
        match self {
            Table::Legacy(blob) => {
                let Some(span) = blob.chains.iter().find(|span| span.name == chain) else { return Vec::new() };
                blob.rules(span).filter_map(Result::ok).map(|rule| Line::of(&rule, rules)).collect()
            }
            Table::Native(native, family, table) => {
                let dump = native.find(*family, table, chain).and_then(|index| native.dump(index));
                let Some(dump) = dump else { return Vec::new() };
                let found = dump.messages().filter_map(|message| NftRule::read(&message));
                let converted = found
                    .filter_map(|found| compat::rule(&found, rules.family).ok().map(|rule| Line::of(&rule, rules)));
                converted.collect()
            }
        }
    }
}

pub(crate) fn run(ctx: &mut Ctx, request: &Request, text: &str) -> Result<Exit, Error> {
    let wanted = Wanted::of(text);
    let families: &[Family] = match wanted {
        Wanted::At(IpAddr::V6(_), _) => &[Family::Ipv6],
        Wanted::At(IpAddr::V4(_), _) => &[Family::Ipv4],
        Wanted::Named(_) => &[Family::Ipv4, Family::Ipv6],
    };
    let mut services = from_ipvs(&wanted);
    let mut notes: Vec<String> = Vec::new();
    for family in families {
        let mut unread = Vec::new();
        let raws = views::raw_tables(request, *family, &mut unread);
        let rules = views::rules(request, *family, &raws, unread, &views::native_text);
        if services.is_empty() && rules.legacy.is_empty() && rules.native.is_none() && !rules.notes.is_empty() {
            let why = rules.notes.join("; ");
            return Err(views::refused(ctx, &why));
        }
        from_rules(&rules, &wanted, &mut services);
        for note in rules.notes {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    if request.options.json {
        let value = Value::object()
            .with("schema", "iptables-svc/1")
            .with("services", services.iter().map(value).collect::<Vec<_>>())
            .with("notes", notes);
        ctx.stdout.write_all(value.pretty().as_bytes())?;
    } else {
        let mut out = String::new();
        services.iter().for_each(|service| push(&mut out, service));
        ctx.stdout.write_all(out.as_bytes())?;
    }
    if services.is_empty() {
        let text = netkit_core::text::printable(text);
        return Err(Error::new(Exit(1), format!("no service {text} in kube-proxy's rules, maps or IPVS"))
            .hint("--trace walks the rules of anything else, such as port mappings"));
    }
    let served = services.iter().any(|service| !service.endpoints.is_empty());
    Ok(if served { Exit::OK } else { Exit(1) })
}

fn from_rules(rules: &Rules<'_>, wanted: &Wanted, services: &mut Vec<Service>) {
    let legacy = |name: &str| {
        let table = rules.legacy.iter().find(|table| table.name == name);
        table.map(|table| Table::Legacy(&table.blob))
    };
    from_iptables("legacy", legacy("nat").as_ref(), legacy("filter").as_ref(), rules, wanted, services);
    if let Some(native) = &rules.native {
        let own = all::number(rules.family);
        let (nat, filter) = (Table::Native(native, own, "nat"), Table::Native(native, own, "filter"));
        from_iptables("nft", Some(&nat), Some(&filter), rules, wanted, services);
        svc_nft::collect(native, own, rules.family, wanted, services);
    }
}

fn from_ipvs(wanted: &Wanted) -> Vec<Service> {
    let mut found = Vec::new();
    for service in ipvs::services().unwrap_or_default() {
        if !wanted.is(service.address, Some(service.port), "") {
            continue;
        }
        let total: u64 = service.servers.iter().map(|server| server.weight).fold(0, u64::saturating_add);
        let endpoint = |server: &ipvs::Server| Endpoint {
            address: endpoint(server.address, Some(server.port)),
            share: (total > 0).then(|| ratio(server.weight, total)),
            counters: None,
            via: format!(
                "weight {}, connections {} active, {} not",
                server.weight, server.connections.0, server.connections.1
            ),
        };
        found.push(Service {
            name: String::new(),
            address: service.address,
            port: Some(service.port),
            protocol: service.protocol.clone(),
            kind: format!("IPVS {}", service.scheduler),
            endpoints: service.servers.iter().map(endpoint).collect(),
            refused: None,
        });
    }
    found
}

/// A share of a whole, for numbers as small as weights are.
fn ratio(part: u64, whole: u64) -> f64 {
    let small = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    small(part) / small(whole).max(1.0)
}

/// Chains of kube-proxy that lead to services, in the tables where they are.
const ENTRANCES: [&str; 2] = ["KUBE-SERVICES", "KUBE-NODEPORTS"];
const REFUSALS: [&str; 4] = ["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL"];

fn from_iptables(
    backend: &str,
    nat: Option<&Table<'_>>,
    filter: Option<&Table<'_>>,
    rules: &Rules<'_>,
    wanted: &Wanted,
    services: &mut Vec<Service>,
) {
    let kind = format!("kube-proxy iptables ({backend})");
    let name = |comment: &str| {
        let words = comment.split_whitespace().next().unwrap_or_default();
        words.trim_matches('"').to_owned()
    };
    for entrance in ENTRANCES {
        for line in nat.map(|nat| nat.lines(entrance, rules)).unwrap_or_default() {
            let Some(chain) = line.jump.as_deref() else { continue };
            let is_service = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-XLB-"];
            if !is_service.iter().any(|prefix| chain.starts_with(prefix))
                || !wanted.is(line.destination, line.port, &name(&line.comment))
            {
                continue;
            }
            let mut endpoints = Vec::new();
            if let Some(nat) = nat {
                collect(nat, chain, 1.0, 0, rules, &mut endpoints);
            }
            services.push(Service {
                name: name(&line.comment),
                address: line.destination,
                port: line.port,
                protocol: line.protocol.clone(),
                kind: if entrance == "KUBE-NODEPORTS" { format!("{kind}, NodePort") } else { kind.clone() },
                endpoints,
                refused: None,
            });
        }
    }
    for chain in REFUSALS {
        for line in filter.map(|filter| filter.lines(chain, rules)).unwrap_or_default() {
            let Some(stops) = line.stops else { continue };
            if line.comment.is_empty() || !wanted.is(line.destination, line.port, &name(&line.comment)) {
                continue;
            }
            services.push(Service {
                name: name(&line.comment),
                address: line.destination,
                port: line.port,
                protocol: line.protocol.clone(),
                kind: kind.clone(),
                endpoints: Vec::new(),
                refused: Some((stops, Some(line.counters))),
            });
        }
    }
}

/// Endpoints behind a chain, each with the share that is left to it.
fn collect(nat: &Table<'_>, chain: &str, share: f64, depth: u8, rules: &Rules<'_>, endpoints: &mut Vec<Endpoint>) {
    /// Service, external, local, endpoint: no more levels than these.
    const DEEPEST: u8 = 5;
    /// Endpoints shown of one service.
    const MOST: usize = 10_000;
    let known = endpoints.len();
    let lines = nat.lines(chain, rules);
    // Rules for some packets only count where there are no others.
    for partial in [false, true] {
        let mut left = share;
        for line in lines.iter().filter(|line| line.to.is_some() || line.partial == partial) {
            let part = line.share.map_or(left, |share| left * share);
            if let Some(to) = &line.to {
                let (address, via) = (to.clone(), chain.to_owned());
                endpoints.push(Endpoint { address, share: Some(part), counters: Some(line.counters), via });
                continue;
            }
            let next = line.jump.as_ref().filter(|next| next.starts_with("KUBE-S") || next.starts_with("KUBE-E"));
            if let Some(next) = next.filter(|_| depth < DEEPEST && endpoints.len() < MOST) {
                collect(nat, next, part, depth + 1, rules, endpoints);
                left -= part;
            }
        }
        if endpoints.len() > known {
            return;
        }
    }
}

fn push(out: &mut String, service: &Service) {
    let at = service.address.map_or_else(
        || service.port.map_or_else(|| "any address".to_owned(), |port| format!("port {port}")),
        |address| endpoint(address, service.port),
    );
    let name = if service.name.is_empty() { "-" } else { &service.name };
    let _ = writeln!(out, "{name}  {at}/{}  {}", service.protocol, service.kind);
    let counted = |counters: Option<Counters>| {
        counters.map_or_else(String::new, |counters| format!("  {} packets", counters.packets))
    };
    for endpoint in &service.endpoints {
        let share = endpoint.share.map_or_else(|| "-".to_owned(), percent);
        let _ = writeln!(out, "  {}  {share}{}  {}", endpoint.address, counted(endpoint.counters), endpoint.via);
    }
    if service.endpoints.is_empty() {
        let _ = match service.refused {
            Some((what, counters)) => writeln!(out, "  no endpoints: {what}{}", counted(counters)),
            None => writeln!(out, "  no endpoints"),
        };
    }
}

fn value(service: &Service) -> Value {
    let endpoint = |endpoint: &Endpoint| {
        Value::object()
            .with("address", endpoint.address.as_str())
            .with("share", endpoint.share)
            .with("packets", endpoint.counters.map(|counters| counters.packets))
            .with("via", endpoint.via.as_str())
    };
    Value::object()
        .with("name", service.name.as_str())
        .with("address", service.address.map(|address| address.to_string()))
        .with("port", service.port)
        .with("protocol", service.protocol.as_str())
        .with("kind", service.kind.as_str())
        .with("endpoints", service.endpoints.iter().map(endpoint).collect::<Vec<_>>())
        .with("refused", service.refused.map(|(what, _)| what))
        .with("refused_packets", service.refused.and_then(|(_, counters)| counters.map(|counters| counters.packets)))
}
