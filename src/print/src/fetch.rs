//! Checked reads from hostile bytes.
//!
//! A slice reaches as far as the packet was captured (or as the enclosing header says it goes); lengths that a header
//! claims travel beside it. A read past the end is [`Short`], which ends the packet with a mark naming the protocol.

/// The bytes end before the field does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short;

/// The result of a printer.
pub(crate) type Res<T = ()> = Result<T, Short>;

/// Integers at an offset.
pub(crate) trait Fetch {
    fn part(&self, at: usize, length: usize) -> Res<&[u8]>;

    /// What is left from `at`; nothing when that lies past the end.
    fn tail(&self, at: usize) -> &[u8];

    /// At most `length` bytes.
    fn head(&self, length: usize) -> &[u8];

    /// Whether `length` bytes are there.
    fn holds(&self, length: usize) -> bool;

    fn bytes<const N: usize>(&self, at: usize) -> Res<[u8; N]>;

    fn u8(&self, at: usize) -> Res<u8> {
        self.bytes::<1>(at).map(|[byte]| byte)
    }
    fn u16(&self, at: usize) -> Res<u16> {
        self.bytes(at).map(u16::from_be_bytes)
    }
    fn u24(&self, at: usize) -> Res<u32> {
        self.bytes::<3>(at).map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }
    fn u32(&self, at: usize) -> Res<u32> {
        self.bytes(at).map(u32::from_be_bytes)
    }
    fn u64(&self, at: usize) -> Res<u64> {
        self.bytes(at).map(u64::from_be_bytes)
    }
    fn le16(&self, at: usize) -> Res<u16> {
        self.bytes(at).map(u16::from_le_bytes)
    }
    fn le32(&self, at: usize) -> Res<u32> {
        self.bytes(at).map(u32::from_le_bytes)
    }
    /// A big-endian integer of up to eight octets.
    fn uint(&self, at: usize, length: usize) -> Res<u64> {
        let bytes = self.part(at, length)?;
        Ok(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }
}

impl Fetch for [u8] {
    #[inline]
    fn part(&self, at: usize, length: usize) -> Res<&[u8]> {
        at.checked_add(length).and_then(|end| self.get(at..end)).ok_or(Short)
    }

    #[inline]
    fn tail(&self, at: usize) -> &[u8] {
        self.get(at..).unwrap_or_default()
    }

    #[inline]
    fn head(&self, length: usize) -> &[u8] {
        self.get(..length).unwrap_or(self)
    }

    #[inline]
    fn holds(&self, length: usize) -> bool {
        self.len() >= length
    }

    #[inline]
    fn bytes<const N: usize>(&self, at: usize) -> Res<[u8; N]> {
        self.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().ok_or(Short)
    }
}

/// A name by number.
pub(crate) type Names = [(u32, &'static str)];

/// The name of a number.
pub(crate) fn name(table: &Names, number: impl Into<u32>) -> Option<&'static str> {
    let number = number.into();
    table.iter().find(|entry| entry.0 == number).map(|entry| entry.1)
}

/// The Internet checksum (RFC 1071) of several pieces, each of which but the last has an even length:
/// 0 when a stored checksum among them is right.
pub(crate) fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for piece in pieces {
        let mut words = piece.chunks_exact(4);
        for word in words.by_ref() {
            sum += u64::from(word.u32(0).unwrap_or(0));
        }
        let rest = words.remainder();
        let mut last = [0u8; 4];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        sum += u64::from(u32::from_be_bytes(last));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// What a stored checksum should have been, from itself and the sum over everything.
pub(crate) fn should_be(stored: u16, computed: u16) -> u16 {
    let mut sum = u32::from(stored) + u32::from(computed);
    sum = (sum & 0xffff) + (sum >> 16);
    (sum + (sum >> 16)) as u16
}
