//! wget's numbers, dates and dots.

use std::io::Write;
use std::time::{Duration, Instant};

use netkit_core::civil_from_unix;

/// Bytes of one dot, dots of a group and of a line.
const DOT: u64 = 1024;
const GROUP: u32 = 10;
const LINE: u32 = 50;

/// `2026-11-21 16:19:23`; in UTC, as there is no zone database to ask.
pub(crate) fn stamp(seconds: i64) -> String {
    let c = civil_from_unix(seconds);
    format!("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", c.year, c.month, c.day, c.hour, c.minute, c.second)
}

/// `49K`, `2.9M`.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return bytes.to_string();
    }
    let mut left = bytes;
    for unit in ["K", "M", "G", "T", "P", "E"] {
        if left / 1024 < 1024 || unit == "E" {
            let value = left as f64 / 1024.0;
            let digits = usize::from(value < 10.0);
            return format!("{value:.digits$}{unit}");
        }
        left /= 1024;
    }
    bytes.to_string()
}

/// Seconds with as many digits as tell something.
pub(crate) fn decimal(seconds: f64) -> String {
    if seconds >= 9.95 {
        format!("{seconds:.0}")
    } else if seconds >= 0.95 {
        format!("{seconds:.1}")
    } else if seconds >= 0.001 {
        // One significant digit.
        let digits = if seconds >= 0.095 {
            1
        } else if seconds >= 0.0095 {
            2
        } else {
            3
        };
        format!("{seconds:.digits$}")
    } else if seconds >= 0.0005 {
        format!("{seconds:.3}")
    } else {
        "0".to_owned()
    }
}

fn scaled(bytes: u64, time: Duration) -> (f64, usize) {
    let seconds = time.as_secs_f64();
    let mut rate = if bytes == 0 { 0.0 } else { bytes as f64 / seconds.max(0.000_001) };
    let mut unit = 0;
    while rate >= 1024.0 && unit < 4 {
        rate /= 1024.0;
        unit += 1;
    }
    (rate, unit)
}

fn digits(rate: f64) -> usize {
    if rate >= 99.95 {
        0
    } else if rate >= 9.995 {
        1
    } else {
        2
    }
}

/// `3.13 MB/s`
pub(crate) fn rate(bytes: u64, time: Duration) -> String {
    let (rate, unit) = scaled(bytes, time);
    let digits = digits(rate);
    let unit = ["B/s", "KB/s", "MB/s", "GB/s", "TB/s"].get(unit).copied().unwrap_or("");
    format!("{rate:.digits$} {unit}")
}

/// A time to come, short.
fn remaining(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds}s"),
        100..6000 => format!("{}m{}s", seconds / 60, seconds % 60),
        6000..172_800 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        172_800..8_640_000 => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A time gone by, as in the last line of several files.
pub(crate) fn wall(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{}s", decimal(time.as_secs_f64())),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m {}s", seconds / 3600, seconds / 60 % 60, seconds % 60),
        _ => format!("{}d {}h {}m", seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60),
    }
}

/// The dots of one download.
pub(crate) struct Dots {
    on: bool,
    initial: u64,
    total: Option<u64>,
    accumulated: u64,
    rows: u64,
    dots: u32,
    began: Instant,
    row_began: Instant,
    first: bool,
}

impl Dots {
    /// `initial` bytes are there already; `total` counts them.
    pub(crate) fn new(on: bool, initial: u64, total: Option<u64>, log: &mut dyn Write) -> Dots {
        let now = Instant::now();
        let mut dots =
            Dots { on, initial, total, accumulated: 0, rows: 0, dots: 0, began: now, row_began: now, first: true };
        if initial > 0 && on {
            let row = DOT * u64::from(LINE);
            let mut rest = initial % row;
            let skipped = initial - rest;
            if skipped > 0 {
                let text = (skipped / 1024).to_string();
                let width = text.len().max(6);
                let _ = write!(log, "\n{:width$}[ skipping {text}K ]", "", width = width + 2);
            }
            let _ = write!(log, "\n{:>6}K", skipped / 1024);
            while rest >= DOT {
                if dots.dots.is_multiple_of(GROUP) {
                    let _ = log.write_all(b" ");
                }
                let _ = log.write_all(b",");
                dots.dots += 1;
                rest -= DOT;
            }
            dots.accumulated = rest;
            dots.rows = skipped / row;
        }
        dots
    }

