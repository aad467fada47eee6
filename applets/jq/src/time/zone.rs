//! Local time: POSIX TZ strings (POSIX.1-2024, 8.3) and zone files (RFC 9636).

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{DAY, Tm, days};

/// No zone file is nearly as large.
const MAX_FILE: u64 = 1 << 18;

/// What a clock on the wall shows at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    /// Seconds east of UTC.
    pub(crate) offset: i64,
    /// Abbreviation, such as CEST.
    pub(crate) name: String,
}

/// A time zone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Zone {
    /// Moments in ascending order, and what holds from each on, as an index into `kinds`.
    transitions: Vec<(i64, usize)>,
    kinds: Vec<Local>,
    /// What holds before the first moment.
    first: usize,
    /// What holds after the last.
    rule: Option<Rule>,
}

impl Zone {
    /// The zone that `TZ` names: a POSIX string, or a file below `/usr/share/zoneinfo`. Without it, /etc/localtime.
    pub(crate) fn from_env(tz: Option<&str>) -> Zone {
        let Some(tz) = tz else { return Zone::from_file(Path::new("/etc/localtime")).unwrap_or_default() };
        let name = tz.strip_prefix(':').unwrap_or(tz);
        if name.is_empty() {
            return Zone::default();
        }
        // An absolute path is taken as it is, as in tzset(3).
        Zone::from_file(&PathBuf::from("/usr/share/zoneinfo").join(name))
            .or_else(|| Rule::parse(name).map(|rule| Zone { rule: Some(rule), ..Zone::default() }))
            .unwrap_or_default()
    }

    fn from_file(path: &Path) -> Option<Zone> {
        let file = File::open(path).ok()?;
        // A directory, or a device that never ends, is no zone.
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        Zone::from_bytes(&bytes)
    }

    /// Reads a TZif file; version 1 data are passed over when there are 64-bit ones.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Zone> {
        let (version, counts) = header(bytes)?;
        if version == 0 {
            return body(bytes.get(44..)?, &counts, 4).map(|(zone, _)| zone);
        }
        let second = bytes.get(44 + counts.size(4)..)?;
        let (_, counts) = header(second)?;
        let (mut zone, footer) = body(second.get(44..)?, &counts, 8)?;
        let line = footer.strip_prefix(b"\n")?.split(|&b| b == b'\n').next()?;
        zone.rule = std::str::from_utf8(line).ok().and_then(Rule::parse);
        Some(zone)
    }

    /// What holds at `seconds` of Unix time.
    pub(crate) fn at(&self, seconds: i64) -> Local {
        let utc = || Local { offset: 0, name: "UTC".to_owned() };
        let passed = self.transitions.partition_point(|&(moment, _)| moment <= seconds);
        if passed == self.transitions.len()
            && let Some(rule) = &self.rule
        {
            return rule.at(seconds);
        }
        let kind = match passed.checked_sub(1) {
            Some(last) => self.transitions.get(last).map_or(self.first, |&(_, kind)| kind),
            None => self.first,
        };
        self.kinds.get(kind).cloned().unwrap_or_else(utc)
    }

    /// The moment at which the clock shows these fields. Of two, the later; when the clock jumps over them, they are
    /// read as if it had not jumped.
    pub(crate) fn unix(&self, tm: &Tm) -> i64 {
        let shown = tm.unix();
        let before = self.at(shown.saturating_sub(DAY)).offset;
        let after = self.at(shown.saturating_add(DAY)).offset;
        let fits = |offset: i64| Some(shown.saturating_sub(offset)).filter(|&moment| self.at(moment).offset == offset);
        fits(after).into_iter().chain(fits(before)).max().unwrap_or(shown.saturating_sub(before))
    }
}

/// Counts of a TZif header, RFC 9636 section 3.1.
struct Counts {
    isut: usize,
    isstd: usize,
    leap: usize,
    time: usize,
    kind: usize,
    chars: usize,
}

