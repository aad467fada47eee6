//! Arrays and objects.

use std::cmp::Ordering;
use std::rc::Rc;

use super::text::shown;
use super::{Context, Native, Outcome, fail, native_of};
use crate::lang::ast::BinOp;
use crate::lang::{Fault, ops};
use crate::value::{List, Map, Value};

/// Levels below which `contains` gives up.
const MAX_DEPTH: usize = 10_000;

pub(super) static TABLE: &[Native] = &[
    native_of("length", 0, length),
    native_of("utf8bytelength", 0, utf8bytelength),
    native_of("not", 0, |_, input, _| Ok(Value::Bool(!input.is_truthy()))),
    native_of("keys", 0, |_, input, _| keys(&input, true)),
    native_of("keys_unsorted", 0, |_, input, _| keys(&input, false)),
    native_of("has", 1, has),
    native_of("contains", 1, |_, input, args| with_one(args, |other| contains(&input, other, 0).map(Value::Bool))),
    native_of("add", 0, add),
    native_of("reverse", 0, reverse),
    native_of("sort", 0, sort),
    native_of("unique", 0, |_, input, _| {
        let keys = items(input.clone())?;
        let keys = keys.into_iter().map(|key| Value::array(vec![key])).collect();
        by(input, &Value::array(keys), "grouped").map(|pairs| firsts(groups(pairs)))
    }),
    native_of("min", 0, |_, input, _| extreme(&input, &input, |order| order == Ordering::Less)),
    native_of("max", 0, |_, input, _| extreme(&input, &input, |order| order != Ordering::Less)),
    native_of("flatten", 0, |_, input, _| flatten(input, f64::INFINITY)),
    native_of("flatten", 1, |_, input, args| {
        with_one(args, |depth| match depth.as_f64() {
            Some(depth) if depth < 0.0 => fail("flatten depth must not be negative"),
            Some(depth) => flatten(input, depth),
            None if matches!(depth, Value::Null | Value::Bool(_)) => fail("flatten depth must not be negative"),
            None => fail(format!("{} and number (1) cannot be subtracted", shown(depth))),
        })
    }),
    native_of("to_entries", 0, to_entries),
    native_of("_entry_key", 0, |_, input, _| match input {
        Value::String(_) => Ok(input),
        other => Ok(crate::write::to_json(&other).into()),
    }),
    native_of("transpose", 0, transpose),
    native_of("setpath", 2, |_, input, args| match args {
        [path, value] => Ok(ops::set_path(input, path, value.clone())?),
        _ => fail("setpath/2 takes two arguments"),
    }),
    native_of("delpaths", 1, |_, input, args| with_one(args, |paths| Ok(ops::delete_paths(input, paths)?))),
    native_of("type", 0, |_, input, _| Ok(input.type_name().into())),
    native_of("toarray", 0, |_, input, _| match input {
        Value::Array(_) => Ok(input),
        other => Ok(Value::array(vec![other])),
    }),
    Native {
        last_first: false,
        ..native_of("indices", 1, |_, input, args| with_one(args, |what| indices(&input, what)))
    },
    Native {
        last_first: false,
        ..native_of("index", 1, |_, input, args| {
            with_one(args, |what| Ok(ops::index(&indices(&input, what)?, &Value::number(0.0))?))
        })
    },
    Native {
        last_first: false,
        ..native_of("rindex", 1, |_, input, args| {
            with_one(args, |what| match indices(&input, what)? {
                Value::Array(found) => Ok(found.last().cloned().unwrap_or_default()),
                other => Ok(ops::index(&other, &Value::number(0.0))?),
            })
        })
    },
    Native {
        last_first: false,
        ..native_of("bsearch", 1, |_, input, args| with_one(args, |what| search(&input, what)))
    },
    Native {
        last_first: false,
        ..native_of("join", 1, |_, input, args| with_one(args, |separator| join(input, separator)))
    },
];

