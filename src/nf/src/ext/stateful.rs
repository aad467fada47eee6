//! Matches that remember: recent, hashlimit, connlimit, quota, nfacct.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use super::Context;
use super::text::{not, push_list};
use crate::bytes::{Fields, Shown};
use crate::model::Family;
use crate::save::prefix_length;

/// XT_RECENT_*
mod recent_flags {
    pub(super) const CHECK: u8 = 0x01;
    pub(super) const SET: u8 = 0x02;
    pub(super) const UPDATE: u8 = 0x04;
    pub(super) const REMOVE: u8 = 0x08;
    pub(super) const TTL: u8 = 0x10;
    pub(super) const REAP: u8 = 0x20;
}

/// The verb of a recent match, as an option and as a word.
fn recent_verb(flags: u8) -> Option<(&'static str, &'static str)> {
    [
        (recent_flags::SET, "--set", "SET"),
        (recent_flags::CHECK, "--rcheck", "CHECK"),
        (recent_flags::UPDATE, "--update", "UPDATE"),
        (recent_flags::REMOVE, "--remove", "REMOVE"),
    ]
    .into_iter()
    .find(|(bit, ..)| flags & bit != 0)
    .map(|(_, option, word)| (option, word))
}

/// struct xt_recent_mtinfo, and xt_recent_mtinfo_v1, which has a mask.
pub(super) fn recent_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (seconds, hits, flags) = (fields.u32(0)?, fields.u32(4)?, fields.u8(8)?);
    let _ = write!(out, "{} {}", not(fields.u8(9)? != 0), recent_verb(flags)?.0);
    if seconds != 0 {
        let _ = write!(out, " --seconds {seconds}");
    }
    if flags & recent_flags::REAP != 0 {
        out.push_str(" --reap");
    }
    if hits != 0 {
        let _ = write!(out, " --hitcount {hits}");
    }
    if flags & recent_flags::TTL != 0 {
        out.push_str(" --rttl");
    }
    let _ = write!(out, " --name {}", fields.text(10, 200)?);
    if let Some(mask) = recent_mask(fields, context) {
        let _ = write!(out, " --mask {mask}");
    }
    out.push_str(if fields.u8(210)? == 0 { " --rsource" } else { " --rdest" });
    Some(())
}

fn recent_mask(fields: Fields<'_>, context: &Context<'_>) -> Option<Shown> {
    // Revision 0 ends before the mask.
    fields.address(212, context.family).filter(|_| fields.0.len() >= 228).map(Shown)
}

pub(super) fn recent_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (seconds, hits, flags) = (fields.u32(0)?, fields.u32(4)?, fields.u8(8)?);
    let _ = write!(out, "{} recent: {}", not(fields.u8(9)? != 0), recent_verb(flags)?.1);
    if seconds != 0 {
        let _ = write!(out, " seconds: {seconds}");
    }
    if flags & recent_flags::REAP != 0 {
        out.push_str(" reap");
    }
    if hits != 0 {
        let _ = write!(out, " hit_count: {hits}");
    }
    if flags & recent_flags::TTL != 0 {
        out.push_str(" TTL-Match");
    }
    let side = if fields.u8(210)? == 0 { "source" } else { "dest" };
    let _ = write!(out, " name: {} side: {side}", fields.text(10, 200)?);
    if let Some(mask) = recent_mask(fields, context) {
        let _ = write!(out, " mask: {mask}");
    }
    Some(())
}

/// XT_HASHLIMIT_*
mod hash_flags {
    pub(super) const KEYS: [(u32, &str); 4] = [(4, "srcip"), (8, "srcport"), (1, "dstip"), (2, "dstport")];
    pub(super) const INVERTED: u32 = 16;
    pub(super) const BYTES: u32 = 32;
    pub(super) const RATE_MATCH: u32 = 64;
}

/// What the revisions of hashlimit have in common.
struct HashLimit<'a> {
    name: std::borrow::Cow<'a, str>,
    /// Units a second in which the average counts.
    scale: u64,
    average: u64,
    burst: u64,
    mode: u32,
    size: u32,
    max: u32,
    gc_interval: u32,
    expire: u32,
    /// Seconds over which a rate is matched; only the third revision has it.
    interval: u32,
    source_mask: u8,
    destination_mask: u8,
}

