//! JSON text to values, incrementally: bytes go in as they come, each value comes out with its last byte.
//!
//! What is accepted, and what is said about the rest, follows jq 1.8.2: several values follow each other without
//! separator, numbers are read leniently, a value of literals ends with the byte after it. `--stream` builds no values
//! but events ([`crate::stream`]). Memory is that of the value being read; nesting is bounded.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::lines;
use crate::stream::Events;
use crate::token::{self, Stop, find_stop};
use crate::value::{Map, Value};

/// Open brackets and keys that wait for their value, together, at most (jq's limit).
const MAX_DEPTH: usize = 10_000;
/// ASCII RS, which begins each text of a JSON text sequence (RFC 7464).
const RS: u8 = 0x1e;
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// How input is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// RFC 7464 (`--seq`).
    pub seq: bool,
    /// Events instead of values (`--stream`).
    pub stream: bool,
    /// Errors as values `[message, path]` (`--stream-errors`).
    pub stream_errors: bool,
}

/// What the reader has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A value, or an event of `--stream`.
    Value(Value),
    /// What is wrong, with line and column. After it the reader starts afresh.
    Error(String),
}

enum Open {
    /// Index of its first item in [`Reader::items`].
    Array(usize),
    /// Index of its first entry in [`Reader::entries`], and the key that waits for its value.
    Object(usize, Option<Rc<str>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    /// In a bare word; its beginning is in the token buffer.
    Word,
    /// In a string. `plain` as for [`token::string`]; `escaped` after a backslash.
    String {
        plain: bool,
        escaped: bool,
    },
    /// Before the first RS.
    WaitingForRs,
}

/// The reader's state between two pieces of input.
pub struct Reader {
    mode: Mode,
    state: State,
    /// Beginning of a string or word that the last piece ended in.
    token: Vec<u8>,
    stack: Vec<Open>,
    /// Keys in the stack that wait for their value.
    keys: usize,
    items: Vec<Value>,
    entries: Vec<(Option<Rc<str>>, Value)>,
    next: Option<Value>,
    events: Events,
    ready: VecDeque<Value>,
    known: Known,
    bom: usize,
    /// Whether the last byte was white space between tokens.
    blank: bool,
    /// Line (from 1) and column (bytes since the line's begin) at the begin of the current piece.
    line: u64,
    /// A byte order mark in the piece is taken off, so it may be negative.
    column: i64,
    finished: bool,
}

type Outcome = Result<(), &'static str>;

impl Reader {
    /// A reader at the begin of its input.
    pub fn new(mode: Mode) -> Reader {
        Reader::with(mode, Known::new())
    }

    fn with(mode: Mode, known: Known) -> Reader {
        Reader {
            mode,
            state: if mode.seq { State::WaitingForRs } else { State::Between },
            token: Vec::new(),
            stack: Vec::new(),
            keys: 0,
            items: Vec::new(),
            entries: Vec::new(),
            next: None,
            events: Events::default(),
            ready: VecDeque::new(),
            known,
            bom: 0,
            blank: false,
            line: 1,
            column: 0,
            finished: false,
        }
    }

    /// The next value or error in `piece` from `*at` on, and `*at` moved behind it. `None` when the piece is used up: then
    /// [`Reader::piece_done`] is due.
    pub fn next(&mut self, piece: &[u8], at: &mut usize) -> Option<Item> {
        if let Some(event) = self.ready.pop_front() {
            return Some(Item::Value(event));
        }
        if self.bom < BOM.len() && !self.skip_bom(piece, at) {
            if !self.mode.seq {
                return Some(Item::Error("Malformed BOM".to_owned()));
            }
            self.reset();
        }
        while *at < piece.len() {
            let before = self.ready.len();
            match self.step(piece, at) {
                Ok(()) => {}
                Err(message) => {
                    // What the same byte had completed is lost, as in jq.
                    self.ready.truncate(before);
                    let rs = at.checked_sub(1).and_then(|last| piece.get(last)) == Some(&RS);
                    let note = if self.mode.seq && !rs { " (need RS to resync)" } else { "" };
                    let (line, column) = self.position(piece, *at);
                    let item = self.failure(format!("{message} at line {line}, column {column}{note}"));
                    self.reset();
                    return Some(item);
                }
            }
            if let Some(value) = self.ready.pop_front() {
                return Some(Item::Value(value));
            }
        }
        None
    }

