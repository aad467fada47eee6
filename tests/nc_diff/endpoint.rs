//! The lab's own side of a connection: it listens or connects, plays a list of actions, and writes down what came.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use super::case::bytes;
use crate::lab::Stop;

/// How long the lab waits for bytes that should come.
const PATIENCE: Duration = Duration::from_secs(45);

/// What an endpoint saw, shared with its threads.
#[derive(Debug, Clone, Default)]
pub struct Log {
    shared: Arc<(Mutex<Seen>, Condvar)>,
}

#[derive(Debug, Default)]
struct Seen {
    lines: Vec<String>,
    done: usize,
    held: Vec<Conn>,
}

impl Log {
    fn with<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> Option<T> {
        let result = self.shared.0.lock().ok().map(|mut seen| change(&mut seen));
        self.shared.1.notify_all();
        result
    }

    fn line(&self, text: String) {
        self.with(|seen| seen.lines.push(text));
    }

    /// What was written down so far.
    pub fn text(&self) -> String {
        self.with(|seen| seen.lines.iter().map(|line| format!("{line}\n")).collect()).unwrap_or_default()
    }

    /// Waits until `count` connections were played to their end.
    pub fn wait(&self, count: usize) -> Result<(), Stop> {
        let (mutex, changed) = &*self.shared;
        let seen = mutex.lock().map_err(|_| "an endpoint died")?;
        let waited = changed.wait_timeout_while(seen, PATIENCE, |seen| seen.done < count);
        let (seen, timeout) = waited.map_err(|_| "an endpoint died")?;
        if timeout.timed_out() { Err(Stop::Fail(format!("only {} of {count} connections", seen.done))) } else { Ok(()) }
    }
}

#[derive(Debug)]
enum Conn {
    Tcp(TcpStream),
    Unix(UnixStream),
    Udp(UdpSocket, Option<SocketAddr>),
}

/// Listens on `address` and plays `actions` with each connection, one after the other.
pub fn serve(address: &str, actions: &[String]) -> Result<Log, Stop> {
    check(actions)?;
    let log = Log::default();
    let (inner, actions) = (log.clone(), actions.to_vec());
    let (kind, rest) = address.split_once(':').ok_or("an address is KIND:REST")?;
    match kind {
        "tcp" => {
            let listener = TcpListener::bind(rest)?;
            std::thread::spawn(move || {
                while let Ok((stream, from)) = listener.accept() {
                    inner.line(format!("accepted from {from}"));
                    play(Conn::Tcp(stream), &actions, &inner);
                }
            });
        }
        "udp" => {
            let socket = UdpSocket::bind(rest)?;
            std::thread::spawn(move || play(Conn::Udp(socket, None), &actions, &inner));
        }
        "unix" | "abstract" => {
            let listener = UnixListener::bind_addr(&unix(kind, rest)?)?;
            std::thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    inner.line("accepted".to_owned());
                    play(Conn::Unix(stream), &actions, &inner);
                }
            });
        }
        _ => return Err(Stop::Fail(format!("no such kind of address: {address}"))),
    }
    Ok(log)
}

/// Connects to `address` and plays `actions`.
pub fn dial(address: &str, actions: &[String]) -> Result<Log, Stop> {
    check(actions)?;
    let log = Log::default();
    let (kind, rest) = address.split_once(':').ok_or("an address is KIND:REST")?;
    let conn = match kind {
        "tcp" => Conn::Tcp(TcpStream::connect(rest)?),
        "udp" => {
            let to: SocketAddr = rest.parse().map_err(|error| format!("{rest}: {error}"))?;
            let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            Conn::Udp(UdpSocket::bind(from)?, Some(to))
        }
        "unix" | "abstract" => Conn::Unix(UnixStream::connect_addr(&unix(kind, rest)?)?),
        _ => return Err(Stop::Fail(format!("no such kind of address: {address}"))),
    };
    let (inner, actions) = (log.clone(), actions.to_vec());
    std::thread::spawn(move || play(conn, &actions, &inner));
    Ok(log)
}

fn unix(kind: &str, rest: &str) -> Result<UnixAddr, Stop> {
    Ok(if kind == "abstract" { UnixAddr::from_abstract_name(rest)? } else { UnixAddr::from_pathname(rest)? })
}

/// An action that nobody knows would otherwise show only as a connection that ends early.
fn check(actions: &[String]) -> Result<(), Stop> {
    let mut actions = actions.iter();
    while let Some(action) = actions.next() {
        match action.as_str() {
            "send" | "until" => drop(actions.next().ok_or("text is missing")?),
            "take" | "fill" | "pause" => {
                let number = actions.next().ok_or("a number is missing")?;
                number.parse::<usize>().map_err(|_| format!("not a number: {number}"))?;
            }
            "drain" | "count" | "shut" | "reset" | "hold" => {}
            _ => return Err(Stop::Fail(format!("no such action: {action}"))),
        }
    }
    Ok(())
}

