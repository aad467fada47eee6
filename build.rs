//! Writes the applet table from the folders below `applets/`, and the facts `--version` prints.
//!
//! A folder without a dependency line, or a line without a folder, is a build error that names it.
//! `NETKIT_APPLETS="dig nc"` keeps only those folders in the table, for slim builds.
#![allow(clippy::print_stdout, clippy::panic, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let root = Path::new(&root);
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    println!("cargo:rerun-if-changed=applets");
    println!("cargo:rerun-if-changed=Cargo.toml");
    println!("cargo:rerun-if-env-changed=NETKIT_APPLETS");
    println!("cargo:rerun-if-env-changed=NETKIT_PACKED");

    let folders = folders(&root.join("applets"));
    let lines = dependency_lines(&root.join("Cargo.toml"));
    if let Some(missing) = folders.difference(&lines).next() {
        panic!(
            "applets/{missing} has no line `netkit-{missing} = {{ path = \"applets/{missing}\" }}` in the root Cargo.toml"
        );
    }
    if let Some(missing) = lines.difference(&folders).next() {
        panic!("the root Cargo.toml names applets/{missing}, but there is no such folder");
    }

    let wanted = env::var("NETKIT_APPLETS").ok().filter(|list| !list.trim().is_empty());
    let chosen: Vec<&String> = match &wanted {
        None => folders.iter().collect(),
        Some(list) => list
            .split_whitespace()
            .map(|name| {
                folders
                    .get(name)
                    .unwrap_or_else(|| panic!("NETKIT_APPLETS names `{name}`, but applets/{name} does not exist"))
            })
            .collect(),
    };
    let mut table = String::from(
        "/// Every applet crate of this build.\n#[used]\npub(crate) static TABLE: &[&[netkit_core::Applet]] = &[\n",
    );
    for name in &chosen {
        table.push_str(&format!("    netkit_{}::APPLETS,\n", name.replace('-', "_")));
    }
    table.push_str("];\n");
    fs::write(Path::new(&out).join("table.rs"), table).expect("OUT_DIR is writable");

    // For the linker of `cargo xtask dist` (xtask/src/link.rs): the table's order, and what of it is packed.
    if let Ok(packed) = env::var("NETKIT_PACKED") {
        let packed: BTreeSet<&str> = packed.split_whitespace().collect();
        if let Some(missing) = packed.iter().find(|name| !folders.contains(**name)) {
            panic!("the root Cargo.toml wants `{missing}` packed, but applets/{missing} does not exist");
        }
        let mark = |name: &String| if packed.contains(name.as_str()) { format!("+{name}") } else { name.clone() };
        let list: Vec<String> = chosen.into_iter().map(mark).collect();
        println!("cargo:rustc-link-arg-bin=netkit=--netkit-applets={}", list.join(","));
    }

    build_facts(root);
}

fn folders(dir: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(dir) else { return BTreeSet::new() };
    entries
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Names `X` of every manifest line `netkit-X = { path = "applets/X" ... }`.
fn dependency_lines(manifest: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(manifest).expect("the root Cargo.toml is readable");
    text.lines()
        .filter_map(|line| line.trim_start().strip_prefix("netkit-"))
        .filter(|line| line.contains("\"applets/"))
        .filter_map(|line| line.split([' ', '=']).next())
        .map(str::to_owned)
        .collect()
}

fn build_facts(root: &Path) {
    for name in ["NETKIT_COMMIT", "SOURCE_DATE_EPOCH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let head = root.join(".git/HEAD");
    if head.is_file() {
        println!("cargo:rerun-if-changed=.git/HEAD");
        println!("cargo:rerun-if-changed=.git/refs/heads");
    }
    // The image build has no .git; it hands the commit in.
    let commit = env::var("NETKIT_COMMIT").ok().filter(|c| !c.is_empty()).or_else(|| {
        let out = Command::new("git").arg("-C").arg(root).args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
        out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
    });
    println!("cargo:rustc-env=NETKIT_BUILD_COMMIT={}", commit.unwrap_or_else(|| "unknown".to_owned()));
    let epoch = env::var("SOURCE_DATE_EPOCH").unwrap_or_default();
    println!("cargo:rustc-env=NETKIT_BUILD_EPOCH={epoch}");
    println!("cargo:rustc-env=NETKIT_BUILD_TARGET={}", env::var("TARGET").unwrap_or_default());
    println!("cargo:rustc-env=NETKIT_TRUST_ROOTS={}", trust_roots(root));
}

/// The crate of the built-in trust roots with the day on which that version was published; the crate itself has no date.
/// A new version in Cargo.lock is an error here until its day is known.
fn trust_roots(root: &Path) -> String {
    const VERSION: &str = "1.0.10";
    const DAY: &str = "2026-10-19";
    let lock = root.join("Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    let text = fs::read_to_string(&lock).expect("Cargo.lock is readable");
    let locked = text.split("\n\n").find(|package| package.contains("name = \"webpki-roots\""));
    let version = locked.and_then(|package| package.split("version = \"").nth(1)?.split('"').next());
    assert!(
        version == Some(VERSION),
        "webpki-roots is {version:?} in Cargo.lock: write its version and day into build.rs"
    );
    format!("webpki-roots {VERSION} of {DAY}")
}
