//! `ip why DST`: what happens to a packet for DST on one screen: rule, table, route, neighbour, link, MTU and path MTU.
//!
//! The kernel's own answer decides; which rule led to it the kernel does not say, so the rules are played here, on the
//! selectors the question gives. What this cannot know (ports of a packet nobody named) is said, not guessed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netkit_core::{Ctx, Exit};
use netkit_nl::route::{Link, Neighbour, Route, kind};
use netkit_nl::{Attrs, Dump, Message, Request, flags, raw};

use crate::link::{self, attr};
use crate::neigh::{self, nda};
use crate::out::Out;
use crate::route::{Filter, Question};
use crate::route_print::{self, rta};
use crate::stop::Res;
use crate::words::{Words, ip_text, same_prefix};
use crate::world::World;
use crate::{names, rule};

const BROKEN: Exit = Exit(1);
const LOOPBACK: i32 = 1;

/// The packet as far as the question describes it.
struct Packet {
    family: u8,
    destination: IpAddr,
    source: Option<IpAddr>,
    tos: u8,
    mark: u32,
    /// Where it comes in; the loopback device for what starts here.
    iif: i32,
    oif: Option<i32>,
    uid: Option<u32>,
    protocol: Option<u8>,
    sport: Option<u16>,
    dport: Option<u16>,
}

impl Packet {
    fn of(question: &Question, uid: Option<u32>) -> Packet {
        let find =
            |kind: u16| question.attrs.iter().find(|(known, _)| *known == kind).map(|(_, value)| value.as_slice());
        let ip = |kind: u16| find(kind).and_then(|value| netkit_nl::Attr { kind, value }.ip());
        let number = |kind: u16| find(kind).and_then(|value| raw::u32(value, 0));
        let index = |kind: u16| find(kind).and_then(|value| raw::i32(value, 0));
        let port = |kind: u16| find(kind).and_then(|value| raw::be16(value, 0));
        Packet {
            family: question.header.family,
            destination: ip(rta::DST).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            source: ip(rta::SRC),
            tos: question.header.tos,
            mark: number(rta::MARK).unwrap_or(0),
            iif: index(rta::IIF).unwrap_or(LOOPBACK),
            oif: index(rta::OIF),
            uid: number(rta::UID).or(uid),
            protocol: find(rta::IP_PROTO).and_then(|value| value.first().copied()),
            sport: port(rta::SPORT),
            dport: port(rta::DPORT),
        }
    }

    fn zero(&self) -> IpAddr {
        if self.family == 10 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
    }

    /// Whether a rule takes this packet; nothing when it asks for what the question leaves open.
    fn matches(&self, world: &mut World, found: &Route, attrs: &Attrs<'_>) -> Option<bool> {
        let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.u32());
        let ip = |kind: u16| attrs.find(kind).and_then(|attr| attr.ip());
        let mut open = false;
        let mut all = true;
        let mut check = |verdict: Option<bool>| match verdict {
            Some(true) => {}
            Some(false) => all = false,
            None => open = true,
        };
        if let Some(wanted) = ip(rule::SRC) {
            let source = self.source.unwrap_or_else(|| self.zero());
            check(Some(same_prefix(wanted, source, found.src_len)));
        }
        if let Some(wanted) = ip(rule::DST) {
            check(Some(same_prefix(wanted, self.destination, found.dst_len)));
        }
        if found.tos != 0 {
            check(Some(found.tos == self.tos));
        }
        if number(rule::FWMARK).is_some() || number(rule::FWMASK).is_some() {
            let mask = number(rule::FWMASK).unwrap_or(u32::MAX);
            check(Some((self.mark ^ number(rule::FWMARK).unwrap_or(0)) & mask == 0));
        }
        for (kind, index) in [(rule::IIFNAME, Some(self.iif)), (rule::OIFNAME, self.oif)] {
            if let Some(name) = attrs.find(kind).map(|attr| attr.text()) {
                check(Some(index.is_some_and(|index| world.link_name(index) == name)));
            }
        }
        if let Some(range) = attrs.find(rule::UID_RANGE) {
            let (low, high) = (range.u32().unwrap_or(0), raw::u32(range.value, 4).unwrap_or(0));
            check(self.uid.map(|uid| (low..=high).contains(&uid)));
        }
        if let Some(protocol) = attrs.find(rule::IP_PROTO).and_then(|attr| attr.u8()) {
            check(self.protocol.map(|mine| mine == protocol));
        }
        for (kind, port) in [(rule::SPORT_RANGE, self.sport), (rule::DPORT_RANGE, self.dport)] {
            if let Some(range) = attrs.find(kind) {
                let (low, high) = (range.u16().unwrap_or(0), raw::u16(range.value, 2).unwrap_or(0));
                check(port.map(|port| (low..=high).contains(&port)));
            }
        }
        if attrs.find(rule::TUN_ID).is_some() {
            check(None);
        }
        if attrs.find(rule::L3MDEV).and_then(|attr| attr.u8()).unwrap_or(0) != 0 {
            // Taken only where a VRF is the way in or out; the kernel's answer would name its table.
            check(Some(false));
        }
        let taken = if !all {
            Some(false)
        } else if open {
            None
        } else {
            Some(true)
        };
        taken.map(|taken| taken != (found.flags & rule::INVERT != 0))
    }
}

