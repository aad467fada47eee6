//! Address translation: struct nf_nat_ipv4_multi_range_compat, struct nf_nat_range and nf_nat_range2 (linux/netfilter/nf_nat.h).

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Context;
use super::text::push_prefix;
use crate::bytes::{Fields, Shown};
use crate::model::{Family, Masked};

/// NF_NAT_RANGE_*
mod flags {
    pub(super) const ADDRESSES: u32 = 0x01;
    pub(super) const PORTS: u32 = 0x02;
    pub(super) const RANDOM: u32 = 0x04;
    pub(super) const PERSISTENT: u32 = 0x08;
    pub(super) const FULLY: u32 = 0x10;
    pub(super) const OFFSET: u32 = 0x20;
}

struct Range {
    flags: u32,
    low: IpAddr,
    high: IpAddr,
    ports: (u16, u16),
    base: Option<u16>,
}

/// sizeof(struct nf_nat_ipv4_multi_range_compat), which only IPv4's first revision has.
const MULTI_RANGE: usize = 20;

fn range(fields: Fields<'_>, family: Family) -> Option<Range> {
    // The kernel pads a structure to eight octets.
    if family == Family::Ipv4 && fields.0.len() <= MULTI_RANGE.next_multiple_of(8) {
        let address = |offset| fields.array::<4>(offset).map(|octets| IpAddr::from(Ipv4Addr::from(octets)));
        return (fields.u32(0)? == 1).then_some(Range {
            flags: fields.u32(4)?,
            low: address(8)?,
            high: address(12)?,
            ports: (fields.be16(16)?, fields.be16(18)?),
            base: None,
        });
    }
    let flags = fields.u32(0)?;
    Some(Range {
        flags,
        low: fields.address(4, family)?,
        high: fields.address(20, family)?,
        ports: (fields.be16(36)?, fields.be16(38)?),
        base: if flags & flags::OFFSET != 0 { Some(fields.be16(40)?) } else { None },
    })
}

fn push_range(out: &mut String, range: &Range) {
    let has_ports = range.flags & flags::PORTS != 0;
    if range.flags & flags::ADDRESSES != 0 {
        let brackets = has_ports && range.low.is_ipv6();
        if brackets {
            out.push('[');
        }
        let _ = write!(out, "{}", Shown(range.low));
        if range.low != range.high {
            let _ = write!(out, "-{}", Shown(range.high));
        }
        if brackets {
            out.push(']');
        }
    }
    if has_ports {
        out.push(':');
        push_ports(out, range.ports);
        if let Some(base) = range.base {
            let _ = write!(out, "/{base}");
        }
    }
}

fn push_ports(out: &mut String, (low, high): (u16, u16)) {
    let _ = write!(out, "{low}");
    if low != high {
        let _ = write!(out, "-{high}");
    }
}

fn push_flags(out: &mut String, flags: u32, dashes: &str) {
    for (bit, word) in [(flags::RANDOM, "random"), (flags::FULLY, "random-fully"), (flags::PERSISTENT, "persistent")] {
        if flags & bit != 0 {
            let _ = write!(out, " {dashes}{word}");
        }
    }
}

fn to_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>, option: &str) -> Option<()> {
    let range = range(fields, context.family)?;
    let _ = write!(out, " {option} ");
    push_range(out, &range);
    push_flags(out, range.flags, "--");
    Some(())
}

pub(super) fn snat_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    to_save(out, fields, context, "--to-source")
}

pub(super) fn dnat_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    to_save(out, fields, context, "--to-destination")
}

pub(super) fn to_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let range = range(fields, context.family)?;
    out.push_str(" to:");
    push_range(out, &range);
    push_flags(out, range.flags, "");
    Some(())
}

fn ports_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let range = range(fields, context.family)?;
    if range.flags & flags::PORTS != 0 {
        out.push_str(" --to-ports ");
        push_ports(out, range.ports);
    }
    push_flags(out, range.flags, "--");
    Some(())
}

fn ports_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>, words: &str) -> Option<()> {
    let range = range(fields, context.family)?;
    if range.flags & flags::PORTS != 0 {
        out.push_str(words);
        push_ports(out, range.ports);
    }
    push_flags(out, range.flags, "");
    Some(())
}

pub(super) fn masquerade_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    ports_save(out, fields, context)
}

pub(super) fn masquerade_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    ports_list(out, fields, context, " masq ports: ")
}

pub(super) fn redirect_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    ports_save(out, fields, context)
}

pub(super) fn redirect_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    ports_list(out, fields, context, " redir ports ")
}

/// The network of a NETMAP: every bit in which the two ends differ is a host bit.
fn push_network(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    let range = range(fields, context.family)?;
    let mask = match (range.low, range.high) {
        (IpAddr::V4(low), IpAddr::V4(high)) => IpAddr::from(Ipv4Addr::from(!(u32::from(low) ^ u32::from(high)))),
        (IpAddr::V6(low), IpAddr::V6(high)) => IpAddr::from(Ipv6Addr::from(!(u128::from(low) ^ u128::from(high)))),
        _ => return None,
    };
    push_prefix(out, &Masked { address: range.low, mask });
    Some(())
}

pub(super) fn netmap_save(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    out.push_str(" --to ");
    push_network(out, fields, context)
}

pub(super) fn netmap_list(out: &mut String, fields: Fields<'_>, context: &Context<'_>) -> Option<()> {
    out.push_str(" to:");
    push_network(out, fields, context)
}
