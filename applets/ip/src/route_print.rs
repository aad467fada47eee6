//! One route as text or JSON.

use netkit_nl::route::{Hop, Route, hops, kind};
use netkit_nl::{Attr, Attrs, Message, raw};

use crate::names;
use crate::options::family_name;
use crate::out::{Colour, Out};
use crate::route::{CLONED, Filter, MAIN};
use crate::words::ip_text;
use crate::world::World;

/// Attributes of a route (RTA_* in linux/rtnetlink.h).
pub(crate) mod rta {
    pub(crate) const DST: u16 = 1;
    pub(crate) const SRC: u16 = 2;
    pub(crate) const IIF: u16 = 3;
    pub(crate) const OIF: u16 = 4;
    pub(crate) const GATEWAY: u16 = 5;
    pub(crate) const PRIORITY: u16 = 6;
    pub(crate) const PREFSRC: u16 = 7;
    pub(crate) const METRICS: u16 = 8;
    pub(crate) const MULTIPATH: u16 = 9;
    pub(crate) const FLOW: u16 = 11;
    pub(crate) const CACHEINFO: u16 = 12;
    pub(crate) const TABLE: u16 = 15;
    pub(crate) const MARK: u16 = 16;
    pub(crate) const VIA: u16 = 18;
    pub(crate) const NEWDST: u16 = 19;
    pub(crate) const PREF: u16 = 20;
    pub(crate) const ENCAP_TYPE: u16 = 21;
    pub(crate) const ENCAP: u16 = 22;
    pub(crate) const UID: u16 = 25;
    pub(crate) const TTL_PROPAGATE: u16 = 26;
    pub(crate) const IP_PROTO: u16 = 27;
    pub(crate) const SPORT: u16 = 28;
    pub(crate) const DPORT: u16 = 29;
    pub(crate) const NH_ID: u16 = 30;
}

/// USER_HZ, the unit of times that go to user space.
const HZ: i64 = 100;

/// RTNH_F_* and the RTM_F_* that are shown with them.
const FLAGS: &[(u32, &str)] = &[
    (0x1, "dead"),
    (0x4, "onlink"),
    (0x2, "pervasive"),
    (0x8, "offload"),
    (0x40, "trap"),
    (0x100, "notify"),
    (0x10, "linkdown"),
    (0x20, "unresolved"),
    (0x4000, "rt_offload"),
    (0x8000, "rt_trap"),
    (0x2000_0000, "rt_offload_failed"),
];
/// RTCF_* (linux/in_route.h).
const CACHE_FLAGS: &[(u32, &str)] = &[
    (0x8000_0000, "local"),
    (0x4000_0000, "reject"),
    (0x2000_0000, "mc"),
    (0x1000_0000, "brd"),
    (0x0800_0000, "dst-nat"),
    (0x0080_0000, "src-nat"),
    (0x0040_0000, "masq"),
    (0x0002_0000, "dst-direct"),
    (0x0400_0000, "src-direct"),
    (0x0004_0000, "redirected"),
    (0x0100_0000, "redirect"),
    (0x0020_0000, "fastroute"),
    (0x0001_0000, "notify"),
    (0x0008_0000, "proxy"),
];

fn host_bits(family: u8) -> u8 {
    match family {
        2 => 32,
        10 => 128,
        _ => 0,
    }
}

