//! `portscan` as nobody without any capability: the whole table of what a firewall can do, every port of a host, the
//! formats of nmap and masscan, and Debian's nmap over the same targets.

#![allow(clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::firewall::{Firewall, ROUTER, RULES, SCANNER, TARGET};
use crate::lab::{self, Stop, TempDir, same, trial};

const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("portscan::firewall_matrix", matrix),
        trial("portscan::same_ports_as_nmap", as_nmap),
        trial("portscan::every_port_of_a_host", every_port),
        trial("portscan::formats", formats),
        trial("portscan::expectations", expectations),
        trial("portscan::refused_by_name", refused),
        trial("portscan::within_its_descriptors", descriptors),
    ]
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The lab, and the binary where everybody may run it.
struct Stage {
    lab: Firewall,
    dir: TempDir,
}

impl Stage {
    fn new() -> Result<Stage, Stop> {
        let lab = Firewall::new()?;
        let dir = TempDir::new("portscan")?;
        lab::binary_for_everybody(&dir.0)?;
        Ok(Stage { lab, dir })
    }

    fn binary(&self) -> PathBuf {
        self.dir.0.join("netkit")
    }

    fn run(&self, line: &str) -> Result<Output, Stop> {
        let mut command = self.lab.unprivileged(self.binary())?;
        lab::run(command.arg("portscan").args(line.split(' ')), LIMIT)
    }

    /// Port to state, reason and who rejected.
    fn ports(&self, line: &str) -> Result<BTreeMap<u64, String>, Stop> {
        let output = self.run(&format!("--json -n -Pn {line}"))?;
        if output.stdout.is_empty() {
            return Err(Stop::Fail(format!("{line}: {}: {}", output.status, text(&output.stderr))));
        }
        let mut found = BTreeMap::new();
        for row in text(&output.stdout).lines() {
            let host: Value = serde_json::from_str(row).map_err(|error| format!("{error}: {row}"))?;
            for port in host["ports"].as_array().into_iter().flatten() {
                let word = |key: &str| port[key].as_str().unwrap_or("-").to_owned();
                let shown = format!("{} {} {}", word("state"), word("reason"), word("rejected_by"));
                found.insert(port["port"].as_u64().unwrap_or(0), shown);
            }
        }
        Ok(found)
    }
}

/// The reason that goes with an ICMP type and code.
pub fn reason(six: bool, icmp: (u8, u8)) -> &'static str {
    match (six, icmp) {
        (false, (3, 0)) => "net-unreach",
        (false, (3, 1)) => "host-unreach",
        (false, (3, 2)) => "proto-unreach",
        (false, (3, 3)) | (true, (1, 4)) => "port-unreach",
        (false, (3, 9)) => "net-prohibited",
        (false, (3, 10)) => "host-prohibited",
        (false, (3, 13)) | (true, (1, 1)) => "admin-prohibited",
        (true, (1, 0)) => "no-route",
        // nmap has no word of its own for these.
        (true, (1, 3)) => "host-unreach",
        (true, (1, 5)) => "admin-prohibited",
        (true, (1, 6)) => "reject-route",
        _ => "unknown",
    }
}