    fn head(&self, log: &mut dyn Write) {
        let _ = write!(log, "\n{:>6}K", self.rows * u64::from(LINE));
    }

    /// So many bytes came.
    pub(crate) fn add(&mut self, bytes: u64, log: &mut dyn Write) {
        if !self.on {
            return;
        }
        self.accumulated += bytes;
        while self.accumulated >= DOT {
            self.accumulated -= DOT;
            if self.dots == 0 {
                self.head(log);
            }
            if self.dots.is_multiple_of(GROUP) {
                let _ = log.write_all(b" ");
            }
            let _ = log.write_all(b".");
            self.dots += 1;
            if self.dots >= LINE {
                self.dots = 0;
                self.rows += 1;
                self.stats(false, log);
            }
        }
    }

    fn stats(&mut self, last: bool, log: &mut dyn Write) {
        let row = DOT * u64::from(LINE);
        let mut shown = self.rows * row + u64::from(self.dots) * DOT;
        let mut in_row = row;
        if last {
            shown += self.accumulated;
            in_row = u64::from(self.dots) * DOT + self.accumulated;
        }
        if self.first {
            in_row = in_row.saturating_sub(self.initial % row);
            self.first = false;
        }
        if let Some(total) = self.total.filter(|total| *total > 0) {
            let _ = write!(log, "{:>3}%", shown * 100 / total);
        }
        let (rate, unit) = scaled(in_row, self.row_began.elapsed());
        let digits = digits(rate);
        let unit = [' ', 'K', 'M', 'G', 'T'].get(unit).copied().unwrap_or(' ');
        let _ = write!(log, " {rate:>4.digits$}{unit}");
        self.row_began = Instant::now();
        let time = self.began.elapsed().as_secs_f64();
        if !last {
            if let Some(total) = self.total.filter(|total| *total > 0) {
                let (left, done) = (total.saturating_sub(shown), shown.saturating_sub(self.initial).max(1));
                let _ = write!(log, " {}", remaining((time * left as f64 / done as f64 + 0.5) as u64));
            }
        } else if time >= 10.0 {
            let _ = write!(log, "={}", remaining((time + 0.5) as u64));
        } else {
            let _ = write!(log, "={}s", decimal(time));
        }
    }

    /// The end of the last line.
    pub(crate) fn finish(mut self, log: &mut dyn Write) {
        if !self.on {
            return;
        }
        if self.dots == 0 {
            self.head(log);
        }
        for dot in self.dots..LINE {
            let _ = log.write_all(if dot.is_multiple_of(GROUP) { b"  " } else { b" " });
        }
        self.stats(true, log);
        let _ = log.write_all(b"\n\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rates() {
        assert_eq!(
            (size(11), size(50_000), size(3_000_000), size(1 << 40)),
            ("11".into(), "49K".into(), "2.9M".into(), "1.0T".into())
        );
        let second = Duration::from_secs(1);
        assert_eq!(
            (rate(0, second), rate(253, second), rate(411_000, second)),
            ("0.00 B/s".into(), "253 B/s".into(), "401 KB/s".into())
        );
        assert_eq!(
            (decimal(0.0001), decimal(0.042), decimal(1.26), decimal(12.0)),
            ("0".into(), "0.04".into(), "1.3".into(), "12".into())
        );
        assert_eq!((wall(Duration::from_secs(125)), remaining(125)), ("2m 5s".into(), "2m5s".into()));
    }

    #[test]
    fn a_line_of_dots() {
        let mut log = Vec::new();
        let mut dots = Dots::new(true, 0, Some(52_224), &mut log);
        dots.add(52_224, &mut log);
        dots.finish(&mut log);
        let text = String::from_utf8(log).unwrap();
        let ten = "..........";
        assert!(text.starts_with(&format!("\n     0K {ten} {ten} {ten} {ten} {ten} 98% ")), "{text}");
        assert!(text.contains(&format!("\n    50K .{}100% ", " ".repeat(53))), "{text}");
        assert!(text.ends_with("s\n\n"));
    }

    #[test]
    fn a_resumed_line() {
        let mut log = Vec::new();
        let mut dots = Dots::new(true, 102_400 + 2_050, Some(104_500), &mut log);
        dots.add(50, &mut log);
        dots.finish(&mut log);
        let text = String::from_utf8(log).unwrap();
        assert!(text.starts_with("\n        [ skipping 100K ]\n   100K ,,"), "{text}");
    }
}
