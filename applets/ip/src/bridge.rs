//! `bridge`: forwarding entries, ports and VLANs, as iproute2's program of that name shows them.

use std::io::Write as _;

use netkit_core::text::printable;
use netkit_core::{Ctx, Exit};
use netkit_nl::route::{Link, Neighbour, family, kind};
use netkit_nl::{Attrs, Message, Request, flags, raw};

use crate::bridge_port::STATES;
use crate::link::{attr, put_flags, put_name};
use crate::link_kind::{Form, Row, switch, table};
use crate::neigh::{NTF_EXT_LEARNED, NTF_OFFLOADED, nda};
use crate::options::{self, Options, Timestamp};
use crate::out::{Colour, Out};
use crate::stop::{FAILED, Res, Stop, USAGE};
use crate::words::{Words, ip_text, matches};
use crate::world::World;
use crate::{PEER_VERSION, help};

/// `bridge` as a program.
pub(crate) fn main(ctx: &mut Ctx) -> Res<Exit> {
    let mut words = Words::new(ctx.args_lossy());
    let mut options = Options::default();
    let mut colour = None;
    while let Some(word) = words.peek().map(str::to_owned).filter(|word| word.starts_with('-')) {
        words.next();
        if word == "--" {
            break;
        }
        let opt = word.strip_prefix('-').filter(|rest| rest.starts_with('-')).unwrap_or(&word);
        match opt {
            "-explain" => ctx.explain = true,
            "-4" => options.family = 2,
            "-6" => options.family = 10,
            _ if matches(opt, "-help") => return Err(help::page(ctx, "bridge")),
            _ if matches(opt, "-Version") => {
                writeln!(ctx.stdout, "bridge utility, {PEER_VERSION}, netkit {}", ctx.build.version)?;
                return Ok(Exit::OK);
            }
            _ if matches(opt, "-stats") || matches(opt, "-statistics") => options.stats += 1,
            _ if matches(opt, "-details") => options.details = true,
            _ if matches(opt, "-oneline") => options.style.oneline = true,
            _ if matches(opt, "-timestamp") => options.timestamp = Timestamp::Long,
            _ if matches(opt, "-family") => {
                let name = words.value()?;
                options.family = options::family_id(&name)
                    .ok_or_else(|| Stop::wrong(&printable(&name), "invalid protocol family\n"))?;
            }
            _ if matches(opt, "-netns") => options.netns = Some(words.value()?),
            _ if options::matches_colour(opt) => {
                colour = Some(opt.split_once('=').map_or("always", |(_, how)| how).to_owned());
            }
            _ if matches(opt, "-compressvlans") => options.compress_vlans = true,
            _ if matches(opt, "-force") => {
                return Err(options::refused(&word, "it is for `-batch`, which is not offered"));
            }
            _ if matches(opt, "-json") => options.style.json = true,
            _ if matches(opt, "-pretty") => options.style.pretty = true,
            _ if matches(opt, "-batch") => return Err(options::refused(&word, "call bridge once for each line")),
            _ => {
                let shown = printable(opt);
                return Err(Stop::peer(USAGE, format!("Option \"{shown}\" is unknown, try \"bridge help\".")));
            }
        }
    }
    options::finish_style(ctx, &mut options, colour.as_deref())?;
    let Some(object) = words.next() else { return Err(help::page(ctx, "bridge")) };
    let mut world = World::new(options);
    crate::objects::run_bridge(ctx, &mut world, &object, &mut words)
}

/// The ifindex of a device, or the refusal of this program.
fn device(world: &mut World, name: &str) -> Res<i32> {
    let shown = printable(name);
    world.link_index(name).ok_or_else(|| Stop::peer(USAGE, format!("Cannot find device \"{shown}\"")))
}

/// What `bridge fdb show` leaves in.
#[derive(Clone, Debug, Default)]
struct FdbFilter {
    device: i32,
    bridge: Option<i32>,
    port: Option<i32>,
    vlan: Option<u16>,
    states: u16,
    /// What is not permanent.
    dynamic: bool,
}

