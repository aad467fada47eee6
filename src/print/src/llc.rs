//! IEEE 802.2 logical link control, SNAP, and spanning trees (IEEE 802.1D, 802.1w).

use crate::addr::OUIS;
use crate::fetch::{Fetch, Names, Res, name, names};
use crate::frame::Ends;
use crate::{Printer, ethertype, put};

const POINTS: Names = names![
    (0x00, "Null"),
    (0x02, "802.1B I"),
    (0xff, "Global"),
    (0xfe, "OSI"),
    (0xaa, "SNAP"),
    (0xf0, "NetBeui"),
    (0x42, "STP"),
    (0xe0, "IPX"),
    (0x06, "IP"),
    (0x0e, "ProWay NM"),
    (0x4e, "RS511"),
    (0x7e, "X.25"),
    (0x8e, "ProWay ASL"),
    (0xaa, "SNAP"),
    (0x04, "SNA"),
];

const COMMANDS: Names = names![
    (0x03, "ui"),
    (0xe3, "test"),
    (0xaf, "xid"),
    (0x6f, "sabme"),
    (0x43, "disc"),
    (0x63, "ua"),
    (0x87, "frmr"),
    (0x0f, "dm"),
];

const CISCO: Names = names![
    (0x2000, "CDP"),
    (0x2004, "DTP"),
    (0x0111, "UDLD"),
    (0x2003, "VTP"),
    (0x010b, "PVST"),
    (0x010c, "VLAN Bridge")
];

impl Printer {
    /// What follows a length field; how long its headers are, and whether the rest has been printed.
    pub(crate) fn llc(&mut self, p: &[u8], length: usize, ends: Ends<'_>) -> Res<(usize, bool)> {
        self.proto = "llc";
        if p.len() < 3 {
            self.truncated();
            self.hex_and_ascii("\n\t", p);
            return Ok((p.len(), true));
        }
        if length < 3 {
            self.truncated();
            self.hex_and_ascii("\n\t", p);
            return Ok((p.len(), true));
        }
        let (to, from) = (p.u8(0)?, p.u8(1)?);
        let mut control = u16::from(p.u8(2)?);
        let unnumbered = control & 3 == 3;
        let mut header = 3;
        if !unnumbered {
            if p.len() < 4 || length < 4 {
                self.truncated();
                self.hex_and_ascii("\n\t", p);
                return Ok((p.len(), true));
            }
            control = p.le16(2)?;
            header = 4;
        }
        if to == 0xff && from == 0xff {
            if self.options.link_header {
                self.text("IPX 802.3: ");
            }
            self.ipx(p, length)?;
            return Ok((0, true));
        }
        let (destination, source) = (to & 0xfe, from & 0xfe);
        if self.options.link_header {
            let group = if to & 1 == 0 { "Individual" } else { "Group" };
            let response = if from & 1 == 0 { "Command" } else { "Response" };
            let (a, b) = (name(POINTS, destination).unwrap_or("Unknown"), name(POINTS, source).unwrap_or("Unknown"));
            put!(self, "LLC, dsap {a} (0x{destination:02x}) {group}, ssap {b} (0x{source:02x}) {response}");
            if unnumbered {
                put!(self, ", ctrl 0x{control:02x}: ");
            } else {
                put!(self, ", ctrl 0x{control:04x}: ");
            }
        }
        let (data, rest) = (p.tail(header), length - header);
        if control == 3 && source == destination {
            match source {
                0xaa => {
                    let known = self.snap(data, rest, ends)?;
                    return Ok((header + 5, known));
                }
                0x42 => {
                    self.stp(data, rest)?;
                    return Ok((header, true));
                }
                0x06 => {
                    self.ipv4(data, rest)?;
                    return Ok((header, true));
                }
                0xe0 => {
                    if self.options.link_header {
                        self.text("IPX 802.2: ");
                    }
                    self.ipx(data, rest)?;
                    return Ok((header, true));
                }
                0xfe => {
                    self.osi(data, rest)?;
                    return Ok((header, true));
                }
                _ => {}
            }
        }
        if !self.options.link_header {
            self.llc_addresses(source, destination, ends);
        }
        let flag = |poll: bool| match (from & 1 != 0, poll) {
            (false, false) => "Command",
            (true, false) => "Response",
            (false, true) => "Poll",
            (true, true) => "Final",
        };
        let whole = rest + header;
        if unnumbered {
            let command = control & 0xef;
            self.text("Unnumbered, ");
            match name(COMMANDS, command) {
                Some(text) => self.text(text),
                None => put!(self, "{command:02x}"),
            }
            put!(self, ", Flags [{}], length {whole}", flag(control & 0x10 != 0));
            if command == 0xaf {
                if rest == 0 {
                    return Ok((header, true));
                }
                if data.is_empty() {
                    self.truncated();
                    return Ok((header, true));
                }
                if data.u8(0)? == 0x81 {
                    if data.len() < 3 || rest < 3 {
                        self.truncated();
                        self.hex_and_ascii("\n\t", data);
                    } else {
                        put!(self, ": {:02x} {:02x}", data.u8(1)?, data.u8(2)?);
                    }
                    return Ok((header, true));
                }
            }
            return Ok((header, false));
        }
        let receive = control >> 9 & 0x7f;
        let flag = flag(control & 0x100 != 0);
        if control & 3 == 1 {
            const KINDS: Names = names![(0, "Receiver Ready"), (1, "Receiver not Ready"), (2, "Reject")];
            let kind = name(KINDS, control >> 2 & 3).unwrap_or("?");
            put!(self, "Supervisory, {kind}, rcv seq {receive}, Flags [{flag}], length {whole}");
            return Ok((header, true));
        }
        let send = control >> 1 & 0x7f;
        put!(self, "Information, send seq {send}, rcv seq {receive}, Flags [{flag}], length {whole}");
        Ok((header, false))
    }

