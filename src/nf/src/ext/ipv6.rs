//! Matches on the extension headers of IPv6 (linux/netfilter_ipv6/ip6t_*.h).

use std::fmt::Write as _;

use super::Context;
use super::text::{list_range, not, push_list, push_prefix, save_range};
use crate::bytes::{Fields, Shown};
use crate::model::{Family, Masked};

const ANY: (u32, u32) = (0, u32::MAX);

/// struct ip6t_ah
pub(super) fn ah(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (spis, length) = ((fields.u32(0)?, fields.u32(4)?), fields.u32(8)?);
    let (reserved, inverted) = (fields.u8(12)? != 0, fields.u8(13)?);
    if context.save {
        save_range(out, "--ahspi", spis, ANY, inverted & 1 != 0);
    } else {
        out.push_str(" ah ");
        list_range(out, "spi", spis, ANY, inverted & 1 != 0);
    }
    if length != 0 || inverted & 2 != 0 {
        let _ = if context.save {
            write!(out, "{} --ahlen {length}", not(inverted & 2 != 0))
        } else {
            write!(out, "length:{}{length}", mark(inverted & 2 != 0))
        };
    }
    if reserved {
        out.push_str(if context.save { " --ahres" } else { " reserved" });
    }
    Some(())
}

fn mark(negated: bool) -> &'static str {
    if negated { "!" } else { "" }
}

/// struct ip6t_opts
fn options(out: &mut String, fields: Fields<'_>, context: &Context<'_>, name: &str) -> Option<()> {
    const MOST: usize = 16;
    let (length, flags, inverted) = (fields.u32(0)?, fields.u8(4)?, fields.u8(5)?);
    let count = usize::from(fields.u8(38)?);
    if count > MOST {
        return None;
    }
    if !context.save {
        let _ = write!(out, " {name}");
    }
    if flags & 1 != 0 {
        let _ = if context.save {
            write!(out, "{} --{name}-len {length}", not(inverted & 1 != 0))
        } else {
            write!(out, " length:{}{length}", mark(inverted & 1 != 0))
        };
    }
    if flags & 2 != 0 {
        let _ = if context.save { write!(out, " --{name}-opts") } else { write!(out, " opts") };
        for index in 0..count {
            let option = fields.u16(6 + 2 * index)?;
            let _ = write!(out, "{}{}", if index == 0 { ' ' } else { ',' }, option >> 8);
            // 255 stands for any length.
            if option & 0xff != 0xff {
                let _ = write!(out, ":{}", option & 0xff);
            }
        }
    }
    if flags & 4 != 0 {
        let _ = if context.save { write!(out, " --{name}-not-strict") } else { write!(out, " not-strict") };
    }
    Some(())
}

pub(super) fn hbh(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    options(out, fields, context, "hbh")
}

pub(super) fn dst(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    options(out, fields, context, "dst")
}

/// struct ip6t_rt
pub(super) fn rt(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    const MOST: usize = 16;
    let (kind, segments, length) = (fields.u32(0)?, (fields.u32(4)?, fields.u32(8)?), fields.u32(12)?);
    let (flags, inverted, count) = (fields.u8(16)?, fields.u8(17)?, usize::from(fields.u8(276)?));
    if count > MOST {
        return None;
    }
    if !context.save {
        out.push_str(" rt");
    }
    if flags & 1 != 0 {
        let _ = if context.save {
            write!(out, "{} --rt-type {kind}", not(inverted & 1 != 0))
        } else {
            write!(out, " type:{}{kind}", mark(inverted & 1 != 0))
        };
    }
    if context.save {
        save_range(out, "--rt-segsleft", segments, ANY, inverted & 2 != 0);
    } else {
        list_range(out, " segsleft", segments, ANY, inverted & 2 != 0);
    }
    if flags & 4 != 0 {
        let _ = if context.save {
            write!(out, "{} --rt-len {length}", not(inverted & 4 != 0))
        } else {
            write!(out, " length:{}{length}", mark(inverted & 4 != 0))
        };
    }
    if flags & 8 != 0 {
        out.push_str(if context.save { " --rt-0-res" } else { " reserved" });
    }
    if count > 0 {
        out.push_str(if context.save { " --rt-0-addrs" } else { " 0-addrs" });
        for index in 0..count {
            let address = Shown(fields.address(20 + 16 * index, Family::Ipv6)?);
            let _ = write!(out, "{}{address}", if index == 0 { ' ' } else { ',' });
        }
    }
    if flags & 0x20 != 0 {
        out.push_str(if context.save { " --rt-0-not-strict" } else { " 0-not-strict" });
    }
    Some(())
}

