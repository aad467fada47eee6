//! Moves bytes between two ends, both ways at once, until neither has anything left to say.
//!
//! Where both ends are plain descriptors the bytes never enter this process: splice(2) moves them through a pipe. Each
//! direction holds at most one buffer (or pipe) of data, so a slow reader stops its writer and memory stays constant.
//! A half-close is passed on only after the last byte before it. Nothing is dropped without an error.

use std::io::{self, IsTerminal as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe2, read};

/// Bytes held a direction where they are copied; no datagram is larger.
const BUFFER: usize = 65_536;
/// The largest datagram made of a stream, as in the peer.
const DATAGRAM: usize = 16_384;
/// Size asked for the pipe between two spliced ends. The kernel may give less to users without privilege.
const PIPE: i32 = 1 << 20;
/// Bytes moved by one splice(2) at most.
const MOST: usize = 1 << 20;

/// One side: something to read from, something to write to.
pub(crate) trait End {
    /// What to wait on before reading; `None` when there is nothing to read.
    fn input(&self) -> Option<BorrowedFd<'_>>;
    /// What to wait on before writing; `None` when nothing can be written.
    fn output(&self) -> Option<BorrowedFd<'_>>;
    /// Whether the descriptors carry the very bytes, so that splice(2) may go round `read` and `write`.
    fn plain(&self) -> bool;
    /// Whether it keeps the borders of messages, and a message of no bytes is not the end.
    fn datagrams(&self) -> bool {
        false
    }
    /// Reads what there is; 0 is the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes some of it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Tells the other side that nothing more will be written.
    fn finish(&mut self) -> io::Result<()>;
    /// Tells the kernel that nothing more will be read.
    fn stop_reading(&mut self) {}
    /// Whether a read may give bytes although the descriptor is silent, because they are decrypted already.
    fn buffered(&self) -> bool {
        false
    }
    /// Whether bytes taken by `write` or `finish` have not left yet; `flush` is called when there is room.
    fn pending(&self) -> bool {
        false
    }
    /// Sends what is pending, as far as there is room.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// Says goodbye where the protocol has one, and waits for the peer's at most `patience`.
    fn close(&mut self, _patience: Duration) {}
    /// What is odd about its end, though no error.
    fn remark(&self) -> Option<&'static str> {
        None
    }
    /// An error that waits to be reported.
    fn error(&mut self) -> Option<io::Error> {
        None
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the local end to the far one.
    Out,
    /// From the far end to the local one.
    In,
}

/// Sees, and may change, the bytes of one direction before they are written.
pub(crate) trait Tap {
    /// Called with each piece that was read; what is left in `bytes` is written. The far end is at hand for answers.
    fn pass(&mut self, way: Way, bytes: &mut Vec<u8>, far: &mut dyn End) -> io::Result<()>;
}

/// When to stop.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Pass the end of the local input on (`-N`).
    pub(crate) half_close: bool,
    /// After the end of the local input, how long to go on (`-q`); the end is passed on too.
    pub(crate) quit: Option<Duration>,
    /// Leave when nothing moved for so long (`-w`).
    pub(crate) idle: Option<Duration>,
    /// Leave as soon as the far end is done and its bytes are written (a listener).
    pub(crate) end_with_far: bool,
    /// The far end is done after so many reads (`-W`).
    pub(crate) receive: Option<u64>,
    /// Pause before each step (`-i`).
    pub(crate) interval: Option<Duration>,
    /// Pass the end of the far input on as well (a relay between two sockets).
    pub(crate) both_ways: bool,
    /// Leave when the local input has ended and all of it is written (`--send-only`).
    pub(crate) end_with_local: bool,
}

/// Why the pump stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Both ends are done.
    Done,
    /// Nothing moved for the time allowed.
    Idle,
    /// `-q` ran out.
    Quit,
}

/// What happened.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Why it stopped.
    pub(crate) stop: Stop,
    /// The first error of each kind, in the order they came.
    pub(crate) faults: Vec<Fault>,
    /// Bytes written to the far end.
    pub(crate) sent: u64,
    /// Bytes written to the local end.
    pub(crate) received: u64,
}

