//! Asking a proxy for a connection: SOCKS4, SOCKS4a, SOCKS5 (RFC 1928, RFC 1929) and HTTP CONNECT (RFC 9110, 9.3.6).
//!
//! Replies are hostile: every length is bounded, and not one byte behind the reply is taken from the stream.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base64::Engine as _;

/// Which protocol the proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SOCKS4: IPv4 addresses only.
    Socks4,
    /// SOCKS4a: the proxy looks names up.
    Socks4a,
    /// SOCKS5.
    Socks5,
    /// HTTP CONNECT.
    Http,
}

impl Kind {
    /// The port such proxies usually listen on.
    pub fn default_port(self) -> u16 {
        match self {
            Kind::Http => 3128,
            _ => 1080,
        }
    }
}

/// Where the proxy is to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An address.
    Address(SocketAddr),
    /// A name that the proxy looks up, and a port.
    Name(String, u16),
}

/// User and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// May not hold a colon for HTTP.
    pub user: String,
    /// May be empty.
    pub password: String,
}

impl fmt::Debug for Credentials {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why there is no connection through the proxy.
#[derive(Debug)]
pub enum ProxyError {
    /// The stream failed or ended.
    Io(io::Error),
    /// The request cannot be expressed in this protocol; in words.
    Request(&'static str),
    /// SOCKS4 refused, with its code.
    Socks4(u8),
    /// SOCKS5 refused, with its code.
    Socks5(u8),
    /// No method of authentication both sides know.
    NoMethod,
    /// User or password was not accepted.
    Denied,
    /// The HTTP proxy wants credentials (status 407).
    AuthenticationRequired(String),
    /// The HTTP proxy refused; its status line.
    Status(String),
    /// The reply is not one of this protocol; in words.
    Malformed(&'static str),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("the proxy closed the connection")
            }
            ProxyError::Io(error) => f.write_str(&crate::errno::reason(error)),
            ProxyError::Request(text) | ProxyError::Malformed(text) => f.write_str(text),
            ProxyError::Socks4(code) => write!(f, "connection failed, SOCKSv4 error: {}", socks4_text(*code)),
            ProxyError::Socks5(code) => write!(f, "connection failed, SOCKSv5 error: {}", socks5_text(*code)),
            ProxyError::NoMethod => f.write_str("authentication method negotiation failed"),
            ProxyError::Denied => f.write_str("the proxy did not accept user and password"),
            ProxyError::AuthenticationRequired(line) | ProxyError::Status(line) => {
                write!(f, "Proxy error: \"{}\"", netkit_core::text::printable(line))
            }
        }
    }
}

impl From<io::Error> for ProxyError {
    fn from(error: io::Error) -> ProxyError {
        ProxyError::Io(error)
    }
}

/// The text of a SOCKS4 reply code.
pub fn socks4_text(code: u8) -> &'static str {
    match code {
        91 => "Request rejected or failed",
        92 => "SOCKS server cannot connect to identd on the client",
        93 => "Client program and identd report different user-ids",
        _ => "Unknown error",
    }
}

/// The text of a SOCKS5 reply code (RFC 1928, section 6).
pub fn socks5_text(code: u8) -> &'static str {
    match code {
        1 => "General SOCKS server failure",
        2 => "Connection not allowed by ruleset",
        3 => "Network unreachable",
        4 => "Host unreachable",
        5 => "Connection refused",
        6 => "TTL expired",
        7 => "Command not supported",
        8 => "Address type not supported",
        _ => "Unknown error",
    }
}

/// Asks the proxy at the other end of `stream` to connect. Afterwards the stream is the connection.
///
/// # Errors
/// See [`ProxyError`].
pub fn negotiate<S: Read + Write>(
    stream: &mut S,
    kind: Kind,
    destination: &Destination,
    credentials: Option<&Credentials>,
) -> Result<(), ProxyError> {
    match kind {
        Kind::Socks4 | Kind::Socks4a => socks4(stream, kind, destination, credentials),
        Kind::Socks5 => socks5(stream, destination, credentials),
        Kind::Http => http(stream, destination, credentials),
    }
}

