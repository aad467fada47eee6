//! `ip link`: one link as text or JSON.

use netkit_core::json::Value;
use netkit_core::{Ctx, Exit};
use netkit_nl::route::{Link, kind};
use netkit_nl::{Attrs, Message};

use crate::addr::{self, Filter, View};
use crate::link_kind;
use crate::link_stats;
use crate::names::{arp_type, hardware_address};
use crate::out::{Colour, Out};
use crate::stop::Res;
use crate::words::Words;
use crate::world::World;

/// Attributes of a link (IFLA_* in linux/if_link.h).
pub(crate) mod attr {
    pub(crate) const ADDRESS: u16 = 1;
    pub(crate) const BROADCAST: u16 = 2;
    pub(crate) const IFNAME: u16 = 3;
    pub(crate) const MTU: u16 = 4;
    pub(crate) const LINK: u16 = 5;
    pub(crate) const QDISC: u16 = 6;
    pub(crate) const MASTER: u16 = 10;
    pub(crate) const PROTINFO: u16 = 12;
    pub(crate) const TXQLEN: u16 = 13;
    pub(crate) const OPERSTATE: u16 = 16;
    pub(crate) const LINKMODE: u16 = 17;
    pub(crate) const LINKINFO: u16 = 18;
    pub(crate) const IFALIAS: u16 = 20;
    pub(crate) const AF_SPEC: u16 = 26;
    pub(crate) const GROUP: u16 = 27;
    pub(crate) const EXT_MASK: u16 = 29;
    pub(crate) const PROMISCUITY: u16 = 30;
    pub(crate) const PHYS_PORT_ID: u16 = 34;
    pub(crate) const PHYS_SWITCH_ID: u16 = 36;
    pub(crate) const LINK_NETNSID: u16 = 37;
    pub(crate) const PHYS_PORT_NAME: u16 = 38;
    pub(crate) const PROTO_DOWN: u16 = 39;
    pub(crate) const XDP: u16 = 43;
    pub(crate) const EVENT: u16 = 44;
    pub(crate) const NEW_NETNSID: u16 = 45;
    pub(crate) const NEW_IFINDEX: u16 = 49;
    pub(crate) const PROP_LIST: u16 = 52;
    pub(crate) const ALT_IFNAME: u16 = 53;
    pub(crate) const PERM_ADDRESS: u16 = 54;
    pub(crate) const PROTO_DOWN_REASON: u16 = 55;
    pub(crate) const PARENT_DEV_NAME: u16 = 56;
    pub(crate) const PARENT_DEV_BUS_NAME: u16 = 57;
    pub(crate) const ALLMULTI: u16 = 61;
}

/// IFF_* (linux/if.h) in the order in which they are named.
const FLAGS: &[(u32, &str)] = &[
    (0x8, "LOOPBACK"),
    (0x2, "BROADCAST"),
    (0x10, "POINTOPOINT"),
    (0x1000, "MULTICAST"),
    (0x80, "NOARP"),
    (0x200, "ALLMULTI"),
    (0x100, "PROMISC"),
    (0x400, "MASTER"),
    (0x800, "SLAVE"),
    (0x4, "DEBUG"),
    (0x8000, "DYNAMIC"),
    (0x4000, "AUTOMEDIA"),
    (0x2000, "PORTSEL"),
    (0x20, "NOTRAILERS"),
    (UP, "UP"),
    (0x10000, "LOWER_UP"),
    (0x20000, "DORMANT"),
    (0x40000, "ECHO"),
];
pub(crate) const UP: u32 = 0x1;
const RUNNING: u32 = 0x40;
const POINTOPOINT: u32 = 0x10;

const STATES: &[&str] = &["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"];

pub(crate) fn show(ctx: &mut Ctx, world: &mut World, words: &mut Words) -> Res<Exit> {
    addr::list(ctx, world, words, View::Link)
}

