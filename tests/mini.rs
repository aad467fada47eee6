//! The companions of the shell against Debian's tools and busybox: the same script in three fresh directories, where the
//! commands are links to one or the other, and then stdout, exit status and whether anything was said on stderr must be
//! those of one of the two.
//!
//! `NETKIT_DIFF=PATTERN` shows the three outcomes of the scripts that contain it.

#![allow(clippy::print_stderr, clippy::indexing_slicing, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{Stop, TempDir, netkit, run, same, tool, trial};

const CASES: &str = include_str!("mini/cases.txt");
const LIMIT: Duration = Duration::from_secs(120);
const WORKERS: usize = 4;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("mini::scripts_do_what_they_do_with_the_peers", differential),
        trial("mini::archives_stay_below_their_directory", escapes),
    ]
}

struct Outcome {
    stdout: Vec<u8>,
    status: Option<i32>,
    stderr: String,
}

/// What the commands of a script are.
struct Tools {
    dash: std::path::PathBuf,
    peers: [(&'static str, String); 3],
}

fn outcome(tools: &Tools, path: &str, script: &str) -> Result<Outcome, Stop> {
    let dir = TempDir::new("mini")?;
    let mut command = Command::new(&tools.dash);
    command.args(["-c", script]).current_dir(&dir.0).stdin(Stdio::null());
    command.env_clear().env("PATH", path).env("HOME", "/root").env("LC_ALL", "C").env("TZ", "UTC");
    let output = run(&mut command, LIMIT)?;
    Ok(Outcome {
        stdout: output.stdout,
        status: output.status.code(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A directory with a link for each name; the shell and what only looks at output are Debian's.
fn links(dir: &Path, program: &Path, names: &str, dash: &Path) -> Result<(), Stop> {
    for name in names.split_whitespace() {
        let _ = symlink(program, dir.join(name));
    }
    for (name, target) in [
        ("sh", dash.to_owned()),
        ("od", tool("od", "coreutils")?),
        ("awk", tool("awk", "mawk")?),
        ("cmp", tool("cmp", "diffutils")?),
    ] {
        let _ = std::fs::remove_file(dir.join(name));
        symlink(target, dir.join(name))?;
    }
    Ok(())
}

fn differential() -> Result<(), Stop> {
    let (dash, busybox) = (tool("dash", "dash")?, tool("busybox", "busybox-static")?);
    for (name, package) in [("xxd", "xxd"), ("pgrep", "procps"), ("gzip", "gzip"), ("less", "less")] {
        tool(name, package)?;
    }
    let (own, other) = (TempDir::new("mini-own")?, TempDir::new("mini-busybox")?);
    let listed = run(Command::new(netkit()).arg("--list"), LIMIT)?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let shell = listed.split("shell:\n").nth(1).unwrap_or_default();
    let names: Vec<String> =
        shell.lines().map(|line| line.split("  ").nth(1).unwrap_or_default().replace(',', " ")).collect();
    links(&own.0, &netkit(), &names.join(" "), &dash)?;
    let listed = run(Command::new(&busybox).arg("--list"), LIMIT)?;
    links(&other.0, &busybox, &String::from_utf8_lossy(&listed.stdout), &dash)?;
    let tools = Tools {
        dash,
        peers: [
            ("debian", "/usr/bin:/bin:/usr/sbin:/sbin".to_owned()),
            ("busybox", other.0.display().to_string()),
            ("netkit", own.0.display().to_string()),
        ],
    };
    let cases: Vec<&str> = CASES.split("\n---\n").map(|case| case.trim_matches('\n')).collect();
    let next = AtomicUsize::new(0);
    let report = Mutex::new((String::new(), 0));
    let failed: Mutex<Option<Stop>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match compare(case, &tools) {
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
    eprintln!("companions: {} of {} scripts as with Debian's tools or busybox", cases.len() - count, cases.len());
    if count > 0 { Err(text.into()) } else { Ok(()) }
}

fn compare(case: &str, tools: &Tools) -> Result<Option<String>, Stop> {
    let mut outcomes = Vec::new();
    for (name, path) in &tools.peers {
        outcomes.push((*name, outcome(tools, path, case)?));
    }
    let own = &outcomes[2].1;
    let fits = outcomes[..2].iter().any(|(_, peer)| {
        peer.stdout == own.stdout && peer.status == own.status && peer.stderr.is_empty() == own.stderr.is_empty()
    });
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

/// A header of a member without content.
fn header(name: &str, kind: u8, link: &str, size: usize) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[148..156].copy_from_slice(b"        ");
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..265].copy_from_slice(b"ustar  \0");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn escapes() -> Result<(), Stop> {
    let dir = TempDir::new("mini")?;
    let inside = dir.0.join("inside");
    let outside = dir.0.join("outside");
    std::fs::create_dir(&inside)?;
    std::fs::create_dir(&outside)?;
    let mut archive = Vec::new();
    let mut content = b"bad".to_vec();
    content.resize(512, 0);
    // A name that goes up, a file behind a link that goes up, one behind an absolute link, a hard link that goes up.
    archive.extend(header("../outside/a", b'0', "", 3));
    archive.extend(&content);
    archive.extend(header("up", b'2', "../outside", 0));
    archive.extend(header("up/b", b'0', "", 3));
    archive.extend(&content);
    archive.extend(header("root", b'2', outside.to_str().unwrap_or_default(), 0));
    archive.extend(header("root/c", b'0', "", 3));
    archive.extend(&content);
    archive.extend(header("hard", b'1', "../outside/d", 0));
    archive.extend(header("/absolute", b'0', "", 3));
    archive.extend(&content);
    archive.extend([0; 1024]);
    std::fs::write(outside.join("d"), "secret")?;
    let file = dir.0.join("archive");
    std::fs::write(&file, archive)?;
    let output = run(Command::new(netkit()).args(["tar", "xf"]).arg(&file).arg("-C").arg(&inside), LIMIT)?;
    let mut names: Vec<String> =
        std::fs::read_dir(&outside)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    same("what is outside", "d", &names.join(" "))?;
    same("status", "Some(2)", &format!("{:?}", output.status.code()))?;
    same("the absolute name", "true", &inside.join("absolute").is_file().to_string())
}
