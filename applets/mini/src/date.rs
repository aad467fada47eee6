//! date (POSIX.1-2017; coreutils 9.1). The clock is shown, never set.

use std::io::BufRead;
use std::os::unix::fs::MetadataExt;

use netkit_core::{Ctx, Exit};

use crate::base::{Bytes, Outcome, Tool, after, at, lossy, number, part, path, wanted, wrong};
use crate::meta::{Moment, days};

/// Now, in seconds and nanoseconds.
pub(crate) fn now(ctx: &Ctx) -> (i64, u32) {
    let now = ctx.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(now.as_secs()).unwrap_or(0), now.subsec_nanos())
}

pub(crate) fn date(ctx: &mut Ctx) -> Outcome {
    let spec = "d:date f:file I?iso-8601 R.rfc-email,rfc-822,rfc-2822 r:reference u.utc,universal,uct _3:rfc-3339 _D.debug s:set";
    let mut tool = Tool::new(ctx, spec, 1)?;
    if tool.has(b's') {
        return wrong(2, "option -s is not offered: netkit changes no clock");
    }
    let utc = tool.has(b'u');
    let mut format: Bytes = b"%a %b %e %H:%M:%S %Z %Y".to_vec();
    let precise = |text: &[u8], letter: &[u8]| -> Option<Bytes> {
        Some(match text {
            b"" | b"date" => b"%Y-%m-%d".to_vec(),
            b"hours" => [b"%Y-%m-%d", letter, b"%H%:z"].concat(),
            b"minutes" => [b"%Y-%m-%d", letter, b"%H:%M%:z"].concat(),
            b"seconds" => [b"%Y-%m-%d", letter, b"%H:%M:%S%:z"].concat(),
            b"ns" => [b"%Y-%m-%d", letter, b"%H:%M:%S,%N%:z"].concat(),
            _ => return None,
        })
    };
    if tool.has(b'R') {
        format = b"%a, %d %b %Y %H:%M:%S %z".to_vec();
    } else if let Some(text) = tool.opts.value(b'I') {
        format = wanted(precise(text, b"T"), "argument for '--iso-8601'", text, 1)?;
    } else if let Some(text) = tool.opts.value(b'3') {
        let found = precise(text, b" ").filter(|_| !matches!(text, b"" | b"hours" | b"minutes"));
        format = wanted(found, "argument for '--rfc-3339'", text, 1)?;
        if text == b"ns" {
            format = b"%Y-%m-%d %H:%M:%S.%N%:z".to_vec();
        }
    }
    let operands = std::mem::take(&mut tool.opts.rest);
    for (index, operand) in operands.iter().enumerate() {
        match operand.strip_prefix(b"+") {
            Some(own) if index == 0 => format = own.to_vec(),
            _ if index > 0 => return wrong(1, &format!("extra operand '{}'", lossy(operand))),
            _ if operand.iter().all(u8::is_ascii_digit) && operand.len() >= 8 => {
                return wrong(2, &format!("'{}': netkit changes no clock", lossy(operand)));
            }
            _ => return wrong(1, &format!("invalid date '{}'", lossy(operand))),
        }
    }
    let present = now(tool.ctx);
    if let Some(name) = tool.opts.value(b'f').map(<[u8]>::to_vec) {
        let Some(input) = tool.open(&name) else { return tool.done() };
        for line in input.split(b'\n') {
            let line = line?;
            match read(&line, present, utc) {
                Some(moment) => show(&mut tool, moment, utc, &format)?,
                None => tool.complain(&format!("invalid date '{}'", lossy(&line))),
            }
        }
        return tool.done();
    }
    let mut moment = present;
    if let Some(name) = tool.opts.value(b'r').map(<[u8]>::to_vec) {
        match std::fs::metadata(path(&name)) {
            Ok(data) => moment = (data.mtime(), u32::try_from(data.mtime_nsec()).unwrap_or(0)),
            Err(error) => {
                tool.fail(&name, &error);
                return tool.done();
            }
        }
    }
    if let Some(text) = tool.opts.value(b'd') {
        moment = wanted(read(text, present, utc), "date", text, 1)?;
    }
    show(&mut tool, moment, utc, &format)?;
    Ok(Exit(tool.status))
}

fn show(tool: &mut Tool<'_>, (seconds, nanos): (i64, u32), utc: bool, format: &[u8]) -> Result<(), netkit_core::Error> {
    let mut out = Bytes::new();
    Moment::new(seconds, nanos, utc).format(format, &mut out);
    out.push(b'\n');
    tool.put(&out)
}

/// Seconds of a local calendar date and time.
fn local(seconds: i64, utc: bool) -> i64 {
    if utc {
        return seconds;
    }
    let guess = seconds - netkit_sys::time::zone(seconds).offset;
    seconds - netkit_sys::time::zone(guess).offset
}

