//! TCP (RFC 9293) and the options of the registry.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::fetch::{Fetch, Names, Res, name, names, should_be};
use crate::options::Force;
use crate::proto::Outer;
use crate::{Print, Printer, put};

/// Initial sequence numbers of each connection, so that relative ones can be printed.
pub(crate) type Flows = HashMap<Key, (u32, u32), BuildHasherDefault<Mix>>;

/// Both ends of a connection, the one with the lower port first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    addresses: [u128; 2],
    ports: u32,
}

/// Multiplies and folds; flows are found often and their keys are numbers.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.write_u64(u64::from_ne_bytes(word));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn write_u128(&mut self, word: u128) {
        self.write_u64(word as u64);
        self.write_u64((word >> 64) as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

/// Connections remembered at most; beyond that all are forgotten, and numbers begin anew.
const MOST_FLOWS: usize = 1 << 20;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const URG: u8 = 32;
const FLAGS: [(u8, u8); 8] =
    [(FIN, b'F'), (SYN, b'S'), (RST, b'R'), (8, b'P'), (ACK, b'.'), (URG, b'U'), (64, b'E'), (128, b'W')];

const OPTIONS: Names = names![
    (0, "eol"),
    (1, "nop"),
    (2, "mss"),
    (3, "wscale"),
    (4, "sackOK"),
    (5, "sack"),
    (6, "echo"),
    (7, "echoreply"),
    (8, "TS"),
    (11, "cc"),
    (12, "ccnew"),
    (13, ""),
    (19, "md5"),
    (20, "scps"),
    (28, "uto"),
    (29, "tcp-ao"),
    (30, "mptcp"),
    (34, "tfo"),
    (254, "exp"),
];

/// Kinds whose bytes have to be there before anything is said of them.
const KNOWN: [u8; 18] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 19, 20, 28, 30, 34, 254];

/// Printers by port of either end, the first that fits.
const PORTS: &[(u16, Print)] = &[
    (23, Printer::telnet),
    (25, Printer::smtp),
    (43, Printer::whois),
    (179, Printer::bgp),
    (6379, Printer::resp),
    (22, Printer::ssh),
    (21, Printer::ftp),
    (80, Printer::http),
    (8080, Printer::http),
    (554, Printer::rtsp),
    (8554, Printer::rtsp),
    (53, Printer::dns_tcp),
    (5353, Printer::dns_tcp),
    (639, Printer::msdp),
    (646, Printer::ldp),
];

impl Printer {
    /// One segment.
    pub(crate) fn tcp(&mut self, p: &[u8], length: usize, outer: &Outer<'_>) -> Res {
        self.proto = "tcp";
        if !p.holds(4) {
            if outer.version == 6 {
                self.ip6(outer.ip, 8)?;
                self.ip6_after(" > ", outer.ip, 24)?;
                self.out.push(b':');
            } else {
                self.ip4_ends(outer.ip, ":")?;
            }
            self.truncated();
            return Ok(());
        }
        let (source, destination) = (p.u16(0)?, p.u16(2)?);
        self.ends(outer, Some((source, destination, true)))?;
        if !p.holds(20) {
            self.truncated();
            return Ok(());
        }
        let header = usize::from(p.u8(12)? >> 4) * 4;
        if header < 20 {
            let rest = length.wrapping_sub(header) as u32;
            put!(self, " tcp {rest} [bad hdr length {header} - too short, < 20]");
            return Ok(());
        }
        let (mut seq, mut ack) = (p.u32(4)?, p.u32(8)?);
        let (window, urgent) = (p.u16(14)?, p.u16(18)?);
        if self.options.quiet {
            put!(self, "tcp {}", length.wrapping_sub(header) as u32);
            if header > length {
                put!(self, " [bad hdr length {header} - too long, > {length}]");
            }
            return Ok(());
        }
        let flags = p.u8(13)?;
        self.text("Flags [");
        if flags == 0 {
            self.text("none");
        }
        for (bit, letter) in FLAGS {
            if flags & bit != 0 {
                self.out.push(letter);
            }
        }
        self.out.push(b']');
        let raw = (seq, ack);
        let mut flow = Base::default();
        if !self.options.absolute_seq && flags & ACK != 0 {
            flow = self.relative(outer, source, destination, flags, &mut seq, &mut ack)?;
        }
        if header > length {
            put!(self, " [bad hdr length {header} - too long, > {length}]");
            return Ok(());
        }
        if self.v() > 0 && !self.options.skip_checksums && !outer.fragmented {
            self.tcp_checksum(p, length, outer)?;
        }
        let payload = length - header;
        if self.v() > 1 || payload > 0 || flags & (SYN | FIN | RST) != 0 {
            self.text(", seq ");
            self.dec(seq);
            if payload > 0 {
                self.out.push(b':');
                self.dec(seq.wrapping_add(payload as u32));
            }
        }
        if flags & ACK != 0 {
            self.text(", ack ");
            self.dec(ack);
        } else if self.v() > 1 && raw.1 != 0 {
            put!(self, ", [ack {ack} != 0 while ACK flag not set]");
        }
        self.text(", win ");
        self.dec(u32::from(window));
        if flags & URG != 0 {
            put!(self, ", urg {urgent}");
        } else if self.v() > 1 && urgent != 0 {
            put!(self, ", [urg {urgent} != 0 while URG flag not set]");
        }
        self.cut = !p.holds(length);
        if header > 20 && !self.tcp_options(p, header, flags, &flow)? {
            return Ok(());
        }
        self.text(", length ");
        self.dec(payload as u32);
        if payload == 0 {
            return Ok(());
        }
        if !p.holds(header) {
            put!(self, " [remaining caplen({}) < header length({header})]", p.len());
            return Err(crate::fetch::Short);
        }
        let data = p.tail(header);
        if flags & RST != 0 {
            if self.v() > 0 {
                self.reset_reason(data, payload);
            }
            return Ok(());
        }
        if let Some(force) = self.options.force {
            match force {
                Force::Domain => return self.dns_tcp(data, payload),
                Force::Resp => return self.resp(data, payload),
                _ => {}
            }
        }
        let found = PORTS.iter().find(|entry| entry.0 == source || entry.0 == destination);
        found.map_or(Ok(()), |entry| entry.1(self, data, payload))
    }

