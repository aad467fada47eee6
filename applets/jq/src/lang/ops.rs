//! Operators on values: arithmetic, indexing, and the reading, setting and deleting of paths.
//!
//! Messages are jq 1.8.2's.

use std::cmp::Ordering;
use std::rc::Rc;

use super::ast::BinOp;
use crate::builtins::text::shown;
use crate::value::{List, Map, Value};

/// Levels a path or a merge may have.
const MAX_DEPTH: usize = 10_000;
/// Items an assignment beyond the end may make an array have.
const MAX_ITEMS: usize = 1 << 26;
/// Bytes of a repeated string.
const MAX_TEXT: usize = i32::MAX as usize;

type Outcome = Result<Value, Value>;

fn fail<T>(message: impl Into<String>) -> Result<T, Value> {
    Err(Value::from(message.into()))
}

fn mismatch(left: &Value, right: &Value, what: &str) -> Outcome {
    fail(format!("{} and {} cannot be {what}", shown(left), shown(right)))
}

/// A binary operator.
///
/// # Errors
/// jq's message.
pub(crate) fn binary(op: BinOp, left: Value, right: Value) -> Outcome {
    match op {
        BinOp::Add => add(left, right),
        BinOp::Sub => subtract(left, right),
        BinOp::Mul => multiply(left, right),
        BinOp::Div => divide(left, right),
        BinOp::Mod => modulo(left, right),
        _ => compare(op, &left, &right).map(Value::Bool),
    }
}

/// A comparison.
///
/// # Errors
/// jq's message for what is nested too deeply.
pub(crate) fn compare(op: BinOp, left: &Value, right: &Value) -> Result<bool, Value> {
    let order = |wanted: fn(Ordering) -> bool| match left.compare(right) {
        Ok(order) => Ok(wanted(order)),
        Err(_) => fail("Comparison too deep"),
    };
    match op {
        BinOp::Eq | BinOp::Ne => match left.equals(right) {
            Ok(equal) => Ok(equal == (op == BinOp::Eq)),
            Err(_) => fail("Equality check too deep"),
        },
        BinOp::Lt => order(Ordering::is_lt),
        BinOp::Le => order(Ordering::is_le),
        BinOp::Gt => order(Ordering::is_gt),
        _ => order(Ordering::is_ge),
    }
}

/// `+`
pub(crate) fn add(left: Value, right: Value) -> Outcome {
    match (left, right) {
        (Value::Null, other) | (other, Value::Null) => Ok(other),
        (Value::Number(a), Value::Number(b)) => Ok(Value::number(a.value() + b.value())),
        (Value::String(a), Value::String(b)) => {
            if b.is_empty() {
                return Ok(Value::String(a));
            }
            let mut text = String::with_capacity(a.len() + b.len());
            text.push_str(&a);
            text.push_str(&b);
            Ok(text.into())
        }
        (Value::Array(mut a), Value::Array(b)) => {
            if a.is_empty() {
                return Ok(Value::Array(b));
            }
            if !b.is_empty() {
                Rc::make_mut(&mut a).extend(List::unshare(b));
            }
            Ok(Value::Array(a))
        }
        (Value::Object(mut a), Value::Object(b)) => {
            if a.is_empty() {
                return Ok(Value::Object(b));
            }
            let map = Rc::make_mut(&mut a);
            for (key, value) in Map::unshare(b).into_entries() {
                map.insert(key, value);
            }
            Ok(Value::Object(a))
        }
        (a, b) => mismatch(&a, &b, "added"),
    }
}

fn subtract(left: Value, right: Value) -> Outcome {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => Ok(Value::number(a.value() - b.value())),
        (Value::Array(a), Value::Array(b)) => {
            let mut kept = Vec::new();
            for item in List::unshare(a) {
                let mut found = false;
                for other in b.iter() {
                    if compare(BinOp::Eq, &item, other)? {
                        found = true;
                        break;
                    }
                }
                if !found {
                    kept.push(item);
                }
            }
            Ok(Value::array(kept))
        }
        (a, b) => mismatch(&a, &b, "subtracted"),
    }
}

fn multiply(left: Value, right: Value) -> Outcome {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => Ok(Value::number(a.value() * b.value())),
        (Value::String(text), Value::Number(times)) | (Value::Number(times), Value::String(text)) => {
            let times = times.value();
            if times.is_nan() || times < 0.0 {
                return Ok(Value::Null);
            }
            let times = times as usize;
            if text.len().saturating_mul(times) >= MAX_TEXT {
                return fail("Repeat string result too long");
            }
            Ok(text.repeat(times).into())
        }
        (Value::Object(a), Value::Object(b)) => merge(a, b, 0).map(Value::Object),
        (a, b) => mismatch(&a, &b, "multiplied"),
    }
}

