//! `-f FILE`: one command line a line. Several lookups run at once; what they print comes out in the order of the file,
//! as soon as everything before it is out.
//!
//! Every worker takes its next line from the file itself, and the printer is woken only when it can print, at most once
//! in [`GATHER`]: with thousands of replies a second, handing each of them from thread to thread would cost more than
//! the lookups.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use netkit_core::{Ctx, Error};
use netkit_wire::dns::RrType;

use crate::args::Parser;
use crate::engine::{self, Done};
use crate::lookup::Lookup;
use crate::session::{Carry, Env, Sink};
use crate::{Status, exit};

/// Lookups under way at once.
const WORKERS: usize = 8;
/// How far the workers may run ahead of the printer, in places of the output.
const AHEAD: usize = 64;
/// Longest line read, in bytes.
const LINE: u64 = 1 << 16;
/// How long the printer lets replies gather after it has printed some; too short for people to see.
const GATHER: Duration = Duration::from_millis(1);

/// What stands at one place of the output.
enum Item {
    /// Text from parsing the line.
    Said(String, String),
    /// A finished lookup.
    Ran(Box<Ran>),
    /// A lookup whose output may be large: it runs when its turn comes, and is printed as it goes.
    Later(Box<Lookup>),
    /// Nothing after this counts.
    Failed(Error),
}

struct Ran {
    out: String,
    err: String,
    hints: Vec<String>,
    done: Done,
    rc: bool,
}

/// Runs a batch file; `-` is stdin.
///
/// # Errors
/// When the file cannot be opened, stdout is gone, or a line holds what makes dig stop.
pub(crate) fn run(
    ctx: &mut Ctx,
    parser: &mut Parser<'_>,
    env: &Env,
    path: &str,
    status: &mut Status,
) -> Result<(), Error> {
    let mut wake = None;
    let input: Box<dyn BufRead + Send> = if path == "-" {
        let (piped, waker) = Piped::new(io::stdin());
        wake = Some(waker);
        Box::new(BufReader::new(piped))
    } else {
        let file = File::open(path).map_err(|error| {
            ctx.say(&format!("{}: {}", netkit_core::text::printable(path), reason(&error)));
            Error::new(exit::BATCH_FILE, "couldn't open specified batch file")
        })?;
        Box::new(BufReader::new(file))
    };
    let output = Output::new(WORKERS);
    let source = Mutex::new(Source { parser, input, pending: VecDeque::new(), place: 0, ended: false });
    std::thread::scope(|scope| {
        let (source, output) = (&source, &output);
        for _ in 0..WORKERS {
            scope.spawn(move || work(source, env, output));
        }
        let outcome = print(ctx, env, output, status);
        output.close();
        // A worker may be waiting for a line that never comes; if there is no place in the queue, it is not.
        if let Some(wake) = wake {
            let _ = wake.try_send(Ok(Vec::new()));
        }
        outcome
    })
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "No such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// What was read in one go, empty at the end, or why there is nothing.
type Piece = io::Result<Vec<u8>>;

/// A stream that may stay open for ever, read on a thread of its own that nobody waits for.
struct Piped {
    pieces: mpsc::Receiver<Piece>,
    current: io::Cursor<Vec<u8>>,
}

impl Piped {
    /// The stream, and the means to end it from outside.
    fn new(mut stream: impl io::Read + Send + 'static) -> (Piped, mpsc::SyncSender<Piece>) {
        let (sender, pieces) = mpsc::sync_channel(1);
        let wake = sender.clone();
        std::thread::spawn(move || {
            loop {
                let mut piece = vec![0; 1 << 13];
                let read = stream.read(&mut piece).map(|length| {
                    piece.truncate(length);
                    piece
                });
                let ended = !matches!(&read, Ok(piece) if !piece.is_empty());
                if sender.send(read).is_err() || ended {
                    return;
                }
            }
        });
        (Piped { pieces, current: io::Cursor::new(Vec::new()) }, wake)
    }
}

impl io::Read for Piped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if usize::try_from(self.current.position()).is_ok_and(|at| at >= self.current.get_ref().len()) {
            let Ok(piece) = self.pieces.recv() else { return Ok(0) };
            self.current = io::Cursor::new(piece?);
        }
        self.current.read(buffer)
    }
}

/// The file, read by whichever worker is free.
struct Source<'a, 'p> {
    parser: &'a mut Parser<'p>,
    input: Box<dyn BufRead + Send>,
    /// Lookups of a line that has several, with their places.
    pending: VecDeque<(usize, Lookup)>,
    /// The next place of the output.
    place: usize,
    ended: bool,
}

