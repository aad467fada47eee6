//! nc under load and under bad luck: a thousand connections, bytes that come one at a time, resets at every point of a
//! stream, a full disk, half-closed connections, readers that stall. Nothing may be lost without a message and a status.
//!
//! Every trial runs in a thread that has a network namespace of its own, which its programs and servers inherit; so
//! ports are fixed, and nothing is left when they end. With `NETKIT_PEERS=1` the program is Debian's nc and ncat, to
//! see which of the claims hold for it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{setsockopt, sockopt};

use crate::lab::{self, Skip, Stop, trial};
use crate::nc_diff::endpoint::pattern;

/// The bound on every wait; nothing is measured by it.
const LIMIT: Duration = Duration::from_secs(300);
/// Where the programs and servers of a trial listen. A trial in which both do gives each a port of its own: a listener of
/// this process that was closed lives on for a moment in what another trial starts just then, until that has become its
/// program.
const ADDRESS: &str = "127.0.0.1:8000";
/// Connections to one listener.
const MANY: usize = 1000;
/// A stream that fills every buffer on its way several times.
const LONG: usize = 48 << 20;
/// The most memory that a program may have used at any time, in KiB. A build without optimisation and with all tools in
/// it takes a few MiB to start; a program that keeps what a stalled reader does not take would need [`LONG`].
const PEAK_KIB: usize = 24 << 10;
/// Lengths after which a stream breaks: nothing, one, around the sizes of buffers, many.
const POINTS: [usize; 16] =
    [0, 1, 2, 3, 100, 1023, 1024, 4096, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 131_072, 1_000_000];

pub type Body = fn() -> Result<(), Stop>;

pub fn trials() -> Vec<Trial> {
    let claims: [(&str, Body); 14] = [
        ("a_thousand_connections_one_after_the_other", thousand_in_turn),
        ("a_thousand_connections_from_eight_clients", thousand_from_eight),
        ("a_thousand_connections_open_at_once_to_ncat", thousand_at_once),
        ("one_byte_now_and_then_outlives_the_idle_limit", one_byte_at_a_time),
        ("client_reset_by_the_server_at_every_point", client_reset),
        ("client_reset_while_it_sends", client_reset_sending),
        ("listener_reset_by_the_client_at_every_point", listener_reset),
        ("listener_with_k_goes_on_after_resets", listener_goes_on),
        ("full_disk_is_an_error", full_disk),
        ("half_closed_by_us_the_answer_is_whole", half_close_ours),
        ("half_closed_by_them_the_rest_is_sent", half_close_theirs),
        ("both_ways_at_once_without_deadlock", both_ways),
        ("stalled_reader_costs_no_memory", stalled_reader),
        ("stalled_server_costs_no_memory", stalled_server),
    ];
    let mut trials: Vec<Trial> = claims
        .into_iter()
        .map(|(name, body)| trial(&format!("nc_stress::{name}"), move || in_own_network(body)))
        .collect();
    trials.push(trial("nc_stress::bytes_before_the_end_arrive", || in_own_network(eof_order)));
    trials
}

/// Runs a trial in a thread with its own network, loopback up.
pub fn in_own_network(body: Body) -> Result<(), Stop> {
    lab::namespaces()?;
    lab::tool("ip", "iproute2")?;
    nc("nc")?;
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| Skip(format!("no network namespace: {errno}")))?;
        lab::run(Command::new("ip").args(["link", "set", "lo", "up"]), LIMIT)?;
        body()
    });
    thread.join().map_err(|_| "the trial's thread died")?
}

/// `nc` or `ncat`: ours, or Debian's.
pub fn nc(name: &str) -> Result<Command, Stop> {
    // However the trial ends, its programs end with it.
    let mut command = Command::new(lab::tool("setpriv", "util-linux")?);
    command.args(["--pdeathsig", "KILL", "--"]);
    if std::env::var_os("NETKIT_PEERS").is_some() {
        command.arg(lab::tool(name, if name == "nc" { "netcat-openbsd" } else { "ncat" })?);
        return Ok(command);
    }
    let listed = lab::run(Command::new(lab::netkit()).arg("--list"), LIMIT)?;
    if !String::from_utf8_lossy(&listed.stdout).split_whitespace().any(|word| word == "nc") {
        return Err(Skip("this netkit was built without nc".to_owned()).into());
    }
    command.arg(lab::netkit()).arg(name);
    Ok(command)
}