    /// The piece has been read to its end, or what is left of it is to be forgotten; counts its lines.
    pub fn piece_done(&mut self, piece: &[u8]) {
        (self.line, self.column) = self.position(piece, piece.len());
    }

    /// What is left when there is no more input: the last value, an error, or nothing.
    pub fn finish(&mut self) -> Option<Item> {
        if let Some(event) = self.ready.pop_front() {
            return Some(Item::Value(event));
        }
        if std::mem::replace(&mut self.finished, true) {
            return None;
        }
        let (line, column) = (self.line, self.column);
        let place = move |what: &str| format!("{what} at EOF at line {line}, column {column}");
        let message = match self.state {
            State::WaitingForRs => Err("Unfinished abandoned text"),
            State::String { .. } => Err("Unfinished string"),
            State::Between | State::Word => self.end_word(&[]).and_then(|()| {
                let open = if self.mode.stream { self.events.depth() } else { self.stack.len() };
                if open > 0 { Err("Unfinished JSON term") } else { Ok(()) }
            }),
        };
        let number = matches!(self.next, Some(Value::Number(_)));
        let item = match message {
            Err(message) => Some(self.failure(place(message))),
            Ok(()) if self.mode.seq && !self.blank && number => {
                Some(self.failure(place("Potentially truncated top-level numeric value")))
            }
            Ok(()) => {
                let value = self.next.take();
                let event = |value| if self.mode.stream { self.events.leaf(value) } else { value };
                value.map(|value| Item::Value(event(value)))
            }
        };
        self.reset();
        item
    }

    fn failure(&self, message: String) -> Item {
        if self.mode.stream_errors {
            return Item::Value(Value::array(vec![message.into(), self.events.path()]));
        }
        Item::Error(message)
    }

    fn reset(&mut self) {
        self.events.reset();
        self.stack.clear();
        self.keys = 0;
        self.items.clear();
        self.entries.clear();
        self.next = None;
        self.token.clear();
        self.state = State::Between;
    }

    /// Line and column behind `at` bytes of the piece.
    fn position(&self, piece: &[u8], at: usize) -> (u64, i64) {
        let read = piece.get(..at).unwrap_or(piece);
        match lines::last(read) {
            Some(last) => (self.line + lines::count(read), (read.len() - last - 1) as i64),
            None => (self.line, self.column + read.len() as i64),
        }
    }

    /// Skips a byte order mark at the begin of the input; false when only its begin is there.
    fn skip_bom(&mut self, piece: &[u8], at: &mut usize) -> bool {
        while let (Some(byte), Some(mark)) = (piece.get(*at), BOM.get(self.bom)) {
            if byte != mark {
                let started = self.bom > 0;
                self.bom = BOM.len();
                return !started;
            }
            self.bom += 1;
            *at += 1;
            self.column -= 1;
        }
        true
    }

    /// One token, or as much of it as the piece holds.
    fn step(&mut self, piece: &[u8], at: &mut usize) -> Outcome {
        let rest = piece.get(*at..).unwrap_or_default();
        match self.state {
            State::Between => {
                let Some((first, tail)) = rest.split_first() else { return Ok(()) };
                *at += 1;
                match first {
                    b' ' | b'\t' | b'\r' | b'\n' => {
                        *at += tail.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
                        self.blank = true;
                        Ok(())
                    }
                    b'"' => {
                        self.blank = false;
                        self.string(tail, at, true)
                    }
                    b'[' | b']' | b'{' | b'}' | b':' | b',' => {
                        self.blank = false;
                        self.structure(*first)
                    }
                    &RS if self.mode.seq => self.record(),
                    _ => {
                        *at -= 1;
                        self.word(rest, at)
                    }
                }
            }
            State::Word => self.word(rest, at),
            State::String { plain, escaped } => {
                let skip = usize::from(escaped && !rest.is_empty());
                if skip > 0 {
                    if rest.first() == Some(&RS) && self.mode.seq {
                        *at += 1;
                        return self.record();
                    }
                    self.token.extend(rest.first());
                    *at += 1;
                }
                self.state = State::String { plain, escaped: false };
                self.string(rest.get(skip..).unwrap_or_default(), at, plain)
            }
            State::WaitingForRs => {
                match rest.iter().position(|byte| *byte == RS) {
                    Some(found) => {
                        *at += found + 1;
                        self.state = State::Between;
                    }
                    None => *at = piece.len(),
                }
                Ok(())
            }
        }
    }

