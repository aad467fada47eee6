//! Attributes (struct nlattr in linux/netlink.h): length, type, value, padding to four.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::raw;

/// NLA_F_NESTED and NLA_F_NET_BYTEORDER, which are no part of the type.
const TYPE_MASK: u16 = 0x3fff;
const HEADER: usize = 4;

/// One attribute: its type without flag bits, and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr<'a> {
    /// The type, whose meaning depends on where it stands.
    pub kind: u16,
    /// The value, unpadded.
    pub value: &'a [u8],
}

impl<'a> Attr<'a> {
    /// The first octet.
    pub fn u8(&self) -> Option<u8> {
        raw::u8(self.value, 0)
    }

    /// The first two octets.
    pub fn u16(&self) -> Option<u16> {
        raw::u16(self.value, 0)
    }

    /// The first four octets.
    pub fn u32(&self) -> Option<u32> {
        raw::u32(self.value, 0)
    }

    /// The first four octets, signed.
    pub fn i32(&self) -> Option<i32> {
        raw::i32(self.value, 0)
    }

    /// The first eight octets.
    pub fn u64(&self) -> Option<u64> {
        raw::u64(self.value, 0)
    }

    /// The first two octets in network order.
    pub fn be16(&self) -> Option<u16> {
        raw::be16(self.value, 0)
    }

    /// The first four octets in network order.
    pub fn be32(&self) -> Option<u32> {
        raw::be32(self.value, 0)
    }

    /// A number of one, two, four or eight octets, whichever the kernel chose.
    pub fn number(&self) -> Option<u64> {
        match self.value.len() {
            1 => self.u8().map(u64::from),
            2 => self.u16().map(u64::from),
            4 => self.u32().map(u64::from),
            8 => self.u64(),
            _ => None,
        }
    }

    /// Text up to the first NUL; bytes that are no UTF-8 become replacement marks and control characters dots, since a
    /// name can be chosen by whoever may make an interface.
    pub fn text(&self) -> String {
        let end = self.value.iter().position(|byte| *byte == 0).unwrap_or(self.value.len());
        let bytes = self.value.get(..end).unwrap_or_default();
        // Nearly every name is plain, and there are hundreds of thousands of them in a large dump.
        if bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            return String::from_utf8_lossy(bytes).into_owned();
        }
        netkit_core::text::printable(&String::from_utf8_lossy(bytes))
    }

    /// An address, its family told by its length.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.value.len() {
            4 => raw::array::<4>(self.value, 0).map(|octets| IpAddr::V4(Ipv4Addr::from(octets))),
            16 => raw::array::<16>(self.value, 0).map(|octets| IpAddr::V6(Ipv6Addr::from(octets))),
            _ => None,
        }
    }

    /// The attributes within.
    pub fn nested(&self) -> Attrs<'a> {
        Attrs::new(self.value)
    }
}

/// Walks attributes. Each step consumes at least the four octets of a header, so the walk ends; an attribute whose
/// length is a lie ends it at once, and what stood before stays readable.
#[derive(Clone, Copy, Debug)]
pub struct Attrs<'a> {
    rest: &'a [u8],
}

impl<'a> Attrs<'a> {
    /// Over `bytes`, which begin with an attribute header.
    pub fn new(bytes: &'a [u8]) -> Attrs<'a> {
        Attrs { rest: bytes }
    }

    /// The first attribute of this type, which is the one that iproute2 goes by.
    pub fn find(&self, kind: u16) -> Option<Attr<'a>> {
        let mut walk = *self;
        Iterator::find(&mut walk, |attr| attr.kind == kind)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Attr<'a>;

    fn next(&mut self) -> Option<Attr<'a>> {
        let length = usize::from(raw::u16(self.rest, 0)?);
        let kind = raw::u16(self.rest, 2)? & TYPE_MASK;
        let value = self.rest.get(HEADER..length);
        let Some(value) = value else {
            self.rest = &[];
            return None;
        };
        self.rest = self.rest.get(raw::align(length)..).unwrap_or_default();
        Some(Attr { kind, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_and_finds_the_first() {
        // Type 1 "ab\0", padded; type 2 nested flag with a u32; type 1 again.
        let bytes = [
            &7u16.to_ne_bytes()[..],
            &1u16.to_ne_bytes(),
            b"ab\0\xff",
            &8u16.to_ne_bytes(),
            &0x8002u16.to_ne_bytes(),
            &9u32.to_ne_bytes(),
            &5u16.to_ne_bytes(),
            &1u16.to_ne_bytes(),
            b"z",
        ]
        .concat();
        let attrs = Attrs::new(&bytes);
        assert_eq!(attrs.map(|attr| attr.kind).collect::<Vec<_>>(), [1, 2, 1]);
        assert_eq!(attrs.clone().next().unwrap().text(), "ab");
        assert_eq!(attrs.find(2).unwrap().u32(), Some(9));
        assert_eq!(attrs.find(2).unwrap().number(), Some(9));
        assert_eq!(attrs.find(1).unwrap().text(), "ab");
        assert_eq!(attrs.find(3), None);
    }

    #[test]
    fn a_lying_length_ends_the_walk() {
        for length in [0u16, 1, 3, 9, 0xffff] {
            let bytes = [&4u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), &length.to_ne_bytes(), &[0, 0, 1, 2]].concat();
            assert_eq!(Attrs::new(&bytes).count(), 1, "{length}");
        }
        assert_eq!(Attrs::new(&[4]).count(), 0);
    }

    #[test]
    fn addresses_and_names_are_made_safe() {
        let attr = |value| Attr { kind: 0, value };
        assert_eq!(attr(&[192, 0, 2, 1]).ip(), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(attr(&[0; 16]).ip(), Some("::".parse().unwrap()));
        assert_eq!(attr(&[0; 5]).ip(), None);
        assert_eq!(attr(b"e\x1b[th0\0junk").text(), "e.[th0");
        assert_eq!(attr(&[1, 2, 3]).number(), None);
    }
}
