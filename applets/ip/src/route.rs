//! `ip route`: which routes are shown, and asking the kernel for one.

use netkit_core::text::printable;
use netkit_core::{Ctx, Exit};
use netkit_nl::route::{Route, kind};
use netkit_nl::{Attr, Attrs, Request, flags};

use crate::names::kind_id;
use crate::out::Out;
use crate::route_print::{self, print, rta};
use crate::stop::{FAILED, REFUSED, Res, Stop};
use crate::words::{Prefix, Words, matches, number, same_prefix};
use crate::world::World;

pub(crate) const MAIN: u32 = 254;
pub(crate) const CLONED: u32 = 0x200;
const NOTIFY: u32 = 0x100;
const LOOKUP_TABLE: u32 = 0x1000;
const FIB_MATCH: u32 = 0x2000;

/// What the words after `show` leave in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    family: u8,
    /// 0 for every table.
    pub(crate) table: u32,
    cloned: bool,
    pub(crate) protocol: Option<u8>,
    pub(crate) scope: Option<u8>,
    pub(crate) kind: Option<u8>,
    pub(crate) tos: Option<u8>,
    pub(crate) oif: Option<i32>,
    pub(crate) iif: Option<i32>,
    pub(crate) metric: Option<u32>,
    /// Both realms, and which bits of them were named.
    pub(crate) realm: Option<(u32, u32)>,
    mark: Option<u32>,
    /// At least as long as, at most as long as: destination, then source.
    root: Option<Prefix>,
    within: Option<Prefix>,
    source_root: Option<Prefix>,
    source_within: Option<Prefix>,
    pub(crate) via: Option<Prefix>,
    pub(crate) prefsrc: Option<Prefix>,
}

fn wrong<T>(value: Option<T>, word: &str, why: &str) -> Res<T> {
    value.ok_or_else(|| Stop::wrong(&printable(word), why))
}

fn device(world: &mut World, word: &str) -> Res<i32> {
    world.link_index(word).ok_or_else(|| Stop::peer(FAILED, format!("Cannot find device \"{}\"", printable(word))))
}

impl Filter {
    /// One that leaves everything in.
    pub(crate) fn all() -> Filter {
        Filter::default()
    }

    /// One whose table is said elsewhere.
    pub(crate) fn of_table(table: u32) -> Filter {
        Filter { table, ..Filter::default() }
    }

