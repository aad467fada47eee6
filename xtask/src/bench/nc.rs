//! The part of `cargo xtask bench` about nc: 2 GiB through loopback, against nc, ncat and socat in the same run.
//!
//! Three ways: both ends the same tool; the tool sends to a sink in this process; the tool receives from a source in
//! this process. Input is a sparse file, so that no disk is measured; output goes to /dev/null. Told are wall time and
//! the CPU time (user and system) of each end, as ratios to the best of the others. Before that, every tool has to
//! carry 8 MiB unchanged.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{at, command, find, shown};
use crate::workspace::root;

/// Bytes of a run.
const AMOUNT: u64 = 2 << 30;
/// Bytes of the check that a tool changes nothing.
const CHECKED: usize = 8 << 20;
/// Runs of each tool in each way; they alternate.
const RUNS: usize = 3;
/// Ratios wanted, to the best of the others.
const WALL_GOAL: f64 = 1.0;
const CPU_GOAL: f64 = 0.5;
/// The bound on every wait.
const PATIENCE: Duration = Duration::from_secs(120);

/// A tool and how it is called; `PORT` stands for the port.
struct Tool {
    name: &'static str,
    program: PathBuf,
    client: &'static [&'static str],
    server: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Pair,
    Client,
    Server,
}

impl Way {
    fn title(self) -> &'static str {
        match self {
            Way::Pair => "2 GiB, both ends the same tool",
            Way::Client => "2 GiB, the tool sends to a sink",
            Way::Server => "2 GiB, the tool receives from a source",
        }
    }
}

/// One run, in seconds.
#[derive(Clone, Copy, Default)]
struct Figures {
    wall: f64,
    client_cpu: Option<f64>,
    server_cpu: Option<f64>,
}

pub(crate) fn run(netkit: &Path) -> Result<()> {
    let mut tools = vec![Tool {
        name: "netkit nc",
        program: netkit.to_owned(),
        client: &["nc", "-N", "127.0.0.1", "PORT"],
        server: &["nc", "-l", "127.0.0.1", "PORT"],
    }];
    type Words = &'static [&'static str];
    let peers: [(&'static str, &str, &str, Words, Words); 3] = [
        ("nc", "nc.openbsd", "netcat-openbsd", &["-N", "127.0.0.1", "PORT"], &["-l", "127.0.0.1", "PORT"]),
        ("ncat", "ncat", "ncat", &["--send-only", "127.0.0.1", "PORT"], &["-l", "--recv-only", "127.0.0.1", "PORT"]),
        (
            "socat",
            "socat",
            "socat",
            &["-u", "-", "TCP:127.0.0.1:PORT"],
            &["-u", "TCP-LISTEN:PORT,bind=127.0.0.1,reuseaddr", "-"],
        ),
    ];
    for (name, program, package, client, server) in peers {
        match find(program) {
            Some(program) => tools.push(Tool { name, program, client, server }),
            None => println!("skipped: `{program}` is not installed (Debian package {package})"),
        }
    }
    if tools.len() < 2 {
        println!("skipped: nc, because none of its peers is installed");
        return Ok(());
    }
    let folder = Folder::new()?;
    for tool in &tools {
        unchanged(tool, &folder.0)?;
    }
    println!("8 MiB pass unchanged through {} tools", tools.len());
    let input = folder.0.join("zeros");
    File::create(&input).and_then(|file| file.set_len(AMOUNT)).map_err(at("create", &input))?;
    for way in [Way::Pair, Way::Client, Way::Server] {
        let mut figures: Vec<Vec<Figures>> = vec![Vec::new(); tools.len()];
        for round in 0..=RUNS {
            for (tool, figures) in tools.iter().zip(&mut figures) {
                let figure = transfer(tool, way, &input)?;
                // The first is for the page cache.
                if round > 0 {
                    figures.push(figure);
                }
            }
        }
        tell(way, &tools, &figures);
    }
    Ok(())
}

