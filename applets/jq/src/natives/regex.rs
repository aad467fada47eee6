//! What `test`, `match`, `capture`, `scan`, `split/2`, `splits`, `sub` and `gsub` are made of.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::value::{Map, Value};
use netkit_regex::{Flags, Match, Regex, Span};

use super::{Failure, failed, type_error};

/// Patterns kept compiled; a filter seldom has more, and one that makes them up starts again when it has.
const KEPT: usize = 64;

type Patterns = HashMap<(Rc<str>, Flags), Rc<Regex>>;

thread_local! {
    static PATTERNS: RefCell<Patterns> = RefCell::new(HashMap::new());
}

fn compiled(pattern: &Rc<str>, flags: Flags) -> Result<Rc<Regex>, Failure> {
    let key = (Rc::clone(pattern), flags);
    if let Some(regex) = PATTERNS.with_borrow(|kept| kept.get(&key).cloned()) {
        return Ok(regex);
    }
    let regex = Rc::new(Regex::new(pattern, flags).map_err(|error| failed(error.to_string()))?);
    PATTERNS.with_borrow_mut(|kept| {
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, Rc::clone(&regex));
    });
    Ok(regex)
}

/// A search that is set up: the text and the compiled pattern.
pub(crate) struct Search {
    text: Rc<str>,
    regex: Rc<Regex>,
}

impl Search {
    /// Checks input, pattern and flags as jq's `_match_impl` does.
    pub(crate) fn new(input: &Value, pattern: &Value, flags: &Value) -> Result<Search, Failure> {
        let Value::String(text) = input else {
            return Err(type_error(input, "cannot be matched, as it is not a string"));
        };
        let Value::String(pattern) = pattern else {
            return Err(type_error(pattern, "cannot be matched, as it is not a string"));
        };
        let flags = match flags {
            Value::Null => Flags::default(),
            Value::String(letters) => Flags::parse(letters).map_err(failed)?,
            other => return Err(type_error(other, "is not a string")),
        };
        Ok(Search { text: Rc::clone(text), regex: compiled(pattern, flags)? })
    }

    /// `test`.
    pub(crate) fn is_match(&self) -> Result<bool, Failure> {
        self.regex.is_match(&self.text).map_err(|error| failed(error.to_string()))
    }

    /// The matches as they stand in the text: for `sub`, `splits` and the like, which need no objects.
    pub(crate) fn spans(&self) -> Result<Vec<Match>, Failure> {
        self.regex.matches(&self.text).map_err(|error| failed(error.to_string()))
    }

    /// The text of a span.
    pub(crate) fn slice(&self, span: &Span) -> Value {
        Value::string(self.text.get(span.start..span.end).unwrap_or_default())
    }

    /// `match`: the objects.
    pub(crate) fn objects(&self) -> Result<Vec<Value>, Failure> {
        Ok(self.spans()?.iter().map(|found| self.object(found)).collect())
    }

    fn object(&self, found: &Match) -> Value {
        let captures = found.captures.iter().zip(self.regex.names());
        let captures = captures.map(|(span, name)| {
            let name = name.as_ref().map_or(Value::Null, |name| Value::string(name.as_str()));
            let string = self.string(span.as_ref());
            match span {
                None => {
                    members([("offset", Value::number(-1.0)), ("string", string), ("length", count(0)), ("name", name)])
                }
                // jq puts the length of an empty group behind its string.
                Some(span) if span.length == 0 => {
                    members([("offset", count(span.offset)), ("string", string), ("length", count(0)), ("name", name)])
                }
                Some(span) => members([
                    ("offset", count(span.offset)),
                    ("length", count(span.length)),
                    ("string", string),
                    ("name", name),
                ]),
            }
        });
        members([
            ("offset", count(found.span.offset)),
            ("length", count(found.span.length)),
            ("string", self.slice(&found.span)),
            ("captures", Value::array(captures.collect())),
        ])
    }

    fn string(&self, span: Option<&Span>) -> Value {
        span.map_or(Value::Null, |span| self.slice(span))
    }

    /// `capture`: the named groups of a match; of groups with one name the last counts.
    pub(crate) fn named(&self, found: &Match) -> Value {
        let mut map = Map::new();
        for (span, name) in found.captures.iter().zip(self.regex.names()) {
            if let Some(name) = name {
                map.insert(Rc::from(name.as_str()), self.string(span.as_ref()));
            }
        }
        Value::object(map)
    }

