//! Connections that may be used again.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use netkit_http::h2;
use netkit_tls::{Ready, Session, Transport};

use crate::world::lock;

/// Connections kept at most.
const KEPT: usize = 64;
/// How long an idle one is trusted.
const IDLE: Duration = Duration::from_secs(118);

/// A connection, with what was read from it and not yet used.
pub(crate) struct Conn {
    pub(crate) id: u64,
    /// Everything that must be equal for it to serve another request.
    pub(crate) key: String,
    pub(crate) stream: Box<dyn Transport>,
    pub(crate) input: Vec<u8>,
    pub(crate) at: usize,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) tls: Option<Session>,
    pub(crate) h2: Option<Box<h2::Connection>>,
    /// Requests go to an HTTP proxy, not to the origin.
    pub(crate) via_proxy: bool,
    /// As messages name it.
    pub(crate) host: String,
    pub(crate) uses: u64,
    /// Version of the last response, 10, 11 or 20; 0 before the first.
    pub(crate) version: u8,
    pub(crate) idle_since: Instant,
}

impl Conn {
    /// What was read and not used.
    pub(crate) fn pending(&self) -> &[u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// Drops so many bytes of it.
    pub(crate) fn consume(&mut self, count: usize) {
        self.at += count;
        if self.at >= self.input.len() {
            self.input.clear();
            self.at = 0;
        }
    }

    /// Whether the other side has neither closed it nor said anything.
    fn is_quiet(&mut self) -> bool {
        if !self.pending().is_empty() {
            return false;
        }
        let wanted = Ready { read: true, write: false };
        match self.stream.wait(wanted, Some(Duration::ZERO)) {
            Ok(ready) if !ready.read => true,
            // Over TLS and HTTP/2 something may have come that is no answer: tickets, settings, pings.
            Ok(_) => {
                let mut buffer = [0u8; 4096];
                match self.stream.read(&mut buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => true,
                    Ok(length) if length > 0 && self.h2.is_some() => {
                        self.input.extend_from_slice(buffer.get(..length).unwrap_or_default());
                        true
                    }
                    _ => false,
                }
            }
            Err(_) => false,
        }
    }
}

/// The connections at rest.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Conn>>,
    next: AtomicU64,
}

impl Pool {
    /// A number for a new connection.
    pub(crate) fn id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// One that can serve.
    pub(crate) fn take(&self, key: &str) -> Option<Conn> {
        let mut idle = lock(&self.idle);
        while let Some(at) = idle.iter().position(|conn| conn.key == key) {
            let mut conn = idle.remove(at);
            if conn.idle_since.elapsed() < IDLE && conn.is_quiet() {
                return Some(conn);
            }
        }
        None
    }

    /// Keeps one for later.
    pub(crate) fn keep(&self, mut conn: Conn) {
        conn.idle_since = Instant::now();
        conn.uses += 1;
        let mut idle = lock(&self.idle);
        if idle.len() >= KEPT {
            idle.remove(0);
        }
        idle.push(conn);
    }
}
