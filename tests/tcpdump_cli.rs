//! tcpdump-lite's command line on files: what is refused, the forms of capture files, copying, counting, its own modes.

#![allow(clippy::indexing_slicing)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{self, Stop, TempDir, same, trial};

const LIMIT: Duration = Duration::from_secs(120);

/// The trials of this module.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("tcpdump::refusals", refusals),
        trial("tcpdump::file_forms", file_forms),
        trial("tcpdump::copies", copies),
        trial("tcpdump::damaged_files", damaged_files),
        trial("tcpdump::own_modes", own_modes),
    ]
}

fn tcpdump(words: &[&str], dir: &Path) -> Result<Output, Stop> {
    lab::run(Command::new(lab::netkit()).arg("tcpdump").args(words).current_dir(dir).env("TZ", "GMT0"), LIMIT)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// UDP from 10.0.0.1 to 10.0.0.2 with five bytes.
const FRAME: &[u8] = &[
    2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 33, 0, 1, 0, 0, 64, 17, 0x66, 0xc9, 10, 0, 0, 1, 10, 0, 0, 2,
    4, 87, 8, 174, 0, 13, 0, 0, b'h', b'e', b'l', b'l', b'o',
];

/// A file of three packets in either byte order and precision.
fn pcap(big_endian: bool, nano: bool) -> Vec<u8> {
    let word = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut file = Vec::new();
    file.extend(word(if nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }));
    file.extend(half(2));
    file.extend(half(4));
    for field in [0, 0, 65535, 1] {
        file.extend(word(field));
    }
    for index in 0..3u32 {
        let fraction = if nano { 5_000_000 + index } else { 5_000 + index };
        for field in [100 + index, fraction, FRAME.len() as u32, FRAME.len() as u32] {
            file.extend(word(field));
        }
        file.extend_from_slice(FRAME);
    }
    file
}

/// The same in pcapng, with a block that is of no interest and a clock of another resolution.
fn pcapng(big_endian: bool, resolution: u8) -> Vec<u8> {
    let word = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let block = |kind: u32, body: &[u8]| {
        let mut out = word(kind).to_vec();
        let size = body.len().next_multiple_of(4) + 12;
        out.extend(word(size as u32));
        out.extend_from_slice(body);
        out.resize(size - 4, 0);
        out.extend(word(size as u32));
        out
    };
    let mut section = word(0x1a2b_3c4d).to_vec();
    section.extend(half(1));
    section.extend(half(0));
    section.extend([0xff; 8]);
    let mut interface = half(1).to_vec();
    interface.extend(half(0));
    interface.extend(word(65535));
    interface.extend(half(9));
    interface.extend(half(1));
    interface.extend([resolution, 0, 0, 0]);
    interface.extend([0; 4]);
    let mut file = block(0x0a0d_0d0a, &section);
    file.extend(block(5, b"not a packet"));
    file.extend(block(1, &interface));
    let units: u64 = if resolution & 0x80 != 0 { 1 << (resolution & 0x7f) } else { 10u64.pow(u32::from(resolution)) };
    for index in 0..3u64 {
        let stamp = (100 + index) * units + units / 200;
        let mut packet = word(0).to_vec();
        packet.extend(word((stamp >> 32) as u32));
        packet.extend(word(stamp as u32));
        packet.extend(word(FRAME.len() as u32));
        packet.extend(word(FRAME.len() as u32));
        packet.extend_from_slice(FRAME);
        file.extend(block(6, &packet));
    }
    file
}

fn refusals() -> Result<(), Stop> {
    let dir = TempDir::new("tcpdump-refusals")?;
    for (words, status, part) in [
        (&["-E", "x"][..], 2, "-E (decrypting ESP) is not offered"),
        (&["-I"], 2, "-I (monitor mode)"),
        (&["-z", "gzip"], 2, "-z"),
        (&["-r"], 1, "option requires an argument -- 'r'"),
        (&["-r", "no-such-file"], 1, "no-such-file: No such file or directory"),
        (&["-c", "x", "-r", "-"], 1, "invalid packet count x"),
        (&["--no-such"], 1, "unrecognized option '--no-such'"),
        (&["-T", "none", "-r", "-"], 1, "unknown packet type `none'"),
    ] {
        let output = tcpdump(words, &dir.0)?;
        let error = text(&output.stderr);
        if output.status.code() != Some(status) || !error.contains(part) || !output.stdout.is_empty() {
            return Err(format!("{words:?}: {:?} {error}", output.status).into());
        }
    }
    Ok(())
}