/// An error that cost bytes, or may have.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Where.
    pub(crate) place: Place,
    /// As the kernel gave it.
    pub(crate) error: io::Error,
}

/// Where an error came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Standard input, or the first end of a relay.
    LocalRead,
    /// Standard output, or the first end of a relay.
    LocalWrite,
    /// The network, reading.
    FarRead,
    /// The network, writing.
    FarWrite,
}

/// How one direction moves bytes.
enum Mode {
    /// Through this process.
    Copy,
    /// One of the two ends is a pipe.
    Direct,
    /// Through a pipe of ours: reading end, writing end, bytes in it, its size.
    Through { out: OwnedFd, into: OwnedFd, held: usize, size: usize },
}

struct Flow {
    way: Way,
    mode: Mode,
    reading: bool,
    writing: bool,
    buffer: Vec<u8>,
    /// A splice moved nothing because the writing side had no room.
    blocked: bool,
    moved: u64,
}

/// What one attempt to move did.
enum Moved {
    Some(usize),
    End,
    /// The reading side has nothing, or the writing side no room.
    Nothing,
    Failed(bool, io::Error),
}

/// Runs until both ends are done, or a limit ends it.
pub(crate) fn run(
    local: &mut dyn End,
    far: &mut dyn End,
    limits: &Limits,
    mut tap: Option<&mut dyn Tap>,
) -> io::Result<Outcome> {
    let plain = tap.is_none() && limits.receive.is_none() && limits.interval.is_none();
    let mut out = Flow::new(Way::Out, &*local, &*far, plain);
    let mut back = Flow::new(Way::In, &*far, &*local, plain);
    let mut faults = Vec::new();
    let mut received = 0u64;
    let mut quit_at: Option<Instant> = None;
    let mut finished = false;
    let mut deaf = false;
    let mut chunk = Vec::new();
    let stop = loop {
        if !out.reading && out.is_empty() && (finished || !far.pending()) {
            if !finished {
                finished = true;
                if out.writing && (limits.half_close || limits.quit.is_some()) {
                    // The far end may be gone already; what it could still tell is read below.
                    let _ = far.finish();
                }
                quit_at = limits.quit.map(|delay| Instant::now() + delay);
                if limits.end_with_local {
                    break Stop::Done;
                }
            }
            out.writing = false;
        }
        if !back.reading && back.is_empty() && (!back.writing || !local.pending()) {
            if back.writing && limits.end_with_far {
                break Stop::Done;
            }
            if back.writing && limits.both_ways {
                let _ = local.finish();
            }
            back.writing = false;
        }
        if !out.writing && !back.writing && !far.pending() && !local.pending() {
            break Stop::Done;
        }
        if let Some(pause) = limits.interval {
            std::thread::sleep(pause);
        }
        let ready = wait(&out, &back, &*local, &*far, deaf, limits.idle, quit_at)?;
        let Some(ready) = ready else {
            if quit_at.is_some_and(|at| Instant::now() >= at) {
                break Stop::Quit;
            }
            break Stop::Idle;
        };
        // A far end that takes nothing more: what the user still types has nowhere to go.
        if ready.far_out_gone && out.writing && out.is_empty() {
            // A reset tells that bytes sent before were not taken; while we still read, reading reports it.
            // Asking takes the error away, so the order of these two conditions matters.
            if !back.reading
                && let Some(error) = far.error()
            {
                faults.push(Fault { place: Place::FarWrite, error });
            }
            out.writing = false;
            out.reading = false;
        }
        // A reader that has gone is an error only when there are bytes for it: the write will tell.
        deaf |= ready.local_out_gone;
        for (end, room, place) in [
            (&mut *far as &mut dyn End, ready.far_room, Place::FarWrite),
            (&mut *local as &mut dyn End, ready.local_room, Place::LocalWrite),
        ] {
            if room && let Err(error) = end.flush() {
                faults.push(Fault { place, error });
            }
        }
        if ready.out {
            out.step(local, far, &mut tap, &mut chunk, &mut faults);
        }
        if ready.back {
            let before = back.reading;
            let reads = back.step(far, local, &mut tap, &mut chunk, &mut faults);
            received += reads;
            if limits.receive.is_some_and(|limit| received >= limit) {
                back.reading = false;
                out.reading = false;
            }
            if before && !back.reading {
                far.stop_reading();
            }
        }
        let deaf_to_us = faults.iter().any(|fault| fault.place == Place::LocalWrite) && !back.writing;
        if deaf_to_us && !limits.both_ways {
            // Nobody reads what the far end says: going on would only hide that. Between two sockets the other way is a
            // stream of its own, and goes to its end.
            break Stop::Done;
        }
    };
    Ok(Outcome { stop, faults, sent: out.moved, received: back.moved })
}

