//! What is shown of files and moments: modes, owners, dates (stat(2), strftime(3) in the C locale).

use std::fs::Metadata;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;

use netkit_core::{Civil, civil_from_unix};
use netkit_sys::time::{Zone, zone};

use crate::base::{Bytes, after, at, number, part};

/// The letter of a file's type.
pub(crate) fn type_letter(mode: u32) -> u8 {
    match mode & 0o170_000 {
        0o140_000 => b's',
        0o120_000 => b'l',
        0o100_000 => b'-',
        0o060_000 => b'b',
        0o040_000 => b'd',
        0o020_000 => b'c',
        0o010_000 => b'p',
        _ => b'?',
    }
}

/// The mode as `ls -l` shows it.
pub(crate) fn mode_text(mode: u32) -> Bytes {
    let mut out = vec![type_letter(mode)];
    for (shift, special, letter) in [(6, 0o4000, b's'), (3, 0o2000, b's'), (0, 0o1000, b't')] {
        let bits = mode >> shift;
        out.push(if bits & 4 != 0 { b'r' } else { b'-' });
        out.push(if bits & 2 != 0 { b'w' } else { b'-' });
        out.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => b'x',
            (false, false) => b'-',
        });
    }
    out
}

/// Reads /etc/passwd or /etc/group once, then answers from memory.
#[derive(Default)]
pub(crate) struct Names {
    users: Option<Vec<(u32, Bytes)>>,
    groups: Option<Vec<(u32, Bytes)>>,
}

/// The fields of a table such as /etc/passwd.
pub(crate) fn table(file: &str) -> Vec<Vec<Bytes>> {
    let text = std::fs::read(file).unwrap_or_default();
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty() && at(line, 0) != b'#')
        .map(|line| line.split(|byte| *byte == b':').map(<[u8]>::to_vec).collect())
        .collect()
}

fn ids(file: &str) -> Vec<(u32, Bytes)> {
    let entry = |fields: Vec<Bytes>| {
        let id = number(fields.get(2)?)?;
        Some((u32::try_from(id).ok()?, fields.first()?.clone()))
    };
    table(file).into_iter().filter_map(entry).collect()
}

impl Names {
    fn list(&mut self, group: bool) -> &[(u32, Bytes)] {
        let (place, file) = if group { (&mut self.groups, "/etc/group") } else { (&mut self.users, "/etc/passwd") };
        place.get_or_insert_with(|| ids(file))
    }

    /// The name of a user or group, if it has one.
    pub(crate) fn name(&mut self, id: u32, group: bool) -> Option<Bytes> {
        self.list(group).iter().find(|(own, _)| *own == id).map(|(_, name)| name.clone())
    }

    /// The name, or the number.
    pub(crate) fn shown(&mut self, id: u32, group: bool) -> Bytes {
        self.name(id, group).unwrap_or_else(|| id.to_string().into_bytes())
    }

    /// The number of a name, or of a text that is a number.
    pub(crate) fn id(&mut self, name: &[u8], group: bool) -> Option<u32> {
        let own = self.list(group).iter().find(|(_, own)| own == name).map(|(id, _)| *id);
        own.or_else(|| u32::try_from(number(name)?).ok())
    }
}

/// A moment in a zone.
pub(crate) struct Moment {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
    pub(crate) civil: Civil,
    pub(crate) zone: Zone,
}

impl Moment {
    pub(crate) fn new(seconds: i64, nanos: u32, utc: bool) -> Moment {
        let zone = if utc { Zone { offset: 0, name: "UTC".to_owned() } } else { zone(seconds) };
        // Years beyond those of any clock would not fit the calendar's arithmetic.
        let seconds = seconds.clamp(-67_768_040_609_740_800, 67_767_976_233_532_799);
        Moment { seconds, nanos, civil: civil_from_unix(seconds + zone.offset), zone }
    }

    fn day_of_year(&self) -> i64 {
        days(self.civil.year, i64::from(self.civil.month), i64::from(self.civil.day)) - days(self.civil.year, 1, 1)
    }

