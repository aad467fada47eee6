//! Dates as jq has them: C's broken-down time in an array of eight numbers.
//!
//! Facts: jq 1.8 manual, "Dates"; POSIX strftime and strptime, with what glibc adds, in the C locale; time zones as in
//! tzset(3) and RFC 9636 (TZif). Numbers are clamped to C's int where jq clamps them. Texts of errors are jq's.
//! Deliberate differences: a zone that is unknown is UTC, also by name; week 0 of a year (`%U`, `%W`) is in the year before.

mod format;
mod parse;
mod zone;

use format::strftime;
use parse::strptime;
pub(crate) use zone::Zone;

/// A number of seconds that no calendar year holds.
pub(crate) const OUT_OF_RANGE: &str = "error converting number of seconds since epoch to datetime";

/// Broken-down time, C's `struct tm` with the year as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tm {
    /// Year, as in 2026.
    pub(crate) year: i64,
    /// 0 to 11.
    pub(crate) month: i64,
    /// 1 to 31; 0 when nothing was said.
    pub(crate) day: i64,
    /// 0 to 23.
    pub(crate) hour: i64,
    /// 0 to 59.
    pub(crate) minute: i64,
    /// 0 to 60.
    pub(crate) second: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    /// 0 is the first of January.
    pub(crate) yearday: i64,
}

const DAY: i64 = 86_400;

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar; month 0 to 11, any day.
pub(super) fn days(year: i64, month: i64, day: i64) -> i64 {
    // Counted from March, so that the leap day is the last of its year.
    let shifted = year - i64::from(month < 2);
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let march_month = (month + 10) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

impl Tm {
    /// The UTC calendar at `seconds` of Unix time; `None` when the year does not fit C's int.
    pub(crate) fn from_unix(seconds: i64) -> Option<Tm> {
        // Beyond this the year has more than ten digits anyway.
        if seconds.unsigned_abs() > 1 << 57 {
            return None;
        }
        let civil = netkit_core::civil_from_unix(seconds);
        i32::try_from(civil.year - 1900).ok()?;
        let month = i64::from(civil.month) - 1;
        let day = i64::from(civil.day);
        Some(Tm {
            year: civil.year,
            month,
            day,
            hour: i64::from(civil.hour),
            minute: i64::from(civil.minute),
            second: i64::from(civil.second),
            weekday: i64::from(civil.weekday),
            yearday: days(civil.year, month, day) - days(civil.year, 0, 1),
        })
    }

    /// Unix time of these fields as UTC (timegm); fields out of range carry over.
    pub(crate) fn unix(&self) -> i64 {
        let year = self.year + self.month.div_euclid(12);
        days(year, self.month.rem_euclid(12), 1)
            .saturating_add(self.day - 1)
            .saturating_mul(DAY)
            .saturating_add(self.hour * 3_600 + self.minute * 60 + self.second)
    }

    /// The first eight members of jq's array; `None` stands for what is no number. A missing one is 0.
    pub(crate) fn from_fields(fields: &[Option<f64>]) -> Option<Tm> {
        let mut tm = Tm { year: 1900, ..Tm::default() };
        for (index, field) in fields.iter().take(8).enumerate() {
            let number = (*field)?;
            if number.is_nan() {
                return None;
            }
            // As C's int: the year is held from 1900 on.
            #[allow(clippy::cast_possible_truncation)]
            let clamped = |value: f64| i64::from(value as i32);
            match index {
                0 => tm.year = clamped(number - 1900.0) + 1900,
                1 => tm.month = clamped(number),
                2 => tm.day = clamped(number),
                3 => tm.hour = clamped(number),
                4 => tm.minute = clamped(number),
                5 => tm.second = clamped(number),
                6 => tm.weekday = clamped(number),
                _ => tm.yearday = clamped(number),
            }
        }
        Some(tm)
    }

    /// jq's array. `fraction` goes to the seconds.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn fields(&self, fraction: f64) -> [f64; 8] {
        let number = |value: i64| value as f64;
        [
            number(self.year),
            number(self.month),
            number(self.day),
            number(self.hour),
            number(self.minute),
            number(self.second) + fraction,
            number(self.weekday),
            number(self.yearday),
        ]
    }

    /// The same moment with every field in its range; as it was when the year would not fit.
    pub(crate) fn normalized(&self) -> Tm {
        Tm::from_unix(self.unix()).unwrap_or(*self)
    }
}

