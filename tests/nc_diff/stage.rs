//! The inside of a play: a process in namespaces of its own that goes through the steps of one scenario and writes down
//! what every program printed, how it ended, what the lab's own sides saw, and what went over the wire.
//!
//! The test binary runs itself again (`e2e --nc-stage DIR BIN PEERS`), because a process with threads cannot change its
//! own mount namespace. DIR holds `case`, `etc/` and `work/`; BIN holds the compared programs, PEERS Debian's.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{IoSliceMut, Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, socketpair};

use super::case::{Program, Redirect, Step, bytes};
use super::endpoint::{self, Log};
use super::wire::Wire;
use crate::lab::Stop;
use crate::lab::proxy::{self, Asked};

/// The argument that makes the test binary the inside of a play.
pub const INNER: &str = "--nc-stage";
/// How long a program may take for what a step awaits.
const PATIENCE: Duration = Duration::from_secs(45);
/// What a record begins a line with when a step could not be done.
pub const BROKEN: &str = "!! ";

/// Commands for `ip -batch`: silence at 192.0.2.99 and fd00:2::99, and routes that refuse.
pub const NETWORK: &str = "\
link set lo up
addr add fd00::1/128 dev lo nodad
link add dark0 type veth peer name dark1
addr add 192.0.2.254/24 brd 192.0.2.255 dev dark0
addr add fd00:2::254/64 dev dark0 nodad
link set dark0 arp off up
link set dark1 arp off up
neigh add 192.0.2.99 lladdr 02:00:00:00:00:99 dev dark0 nud permanent
neigh add fd00:2::99 lladdr 02:00:00:00:00:99 dev dark0 nud permanent
route add unreachable 198.51.100.128/25
route add prohibit 198.51.100.0/25
route add unreachable fd00:3::/64
";

/// The exit status when this process was started to be the inside of a play; else nothing.
pub fn dispatch() -> Option<ExitCode> {
    let mut words = std::env::args().skip(1);
    if words.next()? != INNER {
        return None;
    }
    let (Some(dir), Some(bin), Some(peers)) = (words.next(), words.next(), words.next()) else {
        return Some(ExitCode::from(2));
    };
    let record = match play(Path::new(&dir), [bin.into(), peers.into()]) {
        Ok(record) => record,
        Err(stop) => format!("{BROKEN}{stop:?}\n"),
    };
    let mut out = std::io::stdout();
    let written = out.write_all(record.as_bytes()).and_then(|()| out.flush());
    Some(if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn play(dir: &Path, [bin, peers]: [PathBuf; 2]) -> Result<String, Stop> {
    std::env::set_current_dir(dir.join("work"))?;
    // Ports that the kernel picks are known by their number, so that they can be masked.
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 49999")?;
    // An interface drops what is sent before its queue is ready, a moment after it is shown as up.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    until("dark0", || {
        socket.send_to(b"", ("192.0.2.99", 9))?;
        let text = fs::read_to_string("/proc/net/dev")?;
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix("dark0:"));
        // Packets sent, the tenth column.
        Ok(line.and_then(|line| line.split_ascii_whitespace().nth(9)).is_some_and(|count| count != "0"))
    })?;
    let text = fs::read_to_string(dir.join("case"))?;
    let mut stage = Stage { bin, peers, actors: Vec::new(), files: Vec::new(), wire: Wire::open()? };
    let mut broken = None;
    for line in text.lines() {
        let step = Step::read(line)?;
        if let Err(stop) = stage.step(&step) {
            broken = Some(format!("{BROKEN}{line}: {stop:?}\n"));
            break;
        }
    }
    let wire = stage.wire.text()?;
    let mut record = String::new();
    for actor in &mut stage.actors {
        record.push_str(&actor.text());
    }
    for (path, text) in &stage.files {
        record.push_str(&format!("== file {path}\n{text}"));
    }
    record.push_str(&format!("== wire\n{wire}"));
    record.push_str(&broken.unwrap_or_default());
    Ok(record)
}

#[derive(Debug)]
struct Stage {
    bin: PathBuf,
    peers: PathBuf,
    actors: Vec<Actor>,
    files: Vec<(String, String)>,
    wire: Wire,
}

#[derive(Debug)]
struct Actor {
    name: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Lab(Log),
    Proxy(Asked),
    Program(Running),
}

