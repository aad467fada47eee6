//! TLS on the wire, as far as it is in the clear: hellos as they are wished for, and what a server answers to them, from
//! SSLv3 (RFC 6101) to TLS 1.3 (RFC 8446). No secrets and no cryptography.

pub mod flight;
pub mod hello;
pub mod suites;

/// Versions as they are written on the wire.
pub mod version {
    #![allow(missing_docs)]
    pub const SSL3: u16 = 0x0300;
    pub const TLS10: u16 = 0x0301;
    pub const TLS11: u16 = 0x0302;
    pub const TLS12: u16 = 0x0303;
    pub const TLS13: u16 = 0x0304;
}

/// Extensions (IANA, "TLS ExtensionType Values") that are written or read here.
pub mod extension {
    #![allow(missing_docs)]
    pub const SERVER_NAME: u16 = 0;
    pub const STATUS_REQUEST: u16 = 5;
    pub const SUPPORTED_GROUPS: u16 = 10;
    pub const EC_POINT_FORMATS: u16 = 11;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const SIGNED_CERTIFICATE_TIMESTAMP: u16 = 18;
    pub const PADDING: u16 = 21;
    pub const ENCRYPT_THEN_MAC: u16 = 22;
    pub const EXTENDED_MASTER_SECRET: u16 = 23;
    pub const SESSION_TICKET: u16 = 35;
    pub const SUPPORTED_VERSIONS: u16 = 43;
    pub const PSK_KEY_EXCHANGE_MODES: u16 = 45;
    pub const SIGNATURE_ALGORITHMS_CERT: u16 = 50;
    pub const KEY_SHARE: u16 = 51;
    pub const RENEGOTIATION_INFO: u16 = 0xff01;
}

/// What a server sends as its part of the key exchange before TLS 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Nothing, or nothing that is read here.
    None,
    /// A curve and a point, signed (RFC 8422).
    Ecdhe,
    /// The same without signature.
    EcdheAnonymous,
    /// A prime, a generator and a number, signed (RFC 5246).
    Dhe,
    /// The same without signature.
    DheAnonymous,
    /// A hint (RFC 4279).
    Psk,
    /// A hint, then curve and point (RFC 5489).
    EcdhePsk,
    /// A hint, then prime, generator and number (RFC 4279).
    DhePsk,
    /// A short RSA key.
    RsaExport,
}

/// `TLSv1.2`, as OpenSSL writes versions; unknown ones with their number.
pub fn version_name(version: u16) -> String {
    match version {
        0x0002 => "SSLv2".to_owned(),
        version::SSL3 => "SSLv3".to_owned(),
        version::TLS10..=version::TLS13 => format!("TLSv1.{}", version - version::TLS10),
        other => format!("0x{other:04x}"),
    }
}

#[rustfmt::skip]
const ALERTS: &[(u8, &str)] = &[
    (0, "close_notify"), (10, "unexpected_message"), (20, "bad_record_mac"), (21, "decryption_failed"), (22, "record_overflow"),
    (30, "decompression_failure"), (40, "handshake_failure"), (41, "no_certificate"), (42, "bad_certificate"),
    (43, "unsupported_certificate"), (44, "certificate_revoked"), (45, "certificate_expired"), (46, "certificate_unknown"),
    (47, "illegal_parameter"), (48, "unknown_ca"), (49, "access_denied"), (50, "decode_error"), (51, "decrypt_error"),
    (60, "export_restriction"), (70, "protocol_version"), (71, "insufficient_security"), (80, "internal_error"),
    (86, "inappropriate_fallback"), (90, "user_canceled"), (100, "no_renegotiation"), (109, "missing_extension"),
    (110, "unsupported_extension"), (111, "certificate_unobtainable"), (112, "unrecognized_name"),
    (113, "bad_certificate_status_response"), (114, "bad_certificate_hash_value"), (115, "unknown_psk_identity"),
    (116, "certificate_required"), (120, "no_application_protocol"), (121, "ech_required"),
];

