//! tcp, udp, sctp, dccp, multiport: protocols with ports.

use std::fmt::Write as _;

use super::Context;
use super::names::push_port;
use super::text::{not, push_list};
use crate::bytes::Fields;

const ANY: (u16, u16) = (0, u16::MAX);
/// Protocol numbers (IANA).
const TCP: u16 = 6;
const UDP: u16 = 17;

fn range(fields: Fields<'_>, offset: usize) -> Option<(u16, u16)> {
    Some((fields.u16(offset)?, fields.u16(offset + 2)?))
}

/// Source and destination ports with whether they are negated, as options or as words.
fn push_ranges(
    out: &mut String,
    context: &Context<'_>,
    protocol: u16,
    source: ((u16, u16), bool),
    destination: ((u16, u16), bool),
) {
    let hidden = |(range, negated): ((u16, u16), bool)| range == ANY && !negated;
    push_wanted(out, context, protocol, [source, destination], [!hidden(source), !hidden(destination)]);
}

/// The same, with the side's own word on whether it is there.
fn push_wanted(
    out: &mut String,
    context: &Context<'_>,
    protocol: u16,
    sides: [((u16, u16), bool); 2],
    wanted: [bool; 2],
) {
    for (name, (((low, high), negated), wanted)) in ['s', 'd'].into_iter().zip(sides.into_iter().zip(wanted)) {
        if !wanted {
            continue;
        }
        if context.save {
            let _ = write!(out, "{} --{name}port {low}", not(negated));
            if low != high {
                let _ = write!(out, ":{high}");
            }
            continue;
        }
        let plural = if low == high { "" } else { "s" };
        let _ = write!(out, " {name}pt{plural}:{}", if negated { "!" } else { "" });
        push_port(out, low, protocol, context);
        if low != high {
            out.push(':');
            push_port(out, high, protocol, context);
        }
    }
}

/// The names of TCP flags in bit order (RFC 9293, 3.1).
const TCP_FLAGS: [&str; 6] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];

fn push_tcp_flags(out: &mut String, flags: u8) {
    let mut any = false;
    for (bit, name) in TCP_FLAGS.iter().enumerate() {
        if flags >> bit & 1 == 1 {
            if any {
                out.push(',');
            }
            out.push_str(name);
            any = true;
        }
    }
    if !any {
        out.push_str("NONE");
    }
}

/// struct xt_tcp
pub(super) fn tcp_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let inverted = fields.u8(11)?;
    push_ranges(out, context, TCP, (range(fields, 0)?, inverted & 1 != 0), (range(fields, 4)?, inverted & 2 != 0));
    let (option, mask, compare) = (fields.u8(8)?, fields.u8(9)?, fields.u8(10)?);
    if option != 0 || inverted & 0x08 != 0 {
        let _ = write!(out, "{} --tcp-option {option}", not(inverted & 0x08 != 0));
    }
    if mask != 0 || inverted & 0x04 != 0 {
        let _ = write!(out, "{} --tcp-flags ", not(inverted & 0x04 != 0));
        push_tcp_flags(out, mask);
        out.push(' ');
        push_tcp_flags(out, compare);
    }
    Some(())
}

pub(super) fn tcp_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let inverted = fields.u8(11)?;
    out.push_str(" tcp");
    push_ranges(out, context, TCP, (range(fields, 0)?, inverted & 1 != 0), (range(fields, 4)?, inverted & 2 != 0));
    let (option, mask, compare) = (fields.u8(8)?, fields.u8(9)?, fields.u8(10)?);
    if option != 0 || inverted & 0x08 != 0 {
        let not = if inverted & 0x08 != 0 { "!" } else { "" };
        let _ = write!(out, " option={not}{option}");
    }
    if mask != 0 || inverted & 0x04 != 0 {
        out.push_str(" flags:");
        if inverted & 0x04 != 0 {
            out.push('!');
        }
        if context.numeric {
            let _ = write!(out, "0x{mask:02X}/0x{compare:02X}");
        } else {
            push_tcp_flags(out, mask);
            out.push('/');
            push_tcp_flags(out, compare);
        }
    }
    Some(())
}