#[derive(Debug)]
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    out: Output,
    err: Output,
    socket: Option<OwnedFd>,
    passed: String,
    killed: bool,
}

#[derive(Debug, Clone, Default)]
struct Output {
    bytes: Arc<Mutex<(Vec<u8>, bool)>>,
}

impl Output {
    fn of(source: Option<impl Read + Send + 'static>) -> Output {
        let output = Output::default();
        let Some(mut source) = source else {
            output.end();
            return output;
        };
        let inner = output.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                if let Ok(mut held) = inner.bytes.lock() {
                    held.0.extend_from_slice(buffer.get(..count).unwrap_or_default());
                }
            }
            inner.end();
        });
        output
    }

    fn end(&self) {
        if let Ok(mut held) = self.bytes.lock() {
            held.1 = true;
        }
    }

    fn now(&self) -> (Vec<u8>, bool) {
        self.bytes.lock().map(|held| held.clone()).unwrap_or_default()
    }
}

/// Waits until `done`, at most [`PATIENCE`].
fn until(what: &str, mut done: impl FnMut() -> Result<bool, Stop>) -> Result<(), Stop> {
    let deadline = Instant::now() + PATIENCE;
    while !done()? {
        if Instant::now() > deadline {
            return Err(Stop::Fail(format!("waited in vain for {what}")));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

impl Stage {
    fn step(&mut self, step: &Step) -> Result<(), Stop> {
        let rest = step.words.get(1..).unwrap_or_default();
        match step.word(0)? {
            "serve" => {
                let log = endpoint::serve(step.word(2)?, rest.get(2..).unwrap_or_default())?;
                self.add(step.word(1)?, Kind::Lab(log))
            }
            "dial" => {
                let log = endpoint::dial(step.word(2)?, rest.get(2..).unwrap_or_default())?;
                self.add(step.word(1)?, Kind::Lab(log))
            }
            "proxy" => {
                let address = step.word(2)?.parse().map_err(|error| format!("{error}"))?;
                let asked = proxy::serve(address, step.words.get(3).cloned())?;
                self.add(step.word(1)?, Kind::Proxy(asked))
            }
            "start" => self.start(&Program::read(rest)?, false),
            "run" => {
                let program = Program::read(rest)?;
                self.start(&program, true)?;
                self.wait(&program.name, 1)
            }
            "in" => {
                let running = self.program(step.word(1)?)?;
                let stdin = running.stdin.as_mut().ok_or("standard input is closed")?;
                Ok(stdin.write_all(&bytes(step.word(2)?))?)
            }
            "eof" => {
                self.program(step.word(1)?)?.stdin = None;
                Ok(())
            }
            "wait" => {
                let count = step.words.get(2).map_or(Ok(1), |word| word.parse()).map_err(|_| "not a number")?;
                self.wait(step.word(1)?, count)
            }
            "kill" => {
                let running = self.program(step.word(1)?)?;
                if running.child.try_wait()?.is_none() {
                    running.killed = true;
                    running.child.kill()?;
                }
                running.child.wait()?;
                Ok(())
            }
            "pause" => {
                let time = step.word(1)?.parse().map_err(|_| "not a number")?;
                self.rest(Duration::from_millis(time))
            }
            "await" => self.expect(step),
            "file" => {
                let path = step.word(1)?;
                let text = match fs::read(path) {
                    Ok(bytes) => shown(&bytes),
                    Err(error) => format!("{error}\n"),
                };
                self.files.push((path.to_owned(), text));
                Ok(())
            }
            _ => Err("no such step".into()),
        }
    }

    /// Waits until every program has ended or has slept for that long without being woken: on a busy machine a program may
    /// take longer than any pause to come to where it stays.
    fn rest(&mut self, quiet: Duration) -> Result<(), Stop> {
        // Whoever wakes by himself all the time is not waited for.
        let deadline = Instant::now() + quiet + PATIENCE;
        let (mut before, mut since) = (None, Instant::now());
        while Instant::now() < deadline {
            let mut asleep = Some(Vec::new());
            for actor in &mut self.actors {
                if let Kind::Program(running) = &mut actor.kind
                    && running.child.try_wait()?.is_none()
                {
                    asleep = asleep.zip(sleeps(running.child.id())).map(|(mut all, one)| {
                        all.push(one);
                        all
                    });
                }
            }
            if asleep.is_none() || asleep != before {
                (before, since) = (asleep, Instant::now());
            } else if since.elapsed() >= quiet {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn add(&mut self, name: &str, kind: Kind) -> Result<(), Stop> {
        if self.actors.iter().any(|actor| actor.name == name) {
            return Err(Stop::Fail(format!("two are called {name}")));
        }
        self.actors.push(Actor { name: name.to_owned(), kind });
        Ok(())
    }

    fn program(&mut self, name: &str) -> Result<&mut Running, Stop> {
        let found = self.actors.iter_mut().find(|actor| actor.name == name).map(|actor| &mut actor.kind);
        match found {
            Some(Kind::Program(running)) => Ok(running),
            _ => Err(Stop::Fail(format!("no program is called {name}"))),
        }
    }

    fn start(&mut self, program: &Program, to_the_end: bool) -> Result<(), Stop> {
        let path = if program.compared { &self.bin } else { &self.peers };
        // Found on PATH, so that both sides see the same argv[0], which some messages begin with.
        let mut command = Command::new(&program.program);
        command.args(program.arguments.iter().map(|word| OsString::from_vec(bytes(word))));
        command.env_clear().env("PATH", path).env("HOME", "/nonexistent").env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut socket = None;
        for redirect in &program.redirects {
            match redirect {
                Redirect::Full => drop(command.stdout(fs::File::options().write(true).open("/dev/full")?)),
                Redirect::Closed => drop(command.stdout(std::io::pipe()?.1)),
                Redirect::Socket => {
                    let pair = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC);
                    let (ours, theirs) = pair.map_err(|error| format!("socketpair: {error}"))?;
                    command.stdout(theirs);
                    socket = Some(ours);
                }
                Redirect::Text(_) | Redirect::Open => {}
            }
        }
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", program.program))?;
        // With it goes our copy of what standard output was given.
        drop(command);
        let mut stdin = child.stdin.take();
        let text = program.redirects.iter().find_map(|redirect| match redirect {
            Redirect::Text(text) => Some(bytes(text)),
            _ => None,
        });
        if let (Some(text), Some(mut stdin)) = (&text, stdin.take_if(|_| text.is_some())) {
            // A program that does not read its input must not stop the play.
            let text = text.clone();
            std::thread::spawn(move || stdin.write_all(&text));
        } else if to_the_end && !program.redirects.contains(&Redirect::Open) {
            stdin = None;
        }
        let (out, err) = (Output::of(child.stdout.take()), Output::of(child.stderr.take()));
        let running = Running { child, stdin, out, err, socket, passed: String::new(), killed: false };
        self.add(&program.name, Kind::Program(running))
    }

    fn wait(&mut self, name: &str, count: usize) -> Result<(), Stop> {
        let found = self.actors.iter_mut().find(|actor| actor.name == name).map(|actor| &mut actor.kind);
        match found {
            Some(Kind::Lab(log)) => log.wait(count),
            Some(Kind::Program(running)) => {
                if let Some(socket) = running.socket.take() {
                    running.passed = passed(&socket)?;
                }
                until(&format!("the end of {name}"), || Ok(running.child.try_wait()?.is_some()))?;
                let (out, err) = (running.out.clone(), running.err.clone());
                until(&format!("the end of the output of {name}"), || Ok(out.now().1 && err.now().1))
            }
            Some(Kind::Proxy(_)) => Err("a proxy has no end".into()),
            None => Err(Stop::Fail(format!("nobody is called {name}"))),
        }
    }

    fn expect(&mut self, step: &Step) -> Result<(), Stop> {
        let what = step.word(2)?.to_owned();
        match step.word(1)? {
            "listen" => {
                let port: u16 = what.parse().map_err(|_| "not a port")?;
                until(&step.line, || listens(port))
            }
            "path" => until(&step.line, || Ok(Path::new(&what).exists())),
            "closing" => {
                let count: usize = what.parse().map_err(|_| "not a number")?;
                let wire = &mut self.wire;
                until(&step.line, || Ok(wire.closed()? >= count))
            }
            "unix" => until(&step.line, || hears(&what)),
            stream @ ("out" | "err") => {
                let running = self.program(&what)?;
                let output = if stream == "out" { &running.out } else { &running.err };
                let text = bytes(step.word(3)?);
                until(&step.line, || Ok(output.now().0.windows(text.len().max(1)).any(|part| part == text)))
            }
            _ => Err("await what?".into()),
        }
    }
}

/// How often a process has gone to sleep, if it sleeps (proc_pid_status(5)).
fn sleeps(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    field("State:").filter(|state| state.starts_with('S'))?;
    field("voluntary_ctxt_switches:")?.parse().ok()
}

/// Whether a socket is bound to the port and, for TCP, listens.
fn listens(port: u16) -> Result<bool, Stop> {
    for (table, state) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
        let text = fs::read_to_string(format!("/proc/net/{table}"))?;
        let found = text.lines().any(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let local = words.get(1).and_then(|word| word.rsplit(':').next());
            local == Some(&format!("{port:04X}")) && words.get(3) == Some(&state)
        });
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a Unix stream socket listens at the path, or a datagram socket has it; a path exists before that.
fn hears(path: &str) -> Result<bool, Stop> {
    let text = fs::read_to_string("/proc/net/unix")?;
    // Columns: address, count, protocol, flags (0x10000: listens), type (2: datagrams), state, inode, path.
    Ok(text.lines().any(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        words.get(7) == Some(&path) && (words.get(3) == Some(&"00010000") || words.get(4) == Some(&"0002"))
    }))
}

/// What arrives on the socket that a program has as its standard output: bytes, and whether a connected socket came
/// with them. A received descriptor cannot be owned without `unsafe`, so it is looked up by its number.
fn passed(socket: &OwnedFd) -> Result<String, Stop> {
    let mut buffer = [0; 64];
    let mut space = nix::cmsg_space!([i32; 4]);
    let (length, descriptors) = {
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty())
            .map_err(|error| format!("recvmsg: {error}"))?;
        let mut descriptors = Vec::new();
        for part in message.cmsgs().map_err(|error| format!("recvmsg: {error}"))? {
            if let ControlMessageOwned::ScmRights(fds) = part {
                descriptors.extend(fds);
            }
        }
        (message.bytes, descriptors)
    };
    let mut text = format!("{length} bytes and {} descriptors\n", descriptors.len());
    for fd in descriptors {
        let link = fs::read_link(format!("/proc/self/fd/{fd}"))?;
        let inode = link.to_string_lossy().trim_start_matches("socket:[").trim_end_matches(']').to_owned();
        let table = fs::read_to_string("/proc/net/tcp")?;
        let peers: HashMap<&str, &str> = table
            .lines()
            .filter_map(|line| {
                let words: Vec<&str> = line.split_ascii_whitespace().collect();
                Some((*words.get(9)?, *words.get(2)?))
            })
            .collect();
        let peer = peers.get(inode.as_str()).copied().unwrap_or("nothing");
        text.push_str(&format!("a socket connected to {peer}\n"));
    }
    Ok(text)
}

impl Actor {
    fn text(&mut self) -> String {
        match &mut self.kind {
            Kind::Lab(log) => format!("== {} (the lab)\n{}", self.name, log.text()),
            Kind::Proxy(asked) => {
                let lines: String = asked.lines().iter().map(|line| format!("{line}\n")).collect();
                format!("== {} (the lab)\n{lines}", self.name)
            }
            Kind::Program(running) => {
                let status = match running.child.try_wait() {
                    _ if running.killed => "killed by the lab".to_owned(),
                    Ok(Some(status)) => match (status.code(), status.signal()) {
                        (Some(code), _) => format!("status {code}"),
                        (None, signal) => format!("signal {signal:?}"),
                    },
                    _ => "still running".to_owned(),
                };
                let mut text = format!("== {} {status}\n", self.name);
                for (title, output) in [("out", &running.out), ("err", &running.err)] {
                    let bytes = output.now().0;
                    if !bytes.is_empty() {
                        text.push_str(&format!("-- {title}\n{}", shown(&bytes)));
                    }
                }
                if !running.passed.is_empty() {
                    text.push_str(&format!("-- passed\n{}", running.passed));
                }
                text
            }
        }
    }
}

/// Bytes as lines, with what is not ASCII text escaped; a missing newline at the end shows.
fn shown(bytes: &[u8]) -> String {
    if bytes.len() > 20_000 {
        return format!("{} bytes ({:x})\n", bytes.len(), endpoint::checksum(0, bytes));
    }
    let mut text = String::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => text.push_str(&format!("{}\n", line.escape_ascii())),
            None => text.push_str(&format!("{}\\ no newline\n", line.escape_ascii())),
        }
    }
    text
}
