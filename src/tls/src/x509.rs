//! What is read from a certificate (RFC 5280) whatever its version or extensions: names, dates, key. A certificate the
//! verifier throws away must still be shown. Nothing here decides about trust.

/// Deepest nesting followed.
const MAX_NAMES: usize = 1000;

/// One DER element: tag, content, and the whole with its header.
#[derive(Clone, Copy, Debug)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

/// Reads one element from the front (X.690, sections 8 and 10).
fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, content) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = content.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - rest.len())?;
    Some((Element { tag: *tag, content, whole }, rest))
}

fn children(mut bytes: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let (one, rest) = element(bytes)?;
        bytes = rest;
        Some(one)
    })
    .take(MAX_NAMES)
}

/// A name in a SubjectAltName extension, or a common name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AltName {
    /// dNSName
    Dns(String),
    /// iPAddress
    Ip(std::net::IpAddr),
    /// Any other kind, such as a SPIFFE URI, as text.
    Other(String),
}

/// A certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// 1 to 3.
    pub version: u8,
    /// As `CN=a; O=b`.
    pub subject: String,
    /// As `subject`.
    pub issuer: String,
    /// The subject's DER.
    pub subject_der: Vec<u8>,
    /// The issuer's DER.
    pub issuer_der: Vec<u8>,
    /// Seconds since the epoch.
    pub not_before: i64,
    /// Seconds since the epoch.
    pub not_after: i64,
    /// Common name, the last one.
    pub common_name: Option<String>,
    /// Names it is for.
    pub alt_names: Vec<AltName>,
    /// Whether there is a SubjectAltName at all.
    pub has_alt_names: bool,
    /// basicConstraints says CA.
    pub is_ca: bool,
    /// Serial number in hexadecimal.
    pub serial: String,
    /// SubjectPublicKeyInfo in DER.
    pub spki: Vec<u8>,
    /// Object identifier of the signature algorithm, in DER without its header.
    pub signature_oid: Vec<u8>,
}

impl Certificate {
    /// Reads what can be read; `None` when the outer shape is not that of a certificate.
    pub fn parse(der: &[u8]) -> Option<Certificate> {
        let (outer, _) = element(der)?;
        let mut parts = children(outer.content);
        let tbs = parts.next()?;
        let signature = parts.next()?;
        let mut out = Certificate { version: 1, ..Certificate::default() };
        out.signature_oid = children(signature.content).next().map(|oid| oid.content.to_vec()).unwrap_or_default();
        let mut fields = children(tbs.content).peekable();
        if let Some(version) = fields.next_if(|field| field.tag == 0xa0) {
            let number = children(version.content).next()?.content.last()?;
            out.version = number.saturating_add(1);
        }
        out.serial = netkit_core::text::hex(fields.next()?.content);
        fields.next()?;
        let issuer = fields.next()?;
        out.issuer = name_text(issuer.content).0;
        out.issuer_der = issuer.whole.to_vec();
        let validity = fields.next()?;
        let mut dates = children(validity.content);
        out.not_before = time(dates.next()?)?;
        out.not_after = time(dates.next()?)?;
        let subject = fields.next()?;
        (out.subject, out.common_name) = name_text(subject.content);
        out.subject_der = subject.whole.to_vec();
        out.spki = fields.next()?.whole.to_vec();
        for field in fields.filter(|field| field.tag == 0xa3) {
            for extension in children(field.content).next().into_iter().flat_map(|list| children(list.content)) {
                out.extension(extension.content);
            }
        }
        Some(out)
    }

    fn extension(&mut self, content: &[u8]) {
        let mut parts = children(content);
        let Some(oid) = parts.next() else { return };
        let Some(value) = parts.find(|part| part.tag == 4) else { return };
        match oid.content {
            // id-ce-subjectAltName
            [0x55, 0x1d, 0x11] => {
                self.has_alt_names = true;
                let Some((list, _)) = element(value.content) else { return };
                self.alt_names.extend(children(list.content).map(|name| match (name.tag, name.content) {
                    (0x82, bytes) => AltName::Dns(String::from_utf8_lossy(bytes).into_owned()),
                    (0x87, bytes) => match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
                        (Ok(v4), _) => AltName::Ip(v4.into()),
                        (_, Ok(v6)) => AltName::Ip(v6.into()),
                        _ => AltName::Other(netkit_core::text::hex(bytes)),
                    },
                    (_, bytes) => AltName::Other(netkit_core::text::printable(&String::from_utf8_lossy(bytes))),
                }));
            }
            // id-ce-basicConstraints
            [0x55, 0x1d, 0x13] => {
                self.is_ca = element(value.content)
                    .and_then(|(list, _)| {
                        children(list.content).next().map(|first| first.tag == 1 && first.content != [0])
                    })
                    .unwrap_or(false);
            }
            _ => {}
        }
    }

    /// Whether subject and issuer are the same.
    pub fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }

    /// Algorithm identifier (its content, as webpki compares it) and key bits of the public key.
    pub fn key(&self) -> Option<(&[u8], &[u8])> {
        let (spki, _) = element(&self.spki)?;
        let mut parts = children(spki.content);
        let algorithm = parts.next()?;
        let bits = parts.next()?;
        Some((algorithm.content, bits.content.get(1..)?))
    }

    /// Whether the certificate is for this host, as OpenSSL decides: alternative names, and the common name only
    /// where there are none.
    pub fn is_for(&self, host: &str) -> bool {
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
            return self.alt_names.contains(&AltName::Ip(address))
                || (!self.has_alt_names && self.common_name.as_deref() == Some(host));
        }
        let names = self.alt_names.iter().filter_map(|name| match name {
            AltName::Dns(name) => Some(name.as_str()),
            _ => None,
        });
        let mut names: Vec<&str> = names.collect();
        if names.is_empty() {
            names.extend(self.common_name.as_deref());
        }
        names.iter().any(|pattern| host_matches(pattern, host))
    }
}

