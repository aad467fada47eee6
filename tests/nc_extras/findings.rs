//! What nc says it found, its statuses with `--rc`, and where it keeps silent; other processes' names and networks.

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output};

use nix::sys::socket::{setsockopt, sockopt};
use serde_json::Value;

use super::{Body, LIMIT, Running, check, has, lacks, nc, ran, records, status, text};
use crate::lab::{self, Stop, TempDir};

pub const CLAIMS: &[(&str, Body)] = &[
    ("natures_of_open_ports", natures),
    ("silence_is_a_timeout_and_rejection_unreachable", filtered),
    ("all_addresses_of_a_name_are_tried_and_told", all_ips),
    ("ntp_snmp_and_quic_are_asked_in_their_protocols", probes),
    ("answers_to_something_else_prove_only_a_listener", noise),
    ("udp_silence_is_never_called_success", udp_silence),
    ("findings_stand_only_where_they_are_asked_for", hints),
    ("findings_stand_on_a_terminal", terminal),
    ("names_as_another_process_finds_them", from_pid),
    ("ports_in_the_network_of_another_process", netns),
];

const BASE: &[&str] = &["schema", "host", "port", "protocol", "finding", "attempts"];

/// The only record of a run.
fn record(out: &Output, more: &[&str]) -> Result<Value, Stop> {
    let mut found = records(&out.stdout, &[BASE, more].concat())?;
    match (found.pop(), found.len()) {
        (Some(record), 0) => Ok(record),
        _ => Err(format!("not one record: {}", text(&out.stdout)).into()),
    }
}

/// Accepts for ever and does this with each connection.
fn serve(address: &str, mut act: impl FnMut(std::net::TcpStream) + Send + 'static) -> Result<(), Stop> {
    let listener = TcpListener::bind(address)?;
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            act(stream);
        }
    });
    Ok(())
}

fn natures() -> Result<(), Stop> {
    let _silent = TcpListener::bind("127.0.0.1:9001")?;
    let mut kept = Vec::new();
    serve("127.0.0.1:9002", move |mut stream| {
        let _ = stream.write_all(b"\x1b]0;title\x07SSH-2.0-lab\xff\r\nmore");
        kept.push(stream);
    })?;
    serve("127.0.0.1:9003", drop)?;
    serve("127.0.0.1:9004", |stream| {
        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        let _ = setsockopt(&stream, sockopt::Linger, &linger);
    })?;
    for (port, watch, wanted, finding, said, more) in [
        ("9001", "50ms", 0, "open_silent", "open, and waits for us", &["tcp_info"][..]),
        ("9002", "30s", 0, "open_banner", ".]0;title.SSH-2.0-lab", &["tcp_info", "banner"]),
        ("9003", "30s", 6, "accepted_then_closed", "accepted, then closed at once", &["tcp_info"]),
    ] {
        let out = ran(&["-z", "--rc", "--json", "--explain", "--idle-timeout", watch, "127.0.0.1", port])?;
        status(finding, &out, wanted)?;
        let record = record(&out, more)?;
        lab::same("finding", record["finding"].as_str().unwrap_or_default(), finding)?;
        lab::same("attempt", record["attempts"][0]["outcome"].as_str().unwrap_or_default(), "connected")?;
        has(finding, &text(&out.stderr), said)?;
        lacks("control characters", &text(&out.stderr), "\u{1b}")?;
        for key in ["rtt_us", "rtt_var_us", "snd_mss_bytes", "pmtu_bytes", "retransmits"] {
            check(format!("tcp_info.{key}: {record}"), record["tcp_info"][key].is_u64())?;
        }
        // nc itself sees an open port in each of them.
        status(finding, &ran(&["-z", "127.0.0.1", port])?, 0)?;
    }
    // The reset may be seen while connecting or after it; it is called the same.
    for _ in 0..20 {
        let out = ran(&["-z", "--rc", "--json", "--explain", "--idle-timeout", "30s", "127.0.0.1", "9004"])?;
        status("reset", &out, 6)?;
        let record: Value = serde_json::from_slice(&out.stdout).map_err(|error| error.to_string())?;
        lab::same("finding", record["finding"].as_str().unwrap_or_default(), "accepted_then_reset")?;
        has("reset", &text(&out.stderr), "accepted, then reset at once")?;
    }
    Ok(())
}

