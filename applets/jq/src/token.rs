//! The pieces of JSON text: where a string ends, what its escapes mean, what a bare word is.

use std::rc::Rc;

use crate::number::Number;
use crate::value::Value;

/// What may stand in a string without further thought ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The closing quote.
    Quote,
    /// A backslash.
    Escape,
    /// A byte below U+0020.
    Control,
}

/// The first byte of `bytes` that is special in a string, with its offset.
pub(crate) fn find_stop(bytes: &[u8]) -> Option<(usize, Stop)> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let mut offset = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        // Eight bytes at once: a byte is special if it is a quote, a backslash or below 0x20. A carry may mark a byte
        // above a marked one, so only the lowest mark counts.
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(LOW.wrapping_mul(0x20)) & !word & HIGH;
        let marks = zero(word ^ LOW.wrapping_mul(0x22)) | zero(word ^ LOW.wrapping_mul(0x5c)) | control;
        if marks != 0 {
            let at = (marks.trailing_zeros() / 8) as usize;
            return Some((offset + at, classify((word >> (at * 8)) as u8)));
        }
        offset += 8;
    }
    let at = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    rest.get(at).map(|byte| (offset + at, classify(*byte)))
}

fn classify(byte: u8) -> Stop {
    match byte {
        b'"' => Stop::Quote,
        b'\\' => Stop::Escape,
        _ => Stop::Control,
    }
}

/// Text of bytes that may not be UTF-8, each bad sequence as one U+FFFD.
///
/// A sequence is as long as its first byte says or up to the byte that does not continue it; what the end of the text
/// cuts off is one bad sequence to the end. These are jq's rules, which differ from the Unicode recommendation.
pub(crate) fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    let mut rest = match std::str::from_utf8(bytes) {
        Ok(text) => return text.into(),
        Err(_) => bytes,
    };
    let mut out = String::with_capacity(bytes.len() + 8);
    loop {
        match std::str::from_utf8(rest) {
            Ok(text) => {
                out.push_str(text);
                return out.into();
            }
            Err(error) => {
                let (good, bad) = rest.split_at_checked(error.valid_up_to()).unwrap_or((rest, &[]));
                out.push_str(std::str::from_utf8(good).unwrap_or_default());
                out.push('\u{fffd}');
                rest = bad.get(bad_length(bad)..).unwrap_or_default();
            }
        }
    }
}

fn bad_length(bad: &[u8]) -> usize {
    let wanted = match bad.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return 1,
    };
    match bad.get(..wanted) {
        None => bad.len(),
        Some(sequence) => sequence
            .iter()
            .skip(1)
            .position(|byte| !(0x80..0xc0).contains(byte))
            .map_or(wanted, |continued| continued + 1),
    }
}

/// The text between two quotes, with its escapes resolved. `plain` says that there is neither escape nor control
/// character in it.
///
/// # Errors
/// jq's text for what is wrong.
pub(crate) fn string(raw: &[u8], plain: bool) -> Result<Rc<str>, &'static str> {
    if plain {
        return Ok(lossy(raw).into());
    }
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((at, stop)) = find_stop(rest) {
        let (before, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(before);
        if stop == Stop::Control {
            return Err("Invalid string: control characters from U+0000 through U+001F must be escaped");
        }
        let Some((escape, mut tail)) = after.get(1..).and_then(|after| after.split_first()) else {
            return Err("Expected escape character at end of string");
        };
        match escape {
            b'"' | b'\\' | b'/' => out.push(*escape),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let code;
                (code, tail) = unicode_escape(tail)?;
                encode(code, &mut out);
            }
            _ => return Err("Invalid escape"),
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
    Ok(lossy(&out).into())
}

/// What follows `\u`: the code point and the rest.
fn unicode_escape(text: &[u8]) -> Result<(u32, &[u8]), &'static str> {
    const PAIR: &str = "Invalid \\uXXXX\\uXXXX surrogate pair escape";
    let (digits, rest) = text.split_first_chunk::<4>().ok_or("Invalid \\uXXXX escape")?;
    let high = hexadecimal(digits).ok_or("Invalid characters in \\uXXXX escape")?;
    if !(0xd800..0xdc00).contains(&high) {
        return Ok((high, rest));
    }
    let (pair, rest) = rest.split_first_chunk::<6>().ok_or(PAIR)?;
    let [b'\\', b'u', digits @ ..] = pair else { return Err(PAIR) };
    let low = hexadecimal(digits).filter(|low| (0xdc00..0xe000).contains(low)).ok_or(PAIR)?;
    Ok((0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00)), rest))
}

fn hexadecimal(digits: &[u8; 4]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| char::from(*digit).to_digit(16).map(|digit| value << 4 | digit))
}

fn encode(code: u32, out: &mut Vec<u8>) {
    match char::from_u32(code) {
        Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        // A low surrogate without its high one: encoded as it stands, and so replaced with the other bad sequences.
        None => out.extend_from_slice(&[
            0xe0 | (code >> 12) as u8,
            0x80 | (code >> 6 & 0x3f) as u8,
            0x80 | (code & 0x3f) as u8,
        ]),
    }
}

