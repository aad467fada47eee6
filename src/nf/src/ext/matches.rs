//! Matches.

use std::fmt::Write as _;

use super::text::{flag, not, push_mark, push_quoted};
use super::{Context, Definition, Writer, ports};
use crate::bytes::Fields;

const fn both(name: &'static str, revisions: (u8, u8), save: Writer, list: Writer) -> Definition {
    Definition { name, revisions, family: None, save, list }
}

pub(super) static TABLE: &[Definition] = &[
    both("comment", (0, 0), comment_save, comment_list),
    both("tcp", (0, 0), ports::tcp_save, ports::tcp_list),
    both("udp", (0, 0), ports::udp_save, ports::udp_list),
    both("multiport", (1, 1), ports::multiport_save, ports::multiport_list),
    both("mark", (1, 1), mark_save, mark_list),
    both("connmark", (1, 1), mark_save, connmark_list),
    both("limit", (0, 0), limit_save, limit_list),
    both("statistic", (0, 0), statistic_save, statistic_list),
    both("addrtype", (1, 1), addrtype_save, addrtype_list),
];

fn comment_save(out: &mut String, fields: Fields<'_>, _: &Context) -> Option<()> {
    out.push_str(" --comment");
    push_quoted(out, &fields.text(0, 256)?);
    Some(())
}

fn comment_list(out: &mut String, fields: Fields<'_>, _: &Context) -> Option<()> {
    let _ = write!(out, " /* {} */", fields.text(0, 256)?);
    Some(())
}

/// struct xt_mark_mtinfo1, struct xt_connmark_mtinfo1
fn mark_save(out: &mut String, fields: Fields<'_>, _: &Context) -> Option<()> {
    let _ = write!(out, "{} --mark", not(flag(fields, 8)?));
    push_mark(out, fields.u32(0)?, fields.u32(4)?);
    Some(())
}

fn mark_list(out: &mut String, fields: Fields<'_>, _: &Context) -> Option<()> {
    let _ = write!(out, " mark match{}", not(flag(fields, 8)?));
    push_mark(out, fields.u32(0)?, fields.u32(4)?);
    Some(())
}

fn connmark_list(out: &mut String, fields: Fields<'_>, _: &Context) -> Option<()> {
    out.push_str(" connmark match ");
    if flag(fields, 8)? {
        out.push('!');
    }
    push_mark(out, fields.u32(0)?, fields.u32(4)?);
    Some(())
}

/// Packets a unit of time from the distance between two packets, in units of 100 microseconds.
fn push_rate(out: &mut String, period: u32) {
    const SECOND: u32 = 10_000;
    const UNITS: [(&str, u32); 4] =
        [("day", 86_400 * SECOND), ("hour", 3_600 * SECOND), ("min", 60 * SECOND), ("sec", SECOND)];
    if period == 0 {
        out.push_str(" inf");
        return;
    }
    // The finest unit in which the rate is a whole number that loses little.
    let mut chosen = UNITS[0];
    for unit in UNITS.into_iter().skip(1) {
        if period > unit.1 || unit.1 / period < unit.1 % period {
            break;
        }
        chosen = unit;
    }
    let _ = write!(out, " {}/{}", chosen.1 / period, chosen.0);
}

/// struct xt_rateinfo
fn limit_save(out: &mut String, fields: Fields<'_>, _: &Context) -> Option<()> {
    /// XT_LIMIT_BURST of libxt_limit
    const BURST: u32 = 5;
    out.push_str(" --limit");
    push_rate(out, fields.u32(0)?);
    let burst = fields.u32(4)?;
    if burst != BURST {
        let _ = write!(out, " --limit-burst {burst}");
    }
    Some(())
}

fn limit_list(out: &mut String, fields: Fields<'_>, _: &Context) -> Option<()> {
    out.push_str(" limit: avg");
    push_rate(out, fields.u32(0)?);
    let _ = write!(out, " burst {}", fields.u32(4)?);
    Some(())
}

fn statistic(out: &mut String, fields: Fields<'_>, dashes: &str) -> Option<()> {
    let not = not(fields.u16(2)? & 1 != 0);
    let _ = match fields.u16(0)? {
        0 => {
            let probability = f64::from(fields.u32(4)?) / f64::from(0x8000_0000u32);
            write!(out, " {dashes}mode random{not} {dashes}probability {probability:.11}")
        }
        1 => {
            let every = u64::from(fields.u32(4)?) + 1;
            write!(out, " {dashes}mode nth{not} {dashes}every {every} {dashes}packet {}", fields.u32(8)?)
        }
        _ => return None,
    };
    Some(())
}

/// struct xt_statistic_info
fn statistic_save(out: &mut String, fields: Fields<'_>, _: &Context) -> Option<()> {
    statistic(out, fields, "--")
}

fn statistic_list(out: &mut String, fields: Fields<'_>, _: &Context) -> Option<()> {
    out.push_str(" statistic");
    statistic(out, fields, "")
}

/// Names of address types by bit (linux/rtnetlink.h, RTN_*).
const ADDRESS_TYPES: [&str; 12] = [
    "UNSPEC",
    "UNICAST",
    "LOCAL",
    "BROADCAST",
    "ANYCAST",
    "MULTICAST",
    "BLACKHOLE",
    "UNREACHABLE",
    "PROHIBIT",
    "THROW",
    "NAT",
    "XRESOLVE",
];

fn push_types(out: &mut String, types: u16) {
    let mut any = false;
    for (bit, name) in ADDRESS_TYPES.iter().enumerate() {
        if types >> bit & 1 == 1 {
            if any {
                out.push(',');
            }
            out.push_str(name);
            any = true;
        }
    }
}

/// struct xt_addrtype_info_v1
fn addrtype_save(out: &mut String, fields: Fields<'_>, _: &Context) -> Option<()> {
    let flags = fields.u32(4)?;
    for (offset, option, inverted) in [(0, "--src-type", 0x01), (2, "--dst-type", 0x02)] {
        let types = fields.u16(offset)?;
        if types != 0 {
            let _ = write!(out, "{} {option} ", not(flags & inverted != 0));
            push_types(out, types);
        }
    }
    for (option, bit) in [(" --limit-iface-in", 0x04), (" --limit-iface-out", 0x08)] {
        if flags & bit != 0 {
            out.push_str(option);
        }
    }
    Some(())
}

fn addrtype_list(out: &mut String, fields: Fields<'_>, _: &Context) -> Option<()> {
    let flags = fields.u32(4)?;
    out.push_str(" ADDRTYPE match");
    for (offset, word, inverted) in [(0, "src-type", 0x01), (2, "dst-type", 0x02)] {
        let types = fields.u16(offset)?;
        if types != 0 {
            let not = if flags & inverted != 0 { "!" } else { "" };
            let _ = write!(out, " {word} {not}");
            push_types(out, types);
        }
    }
    for (word, bit) in [(" limit-in", 0x04), (" limit-out", 0x08)] {
        if flags & bit != 0 {
            out.push_str(word);
        }
    }
    Some(())
}
