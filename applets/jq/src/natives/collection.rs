//! Builtins on arrays and objects.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::value::{Map, Value};

use super::string::count;
use super::{Failure, failed, type_error, type_error2};

/// Levels of nesting at which `contains` and `flatten` give up.
const MAX_DEPTH: usize = 10_000;

/// `keys` (sorted by code point) and `keys_unsorted`.
pub(crate) fn keys(input: &Value, sorted: bool) -> Result<Value, Failure> {
    match input {
        Value::Array(items) => Ok(Value::array((0..items.len()).map(count).collect())),
        Value::Object(map) if sorted => Ok(Value::array(map.sorted_keys().into_iter().map(Value::String).collect())),
        Value::Object(map) => Ok(Value::array(map.keys().map(|key| Value::String(Rc::clone(key))).collect())),
        _ => Err(type_error(input, "has no keys")),
    }
}

/// `has(key)`.
pub(crate) fn has(input: &Value, key: &Value) -> Result<Value, Failure> {
    match (input, key) {
        (Value::Object(map), Value::String(key)) => Ok(Value::Bool(map.contains_key(key))),
        #[allow(clippy::cast_precision_loss)]
        (Value::Array(items), Value::Number(at)) => {
            // As for an index, a fraction is cut off. NaN is nowhere.
            let at = at.value().trunc();
            Ok(Value::Bool(at >= 0.0 && at < items.len() as f64))
        }
        _ => Err(failed(format!("Cannot check whether {} has a {} key", input.type_name(), key.type_name()))),
    }
}

/// `contains(other)`.
pub(crate) fn contains(input: &Value, other: &Value) -> Result<Value, Failure> {
    if input.type_name() != other.type_name() {
        return Err(type_error2(input, other, "cannot have their containment checked"));
    }
    holds(input, other, 0).map(Value::Bool)
}

