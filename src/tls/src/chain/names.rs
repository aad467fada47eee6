//! Names as OpenSSL compares them: distinguished names in canonical form, and hosts, addresses and mailboxes against a
//! leaf (X509_check_host(3)).

use netkit_wire::der::{Element, tag};
use netkit_wire::x509::{Certificate, GeneralName};

/// A string's characters as UTF-8; `None` for a type that is no string.
pub(super) fn utf8(value: Element<'_>) -> Option<String> {
    let wide = |width: usize| {
        let units = value.content.chunks_exact(width);
        let points = units.map(|unit| unit.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte)));
        points.map(|point| char::from_u32(point).unwrap_or('\u{fffd}')).collect()
    };
    Some(match value.tag {
        tag::UTF8_STRING => String::from_utf8_lossy(value.content).into_owned(),
        tag::BMP_STRING => wide(2),
        tag::UNIVERSAL_STRING => wide(4),
        tag::PRINTABLE_STRING | tag::T61_STRING | tag::IA5_STRING | tag::VISIBLE_STRING => {
            value.content.iter().map(|byte| char::from(*byte)).collect()
        }
        _ => return None,
    })
}

/// A Name in the form in which names are equal when their octets are: strings in lower case and UTF-8, white space at
/// the ends gone and runs of it one space (RFC 5280, section 7.1).
pub(super) fn canonical(name: Element<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for set in name.children() {
        let mut inside = Vec::new();
        for attribute in set.children() {
            let mut parts = attribute.children();
            let (Some(kind), Some(value)) = (parts.next(), parts.next()) else { continue };
            let mut pair = kind.whole.to_vec();
            match utf8(value) {
                Some(text) => {
                    let words: Vec<&str> = text.split_ascii_whitespace().collect();
                    element(&mut pair, tag::UTF8_STRING, words.join(" ").to_ascii_lowercase().as_bytes());
                }
                None => pair.extend_from_slice(value.whole),
            }
            element(&mut inside, tag::SEQUENCE, &pair);
        }
        element(&mut out, tag::SET, &inside);
    }
    out
}

/// Appends an element (X.690, section 8.1).
pub(crate) fn element(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    match content.len() {
        length @ 0..=0x7f => out.push(u8::try_from(length).unwrap_or(0)),
        length => {
            let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(0));
            out.extend(digits);
        }
    }
    out.extend_from_slice(content);
}

/// The subject's attributes of one kind, last arcs of 2.5.4 or a whole identifier.
pub(super) fn attributes<'a>(read: &Certificate<'a>, kind: &[u8]) -> Vec<Element<'a>> {
    let all = read.subject.children().flat_map(|set| set.children());
    let wanted = all.filter_map(|attribute| {
        let mut parts = attribute.children();
        (parts.next()?.content == kind).then(|| parts.next())?
    });
    wanted.collect()
}

pub(super) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
pub(super) const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];

/// Whether the leaf is for that host.
pub fn fits_host(read: &Certificate<'_>, host: &str) -> bool {
    name_for(read, host).is_some()
}

/// The name by which the leaf is for that host: a dNSName, and a common name only where there are none.
pub fn name_for(read: &Certificate<'_>, host: &str) -> Option<String> {
    let mut named = false;
    for name in read.alt_names() {
        if let GeneralName::Dns(pattern) = name {
            named = true;
            if host_fits(pattern, host.as_bytes()) {
                return Some(String::from_utf8_lossy(pattern).into_owned());
            }
        }
    }
    let mut common = attributes(read, COMMON_NAME).into_iter().filter_map(utf8);
    if named { None } else { common.find(|text| host_fits(text.as_bytes(), host.as_bytes())) }
}

/// Whether the leaf is for that address; a common name never counts.
pub fn fits_address(read: &Certificate<'_>, address: std::net::IpAddr) -> bool {
    let octets = match address {
        std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
        std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    read.alt_names().iter().any(|name| matches!(name, GeneralName::Ip(bytes) if *bytes == octets))
}

/// Whether the leaf is for that mailbox: the part before the at sign as it is written, the rest in any case.
pub fn fits_email(read: &Certificate<'_>, email: &str) -> bool {
    let same = |held: &[u8]| match (rsplit(held, b'@'), rsplit(email.as_bytes(), b'@')) {
        (Some((local, host)), Some((wanted, at))) => local == wanted && host.eq_ignore_ascii_case(at),
        _ => held.eq_ignore_ascii_case(email.as_bytes()),
    };
    let mut named = false;
    for name in read.alt_names() {
        if let GeneralName::Email(held) = name {
            named = true;
            if same(held) {
                return true;
            }
        }
    }
    let held = attributes(read, EMAIL_ADDRESS);
    !named && held.into_iter().filter_map(utf8).any(|text| same(text.as_bytes()))
}

pub(super) fn rsplit(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().rposition(|byte| *byte == at)?;
    Some((bytes.get(..place)?, bytes.get(place + 1..)?))
}

fn host_fits(pattern: &[u8], host: &[u8]) -> bool {
    let dotted = host.len() > 1 && host.first() == Some(&b'.');
    match star(pattern).filter(|_| !dotted) {
        None => {
            // A name that begins with a dot stands for everything below it.
            let from = if dotted { pattern.len().saturating_sub(host.len()) } else { 0 };
            pattern.get(from..).is_some_and(|tail| tail.eq_ignore_ascii_case(host))
        }
        Some(at) => {
            let (before, after) = (pattern.get(..at).unwrap_or_default(), pattern.get(at + 1..).unwrap_or_default());
            let Some(end) = host.len().checked_sub(after.len()).filter(|end| *end >= before.len()) else {
                return false;
            };
            let (head, middle, tail) = (
                host.get(..before.len()).unwrap_or_default(),
                host.get(before.len()..end).unwrap_or_default(),
                host.get(end..).unwrap_or_default(),
            );
            if !head.eq_ignore_ascii_case(before) || !tail.eq_ignore_ascii_case(after) {
                return false;
            }
            let whole_label = before.is_empty() && after.first() == Some(&b'.');
            if whole_label && middle.is_empty() {
                return false;
            }
            let rest = host.get(before.len()..).unwrap_or_default();
            if !whole_label && host.len() >= 4 && begins_xn(rest) {
                return false;
            }
            middle == b"*" || middle.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        }
    }
}

fn begins_xn(bytes: &[u8]) -> bool {
    bytes.get(..4).is_some_and(|four| four.eq_ignore_ascii_case(b"xn--"))
}

/// Where the only star of a pattern stands that may stand for something: at an end of a first label that is not the
/// last but one, in a pattern that is otherwise a host's name.
fn star(pattern: &[u8]) -> Option<usize> {
    let mut found = None;
    let (mut start, mut hyphen, mut idna, mut dots) = (true, false, false, 0);
    for (at, byte) in pattern.iter().enumerate() {
        match byte {
            b'*' => {
                let ends = pattern.get(at + 1).is_none_or(|next| *next == b'.');
                if found.is_some() || idna || dots > 0 || (!start && !ends) {
                    return None;
                }
                found = Some(at);
                start = false;
            }
            b'.' if hyphen || start => return None,
            b'.' => {
                (start, hyphen, idna) = (true, false, false);
                dots += 1;
            }
            b'-' if start => return None,
            b'-' => hyphen = true,
            byte if byte.is_ascii_alphanumeric() => {
                idna |= start && begins_xn(pattern.get(at..).unwrap_or_default());
                (start, hyphen) = (false, false);
            }
            _ => return None,
        }
    }
    found.filter(|_| !start && !hyphen && dots >= 2)
}
