//! `host` and `nslookup` against Debian's: every command line below runs with both programs in the lab, and standard
//! output, the message on standard error and the exit status are compared after masking ids, times and versions.
//!
//! One case a line: the variant of `/etc/resolv.conf`, the program, its arguments; what follows `<` is typed on standard
//! input, commands apart by `;`. `%` stands for an empty argument and `~` for a blank inside one. After a `!` both sides
//! must differ: the peer drops a whole message for one bad record, or shows nothing of one that is cut off.
//!
//! Some cases, with both sides of each that differs: `NETKIT_DIFF=-debug cargo test --test e2e -- host_nslookup::cases`

use std::io::Write;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::hierarchy::Lab;
use crate::lab::{self, Stop, same, trial};

const CASES: &str = include_str!("golden/host_nslookup/cases.txt");
/// How many cases there must be at least.
const LEAST: usize = 200;
/// How long one command may run.
const LIMIT: Duration = Duration::from_secs(300);
/// How many cases run at once: most of the time is spent waiting for servers that never answer.
const WORKERS: usize = 6;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("host_nslookup::masks_hide_only_what_they_name", masks),
        trial("host_nslookup::cases", differential),
        trial("host_nslookup::json", json),
        trial("host_nslookup::bad_records_hide_nothing", bad_records),
        trial("host_nslookup::refused_by_name", refused),
        trial("host_nslookup::another_namespace", another_namespace),
    ]
}

#[derive(Debug)]
struct Case<'a> {
    line: &'a str,
    resolv: &'a str,
    program: &'a str,
    arguments: Vec<String>,
    input: Option<String>,
    /// The peer rejects the message, we show what can be read of it.
    differs: bool,
}

fn cases() -> Result<Vec<Case<'static>>, Stop> {
    let lines = CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(case).collect()
}

fn case(line: &str) -> Result<Case<'_>, Stop> {
    let (differs, command) = line.strip_prefix('!').map_or((false, line), |command| (true, command));
    let (command, input) = match command.split_once(" <") {
        Some((command, input)) => (command, Some(input.split(';').map(|typed| format!("{typed}\n")).collect())),
        None => (command, None),
    };
    let mut words = command.split(' ');
    let (Some(resolv), Some(program)) = (words.next(), words.next()) else {
        return Err(Stop::Fail(format!("not a case: {line}")));
    };
    let argument = |word: &str| if word == "%" { String::new() } else { word.replace('~', " ") };
    Ok(Case { line, resolv, program, arguments: words.map(argument).collect(), input, differs })
}

fn run(lab: &Lab, side: &str, case: &Case<'_>) -> Result<Output, Stop> {
    let program = lab.dir().join(side).join(case.program);
    let mut command = lab.command(case.resolv, program);
    command.args(&case.arguments);
    let stdin = match &case.input {
        None => Stdio::null(),
        Some(text) => {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            let path = lab.dir().join(format!("typed-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
            std::fs::File::create(&path)?.write_all(text.as_bytes())?;
            Stdio::from(std::fs::File::open(&path)?)
        }
    };
    lab::run_with(&mut command, stdin, LIMIT)
}

fn differential() -> Result<(), Stop> {
    let lab = lab_with_links()?;
    let filter = std::env::var("NETKIT_DIFF").unwrap_or_default();
    let cases = cases()?;
    if cases.len() < LEAST {
        return Err(Stop::Fail(format!("{} cases, at least {LEAST} are wanted", cases.len())));
    }
    let chosen: Vec<&Case<'_>> = cases.iter().filter(|case| case.line.contains(&filter)).collect();
    let (next, differing) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> Result<(), Stop> {
        while let Some(case) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (left, right) = (shown(case, &run(&lab, "left", case)?), shown(case, &run(&lab, "right", case)?));
            if (left != right) != case.differs || (case.differs && !left.contains(";; Got bad packet: ")) {
                let text = format!("{}\n--- peer\n{left}\n--- netkit\n{right}", case.line);
                differing.lock().map_err(|_| "a worker died")?.push(text);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| Stop::from("a worker died"))?)
    })?;
    let differing = differing.into_inner().map_err(|_| "a worker died")?;
    if differing.is_empty() {
        return Ok(());
    }
    let (count, total) = (differing.len(), cases.len());
    Err(Stop::Fail(format!("{count} of {total} cases differ:\n{}", differing.join("\n\n"))))
}

