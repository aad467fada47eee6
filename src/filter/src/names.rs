//! What a name in a filter stands for.

use std::net::IpAddr;

/// Who knows what names stand for. Asked only for names that stand in the filter.
pub trait Names {
    /// Addresses of a host.
    fn host(&mut self, name: &str) -> Vec<IpAddr>;
    /// The number of a network, without the zero octets at its end, as networks(5) writes it.
    fn network(&mut self, name: &str) -> Option<u32>;
    /// The port of a service over TCP and over UDP.
    fn port(&mut self, name: &str) -> (Option<u16>, Option<u16>);
    /// The number of an IP protocol.
    fn protocol(&mut self, name: &str) -> Option<u8>;
    /// The hardware address of a host, as ethers(5) has it.
    fn ether(&mut self, name: &str) -> Option<[u8; 6]>;
}

/// Knows protocols by their IANA names and nothing else.
#[derive(Debug, Default)]
pub struct BuiltIn;

impl Names for BuiltIn {
    fn host(&mut self, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }

    fn network(&mut self, _: &str) -> Option<u32> {
        None
    }

    fn port(&mut self, _: &str) -> (Option<u16>, Option<u16>) {
        (None, None)
    }

    fn protocol(&mut self, name: &str) -> Option<u8> {
        protocol(name)
    }

    fn ether(&mut self, _: &str) -> Option<[u8; 6]> {
        None
    }
}

/// The IP protocol that IANA's registry, and protocols(5) after it, calls `name`; upper case too.
pub(super) fn protocol(name: &str) -> Option<u8> {
    PROTOCOLS.iter().find(|(lower, _)| *lower == name || lower.to_ascii_uppercase() == name).map(|(_, number)| *number)
}

const PROTOCOLS: &[(&str, u8)] = &[
    ("ip", 0),
    ("hopopt", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("ggp", 3),
    ("ipencap", 4),
    ("st", 5),
    ("tcp", 6),
    ("egp", 8),
    ("igp", 9),
    ("pup", 12),
    ("udp", 17),
    ("hmp", 20),
    ("xns-idp", 22),
    ("rdp", 27),
    ("iso-tp4", 29),
    ("dccp", 33),
    ("xtp", 36),
    ("ddp", 37),
    ("idpr-cmtp", 38),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("idrp", 45),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("skip", 57),
    ("ipv6-icmp", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("eigrp", 88),
    ("ospf", 89),
    ("ospfigp", 89),
    ("ax.25", 93),
    ("ipip", 94),
    ("etherip", 97),
    ("encap", 98),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("isis", 124),
    ("sctp", 132),
    ("fc", 133),
    ("mobility-header", 135),
    ("udplite", 136),
    ("mpls-in-ip", 137),
    ("manet", 138),
    ("hip", 139),
    ("shim6", 140),
    ("wesp", 141),
    ("rohc", 142),
    ("ethernet", 143),
];

/// Link-layer protocols: an Ethernet type, or a service access point of 802.2 below 0x600.
pub(super) fn link_protocol(name: &str) -> Option<u32> {
    const TABLE: [(&str, u32); 16] = [
        ("aarp", 0x80f3),
        ("arp", 0x0806),
        ("atalk", 0x809b),
        ("decnet", 0x6003),
        ("ip", 0x0800),
        ("ip6", 0x86dd),
        ("lat", 0x6004),
        ("loopback", 0x9000),
        ("mopdl", 0x6001),
        ("moprc", 0x6002),
        ("rarp", 0x8035),
        ("sca", 0x6007),
        ("iso", 0xfe),
        ("stp", 0x42),
        ("ipx", 0xe0),
        ("netbeui", 0xf0),
    ];
    TABLE.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// Protocols inside ISO's network layer.
pub(super) fn iso_protocol(name: &str) -> Option<u32> {
    [("clnp", 0x81), ("esis", 0x82), ("isis", 0x83)].iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}
