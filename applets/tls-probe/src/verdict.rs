//! What OpenSSL makes of a chain, beside what webpki makes of it.

use std::net::IpAddr;

use netkit_core::Exit;
use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_tls::Trust;
use netkit_tls::chain::{Purpose, Query, error_text, errors};
use netkit_wire::x509::{Certificate, NameStyle, name_text};

use crate::status;

/// An error, where it is, and of whom.
pub(crate) struct Wrong {
    pub(crate) code: u16,
    pub(crate) depth: usize,
    pub(crate) subject: String,
}

/// OpenSSL's view.
#[derive(Default)]
pub(crate) struct Verdict {
    /// In OpenSSL's order, at its security level 0, which is what `openssl verify` asks.
    pub(crate) errors: Vec<Wrong>,
    /// Levels at which more is refused, with what comes first there.
    pub(crate) levels: Vec<(u8, u16)>,
    /// Subject and source of the anchor at the end of the chain.
    pub(crate) anchor: Option<(String, String)>,
    /// Certificates that were sent and are no part of the chain, by their place.
    pub(crate) superfluous: Vec<usize>,
    /// Where the issuer of the last certificate may be had, when it is missing.
    pub(crate) fetch: Option<String>,
    /// Depths whose signature nothing here can check.
    pub(crate) unchecked: Vec<usize>,
    /// Subjects from the leaf to the end.
    pub(crate) path: Vec<String>,
}

impl Verdict {
    /// Judges `chain` (leaf first) for that purpose and name.
    pub(crate) fn of(chain: &[Vec<u8>], trust: &Trust, name: Option<&str>, purpose: Purpose, now: i64) -> Verdict {
        let Some(leaf) = chain.first() else { return Verdict::default() };
        let anchors = trust.anchors();
        let store: Vec<&[u8]> = anchors.iter().map(|(der, _)| der.as_ref()).collect();
        let address = name.and_then(|name| name.parse::<IpAddr>().ok());
        let host = name.filter(|_| address.is_none()).map(|name| name.strip_suffix('.').unwrap_or(name));
        let mut query = Query { now: Some(now), purpose, host, address, ..Query::default() };
        let Some(plain) = errors(leaf, chain, &store, &query) else {
            let subject = "unreadable".to_owned();
            return Verdict { errors: vec![Wrong { code: 1, depth: 0, subject }], ..Verdict::default() };
        };
        let subject = |der: &[u8]| {
            Certificate::read(der).map(|read| name_text(read.subject, NameStyle::OneLine)).unwrap_or_default()
        };
        let mut out = Verdict { unchecked: plain.unchecked, ..Verdict::default() };
        for (code, depth) in &plain.errors {
            let about = plain.chain.get(*depth).map(|(der, _)| subject(der)).unwrap_or_default();
            out.errors.push(Wrong { code: *code, depth: *depth, subject: about });
        }
        let first = out.code();
        for level in [1, 2] {
            query.level = level;
            let there = errors(leaf, chain, &store, &query).and_then(|verdict| verdict.errors.first().copied());
            let code = there.map_or(0, |(code, _)| code);
            if code != first && out.levels.last().is_none_or(|(_, before)| *before != code) {
                out.levels.push((level, code));
            }
        }
        out.path = plain.chain.iter().map(|(der, _)| subject(der)).collect();
        let last = plain.chain.last();
        out.anchor = last.and_then(|(der, at)| {
            let (_, source) = anchors.get((*at)?)?;
            Some((subject(der), (*source).to_owned()))
        });
        let used = |der: &[u8]| plain.chain.iter().any(|(held, _)| held == der);
        let extra = chain.iter().enumerate().filter(|(at, der)| *at > 0 && !used(der));
        out.superfluous = extra.map(|(at, _)| at).collect();
        if matches!(first, 2 | 20)
            && let Some(read) = last.and_then(|(der, _)| Certificate::read(der))
        {
            const ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
            let text = read.extension(ACCESS).map(|one| netkit_wire::x509::extension_text(&one)).unwrap_or_default();
            let uri = text.lines().find_map(|line| line.trim().strip_prefix("CA Issuers - URI:"));
            out.fetch = uri.map(str::to_owned);
        }
        out
    }

    /// The first error, which is the one that `openssl verify` stops at.
    pub(crate) fn code(&self) -> u16 {
        self.errors.first().map_or(0, |wrong| wrong.code)
    }

