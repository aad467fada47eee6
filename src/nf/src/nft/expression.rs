//! Expressions, each with its own attributes (enum nft_*_attributes in linux/netfilter/nf_tables.h).
//!
//! Registers are numbered as the kernel reports them: 1 to 4 are those of 16 octets, 8 to 23 those of 4
//! (NFT_REG32_00 to NFT_REG32_15), 0 takes the verdict.

use std::borrow::Cow;

use netkit_nl::Attrs;

use super::{Data, be64, read_counters};
use crate::model::Counters;

/// One expression of a rule. What has no variant here, or lacks an attribute, is [`Expression::Unknown`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression<'a> {
    /// Loads bytes of the packet into a register.
    Payload {
        /// Register.
        to: u32,
        /// 0 link layer, 1 network, 2 transport, 3 inner.
        base: u32,
        /// Bytes from there.
        offset: u32,
        /// Bytes.
        length: u32,
    },
    /// Writes a register into the packet.
    PayloadSet {
        /// Register.
        from: u32,
        /// As of [`Expression::Payload`].
        base: u32,
        /// Bytes from there.
        offset: u32,
        /// Bytes.
        length: u32,
    },
    /// Loads what the kernel knows besides.
    Meta {
        /// Register.
        to: u32,
        /// NFT_META_*
        key: u32,
    },
    /// Sets what the kernel knows besides.
    MetaSet {
        /// Register.
        from: u32,
        /// NFT_META_*
        key: u32,
    },
    /// Loads from the packet's conntrack entry.
    Ct {
        /// Register.
        to: u32,
        /// NFT_CT_*
        key: u32,
        /// 0 original, 1 reply.
        direction: Option<u8>,
    },
    /// Writes to the packet's conntrack entry.
    CtSet {
        /// Register.
        from: u32,
        /// NFT_CT_*
        key: u32,
        /// 0 original, 1 reply.
        direction: Option<u8>,
    },
    /// Loads from an extension header or an option.
    Exthdr {
        /// Register.
        to: u32,
        /// Type of the header or option.
        kind: u8,
        /// Bytes from its beginning.
        offset: u32,
        /// Bytes.
        length: u32,
        /// NFT_EXTHDR_OP_*: 0 IPv6, 1 TCP option, 2 IPv4 option, 3 SCTP chunk, 4 DCCP option.
        op: u32,
        /// Loads whether it is there, one octet.
        present: bool,
    },
    /// Writes a TCP option.
    ExthdrSet {
        /// Register.
        from: u32,
        /// Type of the option.
        kind: u8,
        /// Bytes from its beginning.
        offset: u32,
        /// Bytes.
        length: u32,
        /// As of [`Expression::Exthdr`].
        op: u32,
    },
    /// Overwrites a TCP option with NOPs.
    ExthdrReset {
        /// Type of the option.
        kind: u8,
        /// As of [`Expression::Exthdr`].
        op: u32,
    },
    /// Loads from the packet's route.
    Rt {
        /// Register.
        to: u32,
        /// NFT_RT_*
        key: u32,
    },
    /// Loads from the socket the packet would reach.
    Socket {
        /// Register.
        to: u32,
        /// NFT_SOCKET_*
        key: u32,
        /// Of cgroupv2.
        level: u32,
    },
    /// Loads the name of the sender's operating system.
    Osf {
        /// Register.
        to: u32,
        /// 0 exact, 1 less, 2 any.
        ttl: u8,
        /// 1: name and version.
        flags: u32,
    },
    /// Asks the routing table.
    Fib {
        /// Register.
        to: u32,
        /// 1 oif, 2 oifname, 3 type.
        result: u32,
        /// NFTA_FIB_F_*
        flags: u32,
    },
    /// Loads from the IPsec state.
    Xfrm {
        /// Register.
        to: u32,
        /// NFT_XFRM_KEY_*
        key: u32,
        /// 0 in, 1 out (XFRM_POLICY_IN, _OUT).
        direction: u8,
        /// Which of several states.
        number: u32,
    },
    /// Loads a number.
    Numgen {
        /// Register.
        to: u32,
        /// Below offset + modulus.
        modulus: u32,
        /// 0 counts, 1 is random.
        kind: u32,
        /// Added.
        offset: u32,
    },
    /// Loads a hash.
    Hash {
        /// Register read by jhash.
        from: u32,
        /// Register.
        to: u32,
        /// Octets read.
        length: u32,
        /// Below offset + modulus.
        modulus: u32,
        /// Of jhash, if one was given.
        seed: Option<u32>,
        /// Added.
        offset: u32,
        /// 0 jhash, 1 symhash.
        kind: u32,
    },
    /// Loads from the tunnel's metadata.
    Tunnel {
        /// Register.
        to: u32,
        /// 0 path, 1 id.
        key: u32,
    },
    /// (register & mask) ^ xor
    Bitwise {
        /// Register read.
        from: u32,
        /// Register written.
        to: u32,
        /// Mask.
        mask: &'a [u8],
        /// Exclusive or.
        xor: &'a [u8],
    },
    /// register << bits, or >>
    Shift {
        /// Register read.
        from: u32,
        /// Register written.
        to: u32,
        /// Octets.
        length: u32,
        /// To the right.
        right: bool,
        /// How far.
        bits: u32,
    },
    /// Changes the byte order.
    Byteorder {
        /// Register read.
        from: u32,
        /// Register written.
        to: u32,
        /// 0 ntoh, 1 hton.
        op: u32,
        /// Octets.
        length: u32,
        /// Octets of each number.
        size: u32,
    },
    /// Goes on if the comparison holds.
    Compare {
        /// Register.
        from: u32,
        /// NFT_CMP_*: 0 equal, 1 not equal, 2 less, 3 less or equal, 4 greater, 5 greater or equal.
        operator: u32,
        /// In the packet's order.
        data: &'a [u8],
    },
    /// Goes on if the register lies in a range, or outside it.
    Range {
        /// Register.
        from: u32,
        /// Outside.
        negated: bool,
        /// First.
        low: &'a [u8],
        /// Last.
        high: &'a [u8],
    },
    /// Looks a key up; goes on if it is there, or is not.
    Lookup {
        /// Register with the key.
        from: u32,
        /// Register for the data of a map; 0 is a verdict.
        to: Option<u32>,
        /// Name of the set.
        set: String,
        /// Goes on if it is not there.
        negated: bool,
    },
    /// Puts a constant into a register.
    Immediate {
        /// Register.
        to: u32,
        /// The constant.
        data: &'a [u8],
    },
    /// Adds an element to a set, or removes it.
    Dynset {
        /// Name of the set.
        set: String,
        /// 0 add, 1 update, 2 delete.
        op: u32,
        /// Register with the key.
        key: u32,
        /// Register with the data of a map.
        data: Option<u32>,
        /// Milliseconds.
        timeout: Option<u64>,
        /// Goes on if it could not be done.
        negated: bool,
        /// What the element gets.
        expressions: Vec<Expression<'a>>,
    },
    /// Counts.
    Counter(Counters),
    /// A verdict.
    Verdict {
        /// NF_* or NFT_*.
        code: i32,
        /// Of jump and goto.
        chain: Option<String>,
    },
    /// Limits the rate.
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
    /// Limits the number of connections.
    Connlimit {
        /// How many.
        count: u32,
        /// Matches what is over the limit.
        over: bool,
    },
    /// Limits the bytes.
    Quota {
        /// How many.
        bytes: u64,
        /// How many passed.
        consumed: u64,
        /// NFT_QUOTA_F_*: 1 over, 2 depleted.
        flags: u32,
    },
    /// Remembers when it was last reached.
    Last {
        /// Whether it ever was.
        set: bool,
        /// Milliseconds ago.
        ago: u64,
    },
    /// Logs.
    Log {
        /// Group of nfnetlink_log.
        group: Option<u16>,
        /// Prefix.
        prefix: Option<String>,
        /// Bytes copied.
        snaplen: Option<u32>,
        /// Packets queued.
        threshold: Option<u16>,
        /// syslog's.
        level: Option<u32>,
        /// NF_LOG_*
        flags: u32,
    },
    /// Refuses.
    Reject {
        /// 0 ICMP unreachable, 1 TCP reset, 2 the same code for both families.
        kind: u32,
        /// The ICMP code.
        code: u8,
    },
    /// Translates addresses.
    Nat {
        /// 0 source, 1 destination.
        kind: u32,
        /// NFPROTO_*
        family: u32,
        /// Registers: lowest and highest address.
        address: [Option<u32>; 2],
        /// Registers: lowest and highest port.
        port: [Option<u32>; 2],
        /// NF_NAT_RANGE_*
        flags: u32,
    },
    /// Translates the source to the outgoing interface's address.
    Masquerade {
        /// Registers: lowest and highest port.
        port: [Option<u32>; 2],
        /// NF_NAT_RANGE_*
        flags: u32,
    },
    /// Translates the destination to the host itself.
    Redirect {
        /// Registers: lowest and highest port.
        port: [Option<u32>; 2],
        /// NF_NAT_RANGE_*
        flags: u32,
    },
    /// Hands the packet to a local socket.
    Tproxy {
        /// NFPROTO_*, 0 for both.
        family: u32,
        /// Register.
        address: Option<u32>,
        /// Register.
        port: Option<u32>,
    },
    /// Hands the packet to user space.
    Queue {
        /// First queue.
        number: u16,
        /// How many.
        total: u16,
        /// 1 bypass, 2 fanout.
        flags: u16,
        /// Register with the queue's number.
        from: Option<u32>,
    },
    /// Sends a copy.
    Dup {
        /// Register.
        address: Option<u32>,
        /// Register.
        device: Option<u32>,
    },
    /// Sends the packet elsewhere (netdev).
    Forward {
        /// Register.
        address: Option<u32>,
        /// Register.
        device: Option<u32>,
        /// NFPROTO_* of the address.
        family: Option<u32>,
    },
    /// Keeps conntrack away.
    Notrack,
    /// Uses a named object.
    Object {
        /// NFT_OBJECT_*
        kind: u32,
        /// Its name.
        name: String,
    },
    /// Uses the named object that a map has for the key.
    ObjectMap {
        /// Register with the key.
        from: u32,
        /// Name of the map.
        set: String,
    },
    /// Answers TCP's handshake in place of the server.
    Synproxy {
        /// Maximum segment size.
        mss: u16,
        /// Window scale.
        wscale: u8,
        /// NF_SYNPROXY_OPT_*
        flags: u32,
    },
    /// Puts the connection into a flowtable.
    Flow {
        /// Its name.
        table: String,
    },
    /// An x_tables match.
    Match {
        /// Name.
        name: String,
        /// Revision.
        revision: u32,
        /// Structure.
        info: Cow<'a, [u8]>,
    },
    /// An x_tables target.
    Target {
        /// Name.
        name: String,
        /// Revision.
        revision: u32,
        /// Structure.
        info: Cow<'a, [u8]>,
    },
    /// Anything else.
    Unknown {
        /// Name of the expression.
        name: String,
        /// Its attributes, as they came.
        data: &'a [u8],
    },
}

