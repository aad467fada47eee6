//! Beyond the peer: hints after a failure, the waterfall, the table over all addresses, repetition, the JSON report.

use std::net::IpAddr;
use std::time::Duration;

use crate::net::{self, Outcome};
use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_http::{Code, Failure, Url};

use crate::config::Config;
use crate::connect::lookup;
use crate::times::{Facts, Hop, Times};
use crate::transfer::Transfer;
use crate::world::{World, lock};

/// What is kept of a transfer for tables and reports.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) url: String,
    pub(crate) status: u16,
    pub(crate) exit: u8,
    pub(crate) error: String,
    pub(crate) facts: Facts,
    pub(crate) times: Option<Times>,
    /// First eight bytes of the SHA-256 of the body, where it was kept.
    pub(crate) digest: String,
    pub(crate) hint: Option<String>,
}

impl Summary {
    pub(crate) fn new(transfer: &Transfer<'_>, failure: Option<&Failure>, url: &str) -> Summary {
        let digest = transfer.capture.as_ref().map(|body| netkit_http::digest_prefix(body)).unwrap_or_default();
        Summary {
            url: url.to_owned(),
            status: transfer.facts.status,
            exit: failure.map_or(0, |failure| failure.code.number()),
            error: failure.map(|failure| failure.text.clone()).unwrap_or_default(),
            facts: transfer.facts.clone(),
            times: Some(transfer.times.clone()),
            digest,
            hint: hint(transfer, failure),
        }
    }
}

/// Notes a transfer for what is printed at the end.
pub(crate) fn remember(world: &World, summary: &Summary) {
    if (world.global.repeat > 1 || world.global.report.is_some()) && summary.times.is_some() {
        lock(&world.summaries).push(summary.clone());
    }
}

/// A likely cause and the command to try next.
fn hint(transfer: &Transfer<'_>, failure: Option<&Failure>) -> Option<String> {
    if let Some(hint) = &transfer.hint {
        return Some(hint.clone());
    }
    let Some(failure) = failure else { return who_answered(&transfer.facts) };
    let host = &transfer.url.host;
    let port = transfer.url.port_or_default();
    Some(match failure.code {
        Code::ResolveHost | Code::ResolveProxy => {
            let why = if transfer.why_unresolved.is_empty() { String::new() } else { format!(" ({})", transfer.why_unresolved) };
            format!("the name did not resolve{why}; try: dig --as all {host}")
        }
        Code::Connect => {
            // The attempt that was answered tells more than one that was not.
            let attempts = transfer.facts.hops.last().map(|hop| hop.attempts.as_slice()).unwrap_or_default();
            let decided = |outcome: &Outcome| !matches!(outcome, Outcome::Abandoned | Outcome::TimedOut);
            let attempt = attempts.iter().find(|one| decided(&one.outcome)).or(attempts.first())?;
            format!("{}: {}; try: nc -zv --explain {host} {port}", attempt.address, attempt.finding())
        }
        Code::TimedOut if transfer.times.connect.is_zero() => format!(
            "no answer to the connection: packets are dropped on the way (a network policy, a wrong address, no way back); \
             try: nc -zv -w 3 {host} {port}"
        ),
        Code::TimedOut if transfer.facts.down == 0 => {
            "connected, then silence: the server or a proxy in front of it waits for something else".to_owned()
        }
        Code::GotNothing => "the connection was accepted and closed without a word: a proxy without a backend, or not HTTP".to_owned(),
        Code::PeerVerification => {
            "the certificate was refused, see the chain above; -k shows the page anyway, --cacert FILE names the authority".to_owned()
        }
        _ => return None,
    })
}

/// A reply that came from a proxy rather than from the application.
fn who_answered(facts: &Facts) -> Option<String> {
    let head = facts.heads.last()?;
    if head.status < 500 {
        return None;
    }
    let server = head.field("server").unwrap_or("").to_ascii_lowercase();
    let flags = head.field("x-envoy-response-flags").or_else(|| head.field("x-envoy-upstream-service-time"));
    if server.contains("envoy") {
        let upstream = head.field("x-envoy-upstream-service-time").is_some();
        let who = if upstream {
            "through Envoy from the application"
        } else {
            "by Envoy itself; the application behind it was not reached"
        };
        return Some(format!("status {} was sent {who}", head.status));
    }
    if flags.is_some() {
        return Some(format!("status {} came through an Envoy proxy", head.status));
    }
    let proxies = ["nginx", "awselb", "haproxy", "traefik", "openresty", "cloudflare", "squid", "tinyproxy"];
    let name = proxies.iter().find(|name| server.contains(*name))?;
    matches!(head.status, 502..=504)
        .then(|| format!("status {} was made by {name}: the server behind it did not answer", head.status))
}

