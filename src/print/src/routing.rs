//! Routers among themselves: RIP (RFC 2453), RIPng (RFC 2080), VRRP (RFC 5798), CARP.

use crate::fetch::{Fetch, Names, Res, Short, checksum, name, names};
use crate::proto::Outer;
use crate::{Printer, put};

const COMMANDS: Names = names![
    (1, "Request"),
    (2, "Response"),
    (3, "Trace on"),
    (4, "Trace off"),
    (5, "SUN"),
    (6, "Triggered Request"),
    (7, "Triggered Response"),
    (8, "Triggered Acknowledgement"),
    (9, "Update Request"),
    (10, "Update Response"),
    (11, "Update Acknowledgement"),
];

/// Bytes of a route.
const ROUTE: usize = 20;

impl Printer {
    /// Versions 1 and 2.
    pub(crate) fn rip(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "rip";
        let data = p.head(length);
        if data.len() < 4 {
            self.truncated();
            return Ok(());
        }
        let (command, version) = (data.u8(0)?, data.u8(1)?);
        put!(self, "{}RIPv{version}, ", if self.v() > 0 { "\n\t" } else { "" });
        match name(COMMANDS, command) {
            Some(text) => self.text(text),
            None => put!(self, "unknown command ({command})"),
        }
        put!(self, ", length: {length}");
        if self.v() == 0 {
            return Ok(());
        }
        match (command, version) {
            (1 | 2, 1 | 2) => {
                let count = length / ROUTE;
                put!(self, ", routes: {count}{}", if version == 2 { " or less" } else { "" });
                let mut rest = data.tail(4);
                while !rest.is_empty() {
                    let used = if version == 1 { self.rip1_route(rest)? } else { self.rip2_route(rest)? };
                    if used == 0 {
                        self.truncated();
                        break;
                    }
                    if rest.len() < used {
                        put!(self, " [remaining entries length {} < {used}]", rest.len());
                        self.invalid();
                        break;
                    }
                    rest = rest.tail(used);
                }
            }
            (1 | 2, _) => self.text(", unknown version"),
            (3 | 4 | 6..=11, _) => {}
            _ => {
                if self.v() <= 1 {
                    self.unknown_data("\n\t", p, length);
                }
            }
        }
        if self.v() > 1 {
            self.unknown_data("\n\t", p, length);
        }
        Ok(())
    }

    fn rip1_route(&mut self, p: &[u8]) -> Res<usize> {
        let Ok(route) = p.part(0, ROUTE) else { return Ok(0) };
        let family = route.u16(0)?;
        if !matches!(family, 0 | 2) {
            put!(self, "\n\t AFI Unknown ({family}), ");
            self.hex_lines("\n\t  ", route.tail(4));
        } else if route.u16(2)? != 0 || route.u64(8)? != 0 {
            self.hex_lines("\n\t  ", route);
        } else {
            self.text(if family == 0 { "\n\t  AFI 0, " } else { "\n\t  " });
            self.ip4(route, 4)?;
            put!(self, ", metric: {}", route.u32(16)?);
        }
        Ok(ROUTE)
    }

    fn rip2_route(&mut self, p: &[u8]) -> Res<usize> {
        let (Ok(family), Ok(tag)) = (p.u16(0), p.u16(2)) else { return Ok(0) };
        if family == 0xffff {
            let rest = p.tail(4);
            match tag {
                2 => {
                    self.text("\n\t  Simple Text Authentication data: ");
                    let text = rest.head(16);
                    let ended = self.string(text);
                    if text.len() < 16 && !ended {
                        return Err(Short);
                    }
                }
                3 => {
                    if rest.len() < 16 {
                        return Ok(0);
                    }
                    put!(self, "\n\t  Auth header: Packet Len {}, Key-ID {}, ", rest.u16(0)?, rest.u8(2)?);
                    put!(self, "Auth Data Len {}, SeqNo {}, ", rest.u8(3)?, rest.u32(4)?);
                    put!(self, "MBZ {}, MBZ {}", rest.u32(8)?, rest.u32(12)?);
                }
                _ => {
                    if tag == 1 {
                        self.text("\n\t  Auth trailer:");
                    } else {
                        put!(self, "\n\t  Unknown ({tag}) Authentication data:");
                    }
                    self.hex_lines("\n\t  ", rest);
                    return Ok(p.len());
                }
            }
            return Ok(ROUTE);
        }
        if !matches!(family, 0 | 2) {
            put!(self, "\n\t  AFI Unknown ({family})");
            self.hex_lines("\n\t  ", p.tail(4).head(16));
            return Ok(ROUTE);
        }
        let Ok(route) = p.part(0, ROUTE) else { return Ok(0) };
        self.text("\n\t  AFI ");
        self.text(if family == 2 { "IPv4" } else { "0" });
        let before = self.out.len() + 2;
        self.ip4_after(", ", route, 4)?;
        let width = self.out.len() - before;
        for _ in width..15 {
            self.out.insert(before, b' ');
        }
        let mask = route.u32(8)?;
        let prefix = if mask.leading_ones() + mask.trailing_zeros() >= 32 { mask.leading_ones() as i32 } else { -1 };
        put!(self, "/{prefix:<2}, tag 0x{tag:04x}, metric: {}, next-hop: ", route.u32(16)?);
        if route.u32(12)? == 0 {
            self.text("self");
        } else {
            self.ip4(route, 12)?;
        }
        Ok(ROUTE)
    }

