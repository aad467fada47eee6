//! IPv4 (RFC 791).

use crate::fetch::{Fetch, Names, Res, checksum, name, names, should_be};
use crate::{Printer, proto, put};

const OPTIONS: Names = names![
    (0, "EOL"),
    (1, "NOP"),
    (7, "RR"),
    (68, "timestamp"),
    (82, "traceroute"),
    (130, "security"),
    (131, "LSRR"),
    (137, "SSRR"),
    (148, "RA"),
    (152, "upstream"),
    (142, "flow"),
];

impl Printer {
    /// IP of either version, by the version field.
    pub(crate) fn ip_any(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "ipn";
        if length < 1 {
            put!(self, "truncated-ip {length}");
            return Ok(());
        }
        match p.u8(0)? >> 4 {
            4 => self.ipv4(p, length),
            6 => self.ipv6(p, length),
            version => {
                put!(self, "unknown ip {version}");
                Ok(())
            }
        }
    }

    /// One datagram.
    pub(crate) fn ipv4(&mut self, p: &[u8], length: usize) -> Res {
        if !self.enter() {
            return Ok(());
        }
        self.proto = "ip";
        if !self.options.link_header {
            self.text("IP ");
        }
        self.datagram(p, length)?;
        self.leave();
        Ok(())
    }

    fn datagram(&mut self, p: &[u8], length: usize) -> Res {
        if length < 20 {
            put!(self, " [length {length} < 20]");
            self.invalid();
            return Ok(());
        }
        let first = p.u8(0)?;
        if first >> 4 != 4 {
            put!(self, " [version {} != 4]", first >> 4);
            self.invalid();
            return Ok(());
        }
        let header = usize::from(first & 15) * 4;
        if header < 20 {
            put!(self, " [header length {header} < 20]");
            self.invalid();
            return Ok(());
        }
        let claimed = p.u16(2)?;
        let mut total = usize::from(claimed);
        if total > length {
            put!(self, "[total length {total} > length {length}]");
            self.invalid();
            self.out.push(b' ');
        }
        let offloaded = total == 0;
        if offloaded {
            total = length;
        }
        if total < header {
            put!(self, " [total length {total} < {header}]");
            self.invalid();
            return Ok(());
        }
        if !p.holds(20) {
            self.truncated();
            return Ok(());
        }
        let p = p.head(total);
        let payload = total - header;
        let fragment = p.u16(6)?;
        let protocol = p.u8(9)?;
        if self.v() > 0 {
            let tos = p.u8(1)?;
            put!(self, "(tos 0x{tos:x}");
            self.text(match tos & 3 {
                0 => "",
                1 => ",ECT(1)",
                2 => ",ECT(0)",
                _ => ",CE",
            });
            let ttl = p.u8(8)?;
            if ttl >= 1 {
                put!(self, ", ttl {ttl}");
            }
            put!(self, ", id {}, offset {}, flags [", p.u16(4)?, usize::from(fragment & 0x1fff) * 8);
            let flags: Names = names![(0x2000, "+"), (0x4000, "DF"), (0x8000, "rsvd")];
            self.bits(flags, u32::from(fragment & 0xe000), ", ");
            put!(self, "], proto {} ({protocol})", name(proto::NAMES, protocol).unwrap_or("unknown"));
            if offloaded {
                put!(self, ", length {length} [was 0, presumed TSO]");
            } else {
                put!(self, ", length {claimed}");
            }
            let mut cut = false;
            if header > 20 {
                self.text(", options (");
                if !self.ip_options(p, header)? {
                    self.text(" [truncated-option]");
                    cut = true;
                }
                self.out.push(b')');
            }
            if !self.options.skip_checksums && p.holds(header) {
                let sum = checksum(&[p.head(header)]);
                if sum != 0 {
                    let stored = p.u16(10)?;
                    put!(self, ", bad cksum {stored:x} (->{:x})!", should_be(stored, sum));
                }
            }
            self.text(")\n    ");
            if cut {
                self.ip4_ends(p, ": ")?;
                self.truncated();
                return Ok(());
            }
        }
        if fragment & 0x1fff == 0 {
            if !matches!(protocol, 6 | 17 | 33 | 132) {
                self.ip4_ends(p, ": ")?;
            }
            if !p.holds(header) {
                put!(self, " [remaining caplen({}) < header length({header})]", p.len());
                return Err(crate::fetch::Short);
            }
            let ttl = p.u8(8)?;
            let outer = proto::Outer { ip: p, version: 4, fragmented: fragment & 0x2000 != 0, ttl };
            return self.ip_payload(p.tail(header), payload, protocol, &outer);
        }
        self.ip4_ends(p, ":")?;
        self.ip_protocol_name(protocol);
        Ok(())
    }

    /// Source and destination.
    pub(crate) fn ip4_ends(&mut self, p: &[u8], after: &str) -> Res {
        p.part(12, 8)?;
        self.ip4(p, 12)?;
        self.ip4_after(" > ", p, 16)?;
        self.text(after);
        Ok(())
    }

    /// The name of a protocol that has no printer.
    pub(crate) fn ip_protocol_name(&mut self, protocol: u8) {
        if self.options.numeric == 0
            && let Some(text) = name(proto::KEYWORDS, protocol)
        {
            self.out.push(b' ');
            return self.text(text);
        }
        put!(self, " ip-proto-{protocol}");
    }

