//! Targets beside the common ones: AUDIT, HMARK, IDLETIMER, RATEEST, SYNPROXY, TCPOPTSTRIP, ECN, CONNSECMARK, SECMARK, LED,
//! SNPT, DNPT, CLUSTERIP.

use std::fmt::Write as _;

use super::Context;
use crate::bytes::{Fields, Shown};
use crate::model::Family;

fn word(out: &mut String, context: &Context<'_>, option: &str, title: &str, word: &str) {
    let _ = if context.save { write!(out, " --{option}{word}") } else { write!(out, " {title}{word}") };
}

/// struct xt_audit_info
pub(super) fn audit(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let kind = ["accept", "drop", "reject"].get(usize::from(fields.u8(0)?)).copied()?;
    word(out, context, "type ", "AUDIT ", kind);
    Some(())
}

/// struct xt_connsecmark_target_info
pub(super) fn connsecmark(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let mode = ["", "save", "restore"].get(usize::from(fields.u8(0)?)).filter(|mode| !mode.is_empty())?;
    word(out, context, "", "CONNSECMARK ", mode);
    Some(())
}

/// struct xt_secmark_target_info, and its first revision, which has the context before the number.
fn secmark(out: &mut String, fields: Fields<'_>, context: &Context<'_>, at: usize) -> Option<()> {
    const SECMARK_MODE_SEL: u8 = 1;
    (fields.u8(0)? == SECMARK_MODE_SEL).then_some(())?;
    word(out, context, "selctx ", "SECMARK selctx ", &fields.text(at, 256)?);
    Some(())
}

pub(super) fn secmark0(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    secmark(out, fields, context, 8)
}

pub(super) fn secmark1(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    secmark(out, fields, context, 1)
}

/// struct xt_synproxy_info
pub(super) fn synproxy(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (options, wscale, mss) = (fields.u8(0)?, fields.u8(1)?, fields.u16(2)?);
    let dashes = if context.save { "--" } else { "" };
    if !context.save {
        out.push_str(" SYNPROXY");
    }
    for (bit, name, value) in [
        (0x04, "sack-perm", None),
        (0x08, "timestamp", None),
        (0x02, "wscale", Some(u16::from(wscale))),
        (0x01, "mss", Some(mss)),
        (0x10, "ecn", None),
    ] {
        if options & bit != 0 {
            let _ = write!(out, " {dashes}{name}");
            if let Some(value) = value {
                let _ = write!(out, " {value}");
            }
        }
    }
    if !context.save {
        out.push(' ');
    }
    Some(())
}

/// Options of TCP that have a name here (IANA, TCP Parameters).
const TCP_OPTIONS: [(u32, &str); 6] =
    [(2, "mss"), (3, "wscale"), (4, "sack-permitted"), (5, "sack"), (8, "timestamp"), (19, "md5")];

/// struct xt_tcpoptstrip_target_info: a bit for each option.
pub(super) fn tcpoptstrip(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    out.push_str(if context.save { " --strip-options " } else { " TCPOPTSTRIP options " });
    let mut comma = "";
    for option in 0..256u32 {
        let bits = fields.u32(4 * (option as usize / 32))?;
        if bits >> (option % 32) & 1 == 0 {
            continue;
        }
        out.push_str(comma);
        comma = ",";
        match TCP_OPTIONS.iter().find(|(number, _)| *number == option && !context.save && !context.numeric) {
            Some((_, name)) => out.push_str(name),
            None => {
                let _ = write!(out, "{option}");
            }
        }
    }
    Some(())
}

/// struct ipt_ECN_info
pub(super) fn ecn(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (operation, codepoint, bits) = (fields.u8(0)?, fields.u8(1)?, fields.u8(2)?);
    let save = context.save;
    if !save {
        out.push_str(" ECN");
    }
    if operation & 0x30 == 0x30 && bits & 3 == 0 {
        out.push_str(if save { " --ecn-tcp-remove" } else { " TCP remove" });
    } else {
        for (bit, option, title, value) in [(0x10, "ece", "ECE", bits & 1), (0x20, "cwr", "CWR", bits >> 1 & 1)] {
            if operation & bit != 0 {
                let _ = if save { write!(out, " --ecn-tcp-{option} {value}") } else { write!(out, " {title}={value}") };
            }
        }
    }
    if operation & 0x01 != 0 {
        let _ = if save { write!(out, " --ecn-ip-ect {codepoint}") } else { write!(out, " ECT codepoint={codepoint}") };
    }
    Some(())
}

