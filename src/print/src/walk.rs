//! What a packet carries, as values: the innermost addresses, ports and payload, through tunnels.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::fetch::{Fetch, Res};

/// One packet, unwrapped.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a> {
    /// Source address of the innermost IP header.
    pub source: IpAddr,
    /// Destination address of the innermost IP header.
    pub destination: IpAddr,
    /// IP protocol number behind it and its extension headers.
    pub protocol: u8,
    /// Ports of TCP, UDP and SCTP, zero otherwise or in a later fragment.
    pub ports: (u16, u16),
    /// The segment's header, in TCP.
    pub tcp: Option<Segment>,
    /// What is behind the last header that is known.
    pub payload: &'a [u8],
    /// How long that was on the wire, in bytes.
    pub payload_length: usize,
    /// The outermost VLAN's number.
    pub vlan: Option<u16>,
    /// The innermost tunnel, empty without one.
    pub tunnel: &'static str,
}

/// Fields of a TCP header (RFC 9293 section 3.1).
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub flags: u8,
    /// Window, unscaled.
    pub window: u16,
}

/// Tunnels in tunnels are followed this far.
const MOST_TUNNELS: usize = 8;

/// Unwraps a packet of a link type; nothing when it is no IP, or cut off before its addresses end.
pub fn walk(link: u32, data: &[u8], length: u32) -> Option<Walk<'_>> {
    let mut vlan = None;
    let (start, kind) = link_payload(link, data, &mut vlan)?;
    let rest = usize::try_from(length).ok()?.saturating_sub(start);
    let mut found = network(data.tail(start), rest, kind).ok()?;
    found.vlan = vlan;
    for _ in 0..MOST_TUNNELS {
        let Some(inner) = tunnelled(&found) else { break };
        found = Walk { vlan, ..inner };
    }
    Some(found)
}

/// Where the network layer begins, and its Ethernet type.
fn link_payload(link: u32, data: &[u8], vlan: &mut Option<u16>) -> Option<(usize, u16)> {
    let (mut at, mut kind) = match link {
        1 => (14, data.u16(12).ok()?),
        113 => (16, data.u16(14).ok()?),
        276 => (20, data.u16(0).ok()?),
        12 | 14 | 101 | 228 | 229 => (0, version(data)?),
        0 | 108 => (4, version(data.tail(4))?),
        _ => return None,
    };
    while matches!(kind, 0x8100 | 0x88a8 | 0x9100) {
        vlan.get_or_insert(data.u16(at).ok()? & 0xfff);
        kind = data.u16(at + 2).ok()?;
        at += 4;
    }
    Some((at, kind))
}

fn version(data: &[u8]) -> Option<u16> {
    match data.u8(0).ok()? >> 4 {
        4 => Some(0x0800),
        6 => Some(0x86dd),
        _ => None,
    }
}

fn network(p: &[u8], length: usize, kind: u16) -> Res<Walk<'_>> {
    let (source, destination, mut protocol, mut at, total, mut later);
    match kind {
        0x0800 => {
            at = usize::from(p.u8(0)? & 15) * 4;
            total = usize::from(p.u16(2)?);
            protocol = p.u8(9)?;
            source = IpAddr::V4(Ipv4Addr::from(p.u32(12)?));
            destination = IpAddr::V4(Ipv4Addr::from(p.u32(16)?));
            later = p.u16(6)? & 0x1fff != 0;
        }
        0x86dd => {
            at = 40;
            total = usize::from(p.u16(4)?) + 40;
            protocol = p.u8(6)?;
            source = IpAddr::V6(Ipv6Addr::from(p.bytes::<16>(8)?));
            destination = IpAddr::V6(Ipv6Addr::from(p.bytes::<16>(24)?));
            later = false;
            while let 0 | 43 | 44 | 60 = protocol {
                let Ok(next) = p.u8(at) else { break };
                if protocol == 44 {
                    later = p.u16(at + 2)? & 0xfff8 != 0;
                }
                at += if protocol == 44 { 8 } else { (usize::from(p.u8(at + 1)?) + 1) * 8 };
                protocol = next;
            }
        }
        _ => return Err(crate::fetch::Short),
    }
    let total = if total == 0 { length } else { total.min(length) };
    let p = p.head(total);
    let mut found = Walk {
        source,
        destination,
        protocol,
        ports: (0, 0),
        tcp: None,
        payload: p.tail(at),
        payload_length: total.saturating_sub(at),
        vlan: None,
        tunnel: "",
    };
    if later || !matches!(protocol, 6 | 17 | 132) {
        return Ok(found);
    }
    let transport = found.payload;
    let (Ok(from), Ok(to)) = (transport.u16(0), transport.u16(2)) else { return Ok(found) };
    found.ports = (from, to);
    let header = match protocol {
        6 => {
            let (Ok(seq), Ok(ack), Ok(flags)) = (transport.u32(4), transport.u32(8), transport.u16(12)) else {
                return Ok(found);
            };
            let window = transport.u16(14).unwrap_or(0);
            found.tcp = Some(Segment { seq, ack, flags: flags as u8, window });
            usize::from(flags >> 12) * 4
        }
        17 => 8,
        _ => 12,
    };
    found.payload = transport.tail(header);
    found.payload_length = found.payload_length.saturating_sub(header);
    Ok(found)
}

/// The packet in a packet.
fn tunnelled<'a>(outer: &Walk<'a>) -> Option<Walk<'a>> {
    let p = outer.payload;
    let (tunnel, at, kind) = match (outer.protocol, outer.ports.1) {
        (4, _) => ("ipip", 0, 0x0800),
        (41, _) => ("sit", 0, 0x86dd),
        (47, _) => {
            let flags = p.u16(0).ok()?;
            let options = [0x8000, 0x2000, 0x1000].iter().filter(|bit| flags & **bit != 0).count();
            ("gre", 4 + options * 4, p.u16(2).ok()?)
        }
        (17, 4789 | 8472) => ("vxlan", 8, 0x6558),
        (17, 6081) => ("geneve", 8 + usize::from(p.u8(0).ok()? & 0x3f) * 4, p.u16(2).ok()?),
        _ => return None,
    };
    let (mut at, mut kind) = (at, kind);
    if kind == 0x6558 {
        kind = p.u16(at + 12).ok()?;
        at += 14;
        while matches!(kind, 0x8100 | 0x88a8) {
            kind = p.u16(at + 2).ok()?;
            at += 4;
        }
    }
    let inner = network(p.tail(at), outer.payload_length.saturating_sub(at), kind).ok()?;
    Some(Walk { tunnel, ..inner })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv4 header of 20 bytes, from 10.0.0.1 to 10.0.0.2.
    fn ip(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0];
        packet.extend((payload.len() as u16 + 20).to_be_bytes());
        packet.extend([0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend_from_slice(payload);
        packet
    }

    #[test]
    fn through_a_tunnel() {
        let inner = ip(17, &[0, 53, 4, 0, 0, 10, 0, 0, b'h', b'i']);
        let outer = ip(47, &[&[0, 0, 8, 0], inner.as_slice()].concat());
        let found = walk(101, &outer, outer.len() as u32).unwrap();
        assert_eq!((found.tunnel, found.protocol, found.ports), ("gre", 17, (53, 1024)));
        assert_eq!((found.payload, found.payload_length), (&b"hi"[..], 2));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_it(data in proptest::collection::vec(proptest::num::u8::ANY, 0..120), link in 0u32..300, length in 0u32..200) {
            let _ = walk(link, &data, length);
        }
    }
}
