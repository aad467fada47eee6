//! Extensions of x_tables in nft's words, as far as nft has some; it leaves the rest by name.
//!
//! Structures are those of linux/netfilter/xt_*.h and linux/netfilter_ipv4|6/ip*t_*.h.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::datatype::Type;
use crate::bytes::Fields;
use crate::model::Family;
use crate::save::prefix_length;

/// Appends words, or gives `None` where there are none.
type Writer = fn(&mut String, Fields<'_>, Family) -> Option<()>;

/// Name, first and last revision, words.
type Definition = (&'static str, u32, u32, Writer);

static MATCHES: &[Definition] = &[
    ("comment", 0, 0, |_, _, _| Some(())),
    ("conntrack", 2, 3, conntrack),
    ("state", 0, 0, |out, f, _| states(out, f.u32(0)?, false)),
    ("multiport", 1, 1, multiport),
    ("addrtype", 1, 1, addrtype),
    ("icmp", 0, 0, |out, f, _| icmp(out, f, "icmp", Type::ICMP_TYPE)),
    ("icmp6", 0, 0, |out, f, _| icmp(out, f, "icmpv6", Type::ICMPV6_TYPE)),
    ("statistic", 0, 0, statistic),
    ("owner", 1, 1, owner),
    ("pkttype", 0, 0, |out, f, _| {
        let name = Type::PKTTYPE.symbol(u128::from(f.u32(0)?))?;
        put(out, format_args!("pkttype {}{name}", not(f.u32(4)? != 0)))
    }),
    ("length", 0, 0, |out, f, _| {
        out.push_str("meta length ");
        out.push_str(not(f.u8(4)? != 0));
        span(out, u32::from(f.u16(0)?), u32::from(f.u16(2)?))
    }),
    ("ttl", 0, 0, |out, f, _| hops(out, f, "ip ttl")),
    ("hl", 0, 0, |out, f, _| hops(out, f, "ip6 hoplimit")),
    ("iprange", 1, 1, iprange),
    ("connmark", 1, 1, |out, f, _| {
        let (mark, mask, inverted) = (f.u32(0)?, f.u32(4)?, f.u8(8)? != 0);
        match (mask, inverted) {
            (u32::MAX, _) => put(out, format_args!("ct mark {}0x{mark:x}", not(inverted))),
            (_, true) => put(out, format_args!("ct mark and 0x{mask:x} != 0x{mark:x}")),
            (_, false) => put(out, format_args!("ct mark and 0x{mask:x} == 0x{mark:x}")),
        }
    }),
    ("mac", 0, 0, |out, f, _| {
        let [a, b, c, d, e, g] = f.array::<6>(0)?;
        let inverted = not(f.u32(8)? != 0);
        put(out, format_args!("ether saddr {inverted}{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"))
    }),
    ("dscp", 0, 0, |out, f, family| {
        put(out, format_args!("{} dscp {}0x{:02x}", ip(family), not(f.u8(1)? != 0), f.u8(0)?))
    }),
    ("helper", 0, 0, |out, f, _| {
        put(out, format_args!("ct helper {}\"{}\"", not(f.u32(0)? != 0), printable(&f.text(4, 30)?)))
    }),
    ("cgroup", 0, 0, |out, f, _| put(out, format_args!("meta cgroup {}{}", not(f.u32(4)? != 0), f.u32(0)?))),
    ("cgroup", 1, 2, |out, f, _| match (f.u8(0)?, f.u8(1)?) {
        (0, 1) => put(out, format_args!("meta cgroup {}{}", not(f.u8(3)? != 0), f.u32(4)?)),
        _ => None,
    }),
    ("devgroup", 0, 0, |out, f, _| {
        let flags = f.u32(0)?;
        let mut blank = "";
        for (bit, at, word) in [(1, 4, "iifgroup"), (4, 12, "oifgroup")] {
            if flags & bit != 0 {
                if f.u32(at + 4)? != u32::MAX {
                    return None;
                }
                put(out, format_args!("{blank}{word} {}0x{:x}", not(flags & (bit << 1) != 0), f.u32(at)?))?;
                blank = " ";
            }
        }
        Some(())
    }),
    ("sctp", 0, 0, |out, f, _| {
        // Ports, and nothing of chunks (XT_SCTP_*).
        let (flags, inverted) = (f.u32(284)?, f.u32(288)?);
        let mut blank = "";
        for (bit, at, word) in [(1, 4, "sport"), (2, 0, "dport")] {
            if flags & bit != 0 {
                put(out, format_args!("{blank}sctp {word} {}", not(inverted & bit != 0)))?;
                span(out, u32::from(f.u16(at)?), u32::from(f.u16(at + 2)?))?;
                blank = " ";
            }
        }
        (flags & !3 == 0).then_some(())
    }),
    ("cpu", 0, 0, |out, f, _| put(out, format_args!("cpu {}{}", not(f.u32(4)? != 0), f.u32(0)?))),
    ("realm", 0, 0, |out, f, _| match f.u32(4)? {
        u32::MAX => put(out, format_args!("rtclassid {}0x{:x}", not(f.u8(8)? != 0), f.u32(0)?)),
        _ => None,
    }),
    ("esp", 0, 0, |out, f, _| {
        out.push_str("esp spi ");
        out.push_str(not(f.u8(8)? & 1 != 0));
        span(out, f.u32(0)?, f.u32(4)?)
    }),
    ("tcpmss", 0, 0, |out, f, _| {
        out.push_str("tcp option maxseg size ");
        out.push_str(not(f.u8(4)? != 0));
        span(out, u32::from(f.u16(0)?), u32::from(f.u16(2)?))
    }),
    ("quota", 0, 0, |out, f, _| {
        put(out, format_args!("quota {}{} bytes", if f.u32(0)? & 1 != 0 { "over " } else { "" }, f.u64(8)?))
    }),
    ("tcp", 0, 0, |out, f, _| ports(out, f, "tcp", 11)),
    ("udp", 0, 0, |out, f, _| ports(out, f, "udp", 8)),
];

static TARGETS: &[Definition] = &[
    ("LOG", 0, 0, log),
    ("REJECT", 0, 0, reject),
    ("NFQUEUE", 0, 3, nfqueue),
    ("DNAT", 0, 2, |out, f, family| nat(out, f, family, "dnat")),
    ("SNAT", 0, 2, |out, f, family| nat(out, f, family, "snat")),
    ("MASQUERADE", 0, 0, |out, f, family| nat(out, f, family, "masquerade")),
    ("REDIRECT", 0, 0, |out, f, family| nat(out, f, family, "redirect")),
    ("MARK", 2, 2, |out, f, _| {
        let (value, mask) = (f.u32(0)?, f.u32(4)?);
        out.push_str("meta mark set ");
        match (value, mask) {
            (_, u32::MAX) => put(out, format_args!("0x{value:x}")),
            (0, mask) => put(out, format_args!("mark and 0x{:x}", !mask)),
            (value, mask) if value == mask => put(out, format_args!("mark or 0x{value:x}")),
            (value, 0) => put(out, format_args!("mark xor 0x{value:x}")),
            (value, mask) => put(out, format_args!("mark and 0x{:x} xor 0x{value:x}", !mask)),
        }
    }),
    ("CONNMARK", 1, 1, |out, f, _| connmark(out, f, f.u8(12)?)),
    ("CONNMARK", 2, 2, |out, f, _| match f.u8(13)? {
        0 => connmark(out, f, f.u8(14)?),
        _ => None,
    }),
    // XT_CT_NOTRACK and nothing else
    ("CT", 0, 2, |out, f, _| match f.u16(0)? & 1 {
        1 => put(out, format_args!("notrack")),
        _ => None,
    }),
    ("NOTRACK", 0, 0, |out, _, _| put(out, format_args!("notrack"))),
    ("TRACE", 0, 0, |out, _, _| put(out, format_args!("nftrace set 1"))),
    ("TCPMSS", 0, 0, |out, f, _| match f.u16(0)? {
        0xffff => put(out, format_args!("tcp option maxseg size set rt mtu")),
        size => put(out, format_args!("tcp option maxseg size set {size}")),
    }),
    ("DSCP", 0, 0, |out, f, family| put(out, format_args!("{} dscp set 0x{:02x}", ip(family), f.u8(0)?))),
    ("CLASSIFY", 0, 0, |out, f, _| {
        let priority = f.u32(0)?;
        put(out, format_args!("meta priority set {:x}:{:x}", priority >> 16, priority & 0xffff))
    }),
    ("TEE", 1, 1, |out, f, family| {
        put(out, format_args!("dup to {}", f.address(0, family)?))?;
        let device = f.text(16, 16)?;
        if device.is_empty() { Some(()) } else { put(out, format_args!(" device {}", printable(&device))) }
    }),
];

/// An extension as a rule has it.
#[derive(Clone, Copy, Debug)]
pub struct Found<'f> {
    /// Not a match.
    pub target: bool,
    /// Name.
    pub name: &'f str,
    /// Revision.
    pub revision: u32,
    /// Structure.
    pub info: &'f [u8],
}

/// Its words, in a table of this family (NFPROTO_*) and behind a condition on this protocol; `None` where nft has none either.
pub fn words(found: &Found<'_>, family: u8, protocol: Option<&str>) -> Option<String> {
    let family = match family {
        super::family::IPV4 => Family::Ipv4,
        super::family::IPV6 => Family::Ipv6,
        _ => return None,
    };
    let table = if found.target { TARGETS } else { MATCHES };
    let fits =
        |(known, first, last, _): &&Definition| *known == found.name && (*first..=*last).contains(&found.revision);
    let (.., write) = table.iter().find(fits)?;
    let mut out = String::new();
    write(&mut out, Fields(found.info), family)?;
    Some(if found.name == "multiport" { out.replace('@', protocol?) } else { out })
}

fn put(out: &mut String, words: std::fmt::Arguments<'_>) -> Option<()> {
    out.write_fmt(words).ok()
}

fn not(inverted: bool) -> &'static str {
    if inverted { "!= " } else { "" }
}

