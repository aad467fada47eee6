//! Where the fields of packet headers lie: protocols, IPv6 extension headers, TCP and IP options, SCTP chunks.
//!
//! Offsets and lengths are in bits; sources are the RFCs named at each table.

use super::datatype::Type;

/// Where a payload expression counts from (NFT_PAYLOAD_*_HEADER).
pub mod base {
    /// Link layer.
    pub const LINK: u32 = 0;
    /// Network.
    pub const NETWORK: u32 = 1;
    /// Transport.
    pub const TRANSPORT: u32 = 2;
    /// Behind the transport header.
    pub const INNER: u32 = 3;

    /// As nft writes it in raw expressions.
    pub fn name(base: u32) -> &'static str {
        match base {
            LINK => "ll",
            NETWORK => "nh",
            TRANSPORT => "th",
            INNER => "ih",
            _ => "unknown",
        }
    }
}

/// A field of a header.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in nft(8).
    pub name: &'static str,
    /// Bits from the header's beginning.
    pub offset: u32,
    /// Bits.
    pub bits: u32,
    /// What it holds.
    pub ty: Type,
    /// Only in ICMP messages of these types.
    pub only: &'static [u8],
}

const fn field(name: &'static str, offset: u32, bits: u32, ty: Type) -> Field {
    Field { name, offset, bits, ty, only: &[] }
}

const fn only(name: &'static str, offset: u32, bits: u32, only: &'static [u8]) -> Field {
    Field { name, offset, bits, ty: INT, only }
}

const INT: Type = Type::INTEGER;

/// Which numbers name the protocols within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upper {
    /// None.
    Nothing,
    /// Ethernet's types.
    Link,
    /// The protocols of IP.
    Transport,
}

/// A protocol.
#[derive(Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Its name in nft(8).
    pub name: &'static str,
    /// [`base`]
    pub base: u32,
    /// Its fields.
    pub fields: &'static [Field],
    /// Index of the field that names the next protocol.
    pub next: Option<usize>,
    /// The protocols within, by the number in that field.
    pub upper: Upper,
}

/// IEEE 802.3
pub static ETHER: Protocol = Protocol {
    name: "ether",
    base: base::LINK,
    fields: &[
        field("daddr", 0, 48, Type::ETHER),
        field("saddr", 48, 48, Type::ETHER),
        field("type", 96, 16, Type::ETHER_TYPE),
    ],
    next: Some(2),
    upper: Upper::Link,
};
static LINK_UPPER: &[(u32, &Protocol)] =
    &[(0x0800, &IP), (0x0806, &ARP), (0x86dd, &IP6), (0x8100, &VLAN), (0x88a8, &VLAN)];
