//! Filters against Debian's tcpdump: which packets they select, which of them are refused and how.
//!
//! The program that libpcap makes of an expression is compared as well: equal programs select equal packets whatever the
//! packets are. Where the packets are too few to tell two filters apart, the programs are not.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

pub mod captures;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{self, Stop, TempDir, same, trial};
use captures::Capture;

const LIMIT: Duration = Duration::from_secs(300);
/// Written for this test: every primitive, what is wrong with it, and combinations.
const EXPRESSIONS: &str = include_str!("tcpdump_filter/expressions.txt");
/// Programs that differ, and why: none.
const OTHER_PROGRAMS: [&str; 0] = [];

pub fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = captures::all()
        .into_iter()
        .map(|capture| {
            let name = format!("tcpdump_filter::packets_of_{}", capture.name.to_lowercase());
            trial(&name, move || packets(&capture))
        })
        .collect();
    trials.push(trial("tcpdump_filter::programs", programs));
    trials.push(trial("tcpdump_filter::other_byte_order", swapped));
    trials.push(trial("tcpdump_filter::points_at_the_word", pointer));
    trials.push(trial("tcpdump_filter::hostile", hostile));
    trials
}

fn peer() -> Result<PathBuf, lab::Skip> {
    lab::tool("tcpdump", "tcpdump")
}

fn expressions() -> Vec<&'static str> {
    EXPRESSIONS.lines().filter(|line| !line.is_empty()).collect()
}

fn ours() -> Command {
    let mut command = Command::new(lab::netkit());
    command.arg("tcpdump");
    command
}

fn run(command: &mut Command, words: &[&str]) -> Result<Output, Stop> {
    lab::run(command.args(words).env("LC_ALL", "C"), LIMIT)
}

/// What a run said: its status, its output, and the first line that is an error.
fn outcome(output: &Output) -> (bool, &[u8], String) {
    let talk = String::from_utf8_lossy(&output.stderr);
    let error = talk.lines().find_map(|line| line.strip_prefix("tcpdump: ")).unwrap_or_default().to_owned();
    (output.status.success(), &output.stdout, error)
}

/// Runs `one` for every item, on as many threads as there are processors.
fn each<T: Sync>(items: &[T], one: &(dyn Fn(&T) -> Result<(), Stop> + Sync)) -> Result<(), Stop> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let worker = || -> Result<(), Stop> {
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                one(item)?;
            }
            Ok(())
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            worker.join().map_err(|_| "a worker died")??;
        }
        Ok(())
    })
}

/// Numbers of the records in a capture file: the microseconds of each are its number.
fn selected(file: &[u8]) -> Vec<usize> {
    let mut numbers = Vec::new();
    let mut at = 24;
    while let Some(header) = file.get(at..at + 16) {
        let word = |from: usize| u32::from_ne_bytes(header[from..from + 4].try_into().unwrap());
        numbers.push(word(4) as usize);
        at += 16 + word(8) as usize;
    }
    numbers
}

fn written(directory: &TempDir, name: &str, bytes: &[u8]) -> Result<PathBuf, Stop> {
    let path = directory.0.join(name);
    std::fs::File::create(&path)?.write_all(bytes)?;
    Ok(path)
}

/// Both select the same of every packet of a capture, or refuse the expression in the same words.
fn compare(peer: &Path, capture: &Capture, file: &str, expression: &str) -> Result<(), Stop> {
    // Behind `--`, since some begin with a minus sign.
    let words = ["-r", file, "-w", "-", "--", expression];
    let theirs = run(&mut Command::new(peer), &words)?;
    let ours = run(&mut ours(), &words)?;
    let (left, right) = (outcome(&theirs), outcome(&ours));
    let what = format!("{}, `{expression}`", capture.name);
    same(&format!("{what}: refusal"), &left.2, &right.2)?;
    same(&format!("{what}: success"), &left.0.to_string(), &right.0.to_string())?;
    let (left, right) = (selected(left.1), selected(right.1));
    if left == right {
        return Ok(());
    }
    let different = left.iter().find(|n| !right.contains(n)).or_else(|| right.iter().find(|n| !left.contains(n)));
    let number = different.copied().unwrap_or_default();
    let only = if left.contains(&number) { "the peer" } else { "netkit" };
    let scene = capture.scene_of(number);
    let packet = capture.packets().nth(number);
    Err(format!(
        "{what}: {} and {} packets; only {only} selects {number} ({scene}): {packet:x?}",
        left.len(),
        right.len()
    )
    .into())
}

fn packets(capture: &Capture) -> Result<(), Stop> {
    let peer = peer()?;
    let directory = TempDir::new("filter")?;
    let file = written(&directory, "capture", &capture.file(false))?;
    let file = file.to_string_lossy();
    each(&expressions(), &|expression| compare(&peer, capture, &file, expression))
}

