//! ICMP (RFC 792, RFC 950, RFC 1256, RFC 4884).

use crate::fetch::{Fetch, Names, Res, checksum, name, names, should_be};
use crate::{Printer, put};

const TYPES: Names = names![
    (0, "echo reply"),
    (3, "unreachable"),
    (4, "source quench"),
    (5, "redirect"),
    (8, "echo request"),
    (9, "router advertisement"),
    (10, "router solicitation"),
    (11, "time exceeded"),
    (12, "parameter problem"),
    (13, "time stamp request"),
    (14, "time stamp reply"),
    (15, "information request"),
    (16, "information reply"),
    (17, "address mask request"),
];

/// What follows the destination in an unreachable message; the word before it for the kinds that have one.
const UNREACHABLE: &[(u8, &str, &str)] = &[
    (0, "net ", " unreachable"),
    (1, "host ", " unreachable"),
    (5, "", " unreachable - source route failed"),
    (6, "net ", " unreachable - unknown"),
    (7, "host ", " unreachable - unknown"),
    (8, "", " unreachable - source host isolated"),
    (9, "net ", " unreachable - admin prohibited"),
    (10, "host ", " unreachable - admin prohibited"),
    (11, "net ", " unreachable - tos prohibited"),
    (12, "host ", " unreachable - tos prohibited"),
    (13, "host ", " unreachable - admin prohibited filter"),
    (14, "host ", " unreachable - host precedence violation"),
    (15, "host ", " unreachable - precedence cutoff"),
];

impl Printer {
    /// One message; `ip` is the header around it.
    pub(crate) fn icmp(&mut self, p: &[u8], length: usize, _ip: &[u8], fragmented: bool) -> Res {
        self.proto = "icmp";
        let (kind, code) = (p.u8(0)?, p.u8(1)?);
        // The text comes after the title, so a message cut off before it ends leaves the title out, too.
        let start = self.out.len();
        self.text("ICMP ");
        if let Err(short) = self.icmp_text(p) {
            self.out.truncate(start);
            // In these the mark is the message's own, in the others the packet's.
            return if matches!(kind, 9 | 11 | 14) || (kind, code) == (3, 3) && p.len() < 18 {
                self.contained(Err(short))
            } else {
                Err(short)
            };
        }
        put!(self, ", length {length}");
        if self.v() > 0 && !fragmented && p.holds(length) {
            let sum = checksum(&[p.head(length)]);
            if sum != 0 {
                let stored = p.u16(2)?;
                put!(self, " (wrong icmp cksum {stored:x} (->{:x})!)", should_be(stored, sum));
            }
        }
        if self.v() > 0 && matches!(kind, 3 | 4 | 5 | 11 | 12) {
            let inner = p.tail(8);
            self.text("\n\t");
            let size = usize::from(inner.u16(2)?);
            self.ipv4(inner.head(size), size)?;
            self.proto = "icmp";
        }
        if self.v() > 0 && length > 140 && matches!(kind, 3 | 11 | 12) {
            self.icmp_extension(p, length)?;
        }
        Ok(())
    }

    fn icmp_text(&mut self, p: &[u8]) -> Res {
        let (kind, code) = (p.u8(0)?, p.u8(1)?);
        match kind {
            0 | 8 => {
                self.text(if kind == 8 { "echo request, id " } else { "echo reply, id " });
                self.dec(u32::from(p.u16(4)?));
                self.text(", seq ");
                self.dec(u32::from(p.u16(6)?));
            }
            3 => self.icmp_unreachable(p, code)?,
            5 => {
                match code {
                    0 => self.text("redirect "),
                    1 => self.text("redirect "),
                    2 => self.text("redirect-tos "),
                    3 => self.text("redirect-tos "),
                    _ => put!(self, "redirect-#{code} "),
                }
                self.ip4(p, 24)?;
                self.text(match code {
                    1 | 3 => " to host ",
                    0 | 2 => " to net ",
                    _ => " to ",
                });
                self.ip4(p, 4)?;
            }
            9 => self.icmp_routers(p)?,
            11 => {
                p.part(24, 4)?;
                match code {
                    0 => self.text("time exceeded in-transit"),
                    1 => self.text("ip reassembly time exceeded"),
                    _ => put!(self, "time exceeded-#{code}"),
                }
            }
            12 => {
                if code != 0 {
                    put!(self, "parameter problem - code {code}");
                } else {
                    put!(self, "parameter problem - octet {}", p.u8(4)?);
                }
            }
            18 => put!(self, "address mask is 0x{:08x}", p.u32(8)?),
            13 => put!(self, "time stamp query id {} seq {}", p.u16(4)?, p.u16(6)?),
            14 => {
                put!(self, "time stamp reply id {} seq {}: org ", p.u16(4)?, p.u16(6)?);
                self.icmp_time(p.u32(8)?);
                self.text(", recv ");
                self.icmp_time(p.u32(12)?);
                self.text(", xmit ");
                self.icmp_time(p.u32(16)?);
            }
            _ => match name(TYPES, kind) {
                Some(text) => self.text(text),
                None => put!(self, "type-#{kind}"),
            },
        }
        Ok(())
    }

