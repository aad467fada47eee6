//! What a server answers to a hello, as far as it is in the clear: records, the messages in them, alerts, and whatever
//! else comes when it is no TLS at all. Fed piece by piece; hostile.

use super::suites::Suite;
use super::{Exchange, extension, version};
use crate::cursor::Cursor;

/// Longest record (RFC 5246, section 6.2.3): what is encrypted may be longer than what is not.
const MAX_RECORD: usize = (1 << 14) + 2048;
/// Longest message that is put together, and most octets of a flight.
const MAX_FLIGHT: usize = 256 << 10;
/// Octets kept of the beginning, for those who do not speak TLS.
const KEPT: usize = 64;
/// Most certificates and names that are kept.
const MAX_ITEMS: usize = 1000;
/// The random value that makes a ServerHello a HelloRetryRequest (RFC 8446, section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Record types.
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// ServerHello or HelloRetryRequest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// The version agreed on, from the extension where there is one.
    pub version: u16,
    /// The suite agreed on.
    pub suite: u16,
    /// The compression agreed on.
    pub compression: u8,
    /// Whether this is a HelloRetryRequest.
    pub is_retry: bool,
    /// Whether a session identifier came.
    pub has_session: bool,
    /// Extensions as number and content.
    pub extensions: Vec<(u16, Vec<u8>)>,
    /// Group of the key share, or the one wanted.
    pub group: Option<u16>,
}

impl ServerHello {
    /// Reads the body of the message.
    pub fn read(body: &[u8]) -> Option<ServerHello> {
        let mut cursor = Cursor::new(body);
        let mut out = ServerHello { version: cursor.u16()?, ..ServerHello::default() };
        out.is_retry = cursor.take(32)? == RETRY;
        out.has_session = !cursor.counted()?.is_empty();
        out.suite = cursor.u16()?;
        out.compression = cursor.u8()?;
        if cursor.left() > 0 {
            let length = cursor.u16()?;
            let mut inner = Cursor::new(cursor.take(usize::from(length))?);
            while inner.left() > 0 {
                let (number, length) = (inner.u16()?, inner.u16()?);
                let content = inner.take(usize::from(length))?;
                match (number, content) {
                    (extension::SUPPORTED_VERSIONS, [high, low]) => out.version = u16::from_be_bytes([*high, *low]),
                    (extension::KEY_SHARE, [high, low, ..]) => out.group = Some(u16::from_be_bytes([*high, *low])),
                    _ => {}
                }
                out.extensions.push((number, content.to_vec()));
            }
        }
        Some(out)
    }

    /// The content of an extension.
    pub fn extension(&self, number: u16) -> Option<&[u8]> {
        self.extensions.iter().find(|(one, _)| *one == number).map(|(_, content)| content.as_slice())
    }

    /// The protocol agreed on (RFC 7301).
    pub fn alpn(&self) -> Option<String> {
        let mut cursor = Cursor::new(self.extension(extension::ALPN)?);
        cursor.u16()?;
        cursor.counted().map(|name| String::from_utf8_lossy(name).into_owned())
    }
}

/// The server's part of the key exchange before TLS 1.3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyExchange {
    /// Named curve.
    pub group: Option<u16>,
    /// Length of the prime, in bits.
    pub prime_bits: Option<u32>,
    /// Length of the short RSA modulus, in bits.
    pub modulus_bits: Option<u32>,
    /// Scheme of the signature, since TLS 1.2.
    pub scheme: Option<u16>,
    /// The hint of a pre-shared key.
    pub hint: Option<Vec<u8>>,
}

/// Bits of a number in network order.
fn bits(number: &[u8]) -> u32 {
    let from = number.iter().position(|octet| *octet != 0).unwrap_or(number.len());
    let digits = number.get(from..).unwrap_or_default();
    let top = digits.first().map_or(0, |first| 8 - first.leading_zeros());
    u32::try_from(digits.len().saturating_sub(1)).unwrap_or(0) * 8 + top
}

impl KeyExchange {
    /// Reads the body of the message, as that suite and version have it.
    pub fn read(body: &[u8], suite: u16, agreed: u16) -> Option<KeyExchange> {
        let exchange = Suite::of(suite).map_or(Exchange::None, |suite| suite.exchange());
        let mut cursor = Cursor::new(body);
        let mut out = KeyExchange::default();
        let long = |cursor: &mut Cursor<'_>| -> Option<u32> {
            let length = cursor.u16()?;
            cursor.take(usize::from(length)).map(bits)
        };
        if matches!(exchange, Exchange::Psk | Exchange::EcdhePsk | Exchange::DhePsk) {
            let length = cursor.u16()?;
            out.hint = Some(cursor.take(usize::from(length))?.to_vec());
        }
        match exchange {
            Exchange::Ecdhe | Exchange::EcdheAnonymous | Exchange::EcdhePsk => {
                const NAMED_CURVE: u8 = 3;
                if cursor.u8()? != NAMED_CURVE {
                    return Some(out);
                }
                out.group = cursor.u16();
                cursor.counted()?;
            }
            Exchange::Dhe | Exchange::DheAnonymous | Exchange::DhePsk => {
                out.prime_bits = long(&mut cursor);
                long(&mut cursor)?;
                long(&mut cursor)?;
            }
            Exchange::RsaExport => {
                out.modulus_bits = long(&mut cursor);
                long(&mut cursor)?;
            }
            Exchange::None | Exchange::Psk => return Some(out),
        }
        if agreed >= version::TLS12 && matches!(exchange, Exchange::Ecdhe | Exchange::Dhe) {
            out.scheme = cursor.u16();
        }
        Some(out)
    }
}

