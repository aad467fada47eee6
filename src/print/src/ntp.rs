//! NTP (RFC 5905, RFC 9327).

use netkit_core::civil_from_unix;

use crate::fetch::{Fetch, Names, Res, name, names};
use crate::{Printer, put};

const MODES: Names = names![
    (0, "unspecified"),
    (1, "symmetric active"),
    (2, "symmetric passive"),
    (3, "Client"),
    (4, "Server"),
    (5, "Broadcast"),
    (6, "Control Message"),
    (7, "Reserved"),
];

const LEAPS: Names = names![(0, ""), (0x40, "+1s"), (0x80, "-1s"), (0xc0, "clock unsynchronized")];

/// Seconds from 1900 to 1970.
const TO_UNIX: i64 = 2_208_988_800;

impl Printer {
    /// One packet.
    pub(crate) fn ntp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "ntp";
        let first = p.u8(0)?;
        let mode = first & 7;
        put!(self, "NTPv{}, {}, length {length}", first >> 3 & 7, name(MODES, mode).unwrap_or("Unknown mode"));
        if self.v() == 0 {
            return Ok(());
        }
        let leap = first & 0xc0;
        put!(self, "\n\tLeap indicator: {} ({leap})", name(LEAPS, leap).unwrap_or("Unknown"));
        let result = match mode {
            0..=5 => self.ntp_time_message(p, length),
            6 => self.ntp_control(p, length),
            _ => Ok(()),
        };
        // Of these fields the packet's mark is the end, of later ones the message's own.
        let (fields, least) = if mode == 6 { (12, 12) } else { (4, 48) };
        if length >= least && p.len() < fields {
            return result;
        }
        self.contained(result)
    }

    fn ntp_time_message(&mut self, p: &[u8], length: usize) -> Res {
        if length < 48 {
            self.invalid();
            p.part(0, length)?;
            return Ok(());
        }
        let stratum = p.u8(1)?;
        let text = match stratum {
            0 => "unspecified",
            1 => "primary reference",
            2..=15 => "secondary reference",
            _ => "reserved",
        };
        put!(self, ", Stratum {stratum} ({text})");
        let poll = p.u8(2)? as i8;
        put!(self, ", poll {poll}");
        match poll {
            0..32 => put!(self, " ({}s)", 1u32 << poll),
            -31..0 => put!(self, " (1/{}s)", 1u32 << -poll),
            _ => {}
        }
        put!(self, ", precision {}", p.u8(3)? as i8);
        p.part(4, 4)?;
        self.text("\n\tRoot Delay: ");
        self.ntp_short(p, 4)?;
        p.part(8, 4)?;
        self.text(", Root dispersion: ");
        self.ntp_short(p, 8)?;
        p.part(12, 4)?;
        self.text(", Reference-ID: ");
        match stratum {
            0 => self.text("(unspec)"),
            1 => self.printable(p.part(12, 4)?),
            62 | 63 => {
                self.ip4(p, 12)?;
                self.text(if stratum == 62 { " INFO_QUERY" } else { " INFO_REPLY" });
                return Ok(());
            }
            _ => put!(self, "0x{:08x}", p.u32(12)?),
        }
        for (at, title) in [
            (16, "Reference Timestamp:  "),
            (24, "Origin Timestamp:     "),
            (32, "Receive Timestamp:    "),
            (40, "Transmit Timestamp:   "),
        ] {
            p.part(at, 8)?;
            put!(self, "\n\t  {title}");
            self.ntp_time(p, at)?;
        }
        self.text("\n\t    Originator - Receive Timestamp:  ");
        self.ntp_difference(p, 32)?;
        self.text("\n\t    Originator - Transmit Timestamp: ");
        self.ntp_difference(p, 40)?;
        match length {
            48 => {}
            52 => put!(self, "\n\tKey id: {}", p.u32(48)?),
            68 | 72 => {
                put!(self, "\n\tKey id: {}", p.u32(48)?);
                let digest = p.part(52, length - 52)?;
                self.text("\n\tAuthentication: ");
                self.hex(digest);
            }
            _ => put!(self, "\n\t({} more bytes after the header)", length - 48),
        }
        Ok(())
    }

    fn ntp_short(&mut self, p: &[u8], at: usize) -> Res {
        let fraction = u64::from(p.u16(at + 2)?) * 1_000_000 / 65_536;
        put!(self, "{}.{fraction:06}", p.u16(at)?);
        Ok(())
    }

    fn ntp_time(&mut self, p: &[u8], at: usize) -> Res {
        let (seconds, fraction) = (p.u32(at)?, p.u32(at + 4)?);
        put!(self, "{seconds}.{:09}", billionths(fraction));
        if seconds != 0 {
            // A clear high bit means the era that begins in 2036 (RFC 4330 section 3).
            let era = if seconds & 0x8000_0000 == 0 { 1i64 << 32 } else { 0 };
            let civil = civil_from_unix(i64::from(seconds) + era - TO_UNIX);
            put!(self, " ({:04}-{:02}-{:02}", civil.year, civil.month, civil.day);
            put!(self, "T{:02}:{:02}:{:02}Z)", civil.hour, civil.minute, civil.second);
        }
        Ok(())
    }

    /// From the origin time stamp to another one.
    fn ntp_difference(&mut self, p: &[u8], at: usize) -> Res {
        let (origin, other) = (p.u64(24)?, p.u64(at)?);
        if origin == 0 {
            return self.ntp_time(p, at);
        }
        let (sign, difference) = if other > origin { ('+', other - origin) } else { ('-', origin - other) };
        put!(self, "{sign}{}.{:09}", difference >> 32, billionths(difference as u32));
        Ok(())
    }

    fn ntp_control(&mut self, p: &[u8], length: usize) -> Res {
        if length < 12 {
            self.invalid();
            p.part(0, length)?;
            return Ok(());
        }
        let control = p.u8(1)?;
        let pick = |bit: u8, yes: &'static str, no: &'static str| if control & bit != 0 { yes } else { no };
        put!(self, ", {}, {}, ", pick(0x80, "Response", "Request"), pick(0x40, "Error", "OK"));
        put!(self, "{}, OpCode={}\n", pick(0x20, "More", "Last"), control & 31);
        put!(self, "\tSequence={}", p.u16(2)?);
        match p.u16(4)? {
            0 => self.text(", Status=0"),
            status => put!(self, ", Status=0x{status:x}"),
        }
        put!(self, ", Assoc.={}", p.u16(6)?);
        put!(self, ", Offset={}", p.u16(8)?);
        let count = usize::from(p.u16(10)?);
        put!(self, ", Count={count}");
        if 12 + count > length {
            self.invalid();
            p.part(0, length)?;
        } else if count > 0 {
            p.part(12, count)?;
            self.text("\n\tTO-BE-DONE: data not interpreted");
        }
        Ok(())
    }
}

fn billionths(fraction: u32) -> u64 {
    (u64::from(fraction) * 1_000_000_000) >> 32
}
