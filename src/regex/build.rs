//! Packs what the regular expressions need of Unicode: the crates' own tables are made for speed and have 105 KB, runs
//! with their lengths have 12.
//!
//! | name | what it holds |
//! |---|---|
//! | `CATEGORY_NAMES` | the two letters of each general category, in small letters; its place is its number |
//! | `CATEGORIES` | runs of general categories |
//! | `SCRIPT_NAMES` | full and short name of each script, a line each; its place is its number |
//! | `SCRIPTS` | runs of scripts |
//! | `UPPER`, `LOWER` | characters with another case of one character |
//!
//! A run is its value and its length, a number is written seven bits a byte, the lowest first, the last without the
//! high bit. What a range of cases is, is said at `ranges`.

use std::fmt::Write as _;
use std::path::PathBuf;

use unicode_general_category::get_general_category;
use unicode_script::UnicodeScript as _;

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let mut text = String::new();

    let mut categories: Vec<String> = Vec::new();
    let runs = runs(|c| place(&mut categories, get_general_category(c).abbreviation().to_ascii_lowercase()));
    let _ = writeln!(text, "const CATEGORY_NAMES: [&str; {}] = {categories:?};", categories.len());
    let _ = writeln!(text, "const CATEGORIES: &[u8] = &{runs:?};");

    let mut scripts: Vec<String> = Vec::new();
    let runs = self::runs(|c| {
        let script = c.script();
        place(&mut scripts, format!("{} {}", script.full_name(), script.short_name()))
    });
    let _ = writeln!(text, "const SCRIPT_NAMES: &str = {:?};", scripts.join("\n"));
    let _ = writeln!(text, "const SCRIPTS: &[u8] = &{runs:?};");

    let _ = writeln!(text, "const UPPER: &[u8] = &{:?};", ranges(|c| single(c.to_uppercase())));
    let _ = writeln!(text, "const LOWER: &[u8] = &{:?};", ranges(|c| single(c.to_lowercase())));
    std::fs::write(out.join("unicode.rs"), text)
}

/// The place of a name in the list, which grows when it is new.
fn place(names: &mut Vec<String>, name: String) -> u32 {
    let known = names.iter().position(|other| *other == name);
    let place = known.unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    });
    place as u32
}

fn number(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Value and length of each run, from the first character to the last. Surrogates are no characters and count as what
/// stands before them.
fn runs(mut value: impl FnMut(char) -> u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut run = (value('\0'), 0);
    for point in 0..=0x10ffff {
        let now = char::from_u32(point).map_or(run.0, &mut value);
        if now != run.0 {
            number(&mut out, run.0);
            number(&mut out, run.1);
            run = (now, 0);
        }
        run.1 += 1;
    }
    number(&mut out, run.0);
    number(&mut out, run.1);
    out
}

fn single(mut cases: impl Iterator<Item = char>) -> Option<char> {
    cases.next().filter(|_| cases.next().is_none())
}

/// Ranges of characters with the same distance to their other case, each four numbers: how far its first is from the
/// last of the range before, how many it has, how far they are from each other (1, or 2 where capitals and small
/// letters alternate), and the distance, its sign in the lowest bit.
fn ranges(other: impl Fn(char) -> Option<char>) -> Vec<u8> {
    let mut found: Vec<(u32, u32, u32, i64)> = Vec::new();
    for c in '\0'..=char::MAX {
        let Some(case) = other(c).filter(|case| *case != c) else { continue };
        let (point, distance) = (u32::from(c), i64::from(u32::from(case)) - i64::from(u32::from(c)));
        match found.last_mut() {
            Some((first, count, step, same)) if *same == distance && *count == 1 && point - *first <= 2 => {
                *step = point - *first;
                *count = 2;
            }
            Some((first, count, step, same)) if *same == distance && point == *first + *count * *step => *count += 1,
            _ => found.push((point, 1, 1, distance)),
        }
    }
    let mut out = Vec::new();
    let mut last = 0;
    for (first, count, step, distance) in found {
        number(&mut out, first - last);
        number(&mut out, count);
        number(&mut out, step);
        number(&mut out, (distance.unsigned_abs() as u32) << 1 | u32::from(distance < 0));
        last = first + (count - 1) * step;
    }
    out
}
