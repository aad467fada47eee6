//! Link layers: Ethernet, Linux cooked, null and loop, raw, PPP.

use crate::fetch::{Fetch, Names, Res, name, names};
use crate::{Print, Printer, put};

/// Link types (LINKTYPE_ registry) and their printers.
const LINKS: &[(u32, Print)] = &[
    (0, Printer::null),
    (1, Printer::ethernet_link),
    (9, Printer::ppp_link),
    (12, Printer::raw),
    (14, Printer::raw),
    (50, Printer::ppp_hdlc_link),
    (51, Printer::pppoe_link),
    (101, Printer::raw),
    (108, Printer::null),
    (113, Printer::cooked),
    (228, Printer::raw4),
    (229, Printer::raw6),
    (276, Printer::cooked2),
];

/// The printer of a link type.
pub(crate) fn find(link: u32) -> Option<Print> {
    LINKS.iter().find(|entry| entry.0 == link).map(|entry| entry.1)
}

/// Packet types of Linux's packet socket (linux/if_packet.h).
const PACKET_TYPES: Names = names![(0, "In"), (1, "B"), (2, "M"), (3, "P"), (4, "Out")];

/// What stands before a frame that belongs to another printer's header: source and destination link addresses.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ends<'a> {
    /// Source address, if known.
    pub source: &'a [u8],
    /// Destination address, if known.
    pub destination: &'a [u8],
}

impl Printer {
    fn ethernet_link(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "ether";
        self.link_header = self.ethernet(p, length)?;
        Ok(())
    }

    /// A frame from its destination address on (IEEE 802.3); returns how long its headers are.
    pub(crate) fn ethernet(&mut self, p: &[u8], length: usize) -> Res<usize> {
        self.proto = "ether";
        if p.len() < 14 {
            self.truncated();
            return Ok(p.len());
        }
        if length < 14 {
            self.invalid();
            return Ok(length);
        }
        if !self.enter() {
            return Ok(0);
        }
        let header = self.frame(p, length)?;
        self.leave();
        Ok(header)
    }

    fn frame(&mut self, p: &[u8], length: usize) -> Res<usize> {
        let ends = Ends { destination: p.part(0, 6)?, source: p.part(6, 6)? };
        if self.options.link_header {
            self.ethernet_addresses(p)?;
        }
        let original = length;
        let mut kind = p.u16(12)?;
        let mut at = 14;
        let mut length = length - 14;
        let mut said_length = false;
        // VLAN tags, one after the other (IEEE 802.1Q, 802.1ad).
        while matches!(kind, 0x8100 | 0x88a8 | 0x9100 | 0x9200) {
            if p.tail(at).len() < 4 {
                self.proto = "vlan";
                self.truncated();
                return Ok(p.len());
            }
            if length < 4 {
                self.proto = "vlan";
                self.invalid();
                return Ok(at + length);
            }
            if self.options.link_header {
                self.ether_type(kind);
                if said_length {
                    self.text(", ");
                } else {
                    put!(self, ", length {original}: ");
                    said_length = true;
                }
                self.vlan_tag(p.u16(at)?);
                self.text(", ");
            }
            kind = p.u16(at + 2)?;
            at += 4;
            length -= 4;
        }
        if kind <= 1500 {
            // A length (IEEE 802.3), and a logical link control header after it.
            let mut payload = p.tail(at);
            if usize::from(kind) < length {
                length = usize::from(kind);
                payload = payload.head(length);
            }
            if self.options.link_header {
                self.text("802.3");
                if !said_length {
                    put!(self, ", length {length}: ");
                }
            }
            let (header, known) = self.llc(payload, length, ends)?;
            if !known {
                self.default_print(payload);
            }
            return Ok(at + header);
        }
        if kind == 0x8870 {
            // Jumbo frames whose type stands where the length does.
            if self.options.link_header {
                self.ether_type(kind);
                self.length_or_comma(said_length, original);
            }
            let payload = p.tail(at);
            let (header, known) = self.llc(payload, length, ends)?;
            if !known {
                self.default_print(payload);
            }
            return Ok(at + header);
        }
        if self.options.link_header {
            self.ether_type(kind);
            self.length_or_comma(said_length, original);
        }
        let payload = p.tail(at);
        if !self.ethertype(kind, payload, length, ends)? {
            if !self.options.link_header {
                self.ethernet_addresses(p)?;
                self.ether_type(kind);
                self.length_or_comma(said_length, original);
            }
            self.default_print(payload);
        }
        Ok(at)
    }

    fn length_or_comma(&mut self, said_length: bool, original: usize) {
        if said_length {
            self.text(", ");
        } else {
            put!(self, ", length {original}: ");
        }
    }

