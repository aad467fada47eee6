//! The PROXY protocol in front of a connection: sent by a client, read by a listener.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use netkit_core::Error;
use netkit_probe::errno;
use netkit_probe::proxy_protocol::{Header, MAX_HEADER, Version};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use socket2::Socket;

use crate::args::FAILURE;

/// How long a peer may take for its header.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says who we are: our own address and the one we connected to.
pub(crate) fn send_header(socket: &Socket, version: Version) -> Result<(), Error> {
    let ends = (address_of(socket.local_addr()), address_of(socket.peer_addr()));
    let header = match ends {
        (Some(source), Some(destination)) => Header::Proxied { source, destination },
        _ => Header::Unknown,
    };
    write_header(socket, &header, version)
        .map_err(|error| Error::new(FAILURE, format!("sending the PROXY protocol header: {}", errno::reason(&error))))
}

/// Writes a header to a blocking socket.
pub(crate) fn write_header(mut socket: &Socket, header: &Header, version: Version) -> io::Result<()> {
    socket.write_all(&header.encode(version))
}

pub(crate) fn address_of(address: io::Result<socket2::SockAddr>) -> Option<SocketAddr> {
    address.ok()?.as_socket()
}

/// Reads the header of a fresh connection, and not one byte behind it.
///
/// # Errors
/// In words: no header, a broken one, or none in time.
pub(crate) fn receive_header(socket: &Socket) -> Result<Header, String> {
    let closing = PollFlags::from_bits_retain(nix::libc::POLLRDHUP);
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = vec![0u8; MAX_HEADER];
    let mut seen = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("no PROXY protocol header within 10 s".to_owned());
        }
        let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).max(1);
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN | closing)];
        let _ = poll(&mut polled, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX));
        let [polled] = &polled;
        // Seen before the bytes are looked at, so that none can come after them. Flags among which is one that nix has no
        // name for are returned as none at all.
        let ended = polled.revents().is_none_or(|seen| seen.intersects(closing));
        let length = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
            Ok(0) => return Err("closed before its PROXY protocol header".to_owned()),
            Ok(length) => length,
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => continue,
            Err(errno) => return Err(errno::text(errno as i32)),
        };
        match Header::decode(buffer.get(..length).unwrap_or_default()) {
            Err(fault) => return Err(fault.to_string()),
            Ok(Some((header, end))) => {
                // Taken from the queue now; it lies there whole.
                let room = buffer.get_mut(..end).unwrap_or_default();
                recv(socket.as_raw_fd(), room, MsgFlags::MSG_WAITALL).map_err(|errno| errno::text(errno as i32))?;
                return Ok(header);
            }
            Ok(None) if ended => return Err("closed within its PROXY protocol header".to_owned()),
            // poll keeps saying that the part we have seen is readable.
            Ok(None) if length == seen => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => seen = length,
        }
    }
}
