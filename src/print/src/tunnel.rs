//! Packets in packets: VXLAN (RFC 7348), VXLAN-GPE, Geneve (RFC 8926), GRE (RFC 2784, RFC 2637), NSH (RFC 8300), L2TP (RFC 2661).

use crate::fetch::{Fetch, Names, Res, name, names};
use crate::frame::Ends;
use crate::{Printer, ethertype, put};

impl Printer {
    /// A title for lengths that contradict each other.
    pub(crate) fn too_short(&mut self, what: &str, length: usize, least: usize) {
        put!(self, " [{what} {length} < {least}]");
        self.invalid();
    }

    pub(crate) fn vxlan(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "vxlan";
        self.text("VXLAN");
        if length < 8 {
            self.invalid();
            return Ok(());
        }
        let flags = p.u8(0)?;
        let letter = if flags & 8 != 0 { "I" } else { "invalid" };
        put!(self, ", flags [{letter}] (0x{flags:02x}), ");
        put!(self, "vni {}\n", p.u24(4)?);
        p.part(0, 8)?;
        self.ethernet(p.tail(8), length - 8)?;
        Ok(())
    }

    /// Port 8472: OTV by its registration, VXLAN by what Linux sends.
    pub(crate) fn overlay(&mut self, p: &[u8], length: usize) -> Res {
        if matches!(p.u32(0), Ok(0x0800_0000)) && p.u8(7) == Ok(0) {
            return self.vxlan(p, length);
        }
        self.proto = "otv";
        self.text("OTV, ");
        if length < 8 {
            put!(self, "[length {length} < 8]");
            self.invalid();
            return Ok(());
        }
        let flags = p.u8(0)?;
        let letter = if flags & 8 != 0 { "I" } else { "." };
        put!(self, "flags [{letter}] (0x{flags:02x}), ");
        put!(self, "overlay {}, ", p.u24(1)?);
        put!(self, "instance {}\n", p.u24(4)?);
        p.part(0, 8)?;
        self.ethernet(p.tail(8), length - 8)?;
        Ok(())
    }

    pub(crate) fn vxlan_gpe(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "vxlan_gpe";
        self.text("VXLAN-GPE, ");
        if length < 8 {
            put!(self, " (len {length} < 8)");
            self.invalid();
            return Ok(());
        }
        let flags = p.u8(0)?;
        self.text("flags [");
        self.letters(names![(8, "I"), (4, "P"), (2, "B"), (1, "O")], u32::from(flags));
        self.text("], ");
        p.part(0, 8)?;
        put!(self, "vni {}", p.u24(4)?);
        let next = p.u8(3)?;
        self.text(if self.v() > 0 { "\n    " } else { ": " });
        let (data, rest) = (p.tail(8), length - 8);
        match next {
            1 => self.ipv4(data, rest),
            2 => self.ipv6(data, rest),
            3 => self.ethernet(data, rest).map(|_| ()),
            4 => self.nsh(data, rest),
            _ => {
                self.text("ERROR: unknown-next-protocol");
                self.invalid();
                Ok(())
            }
        }
    }

    /// Letters of set bits one after the other.
    pub(crate) fn letters(&mut self, table: Names, value: u32) {
        self.bits(table, value, "");
    }

    pub(crate) fn geneve(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "geneve";
        self.text("Geneve");
        if length < 8 {
            self.too_short("len", length, 8);
            return Ok(());
        }
        if !p.holds(8) {
            self.truncated();
            return Ok(());
        }
        let first = p.u8(0)?;
        if first >> 6 != 0 {
            put!(self, " ERROR: unknown-version {}", first >> 6);
            return Ok(());
        }
        let (flags, kind, network, reserved) = (p.u8(1)?, p.u16(2)?, p.u24(4)?, p.u8(7)?);
        self.text(", Flags [");
        let table: Names =
            names![(0x80, "O"), (0x40, "C"), (0x20, "R1"), (0x10, "R2"), (8, "R3"), (4, "R4"), (2, "R5"), (1, "R6")];
        self.letters(table, u32::from(flags));
        put!(self, "], vni 0x{network:x}");
        if reserved != 0 {
            put!(self, ", rsvd 0x{reserved:x}");
        }
        if self.options.link_header {
            let text = name(ethertype::NAMES, kind).unwrap_or("unknown");
            put!(self, ", proto {text} (0x{kind:04x})");
        }
        let size = usize::from(first & 0x3f) * 4;
        let rest = length - 8;
        if rest < size {
            put!(self, " truncated-geneve - {} bytes missing", size - rest);
            return Ok(());
        }
        if size > 0 {
            if !p.holds(8 + size) {
                self.truncated();
                return Ok(());
            }
            self.text(", options [");
            if self.v() > 0 {
                self.geneve_options(p.tail(8), size)?;
            } else {
                put!(self, "{size} bytes");
            }
            self.text("]");
        }
        let (data, rest) = (p.tail(8 + size), rest - size);
        self.text(if self.v() > 0 { "\n\t" } else { ": " });
        if !self.ethertype(kind, data, rest, Ends::default())? {
            put!(self, "geneve-proto-0x{kind:x}");
        }
        Ok(())
    }