/// A star stands for the whole leftmost label (RFC 6125, section 6.4.3).
pub fn host_matches(pattern: &str, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern);
    if let Some(suffix) = pattern.strip_prefix("*.") {
        return suffix.contains('.')
            && host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(suffix));
    }
    pattern.eq_ignore_ascii_case(host)
}

/// The attributes of a name, and its last common name.
fn name_text(content: &[u8]) -> (String, Option<String>) {
    let mut out = Vec::new();
    let mut common = None;
    for set in children(content) {
        for attribute in children(set.content) {
            let mut parts = children(attribute.content);
            let (Some(oid), Some(value)) = (parts.next(), parts.next()) else { continue };
            let text = if value.tag == 0x1e {
                let units: Vec<u16> = value
                    .content
                    .chunks_exact(2)
                    .map(|pair| pair.iter().fold(0u16, |sum, byte| sum << 8 | u16::from(*byte)))
                    .collect();
                String::from_utf16_lossy(&units)
            } else {
                String::from_utf8_lossy(value.content).into_owned()
            };
            let text = netkit_core::text::printable(&text);
            let label = match oid.content {
                [0x55, 4, 3] => {
                    common = Some(text.clone());
                    "CN"
                }
                [0x55, 4, 6] => "C",
                [0x55, 4, 7] => "L",
                [0x55, 4, 8] => "ST",
                [0x55, 4, 10] => "O",
                [0x55, 4, 11] => "OU",
                [0x55, 4, 5] => "serialNumber",
                [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress",
                [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 0x19] => "DC",
                _ => "OID",
            };
            out.push(format!("{label}={text}"));
        }
    }
    (out.join("; "), common)
}

/// UTCTime or GeneralizedTime (RFC 5280, section 4.1.2.5) as seconds since the epoch.
fn time(element: Element<'_>) -> Option<i64> {
    let text = std::str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = if element.tag == 0x17 {
        let year: i64 = text.get(..2)?.parse().ok()?;
        (if year < 50 { year + 2000 } else { year + 1900 }, text.get(2..)?)
    } else {
        (text.get(..4)?.parse().ok()?, text.get(4..)?)
    };
    let two = |at: usize| -> Option<i64> { rest.get(at..at + 2)?.parse().ok() };
    let (month, day) = (two(0)?, two(2)?);
    let clock = two(4)? * 3600 + two(6)? * 60 + two(8).unwrap_or(0);
    // Days since the epoch in the proleptic Gregorian calendar, the year beginning in March.
    let (shifted_year, shifted_month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let era = shifted_year.div_euclid(400);
    let of_era = shifted_year.rem_euclid(400);
    let days =
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * shifted_month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + clock)
}

/// A date as OpenSSL prints it.
pub fn date_text(seconds: i64) -> String {
    let c = netkit_core::civil_from_unix(seconds);
    format!("{} {:2} {:02}:{:02}:{:02} {} GMT", c.month_name(), c.day, c.hour, c.minute, c.second, c.year)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_of_names() {
        assert!(host_matches("*.a.b", "x.a.b") && host_matches("A.b", "a.B."));
        assert!(!host_matches("*.a.b", "a.b") && !host_matches("*.a.b", "x.y.a.b") && !host_matches("*.b", "a.b"));
    }

    #[test]
    fn dates() {
        let one = |tag: u8, text: &'static str| time(Element { tag, content: text.as_bytes(), whole: &[] });
        assert_eq!(one(0x17, "700101000000Z"), Some(0));
        assert_eq!(one(0x18, "20240229123045Z"), Some(1_709_209_845));
        assert_eq!(one(0x17, "bad"), None);
        assert_eq!(date_text(1_709_209_845), "Feb 29 12:30:45 2024 GMT");
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(certificate) = Certificate::parse(&bytes) {
                let _ = certificate.key();
                let _ = certificate.is_for("a.b");
            }
        }
    }
}
