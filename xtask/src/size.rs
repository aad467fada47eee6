//! `cargo xtask size`: bytes by crate and by applet, the change since the last record, and what is left of the budget.
//!
//! A function or constant counts for the crate that its symbol's path begins with, read from the build before its
//! symbols are removed. An instance of another crate's generic code counts for the crate that wrote it, so a `Vec`
//! of an applet's type is `alloc`'s. What no symbol owns (string literals, relocations, headers) is one line of its own.
//! An applet's figure is that of its crate; the rooms it alone uses are seen in the list by crate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::dist;
use crate::elf::Elf;
use crate::musl::Way;
use crate::process::at;
use crate::rootfs;
use crate::workspace::{list, metadata, root, source, text};
use crate::{Result, dist::Dist};

pub(crate) const USAGE: &str = "[--record]";

/// The whole root file system stays within 5 MiB when every applet is in it.
const LIMIT: u64 = 5 * 1024 * 1024;
/// Each applet is built as if this were the limit.
const GOAL: u64 = 5_000_000;
/// Crates with fewer bytes share a line.
const SMALL: u64 = 512;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let record = match arguments {
        [] => false,
        [flag] if flag == "--record" => true,
        _ => return Err(format!("usage: cargo xtask size {USAGE}")),
    };
    let dist = dist::build(Way::Auto)?;
    let figures = Figures::of(&dist)?;
    check_figures(&figures)?;
    if record {
        figures.write(&record_path())?;
        println!("recorded in {}", record_path().display());
    }
    Ok(())
}

/// Prints the figures of a build and fails when the root file system is too large.
pub(crate) fn check(dist: &Dist) -> Result<()> {
    check_figures(&Figures::of(dist)?)
}

fn check_figures(figures: &Figures) -> Result<()> {
    let before = Figures::read(&record_path())?;
    print!("{}", report(figures, before.as_ref(), &applet_crates()?));
    budget(figures.rootfs)
}

fn budget(rootfs: u64) -> Result<()> {
    if rootfs <= LIMIT {
        return Ok(());
    }
    Err(format!("the root file system has {rootfs} bytes, {} above the limit of {LIMIT}", rootfs - LIMIT))
}

