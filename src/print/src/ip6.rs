//! IPv6 and its extension headers (RFC 8200, RFC 6275, RFC 8754).

use crate::fetch::{Fetch, Res, Short, name};
use crate::proto::{self, Outer};
use crate::{Printer, put};

impl Printer {
    /// One datagram.
    pub(crate) fn ipv6(&mut self, p: &[u8], length: usize) -> Res {
        if !self.enter() {
            return Ok(());
        }
        self.proto = "ip6";
        if !self.options.link_header {
            self.text("IP6 ");
        }
        self.datagram6(p, length)?;
        self.leave();
        Ok(())
    }

    fn datagram6(&mut self, p: &[u8], length: usize) -> Res {
        if length < 40 {
            put!(self, " [length {length} < 40]");
            self.invalid();
            return Ok(());
        }
        let version = p.u8(0)? >> 4;
        if version != 6 {
            put!(self, " [version {version} != 6]");
            self.invalid();
            return Ok(());
        }
        let claimed = p.u16(4)?;
        let mut total = usize::from(claimed) + 40;
        if length < total {
            put!(self, "[header+payload length {total} > length {length}]");
            self.invalid();
            self.out.push(b' ');
        }
        let mut next = p.u8(6)?;
        if !p.holds(40) {
            self.truncated();
            return Ok(());
        }
        if self.v() > 0 {
            let flow = p.u32(0)?;
            self.text("(");
            if flow & 0x0ff0_0000 != 0 {
                put!(self, "class 0x{:02x}, ", flow >> 20 & 0xff);
            }
            if flow & 0xf_ffff != 0 {
                put!(self, "flowlabel 0x{:05x}, ", flow & 0xf_ffff);
            }
            let name = name(proto::NAMES, next).unwrap_or("unknown");
            put!(self, "hlim {}, next-header {name} ({next}), payload length {claimed}) ", p.u8(7)?);
        }
        if !matches!(next, 6 | 17 | 33 | 132) {
            self.ip6(p, 8)?;
            self.ip6_after(" > ", p, 24)?;
            self.text(": ");
        }
        // A payload length of zero is a jumbogram's, which says its length in an option (RFC 2675).
        let whole = p;
        let p = if claimed == 0 { p.head(length) } else { p.head(total) };
        if claimed == 0 && next == 0 {
            total = length;
        }
        let mut outer = Outer { ip: p, version: 6, fragmented: false, ttl: p.u8(7)? };
        let p = if claimed == 0 && next != 0 { whole.head(40) } else { p };
        // `at` is where the header before began: a payload that is missing is still named.
        let mut at = 0;
        let mut advance = 40;
        let mut left = total;
        let mut seen_options = false;
        while at < p.len() && advance > 0 {
            if left < advance {
                self.truncated();
                return Ok(());
            }
            left -= advance;
            at += advance;
            let rest = p.tail(at);
            match next {
                0 => {
                    if seen_options {
                        self.text("[The Hop-by-Hop Options header was already found]");
                        self.invalid();
                        return Ok(());
                    }
                    if at != 40 {
                        self.text("[The Hop-by-Hop Options header don't follow the IPv6 header]");
                        self.invalid();
                        return Ok(());
                    }
                    seen_options = true;
                    self.proto = "hbhopt";
                    rest.part(0, 2)?;
                    let Ok((size, jumbo)) = self.options6(rest, "HBH", "hbhopt") else {
                        self.truncated();
                        return Ok(());
                    };
                    if claimed == 0 && jumbo.is_none() {
                        self.text("[No valid Jumbo Payload Hop-by-Hop option found]");
                        self.invalid();
                        return Ok(());
                    }
                    if claimed == 0
                        && let Some(jumbo) = jumbo
                    {
                        left = (jumbo as usize + 40).saturating_sub(40);
                    }
                    advance = size;
                }
                60 => {
                    self.proto = "dstopt";
                    rest.part(0, 2)?;
                    let Ok((size, _)) = self.options6(rest, "DSTOPT", "dstopt") else {
                        self.truncated();
                        return Ok(());
                    };
                    advance = size;
                }
                44 => {
                    let first = self.fragment6(rest, &outer)?;
                    if !first {
                        return Ok(());
                    }
                    advance = 8;
                    if p.len() <= at + advance {
                        return Ok(());
                    }
                    outer.fragmented = true;
                }
                43 => {
                    let Some(size) = self.routing6(rest)? else { return Ok(()) };
                    advance = size;
                }
                135 | 62 => {
                    return self.mobility(rest, &outer);
                }
                _ => return self.ip_payload(rest, left, next, &outer),
            }
            next = rest.u8(0)?;
        }
        Ok(())
    }

    /// Hop-by-hop and destination options; returns their length, and that of a jumbogram.
    fn options6(&mut self, p: &[u8], title: &str, proto: &'static str) -> Res<(usize, Option<u32>)> {
        self.proto = proto;
        let size = (usize::from(p.u8(1)?) + 1) * 8;
        p.part(0, size)?;
        put!(self, "{title} ");
        let mut jumbo = None;
        if self.v() > 0 || title == "HBH" {
            jumbo = self.option_list6(p.head(size), self.v() > 0)?;
            if self.v() > 0 {
                self.text(" ");
            }
        }
        Ok((size, jumbo))
    }

