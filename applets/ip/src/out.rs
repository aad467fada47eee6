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
}

impl<'a> Out<'a> {
    pub(crate) fn new(sink: &'a mut dyn Write, style: Style) -> Out<'a> {
        Out { sink, style, text: String::new(), stack: Vec::new() }
    }

    pub(crate) fn json(&self) -> bool {
        self.style.json
    }

    /// A fact: a member in JSON, words in text.
    pub(crate) fn put(&mut self, key: &str, value: impl Into<Value>, words: fmt::Arguments<'_>) {
        if self.style.json {
            self.member(key, value.into());
        } else {
            self.words(words);
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
    pub(crate) fn words(&mut self, words: fmt::Arguments<'_>) {
        if !self.style.json {
            let _ = self.text.write_fmt(words);
        }
    }

    /// A member without words.
    pub(crate) fn member(&mut self, key: &str, value: impl Into<Value>) {
        if !self.style.json {
            return;
        }
        match self.stack.last_mut() {
            Some(Frame::Object(_, members)) => members.push((key.to_owned(), value.into())),
            Some(Frame::Array(_, items)) => items.push(value.into()),
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
        if self.stack.is_empty() {
            self.text.push_str(&if self.style.pretty { pretty(&value) } else { value.to_string() });
            self.text.push('\n');
        } else {
            self.member(key, value);
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
fn pretty(value: &Value) -> String {
    let mut out = String::new();
    lay_out(&mut out, value, 0);
    out
}

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
