//! Rules, whatever backend they come from.

use std::borrow::Cow;
use std::net::IpAddr;

/// Address family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// ip
    Ipv4,
    /// ip6
    Ipv6,
}

impl Family {
    /// Bits of an address.
    pub fn bits(self) -> u8 {
        match self {
            Family::Ipv4 => 32,
            Family::Ipv6 => 128,
        }
    }
}

/// What makes a chain a built-in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Number of the hook: 0 PREROUTING to 4 POSTROUTING (linux/netfilter.h).
    pub hook: u8,
    /// ACCEPT or DROP.
    pub verdict: Verdict,
    /// What fell through to the policy.
    pub counters: Counters,
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule<'a> {
    /// Addresses, interfaces, protocol.
    pub header: Header<'a>,
    /// In the order stored.
    pub matches: Vec<Extension<'a>>,
    /// What happens to a packet that matches.
    pub target: Target<'a>,
    /// Packets and bytes that matched.
    pub counters: Counters,
}

/// A condition that may be negated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Not<T> {
    /// `!`
    pub negated: bool,
    /// The condition.
    pub value: T,
}

/// An address under a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masked {
    /// The address.
    pub address: IpAddr,
    /// The mask, as an address.
    pub mask: IpAddr,
}

/// An interface name, or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface<'a> {
    /// Without the `+`.
    pub name: Cow<'a, str>,
    /// Any interface that begins so.
    pub prefix: bool,
}

/// What every rule can ask for without an extension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// `-s`
    pub source: Option<Not<Masked>>,
    /// `-d`
    pub destination: Option<Not<Masked>>,
    /// `-i`
    pub input: Option<Not<Interface<'a>>>,
    /// `-o`
    pub output: Option<Not<Interface<'a>>>,
    /// `-p`; 0 with a negation is what the kernel holds for `! -p all`.
    pub protocol: Option<Not<u16>>,
    /// `-f`, IPv4 only.
    pub fragment: Option<Not<()>>,
}

/// A match or target extension with its own structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// conntrack, DNAT ...
    pub name: Cow<'a, str>,
    /// Revision of the structure.
    pub revision: u8,
    /// The structure, padding included.
    pub data: Cow<'a, [u8]>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// Counts and goes on.
    None,
    /// ACCEPT, DROP, QUEUE, RETURN.
    Verdict(Verdict),
    /// `-j CHAIN`, or `-g CHAIN`.
    Chain {
        /// The chain.
        name: Cow<'a, str>,
        /// `-g`: does not come back.
        goto: bool,
    },
    /// `-j EXTENSION`
    Extension(Extension<'a>),
}

/// The end of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// ACCEPT
    Accept,
    /// DROP
    Drop,
    /// QUEUE
    Queue,
    /// RETURN
    Return,
    /// A verdict that linux/netfilter.h does not name.
    Unknown(i32),
}

impl Verdict {
    /// From the number in a standard target: -v-1, with RETURN as -NF_REPEAT-1 (linux/netfilter/x_tables.h).
    pub fn from_standard(number: i32) -> Verdict {
        match number {
            -1 => Verdict::Drop,
            -2 => Verdict::Accept,
            -4 => Verdict::Queue,
            -5 => Verdict::Return,
            other => Verdict::Unknown(other),
        }
    }

    /// As iptables writes it; `None` for one without a name.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Verdict::Accept => Some("ACCEPT"),
            Verdict::Drop => Some("DROP"),
            Verdict::Queue => Some("QUEUE"),
            Verdict::Return => Some("RETURN"),
            Verdict::Unknown(_) => None,
        }
    }
}
