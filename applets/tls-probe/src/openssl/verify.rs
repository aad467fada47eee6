//! `openssl verify`, and the words about trust that it has in common with `s_client`.

use netkit_core::text::printable;
use netkit_core::{Ctx, Error, Exit};
use netkit_tls::chain::{Purpose, Query, Report, error_text, judge};
use netkit_tls::{Sources, Trust};
use netkit_wire::x509::{Certificate, NameStyle, name_text};

use super::options::{Kind, Spec, Words, read, stop};

/// What `verify` and `s_client` have in common (openssl-verification-options(1)).
pub(super) const COMMON: &[Spec] = &[
    ("CAfile", Kind::Value),
    ("CApath", Kind::Value),
    ("no-CAfile", Kind::Alone),
    ("no-CApath", Kind::Alone),
    ("no-CAstore", Kind::Alone),
    ("CAstore", Kind::Refused),
    ("attime", Kind::Value),
    ("no_check_time", Kind::Alone),
    ("purpose", Kind::Value),
    ("verify_depth", Kind::Value),
    ("auth_level", Kind::Value),
    ("verify_hostname", Kind::Value),
    ("verify_email", Kind::Value),
    ("verify_ip", Kind::Value),
    ("verify_name", Kind::Refused),
    ("ignore_critical", Kind::Alone),
    ("issuer_checks", Kind::Alone),
    ("partial_chain", Kind::Alone),
    ("trusted_first", Kind::Alone),
    ("no_alt_chains", Kind::Alone),
    ("nameopt", Kind::Value),
    ("crl_check", Kind::Refused),
    ("crl_check_all", Kind::Refused),
    ("policy", Kind::Refused),
    ("policy_check", Kind::Refused),
    ("policy_print", Kind::Refused),
    ("explicit_policy", Kind::Refused),
    ("inhibit_any", Kind::Refused),
    ("inhibit_map", Kind::Refused),
    ("x509_strict", Kind::Refused),
    ("extended_crl", Kind::Refused),
    ("use_deltas", Kind::Refused),
    ("check_ss_sig", Kind::Refused),
    ("allow_proxy_certs", Kind::Refused),
    ("suiteB_128", Kind::Refused),
    ("suiteB_128_only", Kind::Refused),
    ("suiteB_192", Kind::Refused),
    ("engine", Kind::Refused),
    ("provider", Kind::Refused),
    ("provider-path", Kind::Refused),
    ("propquery", Kind::Refused),
    ("help", Kind::Alone),
];

const OWN: &[Spec] = &[
    ("untrusted", Kind::Value),
    ("trusted", Kind::Value),
    ("show_chain", Kind::Alone),
    ("verbose", Kind::Alone),
    ("CRLfile", Kind::Refused),
    ("crl_download", Kind::Refused),
    ("vfyopt", Kind::Refused),
];

/// The question that the options ask.
///
/// # Errors
/// A value that OpenSSL refuses too, with its status.
pub(super) fn query<'a>(ctx: &mut Ctx, command: &str, words: &'a Words) -> Result<Query<'a>, Error> {
    let mut out = Query { now: Some(ctx.clock.unix_seconds()), ..Query::default() };
    if let Some(at) = words.number(ctx, command, "attime")? {
        out.now = Some(at);
    }
    if words.has("no_check_time") {
        out.now = None;
    }
    if let Some(depth) = words.number(ctx, command, "verify_depth")? {
        out.depth = usize::try_from(depth).unwrap_or(100);
    }
    if let Some(level) = words.number(ctx, command, "auth_level")? {
        out.level = u8::try_from(level.clamp(0, 5)).unwrap_or(0);
    }
    out.purpose = match words.value("purpose") {
        None | Some("any") => Purpose::Any,
        Some("sslserver") => Purpose::Server,
        Some("sslclient") => Purpose::Client,
        Some(other @ ("nssslserver" | "smimesign" | "smimeencrypt" | "crlsign" | "ocsphelper" | "timestampsign")) => {
            return Err(Error::usage(format!("{command}: -purpose {other} is not offered: sslserver, sslclient, any")));
        }
        Some(other) => return Err(stop(ctx, &format!("{command}: Invalid purpose {}", printable(other)))),
    };
    out.host = words.value("verify_hostname");
    out.email = words.value("verify_email");
    if let Some(text) = words.value("verify_ip") {
        let address = text.parse().map_err(|_| stop(ctx, ""))?;
        out.address = Some(address);
    }
    out.partial = words.has("partial_chain");
    out.ignore_critical = words.has("ignore_critical");
    Ok(out)
}

/// How names are to be written.
///
/// # Errors
/// A style that is not offered.
pub(super) fn style(words: &Words) -> Result<NameStyle, Error> {
    let Some(wanted) = words.value("nameopt") else { return Ok(NameStyle::OneLine) };
    super::name_style(wanted)
}

