//! Who refused: every way in which a firewall, a router, a host or the own machine can turn a packet away, for both
//! families and both transports, seen by `nc -z` as nobody without any capability.
//!
//! The lab itself is checked first, through a plain socket and its error queue, so that a rule that the kernel here
//! does not play as expected is not blamed on the program. The default text and status are compared with Debian's nc.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, getsockopt, recvmsg,
    send, setsockopt, socket, sockopt,
};
use serde_json::Value;

use crate::lab::firewall::{Firewall, ROUTER, RULES, SCANNER, TARGET};
use crate::lab::{self, Skip, Stop, trial};

/// How long one command may take; the slowest sends four datagrams in three seconds.
const LIMIT: Duration = Duration::from_secs(120);
/// How long the lab's own socket waits before it calls it silence.
const SILENCE: Duration = Duration::from_millis(800);
/// Rows at once: most wait.
const WORKERS: usize = 6;
/// Exit statuses under `--rc`.
const RC: [(End, i32); 6] =
    [(End::Open, 0), (End::Refused, 3), (End::Silent, 4), (End::Unreachable, 5), (End::Dropped, 6), (End::Unproven, 7)];

pub fn trials() -> Vec<Trial> {
    vec![
        trial("firewall::the_lab_does_what_its_table_says", lab_is_right),
        trial("firewall::nc_names_who_refused", named),
        trial("firewall::nc_prints_and_returns_what_debians_does", as_the_peer),
    ]
}

/// How it ends, as far as `--rc` tells.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Open,
    /// Accepted, then closed or reset.
    Dropped,
    Refused,
    Silent,
    Unreachable,
    /// UDP without an answer.
    Unproven,
}

#[derive(Debug)]
struct Row {
    name: String,
    udp: bool,
    to: SocketAddr,
    end: End,
    /// `finding` in JSON.
    finding: &'static str,
    icmp: Option<(u8, u8)>,
    offender: Option<IpAddr>,
}

/// The table of both families and both transports.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, family) in ["ipv4", "ipv6"].into_iter().enumerate() {
        for udp in [false, true] {
            let protocol = if udp { "udp" } else { "tcp" };
            let mut add = |name: &str, host: IpAddr, port, end, finding, icmp, offender| {
                let name = format!("{family} {protocol} {name}");
                let to = SocketAddr::new(host, port);
                rows.push(Row { name, udp, to, end, finding, icmp, offender });
            };
            let [Some(target), Some(router), Some(own)] =
                [TARGET, ROUTER, SCANNER].map(|pair| pair.get(index).copied())
            else {
                continue;
            };
            let host = |four: &str, six: &str| if index == 0 { four.parse() } else { six.parse() };
            for rule in RULES {
                let with = if index == 0 { rule.four } else { rule.six };
                let icmp = rule.icmp.get(index).copied().flatten();
                let (end, finding) = match (with, icmp) {
                    ("", _) => continue,
                    ("tcp-reset", _) if udp => continue,
                    ("tcp-reset", _) => (End::Refused, "reset"),
                    ("DROP", _) if udp => (End::Unproven, "open_or_filtered"),
                    ("DROP", _) => (End::Silent, "timeout"),
                    (_, Some(icmp)) => said(index == 1, icmp),
                    (_, None) => continue,
                };
                add(with, target, rule.port, end, finding, icmp, icmp.map(|_| router));
            }
            if udp {
                let icmp = Some(if index == 0 { (3, 3) } else { (1, 4) });
                add("closed", target, 1001, End::Refused, "icmp_port_unreachable", icmp, Some(target));
            } else {
                add("closed", target, 1001, End::Refused, "reset", None, None);
            }
            let beyond = [
                ("host behind the router is down", host("10.2.0.77", "fd02::77"), [(3, 1), (1, 3)], End::Unreachable),
                ("router has no route", host("10.9.0.1", "fd09::1"), [(3, 0), (1, 0)], End::Unreachable),
            ];
            for (name, host, icmp, end) in beyond {
                let (Ok(host), Some(icmp)) = (host, icmp.get(index).copied()) else { continue };
                add(name, host, 80, end, said(index == 1, icmp).1, Some(icmp), Some(router));
            }
            let near = [
                ("dead neighbour", host("10.1.0.77", "fd01::77"), "no_neighbor", Some(own)),
                ("no route here", host("203.0.113.1", "2001:db8::1"), "no_route", None),
            ];
            for (name, host, finding, offender) in near {
                let Ok(host) = host else { continue };
                add(name, host, 80, End::Unreachable, finding, None, offender);
            }
            let open: &[(u16, End, &'static str)] = if udp {
                &[(8000, End::Open, "spoke"), (8001, End::Unproven, "open_or_filtered")]
            } else {
                &[
                    (8000, End::Open, "open_silent"),
                    (8001, End::Open, "open_banner"),
                    (8002, End::Dropped, "accepted_then_closed"),
                    (8003, End::Dropped, "accepted_then_reset"),
                ]
            };
            for (port, end, finding) in open.iter().copied() {
                add(finding, target, port, end, finding, None, None);
            }
        }
    }
    rows
}

