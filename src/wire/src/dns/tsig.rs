//! Transaction signatures (RFC 8945).

use std::fmt;
use std::str::FromStr;

use hmac::digest::Digest;
use hmac::digest::core_api::BlockSizeUser;
use hmac::{Mac, SimpleHmac};

use super::message::Message;
use super::name::Name;
use super::types::{Class, Rcode, RrType, UnknownMnemonic};
use crate::cursor::Cursor;

/// Hash under the HMAC (RFC 8945 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// hmac-md5.sig-alg.reg.int, kept for old keys.
    Md5,
    /// hmac-sha1.
    Sha1,
    /// hmac-sha224.
    Sha224,
    /// hmac-sha256.
    Sha256,
    /// hmac-sha384.
    Sha384,
    /// hmac-sha512.
    Sha512,
}

/// An algorithm, possibly with its MAC truncated to a number of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm {
    /// The hash.
    pub hash: Hash,
    /// Bits kept of the MAC; `None` keeps all.
    pub bits: Option<u16>,
}

const NAMES: [(Hash, &str, &str, u16); 6] = [
    (Hash::Md5, "hmac-md5", "hmac-md5.sig-alg.reg.int.", 128),
    (Hash::Sha1, "hmac-sha1", "hmac-sha1.", 160),
    (Hash::Sha224, "hmac-sha224", "hmac-sha224.", 224),
    (Hash::Sha256, "hmac-sha256", "hmac-sha256.", 256),
    (Hash::Sha384, "hmac-sha384", "hmac-sha384.", 384),
    (Hash::Sha512, "hmac-sha512", "hmac-sha512.", 512),
];

impl FromStr for Algorithm {
    type Err = UnknownMnemonic;

    /// `hmac-sha256`, `hmac-sha256-128`, `hmac-md5.sig-alg.reg.int`; any case.
    fn from_str(text: &str) -> Result<Algorithm, UnknownMnemonic> {
        let lower = text.to_ascii_lowercase();
        for (hash, short, long, full) in NAMES {
            if lower == short || lower == long || format!("{lower}.") == long {
                return Ok(Algorithm { hash, bits: None });
            }
            if let Some(bits) = lower.strip_prefix(short).and_then(|rest| rest.strip_prefix('-')) {
                let bits: u16 = bits.parse().map_err(|_| UnknownMnemonic)?;
                // At least ten octets and half of the hash (section 5.2.2.1), in whole octets.
                let least = (full / 2).max(80);
                if !bits.is_multiple_of(8) || bits < least || bits > full {
                    return Err(UnknownMnemonic);
                }
                return Ok(Algorithm { hash, bits: Some(bits) });
            }
        }
        Err(UnknownMnemonic)
    }
}

impl Algorithm {
    /// The name as it stands in the record.
    pub fn name(self) -> Name {
        let text = NAMES.iter().find(|entry| entry.0 == self.hash).map_or(".", |entry| entry.2);
        // The names above are all valid.
        Name::parse(text).unwrap_or_else(|_| Name::root())
    }

    fn mac(self, secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        match self.hash {
            Hash::Md5 => hmac_of::<md5::Md5>(secret, parts),
            Hash::Sha1 => hmac_of::<sha1::Sha1>(secret, parts),
            Hash::Sha224 => hmac_of::<sha2::Sha224>(secret, parts),
            Hash::Sha256 => hmac_of::<sha2::Sha256>(secret, parts),
            Hash::Sha384 => hmac_of::<sha2::Sha384>(secret, parts),
            Hash::Sha512 => hmac_of::<sha2::Sha512>(secret, parts),
        }
    }

    fn kept(self, full: usize) -> usize {
        self.bits.map_or(full, |bits| usize::from(bits / 8).min(full))
    }
}

fn hmac_of<D: Digest + BlockSizeUser>(secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // An HMAC takes a key of any length, so this never fails.
    let Ok(mut mac) = SimpleHmac::<D>::new_from_slice(secret) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// A shared secret.
#[derive(Clone)]
pub struct Key {
    /// Name both sides know it by.
    pub name: Name,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The secret itself.
    pub secret: Vec<u8>,
}

impl fmt::Debug for Key {
    /// The secret is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {:?})", self.name, self.algorithm)
    }
}

/// Why a signed reply is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TsigError {
    /// There is no TSIG record at the end.
    Missing,
    /// The record's data is malformed.
    Malformed,
    /// Another key or algorithm.
    BadKey,
    /// The MAC does not match.
    BadSignature,
    /// Outside the fudge, in seconds.
    BadTime,
    /// The server put this error into the record.
    Server(Rcode),
}

