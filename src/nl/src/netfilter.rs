//! nfnetlink: the header its subsystems share (struct nfgenmsg in linux/netfilter/nfnetlink.h).

use crate::{Message, Request, raw};

/// Octets of struct nfgenmsg.
pub const HEADER: usize = 4;

/// Subsystems, the upper octet of the message type.
pub mod subsystem {
    /// Connection tracking.
    pub const CONNTRACK: u8 = 1;
    /// ipset.
    pub const IPSET: u8 = 6;
    /// nf_tables.
    pub const NFTABLES: u8 = 10;
}

/// struct nfgenmsg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// AF_* or NFPROTO_*.
    pub family: u8,
    /// NFNETLINK_V0.
    pub version: u8,
    /// Meaning depends on the subsystem; in nf_tables the low bits of the generation.
    pub resource: u16,
}

impl Header {
    /// Reads it from the start of a payload.
    pub fn read(payload: &[u8]) -> Option<Header> {
        Some(Header { family: raw::u8(payload, 0)?, version: raw::u8(payload, 1)?, resource: raw::be16(payload, 2)? })
    }
}

/// The message type of a command of a subsystem.
pub fn kind(subsystem: u8, command: u8) -> u16 {
    u16::from(subsystem) << 8 | u16::from(command)
}

/// Subsystem and command of a message.
pub fn split(message: &Message<'_>) -> (u8, u8) {
    let [subsystem, command] = message.kind.to_be_bytes();
    (subsystem, command)
}

/// A request to `subsystem` for `family` (AF_UNSPEC for all).
pub fn request(subsystem: u8, command: u8, extra: u16, family: u8) -> Request {
    Request::new(kind(subsystem, command), extra, &[family, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Messages, flags};

    #[test]
    fn header_and_type() {
        // nf_tables, NFT_MSG_GETRULE 7
        let bytes = request(subsystem::NFTABLES, 7, flags::DUMP, 2).text(1, "filter").finish(1);
        let message = Messages::new(&bytes).next().unwrap();
        assert_eq!((message.kind, split(&message)), (0x0a07, (10, 7)));
        assert_eq!(Header::read(message.payload), Some(Header { family: 2, version: 0, resource: 0 }));
        assert_eq!(message.attrs(HEADER).find(1).unwrap().text(), "filter");
        assert_eq!(Header::read(&[1, 2, 3]), None);
    }
}
