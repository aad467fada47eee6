//! JSON output: a value tree that keeps the order of its keys.
//!
//! Only writing is needed here, and only this much of it; reading JSON is jq-lite's business.

use std::fmt;

/// A JSON value (RFC 8259).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// null
    Null,
    /// true or false
    Bool(bool),
    /// A whole number, printed with all its digits.
    Int(i64),
    /// A finite number; anything else prints as null.
    Float(f64),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// An object, in insertion order.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// An empty object.
    pub fn object() -> Value {
        Value::Object(Vec::new())
    }

    /// Adds a member to an object; on any other value it does nothing.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Value {
        self.set(key, value);
        self
    }

    /// Adds a member in place; on anything but an object it does nothing.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        if let Value::Object(members) = self {
            members.push((key.to_owned(), value.into()));
        }
    }

    /// Indented by two spaces a level, with a final newline.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        write_value(&mut out, self, Some(0));
        out.push('\n');
        out
    }
}

impl fmt::Display for Value {
    /// On one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        write_value(&mut out, self, None);
        f.write_str(&out)
    }
}

fn write_value(out: &mut String, value: &Value, depth: Option<usize>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Float(number) if number.is_finite() => out.push_str(&number.to_string()),
        Value::Float(_) => out.push_str("null"),
        Value::Text(text) => write_string(out, text),
        Value::Array(items) => write_list(out, '[', ']', items.iter(), depth, |out, item, inner| {
            write_value(out, item, inner);
        }),
        Value::Object(members) => write_list(out, '{', '}', members.iter(), depth, |out, (key, item), inner| {
            write_string(out, key);
            out.push_str(if inner.is_some() { ": " } else { ":" });
            write_value(out, item, inner);
        }),
    }
}

fn write_list<T>(
    out: &mut String,
    open: char,
    close: char,
    items: impl ExactSizeIterator<Item = T>,
    depth: Option<usize>,
    each: impl Fn(&mut String, T, Option<usize>),
) {
    out.push(open);
    let empty = items.len() == 0;
    let inner = depth.map(|depth| depth + 1);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        new_line(out, inner);
        each(out, item, inner);
    }
    if !empty {
        new_line(out, depth);
    }
    out.push(close);
}

fn new_line(out: &mut String, depth: Option<usize>) {
    if let Some(depth) = depth {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

macro_rules! from_int {
    ($($kind:ty)*) => {$(
        impl From<$kind> for Value {
            fn from(number: $kind) -> Value {
                Value::Int(i64::from(number))
            }
        }
    )*};
}
from_int!(u8 u16 u32 i32 i64);

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u128> for Value {
    fn from(number: u128) -> Value {
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Float(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Bool(flag)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::Array(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(item: Option<T>) -> Value {
        item.map_or(Value::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_pretty() {
        let value = Value::object().with("a", 1u8).with("b", vec!["x\"\n\u{1b}"]).with("c", Value::Array(vec![]));
        assert_eq!(value.to_string(), r#"{"a":1,"b":["x\"\n\u001b"],"c":[]}"#);
        assert_eq!(value.pretty(), "{\n  \"a\": 1,\n  \"b\": [\n    \"x\\\"\\n\\u001b\"\n  ],\n  \"c\": []\n}\n");
        assert_eq!(Value::Float(f64::NAN).to_string(), "null");
    }
}