/// IEEE 802.1Q, behind an Ethernet header.
pub static VLAN: Protocol = Protocol {
    name: "vlan",
    base: base::LINK,
    fields: &[
        field("pcp", 112, 3, INT),
        field("dei", 115, 1, INT),
        field("id", 116, 12, INT),
        field("type", 128, 16, Type::ETHER_TYPE),
    ],
    next: Some(3),
    upper: Upper::Link,
};
/// What inet and netdev know of the link layer: which protocol comes next.
pub static INET: Protocol = Protocol { name: "inet", base: base::LINK, fields: &[], next: None, upper: Upper::Link };
/// RFC 826
pub static ARP: Protocol = Protocol {
    name: "arp",
    base: base::NETWORK,
    fields: &[
        field("htype", 0, 16, INT),
        field("ptype", 16, 16, Type::ETHER_TYPE),
        field("hlen", 32, 8, INT),
        field("plen", 40, 8, INT),
        field("operation", 48, 16, Type::ARP_OP),
        field("saddr ether", 64, 48, Type::ETHER),
        field("saddr ip", 112, 32, Type::IPV4),
        field("daddr ether", 144, 48, Type::ETHER),
        field("daddr ip", 192, 32, Type::IPV4),
    ],
    next: None,
    upper: Upper::Nothing,
};
/// RFC 791
pub static IP: Protocol = Protocol {
    name: "ip",
    base: base::NETWORK,
    fields: &[
        field("version", 0, 4, INT),
        field("hdrlength", 4, 4, INT),
        field("dscp", 8, 6, Type::DSCP),
        field("ecn", 14, 2, Type::ECN),
        field("length", 16, 16, INT),
        field("id", 32, 16, INT),
        field("frag-off", 48, 16, INT),
        field("ttl", 64, 8, INT),
        field("protocol", 72, 8, Type::PROTOCOL),
        field("checksum", 80, 16, INT),
        field("saddr", 96, 32, Type::IPV4),
        field("daddr", 128, 32, Type::IPV4),
    ],
    next: Some(8),
    upper: Upper::Transport,
};
/// RFC 8200
pub static IP6: Protocol = Protocol {
    name: "ip6",
    base: base::NETWORK,
    fields: &[
        field("version", 0, 4, INT),
        field("dscp", 4, 6, Type::DSCP),
        field("ecn", 10, 2, Type::ECN),
        field("flowlabel", 12, 20, INT),
        field("length", 32, 16, INT),
        field("nexthdr", 48, 8, Type::PROTOCOL),
        field("hoplimit", 56, 8, INT),
        field("saddr", 64, 128, Type::IPV6),
        field("daddr", 192, 128, Type::IPV6),
    ],
    next: Some(5),
    upper: Upper::Transport,
};
/// By IANA's protocol number.
pub static TRANSPORT_UPPER: &[(u32, &Protocol)] = &[
    (1, &ICMP),
    (2, &IGMP),
    (6, &TCP),
    (17, &UDP),
    (33, &DCCP),
    (50, &ESP),
    (51, &AH),
    (58, &ICMPV6),
    (108, &COMP),
    (132, &SCTP),
    (136, &UDPLITE),
];
/// RFC 792
pub static ICMP: Protocol = Protocol {
    name: "icmp",
    base: base::TRANSPORT,
    fields: &[
        field("type", 0, 8, Type::ICMP_TYPE),
        field("code", 8, 8, Type::ICMP_CODE),
        field("checksum", 16, 16, INT),
        only("id", 32, 16, &[0, 8]),
        only("sequence", 48, 16, &[0, 8]),
        only("gateway", 32, 32, &[5]),
        only("mtu", 48, 16, &[3]),
    ],
    next: None,
    upper: Upper::Nothing,
};
/// RFC 4443, RFC 2710
pub static ICMPV6: Protocol = Protocol {
    name: "icmpv6",
    base: base::TRANSPORT,
    fields: &[
        field("type", 0, 8, Type::ICMPV6_TYPE),
        field("code", 8, 8, Type::ICMPV6_CODE),
        field("checksum", 16, 16, INT),
        only("parameter-problem", 32, 32, &[4]),
        only("mtu", 32, 32, &[2]),
        only("id", 32, 16, &[128, 129]),
        only("sequence", 48, 16, &[128, 129]),
        only("max-delay", 32, 16, &[130]),
    ],
    next: None,
    upper: Upper::Nothing,
};
/// RFC 2236
pub static IGMP: Protocol = Protocol {
    name: "igmp",
    base: base::TRANSPORT,
    fields: &[
        field("type", 0, 8, Type::IGMP_TYPE),
        field("mrt", 8, 8, INT),
        field("checksum", 16, 16, INT),
        field("group", 32, 32, INT),
    ],
    next: None,
    upper: Upper::Nothing,
};
/// RFC 4302
pub static AH: Protocol = Protocol {
    name: "ah",
    base: base::TRANSPORT,
    fields: &[
        field("nexthdr", 0, 8, Type::PROTOCOL),
        field("hdrlength", 8, 8, INT),
        field("reserved", 16, 16, INT),
        field("spi", 32, 32, INT),
        field("sequence", 64, 32, INT),
    ],
    next: None,
    upper: Upper::Nothing,
};
/// RFC 4303
pub static ESP: Protocol = Protocol {
    name: "esp",
    base: base::TRANSPORT,
    fields: &[field("spi", 0, 32, INT), field("sequence", 32, 32, INT)],
    next: None,
    upper: Upper::Nothing,
};
/// RFC 3173
pub static COMP: Protocol = Protocol {
    name: "comp",
    base: base::TRANSPORT,
    fields: &[field("nexthdr", 0, 8, Type::PROTOCOL), field("flags", 8, 8, Type::BITMASK), field("cpi", 16, 16, INT)],
    next: None,
    upper: Upper::Nothing,
};
/// RFC 768
pub static UDP: Protocol = Protocol {
    name: "udp",
    base: base::TRANSPORT,
    fields: &[
        field("sport", 0, 16, Type::SERVICE),
        field("dport", 16, 16, Type::SERVICE),
        field("length", 32, 16, INT),
        field("checksum", 48, 16, INT),
    ],
    next: None,
    upper: Upper::Nothing,
};
/// RFC 3828
pub static UDPLITE: Protocol = Protocol {
    name: "udplite",
    base: base::TRANSPORT,
    fields: &[
        field("sport", 0, 16, Type::SERVICE),
        field("dport", 16, 16, Type::SERVICE),
        field("csumcov", 32, 16, INT),
        field("checksum", 48, 16, INT),
    ],
    next: None,
    upper: Upper::Nothing,
};
/// RFC 9293
pub static TCP: Protocol = Protocol {
    name: "tcp",
    base: base::TRANSPORT,
    fields: &[
        field("sport", 0, 16, Type::SERVICE),
        field("dport", 16, 16, Type::SERVICE),
        field("sequence", 32, 32, INT),
        field("ackseq", 64, 32, INT),
        field("doff", 96, 4, INT),
        field("reserved", 100, 4, INT),
        field("flags", 104, 8, Type::TCP_FLAG),
        field("window", 112, 16, INT),
        field("checksum", 128, 16, INT),
        field("urgptr", 144, 16, INT),
    ],
    next: None,
    upper: Upper::Nothing,
};
/// RFC 4340
pub static DCCP: Protocol = Protocol {
    name: "dccp",
    base: base::TRANSPORT,
    fields: &[
        field("sport", 0, 16, Type::SERVICE),
        field("dport", 16, 16, Type::SERVICE),
        field("type", 67, 4, Type::DCCP_TYPE),
    ],
    next: None,
    upper: Upper::Nothing,
};
/// RFC 9260
pub static SCTP: Protocol = Protocol {
    name: "sctp",
    base: base::TRANSPORT,
    fields: &[
        field("sport", 0, 16, Type::SERVICE),
        field("dport", 16, 16, Type::SERVICE),
        field("vtag", 32, 32, INT),
        field("checksum", 64, 32, INT),
    ],
    next: None,
    upper: Upper::Nothing,
};
/// What transport protocols with ports have in common.
pub static TH: Protocol = Protocol {
    name: "th",
    base: base::TRANSPORT,
    fields: &[field("sport", 0, 16, Type::SERVICE), field("dport", 16, 16, Type::SERVICE)],
    next: None,
    upper: Upper::Nothing,
};

