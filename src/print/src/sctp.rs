//! SCTP (RFC 9260): every chunk of a packet.

use crate::fetch::{Fetch, Names, Res, name, names};
use crate::proto::Outer;
use crate::{Printer, put};

const CHUNKS: Names = names![
    (0, "DATA"),
    (1, "INIT"),
    (2, "INIT ACK"),
    (3, "SACK"),
    (4, "HB REQ"),
    (5, "HB ACK"),
    (6, "ABORT"),
    (7, "SHUTDOWN"),
    (8, "SHUTDOWN ACK"),
    (9, "OP ERR"),
    (10, "COOKIE ECHO"),
    (11, "COOKIE ACK"),
    (12, "ECN ECHO"),
    (13, "ECN CWR"),
    (14, "SHUTDOWN COMPLETE"),
    (0xc0, "FOR CUM TSN"),
    (0xc1, "REL CTRL"),
    (0xc2, "REL CTRL ACK"),
];

const PAYLOADS: Names = names![
    (0, "unspecified"),
    (1, "IUA"),
    (2, "M2UA"),
    (3, "M3UA"),
    (4, "SUA"),
    (5, "M2PA"),
    (6, "V5UA"),
    (7, "H.248"),
    (8, "BICC"),
    (9, "TALI"),
    (10, "DUA"),
    (11, "ASAP"),
    (12, "ENRP"),
    (13, "H.323"),
    (14, "Q.IPC/Q.2150.3"),
    (21, "ForCES HP"),
    (22, "ForCES MP"),
    (23, "ForCES LP"),
    (24, "SS7-PA"),
];

impl Printer {
    /// One packet.
    pub(crate) fn sctp(&mut self, p: &[u8], length: usize, outer: &Outer<'_>) -> Res {
        self.proto = "sctp";
        if length < 12 {
            put!(self, "truncated-sctp - {} bytes missing!", 12 - length);
            return Ok(());
        }
        p.part(0, 12)?;
        let (source, destination) = if outer.version == 6 { (8, 24) } else { (12, 16) };
        for (at, port, after) in [(source, p.u16(0)?, " > "), (destination, p.u16(2)?, ": sctp")] {
            if outer.version == 6 {
                self.ip6(outer.ip, at)?
            } else {
                self.ip4(outer.ip, at)?
            }
            put!(self, ".{port}{after}");
        }
        let verbose = self.v() >= 2;
        let mut separator = if verbose { "\n\t" } else { " (" };
        let mut at = 12;
        let mut left = length - 12;
        let mut number = 0;
        while left != 0 {
            number += 1;
            if left < 4 {
                put!(self, "{separator}{number}) [chunk descriptor cut off at end of packet]");
                break;
            }
            p.part(at, 4)?;
            let size = usize::from(p.u16(at + 2)?);
            if size < 4 {
                put!(self, "{separator}{number}) [Bad chunk length {size}, < size of chunk descriptor]");
                break;
            }
            let chunk = p.part(at, size)?;
            if size > left {
                put!(self, "{separator}{number}) [Bad chunk length {size}, > remaining data in packet]");
                break;
            }
            let padding = size.next_multiple_of(4) - size;
            let kind = chunk.u8(0)?;
            put!(self, "{separator}{number}) [");
            match name(CHUNKS, kind) {
                Some(text) => self.text(text),
                None => put!(self, "Unknown chunk type: 0x{kind:x}"),
            }
            self.text("] ");
            if !self.sctp_chunk(kind, chunk)? {
                put!(self, "bogus chunk length {size}]");
                return Ok(());
            }
            if !verbose {
                separator = ", (";
            }
            at += size;
            left -= size;
            if padding > 0 {
                p.part(at, padding)?;
                at += padding;
                left = left.saturating_sub(padding);
            }
        }
        Ok(())
    }

    /// What is said of a chunk; false when it is too short for its kind.
    fn sctp_chunk(&mut self, kind: u8, chunk: &[u8]) -> Res<bool> {
        let size = chunk.len();
        match kind {
            0 => {
                let flags = chunk.u8(1)?;
                for (bit, text) in [(4, "(U)"), (2, "(B)"), (1, "(E)")] {
                    if flags & bit != 0 {
                        self.text(text);
                    }
                }
                if flags & 7 != 0 {
                    self.text(" ");
                }
                if size < 16 {
                    return Ok(false);
                }
                put!(self, "[TSN: {}] [SID: {}] ", chunk.u32(4)?, chunk.u16(8)?);
                put!(self, "[SSEQ {}] [PPID ", chunk.u16(10)?);
                let payload = chunk.u32(12)?;
                match name(PAYLOADS, payload) {
                    Some(text) => self.text(text),
                    None => put!(self, "0x{payload:x}"),
                }
                self.text("] ");
                if size == 16 {
                    return Ok(false);
                }
                if self.v() >= 2 {
                    self.text("[Payload");
                    let before = self.out.len();
                    self.text(":");
                    let colon = self.out.len();
                    self.default_print(chunk.tail(16));
                    if self.out.len() == colon {
                        self.out.truncate(before);
                    }
                    self.text("]");
                }
            }
            1 | 2 => {
                if size < 20 {
                    return Ok(false);
                }
                put!(self, "[init tag: {}] [rwnd: {}] ", chunk.u32(4)?, chunk.u32(8)?);
                put!(self, "[OS: {}] [MIS: {}] ", chunk.u16(12)?, chunk.u16(14)?);
                put!(self, "[init TSN: {}] ", chunk.u32(16)?);
            }
            3 => {
                if size < 16 {
                    return Ok(false);
                }
                let base = chunk.u32(4)?;
                let (gaps, duplicates) = (chunk.u16(12)?, chunk.u16(14)?);
                put!(self, "[cum ack {base}] [a_rwnd {}] ", chunk.u32(8)?);
                put!(self, "[#gap acks {gaps}] [#dup tsns {duplicates}] ");
                let mut at = 16;
                for index in 1..=u32::from(gaps) {
                    if at == size {
                        break;
                    }
                    if size - at < 4 {
                        return Ok(false);
                    }
                    let from = base.wrapping_add(u32::from(chunk.u16(at)?));
                    let to = base.wrapping_add(u32::from(chunk.u16(at + 2)?));
                    put!(self, "\n\t\t[gap ack block #{index}: start = {from}, end = {to}] ");
                    at += 4;
                }
                for index in 1..=u32::from(duplicates) {
                    if at == size {
                        break;
                    }
                    if size - at < 4 {
                        return Ok(false);
                    }
                    put!(self, "\n\t\t[dup TSN #{index}: {}] ", chunk.u32(at)?);
                    at += 4;
                }
            }
            _ => {}
        }
        Ok(true)
    }
}
