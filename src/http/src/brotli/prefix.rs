//! Bits of the input, and prefix codes (RFC 7932, section 3).

/// The longest code of a prefix code, in bits (section 3.5).
const LONGEST_CODE: usize = 15;
/// How many bits of a code are looked up at once.
const ROOT: u32 = 8;

/// Why a unit was not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The input ends inside of it.
    More,
    /// It is not brotli.
    Broken,
}

pub(super) type Step<T> = Result<T, Stop>;

/// The input, how many of its bits are used up, and how many of them for good.
#[derive(Debug, Default)]
pub(super) struct Bits {
    pub(super) bytes: Vec<u8>,
    pub(super) at: usize,
    pub(super) mark: usize,
}

impl Bits {
    /// The next bits, the first lowest, at most 25, with zeros behind the end.
    fn peek(&self) -> u32 {
        let start = self.at >> 3;
        let word = match self.bytes.get(start..start + 4) {
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            _ => self.bytes.iter().skip(start).rev().fold(0, |word, byte| word << 8 | u32::from(*byte)),
        };
        word >> (self.at & 7)
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }

    pub(super) fn skip(&mut self, count: usize) -> Step<()> {
        if self.left() < count {
            return Err(Stop::More);
        }
        self.at += count;
        Ok(())
    }

    /// A number of at most 25 bits, the lowest first.
    pub(super) fn take(&mut self, count: u32) -> Step<u32> {
        let value = self.peek() & ((1 << count) - 1);
        self.skip(count as usize).map(|()| value)
    }

    pub(super) fn flag(&mut self) -> Step<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    /// Bits up to the next whole byte, which must be zero.
    pub(super) fn align(&mut self) -> Step<()> {
        match self.take((8 - (self.at & 7) as u32) & 7)? {
            0 => Ok(()),
            _ => Err(Stop::Broken),
        }
    }

    /// A code whose ranges of values have so many extra bits each.
    pub(super) fn ranged(&mut self, symbol: usize, extra: &[u8], first: u32) -> Step<u32> {
        let base: u32 = extra.iter().take(symbol).map(|bits| 1u32 << bits).sum();
        let bits = extra.get(symbol).ok_or(Stop::Broken)?;
        Ok(first + base + self.take(u32::from(*bits))?)
    }

    /// 1 to 256, as block types and trees are counted (section 9.2).
    pub(super) fn count(&mut self) -> Step<usize> {
        if !self.flag()? {
            return Ok(1);
        }
        let bits = self.take(3)?;
        Ok(1 + (1 << bits) + self.take(bits)? as usize)
    }
}

/// A canonical prefix code (section 3.1).
#[derive(Debug, Default)]
pub(super) struct Prefix {
    /// By the next [`ROOT`] bits: symbol and length; length 0 where the code is longer.
    root: Vec<(u16, u8)>,
    /// How many codes there are of each length.
    counts: [u16; LONGEST_CODE + 1],
    /// Symbols in the order of their codes.
    symbols: Vec<u16>,
}

impl Prefix {
    /// Of the length of each symbol's code. The lengths fill the code space, or there is one symbol only, which then
    /// has no bits.
    pub(super) fn new(lengths: &[u8]) -> Prefix {
        let mut prefix = Prefix::default();
        let used = |length: usize| lengths.iter().zip(0u16..).filter(move |(l, _)| usize::from(**l) == length);
        let mut code = 0usize;
        let mut root = vec![(0, 0); 1 << ROOT];
        for length in 1..=LONGEST_CODE {
            code <<= 1;
            for (_, symbol) in used(length) {
                prefix.symbols.push(symbol);
                if let Some(count) = prefix.counts.get_mut(length) {
                    *count += 1;
                }
                if length <= ROOT as usize {
                    // Codes stand in the input with their highest bit first.
                    let low = code.reverse_bits() >> (usize::BITS as usize - length);
                    for slot in root.iter_mut().skip(low).step_by(1 << length) {
                        *slot = (symbol, length as u8);
                    }
                }
                code += 1;
            }
        }
        if prefix.symbols.len() > 1 {
            prefix.root = root;
        }
        prefix
    }

