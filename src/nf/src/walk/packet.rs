//! The packet whose way is walked, and how a person describes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::Family;
use crate::save::protocol_name;

/// IANA protocol numbers that the walk treats apart.
pub mod protocol {
    #![allow(missing_docs)]
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;
    pub const UDPLITE: u8 = 136;
}

/// Bits of the TCP header's flags (RFC 9293, 3.1).
pub mod tcp {
    #![allow(missing_docs)]
    pub const NAMES: [(&str, u8); 8] =
        [("FIN", 1), ("SYN", 2), ("RST", 4), ("PSH", 8), ("ACK", 16), ("URG", 32), ("ECE", 64), ("CWR", 128)];
    pub const SYN: u8 = 2;
    pub const ACK: u8 = 16;
}

/// Where source ports come from when nobody names one (net.ipv4.ip_local_port_range by default).
pub const EPHEMERAL: (u16, u16) = (32_768, 60_999);

/// What conntrack says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The first of its connection.
    New,
    /// Of a connection seen before.
    Established,
    /// The first of one that another one expects.
    Related,
    /// Of none.
    Invalid,
    /// Exempt from tracking.
    Untracked,
}

impl State {
    /// By iptables' word for it.
    pub fn from_name(name: &str) -> Option<State> {
        [State::New, State::Established, State::Related, State::Invalid, State::Untracked]
            .into_iter()
            .find(|state| state.name().eq_ignore_ascii_case(name))
    }

    /// As iptables writes it.
    pub fn name(self) -> &'static str {
        match self {
            State::New => "NEW",
            State::Established => "ESTABLISHED",
            State::Related => "RELATED",
            State::Invalid => "INVALID",
            State::Untracked => "UNTRACKED",
        }
    }

    /// Bit of `ct state` in nf_tables (linux/netfilter/nf_conntrack_common.h, NF_CT_STATE_BIT), which is that of
    /// xt_conntrack too, except for UNTRACKED.
    pub(super) fn bit(self) -> u32 {
        match self {
            State::Invalid => 1,
            State::Established => 2,
            State::Related => 4,
            State::New => 8,
            State::Untracked => 64,
        }
    }
}

/// A packet as far as its describer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// IANA protocol number.
    pub protocol: u8,
    /// Source address.
    pub source: IpAddr,
    /// Destination address, of the same family.
    pub destination: IpAddr,
    /// First and last possible source port; the same for a known one.
    pub sport: (u16, u16),
    /// Destination port, if the protocol has ports and it is known.
    pub dport: Option<u16>,
    /// ICMP type and code.
    pub icmp: (u8, u8),
    /// TCP flags.
    pub flags: u8,
    /// Type of service, or traffic class.
    pub tos: u8,
    /// TTL or hop limit.
    pub ttl: Option<u8>,
    /// Octets of the packet with its network header.
    pub length: Option<u16>,
    /// Packet mark.
    pub mark: u32,
    /// Owner of the socket that sends it.
    pub uid: Option<u32>,
    /// Group of the socket that sends it.
    pub gid: Option<u32>,
}

impl Packet {
    /// ip or ip6
    pub fn family(&self) -> Family {
        if self.source.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }

    /// Whether its protocol has ports.
    pub fn has_ports(&self) -> bool {
        matches!(self.protocol, protocol::TCP | protocol::UDP | protocol::SCTP | protocol::UDPLITE | 33)
    }

    /// Whether it is of ICMP or ICMPv6.
    pub fn is_icmp(&self) -> bool {
        matches!(self.protocol, protocol::ICMP | protocol::ICMPV6)
    }

    /// The source port, if there is only one possible.
    pub fn source_port(&self) -> Option<u16> {
        (self.has_ports() && self.sport.0 == self.sport.1).then_some(self.sport.0)
    }

    /// Its ends, as in `tcp 10.0.0.5 -> 10.96.0.1:443`.
    pub fn ends(&self) -> String {
        let name = protocol_name(u16::from(self.protocol)).map_or_else(|| self.protocol.to_string(), str::to_owned);
        let source = endpoint(self.source, self.source_port());
        format!("{name} {source} -> {}", endpoint(self.destination, self.dport.filter(|_| self.has_ports())))
    }

