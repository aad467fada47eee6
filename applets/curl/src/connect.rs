//! From a URL to a connection: overrides, proxies, names, TLS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::net::{self, Lookup, Outcome, Plain};
use netkit_http::url::percent_decode;
use netkit_http::{Code, Failure, Url};
use netkit_probe::{Event, Plan, Protocol, connect_observed};
use netkit_tls::{Session, Settings, Sources, Transport};

use crate::config::{Config, Version};
use crate::pool::Conn;
use crate::proxy::{self, Proxy, Tunnel};
use crate::transfer::Transfer;
use crate::world::World;

/// How long libcurl tries to connect when nothing else is said.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(300);

/// Where the connection for a URL goes.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) host: String,
    pub(crate) zone: Option<String>,
    pub(crate) port: u16,
    pub(crate) proxy: Option<Proxy>,
    /// The proxy is asked for a tunnel rather than for the page.
    pub(crate) tunnel: bool,
    pub(crate) tls: bool,
    pub(crate) unix: Option<(String, bool)>,
}

impl Route {
    pub(crate) fn new(transfer: &Transfer<'_>, url: &Url) -> Result<Route, Failure> {
        let config = transfer.config;
        let tls = url.scheme == "https";
        let (host, port) = connect_to(&config.connect_to, &url.host, url.port_or_default())?;
        let moved = host != url.host || port != url.port_or_default();
        let proxy = match &config.unix_socket {
            Some(_) => None,
            None => proxy::choose(transfer.world, config, url)?,
        };
        let tunnel = proxy.as_ref().is_some_and(|proxy| proxy.is_http() && (tls || config.proxy_tunnel || moved));
        Ok(Route { host, zone: url.zone.clone(), port, proxy, tunnel, tls, unix: config.unix_socket.clone() })
    }

    /// Requests go to the proxy itself.
    pub(crate) fn absolute(&self) -> bool {
        self.proxy.as_ref().is_some_and(Proxy::is_http) && !self.tunnel
    }

    /// What must be equal for a connection to serve again.
    pub(crate) fn key(&self, url: &Url, config: &Config) -> String {
        let proxy = self.proxy.as_ref().map(|proxy| format!("{proxy:?}")).unwrap_or_default();
        let target =
            if self.absolute() { String::new() } else { format!("{}:{} for {}", self.host, self.port, url.host) };
        format!(
            "{target}|{}|{proxy}|{:?}|{}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}",
            self.tls,
            self.unix,
            config.insecure,
            config.cert,
            config.cacert,
            config.version,
            config.interface,
            config.resolve,
            config.haproxy,
            config.family
        )
    }
}

/// `--connect-to HOST1:PORT1:HOST2:PORT2`.
fn connect_to(rules: &[String], host: &str, port: u16) -> Result<(String, u16), Failure> {
    for rule in rules {
        let Some((from_host, rest)) = split_host(rule) else { continue };
        let Some((from_port, to)) = rest.split_once(':') else { continue };
        let host_fits = from_host.is_empty() || from_host.eq_ignore_ascii_case(host);
        let port_fits = from_port.is_empty() || from_port.parse() == Ok(port);
        if host_fits && port_fits {
            let (to_host, to_port) = match split_host(to) {
                Some((to_host, to_port)) => (to_host, to_port),
                None => (to, ""),
            };
            let new_port = if to_port.is_empty() {
                port
            } else {
                to_port.parse().map_err(|_| {
                    Failure::new(
                        Code::OptionSyntax,
                        format!("No valid port number in connect to host string ({to_port})"),
                    )
                })?
            };
            let bare = to_host.trim_matches(['[', ']']);
            return Ok((if bare.is_empty() { host.to_owned() } else { bare.to_owned() }, new_port));
        }
    }
    Ok((host.to_owned(), port))
}

/// A host, perhaps in brackets, and what follows its colon.
fn split_host(text: &str) -> Option<(&str, &str)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']')?;
        return Some((host, rest.strip_prefix(':').unwrap_or(rest)));
    }
    text.split_once(':')
}

/// What `--resolve` says about a host and port.
enum Override {
    None,
    Addresses(Vec<SocketAddr>),
}

