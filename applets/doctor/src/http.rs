//! The HTTP layer: what an answer means, and who gave it.

use std::net::SocketAddr;
use std::time::Duration;

use netkit_core::text::printable;
use netkit_http::head::Head;

use crate::exchange::{Answer, End, Trouble};
use crate::report::{Fault, Gravity, Layer, Report, millis};
use crate::target::Target;
use crate::world::World;

/// Programs and people begin to notice.
const SLOW: Duration = Duration::from_millis(1_000);
/// A clock that differs by more breaks tokens and certificates, in seconds.
const SKEW: i64 = 60;
/// From here on tokens fail (Kerberos allows five minutes, most others less).
const SERIOUS: i64 = 301;
/// See [`skew`].
const RECORDED: i64 = 2 * 86_400;

/// Who answered, by what they put into the head.
pub(crate) fn who(head: &Head) -> String {
    let mut parts: Vec<String> = Vec::new();
    for name in ["server", "via", "x-served-by", "x-powered-by"] {
        parts.extend(head.field(name).map(|value| format!("{name}: {}", short(value))));
    }
    let envoy = head.fields.iter().find(|field| field.name.to_ascii_lowercase().starts_with("x-envoy-"));
    parts
        .extend(envoy.map(|field| format!("{}: {}", printable(&field.name.to_ascii_lowercase()), short(&field.value))));
    if parts.is_empty() { "no word of who it is".to_owned() } else { parts.join(", ") }
}

fn short(value: &str) -> String {
    printable(value).chars().take(80).collect()
}

/// A proxy in front, when the answer looks like one's own and not like the application's.
fn middleman(answer: &Answer) -> Option<&'static str> {
    let head = &answer.head;
    let server = head.field("server").unwrap_or_default().to_ascii_lowercase();
    let body = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    let has = |prefix: &str| head.fields.iter().any(|field| field.name.to_ascii_lowercase().starts_with(prefix));
    if server.contains("envoy") || has("x-envoy-") {
        return Some(if server.contains("istio") { "the Istio sidecar or gateway (envoy)" } else { "envoy" });
    }
    if body.contains("no server is available to handle this request") || server.contains("haproxy") {
        return Some("haproxy");
    }
    if server.contains("nginx") || server.contains("openresty") {
        return Some("nginx");
    }
    if server.contains("squid") || has("x-squid") {
        return Some("squid");
    }
    if server.contains("traefik") || body.trim() == "no available server" {
        return Some("traefik");
    }
    if server.contains("awselb") {
        return Some("the AWS load balancer");
    }
    if server.contains("cloudflare") {
        return Some("Cloudflare");
    }
    if server.contains("linkerd") || has("l5d-") {
        return Some("the linkerd proxy");
    }
    if has("via") {
        return Some("a proxy");
    }
    None
}

/// Lines and faults of an answer.
pub(crate) fn judge(world: &World, target: &Target, address: SocketAddr, answer: &Answer, report: &mut Report) {
    let head = &answer.head;
    let status = head.status;
    let by = who(head);
    let text = format!("{status} after {}, {} bytes, {by}", millis(answer.first_byte), answer.length);
    report.timings.push(("first_byte", answer.first_byte));
    report.answerer = Some(format!("{status} {by}"));
    let next = format!("netkit curl -sv {}", url(target));
    let mut faults: Vec<Fault> = Vec::new();
    if let Some(fault) = tls_mistaken(target, answer) {
        faults.push(fault);
    } else if let Some(fault) = certificate_missing(answer) {
        faults.push(fault);
    } else if let Some(fault) = of_status(target, answer) {
        faults.push(fault.next(next.clone()));
    }
    faults.extend(of_end(address, answer, world.patience()).map(|fault| fault.next(next.clone())));
    if answer.first_byte >= SLOW {
        let sentence = format!(
            "the first byte of the answer took {}: the connection itself is quick, so the application or what is behind it is slow",
            millis(answer.first_byte)
        );
        faults.push(Fault::impaired(Layer::Http, "slow_first_byte", sentence).next(next));
    }
    let broken = faults.iter().any(|fault| fault.gravity == Gravity::Fatal);
    let layer = faults.first().map_or(Layer::Http, |fault| fault.layer);
    if broken {
        report.broken(layer, text, Some(answer.first_byte));
    } else {
        report.fine(Layer::Http, text, Some(answer.first_byte));
        report.looked.push(format!("HTTP ({status})"));
    }
    report.faults.extend(faults);
    if let Some(fault) = skew(world, head) {
        report.note(Layer::Environment, fault.sentence.clone());
        report.faults.push(fault);
    }
}

pub(crate) fn url(target: &Target) -> String {
    let scheme = if target.tls { "https" } else { "http" };
    format!("{scheme}://{}{}", target.authority(), target.path)
}