    fn parse(world: &mut World, words: &mut Words) -> Res<Filter> {
        let mut filter = Filter { family: world.options.family, table: MAIN, ..Filter::default() };
        while let Some(word) = words.next() {
            if matches(&word, "table") {
                let value = words.value()?;
                match world.names.table_id(&value) {
                    Some(table) => filter.table = table,
                    None if value == "all" => filter.table = 0,
                    None if value == "cache" => filter.cloned = true,
                    None if value == "help" => return Err(Stop::wrong("help", "see \"ip help\"")),
                    None => return Err(Stop::wrong(&printable(&value), "table id value is invalid\n")),
                }
                if filter.cloned {
                    filter.table = 0;
                }
                continue;
            }
            match word.as_str() {
                "vrf" => {
                    let value = words.value()?;
                    let table = vrf_table(world, &value)?;
                    filter.table = wrong(table, &value, "Invalid VRF\n")?;
                }
                "cloned" => (filter.cloned, filter.table) = (true, 0),
                _ if matches(&word, "cached") => (filter.cloned, filter.table) = (true, 0),
                "tos" | "dsfield" => {
                    let value = words.value()?;
                    filter.tos = Some(wrong(world.names.field_id(&value), &value, "TOS value is invalid\n")?);
                }
                _ if matches(&word, "protocol") => {
                    let value = words.value()?;
                    if value != "all" {
                        let id = world.names.protocol_id(&value).and_then(|id| u8::try_from(id).ok());
                        filter.protocol = Some(wrong(id, &value, "invalid \"protocol\"\n")?);
                    }
                }
                _ if matches(&word, "scope") => {
                    let value = words.value()?;
                    if value != "all" {
                        let id = world.names.scope_id(&value).and_then(|id| u8::try_from(id).ok());
                        filter.scope = Some(wrong(id, &value, "invalid \"scope\"\n")?);
                    }
                }
                _ if matches(&word, "type") => {
                    let value = words.value()?;
                    filter.kind = Some(wrong(kind_id(&value), &value, "node type value is invalid\n")?);
                }
                "dev" | "oif" => {
                    let value = words.value()?;
                    filter.oif = Some(device(world, &value)?);
                }
                "iif" => {
                    let value = words.value()?;
                    filter.iif = Some(device(world, &value)?);
                }
                "mark" => {
                    let value = words.value()?;
                    filter.mark = Some(wrong(number(&value), &value, "invalid mark value\n")?);
                }
                "metric" | "preference" | "priority" => {
                    let value = words.value()?;
                    filter.metric = Some(wrong(number(&value), &value, "\"metric\" value is invalid\n")?);
                }
                "via" => {
                    let mut value = words.value()?;
                    let mut family = filter.family;
                    if let Some(named) = crate::options::family_id(&value) {
                        family = named;
                        value = words.value()?;
                    }
                    filter.via = Some(Prefix::parse(&value, family)?);
                }
                "src" => filter.prefsrc = Some(Prefix::parse(&words.value()?, filter.family)?),
                "realms" | "realm" => {
                    let value = words.value()?;
                    filter.realm = Some(wrong(realms(world, &value), &value, "invalid realms\n")?);
                }
                "from" => {
                    let mut value = words.value()?;
                    let how = value.clone();
                    if ["root", "match", "exact"].iter().any(|known| matches(&how, known)) {
                        value = words.value()?;
                    }
                    let prefix = filter.prefix(&value)?;
                    narrow(&how, prefix, &mut filter.source_root, &mut filter.source_within);
                }
                _ => {
                    let mut value = word.clone();
                    if value == "to" {
                        value = words.value()?;
                    }
                    let how = value.clone();
                    if ["root", "match", "exact"].iter().any(|known| matches(&how, known)) {
                        value = words.value()?;
                    } else if matches(&value, "help") {
                        return Err(Stop::wrong("help", "see \"ip help\""));
                    }
                    let prefix = filter.prefix(&value)?;
                    if filter.family == 0 && matches!(value.as_str(), "all" | "any") {
                        // Every destination, where `default` is one with no bits.
                        filter.root = Some(prefix);
                    } else {
                        narrow(&how, prefix, &mut filter.root, &mut filter.within);
                    }
                }
            }
        }
        if filter.family == 0 && filter.table != 0 {
            filter.family = [filter.root, filter.within, filter.via]
                .into_iter()
                .flatten()
                .map(|prefix| prefix.family)
                .find(|family| *family != 0)
                .filter(|family| *family == 2)
                .unwrap_or(2);
        }
        Ok(filter)
    }

    fn prefix(&self, word: &str) -> Res<Prefix> {
        let mut prefix = Prefix::parse(word, self.family)?;
        // `default` is that of IPv4 where no family is asked for.
        if prefix.family == 0 {
            prefix.family = 2;
        }
        Ok(prefix)
    }

