//! Named objects and flowtables.

use std::net::IpAddr;

use netkit_nl::{Attrs, Message};

use super::{HEADER, be64, read_counters};
use crate::model::Counters;

/// NFT_OBJECT_*
pub mod kind {
    /// counter
    pub const COUNTER: u32 = 1;
    /// quota
    pub const QUOTA: u32 = 2;
    /// ct helper
    pub const CT_HELPER: u32 = 3;
    /// limit
    pub const LIMIT: u32 = 4;
    /// ct timeout
    pub const CT_TIMEOUT: u32 = 7;
    /// secmark
    pub const SECMARK: u32 = 8;
    /// ct expectation
    pub const CT_EXPECTATION: u32 = 9;
    /// synproxy
    pub const SYNPROXY: u32 = 10;
}

/// A named object (NFT_MSG_NEWOBJ).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftObject {
    /// NFPROTO_*
    pub family: u8,
    /// The table it belongs to.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Its handle.
    pub handle: u64,
    /// [`kind`]
    pub kind: u32,
    /// What it holds.
    pub data: ObjectData,
    /// What nft wanted to remember.
    pub userdata: Vec<u8>,
}

/// What an object holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectData {
    /// counter
    Counter(Counters),
    /// quota; as of the expression.
    Quota {
        /// How many bytes.
        bytes: u64,
        /// How many passed.
        consumed: u64,
        /// NFT_QUOTA_F_*: 1 over, 2 depleted.
        flags: u32,
    },
    /// limit; as of the expression.
    Limit {
        /// Per unit.
        rate: u64,
        /// Seconds.
        unit: u64,
        /// Burst.
        burst: u32,
        /// 0 packets, 1 bytes.
        kind: u32,
        /// Matches what is over the limit.
        over: bool,
    },
    /// ct helper
    Helper {
        /// Of the helper.
        name: String,
        /// NFPROTO_*
        l3proto: u16,
        /// IPPROTO_*
        l4proto: u8,
    },
    /// ct timeout
    Timeout {
        /// NFPROTO_*
        l3proto: u16,
        /// IPPROTO_*
        l4proto: u8,
        /// Seconds by state (enum ctattr_timeout_*, from 1).
        values: Vec<(u16, u32)>,
    },
    /// ct expectation
    Expectation {
        /// NFPROTO_*
        l3proto: u16,
        /// IPPROTO_*
        l4proto: u8,
        /// Port of the connection expected.
        port: u16,
        /// Milliseconds.
        timeout: u32,
        /// How many at most.
        size: u8,
    },
    /// secmark
    Secmark {
        /// Security context.
        context: String,
    },
    /// synproxy
    Synproxy {
        /// Maximum segment size.
        mss: u16,
        /// Window scale.
        wscale: u8,
        /// NF_SYNPROXY_OPT_*
        flags: u32,
    },
    /// An object of a kind that we do not know.
    Unknown(Vec<u8>),
}

impl NftObject {
    /// Reads NFT_MSG_NEWOBJ.
    pub fn read(message: &Message<'_>) -> Option<NftObject> {
        let attrs = message.attrs(HEADER);
        let kind = attrs.find(3)?.be32()?;
        let data = attrs.find(4).map_or(&[][..], |attr| attr.value);
        Some(NftObject {
            family: *message.payload.first()?,
            table: attrs.find(1)?.text(),
            name: attrs.find(2)?.text(),
            handle: attrs.find(6).and_then(|attr| be64(attr.value)).unwrap_or(0),
            kind,
            data: known(kind, Attrs::new(data)).unwrap_or_else(|| ObjectData::Unknown(data.to_vec())),
            userdata: attrs.find(8).map(|attr| attr.value.to_vec()).unwrap_or_default(),
        })
    }
}

fn known(kind: u32, attrs: Attrs<'_>) -> Option<ObjectData> {
    let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.be32());
    let short = |kind: u16| attrs.find(kind).and_then(|attr| attr.be16());
    let octet = |kind: u16| attrs.find(kind).and_then(|attr| attr.u8());
    let long = |kind: u16| attrs.find(kind).and_then(|attr| be64(attr.value));
    Some(match kind {
        kind::COUNTER => ObjectData::Counter(read_counters(attrs)),
        kind::QUOTA => {
            ObjectData::Quota { bytes: long(1)?, consumed: long(4).unwrap_or(0), flags: number(2).unwrap_or(0) }
        }
        kind::LIMIT => ObjectData::Limit {
            rate: long(1)?,
            unit: long(2)?,
            burst: number(3).unwrap_or(0),
            kind: number(4).unwrap_or(0),
            over: number(5).unwrap_or(0) & 1 != 0,
        },
        kind::CT_HELPER => {
            ObjectData::Helper { name: attrs.find(1)?.text(), l3proto: short(2).unwrap_or(0), l4proto: octet(3)? }
        }
        kind::CT_TIMEOUT => ObjectData::Timeout {
            l3proto: short(1).unwrap_or(0),
            l4proto: octet(2)?,
            values: attrs
                .find(3)
                .into_iter()
                .flat_map(|list| list.nested())
                .filter_map(|attr| Some((attr.kind, attr.be32()?)))
                .collect(),
        },
        kind::SECMARK => ObjectData::Secmark { context: attrs.find(1)?.text() },
        kind::CT_EXPECTATION => ObjectData::Expectation {
            l3proto: short(1).unwrap_or(0),
            l4proto: octet(2)?,
            port: short(3).unwrap_or(0),
            // Both as the kernel keeps them: in its own order.
            timeout: attrs.find(4).and_then(|attr| attr.u32()).unwrap_or(0),
            size: octet(5).unwrap_or(0),
        },
        kind::SYNPROXY => ObjectData::Synproxy {
            mss: short(1).unwrap_or(0),
            wscale: octet(2).unwrap_or(0),
            flags: number(3).unwrap_or(0),
        },
        _ => return None,
    })
}

/// A flowtable (NFT_MSG_NEWFLOWTABLE).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftFlowtable {
    /// NFPROTO_*
    pub family: u8,
    /// The table it belongs to.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Its handle.
    pub handle: u64,
    /// Number of the hook.
    pub hook: u32,
    /// Lower comes first.
    pub priority: i32,
    /// Names of interfaces.
    pub devices: Vec<String>,
    /// NFT_FLOWTABLE_*: 1 offload, 2 counter.
    pub flags: u32,
}

impl NftFlowtable {
    /// Reads NFT_MSG_NEWFLOWTABLE.
    pub fn read(message: &Message<'_>) -> Option<NftFlowtable> {
        let attrs = message.attrs(HEADER);
        let hook = attrs.find(3)?.nested();
        Some(NftFlowtable {
            family: *message.payload.first()?,
            table: attrs.find(1)?.text(),
            name: attrs.find(2)?.text(),
            handle: attrs.find(5).and_then(|attr| be64(attr.value)).unwrap_or(0),
            hook: hook.find(1).and_then(|attr| attr.be32()).unwrap_or(0),
            priority: hook.find(2).and_then(|attr| attr.be32()).map_or(0, u32::cast_signed),
            devices: hook.find(3).into_iter().flat_map(|list| list.nested()).map(|attr| attr.text()).collect(),
            flags: attrs.find(7).and_then(|attr| attr.be32()).unwrap_or(0),
        })
    }
}

/// An address out of a register's bytes, its family told by its length.
pub fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => bytes.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        16 => bytes.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    }
}
