//! PPP (RFC 1661 and its control protocols), PPPoE (RFC 2516), MPLS labels (RFC 3032).

use crate::fetch::{Fetch, Names, Res, Short, name, names};
use crate::frame::Ends;
use crate::{Printer, put};

const PROTOCOLS: Names = names![
    (0x0021, "IP"),
    (0x0057, "IP6"),
    (0x0281, "MPLS"),
    (0x0283, "MPLS"),
    (0x002b, "IPX"),
    (0x002d, "VJC"),
    (0x002f, "VJNC"),
    (0x0031, "BPDU"),
    (0x003d, "ML"),
    (0x0053, "ENC"),
    (0x00fb, "ILC"),
    (0x00fd, "COMP"),
    (0x8021, "IPCP"),
    (0x8057, "IP6CP"),
    (0x8281, "MPLSCP"),
    (0x8053, "ECP"),
    (0x80fd, "CCP"),
    (0xc021, "LCP"),
    (0xc023, "PAP"),
    (0xc025, "LQM"),
    (0xc223, "CHAP"),
    (0xc227, "EAP"),
    (0xc02d, "BACP"),
    (0xc02b, "BAP"),
];

const CODES: Names = names![
    (0, "Vendor-Extension"),
    (1, "Conf-Request"),
    (2, "Conf-Ack"),
    (3, "Conf-Nack"),
    (4, "Conf-Reject"),
    (5, "Term-Request"),
    (6, "Term-Ack"),
    (7, "Code-Reject"),
    (8, "Prot-Reject"),
    (9, "Echo-Request"),
    (10, "Echo-Reply"),
    (11, "Disc-Req"),
    (12, "Ident"),
    (13, "Time-Remaining"),
    (14, "Reset-Req"),
    (15, "Reset-Ack"),
];

const LCP_OPTIONS: [&str; 29] = [
    "Vend-Ext",
    "MRU",
    "ACCM",
    "Auth-Prot",
    "Qual-Prot",
    "Magic-Num",
    "deprecated(6)",
    "PFC",
    "ACFC",
    "FCS-Alt",
    "SDP",
    "Numbered-Mode",
    "deprecated(12)",
    "Call-Back",
    "deprecated(14)",
    "deprecated(15)",
    "deprecated(16)",
    "MRRU",
    "12-Bit seq #",
    "End-Disc",
    "Proprietary",
    "DCE-Id",
    "MP+",
    "Link-Disc",
    "LCP-Auth-Opt",
    "COBS",
    "Prefix-elision",
    "Multilink-header-Form",
    "I18N",
];

const IPCP_OPTIONS: Names = names![
    (1, "IP-Addrs"),
    (2, "IP-Comp"),
    (3, "IP-Addr"),
    (4, "Home-Addr"),
    (129, "Pri-DNS"),
    (130, "Pri-NBNS"),
    (131, "Sec-DNS"),
    (132, "Sec-NBNS"),
];

impl Printer {
    /// PPP over a link without framing of its own.
    pub(crate) fn ppp_link(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "ppp";
        if p.len() < 4 {
            self.truncated();
            self.link_header = p.len();
            return Ok(());
        }
        self.ppp(p, length)?;
        self.link_header = 4;
        Ok(())
    }