impl Source<'_, '_> {
    /// The next lookup and its place. Lines are parsed in order, each seeing what the earlier ones set; all that is no
    /// lookup for a worker goes to the output.
    fn next(&mut self, output: &Output) -> Option<(usize, Lookup)> {
        loop {
            if let Some((place, lookup)) = self.pending.pop_front() {
                if !output.has_room(place) {
                    return None;
                }
                if !matches!(lookup.settings.rtype, RrType::AXFR | RrType::IXFR) {
                    return Some((place, lookup));
                }
                output.put(place, Item::Later(Box::new(lookup)));
            } else if self.ended || !output.has_room(self.place) {
                return None;
            } else if let Err(error) = self.line(output) {
                self.ended = true;
                let place = self.take_place();
                output.put(place, Item::Failed(error));
            }
        }
    }

    /// Reads and parses one line.
    fn line(&mut self, output: &Output) -> Result<(), Error> {
        let mut line = Vec::new();
        let read = io::Read::take(&mut self.input, LINE).read_until(b'\n', &mut line);
        let length = match read {
            Ok(length) => length,
            // As with BIND a directory holds nothing.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => 0,
            Err(error) => {
                return Err(Error::new(exit::BATCH_FILE, format!("cannot read the batch file: {error}")));
            }
        };
        if length == 0 {
            self.ended = true;
            return Ok(());
        }
        let parsed = self.parser.batch_line(&String::from_utf8_lossy(&line));
        let (out, err) = self.parser.take_said();
        if !(out.is_empty() && err.is_empty()) {
            let place = self.take_place();
            output.put(place, Item::Said(out, err));
        }
        let (_, lookups) = parsed?;
        for lookup in lookups {
            let place = self.take_place();
            self.pending.push_back((place, lookup));
        }
        Ok(())
    }

    fn take_place(&mut self) -> usize {
        self.place += 1;
        self.place - 1
    }
}

fn work(source: &Mutex<Source<'_, '_>>, env: &Env, output: &Output) {
    let _leaving = Leaving(output);
    let mut carry = Carry::default();
    loop {
        let job = source.lock().unwrap_or_else(PoisonError::into_inner).next(output);
        let Some((place, lookup)) = job else { return };
        let mut sink = Sink::kept();
        let done = engine::run(&lookup, env, &mut carry, &mut sink, None);
        let ran = Ran { out: sink.out, err: sink.err, hints: sink.hints, done, rc: lookup.globals.rc };
        output.put(place, Item::Ran(Box::new(ran)));
    }
}

/// Prints everything in order.
fn print(ctx: &mut Ctx, env: &Env, output: &Output, status: &mut Status) -> Result<(), Error> {
    let mut carry = Carry::default();
    while let Some(items) = output.ready() {
        for item in items {
            let (done, rc) = match item {
                Item::Said(out, err) => {
                    ctx.stdout.write_all(out.as_bytes())?;
                    say(ctx, &err)?;
                    continue;
                }
                Item::Failed(error) => return Err(error),
                Item::Ran(ran) => {
                    ctx.stdout.write_all(ran.out.as_bytes())?;
                    say(ctx, &ran.err)?;
                    for hint in &ran.hints {
                        ctx.hint(hint);
                    }
                    (ran.done, ran.rc)
                }
                Item::Later(lookup) => {
                    let mut sink = Sink::live(ctx);
                    let done = engine::run(&lookup, env, &mut carry, &mut sink, None);
                    sink.flush();
                    if let Some(error) = sink.broken.take() {
                        return Err(error.into());
                    }
                    (done, lookup.globals.rc)
                }
            };
            status.add(done.exit, rc);
            if let Some(error) = done.error {
                return Err(error);
            }
        }
        ctx.stdout.flush()?;
        std::thread::sleep(GATHER);
    }
    Ok(())
}

fn say(ctx: &mut Ctx, text: &str) -> Result<(), Error> {
    if !text.is_empty() {
        ctx.stdout.flush()?;
        let _ = ctx.stderr.write_all(text.as_bytes());
    }
    Ok(())
}

/// What is finished and not yet printed.
struct Output {
    state: Mutex<State>,
    /// The next item in order is there, or there will be none.
    printable: Condvar,
    /// The printer has moved on, or has gone.
    moved: Condvar,
}

struct State {
    waiting: BTreeMap<usize, Item>,
    /// The place to be printed next.
    next: usize,
    /// Whether the printer sleeps until there is something to print; only then it has to be woken.
    printer_waits: bool,
    /// Workers that have not left.
    working: usize,
    /// Nothing will be printed any more.
    closed: bool,
}

