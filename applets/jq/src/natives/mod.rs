//! Builtins that are functions of values and nothing else, over the text, time and regular expression modules.

pub(crate) mod collection;
pub(crate) mod date;
pub(crate) mod format;
pub(crate) mod math;
pub(crate) mod regex;
pub(crate) mod string;
pub(crate) mod table;

use crate::value::Value;
use crate::write::to_json;

/// What a builtin fails with: the value that `catch` sees.
pub(crate) type Failure = Value;

/// A failure with a message.
pub(crate) fn failed(message: impl Into<String>) -> Failure {
    Value::string(message.into())
}

/// `TYPE (VALUE)`.
pub(crate) fn shown(value: &Value) -> String {
    format!("{} ({})", value.type_name(), shortened(&to_json(value)))
}

/// `TYPE (VALUE) message`.
pub(crate) fn type_error(value: &Value, message: &str) -> Failure {
    failed(format!("{} {message}", shown(value)))
}

/// `TYPE (VALUE) and TYPE (VALUE) message`.
pub(crate) fn type_error2(a: &Value, b: &Value, message: &str) -> Failure {
    failed(format!("{} and {} {message}", shown(a), shown(b)))
}

/// A dump in a message has at most 29 bytes; its end shows what it was.
fn shortened(text: &str) -> String {
    const MOST: usize = 29;
    if text.len() <= MOST {
        return text.to_owned();
    }
    let close = match text.as_bytes().first() {
        Some(b'"') => "\"",
        Some(b'[') => "]",
        Some(b'{') => "}",
        _ => "",
    };
    let mut end = MOST - 3 - close.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...{close}", text.get(..end).unwrap_or_default())
}