fn ip(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip6",
    }
}

fn printable(text: &str) -> String {
    netkit_core::text::printable(text)
}

fn span(out: &mut String, low: u32, high: u32) -> Option<()> {
    if low == high { put(out, format_args!("{low}")) } else { put(out, format_args!("{low}-{high}")) }
}

/// State bits in the order in which they are written.
const STATES: [(u32, &str); 5] =
    [(1, "invalid"), (8, "new"), (4, "related"), (2, "established"), (1 << 8, "untracked")];

fn list(out: &mut String, bits: u32, names: &[(u32, &str)]) -> Option<()> {
    let known = names.iter().fold(0, |known, (bit, _)| known | bit);
    if bits == 0 || bits & !known != 0 {
        // What has no name here must not be passed over.
        return None;
    }
    let words: Vec<&str> = names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    put(out, format_args!("{}", words.join(",")))
}

fn states(out: &mut String, bits: u32, inverted: bool) -> Option<()> {
    out.push_str(if inverted { "ct state ! " } else { "ct state " });
    list(out, bits, &STATES)
}

/// struct xt_conntrack_mtinfo2, struct xt_conntrack_mtinfo3
fn conntrack(out: &mut String, f: Fields<'_>, family: Family) -> Option<()> {
    /// XT_CONNTRACK_*
    const STATE: u16 = 1;
    const PROTOCOL: u16 = 1 << 1;
    const STATUS: u16 = 1 << 6;
    const EXPIRES: u16 = 1 << 7;
    const PORTS: u16 = 0xf00;
    const DIRECTION: u16 = 1 << 12;
    /// States that are status bits.
    const SNAT: u32 = 1 << 6;
    const DNAT: u32 = 1 << 7;
    let (wanted, inverted) = (f.u16(146)?, f.u16(148)?);
    let reply = wanted & inverted & DIRECTION != 0;
    let side = if reply { "reply" } else { "original" };
    let is = |bit: u16| not(inverted & bit != 0);
    let none = |bit: u16| if inverted & bit != 0 { "! " } else { "" };
    let mut blank = "";
    let mut next = |out: &mut String| out.push_str(std::mem::replace(&mut blank, " "));
    if wanted & DIRECTION != 0 {
        next(out);
        put(out, format_args!("ct direction {side}"))?;
    }
    if wanted & PROTOCOL != 0 {
        next(out);
        put(out, format_args!("ct {side} protocol {}{}", is(PROTOCOL), f.u16(136)?))?;
    }
    if wanted & STATE != 0 {
        next(out);
        let bits = u32::from(f.u16(150)?);
        match bits & (SNAT | DNAT) {
            0 => states(out, bits, inverted & STATE != 0)?,
            // A state and a translation are alternatives here, which one condition cannot say.
            nat if nat == bits => {
                put(out, format_args!("ct status {}", none(STATE)))?;
                list(out, bits, &[(SNAT, "snat"), (DNAT, "dnat")])?;
            }
            _ => return None,
        }
    }
    if wanted & STATUS != 0 {
        next(out);
        let names = [(1, "expected"), (2, "seen-reply"), (4, "assured"), (8, "confirmed")];
        put(out, format_args!("ct status {}", none(STATUS)))?;
        list(out, u32::from(f.u16(152)?), &names)?;
    }
    if wanted & EXPIRES != 0 {
        next(out);
        put(out, format_args!("ct expiration {}", is(EXPIRES)))?;
        span(out, f.u32(128)?, f.u32(132)?)?;
    }
    for (index, words) in ["original saddr", "original daddr", "reply saddr", "reply daddr"].into_iter().enumerate() {
        let bit = 4 << index;
        if wanted & bit != 0 {
            next(out);
            let (address, mask) = (f.address(32 * index, family)?, f.address(32 * index + 16, family)?);
            put(out, format_args!("ct {words} {}{address}", is(bit)))?;
            let length = prefix_length(mask)?;
            if length < u32::from(family.bits()) {
                put(out, format_args!("/{length}"))?;
            }
        }
    }
    // Which revision says where a range of ports ends cannot be told from the structure alone.
    if wanted & PORTS != 0 { None } else { Some(()) }
}

