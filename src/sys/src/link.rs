//! A packet socket without a ring, for the few packets of a scan, and one frame out of an interface through it (packet(7)).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};

use crate::capture::{Instruction, attach, bind};

/// Hears every interface of this namespace from the IP header on, as far as `filter` lets packets in. Does not block. The
/// kernel holds up to `hold` bytes, or what it allows without CAP_NET_ADMIN (net.core.rmem_max).
///
/// # Errors
/// EPERM or EACCES without CAP_NET_RAW, EINVAL if the kernel does not take the filter.
pub fn listen(filter: &[Instruction], hold: usize) -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    // It hears nothing until it is bound, and it has its filter by then.
    let socket = socket(AddressFamily::Packet, SockType::Datagram, flags, None)?;
    attach(&socket, filter)?;
    let _ = setsockopt(&socket, sockopt::RcvBuf, &hold);
    let _ = setsockopt(&socket, sockopt::RcvBufForce, &hold);
    bind(&socket, 0)?;
    Ok(socket)
}

/// Sends `payload` to the Ethernet address `to` out of the interface `ifindex`; the kernel writes the link-layer header
/// when `socket` is of SOCK_DGRAM. `protocol` is the EtherType.
///
/// # Errors
/// As sendto(2): ENXIO for an interface that is not there, ENETDOWN for one that is down.
#[allow(unsafe_code)]
pub fn send(socket: &impl AsFd, ifindex: u32, protocol: u16, to: [u8; 6], payload: &[u8]) -> Result<usize, Errno> {
    let [a, b, c, d, e, f] = to;
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: protocol.to_be(),
        sll_ifindex: i32::try_from(ifindex).map_err(|_| Errno::ENODEV)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [a, b, c, d, e, f, 0, 0],
    };
    let size = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).map_err(|_| Errno::EINVAL)?;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed for the call; the kernel reads `payload.len()` octets of `payload` and `size`
    // octets of `address`, both of which live until it returns.
    let sent =
        unsafe { libc::sendto(fd, payload.as_ptr().cast(), payload.len(), 0, (&raw const address).cast(), size) };
    Errno::result(sent).map(|sent| usize::try_from(sent).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_another_family_is_an_error() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(send(&socket, u32::MAX, 0x0806, [0xff; 6], b"x").is_err());
        assert!(send(&socket, 1, 0x0806, [0xff; 6], b"x").is_err());
    }
}