    fn passes(&self, route: &Route, attrs: &Attrs<'_>) -> bool {
        let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.u32());
        let table = number(rta::TABLE).unwrap_or(u32::from(route.table));
        let link = |kind: u16| attrs.find(kind).and_then(|attr| attr.i32());
        let ip = |kind: u16| attrs.find(kind).and_then(|attr| attr.ip());
        let flow = number(rta::FLOW).unwrap_or(0);
        (self.family == 0 || self.family == route.family)
            && self.cloned == (route.flags & CLONED != 0)
            && (self.table == 0 || self.table == table)
            && self.protocol.is_none_or(|protocol| protocol == route.protocol)
            && self.scope.is_none_or(|scope| scope == route.scope)
            && self.kind.is_none_or(|kind| kind == route.kind)
            && self.tos.is_none_or(|tos| tos == route.tos)
            && inside(self.root, self.within, route.family, ip(rta::DST), route.dst_len)
            && inside(self.source_root, self.source_within, route.family, ip(rta::SRC), route.src_len)
            && self.via.is_none_or(|via| {
                let other = || attrs.find(rta::VIA).and_then(|attr| Attr { kind: 0, value: attr.value.get(2..)? }.ip());
                has(&via, ip(rta::GATEWAY).or_else(other))
            })
            && self.prefsrc.is_none_or(|source| has(&source, ip(rta::PREFSRC)))
            && self.realm.is_none_or(|(realm, mask)| (flow ^ realm) & mask == 0)
            && self.iif.is_none_or(|index| link(rta::IIF) == Some(index))
            && self.oif.is_none_or(|index| link(rta::OIF) == Some(index))
            && self.mark.is_none_or(|mark| number(rta::MARK) == Some(mark))
            && self.metric.is_none_or(|metric| number(rta::PRIORITY).unwrap_or(0) == metric)
    }
}

/// `root P` wants what lies within P, `match P` what covers P, and P alone both.
fn range(how: &str, prefix: Prefix) -> (Option<Prefix>, Option<Prefix>) {
    if matches(how, "root") {
        (Some(prefix), None)
    } else if matches(how, "match") {
        (None, Some(prefix))
    } else {
        (Some(prefix), Some(prefix))
    }
}

/// Sets what a word about a prefix limits, and leaves the other limit as an earlier word set it.
fn narrow(how: &str, prefix: Prefix, root: &mut Option<Prefix>, within: &mut Option<Prefix>) {
    let (lower, upper) = range(how, prefix);
    *root = lower.or(*root);
    *within = upper.or(*within);
}

/// `FROM/TO` or `TO`: the number that RTA_FLOW holds, and the bits that were named.
fn realms(world: &World, word: &str) -> Option<(u32, u32)> {
    match word.split_once('/') {
        None => Some((world.names.realm_id(word)?, 0xffff)),
        Some((from, "")) => Some((world.names.realm_id(from)? << 16, 0xffff_0000)),
        Some(("", to)) => Some((world.names.realm_id(to)?, 0xffff)),
        Some((from, to)) => Some(((world.names.realm_id(from)? << 16) | world.names.realm_id(to)?, u32::MAX)),
    }
}

fn has(wanted: &Prefix, ip: Option<std::net::IpAddr>) -> bool {
    ip.is_some_and(|ip| wanted.covers(ip, wanted.bits))
}

fn inside(root: Option<Prefix>, within: Option<Prefix>, family: u8, ip: Option<std::net::IpAddr>, bits: u8) -> bool {
    let zero = |family: u8| match family {
        10 => std::net::IpAddr::from([0u8; 16]),
        _ => std::net::IpAddr::from([0u8; 4]),
    };
    let ip = ip.unwrap_or_else(|| zero(family));
    let side = |wanted: Option<Prefix>, longer: bool| {
        wanted.is_none_or(|wanted| {
            let address = wanted.address.unwrap_or_else(|| zero(wanted.family));
            let (fits, common) = if longer { (wanted.bits <= bits, wanted.bits) } else { (bits <= wanted.bits, bits) };
            wanted.family == family && fits && same_prefix(address, ip, common)
        })
    };
    side(root, true) && side(within, false)
}

/// The table of a VRF device (IFLA_VRF_TABLE), if it is one.
pub(crate) fn vrf_table(world: &mut World, name: &str) -> Res<Option<u32>> {
    let Some(index) = world.link_index(name) else { return Ok(None) };
    let header = netkit_nl::route::Link { index, ..netkit_nl::route::Link::default() };
    let request = Request::new(kind::GET_LINK, 0, &header.bytes());
    let Ok(answer) = world.route()?.exchange(&request) else { return Ok(None) };
    let table = answer.messages().next().and_then(|message| {
        let info = message.attrs(netkit_nl::route::Link::LENGTH).find(18)?.nested();
        (info.find(1)?.text() == "vrf").then_some(())?;
        info.find(2)?.nested().find(1)?.u32()
    });
    Ok(table)
}

