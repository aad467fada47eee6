//! Types whose data no field list can describe.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::super::edns::duration_words;
use super::super::types::{Rcode, RrType, algorithm_mnemonic};
use super::Data;
use super::text::Text;

/// Class CH: a name and a 16-bit address in octal.
pub(super) fn chaos_a(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    text.name(&data.name()?);
    let _ = write!(text.out, " {:o}", data.cursor.u16()?);
    Some(())
}

pub(super) fn soa(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    text.name(&data.name()?);
    text.space();
    text.name(&data.name()?);
    let multiline = text.style.multiline;
    let comments = multiline && text.style.rrcomments;
    text.open();
    let labels = ["serial", "refresh", "retry", "expire", "minimum"];
    for (index, label) in labels.into_iter().enumerate() {
        let value = data.cursor.u32()?;
        if comments {
            let _ = write!(text.out, "{value:<10} ; {label}");
            if index > 0 {
                let _ = write!(text.out, " ({})", duration_words(value));
            }
            text.line_break();
        } else {
            text.number(value);
            if index + 1 < labels.len() {
                text.line_break();
            }
        }
    }
    if multiline {
        text.out.push(')');
    }
    Some(())
}

pub(super) fn wks(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    text.ip4(data.cursor.array()?);
    text.space();
    text.number(data.cursor.u8()?);
    let bitmap = data.cursor.rest();
    if bitmap.len() > 8192 {
        return None;
    }
    for (at, octet) in bitmap.iter().enumerate() {
        for bit in 0..8 {
            if octet & (0x80 >> bit) != 0 {
                text.space();
                text.number(at * 8 + bit);
            }
        }
    }
    Some(())
}

pub(super) fn nsap(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    text.out.push_str("0x");
    let bytes = data.cursor.rest();
    for byte in bytes {
        let _ = write!(text.out, "{byte:02x}");
    }
    (!bytes.is_empty()).then_some(())
}

/// KEY, DNSKEY, CDNSKEY and RKEY.
pub(super) fn key(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    let start = data.cursor.position();
    let flags = data.cursor.u16()?;
    let protocol = data.cursor.u8()?;
    let algorithm = data.cursor.u8()?;
    let _ = write!(text.out, "{flags} {protocol} {algorithm}");
    let material = data.cursor.rest();
    // RFC 2535 section 3.1.2: both top bits set means that there is no key.
    if flags & 0xc000 == 0xc000 && data.rtype == RrType::KEY {
        return material.is_empty().then_some(());
    }
    if material.is_empty() {
        return None;
    }
    let tag = key_tag(data.whole().get(start..).unwrap_or_default(), algorithm);
    text.open();
    if text.style.nocrypto {
        let _ = write!(text.out, "[key id = {tag}]");
    } else {
        text.base64(material);
    }
    if text.style.rrcomments {
        text.line_break();
    } else if text.style.multiline {
        text.space();
    }
    if text.style.multiline {
        text.out.push(')');
    }
    if text.style.rrcomments {
        if matches!(data.rtype, RrType::DNSKEY | RrType::CDNSKEY) {
            let revoked = flags & 0x0080 != 0;
            text.out.push_str(match (flags & 1 != 0, revoked) {
                (true, true) => " ; revoked KSK",
                (true, false) => " ; KSK",
                (false, true) => " ; revoked ZSK",
                (false, false) => " ; ZSK",
            });
        }
        let name = algorithm_mnemonic(algorithm).map_or_else(|| algorithm.to_string(), str::to_owned);
        let _ = write!(text.out, "; alg = {name} ; key id = {tag}");
    }
    Some(())
}

/// RFC 4034 appendix B; algorithm 1 takes octets of the modulus instead (B.1).
pub(super) fn key_tag(rdata: &[u8], algorithm: u8) -> u16 {
    if algorithm == 1 {
        let low = rdata.len().checked_sub(3).and_then(|at| rdata.get(at..at + 2)).unwrap_or(&[0, 0]);
        return low.iter().fold(0, |sum, byte| sum << 8 | u16::from(*byte));
    }
    let mut sum = 0u32;
    for (at, byte) in rdata.iter().enumerate() {
        sum = sum.wrapping_add(if at % 2 == 0 { u32::from(*byte) << 8 } else { u32::from(*byte) });
    }
    sum = sum.wrapping_add(sum >> 16 & 0xffff);
    u16::try_from(sum & 0xffff).unwrap_or(0)
}

