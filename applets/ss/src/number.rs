//! Numbers as C's printf writes them, without its cost where there are many.

use std::io::Write as _;

/// Decimal digits.
pub(crate) fn push_u64(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        if let (Some(slot), Ok(digit)) = (digits.get_mut(at), u8::try_from(rest % 10)) {
            *slot = b'0' + digit;
        }
        rest /= 10;
        if rest == 0 || at == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// `%g` with `precision` significant digits (C11, 7.21.6.1).
pub(crate) fn push_g(out: &mut Vec<u8>, value: f64, precision: usize) {
    if value == 0.0 || !value.is_finite() {
        let _ = write!(out, "{value}");
        return;
    }
    // Rust's exponent form rounds exactly as printf does and tells the decimal exponent after rounding.
    let scientific = format!("{:.*e}", precision.saturating_sub(1), value);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        let digits = trimmed(digits);
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{digits}e{sign}{:02}", exponent.unsigned_abs());
        return;
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    let fixed = format!("{value:.decimals$}");
    out.extend_from_slice(trimmed(&fixed).as_bytes());
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// Microseconds as milliseconds in `%g`: what a tcp_info field in microseconds looks like.
pub(crate) fn push_ms(out: &mut Vec<u8>, micros: u32) {
    // Six significant digits hold every value below a second exactly; larger ones need rounding.
    if micros >= 1_000_000 {
        return push_g(out, f64::from(micros) / 1000.0, 6);
    }
    push_u64(out, u64::from(micros / 1000));
    let mut rest = micros % 1000;
    if rest != 0 {
        out.push(b'.');
    }
    for unit in [100, 10, 1] {
        if rest == 0 {
            break;
        }
        push_u64(out, u64::from(rest / unit));
        rest %= unit;
    }
}

/// Bits per second: plain with `numeric`, else with three significant digits and a decimal prefix.
pub(crate) fn push_rate(out: &mut Vec<u8>, bits: f64, numeric: bool) {
    if numeric {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the limits just checked")]
        let whole = (0.0..1e18).contains(&bits).then(|| bits.round_ties_even() as u64);
        return match whole {
            Some(whole) => push_u64(out, whole),
            None => {
                let _ = write!(out, "{bits:.0}");
            }
        };
    }
    for (scale, unit) in [(1e12, b'T'), (1e9, b'G'), (1e6, b'M'), (1e3, b'k')] {
        if bits >= scale {
            push_g(out, bits / scale, 3);
            out.push(unit);
            return;
        }
    }
    push_g(out, bits, 6);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn g(value: f64, precision: usize) -> String {
        let mut out = Vec::new();
        push_g(&mut out, value, precision);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn as_printf_writes_them() {
        for (value, wanted) in [
            (0.0, "0"),
            (204.0, "204"),
            (0.025, "0.025"),
            (1.0, "1"),
            (13.0045, "13.0045"),
            (1234.5678, "1234.57"),
            (123456.0, "123456"),
            (1234567.0, "1.23457e+06"),
            (0.00001234, "1.234e-05"),
            (999999.5, "1e+06"),
            (1000.0, "1000"),
        ] {
            assert_eq!(g(value, 6), wanted);
        }
        assert_eq!((g(999.6, 3), g(26.21, 3), g(1000.0, 3)), ("1e+03".into(), "26.2".into(), "1e+03".into()));
    }

    #[test]
    fn milliseconds_and_integers() {
        for micros in [0u32, 1, 25, 999, 1000, 1500, 204_000, 999_999, 1_000_000, 1_234_567, 120_000_000] {
            let mut out = Vec::new();
            push_ms(&mut out, micros);
            assert_eq!(String::from_utf8(out).unwrap(), g(f64::from(micros) / 1000.0, 6));
        }
        for value in [0, 9, 10, u64::MAX] {
            let mut out = Vec::new();
            push_u64(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn rates() {
        let text = |bits, numeric| {
            let mut out = Vec::new();
            push_rate(&mut out, bits, numeric);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(2_620_800_000.0, false), "2.62G");
        assert_eq!(text(999.0, false), "999");
        assert_eq!(text(12_345.0, false), "12.3k");
        for bits in [2_620_800_000.4, 0.5, 1.5, 2.5, 1e15 + 0.5, 9.9e17, 1e18, 1.8e19] {
            assert_eq!(text(bits, true), format!("{bits:.0}"));
        }
    }
}
