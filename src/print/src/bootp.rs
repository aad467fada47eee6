//! BOOTP and DHCP (RFC 951, RFC 2131, RFC 2132 and the options registry).

use crate::fetch::{Fetch, Names, Res, Short, name, names};
use crate::{Printer, put};

/// Options: code, how the value is shown, name. Addresses `i` and their pairs `p`, numbers of 32 bits `l` (signed `L`) and
/// 16 bits `s`, bytes `b`, text `a`, yes or no `B`, one of its own `$`.
const OPTIONS: &[(u8, u8, &str)] = &[
    (0, b' ', "PAD"),
    (1, b'i', "Subnet-Mask"),
    (2, b'L', "Time-Zone"),
    (3, b'i', "Default-Gateway"),
    (4, b'i', "Time-Server"),
    (5, b'i', "IEN-Name-Server"),
    (6, b'i', "Domain-Name-Server"),
    (7, b'i', "LOG"),
    (8, b'i', "CS"),
    (9, b'i', "LPR-Server"),
    (10, b'i', "IM"),
    (11, b'i', "RL"),
    (12, b'a', "Hostname"),
    (13, b's', "BS"),
    (14, b'a', "DP"),
    (15, b'a', "Domain-Name"),
    (16, b'i', "SS"),
    (17, b'a', "RP"),
    (18, b'a', "EP"),
    (19, b'B', "IPF"),
    (20, b'B', "SRT"),
    (21, b'p', "PF"),
    (22, b's', "RSZ"),
    (23, b'b', "TTL"),
    (24, b'l', "MTU-Timeout"),
    (25, b's', "MTU-Table"),
    (26, b's', "MTU"),
    (27, b'B', "LSN"),
    (28, b'i', "BR"),
    (29, b'B', "MD"),
    (30, b'B', "MS"),
    (31, b'B', "Router-Discovery"),
    (32, b'i', "RSA"),
    (33, b'p', "Static-Route"),
    (34, b'B', "UT"),
    (35, b'l', "AT"),
    (36, b'B', "IE"),
    (37, b'b', "TT"),
    (38, b'l', "KI"),
    (39, b'B', "KG"),
    (40, b'a', "YD"),
    (41, b'i', "YS"),
    (42, b'i', "NTP"),
    (43, b'b', "Vendor-Option"),
    (44, b'i', "Netbios-Name-Server"),
    (45, b'i', "WDD"),
    (46, b'$', "Netbios-Node"),
    (47, b'a', "Netbios-Scope"),
    (48, b'i', "XFS"),
    (49, b'i', "XDM"),
    (50, b'i', "Requested-IP"),
    (51, b'l', "Lease-Time"),
    (52, b'$', "OO"),
    (53, b' ', "DHCP-Message"),
    (54, b'i', "Server-ID"),
    (55, b'b', "Parameter-Request"),
    (56, b'a', "MSG"),
    (57, b's', "MSZ"),
    (58, b'l', "RN"),
    (59, b'l', "RB"),
    (60, b'a', "Vendor-Class"),
    (61, b'$', "Client-ID"),
    (64, b's', "N+D"),
    (65, b'i', "N+S"),
    (66, b'a', "TFTP"),
    (67, b'a', "BF"),
    (68, b'i', "MH"),
    (69, b'i', "SMTP"),
    (70, b'i', "POP3"),
    (71, b'i', "NNTP"),
    (72, b'i', "WWW"),
    (73, b'i', "FG"),
    (74, b'i', "IRC"),
    (75, b'i', "STS"),
    (76, b'i', "STDA"),
    (77, b'$', "User-Class"),
    (78, b'b', "SLP-DA"),
    (79, b'b', "SLP-SCOPE"),
    (80, b'a', "SLP-NA"),
    (81, b'$', "FQDN"),
    (82, b'$', "Agent-Information"),
    (83, b'b', "ARMT"),
    (88, b'a', "TZSTR"),
    (89, b'b', "FQDNS"),
    (90, b'b', "AUTH"),
    (91, b'L', "Last-Transaction-Time"),
    (92, b'i', "Associated-IP"),
    (93, b's', "ARCH"),
    (94, b'b', "NDI"),
    (95, b'a', "LDAP"),
    (97, b'b', "GUID"),
    (98, b'a', "UAP"),
    (100, b'a', "POSIX-TZ"),
    (101, b'a', "TZ-Name"),
    (108, b'$', "IPv6-Only-Preferred"),
    (112, b'i', "NI"),
    (113, b'a', "NITAG"),
    (114, b'a', "URL"),
    (116, b'B', "NOAUTO"),
    (117, b's', "NSSEARCH"),
    (118, b'i', "SUBNET"),
    (121, b'$', "Classless-Static-Route"),
    (143, b'$', "SZTP-Redirect"),
    (150, b'i', "TFTP-Server-Address"),
    (161, b'a', "MUD-URL"),
    (249, b'$', "Classless-Static-Route-Microsoft"),
    (255, b' ', "END"),
];