/// What poll(2) found.
struct Ready {
    out: bool,
    back: bool,
    far_out_gone: bool,
    local_out_gone: bool,
    /// An end that holds bytes back has room for them.
    far_room: bool,
    local_room: bool,
}

/// Waits until a direction can move. `None`: a limit passed.
fn wait(
    out: &Flow,
    back: &Flow,
    local: &dyn End,
    far: &dyn End,
    deaf: bool,
    idle: Option<Duration>,
    quit_at: Option<Instant>,
) -> io::Result<Option<Ready>> {
    let idle_at = idle.map(|limit| Instant::now() + limit);
    let deadline = [idle_at, quit_at].into_iter().flatten().min();
    let (far_pending, local_pending) = (far.pending(), local.pending());
    let out_now = out.wants_input() && local.buffered();
    let back_now = back.wants_input() && far.buffered();
    loop {
        // Order: local in, far out, far in, local out.
        let wants = [
            (local.input(), out.wants_input(), PollFlags::POLLIN),
            (far.output(), out.wants_output() || far_pending, PollFlags::POLLOUT),
            (far.input(), back.wants_input(), PollFlags::POLLIN),
            (local.output(), back.wants_output() || local_pending, PollFlags::POLLOUT),
        ];
        // A descriptor without a wish is watched for errors and hang-ups only, and only while it is in use.
        // Poll would report a reader that has gone again and again.
        let used = [
            out.reading,
            out.writing || far_pending,
            back.reading,
            local_pending || (back.writing && (!deaf || back.wants_output())),
        ];
        let mut places = [None; 4];
        let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(4);
        for (((fd, wanted, flag), used), place) in wants.into_iter().zip(used).zip(&mut places) {
            // A reader that waits for room must not spin on the hang-up of its source.
            let watched = used && (wanted || flag == PollFlags::POLLOUT);
            if let (Some(fd), true) = (fd, watched) {
                *place = Some(polled.len());
                polled.push(PollFd::new(fd, if wanted { flag } else { PollFlags::empty() }));
            }
        }
        let timeout = deadline.map_or(PollTimeout::NONE, |at| {
            let millis = at.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
            PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
        });
        let timeout = if out_now || back_now { PollTimeout::ZERO } else { timeout };
        match poll(&mut polled, timeout) {
            Ok(0) if out_now || back_now => {}
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::EINTR) => {
                if deadline.is_some_and(|at| Instant::now() >= at) {
                    return Ok(None);
                }
                continue;
            }
            Err(errno) => return Err(errno.into()),
        }
        let seen = places.map(|place| {
            place.and_then(|index| polled.get(index)).and_then(PollFd::revents).unwrap_or(PollFlags::empty())
        });
        let [local_in, far_out, far_in, local_out] = seen;
        let any = PollFlags::all();
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        return Ok(Some(Ready {
            out: out_now
                || (local_in.intersects(any) && out.wants_input())
                || (far_out.intersects(any) && out.wants_output()),
            back: back_now
                || (far_in.intersects(any) && back.wants_input())
                || (local_out.intersects(any) && back.wants_output()),
            far_out_gone: far_out.intersects(gone),
            local_out_gone: local_out.intersects(gone) && !local_out.contains(PollFlags::POLLOUT),
            far_room: far_pending && far_out.intersects(any),
            local_room: local_pending && local_out.intersects(any),
        }));
    }
}

