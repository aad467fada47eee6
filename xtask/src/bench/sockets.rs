//! The socket rows of `cargo xtask bench`: 100,000 established and 30,000 TIME-WAIT sockets in a namespace of their own,
//! spread over processes, listed by `ss` of both.
//!
//! The processes that hold them are this program, started once more; a line on their standard input makes them renew the
//! TIME-WAIT sockets, which the kernel keeps for a minute, and its end ends them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{find, shown};

/// The word that makes this program hold sockets: `bench --hold-sockets NUMBER`.
pub(crate) const HOLD: &str = "--hold-sockets";
const HOLDERS: u16 = 10;
/// Both ends of a connection are sockets here.
const PAIRS_EACH: usize = 5000;
const TIME_WAIT_EACH: usize = 3000;
const FIRST_PORT: u16 = 9000;

struct Row {
    words: &'static [&'static str],
    runs: usize,
    /// Ratio wanted, netkit to ss.
    goal: f64,
    /// Whether the memory of both is compared as well.
    memory: bool,
}

const ROWS: &[Row] = &[
    Row { words: &["-tan"], runs: 7, goal: 1.0, memory: true },
    Row { words: &["-tin"], runs: 5, goal: 1.0, memory: true },
    Row { words: &["-tn", "dport", "=", ":9003"], runs: 15, goal: 1.0, memory: false },
    Row { words: &["-s"], runs: 51, goal: 1.0, memory: false },
    Row { words: &["-tanp"], runs: 3, goal: 0.25, memory: true },
    Row { words: &["-tanp", "dport", "=", ":9003"], runs: 3, goal: 1.0, memory: true },
];

/// Runs every row, or says what is missing.
pub(crate) fn run(netkit: &Path) -> Result<()> {
    for (tool, package) in [("ss", "iproute2"), ("unshare", "util-linux"), ("nsenter", "util-linux")] {
        if find(tool).is_none() {
            println!("skipped: sockets, because `{tool}` is not installed (Debian package {package})");
            return Ok(());
        }
    }
    let mut scene = match Scene::new() {
        Ok(scene) => scene,
        Err(error) => {
            println!("skipped: sockets, because they cannot be made here: {error}");
            return Ok(());
        }
    };
    let ss = find("ss").ok_or("ss is gone")?;
    for row in ROWS {
        let title = format!("ss {}", row.words.join(" "));
        let ours = |scene: &Scene| scene.command(netkit, &[&["ss"], row.words].concat());
        let theirs = |scene: &Scene| scene.command(&ss, row.words);
        let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
        for _ in 0..row.runs {
            scene.renew()?;
            our_times.push(time(ours(&scene))?);
            their_times.push(time(theirs(&scene))?);
        }
        let (our_median, our_best) = super::summary(&mut our_times);
        let (their_median, their_best) = super::summary(&mut their_times);
        let ratio = our_median / their_median;
        let verdict = if ratio <= row.goal { "PASS" } else { "MISS" };
        println!(
            "{title}, 130,000 sockets, {} runs each: ratio {ratio:.3} ({:.3})  goal {:.2}: {verdict}",
            row.runs,
            our_best / their_best,
            row.goal
        );
        println!("    netkit     {our_median:>9.2} ms ({our_best:.2})");
        println!("    ss         {their_median:>9.2} ms ({their_best:.2})");
        if row.memory {
            let (our_peak, their_peak) = (peak(ours(&scene))?, peak(theirs(&scene))?);
            let verdict = if our_peak <= their_peak { "PASS" } else { "MISS" };
            println!("    memory     {our_peak} KiB against {their_peak} KiB  goal at most as much: {verdict}");
        }
    }
    Ok(())
}

pub(super) fn time(mut command: Command) -> Result<Duration> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status().map_err(|error| format!("cannot run {}: {error}", shown(&command)))?;
    let elapsed = started.elapsed();
    if status.success() { Ok(elapsed) } else { Err(format!("{} failed ({status})", shown(&command))) }
}

