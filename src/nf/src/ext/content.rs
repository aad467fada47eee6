//! Matches on bytes of the packet: string, u32, bpf, sctp, dccp, frag, devgroup, cgroup, ecn, policy.

use std::fmt::Write as _;

use super::Context;
use super::names::Kind;
use super::packet::push_named;
use super::text::not;
use crate::bytes::Fields;

/// struct xt_string_info, revision 1: offsets, algorithm, pattern, its length, flags.
struct Pattern<'a> {
    from: u16,
    to: u16,
    algorithm: std::borrow::Cow<'a, str>,
    bytes: &'a [u8],
    inverted: bool,
    ignore_case: bool,
}

fn pattern(fields: Fields<'_>) -> Option<Pattern<'_>> {
    let flags = fields.u8(149)?;
    Some(Pattern {
        from: fields.u16(0)?,
        to: fields.u16(2)?,
        algorithm: fields.text(4, 16)?,
        bytes: fields.bytes(20, usize::from(fields.u8(148)?).min(128))?,
        inverted: flags & 1 != 0,
        ignore_case: flags & 2 != 0,
    })
}

/// Whether a pattern has to be written in hexadecimal: as soon as one byte is no printable character.
fn is_hexadecimal(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| !(0x20..0x7f).contains(byte))
}

fn push_pattern(out: &mut String, bytes: &[u8]) {
    out.push('"');
    if is_hexadecimal(bytes) {
        out.push('|');
        for byte in bytes {
            let _ = write!(out, "{byte:02x}");
        }
        out.push('|');
    } else {
        for byte in bytes {
            if matches!(byte, b'"' | b'\\') {
                out.push('\\');
            }
            out.push(char::from(*byte));
        }
    }
    out.push('"');
}

pub(super) fn string_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let found = pattern(fields)?;
    let option = if is_hexadecimal(found.bytes) { "--hex-string" } else { "--string" };
    let _ = write!(out, "{} {option} ", not(found.inverted));
    push_pattern(out, found.bytes);
    let _ = write!(out, " --algo {}", found.algorithm);
    if found.from != 0 {
        let _ = write!(out, " --from {}", found.from);
    }
    if found.to != u16::MAX {
        let _ = write!(out, " --to {}", found.to);
    }
    if found.ignore_case {
        out.push_str(" --icase");
    }
    Some(())
}

pub(super) fn string_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let found = pattern(fields)?;
    let _ = write!(out, " STRING match {} ", if found.inverted { "!" } else { "" });
    push_pattern(out, found.bytes);
    let _ = write!(out, " ALGO name {}", found.algorithm);
    if found.from != 0 {
        let _ = write!(out, " FROM {}", found.from);
    }
    if found.to != u16::MAX {
        let _ = write!(out, " TO {}", found.to);
    }
    if found.ignore_case {
        out.push_str(" ICASE");
    }
    Some(())
}

/// struct xt_u32: up to eleven tests of eleven locations and eleven ranges.
fn u32_text(out: &mut String, fields: Fields<'_>) -> Option<()> {
    const TEST: usize = 180;
    const MOST: usize = 11;
    let tests = usize::from(fields.u8(TEST * MOST)?);
    if tests > MOST {
        return None;
    }
    for test in 0..tests {
        let base = test * TEST;
        let (locations, values) = (usize::from(fields.u8(base + 176)?), usize::from(fields.u8(base + 177)?));
        if locations > MOST || values > MOST {
            return None;
        }
        if test > 0 {
            out.push_str("&&");
        }
        for index in 0..locations {
            let at = base + 8 * index;
            if index > 0 {
                out.push_str(["&", "<<", ">>", "@"].get(usize::from(fields.u8(at + 4)?))?);
            }
            let _ = write!(out, "0x{:x}", fields.u32(at)?);
        }
        out.push('=');
        for index in 0..values {
            let at = base + 88 + 8 * index;
            let (low, high) = (fields.u32(at)?, fields.u32(at + 4)?);
            let comma = if index > 0 { "," } else { "" };
            let _ =
                if low == high { write!(out, "{comma}0x{low:x}") } else { write!(out, "{comma}0x{low:x}:0x{high:x}") };
        }
    }
    Some(())
}

pub(super) fn u32_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, "{} --u32 \"", not(fields.u8(1981)? != 0));
    u32_text(out, fields)?;
    out.push('"');
    Some(())
}

pub(super) fn u32_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " u32{} \"", not(fields.u8(1981)? != 0));
    u32_text(out, fields)?;
    out.push('"');
    Some(())
}

/// struct xt_bpf_info: a length and as many instructions (struct sock_filter).
fn bpf_text(out: &mut String, fields: Fields<'_>, count_at: usize, program: usize) -> Option<()> {
    let count = usize::from(fields.u16(count_at)?);
    if count > 64 {
        return None;
    }
    for index in 0..count {
        let at = program + 8 * index;
        let (code, yes, no) = (fields.u16(at)?, fields.u8(at + 2)?, fields.u8(at + 3)?);
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(out, "{comma}{code} {yes} {no} {}", fields.u32(at + 4)?);
    }
    Some(())
}