/// What the server wants of the client's certificate, before TLS 1.3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateRequest {
    /// Signature schemes it takes, since TLS 1.2.
    pub schemes: Vec<u16>,
    /// Names of authorities in DER.
    pub authorities: Vec<Vec<u8>>,
}

impl CertificateRequest {
    /// Reads the body of the message (RFC 5246, section 7.4.4).
    pub fn read(body: &[u8], agreed: u16) -> Option<CertificateRequest> {
        let mut cursor = Cursor::new(body);
        let mut out = CertificateRequest::default();
        cursor.counted()?;
        if agreed >= version::TLS12 {
            let length = cursor.u16()?;
            let schemes = cursor.take(usize::from(length))?;
            out.schemes =
                schemes.chunks_exact(2).map(|two| two.iter().fold(0, |sum, one| sum << 8 | u16::from(*one))).collect();
        }
        let length = cursor.u16()?;
        let mut names = Cursor::new(cursor.take(usize::from(length))?);
        while names.left() > 0 && out.authorities.len() < MAX_ITEMS {
            let length = names.u16()?;
            out.authorities.push(names.take(usize::from(length))?.to_vec());
        }
        Some(out)
    }
}

/// Why nothing more can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The first octets are not those of a record.
    NotTls,
    /// A record or message that breaks the rules, by its name.
    Malformed(&'static str),
    /// More than any server has to say.
    TooLong,
}

/// A server's flight, read as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Flight {
    records: Vec<u8>,
    messages: Vec<u8>,
    total: usize,
    /// The first octets.
    pub first: Vec<u8>,
    /// ServerHello or HelloRetryRequest.
    pub hello: Option<ServerHello>,
    /// Certificates in DER, the server's own first.
    pub certificates: Vec<Vec<u8>>,
    /// The OCSP response in DER.
    pub staple: Option<Vec<u8>>,
    /// The server's part of the key exchange.
    pub exchange: Option<KeyExchange>,
    /// Whether and how a certificate of the client is wanted.
    pub request: Option<CertificateRequest>,
    /// Lifetime of a ticket in seconds (RFC 5077, section 3.3).
    pub ticket: Option<u32>,
    /// ServerHelloDone has come.
    pub is_done: bool,
    /// Level and description of the alert that ends all.
    pub alert: Option<(u8, u8)>,
    /// Description of an alert that is a warning, as some send before their hello for a name they do not know.
    pub warning: Option<u8>,
    /// What follows is encrypted.
    pub is_encrypted: bool,
    /// Why nothing more can be read.
    pub trouble: Option<Trouble>,
}

impl Flight {
    /// Nothing more that matters can come.
    pub fn is_over(&self) -> bool {
        self.is_done || self.is_encrypted || self.alert.is_some() || self.trouble.is_some() || self.is_tls13()
    }

    /// A hello of TLS 1.3, behind which all is encrypted.
    fn is_tls13(&self) -> bool {
        self.hello.as_ref().is_some_and(|hello| hello.version >= version::TLS13 || hello.is_retry)
    }

