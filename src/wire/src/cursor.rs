//! A reader over hostile bytes: every fetch is checked, nothing is copied, nothing panics.

/// Position in a byte string. All multi-byte integers are in network order.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// At `at`, which may lie past the end; reads then fail.
    pub fn at(bytes: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { bytes, at }
    }

    /// Offset from the start.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Everything that is left, consumed.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len().max(self.at);
        rest
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(n)?;
        let slice = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(slice)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// An octet.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two octets.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four octets.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Six octets in the low bits.
    pub fn u48(&mut self) -> Option<u64> {
        let high = self.u16()?;
        let low = self.u32()?;
        Some(u64::from(high) << 32 | u64::from(low))
    }

    /// Eight octets.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A string with its length in one leading octet.
    pub fn counted(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_stops_at_the_end() {
        let mut c = Cursor::new(&[1, 2, 3, 4, 5, 2, b'h', b'i']);
        assert_eq!(c.u8(), Some(1));
        assert_eq!(c.u32(), Some(0x0203_0405));
        assert_eq!(c.counted(), Some(&b"hi"[..]));
        assert_eq!((c.u8(), c.left()), (None, 0));
        assert_eq!(Cursor::at(&[1], 9).u8(), None);
        assert_eq!(Cursor::at(&[1], 9).rest(), b"");
        assert_eq!(Cursor::at(&[1], 9).left(), 0);
    }
}
