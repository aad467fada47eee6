//! `doctor` in broken worlds: namespaces, real servers and rules (see [`stage`]), described in `tests/doctor/worlds/`
//! (see [`format`]). In every world doctor runs twice, as root and as a user without any capability, and must name the
//! layer and the cause.
//!
//! What it found stands in `tests/golden/doctor-worlds.txt`. To write that anew (and then to read it):
//! `NETKIT_GOLDEN=write cargo test --test e2e -- doctor::worlds`. `NETKIT_WORLDS=PATTERN` plays only the worlds whose
//! name holds it, and shows everything that was said. The trial `doctor::worlds_are_broken` runs, in a world of its own, the
//! command that shows with the peers that a world is broken as it says.

#![allow(clippy::indexing_slicing)]

pub mod actors;
mod format;
mod quiet;
mod stage;
mod wire;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{self, Stop, TempDir, namespaces, tool, trial};
use format::World;
use stage::Stage;

/// The worlds.
const FILES: [&str; 8] = [
    include_str!("doctor/worlds/dns.txt"),
    include_str!("doctor/worlds/route.txt"),
    include_str!("doctor/worlds/filter.txt"),
    include_str!("doctor/worlds/tcp.txt"),
    include_str!("doctor/worlds/path.txt"),
    include_str!("doctor/worlds/tls.txt"),
    include_str!("doctor/worlds/http.txt"),
    include_str!("doctor/worlds/well.txt"),
];
/// Where the table lies.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/doctor-worlds.txt");
/// The variable that chooses worlds.
const ONLY: &str = "NETKIT_WORLDS";
/// Worlds at a time: most of their time is spent waiting.
const WORKERS: usize = 12;
/// How long one command in a world may take.
const LIMIT: Duration = Duration::from_secs(90);
/// Programs that the worlds need, and their Debian packages.
const TOOLS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("iptables-legacy", "iptables"),
    ("nft", "nftables"),
    ("ethtool", "ethtool"),
    ("ipset", "ipset"),
    ("conntrack", "conntrack"),
    ("named", "bind9"),
    ("nginx", "nginx-light"),
    ("haproxy", "haproxy"),
    ("openssl", "openssl"),
    ("curl", "curl"),
];

/// The trials of this module.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("doctor::worlds", worlds),
        trial("doctor::worlds_are_broken", proofs),
        trial("doctor::healthy_path", quiet::healthy),
        trial("doctor::nothing_is_changed", quiet::untouched),
    ]
}

/// A skip when something is missing that worlds are made of.
fn wanted() -> Result<(), Stop> {
    namespaces()?;
    for (name, package) in TOOLS {
        tool(name, package)?;
    }
    Ok(())
}

/// What doctor said in one world.
#[derive(Debug, Clone)]
struct Found {
    layer: String,
    cause: String,
    certain: bool,
    sentence: String,
    status: Option<i32>,
    elapsed: Duration,
    whole: String,
}

/// How it is to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Right,
    /// It said that it cannot tell.
    Undecided,
    Wrong,
}

/// The exit status of a layer.
fn status_of(layer: &str) -> i32 {
    match layer {
        "none" => 0,
        "dns" => 3,
        "route" => 4,
        "netfilter" => 5,
        "tcp" | "udp" => 6,
        "tls" => 7,
        "http" | "application" => 8,
        _ => 9,
    }
}

impl Found {
    fn grade(&self, world: &World, nobody: bool) -> Grade {
        let layers = if nobody && !world.nobody.is_empty() { &world.nobody } else { &world.layers };
        let layer = layers.contains(&self.layer) && self.status == Some(status_of(&self.layer));
        // Whoever sees less may know the layer and not the cause.
        let cause = nobody || world.causes.is_empty() || world.causes.contains(&self.cause);
        let sentence = self.sentence.to_lowercase();
        let says =
            nobody || world.says.is_empty() || world.says.iter().any(|part| sentence.contains(&part.to_lowercase()));
        match (layer && cause && says, self.certain) {
            (true, _) => Grade::Right,
            (false, false) => Grade::Undecided,
            (false, true) => Grade::Wrong,
        }
    }
}

