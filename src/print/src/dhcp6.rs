//! DHCPv6 (RFC 8415 and the options registry).

use crate::fetch::{Fetch, Names, Res, names};
use crate::{Printer, put};

/// Options: code, how the value is shown, name; see [`Printer::dhcp6_value`] for the letters.
const OPTIONS: &[(u16, u8, &str)] = &[
    (1, b'd', "client-ID"),
    (2, b'd', "server-ID"),
    (3, b'n', "IA_NA"),
    (4, b't', "IA_TA"),
    (5, b'a', "IA_ADDR"),
    (6, b'o', "option-request"),
    (7, b'1', "preference"),
    (8, b'2', "elapsed-time"),
    (9, b'r', "relay-message"),
    (11, b'A', "authentication"),
    (12, b'.', "server-unicast"),
    (13, b'c', "status-code"),
    (14, b'.', "rapid-commit"),
    (15, b'L', "user-class"),
    (16, b'.', "vendor-class"),
    (17, b'.', "vendor-specific-info"),
    (18, b'h', "interface-ID"),
    (19, b'm', "reconfigure-message"),
    (20, b'.', "reconfigure-accept"),
    (21, b'D', "SIP-servers-domain"),
    (22, b'6', "SIP-servers-address"),
    (23, b'6', "DNS-server"),
    (24, b'D', "DNS-search-list"),
    (25, b'n', "IA_PD"),
    (26, b'p', "IA_PD-prefix"),
    (27, b'6', "NIS-server"),
    (28, b'6', "NIS+-server"),
    (29, b'.', "NIS-domain-name"),
    (30, b'.', "NIS+-domain-name"),
    (31, b'6', "SNTP-servers"),
    (32, b'4', "lifetime"),
    (33, b'.', "BCMCS-domain-name"),
    (34, b'6', "BCMCS-server"),
    (36, b'.', "Geoconf-Civic"),
    (37, b'R', "Remote-ID"),
    (38, b'h', "Subscriber-ID"),
    (39, b'.', "Client-FQDN"),
    (40, b'6', "PANA-agent"),
    (41, b'z', "POSIX-timezone"),
    (42, b'z', "POSIX-tz-database"),
    (43, b'o', "Echo-request-option"),
    (44, b'q', "Lease-query"),
    (45, b'C', "LQ-client-data"),
    (46, b'4', "Clt-time"),
    (47, b'y', "LQ-relay-data"),
    (48, b'6', "LQ-client-link"),
    (56, b'N', "NTP-server"),
    (59, b'u', "Bootfile-URL"),
    (64, b'f', "AFTR-Name"),
    (112, b'z', "MUD-URL"),
    (136, b'L', "SZTP-redirect"),
];

const MESSAGES: Names = names![
    (1, "solicit"),
    (2, "advertise"),
    (3, "request"),
    (4, "confirm"),
    (5, "renew"),
    (6, "rebind"),
    (7, "reply"),
    (8, "release"),
    (9, "decline"),
    (10, "reconfigure"),
    (11, "inf-req"),
    (12, "relay-fwd"),
    (13, "relay-reply"),
    (14, "leasequery"),
    (15, "leasequery-reply"),
];

const STATUSES: Names = names![
    (0, "Success"),
    (1, "UnspecFail"),
    (2, "NoAddrsAvail"),
    (3, "NoBinding"),
    (4, "NotOnLink"),
    (5, "UseMulticast"),
    (6, "NoPrefixAvail"),
    (7, "UnknownQueryType"),
    (8, "MalformedQuery"),
    (9, "NotConfigured"),
    (10, "NotAllowed"),
];

/// What an option could not be shown for.
enum Trouble {
    /// Its length is wrong for its kind.
    Odd,
    /// What it holds ends early.
    Cut,
}

impl Printer {
    /// One message.
    pub(crate) fn dhcp6(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "dhcp6";
        self.text("dhcp6");
        if !self.enter() {
            return Ok(());
        }
        if !p.holds(4) {
            self.truncated();
            return Ok(());
        }
        let kind = p.u8(0)?;
        self.text(" ");
        self.named(MESSAGES, kind, "msgtype-");
        if self.v() > 0 {
            self.text(" (");
            let options = if matches!(kind, 12 | 13) {
                self.ip6_after("linkaddr=", p, 2)?;
                self.ip6_after(" peeraddr=", p, 18)?;
                34
            } else {
                put!(self, "xid={:x}", p.u24(1)?);
                4
            };
            let result = self.dhcp6_options(p.head(length).tail(options));
            self.contained(result)?;
            self.text(")");
        }
        self.leave();
        Ok(())
    }

