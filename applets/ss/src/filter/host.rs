//! Addresses of a filter: `[FAMILY:]ADDRESS[/LENGTH][:PORT]`, read in the family that the selection prefers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netkit_core::{Error, text};

use super::{BAD_TERM, Lookup};
use crate::names;
use crate::select::{Family, Selection, Table};

/// No port was given.
pub(crate) const ANY_PORT: i64 = -1;

/// What one end of a socket is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Inet {
        /// Any of these; none stands for any address.
        prefixes: Vec<Prefix>,
        port: i64,
    },
    /// Glob over the name, letters of either case.
    Unix(String),
    Packet {
        /// Ethertype.
        protocol: Option<u32>,
        /// Interface index.
        interface: i64,
    },
    Netlink {
        protocol: Option<u32>,
        port_id: i64,
    },
    Vsock {
        cid: Option<u32>,
        port: i64,
    },
}

/// An address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prefix {
    pub(crate) address: IpAddr,
    pub(crate) bits: u8,
}

impl Condition {
    /// The port of a comparison such as `sport >= X`.
    pub(crate) fn port(&self) -> i64 {
        match self {
            Condition::Inet { port, .. } | Condition::Vsock { port, .. } => *port,
            Condition::Packet { interface, .. } => *interface,
            Condition::Netlink { port_id, .. } => *port_id,
            Condition::Unix(_) => ANY_PORT,
        }
    }
}

/// A whole number in C's notation: `0x` and a leading 0 change the base, a sign is allowed.
pub(crate) fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        i64::from_str_radix(hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    // from_str_radix takes a sign of its own, which strtol does not after the first.
    let value = value.ok().filter(|_| !digits.contains(['+', '-']))?;
    Some(if negative { -value } else { value })
}

/// Whether a word that stands alone is an address.
pub(crate) fn looks_numeric(word: &str) -> bool {
    if word.starts_with('[') || word.parse::<Ipv6Addr>().is_ok() {
        return true;
    }
    let address = word.split(['/', ':']).next().unwrap_or(word);
    address.contains('.') && address.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        || (word.contains('/') && prefix(word, None).is_some())
}

/// Reads one word; with `ports` all of it is a port.
pub(crate) fn read(
    word: &str,
    ports: bool,
    selection: &mut Selection,
    lookup: &dyn Lookup,
) -> Result<Condition, Error> {
    let prefixed = ["unix", "link", "netlink", "vsock", "inet6", "inet"].into_iter().find_map(|name| {
        let rest = word.strip_prefix(name)?.strip_prefix(':')?;
        Some((Family::named(name)?, rest))
    });
    let (family, word) = match prefixed {
        Some((family, rest)) => (Some(family), rest),
        None => (selection.preferred, word),
    };
    let condition = match family {
        Some(Family::Unix) => Condition::Unix(word.to_owned()),
        Some(Family::Packet) => packet(word, ports, lookup)?,
        Some(Family::Netlink) => netlink(word, ports)?,
        Some(Family::Vsock) => vsock(word, ports)?,
        _ => inet(word, ports, family, selection, lookup)?,
    };
    if let Some(family) = family {
        selection.narrow(family);
    }
    Ok(condition)
}

fn bad(word: &str) -> Error {
    Error::new(BAD_TERM, format!("cannot parse dst/src address \"{}\"", text::printable(word)))
}

/// `ADDRESS:PORT` split at the first colon; a missing, empty or `*` port is none.
fn split(word: &str, ports: bool) -> (&str, &str) {
    if ports {
        return ("", word.strip_prefix(':').unwrap_or(word));
    }
    word.split_once(':').unwrap_or((word, ""))
}

fn given(part: &str) -> Option<&str> {
    Some(part).filter(|part| !part.is_empty() && *part != "*")
}

fn packet(word: &str, ports: bool, lookup: &dyn Lookup) -> Result<Condition, Error> {
    let (address, port) = split(word, ports);
    let interface = match given(port) {
        None => ANY_PORT,
        Some(port) => number(port).or_else(|| lookup.interface(port).map(i64::from)).ok_or_else(|| bad(word))?,
    };
    let protocol = given(address).map(|name| names::ethertype_number(name).ok_or_else(|| bad(word))).transpose()?;
    Ok(Condition::Packet { protocol, interface })
}

fn netlink(word: &str, ports: bool) -> Result<Condition, Error> {
    let (address, port) = split(word, ports);
    let port_id = match given(port) {
        None => ANY_PORT,
        Some("kernel") => 0,
        Some(port) => number(port).ok_or_else(|| bad(word))?,
    };
    let protocol = given(address).map(|name| names::netlink_number(name).ok_or_else(|| bad(word))).transpose()?;
    Ok(Condition::Netlink { protocol, port_id })
}

fn vsock(word: &str, ports: bool) -> Result<Condition, Error> {
    let (address, port) = split(word, ports);
    let small = |text: &str| number(text).and_then(|number| u32::try_from(number).ok()).ok_or_else(|| bad(word));
    let port = given(port).map(small).transpose()?.map_or(ANY_PORT, i64::from);
    Ok(Condition::Vsock { cid: given(address).map(small).transpose()?, port })
}