impl Flow {
    fn new(way: Way, from: &dyn End, to: &dyn End, plain: bool) -> Flow {
        let (input, output) = (from.input(), to.output());
        let spliced = plain && from.plain() && to.plain() && !from.datagrams() && !to.datagrams();
        let mode = match (spliced, input, output) {
            (true, Some(input), Some(output)) => Mode::choose(input, output),
            _ => Mode::Copy,
        };
        Flow {
            way,
            mode,
            reading: input.is_some(),
            // A bound datagram socket has nowhere to write until it has heard somebody.
            writing: output.is_some() || to.datagrams(),
            buffer: Vec::new(),
            blocked: false,
            moved: 0,
        }
    }

    fn is_empty(&self) -> bool {
        let held = match &self.mode {
            Mode::Through { held, .. } => *held,
            _ => 0,
        };
        self.buffer.is_empty() && held == 0
    }

    fn drop_all(&mut self) {
        self.buffer.clear();
        self.mode = Mode::Copy;
        self.reading = false;
        self.writing = false;
    }

    fn wants_input(&self) -> bool {
        let room = match &self.mode {
            Mode::Copy => self.buffer.is_empty(),
            Mode::Direct => !self.blocked,
            Mode::Through { held, size, .. } => self.buffer.is_empty() && *held <= size / 2,
        };
        self.reading && self.writing && room
    }

    fn wants_output(&self) -> bool {
        let blocked = matches!(self.mode, Mode::Direct) && self.blocked && self.reading;
        self.writing && (blocked || !self.is_empty())
    }

    /// Moves what can be moved without waiting; returns how many reads there were.
    fn step(
        &mut self,
        from: &mut dyn End,
        to: &mut dyn End,
        tap: &mut Option<&mut dyn Tap>,
        chunk: &mut Vec<u8>,
        faults: &mut Vec<Fault>,
    ) -> u64 {
        let moved = match &mut self.mode {
            Mode::Direct => self.direct(from, to),
            Mode::Through { .. } => self.through(from, to),
            Mode::Copy => return self.copy(from, to, tap, chunk, faults),
        };
        match moved {
            Moved::Some(length) => {
                self.blocked = false;
                self.moved += length as u64;
                1
            }
            Moved::Nothing => 0,
            Moved::End => {
                self.reading = false;
                self.blocked = false;
                0
            }
            // This pair of descriptors cannot be spliced (a terminal, a file opened for appending, an old kernel). And a
            // splice into a pipe without readers fails before it looks whether there is anything to move.
            Moved::Failed(_, error)
                if error.raw_os_error() == Some(Errno::EINVAL as i32)
                    || (matches!((self.way, &self.mode), (Way::In, Mode::Direct))
                        && error.kind() == io::ErrorKind::BrokenPipe) =>
            {
                self.take_back();
                0
            }
            Moved::Failed(reading, error) => {
                self.failed(reading, error, faults);
                0
            }
        }
    }

    fn failed(&mut self, reading: bool, error: io::Error, faults: &mut Vec<Fault>) {
        let place = match (self.way, reading) {
            (Way::Out, true) => Place::LocalRead,
            (Way::Out, false) => Place::FarWrite,
            (Way::In, true) => Place::FarRead,
            (Way::In, false) => Place::LocalWrite,
        };
        faults.push(Fault { place, error });
        if reading {
            // What was read before is still delivered.
            self.reading = false;
        } else {
            self.drop_all();
        }
    }

