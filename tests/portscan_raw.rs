//! `portscan` with packets of its own: the firewall's table with TTLs, Debian's nmap over the same targets in two formats,
//! loss, rate, memory, what is left behind; and what no peer has: repetitions, Services, an end by SIGINT.

#![allow(clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::firewall::{Firewall, ROUTER, RULES, SCANNER, TARGET};
use crate::lab::{self, Stop, TempDir, same, tls, trial};
use crate::portscan::{reason, text};

const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("portscan_raw::firewall_matrix", matrix),
        trial("portscan_raw::same_as_nmap", as_nmap),
        trial("portscan_raw::nothing_missed_with_loss", loss),
        trial("portscan_raw::never_faster_than_asked_for", rate),
        trial("portscan_raw::memory_does_not_grow_with_hosts", memory),
        trial("portscan_raw::nothing_is_left_behind", left_behind),
        trial("portscan_raw::without_the_capability", fallen_back),
        trial("portscan_raw::interrupted", interrupted),
        trial("portscan_raw::repetitions", repetitions),
        trial("portscan_raw::services", services),
        trial("portscan_raw::versions", versions),
    ]
}

/// portscan on the scanner, as root.
fn scanner(lab: &Firewall, line: &str) -> Command {
    let mut command = lab.command(lab::netkit());
    command.arg("portscan").args(line.split(' '));
    command
}

fn scan(lab: &Firewall, line: &str) -> Result<Output, Stop> {
    lab::run(&mut scanner(lab, line), LIMIT)
}

/// Each host's line of JSON.
fn hosts(output: &Output) -> Result<Vec<Value>, Stop> {
    let parse = |line: &str| serde_json::from_str(line).map_err(|error| Stop::Fail(format!("{error}: {line}")));
    let hosts: Result<Vec<Value>, Stop> = text(&output.stdout).lines().map(parse).collect();
    hosts.and_then(|hosts| if hosts.is_empty() { Err(Stop::Fail(format!("{output:?}"))) } else { Ok(hosts) })
}

/// Runs something that must succeed.
fn done(command: &mut Command) -> Result<String, Stop> {
    let output = lab::run(command, LIMIT)?;
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(Stop::Fail(format!("{command:?}: {output:?}"))) }
}

