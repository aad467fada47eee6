//! TLS on a connection (`--tls`, ncat's `--ssl` and its kin): the handshakes of both sides, and what is said of them.
//!
//! As with ncat a certificate is not verified unless `--ssl-verify` is given; what a verifier would say is told with `-v`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use netkit_core::Error;
use netkit_core::text::{hex, printable};
use netkit_tls::x509::Certificate;
use netkit_tls::{Acceptor, Kind, ServerSettings, Settings, Sources, TlsError};
use socket2::Socket;

use crate::args::{FAILURE, Opts, Style};
use crate::ends::{SocketEnd, TlsEnd};
use crate::pump::End;
use crate::session::Session;

/// How long a handshake may take when `-w` says nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// OpenSSL's number for a certificate that is for other names.
const HOST_MISMATCH: u32 = 62;

/// What the command line, or one end of a relay, says about TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) on: bool,
    pub(crate) verify: bool,
    pub(crate) trust: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) name: Option<String>,
    pub(crate) alpn: Vec<String>,
}

impl Tls {
    /// Takes one setting by the name it has after `ssl-` or `tls-`; false when there is none of this name.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> bool {
        match name {
            "verify" => self.verify = true,
            "trustfile" => self.trust = Some(value.into()),
            "cert" => self.certificate = Some(value.into()),
            "key" => self.key = Some(value.into()),
            "servername" => self.name = Some(value.to_owned()),
            "alpn" => self.alpn = value.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect(),
            _ => return false,
        }
        self.on = true;
        true
    }

    fn deadline(timeout: Option<Duration>) -> Option<Instant> {
        Instant::now().checked_add(timeout.filter(|limit| !limit.is_zero()).unwrap_or(PATIENCE))
    }

    /// Shakes hands as a client of `host`.
    pub(crate) fn connect(
        &self,
        socket: Socket,
        host: &str,
        timeout: Option<Duration>,
    ) -> Result<(TlsEnd, netkit_tls::Session), Box<TlsError>> {
        let settings = Settings {
            insecure: !self.verify,
            sources: Sources { file: self.trust.clone(), ..Sources::default() },
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            // The few words of one command line live as long as the process.
            alpn: self.alpn.iter().map(|word| &*String::leak(word.clone())).collect(),
            max: 3,
            key_log: true,
            ..Settings::default()
        };
        let name = self.name.as_deref().unwrap_or(host);
        let bare = name.split('%').next().unwrap_or(name);
        let copy = socket.try_clone().and_then(netkit_tls::Socket::new).map_err(|error| {
            Box::new(TlsError { kind: Kind::Broken, text: error.to_string(), seen: Default::default(), hint: None })
        })?;
        let (stream, session) = netkit_tls::connect(Box::new(copy), bare, &settings, Self::deadline(timeout))?;
        Ok((TlsEnd::new(socket, stream), session))
    }

    /// What accepts on a listener called `host`.
    pub(crate) fn acceptor(&self, host: Option<&str>, now: i64) -> Result<Acceptor, Error> {
        let settings = ServerSettings {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            alpn: self.alpn.clone(),
            name: host.unwrap_or("localhost").to_owned(),
            now,
        };
        Acceptor::new(&settings).map_err(|why| Error::usage(printable(&why)))
    }
}

/// Shakes hands with a client.
pub(crate) fn accept(acceptor: &Acceptor, socket: Socket, timeout: Option<Duration>) -> Result<TlsEnd, String> {
    let copy = socket.try_clone().and_then(netkit_tls::Socket::new).map_err(|error| error.to_string())?;
    let stream = acceptor.accept(Box::new(copy), Tls::deadline(timeout))?;
    Ok(TlsEnd::new(socket, stream))
}