/// Runs doctor in a world.
fn ask(stage: &Stage, world: &World, nobody: bool, binary: &Path) -> Result<Found, Stop> {
    let mut command = stage.command(nobody, binary);
    command.args(["doctor", "--json", "--timeout", "1"]).args(&world.target);
    let start = Instant::now();
    let output = lab::run(&mut command, LIMIT)?;
    let elapsed = start.elapsed();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        Stop::Fail(format!("{}: {error}: {}{said}", world.name, String::from_utf8_lossy(&output.stdout)))
    })?;
    let verdict = &report["verdict"];
    let text = |key: &str| verdict[key].as_str().unwrap_or_default().to_owned();
    Ok(Found {
        layer: verdict["layer"].as_str().unwrap_or("none").to_owned(),
        cause: text("cause"),
        certain: verdict["certain"] != Value::Bool(false),
        sentence: text("sentence"),
        status: output.status.code(),
        elapsed,
        whole: format!("{report:#}\n{said}"),
    })
}

/// Runs the commands that show that the world is as broken as it says.
fn prove(stage: &Stage, world: &World) -> Result<(), Stop> {
    for line in world.all("proof") {
        let (wanted, command) = line.split_once(' ').ok_or("proof: a status and a command")?;
        let output = lab::run(&mut stage.shell("client", command), LIMIT)?;
        let status = output.status.code().unwrap_or(-1).to_string();
        if !wanted.split('|').any(|one| one == status) {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Stop::Fail(format!("{}: `{command}` gave {status}, not {wanted}: {said}", world.name)));
        }
    }
    Ok(())
}

/// What came of one world.
struct Outcome {
    root: Found,
    nobody: Found,
}

fn play(world: &World, certificates: &Path, binary: &Path) -> Result<Outcome, Stop> {
    let stage = Stage::new(world, certificates)?;
    let root = ask(&stage, world, false, binary)?;
    let nobody = ask(&stage, world, true, binary)?;
    Ok(Outcome { root, nobody })
}

fn all() -> Result<Vec<World>, Stop> {
    let mut worlds = Vec::new();
    for text in FILES {
        worlds.extend(format::parse(text).map_err(Stop::Fail)?);
    }
    Ok(worlds)
}

/// The worlds that are to be played.
fn chosen() -> Result<Vec<World>, Stop> {
    let mut list = all()?;
    if let Ok(pattern) = std::env::var(ONLY) {
        list.retain(|world| pattern.split(',').any(|part| world.name.contains(part)));
    }
    Ok(list)
}

/// Does something with every world, some at a time; the results are in the worlds' order.
fn on_workers<T: Send>(list: &[World], work: impl Fn(&World) -> Result<T, Stop> + Sync) -> Vec<Result<T, Stop>> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<T, Stop>>>> = list.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(world), Some(slot)) = (list.get(index), results.get(index)) else { return };
                    let result = work(world);
                    if let Ok(mut slot) = slot.lock() {
                        *slot = Some(result);
                    }
                }
            });
        }
    });
    let results = results.into_iter().map(|slot| slot.into_inner().ok().flatten());
    results.map(|result| result.unwrap_or_else(|| Err("not played".into()))).collect()
}