fn merge(mut left: Rc<Map>, right: Rc<Map>, depth: usize) -> Result<Rc<Map>, Value> {
    if depth > MAX_DEPTH {
        return fail("Object merge too deep");
    }
    let map = Rc::make_mut(&mut left);
    for (key, value) in Map::unshare(right).into_entries() {
        match value {
            Value::Object(inner) => {
                let merged = match map.take(&key) {
                    Some(Value::Object(old)) => merge(old, inner, depth + 1)?,
                    _ => inner,
                };
                map.insert(key, Value::Object(merged));
            }
            value => {
                map.insert(key, value);
            }
        }
    }
    Ok(left)
}

fn divide(left: Value, right: Value) -> Outcome {
    match (&left, &right) {
        (Value::Number(a), Value::Number(b)) => {
            if b.value() == 0.0 {
                return mismatch(&left, &right, "divided because the divisor is zero");
            }
            Ok(Value::number(a.value() / b.value()))
        }
        (Value::String(a), Value::String(b)) => Ok(split(a, b)),
        _ => mismatch(&left, &right, "divided"),
    }
}

/// `split/1`: an empty separator splits into characters.
pub(crate) fn split(text: &str, separator: &str) -> Value {
    if text.is_empty() {
        return Value::array(Vec::new());
    }
    if separator.is_empty() {
        return text.chars().map(|c| Value::from(c.to_string())).collect();
    }
    text.split(separator).map(Value::from).collect()
}

fn modulo(left: Value, right: Value) -> Outcome {
    match (&left, &right) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.value(), b.value());
            if a.is_nan() || b.is_nan() {
                return Ok(Value::number(f64::NAN));
            }
            // `as` saturates, as jq's conversion does.
            let (a, b) = (a as i64, b as i64);
            if b == 0 {
                return mismatch(&left, &right, "divided (remainder) because the divisor is zero");
            }
            let rest = a.unsigned_abs() % b.unsigned_abs();
            let rest = rest as f64;
            Ok(Value::number(if a < 0 && rest != 0.0 { -rest } else { rest }))
        }
        _ => mismatch(&left, &right, "divided (remainder)"),
    }
}

/// `-x`
pub(crate) fn negate(value: Value) -> Outcome {
    match value {
        Value::Number(number) => Ok(Value::Number(number.negated())),
        other => fail(format!("{} cannot be negated", shown(&other))),
    }
}

/// `.[key]`
pub(crate) fn index(base: &Value, key: &Value) -> Outcome {
    match (base, key) {
        (Value::Object(map), Value::String(key)) => Ok(map.get(key).cloned().unwrap_or_default()),
        (Value::Array(list), Value::Number(at)) => {
            let at = at.value();
            if at.is_nan() {
                return Ok(Value::Null);
            }
            Ok(place(at, list.len()).and_then(|at| list.get(at)).cloned().unwrap_or_default())
        }
        (Value::Null, Value::String(_) | Value::Number(_) | Value::Null) => Ok(Value::Null),
        (Value::Array(_) | Value::String(_) | Value::Null, Value::Object(range)) => {
            let bound = |name| range.get(name).cloned().unwrap_or_default();
            slice(base, &bound("start"), &bound("end"))
        }
        (Value::Array(list), Value::Array(wanted)) => indices_of(list, wanted),
        // A long key is not repeated.
        (_, Value::String(key)) if key.len() < 30 => {
            fail(format!("Cannot index {} with string \"{key}\"", base.type_name()))
        }
        _ => fail(format!("Cannot index {} with {}", base.type_name(), key.type_name())),
    }
}

/// The item a number means; negative ones count from the end.
fn place(at: f64, length: usize) -> Option<usize> {
    let at = at.clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i64;
    let length = i64::try_from(length).ok()?;
    let at = if at < 0 { at + length } else { at };
    usize::try_from(at).ok()
}

/// Where a list occurs in another.
fn indices_of(list: &[Value], wanted: &[Value]) -> Outcome {
    let mut found = Vec::new();
    if wanted.is_empty() {
        return Ok(Value::Null);
    }
    for (at, window) in list.windows(wanted.len()).enumerate() {
        let mut equal = true;
        for (a, b) in window.iter().zip(wanted) {
            if !compare(BinOp::Eq, a, b)? {
                equal = false;
                break;
            }
        }
        if equal {
            found.push(Value::number(at as f64));
        }
    }
    Ok(Value::array(found))
}