/// How deep expressions may hold expressions: a dynset's has none of its own.
const DEPTH: u8 = 2;

impl<'a> Expression<'a> {
    /// Reads one element of NFTA_RULE_EXPRESSIONS.
    pub fn read(attrs: Attrs<'a>) -> Expression<'a> {
        Expression::read_within(attrs, 0)
    }

    fn read_within(attrs: Attrs<'a>, depth: u8) -> Expression<'a> {
        let name = attrs.find(1).map(|attr| attr.text()).unwrap_or_default();
        let data = attrs.find(2).map_or(&[][..], |attr| attr.value);
        known(&name, Attrs::new(data), depth).unwrap_or(Expression::Unknown { name, data })
    }

    /// Reads a list of expressions, or the single one that older kernels send instead.
    pub(crate) fn list(attrs: Attrs<'a>, many: u16, one: u16) -> Vec<Expression<'a>> {
        Expression::list_within(attrs, many, one, 0)
    }

    fn list_within(attrs: Attrs<'a>, many: u16, one: u16, depth: u8) -> Vec<Expression<'a>> {
        match (attrs.find(many), attrs.find(one)) {
            (Some(list), _) => list.nested().map(|element| Expression::read_within(element.nested(), depth)).collect(),
            (None, Some(single)) => vec![Expression::read_within(single.nested(), depth)],
            (None, None) => Vec::new(),
        }
    }

    /// The expression's name as the kernel has it.
    pub fn name(&self) -> &str {
        match self {
            Expression::Payload { .. } | Expression::PayloadSet { .. } => "payload",
            Expression::Meta { .. } | Expression::MetaSet { .. } => "meta",
            Expression::Ct { .. } | Expression::CtSet { .. } => "ct",
            Expression::Exthdr { .. } | Expression::ExthdrSet { .. } | Expression::ExthdrReset { .. } => "exthdr",
            Expression::Rt { .. } => "rt",
            Expression::Socket { .. } => "socket",
            Expression::Osf { .. } => "osf",
            Expression::Fib { .. } => "fib",
            Expression::Xfrm { .. } => "xfrm",
            Expression::Numgen { .. } => "numgen",
            Expression::Hash { .. } => "hash",
            Expression::Tunnel { .. } => "tunnel",
            Expression::Bitwise { .. } | Expression::Shift { .. } => "bitwise",
            Expression::Byteorder { .. } => "byteorder",
            Expression::Compare { .. } => "cmp",
            Expression::Range { .. } => "range",
            Expression::Lookup { .. } => "lookup",
            Expression::Immediate { .. } | Expression::Verdict { .. } => "immediate",
            Expression::Dynset { .. } => "dynset",
            Expression::Counter(_) => "counter",
            Expression::Limit { .. } => "limit",
            Expression::Connlimit { .. } => "connlimit",
            Expression::Quota { .. } => "quota",
            Expression::Last { .. } => "last",
            Expression::Log { .. } => "log",
            Expression::Reject { .. } => "reject",
            Expression::Nat { .. } => "nat",
            Expression::Masquerade { .. } => "masq",
            Expression::Redirect { .. } => "redir",
            Expression::Tproxy { .. } => "tproxy",
            Expression::Queue { .. } => "queue",
            Expression::Dup { .. } => "dup",
            Expression::Forward { .. } => "fwd",
            Expression::Notrack => "notrack",
            Expression::Object { .. } | Expression::ObjectMap { .. } => "objref",
            Expression::Synproxy { .. } => "synproxy",
            Expression::Flow { .. } => "flow_offload",
            Expression::Match { .. } => "match",
            Expression::Target { .. } => "target",
            Expression::Unknown { name, .. } => name,
        }
    }
}

/// NFTA_DATA_VALUE
fn value(attrs: Attrs<'_>, kind: u16) -> Option<&[u8]> {
    attrs.find(kind)?.nested().find(1).map(|attr| attr.value)
}

type Reader = for<'a> fn(Fields<'a>) -> Option<Expression<'a>>;

/// The attributes of one expression.
#[derive(Clone, Copy)]
struct Fields<'a> {
    attrs: Attrs<'a>,
    depth: u8,
}

impl<'a> Fields<'a> {
    #[inline(never)]
    fn number(self, kind: u16) -> Option<u32> {
        self.attrs.find(kind)?.be32()
    }

    #[inline(never)]
    fn octet(self, kind: u16) -> Option<u8> {
        self.attrs.find(kind)?.u8()
    }

    #[inline(never)]
    fn short(self, kind: u16) -> Option<u16> {
        self.attrs.find(kind)?.be16()
    }

    #[inline(never)]
    fn long(self, kind: u16) -> Option<u64> {
        be64(self.attrs.find(kind)?.value)
    }

    #[inline(never)]
    fn text(self, kind: u16) -> Option<String> {
        Some(self.attrs.find(kind)?.text())
    }

    #[inline(never)]
    fn value(self, kind: u16) -> Option<&'a [u8]> {
        value(self.attrs, kind)
    }

    fn pair(self, first: u16) -> [Option<u32>; 2] {
        [self.number(first), self.number(first + 1)]
    }
}

fn known<'a>(name: &str, attrs: Attrs<'a>, depth: u8) -> Option<Expression<'a>> {
    let (_, read) = READERS.iter().find(|(known, _)| *known == name)?;
    read(Fields { attrs, depth })
}

