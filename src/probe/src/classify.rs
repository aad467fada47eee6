//! What a connection does once it is open. A sidecar or a load balancer completes every handshake; whether somebody is
//! behind it shows in the next moments.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use socket2::Socket;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nature {
    /// It stayed open and said nothing: most servers wait for the client.
    Silent,
    /// It spoke first; the first bytes, at most 256.
    Banner(Vec<u8>),
    /// It accepted and closed at once.
    Closed,
    /// It accepted and reset at once.
    Reset,
    /// Another error.
    Failed(i32),
}

impl Nature {
    /// One word for tables and JSON.
    pub fn keyword(&self) -> &'static str {
        match self {
            Nature::Silent => "open_silent",
            Nature::Banner(_) => "open_banner",
            Nature::Closed => "accepted_then_closed",
            Nature::Reset => "accepted_then_reset",
            Nature::Failed(_) => "error",
        }
    }
}

impl fmt::Display for Nature {
    /// One clause; bytes of the peer are made safe to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Nature::Silent => f.write_str("open, and waits for us to speak"),
            Nature::Banner(bytes) => {
                let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let shown: String = first
                    .iter()
                    .take(80)
                    .map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' })
                    .collect();
                write!(f, "open, and speaks first: \"{}\"", shown.trim_end_matches('.'))
            }
            Nature::Closed => f.write_str("accepted, then closed at once: a proxy without a backend answers like this"),
            Nature::Reset => f.write_str("accepted, then reset at once: a proxy without a backend answers like this"),
            Nature::Failed(errno) => write!(f, "accepted, then failed: {}", crate::errno::text(*errno)),
        }
    }
}

/// Watches a fresh connection for at most `window` without taking a byte from it.
///
/// # Errors
/// When it cannot be watched at all.
pub fn classify(socket: &Socket, window: Duration) -> io::Result<Nature> {
    let deadline = Instant::now() + window;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let millis = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)) {
            Err(nix::errno::Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
            Ok(0) => return Ok(Nature::Silent),
            Ok(_) => {}
        }
        let mut buffer = [0u8; 256];
        return Ok(match peek(socket, &mut buffer) {
            Ok(0) => Nature::Closed,
            Ok(length) => Nature::Banner(buffer.get(..length).unwrap_or_default().to_vec()),
            Err(libc::ECONNRESET) => Nature::Reset,
            Err(libc::EINTR | libc::EAGAIN) => continue,
            Err(errno) => Nature::Failed(errno),
        });
    }
}

fn peek(socket: &Socket, buffer: &mut [u8]) -> Result<usize, i32> {
    recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT).map_err(|errno| errno as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        (client.into(), server)
    }

    #[test]
    fn the_natures() {
        let window = Duration::from_secs(10);
        let (client, mut server) = pair();
        server.write_all(b"SSH-2.0-x\r\n\x1b[2J").unwrap();
        let nature = classify(&client, window).unwrap();
        assert_eq!(nature.to_string(), "open, and speaks first: \"SSH-2.0-x\"");
        // Nothing was taken.
        let mut stream: TcpStream = client.into();
        let mut bytes = [0; 3];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"SSH");

        let (client, server) = pair();
        drop(server);
        assert_eq!(classify(&client, window).unwrap(), Nature::Closed);

        let (client, server) = pair();
        Socket::from(server).set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(classify(&client, window).unwrap(), Nature::Reset);

        let (client, _server) = pair();
        assert_eq!(classify(&client, Duration::from_millis(1)).unwrap(), Nature::Silent);
    }
}
