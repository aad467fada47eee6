//! The packets of a raw scan: what is asked as bytes, and what comes back as values. No I/O.
//!
//! IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293), UDP (RFC 768), ICMP (RFC 792), ICMPv6 (RFC 4443), ARP (RFC 826) and
//! neighbour discovery (RFC 4861). Checksums of what comes back are not looked at: a virtual link hands packets over
//! before they have any.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// TCP flags (RFC 9293, section 3.1).
pub const FIN: u8 = 0x01;
/// See above.
pub const SYN: u8 = 0x02;
/// See above.
pub const RST: u8 = 0x04;
/// See above.
pub const PSH: u8 = 0x08;
/// See above.
pub const ACK: u8 = 0x10;
/// See above.
pub const URG: u8 = 0x20;

/// IP protocol numbers.
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;
/// Extension headers of IPv6 that are stepped over, at most.
const MOST_HEADERS: usize = 8;

/// A packet from somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its source.
    pub from: IpAddr,
    /// TTL or hop limit as it arrived; 0 for ARP.
    pub ttl: u8,
    /// The rest.
    pub what: What,
}

/// What a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A segment.
    Tcp {
        /// Its source and destination port.
        ports: (u16, u16),
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number, whether or not the flag is set.
        ack: u32,
        /// Flags.
        flags: u8,
        /// Window.
        window: u16,
    },
    /// A datagram: its ports.
    Udp(u16, u16),
    /// An ICMP message that is no error: type, identifier.
    Icmp(u8, u16),
    /// An ICMP error: type, code, the MTU where it tells one, and whose packet it is about.
    Error(u8, u8, u32, Quoted),
    /// A neighbour at this link-layer address: an answer by ARP or neighbour discovery.
    Neighbour([u8; 6]),
}

/// The packet that an ICMP error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Where it went.
    pub to: IpAddr,
    /// IP protocol.
    pub protocol: u8,
    /// Its ports; for ICMP type and code together, and the identifier.
    pub ports: (u16, u16),
    /// The next four octets: TCP's sequence number.
    pub seq: u32,
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|two| u16::from_be_bytes(*two))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

fn v4(bytes: &[u8], at: usize) -> Option<IpAddr> {
    be32(bytes, at).map(|bits| Ipv4Addr::from(bits).into())
}

fn v6(bytes: &[u8], at: usize) -> Option<IpAddr> {
    bytes.get(at..)?.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets).into())
}

/// Header of a packet: source, destination, TTL, protocol, payload. None for later fragments.
fn ip(bytes: &[u8]) -> Option<(IpAddr, IpAddr, u8, u8, &[u8])> {
    match bytes.first()? >> 4 {
        4 => {
            let length = usize::from(bytes.first()? & 15) * 4;
            if length < 20 || be16(bytes, 6)? & 0x1fff != 0 {
                return None;
            }
            // The total length may be zero in a quoted packet, and leaves out what the link padded.
            let total = usize::from(be16(bytes, 2)?);
            let end = if total >= length { total.min(bytes.len()) } else { bytes.len() };
            Some((v4(bytes, 12)?, v4(bytes, 16)?, *bytes.get(8)?, *bytes.get(9)?, bytes.get(length..end)?))
        }
        6 => {
            let (mut next, mut rest) = (*bytes.get(6)?, bytes.get(40..)?);
            for _ in 0..MOST_HEADERS {
                let length = match next {
                    // Hop-by-hop, routing, destination options.
                    0 | 43 | 60 => 8 + usize::from(*rest.get(1)?) * 8,
                    44 if be16(rest, 2)? & 0xfff8 == 0 => 8,
                    _ => break,
                };
                (next, rest) = (*rest.first()?, rest.get(length..)?);
            }
            Some((v6(bytes, 8)?, v6(bytes, 24)?, *bytes.get(7)?, next, rest))
        }
        _ => None,
    }
}