/// A running program that ends with the trial.
#[derive(Debug)]
struct Running {
    child: Child,
    err: Option<JoinHandle<String>>,
}

impl Running {
    fn start(command: &mut Command) -> Result<Running, Stop> {
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let mut err = child.stderr.take().ok_or("no pipe")?;
        let err = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            text
        });
        Ok(Running { child, err: Some(err) })
    }

    /// With pipes on both sides.
    fn piped(name: &str, words: &[&str]) -> Result<(Running, ChildStdin, ChildStdout), Stop> {
        let mut command = nc(name)?;
        let mut running = Running::start(command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let stdin = running.child.stdin.take().ok_or("no pipe")?;
        let stdout = running.child.stdout.take().ok_or("no pipe")?;
        Ok((running, stdin, stdout))
    }

    /// Its status and what it said, once it ends.
    fn end(mut self) -> Result<(Option<i32>, String), Stop> {
        let until = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > until {
                return Err(Stop::Fail(format!("it did not end within {LIMIT:?}")));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let said = self.err.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Ok((status.code(), said))
    }

    /// The most memory that it has had so far, in KiB (`VmHWM` of proc(5)).
    fn peak(&self) -> Result<usize, Stop> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse().map_err(|_| "VmHWM is no number")?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connects, as soon as somebody listens.
fn dial() -> Result<TcpStream, Stop> {
    dial_to(ADDRESS)
}

fn dial_to(address: &str) -> Result<TcpStream, Stop> {
    let until = Instant::now() + LIMIT;
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT))?;
                stream.set_write_timeout(Some(LIMIT))?;
                return Ok(stream);
            }
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn accept(listener: &TcpListener) -> Result<TcpStream, Stop> {
    listener.set_nonblocking(true)?;
    let until = Instant::now() + LIMIT;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(LIMIT))?;
                stream.set_write_timeout(Some(LIMIT))?;
                return Ok(stream);
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock || Instant::now() > until => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Closes with a reset.
fn reset(stream: TcpStream) -> Result<(), Stop> {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    Ok(setsockopt(&stream, sockopt::Linger, &linger).map_err(|errno| format!("SO_LINGER: {errno}"))?)
}

/// Everything up to the end, in a thread.
fn collect(mut source: impl Read + Send + 'static) -> JoinHandle<std::io::Result<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).map(|_| bytes)
    })
}

fn collected(thread: JoinHandle<std::io::Result<Vec<u8>>>) -> Result<Vec<u8>, Stop> {
    Ok(thread.join().map_err(|_| "a reader died")??)
}

/// The two are equal, told without printing megabytes.
fn equal(what: &str, got: &[u8], wanted: &[u8]) -> Result<(), Stop> {
    if got == wanted {
        return Ok(());
    }
    let at = got.iter().zip(wanted).position(|(left, right)| left != right).unwrap_or(got.len().min(wanted.len()));
    Err(Stop::Fail(format!("{what}: {} bytes instead of {}, different from byte {at}", got.len(), wanted.len())))
}

fn ended(what: &str, running: Running, status: i32) -> Result<(), Stop> {
    match running.end()? {
        (Some(code), _) if code == status => Ok(()),
        other => Err(Stop::Fail(format!("{what}: ended with {other:?}, wanted status {status}"))),
    }
}

/// It ended with a status that is not 0 and a message with one of these parts.
fn complained(what: &str, running: Running, parts: &[&str]) -> Result<(), Stop> {
    let (status, said) = running.end()?;
    let lower = said.to_lowercase();
    if matches!(status, Some(1..)) && parts.iter().any(|part| lower.contains(part)) {
        return Ok(());
    }
    Err(Stop::Fail(format!("{what}: ended with {status:?} and {said:?}, wanted an error with one of {parts:?}")))
}

// ---- many connections ----

