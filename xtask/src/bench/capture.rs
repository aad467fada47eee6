//! The capture rows of `cargo xtask bench`: a flood of small packets written to /dev/null by netkit and by tcpdump, and
//! copying a large file through a filter.
//!
//! The flood comes from this program, started once more in the namespace; what it counts is what must arrive.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::nc::Guard;
use crate::Result;
use crate::process::{at, find, shown};

/// The word that makes this program send: `bench --flood NUMBER`.
pub(crate) const FLOOD: &str = "--flood";
/// Packets of a flood, as many as the issue asks for.
const PACKETS: u32 = 1_500_000;
/// Floods for each of the two, taking turns.
const RUNS: usize = 3;
/// Packets in the file that is copied, and copies for each.
const RECORDS: u32 = 1_000_000;
const COPIES: usize = 5;
/// Filters of the copies.
const FILTERS: [&str; 3] =
    ["tcp port 443", "udp and not host 10.0.3.7", "ip[8] > 32 and (tcp[tcpflags] & tcp-syn != 0 or udp)"];

pub(crate) fn run(netkit: &Path) -> Result<()> {
    let Some(peer) = find("tcpdump") else {
        println!("skipped: capture, because `tcpdump` is not installed (Debian package tcpdump)");
        return Ok(());
    };
    copies(netkit, &peer)?;
    for (tool, package) in
        [("ip", "iproute2"), ("unshare", "util-linux"), ("nsenter", "util-linux"), ("kill", "procps")]
    {
        if find(tool).is_none() {
            println!("skipped: live capture, because `{tool}` is not installed (Debian package {package})");
            return Ok(());
        }
    }
    match Wire::new() {
        Ok(wire) => floods(&wire, netkit, &peer),
        Err(error) => {
            println!("skipped: live capture, because there can be no namespace here: {error}");
            Ok(())
        }
    }
}

/// What one flood came to.
struct Flood {
    seconds: f64,
    cpu: f64,
    captured: u64,
    received: u64,
    dropped: u64,
}

fn floods(wire: &Wire, netkit: &Path, peer: &Path) -> Result<()> {
    let mut all: [Vec<Flood>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        for (index, list) in all.iter_mut().enumerate() {
            list.push(wire.flood(if index == 0 { netkit } else { peer }, index == 0)?);
        }
    }
    println!(
        "{PACKETS} UDP packets of 64 bytes through a pair of virtual interfaces, `-w /dev/null`, {RUNS} times each:"
    );
    for (name, list) in ["netkit", "tcpdump"].iter().zip(&all) {
        let mean = |figure: &dyn Fn(&Flood) -> f64| list.iter().map(figure).sum::<f64>() / list.len() as f64;
        let counts = |figure: &dyn Fn(&Flood) -> u64| {
            list.iter().map(|run| figure(run).to_string()).collect::<Vec<_>>().join(" ")
        };
        println!(
            "  {name:<8} CPU {:.2} s, sending took {:.1} s; captured {}; received {}; dropped {}",
            mean(&|run| run.cpu),
            mean(&|run| run.seconds),
            counts(&|run| run.captured),
            counts(&|run| run.received),
            counts(&|run| run.dropped),
        );
    }
    for run in all.first().into_iter().flatten() {
        if run.received != u64::from(PACKETS) || run.captured + run.dropped != run.received {
            return Err(format!(
                "netkit's counters do not fit what was sent: {} {} {}",
                run.captured, run.received, run.dropped
            ));
        }
    }
    Ok(())
}

/// A namespace with `va` and `vb`, kept by a shell until this is dropped.
struct Wire(Child);