    /// PPP in HDLC-like framing (RFC 1662), or Cisco's.
    pub(crate) fn ppp_hdlc_link(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "ppp_hdlc";
        p.part(0, 2)?;
        let first = p.u8(0)?;
        if matches!(first, 0x0f | 0x8f) {
            self.link_header = 4;
            let kind = p.u16(2)?;
            if self.options.link_header {
                self.text(if first == 0x0f { "unicast, " } else { "bcast, " });
                self.ether_type(kind);
                put!(self, ", length {length}: ");
            }
            let (data, rest) = (p.tail(4), length.saturating_sub(4));
            if !self.ethertype(kind, data, rest, Ends::default())? && !self.options.link_header {
                put!(self, "unknown CHDLC protocol (0x{kind:04x})");
            }
            return Ok(());
        }
        p.part(0, 4)?;
        if self.options.link_header {
            put!(self, "{first:02x} {:02x} {length} ", p.u8(1)?);
        }
        if first != 0xff {
            self.link_header = 2;
            put!(self, "unknown addr {:02x}; ctrl {:02x}", p.u8(2)?, p.u8(3)?);
            return Ok(());
        }
        let protocol = p.u16(2)?;
        match name(PROTOCOLS, protocol) {
            Some(text) => put!(self, "{text}: "),
            None => put!(self, "unknown PPP protocol (0x{protocol:04x}): "),
        }
        self.ppp_payload(protocol, p.tail(4), length.saturating_sub(4))?;
        self.link_header = 4;
        Ok(())
    }

    /// PPPoE without Ethernet.
    pub(crate) fn pppoe_link(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "pppoe";
        self.link_header = self.pppoe(p, length)?;
        Ok(())
    }

    /// A session or discovery packet; how long its header is.
    pub(crate) fn pppoe(&mut self, p: &[u8], length: usize) -> Res<usize> {
        self.proto = "pppoe";
        const CODES: Names = names![(9, "PADI"), (7, "PADO"), (0x19, "PADR"), (0x65, "PADS"), (0xa7, "PADT"), (0, "")];
        if length < 6 {
            put!(self, " (length {length} < 6)");
            self.invalid();
            return Ok(0);
        }
        p.part(0, 6)?;
        let (first, code, session, claimed) = (p.u8(0)?, p.u8(1)?, p.u16(2)?, usize::from(p.u16(4)?));
        let mut rest = length - 6;
        if first >> 4 != 1 {
            put!(self, " [ver {}]", first >> 4);
        }
        if first & 15 != 1 {
            put!(self, " [type {}]", first & 15);
        }
        self.text("PPPoE ");
        match name(CODES, code) {
            Some(text) => self.text(text),
            None => put!(self, "PAD-{code:x}"),
        }
        if code == 9 && claimed > 1484 {
            put!(self, " [len {claimed}!]");
        }
        if claimed > rest {
            put!(self, " [len {claimed} > {rest}!]");
        } else {
            rest = claimed;
        }
        if session != 0 {
            put!(self, " [ses 0x{session:x}]");
        }
        let data = p.tail(6);
        if code == 0 {
            self.text(" ");
            return Ok(6 + self.ppp(data, rest)?);
        }
        const TAGS: Names = names![
            (0, "EOL"),
            (0x101, "Service-Name"),
            (0x102, "AC-Name"),
            (0x103, "Host-Uniq"),
            (0x104, "AC-Cookie"),
            (0x105, "Vendor-Specific"),
            (0x110, "Relay-Session-ID"),
            (0x120, "PPP-Max-Payload"),
            (0x201, "Service-Name-Error"),
            (0x202, "AC-System-Error"),
            (0x203, "Generic-Error"),
        ];
        let mut at = 0;
        while at < rest {
            let (tag, size) = (data.u16(at)?, usize::from(data.u16(at + 2)?));
            at += 4;
            data.part(at, size)?;
            self.text(" [");
            match name(TAGS, tag) {
                Some(text) => self.text(text),
                None => put!(self, "TAG-0x{tag:x}"),
            }
            if size > 0 {
                let value = data.part(at, size)?;
                // More printable bytes than others among the first 80 make it text.
                let printable = value.iter().take(80).filter(|byte| (0x20..0x7f).contains(*byte)).count();
                self.text(" ");
                if printable > value.len().min(80) - printable {
                    self.text("\"");
                    self.out.extend(value.head(80).iter().copied().take_while(|byte| *byte != 0));
                    self.text("\"");
                } else {
                    self.text("0x");
                    for byte in value.head(20) {
                        put!(self, "{byte:02X}");
                    }
                    if size > 20 {
                        self.text("...");
                    }
                }
            }
            self.text("]");
            at += size;
            if tag == 0 {
                break;
            }
        }
        Ok(0)
    }

