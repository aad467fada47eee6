//! `-sV`, the light way: what an open port says by itself, to TLS, and to a plain HTTP request. No data files.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_probe::scan::State;
use netkit_tls::{Settings, Socket, Transport, connect, read_by, write_by};

use crate::Job;
use crate::output::Report;
use crate::xml::xml;

/// How long a port may take to speak first, and to answer.
const BANNER: Duration = Duration::from_millis(1200);
const ANSWER: Duration = Duration::from_secs(5);
/// What is read of an answer, in bytes.
const MOST: usize = 4096;
/// Ports talked to at once.
const TOGETHER: usize = 16;
/// Text shown, in characters.
const SHOWN: usize = 80;

/// What a port turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    name: &'static str,
    product: String,
    version: String,
    extra: String,
    /// The version of TLS it is spoken over.
    tls: String,
    /// The subject of its certificate.
    subject: String,
}

impl Version {
    /// The service, where it is known.
    pub(crate) fn name(&self) -> Option<String> {
        match (self.tls.is_empty(), self.name) {
            (true, "") => None,
            (true, name) => Some(name.to_owned()),
            (false, "") => Some("ssl/unknown".to_owned()),
            (false, name) => Some(format!("ssl/{name}")),
        }
    }

    /// The column of nmap's table.
    pub(crate) fn text(&self) -> String {
        let mut parts = vec![self.product.clone(), self.version.clone()];
        parts.extend((!self.extra.is_empty()).then(|| format!("({})", self.extra)));
        parts.extend((!self.tls.is_empty()).then(|| self.tls.clone()));
        parts.retain(|part| !part.is_empty());
        parts.join(" ")
    }

    /// nmap's element.
    pub(crate) fn xml(&self) -> Option<String> {
        let mut text = format!("<service name=\"{}\"", if self.name.is_empty() { "unknown" } else { self.name });
        self.name()?;
        for (key, value) in [("product", &self.product), ("version", &self.version), ("extrainfo", &self.extra)] {
            if !value.is_empty() {
                text += &format!(" {key}=\"{}\"", xml(value));
            }
        }
        text += if self.tls.is_empty() { "" } else { " tunnel=\"ssl\"" };
        Some(text + " method=\"probed\" conf=\"10\"/>")
    }

    pub(crate) fn json(&self) -> Value {
        let mut value = Value::object();
        for (key, text) in [
            ("name", self.name),
            ("product", &self.product),
            ("version", &self.version),
            ("extra", &self.extra),
            ("tls", &self.tls),
            ("subject", &self.subject),
        ] {
            if !text.is_empty() {
                value.set(key, text);
            }
        }
        value
    }
}

fn shown(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    printable(&String::from_utf8_lossy(line)).chars().take(SHOWN).collect()
}

/// `nginx/1.22.1 (Debian)`: product, version, the rest.
fn server(text: &str) -> (String, String, String) {
    let (head, extra) = text.split_once(" (").map_or((text, ""), |(head, rest)| (head, rest.trim_end_matches(')')));
    let (product, version) = head.split_once('/').unwrap_or((head, ""));
    (product.to_owned(), version.to_owned(), extra.to_owned())
}

/// What bytes that a port sent make of it; `asked`: after an HTTP request.
pub(crate) fn identify(bytes: &[u8], asked: bool) -> Option<Version> {
    let text = shown(bytes);
    let named = |name: &'static str| Version { name, ..Version::default() };
    if text.starts_with("HTTP/1.") {
        let lines = bytes.split(|byte| *byte == b'\n').skip(1).map(|line| line.trim_ascii());
        let field = lines.take_while(|line| !line.is_empty()).find_map(|line| {
            let (name, value) = line.split_at_checked(7)?;
            name.eq_ignore_ascii_case(b"server:").then(|| shown(value.trim_ascii()))
        });
        let (product, version, extra) = server(&field.unwrap_or_default());
        return Some(Version { product, version, extra, ..named("http") });
    }
    if let Some(rest) = text.strip_prefix("SSH-") {
        let (protocol, software) = rest.split_once('-').unwrap_or((rest, ""));
        let (software, comment) = software.split_once(' ').unwrap_or((software, ""));
        let (product, version) = software.split_once('_').unwrap_or((software, ""));
        let version = format!("{version} {}", comment.replacen('-', " ", 1));
        return Some(Version {
            product: product.to_owned(),
            version: version.trim().to_owned(),
            extra: format!("protocol {protocol}"),
            ..named("ssh")
        });
    }
    // The first packet of MySQL: length, number 0, protocol 10, and the version up to a zero.
    if let [_, _, 0, 0, 10, rest @ ..] = bytes {
        let version = rest.split(|byte| *byte == 0).next().unwrap_or_default();
        return Some(Version { product: "MySQL".to_owned(), version: shown(version), ..named("mysql") });
    }
    let upper = text.to_ascii_uppercase();
    let name = match text.as_str() {
        _ if upper.starts_with("220") && upper.contains("SMTP") => "smtp",
        _ if upper.starts_with("220") && upper.contains("FTP") => "ftp",
        _ if text.starts_with("+OK") => "pop3",
        _ if text.starts_with("* OK") => "imap",
        _ if text.starts_with("RFB 0") => "vnc",
        _ if text.starts_with("@RSYNCD:") => "rsync",
        _ if asked && (text.starts_with("-ERR ") || text.starts_with("-NOAUTH") || text.starts_with("-DENIED")) => {
            "redis"
        }
        _ if asked && text.starts_with("ERROR") => "memcached",
        _ => "",
    };
    (!text.is_empty()).then(|| Version { extra: text.clone(), ..named(name) })
}

