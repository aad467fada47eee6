//! An object: keys in order of insertion, a hash table beside them once they are many.
//!
//! jq prints objects in this order and deletes without moving the other keys.

use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;

use crate::value::{Dropped, Value, drop_nested, is_container};

/// Up to this many entries a walk over the keys is quicker than a hash.
const LINEAR: usize = 16;

/// Keys and values in order of insertion. A removed key leaves an empty slot until there are many of them.
#[derive(Clone, Default)]
pub struct Map {
    entries: Vec<(Option<Rc<str>>, Value)>,
    /// Entries in use.
    used: usize,
    /// Present with more than [`LINEAR`] slots.
    index: Option<Box<Index>>,
}

/// Open addressing over slot numbers. Keys come from the wire, so the hash is keyed at random.
#[derive(Clone, Default)]
struct Index {
    hasher: RandomState,
    /// Slot number plus one; 0 is free. The length is a power of two and at least twice the slots.
    table: Vec<u32>,
}

impl Index {
    fn find(&self, entries: &[(Option<Rc<str>>, Value)], key: &str) -> Option<usize> {
        let mask = self.table.len().wrapping_sub(1);
        let mut at = self.hasher.hash_one(key) as usize & mask;
        loop {
            let slot = self.table.get(at).copied().filter(|slot| *slot != 0)? as usize - 1;
            if entries.get(slot).and_then(|(name, _)| name.as_deref()) == Some(key) {
                return Some(slot);
            }
            at = (at + 1) & mask;
        }
    }

    fn add(&mut self, key: &str, slot: usize) {
        let mask = self.table.len().wrapping_sub(1);
        let mut at = self.hasher.hash_one(key) as usize & mask;
        while let Some(place) = self.table.get_mut(at) {
            if *place == 0 {
                *place = slot as u32 + 1;
                return;
            }
            at = (at + 1) & mask;
        }
    }
}

impl Map {
    /// An empty object.
    pub fn new() -> Map {
        Map::default()
    }

    /// An empty object with room for so many keys.
    pub fn with_capacity(keys: usize) -> Map {
        Map { entries: Vec::with_capacity(keys), used: 0, index: None }
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    fn find(&self, key: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.find(&self.entries, key),
            None => self.entries.iter().position(|(name, _)| name.as_deref() == Some(key)),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.find(key).and_then(|slot| self.entries.get(slot)).map(|(_, value)| value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.find(key).and_then(|slot| self.entries.get_mut(slot)).map(|(_, value)| value)
    }

    /// Whether the key is there.
    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Sets a key; an existing one keeps its place. Returns what was there.
    pub fn insert(&mut self, key: Rc<str>, value: Value) -> Option<Value> {
        if let Some((_, old)) = self.find(&key).and_then(|slot| self.entries.get_mut(slot)) {
            return Some(std::mem::replace(old, value));
        }
        self.append(key, value);
        None
    }

    /// The value of a key, moved out; the key stays with `null`, to be set by the next [`Map::insert`]. `None` where the
    /// key is absent.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.get_mut(key).map(std::mem::take)
    }

    /// Adds a key that is not there yet.
    fn append(&mut self, key: Rc<str>, value: Value) {
        let slot = self.entries.len();
        match &mut self.index {
            Some(index) if index.table.len() >= (slot + 1) * 2 => index.add(&key, slot),
            None if slot < LINEAR => {}
            _ => {
                self.entries.push((Some(key), value));
                self.used += 1;
                self.rebuild();
                return;
            }
        }
        self.entries.push((Some(key), value));
        self.used += 1;
    }

    /// Drops empty slots and makes the table anew.
    fn rebuild(&mut self) {
        if self.used < self.entries.len() {
            self.entries.retain(|(key, _)| key.is_some());
        }
        if self.entries.len() <= LINEAR {
            self.index = None;
            return;
        }
        let mut index = self.index.take().unwrap_or_default();
        index.table.clear();
        index.table.resize((self.entries.len() * 4).next_power_of_two(), 0);
        for (slot, (key, _)) in self.entries.iter().enumerate() {
            if let Some(key) = key {
                index.add(key, slot);
            }
        }
        self.index = Some(index);
    }

    /// The entries the reader has gathered. A key that comes again keeps its place and gets the later value.
    pub(crate) fn from_read(entries: impl ExactSizeIterator<Item = (Option<Rc<str>>, Value)>) -> Map {
        let mut map = Map::with_capacity(entries.len());
        for (key, value) in entries {
            if let Some(key) = key {
                map.insert(key, value);
            }
        }
        map
    }

    /// Removes a key; the others keep their order.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let slot = self.find(key)?;
        self.used -= 1;
        if self.index.is_none() {
            return Some(self.entries.remove(slot).1);
        }
        let (name, value) = self.entries.get_mut(slot)?;
        *name = None;
        let old = std::mem::take(value);
        if self.entries.len() > 2 * self.used + LINEAR {
            self.rebuild();
        }
        Some(old)
    }