/// What of a segment routing header can be compared: bit, word, offset.
const SEGMENTS: [(u16, &str, usize); 10] = [
    (0x001, "next-hdr", 0),
    (0x002, "hdr-len-eq", 1),
    (0x004, "hdr-len-gt", 1),
    (0x008, "hdr-len-lt", 1),
    (0x010, "segs-left-eq", 2),
    (0x020, "segs-left-gt", 2),
    (0x040, "segs-left-lt", 2),
    (0x080, "last-entry-eq", 3),
    (0x100, "last-entry-gt", 3),
    (0x200, "last-entry-lt", 3),
];

fn srh(out: &mut String, fields: Fields<'_>, context: &Context<'_>, flags_at: usize) -> Option<()> {
    let (flags, inverted) = (fields.u16(flags_at)?, fields.u16(flags_at + 2)?);
    if !context.save {
        out.push_str(" srh");
    }
    let push = |out: &mut String, bit: u16, name: &str| {
        let chosen = flags & bit != 0;
        if chosen {
            let negated = inverted & bit != 0;
            let _ = if context.save {
                write!(out, "{} --srh-{name} ", not(negated))
            } else {
                write!(out, " {name}:{}", mark(negated))
            };
        }
        chosen
    };
    for (bit, name, at) in SEGMENTS {
        if push(out, bit, name) {
            let _ = write!(out, "{}", fields.u8(at)?);
        }
    }
    if push(out, 0x400, "tag") {
        let _ = write!(out, "{}", fields.u16(4)?);
    }
    if flags_at < 104 {
        return Some(());
    }
    for (bit, name, at) in [(0x800u16, "psid", 8), (0x1000, "nsid", 24), (0x2000, "lsid", 40)] {
        if flags & bit == 0 {
            continue;
        }
        let negated = inverted & bit != 0;
        let _ = if context.save {
            write!(out, "{} --srh-{name} ", not(negated))
        } else {
            write!(out, " {name} {} ", mark(negated))
        };
        let (address, mask) = (fields.address(at, Family::Ipv6)?, fields.address(at + 48, Family::Ipv6)?);
        push_prefix(out, &Masked { address, mask });
    }
    Some(())
}

/// struct ip6t_srh
pub(super) fn srh0(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    srh(out, fields, context, 6)
}

/// struct ip6t_srh1, which also compares segments
pub(super) fn srh1(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    srh(out, fields, context, 104)
}

/// It has no options.
pub(super) fn eui64(out: &mut String, _: Fields<'_>, context: &Context<'_>) -> Option<()> {
    if !context.save {
        out.push_str("eui64 ");
    }
    Some(())
}

/// Headers by bit (MASK_* of linux/netfilter_ipv6/ip6t_ipv6header.h).
const HEADERS: [(u32, &str); 8] = [
    (0x80, "hop-by-hop"),
    (0x40, "ipv6-opts"),
    (0x20, "ipv6-route"),
    (0x10, "ipv6-frag"),
    (0x08, "ah"),
    (0x04, "esp"),
    (0x02, "ipv6-nonxt"),
    (0x01, "protocol"),
];

/// struct ip6t_ipv6header_info
pub(super) fn ipv6header(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (wanted, inverted, soft) = (fields.u8(0)?, fields.u8(1)?, fields.u8(2)? != 0);
    if context.save {
        let _ = write!(out, "{} --header ", not(inverted != 0));
        push_list(out, wanted.into(), &HEADERS, ",");
    } else {
        out.push_str(" ipv6header");
        if wanted != 0 || inverted != 0 {
            let _ = write!(out, " flags:{}", mark(inverted != 0));
            if context.numeric {
                let _ = write!(out, "0x{wanted:02X}");
            } else {
                push_list(out, wanted.into(), &HEADERS, ",");
            }
        }
    }
    if soft {
        out.push_str(if context.save { " --soft" } else { " soft" });
    }
    Some(())
}

/// Types of the mobility header (RFC 6275, 6.1).
const MOBILITY: [&str; 8] = [
    "binding-refresh-request",
    "home-test-init",
    "careof-test-init",
    "home-test",
    "careof-test",
    "binding-update",
    "binding-acknowledgement",
    "binding-error",
];

/// struct ip6t_mh
pub(super) fn mh(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let (low, high, negated) = (fields.u8(0)?, fields.u8(1)?, fields.u8(2)? & 1 != 0);
    let any = (low, high) == (0, u8::MAX) && !negated;
    if context.save {
        if any {
            return Some(());
        }
        let _ = write!(out, "{} --mh-type {low}", not(negated));
        if low != high {
            let _ = write!(out, ":{high}");
        }
        return Some(());
    }
    out.push_str(" mh");
    if any {
        return Some(());
    }
    let _ = write!(out, " {}", mark(negated));
    let push = |out: &mut String, kind: u8| match MOBILITY.get(usize::from(kind)).filter(|_| !context.numeric) {
        Some(name) => out.push_str(name),
        None => {
            let _ = write!(out, "{kind}");
        }
    };
    push(out, low);
    if low != high {
        out.push(':');
        push(out, high);
    }
    Some(())
}
