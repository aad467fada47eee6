//! The differential run of nc and ncat: every scenario of `golden/nc/cases.txt` is played twice, with Debian's programs
//! and with ours, each play in namespaces of its own. Compared are what every program printed, how it ended, what the
//! other side received, who closed first, and the TTL, TOS and source of each connection.
//!
//! All of it:        `cargo test --test e2e -- nc_diff`
//! Some scenarios, with a unified diff of each that differs (left: Debian's, right: ours):
//!                   `NETKIT_DIFF=proxy cargo test --test e2e -- nc_diff::cases`
//!                   `NETKIT_DIFF=` (empty) shows all that differ and are not in the reviewed list.
//! What Debian's programs do in some scenarios, also when nothing differs: the same with `NETKIT_SHOW=1` beside it.
//! The harness itself, Debian's programs on both sides, which must be 100 %:
//!                   `NETKIT_PEERS=1 NETKIT_DIFF= cargo test --test e2e -- nc_diff::cases`
//!
//! `golden/nc/known_differences.txt` lists what differs on purpose, with the reason. A listed scenario that no longer
//! differs fails as well, so the list cannot rot. How scenarios are written stands in [`case`].

mod case;
pub mod endpoint;
mod mask;
pub mod stage;
mod wire;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{self, Skip, Stop, TempDir, trial};
use case::Case;

const CASES: &str = include_str!("golden/nc/cases.txt");
const KNOWN: &str = include_str!("golden/nc/known_differences.txt");
/// How many plays run at once: most of their time is waiting.
const WORKERS: usize = 6;
/// How long one play may take.
const LIMIT: Duration = Duration::from_secs(240);
/// How many scenarios the run must have at least.
const LEAST: usize = 120;
/// How many differences are shown in full when nothing was asked for.
const SHOWN: usize = 20;
/// Files of `/etc` inside a play; names and services must not be those of this machine.
const ETC: [(&str, &str); 6] = [
    ("host.conf", "multi on\n"),
    ("hosts", "127.0.0.1 localhost one.test\n::1 localhost six.test\n127.0.0.1 two.test\n127.0.0.2 two.test\n"),
    ("nsswitch.conf", "hosts: files\nservices: files\nprotocols: files\n"),
    ("resolv.conf", ""),
    ("services", "domain 53/tcp\ndomain 53/udp\nhttp 80/tcp\nntp 123/udp\nodd-name 8009/tcp\n"),
    ("protocols", "tcp 6 TCP\nudp 17 UDP\n"),
];

/// The trials of this module.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("nc_diff::masks_hide_only_what_they_name", mask::masks),
        trial("nc_diff::reading_the_case_list", case::reading),
        trial("nc_diff::telling_who_closed_first", wire::telling),
        trial("nc_diff::cases", differential),
    ]
}

/// The two sets of programs: Debian's and ours, each a directory of links.
fn sides(dir: &Path) -> Result<[PathBuf; 2], Stop> {
    let peers = [lab::tool("nc.openbsd", "netcat-openbsd")?, lab::tool("ncat", "ncat")?];
    let own = std::env::var_os("NETKIT_PEERS").is_none();
    let netkit = lab::netkit();
    if own {
        let listed = lab::run(Command::new(&netkit).arg("--list"), LIMIT)?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        if !listed.split_whitespace().any(|word| word == "nc") {
            return Err(Skip("this netkit was built without nc".to_owned()).into());
        }
    }
    let made = [dir.join("left"), dir.join("right")];
    for (side, path) in made.iter().enumerate() {
        fs::create_dir_all(path)?;
        for (name, peer) in ["nc", "netcat", "ncat"].into_iter().zip([0, 0, 1]) {
            let peer = peers.get(peer).ok_or("no such peer")?;
            let target = if side == 1 && own { &netkit } else { peer };
            std::os::unix::fs::symlink(target.canonicalize()?, path.join(name))?;
        }
    }
    Ok(made)
}

#[derive(Debug)]
struct Difference<'a> {
    case: &'a Case,
    left: String,
    right: String,
}

impl Difference<'_> {
    /// What `diff -u` says, with the scenario as its title.
    fn unified(&self, dir: &Path) -> Result<String, Stop> {
        let files = [dir.join("diff.left"), dir.join("diff.right")];
        for (file, text) in files.iter().zip([&self.left, &self.right]) {
            fs::write(file, text)?;
        }
        let mut command = Command::new("diff");
        command.args(["-U", "100", "--label", "Debian's", "--label", "ours"]).args(&files);
        let out = lab::run(&mut command, LIMIT)?;
        Ok(format!("=== {}\n{}{}", self.case.name, self.case.text, String::from_utf8_lossy(&out.stdout)))
    }
}

