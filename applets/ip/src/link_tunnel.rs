//! Tunnels over IP (linux/if_tunnel.h, IFLA_IPTUN_*, IFLA_GRE_*, IFLA_VTI_*, IFLA_XFRM_*).

use netkit_nl::Attrs;
use netkit_nl::route::Link;

use crate::link_kind::{alternate_hex, key_text};
use crate::out::Out;
use crate::words::ip_text;
use crate::world::World;

/// Bits of GRE flags as they travel (RFC 2890), in network order.
const CSUM: u16 = 0x8000;
const KEY: u16 = 0x2000;
const SEQ: u16 = 0x1000;

fn endpoint(out: &mut Out<'_>, data: &Attrs<'_>, kind: u16, key: &str) {
    let Some(ip) = data.find(kind).and_then(|attr| attr.ip()) else { return };
    let text = if ip.is_unspecified() { "any".to_owned() } else { ip_text(ip) };
    out.put(key, text.as_str(), format_args!("{key} {text} "));
}

fn lower(out: &mut Out<'_>, world: &mut World, data: &Attrs<'_>, kind: u16) {
    if let Some(index) = data.find(kind).and_then(|attr| attr.i32()).filter(|index| *index != 0) {
        let name = world.link_name(index);
        out.put("link", name.as_str(), format_args!("dev {name} "));
    }
}

fn ttl_and_tos(out: &mut Out<'_>, data: &Attrs<'_>, ttl: u16, tos: u16) {
    if let Some(ttl) = data.find(ttl).and_then(|attr| attr.u8()) {
        match ttl {
            0 => out.put("ttl", 0u8, format_args!("ttl inherit ")),
            ttl => out.put("ttl", ttl, format_args!("ttl {ttl} ")),
        }
    }
    match data.find(tos).and_then(|attr| attr.u8()) {
        None | Some(0) => {}
        Some(1) => out.put("tos", "0x1", format_args!("tos inherit ")),
        Some(tos) => out.put("tos", format!("{tos:#x}"), format_args!("tos {tos:#x} ")),
    }
}

fn mark(out: &mut Out<'_>, data: &Attrs<'_>, kind: u16) {
    if let Some(mark) = data.find(kind).and_then(|attr| attr.u32()).filter(|mark| *mark != 0) {
        out.put("fwmark", format!("{mark:#x}"), format_args!("fwmark {mark:#x} "));
    }
}

/// Encapsulation in UDP: type, flags, source and destination port.
fn encapsulation(out: &mut Out<'_>, data: &Attrs<'_>, kinds: [u16; 4]) {
    let [kind, flags, sport, dport] = kinds;
    let name = match data.find(kind).and_then(|attr| attr.u16()).unwrap_or(0) {
        0 => return,
        1 => "fou",
        2 => "gue",
        3 => "mpls",
        _ => "unknown",
    };
    out.object("encap");
    out.put("type", name, format_args!("encap {name} "));
    let port = |kind: u16| data.find(kind).and_then(|attr| attr.be16()).unwrap_or(0);
    match port(sport) {
        0 => out.put("sport", 0u8, format_args!("encap-sport auto ")),
        port => out.put("sport", port, format_args!("encap-sport {port} ")),
    }
    let dport = port(dport);
    out.put("dport", dport, format_args!("encap-dport {dport} "));
    let flags = data.find(flags).and_then(|attr| attr.u16()).unwrap_or(0);
    for (bit, key) in [(1, "csum"), (2, "csum6"), (4, "remcsum")] {
        let on = flags & bit != 0;
        out.put(key, on, format_args!("{}encap-{key} ", if on { "" } else { "no" }));
    }
    out.end();
}

pub(crate) fn ipip(out: &mut Out<'_>, world: &mut World, _: &Link, data: &Attrs<'_>) {
    over_ipv4(out, world, data, false);
}

pub(crate) fn sit(out: &mut Out<'_>, world: &mut World, _: &Link, data: &Attrs<'_>) {
    over_ipv4(out, world, data, true);
}