pub(super) static SORT_BY: Native = native_of("_sort_by", 1, |_, input, args| {
    with_one(args, |keys| {
        let pairs = by(input, keys, "sorted")?;
        Ok(pairs.into_iter().map(|(_, value)| value).collect())
    })
});
pub(super) static GROUP_BY: Native = native_of("_group_by", 1, |_, input, args| {
    with_one(args, |keys| Ok(groups(by(input, keys, "grouped")?).into_iter().map(Value::array).collect()))
});
pub(super) static UNIQUE_BY: Native =
    native_of("_unique_by", 1, |_, input, args| with_one(args, |keys| Ok(firsts(groups(by(input, keys, "grouped")?)))));
pub(super) static MIN_BY: Native = native_of("_min_by", 1, |_, input, args| {
    with_one(args, |keys| extreme(&input, keys, |order| order == Ordering::Less))
});
pub(super) static MAX_BY: Native = native_of("_max_by", 1, |_, input, args| {
    with_one(args, |keys| extreme(&input, keys, |order| order != Ordering::Less))
});

/// Runs a native of one argument.
pub(super) fn with_one(args: &[Value], run: impl FnOnce(&Value) -> Outcome) -> Outcome {
    match args {
        [one] => run(one),
        _ => fail("one argument is needed"),
    }
}

fn length(_: &mut Context<'_>, input: Value, _: &[Value]) -> Outcome {
    Ok(match &input {
        Value::Null => Value::number(0.0),
        Value::Bool(_) => return fail(format!("{} has no length", shown(&input))),
        Value::Number(number) if number.value() < 0.0 => Value::Number(number.negated()),
        Value::Number(number) if number.value() == 0.0 => Value::number(0.0),
        Value::Number(_) => input,
        Value::String(text) => Value::number(text.chars().count() as f64),
        Value::Array(list) => Value::number(list.len() as f64),
        Value::Object(map) => Value::number(map.len() as f64),
    })
}

fn utf8bytelength(_: &mut Context<'_>, input: Value, _: &[Value]) -> Outcome {
    match &input {
        Value::String(text) => Ok(Value::number(text.len() as f64)),
        _ => fail(format!("{} only strings have UTF-8 byte length", shown(&input))),
    }
}

fn keys(input: &Value, sorted: bool) -> Outcome {
    match input {
        Value::Object(map) if sorted => Ok(map.sorted_keys().into_iter().map(Value::String).collect()),
        Value::Object(map) => Ok(map.keys().cloned().map(Value::String).collect()),
        Value::Array(list) => Ok((0..list.len()).map(|at| Value::number(at as f64)).collect()),
        _ => fail(format!("{} has no keys", shown(input))),
    }
}

fn has(_: &mut Context<'_>, input: Value, args: &[Value]) -> Outcome {
    with_one(args, |key| match (&input, key) {
        (Value::Object(map), Value::String(key)) => Ok(Value::Bool(map.contains_key(key))),
        (Value::Array(list), Value::Number(at)) => {
            let at = at.value();
            Ok(Value::Bool(at.trunc() >= 0.0 && at < list.len() as f64))
        }
        _ => fail(format!("Cannot check whether {} has a {} key", input.type_name(), key.type_name())),
    })
}