const MESSAGES: Names = names![
    (1, "Discover"),
    (2, "Offer"),
    (3, "Request"),
    (4, "Decline"),
    (5, "ACK"),
    (6, "NACK"),
    (7, "Release"),
    (8, "Inform"),
    (10, "LeaseQuery"),
    (11, "LeaseUnassigned"),
    (12, "LeaseUnknown"),
    (13, "LeaseActive"),
];

fn option(code: u8) -> (u8, &'static str) {
    let found = OPTIONS.binary_search_by_key(&code, |entry| entry.0).ok().and_then(|at| OPTIONS.get(at));
    found.map_or((b'?', "Unknown"), |entry| (entry.1, entry.2))
}

impl Printer {
    /// One message.
    pub(crate) fn bootp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "bootp";
        let operation = p.u8(0)?;
        match operation {
            1 => self.text("BOOTP/DHCP, Request"),
            2 => self.text("BOOTP/DHCP, Reply"),
            _ => put!(self, "BOOTP/DHCP, unknown (0x{operation:02x})"),
        }
        let (hardware, size) = (p.u8(1)?, p.u8(2)?);
        let ethernet = hardware == 1 && size == 6;
        if ethernet && operation == 1 {
            p.part(28, 6)?;
            self.text(" from ");
            self.mac(p, 28)?;
        }
        put!(self, ", length {length}");
        if self.v() == 0 {
            return Ok(());
        }
        p.part(8, 2)?;
        if hardware != 1 {
            put!(self, ", htype {hardware}");
        }
        if !ethernet {
            put!(self, ", hlen {size}");
        }
        if p.u8(3)? != 0 {
            put!(self, ", hops {}", p.u8(3)?);
        }
        if p.u32(4)? != 0 {
            put!(self, ", xid 0x{:x}", p.u32(4)?);
        }
        if p.u16(8)? != 0 {
            put!(self, ", secs {}", p.u16(8)?);
        }
        let flags = p.u16(10)?;
        self.text(", Flags [");
        self.bits(names![(0x8000, "Broadcast")], u32::from(flags), ", ");
        self.text("]");
        if self.v() > 1 {
            put!(self, " (0x{flags:04x})");
        }
        for (at, title) in [(12, "Client-IP"), (16, "Your-IP"), (20, "Server-IP"), (24, "Gateway-IP")] {
            if p.u32(at)? != 0 {
                put!(self, "\n\t  {title} ");
                self.ip4(p, at)?;
            }
        }
        if ethernet {
            p.part(28, 6)?;
            self.text("\n\t  Client-Ethernet-Address ");
            self.mac(p, 28)?;
        }
        for (at, size, title) in [(44, 64, "sname"), (108, 128, "file")] {
            if p.u8(at)? == 0 {
                continue;
            }
            put!(self, "\n\t  {title} \"");
            let ended = self.string(p.tail(at).head(size)) || p.tail(at).len() >= size;
            self.text("\"");
            if !ended {
                self.truncated();
                return Ok(());
            }
        }
        match p.u32(236)? {
            0x6382_5363 => self.dhcp_options(p.tail(236)),
            0x434d_5500 => self.cmu(p.tail(236)),
            0 => Ok(()),
            other => {
                put!(self, "\n\t  Vendor-#0x{other:x}");
                Ok(())
            }
        }
    }

    fn dhcp_options(&mut self, p: &[u8]) -> Res {
        put!(self, "\n\t  Vendor-rfc1048 Extensions\n\t    Magic Cookie 0x{:08x}", p.u32(0)?);
        let mut at = 4;
        while at < p.len() {
            let code = p.u8(at)?;
            at += 1;
            if code == 0 && self.v() < 3 {
                continue;
            }
            if code == 255 && self.v() < 3 {
                return Ok(());
            }
            let (format, title) = option(code);
            let mut size = 0;
            if code != 0 && code != 255 {
                size = usize::from(p.u8(at)?);
                at += 1;
            }
            put!(self, "\n\t    {title} ({code}), length {size}{}", if size > 0 { ": " } else { "" });
            if code == 0 {
                let pads = p.tail(at).iter().take_while(|byte| **byte == 0).count();
                at += pads;
                if pads > 0 {
                    put!(self, ", occurs {}", pads + 1);
                }
            }
            let data = p.part(at, size)?;
            at += size;
            if code == 53 && size == 1 {
                let kind = data.u8(0)?;
                match name(MESSAGES, kind) {
                    Some(text) => self.text(text),
                    None => put!(self, "Unknown ({kind})"),
                }
                continue;
            }
            if code == 55 {
                for (index, wanted) in data.iter().enumerate() {
                    self.text(if index % 4 == 0 { "\n\t      " } else { ", " });
                    put!(self, "{} ({wanted})", option(*wanted).1);
                }
                continue;
            }
            let used = self.dhcp_value(code, format, data)?;
            if used < size {
                put!(self, "\n\t  trailing data length {}", size - used);
            }
        }
        Ok(())
    }

    /// Prints a value in its format; how many of its bytes that took.
    fn dhcp_value(&mut self, code: u8, format: u8, data: &[u8]) -> Res<usize> {
        let size = data.len();
        let format = match format {
            b'?' if size & 1 != 0 => b'b',
            b'?' if size & 2 != 0 => b's',
            b'?' => b'l',
            other => other,
        };
        let unit = match format {
            b'a' => {
                self.quoted(data);
                return Ok(size);
            }
            b'$' => return self.dhcp_special(code, data),
            b'p' if size < 8 || !size.is_multiple_of(8) => {
                self.text(if size == 0 { " " } else { "" });
                self.text("[length != N x 8 bytes]");
                return Ok(size);
            }
            b'p' => 8,
            b'i' | b'l' | b'L' => 4,
            b's' => 2,
            _ => 1,
        };
        let separator = if unit == 1 && format != b'B' { "." } else { "," };
        for (index, item) in data.chunks_exact(unit).enumerate() {
            if index > 0 {
                self.text(separator);
            }
            match format {
                b'i' => self.ip4(item, 0)?,
                b'p' => {
                    self.ip4_after("(", item, 0)?;
                    self.ip4_after(":", item, 4)?;
                    self.text(")");
                }
                b'L' => put!(self, "{}", item.u32(0)? as i32),
                b'B' => match item.u8(0)? {
                    0 => self.text("N"),
                    1 => self.text("Y"),
                    other => put!(self, "{other}?"),
                },
                _ => put!(self, "{}", item.uint(0, unit)?),
            }
        }
        Ok(size - size % unit)
    }

    fn quoted(&mut self, data: &[u8]) {
        self.text("\"");
        self.printable(data);
        self.text("\"");
    }

    fn dhcp_special(&mut self, code: u8, data: &[u8]) -> Res<usize> {
        let size = data.len();
        let least = match code {
            46 | 52 | 61 => 1,
            77 => 2,
            81 => 3,
            121 | 249 => 5,
            _ => 0,
        };
        if size < least {
            put!(self, "[ERROR: length < {least} bytes]");
            return Ok(size);
        }
        match code {
            46 | 52 => {
                const NODES: Names = names![(1, "b-node"), (2, "p-node"), (4, "m-node"), (8, "h-node")];
                const OVERLOADS: Names = names![(1, "file"), (2, "sname"), (3, "file+sname")];
                let value = data.u8(0)?;
                match name(if code == 46 { NODES } else { OVERLOADS }, value) {
                    Some(text) => self.text(text),
                    None => put!(self, "#{value}"),
                }
                return Ok(1);
            }
            61 => {
                let kind = data.u8(0)?;
                if kind == 0 {
                    self.quoted(data.tail(1));
                } else {
                    const KINDS: Names = names![
                        (1, "ether"),
                        (6, "ieee802"),
                        (7, "arcnet"),
                        (15, "frelay"),
                        (23, "strip"),
                        (24, "ieee1394")
                    ];
                    match name(KINDS, kind) {
                        Some(text) => put!(self, "{text} "),
                        None => put!(self, "hardware-type {kind}, "),
                    }
                    self.mac_plain(data.tail(1));
                }
            }
            77 => self.dhcp_classes(data)?,
            81 => {
                let flags = data.u8(0)?;
                if flags & 0xf0 != 0 {
                    put!(self, "[ERROR: MBZ nibble 0x{:x} != 0] ", flags >> 4);
                }
                if flags & 15 != 0 {
                    self.text("[");
                    for (bit, letter) in [(1, "S"), (2, "O"), (4, "E"), (8, "N")] {
                        if flags & bit != 0 {
                            self.text(letter);
                        }
                    }
                    self.text("] ");
                }
                if data.u16(1)? != 0 {
                    put!(self, "{}/{} ", data.u8(1)?, data.u8(2)?);
                }
                self.quoted(data.tail(3));
            }
            82 => return self.dhcp_agent(data),
            108 if size != 4 => self.text("[ERROR: length != 4 bytes]"),
            108 => put!(self, "{}", data.u32(0)?),
            121 | 249 => self.dhcp_routes(data)?,
            143 => {
                let mut at = 0;
                while size - at >= 2 {
                    // The length has sixteen bits and is used with eight.
                    let count = usize::from(data.u16(at)? as u8);
                    at += 2;
                    put!(self, "\n\t\t    length {count}: ");
                    if count > size - at {
                        self.text("length goes past end of option");
                        return Ok(size);
                    }
                    self.quoted(data.part(at, count)?);
                    at += count;
                }
                if at < size {
                    self.text("[ERROR: length < 2 bytes]");
                }
                return Ok(at);
            }
            _ => put!(self, "[unknown special tag {code}, size {size}]"),
        }
        Ok(size)
    }

    /// RFC 3004.
    fn dhcp_classes(&mut self, data: &[u8]) -> Res {
        let mut at = 0;
        let mut number = 1;
        while at < data.len() {
            let count = usize::from(data.u8(at)?);
            at += 1;
            put!(self, "\n\t      instance#{number}: ");
            if count == 0 {
                self.text("[ERROR: suboption length must be non-zero]");
                return Ok(());
            }
            if count > data.len() - at {
                self.text("[ERROR: invalid option]");
                return Ok(());
            }
            self.quoted(data.part(at, count)?);
            put!(self, ", length {count}");
            number += 1;
            at += count;
        }
        Ok(())
    }

    /// RFC 3046.
    fn dhcp_agent(&mut self, data: &[u8]) -> Res<usize> {
        const SUBOPTIONS: Names = names![
            (1, "Circuit-ID"),
            (2, "Remote-ID"),
            (5, "Link-selection"),
            (6, "Subscriber-ID"),
            (11, "Server-Identifier-Override"),
        ];
        let mut at = 0;
        while data.len() - at >= 2 {
            let (code, count) = (data.u8(at)?, usize::from(data.u8(at + 1)?));
            at += 2;
            let title = name(SUBOPTIONS, code).unwrap_or("Unknown");
            put!(self, "\n\t      {title} SubOption {code}, length {count}: ");
            if count > data.len() - at {
                self.text("length goes past end of option");
                return Ok(data.len());
            }
            let value = data.part(at, count)?;
            match code {
                1 | 2 | 6 => self.printable(value),
                _ => self.hex_lines("\n\t\t", value),
            }
            at += count;
        }
        Ok(at)
    }

    /// RFC 3442.
    fn dhcp_routes(&mut self, data: &[u8]) -> Res {
        let mut at = 0;
        while at < data.len() {
            if at > 0 {
                self.text(",");
            }
            let width = data.u8(at)?;
            at += 1;
            if width > 32 {
                put!(self, "[ERROR: Mask width ({width}) > 32]");
                return Ok(());
            }
            let octets = usize::from(width.div_ceil(8));
            let left = data.len() - at;
            if left < octets + 4 {
                put!(self, "[ERROR: Remaining length ({left}) < {} bytes]", octets + 4);
                return Ok(());
            }
            self.text("(");
            if width == 0 {
                self.text("default");
            } else {
                let mut address = [0u8; 4];
                for (to, from) in address.iter_mut().zip(data.part(at, octets)?) {
                    *to = *from;
                }
                self.dotted(address);
                put!(self, "/{width}");
            }
            self.ip4_after(":", data, at + octets)?;
            self.text(")");
            at += octets + 4;
        }
        Ok(())
    }

    /// Carnegie Mellon's use of the vendor field.
    fn cmu(&mut self, p: &[u8]) -> Res {
        self.text(" vend-cmu");
        p.part(4, 4)?;
        let flags = p.u8(4)?;
        if flags & !1 != 0 {
            put!(self, " F:0x{flags:x}");
        }
        let mask = if flags & 1 != 0 { "SM" } else { "SM*" };
        for (at, title) in
            [(12, "DG"), (8, mask), (16, "NS1"), (20, "NS2"), (24, "IEN1"), (28, "IEN2"), (32, "TS1"), (36, "TS2")]
        {
            if p.u32(at).map_err(|_| Short)? != 0 {
                put!(self, " {title}:");
                self.ip4(p, at)?;
            }
        }
        Ok(())
    }
}