/// The most memory a run had resident, in KiB: the kernel's own high-water mark, read until the process is gone.
pub(super) fn peak(mut command: Command) -> Result<u64> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("cannot run {}: {error}", shown(&command)))?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = mark.unwrap_or(0).max(most);
        std::thread::sleep(Duration::from_micros(300));
    }
    Ok(most)
}

/// One process that holds sockets, or a namespace.
pub(super) struct Holder {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Holder {
    pub(super) fn start(mut command: Command) -> Result<Holder> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot run {}: {error}", shown(&command)))?;
        let (input, output) = (child.stdin.take().ok_or("no pipe")?, child.stdout.take().ok_or("no pipe")?);
        Ok(Holder { child, input, output: BufReader::new(output) })
    }

    pub(super) fn await_word(&mut self, word: &str) -> Result<()> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| error.to_string())?;
        if line.trim() == word { Ok(()) } else { Err(format!("a process that holds sockets says: {line}")) }
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The namespace with its sockets; dropping it ends everything.
struct Scene {
    // Dropped before the process that keeps the namespace.
    holders: Vec<Holder>,
    keeper: Holder,
}

impl Scene {
    fn new() -> Result<Scene> {
        let mut command = Command::new("unshare");
        let script =
            "ip link set lo up && echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range && echo ready && read end";
        command.args(["--net", "--", "sh", "-c", script]);
        let mut keeper = Holder::start(command)?;
        keeper.await_word("ready")?;
        let mut scene = Scene { holders: Vec::new(), keeper };
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        for number in 0..HOLDERS {
            // Thousands of descriptors are needed; the soft limit is often 1024.
            let script = "ulimit -n $(ulimit -Hn) && exec \"$0\" \"$@\"";
            let mut command = scene.command(Path::new("sh"), &["-c", script]);
            command.arg(&program).args(["bench", HOLD, &number.to_string()]);
            scene.holders.push(Holder::start(command)?);
        }
        for holder in &mut scene.holders {
            holder.await_word("ready")?;
        }
        Ok(scene)
    }

    fn command(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.keeper.child.id())).arg("--").arg(program).args(words);
        command
    }

    /// Fresh TIME-WAIT sockets in place of those that have expired, up to the full number.
    fn renew(&mut self) -> Result<()> {
        for holder in &mut self.holders {
            writeln!(holder.input).map_err(|error| error.to_string())?;
        }
        self.holders.iter_mut().try_for_each(|holder| holder.await_word("renewed"))
    }
}

/// Holds sockets until standard input ends.
pub(crate) fn hold(number: &str) -> Result<()> {
    let number: u16 = number.parse().map_err(|_| format!("not a number: {number}"))?;
    let said = |error: std::io::Error| format!("holder {number}: {error}");
    let address = |port: u16| SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, u8::try_from(number).unwrap_or(1) + 1), port);
    let listener = TcpListener::bind(address(FIRST_PORT + number)).map_err(said)?;
    let mut held = Vec::with_capacity(PAIRS_EACH * 2);
    for _ in 0..PAIRS_EACH {
        held.push(TcpStream::connect(address(FIRST_PORT + number)).map_err(said)?);
        held.push(listener.accept().map_err(said)?.0);
    }
    let passing = TcpListener::bind(address(FIRST_PORT + 100 + number)).map_err(said)?;
    let mut made: Option<Instant> = None;
    println!("ready");
    for _ in std::io::stdin().lock().lines().map_while(std::io::Result::ok) {
        // All of them expire together, a minute after they were made.
        if made.is_none_or(|made| made.elapsed() > Duration::from_secs(61)) {
            for _ in 0..TIME_WAIT_EACH {
                let client = TcpStream::connect(address(FIRST_PORT + 100 + number)).map_err(said)?;
                let server = passing.accept().map_err(said)?.0;
                drop(client);
                drop(server);
            }
            made = Some(Instant::now());
        }
        println!("renewed");
    }
    Ok(())
}
