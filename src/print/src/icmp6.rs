//! ICMPv6 (RFC 4443), neighbour discovery (RFC 4861), multicast listeners (RFC 2710, RFC 3810), node information (RFC 4620).

use crate::fetch::{Fetch, Names, Res, Short, name, should_be};
use crate::proto::Outer;
use crate::{Printer, put};

const TYPES: &Names = &[
    (1, "destination unreachable"),
    (2, "packet too big"),
    (3, "time exceeded in-transit"),
    (4, "parameter problem"),
    (128, "echo request"),
    (129, "echo reply"),
    (130, "multicast listener query"),
    (131, "multicast listener report"),
    (132, "multicast listener done"),
    (133, "router solicitation"),
    (134, "router advertisement"),
    (135, "neighbor solicitation"),
    (136, "neighbor advertisement"),
    (137, "redirect"),
    (138, "router renumbering"),
    (139, "node information query"),
    (140, "node information reply"),
    (141, "inverse neighbor solicitation"),
    (142, "inverse neighbor advertisement"),
    (143, "multicast listener report v2"),
    (144, "ha discovery request"),
    (145, "ha discovery reply"),
    (146, "mobile router solicitation"),
    (147, "mobile router advertisement"),
    (155, "RPL"),
    (200, "mtrace response"),
    (201, "mtrace message"),
];

const OPTIONS: &Names = &[
    (1, "source link-address"),
    (2, "destination link-address"),
    (3, "prefix info"),
    (4, "redirected header"),
    (5, "mtu"),
    (7, "advertisement interval"),
    (8, "homeagent information"),
    (24, "route info"),
    (25, "rdnss"),
    (31, "dnssl"),
];

const RECORDS: &Names = &[(1, "is_in"), (2, "is_ex"), (3, "to_in"), (4, "to_ex"), (5, "allow"), (6, "block")];