pub(crate) fn show(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let filter = Filter::parse(world, words)?;
    let header = Route {
        family: filter.family,
        flags: if filter.cloned { CLONED } else { 0 },
        protocol: filter.protocol.unwrap_or(0),
        ..Route::default()
    };
    let mut request = Request::new(kind::GET_ROUTE, flags::DUMP, &header.bytes());
    if filter.table != 0 {
        request.put(rta::TABLE, &filter.table.to_ne_bytes());
    }
    if let Some(index) = filter.oif {
        request.put(rta::OIF, &index.to_ne_bytes());
    }
    world.link(0);
    let style = world.options.style;
    let dump = world.dump(&request).map_err(|stop| match stop {
        Stop::Peer(_, text) => Stop::Peer(REFUSED, text),
        other => other,
    })?;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for message in dump.messages().filter(|message| message.kind == kind::NEW_ROUTE) {
        let Some(route) = Route::read(message.payload) else { continue };
        if !filter.passes(&route, &message.attrs(Route::LENGTH)) {
            continue;
        }
        out.object("");
        print(&mut out, world, &message, &filter);
        out.end();
        if out.pending().len() > 1 << 16 {
            out.flush()?;
        }
    }
    out.end();
    out.flush()?;
    if dump.outcome.interrupted {
        ctx.say("Dump was interrupted and may be inconsistent.");
    }
    Ok(Exit::OK)
}

/// What `ip route get` asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    pub(crate) header: Route,
    pub(crate) attrs: Vec<(u16, Vec<u8>)>,
    pub(crate) destination: bool,
    pub(crate) warnings: Vec<String>,
}

impl Question {
    pub(crate) fn parse(world: &mut World, words: &mut Words) -> Res<Question> {
        let mut question =
            Question { header: Route { family: world.options.family, ..Route::default() }, ..Question::default() };
        while let Some(word) = words.next() {
            match word.as_str() {
                _ if matches(&word, "from") => {
                    let prefix = Prefix::parse(&words.value()?, question.header.family)?;
                    question.header.src_len = prefix.bits;
                    question.address(rta::SRC, &prefix);
                }
                "tos" | "dsfield" => {
                    let value = words.value()?;
                    question.header.tos = wrong(world.names.field_id(&value), &value, "TOS value is invalid\n")?;
                }
                "iif" | "oif" | "dev" => {
                    let value = words.value()?;
                    let index = device(world, &value)?;
                    let kind = if word == "iif" { rta::IIF } else { rta::OIF };
                    question.attrs.push((kind, index.to_ne_bytes().to_vec()));
                }
                "mark" | "uid" => {
                    let value = words.value()?;
                    let why = if word == "mark" { "invalid mark value" } else { "invalid UID\n" };
                    let id = wrong(number(&value), &value, why)?;
                    let kind = if word == "mark" { rta::MARK } else { rta::UID };
                    question.attrs.push((kind, id.to_ne_bytes().to_vec()));
                }
                "vrf" => {
                    let value = words.value()?;
                    if vrf_table(world, &value)?.is_none() {
                        return Err(Stop::wrong(&printable(&value), "Invalid VRF\n"));
                    }
                    let index = device(world, &value)?;
                    question.attrs.push((rta::OIF, index.to_ne_bytes().to_vec()));
                }
                _ if matches(&word, "fibmatch") => question.header.flags |= FIB_MATCH,
                "notify" => question.header.flags |= NOTIFY,
                "connected" => {
                    return Err(crate::options::refused(&word, "ask again with `from` and `oif` of the answer"));
                }
                "ipproto" => {
                    let value = words.value()?;
                    let id = match value.as_str() {
                        "tcp" => Some(6u8),
                        "udp" => Some(17),
                        "icmp" => Some(1),
                        "ipv6-icmp" => Some(58),
                        "sctp" => Some(132),
                        other => other.parse().ok(),
                    };
                    question.attrs.push((rta::IP_PROTO, vec![wrong(id, &value, "Invalid \"ipproto\" value\n")?]));
                }
                "sport" | "dport" => {
                    let value = words.value()?;
                    let why = format!("invalid {word}\n");
                    let port = wrong(value.parse::<u16>().ok(), &value, &why)?;
                    let kind = if word == "sport" { rta::SPORT } else { rta::DPORT };
                    question.attrs.push((kind, port.to_be_bytes().to_vec()));
                }
                _ => {
                    let mut value = word.clone();
                    if value == "to" {
                        value = words.value()?;
                    }
                    if matches(&value, "help") {
                        return Err(Stop::wrong("help", "see \"ip help\""));
                    }
                    let prefix = Prefix::parse(&value, question.header.family)?;
                    question.header.family =
                        if question.header.family == 0 { prefix.family } else { question.header.family };
                    let host = if prefix.family == 10 { 128 } else { 32 };
                    if prefix.bits != host && prefix.address.is_some() {
                        let bits = prefix.bits;
                        question.warnings.push(format!(
                            "Warning: /{bits} as prefix is invalid, only /{host} (or none) is supported."
                        ));
                    }
                    question.header.dst_len = host;
                    question.destination |= prefix.address.is_some();
                    question.address(rta::DST, &prefix);
                }
            }
        }
        if !question.destination {
            return Err(Stop::peer(FAILED, "need at least a destination address"));
        }
        if question.header.family == 0 {
            question.header.family = 2;
        }
        // IPv6 always says the table, and refuses to be asked for it.
        if question.header.family == 2 {
            question.header.flags |= LOOKUP_TABLE;
        }
        Ok(question)
    }

