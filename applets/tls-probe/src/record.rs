//! A stream that remembers what went over it.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use netkit_tls::{Ready, Transport};

/// First bytes of the server that are kept.
const KEPT: usize = 1024;

/// What went over a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    /// The first bytes that came.
    pub(crate) first: Vec<u8>,
    /// How many came.
    pub(crate) read: usize,
    /// How many went.
    pub(crate) written: usize,
}

/// The traffic, shared with the stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Traffic>>);

impl Shared {
    /// As it is now.
    pub(crate) fn now(&self) -> Traffic {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counts what goes over a stream and keeps how it begins.
pub(crate) struct Recorder<T> {
    pub(crate) inner: T,
    pub(crate) seen: Shared,
}

impl<T: Transport> Read for Recorder<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let mut seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(seen.first.len()).min(length);
        seen.first.extend_from_slice(buffer.get(..room).unwrap_or_default());
        seen.read += length;
        Ok(length)
    }
}

impl<T: Transport> Write for Recorder<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.seen.0.lock().unwrap_or_else(PoisonError::into_inner).written += length;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Transport> Transport for Recorder<T> {
    fn wait(&mut self, wanted: Ready, limit: Option<Duration>) -> io::Result<Ready> {
        self.inner.wait(wanted, limit)
    }

    fn finish(&mut self) {
        self.inner.finish();
    }
}
