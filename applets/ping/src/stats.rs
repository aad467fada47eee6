//! What ping counts, and the lines it ends with.

use std::fmt::Write as _;
use std::time::Duration;

use netkit_core::json::Value;

/// Sequence numbers are told apart for as many as the wire has.
const SEQUENCES: usize = 1 << 16;

/// The counters of one run. Times are in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    pub(crate) transmitted: u64,
    pub(crate) received: u64,
    pub(crate) repeats: u64,
    pub(crate) corrupt: u64,
    pub(crate) errors: u64,
    /// The newest sequence number that was answered.
    acked: u16,
    /// The most that were on their way at once.
    pub(crate) pipe: i64,
    min: i64,
    pub(crate) max: i64,
    sum: i64,
    squares: i128,
    /// Smoothed, times eight.
    pub(crate) smooth: i64,
    timed: bool,
    seen: Vec<u64>,
}

impl Stats {
    pub(crate) fn new() -> Stats {
        Stats {
            transmitted: 0,
            received: 0,
            repeats: 0,
            corrupt: 0,
            errors: 0,
            acked: 0,
            pipe: -1,
            min: i64::MAX,
            max: 0,
            sum: 0,
            squares: 0,
            smooth: 0,
            timed: false,
            seen: vec![0; SEQUENCES / 64],
        }
    }

    /// The sequence number of the next request.
    pub(crate) fn next_seq(&self) -> u16 {
        low(self.transmitted + 1)
    }

    /// A request goes out under [`Stats::next_seq`]: what answered this number before is forgotten.
    pub(crate) fn sending(&mut self) {
        let seq = usize::from(self.next_seq());
        if let Some(word) = self.seen.get_mut(seq / 64) {
            *word &= !(1 << (seq % 64));
        }
    }

    pub(crate) fn was_seen(&self, seq: u16) -> bool {
        let seq = usize::from(seq);
        self.seen.get(seq / 64).is_some_and(|word| word >> (seq % 64) & 1 == 1)
    }

    pub(crate) fn in_flight(&self) -> i64 {
        let away = low(self.transmitted).wrapping_sub(self.acked);
        if away <= 0x7fff {
            i64::from(away)
        } else {
            let answered = self.received + self.errors;
            i64::try_from(self.transmitted.saturating_sub(answered)).unwrap_or(i64::MAX)
        }
    }

    /// An answer of any kind to `seq`.
    pub(crate) fn acknowledge(&mut self, seq: u16) {
        let sent = low(self.transmitted);
        let behind = sent.wrapping_sub(seq);
        if behind > 0x7fff {
            return;
        }
        self.pipe = self.pipe.max(i64::from(behind) + 1);
        let newer = seq.wrapping_sub(self.acked);
        if (newer != 0 && newer <= 0x7fff) || sent.wrapping_sub(self.acked) > 0x7fff {
            self.acked = seq;
        }
    }

    /// A reply to `seq` after `rtt` microseconds, if it can be timed. True when it is one too many.
    pub(crate) fn reply(&mut self, seq: u16, rtt: Option<i64>, corrupt: bool) -> bool {
        if corrupt {
            self.corrupt += 1;
        } else {
            self.acknowledge(seq);
        }
        if let (Some(rtt), false) = (rtt, corrupt) {
            self.timed = true;
            self.sum += rtt;
            self.squares += i128::from(rtt) * i128::from(rtt);
            self.min = self.min.min(rtt);
            self.max = self.max.max(rtt);
            self.smooth = if self.smooth == 0 { rtt * 8 } else { self.smooth + rtt - self.smooth / 8 };
        }
        if corrupt {
            return false;
        }
        if self.was_seen(seq) {
            self.repeats += 1;
            return true;
        }
        self.received += 1;
        let at = usize::from(seq);
        if let Some(word) = self.seen.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
        false
    }

