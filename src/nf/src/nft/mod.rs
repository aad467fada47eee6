//! nf_tables messages (linux/netfilter/nf_tables.h): tables, chains, rules and their expressions.
//!
//! Numbers in attributes are in network order; data that is compared with a packet is in the packet's own order.

pub mod build;
pub mod compat;
pub mod datatype;
pub mod elements;
pub mod expression;
pub mod header;
pub mod json;
pub mod key;
pub mod object;
mod reduce;
pub mod ruleset;
pub mod set;
mod symbols;
#[cfg(test)]
mod tests;
pub mod text;
pub mod tree;
pub mod xtables;

use netkit_nl::{Attrs, Message};

use crate::model::Counters;
pub use expression::Expression;
pub use object::{NftFlowtable, NftObject, ObjectData};
pub use set::{Data, Element, NftSet};

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
    /// NFT_MSG_NEWSET
    pub const NEW_SET: u8 = 9;
    /// NFT_MSG_GETSET
    pub const GET_SET: u8 = 10;
    /// NFT_MSG_NEWSETELEM
    pub const NEW_ELEMENT: u8 = 12;
    /// NFT_MSG_GETSETELEM
    pub const GET_ELEMENT: u8 = 13;
    /// NFT_MSG_GETGEN
    pub const GET_GENERATION: u8 = 16;
    /// NFT_MSG_GETOBJ
    pub const GET_OBJECT: u8 = 19;
    /// NFT_MSG_GETFLOWTABLE
    pub const GET_FLOWTABLE: u8 = 23;
}

/// Attributes of a request for the rules of one chain.
pub mod attribute {
    /// NFTA_RULE_TABLE
    pub const RULE_TABLE: u16 = 1;
    /// NFTA_RULE_CHAIN
    pub const RULE_CHAIN: u16 = 2;
    /// NFTA_CHAIN_TABLE
    pub const CHAIN_TABLE: u16 = 1;
    /// NFTA_CHAIN_NAME
    pub const CHAIN_NAME: u16 = 3;
    /// NFTA_TABLE_NAME
    pub const TABLE_NAME: u16 = 1;
    /// NFTA_SET_TABLE
    pub const SET_TABLE: u16 = 1;
    /// NFTA_SET_NAME
    pub const SET_NAME: u16 = 2;
    /// NFTA_SET_ELEM_LIST_TABLE
    pub const ELEMENTS_TABLE: u16 = 1;
    /// NFTA_SET_ELEM_LIST_SET
    pub const ELEMENTS_SET: u16 = 2;
    /// NFTA_OBJ_TABLE
    pub const OBJECT_TABLE: u16 = 1;
    /// NFTA_FLOWTABLE_TABLE
    pub const FLOWTABLE_TABLE: u16 = 1;
}

/// NFPROTO_* (linux/netfilter.h)
pub mod family {
    /// inet
    pub const INET: u8 = 1;
    /// ip
    pub const IPV4: u8 = 2;
    /// arp
    pub const ARP: u8 = 3;
    /// netdev
    pub const NETDEV: u8 = 5;
    /// bridge
    pub const BRIDGE: u8 = 7;
    /// ip6
    pub const IPV6: u8 = 10;

    /// The family's name in nft(8).
    pub fn name(family: u8) -> &'static str {
        match family {
            INET => "inet",
            IPV4 => "ip",
            ARP => "arp",
            NETDEV => "netdev",
            BRIDGE => "bridge",
            IPV6 => "ip6",
            _ => "unknown",
        }
    }
}

/// What nft wants to remember of a thing: octets of type and length, then the value, again and again.
#[derive(Clone, Copy, Debug)]
pub struct Userdata<'a>(pub &'a [u8]);

impl<'a> Userdata<'a> {
    /// The value of this type.
    pub fn find(self, kind: u8) -> Option<&'a [u8]> {
        let mut rest = self.0;
        while let [found, length, tail @ ..] = rest {
            let (value, next) = tail.split_at_checked(usize::from(*length))?;
            if *found == kind {
                return Some(value);
            }
            rest = next;
        }
        None
    }

    /// A number in the host's order.
    pub fn number(self, kind: u8) -> Option<u32> {
        self.find(kind)?.first_chunk::<4>().map(|octets| u32::from_ne_bytes(*octets))
    }

    /// Text up to its final zero, control characters made visible.
    pub fn text(self, kind: u8) -> Option<String> {
        let value = self.find(kind)?;
        let text = value.split(|octet| *octet == 0).next().unwrap_or_default();
        Some(netkit_core::text::printable(&String::from_utf8_lossy(text)))
    }
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
    /// Port of the netlink socket that owns it.
    pub owner: Option<u32>,
    /// What nft wanted to remember.
    pub userdata: Vec<u8>,
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
            owner: attrs.find(7).and_then(|attr| attr.be32()),
            userdata: attrs.find(6).map(|attr| attr.value.to_vec()).unwrap_or_default(),
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
    /// NFT_CHAIN_*: 1 base, 2 offload, 4 bound to the rule that jumps there.
    pub flags: u32,
    /// What nft wanted to remember.
    pub userdata: Vec<u8>,
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
            let listed: Vec<String> =
                inner.find(4).into_iter().flat_map(|list| list.nested()).map(|attr| attr.text()).collect();
            NftHook {
                number: inner.find(1).and_then(|attr| attr.be32()).unwrap_or(0),
                priority: inner.find(2).and_then(|attr| attr.be32()).map_or(0, u32::cast_signed),
                kind: attrs.find(7).map(|attr| attr.text()).unwrap_or_default(),
                policy: attrs.find(5).and_then(|attr| attr.be32()).unwrap_or(1),
                // A single one is said both ways.
                devices: if listed.is_empty() { device.into_iter().collect() } else { listed },
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
            flags: attrs.find(10).and_then(|attr| attr.be32()).unwrap_or(0),
            userdata: attrs.find(12).map(|attr| attr.value.to_vec()).unwrap_or_default(),
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
