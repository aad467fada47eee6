//! The capture rows of `cargo xtask bench`: a flood of small packets written to /dev/null by netkit and by tcpdump.
//!
//! The flood comes from this program, started once more in the namespace; what it counts is what must arrive.

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::nc::Guard;
use crate::Result;
use crate::process::{find, shown};

/// The word that makes this program send: `bench --flood NUMBER`.
pub(crate) const FLOOD: &str = "--flood";
/// Packets of a flood, as many as the issue asks for.
const PACKETS: u32 = 1_500_000;
/// Floods for each of the two, taking turns.
const RUNS: usize = 3;
pub(crate) fn run(netkit: &Path) -> Result<()> {
    let Some(peer) = find("tcpdump") else {
        println!("skipped: capture, because `tcpdump` is not installed (Debian package tcpdump)");
        return Ok(());
    };
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
