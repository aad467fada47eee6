//! Dates in HTTP (RFC 9110, section 5.6.7) and the looser forms that `-z` and cookies carry.

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Seconds since the epoch of the first instant named in `text`; `None` when it names none.
/// Words may come in any order: day, month, year, time, zone; a date without a time means midnight UTC.
pub fn parse(text: &str) -> Option<i64> {
    let mut date = Parts::default();
    let separators = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '+' | '-'));
    for word in text.split(separators).filter(|word| !word.is_empty()) {
        // A hyphen between parts of a date (RFC 850) separates; a sign before four digits that are no year makes a zone.
        if let Some(sign) = word.chars().next().filter(|c| matches!(c, '+' | '-')) {
            let digits = word.get(1..).unwrap_or("");
            let number = digits.parse::<i64>().ok().filter(|_| digits.len() == 4 && !digits.starts_with(['+', '-']));
            if let Some(number) = number.filter(|number| *number <= 1400) {
                let seconds = (number / 100 * 60 + number % 100) * 60;
                date.zone = Some(if sign == '+' { seconds } else { -seconds });
                continue;
            }
        }
        for part in word.split('-').filter(|part| !part.is_empty()) {
            date.word(part)?;
        }
    }
    date.seconds()
}

#[derive(Default)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    time: Option<i64>,
    zone: Option<i64>,
}

impl Parts {
    /// Takes one word; `None` when it fits nowhere.
    fn word(&mut self, word: &str) -> Option<()> {
        let lower = word.to_ascii_lowercase();
        if lower.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            let head = lower.get(..3).unwrap_or(&lower);
            if DAYS.contains(&head) {
                return Some(());
            }
            if let (Some(at), None) = (MONTHS.iter().position(|month| *month == head), self.month) {
                self.month = i64::try_from(at).ok();
                return Some(());
            }
            // Military letters, A to M without J east of Greenwich, as libcurl's table has them.
            if let ([letter @ b'a'..=b'y'], None) = (lower.as_bytes(), self.zone) {
                self.zone = Some(
                    3600 * match letter {
                        b'a'..=b'i' => -i64::from(letter - b'a' + 1),
                        b'k'..=b'm' => -i64::from(letter - b'a'),
                        b'n'..=b'y' => i64::from(letter - b'n' + 1),
                        _ => return None,
                    },
                );
                return Some(());
            }
            self.zone = Some(match lower.as_str() {
                "gmt" | "utc" | "ut" | "z" | "wet" => 0,
                "est" | "cdt" => -5 * 3600,
                "edt" => -4 * 3600,
                "cst" | "mdt" => -6 * 3600,
                "mst" | "pdt" => -7 * 3600,
                "pst" => -8 * 3600,
                "cet" | "met" | "bst" | "west" => 3600,
                "cest" | "mest" | "eet" => 7200,
                _ => return None,
            });
            return Some(());
        }
        if lower.contains(':') {
            let mut fields = lower.split(':').map(|field| field.parse::<i64>().ok());
            let (hour, minute) = (fields.next()??, fields.next()??);
            let second = fields.next().unwrap_or(Some(0))?;
            if hour > 23 || minute > 59 || second > 60 || self.time.is_some() {
                return None;
            }
            self.time = Some(hour * 3600 + minute * 60 + second);
            return Some(());
        }
        if !lower.bytes().all(|byte| byte.is_ascii_digit()) || lower.len() > 8 {
            return None;
        }
        let number: i64 = lower.parse().ok()?;
        if lower.len() == 8 && self.year.is_none() && self.month.is_none() && self.day.is_none() {
            self.year = Some(number / 10_000);
            self.month = Some(number % 10_000 / 100 - 1);
            self.day = Some(number % 100);
        } else if self.day.is_none() && (1..=31).contains(&number) && lower.len() <= 2 {
            self.day = Some(number);
        } else if self.year.is_none() {
            self.year = Some(match number {
                0..=70 if lower.len() <= 2 => number + 2000,
                71..=99 if lower.len() <= 2 => number + 1900,
                _ => number,
            });
        } else {
            return None;
        }
        Some(())
    }

    fn seconds(&self) -> Option<i64> {
        let (year, month, day) = (self.year?, self.month?, self.day?);
        if !(0..12).contains(&month) || !(1..=31).contains(&day) || !(1583..=9999).contains(&year) {
            return None;
        }
        Some(days_from_civil(year, month + 1, day) * 86_400 + self.time.unwrap_or(0) - self.zone.unwrap_or(0))
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// As a header field carries it.
pub fn http(seconds: i64) -> String {
    let c = netkit_core::civil_from_unix(seconds);
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        c.weekday_name(),
        c.day,
        c.month_name(),
        c.year,
        c.hour,
        c.minute,
        c.second
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "06 Nov 1994 08:49:37",
            "1994 Nov 6 08:49:37 GMT",
            "06 Nov 1994 10:49:37 +0200",
        ] {
            assert_eq!(parse(text), Some(784_111_777), "{text}");
        }
        assert_eq!(parse("19941106"), Some(784_080_000));
        assert_eq!(parse("tomorrow"), None);
        assert_eq!(parse(""), None);
        assert_eq!(http(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    proptest! {
        #[test]
        fn any_text(text in "[0-9A-Za-z:, +-]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn there_and_back(seconds in 0i64..4_000_000_000) {
            prop_assert_eq!(parse(&http(seconds)), Some(seconds));
        }
    }
}
