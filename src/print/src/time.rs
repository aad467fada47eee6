//! The time before each packet.

use netkit_core::civil_from_unix;

use crate::{Options, Printer, TimeStyle, put};

/// Local time: when which offset from UTC began.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    /// Seconds since 1970 and the seconds to add from then on, in order.
    changes: Vec<(i64, i32)>,
    first: i32,
}

impl Zone {
    /// No offset.
    pub fn utc() -> Zone {
        Zone::default()
    }

    /// One offset for all times, in seconds east of Greenwich.
    pub fn fixed(offset: i32) -> Zone {
        Zone { changes: Vec::new(), first: offset }
    }

    /// Reads the data of a time zone file (RFC 8536): version 2 and later have a second part with 64-bit times.
    pub fn from_tzif(bytes: &[u8]) -> Option<Zone> {
        let zone = Zone::part(bytes, 4);
        if bytes.get(4).is_some_and(|version| *version >= b'2') {
            let counts = Zone::counts(bytes)?;
            let [utc, standard, leaps, times, types, letters] = counts;
            let length = 44 + times * 5 + types * 6 + letters + leaps * 8 + standard + utc;
            return Zone::part(bytes.get(length..)?, 8).or(zone);
        }
        zone
    }

    fn counts(bytes: &[u8]) -> Option<[usize; 6]> {
        if bytes.get(..4)? != b"TZif" {
            return None;
        }
        let mut counts = [0usize; 6];
        for (count, field) in counts.iter_mut().zip(bytes.get(20..44)?.chunks_exact(4)) {
            let number = u32::from_be_bytes(field.try_into().ok()?);
            *count = usize::try_from(number).ok().filter(|count| *count <= 1 << 16)?;
        }
        Some(counts)
    }

    fn part(bytes: &[u8], width: usize) -> Option<Zone> {
        let [_, _, _, times, types, _] = Zone::counts(bytes)?;
        let moments = bytes.get(44..44 + times * width)?;
        let indexes = bytes.get(44 + times * width..44 + times * (width + 1))?;
        let kinds = bytes.get(44 + times * (width + 1)..44 + times * (width + 1) + types * 6)?;
        let offset = |index: usize| -> Option<i32> {
            Some(i32::from_be_bytes(kinds.get(index * 6..index * 6 + 4)?.try_into().ok()?))
        };
        let mut changes = Vec::with_capacity(times);
        for (moment, index) in moments.chunks_exact(width).zip(indexes) {
            let moment = match width {
                4 => i64::from(i32::from_be_bytes(moment.try_into().ok()?)),
                _ => i64::from_be_bytes(moment.try_into().ok()?),
            };
            changes.push((moment, offset(usize::from(*index))?));
        }
        Some(Zone { changes, first: offset(0).unwrap_or(0) })
    }

    /// Seconds east of Greenwich at a time, in seconds since 1970.
    pub fn offset(&self, seconds: i64) -> i64 {
        let after = self.changes.partition_point(|change| change.0 <= seconds);
        let found = after.checked_sub(1).and_then(|index| self.changes.get(index));
        i64::from(found.map_or(self.first, |change| change.1))
    }
}

impl Options {
    fn per_second(&self) -> u32 {
        if self.nano { 1_000_000_000 } else { 1_000_000 }
    }
}

impl Printer {
    /// The time of a packet in the style wanted, and a blank.
    pub(crate) fn stamp(&mut self, seconds: u64, nanos: u32) {
        let fraction = if self.options.nano { nanos } else { nanos / 1000 };
        match self.options.time {
            TimeStyle::None => return,
            TimeStyle::Clock | TimeStyle::Date => self.date(seconds),
            TimeStyle::Seconds => put!(self, "{seconds}"),
            TimeStyle::SinceLast | TimeStyle::SinceFirst => {
                let first = *self.first.get_or_insert((seconds, fraction));
                let mut since = first;
                if self.options.time == TimeStyle::SinceLast {
                    since = self.previous.replace((seconds, fraction)).unwrap_or(first);
                }
                return self.difference((seconds, fraction), since);
            }
        }
        self.fraction(fraction);
    }

