//! The parser: one complete command at a time, so that a script on stdin shares it with the commands it runs.
//!
//! Recursive descent over the bytes; a nesting limit keeps hostile scripts from using up the stack.

mod commands;
mod words;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::ast::{
    Action, Bytes, Command, Item, Join, Kind, List, Operation, Parameter, Part, Pipeline, Redirect, Word,
};

/// How deep commands and words may nest. Each level is a few stack frames of a few hundred bytes.
const DEEPEST: u32 = 500;

/// Where lines come from. An empty line without its newline is the end.
pub(crate) trait Source {
    /// The next line with its newline. `continued`: inside an unfinished command. `None` at the end.
    ///
    /// # Errors
    /// [`Stop::Interrupted`] when Ctrl-C ended the input of this command.
    fn line(&mut self, continued: bool) -> Result<Option<Bytes>, Stop>;
}

/// Text that is there as a whole.
pub(crate) struct Text {
    text: Bytes,
    at: usize,
}

impl Text {
    pub(crate) fn new(text: impl Into<Bytes>) -> Text {
        Text { text: text.into(), at: 0 }
    }
}

impl Source for Text {
    fn line(&mut self, _continued: bool) -> Result<Option<Bytes>, Stop> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let line = rest.get(..length).unwrap_or_default().to_vec();
        self.at += length;
        Ok(Some(line))
    }
}

/// Why there is no command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The script is wrong here.
    Syntax { line: u32, message: String },
    /// Ctrl-C at the prompt.
    Interrupted,
}

/// Aliases by name.
pub(crate) type Aliases = HashMap<Bytes, Bytes>;

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Op {
    And,
    Or,
    Semi,
    DoubleSemi,
    Amp,
    Pipe,
    Open,
    Close,
    Newline,
    End,
}

impl Op {
    fn text(self) -> &'static str {
        match self {
            Op::And => "\"&&\"",
            Op::Or => "\"||\"",
            Op::Semi => "\";\"",
            Op::DoubleSemi => "\";;\"",
            Op::Amp => "\"&\"",
            Op::Pipe => "\"|\"",
            Op::Open => "\"(\"",
            Op::Close => "\")\"",
            Op::Newline => "newline",
            Op::End => "end of file",
        }
    }
}

enum Token {
    Op(Op),
    Word(Word),
    Redirect(Redirect),
}

/// A here-document whose lines come after the current one.
struct Pending {
    delimiter: Bytes,
    strip_tabs: bool,
    quoted: bool,
    body: Rc<RefCell<Word>>,
}

/// How the bytes of a word end and what quotes mean there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// A plain word.
    Bare,
    /// Inside double quotes.
    Quoted,
    /// A here-document.
    Here,
    /// An expression of `$((...))`.
    Arithmetic,
    /// The word of `${name-word}` outside quotes.
    Brace,
    /// The same inside double quotes, in a here-document or an expression.
    BraceQuoted,
}

impl Mode {
    fn quoted(self) -> bool {
        !matches!(self, Mode::Bare | Mode::Brace)
    }
}

pub(crate) struct Parser<'s> {
    source: &'s mut dyn Source,
    buffer: Bytes,
    at: usize,
    /// The source has no more.
    ended: bool,
    /// Line of the byte at `at`, from 1.
    line: u32,
    token: Option<Token>,
    /// Where the token in hand began.
    token_at: usize,
    token_line: u32,
    pending: Vec<Pending>,
    depth: u32,
    /// Inside an unfinished command.
    continued: bool,
    aliases: Rc<RefCell<Aliases>>,
    /// Aliases in use, with how many bytes of the buffer are left when their text ends.
    expanding: Vec<(Bytes, usize)>,
    /// An alias ended with a blank: the word that begins with so many bytes left may be an alias too (2.3.1).
    trailing: Option<usize>,
    /// Bytes of the buffer that aliases put there; bounds their growth.
    inserted: usize,
}

type Parsed<T> = Result<T, Stop>;