/// Prints a route; facts that the filter fixes are left out.
pub(crate) fn print(out: &mut Out<'_>, world: &mut World, message: &Message<'_>, filter: &Filter) {
    let Some(route) = Route::read(message.payload) else { return };
    let attrs = message.attrs(Route::LENGTH);
    let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.u32());
    let details = world.options.details;
    let colour = Colour::of_family(route.family);
    if message.kind == kind::DEL_ROUTE {
        out.put("deleted", true, format_args!("Deleted "));
    }
    if route.kind != 1 || details {
        let name = if world.names.numeric { route.kind.to_string() } else { names::kind(route.kind) };
        out.put("type", name.as_str(), format_args!("{name} "));
    }
    put_destination(out, &route, &attrs, colour);
    if let Some(ip) = attrs.find(rta::NEWDST).and_then(|attr| attr.ip()) {
        let text = ip_text(ip);
        out.put("to", text.as_str(), format_args!("as to {text} "));
    }
    put_encap(out, world, &attrs);
    if route.tos != 0 && filter.tos.is_none() {
        let name = world.names.field(route.tos);
        out.put("tos", name.as_str(), format_args!("tos {name} "));
    }
    if let Some(id) = number(rta::NH_ID) {
        out.put("nhid", id, format_args!("nhid {id} "));
    }
    if filter.via.is_none_or(|via| via.bits != host_bits(route.family)) {
        put_gateway(out, &attrs, colour);
    }
    if let Some(index) = attrs.find(rta::OIF).and_then(|attr| attr.i32())
        && filter.oif.is_none()
    {
        let name = world.link_name(index);
        out.words(format_args!("dev "));
        out.tint(Some(Colour::Interface), "dev", &name, "", " ");
    }
    put_class(out, world, &route, &attrs, filter);
    if let Some(ip) = attrs.find(rta::PREFSRC).and_then(|attr| attr.ip())
        && filter.prefsrc.is_none_or(|source| source.bits != host_bits(route.family))
    {
        out.words(format_args!("src "));
        out.tint(colour, "prefsrc", &ip_text(ip), "", " ");
    }
    if let Some(metric) = number(rta::PRIORITY)
        && filter.metric.is_none()
    {
        out.put("metric", metric, format_args!("metric {metric} "));
    }
    put_flags(out, route.flags);
    if let Some(mark) = number(rta::MARK).filter(|mark| *mark != 0) {
        if mark >= 16 {
            out.put("mark", mark, format_args!("mark {mark:#x} "));
        } else {
            out.put("mark", mark, format_args!("mark {mark} "));
        }
    }
    if let Some(flow) = number(rta::FLOW)
        && filter.realm.is_none_or(|(_, mask)| mask != u32::MAX)
    {
        put_realms(out, world, flow);
    }
    if let Some(uid) = number(rta::UID) {
        out.put("uid", uid, format_args!("uid {uid} "));
    }
    if route.family == 2 && route.flags & CLONED != 0 {
        put_cache_flags(out, route.flags);
    }
    if let Some(info) = attrs.find(rta::CACHEINFO) {
        put_cache(out, world, &info);
    }
    if let Some(metrics) = attrs.find(rta::METRICS) {
        put_metrics(out, &metrics.nested());
    }
    if let Some(index) = attrs.find(rta::IIF).and_then(|attr| attr.i32())
        && filter.iif.is_none()
    {
        let name = world.link_name(index);
        out.words(format_args!("iif "));
        out.tint(Some(Colour::Interface), "iif", &name, "", " ");
    }
    if let Some(preference) = attrs.find(rta::PREF).and_then(|attr| attr.u8()) {
        put_preference(out, preference);
    }
    if let Some(on) = attrs.find(rta::TTL_PROPAGATE).and_then(|attr| attr.u8()) {
        let words = if on != 0 { "enabled" } else { "disabled" };
        out.put("ttl-propogate", on != 0, format_args!("ttl-propogate {words}"));
    }
    if details && let Some(id) = number(rta::NH_ID) {
        crate::nexthop::put_info(out, world, id);
    }
    if let Some(paths) = attrs.find(rta::MULTIPATH) {
        out.array("nexthops");
        for hop in hops(paths.value) {
            put_hop(out, world, &hop, &route, colour);
        }
        out.end();
    }
    out.newline();
}

fn put_destination(out: &mut Out<'_>, route: &Route, attrs: &Attrs<'_>, colour: Option<Colour>) {
    let with_bits = |ip: Option<std::net::IpAddr>, bits: u8| match ip {
        Some(ip) if bits != host_bits(route.family) => format!("{}/{bits}", ip_text(ip)),
        Some(ip) => ip_text(ip),
        None => String::new(),
    };
    let destination = match attrs.find(rta::DST) {
        Some(attr) => with_bits(attr.ip(), route.dst_len),
        None if route.dst_len != 0 => format!("0/{}", route.dst_len),
        None => "default".to_owned(),
    };
    let colour_of_destination = if attrs.find(rta::DST).is_some() { colour } else { None };
    out.tint(colour_of_destination, "dst", &destination, "", " ");
    match attrs.find(rta::SRC) {
        Some(attr) => {
            let source = with_bits(attr.ip(), route.src_len);
            out.member("from", source.as_str());
            out.paint(colour, &format!("from {source} "));
        }
        None if route.src_len != 0 => {
            let text = format!("0/{}", route.src_len);
            out.put("from", text.as_str(), format_args!("from {text} "));
        }
        None => {}
    }
}

