//! One connection of wget's and what goes over it: a request out, a head and a body in. HTTP/1 only, as in the peer.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use netkit_http::auth::basic;
use netkit_http::chunked::{Chunked, Piece};
use netkit_http::head::{self, Head, Start};
use netkit_tls::x509::Certificate;
use netkit_tls::{Kind, Ready, Settings, Sources, TlsError, Transport, read_by, write_by};

use super::options::Options;

/// A connection that may serve again.
pub(crate) struct Conn {
    pub(crate) stream: Box<dyn Transport>,
    /// Received, not yet used.
    pub(crate) input: Vec<u8>,
    /// Scheme, host, port and proxy.
    pub(crate) key: String,
}

/// A response up to its body.
pub(crate) struct Response {
    pub(crate) head: Head,
    /// What stands behind the number.
    pub(crate) reason: String,
    /// All lines as they came.
    pub(crate) lines: Vec<String>,
}

/// How far a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    None,
    Length(u64),
    Chunked,
    Close,
}

/// When to give up waiting for one read.
pub(crate) fn deadline(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| Instant::now().checked_add(limit))
}

impl Conn {
    pub(crate) fn send(&mut self, bytes: &[u8], limit: Option<Duration>) -> io::Result<()> {
        write_by(&mut *self.stream, bytes, deadline(limit))
    }

    /// Whether the other side has neither closed it nor said anything.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let wanted = Ready { read: true, write: false };
        if !self.input.is_empty() || self.stream.wait(wanted, Some(Duration::ZERO)).map_or(true, |ready| !ready.read) {
            return self.input.is_empty();
        }
        // Over TLS what came may be no answer, such as tickets.
        let mut buffer = [0u8; 16];
        matches!(self.stream.read(&mut buffer), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// More input; false at the end.
    fn more(&mut self, limit: Option<Duration>) -> io::Result<bool> {
        let mut chunk = [0u8; 16_384];
        let length = read_by(&mut *self.stream, &mut chunk, deadline(limit))?;
        self.input.extend_from_slice(chunk.get(..length).unwrap_or_default());
        Ok(length > 0)
    }

    /// The next head; `Ok(None)` when there was nothing at all.
    pub(crate) fn response(&mut self, limit: Option<Duration>) -> io::Result<Option<Response>> {
        while self.input.is_empty() {
            if !self.more(limit)? {
                return Ok(None);
            }
        }
        while head::start(&self.input) == Start::Http && self.input.len() < 5 {
            if !self.more(limit)? {
                break;
            }
        }
        if head::start(&self.input) == Start::Other || self.input.len() < 5 {
            return Ok(Some(bare()));
        }
        let mut at = 0;
        let mut lines: Vec<String> = Vec::new();
        let mut found = Head::default();
        let mut reason = String::new();
        loop {
            let rest = self.input.get(at..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                if self.input.len() > head::MAX_HEAD || rest.len() > head::MAX_LINE {
                    return Err(io::Error::other("the head is too large"));
                }
                if !self.more(limit)? {
                    break;
                }
                continue;
            };
            let line = rest.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            at += end + 1;
            if at > head::MAX_HEAD {
                return Err(io::Error::other("the head is too large"));
            }
            if line.is_empty() {
                break;
            }
            let text = String::from_utf8_lossy(line).into_owned();
            if lines.is_empty() {
                (found.version, found.status) =
                    head::status_line(line).map_err(|failure| io::Error::other(failure.text))?;
                reason = text.splitn(3, ' ').nth(2).unwrap_or("").trim().to_owned();
            } else {
                // A line that is no field is shown by -S and means nothing else.
                let _ = found.add(line);
            }
            lines.push(netkit_core::text::printable(&text));
        }
        self.input.drain(..at.min(self.input.len()));
        Ok(Some(Response { head: found, reason: netkit_core::text::printable(&reason), lines }))
    }

    /// Takes the body; `each` gets its pieces. False when it ended before its length.
    pub(crate) fn body(
        &mut self,
        extent: Extent,
        limit: Option<Duration>,
        each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<bool, BodyError> {
        let mut chunked = Chunked::default();
        let mut left = match extent {
            Extent::None => return Ok(true),
            Extent::Length(length) => length,
            Extent::Chunked | Extent::Close => u64::MAX,
        };
        loop {
            if extent == Extent::Chunked {
                let (used, piece) =
                    chunked.feed(&self.input).map_err(|failure| BodyError::Read(io::Error::other(failure.text)))?;
                self.input.drain(..used.min(self.input.len()));
                match piece {
                    Piece::Data(length) => {
                        let length = length.min(self.input.len());
                        each(self.input.get(..length).unwrap_or_default()).map_err(BodyError::Write)?;
                        self.input.drain(..length);
                        continue;
                    }
                    Piece::Trailer(_) => continue,
                    Piece::Done => return Ok(true),
                    Piece::More => {}
                }
            } else {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len());
                if length > 0 {
                    each(self.input.get(..length).unwrap_or_default()).map_err(BodyError::Write)?;
                    self.input.drain(..length);
                    left -= length as u64;
                }
                if left == 0 {
                    return Ok(true);
                }
            }
            match self.more(limit) {
                Ok(true) => {}
                // An end that TLS did not announce is an end all the same where a length vouches for the bytes.
                Ok(false) => return Ok(extent == Extent::Close),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(extent == Extent::Close),
                Err(error) => return Err(BodyError::Read(error)),
            }
        }
    }
}

/// Why a body stopped.
pub(crate) enum BodyError {
    Read(io::Error),
    Write(io::Error),
}

/// HTTP/0.9: no head at all.
fn bare() -> Response {
    let head = Head { version: 9, status: 200, fields: Vec::new() };
    Response { head, reason: "No headers, assuming HTTP/0.9".to_owned(), lines: Vec::new() }
}

impl Response {
    /// How far the body goes.
    pub(crate) fn extent(&self, is_head: bool, ignore_length: bool) -> Extent {
        let status = self.head.status;
        if is_head || status == 204 || status == 304 || status < 200 {
            return Extent::None;
        }
        if self.head.has_token("Transfer-Encoding", "chunked") {
            return Extent::Chunked;
        }
        match self.length().filter(|_| !ignore_length) {
            Some(length) => Extent::Length(length),
            None => Extent::Close,
        }
    }

