//! Which of the messages that arrive belongs to the query, and what is said about the others.

use netkit_wire::dns::{Message, Opcode, Record, RrType};

use crate::engine::{Run, Sent, bare};
use crate::lookup::Format;
use crate::print;

/// What a message on a stream is.
pub(crate) enum Accepted {
    Reply(Message),
    /// Not ours, wait for the next.
    Skip,
    /// Not ours, and nothing better will come.
    Stop,
}

impl Run<'_, '_> {
    /// A datagram that belongs to this query gives its message, or `Err` when it is unreadable; `None` is skipped.
    pub(crate) fn accept(&mut self, sent: &Sent, bytes: &[u8]) -> Option<Result<Message, ()>> {
        let Some([high, low, flags, ..]) = bytes.get(..12) else {
            self.warn("Warning: short (< header size) message received");
            return None;
        };
        let id = u16::from_be_bytes([*high, *low]);
        if id != sent.id {
            self.warn(&format!("Warning: ID mismatch: expected ID {}, got {id}", sent.id));
        }
        if flags & 0x80 == 0 {
            self.warn("Warning: query response not set");
        }
        if id != sent.id {
            return None;
        }
        let Some(message) = self.decode(bytes) else { return Some(Err(())) };
        self.belongs(sent, &message).then_some(Ok(message))
    }

    /// The same for a stream, where a stranger ends it.
    pub(crate) fn accept_stream(&mut self, sent: &Sent, bytes: &[u8], under_way: bool) -> Accepted {
        let Some([high, low, flags, ..]) = bytes.get(..12) else {
            self.warn("ERROR: short (< header size) message");
            return Accepted::Stop;
        };
        let id = u16::from_be_bytes([*high, *low]);
        if id != sent.id {
            let gravity = if under_way { "WARNING" } else { "ERROR" };
            self.warn(&format!("{gravity}: ID mismatch: expected ID {}, got {id}", sent.id));
            if !under_way {
                return Accepted::Stop;
            }
        }
        if flags & 0x80 == 0 {
            self.warn("Warning: query response not set");
        }
        let Some(message) = self.decode(bytes) else { return Accepted::Stop };
        if message.header.opcode != self.set.opcode {
            self.warn_opcode(&message);
            return Accepted::Skip;
        }
        if self.same_question(sent, &message) { Accepted::Reply(message) } else { Accepted::Stop }
    }

    /// Reads a message as far as it goes; one whose question cannot be read is dumped.
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> Option<Message> {
        let fault = match Message::decode(bytes.to_vec()) {
            Ok(message) => {
                let readable = message.questions.len() == usize::from(message.header.counts[0]);
                match &message.fault {
                    Some(fault) if !readable || !self.set.best_effort => fault.clone(),
                    fault => {
                        if self.face.is_some() {
                            // The peer shows such a message as bytes; here what came before the fault is shown.
                            let noted =
                                fault.as_ref().map(|fault| format!(";; WARNING: message ended early: {fault}\n"));
                            self.sink.err.push_str(&noted.unwrap_or_default());
                        } else if fault.is_some() || is_odd(&message) {
                            self.warn("Warning: Message parser reports malformed message packet.");
                        }
                        return Some(message);
                    }
                }
            }
            Err(fault) => fault,
        };
        if self.globals.format == Format::Text {
            let out = &mut self.sink.out;
            out.push_str(&format!(";; Got bad packet: {fault}\n"));
            print::hex_dump(out, bytes);
        }
        None
    }

    pub(crate) fn belongs(&mut self, sent: &Sent, message: &Message) -> bool {
        if message.header.opcode != self.set.opcode {
            self.warn_opcode(message);
            return false;
        }
        self.same_question(sent, message)
    }

    pub(crate) fn warn_opcode(&mut self, message: &Message) {
        let (expected, got) = (self.set.opcode, message.header.opcode);
        self.warn(&format!("Warning: Opcode mismatch: expected {expected}, got {got}"));
    }

    pub(crate) fn same_question(&mut self, sent: &Sent, message: &Message) -> bool {
        let mut same = true;
        for question in &message.questions {
            if question.name != sent.name || question.rtype != sent.rtype || question.class != self.set.class {
                let shown = bare(&question.name);
                self.warn(&format!(";; Question section mismatch: got {shown}/{}/{}", question.rtype, question.class));
                same = false;
            }
        }
        same
    }
}

/// What BIND calls malformed although every entry can be read: two questions, records of another class, an OPT record
/// out of place.
fn is_odd(message: &Message) -> bool {
    let [question, rest @ ..] = message.questions.as_slice() else { return false };
    let mut records = message.records.iter().filter(|record| !record.is_pseudo());
    let stray_opt = |record: &Record| record.rtype == RrType::OPT && print::is_ordinary(message, record);
    !rest.is_empty()
        || message.records.iter().any(stray_opt)
        || (message.header.opcode != Opcode::UPDATE && records.any(|record| record.class != question.class))
}