fn inet(
    word: &str,
    ports: bool,
    family: Option<Family>,
    selection: &Selection,
    lookup: &dyn Lookup,
) -> Result<Condition, Error> {
    let (address, port) = match split_inet(word, ports) {
        Some(parts) => parts,
        None => return Err(bad(word)),
    };
    // An address without brackets whose last group the split took for a port.
    let whole = || word.parse::<Ipv6Addr>().ok().filter(|_| !ports && family != Some(Family::Inet));
    let prefixes = match given(address).filter(|address| !address.starts_with('*')) {
        None => Ok(Vec::new()),
        Some(address) => addresses(address, family, lookup),
    };
    let prefixes = match (prefixes, whole()) {
        (Ok(prefixes), _) => prefixes,
        (Err(_), Some(address)) => {
            let prefixes = vec![Prefix { address: IpAddr::V6(address), bits: 128 }];
            return Ok(Condition::Inet { prefixes, port: ANY_PORT });
        }
        (Err(error), None) => return Err(error),
    };
    Ok(Condition::Inet { prefixes, port: port_number(port, selection, lookup)? })
}

fn split_inet(word: &str, ports: bool) -> Option<(&str, &str)> {
    let colonless = |port: &'_ str| -> usize { usize::from(port.starts_with(':')) };
    if ports {
        return Some(("", word.get(colonless(word)..)?));
    }
    if let Some(inner) = word.strip_prefix('[') {
        let (address, port) = inner.split_once(']')?;
        return Some((address, port.get(colonless(port)..)?));
    }
    if let Some(port) = word.strip_prefix('*') {
        return Some(("*", port.get(colonless(port)..)?));
    }
    let from = word.find('/').unwrap_or(0);
    match word.get(from..)?.rfind(':') {
        Some(at) => Some((word.get(..from + at)?, word.get(from + at + 1..)?)),
        None => Some((word, "")),
    }
}

fn port_number(port: &str, selection: &Selection, lookup: &dyn Lookup) -> Result<i64, Error> {
    let Some(port) = given(port).filter(|port| !port.starts_with('*')) else { return Ok(ANY_PORT) };
    if let Some(number) = number(port) {
        return Ok(number);
    }
    let fault = |what: &str| Error::new(BAD_TERM, format!("\"{}\" {what}", text::printable(port)));
    match lookup.service(port, selection.has(Table::Udp), selection.has(Table::Tcp)) {
        Ok(Some(port)) => Ok(i64::from(port)),
        Ok(None) => Err(fault("does not look like a port")),
        Err(()) => Err(fault("is an ambiguous port: udp and tcp disagree")),
    }
}

fn addresses(address: &str, family: Option<Family>, lookup: &dyn Lookup) -> Result<Vec<Prefix>, Error> {
    if let Some(prefix) = prefix(address, family) {
        return Ok(vec![prefix]);
    }
    let fits = |address: &IpAddr| match family {
        Some(Family::Inet) => address.is_ipv4(),
        Some(Family::Inet6) => address.is_ipv6(),
        _ => true,
    };
    let plausible = address.chars().all(|c| c.is_alphanumeric() || "-._".contains(c)) && !looks_numeric(address);
    let found = if plausible { lookup.host(address) } else { Vec::new() };
    let mut prefixes: Vec<Prefix> = Vec::new();
    for address in found.into_iter().filter(fits).take(64) {
        let prefix = Prefix { address, bits: if address.is_ipv4() { 32 } else { 128 } };
        if !prefixes.contains(&prefix) {
            prefixes.push(prefix);
        }
    }
    if prefixes.is_empty() {
        let message = format!("an inet prefix is expected rather than \"{}\"", text::printable(address));
        return Err(Error::new(BAD_TERM, message));
    }
    Ok(prefixes)
}

fn prefix(text: &str, family: Option<Family>) -> Option<Prefix> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address = if address.contains(':') {
        let address: Ipv6Addr = address.parse().ok()?;
        IpAddr::V6(Some(address).filter(|_| family != Some(Family::Inet))?)
    } else {
        IpAddr::V4(dotted(address).filter(|_| family != Some(Family::Inet6))?)
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = match length {
        None => most,
        Some(length) => mask(length)?,
    };
    Some(Prefix { address, bits: Some(bits).filter(|bits| *bits <= most)? })
}

/// One to four numbers with dots between; missing ones are zero.
fn dotted(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut slots = octets.iter_mut();
    for part in text.split('.') {
        let value = Some(part).filter(|part| part.bytes().all(|b| b.is_ascii_alphanumeric())).and_then(number)?;
        *slots.next()? = u8::try_from(value).ok()?;
    }
    Some(Ipv4Addr::from(octets))
}

/// A prefix length, or a netmask written as an address.
fn mask(text: &str) -> Option<u8> {
    if let Some(bits) = number(text) {
        return u8::try_from(bits).ok();
    }
    let mask = u32::from(text.parse::<Ipv4Addr>().ok()?);
    (mask.leading_ones() + mask.trailing_zeros() == 32 || mask == 0)
        .then(|| u8::try_from(mask.leading_ones()).ok())
        .flatten()
}