/// The route of a table that fits best: the longest prefix, then the least metric.
fn best<'d>(routes: &'d Dump, packet: &Packet, table: u32) -> Option<Message<'d>> {
    let fits = routes.messages().filter(|message| message.kind == kind::NEW_ROUTE).filter_map(|message| {
        let route = Route::read(message.payload)?;
        let attrs = message.attrs(Route::LENGTH);
        let own = attrs.find(rta::TABLE).and_then(|attr| attr.u32()).unwrap_or(u32::from(route.table));
        let destination = attrs.find(rta::DST).and_then(|attr| attr.ip()).unwrap_or_else(|| packet.zero());
        let fits = own == table
            && route.family == packet.family
            && route.flags & crate::route::CLONED == 0
            && (route.tos == 0 || route.tos == packet.tos)
            && same_prefix(destination, packet.destination, route.dst_len)
            && packet
                .oif
                .is_none_or(|oif| attrs.find(rta::OIF).and_then(|attr| attr.i32()).is_none_or(|own| own == oif));
        let metric = attrs.find(rta::PRIORITY).and_then(|attr| attr.u32()).unwrap_or(0);
        fits.then_some((route.dst_len, route.tos, std::cmp::Reverse(metric), message))
    });
    fits.max_by_key(|(bits, tos, metric, _)| (*bits, *tos, *metric)).map(|(.., message)| message)
}

/// Which rule decided, which table it led to, and what could not be told on the way.
struct Decision<'d> {
    rule: Option<Message<'d>>,
    route: Option<Message<'d>>,
    open: u32,
}

/// Plays the rules. `answered` is the table of the kernel's answer.
fn decide<'d>(
    world: &mut World,
    packet: &Packet,
    rules: &'d Dump,
    routes: &'d Dump,
    answered: Option<u32>,
) -> Decision<'d> {
    let mut decision = Decision { rule: None, route: None, open: 0 };
    // Rules come in order, and a jump leads forward only, so this ends.
    let mut skip_to = 0;
    for message in rules.messages().filter(|message| message.kind == kind::NEW_RULE) {
        let Some(found) = Route::read(message.payload) else { continue };
        let attrs = message.attrs(Route::LENGTH);
        let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.u32());
        if number(rule::PRIORITY).unwrap_or(0) < skip_to {
            continue;
        }
        let table = number(rule::TABLE).unwrap_or(u32::from(found.table));
        match packet.matches(world, &found, &attrs) {
            Some(true) => {}
            Some(false) => continue,
            None => {
                decision.open += 1;
                continue;
            }
        }
        match found.kind {
            1 => {
                let route = best(routes, packet, table);
                let thrown = route.is_some_and(|route| Route::read(route.payload).is_some_and(|route| route.kind == 9));
                let suppressed =
                    attrs.find(rule::SUPPRESS_PREFIXLEN).and_then(|attr| attr.i32()).is_some_and(|least| {
                        let bits = route.and_then(|route| Route::read(route.payload)).map_or(0, |route| route.dst_len);
                        least >= 0 && i32::from(bits) <= least
                    });
                let chosen = match answered {
                    Some(answered) => answered == table && !suppressed,
                    None => route.is_some() && !thrown && !suppressed,
                };
                if chosen {
                    return Decision { rule: Some(message), route, ..decision };
                }
            }
            2 => skip_to = number(rule::GOTO).unwrap_or(0),
            6..=8 if answered.is_none() => return Decision { rule: Some(message), route: None, ..decision },
            _ => {}
        }
    }
    decision
}