    fn address(&mut self, kind: u16, prefix: &Prefix) {
        if self.header.family == 0 {
            self.header.family = prefix.family;
        }
        match prefix.address {
            Some(std::net::IpAddr::V4(ip)) => self.attrs.push((kind, ip.octets().to_vec())),
            Some(std::net::IpAddr::V6(ip)) => self.attrs.push((kind, ip.octets().to_vec())),
            None => {}
        }
    }

    pub(crate) fn request(&self) -> Request {
        let mut request = Request::new(kind::GET_ROUTE, 0, &self.header.bytes());
        for (kind, value) in &self.attrs {
            request.put(*kind, value);
        }
        request
    }
}

pub(crate) fn one(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let question = Question::parse(world, words)?;
    for warning in &question.warnings {
        ctx.say(warning);
    }
    let answer = world.route()?.exchange(&question.request()).map_err(Stop::talk)?;
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for message in answer.messages().filter(|message| message.kind == kind::NEW_ROUTE) {
        out.object("");
        route_print::print(&mut out, world, &message, &Filter::all());
        out.end();
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_match_and_exact() {
        let prefix = |text: &str| Prefix::parse(text, 0).unwrap();
        let ip = |text: &str| Some(text.parse().unwrap());
        for (how, wanted, route, bits, expected) in [
            ("root", "10.0.0.0/8", "10.1.0.0", 16, true),
            ("root", "10.0.0.0/8", "11.1.0.0", 16, false),
            ("root", "10.1.0.0/16", "10.0.0.0", 8, false),
            ("match", "10.1.2.3", "10.1.0.0", 16, true),
            ("match", "10.1.2.3", "10.2.0.0", 16, false),
            ("exact", "10.1.0.0/16", "10.1.0.0", 16, true),
            ("x", "10.1.0.0/16", "10.1.0.0", 17, false),
            ("match", "fe80::1", "10.1.0.0", 16, false),
        ] {
            let (root, within) = range(how, prefix(wanted));
            assert_eq!(inside(root, within, 2, ip(route), bits), expected, "{how} {wanted} {route}/{bits}");
        }
        let (root, within) = range("exact", Prefix { family: 2, address: None, bits: 0 });
        assert!(inside(root, within, 2, None, 0) && !inside(root, within, 2, ip("10.0.0.0"), 8));
    }
}
