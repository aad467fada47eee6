//! Natives on arrays and objects that take their input over, or are called so often that it pays.

use std::cmp::Ordering;
use std::rc::Rc;

use super::text::shown;
use super::{Context, Named, Outcome, fail, own, own_first};
use crate::lang::{Fault, ops};
use crate::natives::table::number;
use crate::value::{List, Map, Value};

pub(super) static TABLE: &[Named] = &[
    own("not", 0, |_, input, _| Ok(Value::Bool(!input.is_truthy()))),
    own("add", 0, add),
    own("sort", 0, sort),
    own("unique", 0, |_, input, _| {
        let keys = items(input.clone())?;
        let keys = keys.into_iter().map(|key| Value::array(vec![key])).collect();
        by(input, &Value::array(keys), "grouped").map(|pairs| firsts(groups(pairs)))
    }),
    own("min", 0, |_, input, _| extreme(&input, &input, |order| order == Ordering::Less)),
    own("max", 0, |_, input, _| extreme(&input, &input, |order| order != Ordering::Less)),
    own("flatten", 0, |_, input, _| flatten(input, f64::INFINITY)),
    own("flatten", 1, |_, input, args| {
        with_one(args, |depth| match depth.as_f64() {
            Some(depth) if depth < 0.0 => fail("flatten depth must not be negative"),
            Some(depth) => flatten(input, depth),
            None if matches!(depth, Value::Null | Value::Bool(_)) => fail("flatten depth must not be negative"),
            None => fail(format!("{} and number (1) cannot be subtracted", shown(depth))),
        })
    }),
    own("to_entries", 0, to_entries),
    own("_entry_key", 0, |_, input, _| match input {
        Value::String(_) => Ok(input),
        other => Ok(crate::write::to_json(&other).into()),
    }),
    own("abs", 0, |_, input, _| match &input {
        Value::Number(number) if number.value() < 0.0 => Ok(Value::Number(number.negated())),
        // What is no number is as it is.
        _ => Ok(input),
    }),
    own("isinfinite", 0, |_, input, _| Ok(Value::Bool(number(&input)?.is_infinite()))),
    own("isnan", 0, |_, input, _| Ok(Value::Bool(number(&input)?.is_nan()))),
    own("isnormal", 0, |_, input, _| Ok(Value::Bool(number(&input)?.is_normal()))),
    own("isfinite", 0, |_, input, _| Ok(Value::Bool(input.as_f64().is_some_and(|value| !value.is_infinite())))),
    own("setpath", 2, |_, input, args| match args {
        [path, value] => Ok(ops::set_path(input, path, value.clone())?),
        _ => fail("setpath/2 takes two arguments"),
    }),
    own("delpaths", 1, |_, input, args| with_one(args, |paths| Ok(ops::delete_paths(input, paths)?))),
    own("toarray", 0, |_, input, _| match input {
        Value::Array(_) => Ok(input),
        other => Ok(Value::array(vec![other])),
    }),
    own_first("indices", 1, |_, input, args| with_one(args, |what| indices(&input, what))),
    own_first("index", 1, |_, input, args| {
        with_one(args, |what| Ok(ops::index(&indices(&input, what)?, &Value::number(0.0))?))
    }),
    own_first("rindex", 1, |_, input, args| {
        with_one(args, |what| match indices(&input, what)? {
            Value::Array(found) => Ok(found.last().cloned().unwrap_or_default()),
            other => Ok(ops::index(&other, &Value::number(0.0))?),
        })
    }),
    own_first("join", 1, |_, input, args| with_one(args, |separator| join(input, separator))),
];

pub(super) static SORT_BY: Named = own("_sort_by", 1, |_, input, args| {
    with_one(args, |keys| {
        let pairs = by(input, keys, "sorted")?;
        Ok(pairs.into_iter().map(|(_, value)| value).collect())
    })
});
pub(super) static GROUP_BY: Named = own("_group_by", 1, |_, input, args| {
    with_one(args, |keys| Ok(groups(by(input, keys, "grouped")?).into_iter().map(Value::array).collect()))
});
pub(super) static UNIQUE_BY: Named =
    own("_unique_by", 1, |_, input, args| with_one(args, |keys| Ok(firsts(groups(by(input, keys, "grouped")?)))));
pub(super) static MIN_BY: Named =
    own("_min_by", 1, |_, input, args| with_one(args, |keys| extreme(&input, keys, |order| order == Ordering::Less)));
pub(super) static MAX_BY: Named =
    own("_max_by", 1, |_, input, args| with_one(args, |keys| extreme(&input, keys, |order| order != Ordering::Less)));

/// Runs a native of one argument.
pub(super) fn with_one(args: &[Value], run: impl FnOnce(&Value) -> Outcome) -> Outcome {
    match args {
        [one] => run(one),
        _ => fail("one argument is needed"),
    }
}

/// What `.[]` gives.
fn items(input: Value) -> Result<Vec<Value>, Fault> {
    match input {
        Value::Array(list) => Ok(List::unshare(list)),
        Value::Object(map) => Ok(map.values().cloned().collect()),
        other => fail(format!("Cannot iterate over {}", shown(&other))),
    }
}

fn add(_: &mut Context<'_>, input: Value, _: &[Value]) -> Outcome {
    let items = items(input)?;
    if items.len() > 1 && items.iter().all(|item| item.as_str().is_some()) {
        return Ok(items.iter().filter_map(Value::as_str).collect::<String>().into());
    }
    let mut sum = Value::Null;
    for item in items {
        sum = ops::add(sum, item)?;
    }
    Ok(sum)
}