    fn ethernet_addresses(&mut self, p: &[u8]) -> Res {
        self.mac(p, 6)?;
        self.text(" > ");
        self.mac(p, 0)?;
        self.text(", ");
        Ok(())
    }

    /// The type field, as `-e` shows it.
    pub(crate) fn ether_type(&mut self, kind: u16) {
        let name = name(crate::ethertype::NAMES, kind);
        match (name, self.options.quiet) {
            (Some(name), true) => self.text(name),
            (None, true) => put!(self, "Unknown Ethertype (0x{kind:04x})"),
            (name, false) => put!(self, "ethertype {} (0x{kind:04x})", name.unwrap_or("Unknown")),
        }
    }

    /// The tag control information of a VLAN.
    pub(crate) fn vlan_tag(&mut self, tag: u16) {
        let dei = if tag & 0x1000 != 0 { ", DEI" } else { "" };
        put!(self, "vlan {}, p {}{dei}", tag & 0xfff, tag >> 13);
    }

    /// The bytes of what no printer knows, unless a dump in hexadecimal follows anyway.
    pub(crate) fn default_print(&mut self, data: &[u8]) {
        let options = &self.options;
        if !options.quiet && options.hex == 0 && options.hex_ascii == 0 {
            self.hex_and_ascii("\n\t", data);
        }
    }

    /// BSD's loopback: a protocol family in the byte order of whoever wrote it.
    fn null(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "null";
        let mut family = p.le32(0)?;
        // Families are small, so a large one is in the other order.
        if family & 0xffff_0000 != 0 {
            family = family.swap_bytes();
        }
        let (payload, rest) = (p.tail(4), length.saturating_sub(4));
        let kind = match family {
            2 => 0x0800,
            24 | 28 | 30 => 0x86dd,
            _ => 0,
        };
        if self.options.link_header {
            self.null_header(family, length);
        }
        if kind != 0 {
            self.ethertype(kind, payload, rest, Ends::default())?;
        } else if family == 7 {
            self.osi(payload, rest)?;
        } else if family == 23 {
            self.ipx(payload, rest)?;
        } else {
            if !self.options.link_header {
                self.null_header(family, length);
            }
            self.default_print(payload);
        }
        self.link_header = 4;
        Ok(())
    }

    fn null_header(&mut self, family: u32, length: usize) {
        const FAMILIES: Names =
            names![(2, "IPv4"), (7, "ISO"), (24, "IPv6"), (28, "IPv6"), (30, "IPv6"), (16, "Appletalk"), (23, "IPX")];
        let text = name(FAMILIES, family);
        if self.options.quiet {
            match text {
                Some(text) => self.text(text),
                None => put!(self, "Unknown AF {family}"),
            }
        } else {
            put!(self, "AF {} ({family})", text.unwrap_or("Unknown"));
        }
        put!(self, ", length {length}: ");
    }

    /// IP of either version, by its first four bits.
    fn raw(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "raw";
        if self.options.link_header {
            self.text("ip: ");
        }
        self.ip_any(p, length)
    }

    fn raw4(&mut self, p: &[u8], length: usize) -> Res {
        if self.options.link_header {
            self.text("ip: ");
        }
        self.ipv4(p, length)
    }

    fn raw6(&mut self, p: &[u8], length: usize) -> Res {
        if self.options.link_header {
            self.text("ip: ");
        }
        self.ipv6(p, length)
    }

    /// Linux cooked capture (LINKTYPE_LINUX_SLL).
    fn cooked(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "sll";
        p.part(0, 16)?;
        if self.options.link_header {
            self.cooked_header(p, length)?;
        }
        self.link_header = 16;
        let mut kind = p.u16(14)?;
        let mut at = 16;
        let mut rest = length.saturating_sub(16);
        loop {
            let payload = p.tail(at);
            if kind <= 1536 {
                // Not a type but one of Linux's own numbers (linux/if_ether.h).
                match kind {
                    0x0004 => {
                        let (header, known) = self.llc(payload, rest, Ends::default())?;
                        if known {
                            self.link_header = at + header;
                        } else {
                            self.default_print(payload);
                        }
                    }
                    0x0001 => self.ipx(payload, rest)?,
                    _ => self.default_print(payload),
                }
                return Ok(());
            }
            if kind == 0x8100 || kind == 0x88a8 {
                if payload.len() < 4 {
                    self.proto = "vlan";
                    self.truncated();
                    self.link_header = p.len();
                    return Ok(());
                }
                if self.options.link_header {
                    self.vlan_tag(payload.u16(0)?);
                    self.text(", ");
                }
                kind = payload.u16(2)?;
                if kind <= 1500 {
                    kind = 4;
                }
                if !self.options.quiet {
                    let name = name(crate::ethertype::NAMES, kind).unwrap_or("Unknown");
                    put!(self, "ethertype {name}, ");
                }
                at += 4;
                rest = rest.saturating_sub(4);
                self.link_header = at;
                continue;
            }
            if !self.ethertype(kind, payload, rest, Ends::default())? {
                self.unknown_cooked(p, rest + 16, payload)?;
            }
            return Ok(());
        }
    }