/// The last entry that fits wins; `-HOST:PORT` takes entries away.
fn resolve_override(rules: &[String], host: &str, port: u16) -> Result<Override, Failure> {
    let mut found = Override::None;
    for rule in rules {
        let bad = || Failure::new(Code::OptionSyntax, format!("Could not parse CURLOPT_RESOLVE entry '{rule}'"));
        let (remove, text) = match rule.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rule.strip_prefix('+').unwrap_or(rule)),
        };
        let (name, rest) = split_host(text).ok_or_else(bad)?;
        let (rule_port, addresses) = rest.split_once(':').unwrap_or((rest, ""));
        let rule_port: u16 = rule_port.parse().map_err(|_| bad())?;
        let exact = name.eq_ignore_ascii_case(host);
        if rule_port != port || !(exact || name == "*") {
            continue;
        }
        if remove {
            found = Override::None;
            continue;
        }
        let parsed: Option<Vec<SocketAddr>> =
            addresses.split(',').map(|one| net::literal(one.trim().trim_matches(['[', ']']), None, port)).collect();
        let addresses = parsed
            .filter(|list| !list.is_empty())
            .ok_or_else(|| Failure::new(Code::OptionSyntax, format!("Resolve address '{addresses}' found illegal")))?;
        found = Override::Addresses(addresses);
    }
    Ok(found)
}

