//! `openssl s_client`: connects, shows what the server showed, and passes bytes until one side has had enough.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netkit_core::text::printable;
use netkit_core::{Ctx, Error, Exit};
use netkit_probe::{Family, Lookup, Outcome, Plan, Protocol as Carrier, connect, resolve};
use netkit_tls::chain::{Purpose, Query, Report, Verdict, error_text, judge};
use netkit_tls::{Closely, Kind as Failure, Session, Settings, Sources, TlsError, Transport, Trust, read_by, write_by};
use netkit_wire::x509::{NameStyle, date};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::options::{Kind, Spec, Words, read, stop};
use super::report;
use super::verify::{COMMON, name_of, query, style};
use crate::record::{Recorder, Shared, Traffic};
use crate::starttls::{Protocol, plain};

const OWN: &[Spec] = &[
    ("connect", Kind::Value),
    ("host", Kind::Value),
    ("port", Kind::Value),
    ("servername", Kind::Value),
    ("noservername", Kind::Alone),
    ("showcerts", Kind::Alone),
    ("verify", Kind::Value),
    ("verify_return_error", Kind::Alone),
    ("verify_quiet", Kind::Alone),
    ("cert", Kind::Value),
    ("key", Kind::Value),
    ("certform", Kind::Value),
    ("keyform", Kind::Value),
    ("starttls", Kind::Value),
    ("alpn", Kind::Value),
    ("status", Kind::Alone),
    ("tls1_2", Kind::Alone),
    ("tls1_3", Kind::Alone),
    ("no_ssl3", Kind::Alone),
    ("no_tls1", Kind::Alone),
    ("no_tls1_1", Kind::Alone),
    ("no_tls1_2", Kind::Alone),
    ("no_tls1_3", Kind::Alone),
    ("min_protocol", Kind::Value),
    ("max_protocol", Kind::Value),
    ("brief", Kind::Alone),
    ("quiet", Kind::Alone),
    ("ign_eof", Kind::Alone),
    ("no_ign_eof", Kind::Alone),
    ("nocommands", Kind::Alone),
    ("prexit", Kind::Alone),
    ("crlf", Kind::Alone),
    ("4", Kind::Alone),
    ("6", Kind::Alone),
    ("no_comp", Kind::Alone),
    ("no_ticket", Kind::Alone),
    ("bugs", Kind::Alone),
    ("ssl_client_engine", Kind::Refused),
    ("ssl3", Kind::Refused),
    ("tls1", Kind::Refused),
    ("tls1_1", Kind::Refused),
    ("dtls", Kind::Refused),
    ("dtls1", Kind::Refused),
    ("dtls1_2", Kind::Refused),
    ("cipher", Kind::Value),
    ("ciphersuites", Kind::Value),
    ("sigalgs", Kind::Refused),
    ("client_sigalgs", Kind::Refused),
    ("groups", Kind::Refused),
    ("curves", Kind::Refused),
    ("named_curve", Kind::Refused),
    ("reconnect", Kind::Refused),
    ("sess_in", Kind::Refused),
    ("sess_out", Kind::Refused),
    ("early_data", Kind::Refused),
    ("keylogfile", Kind::Refused),
    ("keymatexport", Kind::Refused),
    ("msg", Kind::Refused),
    ("debug", Kind::Refused),
    ("state", Kind::Refused),
    ("trace", Kind::Refused),
    ("security_debug", Kind::Refused),
    ("tlsextdebug", Kind::Refused),
    ("nextprotoneg", Kind::Refused),
    ("proxy", Kind::Refused),
    ("bind", Kind::Refused),
    ("unix", Kind::Refused),
    ("pass", Kind::Refused),
    ("cert_chain", Kind::Refused),
    ("build_chain", Kind::Refused),
    ("chainCAfile", Kind::Refused),
    ("verifyCAfile", Kind::Refused),
    ("requestCAfile", Kind::Refused),
    ("xmpphost", Kind::Refused),
    ("name", Kind::Refused),
    ("psk", Kind::Refused),
    ("psk_identity", Kind::Refused),
    ("psk_session", Kind::Refused),
    ("srpuser", Kind::Refused),
    ("fallback_scsv", Kind::Refused),
    ("legacy_renegotiation", Kind::Refused),
    ("legacy_server_connect", Kind::Refused),
    ("dane_tlsa_domain", Kind::Refused),
    ("dane_tlsa_rrdata", Kind::Refused),
    ("ct", Kind::Refused),
    ("ctlogfile", Kind::Refused),
    ("maxfraglen", Kind::Refused),
    ("max_send_frag", Kind::Refused),
    ("split_send_frag", Kind::Refused),
    ("nbio", Kind::Refused),
    ("timeout", Kind::Refused),
    ("rand", Kind::Refused),
    ("crl_download", Kind::Refused),
    ("CRL", Kind::Refused),
];

