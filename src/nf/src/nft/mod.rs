//! nf_tables messages (linux/netfilter/nf_tables.h): tables, chains, rules and their expressions.
//!
//! Numbers in attributes are in network order; data that is compared with a packet is in the packet's own order.

pub mod compat;
pub mod expression;

use netkit_nl::{Attrs, Message};

use crate::model::Counters;
pub use expression::Expression;

/// Octets of struct nfgenmsg, which every message begins with.
const HEADER: usize = netkit_nl::netfilter::HEADER;

/// enum nf_tables_msg_types, those that are asked for and come back.
pub mod command {
    /// NFT_MSG_NEWTABLE
    pub const NEW_TABLE: u8 = 0;
    /// NFT_MSG_GETTABLE
    pub const GET_TABLE: u8 = 1;
    /// NFT_MSG_NEWCHAIN
    pub const NEW_CHAIN: u8 = 3;
    /// NFT_MSG_GETCHAIN
    pub const GET_CHAIN: u8 = 4;
    /// NFT_MSG_NEWRULE
    pub const NEW_RULE: u8 = 6;
    /// NFT_MSG_GETRULE
    pub const GET_RULE: u8 = 7;
}

/// Attributes of a request for the rules of one chain.
pub mod attribute {
    /// NFTA_RULE_TABLE
    pub const RULE_TABLE: u16 = 1;
    /// NFTA_RULE_CHAIN
    pub const RULE_CHAIN: u16 = 2;
    /// NFTA_CHAIN_TABLE
    pub const CHAIN_TABLE: u16 = 1;
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftTable {
    /// NFPROTO_*: 1 inet, 2 ip, 3 arp, 5 netdev, 7 bridge, 10 ip6.
    pub family: u8,
    /// Its name.
    pub name: String,
    /// NFT_TABLE_F_*: 1 dormant, 2 owner.
    pub flags: u32,
    /// Its handle.
    pub handle: u64,
}

impl NftTable {
    /// Reads NFT_MSG_NEWTABLE.
    pub fn read(message: &Message<'_>) -> Option<NftTable> {
        let attrs = message.attrs(HEADER);
        Some(NftTable {
            family: *message.payload.first()?,
            name: attrs.find(1)?.text(),
            flags: attrs.find(2).and_then(|attr| attr.be32()).unwrap_or(0),
            handle: attrs.find(4).and_then(|attr| be64(attr.value)).unwrap_or(0),
        })
    }
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftChain {
    /// NFPROTO_*
    pub family: u8,
    /// The table it belongs to.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Its handle.
    pub handle: u64,
    /// What makes it a base chain.
    pub hook: Option<NftHook>,
    /// References, and for base chains the rules too.
    pub uses: u32,
}

/// Where a base chain is hooked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftHook {
    /// Number of the hook in its family.
    pub number: u32,
    /// Lower comes first.
    pub priority: i32,
    /// filter, nat, route
    pub kind: String,
    /// NF_ACCEPT 1 or NF_DROP 0.
    pub policy: u32,
    /// netdev and ingress: the devices.
    pub devices: Vec<String>,
    /// What fell through to the policy; iptables-nft's chains count it.
    pub counters: Option<Counters>,
}

impl NftChain {
    /// Reads NFT_MSG_NEWCHAIN.
    pub fn read(message: &Message<'_>) -> Option<NftChain> {
        let attrs = message.attrs(HEADER);
        let hook = attrs.find(4).map(|hook| {
            let inner = hook.nested();
            let device = inner.find(3).map(|attr| attr.text());
            let listed = inner.find(4).into_iter().flat_map(|list| list.nested()).map(|attr| attr.text());
            NftHook {
                number: inner.find(1).and_then(|attr| attr.be32()).unwrap_or(0),
                priority: inner.find(2).and_then(|attr| attr.be32()).map_or(0, u32::cast_signed),
                kind: attrs.find(7).map(|attr| attr.text()).unwrap_or_default(),
                policy: attrs.find(5).and_then(|attr| attr.be32()).unwrap_or(1),
                devices: device.into_iter().chain(listed).collect(),
                counters: attrs.find(8).map(|counters| read_counters(counters.nested())),
            }
        });
        Some(NftChain {
            family: *message.payload.first()?,
            table: attrs.find(1)?.text(),
            name: attrs.find(3)?.text(),
            handle: attrs.find(2).and_then(|attr| be64(attr.value)).unwrap_or(0),
            hook,
            uses: attrs.find(6).and_then(|attr| attr.be32()).unwrap_or(0),
        })
    }
}

/// NFTA_COUNTER_BYTES and NFTA_COUNTER_PACKETS.
fn read_counters(attrs: Attrs<'_>) -> Counters {
    let number = |kind| attrs.find(kind).and_then(|attr| be64(attr.value)).unwrap_or(0);
    Counters { packets: number(2), bytes: number(1) }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftRule<'a> {
    /// NFPROTO_*
    pub family: u8,
    /// The table it belongs to.
    pub table: String,
    /// The chain it belongs to.
    pub chain: String,
    /// Its handle.
    pub handle: u64,
    /// In order.
    pub expressions: Vec<Expression<'a>>,
    /// What the tool that made it wanted to remember.
    pub userdata: &'a [u8],
}

impl<'a> NftRule<'a> {
    /// Reads NFT_MSG_NEWRULE.
    pub fn read(message: &Message<'a>) -> Option<NftRule<'a>> {
        let attrs = message.attrs(HEADER);
        let expressions = attrs
            .find(4)
            .into_iter()
            .flat_map(|list| list.nested())
            .map(|element| Expression::read(element.nested()))
            .collect();
        Some(NftRule {
            family: *message.payload.first()?,
            table: attrs.find(1)?.text(),
            chain: attrs.find(2)?.text(),
            handle: attrs.find(3).and_then(|attr| be64(attr.value)).unwrap_or(0),
            expressions,
            userdata: attrs.find(7).map_or(&[][..], |attr| attr.value),
        })
    }
}

/// Eight octets in network order.
pub(crate) fn be64(value: &[u8]) -> Option<u64> {
    value.first_chunk::<8>().map(|octets| u64::from_be_bytes(*octets))
}