/// The names of flags, as they are printed between angle brackets.
pub(crate) fn flag_words(flags: u32, lower_down: bool) -> Vec<String> {
    let mut words = Vec::new();
    if flags & UP != 0 && flags & RUNNING == 0 {
        words.push("NO-CARRIER".to_owned());
    }
    let mut rest = flags & !RUNNING;
    for (bit, name) in FLAGS {
        if rest & bit != 0 {
            words.push((*name).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 {
        words.push(format!("{rest:x}"));
    }
    if lower_down {
        words.push("M-DOWN".to_owned());
    }
    words
}

pub(crate) fn put_flags(out: &mut Out<'_>, flags: u32, lower_down: bool) {
    let words = flag_words(flags, lower_down);
    let text = words.join(",");
    out.put("flags", words, format_args!("<{text}> "));
}

/// The state of operation by name and colour.
pub(crate) fn operstate(state: u8) -> (String, Option<Colour>) {
    let colour = match state {
        2 => Some(Colour::Down),
        6 => Some(Colour::Up),
        _ => None,
    };
    match STATES.get(usize::from(state)) {
        Some(name) => ((*name).to_owned(), colour),
        None => (format!("{state:#x}"), None),
    }
}

/// `NAME@LOWER`, with JSON beside it; returns what stands in text, and whether the lower link is down.
pub(crate) fn put_name(out: &mut Out<'_>, world: &mut World, attrs: &Attrs<'_>, index: i32) -> (String, bool) {
    let name = match attrs.find(attr::IFNAME) {
        Some(name) => name.text(),
        None => format!("if{index}"),
    };
    let mut shown = name.clone();
    let mut lower_down = false;
    if let Some(lower) = attrs.find(attr::LINK).and_then(|attr| attr.i32()) {
        if lower == 0 {
            shown.push_str("@NONE");
            out.member("link", Value::Null);
        } else if attrs.find(attr::LINK_NETNSID).is_some() || world.link(index).is_some_and(|known| known.foreign) {
            shown.push_str(&format!("@if{lower}"));
            out.member("link_index", lower);
        } else {
            let other = world.link_name(lower);
            shown.push_str(&format!("@{other}"));
            out.member("link", other);
            lower_down = world.link(lower).is_some_and(|known| known.flags & UP == 0);
        }
    }
    out.member("ifname", name);
    (shown, lower_down)
}

/// Prints a link as `ip link` (with `full`) and `ip address` do. False when the filter leaves it out.
pub(crate) fn print(
    out: &mut Out<'_>,
    world: &mut World,
    message: &Message<'_>,
    filter: &Filter,
    full: bool,
    queue: bool,
) -> bool {
    let Some(link) = Link::read(message.payload) else { return false };
    let attrs = message.attrs(Link::LENGTH);
    if !filter.passes_link(&link, &attrs) {
        return false;
    }
    if message.kind == kind::DEL_LINK {
        out.put("deleted", true, format_args!("Deleted "));
    }
    let details = world.options.details;
    out.put("ifindex", link.index, format_args!("{}: ", link.index));
    let (shown, lower_down) = put_name(out, world, &attrs, link.index);
    out.paint(Some(Colour::Interface), &format!("{shown}: "));
    put_flags(out, link.flags, lower_down);
    if let Some(mtu) = attrs.find(attr::MTU).and_then(|attr| attr.u32()) {
        out.put("mtu", mtu, format_args!("mtu {mtu} "));
    }
    if let Some(xdp) = attrs.find(attr::XDP) {
        put_xdp(out, &xdp.nested(), details);
    }
    if let Some(qdisc) = attrs.find(attr::QDISC).map(|attr| attr.text()) {
        out.put("qdisc", qdisc.as_str(), format_args!("qdisc {qdisc} "));
    }
    if let Some(master) = attrs.find(attr::MASTER).and_then(|attr| attr.i32()) {
        let name = world.link_name(master);
        out.put("master", name.as_str(), format_args!("master {name} "));
    }
    if let Some(state) = attrs.find(attr::OPERSTATE).and_then(|attr| attr.u8()) {
        let (name, colour) = operstate(state);
        out.words(format_args!("state "));
        out.tint(colour, "operstate", &name, "", " ");
    }
    if full && let Some(mode) = attrs.find(attr::LINKMODE).and_then(|attr| attr.u8()) {
        let name = match mode {
            0 => "DEFAULT".to_owned(),
            1 => "DORMANT".to_owned(),
            other => other.to_string(),
        };
        out.put("linkmode", name.as_str(), format_args!("mode {name} "));
    }
    if let Some(group) = attrs.find(attr::GROUP).and_then(|attr| attr.u32()) {
        let name = world.names.group(group);
        out.put("group", name.as_str(), format_args!("group {name} "));
    }
    if queue {
        // The view of IPv6 lacks it.
        let told = attrs.find(attr::TXQLEN).and_then(|attr| attr.u32());
        let length = told.or_else(|| world.link(link.index).map(|known| known.queue)).unwrap_or(0);
        if length > 0 {
            out.put("txqlen", length, format_args!("qlen {length}"));
        }
    }
    put_event(out, &attrs);
    if filter.family == 0 || filter.family == 17 || details {
        out.line();
        put_addresses(out, world, &link, &attrs);
    }
    put_namespace(out, world, &attrs);
    put_protodown(out, &attrs);
    if details {
        put_details(out, world, &link, &attrs, full);
    }
    if (full || details)
        && let Some(alias) = attrs.find(attr::IFALIAS).map(|attr| attr.text())
    {
        out.line();
        out.put("ifalias", alias.as_str(), format_args!("    alias {alias}"));
    }
    if full && world.options.stats > 0 {
        out.line();
        link_stats::put(out, world, &attrs);
    }
    if let Some(list) = attrs.find(attr::PROP_LIST) {
        let names: Vec<String> =
            list.nested().filter(|item| item.kind == attr::ALT_IFNAME).map(|item| item.text()).collect();
        for name in &names {
            out.line();
            out.words(format_args!("    altname {name}"));
        }
        if !names.is_empty() {
            out.member("altnames", names);
        }
    }
    out.newline();
    true
}

fn put_xdp(out: &mut Out<'_>, xdp: &Attrs<'_>, details: bool) {
    // IFLA_XDP_ATTACHED 2, IFLA_XDP_PROG_ID 4
    let mode = xdp.find(2).and_then(|attr| attr.u8()).unwrap_or(0);
    if mode == 0 {
        return;
    }
    let id = xdp.find(4).and_then(|attr| attr.u32());
    out.object("xdp");
    out.member("mode", mode);
    if let Some(id) = id {
        out.object("prog");
        out.member("id", id);
        out.end();
    }
    out.end();
    let name = match mode {
        1 => "xdp",
        2 => "xdpgeneric",
        3 => "xdpoffload",
        _ => "xdpmulti",
    };
    match id.filter(|_| details) {
        Some(id) => out.words(format_args!("{name}/id:{id} ")),
        None => out.words(format_args!("{name} ")),
    }
}

fn put_event(out: &mut Out<'_>, attrs: &Attrs<'_>) {
    let Some(event) = attrs.find(attr::EVENT).and_then(|attr| attr.u32()).filter(|event| *event > 0) else { return };
    const EVENTS: &[&str] =
        &["NONE", "REBOOT", "FEATURE CHANGE", "BONDING FAILOVER", "NOTIFY PEERS", "RESEND IGMP", "BONDING OPTION"];
    match usize::try_from(event).ok().and_then(|at| EVENTS.get(at)) {
        Some(name) => out.put("event", *name, format_args!("event {name} ")),
        None => out.put("event", event, format_args!("event {event} ")),
    }
}

fn put_addresses(out: &mut Out<'_>, world: &World, link: &Link, attrs: &Attrs<'_>) {
    let kind = if world.names.numeric { format!("[{}]", link.arp) } else { arp_type(link.arp) };
    out.put("link_type", kind.as_str(), format_args!("    link/{kind} "));
    let text = |attr: Option<netkit_nl::Attr<'_>>| {
        attr.filter(|attr| !attr.value.is_empty()).map(|attr| hardware_address(attr.value, link.arp))
    };
    let address = attrs.find(attr::ADDRESS);
    if let Some(address) = text(address) {
        out.tint(Some(Colour::Mac), "address", &address, "", "");
    }
    if let Some(broadcast) = text(attrs.find(attr::BROADCAST)) {
        if link.flags & POINTOPOINT != 0 {
            out.put("link_pointtopoint", true, format_args!(" peer "));
        } else {
            out.words(format_args!(" brd "));
        }
        out.tint(Some(Colour::Mac), "broadcast", &broadcast, "", "");
    }
    let permanent = attrs.find(attr::PERM_ADDRESS);
    if let Some(permanent) = permanent.filter(|own| address.is_none_or(|used| used.value != own.value))
        && let Some(shown) = text(Some(permanent))
    {
        out.words(format_args!(" permaddr "));
        out.tint(Some(Colour::Mac), "permaddr", &shown, "", "");
    }
}

fn put_namespace(out: &mut Out<'_>, world: &mut World, attrs: &Attrs<'_>) {
    if let Some(id) = attrs.find(attr::LINK_NETNSID).and_then(|attr| attr.i32()) {
        if out.json() {
            out.member("link_netnsid", id);
        } else if id < 0 {
            out.words(format_args!(" link-netnsid unknown"));
        } else {
            match world.namespace_name(id) {
                Some(name) => out.words(format_args!(" link-netns {name}")),
                None => out.words(format_args!(" link-netnsid {id}")),
            }
        }
    }
    if let Some(id) = attrs.find(attr::NEW_NETNSID).and_then(|attr| attr.i32()) {
        match world.namespace_name(id) {
            Some(name) if !out.json() => out.words(format_args!(" new-netns {name}")),
            _ => out.put("new_netnsid", id, format_args!(" new-netnsid {id}")),
        }
    }
    if let Some(index) = attrs.find(attr::NEW_IFINDEX).and_then(|attr| attr.i32()) {
        out.put("new_ifindex", index, format_args!(" new-ifindex {index}"));
    }
}

fn put_protodown(out: &mut Out<'_>, attrs: &Attrs<'_>) {
    if attrs.find(attr::PROTO_DOWN).and_then(|attr| attr.u8()).unwrap_or(0) != 0 {
        out.put("proto_down", true, format_args!(" protodown on "));
    }
    // IFLA_PROTO_DOWN_REASON_VALUE
    let reasons = attrs.find(attr::PROTO_DOWN_REASON).and_then(|list| list.nested().find(2)?.u32()).unwrap_or(0);
    if reasons != 0 {
        let set: Vec<String> = (0..32).filter(|bit| reasons >> bit & 1 == 1).map(|bit: u32| bit.to_string()).collect();
        let text = set.join(",");
        out.put("proto_down_reason", set, format_args!("protodown_reason <{text}> "));
    }
}

fn put_details(out: &mut Out<'_>, world: &mut World, link: &Link, attrs: &Attrs<'_>, full: bool) {
    let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.u32());
    if let Some(count) = number(attr::PROMISCUITY) {
        out.put("promiscuity", count, format_args!(" promiscuity {count} "));
    }
    if let Some(count) = number(attr::ALLMULTI) {
        out.put("allmulti", count, format_args!(" allmulti {count} "));
    }
    for (kind, key, word) in [(50, "min_mtu", "minmtu"), (51, "max_mtu", "maxmtu")] {
        if let Some(mtu) = number(kind) {
            out.put(key, mtu, format_args!("{word} {mtu} "));
        }
    }
    if let Some(info) = attrs.find(attr::LINKINFO) {
        link_kind::put(out, world, link, &info.nested());
    }
    if full && let Some(spec) = attrs.find(attr::AF_SPEC) {
        put_generation(out, &spec.nested());
    }
    for (kind, key, word) in [
        (31, "num_tx_queues", "numtxqueues"),
        (32, "num_rx_queues", "numrxqueues"),
        (41, "gso_max_size", "gso_max_size"),
        (40, "gso_max_segs", "gso_max_segs"),
        (59, "tso_max_size", "tso_max_size"),
        (60, "tso_max_segs", "tso_max_segs"),
        (58, "gro_max_size", "gro_max_size"),
    ] {
        if let Some(value) = number(kind) {
            out.put(key, value, format_args!("{word} {value} "));
        }
    }
    let hex = |kind: u16| attrs.find(kind).map(|attr| netkit_core::text::hex(attr.value));
    let text = |kind: u16| attrs.find(kind).map(|attr| attr.text());
    for (value, key, word) in [
        (text(attr::PHYS_PORT_NAME), "phys_port_name", "portname"),
        (hex(attr::PHYS_PORT_ID), "phys_port_id", "portid"),
        (hex(attr::PHYS_SWITCH_ID), "phys_switch_id", "switchid"),
        (text(attr::PARENT_DEV_BUS_NAME), "parentbus", "parentbus"),
        (text(attr::PARENT_DEV_NAME), "parentdev", "parentdev"),
    ] {
        if let Some(value) = value {
            out.put(key, value.as_str(), format_args!("{word} {value} "));
        }
    }
}

/// How the link makes its IPv6 interface identifier.
fn put_generation(out: &mut Out<'_>, spec: &Attrs<'_>) {
    // AF_INET6, IFLA_INET6_ADDR_GEN_MODE
    let Some(mode) = spec.find(10).and_then(|inner| inner.nested().find(8)?.u8()) else { return };
    let name = match mode {
        0 => "eui64".to_owned(),
        1 => "none".to_owned(),
        2 => "stable_secret".to_owned(),
        3 => "random".to_owned(),
        other => format!("{other:#x}"),
    };
    out.put("inet6_addr_gen_mode", name.as_str(), format_args!("addrgenmode {name} "));
}

/// Prints a link as `-br` does, without the end of the line. False when the filter leaves it out.
pub(crate) fn print_brief(
    out: &mut Out<'_>,
    world: &mut World,
    message: &Message<'_>,
    filter: &Filter,
    full: bool,
) -> bool {
    let Some(link) = Link::read(message.payload) else { return false };
    let attrs = message.attrs(Link::LENGTH);
    if !filter.passes_link(&link, &attrs) {
        return false;
    }
    let (shown, lower_down) = put_name(out, world, &attrs, link.index);
    out.paint(Some(Colour::Interface), &format!("{shown:<16} "));
    if let Some(state) = attrs.find(attr::OPERSTATE).and_then(|attr| attr.u8()) {
        let (name, colour) = operstate(state);
        if out.json() {
            out.member("operstate", name);
        } else {
            out.paint(colour, &format!("{name:<14} "));
        }
    }
    if full {
        if let Some(address) = attrs.find(attr::ADDRESS).filter(|attr| !attr.value.is_empty()) {
            out.tint(Some(Colour::Mac), "address", &hardware_address(address.value, link.arp), "", " ");
        }
        put_flags(out, link.flags, lower_down);
        out.newline();
    }
    true
}