/// What was read of a date.
#[derive(Default)]
struct Read {
    date: Option<(i64, i64, i64)>,
    time: Option<(i64, u32)>,
    zone: Option<i64>,
    weekday: Option<i64>,
    months: i64,
    days: i64,
    seconds: i64,
    midnight: bool,
}

/// Reads a date as people write it: `@N`, ISO 8601, RFC 2822, names of months and days, `3 days ago`, `next month`.
pub(crate) fn read(text: &[u8], now: (i64, u32), utc: bool) -> Option<(i64, u32)> {
    let text = text.to_ascii_lowercase();
    let text = text.trim_ascii();
    if let Some(rest) = text.strip_prefix(b"@") {
        let negative = rest.starts_with(b"-");
        let rest = if negative { after(rest, 1) } else { rest };
        let dot = rest.iter().position(|byte| *byte == b'.').unwrap_or(rest.len());
        let seconds = i64::try_from(number(part(rest, 0, dot))?).ok()?;
        let nanos = if dot < rest.len() { fraction(after(rest, dot + 1))? } else { 0 };
        return Some(match (negative, nanos) {
            (false, _) => (seconds, nanos),
            (true, 0) => (-seconds, 0),
            (true, _) => (-seconds - 1, 1_000_000_000 - nanos),
        });
    }
    let mut own = Read::default();
    let words: Vec<&[u8]> =
        text.split(|byte| byte.is_ascii_whitespace() || *byte == b',').filter(|word| !word.is_empty()).collect();
    let mut index = 0;
    while let Some(word) = words.get(index) {
        let next = words.get(index + 1).copied().unwrap_or_default();
        index += own.word(word, next, now, utc)?;
    }
    let present = Moment::new(now.0, now.1, utc);
    let civil = &present.civil;
    let (year, month, day) = own.date.unwrap_or((civil.year, i64::from(civil.month), i64::from(civil.day)));
    let clock = i64::from(civil.hour) * 3600 + i64::from(civil.minute) * 60 + i64::from(civil.second);
    let whole = own.date.is_some() || own.weekday.is_some() || own.midnight;
    let (time, nanos) = own.time.unwrap_or(if whole { (0, 0) } else { (clock, now.1) });
    let mut count = days(year, month + own.months, day) + own.days;
    if let Some(wanted) = own.weekday {
        count += (wanted - (count + 4)).rem_euclid(7);
    }
    let seconds = count.checked_mul(86400)?.checked_add(time)?;
    let seconds = match own.zone {
        Some(offset) => seconds - offset,
        None => local(seconds, utc),
    };
    Some((seconds.checked_add(own.seconds)?, nanos))
}

fn fraction(text: &[u8]) -> Option<u32> {
    let digits = part(text, 0, 9);
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = number(digits)? * 10u64.checked_pow(9 - u32::try_from(digits.len()).ok()?)?;
    u32::try_from(value).ok()
}

/// Names of which the first three letters count.
fn named(word: &[u8], list: &[u8]) -> Option<i64> {
    let word = word.strip_suffix(b".").unwrap_or(word);
    if word.len() < 3 || !word.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    list.chunks(3).position(|own| word.starts_with(own)).and_then(|index| i64::try_from(index).ok())
}

/// A date of three numbers, valid in the calendar.
fn valid(year: i64, month: i64, day: i64) -> Option<(i64, i64, i64)> {
    let length = days(year, month + 1, 1) - days(year, month, 1);
    ((1..=12).contains(&month) && (1..=length).contains(&day)).then_some((year, month, day))
}