    fn option_list6(&mut self, p: &[u8], show: bool) -> Res<Option<u32>> {
        let mut jumbo = None;
        let mut at = 2;
        let mut rest = p.len() - 2;
        macro_rules! say {
            ($($argument:tt)*) => { if show { put!(self, $($argument)*) } };
        }
        while rest > 0 {
            let kind = p.u8(at)?;
            if kind == 0 {
                say!("(pad1)");
                at += 1;
                rest -= 1;
                continue;
            }
            if rest < 2 {
                return Err(Short);
            }
            let length = usize::from(p.u8(at + 1)?);
            let whole = length + 2;
            if rest < whole {
                return Err(Short);
            }
            match kind {
                1 => say!("(padn)"),
                5 => {
                    if length != 2 {
                        return self.bad_option6("rtalert", length, rest < 4);
                    } else {
                        say!("(rtalert: 0x{:04x}) ", p.u16(at + 2)?);
                    }
                }
                0xc2 => {
                    if length != 4 {
                        return self.bad_option6("jumbo", length, rest < 6);
                    } else {
                        let bytes = p.u32(at + 2)?;
                        if jumbo.is_none() {
                            if bytes < 65536 {
                                say!(" [jumbo: {bytes} < 65536] (invalid)");
                            } else {
                                jumbo = Some(bytes);
                            }
                        } else {
                            say!("(jumbo: already seen) ");
                        }
                        say!("(jumbo: {bytes}) ");
                    }
                }
                0xc9 => {
                    if length < 16 {
                        return self.bad_option6("homeaddr", length, rest < 18);
                    } else if show {
                        self.ip6_after("(homeaddr: ", p, at + 2)?;
                        if length > 16 {
                            self.suboptions6(p.part(at + 18, length - 16)?)?;
                        }
                        self.text(")");
                    }
                }
                _ => say!("(opt_type 0x{kind:02x}: len={length})"),
            }
            at += whole;
            rest -= whole;
        }
        Ok(jumbo)
    }

    /// An option too short for what it is; the rest of the header is not looked at.
    fn bad_option6(&mut self, title: &str, length: usize, cut: bool) -> Res<Option<u32>> {
        if cut {
            put!(self, "({title}: trunc)");
        } else {
            put!(self, "({title}: invalid len {length})");
        }
        Err(Short)
    }

    fn suboptions6(&mut self, p: &[u8]) -> Res {
        let mut at = 0;
        while at < p.len() {
            let kind = p.u8(at)?;
            if kind == 0 {
                self.text(", pad1");
                at += 1;
                continue;
            }
            let length = usize::from(p.u8(at + 1)?);
            match kind {
                1 => self.text(", padn"),
                _ => put!(self, ", type {kind}: len={length}"),
            }
            at += length + 2;
        }
        Ok(())
    }

    /// Fragment header; whether the payload can be printed.
    fn fragment6(&mut self, p: &[u8], outer: &Outer<'_>) -> Res<bool> {
        self.proto = "frag6";
        let field = p.u16(2)?;
        let offset = field & 0xfff8;
        if self.v() > 0 {
            put!(self, "frag (0x{:08x}:{}|", p.u32(4)?, offset);
        } else {
            put!(self, "frag ({offset}|");
        }
        // What is left of the datagram after this header.
        let before = outer.ip.len() - p.len().min(outer.ip.len());
        let total = usize::from(outer.ip.u16(4)?) + 40;
        let length = total as i64 - before as i64 - 8;
        put!(self, "{length})");
        if offset != 0 {
            return Ok(false);
        }
        self.text(" ");
        Ok(true)
    }

    /// Routing header; its length, or nothing when it says what cannot be.
    fn routing6(&mut self, p: &[u8]) -> Res<Option<usize>> {
        self.proto = "rt6";
        self.text("RT6");
        let units = p.u8(1)?;
        put!(self, " (len={units}");
        let kind = p.u8(2)?;
        put!(self, ", type={kind}");
        if kind == 0 {
            self.text(" [Deprecated]");
        }
        put!(self, ", segleft={}", p.u8(3)?);
        let units = usize::from(units);
        let count = match kind {
            0 | 2 => {
                let reserved = p.u32(4)?;
                if reserved != 0 || self.v() > 0 {
                    put!(self, ", rsv=0x{reserved:x}");
                }
                if units % 2 != 0 {
                    put!(self, " (invalid length {units})");
                    self.invalid();
                    return Ok(None);
                }
                units / 2
            }
            4 => {
                let (last, flags) = (p.u8(4)?, p.u8(5)?);
                put!(self, ", last-entry={last}");
                if flags != 0 || self.v() > 0 {
                    put!(self, ", flags=0x{flags:x}");
                }
                put!(self, ", tag={:x}", p.u16(6)?);
                if units % 2 != 0 {
                    put!(self, " (invalid length {units})");
                    self.invalid();
                    return Ok(None);
                }
                // The list may be shorter than the header, which then goes on with options.
                (usize::from(last) + 1).min(units / 2)
            }
            _ => {
                self.text(" (unknown type)");
                self.invalid();
                return Ok(None);
            }
        };
        for index in 0..count {
            p.part(8 + index * 16, 16)?;
            put!(self, ", [{index}]");
            self.ip6(p, 8 + index * 16)?;
        }
        self.text(") ");
        Ok(Some((units + 1) * 8))
    }

