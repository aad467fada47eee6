//! What nc has beyond its peers, looked at from outside: which bytes go over the wire, what is said on which stream, and
//! the status. The subjects: relays, waiting, PROXY headers and dumps, findings.
//!
//! Every trial runs in a network namespace of its own, so ports are fixed. Programs are killed when the trial ends or its
//! time is over, and every socket has a limit; so nothing hangs and nothing is left.

// An index that is wrong fails the trial, with its place.
#![allow(clippy::indexing_slicing)]

mod findings;
mod relay;
mod wait;
mod wire;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{self, Stop, trial};
use crate::nc_stress::{Body, in_own_network, nc};

/// The bound on every wait; nothing is measured by it.
const LIMIT: Duration = Duration::from_secs(300);
/// A stream longer than all buffers on its way.
const LONG: usize = 5_000_000;

pub fn trials() -> Vec<Trial> {
    let subjects: [(&str, &[(&str, Body)]); 4] =
        [("relay", relay::CLAIMS), ("wait", wait::CLAIMS), ("wire", wire::CLAIMS), ("findings", findings::CLAIMS)];
    let of = |(subject, claims): (&'static str, &'static [(&'static str, Body)])| {
        claims.iter().map(move |(name, body)| {
            let body = *body;
            trial(&format!("nc_extras::{subject}::{name}"), move || in_own_network(body))
        })
    };
    subjects.into_iter().flat_map(of).collect()
}

/// A program that is killed when its time is over or the trial ends, so that no read from it waits for ever.
struct Running {
    child: Arc<Mutex<Child>>,
    watch: Option<(Sender<()>, JoinHandle<()>)>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<BufReader<ChildStderr>>,
}

impl Running {
    fn start(command: &mut Command) -> Result<Running, Stop> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stderr = child.stderr.take().map(BufReader::new);
        let child = Arc::new(Mutex::new(child));
        let (sender, receiver) = channel::<()>();
        let watched = Arc::clone(&child);
        let watch = std::thread::spawn(move || {
            if receiver.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                let _ = watched.lock().unwrap_or_else(PoisonError::into_inner).kill();
            }
        });
        Ok(Running { child, watch: Some((sender, watch)), stdin, stdout, stderr })
    }

    /// `nc -v` that listens by now.
    fn listening(words: &[&str]) -> Result<Running, Stop> {
        let mut running = Running::start(nc("nc")?.arg("-v").args(words))?;
        running.until("listen")?;
        Ok(running)
    }

    /// Reads what it says up to a line with `part`, which is returned.
    fn until(&mut self, part: &str) -> Result<String, Stop> {
        let stderr = self.stderr.as_mut().ok_or("stderr was taken")?;
        let mut said = String::new();
        loop {
            let begin = said.len();
            if stderr.read_line(&mut said)? == 0 {
                return Err(format!("it ended before it said {part:?}: {said:?}").into());
            }
            if said[begin..].to_lowercase().contains(part) {
                return Ok(said.split_off(begin));
            }
        }
    }

    fn pid(&self) -> u32 {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).id()
    }

    /// Its status and the rest of what it said, once it ends.
    fn end(mut self) -> Result<(Option<i32>, String), Stop> {
        drop(self.stdin.take());
        let mut said = String::new();
        if let Some(mut stderr) = self.stderr.take() {
            stderr.read_to_string(&mut said)?;
        }
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()? {
                return Ok((status.code(), said));
            }
            if Instant::now() > until {
                return Err(format!("it did not end; it said {said:?}").into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// It ends by itself with this status and says something with this part.
    fn ends(self, what: &str, status: i32, part: &str) -> Result<(), Stop> {
        let (code, said) = self.end()?;
        if code == Some(status) && said.contains(part) {
            return Ok(());
        }
        Err(format!("{what}: ended with {code:?} and {said:?}, wanted {status} and {part:?}").into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((sender, watch)) = self.watch.take() {
            drop(sender);
            let _ = watch.join();
        }
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
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
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    Err(format!("{what}: {}, wanted {wanted}; stdout {stdout}; stderr {stderr}", out.status).into())
}

fn has(what: &str, text: &str, part: &str) -> Result<(), Stop> {
    if text.contains(part) { Ok(()) } else { Err(format!("{what}: {part:?} is not in {text:?}").into()) }
}

fn lacks(what: &str, text: &str, part: &str) -> Result<(), Stop> {
    if text.contains(part) { Err(format!("{what}: {part:?} is in {text:?}").into()) } else { Ok(()) }
}

fn check(what: impl Into<String>, holds: bool) -> Result<(), Stop> {
    if holds { Ok(()) } else { Err(Stop::Fail(what.into())) }
}

/// The two are equal, told without printing megabytes.
fn equal(what: &str, got: &[u8], wanted: &[u8]) -> Result<(), Stop> {
    if got == wanted {
        return Ok(());
    }
    let at = got.iter().zip(wanted).position(|(left, right)| left != right).unwrap_or(got.len().min(wanted.len()));
    let shown = |bytes: &[u8]| text(bytes.get(at..).unwrap_or_default().get(..40).unwrap_or_default());
    Err(format!(
        "{what}: {} bytes instead of {}, different from byte {at}: {:?} {:?}",
        got.len(),
        wanted.len(),
        shown(got),
        shown(wanted)
    )
    .into())
}

/// An object with exactly these keys, in this order, one a line.
fn records(bytes: &[u8], keys: &[&str]) -> Result<Vec<Value>, Stop> {
    let mut found = Vec::new();
    for line in text(bytes).lines() {
        let record: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let object = record.as_object().ok_or_else(|| format!("no object: {line}"))?;
        let mut have: Vec<&str> = object.keys().map(String::as_str).collect();
        let mut wanted = keys.to_vec();
        have.sort_unstable();
        wanted.sort_unstable();
        lab::same("keys", &have.join(" "), &wanted.join(" "))?;
        let schema = record["schema"].as_str().unwrap_or_default();
        check(format!("schema {schema:?}"), schema.starts_with("nc/"))?;
        check(format!("schema is not first: {line}"), line.starts_with("{\"schema\":"))?;
        found.push(record);
    }
    Ok(found)
}

/// A stream of either kind.
trait Stream: Read + Write + Send + Sized + 'static {
    fn bound(&self) -> std::io::Result<()>;
    fn twin(&self) -> std::io::Result<Self>;
    fn close_writing(&self) -> std::io::Result<()>;
}

impl Stream for TcpStream {
    fn bound(&self) -> std::io::Result<()> {
        self.set_read_timeout(Some(LIMIT)).and_then(|()| self.set_write_timeout(Some(LIMIT)))
    }

    fn twin(&self) -> std::io::Result<TcpStream> {
        self.try_clone()
    }

    fn close_writing(&self) -> std::io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for UnixStream {
    fn bound(&self) -> std::io::Result<()> {
        self.set_read_timeout(Some(LIMIT)).and_then(|()| self.set_write_timeout(Some(LIMIT)))
    }

    fn twin(&self) -> std::io::Result<UnixStream> {
        self.try_clone()
    }

    fn close_writing(&self) -> std::io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

fn dial(address: &str) -> Result<TcpStream, Stop> {
    let stream = TcpStream::connect(address)?;
    stream.bound()?;
    Ok(stream)
}

fn accept(listener: &TcpListener) -> Result<TcpStream, Stop> {
    listener.set_nonblocking(true)?;
    let until = Instant::now() + LIMIT;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.bound()?;
                return Ok(stream);
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock || Instant::now() > until => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn to_end(mut stream: impl Read) -> Result<Vec<u8>, Stop> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads exactly so many.
fn take(mut stream: impl Read, length: usize) -> Result<Vec<u8>, Stop> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Both ends send all they have at the same time, then close their side; each gets what the other sent.
fn both_ways(one: &impl Stream, other: &impl Stream, there: &[u8], back: &[u8]) -> Result<(), Stop> {
    let sender = |stream: &mut dyn Write, bytes: &[u8]| stream.write_all(bytes);
    let (mut one_out, mut other_out) = (one.twin()?, other.twin()?);
    let (one_in, other_in) = (one.twin()?, other.twin()?);
    let (there_copy, back_copy) = (there.to_vec(), back.to_vec());
    let first = std::thread::spawn(move || sender(&mut one_out, &there_copy).and_then(|()| one_out.close_writing()));
    let second =
        std::thread::spawn(move || sender(&mut other_out, &back_copy).and_then(|()| other_out.close_writing()));
    let third = std::thread::spawn(move || to_end(one_in));
    let got_there = to_end(other_in);
    let got_back = third.join().map_err(|_| "a reader died")?;
    first.join().map_err(|_| "a sender died")??;
    second.join().map_err(|_| "a sender died")??;
    equal("there", &got_there?, there)?;
    equal("back", &got_back?, back)
}