/// The port of s_client when none is said.
const PORT: u16 = 4433;
/// How long connecting and the handshake may take; OpenSSL waits as long as the kernel does.
const PATIENCE: Duration = Duration::from_secs(127);
/// How long a server may take to say that it misses our certificate, in milliseconds.
const AFTER: u16 = 300;
/// What Debian's OpenSSL asks of keys and digests.
const LEVEL: u8 = 2;

/// What is printed and how far the conversation goes.
pub(super) struct Manner {
    pub(super) brief: bool,
    pub(super) quiet: bool,
    pub(super) showcerts: bool,
    pub(super) status: bool,
    pub(super) style: NameStyle,
    pub(super) verify_host: Option<String>,
    ignore_end: bool,
    commands: bool,
    crlf: bool,
    verify_quiet: bool,
    return_error: bool,
}

pub(super) fn run(ctx: &mut Ctx, words: &[String]) -> Result<Exit, Error> {
    let specs: Vec<Spec> = COMMON.iter().chain(OWN).copied().collect();
    let words = read(ctx, "s_client", &specs, words)?;
    if words.has("help") {
        return super::help(ctx);
    }
    if !words.rest.is_empty() && words.has("connect") {
        ctx.say("s_client: cannot provide both -connect option and target parameter");
        return Err(stop(ctx, "s_client: Use -help for summary."));
    }
    if words.rest.len() > 1 {
        return Err(stop(ctx, "s_client: Use -help for summary."));
    }
    let (host, port) = place(ctx, &words)?;
    let versions = versions(ctx, &words)?;
    let starttls = match words.value("starttls") {
        None => None,
        Some(name) => Some(Protocol::parse(name).ok_or_else(|| starttls_unknown(ctx, name))?),
    };
    for name in ["certform", "keyform"] {
        if words.value(name).is_some_and(|form| !form.eq_ignore_ascii_case("PEM") && !form.eq_ignore_ascii_case("DER"))
        {
            return Err(Error::usage(format!("s_client: -{name}: PEM and DER are known and told apart by themselves")));
        }
    }
    let last = words.options.iter().rev().find(|(name, _)| matches!(*name, "quiet" | "ign_eof" | "no_ign_eof"));
    let ignore_end = last.is_some_and(|(name, _)| *name != "no_ign_eof");
    let brief = words.has("brief");
    let manner = Manner {
        brief,
        quiet: words.has("quiet") || brief,
        showcerts: words.has("showcerts"),
        status: words.has("status"),
        style: style(&words)?,
        verify_host: words.value("verify_hostname").map(str::to_owned),
        ignore_end,
        commands: !ignore_end && !words.has("nocommands"),
        crlf: words.has("crlf"),
        verify_quiet: words.has("verify_quiet") || brief,
        return_error: words.has("verify_return_error"),
    };
    if let Some(depth) = words.number(ctx, "s_client", "verify")?
        && !manner.quiet | manner.brief
    {
        ctx.say(&format!("verify depth is {depth}"));
    }
    let trust = trust(ctx, &words)?;
    let mut query = query(ctx, "s_client", &words)?;
    if !words.has("auth_level") {
        query.level = LEVEL;
    }
    if !words.has("purpose") {
        query.purpose = Purpose::Server;
    }
    let anchors = trust.anchors();
    let store: Vec<&[u8]> = anchors.iter().map(|(der, _)| der.as_ref()).collect();
    let socket = match open(ctx, &words, &host, port) {
        Ok(socket) => socket,
        Err(errno) => {
            ctx.say(&format!("connect:errno={errno}"));
            return Ok(Exit(1));
        }
    };
    let watched = socket.try_clone().map_err(|error| Error::new(Exit(1), plain(&error)))?;
    let mut inner = netkit_tls::Socket::new(socket).map_err(|error| Error::new(Exit(1), plain(&error)))?;
    if !manner.quiet {
        ctx.stdout.write_all(b"CONNECTED(00000003)\n")?;
    }
    let deadline = Instant::now().checked_add(PATIENCE);
    if let Some(protocol) = starttls
        && let Err(why) = protocol.begin(&mut inner, deadline)
    {
        ctx.say(&format!("{}: {why}", words.value("starttls").unwrap_or("")));
        return Ok(Exit(1));
    }
    let traffic = Shared::default();
    let stream = Box::new(Recorder { inner, seen: traffic.clone() });
    let settings = Settings {
        insecure: true,
        sources: Sources::default(),
        certificate: words.value("cert").map(Into::into),
        key: words.value("key").map(Into::into),
        alpn: words
            .value("alpn")
            .map(|list| list.split(',').map(|word| &*String::leak(word.to_owned())).collect())
            .unwrap_or_default(),
        min: versions.0,
        max: versions.1,
        key_log: true,
        pinned: None,
        ciphers: [words.value("cipher"), words.value("ciphersuites")].map(|list| list.map(str::to_owned)),
    };
    // Without -servername the host of -connect is asked for, unless it is an address.
    let asked = words.value("servername").unwrap_or(&host);
    let silent = words.has("noservername")
        || asked.parse::<IpAddr>().is_ok()
        || (!words.has("servername") && !is_host(asked.as_bytes()));
    let closely = Closely { trust: Some(Arc::new(Trust::default())), silent };
    let shaken = netkit_tls::connect_closely(stream, asked, &settings, closely, deadline);
    if silent && !words.has("noservername") && !shaken.as_ref().err().is_some_and(|error| error.seen.chain.is_empty()) {
        ctx.say("Can't use SSL_get_servername");
    }
    let (stream, session) = match shaken {
        Ok(shaken) => shaken,
        Err(error) => return not_shaken(ctx, &manner, &error, &traffic.now(), versions.1, &store, &query),
    };
    let verdict = verified(ctx, &manner, &session, &store, &query);
    if manner.return_error && !verdict.passed {
        ctx.say("error:0A000086:SSL routines::certificate verify failed");
        if !manner.quiet {
            let text = report::page(&session, &verdict, &manner, &traffic.now(), ctx.clock.unix_seconds(), false);
            ctx.stdout.write_all(text.as_bytes())?;
        }
        return Ok(Exit(1));
    }
    if manner.brief {
        let text = report::brief(&session, &verdict, &manner, &traffic.now());
        ctx.say(text.trim_end());
    }
    if !manner.quiet {
        let text = report::page(&session, &verdict, &manner, &traffic.now(), ctx.clock.unix_seconds(), true);
        ctx.stdout.write_all(text.as_bytes())?;
        ctx.stdout.flush()?;
    }
    let exit = converse(ctx, &manner, stream, watched.as_fd(), session.asked.is_some())?;
    if words.has("prexit") && !manner.quiet {
        let text = report::page(&session, &verdict, &manner, &traffic.now(), ctx.clock.unix_seconds(), true);
        let body = text
            .split_once("---\nCertificate chain")
            .map_or(text.clone(), |(_, rest)| format!("---\nCertificate chain{rest}"));
        ctx.stdout.write_all(body.as_bytes())?;
    }
    Ok(exit)
}