/// struct xt_udp
pub(super) fn udp_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let inverted = fields.u8(8)?;
    push_ranges(out, context, UDP, (range(fields, 0)?, inverted & 1 != 0), (range(fields, 4)?, inverted & 2 != 0));
    Some(())
}

pub(super) fn udp_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let inverted = fields.u8(8)?;
    out.push_str(" udp");
    push_ranges(out, context, UDP, (range(fields, 0)?, inverted & 1 != 0), (range(fields, 4)?, inverted & 2 != 0));
    Some(())
}

/// struct xt_multiport_v1: fifteen ports, those with a mark begin a range.
fn multiport(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let count = usize::from(fields.u8(1)?);
    if count > 15 {
        return None;
    }
    let mut index = 0;
    while index < count {
        if index > 0 {
            out.push(',');
        }
        push_port(out, fields.u16(2 + 2 * index)?, context.protocol, context);
        if fields.u8(32 + index)? != 0 {
            index += 1;
            out.push(':');
            push_port(out, fields.u16(2 + 2 * index)?, context.protocol, context);
        }
        index += 1;
    }
    Some(())
}

pub(super) fn multiport_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let option = ["--sports", "--dports", "--ports"].get(usize::from(fields.u8(0)?))?.to_owned();
    let _ = write!(out, "{} {option} ", not(fields.u8(47)? != 0));
    multiport(out, fields, context)
}

pub(super) fn multiport_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let word = ["sports", "dports", "ports"].get(usize::from(fields.u8(0)?))?.to_owned();
    let _ = write!(out, " multiport {word} {}", not(fields.u8(47)? != 0));
    multiport(out, fields, context)
}

/// Kinds of chunks (IANA, SCTP Parameters), and the letters of the flags they have, the highest bit first.
const CHUNKS: [(u8, &str, &str); 22] = [
    (0, "DATA", "IUBE"),
    (1, "INIT", ""),
    (2, "INIT_ACK", ""),
    (3, "SACK", ""),
    (4, "HEARTBEAT", ""),
    (5, "HEARTBEAT_ACK", ""),
    (6, "ABORT", "T"),
    (7, "SHUTDOWN", ""),
    (8, "SHUTDOWN_ACK", ""),
    (9, "ERROR", ""),
    (10, "COOKIE_ECHO", ""),
    (11, "COOKIE_ACK", ""),
    (12, "ECN_ECNE", ""),
    (13, "ECN_CWR", ""),
    (14, "SHUTDOWN_COMPLETE", "T"),
    (64, "I_DATA", "IUBE"),
    (128, "ASCONF_ACK", ""),
    (130, "RE_CONFIG", ""),
    (132, "PAD", ""),
    (192, "FORWARD_TSN", ""),
    (193, "ASCONF", ""),
    (194, "I_FORWARD_TSN", ""),
];

