//! Cipher suites by number (IANA, "TLS Cipher Suites"): names put together from their parts, so that the table is small.

use super::Exchange;

/// Key exchange and authentication: the part of IANA's name, OpenSSL's, what the server sends for it, and its rank in our
/// order: with forward secrecy, with certificate, without, export.
struct KeyExchange(&'static str, &'static str, Exchange, u8);

#[rustfmt::skip]
const EXCHANGES: &[KeyExchange] = &[
    KeyExchange("", "", Exchange::None, 0),
    KeyExchange("RSA", "", Exchange::None, 2),
    KeyExchange("RSA_EXPORT", "EXP-", Exchange::RsaExport, 4),
    KeyExchange("RSA_EXPORT1024", "EXP1024-", Exchange::RsaExport, 4),
    KeyExchange("RSA_FIPS", "-", Exchange::None, 5),
    KeyExchange("DH_DSS", "DH-DSS-", Exchange::None, 3),
    KeyExchange("DH_DSS_EXPORT", "EXP-DH-DSS-", Exchange::None, 4),
    KeyExchange("DH_RSA", "DH-RSA-", Exchange::None, 3),
    KeyExchange("DH_RSA_EXPORT", "EXP-DH-RSA-", Exchange::None, 4),
    KeyExchange("DHE_DSS", "DHE-DSS-", Exchange::Dhe, 0),
    KeyExchange("DHE_DSS_EXPORT", "EXP-EDH-DSS-", Exchange::Dhe, 4),
    KeyExchange("DHE_DSS_EXPORT1024", "EXP1024-DHE-DSS-", Exchange::Dhe, 4),
    KeyExchange("DHE_RSA", "DHE-RSA-", Exchange::Dhe, 0),
    KeyExchange("DHE_RSA_EXPORT", "EXP-EDH-RSA-", Exchange::Dhe, 4),
    KeyExchange("DH_anon", "ADH-", Exchange::DheAnonymous, 0),
    KeyExchange("DH_anon_EXPORT", "EXP-ADH-", Exchange::DheAnonymous, 4),
    KeyExchange("FORTEZZA_KEA", "-", Exchange::None, 5),
    KeyExchange("KRB5", "KRB5-", Exchange::None, 3),
    KeyExchange("KRB5_EXPORT", "EXP-KRB5-", Exchange::None, 4),
    KeyExchange("PSK", "PSK-", Exchange::Psk, 1),
    KeyExchange("DHE_PSK", "DHE-PSK-", Exchange::DhePsk, 1),
    KeyExchange("PSK_DHE", "DHE-PSK-", Exchange::DhePsk, 1),
    KeyExchange("RSA_PSK", "RSA-PSK-", Exchange::Psk, 1),
    KeyExchange("ECDHE_PSK", "ECDHE-PSK-", Exchange::EcdhePsk, 1),
    KeyExchange("ECDH_ECDSA", "ECDH-ECDSA-", Exchange::None, 3),
    KeyExchange("ECDHE_ECDSA", "ECDHE-ECDSA-", Exchange::Ecdhe, 0),
    KeyExchange("ECDH_RSA", "ECDH-RSA-", Exchange::None, 3),
    KeyExchange("ECDHE_RSA", "ECDHE-RSA-", Exchange::Ecdhe, 0),
    KeyExchange("ECDH_anon", "AECDH-", Exchange::EcdheAnonymous, 0),
    KeyExchange("SRP_SHA", "SRP-", Exchange::None, 3),
    KeyExchange("SRP_SHA_RSA", "SRP-RSA-", Exchange::None, 3),
    KeyExchange("SRP_SHA_DSS", "SRP-DSS-", Exchange::None, 3),
    KeyExchange("ECCPWD", "-", Exchange::None, 5),
    KeyExchange("GOSTR341112_256", "-", Exchange::None, 5),
];

/// Cipher: the part of IANA's name, OpenSSL's (`-` where it has none), bits of strength, rank in our order.
struct Cipher(&'static str, &'static str, u16, u8);