    fn llc_addresses(&mut self, source: u8, destination: u8, ends: Ends<'_>) {
        let known = !ends.source.is_empty();
        if known {
            self.link_address(ends.source);
            self.text(" ");
        }
        if source == destination {
            if known {
                self.text("> ");
                self.link_address(ends.destination);
                self.text(" ");
            }
        } else {
            match name(POINTS, source) {
                Some(text) => self.text(text),
                None => put!(self, "Unknown SSAP 0x{source:02x}"),
            }
            self.text(" > ");
            if known {
                self.link_address(ends.destination);
                self.text(" ");
            }
        }
        match name(POINTS, destination) {
            Some(text) => self.text(text),
            None => put!(self, "Unknown DSAP 0x{destination:02x}"),
        }
        self.text(" ");
    }

    /// Sub-network access protocol; whether the rest has been printed.
    pub(crate) fn snap(&mut self, p: &[u8], length: usize, ends: Ends<'_>) -> Res<bool> {
        self.proto = "snap";
        if p.len() < 5 || length < 5 {
            self.truncated();
            return Ok(true);
        }
        let (organization, kind) = (p.u24(0)?, p.u16(3)?);
        let table = match organization {
            0 | 0xf8 => ethertype::NAMES,
            0x0c => CISCO,
            _ => names![],
        };
        let title = name(table, kind).unwrap_or("Unknown");
        let maker = OUIS.iter().find(|entry| entry.0 == organization).map_or("Unknown", |entry| entry.1);
        let (data, rest) = (p.tail(5), length - 5);
        if self.options.link_header {
            let what = if organization == 0 { "ethertype" } else { "pid" };
            put!(self, "oui {maker} (0x{organization:06x}), {what} {title} (0x{kind:04x}), length {rest}: ");
        }
        match (organization, kind) {
            (0 | 0xf8, _) if self.ethertype(kind, data, rest, ends)? => {
                return Ok(true);
            }
            (0x0c, 0x010b | 0x010c) => {
                self.stp(data, rest)?;
                return Ok(true);
            }
            (0x0c, 0x2000) => {
                self.cdp(data, rest)?;
                return Ok(true);
            }
            (0x80c2, 1 | 7) => {
                data.part(0, 2)?;
                self.ethernet(data.tail(2), rest.saturating_sub(2))?;
                return Ok(true);
            }
            (0x80c2, 14) => {
                self.stp(data, rest)?;
                return Ok(true);
            }
            _ => {}
        }
        if !self.options.link_header {
            if !ends.source.is_empty() {
                self.link_address(ends.source);
                self.text(" > ");
                self.link_address(ends.destination);
                self.text(" ");
            }
            if organization == 0 {
                put!(self, "SNAP, ethertype {title} (0x{kind:04x}), length {rest}: ");
            } else {
                put!(self, "SNAP, oui {maker} (0x{organization:06x}), pid {title} (0x{kind:04x}), length {rest}: ");
            }
        }
        Ok(false)
    }

