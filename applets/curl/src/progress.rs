//! The progress meter and the bar, as curl draws them on stderr.

use std::time::{Duration, Instant};

/// Least time between two drawings.
const TICK: Duration = Duration::from_secs(1);

/// How long the bar of a transfer whose size is not known waits.
const FIRST: Duration = Duration::from_millis(100);

/// How far a transfer is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) down: u64,
    pub(crate) down_total: Option<u64>,
    pub(crate) up: u64,
    pub(crate) up_total: Option<u64>,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    None,
    Meter,
    Bar,
}

pub(crate) struct Meter {
    style: Style,
    started: Instant,
    last: Option<Instant>,
    headed: bool,
    /// Moments and byte counts of the last seconds.
    history: Vec<(Instant, u64)>,
    bar: String,
}

impl Meter {
    pub(crate) fn new(style: Style, started: Instant) -> Meter {
        Meter { style, started, last: None, headed: false, history: Vec::new(), bar: String::new() }
    }

    /// What to draw now, if it is time.
    pub(crate) fn tick(&mut self, counts: &Counts, end: bool) -> Option<String> {
        if self.style == Style::None {
            return None;
        }
        let now = Instant::now();
        if !end && self.last.is_some_and(|last| now.duration_since(last) < TICK) {
            return None;
        }
        self.last = Some(now);
        self.history.push((now, counts.down + counts.up));
        if self.history.len() > 6 {
            self.history.remove(0);
        }
        let mut out = String::new();
        let unknown = counts.down_total.unwrap_or(0) + counts.up_total.unwrap_or(0) == 0;
        if self.style == Style::Bar && unknown && (end || now.duration_since(self.started) < FIRST) {
            // Nothing to show yet, or any more.
            return end.then(|| "\n".to_owned());
        }
        if self.style == Style::Bar {
            let drawn = bar(counts);
            if drawn != self.bar || end {
                out = format!("\r{drawn}");
                self.bar = drawn;
            }
        } else {
            if !self.headed {
                self.headed = true;
                out.push_str(
                    "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n                                 Dload  Upload   Total   Spent    Left  Speed\n",
                );
            }
            out.push_str(&self.line(counts, now));
        }
        if end {
            out.push('\n');
        }
        Some(out)
    }

    fn line(&self, counts: &Counts, now: Instant) -> String {
        let spent = now.duration_since(self.started);
        let (down_speed, up_speed) = (speed(counts.down, spent), speed(counts.up, spent));
        let current = match (self.history.first(), self.history.last()) {
            (Some((from, before)), Some((to, after))) if to > from => speed(after - before, to.duration_since(*from)),
            _ => down_speed + up_speed,
        };
        let estimate = |total: Option<u64>, speed: u64| total.filter(|_| speed > 0).map(|total| total / speed);
        let total_time = estimate(counts.down_total, down_speed).max(estimate(counts.up_total, up_speed)).unwrap_or(0);
        let spent = spent.as_secs();
        let left = total_time.saturating_sub(spent);
        let percent = |done: u64, total: Option<u64>| match total {
            Some(total) if total > 0 => (u128::from(done) * 100 / u128::from(total)).min(100),
            _ => 0,
        };
        let total_down = counts.down_total.unwrap_or(counts.down);
        let total_up = counts.up_total.unwrap_or(counts.up);
        let total = total_down + total_up;
        let known = counts.down_total.is_some() || counts.up_total.is_some();
        format!(
            "\r{:3} {}  {:3} {}  {:3} {}  {} {} {} {} {} {}",
            percent(counts.down + counts.up, known.then_some(total)),
            max5(total),
            percent(counts.down, counts.down_total),
            max5(counts.down),
            percent(counts.up, counts.up_total),
            max5(counts.up),
            max5(down_speed),
            max5(up_speed),
            clock(total_time),
            clock(spent),
            clock(left),
            max5(current)
        )
    }
}

fn speed(bytes: u64, time: Duration) -> u64 {
    let micros = time.as_micros().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

fn clock(seconds: u64) -> String {
    if seconds == 0 {
        return "--:--:--".to_owned();
    }
    let hours = seconds / 3600;
    if hours <= 99 {
        return format!("{hours:2}:{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    }
    let days = seconds / 86_400;
    if days <= 999 { format!("{days:3}d {:02}h", seconds % 86_400 / 3600) } else { format!("{days:7}d") }
}

/// A number of bytes in at most five columns.
fn max5(bytes: u64) -> String {
    const K: u64 = 1024;
    let steps: [(u64, char); 5] = [(K, 'k'), (K.pow(2), 'M'), (K.pow(3), 'G'), (K.pow(4), 'T'), (K.pow(5), 'P')];
    if bytes < 100_000 {
        return format!("{bytes:5}");
    }
    for (unit, letter) in steps {
        if letter != 'k' && bytes < 100 * unit && letter != 'P' {
            return format!("{:2}.{}{letter}", bytes / unit, bytes % unit / (unit / 10));
        }
        if bytes < 10_000 * unit {
            return format!("{:4}{letter}", bytes / unit);
        }
    }
    format!("{:4}P", bytes / K.pow(5))
}

fn bar(counts: &Counts) -> String {
    const WIDTH: u64 = 79 - 7;
    let (done, total) = (counts.down + counts.up, counts.down_total.unwrap_or(0) + counts.up_total.unwrap_or(0));
    if total == 0 {
        return " ".repeat(79 - 6) + "-=O=- ";
    }
    let part = u128::from(done.min(total)) * 1000 / u128::from(total);
    let filled = usize::try_from(part * u128::from(WIDTH) / 1000).unwrap_or(0);
    let space = usize::try_from(WIDTH).unwrap_or(0);
    format!("{:<space$} {:3}.{}%", "#".repeat(filled), part / 10, part % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_columns() {
        for (bytes, text) in [
            (0, "    0"),
            (99_999, "99999"),
            (100_000, "  97k"),
            (10 << 20, "10.0M"),
            (5 << 30, "5120M"),
            (20 << 30, "20.0G"),
        ] {
            assert_eq!(max5(bytes), text);
        }
        assert_eq!(clock(3725), " 1:02:05");
        assert_eq!(clock(0), "--:--:--");
    }
}