impl FdbFilter {
    fn parse(world: &mut World, words: &mut Words) -> Res<FdbFilter> {
        let mut filter = FdbFilter::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "brport" => {
                    filter.device = device(world, &words.value()?)?;
                    filter.port = Some(filter.device);
                }
                "br" => {
                    let name = words.value()?;
                    let index = world.link_index(&name);
                    let refusal = || Stop::peer(USAGE, format!("Cannot find bridge device \"{}\"", printable(&name)));
                    filter.bridge = Some(index.ok_or_else(refusal)?);
                }
                "dev" => filter.device = device(world, &words.value()?)?,
                "vlan" => {
                    let value = words.value()?;
                    let id = value.parse().ok();
                    filter.vlan = Some(id.ok_or_else(|| Stop::wrong(&printable(&value), "invalid VLAN ID"))?);
                }
                "state" => {
                    let value = words.value()?;
                    filter.states |= match value.as_str() {
                        "permanent" => 0x80,
                        "static" | "temp" => 0x40,
                        "stale" => 0x04,
                        "reachable" => 0x02,
                        "all" => u16::MAX,
                        other => return Err(Stop::wrong(&printable(other), "invalid state")),
                    };
                }
                "dynamic" => filter.dynamic = true,
                other => {
                    let shown = printable(other);
                    return Err(Stop::peer(FAILED, format!("Unknown parameter \"{shown}\" of `bridge fdb show`")));
                }
            }
        }
        Ok(filter)
    }

    fn passes(&self, entry: &Neighbour, attrs: &Attrs<'_>) -> bool {
        let vlan = attrs.find(nda::VLAN).and_then(|attr| attr.u16());
        (self.device == 0 || self.device == entry.index)
            && self.vlan.is_none_or(|wanted| vlan == Some(wanted))
            && (self.states == 0 || self.states & entry.state != 0)
            && (!self.dynamic || entry.state & 0x80 == 0)
    }
}

