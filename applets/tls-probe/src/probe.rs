//! The probing itself: name, connection, perhaps plain text, handshake, and what the server does right after it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netkit_core::text::printable;
use netkit_core::{Ctx, Exit};
use netkit_probe::{Lookup, Outcome, Plan, Protocol, connect, resolve};
use netkit_tls::chain::Purpose;
use netkit_tls::{Closely, Kind, Session, Settings, Sources, TlsError, Trust, read_by};
use netkit_wire::x509::Certificate;

use crate::args::Options;
use crate::record::{Recorder, Shared};
use crate::starttls::{named, plain};
use crate::status;
use crate::verdict::Verdict;

/// How long the server is listened to after the handshake, beside four times what that took.
const AFTER: Duration = Duration::from_millis(300);

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
    /// OpenSSL's view of the chain.
    pub(crate) verdict: Option<Verdict>,
    /// What is to be said about the store of trust.
    pub(crate) trust_remarks: Vec<String>,
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

/// Probes.
pub(crate) fn run(ctx: &Ctx, options: &Options) -> Found {
    let mut found = Found::default();
    if let Some((exit, why)) = probe(ctx, options, &mut found) {
        found.status = Status(exit);
        found.failure = Some(why);
    }
    found
}

/// A layer that is broken: the status, and one sentence.
pub(crate) type Broken = (Exit, String);

/// The name looked up and a connection made; `found` learns what was seen on the way.
///
/// # Errors
/// Name and connection.
pub(crate) fn reach(ctx: &Ctx, options: &Options, found: &mut Found) -> Result<netkit_tls::Socket, Broken> {
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
                return Err((status::NAME, format!("the name {} has no address: {error}", printable(&options.host))));
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
        return Err((status::CONNECTION, why));
    };
    found.tcp = Some(began.elapsed());
    netkit_tls::Socket::new(socket).map_err(|error| (status::CONNECTION, plain(&error)))
}

/// The status and the sentence of the first layer that is broken.
fn probe(ctx: &Ctx, options: &Options, found: &mut Found) -> Option<Broken> {
    let trust = match trust(ctx, options, &mut found.trust_remarks) {
        Ok(trust) => Arc::new(trust),
        Err(why) => return Some((Exit::USAGE, why)),
    };
    let mut inner = match reach(ctx, options, found) {
        Ok(inner) => inner,
        Err(broken) => return Some(broken),
    };
    let deadline = Instant::now().checked_add(options.timeout);
    let seen = Shared::default();
    if let Some(protocol) = options.starttls {
        let began = Instant::now();
        if let Err(why) = protocol.begin(&mut inner, deadline) {
            return Some((status::NOT_TLS, format!("no way from plain text to TLS: {why}")));
        }
        found.plain = Some(began.elapsed());
    }
    let stream = Box::new(Recorder { inner, seen: seen.clone() });
    let settings = Settings {
        // What would be refused is found out and told, and the handshake goes on.
        insecure: true,
        sources: Sources::default(),
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
    let closely = Closely { trust: Some(trust.clone()), silent: options.silent };
    let (mut stream, session) = match netkit_tls::connect_closely(stream, name, &settings, closely, deadline) {
        Ok(shaken) => shaken,
        Err(error) => {
            let seen = seen.now().first;
            found.hint.clone_from(&error.hint);
            return Some(not_shaken(options, &error, &seen, found));
        }
    };
    found.tls = Some(began.elapsed());
    let now = ctx.clock.unix_seconds();
    let verdict = Verdict::of(&session.chain, &trust, Some(name), Purpose::Server, now);
    let judged = verdict.refusal().or_else(|| running_out(options, &session.chain, now));
    let asked = session.asked.is_some();
    found.verdict = Some(verdict);
    found.session = Some(session);
    // In TLS 1.3 a server says only after the handshake that it misses a certificate or does not like ours.
    let after = found.tls.unwrap_or_default().saturating_mul(4).saturating_add(AFTER).min(options.timeout);
    let mut buffer = [0u8; 512];
    if asked
        && let Err(error) = read_by(&mut *stream, &mut buffer, Instant::now().checked_add(after))
        && error.kind() == io::ErrorKind::InvalidData
    {
        stream.finish();
        return Some(certificate_wanted(options, &error.to_string(), found));
    }
    stream.finish();
    judged
}

/// The server misses a certificate of ours, or refuses the one it got.
fn certificate_wanted(options: &Options, alert: &str, found: &mut Found) -> (Exit, String) {
    found.wants_certificate = true;
    let why = match options.cert {
        None => "the server wants a certificate of the client: --cert and --key".to_owned(),
        Some(_) => format!("the server refuses the certificate it was shown: {}", printable(alert)),
    };
    (status::CLIENT_CERTIFICATE, why)
}

/// What is trusted, from where the options say.
pub(crate) fn trust(ctx: &Ctx, options: &Options, remarks: &mut Vec<String>) -> Result<Trust, String> {
    let env = |name: &str| ctx.var(name).map(std::path::PathBuf::from);
    if let Some(pid) = options.trust_of {
        let (trust, said) = Trust::of_process(pid)?;
        *remarks = said;
        return Ok(trust);
    }
    Trust::load(&Sources {
        file: options.cacert.clone(),
        directory: options.capath.clone(),
        env_file: env("SSL_CERT_FILE"),
        env_directory: env("SSL_CERT_DIR"),
    })
}

/// Less is left of a certificate than was asked for.
pub(crate) fn running_out(options: &Options, chain: &[Vec<u8>], now: i64) -> Option<(Exit, String)> {
    let threshold = options.min_left?;
    chain.iter().enumerate().find_map(|(at, der)| {
        let (begin, end) = Certificate::read(der)?.valid();
        let (begin, end) = (begin?, end?);
        let days = (end - now) / 86_400;
        threshold
            .is_below(begin, end, now)
            .then(|| (status::DATES, format!("certificate {at} has less left than --min-left asks for: {days} days")))
    })
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
    let alerted = text.contains("alert");
    if text.contains("certificate required") || (alerted && error.seen.asked.is_some()) {
        return certificate_wanted(options, &text, found);
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
