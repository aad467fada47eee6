//! What OpenSSL works out once of every certificate, before it asks anything of it.

use netkit_wire::der::{Element, tag};
use netkit_wire::x509::{Certificate, oid};

use super::Purpose;
use super::names::canonical;
use super::signature::{Key, fits};

/// A certificate and what follows from its extensions.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) read: Certificate<'a>,
    /// Names in the form in which they are compared.
    pub(super) subject: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) key: Option<Key<'a>>,
    /// An extension stands twice or cannot be read: OpenSSL gives up.
    pub(super) invalid: bool,
    /// An unknown critical extension.
    pub(super) critical: bool,
    /// RFC 3820.
    pub(super) proxy: bool,
    pub(super) self_issued: bool,
    pub(super) self_signed: bool,
    basic: Option<bool>,
    pub(super) path_length: Option<u64>,
    usage: Option<u16>,
    purposes: Option<u8>,
    netscape: Option<u8>,
    own_key: Option<&'a [u8]>,
    authority: Authority<'a>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Authority<'a> {
    key: Option<&'a [u8]>,
    issuer: Option<Element<'a>>,
    serial: Option<&'a [u8]>,
}

const NETSCAPE: &[u8] = &[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 1, 1];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
/// cRLDistributionPoints
const REVOCATION: &[u8] = &[0x55, 0x1d, 0x1f];
const PROXY: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 14];
/// Critical extensions that OpenSSL takes for handled (X509_supported_extension(3)).
const SUPPORTED: &[&[u8]] = &[
    NETSCAPE,
    oid::KEY_USAGE,
    oid::SUBJECT_ALT_NAME,
    oid::BASIC_CONSTRAINTS,
    &[0x55, 0x1d, 0x20],
    REVOCATION,
    oid::EXTENDED_KEY_USAGE,
    &[0x2b, 6, 1, 5, 5, 7, 1, 7],
    &[0x2b, 6, 1, 5, 5, 7, 1, 8],
    &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 5],
    &[0x55, 0x1d, 0x24],
    PROXY,
    NAME_CONSTRAINTS,
    &[0x55, 0x1d, 0x21],
    &[0x55, 0x1d, 0x36],
];

/// Bits of keyUsage, the first in the highest place.
const DIGITAL_SIGNATURE: u16 = 0x8000;
const KEY_ENCIPHERMENT: u16 = 0x2000;
const KEY_AGREEMENT: u16 = 0x0800;
const CERT_SIGN: u16 = 0x0400;

/// Purposes that count for TLS, as bits: server (and the two for gated crypto), client.
const FOR_SERVER: u8 = 1;
const FOR_CLIENT: u8 = 2;
const PURPOSES: &[(&[u8], u8)] = &[
    (&[0x2b, 6, 1, 5, 5, 7, 3, 1], FOR_SERVER),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 2], FOR_CLIENT),
    (&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 10, 3, 3], FOR_SERVER),
    (&[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 4, 1], FOR_SERVER),
];