    fn icmp_unreachable(&mut self, p: &[u8], code: u8) -> Res {
        match code {
            2 => {
                self.ip4(p, 24)?;
                put!(self, " protocol {} unreachable", p.u8(17)?);
            }
            3 => {
                let protocol = p.u8(17)?;
                let header = usize::from(p.u8(8)? & 15) * 4;
                let port = p.u16(8 + header + 2)?;
                self.ip4(p, 24)?;
                match protocol {
                    6 | 17 => {
                        self.text(if protocol == 6 { " tcp port " } else { " udp port " });
                        self.port(port, protocol == 6);
                        self.text(" unreachable");
                    }
                    _ => put!(self, " protocol {protocol} port {port} unreachable"),
                }
            }
            4 => {
                let mtu = p.u16(6)?;
                self.ip4(p, 24)?;
                self.text(" unreachable - need to frag");
                if mtu != 0 {
                    put!(self, " (mtu {mtu})");
                }
            }
            _ => match UNREACHABLE.iter().find(|entry| entry.0 == code) {
                Some((_, before, after)) => {
                    self.text(before);
                    self.ip4(p, 24)?;
                    self.text(after);
                }
                None => {
                    self.ip4(p, 24)?;
                    put!(self, " unreachable - #{code}");
                }
            },
        }
        Ok(())
    }

    fn icmp_routers(&mut self, p: &[u8]) -> Res {
        let (count, size, lifetime) = (p.u8(4)?, p.u8(5)?, p.u16(6)?);
        self.text("router advertisement lifetime ");
        match lifetime {
            0..60 => put!(self, "{lifetime}"),
            60..3600 => put!(self, "{}:{:02}", lifetime / 60, lifetime % 60),
            _ => put!(self, "{}:{:02}:{:02}", lifetime / 3600, lifetime % 3600 / 60, lifetime % 60),
        }
        put!(self, " {count}:");
        if size != 2 {
            put!(self, " [size {size}]");
            return Ok(());
        }
        for index in 0..usize::from(count) {
            self.ip4_after(" {", p, 8 + index * 8)?;
            put!(self, " {}}}", p.u32(12 + index * 8)?);
        }
        Ok(())
    }

    /// Milliseconds since midnight.
    fn icmp_time(&mut self, time: u32) {
        let seconds = time / 1000;
        put!(self, "{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, time % 1000);
    }

    /// The extension structure after 128 bytes of the original datagram.
    fn icmp_extension(&mut self, p: &[u8], length: usize) -> Res {
        let start = 8 + 128;
        if p.u8(5)? == 0 && length <= start {
            return Ok(());
        }
        let version = p.u8(start)? >> 4;
        put!(self, "\n\tICMP Multi-Part extension v{version}");
        if version != 2 {
            self.text(" packet not supported");
            return Ok(());
        }
        let mut rest = length - start;
        if p.tail(start).holds(rest) {
            let wrong = checksum(&[p.part(start, rest)?]) != 0;
            let how = if wrong { "in" } else { "" };
            put!(self, ", checksum 0x{:04x} ({how}correct), length {rest}", p.u16(start + 2)?);
        }
        rest -= 4;
        let mut at = start + 4;
        const CLASSES: Names = names![(1, "MPLS Stack Entry"), (2, "Interface Identification")];
        while rest > 4 {
            let (size, class, kind) = (usize::from(p.u16(at)?), p.u8(at + 2)?, p.u8(at + 3)?);
            let text = name(CLASSES, class).unwrap_or("unknown");
            put!(self, "\n\t  {text} Object ({class}), Class-Type: {kind}, length {size}");
            at += 4;
            rest -= 4;
            if class == 0 || size < 4 || size - 4 > rest {
                break;
            }
            let object = p.part(at, size - 4)?;
            match (class, kind) {
                (1, 1) => {
                    let label = object.u32(0)?;
                    put!(self, "\n\t    label {}, tc {}", label >> 12, label >> 9 & 7);
                    if label & 0x100 != 0 {
                        self.text(", [S]");
                    }
                    put!(self, ", ttl {}", label & 0xff);
                }
                _ => self.hex_lines("\n\t    ", object),
            }
            at += size - 4;
            rest -= size - 4;
        }
        Ok(())
    }
}
