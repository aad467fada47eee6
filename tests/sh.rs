//! The shell against Debian's dash and busybox ash: the same script in three fresh directories, and then stdout, exit
//! status and whether anything was said on stderr must be those of one of the two.
//!
//! `NETKIT_DIFF=PATTERN` shows the three outcomes of the scripts that contain it.

#![allow(clippy::print_stderr, clippy::indexing_slicing, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{Stop, TempDir, netkit, run, run_with, same, tool, trial};

const CASES: &str = include_str!("sh/cases.txt");
const LIMIT: Duration = Duration::from_secs(120);
const WORKERS: usize = 4;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("sh::scripts_do_what_they_do_in_dash_or_ash", differential),
        trial("sh::stdin_is_shared_with_its_commands", stdin_is_shared),
        trial("sh::what_bash_users_type", beyond_posix),
        trial("sh::applets_come_before_path", applets_first),
        trial("sh::hostile_scripts_end", hostile),
    ]
}

#[derive(PartialEq, Eq)]
struct Outcome {
    stdout: Vec<u8>,
    status: Option<i32>,
    talked: bool,
    stderr: String,
}

fn outcome(program: &Path, script: &str) -> Result<Outcome, Stop> {
    let dir = TempDir::new("sh")?;
    let mut command = Command::new(program);
    command.arg0("sh").args(["-c", script]).current_dir(&dir.0).stdin(Stdio::null());
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/root");
    let output = run(&mut command, LIMIT)?;
    Ok(Outcome {
        stdout: output.stdout,
        status: output.status.code(),
        talked: !output.stderr.is_empty(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn differential() -> Result<(), Stop> {
    let (dash, busybox) = (tool("dash", "dash")?, tool("busybox", "busybox-static")?);
    let cases: Vec<&str> = CASES.split("\n---\n").map(|case| case.trim_matches('\n')).collect();
    let next = AtomicUsize::new(0);
    let report = Mutex::new((String::new(), 0));
    let failed: Mutex<Option<Stop>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match compare(case, &dash, &busybox) {
                        Ok(None) => {}
                        Ok(Some(text)) => {
                            let mut report = report.lock().unwrap();
                            report.0.push_str(&text);
                            report.1 += 1;
                        }
                        Err(stop) => *failed.lock().unwrap() = Some(stop),
                    }
                }
            });
        }
    });
    if let Some(stop) = failed.into_inner().unwrap() {
        return Err(stop);
    }
    let (text, count) = report.into_inner().unwrap();
    eprintln!("shell: {} of {} scripts as in dash or ash", cases.len() - count, cases.len());
    if count > 0 { Err(text.into()) } else { Ok(()) }
}

fn compare(case: &str, dash: &Path, busybox: &Path) -> Result<Option<String>, Stop> {
    let shells: [(&str, PathBuf); 3] = [("dash", dash.to_owned()), ("ash", busybox.to_owned()), ("netkit", netkit())];
    let mut outcomes = Vec::new();
    for (name, program) in &shells {
        outcomes.push((*name, outcome(program, case)?));
    }
    let own = &outcomes[2].1;
    let fits = outcomes[..2].iter().any(|(_, peer)| peer.stdout == own.stdout && peer.status == own.status)
        && outcomes[..2].iter().any(|(_, peer)| peer.talked == own.talked);
    let shown = std::env::var("NETKIT_DIFF").is_ok_and(|pattern| case.contains(&pattern));
    let mut text = String::new();
    if !fits || shown {
        writeln!(text, "script: {case}").unwrap();
        for (name, outcome) in &outcomes {
            let stdout = String::from_utf8_lossy(&outcome.stdout);
            writeln!(text, "  {name}: {:?} stdout {stdout:?} stderr {:?}", outcome.status, outcome.stderr).unwrap();
        }
    }
    if shown {
        eprintln!("{text}");
    }
    Ok((!fits).then_some(text))
}

fn own(script: &str) -> Result<(String, Option<i32>), Stop> {
    let outcome = outcome(&netkit(), script)?;
    Ok((String::from_utf8_lossy(&outcome.stdout).into_owned() + &outcome.stderr, outcome.status))
}