/// struct xt_multiport_v1; `@` stands for the protocol, which only the rule's condition before it knows.
fn multiport(out: &mut String, f: Fields<'_>, _: Family) -> Option<()> {
    let (side, count) = (f.u8(0)?, usize::from(f.u8(1)?).min(15));
    let mut items = Vec::new();
    let mut at = 0;
    while at < count {
        let low = f.u16(2 + 2 * at)?;
        if f.u8(32 + at)? != 0 {
            at += 1;
            items.push(format!("{low}-{}", f.u16(2 + 2 * at)?));
        } else {
            items.push(low.to_string());
        }
        at += 1;
    }
    let inverted = not(f.u8(47)? != 0);
    match side {
        0 | 1 => put(out, format_args!("@ {} {inverted}", if side == 0 { "sport" } else { "dport" }))?,
        _ => {
            let either = |item: &String| format!("0-65535 . {item}, {item} . 0-65535");
            let pairs: Vec<String> = items.iter().map(either).collect();
            return put(out, format_args!("@ sport . @ dport {inverted}{{ {} }}", pairs.join(", ")));
        }
    }
    match items.as_slice() {
        [only] => put(out, format_args!("{only}")),
        several => put(out, format_args!("{{ {} }}", several.join(", "))),
    }
}

/// struct xt_addrtype_info_v1
fn addrtype(out: &mut String, f: Fields<'_>, _: Family) -> Option<()> {
    let flags = f.u32(4)?;
    let interface = match flags & 0x0c {
        0 => "",
        0x04 => " . iif",
        0x08 => " . oif",
        _ => return None,
    };
    let mut blank = "";
    for (offset, word, inverted) in [(0, "saddr", 1), (2, "daddr", 2)] {
        let types = f.u16(offset)?;
        if types == 0 {
            continue;
        }
        let names: Vec<&str> = (0..16_u32)
            .filter(|bit| types & 1 << bit != 0)
            .map(|bit| Type::FIB_TYPE.symbol(u128::from(bit)))
            .collect::<Option<_>>()?;
        put(out, format_args!("{blank}fib {word}{interface} type {}", not(flags & inverted != 0)))?;
        match names.as_slice() {
            [only] => out.push_str(only),
            several => put(out, format_args!("{{ {} }}", several.join(", ")))?,
        }
        blank = " ";
    }
    Some(())
}