    /// The options of a header (RFC 791 section 3.1); false when one of them is cut off.
    fn ip_options(&mut self, p: &[u8], header: usize) -> Res<bool> {
        let mut at = 20;
        let mut separator = "";
        while at < header {
            self.text(separator);
            separator = ",";
            let kind = p.u8(at)?;
            match name(OPTIONS, kind) {
                Some(text) => self.text(text),
                None => put!(self, "unknown {kind}"),
            }
            if kind <= 1 {
                if kind == 0 {
                    return Ok(true);
                }
                at += 1;
                continue;
            }
            let length = usize::from(p.u8(at + 1)?);
            if length < 2 || at + length > header {
                put!(self, " [bad length {length}]");
                return Ok(true);
            }
            if p.part(at, length).is_err() {
                return Ok(false);
            }
            // A last address may be cut off by the option's own length: then it is read from what follows.
            let option = p.tail(at);
            let whole = match kind {
                68 => self.ip_timestamps(option, length)?,
                7 | 131 | 137 => self.ip_route(option, length)?,
                148 if length < 4 => {
                    put!(self, " [bad length {length}]");
                    true
                }
                148 => {
                    let value = option.u16(2)?;
                    if value != 0 {
                        put!(self, " value {value}");
                    }
                    true
                }
                _ => true,
            };
            if !whole {
                return Ok(false);
            }
            at += length;
        }
        Ok(true)
    }

    /// Record route and source route; false when it is cut off.
    fn ip_route(&mut self, option: &[u8], length: usize) -> Res<bool> {
        if length < 3 {
            put!(self, " [bad length {length}]");
            return Ok(true);
        }
        if (length + 1) & 3 != 0 {
            put!(self, " [bad length {length}]");
        }
        let stored = option.u8(2)?;
        let pointer = usize::from(stored).wrapping_sub(1);
        if pointer < 3 || pointer.wrapping_add(1) & 3 != 0 || pointer > length + 1 {
            put!(self, " [bad ptr {stored}]");
        }
        for at in (3..length).step_by(4) {
            if self.ip4_after(" ", option, at).is_err() {
                self.out.pop();
                return Ok(false);
            }
            if pointer > at {
                self.out.push(b',');
            }
        }
        Ok(true)
    }

    /// Time stamps; false when they are cut off.
    fn ip_timestamps(&mut self, option: &[u8], length: usize) -> Res<bool> {
        if length < 4 {
            put!(self, "[bad length {length}]");
            return Ok(true);
        }
        self.text(" TS{");
        let (stored, flags) = (option.u8(2)?, option.u8(3)?);
        let step = if flags & 15 != 0 { 8 } else { 4 };
        if !(length - 4).is_multiple_of(step) {
            put!(self, "[bad length {length}]");
        }
        let pointer = usize::from(stored).wrapping_sub(1);
        if pointer < 4 || !pointer.wrapping_sub(4).is_multiple_of(step) || pointer > length + 1 {
            put!(self, "[bad ptr {stored}]");
        }
        let mut at = 0;
        match flags & 15 {
            0 => self.text("TSONLY"),
            1 => self.text("TS+ADDR"),
            3 => self.text("PRESPEC"),
            other => put!(self, "[bad ts type {other}]"),
        }
        if matches!(flags & 15, 0 | 1 | 3) {
            at = 4;
            while at < length {
                if !option.holds(at + step) {
                    return Ok(false);
                }
                self.text(if pointer == at { " ^ " } else { " " });
                put!(self, "{}@", option.u32(at + step - 4)?);
                if step == 8 {
                    self.ip4(option, at)?;
                }
                at += step;
            }
        }
        if pointer == at {
            self.text(" ^ ");
        }
        if flags >> 4 > 0 {
            put!(self, " [{} hops not recorded]}} ", flags >> 4);
        } else {
            self.out.push(b'}');
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Options, Packet, Printer};

    /// What a packet of raw IP prints with `-n -v -v`.
    fn printed(data: &[u8]) -> String {
        let mut printer = Printer::new(Options { verbose: 2, numeric: 1, ..Options::default() });
        let length = data.len() as u32;
        printer.packet(&Packet { link: 101, seconds: 0, nanos: 0, data, length });
        String::from_utf8_lossy(&printer.out).into_owned()
    }

    #[test]
    fn a_record_of_a_route_that_points_nowhere() {
        // Pointers of 0 and beyond the option, addresses that the option's length cuts in two.
        for (option, shown) in [
            ([7, 5, 0, 1, 2, 3, 4, 0], "RR [bad length 5] [bad ptr 0] 1.2.3.4,,unknown 3 [bad length 4]"),
            ([7, 7, 255, 1, 2, 3, 4, 0], "RR [bad ptr 255] 1.2.3.4,,EOL"),
            ([68, 8, 0, 0, 0, 0, 0, 9], "timestamp TS{[bad ptr 0]TSONLY 9@}"),
        ] {
            let mut packet = vec![0x47, 0, 0, 28, 0, 1, 0, 0, 64, 59, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
            packet.extend(option);
            let text = printed(&packet);
            assert!(text.contains(shown), "{text}");
        }
    }

    #[test]
    fn times_before_1970_are_times() {
        // NTP over UDP: a transmit time in the sixty-eighth year of the era that began in 1900.
        let mut packet = vec![0x45, 0, 0, 76, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([0, 123, 0, 123, 0, 56, 0, 0]);
        packet.extend([0x1b; 40]);
        packet.extend([0x80, 0, 0, 0, 0, 0, 0, 0]);
        let text = printed(&packet);
        assert!(text.contains("2147483648.000000000 (1968-01-20T03:14:08Z)"), "{text}");
    }
}
