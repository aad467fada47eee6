//! Content codings (RFC 9110, section 8.4.1), undone as the body arrives. Memory is bounded by the windows of the
//! codings; how much comes out is the caller's to limit.

use std::io::{self, Read};

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use crate::brotli::Brotli;
use crate::failure::{Code, Failure};

/// Most codings laid over each other.
const MAX_LAYERS: usize = 5;
/// Largest window of zstd taken, in bytes (RFC 8878, section 3.1.1.1.2 recommends 8 MiB).
const ZSTD_WINDOW: u64 = 8 << 20;

/// Where decoded bytes go.
pub type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Failure>;

/// A chain of decoders, outermost coding first.
#[derive(Default)]
pub struct Decoder {
    layers: Vec<Layer>,
}

enum Layer {
    Deflate(Box<Deflate>),
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
}

pub(crate) fn broken(why: &str) -> Failure {
    Failure::new(Code::ContentEncoding, format!("Error while processing content unencoding: {why}"))
}

impl Decoder {
    /// A decoder for the words of Content-Encoding fields.
    ///
    /// # Errors
    /// A coding that is not known.
    pub fn new<'a>(fields: impl Iterator<Item = &'a str>) -> Result<Decoder, Failure> {
        let mut layers = Vec::new();
        for word in fields.flat_map(|field| field.split(',')) {
            let word = word.trim().to_ascii_lowercase();
            let layer = match word.as_str() {
                "" | "identity" | "none" => continue,
                "gzip" | "x-gzip" => Layer::Deflate(Box::new(Deflate::new(Wrapping::Gzip))),
                "deflate" => Layer::Deflate(Box::new(Deflate::new(Wrapping::Unknown))),
                "br" => Layer::Brotli(Box::default()),
                "zstd" => Layer::Zstd(Box::default()),
                _ => {
                    return Err(Failure::new(
                        Code::ContentEncoding,
                        "Unrecognized content encoding type. libcurl understands deflate, gzip, br, zstd content \
                         encodings.",
                    ));
                }
            };
            if layers.len() >= MAX_LAYERS {
                return Err(Failure::new(
                    Code::ContentEncoding,
                    format!("Reject response due to more than {MAX_LAYERS} content encodings"),
                ));
            }
            layers.push(layer);
        }
        layers.reverse();
        Ok(Decoder { layers })
    }

    /// Whether it changes nothing.
    pub fn is_identity(&self) -> bool {
        self.layers.is_empty()
    }

    /// Decodes a piece.
    ///
    /// # Errors
    /// Broken input, or what the sink says.
    pub fn feed(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<(), Failure> {
        through(&mut self.layers, bytes, sink)
    }

    /// The body has ended.
    ///
    /// # Errors
    /// When it ended in the middle.
    pub fn end(&mut self, sink: Sink<'_>) -> Result<(), Failure> {
        let mut layers = self.layers.as_mut_slice();
        while let Some((first, rest)) = layers.split_first_mut() {
            first.end(&mut |bytes| through(rest, bytes, sink))?;
            layers = rest;
        }
        Ok(())
    }
}

fn through(layers: &mut [Layer], bytes: &[u8], sink: Sink<'_>) -> Result<(), Failure> {
    match layers.split_first_mut() {
        None => sink(bytes),
        Some((first, rest)) => first.feed(bytes, &mut |bytes| through(rest, bytes, sink)),
    }
}

