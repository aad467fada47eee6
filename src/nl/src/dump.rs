//! The dump loop, apart from the socket, so that recorded answers can be played to it.

use crate::message::{Message, Messages, flags, kind};
use crate::{Ack, Error, Request};

/// How often a dump is asked again when the table changed meanwhile or the buffer ran over.
pub const MAX_RETRIES: u32 = 8;

/// Sends requests and receives datagrams.
pub trait Transport {
    /// Numbers the request, sends it and returns the number.
    ///
    /// # Errors
    /// As send(2).
    fn send(&mut self, request: &Request) -> Result<u32, Error>;

    /// Waits for the next datagram.
    ///
    /// # Errors
    /// [`Error::Overrun`] when datagrams were lost, or as recv(2).
    fn receive(&mut self) -> Result<&[u8], Error>;

    /// The port to which answers are addressed; 0 if that is not known and must not be checked.
    fn port(&self) -> u32;
}

/// How a dump ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The table changed while it was read: entries may be missing or there twice.
    pub interrupted: bool,
    /// The kernel says that it applied the filters of the request.
    pub filtered: bool,
    /// The kernel's words on a successful dump, mostly empty.
    pub warning: String,
}

/// A whole dump: its messages lie in one buffer.
#[derive(Clone, Debug)]
pub struct Dump {
    bytes: Vec<u8>,
    /// How the last attempt ended.
    pub outcome: Outcome,
}

impl Dump {
    /// Every message of the answer, in order.
    pub fn messages(&self) -> Messages<'_> {
        Messages::new(&self.bytes)
    }

    /// The answer as one run of messages.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Asks for a dump and hands each message to `each` as it arrives; nothing is kept, so nothing is asked again.
///
/// # Errors
/// The kernel's refusal, a failed system call, or whatever `each` returned, after which the rest is not read: the
/// socket should not be used for another request then.
pub fn stream<E: From<Error>>(
    transport: &mut dyn Transport,
    request: &Request,
    mut each: impl FnMut(Message<'_>) -> Result<(), E>,
) -> Result<Outcome, E> {
    let sequence = transport.send(request)?;
    let port = transport.port();
    let mut outcome = Outcome { interrupted: false, filtered: false, warning: String::new() };
    loop {
        let datagram = transport.receive()?;
        let mut walk = Messages::new(datagram);
        for message in walk.by_ref() {
            // An earlier request's answer, or somebody else's.
            if message.sequence != sequence || (port != 0 && message.port != port) {
                continue;
            }
            outcome.interrupted |= message.flags & flags::DUMP_INTR != 0;
            outcome.filtered |= message.flags & flags::DUMP_FILTERED != 0;
            match message.kind {
                kind::DONE | kind::ERROR => {
                    let ack = message.ack().ok_or(Error::Malformed("an acknowledgement without a number"))?.check()?;
                    outcome.warning = ack.text;
                    return Ok(outcome);
                }
                kind::NOOP => {}
                kind::OVERRUN => return Err(Error::Overrun.into()),
                _ => each(message)?,
            }
        }
        if walk.left() >= 4 {
            return Err(Error::Malformed("a message is longer than the datagram it came in").into());
        }
    }
}

/// Asks for a dump and keeps all of it. An attempt during which the table changed, or in which datagrams were lost, is
/// thrown away and made again, [`MAX_RETRIES`] times at most; then the last one stands, marked as interrupted.
///
/// # Errors
/// The kernel's refusal or a failed system call.
pub fn dump(transport: &mut dyn Transport, request: &Request) -> Result<Dump, Error> {
    let mut attempt = 0;
    loop {
        let mut bytes = Vec::new();
        let result = stream(transport, request, |message| {
            message.append_to(&mut bytes);
            Ok::<(), Error>(())
        });
        attempt += 1;
        match result {
            Ok(outcome) if !outcome.interrupted || attempt > MAX_RETRIES => return Ok(Dump { bytes, outcome }),
            Err(Error::Overrun) if attempt <= MAX_RETRIES => {}
            Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends a request that has one answer and returns it; an answer that did not fit the buffer is asked again. With NLM_F_ACK set in the request the acknowledgement is
/// awaited too, and its words are in [`Outcome::warning`].
///
/// # Errors
/// The kernel's refusal or a failed system call.
pub fn exchange(transport: &mut dyn Transport, request: &Request) -> Result<Dump, Error> {
    match exchange_once(transport, request) {
        Err(Error::Overrun) => exchange_once(transport, request),
        result => result,
    }
}

fn exchange_once(transport: &mut dyn Transport, request: &Request) -> Result<Dump, Error> {
    let wants_ack = request.wants_ack();
    let sequence = transport.send(request)?;
    let port = transport.port();
    let mut bytes = Vec::new();
    loop {
        let datagram = transport.receive()?;
        let mut walk = Messages::new(datagram);
        for message in walk.by_ref() {
            if message.sequence != sequence || (port != 0 && message.port != port) {
                continue;
            }
            match message.kind {
                kind::DONE | kind::ERROR => {
                    let malformed = Error::Malformed("an acknowledgement without a number");
                    let Ack { text, .. } = message.ack().ok_or(malformed)?.check()?;
                    return Ok(Dump { bytes, outcome: Outcome { interrupted: false, filtered: false, warning: text } });
                }
                kind::NOOP => {}
                kind::OVERRUN => return Err(Error::Overrun),
                _ => {
                    message.append_to(&mut bytes);
                    if !wants_ack && message.flags & flags::MULTI == 0 {
                        let outcome = Outcome { interrupted: false, filtered: false, warning: String::new() };
                        return Ok(Dump { bytes, outcome });
                    }
                }
            }
        }
        if walk.left() >= 4 {
            return Err(Error::Malformed("a message is longer than the datagram it came in"));
        }
    }
}
