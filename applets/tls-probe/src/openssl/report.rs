//! What s_client prints of a session.

use std::fmt::Write as _;

use netkit_core::text::{hex, printable};
use netkit_tls::Session;
use netkit_tls::chain::{Verdict, error_text, name_for};
use netkit_wire::der::Element;
use netkit_wire::pem;
use netkit_wire::x509::{Certificate, KeyShown, NameStyle, algorithm, name_text, oid, validity};

use super::client::Manner;
use crate::record::Traffic;

/// Signature schemes: number, OpenSSL's name in lists, digest, kind of key.
const SCHEMES: &[(u16, &str, &str, &str)] = &[
    (0x0403, "ECDSA+SHA256", "SHA256", "ECDSA"),
    (0x0503, "ECDSA+SHA384", "SHA384", "ECDSA"),
    (0x0603, "ECDSA+SHA512", "SHA512", "ECDSA"),
    (0x0807, "ed25519", "", "ed25519"),
    (0x0808, "ed448", "", "ed448"),
    (0x0809, "rsa_pss_pss_sha256", "SHA256", "RSA-PSS"),
    (0x080a, "rsa_pss_pss_sha384", "SHA384", "RSA-PSS"),
    (0x080b, "rsa_pss_pss_sha512", "SHA512", "RSA-PSS"),
    (0x0804, "RSA-PSS+SHA256", "SHA256", "RSA-PSS"),
    (0x0805, "RSA-PSS+SHA384", "SHA384", "RSA-PSS"),
    (0x0806, "RSA-PSS+SHA512", "SHA512", "RSA-PSS"),
    (0x0401, "RSA+SHA256", "SHA256", "RSA"),
    (0x0501, "RSA+SHA384", "SHA384", "RSA"),
    (0x0601, "RSA+SHA512", "SHA512", "RSA"),
    (0x0303, "ECDSA+SHA224", "SHA224", "ECDSA"),
    (0x0301, "RSA+SHA224", "SHA224", "RSA"),
    (0x0402, "DSA+SHA256", "SHA256", "DSA"),
    (0x0203, "ECDSA+SHA1", "SHA1", "ECDSA"),
    (0x0201, "RSA+SHA1", "SHA1", "RSA"),
];

fn scheme_name(number: u16) -> String {
    let found = SCHEMES.iter().find(|(known, ..)| *known == number);
    found.map_or_else(|| format!("0x{number:04X}"), |(_, name, ..)| (*name).to_owned())
}

/// The digest and the kind of key of the handshake's signature.
fn signature(session: &Session) -> Option<(&'static str, &'static str)> {
    let (_, _, digest, kind) = SCHEMES.iter().find(|(number, ..)| Some(*number) == session.scheme)?;
    Some((digest, kind))
}

/// OpenSSL's size of a key, in bits.
fn bits(key: &KeyShown) -> usize {
    match key.algorithm.as_str() {
        "ED25519" => 256,
        _ => key.bits.unwrap_or(0),
    }
}

fn temporary_key(session: &Session) -> Option<String> {
    Some(match session.group.as_str() {
        "" => return None,
        "x25519" => "X25519, 253 bits".to_owned(),
        "prime256v1" => "ECDH, prime256v1, 256 bits".to_owned(),
        "secp384r1" => "ECDH, secp384r1, 384 bits".to_owned(),
        other => other.to_owned(),
    })
}

fn verification(out: &mut String, session: &Session, verdict: &Verdict, manner: &Manner) {
    if verdict.code != 0 {
        let _ = writeln!(out, "Verification error: {}", error_text(verdict.code));
        return;
    }
    out.push_str("Verification: OK\n");
    let leaf = session.chain.first().and_then(|der| Certificate::read(der));
    if let (Some(read), Some(host)) = (leaf, &manner.verify_host)
        && let Some(name) = name_for(&read, host)
    {
        let _ = writeln!(out, "Verified peername: {}", printable(&name));
    }
}

/// What a server's hello of TLS 1.2 says besides (RFC 5246, section 7.4.1.3).
#[derive(Default)]
struct Hello<'a> {
    session_id: &'a [u8],
    renegotiation: bool,
    extended_master_secret: bool,
    point_formats: &'a [u8],
}

