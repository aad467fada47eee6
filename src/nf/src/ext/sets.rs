//! The match `set` and the target `SET` (linux/netfilter/xt_set.h).

use std::fmt::Write as _;

use super::Context;
use super::text::not;
use crate::bytes::Fields;

/// Revisions of the match: 1, 2 and then with counters in two layouts.
const NO_SET: u16 = u16::MAX;

/// Appends the name and the dimensions of a struct xt_set_info.
fn push_set(out: &mut String, fields: Fields<'_>, at: usize, context: &Context<'_>) -> Option<()> {
    let (index, dimensions, flags) = (fields.u16(at)?, fields.u8(at + 2)?, fields.u8(at + 3)?);
    if dimensions > 6 {
        return None;
    }
    match (context.sets)(index) {
        Some(name) => out.push_str(&name),
        // Its number in place of a name that nobody could find out.
        None => {
            let _ = write!(out, "[set {index}]");
        }
    }
    for dimension in 1..=dimensions {
        out.push(if dimension == 1 { ' ' } else { ',' });
        out.push_str(if flags >> dimension & 1 == 1 { "src" } else { "dst" });
    }
    Some(())
}

fn set_match(out: &mut String, fields: Fields<'_>, context: &Context<'_>, dashes: &str) -> Option<()> {
    /// IPSET_INV_MATCH
    const INVERTED: u8 = 0x01;
    let _ = write!(out, "{} {dashes}match-set ", not(fields.u8(3)? & INVERTED != 0));
    push_set(out, fields, 0, context)
}

/// struct xt_set_info_match_v1
pub(super) fn match1_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    set_match(out, fields, context, "--")
}

pub(super) fn match1_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    set_match(out, fields, context, "")
}

/// Counters of revisions 3 and 4: the operation lies before or after the value.
fn counters(out: &mut String, fields: Fields<'_>, dashes: &str, operation_first: bool) -> Option<()> {
    /// IPSET_FLAG_*
    const RETURN_NO_MATCH: u32 = 1 << 7;
    const SKIP_UPDATE: u32 = 1 << 3;
    const SKIP_SUBCOUNTERS: u32 = 1 << 4;
    let flags = fields.u32(40)?;
    for (bit, word, negation) in [
        (RETURN_NO_MATCH, "return-nomatch", ""),
        (SKIP_UPDATE, "update-counters", " !"),
        (SKIP_SUBCOUNTERS, "update-subcounters", " !"),
    ] {
        if flags & bit != 0 {
            let _ = write!(out, "{negation} {dashes}{word}");
        }
    }
    for (at, word) in [(8, "packets"), (24, "bytes")] {
        let (operation, value) = match operation_first {
            true => (fields.u8(at)?, fields.u64(at + 8)?),
            false => (fields.u8(at + 8)?, fields.u64(at)?),
        };
        let _ = match operation {
            0 => Ok(()),
            1 => write!(out, " {dashes}{word}-eq {value}"),
            2 => write!(out, " ! {dashes}{word}-eq {value}"),
            3 => write!(out, " {dashes}{word}-lt {value}"),
            4 => write!(out, " {dashes}{word}-gt {value}"),
            _ => return None,
        };
    }
    Some(())
}

pub(super) fn match3_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    set_match(out, fields, context, "--")?;
    counters(out, fields, "--", true)
}

pub(super) fn match3_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    set_match(out, fields, context, "")?;
    counters(out, fields, "", true)
}

pub(super) fn match4_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    set_match(out, fields, context, "--")?;
    counters(out, fields, "--", false)
}

pub(super) fn match4_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    set_match(out, fields, context, "")?;
    counters(out, fields, "", false)
}

/// struct xt_set_info_target_v1 to v3: sets to add to, to remove from and to map with, then flags and a timeout.
fn target(out: &mut String, fields: Fields<'_>, context: &Context<'_>, dashes: &str, revision: u8) -> Option<()> {
    const EXIST: u32 = 1;
    let sets: &[(usize, &str)] = match revision {
        3 => &[(0, "add-set"), (4, "del-set"), (8, "map-set")],
        _ => &[(0, "add-set"), (4, "del-set")],
    };
    let (flags, timeout) = match revision {
        1 => (0, u32::MAX),
        2 => (fields.u32(8)?, fields.u32(12)?),
        _ => (fields.u32(12)?, fields.u32(16)?),
    };
    for (at, word) in sets {
        if fields.u16(*at)? == NO_SET {
            continue;
        }
        let _ = write!(out, " {dashes}{word} ");
        push_set(out, fields, *at, context)?;
        if *word == "add-set" {
            if flags & EXIST != 0 {
                let _ = write!(out, " {dashes}exist");
            }
            if timeout != u32::MAX {
                let _ = write!(out, " {dashes}timeout {timeout}");
            }
        }
        if *word == "map-set" {
            for (bit, name) in [(1 << 8, "map-mark"), (1 << 9, "map-prio"), (1 << 10, "map-queue")] {
                if flags & bit != 0 {
                    let _ = write!(out, " {dashes}{name}");
                }
            }
        }
    }
    Some(())
}

pub(super) fn target1_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    target(out, fields, context, "--", 1)
}

pub(super) fn target1_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    target(out, fields, context, "", 1)
}

pub(super) fn target2_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    target(out, fields, context, "--", 2)
}

pub(super) fn target2_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    target(out, fields, context, "", 2)
}

pub(super) fn target3_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    target(out, fields, context, "--", 3)
}

pub(super) fn target3_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    target(out, fields, context, "", 3)
}
