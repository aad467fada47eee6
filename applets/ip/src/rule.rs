//! `ip rule`: the policy that chooses a routing table (FRA_* in linux/fib_rules.h).

use std::net::IpAddr;

use netkit_core::text::printable;
use netkit_core::{Ctx, Exit};
use netkit_nl::route::{Route, kind};
use netkit_nl::{Attrs, Message, Request, flags, raw};

use crate::names;
use crate::out::{Colour, Out};
use crate::stop::{Res, Stop};
use crate::words::{Prefix, Words, ip_text, matches, number};
use crate::world::World;

pub(crate) const DST: u16 = 1;
pub(crate) const SRC: u16 = 2;
pub(crate) const IIFNAME: u16 = 3;
pub(crate) const GOTO: u16 = 4;
pub(crate) const PRIORITY: u16 = 6;
pub(crate) const FWMARK: u16 = 10;
pub(crate) const FLOW: u16 = 11;
pub(crate) const TUN_ID: u16 = 12;
pub(crate) const SUPPRESS_IFGROUP: u16 = 13;
pub(crate) const SUPPRESS_PREFIXLEN: u16 = 14;
pub(crate) const TABLE: u16 = 15;
pub(crate) const FWMASK: u16 = 16;
pub(crate) const OIFNAME: u16 = 17;
pub(crate) const L3MDEV: u16 = 19;
pub(crate) const UID_RANGE: u16 = 20;
pub(crate) const PROTOCOL: u16 = 21;
pub(crate) const IP_PROTO: u16 = 22;
pub(crate) const SPORT_RANGE: u16 = 23;
pub(crate) const DPORT_RANGE: u16 = 24;

pub(crate) const INVERT: u32 = 0x2;
pub(crate) const UNRESOLVED: u32 = 0x4;
pub(crate) const IIF_DETACHED: u32 = 0x8;
pub(crate) const OIF_DETACHED: u32 = 0x10;

#[derive(Clone, Debug, Default)]
struct Filter {
    priority: Option<u32>,
    inverted: bool,
    tos: Option<u8>,
    mark: Option<(u32, Option<u32>)>,
    iif: Option<String>,
    oif: Option<String>,
    l3mdev: bool,
    table: Option<u32>,
    source: Option<Prefix>,
    destination: Option<Prefix>,
    protocol: Option<u8>,
    ip_proto: Option<u8>,
    sport: Option<(u16, u16)>,
    dport: Option<(u16, u16)>,
    uids: Option<(u32, u32)>,
    tunnel: Option<u64>,
}

fn range<T: std::str::FromStr>(word: &str) -> Option<(T, T)> {
    let (low, high) = word.split_once('-').unwrap_or((word, word));
    Some((low.parse().ok()?, high.parse().ok()?))
}

