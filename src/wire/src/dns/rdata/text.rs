//! The pen of the rdata printers: text under construction with the style it obeys.

use std::fmt::{Display, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use netkit_core::civil_from_unix;

use super::super::line::Style;
use super::super::name::{Name, push_text};
use super::super::types::RrType;
use super::Split;
use crate::cursor::Cursor;

/// Continuation lines of multi-line form start at the data column, 32.
const NEW_LINE: &str = "\n\t\t\t\t";

pub(in crate::dns) struct Text<'a> {
    pub(super) out: String,
    pub(super) style: &'a Style,
}

impl<'a> Text<'a> {
    pub(super) fn new(style: &'a Style) -> Text<'a> {
        Text { out: String::with_capacity(64), style }
    }

    pub(super) fn number(&mut self, value: impl Display) {
        let _ = write!(self.out, "{value}");
    }

    pub(super) fn space(&mut self) {
        self.out.push(' ');
    }

    pub(super) fn name(&mut self, name: &Name) {
        push_text(&mut self.out, name);
    }

    pub(super) fn ip4(&mut self, octets: [u8; 4]) {
        self.number(Ipv4Addr::from(octets));
    }

    pub(super) fn ip6(&mut self, octets: [u8; 16]) {
        let address = Ipv6Addr::from(octets);
        if self.style.expand_aaaa {
            let groups: Vec<String> = address.segments().iter().map(|group| format!("{group:04x}")).collect();
            self.out.push_str(&groups.join(":"));
        } else {
            self.out.push_str(&ip6_text(address));
            // In YAML a colon at the end would make a key of it.
            if self.style.plain && self.out.ends_with("::") {
                self.out.push('0');
            }
        }
    }

    /// The break between long parts: a new line in multi-line form, else a blank.
    pub(super) fn line_break(&mut self) {
        self.out.push_str(self.break_text());
    }

    fn break_text(&self) -> &'static str {
        if self.style.multiline { NEW_LINE } else { " " }
    }

    pub(super) fn open(&mut self) {
        if self.style.multiline {
            self.out.push_str(" (");
        }
        self.line_break();
    }

    pub(super) fn open_here(&mut self) {
        if self.style.multiline {
            self.out.push_str("( ");
        }
    }

    pub(super) fn close(&mut self) {
        if self.style.multiline {
            self.out.push_str(" )");
        }
    }

    /// A character-string in quotes (RFC 1035 section 5.1).
    pub(super) fn quoted(&mut self, bytes: &[u8]) {
        self.out.push('"');
        self.escaped(bytes, b"\"\\");
        self.out.push('"');
    }

    pub(super) fn escaped(&mut self, bytes: &[u8], special: &[u8]) {
        for byte in bytes {
            match byte {
                byte if special.contains(byte) => {
                    self.out.push('\\');
                    self.out.push(char::from(*byte));
                }
                0x20..=0x7e => self.out.push(char::from(*byte)),
                _ => {
                    let _ = write!(self.out, "\\{byte:03}");
                }
            }
        }
    }

    /// A CAA property tag, which is letters and digits only (RFC 8659 section 4.1).
    pub(super) fn tag(&mut self, bytes: &[u8]) -> Option<()> {
        if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        self.escaped(bytes, b"");
        Some(())
    }