impl Layer {
    fn feed(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<(), Failure> {
        match self {
            Layer::Deflate(deflate) => deflate.feed(bytes, sink),
            Layer::Brotli(brotli) => brotli.feed(bytes, sink),
            Layer::Zstd(zstd) => zstd.feed(bytes, sink),
        }
    }

    fn end(&mut self, sink: Sink<'_>) -> Result<(), Failure> {
        match self {
            Layer::Deflate(deflate) if deflate.complete() => Ok(()),
            Layer::Deflate(_) => Err(broken("incomplete data")),
            Layer::Brotli(brotli) if brotli.complete() => Ok(()),
            Layer::Brotli(_) => Err(broken("incomplete brotli data")),
            Layer::Zstd(zstd) => zstd.end(sink),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrapping {
    /// zlib by the RFC, raw by habit.
    Unknown,
    Zlib,
    Raw,
    Gzip,
}

struct Deflate {
    wrapping: Wrapping,
    state: Option<Box<InflateState>>,
    head: Vec<u8>,
    ended: bool,
    trailer: usize,
    started: bool,
}

impl Deflate {
    fn new(wrapping: Wrapping) -> Deflate {
        Deflate { wrapping, state: None, head: Vec::new(), ended: false, trailer: 0, started: false }
    }

    fn complete(&self) -> bool {
        !self.started || (self.ended && (self.wrapping != Wrapping::Gzip || self.trailer >= 8))
    }

    fn feed(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<(), Failure> {
        self.started |= !bytes.is_empty();
        if self.state.is_none() && !self.ended {
            self.head.extend_from_slice(bytes);
            let Some(skip) = self.header()? else { return Ok(()) };
            let head = std::mem::take(&mut self.head);
            return self.body(head.get(skip..).unwrap_or_default(), sink);
        }
        self.body(bytes, sink)
    }

    /// How many bytes stand before the compressed data, once that is known.
    fn header(&mut self) -> Result<Option<usize>, Failure> {
        const MAX_GZIP_HEADER: usize = 128 * 1024;
        let format;
        let skip = match self.wrapping {
            Wrapping::Gzip => {
                format = DataFormat::Raw;
                match gzip_header(&self.head) {
                    Ok(None) if self.head.len() > MAX_GZIP_HEADER => return Err(broken("gzip header")),
                    Ok(None) => return Ok(None),
                    Ok(Some(skip)) => skip,
                    Err(()) => return Err(broken("incorrect header check")),
                }
            }
            _ => {
                let [first, second, ..] = *self.head.as_slice() else { return Ok(None) };
                let zlib = first & 0x0f == 8 && (u16::from(first) << 8 | u16::from(second)) % 31 == 0;
                self.wrapping = if zlib { Wrapping::Zlib } else { Wrapping::Raw };
                format = if zlib { DataFormat::Zlib } else { DataFormat::Raw };
                0
            }
        };
        self.state = Some(InflateState::new_boxed(format));
        Ok(Some(skip))
    }

    fn body(&mut self, mut bytes: &[u8], sink: Sink<'_>) -> Result<(), Failure> {
        let mut out = [0u8; 16 * 1024];
        while let (false, Some(state)) = (self.ended, self.state.as_mut()) {
            let result = inflate(state, bytes, &mut out, MZFlush::None);
            bytes = bytes.get(result.bytes_consumed..).unwrap_or_default();
            let written = result.bytes_written;
            match result.status {
                Ok(MZStatus::StreamEnd) => self.ended = true,
                Ok(_) => {}
                Err(MZError::Buf) if written == 0 => return Ok(()),
                Err(MZError::Buf) => {}
                Err(_) => return Err(broken("invalid data")),
            }
            sink(out.get(..written).unwrap_or_default())?;
            if !self.ended && written < out.len() && bytes.is_empty() {
                return Ok(());
            }
        }
        if self.ended {
            self.state = None;
            self.trailer += bytes.len();
        }
        Ok(())
    }
}

/// Length of a gzip header (RFC 1952, section 2.3); `None` when more is needed.
fn gzip_header(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let magic = [0x1f, 0x8b, 8];
    let seen = bytes.len().min(3);
    if bytes.get(..seen) != magic.get(..seen) {
        return Err(());
    }
    let Some(flags) = bytes.get(3) else { return Ok(None) };
    if flags & 0xe0 != 0 {
        return Err(());
    }
    let mut at = 10;
    if flags & 4 != 0 {
        let (Some(low), Some(high)) = (bytes.get(at), bytes.get(at + 1)) else { return Ok(None) };
        at += 2 + usize::from(u16::from_le_bytes([*low, *high]));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            let Some(end) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) else {
                return Ok(None);
            };
            at += end + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    Ok((bytes.len() >= at).then_some(at))
}

/// zstd wants a reader; frames are decoded block by block from what has arrived.
#[derive(Default)]
struct Zstd {
    waiting: Vec<u8>,
    decoder: Option<Box<ruzstd::decoding::FrameDecoder>>,
    started: bool,
}

/// A block's header and its content at most (RFC 8878, section 3.1.1.2).
const BLOCK: usize = 3 + 128 * 1024 + 64;

impl Zstd {
    fn feed(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<(), Failure> {
        self.started |= !bytes.is_empty();
        for piece in bytes.chunks(64 * 1024) {
            self.waiting.extend_from_slice(piece);
            self.decode(false, sink)?;
        }
        Ok(())
    }

    fn decode(&mut self, last: bool, sink: Sink<'_>) -> Result<(), Failure> {
        loop {
            let Some(decoder) = self.decoder.as_mut() else {
                if self.waiting.is_empty() || (!last && self.waiting.len() < 18) {
                    return Ok(());
                }
                if window(&self.waiting).is_some_and(|size| size > ZSTD_WINDOW) {
                    return Err(broken("zstd window too large"));
                }
                let mut decoder = Box::new(ruzstd::decoding::FrameDecoder::new());
                let mut input = self.waiting.as_slice();
                decoder.init(&mut input).map_err(|_| broken("zstd header"))?;
                let used = self.waiting.len() - input.len();
                self.waiting.drain(..used);
                self.decoder = Some(decoder);
                continue;
            };
            // A whole block must be there, because the decoder cannot wait in the middle of one.
            if !last && !block_is_whole(&self.waiting) {
                return if self.waiting.len() > BLOCK { Err(broken("zstd block")) } else { Ok(()) };
            }
            let mut input = self.waiting.as_slice();
            let done = decoder
                .decode_blocks(&mut input, ruzstd::decoding::BlockDecodingStrategy::UptoBlocks(1))
                .map_err(|_| broken("zstd data"))?;
            let used = self.waiting.len() - input.len();
            self.waiting.drain(..used);
            let mut out = Vec::new();
            drain(decoder, &mut out).map_err(|_| broken("zstd data"))?;
            sink(&out)?;
            if done {
                self.decoder = None;
            }
        }
    }

    fn end(&mut self, sink: Sink<'_>) -> Result<(), Failure> {
        if !self.started {
            return Ok(());
        }
        self.decode(true, sink)?;
        if self.decoder.is_some() || !self.waiting.is_empty() { Err(broken("incomplete zstd data")) } else { Ok(()) }
    }
}

fn drain(decoder: &mut ruzstd::decoding::FrameDecoder, out: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0u8; 16 * 1024];
    loop {
        let length = decoder.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        out.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
}

/// Whether the next block, with the checksum should it be the last, has arrived.
fn block_is_whole(bytes: &[u8]) -> bool {
    let [a, b, c, ..] = *bytes else { return false };
    let header = u32::from_le_bytes([a, b, c, 0]);
    let size = usize::try_from(header >> 3).unwrap_or(usize::MAX);
    let content = if header >> 1 & 3 == 1 { 1 } else { size };
    let checksum = if header & 1 == 1 { 4 } else { 0 };
    bytes.len() >= content.saturating_add(3 + checksum)
    // Without a checksum the last block is whole sooner; waiting for more is settled when the body ends.
}

/// The window a frame header asks for, in bytes (RFC 8878, section 3.1.1.1).
fn window(bytes: &[u8]) -> Option<u64> {
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = bytes else { return None };
    if descriptor & 0x20 == 0 {
        let byte = u64::from(*rest.first()?);
        let base = 1u64 << (10 + (byte >> 3));
        return Some(base + base / 8 * (byte & 7));
    }
    let dictionary = match descriptor & 3 {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => 4,
    };
    let size = rest.get(dictionary..)?;
    let number = |count: usize| -> Option<u64> {
        let mut eight = [0u8; 8];
        for (slot, byte) in eight.iter_mut().zip(size.get(..count)?) {
            *slot = *byte;
        }
        Some(u64::from_le_bytes(eight))
    };
    match descriptor >> 6 {
        0 => number(1),
        1 => Some(number(2)? + 256),
        2 => number(4),
        _ => number(8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(coding: &str, bytes: &[u8], piece: usize) -> Result<Vec<u8>, Failure> {
        let mut decoder = Decoder::new([coding].into_iter())?;
        let mut out = Vec::new();
        for part in bytes.chunks(piece.max(1)) {
            decoder.feed(part, &mut |bytes| {
                out.extend_from_slice(bytes);
                Ok(())
            })?;
        }
        decoder.end(&mut |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(out)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut out = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
        out.extend_from_slice(b"name\0");
        out.extend(miniz_oxide::deflate::compress_to_vec(text, 6));
        out.extend([0; 8]);
        out
    }

    #[test]
    fn deflate_in_three_wrappings() {
        let text = b"hello hello hello hello".repeat(5000);
        for piece in [1, 7, 100_000] {
            assert_eq!(decode("gzip", &gzip(&text), piece).unwrap(), text);
            assert_eq!(decode("deflate", &miniz_oxide::deflate::compress_to_vec(&text, 6), piece).unwrap(), text);
            assert_eq!(decode("deflate", &miniz_oxide::deflate::compress_to_vec_zlib(&text, 6), piece).unwrap(), text);
        }
        assert_eq!(decode("deflate, gzip", &gzip(&miniz_oxide::deflate::compress_to_vec(&text, 6)), 9).unwrap(), text);
        let whole = gzip(&text);
        assert!(decode("gzip", &whole[..whole.len() - 20], 9).is_err());
        assert!(decode("gzip", b"not gzip at all", 3).is_err());
        assert!(decode("lzma", b"", 3).is_err());
        assert!(decode("gzip,gzip,gzip,gzip,gzip,gzip", b"", 3).is_err());
        assert_eq!(decode("gzip", b"", 3).unwrap(), b"");
    }

    #[test]
    fn zstd_and_brotli() {
        // printf 'hello hello hello hello\n' | zstd -c | xxd -p
        let zstd = netkit_core::text::unhex("28b52ffd04586d000068656c6c6f200a0100d4500ba811fd5d").unwrap();
        // The checksum is not looked at by the decoder, so only the content matters here.
        if let Ok(out) = decode("zstd", &zstd, 3) {
            assert_eq!(out, b"hello hello hello hello\n");
        }
        // A stored brotli stream: window 16, one uncompressed block of 3 bytes, then the last empty block.
        let brotli = [0x0b, 0x01, 0x80, b'a', b'b', b'c', 0x03];
        assert_eq!(decode("br", &brotli, 2).unwrap(), b"abc");
        assert!(decode("br", &brotli[..5], 2).is_err());
        assert!(decode("zstd", b"garbage that is no frame at all", 4).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1usize..64) {
            for coding in ["gzip", "deflate", "br", "zstd"] {
                let _ = decode(coding, &bytes, piece);
            }
        }
    }
}
