//! `ip nexthop` (NHA_* in linux/nexthop.h).

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_core::{Ctx, Exit};
use netkit_nl::route::{Nexthop, kind};
use netkit_nl::{Attr, Message, Request, flags, raw};

use crate::out::{Colour, Out};
use crate::route_print::put_flags;
use crate::stop::{Res, Stop};
use crate::words::{Words, ip_text, number};
use crate::world::World;

const ID: u16 = 1;
const GROUP: u16 = 2;
const GROUP_TYPE: u16 = 3;
const BLACKHOLE: u16 = 4;
const OIF: u16 = 5;
const GATEWAY: u16 = 6;
const ENCAP_TYPE: u16 = 7;
const ENCAP: u16 = 8;
const GROUPS: u16 = 9;
const MASTER: u16 = 10;
const FDB: u16 = 11;
const RES_GROUP: u16 = 12;

fn wrong<T>(value: Option<T>, word: &str, why: &str) -> Res<T> {
    value.ok_or_else(|| Stop::wrong(&printable(word), why))
}

pub(crate) fn show(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let header = Nexthop { family: world.options.family, ..Nexthop::default() };
    let mut request = Request::new(kind::GET_NEXTHOP, flags::DUMP, &header.bytes());
    let mut protocol = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "dev" => {
                let name = words.value()?;
                let index = world.link_index(&name);
                request.put(OIF, &wrong(index, &name, "Device does not exist\n")?.to_ne_bytes());
            }
            "groups" => request.put(GROUPS, &[]),
            "fdb" => request.put(FDB, &[]),
            "master" => {
                let name = words.value()?;
                let index = world.link_index(&name);
                request.put(MASTER, &wrong(index, &name, "Device does not exist\n")?.to_ne_bytes());
            }
            "vrf" => {
                let name = words.value()?;
                let index = world.link_index(&name);
                request.put(MASTER, &wrong(index, &name, "Invalid VRF\n")?.to_ne_bytes());
            }
            "id" => {
                let value = words.value()?;
                let id = wrong(number(&value), &value, "invalid id value")?;
                return get(ctx, world, id);
            }
            "proto" | "protocol" => {
                let value = words.value()?;
                let id = world.names.protocol_id(&value).and_then(|id| u8::try_from(id).ok());
                protocol = Some(wrong(id, &value, "invalid protocol value")?);
            }
            other => return Err(Stop::wrong(&printable(other), "")),
        }
    }
    world.link(0);
    let dump = world.dump(&request)?;
    print_all(
        ctx,
        world,
        dump.messages().filter(|message| {
            Nexthop::read(message.payload).is_some_and(|hop| protocol.is_none_or(|id| id == hop.protocol))
        }),
    )
}

pub(crate) fn one(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    match words.next().as_deref() {
        Some("id") => {
            let value = words.value()?;
            let id = wrong(number(&value), &value, "invalid id value")?;
            get(ctx, world, id)
        }
        _ => Err(crate::help::page(ctx, "ip")),
    }
}

fn ask(id: u32) -> Request {
    Request::new(kind::GET_NEXTHOP, 0, &Nexthop::default().bytes()).u32(ID, id)
}

fn get(ctx: &mut Ctx, world: &mut World, id: u32) -> Res<Exit> {
    let answer = world.route()?.exchange(&ask(id)).map_err(Stop::talk)?;
    print_all(ctx, world, answer.messages())
}

