//! What a link is: the details of each kind (IFLA_LINKINFO in linux/if_link.h).

use std::net::{IpAddr, Ipv4Addr};

use netkit_core::json::Value;
use netkit_core::text::hex;
use netkit_nl::route::Link;
use netkit_nl::{Attr, Attrs, raw};

use crate::bridge_port;
use crate::link_tunnel;
use crate::out::Out;
use crate::words::ip_text;
use crate::world::World;

/// Prints one kind's data.
type Print = fn(&mut Out<'_>, &mut World, &Link, &Attrs<'_>);

/// The kinds with details; a link of another kind shows its kind only.
const KINDS: &[(&str, Print)] = &[
    ("vlan", vlan),
    ("bridge", bridge),
    ("bond", crate::link_bond::bond),
    ("vxlan", vxlan),
    ("geneve", geneve),
    ("macvlan", macvlan),
    ("macvtap", macvlan),
    ("ipvlan", ipvlan),
    ("ipvtap", ipvlan),
    ("vrf", vrf),
    ("tun", tun),
    ("ipip", link_tunnel::ipip),
    ("sit", link_tunnel::sit),
    ("gre", link_tunnel::gre),
    ("gretap", link_tunnel::gre),
    ("ip6gre", link_tunnel::gre6),
    ("ip6gretap", link_tunnel::gre6),
    ("ip6tnl", link_tunnel::ip6tnl),
    ("vti", link_tunnel::vti),
    ("vti6", link_tunnel::vti),
    ("xfrm", link_tunnel::xfrm),
];
const SLAVES: &[(&str, Print)] = &[("bridge", bridge_port::slave), ("bond", crate::link_bond::slave), ("vrf", vrf)];

/// Prints IFLA_LINKINFO: the kind and its data, and those of a port.
pub(crate) fn put(out: &mut Out<'_>, world: &mut World, link: &Link, info: &Attrs<'_>) {
    out.object("linkinfo");
    // IFLA_INFO_KIND 1, IFLA_INFO_DATA 2, IFLA_INFO_SLAVE_KIND 4, IFLA_INFO_SLAVE_DATA 5
    for (kind, data, suffix, keys, known) in [
        (1, 2, "", ("info_kind", "info_data"), KINDS),
        (4, 5, "_slave", ("info_slave_kind", "info_slave_data"), SLAVES),
    ] {
        let Some(name) = info.find(kind).map(|attr| attr.text()) else { continue };
        out.line();
        out.put(keys.0, name.as_str(), format_args!("    {name}{suffix} "));
        if let Some((_, print)) = known.iter().find(|(known, _)| *known == name) {
            out.object(keys.1);
            if let Some(data) = info.find(data) {
                print(out, world, link, &data.nested());
            }
            out.end();
        }
    }
    out.end();
}

/// How a value is shown in a table of simple facts.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// A decimal number.
    Number,
    /// 0x and hexadecimal digits; a string in JSON.
    Hex,
    /// `on` or `off`.
    Switch,
    /// Hundredths of a second.
    Timer,
    /// Priority and address of a bridge.
    BridgeId,
}

/// An attribute with its JSON key and its word.
pub(crate) type Row = (u16, &'static str, &'static str, Form);

/// Prints those facts of a table that are there.
pub(crate) fn table(out: &mut Out<'_>, data: &Attrs<'_>, rows: &[Row]) {
    for (kind, key, word, form) in rows {
        let Some(attr) = data.find(*kind) else { continue };
        put_form(out, &attr, key, word, *form);
    }
}

fn put_form(out: &mut Out<'_>, attr: &Attr<'_>, key: &str, word: &str, form: Form) {
    let number = attr.number().unwrap_or(0);
    match form {
        Form::Number => out.put(key, number, format_args!("{word} {number} ")),
        Form::Hex => {
            let text = alternate_hex(number);
            out.put(key, text.as_str(), format_args!("{word} {text} "));
        }
        Form::Switch => switch(out, key, word, number != 0),
        Form::Timer => {
            let (whole, part) = (number / 100, number % 100);
            #[allow(clippy::cast_precision_loss)]
            let seconds = number as f64 / 100.0;
            out.put(key, seconds, format_args!("{word} {whole:>4}.{part:02} "));
        }
        Form::BridgeId => {
            let id = bridge_id(attr.value);
            out.put(key, id.as_str(), format_args!("{word} {id} "));
        }
    }
}

pub(crate) fn switch(out: &mut Out<'_>, key: &str, word: &str, on: bool) {
    out.put(key, on, format_args!("{word} {} ", if on { "on" } else { "off" }));
}

