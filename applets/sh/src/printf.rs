//! printf(1) and echo(1) (POSIX.1-2024), as dash has them.

use crate::ast::Bytes;

/// Which escapes a text may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// A format of printf: `\ddd`.
    Format,
    /// `%b` and echo: `\0ddd`, and `\c` ends all output.
    Text,
    /// `$'...'`: quotes, `\xHH`, `\cX`.
    Dollar,
}

/// The bytes that an escape stands for, which begins after its backslash, and how many bytes it took.
pub(crate) fn escape(rest: &[u8], kind: Escapes) -> (Bytes, usize) {
    let Some(byte) = rest.first().copied() else { return (b"\\".to_vec(), 0) };
    let one = |byte: u8| (vec![byte], 1);
    match byte {
        b'a' => one(7),
        b'b' => one(8),
        b'f' => one(12),
        b'n' => one(b'\n'),
        b'r' => one(b'\r'),
        b't' => one(b'\t'),
        b'v' => one(11),
        b'\\' => one(b'\\'),
        b'e' => one(27),
        b'\'' | b'"' | b'?' if kind == Escapes::Dollar => one(byte),
        b'x' if kind == Escapes::Dollar => {
            let (value, count) = digits(rest.get(1..).unwrap_or_default(), 16, 2);
            if count == 0 { (b"\\x".to_vec(), 1) } else { (vec![value], count + 1) }
        }
        b'c' if kind == Escapes::Dollar => match rest.get(1) {
            Some(letter) => (vec![letter & 0x1f], 2),
            None => (b"\\c".to_vec(), 1),
        },
        b'0' if kind == Escapes::Text => {
            let (value, count) = digits(rest.get(1..).unwrap_or_default(), 8, 3);
            (vec![value], count + 1)
        }
        b'0'..=b'7' => {
            let (value, count) = digits(rest, 8, 3);
            (vec![value], count)
        }
        _ => (vec![b'\\', byte], 1),
    }
}

fn digits(text: &[u8], base: u32, most: usize) -> (u8, usize) {
    let mut value = 0u32;
    let mut count = 0;
    for byte in text.iter().take(most) {
        let Some(digit) = char::from(*byte).to_digit(base) else { break };
        value = value * base + digit;
        count += 1;
    }
    (u8::try_from(value & 0xff).unwrap_or(0), count)
}

/// Replaces all escapes; whether `\c` ended the output.
pub(crate) fn unescape(text: &[u8]) -> (Bytes, bool) {
    let mut out = Bytes::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        if rest.first() == Some(&b'c') {
            return (out, true);
        }
        let (bytes, used) = escape(rest, Escapes::Text);
        out.extend_from_slice(&bytes);
        at += used;
    }
    (out, false)
}

/// What echo(1) prints: dash replaces escapes, `-n` leaves the newline out.
pub(crate) fn echo(arguments: &[Bytes]) -> Bytes {
    let (newline, rest) = match arguments {
        [first, rest @ ..] if first == b"-n" => (false, rest),
        all => (true, all),
    };
    let (mut out, ended) = unescape(&rest.join(&b' '));
    if newline && !ended {
        out.push(b'\n');
    }
    out
}

/// The most a width or precision may be.
const WIDEST: usize = 1 << 16;

/// What printf(1) prints, and complaints about arguments, each worth status 1.
///
/// # Errors
/// What is wrong with the format.
pub(crate) fn printf(format: &[u8], arguments: &[Bytes]) -> (Bytes, Vec<String>) {
    let mut job = Job { out: Bytes::new(), arguments, next: 0, complaints: Vec::new() };
    loop {
        let before = job.next;
        let goes_on = job.once(format);
        // The format is used again as long as arguments are left and it takes some.
        if !goes_on || job.next >= arguments.len() || job.next == before {
            return (job.out, job.complaints);
        }
    }
}

struct Job<'a> {
    out: Bytes,
    arguments: &'a [Bytes],
    next: usize,
    complaints: Vec<String>,
}

