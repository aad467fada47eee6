//! RADIUS (RFC 2865, RFC 2866, RFC 2869, RFC 3162, RFC 5176).

use crate::fetch::{Fetch, Names, Res, name, names};
use crate::{Printer, put};

const CODES: Names = names![
    (1, "Access-Request"),
    (2, "Access-Accept"),
    (3, "Access-Reject"),
    (4, "Accounting-Request"),
    (5, "Accounting-Response"),
    (11, "Access-Challenge"),
    (12, "Status-Server"),
    (13, "Status-Client"),
    (40, "Disconnect-Request"),
    (41, "Disconnect-ACK"),
    (42, "Disconnect-NAK"),
    (43, "CoA-Request"),
    (44, "CoA-ACK"),
    (45, "CoA-NAK"),
    (255, "Reserved"),
];

/// Attributes: number, how the value is shown, name. Text `t`, number `n`, address `a` and `6`, time `d`, bytes `x`.
const ATTRIBUTES: &[(u8, u8, &str)] = &[
    (1, b't', "User-Name"),
    (2, b'-', "User-Password"),
    (3, b'-', "CHAP-Password"),
    (4, b'a', "NAS-IP-Address"),
    (5, b'n', "NAS-Port"),
    (6, b's', "Service-Type"),
    (7, b'f', "Framed-Protocol"),
    (8, b'a', "Framed-IP-Address"),
    (9, b'a', "Framed-IP-Network"),
    (10, b'n', "Framed-Routing"),
    (11, b't', "Filter-Id"),
    (12, b'n', "Framed-MTU"),
    (13, b'n', "Framed-Compression"),
    (14, b'a', "Login-IP-Host"),
    (15, b'n', "Login-Service"),
    (16, b'n', "Login-TCP-Port"),
    (18, b't', "Reply-Message"),
    (19, b't', "Callback-Number"),
    (20, b't', "Callback-Id"),
    (22, b't', "Framed-Route"),
    (23, b'n', "Framed-IPX-Network"),
    (24, b't', "State"),
    (25, b't', "Class"),
    (26, b'v', "Vendor-Specific"),
    (27, b'n', "Session-Timeout"),
    (28, b'n', "Idle-Timeout"),
    (29, b'n', "Termination-Action"),
    (30, b't', "Called-Station-Id"),
    (31, b't', "Calling-Station-Id"),
    (32, b't', "NAS-Identifier"),
    (33, b't', "Proxy-State"),
    (34, b't', "Login-LAT-Service"),
    (35, b't', "Login-LAT-Node"),
    (36, b't', "Login-LAT-Group"),
    (40, b'c', "Acct-Status-Type"),
    (41, b'n', "Acct-Delay-Time"),
    (42, b'n', "Acct-Input-Octets"),
    (43, b'n', "Acct-Output-Octets"),
    (44, b't', "Acct-Session-Id"),
    (45, b'n', "Acct-Authentic"),
    (46, b'n', "Acct-Session-Time"),
    (47, b'n', "Acct-Input-Packets"),
    (48, b'n', "Acct-Output-Packets"),
    (49, b'n', "Acct-Terminate-Cause"),
    (50, b't', "Acct-Multi-Session-Id"),
    (51, b'n', "Acct-Link-Count"),
    (52, b'n', "Acct-Input-Gigawords"),
    (53, b'n', "Acct-Output-Gigawords"),
    (55, b'd', "Event-Timestamp"),
    (60, b't', "CHAP-Challenge"),
    (61, b'p', "NAS-Port-Type"),
    (62, b'n', "Port-Limit"),
    (63, b't', "Login-LAT-Port"),
    (77, b't', "Connect-Info"),
    (79, b'-', "EAP-Message"),
    (80, b't', "Message-Authenticator"),
    (85, b'n', "Acct-Interim-Interval"),
    (87, b't', "NAS-Port-Id"),
    (88, b't', "Framed-Pool"),
    (95, b'6', "NAS-IPv6-Address"),
    (98, b'6', "Login-IPv6-Host"),
];

const SERVICES: [&str; 11] = [
    "Login",
    "Framed",
    "Callback Login",
    "Callback Framed",
    "Outbound",
    "Administrative",
    "NAS Prompt",
    "Authenticate Only",
    "Callback NAS Prompt",
    "Call Check",
    "Callback Administrative",
];
const FRAMINGS: [&str; 6] = ["PPP", "SLIP", "ARAP", "Gandalf proprietary", "Xylogics IPX/SLIP", "X.75 Synchronous"];
const STATUSES: [&str; 3] = ["Start", "Stop", "Interim-Update"];
const PORTS: [&str; 20] = [
    "Async",
    "Sync",
    "ISDN Sync",
    "ISDN Async V.120",
    "ISDN Async V.110",
    "Virtual",
    "PIAFS",
    "HDLC Clear Channel",
    "X.25",
    "X.75",
    "G.3 Fax",
    "SDSL",
    "ADSL-CAP",
    "ADSL-DMT",
    "ID-SL",
    "Ethernet",
    "xDSL",
    "Cable",
    "Wireless - Other",
    "Wireless - IEEE 802.11",
];

