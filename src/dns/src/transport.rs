//! One exchange over UDP, or a connection over TCP (RFC 1035 section 4.2, RFC 7766). Blocking, with a deadline.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// Why no reply came. The words are BIND's, because people search for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing within the time allowed.
    TimedOut,
    /// ICMP port unreachable, or a TCP reset to the SYN.
    Refused,
    /// No route, or an ICMP unreachable; in words.
    Unreachable(String),
    /// The peer closed the connection in the middle.
    EndOfFile,
    /// The peer reset the connection.
    Reset,
    /// The local address could not be bound; in words.
    Bind(String),
    /// Anything else; in words.
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::TimedOut => f.write_str("timed out"),
            Failure::Refused => f.write_str("connection refused"),
            Failure::EndOfFile => f.write_str("end of file"),
            Failure::Reset => f.write_str("connection reset"),
            Failure::Unreachable(text) | Failure::Bind(text) | Failure::Other(text) => f.write_str(text),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::WouldBlock | Kind::TimedOut => Failure::TimedOut,
            Kind::ConnectionRefused => Failure::Refused,
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => Failure::Reset,
            Kind::UnexpectedEof => Failure::EndOfFile,
            Kind::NetworkUnreachable => Failure::Unreachable("network unreachable".to_owned()),
            Kind::HostUnreachable => Failure::Unreachable("host unreachable".to_owned()),
            Kind::PermissionDenied => Failure::Other("permission denied".to_owned()),
            Kind::AddrNotAvailable => Failure::Bind("address not available".to_owned()),
            Kind::AddrInUse => Failure::Bind("address in use".to_owned()),
            Kind::InvalidInput => Failure::Other("invalid file".to_owned()),
            _ if error.raw_os_error() == Some(EAFNOSUPPORT) => {
                Failure::Unreachable("address family not supported".to_owned())
            }
            _ => Failure::Other(error.to_string()),
        }
    }
}

/// asm-generic/errno.h; std has no kind of its own for it.
const EAFNOSUPPORT: i32 = 97;

/// A datagram that was accepted as the answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The message.
    pub bytes: Vec<u8>,
    /// Who sent it.
    pub from: SocketAddr,
    /// From sending to receiving.
    pub elapsed: Duration,
}

/// Sends `query` from a fresh socket and waits for a reply that `accept` takes; others are skipped.
/// The socket is connected, so datagrams from elsewhere never arrive and ICMP errors do.
///
/// # Errors
/// See [`Failure`].
pub fn udp_exchange(
    server: SocketAddr,
    bind: Option<SocketAddr>,
    query: &[u8],
    timeout: Duration,
    accept: &mut dyn FnMut(&[u8], SocketAddr) -> bool,
) -> Result<Reply, Failure> {
    let socket = udp_socket(server, bind)?;
    let started = Instant::now();
    socket.send(query)?;
    udp_receive(&socket, server, started, timeout, accept)
}

/// A connected UDP socket.
///
/// # Errors
/// When the address cannot be bound or there is no route.
pub fn udp_socket(server: SocketAddr, bind: Option<SocketAddr>) -> Result<UdpSocket, Failure> {
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(Protocol::UDP))?;
    if let Some(bind) = bind {
        socket.bind(&bind.into())?;
    }
    // Without a bind the kernel chooses address and port here.
    socket.connect(&server.into())?;
    Ok(socket.into())
}

/// Waits on a connected socket until `timeout` after `started`.
///
/// # Errors
/// See [`Failure`].
pub fn udp_receive(
    socket: &UdpSocket,
    server: SocketAddr,
    started: Instant,
    timeout: Duration,
    accept: &mut dyn FnMut(&[u8], SocketAddr) -> bool,
) -> Result<Reply, Failure> {
    let deadline = started + timeout;
    let mut buffer = BUFFER.take();
    if buffer.is_empty() {
        // Zeroed pages come from the kernel as they are touched.
        buffer = vec![0; DATAGRAM];
    }
    let reply = udp_receive_into(&mut buffer, socket, server, started, deadline, accept);
    BUFFER.set(buffer);
    reply
}

/// The largest datagram there is: more than announced, so that an oversized reply is seen whole.
const DATAGRAM: usize = 65_535;