/// As `%#x` of printf(3): no 0x before a zero.
pub(crate) fn alternate_hex(number: u64) -> String {
    if number == 0 { "0".to_owned() } else { format!("{number:#x}") }
}

fn bridge_id(value: &[u8]) -> String {
    let (priority, address) = value.split_at_checked(2).unwrap_or_default();
    // Octets of the address have no leading zeros here.
    let address: Vec<String> = address.iter().map(|byte| format!("{byte:x}")).collect();
    format!("{}.{}", hex(priority), address.join(":"))
}

pub(crate) fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// The word for a VLAN protocol.
fn vlan_protocol(protocol: u16) -> String {
    match protocol {
        0x8100 => "802.1Q".to_owned(),
        0x88a8 => "802.1ad".to_owned(),
        other => format!("[{other}]"),
    }
}

fn vlan(out: &mut Out<'_>, _: &mut World, _: &Link, data: &Attrs<'_>) {
    let protocol = data.find(5).and_then(|attr| attr.be16()).map_or_else(|| "802.1q".to_owned(), vlan_protocol);
    out.put("protocol", protocol.as_str(), format_args!("protocol {protocol} "));
    let Some(id) = data.find(1).and_then(|attr| attr.u16()) else { return };
    out.put("id", id, format_args!("id {id} "));
    if let Some(mut flags) = data.find(2).and_then(|attr| attr.u32()) {
        let mut words = Vec::new();
        for (bit, name) in [(1, "REORDER_HDR"), (2, "GVRP"), (8, "MVRP"), (4, "LOOSE_BINDING"), (16, "BRIDGE_BINDING")]
        {
            if flags & bit != 0 {
                words.push(name.to_owned());
                flags &= !bit;
            }
        }
        if flags != 0 {
            words.push(format!("{flags:x}"));
        }
        let text = words.join(",");
        out.put("flags", words, format_args!("<{text}> "));
    }
    for (kind, key, word) in [(4, "ingress_qos", "ingress-qos-map"), (3, "egress_qos", "egress-qos-map")] {
        let Some(map) = data.find(kind) else { continue };
        out.line();
        out.array(key);
        out.words(format_args!("      {word} {{ "));
        for entry in map.nested().filter(|entry| entry.kind == 1) {
            let (from, to) = (raw::u32(entry.value, 0).unwrap_or(0), raw::u32(entry.value, 4).unwrap_or(0));
            out.object("");
            out.put("from", from, format_args!("{from}"));
            out.put("to", to, format_args!(":{to} "));
            out.end();
        }
        out.end();
        out.words(format_args!("}} "));
    }
}

fn bridge(out: &mut Out<'_>, _: &mut World, _: &Link, data: &Attrs<'_>) {
    use Form::{BridgeId, Hex, Number, Timer};
    table(
        out,
        data,
        &[
            (1, "forward_delay", "forward_delay", Number),
            (2, "hello_time", "hello_time", Number),
            (3, "max_age", "max_age", Number),
            (4, "ageing_time", "ageing_time", Number),
            (5, "stp_state", "stp_state", Number),
            (6, "priority", "priority", Number),
            (7, "vlan_filtering", "vlan_filtering", Number),
        ],
    );
    if let Some(protocol) = data.find(8).and_then(|attr| attr.be16()) {
        let name = vlan_protocol(protocol);
        out.put("vlan_protocol", name.as_str(), format_args!("vlan_protocol {name} "));
    }
    table(
        out,
        data,
        &[
            (11, "bridge_id", "bridge_id", BridgeId),
            (10, "root_id", "designated_root", BridgeId),
            (12, "root_port", "root_port", Number),
            (13, "root_path_cost", "root_path_cost", Number),
            (14, "topology_change", "topology_change", Number),
            (15, "topology_change_detected", "topology_change_detected", Number),
            (16, "hello_timer", "hello_timer", Timer),
            (17, "tcn_timer", "tcn_timer", Timer),
            (18, "topology_change_timer", "topology_change_timer", Timer),
            (19, "gc_timer", "gc_timer", Timer),
            (39, "vlan_default_pvid", "vlan_default_pvid", Number),
            (41, "vlan_stats_enabled", "vlan_stats_enabled", Number),
            (45, "vlan_stats_per_port", "vlan_stats_per_port", Number),
            (9, "group_fwd_mask", "group_fwd_mask", Hex),
        ],
    );
    if let Some(group) = data.find(20).map(|attr| colons(attr.value)) {
        out.put("group_addr", group.as_str(), format_args!("group_address {group} "));
    }
    table(out, data, &[(23, "mcast_snooping", "mcast_snooping", Number)]);
    if let Some(options) = data.find(46).and_then(|attr| attr.u32()) {
        for (bit, key) in [(0, "no_linklocal_learn"), (1, "mcast_vlan_snooping")] {
            let on = options >> bit & 1;
            out.put(key, on, format_args!("{key} {on} "));
        }
    }
    table(
        out,
        data,
        &[
            (22, "mcast_router", "mcast_router", Number),
            (24, "mcast_query_use_ifaddr", "mcast_query_use_ifaddr", Number),
            (25, "mcast_querier", "mcast_querier", Number),
        ],
    );
    table(
        out,
        data,
        &[
            (26, "mcast_hash_elasticity", "mcast_hash_elasticity", Number),
            (27, "mcast_hash_max", "mcast_hash_max", Number),
            (28, "mcast_last_member_cnt", "mcast_last_member_count", Number),
            (29, "mcast_startup_query_cnt", "mcast_startup_query_count", Number),
            (30, "mcast_last_member_intvl", "mcast_last_member_interval", Number),
            (31, "mcast_membership_intvl", "mcast_membership_interval", Number),
            (32, "mcast_querier_intvl", "mcast_querier_interval", Number),
            (33, "mcast_query_intvl", "mcast_query_interval", Number),
            (34, "mcast_query_response_intvl", "mcast_query_response_interval", Number),
            (35, "mcast_startup_query_intvl", "mcast_startup_query_interval", Number),
            (42, "mcast_stats_enabled", "mcast_stats_enabled", Number),
            (43, "mcast_igmp_version", "mcast_igmp_version", Number),
            (44, "mcast_mld_version", "mcast_mld_version", Number),
            (36, "nf_call_iptables", "nf_call_iptables", Number),
            (37, "nf_call_ip6tables", "nf_call_ip6tables", Number),
            (38, "nf_call_arptables", "nf_call_arptables", Number),
        ],
    );
}