    /// A frame from its address or protocol field on; how long that is.
    pub(crate) fn ppp(&mut self, p: &[u8], length: usize) -> Res<usize> {
        self.proto = "ppp";
        if length < 2 {
            self.truncated();
            return Ok(0);
        }
        let mut at = 0;
        if p.u16(0)? == 0xff03 {
            at = 2;
            if length < 4 {
                self.truncated();
                return Ok(0);
            }
        }
        let protocol = if p.u8(at)? & 1 == 1 {
            at += 1;
            u16::from(p.u8(at - 1)?)
        } else {
            at += 2;
            p.u16(at - 2)?
        };
        if self.options.link_header {
            match name(PROTOCOLS, protocol) {
                Some(text) => put!(self, "{text} (0x{protocol:04x}), length {length}: "),
                None => {
                    put!(self, "unknown (0x{protocol:04x}), length {length}");
                    return Ok(at);
                }
            }
        }
        self.ppp_payload(protocol, p.tail(at), length - at)?;
        Ok(at)
    }

    fn ppp_payload(&mut self, protocol: u16, p: &[u8], length: usize) -> Res {
        match protocol {
            0x21 => self.ipv4(p, length),
            0x57 => self.ipv6(p, length),
            0x281 | 0x283 => self.mpls(p, length),
            0xc021 | 0x8021 | 0x8281 | 0x8057 | 0x80fd | 0xc02d | 0x8053 => self.ppp_control(protocol, p, length),
            0xc223 => self.chap(p, length),
            0xc023 => self.pap(p, length),
            0xc227 => self.eap(p, length),
            0x3d => {
                if !self.options.link_header {
                    self.text("MLPPP, ");
                }
                let field = p.u16(0)?;
                put!(self, "seq 0x{:03x}, Flags [", field & 0xfff);
                self.bits(names![(0x80, "begin"), (0x40, "end")], u32::from(field >> 8 & 0xc0), ", ");
                put!(self, "], length {length}");
                Ok(())
            }
            0xfd => {
                put!(self, "COMP");
                Ok(())
            }
            _ => {
                match name(PROTOCOLS, protocol) {
                    Some(text) => put!(self, "{text} "),
                    None => put!(self, "unknown PPP protocol (0x{protocol:04x}) "),
                }
                self.unknown_data("\n\t", p, length);
                Ok(())
            }
        }
    }