impl Printer {
    /// One message.
    pub(crate) fn icmp6(&mut self, p: &[u8], length: usize, outer: &Outer<'_>) -> Res {
        self.proto = "icmp6";
        if length == 0 {
            self.text("ICMP6, length 0");
            self.invalid();
            return Ok(());
        }
        if self.v() > 0 && !outer.fragmented && p.holds(length) {
            let stored = p.u16(2)?;
            let sum = outer.checksum(p.head(length), 58);
            if sum == 0 {
                self.text("[icmp6 sum ok] ");
            } else {
                put!(self, "[bad icmp6 cksum 0x{stored:04x} -> 0x{:04x}!] ", should_be(stored, sum));
            }
        }
        let kind = p.u8(0)?;
        match name(TYPES, kind) {
            Some(text) => put!(self, "ICMP6, {text}"),
            None => put!(self, "ICMP6, unknown icmp6 type ({kind})"),
        }
        let verbose = self.v() > 0;
        if verbose && matches!(kind, 133..=137 | 145 | 147) {
            put!(self, ", length {length}");
        }
        match kind {
            1 => {
                if !self.icmp6_unreachable(p, p.u8(1)?, length)? {
                    return Ok(());
                }
            }
            2 => {
                put!(self, ", mtu {}", p.u32(4)?);
                if self.v() > 1 {
                    self.unknown_data("\n\t", p, length);
                }
            }
            3 => {
                if p.u8(1)? == 0 && p.len() < 48 {
                    self.truncated();
                    return Ok(());
                }
                match p.u8(1)? {
                    0 => {
                        self.ip6_after(" for ", p, 32)?;
                    }
                    1 => self.text(" (reassembly)"),
                    code => put!(self, ", unknown code ({code})"),
                }
                if self.v() > 1 {
                    self.unknown_data("\n\t", p, length);
                }
            }
            4 => {
                if p.len() < 48 {
                    self.truncated();
                    return Ok(());
                }
                let pointer = p.u32(4)?;
                match p.u8(1)? {
                    0 => put!(self, ", erroneous - octet {pointer}"),
                    1 => put!(self, ", next header - octet {pointer}"),
                    2 => put!(self, ", option - octet {pointer}"),
                    3 => put!(self, ", incomplete header chain - octet {pointer}"),
                    code => put!(self, ", code-#{code}"),
                }
                if self.v() > 1 {
                    self.unknown_data("\n\t", p, length);
                }
            }
            128 | 129 => put!(self, ", id {}, seq {}", p.u16(4)?, p.u16(6)?),
            130 if length == 24 => self.mld(p)?,
            130 if length >= 28 => {
                self.text(" v2");
                self.mld2_query(p, length)?;
            }
            130 => put!(self, " unknown-version (len {length}) "),
            131 | 132 => self.mld(p)?,
            143 => self.mld2_report(p, length)?,
            133 if verbose => self.nd_options(p, 8, length)?,
            134 if verbose => {
                put!(self, "\n\thop limit {}, Flags [", p.u8(4)?);
                let flags = p.u8(5)?;
                let table: &Names = &[(0x80, "managed"), (0x40, "other stateful"), (0x20, "home agent")];
                self.bits(table, u32::from(flags & 0xe0), ", ");
                let preference = router_preference(flags);
                put!(self, "], pref {preference}, router lifetime {}s, ", p.u16(6)?);
                put!(self, "reachable time {}ms, retrans timer {}ms", p.u32(8)?, p.u32(12)?);
                self.nd_options(p, 16, length)?;
            }
            135 => {
                self.ip6_after(", who has ", p, 8)?;
                if verbose {
                    self.nd_options(p, 24, length)?;
                }
            }
            136 => {
                self.ip6_after(", tgt is ", p, 8)?;
                if verbose {
                    self.text(", Flags [");
                    let table: &Names =
                        &[(0x8000_0000, "router"), (0x4000_0000, "solicited"), (0x2000_0000, "override")];
                    self.bits(table, p.u32(4)?, ", ");
                    self.text("]");
                    self.nd_options(p, 24, length)?;
                }
            }
            137 => {
                self.ip6_after(", ", p, 24)?;
                self.ip6_after(" to ", p, 8)?;
                if verbose {
                    self.nd_options(p, 40, length)?;
                }
            }
            138 => self.renumbering(p, length)?,
            139 | 140 => self.node_information(p, length)?,
            133 | 134 | 141 | 142 => {}
            144 | 146 => put!(self, ", id 0x{:04x}", p.u16(4)?),
            145 if verbose => {
                put!(self, ", id 0x{:04x}", p.u16(4)?);
                let mut at = 8;
                while at < length {
                    self.ip6_after(", ", p, at)?;
                    at += 16;
                }
            }
            147 if verbose => {
                put!(self, ", id 0x{:04x}", p.u16(4)?);
                let flags = p.u16(6)?;
                if flags & 0xc000 != 0 {
                    self.text(" ");
                }
                if flags & 0x8000 != 0 {
                    self.text("M");
                }
                if flags & 0x4000 != 0 {
                    self.text("O");
                }
                self.nd_options(p, 8, length)?;
            }
            145 | 147 => {}
            155 => self.rpl(p, length)?,
            _ => {
                put!(self, ", length {length}");
                if self.v() <= 1 {
                    self.unknown_data("\n\t", p, length);
                }
                return Ok(());
            }
        }
        if !verbose {
            put!(self, ", length {length}");
        }
        Ok(())
    }

    /// Bytes of what has no printer, as far as they were captured.
    pub(crate) fn unknown_data(&mut self, indent: &str, p: &[u8], length: usize) {
        self.hex_lines(indent, p.head(length));
    }

    fn icmp6_unreachable(&mut self, p: &[u8], code: u8, length: usize) -> Res<bool> {
        const CODES: &Names = &[
            (0, "unreachable route"),
            (1, " unreachable prohibited"),
            (2, "beyond scope"),
            (3, "unreachable address"),
            (4, "unreachable port"),
        ];
        match name(CODES, code) {
            Some(text) => put!(self, ", {text}"),
            None => put!(self, ", unknown unreach code ({code})"),
        }
        match code {
            0 | 1 | 3 => {
                self.ip6_after(" ", p, 32)?;
            }
            2 => {
                self.ip6_after(" ", p, 32)?;
                self.ip6_after(", source address ", p, 16)?;
            }
            4 => {
                let Some((protocol, at)) = upper_layer(p.tail(8)) else {
                    self.truncated();
                    return Ok(false);
                };
                let port = p.u16(8 + at + 2)?;
                self.ip6_after(", ", p, 32)?;
                match protocol {
                    6 => {
                        self.text(" tcp port ");
                        self.port(port, true);
                    }
                    17 => {
                        self.text(" udp port ");
                        self.port(port, false);
                    }
                    _ => put!(self, " protocol {protocol} port {port} unreachable"),
                }
            }
            _ => {
                if self.v() <= 1 {
                    self.unknown_data("\n\t", p, length);
                    return Ok(false);
                }
            }
        }
        if self.v() > 1 {
            self.unknown_data("\n\t", p, length);
        }
        Ok(true)
    }

