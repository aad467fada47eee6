//! SVCB and HTTPS (RFC 9460 section 2.1 and appendix A).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Data;
use super::text::{Text, ip6_text};
use crate::cursor::Cursor;

/// Keys with a presentation of their own (RFC 9460 section 14.3.2, RFC 9461, RFC 9540).
const KEYS: [&str; 9] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];

pub(super) fn svcb(text: &mut Text<'_>, data: &mut Data<'_>) -> Option<()> {
    text.number(data.cursor.u16()?);
    text.space();
    text.name(&data.name()?);
    let mut last = None;
    while data.cursor.left() > 0 {
        let key = data.cursor.u16()?;
        let length = data.cursor.u16()?;
        let value = data.cursor.take(usize::from(length))?;
        // Keys come in strictly increasing order (section 2.2).
        if last.is_some_and(|last| last >= key) {
            return None;
        }
        last = Some(key);
        text.space();
        push_key(text, key);
        parameter(text, key, value)?;
    }
    Some(())
}

fn push_key(text: &mut Text<'_>, key: u16) {
    match KEYS.get(usize::from(key)) {
        Some(name) => text.out.push_str(name),
        None => {
            text.out.push_str("key");
            text.number(key);
        }
    }
}

fn parameter(text: &mut Text<'_>, key: u16, value: &[u8]) -> Option<()> {
    let mut cursor = Cursor::new(value);
    match key {
        0 => {
            if value.is_empty() {
                return None;
            }
            list(text, &mut cursor, |text, cursor| {
                let key = cursor.u16()?;
                push_key(text, key);
                Some(())
            })?;
        }
        1 => {
            if value.is_empty() {
                return None;
            }
            text.out.push_str("=\"");
            let mut first = true;
            while cursor.left() > 0 {
                if !first {
                    text.out.push(',');
                }
                first = false;
                alpn(text, cursor.counted().filter(|id| !id.is_empty())?);
            }
            text.out.push('"');
        }
        2 | 8 if value.is_empty() => {}
        2 | 8 => return None,
        3 => {
            text.out.push('=');
            text.number(cursor.u16()?);
        }
        4 => list(text, &mut cursor, |text, cursor| {
            text.number(Ipv4Addr::from(cursor.array::<4>()?));
            Some(())
        })?,
        5 => {
            text.out.push('=');
            // One word: a parameter value must not be split at blanks.
            text.out.push_str(&base64::Engine::encode(&base64::engine::general_purpose::STANDARD, cursor.rest()));
        }
        6 => list(text, &mut cursor, |text, cursor| {
            text.out.push_str(&ip6_text(Ipv6Addr::from(cursor.array::<16>()?)));
            Some(())
        })?,
        _ if value.is_empty() => {}
        _ => {
            text.out.push('=');
            text.quoted(cursor.rest());
        }
    }
    (cursor.left() == 0).then_some(())
}

/// A comma-separated list of at least one item.
fn list(
    text: &mut Text<'_>,
    cursor: &mut Cursor<'_>,
    item: impl Fn(&mut Text<'_>, &mut Cursor<'_>) -> Option<()>,
) -> Option<()> {
    text.out.push('=');
    item(text, cursor)?;
    while cursor.left() > 0 {
        text.out.push(',');
        item(text, cursor)?;
    }
    Some(())
}

/// Commas and backslashes in an id are escaped for the list, and that escape once more for the string
/// (RFC 9460 appendix A.1).
fn alpn(text: &mut Text<'_>, id: &[u8]) {
    for byte in id {
        match byte {
            b',' => text.out.push_str("\\\\,"),
            b'\\' => text.out.push_str("\\\\\\\\"),
            _ => text.escaped(std::slice::from_ref(byte), b"\""),
        }
    }
}
