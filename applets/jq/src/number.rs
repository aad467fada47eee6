//! Numbers as jq 1.8 has them: IEEE 754 doubles, and the digits of a literal for as long as nobody calculates with it.
//!
//! A literal is printed in the canonical form of the General Decimal Arithmetic specification ("to-scientific-string"),
//! and two literals are compared at full precision; everything else goes through the double.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::rc::Rc;

/// Largest adjusted exponent a literal may have before it counts as infinite (jq's decimal context).
const MAX_EXPONENT: i64 = 999_999_999;

/// A JSON number.
#[derive(Clone, Debug)]
pub struct Number(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// A result of arithmetic.
    Float(f64),
    /// A literal whose canonical text is what its double prints, so the digits need no place of their own.
    Short(f64),
    /// A literal whose digits say more than its double, or say it otherwise (`1.000`, `1E+1000`, 2^53 and above).
    Literal(Rc<Literal>),
}

#[derive(Debug)]
struct Literal {
    value: f64,
    /// Canonical text.
    text: Box<str>,
}

impl Number {
    /// A computed number, without literal.
    pub fn from_f64(value: f64) -> Number {
        Number(Kind::Float(value))
    }

    /// A literal of at most 15 significant digits without exponent and without closing zero in its fraction;
    /// the reader's short way.
    pub(crate) fn short(value: f64) -> Number {
        Number(Kind::Short(value))
    }