/// Our clock against the server's.
pub(crate) fn skew(world: &World, head: &Head) -> Option<Fault> {
    // A cache keeps the Date of the origin and says how long ago that was (RFC 9111, section 5.1).
    let age = head.field("age").and_then(|age| age.trim().parse::<u32>().ok()).map_or(0, i64::from);
    let theirs = netkit_http::date::parse(head.field("date")?)?.saturating_add(age);
    let off = theirs.saturating_sub(world.now);
    if off.abs() <= SKEW {
        return None;
    }
    // Days and more are rather a page that was recorded than a clock.
    let gravity = if (SERIOUS..=RECORDED).contains(&off.abs()) { Gravity::Impaired } else { Gravity::Advice };
    let which = if off > 0 { "behind" } else { "ahead of" };
    let sentence = format!(
        "this clock is {} {which} that of the server: one of them is wrong, and tokens and certificates fail by it",
        crate::tls::span(off)
    );
    Some(Fault::new(Layer::Environment, "clock_skew", gravity, sentence).next("date -u"))
}

/// Plain HTTP spoken to a TLS port, as servers say it.
fn tls_mistaken(target: &Target, answer: &Answer) -> Option<Fault> {
    if target.tls || answer.head.status != 400 {
        return None;
    }
    let body = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    let said = [
        "plain http request was sent to https port",
        "http request to an https server",
        "speaking plain http to an ssl-enabled server",
        "this combination of host and port requires tls",
    ];
    said.iter().any(|words| body.contains(words)).then(|| tls_wanted(target))
}

pub(crate) fn tls_wanted(target: &Target) -> Fault {
    let sentence = format!("port {} speaks TLS and was spoken to in plain HTTP: use https://", target.port);
    Fault::fatal(Layer::Tls, "tls_wanted", sentence).next(format!(
        "netkit doctor https://{}:{}{}",
        target.bracketed(),
        target.port,
        target.path
    ))
}

/// nginx completes the handshake and says it in a page.
fn certificate_missing(answer: &Answer) -> Option<Fault> {
    let body = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    let missing = body.contains("no required ssl certificate");
    let refused = body.contains("the ssl certificate error");
    if !(missing || refused) || !matches!(answer.head.status, 400 | 403 | 495 | 496) {
        return None;
    }
    let (cause, sentence) = if missing {
        ("client_certificate_wanted", "the server wants a client certificate (mutual TLS) and none was given")
    } else {
        ("client_certificate_refused", "the server does not accept the client certificate (mutual TLS)")
    };
    Some(
        Fault::fatal(Layer::Tls, cause, sentence.to_owned())
            .evidence(format!("{} with a page that says so", answer.head.status)),
    )
}

fn of_status(target: &Target, answer: &Answer) -> Option<Fault> {
    let status = answer.head.status;
    let proxy = middleman(answer);
    let by = who(&answer.head);
    let from = proxy.unwrap_or("the server");
    let body = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    let (cause, sentence): (&'static str, String) = match status {
        503 if body.contains("no healthy upstream")
            || body.contains("no server is available")
            || body.contains("no available server") =>
        {
            (
                "no_healthy_upstream",
                format!(
                    "{from} answered 503: it has no healthy backend behind it, so the service is down, not the way to it"
                ),
            )
        }
        503 if body.contains("upstream connect error") => (
            "upstream_connect_error",
            format!("{from} answered 503: it could not connect to the application behind it"),
        ),
        502 | 504 if proxy.is_some() => (
            if status == 502 { "bad_gateway" } else { "gateway_timeout" },
            format!(
                "{from} answered {status}: it {} the backend behind it",
                if status == 502 { "could not reach, or got nonsense from," } else { "waited in vain for" }
            ),
        ),
        502 => ("bad_gateway", "a proxy answered 502: it could not reach the backend behind it".to_owned()),
        504 => ("gateway_timeout", "a proxy answered 504: it waited in vain for the backend behind it".to_owned()),
        503 => ("unavailable", format!("{from} answered 503: the service says it is not available")),
        500..=599 => ("server_error", format!("{from} answered {status}: the network is fine, the application fails")),
        401 => ("unauthorized", format!("{from} answered 401: the network is fine, credentials are wanted")),
        403 => (
            "forbidden",
            format!("{from} answered 403: the network is fine, this client may not have {}", short(&target.path)),
        ),
        404 => (
            "not_found",
            format!(
                "{from} answered 404: the network is fine, there is no {} for the host {}",
                short(&target.path),
                short(&target.authority())
            ),
        ),
        407 => ("proxy_credentials", format!("{from} answered 407: the proxy wants credentials")),
        421 => ("misdirected", format!("{from} answered 421: it does not serve this host on this connection")),
        429 => ("too_many_requests", format!("{from} answered 429: this client is held back for asking too often")),
        431 => ("head_too_large", format!("{from} answered 431: the head of the request is too large for it")),
        400..=499 => ("client_error", format!("{from} answered {status}: the network is fine, the request is refused")),
        _ => return None,
    };
    Some(Fault::fatal(Layer::Http, cause, sentence).evidence(by))
}

