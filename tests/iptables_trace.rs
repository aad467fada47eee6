//! `iptables --trace` against the truth: rules are loaded in a router's namespace, the packet is really sent, and the
//! walk must say what became of it and which rules counted it. Then the other views.

#![allow(clippy::indexing_slicing)]

mod random;
mod scenarios;
mod stage;
mod views;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{self, Stop, trial};
use scenarios::{IPTABLES, MIXED, NATIVE, Scenario, Truth};
use stage::{Counts, Packet, Place, Seen, Stage, output};

/// How long a packet may be on its way before it counts as lost. A veth hands it over within the sender's system call.
const WAIT: Duration = Duration::from_millis(160);
const LIMIT: Duration = Duration::from_secs(120);

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for backend in ["legacy", "nft"] {
        for (part, scenarios) in IPTABLES.chunks(IPTABLES.len().div_ceil(3)).enumerate() {
            trials.push(trial(&format!("iptables_trace::{backend}::{part}"), move || play(backend, scenarios)));
        }
    }
    trials.push(trial("iptables_trace::native", || play("nft", NATIVE)));
    trials.push(trial("iptables_trace::mixed", || play("nft", MIXED)));
    for loader in ["iptables-legacy", "iptables-nft", "native", "mixed"] {
        trials.push(trial(&format!("iptables_trace::random::{loader}"), move || random::play(loader)));
    }
    trials.extend(views::trials());
    trials
}

/// Plays scenarios one after the other; all that fail are told at the end.
fn play(backend: &str, scenarios: &[Scenario]) -> Result<(), Stop> {
    let stage = Stage::new()?;
    let mut failed = String::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        let result = one(&stage, backend, index, scenario);
        let cleaned = clean(&stage);
        match result {
            Ok(()) => {}
            Err(Stop::Fail(why)) => failed.push_str(&format!("\n== {}: {why}", scenario.name)),
            Err(skip) => return Err(skip),
        }
        cleaned?;
    }
    if failed.is_empty() { Ok(()) } else { Err(Stop::Fail(failed)) }
}

/// Nothing of a scenario stays.
fn clean(stage: &Stage) -> Result<(), Stop> {
    const SCRIPT: &str = "nft flush ruleset
        for program in iptables ip6tables; do
            names=/proc/net/ip_tables_names; [ $program = iptables ] || names=/proc/net/ip6_tables_names
            for table in $(cat $names 2>/dev/null); do
                $program-legacy -t $table -F; $program-legacy -t $table -X
                for chain in PREROUTING INPUT FORWARD OUTPUT POSTROUTING; do $program-legacy -t $table -P $chain ACCEPT 2>/dev/null || true; done
            done
        done
        ipset destroy
        for table in 77 78 79; do while ip rule del table $table 2>/dev/null; do :; done; ip route flush table $table 2>/dev/null || true; done
        ip link set p0 group 0";
    output(stage.command("sh").args(["-c", SCRIPT])).map(drop)
}

fn one(stage: &Stage, backend: &str, index: usize, scenario: &Scenario) -> Result<(), Stop> {
    let script = format!(
        "set -e; T=iptables-{backend}; T6=ip6tables-{backend}; S={backend}{index}\n{}",
        scenarios::expand(scenario.rules)
    );
    output(stage.command("sh").args(["-c", &script]))?;
    // Every scenario has a source port of its own, so that no connection is met again.
    let mut packet = Packet::parse(scenario.packet)?;
    if packet.protocol != "icmp" && packet.source.port() == 0 {
        packet.source.set_port(42_000 + u16::try_from(index).unwrap_or(0));
    }
    for (from, text) in scenario.before {
        stage.send(*from, &Packet::parse(text)?, None, WAIT)?;
    }
    let v6 = packet.source.is_ipv6();
    let report = walk(stage, scenario, &packet)?;
    let before = stage.counts(v6)?;
    let seen = stage.send(scenario.from, &packet, scenario.local, WAIT)?;
    let after = stage.counts(v6)?;
    let moved: BTreeSet<String> = after
        .iter()
        .filter(|(place, count)| before.get(*place) != Some(count))
        .map(|(place, _)| place.clone())
        .collect();
    let told = || format!("\nseen: {seen:?}\nmoved: {moved:?}\nwalk: {report:#}");
    let expected = match (&seen, scenario.truth) {
        (Seen::Received { at, .. }, Truth::At(place)) => *at == place,
        (Seen::Refused, Truth::Refused) | (Seen::Lost, Truth::Dropped) => true,
        _ => false,
    };
    if !expected {
        return Err(Stop::Fail(format!("the scenario is not what it says, {:?}{}", scenario.truth, told())));
    }
    let decided = report["decided"] == Value::Bool(true);
    if decided == scenario.open {
        return Err(Stop::Fail(format!("decided is {decided}{}", told())));
    }
    let outcomes = report["outcomes"].as_array().cloned().unwrap_or_default();
    let right = outcomes.iter().any(|outcome| fits(outcome, &seen, &moved, &after));
    let possible = report["alternatives"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|other| scenario.open && other["changes_verdict"] == Value::Bool(true) && verdict_fits(other, &seen));
    if right || possible { Ok(()) } else { Err(Stop::Fail(format!("no outcome is the truth{}", told()))) }
}

