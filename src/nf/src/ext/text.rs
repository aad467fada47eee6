//! Pieces of text that many extensions share.

use std::fmt::Write as _;

use crate::bytes::Fields;

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

/// Whether the octet at `offset` is not zero.
pub(crate) fn flag(fields: Fields<'_>, offset: usize) -> Option<bool> {
    fields.u8(offset).map(|octet| octet != 0)
}