fn all_routes(world: &mut World, family: u8) -> Res<Dump> {
    let header = Route { family, ..Route::default() };
    world.dump(&Request::new(kind::GET_ROUTE, flags::DUMP, &header.bytes()))
}

/// The effective user, which rules may ask for; without /proc, unknown.
fn own_uid() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().nth(1)?.parse().ok()
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

pub(crate) fn run(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let question = Question::parse(world, words)?;
    let packet = Packet::of(&question, own_uid());
    world.link(0);
    let answer = world.route()?.exchange(&question.request());
    let rules = world.dump(&rule::request(packet.family))?;
    let routes = all_routes(world, packet.family)?;
    let found = answer.as_ref().ok().and_then(|answer| answer.messages().next());
    let answered = found.and_then(|message| {
        let table = message.attrs(Route::LENGTH).find(rta::TABLE).and_then(|attr| attr.u32());
        table.or_else(|| Route::read(message.payload).map(|route| u32::from(route.table))).filter(|table| *table != 0)
    });
    let decision = decide(world, &packet, &rules, &routes, answered);
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    let mut problems = Vec::new();
    out.object("");
    out.member("schema", "ip-why/1");
    let destination = ip_text(packet.destination);
    out.put("destination", destination.as_str(), format_args!("{:<12}{destination}\n", "destination"));
    match decision.rule {
        Some(message) => nested(&mut out, "rule", |out| rule::print(out, world, &message)),
        None => {
            out.put("rule", netkit_core::json::Value::Null, format_args!("{:<12}no rule that can be told\n", "rule"))
        }
    }
    if decision.open > 0 {
        out.put(
            "rules_open",
            decision.open,
            format_args!(
                "{:<12}passed over, for want of ports, protocol or user in the question: {}\n",
                "", decision.open
            ),
        );
    }
    if let Some(message) = decision.route {
        let table = message.attrs(Route::LENGTH).find(rta::TABLE).and_then(|attr| attr.u32()).unwrap_or(0);
        let name = world.names.table(table);
        out.put("table", name.as_str(), format_args!("{:<12}{name}\n", "table"));
        nested(&mut out, "route", |out| route_print::print(out, world, &message, &Filter::of_table(table)));
    }
    match found {
        Some(message) => {
            nested(&mut out, "answer", |out| route_print::print(out, world, &message, &Filter::all()));
            path(&mut out, world, &packet, &message, &mut problems)?;
        }
        None => {
            let refusal = answer.as_ref().err().map(ToString::to_string).unwrap_or_default();
            out.put("refused", refusal.as_str(), format_args!("{:<12}{refusal}\n", "refused"));
            problems.push(match (decision.route, decision.rule) {
                (Some(route), _) => {
                    let kind = Route::read(route.payload).map_or(0, |route| route.kind);
                    format!("the route is of type {}", names::kind(kind))
                }
                (None, Some(_)) => "the rule forbids it".to_owned(),
                (None, None) => "no table that a rule leads to has a route".to_owned(),
            });
        }
    }
    for problem in &problems {
        out.words(format_args!("{:<12}{problem}\n", "problem"));
    }
    let fine = problems.is_empty();
    out.member("problems", problems);
    out.end();
    out.flush()?;
    Ok(if fine { Exit::OK } else { BROKEN })
}

/// A labelled part.
fn nested(out: &mut Out<'_>, key: &str, print: impl FnOnce(&mut Out<'_>)) {
    out.object(key);
    out.words(format_args!("{key:<12}"));
    print(out);
    out.end();
}