    /// IPX: addresses and length.
    pub(crate) fn ipx(&mut self, p: &[u8], _length: usize) -> Res {
        self.proto = "ipx";
        if !self.options.link_header {
            self.text("IPX ");
        }
        p.part(0, 30)?;
        for (network, node, socket, after) in [(18, 22, 28, " > "), (6, 10, 16, ": ")] {
            put!(self, "{:08x}.", p.u32(network)?);
            self.mac_plain(p.part(node, 6)?);
            put!(self, ".{:04x}{after}", p.u16(socket)?);
        }
        let claimed = usize::from(p.u16(2)?);
        if claimed < 30 {
            self.invalid();
            return Ok(());
        }
        put!(self, "ipx-#{:x} {}", p.u16(16)?, claimed - 30);
        Ok(())
    }

    /// ISO network protocols: which one.
    pub(crate) fn osi(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "isoclns";
        const KINDS: Names =
            names![(0x81, "CLNP"), (0x82, "ES-IS"), (0x83, "IS-IS"), (0x00, "NULLNS"), (0x08, "Q.933")];
        let kind = p.u8(0)?;
        if self.options.link_header {
            put!(self, "OSI NLPID {} (0x{kind:02x}): ", name(KINDS, kind).unwrap_or("Unknown"));
        }
        if kind == 0x83 && !p.holds(8) {
            self.proto = "isis";
            self.truncated();
            return Ok(());
        }
        match name(KINDS, kind) {
            Some(text) => put!(self, "{text}, length {length}"),
            None => {
                if !self.options.link_header {
                    self.text("OSI NLPID ");
                    put!(self, "0x{kind:02x} unknown, ");
                }
                put!(self, "length: {length}");
                self.unknown_data("\n\t", p, length);
            }
        }
        Ok(())
    }