/// What does not go together.
pub(crate) fn check(opts: &Opts) -> Result<(), Error> {
    let tls = &opts.tls;
    let ncat = opts.style == Style::Ncat;
    let udp = opts.protocol == netkit_probe::Protocol::Udp;
    let refusal = [
        (opts.unix, "SSL option not supported when using Unix domain sockets. QUITTING."),
        (udp && opts.listen, "DTLS is not supported in listen mode\n QUITTING."),
        (udp, "DTLS is not offered: TLS goes over TCP"),
        (
            tls.certificate.is_some() != tls.key.is_some() && (ncat || tls.certificate.is_none()),
            "The --ssl-key and --ssl-cert options must be used together. QUITTING.",
        ),
        (opts.listen && tls.verify, "--ssl-verify is for clients: clients' certificates are not asked for"),
        (opts.listen && tls.name.is_some(), "--ssl-servername is for clients"),
        (opts.pass_fd, "-F hands on a plain socket, so not with --tls"),
    ];
    if let Some((_, text)) = refusal.into_iter().find(|(wrong, _)| tls.on && *wrong) {
        return Err(Error::usage(text));
    }
    let Some(file) = &tls.trust else { return Ok(()) };
    match std::fs::File::open(file) {
        Ok(_) => Ok(()),
        Err(error) => {
            let (file, why) = (printable(&file.to_string_lossy()), netkit_probe::errno::reason(&error));
            Err(Error::usage(match opts.style {
                Style::Nc => format!("cannot open {file}: {why}"),
                Style::Ncat => {
                    let number = error.raw_os_error().unwrap_or(0);
                    format!(
                        "Could not load trusted certificates from {file}.\nerror:{:08X}:system library::{why} QUITTING.",
                        0x8000_0000u32 | number.unsigned_abs()
                    )
                }
            }))
        }
    }
}

/// Makes the acceptor of a listener, and says what it shows.
pub(crate) fn prepare(session: &mut Session<'_>, host: Option<&str>) -> Result<(), Error> {
    if !session.opts.tls.on {
        return Ok(());
    }
    let acceptor = session.opts.tls.acceptor(host, session.ctx.clock.unix_seconds())?;
    if session.opts.tls.certificate.is_none() {
        let prefix = prefix(session);
        session.talk(&format!(
            "{prefix}Generating a temporary P-256 key. Use --ssl-key and --ssl-cert to use a permanent one."
        ));
        session.talk(&format!("{prefix}SHA-1 fingerprint: {}", fingerprint(&acceptor.certificate)));
    }
    session.acceptor = Some(acceptor);
    Ok(())
}

/// An accepted connection as the far end of a transfer.
pub(crate) fn far_of_accepted(session: &mut Session<'_>, socket: Socket, peer: &str) -> Result<Box<dyn End>, Error> {
    let Some(acceptor) = &session.acceptor else { return plain(socket) };
    let ncat = session.opts.style == Style::Ncat;
    match accept(acceptor, socket, session.opts.timeout) {
        Ok(end) => Ok(Box::new(if ncat { end.ending_bare() } else { end })),
        Err(why) if ncat => Err(Error::new(FAILURE, format!("Failed SSL connection from {peer}: {why}"))),
        Err(why) => Err(Error::new(FAILURE, format!("TLS with {peer}: {why}"))),
    }
}

/// A connection to `host` as the far end of a transfer.
pub(crate) fn far_of_connected(
    session: &mut Session<'_>,
    socket: Socket,
    host: &str,
    port: u16,
) -> Result<Box<dyn End>, Error> {
    if !session.opts.tls.on {
        return plain(socket);
    }
    let address = socket.peer_addr().ok().and_then(|to| to.as_socket());
    match session.opts.tls.connect(socket, host, session.opts.timeout) {
        Ok((end, agreed)) => {
            tell(session, &agreed, host, port, address);
            Ok(Box::new(end))
        }
        Err(error) => Err(failed(session, &error, host, port)),
    }
}

fn plain(socket: Socket) -> Result<Box<dyn End>, Error> {
    let end = SocketEnd::new(socket).map_err(|error| Error::new(FAILURE, netkit_probe::errno::reason(&error)))?;
    Ok(Box::new(end))
}

