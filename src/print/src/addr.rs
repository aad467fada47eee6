//! Addresses and ports as text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Printer;
use crate::fetch::{Fetch, Res};
use crate::put;

/// Longest text of an IPv6 address.
const LONGEST: usize = 46;

impl Printer {
    /// The IPv4 address at an offset, by name unless `-n`.
    pub(crate) fn ip4(&mut self, data: &[u8], at: usize) -> Res {
        let address: [u8; 4] = data.bytes(at)?;
        if self.resolve.is_some() && self.options.numeric == 0 && self.host(IpAddr::V4(Ipv4Addr::from(address))) {
            return Ok(());
        }
        self.dotted(address);
        Ok(())
    }

    /// Words and an address, or neither when the address is cut off.
    pub(crate) fn ip4_after(&mut self, words: &str, data: &[u8], at: usize) -> Res {
        data.part(at, 4)?;
        self.text(words);
        self.ip4(data, at)
    }

    /// The same for IPv6.
    pub(crate) fn ip6_after(&mut self, words: &str, data: &[u8], at: usize) -> Res {
        data.part(at, 16)?;
        self.text(words);
        self.ip6(data, at)
    }

    /// The numbers of an IPv4 address.
    pub(crate) fn dotted(&mut self, address: [u8; 4]) {
        let mut first = true;
        for byte in address {
            if !first {
                self.out.push(b'.');
            }
            first = false;
            if byte >= 100 {
                self.out.push(b'0' + byte / 100);
            }
            if byte >= 10 {
                self.out.push(b'0' + byte / 10 % 10);
            }
            self.out.push(b'0' + byte % 10);
        }
    }

    /// The IPv6 address at an offset, by name unless `-n`.
    pub(crate) fn ip6(&mut self, data: &[u8], at: usize) -> Res {
        let address: [u8; 16] = data.bytes(at)?;
        if self.resolve.is_some() && self.options.numeric == 0 && self.host(IpAddr::V6(Ipv6Addr::from(address))) {
            return Ok(());
        }
        self.colons(&address);
        Ok(())
    }

    /// The numbers of an IPv6 address, the longest run of zeros (two groups at least) left out.
    pub(crate) fn colons(&mut self, address: &[u8; 16]) {
        let mut groups = [0u16; 8];
        for (group, pair) in groups.iter_mut().zip(address.chunks_exact(2)) {
            *group = pair.u16(0).unwrap_or(0);
        }
        let (mut best, mut best_length, mut run) = (0, 0, 0);
        for (index, group) in groups.iter().enumerate() {
            run = if *group == 0 { run + 1 } else { 0 };
            if run > best_length {
                (best, best_length) = (index + 1 - run, run);
            }
        }
        if best_length < 2 {
            best = 8;
        }
        self.out.reserve(LONGEST);
        for (index, group) in groups.iter().enumerate() {
            if index >= best && index < best + best_length {
                if index == best {
                    self.out.push(b':');
                }
                continue;
            }
            if index > 0 {
                self.out.push(b':');
            }
            let fifth = groups.get(5).copied().unwrap_or(0);
            if index == 6 && best == 0 && (best_length == 6 || (best_length == 5 && fifth == 0xffff)) {
                let last: [u8; 4] = address.bytes(12).unwrap_or_default();
                return self.dotted(last);
            }
            self.hex_short(*group);
        }
        if best < 8 && best + best_length == 8 {
            self.out.push(b':');
        }
    }

    fn hex_short(&mut self, group: u16) {
        let mut started = false;
        for shift in [12, 8, 4, 0] {
            let nibble = (group >> shift & 15) as u8;
            started |= nibble != 0 || shift == 0;
            if started {
                self.out.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
            }
        }
    }

    fn host(&mut self, address: IpAddr) -> bool {
        let Some(name) = self.resolve.as_mut().and_then(|resolve| resolve.host(address)) else { return false };
        let end = if self.options.no_domain { name.find('.').unwrap_or(name.len()) } else { name.len() };
        self.text(name.get(..end).unwrap_or_default());
        true
    }

    /// A port, by the name of its service unless `-n`.
    pub(crate) fn port(&mut self, port: u16, tcp: bool) {
        if self.options.numeric == 0
            && let Some(name) = self.resolve.as_mut().and_then(|resolve| resolve.port(port, tcp))
        {
            return self.text(&name);
        }
        self.dec(u32::from(port));
    }

    /// An Ethernet address, with the maker of the card unless `-n`.
    pub(crate) fn mac(&mut self, data: &[u8], at: usize) -> Res {
        let address: [u8; 6] = data.bytes(at)?;
        self.mac_plain(&address);
        if self.options.numeric == 0 && address != [0xff; 6] {
            put!(self, " (oui {})", oui(u32::from_be_bytes([0, address[0], address[1], address[2]])));
        }
        Ok(())
    }

    /// Bytes between colons.
    pub(crate) fn mac_plain(&mut self, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            if index > 0 {
                self.out.push(b':');
            }
            self.hex_byte(*byte);
        }
    }

    /// A link address of any length.
    pub(crate) fn link_address(&mut self, bytes: &[u8]) {
        match bytes.len() {
            0 => self.text("<empty>"),
            6 => {
                let _ = self.mac(bytes, 0);
            }
            _ => self.mac_plain(bytes),
        }
    }
}

/// Organizations as their registry entries are commonly shortened.
pub(crate) const OUIS: &[(u32, &str)] = &[
    (0x00_0000, "Ethernet"),
    (0x00_000c, "Cisco"),
    (0x00_01c2, "ICT (unknown)"),
    (0x00_01e3, "Siemens"),
    (0x00_0142, "Cisco"),
    (0x00_00f8, "Cisco bridged"),
    (0x00_80c2, "Ethernet bridged"),
    (0x00_a03e, "ATM Forum"),
    (0x00_4096, "Cisco"),
    (0x00_1bfc, "Cable Broadband"),
    (0x08_0007, "AppleTalk"),
    (0x00_0f00, "HP"),
    (0x00_04ea, "HP Labs"),
    (0x00_120f, "IEEE 802.3"),
    (0x00_0fac, "IEEE 802.11"),
    (0x00_01af, "Juniper"),
    (0x00_0585, "Juniper"),
    (0x00_9069, "Juniper"),
    (0x00_14f6, "Juniper"),
    (0x00_1db5, "Juniper"),
];

/// The maker of a card.
pub(crate) fn oui(number: u32) -> &'static str {
    OUIS.iter().find(|entry| entry.0 == number).map_or("Unknown", |entry| entry.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    #[test]
    fn ipv6_text_is_that_of_inet_ntop() {
        for text in [
            "::",
            "::1",
            "fe80::1",
            "1:0:0:2::",
            "1:0:2:3:4:5:6:7",
            "2001:db8::8:800:200c:417a",
            "::ffff:1.2.3.4",
            "::1.2.3.4",
            "1::8",
            "0:1::",
            "1:2:3:4:5:6:7:8",
            "::2:0:0:0:8",
            "64:ff9b::102:304",
        ] {
            let address: Ipv6Addr = text.parse().unwrap();
            let mut printer = Printer::new(Options::default());
            printer.colons(&address.octets());
            assert_eq!(String::from_utf8(printer.out).unwrap(), text);
        }
    }
}
