//! Messages (struct nlmsghdr in linux/netlink.h) and what the kernel says of a request.

use crate::raw;
use crate::{Attrs, Error};

/// Message types below NLMSG_MIN_TYPE.
pub mod kind {
    /// Nothing.
    pub const NOOP: u16 = 1;
    /// An error or, with number 0, an acknowledgement.
    pub const ERROR: u16 = 2;
    /// The end of a dump.
    pub const DONE: u16 = 3;
    /// Data were lost.
    pub const OVERRUN: u16 = 4;
}

/// Bits of nlmsg_flags.
pub mod flags {
    /// A request to the kernel.
    pub const REQUEST: u16 = 0x01;
    /// One part of an answer that a DONE ends.
    pub const MULTI: u16 = 0x02;
    /// An acknowledgement is wanted.
    pub const ACK: u16 = 0x04;
    /// The table changed while it was dumped.
    pub const DUMP_INTR: u16 = 0x10;
    /// The kernel obeyed the filters of a dump request.
    pub const DUMP_FILTERED: u16 = 0x20;
    /// All entries (NLM_F_ROOT and NLM_F_MATCH).
    pub const DUMP: u16 = 0x300;
    /// In an ERROR: the request is not repeated, only its header.
    pub const CAPPED: u16 = 0x100;
    /// In an ERROR or DONE: attributes with words follow.
    pub const ACK_TLVS: u16 = 0x200;
    /// In a NEW message: the kernel replaced an entry.
    pub const REPLACE: u16 = 0x100;
    /// In a NEW message: the kernel appended an entry.
    pub const APPEND: u16 = 0x800;
}

/// Octets of a message header.
pub(crate) const HEADER: usize = 16;

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// nlmsg_type.
    pub kind: u16,
    /// nlmsg_flags.
    pub flags: u16,
    /// nlmsg_seq.
    pub sequence: u32,
    /// nlmsg_pid, the port of the socket that asked; 0 in multicasts of the kernel's own.
    pub port: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The attributes behind a fixed header of `fixed` octets.
    pub fn attrs(&self, fixed: usize) -> Attrs<'a> {
        Attrs::new(self.payload.get(raw::align(fixed)..).unwrap_or_default())
    }

    /// Appends the message, header and all, padded to four.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        let length = HEADER.saturating_add(self.payload.len());
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        out.extend_from_slice(&self.kind.to_ne_bytes());
        out.extend_from_slice(&self.flags.to_ne_bytes());
        out.extend_from_slice(&self.sequence.to_ne_bytes());
        out.extend_from_slice(&self.port.to_ne_bytes());
        out.extend_from_slice(self.payload);
        out.resize(raw::align(out.len()), 0);
    }

    /// What an ERROR or a DONE says; nothing for other messages.
    pub fn ack(&self) -> Option<Ack> {
        let error = match self.kind {
            kind::ERROR => raw::i32(self.payload, 0)?,
            // Old kernels end a dump without a number.
            kind::DONE => raw::i32(self.payload, 0).unwrap_or(0),
            _ => return None,
        };
        let mut ack = Ack { errno: error.checked_neg().unwrap_or(i32::MAX), text: String::new(), offset: None };
        if self.flags & flags::ACK_TLVS == 0 {
            return Some(ack);
        }
        let skipped = match self.kind {
            kind::DONE => 4,
            _ if self.flags & flags::CAPPED != 0 => 4 + HEADER,
            _ => {
                let request = usize::try_from(raw::u32(self.payload, 4).unwrap_or(0)).unwrap_or(usize::MAX);
                raw::align(request.max(HEADER)).saturating_add(4)
            }
        };
        let attrs = Attrs::new(self.payload.get(skipped..).unwrap_or_default());
        // NLMSGERR_ATTR_MSG and NLMSGERR_ATTR_OFFS
        ack.text = attrs.find(1).map(|attr| attr.text()).unwrap_or_default();
        ack.offset = attrs.find(2).and_then(|attr| attr.u32());
        Some(ack)
    }
}

/// The kernel's verdict on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// 0 for success, else a positive number of errno(3).
    pub errno: i32,
    /// The extended acknowledgement in the kernel's words, empty when it gave none.
    pub text: String,
    /// Where in the request the attribute stands that the kernel dislikes, in octets.
    pub offset: Option<u32>,
}

impl Ack {
    /// An error unless the number is 0.
    ///
    /// # Errors
    /// [`Error::Kernel`] with number and words.
    pub fn check(self) -> Result<Ack, Error> {
        if self.errno == 0 { Ok(self) } else { Err(Error::Kernel { errno: self.errno, text: self.text }) }
    }
}

/// Walks the messages of one datagram; a header that claims more than there is ends the walk.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// Over one datagram.
    pub fn new(datagram: &'a [u8]) -> Messages<'a> {
        Messages { rest: datagram }
    }

    /// What is not walked yet.
    pub fn bytes(&self) -> &'a [u8] {
        self.rest
    }

    /// Octets not walked: not 0 at the end of the walk when the datagram is broken.
    pub fn left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = usize::try_from(raw::u32(self.rest, 0)?).ok()?;
        let payload = self.rest.get(HEADER..length)?;
        let message = Message {
            kind: raw::u16(self.rest, 4)?,
            flags: raw::u16(self.rest, 6)?,
            sequence: raw::u32(self.rest, 8)?,
            port: raw::u32(self.rest, 12)?,
            payload,
        };
        self.rest = self.rest.get(raw::align(length)..).unwrap_or_default();
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;

    #[test]
    fn words_behind_a_capped_and_an_uncapped_request() {
        let words = [&9u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), b"nope\0\0\0\0"].concat();
        let request = Request::new(18, flags::DUMP, &[0; 16]).finish(7);
        for (extra, repeated) in [(flags::CAPPED, &request[..16]), (0, &request[..])] {
            let payload = [&(-95i32).to_ne_bytes()[..], repeated, &words].concat();
            let message =
                Message { kind: kind::ERROR, flags: flags::ACK_TLVS | extra, sequence: 0, port: 0, payload: &payload };
            let ack = message.ack().unwrap();
            assert_eq!((ack.errno, ack.text.as_str()), (95, "nope"));
            assert!(ack.check().is_err());
        }
        let payload = [&0i32.to_ne_bytes()[..], &words].concat();
        let done = Message { kind: kind::DONE, flags: flags::ACK_TLVS, sequence: 0, port: 0, payload: &payload };
        assert_eq!(done.ack().unwrap().text, "nope");
        assert_eq!(Message { payload: &[], ..done }.ack().unwrap().errno, 0);
        let least = i32::MIN.to_ne_bytes();
        assert_eq!(Message { kind: kind::ERROR, flags: 0, payload: &least, ..done }.ack().unwrap().errno, i32::MAX);
    }

    #[test]
    fn a_lying_header_ends_the_walk() {
        let good = Request::new(16, 0, &[1, 2, 3]).finish(1);
        assert_eq!(Messages::new(&good).next().unwrap().payload, [1, 2, 3]);
        for lie in [0u32, 15, 21, u32::MAX] {
            let mut bytes = good.clone();
            bytes.splice(..4, lie.to_ne_bytes());
            let mut walk = Messages::new(&bytes);
            assert_eq!(walk.next(), None, "{lie}");
            assert_eq!(walk.left(), bytes.len());
        }
    }
}
