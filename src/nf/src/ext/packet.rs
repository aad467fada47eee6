//! Matches on headers and on what the kernel knows of a packet: time, policy, ecn, cluster, osf, connbytes, connlabel, tos,
//! ipcomp, rateest, ipvs.

use std::fmt::Write as _;

use netkit_core::civil_from_unix;

use super::Context;
use super::names::{Kind, TOS, name_of};
use super::text::{not, push_list, push_network};
use crate::bytes::Fields;
use crate::model::Masked;

/// One day, in seconds.
const DAY: u32 = 86_400;
/// What XT_TIME_ALL_MONTHDAYS, XT_TIME_ALL_WEEKDAYS and an open end look like (linux/netfilter/xt_time.h).
const ALL_MONTHDAYS: u32 = 0xffff_fffe;
const ALL_WEEKDAYS: u8 = 0xfe;
const FOREVER: u32 = i32::MAX.cast_unsigned();
const WEEKDAYS: [(u32, &str); 7] =
    [(2, "Mon"), (4, "Tue"), (8, "Wed"), (16, "Thu"), (32, "Fri"), (64, "Sat"), (128, "Sun")];

fn push_clock(out: &mut String, seconds: u32) {
    let _ = write!(out, " {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

fn push_date(out: &mut String, seconds: u32, between: char) {
    let date = civil_from_unix(i64::from(seconds));
    let _ = write!(
        out,
        " {:04}-{:02}-{:02}{between}{:02}:{:02}:{:02}",
        date.year, date.month, date.day, date.hour, date.minute, date.second
    );
}

/// struct xt_time_info
pub(super) fn time(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (from, until) = (fields.u32(0)?, fields.u32(4)?);
    let (start, stop) = (fields.u32(8)?, fields.u32(12)?);
    let (monthdays, weekdays, flags) = (fields.u32(16)?, fields.u8(20)?, fields.u8(21)?);
    let save = context.save;
    let daily = (start, stop) != (0, DAY - 1);
    if !save {
        out.push_str(" TIME");
    }
    if daily {
        out.push_str(if save { " --timestart" } else { " from" });
        push_clock(out, start);
        out.push_str(if save { " --timestop" } else { " to" });
        push_clock(out, stop);
    }
    // A list names the days of the week first, the options those of the month.
    if !save && weekdays != ALL_WEEKDAYS {
        out.push_str(" on ");
        push_list(out, weekdays.into(), &WEEKDAYS, ",");
    }
    if monthdays != ALL_MONTHDAYS {
        out.push_str(if save { " --monthdays " } else { " on " });
        let mut comma = "";
        for day in (1..32u32).filter(|day| monthdays >> day & 1 == 1) {
            let ordinal = match day % 10 {
                _ if save => "",
                1 => "st",
                2 => "nd",
                3 => "rd",
                _ => "th",
            };
            let _ = write!(out, "{comma}{day}{ordinal}");
            comma = ",";
        }
    }
    if save && weekdays != ALL_WEEKDAYS {
        out.push_str(" --weekdays ");
        push_list(out, weekdays.into(), &WEEKDAYS, ",");
    }
    if save && from != 0 {
        out.push_str(" --datestart");
        push_date(out, from, 'T');
    }
    if save && until != 0 {
        out.push_str(" --datestop");
        push_date(out, until, 'T');
    }
    if !save && from != 0 {
        out.push_str(" starting from");
        push_date(out, from, ' ');
    }
    if !save && until != FOREVER {
        out.push_str(" until date");
        push_date(out, until, ' ');
    }
    let kernel_zone = flags & 0x01 != 0;
    out.push_str(match (save, kernel_zone) {
        (true, true) => " --kerneltz",
        (false, false) => " UTC",
        _ => "",
    });
    if flags & 0x02 != 0 {
        out.push_str(if save { " --contiguous" } else { " contiguous" });
    }
    Some(())
}

/// struct xt_policy_info: up to four elements of 76 octets, flags and how many are used.
pub(super) fn policy(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    const ELEMENT: usize = 76;
    let (flags, count) = (fields.u16(304)?, fields.u16(306)?);
    if count > 4 {
        return None;
    }
    let dashes = if context.save { "--" } else { "" };
    if !context.save {
        out.push_str(" policy match");
    }
    for (bit, word) in [(1, "dir in"), (2, "dir out")] {
        if flags & bit != 0 {
            let _ = write!(out, " {dashes}{word}");
        }
    }
    if flags & 4 != 0 {
        let _ = write!(out, " {dashes}pol none");
        return Some(());
    }
    let _ = write!(out, " {dashes}pol ipsec");
    if flags & 8 != 0 {
        let _ = write!(out, " {dashes}strict");
    }
    for index in 0..usize::from(count) {
        if !context.save && count > 1 {
            let _ = write!(out, " [{index}]");
        } else if index > 0 {
            out.push_str(" --next");
        }
        let element = Fields(fields.bytes(index * ELEMENT, ELEMENT)?);
        let (spi, reqid) = (element.u32(64)?, element.u32(68)?);
        let (protocol, mode) = (element.u8(72)?, element.u8(73)?);
        let (wanted, inverted) = (element.u8(74)?, element.u8(75)?);
        let word = |out: &mut String, bit: u8, name: &str| {
            let chosen = wanted & bit != 0;
            if chosen {
                let _ = write!(out, "{} {dashes}{name} ", not(inverted & bit != 0));
            }
            chosen
        };
        if word(out, 0x20, "reqid") {
            let _ = write!(out, "{reqid}");
        }
        if word(out, 0x10, "spi") {
            let _ = write!(out, "0x{spi:x}");
        }
        if word(out, 0x04, "proto") {
            match crate::save::protocol_name(protocol.into()).filter(|_| context.save || !context.numeric) {
                Some(name) => out.push_str(name),
                None => {
                    let _ = write!(out, "{protocol}");
                }
            }
        }
        if word(out, 0x08, "mode") {
            match mode {
                0 => out.push_str("transport"),
                1 => out.push_str("tunnel"),
                _ => out.push_str("???"),
            }
        }
        for (bit, name, at) in [(0x02, "tunnel-dst", 32), (0x01, "tunnel-src", 0)] {
            if word(out, bit, name) {
                let (address, mask) = (element.address(at, context.family)?, element.address(at + 16, context.family)?);
                push_network(out, &Masked { address, mask });
            }
        }
    }
    Some(())
}

/// struct xt_ecn_info
pub(super) fn ecn(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (wanted, inverted, codepoint) = (fields.u8(0)?, fields.u8(1)?, fields.u8(2)?);
    if !context.save {
        out.push_str(" ECN match");
    }
    // The words of a list come in another order than the options.
    let parts: [(u8, &str, &str); 3] =
        [(0x10, " --ecn-tcp-ece", "ECE"), (0x20, " --ecn-tcp-cwr", "CWR"), (0x01, " --ecn-ip-ect", "ECT=")];
    for (bit, option, word) in parts {
        if wanted & bit == 0 {
            continue;
        }
        let negated = inverted & bit != 0;
        let _ = if context.save {
            write!(out, "{}{option}", not(negated))
        } else {
            write!(out, " {}{word}", if negated { "!" } else { "" })
        };
        if bit == 1 {
            let _ = write!(out, "{}{codepoint}", if context.save { " " } else { "" });
        }
    }
    Some(())
}

/// struct xt_cluster_match_info
pub(super) fn cluster(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (total, mask, seed, inverted) = (fields.u32(0)?, fields.u32(4)?, fields.u32(8)?, fields.u32(12)? & 1 != 0);
    let _ = if context.save {
        write!(
            out,
            "{} --cluster-local-nodemask 0x{mask:08x} --cluster-total-nodes {total} --cluster-hash-seed 0x{seed:08x}",
            not(inverted)
        )
    } else {
        let not = if inverted { "!" } else { "" };
        write!(out, " cluster {not}node_mask=0x{mask:08x} total_nodes={total} hash_seed=0x{seed:08x}")
    };
    Some(())
}

/// struct xt_osf_info
pub(super) fn osf(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (genre, flags) = (fields.text(0, 32)?, fields.u32(36)?);
    let (level, ttl) = (fields.u32(40)?, fields.u32(44)?);
    let negated = flags & 8 != 0;
    if !context.save {
        let _ = write!(out, " OS fingerprint match {}{genre}", if negated { "! " } else { "" });
        return Some(());
    }
    let _ = write!(out, "{} --genre {genre}", not(negated));
    if flags & 2 != 0 {
        let _ = write!(out, " --ttl {ttl}");
    }
    if flags & 4 != 0 {
        let _ = write!(out, " --log {level}");
    }
    Some(())
}

/// struct xt_connbytes_info: a range that stands backwards is a negated one.
pub(super) fn connbytes(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (from, to) = (fields.u64(0)?, fields.u64(8)?);
    let dashes = if context.save { "--" } else { "" };
    let (negated, low, high) = if from > to { (true, to, from) } else { (false, from, to) };
    let _ = write!(out, "{} {dashes}connbytes {low}", not(negated));
    if high != u64::MAX {
        let _ = write!(out, ":{high}");
    }
    let mode = ["packets", "bytes", "avgpkt"].get(usize::from(fields.u8(16)?)).copied()?;
    let direction = ["original", "reply", "both"].get(usize::from(fields.u8(17)?)).copied()?;
    let _ = if context.save {
        write!(out, " --connbytes-mode {mode} --connbytes-dir {direction}")
    } else {
        write!(out, " connbytes mode {mode} connbytes direction {direction}")
    };
    Some(())
}

/// struct xt_connlabel_mtinfo
pub(super) fn connlabel(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (bit, options) = (fields.u16(0)?, fields.u16(2)?);
    let negated = options & 1 != 0;
    let _ = if context.save {
        write!(out, "{} --label \"{bit}\"", not(negated))
    } else {
        write!(out, " connlabel{} {bit}", not(negated))
    };
    if options & 2 != 0 {
        out.push_str(if context.save { " --set" } else { " set" });
    }
    Some(())
}

/// struct xt_tos_match_info
pub(super) fn tos(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (mask, value, negated) = (fields.u8(0)?, fields.u8(1)?, fields.u8(2)? != 0);
    if context.save {
        let _ = write!(out, "{} --tos 0x{value:02x}/0x{mask:02x}", not(negated));
        return Some(());
    }
    let _ = write!(out, " tos match{}", if negated { "!" } else { "" });
    match TOS.iter().find(|(known, _)| (*known, mask) == (value, 0x3f) && !context.numeric) {
        Some((_, name)) => {
            let _ = write!(out, " {name}");
        }
        None => {
            let _ = write!(out, "0x{value:02x}/0x{mask:02x}");
        }
    }
    Some(())
}

/// struct xt_ipcomp
pub(super) fn ipcomp(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (low, high) = (fields.u32(0)?, fields.u32(4)?);
    let (negated, reserved) = (fields.u8(8)? & 1 != 0, fields.u8(9)? != 0);
    if context.save {
        super::text::save_range(out, "--ipcompspi", (low, high), (0, u32::MAX), negated);
    } else {
        out.push_str(" comp ");
        super::text::list_range(out, "spi", (low, high), (0, u32::MAX), negated);
    }
    if reserved {
        out.push_str(if context.save { " --compres" } else { " reserved" });
    }
    Some(())
}

/// Flags of struct xt_rateest_match_info.
mod rateest_flags {
    pub(super) const INVERTED: u16 = 0x01;
    pub(super) const RELATIVE: u16 = 0x04;
    pub(super) const DELTA: u16 = 0x08;
    pub(super) const BYTES: u16 = 0x10;
    pub(super) const PACKETS: u16 = 0x20;
}

fn push_bits(out: &mut String, bytes: u32, numeric: bool) {
    const KILO: u64 = 1000;
    const MEGA: u64 = 1_000_000;
    let bits = u64::from(bytes) * 8;
    // Halves are rounded to even, as printf(3) rounds them.
    let scaled = |unit: u64| {
        let (whole, rest) = (bits / unit, bits % unit);
        whole + u64::from(rest * 2 > unit || (rest * 2 == unit && whole % 2 == 1))
    };
    let _ = match bits {
        _ if numeric => write!(out, " {bytes}"),
        bits if bits >= KILO * MEGA => write!(out, " {}Mbit", scaled(MEGA)),
        bits if bits >= MEGA => write!(out, " {}Kbit", scaled(KILO)),
        bits => write!(out, " {bits}bit"),
    };
}

/// struct xt_rateest_match_info: one estimator against a rate, or against another one.
pub(super) fn rateest(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    use rateest_flags::{BYTES, DELTA, INVERTED, PACKETS, RELATIVE};
    let (first, second) = (fields.text(0, 16)?, fields.text(16, 16)?);
    let (flags, mode) = (fields.u16(32)?, fields.u16(34)?);
    let rates = [fields.u32(36)?, fields.u32(40)?, fields.u32(44)?, fields.u32(48)?];
    let [bytes1, packets1, bytes2, packets2] = rates;
    let mode = ["", "eq", "lt", "gt"].get(usize::from(mode)).copied()?;
    let has = |flag: u16| flags & flag != 0;
    let (delta, relative, negated) = (has(DELTA), has(RELATIVE), not(has(INVERTED)));
    if context.save {
        if delta {
            out.push_str(" --rateest-delta");
        }
        let _ = write!(out, " --rateest{} {first}", if relative { "1" } else { "" });
        if delta && has(BYTES) {
            out.push_str(" --rateest-bps1");
            push_bits(out, bytes1, false);
        }
        if delta && has(PACKETS) {
            let _ = write!(out, " --rateest-pps1 {packets1}");
        }
        let _ = write!(out, "{negated} --rateest-{mode}");
        let suffix = if delta { "2" } else { "" };
        if has(BYTES) {
            let _ = write!(out, " --rateest-bps{suffix}");
            if delta || !relative {
                push_bits(out, bytes2, false);
            }
        }
        if has(PACKETS) {
            let _ = write!(out, " --rateest-pps{suffix}");
            if delta || !relative {
                let _ = write!(out, " {packets2}");
            }
        }
        if relative {
            let _ = write!(out, " --rateest2 {second}");
        }
        return Some(());
    }
    let _ = write!(out, " rateest match {first}");
    if delta {
        out.push_str(" delta");
    }
    if has(BYTES) {
        out.push_str(" bps");
        if delta {
            push_bits(out, bytes1, context.numeric);
        }
        if !relative {
            push_bits(out, bytes2, context.numeric);
            let _ = write!(out, "{negated} {mode}");
        }
    }
    if has(PACKETS) {
        out.push_str(" pps");
        if delta {
            let _ = write!(out, " {packets1}");
        }
        if !relative {
            let _ = write!(out, "{negated} {mode} {packets2}");
        }
    }
    if relative {
        let _ = write!(out, "{negated} {mode} {second}");
        if has(BYTES) {
            out.push_str(" bps");
            if delta {
                push_bits(out, bytes2, context.numeric);
            }
        }
        if has(PACKETS) {
            out.push_str(" pps");
            if delta {
                let _ = write!(out, " {packets2}");
            }
        }
    }
    Some(())
}

/// struct xt_ipvs_mtinfo
pub(super) fn ipvs(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (vport, protocol, method) = (fields.be16(32)?, fields.u8(34)?, fields.u8(35)?);
    let (control, inverted, wanted) = (fields.be16(36)?, fields.u8(38)?, fields.u8(39)?);
    let dashes = if context.save { "--" } else { "" };
    let word = |out: &mut String, bit: u8, name: &str| {
        let chosen = wanted & bit != 0;
        if chosen {
            let _ = write!(out, "{} {dashes}{name}", not(inverted & bit != 0));
        }
        chosen
    };
    // Any other condition says the first one too.
    if wanted == 0x01 {
        word(out, 0x01, "ipvs");
    }
    if word(out, 0x02, "vproto") {
        let _ = write!(out, " {protocol}");
    }
    if word(out, 0x04, "vaddr") {
        let (address, mask) = (fields.address(0, context.family)?, fields.address(16, context.family)?);
        out.push(' ');
        push_network(out, &Masked { address, mask });
    }
    if word(out, 0x08, "vport") {
        let _ = write!(out, " {vport}");
    }
    if wanted & 0x10 != 0 {
        let direction = if inverted & 0x10 != 0 { "REPLY" } else { "ORIGINAL" };
        let _ = write!(out, " {dashes}vdir {direction}");
    }
    if word(out, 0x20, "vmethod") {
        let _ = write!(out, " {}", ["MASQ", "LOCAL", "IPIP", "GATE"].get(usize::from(method & 0x07)).copied()?);
    }
    if word(out, 0x40, "vportctl") {
        let _ = write!(out, " {control}");
    }
    Some(())
}

/// struct xt_realm_info
pub(super) fn realm(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (id, mask, negated) = (fields.u32(0)?, fields.u32(4)?, fields.u8(8)? != 0);
    let _ = write!(out, "{} {}realm ", not(negated), if context.save { "--" } else { "" });
    push_named(out, Kind::Realm, id, mask, context);
    Some(())
}

/// A number of iproute2's, by name unless it stands under a mask.
pub(super) fn push_named(out: &mut String, kind: Kind, id: u32, mask: u32, context: &Context<'_>) {
    let name = if mask == u32::MAX && (context.save || !context.numeric) { name_of(context, kind, id) } else { None };
    let _ = match (name, mask) {
        (Some(name), _) => write!(out, "{name}"),
        (None, u32::MAX) => write!(out, "0x{id:x}"),
        (None, mask) => write!(out, "0x{id:x}/0x{mask:x}"),
    };
}
