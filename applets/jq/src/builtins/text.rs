//! How values appear in error messages.

use crate::value::Value;
use crate::write::{to_json, write_string};

/// Bytes of a dump in a message, closing NUL of C included.
const LENGTH: usize = 30;

/// `type (dump)`, as most messages have it.
pub(crate) fn shown(value: &Value) -> String {
    format!("{} ({})", value.type_name(), dumped(value))
}

/// The JSON text, cut to what fits into a message; a cut never splits a character, and the quote or bracket is closed.
pub(crate) fn dumped(value: &Value) -> String {
    // A long string or a large value is not written out as a whole for its first 30 bytes.
    let text = match value {
        Value::String(text) if text.len() > 256 => {
            let mut out = String::new();
            write_string(head(text, 256), false, &mut out);
            out
        }
        Value::Array(_) | Value::Object(_) => beginning(value),
        other => to_json(other),
    };
    if text.len() < LENGTH {
        return text;
    }
    let close = match text.as_bytes().first() {
        Some(b'"') => "\"",
        Some(b'[') => "]",
        Some(b'{') => "}",
        _ => "",
    };
    format!("{}...{close}", head(&text, LENGTH - 4 - close.len()))
}

/// The first bytes of the text of a container: enough of them for a message.
fn beginning(value: &Value) -> String {
    let mut out = String::new();
    let style = crate::write::Style::default();
    let mut kept = String::new();
    // The writer hands on in large pieces; the first is all that is looked at.
    let _ = crate::write::write(value, &style, &mut out, &mut |piece| {
        if kept.is_empty() {
            kept = std::mem::take(piece);
        }
        Err(std::io::ErrorKind::Interrupted.into())
    });
    if kept.is_empty() { out } else { kept }
}

/// At most so many bytes, whole characters.
fn head(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_are_cut() {
        assert_eq!(dumped(&Value::from("short")), "\"short\"");
        let long = Value::from("a".repeat(40));
        assert_eq!(dumped(&long), format!("\"{}...\"", "a".repeat(24)));
        let list: Value = (0..40).map(|at| Value::number(f64::from(at))).collect();
        assert_eq!(dumped(&list).len(), LENGTH - 1);
        assert!(dumped(&list).ends_with("...]"));
        let wide = Value::from("é".repeat(40));
        assert_eq!(dumped(&wide), format!("\"{}...\"", "é".repeat(12)));
        assert_eq!(shown(&Value::Null), "null (null)");
    }
}