/// By the name in NFTA_EXPR_NAME, the frequent ones first.
const READERS: &[(&str, Reader)] = &[
    ("payload", payload),
    ("cmp", |f| Some(Expression::Compare { from: f.number(1)?, operator: f.number(2)?, data: f.value(3)? })),
    ("meta", |f| {
        let key = f.number(2)?;
        Some(match f.number(3) {
            Some(from) => Expression::MetaSet { from, key },
            None => Expression::Meta { to: f.number(1)?, key },
        })
    }),
    ("immediate", immediate),
    ("counter", |f| Some(Expression::Counter(read_counters(f.attrs)))),
    ("lookup", |f| {
        let negated = f.number(5).unwrap_or(0) & 1 != 0;
        Some(Expression::Lookup { from: f.number(2)?, to: f.number(3), set: f.text(1)?, negated })
    }),
    ("bitwise", bitwise),
    ("match", |f| {
        let (name, revision, info) = extension(f)?;
        Some(Expression::Match { name, revision, info })
    }),
    ("target", |f| {
        let (name, revision, info) = extension(f)?;
        Some(Expression::Target { name, revision, info })
    }),
    ("ct", |f| {
        let (key, direction) = (f.number(2)?, f.octet(3));
        Some(match f.number(4) {
            Some(from) => Expression::CtSet { from, key, direction },
            None => Expression::Ct { to: f.number(1)?, key, direction },
        })
    }),
    ("range", |f| {
        Some(Expression::Range { from: f.number(1)?, negated: f.number(2)? == 1, low: f.value(3)?, high: f.value(4)? })
    }),
    ("nat", |f| {
        Some(Expression::Nat {
            kind: f.number(1)?,
            family: f.number(2)?,
            address: f.pair(3),
            port: f.pair(5),
            flags: f.number(7).unwrap_or(0),
        })
    }),
    ("numgen", |f| {
        let offset = f.number(4).unwrap_or(0);
        Some(Expression::Numgen { to: f.number(1)?, modulus: f.number(2)?, kind: f.number(3)?, offset })
    }),
    ("limit", |f| {
        Some(Expression::Limit {
            rate: f.long(1)?,
            unit: f.long(2)?,
            burst: f.number(3).unwrap_or(0),
            kind: f.number(4).unwrap_or(0),
            over: f.number(5).unwrap_or(0) & 1 != 0,
        })
    }),
    ("log", |f| {
        Some(Expression::Log {
            group: f.short(1),
            prefix: f.text(2),
            snaplen: f.number(3),
            threshold: f.short(4),
            level: f.number(5),
            flags: f.number(6).unwrap_or(0),
        })
    }),
    ("exthdr", exthdr),
    ("rt", |f| Some(Expression::Rt { to: f.number(1)?, key: f.number(2)? })),
    ("socket", |f| Some(Expression::Socket { to: f.number(2)?, key: f.number(1)?, level: f.number(3).unwrap_or(0) })),
    ("osf", |f| {
        let (ttl, flags) = (f.octet(2).unwrap_or(0), f.number(3).unwrap_or(0));
        Some(Expression::Osf { to: f.number(1)?, ttl, flags })
    }),
    ("fib", |f| Some(Expression::Fib { to: f.number(1)?, result: f.number(2)?, flags: f.number(3)? })),
    ("xfrm", |f| {
        let number = f.number(4).unwrap_or(0);
        Some(Expression::Xfrm { to: f.number(1)?, key: f.number(2)?, direction: f.octet(3)?, number })
    }),
    ("hash", |f| {
        Some(Expression::Hash {
            from: f.number(1).unwrap_or(0),
            to: f.number(2)?,
            length: f.number(3).unwrap_or(0),
            modulus: f.number(4)?,
            seed: f.number(5),
            offset: f.number(6).unwrap_or(0),
            kind: f.number(7).unwrap_or(0),
        })
    }),
    ("tunnel", |f| Some(Expression::Tunnel { to: f.number(2)?, key: f.number(1)? })),
    ("byteorder", |f| {
        Some(Expression::Byteorder {
            from: f.number(1)?,
            to: f.number(2)?,
            op: f.number(3)?,
            length: f.number(4)?,
            size: f.number(5)?,
        })
    }),
    ("dynset", dynset),
    ("connlimit", |f| Some(Expression::Connlimit { count: f.number(1)?, over: f.number(2).unwrap_or(0) & 1 != 0 })),
    ("quota", |f| {
        let (flags, consumed) = (f.number(2).unwrap_or(0), f.long(4).unwrap_or(0));
        Some(Expression::Quota { bytes: f.long(1)?, consumed, flags })
    }),
    ("last", |f| Some(Expression::Last { set: f.number(1).unwrap_or(0) != 0, ago: f.long(2).unwrap_or(0) })),
    ("reject", |f| Some(Expression::Reject { kind: f.number(1)?, code: f.octet(2).unwrap_or(0) })),
    ("masq", |f| Some(Expression::Masquerade { port: f.pair(2), flags: f.number(1).unwrap_or(0) })),
    ("redir", |f| Some(Expression::Redirect { port: f.pair(1), flags: f.number(3).unwrap_or(0) })),
    ("tproxy", |f| Some(Expression::Tproxy { family: f.number(1)?, address: f.number(2), port: f.number(3) })),
    ("queue", |f| {
        Some(Expression::Queue {
            number: f.short(1).unwrap_or(0),
            total: f.short(2).unwrap_or(1),
            flags: f.short(3).unwrap_or(0),
            from: f.number(4),
        })
    }),
    ("dup", |f| Some(Expression::Dup { address: f.number(1), device: f.number(2) })),
    ("fwd", |f| Some(Expression::Forward { device: f.number(1), address: f.number(2), family: f.number(3) })),
    ("notrack", |_| Some(Expression::Notrack)),
    ("objref", |f| {
        Some(match f.number(3) {
            Some(from) => Expression::ObjectMap { from, set: f.text(4)? },
            None => Expression::Object { kind: f.number(1)?, name: f.text(2)? },
        })
    }),
    ("synproxy", |f| {
        let (mss, wscale) = (f.short(1).unwrap_or(0), f.octet(2).unwrap_or(0));
        Some(Expression::Synproxy { mss, wscale, flags: f.number(3).unwrap_or(0) })
    }),
    ("flow_offload", |f| Some(Expression::Flow { table: f.text(1)? })),
];

