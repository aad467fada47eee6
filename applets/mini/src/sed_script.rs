//! sed's scripts: text to commands (POSIX.1-2017; GNU sed 4.9). `e` and `--debug` are refused by name.

use crate::base::{Bytes, after, at, number, part};
use crate::posix::{Regex, Syntax, sed_escape};

/// Where a command applies.
pub(crate) enum Address {
    Line(u64),
    /// `first~step`.
    Step(u64, u64),
    Last,
    /// A pattern; `None` is the last one used.
    Pattern(Option<usize>),
    /// `+N`, as the end of a range.
    Plus(u64),
    /// `~N`, as the end of a range.
    Multiple(u64),
}

/// A piece of a replacement.
pub(crate) enum Piece {
    Text(Bytes),
    Group(usize),
    /// `L U l u E`.
    Case(u8),
}

/// `s`.
pub(crate) struct Substitute {
    pub(crate) pattern: Option<usize>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) global: bool,
    /// How often `p` stands there.
    pub(crate) print: bool,
    /// Replace from this match on, counted from 1.
    pub(crate) number: u64,
    pub(crate) file: Option<usize>,
}

/// What a command needs besides its letter.
pub(crate) enum Argument {
    None,
    Text(Bytes),
    Label(Bytes),
    /// The index to go on with.
    Target(usize),
    Number(u64),
    File(usize),
    Substitute(Box<Substitute>),
    Map(Vec<(Bytes, Bytes)>),
}

pub(crate) struct Command {
    pub(crate) first: Option<Address>,
    /// The first line is 0: the end may be found on line 1.
    pub(crate) zero: bool,
    pub(crate) second: Option<Address>,
    pub(crate) negated: bool,
    pub(crate) letter: u8,
    pub(crate) argument: Argument,
}

/// A parsed script.
pub(crate) struct Script {
    pub(crate) commands: Vec<Command>,
    pub(crate) patterns: Vec<Regex>,
    /// Files that `w` writes.
    pub(crate) files: Vec<Bytes>,
    /// It began with `#n`.
    pub(crate) quiet: bool,
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    syntax: Syntax,
    script: Script,
}

type Parsed<T> = Result<T, String>;

fn bad<T>(text: &str) -> Parsed<T> {
    Err(text.to_owned())
}

/// Reads a script; the error says what and at which character.
pub(crate) fn parse(text: &[u8], syntax: Syntax) -> Result<Script, String> {
    let script = Script { commands: Vec::new(), patterns: Vec::new(), files: Vec::new(), quiet: false };
    let mut parser = Parser { text, at: 0, syntax, script };
    if text.starts_with(b"#n\n") || text == b"#n" {
        parser.script.quiet = true;
    }
    match parser.all() {
        Ok(()) => Ok(parser.script),
        Err(error) => Err(format!("-e expression #1, char {}: {error}", parser.at)),
    }
}

