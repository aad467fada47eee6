//! `ip neigh`: who answers for an address on a link (NDA_*, NUD_* in linux/neighbour.h).

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_core::{Ctx, Exit};
use netkit_nl::route::{Neighbour, kind};
use netkit_nl::{Attrs, Message, Request, flags, raw};

use crate::names::hardware_address;
use crate::out::{Colour, Out};
use crate::stop::{FAILED, Res, Stop};
use crate::words::{Prefix, Words, ip_text, matches, number};
use crate::world::World;

/// Attributes of a neighbour.
pub(crate) mod nda {
    pub(crate) const DST: u16 = 1;
    pub(crate) const LLADDR: u16 = 2;
    pub(crate) const CACHEINFO: u16 = 3;
    pub(crate) const PROBES: u16 = 4;
    pub(crate) const VLAN: u16 = 5;
    pub(crate) const PORT: u16 = 6;
    pub(crate) const VNI: u16 = 7;
    pub(crate) const IFINDEX: u16 = 8;
    pub(crate) const MASTER: u16 = 9;
    pub(crate) const LINK_NETNSID: u16 = 10;
    pub(crate) const SRC_VNI: u16 = 11;
    pub(crate) const PROTOCOL: u16 = 12;
    pub(crate) const NH_ID: u16 = 13;
    pub(crate) const FLAGS_EXT: u16 = 15;
}

/// NUD_* in the order in which they are named.
pub(crate) const STATES: &[(u16, &str)] = &[
    (0x01, "INCOMPLETE"),
    (0x02, "REACHABLE"),
    (0x04, "STALE"),
    (0x08, "DELAY"),
    (0x10, "PROBE"),
    (0x20, "FAILED"),
    (0x40, "NOARP"),
    (0x80, "PERMANENT"),
];
const NOARP: u16 = 0x40;
/// Stands for NUD_NONE, which has no bit.
const NONE: u16 = 0x100;

pub(crate) const NTF_PROXY: u8 = 0x08;
pub(crate) const NTF_EXT_LEARNED: u8 = 0x10;
pub(crate) const NTF_OFFLOADED: u8 = 0x20;
const NTF_ROUTER: u8 = 0x80;

#[derive(Clone, Debug)]
pub(crate) struct Filter {
    family: u8,
    index: i32,
    state: u16,
    proxy: bool,
    unused: bool,
    prefix: Option<Prefix>,
    master: Option<i32>,
    protocol: Option<u8>,
}

impl Filter {
    /// One that leaves everything in, as `monitor` wants it.
    pub(crate) fn all(family: u8) -> Filter {
        Filter { family, index: 0, state: 0, proxy: false, unused: false, prefix: None, master: None, protocol: None }
    }

    fn parse(world: &mut World, words: &mut Words) -> Res<Filter> {
        let mut filter = Filter::all(world.options.family);
        let mut states: Option<u16> = None;
        while let Some(word) = words.next() {
            match word.as_str() {
                "dev" => {
                    let name = words.value()?;
                    filter.index = find_device(world, &name)?;
                }
                "master" | "vrf" => {
                    let name = words.value()?;
                    let why = if word == "vrf" { "Not a valid VRF name\n" } else { "Device does not exist\n" };
                    let index = world.link_index(&name).ok_or_else(|| Stop::wrong(&printable(&name), why))?;
                    filter.master = Some(index);
                }
                "nomaster" => filter.master = Some(0),
                "unused" => filter.unused = true,
                "nud" => {
                    let name = words.value()?;
                    let bits = match name.as_str() {
                        "all" => Some(u16::MAX),
                        "none" => Some(NONE),
                        other => STATES
                            .iter()
                            .find(|(_, state)| matches(other, &state.to_ascii_lowercase()))
                            .map(|(bit, _)| *bit)
                            .or_else(|| number(other).and_then(|bits| u16::try_from(bits).ok())),
                    };
                    let bits = bits.ok_or_else(|| Stop::wrong(&printable(&name), "nud state is bad"))?;
                    states = Some(states.unwrap_or(0) | bits);
                }
                "proxy" => filter.proxy = true,
                _ if matches(&word, "protocol") => {
                    let value = words.value()?;
                    let id = world.names.protocol_id(&value).and_then(|id| u8::try_from(id).ok());
                    filter.protocol =
                        Some(id.ok_or_else(|| Stop::wrong(&printable(&value), "\"protocol\" value is invalid\n"))?);
                }
                _ => {
                    let value = if word == "to" { words.value()? } else { word.clone() };
                    if matches(&value, "help") {
                        return Err(Stop::wrong("help", "see \"ip help\""));
                    }
                    let prefix = Prefix::parse(&value, filter.family)?;
                    if filter.family == 0 {
                        filter.family = prefix.family;
                    }
                    filter.prefix = Some(prefix);
                }
            }
        }
        filter.state = states.unwrap_or(0xff & !NOARP);
        Ok(filter)
    }

