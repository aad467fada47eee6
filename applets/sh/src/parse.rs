//! The parser: one complete command at a time, so that a script on stdin shares it with the commands it runs.
//!
//! Recursive descent over the bytes; a nesting limit keeps hostile scripts from using up the stack.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::ast::{Action, Bytes, Command, Item, Join, Kind, List, Operation, Parameter, Part, Pipeline, Redirect, Word};

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
    /// The same inside double quotes.
    BraceQuoted,
    /// The same in a here-document or expression, where `"` is a plain character.
    BraceHere,
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

    fn read_token(&mut self, command: bool) -> Parsed<Token> {
        loop {
            self.blanks()?;
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

    // ---- words

    fn word(&mut self, mode: Mode) -> Parsed<Word> {
        self.deeper(|parser| parser.word_parts(mode))
    }

    fn word_parts(&mut self, mode: Mode) -> Parsed<Word> {
        let mut parts = Word::new();
        // Open parentheses of an expression.
        let mut open = 0u32;
        loop {
            let Some(byte) = self.byte(0)? else {
                return match mode {
                    Mode::Bare | Mode::Here => Ok(parts),
                    Mode::Quoted => self.syntax("Unterminated quoted string"),
                    Mode::Arithmetic => self.syntax("Missing '))'"),
                    Mode::Brace | Mode::BraceQuoted | Mode::BraceHere => self.syntax("Missing '}'"),
                };
            };
            match (mode, byte) {
                (Mode::Bare, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')') => return Ok(parts),
                (Mode::Quoted, b'"') => {
                    self.skip(1);
                    return Ok(parts);
                }
                (Mode::Brace | Mode::BraceQuoted | Mode::BraceHere, b'}') => {
                    self.skip(1);
                    return Ok(parts);
                }
                (Mode::Arithmetic, b')') if open == 0 => {
                    if self.byte(1)? == Some(b')') {
                        self.skip(2);
                        return Ok(parts);
                    }
                    return self.syntax("Missing '))'");
                }
                (Mode::Arithmetic, b'(' | b')') => {
                    open = if byte == b'(' { open + 1 } else { open - 1 };
                    push(&mut parts, byte, true);
                    self.skip(1);
                }
                (_, b'\\') => self.backslash(mode, &mut parts)?,
                (Mode::Bare | Mode::Brace, b'\'') => self.single_quotes(&mut parts)?,
                (Mode::Bare | Mode::Brace | Mode::BraceQuoted | Mode::Arithmetic, b'"') => {
                    self.skip(1);
                    let inner = if mode == Mode::BraceQuoted || mode == Mode::Arithmetic {
                        // Quotes within quotes: they end and begin again, so the text is quoted either way.
                        self.word(Mode::Quoted)?
                    } else {
                        let inner = self.word(Mode::Quoted)?;
                        if inner.is_empty() { vec![Part::Text { text: Bytes::new(), quoted: true }] } else { inner }
                    };
                    parts.extend(inner);
                }
                (_, b'$') => self.dollar(mode, &mut parts)?,
                (_, b'`') => {
                    let program = self.backquotes(mode)?;
                    parts.push(Part::Command { program, quoted: mode.quoted() });
                }
                _ => {
                    push(&mut parts, byte, mode.quoted());
                    self.skip(1);
                }
            }
        }
    }

    fn backslash(&mut self, mode: Mode, parts: &mut Word) -> Parsed<()> {
        let next = self.byte(1)?;
        match next {
            None => {
                push(parts, b'\\', true);
                self.skip(1);
            }
            Some(b'\n') => self.skip(2),
            Some(byte) => {
                let special = match mode {
                    Mode::Bare | Mode::Brace => true,
                    Mode::Quoted => b"$`\"\\".contains(&byte),
                    Mode::BraceQuoted => b"$`\"\\}".contains(&byte),
                    Mode::Here | Mode::Arithmetic => b"$`\\".contains(&byte),
                    Mode::BraceHere => b"$`\\}".contains(&byte),
                };
                if !special {
                    push(parts, b'\\', true);
                }
                push(parts, byte, true);
                self.skip(2);
            }
        }
        Ok(())
    }

    fn single_quotes(&mut self, parts: &mut Word) -> Parsed<()> {
        self.skip(1);
        let mut text = Bytes::new();
        loop {
            match self.byte(0)? {
                None => return self.syntax("Unterminated quoted string"),
                Some(b'\'') => {
                    self.skip(1);
                    break;
                }
                Some(byte) => {
                    text.push(byte);
                    self.skip(1);
                }
            }
        }
        push_quoted(parts, text);
        Ok(())
    }

    fn dollar(&mut self, mode: Mode, parts: &mut Word) -> Parsed<()> {
        let quoted = mode.quoted();
        let plain = |name: Bytes| Part::Parameter(Box::new(Parameter { name, operation: Operation::Plain, quoted }));
        match self.byte(1)? {
            Some(b'{') => {
                self.skip(2);
                let parameter = self.braces(mode)?;
                parts.push(Part::Parameter(Box::new(parameter)));
            }
            Some(b'(') => {
                if self.byte(2)? == Some(b'(') {
                    let (at, line) = (self.at, self.line);
                    self.skip(3);
                    match self.word(Mode::Arithmetic) {
                        Ok(word) => {
                            parts.push(Part::Arithmetic { word, quoted });
                            return Ok(());
                        }
                        Err(Stop::Interrupted) => return Err(Stop::Interrupted),
                        // `$((` may also begin a subshell inside a command substitution.
                        Err(wrong) => {
                            (self.at, self.line) = (at, line);
                            self.skip(2);
                            let program = self.substitution().map_err(|_| wrong)?;
                            parts.push(Part::Command { program, quoted });
                            return Ok(());
                        }
                    }
                }
                self.skip(2);
                let program = self.substitution()?;
                parts.push(Part::Command { program, quoted });
            }
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                self.skip(1);
                let name = self.name();
                parts.push(plain(name));
            }
            Some(byte) if byte.is_ascii_digit() || b"@*#?-$!".contains(&byte) => {
                self.skip(2);
                parts.push(plain(vec![byte]));
            }
            Some(b'\'') if mode == Mode::Bare || mode == Mode::Brace => {
                self.skip(2);
                self.ansi_c(parts)?;
            }
            _ => {
                push(parts, b'$', quoted);
                self.skip(1);
            }
        }
        Ok(())
    }

    fn name(&mut self) -> Bytes {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let name: Bytes = rest.iter().copied().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').collect();
        self.at += name.len();
        name
    }

    /// The commands up to the `)` of `$(...)`.
    fn substitution(&mut self) -> Parsed<Rc<List>> {
        let outer = (self.token.take(), self.token_at, self.token_line, std::mem::take(&mut self.pending));
        let list = self.deeper(|parser| {
            let list = parser.list(false)?;
            match parser.take(true)? {
                Token::Op(Op::Close) => Ok(list),
                other => {
                    parser.token = Some(other);
                    Err(parser.expected("\")\""))
                }
            }
        })?;
        let inner = std::mem::replace(&mut self.pending, outer.3);
        (self.token, self.token_at, self.token_line) = (outer.0, outer.1, outer.2);
        // A here-document that began inside and has its lines outside.
        self.pending.extend(inner);
        Ok(Rc::new(list))
    }

    fn backquotes(&mut self, mode: Mode) -> Parsed<Rc<List>> {
        self.skip(1);
        let line = self.line;
        let mut text = Bytes::new();
        loop {
            match self.byte(0)? {
                None => return self.syntax("EOF in backquote substitution"),
                Some(b'`') => {
                    self.skip(1);
                    break;
                }
                Some(b'\\') => match self.byte(1)? {
                    Some(b'\n') => self.skip(2),
                    Some(byte) => {
                        let special = b"$`\\".contains(&byte) || byte == b'"' && mode == Mode::Quoted;
                        if !special {
                            text.push(b'\\');
                        }
                        text.push(byte);
                        self.skip(2);
                    }
                    None => return self.syntax("EOF in backquote substitution"),
                },
                Some(byte) => {
                    text.push(byte);
                    self.skip(1);
                }
            }
        }
        let mut source = Text::new(text);
        let depth = self.depth;
        let aliases = Rc::clone(&self.aliases);
        let mut inner = Parser::at_line(&mut source, aliases, line, depth);
        inner.deeper(|parser| {
            let mut all = List::default();
            while let Some(list) = parser.next()? {
                all.items.extend(list.items);
            }
            Ok(Rc::new(all))
        })
    }

    /// The rest of `${`.
    fn braces(&mut self, mode: Mode) -> Parsed<Parameter> {
        let quoted = mode.quoted();
        let inner = match mode {
            Mode::Bare | Mode::Brace => Mode::Brace,
            Mode::Quoted | Mode::BraceQuoted => Mode::BraceQuoted,
            Mode::Here | Mode::Arithmetic | Mode::BraceHere => Mode::BraceHere,
        };
        let make = |name, operation| Ok(Parameter { name, operation, quoted });
        // `${#name}`, but `${#}` and `${#-word}` are about `$#`.
        if self.byte(0)? == Some(b'#') {
            let next = self.byte(1)?;
            let second = self.byte(2)?;
            let is_length = match next {
                Some(b'}') | None => false,
                Some(byte) if byte.is_ascii_alphanumeric() || byte == b'_' => true,
                Some(byte) => b"@*#?-$!".contains(&byte) && second == Some(b'}'),
            };
            if is_length {
                self.skip(1);
                let name = self.parameter_name()?;
                if self.byte(0)? == Some(b'}') {
                    self.skip(1);
                    return make(name, Operation::Length);
                }
                self.word(inner)?;
                return make(name, Operation::Bad);
            }
        }
        let name = self.parameter_name()?;
        if name.is_empty() {
            self.word(inner)?;
            return make(name, Operation::Bad);
        }
        let colon = self.byte(0)? == Some(b':') && matches!(self.byte(1)?, Some(b'-' | b'=' | b'?' | b'+'));
        if colon {
            self.skip(1);
        }
        let operator = self.byte(0)?;
        let double = self.byte(1)? == operator;
        // Inside a pattern quotes quote even where the expansion stands in quotes.
        let operation = match operator {
            Some(b'}') => {
                self.skip(1);
                Operation::Plain
            }
            Some(byte @ (b'-' | b'=' | b'?' | b'+')) => {
                self.skip(1);
                let word = self.word(inner)?;
                match byte {
                    b'-' => Operation::Default { colon, word },
                    b'=' => Operation::Assign { colon, word },
                    b'?' => Operation::Error { colon, word },
                    _ => Operation::Alternate { colon, word },
                }
            }
            Some(byte @ (b'%' | b'#')) => {
                self.skip(if double { 2 } else { 1 });
                let pattern = self.word(Mode::Brace)?;
                Operation::Remove { end: byte == b'%', longest: double, pattern }
            }
            Some(b'/') => {
                self.skip(if double { 2 } else { 1 });
                let (pattern, more) = self.until(b'/')?;
                let text = if more { self.word(Mode::Brace)? } else { Word::new() };
                Operation::Replace { all: double, pattern, text }
            }
            Some(b':') => {
                self.skip(1);
                let (offset, more) = self.until(b':')?;
                let length = if more { Some(self.word(Mode::Brace)?) } else { None };
                Operation::Slice { offset, length }
            }
            _ => {
                self.word(inner)?;
                Operation::Bad
            }
        };
        make(name, operation)
    }

    fn parameter_name(&mut self) -> Parsed<Bytes> {
        Ok(match self.byte(0)? {
            Some(byte) if byte.is_ascii_digit() => self.digits(),
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => self.name(),
            Some(byte) if b"@*#?-$!".contains(&byte) => {
                self.skip(1);
                vec![byte]
            }
            _ => Bytes::new(),
        })
    }

    /// A word inside braces up to `end` or the closing brace; whether it was `end`.
    fn until(&mut self, end: u8) -> Parsed<(Word, bool)> {
        let mut parts = Word::new();
        loop {
            match self.byte(0)? {
                None => return self.syntax("Missing '}'"),
                Some(b'}') => {
                    self.skip(1);
                    return Ok((parts, false));
                }
                Some(byte) if byte == end => {
                    self.skip(1);
                    return Ok((parts, true));
                }
                Some(b'\\') => self.backslash(Mode::Brace, &mut parts)?,
                Some(b'\'') => self.single_quotes(&mut parts)?,
                Some(b'"') => {
                    self.skip(1);
                    let inner = self.word(Mode::Quoted)?;
                    parts.extend(inner);
                }
                Some(b'$') => self.dollar(Mode::Brace, &mut parts)?,
                Some(b'`') => {
                    let program = self.backquotes(Mode::Brace)?;
                    parts.push(Part::Command { program, quoted: false });
                }
                Some(byte) => {
                    push(&mut parts, byte, false);
                    self.skip(1);
                }
            }
        }
    }

    /// The rest of `$'...'` (POSIX.1-2024, 2.2.4).
    fn ansi_c(&mut self, parts: &mut Word) -> Parsed<()> {
        let mut text = Bytes::new();
        loop {
            match self.byte(0)? {
                None => return self.syntax("Unterminated quoted string"),
                Some(b'\'') => {
                    self.skip(1);
                    break;
                }
                Some(b'\\') => {
                    self.skip(1);
                    self.byte(0)?;
                    let rest = self.buffer.get(self.at..).unwrap_or_default();
                    let (bytes, used) = crate::printf::escape(rest, crate::printf::Escapes::Dollar);
                    text.extend_from_slice(&bytes);
                    self.skip(used);
                }
                Some(byte) => {
                    text.push(byte);
                    self.skip(1);
                }
            }
        }
        push_quoted(parts, text);
        Ok(())
    }

    // ---- commands

    /// Commands up to something that cannot begin one. `line_only`: a newline ends it too.
    fn list(&mut self, line_only: bool) -> Parsed<List> {
        let mut list = List::default();
        if !line_only {
            self.newlines()?;
        }
        loop {
            match self.peek(true)? {
                Token::Op(Op::Newline) if !line_only => {
                    self.newlines()?;
                    continue;
                }
                Token::Op(Op::Open) | Token::Redirect(_) => {}
                Token::Op(_) => return Ok(list),
                Token::Word(word) if plain(word).is_some_and(ends_a_list) => return Ok(list),
                Token::Word(_) => {}
            }
            let mut item = self.and_or()?;
            match self.peek(true)? {
                Token::Op(Op::Semi) => self.token = None,
                Token::Op(Op::Amp) => {
                    self.token = None;
                    item.background = true;
                }
                Token::Op(Op::Newline) if !line_only => self.newlines()?,
                _ => {
                    list.items.push(item);
                    return Ok(list);
                }
            }
            list.items.push(item);
        }
    }

    /// A list that must hold a command.
    fn some_list(&mut self) -> Parsed<List> {
        let list = self.deeper(|parser| parser.list(false))?;
        if list.items.is_empty() { Err(self.unexpected()) } else { Ok(list) }
    }

    fn newlines(&mut self) -> Parsed<()> {
        while matches!(self.peek(true)?, Token::Op(Op::Newline)) {
            self.token = None;
            self.here_documents()?;
        }
        Ok(())
    }

    fn and_or(&mut self) -> Parsed<Item> {
        self.peek(true)?;
        let start = self.token_at;
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let join = match self.peek(true)? {
                Token::Op(Op::And) => Join::And,
                Token::Op(Op::Or) => Join::Or,
                _ => break,
            };
            self.token = None;
            self.newlines()?;
            rest.push((join, self.pipeline()?));
        }
        let text = self.text_since(start);
        Ok(Item { first, rest, background: false, text })
    }

    /// The script's text from `start` to the token in hand.
    fn text_since(&self, start: usize) -> Rc<str> {
        let bytes = self.buffer.get(start..self.token_at.max(start)).unwrap_or_default();
        String::from_utf8_lossy(bytes).trim_end().into()
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        self.peek(true)?;
        let start = self.token_at;
        let mut negated = false;
        while matches!(self.peek(true)?, Token::Word(word) if plain(word) == Some(b"!")) {
            self.token = None;
            negated = !negated;
        }
        let mut commands = vec![Rc::new(self.command()?)];
        while matches!(self.peek(false)?, Token::Op(Op::Pipe)) {
            self.token = None;
            self.newlines()?;
            commands.push(Rc::new(self.command()?));
        }
        let text = self.text_since(start);
        Ok(Pipeline { negated, commands, text })
    }

    fn command(&mut self) -> Parsed<Command> {
        self.deeper(|parser| {
            parser.peek(true)?;
            let line = parser.token_line;
            let kind = match parser.peek(true)? {
                Token::Op(Op::Open) => {
                    parser.token = None;
                    let list = parser.some_list()?;
                    parser.close(Op::Close)?;
                    Kind::Subshell(list)
                }
                Token::Op(_) => return Err(parser.unexpected()),
                Token::Redirect(_) => return parser.simple(line),
                Token::Word(word) => match plain(word) {
                    Some(b"{") => {
                        parser.token = None;
                        let list = parser.some_list()?;
                        parser.keyword(b"}")?;
                        Kind::Group(list)
                    }
                    Some(b"if") => parser.conditional()?,
                    Some(b"while") => parser.repeat(false)?,
                    Some(b"until") => parser.repeat(true)?,
                    Some(b"for") => parser.for_loop()?,
                    Some(b"case") => parser.case()?,
                    Some(b"[[") => parser.double_brackets()?,
                    Some(b"function") => {
                        // As bash and ash have it; a plain command name in dash.
                        parser.token = None;
                        let Token::Word(word) = parser.take(false)? else { return Err(parser.unexpected()) };
                        let Some(name) = plain(&word).map(<[u8]>::to_vec) else { return Err(parser.unexpected()) };
                        if matches!(parser.peek(false)?, Token::Op(Op::Open)) {
                            parser.token = None;
                            parser.close(Op::Close)?;
                        }
                        return parser.function(name, line);
                    }
                    Some(word) if reserved(word) => return Err(parser.unexpected()),
                    _ => return parser.simple(line),
                },
            };
            let mut redirects = Vec::new();
            while matches!(parser.peek(false)?, Token::Redirect(_)) {
                if let Token::Redirect(redirect) = parser.take(false)? {
                    redirects.push(redirect);
                }
            }
            Ok(Command { kind, redirects, line })
        })
    }

    fn close(&mut self, op: Op) -> Parsed<()> {
        match self.peek(true)? {
            Token::Op(found) if *found == op => {
                self.token = None;
                Ok(())
            }
            _ => Err(self.expected(op.text())),
        }
    }

    fn keyword(&mut self, word: &'static [u8]) -> Parsed<()> {
        match self.peek(true)? {
            Token::Word(found) if plain(found) == Some(word) => {
                self.token = None;
                Ok(())
            }
            _ => Err(self.expected(&format!("\"{}\"", String::from_utf8_lossy(word)))),
        }
    }

    fn at_keyword(&mut self, word: &[u8]) -> Parsed<bool> {
        let found = matches!(self.peek(true)?, Token::Word(found) if plain(found) == Some(word));
        if found {
            self.token = None;
        }
        Ok(found)
    }

    fn conditional(&mut self) -> Parsed<Kind> {
        self.token = None;
        let mut branches = Vec::new();
        loop {
            let condition = self.some_list()?;
            self.keyword(b"then")?;
            let body = self.some_list()?;
            branches.push((condition, body));
            if self.at_keyword(b"elif")? {
                continue;
            }
            let otherwise = if self.at_keyword(b"else")? { Some(self.some_list()?) } else { None };
            self.keyword(b"fi")?;
            return Ok(Kind::If { branches, otherwise });
        }
    }

    fn repeat(&mut self, until: bool) -> Parsed<Kind> {
        self.token = None;
        let condition = self.some_list()?;
        let body = self.do_group()?;
        Ok(Kind::Loop { until, condition, body })
    }

    fn do_group(&mut self) -> Parsed<List> {
        self.keyword(b"do")?;
        let body = self.some_list()?;
        self.keyword(b"done")?;
        Ok(body)
    }

    fn for_loop(&mut self) -> Parsed<Kind> {
        self.token = None;
        let name = match self.take(false)? {
            Token::Word(word) => plain(&word).filter(|name| is_name(name)).map(<[u8]>::to_vec),
            other => {
                self.token = Some(other);
                None
            }
        };
        let Some(name) = name else { return self.syntax("Bad for loop variable") };
        self.newlines_without_aliases()?;
        let mut words = None;
        if matches!(self.peek(false)?, Token::Word(word) if plain(word) == Some(b"in")) {
            self.token = None;
            let mut list = Vec::new();
            while matches!(self.peek(false)?, Token::Word(_)) {
                if let Token::Word(word) = self.take(false)? {
                    list.push(word);
                }
            }
            words = Some(list);
            match self.peek(false)? {
                Token::Op(Op::Semi | Op::Newline) => {}
                _ => return Err(self.unexpected()),
            }
        }
        if matches!(self.peek(false)?, Token::Op(Op::Semi)) {
            self.token = None;
        }
        self.newlines()?;
        let body = self.do_group()?;
        Ok(Kind::For { name, words, body })
    }

    fn newlines_without_aliases(&mut self) -> Parsed<()> {
        while matches!(self.peek(false)?, Token::Op(Op::Newline)) {
            self.token = None;
            self.here_documents()?;
        }
        Ok(())
    }

    fn case(&mut self) -> Parsed<Kind> {
        self.token = None;
        let Token::Word(word) = self.take(false)? else { return Err(self.unexpected()) };
        self.newlines_without_aliases()?;
        match self.take(false)? {
            Token::Word(found) if plain(&found) == Some(b"in") => {}
            other => {
                self.token = Some(other);
                return Err(self.expected("\"in\""));
            }
        }
        let mut arms = Vec::new();
        loop {
            self.newlines_without_aliases()?;
            if matches!(self.peek(false)?, Token::Word(word) if plain(word) == Some(b"esac")) {
                self.token = None;
                return Ok(Kind::Case { word, arms });
            }
            if matches!(self.peek(false)?, Token::Op(Op::Open)) {
                self.token = None;
            }
            let mut patterns = Vec::new();
            loop {
                match self.take(false)? {
                    Token::Word(pattern) => patterns.push(pattern),
                    other => {
                        self.token = Some(other);
                        return Err(self.unexpected());
                    }
                }
                match self.peek(false)? {
                    Token::Op(Op::Pipe) => self.token = None,
                    Token::Op(Op::Close) => {
                        self.token = None;
                        break;
                    }
                    _ => return Err(self.expected("\")\"")),
                }
            }
            let body = self.deeper(|parser| parser.list(false))?;
            arms.push((patterns, body));
            match self.peek(true)? {
                Token::Op(Op::DoubleSemi) => self.token = None,
                Token::Word(found) if plain(found) == Some(b"esac") => {}
                _ => return Err(self.expected("\";;\"")),
            }
        }
    }

    fn double_brackets(&mut self) -> Parsed<Kind> {
        self.token = None;
        let mut words = Vec::new();
        loop {
            match self.take(false)? {
                Token::Word(word) if plain(&word) == Some(b"]]") => return Ok(Kind::Test(words)),
                Token::Word(word) => words.push(word),
                Token::Op(op @ (Op::And | Op::Or | Op::Open | Op::Close)) => {
                    let text: &[u8] = match op {
                        Op::And => b"&&",
                        Op::Or => b"||",
                        Op::Open => b"(",
                        _ => b")",
                    };
                    words.push(vec![Part::Text { text: text.to_vec(), quoted: false }]);
                }
                Token::Redirect(Redirect { fd, action: Action::Read(word) }) if fd == 0 => {
                    words.push(vec![Part::Text { text: b"<".to_vec(), quoted: false }]);
                    words.push(word);
                }
                Token::Redirect(Redirect { fd, action: Action::Write { word, clobber: false } }) if fd == 1 => {
                    words.push(vec![Part::Text { text: b">".to_vec(), quoted: false }]);
                    words.push(word);
                }
                Token::Op(Op::Newline) => {}
                other => {
                    self.token = Some(other);
                    return Err(self.expected("\"]]\""));
                }
            }
        }
    }

    fn function(&mut self, name: Bytes, line: u32) -> Parsed<Command> {
        self.newlines()?;
        let body = Rc::new(self.command()?);
        Ok(Command { kind: Kind::Function { name, body }, redirects: Vec::new(), line })
    }

    fn simple(&mut self, line: u32) -> Parsed<Command> {
        let (mut assignments, mut words, mut redirects) = (Vec::new(), Vec::<Word>::new(), Vec::new());
        loop {
            let command = words.is_empty();
            match self.peek(command)? {
                Token::Redirect(_) => {
                    if let Token::Redirect(redirect) = self.take(false)? {
                        redirects.push(redirect);
                    }
                }
                Token::Word(_) => {
                    let Token::Word(word) = self.take(false)? else { continue };
                    match split_assignment(word, command) {
                        Ok(assignment) => assignments.push(assignment),
                        Err(word) => words.push(word),
                    }
                }
                Token::Op(Op::Open) if words.len() == 1 && assignments.is_empty() && redirects.is_empty() => {
                    let name = words.first().and_then(|word| plain(word)).map(<[u8]>::to_vec);
                    self.token = None;
                    match self.peek(false)? {
                        Token::Op(Op::Close) => self.token = None,
                        _ => return Err(self.expected("\")\"")),
                    }
                    let Some(name) = name.filter(|name| is_name(name) || is_function_name(name)) else {
                        return self.syntax("Bad function name");
                    };
                    return self.function(name, line);
                }
                Token::Op(Op::Open) => return Err(self.unexpected()),
                Token::Op(_) => {
                    if assignments.is_empty() && words.is_empty() && redirects.is_empty() {
                        return Err(self.unexpected());
                    }
                    return Ok(Command { kind: Kind::Simple { assignments, words }, redirects, line });
                }
            }
        }
    }
}

/// Function names may hold what file names hold (`kubectl-x`), as in dash and ash.
fn is_function_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && !b"=/$`'\"\\".contains(byte)) && !reserved(name)
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
    b"!", b"{", b"}", b"case", b"do", b"done", b"elif", b"else", b"esac", b"fi", b"for", b"if", b"in", b"then", b"until",
    b"while",
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