fn differential() -> Result<(), Stop> {
    lab::namespaces()?;
    lab::tool("ip", "iproute2")?;
    let cases = case::cases(CASES)?;
    let known = known(KNOWN)?;
    let unknown: Vec<&&str> = known.keys().filter(|name| !cases.iter().any(|case| case.name == **name)).collect();
    if !unknown.is_empty() {
        return Err(Stop::Fail(format!("known_differences.txt lists what cases.txt does not have: {unknown:?}")));
    }
    let filter = std::env::var("NETKIT_DIFF").ok();
    let wanted = |case: &&Case| {
        filter.as_ref().is_none_or(|part| case.name.contains(part.as_str()) || case.text.contains(part.as_str()))
    };
    let chosen: Vec<&Case> = cases.iter().filter(wanted).collect();
    if chosen.is_empty() {
        return Err(Stop::Fail(format!("no scenario contains {filter:?}")));
    }
    let dir = TempDir::new("nc-diff")?;
    let sides = sides(&dir.0)?;
    let differences = run_all(&dir.0, &sides, &chosen)?;
    let total = chosen.len();
    say(&format!("nc differential: {} of {total} scenarios equal", total - differences.len()));

    let unlisted: Vec<&Difference<'_>> =
        differences.values().filter(|found| !known.contains_key(found.case.name.as_str())).collect();
    let shown: Vec<&Difference<'_>> = match filter.as_deref() {
        None => unlisted.iter().copied().take(SHOWN).collect(),
        Some("") => unlisted.clone(),
        Some(_) => differences.values().collect(),
    };
    for found in shown {
        say(&found.unified(&dir.0)?);
    }
    let mut complaints = String::new();
    for found in &unlisted {
        complaints.push_str(&format!("differs: {}\n", found.case.name));
    }
    if filter.is_none() {
        let differs = |name: &str| differences.values().any(|found| found.case.name == name);
        for name in known.keys().filter(|name| !differs(name)) {
            complaints.push_str(&format!("listed as different, but is equal: {name}\n"));
        }
        if total < LEAST {
            complaints.push_str(&format!("only {total} scenarios, at least {LEAST} were promised\n"));
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(Stop::Fail(format!("{} unlisted\n{complaints}", unlisted.len()))) }
}

fn run_all<'a>(dir: &Path, sides: &[PathBuf; 2], cases: &[&'a Case]) -> Result<BTreeMap<usize, Difference<'a>>, Stop> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeMap::new());
    let broken = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { break };
                    match compare(dir, sides, case, number) {
                        Ok(None) => {}
                        Ok(Some(difference)) => {
                            found.lock().map(|mut found| found.insert(number, difference)).ok();
                        }
                        Err(stop) => {
                            broken.lock().map(|mut broken| broken.push(stop)).ok();
                        }
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().map_err(|_| "a worker died")?;
    if broken.is_empty() {
        return found.into_inner().map_err(|_| Stop::from("a worker died"));
    }
    let told: Vec<String> = broken
        .iter()
        .map(|stop| match stop {
            Stop::Fail(text) => text.clone(),
            Stop::Skip(Skip(reason)) => reason.clone(),
        })
        .collect();
    Err(Stop::Fail(told.join("\n")))
}

fn compare<'a>(
    dir: &Path,
    [left, right]: &[PathBuf; 2],
    case: &'a Case,
    number: usize,
) -> Result<Option<Difference<'a>>, Stop> {
    let theirs = play(&dir.join(format!("{number}-left")), [left, left], case)?;
    if std::env::var_os("NETKIT_SHOW").is_some() {
        say(&format!("=== {}\n{}{theirs}", case.name, case.text));
    }
    if theirs.lines().any(|line| line.starts_with(stage::BROKEN)) {
        return Err(Stop::Fail(format!("{} cannot be played with Debian's programs:\n{theirs}", case.name)));
    }
    let ours = play(&dir.join(format!("{number}-right")), [right, left], case)?;
    Ok((theirs != ours).then_some(Difference { case, left: theirs, right: ours }))
}

/// One play; what is left of it ends with its process namespace.
fn play(dir: &Path, bins: [&Path; 2], case: &Case) -> Result<String, Stop> {
    for part in ["etc", "work"] {
        fs::create_dir_all(dir.join(part))?;
    }
    for (file, text) in ETC {
        fs::write(dir.join("etc").join(file), text)?;
    }
    fs::write(dir.join("case"), &case.text)?;
    let script =
        "printf %s \"$2\" | ip -batch - && mount --bind \"$1/etc\" /etc && exec \"$0\" \"$3\" \"$1\" \"$4\" \"$5\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["sh", "-c", script]).arg(std::env::current_exe()?).arg(dir);
    command.args([stage::NETWORK, stage::INNER]).args(bins);
    let out = lab::run_with(&mut command, Stdio::null(), LIMIT)?;
    if !out.status.success() {
        return Err(Stop::Fail(format!("the stage of {} failed: {}", case.name, String::from_utf8_lossy(&out.stderr))));
    }
    Ok(mask::mask(&String::from_utf8_lossy(&out.stdout)))
}

/// Reads the reviewed list: `reason: ...`, then the scenarios it holds for.
fn known(text: &str) -> Result<BTreeMap<&str, &str>, Stop> {
    let mut known = BTreeMap::new();
    let mut reason = "";
    for line in text.lines() {
        if let Some(text) = line.strip_prefix("reason: ") {
            reason = text;
        } else if line.is_empty() {
            reason = "";
        } else if !line.starts_with('#') {
            if reason.is_empty() {
                return Err(Stop::Fail(format!("a known difference without a reason: {line}")));
            }
            known.insert(line, reason);
        }
    }
    Ok(known)
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