    /// Year and week by ISO 8601.
    fn iso_week(&self) -> (i64, i64) {
        let weekday = (i64::from(self.civil.weekday) + 6) % 7;
        let thursday = self.day_of_year() - weekday + 3;
        let length = |year: i64| days(year + 1, 1, 1) - days(year, 1, 1);
        let year = self.civil.year;
        if thursday < 0 {
            return (year - 1, (thursday + length(year - 1)) / 7 + 1);
        }
        if thursday >= length(year) {
            return (year + 1, 1);
        }
        (year, thursday / 7 + 1)
    }

    /// Writes the moment by a format of strftime(3) with GNU's flags.
    pub(crate) fn format(&self, format: &[u8], out: &mut Bytes) {
        let mut from = 0;
        while from < format.len() {
            let byte = at(format, from);
            from += 1;
            if byte != b'%' || from >= format.len() {
                out.push(byte);
                continue;
            }
            let begin = from - 1;
            let mut flag = 0;
            let mut upper = false;
            while matches!(at(format, from), b'-' | b'_' | b'0' | b'^' | b'#' | b'+') {
                match at(format, from) {
                    b'^' | b'#' => upper = true,
                    other => flag = other,
                }
                from += 1;
            }
            let digits = after(format, from).iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
            let width = number(part(format, from, from + digits)).and_then(|width| usize::try_from(width).ok());
            from += digits;
            let colons = after(format, from).iter().take_while(|byte| **byte == b':').count();
            from += colons;
            while matches!(at(format, from), b'E' | b'O') {
                from += 1;
            }
            let letter = at(format, from);
            from += 1;
            let mut piece = Bytes::new();
            if !self.one(letter, flag, width, colons, &mut piece) {
                out.extend_from_slice(part(format, begin, from));
                continue;
            }
            if upper {
                piece.make_ascii_uppercase();
            }
            if let Some(width) = width {
                let pad = if flag == b'0' { b'0' } else { b' ' };
                out.extend(std::iter::repeat_n(pad, width.saturating_sub(piece.len())));
            }
            out.append(&mut piece);
        }
    }