/// Every world that says how, is shown to be broken without doctor's help.
fn proofs() -> Result<(), Stop> {
    wanted()?;
    let certificates = stage::certificates()?;
    let mut list = chosen()?;
    list.retain(|world| world.all("proof").next().is_some());
    let results = on_workers(&list, |world| prove(&Stage::new(world, &certificates.0)?, world));
    let mut failed = String::new();
    for (world, result) in list.iter().zip(results) {
        match result {
            Ok(()) => {}
            Err(Stop::Skip(skip)) => return Err(Stop::Skip(skip)),
            Err(Stop::Fail(why)) => {
                let _ = writeln!(failed, "== {}: {why}", world.name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Stop::Fail(failed)) }
}

fn worlds() -> Result<(), Stop> {
    wanted()?;
    let certificates = stage::certificates()?;
    let place = TempDir::new("worlds-bin")?;
    let binary: PathBuf = lab::binary_for_everybody(&place.0)?;
    let list = chosen()?;
    let results = on_workers(&list, |world| play(world, &certificates.0, &binary));
    let mut outcomes = Vec::new();
    let mut failed = String::new();
    for (world, slot) in list.iter().zip(results) {
        match slot {
            Ok(outcome) => outcomes.push((world, outcome)),
            Err(Stop::Skip(skip)) => return Err(Stop::Skip(skip)),
            Err(Stop::Fail(why)) => {
                let _ = writeln!(failed, "== {}: {why}", world.name);
            }
        }
    }
    report(&outcomes, failed, std::env::var_os(ONLY).is_some())
}

/// Counts, compares with the table, and tells what is wrong.
fn report(outcomes: &[(&World, Outcome)], mut failed: String, shown: bool) -> Result<(), Stop> {
    let mut table = String::new();
    let mut counts = [[0usize; 3]; 2];
    for (world, outcome) in outcomes {
        let grades = [outcome.root.grade(world, false), outcome.nobody.grade(world, true)];
        for (count, grade) in counts.iter_mut().zip(grades) {
            count[grade as usize] += 1;
        }
        let chance = world.all("chance").next();
        let _ = match chance {
            Some(why) => writeln!(
                table,
                "{}\n  expected {}; which of them is chance: {why}",
                world.name,
                world.layers.join(" or ")
            ),
            None => writeln!(
                table,
                "{}\n  expected {}; found {} ({}{}); without capabilities {}{}\n  {}",
                world.name,
                world.layers.join(" or "),
                outcome.root.layer,
                if outcome.root.cause.is_empty() { "-" } else { &outcome.root.cause },
                if outcome.root.certain { "" } else { ", not certain" },
                outcome.nobody.layer,
                if outcome.nobody.certain { "" } else { ", not certain" },
                masked(&outcome.root.sentence),
            ),
        };
        for (who, found, grade) in [("root", &outcome.root, grades[0]), ("nobody", &outcome.nobody, grades[1])] {
            if shown || grade != Grade::Right {
                let _ = writeln!(
                    failed,
                    "{grade:?} as {who} after {:?}: {}: wanted {:?} {:?} {:?}, status {:?}, {} {} certain {}: {}",
                    found.elapsed,
                    world.name,
                    world.layers,
                    world.causes,
                    world.says,
                    found.status,
                    found.layer,
                    found.cause,
                    found.certain,
                    found.sentence
                );
                if shown {
                    failed.push_str(&found.whole);
                }
            }
        }
    }
    let total = outcomes.len();
    let mut head = String::from(
        "# Written by the trial doctor::worlds: what doctor finds in every world of tests/doctor/worlds/.\n",
    );
    for (who, [right, undecided, wrong]) in [("as root", counts[0]), ("as 65532 without capabilities", counts[1])] {
        let _ = writeln!(head, "# {who}: {right} of {total} right, {undecided} undecided, {wrong} wrong");
    }
    let table = format!("{head}\n{table}");
    if shown {
        return Err(Stop::Fail(format!("shown:\n{failed}\n{head}")));
    }
    if std::env::var("NETKIT_GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::write(TABLE, &table)?;
    }
    let known = std::fs::read_to_string(TABLE)?;
    let differences: Vec<String> = known
        .lines()
        .zip(table.lines())
        .filter(|(left, right)| left != right)
        .map(|(left, right)| format!("- {left}\n+ {right}"))
        .collect();
    // Never confidently wrong; and at least 95 of 100 right.
    if counts[0][Grade::Wrong as usize] > 0
        || counts[0][0] * 100 < total * 95
        || !failed.is_empty() && counts[0][0] == 0
    {
        return Err(Stop::Fail(format!("{head}{failed}")));
    }
    if known != table {
        return Err(Stop::Fail(format!("{TABLE} is not what was found:\n{}\n{failed}", differences.join("\n"))));
    }
    Ok(())
}

/// Times, dates, ports of ours and the like are no part of a verdict.
fn masked(sentence: &str) -> String {
    let mut out = String::new();
    let mut rest = sentence;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, digits) = rest.split_at(start);
        out.push_str(before);
        let length = digits.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(digits.len());
        let (number, after) = digits.split_at(length);
        let unit = [" ms", " s", "ms", " days", " day", " hours", " hour", " minutes", " seconds"].iter().any(|unit| {
            after.strip_prefix(unit).is_some_and(|tail| !tail.starts_with(|c: char| c.is_ascii_alphanumeric()))
        });
        let date = number.len() == 4 && after.as_bytes().first() == Some(&b'-');
        if date {
            out.push_str("DATE");
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || "-:TZ".contains(c));
            if let Some(time) = rest.strip_prefix(' ').filter(|time| time.as_bytes().get(2) == Some(&b':')) {
                rest = time.trim_start_matches(|c: char| c.is_ascii_digit() || ":Z".contains(c));
            }
        } else {
            out.push_str(if unit { "T" } else { number });
            rest = after;
        }
    }
    out + rest
}
