//! Keys and signatures: which fit, which are strong enough (OpenSSL's security levels), which are right.

use netkit_wire::der::{Element, tag};
use netkit_wire::x509::{Certificate, algorithm, modulus};
use ring::signature as kinds;
use ring::signature::{UnparsedPublicKey, VerificationAlgorithm};

use super::facts::Facts;

/// Kinds of keys that OpenSSL can load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    Pss,
    Dsa,
    /// Its curve by name, `None` for one that is spelled out or not known.
    Ec(Option<Curve>),
    Ed25519,
    Ed448,
}

/// Curves that are told apart here; the others are known to OpenSSL and to nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    /// Any other named curve with the bits of its order.
    Other(u16),
}

/// A public key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    pub(super) kind: Kind,
    bits: &'a [u8],
    /// Size in bits where it decides about strength.
    size: usize,
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const ED448: &[u8] = &[0x2b, 0x65, 0x71];

const CURVES: &[(&[u8], Curve)] = &[
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], Curve::P256),
    (&[0x2b, 0x81, 4, 0, 0x22], Curve::P384),
    (&[0x2b, 0x81, 4, 0, 0x23], Curve::Other(521)),
    (&[0x2b, 0x81, 4, 0, 0x0a], Curve::Other(256)),
    (&[0x2b, 0x81, 4, 0, 0x21], Curve::Other(224)),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1], Curve::Other(192)),
    (&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7], Curve::Other(256)),
    (&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 11], Curve::Other(384)),
    (&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 13], Curve::Other(512)),
];