fn socks4<S: Read + Write>(
    stream: &mut S,
    kind: Kind,
    destination: &Destination,
    credentials: Option<&Credentials>,
) -> Result<(), ProxyError> {
    let (address, port, name) = match destination {
        Destination::Address(SocketAddr::V4(v4)) => (*v4.ip(), v4.port(), None),
        Destination::Address(SocketAddr::V6(_)) => {
            return Err(ProxyError::Request("connection failed, SOCKSv4 has no IPv6 addresses"));
        }
        // 0.0.0.x with x not 0 says that a name follows.
        Destination::Name(name, port) if kind == Kind::Socks4a => (Ipv4Addr::new(0, 0, 0, 1), *port, Some(name)),
        Destination::Name(..) => return Err(ProxyError::Request("SOCKSv4 has no names")),
    };
    let user = credentials.map_or("", |credentials| credentials.user.as_str());
    let mut request = vec![4, 1];
    request.extend_from_slice(&port.to_be_bytes());
    request.extend_from_slice(&address.octets());
    for text in std::iter::once(user).chain(name.map(String::as_str)) {
        if text.len() > 255 || text.contains('\0') {
            return Err(ProxyError::Request("name or user too long for SOCKSv4"));
        }
        request.extend_from_slice(text.as_bytes());
        request.push(0);
    }
    stream.write_all(&request)?;
    let mut reply = [0u8; 8];
    stream.read_exact(&mut reply)?;
    match reply {
        [_, 90, ..] => Ok(()),
        [_, code, ..] => Err(ProxyError::Socks4(code)),
    }
}

fn socks5<S: Read + Write>(
    stream: &mut S,
    destination: &Destination,
    credentials: Option<&Credentials>,
) -> Result<(), ProxyError> {
    const NONE: u8 = 0;
    const PASSWORD: u8 = 2;
    let greeting: &[u8] = if credentials.is_some() { &[5, 2, NONE, PASSWORD] } else { &[5, 1, NONE] };
    stream.write_all(greeting)?;
    let mut chosen = [0u8; 2];
    stream.read_exact(&mut chosen)?;
    match (chosen, credentials) {
        ([5, NONE], _) => {}
        ([5, PASSWORD], Some(credentials)) => socks5_password(stream, credentials)?,
        _ => return Err(ProxyError::NoMethod),
    }
    let mut request = vec![5, 1, 0];
    let port = match destination {
        Destination::Address(SocketAddr::V4(v4)) => {
            request.push(1);
            request.extend_from_slice(&v4.ip().octets());
            v4.port()
        }
        Destination::Address(SocketAddr::V6(v6)) => {
            request.push(4);
            request.extend_from_slice(&v6.ip().octets());
            v6.port()
        }
        Destination::Name(name, port) => {
            let length = u8::try_from(name.len()).map_err(|_| ProxyError::Request("host name too long for SOCKS5"))?;
            request.extend_from_slice(&[3, length]);
            request.extend_from_slice(name.as_bytes());
            *port
        }
    };
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request)?;
    let mut head = [0u8; 4];
    stream.read_exact(&mut head)?;
    let [version, code, _, kind] = head;
    if version != 5 {
        return Err(ProxyError::Malformed("the reply is not SOCKS version 5"));
    }
    if code != 0 {
        return Err(ProxyError::Socks5(code));
    }
    let length = match kind {
        1 => 4,
        4 => 16,
        3 => {
            let mut length = [0u8];
            stream.read_exact(&mut length)?;
            usize::from(length[0])
        }
        _ => return Err(ProxyError::Malformed("connection failed, unsupported address type")),
    };
    let mut bound = vec![0u8; length + 2];
    stream.read_exact(&mut bound)?;
    Ok(())
}

