//! `--repeat`: one bad endpoint of three shows as a third of the answers.

use netkit_core::json::Value;
use netkit_probe::scan::{State, Verdict};

/// Round trips kept of one port, at most.
const MOST: usize = 10_000;

/// What a port did when it was asked again and again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repeats {
    asked: u32,
    open: u32,
    /// Of the open ones, in microseconds.
    trips: Vec<u32>,
}

impl Repeats {
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        self.asked += 1;
        if verdict.state != State::Open {
            return;
        }
        self.open += 1;
        if let Some(rtt) = verdict.rtt.filter(|_| self.trips.len() < MOST) {
            self.trips.push(u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX));
        }
    }

    /// The value that so many of a hundred do not exceed (nearest rank).
    fn percentile(&self, percent: usize) -> Option<u32> {
        let mut sorted = self.trips.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }

    /// Rounded to whole percents, half upwards.
    fn percent(&self) -> u64 {
        (u64::from(self.open) * 200 + u64::from(self.asked)).checked_div(u64::from(self.asked) * 2).unwrap_or(0)
    }

    /// `3 of 9 (33 %), p50 0.120 p90 0.150 p99 0.150 ms`.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} of {} ({} %)", self.open, self.asked, self.percent());
        for (at, percent) in [50, 90, 99].into_iter().enumerate() {
            if let Some(micros) = self.percentile(percent) {
                let comma = if at == 0 { "," } else { "" };
                text += &format!("{comma} p{percent} {}.{:03}", micros / 1000, micros % 1000);
            }
        }
        if self.trips.is_empty() { text } else { text + " ms" }
    }

    pub(crate) fn json(&self) -> Value {
        let mut value = Value::object()
            .with("asked", self.asked)
            .with("open", self.open)
            .with("success", f64::from(self.open) / f64::from(self.asked.max(1)));
        for (percent, key) in [(50, "p50_us"), (90, "p90_us"), (99, "p99_us"), (100, "max_us")] {
            value.set(key, self.percentile(percent));
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_third() {
        let mut repeats = Repeats::default();
        assert_eq!((repeats.percent(), repeats.percentile(50)), (0, None));
        for number in 1..=9u64 {
            let state = if number % 3 == 0 { State::Open } else { State::Closed };
            let rtt = Some(Duration::from_micros(number * 100));
            repeats.add(&Verdict { state, reason: "syn-ack", error: None, rtt, ttl: None, mac: None });
        }
        assert_eq!(repeats.text(), "3 of 9 (33 %), p50 0.600 p90 0.900 p99 0.900 ms");
        assert_eq!(
            repeats.json().to_string(),
            r#"{"asked":9,"open":3,"success":0.3333333333333333,"p50_us":600,"p90_us":900,"p99_us":900,"max_us":900}"#
        );
    }
}
