//! A self-signed certificate for a listener that was given none: P-256, ECDSA with SHA-256, valid for a year.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

/// A certificate and the key it was made with.
pub(crate) struct Made {
    /// DER (RFC 5280).
    pub(crate) certificate: Vec<u8>,
    /// PKCS#8 in DER.
    pub(crate) key: Vec<u8>,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const GENERALIZED_TIME: u8 = 0x18;

/// ecdsa-with-SHA256 (RFC 5758, section 3.2).
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// id-ecPublicKey and secp256r1 (RFC 5480, section 2.1.1).
const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// A day, in seconds.
const DAY: i64 = 86_400;

/// Makes a key and a certificate for `name`; `now` in seconds since the epoch.
pub(crate) fn certificate(name: &str, now: i64) -> Option<Made> {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).ok()?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).ok()?;
    let mut serial = [0u8; 8];
    ring::rand::SecureRandom::fill(&random, &mut serial).ok()?;
    // Positive and of full length (RFC 5280, section 4.1.2.2).
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    let algorithm = element(SEQUENCE, &[element(OID, &[ECDSA_SHA256])]);
    let attribute = element(SEQUENCE, &[element(OID, &[COMMON_NAME]), element(UTF8, &[name.as_bytes()])]);
    let subject = element(SEQUENCE, &[element(SET, &[attribute])]);
    let dates = element(SEQUENCE, &[time(now - DAY), time(now + 365 * DAY)]);
    let key_algorithm = element(SEQUENCE, &[element(OID, &[EC_KEY]), element(OID, &[P256])]);
    let key = element(SEQUENCE, &[key_algorithm, element(BIT_STRING, &[&[0], pair.public_key().as_ref()])]);
    let alt_name = match name.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(v4)) => element(0x87, &[&v4.octets()]),
        Ok(std::net::IpAddr::V6(v6)) => element(0x87, &[&v6.octets()]),
        Err(_) => element(0x82, &[name.as_bytes()]),
    };
    let alt_names = element(OCTET_STRING, &[element(SEQUENCE, &[alt_name])]);
    let extensions = element(0xa3, &[element(SEQUENCE, &[element(SEQUENCE, &[element(OID, &[ALT_NAME]), alt_names])])]);
    let version = element(0xa0, &[element(INTEGER, &[[2]])]);
    let tbs = element(
        SEQUENCE,
        &[version, element(INTEGER, &[serial]), algorithm.clone(), subject.clone(), dates, subject, key, extensions],
    );
    let signature = pair.sign(&random, &tbs).ok()?;
    let certificate = element(SEQUENCE, &[tbs, algorithm, element(BIT_STRING, &[&[0], signature.as_ref()])]);
    Some(Made { certificate, key: pkcs8.as_ref().to_vec() })
}

/// One element with its parts as content (X.690, section 8.1).
fn element<P: AsRef<[u8]>>(tag: u8, parts: &[P]) -> Vec<u8> {
    let content = parts.iter().fold(Vec::new(), |mut all, part| {
        all.extend_from_slice(part.as_ref());
        all
    });
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short @ 0..=0x7f) => out.push(short),
        Ok(long) => out.extend([0x81, long]),
        Err(_) => {
            out.push(0x82);
            out.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend(content);
    out
}

fn time(seconds: i64) -> Vec<u8> {
    let c = netkit_core::civil_from_unix(seconds);
    let text = format!("{:04}{:02}{:02}{:02}{:02}{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second);
    element(GENERALIZED_TIME, &[text.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::Certificate;

    #[test]
    fn is_a_certificate_for_the_name() {
        let now = 1_700_000_000;
        for name in ["localhost", "127.0.0.1", "::1", &"long".repeat(15)] {
            let made = certificate(name, now).unwrap();
            let read = Certificate::parse(&made.certificate).unwrap();
            assert_eq!((read.version, read.common_name.as_deref()), (3, Some(name)));
            assert!(read.is_for(name) && read.is_self_issued());
            assert_eq!((read.not_before, read.not_after), (now - DAY, now + 365 * DAY));
        }
    }
}