    fn mld(&mut self, p: &[u8]) -> Res {
        if p.len() < 24 {
            return Ok(());
        }
        put!(self, "max resp delay: {} ", p.u16(4)?);
        self.ip6_after("addr: ", p, 8)
    }

    fn mld2_report(&mut self, p: &[u8], length: usize) -> Res {
        if length < 8 {
            self.invalid();
            return Ok(());
        }
        let groups = usize::from(p.u16(6)?);
        put!(self, ", {groups} group record(s)");
        if self.v() == 0 {
            return Ok(());
        }
        let mut at = 8;
        for _ in 0..groups {
            if length < at + 20 {
                self.text(" [invalid number of groups]");
                return Ok(());
            }
            self.ip6_after(" [gaddr ", p, at + 4)?;
            let kind = p.u8(at)?;
            self.text(" ");
            self.named(RECORDS, kind, " [v2-report-#");
            if name(RECORDS, kind).is_none() {
                self.text("]");
            }
            let sources = usize::from(p.u16(at + 2)?);
            if length < at + 20 + sources * 16 {
                put!(self, " [invalid number of sources {sources}]");
                return Ok(());
            }
            if self.v() > 1 {
                self.text(" {");
                for index in 0..sources {
                    self.ip6_after(" ", p, at + 20 + index * 16)?;
                }
                self.text(" }");
            } else {
                put!(self, ", {sources} source(s)");
            }
            at += 20 + sources * 16;
            self.text("]");
        }
        Ok(())
    }

    fn mld2_query(&mut self, p: &[u8], length: usize) -> Res {
        let code = u32::from(p.u16(4)?);
        let delay = if code < 32768 { code } else { (code & 0xfff | 0x1000) << ((code >> 12 & 7) + 3) };
        if self.v() > 0 {
            self.text(" [max resp delay=");
            if delay < 1000 {
                put!(self, "{delay}ms]");
            } else {
                put!(self, "{delay}]");
            }
        }
        self.ip6_after(" [gaddr ", p, 8)?;
        if self.v() > 0 {
            let misc = p.u8(24)?;
            if misc & 8 != 0 {
                self.text(" sflag");
            }
            if misc & 7 != 0 {
                put!(self, " robustness={}", misc & 7);
            }
            let code = u32::from(p.u8(25)?);
            let interval = if code < 128 { code } else { (code & 15 | 16) << ((code >> 4 & 7) + 3) };
            put!(self, " qqi={interval}");
        }
        let sources = usize::from(p.u16(26)?);
        if sources > 0 {
            if length < 28 + sources * 16 {
                self.text(" [invalid number of sources]");
            } else if self.v() > 1 {
                self.text(" {");
                for index in 0..sources {
                    self.ip6_after(" ", p, 28 + index * 16)?;
                }
                self.text(" }");
            } else {
                put!(self, ", {sources} source(s)");
            }
        }
        self.text("]");
        Ok(())
    }

