//! Targets.

use std::fmt::Write as _;

use super::names::TOS;
use super::text::{flag, push_quoted};
use super::{Context, Definition, Writer, effects, nat, sets};
use crate::bytes::{Fields, Shown};
use crate::model::Family;

const fn both(name: &'static str, revisions: (u8, u8), save: Writer, list: Writer) -> Definition {
    Definition { name, revisions, family: None, save, list }
}

const fn only(family: Family, name: &'static str, revisions: (u8, u8), save: Writer, list: Writer) -> Definition {
    Definition { name, revisions, family: Some(family), save, list }
}

/// One function writes both.
const fn one(name: &'static str, revision: u8, write: Writer) -> Definition {
    Definition { name, revisions: (revision, revision), family: None, save: write, list: write }
}

pub(super) static TABLE: &[Definition] = &[
    both("MARK", (2, 2), mark_save, mark_list),
    both("CONNMARK", (1, 1), connmark_save, connmark_list),
    both("CONNMARK", (2, 2), connmark2_save, connmark2_list),
    only(Family::Ipv4, "MASQUERADE", (0, 0), nat::masquerade_save, nat::masquerade_list),
    only(Family::Ipv6, "MASQUERADE", (0, 0), nat::masquerade_save, nat::masquerade_list),
    both("REDIRECT", (0, 0), nat::redirect_save, nat::redirect_list),
    both("SNAT", (0, 2), nat::snat_save, nat::to_list),
    both("DNAT", (0, 2), nat::dnat_save, nat::to_list),
    both("NETMAP", (0, 0), nat::netmap_save, nat::netmap_list),
    only(Family::Ipv4, "REJECT", (0, 0), reject_save, reject_list),
    only(Family::Ipv6, "REJECT", (0, 0), reject_save, reject_list),
    both("LOG", (0, 0), log_save, log_list),
    both("NFLOG", (0, 0), nflog_save, nflog_list),
    both("CT", (0, 2), ct_save, ct_list),
    both("NOTRACK", (0, 0), nothing, notrack_list),
    both("TRACE", (0, 0), nothing, nothing),
    both("TPROXY", (0, 1), tproxy_save, tproxy_list),
    both("NFQUEUE", (0, 3), nfqueue_save, nfqueue_list),
    both("TCPMSS", (0, 0), tcpmss_save, tcpmss_list),
    both("CLASSIFY", (0, 0), classify_save, classify_list),
    both("DSCP", (0, 0), dscp_save, dscp_list),
    both("TOS", (1, 1), tos_save, tos_list),
    only(Family::Ipv4, "TTL", (0, 0), ttl_save, ttl_list),
    only(Family::Ipv6, "HL", (0, 0), hl_save, hl_list),
    both("CHECKSUM", (0, 0), checksum_save, checksum_list),
    both("SET", (1, 1), sets::target1_save, sets::target1_list),
    both("SET", (2, 2), sets::target2_save, sets::target2_list),
    both("SET", (3, 3), sets::target3_save, sets::target3_list),
    both("TEE", (1, 1), tee_save, tee_list),
    one("AUDIT", 0, effects::audit),
    one("HMARK", 0, effects::hmark),
    one("IDLETIMER", 0, effects::idletimer0),
    one("IDLETIMER", 1, effects::idletimer1),
    one("RATEEST", 0, effects::rateest),
    one("SYNPROXY", 0, effects::synproxy),
    one("TCPOPTSTRIP", 0, effects::tcpoptstrip),
    one("ECN", 0, effects::ecn),
    one("CONNSECMARK", 0, effects::connsecmark),
    one("SECMARK", 0, effects::secmark0),
    one("SECMARK", 1, effects::secmark1),
    one("LED", 0, effects::led),
    only(Family::Ipv6, "SNPT", (0, 0), effects::snpt, effects::snpt),
    only(Family::Ipv6, "DNPT", (0, 0), effects::dnpt, effects::dnpt),
    only(Family::Ipv4, "CLUSTERIP", (0, 0), effects::clusterip, effects::clusterip),
];