fn file_forms() -> Result<(), Stop> {
    let dir = TempDir::new("tcpdump-forms")?;
    let line = |seconds: u32, fraction: &str| {
        format!("00:01:{seconds}.{fraction} IP 10.0.0.1.1111 > 10.0.0.2.2222: UDP, length 5\n")
    };
    let wanted: String = (0..3).map(|index| line(40 + index, &format!("00500{index}"))).collect();
    for big_endian in [false, true] {
        fs::write(dir.0.join("f"), pcap(big_endian, false))?;
        same("micro", &wanted, &text(&tcpdump(&["-n", "-r", "f"], &dir.0)?.stdout))?;
        fs::write(dir.0.join("f"), pcap(big_endian, true))?;
        let nano: String = (0..3).map(|index| line(40 + index, &format!("00500000{index}"))).collect();
        same("nano", &nano, &text(&tcpdump(&["-n", "--nano", "-r", "f"], &dir.0)?.stdout))?;
        let plain: String = (0..3).map(|index| line(40 + index, "005000")).collect();
        for resolution in [3, 6, 9, 0x94] {
            fs::write(dir.0.join("f"), pcapng(big_endian, resolution))?;
            let got = text(&tcpdump(&["-n", "-r", "f"], &dir.0)?.stdout);
            // A clock that counts in powers of two cannot hit the fraction.
            let wanted = if resolution == 0x94 { plain.replace("005000", "004999") } else { plain.clone() };
            same(&format!("pcapng {resolution:#x}"), &wanted, &got)?;
        }
    }
    // From standard input, and a part of it.
    let mut command = Command::new(lab::netkit());
    command.args(["tcpdump", "-n", "-c", "2", "-t", "-r", "-"]);
    fs::write(dir.0.join("f"), pcap(false, false))?;
    let stdin = Stdio::from(fs::File::open(dir.0.join("f"))?);
    let output = lab::run_with(&mut command, stdin, LIMIT)?;
    same("standard input", &"IP 10.0.0.1.1111 > 10.0.0.2.2222: UDP, length 5\n".repeat(2), &text(&output.stdout))?;
    let said = "reading from file -, link-type EN10MB (Ethernet), snapshot length 65535\n";
    same("what is said", said, &text(&output.stderr))?;
    same("the count", "3 packets\n", &text(&tcpdump(&["--count", "-r", "f"], &dir.0)?.stdout))
}

fn copies() -> Result<(), Stop> {
    let dir = TempDir::new("tcpdump-copies")?;
    let file = pcap(cfg!(target_endian = "big"), false);
    fs::write(dir.0.join("in"), &file)?;
    let output = tcpdump(&["-r", "in", "-w", "out"], &dir.0)?;
    if output.status.code() != Some(0) || fs::read(dir.0.join("out"))? != file {
        return Err("a copy is another file".into());
    }
    let output = tcpdump(&["-r", "in", "-w", "-"], &dir.0)?;
    if output.stdout != file {
        return Err("a copy to standard output is another file".into());
    }
    // Nanoseconds stay where they were asked for.
    fs::write(dir.0.join("in"), pcap(cfg!(target_endian = "big"), true))?;
    tcpdump(&["-r", "in", "--nano", "-w", "out"], &dir.0)?;
    if fs::read(dir.0.join("out"))? != fs::read(dir.0.join("in"))? {
        return Err("a copy with nanoseconds is another file".into());
    }
    Ok(())
}

/// A TCP segment without options in Ethernet, with a right IP header.
fn segment(from: (u8, u16), to: (u8, u16), numbers: (u32, u32), flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
    frame.extend((payload.len() as u16 + 40).to_be_bytes());
    frame.extend([0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, from.0, 10, 0, 0, to.0]);
    frame.extend(from.1.to_be_bytes());
    frame.extend(to.1.to_be_bytes());
    frame.extend(numbers.0.to_be_bytes());
    frame.extend(numbers.1.to_be_bytes());
    frame.extend([0x50, flags, 1, 0, 0, 0, 0, 0]);
    frame.extend_from_slice(payload);
    frame
}

