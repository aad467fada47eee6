//! Patterns (POSIX.1-2024, Shell 2.14) and path name expansion.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::ast::Bytes;
use crate::expand::Field;

/// The most names one pattern may make; a tree of links must not fill the memory.
const MOST_NAMES: usize = 1 << 20;

enum Piece {
    Byte(u8),
    Any,
    Star,
    Class { negated: bool, items: Vec<Item> },
}

enum Item {
    Range(u8, u8),
    Named(fn(&u8) -> bool),
}

/// A pattern, ready to match.
pub(crate) struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// A field's text where only unquoted characters are special.
    pub(crate) fn new(field: &Field) -> Pattern {
        Pattern::of(&field.text, &field.quoted)
    }

    fn of(text: &[u8], quoted: &[bool]) -> Pattern {
        let special = |at: usize| quoted.get(at).is_none_or(|quoted| !*quoted);
        let mut pieces = Vec::new();
        let mut at = 0;
        while let Some(byte) = text.get(at).copied() {
            at += 1;
            let piece = match byte {
                _ if !special(at - 1) => Piece::Byte(byte),
                b'\\' => match text.get(at) {
                    Some(next) => {
                        at += 1;
                        Piece::Byte(*next)
                    }
                    None => Piece::Byte(b'\\'),
                },
                b'?' => Piece::Any,
                b'*' => {
                    if matches!(pieces.last(), Some(Piece::Star)) {
                        continue;
                    }
                    Piece::Star
                }
                b'[' => match class(text, &special, at) {
                    Some((class, end)) => {
                        at = end;
                        class
                    }
                    None => Piece::Byte(b'['),
                },
                _ => Piece::Byte(byte),
            };
            pieces.push(piece);
        }
        Pattern { pieces }
    }

    /// Whether the whole text matches. A star is tried again only from the last one, so time is at most the product of
    /// both lengths.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let (mut piece, mut at) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        loop {
            let stepped = match (self.pieces.get(piece), text.get(at)) {
                (None, None) => return true,
                (Some(Piece::Star), _) => {
                    star = Some((piece + 1, at));
                    piece += 1;
                    continue;
                }
                (Some(one), Some(byte)) => one.takes(*byte),
                (None, Some(_)) | (Some(_), None) => false,
            };
            if stepped {
                piece += 1;
                at += 1;
                continue;
            }
            match star {
                Some((after, from)) if from < text.len() => {
                    star = Some((after, from + 1));
                    (piece, at) = (after, from + 1);
                }
                _ => return false,
            }
        }
    }

    /// The text without what the pattern matches at its start or end.
    pub(crate) fn trim<'t>(&self, text: &'t [u8], end: bool, longest: bool) -> &'t [u8] {
        let lengths = 0..=text.len();
        let fits = |length: &usize| {
            let part = if end { text.get(text.len() - length..) } else { text.get(..*length) };
            part.is_some_and(|part| self.matches(part))
        };
        let found = if longest { lengths.rev().find(fits) } else { { lengths }.find(fits) };
        let length = found.unwrap_or(0);
        let rest = if end { text.get(..text.len() - length) } else { text.get(length..) };
        rest.unwrap_or(text)
    }

    /// Replaces the longest match at each place, or at the first.
    pub(crate) fn replace(&self, text: &[u8], with: &[u8], all: bool) -> Bytes {
        let mut out = Bytes::new();
        let mut at = 0;
        let mut done = false;
        while at < text.len() {
            let rest = text.get(at..).unwrap_or_default();
            let length = if done {
                None
            } else {
                (1..=rest.len()).rev().find(|length| rest.get(..*length).is_some_and(|part| self.matches(part)))
            };
            match length {
                Some(length) => {
                    out.extend_from_slice(with);
                    at += length;
                    done = !all;
                }
                None => {
                    out.extend(rest.first());
                    at += 1;
                }
            }
        }
        out
    }
}

impl Piece {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Piece::Byte(own) => *own == byte,
            Piece::Any => true,
            Piece::Star => false,
            Piece::Class { negated, items } => {
                let within = items.iter().any(|item| match item {
                    Item::Range(low, high) => (*low..=*high).contains(&byte),
                    Item::Named(class) => class(&byte),
                });
                within != *negated
            }
        }
    }
}

/// A bracket expression that begins at `at`, after its `[`, and where it ends. `None` when it does not end.
fn class(text: &[u8], special: &dyn Fn(usize) -> bool, mut at: usize) -> Option<(Piece, usize)> {
    let negated = matches!(text.get(at), Some(b'!' | b'^')) && special(at);
    if negated {
        at += 1;
    }
    let mut items = Vec::new();
    let first = at;
    loop {
        let byte = *text.get(at)?;
        if byte == b']' && special(at) && at > first {
            return Some((Piece::Class { negated, items }, at + 1));
        }
        if byte == b'['
            && text.get(at + 1) == Some(&b':')
            && let Some(length) = text.get(at + 2..)?.windows(2).position(|pair| pair == b":]")
        {
            items.push(Item::Named(named(text.get(at + 2..at + 2 + length)?)?));
            at += length + 4;
            continue;
        }
        let (low, next) = class_byte(text, special, at)?;
        at = next;
        let is_range = text.get(at) == Some(&b'-')
            && special(at)
            && text.get(at + 1).is_some_and(|byte| *byte != b']' || !special(at + 1));
        if is_range {
            let (high, next) = class_byte(text, special, at + 1)?;
            at = next;
            items.push(Item::Range(low, high));
        } else {
            items.push(Item::Range(low, low));
        }
    }
}

