//! tcpdump-lite against Debian's tcpdump (4.99.3): every packet of `tcpdump_packets.hex` and changed, shortened forms of it,
//! with fifteen option sets. What 4.99.6 prints otherwise is brought to one form or left out, and counted.
//! `NETKIT_TCPDUMP_SHOW=1` shows what differs.

#![allow(clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{self, Stop, TempDir, trial};

const LIMIT: Duration = Duration::from_secs(300);
/// Percent of the lines that must be equal.
const WANTED: usize = 99;

const PACKETS: &str = include_str!("tcpdump_packets.hex");

const OPTIONS: &[&[&str]] = &[
    &["-n"],
    &["-n", "-v"],
    &["-n", "-vv"],
    &["-n", "-vvv"],
    &["-n", "-e"],
    &["-n", "-e", "-v"],
    &["-n", "-q"],
    &["-n", "-q", "-e"],
    &["-n", "-S"],
    &["-n", "-K", "-v"],
    &["-n", "-x"],
    &["-n", "-XX"],
    &["-n", "-A"],
    &["-n", "-tt"],
    &["-n", "-ttttt", "-vv", "-X"],
];

/// What 4.99.4 to 4.99.6 print otherwise, as their release notes say: such packets are left out when either side has it.
const NEWER: &[&str] = &[
    "truncated-ip",
    "bad-hlen",
    "bad-len",
    "wrong link-layer",
    "version error",
    "[length ",
    "[version ",
    "[header",
    "[total length",
    "[was 0",
    "Static-Route",
    "SVCB",
    "HTTPS?",
    "HTTPS ",
    " CAA",
    " enterprise ",
    "user-class",
    "Bootfile-URL",
    "while ACK flag not set",
    "while URG flag not set",
    "[|http]",
    "[|ip6]",
    "IP  [|ip]",
    "Type64",
    "Type65",
    "Type257",
];

/// The trials of this module.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("tcpdump::diff", || compare(Change::None)),
        trial("tcpdump::diff_changed", || compare(Change::Bytes)),
        trial("tcpdump::diff_cut", || compare(Change::Length)),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    /// A few bytes are others.
    Bytes,
    /// Less is captured than was sent.
    Length,
}

/// Xorshift: the same packets in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit.max(1)
    }
}

/// By link type: what was captured, and how long it was.
type Packets = BTreeMap<u32, Vec<(Vec<u8>, usize)>>;

fn packets(change: Change) -> Result<Packets, Stop> {
    let mut links = Packets::new();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for line in PACKETS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (link, hex) = line.split_once(' ').ok_or("a line without a link type")?;
        let mut bytes = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16))
            .collect::<Result<Vec<u8>, _>>()
            .map_err(|error| format!("{line}: {error}"))?;
        let length = bytes.len();
        let header = if link == "1" { 14 } else { 4 };
        match change {
            Change::None => {}
            Change::Bytes if length > header => {
                for _ in 0..=random.below(3) {
                    let at = header + random.below(length - header);
                    let value = [0, 1, 0x80, 0xff, random.below(256) as u8][random.below(5)];
                    bytes[at] = value;
                }
            }
            Change::Length if length > header => bytes.truncate(header + random.below(length - header).max(1)),
            _ => {}
        }
        let link = link.parse().map_err(|error| format!("{line}: {error}"))?;
        links.entry(link).or_default().push((bytes, length));
    }
    Ok(links)
}

fn write(path: &Path, link: u32, packets: &[(Vec<u8>, usize)]) -> std::io::Result<()> {
    let mut file = Vec::new();
    for field in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, link] {
        file.extend(field.to_le_bytes());
    }
    for (index, (bytes, length)) in packets.iter().enumerate() {
        let stamp = (1_700_000_000 + index as u32, index as u32 * 7919 % 1_000_000);
        for field in [stamp.0, stamp.1, bytes.len() as u32, *length as u32] {
            file.extend(field.to_le_bytes());
        }
        file.extend_from_slice(bytes);
    }
    fs::write(path, file)
}

/// The text of each packet by its number, which `-#` puts before it.
fn by_number(text: &str) -> BTreeMap<usize, String> {
    let mut packets: BTreeMap<usize, String> = BTreeMap::new();
    let mut current = 0;
    for line in text.split_inclusive('\n') {
        let number = line.get(..7).and_then(|head| head.strip_suffix("  ")).and_then(|head| head.trim().parse().ok());
        if let Some(number) = number {
            current = number;
        }
        packets.entry(current).or_default().push_str(line);
    }
    packets
}

/// One form for what differs only in punctuation.
fn even(text: &str) -> String {
    text.replace(" payload length: ", ", payload length ")
        .replace("next-header Options (0)", "next-header HBH (0)")
        .replace("proto Options (0)", "proto HBH (0)")
        .replace("Originator Timestamp: ", "Origin Timestamp:     ")
}

fn newer(text: &str) -> bool {
    let reset = text.contains("Flags [") && text.contains('R') && text.contains(": HTTP");
    let nodes = text.contains("who-are-you") || text.contains("node information");
    reset || nodes || NEWER.iter().any(|mark| text.contains(mark))
}

fn compare(change: Change) -> Result<(), Stop> {
    let peer = lab::tool("tcpdump", "tcpdump")?;
    let dir = TempDir::new("tcpdump-diff")?;
    let (mut lines, mut equal, mut left_out) = (0, 0, 0);
    let mut report = String::new();
    for (link, packets) in packets(change)? {
        let file = dir.0.join(format!("{link}.pcap"));
        write(&file, link, &packets)?;
        // Changed packets with every other set: what a set is for does not depend on the bytes.
        for options in OPTIONS.iter().step_by(if change == Change::None { 1 } else { 2 }) {
            let mut theirs = Command::new(&peer);
            theirs.args(["-#", "-r"]).arg(&file).args(*options).env("TZ", "GMT0");
            let mut ours = Command::new(lab::netkit());
            ours.args(["tcpdump", "-#", "-r"]).arg(&file).args(*options).env("TZ", "GMT0");
            let theirs = lab::run(&mut theirs, LIMIT)?;
            let ours = lab::run(&mut ours, LIMIT)?;
            if ours.status.code() != Some(0) {
                let error = String::from_utf8_lossy(&ours.stderr);
                return Err(format!("link type {link}, {options:?}: {:?} {error}", ours.status).into());
            }
            let wanted = by_number(&String::from_utf8_lossy(&theirs.stdout));
            let got = by_number(&String::from_utf8_lossy(&ours.stdout));
            for (number, text) in &wanted {
                let (text, mine) = (even(text), got.get(number).map(String::as_str).unwrap_or_default());
                if newer(&text) || newer(mine) {
                    left_out += 1;
                    continue;
                }
                lines += text.lines().count();
                let same = text.lines().zip(mine.lines()).filter(|(left, right)| left == right).count();
                equal += if text.lines().count() == mine.lines().count() { same } else { same.saturating_sub(1) };
                if text != mine {
                    let first = text.lines().zip(mine.lines()).find(|(left, right)| left != right);
                    let _ = writeln!(report, "{link} {options:?} {number}: {first:?}");
                }
            }
        }
    }
    let figure = format!("{equal} of {lines} lines equal; {left_out} packets left out");
    if std::env::var_os("NETKIT_TCPDUMP_SHOW").is_some() {
        let _ = writeln!(std::io::stderr(), "{report}{figure}");
    }
    if equal * 100 < lines * WANTED || lines < 1000 {
        report.truncate(4000);
        return Err(format!("{figure}\n{report}").into());
    }
    Ok(())
}
