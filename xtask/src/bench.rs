//! `cargo xtask bench`: netkit against its peers in the same run on the same machine, as ratios.
//!
//! Start-up is `dig -v`; the batch is 2,000 queries from a file, all to one `named` that the bench starts on loopback.
//! Runs of the two alternate, so that whatever else the machine does hits both. The figures include starting a process,
//! which costs both the same. Nothing here fails because of a figure; only different answers do.

mod capture;
mod curl;
mod iptables;
mod jq;
mod nc;
mod nft;
mod scan;
mod sockets;
mod tcpdump;
mod tls;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::Result;
use crate::dist;
use crate::musl::Way;
use crate::process::{at, command, find, output_bytes, shown};
use crate::workspace::root;

pub(crate) const USAGE: &str = "[capture|curl|dig|iptables|jq|nc|nft|scan|ss|tcpdump|tls] [--binary NETKIT]";

/// Measures one subject on a binary.
type Measure = fn(&Path) -> Result<()>;

/// What can be measured alone, and in which order all of it is.
const SUBJECTS: [(&str, Measure); 11] = [
    ("nc", nc::run),
    ("dig", dig),
    ("ss", sockets::run),
    ("jq", jq::rows),
    ("iptables", iptables::run),
    ("nft", nft::run),
    ("curl", curl::run),
    ("tcpdump", tcpdump::rows),
    ("capture", capture::run),
    ("scan", scan::run),
    ("tls", tls::run),
];

/// Runs of each for start-up, where one takes milliseconds.
const STARTS: usize = 200;
/// Runs of each for a batch, where one takes a good part of a second.
const BATCHES: usize = 7;
/// Queries of a batch.
const QUERIES: usize = 2000;
/// Ratios wanted, netkit to dig.
const START_GOAL: f64 = 0.25;
const BATCH_GOAL: f64 = 0.33;
/// Options that leave nothing but the answers.
const ANSWERS: &[&str] = &["+noall", "+answer"];
/// How long `named` may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let usage = || format!("usage: cargo xtask bench {USAGE}");
    let (subject, arguments) = match arguments {
        [flag, number] if flag == sockets::HOLD => return sockets::hold(number),
        [flag, number] if flag == capture::FLOOD => return capture::flood(number),
        [word, rest @ ..] if !word.starts_with('-') => (Some(word.as_str()), rest),
        _ => (None, arguments),
    };
    if subject.is_some_and(|subject| SUBJECTS.iter().all(|(name, _)| *name != subject)) {
        return Err(usage());
    }
    let netkit = match arguments {
        [] => dist::build(Way::Auto)?.binary,
        [flag, path] if flag == "--binary" => fs::canonicalize(path).map_err(at("find", Path::new(path)))?,
        _ => return Err(usage()),
    };
    for (_, measure) in SUBJECTS.iter().filter(|(name, _)| subject.is_none_or(|subject| subject == *name)) {
        measure(&netkit)?;
        println!();
    }
    Ok(())
}

fn dig(netkit: &Path) -> Result<()> {
    let Some(dig) = find("dig") else {
        println!("skipped: `dig`, the peer, is not installed (Debian package bind9-dnsutils)");
        return Ok(());
    };
    println!("\nA ratio below 1 means that netkit is faster. Median of alternating runs; the best in parentheses.\n");
    start_up(netkit, &dig)?;
    match find("named") {
        Some(named) => batch(netkit, &dig, &named),
        None => {
            println!("skipped: batch, because `named` is not installed (Debian package bind9)");
            Ok(())
        }
    }
}

fn start_up(netkit: &Path, dig: &Path) -> Result<()> {
    let ours = Contender::new("netkit dig", netkit, &["dig", "-v"]);
    let theirs = Contender::new("dig", dig, &["-v"]);
    race("start-up (-v)", &ours, &theirs, STARTS, Some(START_GOAL))?;
    if let Some(kdig) = find("kdig") {
        race("start-up (-v)", &ours, &Contender::new("kdig", &kdig, &["-V"]), STARTS, None)?;
    }
    Ok(())
}