impl Read {
    /// Takes a word, perhaps with the next one; how many were taken.
    fn word(&mut self, word: &[u8], next: &[u8], now: (i64, u32), utc: bool) -> Option<usize> {
        let value =
            |text: &[u8]| number(text).and_then(|value| i64::try_from(value).ok()).filter(|value| *value < 1 << 40);
        match word {
            b"now" => return Some(1),
            b"today" | b"midnight" => {
                self.midnight |= word == b"midnight";
                return Some(1);
            }
            b"yesterday" => {
                self.days -= 1;
                return Some(1);
            }
            b"tomorrow" => {
                self.days += 1;
                return Some(1);
            }
            b"ago" => {
                (self.months, self.days, self.seconds) = (-self.months, -self.days, -self.seconds);
                return Some(1);
            }
            b"utc" | b"gmt" | b"z" | b"ut" => {
                self.zone = Some(0);
                return Some(1);
            }
            b"next" | b"last" | b"this" => {
                let count = match word {
                    b"next" => 1,
                    b"last" => -1,
                    _ => 0,
                };
                if let Some(day) = named(next, b"sunmontuewedthufrisat") {
                    self.weekday = Some(day);
                    let present = i64::from(Moment::new(now.0, 0, utc).civil.weekday);
                    self.days += 7 * if count == 1 && present != day { 0 } else { count };
                    return Some(2);
                }
                return self.unit(next, count).map(|()| 2);
            }
            _ => {}
        }
        if let Some(day) = named(word, b"sunmontuewedthufrisat") {
            self.weekday = Some(day);
            return Some(1);
        }
        if let Some(month) = named(word, b"janfebmaraprmayjunjulaugsepoctnovdec") {
            let present = Moment::new(now.0, 0, utc).civil;
            let (year, _, day) = self.date.unwrap_or((present.year, 1, 0));
            let (day, taken) = match value(next) {
                Some(day) if day <= 31 => (day, 2),
                _ => (day.max(1), 1),
            };
            self.date = Some(valid(year, month + 1, day)?);
            return Some(taken);
        }
        if self.unit(word, 1).is_some() {
            return Some(1);
        }
        let sign = at(word, 0);
        let digits = if matches!(sign, b'+' | b'-') { after(word, 1) } else { word };
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            if matches!(sign, b'+' | b'-') && word.len() == 1 {
                let count = value(next)?;
                return Some(if count >= 0 { self.pending(if sign == b'-' { -count } else { count })? } else { 0 });
            }
            return None;
        }
        if digits.contains(&b':') && !digits.contains(&b'-')
            || digits.contains(&b':') && !digits.contains(&b'/') && count <= 2
        {
            if matches!(sign, b'+' | b'-') && self.time.is_some() {
                self.zone = Some(zone(word)?);
                return Some(1);
            }
            return self.clock(word, next);
        }
        if let Some(dash) = digits.iter().position(|byte| *byte == b'-') {
            let (date, time) = match digits.iter().position(|byte| *byte == b't') {
                Some(t) => (part(digits, 0, t), after(digits, t + 1)),
                None => (digits, &b""[..]),
            };
            let mut fields = date.split(|byte| *byte == b'-');
            let year = value(fields.next()?)?;
            let (month, day) = (value(fields.next()?)?, value(fields.next()?)?);
            if fields.next().is_some() || dash < 1 {
                return None;
            }
            let year = if dash <= 2 { year + if year < 69 { 2000 } else { 1900 } } else { year };
            self.date = Some(valid(year, month, day)?);
            return if time.is_empty() { Some(1) } else { self.clock(time, next) };
        }
        if digits.contains(&b'/') {
            let fields: Option<Vec<i64>> = digits.split(|byte| *byte == b'/').map(value).collect();
            let (year, month, day) = match fields?.as_slice() {
                [month, day] => (Moment::new(now.0, 0, utc).civil.year, *month, *day),
                [year, month, day] if *year > 31 => (*year, *month, *day),
                [month, day, year] if *year < 100 => (year + if *year < 69 { 2000 } else { 1900 }, *month, *day),
                [month, day, year] => (*year, *month, *day),
                _ => return None,
            };
            self.date = Some(valid(year, month, day)?);
            return Some(1);
        }
        let amount = value(part(digits, 0, count))?;
        let amount_signed = if sign == b'-' { -amount } else { amount };
        let unit = after(digits, count);
        if !unit.is_empty() {
            if matches!(unit, b"am" | b"pm") {
                return self.clock(word, next);
            }
            return self.unit(unit, amount_signed).map(|()| 1);
        }
        if self.unit(next, amount_signed).is_some() {
            return Some(2);
        }
        if matches!(next, b"am" | b"pm") {
            return self.clock(&[word, next].concat(), b"").map(|_| 2);
        }
        if matches!(sign, b'+' | b'-') && self.time.is_some() && matches!(count, 2 | 4) {
            self.zone = Some(zone(word)?);
            return Some(1);
        }
        match (count, self.date) {
            (8, None) => {
                self.date = Some(valid(amount / 10000, amount / 100 % 100, amount % 100)?);
                Some(1)
            }
            (4, Some((_, month, day))) => {
                self.date = Some(valid(amount, month, day)?);
                Some(1)
            }
            (1 | 2, None) => {
                // A day before its month: `21 nov 2026`.
                let month = named(next, b"janfebmaraprmayjunjulaugsepoctnovdec");
                let Some(month) = month else {
                    self.time = Some((amount.checked_mul(3600).filter(|_| amount < 24)?, 0));
                    return Some(1);
                };
                self.date = Some(valid(Moment::new(now.0, 0, utc).civil.year, month + 1, amount)?);
                Some(2)
            }
            (4, None) => {
                let (hours, minutes) = (amount / 100, amount % 100);
                self.time = Some((hours * 3600 + minutes * 60, 0)).filter(|_| hours < 24 && minutes < 60);
                self.time.map(|_| 1)
            }
            _ => None,
        }
    }

    /// A sign that stood apart from its number: counts as taken, the number follows with its unit.
    fn pending(&mut self, count: i64) -> Option<usize> {
        // The unit is the third word; `+ 3 days` is rare enough to be read as days only here.
        self.days += count;
        Some(3)
    }

    fn unit(&mut self, word: &[u8], count: i64) -> Option<()> {
        let word = word.strip_suffix(b"s").unwrap_or(word);
        match word {
            b"sec" | b"second" => self.seconds = self.seconds.checked_add(count)?,
            b"min" | b"minute" => self.seconds = self.seconds.checked_add(count.checked_mul(60)?)?,
            b"hour" => self.seconds = self.seconds.checked_add(count.checked_mul(3600)?)?,
            b"day" => self.days += count,
            b"week" => self.days += count.checked_mul(7)?,
            b"fortnight" => self.days += count.checked_mul(14)?,
            b"month" => self.months += count,
            b"year" => self.months += count.checked_mul(12)?,
            _ => return None,
        }
        (self.days.abs() < 1 << 40 && self.months.abs() < 1 << 40).then_some(())
    }

    /// `12:34[:56[.789]][am|pm][zone]`.
    fn clock(&mut self, word: &[u8], next: &[u8]) -> Option<usize> {
        let end = word.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b':' | b'.')).unwrap_or(word.len());
        let mut rest = after(word, end);
        let mut fields = part(word, 0, end).split(|byte| *byte == b':');
        let two =
            |text: &[u8]| if text.len() > 2 { None } else { number(text).and_then(|value| i64::try_from(value).ok()) };
        let mut hours = two(fields.next()?)?;
        let minutes = fields.next().map_or(Some(0), two)?;
        let last = fields.next().unwrap_or(b"0");
        let dot = last.iter().position(|byte| *byte == b'.').unwrap_or(last.len());
        let seconds = two(part(last, 0, dot))?;
        let nanos = if dot < last.len() { fraction(after(last, dot + 1))? } else { 0 };
        let mut taken = 1;
        if rest.is_empty() && matches!(next, b"am" | b"pm") {
            rest = next;
            taken = 2;
        }
        if let Some(half) = rest.strip_suffix(b"m").filter(|half| matches!(*half, b"a" | b"p")) {
            if !(1..=12).contains(&hours) {
                return None;
            }
            hours = hours % 12 + if half == b"p" { 12 } else { 0 };
        } else if !rest.is_empty() {
            self.zone = Some(if matches!(rest, b"z" | b"utc" | b"gmt") { 0 } else { zone(rest)? });
        }
        if hours > 23 || minutes > 59 || seconds > 60 || fields.next().is_some() {
            return None;
        }
        self.time = Some((hours * 3600 + minutes * 60 + seconds, nanos));
        Some(taken)
    }
}