impl Printer {
    /// One packet.
    pub(crate) fn radius(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "radius";
        if !p.holds(20) {
            self.truncated();
            return Ok(());
        }
        let claimed = usize::from(p.u16(2)?);
        if claimed < 20 {
            self.truncated();
            return Ok(());
        }
        let size = claimed.min(length);
        let code = p.u8(0)?;
        let text = name(CODES, code).unwrap_or("Unknown Command");
        if self.v() == 0 {
            put!(self, "RADIUS, {text} ({code}), id: 0x{:02x} length: {size}", p.u8(1)?);
            return Ok(());
        }
        put!(self, "RADIUS, length: {size}\n\t{text} ({code}), id: 0x{:02x}, Authenticator: ", p.u8(1)?);
        self.hex(p.part(4, 16)?);
        let mut at = 20;
        while at < size {
            if size - at < 2 || p.tail(at).len() < 2 {
                self.truncated();
                return Ok(());
            }
            let (kind, count) = (p.u8(at)?, usize::from(p.u8(at + 1)?));
            let found = ATTRIBUTES.iter().find(|entry| entry.0 == kind);
            let title = found.map_or("Unknown", |entry| entry.2);
            put!(self, "\n\t  {title} Attribute ({kind}), length: {count}");
            if count < 2 {
                self.text(" (bogus, must be >= 2)");
                return Ok(());
            }
            if count > size - at {
                self.text(" (bogus, goes past end of packet)");
                return Ok(());
            }
            self.text(", Value: ");
            let value = p.tail(at + 2).head(count - 2);
            if count > 2
                && let Some((_, format, _)) = found
            {
                if value.len() < count - 2 {
                    self.truncated();
                    return Ok(());
                }
                self.radius_value(*format, value)?;
            }
            if self.v() > 1 {
                self.hex_lines("\n\t    ", value);
            }
            at += count;
        }
        Ok(())
    }

    fn radius_value(&mut self, format: u8, value: &[u8]) -> Res {
        let wanted = match format {
            b'a' | b'n' | b's' | b'f' | b'c' | b'p' | b'd' => 4,
            b'6' => 16,
            _ => value.len(),
        };
        if value.len() != wanted {
            put!(self, "ERROR: length {} != {wanted}", value.len());
            return Ok(());
        }
        match format {
            b't' => self.printable(value),
            b'a' => match value.u32(0)? {
                u32::MAX => self.text("User Selected"),
                0xffff_fffe => self.text("NAS Select"),
                _ => self.ip4(value, 0)?,
            },
            b'6' => self.ip6(value, 0)?,
            b'n' => put!(self, "{}", value.u32(0)?),
            b'd' => {
                let civil = netkit_core::civil_from_unix(i64::from(value.u32(0)?));
                put!(self, "{} {} {:2} ", civil.weekday_name(), civil.month_name(), civil.day);
                put!(self, "{:02}:{:02}:{:02} {}", civil.hour, civil.minute, civil.second, civil.year);
            }
            b's' | b'f' | b'c' | b'p' => {
                let number = value.u32(0)?;
                let (table, first): (&[&str], u32) = match format {
                    b's' => (&SERVICES, 1),
                    b'f' => (&FRAMINGS, 1),
                    b'c' => (&STATUSES, 1),
                    _ => (&PORTS, 0),
                };
                let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
                match index.and_then(|index| table.get(index)) {
                    Some(text) => self.text(text),
                    None => put!(self, "#{number}"),
                }
            }
            b'v' => {
                if value.len() < 4 {
                    self.truncated();
                    return Ok(());
                }
                let vendor = value.u32(0)?;
                const VENDORS: Names = names![
                    (0, "IETF (reserved)"),
                    (5, "ACC"),
                    (9, "Cisco"),
                    (42, "Sun Microsystems"),
                    (166, "Shiva Corporation"),
                    (307, "Livingston"),
                    (311, "Microsoft"),
                    (429, "3Com"),
                    (529, "Ascend"),
                    (1584, "Bay"),
                    (2334, "Foundry"),
                    (10415, "3GPP"),
                ];
                put!(self, "Vendor: {} ({vendor})", name(VENDORS, vendor).unwrap_or("Unknown"));
                let mut rest = value.tail(4);
                while rest.len() >= 2 {
                    let (kind, count) = (rest.u8(0)?, usize::from(rest.u8(1)?));
                    put!(self, "\n\t    Vendor Attribute: {kind}, Length: {count}");
                    if count < 2 {
                        self.text(" (bogus, must be >= 2)");
                        return Ok(());
                    }
                    if count > rest.len() {
                        self.text(" (bogus, goes past end of vendor-specific attribute)");
                        return Ok(());
                    }
                    self.text(", Value: ");
                    for byte in rest.part(2, count - 2)? {
                        let shown = if (0x20..0x7f).contains(byte) { *byte } else { b'.' };
                        self.out.push(shown);
                    }
                    rest = rest.tail(count);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