fn sort(_: &mut Context<'_>, input: Value, _: &[Value]) -> Outcome {
    match input {
        Value::Array(list) => {
            let mut items = List::unshare(list);
            items.sort_by(Value::sort_compare);
            Ok(Value::array(items))
        }
        other => fail(format!("{} cannot be sorted, as it is not an array", shown(&other))),
    }
}

/// Values with their keys, in the order of the keys.
fn by(input: Value, keys: &Value, what: &str) -> Result<Vec<(Value, Value)>, Fault> {
    match (input, keys) {
        (Value::Array(list), Value::Array(keys)) if list.len() == keys.len() => {
            let mut pairs: Vec<(Value, Value)> = keys.iter().cloned().zip(List::unshare(list)).collect();
            pairs.sort_by(|(a, _), (b, _)| match (a, b) {
                // One key is the usual case.
                (Value::Array(a), Value::Array(b)) => match (a.as_slice(), b.as_slice()) {
                    ([a], [b]) => a.sort_compare(b),
                    _ => Value::Array(a.clone()).sort_compare(&Value::Array(b.clone())),
                },
                (a, b) => a.sort_compare(b),
            });
            Ok(pairs)
        }
        (input, keys) => {
            fail(format!("{} and {} cannot be {what}, as they are not both arrays", shown(&input), shown(keys)))
        }
    }
}

fn groups(pairs: Vec<(Value, Value)>) -> Vec<Vec<Value>> {
    let mut groups: Vec<Vec<Value>> = Vec::new();
    let mut last: Option<Value> = None;
    for (key, value) in pairs {
        let same = last.as_ref().is_some_and(|last| last.sort_compare(&key).is_eq());
        match groups.last_mut() {
            Some(group) if same => group.push(value),
            _ => groups.push(vec![value]),
        }
        last = Some(key);
    }
    groups
}

fn firsts(groups: Vec<Vec<Value>>) -> Value {
    groups.into_iter().filter_map(|group| group.into_iter().next()).collect()
}

fn extreme(input: &Value, keys: &Value, better: fn(Ordering) -> bool) -> Outcome {
    let (Value::Array(list), Value::Array(keys)) = (input, keys) else {
        return fail(format!("{} and {} cannot be iterated over", shown(input), shown(keys)));
    };
    let mut best: Option<(&Value, &Value)> = None;
    for (key, value) in keys.iter().zip(list.iter()) {
        match best {
            Some((least, _)) if !better(key.sort_compare(least)) => {}
            _ => best = Some((key, value)),
        }
    }
    Ok(best.map(|(_, value)| value.clone()).unwrap_or_default())
}

fn flatten(input: Value, depth: f64) -> Outcome {
    let mut out = Vec::new();
    let mut open = vec![items(input)?.into_iter()];
    while let Some(level) = open.last_mut() {
        match level.next() {
            None => {
                open.pop();
            }
            Some(Value::Array(inner)) if depth - (open.len() as f64 - 1.0) != 0.0 => {
                open.push(List::unshare(inner).into_iter());
            }
            Some(item) => out.push(item),
        }
    }
    Ok(Value::array(out))
}

fn entry(key: Value, value: Value) -> Value {
    let mut map = Map::with_capacity(2);
    map.insert("key".into(), key);
    map.insert("value".into(), value);
    Value::object(map)
}

fn to_entries(_: &mut Context<'_>, input: Value, _: &[Value]) -> Outcome {
    match &input {
        Value::Object(map) => {
            let (key_name, value_name): (Rc<str>, Rc<str>) = ("key".into(), "value".into());
            let entry = |(key, value): (&Rc<str>, &Value)| {
                let mut entry = Map::with_capacity(2);
                entry.insert(key_name.clone(), Value::String(key.clone()));
                entry.insert(value_name.clone(), value.clone());
                Value::object(entry)
            };
            Ok(map.iter().map(entry).collect())
        }
        Value::Array(list) => {
            let numbered = list.iter().enumerate();
            Ok(numbered.map(|(at, value)| entry(Value::number(at as f64), value.clone())).collect())
        }
        _ => fail(format!("{} has no keys", shown(&input))),
    }
}

fn indices(input: &Value, what: &Value) -> Outcome {
    match (input, what) {
        (Value::Array(_), Value::Array(_)) => Ok(ops::index(input, what)?),
        (Value::Array(_), _) => Ok(ops::index(input, &Value::array(vec![what.clone()]))?),
        (Value::String(_), Value::String(_)) => Ok(crate::natives::string::indices(input, what)?),
        _ => Ok(ops::index(input, what)?),
    }
}

fn join(input: Value, separator: &Value) -> Outcome {
    let items = items(input)?;
    let mut text = String::new();
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            match separator {
                Value::String(separator) => text.push_str(separator),
                Value::Null => {}
                other => {
                    ops::add(std::mem::take(&mut text).into(), other.clone())?;
                }
            }
        }
        match item {
            Value::Null => {}
            Value::String(piece) => text.push_str(&piece),
            Value::Bool(_) | Value::Number(_) => text.push_str(&crate::write::to_json(&item)),
            other => {
                ops::add(std::mem::take(&mut text).into(), other)?;
            }
        }
    }
    Ok(text.into())
}
