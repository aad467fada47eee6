//! test(1), `[` and `[[`.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use netkit_sys::process;
use nix::libc;

use crate::ast::{Bytes, Word};
use crate::parse::plain;
use crate::shell::{Shell, Unwind};

/// How deep parentheses and `!` may nest.
const DEEPEST: u32 = 200;

/// `test EXPRESSION`: 0 true, 1 false (test(1)).
///
/// # Errors
/// What is wrong with the expression, worth status 2.
pub(crate) fn evaluate(arguments: &[Bytes]) -> Result<bool, String> {
    let mut parser = Parser { words: arguments, at: 0, depth: 0 };
    // POSIX decides by the number of arguments first.
    match arguments {
        [] => return Ok(false),
        [one] => return Ok(!one.is_empty()),
        [not, one] if not == b"!" => return Ok(one.is_empty()),
        [left, operator, right] if is_binary(operator) => return binary(left, operator, right),
        [not, operator, operand] if not == b"!" && is_unary(operator) => {
            return unary(operator, operand).map(|value| !value);
        }
        [open, one, close] if open == b"(" && close == b")" => return Ok(!one.is_empty()),
        [not, left, operator, right] if not == b"!" && is_binary(operator) => {
            return binary(left, operator, right).map(|value| !value);
        }
        _ => {}
    }
    let value = parser.or()?;
    match parser.words.get(parser.at) {
        None => Ok(value),
        Some(word) => Err(format!("{}: unexpected operator", String::from_utf8_lossy(word))),
    }
}

struct Parser<'a> {
    words: &'a [Bytes],
    at: usize,
    depth: u32,
}

impl Parser<'_> {
    fn word(&self, ahead: usize) -> Option<&Bytes> {
        self.words.get(self.at + ahead)
    }

    fn is(&self, ahead: usize, text: &[u8]) -> bool {
        self.word(ahead).is_some_and(|word| word == text)
    }

    fn or(&mut self) -> Result<bool, String> {
        let mut value = self.and()?;
        while self.is(0, b"-o") {
            self.at += 1;
            value |= self.and()?;
        }
        Ok(value)
    }

    fn and(&mut self) -> Result<bool, String> {
        let mut value = self.primary()?;
        while self.is(0, b"-a") {
            self.at += 1;
            value &= self.primary()?;
        }
        Ok(value)
    }

    fn primary(&mut self) -> Result<bool, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("nested too deeply".to_owned());
        }
        let value = self.primary_here();
        self.depth -= 1;
        value
    }

    fn primary_here(&mut self) -> Result<bool, String> {
        let Some(word) = self.word(0).cloned() else { return Err("argument expected".to_owned()) };
        let operator = self.word(1).filter(|word| is_binary(word)).cloned();
        if let (Some(operator), Some(right)) = (operator, self.word(2).cloned()) {
            self.at += 3;
            return binary(&word, &operator, &right);
        }
        if word == b"!" {
            self.at += 1;
            return self.primary().map(|value| !value);
        }
        if word == b"(" {
            self.at += 1;
            let value = self.or()?;
            if !self.is(0, b")") {
                return Err("closing paren expected".to_owned());
            }
            self.at += 1;
            return Ok(value);
        }
        if is_unary(&word) {
            let Some(operand) = self.word(1).cloned() else {
                // A lone operator is a text like any other.
                self.at += 1;
                return Ok(true);
            };
            self.at += 2;
            return unary(&word, &operand);
        }
        self.at += 1;
        Ok(!word.is_empty())
    }
}

fn is_unary(word: &[u8]) -> bool {
    matches!(word, [b'-', letter] if b"bcdefghknprstuwxzLOGS".contains(letter))
}

fn is_binary(word: &[u8]) -> bool {
    const LIST: &[&[u8]] =
        &[b"=", b"==", b"!=", b"<", b">", b"-eq", b"-ne", b"-lt", b"-le", b"-gt", b"-ge", b"-nt", b"-ot", b"-ef"];
    LIST.contains(&word)
}

fn metadata(path: &[u8]) -> Option<Metadata> {
    std::fs::metadata(OsStr::from_bytes(path)).ok()
}