    /// The same for IPv6.
    pub(crate) fn ripng(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "ripng";
        let data = p.head(length);
        if data.len() < 4 {
            self.truncated();
            return Ok(());
        }
        let (command, version) = (data.u8(0)?, data.u8(1)?);
        let routes = (data.len() - 4) / ROUTE;
        let one = |route: &[u8]| route.u8(19) == Ok(16) && route.head(16).iter().all(|byte| *byte == 0);
        match command {
            1 if routes == 1 && one(data.tail(4)) => self.text(" ripng-req dump"),
            1 | 2 => {
                let kind = if command == 1 { "req" } else { "resp" };
                if routes > 1 {
                    put!(self, " ripng-{kind} {routes}[{length}]:");
                    self.out.truncate(self.out.len() - format!("[{length}]:").len());
                    put!(self, "[{length}]:");
                } else {
                    put!(self, " ripng-{kind} {routes}:");
                }
                let mut metric = 0;
                for index in 0..routes {
                    let route = data.part(4 + index * ROUTE, ROUTE)?;
                    let next = route.u8(19)?;
                    if self.v() > 1 {
                        self.text("\n\t");
                    } else {
                        self.text(" ");
                    }
                    if next == 0xff && command == 2 {
                        self.ip6_after("nexthop=", route, 0)?;
                        continue;
                    }
                    self.ip6(route, 0)?;
                    put!(self, "/{}", route.u8(18)?);
                    if route.u16(16)? != 0 {
                        put!(self, " [{}]", route.u16(16)?);
                    }
                    put!(self, " ({next})");
                    metric = next;
                }
                let _ = metric;
                if 4 + routes * ROUTE != data.len() {
                    self.truncated();
                }
            }
            _ => put!(self, " ripng-{command} ?? {length}"),
        }
        if version != 1 {
            put!(self, " [vers {version}]");
        }
        Ok(())
    }

    /// Virtual routers, versions 2 and 3.
    pub(crate) fn vrrp(&mut self, p: &[u8], length: usize, outer: &Outer<'_>) -> Res {
        self.proto = "vrrp";
        self.text("VRRP");
        let first = p.u8(0)?;
        let (version, kind) = (first >> 4, first & 15);
        put!(self, "v{version}, ");
        match kind {
            1 => self.text("Advertisement"),
            _ => put!(self, "unknown type ({kind})"),
        }
        if outer.ttl != 255 {
            put!(self, ", (ttl {})", outer.ttl);
        }
        if !matches!(version, 2 | 3) || kind != 1 {
            return Ok(());
        }
        put!(self, ", vrid {}, prio {}", p.u8(1)?, p.u8(2)?);
        let authentication = p.u8(4)?;
        if version == 2 {
            const KINDS: Names = names![(0, "none"), (1, "simple"), (2, "ah")];
            match name(KINDS, authentication) {
                Some(text) => put!(self, ", authtype {text}"),
                None => put!(self, ", authtype #{authentication}"),
            }
            put!(self, ", intvl {}s", p.u8(5)?);
        } else {
            put!(self, ", intvl {}cs", p.u16(4)? & 0xfff);
        }
        put!(self, ", length {length}");
        if self.v() == 0 {
            return Ok(());
        }
        if p.holds(length) {
            let data = p.head(length);
            let sum = if version == 2 { checksum(&[data]) } else { outer.checksum(data, 112) };
            if sum != 0 {
                put!(self, ", (bad vrrp cksum {:x})", p.u16(6)?);
            }
        }
        let count = usize::from(p.u8(3)?);
        self.text(", addrs");
        if count > 1 {
            put!(self, "({count})");
        }
        self.text(":");
        let size = if outer.version == 4 { 4 } else { 16 };
        for index in 0..count {
            let at = 8 + index * size;
            p.part(at, size)?;
            self.text(if index == 0 { " " } else { "," });
            if size == 4 { self.ip4(p, at)? } else { self.ip6(p, at)? }
        }
        if version == 2 && authentication == 1 {
            self.text(" auth \"");
            let text = p.part(8 + count * size, 8)?;
            self.string(text);
            self.text("\"");
        }
        Ok(())
    }

    /// OpenBSD's relative of VRRP, which shares its protocol number.
    pub(crate) fn carp(&mut self, p: &[u8], length: usize, ttl: u8) -> Res {
        self.proto = "carp";
        self.text("CARP");
        let first = p.u8(0)?;
        let (version, kind) = (first >> 4, first & 15);
        put!(self, "v{version}-");
        match kind {
            1 => self.text("advertise"),
            _ => put!(self, "unknown type ({kind})"),
        }
        put!(self, " {length}: ");
        if ttl != 255 {
            put!(self, "[ttl={ttl}!] ");
        }
        if version != 2 || kind != 1 {
            return Ok(());
        }
        put!(self, "vhid={} advbase={} ", p.u8(1)?, p.u8(5)?);
        put!(self, "advskew={} authlen={} ", p.u8(2)?, p.u8(3)?);
        if self.v() > 0 {
            if p.holds(length) && checksum(&[p.head(length)]) != 0 {
                put!(self, " (bad carp cksum {:x}!)", p.u16(6)?);
            }
            put!(self, "counter={}", p.u64(8)?);
        }
        Ok(())
    }
}
