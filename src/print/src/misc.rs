//! Small protocols of the link and of servers: EAPOL, LLDP, slow protocols, TFTP, ISAKMP, HSRP, BFD, LDP, MSDP.

use crate::fetch::{Fetch, Names, Res, name, names};
use crate::{Printer, put};

impl Printer {
    /// IEEE 802.1X.
    pub(crate) fn eapol(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "eap";
        const KINDS: Names = names![
            (0, "EAP packet"),
            (1, "EAPOL start"),
            (2, "EAPOL logoff"),
            (3, "EAPOL key"),
            (4, "Encapsulated ASF alert"),
        ];
        p.part(0, 4)?;
        let kind = p.u8(1)?;
        let size = usize::from(p.u16(2)?);
        put!(self, "{} ({kind}) v{}, len {size}", name(KINDS, kind).unwrap_or("unknown"), p.u8(0)?);
        if kind == 0 && self.v() > 0 {
            self.text(", ");
            return self.eap(p.tail(4), size.min(length.saturating_sub(4)));
        }
        Ok(())
    }

    /// Extensible authentication (RFC 3748).
    pub(crate) fn eap(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "eap";
        const CODES: Names =
            names![(1, "Request"), (2, "Response"), (3, "Success"), (4, "Failure"), (5, "Initiate"), (6, "Finish")];
        const TYPES: Names = names![
            (0, "unset"),
            (1, "Identity"),
            (2, "Notification"),
            (3, "Nak"),
            (4, "MD5-challenge"),
            (5, "OTP"),
            (6, "GTC"),
            (13, "TLS"),
            (18, "SIM"),
            (21, "TTLS"),
            (23, "AKA"),
            (43, "FAST"),
            (38, "TNC"),
            (254, "Expanded type"),
            (255, "Experimental"),
        ];
        let code = p.u8(0)?;
        let size = usize::from(p.u16(2)?);
        if size != length {
            self.text("EAP fragment?");
            return Ok(());
        }
        put!(self, "{} ({code}), id {}, len {size}", name(CODES, code).unwrap_or("Unknown EAP Type"), p.u8(1)?);
        if matches!(code, 1 | 2) && size > 4 {
            let kind = p.u8(4)?;
            put!(self, "\n\t\t Type {} ({kind})", name(TYPES, kind).unwrap_or("unknown"));
            match kind {
                1 if size > 5 => {
                    self.text(", Identity: ");
                    self.printable(p.part(5, size - 5)?);
                }
                2 if size > 5 => {
                    self.text(", Notification: ");
                    self.printable(p.part(5, size - 5)?);
                }
                3 => {
                    let wanted = p.u8(5)?;
                    put!(self, ", {} ({wanted})", name(TYPES, wanted).unwrap_or("unknown"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// IEEE 802.1AB; with `-v` every TLV.
    pub(crate) fn lldp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "lldp";
        put!(self, "LLDP, length {length}");
        const TLVS: Names = names![
            (0, "End"),
            (1, "Chassis ID"),
            (2, "Port ID"),
            (3, "Time to Live"),
            (4, "Port Description"),
            (5, "System Name"),
            (6, "System Description"),
            (7, "System Capabilities"),
            (8, "Management Address"),
            (127, "Organization specific"),
        ];
        let mut at = 0;
        let mut left = length;
        while left >= 2 {
            let word = p.u16(at)?;
            let (kind, size) = (word >> 9, usize::from(word & 0x1ff));
            at += 2;
            left -= 2;
            if self.v() > 0 {
                put!(self, "\n\t{} TLV ({kind}), length {size}", name(TLVS, kind).unwrap_or("Unknown"));
            }
            if size > left {
                self.truncated();
                return Ok(());
            }
            let value = p.part(at, size)?;
            if self.lldp_tlv(kind, value)? == Stop::Yes {
                return Ok(());
            }
            if kind == 0 && size == 0 {
                return Ok(());
            }
            at += size;
            left -= size;
        }
        Ok(())
    }

    fn lldp_tlv(&mut self, kind: u16, value: &[u8]) -> Res<Stop> {
        let verbose = self.v() > 0;
        match kind {
            1 | 2 if verbose => {
                if value.len() < 2 {
                    self.invalid();
                    return Ok(Stop::Yes);
                }
                self.lldp_id(kind, value)?;
            }
            3 if verbose => {
                if value.len() < 2 {
                    self.invalid();
                    return Ok(Stop::Yes);
                }
                put!(self, ": TTL {}s", value.u16(0)?);
            }
            4 if verbose => {
                self.text(": ");
                self.printable(value);
            }
            // The name is worth having on the first line, too.
            5 => {
                self.text(": ");
                self.printable(value);
            }
            6 if verbose => {
                self.text("\n\t  ");
                self.printable(value);
            }
            7 if verbose => {
                if value.len() < 4 {
                    self.invalid();
                    return Ok(Stop::Yes);
                }
                const CAPABILITIES: Names = names![
                    (1, "Other"),
                    (2, "Repeater"),
                    (4, "Bridge"),
                    (8, "WLAN AP"),
                    (16, "Router"),
                    (32, "Telephone"),
                    (64, "Docsis"),
                    (128, "Station Only"),
                ];
                for (word, title) in [(value.u16(0)?, "System "), (value.u16(2)?, "Enabled ")] {
                    put!(self, "\n\t  {title} Capabilities [");
                    let space = self.out.windows(2).rposition(|pair| pair == b"  ");
                    if let Some(space) = space.filter(|space| *space + title.len() + 20 > self.out.len() - 16) {
                        self.out.remove(space);
                    }
                    self.bits(CAPABILITIES, u32::from(word), ", ");
                    put!(self, "] (0x{word:04x})");
                }
            }
            8 if verbose => {
                if value.len() < 9 {
                    self.invalid();
                    return Ok(Stop::Yes);
                }
                let size = usize::from(value.u8(0)?);
                let Ok(address) = value.part(1, size) else {
                    self.invalid();
                    return Ok(Stop::Yes);
                };
                put!(self, "\n\t  Management Address length {size}");
                self.lldp_address(address)?;
                let rest = value.tail(1 + size);
                if rest.len() >= 6 {
                    const METHODS: Names = names![(1, "Unknown"), (2, "Interface Index"), (3, "System Port Number")];
                    let method = rest.u8(0)?;
                    let text = name(METHODS, method).unwrap_or("Unknown");
                    put!(self, "\n\t  {text} Interface Numbering ({method}): {}", rest.u32(1)?);
                    let count = usize::from(rest.u8(5)?);
                    if count > 0 {
                        put!(self, "\n\t  OID length {count}: ");
                        self.printable(rest.tail(6).head(count));
                    }
                }
            }
            127 if verbose => {
                if value.len() < 3 {
                    self.invalid();
                    return Ok(Stop::Yes);
                }
                let maker = value.u24(0)?;
                let text = match maker {
                    0x80c2 => "Ethernet bridged",
                    0x120f => "IEEE 802.3 Private",
                    0x12bb => "ANSI/TIA",
                    0x1b21 => "Juniper",
                    _ => crate::addr::oui(maker),
                };
                put!(self, ": OUI {text} (0x{maker:06x})");
                self.lldp_private(maker, value)?;
            }
            0 => {}
            _ if verbose && !matches!(kind, 1..=8 | 127) => self.hex_lines("\n\t  ", value),
            _ => {}
        }
        if self.v() > 1 && !value.is_empty() {
            self.hex_lines("\n\t  ", value);
        }
        Ok(Stop::No)
    }

    fn lldp_id(&mut self, kind: u16, value: &[u8]) -> Res {
        const CHASSIS: Names = names![
            (1, "Chassis component"),
            (2, "Interface alias"),
            (3, "Port component"),
            (4, "MAC address"),
            (5, "Network address"),
            (6, "Interface name"),
            (7, "Local"),
        ];
        const PORTS: Names = names![
            (1, "Interface alias"),
            (2, "Port component"),
            (3, "MAC address"),
            (4, "Network Address"),
            (5, "Interface Name"),
            (6, "Agent circuit ID"),
            (7, "Local"),
        ];
        let subtype = value.u8(0)?;
        let (table, mac, network) = if kind == 1 { (CHASSIS, 4, 5) } else { (PORTS, 3, 4) };
        put!(self, "\n\t  Subtype {} ({subtype})", name(table, subtype).unwrap_or("Unknown"));
        let rest = value.tail(1);
        if subtype == mac {
            self.text(": ");
            self.mac(rest, 0)
        } else if subtype == network {
            self.lldp_address(rest)
        } else if (1..=7).contains(&subtype) {
            self.text(": ");
            self.string(rest);
            Ok(())
        } else {
            self.hex_lines("\n\t  ", rest);
            Ok(())
        }
    }

    /// An address after its family (IANA address family numbers).
    fn lldp_address(&mut self, value: &[u8]) -> Res {
        match (value.u8(0)?, value.len()) {
            (1, 5..) => self.ip4_after(", AFI IPv4 (1): ", value, 1),
            (2, 17..) => self.ip6_after(", AFI IPv6 (2): ", value, 1),
            (6, 7..) => {
                self.text(", AFI 802 (6): ");
                self.mac(value, 1)
            }
            (family, _) => {
                put!(self, ", AFI Unknown ({family}), no AF printer !");
                Ok(())
            }
        }
    }

    fn lldp_private(&mut self, maker: u32, value: &[u8]) -> Res {
        if value.len() < 4 {
            return Ok(());
        }
        const BRIDGE: Names = names![
            (1, "Port VLAN Id"),
            (2, "Port and Protocol VLAN ID"),
            (3, "VLAN name"),
            (4, "Protocol Identity"),
            (7, "Link aggregation"),
        ];
        const ETHERNET: Names = names![
            (1, "MAC/PHY configuration/status"),
            (2, "Power via MDI (Powered Devices)"),
            (3, "Link aggregation"),
            (4, "Max frame size"),
        ];
        let kind = value.u8(3)?;
        let table = match maker {
            0x80c2 => BRIDGE,
            0x120f => ETHERNET,
            _ => {
                self.hex_lines("\n\t    ", value.tail(3));
                return Ok(());
            }
        };
        put!(self, "\n\t  {} Subtype ({kind})", name(table, kind).unwrap_or("unknown"));
        match (maker, kind) {
            (0x80c2, 1) if value.len() >= 6 => put!(self, "\n\t    port vlan id (PVID): {}", value.u16(4)?),
            (0x80c2, 3) if value.len() >= 7 => {
                put!(self, "\n\t    vlan id (VID): {}", value.u16(4)?);
                self.text("\n\t    vlan name: ");
                let size = usize::from(value.u8(6)?);
                self.printable(value.tail(7).head(size));
            }
            (0x120f, 4) if value.len() >= 6 => put!(self, "\n\t    MTU size {}", value.u16(4)?),
            _ => {}
        }
        Ok(())
    }

    /// Link aggregation and its like (IEEE 802.3 annex 57A): which, and how long.
    pub(crate) fn slow(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "slow";
        const KINDS: Names = names![(1, "LACP"), (2, "MARKER"), (3, "OAM")];
        if length < 1 {
            self.invalid();
            return Ok(());
        }
        let kind = p.u8(0)?;
        if matches!(kind, 1 | 2) {
            let version = p.u8(1)?;
            if version != 1 {
                put!(self, "{} version {version} packet not supported", name(KINDS, kind).unwrap_or_default());
                return Ok(());
            }
        }
        put!(self, "{}", name(KINDS, kind).unwrap_or("unknown"));
        if name(KINDS, kind).is_none() {
            put!(self, " ({kind})");
        }
        if matches!(kind, 1 | 2) {
            put!(self, "v{}", p.u8(1)?);
        }
        put!(self, ", length {length}");
        if self.v() == 0 && name(KINDS, kind).is_some() {
            return Ok(());
        }
        if kind != 1 {
            self.hex_lines("\n\t", p.head(length));
            return Ok(());
        }
        let mut at = 2;
        while at + 2 <= length {
            let (tlv, size) = (p.u8(at)?, usize::from(p.u8(at + 1)?));
            const TLVS: Names = names![
                (0, "Terminator"),
                (1, "Actor Information"),
                (2, "Partner Information"),
                (3, "Collector Information"),
            ];
            put!(self, "\n\t{} TLV (0x{tlv:02x}), length {size}", name(TLVS, tlv).unwrap_or("Unknown"));
            if tlv == 0 {
                break;
            }
            if size < 2 || at + size > length {
                self.invalid();
                return Ok(());
            }
            let value = p.part(at + 2, size - 2)?;
            match (tlv, size) {
                (1 | 2, 20) => {
                    self.text("\n\t  System ");
                    self.mac(value, 2)?;
                    put!(self, ", System Priority {}, Key {}", value.u16(0)?, value.u16(8)?);
                    put!(self, ", Port {}, Port Priority {}\n\t  State Flags [", value.u16(12)?, value.u16(10)?);
                    let table: Names = names![
                        (1, "Activity"),
                        (2, "Timeout"),
                        (4, "Aggregation"),
                        (8, "Synchronization"),
                        (16, "Collecting"),
                        (32, "Distributing"),
                        (64, "Default"),
                        (128, "Expired"),
                    ];
                    self.bits(table, u32::from(value.u8(14)?), ", ");
                    self.text("]");
                }
                (3, 16) => put!(self, "\n\t  Max Delay {}", value.u16(0)?),
                _ => {}
            }
            at += size;
        }
        Ok(())
    }

    /// TFTP (RFC 1350, RFC 2347).
    pub(crate) fn tftp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "tftp";
        const CODES: Names = names![(1, "RRQ"), (2, "WRQ"), (3, "DATA"), (4, "ACK"), (5, "ERROR"), (6, "OACK")];
        const ERRORS: Names = names![
            (0, "EUNDEF"),
            (1, "ENOTFOUND"),
            (2, "EACCESS"),
            (3, "ENOSPACE"),
            (4, "EBADOP"),
            (5, "EBADID"),
            (6, "EEXISTS"),
            (7, "ENOUSER"),
        ];
        put!(self, "TFTP, length {length}");
        if length < 2 {
            self.truncated();
            return Ok(());
        }
        let code = p.u16(0)?;
        match name(CODES, code) {
            Some(text) => put!(self, ", {text}"),
            None => {
                put!(self, ", tftp-#{code}");
                return Ok(());
            }
        }
        let mut rest = p.head(length).tail(2);
        match code {
            1 | 2 => {
                if length == 2 {
                    self.truncated();
                    return Ok(());
                }
                self.text(" \"");
                let ended = self.tftp_word(&mut rest);
                self.text("\"");
                if !ended {
                    self.truncated();
                    return Ok(());
                }
                if rest.is_empty() {
                    if p.len() < length {
                        self.text(" ");
                    }
                    self.truncated();
                    return Ok(());
                }
                self.text(" ");
                if !self.tftp_word(&mut rest) {
                    self.truncated();
                    return Ok(());
                }
                while !rest.is_empty() {
                    if rest.first() != Some(&0) {
                        self.text(" ");
                    }
                    if !self.tftp_word(&mut rest) {
                        self.truncated();
                        return Ok(());
                    }
                }
            }
            6 => {
                while !rest.is_empty() {
                    if rest.first() != Some(&0) {
                        self.text(" ");
                    }
                    if !self.tftp_word(&mut rest) {
                        self.truncated();
                        return Ok(());
                    }
                }
            }
            3 | 4 => {
                if length < 4 {
                    self.truncated();
                    return Ok(());
                }
                put!(self, " block {}", p.u16(2)?);
            }
            _ => {
                if length < 4 {
                    self.truncated();
                    return Ok(());
                }
                let error = p.u16(2)?;
                self.text(" ");
                match name(ERRORS, error) {
                    Some(text) => self.text(text),
                    None => put!(self, "tftp-err-#{error} \""),
                }
                let mut rest = p.head(length).tail(4);
                if rest.is_empty() {
                    self.truncated();
                    return Ok(());
                }
                self.text(" \"");
                let ended = self.tftp_word(&mut rest);
                self.text("\"");
                if !ended {
                    self.truncated();
                }
            }
        }
        Ok(())
    }

    fn tftp_word(&mut self, rest: &mut &[u8]) -> bool {
        let ended = self.string(rest);
        let used = rest.iter().position(|byte| *byte == 0).map_or(rest.len(), |at| at + 1);
        *rest = rest.tail(used);
        ended
    }

    /// Key exchange (RFC 7296): the header, and the kinds of payload.
    pub(crate) fn isakmp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "isakmp";
        const EXCHANGES1: Names = names![
            (0, "none"),
            (1, "base"),
            (2, "ident"),
            (3, "auth"),
            (4, "agg"),
            (5, "inf"),
            (32, "oakley-quick"),
            (33, "oakley-newgroup"),
        ];
        const EXCHANGES2: Names = names![(34, "ikev2_init"), (35, "ikev2_auth"), (36, "child_sa"), (37, "inf2")];
        p.part(0, 28)?;
        let version = p.u8(17)?;
        let (major, minor) = (version >> 4, version & 15);
        if self.v() > 0 {
            put!(self, "isakmp {major}.{minor}");
        } else {
            put!(self, "isakmp");
        }
        let message = p.u32(20)?;
        if self.v() > 0 {
            self.text(" msgid ");
            put!(self, "{message:08x}");
            if self.v() > 1 {
                self.text(" cookie ");
                self.hex(p.part(0, 8)?);
                self.text("->");
                self.hex(p.part(8, 8)?);
            }
        }
        self.text(":");
        let kind = p.u8(18)?;
        let flags = p.u8(19)?;
        match major {
            1 => {
                let initiator = p.part(8, 8)?.iter().all(|byte| *byte == 0);
                put!(self, " phase {}", if message == 0 { "1" } else { "2/others" });
                put!(self, " {}", if initiator { "I" } else { "?" });
                self.text(" ");
                self.named(EXCHANGES1, kind, "#");
                if flags & 3 != 0 {
                    put!(self, "[{}{}]", if flags & 1 != 0 { "E" } else { "" }, if flags & 2 != 0 { "C" } else { "" });
                }
            }
            2 => {
                put!(self, " {} ", if message == 0 { "parent_sa" } else { "child_sa " });
                self.named(EXCHANGES2, kind, "#");
                put!(
                    self,
                    "[{}{}{}]",
                    if flags & 8 != 0 { "I" } else { "" },
                    if flags & 16 != 0 { "V" } else { "" },
                    if flags & 32 != 0 { "R" } else { "" }
                );
            }
            _ => return Ok(()),
        }
        let claimed = p.u32(24)? as usize;
        if self.v() > 0 && claimed != length {
            put!(self, " (len mismatch: isakmp {claimed}/ip {length})");
        }
        Ok(())
    }

    /// The same on port 4500, beside ESP and keep-alives (RFC 3948).
    pub(crate) fn isakmp_natt(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "isakmp_rfc3948";
        if length == 1 && p.u8(0)? == 0xff {
            self.text("isakmp-nat-keep-alive");
            return Ok(());
        }
        if length < 4 {
            self.truncated();
            return Ok(());
        }
        if p.u32(0)? == 0 {
            self.text("NONESP-encap: ");
            let result = self.isakmp(p.tail(4), length - 4);
            return self.contained(result);
        }
        self.text("UDP-encap: ");
        self.esp(p, length)
    }

    /// Cisco's hot standby (RFC 2281).
    pub(crate) fn hsrp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "hsrp";
        const OPERATIONS: Names = names![(0, "hello"), (1, "coup"), (2, "resign")];
        const STATES: Names =
            names![(0, "initial"), (1, "learn"), (2, "listen"), (4, "speak"), (8, "standby"), (16, "active")];
        let version = p.u8(0)?;
        put!(self, "HSRPv{version}");
        if version != 0 {
            return Ok(());
        }
        self.text("-");
        let operation = p.u8(1)?;
        match name(OPERATIONS, operation) {
            Some(text) => put!(self, "{text} "),
            None => put!(self, "unknown ({operation}) "),
        }
        put!(self, "{length}: ");
        let state = p.u8(2)?;
        self.text("state=");
        match name(STATES, state) {
            Some(text) => put!(self, "{text} "),
            None => put!(self, "Unknown ({state}) "),
        }
        put!(self, "group={} ", p.u8(6)?);
        if p.u8(7)? != 0 {
            put!(self, "reserved=0x{:x} ", p.u8(7)?);
        }
        self.ip4_after("addr=", p, 16)?;
        if self.v() > 0 {
            self.text(" hellotime=");
            self.relative_time(u32::from(p.u8(3)?));
            self.text(" holdtime=");
            self.relative_time(u32::from(p.u8(4)?));
            put!(self, " priority={} auth=\"", p.u8(5)?);
            self.string(p.part(8, 8)?);
            self.text("\"");
        }
        Ok(())
    }

    /// Bidirectional forwarding detection (RFC 5880).
    pub(crate) fn bfd(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "bfd";
        let first = p.u8(0)?;
        let version = first >> 5;
        if version <= 1 {
            p.part(0, 24)?;
        }
        let second = p.u8(1)?;
        if version > 1 {
            put!(self, "BFDv{version}, ");
            self.text("unknown version");
            return Ok(());
        }
        const STATES: [&str; 4] = ["AdminDown", "Down", "Init", "Up"];
        const REASONS: Names = names![
            (0, "No Diagnostic"),
            (1, "Control Detection Time Expired"),
            (2, "Echo Function Failed"),
            (3, "Neighbor Signaled Session Down"),
            (4, "Forwarding Plane Reset"),
            (5, "Path Down"),
            (6, "Concatenated Path Down"),
            (7, "Administratively Down"),
            (8, "Reverse Concatenated Path Down"),
        ];
        let text = if version == 0 {
            if second & 0x80 != 0 { "I Hear You" } else { "" }
        } else {
            STATES.get(usize::from(second >> 6)).copied().unwrap_or_default()
        };
        if self.v() > 0 {
            put!(self, "BFDv{version}, length: {length}\n\tControl, State {text}, Flags: [");
        } else {
            put!(self, "BFDv{version}, Control, State {text}, Flags: [");
        }
        let table: Names = names![
            (0x20, "Poll"),
            (0x10, "Final"),
            (8, "Control Plane Independent"),
            (4, "Authentication Present"),
            (2, "Demand"),
            (1, "Multipoint"),
        ];
        self.bits(table, u32::from(second & 0x3f), ", ");
        if self.v() == 0 {
            put!(self, "], length: {length}");
            return Ok(());
        }
        let reason = first & 31;
        put!(self, "], Diagnostic: {} (0x{reason:02x})", name(REASONS, reason).unwrap_or("unknown"));
        let multiplier = u32::from(p.u8(2)?);
        let detection = p.u32(12)?.wrapping_mul(multiplier) / 1000;
        put!(self, "\n\tDetection Timer Multiplier: {multiplier} ({detection} ms Detection time), ");
        put!(self, "BFD Length: {}", p.u8(3)?);
        put!(self, "\n\tMy Discriminator: 0x{:08x}, Your Discriminator: 0x{:08x}", p.u32(4)?, p.u32(8)?);
        for (at, title) in [
            (12, "Desired min Tx Interval:   "),
            (16, "Required min Rx Interval:  "),
            (20, "Required min Echo Interval:"),
        ] {
            put!(self, "\n\t  {title} {:4} ms", p.u32(at)? / 1000);
        }
        let _ = length;
        Ok(())
    }

    /// BFD's echo packets say nothing to others.
    pub(crate) fn bfd_echo(&mut self, _p: &[u8], length: usize) -> Res {
        self.proto = "bfd";
        put!(self, "BFD, Echo, length: {length}");
        Ok(())
    }

    /// Label distribution (RFC 5036): the session it belongs to.
    pub(crate) fn ldp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "ldp";
        if length < 10 {
            return Ok(());
        }
        p.part(0, 10)?;
        let version = p.u16(0)?;
        if version != 1 {
            put!(self, "{}LDP version {version} packet not supported", if self.v() > 0 { "\n\t" } else { "" });
            return Ok(());
        }
        put!(self, "{}LDP, Label-Space-ID: ", if self.v() > 0 { "\n\t" } else { "" });
        self.ip4(p, 4)?;
        put!(self, ":{}, pdu-length: {}", p.u16(8)?, p.u16(2)?);
        Ok(())
    }

    /// Multicast source discovery (RFC 3618): kinds of message.
    pub(crate) fn msdp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "msdp";
        self.text(": ");
        let mut at = 0;
        let mut left = length;
        self.text("msdp:");
        while left > 0 {
            let (kind, size) = (p.u8(at)?, usize::from(p.u16(at + 1)?));
            if size < 3 {
                self.truncated();
                return Ok(());
            }
            if size > 1400 || self.v() > 0 {
                put!(self, " [len {size}]");
            }
            match kind {
                1 => put!(self, " SA {} entries", p.u8(at + 3)?),
                2 => self.text(" SA-Request"),
                3 => self.text(" SA-Response"),
                4 => self.text(" Keepalive"),
                5 => self.text(" Notification"),
                _ => put!(self, " [type={kind} len={size}]"),
            }
            if left < size {
                self.truncated();
                return Ok(());
            }
            at += size;
            left -= size;
        }
        Ok(())
    }
}

/// Whether a list ends here.
#[derive(PartialEq, Eq)]
enum Stop {
    Yes,
    No,
}
