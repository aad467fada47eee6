//! One printer for text and JSON: each fact is handed over once, with its key, its value and its words.

use std::fmt::{self, Write as _};
use std::io::Write;

use netkit_core::json::Value;

use crate::stop::Stop;

/// What is coloured under `-c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Interface,
    Mac,
    Inet,
    Inet6,
    Up,
    Down,
}

impl Colour {
    /// SGR parameter: cyan, yellow, magenta, blue, green, red.
    fn sgr(self) -> u8 {
        match self {
            Colour::Interface => 36,
            Colour::Mac => 33,
            Colour::Inet => 35,
            Colour::Inet6 => 34,
            Colour::Up => 32,
            Colour::Down => 31,
        }
    }

    /// That of an address of this family.
    pub(crate) fn of_family(family: u8) -> Option<Colour> {
        match family {
            2 => Some(Colour::Inet),
            10 => Some(Colour::Inet6),
            17 => Some(Colour::Mac),
            _ => None,
        }
    }
}

/// How output is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    pub(crate) json: bool,
    pub(crate) pretty: bool,
    pub(crate) oneline: bool,
    pub(crate) colour: bool,
    /// Brighter shades, for a dark background (COLORFGBG).
    pub(crate) dark: bool,
}

enum Frame {
    Array(String, Vec<Value>),
    Object(String, Vec<(String, Value)>),
}

/// Collects one record after the other.
pub(crate) struct Out<'a> {
    sink: &'a mut dyn Write,
    pub(crate) style: Style,
    text: String,
    stack: Vec<Frame>,
    /// Records of the outermost array that are written already: a table of a million routes is never held whole.
    written: usize,
}

