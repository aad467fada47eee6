//! Matches.

use std::fmt::Write as _;

use super::names::{self, Icmp, Kind};
use super::text::{flag, list_range, not, push_mark, push_quoted, save_range};
use super::{Context, Definition, Writer, conntrack, content, ipv6, packet, ports, sets, stateful};
use crate::bytes::{Fields, Shown};
use crate::model::Family;

const fn both(name: &'static str, revisions: (u8, u8), save: Writer, list: Writer) -> Definition {
    Definition { name, revisions, family: None, save, list }
}

const fn only(family: Family, name: &'static str, revisions: (u8, u8), save: Writer, list: Writer) -> Definition {
    Definition { name, revisions, family: Some(family), save, list }
}

/// One function writes both.
const fn one(name: &'static str, revision: u8, write: Writer) -> Definition {
    Definition { name, revisions: (revision, revision), family: None, save: write, list: write }
}

const fn one6(name: &'static str, revision: u8, write: Writer) -> Definition {
    Definition { name, revisions: (revision, revision), family: Some(Family::Ipv6), save: write, list: write }
}

pub(super) static TABLE: &[Definition] = &[
    both("comment", (0, 0), comment_save, comment_list),
    both("tcp", (0, 0), ports::tcp_save, ports::tcp_list),
    both("udp", (0, 0), ports::udp_save, ports::udp_list),
    both("multiport", (1, 1), ports::multiport_save, ports::multiport_list),
    both("mark", (1, 1), mark_save, mark_list),
    both("connmark", (1, 1), mark_save, connmark_list),
    both("limit", (0, 0), limit_save, limit_list),
    both("statistic", (0, 0), statistic_save, statistic_list),
    both("addrtype", (1, 1), addrtype_save, addrtype_list),
    both("conntrack", (1, 1), conntrack::save1, conntrack::list1),
    both("conntrack", (2, 2), conntrack::save2, conntrack::list2),
    both("conntrack", (3, 3), conntrack::save3, conntrack::list3),
    both("state", (0, 0), conntrack::state_save, conntrack::state_list),
    only(Family::Ipv4, "icmp", (0, 0), icmp_save, icmp_list),
    only(Family::Ipv6, "icmp6", (0, 0), icmp6_save, icmp6_list),
    both("owner", (1, 1), owner_save, owner_list),
    both("pkttype", (0, 0), pkttype_save, pkttype_list),
    both("length", (0, 0), length_save, length_list),
    both("mac", (0, 0), mac_save, mac_list),
    both("iprange", (1, 1), iprange_save, iprange_list),
    both("physdev", (0, 0), physdev_save, physdev_list),
    both("tcpmss", (0, 0), tcpmss_save, tcpmss_list),
    only(Family::Ipv4, "ttl", (0, 0), ttl_save, ttl_list),
    only(Family::Ipv6, "hl", (0, 0), hl_save, hl_list),
    both("dscp", (0, 0), dscp_save, dscp_list),
    both("helper", (0, 0), helper_save, helper_list),
    both("socket", (0, 3), socket_save, socket_list),
    both("rpfilter", (0, 0), rpfilter_save, rpfilter_list),
    both("cpu", (0, 0), cpu_save, cpu_list),
    one("realm", 0, packet::realm),
    both("esp", (0, 0), esp_save, esp_list),
    only(Family::Ipv4, "ah", (0, 0), ah_save, ah_list),
    both("set", (1, 2), sets::match1_save, sets::match1_list),
    both("set", (3, 3), sets::match3_save, sets::match3_list),
    both("set", (4, 4), sets::match4_save, sets::match4_list),
    both("recent", (0, 1), stateful::recent_save, stateful::recent_list),
    both("hashlimit", (1, 1), stateful::hash1_save, stateful::hash1_list),
    both("hashlimit", (2, 2), stateful::hash2_save, stateful::hash2_list),
    both("hashlimit", (3, 3), stateful::hash3_save, stateful::hash3_list),
    both("connlimit", (1, 1), stateful::connlimit_save, stateful::connlimit_list),
    both("quota", (0, 0), stateful::quota_save, stateful::quota_list),
    both("nfacct", (0, 1), stateful::nfacct_save, stateful::nfacct_list),
    both("string", (1, 1), content::string_save, content::string_list),
    both("u32", (0, 0), content::u32_save, content::u32_list),
    both("bpf", (0, 0), content::bpf0_save, content::bpf0_list),
    both("bpf", (1, 1), content::bpf1_save, content::bpf1_list),
    both("devgroup", (0, 0), content::devgroup_save, content::devgroup_list),
    both("cgroup", (0, 0), content::cgroup0_save, content::cgroup0_list),
    both("cgroup", (1, 2), content::cgroup_save, content::cgroup_list),
    only(Family::Ipv6, "frag", (0, 0), content::frag_save, content::frag_list),
    one("sctp", 0, ports::sctp),
    one("dccp", 0, ports::dccp),
    one("time", 0, packet::time),
    one("policy", 0, packet::policy),
    one("ecn", 0, packet::ecn),
    one("cluster", 0, packet::cluster),
    one("osf", 0, packet::osf),
    one("connbytes", 0, packet::connbytes),
    one("connlabel", 0, packet::connlabel),
    one("tos", 1, packet::tos),
    one("ipcomp", 0, packet::ipcomp),
    one("rateest", 0, packet::rateest),
    one("ipvs", 0, packet::ipvs),
    one6("ah", 0, ipv6::ah),
    one6("hbh", 0, ipv6::hbh),
    one6("dst", 0, ipv6::dst),
    one6("rt", 0, ipv6::rt),
    one6("srh", 0, ipv6::srh0),
    one6("srh", 1, ipv6::srh1),
    one6("eui64", 0, ipv6::eui64),
    one6("ipv6header", 0, ipv6::ipv6header),
    one6("mh", 0, ipv6::mh),
];

