//! What the end-to-end tests share: the binary under test, running commands with a deadline, and skipping with a reason.
#![allow(dead_code)]

pub mod firewall;
pub mod hello;
pub mod hierarchy;
pub mod message;
pub mod origin;
pub mod proxy;
pub mod recorder;
pub mod rogue;
pub mod server;
pub mod terminal;
pub mod tls;
pub mod visits;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed, Trial};

/// How many files this process and what it starts may have open: a thousand connections have two ends here.
pub const FILES: u64 = 4096;

/// Allows [`FILES`] open files where that may be had. Before the first trial: what is changed while they run, others notice.
pub fn allow_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.max(FILES.min(hard)), hard);
    }
}

/// Why a trial could not run, and what would let it.
#[derive(Debug)]
pub struct Skip(pub String);

/// How a trial ends early.
#[derive(Debug)]
pub enum Stop {
    /// Something needed is absent.
    Skip(Skip),
    /// The claim does not hold.
    Fail(String),
}

impl From<Skip> for Stop {
    fn from(skip: Skip) -> Stop {
        Stop::Skip(skip)
    }
}

impl From<String> for Stop {
    fn from(message: String) -> Stop {
        Stop::Fail(message)
    }
}

impl From<&str> for Stop {
    fn from(message: &str) -> Stop {
        Stop::Fail(message.to_owned())
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Stop {
        Stop::Fail(format!("i/o: {error}"))
    }
}

/// A trial of this house: it passes, fails, or is skipped by name with the reason.
pub fn trial(name: &str, body: impl FnOnce() -> Result<(), Stop> + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || match body() {
        Ok(()) => Ok(Completion::Completed),
        Err(Stop::Fail(message)) => Err(Failed::from(message)),
        Err(Stop::Skip(Skip(reason))) if std::env::var_os("CI").is_some() => {
            Err(Failed::from(format!("skipped, which CI does not allow: {reason}")))
        }
        Err(Stop::Skip(Skip(reason))) => Ok(Completion::ignored_with(format!("skipped: {reason}"))),
    })
}

/// The binary under test: NETKIT_BIN, or the one cargo built for this run.
pub fn netkit() -> PathBuf {
    std::env::var_os("NETKIT_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_netkit")), PathBuf::from)
}

/// Puts the binary under test into `dir`, where every user may run it, and opens `dir` to them: it may lie where only
/// root may look.
///
/// Another process does the writing. A descriptor of ours that is open for writing lives on in whatever another trial's
/// thread starts at that moment, and the kernel refuses to run a file that somebody may still write to (`ETXTBSY`).
///
/// # Errors
/// What `install` says.
pub fn binary_for_everybody(dir: &Path) -> Result<PathBuf, Stop> {
    let copy = dir.join("netkit");
    let mut install = Command::new("install");
    let output = run(install.args(["-m", "755"]).arg(netkit()).arg(&copy), Duration::from_secs(60))?;
    if !output.status.success() {
        return Err(Stop::Fail(format!("install: {}", String::from_utf8_lossy(&output.stderr))));
    }
    std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(copy)
}

/// Where `name` lies on PATH (and the sbin directories), or a skip that names it and its Debian package.
pub fn tool(name: &str, package: &str) -> Result<PathBuf, Skip> {
    let path = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Skip(format!("`{name}` is not installed (Debian package {package})")))
}

/// Root is needed to make namespaces; found by trying, not by uid.
pub fn namespaces() -> Result<(), Skip> {
    let made = Command::new("unshare").args(["--net", "--mount", "true"]).stderr(Stdio::null()).status();
    match made {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Skip("cannot make network and mount namespaces (run as root)".to_owned())),
    }
}

/// The exit status when this process was started to be part of a lab, see [`rogue`] and [`hierarchy`]; else nothing.
pub fn helper() -> Option<std::process::ExitCode> {
    rogue::helper().or_else(hierarchy::helper)
}

/// Runs a command to its end, at most `limit`; past that it is killed and the trial fails.
pub fn run(command: &mut Command, limit: Duration) -> Result<Output, Stop> {
    run_with(command, Stdio::null(), limit)
}

/// As [`run`], with something on standard input.
pub fn run_with(command: &mut Command, stdin: Stdio, limit: Duration) -> Result<Output, Stop> {
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("no stdout pipe")?;
    let err = child.stderr.take().ok_or("no stderr pipe")?;
    let (out, err) = (std::thread::spawn(move || collected(out)), std::thread::spawn(move || collected(err)));
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            kill_with_descendants(child.id());
            let _ = child.wait();
            return Err(Stop::Fail(format!("{command:?} did not end within {limit:?}")));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let stdout = out.join().map_err(|_| "reader of stdout died")?;
    let stderr = err.join().map_err(|_| "reader of stderr died")?;
    Ok(Output { status, stdout, stderr })
}

/// All that is said, to its end. Whoever says more than any trial wants to hear is not listened to any longer, which ends
/// him: a program that never stops must not take the machine's memory.
fn collected(source: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = source.take(512 << 20).read_to_end(&mut bytes);
    bytes
}

/// Kills a process and what it has started: a shell's commands would outlive it, and what they print is waited for.
fn kill_with_descendants(pid: u32) {
    // The fourth field, behind a name in parentheses (proc_pid_stat(5)).
    let parent = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
    };
    let all: Vec<(u32, Option<u32>)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(|pid| (pid, parent(pid)))
        .collect();
    let mut doomed = vec![pid];
    let mut at = 0;
    while let Some(one) = doomed.get(at).copied() {
        doomed.extend(all.iter().filter(|(_, parent)| *parent == Some(one)).map(|(child, _)| *child));
        at += 1;
    }
    for pid in doomed.iter().rev().filter_map(|pid| i32::try_from(*pid).ok()) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
}

/// A temporary directory that is removed when dropped, also when the trial fails.
#[derive(Debug)]
pub struct TempDir(pub PathBuf);

impl TempDir {
    /// Makes one below the system's temporary directory.
    pub fn new(label: &str) -> Result<TempDir, Stop> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            sweep();
        }
        let path = std::env::temp_dir().join(format!("netkit-{label}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(TempDir(path))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Removes what a run left that was ended by a signal: a process that is gone needs no directory.
fn sweep() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // netkit-LABEL-PID-NUMBER
        let mut parts = name.rsplit('-');
        let (number, pid) = (parts.next().map(str::parse::<u32>), parts.next().map(str::parse::<u32>));
        if let (true, Some(Ok(_)), Some(Ok(pid))) = (name.starts_with("netkit-"), number, pid)
            && !std::path::Path::new("/proc").join(pid.to_string()).exists()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Fails with both sides shown.
pub fn same(what: &str, left: &str, right: &str) -> Result<(), Stop> {
    if left == right { Ok(()) } else { Err(Stop::Fail(format!("{what}:\n--- left\n{left}\n--- right\n{right}"))) }
}
