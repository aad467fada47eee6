//! Expressions, each with its own attributes (enum nft_*_attributes).

use std::borrow::Cow;

use netkit_nl::Attrs;

use super::{be64, read_counters};
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
    /// Loads what the kernel knows besides.
    Meta {
        /// Register.
        to: u32,
        /// NFT_META_*
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

impl<'a> Expression<'a> {
    /// Reads one element of NFTA_RULE_EXPRESSIONS.
    pub fn read(attrs: Attrs<'a>) -> Expression<'a> {
        let name = attrs.find(1).map(|attr| attr.text()).unwrap_or_default();
        let data = attrs.find(2).map_or(&[][..], |attr| attr.value);
        known(&name, Attrs::new(data)).unwrap_or(Expression::Unknown { name, data })
    }
}

/// NFTA_DATA_VALUE
fn value(attrs: Attrs<'_>, kind: u16) -> Option<&[u8]> {
    attrs.find(kind)?.nested().find(1).map(|attr| attr.value)
}

fn known<'a>(name: &str, attrs: Attrs<'a>) -> Option<Expression<'a>> {
    let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.be32());
    Some(match name {
        // With a source register these write to the packet.
        "payload" if attrs.find(5).is_none() => {
            Expression::Payload { to: number(1)?, base: number(2)?, offset: number(3)?, length: number(4)? }
        }
        "meta" if attrs.find(3).is_none() => Expression::Meta { to: number(1)?, key: number(2)? },
        // Shifts have another operation.
        "bitwise" if number(6).unwrap_or(0) == 0 => {
            Expression::Bitwise { from: number(1)?, to: number(2)?, mask: value(attrs, 4)?, xor: value(attrs, 5)? }
        }
        "cmp" => Expression::Compare { from: number(1)?, operator: number(2)?, data: value(attrs, 3)? },
        "range" => Expression::Range {
            from: number(1)?,
            negated: number(2)? == 1,
            low: value(attrs, 3)?,
            high: value(attrs, 4)?,
        },
        "counter" => Expression::Counter(read_counters(attrs)),
        // Register 0 takes the verdict.
        "immediate" if number(1)? == 0 => {
            let verdict = attrs.find(2)?.nested().find(2)?.nested();
            Expression::Verdict {
                code: verdict.find(1)?.be32()?.cast_signed(),
                chain: verdict.find(2).map(|attr| attr.text()),
            }
        }
        "limit" => Expression::Limit {
            rate: be64(attrs.find(1)?.value)?,
            unit: be64(attrs.find(2)?.value)?,
            burst: number(3).unwrap_or(0),
            kind: number(4).unwrap_or(0),
            over: number(5).unwrap_or(0) & 1 != 0,
        },
        "log" => Expression::Log {
            group: attrs.find(1).and_then(|attr| attr.be16()),
            prefix: attrs.find(2).map(|attr| attr.text()),
            snaplen: number(3),
            threshold: attrs.find(4).and_then(|attr| attr.be16()),
            level: number(5),
            flags: number(6).unwrap_or(0),
        },
        "match" => {
            let (name, revision, info) = extension(attrs)?;
            Expression::Match { name, revision, info }
        }
        "target" => {
            let (name, revision, info) = extension(attrs)?;
            Expression::Target { name, revision, info }
        }
        _ => return None,
    })
}

/// NFTA_MATCH_NAME, _REV and _INFO; those of targets have the same numbers.
fn extension(attrs: Attrs<'_>) -> Option<(String, u32, Cow<'_, [u8]>)> {
    let revision = attrs.find(2).and_then(|attr| attr.be32()).unwrap_or(0);
    Some((attrs.find(1)?.text(), revision, Cow::Borrowed(attrs.find(3)?.value)))
}