/// Rules for what arrives; gone with the namespace. Those of them that count do it in `seen`.
pub(super) fn rules(lines: &str) -> Result<(), Stop> {
    let table = format!(
        "table inet lab {{\ncounter seen {{ }}\nchain arrives {{\ntype filter hook input priority 0\n{lines}\n}}\n}}\n"
    );
    nft(&table).map(drop)
}

/// A handshake that comes to its end and is then reset, by the kernel: a server's thread may take its time for it.
pub(super) fn hollow(port: u16) -> String {
    format!("tcp dport {port} tcp flags & (syn | ack) == ack counter name seen reject with tcp reset")
}

/// Runs nft; what it prints.
pub(super) fn nft(line: &str) -> Result<String, Stop> {
    let out = lab::run(Command::new(lab::tool("nft", "nftables")?).arg(line), LIMIT)?;
    if out.status.success() {
        return Ok(text(&out.stdout));
    }
    Err(lab::Skip(format!("nft does not work here: {}", text(&out.stderr).trim())).into())
}

fn filtered() -> Result<(), Stop> {
    let _open = TcpListener::bind("127.0.0.1:9001")?;
    rules(
        "tcp dport 9002 drop\n\
         tcp dport 9003 reject with icmpx type admin-prohibited\n\
         udp dport 9004 reject with icmpx type host-unreachable",
    )?;
    for (words, wanted, finding, more) in [
        (&["-w", "0.2", "127.0.0.1", "9002"][..], 4, "timeout", &[][..]),
        (&["-w", "0.2", "::1", "9002"], 4, "timeout", &[]),
        (&["127.0.0.1", "9003"], 5, "icmp_prohibited", &[]),
        (&["::1", "9003"], 5, "icmp_prohibited", &[]),
        (&["-u", "127.0.0.1", "9004"], 5, "icmp_host_unreachable", &["icmp"]),
        (&["203.0.113.1", "80"], 5, "no_route", &[]),
        (&["127.0.0.1", "9009"], 3, "reset", &[]),
    ] {
        let out = ran(&[&["-z", "--rc", "--json"], words].concat())?;
        status(&format!("{words:?}"), &out, wanted)?;
        let record = record(&out, more)?;
        lab::same(&format!("{words:?}"), record["finding"].as_str().unwrap_or_default(), finding)?;
    }
    // Several ports: open if one is, else the worst.
    status("one is open", &ran(&["-z", "--rc", "127.0.0.1", "9009", "9001"])?, 0)?;
    status("none is open", &ran(&["-z", "--rc", "127.0.0.1", "9009", "9003"])?, 5)?;
    let out = ran(&["-z", "--rc", "--json", "name.invalid", "80"])?;
    status("a name", &out, 2)?;
    let record = record(&out, &[])?;
    lab::same("a name", &format!("{} {}", record["finding"], record["attempts"]), "\"no_address\" []")?;
    has("a name", &text(&out.stderr), "name.invalid")?;
    status("a name, as nc", &ran(&["-z", "name.invalid", "80"])?, 1)
}