/// struct xt_hashlimit_mtinfo1 to 3
fn hashlimit(fields: Fields<'_>, revision: u8) -> Option<HashLimit<'_>> {
    if revision == 1 {
        return Some(HashLimit {
            name: fields.text(0, 16)?,
            scale: 10_000,
            mode: fields.u32(16)?,
            average: fields.u32(20)?.into(),
            burst: fields.u32(24)?.into(),
            size: fields.u32(28)?,
            max: fields.u32(32)?,
            gc_interval: fields.u32(36)?,
            expire: fields.u32(40)?,
            interval: 0,
            source_mask: fields.u8(44)?,
            destination_mask: fields.u8(45)?,
        });
    }
    let masks = if revision == 2 { 292 } else { 296 };
    Some(HashLimit {
        name: fields.text(0, 255)?,
        scale: 1_000_000,
        average: fields.u64(256)?,
        burst: fields.u64(264)?,
        mode: fields.u32(272)?,
        size: fields.u32(276)?,
        max: fields.u32(280)?,
        gc_interval: fields.u32(284)?,
        expire: fields.u32(288)?,
        interval: if revision == 2 { 0 } else { fields.u32(292)? },
        source_mask: fields.u8(masks)?,
        destination_mask: fields.u8(masks + 1)?,
    })
}

/// Appends the rate; the time after which an entry expires by itself, in milliseconds.
fn push_hash_rate(out: &mut String, period: u64, scale: u64) -> Option<u32> {
    let units =
        [("day", 86_400), ("hour", 3_600), ("min", 60), ("sec", 1)].map(|(name, seconds)| (name, seconds * scale));
    if period == 0 {
        out.push_str(" inf");
        return Some(0);
    }
    let mut chosen = *units.first()?;
    for unit in units.into_iter().skip(1) {
        if period > unit.1 || unit.1 / period < unit.1 % period {
            break;
        }
        chosen = unit;
    }
    let _ = write!(out, " {}/{}", chosen.1 / period, chosen.0);
    u32::try_from(chosen.1 / scale * 1000).ok()
}

/// Units of a rate of bytes.
const BYTE_UNITS: [(u64, &str); 3] = [(1 << 20, "m"), (1 << 10, "k"), (1, "")];

/// Appends a rate of bytes, which the structure holds as the cost of sixteen of them, and the burst in bytes; gives the
/// time after which an entry expires by itself, in milliseconds.
fn push_byte_rate(out: &mut String, cost: u64, burst: u64, dashes: &str) -> u32 {
    /// XT_HASHLIMIT_BYTE_SHIFT
    const SHIFT: u32 = 4;
    const WHOLE: u64 = u32::MAX as u64;
    let rate = WHOLE.checked_div(cost).unwrap_or(WHOLE).wrapping_sub(1).wrapping_shl(SHIFT);
    // The peer compares 32 bits of the rate.
    let is_exact = |unit: u64| WHOLE / (((rate & !(unit - 1) & WHOLE) >> SHIFT) + 1) == cost;
    let (unit, name) = BYTE_UNITS.into_iter().find(|(unit, _)| rate >= *unit && is_exact(*unit)).unwrap_or((1, ""));
    let _ = write!(out, " {}{name}b/s", rate / unit);
    if burst == 0 {
        return 15_000;
    }
    let total = rate.wrapping_mul(burst);
    let (unit, name) = BYTE_UNITS.into_iter().find(|(unit, _)| total >= *unit).unwrap_or((1, ""));
    let _ = write!(out, " {dashes}burst {}{name}b", total / unit);
    60_000
}

fn hash_dump(out: &mut String, fields: Fields<'_>, context: &Context<'_>, revision: u8, save: bool) -> Option<()> {
    const GC_INTERVAL: u32 = 1000;
    let found = hashlimit(fields, revision)?;
    let above = found.mode & hash_flags::INVERTED != 0;
    out.push_str(match (save, above) {
        (true, true) => " --hashlimit-above",
        (true, false) => " --hashlimit-upto",
        (false, true) => " limit: above",
        (false, false) => " limit: up to",
    });
    let dashes = if save { "--hashlimit-" } else { "" };
    let expire = if found.mode & hash_flags::BYTES != 0 {
        push_byte_rate(out, found.average, found.burst, dashes)
    } else {
        // A list shows the rate as it was given, the saved form as it is stored.
        let times = if save || found.interval == 0 { 1 } else { u64::from(found.interval) };
        let expire = push_hash_rate(out, found.average.wrapping_mul(times), found.scale)?;
        let _ = write!(out, " {dashes}burst {}", found.burst);
        expire
    };
    if hash_flags::KEYS.iter().any(|(bit, _)| found.mode & bit != 0) {
        let _ = write!(out, " {dashes}mode ");
        push_list(out, found.mode, &hash_flags::KEYS, if save { "," } else { "-" });
    }
    if save {
        let _ = write!(out, " --hashlimit-name {}", found.name);
    }
    let bits = context.family.bits();
    for (word, value, unless) in [
        ("htable-size", found.size, 0),
        ("htable-max", found.max, 0),
        ("htable-gcinterval", found.gc_interval, GC_INTERVAL),
        ("htable-expire", found.expire, expire),
        ("srcmask", found.source_mask.into(), bits.into()),
        ("dstmask", found.destination_mask.into(), bits.into()),
    ] {
        if value != unless {
            let _ = write!(out, " {dashes}{word} {value}");
        }
    }
    if revision == 3 && found.mode & hash_flags::RATE_MATCH != 0 {
        let _ = write!(out, " {dashes}rate-match");
        if found.interval != 1 {
            let _ = write!(out, " {dashes}rate-interval {}", found.interval);
        }
    }
    Some(())
}

pub(super) fn hash1_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    hash_dump(out, fields, context, 1, true)
}

