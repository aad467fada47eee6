//! With CAP_NET_RAW: packets of our own through raw sockets, which leave routing and neighbours to the kernel (raw(7)),
//! and answers through a packet socket behind a filter, which hears them before any firewall of this machine does
//! (packet(7)).
//!
//! Nothing is left behind: the source ports are reserved by sockets that nobody listens on, so the kernel itself resets
//! what a SYN of ours half opened, and no process here ever sees an answer that is not its own. The sequence number is a
//! keyed hash of where the segment goes, so an answer has to know it, also one that comes late.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use netkit_sys::capture::Instruction;
use netkit_sys::link;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, getsockopt, recv, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::packet::{self, Quoted, What};
use super::post::Post;
use super::{Asked, Kind, Medium, Settings, State, Task, Verdict, local, of_icmp, payload};
use crate::icmp::IcmpError;

/// Octets of a packet that are looked at.
const SNAP: usize = 256;
/// What the kernel is asked to hold for us, in bytes; without CAP_NET_ADMIN it gives less.
const HOLD: usize = 16 << 20;
/// What one small packet takes of that.
const EACH: usize = 1024;
/// Answers taken between two requests.
const MOST_HEARD: usize = 1024;

/// The link that neighbours are asked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its interface.
    pub ifindex: u32,
    /// Our link-layer address on it.
    pub mac: [u8; 6],
}

/// Raw sockets, one of each kind for every request.
#[derive(Debug)]
pub struct Raw {
    post: Post,
    hear: OwnedFd,
    tcp: u16,
    udp: u16,
    ident: u16,
    secret: RandomState,
    ttl: u8,
    given: Option<IpAddr>,
    interface: Option<String>,
    sources: BTreeMap<IpAddr, Option<IpAddr>>,
    /// The ways in which segments were sent; an answer is offered to each.
    segments: Vec<Kind>,
    /// For [`Kind::Neighbour`].
    pub link: Option<Link>,
    room: usize,
    // Held, so that nobody else gets these ports.
    _reserved: [Socket; 2],
}

impl Raw {
    /// Opens everything for one family.
    ///
    /// # Errors
    /// EPERM or EACCES without CAP_NET_RAW; EADDRINUSE when the source port asked for is taken.
    pub fn open(v6: bool, settings: &Settings) -> io::Result<Raw> {
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        // With this protocol, the IP header is ours to write.
        let sender = || -> io::Result<Socket> {
            let send = Socket::new(domain, Type::RAW.nonblocking().cloexec(), Some(Protocol::from(libc::IPPROTO_RAW)))?;
            if let Some(interface) = &settings.interface {
                send.bind_device(Some(interface.as_bytes()))?;
            }
            let _ = send.set_broadcast(true);
            let _ = send.set_send_buffer_size(1 << 20);
            Ok(send)
        };
        // Two, so that two processors need not share what a socket counts.
        let (send, other) = (sender()?, sender()?);
        let port = settings.source.map_or(0, |source| source.port());
        let any = SocketAddr::new(if v6 { IpAddr::from([0u16; 8]) } else { IpAddr::from([0u8; 4]) }, port);
        let reserve = |kind: Type| -> io::Result<Socket> {
            let socket = Socket::new(domain, kind.cloexec(), None)?;
            if port != 0 {
                socket.set_reuse_address(true)?;
            }
            socket.bind(&any.into())?;
            Ok(socket)
        };
        let (stream, datagram) = (reserve(Type::STREAM)?, reserve(Type::DGRAM)?);
        let own = |socket: &Socket| -> io::Result<u16> {
            Ok(socket.local_addr()?.as_socket().map_or(0, |address| address.port()))
        };
        let [tcp, udp] = [own(&stream)?, own(&datagram)?];
        let hear = link::listen(&filter(tcp, udp), HOLD).map_err(io::Error::from)?;
        let held = getsockopt(&hear, sockopt::RcvBuf).unwrap_or(1 << 17);
        Ok(Raw {
            post: Post::new([send, other], settings.rate.is_some()),
            hear,
            tcp,
            udp,
            ident: tcp,
            secret: RandomState::new(),
            ttl: settings.ttl,
            given: settings.source.map(|source| source.ip()).filter(|ip| !ip.is_unspecified()),
            interface: settings.interface.clone(),
            sources: BTreeMap::new(),
            segments: Vec::new(),
            link: None,
            room: (held / EACH).max(64),
            _reserved: [stream, datagram],
        })
    }

