//! Shell patterns over bytes (fnmatch(3)): `*`, `?`, brackets with classes, backslash.

use crate::base::{after, at, part};
use crate::posix::{byte_in_class, class_named};

/// Case does not count.
pub(crate) const FOLD: u8 = 1;
/// A slash is matched only by a slash.
pub(crate) const SLASH: u8 = 2;
/// A dot at the beginning is matched only by a dot.
pub(crate) const DOT: u8 = 4;

/// Whether the whole of `text` fits; time is bounded by the product of both lengths.
pub(crate) fn matches(pattern: &[u8], text: &[u8], flags: u8) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star does not fit.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let fits = match pattern.get(p) {
            None if t == text.len() => return true,
            None => None,
            Some(b'*') => {
                if flags & DOT != 0 && t == 0 && at(text, 0) == b'.' {
                    return false;
                }
                p += 1;
                retry = Some((p, t));
                continue;
            }
            Some(_) if t >= text.len() => None,
            Some(_) => one(after(pattern, p), at(text, t), flags, t == 0),
        };
        match (fits, retry) {
            (Some(length), _) => {
                p += length;
                t += 1;
            }
            (None, Some((star, from))) if from < text.len() && !(flags & SLASH != 0 && at(text, from) == b'/') => {
                retry = Some((star, from + 1));
                (p, t) = (star, from + 1);
            }
            _ => return false,
        }
    }
}

/// Whether one byte fits the pattern's head; how long that head is.
fn one(pattern: &[u8], byte: u8, flags: u8, first: bool) -> Option<usize> {
    let fold = |byte: u8| if flags & FOLD != 0 { byte.to_ascii_lowercase() } else { byte };
    let special = flags & SLASH != 0 && byte == b'/' || flags & DOT != 0 && first && byte == b'.';
    match at(pattern, 0) {
        b'?' => (!special).then_some(1),
        b'\\' if pattern.len() > 1 => (fold(at(pattern, 1)) == fold(byte)).then_some(2),
        b'[' => match bracket(pattern, byte, flags) {
            Some((fits, length)) => (fits && !special).then_some(length),
            None => (byte == b'[').then_some(1),
        },
        own => (fold(own) == fold(byte)).then_some(1),
    }
}

/// Whether a bracket has the byte, and its length; `None` when it is not closed.
fn bracket(pattern: &[u8], byte: u8, flags: u8) -> Option<(bool, usize)> {
    let negated = matches!(at(pattern, 1), b'!' | b'^');
    let begin = 1 + usize::from(negated);
    let mut from = begin;
    let mut found = false;
    let either = [
        byte,
        if flags & FOLD == 0 {
            byte
        } else if byte.is_ascii_uppercase() {
            byte.to_ascii_lowercase()
        } else {
            byte.to_ascii_uppercase()
        },
    ];
    loop {
        let rest = after(pattern, from);
        if at(rest, 0) == b']' && from > begin {
            return Some((found != negated, from + 1));
        }
        if rest.starts_with(b"[:")
            && let Some(close) = crate::base::find_bytes(after(rest, 2), b":]")
        {
            let class = class_named(part(rest, 2, 2 + close))?;
            found |= either.iter().any(|byte| byte_in_class(class, *byte));
            from += close + 4;
            continue;
        }
        let member = |from: usize| match at(pattern, from) {
            b'\\' if from + 1 < pattern.len() => Some((at(pattern, from + 1), 2)),
            _ => pattern.get(from).map(|byte| (*byte, 1)),
        };
        let (low, length) = member(from)?;
        from += length;
        let mut high = low;
        if at(pattern, from) == b'-' && at(pattern, from + 1) != b']' && from + 1 < pattern.len() {
            let (end, length) = member(from + 1)?;
            high = end;
            from += 1 + length;
        }
        found |= either.iter().any(|byte| (low..=high).contains(byte));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, flags, fits) in [
            ("*.log", "a.log", 0, true),
            ("*.log", "a.logs", 0, false),
            ("a*b*c", "aXbYbZc", 0, true),
            ("[!a-c]x", "dx", 0, true),
            ("[[:digit:]]?", "7z", 0, true),
            ("A*", "abc", FOLD, true),
            ("*", "a/b", SLASH, false),
            ("*", ".a", DOT, false),
            ("[", "[", 0, true),
            ("\\*", "*", 0, true),
            ("[]a]", "]", 0, true),
            ("", "", 0, true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), flags), fits, "{pattern} {text}");
        }
        assert!(!matches("*a".repeat(5000).as_bytes(), "a".repeat(4000).as_bytes(), 0));
    }
}