#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

impl Job<'_> {
    fn argument(&mut self) -> Option<Bytes> {
        let argument = self.arguments.get(self.next).cloned();
        self.next += 1;
        argument
    }

    /// Goes through the format once; false ends all output.
    fn once(&mut self, format: &[u8]) -> bool {
        let mut at = 0;
        while let Some(byte) = format.get(at).copied() {
            at += 1;
            match byte {
                b'\\' => {
                    let rest = format.get(at..).unwrap_or_default();
                    let (bytes, used) = escape(rest, Escapes::Format);
                    self.out.extend_from_slice(&bytes);
                    at += used;
                }
                b'%' if format.get(at) == Some(&b'%') => {
                    self.out.push(b'%');
                    at += 1;
                }
                b'%' => {
                    let start = at;
                    let spec = self.spec(format, &mut at);
                    let Some(letter) = format.get(at).copied() else {
                        self.complaints.push("missing format character".to_owned());
                        return false;
                    };
                    at += 1;
                    if !self.convert(&spec, letter) {
                        if !b"bcsdiouxXeEfFgGaA".contains(&letter) {
                            let text = String::from_utf8_lossy(format.get(start..at).unwrap_or_default());
                            self.complaints.push(format!("%{text}: invalid directive"));
                        }
                        return false;
                    }
                }
                _ => self.out.push(byte),
            }
        }
        true
    }

    fn spec(&mut self, format: &[u8], at: &mut usize) -> Spec {
        let mut spec = Spec::default();
        loop {
            match format.get(*at) {
                Some(b'-') => spec.left = true,
                Some(b'+') => spec.plus = true,
                Some(b' ') => spec.space = true,
                Some(b'#') => spec.alternate = true,
                Some(b'0') => spec.zero = true,
                _ => break,
            }
            *at += 1;
        }
        if format.get(*at) == Some(&b'*') {
            *at += 1;
            let width = self.integer();
            spec.left |= width < 0;
            spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(0).min(WIDEST);
        } else {
            spec.width = count(format, at);
        }
        if format.get(*at) == Some(&b'.') {
            *at += 1;
            spec.precision = if format.get(*at) == Some(&b'*') {
                *at += 1;
                usize::try_from(self.integer()).ok().map(|precision| precision.min(WIDEST))
            } else {
                Some(count(format, at))
            };
        }
        while matches!(format.get(*at), Some(b'l' | b'h' | b'q' | b'j' | b'z' | b't' | b'L')) {
            *at += 1;
        }
        spec
    }

    fn convert(&mut self, spec: &Spec, letter: u8) -> bool {
        match letter {
            b's' => {
                let text = self.argument().unwrap_or_default();
                let shown = text.get(..spec.precision.unwrap_or(text.len())).unwrap_or(&text);
                self.pad(spec, b"", shown, false);
            }
            b'b' => {
                let text = self.argument().unwrap_or_default();
                let (text, ended) = unescape(&text);
                let shown = text.get(..spec.precision.unwrap_or(text.len())).unwrap_or(&text);
                self.pad(spec, b"", shown, false);
                return !ended;
            }
            b'c' => {
                let text = self.argument().unwrap_or_default();
                // Without a character it is a zero byte, as dash and ash have it.
                self.pad(spec, b"", &[text.first().copied().unwrap_or(0)], false);
            }
            b'd' | b'i' => {
                let value = self.integer();
                let sign: &[u8] = match value {
                    i64::MIN..0 => b"-",
                    _ if spec.plus => b"+",
                    _ if spec.space => b" ",
                    _ => b"",
                };
                self.number(spec, sign, value.unsigned_abs().to_string().into_bytes());
            }
            b'o' | b'u' | b'x' | b'X' => {
                let value = self.integer().cast_unsigned();
                let (prefix, digits): (&[u8], String) = match letter {
                    b'o' => (b"", format!("{}{value:o}", if spec.alternate && value != 0 { "0" } else { "" })),
                    b'u' => (b"", value.to_string()),
                    b'x' => (if spec.alternate && value != 0 { b"0x" } else { b"" }, format!("{value:x}")),
                    _ => (if spec.alternate && value != 0 { b"0X" } else { b"" }, format!("{value:X}")),
                };
                self.number(spec, prefix, digits.into_bytes());
            }
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' => {
                let value = self.float();
                let text = float(value.abs(), letter, spec.precision.unwrap_or(6).min(400), spec.alternate);
                let sign: &[u8] = match value.is_sign_negative() {
                    true => b"-",
                    false if spec.plus => b"+",
                    false if spec.space => b" ",
                    false => b"",
                };
                let zero = spec.zero && value.is_finite();
                self.pad(
                    &Spec { zero, ..Spec { left: spec.left, width: spec.width, ..Spec::default() } },
                    sign,
                    text.as_bytes(),
                    zero,
                );
            }
            _ => return false,
        }
        true
    }

    fn number(&mut self, spec: &Spec, prefix: &[u8], mut digits: Bytes) {
        if let Some(precision) = spec.precision {
            if precision == 0 && digits == b"0" {
                digits.clear();
            }
            while digits.len() < precision {
                digits.insert(0, b'0');
            }
        }
        self.pad(spec, prefix, &digits, spec.zero && spec.precision.is_none());
    }

    fn pad(&mut self, spec: &Spec, prefix: &[u8], text: &[u8], zeros: bool) {
        let fill = spec.width.saturating_sub(prefix.len() + text.len());
        if !spec.left && !zeros {
            self.out.extend(std::iter::repeat_n(b' ', fill));
        }
        self.out.extend_from_slice(prefix);
        if !spec.left && zeros {
            self.out.extend(std::iter::repeat_n(b'0', fill));
        }
        self.out.extend_from_slice(text);
        if spec.left {
            self.out.extend(std::iter::repeat_n(b' ', fill));
        }
    }

    /// The next argument as an integer: C constants, or the code of the character after a quote.
    fn integer(&mut self) -> i64 {
        let Some(argument) = self.argument() else { return 0 };
        if let [b'\'' | b'"', rest @ ..] = argument.as_slice() {
            return i64::from(rest.first().copied().unwrap_or(0));
        }
        let text = argument.trim_ascii_start();
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let (base, digits) = match digits {
            [b'0', b'x' | b'X', rest @ ..] => (16, rest),
            [b'0', ..] => (8, digits),
            _ => (10, digits),
        };
        let mut value = 0u64;
        let mut used = 0;
        let mut large = false;
        for byte in digits {
            let Some(digit) = char::from(*byte).to_digit(base) else { break };
            match value.checked_mul(u64::from(base)).and_then(|value| value.checked_add(u64::from(digit))) {
                Some(next) => value = next,
                None => large = true,
            }
            used += 1;
        }
        let shown = String::from_utf8_lossy(&argument).into_owned();
        if used == 0 {
            self.complaints.push(format!("{shown}: expected numeric value"));
            return 0;
        }
        if used < digits.len() {
            self.complaints.push(format!("{shown}: not completely converted"));
        }
        let limit = i64::MAX.unsigned_abs();
        if large || value > limit + u64::from(negative) {
            if large || negative {
                self.complaints.push(format!("{shown}: Numerical result out of range"));
            }
            // `%u` and `%x` print what only fits without a sign.
            return if negative {
                i64::MIN
            } else if large {
                i64::MAX
            } else {
                value.cast_signed()
            };
        }
        if negative { value.cast_signed().wrapping_neg() } else { value.cast_signed() }
    }

    fn float(&mut self) -> f64 {
        let Some(argument) = self.argument() else { return 0.0 };
        if let [b'\'' | b'"', rest @ ..] = argument.as_slice() {
            return f64::from(rest.first().copied().unwrap_or(0));
        }
        let text = String::from_utf8_lossy(&argument).into_owned();
        let trimmed = text.trim_start();
        // The longest beginning that is a number.
        let found =
            (1..=trimmed.len().min(400)).rev().find_map(|end| Some((trimmed.get(..end)?.parse::<f64>().ok()?, end)));
        match found {
            Some((value, end)) => {
                if end < trimmed.len() {
                    self.complaints.push(format!("{text}: not completely converted"));
                }
                value
            }
            None => {
                self.complaints.push(format!("{text}: expected numeric value"));
                0.0
            }
        }
    }
}

