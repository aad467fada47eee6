//! What moves by itself is hidden on both sides: remaining lifetimes, timers, ages, counters of traffic.

use std::process::Output;

use serde_json::Value;

use crate::lab::{Stop, same};

/// What a program said, masked.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// Standard output; JSON laid out in one way.
    pub(super) out: String,
    /// Standard error, where a usage page is only that.
    pub(super) err: String,
    pub(super) status: Option<i32>,
}

impl Answer {
    pub(super) fn new(line: &str, output: &Output) -> Answer {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let json = line.split(' ').any(|word| word == "-j" || word == "-json");
        let out = match serde_json::from_str::<Value>(&text) {
            Ok(value) if json => format!("{:#}", values(value)),
            _ => text.lines().map(|line| words(line) + "\n").collect(),
        };
        let err = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        let page = err.starts_with("Usage:") || err.contains("\nusage: ");
        Answer { out, err: if page { "Usage".to_owned() } else { err }, status: output.status.code() }
    }

    /// Both sides' lines that differ.
    pub(super) fn against(&self, ours: &Answer) -> String {
        let mut shown = String::new();
        let (left, right): (Vec<&str>, Vec<&str>) = (self.out.lines().collect(), ours.out.lines().collect());
        for at in 0..left.len().max(right.len()) {
            let (l, r) = (left.get(at), right.get(at));
            if l != r && shown.lines().count() < 20 {
                shown += &format!("  peer: {}\n  ours: {}\n", l.unwrap_or(&"(ends)"), r.unwrap_or(&"(ends)"));
            }
        }
        if self.err != ours.err || self.status != ours.status {
            shown += &format!("  peer: {:?} {}\n  ours: {:?} {}\n", self.status, self.err, ours.status, ours.err);
        }
        shown
    }
}

/// Words after which a number moves.
const MOVING: &[&str] = &[
    "expires",
    "gc_timer",
    "hello_timer",
    "forward_delay_timer",
    "message_age_timer",
    "hold_timer",
    "tcn_timer",
    "used",
    "users",
    "age",
    "add",
    "use",
];

fn words(line: &str) -> String {
    let mut out = Vec::new();
    let mut before = "";
    // Runs of blanks stay as they are, but for the padding of a number that is hidden.
    for word in line.split(' ') {
        let number = word.starts_with(|c: char| c.is_ascii_digit());
        if MOVING.contains(&before) && (number || word.is_empty()) {
            if !word.is_empty() {
                out.push(if word.ends_with("probes") { "Nprobes" } else { "N" }.to_owned());
                before = word;
            }
            continue;
        }
        let lifetime = ["valid_lft", "preferred_lft"].contains(&before) && number && word != "0sec";
        out.push(if lifetime { "N".to_owned() } else { word.to_owned() });
        before = word;
    }
    out.join(" ")
}

/// Keys whose numbers move.
const MOVING_KEYS: &[&str] =
    &["expires", "gc_timer", "hello_timer", "forward_delay_timer", "used", "confirmed", "updated", "users", "age"];

fn values(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(values).collect()),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(key, member)| {
                    let lifetime = key.ends_with("_life_time")
                        && member.as_u64().is_some_and(|seconds| seconds != 0 && seconds < u64::from(u32::MAX));
                    let moving = lifetime || (MOVING_KEYS.contains(&key.as_str()) && member.is_number());
                    (key, if moving { Value::from("N") } else { values(member) })
                })
                .collect(),
        ),
        // 0.0 and 0 are one value.
        Value::Number(number) => number.as_f64().map_or(Value::Number(number), Value::from),
        other => other,
    }
}

pub(super) fn masks() -> Result<(), Stop> {
    for (line, masked) in [
        ("       valid_lft 2998sec preferred_lft 0sec", "       valid_lft N preferred_lft 0sec"),
        ("hello_timer    0.00 tcn_timer    0.00 gc_timer  299.90 x", "hello_timer N tcn_timer N gc_timer N x"),
        ("10.0.0.1 dev v0  used 1/60/2probes 0 STALE ", "10.0.0.1 dev v0  used Nprobes 0 STALE "),
        ("metric 256 expires 2999sec pref medium", "metric 256 expires N pref medium"),
        ("inet 10.0.0.1/24 scope global v0", "inet 10.0.0.1/24 scope global v0"),
    ] {
        same("masked", &words(line), masked)?;
    }
    let value: Value = serde_json::from_str(r#"[{},{"expires":7,"a":0.0,"valid_life_time":4294967295}]"#)
        .map_err(|error| Stop::Fail(error.to_string()))?;
    same("values", &values(value).to_string(), r#"[{},{"a":0.0,"expires":"N","valid_life_time":4294967295.0}]"#)
}