fn is_multicast(ip: IpAddr) -> bool {
    ip.is_multicast()
}

/// Time to live, type of service, the don't-fragment bit and the flow label of a tunnel over UDP.
struct Outer {
    ttl: u16,
    tos: u16,
    df: u16,
    label: u16,
    ttl_inherit: u16,
}

impl Outer {
    fn ttl(&self, out: &mut Out<'_>, data: &Attrs<'_>) {
        if data.find(self.ttl_inherit).and_then(|attr| attr.u8()).unwrap_or(0) != 0 {
            // Only in words, as the peer has it.
            out.words(format_args!("ttl inherit "));
        } else if let Some(ttl) = data.find(self.ttl).and_then(|attr| attr.u8()) {
            match ttl {
                0 => out.put("ttl", 0u8, format_args!("ttl auto ")),
                ttl => out.put("ttl", ttl, format_args!("ttl {ttl} ")),
            }
        }
    }

    fn tos(&self, out: &mut Out<'_>, data: &Attrs<'_>) {
        match data.find(self.tos).and_then(|attr| attr.u8()) {
            None | Some(0) => {}
            Some(1) => out.put("tos", "0x1", format_args!("tos inherit ")),
            Some(tos) => out.put("tos", format!("{tos:#x}"), format_args!("tos {tos:#x} ")),
        }
    }

    fn df_and_label(&self, out: &mut Out<'_>, data: &Attrs<'_>) {
        if let Some(df) = data.find(self.df).and_then(|attr| attr.u8()) {
            let name = ["unset", "set", "inherit"].get(usize::from(df)).copied().unwrap_or("unset");
            out.member("df", name);
            if df != 0 {
                out.words(format_args!("df {name} "));
            }
        }
        if let Some(label) = data.find(self.label).and_then(|attr| attr.be32()).filter(|label| *label != 0) {
            out.put("label", format!("{label:#x}"), format_args!("flowlabel {label:#x} "));
        }
    }
}

/// A checksum rule of a tunnel: named with `no` before it when it is off.
fn checksum(out: &mut Out<'_>, data: &Attrs<'_>, kind: u16, key: &str, word: &str) {
    if let Some(on) = data.find(kind).and_then(|attr| attr.u8()).map(|value| value != 0) {
        out.put(key, on, format_args!("{}{word} ", if on { "" } else { "no" }));
    }
}

fn on(data: &Attrs<'_>, kind: u16) -> bool {
    data.find(kind).is_some_and(|attr| attr.value.is_empty() || attr.u8() != Some(0))
}

