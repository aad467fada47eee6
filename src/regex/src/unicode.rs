//! What Unicode says of a character, from tables that `build.rs` packs; unpacked once, when first asked.

use std::sync::OnceLock;

include!(concat!(env!("OUT_DIR"), "/unicode.rs"));

/// The number of a general category in [`category_names`].
pub(super) type Category = u8;

/// The two letters of every general category, in the order of their numbers.
pub(super) fn category_names() -> &'static [&'static str] {
    &CATEGORY_NAMES
}

/// The number of the general category with these two letters.
pub(super) fn category_named(name: &str) -> Option<Category> {
    CATEGORY_NAMES.iter().position(|known| *known == name).and_then(|place| u8::try_from(place).ok())
}

/// The general category of a character.
pub(super) fn category(c: char) -> Category {
    static RUNS: OnceLock<Vec<(u32, u8)>> = OnceLock::new();
    run(RUNS.get_or_init(|| unpack(CATEGORIES)), c)
}

/// The number of a script, by its full or its short name, small and capital letters the same.
pub(super) fn script_named(name: &str) -> Option<u8> {
    let same = |line: &str| line.split(' ').any(|known| known.eq_ignore_ascii_case(name));
    SCRIPT_NAMES.lines().position(same).and_then(|place| u8::try_from(place).ok())
}

/// The script of a character (its one `Script` property, UAX #24).
pub(super) fn script(c: char) -> u8 {
    static RUNS: OnceLock<Vec<(u32, u8)>> = OnceLock::new();
    run(RUNS.get_or_init(|| unpack(SCRIPTS)), c)
}

/// The capital of a character; itself where there is none, or none of one character.
pub(super) fn upper(c: char) -> char {
    static RANGES: OnceLock<Vec<Range>> = OnceLock::new();
    other(RANGES.get_or_init(|| unpack_ranges(UPPER)), c)
}

/// The small letter of a character; itself where there is none, or none of one character.
pub(super) fn lower(c: char) -> char {
    static RANGES: OnceLock<Vec<Range>> = OnceLock::new();
    other(RANGES.get_or_init(|| unpack_ranges(LOWER)), c)
}

/// First and last character of a range, how far its characters are apart, and the distance to their other case.
type Range = (u32, u32, u32, i32);

fn number(bytes: &mut std::slice::Iter<'_, u8>) -> u32 {
    let mut value = 0;
    for (shift, byte) in (0..).step_by(7).zip(bytes) {
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// First character and value of each run.
fn unpack(packed: &[u8]) -> Vec<(u32, u8)> {
    let mut bytes = packed.iter();
    let mut first = 0;
    let mut runs = Vec::new();
    while !bytes.as_slice().is_empty() {
        let value = number(&mut bytes);
        runs.push((first, value as u8));
        first += number(&mut bytes);
    }
    runs
}

fn unpack_ranges(packed: &[u8]) -> Vec<Range> {
    let mut bytes = packed.iter();
    let mut last = 0;
    let mut ranges = Vec::new();
    while !bytes.as_slice().is_empty() {
        let first = last + number(&mut bytes);
        let (count, step, distance) = (number(&mut bytes), number(&mut bytes), number(&mut bytes));
        last = first + count.saturating_sub(1) * step;
        let size = (distance >> 1).cast_signed();
        ranges.push((first, last, step, if distance & 1 == 1 { -size } else { size }));
    }
    ranges
}

fn run(runs: &[(u32, u8)], c: char) -> u8 {
    let after = runs.partition_point(|(first, _)| *first <= u32::from(c));
    runs.get(after.wrapping_sub(1)).map_or(0, |(_, value)| *value)
}

fn other(ranges: &[Range], c: char) -> char {
    let point = u32::from(c);
    let before = ranges.partition_point(|(_, last, ..)| *last < point);
    match ranges.get(before) {
        Some(&(first, _, step, distance)) if first <= point && (point - first).checked_rem(step) == Some(0) => {
            point.checked_add_signed(distance).and_then(char::from_u32).unwrap_or(c)
        }
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_general_category::get_general_category;
    use unicode_script::UnicodeScript as _;

    /// Every character, against the crates that the tables come from.
    #[test]
    fn as_the_crates_say() {
        let scripts: Vec<&str> = SCRIPT_NAMES.lines().collect();
        for c in '\0'..=char::MAX {
            assert!(get_general_category(c).abbreviation().eq_ignore_ascii_case(CATEGORY_NAMES[category(c) as usize]));
            let names = scripts[script(c) as usize].split_once(' ');
            assert_eq!(names, Some((c.script().full_name(), c.script().short_name())), "{c:?}");
            let single = |mut cases: Box<dyn Iterator<Item = char>>| cases.next().filter(|_| cases.next().is_none());
            assert_eq!(upper(c), single(Box::new(c.to_uppercase())).unwrap_or(c), "{c:?}");
            assert_eq!(lower(c), single(Box::new(c.to_lowercase())).unwrap_or(c), "{c:?}");
        }
        assert_eq!((script_named("greek"), script_named("Grek")), (Some(script('α')), Some(script('α'))));
        assert_eq!(script_named("nonsense"), None);
        assert_eq!(category_named("xx"), None);
    }
}