impl Filter {
    fn parse(world: &mut World, words: &mut Words) -> Res<Filter> {
        let mut filter = Filter::default();
        let family = if world.options.family == 0 { 2 } else { world.options.family };
        fn wrong<T>(value: Option<T>, word: &str, why: &str) -> Res<T> {
            value.ok_or_else(|| Stop::wrong(&printable(word), why))
        }
        while let Some(word) = words.next() {
            match word.as_str() {
                _ if ["preference", "order", "priority"].iter().any(|known| matches(&word, known)) => {
                    let value = words.value()?;
                    filter.priority = Some(wrong(number(&value), &value, "preference value is invalid\n")?);
                }
                "not" => filter.inverted = true,
                "tos" | "dsfield" => {
                    let value = words.value()?;
                    filter.tos = Some(wrong(world.names.field_id(&value), &value, "TOS value is invalid\n")?);
                }
                "fwmark" => {
                    let value = words.value()?;
                    let (mark, mask) = match value.split_once('/') {
                        Some((mark, mask)) => (number(mark), Some(number(mask))),
                        None => (number(&value), None),
                    };
                    let mask = match mask {
                        Some(mask) => Some(wrong(mask, &value, "fwmask value is invalid\n")?),
                        None => None,
                    };
                    filter.mark = Some((wrong(mark, &value, "fwmark value is invalid\n")?, mask));
                }
                "dev" | "iif" => filter.iif = Some(words.value()?),
                "oif" => filter.oif = Some(words.value()?),
                "l3mdev" => filter.l3mdev = true,
                "uidrange" => {
                    let value = words.value()?;
                    filter.uids = Some(wrong(range(&value), &value, "invalid UID range\n")?);
                }
                "tun_id" => {
                    let value = words.value()?;
                    filter.tunnel = Some(wrong(value.parse().ok(), &value, "\"tun_id\" value is invalid\n")?);
                }
                "lookup" => filter.table = Some(table(world, words)?),
                _ if matches(&word, "table") => filter.table = Some(table(world, words)?),
                "from" | "src" => filter.source = Some(Prefix::parse(&words.value()?, family)?),
                _ if matches(&word, "protocol") => {
                    let value = words.value()?;
                    let id = world.names.protocol_id(&value).and_then(|id| u8::try_from(id).ok());
                    filter.protocol = Some(wrong(id, &value, "invalid \"protocol\"\n")?);
                }
                "ipproto" => {
                    let value = words.value()?;
                    let id = names::ip_protocol_id(&value);
                    filter.ip_proto = Some(wrong(id, &value, "Invalid \"ipproto\" value\n")?);
                }
                "sport" | "dport" => {
                    let value = words.value()?;
                    let ports = Some(wrong(range(&value), &value, &format!("invalid {word}\n"))?);
                    *(if word == "sport" { &mut filter.sport } else { &mut filter.dport }) = ports;
                }
                _ => {
                    let value = if word == "to" || word == "dst" { words.value()? } else { word.clone() };
                    filter.destination = Some(Prefix::parse(&value, family)?);
                }
            }
        }
        Ok(filter)
    }

    fn passes(&self, rule: &Route, attrs: &Attrs<'_>) -> bool {
        let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.u32());
        let byte = |kind: u16| attrs.find(kind).and_then(|attr| attr.u8());
        let text = |kind: u16| attrs.find(kind).map(|attr| attr.text());
        let ports = |kind: u16| attrs.find(kind).and_then(|attr| Some((attr.u16()?, raw::u16(attr.value, 2)?)));
        let uids = attrs.find(UID_RANGE).and_then(|attr| Some((attr.u32()?, raw::u32(attr.value, 4)?)));
        let inside = |wanted: Option<Prefix>, kind: u16| {
            wanted.filter(|wanted| wanted.address.is_some()).is_none_or(|wanted| {
                let ip = attrs.find(kind).and_then(|attr| attr.ip());
                ip.is_some_and(|ip| wanted.covers(ip, wanted.bits))
            })
        };
        self.priority.is_none_or(|priority| number(PRIORITY).unwrap_or(0) == priority)
            && (!self.inverted || rule.flags & INVERT != 0)
            && self.tos.is_none_or(|tos| tos == rule.tos)
            && self.mark.is_none_or(|(mark, mask)| {
                number(FWMARK) == Some(mark) && mask.is_none_or(|mask| number(FWMASK) == Some(mask))
            })
            && self.iif.as_ref().is_none_or(|name| text(IIFNAME).as_ref() == Some(name))
            && self.oif.as_ref().is_none_or(|name| text(OIFNAME).as_ref() == Some(name))
            && (!self.l3mdev || byte(L3MDEV).unwrap_or(0) != 0)
            && self.table.is_none_or(|table| number(TABLE).unwrap_or(u32::from(rule.table)) == table)
            && inside(self.source, SRC)
            && inside(self.destination, DST)
            && self.protocol.is_none_or(|protocol| byte(PROTOCOL) == Some(protocol))
            && self.ip_proto.is_none_or(|protocol| byte(IP_PROTO) == Some(protocol))
            && self.sport.is_none_or(|wanted| ports(SPORT_RANGE) == Some(wanted))
            && self.dport.is_none_or(|wanted| ports(DPORT_RANGE) == Some(wanted))
            && self.uids.is_none_or(|wanted| uids == Some(wanted))
            && self.tunnel.is_none_or(|wanted| {
                let id = attrs.find(TUN_ID).and_then(|attr| raw::array::<8>(attr.value, 0));
                id.map(u64::from_be_bytes) == Some(wanted)
            })
    }
}

