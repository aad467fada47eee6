//! The clock is handed in, so that tests can hold it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Source of time.
pub trait Clock: Send + Sync {
    /// Wall-clock time.
    fn now(&self) -> SystemTime;
    /// Monotonic time, for durations.
    fn instant(&self) -> Instant;

    /// Whole seconds since the epoch.
    fn unix_seconds(&self) -> i64 {
        let since = self.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// A UTC date and time of day in the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, may be negative.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59; leap seconds do not exist in Unix time.
    pub second: u8,
    /// 0 is Sunday.
    pub weekday: u8,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl Civil {
    /// Three-letter English month.
    pub fn month_name(&self) -> &'static str {
        MONTHS.get(usize::from(self.month).wrapping_sub(1)).copied().unwrap_or("???")
    }

    /// Three-letter English weekday.
    pub fn weekday_name(&self) -> &'static str {
        DAYS.get(usize::from(self.weekday)).copied().unwrap_or("???")
    }
}

/// Splits Unix time, in seconds, into calendar fields.
///
/// The day count is taken relative to 0000-03-01 so that the leap day is the last of its year;
/// a 400-year era has 146,097 days.
pub fn civil_from_unix(seconds: i64) -> Civil {
    let days = seconds.div_euclid(86_400);
    let rest = seconds.rem_euclid(86_400);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let small = |value: i64| u8::try_from(value).unwrap_or(0);
    Civil {
        year: era * 400 + year_of_era + i64::from(month <= 2),
        month: small(month),
        day: small(day_of_year - (153 * march_month + 2) / 5 + 1),
        hour: small(rest / 3_600),
        minute: small(rest / 60 % 60),
        second: small(rest % 60),
        weekday: small((days + 4).rem_euclid(7)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        let c = civil_from_unix(0);
        assert_eq!((c.year, c.month, c.day, c.weekday_name()), (1970, 1, 1, "Thu"));
        let c = civil_from_unix(1_709_209_845); // date -u -d @1709209845: Thu Feb 29 12:30:45 UTC 2024
        assert_eq!((c.year, c.month_name(), c.day, c.hour, c.minute, c.second), (2024, "Feb", 29, 12, 30, 45));
        assert_eq!(c.weekday_name(), "Thu");
        let c = civil_from_unix(-1);
        assert_eq!((c.year, c.month, c.day, c.hour, c.second), (1969, 12, 31, 23, 59));
    }
}