fn vxlan(out: &mut Out<'_>, world: &mut World, _: &Link, data: &Attrs<'_>) {
    if data.find(25).and_then(|attr| attr.u8()).unwrap_or(0) != 0 {
        out.put("external", true, format_args!("external "));
    }
    if on(data, 30) {
        out.put("vnifilter", true, format_args!("vnifilter "));
    }
    if let Some(id) = data.find(1).and_then(|attr| attr.u32()) {
        out.put("id", id, format_args!("id {id} "));
    }
    for (kind, suffix) in [(2, ""), (16, "6")] {
        let Some(ip) = data.find(kind).and_then(|attr| attr.ip()).filter(|ip| !ip.is_unspecified()) else { continue };
        let word = if is_multicast(ip) { "group" } else { "remote" };
        let text = ip_text(ip);
        out.put(&format!("{word}{suffix}"), text.as_str(), format_args!("{word} {text} "));
        break;
    }
    for (kind, key) in [(4, "local"), (17, "local6")] {
        let Some(ip) = data.find(kind).and_then(|attr| attr.ip()).filter(|ip| !ip.is_unspecified()) else { continue };
        let text = ip_text(ip);
        out.put(key, text.as_str(), format_args!("local {text} "));
        break;
    }
    if let Some(index) = data.find(3).and_then(|attr| attr.i32()).filter(|index| *index != 0) {
        let name = world.link_name(index);
        out.put("link", name.as_str(), format_args!("dev {name} "));
    }
    if let Some(range) = data.find(10) {
        let (low, high) = (raw::be16(range.value, 0).unwrap_or(0), raw::be16(range.value, 2).unwrap_or(0));
        out.put(
            "port_range",
            Value::object().with("low", low).with("high", high),
            format_args!("srcport {low} {high} "),
        );
    }
    if let Some(port) = data.find(15).and_then(|attr| attr.be16()) {
        out.put("port", port, format_args!("dstport {port} "));
    }
    if let Some(learning) = data.find(7).and_then(|attr| attr.u8()) {
        out.member("learning", learning != 0);
        if learning == 0 {
            out.words(format_args!("nolearning "));
        }
    }
    for (kind, key) in [(11, "proxy"), (12, "rsc"), (13, "l2miss"), (14, "l3miss")] {
        if data.find(kind).and_then(|attr| attr.u8()).unwrap_or(0) != 0 {
            out.put(key, true, format_args!("{key} "));
        }
    }
    let outer = Outer { ttl: 5, tos: 6, df: 29, label: 26, ttl_inherit: 28 };
    outer.tos(out, data);
    outer.ttl(out, data);
    outer.df_and_label(out, data);
    if let Some(age) = data.find(8).and_then(|attr| attr.u32()) {
        match age {
            0 => out.put("ageing", 0u8, format_args!("ageing none ")),
            age => out.put("ageing", age, format_args!("ageing {age} ")),
        }
    }
    if let Some(limit) = data.find(9).and_then(|attr| attr.u32()).filter(|limit| *limit != 0) {
        out.put("limit", limit, format_args!("maxaddr {limit} "));
    }
    checksum(out, data, 18, "udp_csum", "udpcsum");
    checksum(out, data, 19, "udp_zero_csum6_tx", "udp6zerocsumtx");
    checksum(out, data, 20, "udp_zero_csum6_rx", "udp6zerocsumrx");
    for (kind, key, word) in [(21, "remcsum_tx", "remcsumtx"), (22, "remcsum_rx", "remcsumrx")] {
        if data.find(kind).and_then(|attr| attr.u8()).unwrap_or(0) != 0 {
            out.put(key, true, format_args!("{word} "));
        }
    }
    for (kind, key) in [(23, "gbp"), (27, "gpe")] {
        if data.find(kind).is_some() {
            out.put(key, true, format_args!("{key} "));
        }
    }
}

fn geneve(out: &mut Out<'_>, _: &mut World, _: &Link, data: &Attrs<'_>) {
    if data.find(6).is_some() {
        out.put("external", true, format_args!("external "));
    }
    if let Some(id) = data.find(1).and_then(|attr| attr.u32()) {
        out.put("id", id, format_args!("id {id} "));
    }
    for (kind, key) in [(2, "remote"), (7, "remote6")] {
        let Some(ip) = data.find(kind).and_then(|attr| attr.ip()) else { continue };
        if !ip.is_unspecified() {
            let text = ip_text(ip);
            out.put(key, text.as_str(), format_args!("remote {text} "));
        }
    }
    let outer = Outer { ttl: 3, tos: 4, df: 13, label: 11, ttl_inherit: 12 };
    outer.ttl(out, data);
    outer.tos(out, data);
    outer.df_and_label(out, data);
    if let Some(port) = data.find(5).and_then(|attr| attr.be16()) {
        out.put("port", port, format_args!("dstport {port} "));
    }
    checksum(out, data, 8, "udp_csum", "udpcsum");
    checksum(out, data, 9, "udp_zero_csum6_tx", "udp6zerocsumtx");
    checksum(out, data, 10, "udp_zero_csum6_rx", "udp6zerocsumrx");
    if data.find(14).is_some() {
        out.put("inner_proto_inherit", true, format_args!("innerprotoinherit "));
    }
}

