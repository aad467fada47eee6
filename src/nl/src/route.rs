//! rtnetlink: message types and the fixed headers of links, addresses, routes, rules, neighbours and nexthops
//! (rtnetlink(7), linux/rtnetlink.h and its neighbours). Attributes stay bytes.

use crate::{Request, raw};

/// Message types (linux/rtnetlink.h). GET asks; NEW and DEL arrive.
pub mod kind {
    #![allow(missing_docs)]
    pub const NEW_LINK: u16 = 16;
    pub const DEL_LINK: u16 = 17;
    pub const GET_LINK: u16 = 18;
    pub const NEW_ADDR: u16 = 20;
    pub const DEL_ADDR: u16 = 21;
    pub const GET_ADDR: u16 = 22;
    pub const NEW_ROUTE: u16 = 24;
    pub const DEL_ROUTE: u16 = 25;
    pub const GET_ROUTE: u16 = 26;
    pub const NEW_NEIGH: u16 = 28;
    pub const DEL_NEIGH: u16 = 29;
    pub const GET_NEIGH: u16 = 30;
    pub const NEW_RULE: u16 = 32;
    pub const DEL_RULE: u16 = 33;
    pub const GET_RULE: u16 = 34;
    pub const GET_MULTICAST: u16 = 58;
    pub const NEW_PREFIX: u16 = 52;
    pub const NEW_NEIGH_TABLE: u16 = 64;
    pub const GET_NEIGH_TABLE: u16 = 66;
    pub const NEW_NETCONF: u16 = 80;
    pub const DEL_NETCONF: u16 = 81;
    pub const GET_NETCONF: u16 = 82;
    pub const NEW_MDB: u16 = 84;
    pub const DEL_MDB: u16 = 85;
    pub const GET_MDB: u16 = 86;
    pub const NEW_NSID: u16 = 88;
    pub const DEL_NSID: u16 = 89;
    pub const GET_NSID: u16 = 90;
    pub const GET_STATS: u16 = 94;
    pub const NEW_NEXTHOP: u16 = 104;
    pub const DEL_NEXTHOP: u16 = 105;
    pub const GET_NEXTHOP: u16 = 106;
    pub const NEW_VLAN: u16 = 112;
    pub const GET_VLAN: u16 = 114;
}

/// Address families.
pub mod family {
    #![allow(missing_docs)]
    pub const UNSPEC: u8 = 0;
    pub const INET: u8 = 2;
    pub const BRIDGE: u8 = 7;
    pub const INET6: u8 = 10;
    pub const PACKET: u8 = 17;
    pub const MPLS: u8 = 28;
}

/// struct ifinfomsg: 16 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// AF_UNSPEC, or AF_BRIDGE for the view of a bridge port.
    pub family: u8,
    /// ARPHRD_*.
    pub arp: u16,
    /// ifindex.
    pub index: i32,
    /// IFF_*.
    pub flags: u32,
}

impl Link {
    /// Octets.
    pub const LENGTH: usize = 16;

    /// Reads it from the start of a payload.
    pub fn read(payload: &[u8]) -> Option<Link> {
        Some(Link {
            family: raw::u8(payload, 0)?,
            arp: raw::u16(payload, 2)?,
            index: raw::i32(payload, 4)?,
            flags: raw::u32(payload, 8)?,
        })
    }

    /// As it is sent.
    pub fn bytes(&self) -> [u8; 16] {
        let mut out = [0; 16];
        let parts = [u32::from_ne_bytes([self.family, 0, 0, 0]), 0, self.flags, 0];
        for (slot, part) in out.chunks_exact_mut(4).zip(parts) {
            slot.copy_from_slice(&part.to_ne_bytes());
        }
        if let Some(slot) = out.get_mut(4..8) {
            slot.copy_from_slice(&self.index.to_ne_bytes());
        }
        out
    }
}

/// struct ifaddrmsg: 8 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addr {
    /// AF_INET or AF_INET6.
    pub family: u8,
    /// Bits of the prefix.
    pub prefix: u8,
    /// The low eight bits of IFA_F_*.
    pub flags: u8,
    /// RT_SCOPE_*.
    pub scope: u8,
    /// ifindex.
    pub index: u32,
}

impl Addr {
    /// Octets.
    pub const LENGTH: usize = 8;

    /// Reads it from the start of a payload.
    pub fn read(payload: &[u8]) -> Option<Addr> {
        let [family, prefix, flags, scope] = raw::array(payload, 0)?;
        Some(Addr { family, prefix, flags, scope, index: raw::u32(payload, 4)? })
    }

    /// As it is sent.
    pub fn bytes(&self) -> [u8; 8] {
        let [a, b, c, d] = self.index.to_ne_bytes();
        [self.family, self.prefix, self.flags, self.scope, a, b, c, d]
    }
}

/// struct rtmsg, and struct fib_rule_hdr of the same shape: 12 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// AF_*.
    pub family: u8,
    /// Bits of the destination prefix.
    pub dst_len: u8,
    /// Bits of the source prefix.
    pub src_len: u8,
    /// Type of service.
    pub tos: u8,
    /// RT_TABLE_*, or 252 where the attribute says more.
    pub table: u8,
    /// RTPROT_*.
    pub protocol: u8,
    /// RT_SCOPE_*.
    pub scope: u8,
    /// RTN_*; in a rule FR_ACT_*.
    pub kind: u8,
    /// RTM_F_* and RTNH_F_*; in a rule FIB_RULE_*.
    pub flags: u32,
}

impl Route {
    /// Octets.
    pub const LENGTH: usize = 12;

