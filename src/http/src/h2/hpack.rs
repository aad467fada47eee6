//! Header compression for HTTP/2 (RFC 7541): a full decoder, and an encoder that never fills the peer's table.

use std::collections::VecDeque;
use std::sync::OnceLock;

use crate::failure::{Code, Failure};

/// Name and value.
pub type Pair = (String, String);

/// The static table (RFC 7541, appendix A).
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// Bits of each symbol's code (RFC 7541, appendix B); the code is canonical, so the lengths say all. The last is EOS.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];

/// For each length from 0 to 30: the first code, and the symbols of that length in order.
struct Huffman {
    first: [u32; 31],
    symbols: Vec<Vec<u16>>,
}

fn huffman() -> &'static Huffman {
    static TABLE: OnceLock<Huffman> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut symbols: Vec<Vec<u16>> = vec![Vec::new(); 31];
        for (symbol, length) in (0u16..).zip(LENGTHS) {
            if let Some(row) = symbols.get_mut(usize::from(length)) {
                row.push(symbol);
            }
        }
        let mut first = [0u32; 31];
        let mut code = 0u32;
        for (slot, row) in first.iter_mut().zip(&symbols) {
            code <<= 1;
            *slot = code;
            code += u32::try_from(row.len()).unwrap_or(0);
        }
        Huffman { first, symbols }
    })
}

fn broken(why: &str) -> Failure {
    Failure::new(Code::Http2, format!("HPACK: {why}"))
}

/// Text that was written in the Huffman code.
fn unhuffman(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let table = huffman();
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let (mut code, mut length) = (0u32, 0usize);
    for byte in bytes {
        for shift in (0..8).rev() {
            code = code << 1 | u32::from(byte >> shift & 1);
            length += 1;
            let (Some(first), Some(row)) = (table.first.get(length), table.symbols.get(length)) else {
                return Err(broken("Huffman code too long"));
            };
            if let Some(symbol) = code.checked_sub(*first).and_then(|at| row.get(usize::try_from(at).ok()?)) {
                out.push(u8::try_from(*symbol).map_err(|_| broken("EOS in a string"))?);
                (code, length) = (0, 0);
            }
        }
    }
    // Padding is the beginning of EOS: fewer than eight ones.
    if length > 7 || code != (1u32 << length) - 1 {
        return Err(broken("bad padding"));
    }
    Ok(out)
}

/// The decoder's side of the dynamic table.
#[derive(Debug)]
pub struct Decoder {
    entries: VecDeque<Pair>,
    size: usize,
    limit: usize,
    /// What we allow, in bytes (SETTINGS_HEADER_TABLE_SIZE).
    most: usize,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { entries: VecDeque::new(), size: 0, limit: 4096, most: 4096 }
    }
}

impl Decoder {
    /// Decodes one header block; at most `most` bytes of names and values.
    ///
    /// # Errors
    /// Anything the RFC calls a decoding error, and blocks that unfold too far.
    pub fn decode(&mut self, mut block: &[u8], most: usize) -> Result<Vec<Pair>, Failure> {
        let mut out = Vec::new();
        let mut total = 0usize;
        while let Some(first) = block.first().copied() {
            let pair = if first & 0x80 != 0 {
                let index = integer(&mut block, 7)?;
                self.entry(index)?
            } else if first & 0xe0 == 0x20 {
                let limit = integer(&mut block, 5)?;
                if limit > self.most {
                    return Err(broken("table larger than allowed"));
                }
                self.limit = limit;
                self.evict();
                continue;
            } else {
                let indexed = first & 0x40 != 0;
                let index = integer(&mut block, if indexed { 6 } else { 4 })?;
                let name = if index == 0 { string(&mut block)? } else { self.entry(index)?.0 };
                let pair = (name, string(&mut block)?);
                if indexed {
                    self.size += pair.0.len() + pair.1.len() + 32;
                    self.entries.push_front(pair.clone());
                    self.evict();
                }
                pair
            };
            total += pair.0.len() + pair.1.len() + 32;
            if total > most {
                return Err(Failure::new(Code::TooLarge, "Too large response headers"));
            }
            out.push(pair);
        }
        Ok(out)
    }

    fn entry(&self, index: usize) -> Result<Pair, Failure> {
        let at = index.checked_sub(1).ok_or_else(|| broken("index 0"))?;
        if let Some((name, value)) = STATIC.get(at) {
            return Ok(((*name).to_owned(), (*value).to_owned()));
        }
        self.entries.get(at - STATIC.len()).cloned().ok_or_else(|| broken("index beyond the table"))
    }