    /// The inside of a string, whose begin may be in the token buffer.
    fn string(&mut self, inside: &[u8], at: &mut usize, mut plain: bool) -> Outcome {
        let mut end = 0;
        loop {
            let Some((offset, stop)) = find_stop(inside.get(end..).unwrap_or_default()) else {
                return self.unfinished(inside, at, plain, false);
            };
            end += offset;
            match stop {
                Stop::Quote => break,
                Stop::Control => {
                    if self.mode.seq && inside.get(end) == Some(&RS) {
                        *at += end + 1;
                        self.token.extend_from_slice(inside.get(..end).unwrap_or_default());
                        self.state = State::String { plain, escaped: false };
                        return self.record();
                    }
                    plain = false;
                    end += 1;
                }
                Stop::Escape => {
                    plain = false;
                    match inside.get(end + 1) {
                        None => return self.unfinished(inside, at, plain, true),
                        // RS ends a text even behind a backslash.
                        Some(&RS) if self.mode.seq => end += 1,
                        Some(_) => end += 2,
                    }
                }
            }
        }
        *at += end + 1;
        self.state = State::Between;
        let raw = inside.get(..end).unwrap_or_default();
        let text = if self.token.is_empty() {
            match plain {
                true => {
                    let key = self.key_expected();
                    self.known.get(raw, key).map_or_else(|| token::string(raw, true), Ok)
                }
                false => token::string(raw, false),
            }
        } else {
            self.token.extend_from_slice(raw);
            let text = token::string(&self.token, plain);
            self.token.clear();
            text
        };
        self.value(Value::String(text?))?;
        self.emit();
        Ok(())
    }

    fn unfinished(&mut self, inside: &[u8], at: &mut usize, plain: bool, escaped: bool) -> Outcome {
        self.token.extend_from_slice(inside);
        *at += inside.len();
        self.state = State::String { plain, escaped };
        Ok(())
    }

    fn key_expected(&self) -> bool {
        if self.mode.stream {
            self.events.key_expected()
        } else {
            matches!(self.stack.last(), Some(Open::Object(_, None)))
        }
    }

    /// A bare word, whose begin may be in the token buffer, and the byte behind it.
    fn word(&mut self, rest: &[u8], at: &mut usize) -> Outcome {
        self.blank = false;
        let seq = self.mode.seq;
        let ends = |byte: &u8| {
            matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'[' | b']' | b'{' | b'}' | b':' | b',')
                || (seq && *byte == RS)
        };
        let Some(end) = rest.iter().position(ends) else {
            self.token.extend_from_slice(rest);
            *at += rest.len();
            self.state = State::Word;
            return Ok(());
        };
        let (word, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        let Some(delimiter) = tail.first() else { return Ok(()) };
        // The byte behind the word belongs to the same step: an error it causes takes the word's value with it.
        *at += end + 1;
        self.state = State::Between;
        if *delimiter == RS && seq {
            self.token.extend_from_slice(word);
            return self.record();
        }
        self.end_word(word)?;
        self.emit();
        match delimiter {
            b' ' | b'\t' | b'\r' | b'\n' => {
                self.blank = true;
                Ok(())
            }
            b'"' => {
                self.state = State::String { plain: true, escaped: false };
                Ok(())
            }
            _ => self.structure(*delimiter),
        }
    }