fn contains(outer: &Value, inner: &Value, depth: usize) -> Result<bool, Fault> {
    if depth > MAX_DEPTH {
        return fail("Containment check too deep");
    }
    match (outer, inner) {
        (Value::Object(outer), Value::Object(inner)) => {
            for (key, wanted) in inner.iter() {
                match outer.get(key) {
                    Some(found) if found.type_name() == wanted.type_name() => {
                        if !within(found, wanted, depth + 1)? {
                            return Ok(false);
                        }
                    }
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (Value::Array(outer), Value::Array(inner)) => {
            for wanted in inner.iter() {
                let mut found = false;
                for item in outer.iter() {
                    if item.type_name() == wanted.type_name() && within(item, wanted, depth + 1)? {
                        found = true;
                        break;
                    }
                }
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::String(outer), Value::String(inner)) => Ok(outer.contains(&**inner)),
        (outer, inner) if outer.type_name() == inner.type_name() => Ok(ops::compare(BinOp::Eq, outer, inner)?),
        _ => fail(format!("{} and {} cannot have their containment checked", shown(outer), shown(inner))),
    }
}

/// Inside a container nothing is refused: what cannot be contained is compared.
fn within(outer: &Value, inner: &Value, depth: usize) -> Result<bool, Fault> {
    match (outer, inner) {
        (Value::Object(_), Value::Object(_))
        | (Value::Array(_), Value::Array(_))
        | (Value::String(_), Value::String(_)) => contains(outer, inner, depth),
        _ => Ok(ops::compare(BinOp::Eq, outer, inner)?),
    }
}

/// What `.[]` gives.
fn items(input: Value) -> Result<Vec<Value>, Fault> {
    match input {
        Value::Array(list) => Ok(List::unshare(list)),
        Value::Object(map) => Ok(map.values().cloned().collect()),
        Value::Null => fail("Cannot iterate over null"),
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

fn reverse(_: &mut Context<'_>, input: Value, _: &[Value]) -> Outcome {
    match input {
        Value::String(text) => Ok(text.chars().rev().collect::<String>().into()),
        Value::Array(list) => {
            let mut items = List::unshare(list);
            items.reverse();
            Ok(Value::array(items))
        }
        Value::Null => Ok(Value::array(Vec::new())),
        Value::Bool(_) => fail(format!("{} has no length", shown(&input))),
        Value::Object(ref map) if map.is_empty() => Ok(Value::array(Vec::new())),
        Value::Number(ref number) if number.value() == 0.0 => Ok(Value::array(Vec::new())),
        other => fail(format!("Cannot index {} with number", other.type_name())),
    }
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

fn transpose(context: &mut Context<'_>, input: Value, _: &[Value]) -> Outcome {
    let rows = items(input)?;
    let mut width = 0.0f64;
    for row in &rows {
        let length = length(context, row.clone(), &[])?;
        width = width.max(length.as_f64().unwrap_or_default());
    }
    let mut columns = Vec::new();
    let mut at = 0.0;
    while at < width {
        let mut column = Vec::with_capacity(rows.len());
        for row in &rows {
            column.push(ops::index(row, &Value::number(at))?);
        }
        columns.push(Value::array(column));
        at += 1.0;
    }
    Ok(Value::array(columns))
}

fn indices(input: &Value, what: &Value) -> Outcome {
    match (input, what) {
        (Value::Array(_), Value::Array(_)) => Ok(ops::index(input, what)?),
        (Value::Array(_), _) => Ok(ops::index(input, &Value::array(vec![what.clone()]))?),
        (Value::String(text), Value::String(part)) => Ok(super::strings::string_indices(text, part)),
        _ => Ok(ops::index(input, what)?),
    }
}

fn search(input: &Value, what: &Value) -> Outcome {
    let Value::Array(list) = input else {
        return fail(format!("{} cannot be searched from", shown(input)));
    };
    match list.binary_search_by(|item| item.sort_compare(what)) {
        Ok(_) => {
            // Of several that are equal jq's halving finds a certain one; so does this one.
            let (mut low, mut high) = (0usize, list.len());
            while low < high {
                let middle = low + (high - low - 1) / 2;
                match list.get(middle).map(|item| item.sort_compare(what)) {
                    Some(Ordering::Equal) => return Ok(Value::number(middle as f64)),
                    Some(Ordering::Less) => low = middle + 1,
                    _ => high = middle,
                }
            }
            Ok(Value::number(low as f64))
        }
        Err(at) => Ok(Value::number(-1.0 - at as f64)),
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
