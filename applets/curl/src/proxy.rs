//! Proxies: which one, whether at all, and how it is asked for a connection.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::net;
use netkit_http::chunked::{Chunked, Piece};
use netkit_http::head::Head;
use netkit_http::{Code, Failure, Url};
use netkit_tls::{Transport, read_by, write_by};

use crate::config::Config;
use crate::connect::{Route, decoded, split_login};
use crate::request::{custom, custom_lines};
use crate::transfer::Transfer;
use crate::world::{Kind, World};

/// Most bytes of a reply to CONNECT.
const MAX_REPLY: usize = 256 * 1024;

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// `http`, `https`, `socks4`, `socks4a`, `socks5`, `socks5h`.
    pub(crate) scheme: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) login: Option<(String, String)>,
    /// A SOCKS proxy that stands before it.
    pub(crate) before: Option<Box<Proxy>>,
}

impl Proxy {
    pub(crate) fn is_http(&self) -> bool {
        self.scheme.starts_with("http")
    }
}

/// The proxy for a URL, from the command line or the environment.
pub(crate) fn choose(world: &World, config: &Config, url: &Url) -> Result<Option<Proxy>, Failure> {
    let env = |names: &[&str]| names.iter().find_map(|name| world.var(name)).map(str::to_owned);
    let no_proxy = config.noproxy.clone().or_else(|| env(&["no_proxy", "NO_PROXY"]));
    if no_proxy.is_some_and(|list| bypasses(&list, &url.host)) {
        return Ok(None);
    }
    let text = config.proxy.clone().or_else(|| {
        // HTTP_PROXY in capitals is what a CGI program gets from a Proxy request header.
        let own: &[&str] = if url.scheme == "https" { &["https_proxy", "HTTPS_PROXY"] } else { &["http_proxy"] };
        env(own).or_else(|| env(&["all_proxy", "ALL_PROXY"]))
    });
    let main =
        text.filter(|text| !text.is_empty()).map(|text| parse(&text, config.proxy_user.as_deref())).transpose()?;
    let Some(text) = config.preproxy.as_ref().filter(|text| !text.is_empty()) else { return Ok(main) };
    let first = parse(text, if main.is_none() { config.proxy_user.as_deref() } else { None })?;
    Ok(Some(match main {
        // A SOCKS proxy has no other before it.
        Some(main) if main.is_http() => Proxy { before: Some(Box::new(first)), ..main },
        Some(main) => main,
        None => first,
    }))
}

fn parse(text: &str, proxy_user: Option<&str>) -> Result<Proxy, Failure> {
    let bad = || Failure::new(Code::ResolveProxy, format!("Unsupported proxy syntax in '{text}': URL rejected"));
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" | "socks4a" | "socks5h" => scheme.to_ascii_lowercase(),
        "socks4" | "socks" => "socks4".to_owned(),
        "socks5" => "socks5".to_owned(),
        _ => {
            return Err(Failure::new(Code::Connect, format!("Unsupported proxy scheme for '{text}'")));
        }
    };
    let url = Url::parse(&format!("http://{}", rest.trim_end_matches('/')), true).map_err(|_| bad())?;
    let port = url.port.unwrap_or(if scheme == "https" { 443 } else { 1080 });
    let login = match proxy_user {
        Some(user) => {
            let (user, password) = split_login(user);
            Some((decoded(&user), decoded(&password.unwrap_or_default())))
        }
        None => url.login(),
    };
    Ok(Proxy { scheme, host: url.host.clone(), port, login, before: None })
}

/// Whether a list of names, domains and networks holds the host.
pub(crate) fn bypasses(list: &str, host: &str) -> bool {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    list.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty()).any(|word| {
        if word == "*" {
            return true;
        }
        if let Some(address) = address {
            let word = word.trim_matches(['[', ']']);
            return match word.split_once('/') {
                Some((network, bits)) => in_network(address, network.trim_matches(['[', ']']), bits),
                None => word.parse::<IpAddr>() == Ok(address),
            };
        }
        let word = word.trim_end_matches('.').trim_start_matches('.').to_ascii_lowercase();
        host == word || host.strip_suffix(&word).is_some_and(|head| head.ends_with('.') && !word.is_empty())
    })
}

fn in_network(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) if bits <= 32 => bits == 0 || (a.to_bits() ^ b.to_bits()) >> (32 - bits) == 0,
        (IpAddr::V6(a), IpAddr::V6(b)) if bits <= 128 => bits == 0 || (a.to_bits() ^ b.to_bits()) >> (128 - bits) == 0,
        _ => false,
    }
}

