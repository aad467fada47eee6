//! What was enumerated, on one screen or as one object.

use std::fmt::Write as _;

use netkit_core::Ctx;
use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_wire::tls::suites::Suite;
use netkit_wire::tls::{
    compression_name, extension, extension_name, group_bits, group_name, scheme_name, version, version_name,
};

use super::narrow::Order;
use super::{Enumerated, SuiteFound, VersionFound};
use crate::args::Options;
use crate::extras::{request_json, request_lines, staple_json, staple_text};
use crate::probe::{Broken, Found};
use crate::show::{certificate_json, certificate_lines, layer};

impl Order {
    fn name(self) -> &'static str {
        match self {
            Order::Single => "single",
            Order::Server => "server",
            Order::Client => "client",
            Order::Mixed => "mixed",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Order::Single => "",
            Order::Server => " (in the server's order)",
            Order::Client => " (the client's order counts)",
            Order::Mixed => " (the server's order, which depends on the client's)",
        }
    }
}

/// Names of a suite: OpenSSL's, and IANA's where it is another.
fn names(id: u16) -> (String, Option<String>) {
    let Some(suite) = Suite::of(id) else { return (format!("0x{id:04x}"), None) };
    let name = suite.name();
    match suite.openssl() {
        Some(openssl) if openssl != name => (openssl, Some(name)),
        _ => (name, None),
    }
}

/// What the server's part of the key exchange was.
fn exchange(found: &SuiteFound) -> Option<String> {
    match (found.group, found.prime_bits, found.modulus_bits) {
        (Some(group), ..) => Some(group_name(group)),
        (_, Some(bits), _) => Some(format!("DH {bits} bits")),
        (.., Some(bits)) => Some(format!("RSA {bits} bits")),
        _ => None,
    }
}

/// A label, and words behind it, broken into lines.
fn words(out: &mut String, label: &str, words: &[String], tail: &str) {
    let mut line = format!("  {label:<13}");
    let indent = line.len();
    for word in words {
        if line.len() + word.len() > 110 && line.len() > indent {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(indent);
        }
        line.push_str(word);
        line.push(' ');
    }
    let _ = writeln!(out, "{}{tail}", line.trim_end());
}

fn version_lines(out: &mut String, found: &VersionFound) {
    let _ = writeln!(
        out,
        "\n{}{}",
        version_name(found.id),
        match found.order {
            Order::Single => "",
            Order::Server => "      suites in the server's order",
            Order::Client => "      suites; the client's order counts",
            Order::Mixed => "      suites in the server's order, which depends on the client's",
        }
    );
    let long = found.suites.iter().map(|suite| names(suite.id).0.len()).max().unwrap_or(0);
    let longer = found.suites.iter().filter_map(|suite| names(suite.id).1).map(|name| name.len()).max().unwrap_or(0);
    for suite in &found.suites {
        let (name, other) = names(suite.id);
        let bits = Suite::of(suite.id).map_or(0, |suite| suite.bits());
        let other = other.unwrap_or_default();
        let gap = if longer > 0 { "  " } else { "" };
        let tail = exchange(suite).map(|text| format!("  {text}")).unwrap_or_default();
        let _ = writeln!(out, "  0x{:04x}  {name:<long$}{gap}{other:<longer$}  {bits:>3} bits{tail}", suite.id);
    }
    if !found.groups.is_empty() {
        let names: Vec<String> = found.groups.iter().map(|group| group_name(*group)).collect();
        words(out, "groups", &names, found.group_order.words());
        if let Some(curve) = found.certificate_curve.filter(|_| found.groups.len() > 1) {
            words(
                out,
                "",
                &[format!("{}, the curve of the certificate, has to be offered beside any other", group_name(curve))],
                "",
            );
        }
    }
    if !found.schemes.is_empty() {
        let names: Vec<String> = found.schemes.iter().map(|scheme| scheme_name(*scheme)).collect();
        words(out, "signatures", &names, found.scheme_order.words());
    }
    if found.id < version::TLS13 {
        let names: Vec<String> = found.compression.iter().map(|method| compression_name(*method)).collect();
        words(out, "compression", &names, "");
        let mut names: Vec<String> = found.extensions.iter().map(|number| extension_name(*number)).collect();
        if names.is_empty() {
            names.push("none".to_owned());
        }
        words(out, "extensions", &names, "");
    }
    for trouble in &found.troubles {
        words(out, "remark", std::slice::from_ref(trouble), "");
    }
}