/// struct idletimer_tg_info, and its first revision, which has a kind of timer.
fn idletimer(out: &mut String, fields: Fields<'_>, context: &Context<'_>, alarm: bool) -> Option<()> {
    let (timeout, label) = (fields.u32(0)?, fields.text(4, 28)?);
    let _ = if context.save {
        write!(out, " --timeout {timeout} --label {label}")
    } else {
        write!(out, " timeout:{timeout} label:{label}")
    };
    if alarm {
        out.push_str(if context.save { " --alarm" } else { " alarm" });
    }
    Some(())
}

pub(super) fn idletimer0(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    idletimer(out, fields, context, false)
}

pub(super) fn idletimer1(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    idletimer(out, fields, context, fields.u8(33)? == 1)
}

/// Appends a time given in microseconds.
fn push_interval(out: &mut String, microseconds: u64) {
    let tenths = |unit: u64| (microseconds * 10 + unit / 2) / unit;
    let _ = match microseconds {
        0..1_000 => write!(out, "{microseconds}us"),
        1_000..1_000_000 => write!(out, "{}.{}ms", tenths(1_000) / 10, tenths(1_000) % 10),
        _ => write!(out, "{}.{}s", tenths(1_000_000) / 10, tenths(1_000_000) % 10),
    };
}

/// struct xt_rateest_target_info: a quarter of a second is shifted by the interval plus 2, and that by the logarithm.
pub(super) fn rateest(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    const QUARTER: u64 = 250_000;
    let (name, interval, log) = (fields.text(0, 16)?, fields.u8(16)?.cast_signed(), fields.u8(17)?);
    let shift = u32::try_from(i32::from(interval) + 2).ok().filter(|shift| *shift < 16)?;
    let _ = write!(out, " {}name {name} {}interval ", prefix(context), prefix(context));
    push_interval(out, QUARTER << shift);
    let _ = write!(out, " {}ewmalog ", prefix(context));
    push_interval(out, (QUARTER << shift).checked_shl(log.into()).filter(|_| log < 24)?);
    Some(())
}