/// What became of asking for a tunnel.
pub(crate) enum Tunnel {
    Open(Box<dyn Transport>),
    /// The proxy wants credentials and has closed the connection: once more, on a new one.
    Again,
}

impl Transfer<'_> {
    /// Asks an HTTP proxy for a tunnel, with credentials where it wants them.
    pub(crate) fn tunnel(
        &mut self,
        mut stream: Box<dyn Transport>,
        route: &Route,
        deadline: Option<Instant>,
    ) -> Result<Tunnel, Failure> {
        let host = if route.host.contains(':') { format!("[{}]", route.host) } else { route.host.clone() };
        let target = format!("{host}:{}", route.port);
        self.tracer.info("CONNECT tunnel: HTTP/1.1 negotiated");
        loop {
            self.tracer.info(&format!("Establish HTTP proxy tunnel to {target}"));
            self.ask(&mut *stream, route, &target, deadline)?;
            let (head, mut tail) = self.connect_reply(&mut *stream, deadline)?;
            let status = head.status;
            self.facts.connect_status = status;
            if (200..300).contains(&status) {
                self.tracer.info("CONNECT phase completed");
                self.tracer.info(&format!("CONNECT tunnel established, response {status}"));
                return Ok(Tunnel::Open(stream));
            }
            let has_login = route.proxy.as_ref().is_some_and(|proxy| proxy.login.is_some());
            if status == 407 && self.proxy_challenge(&head, has_login) {
                let stays = head.version >= 11
                    && !head.has_token("connection", "close")
                    && !head.has_token("proxy-connection", "close");
                if !(stays && tail.skip(&mut *stream, deadline)?) {
                    self.tracer.info("Connect me again please");
                    return Ok(Tunnel::Again);
                }
                continue;
            }
            self.tracer.info(&format!("CONNECT tunnel failed, response {status}"));
            if self.config.fail && status >= 400 {
                return Err(Failure::new(Code::HttpReturned, format!("The requested URL returned error: {status}")));
            }
            return Err(Failure::new(Code::Recv, format!("CONNECT tunnel failed, response {status}")));
        }
    }

    fn ask(
        &mut self,
        stream: &mut dyn Transport,
        route: &Route,
        target: &str,
        deadline: Option<Instant>,
    ) -> Result<(), Failure> {
        let (authorization, _) = self.proxy_authorization(route, "CONNECT", target);
        let headers = &self.config.proxy_headers;
        let version = if self.config.proxy_10 { "1.0" } else { "1.1" };
        let mut head = format!("CONNECT {target} HTTP/{version}\r\n");
        if custom(headers, "Host").is_none() {
            head.push_str(&format!("Host: {target}\r\n"));
        }
        if let Some(value) = authorization {
            head.push_str(&format!("Proxy-Authorization: {value}\r\n"));
        }
        let agent = self.agent();
        if !agent.is_empty() && custom(headers, "User-Agent").is_none() {
            head.push_str(&format!("User-Agent: {agent}\r\n"));
        }
        if custom(headers, "Proxy-Connection").is_none() {
            head.push_str("Proxy-Connection: Keep-Alive\r\n");
        }
        for line in custom_lines(headers, &|_| false) {
            head.push_str(&line);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        let sent = write_by(stream, head.as_bytes(), deadline);
        sent.map_err(|error| Failure::new(Code::Send, format!("Send failure: {}", net::strerror(&error))))?;
        self.tracer.bytes(Kind::HeaderOut, head.as_bytes());
        self.facts.request_bytes += u64::try_from(head.len()).unwrap_or(0);
        Ok(())
    }

    /// Reads the head of a reply to CONNECT, one byte at a time, so that nothing behind it is taken.
    fn connect_reply(
        &mut self,
        stream: &mut dyn Transport,
        deadline: Option<Instant>,
    ) -> Result<(Head, Tail), Failure> {
        let mut line = Vec::new();
        let mut head = Head::default();
        let mut total = 0usize;
        loop {
            line.push(one(stream, deadline)?);
            total += 1;
            if total > MAX_REPLY {
                return Err(Failure::new(Code::Recv, "Too large response headers: CONNECT"));
            }
            if !line.ends_with(b"\n") {
                continue;
            }
            self.tracer.bytes(Kind::HeaderIn, &line);
            if !self.config.suppress_connect {
                self.header_out(&line)?;
            }
            self.facts.header_bytes += u64::try_from(line.len()).unwrap_or(0);
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if head.version == 0 {
                let broken = || Failure::new(Code::Recv, "CONNECT tunnel failed, response 0");
                if !text.starts_with(b"HTTP/") {
                    return Err(broken());
                }
                (head.version, head.status) = netkit_http::head::status_line(text).map_err(|_| broken())?;
            } else if text.is_empty() {
                let tail = Tail::of(&head);
                return Ok((head, tail));
            } else if head.add(text).is_err() {
                return Err(Failure::new(Code::Recv, "Invalid response header from the proxy"));
            }
            line.clear();
        }
    }
}