/// struct ipt_icmp, struct ip6t_icmp
fn icmp(out: &mut String, f: Fields<'_>, word: &str, ty: Type) -> Option<()> {
    let (kind, low, high, inverted) = (f.u8(0)?, f.u8(1)?, f.u8(2)?, f.u8(3)? & 1 != 0);
    if (low, high) != (0, 0xff) {
        return None;
    }
    if kind == 0xff && ty == Type::ICMP_TYPE {
        return put(out, format_args!("ip protocol icmp"));
    }
    put(out, format_args!("{word} type {}", not(inverted)))?;
    match ty.symbol(u128::from(kind)) {
        Some(name) => put(out, format_args!("{name}")),
        None => put(out, format_args!("{kind}")),
    }
}

/// struct xt_statistic_info
fn statistic(out: &mut String, f: Fields<'_>, _: Family) -> Option<()> {
    let inverted = f.u16(2)? & 1 != 0;
    if f.u16(0)? == 0 {
        let sign = if inverted { ">=" } else { "<" };
        // The kernel compares 31 random bits with the probability.
        return put(out, format_args!("meta random & 2147483647 {sign} {}", f.u32(4)?));
    }
    let (every, packet) = (f.u32(4)?.checked_add(1)?, f.u32(8)?);
    put(out, format_args!("numgen inc mod {every} {}{packet}", not(inverted)))
}