/// The hint line, where hints are wanted.
pub(crate) fn hints(world: &World, transfer: &Transfer<'_>, failure: Option<&Failure>) {
    if let Some(text) = hint(transfer, failure) {
        world.hint(&printable(&text));
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_micros() as f64 / 1000.0)
}

/// `--timing`: one line a phase, for every request and every address tried.
pub(crate) fn timing(world: &World, transfer: &Transfer<'_>) {
    let mut out = String::new();
    for (number, hop) in (1..).zip(&transfer.facts.hops) {
        out.push_str(&format!("request {number}: {} {} -> {}\n", hop.method, printable(&hop.url), hop.status));
        for attempt in &hop.attempts {
            let what = attempt.finding();
            out.push_str(&format!(
                "  {:>9} ms  address {}: {what}, took {} ms\n",
                ms(attempt.started_after),
                attempt.address,
                ms(attempt.elapsed)
            ));
        }
        let mut last = hop.began;
        let mut bar = |name: &str, until: Duration| {
            if until > last {
                out.push_str(&format!("  {:>9} ms  {name} {} ms\n", ms(until), ms(until.saturating_sub(last))));
                last = until;
            }
        };
        if hop.reused {
            bar("connection reused", hop.began);
        } else {
            bar("name looked up", hop.namelookup);
            bar("connected", hop.connect);
            bar("TLS agreed", hop.appconnect);
        }
        bar("request sent", hop.sent);
        bar("first byte", hop.first_byte);
        bar("complete", hop.end);
    }
    world.say(&out);
}

/// `--all-ips`: the same request to every address of the host.
pub(crate) fn all_ips(world: &World, url: &str, config: &Config, each: &mut dyn FnMut(IpAddr) -> Summary) -> u8 {
    let parsed = match Url::parse(url, config.path_as_is) {
        Ok(parsed) => parsed,
        Err(failure) => {
            world.say(&format!("curl: ({}) {}\n", failure.code.number(), failure.text));
            return failure.code.number();
        }
    };
    let lookup = lookup(world, config);
    let rules = config.resolve.iter().filter_map(|rule| {
        let rest =
            rule.trim_start_matches('+').strip_prefix(&format!("{}:{}:", parsed.host, parsed.port_or_default()))?;
        Some(
            rest.split(',')
                .filter_map(|one| net::literal(one.trim().trim_matches(['[', ']']), None, 0))
                .collect::<Vec<_>>(),
        )
    });
    let mut addresses: Vec<IpAddr> = rules.flatten().map(|address| address.ip()).collect();
    if addresses.is_empty() {
        let found =
            net::resolve(&parsed.host, parsed.zone.as_deref(), parsed.port_or_default(), config.family, &lookup);
        addresses = found.addresses.into_iter().map(|address| address.ip()).collect();
    }
    if addresses.is_empty() {
        world.say(&format!("curl: (6) Could not resolve host: {}\n", parsed.host));
        return 6;
    }
    let mut out = format!(
        "{:<40} {:>6} {:>10} {:>10} {:>8} {:<18} {}\n",
        "address", "status", "first ms", "total ms", "bytes", "body sha256", "certificate serial"
    );
    let mut worst = 0;
    for address in addresses {
        let summary = each(address);
        worst = worst.max(summary.exit);
        let (first, total) =
            summary.times.as_ref().map_or((Duration::ZERO, Duration::ZERO), |times| (times.starttransfer, times.total));
        let serial = summary
            .facts
            .certificates
            .first()
            .and_then(|der| netkit_tls::x509::Certificate::parse(der))
            .map(|one| one.serial);
        let shown = if summary.exit == 0 { summary.status.to_string() } else { format!("({})", summary.exit) };
        out.push_str(&format!(
            "{:<40} {shown:>6} {:>10} {:>10} {:>8} {:<18} {}{}\n",
            address.to_string(),
            ms(first),
            ms(total),
            summary.facts.down,
            summary.digest,
            serial.unwrap_or_default(),
            if summary.error.is_empty() { String::new() } else { format!(" {}", printable(&summary.error)) }
        ));
    }
    let _ = std::io::Write::write_all(&mut *lock(&world.out), out.as_bytes());
    worst
}

