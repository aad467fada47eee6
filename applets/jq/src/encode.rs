//! Text halves of jq's `@format` filters: what one string becomes in a row, a page, an address or a shell line.
//!
//! Facts: jq 1.8 manual, "Format strings and escaping"; RFC 4648 (base32, base64); RFC 3986 section 2.3 (unreserved).
//! A NUL inside a value appears as `\0` in the row, page and shell formats, as jq prints it.
//! Deliberate difference: `@urid` keeps a literal character above U+007F, where jq 1.8 replaces each of its bytes.
//!
//! Errors are the words that jq puts after the type and the value: `string ("...") is not valid base64 data`.

/// `string (...)` is no base64: a character outside the alphabet, RFC 4648 section 4.
pub(crate) const NOT_BASE64: &str = "is not valid base64 data";
/// One base64 character is left over, which holds six bits and so no byte.
pub(crate) const TRAILING_BASE64: &str = "trailing base64 byte found";
/// A percent sign without two digits, or bytes that are no UTF-8.
pub(crate) const NOT_URI: &str = "is not a valid uri encoding";
/// A character outside base32, RFC 4648 section 6.
pub(crate) const NOT_BASE32: &str = "is not valid base32 data";

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// `@html`: the five characters that mean something in HTML and XML.
pub(crate) fn html(text: &str) -> String {
    escape(text, |c| match c {
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '&' => Some("&amp;"),
        '\'' => Some("&apos;"),
        '"' => Some("&quot;"),
        _ => None,
    })
}

/// One string of an `@csv` row, with its quotes (RFC 4180 section 2).
pub(crate) fn csv(text: &str) -> String {
    format!("\"{}\"", escape(text, |c| (c == '"').then_some("\"\"")))
}

/// One string of a `@tsv` row.
pub(crate) fn tsv(text: &str) -> String {
    escape(text, |c| match c {
        '\t' => Some("\\t"),
        '\r' => Some("\\r"),
        '\n' => Some("\\n"),
        '\\' => Some("\\\\"),
        _ => None,
    })
}

/// One string of an `@sh` line, in single quotes (POSIX shell, section 2.2.2).
pub(crate) fn sh(text: &str) -> String {
    format!("'{}'", escape(text, |c| (c == '\'').then_some("'\\''")))
}

fn escape(text: &str, replacement: impl Fn(char) -> Option<&'static str>) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match if c == '\0' { Some("\\0") } else { replacement(c) } {
            Some(word) => out.push_str(word),
            None => out.push(c),
        }
    }
    out
}

/// `@uri`: every byte outside the unreserved set as `%XX`.
pub(crate) fn uri(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from(b"0123456789ABCDEF".get(usize::from(half)).copied().unwrap_or(b'0'));
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

/// `@urid`: the inverse; `+` stays, and a NUL may come out of `%00`.
pub(crate) fn urid(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (pair, after) = after.split_first_chunk::<2>().ok_or(NOT_URI)?;
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or(NOT_URI);
        let [high, low] = *pair;
        bytes.push(digit(high)? << 4 | digit(low)?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| NOT_URI)
}

/// `@base64` with padding, RFC 4648 section 4.
pub(crate) fn base64(text: &str) -> String {
    bits(text.as_bytes(), 6, 4, BASE64)
}

/// `@base32` with padding, RFC 4648 section 6.
pub(crate) fn base32(text: &str) -> String {
    bits(text.as_bytes(), 5, 8, BASE32)
}

/// Cuts `bytes` into groups of `width` bits and pads the text to a multiple of `unit` characters.
fn bits(bytes: &[u8], width: u32, unit: usize, alphabet: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 8 / 5 + 8);
    let mask = (1u32 << width) - 1;
    let (mut held, mut count) = (0u32, 0u32);
    let symbol = |value: u32| {
        let index = usize::try_from(value & mask).unwrap_or(0);
        char::from(alphabet.get(index).copied().unwrap_or(b'='))
    };
    for &byte in bytes {
        held = (held << 8 | u32::from(byte)) & 0xffff;
        count += 8;
        while count >= width {
            count -= width;
            out.push(symbol(held >> count));
        }
    }
    if count > 0 {
        out.push(symbol(held << (width - count)));
    }
    while !out.len().is_multiple_of(unit) {
        out.push('=');
    }
    out
}

