//! Numbers of the DNS parameters registry and their mnemonics.

use std::fmt;
use std::str::FromStr;

/// RR type (RFC 6895 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RrType(pub u16);

/// Class (RFC 6895 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Class(pub u16);

/// Response code including the EDNS extension (RFC 6895 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rcode(pub u16);

/// Operation code (RFC 6895 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Opcode(pub u8);

/// Text that names no type or class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMnemonic;

macro_rules! types {
    ($($name:ident $number:literal $text:literal,)*) => {
        impl RrType {
            $(#[doc = concat!("Type ", stringify!($number), ", ", $text, ".")] pub const $name: RrType = RrType($number);)*
        }
        /// Every type of the registry that has a mnemonic.
        pub static RR_TYPES: &[(RrType, &str)] = &[$((RrType($number), $text),)*];
    };
}

types! {
    A 1 "A", NS 2 "NS", MD 3 "MD", MF 4 "MF", CNAME 5 "CNAME", SOA 6 "SOA", MB 7 "MB", MG 8 "MG", MR 9 "MR", NULL 10 "NULL",
    WKS 11 "WKS", PTR 12 "PTR", HINFO 13 "HINFO", MINFO 14 "MINFO", MX 15 "MX", TXT 16 "TXT", RP 17 "RP", AFSDB 18 "AFSDB",
    X25 19 "X25", ISDN 20 "ISDN", RT 21 "RT", NSAP 22 "NSAP", NSAP_PTR 23 "NSAP-PTR", SIG 24 "SIG", KEY 25 "KEY", PX 26 "PX",
    GPOS 27 "GPOS", AAAA 28 "AAAA", LOC 29 "LOC", NXT 30 "NXT", EID 31 "EID", NIMLOC 32 "NIMLOC", SRV 33 "SRV", ATMA 34 "ATMA",
    NAPTR 35 "NAPTR", KX 36 "KX", CERT 37 "CERT", A6 38 "A6", DNAME 39 "DNAME", SINK 40 "SINK", OPT 41 "OPT", APL 42 "APL",
    DS 43 "DS", SSHFP 44 "SSHFP", IPSECKEY 45 "IPSECKEY", RRSIG 46 "RRSIG", NSEC 47 "NSEC", DNSKEY 48 "DNSKEY",
    DHCID 49 "DHCID", NSEC3 50 "NSEC3", NSEC3PARAM 51 "NSEC3PARAM", TLSA 52 "TLSA", SMIMEA 53 "SMIMEA", HIP 55 "HIP",
    NINFO 56 "NINFO", RKEY 57 "RKEY", TALINK 58 "TALINK", CDS 59 "CDS", CDNSKEY 60 "CDNSKEY", OPENPGPKEY 61 "OPENPGPKEY",
    CSYNC 62 "CSYNC", ZONEMD 63 "ZONEMD", SVCB 64 "SVCB", HTTPS 65 "HTTPS", DSYNC 66 "DSYNC", HHIT 67 "HHIT", BRID 68 "BRID",
    SPF 99 "SPF", UINFO 100 "UINFO", UID 101 "UID", GID 102 "GID", UNSPEC 103 "UNSPEC", NID 104 "NID", L32 105 "L32",
    L64 106 "L64", LP 107 "LP", EUI48 108 "EUI48", EUI64 109 "EUI64", NXNAME 128 "NXNAME", TKEY 249 "TKEY", TSIG 250 "TSIG",
    IXFR 251 "IXFR", AXFR 252 "AXFR", MAILB 253 "MAILB", MAILA 254 "MAILA", ANY 255 "ANY", URI 256 "URI", CAA 257 "CAA",
    AVC 258 "AVC", DOA 259 "DOA", AMTRELAY 260 "AMTRELAY", RESINFO 261 "RESINFO", WALLET 262 "WALLET", CLA 263 "CLA",
    IPN 264 "IPN", TA 32768 "TA", DLV 32769 "DLV",
}

impl RrType {
    /// The mnemonic, if the type has one.
    pub fn mnemonic(self) -> Option<&'static str> {
        // The table is sorted by number (tested), so the look-up is a search and not a scan.
        let at = RR_TYPES.binary_search_by_key(&self, |entry| entry.0).ok()?;
        RR_TYPES.get(at).map(|entry| entry.1)
    }
}