    /// Takes what the server sent.
    pub fn feed(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.first.len()).min(bytes.len());
        self.first.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.total = self.total.saturating_add(bytes.len());
        if self.total > MAX_FLIGHT {
            self.trouble.get_or_insert(Trouble::TooLong);
        }
        if self.is_over() {
            return;
        }
        self.records.extend_from_slice(bytes);
        let mut at = 0;
        while !self.is_over() {
            let mut cursor = Cursor::at(&self.records, at);
            let Some(kind) = cursor.u8() else { break };
            // A record begins with a type and the version's first octet, 3.
            let major = cursor.u8();
            if !(CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind) || major.is_some_and(|major| major != 3) {
                self.trouble = Some(if at == 0 && self.hello.is_none() && self.messages.is_empty() {
                    Trouble::NotTls
                } else {
                    Trouble::Malformed("record")
                });
                break;
            }
            let (Some(_), Some(length)) = (cursor.u8(), cursor.u16()) else { break };
            if usize::from(length) > MAX_RECORD {
                self.trouble = Some(Trouble::Malformed("record"));
                break;
            }
            let Some(content) = cursor.take(usize::from(length)).map(<[u8]>::to_vec) else { break };
            at = cursor.position();
            self.record(kind, &content);
        }
        self.records.drain(..at.min(self.records.len()));
    }

    fn record(&mut self, kind: u8, content: &[u8]) {
        match (kind, content) {
            // Level warning, and no close_notify.
            (ALERT, [1, description]) if *description != 0 => self.warning = Some(*description),
            (ALERT, [level, description]) => self.alert = Some((*level, *description)),
            (ALERT, _) => self.trouble = Some(Trouble::Malformed("alert")),
            (HANDSHAKE, _) => {
                self.messages.extend_from_slice(content);
                let mut at = 0;
                while !self.is_over() {
                    let mut cursor = Cursor::at(&self.messages, at);
                    let Some([kind, high, middle, low]) = cursor.array() else { break };
                    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
                    if length > MAX_FLIGHT {
                        self.trouble = Some(Trouble::Malformed("handshake message"));
                        break;
                    }
                    let Some(body) = cursor.take(length).map(<[u8]>::to_vec) else { break };
                    at = cursor.position();
                    if let Err(name) = self.message(kind, &body) {
                        self.trouble = Some(Trouble::Malformed(name));
                    }
                }
                self.messages.drain(..at.min(self.messages.len()));
            }
            _ => self.is_encrypted = true,
        }
    }

    /// Takes a message; the error is its name.
    fn message(&mut self, kind: u8, body: &[u8]) -> Result<(), &'static str> {
        if kind != 2 && kind != 0 && self.hello.is_none() {
            return Err("flight without ServerHello");
        }
        let (suite, agreed) = self.hello.as_ref().map_or((0, 0), |hello| (hello.suite, hello.version));
        match kind {
            2 => self.hello = Some(ServerHello::read(body).ok_or("ServerHello")?),
            4 => self.ticket = Cursor::new(body).u32(),
            11 => self.certificates = certificates(body).ok_or("Certificate")?,
            12 => self.exchange = Some(KeyExchange::read(body, suite, agreed).ok_or("ServerKeyExchange")?),
            13 => self.request = Some(CertificateRequest::read(body, agreed).ok_or("CertificateRequest")?),
            14 => self.is_done = true,
            22 => {
                // status_type ocsp, then the response with its length in three octets.
                let mut cursor = Cursor::new(body);
                let staple = match cursor.u32() {
                    Some(head) if head >> 24 == 1 => cursor.take((head & 0xff_ffff) as usize),
                    _ => None,
                };
                self.staple = Some(staple.ok_or("CertificateStatus")?.to_vec());
            }
            _ => {}
        }
        Ok(())
    }
}