    /// One conversion; false when there is none of this letter.
    fn one(&self, letter: u8, flag: u8, width: Option<usize>, colons: usize, out: &mut Bytes) -> bool {
        const MONTHS: [&str; 12] = [
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
        const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
        let civil = &self.civil;
        let hour = i64::from(civil.hour);
        let short = |hour: i64| if hour % 12 == 0 { 12 } else { hour % 12 };
        let weekday = i64::from(civil.weekday);
        // Value, digits, padding.
        let (value, digits, pad) = match letter {
            b'Y' => (civil.year, 1, b'0'),
            b'C' => (civil.year.div_euclid(100), 2, b'0'),
            b'y' => (civil.year.rem_euclid(100), 2, b'0'),
            b'm' => (i64::from(civil.month), 2, b'0'),
            b'd' => (i64::from(civil.day), 2, b'0'),
            b'e' => (i64::from(civil.day), 2, b' '),
            b'H' => (hour, 2, b'0'),
            b'k' => (hour, 2, b' '),
            b'I' => (short(hour), 2, b'0'),
            b'l' => (short(hour), 2, b' '),
            b'M' => (i64::from(civil.minute), 2, b'0'),
            b'S' => (i64::from(civil.second), 2, b'0'),
            b'j' => (self.day_of_year() + 1, 3, b'0'),
            b'q' => ((i64::from(civil.month) + 2) / 3, 1, b'0'),
            b's' => (self.seconds, 1, b'0'),
            b'u' => (if weekday == 0 { 7 } else { weekday }, 1, b'0'),
            b'w' => (weekday, 1, b'0'),
            b'U' => ((self.day_of_year() + 7 - weekday) / 7, 2, b'0'),
            b'W' => ((self.day_of_year() + 7 - (weekday + 6) % 7) / 7, 2, b'0'),
            b'V' => (self.iso_week().1, 2, b'0'),
            b'G' => (self.iso_week().0, 1, b'0'),
            b'g' => (self.iso_week().0.rem_euclid(100), 2, b'0'),
            _ => {
                let text: &[u8] = match letter {
                    b'N' => {
                        let nanos = format!("{:09}", self.nanos);
                        let take = width.unwrap_or(9).min(9);
                        let mut text = part(nanos.as_bytes(), 0, take).to_vec();
                        if flag == b'-' {
                            while text.len() > 1 && text.last() == Some(&b'0') {
                                text.pop();
                            }
                        }
                        out.extend_from_slice(&text);
                        return true;
                    }
                    b'z' => {
                        out.append(&mut self.offset(colons));
                        return true;
                    }
                    b'Z' => self.zone.name.as_bytes(),
                    b'a' => civil.weekday_name().as_bytes(),
                    b'A' => DAYS.get(usize::from(civil.weekday)).map_or(b"?", |day| day.as_bytes()),
                    b'b' | b'h' => civil.month_name().as_bytes(),
                    b'B' => MONTHS.get(usize::from(civil.month).wrapping_sub(1)).map_or(b"?", |month| month.as_bytes()),
                    b'p' => [b"AM", b"PM"].get(usize::from(hour >= 12)).map_or(b"", |text| *text),
                    b'P' => [b"am", b"pm"].get(usize::from(hour >= 12)).map_or(b"", |text| *text),
                    b'n' => b"\n",
                    b't' => b"\t",
                    b'%' => b"%",
                    _ => {
                        let format: &[u8] = match letter {
                            b'c' => b"%a %b %e %H:%M:%S %Y",
                            b'D' | b'x' => b"%m/%d/%y",
                            b'F' => b"%Y-%m-%d",
                            b'r' => b"%I:%M:%S %p",
                            b'R' => b"%H:%M",
                            b'T' | b'X' => b"%H:%M:%S",
                            _ => return false,
                        };
                        self.format(format, out);
                        return true;
                    }
                };
                out.extend_from_slice(text);
                return true;
            }
        };
        let pad = match flag {
            b'-' => 0,
            b'_' => b' ',
            b'0' => b'0',
            _ => pad,
        };
        let digits = width.unwrap_or(digits);
        let _ = match pad {
            0 => write!(out, "{value}"),
            b' ' => write!(out, "{value:digits$}"),
            _ => write!(out, "{value:0digits$}"),
        };
        true
    }

    /// `+hhmm`, with one colon `+hh:mm`, with two `+hh:mm:ss`.
    fn offset(&self, colons: usize) -> Bytes {
        let sign = if self.zone.offset < 0 { '-' } else { '+' };
        let seconds = self.zone.offset.abs();
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match colons {
            0 => format!("{sign}{hours:02}{minutes:02}"),
            1 => format!("{sign}{hours:02}:{minutes:02}"),
            _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
        }
        .into_bytes()
    }
}

/// Days since the epoch of a date in the Gregorian calendar; the month may be out of range.
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1);
    // A year that begins in March has its leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A moment as `stat` and `find` show it, with nanoseconds and offset.
pub(crate) fn full(seconds: i64, nanos: i64) -> Bytes {
    let mut out = Bytes::new();
    let nanos = u32::try_from(nanos).unwrap_or(0);
    Moment::new(seconds, nanos, false).format(b"%Y-%m-%d %H:%M:%S.%N %z", &mut out);
    out
}

/// A size with a unit, rounded up, as `ls -h` and `du -h` show it: one decimal below ten.
pub(crate) fn human(bytes: u64, base: u64) -> String {
    const UNITS: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];
    let mut unit = 0;
    let mut scale = 1u64;
    while unit < 6 && bytes / scale >= base {
        scale = scale.saturating_mul(base);
        unit += 1;
    }
    let name = match (UNITS.get(unit), base) {
        (Some(&"K"), 1000) => "k",
        (Some(name), _) => name,
        _ => "",
    };
    if unit == 0 {
        return bytes.to_string();
    }
    let tenths = (u128::from(bytes) * 10).div_ceil(u128::from(scale));
    if tenths < 100 {
        return format!("{}.{}{name}", tenths / 10, tenths % 10);
    }
    let whole = bytes.div_ceil(scale);
    if whole >= base && unit < 6 {
        return format!("1.0{}", UNITS.get(unit + 1).unwrap_or(&""));
    }
    format!("{whole}{name}")
}

/// Device numbers as Linux packs them (makedev(3)).
pub(crate) fn device(number: u64) -> (u64, u64) {
    (number >> 32 & 0xffff_f000 | number >> 8 & 0xfff, number >> 12 & 0xffff_ff00 | number & 0xff)
}

