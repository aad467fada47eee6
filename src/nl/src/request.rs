//! Requests: header, fixed part, attributes.

use crate::message::{HEADER, flags};
use crate::raw;

/// A request being built. Its length and sequence number are filled in when it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A message of type `kind` with `flags` besides NLM_F_REQUEST and the fixed part of its family.
    pub fn new(kind: u16, extra: u16, fixed: &[u8]) -> Request {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(extra | flags::REQUEST).to_ne_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend_from_slice(fixed);
        Request { bytes }
    }

    /// Adds an attribute. One that is longer than its length field can say is left out.
    pub fn put(&mut self, kind: u16, value: &[u8]) {
        let Ok(length) = u16::try_from(value.len() + 4) else { return };
        self.bytes.resize(raw::align(self.bytes.len()), 0);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
    }

    /// As [`Request::put`], chained.
    #[must_use]
    pub fn attr(mut self, kind: u16, value: &[u8]) -> Request {
        self.put(kind, value);
        self
    }

    /// An attribute of four octets.
    #[must_use]
    pub fn u32(self, kind: u16, value: u32) -> Request {
        self.attr(kind, &value.to_ne_bytes())
    }

    /// Text with its final NUL.
    #[must_use]
    pub fn text(self, kind: u16, value: &str) -> Request {
        self.attr(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// An attribute that holds what `fill` puts into it, marked with NLA_F_NESTED.
    #[must_use]
    pub fn nest(mut self, kind: u16, fill: impl FnOnce(Request) -> Request) -> Request {
        let inner = fill(Request { bytes: Vec::new() }).bytes;
        self.put(kind | 0x8000, &inner);
        self
    }

    /// Whether NLM_F_ACK is set.
    pub(crate) fn wants_ack(&self) -> bool {
        raw::u16(&self.bytes, 6).unwrap_or(0) & flags::ACK != 0
    }

    /// The octets to send.
    pub fn finish(&self, sequence: u32) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.resize(raw::align(bytes.len()), 0);
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        bytes.splice(..4, length.to_ne_bytes());
        bytes.splice(8..12, sequence.to_ne_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Messages;

    #[test]
    fn what_is_built_can_be_walked() {
        let bytes = Request::new(18, flags::DUMP, &[7; 16])
            .text(3, "eth0")
            .nest(18, |inner| inner.text(1, "vlan").u32(9, 5))
            .attr(1, &[0; 70_000])
            .finish(42);
        let message = Messages::new(&bytes).next().unwrap();
        assert_eq!((message.kind, message.flags, message.sequence), (18, 0x301, 42));
        let attrs = message.attrs(16);
        assert_eq!(attrs.map(|attr| attr.kind).collect::<Vec<_>>(), [3, 18]);
        assert_eq!(attrs.find(3).unwrap().text(), "eth0");
        let inner = attrs.find(18).unwrap().nested();
        assert_eq!((inner.find(1).unwrap().text(), inner.find(9).unwrap().u32()), ("vlan".to_owned(), Some(5)));
    }
}