/// A program for which /etc/hosts is another file.
fn with_hosts(hosts: &str) -> Result<(TempDir, Command), Stop> {
    let dir = TempDir::new("nc-hosts")?;
    std::fs::write(dir.0.join("hosts"), hosts)?;
    // No name server answers, and none is asked for long.
    std::fs::write(dir.0.join("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")?;
    let mut command = Command::new(lab::tool("setpriv", "util-linux")?);
    command.args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--propagation", "private", "--", "sh", "-c"]);
    command
        .arg("mount --bind \"$0/hosts\" /etc/hosts && mount --bind \"$0/resolv.conf\" /etc/resolv.conf && exec \"$@\"");
    command.arg(&dir.0);
    Ok((dir, command))
}

fn all_ips() -> Result<(), Stop> {
    let _open = TcpListener::bind("127.0.0.2:9001")?;
    let _also = TcpListener::bind("127.0.0.4:9001")?;
    let hosts = "127.0.0.1 many.lab\n127.0.0.2 many.lab\n127.0.0.3 many.lab\n127.0.0.4 many.lab\n::1 many.lab\n";
    let run = |words: &[&str]| -> Result<Output, Stop> {
        let (_dir, mut command) = with_hosts(hosts)?;
        command.arg(lab::netkit()).arg("nc").args(words);
        lab::run(&mut command, LIMIT)
    };
    let attempts = |record: &Value| -> Vec<String> {
        let attempts = record["attempts"].as_array().cloned().unwrap_or_default();
        let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        attempts.iter().map(|one| word(&one["address"]) + " " + &word(&one["outcome"])).collect()
    };
    let out = run(&["-zv", "--all-ips", "--json", "--explain", "many.lab", "9001"])?;
    status("all", &out, 0)?;
    let found = record(&out, &["tcp_info"])?;
    let mut tried = attempts(&found);
    tried.sort();
    lab::same(
        "attempts",
        &tried.join(", "),
        "127.0.0.1 reset, 127.0.0.2 connected, 127.0.0.3 reset, 127.0.0.4 connected, ::1 reset",
    )?;
    for key in ["address", "port", "outcome", "started_after_us", "elapsed_us", "source"] {
        check(format!("{key}: {found}"), found["attempts"][0].get(key).is_some())?;
    }
    let said = text(&out.stderr);
    for address in ["127.0.0.1", "127.0.0.3", "::1"] {
        has("all", &said, &format!("connect to many.lab ({address}) port 9001 (tcp) failed: Connection refused"))?;
    }
    for address in
        ["127.0.0.1:9001: answered", "127.0.0.2:9001: accepted", "127.0.0.4:9001: accepted", "[::1]:9001: answered"]
    {
        has("all", &said, &format!("finding: {address}"))?;
    }
    lab::same("successes", &said.matches(" succeeded!").count().to_string(), "1")?;

    // Without it the first that answers ends it, and those after it are not asked.
    let out = run(&["-4zv", "--json", "many.lab", "9001"])?;
    status("first", &out, 0)?;
    let tried = attempts(&record(&out, &["tcp_info"])?);
    lab::same("the last attempt", tried.last().map_or("", String::as_str), "127.0.0.2 connected")?;
    lacks("attempts", &tried.join(", "), "127.0.0.3")?;

    let out = run(&["-zv", "--all-ips", "--rc", "--json", "many.lab", "9002"])?;
    status("none", &out, 3)?;
    lab::same("attempts", &attempts(&record(&out, &[])?).len().to_string(), "5")?;
    let out = run(&["-z", "--rc", "--explain", "other.lab", "9001"])?;
    status("no such name", &out, 2)?;
    has("no such name", &text(&out.stderr), "other.lab")
}

/// Answers each datagram with what `act` makes of it; what was asked is checked there.
fn answer(address: &str, act: fn(&[u8]) -> Option<Vec<u8>>) -> Result<(), Stop> {
    let socket = UdpSocket::bind(address)?;
    std::thread::spawn(move || {
        let mut buffer = [0u8; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(reply) = act(buffer.get(..length).unwrap_or_default()) {
                let _ = socket.send_to(&reply, from);
            }
        }
    });
    Ok(())
}

/// A server of stratum 3 (RFC 5905, section 7.3): it returns the transmit timestamp as the origin.
fn ntp(asked: &[u8]) -> Option<Vec<u8>> {
    let (first, stamp) = (asked.first()?, asked.get(40..48)?);
    if asked.len() != 48 || first & 7 != 3 || !(1..=4).contains(&(first >> 3 & 7)) || stamp == [0; 8] {
        return None;
    }
    let mut reply = vec![0x24, 3, 6, 0xec];
    reply.resize(24, 1);
    reply.extend_from_slice(stamp);
    reply.resize(48, 2);
    Some(reply)
}

/// One BER element: its tag, what is in it, and what follows. Short lengths only.
fn ber(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, length @ 0..=0x7f, rest @ ..] = bytes else { return None };
    let (inside, after) = rest.split_at_checked(usize::from(*length))?;
    Some((*tag, inside, after))
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&[tag, u8::try_from(body.len()).unwrap_or(0)], body.as_slice()].concat()
}

