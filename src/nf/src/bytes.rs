//! Fields of the kernel's structures: host byte order unless a name says otherwise, every fetch checked.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Family;

/// A structure in memory, read by offset. A field that lies beyond its end reads as `None`.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// `length` bytes at `offset`.
    pub fn bytes(self, offset: usize, length: usize) -> Option<&'a [u8]> {
        self.0.get(offset..offset.checked_add(length)?)
    }

    /// A fixed number of bytes at `offset`.
    pub fn array<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        self.bytes(offset, N)?.try_into().ok()
    }

    /// An octet.
    pub fn u8(self, offset: usize) -> Option<u8> {
        self.0.get(offset).copied()
    }

    /// 16 bits, host order.
    pub fn u16(self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_ne_bytes)
    }

    /// 16 bits, network order.
    pub fn be16(self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_be_bytes)
    }

    /// 32 bits, host order.
    pub fn u32(self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_ne_bytes)
    }

    /// 32 bits, host order, signed.
    pub fn i32(self, offset: usize) -> Option<i32> {
        self.array(offset).map(i32::from_ne_bytes)
    }

    /// 32 bits, network order.
    pub fn be32(self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_be_bytes)
    }

    /// 64 bits, host order.
    pub fn u64(self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_ne_bytes)
    }

    /// An address: 4 octets for IPv4, 16 for IPv6.
    pub fn address(self, offset: usize, family: Family) -> Option<IpAddr> {
        match family {
            Family::Ipv4 => self.array::<4>(offset).map(|octets| Ipv4Addr::from(octets).into()),
            Family::Ipv6 => self.array::<16>(offset).map(|octets| Ipv6Addr::from(octets).into()),
        }
    }

    /// Text in a field of `length` bytes, up to its first zero. What is no UTF-8 keeps a replacement mark.
    pub fn text(self, offset: usize, length: usize) -> Option<Cow<'a, str>> {
        self.bytes(offset, length).map(c_text)
    }
}

/// An address as inet_ntop(3) writes it: those of IPv4 in IPv6, mapped or compatible (RFC 4291, 2.5.5), end in a dotted
/// quad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown(pub IpAddr);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                write!(f, "{a}.{b}.{c}.{d}")
            }
            // From 1:0 up to ffff:ffff: six groups of zeros and no more.
            IpAddr::V6(v6) if u32::try_from(u128::from(v6)).is_ok_and(|low| low > 0xffff) => {
                write!(f, "::{}", Ipv4Addr::from(u32::try_from(u128::from(v6)).unwrap_or_default()))
            }
            IpAddr::V6(v6) => write!(f, "{v6}"),
        }
    }
}

/// The text before the first zero byte.
pub fn c_text(field: &[u8]) -> Cow<'_, str> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(field.get(..end).unwrap_or_default())
}