/// `@base64d`: reads up to the first `=`; bytes that are no UTF-8 become U+FFFD.
pub(crate) fn base64d(text: &str) -> Result<String, &'static str> {
    let (bytes, symbols) = unbits(text, 6, BASE64).ok_or(NOT_BASE64)?;
    // Characters of no value at all still decode to nothing; a single one left over is an error.
    if symbols % 4 == 1 {
        return Err(TRAILING_BASE64);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `@base32d`: reads up to the first `=`; bytes that are no UTF-8 become U+FFFD.
pub(crate) fn base32d(text: &str) -> Result<String, &'static str> {
    let (bytes, symbols) = unbits(text, 5, BASE32).ok_or(NOT_BASE32)?;
    if matches!(symbols % 8, 1 | 3 | 6) {
        return Err(NOT_BASE32);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The bytes before the padding and the number of characters read; `None` for a character outside the alphabet.
fn unbits(text: &str, width: u32, alphabet: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut held, mut count, mut symbols) = (0u32, 0u32, 0);
    for symbol in text.bytes().take_while(|&b| b != b'=') {
        let value = alphabet.iter().position(|&b| b == symbol)?;
        held = (held << width | u32::try_from(value).ok()?) & 0xffff;
        count += width;
        symbols += 1;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(held >> count & 0xff).ok()?);
        }
    }
    Some((bytes, symbols))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_pages_and_shell_lines() {
        assert_eq!(html("<a href='x'>\"&\"</a>"), "&lt;a href=&apos;x&apos;&gt;&quot;&amp;&quot;&lt;/a&gt;");
        assert_eq!(csv("say \"hi\", you"), "\"say \"\"hi\"\", you\"");
        assert_eq!(tsv("a\tb\\c\r\n"), "a\\tb\\\\c\\r\\n");
        assert_eq!(sh("it's"), "'it'\\''s'");
        assert_eq!((tsv("\0"), sh("")), ("\\0".to_owned(), "''".to_owned()));
    }

    #[test]
    fn addresses() {
        assert_eq!(uri("a b/ü~-_.!*'()"), "a%20b%2F%C3%BC~-_.%21%2A%27%28%29");
        assert_eq!(urid("a%20b+%c3%BC").unwrap(), "a b+ü");
        assert_eq!(urid("ü%00").unwrap(), "ü\0");
        for broken in ["%", "%2", "%zz", "%ff", "%E2%82", "%C3x"] {
            assert_eq!(urid(broken), Err(NOT_URI), "{broken}");
        }
    }

    #[test]
    fn base_n() {
        // RFC 4648 section 10.
        let words = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let sixty_four = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        let thirty_two = ["", "MY======", "MZXQ====", "MZXW6===", "MZXW6YQ=", "MZXW6YTB", "MZXW6YTBOI======"];
        for ((word, b64), b32) in words.iter().zip(sixty_four).zip(thirty_two) {
            assert_eq!((base64(word), base32(word)), (b64.to_owned(), b32.to_owned()));
            assert_eq!((base64d(b64).unwrap(), base32d(b32).unwrap()), ((*word).to_owned(), (*word).to_owned()));
        }
        assert_eq!(base64d("Zm8").unwrap(), "fo");
        assert_eq!(base64d("Zm8=ignored").unwrap(), "fo");
        assert_eq!(base64d("=").unwrap(), "");
        assert_eq!(base64d("Z"), Err(TRAILING_BASE64));
        assert_eq!(base64d("Zm8v\nZ"), Err(NOT_BASE64));
        assert_eq!(base64d("/w==").unwrap(), "\u{fffd}");
        assert_eq!(base32d("m"), Err(NOT_BASE32));
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(text in any::<String>()) {
            prop_assert_eq!(urid(&uri(&text)).unwrap(), text.clone());
            prop_assert_eq!(base64d(&base64(&text)).unwrap(), text.clone());
            prop_assert_eq!(base32d(&base32(&text)).unwrap(), text);
        }

        #[test]
        fn hostile_input_is_only_refused(text in any::<String>()) {
            let _ = (urid(&text), base64d(&text), base32d(&text));
        }
    }
}
