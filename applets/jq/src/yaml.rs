//! `--from yaml`: manifests and kubeconfigs as values, by the core schema of YAML 1.2 (so `yes` and `on` are strings).
//!
//! Aliases share what they stand for, and what they add up to is bounded; `<<` merges as YAML 1.1 has it; a key that is no
//! string becomes the text it was written as; nesting is bounded as in JSON.

use std::collections::BTreeMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use crate::number::Number;
use crate::value::{Map, Value};

/// Open sequences and mappings at most.
const MAX_DEPTH: usize = 10_000;
/// Values that aliases may repeat in all, so that a short text cannot stand for a huge one.
const MAX_REPEATED: usize = 1_000_000;

/// Every document of a text.
///
/// # Errors
/// What is wrong, with line and column.
pub fn documents(text: &str) -> Result<Vec<Value>, String> {
    let mut builder = Builder::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| place(error.info(), error.marker()))?;
        builder.event(event).map_err(|message| place(message, &span.start))?;
    }
    Ok(builder.documents)
}

fn place(what: &str, marker: &saphyr_parser::Marker) -> String {
    format!("{what} at line {}, column {}", marker.line(), marker.col() + 1)
}

/// An open sequence or mapping.
enum Open {
    Sequence(Vec<Value>),
    /// What is in it, the key that waits for its value, and what `<<` brings.
    Mapping(Map, Option<Key>, Vec<Value>),
}

enum Key {
    Name(Rc<str>),
    Merge,
}

#[derive(Default)]
struct Builder {
    /// With the anchor of each (0 for none) and the values in it so far.
    stack: Vec<(Open, usize, usize)>,
    anchors: BTreeMap<usize, (Value, usize)>,
    repeated: usize,
    documents: Vec<Value>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                if plain && text == "<<" && self.key_expected() {
                    return self.key(Key::Merge);
                }
                let key = self.key_expected();
                let value = scalar(&text, plain, tag.as_deref());
                if anchor > 0 {
                    self.anchors.insert(anchor, (value.clone(), 1));
                }
                if key { self.key(Key::Name(text.as_ref().into())) } else { self.value(value, 1) }
            }
            Event::Alias(anchor) => {
                let (value, size) = self.anchors.get(&anchor).cloned().ok_or("an alias to what encloses it")?;
                self.repeated = self.repeated.saturating_add(size);
                if self.repeated > MAX_REPEATED {
                    return Err("aliases that repeat more than a million values");
                }
                match value {
                    Value::String(text) if self.key_expected() => self.key(Key::Name(text)),
                    value => self.value(value, size),
                }
            }
            Event::SequenceStart(anchor, _) => self.open(Open::Sequence(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.open(Open::Mapping(Map::new(), None, Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => Ok(()),
        }
    }

    fn key_expected(&self) -> bool {
        matches!(self.stack.last(), Some((Open::Mapping(_, None, _), ..)))
    }

    fn key(&mut self, key: Key) -> Result<(), &'static str> {
        if let Some((Open::Mapping(_, waiting, _), ..)) = self.stack.last_mut() {
            *waiting = Some(key);
        }
        Ok(())
    }

    fn open(&mut self, open: Open, anchor: usize) -> Result<(), &'static str> {
        if self.key_expected() {
            return Err("a key that is no scalar");
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err("Exceeds depth limit for parsing");
        }
        self.stack.push((open, anchor, 1));
        Ok(())
    }

    fn close(&mut self) -> Result<(), &'static str> {
        let Some((open, anchor, size)) = self.stack.pop() else { return Ok(()) };
        let value = match open {
            Open::Sequence(items) => Value::array(items),
            Open::Mapping(mut map, _, merged) => {
                // Keys of its own win over merged ones, earlier merged ones over later ones.
                for from in merged {
                    let Value::Object(from) = from else { return Err("`<<` with something that is no mapping") };
                    for (key, value) in from.iter() {
                        if !map.contains_key(key) {
                            map.insert(key.clone(), value.clone());
                        }
                    }
                }
                Value::object(map)
            }
        };
        if anchor > 0 {
            self.anchors.insert(anchor, (value.clone(), size));
        }
        self.value(value, size)
    }

    fn value(&mut self, value: Value, size: usize) -> Result<(), &'static str> {
        match self.stack.last_mut() {
            None => self.documents.push(value),
            Some((Open::Sequence(items), _, total)) => {
                *total = total.saturating_add(size);
                items.push(value);
            }
            Some((Open::Mapping(map, key, merged), _, total)) => {
                *total = total.saturating_add(size);
                match (key.take(), value) {
                    (None, _) => return Err("a key that is no scalar"),
                    (Some(Key::Name(name)), value) => {
                        map.insert(name, value);
                    }
                    (Some(Key::Merge), Value::Array(list)) => merged.extend(list.iter().cloned()),
                    (Some(Key::Merge), value) => merged.push(value),
                }
            }
        }
        Ok(())
    }
}