/// Changes permissions as chmod(1) spells them: octal, or clauses such as `u+rwX,go-w`.
pub(crate) fn change_mode(spec: &[u8], before: u32, is_dir: bool, umask: u32) -> Option<u32> {
    if at(spec, 0).is_ascii_digit() {
        let mode = crate::base::octal(spec).filter(|mode| *mode <= 0o7777)?;
        // A directory keeps its set-id bits unless there are five digits.
        return Some(if is_dir && spec.len() < 5 { mode | before & 0o6000 } else { mode });
    }
    let mut mode = before & 0o7777;
    for clause in spec.split(|byte| *byte == b',') {
        let mut from = 0;
        let mut who = 0;
        loop {
            who |= match at(clause, from) {
                b'u' => 0o4700,
                b'g' => 0o2070,
                b'o' => 0o1007,
                b'a' => 0o7777,
                _ => break,
            };
            from += 1;
        }
        let (who, masked) = if who == 0 { (0o7777, umask) } else { (who, 0) };
        if from >= clause.len() {
            return None;
        }
        while from < clause.len() {
            let sign = at(clause, from);
            if !matches!(sign, b'+' | b'-' | b'=') {
                return None;
            }
            from += 1;
            let mut bits = 0;
            let octal = after(clause, from).iter().take_while(|byte| byte.is_ascii_digit()).count();
            if octal > 0 {
                bits = crate::base::octal(part(clause, from, from + octal))?;
                from += octal;
            }
            loop {
                bits |= match at(clause, from) {
                    b'r' => 0o444,
                    b'w' => 0o222,
                    b'x' => 0o111,
                    b'X' if is_dir || mode & 0o111 != 0 => 0o111,
                    b'X' => 0,
                    b's' => 0o6000,
                    b't' => 0o1000,
                    letter @ (b'u' | b'g' | b'o') => {
                        let shift = match letter {
                            b'u' => 6,
                            b'g' => 3,
                            _ => 0,
                        };
                        (mode >> shift & 7) * 0o111
                    }
                    _ => break,
                };
                from += 1;
            }
            let bits = bits & who & !masked;
            match sign {
                b'+' => mode |= bits,
                b'-' => mode &= !bits,
                _ => {
                    let keep = if is_dir { 0o6000 } else { 0 };
                    mode = mode & !(who & !keep & if masked != 0 { 0o777 | who } else { who }) | bits;
                }
            }
        }
    }
    Some(mode)
}

/// The three times of a file: `a`, `m` or `c`.
pub(crate) fn time_of(data: &Metadata, which: u8) -> (i64, i64) {
    match which {
        b'a' => (data.atime(), data.atime_nsec()),
        b'c' => (data.ctime(), data.ctime_nsec()),
        _ => (data.mtime(), data.mtime_nsec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let moment = Moment::new(1_709_209_845, 123_000_000, true); // date -u -d @1709209845.123
        let mut out = Bytes::new();
        moment.format(b"%a %b %e %H:%M:%S %Z %Y|%j %U %W %V %G %u|%-d %_m %3N %s %:z %^a %q", &mut out);
        assert_eq!(out, b"Thu Feb 29 12:30:45 UTC 2024|060 08 09 09 2024 4|29  2 123 1709209845 +00:00 THU 1");
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2024, 2, 29), 19_782);
    }

    #[test]
    fn modes() {
        assert_eq!(mode_text(0o104755), b"-rwsr-xr-x");
        assert_eq!(mode_text(0o041777), b"drwxrwxrwt");
        assert_eq!(change_mode(b"u+x,go-w", 0o666, false, 0o22), Some(0o744));
        assert_eq!(change_mode(b"a=r", 0o777, false, 0o22), Some(0o444));
        assert_eq!(change_mode(b"+x", 0o644, false, 0o22), Some(0o755));
        assert_eq!(change_mode(b"g=u", 0o640, false, 0), Some(0o660));
        assert_eq!(change_mode(b"z+x", 0o640, false, 0), None);
        assert_eq!(change_mode(b"u", 0o640, false, 0), None);
    }

    #[test]
    fn sizes() {
        assert_eq!(human(1023, 1024), "1023");
        assert_eq!(human(1024, 1024), "1.0K");
        assert_eq!(human(10_241, 1024), "11K");
        assert_eq!(human(1_048_575, 1024), "1.0M");
    }
}