fn batch(netkit: &Path, dig: &Path, named: &Path) -> Result<()> {
    let dir = Folder::new()?;
    let queries = queries();
    let file = dir.0.join("queries");
    let lines: String = queries.iter().map(|(name, kind)| format!("{name} {kind}\n")).collect();
    fs::write(&file, lines).map_err(at("write", &file))?;
    let server = match Named::start(named, &dir.0) {
        Ok(server) => server,
        Err(error) => {
            println!("skipped: batch, because named does not run here: {error}");
            return Ok(());
        }
    };
    let port = server.port.to_string();
    let file = file.display().to_string();
    let common = ["@127.0.0.1", "-p", port.as_str()];
    for (title, style, goal) in [
        ("2,000 queries, answers only", ANSWERS, Some(BATCH_GOAL)),
        ("2,000 queries, +short", &["+short"][..], Some(BATCH_GOAL)),
        ("2,000 queries, everything shown", &[][..], Some(BATCH_GOAL)),
    ] {
        let words = [&common, style, &["-f", file.as_str()]].concat();
        let ours = Contender::new("netkit dig", netkit, &[&["dig"], words.as_slice()].concat());
        let theirs = Contender::new("dig", dig, &words);
        if !style.is_empty() {
            same_answers(&ours, &theirs, style)?;
        }
        race(title, &ours, &theirs, BATCHES, goal)?;
    }
    match find("kdig") {
        // kdig reads no file; it takes the queries as arguments.
        Some(kdig) => {
            let words = [&common, ANSWERS, &["-f", file.as_str()]].concat();
            let ours = Contender::new("netkit dig", netkit, &[&["dig"], words.as_slice()].concat());
            let questions = queries.iter().flat_map(|(name, kind)| [name.as_str(), kind]);
            let words: Vec<&str> = common.iter().chain(ANSWERS).copied().chain(questions).collect();
            race("2,000 queries, answers only", &ours, &Contender::new("kdig", &kdig, &words), BATCHES, None)
        }
        None => {
            println!("skipped: `kdig` is not installed (Debian package knot-dnsutils)");
            Ok(())
        }
    }
}

/// Of every kind that a batch meets: found, several records, an alias, long text, not there.
fn queries() -> Vec<(String, &'static str)> {
    (0..QUERIES)
        .map(|number| match number % 8 {
            0..4 => (format!("host{}.bench.example", number % 200), "A"),
            4 => (format!("host{}.bench.example", number % 200), "AAAA"),
            5 => ("bench.example".to_owned(), "MX"),
            6 => (format!("text{}.bench.example", number % 50), "TXT"),
            _ => (format!("absent{number}.bench.example"), "A"),
        })
        .collect()
}

fn zone() -> String {
    let mut zone = String::from(
        "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\n@ MX 10 mail1\n@ MX 20 mail2\nns A 127.0.0.1\n\
         mail1 A 192.0.2.1\nmail2 A 192.0.2.2\n",
    );
    for number in 0..200 {
        let _ = match number % 10 {
            0 => writeln!(zone, "host{number} CNAME host{}", number + 1),
            _ => writeln!(zone, "host{number} A 192.0.2.{number}\nhost{number} AAAA 2001:db8::{number:x}"),
        };
    }
    for number in 0..50 {
        let _ = writeln!(zone, "text{number} TXT \"{}\" \"number {number}\"", "long text ".repeat(15));
    }
    zone
}

/// A program with its arguments.
struct Contender {
    name: &'static str,
    program: PathBuf,
    words: Vec<String>,
}

impl Contender {
    fn new(name: &'static str, program: &Path, words: &[&str]) -> Contender {
        Contender { name, program: program.to_owned(), words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    fn command(&self) -> Command {
        let mut command = command(&self.program);
        // Without the user's own settings.
        command.args(&self.words).env("HOME", "/nonexistent").stdin(Stdio::null());
        command
    }

    /// Wall time of one run, its output thrown away.
    fn time(&self) -> Result<Duration> {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let status = command.status().map_err(|error| format!("cannot run {}: {error}", shown(&command)))?;
        let elapsed = started.elapsed();
        // The output would be thousands of words long, so the name has to do.
        if status.success() { Ok(elapsed) } else { Err(format!("{} failed ({status})", self.name)) }
    }
}

/// Runs both in turn and prints the ratio of their medians.
fn race(title: &str, ours: &Contender, theirs: &Contender, runs: usize, goal: Option<f64>) -> Result<()> {
    // Once for the page cache.
    ours.time()?;
    theirs.time()?;
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        our_times.push(ours.time()?);
        their_times.push(theirs.time()?);
    }
    let (our_median, our_best) = summary(&mut our_times);
    let (their_median, their_best) = summary(&mut their_times);
    let verdict = goal.map_or_else(String::new, |goal| {
        let word = if our_median / their_median <= goal { "PASS" } else { "MISS" };
        format!("  goal {goal:.2}: {word}")
    });
    println!(
        "{title}, {} / {}, {runs} runs each: ratio {:.3} ({:.3}){verdict}",
        ours.name,
        theirs.name,
        our_median / their_median,
        our_best / their_best
    );
    println!("    {:<10} {our_median:>9.2} ms ({our_best:.2})", ours.name);
    println!("    {:<10} {their_median:>9.2} ms ({their_best:.2})", theirs.name);
    Ok(())
}

/// Median and best, in milliseconds.
fn summary(times: &mut [Duration]) -> (f64, f64) {
    times.sort_unstable();
    let milliseconds = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0);
    (milliseconds(times.get(times.len() / 2)), milliseconds(times.first()))
}