fn prefix(context: &Context<'_>) -> &'static str {
    if context.save { "--rateest-" } else { "" }
}

/// struct xt_led_info; the kernel's name for the trigger has a prefix of its own.
pub(super) fn led(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (id, blink, delay) = (fields.text(0, 27)?, fields.u8(27)? != 0, fields.u32(28)?.cast_signed());
    let id = id.strip_prefix("netfilter-").unwrap_or(&id);
    let dashes = if context.save { "--" } else { "" };
    let between = if context.save { ' ' } else { ':' };
    let _ = write!(out, " {dashes}led-trigger-id{between}\"");
    for c in id.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    let _ = match delay {
        -1 => write!(out, " {dashes}led-delay{between}inf"),
        delay if context.save && delay <= 0 => Ok(()),
        delay if context.save => write!(out, " --led-delay {delay}"),
        delay => write!(out, " led-delay:{delay}ms"),
    };
    if blink {
        let _ = write!(out, " {dashes}led-always-blink");
    }
    Some(())
}

/// struct ip6t_npt_tginfo
fn npt(out: &mut String, fields: Fields<'_>, context: &Context<'_>, name: &str) -> Option<()> {
    let (source, destination) = (Shown(fields.address(0, Family::Ipv6)?), Shown(fields.address(16, Family::Ipv6)?));
    let (from, to) = (fields.u8(32)?, fields.u8(33)?);
    let dashes = if context.save { "--" } else { "" };
    if !context.save {
        let _ = write!(out, " {name}");
    }
    let _ = write!(out, " {dashes}src-pfx {source}/{from} {dashes}dst-pfx {destination}/{to}");
    Some(())
}

pub(super) fn snpt(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    npt(out, fields, context, "SNPT")
}

pub(super) fn dnpt(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    npt(out, fields, context, "DNPT")
}

/// struct xt_hmark_info
pub(super) fn hmark(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let flags = fields.u32(40)?;
    let has = |bit: u32| flags >> bit & 1 == 1;
    let (random, modulus, offset) = (fields.u32(48)?, fields.u32(52)?, fields.u32(56)?);
    let save = context.save;
    if !save {
        out.push_str(" HMARK ");
        if has(10) {
            let _ = write!(out, "mod {modulus} ");
        }
        if has(11) {
            let _ = write!(out, "+ 0x{offset:x} ");
        }
        if has(12) {
            out.push_str("ct, ");
        }
    }
    let begin = |out: &mut String, name: &str| {
        let _ = if save { write!(out, " --hmark-{name} ") } else { write!(out, "{name} ") };
    };
    let end = |out: &mut String| {
        if !save {
            out.push(' ');
        }
    };
    for (bit, name, at) in [(0, "src-prefix", 0), (1, "dst-prefix", 16)] {
        if has(bit) {
            begin(out, name);
            let mask: [u8; 16] = fields.array(at)?;
            let ones = match context.family {
                Family::Ipv4 => fields.be32(at)?.leading_ones(),
                Family::Ipv6 => u128::from_be_bytes(mask).leading_ones(),
            };
            // The peer's list of IPv6 leaves out the length of a whole address.
            if save || ones < 128 {
                let _ = write!(out, "{ones}");
            }
            end(out);
        }
    }
    let ports = [(6, "sport-mask", 32), (7, "dport-mask", 34)];
    let sets = [(4, "sport", 36), (5, "dport", 38)];
    let hexadecimal = |out: &mut String, digits: usize, (bit, name, value): (u32, &str, u32)| {
        if has(bit) {
            begin(out, name);
            let _ = {
                let digits = if save { digits } else { 0 };
                write!(out, "0x{value:0digits$x}")
            };
            end(out);
        }
    };
    for (bit, name, at) in ports {
        hexadecimal(out, 4, (bit, name, fields.be16(at)?.into()));
    }
    hexadecimal(out, 8, (3, "spi-mask", fields.be32(32)?));
    for (bit, name, at) in sets {
        hexadecimal(out, 4, (bit, name, fields.be16(at)?.into()));
    }
    hexadecimal(out, 8, (2, "spi", fields.be32(36)?));
    hexadecimal(out, 2, (8, "proto-mask", fields.u16(44)?.into()));
    hexadecimal(out, 8, (9, "rnd", random));
    if save {
        if has(10) {
            let _ = write!(out, " --hmark-mod {modulus}");
        }
        if has(11) {
            let _ = write!(out, " --hmark-offset {offset}");
        }
        if has(12) {
            out.push_str(" --hmark-tuple ct");
        }
    }
    Some(())
}

/// struct ipt_clusterip_tgt_info
pub(super) fn clusterip(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (flags, mac, total) = (fields.u32(0)?, fields.array::<6>(4)?, fields.u16(10)?);
    let (node, mode, init) = (fields.u16(14)?, fields.u32(48)?, fields.u32(52)?);
    if flags & 1 == 0 {
        if !context.save {
            out.push_str(" CLUSTERIP");
        }
        return Some(());
    }
    let mode = ["sourceip", "sourceip-sourceport", "sourceip-sourceport-destport"].get(usize::try_from(mode).ok()?)?;
    let mac = mac.map(|octet| format!("{octet:02X}")).join(":");
    let _ = if context.save {
        write!(
            out,
            " --new --hashmode {mode} --clustermac {mac} --total-nodes {total} --local-node {node} --hash-init {init}"
        )
    } else {
        write!(
            out,
            " CLUSTERIP hashmode={mode} clustermac={mac} total_nodes={total} local_node={node} hash_init={init}"
        )
    };
    Some(())
}
