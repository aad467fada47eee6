//! The keys of meta, ct, rt, socket and the like: names and types, by the kernel's number.

use super::datatype::{Order, Type};

/// A key.
#[derive(Debug)]
pub struct Key {
    /// Its name in nft(8).
    pub name: &'static str,
    /// What it holds.
    pub ty: Type,
    /// Bits in the register.
    pub bits: u32,
    /// Byte order in the register.
    pub order: Order,
}

const fn key(name: &'static str, ty: Type, bits: u32, order: Order) -> Key {
    Key { name, ty, bits, order }
}

use Order::{Big, Host};

/// NFT_META_*
static META: &[Key] = &[
    key("length", Type::INTEGER, 32, Host),
    key("protocol", Type::ETHER_TYPE, 16, Big),
    key("priority", Type::CLASSID, 32, Host),
    key("mark", Type::MARK, 32, Host),
    key("iif", Type::IFINDEX, 32, Host),
    key("oif", Type::IFINDEX, 32, Host),
    key("iifname", Type::IFNAME, 128, Host),
    key("oifname", Type::IFNAME, 128, Host),
    key("iiftype", Type::IFTYPE, 16, Host),
    key("oiftype", Type::IFTYPE, 16, Host),
    key("skuid", Type::UID, 32, Host),
    key("skgid", Type::GID, 32, Host),
    key("nftrace", Type::INTEGER, 8, Host),
    key("rtclassid", Type::REALM, 32, Host),
    key("secmark", Type::INTEGER, 32, Host),
    key("nfproto", Type::NFPROTO, 8, Host),
    key("l4proto", Type::PROTOCOL, 8, Host),
    key("ibrname", Type::IFNAME, 128, Host),
    key("obrname", Type::IFNAME, 128, Host),
    key("pkttype", Type::PKTTYPE, 8, Host),
    key("cpu", Type::INTEGER, 32, Host),
    key("iifgroup", Type::DEVGROUP, 32, Host),
    key("oifgroup", Type::DEVGROUP, 32, Host),
    key("cgroup", Type::INTEGER, 32, Host),
    key("random", Type::INTEGER, 32, Big),
    key("ipsec", Type::BOOLEAN, 8, Host),
    key("iifkind", Type::IFNAME, 128, Host),
    key("oifkind", Type::IFNAME, 128, Host),
    key("ibrpvid", Type::INTEGER, 16, Host),
    key("ibrvproto", Type::ETHER_TYPE, 16, Big),
    key("time", Type::DATE, 64, Host),
    key("day", Type::DAY, 8, Host),
    key("hour", Type::HOUR, 32, Host),
    key("sdif", Type::IFINDEX, 32, Host),
    key("sdifname", Type::IFNAME, 128, Host),
    key("broute", Type::INTEGER, 8, Host),
];

/// Numbers of meta keys that the decoder knows by meaning.
pub mod meta {
    /// NFT_META_PROTOCOL
    pub const PROTOCOL: u32 = 1;
    /// NFT_META_IIFTYPE
    pub const IIFTYPE: u32 = 8;
    /// NFT_META_SECMARK
    pub const SECMARK: u32 = 14;
    /// NFT_META_NFPROTO
    pub const NFPROTO: u32 = 15;
    /// NFT_META_L4PROTO
    pub const L4PROTO: u32 = 16;

    /// Whether nft leaves the word `meta` out.
    pub fn is_bare(key: u32) -> bool {
        matches!(key, 4..=7 | 21 | 22)
    }
}

/// NFT_CT_*
static CT: &[Key] = &[
    key("state", Type::CT_STATE, 32, Host),
    key("direction", Type::CT_DIR, 8, Big),
    key("status", Type::CT_STATUS, 32, Host),
    key("mark", Type::MARK, 32, Host),
    key("secmark", Type::INTEGER, 32, Host),
    key("expiration", Type::TIME, 32, Host),
    key("helper", Type::STRING, 128, Host),
    key("l3proto", Type::NFPROTO, 8, Big),
    key("saddr", Type::INVALID, 0, Big),
    key("daddr", Type::INVALID, 0, Big),
    key("protocol", Type::PROTOCOL, 8, Big),
    key("proto-src", Type::SERVICE, 16, Big),
    key("proto-dst", Type::SERVICE, 16, Big),
    key("label", Type::CT_LABEL, 128, Host),
    key("packets", Type::INTEGER, 64, Host),
    key("bytes", Type::INTEGER, 64, Host),
    key("avgpkt", Type::INTEGER, 64, Host),
    key("zone", Type::INTEGER, 16, Host),
    key("event", Type::CT_EVENT, 32, Host),
    key("ip saddr", Type::IPV4, 32, Big),
    key("ip daddr", Type::IPV4, 32, Big),
    key("ip6 saddr", Type::IPV6, 128, Big),
    key("ip6 daddr", Type::IPV6, 128, Big),
    key("id", Type::INTEGER, 32, Big),
];

/// NFT_RT_*
static RT: &[Key] = &[
    key("classid", Type::REALM, 32, Host),
    key("ip nexthop", Type::IPV4, 32, Big),
    key("ip6 nexthop", Type::IPV6, 128, Big),
    key("mtu", Type::INTEGER, 16, Host),
    key("ipsec", Type::BOOLEAN, 8, Host),
];

/// NFT_SOCKET_*
static SOCKET: &[Key] = &[
    key("transparent", Type::INTEGER, 8, Host),
    key("mark", Type::MARK, 32, Host),
    key("wildcard", Type::INTEGER, 8, Host),
    key("cgroupv2", Type::CGROUP, 64, Host),
];

/// NFT_XFRM_KEY_*
static XFRM: &[Key] = &[
    key("unspec", Type::INVALID, 0, Host),
    key("ip daddr", Type::IPV4, 32, Big),
    key("ip6 daddr", Type::IPV6, 128, Big),
    key("ip saddr", Type::IPV4, 32, Big),
    key("ip6 saddr", Type::IPV6, 128, Big),
    key("reqid", Type::INTEGER, 32, Host),
    key("spi", Type::INTEGER, 32, Big),
];

/// What has keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// meta
    Meta,
    /// ct
    Ct,
    /// rt
    Rt,
    /// socket
    Socket,
    /// ipsec
    Xfrm,
}

impl Keyed {
    /// The key of this number.
    pub fn key(self, number: u32) -> Option<&'static Key> {
        let table = match self {
            Keyed::Meta => META,
            Keyed::Ct => CT,
            Keyed::Rt => RT,
            Keyed::Socket => SOCKET,
            Keyed::Xfrm => XFRM,
        };
        table.get(usize::try_from(number).ok()?)
    }
}