    fn ppp_control(&mut self, protocol: u16, p: &[u8], length: usize) -> Res {
        let title = name(PROTOCOLS, protocol).unwrap_or("unknown");
        put!(self, "{title}, ");
        if length < 4 || p.len() < 2 {
            put!(self, "[|{title}]");
            return Ok(());
        }
        let code = p.u8(0)?;
        match name(CODES, code) {
            Some(text) => self.text(text),
            None => self.text("Unknown Opcode"),
        }
        put!(self, " (0x{code:02x}), id {}, length {}", p.u8(1)?, length + 2);
        if self.v() == 0 {
            return Ok(());
        }
        let size = usize::from(p.u16(2)?);
        if size < 4 {
            put!(self, "\n\tencoded length {size} (< 4))");
            return Ok(());
        }
        if size > length {
            put!(self, "\n\tencoded length {size} (> packet length {length}))");
            return Ok(());
        }
        put!(self, "\n\tencoded length {size} (=Option(s) length {})", size - 4);
        if size == 4 {
            return Ok(());
        }
        if self.v() > 1 {
            // The protocol's own two bytes stand before these.
            let mut six = protocol.to_be_bytes().to_vec();
            six.extend_from_slice(p.head(4));
            self.hex_lines("\n\t", &six);
        }
        let data = p.tail(4);
        match code {
            1..=4 => {
                let mut at = 0;
                let mut left = size - 4;
                while left != 0 {
                    const TITLES: Names =
                        names![(0xc021, "lcp"), (0x8021, "ipcp"), (0x8057, "ip6cp"), (0x80fd, "ccp"), (0xc02d, "bacp")];
                    if !data.tail(at).holds(2)
                        && let Some(title) = name(TITLES, protocol)
                    {
                        put!(self, "[|{title}]");
                        break;
                    }
                    let advance = match protocol {
                        0xc021 => self.lcp_option(data.tail(at), size)?,
                        0x8021 => self.ipcp_option(data.tail(at), size)?,
                        0x8057 => self.ipv6cp_option(data.tail(at), size)?,
                        0x80fd => self.ccp_option(data.tail(at), size)?,
                        _ => 0,
                    };
                    if advance == 0 {
                        break;
                    }
                    if left < advance {
                        put!(self, " [remaining options length {left} < {advance}]");
                        self.invalid();
                        break;
                    }
                    left -= advance;
                    at += advance;
                }
            }
            8 => {
                if size >= 6 {
                    let rejected = data.u16(0)?;
                    let text = name(PROTOCOLS, rejected).unwrap_or("unknown");
                    put!(self, "\n\t  Rejected {text} Protocol (0x{rejected:04x})");
                    if size > 6 {
                        self.text("\n\t  Rejected Packet");
                        self.unknown_data("\n\t    ", data.tail(2), size - 2);
                    }
                }
            }
            9..=13 if size >= 8 => {
                put!(self, "\n\t  Magic-Num 0x{:08x}", data.u32(0)?);
                match code {
                    12 if size > 8 => {
                        self.text("\n\t  Message\n\t    ");
                        self.printable(data.tail(4).head(size - 4));
                    }
                    13 => put!(self, ", Seconds-Remaining {}s", data.u32(4)?),
                    9..=11 if size > 8 => {
                        self.text("\n\t  -----trailing data-----");
                        match data.part(4, size - 8) {
                            Ok(rest) => self.unknown_data("\n\t  ", rest, size - 8),
                            Err(Short) => put!(self, "[|{title}]"),
                        }
                    }
                    _ => {}
                }
            }
            5..=7 | 9..=13 => {}
            0 if size >= 11 => {
                let vendor = data.u24(4)?;
                let maker = crate::addr::oui(vendor);
                put!(self, "\n\t  Magic-Num 0x{:08x} Vendor: {maker} ({vendor})", data.u32(0)?);
            }
            _ => {
                if self.v() <= 1 {
                    let mut all = protocol.to_be_bytes().to_vec();
                    all.extend_from_slice(p.head(size));
                    self.hex_lines("\n\t  ", &all);
                }
            }
        }
        Ok(())
    }

    /// Kind and length of an option; nothing when it is impossible, or cut off.
    fn ppp_option_head(&mut self, p: &[u8], limit: usize, title: Option<&str>, prefix: &str) -> Res<Option<usize>> {
        if limit < 2 {
            return Ok(None);
        }
        let (kind, size) = (p.u8(0)?, usize::from(p.u8(1)?));
        if limit < size {
            return Ok(None);
        }
        match title {
            Some(text) => put!(self, "\n\t  {text} Option (0x{kind:02x}), length {size}"),
            None => put!(self, "\n\t{prefix} option 0x{kind:02x}"),
        }
        if size < 2 {
            if title.is_some() {
                self.text(" (length bogus, should be >= 2)");
            }
            return Ok(None);
        }
        Ok(Some(size))
    }

