//! The chunked transfer coding (RFC 9112, section 7.1), fed piece by piece.

use crate::failure::{Code, Failure};

/// Most hexadecimal digits of a chunk's length.
const MAX_DIGITS: usize = 16;
/// Longest trailer line.
const MAX_TRAILER: usize = 4096 * 4;
/// Most bytes of extensions in one chunk's line.
const MAX_EXTENSION: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    Data,
    DataEnd,
    Trailer,
    Done,
}

/// A decoder.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    digits: String,
    left: u64,
    line: Vec<u8>,
    skipped: usize,
    trailers: usize,
}

impl Default for Chunked {
    fn default() -> Chunked {
        Chunked { state: State::Size, digits: String::new(), left: 0, line: Vec::new(), skipped: 0, trailers: 0 }
    }
}

/// What a piece of input gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes of the input after the consumed ones are body.
    Data(usize),
    /// A trailer line, with its ending.
    Trailer(Vec<u8>),
    /// Everything given was consumed, and more is needed.
    More,
    /// The body is complete.
    Done,
}

impl Chunked {
    /// Looks at the input: how many bytes to drop from its start, and what follows. After [`Piece::Data`] the caller
    /// takes the data and calls again with what is behind it.
    ///
    /// # Errors
    /// Bytes that are not this coding.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Piece), Failure> {
        let mut used = 0;
        loop {
            if self.state == State::Done {
                return Ok((used, Piece::Done));
            }
            if self.state == State::Data {
                let rest = u64::try_from(input.len().saturating_sub(used)).unwrap_or(0);
                let take = rest.min(self.left);
                if take == 0 {
                    return Ok((used, Piece::More));
                }
                self.left -= take;
                if self.left == 0 {
                    self.state = State::DataEnd;
                }
                return Ok((used, Piece::Data(usize::try_from(take).unwrap_or(0))));
            }
            let Some(byte) = input.get(used).copied() else { return Ok((used, Piece::More)) };
            used += 1;
            match self.state {
                State::Size if byte.is_ascii_hexdigit() => {
                    if self.digits.len() >= MAX_DIGITS {
                        return Err(bad("chunk hex-length longer than 16"));
                    }
                    self.digits.push(char::from(byte));
                }
                State::Size => {
                    if self.digits.is_empty() {
                        return Err(bad(&format!("chunk hex-length char not a hex digit: 0x{byte:x}")));
                    }
                    let size = u64::from_str_radix(&self.digits, 16).ok().filter(|size| *size <= i64::MAX as u64);
                    self.left = size.ok_or_else(|| bad(&format!("invalid chunk size: '{}'", self.digits)))?;
                    self.digits.clear();
                    self.skipped = 0;
                    self.state = State::Extension;
                    if byte == b'\n' {
                        self.size_line_ended();
                    }
                }
                State::Extension => {
                    self.skipped += 1;
                    if byte == b'\n' {
                        self.size_line_ended();
                    } else if self.skipped > MAX_EXTENSION {
                        return Err(bad("chunk extension too long"));
                    }
                }
                State::DataEnd => match byte {
                    b'\r' => {}
                    b'\n' => self.state = State::Size,
                    _ => return Err(bad("Illegal or missing hexadecimal sequence")),
                },
                State::Trailer => {
                    self.line.push(byte);
                    if self.line.len() > MAX_TRAILER || self.trailers > crate::head::MAX_HEADERS {
                        return Err(Failure::new(Code::TooLarge, "Too large trailer"));
                    }
                    if byte == b'\n' {
                        let line = std::mem::take(&mut self.line);
                        if line.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                            self.state = State::Done;
                            return Ok((used, Piece::Done));
                        }
                        self.trailers += 1;
                        return Ok((used, Piece::Trailer(line)));
                    }
                }
                State::Data | State::Done => {}
            }
        }
    }

    fn size_line_ended(&mut self) {
        self.state = if self.left == 0 { State::Trailer } else { State::Data };
    }
}

fn bad(why: &str) -> Failure {
    Failure::new(Code::Recv, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<String>, bool), Failure> {
        let (mut chunked, mut body, mut trailers) = (Chunked::default(), Vec::new(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            loop {
                let (used, what) = chunked.feed(rest)?;
                rest = &rest[used..];
                match what {
                    Piece::Data(length) => {
                        body.extend_from_slice(&rest[..length]);
                        rest = &rest[length..];
                    }
                    Piece::Trailer(line) => trailers.push(String::from_utf8_lossy(&line).into_owned()),
                    Piece::More => break,
                    Piece::Done => return Ok((body, trailers, true)),
                }
            }
        }
        Ok((body, trailers, false))
    }

    #[test]
    fn cut_everywhere() {
        let whole = b"5;x=y\r\nhello\r\n00A\r\n0123456789\r\n0\r\nT: 1\r\n\r\n";
        let wanted = (b"hello0123456789".to_vec(), vec!["T: 1\r\n".to_owned()], true);
        assert_eq!(decode(&[whole]).unwrap(), wanted);
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(decode(&bytes).unwrap(), wanted);
        assert!(!decode(&[b"5\r\nhel"]).unwrap().2);
    }

    #[test]
    fn refused() {
        for bad in ["x\r\n", "\r\n", "11111111111111111\r\n", "ffffffffffffffff\r\n", "1\r\nab\r\n"] {
            assert!(decode(&[bad.as_bytes()]).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&[&bytes]);
        }
    }
}
