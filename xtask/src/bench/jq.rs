//! `cargo xtask bench jq`: jq-lite against Debian's jq, and against jaq where it is
//! installed, on a file of pod-like JSON lines and on one large document, both made here from a fixed seed.
//!
//! Runs alternate; the ratio is that of the medians. Peak memory is the kernel's high-water mark of the resident set, read
//! while the process runs. Before a row is timed, both outputs are compared. Nothing here fails because of a figure.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{at, command, find, shown};
use crate::workspace::root;

/// Bytes of the file of lines and of the single document.
const LINES: usize = 100_000_000;
const DOCUMENT: usize = 50_000_000;
const RUNS: usize = 3;
/// Wall time wanted, netkit to jq.
const GOAL: f64 = 0.5;

/// What is measured: title, whether on the lines (else the document), arguments.
const ROWS: &[(&str, bool, &[&str])] = &[
    (".", true, &["."]),
    ("-c .", true, &["-c", "."]),
    ("select, lines", true, &["-c", "select(.status.phase==\"Running\")|.metadata.name"]),
    ("object, lines", true, &["-c", "{name:.metadata.name,ns:.metadata.namespace,ip:.status.podIP}"]),
    ("-c . (document)", false, &["-c", "."]),
    (".items[]|select", false, &["-c", ".items[]|select(.status.phase==\"Running\")|.metadata.name"]),
    ("group_by", false, &["-c", ".items|group_by(.metadata.namespace)|map({ns:.[0].metadata.namespace,n:length})"]),
    ("map", false, &["-c", ".items|map(.status.restarts)|add"]),
    ("map, update", false, &["-c", ".items|map(.status.restarts+=1)|length"]),
    ("--stream", false, &["-c", "--stream", "select(length==2)|.[1]|strings|select(startswith(\"web-1\"))"]),
];

/// Every row on this binary.
pub(crate) fn rows(netkit: &Path) -> Result<()> {
    let Some(jq) = find("jq") else {
        println!("skipped: `jq`, the peer, is not installed (Debian package jq)");
        return Ok(());
    };
    let jaq = find("jaq");
    if jaq.is_none() {
        println!("skipped: the rows against `jaq`, which is not installed");
    }
    let dir = Folder::new()?;
    let (lines, document) = (dir.0.join("lines.json"), dir.0.join("document.json"));
    generate(&lines, LINES, false)?;
    generate(&document, DOCUMENT, true)?;
    println!("jq-lite: {LINES} bytes of lines, a document of {DOCUMENT} bytes; {RUNS} runs each, medians\n");
    for (title, on_lines, words) in ROWS {
        let file = if *on_lines { &lines } else { &document };
        let contender = |name, program: &Path, applet: &[&str]| Contender {
            name,
            program: program.to_owned(),
            words: applet.iter().chain(*words).map(|word| (*word).to_owned()).collect(),
            file: file.clone(),
        };
        let ours = contender("netkit jq", netkit, &["jq-lite"]);
        let mut others = vec![contender("jq", &jq, &[])];
        // jaq has no --stream.
        others.extend(jaq.as_ref().filter(|_| !words.contains(&"--stream")).map(|jaq| contender("jaq", jaq, &[])));
        let first = others.first().ok_or("no peer")?;
        if ours.checksum()? != first.checksum()? {
            return Err(format!("`{title}`: netkit and jq print different things"));
        }
        race(title, &ours, &others)?;
    }
    Ok(())
}

struct Contender {
    name: &'static str,
    program: PathBuf,
    words: Vec<String>,
    file: PathBuf,
}

impl Contender {
    fn command(&self) -> std::process::Command {
        let mut command = command(&self.program);
        command.args(&self.words).arg(&self.file).env("HOME", "/nonexistent").stdin(Stdio::null());
        command
    }