fn unary(operator: &[u8], operand: &Bytes) -> Result<bool, String> {
    let path = OsStr::from_bytes(operand);
    let kind = |check: fn(&Metadata) -> bool| metadata(operand).is_some_and(|data| check(&data));
    Ok(match operator.get(1) {
        Some(b'n') => !operand.is_empty(),
        Some(b'z') => operand.is_empty(),
        Some(b't') => {
            let fd = number(operand)?;
            i32::try_from(fd).is_ok_and(|fd| process::foreground(fd).is_ok() || is_terminal(fd))
        }
        Some(b'e') => metadata(operand).is_some(),
        Some(b'f') => kind(|data| data.is_file()),
        Some(b'd') => kind(|data| data.is_dir()),
        Some(b'b') => kind(|data| data.file_type().is_block_device()),
        Some(b'c') => kind(|data| data.file_type().is_char_device()),
        Some(b'p') => kind(|data| data.file_type().is_fifo()),
        Some(b'S') => kind(|data| data.file_type().is_socket()),
        Some(b's') => kind(|data| data.size() > 0),
        Some(b'u') => kind(|data| data.mode() & libc::S_ISUID != 0),
        Some(b'g') => kind(|data| data.mode() & libc::S_ISGID != 0),
        Some(b'k') => kind(|data| data.mode() & libc::S_ISVTX != 0),
        Some(b'h' | b'L') => std::fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink()),
        Some(b'r') => process::access(path, libc::R_OK),
        Some(b'w') => process::access(path, libc::W_OK),
        Some(b'x') => process::access(path, libc::X_OK),
        Some(b'O') => metadata(operand).is_some_and(|data| data.uid() == nix::unistd::geteuid().as_raw()),
        Some(b'G') => metadata(operand).is_some_and(|data| data.gid() == nix::unistd::getegid().as_raw()),
        _ => false,
    })
}

fn is_terminal(fd: i32) -> bool {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|path| {
        let path = path.as_os_str().as_bytes();
        path.starts_with(b"/dev/pts/") || path.starts_with(b"/dev/tty") || path == b"/dev/console"
    })
}

/// An integer operand; blanks around it are allowed.
fn number(text: &[u8]) -> Result<i64, String> {
    let shown = || format!("Illegal number: {}", String::from_utf8_lossy(text));
    let trimmed = text.trim_ascii();
    let trimmed = trimmed.strip_prefix(b"+").unwrap_or(trimmed);
    std::str::from_utf8(trimmed).ok().and_then(|text| text.parse().ok()).ok_or_else(shown)
}

fn binary(left: &Bytes, operator: &[u8], right: &Bytes) -> Result<bool, String> {
    Ok(match operator {
        b"=" | b"==" => left == right,
        b"!=" => left != right,
        b"<" => left < right,
        b">" => left > right,
        b"-nt" | b"-ot" | b"-ef" => files(left, operator, right),
        _ => {
            let (left, right) = (number(left)?, number(right)?);
            match operator {
                b"-eq" => left == right,
                b"-ne" => left != right,
                b"-lt" => left < right,
                b"-le" => left <= right,
                b"-gt" => left > right,
                _ => left >= right,
            }
        }
    })
}

fn files(left: &[u8], operator: &[u8], right: &[u8]) -> bool {
    let (left, right) = (metadata(left), metadata(right));
    let time = |data: &Metadata| (data.mtime(), data.mtime_nsec());
    match (operator, left, right) {
        (b"-ef", Some(left), Some(right)) => (left.dev(), left.ino()) == (right.dev(), right.ino()),
        (b"-nt", Some(left), Some(right)) => time(&left) > time(&right),
        (b"-ot", Some(left), Some(right)) => time(&left) < time(&right),
        (b"-nt", Some(_), None) | (b"-ot", None, Some(_)) => true,
        _ => false,
    }
}

/// `[[ ... ]]`: words are not split, the right side of `==` is a pattern, `&&` and `||` join.
///
/// # Errors
/// What an expansion unwinds to.
pub(crate) fn double_brackets(shell: &mut Shell, words: &[Word]) -> Result<u8, Unwind> {
    let mut job = Brackets { shell, words, at: 0, depth: 0 };
    let value = match job.or() {
        Ok(value) if job.at == words.len() => value,
        Ok(_) => {
            let message = "[[: unexpected operator";
            job.shell.say(message);
            return Ok(2);
        }
        Err(Wrong::Unwind(unwind)) => return Err(unwind),
        Err(Wrong::Message(message)) => {
            job.shell.say(&format!("[[: {message}"));
            return Ok(2);
        }
    };
    Ok(u8::from(!value))
}