impl<'a> Key<'a> {
    /// The key of a SubjectPublicKeyInfo; `None` for one that OpenSSL cannot load either.
    pub(super) fn of(spki: &Element<'a>) -> Option<Key<'a>> {
        let mut parts = spki.children();
        let (oid, parameters) = algorithm(&parts.next()?);
        let (bits, _) = parts.next()?.of(tag::BIT_STRING)?.bits()?;
        let (kind, size) = match oid {
            RSA | PSS => {
                let number = modulus(spki)?;
                let first = number.first().copied().unwrap_or(0);
                let size = number.len() * 8 - first.leading_zeros() as usize;
                (if oid == RSA { Kind::Rsa } else { Kind::Pss }, size)
            }
            DSA => {
                let first = parameters?.children().next()?;
                (Kind::Dsa, first.content.iter().skip_while(|byte| **byte == 0).count() * 8)
            }
            EC => {
                let named = parameters?.of(tag::OID);
                let curve =
                    named.map(|one| CURVES.iter().find(|(oid, _)| *oid == one.content).map(|(_, curve)| *curve));
                match curve {
                    // Spelled out: OpenSSL loads it; its size is that of the point.
                    None => (Kind::Ec(None), bits.len() / 2 * 8),
                    Some(None) => return None,
                    Some(Some(Curve::Other(size))) => (Kind::Ec(Some(Curve::Other(size))), usize::from(size)),
                    Some(Some(Curve::P256)) => (Kind::Ec(Some(Curve::P256)), 256),
                    Some(Some(Curve::P384)) => (Kind::Ec(Some(Curve::P384)), 384),
                }
            }
            ED25519 if bits.len() == 32 => (Kind::Ed25519, 0),
            ED448 if bits.len() == 57 => (Kind::Ed448, 0),
            _ => return None,
        };
        Some(Key { kind, bits, size })
    }

    /// Bits of security (EVP_PKEY_get_security_bits(3)).
    fn security(&self) -> u16 {
        match self.kind {
            Kind::Rsa | Kind::Pss | Kind::Dsa => factoring(self.size),
            Kind::Ec(_) => match self.size {
                512.. => 256,
                384.. => 192,
                256.. => 128,
                224.. => 112,
                160.. => 80,
                size => u16::try_from(size / 2).unwrap_or(0),
            },
            Kind::Ed25519 => 128,
            Kind::Ed448 => 224,
        }
    }
}

/// Strength of a modulus of that many bits (FIPS 140-2 Implementation Guidance, section 7.5), rounded to a multiple of 8.
fn factoring(bits: usize) -> u16 {
    const KNOWN: &[(usize, u16)] =
        &[(2048, 112), (3072, 128), (4096, 152), (6144, 176), (7680, 192), (8192, 200), (15360, 256)];
    if let Some((_, strength)) = KNOWN.iter().find(|(size, _)| *size == bits) {
        return *strength;
    }
    if bits < 8 {
        return 0;
    }
    let cap = if bits <= 7680 { 192 } else { 256 };
    let natural = bits as f64 * std::f64::consts::LN_2;
    let log = natural.ln();
    let strength = (1.923 * (natural * log * log).cbrt() - 4.690) / std::f64::consts::LN_2;
    // A float becomes the nearest number that the type holds.
    ((strength as u16).saturating_add(4) & !7).min(cap)
}

/// Bits of security that each level wants (SSL_CTX_set_security_level(3)).
const LEVELS: [u16; 6] = [0, 80, 112, 128, 192, 256];

fn wanted(level: u8) -> u16 {
    LEVELS.get(usize::from(level)).or(LEVELS.last()).copied().unwrap_or(0)
}

/// Whether the key is strong enough for the level; at level 0 every key is, even one that cannot be read.
pub(super) fn key_is_strong(one: &Facts<'_>, level: u8) -> bool {
    level == 0 || one.key.is_some_and(|key| key.security() >= wanted(level))
}

/// Whether the digest that a certificate is signed with is strong enough.
pub(super) fn digest_is_strong(one: &Facts<'_>, level: u8) -> bool {
    let strength = match scheme(&one.read).map(|scheme| scheme.1) {
        Some(Digest::Md5) => 39,
        Some(Digest::Sha1) => 63,
        Some(Digest::Sha224) => 112,
        Some(Digest::Sha256 | Digest::Curve25519) => 128,
        Some(Digest::Sha384) => 192,
        Some(Digest::Curve448) => 224,
        Some(Digest::Sha512) => 256,
        None => 0,
    };
    level == 0 || strength >= wanted(level)
}

/// Explicit parameters of a curve, which RFC 5480 forbids.
pub(super) fn has_explicit_curve(one: &Facts<'_>) -> bool {
    one.key.is_some_and(|key| key.kind == Kind::Ec(None))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Digest {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Curve25519,
    Curve448,
}

/// What kind of key a signature is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Rsa,
    Pss,
    Dsa,
    Ec,
    Ed25519,
    Ed448,
}

/// Last arcs behind a common stem, which kind of key, which digest.
const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4];
const NIST_DSA: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3];
const SCHEMES: &[(&[u8], &[u8], Maker, Digest)] = &[
    (PKCS1, &[4], Maker::Rsa, Digest::Md5),
    (PKCS1, &[5], Maker::Rsa, Digest::Sha1),
    (PKCS1, &[11], Maker::Rsa, Digest::Sha256),
    (PKCS1, &[12], Maker::Rsa, Digest::Sha384),
    (PKCS1, &[13], Maker::Rsa, Digest::Sha512),
    (PKCS1, &[14], Maker::Rsa, Digest::Sha224),
    (ECDSA, &[1], Maker::Ec, Digest::Sha1),
    (ECDSA, &[3, 1], Maker::Ec, Digest::Sha224),
    (ECDSA, &[3, 2], Maker::Ec, Digest::Sha256),
    (ECDSA, &[3, 3], Maker::Ec, Digest::Sha384),
    (ECDSA, &[3, 4], Maker::Ec, Digest::Sha512),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 4], &[3], Maker::Dsa, Digest::Sha1),
    (NIST_DSA, &[1], Maker::Dsa, Digest::Sha224),
    (NIST_DSA, &[2], Maker::Dsa, Digest::Sha256),
    (ED25519, &[], Maker::Ed25519, Digest::Curve25519),
    (ED448, &[], Maker::Ed448, Digest::Curve448),
];
const DIGESTS: &[(&[u8], Digest)] = &[
    (&[0x2b, 14, 3, 2, 26], Digest::Sha1),
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1], Digest::Sha256),
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2], Digest::Sha384),
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3], Digest::Sha512),
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 4], Digest::Sha224),
];

/// How a certificate is signed, by what it says on the outside.
fn scheme(read: &Certificate<'_>) -> Option<(Maker, Digest)> {
    let (oid, parameters) = algorithm(&read.algorithm);
    if oid == PSS {
        // Without a digest it is SHA-1 (RFC 8017, appendix A.2.3).
        let hash = parameters.and_then(|list| list.children().find(|part| part.tag == 0xa0));
        let digest = match hash.and_then(|hash| hash.children().next()) {
            None => Digest::Sha1,
            Some(hash) => DIGESTS.iter().find(|(oid, _)| *oid == algorithm(&hash).0)?.1,
        };
        return Some((Maker::Pss, digest));
    }
    let found = SCHEMES.iter().find(|(stem, last, ..)| oid.strip_prefix(*stem) == Some(*last))?;
    Some((found.2, found.3))
}