/// Both print the same answers in the same order.
fn same_answers(ours: &Contender, theirs: &Contender, style: &[&str]) -> Result<()> {
    let text = |contender: &Contender| {
        output_bytes(&mut contender.command()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let (our_text, their_text) = (text(ours)?, text(theirs)?);
    if our_text == their_text && !our_text.is_empty() {
        println!("answers with {}: {} lines, the same in the same order", style.join(" "), our_text.lines().count());
        return Ok(());
    }
    let different = our_text.lines().zip(their_text.lines()).position(|(left, right)| left != right);
    let line = different.unwrap_or_else(|| our_text.lines().count().min(their_text.lines().count()));
    let nth = |text: &str| text.lines().nth(line).unwrap_or("(nothing)").to_owned();
    Err(format!(
        "answers with {} differ from line {}:\n  {}: {}\n  {}: {}",
        style.join(" "),
        line + 1,
        ours.name,
        nth(&our_text),
        theirs.name,
        nth(&their_text)
    ))
}

/// The bench's folder below target/, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let path = root().join("target").join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(at("create", &path))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A name server that knows one zone; dropping it ends it.
struct Named {
    child: Child,
    port: u16,
}

impl Named {
    fn start(program: &Path, dir: &Path) -> Result<Named> {
        let port = free_port()?;
        let zone_file = dir.join("bench.zone");
        fs::write(&zone_file, zone()).map_err(at("write", &zone_file))?;
        let configuration = dir.join("named.conf");
        let text = format!(
            "controls {{ }};\noptions {{\n\tdirectory \"{0}\";\n\tpid-file none;\n\tsession-keyfile none;\n\
             \tlisten-on port {port} {{ 127.0.0.1; }};\n\tlisten-on-v6 {{ none; }};\n\trecursion no;\n\tnotify no;\n\
             \tminimal-responses no;\n\trrset-order {{ order none; }};\n}};\n\
             zone \"bench.example\" {{ type primary; file \"bench.zone\"; }};\n",
            dir.display()
        );
        fs::write(&configuration, text).map_err(at("write", &configuration))?;

        let arguments = ["-g", "-c"].map(str::to_owned).into_iter().chain([configuration.display().to_string()]);
        let mut named = match find("setpriv") {
            // So that it ends with us however we end.
            Some(setpriv) => {
                let mut guarded = command(setpriv);
                guarded.args(["--pdeathsig", "KILL", "--"]).arg(program);
                guarded
            }
            None => command(program),
        };
        named.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = named.spawn().map_err(|error| format!("cannot run {}: {error}", shown(&named)))?;
        let log = child.stderr.take();
        let started = Named { child, port };
        await_running(log.ok_or("no pipe")?)?;
        Ok(started)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log until it says that the server runs; what follows is read and dropped, or `named` would block.
fn await_running(log: std::process::ChildStderr) -> Result<()> {
    let (sender, running) = mpsc::channel();
    std::thread::spawn(move || {
        let mut last = String::new();
        for line in BufReader::new(log).lines().map_while(std::io::Result::ok) {
            if line.ends_with(" running") {
                let _ = sender.send(Ok(()));
            }
            last = line;
        }
        // Nobody listens any more if it was running.
        let _ = sender.send(Err(last));
    });
    match running.recv_timeout(PATIENCE) {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("it did not start within {} s", PATIENCE.as_secs())),
    }
}

/// A port that is free for UDP and TCP; `named` cannot be asked which one it took.
///
/// It lies below the range of ephemeral ports (ip(7), ip_local_port_range): BIND's dig shares its source ports, and one that
/// equals the server's receives its own query now and then.
fn free_port() -> Result<u16> {
    const CANDIDATES: std::ops::Range<u16> = 20_000..32_768;
    let offset = u16::try_from(std::process::id() % u32::from(CANDIDATES.end - CANDIDATES.start)).unwrap_or(0);
    let is_free = |port: &u16| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok() && UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
    };
    let shifted = (CANDIDATES.start + offset..CANDIDATES.end).chain(CANDIDATES.start..CANDIDATES.start + offset);
    shifted.into_iter().find(is_free).ok_or_else(|| "no free port on loopback".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_best() {
        let mut times = [5, 1, 9].map(Duration::from_millis);
        assert_eq!(summary(&mut times), (5.0, 1.0));
    }

    #[test]
    fn different_answers_are_an_error() {
        let echo = |words: &[&str]| Contender::new("echo", Path::new("/bin/echo"), words);
        assert!(same_answers(&echo(&["a"]), &echo(&["a"]), &["+x"]).is_ok());
        let error = same_answers(&echo(&["a"]), &echo(&["b"]), &["+x"]).unwrap_err();
        assert!(error.contains("differ from line 1"), "{error}");
        // Two that say nothing agree about nothing.
        let silent = Contender::new("true", Path::new("/bin/true"), &[]);
        assert!(same_answers(&silent, &silent, &["+x"]).is_err());
    }

    #[test]
    fn a_batch_has_every_kind_of_query() {
        let queries = queries();
        assert_eq!(queries.len(), QUERIES);
        for kind in ["A", "AAAA", "MX", "TXT"] {
            assert!(queries.iter().any(|(_, asked)| *asked == kind), "{kind}");
        }
    }
}
