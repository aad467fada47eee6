//! strptime in the C locale, as glibc reads.

use super::format::{DAYS, MONTHS};
use super::{Tm, Zone, days, is_leap};

/// C's marks for "nobody has set this", which jq shows when only a time of day was read.
const NO_WEEKDAY: i64 = 8;
const NO_YEARDAY: i64 = 367;

/// Compound formats within compound formats do not nest deeper.
const MAX_DEPTH: u32 = 4;

/// Reads `input` by `format`. What is left of the input begins with a space or is empty. `None`: no match.
pub(crate) fn strptime<'a>(input: &'a str, format: &str, local: &Zone) -> Option<(Tm, &'a str)> {
    let format = format.split('\0').next().unwrap_or_default();
    let mut reader = Reader {
        rest: input.split('\0').next().unwrap_or_default(),
        tm: Tm { year: 1900, weekday: NO_WEEKDAY, yearday: NO_YEARDAY, ..Tm::default() },
        have: Have::default(),
        local,
    };
    reader.read(format, 0)?;
    let rest = reader.rest;
    if rest.starts_with(|c: char| !is_space(c)) {
        return None;
    }
    Some((reader.finish(), rest))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// What the format has said so far.
#[derive(Default)]
struct Have {
    hour12: bool,
    afternoon: bool,
    century: Option<i64>,
    /// A year of two digits, which a century completes.
    short_year: bool,
    /// Fields from which weekday and day of the year follow.
    date: bool,
    month: bool,
    day: bool,
    weekday: bool,
    yearday: bool,
    /// Week of the year and whether it begins on Monday.
    week: Option<(i64, bool)>,
}

struct Reader<'a, 'z> {
    rest: &'a str,
    tm: Tm,
    have: Have,
    local: &'z Zone,
}

impl Reader<'_, '_> {
    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    /// Up to `digits` digits after spaces, while the value can still be at most `high`.
    fn number(&mut self, low: i64, high: i64, digits: u32) -> Option<i64> {
        self.rest = self.rest.trim_start_matches(' ');
        let mut value = 0;
        let mut read = 0;
        while let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(10)) {
            value = value * 10 + i64::from(digit);
            self.rest = self.rest.get(1..)?;
            read += 1;
            if read == digits || value * 10 > high {
                break;
            }
        }
        (read > 0 && low <= value && value <= high).then_some(value)
    }

    /// A name in full or its first three letters, in any case.
    fn name(&mut self, names: &[&str]) -> Option<i64> {
        let starts = |name: &str| self.rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
        let (index, length) = names.iter().enumerate().find_map(|(index, name)| {
            let short = name.get(..3)?;
            if starts(name) { Some((index, name.len())) } else { starts(short).then_some((index, short.len())) }
        })?;
        self.rest = self.rest.get(length..)?;
        i64::try_from(index).ok()
    }

    fn read(&mut self, format: &str, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut rest = format;
        while let Some(c) = rest.chars().next() {
            rest = rest.get(c.len_utf8()..)?;
            if is_space(c) {
                self.skip_spaces();
                continue;
            }
            if c != '%' {
                self.rest = self.rest.strip_prefix(c)?;
                continue;
            }
            // Flags of strftime are passed over; E and O change nothing in the C locale.
            rest = rest.trim_start_matches(['-', '_', '0', '^', '#']);
            rest = rest.strip_prefix(['E', 'O']).unwrap_or(rest);
            let conversion = rest.chars().next()?;
            rest = rest.get(conversion.len_utf8()..)?;
            self.conversion(conversion, depth)?;
        }
        Some(())
    }

    fn conversion(&mut self, conversion: char, depth: u32) -> Option<()> {
        match conversion {
            '%' => self.rest = self.rest.strip_prefix('%')?,
            'n' | 't' => self.skip_spaces(),
            'a' | 'A' => {
                self.tm.weekday = self.name(&DAYS)?;
                self.have.weekday = true;
            }
            'b' | 'B' | 'h' => {
                self.tm.month = self.name(&MONTHS)?;
                (self.have.month, self.have.date) = (true, true);
            }
            'c' => self.compound("%a %b %e %H:%M:%S %Y", depth)?,
            'C' => {
                self.have.century = Some(self.number(0, 99, 2)?);
                self.have.date = true;
            }
            'd' | 'e' => {
                self.tm.day = self.number(1, 31, 2)?;
                (self.have.day, self.have.date) = (true, true);
            }
            'D' | 'x' => self.compound("%m/%d/%y", depth)?,
            'F' => self.compound("%Y-%m-%d", depth)?,
            'k' | 'H' => {
                self.tm.hour = self.number(0, 23, 2)?;
                self.have.hour12 = false;
            }
            'l' | 'I' => {
                self.tm.hour = self.number(1, 12, 2)? % 12;
                self.have.hour12 = true;
            }
            'j' => {
                self.tm.yearday = self.number(1, 366, 3)? - 1;
                self.have.yearday = true;
            }
            'm' => {
                self.tm.month = self.number(1, 12, 2)? - 1;
                (self.have.month, self.have.date) = (true, true);
            }
            'M' => self.tm.minute = self.number(0, 59, 2)?,
            'p' | 'P' => {
                let half = self.rest.get(..2)?;
                self.have.afternoon = half.eq_ignore_ascii_case("PM");
                if !self.have.afternoon && !half.eq_ignore_ascii_case("AM") {
                    return None;
                }
                self.rest = self.rest.get(2..)?;
            }
            'r' => self.read("%I:%M:%S %p", depth + 1)?,
            'R' => self.read("%H:%M", depth + 1)?,
            's' => self.unix_seconds()?,
            'S' => self.tm.second = self.number(0, 61, 2)?,
            'T' | 'X' => self.read("%H:%M:%S", depth + 1)?,
            'u' => {
                self.tm.weekday = self.number(1, 7, 1)? % 7;
                self.have.weekday = true;
            }
            'w' => {
                self.tm.weekday = self.number(0, 6, 1)?;
                self.have.weekday = true;
            }
            'g' => {
                self.number(0, 99, 2)?;
            }
            'G' => {
                // The ISO year is read over: weeks of it are not used either.
                let digits = self.rest.len() - self.rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                if digits != 4 {
                    return None;
                }
                self.rest = self.rest.get(4..)?;
            }
            'U' => self.have.week = Some((self.number(0, 53, 2)?, false)),
            'W' => self.have.week = Some((self.number(0, 53, 2)?, true)),
            'V' => {
                self.number(0, 53, 2)?;
            }
            'y' => {
                let year = self.number(0, 99, 2)?;
                self.tm.year = if year >= 69 { 1900 + year } else { 2000 + year };
                (self.have.short_year, self.have.date) = (true, true);
            }
            'Y' => {
                self.tm.year = self.number(0, 9999, 4)?;
                (self.have.short_year, self.have.date) = (false, true);
            }
            'Z' => {
                self.skip_spaces();
                self.rest = self.rest.trim_start_matches(|c| !is_space(c));
            }
            'z' => self.offset()?,
            _ => return None,
        }
        Some(())
    }

    fn compound(&mut self, format: &str, depth: u32) -> Option<()> {
        self.read(format, depth + 1)?;
        self.have.date = true;
        Some(())
    }

    /// `%s`: the local time at so many seconds.
    fn unix_seconds(&mut self) -> Option<()> {
        let digits = self.rest.len() - self.rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (head, rest) = self.rest.split_at_checked(digits)?;
        let seconds: i64 = head.parse().ok()?;
        self.rest = rest;
        self.tm = Tm::from_unix(seconds.checked_add(self.local.at(seconds).offset)?)?;
        Some(())
    }

    /// `%z`: `Z`, `+hh`, `+hhmm` or `+hh:mm`. It moves nothing: jq takes the fields as UTC.
    fn offset(&mut self) -> Option<()> {
        self.skip_spaces();
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Some(());
        }
        self.rest = self.rest.strip_prefix(['+', '-'])?;
        let mut digits = 0;
        let mut minutes = 0;
        while digits < 4 {
            if digits == 2
                && self.rest.starts_with(':')
                && self.rest.get(1..)?.starts_with(|c: char| c.is_ascii_digit())
            {
                self.rest = self.rest.get(1..)?;
            }
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(10)) else { break };
            self.rest = self.rest.get(1..)?;
            minutes = if digits < 2 { 0 } else { minutes * 10 + digit };
            digits += 1;
        }
        (matches!(digits, 2 | 4) && minutes < 60).then_some(())
    }

    /// What follows from the fields that were read.
    fn finish(mut self) -> Tm {
        let have = &self.have;
        let mut tm = self.tm;
        if have.hour12 && have.afternoon {
            tm.hour += 12;
        }
        if let Some(century) = have.century {
            tm.year = century * 100 + if have.short_year { tm.year.rem_euclid(100) } else { 0 };
        }
        let month_and_day = |tm: &mut Tm| {
            let starts = |month: i64| days(tm.year, month, 1) - days(tm.year, 0, 1);
            let month = (0..12).rev().find(|&month| starts(month) <= tm.yearday).unwrap_or(0);
            (tm.day, tm.month) = (tm.yearday - starts(month) + 1, month);
        };
        if have.date && !have.weekday {
            if !(have.month && have.day) && have.yearday {
                month_and_day(&mut tm);
            }
            tm.weekday = (days(tm.year, tm.month, tm.day) + 4).rem_euclid(7);
        }
        if have.date && !have.yearday {
            tm.yearday = days(tm.year, tm.month, tm.day) - days(tm.year, 0, 1);
        }
        if let Some((week, monday)) = have.week
            && have.weekday
            && !(have.month && have.day)
        {
            let first = (days(tm.year, 0, 1) + 4).rem_euclid(7);
            let begins = i64::from(monday);
            if !have.yearday {
                let base = (7 - (first - begins)).rem_euclid(7);
                tm.yearday = base + (week - 1) * 7 + (tm.weekday - begins).rem_euclid(7);
                if tm.yearday < 0 {
                    tm.year -= 1;
                    tm.yearday += if is_leap(tm.year) { 366 } else { 365 };
                }
            }
            month_and_day(&mut tm);
        }
        // jq completes what C has left open, as far as there is a day.
        if tm.day != 0 {
            if tm.weekday == NO_WEEKDAY {
                tm.weekday = (days(tm.year, tm.month, tm.day) + 4).rem_euclid(7);
            }
            if tm.yearday == NO_YEARDAY {
                tm.yearday = days(tm.year, tm.month, tm.day) - days(tm.year, 0, 1);
            }
        }
        self.tm = tm;
        self.tm
    }
}
