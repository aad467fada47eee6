//! Dates: jq's arrays over [`crate::time`].

use std::time::{SystemTime, UNIX_EPOCH};

use super::collections::with_one;
use super::{Native, Outcome, fail, native_of};
use crate::time;
use crate::value::Value;

pub(super) static TABLE: &[Native] = &[
    native_of("now", 0, |_, _, _| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Value::number(now.as_micros() as f64 / 1e6))
    }),
    native_of("gmtime", 0, |_, input, _| match input.as_f64() {
        Some(seconds) => array(time::gmtime(seconds)),
        None => fail("gmtime() requires a number"),
    }),
    native_of("localtime", 0, |context, input, _| match input.as_f64() {
        Some(seconds) => array(time::localtime(seconds, context.facts.zone())),
        None => fail("localtime() requires a number"),
    }),
    native_of("mktime", 0, |_, input, _| match &input {
        Value::Array(list) if list.len() >= 6 => match time::mktime(&fields(&input)) {
            Ok(seconds) => Ok(Value::number(seconds)),
            Err(message) => fail(message),
        },
        Value::Array(_) => fail("mktime requires array of 6 numbers"),
        _ => fail("mktime requires array of 6 numbers"),
    }),
    native_of("strptime", 1, |context, input, args| {
        with_one(args, |format| match (&input, format) {
            (Value::String(text), Value::String(format)) => match time::read(text, format, context.facts.zone()) {
                Ok((fields, rest)) => {
                    let numbers = fields.into_iter().map(Value::number);
                    Ok(numbers.chain(rest.map(Value::from)).collect())
                }
                Err(message) => fail(message),
            },
            _ => fail("strptime/1 requires string inputs and arguments"),
        })
    }),
    native_of("strftime", 1, |context, input, args| {
        let input = match input.as_f64() {
            Some(seconds) => array(time::gmtime(seconds))?,
            None => input,
        };
        if !matches!(input, Value::Array(_)) {
            return fail("strftime/1 requires parsed datetime inputs");
        }
        with_one(args, |format| match format {
            Value::String(format) => text(time::format_utc(&fields(&input), format, context.facts.zone())),
            _ => fail("strftime/1 requires a string format"),
        })
    }),
    native_of("strflocaltime", 1, |context, input, args| {
        let input = match input.as_f64() {
            Some(seconds) => array(time::localtime(seconds, context.facts.zone()))?,
            None => input,
        };
        if !matches!(input, Value::Array(_)) {
            return fail("strflocaltime/1 requires parsed datetime inputs");
        }
        with_one(args, |format| match format {
            Value::String(format) => text(time::format_local(&fields(&input), format, context.facts.zone())),
            _ => fail("strflocaltime/1 requires a string format"),
        })
    }),
];

fn fields(input: &Value) -> Vec<Option<f64>> {
    match input {
        Value::Array(list) => list.iter().map(Value::as_f64).collect(),
        _ => Vec::new(),
    }
}

fn array(result: Result<[f64; 8], &'static str>) -> Outcome {
    match result {
        Ok(fields) => Ok(fields.into_iter().map(Value::number).collect()),
        Err(message) => fail(message),
    }
}

fn text(result: Result<String, &'static str>) -> Outcome {
    match result {
        Ok(text) => Ok(text.into()),
        Err(message) => fail(message),
    }
}
