//! `cargo xtask demo` as a reader of README runs it: netkit names every fault, and afterwards nothing is there.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{self, Stop, TempDir, trial};

/// Far above what the demo takes: less than a minute where nobody else wants the processors.
const LIMIT: Duration = Duration::from_secs(600);
/// Building xtask may take longer.
const BUILD_LIMIT: Duration = Duration::from_secs(600);
/// In the environment of the demo and of everything it starts.
const MARK: &str = "NETKIT_DEMO_TEST";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("demo::names_every_fault_and_leaves_nothing", names_every_fault),
        trial("demo::works_where_no_other_root_can_be_had", without_a_pod),
        trial("demo::leaves_nothing_when_it_is_killed", killed),
        trial("demo::fails_when_netkit_says_nothing", notices_silence),
    ]
}

fn names_every_fault() -> Result<(), Stop> {
    let place = Place::new("demo")?;
    let out = lab::run(&mut place.demo(&lab::netkit())?, LIMIT)?;
    let said = succeeded(&out)?;
    // With an /etc of the container's own where that can be made, which root always can.
    if lab::namespaces().is_ok() && !said.contains("--as glibc,musl,go,dig api.example.com") {
        return Err(format!("no resolver was played:\n{said}").into());
    }
    place.nothing_left()
}

fn without_a_pod() -> Result<(), Stop> {
    let place = Place::new("demo-plain")?;
    let mut demo = place.demo(&lab::netkit())?;
    // No unshare(1) to be found, and no capability to change the root.
    demo.env("PATH", "/nonexistent");
    if lab::namespaces().is_ok() {
        let setpriv = lab::tool("setpriv", "util-linux")?;
        let mut confined = Command::new(setpriv);
        confined.args(["--bounding-set", "-all"]).arg(demo.get_program()).args(demo.get_args());
        confined.envs(demo.get_envs().filter_map(|(name, value)| Some((name, value?))));
        demo = confined;
    }
    let out = lab::run(&mut demo, LIMIT)?;
    let said = succeeded(&out)?;
    if said.contains("--from-pid") || !said.contains("+domain=corp.internal") {
        return Err(format!("not the way without a pod:\n{said}").into());
    }
    place.nothing_left()
}

fn killed() -> Result<(), Stop> {
    let place = Place::new("demo-killed")?;
    let mut demo = place.demo(&lab::netkit())?;
    let mut child = demo.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut stdout = child.stdout.take().ok_or("no stdout pipe")?;
    // The first command is shown only after the pods are up.
    let read = read_until(&mut stdout, b"$ netkit");
    child.kill()?;
    child.wait()?;
    drop(stdout);
    read?;
    // The commands it ran and its pods end by themselves.
    place.nothing_left()
}

fn notices_silence() -> Result<(), Stop> {
    let place = Place::new("demo-silent")?;
    let out = lab::run(&mut place.demo(&lab::tool("true", "coreutils")?)?, LIMIT)?;
    let said = String::from_utf8_lossy(&out.stderr);
    if out.status.code() != Some(1) || !said.contains("netkit did not say what it should") {
        return Err(format!("a netkit that says nothing passed: {}\n{said}", out.status).into());
    }
    place.nothing_left()
}

/// A temporary directory and a mark that everything the demo makes carries.
struct Place {
    temp: TempDir,
    mark: String,
}

impl Place {
    fn new(label: &str) -> Result<Place, Stop> {
        let temp = TempDir::new(label)?;
        let mark = format!("{MARK}={}", temp.0.display());
        Ok(Place { temp, mark })
    }

    fn demo(&self, netkit: &Path) -> Result<Command, Stop> {
        let mut demo = Command::new(xtask()?);
        demo.args(["demo", "--binary"]).arg(netkit).env("TMPDIR", &self.temp.0).env(MARK, &self.temp.0);
        Ok(demo)
    }

    /// No file, and within the time that a command of the demo may take, no process.
    fn nothing_left(&self) -> Result<(), Stop> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let processes = self.processes()?;
            if processes.is_empty() {
                break;
            }
            if Instant::now() > deadline {
                return Err(format!("still running: {processes:?}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let files: Vec<_> = std::fs::read_dir(&self.temp.0)?.flatten().map(|entry| entry.path()).collect();
        if files.is_empty() { Ok(()) } else { Err(format!("left behind: {files:?}").into()) }
    }

    fn processes(&self) -> Result<Vec<PathBuf>, Stop> {
        let marked = |path: &PathBuf| {
            let environment = std::fs::read(path.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == self.mark.as_bytes())
        };
        Ok(std::fs::read_dir("/proc")?.flatten().map(|entry| entry.path()).filter(marked).collect())
    }
}

fn succeeded(out: &Output) -> Result<String, Stop> {
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.success() && said.contains("netkit named 16 of 16 faults") {
        return Ok(said);
    }
    Err(format!("{}\n{said}\n{}", out.status, String::from_utf8_lossy(&out.stderr)).into())
}

fn read_until(from: &mut impl std::io::Read, wanted: &[u8]) -> Result<(), Stop> {
    let mut seen = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let count = from.read(&mut chunk)?;
        if count == 0 {
            return Err(format!("it ended before its first command:\n{}", String::from_utf8_lossy(&seen)).into());
        }
        seen.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if seen.windows(wanted.len()).any(|window| window == wanted) {
            return Ok(());
        }
    }
}

/// The built xtask: started by itself, it needs no cargo.
fn xtask() -> Result<PathBuf, Stop> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "xtask",
        "--message-format",
        "json",
    ]);
    let out = lab::run(&mut cargo, BUILD_LIMIT)?;
    let said = String::from_utf8_lossy(&out.stdout);
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_xtask = message.pointer("/target/name")?.as_str()? == "xtask";
        is_xtask.then(|| message.get("executable")?.as_str().map(PathBuf::from))?
    };
    said.lines()
        .find_map(executable)
        .ok_or_else(|| Stop::Fail(format!("cannot build xtask:\n{}", String::from_utf8_lossy(&out.stderr))))
}