    fn geneve_options(&mut self, p: &[u8], size: usize) -> Res {
        let mut at = 0;
        while at < size {
            let left = size - at;
            if left < 4 {
                put!(self, " [remaining options length {left} < 4]");
                return Ok(());
            }
            if at > 0 {
                self.text(", ");
            }
            let (class, kind) = (p.u16(at)?, p.u8(at + 2)?);
            let count = 4 + usize::from(p.u8(at + 3)? & 31) * 4;
            let text = match class {
                0..=0xff => "Standard",
                0x100 => "Linux",
                0x101 => "Open vSwitch",
                0x102 => "Open Virtual Networking (OVN)",
                0x103 => "In-band Network Telemetry (INT)",
                0x104 => "VMware",
                0x105 | 0x108..=0x110 => "Amazon",
                0x106 | 0x130 | 0x131 => "Cisco",
                0x107 => "Oracle",
                0x111..=0x118 => "IBM",
                0x119..=0x128 => "Ericsson",
                0x129 => "Oxide",
                0x132..=0x135 => "Google",
                0x136 => "InfoQuick",
                0xfff0.. => "Experimental",
                _ => "Unknown",
            };
            let critical = if kind & 0x80 != 0 { "(C)" } else { "" };
            put!(self, "class {text} (0x{class:x}) type 0x{kind:x}{critical} len {count}");
            if count > left {
                self.text(" [bad length]");
                return Ok(());
            }
            if self.v() > 1 && count > 4 {
                self.text(" data");
                for word in (4..count).step_by(4) {
                    put!(self, " {:08x}", p.u32(at + word)?);
                }
            } else {
                p.part(at, count)?;
            }
            at += count;
        }
        Ok(())
    }