pub(super) fn loc(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    let [version, size, horizontal, vertical] = data.cursor.array()?;
    if version != 0 {
        return None;
    }
    let latitude = data.cursor.u32()?;
    let longitude = data.cursor.u32()?;
    let altitude = data.cursor.u32()?;
    angle(text, latitude, 90, 'N', 'S')?;
    text.space();
    angle(text, longitude, 180, 'E', 'W')?;
    // Centimetres above a base 100,000 m below the WGS 84 spheroid.
    let centimetres = i64::from(altitude) - 10_000_000;
    let sign = if centimetres < 0 { "-" } else { "" };
    let absolute = centimetres.unsigned_abs();
    let _ = write!(text.out, " {sign}{}.{:02}m", absolute / 100, absolute % 100);
    for precision in [size, horizontal, vertical] {
        text.space();
        distance(text, precision)?;
    }
    Some(())
}

/// Thousandths of a second of arc around 2^31.
fn angle(text: &mut Text<'_>, value: u32, limit: u32, positive: char, negative: char) -> Option<()> {
    let (offset, letter) = match value.checked_sub(1 << 31) {
        Some(offset) => (offset, positive),
        None => ((1u32 << 31) - value, negative),
    };
    if offset > limit * 3_600_000 {
        return None;
    }
    let seconds = offset / 1000;
    let _ = write!(text.out, "{} {} {}.{:03} {letter}", seconds / 3600, seconds / 60 % 60, seconds % 60, offset % 1000);
    Some(())
}

/// Mantissa and power of ten of centimetres, a nibble each.
fn distance(text: &mut Text<'_>, value: u8) -> Option<()> {
    let (mantissa, exponent) = (u64::from(value >> 4), u32::from(value & 15));
    if mantissa > 9 || exponent > 9 {
        return None;
    }
    if exponent >= 2 {
        let _ = write!(text.out, "{}m", mantissa * 10u64.pow(exponent - 2));
    } else {
        let _ = write!(text.out, "0.{:02}m", mantissa * 10u64.pow(exponent));
    }
    Some(())
}

/// The old bitmap without windows: bit n is type n.
pub(super) fn nxt(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    text.name(&data.name()?);
    let bitmap = data.cursor.rest();
    for (at, octet) in (0u16..).zip(bitmap) {
        for bit in 0..8u16 {
            if octet & (0x80 >> bit) != 0 {
                text.space();
                text.rr_type(RrType(at * 8 + bit));
            }
        }
    }
    (bitmap.len() <= 16).then_some(())
}

pub(super) fn atma(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    let format = data.cursor.u8()?;
    let address = data.cursor.rest();
    match format {
        0 if !address.is_empty() => {
            for byte in address {
                let _ = write!(text.out, "{byte:02x}");
            }
        }
        1 if !address.is_empty() && address.iter().all(u8::is_ascii_digit) => {
            text.out.push('+');
            text.escaped(address, b"");
        }
        _ => return None,
    }
    Some(())
}

pub(super) fn cert(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    let kind = data.cursor.u16()?;
    match kind {
        1 => text.out.push_str("PKIX"),
        2 => text.out.push_str("SPKI"),
        3 => text.out.push_str("PGP"),
        4 => text.out.push_str("IPKIX"),
        5 => text.out.push_str("ISPKI"),
        6 => text.out.push_str("IPGP"),
        7 => text.out.push_str("ACPKIX"),
        8 => text.out.push_str("IACPKIX"),
        253 => text.out.push_str("URI"),
        254 => text.out.push_str("OID"),
        _ => text.number(kind),
    }
    let _ = write!(text.out, " {} ", data.cursor.u16()?);
    let algorithm = data.cursor.u8()?;
    match algorithm_mnemonic(algorithm) {
        Some(name) => text.out.push_str(name),
        None => text.number(algorithm),
    }
    text.open();
    let certificate = data.cursor.rest();
    text.crypto(certificate, Text::base64);
    text.close();
    (!certificate.is_empty()).then_some(())
}

pub(super) fn a6(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    let prefix = data.cursor.u8()?;
    text.number(prefix);
    if prefix > 128 {
        return None;
    }
    if prefix < 128 {
        let given = data.cursor.take(16 - usize::from(prefix / 8))?;
        let mut octets = [0u8; 16];
        octets.get_mut(usize::from(prefix / 8)..)?.copy_from_slice(given);
        text.space();
        text.ip6(octets);
    }
    if prefix > 0 {
        text.space();
        text.name(&data.name()?);
    }
    Some(())
}

pub(super) fn apl(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    let mut first = true;
    while data.cursor.left() > 0 {
        let family = data.cursor.u16()?;
        let prefix = data.cursor.u8()?;
        let length = data.cursor.u8()?;
        let given = data.cursor.take(usize::from(length & 0x7f))?;
        if !first {
            text.space();
        }
        first = false;
        if length & 0x80 != 0 {
            text.out.push('!');
        }
        let _ = write!(text.out, "{family}:");
        match family {
            1 if prefix <= 32 => {
                let mut octets = [0u8; 4];
                octets.get_mut(..given.len())?.copy_from_slice(given);
                text.number(Ipv4Addr::from(octets));
            }
            2 if prefix <= 128 => {
                let mut octets = [0u8; 16];
                octets.get_mut(..given.len())?.copy_from_slice(given);
                text.ip6(octets);
            }
            _ => return None,
        }
        let _ = write!(text.out, "/{prefix}");
    }
    Some(())
}

