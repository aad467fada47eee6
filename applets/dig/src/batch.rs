//! `-f FILE`: one command line a line. Several lookups run at once; what they print comes out in the order of the file,
//! as soon as everything before it is out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};

use netkit_core::{Ctx, Error};
use netkit_wire::dns::RrType;

use crate::args::Parser;
use crate::engine::{self, Done};
use crate::lookup::Lookup;
use crate::session::{Carry, Env, Sink};
use crate::{Status, exit};

/// Lookups under way at once.
const WORKERS: usize = 8;
/// How far the reader may run ahead of the printer, in lookups.
const AHEAD: usize = 64;
/// Longest line read, in bytes.
const LINE: u64 = 1 << 16;

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
    let input: Box<dyn BufRead + Send> = if path == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(path).map_err(|error| {
            ctx.say(&format!("{}: {}", netkit_core::text::printable(path), reason(&error)));
            Error::new(exit::BATCH_FILE, "couldn't open specified batch file")
        })?;
        Box::new(BufReader::new(file))
    };
    let room = Room::default();
    let lines = feed(input);
    let (job_sender, jobs) = mpsc::channel::<(usize, Lookup)>();
    let (sender, items) = mpsc::channel::<(usize, Item)>();
    let jobs = Arc::new(Mutex::new(jobs));
    std::thread::scope(|scope| {
        let room = &room;
        for _ in 0..WORKERS {
            let (jobs, sender) = (Arc::clone(&jobs), sender.clone());
            scope.spawn(move || work(&jobs, &sender, env, room));
        }
        let (lines, wake) = lines;
        scope.spawn(move || read(parser, &lines, room, &job_sender, &sender));
        let outcome = print(ctx, env, room, &items, status);
        room.close();
        // The reader may be waiting for a line that never comes; when there is no place in the queue, it is not.
        let _ = wake.try_send(Ok(Vec::new()));
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

/// A line with its end, empty at the end of the file, or why there is none.
type Fed = Result<Vec<u8>, io::Error>;

/// Reads lines on a thread of its own that nobody waits for: a pipe may stay open for ever. Through the second half the
/// receiver can be woken.
fn feed(mut input: Box<dyn BufRead + Send>) -> (mpsc::Receiver<Fed>, mpsc::SyncSender<Fed>) {
    let (sender, lines) = mpsc::sync_channel(AHEAD);
    let wake = sender.clone();
    std::thread::spawn(move || {
        loop {
            let mut line = Vec::new();
            let read = io::Read::take(&mut input, LINE).read_until(b'\n', &mut line);
            let ended = !matches!(read, Ok(1..));
            if sender.send(read.map(|_| line)).is_err() || ended {
                return;
            }
        }
    });
    (lines, wake)
}

/// Parses line after line, each seeing what the earlier ones set, and hands out the lookups.
fn read(
    parser: &mut Parser<'_>,
    lines: &mpsc::Receiver<Fed>,
    room: &Room,
    jobs: &mpsc::Sender<(usize, Lookup)>,
    items: &mpsc::Sender<(usize, Item)>,
) {
    let mut place = 0;
    let put = |place: &mut usize, item: Item| {
        let sent = items.send((*place, item)).is_ok();
        *place += 1;
        sent
    };
    while let Ok(line) = lines.recv() {
        let line = match line {
            Ok(line) if line.is_empty() || room.is_closed() => return,
            Ok(line) => line,
            // As with BIND a directory holds nothing.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => return,
            Err(error) => {
                put(
                    &mut place,
                    Item::Failed(Error::new(exit::BATCH_FILE, format!("cannot read the batch file: {error}"))),
                );
                return;
            }
        };
        let parsed = parser.batch_line(&String::from_utf8_lossy(&line));
        let (out, err) = (std::mem::take(&mut parser.out), std::mem::take(&mut parser.err));
        let silent = out.is_empty() && err.is_empty();
        if !silent && !put(&mut place, Item::Said(out, err)) {
            return;
        }
        let lookups = match parsed {
            Ok((_, lookups)) => lookups,
            Err(error) => {
                put(&mut place, Item::Failed(error));
                return;
            }
        };
        for lookup in lookups {
            if !room.enter() {
                return;
            }
            let large = matches!(lookup.settings.rtype, RrType::AXFR | RrType::IXFR);
            let sent = if large {
                items.send((place, Item::Later(Box::new(lookup)))).is_ok()
            } else {
                jobs.send((place, lookup)).is_ok()
            };
            place += 1;
            if !sent {
                return;
            }
        }
    }
}

fn work(jobs: &Mutex<mpsc::Receiver<(usize, Lookup)>>, items: &mpsc::Sender<(usize, Item)>, env: &Env, room: &Room) {
    let mut carry = Carry::default();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((place, lookup)) = job else { return };
        if room.is_closed() {
            return;
        }
        let mut sink = Sink::kept();
        let done = engine::run(&lookup, env, &mut carry, &mut sink);
        let ran = Ran { out: sink.out, err: sink.err, hints: sink.hints, done, rc: lookup.globals.rc };
        if items.send((place, Item::Ran(Box::new(ran)))).is_err() {
            return;
        }
    }
}

/// Prints everything in order.
fn print(
    ctx: &mut Ctx,
    env: &Env,
    room: &Room,
    items: &mpsc::Receiver<(usize, Item)>,
    status: &mut Status,
) -> Result<(), Error> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    let mut carry = Carry::default();
    for (place, item) in items {
        waiting.insert(place, item);
        let mut printed = false;
        while let Some(item) = waiting.remove(&next) {
            next += 1;
            printed = true;
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
                    let done = engine::run(&lookup, env, &mut carry, &mut sink);
                    sink.flush();
                    if let Some(error) = sink.broken.take() {
                        return Err(error.into());
                    }
                    (done, lookup.globals.rc)
                }
            };
            room.leave();
            status.add(done.exit, rc);
            if let Some(error) = done.error {
                return Err(error);
            }
        }
        if printed {
            ctx.stdout.flush()?;
        }
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

/// Bounds how many lookups are between reader and printer.
#[derive(Default)]
struct Room {
    /// Lookups inside, and whether the printer has gone.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Room {
    /// Waits for a place; false when nothing will be printed any more.
    fn enter(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self
            .changed
            .wait_while(state, |(inside, closed)| *inside >= AHEAD && !*closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        !state.1
    }

    fn leave(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = state.0.saturating_sub(1);
        self.changed.notify_one();
    }

    /// Whether the printer has gone.
    fn is_closed(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::Mutex;

    use netkit_core::{Build, SystemClock};

    use super::*;
    use crate::lookup::Family;

    static BUILD: Build = Build { version: "1", commit: "c", epoch: "", target: "t" };

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
    fn an_error_ends_the_run_although_the_pipe_stays_open() {
        let (reader, mut writer) = io::pipe().unwrap();
        // A label of 64 octets: the lookup itself fails, while the reader waits for the next line.
        writer.write_all(format!("{}.example\n", "a".repeat(64)).as_bytes()).unwrap();
        let resolve = |_: &str, _: Family| Err("not found");
        let mut parser = Parser::new(&resolve, "V");
        let env = Env::read(&SystemClock, None).unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        let ended = run(&mut ctx(Shared::default()), &mut parser, &env, &path, &mut Status::default());
        assert_eq!(ended.unwrap_err().exit, exit::INTERNAL);
        // Still open: the run did not end because the pipe did.
        drop(writer);
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
