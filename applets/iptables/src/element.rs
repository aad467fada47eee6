//! An element of an IP set, as it is written on the command line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netkit_core::text::printable;
use netkit_core::{Error, Exit};
use netkit_nf::Family;
use netkit_nf::ext::names;
use netkit_nf::ipset::{Kind, NETWORK_ORDER, data, flag};
use netkit_nf::save::protocol_number;
use netkit_nl::Request;
use netkit_probe::Protocol;
use netkit_probe::services::Services;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Nested, by family.
    Address(IpAddr),
    /// As they are sent.
    Octets(Vec<u8>),
}

/// The attributes of an element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    parts: Vec<(u16, Part)>,
    flags: u32,
}

impl Parts {
    pub(crate) fn push(&mut self, kind: u16, part: Part) {
        self.parts.push((kind, part));
    }

    pub(crate) fn set_flag(&mut self, flag: u32) {
        self.flags |= flag;
    }

    pub(crate) fn without_flags(&self) -> Parts {
        Parts { parts: self.parts.clone(), flags: 0 }
    }

    /// Adds them to a request.
    pub(crate) fn fill(&self, mut request: Request) -> Request {
        for (kind, part) in &self.parts {
            request = match part {
                Part::Octets(octets) => request.attr(*kind, octets),
                Part::Address(IpAddr::V4(address)) => {
                    request.nest(*kind, |inner| inner.attr(1 | NETWORK_ORDER, &address.octets()))
                }
                Part::Address(IpAddr::V6(address)) => {
                    request.nest(*kind, |inner| inner.attr(2 | NETWORK_ORDER, &address.octets()))
                }
            };
        }
        if self.flags == 0 { request } else { request.attr(data::FLAGS | NETWORK_ORDER, &self.flags.to_be_bytes()) }
    }
}

fn syntax(message: String) -> Error {
    Error::new(Exit(1), format!("Syntax error: {message}"))
}

/// Reads an element of a set of this kind.
///
/// # Errors
/// What does not parse, a part that is missing, and ranges, which no test can have; status 1, as ipset leaves.
pub(crate) fn parse(kind: &Kind, text: &str) -> Result<Parts, Error> {
    const ORDINALS: [&str; 3] = ["First", "Second", "Third"];
    let wanted: Vec<&str> = kind.parts().collect();
    let given: Vec<&str> = text.split(',').collect();
    if given.len() > wanted.len() {
        return Err(syntax(format!("Elem separator in {}, but settype {} supports none.", printable(text), kind.name)));
    }
    let mut parts = Parts::default();
    let mut addresses = 0;
    for (index, part) in wanted.iter().enumerate() {
        let Some(word) = given.get(index).copied().filter(|word| !word.is_empty()) else {
            // A bitmap's hardware address may be left out.
            if *part == "mac" {
                break;
            }
            let ordinal = ORDINALS.get(index).copied().unwrap_or("Last");
            return Err(syntax(format!("{ordinal} element is missing from {}.", printable(text))));
        };
        match *part {
            "ip" | "net" => {
                let second = addresses > 0;
                addresses += 1;
                push_address(&mut parts, kind, word, *part == "net", second)?;
            }
            "port" => push_port(&mut parts, kind, word)?,
            "mac" => parts.push(data::ETHER, Part::Octets(hardware(word)?)),
            "mark" => {
                let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
                let mark = digits.map_or_else(|| word.parse(), |digits| u32::from_str_radix(digits, 16));
                let mark = mark.map_err(|_| syntax(format!("'{}' is invalid as number", printable(word))))?;
                parts.push(data::MARK | NETWORK_ORDER, Part::Octets(mark.to_be_bytes().to_vec()));
            }
            "iface" => {
                let name = match word.strip_prefix("physdev:") {
                    Some(name) => {
                        parts.set_flag(flag::PHYSDEV);
                        name
                    }
                    None => word,
                };
                parts.push(data::INTERFACE, Part::Octets([name.as_bytes(), &[0]].concat()));
            }
            "set" => parts.push(data::NAME, Part::Octets([word.as_bytes(), &[0]].concat())),
            other => return Err(syntax(format!("this program cannot write the part '{other}' of {}", kind.name))),
        }
    }
    Ok(parts)
}

fn not_in_a_test(kind: &Kind, what: &str) -> Error {
    let family = if kind.family == Some(Family::Ipv6) { "inet6" } else { "inet" };
    let message = format!("{what} is not allowed in command test with set type {} and family {family}", kind.name);
    Error::new(Exit(1), message)
}