/// struct xt_owner_match_info
fn owner(out: &mut String, f: Fields<'_>, _: Family) -> Option<()> {
    let (wanted, inverted) = (f.u8(16)?, f.u8(17)?);
    match wanted & 7 {
        1 => {
            put(out, format_args!("skuid {}", not(inverted & 1 != 0)))?;
            span(out, f.u32(0)?, f.u32(4)?)
        }
        2 => {
            put(out, format_args!("skgid {}", not(inverted & 2 != 0)))?;
            span(out, f.u32(8)?, f.u32(12)?)
        }
        _ => None,
    }
}

/// struct ipt_ttl_info, struct ip6t_hl_info
fn hops(out: &mut String, f: Fields<'_>, words: &str) -> Option<()> {
    let sign = ["", "!= ", "lt ", "gt "].get(usize::from(f.u8(0)?))?;
    put(out, format_args!("{words} {sign}{}", f.u8(1)?))
}

/// struct xt_iprange_mtinfo
fn iprange(out: &mut String, f: Fields<'_>, family: Family) -> Option<()> {
    let flags = f.u8(64)?;
    let mut blank = "";
    for (offset, word, bit, inverted) in [(0, "saddr", 1, 1 << 4), (32, "daddr", 2, 1 << 5)] {
        if flags & bit != 0 {
            let (low, high) = (f.address(offset, family)?, f.address(offset + 16, family)?);
            put(out, format_args!("{blank}{} {word} {}{low}-{high}", ip(family), not(flags & inverted != 0)))?;
            blank = " ";
        }
    }
    Some(())
}

/// struct xt_tcp and struct xt_udp, ports only.
fn ports(out: &mut String, f: Fields<'_>, protocol: &str, inverted_at: usize) -> Option<()> {
    let inverted = f.u8(inverted_at)?;
    let mut blank = "";
    for (offset, word, bit) in [(0, "sport", 1), (4, "dport", 2)] {
        let (low, high) = (f.u16(offset)?, f.u16(offset + 2)?);
        if (low, high) != (0, u16::MAX) || inverted & bit != 0 {
            put(out, format_args!("{blank}{protocol} {word} {}", not(inverted & bit != 0)))?;
            span(out, u32::from(low), u32::from(high))?;
            blank = " ";
        }
    }
    // Flags and options of TCP.
    if protocol == "tcp" && (f.u8(8)? != 0 || f.u8(9)? != 0) {
        return None;
    }
    Some(())
}

/// struct xt_log_info
fn log(out: &mut String, f: Fields<'_>, _: Family) -> Option<()> {
    let (level, flags, prefix) = (f.u8(0)?, f.u8(1)?, f.text(2, 30)?);
    out.push_str("log");
    if !prefix.is_empty() {
        put(out, format_args!(" prefix \"{}\"", printable(&prefix)))?;
    }
    let names = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];
    if level != 4 {
        put(out, format_args!(" level {}", names.get(usize::from(level))?))?;
    }
    for word in super::text::log_flags(u32::from(flags)) {
        put(out, format_args!(" flags {word}"))?;
    }
    Some(())
}

/// struct ipt_reject_info, struct ip6t_reject_info
fn reject(out: &mut String, f: Fields<'_>, family: Family) -> Option<()> {
    let number = usize::try_from(f.u32(0)?).ok()?;
    let words = match family {
        Family::Ipv4 => [
            " with icmp type net-unreachable",
            " with icmp type host-unreachable",
            " with icmp type prot-unreachable",
            "",
            "echo",
            " with icmp type net-prohibited",
            " with icmp type host-prohibited",
            " with tcp reset",
            " with icmp type admin-prohibited",
        ]
        .as_slice(),
        Family::Ipv6 => &[
            " with icmpv6 type no-route",
            " with icmpv6 type admin-prohibited",
            "echo",
            " with icmpv6 type addr-unreachable",
            "",
            "echo",
            " with tcp reset",
            " with icmpv6 type policy-fail",
            " with icmpv6 type reject-route",
        ],
    };
    let words = words.get(number).filter(|words| **words != "echo")?;
    put(out, format_args!("reject{words}"))
}

