//! What went over the wire: every connection with the address, TTL and TOS of its first packet, and who closed it first.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt,
};

use crate::lab::Stop;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
/// Port of the datagram that marks the end.
const MARK: u16 = 9;

/// A capture of all interfaces of this namespace.
#[derive(Debug)]
pub struct Wire {
    fd: OwnedFd,
    packets: Vec<Packet>,
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Packet {
    from: SocketAddr,
    to: SocketAddr,
    ttl: u8,
    tos: u8,
    protocol: u8,
    /// TCP only.
    flags: u8,
    payload: usize,
}

#[derive(Debug)]
struct Flow {
    first: Packet,
    established: bool,
    answered: bool,
    closed: Option<(SocketAddr, u8)>,
    datagrams: Vec<usize>,
}

impl Wire {
    /// Begins to capture.
    pub fn open() -> Result<Wire, Stop> {
        let fd = socket(AddressFamily::Packet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
            .map_err(|error| format!("packet socket: {error}"))?;
        // Nothing is read before the end.
        setsockopt(&fd, sockopt::RcvBufForce, &(64 << 20)).map_err(|error| format!("packet socket: {error}"))?;
        Ok(Wire { fd, packets: Vec::new() })
    }

    /// What was captured, a line for each connection and each pair of UDP addresses.
    pub fn text(&mut self) -> Result<String, Stop> {
        self.update()?;
        Ok(flows(&self.packets).iter().map(|flow| format!("{}\n", line(flow))).collect())
    }

    /// How many connections were closed by one side at least.
    pub fn closed(&mut self) -> Result<usize, Stop> {
        self.update()?;
        Ok(flows(&self.packets).iter().filter(|flow| flow.closed.is_some()).count())
    }

    /// Reads up to a datagram that was sent within our own system call just now, so it is there.
    fn update(&mut self) -> Result<(), Stop> {
        UdpSocket::bind("127.0.0.1:0")?.send_to(b"end", (Ipv4Addr::LOCALHOST, MARK))?;
        let mut buffer = vec![0; 65_536];
        loop {
            let (length, from) = recvfrom::<LinkAddr>(self.fd.as_raw_fd(), &mut buffer)
                .map_err(|error| format!("packet socket: {error}"))?;
            if from.is_none_or(|from| from.pkttype() != nix::libc::PACKET_OUTGOING) {
                continue;
            }
            let Some(packet) = read(buffer.get(..length).unwrap_or_default()) else { continue };
            if packet.to.port() == MARK {
                return Ok(());
            }
            self.packets.push(packet);
        }
    }
}

/// The connections among packets that are in the order of sending.
fn flows(packets: &[Packet]) -> Vec<Flow> {
    let mut flows: Vec<Flow> = Vec::new();
    let mut open: HashMap<(u8, SocketAddr, SocketAddr), usize> = HashMap::new();
    for packet in packets {
        let there = (packet.protocol, packet.from, packet.to);
        let back = (packet.protocol, packet.to, packet.from);
        let begins = packet.protocol == 6 && packet.flags & (SYN | ACK) == SYN;
        let known = open.get(&there).or_else(|| open.get(&back)).copied();
        let number = match known {
            // A SYN sent again belongs to the connection that it should begin.
            Some(number) if !begins || flows.get(number).is_some_and(|flow| flow.closed.is_none()) => number,
            _ if begins || packet.protocol == 17 => {
                open.insert(there, flows.len());
                let first = *packet;
                flows.push(Flow { first, established: false, answered: false, closed: None, datagrams: Vec::new() });
                flows.len() - 1
            }
            _ => continue,
        };
        let Some(flow) = flows.get_mut(number) else { continue };
        if packet.protocol == 17 {
            if packet.from == flow.first.from {
                flow.datagrams.push(packet.payload);
            }
            continue;
        }
        flow.answered |= packet.from == flow.first.to;
        flow.established |= packet.flags & (SYN | ACK) == (SYN | ACK);
        if flow.closed.is_none() && packet.flags & (FIN | RST) != 0 {
            flow.closed = Some((packet.from, packet.flags & (FIN | RST)));
        }
    }
    flows
}

fn line(flow: &Flow) -> String {
    let Packet { from, to, ttl, tos, protocol, .. } = flow.first;
    let name = if protocol == 6 { "tcp" } else { "udp" };
    let head = format!("{name} {from} > {to} ttl {ttl} tos {tos:#04x}:");
    if protocol == 17 {
        return format!("{head} datagrams of {:?} bytes", flow.datagrams);
    }
    match flow.closed {
        _ if !flow.answered => format!("{head} no answer"),
        Some(_) if !flow.established => format!("{head} refused"),
        None => format!("{head} still open"),
        Some((closer, flags)) => {
            let side = if closer == from { "client" } else { "server" };
            format!("{head} closed first by the {side} with {}", if flags & RST != 0 { "RST" } else { "FIN" })
        }
    }
}

/// Reads an IP packet that carries TCP or UDP.
fn read(bytes: &[u8]) -> Option<Packet> {
    let (source, target, ttl, tos, protocol, rest): (IpAddr, IpAddr, u8, u8, u8, &[u8]) = match bytes.first()? >> 4 {
        4 => {
            let header = usize::from(bytes.first()? & 0x0f) * 4;
            let total = usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?));
            let source = Ipv4Addr::from(*bytes.get(12..)?.first_chunk::<4>()?);
            let target = Ipv4Addr::from(*bytes.get(16..)?.first_chunk::<4>()?);
            // Longer than 64 KiB is sent with a length of 0.
            let end = if total == 0 { bytes.len() } else { total };
            let rest = bytes.get(header..end)?;
            (source.into(), target.into(), *bytes.get(8)?, *bytes.get(1)?, *bytes.get(9)?, rest)
        }
        6 => {
            let source = Ipv6Addr::from(*bytes.get(8..)?.first_chunk::<16>()?);
            let target = Ipv6Addr::from(*bytes.get(24..)?.first_chunk::<16>()?);
            let class = (bytes.first()? << 4) | (bytes.get(1)? >> 4);
            (source.into(), target.into(), *bytes.get(7)?, class, *bytes.get(6)?, bytes.get(40..)?)
        }
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes(*rest.get(at..)?.first_chunk()?));
    let (flags, header) = match protocol {
        6 => (*rest.get(13)?, usize::from(rest.get(12)? >> 4) * 4),
        17 => (0, 8),
        _ => return None,
    };
    Some(Packet {
        from: (source, port(0)?).into(),
        to: (target, port(2)?).into(),
        ttl,
        tos,
        protocol,
        flags,
        payload: rest.len().checked_sub(header)?,
    })
}