fn comment_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(" --comment");
    push_quoted(out, &fields.text(0, 256)?);
    Some(())
}

fn comment_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " /* {} */", fields.text(0, 256)?);
    Some(())
}

/// struct xt_mark_mtinfo1, struct xt_connmark_mtinfo1
fn mark_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, "{} --mark", not(flag(fields, 8)?));
    push_mark(out, fields.u32(0)?, fields.u32(4)?);
    Some(())
}

fn mark_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " mark match{}", not(flag(fields, 8)?));
    push_mark(out, fields.u32(0)?, fields.u32(4)?);
    Some(())
}

fn connmark_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(" connmark match ");
    if flag(fields, 8)? {
        out.push('!');
    }
    push_mark(out, fields.u32(0)?, fields.u32(4)?);
    Some(())
}

/// Packets a unit of time from the distance between two packets, in units of 100 microseconds.
fn push_rate(out: &mut String, period: u32) {
    const SECOND: u32 = 10_000;
    const UNITS: [(&str, u32); 4] =
        [("day", 86_400 * SECOND), ("hour", 3_600 * SECOND), ("min", 60 * SECOND), ("sec", SECOND)];
    if period == 0 {
        out.push_str(" inf");
        return;
    }
    // The finest unit in which the rate is a whole number that loses little.
    let mut chosen = UNITS[0];
    for unit in UNITS.into_iter().skip(1) {
        if period > unit.1 || unit.1 / period < unit.1 % period {
            break;
        }
        chosen = unit;
    }
    let _ = write!(out, " {}/{}", chosen.1 / period, chosen.0);
}

/// struct xt_rateinfo
fn limit_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    /// XT_LIMIT_BURST of libxt_limit
    const BURST: u32 = 5;
    out.push_str(" --limit");
    push_rate(out, fields.u32(0)?);
    let burst = fields.u32(4)?;
    if burst != BURST {
        let _ = write!(out, " --limit-burst {burst}");
    }
    Some(())
}

fn limit_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(" limit: avg");
    push_rate(out, fields.u32(0)?);
    let _ = write!(out, " burst {}", fields.u32(4)?);
    Some(())
}

fn statistic(out: &mut String, fields: Fields<'_>, dashes: &str) -> Option<()> {
    let not = not(fields.u16(2)? & 1 != 0);
    let _ = match fields.u16(0)? {
        0 => {
            let probability = f64::from(fields.u32(4)?) / f64::from(0x8000_0000u32);
            write!(out, " {dashes}mode random{not} {dashes}probability {probability:.11}")
        }
        1 => {
            let every = u64::from(fields.u32(4)?) + 1;
            {
                let packet = fields.u32(8)?;
                let _ = write!(out, " {dashes}mode nth{not} {dashes}every {every}");
                // A list leaves out the first packet.
                if packet == 0 && dashes.is_empty() { Ok(()) } else { write!(out, " {dashes}packet {packet}") }
            }
        }
        _ => return None,
    };
    Some(())
}

/// struct xt_statistic_info
fn statistic_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    statistic(out, fields, "--")
}

fn statistic_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(" statistic");
    statistic(out, fields, "")
}

