//! Builtins on text.

use crate::read;
use crate::value::{Number, Value};

use super::format::to_string;
use super::{Failure, failed, type_error};

#[allow(clippy::cast_precision_loss)]
pub(super) fn count(value: usize) -> Value {
    Value::number(value as f64)
}

/// `length`: characters, items, keys, or a number's magnitude.
pub(crate) fn length(input: &Value) -> Result<Value, Failure> {
    match input {
        Value::Null => Ok(count(0)),
        Value::Bool(_) => Err(type_error(input, "has no length")),
        Value::Number(number) => Ok(Value::number(number.value().abs())),
        Value::String(text) => Ok(count(text.chars().count())),
        Value::Array(items) => Ok(count(items.len())),
        Value::Object(map) => Ok(count(map.len())),
    }
}

/// `utf8bytelength`.
pub(crate) fn utf8_byte_length(input: &Value) -> Result<Value, Failure> {
    match input {
        Value::String(text) => Ok(count(text.len())),
        _ => Err(type_error(input, "only strings have UTF-8 byte length")),
    }
}

/// `fromjson`.
pub(crate) fn from_json(input: &Value) -> Result<Value, Failure> {
    let Value::String(text) = input else { return Err(type_error(input, "only strings can be parsed")) };
    read::parse(text).map_err(|why| failed(format!("{why} (while parsing '{text}')")))
}

/// `tonumber`: a literal keeps its digits; no space around it.
pub(crate) fn to_number(input: &Value) -> Result<Value, Failure> {
    match input {
        Value::Number(_) => Ok(input.clone()),
        Value::String(text) => {
            Number::parse(text).map(Value::Number).ok_or_else(|| type_error(input, "cannot be parsed as a number"))
        }
        _ => Err(type_error(input, "cannot be parsed as a number")),
    }
}

/// `explode`.
pub(crate) fn explode(input: &Value) -> Result<Value, Failure> {
    let Value::String(text) = input else { return Err(failed("explode input must be a string")) };
    Ok(Value::array(text.chars().map(|c| Value::number(f64::from(u32::from(c)))).collect()))
}