/// Whole seconds towards zero, as C converts, and the fraction above the floor.
fn split(seconds: f64) -> Option<(i64, f64)> {
    if seconds.is_nan() || seconds.abs() >= 9e18 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation)]
    Some((seconds as i64, seconds - seconds.floor()))
}

/// `gmtime`: seconds since the epoch to the array, in UTC; the fraction stays with the seconds.
pub(crate) fn gmtime(seconds: f64) -> Result<[f64; 8], &'static str> {
    let (whole, fraction) = split(seconds).ok_or(OUT_OF_RANGE)?;
    Tm::from_unix(whole).map(|tm| tm.fields(fraction)).ok_or(OUT_OF_RANGE)
}

/// `localtime`: the same in a zone.
pub(crate) fn localtime(seconds: f64, zone: &Zone) -> Result<[f64; 8], &'static str> {
    let (whole, fraction) = split(seconds).ok_or(OUT_OF_RANGE)?;
    let there = whole.saturating_add(zone.at(whole).offset);
    Tm::from_unix(there).map(|tm| tm.fields(fraction)).ok_or(OUT_OF_RANGE)
}

/// `mktime`: the array as UTC to seconds since the epoch. C's -1 is a failure, so that second has none.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn mktime(fields: &[Option<f64>]) -> Result<f64, &'static str> {
    let tm = Tm::from_fields(fields).ok_or("mktime requires parsed datetime inputs")?;
    let seconds = tm.unix();
    match seconds {
        -1 => Err("invalid gmtime representation"),
        -2 => Err("mktime not supported on this platform"),
        _ if Tm::from_unix(seconds).is_none() => Err("invalid gmtime representation"),
        _ => Ok(seconds as f64),
    }
}

/// `strptime`: the array, and what is left of the input when something is (it begins with a space, and jq appends it to
/// the array). `%s` is read in the local zone. The error is jq's whole message.
pub(crate) fn read<'a>(input: &'a str, format: &str, local: &Zone) -> Result<([f64; 8], Option<&'a str>), String> {
    match strptime(input, format, local) {
        Some((tm, rest)) => Ok((tm.fields(0.0), Some(rest).filter(|rest| !rest.is_empty()))),
        None => Err(format!("date \"{input}\" does not match format \"{format}\"")),
    }
}

/// `strftime` of an array; a number goes through [`gmtime`] first.
pub(crate) fn format_utc(fields: &[Option<f64>], format: &str, local: &Zone) -> Result<String, &'static str> {
    let tm = Tm::from_fields(fields).ok_or("strftime/1 requires parsed datetime inputs")?;
    let tm = tm.normalized();
    strftime(&tm, format, 0, "UTC", local).ok_or("strftime/1: unknown system failure")
}

/// `strflocaltime` of an array; a number goes through [`localtime`] first.
pub(crate) fn format_local(fields: &[Option<f64>], format: &str, zone: &Zone) -> Result<String, &'static str> {
    let tm = Tm::from_fields(fields).ok_or("strflocaltime/1 requires parsed datetime inputs")?;
    let seconds = zone.unix(&tm);
    let there = zone.at(seconds);
    let tm = Tm::from_unix(seconds.saturating_add(there.offset)).unwrap_or(tm);
    strftime(&tm, format, there.offset, &there.name, zone).ok_or("strflocaltime/1: unknown system failure")
}

#[cfg(test)]
mod tests;
