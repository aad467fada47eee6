//! Archives to members: ustar, GNU and pax headers (POSIX.1-2017, pax; tar(5)). No file is touched here.

use std::io::{self, Read};

use crate::base::{Bytes, after, at, number, part};

/// A block of an archive.
pub(crate) const BLOCK: usize = 512;
/// The longest name or extended header that is read.
const MOST: u64 = 1 << 20;

/// A member's header.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Its path as the archive has it.
    pub name: Vec<u8>,
    /// The target of a link.
    pub link: Vec<u8>,
    /// The type's letter: `0` file, `1` hard link, `2` symbolic link, `3` `4` devices, `5` directory, `6` FIFO.
    pub kind: u8,
    /// Permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Owner's name.
    pub user: Vec<u8>,
    /// Group's name.
    pub group: Vec<u8>,
    /// Bytes of content.
    pub size: u64,
    /// Modification, seconds since the epoch and nanoseconds.
    pub time: (i64, i64),
    /// Device numbers.
    pub device: (u64, u64),
}

/// Reads an archive from a stream.
pub struct Reader<'a> {
    input: &'a mut dyn Read,
    /// Bytes of content and padding before the next header.
    left: u64,
    padding: u64,
    global: Vec<(Bytes, Bytes)>,
    any: bool,
}

fn bad<T>(text: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, text.to_owned()))
}

/// A number of a header: octal, or in base 256 when the first bit is set.
fn numeric(field: &[u8]) -> Option<i64> {
    let first = at(field, 0);
    if first & 0x80 != 0 {
        let start = if first & 0x40 != 0 { -1 } else { i64::from(first & 0x3f) };
        return after(field, 1).iter().try_fold(start, |sum, byte| sum.checked_mul(256)?.checked_add(i64::from(*byte)));
    }
    let mut sum: i64 = 0;
    let mut any = false;
    for byte in field {
        match byte {
            b'0'..=b'7' => {
                any = true;
                sum = sum.checked_mul(8)?.checked_add(i64::from(byte - b'0'))?;
            }
            b' ' if !any => {}
            b' ' | 0 => break,
            _ => return None,
        }
    }
    Some(sum)
}

fn text(field: &[u8]) -> Bytes {
    part(field, 0, field.iter().position(|byte| *byte == 0).unwrap_or(field.len())).to_vec()
}

