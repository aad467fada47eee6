//! Values as text: compact or indented, sorted, ASCII only, in colour. It keeps its own stack, so depth costs no frames.

use std::fmt::Write as _;
use std::io;
use std::slice;
use std::vec;

use crate::value::{Map, Value};

/// Levels that are written; deeper ones become a note, as in jq.
const MAX_DEPTH: usize = 10_001;
/// Text that may gather before it is handed on.
const CHUNK: usize = 1 << 15;
/// End of a colour.
const RESET: &str = "\x1b[0m";

/// How values are laid out.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// Line breaks and what one level is indented by.
    pub indent: Indent,
    /// Keys by code point instead of insertion (`-S`).
    pub sort_keys: bool,
    /// Everything beyond ASCII as `\u` escapes (`-a`).
    pub ascii: bool,
    /// Colours, if any (`-C`).
    pub colors: Option<Colors>,
}

/// White space between the elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Indent {
    /// None at all (`-c`).
    #[default]
    Compact,
    /// Lines, with so many spaces a level (`--indent`; 0 leaves the lines).
    Spaces(usize),
    /// Lines, with a tab a level (`--tab`).
    Tab,
}

/// Escape sequences for null, false, true, numbers, strings, arrays, objects and object keys, in the order of `JQ_COLORS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colors([String; 8]);

impl Default for Colors {
    fn default() -> Colors {
        Colors(["0;90", "0;39", "0;39", "0;39", "0;32", "1;39", "1;39", "1;34"].map(|code| format!("\x1b[{code}m")))
    }
}

impl Colors {
    /// The colours of a `JQ_COLORS` value: fields of digits and `;`, separated by `:`; those that are missing keep their
    /// default. What follows the eighth is not looked at. `None` when it is malformed.
    pub fn parse(text: &str) -> Option<Colors> {
        let mut colors = Colors::default();
        let mut fields = text.splitn(9, ':').peekable();
        for color in &mut colors.0 {
            let Some(field) = fields.next() else { break };
            if !field.bytes().all(|byte| byte.is_ascii_digit() || byte == b';') {
                return None;
            }
            if field.is_empty() && fields.peek().is_none() {
                break;
            }
            *color = format!("\x1b[{field}m");
        }
        Some(colors)
    }

    fn of(&self, value: &Value) -> &str {
        let [null, no, yes, number, string, array, object, _] = &self.0;
        match value {
            Value::Null => null,
            Value::Bool(false) => no,
            Value::Bool(true) => yes,
            Value::Number(number_value) if number_value.is_nan() => null,
            Value::Number(_) => number,
            Value::String(_) => string,
            Value::Array(_) => array,
            Value::Object(_) => object,
        }
    }

    fn key(&self) -> &str {
        let [.., key] = &self.0;
        key
    }
}

/// The compact text, as `tojson` gives it.
pub fn to_json(value: &Value) -> String {
    let mut out = String::new();
    // Nothing is handed on, so nothing can fail.
    let _ = write(value, &Style::default(), &mut out, &mut |_| Ok(()));
    out
}

