//! The command line as ip(8) reads it: words, each of which may be cut short.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netkit_core::text::printable;

use crate::stop::{FAILED, Res, Stop};

/// Whether `word` is a beginning of `full`, and not empty.
pub(crate) fn matches(word: &str, full: &str) -> bool {
    !word.is_empty() && full.starts_with(word)
}

/// Words not read yet.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    items: Vec<String>,
    at: usize,
}

impl Words {
    pub(crate) fn new(items: Vec<String>) -> Words {
        Words { items, at: 0 }
    }

    pub(crate) fn peek(&self) -> Option<&str> {
        self.items.get(self.at).map(String::as_str)
    }

    pub(crate) fn next(&mut self) -> Option<String> {
        let word = self.items.get(self.at).cloned();
        self.at += usize::from(word.is_some());
        word
    }

    /// The value that must follow an option.
    pub(crate) fn value(&mut self) -> Res<String> {
        self.next().ok_or_else(Stop::incomplete)
    }

    pub(crate) fn rest(&mut self) -> Vec<String> {
        let rest = self.items.get(self.at..).unwrap_or_default().to_vec();
        self.at = self.items.len();
        rest
    }
}

/// A whole number, decimal or with 0x, 0 as strtoul(3) has it.
pub(crate) fn number(word: &str) -> Option<u32> {
    if let Some(hex) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        u32::from_str_radix(hex, 16).ok()
    } else if word.len() > 1 && word.starts_with('0') {
        u32::from_str_radix(word, 8).ok()
    } else if word.starts_with('+') {
        None
    } else {
        word.parse().ok()
    }
}

/// An address with an optional prefix length, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// 0 for `default`, `any`, `all` where no family is set.
    pub(crate) family: u8,
    pub(crate) address: Option<IpAddr>,
    pub(crate) bits: u8,
}

impl Prefix {
    /// Reads `10.0.0.0/8`, `10/8`, `fe80::/64`, `default`. `family` 0 lets the text decide.
    pub(crate) fn parse(word: &str, family: u8) -> Res<Prefix> {
        Prefix::parse_as(word, family, "prefix")
    }

    /// The same, where the refusal names something else that was expected.
    pub(crate) fn parse_as(word: &str, family: u8, what: &str) -> Res<Prefix> {
        let kind = match family {
            2 => "inet",
            10 => "inet6",
            28 => "mpls",
            _ => "any valid",
        };
        let expected = |what: &str| {
            Stop::peer(FAILED, format!("Error: {kind} {what} is expected rather than \"{}\".", printable(word)))
        };
        if matches!(word, "default" | "any" | "all") {
            return Ok(Prefix { family, address: None, bits: 0 });
        }
        let (text, bits) = match word.split_once('/') {
            Some((text, bits)) => (text, Some(bits)),
            None => (word, None),
        };
        let address = address(text, family).ok_or_else(|| expected(what))?;
        let (actual, max) = if address.is_ipv4() { (2, 32) } else { (10, 128) };
        let bits = match bits {
            None => max,
            Some(text) => match (text.parse::<u8>(), text.parse::<Ipv4Addr>()) {
                (Ok(bits), _) if bits <= max => bits,
                (_, Ok(mask))
                    if max == 32 && u32::from(mask).leading_ones() + u32::from(mask).trailing_zeros() >= 32 =>
                {
                    u8::try_from(u32::from(mask).leading_ones()).unwrap_or(32)
                }
                _ => return Err(expected(what)),
            },
        };
        Ok(Prefix { family: actual, address: Some(address), bits })
    }

    /// Whether the first `bits` of the address are those of `other`.
    pub(crate) fn covers(&self, other: IpAddr, bits: u8) -> bool {
        let Some(mine) = self.address else { return true };
        same_prefix(mine, other, bits)
    }
}

/// Whether two addresses of one family share their first `bits`.
pub(crate) fn same_prefix(a: IpAddr, b: IpAddr, bits: u8) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let shift = 32u32.saturating_sub(u32::from(bits));
            shift >= 32 || u32::from(a) >> shift == u32::from(b) >> shift
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let shift = 128u32.saturating_sub(u32::from(bits));
            shift >= 128 || u128::from(a) >> shift == u128::from(b) >> shift
        }
        _ => false,
    }
}

/// An address as ip(8) reads it: `10` and `10.1` are completed with zeros.
pub(crate) fn address(text: &str, family: u8) -> Option<IpAddr> {
    if let (true, Ok(address)) = (family != 2, text.parse::<Ipv6Addr>()) {
        return Some(IpAddr::V6(address));
    }
    if family == 10 {
        return None;
    }
    let mut octets = [0u8; 4];
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() > 4 {
        return None;
    }
    for (slot, part) in octets.iter_mut().zip(&parts) {
        *slot = u8::try_from(number(part)?).ok()?;
    }
    Some(IpAddr::V4(Ipv4Addr::from(octets)))
}

/// As inet_ntop(3) of glibc writes it, which shows an IPv4 address also in the last 32 bits of `::a.b.c.d`.
pub(crate) fn ip_text(address: IpAddr) -> String {
    if let IpAddr::V6(v6) = address {
        let value = u128::from(v6);
        if value >> 32 == 0 && value >> 16 != 0 {
            return format!("::{}", Ipv4Addr::from(u32::try_from(value).unwrap_or(0)));
        }
    }
    address.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let parse = |word, family| Prefix::parse(word, family).map(|p| (p.family, p.address.map(ip_text), p.bits)).ok();
        assert_eq!(parse("10/8", 0), Some((2, Some("10.0.0.0".into()), 8)));
        assert_eq!(parse("10.1", 0), Some((2, Some("10.1.0.0".into()), 32)));
        assert_eq!(parse("fe80::/64", 0), Some((10, Some("fe80::".into()), 64)));
        assert_eq!(parse("10.0.0.0/255.255.0.0", 0), Some((2, Some("10.0.0.0".into()), 16)));
        assert_eq!(parse("default", 10), Some((10, None, 0)));
        for bad in ["10.0.0.0/33", "::/129", "1.2.3.4.5", "x", "", "256.1.1.1", "10.0.0.0/255.0.255.0", "10/"] {
            assert_eq!(parse(bad, 0), None, "{bad}");
        }
        assert_eq!(parse("10.0.0.1", 10), None);
    }

    #[test]
    fn text_of_addresses() {
        for text in ["::1", "::", "::1.2.3.4", "::ffff:1.2.3.4", "2001:db8::1"] {
            assert_eq!(ip_text(text.parse().unwrap()), text);
        }
    }

    #[test]
    fn numbers_and_abbreviations() {
        assert_eq!(
            (number("0x10"), number("010"), number("10"), number("-1"), number("x")),
            (Some(16), Some(8), Some(10), None, None)
        );
        assert!(matches("a", "address") && matches("address", "address"));
        assert!(!matches("addressx", "address") && !matches("", "address"));
        assert!(same_prefix("10.0.0.1".parse().unwrap(), "10.0.0.9".parse().unwrap(), 24));
        assert!(!same_prefix("10.0.0.1".parse().unwrap(), "fe80::".parse().unwrap(), 0));
    }
}
