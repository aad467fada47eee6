//! The JSON value: cheap to clone, changed in place where nobody shares it, dropped without deep recursion.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

pub use crate::map::Map;
pub use crate::number::Number;

/// How deep two values may be nested before `==` and `<` refuse them, as jq 1.8.2 does.
pub const MAX_COMPARE_DEPTH: usize = 10_000;

/// A JSON value. `Array` and `Object` are shared until [`Rc::make_mut`] separates them.
#[derive(Clone, Default)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` and `false`
    Bool(bool),
    /// A number, possibly with the digits of its literal.
    Number(Number),
    /// A string; always valid UTF-8.
    String(Rc<str>),
    /// An array.
    Array(Rc<List>),
    /// An object in order of insertion.
    Object(Rc<Map>),
}

/// Two values are nested too deeply to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooDeep;

impl Value {
    /// An array of these items.
    pub fn array(items: Vec<Value>) -> Value {
        Value::Array(Rc::new(List(items)))
    }

    /// This map as an object.
    pub fn object(map: Map) -> Value {
        Value::Object(Rc::new(map))
    }

    /// A string.
    pub fn string(text: impl Into<Rc<str>>) -> Value {
        Value::String(text.into())
    }

    /// A computed number.
    pub fn number(value: f64) -> Value {
        Value::Number(Number::from_f64(value))
    }

    /// jq's name of the type: `null`, `boolean`, `number`, `string`, `array`, `object`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// Everything but `null` and `false`.
    pub fn is_truthy(&self) -> bool {
        !matches!(self, Value::Null | Value::Bool(false))
    }

    /// The double of a number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(number.value()),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Place of its type in the order of values.
    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bool(false) => 1,
            Value::Bool(true) => 2,
            Value::Number(_) => 3,
            Value::String(_) => 4,
            Value::Array(_) => 5,
            Value::Object(_) => 6,
        }
    }

    /// jq's order for `<` and its kin: null, false, true, numbers, strings by code point, arrays, objects by their sorted
    /// keys and then by the values in that order. NaN is below every number including itself.
    ///
    /// # Errors
    /// [`TooDeep`] below [`MAX_COMPARE_DEPTH`] levels.
    pub fn compare(&self, other: &Value) -> Result<Ordering, TooDeep> {
        compare(self, other, 0, Number::compare)
    }

    /// The same order for sorting, made total: NaN is equal to NaN, and what is too deep is equal.
    pub fn sort_compare(&self, other: &Value) -> Ordering {
        let numbers = |a: &Number, b: &Number| match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            _ => a.compare(b),
        };
        compare(self, other, 0, numbers).unwrap_or(Ordering::Equal)
    }

    /// jq's `==`: NaN differs from NaN, key order does not count.
    ///
    /// # Errors
    /// [`TooDeep`] below [`MAX_COMPARE_DEPTH`] levels.
    pub fn equals(&self, other: &Value) -> Result<bool, TooDeep> {
        equals(self, other, 0)
    }
}

/// For tests and lookups; values too deep to compare are different.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.equals(other).unwrap_or(false)
    }
}