#[rustfmt::skip]
const CIPHERS: &[Cipher] = &[
    Cipher("NULL", "NULL", 0, 9),
    Cipher("RC4_40", "RC4", 40, 5),
    Cipher("RC4_128", "RC4", 128, 4),
    Cipher("RC2_CBC_40", "RC2-CBC", 40, 5),
    Cipher("IDEA_CBC", "IDEA-CBC", 128, 5),
    Cipher("DES40_CBC", "DES-CBC", 40, 5),
    Cipher("DES_CBC", "DES-CBC", 56, 5),
    Cipher("3DES_EDE_CBC", "DES-CBC3", 112, 5),
    Cipher("FORTEZZA_CBC", "-", 80, 5),
    Cipher("DES_CBC_40", "DES-CBC", 40, 5),
    Cipher("AES_128_CBC", "AES128", 128, 2),
    Cipher("AES_256_CBC", "AES256", 256, 2),
    Cipher("CAMELLIA_128_CBC", "CAMELLIA128", 128, 3),
    Cipher("RC4_56", "RC4", 56, 5),
    Cipher("RC2_CBC_56", "RC2-CBC", 56, 5),
    Cipher("CAMELLIA_256_CBC", "CAMELLIA256", 256, 3),
    Cipher("SEED_CBC", "SEED", 128, 4),
    Cipher("AES_128_GCM", "AES128-GCM", 128, 0),
    Cipher("AES_256_GCM", "AES256-GCM", 256, 0),
    Cipher("SM4_GCM", "-", 128, 6),
    Cipher("SM4_CCM", "-", 128, 6),
    Cipher("CHACHA20_POLY1305", "CHACHA20-POLY1305", 256, 1),
    Cipher("ARIA_128_CBC", "-", 128, 4),
    Cipher("ARIA_256_CBC", "-", 256, 4),
    Cipher("ARIA_128_GCM", "ARIA128-GCM", 128, 4),
    Cipher("ARIA_256_GCM", "ARIA256-GCM", 256, 4),
    Cipher("CAMELLIA_128_GCM", "-", 128, 5),
    Cipher("CAMELLIA_256_GCM", "-", 256, 5),
    Cipher("AES_128_CCM", "AES128-CCM", 128, 3),
    Cipher("AES_256_CCM", "AES256-CCM", 256, 3),
    Cipher("AES_128_CCM_8", "AES128-CCM8", 128, 2),
    Cipher("AES_256_CCM_8", "AES256-CCM8", 256, 2),
    Cipher("KUZNYECHIK_CTR", "-", 256, 6),
    Cipher("MAGMA_CTR", "-", 256, 6),
    Cipher("28147_CNT", "-", 256, 6),
    Cipher("KUZNYECHIK_MGM_L", "-", 256, 6),
    Cipher("MAGMA_MGM_L", "-", 256, 6),
    Cipher("KUZNYECHIK_MGM_S", "-", 256, 6),
    Cipher("MAGMA_MGM_S", "-", 256, 6),
    Cipher("SHA256", "SHA256", 0, 9),
    Cipher("SHA384", "SHA384", 0, 9),
];

const HASHES: &[&str] = &["", "MD5", "SHA", "SHA256", "SHA384", "SM3", "IMIT", "OMAC"];