fn print_all<'m>(ctx: &mut Ctx, world: &mut World, messages: impl Iterator<Item = Message<'m>>) -> Res<Exit> {
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for message in messages.filter(|message| message.kind == kind::NEW_NEXTHOP) {
        out.object("");
        print(&mut out, world, &message);
        out.newline();
        out.end();
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

/// Prints one nexthop without the end of the line.
pub(crate) fn print(out: &mut Out<'_>, world: &mut World, message: &Message<'_>) {
    let Some(hop) = Nexthop::read(message.payload) else { return };
    let attrs = message.attrs(Nexthop::LENGTH);
    let details = world.options.details;
    if message.kind == kind::DEL_NEXTHOP {
        out.put("deleted", true, format_args!("Deleted "));
    }
    if let Some(id) = attrs.find(ID).and_then(|attr| attr.u32()) {
        out.put("id", id, format_args!("id {id} "));
    }
    if let Some(group) = attrs.find(GROUP) {
        put_group(out, &group);
    }
    if attrs.find(GROUP_TYPE).and_then(|attr| attr.u16()).unwrap_or(0) == 1 {
        out.put("type", "resilient", format_args!("type resilient "));
    }
    if let Some(group) = attrs.find(RES_GROUP) {
        put_resilient(out, &group.nested());
    }
    if let (Some(_), Some(_)) = (attrs.find(ENCAP), attrs.find(ENCAP_TYPE)) {
        put_encap(out, world, &attrs);
    }
    let colour = Colour::of_family(hop.family);
    if let Some(ip) = attrs.find(GATEWAY).and_then(|attr| attr.ip()) {
        out.words(format_args!("via "));
        out.tint(colour, "gateway", &ip_text(ip), "", " ");
    }
    if let Some(index) = attrs.find(OIF).and_then(|attr| attr.i32()) {
        let name = world.link_name(index);
        out.words(format_args!("dev "));
        out.tint(Some(Colour::Interface), "dev", &name, "", " ");
    }
    if hop.scope != 0 || details {
        let name = world.names.scope(u32::from(hop.scope));
        out.put("scope", name.as_str(), format_args!("scope {name} "));
    }
    if attrs.find(BLACKHOLE).is_some() {
        out.mark("blackhole", "blackhole ");
    }
    if hop.protocol != 0 || details {
        let name = world.names.protocol(u32::from(hop.protocol));
        out.put("protocol", name.as_str(), format_args!("proto {name} "));
    }
    put_flags(out, hop.flags);
    if attrs.find(FDB).is_some() {
        out.mark("fdb", "fdb");
    }
}

/// NHA_RES_GROUP_*: times are in hundredths of a second.
fn put_resilient(out: &mut Out<'_>, group: &netkit_nl::Attrs<'_>) {
    out.object("resilient_args");
    if let Some(buckets) = group.find(1).and_then(|attr| attr.u16()) {
        out.put("buckets", buckets, format_args!("buckets {buckets} "));
    }
    for (kind, key) in [(2, "idle_timer"), (3, "unbalanced_timer"), (4, "unbalanced_time")] {
        let Some(attr) = group.find(kind) else { continue };
        let ticks = raw::array::<8>(attr.value, 0).map(u64::from_ne_bytes).or_else(|| attr.u32().map(u64::from));
        let (whole, rest) = ticks.map_or((0, 0), |ticks| (ticks / 100, ticks % 100));
        let text = format!("{whole}.{rest:02}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let value = match rest {
            0 => Value::from(whole),
            _ => Value::from(text.parse::<f64>().unwrap_or(0.0)),
        };
        out.put(key, value, format_args!("{key} {text} "));
    }
    out.end();
}

/// The encapsulation has the same shape as that of a route, under other numbers.
fn put_encap(out: &mut Out<'_>, world: &mut World, attrs: &netkit_nl::Attrs<'_>) {
    let mut copy = Request::new(0, 0, &[]);
    for (from, to) in [(ENCAP_TYPE, crate::route_print::rta::ENCAP_TYPE), (ENCAP, crate::route_print::rta::ENCAP)] {
        if let Some(attr) = attrs.find(from) {
            copy.put(to, attr.value);
        }
    }
    let bytes = copy.finish(0);
    if let Some(message) = netkit_nl::Messages::new(&bytes).next() {
        crate::route_print::put_encap(out, world, &message.attrs(0));
    }
}

/// struct nexthop_grp, eight octets each: id, weight less one, its upper octet.
fn put_group(out: &mut Out<'_>, group: &Attr<'_>) {
    let members = group.value.chunks_exact(8).map(|entry| {
        let low = raw::u8(entry, 4).unwrap_or(0);
        let high = raw::u8(entry, 5).unwrap_or(0);
        (raw::u32(entry, 0).unwrap_or(0), u32::from(u16::from_le_bytes([low, high])) + 1)
    });
    out.array("group");
    out.words(format_args!("group "));
    for (at, (id, weight)) in members.enumerate() {
        out.object("");
        out.put("id", id, format_args!("{}{id}", if at > 0 { "/" } else { "" }));
        if weight > 1 {
            out.put("weight", weight, format_args!(",{weight}"));
        }
        out.end();
    }
    out.words(format_args!(" "));
    out.end();
}

/// The nexthop behind a route's id, under `-d`.
pub(crate) fn put_info(out: &mut Out<'_>, world: &mut World, id: u32) {
    let Ok(answer) = world.route().and_then(|socket| Ok(socket.exchange(&ask(id))?)) else { return };
    for message in answer.messages().filter(|message| message.kind == kind::NEW_NEXTHOP) {
        // Also under `-o` this is a line of its own.
        out.words(format_args!("\n\tnh_info "));
        out.object("nh_info");
        print(out, world, &message);
        out.end();
    }
}