fn payload(f: Fields<'_>) -> Option<Expression<'_>> {
    let (base, offset, length) = (f.number(2)?, f.number(3)?, f.number(4)?);
    Some(match f.number(5) {
        Some(from) => Expression::PayloadSet { from, base, offset, length },
        None => Expression::Payload { to: f.number(1)?, base, offset, length },
    })
}

fn immediate(f: Fields<'_>) -> Option<Expression<'_>> {
    let to = f.number(1)?;
    Some(match Data::read(f.attrs.find(2)?.nested())? {
        Data::Value(data) => Expression::Immediate { to, data },
        Data::Verdict { code, chain } => Expression::Verdict { code, chain },
    })
}

fn bitwise(f: Fields<'_>) -> Option<Expression<'_>> {
    let (from, to) = (f.number(1)?, f.number(2)?);
    match f.number(6).unwrap_or(0) {
        0 => Some(Expression::Bitwise { from, to, mask: f.value(4)?, xor: f.value(5)? }),
        op @ (1 | 2) => {
            // The distance is in the host's order (struct nft_data of the kernel's own).
            let bits = f.value(7)?.first_chunk::<4>().map(|octets| u32::from_ne_bytes(*octets))?;
            Some(Expression::Shift { from, to, length: f.number(3)?, right: op == 2, bits })
        }
        _ => None,
    }
}

fn exthdr(f: Fields<'_>) -> Option<Expression<'_>> {
    let (kind, op) = (f.octet(2)?, f.number(6).unwrap_or(0));
    match (f.number(1), f.number(7)) {
        (_, Some(from)) => Some(Expression::ExthdrSet { from, kind, offset: f.number(3)?, length: f.number(4)?, op }),
        (Some(to), None) => {
            let present = f.number(5).unwrap_or(0) & 1 != 0;
            Some(Expression::Exthdr { to, kind, offset: f.number(3)?, length: f.number(4)?, op, present })
        }
        (None, None) => Some(Expression::ExthdrReset { kind, op }),
    }
}

fn dynset(f: Fields<'_>) -> Option<Expression<'_>> {
    if f.depth >= DEPTH {
        return None;
    }
    Some(Expression::Dynset {
        set: f.text(1)?,
        op: f.number(3)?,
        key: f.number(4)?,
        data: f.number(5),
        timeout: f.long(6).filter(|timeout| *timeout > 0),
        negated: f.number(9).unwrap_or(0) & 1 != 0,
        expressions: Expression::list_within(f.attrs, 10, 7, f.depth + 1),
    })
}

/// NFTA_MATCH_NAME, _REV and _INFO; those of targets have the same numbers.
fn extension(f: Fields<'_>) -> Option<(String, u32, Cow<'_, [u8]>)> {
    Some((f.text(1)?, f.number(2).unwrap_or(0), Cow::Borrowed(f.attrs.find(3)?.value)))
}
