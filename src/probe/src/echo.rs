//! ICMP echo over datagram sockets, which need no capability where `net.ipv4.ping_group_range` holds the group (icmp(7)),
//! and over raw sockets elsewhere. What comes back is given with its TTL and the kernel's time of arrival; errors come
//! from the error queue with the request they are about.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::{setsockopt_impl, sockopt_impl};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::icmp::{IcmpError, icmp, watch_errors};

sockopt_impl!(
    /// ip(7): whether packets carry the don't-fragment bit, and whether the path's known MTU is obeyed.
    MtuDiscover, SetOnly, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, i32);
sockopt_impl!(
    /// ipv6(7): the same.
    MtuDiscover6, SetOnly, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, i32);
sockopt_impl!(
    /// linux/icmp.h: a bit for each type that a raw socket does not want.
    IcmpFilter, SetOnly, SOL_RAW, ICMP_FILTER, u32);

const SOL_RAW: i32 = 255;
const ICMP_FILTER: i32 = 1;
/// Echo reply and request (RFC 792; RFC 4443, section 4).
const REPLY: u8 = 0;
const REQUEST: u8 = 8;
const REPLY6: u8 = 129;
const REQUEST6: u8 = 128;
/// Octets of an echo message before its data.
pub const HEADER: usize = 8;

/// What IP_MTU_DISCOVER says (ip(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuDiscovery {
    /// Fragments freely.
    Dont,
    /// Per route.
    Want,
    /// Never fragments, and refuses what exceeds the known MTU.
    Do,
    /// Never fragments, and ignores the known MTU.
    Probe,
}

impl MtuDiscovery {
    fn number(self) -> i32 {
        match self {
            MtuDiscovery::Dont => 0,
            MtuDiscovery::Want => 1,
            MtuDiscovery::Do => 2,
            MtuDiscovery::Probe => 3,
        }
    }

    /// Sets it on a socket of this family.
    ///
    /// # Errors
    /// The kernel's.
    pub fn apply<F: AsFd>(self, socket: &F, v6: bool) -> io::Result<()> {
        // The numbers of both families are the same (linux/in.h, linux/in6.h).
        let set = if v6 {
            setsockopt(socket, MtuDiscover6, &self.number())
        } else {
            setsockopt(socket, MtuDiscover, &self.number())
        };
        set.map_err(io::Error::from)
    }
}

/// A socket for echo requests of one family.
#[derive(Debug)]
pub struct Echo {
    socket: Socket,
    v6: bool,
    raw: bool,
    ident: u16,
}

/// An answer to one of our requests, or another ICMP message that a raw socket sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Who sent it.
    pub from: SocketAddr,
    /// ICMP type and code.
    pub kind: u8,
    /// See above.
    pub code: u8,
    /// Echo identifier.
    pub ident: u16,
    /// Echo sequence number.
    pub seq: u16,
    /// TTL or hop limit with which it arrived.
    pub ttl: Option<u8>,
    /// When the kernel received it.
    pub at: SystemTime,
    /// Octets of the message, header included; the data stand in the buffer from `data` on.
    pub length: usize,
    /// Where the data begin in the buffer.
    pub data: usize,
    /// Whether the checksum is wrong (a datagram socket never shows one).
    pub corrupt: bool,
}

/// One entry of the error queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queued {
    /// The own kernel refused: the number of errno(3), and the MTU where that is the reason.
    Local {
        /// errno(3).
        errno: i32,
        /// In bytes; 0 when it is not about size.
        mtu: u32,
    },
    /// Somebody on the way answered with an error.
    Icmp {
        /// Which, and who.
        error: IcmpError,
        /// The sequence number of our request, where enough of it came back.
        seq: Option<u16>,
        /// TTL or hop limit with which the error arrived, where the kernel tells.
        ttl: Option<u8>,
    },
}

impl Echo {
    /// Opens one: a datagram socket, or a raw one where that is forbidden or unknown to the kernel. `ident` asks for an
    /// identifier of one's own, which only a raw socket can have.
    ///
    /// # Errors
    /// The kernel's: EACCES or EPERM where neither kind is allowed.
    pub fn open(v6: bool, ident: Option<u16>) -> io::Result<Echo> {
        let (domain, protocol) = if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
        let datagram = match ident {
            Some(_) => Err(io::Error::from_raw_os_error(libc::EACCES)),
            None => Socket::new(domain, Type::DGRAM, Some(protocol)),
        };
        let (socket, raw) = match datagram {
            Ok(socket) => (socket, false),
            Err(error) => match error.raw_os_error() {
                Some(libc::EACCES | libc::EPERM | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT) => {
                    (Socket::new(domain, Type::RAW, Some(protocol))?, true)
                }
                _ => return Err(error),
            },
        };
        socket.set_nonblocking(true)?;
        watch_errors(&socket, v6, true)?;
        let _ = setsockopt(&socket, sockopt::ReceiveTimestamp, &true);
        if v6 {
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
        }
        let ident = ident.unwrap_or_else(netkit_dns::random::random_u16);
        let echo = Echo { socket, v6, raw, ident };
        if raw {
            echo.filter()?;
        }
        Ok(echo)
    }