    /// Reads `PROTOCOL SOURCE[:PORT] -> DESTINATION[:PORT] [WORD VALUE]...`. The TCP flags follow `state` unless they
    /// are named.
    ///
    /// # Errors
    /// A line that names the word at fault.
    pub fn parse(text: &str, state: Option<State>) -> Result<Packet, String> {
        let spaced = text.replace("->", " -> ");
        let mut words: Vec<&str> = spaced.split_whitespace().collect();
        // A shell would take an arrow without quotes for a redirection, so it may be left out.
        if words.get(2) == Some(&"->") {
            words.remove(2);
        }
        let [kind, source, destination, rest @ ..] = words.as_slice() else {
            return Err(format!("'{}' is not of the form PROTOCOL SOURCE[:PORT] -> DESTINATION[:PORT]", shown(text)));
        };
        let (source, sport) = split_endpoint(source)?;
        let (destination, dport) = split_endpoint(destination)?;
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(format!("{source} and {destination} are of different families"));
        }
        let v6 = source.is_ipv6();
        let (protocol, icmp) = protocol_of(kind, v6)?;
        let mut packet = Packet {
            protocol,
            source,
            destination,
            sport: sport.map_or(EPHEMERAL, |port| (port, port)),
            dport,
            icmp: icmp.unwrap_or(if v6 { (128, 0) } else { (8, 0) }),
            flags: if matches!(state, Some(State::Established | State::Invalid)) { tcp::ACK } else { tcp::SYN },
            tos: 0,
            ttl: None,
            length: None,
            mark: 0,
            uid: None,
            gid: None,
        };
        if let (Some(port), false) = (sport.or(dport), packet.has_ports()) {
            return Err(format!("{kind} has no ports, so :{port} means nothing"));
        }
        if packet.has_ports() && dport.is_none() {
            return Err(format!("{kind} needs the destination's port, as in {}", endpoint(destination, Some(443))));
        }
        for pair in rest.chunks(2) {
            let [word, value] = pair else {
                return Err(format!("'{}' lacks its value", shown(pair.first().copied().unwrap_or_default())));
            };
            packet.set(word, value)?;
        }
        Ok(packet)
    }

    fn set(&mut self, word: &str, value: &str) -> Result<(), String> {
        let number = |most: u32| {
            let read = match value.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16).ok(),
                None => value.parse().ok(),
            };
            let wrong = || format!("{word} '{}' is not a number up to {most}", shown(value));
            read.filter(|number| *number <= most).ok_or_else(wrong)
        };
        let octet = || number(255).map(|number| u8::try_from(number).unwrap_or(u8::MAX));
        match word {
            "type" if self.is_icmp() => self.icmp.0 = octet()?,
            "code" if self.is_icmp() => self.icmp.1 = octet()?,
            "type" | "code" => return Err(format!("'{word}' is for icmp only")),
            "flags" if self.protocol == protocol::TCP => self.flags = tcp_flags(value)?,
            "flags" => return Err("'flags' is for tcp only".to_owned()),
            "mark" => self.mark = number(u32::MAX)?,
            "ttl" => self.ttl = Some(octet()?),
            "tos" => self.tos = octet()?,
            "length" => self.length = Some(u16::try_from(number(65_535)?).unwrap_or(u16::MAX)),
            "uid" => self.uid = Some(number(u32::MAX)?),
            "gid" => self.gid = Some(number(u32::MAX)?),
            _ => {
                let known = "type, code, flags, mark, ttl, tos, length, uid, gid";
                return Err(format!("'{}' is none of {known}", shown(word)));
            }
        }
        Ok(())
    }
}

/// Words of a person, cut and made safe for a message.
fn shown(word: &str) -> String {
    netkit_core::text::printable(word).chars().take(60).collect()
}

fn tcp_flags(value: &str) -> Result<u8, String> {
    if value.eq_ignore_ascii_case("none") {
        return Ok(0);
    }
    value.split(',').try_fold(0, |bits, name| {
        let found = tcp::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, bit)| bits | bit).ok_or_else(|| format!("'{}' is no TCP flag", shown(name)))
    })
}

