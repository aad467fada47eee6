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

/// Names by number, made by [`names!`](crate::names): each its number, seven bits a byte and the lowest first, the length
/// of its name, its name. As pairs they would have twenty bytes more each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names(&'static [u8]);

impl Names {
    pub(crate) const fn packed(bytes: &'static [u8]) -> Names {
        Names(bytes)
    }

    /// All of them, in their order.
    pub(crate) fn iter(self) -> impl Iterator<Item = (u32, &'static str)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let mut number = 0;
            for shift in (0..).step_by(7) {
                let (byte, behind) = rest.split_first()?;
                rest = behind;
                number |= u32::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let (length, behind) = rest.split_first()?;
            let (name, behind) = behind.split_at_checked(usize::from(*length))?;
            rest = behind;
            Some((number, std::str::from_utf8(name).ok()?))
        })
    }
}

/// Bytes of a packed table.
pub(crate) const fn packed_length(table: &[(u32, &str)]) -> usize {
    let mut length = 0;
    let mut rest = table;
    while let [(number, name), behind @ ..] = rest {
        let bits = u32::BITS - (*number | 1).leading_zeros();
        length += bits.div_ceil(7) as usize + 1 + name.len();
        rest = behind;
    }
    length
}

/// The packed table. A name of more than 255 bytes does not compile.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of range")]
pub(crate) const fn pack<const LENGTH: usize>(table: &[(u32, &str)]) -> [u8; LENGTH] {
    let mut packed = [0; LENGTH];
    let mut at = 0;
    let mut rest = table;
    while let [(number, name), behind @ ..] = rest {
        let mut number = *number;
        while number >= 0x80 {
            packed[at] = (number & 0x7f) as u8 | 0x80;
            number >>= 7;
            at += 1;
        }
        packed[at] = number as u8;
        let bytes = name.as_bytes();
        assert!(bytes.len() <= 255);
        packed[at + 1] = bytes.len() as u8;
        at += 2;
        let mut index = 0;
        while index < bytes.len() {
            packed[at] = bytes[index];
            at += 1;
            index += 1;
        }
        rest = behind;
    }
    assert!(at == LENGTH);
    packed
}

/// [`Names`] from pairs of a number and its name.
macro_rules! names {
    ($($pair:expr),* $(,)?) => {{
        const TABLE: &[(u32, &str)] = &[$($pair),*];
        const PACKED: [u8; $crate::fetch::packed_length(TABLE)] = $crate::fetch::pack(TABLE);
        $crate::fetch::Names::packed(&PACKED)
    }};
}

pub(crate) use names;

/// The name of a number.
pub(crate) fn name(table: Names, number: impl Into<u32>) -> Option<&'static str> {
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