    /// The word in the token buffer and in `tail` is complete.
    fn end_word(&mut self, tail: &[u8]) -> Outcome {
        let value = if self.token.is_empty() {
            if tail.is_empty() {
                return Ok(());
            }
            token::literal(tail)
        } else {
            self.token.extend_from_slice(tail);
            let value = token::literal(&self.token);
            self.token.clear();
            value
        };
        self.value(value?)
    }

    /// An RS: the text before it must be complete.
    fn record(&mut self) -> Outcome {
        // jq takes what there is of a string for a word here, so its errors are those of a word.
        let string = matches!(self.state, State::String { .. });
        let cut = match self.mode.stream {
            true => {
                self.events.depth() > 0 || matches!(self.next, Some(Value::Number(_) | Value::Bool(_) | Value::Null))
            }
            false => {
                let number = matches!(self.next, Some(Value::Number(_)));
                !self.blank && (!self.stack.is_empty() || !self.token.is_empty() || number)
            }
        };
        if cut {
            let top = if self.mode.stream { self.events.depth() == 0 } else { self.stack.is_empty() };
            if self.end_word(&[]).is_ok() && top && matches!(self.next, Some(Value::Number(_))) {
                return Err("Potentially truncated top-level numeric value");
            }
            return Err("Truncated value");
        }
        self.end_word(&[])?;
        if !string {
            self.emit();
        }
        let ready = std::mem::take(&mut self.ready);
        self.reset();
        self.ready = ready;
        self.blank = false;
        Ok(())
    }

    /// A value is complete at its place.
    fn value(&mut self, value: Value) -> Outcome {
        if self.next.is_some() || (self.mode.stream && !self.events.value()) {
            return Err("Expected separator between values");
        }
        self.next = Some(value);
        Ok(())
    }

    /// Hands out what is complete.
    fn emit(&mut self) {
        if self.mode.stream {
            if self.events.depth() == 0
                && let Some(value) = self.next.take()
            {
                self.ready.push_back(self.events.leaf(value));
            }
            self.events.drain(&mut self.ready);
        } else if self.stack.is_empty()
            && let Some(value) = self.next.take()
        {
            self.ready.push_back(value);
        }
    }

    fn structure(&mut self, byte: u8) -> Outcome {
        if self.mode.stream {
            self.events.token(byte, &mut self.next)?;
        } else {
            self.bracket(byte)?;
        }
        self.emit();
        Ok(())
    }

