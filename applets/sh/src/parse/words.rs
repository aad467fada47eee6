//! Words: quotes, expansions, here-document bodies (POSIX.1-2024, Shell 2.2 and 2.6).

use super::*;

impl Parser<'_> {
    pub(super) fn word(&mut self, mode: Mode) -> Parsed<Word> {
        self.deeper(|parser| parser.word_parts(mode))
    }

    pub(super) fn word_parts(&mut self, mode: Mode) -> Parsed<Word> {
        let mut parts = Word::new();
        // Open parentheses of an expression.
        let mut open = 0u32;
        loop {
            let Some(byte) = self.byte(0)? else {
                return match mode {
                    Mode::Bare | Mode::Here => Ok(parts),
                    Mode::Quoted => self.syntax("Unterminated quoted string"),
                    Mode::Arithmetic => self.syntax("Missing '))'"),
                    Mode::Brace | Mode::BraceQuoted => self.syntax("Missing '}'"),
                };
            };
            match (mode, byte) {
                (Mode::Bare, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')') => {
                    return Ok(parts);
                }
                (Mode::Quoted, b'"') => {
                    self.skip(1);
                    return Ok(parts);
                }
                (Mode::Brace | Mode::BraceQuoted, b'}') => {
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

    pub(super) fn backslash(&mut self, mode: Mode, parts: &mut Word) -> Parsed<()> {
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

    pub(super) fn single_quotes(&mut self, parts: &mut Word) -> Parsed<()> {
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

    pub(super) fn dollar(&mut self, mode: Mode, parts: &mut Word) -> Parsed<()> {
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

    pub(super) fn name(&mut self) -> Bytes {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let name: Bytes = rest.iter().copied().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').collect();
        self.at += name.len();
        name
    }

    /// The commands up to the `)` of `$(...)`.
    pub(super) fn substitution(&mut self) -> Parsed<Rc<List>> {
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

    pub(super) fn backquotes(&mut self, mode: Mode) -> Parsed<Rc<List>> {
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
    pub(super) fn braces(&mut self, mode: Mode) -> Parsed<Parameter> {
        let quoted = mode.quoted();
        let inner = match mode {
            Mode::Bare | Mode::Brace => Mode::Brace,
            _ => Mode::BraceQuoted,
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

    pub(super) fn parameter_name(&mut self) -> Parsed<Bytes> {
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
    pub(super) fn until(&mut self, end: u8) -> Parsed<(Word, bool)> {
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
    pub(super) fn ansi_c(&mut self, parts: &mut Word) -> Parsed<()> {
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
}
