//! Rules as nft would have been told them: expressions that hold expressions, and statements.

use std::rc::Rc;

use super::datatype::{Order, Type};
use super::expression::Expression;
use super::header::{Field, Option_, Protocol};
use super::key::Keyed;

/// An expression with what is known of its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: Kind,
    /// What its value means.
    pub ty: Type,
    /// How a register holds it.
    pub order: Order,
    /// Bits of its value.
    pub bits: u32,
}

/// Two-sided operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// &
    And,
    /// ^
    Xor,
    /// |
    Or,
    /// <<
    Left,
    /// >>
    Right,
}

impl Op {
    /// As written.
    pub fn sign(self) -> &'static str {
        match self {
            Op::And => "&",
            Op::Xor => "^",
            Op::Or => "|",
            Op::Left => "<<",
            Op::Right => ">>",
        }
    }

    /// Lower binds stronger.
    pub fn rank(self) -> u8 {
        match self {
            Op::Left | Op::Right => 1,
            Op::And => 2,
            Op::Xor => 3,
            Op::Or => 4,
        }
    }
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A constant whose type is not known yet.
    Raw(Vec<u8>),
    /// A constant.
    Value(u128),
    /// The beginning of a name, then anything.
    Wildcard(u128),
    /// value/length
    Prefix(u128, u32),
    /// low-high
    Range(u128, u128),
    /// A verdict.
    Verdict {
        /// NF_* or NFT_*.
        code: i32,
        /// Of jump and goto.
        chain: Option<String>,
    },
    /// `*`, whatever has no element of its own.
    All,
    /// Bytes of the packet.
    Payload {
        /// [`super::header::base`]
        base: u32,
        /// Bits from there.
        offset: u32,
        /// The field that lies there.
        field: Option<(&'static Protocol, &'static Field)>,
    },
    /// An extension header or option.
    Exthdr {
        /// NFT_EXTHDR_OP_*
        op: u32,
        /// Type of the header or option.
        kind: u8,
        /// Bits from its beginning.
        offset: u32,
        /// Whether only its presence is asked for.
        present: bool,
        /// The field that lies there.
        field: Option<(&'static Option_, &'static Field)>,
    },
    /// A key of meta, ct, rt, socket, ipsec.
    Keyed {
        /// Of what.
        what: Keyed,
        /// The kernel's number.
        key: u32,
        /// 0 original or in, 1 reply or out.
        direction: Option<u8>,
        /// Level of a cgroup, number of a state.
        extra: u32,
    },
    /// fib
    Fib {
        /// 1 oif, 2 oifname, 3 type.
        result: u32,
        /// NFTA_FIB_F_*
        flags: u32,
    },
    /// osf
    Osf {
        /// 0 exact, 1 loose, 2 skip.
        ttl: u8,
        /// Name and version.
        version: bool,
    },
    /// numgen
    Numgen {
        /// Below offset + modulus.
        modulus: u32,
        /// Not counting.
        random: bool,
        /// Added.
        offset: u32,
    },
    /// jhash and symhash
    Hash {
        /// What jhash reads.
        from: Option<Box<Expr>>,
        /// Below offset + modulus.
        modulus: u32,
        /// Of jhash.
        seed: Option<u32>,
        /// Added.
        offset: u32,
    },
    /// Two operands.
    Binary(Op, Box<Expr>, Box<Expr>),
    /// a . b . c
    Concat(Vec<Expr>),
    /// { ... }
    Set(Rc<Vec<Elem>>),
    /// @name
    SetRef(String),
    /// key map set, key vmap set
    Map(Box<Expr>, Box<Expr>),
    /// Something that cannot be decoded.
    Unknown(String),
}

impl Expr {
    /// An expression of this kind.
    pub fn new(kind: Kind, ty: Type, order: Order, bits: u32) -> Expr {
        Expr { kind, ty, order, bits }
    }

    /// A constant whose type is to be found.
    pub fn raw(data: &[u8]) -> Expr {
        let bits = u32::try_from(data.len()).unwrap_or(0).saturating_mul(8);
        Expr::new(Kind::Raw(data.to_vec()), Type::INVALID, Order::Host, bits)
    }

    /// The same of another kind.
    pub fn with(&self, kind: Kind) -> Expr {
        Expr { kind, ..*self }
    }

