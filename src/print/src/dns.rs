//! DNS (RFC 1035, RFC 6891), over UDP and TCP, mDNS (RFC 6762) and LLMNR (RFC 4795).

use crate::fetch::{Fetch, Names, Res, name, names};
use crate::{Printer, put};

const OPERATIONS: [&str; 16] = [
    "",
    " inv_q",
    " stat",
    " op3",
    " notify",
    " update",
    " op6",
    " op7",
    " op8",
    " updateA",
    " updateD",
    " updateDA",
    " updateM",
    " updateMA",
    " zoneInit",
    " zoneRef",
];

const CODES: Names = names![
    (0, ""),
    (1, " FormErr"),
    (2, " ServFail"),
    (3, " NXDomain"),
    (4, " NotImp"),
    (5, " Refused"),
    (6, " YXDomain"),
    (7, " YXRRSet"),
    (8, " NXRRSet"),
    (9, " NotAuth"),
    (10, " NotZone"),
    (15, " NoChange"),
    (16, " BadVers"),
    (17, "Resp17"),
    (21, "Resp21"),
    (23, " BadCookie"),
];

const TYPES: Names = names![
    (1, "A"),
    (28, "AAAA"),
    (12, "PTR"),
    (5, "CNAME"),
    (2, "NS"),
    (3, "MD"),
    (4, "MF"),
    (6, "SOA"),
    (7, "MB"),
    (8, "MG"),
    (9, "MR"),
    (10, "NULL"),
    (11, "WKS"),
    (13, "HINFO"),
    (14, "MINFO"),
    (15, "MX"),
    (16, "TXT"),
    (17, "RP"),
    (18, "AFSDB"),
    (19, "X25"),
    (20, "ISDN"),
    (21, "RT"),
    (22, "NSAP"),
    (23, "NSAP_PTR"),
    (24, "SIG"),
    (25, "KEY"),
    (26, "PX"),
    (27, "GPOS"),
    (29, "LOC"),
    (30, "NXT"),
    (31, "EID"),
    (32, "NIMLOC"),
    (33, "SRV"),
    (34, "ATMA"),
    (35, "NAPTR"),
    (36, "KX"),
    (37, "CERT"),
    (38, "A6"),
    (39, "DNAME"),
    (40, "SINK"),
    (41, "OPT"),
    (42, "APL"),
    (43, "DS"),
    (44, "SSHFP"),
    (45, "IPSECKEY"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (49, "DHCID"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (53, "SMIMEA"),
    (55, "HIP"),
    (56, "NINFO"),
    (57, "RKEY"),
    (58, "TALINK"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (61, "OPENPGPKEY"),
    (62, "CSYNC"),
    (63, "ZONEMD"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (100, "UINFO"),
    (101, "UID"),
    (102, "GID"),
    (103, "UNSPEC"),
    (104, "NID"),
    (105, "L32"),
    (106, "L64"),
    (107, "LP"),
    (108, "EUI48"),
    (109, "EUI64"),
    (249, "TKEY"),
    (250, "TSIG"),
    (251, "IXFR"),
    (252, "AXFR"),
    (253, "MAILB"),
    (254, "MAILA"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
    (258, "AVC"),
    (259, "DOA"),
    (260, "AMTRELAY"),
    (32768, "TA"),
    (32769, "DLV"),
];

const CLASSES: Names = names![(1, "IN"), (3, "CHAOS"), (4, "HS"), (255, "ANY")];

const OPTIONS: Names = names![
    (1, "LLQ"),
    (2, "UL"),
    (3, "NSID"),
    (5, "DAU"),
    (6, "DHU"),
    (7, "N3U"),
    (8, "ECS"),
    (9, "EXPIRE"),
    (10, "COOKIE"),
    (11, "KEEPALIVE"),
    (12, "PADDING"),
    (13, "CHAIN"),
    (14, "KEY-TAG"),
    (16, "CLIENT-TAG"),
    (17, "SERVER-TAG"),
];

const ALGORITHMS: Names = names![
    (0, "DELETE"),
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DS"),
    (5, "RSASHA1"),
    (6, "DSA-NSEC3-SHA1"),
    (7, "RSASHA1-NSEC3-SHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECC-GOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];

const DIGESTS: Names = names![(1, "SHA-1"), (2, "SHA-256"), (3, "GOST_R_34.11-94"), (4, "SHA-384")];
const HASHES: Names = names![(1, "SHA-1")];

/// How long a name may become; compression makes longer ones possible.
const MAX_NAME: usize = 255;

/// Where the next record begins, or nothing when the message ends before.
type Next = Res<Option<usize>>;

impl Printer {
    pub(crate) fn dns_udp(&mut self, p: &[u8], length: usize) -> Res {
        self.dns(p, length, false)
    }

    pub(crate) fn mdns(&mut self, p: &[u8], length: usize) -> Res {
        self.dns(p, length, true)
    }

    /// A message after the two bytes of its length.
    pub(crate) fn dns_tcp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "domain";
        if length < 2 {
            put!(self, " [DNS over TCP: length {length} < 2]");
            self.invalid();
            return Ok(());
        }
        let prefix = usize::from(p.u16(0)?);
        if prefix != length - 2 {
            put!(self, " [prefix length({prefix}) != length({})]", length - 2);
            self.invalid();
            return Ok(());
        }
        self.out.push(b' ');
        self.dns(p.tail(2), length - 2, false)
    }

    fn dns(&mut self, p: &[u8], length: usize, multicast: bool) -> Res {
        self.proto = "domain";
        if length < 12 {
            put!(self, "domain [length {length} < 12]");
            self.invalid();
            return Ok(());
        }
        match self.dns_message(p, multicast) {
            Ok(Some(())) => {
                self.text(" (");
                self.dec(length as u32);
                self.out.push(b')');
            }
            _ => self.truncated(),
        }
        Ok(())
    }

    fn dns_message(&mut self, p: &[u8], multicast: bool) -> Res<Option<()>> {
        p.part(0, 12)?;
        let flags = p.u16(2)?;
        let counts = [p.u16(4)?, p.u16(6)?, p.u16(8)?, p.u16(10)?];
        let [questions, answers, authorities, additions] = counts;
        let operation = OPERATIONS.get(usize::from(flags >> 11 & 15)).copied().unwrap_or_default();
        self.dec(u32::from(p.u16(0)?));
        self.text(operation);
        let mut at = 12;
        if flags & 0x8000 != 0 {
            let code = response_code(p, flags, counts);
            match name(CODES, code) {
                Some(text) => self.text(text),
                None => put!(self, " Resp{code}"),
            }
            self.flag(flags & 0x400 != 0, "*");
            self.flag(flags & 0x80 == 0, "-");
            self.flag(flags & 0x200 != 0, "|");
            self.flag(flags & 0x20 != 0, "$");
            if questions != 1 {
                put!(self, " [{questions}q]");
            }
            for index in 0..questions {
                if index > 0 {
                    self.out.push(b',');
                }
                let next = if self.v() > 1 {
                    self.text(" q:");
                    self.question(p, at, multicast)?
                } else {
                    skip_name(p, at).map(|end| end + 4)
                };
                let Some(next) = next else { return Ok(None) };
                at = next;
            }
            self.out.push(b' ');
            self.dec(u32::from(answers));
            self.out.push(b'/');
            self.dec(u32::from(authorities));
            self.out.push(b'/');
            self.dec(u32::from(additions));
        } else {
            self.flag(flags & 0x100 != 0, "+");
            self.flag(flags & 0x10 != 0, "%");
            if flags & 0x6cf != 0 {
                put!(self, " [b2&3=0x{flags:x}]");
            }
            let inverse = flags >> 11 & 15 == 1;
            if inverse {
                if questions != 0 {
                    put!(self, " [{questions}q]");
                }
                if answers != 1 {
                    put!(self, " [{answers}a]");
                }
            } else {
                if answers != 0 {
                    put!(self, " [{answers}a]");
                }
                if questions != 1 {
                    put!(self, " [{questions}q]");
                }
            }
            if authorities != 0 {
                put!(self, " [{authorities}n]");
            }
            if additions != 0 {
                put!(self, " [{additions}au]");
            }
            for index in 0..questions {
                if index > 0 && at >= p.len() {
                    return Ok(None);
                }
                let Some(next) = self.question(p, at, multicast)? else { return Ok(None) };
                at = next;
            }
        }
        let response = flags & 0x8000 != 0;
        if response || self.v() > 1 {
            let Some(next) = self.section(p, at, answers, "", multicast)? else { return Ok(None) };
            at = next;
        }
        if self.v() > 1 {
            for (count, title) in [(authorities, " ns:"), (additions, " ar:")] {
                if count > 0 && at >= p.len() {
                    return Ok(None);
                }
                let Some(next) = self.section(p, at, count, title, multicast)? else { return Ok(None) };
                at = next;
            }
        }
        Ok(Some(()))
    }

    fn flag(&mut self, set: bool, text: &str) {
        if set {
            self.text(text);
        }
    }

    fn section(&mut self, p: &[u8], start: usize, count: u16, title: &str, multicast: bool) -> Next {
        let mut at = start;
        for index in 0..count {
            if index == 0 {
                self.text(title);
            } else {
                if at >= p.len() {
                    return Ok(None);
                }
                self.out.push(b',');
            }
            let Some(next) = self.record(p, at, multicast)? else { return Ok(None) };
            at = next;
        }
        Ok(Some(at))
    }

    fn question(&mut self, p: &[u8], at: usize, multicast: bool) -> Next {
        let Some(end) = skip_name(p, at) else { return Ok(None) };
        if p.len() < end + 4 {
            return Ok(None);
        }
        self.out.push(b' ');
        self.named(TYPES, p.u16(end)?, "Type");
        let field = p.u16(end + 2)?;
        let class = if multicast { field & 0x7fff } else { field };
        self.class(class);
        if multicast {
            self.text(if field & 0x8000 != 0 { " (QU)" } else { " (QM)" });
        }
        self.text("? ");
        Ok(self.domain_name(p, 0, at)?.map(|end| end + 4))
    }

    fn class(&mut self, class: u16) {
        if class != 1 {
            match name(CLASSES, class) {
                Some(text) => put!(self, " {text}"),
                None => put!(self, " (Class {class})"),
            }
        }
    }

    fn record(&mut self, p: &[u8], start: usize, multicast: bool) -> Next {
        let end = if self.v() > 0 {
            self.out.push(b' ');
            let Some(end) = self.domain_name(p, 0, start)? else { return Ok(None) };
            end
        } else {
            match skip_name(p, start) {
                Some(end) => end,
                None => return Ok(Some(p.len())),
            }
        };
        if p.len() < end + 10 {
            return Ok(Some(p.len()));
        }
        let kind = p.u16(end)?;
        let field = p.u16(end + 2)?;
        let class = if multicast { field & 0x7fff } else { field };
        if kind != 41 {
            self.class(class);
        }
        if multicast && field & 0x8000 != 0 {
            self.text(" (Cache flush)");
        }
        let extended = p.u16(end + 6)?;
        if kind != 41 && self.v() > 2 {
            self.text(" [");
            self.relative_time(p.u32(end + 4)?);
            self.out.push(b']');
        }
        let size = usize::from(p.u16(end + 8)?);
        self.out.push(b' ');
        self.named(TYPES, kind, "Type");
        let at = end + 10;
        let after = at + size;
        if after > p.len() {
            return Ok(None);
        }
        let fine = match kind {
            1 => match p.bytes::<4>(at) {
                Ok(address) => {
                    self.out.push(b' ');
                    self.dotted(address);
                    true
                }
                Err(_) => false,
            },
            28 => match p.bytes::<16>(at) {
                Ok(address) => {
                    self.out.push(b' ');
                    self.colons(&address);
                    true
                }
                Err(_) => false,
            },
            2 | 5 | 12 | 39 => {
                self.out.push(b' ');
                self.domain_name(p, 0, at)?.is_some()
            }
            6 if self.v() > 0 => self.soa(p, at)?,
            15 => {
                self.out.push(b' ');
                if p.len() < at + 2 || self.domain_name(p, 0, at + 2)?.is_none() {
                    false
                } else {
                    put!(self, " {}", p.u16(at)?);
                    true
                }
            }
            16 => self.strings(p, at, after)?,
            33 => {
                self.out.push(b' ');
                if p.len() < at + 6 || self.domain_name(p, 0, at + 6)?.is_none() {
                    false
                } else {
                    put!(self, ":{} {} {}", p.u16(at + 4)?, p.u16(at)?, p.u16(at + 2)?);
                    true
                }
            }
            38 => self.a6(p, at)?,
            41 => {
                put!(self, " UDPsize={class}");
                self.flag(extended & 0x8000 != 0, " DO");
                self.edns(p, at, after)?
            }
            250 if self.v() > 0 => self.tsig(p, at)?,
            256 => {
                if size < 4 {
                    self.invalid();
                } else {
                    put!(self, " {} {} ", p.u16(at)?, p.u16(at + 2)?);
                    self.printable(p.part(at + 4, size - 4)?);
                }
                true
            }
            _ => true,
        };
        Ok(fine.then_some(after))
    }

    fn soa(&mut self, p: &[u8], at: usize) -> Res<bool> {
        self.out.push(b' ');
        let Some(next) = self.domain_name(p, 0, at)? else { return Ok(false) };
        self.out.push(b' ');
        let Some(next) = self.domain_name(p, 0, next)? else { return Ok(false) };
        if p.len() < next + 20 {
            return Ok(false);
        }
        for index in 0..5 {
            put!(self, " {}", p.u32(next + index * 4)?);
        }
        Ok(true)
    }

    fn strings(&mut self, p: &[u8], start: usize, end: usize) -> Res<bool> {
        let mut at = start;
        while at < end {
            self.text(" \"");
            let Ok(size) = p.u8(at).map(usize::from) else { return Ok(false) };
            at += 1;
            let cut = p.tail(at).len() < size;
            self.printable(p.tail(at).head(size));
            if cut {
                return Ok(false);
            }
            at += size;
            self.out.push(b'"');
        }
        Ok(true)
    }

    /// RFC 2874, long obsolete and still shown.
    fn a6(&mut self, p: &[u8], at: usize) -> Res<bool> {
        let Ok(bits) = p.u8(at) else { return Ok(false) };
        if bits > 128 {
            put!(self, " {bits}(bad plen)");
            return Ok(true);
        }
        let skipped = usize::from(bits) / 8;
        if bits < 128 {
            let mut address = [0u8; 16];
            let suffix = p.part(at + 1, 16 - skipped)?;
            for (to, from) in address.iter_mut().skip(skipped).zip(suffix) {
                *to = *from;
            }
            put!(self, " {bits} ");
            self.colons(&address);
        }
        if bits > 0 {
            self.out.push(b' ');
            return Ok(self.domain_name(p, 0, at + 17 - skipped)?.is_some());
        }
        Ok(true)
    }

    fn tsig(&mut self, p: &[u8], at: usize) -> Res<bool> {
        self.out.push(b' ');
        let Some(mut at) = self.domain_name(p, 0, at)? else { return Ok(false) };
        at += 6;
        for title in [" fudge=", " maclen=", " origid=", " error=", " otherlen="] {
            let Ok(number) = p.u16(at) else { return Ok(false) };
            put!(self, "{title}{number}");
            at += 2;
            if title == " maclen=" {
                at += usize::from(number);
            }
        }
        Ok(true)
    }

    fn edns(&mut self, p: &[u8], start: usize, end: usize) -> Res<bool> {
        if start >= end {
            return Ok(true);
        }
        self.text(" [");
        let mut at = start;
        while at < end {
            if at > start {
                self.out.push(b',');
            }
            let Ok(kind) = p.u16(at) else { return Ok(false) };
            self.named(OPTIONS, kind, "Opt");
            let Ok(size) = p.u16(at + 2).map(usize::from) else { return Ok(false) };
            let Ok(data) = p.part(at + 4, size) else { return Ok(false) };
            at += 4 + size;
            if size > 0 {
                self.out.push(b' ');
                self.edns_option(kind, data)?;
            }
        }
        self.out.push(b']');
        Ok(true)
    }

    fn edns_option(&mut self, kind: u16, data: &[u8]) -> Res {
        let size = data.len();
        match kind {
            8 => self.client_subnet(data)?,
            10 if size < 8 || (9..16).contains(&size) || size > 40 => self.invalid(),
            10 => {
                self.hex(data.head(8));
                if size > 8 {
                    self.out.push(b' ');
                    self.hex(data.tail(8));
                }
            }
            11 if size != 2 => self.invalid(),
            11 => put!(self, "{}.{} sec", data.u16(0)? / 10, data.u16(0)? % 10),
            9 if size != 4 => self.invalid(),
            9 => put!(self, "{} sec", data.u32(0)?),
            12 => put!(self, "({size})"),
            14 if !size.is_multiple_of(2) => self.invalid(),
            14 => {
                for (index, tag) in data.chunks(2).enumerate() {
                    if index > 0 {
                        self.out.push(b' ');
                    }
                    self.dec(u32::from(tag.u16(0)?));
                }
            }
            5..=7 => {
                let table = match kind {
                    5 => ALGORITHMS,
                    6 => DIGESTS,
                    _ => HASHES,
                };
                for (index, number) in data.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b' ');
                    }
                    self.named(table, *number, "Alg_");
                }
            }
            13 => {
                self.domain_name(data, data.len(), 0)?;
            }
            _ => self.hex(data),
        }
        Ok(())
    }

    fn client_subnet(&mut self, data: &[u8]) -> Res {
        let size = data.len();
        if size < 4 {
            self.invalid();
            return Ok(());
        }
        let (family, source, scope) = (data.u16(0)?, data.u8(2)?, data.u8(3)?);
        let bits = match family {
            1 => 32,
            2 => 128,
            _ => {
                self.invalid();
                return Ok(());
            }
        };
        if source > bits || scope > bits || usize::from(source).div_ceil(8) != size - 4 {
            self.invalid();
            return Ok(());
        }
        let mut address = [0u8; 16];
        for (to, from) in address.iter_mut().zip(data.tail(4)) {
            *to = *from;
        }
        if family == 1 {
            self.dotted(address.bytes(0)?);
        } else {
            self.colons(&address);
        }
        put!(self, "/{source}/{scope}");
        Ok(())
    }

    /// A name at an offset of a message that begins at `base`; where it ends, or nothing when it cannot be read.
    pub(crate) fn domain_name(&mut self, p: &[u8], base: usize, start: usize) -> Next {
        let mut at = start;
        let mut after = None;
        let mut limit = start.saturating_sub(base);
        if base == p.len() {
            // A name without a message has nothing to point to.
            limit = 0;
        }
        let mut shown = 0;
        let Ok(mut size) = p.u8(at) else { return Ok(None) };
        at += 1;
        if size == 0 {
            self.out.push(b'.');
            return Ok(Some(at));
        }
        while size != 0 && at < p.len() {
            match size & 0xc0 {
                0xc0 => {
                    after.get_or_insert(at + 1);
                    let Ok(low) = p.u8(at) else { return Ok(None) };
                    let offset = usize::from(size & 0x3f) << 8 | usize::from(low);
                    // It has to point backwards, or it could go on for ever.
                    if offset >= limit {
                        self.text("<BAD PTR>");
                        return Ok(None);
                    }
                    limit = offset;
                    at = base + offset;
                    let Ok(next) = p.u8(at) else { return Ok(None) };
                    size = next;
                    at += 1;
                    continue;
                }
                0x40 => {
                    if size & 0x3f != 1 {
                        put!(self, "<ELT {}>", size & 0x3f);
                        return Ok(None);
                    }
                    let Some(end) = self.bit_label(p, at) else { return Ok(None) };
                    at = end;
                }
                0 => {
                    let label = p.tail(at).head(usize::from(size));
                    self.printable(label);
                    if label.len() < usize::from(size) {
                        return Ok(None);
                    }
                    at += usize::from(size);
                    shown += usize::from(size) + 1;
                }
                _ => {
                    self.text("<BAD LABEL TYPE>");
                    return Ok(None);
                }
            }
            self.out.push(b'.');
            if shown > MAX_NAME {
                self.text("<DOMAIN NAME TOO LONG>");
                return Ok(None);
            }
            let Ok(next) = p.u8(at) else { return Ok(None) };
            size = next;
            at += 1;
        }
        Ok(if size == 0 { Some(after.unwrap_or(at)) } else { None })
    }

    /// Bit-string labels (RFC 2673), which nobody sends any more.
    fn bit_label(&mut self, p: &[u8], at: usize) -> Option<usize> {
        let bits = match p.u8(at).ok()? {
            0 => 256,
            bits => usize::from(bits),
        };
        let bytes = p.part(at + 1, bits.div_ceil(8)).ok()?;
        self.text("\\[x");
        self.hex(bytes);
        put!(self, "/{bits}]");
        Some(at + 1 + bytes.len())
    }

    /// A time span in weeks, days, hours, minutes and seconds.
    pub(crate) fn relative_time(&mut self, seconds: u32) {
        let mut rest = seconds;
        if seconds == 0 {
            return self.text("0s");
        }
        for (unit, letter) in [(604_800, 'w'), (86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')] {
            if rest >= unit {
                put!(self, "{}{letter}", rest / unit);
                rest %= unit;
            }
        }
    }
}

fn skip_name(p: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let size = p.u8(at).ok()?;
        at += 1;
        match size & 0xc0 {
            _ if size == 0 => return Some(at),
            0xc0 => return Some(at + 1),
            0x40 => {
                if size & 0x3f != 1 {
                    return None;
                }
                let bits = match p.u8(at).ok()? {
                    0 => 256,
                    bits => usize::from(bits),
                };
                at += 1 + bits.div_ceil(8);
            }
            _ => at += usize::from(size),
        }
    }
}

/// The response code with its upper bits, which are in the OPT record if there is one.
fn response_code(p: &[u8], flags: u16, counts: [u16; 4]) -> u16 {
    let low = flags & 15;
    let found = || -> Option<u16> {
        let [questions, answers, authorities, additions] = counts;
        let mut at = 12;
        for _ in 0..questions {
            at = skip_name(p, at)? + 4;
            if at >= p.len() {
                return None;
            }
        }
        for index in 0..u32::from(answers) + u32::from(authorities) + u32::from(additions) {
            at = skip_name(p, at)?;
            if index >= u32::from(answers) + u32::from(authorities) && p.u16(at).ok()? == 41 {
                return Some(u16::from(p.u8(at + 4).ok()?) << 4);
            }
            at += 10 + usize::from(p.u16(at + 8).ok()?);
            if at >= p.len() {
                return None;
            }
        }
        None
    };
    low | found().unwrap_or(0)
}
