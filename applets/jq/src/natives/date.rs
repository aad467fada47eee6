//! `strptime`, `mktime`, `gmtime`, `localtime`, `strftime`, `strflocaltime`.

use crate::time::{self, Zone};
use crate::value::Value;

use super::{Failure, failed};

fn numbers(fields: [f64; 8]) -> Vec<Value> {
    fields.into_iter().map(Value::number).collect()
}

/// The members as numbers, `None` for one that is none.
fn fields(items: &[Value]) -> Vec<Option<f64>> {
    items.iter().take(8).map(Value::as_f64).collect()
}

/// `strptime(format)`.
pub(crate) fn strptime(input: &Value, format: &Value, zone: &Zone) -> Result<Value, Failure> {
    let (Value::String(text), Value::String(format)) = (input, format) else {
        return Err(failed("strptime/1 requires string inputs and arguments"));
    };
    let (fields, rest) = time::read(text, format, zone).map_err(failed)?;
    let mut items = numbers(fields);
    items.extend(rest.map(Value::string));
    Ok(Value::array(items))
}

/// `mktime`.
pub(crate) fn mktime(input: &Value) -> Result<Value, Failure> {
    let Value::Array(items) = input else { return Err(failed("mktime requires array inputs")) };
    time::mktime(&fields(items)).map(Value::number).map_err(failed)
}

/// `gmtime`.
pub(crate) fn gmtime(input: &Value) -> Result<Value, Failure> {
    let seconds = input.as_f64().ok_or_else(|| failed("gmtime() requires numeric inputs"))?;
    time::gmtime(seconds).map(|fields| Value::array(numbers(fields))).map_err(failed)
}

/// `localtime`.
pub(crate) fn localtime(input: &Value, zone: &Zone) -> Result<Value, Failure> {
    let seconds = input.as_f64().ok_or_else(|| failed("localtime() requires numeric inputs"))?;
    time::localtime(seconds, zone).map(|fields| Value::array(numbers(fields))).map_err(failed)
}

/// `strftime(format)`.
pub(crate) fn strftime(input: &Value, format: &Value, zone: &Zone) -> Result<Value, Failure> {
    let items = match input {
        Value::Number(number) => time::gmtime(number.value()).map_err(failed)?.map(Some).to_vec(),
        Value::Array(items) => fields(items),
        _ => return Err(failed("strftime/1 requires parsed datetime inputs")),
    };
    let Value::String(format) = format else { return Err(failed("strftime/1 requires a string format")) };
    time::format_utc(&items, format, zone).map(Value::string).map_err(failed)
}

/// `strflocaltime(format)`.
pub(crate) fn strflocaltime(input: &Value, format: &Value, zone: &Zone) -> Result<Value, Failure> {
    let items = match input {
        Value::Number(number) => time::localtime(number.value(), zone).map_err(failed)?.map(Some).to_vec(),
        Value::Array(items) => fields(items),
        _ => return Err(failed("strflocaltime/1 requires parsed datetime inputs")),
    };
    let Value::String(format) = format else { return Err(failed("strflocaltime/1 requires a string format")) };
    time::format_local(&items, format, zone).map(Value::string).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::parse;
    use crate::write::to_json;

    fn shown(result: Result<Value, Failure>) -> String {
        match result {
            Ok(value) | Err(value) => to_json(&value),
        }
    }

    #[test]
    fn dates() {
        let zone = Zone::default();
        let value = |text: &str| parse(text).unwrap();
        let date = value(r#""2015-03-05 x""#);
        assert_eq!(shown(strptime(&date, &value(r#""%F""#), &zone)), r#"[2015,2,5,0,0,0,4,63," x"]"#);
        assert_eq!(shown(strptime(&value("1"), &date, &zone)), r#""strptime/1 requires string inputs and arguments""#);
        assert_eq!(shown(mktime(&value("[2015,2,5]"))), "1425513600");
        assert_eq!(shown(mktime(&value("5"))), r#""mktime requires array inputs""#);
        assert_eq!(shown(gmtime(&value("1425599507.25"))), "[2015,2,5,23,51,47.25,4,63]");
        assert_eq!(shown(localtime(&value("0"), &zone)), "[1970,0,1,0,0,0,4,0]");
        assert_eq!(shown(gmtime(&value("\"x\""))), r#""gmtime() requires numeric inputs""#);
        assert_eq!(shown(strftime(&value("0"), &value("\"%F\""), &zone)), r#""1970-01-01""#);
        assert_eq!(shown(strftime(&value("0"), &value("1"), &zone)), r#""strftime/1 requires a string format""#);
        assert_eq!(
            shown(strftime(&value("{}"), &value("1"), &zone)),
            r#""strftime/1 requires parsed datetime inputs""#
        );
        assert_eq!(shown(strflocaltime(&value("[2015,2]"), &value("\"%Y\""), &zone)), r#""2015""#);
    }
}