fn nothing(_: &mut String, _: Fields<'_>, _: &Context<'_>) -> Option<()> {
    Some(())
}

fn notrack_list(_: &mut String, _: Fields<'_>, _: &Context<'_>) -> Option<()> {
    Some(())
}

/// struct xt_mark_tginfo2
fn mark_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " --set-xmark 0x{:x}/0x{:x}", fields.u32(0)?, fields.u32(4)?);
    Some(())
}

fn mark_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(" MARK");
    push_change(out, fields.u32(0)?, fields.u32(4)?);
    Some(())
}

/// What setting `value` under `mask` amounts to.
fn push_change(out: &mut String, value: u32, mask: u32) {
    let _ = match (value, mask) {
        (0, mask) => write!(out, " and 0x{:x}", !mask),
        (value, mask) if value == mask => write!(out, " or 0x{value:x}"),
        (value, 0) => write!(out, " xor 0x{value:x}"),
        (value, u32::MAX) => write!(out, " set 0x{value:x}"),
        (value, mask) => write!(out, " xset 0x{value:x}/0x{mask:x}"),
    };
}

/// struct xt_connmark_tginfo1
fn connmark_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    connmark_options(out, fields, fields.u8(12)?)
}

fn connmark_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    connmark_words(out, fields, fields.u8(12)?)
}

/// struct xt_connmark_tginfo2, which also shifts
fn connmark2_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    connmark_options(out, fields, fields.u8(14)?)?;
    connmark_shift(out, fields, "--")
}

fn connmark2_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    connmark_words(out, fields, fields.u8(14)?)?;
    connmark_shift(out, fields, "")
}

fn connmark_options(out: &mut String, fields: Fields<'_>, mode: u8) -> Option<()> {
    let (mark, ctmask, nfmask) = (fields.u32(0)?, fields.u32(4)?, fields.u32(8)?);
    let _ = match mode {
        0 => write!(out, " --set-xmark 0x{mark:x}/0x{ctmask:x}"),
        1 => write!(out, " --save-mark --nfmask 0x{nfmask:x} --ctmask 0x{ctmask:x}"),
        2 => write!(out, " --restore-mark --nfmask 0x{nfmask:x} --ctmask 0x{ctmask:x}"),
        _ => return None,
    };
    Some(())
}

fn connmark_shift(out: &mut String, fields: Fields<'_>, dashes: &str) -> Option<()> {
    let (right, bits) = (fields.u8(12)? != 0, fields.u8(13)?);
    if bits != 0 {
        let _ = write!(out, " {dashes}{}-shift-mark {bits}", if right { "right" } else { "left" });
    }
    Some(())
}

fn connmark_words(out: &mut String, fields: Fields<'_>, mode: u8) -> Option<()> {
    let (mark, ctmask, nfmask) = (fields.u32(0)?, fields.u32(4)?, fields.u32(8)?);
    out.push_str(" CONNMARK");
    match mode {
        0 => push_change(out, mark, ctmask),
        mode @ (1 | 2) => {
            let (word, first, second) = match mode {
                1 => ("save", ("nfmask", nfmask), ("ctmask", ctmask)),
                _ => ("restore", ("ctmask", ctmask), ("nfmask", nfmask)),
            };
            let _ = match (nfmask, ctmask) {
                (u32::MAX, u32::MAX) => write!(out, " {word}"),
                (one, other) if one == other => write!(out, " {word} mask 0x{one:x}"),
                _ => write!(out, " {word} {} 0x{:x} {} ~0x{:x}", first.0, first.1, second.0, second.1),
            };
        }
        _ => return None,
    }
    Some(())
}

/// enum ipt_reject_with
const REJECT_V4: [&str; 9] = [
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-proto-unreachable",
    "icmp-port-unreachable",
    "echo-reply",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "tcp-reset",
    "icmp-admin-prohibited",
];
/// enum ip6t_reject_with
const REJECT_V6: [&str; 9] = [
    "icmp6-no-route",
    "icmp6-adm-prohibited",
    "icmp6-not-neighbour",
    "icmp6-addr-unreachable",
    "icmp6-port-unreachable",
    "echo-reply",
    "tcp-reset",
    "icmp6-policy-fail",
    "icmp6-reject-route",
];

