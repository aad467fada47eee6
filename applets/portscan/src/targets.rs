//! Which hosts: addresses, names, CIDR blocks and octet ranges, drawn one by one so that a large block costs no memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netkit_core::text::printable;
use netkit_probe::{Family, Lookup, resolve};

/// One specification, not yet drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Targets {
    /// An address, or those of a name, with the name.
    One(Vec<IpAddr>, Option<String>),
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
    /// Further addresses of that name.
    pub(crate) others: Vec<IpAddr>,
}

impl Targets {
    /// Reads one word of the command line; a second text is a warning.
    ///
    /// # Errors
    /// One sentence of why it is none.
    pub(crate) fn parse(word: &str, family: Family, lookup: &Lookup) -> Result<(Targets, Option<String>), String> {
        let fits = |ip: IpAddr| match family {
            Family::Inet6 => ip.is_ipv6(),
            _ => ip.is_ipv4(),
        };
        let shown = printable(word);
        if let Some((head, bits)) = word.split_once('/') {
            let width = if family == Family::Inet6 { 128 } else { 32 };
            let good = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
            let bits = bits.parse::<u32>().ok().filter(|bits| *bits <= width);
            if !good {
                return Err(match word.ends_with('/') {
                    true => format!("Unable to split netmask from target expression: \"{shown}\""),
                    false => format!("Illegal netmask in \"{shown}\"."),
                });
            }
            let warning =
                bits.is_none().then(|| format!("Illegal netmask in \"{shown}\". Assuming /{width} (one host)"));
            let base = *named(head, family, lookup)?.first().ok_or_else(|| failed(head))?;
            let block = block(base, bits.unwrap_or(width));
            return block
                .map(|block| (block, warning))
                .ok_or_else(|| format!("{shown}: too many hosts: /8 is the widest of IPv4, /112 of IPv6"));
        }
        if let Ok(ip) = word.parse::<IpAddr>() {
            return if fits(ip) {
                Ok((Targets::One(vec![ip], None), None))
            } else if ip.is_ipv6() {
                Err(format!("{shown} looks like an IPv6 target specification -- you have to use the -6 option."))
            } else {
                Err(format!(
                    "Warning: Hostname {shown} resolves, but not to any IPv6 address. Try scanning without -6\n{}",
                    failed(word)
                ))
            };
        }
        if let Some(octets) = octets(word) {
            return if family == Family::Inet6 {
                Err(format!("{shown} is for IPv4"))
            } else {
                Ok((Targets::Octets(octets), None))
            };
        }
        named(word, family, lookup).map(|all| (Targets::One(all, Some(shown)), None))
    }

    /// How many hosts there are.
    pub(crate) fn count(&self) -> u128 {
        match self {
            Targets::One(all, _) => all.len() as u128,
            Targets::Block(first, last) => value(*last) - value(*first) + 1,
            Targets::Octets(octets) => octets.iter().map(|values| values.len() as u128).product(),
        }
    }

    /// The host of this number; of a name only its first address, unless `all` are wanted.
    pub(crate) fn nth(&self, index: u128, all: bool) -> Option<Host> {
        let address = match self {
            Targets::One(ips, name) => {
                let at = usize::try_from(index).ok().filter(|at| all || *at == 0)?;
                let others = if all { Vec::new() } else { ips.iter().skip(1).copied().collect() };
                return ips.get(at).map(|ip| Host { address: *ip, name: name.clone(), others });
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
        Some(Host { address, name: None, others: Vec::new() })
    }

    /// Whether the address is among them.
    pub(crate) fn holds(&self, ip: IpAddr) -> bool {
        match self {
            Targets::One(all, _) => all.contains(&ip),
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

fn failed(word: &str) -> String {
    format!("Failed to resolve \"{}\".", printable(word))
}

/// The addresses of a name, each once.
fn named(word: &str, family: Family, lookup: &Lookup) -> Result<Vec<IpAddr>, String> {
    let family = if family == Family::Inet6 { Family::Inet6 } else { Family::Inet };
    let found = resolve(word, 0, family, lookup).map_err(|_| failed(word))?;
    let mut all: Vec<IpAddr> = Vec::new();
    for address in found {
        if !all.contains(&address.ip()) {
            all.push(address.ip());
        }
    }
    if all.is_empty() { Err(failed(word)) } else { Ok(all) }
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
        Targets::parse(word, Family::Inet, &Lookup { numeric: true, ..Lookup::default() }).map(|(targets, _)| targets)
    }

    #[test]
    fn blocks_and_ranges() {
        let block = read("10.0.0.5/30").unwrap();
        let all: Vec<String> =
            (0..).map_while(|at| block.nth(at, false)).map(|host| host.address.to_string()).collect();
        assert_eq!(all, ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"]);
        let octets = read("10.0.0-1.1,3-4").unwrap();
        let all: Vec<String> =
            (0..).map_while(|at| octets.nth(at, false)).map(|host| host.address.to_string()).collect();
        assert_eq!(all, ["10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.1.1", "10.0.1.3", "10.0.1.4"]);
        assert!(octets.holds("10.0.1.3".parse().unwrap()) && !octets.holds("10.0.1.2".parse().unwrap()));
        assert_eq!(read("10.0.0.0/8").unwrap().count(), 1 << 24);
        for bad in ["10.0.0.0/", "10.0.0.0/7", "10.0.0.0/x", "10.0.300.1-2", "x", "::1", "1.2.3.4-1.5"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text(text in "[-0-9.,*/:]{0,24}|.{0,24}", index in 0u128..70_000) {
            if let Ok(targets) = read(&text) {
                let host = targets.nth(index, true);
                proptest::prop_assert_eq!(host.is_some(), index < targets.count());
                proptest::prop_assert!(host.is_none_or(|host| targets.holds(host.address)));
            }
        }
    }
}