/// The half-open range that a slice means.
fn bounds(length: usize, start: &Value, end: &Value) -> Result<(usize, usize), Value> {
    let bound = |value: &Value, missing: f64| match value {
        Value::Null => Ok(missing),
        Value::Number(number) => Ok(number.value()),
        _ => fail("Start and end indices of an array slice must be numbers"),
    };
    let length = length as f64;
    let mut start = bound(start, 0.0)?;
    let mut end = bound(end, length)?;
    if start.is_nan() {
        start = 0.0;
    }
    if end.is_nan() {
        end = length;
    }
    let from_end = |at: f64| if at < 0.0 { at + length } else { at };
    let start = from_end(start).clamp(0.0, length);
    let end = from_end(end).min(length).max(start);
    let start = start.floor() as usize;
    Ok((start, (end.ceil() as usize).max(start)))
}

/// `.[start:end]`
pub(crate) fn slice(base: &Value, start: &Value, end: &Value) -> Outcome {
    match base {
        Value::Null => bounds(0, start, end).map(|_| Value::Null),
        Value::Array(list) => {
            let (start, end) = bounds(list.len(), start, end)?;
            Ok(list.iter().take(end).skip(start).cloned().collect())
        }
        Value::String(text) => {
            let length = text.chars().count();
            let (start, end) = bounds(length, start, end)?;
            if text.is_ascii() {
                return Ok(text.get(start..end).unwrap_or_default().into());
            }
            Ok(text.chars().take(end).skip(start).collect::<String>().into())
        }
        _ => fail(format!("Cannot index {} with object", base.type_name())),
    }
}

/// The key that a slice is in a path.
pub(crate) fn slice_key(start: Value, end: Value) -> Value {
    let mut map = Map::new();
    map.insert("start".into(), start);
    map.insert("end".into(), end);
    Value::object(map)
}

/// The items of a path.
fn steps(path: &Value, message: &str) -> Result<Rc<List>, Value> {
    match path {
        Value::Array(steps) if steps.len() > MAX_DEPTH => fail("Path too deep"),
        Value::Array(steps) => Ok(steps.clone()),
        _ => fail(message),
    }
}

/// `getpath`
pub(crate) fn get_path(root: &Value, path: &Value) -> Outcome {
    let steps = steps(path, "Path must be specified as an array")?;
    let mut value = root.clone();
    for step in steps.iter() {
        if matches!(value, Value::Null) {
            return Ok(Value::Null);
        }
        value = index(&value, step)?;
    }
    Ok(value)
}

/// `setpath`
pub(crate) fn set_path(root: Value, path: &Value, new: Value) -> Outcome {
    let steps = steps(path, "Path must be specified as an array")?;
    update(root, &steps, &mut |_| Ok(new.clone()))
}

/// Replaces what is at a path by what becomes of it; the value is moved out, so it is changed in place when nobody
/// else holds it.
pub(crate) fn update(root: Value, steps: &[Value], change: &mut dyn FnMut(Value) -> Outcome) -> Outcome {
    let Some((key, rest)) = steps.split_first() else { return change(root) };
    match (root, key) {
        (Value::Object(mut map), Value::String(key)) => {
            let inner = Rc::make_mut(&mut map);
            let old = inner.take(key).unwrap_or_default();
            let new = update(old, rest, change)?;
            inner.insert(key.clone(), new);
            Ok(Value::Object(map))
        }
        (Value::Null, Value::String(key)) => {
            let new = update(Value::Null, rest, change)?;
            let mut map = Map::new();
            map.insert(key.clone(), new);
            Ok(Value::object(map))
        }
        (Value::Array(mut list), Value::Number(at)) => {
            let at = at.value();
            if at.is_nan() {
                // Reading there is fine, so what is below is worked out before the complaint.
                update(Value::Null, rest, change)?;
                return fail("Cannot set array element at NaN index");
            }
            let found = place(at, list.len());
            let inner = Rc::make_mut(&mut list);
            let old = found.and_then(|at| inner.get_mut(at)).map(std::mem::take).unwrap_or_default();
            let new = update(old, rest, change)?;
            put(inner, found, new)?;
            Ok(Value::Array(list))
        }
        (Value::Null, Value::Number(at)) => {
            let new = update(Value::Null, rest, change)?;
            if at.is_nan() {
                return fail("Cannot set array element at NaN index");
            }
            let mut list = List::default();
            put(&mut list, place(at.value(), 0), new)?;
            Ok(Value::Array(Rc::new(list)))
        }
        (Value::Array(list), Value::Object(range)) => set_slice(list, range, rest, change),
        (Value::Null, Value::Object(range)) => set_slice(Rc::default(), range, rest, change),
        (root, Value::Object(_)) => {
            // What a slice of a string becomes is worked out before the complaint.
            let old = index(&root, key)?;
            update(old, rest, change)?;
            fail(format!("Cannot update field at object index of {}", root.type_name()))
        }
        (Value::Array(list), Value::Array(wanted)) => {
            let old = indices_of(&list, wanted)?;
            update(old, rest, change)?;
            fail("Cannot update field at array index of array")
        }
        (root, key) => {
            let old = index(&root, key)?;
            update(old, rest, change)?;
            fail(format!("Invalid path component {} for {}", key.type_name(), root.type_name()))
        }
    }
}

