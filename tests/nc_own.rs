//! What nc has beyond the peers: relays, waiting, PROXY headers, hex dumps, findings and the statuses of `--rc`.
//!
//! Every trial runs in a network namespace of its own, so ports are fixed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::{ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::tls::Running;
use crate::lab::{self, Stop, TempDir, trial};
use crate::nc_stress::{Body, in_own_network, nc};

/// The bound on every wait; nothing is measured by it.
const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    let claims: [(&str, Body); 9] = [
        ("relay_serves_two_at_once_and_sends_headers", relay_fork),
        ("relay_hands_on_the_header_it_accepted", relay_header),
        ("relay_joins_unix_and_tcp_both_ways", relay_unix),
        ("relay_joins_udp_and_udp", relay_udp),
        ("wait_ends_when_the_last_target_accepts", wait_ready),
        ("statuses_of_rc_and_their_findings", statuses),
        ("hex_dump_has_both_directions", hex_dump),
        ("listener_wants_the_proxy_header_it_was_told_of", proxy_listener),
        ("what_is_not_offered_is_refused_by_name", refused),
    ];
    claims.into_iter().map(|(name, body)| trial(&format!("nc_own::{name}"), move || in_own_network(body))).collect()
}

/// Starts it with `-v` and waits for the line that says it listens.
fn listening(words: &[&str]) -> Result<(Running, BufReader<ChildStderr>), Stop> {
    let mut child = Running(
        nc("nc")?.arg("-v").args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?,
    );
    let mut err = BufReader::new(child.0.stderr.take().ok_or("no stderr")?);
    let mut line = String::new();
    while !line.to_lowercase().contains("listen") {
        line.clear();
        if err.read_line(&mut line)? == 0 {
            return Err(format!("nc {words:?} does not listen").into());
        }
    }
    Ok((child, err))
}