    /// The number that a literal means; `None` when the text is none.
    ///
    /// Accepted is what jq's decimal reader accepts: an optional sign, digits with at most one point and at least one
    /// digit, an optional exponent; `nan`, `infinity` and `inf` in any case with a sign. Leading zeros and a bare point
    /// at either end are fine.
    pub fn parse(text: &str) -> Option<Number> {
        let (negative, body) = match text.as_bytes() {
            [b'-', ..] => (true, text.get(1..)?),
            [b'+', ..] => (false, text.get(1..)?),
            _ => (false, text),
        };
        if body.eq_ignore_ascii_case("nan") {
            return Some(Number::from_f64(f64::NAN));
        }
        if body.eq_ignore_ascii_case("infinity") || body.eq_ignore_ascii_case("inf") {
            return Some(Number::from_f64(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
        }
        let decimal = Decimal::parse(negative, body)?;
        let value: f64 = decimal.plain_text().parse().ok()?;
        let Some(canonical) = decimal.canonical() else {
            return Some(Number::from_f64(value));
        };
        let mut printed = String::new();
        write_f64(&mut printed, value);
        // Above 2^53 a double stands for several integers, so a comparison needs the digits even where they print alike.
        if printed == canonical && decimal.digits.len() <= 15 {
            return Some(Number::short(value));
        }
        Some(Number(Kind::Literal(Rc::new(Literal { value, text: canonical.into_boxed_str() }))))
    }

    /// The double nearest to it.
    pub fn value(&self) -> f64 {
        match &self.0 {
            Kind::Float(value) | Kind::Short(value) => *value,
            Kind::Literal(literal) => literal.value,
        }
    }

    /// Whether it still is the literal that was read.
    pub fn is_literal(&self) -> bool {
        !matches!(self.0, Kind::Float(_))
    }

    /// The digits of a literal that differ from what its double prints.
    pub fn literal(&self) -> Option<&str> {
        match &self.0 {
            Kind::Literal(literal) => Some(&literal.text),
            _ => None,
        }
    }

    /// Not a number.
    pub fn is_nan(&self) -> bool {
        self.value().is_nan()
    }

    /// `-x`, which keeps the digits of a literal (jq 1.8). The negative of a literal zero is `-0`.
    #[must_use]
    pub fn negated(&self) -> Number {
        match &self.0 {
            Kind::Float(value) => Number::from_f64(-value),
            Kind::Short(value) => Number::short(-value),
            Kind::Literal(literal) => {
                let text = match literal.text.strip_prefix('-') {
                    Some(digits) => digits.into(),
                    None => format!("-{}", literal.text).into_boxed_str(),
                };
                Number(Kind::Literal(Rc::new(Literal { value: -literal.value, text })))
            }
        }
    }

    /// The order of jq's operators: literals by their digits, else by doubles; NaN is below every number, itself too.
    pub fn compare(&self, other: &Number) -> Ordering {
        let exact = match (&self.0, &other.0) {
            (Kind::Literal(a), Kind::Literal(b)) if a.text == b.text => return Ordering::Equal,
            (Kind::Literal(_), Kind::Literal(_) | Kind::Short(_)) | (Kind::Short(_), Kind::Literal(_)) => {
                Decimal::of(self).zip(Decimal::of(other))
            }
            _ => None,
        };
        if let Some((a, b)) = exact {
            return a.compare(&b);
        }
        let (a, b) = (self.value(), other.value());
        match a.partial_cmp(&b) {
            Some(order) => order,
            None if a.is_nan() => Ordering::Less,
            None => Ordering::Greater,
        }
    }

    /// Appends the text jq prints: `null` for NaN, the digits of a literal, else the shortest text of the double, with
    /// infinities brought back to the largest double.
    pub fn write(&self, out: &mut String) {
        match &self.0 {
            Kind::Literal(literal) => out.push_str(&literal.text),
            Kind::Float(value) | Kind::Short(value) => write_f64(out, *value),
        }
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Number {
        Number::from_f64(value)
    }
}

/// Appends a double as jq prints it: the fewest digits that read back the same; an exponent of at least two digits from
/// 1e-05 downwards and where more than 15 zeros would follow the digits.
pub fn write_f64(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("null");
        return;
    }
    let value = value.clamp(f64::MIN, f64::MAX);
    // Integers that a double holds exactly and that never print with an exponent, which is most numbers there are.
    if value.abs() < 1e15 && value.fract() == 0.0 && (value != 0.0 || value.is_sign_positive()) {
        write_integer(out, value as i64);
        return;
    }
    let mut buffer = String::with_capacity(32);
    // std's exponent form is the shortest round trip: d[.ddd]e[-]x.
    let _ = write!(buffer, "{value:e}");
    let (mantissa, exponent) = buffer.split_once('e').unwrap_or((&buffer, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = 1 + rest.len() as i32;
    let point = exponent + 1;
    out.push_str(sign);
    if point <= -4 || point > digits + 15 {
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    } else if point <= 0 {
        out.push_str("0.");
        (point..0).for_each(|_| out.push('0'));
        out.push_str(first);
        out.push_str(rest);
    } else {
        let after = (point - 1) as usize;
        out.push_str(first);
        match (rest.get(..after), rest.get(after..)) {
            (Some(whole), Some(fraction)) => {
                out.push_str(whole);
                if !fraction.is_empty() {
                    out.push('.');
                    out.push_str(fraction);
                }
            }
            _ => {
                out.push_str(rest);
                (rest.len()..after).for_each(|_| out.push('0'));
            }
        }
    }
}

fn write_integer(out: &mut String, value: i64) {
    if value < 0 {
        out.push('-');
    }
    let mut rest = value.unsigned_abs();
    if rest < 10 {
        out.push(char::from(b'0' + rest as u8));
        return;
    }
    let mut digits = [0u8; 20];
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    let text = digits.get(digits.len() - used..).unwrap_or_default();
    out.push_str(std::str::from_utf8(text).unwrap_or_default());
}

/// sign, coefficient, exponent: the value is coefficient * 10^exponent.
struct Decimal {
    negative: bool,
    /// Significant digits without leading zeros; "0" for zero.
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(number: &Number) -> Option<Decimal> {
        let mut text = String::new();
        number.write(&mut text);
        let (negative, body) = match text.strip_prefix('-') {
            Some(body) => (true, body),
            None => (false, text.as_str()),
        };
        Decimal::parse(negative, body)
    }

    /// `body` is without sign.
    fn parse(negative: bool, body: &str) -> Option<Decimal> {
        let (mantissa, exponent) = match body.find(['e', 'E']) {
            Some(at) => (body.get(..at)?, body.get(at + 1..)?),
            None => (body, "0"),
        };
        let unsigned = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // An exponent of more digits than an i64 holds is out of every range; its sign decides.
        let magnitude = unsigned.parse::<i64>().unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
        let mut exponent = if exponent.starts_with('-') { -magnitude } else { magnitude };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            return None;
        }
        exponent -= fraction.len() as i64;
        let mut digits = String::with_capacity(whole.len() + fraction.len());
        digits.push_str(whole);
        digits.push_str(fraction);
        let significant = digits.trim_start_matches('0');
        let digits = if significant.is_empty() { "0".to_owned() } else { significant.to_owned() };
        Some(Decimal { negative, digits, exponent })
    }

    fn is_zero(&self) -> bool {
        self.digits == "0"
    }

    /// Exponent of the first digit.
    fn adjusted(&self) -> i64 {
        self.exponent + self.digits.len() as i64 - 1
    }

    /// A text std's float parser takes.
    fn plain_text(&self) -> String {
        let exponent = self.exponent.clamp(-2_000_000_000, 2_000_000_000);
        format!("{}{}e{exponent}", if self.negative { "-" } else { "" }, self.digits)
    }

    /// "to-scientific-string" of the decimal specification; `None` when it is beyond the largest exponent.
    fn canonical(&self) -> Option<String> {
        let mut out = String::with_capacity(self.digits.len() + 8);
        if self.negative {
            out.push('-');
        }
        let mut digits = self.digits.as_str();
        let mut exponent = self.exponent;
        if self.is_zero() {
            exponent = exponent.clamp(-MAX_EXPONENT, MAX_EXPONENT);
        } else if self.adjusted() > MAX_EXPONENT {
            return None;
        } else if self.adjusted() < -MAX_EXPONENT {
            digits = "0";
            exponent = -MAX_EXPONENT;
        }
        let count = digits.len() as i64;
        let adjusted = exponent + count - 1;
        if exponent <= 0 && adjusted >= -6 {
            let point = count + exponent;
            if exponent == 0 {
                out.push_str(digits);
            } else if point > 0 {
                let (whole, fraction) = digits.split_at_checked(point as usize)?;
                out.push_str(whole);
                out.push('.');
                out.push_str(fraction);
            } else {
                out.push_str("0.");
                (point..0).for_each(|_| out.push('0'));
                out.push_str(digits);
            }
        } else {
            let (first, rest) = digits.split_at_checked(1)?;
            out.push_str(first);
            if !rest.is_empty() {
                out.push('.');
                out.push_str(rest);
            }
            let _ = write!(out, "E{}{}", if adjusted < 0 { '-' } else { '+' }, adjusted.unsigned_abs());
        }
        Some(out)
    }

    fn compare(&self, other: &Decimal) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return if other.negative { Ordering::Greater } else { Ordering::Less },
            (false, true) => return if self.negative { Ordering::Less } else { Ordering::Greater },
            (false, false) => {}
        }
        match (self.negative, other.negative) {
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            _ => {}
        }
        let magnitude = self.adjusted().cmp(&other.adjusted()).then_with(|| {
            let (a, b) = (self.digits.trim_end_matches('0'), other.digits.trim_end_matches('0'));
            a.cmp(b)
        });
        if self.negative { magnitude.reverse() } else { magnitude }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(literal: &str) -> String {
        let mut out = String::new();
        Number::parse(literal).unwrap().write(&mut out);
        out
    }

    fn float(value: f64) -> String {
        let mut out = String::new();
        write_f64(&mut out, value);
        out
    }

    #[test]
    fn literals_print_canonically() {
        for (literal, text) in [
            ("1", "1"),
            ("007", "7"),
            ("-0", "-0"),
            ("1.000", "1.000"),
            ("100e-2", "1.00"),
            ("1e+0", "1"),
            ("1e2", "1E+2"),
            ("1e1000", "1E+1000"),
            ("-12.5e999", "-1.25E+1000"),
            ("0.00001", "0.00001"),
            ("0.0000001", "1E-7"),
            ("100000000000000000000", "100000000000000000000"),
            ("1.5e300", "1.5E+300"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0.10", "0.10"),
            ("1e2000000000", "1.7976931348623157e+308"),
            ("0e10", "0E+10"),
        ] {
            assert_eq!(shown(literal), text, "{literal}");
        }
    }

    #[test]
    fn doubles_print_the_shortest_text() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1e15, "1000000000000000"),
            (1e16, "1e+16"),
            (1e17, "1e+17"),
            (1.5e16, "15000000000000000"),
            (12345678901234567890.0, "12345678901234567000"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.5e-5, "1.5e-05"),
            (0.1 + 0.2, "0.30000000000000004"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-1.7976931348623157e+308"),
            (f64::NAN, "null"),
            (-1234567.5, "-1234567.5"),
            (1.1e100, "1.1e+100"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in ["", "-", ".", "e5", "1e", "1e+", "1.2.3", "0x10", "1_0", "nan1", "--1", "1 ", "٣"] {
            assert!(Number::parse(text).is_none(), "{text:?}");
        }
        for text in ["nan", "NaN", "-nan"] {
            assert!(Number::parse(text).unwrap().is_nan(), "{text:?}");
        }
    }

    #[test]
    fn literals_compare_by_their_digits() {
        let n = |text: &str| Number::parse(text).unwrap();
        assert_eq!(n("13911860366432393").compare(&n("13911860366432392")), Ordering::Greater);
        assert_eq!(n("13911860366432393").compare(&Number::from_f64(13911860366432392.0)), Ordering::Equal);
        assert_eq!(n("1.000").compare(&n("1")), Ordering::Equal);
        assert_eq!(n("0.1000000000000000000001").compare(&n("0.1")), Ordering::Greater);
        assert_eq!(n("-1e1000").compare(&n("-2e1000")), Ordering::Greater);
        assert_eq!(n("5e500000000").compare(&n("5e-5000000000")), Ordering::Greater);
        assert_eq!(n("0e5").compare(&n("-0")), Ordering::Equal);
        assert_eq!(n("nan").compare(&n("nan")), Ordering::Less);
        assert_eq!(n("1").compare(&n("nan")), Ordering::Greater);
    }

    #[test]
    fn negation_keeps_digits() {
        let mut out = String::new();
        Number::parse("100000000000000000001").unwrap().negated().write(&mut out);
        assert_eq!(out, "-100000000000000000001");
    }
}