fn put(list: &mut Vec<Value>, at: Option<usize>, new: Value) -> Result<(), Value> {
    let Some(at) = at else { return fail("Out of bounds negative array index") };
    if at >= list.len() {
        if at >= MAX_ITEMS {
            return fail("Array index too large");
        }
        list.resize(at + 1, Value::Null);
    }
    if let Some(slot) = list.get_mut(at) {
        *slot = new;
    }
    Ok(())
}

fn set_slice(mut list: Rc<List>, range: &Map, rest: &[Value], change: &mut dyn FnMut(Value) -> Outcome) -> Outcome {
    let bound = |name| range.get(name).cloned().unwrap_or_default();
    let (start, end) = bounds(list.len(), &bound("start"), &bound("end"))?;
    let old = list.iter().take(end).skip(start).cloned().collect();
    match update(old, rest, change)? {
        Value::Array(new) => {
            Rc::make_mut(&mut list).splice(start..end, List::unshare(new));
            Ok(Value::Array(list))
        }
        _ => fail("A slice of an array can only be assigned another array"),
    }
}

/// `delpaths`: from the last to the first, so that no deletion moves what another path means.
pub(crate) fn delete_paths(root: Value, paths: &Value) -> Outcome {
    let Value::Array(paths) = paths else { return fail("Paths must be specified as an array") };
    let mut sorted: Vec<&Value> = paths.iter().collect();
    sorted.sort_by(|a, b| a.sort_compare(b));
    for path in &sorted {
        if !matches!(path, Value::Array(_)) {
            return fail("Path must be specified as an array");
        }
    }
    let mut root = root;
    for path in sorted.into_iter().rev() {
        let steps = steps(path, "Path must be specified as an array")?;
        root = delete(root, &steps)?;
    }
    Ok(root)
}

fn delete(root: Value, steps: &[Value]) -> Outcome {
    let Some((key, rest)) = steps.split_first() else { return Ok(Value::Null) };
    if matches!(root, Value::Null) {
        return Ok(Value::Null);
    }
    if rest.is_empty() {
        return delete_key(root, key);
    }
    if matches!(index(&root, key)?, Value::Null) {
        return Ok(root);
    }
    update(root, std::slice::from_ref(key), &mut |inner| delete(inner, rest))
}

fn delete_key(root: Value, key: &Value) -> Outcome {
    match (root, key) {
        (Value::Object(mut map), Value::String(key)) => {
            if map.contains_key(key) {
                Rc::make_mut(&mut map).remove(key);
            }
            Ok(Value::Object(map))
        }
        (Value::Array(mut list), Value::Number(at)) => {
            if let Some(at) = place(at.value(), list.len()).filter(|found| *found < list.len() && !at.is_nan()) {
                Rc::make_mut(&mut list).remove(at);
            }
            Ok(Value::Array(list))
        }
        (Value::Array(mut list), Value::Object(range)) => {
            let bound = |name| range.get(name).cloned().unwrap_or_default();
            let (start, end) = bounds(list.len(), &bound("start"), &bound("end"))?;
            Rc::make_mut(&mut list).drain(start..end);
            Ok(Value::Array(list))
        }
        (Value::Array(_), Value::String(_)) => fail("Cannot delete field at object index of array"),
        (Value::Object(_), Value::Number(_)) => fail("Cannot delete field at array index of object"),
        (root @ (Value::Array(_) | Value::Object(_)), key) => {
            fail(format!("Cannot delete field at {} index of {}", key.type_name(), root.type_name()))
        }
        (root, key) => {
            let kind = if matches!(key, Value::String(_)) { "object" } else { "array" };
            fail(format!("Cannot delete field at {kind} index of {}", root.type_name()))
        }
    }
}

/// Whether two values are the same one: what jq's path tracking goes by.
pub(crate) fn identical(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Number(a), Value::Number(b)) => a.value().to_bits() == b.value().to_bits(),
        (Value::String(a), Value::String(b)) => Rc::ptr_eq(a, b),
        (Value::Array(a), Value::Array(b)) => Rc::ptr_eq(a, b),
        (Value::Object(a), Value::Object(b)) => Rc::ptr_eq(a, b),
        _ => false,
    }
}