    fn passes(&self, neighbour: &Neighbour, attrs: &Attrs<'_>) -> bool {
        let exempt = neighbour.flags & (NTF_PROXY | NTF_EXT_LEARNED) != 0;
        let state = if neighbour.state == 0 { NONE } else { neighbour.state };
        let ip = attrs.find(nda::DST).and_then(|attr| attr.ip());
        (self.family == 0 || self.family == neighbour.family)
            && (self.index == 0 || self.index == neighbour.index)
            && (self.state == 0 || self.state & state != 0 || exempt)
            && self.prefix.is_none_or(|prefix| ip.is_some_and(|ip| prefix.covers(ip, prefix.bits)))
            && (!self.unused || attrs.find(nda::CACHEINFO).and_then(|info| raw::u32(info.value, 12)).unwrap_or(0) == 0)
            && self.protocol.is_none_or(|id| attrs.find(nda::PROTOCOL).and_then(|attr| attr.u8()) == Some(id))
    }
}

pub(crate) fn find_device(world: &mut World, name: &str) -> Res<i32> {
    let shown = printable(name);
    world.link_index(name).ok_or_else(|| Stop::peer(FAILED, format!("Cannot find device \"{shown}\"")))
}

pub(crate) fn show(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let filter = Filter::parse(world, words)?;
    let header =
        Neighbour { family: filter.family, flags: if filter.proxy { NTF_PROXY } else { 0 }, ..Neighbour::default() };
    let mut request = Request::new(kind::GET_NEIGH, flags::DUMP, &header.bytes());
    if filter.index != 0 {
        request.put(nda::IFINDEX, &filter.index.to_ne_bytes());
    }
    if let Some(master) = filter.master {
        request.put(nda::MASTER, &master.to_ne_bytes());
    }
    world.link(0);
    let dump = world.dump(&request)?;
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for message in dump.messages().filter(|message| message.kind == kind::NEW_NEIGH) {
        let Some(neighbour) = Neighbour::read(message.payload) else { continue };
        if neighbour.family != 7 && filter.passes(&neighbour, &message.attrs(Neighbour::LENGTH)) {
            out.object("");
            print(&mut out, world, &message, filter.index == 0);
            out.end();
        }
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

pub(crate) fn one(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    let mut header = Neighbour { family: world.options.family, ..Neighbour::default() };
    let mut address = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "dev" => header.index = find_device(world, &words.value()?)?,
            "proxy" => header.flags |= NTF_PROXY,
            _ => {
                let value = if word == "to" { words.value()? } else { word.clone() };
                let prefix = Prefix::parse_as(&value, header.family, "address")?;
                header.family = prefix.family;
                address = prefix.address;
            }
        }
    }
    let Some(address) = address.filter(|_| header.index != 0) else {
        return Err(Stop::peer(FAILED, "Device and address are required arguments."));
    };
    let bytes = match address {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let request = Request::new(kind::GET_NEIGH, 0, &header.bytes()).attr(nda::DST, &bytes);
    let answer = world.route()?.exchange(&request).map_err(Stop::talk)?;
    let style = world.options.style;
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for message in answer.messages() {
        out.object("");
        print(&mut out, world, &message, true);
        out.end();
    }
    out.end();
    out.flush()?;
    Ok(Exit::OK)
}

/// Prints one neighbour, with its device unless that is known.
pub(crate) fn print(out: &mut Out<'_>, world: &mut World, message: &Message<'_>, device: bool) {
    let Some(neighbour) = Neighbour::read(message.payload) else { return };
    let attrs = message.attrs(Neighbour::LENGTH);
    let brief = world.options.brief;
    if message.kind == kind::DEL_NEIGH {
        out.put("deleted", true, format_args!("Deleted "));
    } else if message.kind == kind::GET_NEIGH {
        out.mark("miss", "miss ");
    }
    if let Some(ip) = attrs.find(nda::DST).and_then(|attr| attr.ip()) {
        let text = if brief && !out.json() { format!("{:<39}", ip_text(ip)) } else { ip_text(ip) };
        out.tint(Colour::of_family(neighbour.family), "dst", &text, "", " ");
    }
    let arp = world.link(neighbour.index).map_or(1, |known| known.arp);
    if device && neighbour.index != 0 {
        let name = world.link_name(neighbour.index);
        if brief && !out.json() {
            out.paint(Some(Colour::Interface), &format!("{name:<16} "));
        } else {
            out.words(format_args!("dev "));
            out.tint(Some(Colour::Interface), "dev", &name, "", " ");
        }
    }
    if let Some(address) = attrs.find(nda::LLADDR).map(|attr| hardware_address(attr.value, arp)) {
        if brief && !out.json() {
            out.paint(Some(Colour::Mac), &address);
        } else {
            out.words(format_args!("lladdr "));
            out.tint(Some(Colour::Mac), "lladdr", &address, "", " ");
        }
    }
    if brief {
        out.newline();
        return;
    }
    let extended = attrs.find(nda::FLAGS_EXT).and_then(|attr| attr.u32()).unwrap_or(0);
    for (set, key) in [
        (neighbour.flags & NTF_ROUTER != 0, "router"),
        (neighbour.flags & NTF_PROXY != 0, "proxy"),
        (extended & 1 != 0, "managed"),
        (neighbour.flags & NTF_EXT_LEARNED != 0, "extern_learn"),
        (neighbour.flags & NTF_OFFLOADED != 0, "offload"),
    ] {
        if set {
            out.mark(key, &format!("{key} "));
        }
    }
    if world.options.stats > 0 {
        put_stats(out, &attrs);
    }
    if neighbour.state != 0 {
        let states: Vec<&str> =
            STATES.iter().filter(|(bit, _)| neighbour.state & bit != 0).map(|(_, name)| *name).collect();
        let text = states.join(",");
        out.put("state", Value::from(states), format_args!("{text} "));
    }
    if let Some(protocol) = attrs.find(nda::PROTOCOL).and_then(|attr| attr.u8()) {
        let name = world.names.protocol(u32::from(protocol));
        out.put("protocol", name.as_str(), format_args!("proto {name} "));
    }
    out.newline();
}

/// struct nda_cacheinfo, in hundredths of a second, and the count of probes.
fn put_stats(out: &mut Out<'_>, attrs: &Attrs<'_>) {
    if let Some(info) = attrs.find(nda::CACHEINFO) {
        let word = |index: usize| raw::u32(info.value, index * 4).unwrap_or(0);
        let (confirmed, used, updated, references) = (word(0) / 100, word(1) / 100, word(2) / 100, word(3));
        if references != 0 {
            out.put("refcnt", references, format_args!(" ref {references}"));
        }
        out.put("used", used, format_args!(" used {used}"));
        out.put("confirmed", confirmed, format_args!("/{confirmed}"));
        out.put("updated", updated, format_args!("/{updated}"));
    }
    if let Some(probes) = attrs.find(nda::PROBES).and_then(|attr| attr.u32()) {
        out.put("probes", probes, format_args!("probes {probes} "));
    }
}