fn matrix() -> Result<(), Stop> {
    let lab = Firewall::new()?;
    let (mut cells, mut wrong) = (0, Vec::new());
    for (index, flag) in ["", "-6 "].into_iter().enumerate() {
        let [target, router, own] = [TARGET, ROUTER, SCANNER].map(|pair| pair[index]);
        for kind in ["-sS", "-sA", "-sF", "-sU"] {
            let udp = kind == "-sU";
            let (closed, silent, open) = match kind {
                "-sS" => ("closed reset", "filtered", "open syn-ack - 63"),
                "-sA" => ("unfiltered reset", "filtered", "unfiltered reset - 63"),
                "-sF" => ("closed reset", "open|filtered", "open|filtered no-response - -"),
                _ => ("closed port-unreach", "open|filtered", "open udp-response - 63"),
            };
            let mut expected: BTreeMap<u64, String> = BTreeMap::new();
            for rule in RULES {
                let with = if index == 0 { rule.four } else { rule.six };
                let shown = match (with, rule.icmp[index]) {
                    ("", _) => continue,
                    ("tcp-reset", _) if udp => format!("{closed} - 63"),
                    // The router's own, one hop nearer than the target's.
                    ("tcp-reset", _) => format!("{closed} - 64"),
                    ("DROP", _) => format!("{silent} no-response - -"),
                    (_, Some(icmp)) => format!("filtered {} {router} 64", reason(index == 1, icmp)),
                    (_, None) => continue,
                };
                expected.insert(u64::from(rule.port), shown);
            }
            expected.insert(1001, format!("{closed} - 63"));
            expected.insert(8000, open.to_owned());
            if udp {
                expected.insert(8001, format!("{silent} no-response - -"));
            }
            let list: Vec<String> = expected.keys().map(ToString::to_string).collect();
            let mut check = |line: &str, expected: &BTreeMap<u64, String>| -> Result<(), Stop> {
                let found = &hosts(&scan(&lab, &format!("--json -n -Pn {flag}{kind} {line}"))?)?[0]["ports"];
                for (port, shown) in expected {
                    cells += 1;
                    let one = found.as_array().into_iter().flatten().find(|one| one["port"] == *port);
                    let seen = one.map_or("not reported".to_owned(), |one| {
                        let word = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
                        let ttl = one["ttl"].as_u64().map_or("-".to_owned(), |ttl| ttl.to_string());
                        format!("{} {} {} {ttl}", word("state"), word("reason"), word("rejected_by"))
                    });
                    if seen != *shown {
                        wrong.push(format!("{kind} {line}, port {port}: {seen}, expected {shown}"));
                    }
                }
                Ok(())
            };
            check(&format!("-p {} {target}", list.join(",")), &expected)?;
            // Nobody on the link, no route at the router, no route here.
            let six = index == 1;
            let beyond = if six { "no-route" } else { "net-unreach" };
            for (host, shown) in [
                (["10.1.0.77", "fd01::77"][index], format!("filtered host-unreach {own} 64")),
                (["10.9.0.1", "fd09::1"][index], format!("filtered {beyond} {router} 64")),
                (["203.0.113.1", "2001:db8::1"][index], "filtered net-unreach - -".to_owned()),
            ] {
                check(&format!("--initial-rtt-timeout 5s -p 80 {host}"), &BTreeMap::from([(80, shown)]))?;
            }
        }
    }
    if wrong.is_empty() && cells >= 100 {
        return Ok(());
    }
    Err(Stop::Fail(format!("{} of {cells} cells:\n{}", wrong.len(), wrong.join("\n"))))
}

/// A line of output without what changes from run to run and without names of ports, which are each one's own.
fn masked(line: &str) -> String {
    let mut line = line.to_owned();
    for key in ["args", "start", "startstr", "version", "time", "timestr", "summary", "elapsed", "starttime", "endtime"]
        .iter()
        .chain(&["srtt", "rttvar", "to"])
    {
        let head = format!(" {key}=\"");
        if let Some(at) = line.find(&head) {
            let from = at + head.len();
            let to = line[from..].find('"').map_or(line.len(), |to| from + to);
            line.replace_range(from..to, "");
        }
    }
    if let Some(at) = line.find("<service ") {
        let to = line[at..].find("/>").map_or(line.len(), |to| at + to + 2);
        line.replace_range(at..to, "");
    }
    let fields = line.split('\t').map(|field| match field.strip_prefix("Ports: ") {
        Some(list) => {
            let ports = list.split(", ").map(|port| port.split('/').take(4).collect::<Vec<_>>().join("/"));
            format!("Ports: {}", ports.collect::<Vec<_>>().join(", "))
        }
        None => field.to_owned(),
    });
    fields.collect::<Vec<_>>().join("\t")
}

/// Everything that means something, from `-oX -` and the file of `-oG`.
fn results(output: &Output, grepable: &str) -> String {
    let volatile = ["<!--", "<?xml", "# Nmap", "# portscan", "<task"];
    let shown = text(&output.stdout);
    let lines =
        shown.lines().chain(grepable.lines()).filter(|line| !volatile.iter().any(|head| line.starts_with(head)));
    let lines: Vec<String> = lines.map(masked).collect();
    format!("{:?}\n{}\n{}", output.status.code(), text(&output.stderr), lines.join("\n"))
}