    /// How many expressions it is made of, counted up to `limit`; elements of sets are shared and not counted.
    pub(crate) fn weight(&self, limit: usize) -> usize {
        let inner: Vec<&Expr> = match &self.kind {
            Kind::Binary(_, left, right) | Kind::Map(left, right) => vec![left, right],
            Kind::Hash { from: Some(from), .. } => vec![from],
            Kind::Concat(parts) => parts.iter().collect(),
            _ => Vec::new(),
        };
        let mut weight = 1;
        for expr in inner {
            if weight >= limit {
                break;
            }
            weight += expr.weight(limit - weight);
        }
        weight
    }

    /// Whether it is a verdict, or a map of verdicts.
    pub fn is_verdict(&self) -> bool {
        self.ty == Type::VERDICT
    }
}

/// Reads a constant as a register holds it; text comes first octet first whatever the machine. `None` above 128 bits.
pub fn number(data: &[u8], ty: Type, order: Order) -> Option<u128> {
    if data.len() > 16 {
        return None;
    }
    let step = |value: u128, octet: &u8| value << 8 | u128::from(*octet);
    Some(if order == Order::Host && !ty.is_text() && cfg!(target_endian = "little") {
        data.iter().rev().fold(0, step)
    } else {
        data.iter().fold(0, step)
    })
}

/// Makes a constant of the type out of bytes.
pub fn constant(data: &[u8], ty: Type, order: Order) -> Expr {
    let bits = u32::try_from(data.len()).unwrap_or(0).saturating_mul(8);
    match number(data, ty, order) {
        Some(value) => Expr::new(Kind::Value(value), ty, order, bits),
        None => Expr::new(Kind::Unknown(netkit_core::text::hex(data)), ty, order, bits),
    }
}

/// An element of a set or map.
#[derive(Clone, Debug, PartialEq)]
pub struct Elem {
    /// The key.
    pub key: Expr,
    /// What a map has for it.
    pub data: Option<Expr>,
    /// Name of the object that a map has for it.
    pub object: Option<String>,
    /// Milliseconds.
    pub timeout: Option<u64>,
    /// Milliseconds left.
    pub expiration: Option<u64>,
    /// Comment.
    pub comment: Option<String>,
    /// Counters, limits, quotas.
    pub statements: Vec<Stateful>,
}

/// A statement with a state of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Stateful {
    /// counter
    Counter {
        /// Packets.
        packets: u64,
        /// Bytes.
        bytes: u64,
    },
    /// quota
    Quota {
        /// How many bytes.
        bytes: u64,
        /// How many passed.
        consumed: u64,
        /// Matches what is over it.
        over: bool,
    },
    /// limit
    Limit {
        /// Per unit.
        rate: u64,
        /// Seconds.
        unit: u64,
        /// Burst.
        burst: u32,
        /// Bytes, not packets.
        bytes: bool,
        /// Matches what is over it.
        over: bool,
    },
    /// ct count
    Connlimit {
        /// How many.
        count: u32,
        /// Matches what is over it.
        over: bool,
    },
    /// last
    Last {
        /// Milliseconds ago, if ever.
        ago: Option<u64>,
    },
    /// Anything else: name and bytes.
    Unknown(String),
}

impl Stateful {
    /// Of an expression that is one.
    pub fn read(expression: &Expression<'_>) -> Option<Stateful> {
        Some(match expression {
            Expression::Counter(counters) => Stateful::Counter { packets: counters.packets, bytes: counters.bytes },
            Expression::Quota { bytes, consumed, flags } => {
                Stateful::Quota { bytes: *bytes, consumed: *consumed, over: flags & 1 != 0 }
            }
            Expression::Limit { rate, unit, burst, kind, over } => {
                Stateful::Limit { rate: *rate, unit: *unit, burst: *burst, bytes: *kind == 1, over: *over }
            }
            Expression::Connlimit { count, over } => Stateful::Connlimit { count: *count, over: *over },
            Expression::Last { set, ago } => Stateful::Last { ago: set.then_some(*ago) },
            _ => return None,
        })
    }

    /// Of any expression, one that has no state included.
    pub fn of(expression: &Expression<'_>) -> Stateful {
        Stateful::read(expression).unwrap_or_else(|| Stateful::Unknown(unknown(expression)))
    }
}