/// Whether a key of that kind makes signatures of the kind that `subject` carries.
pub(super) fn fits(issuer: Option<&Key<'_>>, subject: &Certificate<'_>) -> bool {
    let (Some(key), Some((maker, _))) = (issuer, scheme(subject)) else { return false };
    match key.kind {
        Kind::Rsa => matches!(maker, Maker::Rsa | Maker::Pss),
        Kind::Pss => maker == Maker::Pss,
        Kind::Dsa => maker == Maker::Dsa,
        Kind::Ec(_) => maker == Maker::Ec,
        Kind::Ed25519 => maker == Maker::Ed25519,
        Kind::Ed448 => maker == Maker::Ed448,
    }
}

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Good,
    Bad,
    /// Neither ring nor anything here knows the algorithm or the size.
    Unknown,
    /// The issuer's key cannot be read.
    NoKey,
}

/// Checks the signature of `subject` with the key of `issuer`.
pub(super) fn check(subject: &Facts<'_>, issuer: &Facts<'_>) -> Checked {
    let Some(key) = issuer.key else { return Checked::NoKey };
    let read = &subject.read;
    if read.algorithm.whole != read.inner_algorithm.whole {
        return Checked::Bad;
    }
    let Some((maker, digest)) = scheme(read) else { return Checked::Unknown };
    let small = key.size < 2048;
    let algorithm: &dyn VerificationAlgorithm = match (maker, key.kind, digest) {
        (Maker::Rsa, _, _) if !(1024..=8192).contains(&key.size) => return Checked::Unknown,
        (Maker::Pss, ..) if !(2048..=8192).contains(&key.size) => return Checked::Unknown,
        (Maker::Rsa, _, Digest::Sha1) => &kinds::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        (Maker::Rsa, _, Digest::Sha256) => &kinds::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        (Maker::Rsa, _, Digest::Sha384) if !small => &kinds::RSA_PKCS1_2048_8192_SHA384,
        (Maker::Rsa, _, Digest::Sha512) => &kinds::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        (Maker::Pss, _, Digest::Sha256) => &kinds::RSA_PSS_2048_8192_SHA256,
        (Maker::Pss, _, Digest::Sha384) => &kinds::RSA_PSS_2048_8192_SHA384,
        (Maker::Pss, _, Digest::Sha512) => &kinds::RSA_PSS_2048_8192_SHA512,
        (Maker::Ec, Kind::Ec(Some(Curve::P256)), Digest::Sha256) => &kinds::ECDSA_P256_SHA256_ASN1,
        (Maker::Ec, Kind::Ec(Some(Curve::P256)), Digest::Sha384) => &kinds::ECDSA_P256_SHA384_ASN1,
        (Maker::Ec, Kind::Ec(Some(Curve::P384)), Digest::Sha256) => &kinds::ECDSA_P384_SHA256_ASN1,
        (Maker::Ec, Kind::Ec(Some(Curve::P384)), Digest::Sha384) => &kinds::ECDSA_P384_SHA384_ASN1,
        (Maker::Ed25519, ..) => &kinds::ED25519,
        _ => return Checked::Unknown,
    };
    if UnparsedPublicKey::new(algorithm, key.bits).verify(read.tbs.whole, read.signature).is_ok() {
        return Checked::Good;
    }
    // ring knows PSS with a salt as long as the digest only.
    if maker == Maker::Pss && !salt_is_usual(read, digest) { Checked::Unknown } else { Checked::Bad }
}

fn salt_is_usual(read: &Certificate<'_>, digest: Digest) -> bool {
    let parameters = algorithm(&read.algorithm).1;
    let salt = parameters.and_then(|list| list.children().find(|part| part.tag == 0xa2));
    let length = salt.and_then(|salt| salt.children().next()).and_then(|number| number.small()).unwrap_or(20);
    let usual = match digest {
        Digest::Sha256 => 32,
        Digest::Sha384 => 48,
        Digest::Sha512 => 64,
        _ => 20,
    };
    length == usual
}
