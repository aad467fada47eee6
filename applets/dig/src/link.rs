//! Connections that carry messages: TCP, TLS (RFC 7858), and HTTP/2 with and without TLS (RFC 8484).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use netkit_dns::transport::{Failure, TcpConnection};
use netkit_http::h2::{self, Event};
use netkit_tls::{Kind, Settings as TlsSettings, Sources, Transport, read_by, write_by};

use crate::lookup::{Secure, Settings};

/// Path of DNS over HTTPS when none is given (RFC 8484, section 4.1.1 leaves it open; BIND's default).
pub(crate) const DOH_PATH: &str = "/dns-query";
/// Largest message (RFC 1035, section 4.2.2).
const MAX_MESSAGE: usize = 65_535;
/// The media type of RFC 8484, section 6.
const MEDIA_TYPE: &str = "application/dns-message";

/// What carries the messages of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Udp,
    Tcp,
    Tls,
    /// HTTP/2; whether over TLS, and whether by GET.
    Http {
        tls: bool,
        get: bool,
    },
}

impl Carrier {
    /// As it stands in the SERVER line.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Carrier::Udp => "UDP",
            Carrier::Tcp => "TCP",
            Carrier::Tls => "TLS",
            Carrier::Http { tls: true, get: false } => "HTTPS",
            Carrier::Http { tls: true, get: true } => "HTTPS-GET",
            Carrier::Http { tls: false, get: false } => "HTTP",
            Carrier::Http { tls: false, get: true } => "HTTP-GET",
        }
    }

    /// As it stands in records.
    pub(crate) fn keyword(self) -> &'static str {
        match self {
            Carrier::Udp => "udp",
            Carrier::Tcp => "tcp",
            Carrier::Tls => "tls",
            Carrier::Http { tls: true, .. } => "https",
            Carrier::Http { tls: false, .. } => "http",
        }
    }

    /// Its well-known port.
    pub(crate) fn port(self) -> u16 {
        match self {
            Carrier::Udp | Carrier::Tcp => crate::lookup::PORT,
            Carrier::Tls => 853,
            Carrier::Http { tls: true, .. } => 443,
            Carrier::Http { tls: false, .. } => 80,
        }
    }
}

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// TCP itself failed.
    Connect(Failure),
    /// TLS did.
    Exchange(Failure),
    /// The certificate was refused, in OpenSSL's words.
    Certificate(String),
    /// Our own files cannot be used; what BIND says.
    Context(&'static str),
}

/// An open connection.
pub(crate) struct Link {
    inner: Inner,
    peer: SocketAddr,
    carrier: Carrier,
}

enum Inner {
    Tcp(TcpConnection),
    /// Received, not yet returned.
    Tls(Box<dyn Transport>, Vec<u8>),
    Http(Box<Http>),
}

struct Http {
    stream: Box<dyn Transport>,
    session: h2::Connection,
    authority: String,
    path: String,
    get: bool,
    tls: bool,
    /// Received, not yet understood.
    input: Vec<u8>,
}

impl Link {
    /// Connects as the settings say; `label` is the server as the user named it.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub(crate) fn connect(
        settings: &Settings,
        label: &str,
        target: SocketAddr,
        source: Option<SocketAddr>,
        timeout: Duration,
    ) -> Result<Link, Trouble> {
        let carrier = settings.carrier(true);
        let secure = &settings.secure;
        let wants_tls = matches!(carrier, Carrier::Tls | Carrier::Http { tls: true, .. });
        if wants_tls && secure.certificate.is_some() != secure.key.is_some() {
            return Err(Trouble::Context("both TLS client certificate and key file must be specified a the same time"));
        }
        let started = Instant::now();
        let tcp = TcpConnection::connect(target, source, timeout).map_err(Trouble::Connect)?;
        if carrier == Carrier::Tcp {
            return Ok(Link { inner: Inner::Tcp(tcp), peer: target, carrier });
        }
        let plain = netkit_tls::Socket::new(tcp.into_stream()).map_err(|error| Trouble::Exchange(error.into()))?;
        let mut stream: Box<dyn Transport> = Box::new(plain);
        let deadline = started.checked_add(timeout);
        if wants_tls {
            stream = shake(stream, secure, label, carrier, deadline)?;
        }
        let inner = match carrier {
            Carrier::Http { tls, get } => {
                let host = match target {
                    SocketAddr::V6(_) if label.contains(':') => format!("[{label}]"),
                    _ => label.to_owned(),
                };
                Inner::Http(Box::new(Http {
                    stream,
                    session: h2::Connection::default(),
                    authority: format!("{host}:{}", target.port()),
                    path: secure.path.clone().unwrap_or_else(|| DOH_PATH.to_owned()),
                    get,
                    tls,
                    input: Vec::new(),
                }))
            }
            _ => Inner::Tls(stream, Vec::new()),
        };
        Ok(Link { inner, peer: target, carrier })
    }

    /// The server.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What it is.
    pub(crate) fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// Sends one message.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) fn send(&mut self, message: &[u8], deadline: Instant) -> Result<(), Failure> {
        match &mut self.inner {
            Inner::Tcp(connection) => connection.send(message),
            Inner::Tls(stream, _) => {
                let length = u16::try_from(message.len()).map_err(|_| Failure::Other("message too long".to_owned()))?;
                let framed = [&length.to_be_bytes(), message].concat();
                Ok(write_by(&mut **stream, &framed, Some(deadline))?)
            }
            Inner::Http(http) => http.send(message, deadline),
        }
    }

    /// The next message, whole.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) fn receive(&mut self, deadline: Instant) -> Result<Vec<u8>, Failure> {
        match &mut self.inner {
            Inner::Tcp(connection) => connection.receive(deadline),
            Inner::Tls(stream, pending) => loop {
                if let Some(message) = take(pending) {
                    return Ok(message);
                }
                more(&mut **stream, pending, deadline)?;
            },
            Inner::Http(http) => http.receive(deadline),
        }
    }
}

