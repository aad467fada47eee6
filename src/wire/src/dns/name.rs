//! Domain names (RFC 1035 section 3.1, 4.1.4; presentation of RFC 1035 section 5.1 and RFC 4343).

use std::fmt;
use std::hash::{Hash, Hasher};

/// An absolute domain name in uncompressed wire form, at most 255 octets, always ending in the root label.
#[derive(Clone)]
pub struct Name {
    wire: Vec<u8>,
}

/// Why text or bytes are no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Two dots in a row, or a leading one.
    EmptyLabel,
    /// A label over 63 octets.
    LabelTooLong,
    /// More than 255 octets in all.
    TooLong,
    /// A backslash before one or two digits, or before a triple over 255.
    BadEscape,
    /// No text at all, or none after a backslash.
    Empty,
    /// The bytes end inside the name.
    Truncated,
    /// A compression pointer that does not point backwards.
    BadPointer,
    /// A label type other than 00 and 11 (RFC 6891 section 5 retired 01).
    BadLabelType,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameError::EmptyLabel => "empty label",
            NameError::LabelTooLong => "label too long",
            NameError::TooLong => "ran out of space",
            NameError::BadEscape => "bad escape",
            NameError::Empty => "unexpected end of input",
            NameError::Truncated => "name is cut off",
            NameError::BadPointer => "bad compression pointer",
            NameError::BadLabelType => "bad label type",
        })
    }
}

/// Longest name in wire form (RFC 1035 section 2.3.4).
const MAX_WIRE: usize = 255;
/// Longest label (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

impl Name {
    /// The root.
    pub fn root() -> Name {
        Name { wire: vec![0] }
    }

    /// Reads presentation text; a missing final dot is supplied.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        Name::parse_bytes(text.as_bytes())
    }

    /// As [`Name::parse`], for text that need not be UTF-8.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse_bytes(text: &[u8]) -> Result<Name, NameError> {
        match text {
            [] => return Err(NameError::Empty),
            b"." | b"@" => return Ok(Name::root()),
            _ => {}
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        let mut label: Vec<u8> = Vec::with_capacity(MAX_LABEL);
        let mut bytes = text.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'.' => {
                    if label.is_empty() {
                        return Err(NameError::EmptyLabel);
                    }
                    push_label(&mut wire, &mut label)?;
                }
                b'\\' => label.push(escape(&mut bytes)?),
                _ => label.push(byte),
            }
            if label.len() > MAX_LABEL {
                return Err(NameError::LabelTooLong);
            }
        }
        if !label.is_empty() {
            push_label(&mut wire, &mut label)?;
        }
        wire.push(0);
        Ok(Name { wire })
    }

    /// Reads a possibly compressed name at `at` in `message`; returns it and the offset after it.
    ///
    /// Every pointer must point before the place where the current run of labels began, so the walk ends.
    ///
    /// # Errors
    /// Says why the bytes are no name.
    pub fn decode(message: &[u8], at: usize) -> Result<(Name, usize), NameError> {
        let mut wire = Vec::with_capacity(32);
        let mut here = at;
        let mut limit = at;
        let mut after = None;
        loop {
            let length = *message.get(here).ok_or(NameError::Truncated)?;
            match length >> 6 {
                0 => {
                    let end = here + 1 + usize::from(length);
                    let label = message.get(here..end).ok_or(NameError::Truncated)?;
                    if wire.len() + label.len() + usize::from(length != 0) > MAX_WIRE {
                        return Err(NameError::TooLong);
                    }
                    wire.extend_from_slice(label);
                    here = end;
                    if length == 0 {
                        return Ok((Name { wire }, after.unwrap_or(here)));
                    }
                }
                3 => {
                    let low = *message.get(here + 1).ok_or(NameError::Truncated)?;
                    let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                    after.get_or_insert(here + 2);
                    if target >= limit {
                        return Err(NameError::BadPointer);
                    }
                    limit = target;
                    here = target;
                }
                _ => return Err(NameError::BadLabelType),
            }
        }
    }

    /// The uncompressed wire form.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The labels without the root, left to right.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.wire.as_slice();
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_first()?;
            let label = tail.get(..usize::from(*length))?;
            rest = tail.get(usize::from(*length)..)?;
            (!label.is_empty()).then_some(label)
        })
    }

    /// Number of labels without the root.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.wire.len() == 1
    }

    /// The name without its first label; the root's parent is the root.
    #[must_use]
    pub fn parent(&self) -> Name {
        let skip = self.wire.first().map_or(0, |length| usize::from(*length) + 1);
        match self.wire.get(skip..) {
            Some(rest) if !rest.is_empty() => Name { wire: rest.to_vec() },
            _ => Name::root(),
        }
    }

    /// This name's labels followed by those of `suffix`.
    ///
    /// # Errors
    /// [`NameError::TooLong`] above 255 octets.
    pub fn concat(&self, suffix: &Name) -> Result<Name, NameError> {
        let own = self.wire.len().saturating_sub(1);
        let mut wire = self.wire.get(..own).unwrap_or_default().to_vec();
        wire.extend_from_slice(&suffix.wire);
        if wire.len() > MAX_WIRE { Err(NameError::TooLong) } else { Ok(Name { wire }) }
    }

    /// Whether this name is `zone` or below it.
    pub fn ends_with(&self, zone: &Name) -> bool {
        let (own, other) = (self.label_count(), zone.label_count());
        own >= other && self.labels().skip(own - other).zip(zone.labels()).all(|(a, b)| a.eq_ignore_ascii_case(b))
    }

    /// With ASCII letters in lower case (RFC 4034 section 6.2).
    #[must_use]
    pub fn to_lowercase(&self) -> Name {
        // Length octets are below 64 and so no letters.
        Name { wire: self.wire.to_ascii_lowercase() }
    }
}