fn matrix() -> Result<(), Stop> {
    let stage = Stage::new()?;
    let mut cells = 0;
    let mut wrong = Vec::new();
    for (index, flag) in ["", "-6 "].into_iter().enumerate() {
        let [Some(target), Some(router), Some(own)] = [TARGET, ROUTER, SCANNER].map(|pair| pair.get(index).copied())
        else {
            continue;
        };
        for udp in [false, true] {
            let kind = if udp { "-sU" } else { "-sT" };
            let mut expected: BTreeMap<u64, String> = BTreeMap::new();
            for rule in RULES {
                let with = if index == 0 { rule.four } else { rule.six };
                let icmp = rule.icmp.get(index).copied().flatten();
                let shown = match (with, icmp) {
                    ("", _) => continue,
                    ("tcp-reset", _) if udp => continue,
                    ("tcp-reset", _) => "closed conn-refused -".to_owned(),
                    ("DROP", _) if udp => "open|filtered no-response -".to_owned(),
                    ("DROP", _) => "filtered no-response -".to_owned(),
                    (_, Some(icmp)) => format!("filtered {} {router}", reason(index == 1, icmp)),
                    (_, None) => continue,
                };
                expected.insert(u64::from(rule.port), shown);
            }
            if udp {
                expected.insert(1001, "closed port-unreach -".to_owned());
                expected.insert(8000, "open udp-response -".to_owned());
                expected.insert(8001, "open|filtered no-response -".to_owned());
            } else {
                expected.insert(1001, "closed conn-refused -".to_owned());
                for port in 8000..8004 {
                    expected.insert(port, "open syn-ack -".to_owned());
                }
            }
            let list: Vec<String> = expected.keys().map(ToString::to_string).collect();
            let found = stage.ports(&format!("{flag}{kind} -p {} {target}", list.join(",")))?;
            for (port, shown) in &expected {
                cells += 1;
                let seen = found.get(port).map_or("not reported", String::as_str);
                if seen != shown {
                    wrong.push(format!("{kind} {target} port {port}: {seen}, expected {shown}"));
                }
            }
            // Hosts that are not there, and ways that do not exist.
            let hosts = if index == 0 {
                [
                    ("10.1.0.77", format!("filtered host-unreach {own}")),
                    ("203.0.113.1", "filtered net-unreach -".into()),
                ]
            } else {
                [("fd01::77", format!("filtered host-unreach {own}")), ("2001:db8::1", "filtered net-unreach -".into())]
            };
            for (host, shown) in hosts {
                cells += 1;
                let found = stage.ports(&format!("{flag}{kind} --initial-rtt-timeout 5s -p 80 {host}"))?;
                let seen = found.get(&80).map_or("not reported", String::as_str);
                if seen != shown {
                    wrong.push(format!("{kind} {host}: {seen}, expected {shown}"));
                }
            }
        }
    }
    if wrong.is_empty() && cells >= 50 {
        return Ok(());
    }
    Err(Stop::Fail(format!("{} of {cells} cells:\n{}", wrong.len(), wrong.join("\n"))))
}

/// The results in a line of `-oG`: ports with state and protocol, and what was only counted; names are each one's own.
fn results(output: &Output) -> String {
    let mut shown = format!("{:?}\n", output.status.code());
    for line in text(&output.stdout).lines().filter(|line| !line.starts_with('#')) {
        for (at, field) in line.split('\t').enumerate() {
            let field = match field.strip_prefix("Ports: ") {
                Some(list) => list
                    .split(", ")
                    .map(|port| port.split('/').take(3).collect::<Vec<_>>().join("/"))
                    .collect::<Vec<_>>()
                    .join(", "),
                None => field.to_owned(),
            };
            shown += if at > 0 { "\t" } else { "" };
            shown += &field;
        }
        shown.push('\n');
    }
    shown
}