    /// Keeps from a raw socket what other programs' echoes would fill it with.
    fn filter(&self) -> io::Result<()> {
        if self.v6 {
            // Load the identifier; the kernel hands ICMPv6 over without its IP header.
            let accept = SockFilter::new(0x06, 0, 0, u32::MAX);
            let wanted = u32::from(self.ident);
            let program = [
                SockFilter::new(0x30, 0, 0, 0),
                SockFilter::new(0x15, 0, 3, u32::from(REPLY6)),
                SockFilter::new(0x28, 0, 0, 4),
                SockFilter::new(0x15, 0, 1, wanted),
                accept,
                SockFilter::new(0x06, 0, 0, 0),
            ];
            return self.socket.attach_filter(&program);
        }
        // Source quench, redirect and echo reply; errors come through the queue.
        let unwanted = !((1u32 << 4) | (1 << 5) | (1 << REPLY));
        setsockopt(&self.socket, IcmpFilter, &unwanted).map_err(io::Error::from)
    }

    /// The socket, for options.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether it is a raw one.
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    /// The identifier of our requests: that of a datagram socket is its port, known once it is bound.
    pub fn ident(&self) -> u16 {
        if self.raw {
            return self.ident;
        }
        let local = self.socket.local_addr().ok().and_then(|local| local.as_socket());
        local.map_or(0, |local| local.port())
    }

    /// Sends a request with these data.
    ///
    /// # Errors
    /// The kernel's, also an error that an earlier request met.
    pub fn send(&self, to: SocketAddr, seq: u16, data: &[u8]) -> io::Result<()> {
        let packet = request(self.v6, self.ident, seq, data);
        self.socket.send_to(&packet, &to.into()).map(drop)
    }

    /// Takes what has arrived; `None` when nothing has, or when it was not for us.
    ///
    /// # Errors
    /// The kernel's: an error that waits on the queue shows here first.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Reply>> {
        let mut parts = [IoSliceMut::new(buffer)];
        let mut control = nix::cmsg_space!([u8; 256]);
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
        let mut at = None;
        let mut ttl = None;
        for control in message.cmsgs().into_iter().flatten() {
            match control {
                ControlMessageOwned::ScmTimestamp(time) => {
                    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
                    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
                    at = Some(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros));
                }
                ControlMessageOwned::Ipv4Ttl(value) | ControlMessageOwned::Ipv6HopLimit(value) => {
                    ttl = u8::try_from(value).ok();
                }
                _ => {}
            }
        }
        let from = message.address.as_ref().and_then(address);
        let length = message.bytes;
        let header = if self.raw && !self.v6 {
            let first = buffer.first().copied().unwrap_or(0);
            ttl = buffer.get(8).copied();
            usize::from(first & 15) * 4
        } else {
            0
        };
        let whole = buffer.get(..length).unwrap_or_default();
        let Some(icmp) = whole.get(header..) else { return Ok(None) };
        let (Some([kind, code, _, _, i0, i1, s0, s1]), Some(from)) = (icmp.first_chunk::<HEADER>(), from) else {
            return Ok(None);
        };
        let ident = u16::from_be_bytes([*i0, *i1]);
        let reply = if self.v6 { REPLY6 } else { REPLY };
        if *kind == reply && self.raw && ident != self.ident {
            return Ok(None);
        }
        Ok(Some(Reply {
            from,
            kind: *kind,
            code: *code,
            ident,
            seq: u16::from_be_bytes([*s0, *s1]),
            ttl,
            at: at.unwrap_or_else(SystemTime::now),
            length: icmp.len(),
            data: header + HEADER,
            corrupt: self.raw && !self.v6 && checksum(icmp) != 0,
        }))
    }

    /// Takes one entry of the error queue.
    pub fn take_error(&self) -> Option<Queued> {
        let mut payload = [0u8; 256];
        let entry = take_entry(&self.socket, &mut payload)?;
        Some(match entry.found {
            Found::Local { errno, mtu } => Queued::Local { errno, mtu },
            Found::Icmp(error) => {
                let original = payload.get(..entry.length).unwrap_or_default();
                let request = if self.v6 { REQUEST6 } else { REQUEST };
                let seq = match original.first_chunk::<HEADER>() {
                    Some([kind, _, _, _, i0, i1, s0, s1])
                        if *kind == request && (!self.raw || u16::from_be_bytes([*i0, *i1]) == self.ident) =>
                    {
                        Some(u16::from_be_bytes([*s0, *s1]))
                    }
                    _ => None,
                };
                Queued::Icmp { error, seq, ttl: entry.ttl }
            }
        })
    }
}

impl AsFd for Echo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What one entry of an error queue says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The own kernel refused.
    Local {
        /// errno(3).
        errno: i32,
        /// In bytes, when it is about size; else 0.
        mtu: u32,
    },
    /// An ICMP error arrived.
    Icmp(IcmpError),
}

