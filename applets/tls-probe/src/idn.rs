//! Names beyond ASCII as they stand in certificates and in DNS: each such label in Punycode (RFC 3492) behind `xn--`.

/// The name with every label in ASCII; nothing when one cannot be written so.
pub(crate) fn to_ascii(name: &str) -> Option<String> {
    if name.is_ascii() {
        return Some(name.to_owned());
    }
    // The full stops of other scripts end labels too (RFC 3490, section 3.1).
    let labels = name.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']);
    let labels: Option<Vec<String>> = labels.map(label).collect();
    Some(labels?.join("."))
}

fn label(label: &str) -> Option<String> {
    if label.is_ascii() {
        return Some(label.to_owned());
    }
    let out = format!("xn--{}", punycode(&label.to_lowercase())?);
    (out.len() <= 63).then_some(out)
}

fn punycode(label: &str) -> Option<String> {
    let points: Vec<u32> = label.chars().map(u32::from).collect();
    let mut out: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(out.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let (mut next, mut delta, mut bias, mut done) = (128u32, 0u32, 72u32, basic);
    while usize::try_from(done).ok()? < points.len() {
        let least = points.iter().copied().filter(|point| *point >= next).min()?;
        delta = delta.checked_add((least - next).checked_mul(done + 1)?)?;
        next = least;
        for point in &points {
            if *point < next {
                delta = delta.checked_add(1)?;
            }
            if *point == next {
                let mut rest = delta;
                let mut k = 36;
                loop {
                    let threshold = if k <= bias { 1 } else { (k - bias).min(26) };
                    if rest < threshold {
                        break;
                    }
                    out.push(digit(threshold + (rest - threshold) % (36 - threshold)));
                    rest = (rest - threshold) / (36 - threshold);
                    k += 36;
                }
                out.push(digit(rest));
                bias = adapted(delta, done + 1, done == basic);
                delta = 0;
                done += 1;
            }
        }
        delta = delta.checked_add(1)?;
        next += 1;
    }
    Some(out)
}

fn digit(value: u32) -> char {
    char::from_digit(value.wrapping_add(10) % 36, 36).filter(|_| value < 26).unwrap_or_else(|| {
        // 26 to 35 are the digits 0 to 9.
        char::from_digit(value.wrapping_sub(26) % 10, 10).unwrap_or('0')
    })
}

fn adapted(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, wanted) in [
            ("www.example.com", "www.example.com"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("M\u{dc}NCHEN.de", "xn--mnchen-3ya.de"),
            ("\u{4f8b}\u{3048}\u{3002}\u{30c6}\u{30b9}\u{30c8}", "xn--r8jz45g.xn--zckzah"),
            ("\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.x", "xn--e1afmkfd.x"),
        ] {
            assert_eq!(to_ascii(name).as_deref(), Some(wanted), "{name}");
        }
        assert_eq!(to_ascii(&"\u{fc}".repeat(100)), None);
    }
}
