//! The socket (netlink(7)).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use netkit_sys::netlink::{self, NetlinkOption};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, connect, getsockname, recv, send,
    setsockopt, socket, sockopt,
};

use crate::dump::{self, Dump, Outcome, Transport};
use crate::{Error, Message, Messages, Request};

/// The netlink families we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes, rules, neighbours (rtnetlink(7)).
    Route,
    /// Sockets (sock_diag(7)).
    SockDiag,
    /// Transforms of IPsec (linux/xfrm.h).
    Xfrm,
    /// nf_tables, conntrack, ipset, logs.
    Netfilter,
    /// Families with a name.
    Generic,
}

/// NETLINK_XFRM is 6, a number that nix knows under another name only.
const XFRM: SockProtocol = SockProtocol::Tcp;
/// A dump message is filled up to 32 KiB by the kernel (net/netlink/af_netlink.c, netlink_dump).
const BUFFER: usize = 64 * 1024;
/// The largest single message we follow.
const MAX_BUFFER: usize = 4 * 1024 * 1024;
const RECEIVE_BUFFER: usize = 1024 * 1024;

/// A socket connected to the kernel: nothing that another process sends can arrive.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
    strict: bool,
}

impl Socket {
    /// Opens one in the calling thread's network namespace, with extended acknowledgements where the kernel has them.
    ///
    /// # Errors
    /// [`Error::System`]: EPROTONOSUPPORT where the kernel (or gVisor) lacks the family.
    pub fn open(protocol: Protocol) -> Result<Socket, Error> {
        let number = match protocol {
            Protocol::Route => SockProtocol::NetlinkRoute,
            Protocol::SockDiag => SockProtocol::NetlinkSockDiag,
            Protocol::Netfilter => SockProtocol::NetlinkNetFilter,
            Protocol::Generic => SockProtocol::NetlinkGeneric,
            Protocol::Xfrm => XFRM,
        };
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, number)
            .map_err(Error::system("open a netlink socket"))?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(Error::system("bind a netlink socket"))?;
        connect(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(Error::system("connect a netlink socket"))?;
        let address: NetlinkAddr =
            getsockname(fd.as_raw_fd()).map_err(Error::system("read a netlink socket's address"))?;
        // A larger buffer only makes overruns rarer; refusal costs nothing.
        let _ = setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER);
        let _ = netlink::set(&fd, NetlinkOption::ExtAck);
        let _ = netlink::set(&fd, NetlinkOption::CapAck);
        Ok(Socket { fd, port: address.pid(), sequence: 0, buffer: vec![0; BUFFER], strict: false })
    }

    /// Asks the kernel to check dump requests and to obey their filters (NETLINK_GET_STRICT_CHK).
    /// False where it cannot; then the caller filters.
    pub fn strict(&mut self) -> bool {
        self.strict = netlink::set(&self.fd, NetlinkOption::StrictCheck).is_ok();
        self.strict
    }

    /// Whether [`Socket::strict`] succeeded.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// Subscribes to multicast `groups` (a bit mask: bit 0 is group 1).
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn subscribe(&mut self, groups: u32) -> Result<(), Error> {
        bind(self.fd.as_raw_fd(), &NetlinkAddr::new(self.port, groups))
            .map_err(Error::system("subscribe to netlink multicasts"))
    }

    /// Subscribes to one more multicast group by its number (RTNLGRP_*), also one above 32.
    ///
    /// # Errors
    /// [`Error::System`]: EINVAL from a kernel that does not have it.
    pub fn join(&mut self, group: u32) -> Result<(), Error> {
        netlink::join(&self.fd, group).map_err(Error::system("join a netlink multicast group"))
    }

    /// Hears the multicasts of every namespace that has an id here (NETLINK_LISTEN_ALL_NSID).
    ///
    /// # Errors
    /// [`Error::System`]: EPERM without CAP_NET_BROADCAST.
    pub fn listen_all_namespaces(&mut self) -> Result<(), Error> {
        netlink::set(&self.fd, NetlinkOption::ListenAllNsid)
            .map_err(Error::system("listen to other namespaces' multicasts"))
    }

    /// The descriptor, for poll(2) and for options of its own.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// A whole dump, see [`dump::dump`].
    ///
    /// # Errors
    /// The kernel's refusal or a failed system call.
    pub fn dump(&mut self, request: &Request) -> Result<Dump, Error> {
        dump::dump(self, request)
    }

    /// A dump handed on message by message, see [`dump::stream`].
    ///
    /// # Errors
    /// The kernel's refusal, a failed system call, or what `each` returned.
    pub fn stream<E: From<Error>>(
        &mut self,
        request: &Request,
        each: impl FnMut(Message<'_>) -> Result<(), E>,
    ) -> Result<Outcome, E> {
        dump::stream(self, request, each)
    }

    /// A request with one answer, see [`dump::exchange`].
    ///
    /// # Errors
    /// The kernel's refusal or a failed system call.
    pub fn exchange(&mut self, request: &Request) -> Result<Dump, Error> {
        dump::exchange(self, request)
    }

    /// Waits for the next multicast datagram.
    ///
    /// # Errors
    /// [`Error::Overrun`] when some were lost: listening may go on.
    pub fn next_datagram(&mut self) -> Result<Messages<'_>, Error> {
        self.receive().map(Messages::new)
    }
}

impl Transport for Socket {
    fn send(&mut self, request: &Request) -> Result<u32, Error> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let bytes = request.finish(self.sequence);
        loop {
            match send(self.fd.as_raw_fd(), &bytes, MsgFlags::empty()) {
                Ok(_) => return Ok(self.sequence),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::System { doing: "send a netlink request", errno: errno as i32 }),
            }
        }
    }

    fn receive(&mut self) -> Result<&[u8], Error> {
        loop {
            // With MSG_TRUNC the result is the datagram's own length, even where the buffer was too short.
            match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_TRUNC) {
                Ok(0) => return Err(Error::Malformed("an empty datagram")),
                Ok(length) if length <= self.buffer.len() => return Ok(self.buffer.get(..length).unwrap_or_default()),
                Ok(length) if length <= MAX_BUFFER => {
                    // Lost, but the next attempt has the room for it.
                    self.buffer.resize(length.next_power_of_two(), 0);
                    return Err(Error::Overrun);
                }
                Ok(_) => return Err(Error::Malformed("a datagram above 4 MiB")),
                Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => return Err(Error::Overrun),
                Err(errno) => return Err(Error::System { doing: "read a netlink answer", errno: errno as i32 }),
            }
        }
    }

    fn port(&self) -> u32 {
        self.port
    }
}