/// What cannot be decoded: its name, and its bytes where we have them.
pub fn unknown(expression: &Expression<'_>) -> String {
    let hex = |data: &[u8]| netkit_core::text::hex(data);
    match expression {
        Expression::Unknown { name, data } => format!("{name} {}", hex(data)),
        other => other.name().to_owned(),
    }
}

/// How two sides are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// ==, mostly left out
    Equal,
    /// !=
    NotEqual,
    /// <
    Less,
    /// <=
    LessOrEqual,
    /// >
    Greater,
    /// >=
    GreaterOrEqual,
    /// Any of the flags is set.
    Any,
    /// None of the flags is set.
    None,
}

impl Relation {
    /// NFT_CMP_*
    pub fn read(number: u32) -> Option<Relation> {
        use Relation::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        [Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual].get(usize::try_from(number).ok()?).copied()
    }

    /// As written.
    pub fn sign(self) -> &'static str {
        match self {
            Relation::Equal => "==",
            Relation::NotEqual => "!=",
            Relation::Less => "<",
            Relation::LessOrEqual => "<=",
            Relation::Greater => ">",
            Relation::GreaterOrEqual => ">=",
            Relation::Any => "",
            Relation::None => "!",
        }
    }
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt<'a> {
    /// left relation right
    Match {
        /// The relation.
        relation: Relation,
        /// Left of it.
        left: Expr,
        /// Right of it.
        right: Expr,
    },
    /// left value / mask
    Flags {
        /// With `!=`.
        negated: bool,
        /// What has the flags.
        left: Expr,
        /// Those that are set.
        value: Expr,
        /// Those that count.
        mask: Expr,
    },
    /// A verdict, or a map of verdicts.
    Verdict(Expr),
    /// counter and the like
    Stateful(Stateful),
    /// left set right
    Set {
        /// What is set.
        left: Expr,
        /// To what.
        right: Expr,
    },
    /// reset tcp option
    Reset(Expr),
    /// dnat, snat, masquerade, redirect
    Nat {
        /// As written.
        name: &'static str,
        /// NFPROTO_*, where it must be said.
        family: u32,
        /// Only the network is translated.
        prefix: bool,
        /// To which address.
        address: Option<Expr>,
        /// To which port.
        port: Option<Expr>,
        /// NF_NAT_RANGE_*
        flags: u32,
    },
    /// tproxy
    Tproxy {
        /// NFPROTO_*, where it must be said.
        family: u32,
        /// To which address.
        address: Option<Expr>,
        /// To which port.
        port: Option<Expr>,
    },
    /// reject
    Reject {
        /// As of the expression.
        kind: u32,
        /// The ICMP code.
        code: u8,
        /// NFPROTO_* of the code.
        family: u8,
        /// Say the code although it is the usual one.
        verbose: bool,
    },
    /// queue
    Queue {
        /// The queues.
        number: Expr,
        /// 1 bypass, 2 fanout.
        flags: u16,
    },
    /// dup
    Dup {
        /// To which address.
        address: Option<Expr>,
        /// Through which interface.
        device: Option<Expr>,
    },
    /// fwd
    Forward {
        /// NFPROTO_* of the address.
        family: u32,
        /// To which address.
        address: Option<Expr>,
        /// Through which interface.
        device: Option<Expr>,
    },
    /// add @set { key ... }
    Dynset {
        /// add, update, delete
        verb: &'static str,
        /// Name of the set.
        set: String,
        /// Most elements, of a meter.
        meter: Option<u32>,
        /// The key.
        key: Expr,
        /// Milliseconds.
        timeout: Option<u64>,
        /// What the element gets.
        statements: Vec<Stateful>,
        /// Of a map.
        data: Option<Expr>,
    },
    /// counter name "x" and the like
    Object {
        /// NFT_OBJECT_*
        kind: u32,
        /// A name, or a map.
        name: Expr,
    },
    /// An extension of x_tables.
    Extension {
        /// Not a match.
        target: bool,
        /// Its name.
        name: String,
        /// What it says in nft's words, if it can be said in them.
        words: Option<String>,
    },
    /// Statements that read no register.
    Plain(Expression<'a>),
    /// Something that cannot be decoded.
    Unknown(String),
}