/// What `--repeat` and `--json-report` print when everything is over.
pub(crate) fn end(world: &World) {
    let summaries = lock(&world.summaries).clone();
    if world.global.repeat > 1 && !summaries.is_empty() {
        let mut totals: Vec<Duration> =
            summaries.iter().filter(|one| one.exit == 0).filter_map(|one| Some(one.times.as_ref()?.total)).collect();
        totals.sort_unstable();
        let at = |percent: usize| {
            totals.get((totals.len() * percent / 100).min(totals.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        let failed = summaries.iter().filter(|one| one.exit != 0).count();
        let new: u64 = summaries.iter().map(|one| one.facts.connects).sum();
        let mut out = format!("{} transfers, {failed} failed, {new} connections opened\n", summaries.len());
        if !totals.is_empty() {
            out.push_str(&format!(
                "total ms: min {} p50 {} p90 {} p99 {} max {}\n",
                ms(at(0)),
                ms(at(50)),
                ms(at(90)),
                ms(at(99)),
                ms(at(100))
            ));
        }
        let mut classes: Vec<(String, u64)> = Vec::new();
        for one in &summaries {
            let class = if one.exit == 0 { format!("status {}", one.status) } else { format!("error {}", one.exit) };
            match classes.iter_mut().find(|(known, _)| *known == class) {
                Some((_, count)) => *count += 1,
                None => classes.push((class, 1)),
            }
        }
        for (class, count) in classes {
            out.push_str(&format!("{count:>8} {class}\n"));
        }
        let _ = std::io::Write::write_all(&mut *lock(&world.out), out.as_bytes());
    }
    if let Some(path) = &world.global.report {
        let list: Vec<Value> = summaries.iter().map(report).collect();
        let value = Value::object().with("schema", format!("netkit-curl/{}", world.version)).with("transfers", list);
        let written = World::sink(path, &world.out, &world.err)
            .and_then(|sink| std::io::Write::write_all(&mut *lock(&sink), value.pretty().as_bytes()));
        if written.is_err() {
            world.warn(&format!("Failed to write the report to {path}"));
        }
    }
}

fn micros(time: Duration) -> Value {
    Value::from(time.as_micros())
}

fn report(one: &Summary) -> Value {
    let hops: Vec<Value> = one.facts.hops.iter().map(hop).collect();
    let chain: Vec<Value> = one
        .facts
        .certificates
        .iter()
        .filter_map(|der| netkit_tls::x509::Certificate::parse(der))
        .map(|one| {
            Value::object()
                .with("subject", one.subject)
                .with("issuer", one.issuer)
                .with("serial", one.serial)
                .with("not_before_unix_s", one.not_before)
                .with("not_after_unix_s", one.not_after)
        })
        .collect();
    let tls = one.facts.tls.as_ref().map_or(Value::Null, |session| {
        Value::object()
            .with("protocol", session.protocol.clone())
            .with("cipher", session.cipher.clone())
            .with("group", session.group.clone())
            .with("alpn", session.alpn.clone())
            .with("verify_code", session.verify_code)
            .with("anchor", session.anchor.as_ref().map(|(subject, _)| subject.clone()))
            .with("anchor_source", session.anchor.as_ref().map(|(_, source)| source.clone()))
    });
    const SECRET: [&str; 3] = ["set-cookie", "www-authenticate", "authorization"];
    let headers: Vec<Value> = one
        .facts
        .heads
        .last()
        .into_iter()
        .flat_map(|head| &head.fields)
        .map(|field| {
            let hidden = SECRET.iter().any(|name| field.name.eq_ignore_ascii_case(name));
            let value = if hidden { "[redacted]".to_owned() } else { field.value.clone() };
            Value::object().with("name", field.name.clone()).with("value", value)
        })
        .collect();
    Value::object()
        .with("url", one.url.clone())
        .with("url_effective", one.facts.effective.clone())
        .with("exit", one.exit)
        .with("error", if one.error.is_empty() { Value::Null } else { Value::Text(one.error.clone()) })
        .with("hint", one.hint.clone())
        .with("status", u32::from(one.status))
        .with("remote", one.facts.remote.map(|remote| remote.to_string()))
        .with("local", one.facts.local.map(|local| local.to_string()))
        .with("down_bytes", one.facts.down)
        .with("up_bytes", one.facts.up)
        .with("total_us", one.times.as_ref().map_or(Value::Null, |times| micros(times.total)))
        .with("hops", hops)
        .with("tls", tls)
        .with("chain", chain)
        .with("headers", headers)
}

fn hop(hop: &Hop) -> Value {
    let attempts: Vec<Value> = hop
        .attempts
        .iter()
        .map(|attempt| {
            Value::object()
                .with("address", attempt.address.to_string())
                .with("started_after_us", micros(attempt.started_after))
                .with("elapsed_us", micros(attempt.elapsed))
                .with("outcome", attempt.outcome.keyword())
                .with("finding", attempt.finding().to_string())
                .with("source", attempt.source.map(|source| source.to_string()))
        })
        .collect();
    Value::object()
        .with("url", hop.url.clone())
        .with("method", hop.method.clone())
        .with("status", u32::from(hop.status))
        .with("http_version", u32::from(hop.version))
        .with("reused", hop.reused)
        .with("resolved_by", hop.how.clone())
        .with("began_us", micros(hop.began))
        .with("namelookup_us", micros(hop.namelookup))
        .with("connect_us", micros(hop.connect))
        .with("appconnect_us", micros(hop.appconnect))
        .with("sent_us", micros(hop.sent))
        .with("first_byte_us", micros(hop.first_byte))
        .with("end_us", micros(hop.end))
        .with("attempts", attempts)
}
