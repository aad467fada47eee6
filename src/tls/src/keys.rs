//! Whether a private key and a certificate belong together, by the public half that a key file holds or implies.

use netkit_wire::der::{Element, tag};
use netkit_wire::x509::{Certificate, algorithm, magnitude, modulus};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};

/// What a private key is, as far as can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Private {
    /// Modulus of an RSA key.
    Rsa(Vec<u8>),
    /// The public key's octets (RFC 5480, section 2.2; RFC 8410, section 4).
    Point(Vec<u8>),
    /// Behind a password.
    Encrypted,
    /// Its public half does not stand in it and cannot be made here.
    Unknown,
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

impl Private {
    /// Reads a key by the label of its PEM block: PKCS#8, PKCS#1 or SEC 1.
    pub fn read(label: &str, der: &[u8]) -> Private {
        if label.starts_with("ENCRYPTED") {
            return Private::Encrypted;
        }
        let found = match label {
            "RSA PRIVATE KEY" => rsa(der),
            "EC PRIVATE KEY" => ec(der),
            _ => pkcs8(der),
        };
        found.unwrap_or(Private::Unknown)
    }

    /// Whether this is the key of that certificate; `None` when it cannot be told.
    pub fn belongs_to(&self, certificate: &Certificate<'_>) -> Option<bool> {
        match self {
            Private::Rsa(own) => Some(modulus(&certificate.spki).is_some_and(|held| held == *own)),
            Private::Point(own) => {
                let bits = certificate.spki.children().nth(1).and_then(|bits| bits.bits());
                Some(bits.is_some_and(|(bits, _)| bits == own))
            }
            Private::Encrypted | Private::Unknown => None,
        }
    }
}

fn rsa(der: &[u8]) -> Option<Private> {
    let number = Element::read(der)?.0.children().nth(1)?.of(tag::INTEGER)?;
    Some(Private::Rsa(magnitude(number.content)))
}

/// ECPrivateKey (RFC 5915, section 3).
fn ec(der: &[u8]) -> Option<Private> {
    let point = Element::read(der)?.0.children().find(|part| part.tag == 0xa1)?;
    let (bits, _) = point.children().next()?.bits()?;
    Some(Private::Point(bits.to_vec()))
}

/// PrivateKeyInfo (RFC 5208, section 5).
fn pkcs8(der: &[u8]) -> Option<Private> {
    let (outer, _) = Element::read(der)?;
    let mut parts = outer.children().skip(1);
    let kind = parts.next()?;
    let inner = parts.next()?.of(tag::OCTET_STRING)?;
    match algorithm(&kind).0 {
        RSA | PSS => rsa(inner.content),
        EC => ec(inner.content).or_else(|| {
            // The point may be left out; ring makes it of the curves it knows.
            let random = ring::rand::SystemRandom::new();
            let known = [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING];
            let mut pairs = known.iter().filter_map(|kind| EcdsaKeyPair::from_pkcs8(kind, der, &random).ok());
            pairs.next().map(|pair| Private::Point(pair.public_key().as_ref().to_vec()))
        }),
        ED25519 => {
            let seed = Element::read(inner.content)?.0;
            let pair = Ed25519KeyPair::from_seed_unchecked(seed.content).ok()?;
            Some(Private::Point(pair.public_key().as_ref().to_vec()))
        }
        _ => None,
    }
}