/// Names of address types by bit (linux/rtnetlink.h, RTN_*).
const ADDRESS_TYPES: [&str; 12] = [
    "UNSPEC",
    "UNICAST",
    "LOCAL",
    "BROADCAST",
    "ANYCAST",
    "MULTICAST",
    "BLACKHOLE",
    "UNREACHABLE",
    "PROHIBIT",
    "THROW",
    "NAT",
    "XRESOLVE",
];

fn push_types(out: &mut String, types: u16) {
    let mut any = false;
    for (bit, name) in ADDRESS_TYPES.iter().enumerate() {
        if types >> bit & 1 == 1 {
            if any {
                out.push(',');
            }
            out.push_str(name);
            any = true;
        }
    }
}

/// struct xt_addrtype_info_v1
fn addrtype_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let flags = fields.u32(4)?;
    for (offset, option, inverted) in [(0, "--src-type", 0x01), (2, "--dst-type", 0x02)] {
        let types = fields.u16(offset)?;
        if types != 0 {
            let _ = write!(out, "{} {option} ", not(flags & inverted != 0));
            push_types(out, types);
        }
    }
    for (option, bit) in [(" --limit-iface-in", 0x04), (" --limit-iface-out", 0x08)] {
        if flags & bit != 0 {
            out.push_str(option);
        }
    }
    Some(())
}

fn addrtype_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let flags = fields.u32(4)?;
    out.push_str(" ADDRTYPE match");
    for (offset, word, inverted) in [(0, "src-type", 0x01), (2, "dst-type", 0x02)] {
        let types = fields.u16(offset)?;
        if types != 0 {
            let not = if flags & inverted != 0 { "!" } else { "" };
            let _ = write!(out, " {word} {not}");
            push_types(out, types);
        }
    }
    for (word, bit) in [(" limit-in", 0x04), (" limit-out", 0x08)] {
        if flags & bit != 0 {
            out.push_str(word);
        }
    }
    Some(())
}

/// struct ipt_icmp, struct ip6t_icmp: a type and a range of codes.
fn icmp_options(out: &mut String, fields: Fields<'_>, option: &str, any: &str) -> Option<()> {
    let (kind, low, high) = (fields.u8(0)?, fields.u8(1)?, fields.u8(2)?);
    let _ = write!(out, "{} {option} ", not(fields.u8(3)? & 1 != 0));
    if kind == u8::MAX && !any.is_empty() {
        out.push_str(any);
        return Some(());
    }
    let _ = write!(out, "{kind}");
    if (low, high) != (0, u8::MAX) {
        let _ = write!(out, "/{low}");
    }
    Some(())
}

fn icmp_words(
    out: &mut String,
    fields: Fields<'_>,
    context: &Context<'_>,
    protocol: &str,
    table: &[Icmp],
) -> Option<()> {
    let (kind, low, high) = (fields.u8(0)?, fields.u8(1)?, fields.u8(2)?);
    let not = if fields.u8(3)? & 1 != 0 { " !" } else { "" };
    if !context.numeric
        && let Some((.., name)) = table.iter().find(|known| (known.0, known.1, known.2) == (kind, low, high))
    {
        let blank = if not.is_empty() { " " } else { "" };
        let _ = write!(out, " {protocol}{not}{blank}{name}");
        return Some(());
    }
    let _ = write!(out, " {protocol}{not}type {kind}");
    let _ = match (low, high) {
        (0, u8::MAX) => Ok(()),
        (low, high) if low == high => write!(out, " code {low}"),
        (low, high) => write!(out, " codes {low}-{high}"),
    };
    Some(())
}

fn icmp_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    icmp_options(out, fields, "--icmp-type", "any")
}

fn icmp_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    icmp_words(out, fields, context, "icmp", &names::ICMP)
}

fn icmp6_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    icmp_options(out, fields, "--icmpv6-type", "")
}

fn icmp6_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    icmp_words(out, fields, context, "ipv6-icmp", &names::ICMP6)
}

/// struct xt_owner_match_info
fn owner(out: &mut String, fields: Fields<'_>, context: &Context<'_>, words: [&str; 4]) -> Option<()> {
    let (wanted, inverted) = (fields.u8(16)?, fields.u8(17)?);
    let [socket, uid, gid, groups] = words;
    for (bit, word, range) in [
        (0x04, socket, None),
        (0x01, uid, Some((0, Kind::User))),
        (0x02, gid, Some((8, Kind::Group))),
        (0x08, groups, None),
    ] {
        if wanted & bit == 0 {
            continue;
        }
        let _ = write!(out, "{} {word}", not(inverted & bit != 0));
        if let Some((offset, kind)) = range {
            let (low, high) = (fields.u32(offset)?, fields.u32(offset + 4)?);
            let name = if context.numeric || low != high { None } else { names::name_of(context, kind, low) };
            let _ = match name {
                Some(name) => write!(out, " {name}"),
                None if low == high => write!(out, " {low}"),
                None => write!(out, " {low}-{high}"),
            };
        }
    }
    Some(())
}