impl fmt::Display for RrType {
    /// The mnemonic, or `TYPEn` (RFC 3597 section 5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(text) => f.pad(text),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl FromStr for RrType {
    type Err = UnknownMnemonic;

    fn from_str(text: &str) -> Result<RrType, UnknownMnemonic> {
        let known = RR_TYPES.iter().find(|entry| entry.1.eq_ignore_ascii_case(text)).map(|entry| entry.0);
        known.or_else(|| numbered(text, "TYPE").map(RrType)).ok_or(UnknownMnemonic)
    }
}

const CLASSES: &[(u16, &str)] = &[(0, "RESERVED0"), (1, "IN"), (3, "CH"), (4, "HS"), (254, "NONE"), (255, "ANY")];

impl Class {
    /// Internet.
    pub const IN: Class = Class(1);
    /// Chaosnet, today used for server identity.
    pub const CH: Class = Class(3);
    /// Hesiod.
    pub const HS: Class = Class(4);
    /// QCLASS NONE (RFC 2136).
    pub const NONE: Class = Class(254);
    /// QCLASS ANY.
    pub const ANY: Class = Class(255);
}

impl fmt::Display for Class {
    /// The mnemonic, or `CLASSn` (RFC 3597 section 5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match CLASSES.iter().find(|entry| entry.0 == self.0) {
            Some((_, text)) => f.write_str(text),
            None => write!(f, "CLASS{}", self.0),
        }
    }
}

impl FromStr for Class {
    type Err = UnknownMnemonic;

    fn from_str(text: &str) -> Result<Class, UnknownMnemonic> {
        let long = [("CHAOS", 3), ("HESIOD", 4)];
        let named = CLASSES.iter().map(|entry| (entry.1, entry.0)).chain(long);
        let known = named.into_iter().find(|entry| entry.0.eq_ignore_ascii_case(text)).map(|entry| entry.1);
        known.or_else(|| numbered(text, "CLASS")).map(Class).ok_or(UnknownMnemonic)
    }
}