fn table(world: &World, words: &mut Words) -> Res<u32> {
    let value = words.value()?;
    let id = world.names.table_id(&value);
    id.ok_or_else(|| Stop::wrong(&printable(&value), "table id value is invalid\n"))
}

/// A request for the rules of a family.
pub(crate) fn request(family: u8) -> Request {
    let header = Route { family, ..Route::default() };
    Request::new(kind::GET_RULE, flags::DUMP, &header.bytes())
}

pub(crate) fn show(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let family = if world.options.family == 0 { 2 } else { world.options.family };
    let filter = Filter::parse(world, words)?;
    let dump = world.dump(&request(family))?;
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for message in dump.messages().filter(|message| message.kind == kind::NEW_RULE) {
        let Some(rule) = Route::read(message.payload) else { continue };
        if filter.passes(&rule, &message.attrs(Route::LENGTH)) {
            out.object("");
            print(&mut out, world, &message);
            out.end();
        }
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

/// An address with its length as two members.
fn put_prefix(out: &mut Out<'_>, family: u8, ip: Option<IpAddr>, bits: u8, word: &str, keys: (&str, &str)) {
    let host = if family == 10 { 128 } else { 32 };
    let text = ip.map_or_else(|| "0".to_owned(), ip_text);
    out.words(format_args!("{word} "));
    out.tint(Colour::of_family(family), keys.0, &text, "", "");
    if bits != host {
        out.put(keys.1, bits, format_args!("/{bits}"));
    }
}

fn put_interface(out: &mut Out<'_>, attrs: &Attrs<'_>, kind: u16, word: &str, detached: bool) {
    let Some(name) = attrs.find(kind).map(|attr| attr.text()) else { return };
    out.words(format_args!(" {word} "));
    out.tint(Some(Colour::Interface), word, &name, "", "");
    if detached {
        out.mark(&format!("{word}_detached"), " [detached]");
    }
}

/// Prints one rule.
pub(crate) fn print(out: &mut Out<'_>, world: &mut World, message: &Message<'_>) {
    let Some(rule) = Route::read(message.payload) else { return };
    let attrs = message.attrs(Route::LENGTH);
    let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.u32());
    let ip = |kind: u16| attrs.find(kind).and_then(|attr| attr.ip());
    if message.kind == kind::DEL_RULE {
        out.put("deleted", true, format_args!("Deleted "));
    }
    let priority = number(PRIORITY).unwrap_or(0);
    out.put("priority", priority, format_args!("{priority}:\t"));
    if rule.flags & INVERT != 0 {
        out.mark("not", "not ");
    }
    if ip(SRC).is_some() || rule.src_len != 0 {
        put_prefix(out, rule.family, ip(SRC), rule.src_len, "from", ("src", "srclen"));
    } else {
        out.put("src", "all", format_args!("from all"));
    }
    if ip(DST).is_some() || rule.dst_len != 0 {
        put_prefix(out, rule.family, ip(DST), rule.dst_len, " to", ("dst", "dstlen"));
    }
    if rule.tos != 0 {
        let name = world.names.field(rule.tos);
        out.put("tos", name.as_str(), format_args!(" tos {name}"));
    }
    if number(FWMARK).is_some() || number(FWMASK).is_some() {
        let mark = number(FWMARK).unwrap_or(0);
        out.put("fwmark", format!("{mark:#x}"), format_args!(" fwmark {mark:#x}"));
        if let Some(mask) = number(FWMASK).filter(|mask| *mask != u32::MAX) {
            out.put("fwmask", format!("{mask:#x}"), format_args!("/{mask:#x}"));
        }
    }
    put_interface(out, &attrs, IIFNAME, "iif", rule.flags & IIF_DETACHED != 0);
    put_interface(out, &attrs, OIFNAME, "oif", rule.flags & OIF_DETACHED != 0);
    if attrs.find(L3MDEV).and_then(|attr| attr.u8()).unwrap_or(0) != 0 {
        out.mark("l3mdev", " lookup [l3mdev-table]");
    }
    if let Some(range) = attrs.find(UID_RANGE) {
        let (low, high) = (range.u32().unwrap_or(0), raw::u32(range.value, 4).unwrap_or(0));
        out.put("uid_start", low, format_args!(" uidrange {low}"));
        out.put("uid_end", high, format_args!("-{high}"));
    }
    if let Some(protocol) = attrs.find(IP_PROTO).and_then(|attr| attr.u8()) {
        let name = names::ip_protocol(protocol).filter(|_| !world.names.numeric);
        let name = name.unwrap_or_else(|| format!("ipproto-{protocol}"));
        out.put("ipproto", name.as_str(), format_args!(" ipproto {name}"));
    }
    for (kind, word) in [(SPORT_RANGE, "sport"), (DPORT_RANGE, "dport")] {
        let Some(range) = attrs.find(kind) else { continue };
        let (low, high) = (range.u16().unwrap_or(0), raw::u16(range.value, 2).unwrap_or(0));
        if low == high {
            out.put(word, low, format_args!(" {word} {low}"));
        } else {
            out.put(&format!("{word}_start"), low, format_args!(" {word} {low}"));
            out.put(&format!("{word}_end"), high, format_args!("-{high}"));
        }
    }
    if let Some(id) = attrs.find(TUN_ID).and_then(|attr| raw::array::<8>(attr.value, 0)).map(u64::from_be_bytes) {
        out.put("tun_id", id, format_args!(" tun_id {id}"));
    }
    put_table(out, world, &rule, &attrs);
    put_action(out, world, &rule, &attrs);
    if let Some(protocol) = attrs.find(PROTOCOL).and_then(|attr| attr.u8())
        && (!matches!(protocol, 0 | 2) || world.options.details)
    {
        let name = world.names.protocol(u32::from(protocol));
        out.put("protocol", name.as_str(), format_args!(" proto {name}"));
    }
    out.newline();
}

fn put_table(out: &mut Out<'_>, world: &World, rule: &Route, attrs: &Attrs<'_>) {
    let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.u32());
    let table = number(TABLE).unwrap_or(u32::from(rule.table));
    if table != 0 {
        let name = world.names.table(table);
        out.put("table", name.as_str(), format_args!(" lookup {name}"));
        if let Some(length) = attrs.find(SUPPRESS_PREFIXLEN).and_then(|attr| attr.i32()).filter(|length| *length != -1)
        {
            out.put("suppress_prefixlen", length, format_args!(" suppress_prefixlength {length}"));
        }
        if let Some(group) = number(SUPPRESS_IFGROUP).filter(|group| *group != u32::MAX) {
            let name = world.names.group(group);
            out.put("suppress_ifgroup", name.as_str(), format_args!(" suppress_ifgroup {name}"));
        }
    }
    if let Some(flow) = number(FLOW) {
        let to = world.names.realm(flow & 0xffff);
        if flow >> 16 != 0 {
            let from = world.names.realm(flow >> 16);
            out.put("flow_from", from.as_str(), format_args!(" realms {from}/"));
        } else {
            out.words(format_args!(" realms "));
        }
        out.put("flow_to", to.as_str(), format_args!("{to}"));
    }
}

/// FR_ACT_* and, in old rules, RTN_NAT.
fn put_action(out: &mut Out<'_>, world: &World, rule: &Route, attrs: &Attrs<'_>) {
    match rule.kind {
        1 => {}
        2 => {
            match attrs.find(GOTO).and_then(|attr| attr.u32()) {
                Some(target) => out.put("goto", target, format_args!(" goto {target}")),
                None => out.put("goto", "none", format_args!(" goto none")),
            }
            if rule.flags & UNRESOLVED != 0 {
                out.mark("unresolved", " [unresolved]");
            }
        }
        3 => out.mark("nop", " nop"),
        10 => match attrs.find(crate::route_print::rta::GATEWAY).and_then(|attr| attr.ip()) {
            Some(ip) => {
                let text = ip_text(ip);
                out.put("nat_gateway", text.as_str(), format_args!(" map-to {text}"));
            }
            None => out.mark("masquerade", " masquerade"),
        },
        other => {
            let name = if world.names.numeric { other.to_string() } else { names::kind(other) };
            out.put("action", name.as_str(), format_args!(" {name}"));
        }
    }
}