    /// Mobility header (RFC 6275): kind and length of its message.
    fn mobility(&mut self, p: &[u8], _outer: &Outer<'_>) -> Res {
        self.proto = "mobility";
        const TYPES: &[(&str, usize)] =
            &[("BRR", 0), ("HoTI", 8), ("CoTI", 8), ("HoT", 16), ("CoT", 16), ("BU", 4), ("BA", 4), ("BE", 16)];
        let length = (usize::from(p.u8(1)?) + 1) * 8;
        let kind = p.u8(2)?;
        match TYPES.get(usize::from(kind)) {
            Some((_, least)) if length < least + 8 => {
                put!(self, "(header length {length} is too small for type {kind})");
                self.truncated();
                return Ok(());
            }
            Some((text, _)) => put!(self, "mobility: {text}"),
            None => {
                put!(self, "mobility: type-#{kind} len={}", p.u8(1)?);
                return Ok(());
            }
        }
        match kind {
            1 | 2 if self.v() > 0 => put!(
                self,
                " {} Init Cookie={:08x}:{:08x}",
                if kind == 1 { "Home" } else { "Care-of" },
                p.u32(8)?,
                p.u32(12)?
            ),
            3 | 4 => {
                put!(self, " nonce id=0x{:x}", p.u16(6)?);
                if self.v() > 0 {
                    let which = if kind == 3 { "Home" } else { "Care-of" };
                    put!(self, " {which} Init Cookie={:08x}:{:08x}", p.u32(8)?, p.u32(12)?);
                    put!(self, " {which} Keygen Token={:08x}:{:08x}", p.u32(16)?, p.u32(20)?);
                }
            }
            5 => {
                put!(self, " seq#={}", p.u16(6)?);
                let Ok(flags) = p.u16(8) else {
                    self.truncated();
                    return Ok(());
                };
                if flags & 0xf000 != 0 {
                    self.text(" ");
                }
                for (bit, text) in [(0x8000, "A"), (0x4000, "H"), (0x2000, "L"), (0x1000, "K")] {
                    if flags & bit != 0 {
                        self.text(text);
                    }
                }
                put!(self, " lifetime={}", u32::from(p.u16(10)?) << 2);
            }
            6 => {
                put!(self, " status={}", p.u8(6)?);
                if p.u8(7)? & 0x80 != 0 {
                    self.text(" K");
                }
                put!(self, " seq#={} lifetime={}", p.u16(8)?, u32::from(p.u16(10)?) << 2);
            }
            7 => {
                put!(self, " status={}", p.u8(6)?);
                self.ip6_after(" homeaddr ", p.part(0, 24)?, 8)?;
            }
            _ => {}
        }
        let fixed = match kind {
            0 => 8,
            1 | 2 => 16,
            3 | 4 | 7 => 24,
            _ => 12,
        };
        if self.v() == 0 {
            return Ok(());
        }
        self.mobility_options(p.tail(fixed), length.saturating_sub(fixed))
    }

    fn mobility_options(&mut self, p: &[u8], length: usize) -> Res {
        let mut at = 0;
        while at < length {
            let kind = p.u8(at)?;
            let size = if kind == 0 { 1 } else { usize::from(p.u8(at + 1)?) + 2 };
            if at + size > length {
                self.truncated();
                return Ok(());
            }
            p.u8(at + size)?;
            match (kind, size) {
                (0, _) => self.text("(pad1)"),
                (1, _) => self.text("(padn)"),
                (2, 4..) => put!(self, "(refresh: {})", u32::from(p.u16(at + 2)?) << 2),
                (3, 18..) => {
                    self.ip6_after("(alt-CoA: ", p, at + 2)?;
                    self.text(")");
                }
                (4, 6..) => put!(self, "(ni: ho=0x{:04x} co=0x{:04x})", p.u16(at + 2)?, p.u16(at + 4)?),
                (5, 12..) => self.text("(auth)"),
                (2..=5, _) => {
                    const TITLES: [&str; 4] = ["refresh", "altcoa", "ni", "auth"];
                    put!(self, "({}: trunc)", TITLES.get(usize::from(kind) - 2).copied().unwrap_or_default());
                }
                _ => put!(self, "(type-0x{kind:02x}: len={})", size - 2),
            }
            at += size;
        }
        Ok(())
    }
}
