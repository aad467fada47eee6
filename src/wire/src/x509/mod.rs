//! X.509 certificates (RFC 5280) as they are shown: every field, whatever its version or extensions. Nothing here decides
//! about trust.

mod extensions;
mod name;
pub mod oid;
mod text;

pub use extensions::{Constraints, GeneralName, extension_text};
pub use name::{NameStyle, name_text};
pub use text::{KeyShown, date, full, hex_colons, key_lines, magnitude, modulus, serial_text, validity};

use crate::der::{Children, Element, tag, time};

/// A certificate whose outer shape could be read.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// All of it.
    pub der: &'a [u8],
    /// What was signed.
    pub tbs: Element<'a>,
    /// As in the field: 2 is version 3. An explicit value that is no small number is `None`.
    pub version: Option<u64>,
    /// INTEGER content.
    pub serial: &'a [u8],
    /// AlgorithmIdentifier inside.
    pub inner_algorithm: Element<'a>,
    /// A Name.
    pub issuer: Element<'a>,
    /// Two times.
    pub not_before: Element<'a>,
    /// The second of them.
    pub not_after: Element<'a>,
    /// A Name.
    pub subject: Element<'a>,
    /// SubjectPublicKeyInfo.
    pub spki: Element<'a>,
    extensions: Option<Element<'a>>,
    /// AlgorithmIdentifier outside.
    pub algorithm: Element<'a>,
    /// The signature's octets.
    pub signature: &'a [u8],
}

/// An extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Object identifier, content octets.
    pub oid: &'a [u8],
    /// Who does not know it must refuse the certificate.
    pub critical: bool,
    /// Content of the OCTET STRING.
    pub value: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads a certificate that stands at the front of `bytes`.
    pub fn read(bytes: &'a [u8]) -> Option<Certificate<'a>> {
        let (outer, _) = Element::read(bytes)?;
        let outer = outer.of(tag::SEQUENCE)?;
        let mut parts = outer.children();
        let tbs = parts.next()?.of(tag::SEQUENCE)?;
        let algorithm = parts.next()?.of(tag::SEQUENCE)?;
        let (signature, _) = parts.next()?.of(tag::BIT_STRING)?.bits()?;
        let mut fields = tbs.children().peekable();
        let mut version = Some(0);
        if let Some(explicit) = fields.next_if(|field| field.tag == 0xa0) {
            version = explicit.children().next()?.of(tag::INTEGER)?.small();
        }
        let serial = fields.next()?.of(tag::INTEGER)?.content;
        let inner_algorithm = fields.next()?.of(tag::SEQUENCE)?;
        let issuer = fields.next()?.of(tag::SEQUENCE)?;
        let mut times = fields.next()?.of(tag::SEQUENCE)?.children();
        let (not_before, not_after) = (times.next()?, times.next()?);
        let subject = fields.next()?.of(tag::SEQUENCE)?;
        let spki = fields.next()?.of(tag::SEQUENCE)?;
        let extensions = fields.find(|field| field.tag == 0xa3).and_then(|field| field.children().next());
        Some(Certificate {
            der: outer.whole,
            tbs,
            version,
            serial,
            inner_algorithm,
            issuer,
            not_before,
            not_after,
            subject,
            spki,
            extensions,
            algorithm,
            signature,
        })
    }

    /// The extensions in order.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'a>> {
        self.extensions.map(|list| list.children()).unwrap_or_else(|| Children::of(&[])).filter_map(|one| {
            let mut parts = one.children().peekable();
            let oid = parts.next()?.of(tag::OID)?.content;
            let critical = parts.next_if(|part| part.tag == tag::BOOLEAN).is_some_and(|flag| flag.content != [0]);
            let value = parts.next()?.of(tag::OCTET_STRING)?.content;
            Some(Extension { oid, critical, value })
        })
    }

    /// The extension of that name.
    pub fn extension(&self, oid: &[u8]) -> Option<Extension<'a>> {
        self.extensions().find(|extension| extension.oid == oid)
    }

    /// Validity in seconds since the epoch; a time that cannot be read is `None`.
    pub fn valid(&self) -> (Option<i64>, Option<i64>) {
        (time(self.not_before), time(self.not_after))
    }

    /// Names of the SubjectAltName extension.
    pub fn alt_names(&self) -> Vec<GeneralName<'a>> {
        let Some(extension) = self.extension(oid::SUBJECT_ALT_NAME) else { return Vec::new() };
        let Some(list) = Element::only(extension.value) else { return Vec::new() };
        list.children().map(GeneralName::of).collect()
    }

    /// The last common name of the subject.
    pub fn common_name(&self) -> Option<String> {
        let attributes = self.subject.children().flat_map(|set| set.children());
        attributes
            .filter_map(|attribute| {
                let mut parts = attribute.children();
                let oid = parts.next()?;
                (oid.content == [0x55, 4, 3]).then(|| parts.next().map(|value| name::plain(value)))?
            })
            .last()
    }

    /// basicConstraints: whether it is a CA, and the path length.
    pub fn constraints(&self) -> Option<Constraints> {
        Constraints::read(self.extension(oid::BASIC_CONSTRAINTS)?.value)
    }

    /// Whether subject and issuer are the same.
    pub fn is_self_issued(&self) -> bool {
        self.subject.whole == self.issuer.whole
    }

    /// Key identifiers: its own, and that of its issuer's key.
    pub fn key_identifiers(&self) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
        let own = self.extension(oid::SUBJECT_KEY_ID).and_then(|one| Element::only(one.value)).map(|one| one.content);
        let issuer = self
            .extension(oid::AUTHORITY_KEY_ID)
            .and_then(|one| Element::only(one.value))
            .and_then(|list| list.children().find(|part| part.tag == 0x80))
            .map(|part| part.content);
        (own, issuer)
    }

    /// Object identifiers of the extended key usage; `None` without the extension.
    pub fn purposes(&self) -> Option<Vec<&'a [u8]>> {
        let extension = self.extension(oid::EXTENDED_KEY_USAGE)?;
        let list = Element::only(extension.value)?;
        Some(list.children().filter(|one| one.tag == tag::OID).map(|one| one.content).collect())
    }

    /// Key usage bits, the first in the highest place; `None` without the extension.
    pub fn key_usage(&self) -> Option<u16> {
        let extension = self.extension(oid::KEY_USAGE)?;
        let (bits, _) = Element::only(extension.value)?.of(tag::BIT_STRING)?.bits()?;
        let first = bits.first().copied().unwrap_or(0);
        let second = bits.get(1).copied().unwrap_or(0);
        Some(u16::from_be_bytes([first, second]))
    }
}

/// The object identifier of an AlgorithmIdentifier, and its parameters.
pub fn algorithm<'a>(identifier: &Element<'a>) -> (&'a [u8], Option<Element<'a>>) {
    let mut parts = identifier.children();
    let oid = parts.next().filter(|one| one.tag == tag::OID).map(|one| one.content).unwrap_or_default();
    (oid, parts.next())
}
