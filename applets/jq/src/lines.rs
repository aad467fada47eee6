//! Line feeds, eight bytes at a time: every byte of the input is looked at for them, for the sake of line numbers.

/// The highest bit of each byte of `word` that is a line feed, and no other bit.
fn marks(word: [u8; 8]) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differs = u64::from_le_bytes(word) ^ 0x0a0a_0a0a_0a0a_0a0a;
    !(((differs & LOW) + LOW) | differs | LOW)
}

/// How many line feeds there are.
pub(crate) fn count(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let whole: u64 = words.iter().map(|word| u64::from(marks(*word).count_ones())).sum();
    whole + rest.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Where the last line feed is.
pub(crate) fn last(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks();
    let within = rest.iter().rposition(|byte| *byte == b'\n').map(|at| words.len() * 8 + at);
    within.or_else(|| {
        let (index, word) = words.iter().enumerate().rfind(|(_, word)| marks(**word) != 0)?;
        Some(index * 8 + 7 - (marks(*word).leading_zeros() / 8) as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_one_byte_at_a_time(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>(), Just(0x8a), Just(0x0b)], 0..60)) {
            prop_assert_eq!(count(&bytes), bytes.iter().filter(|byte| **byte == b'\n').count() as u64);
            prop_assert_eq!(last(&bytes), bytes.iter().rposition(|byte| *byte == b'\n'));
        }
    }
}
