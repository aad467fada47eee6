//! The tls rows of `cargo xtask bench`: what `tls-probe --enumerate` costs beside sslscan and nmap's ssl-enum-ciphers, in
//! connections and in time, on the same three configurations of nginx at a round trip of 20 ms.
//!
//! The delay is made by a relay in this process, because netem is not in every kernel: half a round trip in each
//! direction, and one more for the handshake of TCP, which the relay's own listener would otherwise answer at once. It
//! counts connections too. Before anything is told, the suites found have to be as many as sslscan's.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::nc::Guard;
use super::{Folder, free_port};
use crate::Result;
use crate::process::{at, command, find, output_bytes, shown};

/// Half a round trip.
const HALF: Duration = Duration::from_millis(10);
/// How long nginx may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// Ratios wanted, to sslscan.
const CONNECTIONS_GOAL: f64 = 0.5;
const TIME_GOAL: f64 = 1.0 / 3.0;

/// Name and configuration.
const SERVERS: [(&str, &str); 3] = [
    (
        "TLS 1.2 and 1.3, six suites",
        "ssl_protocols TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers on; ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;",
    ),
    ("TLS 1.3 alone", "ssl_protocols TLSv1.3;"),
    (
        "TLS 1.0 to 1.3, all suites",
        "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers on; ssl_ciphers ALL:@SECLEVEL=0;",
    ),
];

pub(crate) fn run(netkit: &Path) -> Result<()> {
    let (Some(nginx), Some(openssl), Some(sslscan)) = (find("nginx"), find("openssl"), find("sslscan")) else {
        println!(
            "skipped: tls, because `nginx`, `openssl` or `sslscan` is not installed (Debian packages nginx-light, openssl, sslscan)"
        );
        return Ok(());
    };
    let nmap = find("nmap");
    if nmap.is_none() {
        println!("skipped: `nmap` is not installed (Debian package nmap)");
    }
    println!(
        "\nEnumeration at a round trip of 20 ms. sslscan by default, and with signature algorithms, which netkit finds too.\n"
    );
    let folder = Folder::new()?;
    let mut make = command(openssl);
    make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2", "-keyout"]);
    make.arg(folder.0.join("key")).arg("-out").arg(folder.0.join("certificate")).stderr(Stdio::null());
    output_bytes(&mut make)?;
    for (title, lines) in SERVERS {
        let (_server, port) = start(&nginx, &folder.0, lines)?;
        let relay = Relay::start(port)?;
        let place = format!("127.0.0.1:{}", relay.port);
        let mut rows: Vec<(&str, usize, f64)> = Vec::new();
        let mut measure = |name: &'static str, program: &Path, words: &[&str]| -> Result<String> {
            let before = relay.count.load(Ordering::SeqCst);
            let began = Instant::now();
            let output = output_bytes(command(program).args(words).stdin(Stdio::null()).stderr(Stdio::null()))?;
            rows.push((name, relay.count.load(Ordering::SeqCst) - before, began.elapsed().as_secs_f64()));
            Ok(String::from_utf8_lossy(&output).into_owned())
        };
        let ours = measure("netkit tls-probe", netkit, &["tls-probe", "--enumerate", "--json", &place])?;
        let theirs = measure("sslscan", &sslscan, &["--no-colour", &place])?;
        measure("sslscan --show-sigs", &sslscan, &["--no-colour", "--show-sigs", &place])?;
        if let Some(nmap) = &nmap {
            let port = relay.port.to_string();
            measure("nmap", nmap, &["-Pn", "-n", "-p", &port, "--script", "ssl-enum-ciphers", "127.0.0.1"])?;
        }
        let found = ours.matches("\"openssl\":").count();
        let known = theirs.lines().filter(|line| line.starts_with("Preferred") || line.starts_with("Accepted")).count();
        if found != known || found == 0 {
            return Err(format!("{title}: netkit finds {found} suites and sslscan {known}"));
        }
        println!("{title}: {found} suites");
        let (connections, seconds) = rows.first().map_or((0.0, 0.0), |row| (row.1 as f64, row.2));
        for (at, (name, count, time)) in rows.iter().enumerate() {
            let (fewer, faster) = (connections / *count as f64, seconds / time);
            let goals = match at {
                0 => String::new(),
                1 | 2 => {
                    let word = |ratio: f64, goal: f64| if ratio <= goal { "PASS" } else { "MISS" };
                    let (first, second) = (word(fewer, CONNECTIONS_GOAL), word(faster, TIME_GOAL));
                    format!(
                        "  ratio {fewer:.2} (goal {CONNECTIONS_GOAL:.2}: {first}), {faster:.2} (goal {TIME_GOAL:.2}: {second})"
                    )
                }
                _ => format!("  ratio {fewer:.2}, {faster:.2}"),
            };
            println!("    {name:<20} {count:>4} connections {time:>7.2} s{goals}");
        }
    }
    Ok(())
}

/// nginx with these lines, and its port.
fn start(program: &Path, folder: &Path, lines: &str) -> Result<(Guard, u16)> {
    let port = free_port()?;
    let root = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {root}/t-{name};\n"))
        .concat();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {root}/pid;\nerror_log {root}/log;\nevents {{ }}\n\
         http {{ access_log off;\n{temporary}server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {root}/certificate;\n\
         ssl_certificate_key {root}/key; {lines} return 204; }} }}\n"
    );
    let configuration = folder.join("nginx.conf");
    fs::write(&configuration, text).map_err(at("write", &configuration))?;
    let mut nginx = match find("setpriv") {
        // So that it ends with us however we end.
        Some(setpriv) => {
            let mut guarded = command(setpriv);
            guarded.args(["--pdeathsig", "TERM", "--"]).arg(program);
            guarded
        }
        None => command(program),
    };
    nginx.arg("-p").arg(folder).arg("-c").arg(&configuration).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Guard::start(&mut nginx)?;
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > until {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            return Err(format!("{} did not start: {log}", shown(&nginx)));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok((server, port))
}

/// A listener that passes everything on, late. Its threads end with the process.
struct Relay {
    port: u16,
    count: Arc<AtomicUsize>,
}

impl Relay {
    fn start(server: u16) -> Result<Relay> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("cannot listen: {error}"))?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || drop(pass(&client, server)));
            }
        });
        Ok(Relay { port, count })
    }
}

fn pass(client: &TcpStream, server: u16) -> std::io::Result<()> {
    // What the handshake of TCP takes.
    thread::sleep(HALF * 2);
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let forth = thread::spawn(move || one_way(&from, &to));
    one_way(&server, client);
    let _ = forth.join();
    Ok(())
}

fn one_way(mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        let length = from.read(&mut buffer).unwrap_or(0);
        thread::sleep(HALF);
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        if to.write_all(bytes).is_err() {
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