fn one(stream: &mut dyn Transport, deadline: Option<Instant>) -> Result<u8, Failure> {
    let mut byte = [0u8; 1];
    // Where there is always more to read nothing waits, and the deadline would never be seen.
    match netkit_tls::left(deadline).and_then(|_| read_by(stream, &mut byte, deadline)) {
        Ok(0) => Err(Failure::new(Code::Recv, "Proxy CONNECT aborted")),
        Ok(_) => Ok(byte[0]),
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            Err(Failure::new(Code::TimedOut, "Proxy CONNECT aborted due to timeout"))
        }
        Err(error) => Err(Failure::new(Code::Recv, format!("Recv failure: {}", net::strerror(&error)))),
    }
}

/// The body of a reply that refuses.
enum Tail {
    Bytes(u64),
    Chunks,
    /// It ends with the connection.
    Rest,
}

impl Tail {
    fn of(head: &Head) -> Tail {
        if head.has_token("transfer-encoding", "chunked") {
            return Tail::Chunks;
        }
        match netkit_http::head::content_length(head) {
            Ok(netkit_http::head::Length::Bytes(length)) => Tail::Bytes(length),
            _ => Tail::Rest,
        }
    }

    /// Reads it away; `false` when the connection cannot be used afterwards.
    fn skip(&mut self, stream: &mut dyn Transport, deadline: Option<Instant>) -> Result<bool, Failure> {
        let most = u64::try_from(MAX_REPLY).unwrap_or(u64::MAX);
        match self {
            Tail::Rest => return Ok(false),
            Tail::Bytes(length) if *length > most => return Ok(false),
            Tail::Bytes(length) => {
                for _ in 0..*length {
                    one(stream, deadline)?;
                }
            }
            Tail::Chunks => {
                let mut chunked = Chunked::default();
                for _ in 0..most {
                    let byte = [one(stream, deadline)?];
                    let mut rest: &[u8] = &byte;
                    loop {
                        let (used, piece) = chunked.feed(rest)?;
                        rest = rest.get(used..).unwrap_or_default();
                        match piece {
                            Piece::Data(length) => rest = rest.get(length..).unwrap_or_default(),
                            Piece::Trailer(_) => {}
                            Piece::More => break,
                            Piece::Done => return Ok(true),
                        }
                    }
                }
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Asks a SOCKS proxy (RFC 1928, RFC 1929; SOCKS4 and 4a) for a connection.
pub(crate) fn socks(
    transfer: &mut Transfer<'_>,
    stream: &mut dyn Transport,
    proxy: &Proxy,
    route: &Route,
    deadline: Option<Instant>,
) -> Result<(), Failure> {
    let refuse = |text: String| Failure::new(Code::Proxy, text);
    let four = proxy.scheme.starts_with("socks4");
    let remote = matches!(proxy.scheme.as_str(), "socks4a" | "socks5h");
    let literal = net::literal(&route.host, route.zone.as_deref(), route.port);
    let address: Option<SocketAddr> = match literal {
        Some(address) => Some(address),
        None if remote => None,
        None => {
            let family = if four { netkit_dns::simulate::Family::Inet } else { transfer.config.family };
            let lookup = transfer.lookup();
            let found = net::resolve(&route.host, None, route.port, family, &lookup);
            // As curl, which gives a proxy IPv4 addresses before others.
            let v4 = found.addresses.iter().find(|address| address.is_ipv4());
            let first = v4.or(found.addresses.first()).copied();
            Some(first.ok_or_else(|| refuse(format!("Failed to resolve \"{}\" for SOCKS connect.", route.host)))?)
        }
    };
    let (user, password) = proxy.login.clone().unwrap_or_default();
    let mut exchange = |request: &[u8], reply: &mut [u8]| -> Result<(), Failure> {
        let io = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::TimedOut => Failure::new(Code::TimedOut, "SOCKS negotiation timed out"),
            _ => refuse(format!("connection to proxy closed ({})", net::strerror(&error))),
        };
        write_by(stream, request, deadline).map_err(io)?;
        let mut at = 0;
        while at < reply.len() {
            let rest = reply.get_mut(at..).unwrap_or_default();
            match read_by(stream, rest, deadline).map_err(io)? {
                0 => return Err(refuse("connection to proxy closed".to_owned())),
                count => at += count,
            }
        }
        Ok(())
    };
    if four {
        let ip = match address {
            Some(SocketAddr::V4(v4)) => v4.ip().octets(),
            Some(SocketAddr::V6(_)) => {
                return Err(refuse(format!("SOCKS4 connection to {} not supported", route.host)));
            }
            None => [0, 0, 0, 1],
        };
        let mut request = vec![4, 1];
        request.extend_from_slice(&route.port.to_be_bytes());
        request.extend_from_slice(&ip);
        if user.len() > 255 || route.host.len() > 255 {
            return Err(refuse("SOCKS4: too long username or hostname".to_owned()));
        }
        request.extend_from_slice(user.as_bytes());
        request.push(0);
        if address.is_none() {
            request.extend_from_slice(route.host.as_bytes());
            request.push(0);
        }
        let mut reply = [0u8; 8];
        exchange(&request, &mut reply)?;
        let [version, code, ..] = reply;
        if version != 0 {
            return Err(refuse("SOCKS4 reply has wrong version, version should be 0.".to_owned()));
        }
        if code != 90 {
            return Err(refuse(format!(
                "[SOCKS] cannot complete SOCKS4 connection to {}:{}. ({code}), request rejected or failed.",
                route.host, route.port
            )));
        }
        return Ok(());
    }
    let with_password = proxy.login.is_some();
    let greeting: &[u8] = if with_password { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    let mut chosen = [0u8; 2];
    exchange(greeting, &mut chosen)?;
    match chosen {
        [5, 0] => {}
        [5, 2] if with_password => {
            let mut request = vec![1];
            for text in [&user, &password] {
                let length = u8::try_from(text.len())
                    .map_err(|_| refuse("Excessive user name or password length for SOCKS5 auth".to_owned()))?;
                request.push(length);
                request.extend_from_slice(text.as_bytes());
            }
            let mut reply = [0u8; 2];
            exchange(&request, &mut reply)?;
            let [_, status] = reply;
            if status != 0 {
                return Err(refuse(format!("User was rejected by the SOCKS5 server ({} {status}).", reply[0])));
            }
        }
        [5, _] => return Err(refuse("No authentication method was acceptable.".to_owned())),
        _ => return Err(refuse("Received invalid version in initial SOCKS5 response.".to_owned())),
    }
    let mut request = vec![5, 1, 0];
    match address {
        Some(SocketAddr::V4(v4)) => {
            request.push(1);
            request.extend_from_slice(&v4.ip().octets());
        }
        Some(SocketAddr::V6(v6)) => {
            request.push(4);
            request.extend_from_slice(&v6.ip().octets());
        }
        None => {
            let length = u8::try_from(route.host.len()).map_err(|_| {
                refuse("SOCKS5: the destination hostname is too long to be resolved remotely by the proxy.".to_owned())
            })?;
            request.extend_from_slice(&[3, length]);
            request.extend_from_slice(route.host.as_bytes());
        }
    }
    request.extend_from_slice(&route.port.to_be_bytes());
    let mut head = [0u8; 4];
    exchange(&request, &mut head)?;
    let [version, code, _, kind] = head;
    if version != 5 {
        return Err(refuse("SOCKS5 reply has wrong version, version should be 5.".to_owned()));
    }
    if code != 0 {
        return Err(refuse(format!("cannot complete SOCKS5 connection to {}. ({code})", route.host)));
    }
    let length = match kind {
        1 => 4,
        4 => 16,
        3 => {
            let mut one = [0u8; 1];
            exchange(&[], &mut one)?;
            usize::from(one[0])
        }
        _ => return Err(refuse("SOCKS5 reply has wrong address type.".to_owned())),
    };
    let mut bound = vec![0u8; length + 2];
    exchange(&[], &mut bound)?;
    transfer.tracer.info("SOCKS request granted.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_without() {
        assert!(bypasses("a.b,.c.d", "x.c.d") && bypasses("b", "a.b") && bypasses("*", "x"));
        assert!(!bypasses("b", "ab") && !bypasses("", "a"));
        assert!(bypasses("10.0.0.0/8", "10.1.2.3") && !bypasses("10.0.0.0/8", "11.1.2.3"));
        assert!(bypasses("::1", "[::1]"));
    }
}