enum Wrong {
    Unwind(Unwind),
    Message(String),
}

impl From<Unwind> for Wrong {
    fn from(unwind: Unwind) -> Wrong {
        Wrong::Unwind(unwind)
    }
}

impl From<String> for Wrong {
    fn from(message: String) -> Wrong {
        Wrong::Message(message)
    }
}

struct Brackets<'a> {
    shell: &'a mut Shell,
    words: &'a [Word],
    at: usize,
    depth: u32,
}

impl Brackets<'_> {
    fn operator(&self, ahead: usize) -> &[u8] {
        self.words.get(self.at + ahead).and_then(|word| plain(word)).unwrap_or_default()
    }

    fn or(&mut self) -> Result<bool, Wrong> {
        let mut value = self.and()?;
        while self.operator(0) == b"||" {
            self.at += 1;
            // Both sides are read; the words of a side that does not count are expanded all the same.
            let right = self.and()?;
            value |= right;
        }
        Ok(value)
    }

    fn and(&mut self) -> Result<bool, Wrong> {
        let mut value = self.primary()?;
        while self.operator(0) == b"&&" {
            self.at += 1;
            let right = self.primary()?;
            value &= right;
        }
        Ok(value)
    }

    fn text(&mut self) -> Result<Bytes, Wrong> {
        let words = self.words;
        let Some(word) = words.get(self.at) else { return Err(Wrong::Message("argument expected".to_owned())) };
        self.at += 1;
        Ok(self.shell.expand_text(word)?)
    }

    fn primary(&mut self) -> Result<bool, Wrong> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Wrong::Message("nested too deeply".to_owned()));
        }
        let value = self.primary_here();
        self.depth -= 1;
        value
    }

    fn primary_here(&mut self) -> Result<bool, Wrong> {
        match self.operator(0) {
            b"!" => {
                self.at += 1;
                return self.primary().map(|value| !value);
            }
            b"(" => {
                self.at += 1;
                let value = self.or()?;
                if self.operator(0) != b")" {
                    return Err(Wrong::Message("closing paren expected".to_owned()));
                }
                self.at += 1;
                return Ok(value);
            }
            operator if is_unary(operator) && !is_binary(self.operator(1)) && self.at + 1 < self.words.len() => {
                let operator = operator.to_vec();
                self.at += 1;
                let operand = self.text()?;
                return Ok(unary(&operator, &operand)?);
            }
            _ => {}
        }
        let left = self.text()?;
        let operator = self.operator(0).to_vec();
        match operator.as_slice() {
            b"=" | b"==" | b"!=" => {
                self.at += 1;
                let words = self.words;
                let Some(word) = words.get(self.at) else { return Err(Wrong::Message("argument expected".to_owned())) };
                self.at += 1;
                let matches = self.shell.expand_pattern(word)?.matches(&left);
                Ok(matches == (operator != b"!="))
            }
            b"=~" => Err(Wrong::Message("=~ is not offered; use case or grep -E".to_owned())),
            operator if is_binary(operator) => {
                self.at += 1;
                let right = self.text()?;
                if operator.first() == Some(&b'-')
                    && operator.len() == 3
                    && !matches!(operator, b"-nt" | b"-ot" | b"-ef")
                {
                    // Operands of -eq and its like are expressions.
                    let (left, right) = (self.shell.compute(&left)?, self.shell.compute(&right)?);
                    return Ok(binary(&left.to_string().into_bytes(), operator, &right.to_string().into_bytes())?);
                }
                Ok(binary(&left, operator, &right)?)
            }
            _ => Ok(!left.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(text: &str) -> Result<bool, String> {
        evaluate(&text.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn expressions() {
        for (text, expected) in [
            ("a = a", true),
            ("a != a", false),
            ("-n x", true),
            ("-z x", false),
            ("! x", false),
            ("1 -lt 2 -a 3 -gt 2", true),
            ("1 -gt 2 -o 3 -gt 2", true),
            ("( 1 -eq 1 )", true),
            ("! -e /nonexistent", true),
            ("-d /", true),
            ("-f /", false),
            ("-e", true),
            ("= = =", true),
            ("! = !", true),
        ] {
            assert_eq!(test(text), Ok(expected), "{text}");
        }
        assert!(test("a -eq 1").is_err());
        assert!(test("a b c").is_err());
        assert_eq!(evaluate(&[]), Ok(false));
    }
}