impl Output {
    fn new(workers: usize) -> Output {
        let state = State { waiting: BTreeMap::new(), next: 0, printer_waits: false, working: workers, closed: false };
        Output { state: Mutex::new(state), printable: Condvar::new(), moved: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `place` is not too far ahead; false when nothing will be printed any more.
    fn has_room(&self, place: usize) -> bool {
        let state = self
            .moved
            .wait_while(self.lock(), |state| place >= state.next + AHEAD && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    fn put(&self, place: usize, item: Item) {
        let mut state = self.lock();
        state.waiting.insert(place, item);
        if place == state.next {
            self.wake_printer(&mut state);
        }
    }

    fn wake_printer(&self, state: &mut State) {
        if std::mem::take(&mut state.printer_waits) {
            self.printable.notify_one();
        }
    }

    /// Waits for what comes next in order and takes all of it; nothing when everything is printed.
    fn ready(&self) -> Option<Vec<Item>> {
        let mut state = self
            .printable
            .wait_while(self.lock(), |state| {
                state.printer_waits = state.working > 0 && !state.waiting.contains_key(&state.next);
                state.printer_waits
            })
            .unwrap_or_else(PoisonError::into_inner);
        let mut items = Vec::new();
        loop {
            let next = state.next;
            let Some(item) = state.waiting.remove(&next) else { break };
            items.push(item);
            state.next += 1;
        }
        // Only one worker, which holds the file, can be waiting for room.
        self.moved.notify_one();
        (!items.is_empty()).then_some(items)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.moved.notify_all();
    }
}

/// Says that a worker has left, however it did.
struct Leaving<'a>(&'a Output);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.working -= 1;
        if state.working == 0 {
            self.0.wake_printer(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::Arc;

    use netkit_core::{Build, SystemClock};

    use super::*;
    use crate::lookup::Family;

    static BUILD: Build = Build { version: "1", commit: "c", epoch: "", target: "t", trust_roots: "r" };

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn ctx(out: Shared) -> Ctx {
        Ctx {
            name: "dig".to_owned(),
            argv0: "dig".into(),
            args: Vec::new(),
            stdin: Box::new(io::empty()),
            stdout: Box::new(out),
            stderr: Box::new(io::sink()),
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            explain: false,
            env: BTreeMap::new(),
            clock: &SystemClock,
            table: &[],
            build: &BUILD,
        }
    }

    /// Takes `count` queries and answers them last one first, each with its own name as a TXT record.
    fn backwards(count: usize) -> (u16, std::thread::JoinHandle<()>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let mut queries = Vec::new();
            let mut buffer = [0; 512];
            while queries.len() < count {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                queries.push((buffer[..length].to_vec(), from));
            }
            for (mut bytes, from) in queries.into_iter().rev() {
                // One question, one answer; what stood behind the question goes.
                bytes.truncate(12 + bytes[12..].iter().position(|byte| *byte == 0).unwrap() + 5);
                bytes[2] |= 0x80;
                bytes[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
                let label = bytes[12..=12 + usize::from(bytes[12])].to_vec();
                bytes.extend_from_slice(&[0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, u8::try_from(label.len()).unwrap()]);
                bytes.extend_from_slice(&label);
                socket.send_to(&bytes, from).unwrap();
            }
        });
        (port, thread)
    }

    #[test]
    fn answers_come_out_in_the_order_of_the_file_however_they_arrive() {
        let (port, server) = backwards(4);
        let file = std::env::temp_dir().join(format!("netkit-dig-batch-{}", std::process::id()));
        std::fs::write(&file, "# comment\n\none.example txt\ntwo.example txt\nthree.example txt\nfour.example txt\n")
            .unwrap();
        let resolve = |host: &str, _: Family| Ok(vec![(host.parse().unwrap(), 0)]);
        let mut parser = Parser::new(&resolve, "V");
        let words = ["+short", "+tries=1", "+time=30", "@127.0.0.1", "-p", &port.to_string()].map(str::to_owned);
        parser.batch = Some(String::new());
        parser.command_line(&words).unwrap();
        let env = Env::read(&SystemClock, None).unwrap();
        let out = Shared::default();
        let mut status = Status::default();
        let path = file.to_str().unwrap();
        let ended = run(&mut ctx(out.clone()), &mut parser, &env, path, &mut status);
        std::fs::remove_file(&file).unwrap();
        ended.unwrap();
        server.join().unwrap();
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert_eq!((text.as_str(), status.exit), ("\"one\"\n\"two\"\n\"three\"\n\"four\"\n", 0));
    }

    #[test]
    fn a_stream_that_stays_open_can_be_ended_from_outside() {
        use std::io::Read as _;
        let (mut far, near) = std::os::unix::net::UnixStream::pair().unwrap();
        let (mut piped, wake) = Piped::new(near);
        far.write_all(b"one\n").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(piped.read(&mut buffer).unwrap(), 4);
        wake.try_send(Ok(Vec::new())).unwrap();
        assert_eq!(piped.read(&mut buffer).unwrap(), 0);
        drop(far);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_status_8() {
        let resolve = |_: &str, _: Family| Err("not found");
        let mut parser = Parser::new(&resolve, "V");
        let env = Env::read(&SystemClock, None).unwrap();
        let error = run(&mut ctx(Shared::default()), &mut parser, &env, "/nonexistent/x", &mut Status::default());
        assert_eq!(error.unwrap_err().exit, exit::BATCH_FILE);
    }
}
