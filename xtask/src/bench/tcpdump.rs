//! `cargo xtask bench tcpdump`: tcpdump-lite on files of a million packets, made here from a fixed seed, against Debian's tcpdump
//! and, where it is installed, tshark. Runs alternate; the ratio is that of the medians. Before a row is timed, what both print
//! is compared line by line in number. Nothing here fails because of a figure.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{at, command, find, shown};

const PACKETS: u32 = 1_000_000;
/// Runs of each, fewer when a row has taken `ENOUGH`: the peer searches its connections one by one.
const RUNS: usize = 5;
const ENOUGH: Duration = Duration::from_secs(60);
/// Wall time wanted, netkit to tcpdump: a third when printing, no more when copying.
const PRINT_GOAL: f64 = 0.34;
const COPY_GOAL: f64 = 1.0;

/// Title, number of connections in the file, arguments, goal.
const ROWS: &[(&str, u32, &[&str], f64)] = &[
    ("print, 50 flows", 50, &["-nn"], PRINT_GOAL),
    ("print, 20,000 flows", 20_000, &["-nn"], PRINT_GOAL),
    ("print -v", 50, &["-nn", "-v"], PRINT_GOAL),
    ("print -e -X", 50, &["-nn", "-e", "-X"], PRINT_GOAL),
    ("copy", 50, &["-w", "/dev/null"], COPY_GOAL),
];

/// Every row on this binary.
pub(crate) fn rows(netkit: &Path) -> Result<()> {
    let Some(tcpdump) = find("tcpdump") else {
        println!("skipped: `tcpdump`, the peer, is not installed (Debian package tcpdump)");
        return Ok(());
    };
    let dir = std::env::temp_dir().join(format!("netkit-bench-tcpdump-{}", std::process::id()));
    fs::create_dir_all(&dir).map_err(at("create", &dir))?;
    let result = all(netkit, &tcpdump, &dir);
    let _ = fs::remove_dir_all(&dir);
    result
}

fn all(netkit: &Path, tcpdump: &Path, dir: &Path) -> Result<()> {
    println!("tcpdump-lite: {PACKETS} packets a file; up to {RUNS} runs each, medians\n");
    for (title, flows, words, goal) in ROWS {
        let file = dir.join(format!("{flows}.pcap"));
        if !file.exists() {
            generate(&file, *flows)?;
        }
        let ours = Contender::new(netkit, &["tcpdump-lite"], words, &file);
        let theirs = Contender::new(tcpdump, &[], words, &file);
        let (own, other) = (ours.lines()?, theirs.lines()?);
        if own != other {
            return Err(format!("`{title}`: netkit prints {own} lines and tcpdump {other}"));
        }
        let (mut own, mut other) = (Vec::new(), Vec::new());
        let started = Instant::now();
        while own.len() < RUNS && (own.is_empty() || started.elapsed() < ENOUGH) {
            own.push(ours.run()?);
            other.push(theirs.run()?);
        }
        let (own, other) = (median(&mut own), median(&mut other));
        let ratio = own / other;
        let mut line = format!("{title:<22} {own:>6.2} s  tcpdump {other:>6.2} s: {ratio:.2}");
        let _ = write!(line, " {}", if ratio <= *goal { "PASS" } else { "MISS" });
        if let Some(tshark) = find("tshark").filter(|_| words == &["-nn"]) {
            let time = Contender::new(&tshark, &[], &["-n"], &file).run()?.as_secs_f64();
            let _ = write!(line, "  tshark {time:>6.2} s");
        }
        println!("{line}");
    }
    Ok(())
}

struct Contender {
    program: PathBuf,
    words: Vec<String>,
}

impl Contender {
    fn new(program: &Path, applet: &[&str], words: &[&str], file: &Path) -> Contender {
        let mut all: Vec<String> = applet.iter().chain(words).map(|word| (*word).to_owned()).collect();
        all.extend(["-r".to_owned(), file.display().to_string()]);
        Contender { program: program.to_owned(), words: all }
    }

