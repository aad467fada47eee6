//! What TLS and HTTP run over: a byte stream that never blocks, and can be waited for.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// What a stream is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// A read returns something at once: bytes, the end or an error.
    pub read: bool,
    /// A write takes something at once.
    pub write: bool,
}

/// A stream in non-blocking mode: `read` and `write` return `WouldBlock` rather than wait.
pub trait Transport: Read + Write + Send {
    /// Waits until the stream is ready for what is asked, at most `limit`; `None` waits for ever.
    ///
    /// # Errors
    /// When it cannot be waited for.
    fn wait(&mut self, wanted: Ready, limit: Option<Duration>) -> io::Result<Ready>;

    /// Ends our direction in good form.
    fn finish(&mut self) {}

    /// Says that nothing more will be written, and leaves the layers below open: `flush` sends what this makes.
    fn announce_end(&mut self) {}
}

/// Reads some bytes before the deadline; 0 is the end of the stream.
///
/// # Errors
/// `TimedOut` when the deadline passes, else what the stream says.
pub fn read_by(stream: &mut dyn Transport, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let ready = stream.wait(Ready { read: true, write: false }, left(deadline)?)?;
                if !ready.read {
                    left(deadline)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Writes everything before the deadline.
///
/// # Errors
/// `TimedOut` when the deadline passes, else what the stream says.
pub fn write_by(stream: &mut dyn Transport, mut bytes: &[u8], deadline: Option<Instant>) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                stream.wait(Ready { read: false, write: true }, left(deadline)?)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    flush_by(stream, deadline)
}

/// Sends what a layer has buffered.
///
/// # Errors
/// As [`write_by`].
pub fn flush_by(stream: &mut dyn Transport, deadline: Option<Instant>) -> io::Result<()> {
    loop {
        match stream.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                stream.wait(Ready { read: false, write: true }, left(deadline)?)?;
            }
            done => return done,
        }
    }
}

/// Time until the deadline.
///
/// # Errors
/// `TimedOut` when it has passed.
pub fn left(deadline: Option<Instant>) -> io::Result<Option<Duration>> {
    let Some(deadline) = deadline else { return Ok(None) };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
}
