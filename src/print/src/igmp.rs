//! IGMP (RFC 2236, RFC 3376) and the head of PIM (RFC 7761).

use crate::fetch::{Fetch, Names, Res, checksum, name, names};
use crate::proto::Outer;
use crate::{Printer, put};

const RECORDS: Names = names![(1, "is_in"), (2, "is_ex"), (3, "to_in"), (4, "to_ex"), (5, "allow"), (6, "block")];

impl Printer {
    /// One message.
    pub(crate) fn igmp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "igmp";
        if self.options.quiet {
            self.text("igmp");
            return Ok(());
        }
        let kind = p.u8(0)?;
        match kind {
            0x11 => {
                self.text("igmp query");
                if length >= 12 {
                    self.igmp3_query(p, length)?;
                } else {
                    let time = p.u8(1)?;
                    if time != 0 {
                        self.text(" v2");
                        if time != 100 {
                            put!(self, " [max resp time {time}]");
                        }
                    } else {
                        self.text(" v1");
                    }
                    if p.u32(4)? != 0 {
                        self.ip4_after(" [gaddr ", p, 4)?;
                        self.text("]");
                    }
                    if length != 8 {
                        put!(self, " [len {length}]");
                    }
                }
            }
            0x12 => {
                self.ip4_after("igmp v1 report ", p, 4)?;
                if length != 8 {
                    put!(self, " [len {length}]");
                }
            }
            0x16 => self.ip4_after("igmp v2 report ", p, 4)?,
            0x13 => {
                self.text("igmp dvmrp");
                self.proto = "dvmrp";
                if length < 8 {
                    put!(self, " [len {length}]");
                } else {
                    put!(self, " [type {}]", p.u8(1)?);
                }
            }
            0x14 => {
                self.text("igmp pimv1");
                self.proto = "pimv1";
                match p.u8(1)? {
                    0 => {
                        self.text(" Query");
                        if p.holds(9) {
                            put!(self, " mode-{}", p.u8(8)? >> 4);
                        }
                    }
                    other => put!(self, " [type {other}]"),
                }
                if p.u8(4)? >> 4 != 1 {
                    put!(self, " [v{}]", p.u8(4)? >> 4);
                }
            }
            0x22 => {
                self.text("igmp v3 report");
                self.igmp3_report(p, length)?;
            }
            0x17 => {
                self.ip4_after("igmp leave ", p, 4)?;
            }
            // Traces of multicast routes, asked for and answered.
            0x1e | 0x1f => {
                if length < 24 {
                    put!(self, " [invalid len {length}]");
                } else {
                    let title = if kind == 0x1e { "mresp" } else { "mtrace" };
                    put!(self, "{title} {}: ", p.u24(21)?);
                    self.ip4(p, 8)?;
                    self.ip4_after(" to ", p, 12)?;
                    self.ip4_after(" reply-to ", p, 16)?;
                }
            }
            _ => put!(self, "igmp-{kind}"),
        }
        if self.v() > 0 && p.holds(length) && checksum(&[p.head(length)]) != 0 {
            put!(self, " bad igmp cksum {:x}!", p.u16(2)?);
        }
        Ok(())
    }

    fn igmp3_query(&mut self, p: &[u8], length: usize) -> Res {
        self.text(" v3");
        let code = u32::from(p.u8(1)?);
        let time = if code < 128 { code } else { (code & 15 | 16) << ((code >> 4 & 7) + 3) };
        if time != 100 {
            self.text(" [max resp time ");
            if time < 600 {
                put!(self, "{}.{}s", time / 10, time % 10);
            } else {
                self.relative_time(time / 10);
            }
            self.text("]");
        }
        if p.u32(4)? != 0 {
            self.ip4_after(" [gaddr ", p, 4)?;
            let sources = usize::from(p.u16(10)?);
            if sources > 0 {
                if 12 + sources * 4 > length {
                    self.text(" [invalid number of sources]");
                } else if self.v() > 1 {
                    self.text(" {");
                    for index in 0..sources {
                        self.ip4_after(" ", p, 12 + index * 4)?;
                    }
                    self.text(" }");
                } else {
                    put!(self, ", {sources} source(s)");
                }
            }
            self.text("]");
        }
        Ok(())
    }

    fn igmp3_report(&mut self, p: &[u8], length: usize) -> Res {
        if length < 16 {
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
            if length < at + 8 {
                self.text(" [invalid number of groups]");
                return Ok(());
            }
            self.ip4_after(" [gaddr ", p, at + 4)?;
            let kind = p.u8(at)?;
            match name(RECORDS, kind) {
                Some(text) => put!(self, " {text}"),
                None => put!(self, "  [v3-report-#{kind}]"),
            }
            let sources = usize::from(p.u16(at + 2)?);
            if length < at + 8 + sources * 4 {
                put!(self, " [invalid number of sources {sources}]");
                return Ok(());
            }
            if self.v() > 1 {
                self.text(" {");
                for index in 0..sources {
                    self.ip4_after(" ", p, at + 8 + index * 4)?;
                }
                self.text(" }");
            } else {
                put!(self, ", {sources} source(s)");
            }
            at += 8 + sources * 4;
            self.text("]");
        }
        Ok(())
    }

    /// Protocol-independent multicast: version and kind.
    pub(crate) fn pim(&mut self, p: &[u8], length: usize, _outer: &Outer<'_>) -> Res {
        self.proto = "pim";
        const KINDS: Names = names![
            (0, "Hello"),
            (1, "Register"),
            (2, "Register-Stop"),
            (3, "Join / Prune"),
            (4, "Bootstrap"),
            (5, "Assert"),
            (6, "Graft"),
            (7, "Graft-ACK"),
            (8, "Candidate RP Advertisement"),
            (9, "Prune-Refresh"),
            (10, "DF Election"),
            (11, "ECMP Redirect"),
        ];
        let first = p.u8(0)?;
        self.proto = "pimv2";
        if first >> 4 != 2 {
            put!(self, "PIMv{}, length {length}", first >> 4);
            return Ok(());
        }
        let kind = first & 15;
        let text = name(KINDS, kind).unwrap_or("Unknown-Type");
        if self.v() == 0 {
            put!(self, "PIMv2, {text}, length {length}");
            return Ok(());
        }
        put!(self, "PIMv2, length {length}\n\t{text}");
        let sum = p.u16(2)?;
        if sum == 0 {
            self.text(", cksum 0x0000 (unverified)");
        } else if p.holds(length) {
            let state = if checksum(&[p.head(length)]) == 0 { "correct" } else { "incorrect" };
            put!(self, ", cksum 0x{sum:04x} ({state})");
        }
        if kind == 0 {
            self.pim_hello(p.head(length).tail(4))?;
        }
        Ok(())
    }

    fn pim_hello(&mut self, p: &[u8]) -> Res {
        const OPTIONS: Names = names![
            (1, "Hold Time"),
            (2, "LAN Prune Delay"),
            (19, "DR Priority"),
            (20, "Generation ID"),
            (21, "State Refresh Capability"),
            (22, "Bi-Directional Capability"),
            (24, "Address List"),
            (65001, "Address List"),
        ];
        let mut at = 0;
        while at < p.len() {
            let (kind, size) = (p.u16(at)?, usize::from(p.u16(at + 2)?));
            let value = p.part(at + 4, size)?;
            put!(self, "\n\t  {} Option ({kind}), length {size}, Value: ", name(OPTIONS, kind).unwrap_or("Unknown"));
            match (kind, size) {
                (1, 2) => match value.u16(0)? {
                    u16::MAX => self.text("infinity"),
                    time => self.relative_time(u32::from(time)),
                },
                (2, 4) => {
                    let field = value.u16(0)?;
                    put!(self, "\n\t    T-bit={}, LAN delay {}ms, ", field >> 15, field & 0x7fff);
                    put!(self, "Override interval {}ms", value.u16(2)?);
                }
                (19, 0 | 4) => {
                    if size == 0 {
                        self.text("Bi-Directional Capability (Old)");
                    } else {
                        put!(self, "{}", value.u32(0)?);
                    }
                }
                (20, 4) => put!(self, "0x{:08x}", value.u32(0)?),
                _ => {
                    if self.v() <= 1 {
                        self.hex_lines("\n\t    ", value);
                    }
                }
            }
            if self.v() > 1 {
                self.hex_lines("\n\t    ", value);
            }
            at += 4 + size;
        }
        Ok(())
    }
}