impl<'a> Reader<'a> {
    /// Reads from `input`.
    pub fn new(input: &'a mut dyn Read) -> Reader<'a> {
        Reader { input, left: 0, padding: 0, global: Vec::new(), any: false }
    }

    /// Fills a block; false at the end of the input.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> io::Result<bool> {
        let mut have = 0;
        while have < BLOCK {
            match self.input.read(block.get_mut(have..).unwrap_or_default()) {
                Ok(0) if have == 0 => return Ok(false),
                Ok(0) => return bad("Unexpected EOF in archive"),
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The next bytes of the member's content; 0 at its end.
    ///
    /// # Errors
    /// The input's, and an archive that ends too early.
    pub fn content(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        loop {
            match self.input.read(buffer) {
                Ok(0) => return bad("Unexpected EOF in archive"),
                Ok(count) => {
                    self.left -= count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn skip(&mut self) -> io::Result<()> {
        let mut rest = self.left + self.padding;
        (self.left, self.padding) = (0, 0);
        let mut buffer = vec![0; (1 << 16).min(usize::try_from(rest).unwrap_or(1 << 16))];
        while rest > 0 {
            let most = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
            match self.input.read(buffer.get_mut(..most).unwrap_or_default()) {
                Ok(0) => return bad("Unexpected EOF in archive"),
                Ok(count) => rest -= count as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn set_size(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    /// The content of a header that describes the next one.
    fn extended(&mut self, size: u64) -> io::Result<Bytes> {
        if size > MOST {
            return bad("an extended header is too long");
        }
        self.set_size(size);
        let mut out = Bytes::new();
        let mut buffer = [0; 4096];
        loop {
            match self.content(&mut buffer)? {
                0 => break,
                count => out.extend_from_slice(part(&buffer, 0, count)),
            }
        }
        self.skip()?;
        Ok(out)
    }

    /// The next member; `None` at the archive's end.
    ///
    /// # Errors
    /// The input's, and what is no archive.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> io::Result<Option<Member>> {
        self.skip()?;
        let (mut long_name, mut long_link) = (None, None);
        let mut records: Vec<(Bytes, Bytes)> = Vec::new();
        let mut zeros = 0;
        loop {
            let mut block = [0; BLOCK];
            if !self.block(&mut block)? {
                return Ok(None);
            }
            if block.iter().all(|byte| *byte == 0) {
                zeros += 1;
                if zeros == 2 {
                    return Ok(None);
                }
                continue;
            }
            zeros = 0;
            // The sum is that of the header with blanks in its own place; some wrote it with signed bytes.
            let sum = numeric(part(&block, 148, 156));
            let blank = |(index, byte): (usize, &u8)| if (148..156).contains(&index) { b' ' } else { *byte };
            let plain: i64 = block.iter().enumerate().map(|pair| i64::from(blank(pair))).sum();
            let signed: i64 = block.iter().enumerate().map(|pair| i64::from(blank(pair).cast_signed())).sum();
            if sum != Some(plain) && sum != Some(signed) {
                return bad(if self.any {
                    "Archive is damaged: a header's check sum is wrong"
                } else {
                    "This does not look like a tar archive"
                });
            }
            self.any = true;
            let size = numeric(part(&block, 124, 136)).and_then(|size| u64::try_from(size).ok());
            let Some(size) = size.filter(|size| *size < 1 << 62) else {
                return bad("Archive contains a value that is no size");
            };
            match at(&block, 156) {
                b'L' => long_name = Some(text(&self.extended(size)?)),
                b'K' => long_link = Some(text(&self.extended(size)?)),
                b'x' | b'X' => records = pax(&self.extended(size)?)?,
                b'g' => {
                    for (name, value) in pax(&self.extended(size)?)? {
                        self.global.retain(|(own, _)| *own != name);
                        self.global.push((name, value));
                    }
                }
                _ => return self.member(&block, size, long_name, long_link, &records).map(Some),
            }
        }
    }

    fn member(
        &mut self,
        block: &[u8],
        size: u64,
        long_name: Option<Bytes>,
        long_link: Option<Bytes>,
        records: &[(Bytes, Bytes)],
    ) -> io::Result<Member> {
        let field = |from: usize, length: usize| part(block, from, from + length);
        let small = |from: usize, length: usize| {
            numeric(field(from, length)).and_then(|value| u32::try_from(value).ok()).unwrap_or(0)
        };
        let mut name = text(field(0, 100));
        // Only POSIX's own format has a prefix; GNU's has times there.
        if field(257, 6) == b"ustar\0" && at(block, 345) != 0 {
            name = [text(field(345, 155)), name].join(&b'/');
        }
        let big = |from: usize| u64::from(small(from, 8));
        let mut own = Member {
            name: long_name.unwrap_or(name),
            link: long_link.unwrap_or_else(|| text(field(157, 100))),
            kind: at(block, 156),
            mode: small(100, 8) & 0o7777,
            uid: small(108, 8),
            gid: small(116, 8),
            user: text(field(265, 32)),
            group: text(field(297, 32)),
            size,
            time: (numeric(field(136, 12)).unwrap_or(0), 0),
            device: (big(329), big(337)),
        };
        let global = self.global.clone();
        for (key, value) in global.iter().chain(records) {
            match key.as_slice() {
                b"path" => own.name.clone_from(value),
                b"linkpath" => own.link.clone_from(value),
                b"uname" => own.user.clone_from(value),
                b"gname" => own.group.clone_from(value),
                b"uid" => own.uid = number(value).and_then(|id| u32::try_from(id).ok()).unwrap_or(own.uid),
                b"gid" => own.gid = number(value).and_then(|id| u32::try_from(id).ok()).unwrap_or(own.gid),
                b"size" => match number(value).filter(|size| *size < 1 << 62) {
                    Some(size) => own.size = size,
                    None => return bad("an extended header has a size that is none"),
                },
                b"mtime" => {
                    let dot = value.iter().position(|byte| *byte == b'.').unwrap_or(value.len());
                    let negative = value.starts_with(b"-");
                    let whole = number(after(part(value, 0, dot), usize::from(negative)))
                        .and_then(|whole| i64::try_from(whole).ok());
                    if let Some(whole) = whole {
                        let digits = part(after(value, dot + 1), 0, 9);
                        let scale = 10i64.pow(9 - u32::try_from(digits.len()).unwrap_or(0));
                        let nanos = number(digits).and_then(|nanos| i64::try_from(nanos).ok()).unwrap_or(0) * scale;
                        own.time = if negative { (-whole, 0) } else { (whole, nanos) };
                    }
                }
                _ if key.starts_with(b"GNU.sparse.") => return bad("sparse members are not offered"),
                _ => {}
            }
        }
        match own.kind {
            b'S' => return bad("sparse members are not offered"),
            0 | b'7' => own.kind = b'0',
            b'M' | b'V' => {}
            _ => {}
        }
        // The oldest format marks a directory by a slash.
        if own.kind == b'0' && own.name.ends_with(b"/") {
            own.kind = b'5';
        }
        // Links, devices and directories have no content, whatever their size says.
        let content = if matches!(own.kind, b'1'..=b'6') { 0 } else { own.size };
        self.set_size(content);
        Ok(own)
    }
}

/// The records of an extended header: `LENGTH KEY=VALUE\n`.
fn pax(bytes: &[u8]) -> io::Result<Vec<(Bytes, Bytes)>> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() && at(rest, 0) != 0 {
        let blank = rest.iter().position(|byte| *byte == b' ');
        let length =
            blank.and_then(|blank| number(part(rest, 0, blank))).and_then(|length| usize::try_from(length).ok());
        let (Some(blank), Some(length)) = (blank, length) else {
            return bad("Malformed extended header: missing length");
        };
        if length <= blank + 2 || length > rest.len() || at(rest, length - 1) != b'\n' {
            return bad("Malformed extended header: length is out of range");
        }
        let record = part(rest, blank + 1, length - 1);
        let Some(equals) = record.iter().position(|byte| *byte == b'=') else {
            return bad("Malformed extended header: missing equal sign");
        };
        records.push((part(record, 0, equals).to_vec(), after(record, equals + 1).to_vec()));
        rest = after(rest, length);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_headers() {
        assert_eq!(numeric(b"0000644\0"), Some(0o644));
        assert_eq!(numeric(b"   17 \0"), Some(0o17));
        assert_eq!(numeric(&[0x80, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(numeric(&[0xff; 12]), Some(-1));
        assert_eq!(numeric(b"9"), None);
    }

    #[test]
    fn records() {
        assert_eq!(pax(b"12 path=abc\n").unwrap(), [(b"path".to_vec(), b"abc".to_vec())]);
        for text in [&b"99 path=abc\n"[..], b"x", b"3 \n", b"12 pathxabc\n", b"12 path=abcd"] {
            assert!(pax(text).is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(mut bytes: Vec<u8>, kind in "[0-9LKxgS]") {
            bytes.resize(1536, 0);
            bytes[156] = kind.as_bytes()[0];
            let sum: u32 = bytes[..512].iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) }).sum();
            bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            let mut input = bytes.as_slice();
            let mut reader = Reader::new(&mut input);
            for _ in 0..10 {
                if !matches!(reader.next(), Ok(Some(_))) {
                    break;
                }
            }
        }
    }
}