/// struct xt_NFQ_info, _v1 to _v3
fn nfqueue(out: &mut String, f: Fields<'_>, _: Family) -> Option<()> {
    let (first, total, flags) = (f.u16(0)?, f.u16(2).unwrap_or(1), f.u16(4).unwrap_or(0));
    put(out, format_args!("queue num {first}"))?;
    if total > 1 {
        put(out, format_args!("-{}", u32::from(first) + u32::from(total) - 1))?;
    }
    let mut comma = " ";
    for (bit, word) in [(1, "bypass"), (2, "fanout")] {
        if flags & bit != 0 {
            put(out, format_args!("{comma}{word}"))?;
            comma = ",";
        }
    }
    Some(())
}

/// struct xt_connmark_tginfo1
fn connmark(out: &mut String, f: Fields<'_>, mode: u8) -> Option<()> {
    let (mark, ctmask, nfmask) = (f.u32(0)?, f.u32(4)?, f.u32(8)?);
    match mode {
        0 => {
            out.push_str("ct mark set ");
            match (mark, ctmask) {
                (_, u32::MAX) => put(out, format_args!("0x{mark:x}")),
                (0, mask) => put(out, format_args!("ct mark and 0x{:x}", !mask)),
                (mark, mask) if mark == mask => put(out, format_args!("ct mark or 0x{mark:x}")),
                (mark, 0) => put(out, format_args!("ct mark xor 0x{mark:x}")),
                (mark, mask) => put(out, format_args!("ct mark xor 0x{mark:x} and 0x{:x}", !mask)),
            }
        }
        // Save and restore, where both marks have the same mask.
        1 | 2 => {
            let (left, right) = if mode == 1 { ("ct mark", "mark") } else { ("meta mark", "ct mark") };
            put(out, format_args!("{left} set {right}"))?;
            match (ctmask, nfmask) {
                (u32::MAX, u32::MAX) => Some(()),
                (ctmask, nfmask) if ctmask == nfmask => put(out, format_args!(" and 0x{ctmask:x}")),
                _ => None,
            }
        }
        _ => None,
    }
}

/// struct nf_nat_ipv4_multi_range_compat, struct nf_nat_range, struct nf_nat_range2
fn nat(out: &mut String, f: Fields<'_>, family: Family, word: &str) -> Option<()> {
    /// Octets of the first, padded.
    const MULTI_RANGE: usize = 24;
    const ADDRESSES: u32 = 1;
    const PORTS: u32 = 2;
    const OFFSET: u32 = 0x20;
    let old = family == Family::Ipv4 && f.0.len() <= MULTI_RANGE;
    let (flags, low, high, ports): (u32, IpAddr, IpAddr, (u16, u16)) = if old {
        (f.u32(4)?, f.address(8, family)?, f.address(12, family)?, (f.be16(16)?, f.be16(18)?))
    } else {
        (f.u32(0)?, f.address(4, family)?, f.address(20, family)?, (f.be16(36)?, f.be16(38)?))
    };
    if flags & OFFSET != 0 {
        return None;
    }
    out.push_str(word);
    if flags & (ADDRESSES | PORTS) != 0 {
        out.push_str(" to ");
    }
    if flags & ADDRESSES != 0 {
        let (open, close) = if low.is_ipv6() && flags & PORTS != 0 { ("[", "]") } else { ("", "") };
        put(out, format_args!("{open}{low}{close}"))?;
        if low != high {
            put(out, format_args!("-{open}{high}{close}"))?;
        }
    }
    if flags & PORTS != 0 {
        out.push(':');
        span(out, u32::from(ports.0), u32::from(ports.1))?;
    }
    for (index, flag) in super::text::nat_flags(flags).iter().enumerate() {
        put(out, format_args!("{}{flag}", if index == 0 { " " } else { "," }))?;
    }
    Some(())
}