    fn lcp_option(&mut self, p: &[u8], limit: usize) -> Res<usize> {
        let kind = p.u8(0)?;
        let title = LCP_OPTIONS.get(usize::from(kind)).copied();
        let Some(size) = self.ppp_option_head(p, limit, title, "unknown LCP")? else { return Ok(0) };
        if title.is_none() {
            return Ok(size);
        }
        let (exact, least) = match kind {
            1 | 17 | 23 => (4, 0),
            2 | 5 => (6, 0),
            3 | 4 => (0, 4),
            13 | 19 => (0, 3),
            0 => (0, 6),
            _ => (0, 0),
        };
        if exact != 0 && size != exact {
            put!(self, " (length bogus, should be = {exact})");
            return Ok(if matches!(kind, 1 | 2) { size } else { 0 });
        }
        if size < least {
            put!(self, " (length bogus, should be >= {least})");
            return Ok(if matches!(kind, 0 | 3) { size } else { 0 });
        }
        match kind {
            0 => {
                let vendor = p.u24(2)?;
                put!(self, ": Vendor: {} ({vendor})", crate::addr::oui(vendor));
            }
            1 | 17 => put!(self, ": {}", p.u16(2)?),
            2 | 5 => put!(self, ": 0x{:08x}", p.u32(2)?),
            3 => {
                let protocol = p.u16(2)?;
                put!(self, ": {}", name(PROTOCOLS, protocol).unwrap_or("Unknown Auth Proto (0x04x)"));
                match protocol {
                    0xc223 => {
                        const HASHES: Names = names![(5, "MD5"), (0x80, "MS-CHAPv1"), (0x81, "MS-CHAPv2")];
                        let algorithm = p.u8(4)?;
                        match name(HASHES, algorithm) {
                            Some(text) => put!(self, ", {text}"),
                            None => put!(self, ", Unknown Auth Alg {algorithm}"),
                        }
                    }
                    0xc023 | 0xc227 | 0xc027 | 0xc123 => {}
                    _ => self.unknown_data("\n\t", p, size),
                }
            }
            4 => self.text(if p.u16(2)? == 0xc025 { ": LQR" } else { ": unknown" }),
            7 | 8 => {}
            23 => put!(self, ": 0x{:04x}", p.u16(2)?),
            13 => {
                let operation = p.u8(2)?;
                const OPERATIONS: Names = names![
                    (0, "UserAuth"),
                    (1, "DialString"),
                    (2, "LocalID"),
                    (3, "E.164"),
                    (4, "X.500"),
                    (6, "CBCP nego")
                ];
                put!(self, ": Callback Operation {} ({operation})", name(OPERATIONS, operation).unwrap_or("Unknown"));
            }
            19 => match p.u8(2)? {
                0 => self.text(": Null"),
                1 => self.text(": Local"),
                2 if size == 7 => {
                    self.ip4_after(": IPv4 ", p, 3)?;
                }
                3 if size == 9 => {
                    self.text(": MAC ");
                    self.mac(p, 3)?;
                }
                class @ (2 | 3) => {
                    put!(self, " (length bogus, should be = {})", if class == 2 { 7 } else { 9 });
                    return Ok(0);
                }
                4 => self.text(": Magic-Num-Block"),
                5 => self.text(": PSNDN"),
                class => put!(self, ": Unknown class {class}"),
            },
            _ => {
                if self.v() < 2 {
                    self.unknown_data("\n\t    ", p.tail(2), size - 2);
                }
            }
        }
        if self.v() > 1 {
            self.unknown_data("\n\t    ", p.tail(2), size - 2);
        }
        Ok(size)
    }

    fn ipcp_option(&mut self, p: &[u8], limit: usize) -> Res<usize> {
        let kind = p.u8(0)?;
        let title = name(IPCP_OPTIONS, kind).unwrap_or("unknown");
        let Some(size) = self.ppp_option_head(p, limit, Some(title), "")? else { return Ok(0) };
        match kind {
            3 | 4 | 129..=132 => {
                if size != 6 {
                    self.text(" (length bogus, should be = 6)");
                    return Ok(0);
                }
                self.ip4_after(": ", p, 2)?;
            }
            1 if size == 10 => {
                self.ip4_after(": src ", p, 2)?;
                self.ip4_after(", dst ", p, 6)?;
            }
            2 if size >= 4 => {
                const COMPRESSIONS: Names = names![(0x2d, "VJ-Comp"), (0x61, "IP header compression")];
                let protocol = p.u16(2)?;
                let text = name(COMPRESSIONS, protocol).unwrap_or("Unknown");
                put!(self, ": {text} (0x{protocol:02x}):");
            }
            _ => {
                if self.v() < 2 {
                    self.unknown_data("\n\t    ", p.tail(2), size - 2);
                }
            }
        }
        if self.v() > 1 {
            self.unknown_data("\n\t    ", p.tail(2), size - 2);
        }
        Ok(size)
    }