/// `-connect HOST:PORT`, or `-host` and `-port`, or a word of its own.
fn place(ctx: &mut Ctx, words: &Words) -> Result<(String, u16), Error> {
    let given = words.value("connect").or(words.rest.first().map(String::as_str));
    let mut host = words.value("host").unwrap_or("localhost").to_owned();
    let mut port = words.value("port").map(str::to_owned);
    if let Some(text) = given {
        let (name, number) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((name, rest)) => (name, rest.strip_prefix(':')),
            None => match text.rsplit_once(':') {
                Some((name, number)) if !name.contains(':') => (name, Some(number)),
                Some(_) | None => (text, None),
            },
        };
        host = if name.is_empty() { "localhost".to_owned() } else { name.to_owned() };
        port = number.map(str::to_owned).or(port);
    }
    const NAMES: &[(&str, u16)] = &[
        ("https", 443),
        ("imaps", 993),
        ("pop3s", 995),
        ("smtp", 25),
        ("smtps", 465),
        ("submission", 587),
        ("ldap", 389),
        ("ldaps", 636),
        ("imap", 143),
        ("imap2", 143),
        ("pop3", 110),
        ("ftp", 21),
        ("domain-s", 853),
        ("http", 80),
    ];
    let Some(port) = port else { return Ok((host, PORT)) };
    let number = port.parse::<u16>().ok().or_else(|| NAMES.iter().find(|(name, _)| *name == port).map(|(_, at)| *at));
    match number {
        Some(number) => Ok((host, number)),
        None => Err(stop(ctx, &format!("s_client: -connect: `{}` is no port", printable(&port)))),
    }
}