fn ran(words: &[&str]) -> Result<Output, Stop> {
    lab::run(nc("nc")?.args(words), LIMIT)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn status(what: &str, out: &Output, wanted: i32) -> Result<(), Stop> {
    if out.status.code() == Some(wanted) {
        return Ok(());
    }
    Err(format!("{what}: {}, wanted {wanted}; stdout {}; stderr {}", out.status, text(&out.stdout), text(&out.stderr))
        .into())
}

fn has(what: &str, text: &str, part: &str) -> Result<(), Stop> {
    if text.contains(part) { Ok(()) } else { Err(format!("{what}: `{part}` is not in {text:?}").into()) }
}

fn connected(address: &str) -> Result<TcpStream, Stop> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

fn accepted(listener: &TcpListener) -> Result<TcpStream, Stop> {
    let (stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

fn line(stream: &mut TcpStream) -> Result<String, Stop> {
    let mut bytes = Vec::new();
    let mut byte = [0u8];
    while byte != *b"\n" {
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    Ok(text(&bytes))
}

fn relay_fork() -> Result<(), Stop> {
    let server = TcpListener::bind("127.0.0.1:9001")?;
    let (_relay, _err) = listening(&["--relay", "tcp-l:127.0.0.1:9000,fork", "tcp:127.0.0.1:9001,send-proxy=v1"])?;
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    for _ in 0..2 {
        let client = connected("127.0.0.1:9000")?;
        let mut served = accepted(&server)?;
        let port = client.local_addr()?.port();
        lab::same("header", &line(&mut served)?, &format!("PROXY TCP4 127.0.0.1 127.0.0.1 {port} 9000\r\n"))?;
        clients.push(client);
        servers.push(served);
    }
    // Both are open; the second is served to its end before the first.
    for (mut client, mut served) in clients.into_iter().zip(servers).rev() {
        client.write_all(b"question")?;
        client.shutdown(Shutdown::Write)?;
        let mut got = String::new();
        served.read_to_string(&mut got)?;
        lab::same("question", &got, "question")?;
        served.write_all(b"answer after your end")?;
        drop(served);
        got.clear();
        client.read_to_string(&mut got)?;
        lab::same("answer", &got, "answer after your end")?;
    }
    Ok(())
}

fn relay_header() -> Result<(), Stop> {
    let server = TcpListener::bind("127.0.0.1:9001")?;
    let (_relay, _err) =
        listening(&["--relay", "tcp-l:127.0.0.1:9000,accept-proxy", "tcp:127.0.0.1:9001,send-proxy=v2"])?;
    let mut client = connected("127.0.0.1:9000")?;
    client.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.9 4000 443\r\nafter")?;
    client.shutdown(Shutdown::Write)?;
    let mut got = Vec::new();
    accepted(&server)?.read_to_end(&mut got)?;
    let mut wanted = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    wanted.extend_from_slice(&[192, 0, 2, 7, 198, 51, 100, 9, 0x0f, 0xa0, 0x01, 0xbb]);
    wanted.extend_from_slice(b"after");
    if got == wanted { Ok(()) } else { Err(format!("{got:?}").into()) }
}

fn relay_unix() -> Result<(), Stop> {
    let dir = TempDir::new("nc-relay")?;
    let path = dir.0.join("s");
    let server = TcpListener::bind("127.0.0.1:9001")?;
    let (_relay, _err) = listening(&["--relay", &format!("unix-l:{}", path.display()), "tcp:127.0.0.1:9001"])?;
    let mut client = UnixStream::connect(&path)?;
    client.set_read_timeout(Some(LIMIT))?;
    let mut served = accepted(&server)?;
    let long: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
    let copy = long.clone();
    let writer = std::thread::spawn(move || {
        client.write_all(&copy).and_then(|()| client.shutdown(Shutdown::Write)).map(|()| client)
    });
    let mut got = Vec::new();
    served.read_to_end(&mut got)?;
    let mut client = writer.join().map_err(|_| "the writer died")??;
    if got != long {
        return Err(format!("{} bytes of {} arrived, or others", got.len(), long.len()).into());
    }
    served.write_all(b"back")?;
    drop(served);
    let mut back = String::new();
    client.read_to_string(&mut back)?;
    lab::same("back", &back, "back")
}

fn relay_udp() -> Result<(), Stop> {
    let server = UdpSocket::bind("127.0.0.1:9001")?;
    server.set_read_timeout(Some(LIMIT))?;
    let (_relay, _err) = listening(&["--relay", "udp-l:127.0.0.1:9000", "udp:127.0.0.1:9001"])?;
    let client = UdpSocket::bind("127.0.0.1:0")?;
    client.set_read_timeout(Some(LIMIT))?;
    let mut buffer = [0u8; 65_536];
    for size in [1usize, 0, 1_400, 60_000] {
        client.send_to(&vec![7u8; size], "127.0.0.1:9000")?;
        if size == 0 {
            // Carries nothing, and must not end anything.
            continue;
        }
        let (length, from) = server.recv_from(&mut buffer)?;
        server.send_to(buffer.get(..length).unwrap_or_default(), from)?;
        let (back, _) = client.recv_from(&mut buffer)?;
        lab::same("size", &format!("{length} {back}"), &format!("{size} {size}"))?;
    }
    Ok(())
}

fn wait_ready() -> Result<(), Stop> {
    let first = TcpListener::bind("127.0.0.1:9001")?;
    let mut waiting = nc("nc")?;
    waiting.args(["-v", "--wait", "60s", "127.0.0.1", "9001,9002"]);
    let mut waiting = Running(waiting.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    let mut err = BufReader::new(waiting.0.stderr.take().ok_or("no stderr")?);
    let mut said = String::new();
    err.read_line(&mut said)?;
    has("progress", &said, "9001 is there")?;
    // Only now does the second begin to listen, so at least one attempt has found it closed or will.
    let second = TcpListener::bind("127.0.0.1:9002")?;
    let mut out = String::new();
    waiting.0.stdout.take().ok_or("no stdout")?.read_to_string(&mut out)?;
    let done = waiting.0.wait()?;
    drop((first, second));
    if done.code() != Some(0) {
        return Err(format!("{done}: {out}").into());
    }
    lab::same("lines that say ready", &out.matches(" ready ").count().to_string(), "2")
}

fn statuses() -> Result<(), Stop> {
    // Accepts and closes at once, as a sidecar without a backend does.
    let hollow = TcpListener::bind("127.0.0.1:9001")?;
    std::thread::spawn(move || while hollow.accept().is_ok() {});
    let speaking = TcpListener::bind("127.0.0.1:9002")?;
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = speaking.accept() {
            let _ = stream.write_all(b"220 hello\x1b[31m\r\n");
            kept.push(stream);
        }
    });
    let silent = UdpSocket::bind("127.0.0.1:9003")?;
    let server = UdpSocket::bind("127.0.0.1:53")?;
    std::thread::spawn(move || {
        let mut buffer = [0u8; 512];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            buffer[2] |= 0x80;
            let _ = server.send_to(buffer.get(..length).unwrap_or_default(), from);
        }
    });
    for (words, wanted, finding, said) in [
        (&["127.0.0.1", "9000"][..], 3, "reset", "nothing listens there"),
        (&["--idle-timeout", "30s", "127.0.0.1", "9001"], 6, "accepted_then_closed", "a proxy without a backend"),
        (&["--idle-timeout", "30s", "127.0.0.1", "9002"], 0, "open_banner", "speaks first: \"220 hello.[31m\""),
        (&["-u", "-w", "0.2", "127.0.0.1", "9003"], 7, "open_or_filtered", "nothing is proven"),
        (&["-u", "127.0.0.1", "53"], 0, "answered", "DNS answered NOERROR"),
        (&["-u", "127.0.0.1", "9009"], 3, "icmp_port_unreachable", "the host itself"),
        (&["203.0.113.1", "80"], 5, "no_route", "no route to 203.0.113.1"),
    ] {
        let mut all = vec!["-z", "--rc", "--json", "--explain"];
        all.extend(words);
        let out = ran(&all)?;
        status(&format!("{words:?}"), &out, wanted)?;
        let record: Value = serde_json::from_slice(&out.stdout).map_err(|error| format!("{words:?}: {error}"))?;
        lab::same(&format!("{words:?}"), record.get("finding").and_then(Value::as_str).unwrap_or(""), finding)?;
        has(&format!("{words:?}"), &text(&out.stderr), said)?;
        // Without our options it is silent and the peer's.
        let plain = ran(&[&["-z"], words].concat())?;
        lab::same(&format!("{words:?}, plain"), &(text(&plain.stdout) + &text(&plain.stderr)), "")?;
    }
    let out = ran(&["-z", "--rc", "name.invalid", "80"])?;
    drop(silent);
    status("a name that is none", &out, 2)
}

fn hex_dump() -> Result<(), Stop> {
    let server = TcpListener::bind("127.0.0.1:9001")?;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = server.accept()?;
        let mut got = Vec::new();
        stream.read_to_end(&mut got)?;
        stream.write_all(b"\x00answer")
    });
    let dir = TempDir::new("nc-dump")?;
    let input = dir.0.join("in");
    std::fs::write(&input, "question")?;
    let mut command = nc("nc")?;
    command.args(["-N", "--hex-dump", "127.0.0.1", "9001"]);
    let out = lab::run_with(&mut command, std::fs::File::open(&input)?.into(), LIMIT)?;
    echo.join().map_err(|_| "the echo died")??;
    status("dump", &out, 0)?;
    lab::same("stdout", &text(&out.stdout), "\0answer")?;
    let err = text(&out.stderr);
    has("dump", &err, "> 00000000  71 75 65 73 74 69 6f 6e ")?;
    has("dump", &err, "|question|")?;
    has("dump", &err, "< 00000000  00 61 6e 73 77 65 72 ")?;
    has("dump", &err, "|.answer|")
}