impl Wire {
    fn new() -> Result<Wire> {
        let script = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; ip link add va type veth peer name vb && \
                      ip link set va up && ip link set vb up && ip addr add 10.0.0.1/24 dev va && \
                      ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev va && echo ready && read end";
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot run {}: {error}", shown(&command)))?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no pipe")?;
        let wire = Wire(child);
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        if line.trim() == "ready" { Ok(wire) } else { Err("the interfaces cannot be made".to_owned()) }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.0.id())).arg("--").arg(program);
        command
    }

    fn flood(&self, program: &Path, ours: bool) -> Result<Flood> {
        let mut command = self.command(program);
        // The peer changes to another user otherwise, who may not open the file.
        command.args(if ours { ["tcpdump", "-n"] } else { ["-Z", "root"] }).args(["-i", "vb", "-w", "/dev/null"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut capture = Guard::start(&mut command)?;
        let mut talk = BufReader::new(capture.0.stderr.take().ok_or("no pipe")?);
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            if talk.read_line(&mut line).map_err(|error| error.to_string())? == 0 {
                return Err(format!("{} does not listen", shown(&command)));
            }
        }
        let started = Instant::now();
        let mut sender = self.command(&std::env::current_exe().map_err(|error| error.to_string())?);
        let status = sender.args(["bench", FLOOD, &PACKETS.to_string()]).status();
        let seconds = started.elapsed().as_secs_f64();
        if !status.is_ok_and(|status| status.success()) {
            return Err("the sender failed".to_owned());
        }
        if !ours {
            // It ends at once, with what it has; its ring is handed over once a second.
            std::thread::sleep(std::time::Duration::from_millis(1500));
        }
        Command::new("kill").args(["-INT", &capture.0.id().to_string()]).status().map_err(|error| error.to_string())?;
        let mut rest = String::new();
        talk.read_to_string(&mut rest).map_err(|error| error.to_string())?;
        let number = |text: &str| {
            let line = rest.lines().find(|line| line.contains(text));
            let number = line.and_then(|line| line.split(' ').next()).and_then(|number| number.parse::<u64>().ok());
            number.ok_or_else(|| format!("no `{text}` in: {rest}"))
        };
        let (captured, received) = (number("captured")?, number("received by filter")?);
        let dropped = number("dropped by kernel")?;
        Ok(Flood { seconds, cpu: capture.cpu("the capture")?, captured, received, dropped })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends packets of 64 bytes, link-layer header included.
pub(crate) fn flood(number: &str) -> Result<()> {
    let number: u32 = number.parse().map_err(|_| format!("not a number: {number}"))?;
    let said = |error: std::io::Error| format!("flood: {error}");
    let socket = UdpSocket::bind("10.0.0.1:5000").map_err(said)?;
    socket.connect("10.0.0.2:9").map_err(said)?;
    for _ in 0..number {
        // A full queue is no reason to lose one.
        while let Err(error) = socket.send(&[b'x'; 22]) {
            if error.raw_os_error() != Some(105) {
                return Err(said(error));
            }
        }
    }
    Ok(())
}

fn copies(netkit: &Path, peer: &Path) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("netkit-bench-capture-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(at("make", &folder))?;
    let outcome = copies_in(&folder, netkit, peer);
    let _ = fs::remove_dir_all(&folder);
    outcome
}

fn copies_in(folder: &Path, netkit: &Path, peer: &Path) -> Result<()> {
    let input = folder.join("input");
    write_input(&input).map_err(at("write", &input))?;
    let copy = |program: &Path, ours: bool, filter: &str| -> Result<(f64, PathBuf)> {
        let target = folder.join(if ours { "ours" } else { "theirs" });
        let mut command = Command::new(program);
        command.args(if ours { ["tcpdump", "-n"] } else { ["-Z", "root"] });
        command.arg("-r").arg(&input).arg("-w").arg(&target).arg(filter);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let status = command.status().map_err(|error| format!("cannot run {}: {error}", shown(&command)))?;
        let seconds = started.elapsed().as_secs_f64();
        if status.success() { Ok((seconds, target)) } else { Err(format!("{} failed", shown(&command))) }
    };
    println!("A file of {RECORDS} packets copied through a filter, best of {COPIES} (below 1: netkit is faster):");
    for filter in FILTERS {
        let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
        for _ in 0..COPIES {
            let (seconds, left) = copy(netkit, true, filter)?;
            ours = ours.min(seconds);
            let (seconds, right) = copy(peer, false, filter)?;
            theirs = theirs.min(seconds);
            if fs::read(&left).map_err(at("read", &left))? != fs::read(&right).map_err(at("read", &right))? {
                return Err(format!("the copies of `{filter}` differ"));
            }
        }
        println!("  {:.2}  {ours:.3} s, tcpdump {theirs:.3} s: {filter}", ours / theirs);
    }
    Ok(())
}

/// Ethernet with IPv4: TCP and UDP of several ports and hosts, 60 to 1,500 bytes.
fn write_input(path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let half = u16::to_ne_bytes;
    out.write_all(&[&0xa1b2_c3d4u32.to_ne_bytes()[..], &half(2), &half(4), &[0; 8]].concat())?;
    out.write_all(&[262_144u32.to_ne_bytes(), 1u32.to_ne_bytes()].concat())?;
    let mut frame = vec![0u8; 1500];
    for number in 0..RECORDS {
        let size = 60 + number.wrapping_mul(2_654_435_761) % 1440;
        let length = usize::try_from(size).unwrap_or(60);
        let [.., high, low] = number.to_be_bytes();
        let is_tcp = number % 3 != 0;
        let header = [
            2,
            0,
            0,
            0,
            0,
            2,
            2,
            0,
            0,
            0,
            0,
            1,
            8,
            0,
            0x45,
            0,
            5,
            0,
            high,
            low,
            0x40,
            0,
            low | 1,
            if is_tcp { 6 } else { 17 },
            0,
            0,
            10,
            0,
            high & 7,
            low,
            10,
            0,
            3,
            7,
            high,
            low,
            if number % 5 == 0 { 1 } else { 0 },
            if number % 5 == 0 { 187 } else { 53 },
        ];
        if let Some(start) = frame.get_mut(..header.len()) {
            start.copy_from_slice(&header);
        }
        if let Some(flags) = frame.get_mut(47) {
            *flags = low & 0x1f;
        }
        let stamp = [1_700_000_000 + number / 1000, number % 1000, size, size].map(u32::to_ne_bytes);
        out.write_all(&stamp.concat())?;
        out.write_all(frame.get(..length).unwrap_or_default())?;
    }
    out.flush()
}
