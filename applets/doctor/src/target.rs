//! What is to be reached: URL, `host:port`, a scheme of ours, or `service/namespace`.

use netkit_core::Error;
use netkit_core::text::printable;
use netkit_http::url::{Url, split_scheme};

/// What is spoken above the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speak {
    /// HTTP/1.1.
    Http,
    /// A connection, and what the server does with it.
    Tcp,
    /// A datagram.
    Udp,
    /// A handshake.
    Tls,
    /// A query.
    Dns,
    /// SSLRequest and start-up.
    Postgres,
    /// HTTP/2 and the health service.
    Grpc,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// As typed.
    pub(crate) text: String,
    pub(crate) speak: Speak,
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The request target of HTTP, the name to ask of DNS, the database of PostgreSQL.
    pub(crate) path: String,
    pub(crate) user: Option<String>,
    /// The Service that was named without a port.
    pub(crate) service: Option<String>,
    /// What was assumed, in words.
    pub(crate) assumed: Option<String>,
}

/// Scheme, what it speaks, over TLS, port.
const SCHEMES: [(&str, Speak, bool, u16); 15] = [
    ("http", Speak::Http, false, 80),
    ("https", Speak::Http, true, 443),
    ("ws", Speak::Http, false, 80),
    ("wss", Speak::Http, true, 443),
    ("tcp", Speak::Tcp, false, 0),
    ("udp", Speak::Udp, false, 0),
    ("tls", Speak::Tls, true, 443),
    ("ssl", Speak::Tls, true, 443),
    ("dns", Speak::Dns, false, 53),
    ("postgres", Speak::Postgres, false, 5432),
    ("postgresql", Speak::Postgres, false, 5432),
    ("grpc", Speak::Grpc, false, 50_051),
    ("grpcs", Speak::Grpc, true, 443),
    ("h2", Speak::Grpc, true, 443),
    ("h2c", Speak::Grpc, false, 80),
];
/// Schemes that only promise a port: TCP, and no more is claimed.
const PLAIN: [(&str, u16); 9] = [
    ("redis", 6379),
    ("mysql", 3306),
    ("amqp", 5672),
    ("mongodb", 27_017),
    ("kafka", 9092),
    ("ldap", 389),
    ("smtp", 25),
    ("ssh", 22),
    ("nats", 4222),
];

impl Target {
    /// Reads one.
    ///
    /// # Errors
    /// A line that names what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Target, Error> {
        let wrong = |why: &str| Error::usage(format!("'{}': {why}", printable(text)));
        if text.is_empty() {
            return Err(wrong("nothing to reach"));
        }
        let (scheme, _) = split_scheme(text);
        let explicit = scheme.is_some() && text.contains("://");
        if !explicit && let Some(target) = service(text) {
            return Ok(target);
        }
        let scheme = if explicit { scheme.unwrap_or("").to_ascii_lowercase() } else { String::new() };
        let rest = if explicit { text.split_once("://").map_or("", |(_, rest)| rest) } else { text };
        // A bare IPv6 address has colons of its own.
        let bare = rest.parse::<std::net::Ipv6Addr>().map(|address| format!("[{address}]"));
        let rest = bare.as_deref().unwrap_or(rest);
        let url = Url::parse(&format!("http://{rest}"), false).map_err(|failure| wrong(&failure.text))?;
        if url.host.is_empty() {
            return Err(wrong("there is no host in it"));
        }
        let host = match &url.zone {
            Some(zone) => format!("{}%{zone}", url.host),
            None => url.host.clone(),
        };
        let mut target = Target {
            text: text.to_owned(),
            speak: Speak::Tcp,
            tls: false,
            host,
            port: 0,
            path: url.target(),
            user: url.login().map(|(user, _)| user),
            service: None,
            assumed: None,
        };
        let has_path = rest.contains(['/', '?']);
        if explicit {
            if let Some((_, speak, tls, port)) = SCHEMES.iter().find(|(name, ..)| *name == scheme) {
                (target.speak, target.tls, target.port) = (*speak, *tls, *port);
            } else if let Some((_, port)) = PLAIN.iter().find(|(name, _)| *name == scheme) {
                target.port = *port;
                target.assumed = Some(format!("{scheme}:// is looked at down to TCP only"));
            } else {
                let known: Vec<&str> = SCHEMES.iter().map(|(name, ..)| *name).collect();
                let hint = format!("known: {}", known.join("://, "));
                return Err(wrong(&format!("unknown scheme '{}'", printable(&scheme))).hint(format!("{hint}://")));
            }
        } else {
            // host:port promises no more than a connection; the usual ports say what is spoken behind it.
            let guess = match url.port {
                Some(443 | 8443 | 6443) => (Speak::Http, true),
                Some(80 | 8080 | 8000 | 8888 | 3000) => (Speak::Http, false),
                Some(53) => (Speak::Dns, false),
                Some(5432) => (Speak::Postgres, false),
                Some(_) if !has_path => (Speak::Tcp, false),
                _ => (Speak::Http, false),
            };
            (target.speak, target.tls) = guess;
            target.port = if guess.1 { 443 } else { 80 };
            let words = match guess {
                (Speak::Http, true) => "HTTPS",
                (Speak::Http, false) => "HTTP",
                (Speak::Dns, _) => "DNS",
                (Speak::Postgres, _) => "PostgreSQL",
                _ => "nothing above TCP",
            };
            target.assumed = Some(format!("no scheme was given, so {words} is assumed"));
        }
        if let Some(port) = url.port {
            target.port = port;
        }
        if target.port == 0 {
            return Err(wrong("the port is missing, as in tcp://host:port"));
        }
        if target.speak == Speak::Dns || target.speak == Speak::Postgres {
            target.path = target.path.trim_start_matches('/').split('?').next().unwrap_or("").to_owned();
        }
        Ok(target)
    }

    /// The port of a Service that was named without one, as the environment of a container announces it.
    pub(crate) fn learn_port(&mut self, announced: &[(String, u16)]) {
        let Some(service) = self.service.take() else { return };
        let name = service.to_ascii_uppercase().replace('-', "_");
        if let Some((_, port)) = announced.iter().find(|(known, _)| *known == name) {
            self.port = *port;
            self.tls = matches!(port, 443 | 6443 | 8443);
            let plain = matches!(port, 80 | 3000 | 8000 | 8080 | 8888);
            self.speak = if self.tls || plain { Speak::Http } else { Speak::Tcp };
            self.assumed = Some(format!("port {port} as {name}_SERVICE_PORT has it"));
        }
    }

    /// `host:port` as it stands in commands and the Host field.
    pub(crate) fn authority(&self) -> String {
        let host = self.bracketed();
        let usual = if self.tls { 443 } else { 80 };
        if self.speak == Speak::Http && self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// The host, an IPv6 address in brackets.
    pub(crate) fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// The transport.
    pub(crate) fn is_udp(&self) -> bool {
        self.speak == Speak::Udp
    }
}

