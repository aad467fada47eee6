//! Names for numbers that stand in files of the system, and tables of names of our own.

use super::Context;

/// What a number is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A port of TCP (/etc/services).
    Tcp,
    /// A port of UDP (/etc/services).
    Udp,
    /// A user (/etc/passwd).
    User,
    /// A group (/etc/group).
    Group,
    /// A routing realm (/etc/iproute2/rt_realms).
    Realm,
    /// A group of devices (/etc/iproute2/group).
    Devices,
}

/// Finds the name of a number; it is given by whoever may read files.
pub type Lookup = fn(Kind, u32) -> Option<String>;

/// Finds the name of an address, or of a network, without asking the network.
pub type Hosts = fn(std::net::IpAddr) -> Option<String>;

pub(super) fn name_of(context: &Context<'_>, kind: Kind, number: u32) -> Option<String> {
    context.names.and_then(|lookup| lookup(kind, number))
}

/// A port by name, unless numbers are wanted.
pub(super) fn push_port(out: &mut String, port: u16, protocol: u16, context: &Context<'_>) {
    use std::fmt::Write as _;
    let kind = match protocol {
        6 => Some(Kind::Tcp),
        17 => Some(Kind::Udp),
        _ => None,
    };
    let name = kind.filter(|_| !context.numeric).and_then(|kind| name_of(context, kind, port.into()));
    let _ = match name {
        Some(name) => write!(out, "{name}"),
        None => write!(out, "{port}"),
    };
}

/// Names of the type of service (RFC 1349).
pub(super) const TOS: [(u8, &str); 5] = [
    (0x10, "Minimize-Delay"),
    (0x08, "Maximize-Throughput"),
    (0x04, "Maximize-Reliability"),
    (0x02, "Minimize-Cost"),
    (0x00, "Normal-Service"),
];

/// A type of ICMP: number, first and last code, name.
pub(super) type Icmp = (u8, u8, u8, &'static str);

/// Types and codes of ICMP (IANA, ICMP Parameters), in the words of iptables-extensions(8).
pub(super) const ICMP: [Icmp; 37] = [
    (255, 0, 255, "any"),
    (0, 0, 255, "echo-reply"),
    (3, 0, 255, "destination-unreachable"),
    (3, 0, 0, "network-unreachable"),
    (3, 1, 1, "host-unreachable"),
    (3, 2, 2, "protocol-unreachable"),
    (3, 3, 3, "port-unreachable"),
    (3, 4, 4, "fragmentation-needed"),
    (3, 5, 5, "source-route-failed"),
    (3, 6, 6, "network-unknown"),
    (3, 7, 7, "host-unknown"),
    (3, 9, 9, "network-prohibited"),
    (3, 10, 10, "host-prohibited"),
    (3, 11, 11, "TOS-network-unreachable"),
    (3, 12, 12, "TOS-host-unreachable"),
    (3, 13, 13, "communication-prohibited"),
    (3, 14, 14, "host-precedence-violation"),
    (3, 15, 15, "precedence-cutoff"),
    (4, 0, 255, "source-quench"),
    (5, 0, 255, "redirect"),
    (5, 0, 0, "network-redirect"),
    (5, 1, 1, "host-redirect"),
    (5, 2, 2, "TOS-network-redirect"),
    (5, 3, 3, "TOS-host-redirect"),
    (8, 0, 255, "echo-request"),
    (9, 0, 255, "router-advertisement"),
    (10, 0, 255, "router-solicitation"),
    (11, 0, 255, "time-exceeded"),
    (11, 0, 0, "ttl-zero-during-transit"),
    (11, 1, 1, "ttl-zero-during-reassembly"),
    (12, 0, 255, "parameter-problem"),
    (12, 0, 0, "ip-header-bad"),
    (12, 1, 1, "required-option-missing"),
    (13, 0, 255, "timestamp-request"),
    (14, 0, 255, "timestamp-reply"),
    (17, 0, 255, "address-mask-request"),
    (18, 0, 255, "address-mask-reply"),
];

/// Types and codes of ICMPv6 (IANA, ICMPv6 Parameters).
pub(super) const ICMP6: [Icmp; 26] = [
    (1, 0, 255, "destination-unreachable"),
    (1, 0, 0, "no-route"),
    (1, 1, 1, "communication-prohibited"),
    (1, 2, 2, "beyond-scope"),
    (1, 3, 3, "address-unreachable"),
    (1, 4, 4, "port-unreachable"),
    (1, 5, 5, "failed-policy"),
    (1, 6, 6, "reject-route"),
    (2, 0, 255, "packet-too-big"),
    (3, 0, 255, "time-exceeded"),
    (3, 0, 0, "ttl-zero-during-transit"),
    (3, 1, 1, "ttl-zero-during-reassembly"),
    (4, 0, 255, "parameter-problem"),
    (4, 0, 0, "bad-header"),
    (4, 1, 1, "unknown-header-type"),
    (4, 2, 2, "unknown-option"),
    (128, 0, 255, "echo-request"),
    (129, 0, 255, "echo-reply"),
    (130, 0, 255, "mld-listener-query"),
    (131, 0, 255, "mld-listener-report"),
    (132, 0, 255, "mld-listener-done"),
    (133, 0, 255, "router-solicitation"),
    (134, 0, 255, "router-advertisement"),
    (135, 0, 255, "neighbour-solicitation"),
    (136, 0, 255, "neighbour-advertisement"),
    (137, 0, 255, "redirect"),
];

/// The name of a type and code of ICMP or ICMPv6, as ipset(8) writes it.
pub(crate) fn icmp_name(protocol: u16, kind: u8, code: u8) -> Option<&'static str> {
    let table: &[Icmp] = match protocol {
        1 => &ICMP,
        58 => &ICMP6,
        _ => return None,
    };
    // ipset knows fewer of them than iptables.
    if (protocol, kind) == (1, 255) || (protocol == 58 && matches!((kind, code), (130..=132, _) | (1, 2 | 5 | 6))) {
        return None;
    }
    let exact = table.iter().find(|known| (known.0, known.1, known.2) == (kind, code, code));
    // A type without codes of its own stands for its code 0.
    let whole = || table.iter().find(|known| known.0 == kind && known.1 != known.2 && code == 0);
    exact.or_else(whole).map(|(.., name)| *name)
}

/// The type and code of ICMP or ICMPv6 with this name.
pub fn icmp_number(protocol: u16, name: &str) -> Option<(u8, u8)> {
    let table: &[Icmp] = match protocol {
        1 => &ICMP,
        58 => &ICMP6,
        _ => return None,
    };
    let name = match name {
        "ping" => "echo-request",
        "pong" => "echo-reply",
        "ttl-exceeded" => "time-exceeded",
        "neighbor-solicitation" => "neighbour-solicitation",
        "neighbor-advertisement" => "neighbour-advertisement",
        other => other,
    };
    table.iter().find(|(.., known)| *known == name).map(|known| (known.0, known.1))
}