/// struct xt_sctp_info
pub(super) fn sctp(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    /// Words of the map of chunks, of which eight are used.
    const MAP: usize = 8;
    /// Flags for up to four chunks.
    const FLAGGED: usize = 4;
    let (flags, inverted) = (fields.u32(284)?, fields.u32(288)?);
    if !context.save {
        out.push_str(" sctp");
    }
    let sides = [(range(fields, 4)?, inverted & 1 != 0), (range(fields, 0)?, inverted & 2 != 0)];
    let shown =
        |bit: u32, (range, negated): ((u16, u16), bool)| flags & bit != 0 && (context.save || range != ANY || negated);
    let [source, destination] = sides;
    push_wanted(out, context, 132, sides, [shown(1, source), shown(2, destination)]);
    if flags & 4 == 0 {
        return Some(());
    }
    let mode = match fields.u32(264)? {
        1 => "any",
        2 => "all",
        4 => "only",
        _ => return None,
    };
    let _ = write!(out, "{}{} {mode} ", not(inverted & 4 != 0), if context.save { " --chunk-types" } else { "" });
    let has =
        |chunk: u8| fields.u32(8 + 4 * (usize::from(chunk) / 32)).is_some_and(|word| word >> (chunk % 32) & 1 == 1);
    let mut words = (0..MAP).map(|word| fields.u32(8 + 4 * word));
    if words.clone().all(|word| word == Some(0)) {
        out.push_str("NONE");
        return Some(());
    }
    if words.all(|word| word == Some(u32::MAX)) {
        out.push_str("ALL");
        return Some(());
    }
    let flagged = usize::try_from(fields.i32(280)?).ok().filter(|count| *count <= FLAGGED)?;
    let mut comma = "";
    for chunk in (0..=u8::MAX).filter(|chunk| has(*chunk)) {
        out.push_str(comma);
        comma = ",";
        let known = CHUNKS.iter().find(|(number, ..)| *number == chunk);
        let _ = match known.filter(|_| !context.numeric || context.save) {
            Some((_, name, _)) => write!(out, "{name}"),
            None => write!(out, "0x{chunk:04X}"),
        };
        for index in 0..flagged {
            let at = 268 + 3 * index;
            if fields.u8(at)? != chunk {
                continue;
            }
            let (set, mask) = (fields.u8(at + 1)?, fields.u8(at + 2)?);
            let letters = known.map_or("", |(.., letters)| *letters).as_bytes();
            let mut colon = ":";
            for bit in (0..8u8).rev().filter(|bit| mask >> bit & 1 == 1) {
                out.push_str(std::mem::take(&mut colon));
                let letter = letters.iter().rev().nth(bit.into()).copied().unwrap_or(b'-');
                let is_set = set >> bit & 1 == 1;
                out.push(char::from(if is_set { letter } else { letter.to_ascii_lowercase() }));
            }
        }
    }
    Some(())
}

/// Kinds of packets of DCCP (RFC 4340, 5.1).
const DCCP_TYPES: [(u32, &str); 11] = [
    (1, "REQUEST"),
    (1 << 1, "RESPONSE"),
    (1 << 2, "DATA"),
    (1 << 3, "ACK"),
    (1 << 4, "DATAACK"),
    (1 << 5, "CLOSEREQ"),
    (1 << 6, "CLOSE"),
    (1 << 7, "RESET"),
    (1 << 8, "SYNC"),
    (1 << 9, "SYNCACK"),
    (1 << 10, "INVALID"),
];

/// struct xt_dccp_info
pub(super) fn dccp(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (flags, inverted, types, option) = (fields.u16(8)?, fields.u16(10)?, fields.u16(12)?, fields.u8(14)?);
    if !context.save {
        out.push_str(" dccp");
    }
    let sides = [(range(fields, 4)?, inverted & 1 != 0), (range(fields, 0)?, inverted & 2 != 0)];
    let shown =
        |bit: u16, (range, negated): ((u16, u16), bool)| flags & bit != 0 && (context.save || range != ANY || negated);
    let [source, destination] = sides;
    push_wanted(out, context, 33, sides, [shown(1, source), shown(2, destination)]);
    if flags & 4 != 0 {
        let _ = write!(out, "{}{} ", not(inverted & 4 != 0), if context.save { " --dccp-types" } else { "" });
        if context.numeric && !context.save {
            let mut comma = "";
            for kind in (0..16).filter(|kind| types >> kind & 1 == 1) {
                let _ = write!(out, "{comma}{kind}");
                comma = ",";
            }
        } else {
            push_list(out, types.into(), &DCCP_TYPES, ",");
        }
    }
    if flags & 8 != 0 {
        let negated = inverted & 8 != 0;
        let _ = if context.save {
            write!(out, "{} --dccp-option {option}", not(negated))
        } else {
            write!(out, " option={}{option}", if negated { "!" } else { "" })
        };
    }
    Some(())
}
