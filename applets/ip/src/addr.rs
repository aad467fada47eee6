//! `ip address`, and the listing of links that `ip link` shares with it.

use std::collections::BTreeMap;

use netkit_core::text::printable;
use netkit_core::{Ctx, Exit};
use netkit_nl::route::{Addr, Link, kind};
use netkit_nl::{Attrs, Dump, Message, Request, flags};

use crate::link::{self, attr};
use crate::options::family_name;
use crate::out::{Colour, Out};
use crate::stop::{FAILED, Res, Stop};
use crate::words::{Prefix, Words, ip_text, matches};
use crate::world::World;

/// Attributes of an address (IFA_* in linux/if_addr.h).
mod ifa {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const LOCAL: u16 = 2;
    pub(super) const LABEL: u16 = 3;
    pub(super) const BROADCAST: u16 = 4;
    pub(super) const ANYCAST: u16 = 5;
    pub(super) const CACHEINFO: u16 = 6;
    pub(super) const FLAGS: u16 = 8;
    pub(super) const RT_PRIORITY: u16 = 9;
}

const SECONDARY: u32 = 0x01;
const DEPRECATED: u32 = 0x20;
const PERMANENT: u32 = 0x80;
/// Stands for a link that belongs to none.
const NO_MASTER: i32 = -1;
/// IFA_F_* in the order in which they are named.
const FLAGS: &[(u32, &str)] = &[
    (SECONDARY, "secondary"),
    (0x02, "nodad"),
    (0x04, "optimistic"),
    (0x08, "dadfailed"),
    (0x10, "home"),
    (DEPRECATED, "deprecated"),
    (0x40, "tentative"),
    (PERMANENT, "permanent"),
    (0x100, "mngtmpaddr"),
    (0x200, "noprefixroute"),
    (0x400, "autojoin"),
    (0x800, "stable-privacy"),
];

/// Which of the two commands lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Link,
    Address,
}

/// What the words after `show` leave in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) family: u8,
    index: i32,
    up: bool,
    scope: Option<u8>,
    flags: u32,
    flag_mask: u32,
    prefix: Option<Prefix>,
    label: Option<String>,
    /// Names of links, which stand for labels where an address has none.
    link_names: Vec<(u32, String)>,
    group: Option<u32>,
    master: Option<i32>,
    kind: Option<String>,
    slave_kind: Option<String>,
}

impl Filter {
    /// One that leaves everything in.
    pub(crate) fn all(family: u8) -> Filter {
        Filter { family, ..Filter::default() }
    }

    fn parse(world: &mut World, words: &mut Words) -> Res<Filter> {
        let mut filter = Filter::all(world.options.family);
        let mut device: Option<String> = None;
        while let Some(word) = words.next() {
            match word.as_str() {
                "to" => {
                    let prefix = Prefix::parse(&words.value()?, filter.family)?;
                    filter.family = if filter.family == 0 { prefix.family } else { filter.family };
                    filter.prefix = Some(prefix);
                }
                "scope" => {
                    let value = words.value()?;
                    filter.scope = match value.as_str() {
                        "all" => None,
                        other => Some(
                            world
                                .names
                                .scope_id(other)
                                .and_then(|id| u8::try_from(id).ok())
                                .ok_or_else(|| Stop::wrong(&printable(other), "invalid \"scope\"\n"))?,
                        ),
                    };
                }
                "up" => filter.up = true,
                "label" => filter.label = Some(words.value()?),
                "group" => {
                    let value = words.value()?;
                    let group = world.names.group_id(&value);
                    filter.group =
                        Some(group.ok_or_else(|| Stop::wrong(&printable(&value), "Invalid \"group\" value\n"))?);
                }
                "master" | "vrf" => {
                    let value = words.value()?;
                    let index = world.link_index(&value);
                    let why = if word == "vrf" { "Not a valid VRF name\n" } else { "Device does not exist\n" };
                    let index = index.ok_or_else(|| Stop::wrong(&printable(&value), why))?;
                    if word == "vrf" && crate::route::vrf_table(world, &value)?.is_none() {
                        return Err(Stop::wrong(&printable(&value), why));
                    }
                    filter.master = Some(index);
                }
                "nomaster" => filter.master = Some(NO_MASTER),
                "type" => {
                    let value = words.value()?;
                    match value.strip_suffix("_slave") {
                        Some(kind) => filter.slave_kind = Some(kind.to_owned()),
                        None => filter.kind = Some(value),
                    }
                }
                other if filter.take_flag(other) => {}
                other => {
                    let name = if other == "dev" { words.value()? } else { word.clone() };
                    if matches(&name, "help") {
                        return Err(Stop::wrong(&printable(&name), "see \"ip help\""));
                    }
                    if device.is_some() {
                        let shown = printable(&name);
                        let text = format!("Error: either \"dev\" is duplicate, or \"{shown}\" is a garbage.");
                        return Err(Stop::peer(255, text));
                    }
                    device = Some(name);
                }
            }
        }
        if let Some(name) = device {
            filter.index = world.device(&name)?;
        }
        Ok(filter)
    }

