//! Matches of x_tables (linux/netfilter/xt_*.h): each one's condition, as far as it can be known of one packet.

use std::net::IpAddr;

use super::kernel::{Question, SetEntry, rtn};
use super::packet::{State, protocol};
use super::play::{DST_NAT, OUTPUT, POSTROUTING, SRC_NAT, Truth, Walk};
use super::xt::under;
use crate::bytes::Fields;
use crate::model::{Extension, Masked};

fn unknown(why: &str) -> Truth {
    Truth::Unknown(why.to_owned())
}

/// Whether every number of a range of possible ones lies in another, or none does.
pub(super) fn within((low, high): (u16, u16), from: u16, to: u16) -> Option<bool> {
    if from <= low && high <= to {
        Some(true)
    } else if high < from || to < low || to < from {
        Some(false)
    } else {
        None
    }
}

/// The words for a source port that nobody named.
const NO_SOURCE_PORT: &str = "the source port is not given";

fn port_truth(found: Option<bool>) -> Truth {
    found.map_or_else(|| unknown(NO_SOURCE_PORT), Truth::of)
}

impl Walk<'_> {
    /// Whether a match holds.
    pub(super) fn xt_match(&self, found: &Extension<'_>) -> Truth {
        let fields = Fields(&found.data);
        let decided = match (&*found.name, found.revision) {
            ("comment" | "nfacct", _) => Some(Truth::Yes),
            ("tcp" | "udp" | "udplite", 0) => self.ports(fields, found.name == "tcp"),
            ("sctp" | "dccp", 0) => self.sctp(fields),
            ("multiport", 1) => self.multiport(fields),
            ("mark", 1) => marked(fields, self.packet.mark),
            ("connmark", 1) => {
                if self.connection.seen && !matches!(self.connection.state, State::Invalid | State::Untracked) {
                    marked(fields, self.connection.mark)
                } else {
                    Some(Truth::No)
                }
            }
            ("icmp" | "icmp6", 0) => self.icmp(fields, found.name == "icmp"),
            ("conntrack", revision @ 1..=3) => self.conntrack(fields, revision),
            ("state", 0) => fields.u32(0).map(|mask| Truth::of(self.state_bit() & mask != 0)),
            ("addrtype", 1) => self.addrtype(fields),
            ("statistic", 0) => statistic(fields),
            ("set", 1..=4) => self.set(fields, found.revision),
            ("iprange", 1) => self.iprange(fields),
            ("owner", 1) => self.owner(fields),
            ("pkttype", 0) => self.pkttype(fields),
            ("length", 0) => self.length(fields),
            ("ttl" | "hl", 0) => self.hops(fields),
            ("dscp", 0) => fields
                .u8(0)
                .zip(fields.u8(1))
                .map(|(dscp, not)| Truth::of((self.packet.tos >> 2 == dscp) != (not != 0))),
            ("tos", 1) => fields
                .u8(0)
                .zip(fields.u8(1))
                .zip(fields.u8(2))
                .map(|((mask, value), not)| Truth::of((self.packet.tos & mask == value) != (not != 0))),
            ("devgroup", 0) => self.devgroup(fields),
            ("physdev", 0) => self.physdev(fields),
            ("rpfilter", 0) => self.rpfilter(fields),
            ("esp" | "ah", _) if !matches!(self.packet.protocol, 50 | 51) => Some(Truth::No),
            // These look for headers that a plain packet does not have.
            ("frag" | "rt" | "hbh" | "dst" | "mh" | "ipv6header", _) => {
                Some(unknown("whether there are extension headers is not given"))
            }
            ("tcpmss", _) if self.packet.protocol != protocol::TCP => Some(Truth::No),
            ("socket", _) if !self.packet.has_ports() => Some(Truth::No),
            (name, _) => Some(Truth::Unknown(name.to_owned())),
        };
        decided.unwrap_or_else(|| Truth::Unknown(format!("{}: its structure cannot be read", found.name)))
    }

    /// struct xt_tcp, struct xt_udp
    fn ports(&self, fields: Fields<'_>, tcp: bool) -> Option<Truth> {
        let inverted = fields.u8(if tcp { 11 } else { 8 })?;
        let wanted = if tcp { &[protocol::TCP][..] } else { &[protocol::UDP, protocol::UDPLITE][..] };
        if !wanted.contains(&self.packet.protocol) {
            return Some(Truth::No);
        }
        let range = |at| fields.u16(at).zip(fields.u16(at + 2));
        let (source, destination) = (range(0)?, range(4)?);
        let source = port_truth(within(self.packet.sport, source.0, source.1)).not(inverted & 0x01 != 0);
        let port = self.packet.dport.unwrap_or(0);
        let destination = (destination.0..=destination.1).contains(&port) != (inverted & 0x02 != 0);
        let mut truth = source.and(Truth::of(destination));
        if tcp {
            let (option, mask, compare) = (fields.u8(8)?, fields.u8(9)?, fields.u8(10)?);
            truth = truth.and(Truth::of((self.packet.flags & mask == compare) != (inverted & 0x04 != 0)));
            if option != 0 {
                truth = truth.and(unknown("tcp option"));
            }
        }
        Some(truth)
    }

    /// struct xt_sctp_info, struct xt_dccp_info: ports first, and what is asked of them by flags.
    fn sctp(&self, fields: Fields<'_>) -> Option<Truth> {
        if !matches!(self.packet.protocol, protocol::SCTP | 33) {
            return Some(Truth::No);
        }
        let (sources, destinations) = (fields.u16(0)?..=fields.u16(2)?, fields.u16(4)?..=fields.u16(6)?);
        let plain = fields.0.get(8..)?.iter().all(|byte| *byte == 0);
        let source = port_truth(within(self.packet.sport, *sources.start(), *sources.end()));
        let both = source.and(Truth::of(destinations.contains(&self.packet.dport.unwrap_or(0))));
        // Flags say which of the conditions hold and which are negated; their place depends on the kernel's build.
        Some(if plain { both } else { both.and(Truth::Yes).and(unknown("sctp")) })
    }

    /// struct xt_multiport_v1
    fn multiport(&self, fields: Fields<'_>) -> Option<Truth> {
        let (which, count, negated) = (fields.u8(0)?, usize::from(fields.u8(1)?).min(15), fields.u8(47)? != 0);
        if !self.packet.has_ports() {
            return Some(Truth::No);
        }
        let (mut any, mut open) = (false, false);
        let mut index = 0;
        while index < count {
            let low = fields.u16(2 + 2 * index)?;
            let mut high = low;
            if fields.u8(32 + index)? != 0 {
                index += 1;
                high = fields.u16(2 + 2 * index)?;
            }
            index += 1;
            let port = self.packet.dport.unwrap_or(0);
            // XT_MULTIPORT_SOURCE 0, DESTINATION 1, EITHER 2
            if which != 0 {
                any |= (low..=high).contains(&port);
            }
            if which != 1 {
                match within(self.packet.sport, low, high) {
                    Some(inside) => any |= inside,
                    None => open = true,
                }
            }
        }
        Some(if !any && open { unknown(NO_SOURCE_PORT) } else { Truth::of(any != negated) })
    }

    /// struct ipt_icmp, struct ip6t_icmp
    fn icmp(&self, fields: Fields<'_>, v4: bool) -> Option<Truth> {
        let own = if v4 { protocol::ICMP } else { protocol::ICMPV6 };
        let (kind, low, high, inverted) = (fields.u8(0)?, fields.u8(1)?, fields.u8(2)?, fields.u8(3)? & 1 != 0);
        if self.packet.protocol != own {
            return Some(Truth::No);
        }
        let any = v4 && kind == u8::MAX;
        let fits = any || (kind == self.packet.icmp.0 && (low..=high).contains(&self.packet.icmp.1));
        Some(Truth::of(fits != inverted))
    }

    /// The state as a bit, as far as it is known at this hook.
    pub(super) fn state_bit(&self) -> u32 {
        // An exemption is known as soon as it is made; everything else only from conntrack's hook on.
        match (self.connection.seen, self.connection.state) {
            (_, State::Untracked) => State::Untracked.bit(),
            (true, state) => state.bit(),
            (false, _) => State::Invalid.bit(),
        }
    }

    /// Whether a connection belongs to the packet at this hook.
    pub(super) fn has_connection(&self) -> bool {
        self.connection.seen && !matches!(self.connection.state, State::Invalid | State::Untracked)
    }

    /// The connection's original and reply tuples as they are now.
    pub(super) fn tuples(&self) -> [(IpAddr, IpAddr, Option<u16>, Option<u16>); 2] {
        if let Some(entry) = &self.connection.entry {
            return entry
                .tuples
                .map(|(source, destination, sport, dport)| (source, destination, Some(sport), Some(dport)));
        }
        let packet = &self.packet;
        let sport = packet.source_port();
        [self.connection.original, (packet.destination, packet.source, packet.dport, sport)]
    }

    /// struct xt_conntrack_mtinfo1 to 3
    fn conntrack(&self, fields: Fields<'_>, revision: u8) -> Option<Truth> {
        let (wanted, inverted) = (fields.u16(146)?, fields.u16(148)?);
        let (states, statuses) = match revision {
            1 => (fields.u8(150)?.into(), fields.u8(151)?.into()),
            _ => (fields.u16(150)?, fields.u16(152)?),
        };
        let not = |bit: u16| inverted & bit != 0;
        let mut truth = Truth::Yes;
        if wanted & 1 != 0 {
            let bit = self.state_bit();
            // XT_CONNTRACK_STATE_UNTRACKED is bit 8; SNAT and DNAT are 6 and 7.
            let mut bits = if bit == State::Untracked.bit() { 1 << 8 } else { bit };
            if self.has_connection() {
                bits |= if self.connection.status & SRC_NAT != 0 { 1 << 6 } else { 0 };
                bits |= if self.connection.status & DST_NAT != 0 { 1 << 7 } else { 0 };
            }
            truth = Truth::of((u32::from(states) & bits != 0) != not(1));
        }
        if !self.has_connection() {
            return Some(truth.and(Truth::of(wanted & 1 != 0)));
        }
        if wanted & (1 << 12) != 0 {
            let reply = self.connection.entry.as_ref().is_some_and(|entry| entry.reply);
            truth = truth.and(Truth::of(reply == not(1 << 12)));
        }
        let [original, reply] = self.tuples();
        for (bit, address, at) in
            [(1 << 2, original.0, 0), (1 << 3, original.1, 32), (1 << 4, reply.0, 64), (1 << 5, reply.1, 96)]
        {
            if wanted & bit != 0 {
                let family = self.rules.family;
                let masked = Masked { address: fields.address(at, family)?, mask: fields.address(at + 16, family)? };
                truth = truth.and(Truth::of(under(&masked, address) != not(bit)));
            }
        }
        if wanted & (1 << 1) != 0 {
            truth = truth.and(Truth::of((fields.u16(136)? == u16::from(self.packet.protocol)) != not(1 << 1)));
        }
        for (index, port) in [original.2, original.3, reply.2, reply.3].into_iter().enumerate() {
            let bit = 1 << (8 + index);
            if wanted & bit != 0 {
                let at = 138 + 2 * index;
                let (low, high) = match revision {
                    3 => (fields.u16(at)?, fields.u16(154 + 2 * index)?),
                    _ => (fields.be16(at)?, fields.be16(at)?),
                };
                let high = if high == 0 { low } else { high };
                let possible = port.map_or(self.packet.sport, |port| (port, port));
                truth = truth.and(port_truth(within(possible, low, high)).not(not(bit)));
            }
        }
        if wanted & (1 << 6) != 0 {
            let status = u16::try_from(self.connection.status & 0xffff).unwrap_or(0);
            truth = truth.and(Truth::of((status & statuses != 0) != not(1 << 6)));
        }
        if wanted & (1 << 7) != 0 {
            truth = truth.and(unknown("ctexpire"));
        }
        Some(truth)
    }

    /// struct xt_addrtype_info_v1
    fn addrtype(&self, fields: Fields<'_>) -> Option<Truth> {
        let flags = fields.u32(4)?;
        let device = match flags & 0x0c {
            0x04 => self.input_link().map_or(0, |link| link.index),
            0x08 => self.output_link().map_or(0, |link| link.index),
            _ => 0,
        };
        let mut truth = Truth::Yes;
        for (at, address, inverted) in [(0, self.packet.source, 0x01), (2, self.packet.destination, 0x02)] {
            let types = fields.u16(at)?;
            if types != 0 {
                let found = self.address_has_type(address, device, types);
                truth = truth.and(found.not(flags & inverted != 0));
            }
        }
        Some(truth)
    }

    fn address_has_type(&self, address: IpAddr, device: u32, types: u16) -> Truth {
        let Some(kind) = self.kernel.address_type(address, device) else {
            return unknown("the type of the address is not known");
        };
        if address.is_ipv6() {
            // Here every bit is a condition of its own (match_type6).
            let has = |kind: u8| types >> kind & 1 == 1;
            let local = has(rtn::LOCAL) || has(rtn::ANYCAST);
            return Truth::of(
                (!has(rtn::MULTICAST) || address.is_multicast())
                    && (!has(rtn::UNICAST) || !address.is_multicast())
                    && (!has(0) || address.is_unspecified())
                    && (!local || (kind < 16 && types >> kind & 1 == 1 && kind != rtn::UNICAST)),
            );
        }
        Truth::of(kind < 16 && types >> kind & 1 == 1)
    }

    /// struct xt_set_info_match_v1 and on
    fn set(&self, fields: Fields<'_>, revision: u8) -> Option<Truth> {
        let (index, dimensions, flags) = (fields.u16(0)?, fields.u8(2)?, fields.u8(3)?);
        let Some(name) = (self.rules.sets)(index) else {
            return Some(Truth::Unknown(format!("set {index} has no name")));
        };
        let entry = self.set_entry((1..=dimensions.min(6)).map(|dimension| flags >> dimension & 1 == 1).collect());
        let truth = match self.kernel.in_set(&name, &entry) {
            Ok(found) => Truth::of(found != (flags & 1 != 0)),
            Err(why) => Truth::Unknown(why),
        };
        // With counters the entry must fit them too.
        let counters = match revision {
            1 | 2 => false,
            3 => fields.u8(8)? != 0 || fields.u8(24)? != 0,
            _ => fields.u8(16)? != 0 || fields.u8(32)? != 0,
        };
        Some(if counters { truth.and(unknown("counters of the set's entry")) } else { truth })
    }

    pub(super) fn set_entry(&self, from_source: Vec<bool>) -> SetEntry {
        let packet = &self.packet;
        SetEntry {
            from_source,
            addresses: [packet.source, packet.destination],
            ports: [packet.source_port(), packet.dport],
            protocol: packet.protocol,
            icmp: packet.icmp,
            links: [self.input_link().map(|link| link.name.clone()), self.output_link().map(|link| link.name.clone())],
            mark: packet.mark,
        }
    }

    /// struct xt_iprange_mtinfo
    fn iprange(&self, fields: Fields<'_>) -> Option<Truth> {
        let flags = fields.u8(64)?;
        let mut holds = true;
        for (bit, inverted, at, address) in [(1, 0x10, 0, self.packet.source), (2, 0x20, 32, self.packet.destination)] {
            if flags & bit != 0 {
                let family = self.rules.family;
                let range = fields.address(at, family)?..=fields.address(at + 16, family)?;
                holds &= range.contains(&address) != (flags & inverted != 0);
            }
        }
        Some(Truth::of(holds))
    }

    /// struct xt_owner_match_info; only what starts here has a socket.
    fn owner(&self, fields: Fields<'_>) -> Option<Truth> {
        let (wanted, inverted) = (fields.u8(16)?, fields.u8(17)?);
        if !(self.local && matches!(self.hook, OUTPUT | POSTROUTING)) {
            return Some(Truth::of(wanted == inverted));
        }
        let mut truth = Truth::Yes;
        // XT_OWNER_SOCKET
        if wanted & 4 != 0 {
            truth = truth.and(Truth::of(inverted & 4 == 0));
        }
        for (bit, at, own, word) in [(1, 0, self.packet.uid, "uid"), (2, 8, self.packet.gid, "gid")] {
            if wanted & bit != 0 {
                let range = fields.u32(at)?..=fields.u32(at + 4)?;
                truth = truth.and(match own {
                    Some(own) => Truth::of(range.contains(&own) != (inverted & bit != 0)),
                    None => Truth::Unknown(format!("owner: the {word} of the sender is not given")),
                });
            }
        }
        Some(truth)
    }

    /// struct xt_pkttype_info; what a link layer said is taken from the destination.
    fn pkttype(&self, fields: Fields<'_>) -> Option<Truth> {
        let (wanted, inverted) = (fields.i32(0)?, fields.i32(4)? != 0);
        // PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST
        let kind = match self.kernel.address_type(self.packet.destination, 0) {
            Some(rtn::BROADCAST) => 1,
            Some(rtn::MULTICAST) => 2,
            _ => 0,
        };
        Some(Truth::of((kind == wanted) != inverted))
    }

    /// struct xt_length_info
    fn length(&self, fields: Fields<'_>) -> Option<Truth> {
        let (low, high, inverted) = (fields.u16(0)?, fields.u16(2)?, fields.u8(4)? != 0);
        Some(match self.packet.length {
            Some(length) => Truth::of((low..=high).contains(&length) != inverted),
            None if (low, high) == (0, u16::MAX) => Truth::of(!inverted),
            None => unknown("length: not given"),
        })
    }

    /// struct ipt_ttl_info, struct ip6t_hl_info: equal, not equal, less, greater
    fn hops(&self, fields: Fields<'_>) -> Option<Truth> {
        let (mode, value) = (fields.u8(0)?, fields.u8(1)?);
        let Some(ttl) = self.packet.ttl else { return Some(unknown("ttl: not given")) };
        Some(Truth::of(match mode {
            0 => ttl == value,
            1 => ttl != value,
            2 => ttl < value,
            3 => ttl > value,
            _ => return None,
        }))
    }

    /// struct xt_devgroup_info
    fn devgroup(&self, fields: Fields<'_>) -> Option<Truth> {
        let flags = fields.u32(0)?;
        let mut holds = true;
        for (bit, inverted, at, link) in [(1, 2, 4, self.input_link()), (4, 8, 12, self.output_link())] {
            if flags & bit != 0 {
                let (group, mask) = (fields.u32(at)?, fields.u32(at + 4)?);
                holds &= link.is_some_and(|link| (link.group & mask == group) != (flags & inverted != 0));
            }
        }
        Some(Truth::of(holds))
    }

    /// struct xt_physdev_info: only what crosses a bridge has such devices.
    fn physdev(&self, fields: Fields<'_>) -> Option<Truth> {
        let (inverted, wanted) = (fields.u8(64)?, fields.u8(65)?);
        let bridged = [self.input_link(), self.output_link()].into_iter().flatten().any(|link| link.bridge)
            && self.kernel.sysctl("bridge/bridge-nf-call-iptables").is_some_and(|value| value == "1");
        if bridged {
            return Some(unknown("physdev"));
        }
        // Without a bridge only negations hold (physdev_mt).
        Some(Truth::of(wanted & !inverted == 0))
    }

    /// struct xt_rpfilter_info: the way back must lead to where the packet came in.
    fn rpfilter(&self, fields: Fields<'_>) -> Option<Truth> {
        let flags = fields.u8(0)?;
        let Some(input) = self.input_link().filter(|link| !link.loopback) else {
            return Some(Truth::of(flags & 0x08 == 0));
        };
        let back = Question {
            destination: self.packet.source,
            source: None,
            input: 0,
            output: 0,
            mark: if flags & 0x02 != 0 { self.packet.mark } else { 0 },
            flow: (0, None, None),
            uid: None,
        };
        let fits = self.kernel.route(&back).is_ok_and(|route| {
            let kind = route.kind == rtn::UNICAST || (flags & 0x04 != 0 && route.kind == rtn::LOCAL);
            kind && (flags & 0x01 != 0 || route.output == input.index)
        });
        Some(Truth::of(fits != (flags & 0x08 != 0)))
    }
}

/// struct xt_mark_mtinfo1, struct xt_connmark_mtinfo1
fn marked(fields: Fields<'_>, mark: u32) -> Option<Truth> {
    let (value, mask, inverted) = (fields.u32(0)?, fields.u32(4)?, fields.u8(8)? != 0);
    Some(Truth::of((mark & mask == value) != inverted))
}

/// struct xt_statistic_info: a probability in units of 2^-31, or every n-th packet.
fn statistic(fields: Fields<'_>) -> Option<Truth> {
    let inverted = fields.u16(2)? & 1 != 0;
    let share = match fields.u16(0)? {
        0 => f64::from(fields.u32(4)?) / f64::from(0x8000_0000u32),
        1 => 1.0 / (f64::from(fields.u32(4)?) + 1.0),
        _ => return None,
    };
    Some(Truth::Chance(share).not(inverted))
}
