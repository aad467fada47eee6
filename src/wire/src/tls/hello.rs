//! ClientHellos made by hand (RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2; RFC 6101, section 5.6.1.2).

use super::extension;

/// The generator of P-256 (SEC 2, section 2.4.2): a valid share of which nobody here needs the secret.
const P256: &[u8] = &[
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03,
    0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe,
    0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce,
    0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];
/// Octets of an encapsulation key of ML-KEM-768 (FIPS 203, table 3); zeros are one.
const MLKEM768: usize = 1184;

/// A hello. What is empty or false is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientHello<'a> {
    /// Version in the old field.
    pub version: u16,
    /// Versions in the extension that TLS 1.3 brought.
    pub versions: &'a [u16],
    /// Random value; of the session identifier and the key shares too, of which nobody computes a secret.
    pub random: [u8; 32],
    /// Whether a session identifier is sent although there is no session (RFC 8446, appendix D.4).
    pub session_id: bool,
    /// Suites, most wanted first.
    pub suites: &'a [u16],
    /// Compression methods; empty stands for `NULL` alone.
    pub compression: &'a [u8],
    /// Names of the host (RFC 6066, section 3).
    pub names: &'a [&'a str],
    /// Protocols (RFC 7301).
    pub alpn: &'a [&'a str],
    /// Groups (RFC 7919, RFC 8422).
    pub groups: &'a [u16],
    /// Signature schemes.
    pub schemes: &'a [u16],
    /// Signature schemes of certificates, when they are others.
    pub certificate_schemes: &'a [u16],
    /// Groups with a key share, which may be none; `None` leaves out the extension. x25519, secp256r1 and
    /// X25519MLKEM768 are known.
    pub shares: Option<&'a [u16]>,
    /// Ask for a staple, a ticket, the extended master secret and MAC behind encryption.
    pub asks: bool,
    /// Further extensions, as number and content.
    pub extra: &'a [(u16, &'a [u8])],
    /// Fill the handshake message up to that many octets (RFC 7685).
    pub length: usize,
    /// No extension at all.
    pub bare: bool,
}

/// Appends something with its length before it, in `width` octets.
fn counted(out: &mut Vec<u8>, width: usize, write: &mut dyn FnMut(&mut Vec<u8>)) {
    let at = out.len();
    out.resize(at + width, 0);
    write(out);
    let length = (out.len() - at - width).to_be_bytes();
    if let (Some(place), Some(low)) = (out.get_mut(at..at + width), length.get(length.len() - width..)) {
        place.copy_from_slice(low);
    }
}

fn one(out: &mut Vec<u8>, number: u16, write: &mut dyn FnMut(&mut Vec<u8>)) {
    out.extend(number.to_be_bytes());
    counted(out, 2, write);
}

/// A list of numbers behind its length.
fn list(out: &mut Vec<u8>, width: usize, numbers: &[u16]) {
    counted(out, width, &mut |out| {
        for number in numbers {
            out.extend(number.to_be_bytes());
        }
    });
}

impl ClientHello<'_> {
    /// The handshake message.
    pub fn message(&self) -> Vec<u8> {
        let plain = self.filled(None);
        match self.length.checked_sub(plain.len() + 4) {
            Some(zeros) if !self.bare => self.filled(Some(zeros.min(0xf000))),
            _ => plain,
        }
    }

    fn filled(&self, padding: Option<usize>) -> Vec<u8> {
        let mut out = vec![1];
        counted(&mut out, 3, &mut |out| {
            out.extend(self.version.to_be_bytes());
            out.extend(self.random);
            let session: &[u8] = if self.session_id { &self.random } else { &[] };
            counted(out, 1, &mut |out| out.extend(session.iter().rev()));
            list(out, 2, self.suites);
            let compression = if self.compression.is_empty() { &[0][..] } else { self.compression };
            counted(out, 1, &mut |out| out.extend(compression));
            if !self.bare {
                counted(out, 2, &mut |out| self.extensions(out, padding));
            }
        });
        out
    }

    fn extensions(&self, out: &mut Vec<u8>, padding: Option<usize>) {
        if !self.names.is_empty() {
            one(out, extension::SERVER_NAME, &mut |out| {
                counted(out, 2, &mut |out| {
                    for name in self.names {
                        out.push(0);
                        counted(out, 2, &mut |out| out.extend(name.as_bytes()));
                    }
                });
            });
        }
        one(out, extension::RENEGOTIATION_INFO, &mut |out| out.push(0));
        if !self.groups.is_empty() {
            one(out, extension::SUPPORTED_GROUPS, &mut |out| list(out, 2, self.groups));
            one(out, extension::EC_POINT_FORMATS, &mut |out| out.extend([1, 0]));
        }
        if !self.schemes.is_empty() {
            one(out, extension::SIGNATURE_ALGORITHMS, &mut |out| list(out, 2, self.schemes));
        }
        if !self.certificate_schemes.is_empty() {
            one(out, extension::SIGNATURE_ALGORITHMS_CERT, &mut |out| list(out, 2, self.certificate_schemes));
        }
        if !self.alpn.is_empty() {
            one(out, extension::ALPN, &mut |out| {
                counted(out, 2, &mut |out| {
                    for name in self.alpn {
                        counted(out, 1, &mut |out| out.extend(name.as_bytes()));
                    }
                });
            });
        }
        if self.asks {
            // OCSP, no responder named, no extension of the request (RFC 6066, section 8).
            one(out, extension::STATUS_REQUEST, &mut |out| out.extend([1, 0, 0, 0, 0]));
            for empty in [
                extension::SESSION_TICKET,
                extension::EXTENDED_MASTER_SECRET,
                extension::ENCRYPT_THEN_MAC,
                extension::SIGNED_CERTIFICATE_TIMESTAMP,
            ] {
                one(out, empty, &mut |_| {});
            }
        }
        if !self.versions.is_empty() {
            one(out, extension::SUPPORTED_VERSIONS, &mut |out| list(out, 1, self.versions));
            // psk_dhe_ke, without which some give no ticket (RFC 8446, section 4.2.9).
            one(out, extension::PSK_KEY_EXCHANGE_MODES, &mut |out| out.extend([1, 1]));
        }
        if let Some(shares) = self.shares {
            one(out, extension::KEY_SHARE, &mut |out| {
                counted(out, 2, &mut |out| {
                    shares.iter().for_each(|group| one(out, *group, &mut |out| self.share(out, *group)))
                });
            });
        }
        for (number, content) in self.extra {
            one(out, *number, &mut |out| out.extend(*content));
        }
        if let Some(zeros) = padding {
            one(out, extension::PADDING, &mut |out| out.resize(out.len() + zeros, 0));
        }
    }

    fn share(&self, out: &mut Vec<u8>, group: u16) {
        match group {
            0x0017 => out.extend(P256),
            // Any 32 octets are a point of Curve25519 (RFC 7748, section 5).
            0x11ec => {
                out.resize(out.len() + MLKEM768, 0);
                out.extend(self.random);
            }
            _ => out.extend(self.random),
        }
    }
}