impl Counts {
    /// Bytes of the data block.
    fn size(&self, time_size: usize) -> usize {
        self.time * (time_size + 1) + self.kind * 6 + self.chars + self.leap * (time_size + 4) + self.isstd + self.isut
    }
}

fn header(bytes: &[u8]) -> Option<(u8, Counts)> {
    let rest = bytes.strip_prefix(b"TZif")?;
    let version = *rest.first()?;
    let mut words = rest.get(16..40)?.chunks_exact(4).map(number);
    let mut count = || words.next()?.and_then(|value| usize::try_from(value).ok()).filter(|&count| count < 1 << 16);
    let counts =
        Counts { isut: count()?, isstd: count()?, leap: count()?, time: count()?, kind: count()?, chars: count()? };
    Some((version, counts))
}

/// A big-endian signed number.
fn number(bytes: &[u8]) -> Option<i64> {
    match bytes.len() {
        4 => Some(i64::from(i32::from_be_bytes(bytes.try_into().ok()?))),
        _ => Some(i64::from_be_bytes(bytes.try_into().ok()?)),
    }
}

/// One data block and what follows it.
fn body<'a>(bytes: &'a [u8], counts: &Counts, time_size: usize) -> Option<(Zone, &'a [u8])> {
    let (times, rest) = bytes.split_at_checked(counts.time * time_size)?;
    let (indices, rest) = rest.split_at_checked(counts.time)?;
    let (kinds, rest) = rest.split_at_checked(counts.kind * 6)?;
    let names = rest.get(..counts.chars)?;
    let name = |index: u8| {
        let tail = names.get(usize::from(index)..).unwrap_or_default();
        let word = tail.split(|&b| b == 0).next().unwrap_or_default();
        String::from_utf8_lossy(word).into_owned()
    };
    let kinds: Vec<Local> = kinds
        .chunks_exact(6)
        .map(|kind| match kind {
            [a, b, c, d, _, index] => {
                Local { offset: i64::from(i32::from_be_bytes([*a, *b, *c, *d])), name: name(*index) }
            }
            _ => Local { offset: 0, name: String::new() },
        })
        .collect();
    if kinds.iter().any(|kind| kind.offset.abs() > 2 * DAY) || kinds.is_empty() {
        return None;
    }
    let moments = times.chunks_exact(time_size).filter_map(number);
    let transitions = moments.zip(indices.iter().map(|&index| usize::from(index))).collect();
    Some((Zone { transitions, kinds, first: 0, rule: None }, bytes.get(counts.size(time_size)..)?))
}

/// A POSIX TZ string: standard time, and daylight saving time between two moments of every year.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    standard: Local,
    saving: Option<(Local, Change, Change)>,
}

/// A moment of a year, in wall-clock time.
#[derive(Clone, Copy, Debug)]
struct Change {
    day: ChangeDay,
    /// Seconds after midnight; may be negative or beyond a day.
    time: i64,
}

#[derive(Clone, Copy, Debug)]
enum ChangeDay {
    /// `Jn`: 1 to 365, February 29 is never counted.
    Julian(i64),
    /// `n`: 0 to 365.
    Zero(i64),
    /// `Mm.w.d`: month 1 to 12, week 1 to 5 (5 is the last), weekday 0 to 6.
    Week(i64, i64, i64),
}

impl Change {
    /// Seconds from the epoch to the moment in this year, as the wall clock counts.
    fn in_year(self, year: i64) -> i64 {
        let first = days(year, 0, 1);
        let day = match self.day {
            ChangeDay::Julian(day) => first + day - 1 + i64::from(super::is_leap(year) && day >= 60),
            ChangeDay::Zero(day) => first + day,
            ChangeDay::Week(month, week, weekday) => {
                let begins = days(year, month - 1, 1);
                let length = if month == 12 { 31 } else { days(year, month, 1) - begins };
                let mut day = (weekday - (begins + 4)).rem_euclid(7) + (week - 1) * 7;
                if day >= length {
                    day -= 7;
                }
                begins + day
            }
        };
        day * DAY + self.time
    }
}