/// Reads a packet from its IP header on, or an ARP reply from its first octet on.
pub fn read(bytes: &[u8]) -> Option<Reply> {
    // Ethernet, IPv4, lengths 6 and 4, reply.
    if bytes.starts_with(&[0, 1, 8, 0, 6, 4, 0, 2]) {
        let what = What::Neighbour(*bytes.get(8..)?.first_chunk()?);
        return Some(Reply { from: v4(bytes, 14)?, ttl: 0, what });
    }
    let (mut from, _, ttl, protocol, data) = ip(bytes)?;
    let what = match protocol {
        TCP => What::Tcp {
            ports: (be16(data, 0)?, be16(data, 2)?),
            seq: be32(data, 4)?,
            ack: be32(data, 8)?,
            flags: *data.get(13)?,
            window: be16(data, 14)?,
        },
        UDP => What::Udp(be16(data, 0)?, be16(data, 2)?),
        ICMP | ICMP6 if (protocol == ICMP) == from.is_ipv4() => {
            let (kind, code) = (*data.first()?, *data.get(1)?);
            let error = if protocol == ICMP { matches!(kind, 3..=5 | 11 | 12) } else { kind < 128 };
            if error {
                let (_, to, _, protocol, quoted) = ip(data.get(8..)?)?;
                let ports = match protocol {
                    ICMP | ICMP6 => (be16(quoted, 0)?, be16(quoted, 4)?),
                    _ => (be16(quoted, 0)?, be16(quoted, 2)?),
                };
                let quoted = Quoted { to, protocol, ports, seq: be32(quoted, 4)? };
                let mtu = match (from.is_ipv4(), kind, code) {
                    (true, 3, 4) => u32::from(be16(data, 6)?),
                    (false, 2, _) => be32(data, 4)?,
                    _ => 0,
                };
                What::Error(kind, code, mtu, quoted)
            } else if protocol == ICMP6 && kind == 136 {
                // An advertisement from a neighbour itself, never forwarded (RFC 4861, section 7.1.2): the target, and
                // its address as option 2.
                from = v6(data, 8)?;
                let option = data.get(24..)?;
                if ttl != 255 || !option.starts_with(&[2, 1]) {
                    return None;
                }
                What::Neighbour(*option.get(2..)?.first_chunk()?)
            } else {
                What::Icmp(kind, be16(data, 4)?)
            }
        }
        _ => return None,
    };
    Some(Reply { from, ttl, what })
}

/// The Internet checksum over parts that are put together (RFC 1071); all but the last are of even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    // An IP packet has at most 2^15 pairs, so nothing is lost before the carries are added.
    let mut sum = 0u32;
    for part in parts {
        let (pairs, rest) = part.as_chunks::<2>();
        for pair in pairs {
            sum += u32::from(u16::from_be_bytes(*pair));
        }
        sum += rest.first().map_or(0, |last| u32::from(*last) << 8);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or(0)
}

/// The octets of an address, at the front of what is handed in.
fn octets(ip: IpAddr, room: &mut [u8; 16]) -> &[u8] {
    match ip {
        IpAddr::V4(v4) => {
            let (front, _) = room.split_at_mut(4);
            front.copy_from_slice(&v4.octets());
            front
        }
        IpAddr::V6(v6) => {
            *room = v6.octets();
            room
        }
    }
}