/// What an ICMP error amounts to.
fn said(six: bool, icmp: (u8, u8)) -> (End, &'static str) {
    match (six, icmp) {
        // From the router: it is not the host that refuses.
        (false, (3, 3)) | (true, (1, 4)) => (End::Unreachable, "icmp_port_unreachable"),
        (false, (3, 9 | 10 | 13)) | (true, (1, 1 | 5)) => (End::Unreachable, "icmp_prohibited"),
        (false, (3, 1)) | (true, (1, 3)) => (End::Unreachable, "icmp_host_unreachable"),
        (false, (3, 0)) | (true, (1, 0 | 6)) => (End::Unreachable, "icmp_net_unreachable"),
        _ => (End::Unreachable, "icmp_other"),
    }
}

/// Does something with every row, some at a time, and fails with all complaints.
fn every(rows: &[Row], check: impl Fn(&Row) -> Result<(), Stop> + Sync) -> Result<(), Stop> {
    let next = AtomicUsize::new(0);
    let complaints = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let why = match check(row) {
                        Ok(()) => continue,
                        Err(Stop::Fail(why)) => why,
                        Err(Stop::Skip(Skip(why))) => why,
                    };
                    complaints.lock().map(|mut all| all.push(format!("{} ({}): {why}", row.name, row.to))).ok();
                }
            });
        }
    });
    let complaints = complaints.into_inner().map_err(|_| "a worker died")?;
    match complaints.len() {
        0 => Ok(()),
        count => Err(Stop::Fail(format!("{count} of {} rows:\n{}", rows.len(), complaints.join("\n")))),
    }
}

// ---- the lab itself ----

#[derive(Debug, PartialEq)]
struct Seen {
    connected: bool,
    refused: bool,
    icmp: Option<(u8, u8)>,
    offender: Option<IpAddr>,
}

fn lab_is_right() -> Result<(), Stop> {
    let lab = Firewall::new()?;
    let rows = rows();
    if rows.len() < 50 {
        return Err(Stop::Fail(format!("the table has only {} rows", rows.len())));
    }
    every(&rows, |row| {
        let seen = lab.on_scanner(|| see(row))?;
        let local = row.finding == "no_neighbor";
        let wanted = Seen {
            connected: !row.udp && matches!(row.end, End::Open | End::Dropped),
            refused: row.finding == "reset",
            // The kernel itself says "host unreachable" or "address unreachable" then, from our own address.
            icmp: if local { Some(if row.to.is_ipv4() { (3, 1) } else { (1, 3) }) } else { row.icmp },
            offender: row.offender,
        };
        if seen == wanted { Ok(()) } else { Err(Stop::Fail(format!("got {seen:?}, wanted {wanted:?}"))) }
    })
}

