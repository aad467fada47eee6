//! The broken worlds of `netkit doctor`: servers on loopback, each with one fault, and a resolv.conf through a pipe.
//! No root, no file.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{CLUSTER, SILENT, Step};
use crate::Result;

/// What a server does with a connection.
#[derive(Clone, Copy)]
enum Act {
    /// Takes it and never says a word.
    Hang,
    /// Takes it and closes it.
    Close,
    /// Answers every request with these bytes, then closes.
    Say(&'static str),
    /// Fails one time in three.
    Sometimes,
}

const NO_BACKEND: &str = "HTTP/1.1 503 Service Unavailable\r\nserver: envoy\r\ncontent-length: 19\r\nconnection: close\r\n\r\nno healthy upstream";
const CUT_SHORT: &str = "HTTP/1.1 200 OK\r\nServer: demo\r\nContent-Length: 5000\r\n\r\nthe first bytes";
const NOWHERE: &str =
    "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/login\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const FINE: &str = "HTTP/1.1 200 OK\r\nServer: demo\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";

/// Starts a server; its port. The thread ends with the process.
fn start(act: Act) -> Result<u16> {
    let failed = |error: std::io::Error| format!("cannot listen on loopback: {error}");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    std::thread::spawn(move || {
        let count = AtomicU32::new(0);
        let mut held: Vec<TcpStream> = Vec::new();
        for stream in listener.incoming().flatten() {
            let number = count.fetch_add(1, Ordering::Relaxed);
            match act {
                Act::Hang => held.push(stream),
                Act::Close => drop(stream),
                Act::Say(text) => say(stream, text),
                // Asked, and then no word: closing at once would be a reset now and then.
                Act::Sometimes if number % 3 == 2 => say(stream, ""),
                Act::Sometimes => say(stream, FINE),
            }
        }
    });
    Ok(port)
}

/// Reads the request first, so that closing does not reset what was said.
fn say(mut stream: TcpStream, text: &str) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut request = Vec::new();
    let mut chunk = [0u8; 4096];
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(chunk.get(..count).unwrap_or_default()),
        }
        // TLS never has such a line end; its first bytes are answered in plain text.
        if request.first() == Some(&0x16) {
            break;
        }
    }
    let _ = stream.write_all(text.as_bytes());
}

/// Every world is one step. `dns` is the port of the name servers.
pub(super) fn steps(dns: u16) -> Result<Vec<Step>> {
    let closed = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        listener.local_addr().map_err(|error| error.to_string())?.port()
    };
    let (fine, hang, close) = (start(Act::Say(FINE))?, start(Act::Hang)?, start(Act::Close)?);
    let (envoy, cut) = (start(Act::Say(NO_BACKEND))?, start(Act::Say(CUT_SHORT))?);
    let (nowhere, sometimes) = (start(Act::Say(NOWHERE))?, start(Act::Sometimes)?);
    let step = |before: &'static str, words: String, status: i32, names: &'static [&'static str]| Step {
        applet: "doctor",
        before,
        words: format!("--quiet --timeout 1 {words}"),
        stdin: String::new(),
        env: None,
        status,
        names,
        after: "",
    };
    let with_conf = |search: &str, servers: &[Ipv4Addr], one: Step| {
        let lines: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        Step {
            words: format!("--dns-port {dns} --resolv-conf /dev/stdin {}", one.words),
            stdin: format!("search {search}\n{lines}options ndots:5\n"),
            ..one
        }
    };
    let cluster = "default.svc.cluster.local svc.cluster.local cluster.local";
    Ok(vec![
        with_conf(
            "corp.example",
            &[CLUSTER],
            step(
                "The search list of a virtual machine came into the pod:",
                format!("http://web.default:{fine}/"),
                3,
                &["DNS is broken", "search list", "web.default.svc.cluster.local exists"],
            ),
        ),
        with_conf(
            cluster,
            &[SILENT, CLUSTER],
            step(
                "The first of two name servers is dead; everything works, after five seconds:",
                format!("http://web:{fine}/"),
                3,
                &["DNS is impaired", "127.0.0.12", "does not answer"],
            ),
        ),
        with_conf(
            cluster,
            &[CLUSTER],
            step(
                "A name with forty addresses, and TCP to the name server is blocked:",
                format!("tcp://workers:{fine}"),
                3,
                &["DNS is broken", "does not fit into a datagram", "TCP"],
            ),
        ),
        step("Nobody listens:", format!("http://127.0.0.1:{closed}/"), 6, &["TCP is broken", "refused"]),
        step(
            "A sidecar takes every connection, and its backend is down:",
            format!("tcp://127.0.0.1:{close}"),
            6,
            &["TCP is broken", "closes it at once"],
        ),
        step(
            "The application hangs:",
            format!("http://127.0.0.1:{hang}/"),
            8,
            &["HTTP is where it stops", "says nothing for 1000 ms"],
        ),
        step(
            "https:// to a port that speaks http://",
            format!("https://127.0.0.1:{fine}/"),
            7,
            &["TLS is broken", "does not speak TLS"],
        ),
        step(
            "A proxy answers for a service without pods:",
            format!("http://127.0.0.1:{envoy}/"),
            8,
            &["HTTP is broken", "envoy answered 503", "no healthy backend"],
        ),
        step(
            "The answer ends too early:",
            format!("http://127.0.0.1:{cut}/"),
            8,
            &["HTTP is broken", "cut short", "of 5000"],
        ),
        step(
            "A redirect leads nowhere:",
            format!("http://127.0.0.1:{nowhere}/"),
            8,
            &["HTTP is broken", "redirects to http://127.0.0.1:1/login", "refused"],
        ),
        Step {
            env: Some(("http_proxy", format!("http://127.0.0.1:{closed}"))),
            ..step(
                "http_proxy was left in the environment, and that proxy is gone:",
                "http://api.example.com/".to_owned(),
                9,
                &["the environment is broken", "http_proxy", "cannot be reached"],
            )
        },
        step(
            "One connection in three fails:",
            format!("--repeat 9 --interval 0 http://127.0.0.1:{sometimes}/"),
            8,
            &["3 of 9 attempts fail"],
        ),
    ])
}