    pub(super) fn read(&self, bits: &mut Bits) -> Step<usize> {
        let next = bits.peek();
        let Some(&(symbol, length)) = self.root.get((next & ((1 << ROOT) - 1)) as usize) else {
            return self.symbols.first().map(|symbol| usize::from(*symbol)).ok_or(Stop::Broken);
        };
        if length > 0 {
            return bits.skip(usize::from(length)).map(|()| usize::from(symbol));
        }
        let (mut code, mut first, mut place) = (0u32, 0u32, 0u32);
        for length in 1..=LONGEST_CODE {
            code = code << 1 | next >> (length - 1) & 1;
            first <<= 1;
            let count = u32::from(self.counts.get(length).copied().unwrap_or_default());
            if code < first + count {
                bits.skip(length)?;
                let symbol = self.symbols.get((place + code - first) as usize);
                return symbol.map(|symbol| usize::from(*symbol)).ok_or(Stop::Broken);
            }
            first += count;
            place += count;
        }
        Err(Stop::Broken)
    }

    /// From the input, for an alphabet of so many symbols (sections 3.4 and 3.5).
    pub(super) fn parse(bits: &mut Bits, alphabet: usize) -> Step<Prefix> {
        match bits.take(2)? {
            1 => Prefix::simple(bits, alphabet),
            skipped => Prefix::complex(bits, alphabet, skipped as usize),
        }
    }

    fn simple(bits: &mut Bits, alphabet: usize) -> Step<Prefix> {
        let count = bits.take(2)? as usize + 1;
        let width = usize::BITS - (alphabet - 1).leading_zeros();
        let mut lengths = vec![0u8; alphabet];
        let mut symbols = Vec::new();
        for _ in 0..count {
            let symbol = bits.take(width)? as usize;
            if symbol >= alphabet || symbols.contains(&symbol) {
                return Err(Stop::Broken);
            }
            symbols.push(symbol);
        }
        let shape: &[u8] = match count {
            1 => &[1],
            2 => &[1, 1],
            3 => &[1, 2, 2],
            _ if bits.flag()? => &[1, 2, 3, 3],
            _ => &[2, 2, 2, 2],
        };
        for (symbol, length) in symbols.iter().zip(shape) {
            if let Some(slot) = lengths.get_mut(*symbol) {
                *slot = *length;
            }
        }
        Ok(Prefix::new(&lengths))
    }

    fn complex(bits: &mut Bits, alphabet: usize, skipped: usize) -> Step<Prefix> {
        /// The order in which the lengths of the code lengths' codes stand.
        const ORDER: [u8; 18] = [1, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let mut lengths = [0u8; 18];
        let mut space = 32i32;
        let mut used = 0;
        for symbol in ORDER.iter().skip(skipped) {
            // A fixed code for 0 to 5; the bits in the order of the input.
            let (length, width) = match bits.peek() & 15 {
                low if low & 3 == 0 => (0, 2),
                low if low & 3 == 1 => (4, 2),
                low if low & 3 == 2 => (3, 2),
                low if low & 7 == 3 => (2, 3),
                7 => (1, 4),
                _ => (5, 4),
            };
            bits.skip(width)?;
            if let Some(slot) = lengths.get_mut(usize::from(*symbol)) {
                *slot = length;
            }
            if length > 0 {
                space -= 32 >> length;
                used += 1;
                if space <= 0 {
                    break;
                }
            }
        }
        if space != 0 && used != 1 {
            return Err(Stop::Broken);
        }
        let code = Prefix::new(&lengths);
        let mut lengths = vec![0u8; alphabet];
        let (mut at, mut space, mut last) = (0, 32_768i32, 8u8);
        // The run that a repetition may lengthen: its symbol and how long it is.
        let mut run = (0, 0usize);
        while at < alphabet && space > 0 {
            let symbol = code.read(bits)?;
            if symbol < 16 {
                run = (0, 0);
                if let Some(slot) = lengths.get_mut(at) {
                    *slot = symbol as u8;
                }
                at += 1;
                if symbol > 0 {
                    last = symbol as u8;
                    space -= 32_768 >> symbol;
                }
                continue;
            }
            let width = symbol as u32 - 14;
            let length = if symbol == 16 { last } else { 0 };
            let before = if run.0 == symbol { run.1 } else { 0 };
            let base = if before > 0 { (before - 2) << width } else { 0 };
            run = (symbol, base + 3 + bits.take(width)? as usize);
            let more = run.1 - before;
            if at + more > alphabet {
                return Err(Stop::Broken);
            }
            lengths.iter_mut().skip(at).take(more).for_each(|slot| *slot = length);
            at += more;
            if length > 0 {
                space = space.saturating_sub_unsigned((more as u32) << (15 - length));
            }
        }
        if space == 0 { Ok(Prefix::new(&lengths)) } else { Err(Stop::Broken) }
    }
}