/// An SNMPv3 engine: to a discovery it reports its id and usmStatsUnknownEngineIDs (RFC 3414, section 4).
fn snmp(asked: &[u8]) -> Option<Vec<u8>> {
    let (0x30, message, []) = ber(asked)? else { return None };
    let (2, [3], message) = ber(message)? else { return None };
    let (0x30, global, message) = ber(message)? else { return None };
    let (2, id, global) = ber(global)? else { return None };
    let (2, _size, global) = ber(global)? else { return None };
    // The reportable flag, without which an engine keeps silent.
    let (4, [4], global) = ber(global)? else { return None };
    let (2, [3], []) = ber(global)? else { return None };
    let (4, security, message) = ber(message)? else { return None };
    let (0x30, security, []) = ber(security)? else { return None };
    let (4, [], _) = ber(security)? else { return None };
    let (0x30, scoped, []) = ber(message)? else { return None };
    let (4, [], scoped) = ber(scoped)? else { return None };
    let (4, [], scoped) = ber(scoped)? else { return None };
    let (0xa0, _, []) = ber(scoped)? else { return None };
    let engine = element(4, &[&[0x80, 0, 0x1f, 0x88, 4, b'l', b'a', b'b']]);
    let (zero, empty) = (element(2, &[&[0]]), element(4, &[]));
    let global =
        element(0x30, &[&element(2, &[id]), &element(2, &[&[5, 0xdc]]), &element(4, &[&[0]]), &element(2, &[&[3]])]);
    let security = element(0x30, &[&engine, &zero, &zero, &empty, &empty, &empty]);
    let name = element(6, &[&[0x2b, 6, 1, 6, 3, 15, 1, 1, 4, 0]]);
    let bindings = element(0x30, &[&element(0x30, &[&name, &element(0x41, &[&[1]])])]);
    let report = element(0xa8, &[&zero, &zero, &zero, &bindings]);
    let scoped = element(0x30, &[&engine, &empty, &report]);
    Some(element(0x30, &[&element(2, &[&[3]]), &global, &element(4, &[&security]), &scoped]))
}

/// Version negotiation (RFC 9000, section 17.2.1), which datagrams below 1200 bytes do not get.
fn quic(asked: &[u8]) -> Option<Vec<u8>> {
    let [first, version @ .., _] = asked.first_chunk::<6>()?;
    let known: [&[u8]; 3] = [&[0, 0, 0, 0], &[0, 0, 0, 1], &[0x6b, 0x33, 0x43, 0xcf]];
    if asked.len() < 1200 || first & 0xc0 != 0xc0 || known.contains(&version.as_slice()) {
        return None;
    }
    let (length, rest) = asked.get(5..)?.split_first()?;
    let (to, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, rest) = rest.split_first()?;
    let (from, _) = rest.split_at_checked(usize::from(*length))?;
    let ids = |id: &[u8]| [&[u8::try_from(id.len()).unwrap_or(0)], id].concat();
    Some([&[0xca, 0, 0, 0, 0], ids(from).as_slice(), &ids(to), &[0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf]].concat())
}

fn probes() -> Result<(), Stop> {
    type Act = fn(&[u8]) -> Option<Vec<u8>>;
    let servers: [(&str, Act, &str); 3] = [
        ("123", ntp, "NTP answered, stratum 3"),
        ("161", snmp, "SNMP answered with its engine"),
        ("443", quic, "QUIC answered, versions 0x00000001 0x6b3343cf"),
    ];
    for (port, act, wanted) in servers {
        for host in ["127.0.0.1", "::1"] {
            let shown = if host == "::1" { format!("[::1]:{port}") } else { format!("{host}:{port}") };
            answer(&shown, act)?;
            let out = ran(&["-zu", "--rc", "--json", "--explain", "-w", "30", host, port])?;
            status(&shown, &out, 0)?;
            let record = record(&out, &["answer"])?;
            lab::same("finding", record["finding"].as_str().unwrap_or_default(), "answered")?;
            lab::same("answer", record["answer"].as_str().unwrap_or_default(), wanted)?;
            has(&shown, &text(&out.stderr), &format!("finding: {shown}: {wanted}"))?;
        }
    }
    Ok(())
}