/// What the walk says.
fn walk(stage: &Stage, scenario: &Scenario, packet: &Packet) -> Result<Value, Stop> {
    let (source, words) = match scenario.args {
        "no source port" => (packet.source.ip().to_string(), ""),
        words if packet.protocol == "icmp" => (packet.source.ip().to_string(), words),
        words => (packet.source.to_string(), words),
    };
    let destination = match packet.protocol.as_str() {
        "icmp" => packet.destination.ip().to_string(),
        _ => packet.destination.to_string(),
    };
    let text = format!("{} {source} -> {destination} {words}", packet.protocol);
    let mut command = Command::new(lab::netkit());
    command.args(["iptables", "--netns", &stage.netns(), "--json", "--trace", text.trim()]);
    match scenario.from {
        Place::Host => command.args(["--from", "host"]),
        Place::Outside => command.args(["--from", "outside", "-i", "o0"]),
        Place::Pod => command.args(["--from", "pod"]),
        Place::Server => command.args(["-i", "s0"]),
    };
    let found = lab::run(&mut command, LIMIT)?;
    let said = String::from_utf8_lossy(&found.stderr).into_owned();
    let report: Value =
        serde_json::from_slice(&found.stdout).map_err(|error| format!("{text}: no JSON ({error}); stderr: {said}"))?;
    let all_pass = report["outcomes"].as_array().into_iter().flatten().all(|outcome| outcome["verdict"] == "ACCEPT");
    let status = match (report["decided"] == Value::Bool(true), all_pass) {
        (false, _) => 3,
        (true, true) => 0,
        (true, false) => 1,
    };
    if found.status.code() != Some(status) {
        return Err(Stop::Fail(format!("status {:?} instead of {status}: {report:#}", found.status.code())));
    }
    Ok(report)
}

fn verdict_fits(outcome: &Value, seen: &Seen) -> bool {
    let verdict = outcome["verdict"].as_str().unwrap_or_default();
    match seen {
        Seen::Received { .. } => verdict == "ACCEPT",
        Seen::Refused => matches!(verdict, "REJECT" | "UNROUTABLE"),
        Seen::Lost => verdict == "DROP",
    }
}

/// Whether an outcome is what happened: the verdict, the place, both addresses and the port, and exactly the rules that
/// counted.
fn fits(outcome: &Value, seen: &Seen, moved: &BTreeSet<String>, counts: &Counts) -> bool {
    if !verdict_fits(outcome, seen) {
        return false;
    }
    if let Seen::Received { at, source, destination, port } = seen {
        let output = match at {
            Place::Pod => Value::from("p0"),
            Place::Server => Value::from("s0"),
            Place::Outside => Value::from("o0"),
            Place::Host => Value::Null,
        };
        let packet = &outcome["packet"];
        let arrived = packet["destination"] == destination.to_string() || *at == Place::Host;
        let same_port = *port == 0 || packet["destination_port"] == *port;
        if outcome["output"] != output || packet["source"] != source.to_string() || !arrived || !same_port {
            return false;
        }
    }
    let steps = outcome["steps"].as_array().into_iter().flatten();
    let walked: BTreeSet<String> = steps
        .filter(|step| step["kind"] == "rule" && !step["packets"].is_null())
        .map(|step| {
            let word = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
            let family = if step["family"].is_null() { String::new() } else { format!("{} ", word("family")) };
            format!("{} {family}{} {} {}", word("backend"), word("table"), word("chain"), step["number"])
        })
        .filter(|place| counts.contains_key(place))
        .collect();
    walked == *moved
}
