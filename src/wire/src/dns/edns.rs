//! The OPT pseudo-record and its options (RFC 6891 and the RFC named at each option).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::message::Record;
use super::name::Name;
use super::types::{RrType, algorithm_mnemonic};
use crate::cursor::Cursor;

/// A decoded OPT record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opt {
    /// Largest UDP payload the sender takes, in bytes.
    pub udp_size: u16,
    /// High eight bits of the response code.
    pub extended_rcode: u8,
    /// EDNS version.
    pub version: u8,
    /// DO is 0x8000, CO is 0x4000.
    pub flags: u16,
    /// In the order they came.
    pub options: Vec<EdnsOption>,
    /// The option list ended inside an option.
    pub truncated_options: bool,
}

/// One option, undecoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdnsOption {
    /// Number in the EDNS0 Option Codes registry.
    pub code: u16,
    /// OPTION-DATA.
    pub data: Vec<u8>,
}

impl Opt {
    /// Reads the fields out of the fixed part and the options out of the data.
    pub fn decode(record: &Record, rdata: &[u8]) -> Opt {
        let [extended_rcode, version, high, low] = record.ttl.to_be_bytes();
        let mut cursor = Cursor::new(rdata);
        let mut options = Vec::new();
        let mut truncated_options = false;
        while cursor.left() > 0 {
            let read = |cursor: &mut Cursor<'_>| {
                let code = cursor.u16()?;
                let length = cursor.u16()?;
                Some(EdnsOption { code, data: cursor.take(usize::from(length))?.to_vec() })
            };
            match read(&mut cursor) {
                Some(option) => options.push(option),
                None => {
                    truncated_options = true;
                    break;
                }
            }
        }
        let flags = u16::from_be_bytes([high, low]);
        Opt { udp_size: record.class.0, extended_rcode, version, flags, options, truncated_options }
    }
}

/// Names of option codes as BIND prints them.
const OPTION_NAMES: &[(u16, &str)] = &[
    (EdnsOption::LLQ, "LLQ"),
    (EdnsOption::UPDATE_LEASE, "UPDATE-LEASE"),
    (EdnsOption::NSID, "NSID"),
    (5, "DAU"),
    (6, "DHU"),
    (7, "N3U"),
    (EdnsOption::CLIENT_SUBNET, "CLIENT-SUBNET"),
    (EdnsOption::EXPIRE, "EXPIRE"),
    (EdnsOption::COOKIE, "COOKIE"),
    (EdnsOption::TCP_KEEPALIVE, "TCP KEEPALIVE"),
    (EdnsOption::PADDING, "PAD"),
    (13, "CHAIN"),
    (EdnsOption::KEY_TAG, "KEY-TAG"),
    (EdnsOption::EDE, "EDE"),
    (EdnsOption::CLIENT_TAG, "CLIENT-TAG"),
    (EdnsOption::SERVER_TAG, "SERVER-TAG"),
    (EdnsOption::REPORT_CHANNEL, "Report-Channel"),
    (EdnsOption::ZONEVERSION, "ZONEVERSION"),
];

/// Extended DNS Error purposes (RFC 8914 section 5.2 and the registry it opened).
const EDE: &[&str] = &[
    "Other",
    "Unsupported DNSKEY Algorithm",
    "Unsupported DS Digest Type",
    "Stale Answer",
    "Forged Answer",
    "DNSSEC Indeterminate",
    "DNSSEC Bogus",
    "Signature Expired",
    "Signature Not Yet Valid",
    "DNSKEY Missing",
    "RRSIGs Missing",
    "No Zone Key Bit Set",
    "NSEC Missing",
    "Cached Error",
    "Not Ready",
    "Blocked",
    "Censored",
    "Filtered",
    "Prohibited",
    "Stale NXDOMAIN Answer",
    "Not Authoritative",
    "Not Supported",
    "No Reachable Authority",
    "Network Error",
    "Invalid Data",
    "Signature Expired Before Valid",
    "Too Early",
    "Unsupported NSEC3 Iterations Value",
    "Unable to conform to policy",
    "Synthesized Answer",
];