fn prefix(session: &Session<'_>) -> &'static str {
    if session.opts.style == Style::Ncat { "Ncat: " } else { "" }
}

/// What was agreed, with -v.
fn tell(
    session: &mut Session<'_>,
    agreed: &netkit_tls::Session,
    host: &str,
    port: u16,
    address: Option<std::net::SocketAddr>,
) {
    if session.opts.verbose == 0 {
        return;
    }
    let leaf = agreed.chain.first();
    let read = leaf.and_then(|der| Certificate::parse(der));
    if session.opts.style == Style::Nc {
        let alpn = agreed.alpn.as_ref().map_or_else(String::new, |alpn| format!(", ALPN {}", printable(alpn)));
        let verdict = match (agreed.verify_code, &agreed.anchor) {
            (0, Some((anchor, source))) => format!("verified by {anchor} of {source}"),
            (0, None) => "verified".to_owned(),
            _ => format!("not verified ({})", bare(&agreed.verify_reason)),
        };
        session.talk(&format!("TLS with {host} port {port}: {}, {}{alpn}; {verdict}", agreed.protocol, agreed.cipher));
        return;
    }
    if !matches!(agreed.verify_code, 0 | HOST_MISMATCH) {
        distrust(session, leaf, &agreed.verify_reason);
    }
    let organization = read
        .as_ref()
        .and_then(|leaf| leaf.subject.split("; ").find_map(|part| part.strip_prefix("O=")).map(str::to_owned))
        .map_or_else(String::new, |name| format!(" {name}"));
    let ip = address.map_or_else(|| host.to_owned(), |address| address.ip().to_string());
    session.talk(&format!("Ncat: SSL connection to {ip}:{port}.{organization}"));
    if let Some(der) = leaf {
        session.talk(&format!("Ncat: SHA-1 fingerprint: {}", fingerprint(der)));
    }
}

/// ncat's words about a certificate that does not verify.
fn distrust(session: &mut Session<'_>, leaf: Option<&Vec<u8>>, reason: &str) {
    if let Some(der) = leaf
        && let Some(read) = Certificate::parse(der)
    {
        session.talk(&format!("Ncat: Subject: {}", read.subject.replace("; ", ", ")));
        session.talk(&format!("Ncat: Issuer: {}", read.issuer.replace("; ", ", ")));
        session.talk(&format!("Ncat: SHA-1 fingerprint: {}", fingerprint(der)));
    }
    session.talk(&format!("Ncat: Certificate verification failed ({}).", bare(reason)));
}

fn failed(session: &mut Session<'_>, error: &TlsError, host: &str, port: u16) -> Error {
    let text = printable(&error.text);
    let made = if session.opts.style == Style::Nc {
        Error::new(FAILURE, format!("TLS with {host} port {port}: {text}"))
    } else if let Kind::Anchors | Kind::OwnCertificate = error.kind {
        Error::usage(format!("{text} QUITTING."))
    } else if error.kind == Kind::Verification && error.seen.code == HOST_MISMATCH {
        Error::usage("Certificate verification error. QUITTING.")
    } else {
        if error.kind == Kind::Verification {
            distrust(session, error.seen.chain.first(), &error.seen.reason);
        }
        let word = if error.kind == Kind::TimedOut { "TIMEOUT" } else { "Input/output error" };
        Error::new(FAILURE, format!("{word}."))
    };
    let hint = match &error.hint {
        Some(hint) => Some(hint.clone()),
        None if session.opts.style == Style::Ncat => Some(format!("TLS with {host} port {port}: {text}")),
        None => None,
    };
    Error { hint, ..made }
}

/// The reason without curl's words before it.
fn bare(reason: &str) -> &str {
    reason.strip_prefix("SSL certificate problem: ").or_else(|| reason.strip_prefix("SSL: ")).unwrap_or(reason)
}

/// SHA-1 in groups of four digits, as ncat shows it.
fn fingerprint(der: &[u8]) -> String {
    let digits = hex(&netkit_tls::sha1(der)).to_ascii_uppercase();
    let groups: Vec<&str> = (0..digits.len()).step_by(4).filter_map(|at| digits.get(at..at + 4)).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_by_name() {
        let mut tls = Tls::default();
        assert!(!tls.set("ciphers", "HIGH") && !tls.on);
        assert!(tls.set("alpn", "h2,,http/1.1") && tls.set("cert", "a") && tls.on);
        assert_eq!(tls.alpn, ["h2", "http/1.1"]);
    }

    #[test]
    fn fingerprints_are_grouped() {
        // printf abc | sha1sum
        assert_eq!(fingerprint(b"abc"), "A999 3E36 4706 816A BA3E 2571 7850 C26C 9CD0 D89D");
    }
}