/// The lab with both programs of both sides under the same names.
fn lab_with_links() -> Result<Lab, Stop> {
    let peers: [(&str, PathBuf); 2] =
        [("host", lab::tool("host", "bind9-host")?), ("nslookup", lab::tool("nslookup", "bind9-dnsutils")?)];
    let lab = Lab::hierarchy()?;
    for (name, peer) in &peers {
        lab.link("left", name, peer)?;
        lab.link("right", name, &lab::netkit())?;
    }
    Ok(lab)
}

fn shown(case: &Case<'_>, output: &Output) -> String {
    let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(mask).collect();
    // The servers that -C asks reply in any order, and the first to do so is announced.
    if case.arguments.iter().any(|argument| argument == "-C") {
        lines.retain(|line| !line.starts_with("Name: ") && !line.starts_with("Address: "));
        lines.sort();
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    // Each program's own usage text follows the message.
    let usage = |line: &&str| {
        let line = line.to_ascii_lowercase();
        line.starts_with("usage:") || line.starts_with("   ")
    };
    let errors: Vec<String> = errors.lines().filter(|line| !usage(line)).map(mask).collect();
    format!("{}\nstderr: {}\nstatus: {:?}", lines.join("\n"), errors.join("\n"), output.status.code())
}

/// Hides message ids, elapsed time and the version.
fn mask(line: &str) -> String {
    if let Some((before, _)) = line.split_once(", id: ") {
        return format!("{before}, id: N");
    }
    if let (true, Some((before, _))) = (line.starts_with("Received "), line.rsplit_once(" in ")) {
        return format!("{before} in N ms");
    }
    // An id that does not match is random on both sides.
    if let Some((before, _)) = line.split_once("ID mismatch: expected ID ") {
        return format!("{before}ID mismatch");
    }
    for program in ["host 9.", "nslookup 9."] {
        if line.starts_with(program) {
            return program.to_owned();
        }
    }
    // The peer calls itself as it was called, with the directory.
    match line.split_once("/left/") {
        Some((directory, rest)) if directory.starts_with('/') => rest.to_owned(),
        _ => line.to_owned(),
    }
}

fn masks() -> Result<(), Stop> {
    for (line, masked) in [
        (
            ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 17",
            ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: N",
        ),
        ("Received 22 bytes from 127.0.0.1#53 in 4 ms", "Received 22 bytes from 127.0.0.1#53 in N ms"),
        ("/tmp/lab/left/host: only one", "host: only one"),
        ("host 9.18.49-1~deb12u3-Debian", "host 9."),
        ("www.zone.example has address 192.0.2.10", "www.zone.example has address 192.0.2.10"),
        ("a.example\ttext = \"seen in 4 ms\"", "a.example\ttext = \"seen in 4 ms\""),
    ] {
        same("masked", &mask(line), masked)?;
    }
    Ok(())
}

/// Runs our side of a case and returns its streams and status.
fn ours(lab: &Lab, line: &str) -> Result<(String, String, Option<i32>), Stop> {
    let output = run(lab, "right", &case(line)?)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&output.stdout), text(&output.stderr), output.status.code()))
}

