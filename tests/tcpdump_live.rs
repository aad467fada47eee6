//! Live capture: what the kernel selects, what is counted, how it ends. In a namespace with a pair of virtual interfaces,
//! whose packets come from one process: this test binary, started once more.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, sendto, socket};

use crate::lab::{self, Stop, TempDir, same, trial};
use crate::tcpdump_filter::captures;

const LIMIT: Duration = Duration::from_secs(300);
/// When set, the test binary is not a test: it sends what it is told to on the interface named here.
const ENVIRONMENT: &str = "NETKIT_LAB_FRAMES";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("tcpdump_live::kernel_and_interpreter_agree", agree),
        trial("tcpdump_live::every_packet_is_counted", counted),
        trial("tcpdump_live::nothing_before_the_filter", from_the_start),
        trial("tcpdump_live::signals", signals),
        trial("tcpdump_live::several_interfaces", several),
        trial("tcpdump_live::directions_and_lengths", directions),
        trial("tcpdump_live::rotation", rotation),
        trial("tcpdump_live::offloaded_checksums", offloaded),
        trial("tcpdump_live::other_readers", other_readers),
        trial("tcpdump_live::holders", holders),
        trial("tcpdump_live::lists", lists),
        trial("tcpdump_live::refused", refused),
    ]
}

/// The exit status when this process was started to send frames, else nothing.
pub fn helper() -> Option<ExitCode> {
    let interface = std::env::var(ENVIRONMENT).ok()?;
    match send(&interface) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "frames: {why:?}");
            Some(ExitCode::FAILURE)
        }
    }
}

/// Reads orders, one a line: `file PATH` sends the packets of a capture, `flood N` sends N small datagrams. Each is
/// answered with the number of frames sent.
fn send(interface: &str) -> Result<(), Stop> {
    let io = |errno: nix::errno::Errno| Stop::Fail(format!("sending: {errno}"));
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).map_err(io)?;
    let address: LinkAddr = nix::ifaddrs::getifaddrs()
        .map_err(io)?
        .filter(|entry| entry.interface_name == interface)
        .find_map(|entry| entry.address.and_then(|address| address.as_link_addr().copied()))
        .ok_or("no such interface")?;
    let one = |frame: &[u8]| loop {
        match sendto(socket.as_raw_fd(), frame, &address, MsgFlags::empty()) {
            Err(nix::errno::Errno::ENOBUFS) => std::thread::yield_now(),
            other => return other.map(drop).map_err(io),
        }
    };
    writeln!(std::io::stdout(), "ready")?;
    for line in std::io::stdin().lines() {
        let line = line?;
        let mut sent = 0;
        match line.split_once(' ') {
            Some(("file", path)) => {
                for frame in records(&std::fs::read(path)?) {
                    one(&frame)?;
                    sent += 1;
                }
            }
            Some(("flood", number)) => {
                let frame = datagram();
                for _ in 0..number.parse::<u64>().map_err(|_| "no number")? {
                    one(&frame)?;
                    sent += 1;
                }
            }
            _ => return Err("what?".into()),
        }
        writeln!(std::io::stdout(), "{sent}")?;
    }
    Ok(())
}

/// 64 octets: Ethernet, IPv4, UDP to the port 9.
fn datagram() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0, 0, 50, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0x13, 0x88, 0, 9, 0, 30, 0, 0]);
    frame.resize(64, b'x');
    frame
}

/// The packets of a pcap file of this machine's byte order.
fn records(file: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut at = 24;
    while let Some(header) = file.get(at..at + 16) {
        let length = u32::from_ne_bytes(header[8..12].try_into().unwrap()) as usize;
        all.push(file[at + 16..at + 16 + length].to_vec());
        at += 16 + length;
    }
    all
}

/// The namespace with `va` and `vb`, and the process that sends on `va`; both end when dropped.
struct Wire {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    directory: TempDir,
}