/// Name of an alert (IANA, "TLS Alerts").
pub fn alert_name(alert: u8) -> Option<&'static str> {
    ALERTS.iter().find(|(number, _)| *number == alert).map(|(_, name)| *name)
}

/// inappropriate_fallback (RFC 7507).
pub const INAPPROPRIATE_FALLBACK: u8 = 86;

/// Groups (IANA, "TLS Supported Groups") with the bits of strength that OpenSSL ascribes to them, most wanted first.
#[rustfmt::skip]
pub const GROUPS: &[(u16, &str, u16)] = &[
    (0x001d, "x25519", 128), (0x0017, "secp256r1", 128), (0x0018, "secp384r1", 192), (0x0019, "secp521r1", 260), (0x001e, "x448", 224),
    (0x11ec, "X25519MLKEM768", 192), (0x11eb, "SecP256r1MLKEM768", 192), (0x11ed, "SecP384r1MLKEM1024", 256),
    (0x0200, "MLKEM512", 128), (0x0201, "MLKEM768", 192), (0x0202, "MLKEM1024", 256), (0x6399, "X25519Kyber768Draft00", 192),
    (0x0100, "ffdhe2048", 112), (0x0101, "ffdhe3072", 128), (0x0102, "ffdhe4096", 150), (0x0103, "ffdhe6144", 175),
    (0x0104, "ffdhe8192", 192), (0x001f, "brainpoolP256r1tls13", 128), (0x0020, "brainpoolP384r1tls13", 192),
    (0x0021, "brainpoolP512r1tls13", 256), (0x001a, "brainpoolP256r1", 128), (0x001b, "brainpoolP384r1", 192),
    (0x001c, "brainpoolP512r1", 256), (0x0016, "secp256k1", 128), (0x0029, "curveSM2", 128), (0x0022, "GC256A", 128),
    (0x0023, "GC256B", 128), (0x0024, "GC256C", 128), (0x0025, "GC256D", 128), (0x0026, "GC512A", 256), (0x0027, "GC512B", 256),
    (0x0028, "GC512C", 256), (0x0015, "secp224r1", 112), (0x0014, "secp224k1", 112), (0x0013, "secp192r1", 96), (0x0012, "secp192k1", 96),
    (0x0011, "secp160r2", 80), (0x0010, "secp160r1", 80), (0x000f, "secp160k1", 80), (0x000e, "sect571r1", 285),
    (0x000d, "sect571k1", 285), (0x000c, "sect409r1", 204), (0x000b, "sect409k1", 204), (0x000a, "sect283r1", 141),
    (0x0009, "sect283k1", 141), (0x0008, "sect239k1", 119), (0x0007, "sect233r1", 116), (0x0006, "sect233k1", 116),
    (0x0005, "sect193r2", 96), (0x0004, "sect193r1", 96), (0x0003, "sect163r2", 81), (0x0002, "sect163r1", 81), (0x0001, "sect163k1", 81),
];

/// Whether a group may be used with that version: curves of characteristic 2 and other old ones ended with TLS 1.3
/// (RFC 8446, section 4.2.7), whole numbers and hybrids began with it.
pub fn is_group_of(group: u16, tls13: bool) -> bool {
    match group {
        0x0001..=0x0016 | 0x001a..=0x001c => !tls13,
        0x0100..=0x0104 | 0x0200..=0x0202 | 0x11eb..=0x11ed | 0x6399 | 0x001f..=0x0021 | 0x0029 => tls13,
        _ => true,
    }
}