thread_local! {
    /// Kept from one exchange to the next, because clearing it anew costs more than all the rest of receiving.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn udp_receive_into(
    buffer: &mut [u8],
    socket: &UdpSocket,
    server: SocketAddr,
    started: Instant,
    deadline: Instant,
    accept: &mut dyn FnMut(&[u8], SocketAddr) -> bool,
) -> Result<Reply, Failure> {
    loop {
        socket.set_read_timeout(Some(left_until(deadline)?))?;
        let length = match socket.recv(buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let elapsed = started.elapsed();
        let bytes = buffer.get(..length).unwrap_or_default();
        if accept(bytes, server) {
            return Ok(Reply { bytes: bytes.to_vec(), from: server, elapsed });
        }
    }
}

/// Time left, at least a millisecond so that it can be a socket timeout.
fn left_until(deadline: Instant) -> Result<Duration, Failure> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Failure::TimedOut) } else { Ok(left.max(Duration::from_millis(1))) }
}

/// A connection on which messages stand behind two octets of length.
#[derive(Debug)]
pub struct TcpConnection {
    stream: TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
    /// Received, not yet returned. Never holds more than one message and one read.
    pending: Vec<u8>,
}

impl TcpConnection {
    /// Connects, from `bind` if given.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn connect(server: SocketAddr, bind: Option<SocketAddr>, timeout: Duration) -> Result<TcpConnection, Failure> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
        if let Some(bind) = bind {
            // A fixed source port must be usable again although an earlier connection lingers.
            socket.set_reuse_address(true)?;
            socket.bind(&bind.into())?;
        }
        socket.connect_timeout(&server.into(), timeout)?;
        // Queries are small and should leave at once.
        socket.set_tcp_nodelay(true)?;
        let stream = TcpStream::from(socket);
        let local = stream.local_addr()?;
        Ok(TcpConnection { stream, local, peer: server, pending: Vec::new() })
    }

    /// Our own address and port.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The connection itself, for what speaks another protocol on it.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// The server.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends one message with its length in a single write.
    ///
    /// # Errors
    /// See [`Failure`]; also for a message above 65,535 octets.
    pub fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        let length = u16::try_from(message.len()).map_err(|_| Failure::Other("message too long".to_owned()))?;
        let mut framed = Vec::with_capacity(message.len() + 2);
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(message);
        Ok(self.stream.write_all(&framed)?)
    }

    /// The next message, whole. Bytes that drip in do not extend the deadline.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn receive(&mut self, deadline: Instant) -> Result<Vec<u8>, Failure> {
        loop {
            if let Some(message) = self.take_message() {
                return Ok(message);
            }
            self.stream.set_read_timeout(Some(left_until(deadline)?))?;
            let mut chunk = [0u8; 16_384];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Failure::EndOfFile),
                Ok(length) => self.pending.extend_from_slice(chunk.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take_message(&mut self) -> Option<Vec<u8>> {
        let [high, low] = *self.pending.first_chunk::<2>()?;
        let end = 2 + usize::from(u16::from_be_bytes([high, low]));
        let message = self.pending.get(2..end)?.to_vec();
        self.pending.drain(..end);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn a_datagram_that_is_not_accepted_is_skipped() {
        let server = UdpSocket::bind(loopback()).unwrap();
        let address = server.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 16];
            let (_, from) = server.recv_from(&mut buffer).unwrap();
            server.send_to(b"wrong", from).unwrap();
            server.send_to(b"right", from).unwrap();
        });
        let reply =
            udp_exchange(address, None, b"q", Duration::from_secs(5), &mut |bytes, _| bytes == b"right").unwrap();
        assert_eq!((reply.bytes.as_slice(), reply.from), (&b"right"[..], address));
        thread.join().unwrap();
    }

    #[test]
    fn a_closed_port_is_refused_and_a_silent_one_times_out() {
        let closed = UdpSocket::bind(loopback()).unwrap().local_addr().unwrap();
        let outcome = udp_exchange(closed, None, b"q", Duration::from_secs(5), &mut |_, _| true);
        assert_eq!(outcome.unwrap_err(), Failure::Refused);
        let silent = UdpSocket::bind(loopback()).unwrap();
        let address = silent.local_addr().unwrap();
        let outcome = udp_exchange(address, None, b"q", Duration::from_millis(20), &mut |_, _| true);
        assert_eq!(outcome.unwrap_err(), Failure::TimedOut);
    }

    #[test]
    fn framed_messages_arrive_whole_however_they_are_cut() {
        let listener = TcpListener::bind(loopback()).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for piece in [&b"\x00"[..], b"\x03ab", b"c\x00\x01d\x00\x05x"] {
                stream.write_all(piece).unwrap();
                stream.flush().unwrap();
            }
        });
        let mut connection = TcpConnection::connect(address, None, Duration::from_secs(5)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        assert_eq!(connection.receive(deadline).unwrap(), b"abc");
        assert_eq!(connection.receive(deadline).unwrap(), b"d");
        assert_eq!(connection.receive(deadline).unwrap_err(), Failure::EndOfFile);
        thread.join().unwrap();
    }
}