fn proxy_listener() -> Result<(), Stop> {
    let (mut listener, mut err) = listening(&["-l", "--proxy-protocol", "v1", "127.0.0.1", "9000"])?;
    let mut client = connected("127.0.0.1:9000")?;
    client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut said = String::new();
    err.read_to_string(&mut said)?;
    let done = listener.0.wait()?;
    has("no header", &said, "does not begin with a PROXY protocol header")?;
    lab::same("status", &format!("{:?}", done.code()), "Some(1)")?;

    let (mut listener, mut err) = listening(&["-l", "--proxy-protocol", "v1", "127.0.0.1", "9000"])?;
    let mut command = nc("nc")?;
    command.args(["-N", "--proxy-protocol", "v2", "127.0.0.1", "9000"]);
    status("client", &lab::run_with(&mut command, Stdio::null(), LIMIT)?, 0)?;
    said.clear();
    err.read_to_string(&mut said)?;
    has("header", &said, "PROXY protocol: 127.0.0.1:")?;
    lab::same("status", &format!("{:?}", listener.0.wait()?.code()), "Some(0)")
}

fn refused() -> Result<(), Stop> {
    for (program, words, name) in [
        ("nc", &["--tls", "-u", "h", "1"][..], "DTLS"),
        ("nc", &["-e", "sh", "h", "1"], "-e"),
        ("nc", &["--sh-exec", "sh", "h", "1"], "--sh-exec"),
        ("nc", &["-S", "h", "1"], "-S"),
        ("nc", &["-Z", "h", "1"], "-Z"),
        ("nc", &["--relay", "tls-l:1,verify", "tcp:h:1"], "for the side that connects"),
        ("nc", &["--relay", "tcp:h:1"], "--relay"),
        ("nc", &["--wait", "soon", "h", "1"], "--wait"),
        ("ncat", &["--ssl-ciphers", "HIGH", "h", "1"], "--ssl-ciphers"),
        ("ncat", &["-l", "--ssl-verify", "1"], "--ssl-verify"),
        ("ncat", &["-g", "h", "h", "1"], "-g"),
        ("ncat", &["-l", "--broker"], "--broker"),
        ("ncat", &["--vsock", "1", "1"], "--vsock"),
    ] {
        let mut command: Command = nc(program)?;
        let out = lab::run(command.args(words), LIMIT)?;
        status(&format!("{program} {words:?}"), &out, 2)?;
        has(&format!("{program} {words:?}"), &text(&out.stderr), name)?;
    }
    Ok(())
}
