//! A certificate in the words of `openssl x509 -text` (OpenSSL 3.0).

use std::fmt::Write as _;

use netkit_core::civil_from_unix;

use crate::der::{Element, tag, time};

use super::extensions::extension_text;
use super::name::{NameStyle, name_text};
use super::{Certificate, algorithm, oid};

/// `AB:CD:EF`
pub fn hex_colons(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        let _ = write!(out, "{byte:02X}");
    }
    out
}

/// Octets of a string as characters, with a dot for what cannot be printed (ASN1_STRING_print(3)).
pub(super) fn printable_bytes(bytes: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b' '..=b'~' | b'\n' | b'\r' => char::from(*byte),
        _ => '.',
    };
    bytes.iter().map(shown).collect()
}

/// A time as ASN1_TIME_print(3) has it.
pub fn date(element: Element<'_>) -> String {
    match time(element) {
        Some(seconds) => {
            let c = civil_from_unix(seconds);
            format!("{} {:2} {:02}:{:02}:{:02} {} GMT", c.month_name(), c.day, c.hour, c.minute, c.second, c.year)
        }
        None => "Bad time value".to_owned(),
    }
}

/// Both dates in the same form.
pub fn validity(certificate: &Certificate<'_>) -> (String, String) {
    (date(certificate.not_before), date(certificate.not_after))
}

/// Lower-case octets in lines of `width`, each but the last ended by a colon.
fn block(out: &mut String, bytes: &[u8], indent: usize, width: usize) {
    let lines = bytes.len().div_ceil(width);
    for (at, chunk) in bytes.chunks(width).enumerate() {
        let octets: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let end = if at + 1 < lines { ":" } else { "" };
        let _ = writeln!(out, "{:indent$}{}{end}", "", octets.join(":"));
    }
}

/// The serial number as `-text` shows it, from its colon on.
pub fn serial_text(serial: &[u8]) -> String {
    let negative = serial.first().is_some_and(|first| first & 0x80 != 0);
    let magnitude = magnitude(serial);
    if magnitude.len() <= 8 {
        let value = magnitude.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        // A long of the peer's is signed, and -1 means to it that there is none.
        if (value <= i64::MAX as u64 && !(negative && value == 1)) || (negative && value == 1 << 63) {
            let sign = if negative { "-" } else { "" };
            return format!(" {sign}{value} ({sign}0x{value:x})\n");
        }
    }
    let octets: Vec<String> = magnitude.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\n            {}{}\n", if negative { " (Negative)" } else { "" }, octets.join(":"))
}

/// The absolute value of an INTEGER's content, without leading zeros; one zero for 0.
pub fn magnitude(content: &[u8]) -> Vec<u8> {
    let mut bytes = content.to_vec();
    if content.first().is_some_and(|first| first & 0x80 != 0) {
        let mut carry = true;
        for byte in bytes.iter_mut().rev() {
            let (value, over) = (!*byte).overflowing_add(u8::from(carry));
            *byte = value;
            carry = over;
        }
    }
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len().saturating_sub(1));
    bytes.split_off(start)
}

/// A public key in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyShown {
    /// Long name of the algorithm.
    pub algorithm: String,
    /// Size in bits, where the algorithm has one.
    pub bits: Option<usize>,
    /// Name of the curve.
    pub curve: Option<String>,
}

fn bit_length(number: &[u8]) -> usize {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let rest = number.get(start..).unwrap_or_default();
    rest.first().map_or(0, |first| rest.len() * 8 - first.leading_zeros() as usize)
}

fn curve_bits(name: &str) -> (Option<usize>, Option<&'static str>) {
    match name {
        "prime192v1" => (Some(192), Some("P-192")),
        "secp224r1" => (Some(224), Some("P-224")),
        "prime256v1" => (Some(256), Some("P-256")),
        "secp384r1" => (Some(384), Some("P-384")),
        "secp521r1" => (Some(521), Some("P-521")),
        "secp256k1" | "brainpoolP256r1" => (Some(256), None),
        "brainpoolP384r1" => (Some(384), None),
        "brainpoolP512r1" => (Some(512), None),
        _ => (None, None),
    }
}

