//! Running other programs, with messages that name the command.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// A command without the variables that `cargo run` leaves behind; another cargo or compiler must not see them.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in [
        "CARGO",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_TARGET_DIR",
        "LD_LIBRARY_PATH",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTDOC",
        "RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs to the end with our own stdout and stderr; anything but status 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("cannot run {}: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} failed ({status})", shown(command))) }
}

/// Runs to the end and returns stdout, trimmed; stderr is shown only when it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let bytes = output_bytes(command)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// As [`output`], with the bytes as they came.
pub(crate) fn output_bytes(command: &mut Command) -> Result<Vec<u8>> {
    let out =
        command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run {}: {error}", shown(command)))?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    let said = String::from_utf8_lossy(&out.stderr);
    Err(format!("{} failed ({}): {}", shown(command), out.status, said.trim()))
}

/// The command line as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    format!("`{}`", words.join(" "))
}

/// Where a program lies on PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

/// Installs Debian packages that are missing, as root or through sudo, without asking.
pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !apt_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    if find("apt-get").is_none() {
        return Err(format!("this is no Debian (no apt-get); needed is what `{line}` would install"));
    }
    println!("  installing Debian packages: {}", missing.join(" "));
    let root = output(command("id").arg("-u"))? == "0";
    let mut apt = if root {
        command("apt-get")
    } else if find("sudo").is_some() {
        let mut sudo = command("sudo");
        sudo.args(["-n", "apt-get"]);
        sudo
    } else {
        return Err(format!("not root, and no sudo: run `{line}` as root, then again"));
    };
    apt.env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-q", "--no-install-recommends"])
        .args(&missing);
    output(&mut apt).map(drop).map_err(|error| format!("{error}\n(as root: apt-get update && {line})"))
}

fn apt_installed(package: &str) -> bool {
    output(command("dpkg-query").args(["-W", "-f=${db:Status-Status}", package])).is_ok_and(|said| said == "installed")
}

/// An I/O error with the operation and the path.
pub(crate) fn at<'a>(operation: &'a str, path: &'a Path) -> impl FnOnce(std::io::Error) -> String + 'a {
    move |error| format!("cannot {operation} {}: {error}", path.display())
}
