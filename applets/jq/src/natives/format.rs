//! `format/1`, which `@name` stands for.

use crate::encode;
use crate::value::Value;
use crate::write::to_json;

use super::{Failure, failed, type_error};

/// `tostring`: a string as it is, anything else as JSON.
pub(crate) fn to_string(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        other => to_json(other),
    }
}

/// The input in the format of that name.
pub(crate) fn format(input: &Value, name: &Value) -> Result<Value, Failure> {
    let Value::String(name) = name else { return Err(type_error(name, "is not a valid format")) };
    let text = || to_string(input);
    let decoded = |result: Result<String, &'static str>| {
        result.map_err(|why| type_error(&Value::string(text()), why)).map(Value::string)
    };
    Ok(Value::string(match &**name {
        "text" => text(),
        "json" => to_json(input),
        "html" => encode::html(&text()),
        "uri" => encode::uri(&text()),
        "base64" => encode::base64(&text()),
        "base32" => encode::base32(&text()),
        "urid" => return decoded(encode::urid(&text())),
        "base64d" => return decoded(encode::base64d(&text())),
        "base32d" => return decoded(encode::base32d(&text())),
        "csv" => row(input, ",", "cannot be csv-formatted, only array", encode::csv)?,
        "tsv" => row(input, "\t", "cannot be tsv-formatted, only array", encode::tsv)?,
        "sh" => {
            let line = |items: &[Value]| {
                joined(items, " ", encode::sh, to_json).map_err(|item| type_error(item, "can not be escaped for shell"))
            };
            match input {
                Value::Array(items) => line(items)?,
                other => line(std::slice::from_ref(other))?,
            }
        }
        _ => return Err(failed(format!("{name} is not a valid format"))),
    }))
}

fn row(input: &Value, between: &str, no_array: &str, quote: fn(&str) -> String) -> Result<String, Failure> {
    let Value::Array(items) = input else { return Err(type_error(input, no_array)) };
    let plain = |item: &Value| match item {
        Value::Null => String::new(),
        Value::Number(number) if number.is_nan() => String::new(),
        other => to_json(other),
    };
    joined(items, between, quote, plain).map_err(|item| type_error(item, "is not valid in a csv row"))
}

/// Strings through `quote`, other scalars through `plain`; an item that is neither is the error.
fn joined<'a>(
    items: &'a [Value],
    between: &str,
    quote: fn(&str) -> String,
    plain: impl Fn(&Value) -> String,
) -> Result<String, &'a Value> {
    let mut line = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            line.push_str(between);
        }
        match item {
            Value::String(text) => line.push_str(&quote(text)),
            Value::Array(_) | Value::Object(_) => return Err(item),
            scalar => line.push_str(&plain(scalar)),
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::parse;

    fn run(input: &str, name: &str) -> String {
        match format(&parse(input).unwrap(), &Value::string(name)) {
            Ok(value) | Err(value) => to_string(&value),
        }
    }

    #[test]
    fn formats() {
        for (input, name, wanted) in [
            (r#"[1,"a\"b",null,true]"#, "csv", r#"1,"a""b",,true"#),
            (r#"["a\tb",null,1.50]"#, "tsv", "a\\tb\t\t1.50"),
            (r#"["it's",1,null]"#, "sh", r"'it'\''s' 1 null"),
            (r#""a b""#, "sh", "'a b'"),
            (r#"[1,"<"]"#, "html", "[1,&quot;&lt;&quot;]"),
            (r#"{"a":1}"#, "base64", "eyJhIjoxfQ=="),
            ("[]", "csv", ""),
            ("1", "csv", "number (1) cannot be csv-formatted, only array"),
            ("[[1]]", "tsv", "array ([1]) is not valid in a csv row"),
            (r#"{"a":1}"#, "sh", r#"object ({"a":1}) can not be escaped for shell"#),
            (r#""QUJDa""#, "base64d", r#"string ("QUJDa") trailing base64 byte found"#),
            ("1", "nope", "nope is not a valid format"),
        ] {
            assert_eq!(run(input, name), wanted, "{input} @{name}");
        }
        assert_eq!(to_string(&format(&Value::Null, &Value::Null).unwrap_err()), "null (null) is not a valid format");
    }
}
