//! BGP-4 (RFC 4271): messages, and with `-v` what an update says in IPv4.

use crate::fetch::{Fetch, Names, Res, name, names};
use crate::{Printer, put};

const KINDS: Names = names![(1, "Open"), (2, "Update"), (3, "Notification"), (4, "Keepalive"), (5, "Route Refresh")];

const ATTRIBUTES: Names = names![
    (1, "Origin"),
    (2, "AS Path"),
    (3, "Next Hop"),
    (4, "Multi Exit Discriminator"),
    (5, "Local Preference"),
    (6, "Atomic Aggregate"),
    (7, "Aggregator"),
    (8, "Community"),
    (9, "Originator ID"),
    (10, "Cluster List"),
    (11, "DPA"),
    (12, "Advertisers"),
    (13, "RCID_PATH / CLUSTER_ID"),
    (14, "Multi-Protocol Reach NLRI"),
    (15, "Multi-Protocol Unreach NLRI"),
    (16, "Extended Community"),
    (17, "AS4 Path"),
    (18, "AS4 Aggregator"),
    (22, "PMSI Tunnel"),
    (26, "Accumulated IGP Metric"),
    (32, "Large Community"),
    (128, "Attribute Set"),
];

impl Printer {
    /// The messages of one segment.
    pub(crate) fn bgp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "bgp";
        self.text(": BGP");
        if self.v() == 0 {
            return Ok(());
        }
        let data = p.head(length);
        let mut at = 0;
        while at < data.len() {
            if data.u8(at)? != 0xff {
                at += 1;
                continue;
            }
            let Ok(marker) = data.part(at, 16) else { break };
            if marker.iter().any(|byte| *byte != 0xff) {
                at += 1;
                continue;
            }
            if data.tail(at).len() < 19 {
                self.truncated();
                return Ok(());
            }
            let size = usize::from(data.u16(at + 16)?);
            if size < 19 {
                put!(self, "\n[bgp length {size} < 19]");
                self.invalid();
                return Ok(());
            }
            let message = data.tail(at).head(size);
            if message.len() < size {
                let kind = message.u8(18)?;
                put!(self, "\n[|BGP {}]", name(KINDS, kind).unwrap_or("Unknown"));
                return Ok(());
            }
            self.bgp_message(message, size)?;
            at += size;
        }
        Ok(())
    }

    fn bgp_message(&mut self, p: &[u8], size: usize) -> Res {
        let kind = p.u8(18)?;
        put!(self, "\n\t{} Message ({kind}), length: {size}", name(KINDS, kind).unwrap_or("Unknown"));
        let body = p.tail(19);
        match kind {
            1 => {
                put!(self, "\n\t  Version {}, my AS ", body.u8(0)?);
                self.autonomous_system(u32::from(body.u16(1)?));
                put!(self, ", Holdtime {}s, ID ", body.u16(3)?);
                self.ip4(body, 5)?;
                let options = usize::from(body.u8(9)?);
                put!(self, "\n\t  Optional parameters, length: {options}");
                self.bgp_parameters(body.tail(10).head(options))?;
            }
            2 => self.bgp_update(body)?,
            3 => {
                const MAJOR: Names = names![
                    (1, "Message Header Error"),
                    (2, "OPEN Message Error"),
                    (3, "UPDATE Message Error"),
                    (4, "Hold timer expired"),
                    (5, "Finite State Machine Error"),
                    (6, "Cease"),
                    (7, "Capability Message Error"),
                ];
                const CEASE: Names = names![
                    (1, "Maximum Number of Prefixes Reached"),
                    (2, "Administrative Shutdown"),
                    (3, "Peer Unconfigured"),
                    (4, "Administrative Reset"),
                    (5, "Connection Rejected"),
                    (6, "Other Configuration Change"),
                    (7, "Connection Collision Resolution"),
                ];
                let (major, minor) = (body.u8(0)?, body.u8(1)?);
                put!(self, ", {} ({major}), subcode ", name(MAJOR, major).unwrap_or("Unknown Error"));
                let text = if major == 6 { name(CEASE, minor) } else { None };
                put!(self, "{} ({minor})", text.unwrap_or("Unknown"));
            }
            5 => {
                put!(self, "\n\t  AFI {} ({}), ", family(body.u16(0)?), body.u16(0)?);
                put!(self, "SAFI {} ({})", subsequent(body.u8(3)?), body.u8(3)?);
            }
            4 => {}
            _ => {
                put!(self, "\n\t  no Message {kind} decoder");
                self.hex_lines("\n\t  ", body);
            }
        }
        if self.v() > 1 && !body.is_empty() {
            self.hex_lines("\n\t  ", body);
        }
        Ok(())
    }

    fn autonomous_system(&mut self, number: u32) {
        if self.options.asdot && number > 65535 {
            put!(self, "{}.{}", number >> 16, number & 0xffff);
        } else {
            self.dec(number);
        }
    }

    fn bgp_parameters(&mut self, p: &[u8]) -> Res {
        let mut at = 0;
        while at < p.len() {
            let (kind, size) = (p.u8(at)?, usize::from(p.u8(at + 1)?));
            const PARAMETERS: Names = names![(1, "Authentication Information"), (2, "Capabilities Advertisement")];
            put!(self, "\n\t    Option {} ({kind}), length: {size}", name(PARAMETERS, kind).unwrap_or("Unknown"));
            let value = p.part(at + 2, size)?;
            if kind == 2 {
                self.bgp_capabilities(value)?;
            } else {
                put!(self, "\n\t      no decoder for option {kind}");
            }
            at += 2 + size;
        }
        Ok(())
    }

    fn bgp_capabilities(&mut self, p: &[u8]) -> Res {
        const CAPABILITIES: Names = names![
            (1, "Multiprotocol Extensions"),
            (2, "Route Refresh"),
            (3, "Cooperative Route Filtering"),
            (5, "Extended Next Hop Encoding"),
            (6, "BGP Extended Message"),
            (64, "Graceful Restart"),
            (65, "32-Bit AS Number"),
            (67, "Dynamic Capability"),
            (68, "Multi BGP Session"),
            (69, "Multiple Paths"),
            (70, "Enhanced Route Refresh"),
            (71, "Long-Lived Graceful Restart (LLGR)"),
            (128, "Route Refresh (Cisco)"),
        ];
        let mut at = 0;
        while at < p.len() {
            let (kind, size) = (p.u8(at)?, usize::from(p.u8(at + 1)?));
            let value = p.part(at + 2, size)?;
            put!(self, "\n\t      {} ({kind}), length: {size}", name(CAPABILITIES, kind).unwrap_or("Unknown"));
            match kind {
                1 if size == 4 => {
                    let (afi, safi) = (value.u16(0)?, value.u8(3)?);
                    put!(self, "\n\t\tAFI {} ({afi}), SAFI {} ({safi})", family(afi), subsequent(safi));
                }
                64 if size >= 2 => {
                    let field = value.u16(0)?;
                    self.text("\n\t\tRestart Flags: [");
                    self.bits(names![(8, "R"), (4, "N")], u32::from(field >> 12), ", ");
                    put!(self, "], Restart Time {}s", field & 0xfff);
                    for family_of in value.tail(2).chunks_exact(4) {
                        let (afi, safi) = (family_of.u16(0)?, family_of.u8(2)?);
                        let kept = if family_of.u8(3)? & 0x80 != 0 { "yes" } else { "no" };
                        put!(
                            self,
                            "\n\t\t  AFI {} ({afi}), SAFI {} ({safi}), Forwarding state preserved: {kept}",
                            family(afi),
                            subsequent(safi)
                        );
                    }
                }
                65 if size == 4 => {
                    self.text("\n\t\t 4 Byte AS ");
                    self.autonomous_system(value.u32(0)?);
                }
                2 | 6 | 70 | 128 => {}
                _ => {
                    put!(self, "\n\t\tno decoder for Capability {kind}");
                    if self.v() <= 1 {
                        self.hex_lines("\n\t\t", value);
                    }
                }
            }
            if self.v() > 1 && size > 0 {
                self.hex_lines("\n\t\t", value);
            }
            at += 2 + size;
        }
        Ok(())
    }

    fn bgp_update(&mut self, p: &[u8]) -> Res {
        let withdrawn = usize::from(p.u16(0)?);
        if withdrawn > 0 {
            put!(self, "\n\t  Withdrawn routes:");
            self.bgp_prefixes(p.part(2, withdrawn)?, "\n\t    ")?;
        }
        let mut at = 2 + withdrawn;
        let attributes = usize::from(p.u16(at)?);
        at += 2;
        if attributes == 0 && withdrawn == 0 && p.len() == at {
            self.text("\n\t  End-of-Rib Marker (empty NLRI)");
            return Ok(());
        }
        let mut rest = p.part(at, attributes)?;
        at += attributes;
        while !rest.is_empty() {
            let (flags, kind) = (rest.u8(0)?, rest.u8(1)?);
            let (size, header) =
                if flags & 0x10 != 0 { (usize::from(rest.u16(2)?), 4) } else { (usize::from(rest.u8(2)?), 3) };
            put!(self, "\n\t  {} ({kind}), length: {size}", name(ATTRIBUTES, kind).unwrap_or("Unknown Attribute"));
            if flags != 0 {
                self.text(", Flags [");
                for (bit, letter) in [(0x80, "O"), (0x40, "T"), (0x20, "P"), (0x10, "E")] {
                    if flags & bit != 0 {
                        self.text(letter);
                    }
                }
                if flags & 15 != 0 {
                    put!(self, "+{:x}", flags & 15);
                }
                self.text("]");
            }
            self.text(": ");
            let value = rest.part(header, size)?;
            self.bgp_attribute(kind, value)?;
            rest = rest.tail(header + size);
        }
        if at < p.len() {
            self.text("\n\t  Updated routes:");
            self.bgp_prefixes(p.tail(at), "\n\t    ")?;
        }
        Ok(())
    }

    fn bgp_attribute(&mut self, kind: u8, value: &[u8]) -> Res {
        match (kind, value.len()) {
            (1, 1) => {
                const ORIGINS: Names = names![(0, "IGP"), (1, "EGP"), (2, "Incomplete")];
                let origin = value.u8(0)?;
                self.text(name(ORIGINS, origin).unwrap_or("Unknown"));
            }
            (2 | 17, 0) => self.text("empty"),
            (2 | 17, _) => {
                let width = if kind == 17 { 4 } else { path_width(value) };
                let mut rest = value;
                while !rest.is_empty() {
                    let (segment, count) = (rest.u8(0)?, usize::from(rest.u8(1)?));
                    let (open, close) = match segment {
                        1 => ("{", "}"),
                        3 => ("(", ")"),
                        4 => ("({", "})"),
                        _ => ("", ""),
                    };
                    self.text(open);
                    for index in 0..count {
                        let number = rest.uint(2 + index * width, width)?;
                        self.autonomous_system(number as u32);
                        self.text(" ");
                    }
                    self.text(close);
                    rest = rest.tail(2 + count * width);
                }
            }
            (3 | 9, 4) => self.ip4(value, 0)?,
            (4 | 5, 4) => put!(self, "{}", value.u32(0)?),
            (6, 0) => {}
            (7, 6) => {
                self.text(" AS #");
                self.autonomous_system(u32::from(value.u16(0)?));
                self.ip4_after(", origin ", value, 2)?;
            }
            (7 | 18, 8) => {
                self.text(" AS #");
                self.autonomous_system(value.u32(0)?);
                self.ip4_after(", origin ", value, 4)?;
            }
            (8, _) if value.len().is_multiple_of(4) => {
                for (index, community) in value.chunks_exact(4).enumerate() {
                    if index > 0 {
                        self.text(", ");
                    }
                    match community.u32(0)? {
                        0 => self.text(" gshut"),
                        0xffff_ff01 => self.text(" NO_EXPORT"),
                        0xffff_ff02 => self.text(" NO_ADVERTISE"),
                        0xffff_ff03 => self.text(" NO_EXPORT_SUBCONFED"),
                        _ => put!(self, "{}:{}", community.u16(0)?, community.u16(2)?),
                    }
                }
            }
            (10, _) if value.len().is_multiple_of(4) => {
                for (index, id) in value.chunks_exact(4).enumerate() {
                    if index > 0 {
                        self.text(", ");
                    }
                    self.ip4(id, 0)?;
                }
            }
            (32, _) if !value.is_empty() && value.len().is_multiple_of(12) => {
                self.text("\n\t    ");
                for (index, community) in value.chunks_exact(12).enumerate() {
                    if index > 0 {
                        self.text(", ");
                    }
                    put!(self, "{}:{}:{}", community.u32(0)?, community.u32(4)?, community.u32(8)?);
                }
            }
            (14, 5..) => {
                let (afi, safi) = (value.u16(0)?, value.u8(2)?);
                put!(self, "\n\t    AFI: {} ({afi}), ", family(afi));
                put!(self, "{}SAFI: {} ({safi})", if safi > 128 { "vendor specific " } else { "" }, subsequent(safi));
                let size = usize::from(value.u8(3)?);
                self.text("\n\t    nexthop: ");
                let hop = value.part(4, size)?;
                match (afi, size) {
                    (1, 4) => self.ip4(hop, 0)?,
                    (2, 16 | 32) => {
                        self.ip6(hop, 0)?;
                        if size == 32 {
                            self.ip6_after(", ", hop, 16)?;
                        }
                    }
                    _ => self.hex(hop),
                }
                put!(self, ", nh-length: {size}, no SNPA");
                self.bgp_family_prefixes(afi, safi, value.tail(5 + size))?;
            }
            (15, 3..) => {
                let (afi, safi) = (value.u16(0)?, value.u8(2)?);
                put!(self, "\n\t    AFI: {} ({afi}), ", family(afi));
                put!(self, "{}SAFI: {} ({safi})", if safi > 128 { "vendor specific " } else { "" }, subsequent(safi));
                if value.len() == 3 {
                    self.text("\n\t      End-of-Rib Marker (empty NLRI)");
                }
                self.bgp_family_prefixes(afi, safi, value.tail(3))?;
            }
            (1..=10, _) => self.text("invalid len"),
            _ => {
                put!(self, "\n\t    no Attribute {kind} decoder");
                if self.v() <= 1 {
                    self.hex_lines("\n\t    ", value);
                }
            }
        }
        if self.v() > 1 && !value.is_empty() {
            self.hex_lines("\n\t    ", value);
        }
        Ok(())
    }

    fn bgp_family_prefixes(&mut self, afi: u16, safi: u8, p: &[u8]) -> Res {
        match (afi, safi) {
            (1, 1 | 2) => self.bgp_prefixes(p, "\n\t      "),
            (2, 1 | 2) => {
                let mut rest = p;
                while !rest.is_empty() {
                    let bits = rest.u8(0)?;
                    let bytes = usize::from(bits.div_ceil(8));
                    let mut address = [0u8; 16];
                    if bits > 128 {
                        put!(self, "\n\t      (illegal prefix length)");
                        return Ok(());
                    }
                    for (to, from) in address.iter_mut().zip(rest.part(1, bytes)?) {
                        *to = *from;
                    }
                    self.text("\n\t      ");
                    self.colons(&address);
                    put!(self, "/{bits}");
                    rest = rest.tail(1 + bytes);
                }
                Ok(())
            }
            _ => {
                if !p.is_empty() {
                    put!(self, "\n\t    no AFI {afi} / SAFI {safi} decoder");
                    self.hex_lines("\n\t    ", p);
                }
                Ok(())
            }
        }
    }

    fn bgp_prefixes(&mut self, p: &[u8], indent: &str) -> Res {
        let mut rest = p;
        while !rest.is_empty() {
            let bits = rest.u8(0)?;
            self.text(indent);
            if bits > 32 {
                self.text("(illegal prefix length)");
                return Ok(());
            }
            let bytes = usize::from(bits.div_ceil(8));
            let mut address = [0u8; 4];
            for (to, from) in address.iter_mut().zip(rest.part(1, bytes)?) {
                *to = *from;
            }
            self.dotted(address);
            put!(self, "/{bits}");
            rest = rest.tail(1 + bytes);
        }
        Ok(())
    }
}

/// Two or four bytes for each number of a path: nothing says which, but only one fits the segments.
fn path_width(value: &[u8]) -> usize {
    let fits = |width: usize| {
        let mut rest = value;
        while !rest.is_empty() {
            let (Ok(kind), Ok(count)) = (rest.u8(0), rest.u8(1)) else { return false };
            let size = 2 + usize::from(count) * width;
            if !(1..=4).contains(&kind) || rest.len() < size {
                return false;
            }
            rest = rest.tail(size);
        }
        true
    };
    if fits(4) { 4 } else { 2 }
}

fn family(number: u16) -> &'static str {
    match number {
        1 => "IPv4",
        2 => "IPv6",
        25 => "L2VPN",
        _ => "Unknown AFI",
    }
}

fn subsequent(number: u8) -> &'static str {
    match number {
        1 => "Unicast",
        2 => "Multicast",
        4 => "labeled Unicast",
        65 => "VPLS",
        66 => "Tunnel",
        70 => "EVPN",
        128 => "labeled VPN Unicast",
        132 => "Route Target Routing Information",
        133 => "Flowspec Unicast",
        _ => "Unknown SAFI",
    }
}