fn hello(first: &[u8]) -> Option<Hello<'_>> {
    // Record header, type and length of the message, version, random.
    let rest = first.get(43..).filter(|_| first.first() == Some(&22) && first.get(5) == Some(&2))?;
    let (length, rest) = rest.split_first()?;
    let (session_id, rest) = rest.split_at_checked(usize::from(*length))?;
    let mut out = Hello { session_id, ..Hello::default() };
    let mut rest = rest.get(5..).unwrap_or_default();
    while let [a, b, c, d, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let Some((content, tail)) = tail.split_at_checked(length) else { break };
        match u16::from_be_bytes([*a, *b]) {
            0xff01 => out.renegotiation = true,
            23 => out.extended_master_secret = true,
            11 => out.point_formats = content.get(1..).unwrap_or_default(),
            _ => {}
        }
        rest = tail;
        // The message ends before what comes behind it.
        if first.len() - rest.len() >= 5 + message_length(first) {
            break;
        }
    }
    Some(out)
}

/// Length of the first handshake message with its header.
fn message_length(first: &[u8]) -> usize {
    let length = first.get(6..9).unwrap_or_default();
    4 + length.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte))
}

fn chain(out: &mut String, session: &Session, manner: &Manner) {
    out.push_str("---\nCertificate chain\n");
    for (at, der) in session.chain.iter().enumerate() {
        let Some(read) = Certificate::read(der) else { continue };
        let key = KeyShown::of(&read.spki);
        let (before, after) = validity(&read);
        let _ = write!(
            out,
            "{at:2} s:{}\n   i:{}\n   a:PKEY: {}, {} (bit); sigalg: {}\n   v:NotBefore: {before}; NotAfter: {after}\n",
            name_text(read.subject, manner.style),
            name_text(read.issuer, manner.style),
            key.algorithm,
            bits(&key),
            oid::short(algorithm(&read.algorithm).0)
        );
        if manner.showcerts {
            out.push_str(&pem::encode("CERTIFICATE", der));
        }
    }
}

/// Everything, as s_client prints it once the handshake is over, well or not.
pub(super) fn page(
    session: &Session,
    verdict: &Verdict,
    manner: &Manner,
    traffic: &Traffic,
    now: i64,
    accepted: bool,
) -> String {
    let mut out = String::new();
    if manner.status && !session.protocol.is_empty() {
        staple(&mut out, &session.staple);
    }
    if !session.chain.is_empty() {
        chain(&mut out, session, manner);
    }
    out.push_str("---\n");
    let leaf = session.chain.first().and_then(|der| Certificate::read(der)).filter(|_| accepted);
    match &leaf {
        Some(read) => {
            out.push_str("Server certificate\n");
            if !manner.showcerts {
                out.push_str(&pem::encode("CERTIFICATE", read.der));
            }
            let _ = write!(
                out,
                "subject={}\nissuer={}\n",
                name_text(read.subject, manner.style),
                name_text(read.issuer, manner.style)
            );
        }
        None => out.push_str("no peer certificate available\n"),
    }
    out.push_str("---\n");
    requested(&mut out, session, manner.style);
    if let Some((digest, kind)) = signature(session).filter(|_| accepted) {
        if !digest.is_empty() {
            let _ = writeln!(out, "Peer signing digest: {digest}");
        }
        let _ = writeln!(out, "Peer signature type: {kind}");
    }
    if let Some(key) = temporary_key(session) {
        let _ = writeln!(out, "Server Temp Key: {key}");
    }
    let _ = writeln!(out, "---\nSSL handshake has read {} bytes and written {} bytes", traffic.read, traffic.written);
    verification(&mut out, session, verdict, manner);
    let none = session.protocol.is_empty();
    let version = if none { "(NONE)" } else { &session.protocol };
    let cipher = if none { "(NONE)" } else { &session.cipher };
    let _ = writeln!(out, "---\nNew, {version}, Cipher is {cipher}");
    if let Some(read) = &leaf {
        let _ = writeln!(out, "Server public key is {} bit", bits(&KeyShown::of(&read.spki)));
    }
    let old = session.protocol == "TLSv1.2";
    let hello = hello(&traffic.first).filter(|_| old).unwrap_or_default();
    let not = if hello.renegotiation { "" } else { " NOT" };
    let _ = write!(out, "Secure Renegotiation IS{not} supported\nCompression: NONE\nExpansion: NONE\n");
    match &session.alpn {
        Some(name) => {
            let _ = writeln!(out, "ALPN protocol: {}", printable(name));
        }
        None => out.push_str("No ALPN negotiated\n"),
    }
    let code = format!("{} ({})", verdict.code, error_text(verdict.code));
    if old {
        let secret = if hello.extended_master_secret { "yes" } else { "no" };
        let id = hex(hello.session_id).to_ascii_uppercase();
        out.push_str(&old_session(cipher, now).replace("Session-ID: ", &format!("Session-ID: {id}")));
        let _ = writeln!(out, "    Verify return code: {code}\n    Extended master secret: {secret}");
    } else {
        let _ = write!(out, "Early data was not sent\nVerify return code: {code}\n");
    }
    out.push_str("---\n");
    out
}