/// A connection for one conversation.
fn open(to: SocketAddr) -> Option<Box<dyn Transport>> {
    let stream = TcpStream::connect_timeout(&to, ANSWER).ok()?;
    Some(Box::new(Socket::new(stream).ok()?))
}

/// Reads until the end, a pause, or enough.
fn hear(stream: &mut dyn Transport, limit: Duration) -> Vec<u8> {
    let deadline = Instant::now() + limit;
    let mut bytes = Vec::new();
    let mut buffer = [0u8; MOST];
    while bytes.len() < MOST && !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        // Once it has begun, the rest follows soon.
        let until = if bytes.is_empty() { deadline } else { deadline.min(Instant::now() + BANNER / 4) };
        match read_by(stream, &mut buffer, Some(until)) {
            Ok(length @ 1..) => bytes.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            _ => break,
        }
    }
    bytes
}

fn request(stream: &mut dyn Transport, to: SocketAddr) -> Vec<u8> {
    let text = format!("GET / HTTP/1.1\r\nHost: {to}\r\nUser-Agent: netkit\r\nConnection: close\r\n\r\n");
    if write_by(stream, text.as_bytes(), Some(Instant::now() + ANSWER)).is_err() || stream.flush().is_err() {
        return Vec::new();
    }
    hear(stream, ANSWER)
}

fn over_tls(to: SocketAddr) -> Option<Version> {
    let settings = Settings { insecure: true, min: 2, max: 3, ..Settings::default() };
    let deadline = Some(Instant::now() + ANSWER);
    let (mut stream, session) = connect(open(to)?, &to.ip().to_string(), &settings, deadline).ok()?;
    let mut version = identify(&request(stream.as_mut(), to), true).unwrap_or_default();
    version.tls = session.protocol;
    let leaf = session.chain.first().and_then(|der| netkit_tls::x509::Certificate::parse(der));
    version.subject = leaf.map(|leaf| printable(&leaf.subject)).unwrap_or_default();
    Some(version)
}

/// What stands behind an open port, as far as three questions tell.
fn version(to: SocketAddr) -> Option<Version> {
    let mut stream = open(to)?;
    let wait = if matches!(to.port(), 80 | 443 | 6443 | 8080 | 8443) { BANNER / 10 } else { BANNER };
    let banner = hear(stream.as_mut(), wait);
    if !banner.is_empty() {
        return identify(&banner, false);
    }
    let answer = request(stream.as_mut(), to);
    let plain = identify(&answer, true).filter(|_| !answer.starts_with(&[0x15, 3]));
    // Servers of HTTPS answer plain HTTP with an alert, a refusal in words, or nothing.
    match plain {
        Some(version) if version.name != "http" || !answer.starts_with(b"HTTP/1.") => Some(version),
        Some(version)
            if !answer.windows(5).any(|five| five.eq_ignore_ascii_case(b"https"))
                && !answer.starts_with(b"HTTP/1.1 400")
                && !answer.starts_with(b"HTTP/1.0 400") =>
        {
            Some(version)
        }
        plain => over_tls(to).or(plain),
    }
}

impl Job<'_> {
    /// Talks to every open TCP port, to several at a time.
    pub(crate) fn versions(&self, reports: &mut [Report]) {
        for report in reports {
            let open = report.ports.iter().filter(|((number, _), one)| *number == 0 && one.state == State::Open);
            let open: Vec<(u8, u16)> = open.map(|(key, _)| *key).collect();
            for some in open.chunks(TOGETHER) {
                if self.interrupted() {
                    return;
                }
                let address = report.address;
                let found: Vec<Option<Version>> = std::thread::scope(|scope| {
                    let ask = |key: &(u8, u16)| {
                        let to = SocketAddr::new(address, key.1);
                        scope.spawn(move || version(to))
                    };
                    let threads: Vec<_> = some.iter().map(ask).collect();
                    threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
                });
                for (key, version) in some.iter().zip(found) {
                    report.versions.extend(version.map(|version| (*key, version)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bytes: &[u8], asked: bool) -> String {
        identify(bytes, asked).map_or_else(String::new, |one| format!("{:?} {}", one.name(), one.text()))
    }

    #[test]
    fn what_servers_say() {
        let asked = b"HTTP/1.1 200 OK\r\nDate: x\r\nserver: nginx/1.22.1 (Debian)\r\n\r\nServer: no";
        assert_eq!(line(asked, true), "Some(\"http\") nginx 1.22.1 (Debian)");
        assert_eq!(line(b"HTTP/1.0 404 x\r\n\r\n", true), "Some(\"http\") ");
        assert_eq!(
            line(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n", false),
            "Some(\"ssh\") OpenSSH 9.2p1 Debian 2+deb12u2 (protocol 2.0)"
        );
        assert_eq!(line(b"220 mail ESMTP ready\r\n", false), "Some(\"smtp\") (220 mail ESMTP ready)");
        assert_eq!(
            line(b"-ERR wrong number of arguments\r\n", true),
            "Some(\"redis\") (-ERR wrong number of arguments)"
        );
        assert_eq!(line(b"J\0\0\0\x0a8.0.36\0abc", false), "Some(\"mysql\") MySQL 8.0.36");
        assert_eq!(line(b"220 lab ready\r\n", false), "None (220 lab ready)");
        assert_eq!(line(b"", false), "");
        assert!(!line(b"\x1b[2J\x07", false).contains('\x1b'));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64), asked in proptest::bool::ANY) {
            if let Some(version) = identify(&bytes, asked) {
                proptest::prop_assert!(!version.text().contains(char::is_control));
            }
        }
    }
}