    fn bracket(&mut self, byte: u8) -> Outcome {
        match byte {
            b'[' | b'{' => {
                if self.stack.len() + self.keys >= MAX_DEPTH {
                    return Err("Exceeds depth limit for parsing");
                }
                if self.next.is_some() {
                    return Err("Expected separator between values");
                }
                self.stack.push(match byte {
                    b'[' => Open::Array(self.items.len()),
                    _ => Open::Object(self.entries.len(), None),
                });
            }
            b':' => {
                let next = self.next.take().ok_or("Expected string key before ':'")?;
                let Some(Open::Object(_, key @ None)) = self.stack.last_mut() else {
                    return Err("':' not as part of an object");
                };
                let Value::String(name) = next else { return Err("Object keys must be strings") };
                *key = Some(name);
                self.keys += 1;
            }
            b',' => {
                let next = self.next.take().ok_or("Expected value before ','")?;
                match self.stack.last_mut() {
                    None => return Err("',' not as part of an object or array"),
                    Some(Open::Array(_)) => self.items.push(next),
                    Some(Open::Object(_, key)) => {
                        let key = key.take().ok_or("Objects must consist of key:value pairs")?;
                        self.keys -= 1;
                        self.entries.push((Some(key), next));
                    }
                }
            }
            b']' => {
                let Some(Open::Array(start)) = self.stack.last() else { return Err("Unmatched ']'") };
                let start = *start;
                match self.next.take() {
                    Some(value) => self.items.push(value),
                    None if self.items.len() > start => return Err("Expected another array element"),
                    None => {}
                }
                self.stack.pop();
                self.next = Some(Value::array(self.items.drain(start..).collect()));
            }
            _ => {
                let Some(open) = self.stack.last_mut() else { return Err("Unmatched '}'") };
                let start = match (open, self.next.take()) {
                    (Open::Object(start, key), Some(value)) => {
                        let key = key.take().ok_or("Objects must consist of key:value pairs")?;
                        self.keys -= 1;
                        self.entries.push((Some(key), value));
                        *start
                    }
                    (_, Some(_)) => return Err("Objects must consist of key:value pairs"),
                    (Open::Object(start, None), None) if self.entries.len() > *start => {
                        return Err("Expected another key-value pair");
                    }
                    (Open::Object(start, None), None) => *start,
                    _ => return Err("Unmatched '}'"),
                };
                self.stack.pop();
                self.next = Some(Value::object(Map::from_read(self.entries.drain(start..))));
            }
        }
        Ok(())
    }
}

/// Strings seen lately, so that what comes again and again is one string: keys, and short values such as `Running`.
/// Without tables it remembers nothing.
#[derive(Default)]
struct Known {
    keys: Vec<Option<Rc<str>>>,
    values: Vec<Option<Rc<str>>>,
}

impl Known {
    fn new() -> Known {
        Known { keys: vec![None; KNOWN], values: vec![None; KNOWN] }
    }
}

/// Strings remembered of each kind; a power of two.
const KNOWN: usize = 1024;
/// Bytes of a key and of a value that are worth remembering.
const LONGEST_KEY: usize = 64;
const LONGEST_VALUE: usize = 16;

impl Known {
    /// The string of these bytes; `None` when it is too long to be kept or no UTF-8.
    fn get(&mut self, raw: &[u8], key: bool) -> Option<Rc<str>> {
        let (table, longest) = if key { (&mut self.keys, LONGEST_KEY) } else { (&mut self.values, LONGEST_VALUE) };
        if raw.len() > longest {
            return None;
        }
        let slot = table.get_mut(place(raw))?;
        if let Some(known) = slot
            && known.as_bytes() == raw
        {
            return Some(known.clone());
        }
        let text: Rc<str> = std::str::from_utf8(raw).ok()?.into();
        *slot = Some(text.clone());
        Some(text)
    }
}

/// Where a string is remembered, from its length and its first and last bytes. A bad guess costs nothing but the memory.
fn place(raw: &[u8]) -> usize {
    let (first, last) = match (raw.first_chunk::<8>(), raw.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (raw.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    let mixed = (first ^ last.rotate_left(29) ^ raw.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize & (KNOWN - 1)
}

/// The one value of a text, as `fromjson`, `--argjson` and `--jsonargs` read it.
///
/// # Errors
/// jq's text with line and column, without the text itself.
pub fn parse(text: &str) -> Result<Value, String> {
    // Texts of one value are short and many, and the tables would cost more than they save.
    let mut reader = Reader::with(Mode::default(), Known::default());
    let mut values = Texts { reader: &mut reader, text: text.as_bytes(), at: 0 };
    match values.next() {
        None => Err("Expected JSON value".to_owned()),
        Some(Item::Error(message)) => Err(message),
        Some(Item::Value(value)) => match values.next() {
            None => Ok(value),
            Some(Item::Value(_)) => Err("Unexpected extra JSON values".to_owned()),
            Some(Item::Error(message)) => Err(message),
        },
    }
}

/// Every value of a text, as `--slurpfile` and `import` of data read it.
///
/// # Errors
/// jq's text with line and column.
pub fn parse_all(text: &[u8]) -> Result<Vec<Value>, String> {
    let mut reader = Reader::new(Mode::default());
    Texts { reader: &mut reader, text, at: 0 }
        .map(|item| match item {
            Item::Value(value) => Ok(value),
            Item::Error(message) => Err(message),
        })
        .collect()
}

/// Walks over a text that is there as a whole.
struct Texts<'a> {
    reader: &'a mut Reader,
    text: &'a [u8],
    at: usize,
}

impl Iterator for Texts<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if let Some(item) = self.reader.next(self.text, &mut self.at) {
            return Some(item);
        }
        self.reader.piece_done(self.text);
        self.text = &[];
        self.at = 0;
        self.reader.finish()
    }
}

#[cfg(test)]
mod tests;
