//! Which hosts: addresses, names, CIDR blocks and octet ranges, drawn one by one so that a large block costs no memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netkit_core::text::printable;
use netkit_probe::{Family, Lookup, resolve};

/// One specification, not yet drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Targets {
    /// An address, with the name it was given by.
    One(IpAddr, Option<String>),
    /// First and last address of a block.
    Block(IpAddr, IpAddr),
    /// For each octet the values it takes.
    Octets([Vec<u8>; 4]),
}

/// A host to look at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Host {
    pub(crate) address: IpAddr,
    pub(crate) name: Option<String>,
}

impl Targets {
    /// Reads one word of the command line.
    ///
    /// # Errors
    /// One sentence of why it is none.
    pub(crate) fn parse(word: &str, family: Family, lookup: &Lookup) -> Result<Targets, String> {
        let fits = |ip: IpAddr| match family {
            Family::Inet6 => ip.is_ipv6(),
            _ => ip.is_ipv4(),
        };
        let shown = printable(word);
        if let Some((head, bits)) = word.split_once('/') {
            let illegal = || format!("Illegal netmask in \"{shown}\". Assuming /32 (one host) is not offered.");
            let base = one(head, family, lookup)?;
            let bits: u32 = bits.parse().map_err(|_| illegal())?;
            return block(base, bits).ok_or_else(illegal);
        }
        if let Ok(ip) = word.parse::<IpAddr>() {
            return if fits(ip) {
                Ok(Targets::One(ip, None))
            } else if ip.is_ipv6() {
                Err(format!("{shown} looks like an IPv6 target specification -- you have to use the -6 option."))
            } else {
                Err(format!("{shown} is an IPv4 address, and -6 asks for IPv6"))
            };
        }
        if let Some(octets) = octets(word) {
            return if family == Family::Inet6 {
                Err(format!("{shown} is for IPv4"))
            } else {
                Ok(Targets::Octets(octets))
            };
        }
        one(word, family, lookup).map(|ip| Targets::One(ip, Some(shown)))
    }

    /// How many hosts there are.
    pub(crate) fn count(&self) -> u128 {
        match self {
            Targets::One(..) => 1,
            Targets::Block(first, last) => value(*last) - value(*first) + 1,
            Targets::Octets(octets) => octets.iter().map(|values| values.len() as u128).product(),
        }
    }

    /// The host of this number.
    pub(crate) fn nth(&self, index: u128) -> Option<Host> {
        let address = match self {
            Targets::One(ip, name) => {
                return (index == 0).then(|| Host { address: *ip, name: name.clone() });
            }
            Targets::Block(first, _) if index < self.count() => {
                let value = value(*first) + index;
                match first {
                    IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(value).ok()?)),
                    IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(value)),
                }
            }
            Targets::Octets(octets) if index < self.count() => {
                let mut rest = index;
                let mut bytes = [0u8; 4];
                for (slot, values) in bytes.iter_mut().zip(octets).rev() {
                    let count = values.len() as u128;
                    *slot = *values.get(usize::try_from(rest % count).ok()?)?;
                    rest /= count;
                }
                IpAddr::from(bytes)
            }
            _ => return None,
        };
        Some(Host { address, name: None })
    }

    /// Whether the address is among them.
    pub(crate) fn holds(&self, ip: IpAddr) -> bool {
        match self {
            Targets::One(own, _) => *own == ip,
            Targets::Block(first, last) => first.is_ipv4() == ip.is_ipv4() && (*first..=*last).contains(&ip),
            Targets::Octets(octets) => match ip {
                IpAddr::V4(v4) => v4.octets().iter().zip(octets).all(|(byte, values)| values.contains(byte)),
                IpAddr::V6(_) => false,
            },
        }
    }
}

fn value(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn one(word: &str, family: Family, lookup: &Lookup) -> Result<IpAddr, String> {
    let family = if family == Family::Inet6 { Family::Inet6 } else { Family::Inet };
    let found = resolve(word, 0, family, lookup);
    let failed = || format!("Failed to resolve \"{}\".", printable(word));
    found.map_err(|_| failed())?.first().map(|address| address.ip()).ok_or_else(failed)
}

/// A block of at most 2^24 addresses of IPv4 or 2^16 of IPv6.
fn block(base: IpAddr, bits: u32) -> Option<Targets> {
    let width = if base.is_ipv4() { 32 } else { 128 };
    let host = u32::checked_sub(width, bits)?;
    if host > if base.is_ipv4() { 24 } else { 16 } {
        return None;
    }
    let mask = (1u128 << host) - 1;
    let first = value(base) & !mask;
    let last = first | mask;
    Some(match base {
        IpAddr::V4(_) => Targets::Block(
            IpAddr::V4(Ipv4Addr::from(u32::try_from(first).ok()?)),
            IpAddr::V4(Ipv4Addr::from(u32::try_from(last).ok()?)),
        ),
        IpAddr::V6(_) => Targets::Block(IpAddr::V6(first.into()), IpAddr::V6(last.into())),
    })
}

/// `10.0.0-3,7.1-254`: four parts of numbers and ranges, `*` and `-` for all.
fn octets(word: &str) -> Option<[Vec<u8>; 4]> {
    if !word.bytes().all(|byte| byte.is_ascii_digit() || b".,-*".contains(&byte)) {
        return None;
    }
    let parts: Vec<&str> = word.split('.').collect();
    let [a, b, c, d] = parts.as_slice() else { return None };
    let values = |part: &str| -> Option<Vec<u8>> {
        let mut values = Vec::new();
        for piece in part.split(',') {
            let (low, high) = match piece.split_once('-') {
                _ if piece == "*" => (0, 255),
                Some((low, high)) => (
                    if low.is_empty() { 0 } else { low.parse().ok()? },
                    if high.is_empty() { 255 } else { high.parse().ok()? },
                ),
                None => {
                    let one: u8 = piece.parse().ok()?;
                    (one, one)
                }
            };
            values.extend(low..=high);
        }
        values.sort_unstable();
        values.dedup();
        (!values.is_empty()).then_some(values)
    };
    Some([values(a)?, values(b)?, values(c)?, values(d)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(word: &str) -> Result<Targets, String> {
        Targets::parse(word, Family::Inet, &Lookup { numeric: true, ..Lookup::default() })
    }

    #[test]
    fn blocks_and_ranges() {
        let block = read("10.0.0.5/30").unwrap();
        let all: Vec<String> = (0..).map_while(|at| block.nth(at)).map(|host| host.address.to_string()).collect();
        assert_eq!(all, ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"]);
        let octets = read("10.0.0-1.1,3-4").unwrap();
        let all: Vec<String> = (0..).map_while(|at| octets.nth(at)).map(|host| host.address.to_string()).collect();
        assert_eq!(all, ["10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.1.1", "10.0.1.3", "10.0.1.4"]);
        assert!(octets.holds("10.0.1.3".parse().unwrap()) && !octets.holds("10.0.1.2".parse().unwrap()));
        assert_eq!(read("10.0.0.0/8").unwrap().count(), 1 << 24);
        for bad in ["10.0.0.0/33", "10.0.0.0/7", "10.0.0.0/x", "10.0.300.1-2", "x", "::1", "1.2.3.4-1.5"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text(text in "[-0-9.,*/:]{0,24}|.{0,24}", index in 0u128..70_000) {
            if let Ok(targets) = read(&text) {
                let host = targets.nth(index);
                proptest::prop_assert_eq!(host.is_some(), index < targets.count());
                proptest::prop_assert!(host.is_none_or(|host| targets.holds(host.address)));
            }
        }
    }
}