impl Protocol {
    /// The protocol within that this number names.
    pub fn above(&self, number: u128) -> Option<&'static Protocol> {
        let table = match self.upper {
            Upper::Nothing => return None,
            Upper::Link => LINK_UPPER,
            Upper::Transport => TRANSPORT_UPPER,
        };
        table.iter().find(|(known, _)| u128::from(*known) == number).map(|(_, protocol)| *protocol)
    }
}

/// By the numbers that nft keeps in the descriptions of `typeof` sets (from 1).
pub static BY_NUMBER: &[Option<&Protocol>] = &[
    None,
    Some(&AH),
    Some(&ESP),
    Some(&COMP),
    Some(&ICMP),
    Some(&IGMP),
    Some(&UDP),
    Some(&UDPLITE),
    Some(&TCP),
    Some(&DCCP),
    Some(&SCTP),
    Some(&TH),
    Some(&IP),
    Some(&IP6),
    Some(&ICMPV6),
    Some(&ARP),
    Some(&VLAN),
    Some(&ETHER),
];

/// A header or option that is found by its type.
#[derive(Debug, PartialEq, Eq)]
pub struct Option_ {
    /// NFT_EXTHDR_OP_*
    pub op: u32,
    /// Its type.
    pub kind: u8,
    /// Its name in nft(8).
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

const IPV6: u32 = 0;
const TCP_OPTION: u32 = 1;
const IP_OPTION: u32 = 2;
const CHUNK: u32 = 3;

const fn option(op: u32, kind: u8, name: &'static str, fields: &'static [Field]) -> Option_ {
    Option_ { op, kind, name, fields }
}

const PLAIN: &[Field] = &[field("nexthdr", 0, 8, Type::PROTOCOL), field("hdrlength", 8, 8, INT)];
const TCP_PLAIN: &[Field] = &[field("kind", 0, 8, INT), field("length", 8, 8, INT)];
const ROUTE: &[Field] =
    &[field("type", 0, 8, INT), field("length", 8, 8, INT), field("ptr", 16, 8, INT), field("addr", 24, 32, INT)];
const CHUNK_PLAIN: &[Field] = &[field("type", 0, 8, INT), field("flags", 8, 8, INT), field("length", 16, 16, INT)];
const SACK: &[Field] =
    &[field("kind", 0, 8, INT), field("length", 8, 8, INT), field("left", 16, 32, INT), field("right", 48, 32, INT)];

/// RFC 8200 and RFC 8754, RFC 6275, RFC 9293, RFC 7323, RFC 2018, RFC 791, RFC 9260; of several headers of one type the first
/// that has the field gives the name.
pub static OPTIONS: &[Option_] = &[
    option(IPV6, 0, "hbh", PLAIN),
    option(
        IPV6,
        43,
        "rt",
        &[
            field("nexthdr", 0, 8, Type::PROTOCOL),
            field("hdrlength", 8, 8, INT),
            field("type", 16, 8, INT),
            field("seg-left", 24, 8, INT),
        ],
    ),
    option(
        IPV6,
        43,
        "srh",
        &[
            field("last-entry", 32, 8, INT),
            field("flags", 40, 8, INT),
            field("tag", 48, 16, INT),
            field("sid[1]", 64, 128, Type::IPV6),
            field("sid[2]", 192, 128, Type::IPV6),
        ],
    ),
    option(IPV6, 43, "rt0", &[field("reserved", 32, 32, INT)]),
    option(
        IPV6,
        44,
        "frag",
        &[
            field("nexthdr", 0, 8, Type::PROTOCOL),
            field("reserved", 8, 8, INT),
            field("frag-off", 16, 13, INT),
            field("reserved2", 29, 2, INT),
            field("more-fragments", 31, 1, INT),
            field("id", 32, 32, INT),
        ],
    ),
    option(IPV6, 51, "ah", &[]),
    option(IPV6, 60, "dst", PLAIN),
    option(
        IPV6,
        135,
        "mh",
        &[
            field("nexthdr", 0, 8, Type::PROTOCOL),
            field("hdrlength", 8, 8, INT),
            field("type", 16, 8, Type::MH_TYPE),
            field("reserved", 24, 8, INT),
            field("checksum", 32, 16, INT),
        ],
    ),
    option(TCP_OPTION, 0, "eol", &[field("kind", 0, 8, INT)]),
    option(TCP_OPTION, 1, "nop", &[field("kind", 0, 8, INT)]),
    option(
        TCP_OPTION,
        2,
        "maxseg",
        &[field("kind", 0, 8, INT), field("length", 8, 8, INT), field("size", 16, 16, INT)],
    ),
    option(
        TCP_OPTION,
        3,
        "window",
        &[field("kind", 0, 8, INT), field("length", 8, 8, INT), field("count", 16, 8, INT)],
    ),
    option(TCP_OPTION, 4, "sack-perm", TCP_PLAIN),
    option(TCP_OPTION, 5, "sack", SACK),
    option(TCP_OPTION, 5, "sack1", &[field("left", 80, 32, INT), field("right", 112, 32, INT)]),
    option(TCP_OPTION, 5, "sack2", &[field("left", 144, 32, INT), field("right", 176, 32, INT)]),
    option(TCP_OPTION, 5, "sack3", &[field("left", 208, 32, INT), field("right", 240, 32, INT)]),
    option(
        TCP_OPTION,
        8,
        "timestamp",
        &[
            field("kind", 0, 8, INT),
            field("length", 8, 8, INT),
            field("tsval", 16, 32, INT),
            field("tsecr", 48, 32, INT),
        ],
    ),
    option(TCP_OPTION, 19, "md5sig", TCP_PLAIN),
    option(
        TCP_OPTION,
        30,
        "mptcp",
        &[field("kind", 0, 8, INT), field("length", 8, 8, INT), field("subtype", 16, 4, INT)],
    ),
    option(TCP_OPTION, 34, "fastopen", TCP_PLAIN),
    option(IP_OPTION, 7, "rr", ROUTE),
    option(IP_OPTION, 131, "lsrr", ROUTE),
    option(IP_OPTION, 137, "ssrr", ROUTE),
    option(IP_OPTION, 148, "ra", &[field("type", 0, 8, INT), field("length", 8, 8, INT), field("value", 16, 16, INT)]),
    option(
        CHUNK,
        0,
        "data",
        &[
            field("type", 0, 8, INT),
            field("flags", 8, 8, INT),
            field("length", 16, 16, INT),
            field("tsn", 32, 32, INT),
            field("stream", 64, 16, INT),
            field("ssn", 80, 16, INT),
            field("ppid", 96, 32, INT),
        ],
    ),
    option(CHUNK, 1, "init", INIT),
    option(CHUNK, 2, "init-ack", INIT),
    option(
        CHUNK,
        3,
        "sack",
        &[
            field("type", 0, 8, INT),
            field("flags", 8, 8, INT),
            field("length", 16, 16, INT),
            field("cum-tsn-ack", 32, 32, INT),
            field("a-rwnd", 64, 32, INT),
            field("num-gap-ack-blocks", 96, 16, INT),
            field("num-dup-tsns", 112, 16, INT),
        ],
    ),
    option(CHUNK, 4, "heartbeat", CHUNK_PLAIN),
    option(CHUNK, 5, "heartbeat-ack", CHUNK_PLAIN),
    option(CHUNK, 6, "abort", CHUNK_PLAIN),
    option(
        CHUNK,
        7,
        "shutdown",
        &[
            field("type", 0, 8, INT),
            field("flags", 8, 8, INT),
            field("length", 16, 16, INT),
            field("cum-tsn-ack", 32, 32, INT),
        ],
    ),
    option(CHUNK, 8, "shutdown-ack", CHUNK_PLAIN),
    option(CHUNK, 9, "error", CHUNK_PLAIN),
    option(CHUNK, 10, "cookie-echo", CHUNK_PLAIN),
    option(CHUNK, 11, "cookie-ack", CHUNK_PLAIN),
    option(CHUNK, 12, "ecne", LOWEST),
    option(CHUNK, 13, "cwr", LOWEST),
    option(CHUNK, 14, "shutdown-complete", CHUNK_PLAIN),
    option(CHUNK, 128, "asconf-ack", SEQUENCE),
    option(
        CHUNK,
        192,
        "forward-tsn",
        &[
            field("type", 0, 8, INT),
            field("flags", 8, 8, INT),
            field("length", 16, 16, INT),
            field("new-cum-tsn", 32, 32, INT),
        ],
    ),
    option(CHUNK, 193, "asconf", SEQUENCE),
];
const LOWEST: &[Field] = &[
    field("type", 0, 8, INT),
    field("flags", 8, 8, INT),
    field("length", 16, 16, INT),
    field("lowest-tsn", 32, 32, INT),
];
const SEQUENCE: &[Field] =
    &[field("type", 0, 8, INT), field("flags", 8, 8, INT), field("length", 16, 16, INT), field("seqno", 32, 32, INT)];
const INIT: &[Field] = &[
    field("type", 0, 8, INT),
    field("flags", 8, 8, INT),
    field("length", 16, 16, INT),
    field("init-tag", 32, 32, INT),
    field("a-rwnd", 64, 32, INT),
    field("num-outbound-streams", 96, 16, INT),
    field("num-inbound-streams", 112, 16, INT),
    field("initial-tsn", 128, 32, INT),
];

/// The headers or options of this type.
pub fn options(op: u32, kind: u8) -> impl Iterator<Item = &'static Option_> {
    OPTIONS.iter().filter(move |option| option.op == op && option.kind == kind)
}

/// The field at this place.
pub fn option_field(op: u32, kind: u8, offset: u32, bits: u32) -> Option<(&'static Option_, &'static Field)> {
    options(op, kind).find_map(|option| {
        let field = option.fields.iter().find(|field| field.offset == offset && field.bits == bits)?;
        Some((option, field))
    })
}