impl Rule {
    pub(super) fn parse(text: &str) -> Option<Rule> {
        let mut text = Text(text);
        let name = text.name()?;
        let standard = Local { offset: -text.time(24)?, name };
        if text.0.is_empty() {
            return Some(Rule { standard, saving: None });
        }
        let name = text.name()?;
        let offset =
            if text.0.is_empty() || text.0.starts_with(',') { standard.offset + 3_600 } else { -text.time(24)? };
        // Without dates: those of the United States.
        let rest = if text.0.is_empty() { ",M3.2.0,M11.1.0" } else { text.0 };
        let mut text = Text(rest);
        let (begin, end) = (text.change()?, text.change()?);
        text.0.is_empty().then_some(Rule { standard, saving: Some((Local { offset, name }, begin, end)) })
    }

    fn at(&self, seconds: i64) -> Local {
        let Some((saving, begin, end)) = &self.saving else { return self.standard.clone() };
        let Some(year) = Tm::from_unix(seconds.saturating_add(self.standard.offset)).map(|tm| tm.year) else {
            return self.standard.clone();
        };
        let begins = begin.in_year(year) - self.standard.offset;
        let ends = end.in_year(year) - saving.offset;
        let inside = if begins <= ends {
            begins <= seconds && seconds < ends
        } else {
            // South of the equator the year begins in summer.
            seconds < ends || begins <= seconds
        };
        if inside { saving.clone() } else { self.standard.clone() }
    }
}

struct Text<'a>(&'a str);

impl Text<'_> {
    /// Three letters or more, or anything in angle brackets.
    fn name(&mut self) -> Option<String> {
        let (name, rest) = match self.0.strip_prefix('<') {
            Some(quoted) => quoted.split_once('>')?,
            None => {
                let end = self.0.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.0.len());
                self.0.split_at_checked(end)?
            }
        };
        let sound = name.len() >= 3 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-'));
        let name = sound.then(|| name.to_owned())?;
        self.0 = rest;
        Some(name)
    }

    fn digits(&mut self) -> Option<i64> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (head, rest) = self.0.split_at_checked(end)?;
        if head.is_empty() || head.len() > 3 {
            return None;
        }
        self.0 = rest;
        head.parse().ok()
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    fn time(&mut self, most_hours: i64) -> Option<i64> {
        let sign = if self.0.starts_with('-') { -1 } else { 1 };
        self.0 = self.0.strip_prefix(['+', '-']).unwrap_or(self.0);
        let mut total = self.digits().filter(|&hours| hours <= most_hours)? * 3_600;
        for unit in [60, 1] {
            let Some(rest) = self.0.strip_prefix(':') else { break };
            self.0 = rest;
            total += self.digits().filter(|&value| value < 60)? * unit;
        }
        Some(sign * total)
    }

    /// `,date[/time]`.
    fn change(&mut self) -> Option<Change> {
        self.0 = self.0.strip_prefix(',')?;
        let day = if let Some(rest) = self.0.strip_prefix('J') {
            self.0 = rest;
            ChangeDay::Julian(self.digits().filter(|day| (1..=365).contains(day))?)
        } else if let Some(rest) = self.0.strip_prefix('M') {
            self.0 = rest;
            let month = self.digits().filter(|month| (1..=12).contains(month))?;
            self.0 = self.0.strip_prefix('.')?;
            let week = self.digits().filter(|week| (1..=5).contains(week))?;
            self.0 = self.0.strip_prefix('.')?;
            ChangeDay::Week(month, week, self.digits().filter(|day| (0..=6).contains(day))?)
        } else {
            ChangeDay::Zero(self.digits().filter(|day| (0..=365).contains(day))?)
        };
        let time = match self.0.strip_prefix('/') {
            Some(rest) => {
                self.0 = rest;
                self.time(167)?
            }
            None => 7_200,
        };
        Some(Change { day, time })
    }
}