/// Table, protocol and scope, which an answer of the cache does not repeat.
fn put_class(out: &mut Out<'_>, world: &World, route: &Route, attrs: &Attrs<'_>, filter: &Filter) {
    let details = world.options.details;
    let table = attrs.find(rta::TABLE).and_then(|attr| attr.u32()).unwrap_or(u32::from(route.table));
    if table != 0 && (table != MAIN || details) && filter.table == 0 {
        let name = world.names.table(table);
        out.put("table", name.as_str(), format_args!("table {name} "));
    }
    if route.flags & CLONED != 0 {
        return;
    }
    if (route.protocol != 3 || details) && filter.protocol.is_none() {
        let name = world.names.protocol(u32::from(route.protocol));
        out.put("protocol", name.as_str(), format_args!("proto {name} "));
    }
    if (route.scope != 0 || details) && filter.scope.is_none() {
        let name = world.names.scope(u32::from(route.scope));
        out.put("scope", name.as_str(), format_args!("scope {name} "));
    }
}

/// RTA_GATEWAY, and RTA_VIA where the gateway is of another family.
pub(crate) fn put_gateway(out: &mut Out<'_>, attrs: &Attrs<'_>, colour: Option<Colour>) {
    if let Some(ip) = attrs.find(rta::GATEWAY).and_then(|attr| attr.ip()) {
        out.words(format_args!("via "));
        out.tint(colour, "gateway", &ip_text(ip), "", " ");
    }
    if let Some(via) = attrs.find(rta::VIA) {
        let family = raw::u16(via.value, 0).and_then(|family| u8::try_from(family).ok()).unwrap_or(0);
        let bytes = via.value.get(2..).unwrap_or_default();
        let host = match (Attr { kind: 0, value: bytes }).ip() {
            Some(ip) if family != 17 => ip_text(ip),
            _ => crate::link_kind::colons(bytes),
        };
        let name = family_name(family);
        out.object("via");
        out.put("family", name.as_str(), format_args!("via {name} "));
        out.tint(Colour::of_family(family), "host", &host, "", " ");
        out.end();
    }
}

pub(crate) fn put_flags(out: &mut Out<'_>, flags: u32) {
    let names: Vec<&str> = FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    for name in &names {
        out.words(format_args!("{name} "));
    }
    out.member("flags", names);
}

fn put_realms(out: &mut Out<'_>, world: &World, flow: u32) {
    let (from, to) = (flow >> 16, flow & 0xffff);
    out.object("flow");
    if from != 0 {
        let name = world.names.realm(from);
        out.put("from", name.as_str(), format_args!("realms {name}/"));
    } else {
        out.words(format_args!("realm "));
    }
    let name = world.names.realm(to);
    out.put("to", name.as_str(), format_args!("{name} "));
    out.end();
}