impl<'s> Parser<'s> {
    pub(crate) fn new(source: &'s mut dyn Source, aliases: Rc<RefCell<Aliases>>) -> Parser<'s> {
        Parser::at_line(source, aliases, 1, 0)
    }

    fn at_line(source: &'s mut dyn Source, aliases: Rc<RefCell<Aliases>>, line: u32, depth: u32) -> Parser<'s> {
        Parser {
            source,
            buffer: Bytes::new(),
            at: 0,
            ended: false,
            line,
            token: None,
            token_at: 0,
            token_line: line,
            pending: Vec::new(),
            depth,
            continued: false,
            aliases,
            expanding: Vec::new(),
            trailing: None,
            inserted: 0,
        }
    }

    /// The commands of the next line that is not empty, with all lines they need. `None` at the end.
    pub(crate) fn next(&mut self) -> Parsed<Option<List>> {
        loop {
            self.continued = false;
            self.buffer.drain(..self.at.min(self.buffer.len()));
            self.at = 0;
            self.inserted = 0;
            self.expanding.clear();
            self.trailing = None;
            match self.peek(true)? {
                Token::Op(Op::End) => return Ok(None),
                Token::Op(Op::Newline) => {
                    self.token = None;
                    self.here_documents()?;
                }
                _ => break,
            }
        }
        self.continued = true;
        let list = self.list(true)?;
        match self.peek(true)? {
            Token::Op(Op::Newline) => {
                self.token = None;
                self.here_documents()?;
            }
            Token::Op(Op::End) => self.here_documents()?,
            _ => return Err(self.unexpected()),
        }
        Ok(Some(list))
    }

    /// Whether nothing but blanks is left, without taking anything.
    pub(crate) fn is_at_end(&mut self) -> Parsed<bool> {
        let mut ahead = 0;
        while let Some(byte) = self.byte(ahead)? {
            if !byte.is_ascii_whitespace() {
                return Ok(false);
            }
            ahead += 1;
        }
        Ok(true)
    }

    // ---- bytes

    fn fill(&mut self) -> Parsed<bool> {
        if self.ended {
            return Ok(false);
        }
        match self.source.line(self.continued)? {
            Some(line) => {
                self.buffer.extend_from_slice(&line);
                Ok(true)
            }
            None => {
                self.ended = true;
                Ok(false)
            }
        }
    }

    /// The byte `ahead` of the current one.
    fn byte(&mut self, ahead: usize) -> Parsed<Option<u8>> {
        loop {
            if let Some(byte) = self.buffer.get(self.at + ahead) {
                return Ok(Some(*byte));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Like [`Parser::byte`], but never asks for another line.
    fn near(&self, ahead: usize) -> Option<u8> {
        self.buffer.get(self.at + ahead).copied()
    }

    fn skip(&mut self, count: usize) {
        let passed = self.buffer.get(self.at..self.at + count).unwrap_or_default();
        let newlines = passed.iter().filter(|byte| **byte == b'\n').count();
        self.line += u32::try_from(newlines).unwrap_or(0);
        self.at += count;
    }

    fn syntax<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(Stop::Syntax { line: self.line, message: format!("Syntax error: {}", message.into()) })
    }

    fn unexpected(&mut self) -> Stop {
        self.expected("")
    }

    /// The error for the token in hand, as dash words it.
    fn expected(&mut self, wanted: &str) -> Stop {
        let found = match self.peek(true) {
            Err(stop) => return stop,
            Ok(Token::Op(op)) => op.text().to_owned(),
            Ok(Token::Word(word)) => match plain(word) {
                Some(text) if reserved(text) => format!("\"{}\"", String::from_utf8_lossy(text)),
                _ => "word".to_owned(),
            },
            Ok(Token::Redirect(_)) => "redirection".to_owned(),
        };
        let found = if found == "word" { "word unexpected".to_owned() } else { format!("{found} unexpected") };
        let line = if matches!(self.token, Some(Token::Op(Op::Newline))) { self.token_line } else { self.line };
        let message = if wanted.is_empty() {
            format!("Syntax error: {found}")
        } else {
            format!("Syntax error: {found} (expecting {wanted})")
        };
        Stop::Syntax { line, message }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEEPEST {
            return self.syntax("nested too deeply");
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    // ---- tokens

    /// The next token, which stays. `command`: where a command may begin, so aliases are replaced.
    fn peek(&mut self, command: bool) -> Parsed<&Token> {
        if self.token.is_none() {
            let token = self.read_token(command)?;
            self.token = Some(token);
        }
        self.token.as_ref().map_or_else(|| Err(Stop::Interrupted), Ok)
    }

    fn take(&mut self, command: bool) -> Parsed<Token> {
        self.peek(command)?;
        self.token.take().map_or_else(|| Err(Stop::Interrupted), Ok)
    }

    fn read_token(&mut self, mut command: bool) -> Parsed<Token> {
        loop {
            self.blanks()?;
            if self.trailing.is_some_and(|left| self.buffer.len() - self.at <= left) {
                self.trailing = None;
                command = true;
            }
            self.token_at = self.at;
            self.token_line = self.line;
            let Some(byte) = self.byte(0)? else { return Ok(Token::Op(Op::End)) };
            let (op, length) = match byte {
                b'\n' => (Op::Newline, 1),
                b';' if self.near(1) == Some(b';') => (Op::DoubleSemi, 2),
                b';' => (Op::Semi, 1),
                b'&' if self.near(1) == Some(b'&') => (Op::And, 2),
                b'&' if self.near(1) == Some(b'>') => return self.redirect(None).map(Token::Redirect),
                b'&' => (Op::Amp, 1),
                b'|' if self.near(1) == Some(b'|') => (Op::Or, 2),
                b'|' => (Op::Pipe, 1),
                b'(' => (Op::Open, 1),
                b')' => (Op::Close, 1),
                b'<' | b'>' => return self.redirect(None).map(Token::Redirect),
                b'0'..=b'9' if self.is_io_number() => {
                    let digits = self.digits();
                    let number = String::from_utf8_lossy(&digits).parse::<i32>();
                    return match number {
                        Ok(fd) if fd < 256 => self.redirect(Some(fd)).map(Token::Redirect),
                        _ => self.syntax("Bad fd number"),
                    };
                }
                _ => {
                    let word = self.word(Mode::Bare)?;
                    if command && self.replace_alias(&word)? {
                        continue;
                    }
                    return Ok(Token::Word(word));
                }
            };
            self.skip(length);
            return Ok(Token::Op(op));
        }
    }

    /// Skips blanks, line continuations and comments.
    fn blanks(&mut self) -> Parsed<()> {
        loop {
            match self.byte(0)? {
                Some(b' ' | b'\t') => self.skip(1),
                Some(b'\\') if self.byte(1)? == Some(b'\n') => self.skip(2),
                Some(b'#') => {
                    while self.near(0).is_some_and(|byte| byte != b'\n') {
                        self.skip(1);
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn is_io_number(&self) -> bool {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        matches!(rest.get(digits), Some(b'<' | b'>'))
    }

    fn digits(&mut self) -> Bytes {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let digits: Bytes = rest.iter().copied().take_while(u8::is_ascii_digit).collect();
        self.at += digits.len();
        digits
    }

    /// Puts the text of an alias in the place of its name. Not for a name in its own text.
    fn replace_alias(&mut self, word: &Word) -> Parsed<bool> {
        let left = self.buffer.len() - self.at;
        self.expanding.retain(|(_, until)| left >= *until && *until != usize::MAX);
        // An alias is over once fewer bytes are left than stood behind its name.
        self.expanding.retain(|(_, until)| left > *until);
        let Some(name) = plain(word) else { return Ok(false) };
        if self.expanding.iter().any(|(used, _)| used == name) {
            return Ok(false);
        }
        let Some(text) = self.aliases.borrow().get(name).cloned() else { return Ok(false) };
        self.inserted += text.len();
        if self.inserted > 1 << 16 {
            return self.syntax("aliases too long");
        }
        if matches!(text.last(), Some(b' ' | b'\t')) {
            self.trailing = Some(left);
        }
        self.expanding.push((name.to_vec(), left));
        self.buffer.splice(self.token_at..self.at, text);
        self.at = self.token_at;
        Ok(true)
    }

    // ---- redirections

    fn redirect(&mut self, number: Option<i32>) -> Parsed<Redirect> {
        let rest: [Option<u8>; 3] = [self.near(0), self.near(1), self.near(2)];
        let (length, default) = match rest {
            [Some(b'&'), Some(b'>'), Some(b'>')] => (3, 1),
            [Some(b'&'), Some(b'>'), _] => (2, 1),
            [Some(b'<'), Some(b'<'), Some(b'-' | b'<')] => (3, 0),
            [Some(b'<'), Some(b'<' | b'&' | b'>'), _] => (2, 0),
            [Some(b'>'), Some(b'>' | b'&' | b'|'), _] => (2, 1),
            [Some(b'<'), ..] => (1, 0),
            _ => (1, 1),
        };
        self.skip(length);
        let fd = number.unwrap_or(default);
        self.blanks()?;
        match self.byte(0)? {
            None => return Err(self.missing_word(Op::End)),
            Some(b'\n') => return Err(self.missing_word(Op::Newline)),
            Some(b';') => return Err(self.missing_word(Op::Semi)),
            Some(b'&') => return Err(self.missing_word(Op::Amp)),
            Some(b'|') => return Err(self.missing_word(Op::Pipe)),
            Some(b'(') => return Err(self.missing_word(Op::Open)),
            Some(b')') => return Err(self.missing_word(Op::Close)),
            Some(b'<' | b'>') => return self.syntax("redirection unexpected"),
            Some(_) => {}
        }
        let start = self.at;
        let word = self.word(Mode::Bare)?;
        let action = match (rest, length) {
            ([Some(b'&'), ..], length) => Action::Both { word, append: length == 3 },
            ([Some(b'<'), Some(b'<'), Some(b'<')], 3) => {
                let mut word = word;
                word.push(Part::Text { text: b"\n".to_vec(), quoted: true });
                Action::Here(Rc::new(RefCell::new(word)))
            }
            ([Some(b'<'), Some(b'<'), _], length) => {
                let quoted = self.buffer.get(start..self.at).unwrap_or_default().iter().any(|b| b"'\"\\".contains(b));
                let body = Rc::new(RefCell::new(Word::new()));
                let delimiter = raw_text(&word, self.buffer.get(start..self.at).unwrap_or_default());
                self.pending.push(Pending { delimiter, strip_tabs: length == 3, quoted, body: Rc::clone(&body) });
                Action::Here(body)
            }
            ([_, Some(b'&'), _], 2) => Action::Duplicate(word),
            ([Some(b'<'), Some(b'>'), _], 2) => Action::ReadWrite(word),
            ([Some(b'<'), ..], _) => Action::Read(word),
            ([_, Some(b'>'), _], 2) => Action::Append(word),
            (_, length) => Action::Write { word, clobber: length == 2 },
        };
        Ok(Redirect { fd, action })
    }

    fn missing_word(&self, op: Op) -> Stop {
        Stop::Syntax { line: self.line, message: format!("Syntax error: {} unexpected", op.text()) }
    }

    /// Reads the lines of here-documents that the line before announced.
    fn here_documents(&mut self) -> Parsed<()> {
        for document in std::mem::take(&mut self.pending) {
            let first = self.line;
            let mut text = Bytes::new();
            loop {
                if self.near(0).is_none() && !self.fill()? {
                    break;
                }
                let rest = self.buffer.get(self.at..).unwrap_or_default();
                let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
                let mut line = rest.get(..length).unwrap_or_default();
                if document.strip_tabs {
                    let tabs = line.iter().take_while(|byte| **byte == b'\t').count();
                    line = line.get(tabs..).unwrap_or_default();
                }
                let ends = line.strip_suffix(b"\n").unwrap_or(line) == document.delimiter.as_slice();
                if !ends {
                    text.extend_from_slice(line);
                    // A backslash at the end joins lines, so the next one cannot be the delimiter.
                    while !document.quoted && text.ends_with(b"\\\n") && odd_backslashes(&text) {
                        self.skip(length_of_line(self.buffer.get(self.at..).unwrap_or_default()));
                        if self.near(0).is_none() && !self.fill()? {
                            break;
                        }
                        let rest = self.buffer.get(self.at..).unwrap_or_default();
                        let line = rest.get(..length_of_line(rest)).unwrap_or_default();
                        text.truncate(text.len().saturating_sub(2));
                        text.extend_from_slice(line);
                    }
                }
                self.skip(length_of_line(self.buffer.get(self.at..).unwrap_or_default()));
                if ends {
                    break;
                }
            }
            let word = if document.quoted {
                vec![Part::Text { text, quoted: true }]
            } else {
                let mut source = Text::new(text);
                let mut inner = Parser::at_line(&mut source, Rc::clone(&self.aliases), first, self.depth);
                inner.continued = true;
                inner.word(Mode::Here)?
            };
            *document.body.borrow_mut() = word;
        }
        Ok(())
    }
}

/// Function names may hold what file names hold (`kubectl-x`), as in dash and ash.
fn is_function_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_graphic() && !b"=/$`'\"\\".contains(byte))
        && !reserved(name)
}

/// Splits `name=value`; gives the word back where it is none.
fn split_assignment(word: Word, allowed: bool) -> Result<(Bytes, Word), Word> {
    let Some(Part::Text { text, quoted: false }) = word.first() else { return Err(word) };
    let Some(at) = text.iter().position(|byte| *byte == b'=').filter(|at| allowed && *at > 0) else { return Err(word) };
    let name = text.get(..at).unwrap_or_default().to_vec();
    if !is_name(&name) {
        return Err(word);
    }
    let rest = text.get(at + 1..).unwrap_or_default().to_vec();
    let mut parts = word.into_iter();
    parts.next();
    let mut value = Word::new();
    if !rest.is_empty() {
        value.push(Part::Text { text: rest, quoted: false });
    }
    value.extend(parts);
    Ok((name, value))
}

/// The text of a word that is one unquoted text.
pub(crate) fn plain(word: &Word) -> Option<&[u8]> {
    match word.as_slice() {
        [Part::Text { text, quoted: false }] => Some(text),
        _ => None,
    }
}

/// A here-document's delimiter: its text with quotes removed; expansions are not done there.
fn raw_text(word: &Word, source: &[u8]) -> Bytes {
    let mut out = Bytes::new();
    for part in word {
        match part {
            Part::Text { text, .. } => out.extend_from_slice(text),
            // `<<$x` is ended by a line `$x`.
            _ => return source.iter().copied().filter(|byte| !b"'\"\\".contains(byte)).collect(),
        }
    }
    out
}

fn length_of_line(rest: &[u8]) -> usize {
    rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1)
}

/// Whether an odd number of backslashes stands before the newline at the end.
fn odd_backslashes(text: &[u8]) -> bool {
    text.iter().rev().skip(1).take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// POSIX.1-2024, XBD 3.216, Name.
pub(crate) fn is_name(name: &[u8]) -> bool {
    let starts = name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    starts && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

const RESERVED: &[&[u8]] = &[
    b"!", b"{", b"}", b"case", b"do", b"done", b"elif", b"else", b"esac", b"fi", b"for", b"if", b"in", b"then",
    b"until", b"while",
];

pub(crate) fn reserved(word: &[u8]) -> bool {
    RESERVED.contains(&word)
}

fn ends_a_list(word: &[u8]) -> bool {
    matches!(word, b"}" | b"do" | b"done" | b"elif" | b"else" | b"esac" | b"fi" | b"then")
}

fn push(parts: &mut Word, byte: u8, as_quoted: bool) {
    if let Some(Part::Text { text, quoted }) = parts.last_mut()
        && *quoted == as_quoted
    {
        text.push(byte);
        return;
    }
    parts.push(Part::Text { text: vec![byte], quoted: as_quoted });
}

fn push_quoted(parts: &mut Word, bytes: Bytes) {
    if let Some(Part::Text { text, quoted: true }) = parts.last_mut() {
        text.extend_from_slice(&bytes);
        return;
    }
    parts.push(Part::Text { text: bytes, quoted: true });
}