fn over_ipv4(out: &mut Out<'_>, world: &mut World, data: &Attrs<'_>, sit: bool) {
    if data.find(19).is_some() {
        out.put("external", true, format_args!("external "));
    }
    if let Some(protocol) = data.find(9).and_then(|attr| attr.u8()) {
        let mode = match protocol {
            4 => "ipip",
            41 => "ip6ip",
            137 => "mplsip",
            0 => "any",
            _ => "",
        };
        if !mode.is_empty() {
            out.put("proto", mode, format_args!("{mode} "));
        }
    }
    endpoint(out, data, 3, "remote");
    endpoint(out, data, 2, "local");
    lower(out, world, data, 1);
    ttl_and_tos(out, data, 4, 5);
    if let Some(discovery) = data.find(10).and_then(|attr| attr.u8()).map(|value| value != 0) {
        out.put("pmtudisc", discovery, format_args!("{}pmtudisc ", if discovery { "" } else { "no" }));
    }
    if sit {
        if data.find(8).and_then(|attr| attr.u16()).unwrap_or(0) & 1 != 0 {
            out.put("isatap", true, format_args!("isatap "));
        }
        sixrd(out, data);
    }
    mark(out, data, 20);
    encapsulation(out, data, [15, 16, 17, 18]);
}

fn sixrd(out: &mut Out<'_>, data: &Attrs<'_>) {
    let bits = |kind: u16| data.find(kind).and_then(|attr| attr.u16()).unwrap_or(0);
    let (length, relay_length) = (bits(13), bits(14));
    if length == 0 {
        return;
    }
    let prefix = data.find(11).and_then(|attr| attr.ip()).map(ip_text).unwrap_or_default();
    out.put("prefix", prefix.as_str(), format_args!("6rd-prefix {prefix}"));
    out.put("prefixlen", length, format_args!("/{length} "));
    let relay = data.find(12).and_then(|attr| attr.ip()).filter(|ip| !ip.is_unspecified());
    if let Some(relay) = relay.map(ip_text) {
        out.put("relay_prefix", relay.as_str(), format_args!("6rd-relay_prefix {relay}"));
        out.put("relay_prefixlen", relay_length, format_args!("/{relay_length} "));
    }
}

/// Keys, sequence numbers and checksums; bits in network order.
fn gre_options(out: &mut Out<'_>, data: &Attrs<'_>) {
    let flags = |kind: u16| data.find(kind).and_then(|attr| attr.be16()).unwrap_or(0);
    let (input, output) = (flags(2), flags(3));
    for (set, kind, key) in [(input, 4, "ikey"), (output, 5, "okey")] {
        if set & KEY != 0
            && let Some(value) = data.find(kind).and_then(|attr| attr.be32())
        {
            let text = key_text(value);
            out.put(key, text.as_str(), format_args!("{key} {text} "));
        }
    }
    for (set, bit, key) in
        [(input, SEQ, "iseq"), (output, SEQ, "oseq"), (input, CSUM, "icsum"), (output, CSUM, "ocsum")]
    {
        if set & bit != 0 {
            out.put(key, true, format_args!("{key} "));
        }
    }
}

pub(crate) fn gre(out: &mut Out<'_>, world: &mut World, _: &Link, data: &Attrs<'_>) {
    if data.find(18).is_some() {
        out.put("external", true, format_args!("external "));
    }
    endpoint(out, data, 7, "remote");
    endpoint(out, data, 6, "local");
    lower(out, world, data, 1);
    ttl_and_tos(out, data, 8, 9);
    if let Some(discovery) = data.find(10).and_then(|attr| attr.u8()) {
        out.put("pmtudisc", discovery != 0, format_args!("{}", if discovery == 0 { "nopmtudisc " } else { "" }));
    }
    if data.find(19).and_then(|attr| attr.u8()).unwrap_or(0) != 0 {
        out.put("ignore_df", true, format_args!("ignore-df "));
    }
    gre_options(out, data);
    mark(out, data, 20);
    encapsulation(out, data, [14, 15, 16, 17]);
}

/// IP6_TNL_F_*.
const IGNORE_LIMIT: u32 = 0x1;
const ORIGINAL_CLASS: u32 = 0x2;
const ORIGINAL_LABEL: u32 = 0x4;
const MIP6: u32 = 0x8;
const COPY_DSCP: u32 = 0x10;
const ORIGINAL_MARK: u32 = 0x20;
const LOCAL_REMOTE: u32 = 0x40;