    fn command(&self) -> std::process::Command {
        let mut command = command(&self.program);
        command.args(&self.words).stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn run(&self) -> Result<Duration> {
        let mut command = self.command();
        let started = Instant::now();
        let status = command.stdout(Stdio::null()).status();
        let status = status.map_err(|error| format!("cannot run {}: {error}", shown(&command)))?;
        if status.success() { Ok(started.elapsed()) } else { Err(format!("{} failed ({status})", shown(&command))) }
    }

    fn lines(&self) -> Result<u64> {
        let mut command = self.command();
        let child = command.stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("cannot run {}: {error}", shown(&command)))?;
        let mut out = child.stdout.take().ok_or("no pipe")?;
        let mut buffer = vec![0; 1 << 16];
        let mut lines = 0;
        loop {
            let count = out.read(&mut buffer).map_err(|error| format!("reading: {error}"))?;
            if count == 0 {
                break;
            }
            lines += buffer.iter().take(count).filter(|byte| **byte == b'\n').count() as u64;
        }
        child.wait().map_err(|error| format!("waiting: {error}"))?;
        Ok(lines)
    }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}

/// Writes TCP segments, DNS, other UDP and ICMP between pods and services.
fn generate(path: &Path, flows: u32) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(at("create", path))?);
    let mut write = |bytes: &[u8]| file.write_all(bytes).map_err(at("write", path));
    let mut header = Vec::new();
    for field in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, 1] {
        header.extend(field.to_le_bytes());
    }
    write(&header)?;
    let mut random = 0x2545_f491_4f6c_dd1du64;
    for number in 0..PACKETS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let flow = (random >> 20) as u32 % flows;
        let frame = frame(number, flow, random);
        let mut record = Vec::with_capacity(frame.len() + 16);
        let size = frame.len() as u32;
        for field in [1_700_000_000 + number / 20_000, number % 20_000 * 50, size, size] {
            record.extend(field.to_le_bytes());
        }
        record.extend(frame);
        write(&record)?;
    }
    file.flush().map_err(at("write", path))
}

fn frame(number: u32, flow: u32, random: u64) -> Vec<u8> {
    let kind = random % 20;
    let back = random >> 8 & 1 == 1;
    let client = (0x0af4_0000 + flow, 20_000 + (flow % 40_000) as u16);
    let server = (0x0a60_0000 + flow % 977, if kind < 14 { 443 } else { 53 });
    let (from, to) = if back { (server, client) } else { (client, server) };
    let mut body = Vec::new();
    let protocol = match kind {
        0..14 => {
            body.extend(from.1.to_be_bytes());
            body.extend(to.1.to_be_bytes());
            body.extend((number.wrapping_mul(1448)).to_be_bytes());
            body.extend((number.wrapping_mul(977)).to_be_bytes());
            body.extend([0x80, 0x10, 1, 0xf6, 0, 0, 0, 0, 1, 1, 8, 10]);
            body.extend(number.to_be_bytes());
            body.extend((number ^ 77).to_be_bytes());
            body.resize(body.len() + (random >> 40) as usize % 200, 0x17);
            6
        }
        14..17 => {
            let mut message = (number as u16).to_be_bytes().to_vec();
            let answers = u8::from(back);
            message.extend([if back { 0x81 } else { 1 }, 0, 0, 1, 0, answers, 0, 0, 0, 0]);
            message.extend(b"\x03api\x07default\x03svc\x07cluster\x05local\0\0\x01\0\x01");
            if back {
                message.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\x0a\x60\0\x01");
            }
            udp(&mut body, from.1, to.1, &message);
            17
        }
        17 | 18 => {
            udp(&mut body, from.1, 8125, b"pod.requests:1|c");
            17
        }
        _ => {
            body.extend([if back { 0 } else { 8 }, 0, 0, 0, 0, 7]);
            body.extend((number as u16).to_be_bytes());
            body.resize(64, 0x55);
            1
        }
    };
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend((body.len() as u16 + 20).to_be_bytes());
    frame.extend((number as u16).to_be_bytes());
    frame.extend([0x40, 0, 64, protocol, 0, 0]);
    frame.extend(from.0.to_be_bytes());
    frame.extend(to.0.to_be_bytes());
    frame.extend(body);
    frame
}

fn udp(body: &mut Vec<u8>, from: u16, to: u16, payload: &[u8]) {
    for field in [from, to, payload.len() as u16 + 8, 0] {
        body.extend(field.to_be_bytes());
    }
    body.extend_from_slice(payload);
}