/// One entry of a socket's error queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Octets of the payload that caused it.
    pub length: usize,
    /// What it says.
    pub found: Found,
    /// TTL or hop limit with which the error arrived (IP_RECVTTL, IPV6_RECVHOPLIMIT).
    pub ttl: Option<u8>,
    /// Where the packet that caused it was sent.
    pub to: Option<SocketAddr>,
}

/// Takes one entry of a socket's error queue, with the beginning of the packet that caused it in `payload`.
pub fn take_entry<F: AsFd>(socket: &F, payload: &mut [u8]) -> Option<Entry> {
    /// linux/errqueue.h.
    const SO_EE_ORIGIN_LOCAL: u8 = 1;
    let mut parts = [IoSliceMut::new(payload)];
    let mut control = nix::cmsg_space!([u8; 512]);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut control), flags).ok()?;
    let (mut found, mut ttl) = (None, None);
    for control in message.cmsgs().into_iter().flatten() {
        let (error, from) = match control {
            ControlMessageOwned::Ipv4Ttl(value) | ControlMessageOwned::Ipv6HopLimit(value) => {
                ttl = u8::try_from(value).ok();
                continue;
            }
            ControlMessageOwned::Ipv4RecvErr(error, from) => {
                (error, from.map(|from| IpAddr::V4(Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr)))))
            }
            ControlMessageOwned::Ipv6RecvErr(error, from) => {
                (error, from.map(|from| IpAddr::V6(Ipv6Addr::from(from.sin6_addr.s6_addr)).to_canonical()))
            }
            _ => continue,
        };
        if error.ee_origin == SO_EE_ORIGIN_LOCAL {
            let errno = i32::try_from(error.ee_errno).unwrap_or(0);
            found = Some(Found::Local { errno, mtu: if errno == libc::EMSGSIZE { error.ee_info } else { 0 } });
        } else {
            found = icmp(&error, from).map(Found::Icmp).or(found);
        }
    }
    let to = message.address.as_ref().and_then(address);
    found.map(|found| Entry { length: message.bytes, found, ttl, to })
}

/// An echo request. The kernel computes the checksum of ICMPv6 and of what a datagram socket sends.
pub fn request(v6: bool, ident: u16, seq: u16, data: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER + data.len());
    packet.extend_from_slice(&[if v6 { REQUEST6 } else { REQUEST }, 0, 0, 0]);
    packet.extend_from_slice(&ident.to_be_bytes());
    packet.extend_from_slice(&seq.to_be_bytes());
    packet.extend_from_slice(data);
    if !v6 {
        let sum = checksum(&packet).to_be_bytes();
        if let Some(slot) = packet.get_mut(2..4) {
            slot.copy_from_slice(&sum);
        }
    }
    packet
}

/// The Internet checksum (RFC 1071); of a message that carries its own it is 0.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u64;
    for pair in bytes.chunks(2) {
        let word = match pair {
            [high, low] => u16::from_be_bytes([*high, *low]),
            [high] => u16::from_be_bytes([*high, 0]),
            _ => 0,
        };
        sum += u64::from(word);
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(std::net::SocketAddrV4::from(*v4).into());
    }
    storage.as_sockaddr_in6().map(|v6| std::net::SocketAddrV6::from(*v6).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    #[test]
    fn checksums() {
        // A whole message sums to nothing, also with an odd number of octets.
        for data in [&b""[..], b"x", b"abcdefgh", b"abc"] {
            let packet = request(false, 0x1234, 7, data);
            assert_eq!(checksum(&packet), 0, "{data:?}");
        }
        // RFC 1071, section 3, by hand: 0001 f203 f4f5 f6f7 sum to ddf2.
        assert_eq!(checksum(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn echoes_come_back() {
        for host in ["127.0.0.1", "::1"] {
            let to: SocketAddr = SocketAddr::new(host.parse().unwrap(), 0);
            // Neither kind may be allowed here.
            let Ok(echo) = Echo::open(to.is_ipv6(), None) else { continue };
            if echo.send(to, 9, b"hello, world 1234").is_err() {
                continue;
            }
            let mut buffer = [0u8; 256];
            let reply = loop {
                let mut polled = [PollFd::new(echo.as_fd(), PollFlags::POLLIN)];
                assert_ne!(poll(&mut polled, PollTimeout::from(20_000u16)).unwrap(), 0);
                // A raw socket sees the request too.
                if let Ok(Some(reply)) = echo.receive(&mut buffer)
                    && matches!(reply.kind, REPLY | REPLY6)
                {
                    break reply;
                }
            };
            assert_eq!((reply.seq, reply.from.ip(), reply.ttl), (9, to.ip(), Some(64)));
            assert_eq!(buffer.get(reply.data..reply.data + 17), Some(&b"hello, world 1234"[..]));
            assert!(!reply.corrupt && reply.ident == echo.ident());
        }
    }
}
