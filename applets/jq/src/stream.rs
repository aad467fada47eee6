//! `--stream`: a document as events `[path, leaf]` and, at the end of each array or object, `[path]`.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::value::{List, Map, Value};

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    #[default]
    None,
    OpenArray,
    OpenObject,
    Colon,
    Comma,
    Value,
}

/// Where in the document the reader is.
#[derive(Default)]
pub(crate) struct Events {
    /// One element a level: the index in an array, the key in an object, `null` before the first key and between keys.
    path: Rc<List>,
    last: Last,
    /// Complete events, not yet handed out.
    out: VecDeque<Value>,
}

impl Events {
    /// Open arrays and objects.
    pub(crate) fn depth(&self) -> usize {
        self.path.len()
    }

    /// The path as a value.
    pub(crate) fn path(&self) -> Value {
        Value::Array(self.path.clone())
    }

    /// `[path, value]`.
    pub(crate) fn leaf(&self, value: Value) -> Value {
        Value::array(vec![self.path(), value])
    }

    pub(crate) fn reset(&mut self) {
        *self = Events::default();
    }

    pub(crate) fn drain(&mut self, ready: &mut VecDeque<Value>) {
        ready.append(&mut self.out);
    }

    /// Whether a string here would be a key.
    pub(crate) fn key_expected(&self) -> bool {
        matches!(self.last, Last::OpenObject)
            || (self.last == Last::Comma && matches!(self.path.last(), Some(Value::Null)))
    }

    /// A value (or a key) is complete here; false where a separator is missing.
    pub(crate) fn value(&mut self) -> bool {
        if self.last == Last::Value {
            return false;
        }
        self.last = if self.depth() > 0 { Last::Value } else { Last::None };
        true
    }

    fn set_last(&mut self, element: Value) {
        if let Some(last) = Rc::make_mut(&mut self.path).last_mut() {
            *last = element;
        }
    }

    fn close(&mut self) {
        Rc::make_mut(&mut self.path).pop();
        self.last = if self.depth() == 0 { Last::None } else { Last::Value };
    }

    /// One of `[]{}:,` after the value in `next`, if there is one.
    pub(crate) fn token(&mut self, byte: u8, next: &mut Option<Value>) -> Result<(), &'static str> {
        let in_array = matches!(self.path.last(), Some(Value::Number(_)));
        match byte {
            b'[' | b'{' => {
                if if byte == b'[' { next.is_some() } else { self.last == Last::Value } {
                    return Err("Expected a separator between values");
                }
                match (self.last, byte) {
                    (Last::OpenObject, b'[') => return Err("Expected string key after '{', not '['"),
                    (Last::OpenObject, _) => return Err("Expected string key after '{', not '{'"),
                    (Last::Comma, b'[') if !in_array => return Err("Expected string key after ',' in object, not '['"),
                    (Last::Comma, _) if !in_array => return Err("Expected string key after ',' in object, not '{'"),
                    _ => {}
                }
                let (element, last) = match byte {
                    b'[' => (Value::number(0.0), Last::OpenArray),
                    _ => (Value::Null, Last::OpenObject),
                };
                Rc::make_mut(&mut self.path).push(element);
                self.last = last;
            }
            b':' => {
                if self.depth() == 0 || in_array {
                    return Err("':' not as part of an object");
                }
                if self.last == Last::None {
                    return Err("Expected string key before ':'");
                }
                match next.take() {
                    None => return Err("Expected string key before ':'"),
                    Some(key @ Value::String(_)) if self.last == Last::Value => {
                        self.last = Last::Colon;
                        self.set_last(key);
                    }
                    Some(Value::String(_)) => return Err("':' should follow a key"),
                    Some(_) => return Err("Object keys must be strings"),
                }
            }
            b',' => {
                if self.last != Last::Value {
                    return Err("Expected value before ','");
                }
                let follow = match self.path.last() {
                    None => return Err("',' not as part of an object or array"),
                    Some(Value::Number(index)) => Value::number(index.value() + 1.0),
                    Some(Value::String(_)) => Value::Null,
                    Some(_) => return Err("Objects must consist of key:value pairs"),
                };
                if let Some(value) = next.take() {
                    let event = self.leaf(value);
                    self.out.push_back(event);
                }
                self.set_last(follow);
                self.last = Last::Comma;
            }
            _ => self.end(byte, in_array, next)?,
        }
        Ok(())
    }

    fn end(&mut self, byte: u8, in_array: bool, next: &mut Option<Value>) -> Result<(), &'static str> {
        let array = byte == b']';
        if self.depth() == 0 {
            return Err(if array { "Unmatched ']' at the top-level" } else { "Unmatched '}' at the top-level" });
        }
        if self.last == Last::Comma {
            return Err(if array { "Expected another array element" } else { "Expected another key:value pair" });
        }
        match (array, in_array) {
            (true, false) => return Err("Unmatched ']' in the middle of an object"),
            (false, true) => return Err("Unmatched '}' in the middle of an array"),
            _ => {}
        }
        let empty = matches!(self.last, Last::OpenArray | Last::OpenObject);
        match next.take() {
            Some(_) if !array && !matches!(self.path.last(), Some(Value::String(_))) => {
                return Err("Objects must consist of key:value pairs");
            }
            Some(value) => {
                let event = self.leaf(value);
                self.out.push_back(event);
                self.out.push_back(Value::array(vec![self.path()]));
            }
            None if self.last == Last::Colon => return Err("Missing value in key:value pair"),
            None if !empty => self.out.push_back(Value::array(vec![self.path()])),
            None => {}
        }
        self.close();
        if empty {
            let event = self.leaf(if array { Value::array(Vec::new()) } else { Value::object(Map::new()) });
            self.out.push_back(event);
        }
        Ok(())
    }
}