impl Transfer<'_> {
    /// The deadline of the connecting phase.
    fn connect_deadline(&self) -> Option<Instant> {
        let own = Instant::now().checked_add(self.config.connect_timeout.unwrap_or(CONNECT_TIMEOUT));
        match (own, self.deadline) {
            (Some(own), Some(total)) => Some(own.min(total)),
            (own, total) => own.or(total),
        }
    }

    /// How names are looked up here.
    pub(crate) fn lookup(&self) -> Lookup {
        lookup(self.world, self.config)
    }

    /// The addresses of a host.
    fn addresses(
        &mut self,
        host: &str,
        zone: Option<&str>,
        port: u16,
        for_proxy: bool,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let config = self.config;
        if let Some(only) = self.only_address {
            return Ok(vec![SocketAddr::new(only, port)]);
        }
        if let Override::Addresses(addresses) = resolve_override(&config.resolve, host, port)? {
            self.tracer.info(&format!("Hostname {host} was found in DNS cache"));
            return Ok(addresses);
        }
        let literal = net::literal(host, zone, port).is_some();
        let lookup = self.lookup();
        let found = match &config.doh_url {
            Some(doh) if !literal => crate::doh::resolve(self, doh, host, port)?,
            _ => net::resolve(host, zone, port, config.family, &lookup),
        };
        if found.addresses.is_empty() {
            self.why_unresolved = found.why;
            let (code, what) = if for_proxy { (Code::ResolveProxy, "proxy") } else { (Code::ResolveHost, "host") };
            return Err(Failure::new(code, format!("Could not resolve {what}: {host}")));
        }
        self.hop.how.clone_from(&found.why);
        if !literal {
            self.tracer.info(&format!("Host {host}:{port} was resolved."));
            let list = |v6: bool| {
                let texts: Vec<String> = found
                    .addresses
                    .iter()
                    .filter(|address| address.is_ipv6() == v6)
                    .map(|address| address.ip().to_string())
                    .collect();
                if texts.is_empty() { "(none)".to_owned() } else { texts.join(", ") }
            };
            self.tracer.info(&format!("IPv6: {}", list(true)));
            self.tracer.info(&format!("IPv4: {}", list(false)));
        }
        Ok(found.addresses)
    }

    /// A connection that can carry requests for `url`, an idle one or a new one.
    pub(crate) fn connection(&mut self, url: &Url, route: &Route, fresh: bool) -> Result<Conn, Failure> {
        // With `--all-ips` every address is to be asked itself.
        let key = format!("{}|{:?}", route.key(url, self.config), self.only_address);
        if !fresh && let Some(conn) = self.shared.pool.take(&key) {
            let whom = if route.absolute() { "proxy" } else { "host" };
            self.tracer.ids.1 = Some(conn.id);
            self.tracer.info(&format!("Re-using existing {}: connection with {whom} {}", url.scheme, conn.host));
            self.hop.reused = true;
            let now = self.times.now();
            self.times.namelookup = now;
            self.times.connect = now;
            self.times.appconnect = if conn.tls.is_some() { now } else { Duration::ZERO };
            return Ok(conn);
        }
        let deadline = self.connect_deadline();
        // A proxy that asks for credentials and closes is tried again; it settles or refuses after a few rounds.
        for _ in 0..10 {
            if let Some(conn) = self.establish(url, route, &key, deadline)? {
                return Ok(conn);
            }
        }
        Err(Failure::new(Code::Recv, "the proxy does not stop asking for credentials"))
    }

    /// One new connection; `None` when the proxy wants to be asked again on another.
    fn establish(
        &mut self,
        url: &Url,
        route: &Route,
        key: &str,
        deadline: Option<Instant>,
    ) -> Result<Option<Conn>, Failure> {
        let opened = self.open(url, route, deadline, Instant::now());
        let (mut stream, peer, local) = opened?;
        self.facts.connects += 1;
        if self.config.haproxy {
            let line = self.proxy_line(peer, local);
            netkit_tls::write_by(&mut *stream, line.as_bytes(), deadline)
                .map_err(|error| Failure::new(Code::Send, format!("Send failure: {}", net::strerror(&error))))?;
        }
        let mut tls = None;
        if let Some(proxy) = route.proxy.clone() {
            if let Some(first) = &proxy.before {
                let behind = Route { host: proxy.host.clone(), zone: None, port: proxy.port, ..route.clone() };
                proxy::socks(self, &mut *stream, first, &behind, deadline)?;
            }
            if proxy.scheme == "https" {
                let settings = self.proxy_settings();
                let (wrapped, session) = self.shake(stream, &proxy.host, &settings, deadline, true)?;
                self.facts.proxy_verify_result = session.verify_code;
                stream = wrapped;
            }
            if proxy.is_http() {
                if route.tunnel {
                    stream = match self.tunnel(stream, route, deadline)? {
                        Tunnel::Open(stream) => stream,
                        Tunnel::Again => return Ok(None),
                    };
                }
            } else {
                proxy::socks(self, &mut *stream, &proxy, route, deadline)?;
            }
        }
        if route.tls {
            let settings = self.settings();
            if !settings.alpn.is_empty() {
                self.tracer.info(&format!("ALPN: curl offers {}", settings.alpn.join(",")));
            }
            let (wrapped, session) = self.shake(stream, &url.host, &settings, deadline, false)?;
            stream = wrapped;
            self.times.appconnect = self.times.now();
            tls = Some(session);
        }
        let version = self.config.version;
        let agreed = tls.as_ref().and_then(|session| session.alpn.as_deref()) == Some("h2");
        let h2 = agreed || (version == Version::V2Prior && !route.tls);
        let id = self.shared.pool.id();
        self.tracer.ids.1 = Some(id);
        self.tracer.info(if h2 { "using HTTP/2" } else { "using HTTP/1.x" });
        let host = match &route.proxy {
            Some(proxy) if route.absolute() => proxy.host.clone(),
            _ => url.host.clone(),
        };
        Ok(Some(Conn {
            id,
            key: key.to_owned(),
            stream,
            input: Vec::new(),
            at: 0,
            peer,
            local,
            tls,
            h2: h2.then(Box::default),
            via_proxy: route.absolute(),
            host,
            uses: 0,
            version: 0,
            idle_since: Instant::now(),
        }))
    }

    /// The bare connection: a unix socket, the proxy or the origin.
    #[allow(clippy::type_complexity)] // a stream and its two ends
    fn open(
        &mut self,
        url: &Url,
        route: &Route,
        deadline: Option<Instant>,
        began: Instant,
    ) -> Result<(Box<dyn Transport>, Option<SocketAddr>, Option<SocketAddr>), Failure> {
        let refused = |error: &std::io::Error| net::strerror(error);
        if let Some((path, abstract_name)) = &route.unix {
            self.tracer.info(&format!("  Trying {path}:0..."));
            let socket = net::connect_unix(path, *abstract_name).map_err(|error| {
                self.tracer.info(&format!("connect to {path} port 0 failed: {}", refused(&error)));
                self.cannot_connect(&url.host, url.port_or_default(), began, "Could not connect to server")
            })?;
            self.tracer.info(&format!("Connected to {} ({path}) port 0", url.host));
            self.times.namelookup = self.times.now();
            self.times.connect = self.times.now();
            let plain = Plain::new(socket).map_err(|error| Failure::new(Code::Connect, error.to_string()))?;
            return Ok((Box::new(plain), None, None));
        }
        let first = route.proxy.as_ref().map(|proxy| proxy.before.as_deref().unwrap_or(proxy));
        let (host, zone, port) = match first {
            Some(proxy) => (proxy.host.clone(), None, proxy.port),
            None => (route.host.clone(), route.zone.clone(), route.port),
        };
        let addresses = self.addresses(&host, zone.as_deref(), port, route.proxy.is_some())?;
        self.times.namelookup = self.times.now();
        self.hop.namelookup = self.times.namelookup;
        let config = self.config;
        let origin = match &config.interface {
            Some(text) => net::origin(text).map_err(|text| Failure::new(Code::Interface, text))?,
            None => net::Origin::default(),
        };
        let plan = Plan {
            deadline,
            stagger: Some(config.happy_eyeballs),
            sources: origin.sources,
            local_ports: config.local_port,
            options: netkit_probe::Options {
                tos: config.tos,
                interface: origin.device,
                nodelay: config.nodelay,
                keepalive: config.keepalive.map(|seconds| Duration::from_secs(seconds.max(1))),
                ..netkit_probe::Options::default()
            },
            ..Plan::new(addresses, Protocol::Tcp, None).happy_eyeballs()
        };
        let tracer = &mut self.tracer;
        let report = connect_observed(&plan, &mut |event| match event {
            Event::Begins(address) => tracer.info(&format!("  Trying {address}...")),
            Event::Ended(attempt) => {
                let silent = [Outcome::Connected, Outcome::Abandoned, Outcome::TimedOut];
                if !silent.contains(&attempt.outcome) {
                    let (ip, port) = (attempt.address.ip(), attempt.address.port());
                    let from = attempt.source.map(|local| format!(" from {} port {}", local.ip(), local.port()));
                    let why = net::outcome_text(&attempt.outcome);
                    tracer.info(&format!("connect to {ip} port {port}{} failed: {why}", from.unwrap_or_default()));
                }
            }
        });
        let address = report.winning().map(|attempt| attempt.address);
        let bind = report.attempts.iter().rev().find_map(|attempt| match &attempt.outcome {
            Outcome::Bind { errno } => {
                Some(format!("bind failed with errno {errno}: {}", net::outcome_text(&attempt.outcome)))
            }
            Outcome::Local { .. } => {
                plan.options.interface.as_ref().map(|name| format!("Could not bind to interface '{name}'"))
            }
            _ => None,
        });
        let late = report.attempts.iter().any(|attempt| attempt.outcome == Outcome::TimedOut);
        self.hop.attempts.extend(report.attempts);
        let (Some(socket), Some(address)) = (report.socket, address) else {
            if let Some(text) = bind {
                return Err(Failure::new(Code::Interface, text));
            }
            if late {
                let millis = self.times.now().as_millis();
                self.tracer.info(&format!("Connection timed out after {millis} milliseconds"));
                return Err(Failure::new(Code::TimedOut, format!("Connection timed out after {millis} milliseconds")));
            }
            return Err(self.cannot_connect(&host, port, began, "Could not connect to server"));
        };
        if let Some(device) = &plan.options.interface {
            self.tracer.info(&format!("socket successfully bound to interface '{device}'"));
        }
        self.times.connect = self.times.now();
        self.hop.connect = self.times.connect;
        let local = socket.local_addr().ok().and_then(|local| local.as_socket());
        self.tracer.info(&format!("Connected to {host} ({}) port {port}", address.ip()));
        let plain = Plain::new(socket).map_err(|error| Failure::new(Code::Connect, error.to_string()))?;
        Ok((Box::new(plain), Some(address), local))
    }

    fn cannot_connect(&mut self, host: &str, port: u16, began: Instant, why: &str) -> Failure {
        let text = format!("Failed to connect to {host} port {port} after {} ms: {why}", began.elapsed().as_millis());
        self.tracer.info(&text);
        Failure::new(Code::Connect, text)
    }

    /// The line of the PROXY protocol, version 1.
    fn proxy_line(&self, peer: Option<SocketAddr>, local: Option<SocketAddr>) -> String {
        let (Some(peer), Some(local)) = (peer, local) else { return "PROXY UNKNOWN\r\n".to_owned() };
        let family = if peer.is_ipv6() { "TCP6" } else { "TCP4" };
        let client = self.config.haproxy_clientip.clone().unwrap_or_else(|| local.ip().to_string());
        format!("PROXY {family} {client} {} {} {}\r\n", peer.ip(), local.port(), peer.port())
    }

    /// TLS as the configuration wants it.
    pub(crate) fn settings(&self) -> Settings {
        let config = self.config;
        let path = |text: &Option<String>| text.as_ref().map(PathBuf::from);
        let env = |name: &str| self.world.var(name).map(PathBuf::from);
        let alpn = match config.version {
            _ if !config.alpn => vec![],
            Version::V10 => vec!["http/1.0"],
            Version::V11 => vec!["http/1.1"],
            Version::Default | Version::V2 => vec!["h2", "http/1.1"],
            Version::V2Prior => vec!["h2"],
        };
        Settings {
            insecure: config.insecure,
            sources: Sources {
                file: path(&config.cacert),
                directory: path(&config.capath),
                env_file: env("CURL_CA_BUNDLE").or_else(|| env("SSL_CERT_FILE")),
                env_directory: env("SSL_CERT_DIR"),
            },
            certificate: config.cert.as_ref().map(|cert| PathBuf::from(cert_path(cert))),
            key: path(&config.key),
            alpn,
            min: config.tls_min,
            max: config.tls_max,
            key_log: self.world.var("SSLKEYLOGFILE").is_some(),
            pinned: config.pinned.clone(),
            ciphers: config.ciphers.clone(),
        }
    }

    fn proxy_settings(&self) -> Settings {
        let config = self.config;
        Settings {
            insecure: config.proxy_insecure,
            sources: Sources { file: config.proxy_cacert.as_ref().map(PathBuf::from), ..self.settings().sources },
            certificate: config.proxy_cert.as_ref().map(PathBuf::from),
            key: config.proxy_key.as_ref().map(PathBuf::from),
            alpn: vec!["http/1.1"],
            pinned: None,
            ciphers: config.proxy_ciphers.clone(),
            ..self.settings()
        }
    }

    fn shake(
        &mut self,
        stream: Box<dyn Transport>,
        host: &str,
        settings: &Settings,
        deadline: Option<Instant>,
        proxy: bool,
    ) -> Result<(Box<dyn Transport>, Session), Failure> {
        match netkit_tls::connect(stream, host, settings, deadline) {
            Ok((stream, session)) => {
                self.show_session(&session, host, settings, proxy);
                Ok((stream, session))
            }
            Err(error) => {
                use netkit_tls::Kind;
                let code = match error.kind {
                    Kind::Handshake | Kind::Broken => Code::SslConnect,
                    Kind::Verification => Code::PeerVerification,
                    Kind::OwnCertificate => Code::CertProblem,
                    Kind::Anchors => Code::CaFile,
                    Kind::TimedOut => Code::TimedOut,
                    Kind::Pin => Code::Pin,
                    Kind::Cipher => Code::Cipher,
                };
                self.facts.verify_result = error.seen.code;
                self.facts.certificates.clone_from(&error.seen.chain);
                self.tracer.info(&error.text);
                if error.kind == Kind::Verification {
                    self.chain_report = netkit_tls::chain_report(&error.seen, host, self.world.clock.unix_seconds());
                }
                self.hint = error.hint.clone().or(self.hint.take());
                Err(Failure::new(code, error.text.clone()))
            }
        }
    }

    fn show_session(&mut self, session: &Session, host: &str, settings: &Settings, proxy: bool) {
        if !proxy {
            self.facts.verify_result = session.verify_code;
            self.facts.certificates.clone_from(&session.chain);
            self.facts.tls = Some(session.clone());
        }
        if !self.tracer.on() {
            return;
        }
        for source in &session.sources {
            self.tracer.info(&format!(" trust: {source}"));
        }
        self.tracer.info(&format!(
            "SSL connection using {} / {} / {} / {}",
            session.protocol, session.cipher, session.group, session.signature
        ));
        if !settings.alpn.is_empty() {
            match &session.alpn {
                Some(alpn) => self.tracer.info(&format!("ALPN: server accepted {alpn}")),
                None => self.tracer.info("ALPN: server did not agree on a protocol. Uses default."),
            }
        }
        if let Some(leaf) = session.chain.first().and_then(|der| netkit_tls::x509::Certificate::parse(der)) {
            self.tracer.info(if proxy { "Proxy certificate:" } else { "Server certificate:" });
            self.tracer.info(&format!(" subject: {}", leaf.subject));
            self.tracer.info(&format!(" start date: {}", netkit_tls::x509::date_text(leaf.not_before)));
            self.tracer.info(&format!(" expire date: {}", netkit_tls::x509::date_text(leaf.not_after)));
            if session.verify_code == 0 && leaf.is_for(host) && leaf.has_alt_names {
                self.tracer.info(&format!(" subjectAltName: host \"{host}\" matched cert's names"));
            }
            self.tracer.info(&format!(" issuer: {}", leaf.issuer));
        }
        if session.verify_code == 0 {
            self.tracer.info(" SSL certificate verify ok.");
            if let Some((subject, source)) = &session.anchor {
                self.tracer.info(&format!(" anchor: {subject} from {source}"));
            }
        } else {
            let reason = session.verify_reason.trim_start_matches("SSL certificate problem: ");
            self.tracer.info(&format!(
                " SSL certificate verify result: {reason} ({}), continuing anyway.",
                session.verify_code
            ));
        }
        if let Some(leniency) = session.leniency {
            self.tracer.info(&format!(" accepted as OpenSSL would: {leniency}"));
        }
    }
}