fn noise() -> Result<(), Stop> {
    // An echo is what none of these servers sends; neither is a well-formed answer to another question.
    for port in ["53", "161", "443"] {
        answer(&format!("127.0.0.1:{port}"), |asked| Some(asked.to_vec()))?;
    }
    answer("127.0.0.1:123", |asked| {
        let mut reply = ntp(asked)?;
        *reply.get_mut(24)? ^= 1;
        Some(reply)
    })?;
    for port in ["53", "123", "161", "443"] {
        let out = ran(&["-zu", "--rc", "--json", "--explain", "-w", "30", "127.0.0.1", port])?;
        let record = record(&out, &[])?;
        lab::same(port, record["finding"].as_str().unwrap_or_default(), "spoke")?;
        has(port, &text(&out.stderr), "bytes came back, so somebody listens")?;
        lacks(port, &text(&out.stderr), "answered")?;
        status(port, &out, 0)?;
    }
    Ok(())
}

fn udp_silence() -> Result<(), Stop> {
    let mut sockets = Vec::new();
    for port in ["53", "123", "161", "443", "9001"] {
        sockets.push(UdpSocket::bind(format!("127.0.0.1:{port}"))?);
        let out = ran(&["-zu", "--rc", "--json", "--explain", "-w", "0.1", "127.0.0.1", port])?;
        status(port, &out, 7)?;
        let record = record(&out, &[])?;
        lab::same(port, record["finding"].as_str().unwrap_or_default(), "open_or_filtered")?;
        let said = text(&out.stderr);
        has(port, &said, "nothing is proven")?;
        lacks(port, &said, "succe")?;
        // nc's own status stays.
        status(port, &ran(&["-zu", "127.0.0.1", port])?, 0)?;
    }
    // With -v the words are nc's; the finding behind them takes them back.
    let out = ran(&["-zuv", "--explain", "-w", "0.1", "127.0.0.1", "9001"])?;
    status("-v", &out, 0)?;
    let said = text(&out.stderr);
    let last = said.lines().last().unwrap_or_default();
    check(format!("the last line: {said}"), last.starts_with("finding: ") && last.contains("nothing is proven"))?;
    // A port that is closed is told from silence.
    drop(sockets.pop());
    let out = ran(&["-zu", "--rc", "127.0.0.1", "9001"])?;
    status("closed", &out, 3)
}

fn hints() -> Result<(), Stop> {
    serve("127.0.0.1:9001", drop)?;
    let run = |words: &[&str], hints: Option<&str>| -> Result<Output, Stop> {
        let mut command = nc("nc")?;
        if let Some(hints) = hints {
            command.env("NETKIT_HINTS", hints);
        }
        lab::run(command.args(words), LIMIT)
    };
    for (port, code) in [("9001", 0), ("9009", 1)] {
        let plain = run(&["-zv", "127.0.0.1", port], None)?;
        status("plain", &plain, code)?;
        lacks("plain", &text(&plain.stderr), "finding:")?;
        lab::same("stdout", &text(&plain.stdout), "")?;
        let lines = text(&plain.stderr).lines().count();
        lab::same("lines", &lines.to_string(), "1")?;
        // Asked for: the same lines, and the finding.
        let explained = run(&["-zv", "--idle-timeout", "30s", "--explain", "127.0.0.1", port], None)?;
        status("explained", &explained, code)?;
        let said = text(&explained.stderr);
        let (findings, rest): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.starts_with("finding: "));
        lab::same("findings", &findings.len().to_string(), "1")?;
        lab::same("the rest", &(rest.join("\n") + "\n"), &text(&plain.stderr))?;
        lab::same("stdout", &text(&explained.stdout), "")?;
        // Switched off: as if it had not been asked for.
        let off = run(&["-zv", "--explain", "127.0.0.1", port], Some("0"))?;
        status("off", &off, code)?;
        lab::same("off", &text(&off.stderr), &text(&plain.stderr))?;
        // The status of --rc does not depend on it.
        let off = run(&["-z", "--rc", "--idle-timeout", "30s", "127.0.0.1", port], Some("0"))?;
        status("off, with --rc", &off, if port == "9001" { 6 } else { 3 })?;
        lab::same("off, with --rc", &text(&off.stderr), "")?;
    }
    Ok(())
}