/// A message behind its two octets of length.
fn take(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let [high, low] = *pending.first_chunk::<2>()?;
    let end = 2 + usize::from(u16::from_be_bytes([high, low]));
    let message = pending.get(2..end)?.to_vec();
    pending.drain(..end);
    Some(message)
}

fn more(stream: &mut dyn Transport, pending: &mut Vec<u8>, deadline: Instant) -> Result<(), Failure> {
    let mut chunk = [0u8; 16_384];
    match read_by(stream, &mut chunk, Some(deadline))? {
        0 => Err(Failure::EndOfFile),
        length => {
            pending.extend_from_slice(chunk.get(..length).unwrap_or_default());
            Ok(())
        }
    }
}

fn shake(
    stream: Box<dyn Transport>,
    secure: &Secure,
    label: &str,
    carrier: Carrier,
    deadline: Option<Instant>,
) -> Result<Box<dyn Transport>, Trouble> {
    let name = secure.hostname.as_deref().unwrap_or(label);
    let settings = TlsSettings {
        // As in BIND a name to expect, or a certificate of our own, makes us look at theirs.
        insecure: secure.authority.is_none() && secure.certificate.is_none() && secure.hostname.is_none(),
        sources: Sources { file: secure.authority.clone().flatten(), ..Sources::default() },
        certificate: secure.certificate.clone(),
        key: secure.key.clone(),
        alpn: vec![if carrier == Carrier::Tls { "dot" } else { "h2" }],
        max: 3,
        key_log: true,
        ..TlsSettings::default()
    };
    let shaken = netkit_tls::connect(stream, name.split('%').next().unwrap_or(name), &settings, deadline);
    let (stream, agreed) = shaken.map_err(|error| match error.kind {
        Kind::Anchors | Kind::OwnCertificate => Trouble::Context("TLS context cannot be created"),
        Kind::Verification => Trouble::Certificate(reason(error.seen.code, &error.seen.reason, name)),
        Kind::TimedOut => Trouble::Exchange(Failure::TimedOut),
        Kind::Broken if error.text.ends_with("eof while reading") => Trouble::Exchange(Failure::EndOfFile),
        Kind::Broken if error.text.contains("reset") => Trouble::Exchange(Failure::Reset),
        // BIND says no more, and of HTTPS alone.
        _ if carrier != Carrier::Tls => Trouble::Connect(Failure::Other("TLS error".to_owned())),
        _ => Trouble::Exchange(Failure::Other(netkit_core::text::printable(&error.text))),
    })?;
    if carrier != Carrier::Tls && agreed.alpn.as_deref() != Some("h2") {
        return Err(Trouble::Connect(Failure::Other("ALPN for HTTP/2 failed".to_owned())));
    }
    Ok(stream)
}

/// Why a certificate was refused, as X509_verify_cert_error_string(3) has it.
fn reason(code: u32, text: &str, name: &str) -> String {
    const HOST_MISMATCH: u32 = 62;
    match code {
        HOST_MISMATCH if name.parse::<std::net::IpAddr>().is_ok() => "IP address mismatch".to_owned(),
        HOST_MISMATCH => "hostname mismatch".to_owned(),
        _ => text.strip_prefix("SSL certificate problem: ").unwrap_or(text).to_owned(),
    }
}

