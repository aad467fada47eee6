//! Targets of x_tables: what they do to the packet, and which of them end the table.

use std::net::IpAddr;

use super::Verdict;
use super::base::At;
use super::packet::State;
use super::play::{Fate, INPUT, OUTPUT, POSTROUTING, PREROUTING, Walk};
use crate::bytes::Fields;
use crate::ext;
use crate::model::{Extension, Family};

/// Targets after which the table goes on (XT_CONTINUE), whatever else they do.
const GOES_ON: &[&str] = &[
    "LOG",
    "NFLOG",
    "ULOG",
    "TRACE",
    "TEE",
    "CHECKSUM",
    "TCPMSS",
    "TCPOPTSTRIP",
    "CLASSIFY",
    "ECN",
    "SET",
    "AUDIT",
    "IDLETIMER",
    "LED",
    "RATEEST",
    "SECMARK",
    "CONNSECMARK",
];

/// NF_NAT_RANGE_*
const ADDRESSES: u32 = 0x01;
const PORTS: u32 = 0x02;
const OFFSET: u32 = 0x20;

/// struct nf_nat_ipv4_multi_range_compat, struct nf_nat_range and nf_nat_range2
struct Range {
    addresses: Option<(IpAddr, IpAddr)>,
    ports: Option<(u16, u16)>,
    base: Option<u16>,
}

fn range(fields: Fields<'_>, family: Family) -> Option<Range> {
    // Only IPv4's first revision has the short structure, padded to eight octets.
    let short = family == Family::Ipv4 && fields.0.len() <= 24;
    let (flags, first, second, ports) = if short { (fields.u32(4)?, 8, 12, 16) } else { (fields.u32(0)?, 4, 20, 36) };
    let addresses = match flags & ADDRESSES {
        0 => None,
        _ => Some((fields.address(first, family)?, fields.address(second, family)?)),
    };
    let has_ports = flags & PORTS != 0;
    let ports = if has_ports { Some((fields.be16(ports)?, fields.be16(ports + 2)?)) } else { None };
    let base = if flags & OFFSET != 0 && !short { Some(fields.be16(40)?) } else { None };
    Some(Range { addresses, ports, base })
}