/// Number, then the places in the three tables above.
#[rustfmt::skip]
const SUITES: &[(u16, u8, u8, u8)] = &[
    (0x0001, 1, 0, 1), (0x0002, 1, 0, 2), (0x0003, 2, 1, 1), (0x0004, 1, 2, 1), (0x0005, 1, 2, 2), (0x0006, 2, 3, 1),
    (0x0007, 1, 4, 2), (0x0008, 2, 5, 2), (0x0009, 1, 6, 2), (0x000a, 1, 7, 2), (0x000b, 6, 5, 2), (0x000c, 5, 6, 2),
    (0x000d, 5, 7, 2), (0x000e, 8, 5, 2), (0x000f, 7, 6, 2), (0x0010, 7, 7, 2), (0x0011, 10, 5, 2), (0x0012, 9, 6, 2),
    (0x0013, 9, 7, 2), (0x0014, 13, 5, 2), (0x0015, 12, 6, 2), (0x0016, 12, 7, 2), (0x0017, 15, 1, 1),
    (0x0018, 14, 2, 1), (0x0019, 15, 5, 2), (0x001a, 14, 6, 2), (0x001b, 14, 7, 2), (0x001c, 16, 0, 2),
    (0x001d, 16, 8, 2), (0x001f, 17, 7, 2), (0x0020, 17, 2, 2), (0x0021, 17, 4, 2), (0x0022, 17, 6, 1),
    (0x0023, 17, 7, 1), (0x0024, 17, 2, 1), (0x0025, 17, 4, 1), (0x0026, 18, 9, 2), (0x0027, 18, 3, 2),
    (0x0028, 18, 1, 2), (0x0029, 18, 9, 1), (0x002a, 18, 3, 1), (0x002b, 18, 1, 1), (0x002c, 19, 0, 2),
    (0x002d, 20, 0, 2), (0x002e, 22, 0, 2), (0x002f, 1, 10, 2), (0x0030, 5, 10, 2), (0x0031, 7, 10, 2),
    (0x0032, 9, 10, 2), (0x0033, 12, 10, 2), (0x0034, 14, 10, 2), (0x0035, 1, 11, 2), (0x0036, 5, 11, 2),
    (0x0037, 7, 11, 2), (0x0038, 9, 11, 2), (0x0039, 12, 11, 2), (0x003a, 14, 11, 2), (0x003b, 1, 0, 3),
    (0x003c, 1, 10, 3), (0x003d, 1, 11, 3), (0x003e, 5, 10, 3), (0x003f, 7, 10, 3), (0x0040, 9, 10, 3),
    (0x0041, 1, 12, 2), (0x0042, 5, 12, 2), (0x0043, 7, 12, 2), (0x0044, 9, 12, 2), (0x0045, 12, 12, 2),
    (0x0046, 14, 12, 2), (0x0060, 3, 13, 1), (0x0061, 3, 14, 1), (0x0062, 3, 6, 2), (0x0063, 11, 6, 2),
    (0x0064, 3, 13, 2), (0x0065, 11, 13, 2), (0x0066, 9, 2, 2), (0x0067, 12, 10, 3), (0x0068, 5, 11, 3),
    (0x0069, 7, 11, 3), (0x006a, 9, 11, 3), (0x006b, 12, 11, 3), (0x006c, 14, 10, 3), (0x006d, 14, 11, 3),
    (0x0084, 1, 15, 2), (0x0085, 5, 15, 2), (0x0086, 7, 15, 2), (0x0087, 9, 15, 2), (0x0088, 12, 15, 2),
    (0x0089, 14, 15, 2), (0x008a, 19, 2, 2), (0x008b, 19, 7, 2), (0x008c, 19, 10, 2), (0x008d, 19, 11, 2),
    (0x008e, 20, 2, 2), (0x008f, 20, 7, 2), (0x0090, 20, 10, 2), (0x0091, 20, 11, 2), (0x0092, 22, 2, 2),
    (0x0093, 22, 7, 2), (0x0094, 22, 10, 2), (0x0095, 22, 11, 2), (0x0096, 1, 16, 2), (0x0097, 5, 16, 2),
    (0x0098, 7, 16, 2), (0x0099, 9, 16, 2), (0x009a, 12, 16, 2), (0x009b, 14, 16, 2), (0x009c, 1, 17, 3),
    (0x009d, 1, 18, 4), (0x009e, 12, 17, 3), (0x009f, 12, 18, 4), (0x00a0, 7, 17, 3), (0x00a1, 7, 18, 4),
    (0x00a2, 9, 17, 3), (0x00a3, 9, 18, 4), (0x00a4, 5, 17, 3), (0x00a5, 5, 18, 4), (0x00a6, 14, 17, 3),
    (0x00a7, 14, 18, 4), (0x00a8, 19, 17, 3), (0x00a9, 19, 18, 4), (0x00aa, 20, 17, 3), (0x00ab, 20, 18, 4),
    (0x00ac, 22, 17, 3), (0x00ad, 22, 18, 4), (0x00ae, 19, 10, 3), (0x00af, 19, 11, 4), (0x00b0, 19, 0, 3),
    (0x00b1, 19, 0, 4), (0x00b2, 20, 10, 3), (0x00b3, 20, 11, 4), (0x00b4, 20, 0, 3), (0x00b5, 20, 0, 4),
    (0x00b6, 22, 10, 3), (0x00b7, 22, 11, 4), (0x00b8, 22, 0, 3), (0x00b9, 22, 0, 4), (0x00ba, 1, 12, 3),
    (0x00bb, 5, 12, 3), (0x00bc, 7, 12, 3), (0x00bd, 9, 12, 3), (0x00be, 12, 12, 3), (0x00bf, 14, 12, 3),
    (0x00c0, 1, 15, 3), (0x00c1, 5, 15, 3), (0x00c2, 7, 15, 3), (0x00c3, 9, 15, 3), (0x00c4, 12, 15, 3),
    (0x00c5, 14, 15, 3), (0x00c6, 0, 19, 5), (0x00c7, 0, 20, 5), (0x1301, 0, 17, 3), (0x1302, 0, 18, 4),
    (0x1303, 0, 21, 3), (0xc001, 24, 0, 2), (0xc002, 24, 2, 2), (0xc003, 24, 7, 2), (0xc004, 24, 10, 2),
    (0xc005, 24, 11, 2), (0xc006, 25, 0, 2), (0xc007, 25, 2, 2), (0xc008, 25, 7, 2), (0xc009, 25, 10, 2),
    (0xc00a, 25, 11, 2), (0xc00b, 26, 0, 2), (0xc00c, 26, 2, 2), (0xc00d, 26, 7, 2), (0xc00e, 26, 10, 2),
    (0xc00f, 26, 11, 2), (0xc010, 27, 0, 2), (0xc011, 27, 2, 2), (0xc012, 27, 7, 2), (0xc013, 27, 10, 2),
    (0xc014, 27, 11, 2), (0xc015, 28, 0, 2), (0xc016, 28, 2, 2), (0xc017, 28, 7, 2), (0xc018, 28, 10, 2),
    (0xc019, 28, 11, 2), (0xc01a, 29, 7, 2), (0xc01b, 30, 7, 2), (0xc01c, 31, 7, 2), (0xc01d, 29, 10, 2),
    (0xc01e, 30, 10, 2), (0xc01f, 31, 10, 2), (0xc020, 29, 11, 2), (0xc021, 30, 11, 2), (0xc022, 31, 11, 2),
    (0xc023, 25, 10, 3), (0xc024, 25, 11, 4), (0xc025, 24, 10, 3), (0xc026, 24, 11, 4), (0xc027, 27, 10, 3),
    (0xc028, 27, 11, 4), (0xc029, 26, 10, 3), (0xc02a, 26, 11, 4), (0xc02b, 25, 17, 3), (0xc02c, 25, 18, 4),
    (0xc02d, 24, 17, 3), (0xc02e, 24, 18, 4), (0xc02f, 27, 17, 3), (0xc030, 27, 18, 4), (0xc031, 26, 17, 3),
    (0xc032, 26, 18, 4), (0xc033, 23, 2, 2), (0xc034, 23, 7, 2), (0xc035, 23, 10, 2), (0xc036, 23, 11, 2),
    (0xc037, 23, 10, 3), (0xc038, 23, 11, 4), (0xc039, 23, 0, 2), (0xc03a, 23, 0, 3), (0xc03b, 23, 0, 4),
    (0xc03c, 1, 22, 3), (0xc03d, 1, 23, 4), (0xc03e, 5, 22, 3), (0xc03f, 5, 23, 4), (0xc040, 7, 22, 3),
    (0xc041, 7, 23, 4), (0xc042, 9, 22, 3), (0xc043, 9, 23, 4), (0xc044, 12, 22, 3), (0xc045, 12, 23, 4),
    (0xc046, 14, 22, 3), (0xc047, 14, 23, 4), (0xc048, 25, 22, 3), (0xc049, 25, 23, 4), (0xc04a, 24, 22, 3),
    (0xc04b, 24, 23, 4), (0xc04c, 27, 22, 3), (0xc04d, 27, 23, 4), (0xc04e, 26, 22, 3), (0xc04f, 26, 23, 4),
    (0xc050, 1, 24, 3), (0xc051, 1, 25, 4), (0xc052, 12, 24, 3), (0xc053, 12, 25, 4), (0xc054, 7, 24, 3),
    (0xc055, 7, 25, 4), (0xc056, 9, 24, 3), (0xc057, 9, 25, 4), (0xc058, 5, 24, 3), (0xc059, 5, 25, 4),
    (0xc05a, 14, 24, 3), (0xc05b, 14, 25, 4), (0xc05c, 25, 24, 3), (0xc05d, 25, 25, 4), (0xc05e, 24, 24, 3),
    (0xc05f, 24, 25, 4), (0xc060, 27, 24, 3), (0xc061, 27, 25, 4), (0xc062, 26, 24, 3), (0xc063, 26, 25, 4),
    (0xc064, 19, 22, 3), (0xc065, 19, 23, 4), (0xc066, 20, 22, 3), (0xc067, 20, 23, 4), (0xc068, 22, 22, 3),
    (0xc069, 22, 23, 4), (0xc06a, 19, 24, 3), (0xc06b, 19, 25, 4), (0xc06c, 20, 24, 3), (0xc06d, 20, 25, 4),
    (0xc06e, 22, 24, 3), (0xc06f, 22, 25, 4), (0xc070, 23, 22, 3), (0xc071, 23, 23, 4), (0xc072, 25, 12, 3),
    (0xc073, 25, 15, 4), (0xc074, 24, 12, 3), (0xc075, 24, 15, 4), (0xc076, 27, 12, 3), (0xc077, 27, 15, 4),
    (0xc078, 26, 12, 3), (0xc079, 26, 15, 4), (0xc07a, 1, 26, 3), (0xc07b, 1, 27, 4), (0xc07c, 12, 26, 3),
    (0xc07d, 12, 27, 4), (0xc07e, 7, 26, 3), (0xc07f, 7, 27, 4), (0xc080, 9, 26, 3), (0xc081, 9, 27, 4),
    (0xc082, 5, 26, 3), (0xc083, 5, 27, 4), (0xc084, 14, 26, 3), (0xc085, 14, 27, 4), (0xc086, 25, 26, 3),
    (0xc087, 25, 27, 4), (0xc088, 24, 26, 3), (0xc089, 24, 27, 4), (0xc08a, 27, 26, 3), (0xc08b, 27, 27, 4),
    (0xc08c, 26, 26, 3), (0xc08d, 26, 27, 4), (0xc08e, 19, 26, 3), (0xc08f, 19, 27, 4), (0xc090, 20, 26, 3),
    (0xc091, 20, 27, 4), (0xc092, 22, 26, 3), (0xc093, 22, 27, 4), (0xc094, 19, 12, 3), (0xc095, 19, 15, 4),
    (0xc096, 20, 12, 3), (0xc097, 20, 15, 4), (0xc098, 22, 12, 3), (0xc099, 22, 15, 4), (0xc09a, 23, 12, 3),
    (0xc09b, 23, 15, 4), (0xc09c, 1, 28, 0), (0xc09d, 1, 29, 0), (0xc09e, 12, 28, 0), (0xc09f, 12, 29, 0),
    (0xc0a0, 1, 30, 0), (0xc0a1, 1, 31, 0), (0xc0a2, 12, 30, 0), (0xc0a3, 12, 31, 0), (0xc0a4, 19, 28, 0),
    (0xc0a5, 19, 29, 0), (0xc0a6, 20, 28, 0), (0xc0a7, 20, 29, 0), (0xc0a8, 19, 30, 0), (0xc0a9, 19, 31, 0),
    (0xc0aa, 21, 30, 0), (0xc0ab, 21, 31, 0), (0xc0ac, 25, 28, 0), (0xc0ad, 25, 29, 0), (0xc0ae, 25, 30, 0),
    (0xc0af, 25, 31, 0), (0xc0b0, 32, 17, 3), (0xc0b1, 32, 18, 4), (0xc0b2, 32, 28, 3), (0xc0b3, 32, 29, 4),
    (0xc0b4, 0, 39, 3), (0xc0b5, 0, 40, 4), (0xc100, 33, 32, 7), (0xc101, 33, 33, 7), (0xc102, 33, 34, 6),
    (0xc103, 33, 35, 0), (0xc104, 33, 36, 0), (0xc105, 33, 37, 0), (0xc106, 33, 38, 0), (0xcca8, 27, 21, 3),
    (0xcca9, 25, 21, 3), (0xccaa, 12, 21, 3), (0xccab, 19, 21, 3), (0xccac, 23, 21, 3), (0xccad, 20, 21, 3),
    (0xccae, 22, 21, 3), (0xd001, 23, 17, 3), (0xd002, 23, 18, 4), (0xd003, 23, 30, 3), (0xd005, 23, 28, 3),
    (0xfefe, 4, 6, 2), (0xfeff, 4, 7, 2),
];

/// TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746).
pub const RENEGOTIATION_SCSV: u16 = 0x00ff;
/// TLS_FALLBACK_SCSV (RFC 7507).
pub const FALLBACK_SCSV: u16 = 0x5600;

/// A suite that is in IANA's registry.
#[derive(Clone, Copy)]
pub struct Suite {
    /// Its number.
    pub id: u16,
    exchange: &'static KeyExchange,
    cipher: &'static Cipher,
    hash: &'static str,
}

impl Suite {
    /// The suite of that number.
    pub fn of(id: u16) -> Option<Suite> {
        let at = SUITES.binary_search_by_key(&id, |row| row.0).ok()?;
        let (_, exchange, cipher, hash) = SUITES.get(at)?;
        Some(Suite {
            id,
            exchange: EXCHANGES.get(usize::from(*exchange))?,
            cipher: CIPHERS.get(usize::from(*cipher))?,
            hash: HASHES.get(usize::from(*hash)).copied()?,
        })
    }

    /// IANA's name.
    pub fn name(&self) -> String {
        let mut out =
            String::from(if matches!(self.exchange.0, "RSA_FIPS" | "FORTEZZA_KEA") { "SSL_" } else { "TLS_" });
        if !self.exchange.0.is_empty() {
            out.push_str(self.exchange.0);
            out.push_str("_WITH_");
        }
        out.push_str(self.cipher.0);
        if !self.hash.is_empty() {
            out.push('_');
            out.push_str(self.hash);
        }
        out
    }