    fn evict(&mut self) {
        while self.size > self.limit {
            match self.entries.pop_back() {
                Some((name, value)) => self.size = self.size.saturating_sub(name.len() + value.len() + 32),
                None => self.size = 0,
            }
        }
    }
}

/// An integer with a prefix of so many bits (RFC 7541, section 5.1).
fn integer(block: &mut &[u8], bits: u32) -> Result<usize, Failure> {
    let short = || broken("block ends in the middle");
    let (first, mut rest) = block.split_first().ok_or_else(short)?;
    let mask = (1usize << bits) - 1;
    let mut value = usize::from(*first) & mask;
    if value == mask {
        let mut shift = 0u32;
        loop {
            let (byte, behind) = rest.split_first().ok_or_else(short)?;
            rest = behind;
            if shift > 21 {
                return Err(broken("integer too large"));
            }
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Ok(value)
}

fn string(block: &mut &[u8]) -> Result<String, Failure> {
    let coded = block.first().ok_or_else(|| broken("block ends in the middle"))? & 0x80 != 0;
    let length = integer(block, 7)?;
    let (bytes, rest) = block.split_at_checked(length).ok_or_else(|| broken("string longer than its block"))?;
    *block = rest;
    let bytes = if coded { unhuffman(bytes)? } else { bytes.to_vec() };
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Encodes a header block: static entries by number, the rest as they are and never to be remembered.
pub fn encode(pairs: &[Pair]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in pairs {
        let whole = STATIC.iter().position(|entry| *entry == (name.as_str(), value.as_str()));
        if let Some(at) = whole.filter(|_| !value.is_empty()) {
            push_integer(&mut out, 0x80, 7, at + 1);
            continue;
        }
        let known = STATIC.iter().position(|entry| entry.0 == name.as_str());
        // Credentials are marked so that no hop may remember them (section 7.1.3).
        let flags = if matches!(name.as_str(), "authorization" | "cookie" | "proxy-authorization") { 0x10 } else { 0 };
        push_integer(&mut out, flags, 4, known.map_or(0, |at| at + 1));
        if known.is_none() {
            push_string(&mut out, name);
        }
        push_string(&mut out, value);
    }
    out
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    push_integer(out, 0, 7, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn push_integer(out: &mut Vec<u8>, flags: u8, bits: u32, value: usize) {
    let mask = (1usize << bits) - 1;
    if value < mask {
        out.push(flags | u8::try_from(value).unwrap_or(0));
        return;
    }
    out.push(flags | u8::try_from(mask).unwrap_or(0));
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use netkit_core::text::unhex;
    use proptest::prelude::*;

    #[test]
    fn the_code_is_complete() {
        let sum: u64 = LENGTHS.iter().map(|length| 1u64 << (30 - length)).sum();
        assert_eq!(sum, 1 << 30);
        assert_eq!(unhuffman(&unhex("f1e3c2e5f23a6ba0ab90f4ff").unwrap()).unwrap(), b"www.example.com");
        assert_eq!(
            unhuffman(&unhex("9d29ad171863c78f0b97c8e9ae82ae43d3").unwrap()).unwrap(),
            b"https://www.example.com"
        );
        assert!(unhuffman(&[0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn the_responses_of_appendix_c_6() {
        let mut decoder = Decoder { limit: 256, most: 256, ..Decoder::default() };
        let first = "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3";
        let pairs = decoder.decode(&unhex(first).unwrap(), 10_000).unwrap();
        assert_eq!(pairs[0], (":status".to_owned(), "302".to_owned()));
        assert_eq!(pairs[2].1, "Mon, 21 Oct 2013 20:13:21 GMT");
        let pairs = decoder.decode(&unhex("4883640effc1c0bf").unwrap(), 10_000).unwrap();
        assert_eq!(pairs[0].1, "307");
        assert_eq!(pairs[3].1, "https://www.example.com");
        assert_eq!(decoder.size, 222);
    }

    proptest! {
        #[test]
        fn any_block(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Decoder::default().decode(&bytes, 1000);
        }

        #[test]
        fn there_and_back(pairs in proptest::collection::vec(("[a-z-]{1,12}", "[ -~]{0,200}"), 0..12)) {
            let decoded = Decoder::default().decode(&encode(&pairs), 100_000).unwrap();
            prop_assert_eq!(decoded, pairs);
        }
    }
}
