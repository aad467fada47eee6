//! Multipath TCP (RFC 8684, RFC 6824).

use crate::fetch::{Fetch, Res};
use crate::{Printer, put};

const SYN: u8 = 2;
const ACK: u8 = 16;

impl Printer {
    /// The option after its kind and length; false when it cannot be.
    pub(crate) fn mptcp(&mut self, data: &[u8], flags: u8) -> Res<bool> {
        self.proto = "mptcp";
        let length = data.len() + 2;
        if length < 3 {
            return Ok(false);
        }
        put!(self, " {length}");
        let kind = data.u8(0)? >> 4;
        match kind {
            0 => self.mp_capable(data, flags),
            1 => self.mp_join(data, flags),
            2 => self.mp_dss(data, flags),
            3 => self.mp_add(data),
            4 => self.mp_remove(data),
            5 => self.mp_priority(data),
            6 => {
                self.text(" fail");
                if length != 12 {
                    return Ok(false);
                }
                put!(self, " seq {}", data.u64(2)?);
                Ok(true)
            }
            7 => {
                self.text(" fast-close");
                if length != 12 {
                    return Ok(false);
                }
                put!(self, " key 0x{:x}", data.u64(2)?);
                Ok(true)
            }
            _ => {
                self.text(" unknown");
                Ok(true)
            }
        }
    }

    fn mp_capable(&mut self, data: &[u8], flags: u8) -> Res<bool> {
        let length = data.len() + 2;
        let version = data.u8(0)? & 15;
        self.text(" capable");
        let acknowledged = flags & (SYN | ACK) == ACK;
        let fits = match (version, length) {
            (_, 4 | 12) => flags & SYN != 0,
            (_, 20 | 22) | (1.., 24) => acknowledged,
            _ => false,
        };
        if !fits {
            return Ok(false);
        }
        if version > 1 {
            put!(self, " Unknown Version ({version})");
            return Ok(true);
        }
        put!(self, " v{version}");
        if data.u8(1)? & 0x80 != 0 {
            self.text(" csum");
        }
        if matches!(length, 12 | 20 | 22 | 24) {
            put!(self, " {{0x{:x}", data.u64(2)?);
            if length >= 20 {
                put!(self, ",0x{:x}", data.u64(10)?);
            }
            self.text("}");
        }
        Ok(true)
    }

    fn mp_join(&mut self, data: &[u8], flags: u8) -> Res<bool> {
        let length = data.len() + 2;
        self.text(" join");
        let fits = match length {
            12 => flags & SYN != 0,
            16 => flags & (SYN | ACK) == SYN | ACK,
            24 => flags & ACK != 0,
            _ => false,
        };
        if !fits {
            return Ok(false);
        }
        if length != 24 {
            if data.u8(0)? & 1 != 0 {
                self.text(" backup");
            }
            put!(self, " id {}", data.u8(1)?);
        }
        match length {
            12 => put!(self, " token 0x{:x} nonce 0x{:x}", data.u32(2)?, data.u32(6)?),
            16 => put!(self, " hmac 0x{:x} nonce 0x{:x}", data.u64(2)?, data.u32(10)?),
            _ => {
                self.text(" hmac 0x");
                self.hex(data.part(2, 20)?);
            }
        }
        Ok(true)
    }

    fn mp_dss(&mut self, data: &[u8], flags: u8) -> Res<bool> {
        // The whole option has to be as long as its flags say, with or without a checksum.
        self.text(" dss");
        if data.len() < 2 || flags & SYN != 0 {
            return Ok(false);
        }
        let bits = data.u8(1)?;
        if bits & 0x10 != 0 {
            self.text(" fin");
        }
        let mut at = 2;
        if bits & 1 != 0 {
            self.text(" ack ");
            let wide = bits & 2 != 0;
            let size = if wide { 8 } else { 4 };
            if data.len() < at + size {
                return Ok(false);
            }
            put!(self, "{}", data.uint(at, size)?);
            at += size;
        }
        if bits & 4 != 0 {
            self.text(" seq ");
            let size = if bits & 8 != 0 { 8 } else { 4 };
            if data.len() < at + size {
                return Ok(false);
            }
            put!(self, "{}", data.uint(at, size)?);
            at += size;
            if data.len() < at + 4 {
                return Ok(false);
            }
            put!(self, " subseq {}", data.u32(at)?);
            at += 4;
            if data.len() < at + 2 {
                return Ok(false);
            }
            put!(self, " len {}", data.u16(at)?);
            at += 2;
            if data.len() >= at + 2 {
                put!(self, " csum 0x{:x}", data.u16(at)?);
                at += 2;
            }
        }
        Ok(at == data.len())
    }

    fn mp_add(&mut self, data: &[u8]) -> Res<bool> {
        let length = data.len() + 2;
        let low = data.u8(0)? & 15;
        // The first version has an address family there, the second a flag that the address was heard.
        let (v4, hmac) = match length {
            8 | 10 => (true, false),
            16 | 18 => (true, true),
            20 | 22 => (false, false),
            _ => (false, true),
        };
        self.text(" add-addr");
        if !matches!(length, 8 | 10 | 16 | 18 | 20 | 22 | 28 | 30) {
            return Ok(false);
        }
        match low {
            0 => self.text(" v1"),
            1 => self.text(" v1-echo"),
            4 => self.text(" v0-ip4"),
            6 => self.text(" v0-ip6"),
            _ => self.text(" [bad version/echo]"),
        }
        put!(self, " id {} ", data.u8(1)?);
        let mut at = 2;
        if v4 {
            self.ip4(data, at)?;
            at += 4;
        } else {
            self.ip6(data, at)?;
            at += 16;
        }
        if matches!(length, 10 | 18 | 22 | 30) {
            put!(self, ":{}", data.u16(at)?);
            at += 2;
        }
        if hmac && data.len() >= at + 8 {
            put!(self, " hmac 0x{:x}", data.u64(at)?);
        }
        Ok(true)
    }

    fn mp_remove(&mut self, data: &[u8]) -> Res<bool> {
        self.text(" rem-addr");
        if data.len() < 2 {
            return Ok(false);
        }
        self.text(" id");
        for id in data.tail(1) {
            put!(self, " {id}");
        }
        Ok(true)
    }

    fn mp_priority(&mut self, data: &[u8]) -> Res<bool> {
        let length = data.len() + 2;
        self.text(" prio");
        if length != 3 && length != 4 {
            return Ok(false);
        }
        self.text(if data.u8(0)? & 1 != 0 { " backup" } else { " non-backup" });
        if length == 4 {
            put!(self, " id {}", data.u8(1)?);
        }
        Ok(true)
    }
}
