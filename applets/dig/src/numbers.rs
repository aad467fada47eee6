//! Numbers, prefixes and hexadecimal as BIND's command line reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::lookup::Subnet;

const NOT_A_NUMBER: &str = "not a valid number";
const OUT_OF_RANGE: &str = "out of range";

/// A decimal number up to `max`.
pub(crate) fn decimal(text: &str, max: u32) -> Result<u32, &'static str> {
    radix(text, max, 10)
}

/// A number as C writes it: 0x hexadecimal, a leading 0 octal, else decimal.
pub(crate) fn c_number(text: &str, max: u32) -> Result<u32, &'static str> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return radix(hex, max, 16);
    }
    match text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => radix(octal, max, 8),
        _ => radix(text, max, 10),
    }
}

fn radix(text: &str, max: u32, radix: u32) -> Result<u32, &'static str> {
    if text.is_empty() || !text.chars().all(|c| c.is_digit(radix)) {
        return Err(NOT_A_NUMBER);
    }
    match u32::from_str_radix(text, radix) {
        Ok(number) if number <= max => Ok(number),
        _ => Err(OUT_OF_RANGE),
    }
}

/// Hexadecimal digits in pairs, white space between them allowed.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    netkit_core::text::unhex(&compact)
}

/// Base64 (RFC 4648, section 4), padded; white space is skipped.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let mut out = Vec::with_capacity(digits.len() / 4 * 3);
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let mut groups = digits.chunks_exact(4).peekable();
    while let Some(group) = groups.next() {
        let padding = group.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || (padding > 0 && groups.peek().is_some()) {
            return None;
        }
        let mut bits = 0u32;
        for byte in group.iter().take(4 - padding) {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        let [_, bytes @ ..] = (bits << (6 * padding)).to_be_bytes();
        out.extend(bytes.into_iter().take(3 - padding));
    }
    Some(out)
}

/// `ADDR[/BITS]`, with missing octets of an IPv4 address taken as 0 when the length is given, and `0` for no address.
/// An error is the whole message.
pub(crate) fn subnet(text: &str) -> Result<Subnet, String> {
    if text == "0" {
        return Ok(Subnet { address: None, prefix: 0 });
    }
    let (address, bits) = match text.split_once('/') {
        None => (text, None),
        Some((address, bits)) => {
            let bits = decimal(bits, u32::MAX).map_err(|why| format!("invalid prefix length in '{text}': {why}\n"))?;
            (address, Some(bits))
        }
    };
    let clamp = |max: u8| u8::try_from(bits.unwrap_or(u32::MAX)).unwrap_or(max).min(max);
    if let Ok(v6) = address.parse::<Ipv6Addr>() {
        return Ok(Subnet { address: Some(IpAddr::V6(v6)), prefix: clamp(128) });
    }
    let mut padded = address.to_owned();
    for _ in 0..4 {
        if let Ok(v4) = padded.parse::<Ipv4Addr>() {
            return Ok(Subnet { address: Some(IpAddr::V4(v4)), prefix: clamp(32) });
        }
        if bits.is_none() {
            break;
        }
        padded.push_str(".0");
    }
    Err(format!("invalid address '{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(decimal("65535", 65535), Ok(65535));
        assert_eq!(decimal("65536", 65535), Err(OUT_OF_RANGE));
        assert_eq!(decimal("99999999999", u32::MAX), Err(OUT_OF_RANGE));
        assert_eq!(decimal("-1", 10), Err(NOT_A_NUMBER));
        assert_eq!(decimal("", 10), Err(NOT_A_NUMBER));
        assert_eq!(c_number("0x40", 0xffff), Ok(0x40));
        assert_eq!(c_number("010", 0xffff), Ok(8));
        assert_eq!(c_number("0", 0xffff), Ok(0));
    }

    #[test]
    fn base64_text() {
        assert_eq!(base64("AAEC/w=="), Some(vec![0, 1, 2, 255]));
        assert_eq!(base64("Zm9v YmFy"), Some(b"foobar".to_vec()));
        assert_eq!(base64(""), Some(Vec::new()));
        assert_eq!(base64("A=="), None);
        assert_eq!(base64("AA==AAAA"), None);
        assert_eq!(base64("A*AA"), None);
    }

    #[test]
    fn subnets() {
        let net = |text| subnet(text).map(|net| (net.address.map(|a| a.to_string()), net.prefix));
        assert_eq!(net("10.0.0.0/24"), Ok((Some("10.0.0.0".into()), 24)));
        assert_eq!(net("10/8"), Ok((Some("10.0.0.0".into()), 8)));
        assert_eq!(net("10.1.2.3"), Ok((Some("10.1.2.3".into()), 32)));
        assert_eq!(net("2001:db8::/200"), Ok((Some("2001:db8::".into()), 128)));
        assert_eq!(net("0"), Ok((None, 0)));
        assert_eq!(net("10"), Err("invalid address '10'".into()));
        assert_eq!(net("10.0.0.0/x"), Err("invalid prefix length in '10.0.0.0/x': not a valid number\n".into()));
    }
}
