//! Strings, conversions, and the formats of `@name`.

use super::collections::with_one;
use super::text::shown;
use super::{Context, Native, Outcome, fail, native_of};
use crate::encode;
use crate::lang::{Fault, ops};
use crate::number::Number;
use crate::read;
use crate::value::Value;
use crate::write::to_json;

pub(super) static TABLE: &[Native] = &[
    native_of("tostring", 0, |_, input, _| match input {
        Value::String(_) => Ok(input),
        other => Ok(to_json(&other).into()),
    }),
    native_of("tojson", 0, |_, input, _| Ok(to_json(&input).into())),
    native_of("fromjson", 0, from_json),
    native_of("tonumber", 0, to_number),
    native_of("ascii_downcase", 0, |_, input, _| match &input {
        Value::String(text) => Ok(text.to_ascii_lowercase().into()),
        _ => fail("ascii_downcase input must be a string"),
    }),
    native_of("ascii_upcase", 0, |_, input, _| match &input {
        Value::String(text) => Ok(text.to_ascii_uppercase().into()),
        _ => fail("ascii_upcase input must be a string"),
    }),
    native_of("explode", 0, |_, input, _| match &input {
        Value::String(text) => Ok(text.chars().map(|c| Value::number(f64::from(u32::from(c)))).collect()),
        _ => fail(format!("{} cannot be exploded", shown(&input))),
    }),
    native_of("implode", 0, implode),
    native_of("startswith", 1, |_, input, args| {
        with_one(args, |part| match (&input, part) {
            (Value::String(text), Value::String(part)) => Ok(Value::Bool(text.starts_with(&**part))),
            _ => fail("startswith() requires string inputs"),
        })
    }),
    native_of("endswith", 1, |_, input, args| {
        with_one(args, |part| match (&input, part) {
            (Value::String(text), Value::String(part)) => Ok(Value::Bool(text.ends_with(&**part))),
            _ => fail("endswith() requires string inputs"),
        })
    }),
    native_of("ltrimstr", 1, |_, input, args| with_one(args, |part| Ok(cut(input, part, true, false)))),
    native_of("rtrimstr", 1, |_, input, args| with_one(args, |part| Ok(cut(input, part, false, true)))),
    native_of("trimstr", 1, |_, input, args| with_one(args, |part| Ok(cut(input, part, true, true)))),
    native_of("trim", 0, |_, input, _| trimmed(&input, str::trim_matches)),
    native_of("ltrim", 0, |_, input, _| trimmed(&input, str::trim_start_matches)),
    native_of("rtrim", 0, |_, input, _| match &input {
        Value::String(text) => Ok(text.trim_end_matches(is_space).into()),
        _ => fail("trim input must be a string"),
    }),
    native_of("split", 1, |_, input, args| {
        with_one(args, |part| match (&input, part) {
            (Value::String(text), Value::String(part)) => Ok(ops::split(text, part)),
            _ => fail("split input and separator must be strings"),
        })
    }),
    native_of("_strindices", 1, |_, input, args| {
        with_one(args, |part| match (&input, part) {
            (Value::String(text), Value::String(part)) => Ok(string_indices(text, part)),
            (Value::String(_), other) => fail(format!("{} is not a string", shown(other))),
            _ => fail(format!("{} is not a string", shown(&input))),
        })
    }),
];

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

fn trimmed(input: &Value, trim: fn(&str, fn(char) -> bool) -> &str) -> Outcome {
    match input {
        Value::String(text) => Ok(trim(text, is_space).into()),
        _ => fail("trim input must be a string"),
    }
}

/// `ltrimstr` and its kin; what is no string stays as it is.
fn cut(input: Value, part: &Value, left: bool, right: bool) -> Value {
    let (Value::String(text), Value::String(part)) = (&input, part) else { return input };
    let mut rest: &str = text;
    if left {
        rest = rest.strip_prefix(&**part).unwrap_or(rest);
    }
    if right {
        rest = rest.strip_suffix(&**part).unwrap_or(rest);
    }
    if rest.len() == text.len() { input } else { rest.into() }
}