    /// Neighbour discovery options (RFC 4861 section 4.6 and others).
    fn nd_options(&mut self, p: &[u8], start: usize, length: usize) -> Res {
        // The options end where the message does, or where it was cut off.
        let p = p.head(length);
        let mut at = start;
        while at < p.len() {
            let kind = p.u8(at)?;
            let units = p.u8(at + 1)?;
            let size = usize::from(units) * 8;
            if units == 0 || at + size > p.len() {
                self.truncated();
                return Ok(());
            }
            put!(self, "\n\t  {} option ({kind}), length {size} ({units}): ", name(OPTIONS, kind).unwrap_or("unknown"));
            match kind {
                1 | 2 => {
                    let bytes = p.part(at + 2, size - 2)?;
                    self.mac_plain(bytes);
                }
                3 => {
                    self.ip6(p, at + 16)?;
                    put!(self, "/{}", p.u8(at + 2)?);
                    if units != 4 {
                        put!(self, ", bad option length {units}");
                    }
                    self.text(", Flags [");
                    let table: &Names = &[(0x80, "onlink"), (0x40, "auto"), (0x20, "router")];
                    self.bits(table, u32::from(p.u8(at + 3)?), ", ");
                    self.text("], valid time ");
                    self.nd_lifetime(p.u32(at + 4)?);
                    self.text(", pref. time ");
                    self.nd_lifetime(p.u32(at + 8)?);
                }
                4 => self.unknown_data("\n\t    ", p.tail(start), size),
                5 => {
                    put!(self, " {}", p.u32(at + 4)?);
                    if units != 1 {
                        put!(self, ", bad option length {units}");
                    }
                }
                7 => put!(self, " {}ms", p.u32(at + 4)?),
                8 => put!(self, " preference {}, lifetime {}", p.u16(at + 4)?, p.u16(at + 6)?),
                24 => {
                    let mut address = [0u8; 16];
                    let bytes = match units {
                        1 => 0,
                        2 => 8,
                        3 => 16,
                        _ => return Err(Short),
                    };
                    for (to, from) in address.iter_mut().zip(p.part(at + 8, bytes)?) {
                        *to = *from;
                    }
                    self.text(" ");
                    self.colons(&address);
                    let preference = router_preference(p.u8(at + 3)?);
                    put!(self, "/{}, pref={preference}, lifetime=", p.u8(at + 2)?);
                    self.nd_lifetime(p.u32(at + 4)?);
                }
                25 => {
                    put!(self, " lifetime {}s,", p.u32(at + 4)?);
                    for index in 0..usize::from(units).saturating_sub(1) / 2 {
                        self.ip6_after(" addr: ", p, at + 8 + index * 16)?;
                    }
                }
                31 => {
                    put!(self, " lifetime {}s, domain(s):", p.u32(at + 4)?);
                    let end = at + size;
                    let mut name_at = at + 8;
                    while name_at < end && p.u8(name_at)? != 0 {
                        self.text(" ");
                        let Some(next) = self.domain_name(p, 0, name_at)? else { return Err(Short) };
                        name_at = next;
                    }
                }
                _ => {
                    if self.v() <= 1 {
                        self.unknown_data("\n\t  ", p.tail(at + 2), size - 2);
                        return Ok(());
                    }
                }
            }
            if self.v() > 1 {
                self.unknown_data("\n\t    ", p.tail(at + 2), size - 2);
            }
            at += size;
        }
        Ok(())
    }

    fn nd_lifetime(&mut self, seconds: u32) {
        if seconds == u32::MAX {
            self.text("infinity");
        } else {
            put!(self, "{seconds}s");
        }
    }

    /// Node information queries and replies (RFC 4620).
    fn node_information(&mut self, p: &[u8], length: usize) -> Res {
        let (kind, code, question) = (p.u8(0)?, p.u8(1)?, p.u16(4)?);
        let flags = p.u16(6)?;
        let end = p.len().min(length);
        self.text(" (");
        if kind == 140 {
            match code {
                0 => self.text("success"),
                1 => self.text("refused"),
                2 => self.text("unknown"),
                _ => put!(self, "unknown code {code}"),
            }
            if code != 0 {
                self.text(")");
                return Ok(());
            }
            self.text(", ");
        }
        match question {
            0 => self.text("noop"),
            1 => self.text("supported qtypes"),
            2 => self.text("DNS name"),
            3 | 4 => self.text(if question == 3 { "node addresses" } else { "ipv4 addresses" }),
            _ => self.text("unknown"),
        }
        if matches!(question, 3 | 4) && flags & 0x3f != 0 {
            self.text(" [");
            for (bit, letter) in [(0x20, "G"), (0x10, "S"), (8, "L"), (4, "C"), (2, "A"), (1, "T")] {
                if flags & bit != 0 {
                    self.text(letter);
                }
            }
            self.text("]");
        }
        if kind == 139 {
            if end > 16 {
                match code {
                    0 => {
                        self.ip6_after(", subject=", p, 16)?;
                    }
                    1 => {
                        self.text(", subject=DNS name ");
                        self.domain_name(p, 0, 16)?;
                    }
                    2 => {
                        self.ip4_after(", subject=", p, 16)?;
                    }
                    _ => self.text(", unknown subject"),
                }
            }
        } else {
            let mut at = 16;
            match question {
                2 if end > 20 => {
                    self.text(" ");
                    self.domain_name(p, 0, 20)?;
                }
                3 => {
                    while at + 20 <= end {
                        self.ip6_after(" ", p, at + 4)?;
                        put!(self, "({})", p.u32(at)?);
                        at += 20;
                    }
                }
                4 => {
                    while at + 8 <= end {
                        self.ip4_after(" ", p, at + 4)?;
                        put!(self, "({})", p.u32(at)?);
                        at += 8;
                    }
                }
                _ => {}
            }
        }
        self.text(")");
        Ok(())
    }