/// The value of a bare word: `true`, `false`, `null` or a number with all that jq lets pass for one.
///
/// # Errors
/// jq's text for what is wrong.
pub(crate) fn literal(word: &[u8]) -> Result<Value, &'static str> {
    match word {
        b"true" => return Ok(Value::Bool(true)),
        b"false" => return Ok(Value::Bool(false)),
        b"null" => return Ok(Value::Null),
        [b't' | b'f', ..] | [b'n', b'u', ..] => return Err("Invalid literal"),
        [b'\'', ..] => return Err("Invalid string literal; expected \", but got '"),
        _ => {}
    }
    if let Some(number) = short_number(word) {
        return Ok(Value::Number(number));
    }
    let number = std::str::from_utf8(word).ok().and_then(Number::parse);
    number.map(Value::Number).ok_or("Invalid numeric literal")
}

/// Powers of ten that a double holds exactly.
const TENS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The numbers people write: up to 15 digits, perhaps a fraction, and the double prints as the literal reads. One
/// division of two exact doubles is rounded correctly. `None` leaves it to the long way.
fn short_number(word: &[u8]) -> Option<Number> {
    let (negative, digits) = match word.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, word),
    };
    if digits.len() > 16 {
        return None;
    }
    let mut value: u64 = 0;
    let mut point = None;
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() && at > 0 => point = Some(at),
            _ => return None,
        }
    }
    let count = digits.len() - usize::from(point.is_some());
    // Leading zeros, and small fractions whose double prints with an exponent.
    if count == 0 || count > 15 || (digits.first() == Some(&b'0') && digits.len() > 1 && point != Some(1)) {
        return None;
    }
    let magnitude = match point {
        None => value as f64,
        Some(at) => {
            let fraction = digits.len() - at - 1;
            if fraction == 0 || digits.last() == Some(&b'0') || (at == 1 && digits.starts_with(b"0.0000")) {
                return None;
            }
            value as f64 / TENS.get(fraction)?
        }
    };
    Some(Number::short(if negative { -magnitude } else { magnitude }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stops() {
        assert_eq!(find_stop(b"abc"), None);
        assert_eq!(find_stop(b"abcdefgh\"x"), Some((8, Stop::Quote)));
        assert_eq!(find_stop(b"abcdefg\\x"), Some((7, Stop::Escape)));
        assert_eq!(find_stop(b"0123456789\n"), Some((10, Stop::Control)));
        assert_eq!(find_stop("ää\u{80}\u{7f}öööööö\"".as_bytes()), Some((19, Stop::Quote)));
    }

    #[test]
    fn escapes() {
        let read = |text: &str| string(text.as_bytes(), false);
        assert_eq!(&*read(r#"a\"\\\/\b\f\n\r\t"#).unwrap(), "a\"\\/\u{8}\u{c}\n\r\t");
        assert_eq!(&*read(r"\u00e9\ud83d\ude00x").unwrap(), "é😀x");
        assert_eq!(&*read(r"\udc00").unwrap(), "\u{fffd}");
        assert_eq!(read(r"\ud800x"), Err("Invalid \\uXXXX\\uXXXX surrogate pair escape"));
        assert_eq!(read(r"\ud800\u0041"), Err("Invalid \\uXXXX\\uXXXX surrogate pair escape"));
        assert_eq!(read(r"\u12"), Err("Invalid \\uXXXX escape"));
        assert_eq!(read(r"\u12g4"), Err("Invalid characters in \\uXXXX escape"));
        assert_eq!(read(r"\x"), Err("Invalid escape"));
        assert!(read("a\tb").unwrap_err().starts_with("Invalid string"));
        assert!(read("a\0b").unwrap_err().starts_with("Invalid string"));
    }

    #[test]
    fn bad_utf8_is_replaced_by_sequences() {
        for (bytes, text) in [
            (&b"a\xffb"[..], "a\u{fffd}b"),
            (b"\x80\x80", "\u{fffd}\u{fffd}"),
            (b"\xe2a", "\u{fffd}"),
            (b"\xe2ab", "\u{fffd}ab"),
            (b"\xf0\x9f\x98A", "\u{fffd}A"),
            (b"\xe0\x80\x80", "\u{fffd}"),
            (b"\xed\xa0\x80x", "\u{fffd}x"),
            (b"\xc0\x80", "\u{fffd}\u{fffd}"),
            (b"\xf5\x80", "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(lossy(bytes), text, "{bytes:x?}");
        }
    }

    #[test]
    fn words() {
        assert_eq!(literal(b"true"), Ok(Value::Bool(true)));
        assert_eq!(literal(b"truth"), Err("Invalid literal"));
        assert_eq!(literal(b"nul"), Err("Invalid literal"));
        assert_eq!(literal(b"nope"), Err("Invalid numeric literal"));
        assert_eq!(literal(b"'a'"), Err("Invalid string literal; expected \", but got '"));
        assert!(matches!(literal(b"nan"), Ok(Value::Number(n)) if n.is_nan()));
    }

    proptest! {
        /// The short way and the long way are the same number with the same text.
        #[test]
        fn short_numbers(word in "-?[0-9]{0,8}(\\.[0-9]{0,9})?") {
            if let Some(short) = short_number(word.as_bytes()) {
                let long = Number::parse(&word).unwrap();
                let (mut a, mut b) = (String::new(), String::new());
                short.write(&mut a);
                long.write(&mut b);
                prop_assert_eq!(a, b);
                prop_assert_eq!(short.value().to_bits(), long.value().to_bits());
                prop_assert!(long.literal().is_none());
            }
        }

        #[test]
        fn any_bytes(raw in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = string(&raw, false);
            let _ = literal(&raw);
            if std::str::from_utf8(&raw).is_err() {
                prop_assert!(lossy(&raw).contains(char::REPLACEMENT_CHARACTER));
            }
        }
    }
}