fn put_cache_flags(out: &mut Out<'_>, flags: u32) {
    out.line();
    out.words(format_args!("    cache "));
    let mut rest = flags & !0xffff;
    let mut words = Vec::new();
    for (bit, name) in CACHE_FLAGS {
        if rest & bit != 0 {
            words.push((*name).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 {
        words.push(format!("{rest:x}"));
    }
    if !words.is_empty() {
        out.words(format_args!("<{}> ", words.join(",")));
    }
    out.member("cache", words);
}

/// struct rta_cacheinfo.
fn put_cache(out: &mut Out<'_>, world: &World, info: &Attr<'_>) {
    let word = |index: usize| raw::u32(info.value, index * 4).unwrap_or(0);
    let expires = i64::from(i32::from_ne_bytes(word(2).to_ne_bytes()));
    if expires != 0 {
        let seconds = expires / HZ;
        out.put("expires", seconds, format_args!("expires {seconds}sec "));
    }
    let error = word(3);
    if error != 0 {
        out.put("error", error, format_args!("error {error} "));
    }
    if world.options.stats > 0 {
        for (index, key) in [(0, "users"), (4, "used")] {
            if word(index) != 0 {
                out.put(key, word(index), format_args!("{key} {} ", word(index)));
            }
        }
        let age = i64::from(word(1)) / HZ;
        if word(1) != 0 {
            out.put("age", age, format_args!("age {age}sec "));
        }
    }
    if word(5) != 0 {
        out.put("ipid", format!("{:#06x}", word(5)), format_args!("ipid 0x{:04x} ", word(5)));
    }
    if word(6) != 0 || word(7) != 0 {
        out.put("ts", format!("{:#x}", word(6)), format_args!("ts {:#x} ", word(6)));
        out.put("tsage", word(7), format_args!("tsage {}sec ", word(7)));
    }
}

/// RTAX_* from 2 on.
const METRICS: &[&str] = &[
    "mtu",
    "window",
    "rtt",
    "rttvar",
    "ssthresh",
    "cwnd",
    "advmss",
    "reordering",
    "hoplimit",
    "initcwnd",
    "features",
    "rto_min",
    "initrwnd",
    "quickack",
    "congestion",
    "fastopen_no_cookie",
];

fn put_metrics(out: &mut Out<'_>, metrics: &Attrs<'_>) {
    let lock = metrics.find(1).and_then(|attr| attr.u32()).unwrap_or(0);
    out.array("metrics");
    out.object("");
    for (kind, key) in (2u16..).zip(METRICS) {
        let Some(attr) = metrics.find(kind) else { continue };
        let locked = if lock >> kind & 1 == 1 { "lock " } else { "" };
        let word = if *key == "congestion" { "congctl" } else { key };
        out.words(format_args!("{word} {locked}"));
        let value = attr.u32().unwrap_or(0);
        match *key {
            "congestion" => {
                let name = attr.text();
                out.put(key, name.as_str(), format_args!("{name} "));
            }
            "features" => {
                if value & 1 != 0 {
                    out.mark("ecn", "ecn ");
                }
                let rest = value & !1;
                if rest != 0 {
                    out.put(key, format!("{rest:#x}"), format_args!("{rest:#x} "));
                }
            }
            "rtt" | "rttvar" | "rto_min" => {
                let value = match *key {
                    "rtt" => value / 8,
                    "rttvar" => value / 4,
                    _ => value,
                };
                if value >= 1000 {
                    let text = format!("{}", f64::from(value) / 1000.0);
                    out.put(key, value, format_args!("{text}s "));
                } else {
                    out.put(key, value, format_args!("{value}ms "));
                }
            }
            _ => out.put(key, value, format_args!("{value} ")),
        }
    }
    out.end();
    out.end();
}

fn put_preference(out: &mut Out<'_>, preference: u8) {
    let name = match preference {
        0 => "medium",
        1 => "high",
        3 => "low",
        other => return out.put("pref", other, format_args!("pref {other}")),
    };
    out.put("pref", name, format_args!("pref {name}"));
}

fn put_hop(out: &mut Out<'_>, world: &mut World, hop: &Hop<'_>, route: &Route, colour: Option<Colour>) {
    out.object("");
    out.line();
    out.words(format_args!("\tnexthop "));
    put_encap(out, world, &hop.attrs);
    put_gateway(out, &hop.attrs, colour);
    if let Some(flow) = hop.attrs.find(rta::FLOW).and_then(|attr| attr.u32()) {
        put_realms(out, world, flow);
    }
    if route.flags & CLONED != 0 && route.kind == 5 {
        let name = world.link_name(hop.index);
        out.put("dev", name.as_str(), format_args!("{name}"));
        if hop.hops != 1 {
            out.put("ttl", hop.hops, format_args!("(ttl>{})", hop.hops));
        }
        out.words(format_args!(" "));
    } else {
        let name = world.link_name(hop.index);
        out.put("dev", name.as_str(), format_args!("dev {name} "));
        if route.family != 28 {
            let weight = u16::from(hop.hops) + 1;
            out.put("weight", weight, format_args!("weight {weight} "));
        }
    }
    put_flags(out, u32::from(hop.flags));
    out.end();
}

/// LWTUNNEL_ENCAP_* (linux/lwtunnel.h).
const ENCAPS: &[&str] = &["none", "mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm"];

pub(crate) fn put_encap(out: &mut Out<'_>, world: &mut World, attrs: &Attrs<'_>) {
    let (Some(encap), Some(kind)) = (attrs.find(rta::ENCAP), attrs.find(rta::ENCAP_TYPE).and_then(|attr| attr.u16()))
    else {
        return;
    };
    let name = ENCAPS.get(usize::from(kind)).copied().unwrap_or("unknown");
    out.put("encap", name, format_args!(" encap {name} "));
    let inner = encap.nested();
    match name {
        "mpls" => {
            if let Some(labels) = inner.find(1).map(|attr| labels(attr.value)) {
                out.put("dst", labels.as_str(), format_args!(" {labels} "));
            }
            if let Some(ttl) = inner.find(2).and_then(|attr| attr.u8()) {
                out.put("ttl", ttl, format_args!("ttl {ttl} "));
            }
        }
        "ip" | "ip6" => put_encap_ip(out, &inner, name == "ip"),
        "seg6" => {
            let Some(srh) = inner.find(1) else { return };
            let mode = raw::i32(srh.value, 0).unwrap_or(0);
            let name = match mode {
                0 => "inline",
                1 => "encap",
                2 => "l2encap",
                3 => "encap.red",
                4 => "l2encap.red",
                _ => "unknown",
            };
            out.put("mode", name, format_args!("mode {name} "));
            let header = srh.value.get(4..).unwrap_or_default();
            let count = usize::from(raw::u8(header, 4).unwrap_or(0)) + 1;
            let list = header.get(8..).unwrap_or_default();
            let segments: Vec<String> = list
                .chunks_exact(16)
                .take(count)
                .rev()
                .filter_map(|bytes| Attr { kind: 0, value: bytes }.ip().map(ip_text))
                .collect();
            out.words(format_args!("segs {} [ ", segments.len()));
            for segment in &segments {
                out.paint(Some(Colour::Inet6), &format!("{segment} "));
            }
            out.words(format_args!("] "));
            out.member("segs", segments);
        }
        "seg6local" => put_local_segment(out, world, &inner),
        _ => {}
    }
}

/// SEG6_LOCAL_ACTION_* from 1 on (linux/seg6_local.h, RFC 8986).
const LOCAL_ACTIONS: &[&str] = &[
    "End",
    "End.X",
    "End.T",
    "End.DX2",
    "End.DX6",
    "End.DX4",
    "End.DT6",
    "End.DT4",
    "End.B6",
    "End.B6.Encaps",
    "End.BM",
    "End.S",
    "End.AS",
    "End.AM",
    "End.BPF",
    "End.DT46",
];

/// What happens to a packet at its segment (SEG6_LOCAL_* in linux/seg6_local.h).
fn put_local_segment(out: &mut Out<'_>, world: &mut World, inner: &Attrs<'_>) {
    let number = |kind: u16| inner.find(kind).and_then(|attr| attr.u32());
    if let Some(action) = number(1) {
        let at = usize::try_from(action).ok().and_then(|action| action.checked_sub(1));
        let name = at.and_then(|at| LOCAL_ACTIONS.get(at)).copied().unwrap_or("<unknown>");
        out.put("action", name, format_args!("action {name} "));
    }
    for (kind, key) in [(3, "table"), (9, "vrftable")] {
        if let Some(table) = number(kind) {
            let name = world.names.table(table);
            out.put(key, name.as_str(), format_args!("{key} {name} "));
        }
    }
    for (kind, key) in [(4, "nh4"), (5, "nh6")] {
        if let Some(ip) = inner.find(kind).and_then(|attr| attr.ip()).map(ip_text) {
            out.put(key, ip.as_str(), format_args!("{key} {ip} "));
        }
    }
    for (kind, key) in [(6, "iif"), (7, "oif")] {
        if let Some(index) = inner.find(kind).and_then(|attr| attr.i32()) {
            let name = world.link_name(index);
            out.put(key, name.as_str(), format_args!("{key} {name} "));
        }
    }
}

fn put_encap_ip(out: &mut Out<'_>, inner: &Attrs<'_>, v4: bool) {
    if let Some(id) = inner.find(1).and_then(|attr| raw::array::<8>(attr.value, 0)).map(u64::from_be_bytes) {
        out.put("id", id, format_args!("id {id} "));
    }
    for (kind, key) in [(3, "src"), (2, "dst")] {
        if let Some(ip) = inner.find(kind).and_then(|attr| attr.ip()).map(ip_text) {
            out.put(key, ip.as_str(), format_args!("{key} {ip} "));
        }
    }
    for (kind, key) in [(4, if v4 { "ttl" } else { "hoplimit" }), (5, if v4 { "tos" } else { "tc" })] {
        if let Some(value) = inner.find(kind).and_then(|attr| attr.u8()) {
            out.put(key, value, format_args!("{key} {value} "));
        }
    }
    let flags = inner.find(6).and_then(|attr| attr.be16()).unwrap_or(0);
    for (bit, key) in [(0x4, "key"), (0x1, "csum"), (0x8, "seq")] {
        if flags & bit != 0 {
            out.put(key, true, format_args!("{key} "));
        }
    }
}

/// A stack of MPLS labels: twenty bits each, ending with the bottom-of-stack bit (RFC 3032, 2.1).
fn labels(bytes: &[u8]) -> String {
    let mut shown = Vec::new();
    for entry in bytes.chunks_exact(4) {
        let entry = raw::be32(entry, 0).unwrap_or(0);
        shown.push((entry >> 12).to_string());
        if entry >> 8 & 1 == 1 {
            break;
        }
    }
    shown.join("/")
}
