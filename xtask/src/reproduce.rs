//! `cargo xtask reproduce`: builds the same source in a second folder, and the bytes must be the same.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::dist::{self, Dist};
use crate::musl::Way;
use crate::process::{at, command, output_bytes};
use crate::workspace::{root, source};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        return Err("takes no arguments".to_owned());
    }
    check(&dist::build(Way::Auto)?)
}

/// Compares a finished build with one of a copy of the source, in a folder of another name and depth, whose sysroot is
/// reached by another path too.
pub(crate) fn check(first: &Dist) -> Result<()> {
    let elsewhere = Elsewhere::new()?;
    let copy = elsewhere.0.join("another/folder/of/the/same/source");
    copy_source(&copy)?;
    let mut toolchain = first.toolchain.clone();
    if let Some(sysroot) = &mut toolchain.sysroot {
        let link = elsewhere.0.join("sysroot");
        std::os::unix::fs::symlink(&*sysroot, &link).map_err(at("create", &link))?;
        *sysroot = link;
    }
    println!("reproduce: {}", copy.display());
    let second = elsewhere.0.join("netkit");
    dist::finish(&dist::compile(&toolchain, &copy, &source())?, &second)?;
    let a = fs::read(&first.binary).map_err(at("read", &first.binary))?;
    let b = fs::read(&second).map_err(at("read", &second))?;
    match first_difference(&a, &b) {
        None => {
            println!("  the same {} bytes", a.len());
            Ok(())
        }
        Some(offset) => {
            let kept = first.binary.with_file_name("netkit.elsewhere");
            fs::copy(&second, &kept).map_err(at("write", &kept))?;
            Err(format!(
                "the builds differ: {} and {} bytes, first at offset {offset}; see {}",
                a.len(),
                b.len(),
                kept.display()
            ))
        }
    }
}

/// Where two files part; a file that is the beginning of the other parts at its end.
fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    if a == b {
        return None;
    }
    Some(a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len())))
}

/// Copies what git knows or would add: no build output, no ignored files.
fn copy_source(to: &Path) -> Result<()> {
    let names = output_bytes(command("git").current_dir(root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    for name in String::from_utf8_lossy(&names).split('\0').filter(|name| !name.is_empty()) {
        let from = root().join(name);
        // A file that was deleted but not yet committed is still listed.
        if !from.is_file() {
            continue;
        }
        let path = to.join(name);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(at("create", dir))?;
        }
        fs::copy(&from, &path).map_err(at("copy", &from))?;
    }
    Ok(())
}

/// A temporary folder, gone when this is dropped.
struct Elsewhere(PathBuf);

impl Elsewhere {
    fn new() -> Result<Elsewhere> {
        let path = std::env::temp_dir().join(format!("netkit-reproduce-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(at("create", &path))?;
        Ok(Elsewhere(path))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn differences_are_found() {
        assert_eq!(first_difference(b"same", b"same"), None);
        assert_eq!(first_difference(b"same", b"sane"), Some(2));
        assert_eq!(first_difference(b"same", b"same+"), Some(4));
    }
}
