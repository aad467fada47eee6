//! strftime in the C locale, with glibc's flags, widths and additions.

use std::fmt::Write as _;

use super::{Tm, Zone, days};

pub(super) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// What stands between `%` and the conversion.
#[derive(Clone, Copy, Default)]
struct Spec {
    /// `_`, `-` or `0`.
    pad: Option<char>,
    /// `^`.
    upper: bool,
    /// `#`.
    swap: bool,
    width: usize,
}

/// One text being written; C's buffer is the format's length and 100 bytes.
struct Out {
    text: String,
    most: usize,
}

/// Writes `tm`. `offset` is seconds east of UTC and `name` the zone's; `%s` reads the fields as time in `local`.
/// `None` where C's strftime fails: more than 99 bytes longer than the format.
pub(crate) fn strftime(tm: &Tm, format: &str, offset: i64, name: &str, local: &Zone) -> Option<String> {
    // C's strings end at a NUL.
    let format = format.split('\0').next().unwrap_or_default();
    let mut out = Out { text: String::new(), most: format.len() + 100 };
    let world = World { offset, name, local };
    out.write(tm, format, &world, Spec::default())?;
    (out.text.len() < out.most).then_some(out.text)
}

struct World<'a> {
    offset: i64,
    name: &'a str,
    local: &'a Zone,
}

impl Out {
    fn write(&mut self, tm: &Tm, format: &str, world: &World<'_>, outer: Spec) -> Option<()> {
        let mut rest = format;
        while let Some(c) = rest.chars().next() {
            if self.text.len() >= self.most {
                return None;
            }
            let behind = rest.get(c.len_utf8()..)?;
            if c != '%' {
                self.text.push(c);
                rest = behind;
                continue;
            }
            let (spec, after) = spec(behind, self.most, outer);
            let Some(conversion) = after.chars().next() else {
                // A lone percent sign at the end stands for itself, with all that follows it.
                self.text.push_str(rest);
                break;
            };
            let after = after.get(conversion.len_utf8()..)?;
            if self.conversion(tm, conversion, spec, world).is_none() {
                let length = rest.len() - after.len();
                self.text.push_str(rest.get(..length)?);
            }
            rest = after;
        }
        Some(())
    }

    /// A number, padded to `digits` with `default` unless the flags say otherwise.
    fn number(&mut self, value: i64, digits: usize, default: char, spec: Spec) {
        let pad = spec.pad.unwrap_or(default);
        let width = if pad == '-' { 0 } else { digits.max(spec.width) };
        let (sign, magnitude) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
        let _ = match pad {
            '_' | ' ' => write!(self.text, "{:>width$}", format!("{sign}{magnitude}")),
            '-' => write!(self.text, "{sign}{magnitude}"),
            _ => write!(self.text, "{sign}{magnitude:0>width$}", width = width.saturating_sub(sign.len())),
        };
    }

    /// A word, padded with spaces on the left.
    fn word(&mut self, word: &str, spec: Spec, swapped_lower: bool) {
        let word = match spec {
            Spec { swap: true, .. } if swapped_lower => word.to_ascii_lowercase(),
            Spec { upper: true, .. } | Spec { swap: true, .. } => word.to_ascii_uppercase(),
            _ => word.to_owned(),
        };
        let zeros = spec.pad == Some('0');
        let missing = spec.width.saturating_sub(word.len());
        self.text.extend(std::iter::repeat_n(if zeros { '0' } else { ' ' }, missing));
        self.text.push_str(&word);
    }

    /// Another format in place of a conversion.
    fn compound(&mut self, tm: &Tm, format: &str, spec: Spec, world: &World<'_>) {
        let mut inner = Out { text: String::new(), most: self.most };
        let upper = Spec { upper: spec.upper, ..Spec::default() };
        if inner.write(tm, format, world, upper).is_some() {
            self.word(&inner.text, Spec { upper: false, swap: false, ..spec }, false);
        }
    }