fn equals(a: &Value, b: &Value, depth: usize) -> Result<bool, TooDeep> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Ok(a.compare(b).is_eq()),
        (Value::String(a), Value::String(b)) => Ok(a == b),
        (Value::Array(a), Value::Array(b)) => {
            if depth > MAX_COMPARE_DEPTH {
                return Err(TooDeep);
            }
            if Rc::ptr_eq(a, b) && !a.iter().any(holds_nan) {
                return Ok(true);
            }
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                if !equals(a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Object(a), Value::Object(b)) => {
            if depth > MAX_COMPARE_DEPTH {
                return Err(TooDeep);
            }
            if a.len() != b.len() {
                return Ok(false);
            }
            for (key, value) in a.iter() {
                match b.get(key) {
                    Some(other) if equals(value, other, depth + 1)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        _ => Ok(a.rank() == b.rank()),
    }
}

/// Whether comparing this with itself needs a look inside.
fn holds_nan(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_nan(),
        Value::Array(_) | Value::Object(_) => true,
        _ => false,
    }
}

fn compare(a: &Value, b: &Value, depth: usize, numbers: fn(&Number, &Number) -> Ordering) -> Result<Ordering, TooDeep> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Ok(numbers(a, b)),
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        (Value::Array(a), Value::Array(b)) => {
            if depth > MAX_COMPARE_DEPTH {
                return Err(TooDeep);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                match compare(a, b, depth + 1, numbers)? {
                    Ordering::Equal => {}
                    order => return Ok(order),
                }
            }
            Ok(a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            if depth > MAX_COMPARE_DEPTH {
                return Err(TooDeep);
            }
            let (keys, others) = (a.sorted_keys(), b.sorted_keys());
            match keys.cmp(&others) {
                Ordering::Equal => {}
                order => return Ok(order),
            }
            for key in &keys {
                if let (Some(a), Some(b)) = (a.get(key), b.get(key)) {
                    match compare(a, b, depth + 1, numbers)? {
                        Ordering::Equal => {}
                        order => return Ok(order),
                    }
                }
            }
            Ok(Ordering::Equal)
        }
        _ => Ok(a.rank().cmp(&b.rank())),
    }
}