impl KeyShown {
    /// Reads a SubjectPublicKeyInfo.
    pub fn of(spki: &Element<'_>) -> KeyShown {
        let mut parts = spki.children();
        let identifier = parts.next();
        let (kind, parameters) = identifier.as_ref().map(algorithm).unwrap_or_default();
        let bits = parts.next().and_then(|bits| bits.bits()).map(|(bits, _)| bits).unwrap_or_default();
        let name = oid::long(kind);
        match name.as_str() {
            "rsaEncryption" | "rsassaPss" => {
                let modulus =
                    Element::only(bits).and_then(|key| key.children().next()).map(|one| bit_length(one.content));
                KeyShown { algorithm: name, bits: modulus, curve: None }
            }
            "id-ecPublicKey" => {
                let curve = parameters.filter(|one| one.tag == tag::OID).map(|one| oid::short(one.content));
                let bits = curve.as_deref().and_then(|curve| curve_bits(curve).0);
                KeyShown { algorithm: name, bits, curve }
            }
            "ED25519" | "X25519" => KeyShown { algorithm: name, bits: Some(253), curve: None },
            "ED448" | "X448" => KeyShown { algorithm: name, bits: Some(456), curve: None },
            _ => KeyShown { algorithm: name, bits: None, curve: None },
        }
    }
}

/// The lines of a public key, indented by 16.
pub fn key_lines(spki: &Element<'_>) -> String {
    let shown = KeyShown::of(spki);
    let mut parts = spki.children();
    let parameters = parts.next().and_then(|identifier| algorithm(&identifier).1);
    let bits = parts.next().and_then(|bits| bits.bits()).map(|(bits, _)| bits).unwrap_or_default();
    let mut out = String::new();
    match shown.algorithm.as_str() {
        "rsaEncryption" | "rsassaPss" => {
            let numbers: Vec<Element<'_>> = Element::only(bits).map(|key| key.children().collect()).unwrap_or_default();
            let [modulus, exponent, ..] = numbers.as_slice() else { return unusable() };

            let size = shown.bits.unwrap_or(0);
            let _ = write!(out, "                Public-Key: ({size} bit)\n                Modulus:\n");
            let mut number = magnitude(modulus.content);
            if number.first().is_some_and(|first| first & 0x80 != 0) {
                number.insert(0, 0);
            }
            block(&mut out, &number, 20, 15);
            match exponent.small() {
                Some(value) => {
                    let _ = writeln!(out, "                Exponent: {value} (0x{value:x})");
                }
                None => {
                    let _ = writeln!(out, "                Exponent:");
                    block(&mut out, exponent.content, 20, 15);
                }
            }
            if shown.algorithm == "rsassaPss" {
                out.push_str(&pss(parameters, 16, true));
            }
        }
        "id-ecPublicKey" => {
            let Some(curve) = &shown.curve else { return unusable() };
            let (Some(size), nist) = curve_bits(curve) else { return unusable() };
            let _ = write!(out, "                Public-Key: ({size} bit)\n                pub:\n");
            block(&mut out, bits, 20, 15);
            let _ = writeln!(out, "                ASN1 OID: {curve}");
            if let Some(nist) = nist {
                let _ = writeln!(out, "                NIST CURVE: {nist}");
            }
        }
        "ED25519" | "ED448" | "X25519" | "X448" => {
            let _ = write!(out, "                {} Public-Key:\n                pub:\n", shown.algorithm);
            block(&mut out, bits, 20, 15);
        }
        _ => return unusable(),
    }
    out
}

/// The modulus of an RSA key.
pub fn modulus(spki: &Element<'_>) -> Option<Vec<u8>> {
    let (bits, _) = spki.children().nth(1)?.bits()?;
    let number = Element::only(bits)?.children().next()?.of(tag::INTEGER)?;
    Some(magnitude(number.content))
}

fn unusable() -> String {
    "            Unable to load Public Key\n".to_owned()
}

/// RSASSA-PSS-params (RFC 8017, appendix A.2.3) with what they are by default. The line it stands behind is ended first,
/// after the indentation, as in the peer.
fn pss(parameters: Option<Element<'_>>, indent: usize, of_key: bool) -> String {
    let pad = " ".repeat(indent);
    let Some(parameters) = parameters else {
        let what = if of_key { "No PSS parameter restrictions" } else { "(INVALID PSS PARAMETERS)" };
        return format!("{pad}{what}\n");
    };
    let of = |tag: u8| parameters.children().find(|part| part.tag == tag).and_then(|part| part.children().next());
    let name = |identifier: Option<Element<'_>>| {
        identifier.map_or_else(|| "sha1 (default)".to_owned(), |identifier| oid::long(algorithm(&identifier).0))
    };
    let hash = name(of(0xa0));
    let mask = match of(0xa1) {
        None => "mgf1 with sha1 (default)".to_owned(),
        Some(identifier) => {
            let (kind, inner) = algorithm(&identifier);
            let inner = inner.map_or_else(|| "sha1".to_owned(), |inner| oid::long(algorithm(&inner).0));
            format!("{} with {inner}", oid::long(kind))
        }
    };
    let number = |tag: u8| of(tag).and_then(|number| number.small());
    if of_key {
        // The words of another part of the peer.
        let own = |name: &str| {
            let (name, default) = name.split_once(' ').map_or((name, ""), |(name, _)| (name, " (default)"));
            match name.strip_prefix("sha") {
                Some("1") => format!("SHA1{default}"),
                Some(bits) => format!("SHA2-{bits}{default}"),
                None => format!("{name}{default}"),
            }
        };
        let inner = mask.split(" with ").nth(1).unwrap_or("");
        let mask = own(inner);
        let salt = number(0xa2).map_or_else(|| "20 (default)".to_owned(), |salt| salt.to_string());
        let trailer = number(0xa3).map_or_else(|| "1 (default)".to_owned(), |trailer| format!("{trailer:x}"));
        let deep = indent + 2;
        return format!(
            "{pad}PSS parameter restrictions:\n{:deep$}Hash Algorithm: {}\n{:deep$}Mask Algorithm: MGF1 with {mask}\n\
             {:deep$}Minimum Salt Length: {salt}\n{:deep$}Trailer Field: 0x{trailer}\n",
            "",
            own(&hash),
            "",
            "",
            ""
        );
    }
    let salt = number(0xa2).map_or_else(|| "14 (default)".to_owned(), |salt| format!("{salt:02X}"));
    let trailer = number(0xa3).map_or_else(|| "01 (default)".to_owned(), |trailer| format!("{trailer:02X}"));
    format!(
        "{pad}\n{pad}Hash Algorithm: {hash}\n{pad}Mask Algorithm: {mask}\n{pad} Salt Length: 0x{salt}\n{pad}Trailer Field: 0x{trailer}\n"
    )
}