/// From the route on: neighbour, link, sizes.
fn path(
    out: &mut Out<'_>,
    world: &mut World,
    packet: &Packet,
    answer: &Message<'_>,
    problems: &mut Vec<String>,
) -> Res {
    let Some(route) = Route::read(answer.payload) else { return Ok(()) };
    let attrs = answer.attrs(Route::LENGTH);
    let Some(index) = attrs.find(rta::OIF).and_then(|attr| attr.i32()) else { return Ok(()) };
    let gateway = attrs.find(rta::GATEWAY).and_then(|attr| attr.ip()).or_else(|| {
        let via = attrs.find(rta::VIA)?;
        netkit_nl::Attr { kind: 0, value: via.value.get(2..)? }.ip()
    });
    let request = Request::new(kind::GET_LINK, 0, &Link { index, ..Link::default() }.bytes()).u32(attr::EXT_MASK, 8);
    let link = world.route()?.exchange(&request).map_err(crate::stop::Stop::talk)?;
    let Some(message) = link.messages().next() else { return Ok(()) };
    let Some(found) = Link::read(message.payload) else { return Ok(()) };
    // A local address, a loopback or a link without ARP has no neighbour to ask for.
    if route.kind == 1 && found.flags & 0x88 == 0 {
        neighbour(out, world, gateway.unwrap_or(packet.destination), index, problems)?;
    }
    let link_attrs = message.attrs(Link::LENGTH);
    out.object("link");
    out.words(format_args!("{:<12}", "link"));
    out.put("ifindex", index, format_args!("{index}: "));
    let (shown, lower_down) = link::put_name(out, world, &link_attrs, index);
    out.words(format_args!("{shown}: "));
    link::put_flags(out, found.flags, lower_down);
    if let Some(state) = link_attrs.find(attr::OPERSTATE).and_then(|attr| attr.u8()) {
        let (name, _) = link::operstate(state);
        out.put("operstate", name.as_str(), format_args!("state {name}"));
    }
    out.newline();
    out.end();
    let name = world.link_name(index);
    if found.flags & link::UP == 0 {
        problems.push(format!("{name} is down"));
    } else if found.flags & 0x40 == 0 {
        problems.push(format!("{name} has no carrier"));
    }
    if lower_down {
        problems.push(format!("the link below {name} is down"));
    }
    sizes(out, &attrs, link_attrs.find(attr::MTU).and_then(|attr| attr.u32()).unwrap_or(0));
    Ok(())
}

fn neighbour(out: &mut Out<'_>, world: &mut World, hop: IpAddr, index: i32, problems: &mut Vec<String>) -> Res {
    let family = if hop.is_ipv4() { 2 } else { 10 };
    let header = Neighbour { family, index, ..Neighbour::default() };
    let request = Request::new(kind::GET_NEIGH, 0, &header.bytes()).attr(nda::DST, &octets(hop));
    let answer = world.route()?.exchange(&request);
    let entry = answer.as_ref().ok().and_then(|answer| answer.messages().next());
    match entry {
        Some(message) => {
            nested(out, "neighbour", |out| neigh::print(out, world, &message, true));
            let state = Neighbour::read(message.payload).map_or(0, |entry| entry.state);
            // NUD_FAILED, NUD_INCOMPLETE
            if state & 0x20 != 0 {
                problems.push(format!("{} does not answer on {}", ip_text(hop), world.link_name(index)));
            } else if state & 0x01 != 0 {
                problems.push(format!("{} has not answered yet on {}", ip_text(hop), world.link_name(index)));
            }
        }
        None => {
            let words = format!("{} on {}: not asked for yet", ip_text(hop), world.link_name(index));
            out.put("neighbour", netkit_core::json::Value::Null, format_args!("{:<12}{words}\n", "neighbour"));
        }
    }
    Ok(())
}

/// The size that holds, and where it comes from.
fn sizes(out: &mut Out<'_>, attrs: &Attrs<'_>, link: u32) {
    let metrics = attrs.find(rta::METRICS).map(|attr| attr.nested());
    let route = metrics.and_then(|metrics| metrics.find(2)).and_then(|attr| attr.u32()).filter(|mtu| *mtu != 0);
    let locked = metrics.and_then(|metrics| metrics.find(1)).and_then(|attr| attr.u32()).unwrap_or(0) >> 2 & 1 == 1;
    // An entry that expires was learnt from the path (RFC 1191, RFC 8201).
    let expires = attrs.find(rta::CACHEINFO).and_then(|info| raw::i32(info.value, 8)).unwrap_or(0) / 100;
    let learnt = route.filter(|_| expires > 0);
    let effective = route.unwrap_or(link);
    out.object("mtu");
    out.put("effective", effective, format_args!("{:<12}{effective}", "mtu"));
    out.put("link", link, format_args!(" (link {link}"));
    match (learnt, route) {
        (Some(mtu), _) => {
            out.put("path", mtu, format_args!(", learnt from the path {mtu}"));
            out.put("expires_s", expires, format_args!(", for {expires}s more"));
        }
        (None, Some(mtu)) => out.put("route", mtu, format_args!(", route {mtu}")),
        _ => {}
    }
    if locked {
        out.put("locked", true, format_args!(", locked: no discovery"));
    }
    out.words(format_args!(")\n"));
    out.end();
}