    /// Percent.
    pub(crate) fn loss(&self) -> f64 {
        let lost = self.transmitted.saturating_sub(self.received);
        lost as f64 * 100.0 / self.transmitted.max(1) as f64
    }

    fn mean(&self) -> i64 {
        let total = i64::try_from(self.received + self.repeats).unwrap_or(i64::MAX).max(1);
        self.sum / total
    }

    fn deviation(&self) -> i64 {
        let total = i128::from(self.received + self.repeats).max(1);
        let (sum, mean) = (i128::from(self.sum), i128::from(self.mean()));
        let variance = if self.sum < i64::from(i32::MAX) {
            (self.squares - sum * sum / total) / total
        } else {
            self.squares / total - mean * mean
        };
        let variance = u128::try_from(variance.max(0)).unwrap_or(0);
        i64::try_from(variance.isqrt()).unwrap_or(i64::MAX)
    }

    /// Minimum, mean, maximum and deviation, when anything was timed.
    fn times(&self, timing: bool) -> Option<[i64; 4]> {
        (self.received > 0 && timing).then(|| [self.min, self.mean(), self.max, self.deviation()])
    }

    /// The closing lines, from the empty one on. `between` is the time from the start to the last request;
    /// `gaps` asks for the line about the interval.
    pub(crate) fn summary(&self, host: &str, between: Duration, timing: bool, gaps: bool) -> String {
        let mut text = format!(
            "\n--- {host} ping statistics ---\n{} packets transmitted, {} received",
            self.transmitted, self.received
        );
        for (count, what) in [(self.repeats, "duplicates"), (self.corrupt, "corrupted"), (self.errors, "errors")] {
            if count > 0 {
                let _ = write!(text, ", +{count} {what}");
            }
        }
        if self.transmitted > 0 {
            let millis = (between.as_nanos() + 500_000) / 1_000_000;
            let _ = write!(text, ", {}% packet loss, time {millis}ms", six_digits(self.loss()));
        }
        text.push('\n');
        let mut comma = "";
        if let Some(times) = self.times(timing) {
            let shown = times.map(thousandths).join("/");
            let _ = write!(text, "rtt min/avg/max/mdev = {shown} ms");
            comma = ", ";
        }
        if self.pipe > 1 {
            let _ = write!(text, "{comma}pipe {}", self.pipe);
            comma = ", ";
        }
        if self.received > 0 && gaps && self.transmitted > 1 {
            let gap = i64::try_from(between.as_micros()).unwrap_or(i64::MAX)
                / i64::try_from(self.transmitted - 1).unwrap_or(i64::MAX);
            let _ = write!(text, "{comma}ipg/ewma {}/{} ms", thousandths(gap), thousandths(self.smooth / 8));
        }
        text.push('\n');
        text
    }

    /// The line for SIGQUIT.
    pub(crate) fn status(&self, timing: bool) -> String {
        let lost = self.transmitted.saturating_sub(self.received);
        let percent = lost * 100 / self.transmitted.max(1);
        let mut text = format!("\r{}/{} packets, {percent}% loss", self.received, self.transmitted);
        if let Some([min, mean, max, _]) = self.times(timing) {
            let shown = [min, mean, self.smooth / 8, max].map(thousandths).join("/");
            let _ = write!(text, ", min/avg/ewma/max = {shown} ms");
        }
        text
    }

    /// The same facts as one object.
    pub(crate) fn json(&self, between: Duration, timing: bool) -> Value {
        let mut value = Value::object()
            .with("event", "summary")
            .with("transmitted", self.transmitted)
            .with("received", self.received)
            .with("duplicates", self.repeats)
            .with("corrupted", self.corrupt)
            .with("errors", self.errors)
            .with("loss_percent", self.loss())
            .with("time_ms", (between.as_nanos() + 500_000) / 1_000_000);
        if let Some(times) = self.times(timing) {
            for (key, time) in ["rtt_min_us", "rtt_avg_us", "rtt_max_us", "rtt_mdev_us"].into_iter().zip(times) {
                value.set(key, time);
            }
        }
        value
    }
}