fn reject_name(fields: Fields<'_>, context: &Context<'_>) -> Option<&'static str> {
    let names = if context.family == Family::Ipv4 { &REJECT_V4 } else { &REJECT_V6 };
    names.get(usize::try_from(fields.u32(0)?).ok()?).copied()
}

fn reject_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let _ = write!(out, " --reject-with {}", reject_name(fields, context)?);
    Some(())
}

fn reject_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let _ = write!(out, " reject-with {}", reject_name(fields, context)?);
    Some(())
}

/// struct ipt_log_info, struct ip6t_log_info
fn log_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    /// LOG_DEFAULT_LEVEL of the extension: LOG_WARNING (syslog(3)).
    const WARNING: u8 = 4;
    let (level, flags, prefix) = (fields.u8(0)?, fields.u8(1)?, fields.text(2, 30)?);
    if !prefix.is_empty() {
        out.push_str(" --log-prefix");
        push_quoted(out, &prefix);
    }
    if level != WARNING {
        let _ = write!(out, " --log-level {level}");
    }
    for (bit, option) in [
        (0x01, " --log-tcp-sequence"),
        (0x02, " --log-tcp-options"),
        (0x04, " --log-ip-options"),
        (0x08, " --log-uid"),
        (0x20, " --log-macdecode"),
    ] {
        if flags & bit != 0 {
            out.push_str(option);
        }
    }
    Some(())
}

fn log_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
    let (level, flags, prefix) = (fields.u8(0)?, fields.u8(1)?, fields.text(2, 30)?);
    out.push_str(" LOG");
    let _ = match LEVELS.get(usize::from(level)).filter(|_| !context.numeric) {
        Some(name) => {
            let mut words = format!(" level {name}");
            for (bit, word) in [
                (0x01, " tcp-sequence"),
                (0x02, " tcp-options"),
                (0x04, " ip-options"),
                (0x08, " uid"),
                (0x20, " macdecode"),
            ] {
                if flags & bit != 0 {
                    words.push_str(word);
                }
            }
            write!(out, "{words}")
        }
        None => write!(out, " flags {flags} level {level}"),
    };
    if !prefix.is_empty() {
        let _ = write!(out, " prefix \"{prefix}\"");
    }
    Some(())
}

/// struct xt_nflog_info
fn nflog(out: &mut String, fields: Fields<'_>, dashes: &str) -> Option<()> {
    const COPY_LENGTH: u16 = 0x1;
    const THRESHOLD: u16 = 0;
    let (length, group, threshold, flags) = (fields.u32(0)?, fields.u16(4)?, fields.u16(6)?, fields.u16(8)?);
    let prefix = fields.text(12, 64)?;
    if !prefix.is_empty() {
        let _ = write!(out, " {dashes}nflog-prefix");
        push_quoted(out, &prefix);
    }
    if group != 0 {
        let _ = write!(out, " {dashes}nflog-group {group}");
    }
    if flags & COPY_LENGTH != 0 {
        let _ = write!(out, " {dashes}nflog-size {length}");
    } else if length != 0 {
        let _ = write!(out, " {dashes}nflog-range {length}");
    }
    if threshold != THRESHOLD {
        let _ = write!(out, " {dashes}nflog-threshold {threshold}");
    }
    Some(())
}

fn nflog_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    nflog(out, fields, "--")
}

fn nflog_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    nflog(out, fields, "")
}

/// Conntrack events by bit (enum ip_conntrack_events).
const EVENTS: [&str; 11] =
    ["new", "related", "destroy", "reply", "assured", "protoinfo", "helper", "mark", "natseqinfo", "secmark", "label"];