fn play(mut conn: Conn, actions: &[String], log: &Log) {
    let mut actions = actions.iter();
    let mut held = false;
    while let Some(action) = actions.next() {
        let outcome = match action.as_str() {
            "send" => conn.send(&bytes(actions.next().map_or("", String::as_str))),
            "fill" => conn.send(&pattern(number(actions.next()))),
            "take" => conn.take(number(actions.next()), log),
            "until" => conn.until(&bytes(actions.next().map_or("", String::as_str)), log),
            "drain" => conn.drain(log, false),
            "count" => conn.drain(log, true),
            "shut" => conn.shut(),
            "pause" => {
                std::thread::sleep(Duration::from_millis(u64::try_from(number(actions.next())).unwrap_or(0)));
                Ok(())
            }
            "reset" => {
                conn.reset();
                Ok(())
            }
            "hold" => {
                held = true;
                break;
            }
            _ => Err(std::io::Error::other("no such action")),
        };
        if let Err(error) = outcome {
            log.line(format!("{action}: {error}"));
            break;
        }
    }
    log.with(|seen| {
        seen.done += 1;
        // Otherwise it is closed here, before anybody can see that it is done.
        if held {
            seen.held.push(conn);
        } else {
            drop(conn);
        }
    });
}

fn number(word: Option<&String>) -> usize {
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// So many bytes, of which no two pieces are alike.
pub fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// A checksum that tells order and content (FNV-1a).
pub fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

impl Conn {
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Conn::Tcp(stream) => stream.write_all(bytes),
            Conn::Unix(stream) => stream.write_all(bytes),
            Conn::Udp(socket, Some(to)) => socket.send_to(bytes, *to).map(drop),
            Conn::Udp(_, None) => Err(std::io::Error::other("nobody to send to yet")),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Conn::Tcp(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.read(buffer)
            }
            Conn::Unix(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.read(buffer)
            }
            Conn::Udp(socket, peer) => {
                socket.set_read_timeout(Some(PATIENCE))?;
                // A receive with a timeout is not restarted by the kernel when a signal arrives (signal(7)).
                let (length, from) = loop {
                    match socket.recv_from(buffer) {
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        received => break received?,
                    }
                };
                *peer = Some(from);
                Ok(length)
            }
        }
    }

    fn take(&mut self, length: usize, log: &Log) -> std::io::Result<()> {
        let mut buffer = vec![0; if matches!(self, Conn::Udp(..)) { 65_535 } else { length }];
        let mut taken = 0;
        loop {
            let count = self.read(buffer.get_mut(taken..).unwrap_or_default())?;
            taken += count;
            if matches!(self, Conn::Udp(..)) || taken == length || count == 0 {
                break;
            }
        }
        let end = if taken < length && !matches!(self, Conn::Udp(..)) { ", then the end" } else { "" };
        log.line(format!("got \"{}\"{end}", buffer.get(..taken).unwrap_or_default().escape_ascii()));
        Ok(())
    }

    fn until(&mut self, text: &[u8], log: &Log) -> std::io::Result<()> {
        let mut got = Vec::new();
        let mut one = [0];
        while !got.ends_with(text) {
            if self.read(&mut one)? == 0 {
                log.line(format!("got \"{}\", then the end", got.escape_ascii()));
                return Ok(());
            }
            got.extend_from_slice(&one);
        }
        log.line(format!("got \"{}\"", got.escape_ascii()));
        Ok(())
    }

    fn drain(&mut self, log: &Log, only_count: bool) -> std::io::Result<()> {
        let mut got = Vec::new();
        let mut buffer = vec![0; 65_536];
        let end = loop {
            match self.read(&mut buffer) {
                Ok(0) => break "the end",
                Ok(count) => got.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break "a reset",
                Err(error) if error.kind() == ErrorKind::WouldBlock => break "nothing more",
                Err(error) => return Err(error),
            }
        };
        let what = match (got.len(), only_count) {
            (0, _) => String::new(),
            (length, true) => format!("{length} bytes ({:x}), then ", checksum(0, &got)),
            (_, false) => format!("\"{}\", then ", got.escape_ascii()),
        };
        log.line(format!("got {what}{end}"));
        Ok(())
    }

    fn shut(&mut self) -> std::io::Result<()> {
        match self {
            Conn::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Conn::Unix(stream) => stream.shutdown(Shutdown::Write),
            Conn::Udp(..) => Err(std::io::Error::other("a datagram socket has no end")),
        }
    }

    /// The next close sends a reset and throws away what is in the buffers.
    fn reset(&mut self) {
        if let Conn::Tcp(stream) = self {
            let _ = setsockopt(stream, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 });
        }
    }
}