/// `implode`: what is no character becomes U+FFFD.
pub(crate) fn implode(input: &Value) -> Result<Value, Failure> {
    let Value::Array(items) = input else { return Err(failed("implode input must be an array")) };
    let mut text = String::with_capacity(items.len());
    for item in items.iter() {
        let code = item.as_f64().filter(|code| !code.is_nan());
        let Some(code) = code else {
            return Err(type_error(item, "can't be imploded, unicode codepoint needs to be numeric"));
        };
        // As C's int; what does not fit is no character either way.
        #[allow(clippy::cast_possible_truncation)]
        let code = u32::try_from(code as i64).ok();
        text.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    Ok(Value::string(text))
}

/// `startswith(prefix)`.
pub(crate) fn starts_with(input: &Value, prefix: &Value) -> Result<Value, Failure> {
    match (input, prefix) {
        (Value::String(text), Value::String(prefix)) => Ok(Value::Bool(text.starts_with(&**prefix))),
        _ => Err(failed("startswith() requires string inputs")),
    }
}

/// `endswith(suffix)`.
pub(crate) fn ends_with(input: &Value, suffix: &Value) -> Result<Value, Failure> {
    match (input, suffix) {
        (Value::String(text), Value::String(suffix)) => Ok(Value::Bool(text.ends_with(&**suffix))),
        _ => Err(failed("endswith() requires string inputs")),
    }
}

/// Takes a part off at the start, at the end, or at both; what is no string stays as it is.
fn strip(input: &Value, part: &Value, start: bool, end: bool) -> Value {
    let (Value::String(text), Value::String(part)) = (input, part) else { return input.clone() };
    let mut rest: &str = text;
    if start {
        rest = rest.strip_prefix(&**part).unwrap_or(rest);
    }
    if end {
        rest = rest.strip_suffix(&**part).unwrap_or(rest);
    }
    if rest.len() == text.len() { input.clone() } else { Value::string(rest) }
}

/// `ltrimstr(part)`.
pub(crate) fn ltrimstr(input: &Value, part: &Value) -> Value {
    strip(input, part, true, false)
}

/// `rtrimstr(part)`.
pub(crate) fn rtrimstr(input: &Value, part: &Value) -> Value {
    strip(input, part, false, true)
}

/// `trimstr(part)`.
pub(crate) fn trimstr(input: &Value, part: &Value) -> Value {
    strip(input, part, true, true)
}

/// `trim`, `ltrim` and `rtrim`: White_Space of Unicode.
pub(crate) fn trim(input: &Value, start: bool, end: bool) -> Result<Value, Failure> {
    let Value::String(text) = input else { return Err(failed("trim input must be a string")) };
    let mut rest: &str = text;
    if start {
        rest = rest.trim_start();
    }
    if end {
        rest = rest.trim_end();
    }
    Ok(if rest.len() == text.len() { input.clone() } else { Value::string(rest) })
}

/// `ascii_downcase` and `ascii_upcase`.
pub(crate) fn ascii_case(input: &Value, upper: bool) -> Result<Value, Failure> {
    let Value::String(text) = input else { return Err(failed("explode input must be a string")) };
    Ok(Value::string(if upper { text.to_ascii_uppercase() } else { text.to_ascii_lowercase() }))
}

/// `split(separator)`: without separator into characters, and nothing out of nothing.
pub(crate) fn split(input: &Value, separator: &Value) -> Result<Value, Failure> {
    let (Value::String(text), Value::String(separator)) = (input, separator) else {
        return Err(failed("split input and separator must be strings"));
    };
    let pieces = if text.is_empty() {
        Vec::new()
    } else if separator.is_empty() {
        text.chars().map(|c| Value::string(c.to_string())).collect()
    } else {
        text.split(&**separator).map(Value::string).collect()
    };
    Ok(Value::array(pieces))
}

/// `_strindices(part)`: where it begins, in characters; occurrences may overlap.
pub(crate) fn indices(input: &Value, part: &Value) -> Result<Value, Failure> {
    let Value::String(text) = input else { return Err(type_error(input, "is not a string")) };
    let Value::String(part) = part else { return Err(type_error(part, "is not a string")) };
    let mut found = Vec::new();
    let Some(first) = part.chars().next() else { return Ok(Value::array(found)) };
    let (mut rest, mut characters): (&str, usize) = (text, 0);
    while let Some(at) = rest.find(&**part) {
        characters += rest.get(..at).map_or(0, |before| before.chars().count());
        found.push(count(characters));
        characters += 1;
        rest = rest.get(at + first.len_utf8()..).unwrap_or_default();
    }
    Ok(Value::array(found))
}

/// `tostring`.
pub(crate) fn tostring(input: &Value) -> Value {
    match input {
        Value::String(_) => input.clone(),
        other => Value::string(to_string(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::to_json;

    fn v(text: &str) -> Value {
        read::parse(text).unwrap()
    }

    fn j(result: Result<Value, Failure>) -> String {
        match result {
            Ok(value) | Err(value) => to_json(&value),
        }
    }

    #[test]
    fn measures() {
        for (input, wanted) in [("null", "0"), ("\"hé\"", "2"), ("[1]", "1"), ("-2.5", "2.5"), ("{\"a\":1}", "1")] {
            assert_eq!(j(length(&v(input))), wanted);
        }
        assert_eq!(j(length(&v("true"))), "\"boolean (true) has no length\"");
        assert_eq!(j(utf8_byte_length(&v("\"hé\""))), "3");
        assert_eq!(j(utf8_byte_length(&v("[]"))), "\"array ([]) only strings have UTF-8 byte length\"");
    }

    #[test]
    fn conversions() {
        assert_eq!(j(to_number(&v("\"1.50\""))), "1.50");
        assert_eq!(j(to_number(&v("\" 1\""))), r#""string (\" 1\") cannot be parsed as a number""#);
        assert_eq!(j(from_json(&v("\"[1,2]\""))), "[1,2]");
        assert!(j(from_json(&v("\"{a\""))).ends_with("(while parsing '{a')\""));
        assert_eq!(j(explode(&v("\"aé\""))), "[97,233]");
        assert_eq!(j(implode(&v("[97,55296,-1,1114112,128512]"))), "\"a\u{fffd}\u{fffd}\u{fffd}😀\"");
        assert_eq!(
            j(implode(&v("[null]"))),
            "\"null (null) can't be imploded, unicode codepoint needs to be numeric\""
        );
    }

    #[test]
    fn parts() {
        assert_eq!(j(indices(&v("\"éaéaé\""), &v("\"éaé\""))), "[0,2]");
        assert_eq!(j(indices(&v("\"abc\""), &v("\"\""))), "[]");
        assert_eq!(j(indices(&v("\"abc\""), &v("1"))), "\"number (1) is not a string\"");
        assert_eq!(j(split(&v("\"a,b,\""), &v("\",\""))), r#"["a","b",""]"#);
        assert_eq!(j(split(&v("\"äb\""), &v("\"\""))), r#"["ä","b"]"#);
        assert_eq!(j(split(&v("\"\""), &v("\",\""))), "[]");
        assert_eq!(to_json(&trimstr(&v("\"xax\""), &v("\"x\""))), "\"a\"");
        assert_eq!(to_json(&trimstr(&v("\"x\""), &v("\"x\""))), "\"\"");
        assert_eq!(
            (to_json(&ltrimstr(&v("5"), &v("\"x\""))), to_json(&rtrimstr(&v("\"ab\""), &v("\"b\"")))),
            ("5".to_owned(), "\"a\"".to_owned())
        );
        assert_eq!(j(trim(&v("\"\\u00a0 a \""), true, false)), "\"a \"");
        assert_eq!(j(trim(&v("1"), true, true)), "\"trim input must be a string\"");
        assert_eq!(j(starts_with(&v("\"ab\""), &v("1"))), "\"startswith() requires string inputs\"");
        assert_eq!(j(ends_with(&v("\"ab\""), &v("\"b\""))), "true");
        assert_eq!(j(ascii_case(&v("\"aÉ\""), true)), "\"AÉ\"");
    }
}