/// A scalar by the core schema (YAML 1.2.2, section 10.3.2); only plain ones are more than strings, unless a tag says so.
fn scalar(text: &str, plain: bool, tag: Option<&Tag>) -> Value {
    let core = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    let resolve = match core {
        Some("str") => false,
        Some("null" | "bool" | "int" | "float") => true,
        _ => plain,
    };
    if !resolve {
        return text.into();
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::number(f64::NAN),
        _ => {}
    }
    number(text).map_or_else(|| text.into(), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.starts_with(['+', '-'])
        {
            return u64::from_str_radix(digits, radix).ok().map(|value| Number::from_f64(value as f64));
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(Number::from_f64(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    // What begins with neither a digit nor a point is no number here, so that JSON's words for infinity stay text.
    unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.').then(|| Number::parse(text)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::to_json;
    use proptest::prelude::*;

    fn read(text: &str) -> String {
        match documents(text) {
            Ok(values) => values.iter().map(to_json).collect::<Vec<_>>().join(" "),
            Err(message) => format!("! {message}"),
        }
    }

    #[test]
    fn a_manifest() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  labels: {app: web, \"on\": yes}\nspec:\n  containers:\n  \
                    - name: c\n    args: [\"-v\", 8080, 1.50]\n    env: []\n    command:\n    - |\n      echo 1\n      echo 2\n  \
                    replicas: ~\n---\nkind: List\n...\n";
        assert_eq!(
            read(text),
            "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"labels\":{\"app\":\"web\",\"on\":\"yes\"}},\
             \"spec\":{\"containers\":[{\"name\":\"c\",\"args\":[\"-v\",8080,1.50],\"env\":[],\"command\":[\"echo 1\\necho \
             2\\n\"]}],\"replicas\":null}} {\"kind\":\"List\"}"
        );
    }

    #[test]
    fn scalars() {
        for (text, json) in [
            ("~", "null"),
            ("Null", "null"),
            ("true", "true"),
            ("'true'", "\"true\""),
            ("!!str 12", "\"12\""),
            ("0x1f", "31"),
            ("0o17", "15"),
            ("010", "10"),
            ("1_000", "\"1_000\""),
            ("-.inf", "-1.7976931348623157e+308"),
            (".nan", "null"),
            ("nan", "\"nan\""),
            ("infinity", "\"infinity\""),
            ("1.2.3", "\"1.2.3\""),
            ("2026-11-21", "\"2026-11-21\""),
            ("100000000000000000001", "100000000000000000001"),
            ("", ""),
            ("---", "null"),
            ("1: a\ntrue: b\n~: c", "{\"1\":\"a\",\"true\":\"b\",\"~\":\"c\"}"),
        ] {
            assert_eq!(read(text), json, "{text:?}");
        }
    }

    #[test]
    fn anchors_and_merges() {
        assert_eq!(read("a: &x {k: 1, l: 2}\nb: *x\n"), r#"{"a":{"k":1,"l":2},"b":{"k":1,"l":2}}"#);
        assert_eq!(read("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  k: 9\n"), r#"{"a":{"k":1,"l":2},"b":{"k":9,"l":2}}"#);
        assert_eq!(
            read("- &x {k: 1}\n- &y {k: 2, m: 3}\n- <<: [*x, *y]\n"),
            r#"[{"k":1},{"k":2,"m":3},{"k":1,"m":3}]"#
        );
        assert!(read("a: &x [*x]").starts_with("! an alias to what encloses it"));
        assert!(read("<<: 1").starts_with("! `<<`"));
        assert!(read("[1]: 2").starts_with("! a key that is no scalar"));
        assert!(read("a: *nope").starts_with("! "));
        assert!(read("a: [1").starts_with("! "));
    }

    #[test]
    fn little_text_stays_little() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let item = format!("*a{},", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{item}]\n"));
        }
        assert!(read(&bomb).starts_with("! aliases that repeat more than a million values"));
        assert!(read(&"[".repeat(20_000)).starts_with("! "));
    }

    proptest! {
        #[test]
        fn any_text(text in "([\\[\\]{}:,&*!|>'\"# \n\t-]|a|b1|<<|~|\\PC){0,60}") {
            let _ = documents(&text);
        }
    }
}