    /// Keys and values in order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&Rc<str>, &Value)> {
        self.entries.iter().filter_map(|(key, value)| key.as_ref().map(|key| (key, value)))
    }

    /// Keys and values in order of insertion, values to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Rc<str>, &mut Value)> {
        self.entries.iter_mut().filter_map(|(key, value)| key.as_ref().map(|key| (key, value)))
    }

    /// Keys in order of insertion.
    pub fn keys(&self) -> impl Iterator<Item = &Rc<str>> {
        self.entries.iter().filter_map(|(key, _)| key.as_ref())
    }

    /// Values in order of insertion.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.iter().map(|(_, value)| value)
    }

    /// Keys in the order of `keys`: by code point.
    pub fn sorted_keys(&self) -> Vec<Rc<str>> {
        let mut keys: Vec<Rc<str>> = self.keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// Slots, some of which may be empty; for iteration by number over a shared map.
    pub fn slots(&self) -> usize {
        self.entries.len()
    }

    /// The entry in a slot, if it is in use.
    pub fn slot(&self, slot: usize) -> Option<(&Rc<str>, &Value)> {
        self.entries.get(slot).and_then(|(key, value)| key.as_ref().map(|key| (key, value)))
    }

    /// Entries, moved out.
    pub fn into_entries(mut self) -> impl Iterator<Item = (Rc<str>, Value)> {
        std::mem::take(&mut self.entries).into_iter().filter_map(|(key, value)| key.map(|key| (key, value)))
    }

    /// The map of a shared object: moved when this is the only owner, cloned otherwise.
    pub fn unshare(map: Rc<Map>) -> Map {
        Rc::try_unwrap(map).unwrap_or_else(|shared| (*shared).clone())
    }
}

impl FromIterator<(Rc<str>, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Rc<str>, Value)>>(entries: I) -> Map {
        let mut map = Map::new();
        map.extend(entries);
        map
    }
}

impl Extend<(Rc<str>, Value)> for Map {
    fn extend<I: IntoIterator<Item = (Rc<str>, Value)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl std::fmt::Debug for Map {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if self.entries.iter().any(|(_, value)| is_container(value)) {
            drop_nested(Dropped::Entries(std::mem::take(&mut self.entries)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Rc<str> {
        Rc::from(format!("k{number}"))
    }

    fn order(map: &Map) -> Vec<String> {
        map.keys().map(|key| key.to_string()).collect()
    }

    #[test]
    fn small_and_large_keep_their_order() {
        for size in [3, LINEAR, LINEAR + 1, 1000] {
            let mut map: Map = (0..size).rev().map(|at| (key(at), Value::number(at as f64))).collect();
            assert_eq!(map.len(), size);
            assert_eq!(map.insert(key(1), Value::Null), Some(Value::number(1.0)));
            assert_eq!(map.remove("k2"), Some(Value::number(2.0)));
            assert_eq!(map.remove("k2"), None);
            map.insert(key(2), Value::Bool(true));
            let mut expected: Vec<String> = (0..size).rev().filter(|at| *at != 2).map(|at| format!("k{at}")).collect();
            expected.push("k2".to_owned());
            assert_eq!(order(&map), expected, "{size}");
            for at in 0..size {
                assert!(map.contains_key(&key(at)));
            }
            assert!(!map.contains_key("k"));
        }
    }

    #[test]
    fn many_removals_compact() {
        let mut map: Map = (0..10_000).map(|at| (key(at), Value::Null)).collect();
        for at in (0..10_000).filter(|at| at % 100 != 0) {
            assert!(map.remove(&key(at)).is_some());
        }
        assert_eq!(map.len(), 100);
        assert!(map.slots() <= 2 * map.len() + LINEAR);
        assert_eq!(order(&map).first().map(String::as_str), Some("k0"));
        assert_eq!(order(&map).last().map(String::as_str), Some("k9900"));
        for at in (0..10_000).step_by(100) {
            assert!(map.remove(&key(at)).is_some());
        }
        assert!(map.is_empty());
        assert_eq!(map.insert(key(5), Value::Null), None);
        assert_eq!(order(&map), ["k5"]);
    }

    #[test]
    fn taken_values_leave_their_key() {
        let mut map: Map = [(key(1), Value::Bool(true)), (key(2), Value::Null)].into_iter().collect();
        assert_eq!(map.take("k1"), Some(Value::Bool(true)));
        assert_eq!(map.take("k3"), None);
        map.insert(key(1), Value::Bool(false));
        assert_eq!(order(&map), ["k1", "k2"]);
    }
}