/// struct xt_ct_target_info_v1
fn ct(out: &mut String, fields: Fields<'_>, dashes: &str) -> Option<()> {
    let flags = fields.u16(0)?;
    if is_notrack_alias(flags) {
        return Some(());
    }
    if flags & 0x01 != 0 {
        let _ = write!(out, " {dashes}notrack");
    }
    // The first revision has no timeout.
    let (helper, timeout) = (fields.text(12, 16)?, fields.text(28, 32).unwrap_or_default());
    if !helper.is_empty() {
        let _ = write!(out, " {dashes}helper");
        if dashes.is_empty() {
            let _ = write!(out, " {helper}");
        } else {
            push_quoted(out, &helper);
        }
    }
    if !timeout.is_empty() {
        let _ = write!(out, " {dashes}timeout {timeout}");
    }
    for (events, word) in [(fields.u32(4)?, "ctevents"), (fields.u32(8)?, "expevents")] {
        if events != 0 {
            let names: Vec<&str> =
                EVENTS.iter().enumerate().filter(|(bit, _)| events >> bit & 1 == 1).map(|(_, name)| *name).collect();
            let _ = write!(out, " {dashes}{word} {}", names.join(","));
        }
    }
    let zone = fields.u16(2)?;
    let direction = match flags & 0x0c {
        0x04 => "-orig",
        0x08 => "-reply",
        _ => "",
    };
    if flags & 0x10 != 0 {
        let _ = write!(out, " {dashes}zone{direction} mark");
    } else if zone != 0 {
        let _ = write!(out, " {dashes}zone{direction} {zone}");
    }
    Some(())
}

/// XT_CT_NOTRACK_ALIAS: the rule was written with `-j NOTRACK`.
pub(super) fn is_notrack_alias(flags: u16) -> bool {
    flags & 0x02 != 0
}

fn ct_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    ct(out, fields, "--")
}

fn ct_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(if is_notrack_alias(fields.u16(0)?) { " NOTRACK" } else { " CT" });
    ct(out, fields, "")
}

/// struct xt_tproxy_target_info_v1; the first revision, of IPv4 only, has its port right behind the address.
fn tproxy(fields: Fields<'_>, context: &Context<'_>) -> Option<(u32, u32, Shown, u16)> {
    const FIRST: usize = 16;
    let (mask, value) = (fields.u32(0)?, fields.u32(4)?);
    let (family, port) = if fields.0.len() <= FIRST { (Family::Ipv4, 12) } else { (context.family, 24) };
    Some((mask, value, Shown(fields.address(8, family)?), fields.be16(port)?))
}

fn tproxy_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (mask, value, address, port) = tproxy(fields, context)?;
    let _ = write!(out, " --on-port {port} --on-ip {address} --tproxy-mark 0x{value:x}/0x{mask:x}");
    Some(())
}

fn tproxy_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (mask, value, address, port) = tproxy(fields, context)?;
    let _ = write!(out, " TPROXY redirect {address}:{port} mark 0x{value:x}/0x{mask:x}");
    Some(())
}

/// struct xt_NFQ_info and its revisions 1 to 3
fn nfqueue(out: &mut String, fields: Fields<'_>, dashes: &str) -> Option<()> {
    let (first, total) = (fields.u16(0)?, fields.u16(2).unwrap_or(0));
    let _ = match total {
        0 | 1 => write!(out, " {dashes}{} {first}", if dashes.is_empty() { "num" } else { "queue-num" }),
        _ => {
            let last = u32::from(first) + u32::from(total) - 1;
            write!(out, " {dashes}{} {first}:{last}", if dashes.is_empty() { "balance" } else { "queue-balance" })
        }
    };
    let flags = fields.u16(4).unwrap_or(0);
    for (bit, word) in [(0x1, "bypass"), (0x2, "cpu-fanout")] {
        if flags & bit != 0 {
            let _ = write!(out, " {dashes}{}{word}", if dashes.is_empty() { "" } else { "queue-" });
        }
    }
    Some(())
}

fn nfqueue_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    nfqueue(out, fields, "--")
}

fn nfqueue_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(" NFQUEUE");
    nfqueue(out, fields, "")
}