/// Puts the IP header in front of a transport header with its data, and the checksum into the octets at `at`. The kernel
/// fills in what it knows better: the identification and checksum of IPv4.
fn wrap(from: IpAddr, to: IpAddr, hops: (u8, u8), at: usize, mut data: Vec<u8>) -> Vec<u8> {
    let (ttl, protocol) = hops;
    let (mut rooms, pseudo) = ([[0; 16]; 2], [0, 0, 0, protocol]);
    let [one, other] = &mut rooms;
    let (source, target) = (octets(from, one), octets(to, other));
    let length = u32::try_from(data.len()).unwrap_or(0).to_be_bytes();
    let sum = match protocol {
        ICMP => checksum(&[&data]),
        _ => checksum(&[source, target, &length, &pseudo, &data]),
    };
    // A datagram whose sum is zero says all ones, for zero means none (RFC 768).
    let sum = if protocol == UDP && sum == 0 { 0xffff } else { sum };
    if let Some(slot) = data.get_mut(at..at + 2) {
        slot.copy_from_slice(&sum.to_be_bytes());
    }
    let [_, _, high, low] = length;
    let mut out = Vec::with_capacity(data.len() + 40);
    if from.is_ipv4() {
        let [high, low] = u16::try_from(data.len() + 20).unwrap_or(0).to_be_bytes();
        out.extend_from_slice(&[0x45, 0, high, low, 0, 0, 0, 0, ttl, protocol, 0, 0]);
    } else {
        out.extend_from_slice(&[0x60, 0, 0, 0, high, low, protocol, ttl]);
    }
    for part in [source, target, &data] {
        out.extend_from_slice(part);
    }
    out
}

/// A segment without data. A SYN tells the largest segment it takes, as every real one does.
pub fn tcp(from: IpAddr, to: IpAddr, ports: (u16, u16), cookie: u32, flags: u8, ttl: u8) -> Vec<u8> {
    let mut data = Vec::with_capacity(24);
    data.extend_from_slice(&ports.0.to_be_bytes());
    data.extend_from_slice(&ports.1.to_be_bytes());
    data.extend_from_slice(&cookie.to_be_bytes());
    // What the answer to an ACK carries as its sequence number (RFC 9293, section 3.10.7.1).
    let ack = if flags & SYN != 0 { 0 } else { cookie };
    data.extend_from_slice(&ack.to_be_bytes());
    data.extend_from_slice(&[if flags & SYN != 0 { 0x60 } else { 0x50 }, flags, 4, 0, 0, 0, 0, 0]);
    if flags & SYN != 0 {
        let [high, low] = if from.is_ipv4() { 1460u16 } else { 1440 }.to_be_bytes();
        data.extend_from_slice(&[2, 4, high, low]);
    }
    wrap(from, to, (ttl, TCP), 16, data)
}

/// A datagram.
pub fn udp(from: IpAddr, to: IpAddr, ports: (u16, u16), payload: &[u8], ttl: u8) -> Vec<u8> {
    let mut data = Vec::with_capacity(8 + payload.len());
    let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    for field in [ports.0, ports.1, length, 0] {
        data.extend_from_slice(&field.to_be_bytes());
    }
    data.extend_from_slice(payload);
    wrap(from, to, (ttl, UDP), 6, data)
}

/// A question by ICMP of this type, with room for `extra` octets of zeroes behind its identifier and sequence number.
pub fn icmp(from: IpAddr, to: IpAddr, kind: u8, ident: u16, extra: usize, ttl: u8) -> Vec<u8> {
    let [high, low] = ident.to_be_bytes();
    let mut data = vec![kind, 0, 0, 0, high, low, 0, 0];
    data.resize(8 + extra, 0);
    wrap(from, to, (ttl, if from.is_ipv4() { ICMP } else { ICMP6 }), 2, data)
}