    fn dhcp6_title(&mut self, code: u16) -> u8 {
        let found = OPTIONS.iter().find(|entry| entry.0 == code);
        match found {
            Some((_, format, title)) => {
                self.text(title);
                *format
            }
            None => {
                put!(self, "opt_{code}");
                b'.'
            }
        }
    }

    fn dhcp6_options(&mut self, p: &[u8]) -> Res {
        if !self.enter() {
            return Ok(());
        }
        let mut at = 0;
        while at < p.len() {
            let (Ok(code), Ok(size)) = (p.u16(at), p.u16(at + 2)) else {
                self.truncated();
                break;
            };
            let Ok(data) = p.part(at + 4, usize::from(size)) else {
                self.truncated();
                break;
            };
            self.text(" (");
            let format = self.dhcp6_title(code);
            match self.dhcp6_value(format, data)? {
                // What a relay agent carries is left open, as by the peer.
                None if format == b'r' => {}
                None => self.text(")"),
                Some(Trouble::Odd) => self.text(" ?)"),
                Some(Trouble::Cut) => {
                    self.truncated();
                    break;
                }
            }
            at += 4 + data.len();
        }
        self.leave();
        Ok(())
    }

    fn dhcp6_value(&mut self, format: u8, data: &[u8]) -> Res<Option<Trouble>> {
        let size = data.len();
        let fits = match format {
            b'd' | b'c' => size >= 2,
            b'n' => size >= 12,
            b't' | b'R' | b'N' => size >= 4,
            b'a' => size >= 24,
            b'o' => size.is_multiple_of(2),
            b'1' | b'm' => size == 1,
            b'2' => size == 2,
            b'4' => size == 4,
            b'A' => size >= 11,
            b'6' => size.is_multiple_of(16),
            b'p' => size >= 25,
            b'q' => size >= 17,
            b'y' => size >= 16,
            b'f' => size >= 3,
            b'z' => size >= 5,
            _ => true,
        };
        if !fits {
            return Ok(Some(Trouble::Odd));
        }
        match format {
            b'd' => return self.duid(data),
            b'a' => {
                self.ip6_after(" ", data, 0)?;
                put!(self, " pltime:{} vltime:{}", data.u32(16)?, data.u32(20)?);
                self.dhcp6_options(data.tail(24))?;
            }
            b'o' => {
                for code in data.chunks_exact(2) {
                    self.text(" ");
                    self.dhcp6_title(code.u16(0)?);
                }
            }
            b'1' | b'2' | b'4' => put!(self, " {}", data.uint(0, size)?),
            b'r' => {
                self.text(" (");
                self.dhcp6(data, size)?;
                self.text(")");
            }
            b'A' => self.dhcp6_authentication(data)?,
            b'h' => {
                self.text(" ");
                self.hex(data.head(10));
                self.text("...");
            }
            b'm' => match data.u8(0)? {
                5 => self.text(" for renew"),
                11 => self.text(" for inf-req"),
                other => put!(self, " for ???({other:02x})"),
            },
            b'6' => {
                for at in (0..size).step_by(16) {
                    self.ip6_after(" ", data, at)?;
                }
            }
            b'D' => {
                let mut at = 0;
                while at < size {
                    self.text(" ");
                    let Some(next) = self.domain_name(data, size, at)? else { return Ok(Some(Trouble::Cut)) };
                    at = next;
                }
            }
            b'c' => {
                let status = data.u16(0)?;
                self.text(" ");
                if status > 255 {
                    self.text("INVALID code");
                } else {
                    self.named(STATUSES, status, "code");
                }
            }
            b'n' => {
                put!(self, " IAID:{} T1:{} T2:{}", data.u32(0)?, data.u32(4)?, data.u32(8)?);
                self.dhcp6_options(data.tail(12))?;
            }
            b't' => {
                put!(self, " IAID:{}", data.u32(0)?);
                self.dhcp6_options(data.tail(4))?;
            }
            b'p' => {
                self.ip6_after(" ", data, 9)?;
                put!(self, "/{} pltime:{} vltime:{}", data.u8(8)?, data.u32(0)?, data.u32(4)?);
                self.dhcp6_options(data.tail(25))?;
            }
            b'R' => {
                put!(self, " {} ", data.u32(0)?);
                self.hex(data.tail(4).head(10));
                self.text("...");
            }
            b'q' => {
                match data.u8(0)? {
                    1 => self.text(" by-address"),
                    2 => self.text(" by-clientID"),
                    other => put!(self, " type_{other}"),
                }
                self.ip6_after(" ", data, 1)?;
                self.dhcp6_options(data.tail(17))?;
            }
            b'C' => self.dhcp6_options(data)?,
            b'y' => {
                self.ip6_after(" ", data, 0)?;
                self.text(" ");
                self.hex(data.tail(16).head(10));
                self.text("...");
            }
            b'N' => return self.dhcp6_ntp(data),
            b'f' => self.dhcp6_labels(data)?,
            b'z' => {
                self.text(" ");
                self.string(data);
            }
            b'u' => {
                self.text(" ");
                self.printable(data);
            }
            b'L' => self.dhcp6_list(data)?,
            _ => {}
        }
        Ok(None)
    }