    /// `scan`: the texts of the groups, or of the match when there is no group.
    pub(crate) fn scanned(&self, found: &Match) -> Value {
        if found.captures.is_empty() {
            return self.slice(&found.span);
        }
        Value::array(found.captures.iter().map(|span| self.string(span.as_ref())).collect())
    }

    /// `splits`: what lies between the matches. The flags must have had `g`.
    pub(crate) fn pieces(&self) -> Result<Vec<Value>, Failure> {
        let mut pieces = Vec::new();
        let mut from = 0;
        for found in self.spans()? {
            pieces.push(Value::string(self.text.get(from..found.span.start).unwrap_or_default()));
            from = found.span.end;
        }
        pieces.push(Value::string(self.text.get(from..).unwrap_or_default()));
        Ok(pieces)
    }

    /// For `sub`: `[gap, named groups]` of each match, and at last what is left, as one array.
    pub(crate) fn edits(&self) -> Result<Value, Failure> {
        let mut edits = Vec::new();
        let mut from = 0;
        for found in self.spans()? {
            let gap = Value::string(self.text.get(from..found.span.start).unwrap_or_default());
            edits.push(Value::array(vec![gap, self.named(&found)]));
            from = found.span.end;
        }
        edits.push(Value::string(self.text.get(from..).unwrap_or_default()));
        Ok(Value::array(edits))
    }
}

#[allow(clippy::cast_precision_loss)]
fn count(value: usize) -> Value {
    Value::number(value as f64)
}

fn members(entries: [(&str, Value); 4]) -> Value {
    let mut map = Map::with_capacity(entries.len());
    for (key, value) in entries {
        map.insert(Rc::from(key), value);
    }
    Value::object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::to_json;

    fn search(text: &str, pattern: &str, flags: &str) -> Search {
        match Search::new(&Value::string(text), &Value::string(pattern), &Value::string(flags)) {
            Ok(search) => search,
            Err(error) => panic!("{}", to_json(&error)),
        }
    }

    #[test]
    fn objects_have_jqs_order_of_keys() {
        let found = search("xay", "(z)?(?<n>a)()", "g").objects().unwrap();
        assert_eq!(
            to_json(&Value::array(found)),
            r#"[{"offset":1,"length":1,"string":"a","captures":[{"offset":-1,"string":null,"length":0,"name":null},{"offset":1,"length":1,"string":"a","name":"n"},{"offset":2,"string":"","length":0,"name":null}]}]"#
        );
    }

    #[test]
    fn parts() {
        let search = search("a1,b2", "(?<l>[a-z])(?<d>[0-9])", "g");
        let spans = search.spans().unwrap();
        assert_eq!(to_json(&search.named(&spans[1])), r#"{"l":"b","d":"2"}"#);
        assert_eq!(to_json(&search.scanned(&spans[0])), r#"["a","1"]"#);
        assert_eq!(to_json(&Value::array(search.pieces().unwrap())), r#"["",",",""]"#);
        assert_eq!(to_json(&search.edits().unwrap()), r#"[["",{"l":"a","d":"1"}],[",",{"l":"b","d":"2"}],""]"#);
        assert!(search.is_match().unwrap());
    }

    #[test]
    fn refusals() {
        let text = |value: Result<Search, Failure>| match value {
            Ok(_) => String::new(),
            Err(error) => to_json(&error),
        };
        let (s, n) = (Value::string("s"), Value::number(1.0));
        assert_eq!(text(Search::new(&n, &s, &Value::Null)), r#""number (1) cannot be matched, as it is not a string""#);
        assert_eq!(text(Search::new(&s, &n, &Value::Null)), r#""number (1) cannot be matched, as it is not a string""#);
        assert_eq!(text(Search::new(&s, &s, &n)), r#""number (1) is not a string""#);
        assert_eq!(text(Search::new(&s, &s, &Value::string("q"))), r#""q is not a valid modifier string""#);
        assert_eq!(
            text(Search::new(&s, &Value::string("("), &Value::Null)),
            r#""Regex failure: end pattern with unmatched parenthesis""#
        );
    }
}