    /// From splicing to copying, with the bytes that are in the pipe.
    fn take_back(&mut self) {
        if let Mode::Through { out, held, .. } = &self.mode {
            let mut bytes = vec![0u8; *held];
            let mut filled = 0;
            while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
                match read(out, room) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => filled += length,
                }
            }
            bytes.truncate(filled);
            self.buffer = bytes;
        }
        self.mode = Mode::Copy;
        self.blocked = false;
    }

    fn direct(&mut self, from: &dyn End, to: &dyn End) -> Moved {
        let (Some(input), Some(output)) = (from.input(), to.output()) else { return Moved::End };
        let was_blocked = self.blocked;
        match splice(input, None, output, None, MOST, FLAGS) {
            Ok(0) => Moved::End,
            Ok(length) => Moved::Some(length),
            Err(Errno::EAGAIN) => {
                // The kernel does not say which side it was; the other one is waited for next.
                self.blocked = !was_blocked;
                Moved::Nothing
            }
            Err(Errno::EINTR) => Moved::Nothing,
            // One call for two descriptors. A pipe we read from does not fail, one we write to fails in one way only.
            Err(errno) => Moved::Failed(self.way == Way::In && errno != Errno::EPIPE, errno.into()),
        }
    }

    fn through(&mut self, from: &dyn End, to: &dyn End) -> Moved {
        let wants_input = self.wants_input();
        let Mode::Through { out, into, held, .. } = &mut self.mode else { return Moved::Nothing };
        let (Some(input), Some(output)) = (from.input(), to.output()) else { return Moved::End };
        let mut end = false;
        if wants_input {
            match splice(input, None, &*into, None, MOST, FLAGS) {
                Ok(0) => end = true,
                Ok(length) => *held += length,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => return Moved::Failed(true, errno.into()),
            }
        }
        let mut moved = 0;
        while *held > 0 {
            match splice(&*out, None, output, None, *held, FLAGS) {
                Ok(0) => break,
                Ok(length) => {
                    *held = held.saturating_sub(length);
                    moved += length;
                }
                Err(Errno::EAGAIN | Errno::EINTR) => break,
                Err(errno) => {
                    self.moved += moved as u64;
                    return Moved::Failed(false, errno.into());
                }
            }
        }
        if end {
            self.moved += moved as u64;
            return Moved::End;
        }
        if moved > 0 { Moved::Some(moved) } else { Moved::Nothing }
    }

    fn copy(
        &mut self,
        from: &mut dyn End,
        to: &mut dyn End,
        tap: &mut Option<&mut dyn Tap>,
        chunk: &mut Vec<u8>,
        faults: &mut Vec<Fault>,
    ) -> u64 {
        let mut reads = 0;
        if self.wants_input() {
            let room = if to.datagrams() && !from.datagrams() { DATAGRAM } else { BUFFER };
            chunk.resize(room, 0);
            match from.read(chunk) {
                Ok(0) if from.datagrams() => {}
                Ok(0) => self.reading = false,
                Ok(length) => {
                    reads = 1;
                    self.buffer.extend_from_slice(chunk.get(..length).unwrap_or_default());
                    if let Some(tap) = tap {
                        let far: &mut dyn End = match self.way {
                            Way::Out => &mut *to,
                            Way::In => &mut *from,
                        };
                        if let Err(error) = tap.pass(self.way, &mut self.buffer, far) {
                            self.failed(false, error, faults);
                            return reads;
                        }
                    }
                }
                Err(error) if later(&error) => {}
                Err(error) => {
                    self.failed(true, error, faults);
                    return reads;
                }
            }
        }
        if !self.buffer.is_empty() && self.writing {
            match to.write(&self.buffer) {
                Ok(length) if to.datagrams() => {
                    // A datagram goes whole or not at all.
                    self.moved += length as u64;
                    self.buffer.clear();
                }
                Ok(length) => {
                    self.moved += length as u64;
                    self.buffer.drain(..length.min(self.buffer.len()));
                }
                Err(error) if later(&error) => {}
                Err(error) => self.failed(false, error, faults),
            }
        }
        reads
    }
}

const FLAGS: SpliceFFlags = SpliceFFlags::SPLICE_F_NONBLOCK.union(SpliceFFlags::SPLICE_F_MOVE);