/// Appends a string with its quotes and escapes.
pub fn write_string(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    let mut rest = text;
    loop {
        let plain = rest.bytes().position(|byte| match byte {
            b'"' | b'\\' | 0..0x20 | 0x7f => true,
            0x80.. => ascii,
            _ => false,
        });
        let Some((before, after)) = plain.and_then(|at| rest.split_at_checked(at)) else { break };
        out.push_str(before);
        let mut tail = after.chars();
        match tail.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\t') => out.push_str("\\t"),
            Some('\r') => out.push_str("\\r"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some(other) => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            None => {}
        }
        rest = tail.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// What is open.
enum Open<'a> {
    Array(slice::Iter<'a, Value>),
    Object(&'a Map, usize),
    Sorted(vec::IntoIter<(&'a str, &'a Value)>),
}

struct Level<'a> {
    open: Open<'a>,
    /// The escape sequence of its punctuation.
    color: Option<&'a str>,
    first: bool,
}

/// Appends the text of a value to `out`. `hand_on` is called whenever much has gathered; it may take it away.
///
/// # Errors
/// Those of `hand_on`.
pub fn write(
    value: &Value,
    style: &Style,
    out: &mut String,
    hand_on: &mut dyn FnMut(&mut String) -> io::Result<()>,
) -> io::Result<()> {
    let mut stack: Vec<Level<'_>> = Vec::new();
    begin(value, style, out, &mut stack);
    while let Some(level) = stack.last_mut() {
        let next = match &mut level.open {
            Open::Array(items) => items.next().map(|item| (None, item)),
            Open::Object(map, slot) => loop {
                if *slot >= map.slots() {
                    break None;
                }
                *slot += 1;
                if let Some((key, value)) = map.slot(*slot - 1) {
                    break Some((Some(&**key), value));
                }
            },
            Open::Sorted(entries) => entries.next().map(|(key, value)| (Some(key), value)),
        };
        let (first, color) = (std::mem::replace(&mut level.first, false), level.color);
        let bracket = if matches!(level.open, Open::Array(_)) { ']' } else { '}' };
        let depth = stack.len();
        match next {
            None => {
                stack.pop();
                line(style, depth - 1, out);
                punctuation(bracket, color, out);
            }
            Some((key, value)) => {
                if !first {
                    punctuation(',', color, out);
                }
                line(style, depth, out);
                if let Some(key) = key {
                    match &style.colors {
                        None => {
                            write_string(key, style.ascii, out);
                            out.push(':');
                        }
                        Some(colors) => {
                            out.push_str(colors.key());
                            write_string(key, style.ascii, out);
                            out.push_str(RESET);
                            punctuation(':', color, out);
                        }
                    }
                    if style.indent != Indent::Compact {
                        out.push(' ');
                    }
                }
                begin(value, style, out, &mut stack);
            }
        }
        if out.len() > CHUNK {
            hand_on(out)?;
        }
    }
    Ok(())
}

/// Writes a scalar, or opens an array or object.
fn begin<'a>(value: &'a Value, style: &'a Style, out: &mut String, stack: &mut Vec<Level<'a>>) {
    let color = style.colors.as_ref().map(|colors| colors.of(value));
    let open = match value {
        _ if stack.len() > MAX_DEPTH => None,
        Value::Array(list) if !list.is_empty() => Some(Open::Array(list.iter())),
        Value::Object(map) if !map.is_empty() && style.sort_keys => {
            let mut entries: Vec<(&str, &Value)> = map.iter().map(|(key, value)| (&**key, value)).collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            Some(Open::Sorted(entries.into_iter()))
        }
        Value::Object(map) if !map.is_empty() => Some(Open::Object(map, 0)),
        _ => None,
    };
    if let Some(open) = open {
        punctuation(if matches!(open, Open::Array(_)) { '[' } else { '{' }, color, out);
        stack.push(Level { open, color, first: true });
        return;
    }
    if let Some(color) = color {
        out.push_str(color);
    }
    match value {
        _ if stack.len() > MAX_DEPTH => out.push_str("<skipped: too deep>"),
        Value::Null => out.push_str("null"),
        Value::Bool(false) => out.push_str("false"),
        Value::Bool(true) => out.push_str("true"),
        Value::Number(number) => number.write(out),
        Value::String(text) => write_string(text, style.ascii, out),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
    if color.is_some() {
        out.push_str(RESET);
    }
}

fn punctuation(mark: char, color: Option<&str>, out: &mut String) {
    match color {
        None => out.push(mark),
        Some(color) => {
            out.push_str(color);
            out.push(mark);
            out.push_str(RESET);
        }
    }
}

fn line(style: &Style, depth: usize, out: &mut String) {
    const SPACES: &str = "                                                                ";
    let (unit, width) = match style.indent {
        Indent::Compact => return,
        Indent::Spaces(width) => (SPACES, width),
        Indent::Tab => ("\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t", 1),
    };
    out.push('\n');
    let mut left = depth * width;
    while left > 0 {
        let part = left.min(unit.len());
        out.push_str(unit.get(..part).unwrap_or(unit));
        left -= part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::parse;

    fn shown(text: &str, style: &Style) -> String {
        let mut out = String::new();
        write(&parse(text).unwrap(), style, &mut out, &mut |_| Ok(())).unwrap();
        out
    }

    #[test]
    fn layouts() {
        let text = r#"{"b":[1,{"x":[]},{}],"a":"é\u0001\u007f😀"}"#;
        assert_eq!(shown(text, &Style::default()), "{\"b\":[1,{\"x\":[]},{}],\"a\":\"é\\u0001\\u007f😀\"}");
        let sorted = Style { sort_keys: true, ascii: true, ..Style::default() };
        assert_eq!(shown(text, &sorted), "{\"a\":\"\\u00e9\\u0001\\u007f\\ud83d\\ude00\",\"b\":[1,{\"x\":[]},{}]}");
        let two = Style { indent: Indent::Spaces(2), ..Style::default() };
        assert_eq!(shown("[1,{\"a\":[2]}]", &two), "[\n  1,\n  {\n    \"a\": [\n      2\n    ]\n  }\n]");
        let none = Style { indent: Indent::Spaces(0), ..Style::default() };
        assert_eq!(shown("[1,{\"a\":2}]", &none), "[\n1,\n{\n\"a\": 2\n}\n]");
        let tab = Style { indent: Indent::Tab, ..Style::default() };
        assert_eq!(shown("[[1]]", &tab), "[\n\t[\n\t\t1\n\t]\n]");
    }

    #[test]
    fn colours() {
        let style = Style { colors: Colors::parse("1:2:3:4:5:6:7:8"), ..Style::default() };
        assert_eq!(
            shown(r#"{"k":[null,true,"s",3.0,[]]}"#, &style).replace('\x1b', "^"),
            "^[7m{^[0m^[8m\"k\"^[0m^[7m:^[0m^[6m[^[0m^[1mnull^[0m^[6m,^[0m^[3mtrue^[0m^[6m,^[0m^[5m\"s\"^[0m^[6m,^[0m\
             ^[4m3.0^[0m^[6m,^[0m^[6m[]^[0m^[6m]^[0m^[7m}^[0m"
        );
        let pretty = Style { colors: Some(Colors::default()), indent: Indent::Spaces(1), ..Style::default() };
        assert_eq!(
            shown("[1,{}]", &pretty).replace('\x1b', "^"),
            "^[1;39m[^[0m\n ^[0;39m1^[0m^[1;39m,^[0m\n ^[1;39m{}^[0m\n^[1;39m]^[0m"
        );
        assert_eq!(Colors::parse("x"), None);
        assert_eq!(Colors::parse(""), Some(Colors::default()));
        assert_eq!(Colors::parse("0;90:"), Some(Colors::default()));
        assert_ne!(Colors::parse(":"), None);
        assert_eq!(Colors::parse("1:1:1:1:1:1:1:1:what"), Colors::parse("1:1:1:1:1:1:1:1"));
    }

    #[test]
    fn depth_is_bounded() {
        let mut value = Value::Null;
        for _ in 0..20_000 {
            value = Value::array(vec![value]);
        }
        let text = to_json(&value);
        assert!(text.contains("<skipped: too deep>"));
        assert!(text.len() < 25_000);
    }
}
