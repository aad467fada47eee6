//! ARP and RARP (RFC 826, RFC 903, RFC 2390).

use crate::fetch::{Fetch, Names, Res, name, names};
use crate::{Printer, put};

const HARDWARE: Names = names![
    (1, "Ethernet"),
    (6, "TokenRing"),
    (7, "ArcNet"),
    (15, "FrameRelay"),
    (24, "IEEE 1394"),
    (19, "ATM"),
    (32, "InfiniBand"),
];

const OPERATIONS: Names = names![
    (1, "Request"),
    (2, "Reply"),
    (3, "Reverse Request"),
    (4, "Reverse Reply"),
    (8, "Inverse Request"),
    (9, "Inverse Reply"),
    (10, "NACK Reply"),
];

impl Printer {
    /// One message.
    pub(crate) fn arp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "arp";
        p.part(0, 8)?;
        let (hardware, protocol) = (p.u16(0)?, p.u16(2)?);
        let (hardware_size, protocol_size) = (usize::from(p.u8(4)?), usize::from(p.u8(5)?));
        let operation = p.u16(6)?;
        if hardware == 19 {
            return self.unknown_arp(p, length);
        }
        let sender = 8;
        let sender_ip = sender + hardware_size;
        let target = sender_ip + protocol_size;
        let target_ip = target + hardware_size;
        let size = target_ip + protocol_size;
        p.part(0, size)?;
        if !self.options.link_header {
            self.text("ARP, ");
        }
        let ip_sized = matches!(protocol, 0x0800 | 0x1000) && protocol_size == 4;
        if !ip_sized || hardware_size == 0 || self.v() > 0 {
            match name(HARDWARE, hardware) {
                Some(text) => self.text(text),
                None => put!(self, "Unknown Hardware ({hardware})"),
            }
            put!(self, " (len {hardware_size}), ");
            match name(crate::ethertype::NAMES, protocol) {
                Some(text) => self.text(text),
                None => put!(self, "Unknown Protocol (0x{protocol:04x})"),
            }
            put!(self, " (len {protocol_size})");
            if self.v() == 0 {
                put!(self, ", length {length}");
                return Ok(());
            }
            self.text(", ");
        }
        match name(OPERATIONS, operation) {
            Some(text) => self.text(text),
            None => put!(self, "Unknown ({operation})"),
        }
        self.text(" ");
        let ip = ip_sized;
        let zero = |at: usize| p.part(at, hardware_size).is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0));
        match operation {
            1 => {
                self.text("who-has ");
                self.arp_protocol(p, target_ip, protocol_size, ip)?;
                if !zero(target) {
                    self.text(" (");
                    self.link_address(p.part(target, hardware_size)?);
                    self.text(")");
                }
                self.text(" tell ");
                self.arp_protocol(p, sender_ip, protocol_size, ip)?;
            }
            2 => {
                self.arp_protocol(p, sender_ip, protocol_size, ip)?;
                self.text(" is-at ");
                self.link_address(p.part(sender, hardware_size)?);
            }
            3 => {
                self.text("who-is ");
                self.link_address(p.part(target, hardware_size)?);
                self.text(" tell ");
                self.link_address(p.part(sender, hardware_size)?);
            }
            4 => {
                self.link_address(p.part(target, hardware_size)?);
                self.text(" at ");
                self.arp_protocol(p, target_ip, protocol_size, ip)?;
            }
            8 => {
                self.text("who-is ");
                self.link_address(p.part(target, hardware_size)?);
                self.text(" tell ");
                self.link_address(p.part(sender, hardware_size)?);
            }
            9 => {
                self.link_address(p.part(sender, hardware_size)?);
                self.text(" at ");
                self.arp_protocol(p, sender_ip, protocol_size, ip)?;
            }
            _ => {
                self.hex_and_ascii("\n\t", p);
                return Ok(());
            }
        }
        put!(self, ", length {length}");
        Ok(())
    }

    fn unknown_arp(&mut self, p: &[u8], length: usize) -> Res {
        if !self.options.link_header {
            self.text("ARP, ");
        }
        put!(self, "ATM (len {}), length {length}", p.u8(4)?);
        Ok(())
    }

    fn arp_protocol(&mut self, p: &[u8], at: usize, size: usize, ip: bool) -> Res {
        if ip {
            return self.ip4(p, at);
        }
        p.part(at, size)?;
        self.text(if matches!(p.u16(2)?, 0x0800 | 0x1000) { "<wrong len>" } else { "<wrong proto type>" });
        Ok(())
    }
}
