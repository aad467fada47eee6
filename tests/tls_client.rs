//! `netkit openssl s_client` beside OpenSSL's own, against the same servers: status, both streams to the byte but for what
//! two clients cannot have in common.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::tls::{Running, certificates, open_input, openssl};
use crate::lab::{Stop, netkit, run_with, same, tool, trial};

const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![trial("tls_client::as_s_client", as_s_client), trial("tls_client::conversation", conversation)]
}

/// Server's options, client's words.
const LINES: &[(&str, &str)] = &[
    ("s", ""),
    ("s", "-servername localhost -CAfile ca.pem"),
    ("s", "-connect localhost:PORT -CAfile ca.pem -verify_hostname localhost"),
    ("s", "-CAfile ca.pem -verify_hostname foo"),
    ("s", "-CAfile ca.pem -verify_ip 127.0.0.1"),
    ("s", "-CAfile ca.pem -verify_ip 127.0.0.2"),
    ("s", "-tls1_2 -CAfile ca.pem"),
    ("s", "-tls1_3 -servername a.b.c"),
    ("s", "-showcerts -CAfile ca.pem"),
    ("s", "-brief"),
    ("s", "-brief -tls1_2 -CAfile ca.pem -verify_hostname localhost"),
    ("s", "-brief -verify_return_error"),
    ("s", "-verify_return_error"),
    ("s", "-verify_return_error -CAfile ca.pem"),
    ("s", "-quiet -no_ign_eof"),
    ("s", "-status"),
    ("s", "-noservername -CApath ."),
    ("s", "-verify 5 -CAfile ca.pem"),
    ("s", "-verify_quiet -CAfile ca.pem"),
    ("s", "-nameopt RFC2253 -showcerts"),
    ("s", "-attime 1000000000 -CAfile ca.pem"),
    ("s", "-no_check_time"),
    ("s", "-auth_level 0"),
    ("s", "-purpose sslclient -CAfile ca.pem"),
    ("s", "-partial_chain -CAfile s.pem"),
    ("s", "-verify_depth 0 -CAfile ca.pem"),
    ("s -alpn h2", "-alpn h2,http/1.1"),
    ("s -alpn h2", "-alpn h2 -tls1_2"),
    ("s -alpn foo", "-alpn h2"),
    ("s -tls1_2", "-tls1_3"),
    ("s -tls1_3", "-tls1_2"),
    ("s -verify 1", "-tls1_2 -CAfile ca.pem"),
    ("s -verify 1 -CAfile ca.pem", "-cert s.pem -key s.key"),
    ("s -Verify 1 -CAfile ca.pem", "-tls1_2 -cert s.pem -key s.key"),
    ("s -cert_chain ca.pem", "-showcerts"),
    ("s -cert_chain ca.pem", "-CAfile ca.pem"),
    ("s -groups P-256", "-CAfile ca.pem"),
    ("s -groups P-384 -tls1_2", "-CAfile ca.pem"),
    ("s -cipher ECDHE-ECDSA-CHACHA20-POLY1305 -tls1_2", "-CAfile ca.pem"),
    ("s -ciphersuites TLS_CHACHA20_POLY1305_SHA256", "-CAfile ca.pem"),
    ("rsa", ""),
    ("rsa", "-CAfile rsa.pem -tls1_2"),
    ("pss", "-CAfile pss.pem"),
    ("small -cipher ALL:@SECLEVEL=0", "-CAfile small.pem"),
    ("small -cipher ALL:@SECLEVEL=0", "-brief"),
    ("ed25519", "-CAfile ed25519.pem"),
    ("p521", "-CAfile p521.pem"),
    ("p521", "-CAfile p521.pem -tls1_2 -brief"),
    ("old", "-CAfile ca.pem"),
    ("old", "-CAfile ca.pem -brief"),
    ("old", "-CAfile ca.pem -verify_return_error"),
    ("s", "-bogus"),
    ("s", "-servername"),
    ("s", "-starttls bogus"),
    ("s", "-purpose bogus"),
    ("s", "-verify x"),
    ("s", "word"),
];