pub(super) fn name_of(der: &[u8], style: NameStyle) -> String {
    Certificate::read(der).map(|read| name_text(read.subject, style)).unwrap_or_default()
}

/// The certificates of a PEM or DER file.
fn certificates(path: &str) -> Result<Vec<Vec<u8>>, String> {
    let bytes = std::fs::read(path).map_err(|error| crate::starttls::plain(&error))?;
    let found: Vec<Vec<u8>> = crate::cert::certificates(&bytes);
    if found.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(found) }
}

/// `openssl verify`.
pub(super) fn run(ctx: &mut Ctx, words: &[String]) -> Result<Exit, Error> {
    let specs: Vec<Spec> = COMMON.iter().chain(OWN).copied().collect();
    let words = read(ctx, "verify", &specs, words)?;
    if words.has("help") {
        return super::help(ctx);
    }
    let query = query(ctx, "verify", &words)?;
    let style = style(&words)?;
    if words.has("trusted") && (words.has("CAfile") || words.has("CApath")) {
        return Err(stop(ctx, "verify: Cannot use -trusted with -CAfile, -CApath or -CAstore"));
    }
    let path = |name: &str| words.value(name).map(std::path::PathBuf::from);
    let mut trust = Trust::default();
    if words.has("trusted") {
        for file in words.values("trusted") {
            let more = Trust::load(&Sources { file: Some(file.into()), ..Sources::default() });
            let more = more.map_err(|_| {
                let file = printable(file);
                stop(ctx, &format!("Could not open file or uri for loading certs of trusted certificates from {file}"))
            })?;
            trust.certificates.extend(more.certificates);
        }
    } else {
        let sources = Sources { file: path("CAfile"), ..Sources::default() };
        if sources.file.is_some() {
            let shown = printable(words.value("CAfile").unwrap_or_default());
            trust = Trust::load(&sources).map_err(|_| stop(ctx, &format!("Error loading file {shown}")))?;
        }
        if let Some(directory) = path("CApath") {
            trust.hashed(&directory);
        }
        // As in the peer what is not named comes from the system.
        if !words.has("no-CApath") && !words.has("CApath") {
            trust.stores();
        }
    }
    let mut sent = Vec::new();
    for file in words.values("untrusted") {
        let found = certificates(file);
        sent.extend(found.map_err(|_| {
            let file = printable(file);
            stop(ctx, &format!("Could not open file or uri for loading certs of untrusted certificates from {file}"))
        })?);
    }
    let anchors = trust.anchors();
    let store: Vec<&[u8]> = anchors.iter().map(|(der, _)| der.as_ref()).collect();
    let mut status = Exit::OK;
    let mut files: Vec<Option<&str>> = words.rest.iter().map(|file| Some(file.as_str())).collect();
    if files.is_empty() {
        files.push(None);
    }
    for file in files {
        let shown = printable(file.unwrap_or("stdin"));
        let leaf = match file {
            Some(path) => certificates(path).ok().and_then(|list| list.into_iter().next()),
            None => {
                let mut bytes = Vec::new();
                let read = std::io::Read::read_to_end(&mut std::io::Read::take(&mut ctx.stdin, 16 << 20), &mut bytes);
                read.ok().and_then(|_| crate::cert::certificates(&bytes).into_iter().next())
            }
        };
        let Some(leaf) = leaf else {
            let there = file.is_none_or(|path| std::path::Path::new(path).exists());
            let what = if there { "read certificate file" } else { "open file or uri for loading certificate file" };
            ctx.say(&format!("Could not {what} from {shown}"));
            ctx.say("Unable to load certificate file");
            status = Exit(2);
            continue;
        };
        let mut lines = Vec::new();
        let verdict = judge(&leaf, &sent, &store, &query, &mut |report: &Report<'_>| {
            // Errors after which the peer goes on to say more.
            const FORGIVEN: &[u16] = &[10, 18, 25, 26, 34, 37, 79];
            if report.ok {
                return true;
            }
            lines.push(name_of(report.der, style));
            let words = error_text(report.code);
            lines.push(format!("error {} at {} depth lookup: {words}", report.code, report.depth));
            FORGIVEN.contains(&report.code)
        });
        for line in lines {
            ctx.say(&line);
        }
        match verdict.filter(|verdict| verdict.passed && verdict.code == 0) {
            Some(verdict) => {
                let mut out = format!("{shown}: OK\n");
                if words.has("show_chain") {
                    out.push_str("Chain:\n");
                    for (depth, (der, at)) in verdict.chain.iter().enumerate() {
                        let own = if at.is_none() { " (untrusted)" } else { "" };
                        out.push_str(&format!("depth={depth}: {}{own}\n", name_of(der, style)));
                    }
                }
                ctx.stdout.write_all(out.as_bytes())?;
            }
            None => {
                ctx.say(&format!("error {shown}: verification failed"));
                status = Exit(2);
            }
        }
    }
    Ok(status)
}
