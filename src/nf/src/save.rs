//! The text of iptables-save(8) and `iptables -S`.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::bytes::Shown;
use crate::ext;
use crate::model::{Family, Header, Masked, Rule, Target, Verdict};

/// Appends one rule, `-A CHAIN ...`, without a line end. With `counters` they stand before the target, as `-S -v` has it.
pub fn rule(
    out: &mut String,
    family: Family,
    chain: &str,
    rule: &Rule<'_>,
    counters: bool,
    sets: &dyn Fn(u16) -> Option<String>,
) {
    rule_with(out, family, chain, rule, counters, sets, None);
}

/// The same, with names from files of the system for the few numbers that iptables-save writes by name.
pub fn rule_with(
    out: &mut String,
    family: Family,
    chain: &str,
    rule: &Rule<'_>,
    counters: bool,
    sets: &dyn Fn(u16) -> Option<String>,
    names: Option<ext::names::Lookup>,
) {
    let _ = write!(out, "-A {chain}");
    header(out, &rule.header, family);
    let protocol = protocol_of(&rule.header);
    let context = ext::Context { family, protocol, numeric: true, save: true, names, sets };
    for found in &rule.matches {
        let _ = write!(out, " -m {}", ext::match_name(found));
        ext::save_match(out, found, &context);
    }
    if counters {
        let _ = write!(out, " -c {} {}", rule.counters.packets, rule.counters.bytes);
    }
    match &rule.target {
        Target::None => {}
        Target::Verdict(verdict) => match verdict {
            Verdict::Unknown(number) => {
                let _ = write!(out, " -j [unknown verdict {number}]");
            }
            known => {
                let _ = write!(out, " -j {}", known.name().unwrap_or_default());
            }
        },
        Target::Chain { name, goto } => {
            let _ = write!(out, " -{} {name}", if *goto { 'g' } else { 'j' });
        }
        Target::Extension(found) => {
            let _ = write!(out, " -j {}", ext::target_name(found));
            ext::save_target(out, found, &context);
        }
    }
}

/// The protocol that extensions see: 0 when the rule names none or excludes one.
pub(crate) fn protocol_of(header: &Header<'_>) -> u16 {
    header.protocol.as_ref().filter(|protocol| !protocol.negated).map_or(0, |protocol| protocol.value)
}

fn header(out: &mut String, header: &Header<'_>, family: Family) {
    let not = |negated: bool| if negated { " !" } else { "" };
    for (letter, address) in [('s', &header.source), ('d', &header.destination)] {
        if let Some(address) = address {
            let _ = write!(out, "{} -{letter} {}", not(address.negated), masked(&address.value));
        }
    }
    for (letter, interface) in [('i', &header.input), ('o', &header.output)] {
        if let Some(interface) = interface {
            let plus = if interface.value.prefix { "+" } else { "" };
            let _ = write!(out, "{} -{letter} {}{plus}", not(interface.negated), interface.value.name);
        }
    }
    if let Some(protocol) = &header.protocol {
        let _ = write!(out, "{} -p {}", not(protocol.negated), protocol_text(protocol.value, family));
    }
    if let Some(fragment) = &header.fragment {
        let _ = write!(out, "{} -f", not(fragment.negated));
    }
}

/// `address/bits`, or `address/mask` for a mask with holes.
pub fn masked(value: &Masked) -> String {
    match prefix_length(value.mask) {
        Some(bits) => format!("{}/{bits}", Shown(value.address)),
        None => format!("{}/{}", Shown(value.address), Shown(value.mask)),
    }
}

/// Bits of a mask that is a run of ones; `None` for one with holes.
pub fn prefix_length(mask: IpAddr) -> Option<u32> {
    let (ones, bits) = match mask {
        IpAddr::V4(v4) => {
            let bits = u32::from(v4);
            (bits.leading_ones(), bits.count_ones())
        }
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            (bits.leading_ones(), bits.count_ones())
        }
    };
    (ones == bits).then_some(ones)
}

/// The name of a protocol as iptables has it built in, or as /etc/protocols of a Debian system names it; else its number.
pub fn protocol_text(protocol: u16, _family: Family) -> String {
    match protocol_name(protocol) {
        Some(name) => name.to_owned(),
        None => protocol.to_string(),
    }
}

/// Names of protocols (IANA protocol numbers): those that iptables has built in first, then what /etc/protocols of a
/// Debian system adds.
const PROTOCOLS: &[(u16, &str)] = &[
    (0, "all"),
    (1, "icmp"),
    (6, "tcp"),
    (17, "udp"),
    (33, "dccp"),
    (50, "esp"),
    (51, "ah"),
    (58, "ipv6-icmp"),
    (108, "ipcomp"),
    (132, "sctp"),
    (135, "mobility-header"),
    (136, "udplite"),
    (2, "igmp"),
    (3, "ggp"),
    (4, "ipencap"),
    (5, "st"),
    (8, "egp"),
    (9, "igp"),
    (12, "pup"),
    (20, "hmp"),
    (22, "xns-idp"),
    (27, "rdp"),
    (29, "iso-tp4"),
    (36, "xtp"),
    (37, "ddp"),
    (38, "idpr-cmtp"),
    (41, "ipv6"),
    (43, "ipv6-route"),
    (44, "ipv6-frag"),
    (45, "idrp"),
    (46, "rsvp"),
    (47, "gre"),
    (57, "skip"),
    (59, "ipv6-nonxt"),
    (60, "ipv6-opts"),
    (73, "rspf"),
    (81, "vmtp"),
    (88, "eigrp"),
    (89, "ospf"),
    (93, "ax.25"),
    (94, "ipip"),
    (97, "etherip"),
    (98, "encap"),
    (103, "pim"),
    (112, "vrrp"),
    (115, "l2tp"),
    (124, "isis"),
    (133, "fc"),
    (137, "mpls-in-ip"),
    (138, "manet"),
    (139, "hip"),
    (140, "shim6"),
    (141, "wesp"),
    (142, "rohc"),
    (143, "ethernet"),
];
/// How many of them are built in.
const BUILT_IN: usize = 12;

/// The name of a protocol, as a saved rule has it.
pub fn protocol_name(protocol: u16) -> Option<&'static str> {
    PROTOCOLS.iter().find(|(number, _)| *number == protocol).map(|(_, name)| *name)
}

/// The number of a protocol with one of these names, or with the name that iptables also takes.
pub fn protocol_number(name: &str) -> Option<u8> {
    let name = if name == "icmpv6" { "ipv6-icmp" } else { name };
    let (number, _) = PROTOCOLS.iter().find(|(number, known)| *known == name && *number != 0)?;
    u8::try_from(*number).ok()
}

/// The name of a protocol that needs no file to be known, as `-L -n` has it.
pub fn built_in_protocol(protocol: u16) -> Option<&'static str> {
    PROTOCOLS.iter().take(BUILT_IN).find(|(number, _)| *number == protocol).map(|(_, name)| *name)
}