/// The screen.
pub(crate) fn screen(
    found: &Found,
    done: Option<&Enumerated>,
    broken: Option<&Broken>,
    options: &Options,
    now: i64,
) -> String {
    let mut out = String::new();
    let address = found.reached.map(|at| format!(" at {at}")).unwrap_or_default();
    let _ = writeln!(out, "server       {}:{}{address}", printable(&options.host), options.port);
    if let Some(done) = done {
        for (at, one) in done.versions.iter().enumerate() {
            let label = if at == 0 { "versions" } else { "" };
            let answer = match &one.refused {
                None => "yes".to_owned(),
                Some(why) => format!("no   {}", printable(why)),
            };
            let _ = writeln!(out, "{label:<13}{:<8} {answer}", version_name(one.id));
        }
        for one in done.versions.iter().filter(|one| one.refused.is_none()) {
            version_lines(&mut out, one);
        }
        out.push('\n');
        for (at, der) in done.chain().iter().enumerate() {
            let _ = writeln!(out, "certificate {at}");
            certificate_lines(&mut out, der, "  ", now);
        }
        if let Some(known) = done.known() {
            let _ = writeln!(out, "known        {known}");
        }
        if let Some(clear) = done.clear() {
            let secure = clear.extensions.contains(&extension::RENEGOTIATION_INFO);
            let secure = if secure { "secure (RFC 5746)" } else { "no renegotiation info: insecure or none" };
            let _ = writeln!(out, "renegotiate  {secure}");
            let tickets = clear.extensions.contains(&extension::SESSION_TICKET);
            let _ = writeln!(out, "tickets      {}", if tickets { "yes" } else { "no" });
        }
        if done.is_seen() {
            let _ = writeln!(out, "staple       {}", staple_text(done.staple(), now));
            for (at, line) in request_lines(done.request()).iter().enumerate() {
                let _ = writeln!(out, "{:<13}{line}", if at == 0 { "client cert" } else { "" });
            }
        }
        let fallback = match &done.fallback {
            None => None,
            Some(Ok(true)) => Some("TLS_FALLBACK_SCSV is heeded".to_owned()),
            Some(Ok(false)) => Some("TLS_FALLBACK_SCSV is not heeded".to_owned()),
            Some(Err(why)) => Some(format!("TLS_FALLBACK_SCSV: {}", printable(why))),
        };
        if let Some(fallback) = fallback {
            let _ = writeln!(out, "fall-back    {fallback}");
        }
        let _ = writeln!(out, "connections  {}, at most {} at once", done.connections, crate::engine::AT_ONCE);
    }
    if let Some((exit, why)) = broken {
        let _ = writeln!(out, "result       {} (status {}): {}", layer(*exit), exit.0, printable(why));
    }
    out
}

fn named(number: u16, name: String) -> Value {
    Value::object().with("id", number).with("name", name)
}

fn version_json(found: &VersionFound) -> Value {
    let suites: Vec<Value> = found
        .suites
        .iter()
        .map(|suite| {
            let known = Suite::of(suite.id);
            named(suite.id, known.map_or_else(|| format!("0x{:04x}", suite.id), |known| known.name()))
                .with("openssl", known.and_then(|known| known.openssl()))
                .with("bits", known.map(|known| known.bits()))
                .with("group", suite.group.map(group_name))
                .with("dh_bits", suite.prime_bits)
                .with("rsa_bits", suite.modulus_bits)
        })
        .collect();
    let needs = |group: u16| found.certificate_curve.filter(|curve| *curve != group).map(group_name);
    let groups: Vec<Value> = found
        .groups
        .iter()
        .map(|group| named(*group, group_name(*group)).with("bits", group_bits(*group)).with("needs", needs(*group)))
        .collect();
    Value::object()
        .with("version", version_name(found.id))
        .with("id", found.id)
        .with("supported", found.refused.is_none())
        .with("refusal", found.refused.clone())
        .with("preference", found.order.name())
        .with("suites", suites)
        .with("group_preference", found.group_order.name())
        .with("groups", groups)
        .with("signature_preference", found.scheme_order.name())
        .with(
            "signature_algorithms",
            found.schemes.iter().map(|one| named(*one, scheme_name(*one))).collect::<Vec<_>>(),
        )
        .with("compression", found.compression.iter().map(|one| compression_name(*one)).collect::<Vec<_>>())
        .with("extensions", found.extensions.iter().map(|one| named(*one, extension_name(*one))).collect::<Vec<_>>())
        .with("remarks", found.troubles.clone())
}

/// Everything as one object.
pub(crate) fn json(
    found: &Found,
    done: Option<&Enumerated>,
    broken: Option<&Broken>,
    options: &Options,
    ctx: &Ctx,
) -> Value {
    let now = ctx.clock.unix_seconds();
    let mut out = crate::show::heading(found, options, ctx, "enumerate");
    if let Some(done) = done {
        let clear = done.clear();
        let has = |number: u16| clear.map(|clear| clear.extensions.contains(&number));
        let compresses = |one: &VersionFound| one.compression.iter().any(|method| *method != 0);
        out = out
            .with("versions", done.versions.iter().map(version_json).collect::<Vec<_>>())
            .with("secure_renegotiation", has(extension::RENEGOTIATION_INFO))
            .with("session_tickets", has(extension::SESSION_TICKET))
            .with("compresses", clear.map(|_| done.versions.iter().any(compresses)))
            .with("fallback_scsv", done.fallback.as_ref().and_then(|answer| answer.as_ref().ok().copied()))
            .with("chain", done.chain().iter().map(|der| certificate_json(der, now)).collect::<Vec<_>>())
            .with("known", done.known())
            .with("ocsp_staple", staple_json(done.staple()))
            .with("client_certificate", if done.is_seen() { request_json(done.request()) } else { Value::Null })
            .with("connections", done.connections)
            .with("at_once", crate::engine::AT_ONCE);
    }
    crate::show::ending(out, broken)
}