impl<'a> Facts<'a> {
    pub(super) fn read(der: &'a [u8]) -> Option<Facts<'a>> {
        let read = Certificate::read(der)?;
        let mut out = Facts {
            subject: canonical(read.subject),
            issuer: canonical(read.issuer),
            key: Key::of(&read.spki),
            read,
            invalid: false,
            critical: false,
            proxy: false,
            self_issued: false,
            self_signed: false,
            basic: None,
            path_length: None,
            usage: None,
            purposes: None,
            netscape: None,
            own_key: None,
            authority: Authority::default(),
        };
        let mut seen: Vec<&[u8]> = Vec::new();
        for extension in read.extensions() {
            let known = SUPPORTED.contains(&extension.oid);
            out.critical |= extension.critical && !known;
            let one = Element::only(extension.value);
            let mut readable = true;
            match extension.oid {
                oid::BASIC_CONSTRAINTS => readable = out.constrained(one),
                oid::KEY_USAGE => {
                    out.usage = read.key_usage();
                    readable = out.usage.is_some_and(|usage| usage != 0);
                }
                oid::EXTENDED_KEY_USAGE => {
                    let list = read.purposes();
                    readable = one.is_some_and(|one| {
                        one.tag == tag::SEQUENCE && whole(&one) && one.children().all(|part| part.tag == tag::OID)
                    });
                    let bits = list.iter().flatten().filter_map(|one| PURPOSES.iter().find(|(oid, _)| oid == one));
                    out.purposes = Some(bits.fold(0, |sum, (_, bit)| sum | bit));
                }
                NETSCAPE => {
                    let bits = one.and_then(|one| one.of(tag::BIT_STRING)).and_then(|one| one.bits());
                    out.netscape = Some(bits.and_then(|(bits, _)| bits.first().copied()).unwrap_or(0));
                    readable = bits.is_some();
                }
                oid::SUBJECT_KEY_ID => {
                    out.own_key = one.and_then(|one| one.of(tag::OCTET_STRING)).map(|one| one.content);
                    readable = out.own_key.is_some();
                }
                oid::AUTHORITY_KEY_ID => {
                    readable = one.is_some();
                    for part in one.into_iter().flat_map(|list| list.children()) {
                        match part.tag {
                            0x80 => out.authority.key = Some(part.content),
                            0xa1 => {
                                let name = part.children().find(|name| name.tag == 0xa4);
                                out.authority.issuer = name.and_then(|name| name.children().next());
                            }
                            0x82 => out.authority.serial = Some(part.content),
                            _ => readable = false,
                        }
                    }
                }
                oid::SUBJECT_ALT_NAME | NAME_CONSTRAINTS => {
                    readable = one.is_some_and(|one| one.tag == tag::SEQUENCE && whole(&one));
                }
                REVOCATION => {
                    readable = one.is_some_and(|one| {
                        one.tag == tag::SEQUENCE && whole(&one) && one.children().all(|part| part.tag == tag::SEQUENCE)
                    });
                }
                PROXY => out.proxy = true,
                _ => continue,
            }
            out.invalid |= !readable || seen.contains(&extension.oid);
            seen.push(extension.oid);
        }
        out.self_issued = out.subject == out.issuer;
        // Of one that is invalid OpenSSL cannot tell.
        out.self_signed = out.self_issued && !out.invalid && out.is_key_of(&out) && fits(out.key.as_ref(), &out.read);
        Some(out)
    }

    fn constrained(&mut self, value: Option<Element<'a>>) -> bool {
        let Some(list) = value.and_then(|one| one.of(tag::SEQUENCE)) else { return false };
        let mut parts = list.children().peekable();
        let ca = parts.next_if(|part| part.tag == tag::BOOLEAN).is_some_and(|flag| flag.content != [0]);
        self.basic = Some(ca);
        let Some(number) = parts.next() else { return true };
        if number.tag != tag::INTEGER || parts.next().is_some() {
            return false;
        }
        // A negative length makes the certificate unusable, a huge one none at all.
        let negative = number.content.first().is_some_and(|first| first & 0x80 != 0);
        self.path_length = Some(if negative { 0 } else { number.small().unwrap_or(u64::MAX) });
        !negative
    }

    /// Whether the authority key identifier of `subject` fits this certificate (X509_check_akid(3)).
    fn is_key_of(&self, subject: &Facts<'_>) -> bool {
        let wanted = subject.authority;
        if let (Some(wanted), Some(own)) = (wanted.key, self.own_key)
            && wanted != own
        {
            return false;
        }
        wanted.serial.is_none_or(|serial| serial == self.read.serial)
            && wanted.issuer.is_none_or(|name| canonical(name) == self.issuer)
    }

    /// Whether this may have issued `subject`, signature aside.
    pub(super) fn likely_issued(&self, subject: &Facts<'_>) -> bool {
        self.subject == subject.issuer
            && !self.invalid
            && !subject.invalid
            && self.is_key_of(subject)
            && fits(self.key.as_ref(), &subject.read)
    }

    fn lacks(&self, bits: u16) -> bool {
        self.usage.is_some_and(|usage| usage & bits == 0)
    }

    /// Whether its key usage lets it sign certificates.
    pub(super) fn may_sign(&self) -> bool {
        !self.lacks(CERT_SIGN)
    }

    /// 0 is no CA, 1 one by its basic constraints, the others by other signs (X509_check_ca(3)).
    pub(super) fn ca_kind(&self) -> u8 {
        if !self.may_sign() {
            return 0;
        }
        match (self.basic, self.netscape) {
            (Some(ca), _) => u8::from(ca),
            (None, _) if self.read.version == Some(0) && self.self_signed => 3,
            (None, _) if self.usage.is_some() => 4,
            (None, Some(kinds)) if kinds & 0x07 != 0 => 5,
            _ => 0,
        }
    }

    /// Whether it may be used for that, as a leaf or above one (X509_check_purpose(3)).
    pub(super) fn serves(&self, purpose: Purpose, above: bool) -> bool {
        let (extended, usage, netscape) = match purpose {
            Purpose::Any => return true,
            Purpose::Server => (FOR_SERVER, DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT, 0x40),
            Purpose::Client => (FOR_CLIENT, DIGITAL_SIGNATURE | KEY_AGREEMENT, 0x80),
        };
        if self.invalid {
            return true;
        }
        if self.purposes.is_some_and(|purposes| purposes & extended == 0) {
            return false;
        }
        if above {
            let kind = self.ca_kind();
            return kind != 0 && (kind != 5 || self.netscape.is_some_and(|kinds| kinds & 0x04 != 0));
        }
        !self.lacks(usage) && self.netscape.is_none_or(|kinds| kinds & netscape != 0)
    }

    /// The nameConstraints extension.
    pub(super) fn constraints(&self) -> Option<Element<'a>> {
        Element::only(self.read.extension(NAME_CONSTRAINTS)?.value)
    }
}

/// Whether everything inside can be read.
fn whole(list: &Element<'_>) -> bool {
    let mut children = list.children();
    for _ in children.by_ref() {}
    children.rest().is_empty()
}
