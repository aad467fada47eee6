//! sock_diag: requests and fixed headers of inet, unix, packet, netlink and vsock sockets (sock_diag(7),
//! linux/inet_diag.h, unix_diag.h, packet_diag.h, netlink_diag.h, vm_sockets_diag.h).

mod tcp_info;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::message::flags;
use crate::{Attrs, Message, Request, raw};

pub use tcp_info::TcpInfo;

/// SOCK_DIAG_BY_FAMILY, the type of requests and answers.
pub const BY_FAMILY: u16 = 20;
/// SOCK_DESTROY, which ends a socket.
pub const DESTROY: u16 = 21;

/// Address families that have a diag module.
pub mod family {
    #![allow(missing_docs)]
    pub const UNIX: u8 = 1;
    pub const INET: u8 = 2;
    pub const INET6: u8 = 10;
    pub const NETLINK: u8 = 16;
    pub const PACKET: u8 = 17;
    pub const TIPC: u8 = 30;
    pub const VSOCK: u8 = 40;
    pub const XDP: u8 = 44;
}

/// Attributes of inet sockets; an extension is asked for with the bit of its number less one.
pub mod inet {
    #![allow(missing_docs)]
    pub const MEMINFO: u16 = 1;
    pub const INFO: u16 = 2;
    pub const VEGASINFO: u16 = 3;
    pub const CONG: u16 = 4;
    pub const TOS: u16 = 5;
    pub const TCLASS: u16 = 6;
    pub const SKMEMINFO: u16 = 7;
    pub const SHUTDOWN: u16 = 8;
    pub const DCTCPINFO: u16 = 9;
    pub const PROTOCOL: u16 = 10;
    pub const SKV6ONLY: u16 = 11;
    pub const LOCALS: u16 = 12;
    pub const PEERS: u16 = 13;
    pub const MARK: u16 = 15;
    pub const BBRINFO: u16 = 16;
    pub const CLASS_ID: u16 = 17;
    pub const MD5SIG: u16 = 18;
    pub const ULP_INFO: u16 = 19;
    pub const SK_BPF_STORAGES: u16 = 20;
    pub const CGROUP_ID: u16 = 21;
    pub const SOCKOPT: u16 = 22;
    /// Of a request: the filter program.
    pub const REQ_BYTECODE: u16 = 1;
    /// Of a request: a protocol above 255, such as MPTCP (262).
    pub const REQ_PROTOCOL: u16 = 3;
}

/// A request for all inet sockets of a family and protocol in the states of the mask `states` (bit n is TCP state n).
/// `extensions` has bit n-1 set for each attribute n up to 8 that is wanted. A protocol above 255 is said by attribute.
pub fn inet_request(family: u8, protocol: u16, extensions: u8, states: u32) -> Request {
    let mut fixed = [0u8; 56];
    let low = u8::try_from(protocol).unwrap_or(u8::MAX);
    for (slot, byte) in fixed.iter_mut().zip([family, low, extensions, 0].into_iter().chain(states.to_ne_bytes())) {
        *slot = byte;
    }
    let request = Request::new(BY_FAMILY, flags::DUMP, &fixed);
    if protocol > 255 { request.u32(inet::REQ_PROTOCOL, u32::from(protocol)) } else { request }
}

/// A request that ends one inet socket (needs CAP_NET_ADMIN): the identity is taken from its message.
pub fn inet_destroy(message: &InetMessage<'_>, protocol: u8) -> Request {
    let mut fixed = vec![message.family, protocol, 0, 0, 0, 0, 0, 0];
    fixed.extend_from_slice(message.id);
    Request::new(DESTROY, flags::ACK, &fixed)
}