    /// `None` for a conversion that does not exist.
    fn conversion(&mut self, tm: &Tm, conversion: char, spec: Spec, world: &World<'_>) -> Option<()> {
        let name = |names: &'static [&'static str], index: i64| {
            usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or("?")
        };
        let short = |name: &'static str| name.get(..3).unwrap_or(name);
        let hour12 = match tm.hour {
            0 => 12,
            hour if hour > 12 => hour - 12,
            hour => hour,
        };
        let half = if tm.hour > 11 { "PM" } else { "AM" };
        match conversion {
            '%' => self.word("%", spec, false),
            'n' => self.text.push('\n'),
            't' => self.text.push('\t'),
            'a' => self.word(short(name(&DAYS, tm.weekday)), spec, false),
            'A' => self.word(name(&DAYS, tm.weekday), spec, false),
            'b' | 'h' => self.word(short(name(&MONTHS, tm.month)), spec, false),
            'B' => self.word(name(&MONTHS, tm.month), spec, false),
            'c' => self.compound(tm, "%a %b %e %H:%M:%S %Y", spec, world),
            'C' => self.number(tm.year.div_euclid(100), 2, '0', spec),
            'd' => self.number(tm.day, 2, '0', spec),
            'D' | 'x' => self.compound(tm, "%m/%d/%y", spec, world),
            'e' => self.number(tm.day, 2, '_', spec),
            'F' => self.compound(tm, "%Y-%m-%d", spec, world),
            'g' => self.number(iso_week(tm).0.rem_euclid(100), 2, '0', spec),
            'G' => self.number(iso_week(tm).0, 1, '0', spec),
            'H' => self.number(tm.hour, 2, '0', spec),
            'I' => self.number(hour12, 2, '0', spec),
            'j' => self.number(tm.yearday + 1, 3, '0', spec),
            'k' => self.number(tm.hour, 2, '_', spec),
            'l' => self.number(hour12, 2, '_', spec),
            'm' => self.number(tm.month + 1, 2, '0', spec),
            'M' => self.number(tm.minute, 2, '0', spec),
            'p' => self.word(half, spec, true),
            'P' => self.word(&half.to_ascii_lowercase(), spec, true),
            'r' => self.compound(tm, "%I:%M:%S %p", spec, world),
            'R' => self.compound(tm, "%H:%M", spec, world),
            's' => self.number(world.local.unix(tm), 1, '0', spec),
            'S' => self.number(tm.second, 2, '0', spec),
            'T' | 'X' => self.compound(tm, "%H:%M:%S", spec, world),
            'u' => self.number((tm.weekday + 6).rem_euclid(7) + 1, 1, '0', spec),
            'U' => self.number((tm.yearday - tm.weekday + 7).div_euclid(7), 2, '0', spec),
            'V' => self.number(iso_week(tm).1, 2, '0', spec),
            'w' => self.number(tm.weekday, 1, '0', spec),
            'W' => self.number((tm.yearday - (tm.weekday + 6).rem_euclid(7) + 7).div_euclid(7), 2, '0', spec),
            'y' => self.number(tm.year.rem_euclid(100), 2, '0', spec),
            'Y' => self.number(tm.year, 1, '0', spec),
            'z' => {
                let minutes = world.offset.abs() / 60;
                let sign = if world.offset < 0 { '-' } else { '+' };
                let _ = write!(self.text, "{sign}{:02}{:02}", minutes / 60, minutes % 60);
            }
            'Z' => self.word(world.name, spec, true),
            _ => return None,
        }
        Some(())
    }
}

/// Flags, width and the E or O modifier, which change nothing in the C locale.
fn spec(text: &str, most: usize, outer: Spec) -> (Spec, &str) {
    let mut spec = Spec { upper: outer.upper, ..Spec::default() };
    let mut rest = text;
    let mut take = |wanted: &dyn Fn(char) -> bool| {
        let c = rest.chars().next().filter(|&c| wanted(c))?;
        rest = rest.get(c.len_utf8()..)?;
        Some(c)
    };
    while let Some(flag) = take(&|c| matches!(c, '_' | '-' | '0' | '^' | '#')) {
        match flag {
            '^' => spec.upper = true,
            '#' => spec.swap = true,
            pad => spec.pad = Some(pad),
        }
    }
    while let Some(digit) = take(&|c| c.is_ascii_digit()).and_then(|c| c.to_digit(10)) {
        let digit = usize::try_from(digit).unwrap_or(0);
        // Wider than the buffer is as wide as the buffer: it fails all the same.
        spec.width = (spec.width * 10 + digit).min(most);
    }
    let _ = take(&|c| matches!(c, 'E' | 'O'));
    (spec, rest)
}

/// Year and week by ISO 8601: week 1 holds the first Thursday.
fn iso_week(tm: &Tm) -> (i64, i64) {
    let monday_based = (tm.weekday + 6).rem_euclid(7);
    let thursday = days(tm.year, 0, 1) + tm.yearday - monday_based + 3;
    let year = if thursday < days(tm.year, 0, 1) {
        tm.year - 1
    } else if thursday >= days(tm.year + 1, 0, 1) {
        tm.year + 1
    } else {
        tm.year
    };
    (year, (thursday - days(year, 0, 1)) / 7 + 1)
}
