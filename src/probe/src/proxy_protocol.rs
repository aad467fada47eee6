//! The PROXY protocol, versions 1 and 2: a header in front of a stream that says who is really at the other end
//! (HAProxy's specification of 2020, sections 2.1 and 2.2).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which of the two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Source and destination of the original connection.
    Proxied {
        /// The client.
        source: SocketAddr,
        /// What it connected to.
        destination: SocketAddr,
    },
    /// The proxy speaks for itself (`LOCAL`), or does not know (`UNKNOWN`, a family we do not show).
    Unknown,
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Header::Proxied { source, destination } => write!(f, "{source} -> {destination}"),
            Header::Unknown => f.write_str("unknown"),
        }
    }
}

/// Why the head of a stream is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin like one.
    NoHeader,
    /// It begins like one and then breaks the rules; in words.
    Malformed(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoHeader => f.write_str("the stream does not begin with a PROXY protocol header"),
            Fault::Malformed(why) => write!(f, "PROXY protocol header: {why}"),
        }
    }
}

impl std::error::Error for Fault {}

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1, with its end (section 2.1).
const MAX_V1: usize = 107;
/// Longest header of version 2 that is taken; the length field would allow 65,551.
const MAX_V2: usize = 4_096;
/// More bytes than this never stand before a decision.
pub const MAX_HEADER: usize = MAX_V2;

impl Header {
    /// Its bytes. Addresses of two families are written as IPv6, with the IPv4 one mapped.
    pub fn encode(&self, version: Version) -> Vec<u8> {
        let pair = match self {
            Header::Unknown => None,
            Header::Proxied { source, destination } => Some((*source, *destination)),
        };
        match version {
            Version::V1 => match pair.map(same_family) {
                None => b"PROXY UNKNOWN\r\n".to_vec(),
                Some((source, destination)) => {
                    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
                    let (from, to) = (source.ip(), destination.ip());
                    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
                }
            },
            Version::V2 => {
                let mut bytes = SIGNATURE.to_vec();
                match pair.map(same_family) {
                    // LOCAL, unspecified, nothing follows.
                    None => bytes.extend_from_slice(&[0x20, 0, 0, 0]),
                    Some((source, destination)) => {
                        let (family, length) = if source.is_ipv4() { (0x11, 12) } else { (0x21, 36) };
                        bytes.extend_from_slice(&[0x21, family, 0, length]);
                        for address in [source.ip(), destination.ip()] {
                            match address {
                                IpAddr::V4(v4) => bytes.extend_from_slice(&v4.octets()),
                                IpAddr::V6(v6) => bytes.extend_from_slice(&v6.octets()),
                            }
                        }
                        bytes.extend_from_slice(&source.port().to_be_bytes());
                        bytes.extend_from_slice(&destination.port().to_be_bytes());
                    }
                }
                bytes
            }
        }
    }

    /// Reads the head of a stream: the header and its length in bytes, or `None` while more bytes are needed.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn decode(bytes: &[u8]) -> Result<Option<(Header, usize)>, Fault> {
        if let Some(rest) = bytes.strip_prefix(SIGNATURE) {
            return decode_v2(rest);
        }
        if let Some(rest) = bytes.strip_prefix(b"PROXY ") {
            return decode_v1(rest);
        }
        let begins = |form: &[u8]| form.starts_with(bytes);
        if begins(SIGNATURE) || begins(b"PROXY ") { Ok(None) } else { Err(Fault::NoHeader) }
    }
}

fn same_family((source, destination): (SocketAddr, SocketAddr)) -> (SocketAddr, SocketAddr) {
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    (mapped(source), mapped(destination))
}

fn decode_v1(rest: &[u8]) -> Result<Option<(Header, usize)>, Fault> {
    const PREFIX: usize = 6;
    let within = rest.get(..MAX_V1 - PREFIX).unwrap_or(rest);
    let Some(end) = within.windows(2).position(|pair| pair == b"\r\n") else {
        let more = rest.len() < MAX_V1 - PREFIX;
        return if more { Ok(None) } else { Err(Fault::Malformed("the line does not end within 107 bytes")) };
    };
    let line = within.get(..end).unwrap_or_default();
    let text = std::str::from_utf8(line).map_err(|_| Fault::Malformed("not text"))?;
    let whole = PREFIX + end + 2;
    let mut words = text.split(' ');
    let family = words.next().unwrap_or("");
    if family == "UNKNOWN" {
        return Ok(Some((Header::Unknown, whole)));
    }
    let mut address = || -> Result<IpAddr, Fault> {
        let word = words.next().ok_or(Fault::Malformed("an address is missing"))?;
        let parsed = match family {
            "TCP4" => word.parse::<Ipv4Addr>().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().map(IpAddr::V6),
            _ => return Err(Fault::Malformed("neither TCP4 nor TCP6 nor UNKNOWN")),
        };
        parsed.map_err(|_| Fault::Malformed("not an address of the family announced"))
    };
    let (from, to) = (address()?, address()?);
    let mut port = || -> Result<u16, Fault> {
        let word = words.next().ok_or(Fault::Malformed("a port is missing"))?;
        let plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = word.len() > 1 && word.starts_with('0');
        let parsed = if plain && !leading_zero { word.parse().ok() } else { None };
        parsed.ok_or(Fault::Malformed("not a port"))
    };
    let (from_port, to_port) = (port()?, port()?);
    if words.next().is_some() {
        return Err(Fault::Malformed("more words than there should be"));
    }
    let header =
        Header::Proxied { source: SocketAddr::new(from, from_port), destination: SocketAddr::new(to, to_port) };
    Ok(Some((header, whole)))
}