pub(crate) fn fdb(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let filter = FdbFilter::parse(world, words)?;
    let header = Neighbour { family: family::BRIDGE, ..Neighbour::default() };
    let mut request = Request::new(kind::GET_NEIGH, flags::DUMP, &header.bytes());
    if let Some(bridge) = filter.bridge {
        request.put(nda::MASTER, &bridge.to_ne_bytes());
    }
    if let Some(port) = filter.port {
        request.put(nda::IFINDEX, &port.to_ne_bytes());
    }
    world.link(0);
    let dump = world.dump(&request)?;
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for message in dump.messages().filter(|message| message.kind == kind::NEW_NEIGH) {
        let Some(entry) = Neighbour::read(message.payload) else { continue };
        let attrs = message.attrs(Neighbour::LENGTH);
        if entry.family == family::BRIDGE && filter.passes(&entry, &attrs) {
            out.object("");
            put_entry(&mut out, world, &entry, &attrs, &filter);
            out.newline();
            out.end();
        }
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

fn put_entry(out: &mut Out<'_>, world: &mut World, entry: &Neighbour, attrs: &Attrs<'_>, filter: &FdbFilter) {
    let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.u32());
    if let Some(address) = attrs.find(nda::LLADDR) {
        let arp = world.link(entry.index).map_or(1, |known| known.arp);
        out.tint(Some(Colour::Mac), "mac", &crate::names::hardware_address(address.value, arp), "", " ");
    }
    if filter.device == 0 && entry.index != 0 {
        let name = world.link_name(entry.index);
        out.words(format_args!("dev "));
        out.tint(Some(Colour::Interface), "ifname", &name, "", " ");
    }
    if let Some(ip) = attrs.find(nda::DST).and_then(|attr| attr.ip()) {
        let of = if ip.is_ipv4() { Colour::Inet } else { Colour::Inet6 };
        out.words(format_args!("dst "));
        out.tint(Some(of), "dst", &ip_text(ip), "", " ");
    }
    if let Some(vlan) = attrs.find(nda::VLAN).and_then(|attr| attr.u16()) {
        out.put("vlan", vlan, format_args!("vlan {vlan} "));
    }
    if let Some(port) = attrs.find(nda::PORT).and_then(|attr| attr.be16()) {
        out.put("port", port, format_args!("port {port} "));
    }
    for (kind, key) in [(nda::VNI, "vni"), (nda::SRC_VNI, "src_vni")] {
        if let Some(id) = number(kind) {
            out.put(key, id, format_args!("{key} {id} "));
        }
    }
    if let Some(index) = attrs.find(nda::IFINDEX).and_then(|attr| attr.i32()) {
        let name = world.link_name(index);
        out.put("viaIf", name.as_str(), format_args!("via {name} "));
    }
    if let Some(id) = number(nda::NH_ID) {
        out.put("nhid", id, format_args!("nhid {id} "));
    }
    if let Some(id) = attrs.find(nda::LINK_NETNSID).and_then(|attr| attr.i32()) {
        out.put("linkNetNsId", id, format_args!("link-netnsid {id} "));
    }
    if world.options.stats > 0
        && let Some(info) = attrs.find(nda::CACHEINFO)
    {
        let word = |index: usize| raw::u32(info.value, index * 4).unwrap_or(0) / 100;
        out.put("used", word(1), format_args!("used {}", word(1)));
        out.put("updated", word(2), format_args!("/{} ", word(2)));
    }
    let extended = number(nda::FLAGS_EXT).unwrap_or(0);
    let names: Vec<&str> = [
        (entry.flags & 0x02 != 0, "self"),
        (entry.flags & 0x80 != 0, "router"),
        (entry.flags & NTF_EXT_LEARNED != 0, "extern_learn"),
        (entry.flags & NTF_OFFLOADED != 0, "offload"),
        (entry.flags & 0x04 != 0, "master"),
        (entry.flags & 0x40 != 0, "sticky"),
        (extended & 0x2 != 0, "locked"),
    ]
    .into_iter()
    .filter_map(|(set, name)| set.then_some(name))
    .collect();
    for name in &names {
        out.words(format_args!("{name} "));
    }
    out.member("flags", names);
    if let Some(master) = attrs.find(nda::MASTER).and_then(|attr| attr.i32()) {
        let name = world.link_name(master);
        out.put("master", name.as_str(), format_args!("master {name} "));
    }
    let state = match entry.state {
        state if state & 0x80 != 0 => "permanent".to_owned(),
        state if state & 0x40 != 0 => "static".to_owned(),
        state if state & 0x04 != 0 => "stale".to_owned(),
        state if state & 0x02 != 0 => String::new(),
        state => format!("state={state:#x}"),
    };
    out.put("state", state.as_str(), format_args!("{state}"));
}

pub(crate) fn ports(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let (mut port, mut master) = (0, 0);
    while let Some(word) = words.next() {
        match word.as_str() {
            "dev" => port = device(world, &words.value()?)?,
            "master" => master = device(world, &words.value()?)?,
            _ => port = device(world, &word)?,
        }
    }
    let header = Link { family: family::BRIDGE, ..Link::default() };
    let request = Request::new(kind::GET_LINK, flags::DUMP, &header.bytes()).u32(attr::EXT_MASK, 0);
    world.link(0);
    let dump = world.dump(&request)?;
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for message in dump.messages().filter(|message| message.kind == kind::NEW_LINK) {
        let Some(found) = Link::read(message.payload) else { continue };
        let attrs = message.attrs(Link::LENGTH);
        let above = attrs.find(attr::MASTER).and_then(|attr| attr.i32()).unwrap_or(0);
        if (port != 0 && port != found.index) || (master != 0 && master != above) {
            continue;
        }
        out.object("");
        put_port(&mut out, world, &found, &attrs);
        out.newline();
        out.end();
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

fn put_port(out: &mut Out<'_>, world: &mut World, found: &Link, attrs: &Attrs<'_>) {
    out.put("ifindex", found.index, format_args!("{}: ", found.index));
    let (shown, lower_down) = put_name(out, world, attrs, found.index);
    out.paint(Some(Colour::Interface), &format!("{shown}: "));
    put_flags(out, found.flags, lower_down);
    if let Some(mtu) = attrs.find(attr::MTU).and_then(|attr| attr.u32()) {
        out.put("mtu", mtu, format_args!("mtu {mtu} "));
    }
    if let Some(master) = attrs.find(attr::MASTER).and_then(|attr| attr.i32()) {
        let name = world.link_name(master);
        out.put("master", name.as_str(), format_args!("master {name} "));
    }
    let Some(port) = attrs.find(attr::PROTINFO).map(|attr| attr.nested()) else { return };
    if let Some(state) = port.find(1).and_then(|attr| attr.u8()) {
        match STATES.get(usize::from(state)) {
            Some(name) => out.put("state", *name, format_args!("state {name} ")),
            None => out.put("state", state, format_args!("state ({state}) ")),
        }
    }
    use Form::{Number, Switch};
    table(out, &port, &[(2, "priority", "priority", Number), (3, "cost", "cost", Number)]);
    if !world.options.details {
        return;
    }
    const DETAILS: &[Row] = &[
        (4, "hairpin", "hairpin", Switch),
        (5, "guard", "guard", Switch),
        (6, "root_block", "root_block", Switch),
        (7, "fastleave", "fastleave", Switch),
        (8, "learning", "learning", Switch),
        (9, "flood", "flood", Switch),
        (27, "mcast_flood", "mcast_flood", Switch),
        (30, "bcast_flood", "bcast_flood", Switch),
        (25, "mcast_router", "mcast_router", Number),
        (28, "mcast_to_unicast", "mcast_to_unicast", Switch),
        (32, "neigh_suppress", "neigh_suppress", Switch),
        (29, "vlan_tunnel", "vlan_tunnel", Switch),
    ];
    out.line();
    out.words(format_args!("    "));
    table(out, &port, DETAILS);
    if let Some(backup) = port.find(34).and_then(|attr| attr.i32()) {
        let name = world.link_name(backup);
        out.put("backup_port", name.as_str(), format_args!("backup_port {name} "));
    }
    for (kind, key) in [(33, "isolated"), (39, "locked")] {
        if let Some(on) = port.find(kind).and_then(|attr| attr.u8()) {
            switch(out, key, key, on != 0);
        }
    }
}

/// BRIDGE_VLAN_INFO_* (linux/if_bridge.h).
const PVID: u16 = 0x2;
const UNTAGGED: u16 = 0x4;
const RANGE_BEGIN: u16 = 0x8;
const RANGE_END: u16 = 0x10;

pub(crate) fn vlans(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let (mut port, mut wanted) = (0, None);
    while let Some(word) = words.next() {
        let value = words.value()?;
        match word.as_str() {
            "dev" => port = device(world, &value)?,
            "vid" => {
                let id = value.parse::<u16>().ok();
                wanted = Some(id.ok_or_else(|| Stop::wrong(&printable(&value), "invalid VLAN ID"))?);
            }
            other => return Err(Stop::wrong(&printable(other), "neither \"dev\" nor \"vid\"")),
        }
    }
    if world.options.stats > 0 {
        return Err(options::refused("-s", "counters of VLANs are not shown; `ip -s link` has those of ports"));
    }
    // RTEXT_FILTER_BRVLAN, RTEXT_FILTER_BRVLAN_COMPRESSED
    let mask = if world.options.compress_vlans { 4u32 } else { 2 };
    let header = Link { family: family::BRIDGE, ..Link::default() };
    let request = Request::new(kind::GET_LINK, flags::DUMP, &header.bytes()).u32(attr::EXT_MASK, mask);
    world.link(0);
    let dump = world.dump(&request)?;
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    out.words(format_args!("{:<16}  {:<9}\n", "port", "vlan-id"));
    for message in dump.messages().filter(|message| message.kind == kind::NEW_LINK) {
        put_vlans(&mut out, world, &message, port, wanted);
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

fn put_vlans(out: &mut Out<'_>, world: &mut World, message: &Message<'_>, device: i32, wanted: Option<u16>) {
    let Some(found) = Link::read(message.payload) else { return };
    let Some(spec) = message.attrs(Link::LENGTH).find(attr::AF_SPEC) else { return };
    if device != 0 && device != found.index {
        return;
    }
    // IFLA_BRIDGE_VLAN_INFO: flags and id, two octets each.
    let entries: Vec<(u16, u16)> = spec
        .nested()
        .filter(|entry| entry.kind == 2)
        .filter_map(|entry| Some((entry.u16()?, raw::u16(entry.value, 2)?)))
        .collect();
    let name = world.link_name(found.index);
    let mut begin = None;
    let mut first = true;
    for (set, id) in entries {
        if set & RANGE_BEGIN != 0 {
            begin = Some(id);
            continue;
        }
        let from = begin.take().filter(|_| set & RANGE_END != 0).unwrap_or(id);
        if wanted.is_some_and(|wanted| wanted < from || wanted > id) {
            continue;
        }
        if first {
            out.object("");
            out.member("ifname", name.as_str());
            out.array("vlans");
        }
        out.paint(Some(Colour::Interface), &format!("{:<16}  ", if first { name.as_str() } else { "" }));
        first = false;
        out.object("");
        out.put("vlan", from, format_args!("{from}"));
        if from != id {
            out.put("vlanEnd", id, format_args!("-{id}"));
        }
        let names: Vec<&str> = [(PVID, "PVID"), (UNTAGGED, "Egress Untagged")]
            .into_iter()
            .filter_map(|(bit, name)| (set & bit != 0).then_some(name))
            .collect();
        for name in &names {
            out.words(format_args!(" {name}"));
        }
        if !names.is_empty() {
            out.member("flags", names);
        }
        out.end();
        out.newline();
    }
    if !first {
        out.end();
        out.end();
    }
}