/// struct xt_tcpmss_info; XT_TCPMSS_CLAMP_PMTU is 0xffff
fn tcpmss_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = match fields.u16(0)? {
        u16::MAX => write!(out, " --clamp-mss-to-pmtu"),
        mss => write!(out, " --set-mss {mss}"),
    };
    Some(())
}

fn tcpmss_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = match fields.u16(0)? {
        u16::MAX => write!(out, " TCPMSS clamp to PMTU"),
        mss => write!(out, " TCPMSS set {mss}"),
    };
    Some(())
}

/// struct xt_classify_target_info: a traffic control handle.
fn class(fields: Fields<'_>) -> Option<(u32, u32)> {
    let priority = fields.u32(0)?;
    Some((priority >> 16, priority & 0xffff))
}

fn classify_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let (major, minor) = class(fields)?;
    let _ = write!(out, " --set-class {major:04x}:{minor:04x}");
    Some(())
}

fn classify_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let (major, minor) = class(fields)?;
    let _ = write!(out, " CLASSIFY set {major:x}:{minor:x}");
    Some(())
}

/// struct xt_DSCP_info
fn dscp_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " --set-dscp 0x{:02x}", fields.u8(0)?);
    Some(())
}

fn dscp_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " DSCP set 0x{:02x}", fields.u8(0)?);
    Some(())
}

/// struct xt_tos_target_info
fn tos_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let _ = write!(out, " --set-tos 0x{:02x}/0x{:02x}", fields.u8(0)?, fields.u8(1)?);
    Some(())
}

fn tos_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (value, mask) = (fields.u8(0)?, fields.u8(1)?);
    let name = TOS.iter().find(|(known, _)| (*known, mask) == (value, 0x3f)).map(|(_, name)| name);
    let _ = match (value, mask) {
        _ if context.numeric => write!(out, " TOS set 0x{value:02x}/0x{mask:02x}"),
        _ if name.is_some() => write!(out, "  TOS set{}", name.copied().unwrap_or_default()),
        (0, mask) => write!(out, " TOS and 0x{:02x}", !mask),
        (value, mask) if value == mask => write!(out, " TOS or 0x{value:02x}"),
        (value, 0) => write!(out, " TOS xor 0x{value:02x}"),
        (value, mask) => write!(out, " TOS set 0x{value:02x}/0x{mask:02x}"),
    };
    Some(())
}

/// struct ipt_TTL_info, struct ip6t_HL_info: what to do, by how much.
fn hops(out: &mut String, fields: Fields<'_>, words: [&str; 3]) -> Option<()> {
    let word = words.get(usize::from(fields.u8(0)?))?.to_owned();
    let _ = write!(out, " {word} {}", fields.u8(1)?);
    Some(())
}

fn ttl_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    hops(out, fields, ["--ttl-set", "--ttl-inc", "--ttl-dec"])
}

fn ttl_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    hops(out, fields, ["TTL set to", "TTL increment by", "TTL decrement by"])
}

fn hl_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    hops(out, fields, ["--hl-set", "--hl-inc", "--hl-dec"])
}

fn hl_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    hops(out, fields, ["HL set to", "HL increment by", "HL decrement by"])
}

/// struct xt_CHECKSUM_info
fn checksum_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    if flag(fields, 0)? {
        out.push_str(" --checksum-fill");
    }
    Some(())
}

fn checksum_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    out.push_str(" CHECKSUM");
    if flag(fields, 0)? {
        out.push_str(" fill");
    }
    Some(())
}

/// struct xt_tee_tginfo
fn tee_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let _ = write!(out, " --gateway {}", Shown(fields.address(0, context.family)?));
    let interface = fields.text(16, 16)?;
    if !interface.is_empty() {
        let _ = write!(out, " --oif {interface}");
    }
    Some(())
}

fn tee_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let _ = write!(out, " TEE gw:{}", Shown(fields.address(0, context.family)?));
    let interface = fields.text(16, 16)?;
    if !interface.is_empty() {
        let _ = write!(out, " oif={interface}");
    }
    Some(())
}