/// Where a string occurs in another, in characters; occurrences may overlap.
pub(super) fn string_indices(text: &str, part: &str) -> Value {
    if part.is_empty() {
        return Value::array(Vec::new());
    }
    let mut found = Vec::new();
    let (mut at, mut characters) = (0, 0);
    while let Some(next) = text.get(at..).and_then(|rest| rest.find(part)) {
        characters += text.get(at..at + next).map_or(0, |gap| gap.chars().count());
        found.push(Value::number(characters as f64));
        let step = part.chars().next().map_or(1, char::len_utf8);
        at += next + step;
        characters += 1;
    }
    Value::array(found)
}

fn from_json(_: &mut Context<'_>, input: Value, _: &[Value]) -> Outcome {
    match &input {
        Value::String(text) => match read::parse(text) {
            Ok(value) => Ok(value),
            Err(message) => fail(format!("{message} (while parsing '{text}')")),
        },
        _ => fail(format!("{} only strings can be parsed", shown(&input))),
    }
}

fn to_number(_: &mut Context<'_>, input: Value, _: &[Value]) -> Outcome {
    match &input {
        Value::Number(_) => return Ok(input),
        Value::String(text) => {
            if let Some(number) = Number::parse(text) {
                return Ok(Value::Number(number));
            }
        }
        _ => {}
    }
    fail(format!("{} cannot be parsed as a number", shown(&input)))
}

fn implode(_: &mut Context<'_>, input: Value, _: &[Value]) -> Outcome {
    let Value::Array(list) = &input else { return fail("implode input must be an array") };
    let mut text = String::new();
    for item in list.iter() {
        match item.as_f64() {
            Some(code) if !code.is_nan() => {
                text.push(char::from_u32(code as u32).filter(|_| code >= 0.0).unwrap_or('\u{fffd}'));
            }
            _ => {
                let message = "can't be imploded, unicode codepoint needs to be numeric";
                return fail(format!("{} {message}", shown(item)));
            }
        }
    }
    Ok(text.into())
}

/// `format(name)`
pub(super) fn format_native(_: &mut Context<'_>, input: Value, args: &[Value]) -> Outcome {
    with_one(args, |name| match name {
        Value::String(name) => Ok(format(name, &input)?.into()),
        other => fail(format!("{} is not a valid format", shown(other))),
    })
}

/// A value as text in a format; the name may begin with `@`.
pub(crate) fn format(name: &str, value: &Value) -> Result<String, Fault> {
    let text = |value: &Value| match value {
        Value::String(text) => text.to_string(),
        other => to_json(other),
    };
    let decoded = |result: Result<String, &'static str>| match result {
        Ok(text) => Ok(text),
        Err(reason) => fail(format!("{} {reason}", shown(&Value::from(text(value))))),
    };
    Ok(match name.strip_prefix('@').unwrap_or(name) {
        "text" => text(value),
        "json" => to_json(value),
        "html" => encode::html(&text(value)),
        "uri" => encode::uri(&text(value)),
        "urid" => decoded(encode::urid(&text(value)))?,
        "base64" => encode::base64(&text(value)),
        "base64d" => decoded(encode::base64d(&text(value)))?,
        "base32" => encode::base32(&text(value)),
        "base32d" => decoded(encode::base32d(&text(value)))?,
        "csv" => row(value, "csv", ",", encode::csv)?,
        "tsv" => row(value, "tsv", "\t", encode::tsv)?,
        "sh" => match value {
            Value::Array(list) => {
                let words: Result<Vec<String>, Fault> = list.iter().map(shell).collect();
                words?.join(" ")
            }
            other => shell(other)?,
        },
        name => return fail(format!("{name} is not a valid format")),
    })
}

fn shell(value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(encode::sh(text)),
        Value::Array(_) | Value::Object(_) => fail(format!("{} can not be escaped for shell", shown(value))),
        other => Ok(to_json(other)),
    }
}

fn row(value: &Value, kind: &str, separator: &str, quote: fn(&str) -> String) -> Result<String, Fault> {
    let Value::Array(list) = value else {
        return fail(format!("{} cannot be {kind}-formatted, only an array can be", shown(value)));
    };
    let mut fields = Vec::with_capacity(list.len());
    for item in list.iter() {
        fields.push(match item {
            Value::Null => String::new(),
            Value::Number(number) if number.is_nan() => String::new(),
            Value::Bool(_) | Value::Number(_) => to_json(item),
            Value::String(text) => quote(text),
            other => return fail(format!("{} is not valid in a {kind} row", shown(other))),
        });
    }
    Ok(fields.join(separator))
}