    fn tcp_checksum(&mut self, p: &[u8], length: usize, outer: &Outer<'_>) -> Res {
        if outer.version == 6 && outer.ip.u16(4)? == 0 || !p.holds(length) {
            return Ok(());
        }
        let stored = p.u16(16)?;
        let sum = outer.checksum(p.head(length), 6);
        put!(self, ", cksum 0x{stored:04x}");
        if sum == 0 {
            self.text(" (correct)");
        } else if self.options.offloaded {
            self.text(" (offloaded)");
        } else {
            put!(self, " (incorrect -> 0x{:04x})", should_be(stored, sum));
        }
        Ok(())
    }

    /// Makes the numbers relative to those that began the connection.
    fn relative(
        &mut self,
        outer: &Outer<'_>,
        source: u16,
        destination: u16,
        flags: u8,
        seq: &mut u32,
        ack: &mut u32,
    ) -> Res<Base> {
        let (from, to) = if outer.version == 6 {
            (u128::from_be_bytes(outer.ip.bytes(8)?), u128::from_be_bytes(outer.ip.bytes(24)?))
        } else {
            (u128::from(outer.ip.u32(12)?), u128::from(outer.ip.u32(16)?))
        };
        let reversed = source > destination || source == destination && from > to;
        let ports = |a: u16, b: u16| u32::from(a) << 16 | u32::from(b);
        let key = if reversed {
            Key { addresses: [to, from], ports: ports(destination, source) }
        } else {
            Key { addresses: [from, to], ports: ports(source, destination) }
        };
        if self.flows.len() >= MOST_FLOWS {
            self.flows.clear();
        }
        let begun = match self.flows.get(&key) {
            Some(begun) if flags & SYN == 0 => {
                let (near, far) = if reversed { (begun.1, begun.0) } else { *begun };
                *seq = seq.wrapping_sub(near);
                *ack = ack.wrapping_sub(far);
                *begun
            }
            _ => {
                let before = ack.wrapping_sub(1);
                let begun = if reversed { (before, *seq) } else { (*seq, before) };
                self.flows.insert(key, begun);
                begun
            }
        };
        Ok(Base { far: if reversed { begun.0 } else { begun.1 } })
    }

