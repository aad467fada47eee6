//! What an Ethernet type stands for.

use crate::fetch::{Fetch, Names, Res, names};
use crate::frame::Ends;
use crate::{Printer, put};

/// Names as `-e` shows them (IEEE 802 numbers).
pub(crate) const NAMES: Names = names![
    (0x0800, "IPv4"),
    (0x86dd, "IPv6"),
    (0x0806, "ARP"),
    (0x8100, "802.1Q"),
    (0x88a8, "802.1Q-QinQ"),
    (0x9100, "802.1Q-9100"),
    (0x9200, "802.1Q-9200"),
    (0x8847, "MPLS unicast"),
    (0x8848, "MPLS multicast"),
    (0x88e5, "802.1AE MACsec"),
    (0x0200, "PUP"),
    (0x8035, "Reverse ARP"),
    (0x0600, "NS"),
    (0x0500, "Sprite"),
    (0x1000, "Trail"),
    (0x6001, "MOP DL"),
    (0x6002, "MOP RC"),
    (0x6003, "DN"),
    (0x6004, "LAT"),
    (0x6007, "SCA"),
    (0x6558, "TEB"),
    (0x8038, "Lanbridge"),
    (0x803c, "DEC DNS"),
    (0x803e, "DEC DTS"),
    (0x805b, "VEXP"),
    (0x805c, "VPROD"),
    (0x809b, "Appletalk"),
    (0x80f3, "Appletalk ARP"),
    (0x8137, "IPX"),
    (0x880b, "PPP"),
    (0x8808, "MPCP"),
    (0x8809, "Slow Protocols"),
    (0x8863, "PPPoE D"),
    (0x8864, "PPPoE S"),
    (0x888e, "EAPOL"),
    (0x8899, "Realtek protocols"),
    (0x886f, "MS NLB heartbeat"),
    (0x8870, "Jumbo"),
    (0x894f, "NSH"),
    (0x9000, "Loopback"),
    (0xfefe, "OSI"),
    (0x00fe, "GRE-OSI"),
    (0x8902, "CFM"),
    (0x893a, "IEEE1905.1"),
    (0x88cc, "LLDP"),
    (0x88ca, "TIPC"),
    (0x0707, "GeoNet (old)"),
    (0x8947, "GeoNet"),
    (0x04e0, "CALM FAST"),
    (0x88a2, "AoE"),
    (0x88f7, "PTP"),
    (0xd28b, "Arista Vendor Specific Protocol"),
];

impl Printer {
    /// Prints the payload of a frame of this type; false when the type has no printer.
    pub(crate) fn ethertype(&mut self, kind: u16, p: &[u8], length: usize, ends: Ends<'_>) -> Res<bool> {
        match kind {
            0x0800 => self.ipv4(p, length)?,
            0x86dd => self.ipv6(p, length)?,
            0x0806 | 0x8035 => self.arp(p, length)?,
            0x8863 | 0x8864 => {
                self.pppoe(p, length)?;
            }
            0x888e => {
                let result = self.eapol(p, length);
                self.contained(result)?;
            }
            0x880b => {
                if length > 0 {
                    self.text(": ");
                    self.ppp(p, length)?;
                }
            }
            0x9000 => self.loopback(p, length)?,
            0x8847 | 0x8848 => self.mpls(p, length)?,
            0x88cc => {
                let result = self.lldp(p, length);
                self.contained(result)?;
            }
            0x8809 => self.slow(p, length)?,
            0x6558 => {
                self.ethernet(p, length)?;
            }
            0x894f => self.nsh(p, length)?,
            0xfefe => self.osi(p.tail(1), length.saturating_sub(1))?,
            0x8137 => {
                self.text("(NOV-ETHII) ");
                self.ipx(p, length)?;
            }
            _ => {
                let _ = ends;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The configuration test protocol (DIX 2.0 section 8).
    fn loopback(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "loopback";
        put!(self, "Loopback");
        if length < 2 {
            self.invalid();
            p.part(0, length)?;
            return Ok(());
        }
        let skip = usize::from(p.le16(0)?);
        put!(self, ", skipCount {skip}");
        let mut rest = length - 2;
        if skip % 8 != 0 {
            self.text(" (bogus)");
        }
        if skip > rest {
            self.invalid();
            p.part(0, length)?;
            return Ok(());
        }
        p.part(2, skip)?;
        rest -= skip;
        let at = 2 + skip;
        if rest < 2 {
            self.invalid();
            return Ok(());
        }
        let function = p.le16(at)?;
        self.text(", ");
        match function {
            1 => {
                self.text("Reply");
                if rest < 4 {
                    self.invalid();
                    return Ok(());
                }
                put!(self, ", receipt number {}", p.le16(at + 2)?);
                rest -= 4;
            }
            2 => {
                self.text("Forward Data");
                if rest < 8 {
                    self.invalid();
                    return Ok(());
                }
                self.text(", forwarding address ");
                self.mac(p, at + 2)?;
                if p.u8(at + 2)? & 1 == 1 {
                    self.text(" (bogus)");
                }
                rest -= 8;
            }
            _ => {
                put!(self, " invalid ({function})");
                p.part(0, length)?;
                return Ok(());
            }
        }
        if rest > 0 {
            put!(self, ", data ({rest} octets)");
            p.part(length - rest, rest)?;
        }
        Ok(())
    }
}