pub(super) fn hash1_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    hash_dump(out, fields, context, 1, false)
}

pub(super) fn hash2_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    hash_dump(out, fields, context, 2, true)
}

pub(super) fn hash2_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    hash_dump(out, fields, context, 2, false)
}

pub(super) fn hash3_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    hash_dump(out, fields, context, 3, true)
}

pub(super) fn hash3_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    hash_dump(out, fields, context, 3, false)
}

/// struct xt_connlimit_info, revision 1: mask, limit, flags.
fn connlimit(fields: Fields<'_>, context: &Context<'_>) -> Option<(u32, u32, bool, bool)> {
    let mask = match context.family {
        Family::Ipv4 => IpAddr::from(Ipv4Addr::from(fields.array::<4>(0)?)),
        Family::Ipv6 => fields.address(0, Family::Ipv6)?,
    };
    let flags = fields.u32(20)?;
    Some((prefix_length(mask)?, fields.u32(16)?, flags & 1 != 0, flags & 2 != 0))
}

pub(super) fn connlimit_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (bits, limit, upto, destination) = connlimit(fields, context)?;
    let option = if upto { "upto" } else { "above" };
    let side = if destination { "daddr" } else { "saddr" };
    let _ = write!(out, " --connlimit-{option} {limit} --connlimit-mask {bits} --connlimit-{side}");
    Some(())
}

pub(super) fn connlimit_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (bits, limit, upto, destination) = connlimit(fields, context)?;
    let side = if destination { "dst" } else { "src" };
    let _ = write!(out, " #conn {side}/{bits} {} {limit}", if upto { "<=" } else { ">" });
    Some(())
}

/// struct xt_quota_info
pub(super) fn quota_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, "{} --quota {}", not(fields.u32(0)? & 1 != 0), fields.u64(8)?);
    Some(())
}

pub(super) fn quota_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " quota: {} bytes", fields.u64(8)?);
    Some(())
}

/// struct nf_acct in struct xt_nfacct_match_info: a name.
pub(super) fn nfacct_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " --nfacct-name  {}", fields.text(0, 32)?);
    Some(())
}

pub(super) fn nfacct_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " nfacct-name  {}", fields.text(0, 32)?);
    Some(())
}
