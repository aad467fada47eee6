//! Distinguished names as OpenSSL prints them (X509_NAME_print_ex(3)).

use std::fmt::Write as _;

use crate::der::{Element, tag};

use super::oid;

/// How a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameStyle {
    /// `C = DE, O = "A, B", CN = x`: the default of OpenSSL 3.
    OneLine,
    /// `CN=x,O=A\, B,C=DE` (RFC 2253).
    Rfc2253,
    /// `/C=DE/O=A, B/CN=x`: of old, and inside extensions.
    Slashes,
    /// An attribute a line with its long name, `    commonName                = x`.
    Lines,
}

/// A Name in one of the styles.
pub fn name_text(name: Element<'_>, style: NameStyle) -> String {
    let mut sets: Vec<Element<'_>> = name.children().collect();
    if style == NameStyle::Rfc2253 {
        sets.reverse();
    }
    let mut out = String::new();
    for (at, set) in sets.iter().enumerate() {
        let mut attributes: Vec<Element<'_>> = set.children().collect();
        if style == NameStyle::Rfc2253 {
            attributes.reverse();
        }
        for (within, attribute) in attributes.iter().enumerate() {
            out.push_str(match (style, within > 0, at > 0) {
                (NameStyle::Slashes, true, _) => "+",
                (NameStyle::Slashes, ..) => "/",
                (NameStyle::Lines, true, _) => " + ",
                (NameStyle::Lines, ..) => "\n    ",
                (NameStyle::OneLine, true, _) => " + ",
                (NameStyle::Rfc2253, true, _) => "+",
                (NameStyle::OneLine, _, true) => ", ",
                (NameStyle::Rfc2253, _, true) => ",",
                _ => "",
            });
            let mut parts = attribute.children();
            let kind = parts.next().map(|one| one.content).unwrap_or_default();
            let label = if style == NameStyle::Lines { format!("{:<25}", oid::long(kind)) } else { oid::short(kind) };
            out.push_str(&label);
            out.push_str(if matches!(style, NameStyle::OneLine | NameStyle::Lines) { " = " } else { "=" });
            let Some(value) = parts.next() else { continue };
            match style {
                NameStyle::Slashes => slashes(&mut out, value),
                // An attribute without a name is shown as its bytes.
                NameStyle::Rfc2253 if label.starts_with(|c: char| c.is_ascii_digit()) => dump(&mut out, value),
                NameStyle::Lines => escaped(&mut out, value, None),
                _ => escaped(&mut out, value, Some(style == NameStyle::OneLine)),
            }
        }
    }
    out
}

/// The characters of a string type; `None` for a type that is none.
fn characters(value: Element<'_>) -> Option<Vec<u32>> {
    Some(match value.tag {
        tag::UTF8_STRING => match std::str::from_utf8(value.content) {
            Ok(text) => text.chars().map(u32::from).collect(),
            Err(_) => return None,
        },
        tag::BMP_STRING => value
            .content
            .chunks_exact(2)
            .map(|two| two.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte)))
            .collect(),
        tag::UNIVERSAL_STRING => value
            .content
            .chunks_exact(4)
            .map(|four| four.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte)))
            .collect(),
        tag::NUMERIC_STRING
        | tag::PRINTABLE_STRING
        | tag::T61_STRING
        | tag::IA5_STRING
        | tag::VISIBLE_STRING
        | tag::UTC_TIME
        | tag::GENERALIZED_TIME => value.content.iter().map(|byte| u32::from(*byte)).collect(),
        _ => return None,
    })
}

fn dump(out: &mut String, value: Element<'_>) {
    let _ = write!(out, "#{}", netkit_core::text::hex(value.whole).to_ascii_uppercase());
}

/// What RFC 2253, section 2.4 escapes.
fn is_special(first: bool, last: bool, c: u32) -> bool {
    matches!(char::from_u32(c), Some(',' | '+' | '"' | '\\' | '<' | '>' | ';'))
        || (first && (c == u32::from('#') || c == u32::from(' ')))
        || (last && c == u32::from(' '))
}

/// ASN1_STRFLGS_RFC2253: specials behind a backslash or the whole in quotes, everything else beyond ASCII as bytes of
/// UTF-8 in hexadecimal.
///
/// `specials` says how: in quotes or behind backslashes; nothing leaves them as they are.
fn escaped(out: &mut String, value: Element<'_>, specials: Option<bool>) {
    let quotes = specials.unwrap_or(false);
    let Some(characters) = characters(value) else { return dump(out, value) };
    let last = characters.len().saturating_sub(1);
    let special = |at: usize, c: u32| specials.is_some() && is_special(at == 0, at == last, c);
    let quoted = quotes
        && characters
            .iter()
            .enumerate()
            .any(|(at, c)| special(at, *c) && *c != u32::from('"') && *c != u32::from('\\'));
    if quoted {
        out.push('"');
    }
    for (at, c) in characters.iter().enumerate() {
        let always = specials.is_some() && (*c == u32::from('"') || *c == u32::from('\\'));
        match char::from_u32(*c) {
            Some(shown) if always || (special(at, *c) && !quotes) => {
                out.push('\\');
                out.push(shown);
            }
            Some(shown) if (' '..='~').contains(&shown) => out.push(shown),
            Some(shown) => {
                let mut buffer = [0u8; 4];
                for byte in shown.encode_utf8(&mut buffer).bytes() {
                    let _ = write!(out, "\\{byte:02X}");
                }
            }
            None => {
                let _ = write!(out, "\\W{c:08X}");
            }
        }
    }
    if quoted {
        out.push('"');
    }
}

/// X509_NAME_oneline(3): printable bytes, others as `\xHH`, whatever the string's type.
fn slashes(out: &mut String, value: Element<'_>) {
    for byte in value.content {
        if (b' '..=b'~').contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "\\x{byte:02X}");
        }
    }
}

/// A string's text with control characters replaced, to be shown or compared.
pub(super) fn plain(value: Element<'_>) -> String {
    match characters(value) {
        Some(characters) => {
            let text: String = characters.iter().map(|c| char::from_u32(*c).unwrap_or('\u{fffd}')).collect();
            netkit_core::text::printable(&text)
        }
        None => netkit_core::text::printable(&String::from_utf8_lossy(value.content)),
    }
}