/// `+hh`, `+hhmm`, `+hh:mm` in seconds.
fn zone(text: &[u8]) -> Option<i64> {
    let sign = match at(text, 0) {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: Bytes = after(text, 1).iter().copied().filter(|byte| *byte != b':').collect();
    let value = i64::try_from(number(&digits)?).ok()?;
    let (hours, minutes) = match digits.len() {
        1 | 2 => (value, 0),
        3 | 4 => (value / 100, value % 100),
        _ => return None,
    };
    (hours < 25 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        let now = (1_709_209_845, 5); // Thu Feb 29 12:30:45 UTC 2024
        for (text, seconds) in [
            ("@12.5", 12),
            ("2024-03-01", 1_709_251_200),
            ("2024-03-01T10:00:00Z", 1_709_287_200),
            ("2024-03-01 10:00:00 +0100", 1_709_283_600),
            ("Fri, 01 Mar 2024 10:00:00 +0000", 1_709_287_200),
            ("1 day ago", now.0 - 86400),
            ("+2 hours", now.0 + 7200),
            ("yesterday", now.0 - 86400),
            ("mar 1 2024 10:00", 1_709_287_200),
            ("20240301", 1_709_251_200),
            ("next week", now.0 + 7 * 86400),
            ("2024-03-01 1:00pm", 1_709_298_000),
        ] {
            assert_eq!(read(text.as_bytes(), now, true).map(|moment| moment.0), Some(seconds), "{text}");
        }
        for text in ["nonsense", "2024-13-01", "25:00", "2024-02-30", "@", "1-2-3-4"] {
            assert_eq!(read(text.as_bytes(), now, true), None, "{text}");
        }
    }
}