fn owner_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    owner(out, fields, context, ["--socket-exists", "--uid-owner", "--gid-owner", "--suppl-groups"])
}

fn owner_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    owner(out, fields, context, ["owner socket exists", "owner UID match", "owner GID match", "incl. suppl. groups"])
}

/// struct xt_pkttype_info; PACKET_* of linux/if_packet.h
fn pkttype(out: &mut String, fields: Fields<'_>) -> Option<()> {
    let _ = match fields.i32(0)? {
        0 => write!(out, " unicast"),
        1 => write!(out, " broadcast"),
        2 => write!(out, " multicast"),
        other => write!(out, " {other}"),
    };
    Some(())
}

fn pkttype_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, "{} --pkt-type", not(fields.i32(4)? != 0));
    pkttype(out, fields)
}

fn pkttype_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " PKTTYPE {}=", if fields.i32(4)? != 0 { "!" } else { "" });
    pkttype(out, fields)
}

/// struct xt_length_info
fn length_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let (low, high) = (fields.u16(0)?, fields.u16(2)?);
    let _ = write!(out, "{} --length {low}", not(fields.u8(4)? != 0));
    if low != high {
        let _ = write!(out, ":{high}");
    }
    Some(())
}

fn length_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let (low, high) = (fields.u16(0)?, fields.u16(2)?);
    let _ = write!(out, " length {}{low}", if fields.u8(4)? != 0 { "!" } else { "" });
    if low != high {
        let _ = write!(out, ":{high}");
    }
    Some(())
}

/// struct xt_mac_info
fn mac(fields: Fields<'_>) -> Option<String> {
    let octets: [u8; 6] = fields.array(0)?;
    Some(octets.map(|octet| format!("{octet:02x}")).join(":"))
}

fn mac_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, "{} --mac-source {}", not(fields.i32(8)? != 0), mac(fields)?);
    Some(())
}

fn mac_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " MAC{} {}", not(fields.i32(8)? != 0), mac(fields)?);
    Some(())
}

/// struct xt_iprange_mtinfo: source and destination, low and high, then flags.
fn iprange(
    out: &mut String,
    fields: Fields<'_>,
    context: &Context<'_>,
    words: [&str; 2],
    not_first: bool,
) -> Option<()> {
    let flags = fields.u8(64)?;
    for ((word, at), (bit, inverted)) in words.into_iter().zip([0, 32]).zip([(0x01, 0x10), (0x02, 0x20)]) {
        if flags & bit != 0 {
            let (low, high) =
                (Shown(fields.address(at, context.family)?), Shown(fields.address(at + 16, context.family)?));
            let not = not(flags & inverted != 0);
            let (before, after) = if not_first { (not, "") } else { ("", not) };
            let _ = write!(out, "{before} {word}{after} {low}-{high}");
        }
    }
    Some(())
}

fn iprange_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    iprange(out, fields, context, ["--src-range", "--dst-range"], true)
}

fn iprange_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    iprange(out, fields, context, ["source IP range", "destination IP range"], false)
}

/// struct xt_physdev_info: two names with masks, inverted bits, wanted bits.
fn physdev(out: &mut String, fields: Fields<'_>, dashes: &str) -> Option<()> {
    let (inverted, wanted) = (fields.u8(64)?, fields.u8(65)?);
    for (bit, word, name) in [
        (0x08, "physdev-is-in", None),
        (0x01, "physdev-in", Some(0)),
        (0x10, "physdev-is-out", None),
        (0x02, "physdev-out", Some(32)),
        (0x04, "physdev-is-bridged", None),
    ] {
        if wanted & bit != 0 {
            let _ = write!(out, "{} {dashes}{word}", not(inverted & bit != 0));
            if let Some(at) = name {
                let _ = write!(out, " {}", fields.text(at, 16)?);
            }
        }
    }
    Some(())
}

fn physdev_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    physdev(out, fields, "--")
}

fn physdev_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(" PHYSDEV match");
    physdev(out, fields, "--")
}

