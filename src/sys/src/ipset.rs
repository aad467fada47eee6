//! Names of IP sets (linux/netfilter/ipset/ip_set.h): the packet filter's rules know them by number.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::libc;

/// SO_IP_SET
const SO_IP_SET: i32 = 83;
/// IP_SET_OP_GET_BYINDEX
const GET_BY_INDEX: u32 = 0x07;
/// The oldest protocol that kernels still speak (IPSET_PROTOCOL_MIN).
const PROTOCOL: u32 = 6;
/// Octets of struct ip_set_req_get_set: operation, version, and a name that shares its place with the number.
const REQUEST: usize = 40;

/// The name of set number `index`; `None` when there is none by now.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN, ENOPROTOOPT where the kernel has no IP sets.
pub fn name(index: u16) -> io::Result<Option<String>> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let mut request = [0u8; REQUEST];
    for (at, word) in [(0, GET_BY_INDEX.to_ne_bytes()), (4, PROTOCOL.to_ne_bytes())] {
        if let Some(place) = request.get_mut(at..at + 4) {
            place.copy_from_slice(&word);
        }
    }
    if let Some(place) = request.get_mut(8..10) {
        place.copy_from_slice(&index.to_ne_bytes());
    }
    crate::xtables::getsockopt(socket.as_raw_fd(), libc::SOL_IP, SO_IP_SET, &mut request)?;
    let field = request.get(8..).unwrap_or_default();
    let name = field.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok((!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned()))
}