/// Whether s_client asks for the host of `-connect`: a name of two labels at least.
fn is_host(name: &[u8]) -> bool {
    let edge = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    let labels = || name.split(|byte| *byte == b'.');
    labels().count() > 1
        && !name.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
        && labels().all(|label| {
            label.len() < 63
                && !edge(label.first())
                && !edge(label.last())
                && label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

/// Oldest and newest version, 2 and 3 for TLS 1.2 and 1.3.
fn versions(ctx: &mut Ctx, words: &Words) -> Result<(u8, u8), Error> {
    let (mut min, mut max) = (2, 3);
    for (name, value) in &words.options {
        let named = || match value.as_str() {
            "TLSv1.2" => Ok(2),
            "TLSv1.3" => Ok(3),
            "TLSv1" | "TLSv1.1" | "SSLv3" | "None" if *name == "min_protocol" => Ok(2),
            other => Err(Error::usage(format!("s_client: -{name} {}: 1.2 and 1.3 are spoken", printable(other)))),
        };
        match *name {
            "tls1_2" => (min, max) = (2, 2),
            "tls1_3" => (min, max) = (3, 3),
            "no_tls1_2" => min = 3,
            "no_tls1_3" => max = 2,
            "min_protocol" => min = named()?,
            "max_protocol" => max = named()?,
            _ => {}
        }
    }
    if min > max {
        return Err(stop(ctx, "error:0A0000BF:SSL routines::no protocols available"));
    }
    Ok((min, max))
}

fn starttls_unknown(ctx: &mut Ctx, name: &str) -> Error {
    const KNOWN: &[&str] = &[
        "smtp",
        "pop3",
        "imap",
        "ftp",
        "xmpp",
        "xmpp-server",
        "telnet",
        "irc",
        "mysql",
        "postgres",
        "lmtp",
        "nntp",
        "sieve",
        "ldap",
    ];
    if KNOWN.contains(&name) {
        return Error::usage(format!(
            "s_client: -starttls {name} is not offered: smtp, pop3, imap, ftp, mysql, postgres, ldap"
        ));
    }
    let list: Vec<String> = KNOWN.iter().map(|one| format!("\t{one}")).collect();
    stop(ctx, &format!("s_client: Value must be one of:\n{}", list.join("\n")))
}

fn trust(ctx: &Ctx, words: &Words) -> Result<Trust, Error> {
    let path = |name: &str| words.value(name).map(std::path::PathBuf::from);
    let env = |name: &str| ctx.var(name).map(std::path::PathBuf::from);
    let named = words.has("CAfile") || words.has("CApath");
    if !named && words.has("no-CAfile") && words.has("no-CApath") {
        return Ok(Trust::default());
    }
    let mut out = Trust::default();
    if !named || words.has("CAfile") {
        let sources = Sources {
            file: path("CAfile"),
            directory: None,
            env_file: env("SSL_CERT_FILE"),
            env_directory: env("SSL_CERT_DIR"),
        };
        out = Trust::load(&sources).map_err(|why| Error::new(Exit(1), printable(&why)))?;
    }
    if let Some(directory) = path("CApath") {
        out.hashed(&directory);
    }
    Ok(out)
}

/// A connected socket, or the error number.
fn open(ctx: &Ctx, words: &Words, host: &str, port: u16) -> Result<OwnedFd, i32> {
    let lookup = Lookup {
        numeric: false,
        from_pid: None,
        localdomain: ctx.var("LOCALDOMAIN").map(str::to_owned),
        res_options: ctx.var("RES_OPTIONS").map(str::to_owned),
        servers: Vec::new(),
    };
    let family = match (words.has("4"), words.has("6")) {
        (true, false) => Family::Inet,
        (false, true) => Family::Inet6,
        _ => Family::Unspecified,
    };
    // A name without an address leaves no error number behind.
    let addresses = resolve(host, port, family, &lookup).map_err(|_| 0)?;
    let report = connect(&Plan::new(addresses, Carrier::Tcp, Some(PATIENCE)), &mut |_| {});
    let errno = report.attempts.iter().rfind(|one| one.outcome != Outcome::Abandoned);
    let errno = errno.and_then(|one| one.outcome.errno()).unwrap_or(0);
    report.socket.map(OwnedFd::from).ok_or(errno)
}

/// Judges the chain and says on the way what s_client's callback says.
fn verified(ctx: &mut Ctx, manner: &Manner, session: &Session, store: &[&[u8]], query: &Query<'_>) -> Verdict {
    let mut lines: Vec<String> = Vec::new();
    let mut tell = |report: &Report<'_>| {
        let read = netkit_wire::x509::Certificate::read(report.der);
        if !manner.verify_quiet || !report.ok {
            lines.push(format!("depth={} {}", report.depth, name_of(report.der, manner.style)));
        }
        if !report.ok {
            lines.push(format!("verify error:num={}:{}", report.code, error_text(report.code)));
        }
        let go = report.ok || !manner.return_error;
        if let Some(read) = read {
            match report.code {
                2 => lines.push(format!("issuer= {}", netkit_wire::x509::name_text(read.issuer, manner.style))),
                9 | 13 => lines.push(format!("notBefore={}", date(read.not_before))),
                10 | 14 => lines.push(format!("notAfter={}", date(read.not_after))),
                _ => {}
            }
        }
        if go && !manner.verify_quiet {
            lines.push("verify return:1".to_owned());
        }
        go
    };
    let leaf = session.chain.first().cloned().unwrap_or_default();
    let verdict = judge(&leaf, &session.chain, store, query, &mut tell);
    for line in lines {
        ctx.say(&line);
    }
    verdict.unwrap_or(Verdict { code: 1, ..Verdict::default() })
}

/// OpenSSL's words for an alert (ssl/ssl_err.c names them in its header), from its number.
const ALERTS: &[(u8, &str)] = &[
    (10, "sslv3 alert unexpected message"),
    (20, "sslv3 alert bad record mac"),
    (22, "tlsv1 alert record overflow"),
    (40, "sslv3 alert handshake failure"),
    (42, "sslv3 alert bad certificate"),
    (43, "sslv3 alert unsupported certificate"),
    (44, "sslv3 alert certificate revoked"),
    (45, "sslv3 alert certificate expired"),
    (46, "sslv3 alert certificate unknown"),
    (47, "sslv3 alert illegal parameter"),
    (48, "tlsv1 alert unknown ca"),
    (49, "tlsv1 alert access denied"),
    (50, "tlsv1 alert decode error"),
    (51, "tlsv1 alert decrypt error"),
    (70, "tlsv1 alert protocol version"),
    (71, "tlsv1 alert insufficient security"),
    (80, "tlsv1 alert internal error"),
    (86, "tlsv1 alert inappropriate fallback"),
    (109, "tlsv13 alert missing extension"),
    (110, "tlsv1 unsupported extension"),
    (112, "tlsv1 unrecognized name"),
    (116, "tlsv13 alert certificate required"),
    (120, "tlsv1 alert no application protocol"),
];

fn alert_line(number: u8) -> String {
    let words = ALERTS.iter().find(|(known, _)| *known == number).map_or("reason", |(_, words)| words);
    let code = 1000 + u32::from(number);
    format!("error:0A{code:06X}:SSL routines::{words}:SSL alert number {number}")
}

fn not_shaken(
    ctx: &mut Ctx,
    manner: &Manner,
    error: &TlsError,
    traffic: &Traffic,
    newest: u8,
    store: &[&[u8]],
    query: &Query<'_>,
) -> Result<Exit, Error> {
    if matches!(error.kind, Failure::OwnCertificate | Failure::Anchors | Failure::Cipher) {
        return Err(Error::new(Exit(1), printable(&error.text)));
    }
    let line = match (error.seen.alert, error.kind) {
        (Some(number), _) => alert_line(number),
        (None, Failure::Broken) if error.text.contains("unexpected eof") => {
            "error:0A000126:SSL routines::unexpected eof while reading".to_owned()
        }
        (None, Failure::Broken) => "write:errno=104".to_owned(),
        _ if !traffic.first.is_empty() && !matches!(traffic.first.first(), Some(20..=23)) => {
            "error:0A00010B:SSL routines::wrong version number".to_owned()
        }
        _ => printable(&error.text),
    };
    // What was shown before it failed is judged and printed all the same.
    let session = Session {
        chain: error.seen.chain.clone(),
        asked: error.seen.asked.clone(),
        scheme: error.seen.scheme.map(u16::from),
        ..Session::default()
    };
    let shown = !session.chain.is_empty();
    let verdict = if shown { verified(ctx, manner, &session, store, query) } else { Verdict::default() };
    ctx.say(&line);
    if !manner.quiet {
        let mut text = report::page(&session, &verdict, manner, traffic, 0, shown);
        if newest == 2 {
            text = text.replace("Early data was not sent\n", &report::old_session("0000", ctx.clock.unix_seconds()));
            text = text.replace("\nVerify return", "\n    Verify return");
            text = text.trim_end_matches("---\n").to_owned() + "    Extended master secret: no\n---\n";
        }
        ctx.stdout.write_all(text.as_bytes())?;
    }
    Ok(Exit(1))
}

/// Passes bytes both ways until the server closes, or until our input ends or begins a line with Q.
fn converse(
    ctx: &mut Ctx,
    manner: &Manner,
    mut stream: Box<dyn Transport>,
    socket: BorrowedFd<'_>,
    asked: bool,
) -> Result<Exit, Error> {
    if asked {
        // A server of TLS 1.3 that misses our certificate says so a moment later; worth more than the end of our input.
        let _ = poll(&mut [PollFd::new(socket, PollFlags::POLLIN)], AFTER);
    }
    let mut input = io::stdin().as_fd().try_clone_to_owned().ok().map(File::from);
    let mut buffer = vec![0u8; 16_384];
    loop {
        // Everything that has come, without waiting.
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => {
                    if !manner.quiet {
                        ctx.stdout.write_all(b"closed\n")?;
                    }
                    stream.finish();
                    return Ok(Exit::OK);
                }
                Ok(length) => {
                    ctx.stdout.write_all(buffer.get(..length).unwrap_or_default())?;
                    ctx.stdout.flush()?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let text = error.to_string();
                    let alert = ALERTS.iter().find(|(_, words)| {
                        text.contains("alert") && words.rsplit("alert ").next().is_some_and(|end| text.contains(end))
                    });
                    ctx.say(&match (alert, error.kind()) {
                        (Some((number, _)), _) => alert_line(*number),
                        (None, io::ErrorKind::UnexpectedEof) => {
                            "error:0A000126:SSL routines::unexpected eof while reading".to_owned()
                        }
                        _ => format!("read:errno={}", error.raw_os_error().unwrap_or(0)),
                    });
                    return Ok(Exit(u8::from(error.kind() != io::ErrorKind::UnexpectedEof || !manner.quiet)));
                }
            }
        }
        let ready = {
            let mut polled = vec![PollFd::new(socket, PollFlags::POLLIN)];
            if let Some(file) = &input {
                polled.push(PollFd::new(file.as_fd(), PollFlags::POLLIN));
            }
            let _ = poll(&mut polled, PollTimeout::NONE);
            polled.get(1).and_then(PollFd::revents).is_some_and(|seen| !seen.is_empty())
        };
        let Some(file) = input.as_mut().filter(|_| ready) else { continue };
        let length = file.read(&mut buffer).unwrap_or(0);
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.is_empty() && manner.ignore_end {
            input = None;
            continue;
        }
        if bytes.is_empty() || (manner.commands && bytes.first() == Some(&b'Q')) {
            ctx.say("DONE");
            stream.finish();
            return Ok(Exit::OK);
        }
        if manner.commands && matches!(bytes.first(), Some(b'R' | b'K' | b'k')) && bytes.len() <= 2 {
            ctx.say("s_client: renegotiation and key updates are not offered");
            continue;
        }
        let sent = if manner.crlf {
            let mut out = Vec::with_capacity(bytes.len() * 2);
            for byte in bytes {
                if *byte == b'\n' {
                    out.push(b'\r');
                }
                out.push(*byte);
            }
            out
        } else {
            bytes.to_vec()
        };
        if let Err(error) = write_by(&mut *stream, &sent, Instant::now().checked_add(PATIENCE)) {
            ctx.say(&format!("write:errno={}", error.raw_os_error().unwrap_or(0)));
            // What it said before it went may still be there.
            let _ = read_by(&mut *stream, &mut buffer, Some(Instant::now()));
            return Ok(Exit(1));
        }
    }
}
