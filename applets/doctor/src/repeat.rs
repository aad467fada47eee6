//! `--repeat`: what happens one time in fifty. Percentiles of every stage, kinds of failure, and what the attempts that
//! failed have in common.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use netkit_core::Exit;
use netkit_core::json::Value;

use crate::report::{Fault, Gravity, Layer, Report, layer_words, millis};
use crate::show;
use crate::target::Target;
use crate::walk::{Depth, walk};
use crate::world::World;

/// Attempts that are told one by one.
const MOST_SHOWN: usize = 10;
/// How much slower than usual a slow attempt is, and how slow at least.
const OUTLIER: u32 = 10;
const SLOW: Duration = Duration::from_millis(400);

/// One attempt.
struct Attempt {
    number: u32,
    /// Its verdict, if something was wrong.
    fault: Option<Fault>,
    timings: Vec<(&'static str, Duration)>,
    reached: Option<String>,
    source: Option<String>,
    answerer: Option<String>,
}

/// All of them.
pub(crate) struct Repeated {
    attempts: Vec<Attempt>,
    verdict: Option<Fault>,
    sentence: String,
}

/// Walks again and again; `each` hears how many are done.
pub(crate) fn run(world: &World, target: &Target, count: u32) -> Repeated {
    let mut world = world.clone();
    let mut attempts: Vec<Attempt> = Vec::new();
    for number in 1..=count {
        if number > 1 {
            std::thread::sleep(world.options.interval);
        }
        let report: Report = walk(&world, target, Depth::Path);
        let fault = report.verdict().cloned();
        // The first failure is examined, the others are counted.
        world.brief |= fault.is_some();
        attempts.push(Attempt {
            number,
            fault,
            timings: report.timings.iter().copied().chain([("total", report.elapsed)]).collect(),
            reached: report.reached.map(|address| address.to_string()),
            source: report.source.map(|address| address.to_string()),
            answerer: report.answerer,
        });
    }
    let verdict = judge(&attempts);
    let sentence = match &verdict {
        Some(fault) => fault.sentence.clone(),
        None => {
            let total = stage(&attempts, "total");
            format!(
                "nothing is broken here: {count} of {count} attempts worked, the slowest took {}",
                millis(total.last().copied().unwrap_or_default())
            )
        }
    };
    Repeated { attempts, verdict, sentence }
}

/// The times of one stage, sorted.
fn stage(attempts: &[Attempt], name: &str) -> Vec<Duration> {
    let of = |attempt: &Attempt| attempt.timings.iter().find(|(known, _)| *known == name).map(|(_, elapsed)| *elapsed);
    let mut times: Vec<Duration> = attempts.iter().filter_map(of).collect();
    times.sort();
    times
}

/// The value below which so many per cent lie (nearest rank).
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// What the failures amount to.
fn judge(attempts: &[Attempt]) -> Option<Fault> {
    let count = attempts.len();
    let mut kinds: BTreeMap<(Layer, &str), Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts {
        if let Some(fault) = &attempt.fault {
            kinds.entry((fault.layer, fault.cause)).or_default().push(attempt);
        }
    }
    let failed: usize = kinds.values().map(Vec::len).sum();
    if failed == 0 {
        return slow(attempts);
    }
    let (_, worst) = kinds.iter().max_by_key(|(_, list)| list.len())?;
    let mut fault = worst.first()?.fault.clone()?;
    let kinds_text = if kinds.len() > 1 { format!(" in {} ways, mostly this one", kinds.len()) } else { String::new() };
    let common = common(attempts);
    fault.sentence = format!(
        "{failed} of {count} attempts fail{kinds_text}: {}: {}{common}",
        layer_words(fault.layer),
        fault.sentence
    );
    fault.gravity = if failed == count { fault.gravity } else { Gravity::Impaired };
    for attempt in attempts.iter().filter(|attempt| attempt.fault.is_some()).take(MOST_SHOWN) {
        fault.evidence.push(line(attempt));
    }
    Some(fault)
}

fn line(attempt: &Attempt) -> String {
    let how = attempt
        .fault
        .as_ref()
        .map_or_else(|| "fine".to_owned(), |fault| format!("{} {}", fault.layer.name(), fault.cause));
    let mut text = format!("attempt {}: {how}", attempt.number);
    for (word, value) in [("to", &attempt.reached), ("from", &attempt.source), ("answered by", &attempt.answerer)] {
        if let Some(value) = value {
            let _ = write!(text, ", {word} {value}");
        }
    }
    text
}

/// A property that all failures share and no success has.
fn common(attempts: &[Attempt]) -> String {
    type Property = fn(&Attempt) -> Option<&String>;
    let properties: [(&str, Property); 2] =
        [("went to", |attempt| attempt.reached.as_ref()), ("were answered by", |attempt| attempt.answerer.as_ref())];
    for (word, property) in properties {
        let values: Vec<Option<&String>> =
            attempts.iter().filter(|attempt| attempt.fault.is_some()).map(property).collect();
        let Some(Some(first)) = values.first() else { continue };
        let alike = values.iter().all(|value| *value == Some(*first));
        let others = attempts.iter().filter(|attempt| attempt.fault.is_none());
        let mut others = others.map(property).peekable();
        if alike && others.peek().is_some() && others.all(|value| value != Some(*first)) {
            return format!("; all that fail, and only they, {word} {first}");
        }
    }
    String::new()
}

/// No failure, but attempts far slower than usual.
fn slow(attempts: &[Attempt]) -> Option<Fault> {
    let total = stage(attempts, "total");
    let (usual, slowest) = (percentile(&total, 50), total.last().copied()?);
    if slowest < SLOW || slowest < usual * OUTLIER {
        return None;
    }
    let number =
        |attempt: &Attempt, name: &str| attempt.timings.iter().find(|(known, _)| *known == name).map(|(_, time)| *time);
    let worst = attempts.iter().max_by_key(|attempt| number(attempt, "total"))?;
    let (name, time) = worst.timings.iter().filter(|(name, _)| *name != "total").max_by_key(|(_, time)| *time)?;
    let layer = match *name {
        "dns" => Layer::Dns,
        "tls" => Layer::Tls,
        "first_byte" => Layer::Http,
        _ => Layer::Tcp,
    };
    let many = total.iter().filter(|time| **time >= SLOW && **time >= usual * OUTLIER).count();
    let sentence = format!(
        "{many} of {} attempts are slow, and it is {} that takes the time: {} where {} is usual",
        attempts.len(),
        layer_words(layer),
        millis(*time),
        millis(percentile(&stage(attempts, name), 50))
    );
    Some(Fault::impaired(layer, "slow_sometimes", sentence).evidence(line(worst)))
}

impl Repeated {
    pub(crate) fn exit(&self) -> Exit {
        self.verdict.as_ref().map_or(Exit::OK, |fault| fault.layer.exit())
    }