/// Signature schemes (IANA, "TLS SignatureScheme", and the pairs of hash and signature of RFC 5246).
#[rustfmt::skip]
pub const SCHEMES: &[(u16, &str)] = &[
    (0x0804, "rsa_pss_rsae_sha256"), (0x0805, "rsa_pss_rsae_sha384"), (0x0806, "rsa_pss_rsae_sha512"),
    (0x0403, "ecdsa_secp256r1_sha256"), (0x0503, "ecdsa_secp384r1_sha384"), (0x0603, "ecdsa_secp521r1_sha512"),
    (0x0807, "ed25519"), (0x0808, "ed448"),
    (0x0809, "rsa_pss_pss_sha256"), (0x080a, "rsa_pss_pss_sha384"), (0x080b, "rsa_pss_pss_sha512"),
    (0x0401, "rsa_pkcs1_sha256"), (0x0501, "rsa_pkcs1_sha384"), (0x0601, "rsa_pkcs1_sha512"),
    (0x0904, "mldsa44"), (0x0905, "mldsa65"), (0x0906, "mldsa87"),
    (0x081a, "ecdsa_brainpoolP256r1tls13_sha256"), (0x081b, "ecdsa_brainpoolP384r1tls13_sha384"),
    (0x081c, "ecdsa_brainpoolP512r1tls13_sha512"), (0x0708, "sm2sig_sm3"),
    (0x0301, "rsa_pkcs1_sha224"), (0x0303, "ecdsa_sha224"), (0x0201, "rsa_pkcs1_sha1"), (0x0203, "ecdsa_sha1"),
    (0x0602, "dsa_sha512"), (0x0502, "dsa_sha384"), (0x0402, "dsa_sha256"), (0x0302, "dsa_sha224"), (0x0202, "dsa_sha1"),
    (0x0101, "rsa_pkcs1_md5"),
];

/// Name of a group, or its number.
pub fn group_name(group: u16) -> String {
    let known = GROUPS.iter().find(|(number, ..)| *number == group);
    known.map_or_else(|| format!("0x{group:04x}"), |(_, name, _)| (*name).to_owned())
}

/// Bits of strength of a group that is known.
pub fn group_bits(group: u16) -> Option<u16> {
    GROUPS.iter().find(|(number, ..)| *number == group).map(|(_, _, bits)| *bits)
}

/// Name of a signature scheme, or its number.
pub fn scheme_name(scheme: u16) -> String {
    let known = SCHEMES.iter().find(|(number, _)| *number == scheme);
    known.map_or_else(|| format!("0x{scheme:04x}"), |(_, name)| (*name).to_owned())
}

#[rustfmt::skip]
const EXTENSIONS: &[(u16, &str)] = &[
    (0, "server_name"), (1, "max_fragment_length"), (4, "truncated_hmac"), (5, "status_request"), (10, "supported_groups"),
    (11, "ec_point_formats"), (12, "srp"), (13, "signature_algorithms"), (15, "heartbeat"), (16, "alpn"), (17, "status_request_v2"),
    (18, "signed_certificate_timestamp"), (21, "padding"), (22, "encrypt_then_mac"), (23, "extended_master_secret"),
    (27, "compress_certificate"), (28, "record_size_limit"), (35, "session_ticket"), (41, "pre_shared_key"), (42, "early_data"),
    (43, "supported_versions"), (44, "cookie"), (45, "psk_key_exchange_modes"), (47, "certificate_authorities"),
    (49, "post_handshake_auth"), (50, "signature_algorithms_cert"), (51, "key_share"), (13172, "next_protocol_negotiation"),
    (0xfe0d, "encrypted_client_hello"), (0xff01, "renegotiation_info"),
];

/// Name of an extension, or its number.
pub fn extension_name(extension: u16) -> String {
    let known = EXTENSIONS.iter().find(|(number, _)| *number == extension);
    known.map_or_else(|| extension.to_string(), |(_, name)| (*name).to_owned())
}

/// Name of a compression method (IANA, "TLS Compression Method Identifiers").
pub fn compression_name(method: u8) -> String {
    match method {
        0 => "NULL".to_owned(),
        1 => "DEFLATE".to_owned(),
        64 => "LZS".to_owned(),
        other => format!("0x{other:02x}"),
    }
}
