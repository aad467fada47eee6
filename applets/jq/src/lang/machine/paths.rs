//! Paths: keys and items with what is tracked of them, and `|=`.

use std::rc::Rc;

use super::super::env::{Choice, Env, Frame, Key, Keys, Tracked, path};
use super::super::ops;
use super::super::term::{Class, Term};
use super::{Fault, Machine, State, not_iterable, raise};
use crate::builtins::text::dumped;
use crate::value::Value;

impl<'p> Machine<'p, '_> {
    /// The error of a value that the tracked path does not lead to.
    pub(super) fn not_a_path(&self, value: &Value) -> Option<State<'p>> {
        match &self.track {
            Some(track) if !ops::identical(&track.at, value) => {
                Some(raise(format!("Invalid path expression with result {}", dumped(value))))
            }
            _ => None,
        }
    }

    pub(super) fn off_path(&self, value: &Value) -> bool {
        self.track.as_ref().is_some_and(|track| !ops::identical(&track.at, value))
    }

    /// Adds a key to the tracked path.
    pub(super) fn tracked(&mut self, key: impl FnOnce() -> Value, value: &Value) {
        if let Some(track) = &self.track {
            let keys = Some(Rc::new(Key { key: key(), before: track.keys.clone() }));
            self.track = Some(Rc::new(Tracked { keys, at: value.clone() }));
        }
    }

    pub(super) fn index(&mut self, base: &Value, key: &Value, optional: bool) -> State<'p> {
        if self.off_path(base) {
            return raise(format!(
                "Invalid path expression near attempt to access element {} of {}",
                dumped(key),
                dumped(base)
            ));
        }
        match ops::index(base, key) {
            Ok(value) => {
                self.tracked(|| key.clone(), &value);
                State::Give(value)
            }
            Err(_) if optional => State::Back,
            Err(error) => State::Raise(error.into()),
        }
    }

    pub(super) fn iterate(&mut self, container: Value, optional: bool) -> State<'p> {
        if self.off_path(&container) {
            return raise(format!("Invalid path expression near attempt to iterate through {}", dumped(&container)));
        }
        match &container {
            Value::Array(_) | Value::Object(_) => self.next_item(container, 0),
            _ if optional => State::Back,
            other => State::Raise(Fault::Error(not_iterable(other))),
        }
    }

    pub(super) fn next_item(&mut self, container: Value, at: usize) -> State<'p> {
        let (key, value, next) = match &container {
            Value::Array(list) => match list.get(at) {
                None => return State::Back,
                Some(value) => (None, value.clone(), (at + 1 < list.len()).then_some(at + 1)),
            },
            Value::Object(map) => {
                let mut slot = at;
                loop {
                    if slot >= map.slots() {
                        return State::Back;
                    }
                    if let Some((key, value)) = map.slot(slot) {
                        break (Some(key.clone()), value.clone(), (slot + 1 < map.slots()).then_some(slot + 1));
                    }
                    slot += 1;
                }
            }
            _ => return State::Back,
        };
        if let Some(next) = next {
            let (cont, track) = (self.cont.clone(), self.track.clone());
            self.choices.push(Choice::Iterate { container, at: next, cont, track });
        }
        self.tracked(|| key.map_or_else(|| Value::number(at as f64), Value::String), &value);
        State::Give(value)
    }

    pub(super) fn get_path(&mut self, input: &Value, keys: &Value) -> State<'p> {
        if self.off_path(input) {
            return raise(format!(
                "Invalid path expression near attempt to access element {} of {}",
                dumped(keys),
                dumped(input)
            ));
        }
        match ops::get_path(input, keys) {
            Ok(value) => {
                if let (Some(track), Value::Array(list)) = (&self.track, keys) {
                    let mut all = track.keys.clone();
                    for key in list.iter() {
                        all = Some(Rc::new(Key { key: key.clone(), before: all }));
                    }
                    self.track = Some(Rc::new(Tracked { keys: all, at: value.clone() }));
                }
                State::Give(value)
            }
            Err(error) => State::Raise(error.into()),
        }
    }

    /// One path of `|=`: the value there goes through the update.
    pub(super) fn modify(&mut self, mark: usize, update: &'p Term, env: Env<'p>, keys: Keys) -> State<'p> {
        let Some(Choice::Modify { state, .. }) = self.choices.get_mut(mark) else { return State::Back };
        let steps = path(&keys);
        let old = match ops::get_path(state, &Value::array(steps.clone())) {
            Ok(old) => old,
            Err(error) => return State::Raise(error.into()),
        };
        let slices = steps.iter().any(|step| matches!(step, Value::Object(_)));
        if matches!(old, Value::Array(_) | Value::Object(_)) && !slices {
            // It is there, so it can be taken out, to be changed in place; a slice cannot be null meanwhile.
            match ops::update(std::mem::take(state), &steps, &mut |_| Ok(Value::Null)) {
                Ok(rest) => *state = rest,
                Err(error) => return State::Raise(error.into()),
            }
        }
        if update.class == Class::Simple {
            return match self.direct(update, &env, old) {
                Ok(Some(value)) => self.modified(mark, &keys, value),
                Ok(None) => self.unmodified(mark, &keys),
                Err(fault) => State::Raise(fault),
            };
        }
        let inner = self.choices.len();
        self.choices.push(Choice::ModifyEmpty { mark, keys: keys.clone() });
        // Only the first output counts; the alternatives of the paths, below, stay.
        self.push(Frame::ModifyDone { mark, keys });
        self.push(Frame::First(inner));
        State::Eval(update, env, old)
    }

    pub(super) fn modified(&mut self, mark: usize, keys: &Keys, value: Value) -> State<'p> {
        let Some(Choice::Modify { state, .. }) = self.choices.get_mut(mark) else { return State::Back };
        match ops::set_path(std::mem::take(state), &Value::array(path(keys)), value) {
            Ok(changed) => {
                *state = changed;
                State::Back
            }
            Err(error) => State::Raise(error.into()),
        }
    }

    pub(super) fn unmodified(&mut self, mark: usize, keys: &Keys) -> State<'p> {
        if let Some(Choice::Modify { deleted, .. }) = self.choices.get_mut(mark) {
            deleted.push(Value::array(path(keys)));
        }
        State::Back
    }
}
