//! The curl rows of `cargo xtask bench`: 1 GiB from nginx over HTTP, over HTTPS and over HTTP/2, 2,000 small requests in one
//! invocation, and start-up; against curl, and wget where it speaks the protocol.
//!
//! nginx runs on loopback with a certificate made here, and sends a sparse file from the page cache, so that the clients are
//! what is measured. CPU is the client's alone.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::nc::Guard;
use super::{Contender, Folder, race};
use crate::Result;
use crate::process::{at, command, find, output_bytes, shown};

/// Bytes of the large file.
const LARGE: u64 = 1 << 30;
/// Runs of each for the large file.
const RUNS: usize = 5;
/// Runs of each for the many small ones.
const BATCHES: usize = 7;
/// Runs of each for start-up.
const STARTS: usize = 200;
const START_GOAL: f64 = 0.33;
/// How long nginx may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is fetched, and by whom: netkit and curl take the same words.
struct Row {
    title: &'static str,
    words: &'static [&'static str],
    /// What wget takes instead, if it can do it at all.
    wget: Option<&'static [&'static str]>,
}

const ROWS: &[Row] = &[
    Row {
        title: "1 GiB over HTTP",
        words: &["-q", "-s", "-o", "/dev/null", "http://127.0.0.1:PLAIN/large"],
        wget: Some(&["-q", "-O", "/dev/null", "http://127.0.0.1:PLAIN/large"]),
    },
    Row {
        title: "1 GiB over HTTPS",
        words: &["-q", "-s", "-k", "--http1.1", "-o", "/dev/null", "https://127.0.0.1:SECURE/large"],
        wget: Some(&["-q", "--no-check-certificate", "-O", "/dev/null", "https://127.0.0.1:SECURE/large"]),
    },
    Row {
        title: "1 GiB over HTTP/2",
        words: &["-q", "-s", "-k", "-o", "/dev/null", "https://127.0.0.1:SECURE/large"],
        wget: None,
    },
];