fn stdin_is_shared() -> Result<(), Stop> {
    let dir = TempDir::new("sh")?;
    let path = dir.0.join("script");
    let mut file = std::fs::File::create(&path)?;
    file.write_all(b"read x; echo \"got $x\"\ndata line\nhead -c 4\nabcdecho after\n")?;
    let mut command = Command::new(netkit());
    command.arg("sh");
    let output = run_with(&mut command, Stdio::from(std::fs::File::open(&path)?), LIMIT)?;
    same("stdout", "got data line\nabcdafter\n", &String::from_utf8_lossy(&output.stdout))
}

fn beyond_posix() -> Result<(), Stop> {
    for (script, expected) in [
        ("cat <<< \"here $((1+1))\"", "here 2\n"),
        ("echo a &> f; cat f", "a\n"),
        ("x=abcdef; echo ${x:2:3} ${x: -2} ${x/cd/X} ${x//[ac]/-}", "cde ef abXef -b-def\n"),
        ("[[ abc == a* && ! x = y ]] && echo yes", "yes\n"),
        ("echo $'a\\tb\\x41'", "a\tbA\n"),
        ("set -o pipefail; false | true; echo $?", "1\n"),
        ("let x=2*3 y=x+1; echo $x $y", "6 7\n"),
        ("echo $LINENO\necho $LINENO", "1\n2\n"),
        ("function f { echo f; }; f", "f\n"),
        ("echo 'source me' >s; echo 'echo $1' >t; source ./t x", "\n"),
        ("[[ a =~ b ]]; echo $?", "2\nsh: 1: [[: =~ is not offered; use case or grep -E\n"),
    ] {
        same(script, expected, &own(script)?.0)?;
    }
    Ok(())
}

fn applets_first() -> Result<(), Stop> {
    // No PATH, no links: the applets of the binary are there all the same.
    for (script, expected) in [
        ("PATH=; netkit_jq=1; echo '{\"a\":1}' | jq -c .a", "1\n"),
        ("PATH=/nonexistent; command -v jq; type jq", "jq\njq is a netkit applet\n"),
        ("jq() { echo function; }; jq", "function\n"),
        ("PATH=/nonexistent; exec jq -n 1+1", "2\n"),
        ("PATH=/nonexistent; x=$(jq -n 2); echo $x | jq .+1", "3\n"),
    ] {
        same(script, expected, &own(script)?.0)?;
    }
    Ok(())
}

/// Scripts that nest, grow or loop without end stop with a message and a status, not with a crash.
fn hostile() -> Result<(), Stop> {
    let deep = [
        "(".repeat(100_000),
        "$(".repeat(100_000),
        "${x:-".repeat(100_000),
        "if ".repeat(100_000),
        "echo $((".to_owned() + &"(".repeat(100_000),
        "`".repeat(99_999),
        "{ ".repeat(100_000),
        "case x in x) ".repeat(50_000),
        "[[ ".to_owned() + &"! ".repeat(100_000) + "x ]]",
        "[ ".to_owned() + &"! ".repeat(100_000) + "x -a y ]",
        "f() { f; }; f".to_owned(),
        "eval() { command eval \"$@\"; }; f() { eval f; }; f".to_owned(),
        "eval ".repeat(1_200) + "echo",
        "alias a='a b a '; alias b='a b'\na a a a".to_owned(),
        "x=$(yes | head -c 300000000); echo ${#x}".to_owned(),
    ];
    for script in deep {
        // As a file: an argument this long would not pass execve(2).
        let dir = TempDir::new("sh")?;
        let path = dir.0.join("script");
        std::fs::write(&path, &script)?;
        let mut command = Command::new(netkit());
        let output = run(command.arg("sh").arg(&path).current_dir(&dir.0).stdin(Stdio::null()), LIMIT)?;
        let start = script.get(..30).unwrap_or(&script);
        if output.status.code().is_none_or(|status| status == 0) || output.stderr.is_empty() {
            return Err(format!("{start}: {:?} {}", output.status, String::from_utf8_lossy(&output.stderr)).into());
        }
    }
    Ok(())
}