/// struct inet_diag_msg: 72 octets, then attributes.
#[derive(Clone, Copy, Debug)]
pub struct InetMessage<'a> {
    /// AF_INET or AF_INET6.
    pub family: u8,
    /// TCP_* state.
    pub state: u8,
    /// Which timer runs: 0 none, 1 retransmission, 2 keepalive, 3 time-wait, 4 zero window probe.
    pub timer: u8,
    /// Retransmissions, or probes sent.
    pub retrans: u8,
    /// Local port.
    pub src_port: u16,
    /// Peer's port.
    pub dst_port: u16,
    /// Local address.
    pub src: IpAddr,
    /// Peer's address.
    pub dst: IpAddr,
    /// ifindex the socket is bound to, or 0.
    pub interface: u32,
    /// The kernel's cookie of the socket.
    pub cookie: u64,
    /// Until the timer expires, milliseconds.
    pub expires_ms: u32,
    /// Octets to be read; in LISTEN connections to be accepted.
    pub rqueue: u32,
    /// Octets not acknowledged; in LISTEN the backlog.
    pub wqueue: u32,
    /// Owner.
    pub uid: u32,
    /// Inode in sockfs, 0 when no process holds it.
    pub inode: u32,
    /// struct inet_diag_sockid as it came.
    id: &'a [u8],
    /// The extensions.
    pub attrs: Attrs<'a>,
}

impl<'a> InetMessage<'a> {
    /// Octets of the fixed part.
    pub const LENGTH: usize = 72;

    /// Reads the payload of a message.
    pub fn read(payload: &'a [u8]) -> Option<InetMessage<'a>> {
        let [family, state, timer, retrans] = raw::array(payload, 0)?;
        let address = |at| -> Option<IpAddr> {
            if family == family::INET {
                raw::array::<4>(payload, at).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
            } else {
                raw::array::<16>(payload, at).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
            }
        };
        let low = raw::u32(payload, 44)?;
        let high = raw::u32(payload, 48)?;
        Some(InetMessage {
            family,
            state,
            timer,
            retrans,
            src_port: raw::be16(payload, 4)?,
            dst_port: raw::be16(payload, 6)?,
            src: address(8)?,
            dst: address(24)?,
            interface: raw::u32(payload, 40)?,
            cookie: u64::from(high) << 32 | u64::from(low),
            expires_ms: raw::u32(payload, 52)?,
            rqueue: raw::u32(payload, 56)?,
            wqueue: raw::u32(payload, 60)?,
            uid: raw::u32(payload, 64)?,
            inode: raw::u32(payload, 68)?,
            id: payload.get(4..52)?,
            attrs: attrs(payload, Self::LENGTH),
        })
    }
}

/// Attributes of unix sockets; the numbers, less one where they are bits of `show`, are UDIAG_SHOW_*.
pub mod unix {
    #![allow(missing_docs)]
    pub const NAME: u16 = 0;
    pub const VFS: u16 = 1;
    pub const PEER: u16 = 2;
    pub const ICONS: u16 = 3;
    pub const RQLEN: u16 = 4;
    pub const MEMINFO: u16 = 5;
    pub const SHUTDOWN: u16 = 6;
    pub const UID: u16 = 7;
    /// Bits of `show`.
    pub const SHOW_NAME: u32 = 1;
    pub const SHOW_VFS: u32 = 2;
    pub const SHOW_PEER: u32 = 4;
    pub const SHOW_ICONS: u32 = 8;
    pub const SHOW_RQLEN: u32 = 16;
    pub const SHOW_MEMINFO: u32 = 32;
    pub const SHOW_UID: u32 = 64;
}

/// A request for unix sockets in the states of the mask, with the attributes of `show`.
pub fn unix_request(states: u32, show: u32) -> Request {
    let words = [u32::from_ne_bytes([family::UNIX, 0, 0, 0]), states, 0, show, 0, 0];
    Request::new(BY_FAMILY, flags::DUMP, &words.map(u32::to_ne_bytes).concat())
}

/// struct unix_diag_msg: 16 octets, then attributes.
#[derive(Clone, Copy, Debug)]
pub struct UnixMessage<'a> {
    /// SOCK_*: 1 stream, 2 datagram, 5 seqpacket.
    pub kind: u8,
    /// TCP_* state.
    pub state: u8,
    /// Inode in sockfs.
    pub inode: u32,
    /// The kernel's cookie of the socket.
    pub cookie: u64,
    /// [`unix`].
    pub attrs: Attrs<'a>,
}