fn holds(a: &Value, b: &Value, depth: usize) -> Result<bool, Failure> {
    if depth > MAX_DEPTH {
        return Err(failed("Containment check too deep"));
    }
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, wanted) in b.iter() {
                match a.get(key) {
                    Some(value) if holds(value, wanted, depth + 1)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (Value::Array(a), Value::Array(b)) => {
            for wanted in b.iter() {
                let mut found = false;
                for value in a.iter() {
                    if holds(value, wanted, depth + 1)? {
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
        (Value::String(a), Value::String(b)) => Ok(a.contains(&**b)),
        _ => a.equals(b).map_err(|_| failed("Equality check too deep")),
    }
}

/// `reverse`: also of a string; null is empty.
pub(crate) fn reverse(input: &Value) -> Result<Value, Failure> {
    match input {
        Value::Null => Ok(Value::array(Vec::new())),
        Value::String(text) => Ok(Value::string(text.chars().rev().collect::<String>())),
        Value::Array(items) => Ok(Value::array(items.iter().rev().cloned().collect())),
        Value::Object(map) if map.is_empty() => Ok(Value::array(Vec::new())),
        other => Err(failed(format!("Cannot index {} with number", other.type_name()))),
    }
}

/// `flatten(depth)`; `flatten` is `flatten(1e9)`.
pub(crate) fn flatten(input: &Value, depth: f64) -> Result<Value, Failure> {
    if depth < 0.0 {
        return Err(failed("flatten depth must not be negative"));
    }
    let mut flat = Vec::new();
    match input {
        Value::Array(items) => items.iter().try_for_each(|item| flatten_into(item, depth, 0, &mut flat))?,
        Value::Object(map) => map.values().try_for_each(|item| flatten_into(item, depth, 0, &mut flat))?,
        Value::Null => return Err(failed("Cannot iterate over null (null)")),
        other => return Err(failed(format!("Cannot iterate over {}", super::shown(other)))),
    }
    Ok(Value::array(flat))
}

fn flatten_into(item: &Value, depth: f64, level: usize, flat: &mut Vec<Value>) -> Result<(), Failure> {
    match item {
        Value::Array(items) if depth > 0.0 => {
            if level > MAX_DEPTH {
                return Err(failed("Array is nested too deeply to be flattened"));
            }
            items.iter().try_for_each(|item| flatten_into(item, depth - 1.0, level + 1, flat))
        }
        other => {
            flat.push(other.clone());
            Ok(())
        }
    }
}

/// `sort`.
pub(crate) fn sort(input: Value) -> Result<Value, Failure> {
    let Value::Array(items) = input else { return Err(type_error(&input, "cannot be sorted, as it is not an array")) };
    let mut items = crate::value::List::unshare(items);
    items.sort_by(Value::sort_compare);
    Ok(Value::array(items))
}

/// The items with their keys in the order of the keys; equal ones stay as they were.
fn by_keys(input: &Value, keys: &Value) -> Result<Vec<(Value, Value)>, Failure> {
    match (input, keys) {
        (Value::Array(items), Value::Array(keys)) if items.len() == keys.len() => {
            let mut pairs: Vec<(Value, Value)> = keys.iter().cloned().zip(items.iter().cloned()).collect();
            pairs.sort_by(|(a, _), (b, _)| a.sort_compare(b));
            Ok(pairs)
        }
        _ => Err(type_error2(input, keys, "cannot be sorted, as they are not both arrays")),
    }
}

/// `_sort_by_impl(keys)`.
pub(crate) fn sort_by(input: &Value, keys: &Value) -> Result<Value, Failure> {
    Ok(Value::array(by_keys(input, keys)?.into_iter().map(|(_, item)| item).collect()))
}

/// `_group_by_impl(keys)`.
pub(crate) fn group_by(input: &Value, keys: &Value) -> Result<Value, Failure> {
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, item) in by_keys(input, keys)? {
        match groups.last_mut() {
            Some((last, group)) if last.sort_compare(&key).is_eq() => group.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    Ok(Value::array(groups.into_iter().map(|(_, group)| Value::array(group)).collect()))
}

/// `_unique_by_impl(keys)`: the first of each group.
pub(crate) fn unique_by(input: &Value, keys: &Value) -> Result<Value, Failure> {
    let mut pairs = by_keys(input, keys)?;
    pairs.dedup_by(|(a, _), (b, _)| a.sort_compare(b).is_eq());
    Ok(Value::array(pairs.into_iter().map(|(_, item)| item).collect()))
}

/// `_min_by_impl(keys)` and `_max_by_impl(keys)`: of equal ones the first is the least and the last the greatest.
pub(crate) fn extreme_by(input: &Value, keys: &Value, greatest: bool) -> Result<Value, Failure> {
    let (Value::Array(items), Value::Array(keys_of)) = (input, keys) else {
        return Err(type_error2(input, keys, "cannot be iterated over"));
    };
    if items.len() != keys_of.len() {
        return Err(type_error2(input, keys, "have wrong length"));
    }
    let mut best: Option<(&Value, &Value)> = None;
    for (key, item) in keys_of.iter().zip(items.iter()) {
        let better = best.is_none_or(|(held, _)| match key.sort_compare(held) {
            Ordering::Less => !greatest,
            Ordering::Equal | Ordering::Greater => greatest,
        });
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or(Value::Null, |(_, item)| item.clone()))
}

/// `transpose`: rows that are too short are filled with null.
pub(crate) fn transpose(input: &Value) -> Result<Value, Failure> {
    let Value::Array(rows) = input else { return Err(failed(format!("Cannot iterate over {}", super::shown(input)))) };
    let mut widest = 0;
    for row in rows.iter() {
        match row {
            Value::Array(row) => widest = widest.max(row.len()),
            Value::Null => {}
            other => return Err(failed(format!("Cannot index {} with number", other.type_name()))),
        }
    }
    let cell = |row: &Value, column: usize| match row {
        Value::Array(row) => row.get(column).cloned().unwrap_or_default(),
        _ => Value::Null,
    };
    let column = |column| Value::array(rows.iter().map(|row| cell(row, column)).collect());
    Ok(Value::array((0..widest).map(column).collect()))
}

/// `bsearch(target)` in a sorted array: its index, or -1 less the index at which it would stand.
pub(crate) fn bsearch(input: &Value, target: &Value) -> Result<Value, Failure> {
    let Value::Array(items) = input else { return Err(type_error(input, "cannot be searched from")) };
    #[allow(clippy::cast_precision_loss)]
    let found = match items.binary_search_by(|item| item.sort_compare(target)) {
        Ok(at) => at as f64,
        Err(at) => -1.0 - at as f64,
    };
    Ok(Value::number(found))
}

/// `to_entries`.
pub(crate) fn to_entries(input: &Value) -> Result<Value, Failure> {
    let Value::Object(map) = input else { return Err(type_error(input, "has no keys")) };
    let entry = |(key, value): (&Rc<str>, &Value)| {
        let mut entry = Map::with_capacity(2);
        entry.insert(Rc::from("key"), Value::String(Rc::clone(key)));
        entry.insert(Rc::from("value"), value.clone());
        Value::object(entry)
    };
    Ok(Value::array(map.iter().map(entry).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::parse;
    use crate::write::to_json;

    fn v(text: &str) -> Value {
        parse(text).unwrap()
    }

    fn j(result: Result<Value, Failure>) -> String {
        match result {
            Ok(value) | Err(value) => to_json(&value),
        }
    }

    #[test]
    fn keys_and_members() {
        assert_eq!(j(keys(&v(r#"{"b":1,"á":2,"Z":3}"#), true)), r#"["Z","b","á"]"#);
        assert_eq!(j(keys(&v(r#"{"b":1,"a":2}"#), false)), r#"["b","a"]"#);
        assert_eq!(j(keys(&v("[5,6]"), true)), "[0,1]");
        assert_eq!(j(keys(&v("1"), true)), r#""number (1) has no keys""#);
        assert_eq!(j(has(&v("[1,2]"), &v("1"))), "true");
        assert_eq!(j(has(&v("[1,2]"), &v("-1"))), "false");
        assert_eq!(j(has(&v("[1]"), &Value::number(f64::NAN))), "false");
        assert_eq!(j(has(&v("[1]"), &v("\"a\""))), r#""Cannot check whether array has a string key""#);
        assert_eq!(j(to_entries(&v(r#"{"a":1}"#))), r#"[{"key":"a","value":1}]"#);
    }

    #[test]
    fn containment() {
        for (a, b, wanted) in [
            ("\"foobar\"", "\"bar\"", "true"),
            (r#"["foobar"]"#, r#"["ba"]"#, "true"),
            (r#"{"a":["xyz",1],"b":2}"#, r#"{"a":["x"]}"#, "true"),
            (r#"{"a":1}"#, r#"{"a":2}"#, "false"),
            ("[[1]]", "[1]", "false"),
            ("1", "1", "true"),
            ("1", "\"1\"", r#""number (1) and string (\"1\") cannot have their containment checked""#),
        ] {
            assert_eq!(j(contains(&v(a), &v(b))), wanted, "{a} {b}");
        }
    }

    #[test]
    fn order() {
        let items = v(r#"[{"k":2,"n":0},{"k":1,"n":1},{"k":2,"n":2}]"#);
        let keys = v("[2,1,2]");
        assert_eq!(j(sort_by(&items, &keys)), r#"[{"k":1,"n":1},{"k":2,"n":0},{"k":2,"n":2}]"#);
        assert_eq!(j(group_by(&items, &keys)), r#"[[{"k":1,"n":1}],[{"k":2,"n":0},{"k":2,"n":2}]]"#);
        assert_eq!(j(unique_by(&items, &keys)), r#"[{"k":1,"n":1},{"k":2,"n":0}]"#);
        assert_eq!(j(extreme_by(&items, &keys, true)), r#"{"k":2,"n":2}"#);
        assert_eq!(j(extreme_by(&items, &keys, false)), r#"{"k":1,"n":1}"#);
        assert_eq!(j(extreme_by(&v("[]"), &v("[]"), false)), "null");
        assert_eq!(j(sort(v("[{},[],\"a\",1,true,false,null]"))), "[null,false,true,1,\"a\",[],{}]");
        assert_eq!(j(sort(v("{}"))), r#""object ({}) cannot be sorted, as it is not an array""#);
        assert_eq!(
            j(sort_by(&v("{}"), &v("[]"))),
            r#""object ({}) and array ([]) cannot be sorted, as they are not both arrays""#
        );
    }

    #[test]
    fn shapes() {
        assert_eq!(j(flatten(&v("[1,[2,[3,[]]]]"), 1e9)), "[1,2,3]");
        assert_eq!(j(flatten(&v("[1,[2,[3]]]"), 1.0)), "[1,2,[3]]");
        assert_eq!(j(flatten(&v(r#"{"a":[1],"b":2}"#), 1e9)), "[1,2]");
        assert_eq!(j(flatten(&v("[]"), -1.0)), r#""flatten depth must not be negative""#);
        assert_eq!(j(flatten(&v("5"), 1.0)), r#""Cannot iterate over number (5)""#);
        assert_eq!(j(bsearch(&v("[1,2,3]"), &v("2"))), "1");
        assert_eq!(j(bsearch(&v("[1,2,3]"), &v("2.5"))), "-3");
        assert_eq!(j(bsearch(&v("[]"), &v("2"))), "-1");
        assert_eq!(j(reverse(&v("[1,2]"))), "[2,1]");
        assert_eq!(j(reverse(&v("\"aé\""))), "\"éa\"");
        assert_eq!(j(transpose(&v("[[1,2],[3]]"))), "[[1,3],[2,null]]");
        assert_eq!(j(transpose(&v("[]"))), "[]");
    }
}
