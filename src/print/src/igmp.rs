//! IGMP (RFC 2236, RFC 3376) and the head of PIM (RFC 7761).

use crate::fetch::{Fetch, Names, Res, checksum, name};
use crate::proto::Outer;
use crate::{Printer, put};

const RECORDS: &Names = &[(1, "is_in"), (2, "is_ex"), (3, "to_in"), (4, "to_ex"), (5, "allow"), (6, "block")];

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
                            put!(self, " [max resp time {}.{}]", time / 10, time % 10);
                            let tail = format!(".{}]", time % 10);
                            if time % 10 == 0 {
                                self.out.truncate(self.out.len() - tail.len());
                                self.text("]");
                            }
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
            0x12 | 0x16 => {
                self.text(if kind == 0x12 { "igmp v1 report " } else { "igmp v2 report " });
                self.ip4(p, 4)?;
                if length != 8 {
                    put!(self, " [len {length}]");
                }
            }
            0x22 => {
                self.text("igmp v3 report");
                self.igmp3_report(p, length)?;
            }
            0x17 => {
                self.ip4_after("igmp leave ", p, 4)?;
                if length != 8 {
                    put!(self, " [len {length}]");
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
                if time % 10 != 0 {
                    put!(self, ".{}s", time % 10);
                }
            }
            self.text("]");
        }
        if p.u8(8)? & 8 != 0 {
            self.text(" sflag");
        }
        if p.u8(8)? & 7 != 0 {
            put!(self, " robustness={}", p.u8(8)? & 7);
            self.out.truncate(self.out.len() - " robustness=0".len());
        }
        let sources = usize::from(p.u16(10)?);
        if p.u32(4)? != 0 {
            self.ip4_after(" [gaddr ", p, 4)?;
            if sources > 0 {
                if 12 + sources * 4 > length {
                    put!(self, " [invalid number of sources {sources}]");
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
            put!(self, " [len {length}]");
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
                None => put!(self, " [v3-report-#{kind}]"),
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
        const KINDS: &Names = &[
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
        if first >> 4 != 2 {
            put!(self, "[pim-version-{}], length {length}", first >> 4);
            return Ok(());
        }
        let kind = first & 15;
        put!(self, "PIMv{}, {}, length {length}", first >> 4, name(KINDS, kind).unwrap_or("Unknown-Type"));
        if self.v() > 0 && p.holds(length) {
            let sum = p.u16(2)?;
            let state = if sum == 0 {
                "unverified"
            } else if checksum(&[p.head(length)]) == 0 {
                "correct"
            } else {
                "incorrect"
            };
            put!(self, "\n\tcksum 0x{sum:04x} ({state})");
        }
        Ok(())
    }
}