/// RFC 1929.
fn socks5_password<S: Read + Write>(stream: &mut S, credentials: &Credentials) -> Result<(), ProxyError> {
    let mut request = vec![1];
    for text in [&credentials.user, &credentials.password] {
        let too_long = |_| ProxyError::Request("Proxy username/password too long");
        request.push(u8::try_from(text.len()).map_err(too_long)?);
        request.extend_from_slice(text.as_bytes());
    }
    stream.write_all(&request)?;
    let mut reply = [0u8; 2];
    stream.read_exact(&mut reply)?;
    if reply == [1, 0] { Ok(()) } else { Err(ProxyError::Denied) }
}

/// Longest line and most lines of a CONNECT reply.
const MAX_LINE: usize = 8_192;
const MAX_LINES: usize = 256;

fn http<S: Read + Write>(
    stream: &mut S,
    destination: &Destination,
    credentials: Option<&Credentials>,
) -> Result<(), ProxyError> {
    let (host, port) = match destination {
        Destination::Address(address) => match address.ip() {
            IpAddr::V4(v4) => (v4.to_string(), address.port()),
            IpAddr::V6(v6) => (format!("[{v6}]"), address.port()),
        },
        Destination::Name(name, port) => (name.clone(), *port),
    };
    if host.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(ProxyError::Request("Invalid hostname"));
    }
    let mut request = format!("CONNECT {host}:{port} HTTP/1.0\r\n");
    if let Some(Credentials { user, password }) = credentials {
        let token = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        request.push_str(&format!("Proxy-Authorization: Basic {token}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    // A refusal is not read to its end: some proxies send a page and keep the connection.
    judge(line(stream)?)?;
    for _ in 0..MAX_LINES {
        if line(stream)?.is_empty() {
            return Ok(());
        }
    }
    Err(ProxyError::Malformed("Too many proxy headers received"))
}

fn judge(line: String) -> Result<(), ProxyError> {
    let mut words = line.splitn(3, ' ');
    let version = words.next().unwrap_or("");
    let status = words.next().unwrap_or("");
    match status {
        _ if version.starts_with("HTTP/1.") && status.len() == 3 && status.starts_with('2') => Ok(()),
        "407" => Err(ProxyError::AuthenticationRequired(line)),
        _ => Err(ProxyError::Status(line)),
    }
}

/// One line without its end, read octet by octet so that nothing behind the reply is taken.
fn line<S: Read>(stream: &mut S) -> Result<String, ProxyError> {
    let mut bytes = Vec::new();
    loop {
        let mut byte = [0u8];
        stream.read_exact(&mut byte)?;
        match byte {
            [b'\n'] => break,
            [byte] => bytes.push(byte),
        }
        if bytes.len() > MAX_LINE {
            return Err(ProxyError::Malformed("proxy read too long"));
        }
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives prepared bytes and keeps what is written.
    struct Played {
        reply: io::Cursor<Vec<u8>>,
        asked: Vec<u8>,
    }

    impl Played {
        fn new(reply: &[u8]) -> Played {
            Played { reply: io::Cursor::new(reply.to_vec()), asked: Vec::new() }
        }

        fn rest(&mut self) -> Vec<u8> {
            let mut rest = Vec::new();
            self.reply.read_to_end(&mut rest).unwrap();
            rest
        }
    }

    impl Read for Played {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.reply.read(buffer)
        }
    }

    impl Write for Played {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.asked.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn name() -> Destination {
        Destination::Name("svc.example".to_owned(), 80)
    }

    fn secret() -> Credentials {
        Credentials { user: "me".to_owned(), password: "pw".to_owned() }
    }

    #[test]
    fn socks4_both_kinds() {
        let mut proxy = Played::new(b"\0\x5a\0\0\0\0\0\0rest");
        let to = Destination::Address("10.1.2.3:80".parse().unwrap());
        negotiate(&mut proxy, Kind::Socks4, &to, None).unwrap();
        assert_eq!(proxy.asked, b"\x04\x01\x00\x50\x0a\x01\x02\x03\x00");
        assert_eq!(proxy.rest(), b"rest");
        let mut proxy = Played::new(b"\0\x5b\0\0\0\0\0\0");
        let error = negotiate(&mut proxy, Kind::Socks4a, &name(), Some(&secret())).unwrap_err();
        assert_eq!(error.to_string(), "connection failed, SOCKSv4 error: Request rejected or failed");
        assert_eq!(proxy.asked, b"\x04\x01\x00\x50\x00\x00\x00\x01me\0svc.example\0");
    }

    #[test]
    fn socks5_with_and_without_password() {
        let mut proxy = Played::new(b"\x05\x00\x05\x00\x00\x03\x02ab\x00\x50rest");
        negotiate(&mut proxy, Kind::Socks5, &name(), None).unwrap();
        assert_eq!(proxy.asked, b"\x05\x01\x00\x05\x01\x00\x03\x0bsvc.example\x00\x50");
        assert_eq!(proxy.rest(), b"rest");
        let mut proxy = Played::new(b"\x05\x02\x01\x00\x05\x05\x00\x01\0\0\0\0\0\0");
        let error = negotiate(&mut proxy, Kind::Socks5, &name(), Some(&secret())).unwrap_err();
        assert_eq!(error.to_string(), "connection failed, SOCKSv5 error: Connection refused");
        assert!(proxy.asked.starts_with(b"\x05\x02\x00\x02\x01\x02me\x02pw\x05\x01"));
        let mut proxy = Played::new(b"\x05\x02\x01\x01");
        assert!(matches!(negotiate(&mut proxy, Kind::Socks5, &name(), Some(&secret())), Err(ProxyError::Denied)));
        let mut proxy = Played::new(b"\x05\x02");
        assert!(matches!(negotiate(&mut proxy, Kind::Socks5, &name(), None), Err(ProxyError::NoMethod)));
    }

    #[test]
    fn http_connect() {
        let mut proxy = Played::new(b"HTTP/1.1 200 Fine\r\nVia: x\r\n\r\nSSH-2.0");
        negotiate(&mut proxy, Kind::Http, &name(), Some(&secret())).unwrap();
        let expected = "CONNECT svc.example:80 HTTP/1.0\r\nProxy-Authorization: Basic bWU6cHc=\r\n\r\n";
        assert_eq!(String::from_utf8(proxy.asked.clone()).unwrap(), expected);
        assert_eq!(proxy.rest(), b"SSH-2.0");
        let ask = |reply: &[u8]| {
            let to = Destination::Address("[::1]:80".parse().unwrap());
            negotiate(&mut Played::new(reply), Kind::Http, &to, None).unwrap_err().to_string()
        };
        assert_eq!(ask(b"HTTP/1.0 503 No\x1b\r\n\r\n"), "Proxy error: \"HTTP/1.0 503 No.\"");
        assert_eq!(ask(b"HTTP/1.0 407 Who\n\n"), "Proxy error: \"HTTP/1.0 407 Who\"");
        assert_eq!(ask(b"SSH-2.0\r\n\r\n"), "Proxy error: \"SSH-2.0\"");
        assert_eq!(ask(b"HTTP/1.0 200 x\r\n"), "the proxy closed the connection");
        assert_eq!(ask(&vec![b'a'; 10_000]), "proxy read too long");
        assert_eq!(
            ask(&[b"HTTP/1.0 200 x\n".as_slice(), &b"a\n".repeat(1_000)].concat()),
            "Too many proxy headers received"
        );
    }

    proptest! {
        #[test]
        fn no_reply_is_taken_for_more_than_it_is(reply in proptest::collection::vec(any::<u8>(), 0..64)) {
            for kind in [Kind::Socks4, Kind::Socks4a, Kind::Socks5, Kind::Http] {
                let to = Destination::Address("10.1.2.3:80".parse().unwrap());
                let done = negotiate(&mut Played::new(&reply), kind, &to, Some(&secret()));
                if done.is_ok() {
                    let fine = match kind {
                        Kind::Socks4 | Kind::Socks4a => reply[1] == 90,
                        Kind::Socks5 => reply[0] == 5,
                        Kind::Http => reply.starts_with(b"HTTP/1."),
                    };
                    prop_assert!(fine);
                }
            }
        }
    }
}