    /// OpenSSL's name, where it has or had the suite.
    pub fn openssl(&self) -> Option<String> {
        if self.is_tls13() {
            return (self.id >> 8 == 0x13).then(|| self.name());
        }
        let KeyExchange(iana, exchange, ..) = self.exchange;
        let Cipher(cipher, theirs, ..) = self.cipher;
        let has_no_name = *exchange == "-"
            || *theirs == "-"
            || self.id >> 8 == 0xd0
            || cipher.starts_with("ARIA") && (iana.starts_with("DH_") || iana.starts_with("ECDH_"))
            || cipher.starts_with("ARIA_") && *iana == "ECDHE_PSK";
        if has_no_name {
            return None;
        }
        let mut out = String::from(*exchange);
        let shared = iana.ends_with("PSK") || iana.starts_with("SRP");
        match *cipher {
            // Two words where the suites of certificates have one.
            "AES_128_CBC" | "AES_256_CBC" | "3DES_EDE_CBC" if shared => {
                let spelled = cipher.replace('_', "-");
                out.push_str(&if iana.starts_with("SRP") { spelled } else { spelled.replacen("AES-", "AES", 1) });
            }
            "ARIA_128_GCM" | "ARIA_256_GCM" if *iana == "ECDHE_RSA" => out = format!("ECDHE-{theirs}"),
            _ => out.push_str(theirs),
        }
        let is_without_hash = *theirs == "CHACHA20-POLY1305" || self.hash.is_empty();
        if !is_without_hash {
            out.push('-');
            out.push_str(self.hash);
        }
        Some(out)
    }

