//! OpenSSL's numbers for what is wrong with a chain, and their words (X509_STORE_CTX_get_error(3)).

pub(super) const UNSPECIFIED: u16 = 1;
pub(super) const NO_ISSUER: u16 = 2;
pub(super) const UNDECODABLE_KEY: u16 = 6;
pub(super) const BAD_SIGNATURE: u16 = 7;
pub(super) const NOT_YET_VALID: u16 = 9;
pub(super) const EXPIRED: u16 = 10;
pub(super) const BAD_NOT_BEFORE: u16 = 13;
pub(super) const BAD_NOT_AFTER: u16 = 14;
pub(super) const SELF_SIGNED_LEAF: u16 = 18;
pub(super) const SELF_SIGNED_IN_CHAIN: u16 = 19;
pub(super) const NO_LOCAL_ISSUER: u16 = 20;
pub(super) const UNVERIFIED_LEAF: u16 = 21;
pub(super) const CHAIN_TOO_LONG: u16 = 22;
pub(super) const PATH_LENGTH: u16 = 25;
pub(super) const PURPOSE: u16 = 26;
pub(super) const NO_CERT_SIGN: u16 = 32;
pub(super) const UNHANDLED_CRITICAL: u16 = 34;
pub(super) const PROXY: u16 = 40;
pub(super) const PERMITTED: u16 = 47;
pub(super) const EXCLUDED: u16 = 48;
pub(super) const MIN_MAX: u16 = 49;
pub(super) const CONSTRAINT_TYPE: u16 = 51;
pub(super) const CONSTRAINT_SYNTAX: u16 = 52;
pub(super) const NAME_SYNTAX: u16 = 53;
pub(super) const HOSTNAME: u16 = 62;
pub(super) const EMAIL: u16 = 63;
pub(super) const ADDRESS: u16 = 64;
pub(super) const EE_KEY_TOO_SMALL: u16 = 66;
pub(super) const CA_KEY_TOO_SMALL: u16 = 67;
pub(super) const DIGEST_TOO_WEAK: u16 = 68;
pub(super) const INVALID_CA: u16 = 79;
pub(super) const EXPLICIT_CURVE: u16 = 94;

/// The numbers above with OpenSSL's words.
const WORDS: &[(u16, &str)] = &[
    (0, "ok"),
    (NO_ISSUER, "unable to get issuer certificate"),
    (UNDECODABLE_KEY, "unable to decode issuer public key"),
    (BAD_SIGNATURE, "certificate signature failure"),
    (NOT_YET_VALID, "certificate is not yet valid"),
    (EXPIRED, "certificate has expired"),
    (BAD_NOT_BEFORE, "format error in certificate's notBefore field"),
    (BAD_NOT_AFTER, "format error in certificate's notAfter field"),
    (SELF_SIGNED_LEAF, "self-signed certificate"),
    (SELF_SIGNED_IN_CHAIN, "self-signed certificate in certificate chain"),
    (NO_LOCAL_ISSUER, "unable to get local issuer certificate"),
    (UNVERIFIED_LEAF, "unable to verify the first certificate"),
    (CHAIN_TOO_LONG, "certificate chain too long"),
    (PATH_LENGTH, "path length constraint exceeded"),
    (PURPOSE, "unsuitable certificate purpose"),
    (NO_CERT_SIGN, "key usage does not include certificate signing"),
    (UNHANDLED_CRITICAL, "unhandled critical extension"),
    (PROXY, "proxy certificates not allowed, please set the appropriate flag"),
    (PERMITTED, "permitted subtree violation"),
    (EXCLUDED, "excluded subtree violation"),
    (MIN_MAX, "name constraints minimum and maximum not supported"),
    (CONSTRAINT_TYPE, "unsupported name constraint type"),
    (CONSTRAINT_SYNTAX, "unsupported or invalid name constraint syntax"),
    (NAME_SYNTAX, "unsupported or invalid name syntax"),
    (HOSTNAME, "hostname mismatch"),
    (EMAIL, "email address mismatch"),
    (ADDRESS, "IP address mismatch"),
    (EE_KEY_TOO_SMALL, "EE certificate key too weak"),
    (CA_KEY_TOO_SMALL, "CA certificate key too weak"),
    (DIGEST_TOO_WEAK, "CA signature digest algorithm too weak"),
    (INVALID_CA, "invalid CA certificate"),
    (EXPLICIT_CURVE, "Certificate public key has explicit ECC parameters"),
];

/// OpenSSL's words for a number (X509_verify_cert_error_string(3)).
pub fn text(code: u16) -> &'static str {
    let found = WORDS.iter().find(|(number, _)| *number == code);
    found.map_or("unspecified certificate verification error", |(_, words)| words)
}