impl fmt::Display for TsigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TsigError::Missing => f.write_str("expected a TSIG or SIG(0)"),
            TsigError::Malformed => f.write_str("malformed TSIG record"),
            TsigError::BadKey => f.write_str("tsig indicates unknown key"),
            TsigError::BadSignature => f.write_str("tsig verify failure"),
            TsigError::BadTime => f.write_str("tsig time is outside the allowed difference"),
            TsigError::Server(_) => f.write_str("tsig indicates error"),
        }
    }
}

/// Signs `message` in place by appending a TSIG record, and returns the MAC, which the reply is checked with.
/// `now` is Unix time in seconds, `fudge` the tolerance in seconds.
pub fn sign(message: &mut Vec<u8>, key: &Key, now: u64, fudge: u16) -> Vec<u8> {
    let variables = variables(key, now, fudge, 0, &[]);
    let full = key.algorithm.mac(&key.secret, &[message, &variables]);
    let mac = full.get(..key.algorithm.kept(full.len())).unwrap_or(&full).to_vec();
    let id = message.get(..2).map(<[u8]>::to_vec).unwrap_or_default();

    let mut data = key.algorithm.name().wire().to_vec();
    push_u48(&mut data, now);
    data.extend_from_slice(&fudge.to_be_bytes());
    data.extend_from_slice(&u16::try_from(mac.len()).unwrap_or(0).to_be_bytes());
    data.extend_from_slice(&mac);
    data.extend_from_slice(&id);
    data.extend_from_slice(&[0, 0, 0, 0]);

    message.extend_from_slice(key.name.wire());
    message.extend_from_slice(&RrType::TSIG.0.to_be_bytes());
    message.extend_from_slice(&Class::ANY.0.to_be_bytes());
    message.extend_from_slice(&0u32.to_be_bytes());
    message.extend_from_slice(&u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
    message.extend_from_slice(&data);
    set_additional_count(message, 1);
    mac
}

/// Checks replies to one signed query; of a transfer it follows the whole stream.
#[derive(Debug)]
pub struct Verifier {
    key: Key,
    prior_mac: Vec<u8>,
    first: bool,
    /// Messages since the last signed one (RFC 8945 section 5.3.1).
    unsigned: Vec<u8>,
}

impl Verifier {
    /// For the reply to a query signed with `key`, whose MAC was `request_mac`.
    pub fn new(key: Key, request_mac: Vec<u8>) -> Verifier {
        Verifier { key, prior_mac: request_mac, first: true, unsigned: Vec::new() }
    }

    /// Checks the next message of the reply. Within a transfer a message without TSIG is taken on credit
    /// until the next signed one.
    ///
    /// # Errors
    /// Says why the message is not to be believed.
    pub fn check(&mut self, message: &Message, now: u64) -> Result<(), TsigError> {
        let Some(record) = message.tsig() else {
            if self.first {
                return Err(TsigError::Missing);
            }
            self.unsigned.extend_from_slice(&message.bytes);
            return Ok(());
        };
        let fields = Fields::read(message, record.rdata.start).ok_or(TsigError::Malformed)?;
        let at = message.records.len().checked_sub(2).and_then(|at| message.records.get(at));
        let start = at.map_or_else(|| after_questions(message), |before| before.rdata.end);
        if record.owner != self.key.name || fields.algorithm != self.key.algorithm.name() {
            return Err(TsigError::BadKey);
        }
        if fields.error != 0 && fields.mac.is_empty() {
            return Err(TsigError::Server(Rcode(fields.error)));
        }

        let mut stripped = message.bytes.get(..start).unwrap_or_default().to_vec();
        if let Some(id) = stripped.get_mut(..2) {
            id.copy_from_slice(&fields.original_id.to_be_bytes());
        }
        set_additional_count(&mut stripped, -1);
        let prior_length = u16::try_from(self.prior_mac.len()).unwrap_or(0).to_be_bytes();
        let tail = if self.first {
            variables(&self.key, fields.time, fields.fudge, fields.error, &fields.other)
        } else {
            timers(fields.time, fields.fudge)
        };
        let full = self
            .key
            .algorithm
            .mac(&self.key.secret, &[&prior_length, &self.prior_mac, &self.unsigned, &stripped, &tail]);
        let least = self.key.algorithm.kept(full.len()).max(10);
        let given = fields.mac.as_slice();
        if given.len() < least || full.get(..given.len()).is_none_or(|own| !equal(own, given)) {
            return Err(TsigError::BadSignature);
        }
        if fields.error != 0 {
            return Err(TsigError::Server(Rcode(fields.error)));
        }
        if now.abs_diff(fields.time) > u64::from(fields.fudge) {
            return Err(TsigError::BadTime);
        }
        self.prior_mac = fields.mac;
        self.first = false;
        self.unsigned.clear();
        Ok(())
    }
}

/// The data of a TSIG record (section 4.2).
struct Fields {
    algorithm: Name,
    time: u64,
    fudge: u16,
    mac: Vec<u8>,
    original_id: u16,
    error: u16,
    other: Vec<u8>,
}

impl Fields {
    fn read(message: &Message, start: usize) -> Option<Fields> {
        let (algorithm, at) = Name::decode(&message.bytes, start).ok()?;
        let mut cursor = Cursor::at(&message.bytes, at);
        let time = cursor.u48()?;
        let fudge = cursor.u16()?;
        let mac_length = cursor.u16()?;
        let mac = cursor.take(usize::from(mac_length))?.to_vec();
        let original_id = cursor.u16()?;
        let error = cursor.u16()?;
        let other_length = cursor.u16()?;
        let other = cursor.take(usize::from(other_length))?.to_vec();
        Some(Fields { algorithm, time, fudge, mac, original_id, error, other })
    }
}

fn after_questions(message: &Message) -> usize {
    let mut at = 12;
    for _ in &message.questions {
        at = Name::decode(&message.bytes, at).map_or(at, |(_, after)| after + 4);
    }
    at
}

/// TSIG variables as digested (section 4.3.3).
fn variables(key: &Key, time: u64, fudge: u16, error: u16, other: &[u8]) -> Vec<u8> {
    let mut out = key.name.to_lowercase().wire().to_vec();
    out.extend_from_slice(&Class::ANY.0.to_be_bytes());
    out.extend_from_slice(&0u32.to_be_bytes());
    out.extend_from_slice(key.algorithm.name().wire());
    out.extend_from_slice(&timers(time, fudge));
    out.extend_from_slice(&error.to_be_bytes());
    out.extend_from_slice(&u16::try_from(other.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(other);
    out
}

fn timers(time: u64, fudge: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(8);
    push_u48(&mut out, time);
    out.extend_from_slice(&fudge.to_be_bytes());
    out
}

fn push_u48(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_be_bytes().into_iter().skip(2));
}

fn set_additional_count(message: &mut [u8], change: i16) {
    if let Some([high, low]) = message.get_mut(10..12) {
        let count = u16::from_be_bytes([*high, *low]).wrapping_add_signed(change);
        [*high, *low] = count.to_be_bytes();
    }
}

/// Comparison whose time does not depend on where the difference lies.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Query, Question};

    fn key(algorithm: &str) -> Key {
        Key { name: Name::parse("k.").unwrap(), algorithm: algorithm.parse().unwrap(), secret: b"secret".to_vec() }
    }

    fn query() -> Vec<u8> {
        let question = Question { name: Name::parse("a.b").unwrap(), rtype: RrType::A, class: Class::IN };
        Query::new(1, question).encode()
    }

    /// Signs as a server would: the request's MAC goes into the digest first.
    fn reply(key: &Key, request_mac: &[u8], now: u64) -> Vec<u8> {
        let mut message = query();
        let variables = variables(key, now, 300, 0, &[]);
        let length = u16::try_from(request_mac.len()).unwrap().to_be_bytes();
        let mac = key.algorithm.mac(&key.secret, &[&length, request_mac, &message, &variables]);
        let at = message.len();
        sign(&mut message, key, now, 300);
        let place = at + key.name.wire().len() + 10 + key.algorithm.name().wire().len() + 10;
        message[place..place + mac.len()].copy_from_slice(&mac);
        message
    }

    #[test]
    fn algorithms() {
        assert_eq!("HMAC-SHA256".parse(), Ok(Algorithm { hash: Hash::Sha256, bits: None }));
        assert_eq!("hmac-sha256-128".parse(), Ok(Algorithm { hash: Hash::Sha256, bits: Some(128) }));
        assert_eq!("hmac-sha256-64".parse::<Algorithm>(), Err(UnknownMnemonic));
        assert_eq!("hmac-sha256-264".parse::<Algorithm>(), Err(UnknownMnemonic));
        assert_eq!("hmac-md5.sig-alg.reg.int".parse(), Ok(Algorithm { hash: Hash::Md5, bits: None }));
    }

    #[test]
    fn hmac_of_rfc_4231_case_2() {
        let mac = key("hmac-sha256").algorithm.mac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(netkit_core::text::hex(&mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_reply_is_believed_only_when_nothing_was_touched() {
        for algorithm in ["hmac-md5", "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"] {
            let key = key(algorithm);
            let request_mac = sign(&mut query(), &key, 1000, 300);
            let good = reply(&key, &request_mac, 1000);
            let check = |bytes: &[u8], now| {
                let message = Message::decode(bytes.to_vec()).unwrap();
                Verifier::new(key.clone(), request_mac.clone()).check(&message, now)
            };
            assert_eq!(check(&good, 1200), Ok(()));
            assert_eq!(check(&good, 1301), Err(TsigError::BadTime));
            let mut bad = good.clone();
            bad[13] ^= 1;
            assert_eq!(check(&bad, 1000), Err(TsigError::BadSignature));
            assert_eq!(check(&query(), 1000), Err(TsigError::Missing));
        }
    }
}