/// struct xt_tcpmss_match_info
fn tcpmss(out: &mut String, fields: Fields<'_>, word: &str) -> Option<()> {
    let (low, high) = (fields.u16(0)?, fields.u16(2)?);
    let _ = write!(out, "{word}{low}");
    if low != high {
        let _ = write!(out, ":{high}");
    }
    Some(())
}

fn tcpmss_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(not(fields.u8(4)? != 0));
    tcpmss(out, fields, " --mss ")
}

fn tcpmss_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    tcpmss(out, fields, if fields.u8(4)? != 0 { " tcpmss match !" } else { " tcpmss match " })
}

/// struct ipt_ttl_info, struct ip6t_hl_info: mode (equal, not equal, less, greater), then the number.
fn hops(out: &mut String, fields: Fields<'_>, words: [&str; 4]) -> Option<()> {
    let word = words.get(usize::from(fields.u8(0)?))?.to_owned();
    let _ = write!(out, " {word} {}", fields.u8(1)?);
    Some(())
}

fn ttl_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    hops(out, fields, ["--ttl-eq", "! --ttl-eq", "--ttl-lt", "--ttl-gt"])
}

fn ttl_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    hops(out, fields, ["TTL match TTL ==", "TTL match TTL !=", "TTL match TTL <", "TTL match TTL >"])
}

fn hl_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    hops(out, fields, ["--hl-eq", "! --hl-eq", "--hl-lt", "--hl-gt"])
}

fn hl_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    hops(out, fields, ["HL match HL ==", "HL match HL !=", "HL match HL <", "HL match HL >"])
}

/// struct xt_dscp_info
fn dscp_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, "{} --dscp 0x{:02x}", not(fields.u8(1)? != 0), fields.u8(0)?);
    Some(())
}

fn dscp_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " DSCP match {}0x{:02x}", if fields.u8(1)? != 0 { "!" } else { "" }, fields.u8(0)?);
    Some(())
}

/// struct xt_helper_info
fn helper_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, "{} --helper", not(fields.i32(0)? != 0));
    push_quoted(out, &fields.text(4, 30)?);
    Some(())
}

fn helper_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " helper match {}\"{}\"", if fields.i32(0)? != 0 { "! " } else { "" }, fields.text(4, 30)?);
    Some(())
}

/// struct xt_socket_mtinfo1 and on; revision 0 has no structure.
fn socket(out: &mut String, fields: Fields<'_>, dashes: &str) -> Option<()> {
    let flags = fields.u8(0).unwrap_or(0);
    for (bit, word) in [(0x01, "transparent"), (0x02, "nowildcard"), (0x04, "restore-skmark")] {
        if flags & bit != 0 {
            let _ = write!(out, " {dashes}{word}");
        }
    }
    Some(())
}

fn socket_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    socket(out, fields, "--")
}

fn socket_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(" socket");
    socket(out, fields, "--")
}

/// struct xt_rpfilter_info
fn rpfilter(out: &mut String, fields: Fields<'_>, dashes: &str) -> Option<()> {
    let flags = fields.u8(0)?;
    for (bit, word) in [(0x01, "loose"), (0x02, "validmark"), (0x04, "accept-local"), (0x08, "invert")] {
        if flags & bit != 0 {
            let _ = write!(out, " {dashes}{word}");
        }
    }
    Some(())
}

fn rpfilter_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    rpfilter(out, fields, "--")
}

fn rpfilter_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(" rpfilter");
    rpfilter(out, fields, "")
}

/// struct xt_cpu_info
fn cpu_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, "{} --cpu {}", not(fields.u32(4)? != 0), fields.u32(0)?);
    Some(())
}

fn cpu_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " cpu {}{}", if fields.u32(4)? != 0 { "! " } else { "" }, fields.u32(0)?);
    Some(())
}

/// struct xt_esp, struct ipt_ah: a range of security parameter indexes.
fn spis(out: &mut String, fields: Fields<'_>, option: &str) -> Option<()> {
    save_range(out, option, (fields.u32(0)?, fields.u32(4)?), (0, u32::MAX), fields.u8(8)? & 1 != 0);
    Some(())
}

fn spi_words(out: &mut String, fields: Fields<'_>, word: &str) -> Option<()> {
    list_range(out, word, (fields.u32(0)?, fields.u32(4)?), (0, u32::MAX), fields.u8(8)? & 1 != 0);
    Some(())
}

fn esp_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    spis(out, fields, "--espspi")
}

fn esp_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(" esp");
    spi_words(out, fields, " spi")
}

fn ah_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    spis(out, fields, "--ahspi")
}

fn ah_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(" ah ");
    spi_words(out, fields, "spi")
}