fn json() -> Result<(), Stop> {
    let lab = lab_with_links()?;
    for (line, schema, types) in [
        ("default host --json www", "host/1", &["A", "AAAA", "MX"][..]),
        ("default host --json -C pair.example 127.0.0.30", "host/1", &["SOA", "SOA"]),
        ("default nslookup --json www", "nslookup/1", &["A", "AAAA"]),
        ("default nslookup --json <set type=mx;zone.example;192.0.2.10;exit", "nslookup/1", &["MX", "PTR"]),
        ("broken host --json www.example", "host/1", &["A"]),
    ] {
        let (out, err, _) = ours(&lab, line)?;
        same(&format!("{line}: stderr"), &err, "")?;
        let mut seen = Vec::new();
        for object in out.lines() {
            let object: serde_json::Value =
                serde_json::from_str(object).map_err(|error| format!("{line}: {error}: {object}"))?;
            let text = |key: &str| object.get(key).and_then(|value| value.as_str()).unwrap_or_default();
            same(line, text("schema"), schema)?;
            seen.push(text("QTYPEname").to_owned());
        }
        same(line, &seen.join(" "), &types.join(" "))?;
    }
    let (out, _, status) = ours(&lab, "broken host --json www.example")?;
    same("status", &format!("{status:?}"), "Some(1)")?;
    if out.contains("\"error\":\"no servers could be reached\"") { Ok(()) } else { Err(out.into()) }
}

/// The rogue server's reply holds one record too short for its type between two good ones.
fn bad_records() -> Result<(), Stop> {
    let lab = lab_with_links()?;
    for (line, good, bad) in [
        ("default host -t a goodthenbad.rogue 127.0.0.66", "has address 192.0.2.66\n", "has TYPE"),
        ("default nslookup -type=a goodthenbad.rogue 127.0.0.66", "Address: 192.0.2.66\n", "\tTYPE"),
    ] {
        let (out, err, status) = ours(&lab, line)?;
        let warned = err.starts_with(";; WARNING: malformed ") && err.lines().count() == 1;
        if !out.contains(good) || !out.contains(bad) || !out.contains("\\# ") || !warned || status != Some(0) {
            return Err(Stop::Fail(format!("{line}: {status:?}\n{out}\nstderr: {err}")));
        }
    }
    Ok(())
}

fn refused() -> Result<(), Stop> {
    let lab = lab_with_links()?;
    for (line, sentence) in [
        ("default host -m trace www", "host: -m traces the memory of BIND, which is not in here\n"),
        ("default host -D www", "host: -D traces the event loop of BIND, which is not in here\n"),
        ("default nslookup -d2 www", "nslookup: d2 traces the event loop of BIND, which is not in here\n"),
    ] {
        let (out, err, status) = ours(&lab, line)?;
        same(line, &format!("{out}{err}{status:?}"), &format!("{sentence}Some(2)"))?;
    }
    let (_, err, status) = ours(&lab, "default nslookup <set d2;exit")?;
    same(
        "set d2",
        &format!("{err}{status:?}"),
        "nslookup: d2 traces the event loop of BIND, which is not in here\nSome(1)",
    )
}

/// From outside the lab, with its network namespace and its files, the lab's servers answer.
fn another_namespace() -> Result<(), Stop> {
    let lab = lab_with_links()?;
    let mut inside = lab.command("default", "sleep");
    let mut inside = inside.arg("60").stdin(Stdio::null()).spawn()?;
    let pid = inside.id().to_string();
    let outcome = from_outside(&lab, &pid);
    inside.kill()?;
    inside.wait()?;
    outcome
}

fn from_outside(lab: &Lab, pid: &str) -> Result<(), Stop> {
    // The process has entered the lab when it has become the program that stays in it.
    let comm = PathBuf::from(format!("/proc/{pid}/comm"));
    let deadline = std::time::Instant::now() + LIMIT;
    while std::fs::read_to_string(&comm)?.trim() != "sleep" {
        if std::time::Instant::now() > deadline {
            return Err("the process does not enter the lab".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    for program in ["host", "nslookup"] {
        let link = lab.dir().join("right").join(program);
        let mut command = std::process::Command::new(link);
        command.args(["--netns", pid, "--from-pid", pid, "host-a"]);
        let output = lab::run(&mut command, LIMIT)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !text.contains("10.1.2.3") {
            return Err(Stop::Fail(format!("{program}: {text}{}", String::from_utf8_lossy(&output.stderr))));
        }
    }
    Ok(())
}