    /// A flag of addresses by name, to be set or, with `-` or `!` before it, not.
    fn take_flag(&mut self, word: &str) -> bool {
        let (name, wanted) = match word.strip_prefix('-').or_else(|| word.strip_prefix('!')) {
            Some(name) => (name, false),
            None => (word, true),
        };
        // The opposites have names of their own.
        let (mask, wanted) = match name {
            "dynamic" => (PERMANENT, !wanted),
            "primary" => (SECONDARY, !wanted),
            // The same bit under the name that IPv6 gives it (linux/if_addr.h).
            "temporary" => (SECONDARY, wanted),
            _ => match FLAGS.iter().find(|(_, known)| *known == name) {
                Some((mask, _)) => (*mask, wanted),
                None => return false,
            },
        };
        self.flag_mask |= mask;
        if wanted {
            self.flags |= mask;
        } else {
            self.flags &= !mask;
        }
        true
    }

    pub(crate) fn passes_link(&self, link: &Link, attrs: &Attrs<'_>) -> bool {
        let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.u32());
        let info = attrs.find(attr::LINKINFO).map(|attr| attr.nested());
        let name = |kind: u16| info.and_then(|info| info.find(kind)).map(|attr| attr.text());
        (self.index == 0 || self.index == link.index)
            && (!self.up || link.flags & link::UP != 0)
            && self.group.is_none_or(|group| number(attr::GROUP) == Some(group))
            && self.master.is_none_or(|master| match master {
                NO_MASTER => number(attr::MASTER).is_none_or(|found| found == 0),
                master => number(attr::MASTER) == u32::try_from(master).ok(),
            })
            && self.kind.as_ref().is_none_or(|kind| name(1).as_ref() == Some(kind))
            && self.slave_kind.as_ref().is_none_or(|kind| name(4).as_ref() == Some(kind))
    }

    /// What the kernel leaves out of a dump when it is asked to.
    fn passes_kernel(&self, attrs: &Attrs<'_>) -> bool {
        let filter = Filter { master: self.master, kind: self.kind.clone(), ..Filter::default() };
        filter.passes_link(&Link::default(), attrs)
    }

    /// Whether the kernel is asked for every link, in the view that says all.
    fn is_whole(&self, family: u8) -> bool {
        self.index == 0 && self.master.is_none() && self.kind.is_none() && matches!(family, 0 | 2 | 17)
    }

    fn names_of(&self, index: u32) -> String {
        self.link_names.iter().find(|(known, _)| *known == index).map(|(_, name)| name.clone()).unwrap_or_default()
    }

    fn passes_address(&self, addr: &Addr, attrs: &Attrs<'_>) -> bool {
        let set = address_flags(addr, attrs);
        let local = attrs.find(ifa::LOCAL).or_else(|| attrs.find(ifa::ADDRESS)).and_then(|attr| attr.ip());
        (self.index == 0 || i32::try_from(addr.index) == Ok(self.index))
            && (self.family == 0 || self.family == addr.family)
            && self.scope.is_none_or(|scope| scope == addr.scope)
            && (self.flags ^ set) & self.flag_mask == 0
            && self.label.as_ref().is_none_or(|pattern| {
                let label = attrs.find(ifa::LABEL).map_or_else(|| self.names_of(addr.index), |label| label.text());
                glob(pattern.as_bytes(), label.as_bytes())
            })
            && self.prefix.is_none_or(|prefix| local.is_some_and(|local| prefix.covers(local, prefix.bits)))
    }
}