    /// A header and what it carries; a header that is cut off is marked by itself.
    pub(crate) fn gre(&mut self, p: &[u8], length: usize) -> Res {
        let (version, kind, at) = match self.gre_header(p, length) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(()),
            Err(short) => return self.contained(Err(short)),
        };
        let (data, rest) = (p.tail(at), length - at);
        match (version, kind) {
            (0, 0) => self.text("keep-alive"),
            (0, 0x883e) => {
                self.text("wccp ");
                if data.u8(0)? >> 4 == 4 {
                    return self.ipv4(data, rest);
                }
                let flags = data.u8(0)?;
                put!(self, "T:{} A:{} U:{}", flags >> 7, flags >> 6 & 1, flags >> 5 & 1);
                put!(self, " SId:{} Alt:{} Pri:{}: ", data.u8(1)?, data.u8(2)?, data.u8(3)?);
                return self.ipv4(data.tail(4), rest.saturating_sub(4));
            }
            (0, 0x0800) => return self.ipv4(data, rest),
            (0, 0x86dd) => return self.ipv6(data, rest),
            (0, 0x8847 | 0x8848) => return self.mpls(data, rest),
            (0, 0x6558) => return self.ethernet(data, rest).map(|_| ()),
            (0, 0x894f) => return self.nsh(data, rest),
            (1, 0x880b) => {
                self.ppp(data, rest)?;
            }
            _ => put!(self, "gre-proto-0x{kind:x}"),
        }
        Ok(())
    }

    /// Version, protocol, and where the payload begins; nothing when there is none to print.
    fn gre_header(&mut self, p: &[u8], length: usize) -> Res<Option<(u16, u16, usize)>> {
        self.proto = "gre";
        if length >= 2 {
            p.part(0, 2)?;
        }
        self.text("GRE");
        if length < 2 {
            self.too_short("length", length, 2);
            return Ok(None);
        }
        let flags = p.u16(0)?;
        let version = flags & 7;
        put!(self, "v{version}");
        if version > 1 {
            self.text(" ERROR: unknown-version");
            return Ok(None);
        }
        if self.v() > 0 {
            self.text(", Flags [");
            let table: Names = names![
                (0x8000, "checksum present"),
                (0x4000, "routing present"),
                (0x2000, "key present"),
                (0x1000, "sequence# present"),
                (0x0800, "source routing present"),
                (0x0080, "ack present"),
            ];
            self.bits(table, u32::from(flags), ", ");
            self.text("]");
        }
        let mut at = 4;
        if !self.gre_room(p, length, 2, 2)? {
            return Ok(None);
        }
        let kind = p.u16(2)?;
        if version == 0 {
            if flags & 0xc000 != 0 {
                if !self.gre_room(p, length, at, 2)? {
                    return Ok(None);
                }
                let sum = p.u16(at)?;
                if self.v() > 0 {
                    put!(self, ", sum 0x{sum:x}");
                }
                if !self.gre_room(p, length, at + 2, 2)? {
                    return Ok(None);
                }
                put!(self, ", off 0x{:x}", p.u16(at + 2)?);
                at += 4;
            }
            if flags & 0x2000 != 0 {
                if !self.gre_room(p, length, at, 4)? {
                    return Ok(None);
                }
                put!(self, ", key=0x{:x}", p.u32(at)?);
                at += 4;
            }
            if flags & 0x1000 != 0 {
                if !self.gre_room(p, length, at, 4)? {
                    return Ok(None);
                }
                put!(self, ", seq {}", p.u32(at)?);
                at += 4;
            }
            if flags & 0x4000 != 0 {
                match self.gre_routes(p, at, length)? {
                    Some(next) => at = next,
                    None => {
                        self.truncated();
                        return Ok(None);
                    }
                }
            }
        } else {
            for (bit, title) in [(0x2000, "call"), (0x1000, "seq"), (0x80, "ack")] {
                if flags & bit != 0 {
                    if !self.gre_room(p, length, at, 4)? {
                        return Ok(None);
                    }
                    let number = p.u32(at)?;
                    put!(self, ", {title} {}", if bit == 0x2000 { number & 0xffff } else { number });
                    at += 4;
                }
            }
            if flags & 0x1000 == 0 {
                self.text(", no-payload");
            }
        }
        if self.options.link_header {
            let text = name(ethertype::NAMES, kind).unwrap_or("unknown");
            put!(self, ", proto {text} (0x{kind:04x})");
        }
        put!(self, ", length {length}");
        if version == 1 && flags & 0x1000 == 0 {
            return Ok(None);
        }
        self.text(if self.v() > 0 { "\n\t" } else { ": " });
        Ok(Some((version, kind, at)))
    }

    fn gre_room(&mut self, p: &[u8], length: usize, at: usize, want: usize) -> Res<bool> {
        p.part(at, want)?;
        let left = length.saturating_sub(at);
        if left < want {
            self.too_short("len", left, want);
        }
        Ok(left >= want)
    }

    /// Source routes (RFC 1701); where they end.
    fn gre_routes(&mut self, p: &[u8], start: usize, length: usize) -> Res<Option<usize>> {
        let mut at = start;
        loop {
            if length.saturating_sub(at) < 4 {
                return Ok(None);
            }
            let (family, offset, size) = (p.u16(at)?, usize::from(p.u8(at + 2)?), usize::from(p.u8(at + 3)?));
            at += 4;
            if family == 0 && size == 0 {
                return Ok(Some(at));
            }
            let unit = match family {
                0x0800 => 4,
                0xfffe => 2,
                _ => 0,
            };
            match family {
                0x0800 => self.text(", (rtaf=ip"),
                0xfffe => self.text(", (rtaf=asn"),
                _ => put!(self, ", (rtaf=0x{family:x}"),
            }
            if unit > 0 {
                if offset % unit != 0 {
                    put!(self, ", badoffset={offset})");
                    return Ok(None);
                }
                if size % unit != 0 {
                    put!(self, ", badlength={size})");
                    return Ok(None);
                }
                if offset >= size {
                    put!(self, ", badoff/len={offset}/{size})");
                    return Ok(None);
                }
                for entry in (0..size).step_by(unit) {
                    self.text(if entry == offset { " *" } else { " " });
                    if unit == 4 {
                        let address = p.bytes(at + entry)?;
                        self.dotted(address);
                    } else {
                        put!(self, "{:x}", p.u16(at + entry)?);
                    }
                }
            }
            self.text(")");
            if length.saturating_sub(at) < size {
                return Ok(None);
            }
            at += size;
        }
    }

    pub(crate) fn nsh(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "nsh";
        if length < 8 {
            self.text("NSH");
            self.too_short("len", length, 8);
            return Ok(());
        }
        let first = p.u16(0)?;
        let version = first >> 14;
        let words = usize::from(first & 0x3f);
        let (kind, next, path, index) = (p.u8(2)?, p.u8(3)?, p.u24(4)?, p.u8(7)?);
        self.text("NSH, ");
        if self.v() > 1 {
            put!(self, "ver {version}, ");
        }
        if self.v() > 0 {
            put!(self, "flags [{}], ", if first & 0x2000 != 0 { "O" } else { "none" });
        }
        if self.v() > 2 {
            put!(self, "TTL {}, ", first >> 6 & 0x3f);
            put!(self, "length {words}, ");
        }
        if self.v() > 0 {
            put!(self, "MD type 0x{:x}", kind & 15);
            self.text(", ");
        }
        const NEXT: Names = names![(1, "IPv4"), (2, "IPv6"), (3, "Ethernet"), (4, "NSH"), (5, "MPLS")];
        if self.v() > 1 {
            put!(self, "next-protocol {}, ", name(NEXT, next).unwrap_or("unknown"));
        }
        put!(self, "service-path-id 0x{path:06x}, service-index 0x{index:x}");
        if version != 0 || words < 2 || length < words * 4 {
            self.invalid();
            return Ok(());
        }
        if self.v() > 2 && kind & 15 == 1 && words == 6 {
            for word in 2..6 {
                put!(self, "\n        context-data [0x{:08x}]", p.u32(word * 4)?);
                let _ = word;
            }
        }
        p.part(0, words * 4)?;
        self.text(if self.v() > 0 { "\n    " } else { ": " });
        let (data, rest) = (p.tail(words * 4), length - words * 4);
        match next {
            1 => self.ipv4(data, rest),
            2 => self.ipv6(data, rest),
            3 => self.ethernet(data, rest).map(|_| ()),
            4 => {
                if !self.enter() {
                    return Ok(());
                }
                self.nsh(data, rest)?;
                self.leave();
                Ok(())
            }
            5 => self.mpls(data, rest),
            _ => {
                put!(self, "unknown-next-protocol-0x{next:02x}");
                Ok(())
            }
        }
    }

    pub(crate) fn l2tp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "l2tp";
        if length < 6 {
            self.text(" l2tp:");
            self.truncated();
            return Ok(());
        }
        let first = p.u16(0)?;
        let version = first & 15;
        if version == 1 {
            self.text(" l2f:");
            self.out.truncate(self.out.len() - 5);
            self.text("L2F:(unsupported)");
            return Ok(());
        }
        if version != 2 {
            self.text(" l2tp:");
            put!(self, "[{version}!=2]");
            return Ok(());
        }
        self.text(" l2tp:[");
        for (bit, letter) in [(0x8000, "T"), (0x4000, "L"), (0x0800, "S"), (0x0200, "O"), (0x0100, "P")] {
            if first & bit != 0 {
                self.text(letter);
            }
        }
        self.text("]");
        let mut at = 2;
        let mut claimed = 0;
        if first & 0x4000 != 0 {
            claimed = usize::from(p.u16(at)?);
            at += 2;
        }
        put!(self, "({}/", p.u16(at)?);
        put!(self, "{})", p.u16(at + 2)?);
        at += 4;
        if first & 0x0800 != 0 {
            put!(self, "Ns={},", p.u16(at)?);
            put!(self, "Nr={}", p.u16(at + 2)?);
            at += 4;
        }
        if first & 0x0200 != 0 {
            let pad = usize::from(p.u16(at)?);
            at += 2 + pad;
        }
        if first & 0x4000 != 0 {
            if length < claimed {
                put!(self, " Length {claimed} larger than packet");
                self.truncated();
                return Ok(());
            }
            if claimed < at {
                put!(self, " Length {claimed} smaller than header length");
                self.truncated();
                return Ok(());
            }
        } else if length < at {
            self.text(" No length, smaller than header length");
            self.truncated();
            return Ok(());
        }
        if first & 0x8000 != 0 {
            if claimed == 0 && first & 0x4000 == 0 {
                self.text(" No length");
                return Ok(());
            }
            if claimed == at {
                self.text(" ZLB");
                return Ok(());
            }
            let result = self.l2tp_attributes(p, at, claimed);
            return self.contained(result);
        }
        self.text(" {");
        self.ppp(p.tail(at), length - at)?;
        self.text("}");
        Ok(())
    }

    /// Attribute-value pairs: number, and the value as bytes.
    fn l2tp_attributes(&mut self, p: &[u8], start: usize, end: usize) -> Res {
        const KINDS: Names = names![
            (1, "SCCRQ"),
            (2, "SCCRP"),
            (3, "SCCCN"),
            (4, "StopCCN"),
            (6, "HELLO"),
            (7, "OCRQ"),
            (8, "OCRP"),
            (9, "OCCN"),
            (10, "ICRQ"),
            (11, "ICRP"),
            (12, "ICCN"),
            (14, "CDN"),
            (15, "WEN"),
            (16, "SLI"),
        ];
        const NAMES: Names = names![
            (0, "MSGTYPE"),
            (1, "RESULT_CODE"),
            (2, "PROTO_VER"),
            (3, "FRAMING_CAP"),
            (4, "BEARER_CAP"),
            (5, "TIE_BREAKER"),
            (6, "FIRM_VER"),
            (7, "HOST_NAME"),
            (8, "VENDOR_NAME"),
            (9, "ASSND_TUN_ID"),
            (10, "RECV_WIN_SIZE"),
            (11, "CHALLENGE"),
            (12, "Q931_CAUSE"),
            (13, "CHALLENGE_RESP"),
            (14, "ASSND_SESS_ID"),
            (15, "CALL_SER_NUM"),
            (16, "MINIMUM_BPS"),
            (17, "MAXIMUM_BPS"),
            (18, "BEARER_TYPE"),
            (19, "FRAMING_TYPE"),
            (21, "CALLED_NUMBER"),
            (22, "CALLING_NUMBER"),
            (23, "SUB_ADDRESS"),
            (24, "TX_CONN_SPEED"),
            (25, "PHY_CHANNEL_ID"),
            (38, "RX_CONN_SPEED"),
            (39, "SEQ_REQUIRED"),
        ];
        let mut at = start;
        while at < end {
            self.text(" ");
            let word = p.u16(at)?;
            let size = usize::from(word & 0x3ff);
            if size < 6 || at + size > end {
                self.text("AVP too short");
                self.out.truncate(self.out.len() - "AVP too short".len());
                self.truncated();
                return Ok(());
            }
            p.part(at, size)?;
            if word & 0x8000 != 0 {
                self.text("*");
            }
            let mut hidden = false;
            if word & 0x4000 != 0 {
                hidden = true;
                self.text("?");
            }
            let (vendor, kind) = (p.u16(at + 2)?, p.u16(at + 4)?);
            let value = p.part(at + 6, size - 6)?;
            if vendor != 0 {
                put!(self, "VENDOR{vendor:04x}:ATTR{kind:04x}(");
                self.hex(value);
                self.text(")");
                at += size;
                continue;
            }
            self.named(NAMES, kind, "AVP-#");
            self.text("(");
            match (kind, hidden) {
                (_, true) => self.text("???"),
                (0, _) if value.len() == 2 => self.named(KINDS, value.u16(0)?, "MSGTYPE-#"),
                (2, _) if value.len() == 2 => put!(self, "{}.{}", value.u8(0)?, value.u8(1)?),
                (7 | 8 | 21..=23, _) => self.printable(value),
                (6 | 9 | 10 | 14, _) if value.len() == 2 => put!(self, "{}", value.u16(0)?),
                (15..=17 | 24 | 25 | 38, _) if value.len() == 4 => put!(self, "{}", value.u32(0)?),
                (3 | 19, _) if value.len() == 4 => {
                    let bits = value.u32(0)?;
                    for (bit, letter) in [(2, "A"), (1, "S")] {
                        if bits & bit != 0 {
                            self.text(letter);
                        }
                    }
                }
                (4 | 18, _) if value.len() == 4 => {
                    let bits = value.u32(0)?;
                    for (bit, letter) in [(2, "A"), (1, "D")] {
                        if bits & bit != 0 {
                            self.text(letter);
                        }
                    }
                }
                _ => self.hex(value),
            }
            self.text(")");
            at += size;
        }
        Ok(())
    }
}