fn as_nmap() -> Result<(), Stop> {
    let stage = Stage::new()?;
    let nmap = lab::tool("nmap", "nmap")?;
    let mut wrong = Vec::new();
    // Ports that no rule of the firewall touches: there nmap sees no difference between a router and the host.
    let ports = [
        "80",
        "8000",
        "8000-8003",
        "8000,8001",
        "8003,8000",
        "1-30",
        "1-25",
        "1-26",
        "7990-8010",
        "1,2,3,8000",
        "20-22,25",
        "T:8000",
        "65535",
        "65500-",
        "-20",
        "0",
        "0-5",
        "8000-8000",
        "443,80,8000",
        "T:80,T:8001",
        "9000-9050,8000-8003",
        "1001,8000",
        "8000-8003,1001,9999",
        "100-180",
        "60000-60024",
        "60000-60025",
    ];
    let mut lines: Vec<String> = ports.iter().map(|ports| format!("-p {ports} 10.2.0.2")).collect();
    lines.extend(["8000", "1-30,8000", "8000-8003"].map(|ports| format!("-6 -p {ports} fd02::2")));
    lines.extend(
        [
            "-p 8000 10.2.0.1-2",
            "-p 8000 10.2.0.2/32",
            "-p 80 10.2.0.1,2",
            "-p 8000,80 10.2.0.2 10.2.0.1",
            "-p 8000 --exclude 10.2.0.1 10.2.0.1-2",
            "-p 8000-8003 --exclude-ports 8001 10.2.0.2",
            "--open -p 7990-8003 10.2.0.2",
            "--open -p 80 10.2.0.2",
            "-r -p 8000-8002 10.2.0.2",
            "-T4 -p 8000-8002 10.2.0.2",
            "-T5 -p 8000-8002 10.2.0.2",
            "-v -p 8000 10.2.0.2",
            "--max-retries 1 -p 8000 10.2.0.2",
            "-p 8000 127.0.0.1",
        ]
        .map(str::to_owned),
    );
    for line in &lines {
        let words: Vec<&str> = ["-n", "-Pn", "-sT", "-oG", "-"].into_iter().chain(line.split(' ')).collect();
        let peer = results(&lab::run(stage.lab.command(&nmap).args(&words), LIMIT)?);
        let ours = results(&stage.run(&words.join(" "))?);
        if peer != ours {
            wrong.push(format!("`{line}`\n--- nmap\n{peer}--- portscan\n{ours}"));
        }
    }
    // What is wrong with a command line, in the same words.
    for line in ["-p x 127.0.0.1", "-p 70000 127.0.0.1", "-p 5-3 127.0.0.1"] {
        let words: Vec<&str> = line.split(' ').collect();
        let peer = lab::run(stage.lab.command(&nmap).args(&words), LIMIT)?;
        let ours = stage.run(line)?;
        if (text(&peer.stderr), peer.status.code()) != (text(&ours.stderr), ours.status.code()) {
            wrong.push(format!("`{line}`\n{}{}", text(&peer.stderr), text(&ours.stderr)));
        }
    }
    if wrong.is_empty() && lines.len() >= 40 {
        return Ok(());
    }
    Err(Stop::Fail(format!("{} of {} lines:\n{}", wrong.len(), lines.len(), wrong.join("\n"))))
}

fn every_port() -> Result<(), Stop> {
    let stage = Stage::new()?;
    for target in ["10.2.0.2", "-6 fd02::2"] {
        let found = stage.ports(&format!("-p- {target}"))?;
        let open: Vec<String> =
            found.iter().filter(|(_, shown)| shown.starts_with("open ")).map(|(port, _)| port.to_string()).collect();
        same(target, &open.join(" "), "8000 8001 8002 8003")?;
        same("ports reported", &found.len().to_string(), "65535")?;
    }
    // On one machine a port may meet itself, which is nobody.
    let found = stage.ports("-p 30000-60999 127.0.0.1")?;
    let open = found.values().filter(|shown| shown.starts_with("open ")).count();
    same("open on loopback", &open.to_string(), "0")
}