fn push_label(wire: &mut Vec<u8>, label: &mut Vec<u8>) -> Result<(), NameError> {
    let length = u8::try_from(label.len()).map_err(|_| NameError::LabelTooLong)?;
    // One octet must remain for the root label.
    if wire.len() + label.len() + 2 > MAX_WIRE {
        return Err(NameError::TooLong);
    }
    wire.push(length);
    wire.append(label);
    Ok(())
}

fn escape(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, NameError> {
    let first = bytes.next().ok_or(NameError::Empty)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit).ok_or(NameError::BadEscape)?;
        value = value * 10 + u32::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

impl fmt::Display for Name {
    /// Presentation form with a final dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::with_capacity(self.wire.len());
        push_text(&mut out, self);
        f.pad(&out)
    }
}

/// Appends the presentation form; the fast path of [`fmt::Display`].
pub fn push_text(out: &mut String, name: &Name) {
    if name.is_root() {
        out.push('.');
    }
    for label in name.labels() {
        for byte in label {
            match byte {
                b'@' | b'$' | b'"' | b'(' | b')' | b'.' | b';' | b'\\' => {
                    out.push('\\');
                    out.push(char::from(*byte));
                }
                0x21..=0x7e => out.push(char::from(*byte)),
                _ => {
                    out.push('\\');
                    for digit in [byte / 100, byte / 10 % 10, byte % 10] {
                        out.push(char::from(b'0' + digit));
                    }
                }
            }
        }
        out.push('.');
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.wire.eq_ignore_ascii_case(&other.wire)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.wire.to_ascii_lowercase().hash(state);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    /// Order of the lower-case wire form; total, but not the canonical DNSSEC order.
    fn cmp(&self, other: &Name) -> std::cmp::Ordering {
        self.wire.to_ascii_lowercase().cmp(&other.wire.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_both_ways() {
        for (given, shown) in [
            ("example.com", "example.com."),
            (".", "."),
            ("a\\.b.c.", "a\\.b.c."),
            ("\\200\\065x", "\\200Ax."),
            ("sp\\ ace", "sp\\032ace."),
            ("semi\\;colon", "semi\\;colon."),
        ] {
            assert_eq!(Name::parse(given).unwrap().to_string(), shown);
        }
        for (given, error) in [
            ("", NameError::Empty),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("a\\", NameError::Empty),
            ("\\256", NameError::BadEscape),
            ("\\25", NameError::BadEscape),
        ] {
            assert_eq!(Name::parse(given), Err(error), "{given}");
        }
        assert_eq!(Name::parse(&"a".repeat(64)), Err(NameError::LabelTooLong));
        let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61));
        assert_eq!(Name::parse(&long).unwrap().wire().len(), 255);
        assert_eq!(Name::parse(&format!("{long}a")), Err(NameError::TooLong));
    }

    #[test]
    fn pointers_only_go_back() {
        let message = b"\x01a\x00\x01b\xc0\x00\xc0\x07\xc0\x03";
        assert_eq!(Name::decode(message, 3).unwrap(), (Name::parse("b.a").unwrap(), 7));
        assert_eq!(Name::decode(message, 7), Err(NameError::BadPointer));
        assert_eq!(Name::decode(message, 9).unwrap(), (Name::parse("b.a").unwrap(), 11));
        assert_eq!(Name::decode(b"\x40", 0), Err(NameError::BadLabelType));
        assert_eq!(Name::decode(b"\x05ab", 0), Err(NameError::Truncated));
    }

    #[test]
    fn comparing() {
        let name = Name::parse("www.Example.COM").unwrap();
        assert_eq!(name, Name::parse("WWW.example.com.").unwrap());
        assert!(name.ends_with(&Name::parse("example.com").unwrap()));
        assert!(!name.ends_with(&Name::parse("ample.com").unwrap()));
        assert_eq!(name.parent().to_string(), "Example.COM.");
        assert_eq!(Name::root().parent(), Name::root());
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail(bytes: Vec<u8>, at in 0usize..64) {
            if let Ok((name, after)) = Name::decode(&bytes, at) {
                prop_assert!(after <= bytes.len() && name.wire().len() <= 255);
                let again = Name::parse(&name.to_string()).unwrap();
                prop_assert_eq!(again.wire(), name.wire());
            }
        }

        #[test]
        fn any_text_parses_or_fails(text: String) {
            if let Ok(name) = Name::parse(&text) {
                prop_assert!(name.wire().len() <= 255);
                prop_assert_eq!(Name::decode(name.wire(), 0).unwrap().0, name);
            }
        }
    }
}
