//! The TLS layer: why a handshake failed, in words, and what a chain that was accepted is worth elsewhere.

use std::net::SocketAddr;

use netkit_core::text::printable;
use netkit_tls::x509::{AltName, Certificate, date_text};
use netkit_tls::{Kind, Session, TlsError};

use crate::report::{Fault, Gravity, Layer, Report};
use crate::target::Target;
use crate::world::World;

/// A certificate that ends sooner is worth a word.
const SOON: i64 = 14 * 86_400;

/// What was agreed.
pub(crate) fn accepted(
    world: &World,
    target: &Target,
    session: &Session,
    elapsed: std::time::Duration,
    report: &mut Report,
) {
    let leaf = session.chain.first().and_then(|der| Certificate::parse(der));
    let name = server_name(world, target);
    let mut text = format!("{}, {}", session.protocol, session.cipher);
    if let Some(leaf) = &leaf {
        text.push_str(&format!(", certificate for {} until {}", name, date_text(leaf.not_after)));
    }
    if let Some((anchor, source)) = &session.anchor {
        text.push_str(&format!(", trusted through {} ({source})", printable(anchor)));
    }
    report.fine(Layer::Tls, text, Some(elapsed));
    report.timings.push(("tls", elapsed));
    report.looked.push("TLS".to_owned());
    if let Some(why) = session.leniency {
        report.note(Layer::Tls, format!("accepted as OpenSSL does; stricter clients refuse it: {why}"));
        let sentence = format!("clients with OpenSSL accept the certificate of {name}, others refuse it: {why}");
        report
            .faults
            .push(Fault::new(Layer::Tls, "accepted_by_some", Gravity::Impaired, sentence).next(probe_command(target)));
    }
    if let Some(leaf) = leaf.filter(|leaf| leaf.not_after - world.now < SOON) {
        let text =
            format!("the certificate ends in {}, on {}", span(leaf.not_after - world.now), date_text(leaf.not_after));
        report.note(Layer::Tls, text.clone());
        report.faults.push(Fault::new(Layer::Tls, "expires_soon", Gravity::Advice, text));
    }
}

/// The name that is checked.
pub(crate) fn server_name(world: &World, target: &Target) -> String {
    world.options.sni.clone().unwrap_or_else(|| target.host.clone())
}

pub(crate) fn probe_command(target: &Target) -> String {
    format!("netkit tls-probe {}:{}", target.bracketed(), target.port)
}