    /// Wall time of a run and its peak memory in KiB.
    fn run(&self) -> Result<(Duration, u64)> {
        let mut command = self.command();
        command.stdout(Stdio::null());
        let started = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("cannot run {}: {error}", shown(&command)))?;
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        let mut peak = 0;
        loop {
            peak = fs::read_to_string(&status).ok().and_then(|text| high_water(&text)).unwrap_or(0).max(peak);
            if let Some(end) = child.try_wait().map_err(|error| format!("waiting for {}: {error}", self.name))? {
                let elapsed = started.elapsed();
                return if end.success() { Ok((elapsed, peak)) } else { Err(format!("{} failed ({end})", self.name)) };
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Length and a hash of what it prints, which is too long to keep.
    fn checksum(&self) -> Result<(u64, u64)> {
        use std::hash::Hasher as _;
        use std::io::Read as _;
        let mut command = self.command();
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", shown(&command)))?;
        let mut out = child.stdout.take().ok_or("no pipe")?;
        let mut hash = std::hash::DefaultHasher::new();
        let mut buffer = vec![0; 1 << 16];
        let mut length = 0;
        loop {
            let count = out.read(&mut buffer).map_err(|error| format!("reading from {}: {error}", self.name))?;
            if count == 0 {
                break;
            }
            length += count as u64;
            // Byte by byte, so that how the pipe cut it does not matter.
            buffer.iter().take(count).for_each(|byte| hash.write_u8(*byte));
        }
        let status = child.wait().map_err(|error| format!("waiting for {}: {error}", self.name))?;
        if status.success() { Ok((length, hash.finish())) } else { Err(format!("{} failed ({status})", self.name)) }
    }
}

/// `VmHWM` of /proc/PID/status (proc_pid_status(5)), in KiB.
fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn race(title: &str, ours: &Contender, others: &[Contender]) -> Result<()> {
    let mut figures: Vec<(Vec<Duration>, u64)> = vec![(Vec::new(), 0); others.len() + 1];
    for _ in 0..RUNS {
        for (contender, (times, peak)) in std::iter::once(ours).chain(others).zip(&mut figures) {
            let (time, memory) = contender.run()?;
            times.push(time);
            *peak = (*peak).max(memory);
        }
    }
    let medians: Vec<(f64, u64)> = figures
        .iter_mut()
        .map(|(times, peak)| {
            times.sort_unstable();
            (times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64), *peak)
        })
        .collect();
    let Some((own, rest)) = medians.split_first() else { return Ok(()) };
    let mut line = format!("{title:<18} {:>6.2} s {:>7} KiB", own.0, own.1);
    for (other, (time, peak)) in others.iter().zip(rest) {
        let ratio = own.0 / time;
        let goal = if other.name == "jq" { GOAL } else { 1.0 };
        let verdict = if ratio <= goal { "PASS" } else { "MISS" };
        let memory = if own.1 <= *peak { "" } else { " MORE MEMORY" };
        let _ = write!(line, "  {} {time:>6.2} s {peak:>7} KiB: {ratio:.2} {verdict}{memory}", other.name);
    }
    println!("{line}");
    Ok(())
}

/// Writes pods until there are `size` bytes: one a line, or all as the items of one list.
fn generate(path: &Path, size: usize, document: bool) -> Result<()> {
    let mut file = BufWriter::new(File::create(path).map_err(at("create", path))?);
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut write = |text: &str| file.write_all(text.as_bytes()).map_err(at("write", path));
    let mut written = 0;
    if document {
        write("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[")?;
    }
    for number in 0.. {
        if written >= size {
            break;
        }
        let pod = pod(number, &mut random);
        if document {
            write(if number > 0 { ", " } else { "" })?;
            write(&pod)?;
        } else {
            write(&pod)?;
            write("\n")?;
        }
        written += pod.len() + 2;
    }
    if document {
        write("]}\n")?;
    }
    file.flush().map_err(at("write", path))
}

/// xorshift64*, so that every run measures the same bytes.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 31) % below.max(1)
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let at = self.next(choices.len() as u64) as usize;
        choices.get(at).copied().unwrap_or_default()
    }
}

fn pod(number: usize, random: &mut Random) -> String {
    let namespace = random.of(&["default", "kube-system", "shop", "monitoring", "ingress"]);
    let phase = random.of(&["Running", "Running", "Pending", "Failed", "Succeeded"]);
    let mut containers = String::new();
    for index in 0..=number % 3 {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(
            containers,
            "{comma}{{\"name\":\"c{index}\",\"image\":\"registry.local/team/app-{0}:v1.{1}\",\"ports\":[{{\"containerPort\":\
             {2},\"protocol\":\"TCP\"}}],\"resources\":{{\"requests\":{{\"cpu\":\"100m\",\"memory\":\"128Mi\"}}}},\
             \"args\":[\"--listen=0.0.0.0:8080\",\"--log=\\\"json\\\"\",\"-v\"]}}",
            number % 97,
            number % 13,
            8080 + index
        );
    }
    let conditions = ["Initialized", "Ready", "PodScheduled"].map(|kind| {
        let status = random.of(&["True", "False"]);
        format!("{{\"type\":\"{kind}\",\"status\":\"{status}\",\"lastTransitionTime\":\"2026-11-20T10:00:00Z\"}}")
    });
    format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"web-{number}-{:05x}\",\"namespace\":\
         \"{namespace}\",\"uid\":\"{:08x}-{:04x}-{:012x}\",\"labels\":{{\"app\":\"app-{}\",\"tier\":\"{}\"}},\
         \"resourceVersion\":\"{}\"}},\"spec\":{{\"nodeName\":\"node-{}\",\"containers\":[{containers}],\"priority\":{}}},\
         \"status\":{{\"phase\":\"{phase}\",\"podIP\":\"10.{}.{}.{}\",\"conditions\":[{}],\"restarts\":{},\"load\":{}.{},\
         \"ready\":{},\"message\":null}}}}",
        random.next(1 << 20),
        random.next(1 << 32),
        random.next(1 << 16),
        random.next(1 << 32),
        number % 97,
        random.of(&["front", "back"]),
        random.next(100_000_000),
        number % 31,
        number % 5,
        number % 256,
        number / 256 % 256,
        number % 251,
        conditions.join(","),
        random.next(100),
        random.next(4),
        1 + random.next(9),
        !number.is_multiple_of(3)
    )
}

/// The bench's folder below target/, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let path = root().join("target").join(format!("bench-jq-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(at("create", &path))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_json_and_always_the_same() {
        let (mut one, mut other) = (Random(1), Random(1));
        for number in 0..50 {
            let text = pod(number, &mut one);
            assert_eq!(text, pod(number, &mut other));
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(value["status"]["restarts"].as_u64().unwrap() < 100);
        }
    }

    #[test]
    fn the_high_water_mark() {
        assert_eq!(high_water("VmPeak:\t 9 kB\nVmHWM:\t    1234 kB\n"), Some(1234));
        assert_eq!(high_water("Name: x\n"), None);
    }
}