impl Wire {
    fn new() -> Result<Wire, Stop> {
        lab::namespaces()?;
        for (tool, package) in [("ip", "iproute2"), ("nsenter", "util-linux"), ("setpriv", "util-linux")] {
            lab::tool(tool, package)?;
        }
        let directory = TempDir::new("live")?;
        let made = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; ip link set lo up && \
                    ip link add va type veth peer name vb && ip link set va up && ip link set vb up && exec \"$0\"";
        let mut child = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", made])
            .arg(std::env::current_exe()?)
            .env(ENVIRONMENT, "va")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().ok_or("no stdin pipe")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no stdout pipe")?);
        let mut wire = Wire { child, orders, answers, directory };
        let ready = wire.answer()?;
        if ready == "ready" { Ok(wire) } else { Err(format!("the sender said `{ready}`").into()) }
    }

    fn answer(&mut self) -> Result<String, Stop> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Has something sent; how many frames that were.
    fn send(&mut self, order: &str) -> Result<u64, Stop> {
        writeln!(self.orders, "{order}")?;
        self.answer()?.parse().map_err(|_| Stop::from("the sender died"))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.child.id())).arg("--").arg(program);
        command.env("LC_ALL", "C").env("TZ", "UTC0");
        command
    }

    fn run(&self, words: &[&str]) -> Result<Output, Stop> {
        lab::run(self.command(&lab::netkit()).arg("tcpdump").args(words), LIMIT)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.0.join(name)
    }

    /// A capture that is under way when this returns.
    fn capture(&self, words: &[&str]) -> Result<Capture, Stop> {
        Capture::start(self.command(&lab::netkit()).arg("tcpdump").args(words))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running capture; killed when dropped.
struct Capture {
    child: Child,
    talk: BufReader<ChildStderr>,
    said: String,
}

impl Capture {
    fn start(command: &mut Command) -> Result<Capture, Stop> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let talk = BufReader::new(child.stderr.take().ok_or("no stderr pipe")?);
        let mut capture = Capture { child, talk, said: String::new() };
        capture.until("listening on")?;
        Ok(capture)
    }

    /// Reads stderr up to a line that holds `text`.
    fn until(&mut self, text: &str) -> Result<String, Stop> {
        loop {
            let mut line = String::new();
            if self.talk.read_line(&mut line)? == 0 {
                return Err(format!("it ended before it said `{text}`: {}", self.said).into());
            }
            self.said.push_str(&line);
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// Asks for the counters until the one at `index` (captured, received, dropped) has come to `count`: what was sent comes
    /// through when the kernel has time for it.
    fn counts(&mut self, index: usize, count: u64) -> Result<(), Stop> {
        let deadline = Instant::now() + LIMIT;
        loop {
            self.signal("-USR1")?;
            let line = self.until("received by filter")?;
            let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            if numbers.get(index).is_some_and(|number| *number >= count) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("not {count} packets: {line}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: &str) -> Result<(), Stop> {
        let pid = self.child.id().to_string();
        let output = lab::run(Command::new("kill").args([signal, &pid]), LIMIT)?;
        if output.status.success() { Ok(()) } else { Err("kill failed".into()) }
    }

    /// Waits for its end: status, stdout, stderr.
    fn end(mut self) -> Result<(Option<i32>, Vec<u8>, String), Stop> {
        let mut out = Vec::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_end(&mut out)?;
        }
        self.talk.read_to_string(&mut self.said)?;
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status.code(), out, std::mem::take(&mut self.said)));
            }
            if Instant::now() > deadline {
                return Err("a capture does not end".into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn stop(self) -> Result<(Option<i32>, Vec<u8>, String), Stop> {
        self.signal("-INT")?;
        self.end()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that talks on stderr and goes on until it is dropped, as its standard input stays open.
struct Held {
    capture: Capture,
    _stdin: ChildStdin,
}

impl Held {
    fn start(mut command: Command) -> Result<Held, Stop> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().ok_or("no stdin pipe")?;
        let talk = BufReader::new(child.stderr.take().ok_or("no stderr pipe")?);
        Ok(Held { capture: Capture { child, talk, said: String::new() }, _stdin: stdin })
    }
}

/// The three counters in what a capture said at its end.
fn counters(said: &str) -> Result<[u64; 3], Stop> {
    let number = |text: &str| {
        let line = said.lines().find(|line| line.contains(text) && !line.contains(','))?;
        line.split(' ').next()?.parse::<u64>().ok()
    };
    match (number("captured"), number("received by filter"), number("dropped by kernel")) {
        (Some(captured), Some(received), Some(dropped)) => Ok([captured, received, dropped]),
        _ => Err(format!("no counters: {said}").into()),
    }
}

/// A primitive that becomes a loop.
const LOOP: &str = "protochain";
/// Filters for the kernel: plain ones, with VLAN tags that it takes off, and one with a loop, which it does not take.
const IN_KERNEL: [&str; 36] = [
    "ip",
    "arp",
    "ip6",
    "tcp",
    "udp port 53",
    "not tcp",
    "port 80 or port 53",
    "host 10.0.0.1",
    "net 10.0.0.0/24",
    "vlan",
    "vlan 5",
    "vlan 100",
    "not vlan",
    "vlan and ip",
    "vlan 5 and tcp",
    "vlan and vlan 5",
    "vlan 100 and vlan 5 and udp",
    "ip or vlan 5",
    "vlan and host 10.0.0.2",
    "vlan and port 80",
    "mpls",
    "mpls 100 and ip",
    "vlan and mpls and ip",
    "pppoes",
    "pppoes 7 and ip",
    "pppoes and port 53",
    "geneve and ip",
    "icmp[icmptype] = icmp-echo",
    "ip6 protochain 17",
    "tcp[tcpflags] & tcp-syn != 0",
    "ether broadcast",
    "ether multicast",
    "ip[6:2] & 0x1fff != 0",
    "sctp",
    "rarp or stp",
    "ether src 02:00:00:00:00:01 and ip multicast",
];

fn agree() -> Result<(), Stop> {
    let peer = lab::tool("tcpdump", "tcpdump")?;
    let mut wire = Wire::new()?;
    // What the kernel loses on the way is left out: frames without a whole header or tag. What was cut is as long as it is.
    let mut frames = captures::all().swap_remove(0);
    for scene in &mut frames.scenes {
        let is_tagged = |bytes: &[u8]| matches!(bytes[12..14], [0x81, 0] | [0x88, 0xa8]);
        scene
            .packets
            .retain(|packet| packet.bytes.len() >= 14 && (packet.bytes.len() >= 20 || !is_tagged(&packet.bytes)));
        for packet in &mut scene.packets {
            packet.length = packet.bytes.len();
        }
    }
    let sent = wire.path("sent");
    std::fs::write(&sent, frames.file(false))?;
    let files: Vec<PathBuf> = (0..IN_KERNEL.len()).map(|number| wire.path(&number.to_string())).collect();
    let all = wire.path("all");
    let mut running = vec![wire.capture(&["-i", "vb", "-B", "2048", "-w", &all.to_string_lossy()])?];
    let theirs = |file: &Path| file.with_extension("peer");
    let mut peers = Vec::new();
    for (expression, file) in IN_KERNEL.iter().zip(&files) {
        running.push(wire.capture(&["-i", "vb", "-B", "2048", "-w", &file.to_string_lossy(), expression])?);
        if expression.contains(LOOP) {
            // The kernel takes no loops, and the peer then counts what it has thrown away.
            continue;
        }
        let (mut command, target) = (wire.command(&peer), theirs(file));
        // It would become another user, who may not write here.
        command.args(["-i", "vb", "-B", "4096", "-s", "2000", "-Z", "root", "--immediate-mode"]);
        command.args(["-w", &target.to_string_lossy()]);
        peers.push(Capture::start(command.arg(expression))?);
    }
    let number = wire.send(&format!("file {}", sent.display()))?;
    if let Some(all) = running.first_mut() {
        all.counts(0, number)?;
    }
    for capture in running {
        let (status, _, said) = capture.stop()?;
        let [captured, received, dropped] = counters(&said)?;
        // Where the kernel does not take the program, it counts what it let through, and we what was selected.
        if status != Some(0) || dropped != 0 || captured > received {
            return Err(format!("{status:?} {said}").into());
        }
    }
    for mut capture in peers {
        // The peer ends at once, whatever the kernel has in store for it: wait until it has seen all that passed.
        let deadline = Instant::now() + LIMIT;
        loop {
            capture.signal("-USR1")?;
            let line = capture.until("received by filter")?;
            let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            if numbers[0] == numbers[1] {
                break;
            }
            if Instant::now() > deadline {
                return Err(format!("the peer has not seen everything: {line}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        capture.stop()?;
    }
    let whole = records(&std::fs::read(&all)?);
    same("packets", &number.to_string(), &whole.len().to_string())?;
    for (expression, file) in IN_KERNEL.iter().zip(&files) {
        let words = ["-r", &all.to_string_lossy(), "-w", "-", expression];
        let from_peer = lab::run(Command::new(&peer).args(words), LIMIT)?;
        let ours = wire.run(&words)?;
        let (peer_file, our_file) = (records(&from_peer.stdout), records(&ours.stdout));
        let our_live = records(&std::fs::read(file)?);
        if peer_file.is_empty() {
            return Err(format!("`{expression}` selects nothing").into());
        }
        let agreed = |what: &str, left: &[Vec<u8>], right: &[Vec<u8>]| {
            if left == right {
                return Ok(());
            }
            let odd = left.iter().find(|p| !right.contains(p)).or(right.iter().find(|p| !left.contains(p)));
            Err(Stop::Fail(format!("`{expression}`, {what}: {} and {}: {odd:x?}", left.len(), right.len())))
        };
        agreed("both on a file", &peer_file, &our_file)?;
        if !expression.contains(LOOP) {
            agreed("both live", &records(&std::fs::read(theirs(file))?), &our_live)?;
        }
        // The kernel takes tags off before it filters, so that what stands behind a tag is found without `vlan` as well.
        let untagged = |list: &[Vec<u8>]| {
            let plain = |frame: &&Vec<u8>| !matches!(frame[12..14], [0x81, 0] | [0x88, 0xa8]);
            list.iter().filter(plain).cloned().collect::<Vec<_>>()
        };
        agreed("file and kernel", &untagged(&our_file), &untagged(&our_live))?;
        if expression.starts_with("vlan") {
            agreed("tags in file and kernel", &our_file, &our_live)?;
        }
    }
    Ok(())
}

/// Sent, received, captured and dropped fit together, and the file holds what was captured.
fn counted() -> Result<(), Stop> {
    let peer = lab::tool("tcpdump", "tcpdump")?;
    let mut wire = Wire::new()?;
    let file = wire.path("flood");
    // A small ring, so that packets may well be lost: they are counted then.
    for (words, number) in [(&["-s", "64"][..], 150_000u64), (&["-B", "256", "udp port 9"], 100_000)] {
        let name = file.to_string_lossy().into_owned();
        let mut all = vec!["-i", "vb", "-w", &name];
        all.extend(words);
        let mut capture = wire.capture(&all)?;
        let sent = wire.send(&format!("flood {number}"))?;
        capture.counts(1, sent)?;
        let (status, _, said) = capture.stop()?;
        let [captured, received, dropped] = counters(&said)?;
        same("status", &format!("{status:?}"), "Some(0)")?;
        same("received", &received.to_string(), &sent.to_string())?;
        same("captured and dropped", &(captured + dropped).to_string(), &received.to_string())?;
        same("records", &records(&std::fs::read(&file)?).len().to_string(), &captured.to_string())?;
        let read = lab::run(Command::new(&peer).args(["-r", &name, "--count"]), LIMIT)?;
        same("the peer counts", &String::from_utf8_lossy(&read.stdout), &format!("{captured} packets\n"))?;
    }
    Ok(())
}

/// While packets arrive all the time, a capture sees none that its filter does not want.
fn from_the_start() -> Result<(), Stop> {
    let mut wire = Wire::new()?;
    writeln!(wire.orders, "flood 400000")?;
    for _ in 0..12 {
        let capture = wire.capture(&["-i", "vb", "-B", "512", "-w", "-", "not udp port 9"])?;
        let (_, out, said) = capture.stop()?;
        let strangers =
            records(&out).into_iter().filter(|frame| frame.get(12..14) == Some(&[8, 0]) && frame[23] == 17).count();
        same("packets of others", &strangers.to_string(), "0")?;
        counters(&said)?;
    }
    wire.answer()?;
    Ok(())
}

fn signals() -> Result<(), Stop> {
    let mut wire = Wire::new()?;
    let name = wire.path("file").to_string_lossy().into_owned();
    let mut capture = wire.capture(&["-i", "vb", "-n", "--immediate-mode", "-w", &name])?;
    wire.send("flood 3")?;
    capture.counts(0, 3)?;
    let last = capture.said.lines().last().unwrap_or_default().to_owned();
    same("USR1", &last, "tcpdump: 3 packets captured, 3 packets received by filter, 0 packets dropped by kernel")?;
    capture.signal("-TERM")?;
    let (status, out, said) = capture.end()?;
    same("SIGTERM", &format!("{status:?} {}", out.len()), "Some(0) 0")?;
    same("counters", &format!("{:?}", counters(&said)?), "[3, 3, 0]")?;
    same("file", &records(&std::fs::read(&name)?).len().to_string(), "3")?;
    let capture = wire.capture(&["-i", "vb", "-n", "-c", "2"])?;
    wire.send("flood 5")?;
    let (status, out, said) = capture.end()?;
    same("-c", &format!("{status:?}"), "Some(0)")?;
    same("lines", &String::from_utf8_lossy(&out).lines().count().to_string(), "2")?;
    same("captured", &counters(&said)?[0].to_string(), "2")?;
    let (_, out, said) = wire.capture(&["-i", "vb", "-nt", "-c", "9"])?.stop()?;
    same("an interrupted line", &String::from_utf8_lossy(&out), "\n")?;
    same("nothing", &format!("{:?}", counters(&said)?), "[0, 0, 0]")?;
    let capture = wire.capture(&["-i", "vb", "-nt", "-c", "1"])?;
    wire.send("flood 1")?;
    let (_, out, _) = capture.end()?;
    same("a line", &String::from_utf8_lossy(&out), "IP 10.0.0.1.5000 > 10.0.0.2.9: UDP, length 22\n")
}

fn several() -> Result<(), Stop> {
    let peer = lab::tool("tcpdump", "tcpdump")?;
    let mut wire = Wire::new()?;
    let name = wire.path("two").to_string_lossy().into_owned();
    let mut capture = wire.capture(&["-i", "va", "-i", "vb", "-n", "-w", &name])?;
    wire.send("flood 4")?;
    capture.counts(0, 8)?;
    let (_, _, said) = capture.stop()?;
    same("both ends", &format!("{:?}", counters(&said)?), "[8, 8, 0]")?;
    same("pcapng", &format!("{:x?}", &std::fs::read(&name)?[..4]), "[a, d, d, a]")?;
    let read = lab::run(Command::new(&peer).args(["-r", &name, "--count"]), LIMIT)?;
    same("the peer counts", &String::from_utf8_lossy(&read.stdout), "8 packets\n")?;
    let capture = wire.capture(&["-i", "any", "-n", "-t", "-c", "2", "udp port 9"])?;
    wire.send("flood 1")?;
    let (_, out, said) = capture.end()?;
    let text = String::from_utf8_lossy(&out).into_owned();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    // The address is no one's here, so it goes out by one end and comes in for another host by the other.
    let line = "IP 10.0.0.1.5000 > 10.0.0.2.9: UDP, length 22";
    same("any", &lines.join("\n"), &format!("va    Out {line}\nvb    P   {line}"))?;
    if !said.contains("listening on any, link-type LINUX_SLL2 (Linux cooked v2)") {
        return Err(said.into());
    }
    for (link, first) in [("LINUX_SLL", 113u8), ("LINUX_SLL2", 20)] {
        let name = wire.path(link).to_string_lossy().into_owned();
        let words =
            ["-i", "any", "-y", link, "-w", &name, "-c", "2", "ip and dst port 9 and outbound or dst host 10.0.0.2"];
        let capture = wire.capture(&words)?;
        wire.send("flood 1")?;
        capture.end()?;
        let bytes = std::fs::read(&name)?;
        same(link, &bytes[20].to_string(), &first.to_string())?;
        let read = lab::run(Command::new(&peer).args(["-ntr", &name]), LIMIT)?;
        let text = String::from_utf8_lossy(&read.stdout).into_owned();
        same("the peer reads", &text.matches(line).count().to_string(), "2")?;
    }
    Ok(())
}

fn directions() -> Result<(), Stop> {
    let mut wire = Wire::new()?;
    let mut count = |words: &[&str], expected: u64| -> Result<Vec<u8>, Stop> {
        let mut all = vec!["-n", "-w", "-"];
        all.extend(words);
        let mut capture = wire.capture(&all)?;
        wire.send("flood 3")?;
        capture.counts(0, expected)?;
        let (_, out, said) = capture.stop()?;
        same(&words.join(" "), &counters(&said)?[0].to_string(), &expected.to_string())?;
        Ok(out)
    };
    count(&["-i", "va", "-Q", "out"], 3)?;
    count(&["-i", "va", "-Q", "in"], 0)?;
    count(&["-i", "vb", "-Q", "in"], 3)?;
    count(&["-i", "vb", "-Q", "out"], 0)?;
    count(&["-i", "vb", "-Q", "inout"], 3)?;
    count(&["-i", "vb", "inbound"], 3)?;
    count(&["-i", "va", "inbound"], 0)?;
    count(&["-i", "va", "outbound"], 3)?;
    count(&["-i", "any", "inbound"], 3)?;
    count(&["-i", "any", "outbound"], 3)?;
    count(&["-i", "vb", "--promiscuous", "greater 64"], 3)?;
    count(&["-i", "vb", "greater 65"], 0)?;
    let short = count(&["-i", "vb", "-s", "20"], 3)?;
    let lengths: Vec<usize> = records(&short).iter().map(Vec::len).collect();
    same("-s", &format!("{lengths:?}"), "[20, 20, 20]")?;
    same("length on the wire", &u32::from_ne_bytes(short[36..40].try_into().unwrap()).to_string(), "64")
}

/// Files of `-C` and `-W` equal the peer's; `-G` begins a file a second and ends with the last of `-W`.
fn rotation() -> Result<(), Stop> {
    let peer = lab::tool("tcpdump", "tcpdump")?;
    let mut wire = Wire::new()?;
    let input = wire.path("input").to_string_lossy().into_owned();
    let capture = wire.capture(&["-i", "vb", "-B", "16384", "-w", &input])?;
    wire.send("flood 45000")?;
    capture.stop()?;
    for words in [&["-C", "1"][..], &["-C", "1", "-W", "2"], &["-C", "1", "-W", "12"]] {
        let mut listings = Vec::new();
        for is_peer in [true, false] {
            let directory = TempDir::new("rotate")?;
            let target = directory.0.join("out").to_string_lossy().into_owned();
            let mut command = if is_peer { Command::new(&peer) } else { Command::new(lab::netkit()) };
            if is_peer {
                // It would become another user, who may not write here.
                command.args(["-Z", "root"]);
            } else {
                command.arg("tcpdump");
            }
            let output = lab::run(command.args(["-r", &input, "-w", &target]).args(words), LIMIT)?;
            let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(&directory.0)?
                .flatten()
                .map(|entry| {
                    (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap_or_default())
                })
                .collect();
            files.sort();
            let names: Vec<String> = files.iter().map(|(name, bytes)| format!("{name}:{}", bytes.len())).collect();
            listings.push((output.status.code(), names.join(" "), files));
        }
        same(
            &words.join(" "),
            &format!("{:?} {}", listings[0].0, listings[0].1),
            &format!("{:?} {}", listings[1].0, listings[1].1),
        )?;
        if listings[0].2 != listings[1].2 {
            return Err(format!("{words:?}: the files differ").into());
        }
    }
    let target = wire.path("by-time-%s").to_string_lossy().into_owned();
    let mut capture = wire.capture(&["-i", "vb", "-G", "1", "-W", "2", "-w", &target, "--immediate-mode"])?;
    let mut sent = 0;
    let deadline = Instant::now() + LIMIT;
    while capture.child.try_wait()?.is_none() {
        sent += wire.send("flood 1")?;
        std::thread::sleep(Duration::from_millis(20));
        if Instant::now() > deadline {
            return Err("-G with -W does not end".into());
        }
    }
    let (status, _, said) = capture.end()?;
    same("-G -W", &format!("{status:?}"), "Some(0)")?;
    if !said.contains("Maximum file limit reached: 2") {
        return Err(said.into());
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&wire.directory.0)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("by-time-") {
            files.push(records(&std::fs::read(entry.path())?).len() as u64);
        }
    }
    let total: u64 = files.iter().sum();
    same("files", &files.len().to_string(), "2")?;
    if total == 0 || total > sent || total != counters(&said)?[0] {
        return Err(format!("{total} of {sent} in files: {said}").into());
    }
    Ok(())
}

/// Loopback's segments carry no checksum yet: that is said, and not called an error.
fn offloaded() -> Result<(), Stop> {
    let wire = Wire::new()?;
    let capture = wire.capture(&["-i", "lo", "-n", "-v", "-t", "-c", "1", "tcp[tcpflags] & tcp-syn != 0"])?;
    let mut nc = wire.command(&lab::netkit());
    lab::run(nc.args(["nc", "-z", "-w", "1", "127.0.0.1", "1"]), LIMIT)?;
    let (_, out, _) = capture.end()?;
    let text = String::from_utf8_lossy(&out).into_owned();
    if text.contains("(offloaded)") && !text.contains("incorrect") { Ok(()) } else { Err(text.into()) }
}

/// Files of a capture, of one interface and of two, are read by others: every packet, its time, its bytes.
fn other_readers() -> Result<(), Stop> {
    let tshark = lab::tool("tshark", "tshark")?;
    let peer = lab::tool("tcpdump", "tcpdump")?;
    let mut wire = Wire::new()?;
    let text = |output: Output| String::from_utf8_lossy(&output.stdout).into_owned();
    for (name, interfaces) in [("one", &["-i", "vb"][..]), ("two", &["-i", "va", "-i", "vb"])] {
        let file = wire.path(name).to_string_lossy().into_owned();
        let capture = wire.capture(&[interfaces, &["-n", "-w", &file]].concat())?;
        wire.send("flood 40")?;
        let (status, _, said) = capture.stop()?;
        same("capture", &format!("{status:?}"), "Some(0)")?;
        let captured = counters(&said)?[0];
        let mut reader = Command::new(&tshark);
        // It keeps its settings below the home directory.
        reader.env("HOME", &wire.directory.0).args(["-n", "-t", "e", "-r", &file, "-T", "fields"]);
        for field in ["frame.time_epoch", "ip.src", "udp.dstport", "frame.len", "ip.checksum.status"] {
            reader.args(["-e", field]);
        }
        let theirs = text(lab::run(&mut reader, LIMIT)?);
        same("packets", &theirs.lines().count().to_string(), &captured.to_string())?;
        let ours = text(lab::run(Command::new(lab::netkit()).args(["tcpdump", "-nttr", &file]), LIMIT)?);
        for (theirs, ours) in theirs.lines().zip(ours.lines()) {
            let fields: Vec<&str> = theirs.split('\t').collect();
            let [time, source, port, length, _] = fields[..] else { return Err(theirs.into()) };
            let wanted = format!("{} IP {source}.5000 > 10.0.0.2.{port}: UDP, length 22", &time[..time.len() - 3]);
            same("a packet", &wanted, ours)?;
            same("its length", length, "64")?;
        }
        let again = text(lab::run(Command::new(&peer).env("TZ", "UTC0").args(["-nttr", &file]), LIMIT)?);
        same("tcpdump", &again, &ours)?;
    }
    Ok(())
}

/// Both ends of a connection within the host are named with the process that holds them.
fn holders() -> Result<(), Stop> {
    let wire = Wire::new()?;
    let mut listener = wire.command(&lab::netkit());
    listener.args(["nc", "-v", "-n", "-l", "127.0.0.1", "7000"]);
    let mut listener = Held::start(listener)?;
    listener.capture.until("istening on")?;
    let capture = wire.capture(&["-i", "lo", "-n", "--flows", "-c", "3", "tcp port 7000"])?;
    let mut caller = wire.command(&lab::netkit());
    caller.args(["nc", "-v", "-n", "127.0.0.1", "7000"]);
    let caller = Held::start(caller)?;
    let (status, out, said) = capture.end()?;
    same("capture", &format!("{status:?}"), "Some(0)")?;
    let text = String::from_utf8_lossy(&out).into_owned();
    for pid in [caller.capture.child.id(), listener.capture.child.id()] {
        if !text.contains(&format!(" (nc {pid}")) {
            return Err(format!("no process {pid} in: {text}{said}").into());
        }
    }
    Ok(())
}

fn lists() -> Result<(), Stop> {
    let wire = Wire::new()?;
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let peer = lab::tool("tcpdump", "tcpdump")?;
    let listed = text(&wire.run(&["-D"])?);
    // The peer lists Bluetooth, D-Bus and netfilter behind the interfaces.
    let theirs = text(&lab::run(wire.command(&peer).arg("-D"), LIMIT)?);
    let theirs: String = theirs.lines().take(4).map(|line| format!("{line}\n")).collect();
    same("-D", &theirs, &listed)?;
    same("--list-interfaces", &text(&wire.run(&["--list-interfaces"])?), &listed)?;
    for words in [["-L", "-i", "lo"], ["-L", "-i", "any"], ["-J", "-i", "lo"]] {
        let theirs = lab::run(wire.command(&peer).args(words), LIMIT)?;
        // The peer writes to stderr what is asked for.
        let theirs = format!("{}{}", text(&theirs), String::from_utf8_lossy(&theirs.stderr));
        same(&words.join(" "), &theirs, &text(&wire.run(&words)?))?;
    }
    for (interface, expression) in [("lo", "vlan 5"), ("lo", "ip broadcast"), ("any", "tcp"), ("lo", "inbound")] {
        let words = ["-d", "-i", interface, expression];
        let theirs = text(&lab::run(wire.command(&peer).args(words), LIMIT)?);
        same(expression, &theirs, &text(&wire.run(&words)?))?;
    }
    Ok(())
}

fn refused() -> Result<(), Stop> {
    let wire = Wire::new()?;
    let peer = lab::tool("tcpdump", "tcpdump")?;
    for words in [&["-i", "nosuch"][..], &["-i", "lo", "-y", "RAW"], &["-i", "lo", "tcp", "and"], &["-i", "0"]] {
        let theirs = lab::run(wire.command(&peer).args(words), LIMIT)?;
        let ours = wire.run(words)?;
        let first =
            |output: &Output| String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
        same(&words.join(" "), &first(&theirs), &first(&ours))?;
        same("status", &format!("{:?}", theirs.status.code()), &format!("{:?}", ours.status.code()))?;
    }
    // Without the capability: what is missing, and what grants it.
    let copy = lab::binary_for_everybody(&wire.directory.0)?;
    let mut poor = wire.command(Path::new("setpriv"));
    poor.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]);
    let output = lab::run(poor.arg(&copy).args(["tcpdump", "-i", "lo"]), LIMIT)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let all = ["tcpdump: lo: You don't have permission", "CAP_NET_RAW", "kubectl debug --profile=netadmin"];
    match all.iter().find(|text| !said.contains(**text)) {
        Some(text) => Err(format!("no `{text}` in: {said}").into()),
        None => same("status", &format!("{:?}", output.status.code()), "Some(1)"),
    }
}