    /// Reads it from the start of a payload.
    pub fn read(payload: &[u8]) -> Option<Route> {
        let [family, dst_len, src_len, tos, table, protocol, scope, kind] = raw::array(payload, 0)?;
        let flags = raw::u32(payload, 8)?;
        Some(Route { family, dst_len, src_len, tos, table, protocol, scope, kind, flags })
    }

    /// As it is sent.
    pub fn bytes(&self) -> [u8; 12] {
        let [a, b, c, d] = self.flags.to_ne_bytes();
        [
            self.family,
            self.dst_len,
            self.src_len,
            self.tos,
            self.table,
            self.protocol,
            self.scope,
            self.kind,
            a,
            b,
            c,
            d,
        ]
    }
}

/// struct ndmsg: 12 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Neighbour {
    /// AF_INET, AF_INET6 or AF_BRIDGE.
    pub family: u8,
    /// ifindex.
    pub index: i32,
    /// NUD_*.
    pub state: u16,
    /// NTF_*.
    pub flags: u8,
    /// RTN_*.
    pub kind: u8,
}

impl Neighbour {
    /// Octets.
    pub const LENGTH: usize = 12;

    /// Reads it from the start of a payload.
    pub fn read(payload: &[u8]) -> Option<Neighbour> {
        Some(Neighbour {
            family: raw::u8(payload, 0)?,
            index: raw::i32(payload, 4)?,
            state: raw::u16(payload, 8)?,
            flags: raw::u8(payload, 10)?,
            kind: raw::u8(payload, 11)?,
        })
    }

    /// As it is sent.
    pub fn bytes(&self) -> [u8; 12] {
        let [a, b, c, d] = self.index.to_ne_bytes();
        let [e, f] = self.state.to_ne_bytes();
        [self.family, 0, 0, 0, a, b, c, d, e, f, self.flags, self.kind]
    }
}

/// struct nhmsg: 8 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nexthop {
    /// AF_*.
    pub family: u8,
    /// RT_SCOPE_*.
    pub scope: u8,
    /// RTPROT_*.
    pub protocol: u8,
    /// RTNH_F_*.
    pub flags: u32,
}

impl Nexthop {
    /// Octets.
    pub const LENGTH: usize = 8;

    /// Reads it from the start of a payload.
    pub fn read(payload: &[u8]) -> Option<Nexthop> {
        let [family, scope, protocol, _] = raw::array(payload, 0)?;
        Some(Nexthop { family, scope, protocol, flags: raw::u32(payload, 4)? })
    }

    /// As it is sent.
    pub fn bytes(&self) -> [u8; 8] {
        let [a, b, c, d] = self.flags.to_ne_bytes();
        [self.family, self.scope, self.protocol, 0, a, b, c, d]
    }
}

/// Asks for the id of a network namespace given by an open file of it; the answer holds NETNSA_NSID (1), -1 for none.
pub fn nsid_of(fd: i32) -> Request {
    // NETNSA_FD 3; struct rtgenmsg is one octet, padded.
    Request::new(kind::GET_NSID, 0, &[0; 4]).attr(3, &fd.to_ne_bytes())
}

/// One path of a multipath route (struct rtnexthop).
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// RTNH_F_*.
    pub flags: u8,
    /// Weight less one.
    pub hops: u8,
    /// ifindex.
    pub index: i32,
    /// Attributes of the path.
    pub attrs: crate::Attrs<'a>,
}

/// The paths within RTA_MULTIPATH. Each step consumes at least eight octets.
pub fn hops(value: &[u8]) -> impl Iterator<Item = Hop<'_>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let length = usize::from(raw::u16(rest, 0)?);
        let attrs = rest.get(8..length)?;
        let hop = Hop {
            flags: raw::u8(rest, 2)?,
            hops: raw::u8(rest, 3)?,
            index: raw::i32(rest, 4)?,
            attrs: crate::Attrs::new(attrs),
        };
        rest = rest.get(raw::align(length)..).unwrap_or_default();
        Some(hop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_a_round_trip() {
        let link = Link { family: 7, arp: 0, index: 9, flags: 0x1043 };
        assert_eq!(Link::read(&link.bytes()), Some(link));
        let addr = Addr { family: 10, prefix: 64, flags: 0x80, scope: 253, index: 7 };
        assert_eq!(Addr::read(&addr.bytes()), Some(addr));
        let route = Route {
            family: 2,
            dst_len: 24,
            src_len: 1,
            tos: 16,
            table: 254,
            protocol: 3,
            scope: 253,
            kind: 1,
            flags: 0x200,
        };
        assert_eq!(Route::read(&route.bytes()), Some(route));
        let neighbour = Neighbour { family: 2, index: 3, state: 0x40, flags: 2, kind: 1 };
        assert_eq!(Neighbour::read(&neighbour.bytes()), Some(neighbour));
        let nexthop = Nexthop { family: 2, scope: 0, protocol: 4, flags: 5 };
        assert_eq!(Nexthop::read(&nexthop.bytes()), Some(nexthop));
        assert_eq!((Link::read(&[0; 11]), Addr::read(&[0; 7]), Route::read(&[0; 11])), (None, None, None));
    }

    #[test]
    fn paths_end_at_a_lie() {
        let one = [&8u16.to_ne_bytes()[..], &[4, 1], &7i32.to_ne_bytes()].concat();
        let two = [&one[..], &4u16.to_ne_bytes(), &[0; 6]].concat();
        let all: Vec<_> = hops(&two).map(|hop| (hop.flags, hop.hops, hop.index)).collect();
        assert_eq!(all, [(4, 1, 7)]);
    }
}