fn of_end(address: SocketAddr, answer: &Answer, patience: Duration) -> Option<Fault> {
    let of = |total: Option<u64>| total.map_or_else(String::new, |total| format!(" of {total}"));
    Some(match &answer.end {
        End::Complete | End::Enough => return None,
        End::Cut(total) => Fault::fatal(
            Layer::Http,
            "body_cut_short",
            format!(
                "the answer is cut short: {address} closed the connection after {}{} bytes of the body",
                answer.length,
                of(*total)
            ),
        ),
        End::Stalled(total) => Fault::fatal(
            Layer::Http,
            "body_stalls",
            format!(
                "the answer stalls: after {}{} bytes of the body nothing more came for {}",
                answer.length,
                of(*total),
                millis(patience)
            ),
        ),
        End::Endless => Fault::fatal(
            Layer::Http,
            "body_endless",
            format!(
                "the answer does not end: {} bytes came in {} and no end was in sight",
                answer.length,
                millis(patience * 2)
            ),
        ),
        End::Malformed(why) => Fault::fatal(
            Layer::Http,
            "body_malformed",
            format!("the body of the answer is malformed: {}", printable(why)),
        ),
    })
}

/// The fault of a request without an answer, apart from silence, which needs a closer look.
pub(crate) fn blame(target: &Target, address: SocketAddr, trouble: &Trouble) -> Option<Fault> {
    let next = format!("netkit curl -sv {}", url(target));
    let fatal = |cause: &'static str, sentence: String| Fault::fatal(Layer::Http, cause, sentence).next(next.clone());
    Some(match trouble {
        Trouble::Silent => return None,
        Trouble::Empty => fatal("empty_reply", format!("{address} accepted the connection and closed it without an answer: a proxy without a backend, or an application that died over the request")).unsure(),
        Trouble::Reset => Fault::fatal(Layer::Tcp, "accepted_then_reset", crate::tcp::reset_words(address)).next(next.clone()),
        Trouble::Alert(text) => {
            crate::tls::alert(&target.host, address, text)
                .unwrap_or_else(|| Fault::fatal(Layer::Tls, "broken", format!("TLS with {address} broke after the handshake: {}", printable(text))))
                .next(crate::tls::probe_command(target))
        }
        Trouble::Other(bytes) if !target.tls && is_tls(bytes) => tls_wanted(target),
        Trouble::Other(bytes) => {
            let shown: String = String::from_utf8_lossy(bytes.get(..bytes.len().min(60)).unwrap_or_default()).into_owned();
            let shown = printable(shown.trim_end());
            fatal("not_http", format!("{address} does not speak HTTP, it says \"{shown}\"")).next(format!("netkit nc -v --explain {} {}", address.ip(), address.port()))
        }
        Trouble::Malformed(why) => fatal("malformed_head", format!("the answer of {address} is no HTTP that can be read: {}", printable(why))),
        Trouble::HalfHead => fatal("half_head", format!("{address} began an answer and did not finish its head")),
        Trouble::Tls(_) => return None,
        Trouble::Failed(why) => fatal("error", format!("speaking HTTP with {address} failed: {}", printable(why))),
    })
}

/// A record of TLS: alert or handshake (RFC 8446, section 5.1).
pub(crate) fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 3, 0..=4, ..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use netkit_http::head::Field;

    fn answer(status: u16, fields: &[(&str, &str)], body: &str) -> Answer {
        let field = |(name, value): &(&str, &str)| Field { name: (*name).to_owned(), value: (*value).to_owned() };
        Answer {
            head: Head { version: 11, status, fields: fields.iter().map(field).collect() },
            first_byte: Duration::from_millis(3),
            length: body.len() as u64,
            body: body.as_bytes().to_vec(),
            end: End::Complete,
        }
    }

    #[test]
    fn who_says_so() {
        let target = Target::parse("http://a/").unwrap();
        let of = |answer: &Answer| of_status(&target, answer).map(|fault| (fault.cause, fault.sentence));
        let (cause, sentence) = of(&answer(503, &[("Server", "envoy")], "no healthy upstream")).unwrap();
        assert_eq!(cause, "no_healthy_upstream");
        assert!(sentence.starts_with("envoy answered 503"), "{sentence}");
        let (cause, sentence) = of(&answer(502, &[("Server", "nginx/1.22")], "")).unwrap();
        assert!(cause == "bad_gateway" && sentence.starts_with("nginx"), "{sentence}");
        assert_eq!(of(&answer(404, &[], "")).unwrap().0, "not_found");
        assert_eq!(of(&answer(204, &[], "")), None);
    }

    #[test]
    fn plain_words_to_a_tls_port() {
        let target = Target::parse("http://a:8443/").unwrap();
        let page = answer(400, &[], "<h1>The plain HTTP request was sent to HTTPS port</h1>");
        assert_eq!(tls_mistaken(&target, &page).map(|fault| fault.cause), Some("tls_wanted"));
        assert!(is_tls(&[0x15, 3, 1, 0, 2]) && !is_tls(b"HTTP"));
    }
}