/// What stands behind the name of a signature algorithm.
fn behind(kind: &[u8], parameters: Option<Element<'_>>) -> String {
    if oid::long(kind) == "rsassaPss" { pss(parameters, 8, false) } else { "\n".to_owned() }
}

/// Everything.
pub fn full(certificate: &Certificate<'_>) -> String {
    let mut out = "Certificate:\n    Data:\n".to_owned();
    let _ = match certificate.version {
        Some(version @ 0..=2) => writeln!(out, "        Version: {} (0x{version:x})", version + 1),
        Some(version) => writeln!(out, "        Version: Unknown ({version})"),
        None => writeln!(out, "        Version: Unknown"),
    };
    let _ = write!(out, "        Serial Number:{}", serial_text(certificate.serial));
    let (inner, parameters) = algorithm(&certificate.inner_algorithm);
    let _ = write!(out, "        Signature Algorithm: {}", oid::long(inner));
    out.push_str(&behind(inner, parameters));
    let (before, after) = validity(certificate);
    let _ = write!(
        out,
        "        Issuer: {}\n        Validity\n            Not Before: {before}\n            Not After : {after}\n        Subject: {}\n",
        name_text(certificate.issuer, NameStyle::OneLine),
        name_text(certificate.subject, NameStyle::OneLine)
    );
    let _ = write!(
        out,
        "        Subject Public Key Info:\n            Public Key Algorithm: {}\n{}",
        KeyShown::of(&certificate.spki).algorithm,
        key_lines(&certificate.spki)
    );
    let mut extensions = certificate.extensions().peekable();
    if extensions.peek().is_some() {
        out.push_str("        X509v3 extensions:\n");
    }
    for extension in extensions {
        let critical = if extension.critical { "critical" } else { "" };
        let _ = writeln!(out, "            {}: {critical}", oid::long(extension.oid));
        let _ = writeln!(out, "{}", extension_text(&extension));
    }
    let (outer, parameters) = algorithm(&certificate.algorithm);
    let _ = write!(out, "    Signature Algorithm: {}\n    Signature Value:", oid::long(outer));
    out.push_str(&behind(outer, parameters));
    block(&mut out, certificate.signature, 8, 18);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn serials() {
        assert_eq!(serial_text(&[0x12, 0x34]), " 4660 (0x1234)\n");
        assert_eq!(serial_text(&[0]), " 0 (0x0)\n");
        assert_eq!(serial_text(&[0xff]), "\n             (Negative)01\n");
        assert_eq!(serial_text(&[0xfe]), " -2 (-0x2)\n");
        assert_eq!(serial_text(&[0, 0xff, 1, 2, 3, 4, 5, 6, 7]), "\n            ff:01:02:03:04:05:06:07\n");
        assert_eq!(magnitude(&[0xff, 0x00]), [1, 0]);
    }

    proptest! {
        #[test]
        fn any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), depth in 0usize..40) {
            // Some of the time with a shape that goes further.
            for at in 0..depth.min(bytes.len() / 2) {
                if let Some(pair) = bytes.get_mut(at * 2..at * 2 + 2) {
                    pair.copy_from_slice(&[0x30, 0x7f]);
                }
            }
            if let Some(certificate) = Certificate::read(&bytes) {
                let _ = full(&certificate);
            }
        }
    }
}