/// Who has this address? By ARP (EtherType 0x0806) or neighbour discovery (0x86dd): the EtherType, where the frame goes,
/// and its payload.
pub fn who_has(own: [u8; 6], from: IpAddr, to: IpAddr) -> (u16, [u8; 6], Vec<u8>) {
    let mut rooms = [[0; 16]; 2];
    let [one, other] = &mut rooms;
    let (source, target) = (octets(from, one), octets(to, other));
    match to {
        IpAddr::V4(_) => {
            let mut data = vec![0, 1, 8, 0, 6, 4, 0, 1];
            for part in [own.as_slice(), source, &[0; 6], target] {
                data.extend_from_slice(part);
            }
            (0x0806, [0xff; 6], data)
        }
        IpAddr::V6(_) => {
            let [.., a, b, c] = *target.first_chunk::<16>().unwrap_or(&[0; 16]);
            let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
            let mut data = vec![135, 0, 0, 0, 0, 0, 0, 0];
            data.extend_from_slice(target);
            data.extend_from_slice(&[1, 1]);
            data.extend_from_slice(&own);
            (0x86dd, [0x33, 0x33, 0xff, a, b, c], wrap(from, group.into(), (255, ICMP6), 2, data))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_built_can_be_read() {
        for (from, to) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let (from, to) = (at(from), at(to));
            let segment = tcp(from, to, (40_000, 80), 7, SYN, 64);
            let what = What::Tcp { ports: (40_000, 80), seq: 7, ack: 0, flags: SYN, window: 1024 };
            assert_eq!(read(&segment), Some(Reply { from, ttl: 64, what }));
            let datagram = udp(from, to, (40_000, 53), b"odd", 9);
            assert_eq!(read(&datagram), Some(Reply { from, ttl: 9, what: What::Udp(40_000, 53) }));
            let kind = if from.is_ipv4() { 8 } else { 128 };
            let echo = icmp(from, to, kind, 77, 4, 64);
            assert_eq!(read(&echo).unwrap().what, What::Icmp(kind, 77));
            // An error about any of them, as long as it quotes enough.
            for (quoted, protocol) in [(&segment, TCP), (&datagram, UDP)] {
                let mut body = vec![if from.is_ipv4() { 3 } else { 1 }, 4, 0, 0, 0, 0, 5, 0];
                body.extend_from_slice(quoted);
                let error = wrap(to, from, (3, if from.is_ipv4() { ICMP } else { ICMP6 }), 2, body);
                let Some(Reply { what: What::Error(_, 4, mtu, inner), ttl: 3, .. }) = read(&error) else {
                    panic!("{error:?}");
                };
                assert_eq!((inner.to, inner.protocol, inner.ports.0), (to, protocol, 40_000));
                assert_eq!(mtu, if from.is_ipv4() { 1280 } else { 0 });
                for cut in 0..error.len() {
                    let _ = read(&error[..cut]);
                }
            }
        }
    }

    #[test]
    fn checksums_come_out_even() {
        // The sum over a packet with its checksum in place is zero; the worked example of RFC 1071, section 3.
        assert_eq!(!checksum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), 0xddf2);
        let (from, to) = (at("10.0.0.1"), at("10.0.0.2"));
        let segment = tcp(from, to, (1, 2), 3, SYN, 64);
        let data = &segment[20..];
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        let mut rooms = [[0; 16]; 2];
        let [one, other] = &mut rooms;
        assert_eq!(checksum(&[octets(from, one), octets(to, other), &length, &[0, 0, 0, TCP], data]), 0);
    }

    #[test]
    fn neighbours() {
        let mac = [2, 0, 0, 0, 0, 9];
        let (kind, to, mut frame) = who_has(mac, at("10.0.0.1"), at("10.0.0.2"));
        assert_eq!((kind, to, frame.len()), (0x0806, [0xff; 6], 28));
        assert_eq!(read(&frame), None);
        frame[7] = 2;
        assert_eq!(read(&frame), Some(Reply { from: at("10.0.0.1"), ttl: 0, what: What::Neighbour(mac) }));
        let (kind, to, mut frame) = who_has(mac, at("fd00::1"), at("fd00::1:2"));
        assert_eq!((kind, to), (0x86dd, [0x33, 0x33, 0xff, 1, 0, 2]));
        frame[40] = 136;
        frame[64] = 2;
        assert_eq!(read(&frame), Some(Reply { from: at("fd00::1:2"), ttl: 255, what: What::Neighbour(mac) }));
        // From behind a router it would be a lie.
        frame[7] = 254;
        assert_eq!(read(&frame), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), head in 0u8..4) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = [0x45, 0x60, 0x4f, *first][usize::from(head)];
            }
            let _ = read(&bytes);
        }
    }
}