fn decode_v2(rest: &[u8]) -> Result<Option<(Header, usize)>, Fault> {
    const FIXED: usize = 16;
    if let Some(byte) = rest.first()
        && !matches!(byte, 0x20 | 0x21)
    {
        return Err(Fault::Malformed("neither LOCAL nor PROXY of version 2"));
    }
    let Some(&[command, family, high, low]) = rest.first_chunk::<4>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if FIXED + length > MAX_V2 {
        return Err(Fault::Malformed("longer than 4096 bytes"));
    }
    let Some(body) = rest.get(4..4 + length) else { return Ok(None) };
    let whole = FIXED + length;
    if command == 0x20 {
        return Ok(Some((Header::Unknown, whole)));
    }
    let short = Fault::Malformed("shorter than its addresses");
    let header = match family {
        0x11 | 0x12 => {
            let [a, b, c, d, e, f, g, h, ports @ ..] = body.first_chunk::<12>().ok_or(short)?;
            let (from, to) = (Ipv4Addr::new(*a, *b, *c, *d), Ipv4Addr::new(*e, *f, *g, *h));
            proxied(from.into(), to.into(), *ports)
        }
        0x21 | 0x22 => {
            let (from, rest) = body.split_first_chunk::<16>().ok_or(short)?;
            let (to, rest) = rest.split_first_chunk::<16>().ok_or(short)?;
            let ports = rest.first_chunk::<4>().ok_or(short)?;
            proxied(Ipv6Addr::from(*from).into(), Ipv6Addr::from(*to).into(), *ports)
        }
        _ => Header::Unknown,
    };
    Ok(Some((header, whole)))
}

fn proxied(from: IpAddr, to: IpAddr, [a, b, c, d]: [u8; 4]) -> Header {
    Header::Proxied {
        source: SocketAddr::new(from, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(to, u16::from_be_bytes([c, d])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_line() {
        let bytes = b"PROXY TCP4 10.0.0.1 10.0.0.2 40000 80\r\nGET";
        let (header, length) = Header::decode(bytes).unwrap().unwrap();
        assert_eq!((header.to_string().as_str(), length), ("10.0.0.1:40000 -> 10.0.0.2:80", bytes.len() - 3));
        assert_eq!(header.encode(Version::V1), &bytes[..length]);
        assert_eq!(Header::decode(b"PROXY UNKNOWN a b\r\n").unwrap().unwrap().0, Header::Unknown);
        assert_eq!(Header::decode(b"GET /"), Err(Fault::NoHeader));
        for bad in [
            "TCP4 ::1 ::1 1 2",
            "TCP4 1.2.3.4",
            "TCP4 1.2.3.4 1.2.3.4 1",
            "TCP4 1.2.3.4 1.2.3.4 01 2",
            "UDP4 x",
            "TCP4 1.2.3.4 1.2.3.4 1 99999",
            "TCP4 1.2.3.4 1.2.3.4 1 2 3",
        ] {
            let line = format!("PROXY {bad}\r\n");
            assert!(matches!(Header::decode(line.as_bytes()), Err(Fault::Malformed(_))), "{bad}");
        }
        assert!(Header::decode(&[b"PROXY ".as_slice(), &[b'x'; 200]].concat()).is_err());
    }

    #[test]
    fn the_binary_form_with_a_tlv_behind() {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend_from_slice(&[0x21, 0x11, 0, 16, 10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 80, 4, 0, 1, 9]);
        bytes.extend_from_slice(b"GET");
        let (header, length) = Header::decode(&bytes).unwrap().unwrap();
        assert_eq!((header.to_string().as_str(), length), ("10.0.0.1:1 -> 10.0.0.2:80", 32));
        bytes[15] = 8;
        assert!(Header::decode(&bytes).is_err());
        bytes[14] = 0xff;
        assert!(Header::decode(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(v4: (u32, u16, u32, u16), v6: (u128, u16, u128, u16), second: bool, mixed: bool) {
            let four = |a: u32, p| SocketAddr::new(Ipv4Addr::from(a).into(), p);
            let six = |a: u128, p| SocketAddr::new(Ipv6Addr::from(a).into(), p);
            let source = if second { six(v6.0, v6.1) } else { four(v4.0, v4.1) };
            let destination = if second != mixed { six(v6.2, v6.3) } else { four(v4.2, v4.3) };
            for version in [Version::V1, Version::V2] {
                for header in [Header::Proxied { source, destination }, Header::Unknown] {
                    let bytes = header.encode(version);
                    let (read, length) = Header::decode(&bytes).unwrap().unwrap();
                    prop_assert_eq!(length, bytes.len());
                    if !mixed {
                        prop_assert_eq!(read, header);
                    }
                    for cut in 0..bytes.len() {
                        prop_assert_eq!(Header::decode(&bytes[..cut]), Ok(None));
                    }
                }
            }
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), form in 0..3) {
            let head: &[u8] = match form { 0 => SIGNATURE, 1 => b"PROXY TCP4 ", _ => b"" };
            let bytes = [head, &bytes].concat();
            if let Ok(Some((_, length))) = Header::decode(&bytes) {
                prop_assert!(length <= bytes.len() && length <= MAX_HEADER);
            }
        }
    }
}