fn tell(way: Way, tools: &[Tool], figures: &[Vec<Figures>]) {
    println!("\n{}, median of {RUNS} alternating runs:", way.title());
    type Pick = fn(&Figures) -> Option<f64>;
    let columns: [(&str, Pick, f64); 3] = [
        ("wall", |figures| Some(figures.wall), WALL_GOAL),
        ("CPU of the client", |figures| figures.client_cpu, CPU_GOAL),
        ("CPU of the server", |figures| figures.server_cpu, CPU_GOAL),
    ];
    for (title, pick, goal) in columns {
        let medians: Vec<(&str, f64)> = tools
            .iter()
            .zip(figures)
            .filter_map(|(tool, runs)| {
                let mut values: Vec<f64> = runs.iter().filter_map(pick).collect();
                values.sort_by(f64::total_cmp);
                values.get(values.len() / 2).map(|median| (tool.name, *median))
            })
            .collect();
        let [(_, ours), others @ ..] = medians.as_slice() else { continue };
        let Some((name, best)) = others.iter().min_by(|left, right| left.1.total_cmp(&right.1)) else { continue };
        let ratio = ours / best;
        let word = if ratio <= goal { "PASS" } else { "MISS" };
        let all: Vec<String> = medians.iter().map(|(name, value)| format!("{name} {value:.2} s")).collect();
        println!("  {title}: ratio {ratio:.3} to {name}  goal {goal:.2}: {word}\n    {}", all.join(", "));
    }
}

/// One run of a tool.
fn transfer(tool: &Tool, way: Way, input: &Path) -> Result<Figures> {
    let lost = |error: std::io::Error| format!("{}: {error}", tool.name);
    let open = || File::open(input).map_err(at("open", input));
    let started;
    let mut figures = Figures::default();
    match way {
        Way::Pair => {
            let port = free_port()?;
            let server = Guard::start(&mut words(tool, tool.server, port, Stdio::null(), Stdio::null()))?;
            listening(port, tool.name)?;
            started = Instant::now();
            let client = Guard::start(&mut words(tool, tool.client, port, open()?.into(), Stdio::null()))?;
            figures.client_cpu = Some(client.cpu(tool.name)?);
            figures.server_cpu = Some(server.cpu(tool.name)?);
        }
        Way::Client => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(lost)?;
            let port = listener.local_addr().map_err(lost)?.port();
            started = Instant::now();
            let client = Guard::start(&mut words(tool, tool.client, port, open()?.into(), Stdio::null()))?;
            let sink = thread::spawn(move || drain(listener.accept()?.0));
            figures.client_cpu = Some(client.cpu(tool.name)?);
            let got = sink.join().map_err(|_| "the sink died")?.map_err(lost)?;
            if got != AMOUNT {
                return Err(format!("{} sent {got} bytes of {AMOUNT}", tool.name));
            }
        }
        Way::Server => {
            let port = free_port()?;
            let server = Guard::start(&mut words(tool, tool.server, port, Stdio::null(), Stdio::null()))?;
            listening(port, tool.name)?;
            started = Instant::now();
            let source = thread::spawn(move || pour(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?));
            figures.server_cpu = Some(server.cpu(tool.name)?);
            source.join().map_err(|_| "the source died")?.map_err(lost)?;
        }
    }
    figures.wall = started.elapsed().as_secs_f64();
    Ok(figures)
}

/// Both ends are the same tool; what comes out is what went in.
fn unchanged(tool: &Tool, folder: &Path) -> Result<()> {
    let (input, output) = (folder.join("in"), folder.join("out"));
    let mut state = 7_u64;
    let bytes: Vec<u8> = (0..CHECKED)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect();
    fs::write(&input, &bytes).map_err(at("write", &input))?;
    let port = free_port()?;
    let file = File::create(&output).map_err(at("create", &output))?;
    let server = Guard::start(&mut words(tool, tool.server, port, Stdio::null(), file.into()))?;
    listening(port, tool.name)?;
    let file = File::open(&input).map_err(at("open", &input))?;
    let client = Guard::start(&mut words(tool, tool.client, port, file.into(), Stdio::null()))?;
    client.cpu(tool.name)?;
    server.cpu(tool.name)?;
    if fs::read(&output).map_err(at("read", &output))? == bytes {
        return Ok(());
    }
    Err(format!("{} does not carry {CHECKED} bytes unchanged", tool.name))
}