/// fnmatch(3) with `*` and `?`; the work is bounded by the product of the lengths.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

pub(crate) fn show(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    list(ctx, world, words, View::Address)
}

/// Lists links, with their addresses when these are asked for.
pub(crate) fn list(ctx: &mut Ctx, world: &mut World, words: &mut Words, view: View) -> Res<Exit> {
    let mut filter = Filter::parse(world, words)?;
    if view == View::Link {
        // `ip -4 link` and `ip -6 link` show what `ip link` does.
        world.options.family = 17;
        filter.family = 17;
    }
    if filter.label.is_some() {
        filter.link_names = world.link_names();
    }
    let links = links(world, &filter)?;
    // Names that the output refers to are known from here on; one link alone asks for those it refers to.
    if filter.is_whole(world.options.family) {
        world.learn_all(&links);
    } else if filter.index == 0 {
        world.link(0);
    }
    let with_addresses = view == View::Address && filter.family != 17;
    let addresses = if with_addresses { Some(addresses(world, &filter)?) } else { None };
    let by_link = addresses.as_ref().map(by_link).unwrap_or_default();
    let style = world.options.style;
    let brief = world.options.brief;
    // `-o` says the interface with each address instead of once before them.
    let device = with_addresses && style.oneline && !brief;
    let no_link = device || (with_addresses && filter.label.is_some());
    let mut out = Out::new(&mut *ctx.stdout, style);
    out.array("");
    for message in links.messages().filter(|message| message.kind == kind::NEW_LINK) {
        let Some(found) = Link::read(message.payload) else { continue };
        let own = by_link.get(&found.index).map(Vec::as_slice).unwrap_or_default();
        if with_addresses && !has_wanted(own, &filter) {
            continue;
        }
        out.object("");
        let shown = if brief {
            link::print_brief(&mut out, world, &message, &filter, !with_addresses)
        } else if no_link {
            // What the link is like was asked of the kernel, and only to choose links to show.
            filter.passes_kernel(&message.attrs(Link::LENGTH))
        } else {
            link::print(&mut out, world, &message, &filter, view == View::Link, true)
        };
        if !shown {
            // The peer leaves an empty object where a filter leaves a link or an address out.
            out.end();
            continue;
        }
        if with_addresses {
            out.array("addr_info");
            for message in own {
                if message.kind != kind::NEW_ADDR {
                    continue;
                }
                out.object("");
                if Addr::read(message.payload).is_some_and(|addr| belongs(&addr, message, &filter)) {
                    print(&mut out, world, message, device);
                }
                out.end();
            }
            out.end();
            if brief {
                out.newline();
            }
        }
        if view == View::Address && !brief && !no_link && world.options.stats > 0 {
            crate::link_stats::put(&mut out, world, &message.attrs(Link::LENGTH));
            out.newline();
        }
        out.end();
        out.flush()?;
    }
    out.end();
    out.flush()?;
    if links.outcome.interrupted || addresses.as_ref().is_some_and(|dump| dump.outcome.interrupted) {
        ctx.say("Dump was interrupted and may be inconsistent.");
    }
    Ok(Exit::OK)
}

fn belongs(addr: &Addr, message: &Message<'_>, filter: &Filter) -> bool {
    message.kind == kind::NEW_ADDR && filter.passes_address(addr, &message.attrs(Addr::LENGTH))
}