fn numbered(text: &str, prefix: &str) -> Option<u16> {
    let (head, digits) = text.split_at_checked(prefix.len())?;
    let plain = head.eq_ignore_ascii_case(prefix) && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

const RCODES: &[&str] = &[
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "YXDOMAIN",
    "YXRRSET",
    "NXRRSET",
    "NOTAUTH",
    "NOTZONE",
    "RESERVED11",
    "RESERVED12",
    "RESERVED13",
    "RESERVED14",
    "RESERVED15",
    "BADVERS",
];

/// TSIG and TKEY errors share the number space (RFC 8945 section 3).
const TSIG_ERRORS: &[&str] = &["BADSIG", "BADKEY", "BADTIME", "BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE"];

impl Rcode {
    /// No error.
    pub const NOERROR: Rcode = Rcode(0);
    /// The server did not understand the query.
    pub const FORMERR: Rcode = Rcode(1);
    /// The server failed.
    pub const SERVFAIL: Rcode = Rcode(2);
    /// The name does not exist.
    pub const NXDOMAIN: Rcode = Rcode(3);
    /// Not implemented.
    pub const NOTIMP: Rcode = Rcode(4);
    /// Refused by policy.
    pub const REFUSED: Rcode = Rcode(5);
    /// Not authoritative, or TSIG failed.
    pub const NOTAUTH: Rcode = Rcode(9);
    /// EDNS version not supported.
    pub const BADVERS: Rcode = Rcode(16);
    /// A server cookie is needed (RFC 7873).
    pub const BADCOOKIE: Rcode = Rcode(23);

    /// As a TSIG error field prints it, where 16 is BADSIG.
    pub fn tsig_text(self) -> String {
        match usize::from(self.0).checked_sub(16).and_then(|at| TSIG_ERRORS.get(at)) {
            Some(text) => (*text).to_owned(),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match RCODES.get(usize::from(self.0)) {
            Some(text) => f.write_str(text),
            None if self.0 == 23 => f.write_str("BADCOOKIE"),
            // dig's own form for numbers beyond its table.
            None => write!(f, "?{}", self.0),
        }
    }
}

const OPCODES: &[&str] = &["QUERY", "IQUERY", "STATUS", "RESERVED3", "NOTIFY", "UPDATE"];

impl Opcode {
    /// A standard query.
    pub const QUERY: Opcode = Opcode(0);
    /// Zone change notification (RFC 1996).
    pub const NOTIFY: Opcode = Opcode(4);
    /// Dynamic update (RFC 2136).
    pub const UPDATE: Opcode = Opcode(5);
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match OPCODES.get(usize::from(self.0)) {
            Some(text) => f.write_str(text),
            None => write!(f, "RESERVED{}", self.0),
        }
    }
}

impl FromStr for Opcode {
    type Err = UnknownMnemonic;

    fn from_str(text: &str) -> Result<Opcode, UnknownMnemonic> {
        let reserved = (6..=15).map(|number| (number, format!("RESERVED{number}")));
        let known = OPCODES.iter().zip(0u8..).map(|(text, number)| (number, (*text).to_owned()));
        known
            .chain(reserved)
            .find(|entry| entry.1.eq_ignore_ascii_case(text))
            .map(|entry| Opcode(entry.0))
            .ok_or(UnknownMnemonic)
    }
}

/// DNSSEC algorithm mnemonics that CERT, KEY comments and DNSKEY comments use (IANA DNS Security Algorithm Numbers).
pub fn algorithm_mnemonic(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "RSAMD5",
        2 => "DH",
        3 => "DSA",
        4 => "ECC",
        5 => "RSASHA1",
        6 => "NSEC3DSA",
        7 => "NSEC3RSASHA1",
        8 => "RSASHA256",
        10 => "RSASHA512",
        12 => "ECCGOST",
        13 => "ECDSAP256SHA256",
        14 => "ECDSAP384SHA384",
        15 => "ED25519",
        16 => "ED448",
        252 => "INDIRECT",
        253 => "PRIVATEDNS",
        254 => "PRIVATEOID",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_reversible() {
        assert!(RR_TYPES.is_sorted_by_key(|entry| entry.0));
        for (number, text) in RR_TYPES {
            assert_eq!(text.to_lowercase().parse(), Ok(*number));
            assert_eq!(number.to_string(), *text);
        }
        assert_eq!("type65534".parse(), Ok(RrType(65534)));
        assert_eq!("TYPE65536".parse::<RrType>(), Err(UnknownMnemonic));
        assert_eq!("TYPE+1".parse::<RrType>(), Err(UnknownMnemonic));
        assert_eq!(RrType(4000).to_string(), "TYPE4000");
    }

    #[test]
    fn other_numbers() {
        assert_eq!("chaos".parse(), Ok(Class::CH));
        assert_eq!("CLASS42".parse::<Class>().unwrap().to_string(), "CLASS42");
        assert_eq!(Rcode(11).to_string(), "RESERVED11");
        assert_eq!(Rcode(17).to_string(), "?17");
        assert_eq!(Rcode(16).tsig_text(), "BADSIG");
        assert_eq!(Rcode(5).tsig_text(), "REFUSED");
        assert_eq!("status".parse(), Ok(Opcode(2)));
        assert_eq!("reserved12".parse(), Ok(Opcode(12)));
    }
}