/// The debugger's view; what users see is the printer's work.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Number(number) => {
                let mut text = String::new();
                number.write(&mut text);
                f.write_str(&text)
            }
            Value::String(text) => write!(f, "{text:?}"),
            Value::Array(list) => f.debug_list().entries(list.iter()).finish(),
            Value::Object(map) => f.debug_map().entries(map.iter()).finish(),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::number(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Value {
        Value::array(items)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::object(map)
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Value {
        Value::array(items.into_iter().collect())
    }
}

/// The items of an array. It is a `Vec` in everything but its drop, which does not recurse without bound.
#[derive(Clone, Default)]
pub struct List(pub Vec<Value>);

impl List {
    /// The items, taken out; they are moved, not cloned.
    pub fn into_vec(mut self) -> Vec<Value> {
        std::mem::take(&mut self.0)
    }

    /// The items of a shared array: moved when this is the only owner, cloned otherwise.
    pub fn unshare(list: Rc<List>) -> Vec<Value> {
        match Rc::try_unwrap(list) {
            Ok(list) => list.into_vec(),
            Err(shared) => shared.0.clone(),
        }
    }
}

impl Deref for List {
    type Target = Vec<Value>;

    fn deref(&self) -> &Vec<Value> {
        &self.0
    }
}

impl DerefMut for List {
    fn deref_mut(&mut self) -> &mut Vec<Value> {
        &mut self.0
    }
}

impl Drop for List {
    fn drop(&mut self) {
        if self.0.iter().any(is_container) {
            drop_nested(Dropped::Items(std::mem::take(&mut self.0)));
        }
    }
}

/// What waits to be dropped.
pub(crate) enum Dropped {
    Items(Vec<Value>),
    Entries(Vec<(Option<Rc<str>>, Value)>),
}

impl Dropped {
    fn release(self) {
        match self {
            Dropped::Items(items) => drop(items),
            Dropped::Entries(entries) => drop(entries),
        }
    }
}

pub(crate) fn is_container(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

/// Levels that are dropped by plain recursion before the rest is queued.
const DROP_DEPTH: usize = 64;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static QUEUE: RefCell<Vec<Dropped>> = const { RefCell::new(Vec::new()) };
}

/// Drops what an array or object held. Nesting beyond [`DROP_DEPTH`] goes to a queue which the outermost drop empties,
/// so the stack needed is constant.
pub(crate) fn drop_nested(children: Dropped) {
    let depth = DEPTH.get();
    if depth >= DROP_DEPTH {
        QUEUE.with_borrow_mut(|queue| queue.push(children));
        return;
    }
    DEPTH.set(depth + 1);
    children.release();
    if depth == 0 {
        while let Some(next) = QUEUE.with_borrow_mut(Vec::pop) {
            next.release();
        }
    }
    DEPTH.set(depth);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(value: f64) -> Value {
        Value::number(value)
    }

    fn o(entries: &[(&str, f64)]) -> Value {
        Value::object(entries.iter().map(|(key, value)| (Rc::from(*key), n(*value))).collect())
    }

    #[test]
    fn order_of_types() {
        let ordered = [
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            n(f64::NAN),
            n(-1.0),
            n(2.0),
            "a".into(),
            "b".into(),
            "é".into(),
            Value::array(vec![]),
            Value::array(vec![n(1.0)]),
            Value::array(vec![n(1.0), Value::Null]),
            Value::array(vec![n(2.0)]),
            o(&[]),
            o(&[("a", 2.0)]),
            o(&[("b", 1.0), ("a", 1.0)]),
            o(&[("b", 1.0)]),
        ];
        for (at, low) in ordered.iter().enumerate() {
            for high in &ordered[at + 1..] {
                assert_eq!(low.compare(high), Ok(Ordering::Less), "{low:?} {high:?}");
                assert_eq!(high.compare(low), Ok(Ordering::Greater), "{high:?} {low:?}");
            }
            assert_eq!(low.sort_compare(low), Ordering::Equal);
        }
    }

    #[test]
    fn equality() {
        assert_eq!(o(&[("a", 1.0), ("b", 2.0)]), o(&[("b", 2.0), ("a", 1.0)]));
        assert_ne!(o(&[("a", 1.0)]), o(&[("a", 1.0), ("b", 2.0)]));
        assert_ne!(n(f64::NAN), n(f64::NAN));
        let nan = Value::array(vec![n(f64::NAN)]);
        assert_ne!(nan.clone(), nan);
        assert_ne!(Value::Bool(true), Value::Bool(false));
        assert_ne!(Value::Null, Value::Bool(false));
        assert_eq!(Value::from("x"), Value::from("x"));
    }

    fn tower(levels: usize) -> Value {
        let mut value = Value::Null;
        for level in 0..levels {
            value = if level % 2 == 0 {
                Value::array(vec![value])
            } else {
                Value::object(Map::from_iter([(Rc::from("a"), value)]))
            };
        }
        value
    }

    #[test]
    fn deep_values_are_dropped_and_refused() {
        // A million levels would need some hundred MiB of stack if each took a frame.
        drop(tower(1_000_000));
        assert_eq!(DEPTH.get(), 0);
        // Comparing does recurse, to a fixed depth; test threads have a quarter of a process's stack.
        let compared = std::thread::Builder::new().stack_size(16 << 20).spawn(|| {
            let (a, b) = (tower(20_000), tower(20_000));
            assert_eq!(a.equals(&b), Err(TooDeep));
            assert_eq!(a.compare(&b), Err(TooDeep));
            let (a, b) = (tower(9_000), tower(9_000));
            assert_eq!(a.equals(&b), Ok(true));
            assert_eq!(a.compare(&b), Ok(Ordering::Equal));
        });
        compared.unwrap().join().unwrap();
    }

    #[test]
    fn in_place_when_unshared() {
        let mut value = Value::array(vec![n(1.0)]);
        let copy = value.clone();
        let Value::Array(list) = &mut value else { panic!() };
        Rc::make_mut(list).push(n(2.0));
        let place = list.as_ptr();
        assert_eq!(copy, Value::array(vec![n(1.0)]));
        drop(copy);
        Rc::make_mut(list).pop();
        assert_eq!(list.as_ptr(), place);
    }

    #[test]
    fn a_value_stays_small() {
        assert!(size_of::<Value>() <= 24);
    }
}
