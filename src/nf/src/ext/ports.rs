//! tcp, udp, sctp, dccp, multiport: protocols with ports.

use std::fmt::Write as _;

use super::Context;
use super::text::not;
use crate::bytes::Fields;

const ANY: (u16, u16) = (0, u16::MAX);

fn range(fields: Fields<'_>, offset: usize) -> Option<(u16, u16)> {
    Some((fields.u16(offset)?, fields.u16(offset + 2)?))
}

fn save_range(out: &mut String, option: &str, range: (u16, u16), negated: bool) {
    if range == ANY && !negated {
        return;
    }
    let _ = write!(out, "{} {option} {}", not(negated), range.0);
    if range.0 != range.1 {
        let _ = write!(out, ":{}", range.1);
    }
}

fn list_range(out: &mut String, word: &str, range: (u16, u16), negated: bool) {
    if range == ANY && !negated {
        return;
    }
    let not = if negated { "!" } else { "" };
    let _ = match range {
        (low, high) if low == high => write!(out, " {word}:{not}{low}"),
        (low, high) => write!(out, " {word}s:{not}{low}:{high}"),
    };
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
pub(super) fn tcp_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let inverted = fields.u8(11)?;
    save_range(out, "--sport", range(fields, 0)?, inverted & 0x01 != 0);
    save_range(out, "--dport", range(fields, 4)?, inverted & 0x02 != 0);
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
    list_range(out, "spt", range(fields, 0)?, inverted & 0x01 != 0);
    list_range(out, "dpt", range(fields, 4)?, inverted & 0x02 != 0);
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
pub(super) fn udp_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let inverted = fields.u8(8)?;
    save_range(out, "--sport", range(fields, 0)?, inverted & 0x01 != 0);
    save_range(out, "--dport", range(fields, 4)?, inverted & 0x02 != 0);
    Some(())
}

pub(super) fn udp_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let inverted = fields.u8(8)?;
    out.push_str(" udp");
    list_range(out, "spt", range(fields, 0)?, inverted & 0x01 != 0);
    list_range(out, "dpt", range(fields, 4)?, inverted & 0x02 != 0);
    Some(())
}

/// struct xt_multiport_v1: fifteen ports, those with a mark begin a range.
fn multiport(out: &mut String, fields: Fields<'_>) -> Option<()> {
    let count = usize::from(fields.u8(1)?);
    if count > 15 {
        return None;
    }
    let mut index = 0;
    while index < count {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{}", fields.u16(2 + 2 * index)?);
        if fields.u8(32 + index)? != 0 {
            index += 1;
            let _ = write!(out, ":{}", fields.u16(2 + 2 * index)?);
        }
        index += 1;
    }
    Some(())
}

pub(super) fn multiport_save(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let option = ["--sports", "--dports", "--ports"].get(usize::from(fields.u8(0)?))?.to_owned();
    let _ = write!(out, "{} {option} ", not(fields.u8(47)? != 0));
    multiport(out, fields)
}

pub(super) fn multiport_list(out: &mut String, fields: Fields<'_>, _: &Context<'_>) -> Option<()> {
    let word = ["sports", "dports", "ports"].get(usize::from(fields.u8(0)?))?.to_owned();
    let _ = write!(out, " multiport {word} {}", not(fields.u8(47)? != 0));
    multiport(out, fields)
}
