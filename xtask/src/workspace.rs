//! Facts about the workspace: where it lies, which commit it is, what cargo knows about it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Result;
use crate::process::{command, output};

/// The only target of release builds so far.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-musl";
/// The name of [`TARGET`]'s architecture below `dist/`.
pub(crate) const ARCH: &str = "x86_64";

/// The folder of the root Cargo.toml.
pub(crate) fn root() -> PathBuf {
    // xtask is a member folder of the root; the path is that of the build, which is also that of the run.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// The cargo that runs us, started in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// `cargo metadata` as JSON.
pub(crate) fn metadata(arguments: &[&str]) -> Result<Value> {
    let text = output(cargo().args(["metadata", "--format-version", "1", "--locked"]).args(arguments))?;
    serde_json::from_str(&text).map_err(|error| format!("cannot read what cargo metadata says: {error}"))
}

/// The version of the root package.
pub(crate) fn version() -> &'static str {
    // Every member shares the workspace's version.
    env!("CARGO_PKG_VERSION")
}

/// What identifies the source of a build.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Abbreviated commit, with `-dirty` when files differ from it; `None` outside a checkout.
    pub(crate) commit: Option<String>,
    /// Seconds since the epoch: SOURCE_DATE_EPOCH, or the date of the commit.
    pub(crate) epoch: Option<i64>,
}

/// NETKIT_COMMIT and SOURCE_DATE_EPOCH as handed in, or asked of git.
pub(crate) fn source() -> Source {
    let handed = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let git = |arguments: &[&str]| output(command("git").current_dir(root()).args(arguments)).ok();
    let commit = handed("NETKIT_COMMIT").or_else(|| {
        let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
        let clean = git(&["status", "--porcelain"]).is_some_and(|changes| changes.is_empty());
        Some(if clean { commit } else { format!("{commit}-dirty") })
    });
    let epoch = handed("SOURCE_DATE_EPOCH").or_else(|| git(&["log", "-1", "--format=%ct"]));
    Source { commit, epoch: epoch.and_then(|seconds| seconds.parse().ok()) }
}

/// `key` of a JSON object as text, empty when it is not there.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

/// `key` of a JSON object as a list, empty when it is not there.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