    /// The options; false when one of them cannot be.
    fn tcp_options(&mut self, p: &[u8], header: usize, flags: u8, flow: &Base) -> Res<bool> {
        self.text(", options [");
        let mut at = 20;
        let mut separator = false;
        while at < header {
            if separator {
                self.out.push(b',');
            }
            separator = true;
            let kind = p.u8(at)?;
            let mut length = 1;
            let mut left = header - at - 1;
            let mut data = at + 1;
            if kind > 1 {
                length = usize::from(p.u8(at + 1)?);
                if length < 2 || length > header - at {
                    return Ok(self.bad_option(at > 20));
                }
                left -= 1;
                data += 1;
            }
            match name(OPTIONS, kind) {
                Some(text) => self.text(text),
                None => put!(self, "unknown-{kind}"),
            }
            let size = length.saturating_sub(2);
            // The size that the option should have decides how far it is read.
            let fixed = match kind {
                2 | 28 => 2,
                3 => 1,
                6 | 7 | 11..=13 => 4,
                8 => 8,
                19 => 16,
                20 => 2,
                0 | 1 | 4 => 0,
                _ => size,
            };
            if kind == 5 && size % 8 != 0 {
                self.text(" invalid sack");
            } else if kind == 5 {
                put!(self, " {} ", size / 8);
                for block in (0..size).step_by(8) {
                    let (Ok(left_edge), Ok(right_edge)) = (p.u32(data + block), p.u32(data + block + 4)) else {
                        return Ok(self.cut_option(at));
                    };
                    let (left_edge, right_edge) = (left_edge.wrapping_sub(flow.far), right_edge.wrapping_sub(flow.far));
                    put!(self, "{{{left_edge}:{right_edge}}}");
                }
            } else if fixed > left {
                return Ok(self.bad_option(at > 20));
            } else if kind == 29 || !KNOWN.contains(&kind) {
                // Of what has any length, as much is shown as there is.
                let there = p.tail(data).head(fixed);
                let result = self.tcp_option(kind, there, fixed, flags);
                if result.is_err() || there.len() < fixed {
                    return Ok(self.cut_option(at));
                }
            } else if !p.tail(data).holds(fixed) {
                return Ok(self.cut_option(at));
            } else if !self.tcp_option(kind, p.part(data, fixed)?, fixed, flags)? {
                return Ok(self.bad_option(at > 20));
            }
            let used = fixed + if kind > 1 { 2 } else { 1 };
            if used != length {
                put!(self, "[len {length}]");
            }
            at += used;
            if kind == 0 {
                break;
            }
        }
        self.out.push(b']');
        Ok(true)
    }

    /// An option whose bytes were not captured.
    fn cut_option(&mut self, at: usize) -> bool {
        self.truncated();
        if at > 20 {
            self.out.push(b'>');
        }
        false
    }

    fn bad_option(&mut self, close: bool) -> bool {
        self.text("[bad opt]");
        if close {
            self.out.push(b']');
        }
        false
    }

    fn tcp_option(&mut self, kind: u8, data: &[u8], fixed: usize, flags: u8) -> Res<bool> {
        match kind {
            0 | 1 | 4 => {}
            2 => {
                self.out.push(b' ');
                self.dec(u32::from(data.u16(0)?));
            }
            3 => {
                self.out.push(b' ');
                self.dec(u32::from(data.u8(0)?));
            }
            6 | 7 | 11..=13 => put!(self, " {}", data.u32(0)?),
            8 => {
                self.text(" val ");
                self.dec(data.u32(0)?);
                self.text(" ecr ");
                self.dec(data.u32(4)?);
            }
            19 => {
                // Without all of the segment, or without the secret, there is nothing to check it against.
                let why = if self.cut { "snaplen too short" } else { "shared secret not supplied with -M" };
                put!(self, " {why}, can't check - ");
                self.hex(data);
            }
            20 => put!(self, " cap {:02x} id {}", data.u8(0)?, data.u8(1)?),
            28 => {
                let field = data.u16(0)?;
                let timeout = u32::from(field >> 1) * if field & 1 == 1 { 60 } else { 1 };
                put!(self, " 0x{field:x} {timeout}");
            }
            29 => {
                if fixed < 2 {
                    self.invalid();
                    return Ok(true);
                }
                put!(self, " keyid {}", data.u8(0)?);
                put!(self, " rnextkeyid {}", data.u8(1)?);
                if fixed > 2 {
                    self.text(" mac 0x");
                    self.hex(data.tail(2));
                }
            }
            30 => return self.mptcp(data, flags),
            34 => {
                self.out.push(b' ');
                self.fast_open(data, false);
            }
            254 => {
                if data.len() < 2 {
                    return Ok(false);
                }
                self.out.push(b'-');
                match data.u16(0)? {
                    0xf989 => self.fast_open(data.tail(2), true),
                    magic => put!(self, "{magic:04x}"),
                }
            }
            _ => {
                if fixed > 0 {
                    self.text(" 0x");
                    self.hex(data);
                }
            }
        }
        Ok(true)
    }

    /// Fast open (RFC 7413), in its own option or in the experimental one.
    fn fast_open(&mut self, data: &[u8], experimental: bool) {
        if experimental {
            self.text("tfo");
        }
        if data.is_empty() {
            self.text(" cookiereq");
        } else if !data.len().is_multiple_of(2) || !(4..=16).contains(&data.len()) {
            self.invalid();
        } else {
            self.text(" cookie ");
            self.hex(data);
        }
    }

    /// The text that some hosts put into a reset (RFC 9293 section 3.5.3).
    fn reset_reason(&mut self, data: &[u8], length: usize) {
        self.text(if data.len() < length { " [!RST" } else { " [RST" });
        if length > 30 {
            self.text("+");
        }
        self.text(" ");
        self.printable(data.head(length.min(30)));
        self.text("]");
    }
}

/// What the other side's numbers are relative to.
#[derive(Default)]
struct Base {
    far: u32,
}