fn push_address(parts: &mut Parts, kind: &Kind, word: &str, is_net: bool, second: bool) -> Result<(), Error> {
    let v6 = kind.family == Some(Family::Ipv6);
    let (address, cidr) = match word.split_once('/') {
        Some((address, cidr)) => (address, Some(cidr)),
        None => (word, None),
    };
    let parsed = if v6 {
        address.trim_start_matches('[').trim_end_matches(']').parse::<Ipv6Addr>().map(IpAddr::from).ok()
    } else {
        address.parse::<Ipv4Addr>().map(IpAddr::from).ok()
    };
    let Some(parsed) = parsed else {
        let is_range = address.split_once('-').is_some_and(|(low, _)| low.parse::<IpAddr>().is_ok());
        if is_range {
            return Err(not_in_a_test(kind, "FROM-TO IP range"));
        }
        let family = if v6 { "IPv6" } else { "IPv4" };
        return Err(syntax(format!("cannot parse {}: resolving to {family} address failed", printable(address))));
    };
    let (ip, mask) = if second { (data::IP2, data::CIDR2) } else { (data::IP, data::CIDR) };
    parts.push(ip, Part::Address(parsed));
    if let Some(cidr) = cidr {
        let full = if v6 { 128 } else { 32 };
        let bits: u8 = cidr
            .parse()
            .ok()
            .filter(|bits| *bits <= full)
            .ok_or_else(|| syntax(format!("'{}' is out of range 0-{full}", printable(cidr))))?;
        if is_net {
            parts.push(mask, Part::Octets(vec![bits]));
        } else if bits != full {
            return Err(not_in_a_test(kind, "IP/CIDR range"));
        }
    }
    Ok(())
}

fn push_port(parts: &mut Parts, kind: &Kind, word: &str) -> Result<(), Error> {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    // SCTP and UDP-Lite have ports as well.
    const WITH_PORTS: [u8; 4] = [TCP, UDP, 132, 136];
    let (protocol, port) = match word.split_once(':') {
        Some((protocol, port)) => {
            let found = protocol.parse::<u8>().ok().or_else(|| protocol_number(&protocol.to_ascii_lowercase()));
            let found = found.ok_or_else(|| syntax(format!("cannot parse '{}' as a protocol", printable(protocol))))?;
            (found, port)
        }
        None => (TCP, word),
    };
    let number: u16 = match protocol {
        1 | 58 => icmp(protocol, port)?,
        _ if WITH_PORTS.contains(&protocol) => match port.parse::<u16>() {
            Ok(number) => number,
            Err(_) if port.split_once('-').is_some_and(|(low, _)| low.parse::<u16>().is_ok()) => {
                return Err(not_in_a_test(kind, "FROM-TO port range"));
            }
            Err(_) => {
                let by = if protocol == UDP { Protocol::Udp } else { Protocol::Tcp };
                let message = || syntax(format!("cannot parse '{}' as a port", printable(port)));
                Services::load().port(port, by).ok_or_else(message)?
            }
        },
        _ if port == "0" => 0,
        _ => {
            let name = word.split(':').next().unwrap_or_default();
            let message = format!("Protocol {} can be used with pseudo port value 0 only.", printable(name));
            return Err(syntax(message));
        }
    };
    parts.push(data::PORT | NETWORK_ORDER, Part::Octets(number.to_be_bytes().to_vec()));
    // A bitmap of ports knows no protocol.
    if kind.name != "bitmap:port" {
        parts.push(data::PROTOCOL, Part::Octets(vec![protocol]));
    }
    Ok(())
}

/// A type and a code, in the upper and the lower octet.
fn icmp(protocol: u8, word: &str) -> Result<u16, Error> {
    let wrong = || syntax(format!("cannot parse '{}' as an ICMP type", printable(word)));
    if let Some((kind, code)) = word.split_once('/') {
        let (kind, code): (u8, u8) = (kind.parse().map_err(|_| wrong())?, code.parse().map_err(|_| wrong())?);
        return Ok(u16::from_be_bytes([kind, code]));
    }
    let (kind, code) = names::icmp_number(protocol.into(), word).ok_or_else(wrong)?;
    Ok(u16::from_be_bytes([kind, code]))
}

fn hardware(word: &str) -> Result<Vec<u8>, Error> {
    let octets: Result<Vec<u8>, _> = word.split(':').map(|octet| u8::from_str_radix(octet, 16)).collect();
    octets
        .ok()
        .filter(|octets| octets.len() == 6)
        .ok_or_else(|| syntax(format!("Cannot parse ethernet address {}", printable(word))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, v6: bool) -> Kind {
        Kind { name: name.to_owned(), family: Some(if v6 { Family::Ipv6 } else { Family::Ipv4 }) }
    }

    #[test]
    fn parts_of_the_kind() {
        for (name, text) in [
            ("hash:ip", "1.2.3.4"),
            ("hash:ip,port", "1.2.3.4,icmp:echo-request"),
            ("hash:ip,port,net", "1.2.3.4,udp:53,10.0.0.0/8"),
            ("bitmap:ip,mac", "1.2.3.4"),
            ("bitmap:ip,mac", "1.2.3.4,00:11:22:33:44:55"),
            ("hash:ip,mark", "1.2.3.4,0x10"),
            ("list:set", "x"),
        ] {
            assert!(parse(&kind(name, false), text).is_ok(), "{name} {text}");
        }
        for (name, text) in [
            ("hash:ip", "1.2.3.4,80"),
            ("hash:ip", "::1"),
            ("hash:ip", "1.2.3.0/24"),
            ("hash:ip,port", "1.2.3.4"),
            ("hash:ip,port", "1.2.3.4,gre:1"),
            ("hash:ip,port", "1.2.3.4,80-90"),
            ("hash:net", "1.2.3.0/33"),
            ("hash:mac", "00:11:22:33:44"),
        ] {
            assert_eq!(parse(&kind(name, false), text).unwrap_err().exit, Exit(1), "{name} {text}");
        }
    }
}