    fn unknown_cooked(&mut self, p: &[u8], length: usize, payload: &[u8]) -> Res {
        if !self.options.link_header {
            self.cooked_header(p, length)?;
        }
        self.default_print(payload);
        Ok(())
    }

    fn cooked_header(&mut self, p: &[u8], length: usize) -> Res {
        const TYPES: Names = names![(0, "In"), (1, "B"), (2, "M"), (3, "P"), (4, "Out")];
        match name(TYPES, p.u16(0)?) {
            Some(text) => put!(self, "{text:>3} "),
            None => self.text("  ? "),
        }
        // Some drivers leave the link type out; then there is no address to speak of.
        if p.u16(4)? == 6 {
            self.mac(p, 6)?;
            self.out.push(b' ');
        }
        if !self.options.quiet {
            self.cooked_type(p.u16(14)?);
            put!(self, ", length {length}: ");
        }
        Ok(())
    }

    fn cooked_type(&mut self, kind: u16) {
        if kind <= 1536 {
            match kind {
                1 => self.text("802.3"),
                4 => self.text("802.2"),
                _ => put!(self, "ethertype Unknown (0x{kind:04x})"),
            }
        } else {
            let name = name(crate::ethertype::NAMES, kind).unwrap_or("Unknown");
            put!(self, "ethertype {name} (0x{kind:04x})");
        }
    }

    /// Linux cooked capture, version 2 (LINKTYPE_LINUX_SLL2).
    fn cooked2(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "sll2";
        p.part(0, 20)?;
        // The interface and the direction stand before every packet.
        let index = p.u32(4)?;
        let width = self.out.len();
        match self.interfaces.as_mut().and_then(|names| names(index)) {
            Some(name) => self.text(&name),
            None => self.out.push(b'?'),
        }
        for _ in self.out.len() - width..5 {
            self.out.push(b' ');
        }
        self.out.push(b' ');
        match name(PACKET_TYPES, p.u8(10)?) {
            Some(text) => put!(self, "{text:<3} "),
            None => self.text("?   "),
        }
        if self.options.link_header {
            self.cooked2_header(p, length)?;
        }
        self.link_header = 20;
        let mut kind = p.u16(0)?;
        let mut at = 20;
        let mut rest = length.saturating_sub(20);
        loop {
            let payload = p.tail(at);
            if kind <= 1536 {
                let mut known = kind == 1;
                if known {
                    self.ipx(payload, rest)?;
                }
                if kind == 4 {
                    let (header, found) = self.llc(payload, rest, Ends::default())?;
                    if found {
                        self.link_header = at + header;
                    }
                    known = found;
                }
                if !known {
                    self.default_print(payload);
                }
                return Ok(());
            }
            if kind == 0x8100 || kind == 0x88a8 {
                if payload.len() < 4 {
                    self.proto = "vlan";
                    self.truncated();
                    self.link_header = p.len();
                    return Ok(());
                }
                if self.options.link_header {
                    self.vlan_tag(payload.u16(0)?);
                    self.text(", ");
                }
                kind = payload.u16(2)?;
                if kind <= 1500 {
                    kind = 4;
                }
                if !self.options.quiet {
                    let name = name(crate::ethertype::NAMES, kind).unwrap_or("Unknown");
                    put!(self, "ethertype {name}, ");
                }
                at += 4;
                rest = rest.saturating_sub(4);
                self.link_header = at;
                continue;
            }
            if !self.ethertype(kind, payload, rest, Ends::default())? {
                self.unknown_cooked2(p, rest + 20, payload)?;
            }
            return Ok(());
        }
    }

    fn unknown_cooked2(&mut self, p: &[u8], length: usize, payload: &[u8]) -> Res {
        if !self.options.link_header {
            self.cooked2_header(p, length)?;
        }
        self.default_print(payload);
        Ok(())
    }

    fn cooked2_header(&mut self, p: &[u8], length: usize) -> Res {
        put!(self, "ifindex {} ", p.u32(4)?);
        if p.u8(11)? == 6 {
            self.mac(p, 12)?;
            self.out.push(b' ');
        }
        if !self.options.quiet {
            self.cooked_type(p.u16(0)?);
            put!(self, ", length {length}: ");
        }
        Ok(())
    }
}