fn record_path() -> PathBuf {
    root().join("xtask/size.json")
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Figures {
    /// What was measured: the commit.
    commit: String,
    /// The root file system as an image layer, the larger of two ways to count.
    rootfs: u64,
    /// The binary as released.
    binary: u64,
    /// What is loaded of it when every packed applet is in place; the file has less.
    loaded: u64,
    /// Bytes of symbols, by crate.
    crates: BTreeMap<String, u64>,
}

impl Figures {
    fn of(dist: &Dist) -> Result<Figures> {
        let bytes = fs::read(&dist.with_symbols).map_err(at("read", &dist.with_symbols))?;
        let mut crates = BTreeMap::new();
        let elf = Elf::new(&bytes)?;
        let sections = elf.sections()?;
        let in_file = sections.iter().filter(|section| section.is_loaded() && section.is_in_file());
        let loaded = in_file.map(|section| section.size).sum::<usize>() as u64;
        for symbol in elf.symbols()? {
            *crates.entry(crate_of(&symbol.name)).or_default() += symbol.size;
        }
        Ok(Figures {
            commit: source().commit.unwrap_or_else(|| "unknown".to_owned()),
            rootfs: rootfs::measure(&dist.rootfs)?.layer,
            binary: fs::metadata(&dist.binary).map_err(at("look at", &dist.binary))?.len(),
            loaded,
            crates,
        })
    }

    /// `None` when nothing was recorded yet.
    fn read(path: &Path) -> Result<Option<Figures>> {
        if !path.exists() {
            return Ok(None);
        }
        let content = fs::read_to_string(path).map_err(at("read", path))?;
        let value: Value = serde_json::from_str(&content).map_err(|error| format!("{}: {error}", path.display()))?;
        let number = |key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
        let crates = value.get("crates").and_then(Value::as_object);
        Ok(Some(Figures {
            commit: text(&value, "commit").to_owned(),
            rootfs: number("rootfs"),
            binary: number("binary"),
            loaded: number("loaded"),
            crates: crates
                .into_iter()
                .flatten()
                .map(|(name, bytes)| (name.clone(), bytes.as_u64().unwrap_or(0)))
                .collect(),
        }))
    }

    fn write(&self, path: &Path) -> Result<()> {
        let value = json!({
            "commit": self.commit, "rootfs": self.rootfs, "binary": self.binary, "loaded": self.loaded, "crates": self.crates,
        });
        fs::write(path, format!("{value:#}\n")).map_err(at("write", path))
    }
}

/// The first path segment of a demangled Rust name; C and assembly have no path.
fn crate_of(symbol: &str) -> String {
    let name = format!("{:#}", rustc_demangle::demangle(symbol));
    if name == symbol && !name.contains("::") {
        return "(C and assembly)".to_owned();
    }
    // `<&mut dyn a::B as c::D>::e`: the implementing type's crate, which is where the reader would look. For a type
    // without a crate (`<[T] as ..>`, `<u8 as ..>`) the trait's.
    let candidates = name.split(" as ").map(|part| {
        let start = part.trim_start_matches(['<', '&', '*', '[', '(', ' ']);
        let start = ["mut ", "const ", "dyn "].iter().fold(start, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
        start.find("::").and_then(|end| start.get(..end)).unwrap_or("").to_owned()
    });
    let is_crate = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    candidates.into_iter().find(is_crate).unwrap_or_else(|| "(other)".to_owned())
}

/// Names of the applets' crates as symbols spell them.
fn applet_crates() -> Result<Vec<String>> {
    let metadata = metadata(&["--no-deps"])?;
    Ok(list(&metadata, "packages")
        .iter()
        .filter(|package| text(package, "manifest_path").contains("/applets/"))
        .map(|package| text(package, "name").replace('-', "_"))
        .collect())
}

fn report(now: &Figures, before: Option<&Figures>, applets: &[String]) -> String {
    let mut out = match before {
        Some(before) => format!("size: change since {}\n", before.commit),
        None => "size: nothing recorded yet (cargo xtask size --record)\n".to_owned(),
    };
    let mut line = |name: &str, bytes: u64, then: Option<u64>| {
        let change = then.map_or(String::new(), |then| change(bytes, then));
        out.push_str(format!("  {name:<34} {bytes:>9}  {change}").trim_end());
        out.push('\n');
    };
    let of = |name: &String| before.map(|before| before.crates.get(name).copied().unwrap_or(0));

    let mut small = 0;
    let mut rows: Vec<(&String, u64)> = now.crates.iter().map(|(name, bytes)| (name, *bytes)).collect();
    rows.sort_by_key(|(name, bytes)| (std::cmp::Reverse(*bytes), *name));
    for (name, bytes) in &rows {
        if applets.contains(name) {
            continue;
        }
        if *bytes < SMALL {
            small += bytes;
        } else {
            line(name, *bytes, of(name));
        }
    }
    line("(crates below 512 bytes)", small, None);
    let owned: u64 = now.crates.values().sum();
    line("(no symbol: literals, headers)", now.loaded.saturating_sub(owned), None);
    for (name, bytes) in rows.iter().filter(|(name, _)| applets.contains(name)) {
        let shown = name.trim_start_matches("netkit_").replace('_', "-");
        line(&format!("applet {shown}"), *bytes, of(name));
    }
    line("with the packed ones in place", now.loaded, before.map(|before| before.loaded));
    line("binary", now.binary, before.map(|before| before.binary));
    line("root file system, as a layer", now.rootfs, before.map(|before| before.rootfs));
    for (name, limit) in [("left to the goal, 5,000,000", GOAL), ("left to the limit, 5,242,880", LIMIT)] {
        out.push_str(&format!("  {name:<34} {:>9}\n", i128::from(limit) - i128::from(now.rootfs)));
    }
    out
}

fn change(now: u64, then: u64) -> String {
    match i128::from(now) - i128::from(then) {
        0 => "=".to_owned(),
        difference => format!("{difference:+}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_symbols() {
        for (symbol, expected) in [
            ("_RNvNtCs5hMZ1ZcMkH4_11netkit_core5front8dispatch", "netkit_core"),
            ("_ZN3std2io5stdio6_print17h0123456789abcdefE", "std"),
            ("_ZN60_$LT$alloc..string..String$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE", "alloc"),
            ("_ZN48_$LT$$u5b$T$u5d$$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE", "core"),
            ("memcpy", "(C and assembly)"),
        ] {
            assert_eq!(crate_of(symbol), expected, "{symbol}");
        }
    }

    #[test]
    fn the_budget_fails_above_the_limit_only() {
        assert_eq!(budget(5_242_880), Ok(()));
        assert_eq!(
            budget(5_242_881),
            Err("the root file system has 5242881 bytes, 1 above the limit of 5242880".to_owned())
        );
    }

    #[test]
    fn the_report_shows_changes_and_what_is_left() {
        let crates = |dig, core| BTreeMap::from([("netkit_dig".to_owned(), dig), ("core".to_owned(), core)]);
        let before =
            Figures { commit: "abc".into(), rootfs: 9_000, binary: 6_000, loaded: 6_000, crates: crates(2_000, 1_000) };
        let now =
            Figures { commit: "def".into(), rootfs: 9_512, binary: 6_100, loaded: 6_500, crates: crates(2_500, 1_000) };
        let text = report(&now, Some(&before), &["netkit_dig".to_owned()]);
        for line in [
            "size: change since abc",
            "  core                                    1000  =",
            "  (no symbol: literals, headers)          3000",
            "  applet dig                              2500  +500",
            "  left to the limit, 5,242,880         5233368",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_record_is_read_back() {
        let path = std::env::temp_dir().join(format!("xtask-size-{}.json", std::process::id()));
        let figures = Figures {
            commit: "abc".into(),
            rootfs: 1,
            binary: 2,
            loaded: 4,
            crates: BTreeMap::from([("core".to_owned(), 3)]),
        };
        figures.write(&path).unwrap();
        let read = Figures::read(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(read, Ok(Some(figures)));
        assert_eq!(Figures::read(&path), Ok(None));
    }
}