/// Seconds as people say them.
pub(crate) fn span(seconds: i64) -> String {
    let seconds = seconds.abs();
    match seconds {
        0..=119 => format!("{seconds} seconds"),
        120..=7_199 => format!("{} minutes", seconds / 60),
        7_200..=172_799 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The fault of a failed handshake; `None` when silence needs a closer look.
pub(crate) fn blame(world: &World, target: &Target, address: SocketAddr, error: &TlsError) -> Option<Fault> {
    let name = server_name(world, target);
    let now = world.now;
    let chain: Vec<Certificate> = error.seen.chain.iter().filter_map(|der| Certificate::parse(der)).collect();
    let fatal =
        |cause: &'static str, sentence: String| Fault::fatal(Layer::Tls, cause, sentence).next(probe_command(target));
    let shown = netkit_tls::chain_report(&error.seen, &name, now);
    let text = error.text.as_str();
    Some(match error.kind {
        Kind::Verification => verification(&name, now, error, &chain).all_evidence(shown).next(probe_command(target)),
        Kind::OwnCertificate => fatal("own_certificate", format!("our own certificate cannot be used: {text}")),
        Kind::Anchors => fatal("anchors", format!("the trusted certificates cannot be read: {text}")),
        Kind::Pin => fatal("pin", text.to_owned()),
        Kind::TimedOut => return None,
        Kind::Broken if text.contains("eof") => fatal(
            "closed_in_handshake",
            format!("{address} accepts the connection and closes it in the TLS handshake: no TLS is spoken there, or a proxy has no backend for '{name}'"),
        )
        .unsure(),
        Kind::Broken if text.to_ascii_lowercase().contains("reset") => fatal(
            "reset_in_handshake",
            format!("{address} accepts the connection and resets it in the TLS handshake: a sidecar or proxy without a backend, strict mutual TLS, or a filter that looks into TLS"),
        )
        .unsure(),
        Kind::Broken => fatal("broken_in_handshake", format!("the connection to {address} broke in the TLS handshake: {text}")),
        Kind::Handshake if text.contains("wrong version number") => fatal(
            "plain_port",
            format!("{address} does not speak TLS: it answers in plain text, so this is an http:// port or something in between answered"),
        )
        .next(format!("netkit doctor http://{}:{}{}", target.bracketed(), target.port, if target.path.is_empty() { "/" } else { &target.path })),
        Kind::Handshake if error.seen.asked.is_some() && !world.has_certificate() => fatal("client_certificate_wanted", format!("{address} wants a client certificate (mutual TLS) and none was given")).evidence(text),
        Kind::Handshake | Kind::Cipher => alert(&name, address, text).unwrap_or_else(|| fatal("handshake", format!("the TLS handshake with {address} failed: {text}"))).next(probe_command(target)),
    })
}

/// An alert, by the words of the room.
pub(crate) fn alert(name: &str, address: SocketAddr, text: &str) -> Option<Fault> {
    let lower = text.to_ascii_lowercase();
    let fatal = |cause: &'static str, sentence: String| {
        Some(Fault::fatal(Layer::Tls, cause, sentence).evidence(format!("the server says: {text}")))
    };
    if lower.contains("certificate required") || lower.contains("certificaterequired") {
        return fatal(
            "client_certificate_wanted",
            format!("{address} wants a client certificate (mutual TLS) and none was given"),
        );
    }
    if lower.contains("bad certificate")
        || lower.contains("unknown ca")
        || lower.contains("certificateunknown")
        || lower.contains("access denied")
    {
        return fatal(
            "client_certificate_refused",
            format!("{address} does not accept the client certificate, or wants one and got none (mutual TLS)"),
        );
    }
    if lower.contains("protocol version") {
        return fatal(
            "protocol_version",
            format!(
                "{address} and this client have no TLS version in common: only 1.2 and 1.3 are offered, the server wants another"
            ),
        );
    }
    if lower.contains("unrecognized name") {
        return fatal(
            "unrecognized_name",
            format!(
                "the TLS server at {address} has nothing for the name '{name}': wrong name, or an ingress without this host"
            ),
        );
    }
    if lower.contains("no application protocol") {
        return fatal("alpn", format!("{address} speaks none of the protocols offered (ALPN)"));
    }
    if lower.contains("handshake failure") {
        let found = fatal(
            "handshake_failure",
            format!(
                "{address} ends the handshake: cannot tell which of: no cipher suite or group in common, it wants a client certificate, it has nothing for the name '{name}'"
            ),
        );
        return found.map(Fault::unsure);
    }
    lower
        .contains("alert")
        .then(|| Fault::fatal(Layer::Tls, "alert", format!("{address} ends the handshake with {text}")))
}

fn verification(name: &str, now: i64, error: &TlsError, chain: &[Certificate]) -> Fault {
    let fatal = |cause: &'static str, sentence: String| Fault::fatal(Layer::Tls, cause, sentence);
    let leaf = chain.first();
    let subject = |one: &Certificate| printable(&one.subject);
    let late = chain.iter().position(|one| one.not_after < now);
    let early = chain.iter().position(|one| one.not_before > now);
    match (error.seen.code, leaf) {
        (10, Some(leaf)) => {
            let one = late.and_then(|at| chain.get(at)).unwrap_or(leaf);
            let which = if late == Some(0) || late.is_none() {
                format!("the certificate of {name}")
            } else {
                format!("the issuing certificate {}", subject(one))
            };
            fatal(
                "expired",
                format!("{which} expired on {} ({} ago)", date_text(one.not_after), span(now - one.not_after)),
            )
        }
        (9, Some(leaf)) => {
            let one = early.and_then(|at| chain.get(at)).unwrap_or(leaf);
            fatal(
                "not_yet_valid",
                format!(
                    "the certificate of {name} is not yet valid, only from {} on ({} from now): it was issued for later, or this clock is behind",
                    date_text(one.not_before),
                    span(one.not_before - now)
                ),
            )
        }
        (62, Some(leaf)) => fatal(
            "wrong_name",
            format!("the names of the certificate do not match: it is not for '{name}' but for {}", names(leaf)),
        ),
        (18, Some(leaf)) => fatal(
            "self_signed",
            format!("the certificate of {name} is self-signed ({}) and not trusted here", subject(leaf)),
        ),
        (19, _) => {
            let root = chain.last().map_or_else(String::new, subject);
            fatal(
                "unknown_issuer",
                format!("the certificate of {name} comes from the authority {root}, which is not trusted here"),
            )
        }
        (20, Some(leaf)) => {
            let last = chain.last().unwrap_or(leaf);
            let issuer = printable(&last.issuer);
            if chain.len() == 1 {
                fatal("unknown_issuer", format!("nobody here knows the issuer of the certificate of {name}, {issuer}; cannot tell which of: the server leaves out that intermediate certificate, or the authority is not trusted here"))
                    .unsure()
            } else {
                fatal(
                    "unknown_issuer",
                    format!("the chain of {name} ends at the authority {issuer}, which is not trusted here"),
                )
            }
        }
        (7, _) => fatal("bad_signature", format!("a signature in the certificate chain of {name} is wrong")),
        (23, _) => fatal("revoked", format!("the certificate of {name} was revoked")),
        (26, _) => fatal("wrong_purpose", format!("the certificate of {name} is not meant for servers")),
        _ => fatal("certificate", format!("the certificate of {name} is refused: {}", error.text)),
    }
}

/// What a certificate is for.
pub(crate) fn names(leaf: &Certificate) -> String {
    let mut found: Vec<String> = leaf
        .alt_names
        .iter()
        .map(|name| match name {
            AltName::Dns(name) | AltName::Other(name) => printable(name),
            AltName::Ip(address) => address.to_string(),
        })
        .collect();
    if found.is_empty() {
        found.extend(leaf.common_name.as_deref().map(printable));
    }
    let more = found.len().saturating_sub(4);
    found.truncate(4);
    let mut text = found.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    if text.is_empty() { "no name at all".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_in_words() {
        let address = "10.0.0.1:443".parse().unwrap();
        let cause = |text: &str| alert("a.b", address, text).map(|fault| (fault.cause, fault.certain));
        assert_eq!(cause("tlsv13 alert certificate required"), Some(("client_certificate_wanted", true)));
        assert_eq!(cause("tlsv1 alert protocol version"), Some(("protocol_version", true)));
        assert_eq!(cause("ssl/tls alert handshake failure"), Some(("handshake_failure", false)));
        assert_eq!(cause("alert Foo"), Some(("alert", true)));
        assert_eq!(cause("peer sent bytes"), None);
    }

    #[test]
    fn spans() {
        assert_eq!(
            (span(90), span(-300), span(10_000), span(864_000)),
            ("90 seconds".to_owned(), "5 minutes".to_owned(), "2 hours".to_owned(), "10 days".to_owned())
        );
    }
}