    /// Bits of strength, as OpenSSL counts them.
    pub fn bits(&self) -> u16 {
        self.cipher.2
    }

    /// What the server sends as its part of the key exchange.
    pub fn exchange(&self) -> Exchange {
        self.exchange.2
    }

    /// Whether the suite is of TLS 1.3 alone.
    pub fn is_tls13(&self) -> bool {
        self.exchange.0.is_empty() || (0xc103..=0xc106).contains(&self.id)
    }

    /// Whether the server signs its part of the key exchange with a key of its certificate.
    pub fn is_signed(&self) -> bool {
        matches!(self.exchange.2, Exchange::Ecdhe | Exchange::Dhe)
    }

    /// Whether an elliptic curve takes part.
    pub fn has_curve(&self) -> bool {
        matches!(self.exchange.2, Exchange::Ecdhe | Exchange::EcdheAnonymous | Exchange::EcdhePsk)
    }

    /// Whether the certificate has to hold an ECDSA or EdDSA key.
    pub fn is_ecdsa(&self) -> bool {
        self.exchange.0.ends_with("ECDSA")
    }

    /// Whether the suite exists since TLS 1.2 only, because it is an AEAD or hashes with SHA-2 (RFC 5246, section 1.2).
    pub fn is_tls12(&self) -> bool {
        !matches!(self.hash, "MD5" | "SHA")
    }