fn macvlan(out: &mut Out<'_>, _: &mut World, _: &Link, data: &Attrs<'_>) {
    let Some(mode) = data.find(1).and_then(|attr| attr.u32()) else { return };
    let name = match mode {
        1 => "private",
        2 => "vepa",
        4 => "bridge",
        8 => "passthru",
        16 => "source",
        _ => "unknown",
    };
    out.put("mode", name, format_args!("mode {name} "));
    let flags = data.find(2).and_then(|attr| attr.u16()).unwrap_or(0);
    for (bit, key) in [(1, "nopromisc"), (2, "nodst")] {
        if flags & bit != 0 {
            out.put(key, true, format_args!("{key} "));
        }
    }
    for (kind, key) in [(7, "bcqueuelen"), (8, "usedbcqueuelen")] {
        if let Some(length) = data.find(kind).and_then(|attr| attr.u32()) {
            out.put(key, length, format_args!("{key} {length} "));
        }
    }
    if mode != 16 {
        return;
    }
    if let Some(count) = data.find(6).and_then(|attr| attr.u32()) {
        out.put("macaddr_count", count, format_args!("remotes ({count}) "));
    }
    if let Some(list) = data.find(5) {
        out.array("macaddr_data");
        for entry in list.nested().filter(|entry| entry.kind == 4) {
            let text = colons(entry.value.get(..6).unwrap_or(entry.value));
            out.put("", text.as_str(), format_args!("{text} "));
        }
        out.end();
    }
}

fn ipvlan(out: &mut Out<'_>, _: &mut World, _: &Link, data: &Attrs<'_>) {
    if let Some(mode) = data.find(1).and_then(|attr| attr.u16()) {
        let name = ["l2", "l3", "l3s"].get(usize::from(mode)).copied().unwrap_or("unknown");
        out.put("mode", name, format_args!(" mode {name} "));
    }
    if let Some(flags) = data.find(2).and_then(|attr| attr.u16()) {
        let name = match flags {
            flags if flags & 1 != 0 => "private",
            flags if flags & 2 != 0 => "vepa",
            _ => "bridge",
        };
        out.put(name, true, format_args!("{name} "));
    }
}

fn vrf(out: &mut Out<'_>, _: &mut World, _: &Link, data: &Attrs<'_>) {
    if let Some(table) = data.find(1).and_then(|attr| attr.u32()) {
        out.put("table", table, format_args!("table {table} "));
    }
}

fn tun(out: &mut Out<'_>, _: &mut World, _: &Link, data: &Attrs<'_>) {
    let number = |kind: u16| data.find(kind).and_then(|attr| attr.number());
    if let Some(kind) = number(3) {
        let name = match kind {
            1 => "tun",
            2 => "tap",
            _ => "UNKNOWN",
        };
        out.put("type", name, format_args!("type {name} "));
    }
    table(out, data, &[(4, "pi", "pi", Form::Switch), (5, "vnet_hdr", "vnet_hdr", Form::Switch)]);
    let multiple = number(7).is_some_and(|multiple| multiple != 0);
    out.member("multi_queue", multiple);
    if multiple {
        out.words(format_args!("multi_queue "));
        table(
            out,
            data,
            &[(8, "numqueues", "numqueues", Form::Number), (9, "numdisabled", "numdisabled", Form::Number)],
        );
    }
    table(out, data, &[(6, "persist", "persist", Form::Switch)]);
    for (kind, key, file) in [(1, "user", "/etc/passwd"), (2, "group", "/etc/group")] {
        if let Some(id) = number(kind) {
            let name = account(file, id).unwrap_or_else(|| id.to_string());
            out.put(key, name.as_str(), format_args!("{key} {name} "));
        }
    }
}

/// The name that a file like passwd(5) gives to a number.
fn account(file: &str, id: u64) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| netkit_core::text::printable(name))
    })
}

/// A key as IPv4 address, the way gre(7) tools have always shown it.
pub(crate) fn key_text(key: u32) -> String {
    Ipv4Addr::from(key).to_string()
}
