//! What was found, on one screen or as one object.

use std::fmt::Write as _;
use std::time::Duration;

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_core::{Ctx, Exit};
use netkit_wire::x509::{
    Certificate, GeneralName, KeyShown, NameStyle, algorithm, full, hex_colons, name_text, oid, validity,
};

use crate::args::Options;
use crate::probe::Found;
use crate::verdict::{Verdict, strict};

/// Most names of one certificate on the screen.
const NAMES: usize = 12;
/// Most sources of trust on the screen.
const SOURCES: usize = 3;

fn millis(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{:01} ms", micros / 1000, micros / 100 % 10)
}

/// What every certificate of the chain is, from its DER.
pub(crate) fn certificate_lines(out: &mut String, der: &[u8], pad: &str, now: i64) {
    let Some(read) = Certificate::read(der) else {
        let _ = writeln!(out, "{pad}unreadable: {} bytes", der.len());
        return;
    };
    let key = KeyShown::of(&read.spki);
    let size = match (&key.curve, key.bits) {
        (Some(curve), _) => format!("{} {curve}", key.algorithm),
        (None, Some(bits)) => format!("{} {bits} bit", key.algorithm),
        (None, None) => key.algorithm.clone(),
    };
    let (before, after) = validity(&read);
    let _ = writeln!(out, "{pad}subject      {}", name_text(read.subject, NameStyle::OneLine));
    let _ = writeln!(out, "{pad}issuer       {}", name_text(read.issuer, NameStyle::OneLine));
    let names: Vec<String> = read.alt_names().iter().map(GeneralName::text).collect();
    if !names.is_empty() {
        let more = names.len().saturating_sub(NAMES);
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown: Vec<String> = names.into_iter().take(NAMES).map(|name| printable(&name)).collect();
        let _ = writeln!(out, "{pad}names        {}{tail}", shown.join(", "));
    }
    let _ = writeln!(out, "{pad}valid        {before} to {after}{}", share(&read, now));
    let signature = oid::long(algorithm(&read.algorithm).0);
    let _ = writeln!(out, "{pad}key          {size}, signed with {signature}");
    let _ = writeln!(out, "{pad}sha256       {}", hex_colons(&netkit_tls::sha256(read.der)));
    for remark in crate::cert::lints(&read, now) {
        let _ = writeln!(out, "{pad}remark       {remark}");
    }
}

/// How much of the lifetime is left.
fn share(read: &Certificate<'_>, now: i64) -> String {
    let (Some(begin), Some(end)) = read.valid() else { return String::new() };
    if now < begin {
        return format!(" (not yet valid, by {})", span(begin - now));
    }
    if now > end {
        return format!(" (expired, by {})", span(now - end));
    }
    let percent = (end - now).saturating_mul(100) / (end - begin).max(1);
    format!(" ({} left, {percent} % of its lifetime)", span(end - now))
}