    /// Place in the order of what is offered: forward secrecy first, AEAD before CBC, strong before weak.
    fn rank(&self) -> (u8, u8, std::cmp::Reverse<u16>, u8, u8, std::cmp::Reverse<u8>) {
        let anonymous = matches!(self.exchange.2, Exchange::DheAnonymous | Exchange::EcdheAnonymous);
        let is_aead = ["GCM", "CCM", "CCM_8", "POLY1305"].iter().any(|end| self.cipher.0.ends_with(end));
        let by_mac = match self.hash {
            _ if is_aead => 0,
            "SHA256" | "SHA384" => 1,
            _ => 2,
        };
        let exchange = EXCHANGES.iter().position(|one| std::ptr::eq(one, self.exchange)).unwrap_or(0);
        let kind = if self.cipher.3 == 9 { 6 } else { self.exchange.3 };
        // Elliptic curves before whole numbers, which stand before them in the table.
        let exchange = std::cmp::Reverse(u8::try_from(exchange).unwrap_or(0));
        let exchange = if self.exchange.0 == "ECDHE_ECDSA" { std::cmp::Reverse(255) } else { exchange };
        (kind, by_mac, std::cmp::Reverse(self.bits()), u8::from(anonymous), self.cipher.3, exchange)
    }
}

/// All suites of TLS 1.3, or all of the versions before it, best first.
pub fn offered(tls13: bool) -> Vec<u16> {
    let mut all: Vec<Suite> = SUITES.iter().filter_map(|row| Suite::of(row.0)).collect();
    all.retain(|suite| suite.is_tls13() == tls13);
    all.sort_by_cached_key(Suite::rank);
    all.iter().map(|suite| suite.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_whole() {
        assert!(SUITES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for row in SUITES {
            let suite = Suite::of(row.0).unwrap();
            assert!(suite.name().len() > 12, "{:x}", row.0);
            let _ = suite.openssl();
        }
        assert_eq!(offered(true).len() + offered(false).len(), SUITES.len());
        assert_eq!(offered(true).get(..3), Some(&[0x1302, 0x1303, 0x1301][..]));
        assert_eq!(offered(false).get(..3), Some(&[0xc02c, 0xc030, 0x009f][..]));
    }

    #[test]
    fn names() {
        for (id, name, openssl, bits) in [
            (0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Some("ECDHE-RSA-AES128-GCM-SHA256"), 128),
            (0x1303, "TLS_CHACHA20_POLY1305_SHA256", Some("TLS_CHACHA20_POLY1305_SHA256"), 256),
            (0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Some("ECDHE-RSA-CHACHA20-POLY1305"), 256),
            (0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", Some("DES-CBC3-SHA"), 112),
            (0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5", Some("EXP-RC4-MD5"), 40),
            (0xc061, "TLS_ECDHE_RSA_WITH_ARIA_256_GCM_SHA384", Some("ECDHE-ARIA256-GCM-SHA384"), 256),
            (0xc04d, "TLS_ECDHE_RSA_WITH_ARIA_256_CBC_SHA384", None, 256),
            (0x008d, "TLS_PSK_WITH_AES_256_CBC_SHA", Some("PSK-AES256-CBC-SHA"), 256),
            (0xc020, "TLS_SRP_SHA_WITH_AES_256_CBC_SHA", Some("SRP-AES-256-CBC-SHA"), 256),
            (0xc0ac, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", Some("ECDHE-ECDSA-AES128-CCM"), 128),
            (0xc0ab, "TLS_PSK_DHE_WITH_AES_256_CCM_8", Some("DHE-PSK-AES256-CCM8"), 256),
            (0x0019, "TLS_DH_anon_EXPORT_WITH_DES40_CBC_SHA", Some("EXP-ADH-DES-CBC-SHA"), 40),
            (0xc0b4, "TLS_SHA256_SHA256", None, 0),
            (0x00c6, "TLS_SM4_GCM_SM3", None, 128),
            (0xfeff, "SSL_RSA_FIPS_WITH_3DES_EDE_CBC_SHA", None, 112),
        ] {
            let suite = Suite::of(id).unwrap();
            assert_eq!((suite.name().as_str(), suite.openssl().as_deref(), suite.bits()), (name, openssl, bits));
        }
        assert!(Suite::of(0).is_none() && Suite::of(0xffff).is_none());
    }
}