/// `service/namespace[:port]`: two DNS labels (RFC 1123) without a dot.
fn service(text: &str) -> Option<Target> {
    let (service, rest) = text.split_once('/')?;
    let (namespace, port) = match rest.split_once(':') {
        Some((namespace, port)) => (namespace, Some(port.parse::<u16>().ok().filter(|port| *port > 0)?)),
        None => (rest, None),
    };
    let label = |text: &str| {
        !text.is_empty()
            && text.len() <= 63
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    if !label(service) || !label(namespace) || service == "localhost" {
        return None;
    }
    let given = port.is_some();
    let port = port.unwrap_or(80);
    let tls = matches!(port, 443 | 6443 | 8443);
    let plain = matches!(port, 80 | 3000 | 8000 | 8080 | 8888);
    let speak = if tls || plain { Speak::Http } else { Speak::Tcp };
    let assumed = if given {
        format!("Service {service} in namespace {namespace}")
    } else {
        format!(
            "Service {service} in namespace {namespace}; port 80 is assumed, {service}/{namespace}:PORT names another"
        )
    };
    Some(Target {
        text: text.to_owned(),
        speak,
        tls,
        host: format!("{service}.{namespace}.svc"),
        port,
        path: "/".to_owned(),
        user: None,
        service: (!given).then(|| service.to_owned()),
        assumed: Some(assumed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Speak, bool, String, u16, String) {
        let target = Target::parse(text).unwrap();
        (target.speak, target.tls, target.host, target.port, target.path)
    }

    #[test]
    fn forms() {
        let own = |speak, tls, host: &str, port, path: &str| (speak, tls, host.to_owned(), port, path.to_owned());
        assert_eq!(read("https://a.b:8443/x?y"), own(Speak::Http, true, "a.b", 8443, "/x?y"));
        assert_eq!(read("http://10.0.0.1"), own(Speak::Http, false, "10.0.0.1", 80, "/"));
        assert_eq!(read("db:6379"), own(Speak::Tcp, false, "db", 6379, "/"));
        assert_eq!(read("db.default:443"), own(Speak::Http, true, "db.default", 443, "/"));
        assert_eq!(read("tcp://[fd00::1]:5"), own(Speak::Tcp, false, "fd00::1", 5, "/"));
        assert_eq!(read("dns://10.96.0.10/a.b"), own(Speak::Dns, false, "10.96.0.10", 53, "a.b"));
        assert_eq!(read("postgres://u@db/app"), own(Speak::Postgres, false, "db", 5432, "app"));
        assert_eq!(read("web/default"), own(Speak::Http, false, "web.default.svc", 80, "/"));
        assert_eq!(read("web/default:9000"), own(Speak::Tcp, false, "web.default.svc", 9000, "/"));
        assert_eq!(read("example.com/x"), own(Speak::Http, false, "example.com", 80, "/x"));
        assert_eq!(read("fd00::1"), own(Speak::Http, false, "fd00::1", 80, "/"));
        assert_eq!(Target::parse("postgres://u@db/app").unwrap().user.as_deref(), Some("u"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("", "nothing"),
            ("tcp://a", "port is missing"),
            ("gopher://a:1", "gopher"),
            ("http://", "http"),
            ("a:99999", "a:99999"),
        ] {
            let error = Target::parse(text).unwrap_err();
            assert!(error.message.contains(part) && error.exit == netkit_core::Exit::USAGE, "{text}: {error}");
        }
    }
}