impl Parser<'_> {
    fn peek(&self) -> u8 {
        at(self.text, self.at)
    }

    fn ended(&self) -> bool {
        self.at >= self.text.len()
    }

    fn skip(&mut self, set: &[u8]) {
        while !self.ended() && set.contains(&self.peek()) {
            self.at += 1;
        }
    }

    fn all(&mut self) -> Parsed<()> {
        let mut blocks: Vec<usize> = Vec::new();
        loop {
            self.skip(b" \t\n;");
            if self.ended() {
                break;
            }
            let command = self.command(&mut blocks)?;
            if let Some(command) = command {
                self.script.commands.push(command);
            }
        }
        if !blocks.is_empty() {
            self.at = 0;
            return bad("unmatched `{'");
        }
        let labels: Vec<(Bytes, usize)> = self
            .script
            .commands
            .iter()
            .enumerate()
            .filter_map(|(index, command)| match &command.argument {
                Argument::Label(name) if command.letter == b':' => Some((name.clone(), index)),
                _ => None,
            })
            .collect();
        let end = self.script.commands.len();
        for command in &mut self.script.commands {
            if let Argument::Label(name) = &command.argument
                && matches!(command.letter, b'b' | b't' | b'T')
            {
                let target = if name.is_empty() {
                    end
                } else {
                    let found = labels.iter().find(|(own, _)| own == name);
                    found
                        .map(|(_, index)| *index)
                        .ok_or_else(|| format!("can't find label for jump to `{}'", crate::base::lossy(name)))?
                };
                command.argument = Argument::Target(target);
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> Option<u64> {
        let from = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        number(part(self.text, from, self.at))
    }

    fn address(&mut self, second: bool) -> Parsed<Option<Address>> {
        let byte = self.peek();
        Ok(Some(match byte {
            b'0'..=b'9' => {
                let first = self.digits().ok_or("number too large")?;
                if self.peek() == b'~' && !second {
                    self.at += 1;
                    return Ok(Some(Address::Step(first, self.digits().unwrap_or(0))));
                }
                Address::Line(first)
            }
            b'$' => {
                self.at += 1;
                Address::Last
            }
            b'+' | b'~' if second => {
                self.at += 1;
                let count = self.digits().ok_or("expected number")?;
                if byte == b'+' { Address::Plus(count) } else { Address::Multiple(count) }
            }
            b'/' | b'\\' => {
                self.at += 1;
                let sign = if byte == b'/' {
                    b'/'
                } else {
                    self.at += 1;
                    at(self.text, self.at - 1)
                };
                let Some(pattern) = self.delimited(sign, true) else { return bad("unterminated address regex") };
                let mut syntax = self.syntax;
                loop {
                    match self.peek() {
                        b'I' => syntax.fold = true,
                        b'M' => syntax.lines = true,
                        _ => break,
                    }
                    self.at += 1;
                }
                Address::Pattern(self.pattern(&pattern, syntax)?)
            }
            _ => return Ok(None),
        }))
    }

    fn pattern(&mut self, text: &[u8], syntax: Syntax) -> Parsed<Option<usize>> {
        if text.is_empty() {
            return Ok(None);
        }
        self.script.patterns.push(Regex::new(text, syntax, false)?);
        Ok(Some(self.script.patterns.len() - 1))
    }

    /// Text up to an unescaped `sign`, which is skipped. An escaped sign is itself without its backslash.
    fn delimited(&mut self, sign: u8, regex: bool) -> Option<Bytes> {
        let mut out = Bytes::new();
        while !self.ended() {
            let byte = self.peek();
            self.at += 1;
            if byte == sign {
                return Some(out);
            }
            if byte == b'\n' && regex {
                return None;
            }
            if byte == b'\\' {
                if self.ended() {
                    return None;
                }
                let next = self.peek();
                self.at += 1;
                if next != sign {
                    out.push(b'\\');
                } else if regex && b"*.[]^$+?(){}|".contains(&sign) && sign != b'\n' {
                    // The sign loses its meaning as an operator with its backslash.
                    if b"*.[^$".contains(&sign) || self.syntax.extended {
                        out.push(b'\\');
                    }
                } else if !regex && sign == b'&' {
                    out.push(b'\\');
                }
                out.push(next);
                continue;
            }
            out.push(byte);
        }
        None
    }

    fn command(&mut self, blocks: &mut Vec<usize>) -> Parsed<Option<Command>> {
        let mut first = self.address(false)?;
        let mut second = None;
        let mut zero = false;
        if first.is_some() {
            self.skip(b" \t");
            if self.peek() == b',' {
                self.at += 1;
                self.skip(b" \t");
                second = self.address(true)?;
                if second.is_none() {
                    return bad("unexpected `,'");
                }
                if matches!(first, Some(Address::Line(0))) {
                    if !matches!(second, Some(Address::Pattern(_))) {
                        return bad("invalid usage of line address 0");
                    }
                    zero = true;
                }
            }
        }
        if !zero && matches!(first, Some(Address::Line(0))) {
            return bad("invalid usage of line address 0");
        }
        if let Some(Address::Step(line, 0)) = first {
            first = Some(Address::Line(line));
        }
        self.skip(b" \t");
        let mut negated = false;
        while self.peek() == b'!' {
            if negated {
                return bad("multiple `!'s");
            }
            negated = true;
            self.at += 1;
            self.skip(b" \t");
        }
        if self.ended() {
            return bad("missing command");
        }
        let letter = self.peek();
        self.at += 1;
        let mut argument = Argument::None;
        match letter {
            b'#' => {
                if first.is_some() {
                    return bad("comments don't accept any addresses");
                }
                while !self.ended() && self.peek() != b'\n' {
                    self.at += 1;
                }
                return Ok(None);
            }
            b':' => {
                if first.is_some() {
                    return bad(": doesn't want any addresses");
                }
                self.skip(b" \t");
                let name = self.word(b";\n");
                if name.is_empty() {
                    return bad("\":\" lacks a label");
                }
                argument = Argument::Label(name);
            }
            b'{' => {
                if blocks.len() > 1000 {
                    return bad("too many nested blocks");
                }
                blocks.push(self.script.commands.len());
                argument = Argument::Target(usize::MAX);
            }
            b'}' => {
                let Some(open) = blocks.pop() else { return bad("unexpected `}'") };
                if first.is_some() {
                    return bad("} doesn't want any addresses");
                }
                let end = self.script.commands.len();
                if let Some(command) = self.script.commands.get_mut(open) {
                    command.argument = Argument::Target(end);
                }
                self.end()?;
            }
            b'=' | b'd' | b'D' | b'g' | b'G' | b'h' | b'H' | b'n' | b'N' | b'p' | b'P' | b'x' | b'z' | b'F' => {
                self.end()?
            }
            b'a' | b'i' | b'c' => argument = Argument::Text(self.text()?),
            b'b' | b't' | b'T' => {
                self.skip(b" \t");
                argument = Argument::Label(self.word(b";\n}"));
                self.end()?;
            }
            b'q' | b'Q' | b'l' | b'L' => {
                if letter == b'L' {
                    return bad("unknown command: `L'");
                }
                if second.is_some() && letter != b'l' {
                    return bad("command only uses one address");
                }
                self.skip(b" \t");
                if let Some(value) = self.digits() {
                    argument = Argument::Number(value);
                }
                self.end()?;
            }
            b'r' | b'R' | b'w' | b'W' => {
                self.skip(b" \t");
                let name = self.line();
                if name.is_empty() {
                    return bad("missing filename in r/R/w/W commands");
                }
                argument =
                    if matches!(letter, b'w' | b'W') { Argument::File(self.file(name)) } else { Argument::Text(name) };
            }
            b's' => argument = self.substitute()?,
            b'y' => argument = self.translate()?,
            b'v' => {
                self.word(b";\n}");
            }
            b'e' => return bad("the command `e' is not offered: nothing is run from a script"),
            other => return Err(format!("unknown command: `{}'", crate::base::lossy(&[other]))),
        }
        Ok(Some(Command { first, zero, second, negated, letter, argument }))
    }

    /// What may follow a command.
    fn end(&mut self) -> Parsed<()> {
        self.skip(b" \t\r");
        if self.ended() || matches!(self.peek(), b';' | b'\n' | b'}' | b'#') {
            return Ok(());
        }
        self.at += 1;
        bad("extra characters after command")
    }

    fn word(&mut self, ends: &[u8]) -> Bytes {
        let from = self.at;
        while !self.ended() && !ends.contains(&self.peek()) && !self.peek().is_ascii_whitespace() {
            self.at += 1;
        }
        part(self.text, from, self.at).to_vec()
    }

    /// The rest of the line.
    fn line(&mut self) -> Bytes {
        let from = self.at;
        while !self.ended() && self.peek() != b'\n' {
            self.at += 1;
        }
        part(self.text, from, self.at).to_vec()
    }

    fn file(&mut self, name: Bytes) -> usize {
        let files = &mut self.script.files;
        files.iter().position(|own| *own == name).unwrap_or_else(|| {
            files.push(name);
            files.len() - 1
        })
    }

    /// The text of `a`, `i` and `c`, with its newline.
    fn text(&mut self) -> Parsed<Bytes> {
        self.skip(b" \t");
        if self.ended() {
            return bad("expected \\ after `a', `c' or `i'");
        }
        if self.peek() == b'\\' {
            let mut from = self.at + 1;
            while matches!(at(self.text, from), b' ' | b'\t') {
                from += 1;
            }
            if at(self.text, from) == b'\n' && from < self.text.len() {
                self.at = from + 1;
                // Blanks before the first word do not count unless a backslash keeps them.
                let mut look = self.at;
                while matches!(at(self.text, look), b' ' | b'\t') {
                    look += 1;
                }
                if at(self.text, look) == b'\\' && !matches!(at(self.text, look + 1), b'\\' | b'\n') {
                    self.at = look;
                }
            } else if from >= self.text.len() {
                self.at = from;
                return bad("expected \\ after `a', `c' or `i'");
            } else {
                self.at += 1;
            }
        }
        let mut out = Bytes::new();
        while !self.ended() {
            let byte = self.peek();
            self.at += 1;
            match byte {
                b'\\' => {
                    if self.ended() {
                        break;
                    }
                    let rest = after(self.text, self.at);
                    if at(rest, 0) != b'n'
                        && let Some((value, length)) = sed_escape(rest)
                    {
                        out.push(value);
                        self.at += length;
                    } else {
                        out.push(self.peek());
                        self.at += 1;
                    }
                }
                b'\n' => break,
                _ => out.push(byte),
            }
        }
        out.push(b'\n');
        Ok(out)
    }

    fn substitute(&mut self) -> Parsed<Argument> {
        const OPEN: &str = "unterminated `s' command";
        let sign = self.peek();
        self.at += 1;
        if matches!(sign, b'\n' | b'\\' | 0) {
            return bad(OPEN);
        }
        let Some(pattern) = self.delimited(sign, true) else { return bad(OPEN) };
        let Some(replacement) = self.delimited(sign, false) else { return bad(OPEN) };
        let mut own =
            Substitute { pattern: None, pieces: Vec::new(), global: false, print: false, number: 1, file: None };
        let mut syntax = self.syntax;
        let mut numbered = false;
        loop {
            match self.peek() {
                _ if self.ended() => break,
                b'g' if own.global => return bad("multiple `g' options to `s' command"),
                b'g' => own.global = true,
                b'p' if own.print => return bad("multiple `p' options to `s' command"),
                b'p' => own.print = true,
                b'i' | b'I' => syntax.fold = true,
                b'm' | b'M' => syntax.lines = true,
                b'e' => return bad("the flag `e' is not offered: nothing is run from a script"),
                b'0'..=b'9' => {
                    if numbered {
                        return bad("multiple number options to `s' command");
                    }
                    numbered = true;
                    own.number = self.digits().ok_or("number too large")?;
                    if own.number == 0 {
                        return bad("number option to `s' command may not be zero");
                    }
                    continue;
                }
                b'w' => {
                    self.at += 1;
                    self.skip(b" \t");
                    let name = self.line();
                    if name.is_empty() {
                        return bad("missing filename in r/R/w/W commands");
                    }
                    own.file = Some(self.file(name));
                    break;
                }
                b';' | b'\n' | b'}' | b'#' | b' ' | b'\t' | b'\r' => {
                    self.end()?;
                    break;
                }
                _ => {
                    self.at += 1;
                    return bad("unknown option to `s'");
                }
            }
            self.at += 1;
        }
        own.pattern = self.pattern(&pattern, syntax)?;
        own.pieces = pieces(&replacement);
        let groups = own.pattern.and_then(|index| self.script.patterns.get(index)).map_or(9, |regex| regex.groups);
        for piece in &own.pieces {
            if let Piece::Group(number) = piece
                && *number > groups
            {
                return Err(format!("invalid reference \\{number} on `s' command's RHS"));
            }
        }
        Ok(Argument::Substitute(Box::new(own)))
    }

    fn translate(&mut self) -> Parsed<Argument> {
        const OPEN: &str = "unterminated `y' command";
        let sign = self.peek();
        self.at += 1;
        let (Some(from), Some(to)) = (self.delimited(sign, false), self.delimited(sign, false)) else {
            return bad(OPEN);
        };
        let utf8 = self.syntax.utf8;
        let list = |text: &[u8]| -> Parsed<Vec<Bytes>> {
            let mut list = Vec::new();
            let mut index = 0;
            while index < text.len() {
                if at(text, index) == b'\\' {
                    let rest = after(text, index + 1);
                    if at(rest, 0) == b'\\' {
                        list.push(b"\\".to_vec());
                        index += 2;
                        continue;
                    }
                    if let Some((value, length)) = sed_escape(rest) {
                        list.push(vec![value]);
                        index += 1 + length;
                        continue;
                    }
                    return bad("y command strings have different lengths");
                }
                let length = crate::base::char_at(text, index, utf8).map_or(1, |(_, length)| length);
                list.push(part(text, index, index + length).to_vec());
                index += length;
            }
            Ok(list)
        };
        let (from, to) = (list(&from)?, list(&to)?);
        if from.len() != to.len() {
            return bad("strings for `y' command are different lengths");
        }
        self.end()?;
        Ok(Argument::Map(from.into_iter().zip(to).collect()))
    }
}

/// The replacement of `s`.
fn pieces(text: &[u8]) -> Vec<Piece> {
    let mut list = Vec::new();
    let mut plain = Bytes::new();
    let mut index = 0;
    while index < text.len() {
        let byte = at(text, index);
        index += 1;
        let piece = match byte {
            b'&' => Piece::Group(0),
            b'\\' if index < text.len() => {
                let next = at(text, index);
                index += 1;
                match next {
                    b'0'..=b'9' => Piece::Group(usize::from(next - b'0')),
                    b'L' | b'U' | b'l' | b'u' | b'E' => Piece::Case(next),
                    _ => {
                        match sed_escape(after(text, index - 1)) {
                            Some((value, length)) => {
                                plain.push(value);
                                index += length - 1;
                            }
                            None => plain.push(next),
                        }
                        continue;
                    }
                }
            }
            _ => {
                plain.push(byte);
                continue;
            }
        };
        if !plain.is_empty() {
            list.push(Piece::Text(std::mem::take(&mut plain)));
        }
        list.push(piece);
    }
    if !plain.is_empty() {
        list.push(Piece::Text(plain));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_script_is_read_or_refused(text in "[sy/\\\\{}abc:;\\n0-9,$!~+&gpwx ]{0,40}") {
            let _ = parse(text.as_bytes(), Syntax { sed: true, ..Syntax::default() });
        }
    }

    #[test]
    fn what_is_no_script() {
        for (text, why) in [
            ("s/a/b", "unterminated `s' command"),
            ("{p", "unmatched `{'"),
            ("p}", "unexpected `}'"),
            ("k", "unknown command: `k'"),
            ("b nowhere", "can't find label for jump to `nowhere'"),
            ("y/ab/c/", "strings for `y' command are different lengths"),
            ("s/a/\\1/", "invalid reference \\1 on `s' command's RHS"),
            ("pp", "extra characters after command"),
            ("3", "missing command"),
            ("0p", "invalid usage of line address 0"),
        ] {
            let error = parse(text.as_bytes(), Syntax { sed: true, ..Syntax::default() }).err().unwrap_or_default();
            assert!(error.ends_with(why), "{text}: {error}");
        }
    }
}