    pub(super) fn hex(&mut self, bytes: &[u8]) {
        let mut digits = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            let _ = write!(digits, "{byte:02X}");
        }
        self.split(&digits);
    }

    pub(super) fn base64(&mut self, bytes: &[u8]) {
        self.split(&STANDARD.encode(bytes));
    }

    fn split(&mut self, digits: &str) {
        let width = match self.style.split {
            Split::Default if self.style.multiline => 44,
            Split::Default => 56,
            Split::Off | Split::Width(0) => usize::MAX,
            Split::Width(width) => usize::try_from(width).unwrap_or(usize::MAX),
        };
        let mut rest = digits;
        while let Some((head, tail)) = rest.split_at_checked(width).filter(|(_, tail)| !tail.is_empty()) {
            self.out.push_str(head);
            self.line_break();
            rest = tail;
        }
        self.out.push_str(rest);
    }

    /// A key, digest or signature, or the note that it was left out.
    pub(super) fn crypto(&mut self, bytes: &[u8], print: fn(&mut Self, &[u8])) {
        if self.style.nocrypto { self.out.push_str("[omitted]") } else { print(self, bytes) }
    }

    pub(super) fn salt(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.out.push('-');
        }
        for byte in bytes {
            let _ = write!(self.out, "{byte:02X}");
        }
    }

    /// base32hex without padding (RFC 5155 section 3.3).
    pub(super) fn base32(&mut self, bytes: &[u8]) {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
        for chunk in bytes.chunks(5) {
            let mut bits = 0u64;
            for at in 0..5 {
                bits = bits << 8 | u64::from(chunk.get(at).copied().unwrap_or(0));
            }
            for digit in 0..(chunk.len() * 8).div_ceil(5) {
                let index = usize::try_from(bits >> (35 - 5 * digit) & 31).unwrap_or(0);
                self.out.extend(DIGITS.get(index).map(|digit| char::from(*digit)));
            }
        }
    }

    pub(super) fn rr_type(&mut self, rtype: RrType) {
        self.number(rtype);
    }

    /// The types of an NSEC bitmap, a blank before each when `apart`, else between them (RFC 4034 section 4.1.2).
    pub(super) fn types(&mut self, bitmap: &[u8], mut apart: bool) -> Option<()> {
        let mut cursor = Cursor::new(bitmap);
        let mut last_window = None;
        while cursor.left() > 0 {
            let window = cursor.u8()?;
            let octets = cursor.counted()?;
            if octets.is_empty() || octets.len() > 32 || last_window.is_some_and(|last| last >= window) {
                return None;
            }
            last_window = Some(window);
            for (at, octet) in (0u16..).zip(octets) {
                for bit in 0..8u16 {
                    if octet & (0x80 >> bit) != 0 {
                        if apart {
                            self.space();
                        }
                        apart = true;
                        self.rr_type(RrType(u16::from(window) << 8 | (at * 8 + bit)));
                    }
                }
            }
        }
        Some(())
    }

    /// Seconds since the epoch as YYYYMMDDHHMMSS (RFC 4034 section 3.2). Serial arithmetic around the present is
    /// left out on purpose: it needs a clock, and no signature made before 2106 is affected.
    pub(super) fn time(&mut self, seconds: u32) {
        let date = civil_from_unix(i64::from(seconds));
        let _ = write!(
            self.out,
            "{:04}{:02}{:02}{:02}{:02}{:02}",
            date.year, date.month, date.day, date.hour, date.minute, date.second
        );
    }

    /// Four groups of hex as BIND writes them, without leading zeros.
    pub(super) fn groups64(&mut self, value: u64) {
        for (index, shift) in [48, 32, 16, 0].into_iter().enumerate() {
            if index > 0 {
                self.out.push(':');
            }
            let _ = write!(self.out, "{:x}", value >> shift & 0xffff);
        }
    }

    pub(super) fn dashed(&mut self, octets: &[u8]) {
        for (index, byte) in octets.iter().enumerate() {
            if index > 0 {
                self.out.push('-');
            }
            let _ = write!(self.out, "{byte:02x}");
        }
    }

    /// RFC 3597 section 5.
    pub(super) fn unknown(&mut self, bytes: &[u8]) {
        let _ = write!(self.out, "\\# {}", bytes.len());
        if !bytes.is_empty() {
            self.space();
            self.open_here();
            self.hex(bytes);
            self.close();
        }
    }
}

/// As inet_ntop(3) writes it: std differs in embedding IPv4 only for mapped addresses, where the C library
/// also does so for the retired compatible ones (::a.b.c.d).
pub(super) fn ip6_text(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            format!("::{}", Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => address.to_string(),
    }
}