    /// How many answers may come at once without loss.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Forgets what was found out about hosts that are done with.
    pub fn next_hosts(&mut self) {
        self.sources.clear();
        self.segments.clear();
    }

    /// The address that the kernel would send from, if it would send at all.
    fn source(&mut self, to: IpAddr) -> Result<IpAddr, i32> {
        if let Some(given) = self.given {
            return Ok(given);
        }
        if let Some(known) = self.sources.get(&to) {
            return known.ok_or(libc::ENETUNREACH);
        }
        let any = if to.is_ipv6() { IpAddr::from([0u16; 8]) } else { IpAddr::from([0u8; 4]) };
        let asked = || -> io::Result<IpAddr> {
            let socket: Socket = UdpSocket::bind((any, 0))?.into();
            if let Some(interface) = &self.interface {
                socket.bind_device(Some(interface.as_bytes()))?;
            }
            // A broadcast address is a host like any other here.
            let _ = socket.set_broadcast(true);
            socket.connect(&SocketAddr::new(to, 9).into())?;
            socket.local_addr()?.as_socket().map(|own| own.ip()).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
        };
        let found = asked();
        self.sources.insert(to, found.as_ref().ok().copied());
        found.map_err(|error| error.raw_os_error().unwrap_or(libc::ENETUNREACH))
    }

    fn cookie(&self, to: IpAddr, port: u16) -> u32 {
        (self.secret.hash_one((to, port)) >> 16) as u32
    }

    fn packet(&mut self, task: Task, from: IpAddr) -> Vec<u8> {
        let (to, port) = (task.to.ip(), task.to.port());
        let flags = match task.kind {
            Kind::Udp => return packet::udp(from, to, (self.udp, port), &payload(port), self.ttl),
            Kind::Icmp(kind) => {
                // A timestamp or mask question has its fields, zero from us; an echo needs no data.
                let extra = match kind {
                    13 => 12,
                    17 => 4,
                    _ => 0,
                };
                return packet::icmp(from, to, kind, self.ident, extra, self.ttl);
            }
            Kind::Segment(flags) => flags,
            Kind::Window => packet::ACK,
            Kind::Connect | Kind::Neighbour => packet::SYN,
        };
        packet::tcp(from, to, (self.tcp, port), self.cookie(to, port), flags, self.ttl)
    }