    fn stages(&self) -> Vec<(&'static str, Vec<Duration>)> {
        let names = ["dns", "tcp", "tls", "first_byte", "total"];
        names
            .into_iter()
            .map(|name| (name, stage(&self.attempts, name)))
            .filter(|(_, times)| !times.is_empty())
            .collect()
    }

    pub(crate) fn text(&self, quiet: bool) -> String {
        let mut out = String::new();
        if !quiet {
            let _ = writeln!(
                out,
                "{:<11} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9}",
                "stage", "count", "min", "p50", "p90", "p99", "max"
            );
            for (name, times) in self.stages() {
                let _ = write!(
                    out,
                    "{name:<11} {:>6} {:>9}",
                    times.len(),
                    millis(times.first().copied().unwrap_or_default())
                );
                for percent in [50, 90, 99, 100] {
                    let _ = write!(out, " {:>9}", millis(percentile(&times, percent)));
                }
                out.push('\n');
            }
        }
        out.push_str(&self.verdict());
        out
    }

    pub(crate) fn verdict(&self) -> String {
        let mut out = format!("verdict: {}\n", self.sentence);
        if let Some(fault) = &self.verdict {
            fault.evidence.iter().for_each(|line| out.push_str(&format!("  evidence: {line}\n")));
            if !fault.next.is_empty() {
                let _ = writeln!(out, "  next: {}", fault.next);
            }
        }
        out
    }

    pub(crate) fn value(&self) -> Value {
        let mut stages = Value::object();
        for (name, times) in self.stages() {
            let mut one = Value::object().with("count", times.len());
            one.set("min_us", times.first().map(Duration::as_micros));
            for (key, percent) in [("p50_us", 50), ("p90_us", 90), ("p99_us", 99), ("max_us", 100)] {
                one.set(key, percentile(&times, percent).as_micros());
            }
            stages.set(name, one);
        }
        let attempt = |attempt: &Attempt| {
            Value::object()
                .with("number", attempt.number)
                .with("layer", attempt.fault.as_ref().map(|fault| fault.layer.name()))
                .with("cause", attempt.fault.as_ref().map_or("none", |fault| fault.cause))
                .with("reached", attempt.reached.as_deref())
                .with("source", attempt.source.as_deref())
                .with("answered_by", attempt.answerer.as_deref())
                .with(
                    "total_us",
                    attempt.timings.iter().find(|(name, _)| *name == "total").map(|(_, time)| time.as_micros()),
                )
        };
        Value::object()
            .with("schema", "doctor/1")
            .with("attempts", self.attempts.iter().map(attempt).collect::<Vec<_>>())
            .with("failed", self.attempts.iter().filter(|attempt| attempt.fault.is_some()).count())
            .with("stages", stages)
            .with("verdict", show::verdict_value(self.verdict.as_ref(), &self.sentence))
            .with("exit_status", self.exit().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u32, cause: Option<&'static str>, reached: &str, millis: u64) -> Attempt {
        Attempt {
            number,
            fault: cause.map(|cause| Fault::fatal(Layer::Tcp, cause, "it broke".to_owned())),
            timings: vec![("tcp", Duration::from_millis(millis)), ("total", Duration::from_millis(millis))],
            reached: Some(reached.to_owned()),
            source: None,
            answerer: None,
        }
    }

    #[test]
    fn failures_and_what_they_share() {
        let mut all: Vec<Attempt> = (1..=9).map(|number| attempt(number, None, "a", 2)).collect();
        assert!(judge(&all).is_none());
        all.push(attempt(10, Some("refused"), "b", 2));
        let fault = judge(&all).unwrap();
        assert_eq!((fault.cause, fault.gravity), ("refused", Gravity::Impaired));
        assert_eq!(fault.sentence, "1 of 10 attempts fail: TCP: it broke; all that fail, and only they, went to b");
    }

    #[test]
    fn one_slow_attempt() {
        let mut all: Vec<Attempt> = (1..=9).map(|number| attempt(number, None, "a", 2)).collect();
        all.push(attempt(10, None, "a", 1_003));
        let fault = judge(&all).unwrap();
        assert_eq!((fault.cause, fault.layer), ("slow_sometimes", Layer::Tcp));
        assert!(fault.sentence.starts_with("1 of 10 attempts are slow, and it is TCP"), "{}", fault.sentence);
    }

    #[test]
    fn percentiles() {
        let times: Vec<Duration> = (1..=50).map(Duration::from_millis).collect();
        let at = |percent| percentile(&times, percent).as_millis();
        assert_eq!((at(50), at(90), at(99), at(100)), (25, 45, 50, 50));
    }
}