/// The last sixteen bits.
fn low(number: u64) -> u16 {
    u16::try_from(number & 0xffff).unwrap_or(0)
}

/// Microseconds as milliseconds with three digits.
fn thousandths(micros: i64) -> String {
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

/// A percentage with at most six significant digits, as printf's `%g` shows it.
pub(crate) fn six_digits(value: f64) -> String {
    if value <= 0.0 {
        return "0".to_owned();
    }
    let mut exponent = 0i32;
    let mut scaled = value;
    while scaled < 1.0 && exponent > -12 {
        scaled *= 10.0;
        exponent -= 1;
    }
    let trim = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    if exponent < -4 {
        return format!("{}e-{:02}", trim(format!("{scaled:.5}")), -exponent);
    }
    let whole = if value >= 100.0 { 3 } else { 1 + i32::from(value >= 10.0) };
    let places = usize::try_from(if exponent < 0 { 5 - exponent } else { 6 - whole }).unwrap_or(5);
    trim(format!("{value:.places$}"))
}

/// `time=` of a reply: never more than three digits that mean something, unless there are more before the point.
pub(crate) fn round_trip(micros: i64) -> String {
    if micros >= 100_000 - 50 {
        format!("{}", (micros + 500) / 1000)
    } else if micros >= 10_000 - 5 {
        format!("{}.{:01}", (micros + 50) / 1000, (micros + 50) % 1000 / 100)
    } else if micros >= 1000 {
        format!("{}.{:02}", (micros + 5) / 1000, (micros + 5) % 1000 / 10)
    } else {
        format!("0.{micros:03}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_percentages() {
        for (micros, text) in [
            (7, "0.007"),
            (999, "0.999"),
            (1000, "1.00"),
            (9994, "9.99"),
            (9995, "10.0"),
            (99_949, "99.9"),
            (99_950, "100"),
            (1_234_567, "1235"),
        ] {
            assert_eq!(round_trip(micros), text);
        }
        for (value, text) in [
            (0.0, "0"),
            (100.0, "100"),
            (100.0 / 3.0, "33.3333"),
            (200.0 / 3.0, "66.6667"),
            (50.0, "50"),
            (0.5, "0.5"),
            (0.0123456789, "0.0123457"),
            (9.999, "9.999"),
            (0.00001, "1e-05"),
        ] {
            assert_eq!(six_digits(value), text);
        }
    }

    #[test]
    fn counting() {
        let mut stats = Stats::new();
        for rtt in [Some(100), Some(300)] {
            stats.sending();
            stats.transmitted += 1;
            assert!(!stats.reply(low(stats.transmitted), rtt, false));
        }
        assert!(stats.reply(2, Some(500), false));
        stats.sending();
        stats.transmitted += 1;
        assert_eq!(stats.in_flight(), 1);
        stats.acknowledge(3);
        stats.errors += 1;
        let text = stats.summary("h", Duration::from_micros(2_000_400), true, false);
        assert_eq!(
            text,
            "\n--- h ping statistics ---\n3 packets transmitted, 2 received, +1 duplicates, +1 errors, 33.3333% packet \
             loss, time 2000ms\nrtt min/avg/max/mdev = 0.100/0.300/0.500/0.163 ms\n"
        );
        assert_eq!(stats.status(true), "\r2/3 packets, 33% loss, min/avg/ewma/max = 0.100/0.300/0.171/0.500 ms");
        assert!(stats.json(Duration::ZERO, true).to_string().contains("\"rtt_mdev_us\":163"));
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut stats = Stats::new();
        stats.transmitted = 65_536;
        stats.acknowledge(0);
        assert_eq!((stats.in_flight(), stats.next_seq()), (0, 1));
        stats.acknowledge(40_000);
        assert_eq!(stats.in_flight(), 0);
    }
}