impl<'a> Out<'a> {
    pub(crate) fn new(sink: &'a mut dyn Write, style: Style) -> Out<'a> {
        Out { sink, style, text: String::new(), stack: Vec::new(), written: 0 }
    }

    pub(crate) fn json(&self) -> bool {
        self.style.json
    }

    /// A fact: a member in JSON, words in text.
    pub(crate) fn put(&mut self, key: &str, value: impl Into<Value>, words: fmt::Arguments<'_>) {
        self.fact(key, value.into(), words);
    }

    /// One copy for every type of value: there are hundreds of facts.
    #[inline(never)]
    fn fact(&mut self, key: &str, value: Value, words: fmt::Arguments<'_>) {
        if self.style.json {
            self.add(key, value);
        } else {
            let _ = self.text.write_fmt(words);
        }
    }

    /// A fact that is only its presence: null in JSON, as iproute2 has it.
    pub(crate) fn mark(&mut self, key: &str, words: &str) {
        self.put(key, Value::Null, format_args!("{words}"));
    }

    /// A fact with a coloured middle.
    pub(crate) fn tint(&mut self, colour: Option<Colour>, key: &str, value: &str, before: &str, after: &str) {
        if self.style.json {
            self.member(key, Value::from(value));
            return;
        }
        self.text.push_str(before);
        // What follows is coloured with it, as iproute2 does.
        self.paint(colour, &format!("{value}{after}"));
    }

    /// Coloured words without a JSON side.
    pub(crate) fn paint(&mut self, colour: Option<Colour>, words: &str) {
        if self.style.json {
            return;
        }
        match colour.filter(|_| self.style.colour) {
            Some(colour) => {
                let bold = if self.style.dark { "1;" } else { "" };
                let _ = write!(self.text, "\x1b[{bold}{}m{words}\x1b[0m", colour.sgr());
            }
            None => self.text.push_str(words),
        }
    }

    /// Words without a JSON side.
    #[inline(never)]
    pub(crate) fn words(&mut self, words: fmt::Arguments<'_>) {
        if !self.style.json {
            let _ = self.text.write_fmt(words);
        }
    }

    /// A member without words.
    pub(crate) fn member(&mut self, key: &str, value: impl Into<Value>) {
        self.add(key, value.into());
    }

    #[inline(never)]
    fn add(&mut self, key: &str, value: Value) {
        if !self.style.json {
            return;
        }
        match self.stack.last_mut() {
            Some(Frame::Object(_, members)) => members.push((key.to_owned(), value)),
            Some(Frame::Array(_, items)) => items.push(value),
            None => {}
        }
    }

    /// Opens an array, a member `key` of the object around it.
    pub(crate) fn array(&mut self, key: &str) {
        if self.style.json {
            self.stack.push(Frame::Array(key.to_owned(), Vec::new()));
        }
    }

    /// Opens an object, a member `key` of the object around it.
    pub(crate) fn object(&mut self, key: &str) {
        if self.style.json {
            self.stack.push(Frame::Object(key.to_owned(), Vec::new()));
        }
    }

    /// Closes what was opened last.
    pub(crate) fn end(&mut self) {
        match self.stack.pop() {
            Some(Frame::Array(key, items)) => self.closed(&key, Value::Array(items)),
            Some(Frame::Object(key, members)) => self.closed(&key, Value::Object(members)),
            None => {}
        }
    }

    /// Closes what was opened last and forgets it.
    pub(crate) fn abandon(&mut self) {
        self.stack.pop();
    }

    fn closed(&mut self, key: &str, value: Value) {
        match self.stack.as_slice() {
            [] if self.written > 0 => {
                self.text.push_str(if self.style.pretty { " ]\n" } else { "]\n" });
                self.written = 0;
            }
            [] => {
                self.layout(&value, 0);
                self.text.push('\n');
            }
            [Frame::Array(..)] => {
                self.text.push_str(match (self.written, self.style.pretty) {
                    (0, true) => "[ ",
                    (0, false) => "[",
                    _ => ",",
                });
                self.written += 1;
                self.layout(&value, 1);
            }
            _ => self.member(key, value),
        }
    }

    fn layout(&mut self, value: &Value, depth: usize) {
        if self.style.pretty {
            lay_out(&mut self.text, value, depth);
        } else {
            let _ = write!(self.text, "{value}");
        }
    }

    /// The end of a line, or the mark for it under `-o`.
    pub(crate) fn line(&mut self) {
        if !self.style.json {
            self.text.push(if self.style.oneline { '\\' } else { '\n' });
        }
    }

    /// The end of a record.
    pub(crate) fn newline(&mut self) {
        if !self.style.json {
            self.text.push('\n');
        }
    }

    /// What stands in the buffer so far.
    pub(crate) fn pending(&self) -> &str {
        &self.text
    }

    /// Hands what is finished to the stream.
    pub(crate) fn flush(&mut self) -> Result<(), Stop> {
        self.sink.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }

    /// As [`Out::flush`], and through the stream's own buffer, for output that is watched live.
    pub(crate) fn push(&mut self) -> Result<(), Stop> {
        self.flush()?;
        self.sink.flush()?;
        Ok(())
    }
}

/// The layout iproute2 gives to `-p`: lists of values on one line, `},{` between objects.
fn lay_out(out: &mut String, value: &Value, depth: usize) {
    let indent = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"    ".repeat(depth));
    };
    match value {
        Value::Array(items) => {
            out.push_str("[ ");
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                lay_out(out, item, depth + 1);
            }
            out.push_str(if items.is_empty() { "]" } else { " ]" });
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                indent(out, depth + 1);
                let _ = write!(out, "{}: ", Value::from(key.as_str()));
                lay_out(out, member, depth + 1);
            }
            if !members.is_empty() {
                indent(out, depth);
            }
            out.push('}');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(json: bool, pretty: bool, records: usize) -> String {
        let mut sink = Vec::new();
        let mut out = Out::new(&mut sink, Style { json, pretty, ..Style::default() });
        out.array("");
        for index in 0..records {
            out.object("");
            out.put("n", index, format_args!("n {index} "));
            out.array("flags");
            out.put("", "A", format_args!("<A"));
            out.put("", "B", format_args!(",B>"));
            out.end();
            out.newline();
            out.end();
            out.object("");
            out.put("left", true, format_args!(""));
            out.abandon();
        }
        out.end();
        out.flush().unwrap();
        String::from_utf8(sink).unwrap()
    }

    #[test]
    fn text_and_json_from_one_call() {
        assert_eq!(printed(false, false, 2), "n 0 <A,B>\nn 1 <A,B>\n");
        assert_eq!(
            printed(true, false, 2),
            r#"[{"n":0,"flags":["A","B"]},{"n":1,"flags":["A","B"]}]"#.to_owned() + "\n"
        );
        assert_eq!(printed(true, false, 0), "[]\n");
        let laid = "[ {\n        \"n\": 0,\n        \"flags\": [ \"A\",\"B\" ]\n    } ]\n";
        assert_eq!(printed(true, true, 1), laid);
        assert_eq!(printed(true, true, 0), "[ ]\n");
    }
}
