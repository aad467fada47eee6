//! What an IP protocol number stands for.

use crate::fetch::{Fetch, Names, Res, name, names};
use crate::options::Force;
use crate::{Printer, put};

/// Names in the parentheses of `-v`.
pub(crate) const NAMES: Names = names![
    (0, "HBH"),
    (1, "ICMP"),
    (2, "IGMP"),
    (4, "IPIP"),
    (6, "TCP"),
    (8, "EGP"),
    (9, "IGRP"),
    (17, "UDP"),
    (33, "DCCP"),
    (41, "IPv6"),
    (43, "Routing"),
    (44, "Fragment"),
    (46, "RSVP"),
    (47, "GRE"),
    (50, "ESP"),
    (51, "AH"),
    (55, "Mobile IP"),
    (58, "ICMPv6"),
    (62, "Mobile IP (old)"),
    (88, "EIGRP"),
    (89, "OSPF"),
    (103, "PIM"),
    (108, "Compressed IP"),
    (112, "VRRP"),
    (113, "PGM"),
    (132, "SCTP"),
    (135, "Mobility"),
    (143, "Ethernet"),
];

/// Keywords of the protocol numbers registry, for protocols without a printer.
pub(crate) const KEYWORDS: Names = names![
    (0, "ip"),
    (3, "ggp"),
    (5, "st"),
    (12, "pup"),
    (20, "hmp"),
    (22, "xns-idp"),
    (27, "rdp"),
    (29, "iso-tp4"),
    (36, "xtp"),
    (37, "ddp"),
    (38, "idpr-cmtp"),
    (45, "idrp"),
    (57, "skip"),
    (73, "rspf"),
    (81, "vmtp"),
    (94, "ipip"),
    (97, "etherip"),
    (98, "encap"),
    (115, "l2tp"),
    (124, "isis"),
    (133, "fc"),
    (136, "udplite"),
    (137, "mpls-in-ip"),
    (139, "hip"),
    (140, "shim6"),
];

/// The IP header around a payload.
#[derive(Clone, Copy)]
pub(crate) struct Outer<'a> {
    /// From the header's first byte to the end of the datagram.
    pub ip: &'a [u8],
    /// 4 or 6.
    pub version: u8,
    /// Whether more fragments follow.
    pub fragmented: bool,
    /// Time to live, hop limit.
    pub ttl: u8,
}

impl Outer<'_> {
    /// Whether the header itself, and no extension of it, names this protocol.
    pub(crate) fn names(&self, protocol: u8) -> bool {
        self.ip.u8(if self.version == 6 { 6 } else { 9 }) == Ok(protocol)
    }

    /// The pseudo-header's sum over a payload of this protocol (RFC 1071, RFC 8200 section 8.1), 0 when right.
    pub(crate) fn checksum(&self, payload: &[u8], protocol: u8) -> u16 {
        let length = (payload.len() as u32).to_be_bytes();
        let tail = [0, 0, 0, protocol];
        if self.version == 6 {
            let destination = self.final_destination6();
            let source = self.ip.part(8, 16).unwrap_or_default();
            return crate::fetch::checksum(&[source, destination, &length, &tail, payload]);
        }
        let source = self.ip.part(12, 4).unwrap_or_default();
        crate::fetch::checksum(&[source, self.final_destination4(), &length, &tail, payload])
    }

    /// The last hop of a source route is what the sender summed over (RFC 791 section 3.1).
    fn final_destination4(&self) -> &[u8] {
        let plain = self.ip.part(16, 4).unwrap_or_default();
        let header = usize::from(self.ip.u8(0).unwrap_or(0x45) & 15) * 4;
        let mut at = 20;
        while at < header {
            let Ok(kind) = self.ip.u8(at) else { break };
            if kind == 0 {
                break;
            }
            if kind == 1 {
                at += 1;
                continue;
            }
            let Ok(length) = self.ip.u8(at + 1).map(usize::from) else { break };
            if length < 2 || at + length > header {
                break;
            }
            if matches!(kind, 131 | 137) && length >= 7 {
                return self.ip.part(at + length - 4, 4).unwrap_or(plain);
            }
            at += length;
        }
        plain
    }

    /// The same for a routing header of types 0, 2 and 4.
    fn final_destination6(&self) -> &[u8] {
        let plain = self.ip.part(24, 16).unwrap_or_default();
        let mut next = self.ip.u8(6).unwrap_or(59);
        let mut at = 40;
        loop {
            let (Ok(after), Ok(units)) = (self.ip.u8(at), self.ip.u8(at + 1)) else { return plain };
            let size = (usize::from(units) + 1) * 8;
            match next {
                0 | 60 => at += size,
                44 => at += 8,
                43 => {
                    let kind = self.ip.u8(at + 2).unwrap_or(255);
                    let left = self.ip.u8(at + 3).unwrap_or(0);
                    match kind {
                        0 | 2 if units % 2 == 0 && units > 0 && left > 0 => {
                            let last = at + 8 + (usize::from(units) / 2 - 1) * 16;
                            return self.ip.part(last, 16).unwrap_or(plain);
                        }
                        4 if units % 2 == 0 && units > 0 => return self.ip.part(at + 8, 16).unwrap_or(plain),
                        _ => at += size,
                    }
                }
                _ => return plain,
            }
            next = after;
        }
    }
}