    fn ipv6cp_option(&mut self, p: &[u8], limit: usize) -> Res<usize> {
        let title = if p.u8(0)? == 1 { "Interface-ID" } else { "Unknown" };
        let Some(size) = self.ppp_option_head(p, limit, Some(title), "")? else { return Ok(0) };
        if p.u8(0)? == 1 {
            if size != 10 {
                self.text(" (length bogus, should be = 10)");
                return Ok(size);
            }
            if !p.holds(10) {
                self.text("[|ip6cp]");
                return Ok(0);
            }
            put!(self, ": {:04x}:{:04x}:{:04x}:{:04x}", p.u16(2)?, p.u16(4)?, p.u16(6)?, p.u16(8)?);
        } else if self.v() < 2 {
            self.unknown_data("\n\t    ", p.tail(2), size - 2);
        }
        if self.v() > 1 {
            self.unknown_data("\n\t    ", p.tail(2), size - 2);
        }
        Ok(size)
    }

    fn ccp_option(&mut self, p: &[u8], limit: usize) -> Res<usize> {
        const KINDS: Names = names![
            (0, "OUI"),
            (1, "Pred-1"),
            (2, "Pred-2"),
            (3, "Puddle"),
            (16, "HP-PPC"),
            (17, "Stac"),
            (18, "MPPC"),
            (19, "Gand-FZA"),
            (20, "V.42bis"),
            (21, "BSD-Comp"),
            (23, "LZS-DCP"),
            (26, "Deflate"),
        ];
        let kind = p.u8(0)?;
        let title = name(KINDS, kind).unwrap_or("Unknown");
        let Some(size) = self.ppp_option_head(p, limit, Some(title), "")? else { return Ok(0) };
        match kind {
            21 if size >= 3 => put!(self, ": Version {}, Dictionary Bits: {}", p.u8(2)? >> 5, p.u8(2)? & 31),
            26 if size >= 4 => {
                let (window, method) = (p.u8(2)? >> 4, p.u8(2)? & 15);
                let method = if method == 8 { "zlib" } else { "unknown" };
                put!(
                    self,
                    ": Window: {}K, Method: {method} (0x{:x}), MBZ: {}, CHK: {}",
                    1u32 << (window + 8) >> 10,
                    p.u8(2)? & 15,
                    p.u8(3)? >> 2,
                    p.u8(3)? & 3
                );
            }
            _ => {
                if self.v() < 2 {
                    self.unknown_data("\n\t    ", p.tail(2), size - 2);
                }
            }
        }
        if self.v() > 1 {
            self.unknown_data("\n\t    ", p.tail(2), size - 2);
        }
        Ok(size)
    }