    /// A bridge protocol data unit.
    pub(crate) fn stp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "stp";
        if length < 4 {
            self.invalid();
            return Ok(());
        }
        if p.u16(0)? != 0 {
            put!(self, "unknown STP version, length {length}");
            return Ok(());
        }
        let version = p.u8(2)?;
        let text = match version {
            0 => "802.1d",
            2 => "802.1w",
            3 => "802.1s",
            4 => "802.1aq",
            _ => "Unknown",
        };
        if text == "Unknown" {
            put!(self, "STP Unknown STP protocol (0x{version:02x})");
        } else {
            put!(self, "STP {text}");
        }
        if !matches!(version, 0 | 2..=4) {
            return Ok(());
        }
        let kind = p.u8(3)?;
        const KINDS: Names = names![(0, "Config"), (2, "Rapid STP"), (0x80, "Topology Change")];
        match name(KINDS, kind) {
            Some(text) => put!(self, ", {text}"),
            None => put!(self, ", Unknown BPDU Type (0x{kind:02x})"),
        }
        match kind {
            0 => {
                if length < 35 {
                    self.invalid();
                    return Ok(());
                }
                self.stp_config(p, length, false)
            }
            2 => {
                if length < 36 {
                    self.invalid();
                    return Ok(());
                }
                self.stp_config(p, length, true)
            }
            _ => Ok(()),
        }
    }

    fn stp_config(&mut self, p: &[u8], length: usize, rapid: bool) -> Res {
        let flags = p.u8(4)?;
        let table: Names = names![
            (0x01, "Topology change"),
            (0x02, "Proposal"),
            (0x10, "Learn"),
            (0x20, "Forward"),
            (0x40, "Agreement"),
            (0x80, "Topology change ACK"),
        ];
        self.text(", Flags [");
        self.bits(table, u32::from(flags), ", ");
        self.text("]");
        p.part(17, 10)?;
        self.text(", bridge-id ");
        self.bridge(p, 17)?;
        put!(self, ".{:04x}, length {length}", p.u16(25)?);
        if self.v() == 0 {
            return Ok(());
        }
        p.part(27, 8)?;
        self.text("\n\tmessage-age ");
        self.stp_time(p.u16(27)?);
        for (at, title) in [(29, "max-age"), (31, "hello-time"), (33, "forwarding-delay")] {
            put!(self, ", {title} ");
            self.stp_time(p.u16(at)?);
        }
        self.text("\n\troot-id ");
        self.bridge(p, 5)?;
        put!(self, ", root-pathcost {}", p.u32(13)?);
        if rapid {
            const ROLES: Names = names![(0, "Unknown"), (1, "Alternate"), (2, "Root"), (3, "Designated")];
            put!(self, ", port-role {}", name(ROLES, flags >> 2 & 3).unwrap_or("?unknown"));
        }
        Ok(())
    }

    fn bridge(&mut self, p: &[u8], at: usize) -> Res {
        put!(self, "{:04x}.", p.u16(at)?);
        self.mac_plain(p.part(at + 2, 6)?);
        Ok(())
    }

    /// 256ths of a second.
    fn stp_time(&mut self, time: u16) {
        let hundredths = (u32::from(time) * 100 + 128) / 256;
        put!(self, "{}.{:02}s", hundredths / 100, hundredths % 100);
    }

    /// Cisco discovery protocol: device and the fields of `-v`.
    fn cdp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "cdp";
        const FIELDS: Names = names![
            (1, "Device-ID"),
            (2, "Address"),
            (3, "Port-ID"),
            (4, "Capability"),
            (5, "Version String"),
            (6, "Platform"),
            (7, "Prefixes"),
            (8, "Protocol-Hello option"),
            (9, "VTP Management Domain"),
            (10, "Native VLAN ID"),
            (11, "Duplex"),
        ];
        if length < 4 {
            put!(self, " (packet length {length} < 4)");
            self.invalid();
            return Ok(());
        }
        put!(self, "CDPv{}, ttl: {}s", p.u8(0)?, p.u8(1)?);
        if self.v() > 0 {
            put!(self, ", checksum: 0x{:04x} (unverified), length {length}", p.u16(2)?);
        }
        let mut at = 4;
        while at < length {
            if length - at < 4 {
                put!(self, " (remaining packet length {} < 4)", length - at);
                self.invalid();
                return Ok(());
            }
            let (kind, size) = (p.u16(at)?, usize::from(p.u16(at + 2)?));
            if size < 4 {
                put!(self, " (TLV length {size} < 4)");
                self.invalid();
                return Ok(());
            }
            if at + size > length {
                put!(self, " (TLV length {size} > {})", length - at);
                self.invalid();
                p.part(0, length)?;
                return Ok(());
            }
            let value = p.part(at + 4, size - 4)?;
            let title = name(FIELDS, kind).unwrap_or("unknown field type");
            if self.v() > 0 {
                put!(
                    self,
                    "\n\t{title} (0x{kind:02x}), value length: {} byte{}: ",
                    size - 4,
                    if size == 5 { "" } else { "s" }
                );
                match kind {
                    1 | 3 | 6 | 9 => {
                        self.text("'");
                        self.printable(value);
                        self.text("'");
                    }
                    5 => {
                        self.text("\n\t  ");
                        for byte in value {
                            if *byte == b'\n' {
                                self.text("\n\t  ");
                            } else {
                                self.character(*byte);
                            }
                        }
                    }
                    10 if value.len() == 2 => put!(self, "{}", value.u16(0)?),
                    11 if value.len() == 1 => self.text(if value.u8(0)? != 0 { "full" } else { "half" }),
                    4 if value.len() == 4 => put!(self, "(0x{:08x})", value.u32(0)?),
                    _ => self.hex_lines("\n\t  ", value),
                }
            } else if kind == 1 {
                self.text(", Device-ID '");
                self.printable(value);
                self.text("'");
            }
            at += size;
        }
        if self.v() == 0 {
            put!(self, ", length {length}");
        }
        Ok(())
    }
}
