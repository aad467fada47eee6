//! UDP (RFC 768) and who listens where.

use crate::fetch::{Fetch, Res, should_be};
use crate::options::Force;
use crate::proto::Outer;
use crate::{Print, Printer, put};

/// Printers by port of either end; the first that fits.
const PORTS: &[(u16, Print)] = &[
    (53, Printer::dns_udp),
    (67, Printer::bootp),
    (68, Printer::bootp),
    (69, Printer::tftp),
    (123, Printer::ntp),
    (161, Printer::snmp),
    (162, Printer::snmp),
    (500, Printer::isakmp),
    (514, Printer::syslog),
    (520, Printer::rip),
    (521, Printer::ripng),
    (546, Printer::dhcp6),
    (547, Printer::dhcp6),
    (646, Printer::ldp),
    (1645, Printer::radius),
    (1646, Printer::radius),
    (1700, Printer::radius),
    (1812, Printer::radius),
    (1813, Printer::radius),
    (3799, Printer::radius),
    (1701, Printer::l2tp),
    (1985, Printer::hsrp),
    (3784, Printer::bfd),
    (4784, Printer::bfd),
    (3785, Printer::bfd_echo),
    (4500, Printer::isakmp_natt),
    (4789, Printer::vxlan),
    (4790, Printer::vxlan_gpe),
    (5060, Printer::sip),
    (5353, Printer::mdns),
    (6081, Printer::geneve),
    (6784, Printer::bfd),
    (8472, Printer::overlay),
];

/// Those whose printers mark their own end.
const CONTAINED: [u16; 1] = [500];

impl Printer {
    /// One datagram.
    pub(crate) fn udp(&mut self, p: &[u8], length: usize, outer: &Outer<'_>) -> Res {
        self.proto = "udp";
        if !p.holds(4) {
            self.ends(outer, None)?;
            if outer.names(17) {
                self.text(": ");
            }
            self.truncated();
            return Ok(());
        }
        let (source, destination) = (p.u16(0)?, p.u16(2)?);
        let ends = Some((source, destination, false));
        if length < 8 {
            self.ends(outer, ends)?;
            put!(self, "truncated-udp {length}");
            return Ok(());
        }
        if !p.holds(6) {
            self.ends(outer, ends)?;
            self.truncated();
            return Ok(());
        }
        let mut claimed = usize::from(p.u16(4)?);
        // A jumbogram's length does not fit (RFC 2675 section 4).
        if claimed == 0 && length > 65535 {
            claimed = length;
        }
        if claimed < 8 {
            self.ends(outer, ends)?;
            put!(self, "truncated-udplength {claimed}");
            return Ok(());
        }
        claimed -= 8;
        let mut length = length - 8;
        if claimed < length {
            length = claimed;
        }
        if !p.holds(8) {
            self.ends(outer, ends)?;
            self.truncated();
            return Ok(());
        }
        let data = p.tail(8);
        self.ends(outer, ends)?;
        if let Some(print) = self.options.force.and_then(forced) {
            return print(self, data, length);
        }
        if self.v() > 0 && !self.options.skip_checksums && !outer.fragmented {
            self.udp_checksum(p, length, outer)?;
        }
        if !self.options.quiet
            && let Some(entry) = PORTS.iter().find(|entry| entry.0 == source || entry.0 == destination)
        {
            let result = entry.1(self, data, length);
            return if CONTAINED.contains(&entry.0) { self.contained(result) } else { result };
        }
        if claimed > length && !outer.fragmented {
            put!(self, "UDP, bad length {claimed} > {length}");
        } else {
            self.text("UDP, length ");
            self.dec(claimed as u32);
        }
        Ok(())
    }

    fn udp_checksum(&mut self, p: &[u8], length: usize, outer: &Outer<'_>) -> Res {
        let wanted = if outer.version == 6 { outer.ip.u16(4)? != 0 } else { self.v() > 1 };
        if !wanted {
            return Ok(());
        }
        let stored = p.u16(6)?;
        // Over IPv6 there is no doing without (RFC 8200 section 8.1).
        if stored == 0 && outer.version == 4 {
            self.text("[no cksum] ");
        } else if p.holds(8 + length) {
            let sum = outer.checksum(p.head(8 + length), 17);
            if sum == 0 {
                self.text("[udp sum ok] ");
            } else if self.options.offloaded {
                self.text("[udp sum offloaded] ");
            } else {
                put!(self, "[bad udp cksum 0x{stored:04x} -> 0x{:04x}!] ", should_be(stored, sum));
            }
        }
        Ok(())
    }
}

/// The printer of a `-T` type.
fn forced(force: Force) -> Option<Print> {
    Some(match force {
        Force::Domain => Printer::dns_udp,
        Force::Radius => Printer::radius,
        Force::Resp => Printer::resp,
        Force::Snmp => Printer::snmp,
        Force::Tftp => Printer::tftp,
        Force::Vxlan => Printer::vxlan,
        _ => return None,
    })
}