fn own_modes() -> Result<(), Stop> {
    let dir = TempDir::new("tcpdump-own")?;
    let (client, server, closed) = ((1, 40000), (2, 80), (2, 81));
    let mut hello = vec![0x16, 3, 1, 0, 73, 1, 0, 0, 69, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x13, 1, 1, 0, 0, 26, 0, 0, 0, 22, 0, 20, 0, 0, 17]);
    hello.extend(b"shop.example.test");
    let packets = [
        segment(client, server, (100, 0), 2, b""),
        segment(server, client, (500, 101), 0x12, b""),
        segment(client, server, (101, 501), 0x10, b""),
        segment(client, server, (101, 501), 0x18, b"GET /cart HTTP/1.1\r\nHost: shop\r\n\r\n"),
        segment(client, server, (101, 501), 0x18, b"GET /cart HTTP/1.1\r\nHost: shop\r\n\r\n"),
        segment(server, client, (501, 135), 0x14, b""),
        segment((3, 40001), closed, (7, 0), 2, b""),
        segment(closed, (3, 40001), (0, 8), 0x14, b""),
        segment((4, 40002), (9, 443), (7, 0), 2, b""),
        segment((4, 40002), (9, 443), (7, 0), 2, b""),
        segment((5, 40003), (9, 443), (8, 1), 0x18, &hello),
    ];
    let mut file = pcap(false, false);
    file.truncate(24);
    for (index, packet) in packets.iter().enumerate() {
        for field in [100, index as u32 * 1000, packet.len() as u32, packet.len() as u32] {
            file.extend(field.to_le_bytes());
        }
        file.extend_from_slice(packet);
    }
    fs::write(dir.0.join("f"), &file)?;
    let flows = "\
tcp 10.0.0.1.40000 > 10.0.0.2.80: 4+2 packets, 68+0 bytes, 5.000 ms, handshake 1.000 ms: reset by the server; 1 sent again by the client
tcp 10.0.0.3.40001 > 10.0.0.2.81: 1+1 packets, 0+0 bytes, 1.000 ms: refused after 1.000 ms: nothing listens, or a rule rejects
tcp 10.0.0.4.40002 > 10.0.0.9.443: 2+0 packets, 0+0 bytes, 1.000 ms: SYN x2, no answer: dropped on the path, or nobody is there
tcp 10.0.0.5.40003 > 10.0.0.9.443: 1+0 packets, 78+0 bytes, 0.000 ms: handshake done, ClientHello sent, no ServerHello; still open
";
    same("--flows", flows, &text(&tcpdump(&["-n", "--flows", "-r", "f"], &dir.0)?.stdout))?;
    let request = "10.0.0.1.40000 > 10.0.0.2.80: GET /cart HTTP/1.1 (host shop)\n";
    same("--http", &request.repeat(2), &text(&tcpdump(&["-n", "-t", "--http", "-r", "f"], &dir.0)?.stdout))?;
    let hello = "10.0.0.5.40003 > 10.0.0.9.443: ClientHello shop.example.test\n";
    same("--sni", hello, &text(&tcpdump(&["-n", "-t", "--sni", "-r", "f"], &dir.0)?.stdout))?;
    let output = tcpdump(&["-n", "--json", "-r", "f"], &dir.0)?;
    for (number, line) in text(&output.stdout).lines().enumerate() {
        let value: serde_json::Value = serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))?;
        if value["number"] != number + 1 || value["schema"] != "netkit-tcpdump/1" || !value["text"].is_string() {
            return Err(format!("--json: {line}").into());
        }
    }
    Ok(())
}

fn damaged_files() -> Result<(), Stop> {
    let dir = TempDir::new("tcpdump-damaged")?;
    let (whole, ng) = (pcap(false, false), pcapng(false, 6));
    for (bytes, part) in [
        (&b""[..], "truncated dump file; tried to read 4 file header bytes, only got 0"),
        (b"GIF89a and more of it", "unknown file format"),
        (&whole[..20], "truncated dump file; tried to read 24 file header bytes, only got 20"),
        (&whole[..30], "pcap_loop: truncated dump file; tried to read 16 header bytes, only got 6"),
        (&whole[..60], "pcap_loop: truncated dump file; tried to read 47 captured bytes, only got 20"),
        (&ng[..ng.len() - 7], "truncated pcapng dump file"),
    ] {
        fs::write(dir.0.join("f"), bytes)?;
        let output = tcpdump(&["-n", "-r", "f"], &dir.0)?;
        let error = text(&output.stderr);
        if output.status.code() != Some(1) || !error.contains(part) {
            return Err(format!("{part}: {:?} {error}", output.status).into());
        }
    }
    // What came before the damage has been printed.
    fs::write(dir.0.join("f"), &whole[..whole.len() - 3])?;
    let output = tcpdump(&["-n", "-t", "-r", "f"], &dir.0)?;
    if output.stdout.split(|byte| *byte == b'\n').count() != 3 {
        return Err(format!("before the damage: {}", text(&output.stdout)).into());
    }
    Ok(())
}
