//! `--trace`, `--trace-ascii` and `%{json}` beside Debian's curl: what goes over the wire is shown in the same pieces, and
//! the record of a transfer holds the same values under the names that both know.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::curl_diff::{masked, words};
use crate::lab::origin::Origin;
use crate::lab::{Stop, TempDir, netkit, run, tool, trial};

const LIMIT: Duration = Duration::from_secs(120);

pub fn trials() -> Vec<Trial> {
    vec![trial("curl_trace::pieces", || compare(TRACED, shown)), trial("curl_trace::json", || compare(TOLD, record))]
}

/// Each with `--trace-ascii -` and with `--trace -`; bodies go to a file, as their place among the lines is a matter of time.
const TRACED: &[&str] = &[
    "O/a",
    "-d abc O/a",
    "O/chunked",
    "--raw O/chunked",
    "O/bytes",
    "-L O/redirect",
    "-I O/a",
    "-r 1-2 O/a",
    "-x D http://h/a",
    "--digest -u u:p O/auth",
    "-0 O/a",
    "-G -d a=b O/a",
    "-H 'X: y' -A agent O/a",
    "-u u:p O/a",
    "O/empty",
];

const TOLD: &[&str] = &[
    "O/a",
    "-d abc O/a",
    "-L O/redirect",
    "-I O/a",
    "-f O/missing",
    "-x D http://h/a",
    "-X DELETE O/a",
    "-e ref O/a?b#c",
    "--digest -u u:p O/auth",
    "O/chunked",
    "O/empty",
];

fn answer(head: &str) -> (Vec<u8>, bool) {
    let target = head.split(' ').nth(1).unwrap_or("");
    let path = target.rsplit('/').next().unwrap_or("");
    let plain = |status: &str, body: &str| {
        let sent = if head.starts_with("HEAD") { "" } else { body };
        format!("HTTP/1.1 {status}\r\nContent-Type: a/b\r\nContent-Length: {}\r\n\r\n{sent}", body.len())
    };
    let text = match path {
        "chunked" => {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n".to_owned()
        }
        "bytes" => plain("200 OK", "\u{1}\u{7f}0123456789abcdefghijklmnopqrstuvwxyz\r\n\ttab\r\nlast\u{0}"),
        "redirect" => plain("302 Found\r\nLocation: /next", "moved"),
        "auth" if !head.contains("Authorization") => {
            plain("401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"", "no")
        }
        "missing" => plain("404 No", "no"),
        "empty" => plain("200 OK", ""),
        _ => plain("200 OK", "hello\n"),
    };
    (text.into_bytes(), false)
}

/// Without what curl says in words, and without the lengths of heads that name a version.
fn shown(text: &str) -> String {
    let mut out = String::new();
    let mut ours = false;
    for line in text.lines().filter(|line| !line.starts_with("== Info: ")) {
        let title = line.starts_with("=> ") || line.starts_with("<= ");
        if title {
            ours = line.starts_with("=> Send header");
        }
        let dump = line.get(4..6) == Some(": ");
        let hex = dump && line.get(6..9).is_some_and(|byte| u8::from_str_radix(byte.trim_end(), 16).is_ok());
        let kept = match (ours, title) {
            (true, true) => "=> Send header",
            (true, false) if hex && line.len() > 54 => continue,
            (true, false) if dump => line.get(6..).unwrap_or(""),
            _ => line,
        };
        out.push_str(kept);
        out.push('\n');
    }
    out
}

/// Names and values that both know and that do not depend on the clock, the version or a port.
fn record(text: &str) -> String {
    const LEFT_OUT: &[&str] = &["local_port", "size_request", "scheme", "curl_version"];
    let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
    let pairs: BTreeMap<&str, &str> = inner
        .split(",\"")
        .filter_map(|pair| pair.split_once("\":"))
        .map(|(name, value)| (name.trim_start_matches('"'), value))
        .filter(|(name, _)| {
            let newer =
                name.contains('.') || ["_id", "num_retries", "proxy_used", "tls_"].iter().any(|p| name.contains(p));
            !newer && !name.starts_with("time_") && !name.starts_with("speed_") && !LEFT_OUT.contains(name)
        })
        .collect();
    format!("{pairs:#?}")
}

fn compare(lines: &[&str], view: fn(&str) -> String) -> Result<(), Stop> {
    let peer = tool("curl", "curl")?;
    let dir = TempDir::new("curl-trace")?;
    let base = dir.0.to_string_lossy().into_owned();
    let ways: &[&str] = if lines == TOLD { &["-w %{json}"] } else { &["--trace-ascii -", "--trace -"] };
    let mut wrong = Vec::new();
    for line in lines.iter().flat_map(|line| ways.iter().map(move |way| format!("-o body {way} {line}"))) {
        let mut both = Vec::new();
        for binary in [&peer, &netkit()] {
            let origin = Origin::start(Arc::new(answer))?;
            let (address, port) = (origin.address.to_string(), origin.address.port().to_string());
            let mut command = Command::new(binary);
            if binary == &netkit() {
                command.arg("curl");
            }
            command.args(["-q", "-s"]).current_dir(&dir.0).env_clear().env("HOME", &dir.0).env("NETKIT_HINTS", "0");
            let output = run(command.args(words(&line, &origin, &dir.0)), LIMIT)?;
            let text = masked(&String::from_utf8_lossy(&output.stdout), &address, &port, &base);
            both.push(format!("status {:?}\n{}", output.status.code(), view(&text)));
            fs::remove_file(dir.0.join("body")).or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
        }
        if let [theirs, ours] = both.as_slice()
            && theirs != ours
        {
            wrong.push(format!("## {line}\n--- curl\n{theirs}\n--- netkit\n{ours}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} lines\n{}", wrong.len(), wrong.join("\n")).into()) }
}