    /// What a packet says about which task; `wanted` tells how a port was asked.
    fn understand(&self, bytes: &[u8], heard: &mut Vec<(Task, Verdict)>) {
        let Some(reply) = packet::read(bytes) else { return };
        let mut told = |host: IpAddr, port: u16, kind: Kind, mut verdict: Verdict| {
            verdict.ttl = Some(reply.ttl).filter(|_| kind != Kind::Neighbour);
            heard.push((Task { to: SocketAddr::new(host, port), kind }, verdict));
        };
        let from = reply.from;
        match reply.what {
            What::Tcp { ports: (port, to), seq, ack, flags, window } if to == self.tcp => {
                let cookie = self.cookie(from, port);
                let acknowledged = flags & packet::ACK != 0 && ack.wrapping_sub(cookie) <= 1;
                for kind in &self.segments {
                    if let Some(verdict) = verdict(*kind, flags, window, acknowledged, seq == cookie) {
                        told(from, port, *kind, verdict);
                    }
                }
            }
            What::Udp(port, to) if to == self.udp && !(port == to && self.sources.get(&from) == Some(&Some(from))) => {
                told(from, port, Kind::Udp, Verdict::new(State::Open, "udp-response"));
            }
            What::Icmp(kind, ident) if ident == self.ident => {
                let (asked, reason) = match kind {
                    0 => (8, "echo-reply"),
                    129 => (128, "echo-reply"),
                    14 => (13, "timestamp-reply"),
                    18 => (17, "addressmask-reply"),
                    _ => return,
                };
                told(from, 0, Kind::Icmp(asked), Verdict::new(State::Open, reason));
            }
            What::Neighbour(mac) => {
                let reason = if from.is_ipv4() { "arp-response" } else { "nd-response" };
                let verdict = Verdict { mac: Some(mac), ..Verdict::new(State::Open, reason) };
                told(from, 0, Kind::Neighbour, verdict);
            }
            What::Error(kind, code, mtu, Quoted { to, protocol, ports, seq }) => {
                let v6 = from.is_ipv6();
                let error = IcmpError { v6, kind, code, mtu, offender: Some(from), errno: 0 };
                // "Too big" is no verdict about a port.
                if matches!((v6, kind, code), (false, 3, 4) | (true, 2, _)) {
                    return;
                }
                let mut about = |port, kind| told(to, port, kind, of_icmp(&error, to, kind));
                match protocol {
                    6 if ports.0 == self.tcp && seq == self.cookie(to, ports.1) => {
                        for kind in &self.segments {
                            about(ports.1, *kind);
                        }
                    }
                    17 if ports.0 == self.udp => about(ports.1, Kind::Udp),
                    1 | 58 if ports.1 == self.ident => {
                        let [kind, _] = ports.0.to_be_bytes();
                        about(0, Kind::Icmp(kind));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// What a segment means for one way of asking. `acknowledged`: it knows our sequence number; `repeated`: its own one is our
/// acknowledgement.
fn verdict(kind: Kind, flags: u8, window: u16, acknowledged: bool, repeated: bool) -> Option<Verdict> {
    const BOTH: u8 = packet::SYN | packet::ACK;
    if flags & packet::RST != 0 && (acknowledged || repeated) {
        let state = match kind {
            Kind::Segment(packet::ACK) => State::Unfiltered,
            Kind::Window if window > 0 => State::Open,
            _ => State::Closed,
        };
        return Some(Verdict::new(state, "reset"));
    }
    let open = kind == Kind::Segment(packet::SYN) && flags & (BOTH | packet::RST) == BOTH && acknowledged;
    open.then(|| Verdict::new(State::Open, "syn-ack"))
}

/// What the socket hears, from the IP header on: nothing that goes out, ARP, ICMP, and segments and datagrams to our ports
/// (socket(7), linux/filter.h).
fn filter(tcp: u16, udp: u16) -> Vec<Instruction> {
    const BYTE: u16 = 0x30;
    const HALF: u16 = 0x28;
    const EQUAL: u16 = 0x15;
    // Offsets below zero are the kernel's own: the protocol, and whether the packet goes out.
    const PROTOCOL: u32 = 0xffff_f000;
    const DIRECTION: u32 = 0xffff_f004;
    let rows: [(u16, u8, u8, u32); 21] = [
        (0x20, 0, 0, DIRECTION),
        (EQUAL, 18, 0, 4),
        (HALF, 0, 0, PROTOCOL),
        (EQUAL, 15, 0, 0x0806),
        (EQUAL, 0, 5, 0x86dd),
        (BYTE, 0, 0, 6),
        (EQUAL, 12, 0, 58),
        (HALF, 0, 0, 42),
        (EQUAL, 10, 0, u32::from(tcp)),
        (EQUAL, 9, 10, u32::from(udp)),
        (EQUAL, 0, 9, 0x0800),
        (BYTE, 0, 0, 9),
        (EQUAL, 6, 0, 1),
        (HALF, 0, 0, 6),
        // Later fragments have no ports.
        (0x45, 5, 0, 0x1fff),
        (0xb1, 0, 0, 0),
        (0x48, 0, 0, 2),
        (EQUAL, 1, 0, u32::from(tcp)),
        (EQUAL, 0, 1, u32::from(udp)),
        (0x06, 0, 0, 0x4_0000),
        (0x06, 0, 0, 0),
    ];
    rows.iter().map(|&(code, jt, jf, k)| Instruction { code, jt, jf, k }).collect()
}

impl Medium for Raw {
    fn ask(&mut self, task: Task) -> Asked {
        let to = task.to.ip();
        let from = match self.source(to) {
            Ok(from) if from.is_ipv4() == to.is_ipv4() => from,
            Ok(_) => return Asked::Told(local(libc::EADDRNOTAVAIL)),
            Err(errno) => return Asked::Told(local(errno)),
        };
        if task.kind == Kind::Neighbour {
            let Some(on) = self.link else { return Asked::Told(local(libc::ENODEV)) };
            let (protocol, mac, bytes) = packet::who_has(on.mac, from, to);
            return match link::send(&self.hear, on.ifindex, protocol, mac, &bytes) {
                Ok(_) => Asked::Sent(0),
                Err(errno) => Asked::Told(local(errno as i32)),
            };
        }
        if matches!(task.kind, Kind::Segment(_) | Kind::Window) && !self.segments.contains(&task.kind) {
            self.segments.push(task.kind);
        }
        if !self.post.has_room() {
            return Asked::Full;
        }
        let bytes = self.packet(task, from);
        self.post.give(task, &bytes);
        Asked::Sent(0)
    }

    fn forget(&mut self, _: usize) {}

    fn wait(&mut self, limit: Duration, heard: &mut Vec<(Task, Verdict)>) -> io::Result<bool> {
        self.post.flush();
        let is_idle = self.post.collect(heard);
        if !limit.is_zero() && heard.is_empty() {
            let most = if is_idle { u16::MAX } else { 1 };
            let millis = u16::try_from(limit.as_millis()).unwrap_or(u16::MAX).min(most);
            let mut polled = [PollFd::new(self.hear.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut polled, PollTimeout::from(millis));
        }
        let mut bytes = [0u8; SNAP];
        for _ in 0..MOST_HEARD {
            match recv(self.hear.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => self.understand(bytes.get(..length).unwrap_or_default(), heard),
                Err(Errno::EAGAIN) => return Ok(is_idle),
                // An interface that went down says so once.
                Err(_) => {}
            }
        }
        Ok(false)
    }

    fn answers_late(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan;
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn segments_by_what_was_asked() {
        let state = |kind, flags, window| verdict(kind, flags, window, true, false).map(|one| one.state);
        let syn = Kind::Segment(packet::SYN);
        assert_eq!(state(syn, packet::SYN | packet::ACK, 1), Some(State::Open));
        assert_eq!(state(syn, packet::RST | packet::ACK, 0), Some(State::Closed));
        assert_eq!(state(Kind::Segment(packet::ACK), packet::RST, 0), Some(State::Unfiltered));
        assert_eq!(state(Kind::Window, packet::RST, 5), Some(State::Open));
        assert_eq!(state(Kind::Window, packet::RST, 0), Some(State::Closed));
        // Our own SYN that comes by on loopback, data, and what somebody made up.
        assert_eq!(state(syn, packet::SYN, 1), None);
        assert_eq!(state(Kind::Segment(0), packet::SYN | packet::ACK, 1), None);
        assert_eq!(verdict(syn, packet::RST | packet::ACK, 0, false, false), None);
        assert_eq!(verdict(syn, packet::SYN | packet::ACK, 9, false, true), None);
    }

    #[test]
    fn a_filter_of_this_length_jumps_within_itself() {
        let program = filter(40_000, 40_001);
        for (at, row) in program.iter().enumerate().filter(|(_, row)| row.code & 7 == 5) {
            for jump in [row.jt, row.jf] {
                assert!(at + 1 + usize::from(jump) < program.len(), "{at}");
            }
        }
    }

    #[test]
    fn loopback_where_it_is_allowed() {
        for host in ["127.0.0.1", "::1"] {
            let ip: IpAddr = host.parse().unwrap();
            let settings = Settings { initial: Duration::from_secs(20), ..Settings::default() };
            // Without the capability, or without the family, there is nothing to see.
            let Ok(mut raw) = Raw::open(ip.is_ipv6(), &settings) else { continue };
            let Ok(listener) = TcpListener::bind((ip, 0)) else { continue };
            let open = listener.local_addr().unwrap();
            // Reserved by the scan itself, and nobody listens there.
            let closed = SocketAddr::new(ip, raw.tcp);
            let mut found = BTreeMap::new();
            let kinds = [Kind::Segment(packet::SYN), Kind::Segment(packet::ACK)];
            let mut tasks = kinds.iter().flat_map(|kind| [open, closed].map(|to| Task { to, kind: *kind }));
            let report = &mut |task: Task, verdict: Verdict| {
                found.insert((task.kind, task.to == open), (verdict.state, verdict.reason, verdict.ttl));
            };
            scan(&mut raw, &mut tasks, &settings, &mut || false, report).unwrap();
            assert_eq!(found[&(kinds[0], true)], (State::Open, "syn-ack", Some(64)));
            assert_eq!(found[&(kinds[0], false)], (State::Closed, "reset", Some(64)));
            assert_eq!(found[&(kinds[1], true)], (State::Unfiltered, "reset", Some(64)));
        }
    }
}
