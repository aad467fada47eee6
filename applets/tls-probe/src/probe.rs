//! The probing itself: name, connection, perhaps plain text, handshake, and what the server does right after it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use netkit_core::text::printable;
use netkit_core::{Ctx, Exit};
use netkit_probe::{Lookup, Outcome, Plan, Protocol, connect, resolve};
use netkit_tls::{Kind, Ready, Session, Settings, Sources, TlsError, Transport, read_by};

use crate::args::Options;
use crate::starttls::{named, plain};
use crate::status;

/// First bytes of the server that are kept.
const KEPT: usize = 64;
/// How long the server is listened to after the handshake: in TLS 1.3 a missing certificate is told only then.
const AFTER: Duration = Duration::from_millis(200);

/// Everything that was found.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) reached: Option<SocketAddr>,
    /// Name, connection, plain text and handshake; what was not reached is absent.
    pub(crate) dns: Option<Duration>,
    pub(crate) tcp: Option<Duration>,
    pub(crate) plain: Option<Duration>,
    pub(crate) tls: Option<Duration>,
    pub(crate) session: Option<Session>,
    /// The layer that is broken, in one sentence.
    pub(crate) failure: Option<String>,
    pub(crate) hint: Option<String>,
    /// The server asks for a certificate of ours.
    pub(crate) wants_certificate: bool,
    pub(crate) status: Status,
}

/// The status to leave with; all is well unless it is said otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Status(pub(crate) Exit);

impl Default for Status {
    fn default() -> Status {
        Status(Exit::OK)
    }
}

/// Keeps the first bytes that are read.
struct Recorder<T> {
    inner: T,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl<T: Transport> Read for Recorder<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(seen.len()).min(length);
        seen.extend_from_slice(buffer.get(..room).unwrap_or_default());
        Ok(length)
    }
}

impl<T: Transport> Write for Recorder<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Transport> Transport for Recorder<T> {
    fn wait(&mut self, wanted: Ready, limit: Option<Duration>) -> io::Result<Ready> {
        self.inner.wait(wanted, limit)
    }

    fn finish(&mut self) {
        self.inner.finish();
    }
}

/// Probes.
pub(crate) fn run(ctx: &Ctx, options: &Options) -> Found {
    let mut found = Found::default();
    if let Some((exit, why)) = probe(ctx, options, &mut found) {
        found.status = Status(exit);
        found.failure = Some(why);
    }
    found
}