pub(crate) fn run(netkit: &Path) -> Result<()> {
    let Some(curl) = find("curl") else {
        println!("skipped: `curl`, the peer, is not installed (Debian package curl)");
        return Ok(());
    };
    println!("\nA ratio below 1 means that netkit needs less. Median of alternating runs; the best in parentheses.\n");
    let ours = Contender::new("netkit", netkit, &["curl", "-q", "-V"]);
    race("start-up (-V)", &ours, &Contender::new("curl", &curl, &["-q", "-V"]), STARTS, Some(START_GOAL))?;
    let (Some(nginx), Some(openssl)) = (find("nginx"), find("openssl")) else {
        println!(
            "skipped: transfers, because `nginx` or `openssl` is not installed (Debian packages nginx-light, openssl)"
        );
        return Ok(());
    };
    let folder = Folder::new()?;
    let server = Nginx::start(&nginx, &openssl, &folder.0)?;
    let wget = find("wget");
    for row in ROWS {
        let mut contenders = vec![
            Contender::new("netkit", netkit, &prefixed("curl", &server.words(row.words))),
            Contender::new("curl", &curl, &borrowed(&server.words(row.words))),
        ];
        match (&wget, row.wget) {
            (Some(wget), Some(words)) => contenders.push(Contender::new("wget", wget, &borrowed(&server.words(words)))),
            (None, Some(_)) => println!("skipped: `wget` is not installed (Debian package wget)"),
            _ => {}
        }
        transfer(row.title, &contenders)?;
    }
    let many = server.words(&["-q", "-s", "-o", "/dev/null", "http://127.0.0.1:PLAIN/small?[1-2000]"]);
    let ours = Contender::new("netkit", netkit, &prefixed("curl", &many));
    race(
        "2,000 requests in one invocation",
        &ours,
        &Contender::new("curl", &curl, &borrowed(&many)),
        BATCHES,
        Some(1.0),
    )
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn prefixed<'a>(first: &'a str, words: &'a [String]) -> Vec<&'a str> {
    std::iter::once(first).chain(words.iter().map(String::as_str)).collect()
}

/// Wall time and CPU of every contender, the first one against the others.
fn transfer(title: &str, contenders: &[Contender]) -> Result<()> {
    let mut wall: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    let mut cpu: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    for round in 0..=RUNS {
        for ((contender, wall), cpu) in contenders.iter().zip(&mut wall).zip(&mut cpu) {
            let mut program = contender.command();
            program.stdout(Stdio::null()).stderr(Stdio::null());
            let started = Instant::now();
            let spent = Guard::start(&mut program)?.cpu(contender.name)?;
            // The first round is for the page cache.
            if round > 0 {
                wall.push(started.elapsed().as_secs_f64());
                cpu.push(spent);
            }
        }
    }
    println!("{title}, {RUNS} runs each");
    for (what, figures) in [("wall", &mut wall), ("CPU ", &mut cpu)] {
        let medians: Vec<(f64, f64)> = figures.iter_mut().map(|figures| median(figures)).collect();
        let ours = medians.first().map_or(f64::NAN, |(median, _)| *median);
        for (contender, (median, best)) in contenders.iter().zip(&medians) {
            let verdict = match contender.name {
                "netkit" => String::new(),
                name => {
                    let ratio = ours / median.max(0.001);
                    let word = if ratio <= 1.0 { "PASS" } else { "MISS" };
                    format!("  netkit / {name} {ratio:.3}  goal 1.00: {word}")
                }
            };
            println!("    {what} {:<7} {median:>7.3} s ({best:.3}){verdict}", contender.name);
        }
    }
    Ok(())
}

/// Median and best.
fn median(figures: &mut [f64]) -> (f64, f64) {
    figures.sort_by(f64::total_cmp);
    let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
    (at(figures.len() / 2), at(0))
}

/// A web server on loopback; dropping it ends it.
struct Nginx {
    child: Child,
    plain: u16,
    secure: u16,
}

impl Nginx {
    fn start(program: &Path, openssl: &Path, folder: &Path) -> Result<Nginx> {
        let large = folder.join("large");
        fs::File::create(&large).and_then(|file| file.set_len(LARGE)).map_err(at("create", &large))?;
        let small = folder.join("small");
        fs::write(&small, "small\n").map_err(at("write", &small))?;
        let mut make = command(openssl);
        make.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-keyout"])
        .arg(folder.join("key"))
        .arg("-out")
        .arg(folder.join("certificate"))
        .stderr(Stdio::null());
        output_bytes(&mut make)?;
        let held = [free()?, free()?];
        let [plain, secure] = [port(&held[0])?, port(&held[1])?];
        drop(held);
        let root = folder.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {root}/t-{name};\n"))
            .concat();
        let text = format!(
            "daemon off;\npid {root}/pid;\nerror_log {root}/log;\nworker_processes 1;\nevents {{ }}\n\
             http {{ access_log off; sendfile on; keepalive_requests 100000;\n{temporary}\
             server {{ listen 127.0.0.1:{plain}; root {root}; }}\n\
             server {{ listen 127.0.0.1:{secure} ssl http2; root {root}; ssl_certificate {root}/certificate;\n\
             ssl_certificate_key {root}/key; }} }}\n"
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
            None => Command::new(program),
        };
        nginx.arg("-p").arg(folder).arg("-c").arg(&configuration).stdout(Stdio::null()).stderr(Stdio::null());
        let child = nginx.spawn().map_err(|error| format!("cannot run {}: {error}", shown(&nginx)))?;
        let server = Nginx { child, plain, secure };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, server.secure)).is_err() {
            if Instant::now() > until {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                return Err(format!("nginx did not start: {log}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    fn words(&self, words: &[&str]) -> Vec<String> {
        let port =
            |word: &&str| word.replace("PLAIN", &self.plain.to_string()).replace("SECURE", &self.secure.to_string());
        words.iter().map(port).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its worker ends with it only when it is asked to.
        let asked = find("kill").map(|kill| Command::new(kill).arg(self.child.id().to_string()).status());
        let until = Instant::now() + Duration::from_secs(5);
        while asked.is_some() && Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("no port on loopback: {error}"))
}

fn port(listener: &TcpListener) -> Result<u16> {
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_best() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), (2.0, 1.0));
        let server = |words: &[&str]| {
            let child = Command::new("true").spawn().unwrap();
            Nginx { child, plain: 81, secure: 82 }.words(words)
        };
        assert_eq!(server(&["http://h:PLAIN/", "https://h:SECURE/"]), ["http://h:81/", "https://h:82/"]);
    }
}