impl Printer {
    /// Prints the payload of a datagram.
    pub(crate) fn ip_payload(&mut self, p: &[u8], length: usize, protocol: u8, outer: &Outer<'_>) -> Res {
        let (mut p, mut length, mut protocol) = (p, length, protocol);
        while protocol == 51 {
            // An authentication header leaves what follows readable.
            self.proto = "ah";
            let next = p.u8(0)?;
            let size = self.ah(p)?;
            protocol = next;
            p = p.tail(size);
            length = length.saturating_sub(size);
        }
        match protocol {
            50 => {
                let result = self.esp(p, length);
                self.contained(result)
            }
            108 => self.ipcomp(p),
            132 => {
                let result = self.sctp(p, length, outer);
                self.contained(result)
            }
            33 => self.dccp(p, length, outer),
            6 => self.tcp(p, length, outer),
            17 => self.udp(p, length, outer),
            1 if outer.version == 4 => self.icmp(p, length, outer.ip, outer.fragmented),
            58 if outer.version == 6 => self.icmp6(p, length, outer),
            2 if outer.version == 4 => self.igmp(p, length),
            1 | 2 => self.requires(protocol, 4),
            58 => self.requires(protocol, 6),
            89 if outer.version == 6 => self.ospf3(p, length),
            89 => self.ospf(p, length),
            4 => self.ipv4(p, length),
            41 => self.ipv6(p, length),
            47 => self.gre(p, length),
            103 => self.pim(p, length, outer),
            112 if self.options.force == Some(Force::Carp) => self.carp(p, length, outer.ttl),
            112 => self.vrrp(p, length, outer),
            143 if outer.version == 6 => self.ethernet(p, length).map(|_| ()),
            143 => self.requires(protocol, 6),
            77 => {
                put!(self, " nd {length}");
                Ok(())
            }
            59 => {
                self.text("no next header");
                Ok(())
            }
            _ => {
                self.ip_protocol_name(protocol);
                put!(self, " {length}");
                Ok(())
            }
        }
    }

    fn requires(&mut self, protocol: u8, version: u8) -> Res {
        put!(self, "[{} requires IPv{version}]", name(NAMES, protocol).unwrap_or("unknown"));
        self.invalid();
        Ok(())
    }

    /// Authentication header (RFC 4302); returns its length.
    fn ah(&mut self, p: &[u8]) -> Res<usize> {
        self.text("AH");
        let units = usize::from(p.u8(1)?);
        let size = (units + 2) * 4;
        self.text("(");
        if self.v() > 0 {
            put!(self, "length={units}({size}-bytes),");
        }
        let reserved = p.u16(2)?;
        if reserved != 0 {
            put!(self, "reserved=0x{reserved:x}[MustBeZero],");
        }
        put!(self, "spi=0x{:08x},", p.u32(4)?);
        put!(self, "seq=0x{:x},icv=0x", p.u32(8)?);
        self.hex(p.tail(12).head(size.saturating_sub(12)));
        p.part(0, size)?;
        self.text("): ");
        Ok(size)
    }

    /// Encapsulating security payload (RFC 4303): what is readable without keys.
    pub(crate) fn esp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "esp";
        p.part(0, 9)?;
        put!(self, "ESP(spi=0x{:08x},seq=0x{:x}), length {length}", p.u32(0)?, p.u32(4)?);
        Ok(())
    }

    /// Compressed payload (RFC 3173).
    fn ipcomp(&mut self, p: &[u8]) -> Res {
        self.proto = "ipcomp";
        put!(self, "IPComp(cpi=0x{:04x})", p.u16(2)?);
        Ok(())
    }

    /// Datagram congestion control (RFC 4340): ports and packet type.
    fn dccp(&mut self, p: &[u8], length: usize, outer: &Outer<'_>) -> Res {
        self.proto = "dccp";
        const TYPES: Names = names![
            (0, "DCCP-Request"),
            (1, "DCCP-Response"),
            (2, "DCCP-Data"),
            (3, "DCCP-Ack"),
            (4, "DCCP-DataAck"),
            (5, "DCCP-CloseReq"),
            (6, "DCCP-Close"),
            (7, "DCCP-Reset"),
            (8, "DCCP-Sync"),
            (9, "DCCP-SyncAck"),
        ];
        if length < 4 {
            self.ends(outer, None)?;
            self.text(": ");
            put!(self, "truncated-dccp {length}");
            return Ok(());
        }
        let (source, destination) = (p.u16(0)?, p.u16(2)?);
        self.ends(outer, Some((source, destination, true)))?;
        if self.options.quiet {
            let size = usize::from(p.u8(4)?) * 4;
            put!(self, " {}", length as i64 - size as i64);
            if size > length {
                put!(self, " [bad hdr length {size}, > {length}]");
            }
            return Ok(());
        }
        let kind = p.u8(8)? >> 1 & 15;
        self.named(TYPES, kind, "packet type unknown ");
        Ok(())
    }

    /// Addresses, and ports unless they are unknown; only the ports when an extension header came between.
    pub(crate) fn ends(&mut self, outer: &Outer<'_>, ports: Option<(u16, u16, bool)>) -> Res {
        let own = outer.names(6) || outer.names(17) || outer.names(33) || outer.names(132);
        let (source, destination) = if outer.version == 6 { (8, 24) } else { (12, 16) };
        let Some((from, to, tcp)) = ports else {
            if !own {
                return Ok(());
            }
            self.address(outer, source)?;
            self.text(" > ");
            return self.address(outer, destination);
        };
        if own {
            self.address(outer, source)?;
            self.out.push(b'.');
        }
        self.port(from, tcp);
        self.text(" > ");
        if own {
            self.address(outer, destination)?;
            self.out.push(b'.');
        }
        self.port(to, tcp);
        self.text(": ");
        Ok(())
    }

    fn address(&mut self, outer: &Outer<'_>, at: usize) -> Res {
        if outer.version == 6 { self.ip6(outer.ip, at) } else { self.ip4(outer.ip, at) }
    }
}