/// The certificates of the message before TLS 1.3.
fn certificates(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let three = |cursor: &mut Cursor<'_>| -> Option<usize> {
        let [high, middle, low] = cursor.array()?;
        Some(u32::from_be_bytes([0, high, middle, low]) as usize)
    };
    let mut cursor = Cursor::new(body);
    let length = three(&mut cursor)?;
    let mut list = Cursor::new(cursor.take(length)?);
    let mut out = Vec::new();
    while list.left() > 0 && out.len() < MAX_ITEMS {
        let length = three(&mut list)?;
        out.push(list.take(length)?.to_vec());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A record around handshake messages.
    fn record(messages: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut inner = Vec::new();
        for (kind, body) in messages {
            inner.push(*kind);
            inner.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
            inner.extend(body);
        }
        let mut out = vec![22, 3, 3];
        out.extend(u16::try_from(inner.len()).unwrap().to_be_bytes());
        out.extend(inner);
        out
    }

    fn hello(suite: u16, extensions: &[u8]) -> Vec<u8> {
        let mut out = vec![3, 3];
        out.extend([7; 32]);
        out.push(0);
        out.extend(suite.to_be_bytes());
        out.push(0);
        out.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        out.extend(extensions);
        out
    }

    #[test]
    fn a_flight_of_tls12() {
        let exchange = [&[3, 0, 0x1d, 2, 1, 2][..], &[8, 4, 0, 1, 9]].concat();
        let request = [&[1, 1][..], &[0, 2, 4, 3], &[0, 6, 0, 4, 0x30, 2, 5, 0]].concat();
        let all = record(&[
            (2, hello(0xc02f, &[0xff, 1, 0, 1, 0, 0, 16, 0, 5, 0, 3, 2, b'h', b'2'])),
            (11, vec![0, 0, 8, 0, 0, 2, 0x30, 0, 0, 0, 0]),
            (22, vec![1, 0, 0, 2, 0x30, 0]),
            (12, exchange),
            (13, request),
            (14, vec![]),
        ]);
        // In one piece, and octet by octet.
        for size in [all.len(), 1] {
            let mut flight = Flight::default();
            all.chunks(size).for_each(|piece| flight.feed(piece));
            let hello = flight.hello.clone().unwrap();
            assert_eq!((hello.version, hello.suite, hello.alpn().as_deref()), (0x0303, 0xc02f, Some("h2")));
            assert_eq!(hello.extension(0xff01), Some(&[0][..]));
            assert_eq!(flight.certificates, [vec![0x30, 0], vec![]]);
            assert_eq!(flight.staple.as_deref(), Some(&[0x30, 0][..]));
            let exchange = flight.exchange.clone().unwrap();
            assert_eq!((exchange.group, exchange.scheme), (Some(0x1d), Some(0x0804)));
            let request = flight.request.clone().unwrap();
            assert_eq!((request.schemes, request.authorities), (vec![0x0403], vec![vec![0x30, 2, 5, 0]]));
            assert!(flight.is_done && flight.is_over() && flight.trouble.is_none());
        }
    }

    #[test]
    fn a_retry_of_tls13() {
        let mut body = hello(0x1301, &[0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0x11, 0xec]);
        body.splice(2..34, RETRY);
        let mut flight = Flight::default();
        flight.feed(&record(&[(2, body)]));
        let hello = flight.hello.clone().unwrap();
        assert_eq!((hello.version, hello.is_retry, hello.group), (version::TLS13, true, Some(0x11ec)));
        assert!(flight.is_over());
    }

    #[test]
    fn whole_numbers_and_short_keys() {
        let dhe = [&[0, 2, 0x80, 1][..], &[0, 1, 2], &[0, 1, 3], &[4, 1, 0, 0]].concat();
        let read = KeyExchange::read(&dhe, 0x009e, version::TLS12).unwrap();
        assert_eq!((read.prime_bits, read.scheme), (Some(16), Some(0x0401)));
        let read = KeyExchange::read(&dhe, 0x0033, version::TLS10).unwrap();
        assert_eq!((read.prime_bits, read.scheme), (Some(16), None));
        let read = KeyExchange::read(&[0, 1, b'x', 0, 2, 1, 0, 0, 1, 2, 0, 1, 3], 0x00aa, version::TLS12).unwrap();
        assert_eq!((read.hint.as_deref(), read.prime_bits), (Some(&b"x"[..]), Some(9)));
        let read = KeyExchange::read(&[0, 2, 1, 0, 0, 1, 3], 0x0003, version::TLS10).unwrap();
        assert_eq!(read.modulus_bits, Some(9));
        assert_eq!(bits(&[0, 0]), 0);
    }

    #[test]
    fn what_is_not_tls() {
        for (bytes, trouble, alert) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], Some(Trouble::NotTls), None),
            (&[22, 5, 0], Some(Trouble::NotTls), None),
            (&[22, 3, 3, 0xff, 0xff], Some(Trouble::Malformed("record")), None),
            (&[21, 3, 3, 0, 2, 2, 70], None, Some((2, 70))),
            (&[21, 3, 3, 0, 1, 2], Some(Trouble::Malformed("alert")), None),
            (&[22, 3, 3, 0, 4, 11, 0, 0, 0], Some(Trouble::Malformed("flight without ServerHello")), None),
            (&[22, 3, 3, 0, 5, 2, 0, 0, 1, 3], Some(Trouble::Malformed("ServerHello")), None),
            (&[22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff], Some(Trouble::Malformed("handshake message")), None),
        ] {
            let mut flight = Flight::default();
            flight.feed(bytes);
            assert_eq!((flight.trouble, flight.alert), (trouble, alert), "{bytes:02x?}");
        }
        let mut flight = Flight::default();
        flight.feed(&[21, 3, 1, 0, 2, 1, 112, 21, 3, 1, 0, 2, 1, 0]);
        assert_eq!((flight.warning, flight.alert), (Some(112), Some((1, 0))));
        let mut flight = Flight::default();
        (0..80).for_each(|_| flight.feed(&[&[22, 3, 3, 0x0f, 0xff][..], &[0; 4095]].concat()));
        assert!(flight.is_over() && flight.messages.len() <= MAX_FLIGHT);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400), size in 1usize..50) {
            for wrapped in [bytes.clone(), [&[22, 3, 3, 1, 0x90][..], &bytes].concat()] {
                let mut flight = Flight::default();
                wrapped.chunks(size).for_each(|piece| flight.feed(piece));
            }
            for suite in [0xc02f, 0x9e, 0xaa, 3, 0x2c] {
                let _ = KeyExchange::read(&bytes, suite, version::TLS12);
            }
            let _ = (ServerHello::read(&bytes), CertificateRequest::read(&bytes, version::TLS12), certificates(&bytes));
        }
    }
}