impl Walk<'_> {
    /// Does what a target does; a fate when the table ends here.
    pub(super) fn xt_target(&mut self, found: &Extension<'_>, step: usize, at: &At) -> Option<Fate> {
        let fields = Fields(&found.data);
        let outcome = match &*found.name {
            "MARK" if found.revision == 2 => self.mark_target(fields, step),
            "CONNMARK" => self.connmark_target(fields, found.revision, step),
            "MASQUERADE" => {
                let ports = range(fields, self.rules.family).and_then(|found| found.ports);
                return Some(self.masquerade(ports, step));
            }
            "REDIRECT" => {
                let port = range(fields, self.rules.family).and_then(|found| self.pick_port(&found));
                return Some(self.redirect(port, step));
            }
            "DNAT" | "SNAT" | "NETMAP" => {
                let effect = self.nat_target(&found.name, fields);
                self.add_effect(step, effect.as_deref().unwrap_or("its structure cannot be read"));
                return Some(Fate::Accept(Some(step)));
            }
            "REJECT" => {
                let context = ext::Context {
                    family: self.rules.family,
                    protocol: 0,
                    numeric: true,
                    save: true,
                    names: None,
                    sets: self.rules.sets,
                };
                let mut text = String::new();
                ext::save_target(&mut text, found, &context);
                let kind = text.trim().trim_start_matches("--reject-with ").to_owned();
                return Some(self.end(Verdict::Reject, format!("with {kind}"), step));
            }
            "NFQUEUE" => {
                let number = fields.u16(0).unwrap_or(0);
                let bypass = fields.u16(4).unwrap_or(0) & 1 != 0;
                let text = format!("queue {number}{}", if bypass { ", or past it if nobody listens" } else { "" });
                return Some(self.end(Verdict::Queue, text, step));
            }
            "SYNPROXY" => return Some(self.end(Verdict::Stolen, "answered by SYNPROXY".to_owned(), step)),
            "TPROXY" => {
                return match self.tproxy_target(fields, step) {
                    Some(Some(fate)) => Some(fate),
                    Some(None) => Some(Fate::Accept(Some(step))),
                    None => None,
                };
            }
            "NOTRACK" => {
                self.exempt(step);
                Some(())
            }
            "CT" => {
                if fields.u16(0).is_some_and(|flags| flags & 1 != 0) {
                    self.exempt(step);
                }
                Some(())
            }
            "HMARK" => {
                self.add_effect(step, "the mark is a hash that is not known here");
                self.notes
                    .push(format!("{} {} {}: HMARK sets a mark that is not known", at.table, at.chain, at.number));
                Some(())
            }
            "TOS" | "DSCP" | "TTL" | "HL" => self.header_target(&found.name, fields, step),
            name if GOES_ON.contains(&name) => Some(()),
            name => {
                // Whether an unknown target ends the table is not known: both are played.
                let label = format!("{} {} {} {} (target {name})", at.backend.name(), at.table, at.chain, at.number);
                if self.suppose(label) {
                    return Some(self.end(Verdict::Drop, format!("if {name} drops"), step));
                }
                self.add_effect(step, "this target is not known; assumed to go on");
                Some(())
            }
        };
        if outcome.is_none() {
            self.add_effect(step, "its structure cannot be read");
        }
        None
    }

    /// struct xt_tos_target_info, xt_DSCP_info, ipt_TTL_info and ip6t_HL_info: fields that later rules may ask for.
    fn header_target(&mut self, name: &str, fields: Fields<'_>, step: usize) -> Option<()> {
        let (first, second) = (fields.u8(0)?, fields.u8(1).unwrap_or(0));
        match name {
            "TOS" => self.packet.tos = self.packet.tos & !second ^ first,
            "DSCP" => self.packet.tos = self.packet.tos & 3 | first << 2,
            // Set, increase, decrease.
            _ => {
                self.packet.ttl = match first {
                    0 => Some(second),
                    1 => self.packet.ttl.map(|ttl| ttl.saturating_add(second)),
                    _ => self.packet.ttl.map(|ttl| ttl.saturating_sub(second)),
                };
                return Some(());
            }
        }
        self.add_effect(step, &format!("tos 0x{:02x}", self.packet.tos));
        Some(())
    }

    /// Changes the packet's mark.
    pub(super) fn set_mark(&mut self, mark: u32, step: usize) {
        let before = std::mem::replace(&mut self.packet.mark, mark);
        if before == mark {
            self.add_effect(step, &format!("mark stays 0x{mark:x}"));
        } else {
            self.add_effect(step, &format!("mark 0x{before:x} -> 0x{mark:x}"));
        }
    }

    /// Changes the connection's mark.
    pub(super) fn set_connection_mark(&mut self, mark: u32, step: usize) {
        if !self.has_connection() {
            return;
        }
        let before = std::mem::replace(&mut self.connection.mark, mark);
        self.add_effect(step, &format!("connection mark 0x{before:x} -> 0x{mark:x}"));
    }

    /// NOTRACK, unless the packet is tracked by now.
    pub(super) fn exempt(&mut self, step: usize) {
        if self.connection.seen {
            self.add_effect(step, "tracked already");
        } else {
            self.connection.state = State::Untracked;
            self.add_effect(step, "not tracked");
        }
    }

    /// struct xt_mark_tginfo2
    fn mark_target(&mut self, fields: Fields<'_>, step: usize) -> Option<()> {
        let (value, mask) = (fields.u32(0)?, fields.u32(4)?);
        self.set_mark(self.packet.mark & !mask ^ value, step);
        Some(())
    }

    /// struct xt_connmark_tginfo1 and 2
    fn connmark_target(&mut self, fields: Fields<'_>, revision: u8, step: usize) -> Option<()> {
        let (value, connection, packet) = (fields.u32(0)?, fields.u32(4)?, fields.u32(8)?);
        let (mode, right, bits) = match revision {
            1 => (fields.u8(12)?, false, 0),
            _ => (fields.u8(14)?, fields.u8(12)? != 0, u32::from(fields.u8(13)?)),
        };
        let shifted = |number: u32| match right {
            true => number.checked_shr(bits).unwrap_or(0),
            false => number.checked_shl(bits).unwrap_or(0),
        };
        if !self.has_connection() {
            self.add_effect(step, "no connection");
            return Some(());
        }
        match mode {
            0 => self.set_connection_mark(shifted(self.connection.mark & !connection ^ value), step),
            1 => {
                let new = shifted(self.packet.mark & packet);
                self.set_connection_mark(self.connection.mark & !connection ^ new, step);
            }
            2 => {
                let new = shifted(self.connection.mark & connection);
                self.set_mark(self.packet.mark & !packet ^ new, step);
            }
            _ => return None,
        }
        Some(())
    }

    /// Sets up a translation; what it is.
    fn nat_target(&mut self, name: &str, fields: Fields<'_>) -> Option<String> {
        let found = range(fields, self.rules.family)?;
        let destination = matches!(self.hook, PREROUTING | OUTPUT);
        match name {
            "NETMAP" => {
                let (low, high) = found.addresses?;
                let old = if destination { self.packet.destination } else { self.packet.source };
                let address = remap(old, low, high)?;
                Some(if destination {
                    self.set_destination(Some(address), None)
                } else {
                    self.set_source(Some(address), None)
                })
            }
            // Both kinds exist in INPUT too, where SNAT is the one that makes sense.
            "DNAT" if destination => {
                let port = self.pick_port(&found);
                let address = found.addresses.map(|(low, _)| low);
                let mut effect = self.set_destination(address, port);
                if let Some((low, high)) = found.addresses.filter(|(low, high)| low != high) {
                    effect.push_str(&format!(" (one of {low}-{high})"));
                    self.notes.push(format!("DNAT chooses among {low}-{high}; the first one is shown"));
                }
                Some(effect)
            }
            "SNAT" if matches!(self.hook, POSTROUTING | INPUT) => {
                let mut effect = self.set_source(found.addresses.map(|(low, _)| low), found.ports);
                if let Some((low, high)) = found.addresses.filter(|(low, high)| low != high) {
                    effect.push_str(&format!(" (one of {low}-{high})"));
                }
                Some(effect)
            }
            _ => Some("without effect in this hook".to_owned()),
        }
    }

    fn pick_port(&self, found: &Range) -> Option<u16> {
        let (low, high) = found.ports?;
        match (found.base, self.packet.dport) {
            (Some(base), Some(port)) => {
                let span = u32::from(high.saturating_sub(low)) + 1;
                let moved = u32::from(low) + u32::from(port.wrapping_sub(base)) % span;
                u16::try_from(moved).ok()
            }
            (_, Some(port)) if (low..=high).contains(&port) => Some(port),
            _ => Some(low),
        }
    }

    /// MASQUERADE; without an address to take the packet is lost.
    pub(super) fn masquerade(&mut self, ports: Option<(u16, u16)>, step: usize) -> Fate {
        let Some(address) = self.masquerade_address() else {
            return self.end(Verdict::Drop, "no address to masquerade with".to_owned(), step);
        };
        let effect = self.set_source(Some(address), ports);
        self.add_effect(step, &effect);
        Fate::Accept(Some(step))
    }

    /// REDIRECT; without an address to send to the packet is lost.
    pub(super) fn redirect(&mut self, port: Option<u16>, step: usize) -> Fate {
        let Some(address) = self.own_address() else {
            return self.end(Verdict::Drop, "no address here to redirect to".to_owned(), step);
        };
        let effect = self.set_destination(Some(address), port);
        self.add_effect(step, &effect);
        Fate::Accept(Some(step))
    }

    /// struct xt_tproxy_target_info_v1. Whether somebody listens transparently there is not visible.
    fn tproxy_target(&mut self, fields: Fields<'_>, step: usize) -> Option<Option<Fate>> {
        let (mask, value, port) = (fields.u32(0)?, fields.u32(4)?, fields.be16(24)?);
        let address = fields.address(8, self.rules.family)?;
        self.proxied(address, port, step).map_or_else(
            || {
                self.set_mark(self.packet.mark & !mask ^ value, step);
                Some(None)
            },
            |fate| Some(Some(fate)),
        )
    }

    /// A transparent proxy takes the packet if it listens, and the packet is dropped if not.
    pub(super) fn proxied(&mut self, address: IpAddr, port: u16, step: usize) -> Option<Fate> {
        let end = super::packet::endpoint(address, (port != 0).then_some(port));
        if self.suppose(format!("TPROXY, if nobody listens transparently on {end}")) {
            return Some(self.end(Verdict::Drop, format!("TPROXY finds nobody on {end}"), step));
        }
        self.add_effect(step, &format!("to the proxy on {end}, assumed to listen"));
        None
    }
}

/// NETMAP: the bits in which the ends of the range agree are the network's.
fn remap(old: IpAddr, low: IpAddr, high: IpAddr) -> Option<IpAddr> {
    Some(match (old, low, high) {
        (IpAddr::V4(old), IpAddr::V4(low), IpAddr::V4(high)) => {
            let mask = !(u32::from(low) ^ u32::from(high));
            IpAddr::V4((u32::from(old) & !mask | u32::from(low) & mask).into())
        }
        (IpAddr::V6(old), IpAddr::V6(low), IpAddr::V6(high)) => {
            let mask = !(u128::from(low) ^ u128::from(high));
            IpAddr::V6((u128::from(old) & !mask | u128::from(low) & mask).into())
        }
        _ => return None,
    })
}