pub(super) fn bpf0_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " --bytecode \"{},", fields.u16(0)?);
    bpf_text(out, fields, 0, 4)?;
    out.push('"');
    Some(())
}

pub(super) fn bpf0_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str("match bpf ");
    bpf_text(out, fields, 0, 4)
}

/// struct xt_bpf_info_v1: a mode first.
pub(super) fn bpf1_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    match fields.u16(0)? {
        0 => {
            let _ = write!(out, " --bytecode \"{},", fields.u16(2)?);
            bpf_text(out, fields, 2, 8)?;
            out.push('"');
        }
        1 => {
            let _ = write!(out, " --object-pinned {}", fields.text(8, 512)?);
        }
        _ => return None,
    }
    Some(())
}

pub(super) fn bpf1_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str("match bpf ");
    match fields.u16(0)? {
        0 => bpf_text(out, fields, 2, 8),
        1 => {
            let _ = write!(out, "pinned {}", fields.text(8, 512)?);
            Some(())
        }
        _ => None,
    }
}

/// struct xt_devgroup_info
fn devgroup(out: &mut String, fields: Fields<'_>, context: &Context<'_>, words: [&str; 2]) -> Option<()> {
    let flags = fields.u32(0)?;
    for (word, (bit, inverted, at)) in words.into_iter().zip([(1, 2, 4), (4, 8, 12)]) {
        if flags & bit != 0 {
            let (group, mask) = (fields.u32(at)?, fields.u32(at + 4)?);
            let _ = write!(out, "{} {word} ", not(flags & inverted != 0));
            push_named(out, Kind::Devices, group, mask, context);
        }
    }
    Some(())
}

pub(super) fn devgroup_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    devgroup(out, fields, context, ["--src-group", "--dst-group"])
}

pub(super) fn devgroup_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    devgroup(out, fields, context, ["src-group", "dst-group"])
}

/// struct xt_cgroup_info_v0
pub(super) fn cgroup0_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, "{} --cgroup {}", not(fields.u32(4)? != 0), fields.u32(0)?);
    Some(())
}

pub(super) fn cgroup0_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " cgroup {}{}", if fields.u32(4)? != 0 { "! " } else { "" }, fields.u32(0)?);
    Some(())
}

/// struct xt_cgroup_info_v1 and 2: a path or a class.
fn cgroup(out: &mut String, fields: Fields<'_>, save: bool) -> Option<()> {
    for (flag, inverted, option) in [(0, 2, "path"), (1, 3, "cgroup")] {
        if fields.u8(flag)? == 0 {
            continue;
        }
        let negated = fields.u8(inverted)? != 0;
        let _ = if save {
            write!(out, "{} --{option} ", not(negated))
        } else {
            write!(out, " cgroup {}", if negated { "! " } else { "" })
        };
        // The class shares its place with the path.
        let _ = if flag == 0 {
            write!(out, "{}", fields.text(4, fields.0.len().checked_sub(4)?)?)
        } else {
            write!(out, "{}", fields.u32(4)?)
        };
    }
    Some(())
}

pub(super) fn cgroup_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    cgroup(out, fields, true)
}

pub(super) fn cgroup_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    cgroup(out, fields, false)
}

/// struct ip6t_frag
pub(super) fn frag_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let (low, high, length) = (fields.u32(0)?, fields.u32(4)?, fields.u32(8)?);
    let (flags, inverted) = (fields.u8(12)?, fields.u8(13)?);
    super::text::save_range(out, "--fragid", (low, high), (0, u32::MAX), inverted & 1 != 0);
    if flags & 0x02 != 0 {
        let _ = write!(out, "{} --fraglen {length}", not(inverted & 2 != 0));
    }
    for (bit, option) in [(0x04, " --fragres"), (0x08, " --fragfirst"), (0x10, " --fragmore"), (0x20, " --fraglast")] {
        if flags & bit != 0 {
            out.push_str(option);
        }
    }
    Some(())
}

pub(super) fn frag_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let (low, high, length) = (fields.u32(0)?, fields.u32(4)?, fields.u32(8)?);
    let (flags, inverted) = (fields.u8(12)?, fields.u8(13)?);
    out.push_str(" frag ");
    super::text::list_range(out, "id", (low, high), (0, u32::MAX), inverted & 1 != 0);
    if flags & 0x02 != 0 {
        let _ = write!(out, " length:{}{length}", if inverted & 2 != 0 { "!" } else { "" });
    }
    for (bit, word) in [(0x04, " reserved"), (0x08, " first"), (0x10, " more"), (0x20, " last")] {
        if flags & bit != 0 {
            out.push_str(word);
        }
    }
    Some(())
}