fn as_nmap() -> Result<(), Stop> {
    let lab = Firewall::new()?;
    let nmap = lab::tool("nmap", "nmap")?;
    let dir = TempDir::new("portscan-raw")?;
    // Silence takes nmap a second, so few of these have any.
    let lines = [
        "-p 8000 10.2.0.2",
        "-p 1001-1010,8000-8003 10.2.0.2",
        "-6 -p 1001-1010,8000-8003 fd02::2",
        "-sU -p 1001,1003-1010,8000 10.2.0.2",
        "-6 -sU -p 1001,1003-1009,8000,8001 fd02::2",
        "-sSU -p T:8000-8003,U:8000,9000 10.2.0.2",
        "-sA -p 1001,1003-1010,8000 10.2.0.2",
        "-sF -p 1001,1003-1010 10.2.0.2",
        "-sN -p 1001,1003-1010 10.2.0.2",
        "-sX -p 1001,1003-1010 10.2.0.2",
        "-sM -p 1001,1003-1010,8000 10.2.0.2",
        "-sW -p 1001,1003-1010,8000 10.2.0.2",
        "-6 -sA -p 1001,1003-1010,8000 fd02::2",
        "-6 -sF -p 1001,1003-1009 fd02::2",
        "-p 80 10.2.0.1",
        "-p 80 10.1.0.1",
        "-6 -p 80 fd01::1",
        "-p 80 10.1.0.2",
        "-p 80 127.0.0.1",
        "-6 -p 80 ::1",
        "-Pn -p 80,8000 10.2.0.2",
        "-Pn -p 80 10.1.0.1",
        "-Pn -p 80 10.9.0.1",
        "-p 1-100 10.2.0.2",
        "-p 1-25 10.2.0.2",
        "-p 1-26 10.2.0.2",
        "-p 1-30,1004,8000 10.2.0.2",
        "-p 65530- 10.2.0.2",
        "-p -5 10.2.0.2",
        "-p 0-5 10.2.0.2",
        "-p 80,443, 10.2.0.2",
        "-p T:80 10.2.0.2",
        "-p U:53 -sS 10.2.0.2",
        "-p T:80,U:53 -sS 10.2.0.2",
        "-p 1-2-3 10.2.0.2",
        "-p , 10.2.0.2",
        "-p 70000 10.2.0.2",
        "--open -p 7990-8010 10.2.0.2",
        "--open -p 1-60,8000 10.2.0.2",
        "--open -p 80-90 10.2.0.2",
        "--exclude 10.2.0.1 -p 8000 10.2.0.1-2",
        "--exclude 10.2.0.2 -p 80 10.2.0.2",
        "--exclude-ports 8001 -p 8000-8003 10.2.0.2",
        "-PE -p 80 10.2.0.2",
        "-PS8000 -p 80 10.2.0.2",
        "-PA80 -p 80 10.2.0.2",
        "-PU -p 80 10.2.0.2",
        "-PP -p 80 10.2.0.2",
        "-sn 10.2.0.2",
        "-sn 10.1.0.1,2",
        "-sn -6 fd01::1 fd01::2",
        "-sL 10.2.0.0/30",
        "-T4 -p 8000-8003 10.2.0.2",
        "-T5 -p 8000-8003 10.2.0.2",
        "-g 53 -p 8000 10.2.0.2",
        "-e s0 -p 8000 10.2.0.2",
        "-sS -sA -p 80 10.2.0.2",
        "-p 80 ::1",
        "10.0.0.1/ -p 80",
    ];
    let mut wrong = Vec::new();
    for line in lines {
        let both = [(&nmap, ""), (&lab::netkit(), "nmap")].map(|(program, applet)| -> Result<String, Stop> {
            let file = dir.0.join(format!("{}.gnmap", if applet.is_empty() { "nmap" } else { "ours" }));
            let mut command = lab.command(program);
            command.args(Some(applet).filter(|applet| !applet.is_empty()));
            command.args(["-n", "-oX", "-", "-oG"]).arg(&file).args(line.split(' '));
            let output = lab::run(&mut command, LIMIT)?;
            let written = std::fs::read_to_string(&file).unwrap_or_default();
            let _ = std::fs::remove_file(&file);
            Ok(results(&output, &written))
        });
        let [Ok(peer), Ok(ours)] = both else { return Err(Stop::Fail(format!("`{line}`: {both:?}"))) };
        if peer != ours {
            wrong.push(format!("`{line}`\n--- nmap\n{peer}\n--- portscan\n{ours}"));
        }
    }
    if wrong.is_empty() && lines.len() >= 40 {
        return Ok(());
    }
    Err(Stop::Fail(format!("{} of {} lines:\n{}", wrong.len(), lines.len(), wrong.join("\n"))))
}

