//! nc and ncat with TLS against OpenSSL, against Nmap's ncat, and against each other.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::lab::tls::{Running, certificates, free_port, open_input};
use crate::lab::{Stop, netkit, run, run_with, same, tool, trial};

const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("nc_tls::client_to_openssl", client_to_openssl),
        trial("nc_tls::client_from_openssl", client_from_openssl),
        trial("nc_tls::listener_and_openssl", listener_and_openssl),
        trial("nc_tls::with_ncat_both_ways", with_ncat_both_ways),
        trial("nc_tls::many_clients", many_clients),
        trial("nc_tls::half_close_through_relays", half_close_through_relays),
        trial("nc_tls::words_of_ncat", words_of_ncat),
        trial("nc_tls::own_words", own_words),
    ]
}

/// Three megabytes that do not repeat where buffers end.
fn payload() -> Vec<u8> {
    (0..3_000_017u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn nc(applet: &str, words: &str) -> Command {
    let mut command = Command::new(netkit());
    command.arg(applet).args(words.split(' '));
    command
}

fn equal(what: &str, left: &[u8], right: &[u8]) -> Result<(), Stop> {
    if left == right {
        return Ok(());
    }
    let at = left.iter().zip(right).position(|(a, b)| a != b);
    Err(format!("{what}: {} and {} bytes, first difference {at:?}", left.len(), right.len()).into())
}

fn fine(what: &str, output: &Output) -> Result<(), Stop> {
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{what}: {:?} {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

fn s_server(dir: &Path, port: u16) -> Result<Command, Stop> {
    let mut command = Command::new(tool("openssl", "openssl")?);
    command.args(["s_server", "-quiet", "-naccept", "1", "-cert", "s.pem", "-key", "s.key", "-accept"]);
    command.arg(format!("127.0.0.1:{port}")).current_dir(dir).stderr(Stdio::null());
    Ok(command)
}

fn client_to_openssl() -> Result<(), Stop> {
    let dir = certificates("nc-tls")?;
    fs::write(dir.0.join("big"), payload())?;
    for (applet, words, version) in [
        ("nc", "--tls -N --ssl-verify --ssl-trustfile ca.pem localhost", "-tls1_3"),
        ("nc", "--tls --send-only localhost", "-tls1_2"),
        ("ncat", "--ssl --ssl-servername localhost --ssl-verify --ssl-trustfile ca.pem 127.0.0.1", "-tls1_2"),
        ("ncat", "--ssl --send-only --ssl-alpn h2,x 127.0.0.1", "-tls1_3"),
    ] {
        let port = free_port()?;
        let got = dir.0.join("got");
        let (input, held) = open_input()?;
        let server =
            Running::listening(s_server(&dir.0, port)?.arg(version).stdin(input).stdout(File::create(&got)?), port)?;
        let mut command = nc(applet, &format!("{words} {port}"));
        let output = run_with(command.current_dir(&dir.0), File::open(dir.0.join("big"))?.into(), LIMIT)?;
        fine(words, &output)?;
        server.finish()?;
        drop(held);
        equal(words, &fs::read(&got)?, &payload())?;
    }
    Ok(())
}

fn client_from_openssl() -> Result<(), Stop> {
    let dir = certificates("nc-tls")?;
    for (applet, words) in [("nc", "--tls -d localhost"), ("ncat", "--ssl --recv-only localhost")] {
        let port = free_port()?;
        let (input, mut held) = open_input()?;
        let server = Running::listening(s_server(&dir.0, port)?.stdin(input).stdout(Stdio::null()), port)?;
        // A Q at the beginning of a line would end s_server were it not quiet.
        let writer = std::thread::spawn(move || held.write_all(&payload()).map(|()| held));
        let mut child =
            Running(nc(applet, &format!("{words} {port}")).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
        let mut out = child.0.stdout.take().ok_or("no pipe")?;
        let mut got = vec![0u8; payload().len()];
        out.read_exact(&mut got)?;
        equal(words, &got, &payload())?;
        drop(writer.join());
        drop(child);
        drop(server);
    }
    Ok(())
}

fn listener_and_openssl() -> Result<(), Stop> {
    let dir = certificates("nc-tls")?;
    fs::write(dir.0.join("big"), payload())?;
    for words in ["--tls -l 127.0.0.1", "--ssl-cert s.pem --ssl-key s.key -l 127.0.0.1"] {
        let port = free_port()?;
        let got = dir.0.join("got");
        let mut command = nc("nc", &format!("{words} {port}"));
        command.current_dir(&dir.0).stdin(File::open(dir.0.join("big"))?).stdout(File::create(&got)?);
        let server = Running::listening(&mut command, port)?;
        let mut client = Command::new(tool("openssl", "openssl")?);
        client.args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")]);
        let mut client = Running(client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
        let mut out = client.0.stdout.take().ok_or("no pipe")?;
        let mut to = client.0.stdin.take().ok_or("no pipe")?;
        let mut back = vec![0u8; payload().len()];
        out.read_exact(&mut back)?;
        equal("from the listener", &back, &payload())?;
        to.write_all(&payload())?;
        // s_client would not end with its input, so it is ended once all has arrived.
        let until = Instant::now() + LIMIT;
        while fs::metadata(&got)?.len() < payload().len() as u64 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(3));
        }
        drop((to, client));
        server.finish()?;
        equal("to the listener", &fs::read(&got)?, &payload())?;
    }
    Ok(())
}

fn with_ncat_both_ways() -> Result<(), Stop> {
    let ncat = tool("ncat", "ncat")?;
    let dir = certificates("nc-tls")?;
    fs::write(dir.0.join("big"), payload())?;
    let ours = netkit();
    for (listener, client) in [(&ours, &ncat), (&ncat, &ours), (&ours, &ours)] {
        let make = |program: &Path, words: &str| {
            let mut command = Command::new(program);
            if program == ours {
                command.arg("ncat");
            }
            command.args(words.split(' ')).current_dir(&dir.0).stderr(Stdio::null());
            command
        };
        // What the client sends.
        let port = free_port()?;
        let got = dir.0.join("got");
        let mut command = make(listener, &format!("--ssl --recv-only -l 127.0.0.1 {port}"));
        let server = Running::listening(command.stdin(Stdio::null()).stdout(File::create(&got)?), port)?;
        let mut command = make(client, &format!("--ssl --send-only 127.0.0.1 {port}"));
        fine("client", &run_with(&mut command, File::open(dir.0.join("big"))?.into(), LIMIT)?)?;
        server.finish()?;
        equal(&format!("{client:?} to {listener:?}"), &fs::read(&got)?, &payload())?;
        // What the listener sends.
        let port = free_port()?;
        let mut command = make(listener, &format!("--ssl --send-only -l 127.0.0.1 {port}"));
        let server = Running::listening(command.stdin(File::open(dir.0.join("big"))?).stdout(Stdio::null()), port)?;
        let output = run(&mut make(client, &format!("--ssl --recv-only 127.0.0.1 {port}")), LIMIT)?;
        server.finish()?;
        equal(&format!("{listener:?} to {client:?}"), &output.stdout, &payload())?;
    }
    Ok(())
}

/// `-k`: several clients at once, one of them silent in its handshake, all of them served.
fn many_clients() -> Result<(), Stop> {
    let port = free_port()?;
    let mut command = nc("ncat", &format!("--ssl -k -l 127.0.0.1 {port}"));
    let (input, held) = open_input()?;
    let mut server = Running::listening(command.stdin(input).stdout(Stdio::piped()), port)?;
    let silent = std::net::TcpStream::connect(("127.0.0.1", port))?;
    let mut out = server.0.stdout.take().ok_or("no pipe")?;
    for word in ["first\n", "second\n"] {
        let mut client = nc("nc", &format!("--tls -N 127.0.0.1 {port}"));
        let mut client = Running(client.stdin(Stdio::piped()).spawn()?);
        client.0.stdin.take().ok_or("no pipe")?.write_all(word.as_bytes())?;
        let mut got = vec![0u8; word.len()];
        out.read_exact(&mut got)?;
        equal("line", &got, word.as_bytes())?;
        client.finish()?;
    }
    drop((silent, held));
    Ok(())
}

/// Client with TLS, relay that takes TLS off, relay that puts it on again, relay that takes it off, plain server: the
/// client's end reaches the server, and the answer that it gives only then reaches the client.
fn half_close_through_relays() -> Result<(), Stop> {
    let dir = certificates("nc-tls")?;
    let server = TcpListener::bind("127.0.0.1:0")?;
    let last = server.local_addr()?.port();
    let answer = std::thread::spawn(move || -> std::io::Result<Vec<u8>> {
        let (mut stream, _) = server.accept()?;
        let mut got = Vec::new();
        stream.read_to_end(&mut got)?;
        stream.write_all(&payload())?;
        Ok(got)
    });
    let (first, second) = (free_port()?, free_port()?);
    let tls = "cert=s.pem,key=s.key";
    let trust = "verify,trustfile=ca.pem";
    let mut inner = nc("nc", &format!("--relay tls-l:127.0.0.1:{second},{tls} tcp:127.0.0.1:{last}"));
    let inner = Running::listening(inner.current_dir(&dir.0), second)?;
    let mut outer = nc("nc", &format!("--relay tls-l:127.0.0.1:{first},fork tls:localhost:{second},{trust}"));
    let _outer = Running::listening(outer.current_dir(&dir.0), first)?;
    fs::write(dir.0.join("big"), payload())?;
    let mut client = nc("nc", &format!("--tls -N 127.0.0.1 {first}"));
    let output = run_with(&mut client, File::open(dir.0.join("big"))?.into(), LIMIT)?;
    fine("client", &output)?;
    equal("back", &output.stdout, &payload())?;
    let got = answer.join().map_err(|_| "server died")??;
    equal("there", &got, &payload())?;
    if !inner.finish()?.success() {
        return Err("the inner relay failed".into());
    }
    Ok(())
}

/// The same lines to both, with their talk and status.
fn words_of_ncat() -> Result<(), Stop> {
    let ncat = tool("ncat", "ncat")?;
    let dir = certificates("nc-tls")?;
    let port = free_port()?;
    let mut server = Command::new(tool("openssl", "openssl")?);
    server.args(["s_server", "-cert", "s.pem", "-key", "s.key", "-www", "-accept", &format!("127.0.0.1:{port}")]);
    let (input, _held) = open_input()?;
    server.current_dir(&dir.0).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Running::listening(&mut server, port)?;
    let nobody = free_port()?;
    let lines = [
        format!("--ssl -z localhost {port}"),
        format!("-v --ssl -z localhost {port}"),
        format!("-v --ssl -z 127.0.0.1 {port}"),
        format!("-v --ssl-verify --ssl-trustfile ca.pem -z localhost {port}"),
        format!("-v --ssl-verify --ssl-trustfile s.key -z 127.0.0.1 {port}"),
        format!("-v --ssl-verify --ssl-servername other --ssl-trustfile ca.pem -z localhost {port}"),
        format!("--ssl-verify --ssl-servername other --ssl-trustfile ca.pem localhost {port}"),
        format!("--ssl-servername other -z -v localhost {port}"),
        format!("--ssl-verify -v localhost {port}"),
        format!("--ssl-alpn h2 -v -z localhost {port}"),
        format!("--ssl-trustfile missing localhost {port}"),
        format!("--ssl localhost {nobody}"),
        format!("--ssl -u -l {port}"),
        format!("--ssl-cert s.pem -l {port}"),
        format!("--ssl-key s.key -l {port}"),
        format!("--ssl-key s.key localhost {port}"),
        "--ssl -U /nowhere".to_owned(),
    ];
    let mut wrong = Vec::new();
    for line in &lines {
        // A file without a certificate is refused by both, each in the words of its library.
        let library = line.contains("s.key -z");
        let shown = |program: &Path, first: &[&str]| -> Result<String, Stop> {
            let mut command = Command::new(program);
            let output = run(command.args(first).args(line.split(' ')).current_dir(&dir.0), LIMIT)?;
            let talk = String::from_utf8_lossy(&output.stderr);
            let stable: Vec<&str> = talk.lines().filter(|line| !line.contains(" seconds.")).collect();
            let stable = if library { String::new() } else { stable.join("\n") };
            Ok(format!("{:?}\n{stable}", output.status.code()))
        };
        let (theirs, ours) = (shown(&ncat, &[])?, shown(&netkit(), &["ncat"])?);
        if theirs != ours {
            wrong.push(format!("{line}\n  ncat: {theirs}\n  ours: {ours}"));
        }
    }
    same("differences from ncat", &wrong.join("\n"), "")
}

fn own_words() -> Result<(), Stop> {
    let dir = certificates("nc-tls")?;
    let port = free_port()?;
    let mut server = Command::new(tool("openssl", "openssl")?);
    server.args(["s_server", "-cert", "s.pem", "-key", "s.key", "-www", "-accept", &format!("127.0.0.1:{port}")]);
    let (input, _held) = open_input()?;
    server.current_dir(&dir.0).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Running::listening(&mut server, port)?;
    for (words, status, wanted) in [
        ("--tls -zv localhost PORT", 0, "not verified (unable to get local issuer certificate)"),
        ("--tls -zv --ssl-verify --ssl-trustfile ca.pem localhost PORT", 0, "verified by O=Lab; CN=LabCA of ca.pem"),
        ("--tls -z --tls-verify localhost PORT", 1, "unable to get local issuer certificate"),
        ("--tls -z --ssl-verify --ssl-trustfile ca.pem --ssl-servername x localhost PORT", 1, "does not match"),
        ("--ssl-trustfile missing localhost PORT", 2, "cannot open missing: No such file or directory"),
        ("--tls -u localhost PORT", 2, "DTLS is not offered"),
        ("--ssl-ciphers HIGH localhost PORT", 2, "--ssl-ciphers is not offered"),
        ("--tls -l --ssl-verify PORT", 2, "--ssl-verify is for clients"),
        ("--wait 1s --tls localhost PORT", 2, "--tls does not go together with --wait"),
        ("--relay tls-l:PORT,verify tcp:localhost:PORT", 2, "for the side that connects"),
        ("--relay tcp-l:PORT,cert=x tcp:localhost:PORT", 2, "no option `cert=x`"),
    ] {
        let words = words.replace("PORT", &port.to_string());
        let output = run(nc("nc", &words).current_dir(&dir.0), LIMIT)?;
        let talk = String::from_utf8_lossy(&output.stderr);
        let wanted = wanted.replace("does not match", "target host name 'x'");
        if output.status.code() != Some(status) || !talk.contains(&wanted) {
            return Err(format!("{words}: wanted {status} and `{wanted}`\n{:?}\n{talk}", output.status).into());
        }
    }
    Ok(())
}
