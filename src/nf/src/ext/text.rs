//! Pieces of text that many extensions share.

use std::fmt::Write as _;

use crate::bytes::{Fields, Shown};
use crate::model::Masked;
use crate::save::prefix_length;

/// ` !` or nothing.
pub(crate) fn not(negated: bool) -> &'static str {
    if negated { " !" } else { "" }
}

/// Appends a blank and a string as iptables-save writes it: in quotes unless every character is a letter, a digit, `_`
/// or `-`; quotes and backslashes are escaped.
pub fn push_quoted(out: &mut String, text: &str) {
    out.push(' ');
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.is_empty() && text.chars().all(plain) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '\'') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Appends ` 0xVALUE`, and `/0xMASK` unless the mask is full.
pub(crate) fn push_mark(out: &mut String, value: u32, mask: u32) {
    let _ = match mask {
        u32::MAX => write!(out, " 0x{value:x}"),
        _ => write!(out, " 0x{value:x}/0x{mask:x}"),
    };
}

/// Appends the names of the bits that are set.
pub(crate) fn push_list(out: &mut String, bits: u32, names: &[(u32, &str)], between: &str) {
    let mut separator = "";
    for (_, name) in names.iter().filter(|(bit, _)| bits & bit != 0) {
        out.push_str(separator);
        out.push_str(name);
        separator = between;
    }
}

/// Appends an address with its mask, by its bits where it can be.
pub(crate) fn push_prefix(out: &mut String, value: &Masked) {
    let _ = match prefix_length(value.mask) {
        Some(bits) => write!(out, "{}/{bits}", Shown(value.address)),
        None => write!(out, "{}/{}", Shown(value.address), Shown(value.mask)),
    };
}

/// The same, but a whole address stands alone.
pub(crate) fn push_network(out: &mut String, value: &Masked) {
    let full = if value.address.is_ipv4() { 32 } else { 128 };
    if prefix_length(value.mask) == Some(full) {
        let _ = write!(out, "{}", Shown(value.address));
    } else {
        push_prefix(out, value);
    }
}

/// Appends `OPTION LOW[:HIGH]` unless it says nothing.
pub(crate) fn save_range(out: &mut String, option: &str, range: (u32, u32), any: (u32, u32), negated: bool) {
    if range == any && !negated {
        return;
    }
    let _ = write!(out, "{} {option} {}", not(negated), range.0);
    if range.0 != range.1 {
        let _ = write!(out, ":{}", range.1);
    }
}

/// Appends `WORD:N` or `WORDs:LOW:HIGH` unless it says nothing.
pub(crate) fn list_range(out: &mut String, word: &str, range: (u32, u32), any: (u32, u32), negated: bool) {
    if range == any && !negated {
        return;
    }
    let not = if negated { "!" } else { "" };
    let _ = match range {
        (low, high) if low == high => write!(out, "{word}:{not}{low}"),
        (low, high) => write!(out, "{word}s:{not}{low}:{high}"),
    };
}

/// Whether the octet at `offset` is not zero.
pub(crate) fn flag(fields: Fields<'_>, offset: usize) -> Option<bool> {
    fields.u8(offset).map(|octet| octet != 0)
}
