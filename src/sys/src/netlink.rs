//! Options of a netlink socket (netlink(7)), which neither std nor nix can set.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc;

/// A switch at level SOL_NETLINK, numbered as in linux/netlink.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetlinkOption {
    /// NETLINK_LISTEN_ALL_NSID: hear the multicasts of every namespace that has an id here (since 4.2).
    ListenAllNsid,
    /// NETLINK_CAP_ACK: an error repeats the header of the request only, not all of it (since 4.3).
    CapAck,
    /// NETLINK_EXT_ACK: an error says in words what is wrong (since 4.12).
    ExtAck,
    /// NETLINK_GET_STRICT_CHK: a dump request is checked, and its filters are obeyed (since 4.20).
    StrictCheck,
}

impl NetlinkOption {
    fn number(self) -> libc::c_int {
        match self {
            NetlinkOption::ListenAllNsid => 8,
            NetlinkOption::CapAck => 10,
            NetlinkOption::ExtAck => 11,
            NetlinkOption::StrictCheck => 12,
        }
    }
}

/// Switches `option` on.
///
/// # Errors
/// As setsockopt(2); ENOPROTOOPT from a kernel that does not know the option.
#[allow(unsafe_code)]
pub fn set(socket: &impl AsFd, option: NetlinkOption) -> Result<(), Errno> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed for the call; `on` is a live c_int and `length` is its size, which is all
    // that setsockopt(2) reads; nothing is written through the pointer.
    let result = unsafe { libc::setsockopt(fd, libc::SOL_NETLINK, option.number(), (&raw const on).cast(), length) };
    Errno::result(result).map(drop)
}

/// Joins multicast group `group` (NETLINK_ADD_MEMBERSHIP, netlink(7)), also one above 32, which no address mask can name.
///
/// # Errors
/// As setsockopt(2); EINVAL for a group that the kernel does not have.
#[allow(unsafe_code)]
pub fn join(socket: &impl AsFd, group: u32) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(size_of::<u32>()).unwrap_or(4);
    let fd = socket.as_fd().as_raw_fd();
    let option = libc::NETLINK_ADD_MEMBERSHIP;
    // SAFETY: the descriptor is borrowed for the call; `group` is a live u32 and `length` is its size, which is all
    // that setsockopt(2) reads; nothing is written through the pointer.
    let result = unsafe { libc::setsockopt(fd, libc::SOL_NETLINK, option, (&raw const group).cast(), length) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

    #[test]
    fn a_netlink_socket_takes_them_and_another_does_not() {
        let netlink =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute).unwrap();
        for option in [NetlinkOption::ExtAck, NetlinkOption::CapAck, NetlinkOption::StrictCheck] {
            assert_eq!(set(&netlink, option), Ok(()));
        }
        // RTNLGRP_NEXTHOP (linux/rtnetlink.h); the other is beyond every group.
        assert_eq!(join(&netlink, 32), Ok(()));
        assert_eq!(join(&netlink, 1 << 20), Err(Errno::EINVAL));
        let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(set(&other, NetlinkOption::ExtAck).is_err());
    }
}