    /// Content-Length, if it is one number.
    pub(crate) fn length(&self) -> Option<u64> {
        if self.head.has_token("Transfer-Encoding", "chunked") {
            return None;
        }
        match head::content_length(&self.head) {
            Ok(head::Length::Bytes(length)) => Some(length),
            _ => None,
        }
    }

    /// Whether the connection stays after the body.
    pub(crate) fn keeps(&self) -> bool {
        match self.head.version {
            11 => !self.head.has_token("Connection", "close"),
            _ => self.head.has_token("Connection", "keep-alive"),
        }
    }

    /// First byte and whole length of a Content-Range.
    pub(crate) fn range(&self) -> Option<(u64, Option<u64>)> {
        let value = self.head.field("Content-Range")?;
        let rest = value.trim().strip_prefix("bytes").map(|rest| rest.trim_start_matches([' ', ':']))?;
        let (span, whole) = rest.split_once('/')?;
        let (first, _) = span.split_once('-')?;
        Some((first.trim().parse().ok()?, whole.trim().parse().ok()))
    }
}

/// TLS as the options want it.
pub(crate) fn tls_settings(options: &Options, env: &dyn Fn(&str) -> Option<PathBuf>) -> Settings {
    let path = |text: &Option<String>| text.as_ref().map(PathBuf::from);
    let file = path(&options.ca_file).filter(|file| file.exists());
    Settings {
        insecure: options.insecure,
        sources: Sources {
            file,
            directory: path(&options.ca_directory),
            env_file: env("SSL_CERT_FILE"),
            env_directory: env("SSL_CERT_DIR"),
        },
        certificate: path(&options.certificate),
        key: path(&options.key),
        alpn: vec!["http/1.1"],
        min: options.tls.0,
        max: options.tls.1,
        key_log: env("SSLKEYLOGFILE").is_some(),
        pinned: None,
        ciphers: [None, None],
    }
}

/// What the peer's library says of a certificate: lines, with ERROR or WARNING where it says so.
pub(crate) fn distrust(code: u32, leaf: Option<&Certificate>, host: &str, word: &str, quotes: [&str; 2]) -> String {
    let named = leaf.is_some_and(|leaf| leaf.is_for(host));
    let [open, close] = quotes;
    let mut out = String::new();
    let mut behind = "";
    let line = |out: &mut String, text: &str| {
        out.push_str(&format!("{word}: The certificate of {open}{host}{close} {text}\n"));
    };
    if code != 0 && code != 62 {
        line(&mut out, "is not trusted.");
        let (text, last) = match code {
            9 => ("is not yet activated.", "The certificate has not yet been activated\n"),
            10 => ("has expired.", "The certificate has expired\n"),
            23 => ("has been revoked.", ""),
            26 => ("was signed using an insecure algorithm or for another purpose.", ""),
            _ => ("doesn't have a known issuer.", ""),
        };
        line(&mut out, text);
        behind = last;
    }
    out.push_str(behind);
    if !named && behind.is_empty() {
        out.push_str(&format!("The certificate's owner does not match hostname {open}{host}{close}\n"));
    }
    out
}

/// Why there is no TLS, in the words of the peer where it is about its packets.
pub(crate) fn tls_reason(error: &TlsError) -> String {
    match error.kind {
        Kind::TimedOut => "GnuTLS: The operation timed out".to_owned(),
        _ if error.text.contains("wrong version number") => "GnuTLS: An unexpected TLS packet was received.".to_owned(),
        Kind::Broken => "GnuTLS: The TLS connection was non-properly terminated.".to_owned(),
        _ => format!("TLS: {}", netkit_core::text::printable(&error.text)),
    }
}

/// Asks an HTTP proxy for a tunnel; the words of a refusal.
pub(crate) fn tunnel(
    conn: &mut Conn,
    target: &str,
    agent: Option<&str>,
    login: Option<&(String, String)>,
    limit: Option<Duration>,
) -> Result<(), String> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(agent) = agent {
        request.push_str(&format!("User-Agent: {agent}\r\n"));
    }
    if let Some((user, password)) = login {
        request.push_str(&format!("Proxy-Authorization: {}\r\n", basic(user, password)));
    }
    request.push_str("\r\n");
    let failed = |error: io::Error| format!("Failed reading proxy response: {}", reason(&error));
    conn.send(request.as_bytes(), limit).map_err(|error| format!("Failed writing to proxy: {}.", reason(&error)))?;
    let answer = conn.response(limit).map_err(failed)?;
    match answer {
        Some(answer) if answer.head.status == 200 => Ok(()),
        Some(answer) => Err(format!("Proxy tunneling failed: {}", answer.reason)),
        None => Err("Failed reading proxy response: No data".to_owned()),
    }
}

/// strerror(3) without a number.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "Connection timed out".to_owned(),
        _ => crate::net::strerror(error),
    }
}