    /// Router renumbering (RFC 2894): command, sequence and segment.
    fn renumbering(&mut self, p: &[u8], _length: usize) -> Res {
        let code = p.u8(1)?;
        match code {
            0 => self.text(", command"),
            1 => self.text(", result"),
            255 => self.text(", sequence number reset"),
            _ => put!(self, ", code-#{code}"),
        }
        put!(self, ", seq={}", p.u32(4)?);
        if self.v() > 0 {
            let flags = p.u8(9)?;
            self.text("[");
            for (bit, letter) in [(0x80, "T"), (0x40, "R"), (0x20, "A"), (0x10, "S"), (8, "P")] {
                if flags & bit != 0 {
                    self.text(letter);
                }
            }
            if flags & 0xf8 != 0 {
                self.text(",");
            }
            put!(self, "seg={},maxdelay={}", p.u8(8)?, p.u16(10)?);
            let reserved = p.u32(12)?;
            if reserved != 0 {
                put!(self, "rsvd=0x{reserved:x}");
            }
            self.text("]");
        }
        Ok(())
    }

    /// RPL control messages (RFC 6550 section 6): kind and the fields that name the graph.
    fn rpl(&mut self, p: &[u8], length: usize) -> Res {
        let code = p.u8(1)?;
        const CODES: &Names = &[
            (0, "DODAG Information Solicitation"),
            (1, "DODAG Information Object"),
            (2, "Destination Advertisement Object"),
            (3, "Destination Advertisement Object Ack"),
            (10, "Consistency Check"),
        ];
        let secured = if code & 0x80 != 0 { "SEC" } else { "CLR" };
        put!(self, ", ({secured})");
        self.named(CODES, code & 0x7f, "unknown-#");
        if self.v() > 0 && code == 1 {
            let mode = p.u8(8)?;
            put!(self, " [dagid:");
            let id: [u8; 16] = p.bytes(12)?;
            self.colons(&id);
            put!(self, ",seq:{},instance:{},rank:{},", p.u8(9)?, p.u8(4)?, p.u16(6)?);
            let grounded = if mode & 0x80 != 0 { "grounded," } else { "" };
            const MODES: &Names =
                &[(0, "nonstoring"), (1, "storing"), (2, "nonstoring-multicast"), (3, "multicast-storing")];
            put!(self, "{grounded}mop:");
            self.named(MODES, mode >> 3 & 7, "mop");
            put!(self, ",prf:{}]", mode & 7);
        }
        let _ = length;
        Ok(())
    }
}

fn router_preference(flags: u8) -> &'static str {
    match flags >> 3 & 3 {
        0 => "medium",
        1 => "high",
        3 => "low",
        _ => "unknown",
    }
}

/// Protocol and offset of what an IPv6 datagram carries behind its extension headers.
fn upper_layer(p: &[u8]) -> Option<(u8, usize)> {
    let mut next = p.u8(6).ok()?;
    let mut at = 40;
    loop {
        match next {
            0 | 43 | 60 => {
                let after = p.u8(at).ok()?;
                at += (usize::from(p.u8(at + 1).ok()?) + 1) * 8;
                next = after;
            }
            44 => {
                if p.u16(at + 2).ok()? & 0xfff8 != 0 {
                    return None;
                }
                next = p.u8(at).ok()?;
                at += 8;
            }
            51 => {
                let after = p.u8(at).ok()?;
                at += (usize::from(p.u8(at + 1).ok()?) + 2) * 4;
                next = after;
            }
            6 | 17 => return Some((next, at)),
            _ => {
                p.u8(at).ok()?;
                return Some((next, at));
            }
        }
    }
}
