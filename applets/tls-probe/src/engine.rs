//! Many short connections to one server: a hello, what comes back in the clear, and the end. At most four at once, at a
//! rate that can be set, and counted.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netkit_tls::{Socket, read_by, write_by};
use netkit_wire::tls::flight::{Flight, Trouble};
use netkit_wire::tls::{alert_name, hello};

use crate::args::Options;
use crate::starttls::{named, plain};

/// Connections at once.
pub(crate) const AT_ONCE: usize = 4;
/// Pause between the pieces of a hello that is sent in pieces, so that each is a segment of its own.
const PAUSE: Duration = Duration::from_millis(60);

#[derive(Default)]
struct Gate {
    running: usize,
    count: usize,
    /// When the next connection may begin.
    next: Option<Instant>,
    /// A connection that was made to find the address that answers.
    spare: Option<Socket>,
}

/// Where the hellos go.
pub(crate) struct Engine<'a> {
    pub(crate) options: &'a Options,
    address: SocketAddr,
    gate: Mutex<Gate>,
    freed: Condvar,
}

/// How far the answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Up to the ServerHello.
    Hello,
    /// Up to the server's part of the key exchange.
    Exchange,
    /// All that is in the clear.
    Whole,
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// What was wanted came, or an alert, or what is no TLS.
    Told,
    Closed,
    Reset,
    Silence,
    /// No connection, or none that could be brought to TLS.
    Nowhere(String),
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) flight: Flight,
    pub(crate) end: End,
    /// From the last octet of the hello to the end of what was read.
    pub(crate) took: Duration,
}

impl Answer {
    /// Why there is no ServerHello, in a few words.
    pub(crate) fn refusal(&self) -> String {
        match (&self.flight.trouble, self.flight.alert) {
            (Some(Trouble::NotTls), _) => match named(&self.flight.first) {
                Some(what) => format!("not TLS: {what}"),
                None => {
                    let first = self.flight.first.get(..8.min(self.flight.first.len())).unwrap_or_default();
                    format!("not TLS: {}", netkit_core::text::hex(first))
                }
            },
            (Some(Trouble::Malformed(what)), _) => format!("malformed {what}"),
            (Some(Trouble::TooLong), _) => "a flight without end".to_owned(),
            (None, Some((_, alert))) => {
                alert_name(alert).map_or_else(|| format!("alert {alert}"), |name| format!("alert {alert} {name}"))
            }
            (None, None) => match &self.end {
                End::Told => "an answer without ServerHello".to_owned(),
                End::Closed => "closed".to_owned(),
                End::Reset => "reset".to_owned(),
                End::Silence => "silence".to_owned(),
                End::Nowhere(why) => why.clone(),
            },
        }
    }

    /// Whether this says nothing about what was offered, so that another attempt may say more.
    pub(crate) fn is_accident(&self) -> bool {
        matches!(self.end, End::Reset | End::Nowhere(_)) && self.flight.hello.is_none()
    }
}

impl<'a> Engine<'a> {
    pub(crate) fn new(options: &'a Options, address: SocketAddr, spare: Socket) -> Engine<'a> {
        let gate = Gate { spare: Some(spare), ..Gate::default() };
        Engine { options, address, gate: Mutex::new(gate), freed: Condvar::new() }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections made up to now.
    pub(crate) fn connections(&self) -> usize {
        self.gate().count
    }

    /// The name asked for, unless there is to be none, or it is an address, which may not be asked for (RFC 6066, section 3).
    pub(crate) fn name(&self) -> Option<&str> {
        let name = self.options.name().trim_end_matches('.');
        let bare = name.split('%').next().unwrap_or("").trim_matches(['[', ']']);
        let is_name = bare.parse::<std::net::IpAddr>().is_err() && name.len() < 256;
        (is_name && !self.options.silent).then_some(name)
    }

    /// Waits for its turn, connects, and says what goes before TLS.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn open(&self) -> Result<(Turn<'_>, Socket), String> {
        let mut gate = self.gate();
        while gate.running >= AT_ONCE {
            gate = self.freed.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        gate.running += 1;
        gate.count += 1;
        let spare = gate.spare.take();
        let now = Instant::now();
        let begin = gate.next.map_or(now, |next| next.max(now));
        gate.next = self.options.rate.and_then(|rate| begin.checked_add(Duration::from_secs_f64(1.0 / rate)));
        drop(gate);
        let turn = Turn(self);
        std::thread::sleep(begin.saturating_duration_since(now));
        let timeout = self.options.timeout;
        let mut socket = match spare {
            Some(socket) => socket,
            None => TcpStream::connect_timeout(&self.address, timeout)
                .and_then(|stream| {
                    stream.set_nodelay(true)?;
                    Socket::new(stream)
                })
                .map_err(|error| format!("no connection: {}", plain(&error)))?,
        };
        if let Some(protocol) = self.options.starttls {
            protocol.begin(&mut socket, Instant::now().checked_add(timeout))?;
        }
        Ok((turn, socket))
    }

    /// Sends these pieces, each by itself, and reads the answer.
    pub(crate) fn send(&self, pieces: &[&[u8]], depth: Depth) -> Answer {
        let mut answer = Answer { flight: Flight::default(), end: End::Told, took: Duration::ZERO };
        let (turn, mut socket) = match self.open() {
            Ok(open) => open,
            Err(why) => {
                answer.end = End::Nowhere(why);
                return answer;
            }
        };
        let deadline = Instant::now().checked_add(self.options.timeout);
        for (at, piece) in pieces.iter().enumerate() {
            if at > 0 {
                std::thread::sleep(PAUSE);
            }
            // Whoever does not want the rest of a hello may have said why.
            if write_by(&mut socket, piece, deadline).is_err() {
                break;
            }
        }
        let sent = Instant::now();
        let mut buffer = vec![0u8; 16 << 10];
        while !self.is_enough(&answer.flight, depth) {
            match read_by(&mut socket, &mut buffer, deadline) {
                Ok(0) => {
                    answer.end = End::Closed;
                    break;
                }
                Ok(length) => answer.flight.feed(buffer.get(..length).unwrap_or_default()),
                Err(error) => {
                    answer.end = if error.kind() == io::ErrorKind::TimedOut { End::Silence } else { End::Reset };
                    break;
                }
            }
        }
        answer.took = sent.elapsed();
        drop(socket);
        drop(turn);
        answer
    }

    fn is_enough(&self, flight: &Flight, depth: Depth) -> bool {
        flight.is_over()
            || match depth {
                Depth::Hello => flight.hello.is_some(),
                Depth::Exchange => flight.exchange.is_some(),
                Depth::Whole => false,
            }
    }

    /// Sends a hello, its records marked as TLS 1.0 as is the custom (RFC 8446, appendix D.2), or as SSLv3.
    pub(crate) fn ask(&self, hello: &hello::ClientHello<'_>, depth: Depth) -> Answer {
        let hello = hello::ClientHello { random: netkit_tls::random(), ..*hello };
        let records = hello::records(&hello.message(), hello.version.min(0x0301), &[]);
        self.send(&[&records], depth)
    }
}

/// One of the connections that are open at once.
pub(crate) struct Turn<'a>(&'a Engine<'a>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.gate().running -= 1;
        self.0.freed.notify_one();
    }
}