/// A router that loses one packet of a hundred in each direction: ten scans of eight thousand ports, none wrong.
fn loss() -> Result<(), Stop> {
    let lab = Firewall::new()?;
    let lose = "-I FORWARD -m statistic --mode random --probability 0.01 -j DROP";
    done(lab.on_router("iptables").args(lose.split(' ')))?;
    for run in 0..10 {
        let kind = if run % 5 == 4 { "-sT" } else { "-sS" };
        let shown = text(&scan(&lab, &format!("-n -Pn {kind} -p 4001-12000 -oG - 10.2.0.2"))?.stdout);
        let line = shown.lines().find(|line| line.contains("Ports: ")).unwrap_or_default();
        let open: Vec<&str> =
            line.split([' ', '\t']).filter(|word| word.contains("/open/")).map(|word| &word[..4]).collect();
        same(&format!("run {run}, {kind}"), &open.join(" "), "8000 8001 8002 8003")?;
        if !line.ends_with("Ignored State: closed (7996)") {
            return Err(Stop::Fail(format!("run {run}, {kind}: {line}")));
        }
    }
    Ok(())
}

/// Segments that the router has let through to the target, by its own counter.
fn counted(lab: &Firewall) -> Result<u64, Stop> {
    let listed = done(lab.on_router("iptables").args("-nvxL COUNT".split(' ')))?;
    let count = listed.lines().nth(2).and_then(|line| line.split_whitespace().next()?.parse().ok());
    count.ok_or(Stop::Fail(listed))
}

fn count_from_now(lab: &Firewall) -> Result<(), Stop> {
    for line in ["-N COUNT", "-A COUNT -p tcp -d 10.2.0.2 -j RETURN", "-I FORWARD -j COUNT"] {
        done(lab.on_router("iptables").args(line.split(' ')))?;
    }
    Ok(())
}

