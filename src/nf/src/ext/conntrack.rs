//! conntrack and state (linux/netfilter/xt_conntrack.h, revisions 1 to 3; linux/netfilter/xt_state.h).

use std::fmt::Write as _;

use super::Context;
use super::text::{not, push_network};
use crate::bytes::Fields;
use crate::model::{Extension, Masked};

/// XT_CONNTRACK_*
mod flags {
    pub(super) const STATE: u16 = 1;
    pub(super) const PROTOCOL: u16 = 1 << 1;
    pub(super) const STATUS: u16 = 1 << 6;
    pub(super) const EXPIRES: u16 = 1 << 7;
    pub(super) const DIRECTION: u16 = 1 << 12;
    pub(super) const STATE_ALIAS: u16 = 1 << 13;
}

/// Offsets of match_flags and invert_flags.
const FLAGS: usize = 146;
const INVERTED: usize = 148;

/// State bits in the order iptables writes them (XT_CONNTRACK_STATE_*).
const STATES: [(u16, &str); 7] = [
    (1 << 0, "INVALID"),
    (1 << 3, "NEW"),
    (1 << 2, "RELATED"),
    (1 << 1, "ESTABLISHED"),
    (1 << 8, "UNTRACKED"),
    (1 << 6, "SNAT"),
    (1 << 7, "DNAT"),
];
/// Status bits (enum ip_conntrack_status), in the order iptables writes them.
const STATUSES: [(u16, &str); 4] =
    [(1, "EXPECTED"), (1 << 1, "SEEN_REPLY"), (1 << 2, "ASSURED"), (1 << 3, "CONFIRMED")];

/// Whether the rule was written with `-m state`.
pub(super) fn is_state_alias(found: &Extension<'_>) -> bool {
    found.name == "conntrack" && Fields(&found.data).u16(FLAGS).is_some_and(|flags| flags & flags::STATE_ALIAS != 0)
}

fn push_names(out: &mut String, bits: u16, names: &[(u16, &str)]) {
    let chosen: Vec<&str> = names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    let _ = write!(out, " {}", chosen.join(","));
}

fn masks(fields: Fields<'_>, revision: u8) -> Option<(u16, u16)> {
    match revision {
        1 => Some((fields.u8(150)?.into(), fields.u8(151)?.into())),
        _ => Some((fields.u16(150)?, fields.u16(152)?)),
    }
}

fn dump(out: &mut String, fields: Fields<'_>, context: &Context<'_>, revision: u8, dashes: &str) -> Option<()> {
    let (wanted, inverted) = (fields.u16(FLAGS)?, fields.u16(INVERTED)?);
    let (states, statuses) = masks(fields, revision)?;
    let word = |out: &mut String, bit: u16, name: &str| {
        let _ = write!(out, "{} {dashes}{name}", not(inverted & bit != 0));
    };
    if wanted & flags::STATE != 0 {
        word(out, flags::STATE, if wanted & flags::STATE_ALIAS != 0 { "state" } else { "ctstate" });
        push_names(out, states, &STATES);
    }
    if wanted & flags::PROTOCOL != 0 {
        word(out, flags::PROTOCOL, "ctproto");
        let _ = write!(out, " {}", fields.u16(136)?);
    }
    for (index, name) in ["ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst"].into_iter().enumerate() {
        let bit = 1 << (2 + index);
        if wanted & bit != 0 {
            word(out, bit, name);
            let (address, mask) = (32 * index, 32 * index + 16);
            let value = Masked {
                address: fields.address(address, context.family)?,
                mask: fields.address(mask, context.family)?,
            };
            out.push(' ');
            push_network(out, &value);
        }
    }
    for (index, name) in ["ctorigsrcport", "ctorigdstport", "ctreplsrcport", "ctrepldstport"].into_iter().enumerate() {
        let bit = 1 << (8 + index);
        if wanted & bit != 0 {
            word(out, bit, name);
            let at = 138 + 2 * index;
            if revision < 3 {
                let _ = write!(out, " {}", fields.be16(at)?);
            } else {
                let (low, high) = (fields.u16(at)?, fields.u16(154 + 2 * index)?);
                let _ = if low == high || high == 0 { write!(out, " {low}") } else { write!(out, " {low}:{high}") };
            }
        }
    }
    if wanted & flags::STATUS != 0 {
        word(out, flags::STATUS, "ctstatus");
        if statuses & 0xf == 0 {
            out.push_str(" NONE");
        } else {
            push_names(out, statuses, &STATUSES);
        }
    }
    if wanted & flags::EXPIRES != 0 {
        word(out, flags::EXPIRES, "ctexpire");
        let (low, high) = (fields.u32(128)?, fields.u32(132)?);
        let _ = if low == high { write!(out, " {low}") } else { write!(out, " {low}:{high}") };
    }
    if wanted & flags::DIRECTION != 0 {
        let direction = if inverted & flags::DIRECTION != 0 { "REPLY" } else { "ORIGINAL" };
        let _ = write!(out, " {dashes}ctdir {direction}");
    }
    Some(())
}

pub(super) fn save1(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    dump(out, fields, context, 1, "--")
}

pub(super) fn list1(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    dump(out, fields, context, 1, "")
}

pub(super) fn save2(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    dump(out, fields, context, 2, "--")
}

pub(super) fn list2(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    dump(out, fields, context, 2, "")
}

pub(super) fn save3(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    dump(out, fields, context, 3, "--")
}

pub(super) fn list3(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    dump(out, fields, context, 3, "")
}

/// struct xt_state_info
fn state(out: &mut String, fields: Fields<'_>, dashes: &str) -> Option<()> {
    let bits = u16::try_from(fields.u32(0)?).ok()?;
    let _ = write!(out, " {dashes}state");
    // Here UNTRACKED has the bit that follows the five states of a connection.
    const OLD: [(u16, &str); 5] =
        [(1, "INVALID"), (1 << 3, "NEW"), (1 << 2, "RELATED"), (1 << 1, "ESTABLISHED"), (1 << 6, "UNTRACKED")];
    push_names(out, bits, &OLD);
    Some(())
}

pub(super) fn state_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    state(out, fields, "--")
}

pub(super) fn state_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    state(out, fields, "")
}