/// A link is listed when it has a wanted address, or none at all and nothing but the link is asked for.
fn has_wanted(own: &[Message<'_>], filter: &Filter) -> bool {
    let wanted =
        |message: &Message<'_>| Addr::read(message.payload).is_some_and(|addr| belongs(&addr, message, filter));
    own.iter().any(wanted) || (own.is_empty() && filter.family == 0 && filter.label.is_none())
}

/// The addresses of each link, in the kernel's order.
fn by_link(addresses: &Dump) -> BTreeMap<i32, Vec<Message<'_>>> {
    let mut map: BTreeMap<i32, Vec<Message<'_>>> = BTreeMap::new();
    for message in addresses.messages() {
        if let Some(index) = Addr::read(message.payload).and_then(|addr| i32::try_from(addr.index).ok()) {
            map.entry(index).or_default().push(message);
        }
    }
    map
}

/// The links to choose from: one, where one is named.
fn links(world: &mut World, filter: &Filter) -> Res<Dump> {
    // RTEXT_FILTER_SKIP_STATS where counters are not shown.
    let mask = if world.options.stats == 0 { 8u32 } else { 0 };
    if filter.index != 0 {
        let one = Link { family: world.options.family, index: filter.index, ..Link::default() };
        let request = Request::new(kind::GET_LINK, 0, &one.bytes()).u32(attr::EXT_MASK, mask);
        return world.route()?.exchange(&request).map_err(|error| match error.errno() {
            19 => Stop::peer(FAILED, format!("Device \"if{}\" does not exist.", filter.index)),
            _ => Stop::talk(error),
        });
    }
    let all = Link { family: world.options.family, ..Link::default() };
    let mut request = Request::new(kind::GET_LINK, flags::DUMP, &all.bytes());
    // What IPv6 says of links takes no attributes.
    if !matches!(all.family, 0 | 7 | 17) {
        return world.dump(&request);
    }
    request = request.u32(attr::EXT_MASK, mask);
    if let Some(master) = filter.master {
        request.put(attr::MASTER, &master.to_ne_bytes());
    }
    if let Some(kind) = &filter.kind {
        request = request.nest(attr::LINKINFO, |inner| inner.attr(1, kind.as_bytes()));
    }
    world.dump(&request)
}

fn addresses(world: &mut World, filter: &Filter) -> Res<Dump> {
    let index = u32::try_from(filter.index).unwrap_or(0);
    let header = Addr { family: filter.family, index, ..Addr::default() };
    world.dump(&Request::new(kind::GET_ADDR, flags::DUMP, &header.bytes()))
}

/// All 32 bits where the kernel gives them.
fn address_flags(addr: &Addr, attrs: &Attrs<'_>) -> u32 {
    attrs.find(ifa::FLAGS).and_then(|attr| attr.u32()).unwrap_or_else(|| u32::from(addr.flags))
}