fn terminal() -> Result<(), Stop> {
    let script = lab::tool("script", "bsdutils")?;
    let line = format!("'{}' nc -zv 127.0.0.1 9009", lab::netkit().display());
    for (hints, wanted) in [(None, true), (Some("1"), true), (Some("0"), false)] {
        let mut command = Command::new(&script);
        if let Some(hints) = hints {
            command.env("NETKIT_HINTS", hints);
        }
        // A terminal of its own for the program; its output is script's.
        let out = lab::run(command.args(["--quiet", "--return", "--command", &line, "/dev/null"]), LIMIT)?;
        status("on a terminal", &out, 1)?;
        let said = text(&out.stdout);
        has("on a terminal", &said, "port 9009 (tcp) failed: Connection refused")?;
        check(format!("NETKIT_HINTS {hints:?}: {said}"), said.contains("finding: 127.0.0.1:9009: answered") == wanted)?;
        // Our other options are not switched on by a terminal.
        lacks("on a terminal", &said, "{\"schema\"")?;
    }
    Ok(())
}

fn from_pid() -> Result<(), Stop> {
    let _open = TcpListener::bind("127.0.0.5:9001")?;
    let (_dir, mut command) = with_hosts("127.0.0.5 only.there\n")?;
    let mut holder = Running::start(command.args(["sh", "-c", "echo up >&2; exec cat"]))?;
    holder.until("up")?;
    let pid = holder.pid().to_string();
    let out = ran(&["-zv", "--from-pid", &pid, "only.there", "9001"])?;
    status("there", &out, 0)?;
    has("there", &text(&out.stderr), "Connection to only.there (127.0.0.5) 9001 port")?;
    let (_dir, mut here) = with_hosts("127.0.0.1 localhost\n")?;
    here.arg(lab::netkit()).args(["nc", "-z", "--rc", "only.there", "9001"]);
    status("here", &lab::run(&mut here, LIMIT)?, 2)?;
    let out = ran(&["--wait", "0", "--from-pid", &pid, "only.there", "9001"])?;
    status("--wait", &out, 0)?;
    for bad in ["0", "-1", "x", "99999999999"] {
        let out = ran(&["-z", "--from-pid", bad, "localhost", "9001"])?;
        status(bad, &out, 2)?;
        has(bad, &text(&out.stderr), &format!("--from-pid: `{bad}`"))?;
    }
    // Above the largest that the kernel gives (proc(5), pid_max).
    let out = ran(&["-z", "--from-pid", "4194305", "only.there", "9001"])?;
    check(format!("nobody: {out:?}"), out.status.code().is_some_and(|code| code != 0))?;
    has("nobody", &text(&out.stderr), "4194305")
}

fn netns() -> Result<(), Stop> {
    let mut command = Command::new(lab::tool("setpriv", "util-linux")?);
    command.args(["--pdeathsig", "KILL", "--", "unshare", "--net", "--", "sh", "-c"]);
    command.arg("ip link set lo up && exec \"$0\" nc -vlk 127.0.0.1 9000").arg(lab::netkit());
    let mut there = Running::start(&mut command)?;
    there.until("listening")?;
    let pid = there.pid().to_string();
    status("here", &ran(&["-z", "--rc", "127.0.0.1", "9000"])?, 3)?;
    for target in [pid.clone(), format!("/proc/{pid}/ns/net")] {
        status(&target, &ran(&["-z", "--rc", "--netns", &target, "127.0.0.1", "9000"])?, 0)?;
        status(&target, &ran(&["--netns", &target, "--wait", "0", "127.0.0.1", "9000"])?, 0)?;
    }
    // From here into there: a relay cannot, for it has one network only; a client can.
    let mut client = nc("nc")?;
    client.args(["-N", "--netns", &pid, "127.0.0.1", "9000"]);
    let mut client = Running::start(&mut client)?;
    client.stdin.take().ok_or("no stdin")?.write_all(b"from outside")?;
    let got = super::take(there.stdout.as_mut().ok_or("no stdout")?, 12)?;
    super::equal("stdout there", &got, b"from outside")?;
    client.ends("client", 0, "")?;
    for (bad, part) in [("4194305", "4194305"), ("/nonexistent", "/nonexistent"), ("/etc/passwd", "/etc/passwd")] {
        let out = ran(&["-z", "--netns", bad, "127.0.0.1", "9000"])?;
        check(format!("{bad}: {out:?}"), out.status.code().is_some_and(|code| code != 0))?;
        has(bad, &text(&out.stderr), part)?;
    }
    Ok(())
}