fn as_s_client() -> Result<(), Stop> {
    let peer = tool("openssl", "openssl")?;
    let dir = certificates("s_client")?;
    let d = &dir.0;
    for (name, key) in [
        ("rsa", "rsa:2048"),
        ("small", "rsa:1024"),
        ("pss", "rsa-pss -pkeyopt rsa_keygen_bits:2048"),
        ("ed25519", "ed25519"),
        ("p521", "ec -pkeyopt ec_paramgen_curve:P-521"),
    ] {
        openssl(
            d,
            &format!("req -x509 -newkey {key} -nodes -keyout {name}.key -out {name}.pem -subj /CN={name} -days 30"),
        )?;
    }
    openssl(d, "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out old.pem -days -1 -extfile names")?;
    fs::copy(d.join("s.key"), d.join("old.key"))?;
    let mut wrong = String::new();
    for (server, words) in LINES {
        let (name, options) = server.split_once(' ').unwrap_or((server, ""));
        let mut command = Command::new(&peer);
        // Without tickets: whether they have come by the end is a matter of time.
        command.args([
            "s_server",
            "-num_tickets",
            "0",
            "-cert",
            &format!("{name}.pem"),
            "-key",
            &format!("{name}.key"),
        ]);
        command.args(options.split(' ').filter(|word| !word.is_empty()));
        let (input, _held) = open_input()?;
        command.current_dir(d).stdin(input).stderr(Stdio::null());
        let (_server, port) = Running::accepting(&mut command)?;
        let here = format!("-connect 127.0.0.1:{port} ");
        let line = words.replace("PORT", &port.to_string());
        let line = if line.contains("-connect") { line } else { format!("{here}{line}") };
        let say = |command: &mut Command| -> Result<String, Stop> {
            command.arg("s_client").args(line.split(' ').filter(|word| !word.is_empty())).current_dir(d);
            command.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
            let output = run_with(command, Stdio::null(), LIMIT)?;
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            Ok(format!("{:?}\n{}--- stderr\n{}", output.status.code(), masked(&out), masked(&err)))
        };
        let theirs = say(&mut Command::new(&peer))?;
        let ours = say(Command::new(netkit()).arg("openssl"))?;
        if theirs != ours {
            wrong.push_str(&format!("##### {server} :: {line}\n--- theirs {theirs}\n--- ours {ours}\n"));
        }
    }
    same("sessions shown otherwise", &wrong, "")
}

/// Without sizes, times, secrets, tickets and the lists that differ because the hellos do.
fn masked(text: &str) -> String {
    const DROPPED: &[&str] = &[
        "    Master-Key:",
        "    TLS session ticket",
        "Client Certificate Types:",
        "Requested Signature Algorithms:",
        "Shared Requested Signature Algorithms:",
        "Supported Elliptic Curve Point Formats:",
    ];
    const CUT: &[&str] = &["SSL handshake has read", "    Session-ID:", "    Start Time:"];
    let mut out = String::new();
    for line in text.lines() {
        // `    0010 - ` begins a line of a ticket.
        let ticket = line.strip_prefix("    ").is_some_and(|rest| rest.get(4..7) == Some(" - "));
        if line.is_empty() || ticket || DROPPED.iter().any(|start| line.starts_with(start)) {
            continue;
        }
        let cut = CUT.iter().find(|start| line.starts_with(**start));
        let shown = match (cut, line.find("error:")) {
            (Some(start), _) => (*start).to_owned(),
            // NUMBER:error:CODE:LIBRARY:FUNCTION:REASON:FILE:LINE:MORE
            (None, Some(at)) if line.split(':').nth(1) == Some("error") => {
                let parts: Vec<&str> = line.get(at..).unwrap_or_default().splitn(7, ':').collect();
                match parts.as_slice() {
                    ["error", code, "SSL routines", _, reason, _file, rest] => {
                        let more = rest.split_once(':').map(|(_, more)| more).filter(|more| !more.is_empty());
                        let more = more.map(|more| format!(":{more}")).unwrap_or_default();
                        format!("error:{code}:SSL routines::{reason}{more}")
                    }
                    _ => continue,
                }
            }
            _ => line.to_owned(),
        };
        out.push_str(&shown);
        out.push('\n');
    }
    out
}

/// A request goes to the server and its answer comes back, as people do it with a pipe.
fn conversation() -> Result<(), Stop> {
    let peer = tool("openssl", "openssl")?;
    let dir = certificates("s_client-talk")?;
    let d = &dir.0;
    let mut command = Command::new(&peer);
    command.args(["s_server", "-WWW", "-num_tickets", "0", "-cert", "s.pem", "-key", "s.key"]).current_dir(d);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let (_server, port) = Running::accepting(&mut command)?;
    fs::write(d.join("page"), "hello from the lab\n".repeat(5000))?;
    fs::write(d.join("get"), "GET /page HTTP/1.0\r\n\r\n")?;
    fs::write(d.join("lf"), "GET /page HTTP/1.0\n\n")?;
    fs::write(d.join("q"), "Q\n")?;
    for (words, input) in [
        ("-quiet", "get"),
        ("-ign_eof -CAfile ca.pem", "get"),
        ("-quiet -crlf", "lf"),
        ("-CAfile ca.pem", "q"),
        ("-quiet -no_ign_eof", "q"),
        ("-CAfile ca.pem -prexit -servername a.b", "q"),
    ] {
        let say = |command: &mut Command| -> Result<String, Stop> {
            command.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]);
            command.args(words.split(' ').filter(|word| !word.is_empty())).current_dir(d);
            let output = run_with(command, fs::File::open(d.join(input))?.into(), LIMIT)?;
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            Ok(format!("{:?}\n{}--- stderr\n{}", output.status.code(), masked(&out), masked(&err)))
        };
        let theirs = say(&mut Command::new(&peer))?;
        let ours = say(Command::new(netkit()).arg("openssl"))?;
        same(words, &theirs, &ours)?;
    }
    Ok(())
}