impl<'a> UnixMessage<'a> {
    /// Reads the payload of a message.
    pub fn read(payload: &'a [u8]) -> Option<UnixMessage<'a>> {
        Some(UnixMessage {
            kind: raw::u8(payload, 1)?,
            state: raw::u8(payload, 2)?,
            inode: raw::u32(payload, 4)?,
            cookie: cookie(payload, 8)?,
            attrs: attrs(payload, 16),
        })
    }
}

/// Attributes of packet sockets.
pub mod packet {
    #![allow(missing_docs)]
    pub const INFO: u16 = 0;
    pub const MCLIST: u16 = 1;
    pub const RX_RING: u16 = 2;
    pub const TX_RING: u16 = 3;
    pub const FANOUT: u16 = 4;
    pub const UID: u16 = 5;
    pub const MEMINFO: u16 = 6;
    pub const FILTER: u16 = 7;
    /// Bits of `show`.
    pub const SHOW_INFO: u32 = 1;
    pub const SHOW_MCLIST: u32 = 2;
    pub const SHOW_RING_CFG: u32 = 4;
    pub const SHOW_FANOUT: u32 = 8;
    pub const SHOW_MEMINFO: u32 = 16;
    pub const SHOW_FILTER: u32 = 32;
}

/// A request for packet sockets with the attributes of `show`.
pub fn packet_request(show: u32) -> Request {
    let words = [u32::from_ne_bytes([family::PACKET, 0, 0, 0]), 0, show, 0, 0];
    Request::new(BY_FAMILY, flags::DUMP, &words.map(u32::to_ne_bytes).concat())
}

/// struct packet_diag_msg: 16 octets, then attributes.
#[derive(Clone, Copy, Debug)]
pub struct PacketMessage<'a> {
    /// SOCK_RAW 3 or SOCK_DGRAM 2.
    pub kind: u8,
    /// Ethernet protocol.
    pub protocol: u16,
    /// Inode in sockfs.
    pub inode: u32,
    /// The kernel's cookie of the socket.
    pub cookie: u64,
    /// [`packet`].
    pub attrs: Attrs<'a>,
}

impl<'a> PacketMessage<'a> {
    /// Reads the payload of a message.
    pub fn read(payload: &'a [u8]) -> Option<PacketMessage<'a>> {
        Some(PacketMessage {
            kind: raw::u8(payload, 1)?,
            protocol: raw::u16(payload, 2)?,
            inode: raw::u32(payload, 4)?,
            cookie: cookie(payload, 8)?,
            attrs: attrs(payload, 16),
        })
    }
}

/// Attributes of netlink sockets.
pub mod netlink {
    #![allow(missing_docs)]
    pub const MEMINFO: u16 = 0;
    pub const GROUPS: u16 = 1;
    pub const RX_RING: u16 = 2;
    pub const TX_RING: u16 = 3;
    pub const FLAGS: u16 = 4;
    /// Of a request: every netlink protocol.
    pub const ALL_PROTOCOLS: u8 = 255;
    /// Bits of `show`.
    pub const SHOW_MEMINFO: u32 = 1;
    pub const SHOW_GROUPS: u32 = 2;
    pub const SHOW_RING_CFG: u32 = 4;
    pub const SHOW_FLAGS: u32 = 8;
}

/// A request for netlink sockets of a protocol, or [`netlink::ALL_PROTOCOLS`].
pub fn netlink_request(protocol: u8, show: u32) -> Request {
    let words = [u32::from_ne_bytes([family::NETLINK, protocol, 0, 0]), 0, show, 0, 0];
    Request::new(BY_FAMILY, flags::DUMP, &words.map(u32::to_ne_bytes).concat())
}

/// struct netlink_diag_msg: 28 octets, then attributes.
#[derive(Clone, Copy, Debug)]
pub struct NetlinkMessage<'a> {
    /// SOCK_RAW 3 or SOCK_DGRAM 2.
    pub kind: u8,
    /// NETLINK_*.
    pub protocol: u8,
    /// NETLINK_UNCONNECTED 0 or NETLINK_CONNECTED 1.
    pub state: u8,
    /// Its port.
    pub port: u32,
    /// The port it is connected to.
    pub dst_port: u32,
    /// The group it sends to.
    pub dst_group: u32,
    /// Inode in sockfs; always 0 so far.
    pub inode: u32,
    /// The kernel's cookie of the socket.
    pub cookie: u64,
    /// [`netlink`].
    pub attrs: Attrs<'a>,
}