/// The session of TLS 1.2 up to the verdict, without its identifier.
pub(super) fn old_session(cipher: &str, now: i64) -> String {
    format!(
        "SSL-Session:\n    Protocol  : TLSv1.2\n    Cipher    : {cipher}\n    Session-ID: \n    Session-ID-ctx: \n    \
         PSK identity: None\n    PSK identity hint: None\n    SRP username: None\n    Start Time: {now}\n    \
         Timeout   : 7200 (sec)\n"
    )
}

/// What the server asks of a certificate of the client.
fn requested(out: &mut String, session: &Session, style: NameStyle) {
    let Some(asked) = &session.asked else {
        out.push_str("No client certificate CA names sent\n");
        return;
    };
    if asked.authorities.is_empty() {
        out.push_str("No client certificate CA names sent\n");
    } else {
        out.push_str("Acceptable client certificate CA names\n");
        for name in asked.authorities.iter().filter_map(|der| Element::only(der)) {
            let _ = writeln!(out, "{}", name_text(name, style));
        }
    }
    let _ = writeln!(out, "Requested Signature Algorithms: {}", list(&asked.schemes));
}

fn list(schemes: &[u16]) -> String {
    schemes.iter().map(|scheme| scheme_name(*scheme)).collect::<Vec<_>>().join(":")
}

/// The stapled response's status (RFC 6960, section 4.2.1).
fn staple(out: &mut String, staple: &[u8]) {
    const LINE: &str = "======================================";
    const NAMES: &[&str] =
        &["successful", "malformedrequest", "internalerror", "trylater", "", "sigrequired", "unauthorized"];
    if staple.is_empty() {
        out.push_str("OCSP response: no response sent\n");
        return;
    }
    let status = Element::only(staple).and_then(|all| all.children().next()).and_then(|status| status.small());
    let name = status.and_then(|status| NAMES.get(usize::try_from(status).ok()?)).copied().unwrap_or("(UNKNOWN)");
    let _ = write!(
        out,
        "OCSP response: \n{LINE}\nOCSP Response Data:\n    OCSP Response Status: {name} (0x{:x})\n{LINE}\n",
        status.unwrap_or(0)
    );
}

/// The few lines of `-brief`.
pub(super) fn brief(session: &Session, verdict: &Verdict, manner: &Manner, traffic: &Traffic) -> String {
    let mut out =
        format!("CONNECTION ESTABLISHED\nProtocol version: {}\nCiphersuite: {}\n", session.protocol, session.cipher);
    if let Some(asked) = &session.asked {
        let _ = writeln!(out, "Requested Signature Algorithms: {}", list(&asked.schemes));
    }
    match session.chain.first() {
        Some(der) => {
            let _ = writeln!(out, "Peer certificate: {}", super::verify::name_of(der, manner.style));
            if let Some((digest, kind)) = signature(session) {
                let digest = if digest.is_empty() { "UNDEF" } else { digest };
                let _ = write!(out, "Hash used: {digest}\nSignature type: {kind}\n");
            }
            verification(&mut out, session, verdict, manner);
        }
        None => out.push_str("No peer certificate\n"),
    }
    let formats = hello(&traffic.first).filter(|_| session.protocol == "TLSv1.2").unwrap_or_default().point_formats;
    if !formats.is_empty() {
        const NAMES: &[&str] = &["uncompressed", "ansiX962_compressed_prime", "ansiX962_compressed_char2"];
        let names = formats.iter().map(|one| NAMES.get(usize::from(*one)).copied().unwrap_or("unknown"));
        let _ = writeln!(out, "Supported Elliptic Curve Point Formats: {}", names.collect::<Vec<_>>().join(":"));
    }
    if let Some(key) = temporary_key(session) {
        let _ = writeln!(out, "Server Temp Key: {key}");
    }
    out
}