    /// The first error with the certificate it concerns.
    pub(crate) fn text(&self) -> String {
        let Some(first) = self.errors.first() else { return "0 (ok)".to_owned() };
        let mut out = format!("{} ({}), certificate at depth {}: ", first.code, error_text(first.code), first.depth);
        out.push_str(&printable(&first.subject));
        let mut told = vec![first.code];
        for wrong in &self.errors {
            if !told.contains(&wrong.code) {
                told.push(wrong.code);
                out.push_str(&format!("; then {} ({}) at depth {}", wrong.code, error_text(wrong.code), wrong.depth));
            }
        }
        out
    }

    /// What stricter settings of OpenSSL say.
    pub(crate) fn at_levels(&self) -> Option<String> {
        let parts: Vec<String> = self
            .levels
            .iter()
            .map(|(level, code)| {
                let whose = if *level == 1 { "OpenSSL's own default" } else { "Debian, Ubuntu, RHEL" };
                format!("{code} ({}) from security level {level} on ({whose})", error_text(*code))
            })
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// The status and the reason, when it is refused.
    pub(crate) fn refusal(&self) -> Option<(Exit, String)> {
        let code = self.code();
        let exit = match code {
            0 => return None,
            9 | 10 | 13 | 14 => status::DATES,
            62..=64 => status::OTHER_NAME,
            26 | 79 => status::PURPOSE,
            _ => status::UNTRUSTED,
        };
        Some((exit, self.text()))
    }

    /// The members of the object.
    pub(crate) fn json(&self, out: &mut Value) {
        out.set("openssl_code", u32::from(self.code()));
        out.set("openssl", self.text());
        let list: Vec<Value> = self
            .errors
            .iter()
            .map(|wrong| {
                Value::object()
                    .with("code", u32::from(wrong.code))
                    .with("reason", error_text(wrong.code))
                    .with("depth", wrong.depth)
                    .with("subject", printable(&wrong.subject))
            })
            .collect();
        out.set("openssl_errors", list);
        let levels = self.levels.iter().map(|(level, code)| {
            Value::object().with("level", *level).with("code", u32::from(*code)).with("reason", error_text(*code))
        });
        out.set("openssl_levels", levels.collect::<Vec<_>>());
        out.set("path", self.path.iter().map(|name| printable(name)).collect::<Vec<_>>());
        out.set("signatures_not_checked", self.unchecked.iter().map(|depth| Value::from(*depth)).collect::<Vec<_>>());
        out.set("superfluous", self.superfluous.iter().map(|at| Value::from(*at)).collect::<Vec<_>>());
        out.set("missing_issuer_at", self.fetch.clone());
    }
}

/// What webpki's names mean.
const STRICT: &[(&str, &str)] = &[
    ("BadEncoding", "cannot be read"),
    ("Expired", "expired"),
    ("NotValidYet", "not yet valid"),
    ("Revoked", "revoked"),
    ("UnhandledCriticalExtension", "a critical extension that nobody here knows"),
    ("UnknownIssuer", "no way to an anchor"),
    ("BadSignature", "a signature is wrong or made with a key too small"),
    ("UnsupportedSignatureAlgorithm", "a signature of a kind that is not accepted any more"),
    ("UnsupportedSignatureAlgorithmContext", "a signature of a kind that is not accepted any more"),
    ("UnsupportedSignatureAlgorithmForPublicKey", "a key of a kind that is not supported"),
    ("NotValidForName", "not for this name; a name that stands only in the common name does not count"),
    ("InvalidPurpose", "its extended key usage is not for servers"),
    ("CaUsedAsEndEntity", "a CA used as the server's certificate"),
    ("EndEntityUsedAsCa", "signed by what is no CA"),
    ("NameConstraintViolation", "outside the name constraints of its CA"),
    ("PathLenConstraintViolated", "more CAs in a row than one of them allows"),
    ("UnsupportedCertVersion", "not version 3"),
    ("ExtensionValueInvalid", "an extension cannot be read"),
    ("MalformedExtensions", "its extensions cannot be read"),
    ("InvalidCertValidity", "its dates are the wrong way round"),
    ("InvalidSerialNumber", "its serial number is not allowed"),
];

/// The strict verdict in a line.
pub(crate) fn strict(name: Option<&str>) -> String {
    let Some(name) = name else { return "accepted".to_owned() };
    match STRICT.iter().find(|(known, _)| *known == name) {
        Some((_, words)) => format!("refused: {name} ({words})"),
        None => format!("refused: {}", printable(name)),
    }
}