fn span(seconds: i64) -> String {
    match seconds {
        0..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// What is odd about the order of the chain.
pub(crate) fn order(chain: &[Vec<u8>], verdict: Option<&Verdict>) -> Vec<String> {
    let read: Vec<Certificate<'_>> = chain.iter().filter_map(|der| Certificate::read(der)).collect();
    let mut out = Vec::new();
    for (at, pair) in read.windows(2).enumerate() {
        if let [one, next] = pair
            && one.issuer.whole != next.subject.whole
        {
            out.push(format!("certificate {} is not issued by the next one", at));
        }
    }
    for (at, one) in read.iter().enumerate().skip(1) {
        if one.is_self_issued() {
            out.push(format!("certificate {at}: the root is sent along, which no client needs"));
        }
    }
    for (at, one) in chain.iter().enumerate() {
        if chain.iter().take(at).any(|before| before == one) {
            out.push(format!("certificate {at} is sent twice"));
        }
    }
    let Some(verdict) = verdict else { return out };
    for at in &verdict.superfluous {
        if read.get(*at).is_some_and(|one| !one.is_self_issued()) {
            out.push(format!("certificate {at} is superfluous: no part of the chain"));
        }
    }
    if matches!(verdict.code(), 2 | 20)
        && let Some(last) = read.last().filter(|last| !last.is_self_issued())
    {
        let issuer = printable(&name_text(last.issuer, NameStyle::OneLine));
        let sent = if read.len() == 1 { "no intermediate is sent; " } else { "" };
        let fetch = verdict.fetch.as_ref().map(|uri| format!("; to be had at {}", printable(uri))).unwrap_or_default();
        out.push(format!("{sent}the issuer is missing, here and in the store: {issuer}{fetch}"));
    }
    out
}

/// Who this is, when the server's own certificate gives it away.
fn known(found: &Found) -> Option<String> {
    let session = found.session.as_ref()?;
    crate::known::known(session.chain.first()?, session.asked.is_some() || found.wants_certificate)
}

/// The screen.
pub(crate) fn screen(found: &Found, options: &Options, now: i64) -> String {
    let mut out = String::new();
    let chain = found.session.as_ref().map(|session| session.chain.as_slice()).unwrap_or_default();
    if options.pem && !chain.is_empty() {
        for der in chain {
            out.push_str(&netkit_wire::pem::encode("CERTIFICATE", der));
        }
        return out;
    }
    let asked = match (options.silent, options.name() == options.host) {
        (true, _) => " asking for no name".to_owned(),
        (_, true) => String::new(),
        _ => format!(" as {}", printable(options.name())),
    };
    let _ = writeln!(out, "target       {}:{}{asked}", printable(&options.host), options.port);
    if let Some(reached) = found.reached {
        let others = found.addresses.len().saturating_sub(1);
        let tail = if others > 0 { format!(" (one of {})", others + 1) } else { String::new() };
        let _ = writeln!(out, "address      {reached}{tail}");
    }
    let phases = [("dns", found.dns), ("tcp", found.tcp), ("starttls", found.plain), ("tls", found.tls)];
    let phases: Vec<String> =
        phases.iter().filter_map(|(name, time)| time.map(|time| format!("{name} {}", millis(time)))).collect();
    if !phases.is_empty() {
        let _ = writeln!(out, "time         {}", phases.join(", "));
    }
    if let Some(session) = &found.session {
        let group = if session.group.is_empty() { String::new() } else { format!(", {}", session.group) };
        let _ = writeln!(out, "protocol     {}, {}{group}", session.protocol, session.cipher);
        let alpn = session.alpn.as_deref().map_or_else(|| "none agreed".to_owned(), printable);
        let offered = if options.alpn.is_empty() { "none offered".to_owned() } else { options.alpn.join(",") };
        let _ = writeln!(out, "alpn         {alpn} (offered: {})", printable(&offered));
    }
    for (at, der) in chain.iter().enumerate() {
        let _ = writeln!(out, "\ncertificate {at}");
        certificate_lines(&mut out, der, "  ", now);
        if options.showcerts {
            if let Some(read) = Certificate::read(der) {
                out.push_str(&full(&read));
            }
            out.push_str(&netkit_wire::pem::encode("CERTIFICATE", der));
        }
    }
    if !chain.is_empty() {
        out.push('\n');
    }
    for remark in order(chain, found.verdict.as_ref()) {
        let _ = writeln!(out, "order        {remark}");
    }
    if let Some(known) = known(found) {
        let _ = writeln!(out, "known        {known}");
    }
    if let Some(session) = found.session.as_ref().filter(|session| !session.staple.is_empty()) {
        let _ = writeln!(out, "staple       {}", crate::extras::staple_text(Some(&session.staple), now));
    }
    if let (Some(session), Some(verdict)) = (&found.session, &found.verdict) {
        if let Some(asked) = &session.asked {
            let _ = writeln!(out, "asks         for a client certificate{}", authorities(asked));
        }
        match &verdict.anchor {
            Some((anchor, source)) => {
                let _ = writeln!(out, "anchor       {} from {}", printable(anchor), printable(source));
            }
            None => {
                let more = session.sources.len().saturating_sub(SOURCES);
                let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
                let shown: Vec<String> = session.sources.iter().take(SOURCES).map(|source| printable(source)).collect();
                let _ = writeln!(out, "anchor       none matched; tried: {}{tail}", shown.join(", "));
            }
        }
        for remark in &found.trust_remarks {
            let _ = writeln!(out, "trust        {}", printable(remark));
        }
        let _ = writeln!(out, "strict       {}", strict(session.strict.as_deref()));
        let _ = writeln!(out, "openssl      {}", verdict.text());
        if let Some(more) = verdict.at_levels() {
            let _ = writeln!(out, "             {more}");
        }
        for depth in &verdict.unchecked {
            let _ = writeln!(
                out,
                "             the signature at depth {depth} was not checked: its algorithm is not known here"
            );
        }
    }
    let result = match (&found.failure, found.status.0) {
        (None, _) => "fine".to_owned(),
        (Some(why), Exit(status)) => format!("{} (status {status}): {}", layer(found.status.0), printable(why)),
    };
    let _ = writeln!(out, "result       {result}");
    out
}

/// Whose certificates the server accepts.
fn authorities(asked: &netkit_tls::Asked) -> String {
    let names: Vec<String> = asked.authorities.iter().take(NAMES).map(|name| printable(&name_of(name))).collect();
    let more = asked.authorities.len().saturating_sub(names.len());
    match (names.is_empty(), more) {
        (true, _) => " and does not say of whom".to_owned(),
        (false, 0) => format!(" of: {}", names.join("; ")),
        (false, more) => format!(" of: {} and {more} more", names.join("; ")),
    }
}

fn name_of(der: &[u8]) -> String {
    netkit_wire::der::Element::only(der).map(|name| name_text(name, NameStyle::OneLine)).unwrap_or_default()
}

pub(crate) fn layer(status: Exit) -> &'static str {
    match status.0 {
        2 => "usage",
        3 => "name",
        4 => "connection",
        5 => "not TLS",
        6 => "handshake",
        7 => "dates",
        8 => "other name",
        9 => "untrusted",
        10 => "purpose",
        11 => "client certificate wanted",
        _ => "fine",
    }
}

/// One certificate as an object.
pub(crate) fn certificate_json(der: &[u8], now: i64) -> Value {
    let Some(read) = Certificate::read(der) else { return Value::object().with("readable", false) };
    let key = KeyShown::of(&read.spki);
    let (begin, end) = read.valid();
    Value::object()
        .with("subject", name_text(read.subject, NameStyle::OneLine))
        .with("issuer", name_text(read.issuer, NameStyle::OneLine))
        .with("serial", netkit_core::text::hex(read.serial))
        .with("names", read.alt_names().iter().map(|name| printable(&name.text())).collect::<Vec<_>>())
        .with("not_before_unix", begin)
        .with("not_after_unix", end)
        .with("left_seconds", end.map(|end| end - now))
        .with("key_algorithm", key.algorithm)
        .with("key_bits", key.bits.map(|bits| bits as u64))
        .with("signature_algorithm", oid::long(algorithm(&read.algorithm).0))
        .with("is_ca", read.constraints().is_some_and(|constraints| constraints.ca))
        .with("sha256", netkit_core::text::hex(&netkit_tls::sha256(read.der)))
        .with("remarks", crate::cert::lints(&read, now))
}

/// How every object of ours begins.
pub(crate) fn heading(found: &Found, options: &Options, ctx: &Ctx, mode: &str) -> Value {
    Value::object()
        .with("schema", format!("tls-probe/{}", ctx.build.version))
        .with("mode", mode)
        .with("host", options.host.as_str())
        .with("port", options.port)
        .with("servername", options.name())
        .with("address", found.reached.map(|at| at.ip().to_string()))
}

/// How the objects of `--enumerate`, `--hello-test` and `--resume` end.
pub(crate) fn ending(object: Value, broken: Option<&crate::probe::Broken>) -> Value {
    let status = broken.map_or(Exit::OK, |(exit, _)| *exit);
    object.with("layer", layer(status)).with("failure", broken.map(|(_, why)| why.clone())).with("status", status.0)
}

/// Everything as one object.
pub(crate) fn json(found: &Found, options: &Options, ctx: &Ctx) -> Value {
    let now = ctx.clock.unix_seconds();
    let micros = |time: Option<Duration>| time.map(|time| time.as_micros());
    let session = found.session.as_ref();
    let chain = session.map(|session| session.chain.as_slice()).unwrap_or_default();
    let verdict = found.verdict.as_ref();
    let anchor = verdict.and_then(|verdict| verdict.anchor.as_ref());
    let asked = session.and_then(|session| session.asked.as_ref());
    let mut out = heading(found, options, ctx, "probe")
        .with("dns_us", micros(found.dns))
        .with("tcp_us", micros(found.tcp))
        .with("starttls_us", micros(found.plain))
        .with("tls_us", micros(found.tls))
        .with("protocol", session.map(|session| session.protocol.clone()))
        .with("cipher", session.map(|session| session.cipher.clone()))
        .with("group", session.map(|session| session.group.clone()))
        .with("alpn", session.and_then(|session| session.alpn.clone()))
        .with("chain", chain.iter().map(|der| certificate_json(der, now)).collect::<Vec<_>>())
        .with("order", order(chain, verdict))
        .with("known", known(found))
        .with(
            "ocsp_staple",
            crate::extras::staple_json(session.map(|session| &*session.staple).filter(|staple| !staple.is_empty())),
        )
        .with("anchor", anchor.map(|(anchor, _)| printable(anchor)))
        .with("anchor_source", anchor.map(|(_, source)| source.clone()))
        .with("sources", session.map(|session| session.sources.clone()).unwrap_or_default())
        .with("trust_remarks", found.trust_remarks.clone())
        .with("strict", session.map(|session| strict(session.strict.as_deref())))
        .with("strict_error", session.and_then(|session| session.strict.clone()));
    if let Some(verdict) = verdict {
        verdict.json(&mut out);
    }
    let schemes =
        asked.map(|asked| asked.schemes.iter().map(|one| netkit_wire::tls::scheme_name(*one)).collect::<Vec<_>>());
    out.with("client_certificate_asked", asked.is_some())
        .with("client_certificate_algorithms", schemes)
        .with(
            "client_certificate_authorities",
            asked.map(|asked| asked.authorities.iter().map(|name| printable(&name_of(name))).collect::<Vec<_>>()),
        )
        .with("client_certificate_wanted", found.wants_certificate)
        .with("layer", layer(found.status.0))
        .with("failure", found.failure.clone())
        .with("status", found.status.0.0)
}