/// Reads `MANY` lines and checks that each of `line 0` to `line 999` is among them once.
fn each_line_once(stdout: ChildStdout) -> Result<(), Stop> {
    let mut lines: Vec<String> = BufReader::new(stdout).lines().take(MANY).collect::<Result<_, _>>()?;
    lines.sort();
    let mut wanted: Vec<String> = (0..MANY).map(|number| format!("line {number}")).collect();
    wanted.sort();
    match lines.iter().zip(&wanted).find(|(got, wanted)| got != wanted) {
        None if lines.len() == MANY => Ok(()),
        found => Err(Stop::Fail(format!("{} lines; the first that differs: {found:?}", lines.len()))),
    }
}

/// Sends a line, ends it, and waits until the other side is done with it.
fn say_line(number: usize) -> Result<(), Stop> {
    let mut stream = dial()?;
    stream.write_all(format!("line {number}\n").as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    if rest.is_empty() { Ok(()) } else { Err(Stop::Fail(format!("connection {number} was sent {rest:?}"))) }
}

fn thousand_in_turn() -> Result<(), Stop> {
    let (_running, _stdin, stdout) = Running::piped("nc", &["-lk", "127.0.0.1", "8000"])?;
    let lines = std::thread::spawn(move || each_line_once(stdout));
    (0..MANY).try_for_each(say_line)?;
    lines.join().map_err(|_| "a reader died")?
}

fn thousand_from_eight() -> Result<(), Stop> {
    let (_running, _stdin, stdout) = Running::piped("nc", &["-lk", "127.0.0.1", "8000"])?;
    let lines = std::thread::spawn(move || each_line_once(stdout));
    let next = Arc::new(AtomicUsize::new(0));
    let clients: Vec<JoinHandle<Result<(), Stop>>> = (0..8)
        .map(|_| {
            let next = Arc::clone(&next);
            std::thread::spawn(move || {
                loop {
                    match next.fetch_add(1, Ordering::Relaxed) {
                        number @ 0..MANY => say_line(number)?,
                        _ => return Ok(()),
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| "a client died")??;
    }
    lines.join().map_err(|_| "a reader died")?
}

fn thousand_at_once() -> Result<(), Stop> {
    // The program inherits it.
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|errno| format!("RLIMIT_NOFILE: {errno}"))?;
    if soft < lab::FILES {
        return Err(Skip(format!("only {soft} open files are allowed, {} are needed", lab::FILES)).into());
    }
    let (_running, mut stdin, stdout) = Running::piped("ncat", &["-lk", "-m", "1000", "127.0.0.1", "8000"])?;
    let lines = std::thread::spawn(move || each_line_once(stdout));
    let mut streams = Vec::new();
    for number in 0..MANY {
        let mut stream = dial()?;
        stream.write_all(format!("line {number}\n").as_bytes())?;
        streams.push(stream);
    }
    lines.join().map_err(|_| "a reader died")??;
    // All of them are still there.
    stdin.write_all(b"to all\n")?;
    for (number, stream) in streams.iter_mut().enumerate() {
        let mut got = [0; 7];
        stream.read_exact(&mut got).map_err(|error| format!("connection {number}: {error}"))?;
        equal("what all are sent", &got, b"to all\n")?;
    }
    Ok(())
}

fn one_byte_at_a_time() -> Result<(), Stop> {
    let listener = TcpListener::bind(ADDRESS)?;
    let (running, stdin, stdout) = Running::piped("nc", &["-w", "2", "127.0.0.1", "8000"])?;
    let output = collect(stdout);
    let mut stream = accept(&listener)?;
    // Altogether longer than the limit, each pause much shorter.
    for byte in b"slow but steady" {
        std::thread::sleep(Duration::from_millis(200));
        stream.write_all(&[*byte])?;
    }
    drop(stream);
    drop(stdin);
    equal("output", &collected(output)?, b"slow but steady")?;
    ended("client", running, 0)
}

// ---- resets ----

fn client_reset() -> Result<(), Stop> {
    let listener = TcpListener::bind(ADDRESS)?;
    for length in POINTS {
        // A reset at once may be seen by connect(2) already, of which nc speaks only with -v.
        let (running, _stdin, mut stdout) = Running::piped("nc", &["-v", "127.0.0.1", "8000"])?;
        let mut stream = accept(&listener)?;
        let bytes = pattern(length);
        let sender = {
            let (mut stream, bytes) = (stream.try_clone()?, bytes.clone());
            std::thread::spawn(move || stream.write_all(&bytes))
        };
        // Not before it has printed everything, so that everything is what it has to have printed.
        let mut got = vec![0; length];
        stdout.read_exact(&mut got).map_err(|error| format!("reset after {length}: {error}"))?;
        sender.join().map_err(|_| "a sender died")??;
        stream.flush()?;
        reset(stream)?;
        equal("output before the reset", &got, &bytes)?;
        equal("output after the reset", &collected(collect(stdout))?, b"")?;
        complained(&format!("reset after {length} bytes"), running, &["reset"])?;
    }
    Ok(())
}

fn client_reset_sending() -> Result<(), Stop> {
    let listener = TcpListener::bind(ADDRESS)?;
    for length in POINTS {
        let (running, mut stdin, _stdout) = Running::piped("nc", &["-vN", "127.0.0.1", "8000"])?;
        // More than fits into the buffers, so that it is still sending when the reset comes.
        let feeder = std::thread::spawn(move || stdin.write_all(&pattern(LONG)));
        let mut stream = accept(&listener)?;
        let mut got = vec![0; length];
        stream.read_exact(&mut got)?;
        reset(stream)?;
        equal("what arrived", &got, &pattern(length))?;
        complained(&format!("reset after {length} bytes"), running, &["reset", "broken pipe"])?;
        // Its input was closed when it ended.
        if feeder.join().map_err(|_| "a feeder died")?.is_ok() {
            return Err(Stop::Fail(format!("reset after {length} bytes: it went on reading to the end")));
        }
    }
    Ok(())
}

fn listener_reset() -> Result<(), Stop> {
    for length in POINTS {
        let (running, _stdin, mut stdout) = Running::piped("nc", &["-l", "127.0.0.1", "8000"])?;
        let mut stream = dial()?;
        let bytes = pattern(length);
        let sender = {
            let (mut stream, bytes) = (stream.try_clone()?, bytes.clone());
            std::thread::spawn(move || stream.write_all(&bytes))
        };
        let mut got = vec![0; length];
        stdout.read_exact(&mut got).map_err(|error| format!("reset after {length}: {error}"))?;
        sender.join().map_err(|_| "a sender died")??;
        stream.flush()?;
        reset(stream)?;
        equal("output", &got, &bytes)?;
        if length > 0 {
            complained(&format!("reset after {length} bytes"), running, &["reset"])?;
        }
    }
    Ok(())
}

fn listener_goes_on() -> Result<(), Stop> {
    let (mut running, _stdin, stdout) = Running::piped("nc", &["-lk", "127.0.0.1", "8000"])?;
    let mut lines = BufReader::new(stdout).lines();
    for number in 0..50 {
        reset(dial()?)?;
        let mut stream = dial()?;
        stream.write_all(format!("line {number}\n").as_bytes())?;
        let line = lines.next().ok_or("its output ended")??;
        lab::same("line", &line, &format!("line {number}"))?;
        reset(stream)?;
    }
    match running.child.try_wait()? {
        None => Ok(()),
        Some(status) => Err(Stop::Fail(format!("it ended: {status}"))),
    }
}

// ---- a full disk ----

fn full_disk() -> Result<(), Stop> {
    let full = || std::fs::File::options().write(true).open("/dev/full");
    let listener = TcpListener::bind(ADDRESS)?;
    for words in [&["127.0.0.1", "8000"][..], &["-d", "127.0.0.1", "8000"]] {
        let running = Running::start(nc("nc")?.args(words).stdin(Stdio::piped()).stdout(full()?))?;
        let mut stream = accept(&listener)?;
        stream.write_all(b"lost")?;
        complained(&format!("client {words:?}"), running, &["no space left"])?;
    }
    for words in [&["-l", "127.0.0.1", "8001"][..], &["-lk", "127.0.0.1", "8001"]] {
        let running = Running::start(nc("nc")?.args(words).stdin(Stdio::piped()).stdout(full()?))?;
        let mut stream = dial_to("127.0.0.1:8001")?;
        stream.write_all(b"lost")?;
        complained(&format!("listener {words:?}"), running, &["no space left"])?;
    }
    let running = Running::start(nc("ncat")?.args(["127.0.0.1", "8000"]).stdin(Stdio::piped()).stdout(full()?))?;
    let mut stream = accept(&listener)?;
    stream.write_all(b"lost")?;
    complained("ncat", running, &["no space left"])
}

// ---- half-closed connections ----

fn half_close_ours() -> Result<(), Stop> {
    let (question, answer) = (pattern(3_000_001), pattern(2_000_003));
    let serve = |mut stream: TcpStream| -> Result<Vec<u8>, Stop> {
        let mut got = Vec::new();
        stream.read_to_end(&mut got)?;
        // Only now; whoever ends when it has nothing more to send misses this.
        stream.write_all(&answer)?;
        Ok(got)
    };
    for words in [&["-N", "127.0.0.1", "8000"][..], &["-lN", "127.0.0.1", "8001"]] {
        let listens = words.iter().any(|word| word.starts_with("-l"));
        let listener = if listens { None } else { Some(TcpListener::bind(ADDRESS)?) };
        let (running, mut stdin, stdout) = Running::piped("nc", words)?;
        let output = collect(stdout);
        let text = question.clone();
        let feeder = std::thread::spawn(move || stdin.write_all(&text));
        let stream = match &listener {
            Some(listener) => accept(listener)?,
            None => dial_to("127.0.0.1:8001")?,
        };
        equal(&format!("{words:?}: the question"), &serve(stream)?, &question)?;
        feeder.join().map_err(|_| "a feeder died")??;
        equal(&format!("{words:?}: the answer"), &collected(output)?, &answer)?;
        ended(&format!("{words:?}"), running, 0)?;
    }
    Ok(())
}

fn half_close_theirs() -> Result<(), Stop> {
    let listener = TcpListener::bind(ADDRESS)?;
    let (running, mut stdin, mut stdout) = Running::piped("nc", &["-N", "127.0.0.1", "8000"])?;
    let mut stream = accept(&listener)?;
    let first = pattern(1_000_000);
    let length = first.len();
    let output = std::thread::spawn(move || {
        let mut bytes = vec![0; length];
        // It stays open: whoever has no reader left may leave.
        stdout.read_exact(&mut bytes).map(|()| (bytes, stdout))
    });
    stream.write_all(&first)?;
    stream.shutdown(Shutdown::Write)?;
    let (got, _stdout) = output.join().map_err(|_| "a reader died")??;
    equal("output", &got, &first)?;
    // The other direction is still open.
    let rest = pattern(2_000_003);
    let text = rest.clone();
    let feeder = std::thread::spawn(move || stdin.write_all(&text));
    let mut got = Vec::new();
    stream.read_to_end(&mut got)?;
    if let Err(error) = feeder.join().map_err(|_| "a feeder died")? {
        return Err(Stop::Fail(format!("it did not read its input to the end ({error}): {:?}", running.end()?)));
    }
    equal("what was sent after their end", &got, &rest)?;
    ended("client", running, 0)
}

fn both_ways() -> Result<(), Stop> {
    let listener = TcpListener::bind(ADDRESS)?;
    let (running, mut stdin, stdout) = Running::piped("nc", &["-N", "127.0.0.1", "8000"])?;
    let (there, back) = (pattern(LONG), pattern(LONG / 2 + 1));
    let output = collect(stdout);
    let text = there.clone();
    let feeder = std::thread::spawn(move || stdin.write_all(&text));
    let stream = accept(&listener)?;
    let input = collect(stream.try_clone()?);
    let mut writer = stream;
    writer.write_all(&back)?;
    writer.shutdown(Shutdown::Write)?;
    feeder.join().map_err(|_| "a feeder died")??;
    equal("there", &collected(input)?, &there)?;
    equal("back", &collected(output)?, &back)?;
    ended("client", running, 0)
}

// ---- backpressure ----

/// Waits until a counter stands still: whoever counts is blocked. Then how far it came.
fn stands_still(counter: &AtomicUsize) -> Result<usize, Stop> {
    let until = Instant::now() + LIMIT;
    let (mut last, mut same) = (0, 0);
    while same < 20 {
        std::thread::sleep(Duration::from_millis(25));
        let now = counter.load(Ordering::Relaxed);
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        if Instant::now() > until {
            return Err("it never stands still".into());
        }
    }
    Ok(last)
}

/// Writes in pieces and counts.
fn feed(mut sink: impl Write + Send + 'static, bytes: Vec<u8>) -> (Arc<AtomicUsize>, JoinHandle<std::io::Result<()>>) {
    let counter = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&counter);
    let thread = std::thread::spawn(move || {
        for piece in bytes.chunks(4096) {
            sink.write_all(piece)?;
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
        Ok(())
    });
    (counter, thread)
}

fn bounded(what: &str, running: &Running, fed: usize) -> Result<(), Stop> {
    let peak = running.peak()?;
    if fed >= LONG {
        return Err(Stop::Fail(format!("{what}: all {fed} bytes were taken although nobody reads them")));
    }
    if peak > PEAK_KIB {
        return Err(Stop::Fail(format!("{what}: {peak} KiB at peak, at most {PEAK_KIB} are allowed")));
    }
    Ok(())
}

fn stalled_reader() -> Result<(), Stop> {
    let listener = TcpListener::bind(ADDRESS)?;
    let (running, stdin, stdout) = Running::piped("nc", &["127.0.0.1", "8000"])?;
    let (counter, sender) = feed(accept(&listener)?, pattern(LONG));
    bounded("nobody reads its output", &running, stands_still(&counter)?)?;
    let output = collect(stdout);
    sender.join().map_err(|_| "a sender died")??;
    drop(stdin);
    equal("output", &collected(output)?, &pattern(LONG))?;
    ended("client", running, 0)
}

fn stalled_server() -> Result<(), Stop> {
    for words in [&["-N", "127.0.0.1", "8000"][..], &["-lN", "127.0.0.1", "8001"]] {
        let listens = words.iter().any(|word| word.starts_with("-l"));
        let listener = if listens { None } else { Some(TcpListener::bind(ADDRESS)?) };
        let (running, stdin, _stdout) = Running::piped("nc", words)?;
        let stream = match &listener {
            Some(listener) => accept(listener)?,
            None => dial_to("127.0.0.1:8001")?,
        };
        let (counter, sender) = feed(stdin, pattern(LONG));
        bounded(&format!("{words:?}: nobody reads the stream"), &running, stands_still(&counter)?)?;
        let input = collect(stream.try_clone()?);
        sender.join().map_err(|_| "a sender died")??;
        equal("what arrived", &collected(input)?, &pattern(LONG))?;
        drop(stream);
        ended(&format!("{words:?}"), running, 0)?;
    }
    Ok(())
}

// ---- the end ----

fn eof_order() -> Result<(), Stop> {
    let listener = TcpListener::bind(ADDRESS)?;
    for length in POINTS {
        let bytes = pattern(length);
        // They send and close at once.
        let (running, stdin, stdout) = Running::piped("nc", &["127.0.0.1", "8000"])?;
        let output = collect(stdout);
        let mut stream = accept(&listener)?;
        stream.write_all(&bytes)?;
        drop(stream);
        drop(stdin);
        equal("closed by the server", &collected(output)?, &bytes)?;
        ended("closed by the server", running, 0)?;
        // We are told to leave when the input ends; what was read of it has to be sent.
        for words in [&["-q", "0", "127.0.0.1", "8000"][..], &["-N", "127.0.0.1", "8000"]] {
            let (running, mut stdin, _stdout) = Running::piped("nc", words)?;
            let text = bytes.clone();
            let feeder = std::thread::spawn(move || stdin.write_all(&text));
            let mut stream = accept(&listener)?;
            let mut got = Vec::new();
            stream.read_to_end(&mut got)?;
            drop(stream);
            feeder.join().map_err(|_| "a feeder died")??;
            equal(&format!("{words:?}"), &got, &bytes)?;
            ended(&format!("{words:?}"), running, 0)?;
        }
    }
    Ok(())
}