impl Http {
    fn send(&mut self, message: &[u8], deadline: Instant) -> Result<(), Failure> {
        if message.len() > MAX_MESSAGE {
            return Err(Failure::Other("message too long".to_owned()));
        }
        if !self.session.is_open() {
            return Err(Failure::EndOfFile);
        }
        let path = match self.get {
            true => format!("{}?dns={}", self.path, URL_SAFE_NO_PAD.encode(message)),
            false => self.path.clone(),
        };
        let length = message.len().to_string();
        let mut fields = vec![
            (":method", if self.get { "GET" } else { "POST" }),
            (":scheme", if self.tls { "https" } else { "http" }),
            (":authority", self.authority.as_str()),
            (":path", path.as_str()),
        ];
        if !self.get {
            fields.push(("content-type", MEDIA_TYPE));
        }
        fields.push(("accept", MEDIA_TYPE));
        if !self.get {
            fields.push(("content-length", length.as_str()));
        }
        let fields: Vec<_> = fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.session.request(&fields, self.get);
        if !self.get {
            // The largest message fits into the window that a connection begins with; a peer that shrinks it is not waited
            // for.
            let mut rest = message;
            while let Some((piece, tail)) = rest.split_at_checked(rest.len().min(self.session.room())) {
                if piece.is_empty() {
                    return Err(Failure::Other("failure".to_owned()));
                }
                self.session.data(piece, tail.is_empty());
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
        }
        self.flush(deadline)
    }

    fn flush(&mut self, deadline: Instant) -> Result<(), Failure> {
        let out = std::mem::take(&mut self.session.out);
        Ok(write_by(&mut *self.stream, &out, Some(deadline))?)
    }

    fn receive(&mut self, deadline: Instant) -> Result<Vec<u8>, Failure> {
        // BIND's word for an answer of HTTP that is none of DNS.
        let failure = || Failure::Other("failure".to_owned());
        let mut status = None;
        let mut body = Vec::new();
        loop {
            let (used, event) = self.session.feed(&self.input).map_err(|error| Failure::Other(error.text))?;
            self.input.drain(..used.min(self.input.len()));
            self.flush(deadline)?;
            let ended = match event {
                None => {
                    match more(&mut *self.stream, &mut self.input, deadline) {
                        // Nothing but the end: what a server says that takes no such request.
                        Err(Failure::Other(_)) => return Err(failure()),
                        done => done?,
                    }
                    continue;
                }
                Some(Event::Headers { fields, end }) => {
                    let given = fields.iter().find(|(name, _)| name == ":status").map(|(_, value)| value);
                    let informational = given.is_some_and(|value| value.starts_with('1'));
                    if !informational && status.is_none() {
                        status = given.cloned();
                    }
                    end
                }
                Some(Event::Data { length, skip, end }) => {
                    body.extend_from_slice(self.input.get(..length).unwrap_or_default());
                    self.input.drain(..(length + skip).min(self.input.len()));
                    end
                }
                Some(Event::Reset(_) | Event::GoAway { served: false, .. }) => return Err(failure()),
                Some(Event::GoAway { .. } | Event::Window) => false,
            };
            if body.len() > MAX_MESSAGE {
                return Err(failure());
            }
            if ended {
                return if status.as_deref() == Some("200") { Ok(body) } else { Err(failure()) };
            }
        }
    }
}

/// Whether BIND takes this path: absolute, of the characters of RFC 3986, section 3.3.
pub(crate) fn path_is_valid(path: &str) -> bool {
    let bytes = path.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(byte);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        // An escape that the end cuts short is taken, as in BIND.
        let escaped = *byte == b'%' && bytes.iter().skip(at + 1).take(2).all(u8::is_ascii_hexdigit);
        if !plain(byte) && !escaped {
            return false;
        }
        at += if escaped { 3 } else { 1 };
    }
    path.starts_with('/') && !path.starts_with("//")
}

impl From<Trouble> for Failure {
    /// For those who make no difference.
    fn from(trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Connect(failure) | Trouble::Exchange(failure) => failure,
            Trouble::Certificate(why) => Failure::Other(why),
            Trouble::Context(why) => Failure::Other(why.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_as_bind_takes_them() {
        for good in ["/", "/dns-query", "/a/b%2f", "/x:@!$", "/a%", "/a%2", "/a//b"] {
            assert!(path_is_valid(good), "{good}");
        }
        for bad in ["", "dns-query", "//x", "/a?b", "/a%z", "/a%2g", "/a b", "/\u{e9}", "/#"] {
            assert!(!path_is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn framed_messages() {
        let mut pending = vec![0, 2, b'a', b'b', 0, 9, b'c'];
        assert_eq!(take(&mut pending), Some(b"ab".to_vec()));
        assert_eq!(take(&mut pending), None);
        assert_eq!(pending, [0, 9, b'c']);
    }

    #[test]
    fn refusals_in_the_words_of_openssl() {
        assert_eq!(reason(62, "x", "10.0.0.1"), "IP address mismatch");
        assert_eq!(reason(62, "x", "h"), "hostname mismatch");
        assert_eq!(reason(10, "SSL certificate problem: certificate has expired", "h"), "certificate has expired");
    }
}