impl EdnsOption {
    /// Long-lived queries (RFC 8764).
    pub const LLQ: u16 = 1;
    /// Update lease (RFC 9664).
    pub const UPDATE_LEASE: u16 = 2;
    /// Name server identifier (RFC 5001).
    pub const NSID: u16 = 3;
    /// Client subnet (RFC 7871).
    pub const CLIENT_SUBNET: u16 = 8;
    /// Zone expiry (RFC 7314).
    pub const EXPIRE: u16 = 9;
    /// Cookie (RFC 7873).
    pub const COOKIE: u16 = 10;
    /// TCP keepalive (RFC 7828).
    pub const TCP_KEEPALIVE: u16 = 11;
    /// Padding (RFC 7830).
    pub const PADDING: u16 = 12;
    /// Key tags a validator trusts (RFC 8145).
    pub const KEY_TAG: u16 = 14;
    /// Extended DNS error (RFC 8914).
    pub const EDE: u16 = 15;
    /// Opaque client tag (draft-bellis-dnsop-edns-tags).
    pub const CLIENT_TAG: u16 = 16;
    /// Opaque server tag (draft-bellis-dnsop-edns-tags).
    pub const SERVER_TAG: u16 = 17;
    /// DNS error reporting (RFC 9567).
    pub const REPORT_CHANNEL: u16 = 18;
    /// Zone version (RFC 9660).
    pub const ZONEVERSION: u16 = 19;

    /// The registry's name, if the code has one.
    pub fn name(&self) -> Option<&'static str> {
        OPTION_NAMES.iter().find(|entry| entry.0 == self.code).map(|entry| entry.1)
    }

    /// What dig prints after `; `: the option's name, its decoded value, or its bytes when they do not fit.
    /// `sent_cookie` is the COOKIE option of the query, against which the reply's is judged.
    pub fn text(&self, sent_cookie: Option<&[u8]>) -> String {
        let mut out = match self.name() {
            Some(name) => name.to_owned(),
            None => format!("OPT={}", self.code),
        };
        // The colon stays also when nothing follows it.
        out.push(':');
        match self.decoded(sent_cookie) {
            Some(text) if text.is_empty() => {}
            Some(text) => {
                let _ = write!(out, " {text}");
            }
            None if self.data.is_empty() => {}
            None => {
                let _ = write!(out, " {}", dump(&self.data));
            }
        }
        out
    }

    /// The decoded value; `None` where the option is unknown or its data malformed.
    pub fn decoded(&self, sent_cookie: Option<&[u8]>) -> Option<String> {
        let data = self.data.as_slice();
        match self.code {
            EdnsOption::LLQ => llq(data),
            EdnsOption::UPDATE_LEASE => match data.len() {
                4 | 8 => Some(seconds_list(data)),
                _ => None,
            },
            EdnsOption::CLIENT_SUBNET => client_subnet(data),
            EdnsOption::EXPIRE if data.len() == 4 => {
                let seconds = Cursor::new(data).u32()?;
                Some(format!("{seconds} ({})", duration_words(seconds)))
            }
            EdnsOption::COOKIE => Some(cookie(data, sent_cookie)),
            EdnsOption::TCP_KEEPALIVE if data.len() == 2 => {
                let tenths = Cursor::new(data).u16()?;
                Some(format!("{}.{} secs", tenths / 10, tenths % 10))
            }
            EdnsOption::PADDING if !data.is_empty() => Some(format!("({} bytes)", data.len())),
            EdnsOption::KEY_TAG if data.len() >= 2 && data.len().is_multiple_of(2) => {
                let tags: Vec<String> = data
                    .chunks_exact(2)
                    .filter_map(|pair| Cursor::new(pair).u16())
                    .map(|tag| tag.to_string())
                    .collect();
                Some(tags.join(", "))
            }
            EdnsOption::EDE if data.len() >= 2 => Some(extended_error(data)?),
            EdnsOption::CLIENT_TAG | EdnsOption::SERVER_TAG if data.len() == 2 => {
                Some(Cursor::new(data).u16()?.to_string())
            }
            EdnsOption::REPORT_CHANNEL => {
                let (name, after) = Name::decode(data, 0).ok()?;
                (after == data.len()).then(|| name.to_string())
            }
            EdnsOption::ZONEVERSION => zone_version(data),
            // Algorithm lists of RFC 6975.
            5 if !data.is_empty() => {
                let names: Vec<String> = data
                    .iter()
                    .map(|number| algorithm_mnemonic(*number).map_or_else(|| number.to_string(), str::to_owned))
                    .collect();
                Some(names.join(" "))
            }
            _ => None,
        }
    }
}

