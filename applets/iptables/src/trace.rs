//! `--trace`: prints the walk of one packet.

use std::fmt::Write as _;
use std::io::Write as _;

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_nf::walk::packet::Packet;
use netkit_nf::walk::{self, Alternative, From, Netlink, Outcome, Question, Report, State, Step, StepKind, Verdict};

use crate::args::{Backend, Request};
use crate::{ipvs, views};

/// The packet does not get through.
const STOPPED: Exit = Exit(1);
/// A rule that cannot be decided could change that.
const UNDECIDED: Exit = Exit(3);

pub(crate) fn run(ctx: &mut Ctx, request: &Request, text: &str) -> Result<Exit, Error> {
    let options = &request.options;
    let wrong = |option: &str, given: &str, known: &str| {
        Error::usage(format!("{option}: '{}' is none of {known}", netkit_core::text::printable(given)))
    };
    let state = match &options.state {
        None => None,
        Some(name) => Some(
            State::from_name(name)
                .ok_or_else(|| wrong("--state", name, "NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED"))?,
        ),
    };
    let from = match options.from.as_deref() {
        None => None,
        Some("pod") => Some(From::Pod),
        Some("host") => Some(From::Host),
        Some("outside") => Some(From::Outside),
        Some(other) => return Err(wrong("--from", other, "pod, host, outside")),
    };
    let packet = Packet::parse(text, state).map_err(|why| Error::usage(format!("--trace: {why}")))?;
    let family = packet.family();
    let mut notes = Vec::new();
    let raws = views::raw_tables(request, family, &mut notes);
    let rules = views::rules(request, family, &raws, notes, &views::native_text);
    if rules.legacy.is_empty() && rules.native.is_none() && !rules.notes.is_empty() {
        let why = rules.notes.join("; ");
        return Err(views::refused(ctx, &why));
    }
    let question = Question { packet, from, input: options.input.clone(), state };
    let mut report = walk::walk(&rules, &Netlink::new(), &question)
        .map_err(|why| Error::new(Exit::USAGE, format!("--trace: {why}")))?;
    beyond(request, &mut report);
    if options.json {
        ctx.stdout.write_all(json(&question, &report).pretty().as_bytes())?;
    } else {
        ctx.stdout.write_all(words(&question, &report).as_bytes())?;
    }
    let passes = report.outcomes.iter().all(|outcome| outcome.verdict == Verdict::Accept);
    Ok(match (is_open(&report), passes) {
        (true, _) => UNDECIDED,
        (false, true) => Exit::OK,
        (false, false) => STOPPED,
    })
}

/// What the walk does not see.
fn beyond(request: &Request, report: &mut Report) {
    let only = match request.backend {
        Backend::Legacy => "legacy",
        Backend::Nft => "nf_tables",
        Backend::Auto | Backend::All => "",
    };
    if !only.is_empty() {
        report.notes.push(format!("only {only} was walked, as --backend says"));
    }
    let taken = |outcome: &Outcome| {
        let (address, port) = (outcome.packet.destination, outcome.packet.dport);
        let delivered = outcome.verdict == Verdict::Accept && outcome.output.is_none();
        let is = |service: &ipvs::Service| service.address == Some(address) && Some(service.port) == port;
        delivered && ipvs::services().is_some_and(|services| services.iter().any(is))
    };
    if report.outcomes.iter().any(taken) {
        report.notes.push("IPVS takes the packet in INPUT and sends it to a real server: --svc shows them".to_owned());
        report.truncated = true;
    }
}

/// Whether the verdict could be another one.
fn is_open(report: &Report) -> bool {
    report.truncated || report.alternatives.iter().any(|other| other.matters)
}

/// What all steps of all ways have in common at their beginning.
fn common(outcomes: &[Outcome]) -> usize {
    let Some((first, others)) = outcomes.split_first() else { return 0 };
    let same = |left: &Step, right: &Step| {
        left.hook == right.hook
            && left.place() == right.place()
            && left.effect == right.effect
            && left.kind == right.kind
    };
    let shared =
        |other: &Outcome| first.steps.iter().zip(&other.steps).take_while(|(left, right)| same(left, right)).count();
    if others.is_empty() { 0 } else { others.iter().map(shared).min().unwrap_or(0) }
}