fn later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Mode {
    /// Whether and how these two can be spliced, by what fstat(2) says they are.
    fn choose(input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> Mode {
        let kinds = (Kind::of(input), Kind::of(output));
        match kinds {
            (Kind::Other, _) | (_, Kind::Other) => Mode::Copy,
            (Kind::Pipe, _) | (_, Kind::Pipe) => {
                for (fd, kind) in [(input, kinds.0), (output, kinds.1)] {
                    if kind == Kind::Pipe {
                        let _ = fcntl(fd, FcntlArg::F_SETPIPE_SZ(PIPE));
                    }
                }
                Mode::Direct
            }
            _ => {
                let Ok((out, into)) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK) else { return Mode::Copy };
                let _ = fcntl(&out, FcntlArg::F_SETPIPE_SZ(PIPE));
                let size = fcntl(&out, FcntlArg::F_GETPIPE_SZ).ok().and_then(|size| usize::try_from(size).ok());
                Mode::Through { out, into, held: 0, size: size.unwrap_or(65_536) }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pipe,
    Socket,
    File,
    Other,
}

impl Kind {
    fn of(fd: BorrowedFd<'_>) -> Kind {
        use nix::sys::stat::{SFlag, fstat};
        let Ok(stat) = fstat(fd) else { return Kind::Other };
        let format = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        if format == SFlag::S_IFIFO {
            Kind::Pipe
        } else if format == SFlag::S_IFSOCK {
            Kind::Socket
        } else if format == SFlag::S_IFREG || (format == SFlag::S_IFCHR && !fd.is_terminal()) {
            // /dev/null and /dev/zero splice; a device that does not says EINVAL and is copied.
            Kind::File
        } else {
            Kind::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ends::{SocketEnd, Stdio};
    use std::io::{Read as _, Seek as _, Write as _};
    use std::net::Shutdown;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    /// Runs a pump between a file opened for appending, which cannot be spliced to, and a peer that sends and closes.
    #[test]
    fn what_cannot_be_spliced_is_copied() {
        let path = std::env::temp_dir().join(format!("netkit-pump-{}", std::process::id()));
        let mut file = std::fs::File::options().create_new(true).read(true).append(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (far, mut peer) = UnixStream::pair().unwrap();
        let bytes: Vec<u8> = (0..700_000u32).map(|at| (at % 253) as u8).collect();
        let sent = bytes.clone();
        let sender = std::thread::spawn(move || {
            peer.write_all(&sent).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
        });
        let mut local = Stdio { input: None, output: Some(file.as_fd()) };
        let mut far = SocketEnd::new(far.into()).unwrap();
        let outcome = run(&mut local, &mut far, &Limits { end_with_far: true, ..Limits::default() }, None).unwrap();
        sender.join().unwrap();
        assert!(outcome.faults.is_empty(), "{:?}", outcome.faults);
        assert_eq!((outcome.stop, outcome.received), (Stop::Done, 700_000));
        let mut got = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut got).unwrap();
        assert_eq!(got, bytes);
    }

    /// Each side hears the other's end only after its last byte, and may answer after its own.
    #[test]
    fn ends_pass_in_order() {
        let (near, mut client) = UnixStream::pair().unwrap();
        let (far, mut server) = UnixStream::pair().unwrap();
        let pump = std::thread::spawn(move || {
            let mut near = SocketEnd::new(near.into()).unwrap();
            let mut far = SocketEnd::new(far.into()).unwrap();
            let limits = Limits { half_close: true, both_ways: true, ..Limits::default() };
            run(&mut near, &mut far, &limits, None).unwrap()
        });
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut got = String::new();
        server.read_to_string(&mut got).unwrap();
        assert_eq!(got, "question");
        server.write_all(b"answer").unwrap();
        drop(server);
        got.clear();
        client.read_to_string(&mut got).unwrap();
        assert_eq!(got, "answer");
        let outcome = pump.join().unwrap();
        assert_eq!((outcome.sent, outcome.received, outcome.faults.len()), (8, 6, 0));
    }
}
