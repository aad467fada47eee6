//! OSPF (RFC 2328, RFC 5340): packets, and the headers of link state advertisements.

use crate::fetch::{Fetch, Names, Res, name, names};
use crate::{Printer, put};

const KINDS: Names =
    names![(1, "Hello"), (2, "Database Description"), (3, "LS-Request"), (4, "LS-Update"), (5, "LS-Ack")];

const OPTIONS: Names = names![
    (0x01, "MultiTopology"),
    (0x02, "External"),
    (0x04, "Multicast"),
    (0x08, "NSSA"),
    (0x10, "LLS"),
    (0x20, "Demand Circuit"),
    (0x40, "Opaque"),
    (0x80, "Up/Down"),
];

const OPTIONS3: Names = names![
    (0x0001, "V6"),
    (0x0002, "External"),
    (0x0004, "Deprecated"),
    (0x0008, "NSSA"),
    (0x0010, "Router"),
    (0x0020, "Demand Circuit"),
    (0x0100, "AF-capable"),
    (0x0200, "L-bit"),
];

const ADVERTISEMENTS: Names = names![
    (1, "Router"),
    (2, "Network"),
    (3, "Summary"),
    (4, "ASBR Summary"),
    (5, "External"),
    (6, "Multicast"),
    (7, "NSSA"),
    (9, "Link Local Opaque"),
    (10, "Area Local Opaque"),
    (11, "Domain Local Opaque"),
];

impl Printer {
    /// Version 2.
    pub(crate) fn ospf(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "ospf2";
        // The digest that follows a packet is not part of it (RFC 2328 appendix D.4.3).
        let digest = if p.u16(14)? == 2 { 16 } else { 0 };
        let (p, length) = (p.head(p.len().saturating_sub(digest)), length.saturating_sub(digest));
        let (version, kind) = (p.u8(0)?, p.u8(1)?);
        put!(self, "OSPFv{version}, ");
        match name(KINDS, kind) {
            Some(text) => self.text(text),
            None => put!(self, "unknown LS-type {kind}"),
        }
        put!(self, ", length {length}");
        if name(KINDS, kind).is_none() {
            return Ok(());
        }
        if self.v() == 0 {
            return Ok(());
        }
        if version != 2 {
            put!(self, " [version {version}]");
            return Ok(());
        }
        let claimed = usize::from(p.u16(2)?);
        if claimed != length {
            put!(self, " [len {claimed}]");
        }
        let p = p.head(length.min(claimed));
        self.ip4_after("\n\tRouter-ID ", p, 4)?;
        self.ospf_area(p)?;
        p.part(16, 8)?;
        let authentication = p.u16(14)?;
        const AUTHENTICATIONS: Names = names![(0, "none"), (1, "simple"), (2, "MD5")];
        let text = name(AUTHENTICATIONS, authentication).unwrap_or("unknown type");
        put!(self, ", Authentication Type: {text} ({authentication})");
        match authentication {
            1 => {
                self.text("\n\tSimple text password: ");
                self.string(p.part(16, 8)?);
            }
            2 => put!(
                self,
                "\n\tKey-ID: {}, Auth-Length: {}, Crypto Sequence Number: 0x{:08x}",
                p.u8(18)?,
                p.u8(19)?,
                p.u32(20)?
            ),
            _ => {}
        }
        let body = p.tail(24);
        match kind {
            1 => {
                let options = body.u8(6)?;
                self.text("\n\tOptions [");
                self.bits(OPTIONS, u32::from(options), ", ");
                self.text("]");
                put!(self, "\n\t  Hello Timer {}s, Dead Timer {}s, Mask ", body.u16(4)?, body.u32(8)?);
                self.ip4(body, 0)?;
                put!(self, ", Priority {}", body.u8(7)?);
                self.ospf_neighbours(body, 12)?;
            }
            2 => {
                self.text("\n\tOptions [");
                self.bits(OPTIONS, u32::from(body.u8(2)?), ", ");
                self.text("], DD Flags [");
                self.bits(names![(4, "Init"), (2, "More"), (1, "Master")], u32::from(body.u8(3)?), ", ");
                put!(self, "], MTU: {}, Sequence: 0x{:08x}", body.u16(0)?, body.u32(4)?);
                let mut at = 8;
                while body.len() >= at + 20 {
                    self.ospf_advertisement(body.tail(at))?;
                    at += 20;
                }
            }
            3 => {
                for entry in body.chunks_exact(12) {
                    let kind = entry.u32(0)?;
                    self.ip4_after("\n\t  Advertising Router: ", entry, 8)?;
                    put!(self, ", {} LSA ({kind})", name(ADVERTISEMENTS, kind).unwrap_or("unknown"));
                    self.ip4_after(", LSA-ID: ", entry, 4)?;
                }
            }
            4 => {
                let count = body.u32(0)?;
                put!(self, ", {count} LSA{}", if count == 1 { "" } else { "s" });
                let mut at = 4;
                for _ in 0..count {
                    let header = body.part(at, 20)?;
                    let size = usize::from(header.u16(18)?);
                    if size < 20 {
                        put!(self, "\n\t    Bogus LSA length {size} < header ({})", 20);
                        return Ok(());
                    }
                    self.ospf_advertisement(header)?;
                    self.hex_lines("\n\t    ", body.tail(at + 20).head(size - 20));
                    at += size;
                }
            }
            _ => {
                for header in body.chunks_exact(20) {
                    self.ospf_advertisement(header)?;
                }
            }
        }
        Ok(())
    }