fn words(question: &Question, report: &Report) -> String {
    let mut out = question.packet.ends();
    let _ = write!(out, ", {}", report.state.name());
    match &report.input {
        Some(name) => {
            let _ = write!(out, ", in by {name}");
        }
        None => out.push_str(", from this host"),
    }
    out.push('\n');
    let shared = common(&report.outcomes);
    let steps = |out: &mut String, steps: &[Step]| {
        for step in steps {
            push_step(out, step);
        }
    };
    if let Some(first) = report.outcomes.first() {
        steps(&mut out, first.steps.get(..shared).unwrap_or_default());
    }
    for (index, outcome) in report.outcomes.iter().enumerate() {
        if report.outcomes.len() > 1 {
            let (number, all) = (index + 1, report.outcomes.len());
            let _ = writeln!(out, "way {number} of {all}, probability {}:", walk::percent(outcome.share));
        }
        steps(&mut out, outcome.steps.get(shared..).unwrap_or_default());
    }
    for note in &report.notes {
        let _ = writeln!(out, "note: {note}");
    }
    for outcome in &report.outcomes {
        let share = match report.outcomes.len() {
            1 => String::new(),
            _ => format!(" {}", walk::percent(outcome.share)),
        };
        let _ = writeln!(out, "verdict{share}: {}", verdict(outcome.verdict, &outcome.text));
        match outcome.deciding() {
            Some(step) => {
                let _ = writeln!(out, "decided by: {}", format!("{} {}", step.place(), step.text).trim_end());
            }
            None => out.push_str("decided by: no rule\n"),
        }
    }
    for other in &report.alternatives {
        let by = other.decider.as_deref().unwrap_or("no rule");
        let _ = writeln!(
            out,
            "{}: it would be {} by {by}, if this holds: {}",
            if other.matters { "undecided" } else { "decider open" },
            verdict(other.verdict, &other.text),
            other.suppose.join(" and ")
        );
    }
    if report.truncated {
        out.push_str("undecided: not everything could be read or played, see the notes\n");
    }
    out
}

fn verdict(verdict: Verdict, text: &str) -> String {
    if text.is_empty() { verdict.name().to_owned() } else { format!("{} {text}", verdict.name()) }
}

fn push_step(out: &mut String, step: &Step) {
    let _ = write!(out, "{:<11} ", step.hook);
    if step.kind == StepKind::Kernel {
        let _ = writeln!(out, "{}: {}", step.table, step.effect);
        return;
    }
    out.push_str(&step.place());
    if let Some(counters) = step.counters {
        let _ = write!(out, " [{}:{}]", counters.packets, counters.bytes);
    }
    let _ = write!(out, " {}", step.text);
    if !step.effect.is_empty() {
        let _ = write!(out, "  => {}", step.effect);
    }
    out.push('\n');
}

fn step_value(step: &Step) -> Value {
    let mut value = Value::object()
        .with("hook", step.hook)
        .with("kind", step.kind.name())
        .with("backend", step.backend.name())
        .with("family", Some(step.family).filter(|family| !family.is_empty()))
        .with("table", step.table.as_str())
        .with("chain", Some(step.chain.as_str()).filter(|chain| !chain.is_empty()))
        .with("number", Some(step.number).filter(|number| *number > 0))
        .with("rule", Some(step.text.as_str()).filter(|text| !text.is_empty()));
    if let Some(counters) = step.counters {
        value.set("packets", counters.packets);
        value.set("bytes", counters.bytes);
    }
    value.with("effect", step.effect.as_str())
}

fn packet_value(packet: &Packet) -> Value {
    let ports = packet.has_ports();
    Value::object()
        .with("protocol", packet.protocol)
        .with("source", packet.source.to_string())
        .with("source_port", packet.source_port())
        .with("destination", packet.destination.to_string())
        .with("destination_port", packet.dport.filter(|_| ports))
        .with("mark", packet.mark)
}

fn alternative_value(other: &Alternative) -> Value {
    Value::object()
        .with("verdict", other.verdict.name())
        .with("text", other.text.as_str())
        .with("decided_by", other.decider.as_deref())
        .with("changes_verdict", other.matters)
        .with("if", other.suppose.clone())
}

fn json(question: &Question, report: &Report) -> Value {
    let outcome = |outcome: &Outcome| {
        Value::object()
            .with("probability", outcome.share)
            .with("verdict", outcome.verdict.name())
            .with("text", outcome.text.as_str())
            .with("decided_by", outcome.deciding().map(Step::place))
            .with("deciding_rule", outcome.deciding().map(|step| step.text.as_str()))
            .with("output", outcome.output.as_deref())
            .with("packet", packet_value(&outcome.packet))
            .with("steps", outcome.steps.iter().map(step_value).collect::<Vec<_>>())
    };
    Value::object()
        .with("schema", "iptables-trace/1")
        .with("packet", packet_value(&question.packet))
        .with("state", report.state.name())
        .with("input", report.input.as_deref())
        .with("decided", !is_open(report))
        .with("outcomes", report.outcomes.iter().map(outcome).collect::<Vec<_>>())
        .with("alternatives", report.alternatives.iter().map(alternative_value).collect::<Vec<_>>())
        .with("truncated", report.truncated)
        .with("notes", report.notes.clone())
}
