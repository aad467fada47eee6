//! ICMPv6 (RFC 4443), neighbour discovery (RFC 4861), multicast listeners (RFC 2710, RFC 3810), node information (RFC 4620).

use crate::fetch::{Fetch, Names, Res, Short, name, names, should_be};
use crate::proto::Outer;
use crate::{Printer, put};

const TYPES: Names = names![
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

const OPTIONS: Names = names![
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

const RECORDS: Names = names![(1, "is_in"), (2, "is_ex"), (3, "to_in"), (4, "to_ex"), (5, "allow"), (6, "block")];

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
        let code = p.u8(1)?;
        match kind {
            1 => {
                if !self.icmp6_unreachable(p, code, length)? {
                    return Ok(());
                }
            }
            2 => put!(self, ", mtu {}", p.u32(4)?),
            3 => match code {
                0 => {
                    p.part(32, 16)?;
                    self.ip6_after(" for ", p, 32)?;
                }
                1 => self.text(" (reassembly)"),
                code => put!(self, ", unknown code ({code})"),
            },
            4 => {
                if !p.holds(48) {
                    self.truncated();
                    return Ok(());
                }
                const PROBLEMS: [&str; 4] = ["erroneous", "next header", "option", "incomplete header chain"];
                match PROBLEMS.get(usize::from(code)) {
                    Some(text) => put!(self, ", {text} - octet {}", p.u32(4)?),
                    None => put!(self, ", code-#{code}"),
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
                p.part(4, 12)?;
                put!(self, "\n\thop limit {}, Flags [", p.u8(4)?);
                let flags = p.u8(5)?;
                let table: Names = names![(0x80, "managed"), (0x40, "other stateful"), (0x20, "home agent")];
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
                    let table: Names =
                        names![(0x8000_0000, "router"), (0x4000_0000, "solicited"), (0x2000_0000, "override")];
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
        const CODES: Names = names![
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
                let Ok(port) = p.u16(8 + at + 2) else {
                    self.truncated();
                    return Ok(false);
                };
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
            put!(self, " [invalid len {length}]");
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
            put!(self, " [max resp delay={delay}]");
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
            let units = p.u8(at + 1).unwrap_or(0);
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
                        self.text("badlen");
                    }
                    self.text(", Flags [");
                    let table: Names = names![(0x80, "onlink"), (0x40, "auto"), (0x20, "router")];
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
                        self.text("bad option length");
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
        const QUESTIONS: Names =
            names![(0, "noop"), (1, "supported qtypes"), (2, "DNS name"), (3, "node addresses"), (4, "ipv4 addresses")];
        let (query, verbose) = (p.u8(0)? == 139, self.v() > 0);
        let size = p.len();
        if query && size == 12 {
            self.text(" who-are-you request");
            return Ok(());
        }
        if !query && length > size {
            return Err(Short);
        }
        p.part(0, 16)?;
        let (code, question, flags) = (p.u8(1)?, p.u16(4)?, p.u16(6)?);
        self.text(" (");
        if !query {
            match code {
                0 if !verbose => {}
                0 => self.text("success, "),
                1 => self.text("refused"),
                2 => self.text("unknown"),
                _ => {}
            }
            if code != 0 {
                if size != 16 && verbose && code < 3 {
                    self.text(", invalid length");
                }
                self.text(")");
                return Ok(());
            }
        }
        self.text(name(QUESTIONS, question).unwrap_or("unknown"));
        if flags != 0 && matches!(question, 1 | 3 | 4) {
            self.text(" [");
            let letters: &[(u16, &str)] = match question {
                1 => &[(1, "C")],
                _ => &[(0x40, "a"), (0x20, "G"), (0x10, "S"), (8, "L"), (4, "C"), (2, "A"), (1, "T")],
            };
            for (bit, letter) in letters {
                // An answer that was cut says so; a question cannot be.
                if flags & bit != 0 && !(query && *letter == "T") {
                    self.text(letter);
                }
            }
            self.text("]");
        }
        if matches!(question, 0 | 1) {
            if size != 16 && verbose && (query || question == 0) {
                self.text(if query { ", invalid len" } else { ", invalid length" });
            }
        } else if query && size == 16 {
            self.text(", 03 draft");
        } else if query {
            match code {
                0 | 2 => {
                    let wanted = if code == 0 { 32 } else { 20 };
                    if size == wanted {
                        self.text(", subject=");
                        if code == 0 { self.ip6(p, 16)? } else { self.ip4(p, 16)? }
                    } else if size > wanted && verbose {
                        self.text(", invalid subject len");
                    }
                }
                1 => {
                    self.text(", subject=DNS name");
                    self.node_name(p.tail(16))?;
                }
                _ => self.text(", unknown subject"),
            }
        } else {
            let step = match question {
                2 => {
                    self.node_name(p.tail(20))?;
                    0
                }
                3 => 20,
                4 => 8,
                _ => 0,
            };
            let mut at = 16;
            while step > 0 && at + step <= size {
                self.text(" ");
                if step == 20 {
                    self.ip6(p, at + 4)?
                } else {
                    self.ip4(p, at + 4)?
                }
                put!(self, "({})", p.u32(at)?);
                at += step;
            }
        }
        self.text(")");
        Ok(())
    }

    /// A name as labels, or, as an old draft had it, as one counted string.
    fn node_name(&mut self, p: &[u8]) -> Res {
        let draft = usize::from(p.u8(0)?) == p.len() - 1;
        if draft && self.v() > 0 {
            self.text(", 03 draft");
        }
        self.text(", \"");
        if draft {
            self.printable(p.tail(1));
        }
        let mut at = 0;
        while !draft && at < p.len() {
            let count = usize::from(p.u8(at)?);
            at += 1;
            let rest = p.tail(at);
            if count == 0 {
                match rest {
                    [] => self.text("."),
                    [0] => {}
                    _ => self.text("???"),
                }
                break;
            }
            if count > rest.len() {
                self.text("???");
                break;
            }
            self.printable(rest.head(count));
            at += count;
            if at + 1 < p.len() && p.u8(at)? != 0 {
                self.text(".");
            }
        }
        self.text("\"");
        Ok(())
    }

    /// Router renumbering (RFC 2894): command, sequence and segment.
    fn renumbering(&mut self, p: &[u8], _length: usize) -> Res {
        if !p.holds(16) {
            self.truncated();
            return Ok(());
        }
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
            self.letters_of(names![(0x80, "T"), (0x40, "R"), (0x20, "A"), (0x10, "S"), (8, "P")], u32::from(flags));
            if flags != 0 {
                self.text(",");
            }
            put!(self, "seg={},maxdelay={}", p.u8(8)?, p.u16(10)?);
            let reserved = p.u32(12)?;
            if reserved != 0 {
                put!(self, "rsvd=0x{reserved:x}");
            }
            self.text("]");
        }
        if code == 0 {
            let result = self.renumbering_prefixes(p);
            return self.contained(result);
        }
        Ok(())
    }

    /// The prefixes a command matches and those it puts in their place.
    fn renumbering_prefixes(&mut self, p: &[u8]) -> Res {
        const OPERATIONS: Names = names![(1, "add"), (2, "change"), (3, "setglobal")];
        p.part(16, 24)?;
        let separator = if self.v() > 1 { "\n\t" } else { " " };
        put!(self, "{separator}match(");
        self.named(OPERATIONS, p.u8(16)?, "#");
        if self.v() > 0 {
            put!(self, ",ord={},min={},max={}", p.u8(18)?, p.u8(20)?, p.u8(21)?);
        }
        self.text(",");
        self.colons(&p.bytes(24)?);
        put!(self, "/{})", p.u8(19)?);
        let Some(rest) = p.u8(17)?.checked_sub(3).filter(|rest| rest % 4 == 0) else { return Err(Short) };
        for index in 0..usize::from(rest) / 4 {
            let part = p.part(40 + index * 32, 32)?;
            put!(self, "{separator}use(");
            let flags = part.u32(12)?;
            if flags != 0 {
                self.letters_of(names![(0x8000_0000, "V"), (0x4000_0000, "P")], flags);
                self.text(",");
            }
            if self.v() > 0 {
                put!(self, "mask=0x{:x},raflags=0x{:x},", part.u8(2)?, part.u8(3)?);
                for (at, title) in [(4, "vltime"), (8, "pltime")] {
                    match part.u32(at)? {
                        u32::MAX => put!(self, "{title}=infty,"),
                        time => put!(self, "{title}={time},"),
                    }
                }
            }
            self.colons(&part.bytes(16)?);
            put!(self, "/{}/{})", part.u8(0)?, part.u8(1)?);
        }
        Ok(())
    }

    fn letters_of(&mut self, table: Names, value: u32) {
        for (_, letter) in table.iter().filter(|(bit, _)| value & bit != 0) {
            self.text(letter);
        }
    }

    /// RPL control messages (RFC 6550 section 6): kind and the fields that name the graph.
    fn rpl(&mut self, p: &[u8], length: usize) -> Res {
        let code = p.u8(1)?;
        if code & 0x80 != 0 {
            self.text(", (SEC) [worktodo]");
            return Ok(());
        }
        const CODES: [&str; 4] = [
            "DODAG Information Solicitation",
            "DODAG Information Object",
            "Destination Advertisement Object",
            "Destination Advertisement Object Ack",
        ];
        match CODES.get(usize::from(code)) {
            Some(text) => put!(self, ", (CLR){text}"),
            None => put!(self, ", (CLR)RPL message, unknown code {code}"),
        }
        if self.v() == 0 || !matches!(code, 1..=3) {
            return Ok(());
        }
        // Fixed part after the four bytes that all messages of the protocol share.
        let fixed = if code == 1 { 28 } else { 8 };
        if code == 1 && length < fixed {
            self.invalid();
            return Ok(());
        }
        if code != 1 && !p.holds(8) {
            self.truncated();
            return Ok(());
        }
        let mut at = fixed;
        if code == 1 {
            let mode = p.part(0, 28)?.u8(8)?;
            self.text(" [dagid:");
            let id: [u8; 16] = p.bytes(12)?;
            self.colons(&id);
            put!(self, ",seq:{},instance:{},rank:{},", p.u8(9)?, p.u8(4)?, p.u16(6)?);
            let grounded = if mode & 0x80 != 0 { "grounded," } else { "" };
            const MODES: Names =
                names![(0, "nonstoring"), (1, "storing"), (2, "nonstoring-multicast"), (3, "storing-multicast")];
            put!(self, "{grounded}mop:");
            self.named(MODES, mode >> 3 & 7, "mop");
            put!(self, ",prf:{}]", mode & 7);
        } else {
            if length < fixed {
                self.text(if code == 2 { " [|length too short]" } else { " [|dao-length too short]" });
                return Ok(());
            }
            let flags = p.u8(5)?;
            let named = flags & if code == 2 { 0x40 } else { 0x80 } != 0;
            self.text(" [dagid:");
            if named {
                self.colons(&p.bytes(8)?);
                at += 16;
            } else {
                self.text("<elided>");
            }
            // What an acknowledgement has for a status, the other has for a reserved byte.
            if code == 2 {
                put!(self, ",seq:{},instance:{}", p.u8(7)?, p.u8(4)?);
                self.text(if flags & 0x80 != 0 { ",acK" } else { "" });
                self.text(if named { ",Dagid" } else { "" });
                put!(self, ",flags:{flags:02x}]");
            } else {
                put!(self, ",seq:{},instance:{},status:{}]", p.u8(6)?, p.u8(4)?, p.u8(7)?);
            }
        }
        if self.v() > 1 {
            self.rpl_options(p, at, length)?;
        }
        Ok(())
    }

    fn rpl_options(&mut self, p: &[u8], start: usize, length: usize) -> Res {
        const OPTIONS: Names = names![
            (1, "padN"),
            (2, "metrics"),
            (3, "routinginfo"),
            (4, "config"),
            (5, "rpltarget"),
            (6, "transitinfo"),
            (8, "destprefix"),
            (9, "rpltargetdesc"),
        ];
        let mut at = start;
        while at < length {
            let kind = p.u8(at)?;
            if kind == 0 {
                self.text(" opt:pad1");
                at += 1;
                continue;
            }
            if length - at < 2 {
                return Err(Short);
            }
            let size = usize::from(p.u8(at + 1)?) + 2;
            self.text(" opt:");
            self.named(OPTIONS, kind, "subopt:");
            put!(self, " len:{size} ");
            let value = p.part(at, size)?.tail(2);
            if length - at < size {
                return Err(Short);
            }
            if self.v() > 2 {
                self.hex_lines(" ", value);
            }
            at += size;
        }
        Ok(())
    }
}

fn router_preference(flags: u8) -> &'static str {
    match flags >> 3 & 3 {
        0 => "medium",
        1 => "high",
        3 => "low",
        _ => "rsv",
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