impl<'a> NetlinkMessage<'a> {
    /// Reads the payload of a message.
    pub fn read(payload: &'a [u8]) -> Option<NetlinkMessage<'a>> {
        let [_, kind, protocol, state] = raw::array(payload, 0)?;
        Some(NetlinkMessage {
            kind,
            protocol,
            state,
            port: raw::u32(payload, 4)?,
            dst_port: raw::u32(payload, 8)?,
            dst_group: raw::u32(payload, 12)?,
            inode: raw::u32(payload, 16)?,
            cookie: cookie(payload, 20)?,
            attrs: attrs(payload, 28),
        })
    }
}

/// A request for vsock sockets in the states of the mask.
pub fn vsock_request(states: u32) -> Request {
    let words = [u32::from_ne_bytes([family::VSOCK, 0, 0, 0]), states, 0, 0, 0, 0];
    Request::new(BY_FAMILY, flags::DUMP, &words.map(u32::to_ne_bytes).concat())
}

/// struct vsock_diag_msg: 36 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VsockMessage {
    /// SOCK_STREAM 1 or SOCK_DGRAM 2.
    pub kind: u8,
    /// TCP_* state.
    pub state: u8,
    /// Bit 0: receiving is shut down; bit 1: sending.
    pub shutdown: u8,
    /// Local context id.
    pub src_cid: u32,
    /// Local port.
    pub src_port: u32,
    /// Peer's context id.
    pub dst_cid: u32,
    /// Peer's port.
    pub dst_port: u32,
    /// Inode in sockfs.
    pub inode: u32,
    /// The kernel's cookie of the socket.
    pub cookie: u64,
}

impl VsockMessage {
    /// Reads the payload of a message.
    pub fn read(payload: &[u8]) -> Option<VsockMessage> {
        let [_, kind, state, shutdown] = raw::array(payload, 0)?;
        Some(VsockMessage {
            kind,
            state,
            shutdown,
            src_cid: raw::u32(payload, 4)?,
            src_port: raw::u32(payload, 8)?,
            dst_cid: raw::u32(payload, 12)?,
            dst_port: raw::u32(payload, 16)?,
            inode: raw::u32(payload, 20)?,
            cookie: cookie(payload, 24)?,
        })
    }
}

/// Socket memory (SK_MEMINFO_* in linux/sock_diag.h); what the kernel does not give is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SkMemInfo {
    /// Octets received and not read.
    pub rmem_alloc: u32,
    /// Limit of the receive buffer.
    pub rcvbuf: u32,
    /// Octets sent and not acknowledged by the device.
    pub wmem_alloc: u32,
    /// Limit of the send buffer.
    pub sndbuf: u32,
    /// Octets allocated ahead.
    pub fwd_alloc: u32,
    /// Octets queued for sending.
    pub wmem_queued: u32,
    /// Octets for options and filters.
    pub optmem: u32,
    /// Octets in the backlog.
    pub backlog: u32,
    /// Packets dropped.
    pub drops: u32,
}

impl SkMemInfo {
    /// Reads as much as there is.
    pub fn read(bytes: &[u8]) -> SkMemInfo {
        let word = |index: usize| raw::u32(bytes, index * 4).unwrap_or(0);
        SkMemInfo {
            rmem_alloc: word(0),
            rcvbuf: word(1),
            wmem_alloc: word(2),
            sndbuf: word(3),
            fwd_alloc: word(4),
            wmem_queued: word(5),
            optmem: word(6),
            backlog: word(7),
            drops: word(8),
        }
    }
}

/// Whether a message is an answer about sockets.
pub fn is_answer(message: &Message<'_>) -> bool {
    message.kind == BY_FAMILY
}

fn attrs(payload: &[u8], fixed: usize) -> Attrs<'_> {
    Attrs::new(payload.get(fixed..).unwrap_or_default())
}

/// Two words, the lower first.
fn cookie(payload: &[u8], at: usize) -> Option<u64> {
    let low = raw::u32(payload, at)?;
    let high = raw::u32(payload, at.checked_add(4)?)?;
    Some(u64::from(high) << 32 | u64::from(low))
}