    /// RFC 8415 section 11.
    fn duid(&mut self, data: &[u8]) -> Res<Option<Trouble>> {
        let size = data.len();
        let rest = match data.u16(0)? {
            1 if size >= 8 => {
                put!(self, " hwaddr/time type {} time {} ", data.u16(2)?, data.u32(4)?);
                8
            }
            2 if size >= 6 => {
                put!(self, " enterprise {} ", data.u32(2)?);
                6
            }
            3 if size >= 4 => {
                put!(self, " hwaddr type {} ", data.u16(2)?);
                4
            }
            4 => {
                self.text(" uuid ");
                if size != 18 {
                    return Ok(Some(Trouble::Odd));
                }
                2
            }
            1..=3 => return Ok(Some(Trouble::Odd)),
            other => {
                put!(self, " type {other}");
                size
            }
        };
        self.hex(data.tail(rest));
        Ok(None)
    }

    fn dhcp6_authentication(&mut self, data: &[u8]) -> Res {
        let (protocol, algorithm, method) = (data.u8(0)?, data.u8(1)?, data.u8(2)?);
        match protocol {
            2 => self.text(" proto: delayed"),
            3 => self.text(" proto: reconfigure"),
            _ => put!(self, " proto: {protocol}"),
        }
        match algorithm {
            1 => self.text(", alg: HMAC-MD5"),
            _ => put!(self, ", alg: {algorithm}"),
        }
        match method {
            0 => self.text(", RDM: mono"),
            _ => put!(self, ", RDM: {method}"),
        }
        self.text(", RD:");
        for at in [3, 5, 7, 9] {
            put!(self, " {:04x}", data.u16(at)?);
        }
        let rest = data.tail(11);
        match (protocol, rest.len()) {
            (2, 0) => {}
            (2, 20..) => {
                let realm = rest.len() - 20;
                if realm > 0 {
                    self.text(", realm: ");
                    self.hex(rest.head(realm));
                }
                put!(self, ", key ID: {:08x}, HMAC-MD5:", rest.u32(realm)?);
                for at in [4, 8, 12, 16] {
                    put!(self, " {:08x}", rest.u32(realm + at)?);
                }
            }
            (3, 17) => {
                self.text(match rest.u8(0)? {
                    1 => " reconfig-key",
                    2 => " type: HMAC-MD5",
                    _ => " type: ??",
                });
                self.text(" value:");
                for at in [1, 5, 9, 13] {
                    put!(self, " {:08x}", rest.u32(at)?);
                }
            }
            _ => self.text(" ??"),
        }
        Ok(())
    }

    /// RFC 5908.
    fn dhcp6_ntp(&mut self, data: &[u8]) -> Res<Option<Trouble>> {
        let mut at = 0;
        while at + 4 < data.len() {
            let (code, size) = (data.u16(at)?, usize::from(data.u16(at + 2)?));
            at += 4;
            let Ok(value) = data.part(at, size) else { return Ok(Some(Trouble::Cut)) };
            put!(self, " subopt:{code}");
            match code {
                1 | 2 if size == 16 => {
                    self.ip6_after(" ", value, 0)?;
                }
                3 => {
                    self.text(" ");
                    if self.domain_name(value, size, 0)?.is_none() {
                        return Ok(Some(Trouble::Cut));
                    }
                }
                _ => self.text(" ?"),
            }
            at += size;
        }
        Ok(None)
    }

    /// RFC 6334.
    fn dhcp6_labels(&mut self, data: &[u8]) -> Res {
        self.text(" ");
        let mut at = 0;
        let mut left = data.len();
        while left > 0 && data.u8(at)? != 0 {
            let size = usize::from(data.u8(at)?);
            at += 1;
            if size >= left - 1 {
                self.text(" ?");
                break;
            }
            self.string(data.part(at, size)?);
            at += size;
            left -= size + 1;
            if data.u8(at)? != 0 {
                self.text(".");
            }
        }
        Ok(())
    }

    fn dhcp6_list(&mut self, data: &[u8]) -> Res {
        self.text(" ");
        let mut rest = data;
        let mut first = true;
        while rest.len() >= 2 {
            if !first {
                self.text(",");
            }
            first = false;
            let size = usize::from(rest.u16(0)?);
            if size > rest.len() - 2 {
                break;
            }
            self.printable(rest.part(2, size)?);
            rest = rest.tail(2 + size);
        }
        if !rest.is_empty() {
            self.text(" ?");
        }
        Ok(())
    }
}