fn rate() -> Result<(), Stop> {
    const RATE: f64 = 400.0;
    let lab = Firewall::new()?;
    for kind in ["-sS", "-sT"] {
        let began = Instant::now();
        let before = lab.sent()?;
        let mut samples = vec![(began, Instant::now(), before)];
        let mut command = scanner(&lab, &format!("-n -Pn {kind} --max-rate {RATE} -p 3001-3600 -oG - 10.2.0.2"));
        let mut child = command.stdout(Stdio::null()).spawn()?;
        while child.try_wait()?.is_none() {
            let from = Instant::now();
            let count = lab.sent()?;
            samples.push((from, Instant::now(), count));
            if began.elapsed() > LIMIT {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Stop::Fail(format!("{kind} does not end")));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        // Between the start of one reading and the end of a later one no more than the rate allows, one, and a question for
        // the neighbour. A router may hand on at once what came to it in turn, so it is the sender that is looked at.
        for (at, (first, _, less)) in samples.iter().enumerate() {
            for (_, last, more) in &samples[at..] {
                let allowed = RATE * last.duration_since(*first).as_secs_f64() + 3.0;
                if (more - less) as f64 > allowed {
                    return Err(Stop::Fail(format!("{kind}: {} packets, {allowed:.0} were allowed", more - less)));
                }
            }
        }
        let sent = lab.sent()? - before;
        if sent < 600 {
            return Err(Stop::Fail(format!("{kind}: only {sent} packets came through")));
        }
    }
    Ok(())
}

/// The most memory that a scan had resident, in KiB.
fn peak(lab: &Firewall, line: &str) -> Result<u64, Stop> {
    let mut command = scanner(lab, line);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let (mut most, began) = (0, Instant::now());
    while child.try_wait()?.is_none() {
        let shown = std::fs::read_to_string(&status).unwrap_or_default();
        let mark = shown.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(mark.unwrap_or(0));
        if began.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Stop::Fail(format!("`{line}` does not end")));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(most)
}

fn memory() -> Result<(), Stop> {
    let lab = Firewall::new()?;
    let reject = "-I FORWARD -p tcp -d 10.64.0.0/16 -j REJECT --reject-with tcp-reset";
    done(lab.on_router("iptables").args(reject.split(' ')))?;
    // A reset needs a way to the host it stands for.
    done(lab.on_router("ip").args("route add 10.64.0.0/16 via 10.2.0.2".split(' ')))?;
    let small = peak(&lab, "-n -Pn -p 80 -oG - 10.64.0.0/20")?;
    let large = peak(&lab, "-n -Pn -p 80 -oG - 10.64.0.0/16")?;
    if small > 0 && large < small + 4096 {
        return Ok(());
    }
    Err(Stop::Fail(format!("{small} KiB for a /20, {large} KiB for a /16")))
}

/// Both ends of every TCP socket of the scanner.
fn pairs(lab: &Firewall) -> Result<Vec<String>, Stop> {
    let listed = done(lab.command("ss").args(["-Htan"]))?;
    Ok(listed.lines().map(|line| line.split_whitespace().skip(3).collect::<Vec<_>>().join(" ")).collect())
}

fn left_behind() -> Result<(), Stop> {
    let lab = Firewall::new()?;
    // The lab's own last connections, in whatever state.
    let before = pairs(&lab)?;
    for target in ["10.2.0.2", "-6 fd02::2"] {
        let found = hosts(&scan(&lab, &format!("--json -n -sS -p 8000-8003 {target}"))?)?;
        let open = found[0]["ports"].as_array().into_iter().flatten().filter(|port| port["state"] == "open").count();
        same("open", &open.to_string(), "4")?;
    }
    // What is half open would stay so for a minute.
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let half = done(lab.at_target("ss").args("-Htan state syn-recv".split(' ')))?;
        if half.trim().is_empty() {
            break;
        }
        if Instant::now() > until {
            return Err(Stop::Fail(half));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let more: Vec<String> = pairs(&lab)?.into_iter().filter(|pair| !before.contains(pair)).collect();
    same("sockets of the scanner", &more.join("\n"), "")
}

fn fallen_back() -> Result<(), Stop> {
    let lab = Firewall::new()?;
    let dir = TempDir::new("portscan-raw")?;
    let copy = lab::binary_for_everybody(&dir.0)?;
    let run = |line: &str| -> Result<(String, String), Stop> {
        let mut command = lab.unprivileged(&copy)?;
        let output = lab::run(command.arg("portscan").args(line.split(' ')), LIMIT)?;
        Ok((format!("{:?} {}", output.status.code(), text(&output.stdout)), text(&output.stderr)))
    };
    let (shown, said) = run("-n -Pn -sS -p 8000 -oG - 10.2.0.2")?;
    if !shown.contains("8000/open/tcp") || said.lines().count() != 1 || !said.contains("CAP_NET_RAW") {
        return Err(Stop::Fail(format!("{shown}{said}")));
    }
    // Nobody asked for them, so nothing is missing.
    let (shown, said) = run("-n -Pn -p 8000 -oG - 10.2.0.2")?;
    if !shown.contains("8000/open/tcp") || !said.is_empty() {
        return Err(Stop::Fail(format!("{shown}{said}")));
    }
    for kind in ["-sA", "-sF", "-sX", "-sN", "-sW", "-sM"] {
        let (shown, said) = run(&format!("-n -Pn {kind} -p 8000 -oG - 10.2.0.2"))?;
        let first = said.lines().next().unwrap_or_default().to_owned();
        same(kind, &format!("{shown}{first}"), "Some(1) You requested a scan type which requires root privileges.")?;
    }
    Ok(())
}

fn interrupted() -> Result<(), Stop> {
    let lab = Firewall::new()?;
    count_from_now(&lab)?;
    let mut command = scanner(&lab, "-n -Pn -sS --max-rate 50 -p 8000-9999 10.2.0.2");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let until = Instant::now() + LIMIT;
    while counted(&lab)? < 5 && child.try_wait()?.is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    done(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
    let output = child.wait_with_output()?;
    let shown = text(&output.stdout);
    same("status", &format!("{:?}", output.status.code()), "Some(130)")?;
    if shown.contains("8000/tcp open")
        && shown.contains("portscan done")
        && text(&output.stderr).contains("interrupted")
    {
        return Ok(());
    }
    Err(Stop::Fail(format!("{output:?}")))
}

/// One endpoint of three refuses, and the router takes them in turn.
fn repetitions() -> Result<(), Stop> {
    let lab = Firewall::new()?;
    for (every, port) in [(3, 8000), (2, 8001), (1, 9999)] {
        let turn = format!("-m statistic --mode nth --every {every} --packet 0");
        let rule = format!("-t nat -A PREROUTING -d 10.96.0.10 -p tcp --dport 80 {turn} -j DNAT --to 10.2.0.2:{port}");
        done(lab.on_router("iptables").args(rule.split(' ')))?;
    }
    let output = scan(&lab, "--json -n -Pn --repeat 9 -p 80 10.96.0.10")?;
    let repeat = hosts(&output)?[0]["ports"][0]["repeat"].clone();
    same("of nine", &format!("{} {}", repeat["asked"], repeat["open"]), "9 6")?;
    if repeat["p50_us"].as_u64() > repeat["max_us"].as_u64() || repeat["max_us"].is_null() {
        return Err(Stop::Fail(repeat.to_string()));
    }
    let shown = text(&scan(&lab, "-n -Pn --repeat 9 -p 80 10.96.0.10")?.stdout);
    if shown.contains("80/tcp open  http    6 of 9 (67 %), p50 ") { Ok(()) } else { Err(Stop::Fail(shown)) }
}

fn services() -> Result<(), Stop> {
    let lab = Firewall::new()?;
    // kube-proxy's rules on the scanner: one Service with a good and a bad endpoint, one whose pods are all gone.
    let rules = "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]\n:KUBE-SEP-BBBBBBBBBBBBBBBB - [0:0]\n\
        :KUBE-SEP-CCCCCCCCCCCCCCCC - [0:0]\n-A OUTPUT -j KUBE-SERVICES\n\
        -A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment \"shop/web:http cluster IP\" -m tcp --dport 80 \
        -j KUBE-SVC-AAAAAAAAAAAAAAAA\n\
        -A KUBE-SVC-AAAAAAAAAAAAAAAA -m comment --comment \"shop/web:http -> 10.2.0.2:8000\" -m statistic --mode random \
        --probability 0.5 -j KUBE-SEP-BBBBBBBBBBBBBBBB\n\
        -A KUBE-SVC-AAAAAAAAAAAAAAAA -m comment --comment \"shop/web:http -> 10.2.0.2:9999\" -j KUBE-SEP-CCCCCCCCCCCCCCCC\n\
        -A KUBE-SEP-BBBBBBBBBBBBBBBB -p tcp -m tcp -j DNAT --to-destination 10.2.0.2:8000\n\
        -A KUBE-SEP-CCCCCCCCCCCCCCCC -p tcp -m tcp -j DNAT --to-destination 10.2.0.2:9999\nCOMMIT\n";
    let mut child = lab.command("iptables-restore").stdin(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("no pipe")?.write_all(rules.as_bytes())?;
    if !child.wait()?.success() {
        return Err(Stop::Fail("iptables-restore".to_owned()));
    }
    // Names of the cluster, as a file in a mount namespace of its own.
    let dir = TempDir::new("portscan-svc")?;
    let names = dir.0.join("hosts");
    std::fs::write(&names, "10.96.0.10 web.shop\n10.2.0.2 db.shop.svc.cluster.local\n")?;
    let run = |line: &str| -> Result<Output, Stop> {
        let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
        let mut command = lab.command("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(&names).arg(lab::netkit());
        lab::run(command.args(["portscan", "-n", "--json"]).args(line.split(' ')), LIMIT)
    };
    let output = run("--svc web.shop")?;
    let last = hosts(&output)?.pop().unwrap_or_default();
    same("status", &format!("{:?}", output.status.code()), "Some(1)")?;
    same("address", last["address"].as_str().unwrap_or_default(), "10.96.0.10:80")?;
    let states =
        last["endpoints"].as_array().into_iter().flatten().map(|one| format!("{} {}", one["address"], one["state"]));
    let states: Vec<String> = states.collect();
    same("endpoints", &states.join(", "), "\"10.2.0.2:8000\" \"open\", \"10.2.0.2:9999\" \"closed\"")?;
    let verdict = last["verdict"].as_str().unwrap_or_default().to_owned();
    if !verdict.contains("1 of 2 endpoints do") || !verdict.contains("10.2.0.2:9999 is closed") {
        return Err(Stop::Fail(verdict));
    }
    // Headless: its addresses are its endpoints.
    let output = run("--svc db.shop -p 8000")?;
    let last = hosts(&output)?.pop().unwrap_or_default();
    same("headless", &format!("{:?} {}", output.status.code(), last["state"]), "Some(0) \"open\"")?;
    let output = run("--svc nobody.shop")?;
    same("unknown", &text(&output.stderr), "--svc: Failed to resolve \"nobody.shop\".\nQUITTING!\n")
}

fn versions() -> Result<(), Stop> {
    let serve = |answer: &'static [u8], first: bool| -> Result<u16, Stop> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        // The scan itself is a connection too; the thread ends with this process.
        std::thread::spawn(move || {
            for stream in listener.incoming().take(8) {
                let Ok(mut stream) = stream else { continue };
                std::thread::spawn(move || {
                    let mut buffer = [0; 512];
                    if !first && !matches!(stream.read(&mut buffer), Ok(1..)) {
                        return;
                    }
                    let _ = stream.write_all(answer);
                    let _ = stream.read(&mut buffer);
                });
            }
        });
        Ok(port)
    };
    let ssh = serve(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", true)?;
    let http = serve(b"HTTP/1.1 200 OK\r\nServer: lab/1.0 (odd)\r\nContent-Length: 0\r\n\r\n", false)?;
    let dir = tls::certificates("portscan")?;
    let https = tls::free_port()?;
    let mut server = Command::new(lab::tool("openssl", "openssl")?);
    server.args(["s_server", "-quiet", "-www", "-cert", "s.pem", "-key", "s.key", "-accept", &https.to_string()]);
    server.current_dir(&dir.0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = tls::Running::listening(&mut server, https)?;
    let mut command = Command::new(lab::netkit());
    command.args([
        "portscan",
        "-n",
        "-Pn",
        "-sT",
        "-sV",
        "--json",
        "-p",
        &format!("{ssh},{http},{https}"),
        "127.0.0.1",
    ]);
    let found = hosts(&lab::run(&mut command, LIMIT)?)?;
    let version = |port: u16| -> String {
        let ports = found[0]["ports"].as_array().into_iter().flatten();
        let one = ports.filter(|one| one["port"] == port).map(|one| one["version"].clone()).next().unwrap_or_default();
        let word = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
        ["name", "product", "version", "extra", "tls"].map(word).join("|")
    };
    same("ssh", &version(ssh), "ssh|OpenSSH|9.2p1 Debian 2|protocol 2.0|-")?;
    same("http", &version(http), "http|lab|1.0|odd|-")?;
    same("https", &version(https), "http|-|-|-|TLSv1.3")
}