/// What a plain socket sees, with its error queue on.
fn see(row: &Row) -> Result<Seen, Stop> {
    let failed = |what: &'static str| move |errno: Errno| format!("{what}: {errno}");
    let family = if row.to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = if row.udp { SockType::Datagram } else { SockType::Stream };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(family, kind, flags, None).map_err(failed("socket"))?;
    if row.to.is_ipv4() {
        setsockopt(&fd, sockopt::Ipv4RecvErr, &true).map_err(failed("IP_RECVERR"))?;
    } else {
        setsockopt(&fd, sockopt::Ipv6RecvErr, &true).map_err(failed("IPV6_RECVERR"))?;
    }
    let mut seen = Seen { connected: false, refused: false, icmp: None, offender: None };
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(row.to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => {}
        Err(_) => return Ok(seen),
    }
    if row.udp {
        send(fd.as_raw_fd(), b"lab", MsgFlags::empty()).map_err(failed("send"))?;
    }
    // Where something must come it is waited for.
    let silent = matches!(row.end, End::Silent | End::Unproven);
    let until = Instant::now() + if silent { SILENCE } else { LIMIT };
    loop {
        if let Some((icmp, offender)) = queued(&fd) {
            return Ok(Seen { icmp: Some(icmp), offender, ..seen });
        }
        let errno = getsockopt(&fd, sockopt::SocketError).map_err(failed("SO_ERROR"))?;
        if errno != 0 {
            // The error may have been queued in between.
            if let Some((icmp, offender)) = queued(&fd) {
                return Ok(Seen { icmp: Some(icmp), offender, ..seen });
            }
            // What accepts and resets at once did accept.
            seen.connected = Errno::from_raw(errno) == Errno::ECONNRESET;
            seen.refused = Errno::from_raw(errno) == Errno::ECONNREFUSED;
            return Ok(seen);
        }
        if !row.udp && nix::sys::socket::getpeername::<SockaddrStorage>(fd.as_raw_fd()).is_ok() {
            return Ok(Seen { connected: true, ..seen });
        }
        if Instant::now() > until {
            return Ok(seen);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn queued(fd: &OwnedFd) -> Option<((u8, u8), Option<IpAddr>)> {
    let mut control = nix::cmsg_space!([u8; 256]);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(fd.as_raw_fd(), &mut [], Some(&mut control), flags).ok()?;
    message.cmsgs().ok()?.find_map(|part| match part {
        ControlMessageOwned::Ipv4RecvErr(error, from) => {
            let from = from.map(|from| IpAddr::from(u32::from_be(from.sin_addr.s_addr).to_be_bytes()));
            Some(((error.ee_type, error.ee_code), from))
        }
        ControlMessageOwned::Ipv6RecvErr(error, from) => {
            Some(((error.ee_type, error.ee_code), from.map(|from| IpAddr::from(from.sin6_addr.s6_addr))))
        }
        _ => None,
    })
}

// ---- the program ----

#[derive(Debug)]
struct Ran {
    status: Option<i32>,
    out: String,
    err: String,
}

fn ran(command: &mut Command) -> Result<Ran, Stop> {
    let out = lab::run(command, LIMIT)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ran { status: out.status.code(), out: text(&out.stdout), err: text(&out.stderr) })
}

/// The words after `nc` for a row.
fn words(row: &Row, flags: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    words.push(if row.udp { "-zvnu" } else { "-zvn" }.to_owned());
    // Between the SYN's retransmissions after 1 and 3 seconds, so that the limit does not meet one of them.
    words.extend(["-w", "2"].map(str::to_owned));
    words.extend([row.to.ip().to_string(), row.to.port().to_string()]);
    words
}

/// A netkit that nobody may run would fail for another reason than the one tested.
fn program(lab: &Firewall) -> Result<Command, Stop> {
    let netkit = lab::netkit();
    let listed = ran(lab.unprivileged(&netkit)?.arg("--list"))?;
    if !listed.out.split_whitespace().any(|word| word == "nc") {
        return Err(Skip(format!("this netkit has no nc, or uid 65534 may not run it: {listed:?}")).into());
    }
    let mut command = lab.unprivileged(&netkit)?;
    command.arg("nc");
    Ok(command)
}

fn named() -> Result<(), Stop> {
    let lab = Firewall::new()?;
    program(&lab)?;
    every(&rows(), |row| {
        let ran = ran(program(&lab)?.args(words(row, &["--json", "--explain", "--rc"])))?;
        let mut wrong = Vec::new();
        let mut claim = |what: &str, got: String, wanted: String| {
            if got != wanted {
                wrong.push(format!("{what} is {got}, wanted {wanted}"));
            }
        };
        let status = RC.iter().find(|(end, _)| *end == row.end).map(|(_, status)| *status);
        claim("status under --rc", format!("{:?}", ran.status), format!("{status:?}"));
        let said: Value = serde_json::from_str(&ran.out).unwrap_or_default();
        let attempt = said.get("attempts").and_then(Value::as_array).and_then(|all| all.last());
        claim("finding", said.get("finding").cloned().unwrap_or_default().to_string(), format!("\"{}\"", row.finding));
        // An error of UDP comes after the attempt.
        let icmp = said.get("icmp").or_else(|| attempt?.get("icmp")).cloned().unwrap_or_default();
        let field = |name: &str| icmp.get(name).cloned().unwrap_or_default().to_string();
        let number = |value: Option<u8>| value.map_or(Value::Null, Value::from).to_string();
        claim("type", field("type"), number(row.icmp.map(|icmp| icmp.0)));
        claim("code", field("code"), number(row.icmp.map(|icmp| icmp.1)));
        let offender = row.offender.map_or(Value::Null, |address| Value::from(address.to_string())).to_string();
        if row.icmp.is_some() {
            claim("offender", field("offender"), offender);
        } else if let (false, Some(attempt)) = (row.udp, attempt) {
            claim("offender", attempt.get("offender").cloned().unwrap_or_default().to_string(), offender);
        }
        // The line for people says the same.
        let family = if row.to.is_ipv4() { "ICMP" } else { "ICMPv6" };
        let mut parts = Vec::new();
        parts.extend(row.icmp.map(|(kind, code)| format!("{family} {kind}/{code} ")));
        parts.extend(row.offender.map(|address| address.to_string()));
        parts.extend(match row.finding {
            "reset" | "accepted_then_reset" => Some("reset".to_owned()),
            "timeout" => Some("no answer".to_owned()),
            "open_or_filtered" => Some("nothing is proven".to_owned()),
            "open_banner" => Some("220 lab ready".to_owned()),
            "accepted_then_closed" => Some("closed".to_owned()),
            _ => None,
        });
        wrong.extend(parts.iter().filter(|part| !ran.err.contains(*part)).map(|part| format!("stderr lacks {part:?}")));
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Stop::Fail(format!("{}\n    stdout {:?}\n    stderr {:?}", wrong.join("; "), ran.out, ran.err)))
    })
}

fn as_the_peer() -> Result<(), Stop> {
    let lab = Firewall::new()?;
    program(&lab)?;
    let peer = lab::tool("nc.openbsd", "netcat-openbsd")?;
    let links = lab::TempDir::new("firewall")?;
    // Found under one name, which begins the messages.
    let link = |side: &str, target: &Path| -> Result<_, Stop> {
        let dir = links.0.join(side);
        std::fs::create_dir_all(&dir)?;
        std::os::unix::fs::symlink(target.canonicalize()?, dir.join("nc"))?;
        Ok(dir.join("nc"))
    };
    let [theirs, ours] = [link("left", &peer)?, link("right", &lab::netkit())?];
    every(&rows(), |row| {
        if row.finding == "accepted_then_reset" {
            // Whether the reset comes before or after connect(2) was seen to succeed is chance.
            return Ok(());
        }
        let both = [&theirs, &ours].map(|nc| ran(lab.unprivileged(nc)?.args(words(row, &[]))));
        let [Ok(theirs), Ok(ours)] = both else { return Err(Stop::Fail(format!("{both:?}"))) };
        let told = |ran: &Ran| format!("status {:?}, stdout {:?}, stderr {:?}", ran.status, ran.out, ran.err);
        lab::same("Debian's and ours", &told(&theirs), &told(&ours))
    })
}