/// A gateway or relay: nothing, an IPv4 address, an IPv6 address, or a name.
fn gateway(text: &mut Text<'_>, data: &mut Data<'_>, kind: u8) -> Option<()> {
    match kind {
        0 => text.out.push('.'),
        1 => text.ip4(data.cursor.array()?),
        2 => text.ip6(data.cursor.array()?),
        3 => text.name(&data.name()?),
        _ => return None,
    }
    Some(())
}

pub(super) fn ipseckey(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    text.open_here();
    let [precedence, kind, algorithm] = data.cursor.array()?;
    let _ = write!(text.out, "{precedence} {kind} {algorithm} ");
    gateway(text, data, kind)?;
    if data.cursor.left() > 0 {
        text.line_break();
        text.base64(data.cursor.rest());
    }
    text.close();
    Some(())
}

pub(super) fn dhcid(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    let bytes = data.cursor.rest();
    text.open_here();
    text.base64(bytes);
    text.close();
    if text.style.multiline
        && text.style.rrcomments
        && let [high, low, digest, ..] = bytes
    {
        let _ = write!(text.out, " ; {} {digest} {}", u16::from_be_bytes([*high, *low]), bytes.len() - 3);
    }
    (!bytes.is_empty()).then_some(())
}

pub(super) fn hip(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    let hit_length = data.cursor.u8()?;
    let algorithm = data.cursor.u8()?;
    let key_length = data.cursor.u16()?;
    let hit = data.cursor.take(usize::from(hit_length))?;
    let key = data.cursor.take(usize::from(key_length))?;
    if hit.is_empty() || key.is_empty() {
        return None;
    }
    text.open_here();
    let _ = write!(text.out, "{algorithm} ");
    for byte in hit {
        let _ = write!(text.out, "{byte:02X}");
    }
    text.line_break();
    // The key is one word, or the rendezvous servers could not be told from it.
    text.out.push_str(&base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key));
    while data.cursor.left() > 0 {
        text.line_break();
        text.name(&data.name()?);
    }
    text.close();
    Some(())
}

pub(super) fn dsync(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    text.rr_type(RrType(data.cursor.u16()?));
    text.space();
    match data.cursor.u8()? {
        1 => text.out.push_str("NOTIFY"),
        scheme => text.number(scheme),
    }
    let _ = write!(text.out, " {} ", data.cursor.u16()?);
    text.name(&data.name()?);
    Some(())
}

pub(super) fn tkey(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    text.name(&data.name()?);
    text.space();
    text.time(data.cursor.u32()?);
    text.space();
    text.time(data.cursor.u32()?);
    let mode = data.cursor.u16()?;
    let error = Rcode(data.cursor.u16()?).tsig_text();
    let _ = write!(text.out, " {mode} {error} ");
    if sized_base64(text, data)? {
        text.space();
    }
    sized_base64(text, data)?;
    Some(())
}

pub(super) fn tsig(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    text.name(&data.name()?);
    let time = data.cursor.u48()?;
    let fudge = data.cursor.u16()?;
    let _ = write!(text.out, " {time} {fudge} ");
    if sized_base64(text, data)? {
        text.space();
    }
    let id = data.cursor.u16()?;
    let error = Rcode(data.cursor.u16()?).tsig_text();
    let _ = write!(text.out, "{id} {error} ");
    sized_base64(text, data)?;
    Some(())
}

/// A length in two octets and that much data, which is left out when empty. Returns whether there was any.
fn sized_base64(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<bool> {
    let length = data.cursor.u16()?;
    text.number(length);
    let bytes = data.cursor.take(usize::from(length))?;
    text.space();
    if !bytes.is_empty() {
        if text.style.multiline {
            text.out.push('(');
            text.line_break();
        }
        text.base64(bytes);
        text.close();
    }
    Some(!bytes.is_empty())
}

pub(super) fn doa(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    let enterprise = data.cursor.u32()?;
    let kind = data.cursor.u32()?;
    let location = data.cursor.u8()?;
    let _ = write!(text.out, "{enterprise} {kind} {location} ");
    text.quoted(data.cursor.counted()?);
    text.space();
    let bytes = data.cursor.rest();
    if bytes.is_empty() {
        text.out.push('-')
    } else {
        text.base64(bytes)
    }
    Some(())
}

pub(super) fn amtrelay(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    let precedence = data.cursor.u8()?;
    let kind = data.cursor.u8()?;
    let _ = write!(text.out, "{precedence} {} {}", kind >> 7, kind & 0x7f);
    text.space();
    gateway(text, data, kind & 0x7f)
}