/// Prints one address; `device` puts the interface first, as `-o` and `monitor` do.
pub(crate) fn print(out: &mut Out<'_>, world: &mut World, message: &Message<'_>, device: bool) {
    let Some(addr) = Addr::read(message.payload) else { return };
    let attrs = message.attrs(Addr::LENGTH);
    let brief = world.options.brief;
    if message.kind == kind::DEL_ADDR {
        out.put("deleted", true, format_args!("Deleted "));
    }
    if !brief {
        if device {
            let name = world.link_name(i32::try_from(addr.index).unwrap_or(0));
            out.member("index", addr.index);
            out.member("dev", name.as_str());
            out.words(format_args!("{}: {name}", addr.index));
        }
        let family = family_name(addr.family);
        out.put("family", family.as_str(), format_args!("    {family} "));
    }
    let local = attrs.find(ifa::LOCAL).or_else(|| attrs.find(ifa::ADDRESS));
    let peer = attrs.find(ifa::ADDRESS).or(local);
    let colour = Colour::of_family(addr.family);
    if let Some(local) = local {
        let text = local.ip().map(ip_text).unwrap_or_default();
        out.tint(colour, "local", &text, "", "");
        if let Some(peer) = peer.filter(|peer| peer.value != local.value) {
            let text = peer.ip().map(ip_text).unwrap_or_default();
            out.words(format_args!(" peer "));
            out.tint(colour, "address", &text, "", "");
        }
        out.put("prefixlen", addr.prefix, format_args!("/{} ", addr.prefix));
        if let Some(metric) = attrs.find(ifa::RT_PRIORITY).and_then(|attr| attr.u32()) {
            out.put("metric", metric, format_args!("metric {metric} "));
        }
    }
    if brief {
        return;
    }
    for (kind, key, word) in [(ifa::BROADCAST, "broadcast", "brd"), (ifa::ANYCAST, "anycast", "any")] {
        if let Some(ip) = attrs.find(kind).and_then(|attr| attr.ip()) {
            out.words(format_args!("{word} "));
            out.tint(colour, key, &ip_text(ip), "", " ");
        }
    }
    let scope = world.names.scope(u32::from(addr.scope));
    out.put("scope", scope.as_str(), format_args!("scope {scope} "));
    put_flags(out, &addr, address_flags(&addr, &attrs));
    if let Some(label) = attrs.find(ifa::LABEL).map(|attr| attr.text()) {
        out.put("label", label.as_str(), format_args!("{label}"));
    }
    if let Some(cache) = attrs.find(ifa::CACHEINFO) {
        put_lifetimes(out, &cache, address_flags(&addr, &attrs));
    }
    out.newline();
}

fn put_flags(out: &mut Out<'_>, addr: &Addr, set: u32) {
    let mut rest = set;
    for (mask, name) in FLAGS {
        let name = match *mask {
            PERMANENT => "dynamic",
            SECONDARY if addr.family == 10 => "temporary",
            _ => name,
        };
        // It is the lack of permanence that is worth a word.
        if (set & mask != 0) != (*mask == PERMANENT) {
            out.put(name, true, format_args!("{name} "));
        }
        rest &= !mask;
    }
    if rest != 0 {
        let text = format!("{rest:02x}");
        out.put("ifa_flags", text.as_str(), format_args!("flags {text} "));
    }
}

/// struct ifa_cacheinfo: preferred and valid seconds, all ones for ever.
fn put_lifetimes(out: &mut Out<'_>, cache: &netkit_nl::Attr<'_>, set: u32) {
    let (Some(preferred), Some(valid)) = (netkit_nl::raw::u32(cache.value, 0), netkit_nl::raw::u32(cache.value, 4))
    else {
        return;
    };
    out.line();
    let text = |seconds: u32, signed: bool| match seconds {
        u32::MAX => "forever".to_owned(),
        // What is past can be negative where the address is deprecated.
        seconds if signed => format!("{}sec", i32::from_ne_bytes(seconds.to_ne_bytes())),
        seconds => format!("{seconds}sec"),
    };
    out.put("valid_life_time", valid, format_args!("       valid_lft {}", text(valid, false)));
    let deprecated = set & DEPRECATED != 0;
    out.put("preferred_life_time", preferred, format_args!(" preferred_lft {}", text(preferred, deprecated)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("v*", "v0:x", true),
            ("v?", "v0", true),
            ("v?", "v0:x", false),
            ("*x", "v0:x", true),
            ("*:*", "v0", false),
            ("", "", true),
            ("***", "a", true),
            ("a", "", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
        let hostile = "*a".repeat(500);
        assert!(!glob(hostile.as_bytes(), "a".repeat(400).as_bytes()));
    }

    #[test]
    fn flags_of_addresses_by_name() {
        let mut filter = Filter::default();
        assert!(filter.take_flag("dynamic") && filter.take_flag("-tentative") && !filter.take_flag("eth0"));
        assert_eq!((filter.flags, filter.flag_mask), (0, PERMANENT | 0x40));
    }
}
