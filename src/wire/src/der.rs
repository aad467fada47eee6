//! DER (X.690): elements out of hostile bytes. Nothing is copied, every length is checked, nothing recurses.

use std::fmt::Write as _;

/// Universal tags and the two classes that X.509 uses.
pub mod tag {
    #![allow(missing_docs)]
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OID: u8 = 0x06;
    pub const ENUMERATED: u8 = 0x0a;
    pub const UTF8_STRING: u8 = 0x0c;
    pub const NUMERIC_STRING: u8 = 0x12;
    pub const PRINTABLE_STRING: u8 = 0x13;
    pub const T61_STRING: u8 = 0x14;
    pub const IA5_STRING: u8 = 0x16;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const VISIBLE_STRING: u8 = 0x1a;
    pub const UNIVERSAL_STRING: u8 = 0x1c;
    pub const BMP_STRING: u8 = 0x1e;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
}

/// Most children of one element that are looked at.
const MAX_CHILDREN: usize = 10_000;

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The identifier octet; X.509 has no tag above 30.
    pub tag: u8,
    /// What is inside.
    pub content: &'a [u8],
    /// All of it, with its header.
    pub whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads one element from the front, and what stands behind it.
    pub fn read(bytes: &'a [u8]) -> Option<(Element<'a>, &'a [u8])> {
        let (tag, rest) = bytes.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, content) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = content.split_at_checked(length)?;
        let whole = bytes.get(..bytes.len() - rest.len())?;
        Some((Element { tag: *tag, content, whole }, rest))
    }

    /// The element that fills `bytes`.
    pub fn only(bytes: &'a [u8]) -> Option<Element<'a>> {
        let (one, rest) = Element::read(bytes)?;
        rest.is_empty().then_some(one)
    }

    /// The elements inside, as far as they can be read.
    pub fn children(&self) -> Children<'a> {
        Children { rest: self.content, left: MAX_CHILDREN }
    }

    /// The same if this is of that kind.
    pub fn of(self, tag: u8) -> Option<Element<'a>> {
        (self.tag == tag).then_some(self)
    }

    /// A BIT STRING's octets behind the count of unused bits, and that count.
    pub fn bits(&self) -> Option<(&'a [u8], u8)> {
        let (unused, bits) = self.content.split_first()?;
        (*unused < 8).then_some((bits, *unused))
    }

    /// A small non-negative INTEGER.
    pub fn small(&self) -> Option<u64> {
        if self.content.is_empty() || self.content.len() > 8 || self.content.first()? & 0x80 != 0 {
            return None;
        }
        Some(self.content.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)))
    }
}

/// Elements one after the other.
#[derive(Clone, Debug)]
pub struct Children<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Children<'a> {
    /// Those that stand in `bytes`.
    pub fn of(bytes: &'a [u8]) -> Children<'a> {
        Children { rest: bytes, left: MAX_CHILDREN }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (one, rest) = Element::read(self.rest)?;
        self.rest = rest;
        Some(one)
    }
}

/// An object identifier in dotted form (X.690, 8.19); what cannot be read is shown as its bytes.
pub fn dotted(content: &[u8]) -> String {
    let mut out = String::new();
    let mut arcs = 0usize;
    let mut value: u128 = 0;
    let mut open = false;
    for byte in content {
        if value > u128::MAX >> 8 {
            return bytes_of(content);
        }
        value = value << 7 | u128::from(byte & 0x7f);
        open = byte & 0x80 != 0;
        if open {
            continue;
        }
        if arcs == 0 {
            let first = (value / 40).min(2);
            let _ = write!(out, "{first}.{}", value - first * 40);
        } else {
            let _ = write!(out, ".{value}");
        }
        arcs += 1;
        value = 0;
    }
    if open || arcs == 0 { bytes_of(content) } else { out }
}

fn bytes_of(content: &[u8]) -> String {
    format!("<INVALID {}>", netkit_core::text::hex(content))
}

/// Seconds since the epoch of a UTCTime or GeneralizedTime in the form RFC 5280 allows, section 4.1.2.5.
pub fn time(element: Element<'_>) -> Option<i64> {
    let digits = element.content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let part = digits.get(from..to)?;
        Some(part.iter().fold(0i64, |sum, byte| sum * 10 + i64::from(byte - b'0')))
    };
    let (year, at) = match (element.tag, digits.len()) {
        (tag::UTC_TIME, 12 | 10) => {
            let year = number(0, 2)?;
            (if year < 50 { year + 2000 } else { year + 1900 }, 2)
        }
        (tag::GENERALIZED_TIME, 14) => (number(0, 4)?, 4),
        _ => return None,
    };
    let (month, day) = (number(at, at + 2)?, number(at + 2, at + 4)?);
    let (hour, minute) = (number(at + 4, at + 6)?, number(at + 6, at + 8)?);
    let second = number(at + 8, at + 10).unwrap_or(0);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since the epoch in the proleptic Gregorian calendar, the year beginning in March.
    let (shifted_year, shifted_month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let era = shifted_year.div_euclid(400);
    let of_era = shifted_year.rem_euclid(400);
    let days =
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * shifted_month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements() {
        let bytes = [0x30, 0x06, 0x02, 0x01, 0x05, 0x04, 0x01, 0xff, 0x05, 0x00];
        let (outer, rest) = Element::read(&bytes).unwrap();
        assert_eq!((outer.tag, outer.content.len(), rest), (tag::SEQUENCE, 6, &[0x05, 0x00][..]));
        let tags: Vec<u8> = outer.children().map(|child| child.tag).collect();
        assert_eq!(tags, [tag::INTEGER, tag::OCTET_STRING]);
        assert_eq!(outer.children().next().unwrap().small(), Some(5));
        for bad in [&[0x30][..], &[0x30, 0x80], &[0x30, 2, 0], &[0x1f, 1, 0], &[0x30, 0x85, 0, 0, 0, 0, 0]] {
            assert!(Element::read(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn identifiers() {
        assert_eq!(dotted(&[0x55, 4, 3]), "2.5.4.3");
        assert_eq!(dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]), "1.2.840.113549");
        assert_eq!(dotted(&[0x88, 0x37]), "2.999");
        assert_eq!(dotted(&[0x2a, 0x86]), "<INVALID 2a86>");
        assert_eq!(dotted(&[]), "<INVALID >");
    }

    #[test]
    fn times() {
        let one = |tag: u8, text: &'static str| time(Element { tag, content: text.as_bytes(), whole: &[] });
        assert_eq!(one(tag::UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(one(tag::GENERALIZED_TIME, "20240229123045Z"), Some(1_709_209_845));
        assert_eq!(one(tag::UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        for bad in ["", "700101000000", "701301000000Z", "70010100000aZ"] {
            assert_eq!(one(tag::UTC_TIME, bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut queue = vec![bytes.as_slice()];
            let mut steps = 0;
            while let Some(next) = queue.pop() {
                for child in Children::of(next) {
                    prop_assert!(child.whole.len() >= child.content.len() + 2);
                    let _ = (dotted(child.content), time(child), child.bits(), child.small());
                    steps += 1;
                    if steps < 1000 {
                        queue.push(child.content);
                    }
                }
            }
        }
    }
}