fn words(tool: &Tool, words: &[&str], port: u16, stdin: Stdio, stdout: Stdio) -> Command {
    let mut command = command(&tool.program);
    command.args(words.iter().map(|word| word.replace("PORT", &port.to_string())));
    command.stdin(stdin).stdout(stdout).stderr(Stdio::null());
    command
}

fn drain(mut stream: TcpStream) -> std::io::Result<u64> {
    let mut buffer = vec![0; 1 << 18];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(total),
            count => total += u64::try_from(count).unwrap_or(0),
        }
    }
}

fn pour(mut stream: TcpStream) -> std::io::Result<()> {
    let buffer = vec![0; 1 << 18];
    for _ in 0..AMOUNT >> 18 {
        stream.write_all(&buffer)?;
    }
    Ok(())
}

/// A process that ends with us at the latest.
pub(super) struct Guard(pub(super) Child);

impl Guard {
    pub(super) fn start(command: &mut Command) -> Result<Guard> {
        command.spawn().map(Guard).map_err(|error| format!("cannot run {}: {error}", shown(command)))
    }

    /// Its user and system time in seconds, once it ends with status 0. They are read after it ended and before it is
    /// waited for, when /proc still has them (proc(5), fields 14 and 15 of `stat`, in hundredths of a second).
    pub(super) fn cpu(mut self, name: &str) -> Result<f64> {
        let path = PathBuf::from(format!("/proc/{}/stat", self.0.id()));
        let until = Instant::now() + PATIENCE;
        let ticks = loop {
            let text = fs::read_to_string(&path).map_err(at("read", &path))?;
            let (ended, ticks) = stat(&text).ok_or_else(|| format!("cannot understand {}: {text}", path.display()))?;
            if ended {
                break ticks;
            }
            if Instant::now() > until {
                return Err(format!("{name} did not end within {} s", PATIENCE.as_secs()));
            }
            thread::sleep(Duration::from_millis(1));
        };
        let status = self.0.wait().map_err(|error| format!("cannot wait for {name}: {error}"))?;
        if status.success() { Ok(f64::from(ticks) / 100.0) } else { Err(format!("{name} failed ({status})")) }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether the process has ended, and its user and system time in ticks.
fn stat(text: &str) -> Option<(bool, u32)> {
    // The name may hold blanks and parentheses.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
    Some((*fields.first()? == "Z", ticks(11)? + ticks(12)?))
}

/// Waits until somebody listens on the port of loopback.
fn listening(port: u16, name: &str) -> Result<()> {
    let path = Path::new("/proc/net/tcp");
    let wanted = format!("0100007F:{port:04X}");
    let until = Instant::now() + PATIENCE;
    loop {
        let table = fs::read_to_string(path).map_err(at("read", path))?;
        let mut rows = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
        if rows.any(|row| row.get(1) == Some(&wanted.as_str()) && row.get(3) == Some(&"0A")) {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("{name} does not listen on port {port}"));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port on loopback: {error}"))
}

/// A folder below target/, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let path = root().join("target").join(format!("bench-nc-{}", std::process::id()));
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
    fn cpu_time_of_a_process_with_an_odd_name() {
        let text = "7 (a) b) (c) S 1 7 7 0 -1 0 5 0 0 0 30 12 9 9 20 0 1 0 100 1 1 1";
        assert_eq!(stat(text), Some((false, 42)));
        assert_eq!(stat(&text.replace(" S ", " Z ")), Some((true, 42)));
        assert_eq!(stat("7 (a) S 1"), None);
    }

    #[test]
    fn a_failing_tool_is_an_error() {
        let ended = |program: &str| Guard::start(&mut command(program)).unwrap().cpu(program);
        assert!(ended("true").unwrap() < 60.0);
        assert!(ended("false").unwrap_err().contains("failed"));
    }

    #[test]
    fn a_tool_that_loses_bytes_is_an_error() {
        let folder = Folder::new().unwrap();
        let tool = Tool {
            name: "half",
            program: PathBuf::from("/bin/sh"),
            client: &["-c", "head -c 1000 | nc -N 127.0.0.1 PORT"],
            server: &["-c", "exec nc -l 127.0.0.1 PORT"],
        };
        if find("nc").is_some() {
            assert!(unchanged(&tool, &folder.0).unwrap_err().contains("unchanged"));
        }
    }
}