/// The file of `--cert FILE[:PASSWORD]`.
fn cert_path(cert: &str) -> String {
    let mut out = String::new();
    let mut chars = cert.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            ':' => break,
            c => out.push(c),
        }
    }
    out
}

/// How an operation looks names up.
pub(crate) fn lookup(world: &World, config: &Config) -> Lookup {
    Lookup { from_pid: world.global.from_pid, servers: config.dns_servers.clone(), ..Lookup::default() }
}

/// User and password of `-u` or a URL, decoded.
pub(crate) fn split_login(text: &str) -> (String, Option<String>) {
    match text.split_once(':') {
        Some((user, password)) => (user.to_owned(), Some(password.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// Percent-decoded text.
pub(crate) fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&percent_decode(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides() {
        let rules: Vec<String> = ["a:80:127.0.0.1", "*:81:[::1],10.0.0.1", "-a:80"].map(str::to_owned).to_vec();
        assert!(matches!(resolve_override(&rules, "a", 80), Ok(Override::None)));
        let Ok(Override::Addresses(list)) = resolve_override(&rules, "b", 81) else { panic!("no address") };
        assert_eq!(list.len(), 2);
        assert!(resolve_override(&["a:80:x".to_owned()], "a", 80).is_err());
        let rules = ["h:80:[::1]:81".to_owned(), ":82:other:".to_owned()];
        assert_eq!(connect_to(&rules, "h", 80).unwrap(), ("::1".to_owned(), 81));
        assert_eq!(connect_to(&rules, "x", 82).unwrap(), ("other".to_owned(), 82));
        assert_eq!(connect_to(&rules, "x", 83).unwrap(), ("x".to_owned(), 83));
    }
}
