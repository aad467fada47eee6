//! `--wait DURATION host port[,port] ...`.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::findings::{hollow, nft, rules};
use super::{Body, LIMIT, Running, accept, check, has, nc, ran, records, status, text};
use crate::lab::{self, Stop};

pub const CLAIMS: &[(&str, Body)] = &[
    ("a_port_that_closes_at_once_is_not_there_until_it_stays", hollow_then_real),
    ("what_never_comes_stands_in_the_table", never),
    ("the_worst_target_is_the_status_of_rc", worst),
    ("json_has_a_record_for_each_target", json),
    ("bad_durations_and_targets_are_named", bad),
];

const KEYS: &[&str] = &["schema", "host", "port", "ready", "ready_after_us", "tries", "finding", "detail", "last"];

/// How many handshakes were reset.
fn hollow_handshakes() -> Result<u64, Stop> {
    let shown = nft("list counter inet lab seen")?;
    let count = shown.split_once("packets ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    Ok(count.ok_or(shown)?)
}

fn hollow_then_real() -> Result<(), Stop> {
    let server = TcpListener::bind("127.0.0.1:9001")?;
    rules(&hollow(9001))?;
    let mut waiting = Running::start(nc("nc")?.args(["-v", "--wait", "60s", "--json", "127.0.0.1", "9001"]))?;
    // At least twice a proxy without a backend, then a server.
    let until = Instant::now() + LIMIT;
    while hollow_handshakes()? < 2 {
        check("it tries again", Instant::now() < until)?;
        std::thread::sleep(Duration::from_millis(5));
    }
    nft("flush chain inet lab arrives")?;
    let hollow = hollow_handshakes()?;
    let stays = accept(&server)?;
    waiting.until("9001 is there")?;
    let mut stdout = waiting.stdout.take().ok_or("no stdout")?;
    let found = records(&super::to_end(&mut stdout)?, KEYS)?;
    let [record] = found.as_slice() else { return Err(format!("{found:?}").into()) };
    lab::same("tries", &record["tries"].to_string(), &(hollow + 1).to_string())?;
    lab::same("ready", &record["ready"].to_string(), "true")?;
    check("ready_after_us is a number", record["ready_after_us"].is_u64())?;
    waiting.ends("wait", 0, "")?;
    drop(stays);
    Ok(())
}

fn never() -> Result<(), Stop> {
    let _there = TcpListener::bind("127.0.0.1:9001")?;
    let out = ran(&["--wait", "300ms", "127.0.0.1", "9001,9002", "name.invalid", "80"])?;
    status("wait", &out, 1)?;
    let table = text(&out.stdout);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let [head, ready, absent, unknown] = lines.as_slice() else { return Err(table.into()) };
    check(format!("head {head:?}"), head.starts_with(&["target", "state", "after", "tries"]))?;
    check(format!("ready {ready:?}"), ready.starts_with(&["127.0.0.1:9001", "ready"]) && ready.get(4) == Some(&"1"))?;
    check(format!("absent {absent:?}"), absent.starts_with(&["127.0.0.1:9002", "absent", "-"]))?;
    let tries: u32 = absent.get(3).and_then(|tries| tries.parse().ok()).ok_or("no count of tries")?;
    // The pauses of 100 and 200 ms end with the time; on a slow machine it may be over sooner.
    check(format!("{tries} tries"), (1..=3).contains(&tries))?;
    has("why", &table, "nothing listens there")?;
    check(format!("unknown {unknown:?}"), unknown.starts_with(&["name.invalid:80", "absent", "-"]))?;
    lab::same("stderr", &text(&out.stderr), "")?;
    // No time at all is one attempt at each.
    let out = ran(&["--wait", "0", "127.0.0.1", "9001"])?;
    status("no time, and there", &out, 0)?;
    let out = ran(&["--wait", "0", "127.0.0.1", "9002"])?;
    status("no time, and not there", &out, 1)
}

fn worst() -> Result<(), Stop> {
    let _there = TcpListener::bind("127.0.0.1:9001")?;
    let _behind = TcpListener::bind("127.0.0.1:9003")?;
    rules(&hollow(9003))?;
    for (targets, wanted) in [
        (&["127.0.0.1", "9001"][..], 0),
        (&["127.0.0.1", "9001,9002"], 3),
        (&["name.invalid", "80"], 2),
        (&["name.invalid", "80", "127.0.0.1", "9002"], 3),
        (&["203.0.113.1", "80", "127.0.0.1", "9002"], 5),
        (&["203.0.113.1", "80", "127.0.0.1", "9001,9002,9003"], 6),
    ] {
        let out = ran(&[&["--rc", "--wait", "0.2"], targets].concat())?;
        status(&format!("{targets:?}"), &out, wanted)?;
        // Without --rc all that fails is 1.
        let out = ran(&[&["--wait", "0.2"], targets].concat())?;
        status(&format!("{targets:?}, plain"), &out, i32::from(wanted != 0))?;
    }
    Ok(())
}

fn json() -> Result<(), Stop> {
    let _there = TcpListener::bind("127.0.0.1:9001")?;
    let out = ran(&["--json", "--wait", "0.2", "127.0.0.1", "9001,9002"])?;
    status("wait", &out, 1)?;
    let found = records(&out.stdout, KEYS)?;
    let [there, absent] = found.as_slice() else { return Err(format!("{found:?}").into()) };
    lab::same("ports", &format!("{} {}", there["port"], absent["port"]), "9001 9002")?;
    lab::same("ready", &format!("{} {}", there["ready"], absent["ready"]), "true false")?;
    lab::same("ready_after_us", &absent["ready_after_us"].to_string(), "null")?;
    lab::same("findings", &format!("{} {}", there["finding"], absent["finding"]), "\"connected\" \"reset\"")?;
    lab::same("last", &absent["last"]["outcome"].to_string(), "\"reset\"")?;
    lab::same("error", &absent["last"]["error"].to_string(), "\"Connection refused\"")
}

fn bad() -> Result<(), Stop> {
    for duration in ["soon", "-1", "1e9", "5x", "99999999999999999999", "nan", "inf", ".", "1.2.3", "10m5", "9999h"] {
        let out = ran(&["--wait", duration, "127.0.0.1", "9001"])?;
        status(duration, &out, 2)?;
        let said = text(&out.stderr);
        has(duration, &said, &format!("--wait: `{duration}`"))?;
        lab::same("lines", &said.lines().count().to_string(), "1")?;
    }
    for (words, wanted, part) in [
        (&["--wait"][..], 2, "--wait needs a value"),
        (&["--wait="], 2, "--wait needs a value"),
        (&["--wait", "1"], 2, "wants pairs"),
        (&["--wait", "1", "127.0.0.1"], 2, "wants pairs"),
        (&["--wait", "1", "127.0.0.1", "9001", "localhost"], 2, "wants pairs"),
        (&["-u", "--wait", "1", "127.0.0.1", "9001"], 2, "TCP only"),
        (&["-l", "--wait", "1", "127.0.0.1", "9001"], 2, "TCP only"),
        (&["--wait", "1", "127.0.0.1", "0"], 1, "0"),
        (&["--wait", "1", "127.0.0.1", "65536"], 1, "65536"),
        (&["--wait", "1", "127.0.0.1", "9001,,9002"], 1, "port number invalid"),
        (&["--wait", "1", "127.0.0.1", "nosuchservice"], 1, "nosuchservice"),
    ] {
        let out = ran(words)?;
        status(&format!("{words:?}"), &out, wanted)?;
        has(&format!("{words:?}"), &text(&out.stderr), part)?;
    }
    Ok(())
}