    fn ospf_area(&mut self, p: &[u8]) -> Res {
        if p.u32(8)? == 0 {
            self.text(", Backbone Area");
        } else {
            self.ip4_after(", Area ", p, 8)?;
        }
        Ok(())
    }

    fn ospf_neighbours(&mut self, body: &[u8], at: usize) -> Res {
        for (offset, title) in [(at, "Designated Router"), (at + 4, "Backup Designated Router")] {
            if body.u32(offset)? != 0 {
                self.text(if offset == at { "\n\t  " } else { ", " });
                put!(self, "{title} ");
                self.ip4(body, offset)?;
            }
        }
        for (index, neighbour) in body.tail(at + 8).chunks_exact(4).enumerate() {
            self.text(if index == 0 { "\n\t  Neighbor List:" } else { "" });
            self.ip4_after("\n\t    ", neighbour, 0)?;
        }
        Ok(())
    }

    /// The header that all advertisements share.
    fn ospf_advertisement(&mut self, p: &[u8]) -> Res {
        p.part(0, 20)?;
        self.ip4_after("\n\t  Advertising Router ", p, 8)?;
        put!(
            self,
            ", seq 0x{:08x}, age {}s, length {}",
            p.u32(12)?,
            p.u16(0)?,
            usize::from(p.u16(18)?).saturating_sub(20)
        );
        let kind = p.u8(3)?;
        put!(self, "\n\t    {} LSA ({kind}), LSA-ID: ", name(ADVERTISEMENTS, kind).unwrap_or("unknown"));
        self.ip4(p, 4)?;
        self.text("\n\t    Options: [");
        self.bits(OPTIONS, u32::from(p.u8(2)?), ", ");
        self.text("]");
        Ok(())
    }

    /// Version 3.
    pub(crate) fn ospf3(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "ospf3";
        let (version, kind) = (p.u8(0)?, p.u8(1)?);
        match name(KINDS, kind) {
            Some(text) => put!(self, "OSPFv{version}, {text}, length {length}"),
            None => {
                put!(self, "OSPFv{version}, unknown packet type ({kind}), length {length}");
                return Ok(());
            }
        }
        if self.v() == 0 {
            return Ok(());
        }
        let claimed = usize::from(p.u16(2)?);
        if claimed != length {
            put!(self, " [len {claimed}]");
            return Ok(());
        }
        let p = p.head(length);
        self.ip4_after("\n\tRouter-ID ", p, 4)?;
        self.ospf_area(p)?;
        if p.u8(14)? != 0 {
            put!(self, ", Instance {}", p.u8(14)?);
        }
        let body = p.tail(16);
        match kind {
            1 => {
                let options = body.u24(5)?;
                self.text("\n\tOptions [");
                self.bits(OPTIONS3, options, ", ");
                self.text("]");
                put!(self, "\n\t  Hello Timer {}s, Dead Timer {}s, Interface-ID ", body.u16(8)?, body.u16(10)?);
                self.ip4(body, 0)?;
                put!(self, ", Priority {}", body.u8(4)?);
                if self.v() > 1 && body.len() <= 20 {
                    self.text("\n\t  Neighbor List:");
                }
                self.ospf_neighbours(body, 12)?;
            }
            2 => {
                self.text("\n\tOptions [");
                self.bits(OPTIONS3, body.u24(1)?, ", ");
                self.text("], DD Flags [");
                self.bits(names![(4, "Init"), (2, "More"), (1, "Master")], u32::from(body.u8(7)?), ", ");
                put!(self, "], MTU {}, DD-Sequence 0x{:08x}", body.u16(4)?, body.u32(8)?);
            }
            _ => {}
        }
        Ok(())
    }
}