/// The status and the sentence of the first layer that is broken.
fn probe(ctx: &Ctx, options: &Options, found: &mut Found) -> Option<(Exit, String)> {
    let began = Instant::now();
    let own = |name: &str| if options.from_pid.is_none() { ctx.var(name).map(str::to_owned) } else { None };
    let lookup = Lookup {
        numeric: false,
        from_pid: options.from_pid,
        localdomain: own("LOCALDOMAIN"),
        res_options: own("RES_OPTIONS"),
        servers: Vec::new(),
    };
    found.addresses = match options.connect {
        Some((address, port)) => vec![SocketAddr::new(address, port.unwrap_or(options.port))],
        None => match resolve(&options.host, options.port, options.family, &lookup) {
            Ok(addresses) => addresses,
            Err(error) => {
                found.hint = error.why().map(|why| format!("{why}; see: netkit dig --as all {}", options.host));
                return Some((status::NAME, format!("the name {} has no address: {error}", printable(&options.host))));
            }
        },
    };
    found.dns = Some(began.elapsed());
    let began = Instant::now();
    let plan = Plan::new(found.addresses.clone(), Protocol::Tcp, Some(options.timeout));
    let report = connect(&plan, &mut |_| {});
    found.reached = report.winning().map(|attempt| attempt.address);
    let Some(socket) = report.socket else {
        let telling = report.attempts.iter().rfind(|attempt| attempt.outcome != Outcome::Abandoned);
        let why = telling
            .map_or_else(|| "no address".to_owned(), |attempt| format!("{}: {}", attempt.address, attempt.finding()));
        return Some((status::CONNECTION, why));
    };
    found.tcp = Some(began.elapsed());
    let deadline = Instant::now().checked_add(options.timeout);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut inner = match netkit_tls::Socket::new(socket) {
        Ok(inner) => inner,
        Err(error) => return Some((status::CONNECTION, plain(&error))),
    };
    if let Some(protocol) = options.starttls {
        let began = Instant::now();
        if let Err(why) = protocol.begin(&mut inner, deadline) {
            return Some((status::NOT_TLS, format!("no way from plain text to TLS: {why}")));
        }
        found.plain = Some(began.elapsed());
    }
    let stream = Box::new(Recorder { inner, seen: seen.clone() });
    let env = |name: &str| ctx.var(name).map(std::path::PathBuf::from);
    let settings = Settings {
        // What would be refused is found out and told, and the handshake goes on.
        insecure: true,
        sources: Sources {
            file: options.cacert.clone(),
            directory: options.capath.clone(),
            env_file: env("SSL_CERT_FILE"),
            env_directory: env("SSL_CERT_DIR"),
        },
        certificate: options.cert.clone(),
        key: options.key.clone(),
        // The few words of one command line live as long as the process.
        alpn: options.alpn.iter().map(|word| &*String::leak(word.clone())).collect(),
        min: options.versions.0,
        max: options.versions.1,
        key_log: true,
        pinned: None,
        ciphers: [None, None],
    };
    let began = Instant::now();
    let name = options.name().split('%').next().unwrap_or("");
    let (mut stream, session) = match netkit_tls::connect(stream, name, &settings, deadline) {
        Ok(shaken) => shaken,
        Err(error) => {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
            found.hint.clone_from(&error.hint);
            return Some(not_shaken(options, &error, &seen, found));
        }
    };
    found.tls = Some(began.elapsed());
    let verdict = judged(session.verify_code, &session.verify_reason);
    found.session = Some(session);
    let mut buffer = [0u8; 512];
    if let Err(error) = read_by(&mut *stream, &mut buffer, Instant::now().checked_add(AFTER))
        && error.to_string().contains("certificate required")
    {
        found.wants_certificate = true;
        stream.finish();
        return Some((
            status::CLIENT_CERTIFICATE,
            "the server wants a certificate of the client: --cert and --key".to_owned(),
        ));
    }
    stream.finish();
    verdict
}

/// The status of OpenSSL's number.
fn judged(code: u32, reason: &str) -> Option<(Exit, String)> {
    let reason = bare(reason);
    let exit = match code {
        0 => return None,
        9 | 10 => status::DATES,
        62 | 64 => status::OTHER_NAME,
        26 | 79 => status::PURPOSE,
        _ => status::UNTRUSTED,
    };
    Some((exit, reason.to_owned()))
}

/// The reason without curl's words before it.
pub(crate) fn bare(reason: &str) -> &str {
    reason.strip_prefix("SSL certificate problem: ").or_else(|| reason.strip_prefix("SSL: ")).unwrap_or(reason)
}

fn not_shaken(options: &Options, error: &TlsError, seen: &[u8], found: &mut Found) -> (Exit, String) {
    const HANDSHAKE: u8 = 22;
    const ALERT: u8 = 21;
    let text = printable(&error.text);
    match error.kind {
        Kind::Anchors | Kind::OwnCertificate => return (Exit::USAGE, text),
        _ if seen.first().is_some_and(|first| !matches!(*first, HANDSHAKE | ALERT)) => {
            found.hint = None;
            let shown = printable(&String::from_utf8_lossy(seen.get(..seen.len().min(24)).unwrap_or_default()));
            let what = named(seen).map_or_else(
                || {
                    format!(
                        "it sends {} (`{shown}`)",
                        netkit_core::text::hex(seen.get(..8.min(seen.len())).unwrap_or_default())
                    )
                },
                str::to_owned,
            );
            return (status::NOT_TLS, format!("this is not TLS: {what}"));
        }
        _ => {}
    }
    if text.contains("certificate required") || (text.contains("bad certificate") && options.cert.is_none()) {
        found.wants_certificate = true;
        return (
            status::CLIENT_CERTIFICATE,
            "the server wants a certificate of the client: --cert and --key".to_owned(),
        );
    }
    let why = match (error.kind, seen.is_empty()) {
        (Kind::TimedOut, true) => {
            "silence after the hello: no TLS here, or something in between swallows it".to_owned()
        }
        (Kind::Broken, true) if text.contains("eof") => {
            "closed right after the hello, without a word of TLS".to_owned()
        }
        (Kind::Broken, true) => format!("{text} right after the hello, without a word of TLS"),
        _ => text,
    };
    (status::HANDSHAKE, why)
}