fn protocol_of(text: &str, v6: bool) -> Result<(u8, Option<(u8, u8)>), String> {
    let lower = text.to_ascii_lowercase();
    let (name, detail) = lower.split_once('/').map_or((lower.as_str(), None), |(name, detail)| (name, Some(detail)));
    let number = match name {
        "icmp" | "icmp6" | "icmpv6" | "ipv6-icmp" | "ping" => {
            if v6 {
                protocol::ICMPV6
            } else {
                protocol::ICMP
            }
        }
        _ => {
            let by_name = (1u8..=255).find(|number| protocol_name(u16::from(*number)) == Some(name));
            let by_number = || name.parse().ok().filter(|number| *number != 0);
            by_name
                .or_else(by_number)
                .ok_or_else(|| format!("'{}' is no protocol: tcp, udp, sctp, icmp or a number", shown(text)))?
        }
    };
    let Some(detail) = detail else { return Ok((number, None)) };
    let (kind, code) = detail.split_once('/').unwrap_or((detail, "0"));
    match (kind.parse(), code.parse(), name.starts_with("icmp")) {
        (Ok(kind), Ok(code), true) => Ok((number, Some((kind, code)))),
        _ => Err(format!("'{}' is not icmp/TYPE[/CODE]", shown(text))),
    }
}

/// An address with a port if there is one.
pub fn endpoint(address: IpAddr, port: Option<u16>) -> String {
    match (address, port) {
        (IpAddr::V6(_), Some(port)) => format!("[{address}]:{port}"),
        (IpAddr::V4(_), Some(port)) => format!("{address}:{port}"),
        (_, None) => address.to_string(),
    }
}

/// Reads `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT`.
///
/// # Errors
/// A line that names what is neither.
pub fn split_endpoint(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    let wrong = || format!("'{}' is not ADDRESS[:PORT] (names are not looked up here)", shown(text));
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok((address.into(), None));
    }
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or_else(wrong)?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let address: IpAddr = if text.starts_with('[') {
        address.parse::<Ipv6Addr>().map_err(|_| wrong())?.into()
    } else {
        address.parse::<Ipv4Addr>().map_err(|_| wrong())?.into()
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok((address, None)),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok((address, Some(digits.parse().map_err(|_| wrong())?)))
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions() {
        let packet = Packet::parse("tcp 10.0.0.5 -> 10.96.0.1:443", None).unwrap();
        assert_eq!((packet.protocol, packet.dport, packet.flags), (6, Some(443), tcp::SYN));
        assert_eq!((packet.sport, packet.source_port()), (EPHEMERAL, None));
        assert_eq!(packet.ends(), "tcp 10.0.0.5 -> 10.96.0.1:443");
        let packet = Packet::parse("UDP [fd00::1]:53->[fd00::2]:4000 mark 0x10 ttl 3", None).unwrap();
        assert_eq!((packet.source_port(), packet.mark, packet.ttl), (Some(53), 16, Some(3)));
        assert_eq!(packet.ends(), "udp [fd00::1]:53 -> [fd00::2]:4000");
        assert_eq!(
            Packet::parse("tcp 10.0.0.5 10.96.0.1:443", None),
            Packet::parse("tcp 10.0.0.5->10.96.0.1:443", None)
        );
        let packet = Packet::parse("icmp/3/1 fd00::1 -> fd00::2", None).unwrap();
        assert_eq!((packet.protocol, packet.icmp), (58, (3, 1)));
        assert_eq!(Packet::parse("47 10.0.0.1 -> 10.0.0.2", None).unwrap().protocol, 47);
        let packet = Packet::parse("tcp 10.0.0.1:1 -> 10.0.0.2:2 flags ACK,fin", Some(State::New)).unwrap();
        assert_eq!(packet.flags, 17);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("", "form"),
            ("tcp 10.0.0.1 10.0.0.2:1 x", "'x'"),
            ("tcp 10.0.0.1", "form"),
            ("tcp 10.0.0.1 -> 10.0.0.2", "port"),
            ("icmp 10.0.0.1 -> 10.0.0.2:1", "no ports"),
            ("tcp 10.0.0.1 -> [fd00::1]:1", "families"),
            ("tcp localhost -> 10.0.0.1:1", "localhost"),
            ("tcp 10.0.0.1:70000 -> 10.0.0.1:1", "70000"),
            ("tcp 10.0.0.1:+5 -> 10.0.0.1:1", "+5"),
            ("wombat 10.0.0.1 -> 10.0.0.1:1", "wombat"),
            ("tcp 10.0.0.1 -> 10.0.0.1:1 mark", "mark"),
            ("tcp 10.0.0.1 -> 10.0.0.1:1 mark x", "mark 'x'"),
            ("tcp 10.0.0.1 -> 10.0.0.1:1 size 4", "size"),
            ("udp 10.0.0.1 -> 10.0.0.1:1 flags SYN", "tcp only"),
        ] {
            let error = Packet::parse(text, None).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