    fn chap(&mut self, p: &[u8], length: usize) -> Res {
        if length < 1 {
            self.text("[|chap]");
            return Ok(());
        }
        if length < 4 {
            put!(self, "[|chap 0x{:02x}]", p.u8(0)?);
            return Ok(());
        }
        const KINDS: Names = names![(1, "Challenge"), (2, "Response"), (3, "Success"), (4, "Fail")];
        let code = p.u8(0)?;
        put!(self, "CHAP, {} (0x{code:02x}), id {}", name(KINDS, code).unwrap_or("unknown"), p.u8(1)?);
        let size = usize::from(p.u16(2)?);
        match code {
            1 | 2 => {
                if length < 5 {
                    return Ok(());
                }
                let count = usize::from(p.u8(4)?);
                if length < 5 + count {
                    return Ok(());
                }
                self.text(", Value ");
                self.hex(p.tail(5).head(count));
                p.part(5, count)?;
                self.text(", Name ");
                let rest = size.wrapping_sub(5 + count);
                self.counted_text(p, 5 + count, rest)?;
            }
            3 | 4 => {
                self.text(", Msg ");
                self.counted_text(p, 4, size.wrapping_sub(4))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Characters of a length that may lie: as many as there are, then the mark.
    fn counted_text(&mut self, p: &[u8], at: usize, size: usize) -> Res {
        let there = p.tail(at).head(size);
        self.printable(there);
        if there.len() < size { Err(Short) } else { Ok(()) }
    }

    fn pap(&mut self, p: &[u8], length: usize) -> Res {
        if length < 1 {
            self.text("[|pap]");
            return Ok(());
        }
        if length < 4 {
            put!(self, "[|pap 0x{:02x}]", p.u8(0)?);
            return Ok(());
        }
        const KINDS: Names = names![(1, "Auth-Req"), (2, "Auth-ACK"), (3, "Auth-NACK")];
        let code = p.u8(0)?;
        put!(self, "PAP, {} (0x{code:02x}), id {}", name(KINDS, code).unwrap_or("unknown"), p.u8(1)?);
        let size = usize::from(p.u16(2)?);
        if size > length {
            put!(self, ", length {size} > packet size");
            return Ok(());
        }
        if size < 4 {
            put!(self, ", length {size} < PAP header length");
            return Ok(());
        }
        match code {
            1 => {
                if size < 6 {
                    self.text("[|pap]");
                    return Ok(());
                }
                let mut at = 4;
                for title in [", Peer ", ", Name "] {
                    if size - at < 1 {
                        return Ok(());
                    }
                    let count = usize::from(p.u8(at)?);
                    at += 1;
                    if size - at < count {
                        return Ok(());
                    }
                    self.text(title);
                    self.counted_text(p, at, count)?;
                    at += count;
                }
            }
            2 | 3 => {
                if size < 5 {
                    self.text("[|pap]");
                    return Ok(());
                }
                let count = usize::from(p.u8(4)?);
                if size - 5 < count {
                    return Ok(());
                }
                self.text(", Msg ");
                self.counted_text(p, 5, count)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A stack of labels and what is under it, as far as its first byte tells.
    pub(crate) fn mpls(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "mpls";
        self.text("MPLS");
        let mut at = 0;
        let mut label;
        loop {
            if length.saturating_sub(at) < 4 {
                self.invalid();
                return Ok(());
            }
            let entry = p.u32(at)?;
            label = entry >> 12;
            self.text(if at > 0 && self.v() > 0 { "\n\t" } else { " " });
            put!(self, "(label {label}");
            if self.v() > 0 && label < 16 {
                let text = match label {
                    0 => "IPv4 explicit NULL",
                    1 => "router alert",
                    2 => "IPv6 explicit NULL",
                    3 => "implicit NULL",
                    _ => "rsvd",
                };
                put!(self, " ({text})");
            }
            put!(self, ", tc {}", entry >> 9 & 7);
            if entry & 0x100 != 0 {
                self.text(", [S]");
            }
            put!(self, ", ttl {})", entry & 0xff);
            at += 4;
            if entry & 0x100 != 0 {
                break;
            }
        }
        let (data, rest) = (p.tail(at), length - at);
        let version = match label {
            0 | 3 => 4,
            2 => 6,
            _ => {
                if rest < 1 {
                    return Ok(());
                }
                match data.u8(0)? {
                    0x45..=0x4f => 4,
                    0x60..=0x6f => 6,
                    0x81..=0x83 => 8,
                    _ => {
                        self.default_print(data.head(rest));
                        return Ok(());
                    }
                }
            }
        };
        self.text(if self.v() > 0 { "\n\t" } else { " " });
        match version {
            4 => self.ipv4(data, rest),
            6 => self.ipv6(data, rest),
            _ => self.osi(data, rest),
        }
    }
}