/// Loopback headers of the other byte order, and the numbers in the file turned round.
fn swapped() -> Result<(), Stop> {
    let peer = peer()?;
    let directory = TempDir::new("filter")?;
    for capture in captures::all().iter().filter(|capture| matches!(capture.name, "NULL" | "LOOP")) {
        let file = written(&directory, capture.name, &capture.file(true))?;
        for expression in ["ip", "ip6", "tcp port 80", "not ip", "icmp6", "host 10.0.0.1"] {
            compare(&peer, capture, &file.to_string_lossy(), expression)?;
        }
    }
    Ok(())
}

/// The programs, with and without the optimiser, for the links that differ most.
fn programs() -> Result<(), Stop> {
    let peer = peer()?;
    let mut wanted = Vec::new();
    for link in ["EN10MB", "LINUX_SLL2", "RAW"] {
        for expression in expressions() {
            wanted.push((link, "-d", expression));
        }
    }
    for expression in expressions() {
        wanted.push(("EN10MB", "-dO", expression));
    }
    for expression in expressions().into_iter().step_by(20) {
        wanted.extend([("EN10MB", "-dd", expression), ("LINUX_SLL", "-ddd", expression)]);
    }
    each(&wanted, &|(link, flag, expression)| {
        if OTHER_PROGRAMS.contains(expression) {
            return Ok(());
        }
        let words = ["-y", link, flag, "--", expression];
        let (theirs, ours) = (run(&mut Command::new(&peer), &words)?, run(&mut ours(), &words)?);
        let (left, right) = (outcome(&theirs), outcome(&ours));
        let show = |side: &(bool, &[u8], String)| format!("{} {}\n{}", side.0, side.2, String::from_utf8_lossy(side.1));
        same(&format!("{link} {flag} `{expression}`"), &show(&left), &show(&right))
    })
}

/// Below the peer's line stand the expression and a mark under the offending word.
fn pointer() -> Result<(), Stop> {
    for (expression, word) in [
        ("tcp port 80 and prot 7", "prot"),
        ("host 10.0.0.1 and port nosuchport", "nosuchport"),
        ("vlan 5000", "5000"),
        ("ip and ( tcp", ""),
        ("ip host 999.1.1.1", "999.1.1.1"),
        ("udp [ 0 ; 2 ] = 1", ";"),
    ] {
        let output = run(&mut ours(), &["-y", "EN10MB", "-d", expression])?;
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines: Vec<&str> = talk.lines().collect();
        let [message, text, mark] = lines[..] else { return Err(format!("{expression}: {talk}").into()) };
        if !message.starts_with("tcpdump: ") || output.status.code() != Some(1) {
            return Err(format!("{expression}: {:?} {talk}", output.status).into());
        }
        let (from, width) = (mark.find('^').unwrap_or(0), mark.matches('^').count());
        let marked = text.get(from..(from + width).min(text.len())).unwrap_or_default();
        same(expression, word, marked)?;
    }
    Ok(())
}

/// Long, deep and broken expressions come to an end with an answer.
fn hostile() -> Result<(), Stop> {
    let deep = format!("{}ip{}", "(".repeat(20_000), ")".repeat(20_000));
    let nots = format!("{}ip", "not ".repeat(20_000));
    let wide = vec!["port 1"; 2_000].join(" or ");
    let hosts = (0..3_000).map(|n| format!("host 10.0.{}.{}", n / 250, n % 250)).collect::<Vec<_>>().join(" or ");
    let sum = format!("{} = 5", vec!["ip[0]"; 4_000].join(" + "));
    let powers = format!("{} = 5", vec!["1"; 4_000].join(" ^ "));
    for (what, expression, accepted) in [
        ("parentheses", &deep, None),
        ("negations", &nots, Some(true)),
        ("one port again and again", &wide, Some(true)),
        ("hosts", &hosts, Some(true)),
        ("a long sum", &sum, None),
        ("a long chain to the right", &powers, None),
        ("control characters", &"ip \u{1}\u{7f} \u{e9}\u{4e2d}".to_owned(), Some(false)),
        ("half an address", &"host 1:2:3:".to_owned(), Some(false)),
    ] {
        let directory = TempDir::new("filter")?;
        let file = written(&directory, "expression", expression.as_bytes())?;
        let output = run(&mut ours(), &["-y", "EN10MB", "-d", "-F", &file.to_string_lossy()])?;
        let code = output.status.code();
        if !matches!(code, Some(0 | 1)) || accepted.is_some_and(|accepted| accepted != output.status.success()) {
            let talk = String::from_utf8_lossy(&output.stderr).chars().take(300).collect::<String>();
            return Err(format!("{what}: {:?} {talk}", output.status).into());
        }
    }
    Ok(())
}