/// Bytes in hex with blanks, and once more as text where it is printable.
fn dump(data: &[u8]) -> String {
    let mut out = String::with_capacity(data.len() * 4 + 4);
    for byte in data {
        let _ = write!(out, "{byte:02x} ");
    }
    out.push_str("(\"");
    for byte in data {
        out.push(if matches!(byte, 0x20..=0x7e) { char::from(*byte) } else { '.' });
    }
    out.push_str("\")");
    out
}

fn llq(data: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(data);
    let version = cursor.u16()?;
    let opcode = cursor.u16()?;
    let error = cursor.u16()?;
    let id = cursor.u64()?;
    let lease = cursor.u32()?;
    (cursor.left() == 0)
        .then(|| format!("Version: {version}, Opcode: {opcode}, Error: {error}, Identifier: {id}, Lifetime: {lease}"))
}

fn seconds_list(data: &[u8]) -> String {
    let mut parts = Vec::new();
    for word in data.chunks_exact(4) {
        if let Some(seconds) = Cursor::new(word).u32() {
            parts.push(format!("{seconds} ({})", duration_words(seconds)));
        }
    }
    parts.join(", ")
}

/// Family, source and scope prefix, and only as many address octets as the prefix needs (RFC 7871 section 6).
fn client_subnet(data: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(data);
    let family = cursor.u16()?;
    let source = cursor.u8()?;
    let scope = cursor.u8()?;
    let given = cursor.rest();
    let needed = usize::from(source).div_ceil(8);
    if given.len() != needed {
        return None;
    }
    let address = match family {
        0 if source == 0 => "0".to_owned(),
        1 if source <= 32 && scope <= 32 => {
            let mut octets = [0u8; 4];
            octets.get_mut(..needed)?.copy_from_slice(given);
            Ipv4Addr::from(octets).to_string()
        }
        2 if source <= 128 && scope <= 128 => {
            let mut octets = [0u8; 16];
            octets.get_mut(..needed)?.copy_from_slice(given);
            Ipv6Addr::from(octets).to_string()
        }
        _ => return None,
    };
    Some(format!("{address}/{source}/{scope}"))
}

/// The cookie in hex, judged against the one sent: a reply must begin with the client part (RFC 7873 section 5.3).
fn cookie(data: &[u8], sent: Option<&[u8]>) -> String {
    let mut out = netkit_core::text::hex(data);
    let verdict = match sent {
        None => "",
        Some(sent) if data == sent => " (echoed)",
        Some(sent) if data.len() >= 16 && data.len() <= 40 && data.get(..8) == sent.get(..8) => " (good)",
        Some(_) => " (bad)",
    };
    out.push_str(verdict);
    out
}

fn extended_error(data: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(data);
    let code = cursor.u16()?;
    let mut out = code.to_string();
    if let Some(purpose) = EDE.get(usize::from(code)) {
        let _ = write!(out, " ({purpose})");
    }
    let extra = cursor.rest();
    if !extra.is_empty() {
        // EXTRA-TEXT is UTF-8 without a terminator; a hostile one must not move the cursor.
        let text = netkit_core::text::printable(&String::from_utf8_lossy(extra));
        let _ = write!(out, ": ({text})");
    }
    Some(out)
}