/// What the harness's own trial wants to know of this summary.
pub fn telling() -> Result<(), Stop> {
    let summary =
        |packets: &[Packet]| flows(packets).iter().map(|flow| format!("{}\n", line(flow))).collect::<String>();
    let (a, b): (SocketAddr, SocketAddr) = (([127, 0, 0, 1], 40_000).into(), ([127, 0, 0, 1], 80).into());
    let tcp = |from, to, flags| Packet { from, to, ttl: 64, tos: 0, protocol: 6, flags, payload: 0 };
    let said = |packets: &[Packet]| summary(packets).trim_end().rsplit(": ").next().unwrap_or_default().to_owned();
    let begun = [tcp(a, b, SYN), tcp(b, a, SYN | ACK), tcp(a, b, ACK)];
    let after = |last: &[Packet]| said(&[&begun[..], last].concat());
    for (what, said, wanted) in [
        ("silence", said(&[tcp(a, b, SYN), tcp(a, b, SYN)]), "no answer"),
        ("refusal", said(&[tcp(a, b, SYN), tcp(b, a, RST | ACK)]), "refused"),
        ("open", after(&[]), "still open"),
        ("client", after(&[tcp(a, b, FIN | ACK), tcp(b, a, FIN | ACK)]), "closed first by the client with FIN"),
        ("server", after(&[tcp(b, a, FIN | ACK), tcp(a, b, RST)]), "closed first by the server with FIN"),
        ("reset", after(&[tcp(a, b, RST | ACK)]), "closed first by the client with RST"),
    ] {
        crate::lab::same(what, &said, wanted)?;
    }
    if summary(&[tcp(a, b, SYN), tcp(b, a, RST), tcp(a, b, SYN), tcp(b, a, RST)]).lines().count() != 2 {
        return Err("two attempts from one port are two lines".into());
    }
    let six: [u8; 48] = {
        let mut bytes = [0; 48];
        for (at, byte) in [(0, 0x62), (1, 0xe0), (6, 17), (7, 9), (23, 1), (39, 1), (40, 156), (43, 80)] {
            if let Some(slot) = bytes.get_mut(at) {
                *slot = byte;
            }
        }
        bytes
    };
    let packet = read(&six).ok_or("an IPv6 packet was not read")?;
    crate::lab::same("IPv6", &summary(&[packet]), "udp [::1]:39936 > [::1]:80 ttl 9 tos 0x2e: datagrams of [0] bytes\n")
}
