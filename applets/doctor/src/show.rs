//! What is printed: a tree on a terminal, plain lines elsewhere, one JSON object.

use std::fmt::Write as _;

use netkit_core::json::Value;

use crate::report::{Fault, Gravity, Layer, Report, State, millis};

/// The tree, then the verdict.
pub(crate) fn text(report: &Report, tree: bool) -> String {
    let mut out = String::new();
    if tree {
        let _ = writeln!(out, "{}", report.target);
    }
    let mut last: Option<Layer> = None;
    let mut layers: Vec<Layer> = Vec::new();
    for line in &report.lines {
        if !layers.contains(&line.layer) {
            layers.push(line.layer);
        }
    }
    layers.sort();
    let count = layers.len();
    for (index, layer) in layers.iter().enumerate() {
        for line in report.lines.iter().filter(|line| line.layer == *layer) {
            let time = line.elapsed.map_or_else(String::new, millis);
            let name = if last == Some(*layer) { "" } else { layer.name() };
            if tree {
                let branch = match (name.is_empty(), index + 1 == count) {
                    (false, false) => "├─ ",
                    (false, true) => "└─ ",
                    (true, false) => "│  ",
                    (true, true) => "   ",
                };
                let mark = match line.state {
                    State::Fine => "ok ",
                    State::Note => "!  ",
                    State::Broken => "XX ",
                    State::Unseen => "?  ",
                };
                let _ = writeln!(out, "{branch}{name:<11} {mark}{time:>9}  {}", line.text);
            } else {
                let _ = writeln!(out, "{:<11} {:<6} {time:>9}  {}", layer.name(), line.state.name(), line.text);
            }
            last = Some(*layer);
        }
    }
    out.push_str(&verdict(report));
    out
}

/// The sentence, what supports it, and what to type next.
pub(crate) fn verdict(report: &Report) -> String {
    let mut out = format!("verdict: {}\n", report.sentence());
    if let Some(fault) = report.verdict() {
        for line in &fault.evidence {
            let _ = writeln!(out, "  evidence: {line}");
        }
        if !fault.next.is_empty() {
            let _ = writeln!(out, "  next: {}", fault.next);
        }
    }
    out
}

fn gravity(gravity: Gravity) -> &'static str {
    match gravity {
        Gravity::Advice => "advice",
        Gravity::Impaired => "impaired",
        Gravity::Fatal => "fatal",
    }
}

fn fault_value(fault: &Fault) -> Value {
    Value::object()
        .with("layer", fault.layer.name())
        .with("cause", fault.cause)
        .with("gravity", gravity(fault.gravity))
        .with("certain", fault.certain)
        .with("sentence", fault.sentence.as_str())
        .with("evidence", fault.evidence.clone())
        .with("next", Some(fault.next.as_str()).filter(|next| !next.is_empty()))
}

/// A verdict; without a fault, nothing is broken.
pub(crate) fn verdict_value(found: Option<&Fault>, sentence: &str) -> Value {
    Value::object()
        .with("layer", found.map(|fault| fault.layer.name()))
        .with("cause", found.map_or("none", |fault| fault.cause))
        .with("certain", found.is_none_or(|fault| fault.certain))
        .with("sentence", sentence)
        .with("evidence", found.map(|fault| fault.evidence.clone()).unwrap_or_default())
        .with("next", found.map(|fault| fault.next.as_str()).filter(|next| !next.is_empty()))
}

/// One walk.
pub(crate) fn value(report: &Report) -> Value {
    let line = |line: &crate::report::Line| {
        Value::object()
            .with("layer", line.layer.name())
            .with("state", line.state.name())
            .with("text", line.text.as_str())
            .with("elapsed_us", line.elapsed.map(|elapsed| elapsed.as_micros()))
    };
    let mut timings = Value::object();
    for (name, elapsed) in &report.timings {
        timings.set(&format!("{name}_us"), elapsed.as_micros());
    }
    let verdict = verdict_value(report.verdict(), &report.sentence());
    Value::object()
        .with("target", report.target.as_str())
        .with("addresses", report.addresses.iter().map(ToString::to_string).collect::<Vec<_>>())
        .with("reached", report.reached.map(|address| address.to_string()))
        .with("source", report.source.map(|address| address.to_string()))
        .with("lines", report.lines.iter().map(line).collect::<Vec<_>>())
        .with("timings", timings)
        .with("faults", report.faults.iter().map(fault_value).collect::<Vec<_>>())
        .with("not_looked_at", report.unseen.clone())
        .with("looked_at", report.looked.clone())
        .with("elapsed_us", report.elapsed.as_micros())
        .with("verdict", verdict)
        .with("exit_status", report.exit().0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn report() -> Report {
        let mut report = Report { target: "http://a/".to_owned(), ..Report::default() };
        report.broken(Layer::Tcp, "10.0.0.1:80 refused", Some(Duration::from_micros(1_500)));
        report.fine(Layer::Dns, "a is 10.0.0.1", None);
        report
            .faults
            .push(Fault::fatal(Layer::Tcp, "refused", "nothing listens".to_owned()).evidence("a reset").next("x"));
        report
    }

    #[test]
    fn layers_in_their_order() {
        let plain = text(&report(), false);
        let expected = "dns         fine              a is 10.0.0.1\n\
                        tcp         broken    1.5 ms  10.0.0.1:80 refused\n\
                        verdict: TCP is broken: nothing listens\n  evidence: a reset\n  next: x\n";
        assert_eq!(plain, expected);
        assert!(text(&report(), true).contains("└─ tcp         XX    1.5 ms  10.0.0.1:80 refused"));
    }

    #[test]
    fn json_has_the_verdict() {
        let text = value(&report()).to_string();
        assert!(text.contains(r#""verdict":{"layer":"tcp","cause":"refused","certain":true"#), "{text}");
        assert!(text.ends_with(r#""exit_status":6}"#), "{text}");
    }
}