/// Labels of the zone name counted, then a type; type 0 is the SOA serial (RFC 9660 section 2).
fn zone_version(data: &[u8]) -> Option<String> {
    if data.is_empty() {
        return Some(String::new());
    }
    let mut cursor = Cursor::new(data);
    let labels = cursor.u8()?;
    let kind = cursor.u8()?;
    if kind == 0 && cursor.left() == 4 {
        return Some(format!("labels {labels}, SOA-SERIAL {}", cursor.u32()?));
    }
    Some(format!("labels {labels}, type {kind}, {}", netkit_core::text::hex(cursor.rest())))
}

/// Seconds in BIND's words: `1 week 2 days 3 hours 4 minutes 5 seconds`, parts of zero left out.
pub(super) fn duration_words(seconds: u32) -> String {
    let units = [("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (word, size) in units {
        let count = rest / size;
        rest %= size;
        if count > 0 || (size == 1 && parts.is_empty()) {
            parts.push(format!("{count} {word}{}", if count == 1 { "" } else { "s" }));
        }
    }
    parts.join(" ")
}

/// The OPT record as bytes, for [`super::Query`].
pub(super) fn encode_opt(out: &mut Vec<u8>, udp_size: u16, version: u8, flags: u16, options: &[EdnsOption]) {
    out.push(0);
    out.extend_from_slice(&RrType::OPT.0.to_be_bytes());
    out.extend_from_slice(&udp_size.to_be_bytes());
    out.extend_from_slice(&[0, version]);
    out.extend_from_slice(&flags.to_be_bytes());
    let mut data = Vec::new();
    for option in options {
        let Ok(length) = u16::try_from(option.data.len()) else { continue };
        data.extend_from_slice(&option.code.to_be_bytes());
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(&option.data);
    }
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend(data.into_iter().take(usize::from(length)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(code: u16, data: &[u8]) -> String {
        EdnsOption { code, data: data.to_vec() }.text(Some(&[1, 2, 3, 4, 5, 6, 7, 8]))
    }

    #[test]
    fn options_as_dig_prints_them() {
        assert_eq!(text(3, b"ns1"), "NSID: 6e 73 31 (\"ns1\")");
        assert_eq!(text(3, b""), "NSID:");
        assert_eq!(text(8, &[0, 1, 24, 0, 10, 0, 0]), "CLIENT-SUBNET: 10.0.0.0/24/0");
        assert_eq!(text(8, &[0, 2, 32, 0, 0x20, 1, 0xd, 0xb8]), "CLIENT-SUBNET: 2001:db8::/32/0");
        assert_eq!(text(15, b"\x00\x0csorry"), "EDE: 12 (NSEC Missing): (sorry)");
        assert_eq!(text(9, &[0, 1, 0x51, 0x81]), "EXPIRE: 86401 (1 day 1 second)");
        assert_eq!(text(11, &[0, 105]), "TCP KEEPALIVE: 10.5 secs");
        assert_eq!(text(65001, &[0xde, b'A']), "OPT=65001: de 41 (\".A\")");
        // Malformed data of a known option falls back to its bytes.
        assert_eq!(text(8, &[0, 1, 24]), "CLIENT-SUBNET: 00 01 18 (\"...\")");
    }

    #[test]
    fn cookies_are_judged() {
        let sent = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(text(10, &sent), "COOKIE: 0102030405060708 (echoed)");
        let mut good = sent.to_vec();
        good.extend([9; 8]);
        assert_eq!(text(10, &good), "COOKIE: 01020304050607080909090909090909 (good)");
        assert!(text(10, &[0; 16]).ends_with("(bad)"));
    }
}
