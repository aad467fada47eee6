//! What may look at the bytes on their way: CRLF, TELNET, hex dump, session file.

use std::fs::File;
use std::io::{self, Write};
use std::time::Instant;

use crate::pump::{End, Tap, Way};

/// Everything that was asked for, in the order it applies.
pub(crate) struct Taps {
    /// `-C`: a line feed goes out as CR LF.
    pub(crate) crlf: bool,
    /// `-t`: options of TELNET are refused.
    pub(crate) telnet: bool,
    /// Whether the last byte sent was a carriage return.
    after_cr: bool,
    dump: Option<Dump>,
    session: Option<File>,
}

/// Hex dump of both directions.
pub(crate) struct Dump {
    to: Box<dyn Write>,
    /// In ncat's layout, which has neither time nor direction.
    bare: bool,
    began: Instant,
    offsets: [u64; 2],
}

impl Dump {
    /// Writes to `to`, with times relative to now.
    pub(crate) fn new(to: Box<dyn Write>, bare: bool) -> Dump {
        Dump { to, bare, began: Instant::now(), offsets: [0, 0] }
    }

    fn show(&mut self, way: Way, bytes: &[u8]) -> io::Result<()> {
        let [sent, received] = &mut self.offsets;
        let (mark, offset) = match way {
            Way::Out => ('>', sent),
            Way::In => ('<', received),
        };
        if self.bare {
            self.to.write_all(bare_text(bytes).as_bytes())?;
            return self.to.flush();
        }
        let text = dump_text(mark, *offset, self.began.elapsed().as_micros(), bytes);
        *offset += bytes.len() as u64;
        self.to.write_all(text.as_bytes())?;
        self.to.flush()
    }
}

/// A line of head (direction, seconds, length), then 16 bytes a line with their offset in the stream.
fn dump_text(mark: char, offset: u64, micros: u128, bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let _ = writeln!(out, "{mark} {}.{:06} s, {} bytes", micros / 1_000_000, micros % 1_000_000, bytes.len());
    for (row, line) in (0u64..).zip(bytes.chunks(16)) {
        let mut hex = String::new();
        let mut text = String::new();
        for (column, byte) in line.iter().enumerate() {
            let _ = write!(hex, "{byte:02x} {}", if column == 7 { " " } else { "" });
            text.push(if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' });
        }
        let _ = writeln!(out, "{mark} {:08x}  {hex:<49} |{text}|", offset + row * 16);
    }
    out
}

/// 16 bytes a line, offsets anew for each piece.
fn bare_text(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for (row, line) in bytes.chunks(16).enumerate() {
        let mut hex = String::new();
        let mut text = String::new();
        for (column, byte) in line.iter().enumerate() {
            let _ = write!(hex, "{}{byte:02x} ", if column == 8 { " " } else { "" });
            text.push(if byte.is_ascii_graphic() { char::from(*byte) } else { '.' });
        }
        let _ = writeln!(out, "{:04x}   {hex:<49} {text:<16}", row * 16);
    }
    out
}

impl Taps {
    /// `None` when nothing was asked for, so that the bytes need not pass through this process.
    pub(crate) fn new(crlf: bool, telnet: bool, dump: Option<Dump>, session: Option<File>) -> Option<Taps> {
        (crlf || telnet || dump.is_some() || session.is_some()).then_some(Taps {
            crlf,
            telnet,
            after_cr: false,
            dump,
            session,
        })
    }
}

impl Taps {
    /// All but TELNET, which wants somebody to answer to.
    pub(crate) fn watch(&mut self, way: Way, bytes: &mut Vec<u8>) -> io::Result<()> {
        if way == Way::Out && self.crlf {
            *bytes = with_crlf(bytes, &mut self.after_cr);
        }
        if let Some(dump) = &mut self.dump {
            dump.show(way, bytes)?;
        }
        if let Some(session) = &mut self.session {
            session.write_all(bytes)?;
        }
        Ok(())
    }
}

impl Tap for Taps {
    fn pass(&mut self, way: Way, bytes: &mut Vec<u8>, far: &mut dyn End) -> io::Result<()> {
        if way == Way::In && self.telnet {
            let answer = telnet_answer(bytes);
            if !answer.is_empty() {
                // Three bytes an option: they fit into any send buffer that is not full of them.
                match far.write(&answer) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.watch(way, bytes)
    }
}

/// Line feeds that do not follow a carriage return get one.
fn with_crlf(bytes: &[u8], after_cr: &mut bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    for byte in bytes {
        if *byte == b'\n' && !*after_cr {
            out.push(b'\r');
        }
        out.push(*byte);
        *after_cr = *byte == b'\r';
    }
    out
}

/// Refusals for the options (RFC 854) at the head of what arrived: WILL and WONT get DONT, DO and DONT get WONT.
fn telnet_answer(bytes: &[u8]) -> Vec<u8> {
    const IAC: u8 = 255;
    const DONT: u8 = 254;
    const WONT: u8 = 252;
    let mut answer = Vec::new();
    let mut rest = bytes;
    while let [IAC, command, tail @ ..] = rest {
        let refusal = match command {
            251 | 252 => DONT,
            253 | 254 => WONT,
            _ => {
                rest = tail;
                continue;
            }
        };
        let [option, after @ ..] = tail else { break };
        answer.extend_from_slice(&[IAC, refusal, *option]);
        rest = after;
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends() {
        let mut after_cr = false;
        assert_eq!(with_crlf(b"a\nb\r\nc\r", &mut after_cr), b"a\r\nb\r\nc\r");
        assert_eq!(with_crlf(b"\n\n", &mut after_cr), b"\n\r\n");
    }

    #[test]
    fn telnet_refusals() {
        assert_eq!(telnet_answer(b"\xff\xfd\x01\xff\xfb\x03hello\xff\xfd\x05"), b"\xff\xfc\x01\xff\xfe\x03");
        assert_eq!(telnet_answer(b"hello"), b"");
        assert_eq!(telnet_answer(b"\xff\xfd"), b"");
        assert_eq!(telnet_answer(b"\xff\xf1\xff\xfb\x01"), b"\xff\xfe\x01");
    }

    #[test]
    fn dump_lines() {
        let text = dump_text('>', 16, 1_500_000, b"0123456789abcdef\x00");
        assert_eq!(
            text,
            "> 1.500000 s, 17 bytes\n\
             > 00000010  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n\
             > 00000020  00                                                |.|\n"
        );
    }
}