    /// A line of one's own after the time of a packet.
    pub fn stamped(&mut self, seconds: u64, nanos: u32, line: &str) {
        self.stamp(seconds, nanos);
        self.text(line);
        self.out.push(b'\n');
    }

    fn fraction(&mut self, fraction: u32) {
        self.out.push(b'.');
        let mut unit = self.options.per_second() / 10;
        if fraction >= self.options.per_second() {
            // A file may hold more than a second's worth: shown as it is.
            put!(self, "{fraction} ");
            return;
        }
        while unit > 0 {
            self.out.push(b'0' + (fraction / unit % 10) as u8);
            unit /= 10;
        }
        self.out.push(b' ');
    }

    fn difference(&mut self, now: (u64, u32), since: (u64, u32)) {
        let (sign, late, early) = if now < since { ('-', since, now) } else { (' ', now, since) };
        let borrow = u64::from(late.1 < early.1);
        let seconds = late.0 - early.0 - borrow;
        let fraction = (late.1 + if borrow == 1 { self.options.per_second() } else { 0 }) - early.1;
        put!(self, "{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        self.fraction(fraction);
    }

    fn date(&mut self, seconds: u64) {
        let from = if self.options.time == TimeStyle::Date { 0 } else { 11 };
        if let Some((_, text)) = self.day.filter(|day| day.0 == seconds) {
            return self.out.extend_from_slice(text.get(from..).unwrap_or_default());
        }
        let signed = i64::try_from(seconds).unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
        let civil = civil_from_unix(signed.saturating_add(self.zone.offset(signed)));
        let before = self.out.len();
        put!(
            self,
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            civil.year,
            civil.month,
            civil.day,
            civil.hour,
            civil.minute,
            civil.second
        );
        if let Some(text) = self.out.get(before..).and_then(|text| <[u8; 19]>::try_from(text).ok()) {
            self.day = Some((seconds, text));
        }
        let cut = self.out.len() - 8 - before;
        if from > 0 {
            self.out.drain(before..before + cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(style: TimeStyle, times: &[(u64, u32)]) -> String {
        let mut printer = Printer::new(Options { time: style, ..Options::default() });
        for (seconds, nanos) in times {
            printer.stamp(*seconds, *nanos);
        }
        String::from_utf8(printer.out).unwrap()
    }

    #[test]
    fn styles() {
        let times = [(3723, 4_005_000), (3724, 1_000_000), (3723, 0)];
        assert_eq!(stamp(TimeStyle::Clock, &times), "01:02:03.004005 01:02:04.001000 01:02:03.000000 ");
        assert_eq!(stamp(TimeStyle::Seconds, &times), "3723.004005 3724.001000 3723.000000 ");
        assert_eq!(stamp(TimeStyle::SinceLast, &times), " 00:00:00.000000  00:00:00.996995 -00:00:01.001000 ");
        assert_eq!(stamp(TimeStyle::SinceFirst, &times), " 00:00:00.000000  00:00:00.996995 -00:00:00.004005 ");
        assert_eq!(stamp(TimeStyle::Date, &[(2_147_483_648, 0)]), "2038-01-19 03:14:08.000000 ");
        assert_eq!(stamp(TimeStyle::Date, &[(4_294_967_296, 0)]), "2106-02-07 06:28:16.000000 ");
        assert_eq!(stamp(TimeStyle::None, &times), "");
    }

    #[test]
    fn a_zone_file() {
        let mut bytes = b"TZif\0".to_vec();
        bytes.extend([0; 15]);
        for count in [0u32, 0, 0, 1, 2, 4] {
            bytes.extend(count.to_be_bytes());
        }
        bytes.extend(1000i32.to_be_bytes());
        bytes.push(1);
        bytes.extend(3600i32.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(7200i32.to_be_bytes());
        bytes.extend([1, 0]);
        bytes.extend(b"ABC\0");
        let zone = Zone::from_tzif(&bytes).unwrap();
        assert_eq!((zone.offset(999), zone.offset(1000)), (3600, 7200));
        assert!(Zone::from_tzif(bytes.get(..50).unwrap()).is_none());
    }
}