fn count(format: &[u8], at: &mut usize) -> usize {
    let mut value = 0usize;
    while let Some(digit) = format.get(*at).filter(|byte| byte.is_ascii_digit()) {
        value = (value * 10 + usize::from(digit - b'0')).min(WIDEST);
        *at += 1;
    }
    value
}

/// C's `%e`, `%f` and `%g` for a value that is not negative.
fn float(value: f64, letter: u8, precision: usize, alternate: bool) -> String {
    if !value.is_finite() {
        let text = if value.is_nan() { "nan" } else { "inf" };
        return if letter.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text.to_owned() };
    }
    let exponential = |precision: usize| {
        let text = format!("{value:.precision$e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        (digits.to_owned(), exponent)
    };
    let shown = |digits: &str, exponent: i32| {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    };
    let text = match letter.to_ascii_lowercase() {
        b'f' => format!("{value:.precision$}"),
        b'e' => {
            let (digits, exponent) = exponential(precision);
            shown(&digits, exponent)
        }
        _ => {
            let precision = precision.max(1);
            let (digits, exponent) = exponential(precision - 1);
            let trim = |text: String| {
                if alternate || !text.contains('.') {
                    text
                } else {
                    text.trim_end_matches('0').trim_end_matches('.').to_owned()
                }
            };
            match usize::try_from(exponent) {
                Ok(exponent) if exponent < precision => trim(format!("{value:.*}", precision - 1 - exponent)),
                Err(_) if exponent >= -4 => {
                    let places = precision + usize::try_from(-exponent).unwrap_or(0) - 1;
                    trim(format!("{value:.places$}"))
                }
                _ => shown(&trim(digits), exponent),
            }
        }
    };
    if letter.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(format: &str, arguments: &[&str]) -> String {
        let arguments: Vec<Bytes> = arguments.iter().map(|text| text.as_bytes().to_vec()).collect();
        String::from_utf8_lossy(&printf(format.as_bytes(), &arguments).0).into_owned()
    }

    #[test]
    fn formats() {
        assert_eq!(print("%s-%s\\n", &["a", "b", "c"]), "a-b\nc-\n");
        assert_eq!(print("%5d|%-5d|%05d", &["42", "42", "42"]), "   42|42   |00042");
        assert_eq!(print("%x %o %X %#x", &["255", "8", "255", "255"]), "ff 10 FF 0xff");
        assert_eq!(print("%.2f %e %g", &["3.14159", "12345.678", "0.0001"]), "3.14 1.234568e+04 0.0001");
        assert_eq!(print("%b|%s", &["a\\tb", "a\\tb"]), "a\tb|a\\tb");
        assert_eq!(print("%d", &["'A"]), "65");
        assert_eq!(print("\\101%%", &[]), "A%");
        assert_eq!(print("%.3s|%c", &["abcdef", "xyz"]), "abc|x");
        assert_eq!(print("%d", &["0x10"]), "16");
        assert_eq!(printf(b"%d", &[b"3x".to_vec()]).1, ["3x: not completely converted"]);
    }

    #[test]
    fn echo_replaces_escapes() {
        assert_eq!(echo(&[b"-n".to_vec(), b"a\\tb".to_vec()]), b"a\tb");
        assert_eq!(echo(&[b"a\\cb".to_vec(), b"x".to_vec()]), b"a");
        assert_eq!(echo(&[b"\\0101".to_vec()]), b"A\n");
    }
}