fn limit_and_flow(out: &mut Out<'_>, data: &Attrs<'_>, flags: u32, kinds: [u16; 3]) {
    let [hops, limit, flow] = kinds;
    if let Some(ttl) = data.find(hops).and_then(|attr| attr.u8()) {
        match ttl {
            0 => out.put("ttl", 0u8, format_args!("hoplimit inherit ")),
            ttl => out.put("ttl", ttl, format_args!("hoplimit {ttl} ")),
        }
    }
    if flags & IGNORE_LIMIT != 0 {
        out.put("ip6_tnl_f_ign_encap_limit", true, format_args!("encaplimit none "));
    } else if let Some(limit) = data.find(limit).and_then(|attr| attr.u8()) {
        out.put("encap_limit", limit, format_args!("encaplimit {limit} "));
    }
    let flow = data.find(flow).and_then(|attr| attr.be32()).unwrap_or(0);
    if flags & ORIGINAL_CLASS != 0 {
        out.put("ip6_tnl_f_use_orig_tclass", true, format_args!("tclass inherit "));
    } else {
        let class = format!("0x{:02x}", flow >> 20 & 0xff);
        out.put("tclass", class.as_str(), format_args!("tclass {class} "));
    }
    if flags & ORIGINAL_LABEL != 0 {
        out.put("ip6_tnl_f_use_orig_flowlabel", true, format_args!("flowlabel inherit "));
    } else {
        let label = format!("0x{:05x}", flow & 0xf_ffff);
        out.put("flowlabel", label.as_str(), format_args!("flowlabel {label} "));
    }
    if flags & COPY_DSCP != 0 {
        out.put("ip6_tnl_f_rcv_dscp_copy", true, format_args!("dscp inherit "));
    }
}

fn mark_or_original(out: &mut Out<'_>, data: &Attrs<'_>, flags: u32) {
    if flags & LOCAL_REMOTE != 0 {
        out.put("ip6_tnl_f_allow_local_remote", true, format_args!("allow-localremote "));
    }
    if flags & ORIGINAL_MARK != 0 {
        out.put("ip6_tnl_f_use_orig_fwmark", true, format_args!("fwmark inherit "));
    } else {
        mark(out, data, 20);
    }
}

pub(crate) fn gre6(out: &mut Out<'_>, world: &mut World, _: &Link, data: &Attrs<'_>) {
    if data.find(18).is_some() {
        out.put("external", true, format_args!("external "));
    }
    let flags = data.find(13).and_then(|attr| attr.u32()).unwrap_or(0);
    endpoint(out, data, 7, "remote");
    endpoint(out, data, 6, "local");
    lower(out, world, data, 1);
    limit_and_flow(out, data, flags, [8, 11, 12]);
    gre_options(out, data);
    mark_or_original(out, data, flags);
    encapsulation(out, data, [14, 15, 16, 17]);
}

pub(crate) fn ip6tnl(out: &mut Out<'_>, world: &mut World, _: &Link, data: &Attrs<'_>) {
    if data.find(19).is_some() {
        out.put("external", true, format_args!("external "));
    }
    let flags = data.find(8).and_then(|attr| attr.u32()).unwrap_or(0);
    if let Some(protocol) = data.find(9).and_then(|attr| attr.u8()) {
        let name = match protocol {
            4 => "ipip6",
            41 => "ip6ip6",
            0 => "any",
            _ => "",
        };
        if !name.is_empty() {
            out.put("proto", name, format_args!("{name} "));
        }
    }
    endpoint(out, data, 3, "remote");
    endpoint(out, data, 2, "local");
    lower(out, world, data, 1);
    limit_and_flow(out, data, flags, [4, 6, 7]);
    if flags & MIP6 != 0 {
        out.put("ip6_tnl_f_mip6_dev", true, format_args!("mip6 "));
    }
    mark_or_original(out, data, flags);
    encapsulation(out, data, [15, 16, 17, 18]);
}

pub(crate) fn vti(out: &mut Out<'_>, world: &mut World, _: &Link, data: &Attrs<'_>) {
    endpoint(out, data, 5, "remote");
    endpoint(out, data, 4, "local");
    lower(out, world, data, 1);
    for (kind, key) in [(2, "ikey"), (3, "okey")] {
        if let Some(value) = data.find(kind).and_then(|attr| attr.be32()).filter(|value| *value != 0) {
            let text = key_text(value);
            out.put(key, text.as_str(), format_args!("{key} {text} "));
        }
    }
    mark(out, data, 6);
}

pub(crate) fn xfrm(out: &mut Out<'_>, _: &mut World, _: &Link, data: &Attrs<'_>) {
    if data.find(3).is_some() {
        out.put("external", true, format_args!("external "));
    }
    if let Some(id) = data.find(2).and_then(|attr| attr.u32()) {
        let text = alternate_hex(u64::from(id));
        out.put("if_id", text.as_str(), format_args!("if_id {text} "));
    }
}