/// The message in records of that version, cut into pieces of the given lengths; what is left goes into the last.
pub fn records(message: &[u8], version: u16, cuts: &[usize]) -> Vec<u8> {
    const LIMIT: usize = 1 << 14;
    let mut out = Vec::with_capacity(message.len() + 5);
    let mut rest = message;
    let mut cuts = cuts.iter();
    while !rest.is_empty() {
        let length = cuts.next().copied().unwrap_or(LIMIT).clamp(1, LIMIT).min(rest.len());
        let (piece, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        out.push(22);
        out.extend(version.to_be_bytes());
        counted(&mut out, 2, &mut |out| out.extend(piece));
        rest = behind;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::version;

    #[test]
    fn the_shortest_hello() {
        let hello =
            ClientHello { version: version::SSL3, suites: &[0x000a, 0x0005], bare: true, ..ClientHello::default() };
        let mut wanted = vec![1, 0, 0, 43, 3, 0];
        wanted.extend([0u8; 32]);
        wanted.extend([0, 0, 4, 0, 10, 0, 5, 1, 0]);
        assert_eq!(hello.message(), wanted);
        let records = records(&wanted, version::SSL3, &[4]);
        assert_eq!(records.get(..14), Some(&[22, 3, 0, 0, 4, 1, 0, 0, 43, 22, 3, 0, 0, 43][..]));
    }

    #[test]
    fn lengths_are_kept() {
        let hello = ClientHello {
            version: version::TLS12,
            versions: &[version::TLS13],
            session_id: true,
            suites: &[0x1301],
            names: &["a.example", "b.example"],
            alpn: &["h2", "http/1.1"],
            groups: &[0x1d, 0x17],
            schemes: &[0x0403],
            certificate_schemes: &[0x0401],
            shares: Some(&[0x1d, 0x17, 0x11ec]),
            asks: true,
            extra: &[(0x0a0a, &[0])],
            length: 5000,
            ..ClientHello::default()
        };
        let message = hello.message();
        assert_eq!(message.len(), 5000);
        // The length of the message, then of the extensions, each element to the end.
        assert_eq!(message.get(1..4), Some(&[0, 0x13, 0x84][..]));
        let mut cursor = crate::cursor::Cursor::at(&message, 4 + 2 + 32);
        assert_eq!(cursor.counted().map(<[u8]>::len), Some(32));
        let suites = cursor.u16().unwrap();
        assert_eq!((suites, cursor.take(2), cursor.counted()), (2, Some(&[0x13, 1][..]), Some(&[0][..])));
        assert_eq!(usize::from(cursor.u16().unwrap()), cursor.left());
        let mut seen = Vec::new();
        while let Some(number) = cursor.u16() {
            let length = cursor.u16().unwrap();
            cursor.take(usize::from(length)).unwrap();
            seen.push(number);
        }
        assert_eq!(seen, [0, 0xff01, 10, 11, 13, 50, 16, 5, 35, 23, 22, 18, 43, 45, 51, 0x0a0a, 21]);
    }
}
