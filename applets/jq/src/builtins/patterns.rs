//! Regular expressions: jq's match objects over [`crate::regex`].

use std::rc::Rc;

use super::collections::with_one;
use super::text::shown;
use super::{Context, Native, Outcome, fail, native_of};
use crate::lang::Fault;
use crate::regex::{Flags, Match, Regex, Span};
use crate::value::{Map, Value};

/// Compiled patterns that are kept.
const KEPT: usize = 256;

pub(super) static TABLE: &[Native] = &[
    native_of("_match", 3, matches),
    native_of("_pattern", 1, |_, _, args| with_one(args, pattern)),
    native_of("_captured", 0, |_, input, _| Ok(captured(&input))),
    native_of("_pieces", 1, |_, input, args| with_one(args, |text| pieces(&input, text))),
];

fn regex(context: &mut Context<'_>, pattern: &Rc<str>, flags: Flags) -> Result<Rc<Regex>, Fault> {
    let key = (pattern.clone(), flags);
    if let Some(known) = context.facts.regexes.get(&key) {
        return Ok(known.clone());
    }
    match Regex::new(pattern, flags) {
        Ok(regex) => {
            if context.facts.regexes.len() >= KEPT {
                context.facts.regexes.clear();
            }
            let regex = Rc::new(regex);
            context.facts.regexes.insert(key, regex.clone());
            Ok(regex)
        }
        Err(error) => fail(error.to_string()),
    }
}

/// `_match(re; flags; test)`
fn matches(context: &mut Context<'_>, input: Value, args: &[Value]) -> Outcome {
    let [pattern, letters, test] = args else { return fail("three arguments are needed") };
    let text = match &input {
        Value::String(text) => text.clone(),
        other => return fail(format!("{} cannot be matched, as it is not a string", shown(other))),
    };
    let pattern = match pattern {
        Value::String(pattern) => pattern,
        other => return fail(format!("{} cannot be matched, as it is not a string", shown(other))),
    };
    let flags = match letters {
        Value::Null => Flags::default(),
        Value::String(letters) => Flags::parse(letters).map_err(|message| Fault::Error(message.into()))?,
        other => return fail(format!("{} is not a string", shown(other))),
    };
    let regex = regex(context, pattern, flags)?;
    let failed = |error: crate::regex::Error| Fault::Error(error.to_string().into());
    if test.is_truthy() {
        return regex.is_match(&text).map(Value::Bool).map_err(failed);
    }
    let found = regex.matches(&text).map_err(failed)?;
    Ok(found.iter().map(|found| object(found, &regex, &text)).collect())
}

fn part(span: Option<&Span>, text: &str) -> Map {
    let mut map = Map::with_capacity(4);
    let (offset, length, part) = match span {
        Some(span) => {
            (span.offset as f64, span.length as f64, Value::from(text.get(span.start..span.end).unwrap_or_default()))
        }
        None => (-1.0, 0.0, Value::Null),
    };
    map.insert("offset".into(), Value::number(offset));
    map.insert("length".into(), Value::number(length));
    map.insert("string".into(), part);
    map
}

fn object(found: &Match, regex: &Regex, text: &str) -> Value {
    let mut map = part(Some(&found.span), text);
    let captures = found.captures.iter().zip(regex.names()).map(|(span, name)| {
        let mut capture = part(span.as_ref(), text);
        let name = name.as_ref().map_or(Value::Null, |name| Value::from(name.as_str()));
        capture.insert("name".into(), name);
        Value::object(capture)
    });
    map.insert("captures".into(), captures.collect());
    Value::object(map)
}

/// A pattern, or a list of a pattern and flags, as a pair.
fn pattern(value: &Value) -> Outcome {
    match value {
        Value::String(_) => Ok(Value::array(vec![value.clone(), Value::Null])),
        Value::Array(list) if !list.is_empty() => {
            let at = |at: usize| list.get(at).cloned().unwrap_or_default();
            Ok(Value::array(vec![at(0), at(1)]))
        }
        other => fail(format!("{} not a string or array", other.type_name())),
    }
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => map.get(name),
        _ => None,
    }
}

/// The named captures of a match object.
fn captured(found: &Value) -> Value {
    let mut map = Map::new();
    if let Some(Value::Array(captures)) = member(found, "captures") {
        for capture in captures.iter() {
            if let Some(Value::String(name)) = member(capture, "name") {
                map.insert(name.clone(), member(capture, "string").cloned().unwrap_or_default());
            }
        }
    }
    Value::object(map)
}

/// What lies between the matches of a text.
fn pieces(found: &Value, text: &Value) -> Outcome {
    let (Value::Array(found), Value::String(text)) = (found, text) else { return fail("split input must be a string") };
    let mut pieces = Vec::new();
    let mut characters = text.chars();
    let mut at = 0usize;
    for found in found.iter() {
        let number = |name| member(found, name).and_then(Value::as_f64).unwrap_or_default() as usize;
        let (offset, length) = (number("offset"), number("length"));
        let piece: String = characters.by_ref().take(offset.saturating_sub(at)).collect();
        pieces.push(Value::from(piece));
        for _ in 0..length {
            characters.next();
        }
        at = offset.max(at) + length;
    }
    pieces.push(Value::from(characters.as_str()));
    Ok(Value::array(pieces))
}
