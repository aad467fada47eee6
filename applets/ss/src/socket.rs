//! One socket as every part of the applet sees it, whatever it was read from.

use std::net::IpAddr;

use crate::select::{Family, Table};

/// IPPROTO numbers (RFC 5237 registry; mptcp is Linux's own, linux/in.h).
pub(crate) mod proto {
    pub(crate) const TCP: u16 = 6;
    pub(crate) const UDP: u16 = 17;
    pub(crate) const ICMPV6: u16 = 58;
    pub(crate) const SCTP: u16 = 132;
    pub(crate) const RAW: u16 = 255;
    pub(crate) const MPTCP: u16 = 262;
}

/// A socket. What a source does not tell is zero or absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Socket<'a> {
    pub(crate) table: Table,
    pub(crate) family: Family,
    /// Kernel's number, see [`crate::select::state`]; for an SCTP association SCTP's own.
    pub(crate) state: u8,
    /// Transport as the kernel reports it per socket (INET_DIAG_PROTOCOL), else that of the table.
    pub(crate) protocol: u16,
    pub(crate) local: Option<IpAddr>,
    pub(crate) remote: Option<IpAddr>,
    /// Port; the inode of a unix socket, the port id of a netlink socket, the interface of a packet socket.
    pub(crate) local_port: i64,
    pub(crate) remote_port: i64,
    /// Ethertype of a packet socket, protocol of a netlink socket, context id of a vsock.
    pub(crate) local_word: u32,
    /// Multicast group of a connected netlink socket, context id of a vsock.
    pub(crate) remote_word: u32,
    pub(crate) recv_q: u32,
    pub(crate) send_q: u32,
    pub(crate) inode: u32,
    pub(crate) uid: u32,
    /// Interface the socket is bound to, 0 for none.
    pub(crate) interface: u32,
    /// Socket cookie, or the kernel address that /proc/net shows in its place.
    pub(crate) cookie: u64,
    pub(crate) mark: u32,
    /// Inode of the cgroup v2 directory (INET_DIAG_CGROUP_ID).
    pub(crate) cgroup: u64,
    /// Which timer runs (linux/inet_diag.h): 0 none, 1 retransmit, 2 keepalive, 3 TIME-WAIT, 4 zero-window probe.
    pub(crate) timer: u8,
    /// Milliseconds until it fires.
    pub(crate) expires: u32,
    pub(crate) retransmits: u32,
    /// Name of a unix socket, `@` in place of zero bytes of an abstract one.
    pub(crate) name: Option<&'a [u8]>,
    /// Peer's name of a unix socket, known only to /proc/net/unix.
    pub(crate) peer_name: Option<&'a [u8]>,
    /// Kernel connected flag of a netlink socket.
    pub(crate) connected: bool,
    /// The kernel's message of an inet socket as it came, which names it when it is to be ended.
    pub(crate) fixed: &'a [u8],
    /// Netlink attributes that follow the fixed part; empty when read from /proc/net.
    pub(crate) attributes: &'a [u8],
    /// What /proc/net/tcp says of congestion control in place of tcp_info.
    pub(crate) legacy: Option<Legacy>,
    /// Reference count of a unix socket, known to /proc/net/unix only.
    pub(crate) references: u32,
    /// Netlink's group mask, and the kernel address of its dump callback in /proc/net/netlink.
    pub(crate) groups: u32,
    pub(crate) callback: u64,
}

/// Columns of /proc/net/tcp behind the address of the socket, in the kernel's units (tcp(4), get_tcp4_sock).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Legacy {
    /// Retransmission timeout in clock ticks of 1/100 s.
    pub(crate) rto: u32,
    /// Predicted tick of soft clock, in the same ticks.
    pub(crate) ato: u32,
    /// Quick acknowledgements times two, plus the ping-pong bit.
    pub(crate) quick_ack: u32,
    /// Congestion window in segments.
    pub(crate) cwnd: u32,
    /// Slow start threshold in segments, -1 when not reached.
    pub(crate) ssthresh: i32,
}

impl<'a> Socket<'a> {
    /// An empty record of a table.
    pub(crate) fn new(table: Table, family: Family) -> Socket<'a> {
        Socket {
            table,
            family,
            state: 0,
            protocol: match table {
                Table::Tcp => proto::TCP,
                Table::Mptcp => proto::MPTCP,
                Table::Udp => proto::UDP,
                Table::Sctp => proto::SCTP,
                Table::Raw => proto::RAW,
                _ => 0,
            },
            local: None,
            remote: None,
            local_port: 0,
            remote_port: 0,
            local_word: 0,
            remote_word: 0,
            recv_q: 0,
            send_q: 0,
            inode: 0,
            uid: 0,
            interface: 0,
            cookie: 0,
            mark: 0,
            cgroup: 0,
            timer: 0,
            expires: 0,
            retransmits: 0,
            name: None,
            peer_name: None,
            connected: false,
            fixed: &[],
            attributes: &[],
            legacy: None,
            references: 0,
            groups: 0,
            callback: 0,
        }
    }

    pub(crate) fn is_inet(&self) -> bool {
        matches!(self.family, Family::Inet | Family::Inet6)
    }
}