fn class_byte(text: &[u8], special: &dyn Fn(usize) -> bool, at: usize) -> Option<(u8, usize)> {
    let byte = *text.get(at)?;
    if byte == b'\\' && special(at) { Some((*text.get(at + 1)?, at + 2)) } else { Some((byte, at + 1)) }
}

fn named(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alpha" => u8::is_ascii_alphabetic,
        b"digit" => u8::is_ascii_digit,
        b"alnum" => u8::is_ascii_alphanumeric,
        b"upper" => u8::is_ascii_uppercase,
        b"lower" => u8::is_ascii_lowercase,
        b"space" => |byte| byte.is_ascii_whitespace() || *byte == 11,
        b"blank" => |byte| *byte == b' ' || *byte == b'\t',
        b"punct" => u8::is_ascii_punctuation,
        b"xdigit" => u8::is_ascii_hexdigit,
        b"cntrl" => u8::is_ascii_control,
        b"graph" => u8::is_ascii_graphic,
        b"print" => |byte| byte.is_ascii_graphic() || *byte == b' ',
        _ => return None,
    })
}

/// Whether a field holds an unquoted character that makes it a pattern.
pub(crate) fn is_pattern(field: &Field) -> bool {
    field.text.iter().zip(&field.quoted).any(|(byte, quoted)| !quoted && b"*?[".contains(byte))
}

/// The names that a pattern finds, sorted by their bytes; empty when there are none (2.14.3).
pub(crate) fn names(field: &Field) -> Vec<Bytes> {
    let absolute = field.text.first() == Some(&b'/');
    let mut components = Vec::new();
    let mut start = 0;
    for (at, byte) in field.text.iter().chain([&b'/']).enumerate() {
        if *byte == b'/' {
            components.push((start, at));
            start = at + 1;
        }
    }
    let mut found: Vec<Bytes> = vec![if absolute { b"/".to_vec() } else { Bytes::new() }];
    let last = components.len().saturating_sub(1);
    for (index, (from, to)) in components.into_iter().enumerate() {
        let text = field.text.get(from..to).unwrap_or_default();
        let quoted = field.quoted.get(from..to).unwrap_or_default();
        if text.is_empty() {
            // A slash at the end: only directories.
            if index == last && index > 0 {
                found.retain(|path| fs::metadata(OsStr::from_bytes(path)).is_ok_and(|data| data.is_dir()));
                for path in &mut found {
                    if path.last() != Some(&b'/') {
                        path.push(b'/');
                    }
                }
            }
            continue;
        }
        let special = text.iter().zip(quoted).any(|(byte, quoted)| !quoted && b"*?[".contains(byte));
        let mut next = Vec::new();
        for base in found {
            if special {
                list(&base, text, quoted, &mut next);
            } else {
                let mut path = joined(&base, &unescaped(text, quoted));
                if index < last || fs::symlink_metadata(OsStr::from_bytes(&path)).is_ok() {
                    path.shrink_to_fit();
                    next.push(path);
                }
            }
        }
        next.truncate(MOST_NAMES);
        found = next;
    }
    if found.iter().all(Vec::is_empty) {
        found.clear();
    }
    found.sort();
    found
}

/// A component without its unquoted backslashes, which only quote.
fn unescaped(text: &[u8], quoted: &[bool]) -> Bytes {
    let mut out = Bytes::new();
    let mut escape = false;
    for (byte, quoted) in text.iter().zip(quoted) {
        if *byte == b'\\' && !quoted && !escape {
            escape = true;
            continue;
        }
        escape = false;
        out.push(*byte);
    }
    out
}

fn joined(base: &[u8], name: &[u8]) -> Bytes {
    let mut path = base.to_vec();
    if !path.is_empty() && path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

fn list(base: &[u8], text: &[u8], quoted: &[bool], out: &mut Vec<Bytes>) {
    let dir = if base.is_empty() { b"." } else { base };
    let Ok(entries) = fs::read_dir(OsStr::from_bytes(dir)) else { return };
    let pattern = Pattern::of(text, quoted);
    let hidden = text.first() == Some(&b'.') || text.starts_with(b"\\.");
    let dots: [&[u8]; 2] = [b".", b".."];
    let names = entries.flatten().map(|entry| entry.file_name().into_vec());
    for name in names.chain(dots.into_iter().filter(|_| hidden).map(<[u8]>::to_vec)) {
        if (name.first() != Some(&b'.') || hidden) && pattern.matches(&name) && out.len() < MOST_NAMES {
            out.push(joined(base, &name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(&Field { text: pattern.into(), quoted: vec![false; pattern.len()], kept: false })
            .matches(text.as_bytes())
    }

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "ab", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]x]", "]", true),
            ("[[:digit:]]", "7", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn stars_take_no_exponential_time() {
        let text = "a".repeat(2000);
        assert!(!matches(&format!("{}b", "a*".repeat(500)), &text));
    }

    #[test]
    fn trims_the_shortest_and_the_longest() {
        let pattern = |text: &str| Pattern::of(text.as_bytes(), &vec![false; text.len()]);
        assert_eq!(pattern("*.").trim(b"a.b.c", false, false), b"b.c");
        assert_eq!(pattern("*.").trim(b"a.b.c", false, true), b"c");
        assert_eq!(pattern(".*").trim(b"a.b.c", true, false), b"a.b");
        assert_eq!(pattern(".*").trim(b"a.b.c", true, true), b"a");
        assert_eq!(pattern("o").replace(b"foo", b"x", false), b"fxo");
        assert_eq!(pattern("o").replace(b"foo", b"x", true), b"fxx");
    }
}