fn formats() -> Result<(), Stop> {
    let stage = Stage::new()?;
    let list = |line: &str| -> Result<String, Stop> { Ok(text(&stage.run(line)?.stdout)) };
    let shown = list("-n -p 8000,80 -oJ - 10.2.0.2")?;
    let value: Value = serde_json::from_str(&shown).map_err(|error| format!("{error}: {shown}"))?;
    let at = |pointer: &str| value.pointer(pointer).map(ToString::to_string).unwrap_or_default();
    let pointers = ["/0/ip", "/0/ports/0/port", "/0/ports/0/status", "/0/ports/0/reason", "/1"];
    same("-oJ", &pointers.map(at).join(" "), r#""10.2.0.2" 8000 "open" "syn-ack" "#)?;
    let shown = list("-n -p 8000-8001 -oL - 10.2.0.2")?;
    let lines: Vec<&str> = shown.lines().collect();
    let first = lines.get(1).copied().unwrap_or_default();
    if lines.len() != 4 || !first.starts_with("open tcp 8000 10.2.0.2 ") {
        return Err(Stop::Fail(shown));
    }
    // Every start has its end, in order.
    let shown = list("-n -p 1-30,1004,8000 -oX - 10.2.0.2")?;
    let mut open: Vec<String> = Vec::new();
    for part in shown.split('<').skip(1) {
        let tag = part.split('>').next().unwrap_or_default();
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default().to_owned();
        if tag.starts_with('/') {
            same("closing tag", &name, &open.pop().unwrap_or_default())?;
        } else if !tag.starts_with(['?', '!']) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    same("open tags", &open.join(" "), "")?;
    for part in [
        "xmloutputversion=\"1.05\"",
        "<port protocol=\"tcp\" portid=\"1004\"><state state=\"filtered\" reason=\"admin-prohibited\" reason_ttl=\"0\" reason_ip=\"10.1.0.1\"/></port>",
        "<extraports state=\"closed\" count=\"30\">",
        "<extrareasons reason=\"conn-refused\" count=\"30\" proto=\"tcp\" ports=\"1-30\"/>",
        "<hosts up=\"1\" down=\"0\" total=\"1\"/>",
    ] {
        if !shown.contains(part) {
            return Err(Stop::Fail(format!("no {part} in {shown}")));
        }
    }
    let shown = list("-n --reason -p 1003,8000,80 10.2.0.2")?;
    for row in [
        "PORT     STATE    SERVICE REASON",
        "80/tcp   closed   http    conn-refused",
        "1003/tcp filtered unknown port-unreach from 10.1.0.1",
    ] {
        if !shown.lines().any(|line| line == row) {
            return Err(Stop::Fail(format!("no `{row}` in {shown}")));
        }
    }
    let open: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&stage.dir.0, open)?;
    let base = stage.dir.0.join("out");
    let output = stage.run(&format!("-n -p 8000 -oA {} 10.2.0.2", base.display()))?;
    same("status of -oA", &format!("{:?}", output.status.code()), "Some(0)")?;
    for (ending, part) in [("nmap", "8000/tcp open"), ("gnmap", "8000/open/tcp"), ("xml", "portid=\"8000\"")] {
        let written = std::fs::read_to_string(base.with_extension(ending))?;
        if !written.contains(part) {
            return Err(Stop::Fail(format!("{ending}: {written}")));
        }
    }
    // A group of hosts, of which two are there.
    let shown = list("-n -sn 10.2.0.0/30")?;
    if shown.contains("4 IP addresses (2 hosts up)") { Ok(()) } else { Err(Stop::Fail(shown)) }
}

fn expectations() -> Result<(), Stop> {
    let stage = Stage::new()?;
    for (expected, status, said) in [
        ("8000 open,80 closed", 0, ""),
        ("8000 closed", 1, "10.2.0.2: 8000/tcp is open, expected closed\n"),
        ("22 open", 1, "10.2.0.2: 22/tcp is not asked, expected open\n"),
        ("x open", 2, "portscan: --expect: not a port and a state: x open\n"),
    ] {
        let mut command = stage.lab.unprivileged(stage.binary())?;
        command.args(["portscan", "-n", "-p", "8000,80", "--expect", expected, "10.2.0.2"]);
        let output = lab::run(&mut command, LIMIT)?;
        let seen = format!("{:?} {}", output.status.code(), text(&output.stderr));
        same(expected, &seen, &format!("Some({status}) {said}"))?;
    }
    Ok(())
}

fn refused() -> Result<(), Stop> {
    for line in [
        "-sO h",
        "-sSO h",
        "-O h",
        "-A h",
        "-D a h",
        "--script x h",
        "-sI z h",
        "--traceroute h",
        "-f h",
        "-sC h",
        "-PO h",
    ] {
        let output = lab::run(Command::new(lab::netkit()).arg("nmap").args(line.split(' ')), LIMIT)?;
        let said = text(&output.stderr);
        if output.status.code() != Some(2) || !said.contains("is not offered: ") {
            return Err(Stop::Fail(format!("{line}: {:?} {said}", output.status)));
        }
    }
    Ok(())
}

/// With few descriptors everything is found all the same.
fn descriptors() -> Result<(), Stop> {
    let stage = Stage::new()?;
    let script =
        format!("ulimit -n 60; exec \"{}\" portscan -n -Pn -p 7000-9000 -oG - 10.2.0.2", stage.binary().display());
    let mut command = stage.lab.unprivileged("sh")?;
    let shown = text(&lab::run(command.args(["-c", &script]), LIMIT)?.stdout);
    if shown.contains("8000/open") && shown.contains("8003/open") && shown.contains("Ignored State: closed (1997)") {
        return Ok(());
    }
    Err(Stop::Fail(shown))
}
