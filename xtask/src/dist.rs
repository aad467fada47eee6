//! `cargo xtask dist`: the static binary and the image's root file system, below `dist/`.
//!
//! The bytes depend on the commit, the compiler and the recipe only: folders of this machine are mapped away, and the
//! one date in the binary is SOURCE_DATE_EPOCH, by default that of the commit.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::elf::Elf;
use crate::musl::{self, IMMEDIATE_ABORT, Toolchain, Way};
use crate::process::{at, command, find, run as run_command};
use crate::workspace::{ARCH, Source, TARGET, metadata, root, source};
use crate::{Result, audit, link, pack, rootfs};

pub(crate) const USAGE: &str = "[--std auto|rustup|prebuilt|rust-src|rustc-web]";

/// More bytes of unwind tables than the start files of gcc and ring's assembly (4 KB, written into its sources) bring
/// along mean that some code was built with them: a megabyte of Rust has some 150 KB of them.
const UNWIND_LIMIT: usize = 8 * 1024;

/// Crates whose speed is measured (`cargo xtask bench`) and the start-up of everything. All others of ours, and
/// [`COLD_LIBRARIES`], are built for LLVM's outliner, which makes one function of instructions that occur in several
/// places: 80 KB of 5.2 MB. Told to look at such functions only, it takes those that are marked `cold`.
const HOT: &[&str] =
    &["netkit", "netkit-iptables", "netkit-jq", "netkit-nf", "netkit-nl", "netkit-regex", "netkit-sys"];
const COLD_LIBRARIES: &[&str] = &["rustls", "rustls-webpki", "saphyr-parser"];

/// What a build left below `dist/`.
#[derive(Debug)]
pub(crate) struct Dist {
    /// The released binary.
    pub(crate) binary: PathBuf,
    /// The same before its symbols were removed.
    pub(crate) with_symbols: PathBuf,
    /// The image's root file system.
    pub(crate) rootfs: PathBuf,
    /// What it was built with.
    pub(crate) toolchain: Toolchain,
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let way = match arguments {
        [] => Way::Auto,
        [flag, word] if flag == "--std" => Way::parse(word).ok_or_else(|| format!("--std {word}? {USAGE}"))?,
        _ => return Err(format!("usage: cargo xtask dist {USAGE}")),
    };
    build(way).map(drop)
}

/// Builds, verifies and lays out.
pub(crate) fn build(way: Way) -> Result<Dist> {
    println!("dist: {TARGET}");
    let toolchain = musl::toolchain(way)?;
    println!("  {}", toolchain.origin);
    let out = root().join("dist").join(ARCH);
    fs::create_dir_all(&out).map_err(at("create", &out))?;
    let with_symbols = compile(&toolchain, &root(), &source())?;
    let binary = out.join("netkit");
    for (applet, bytes, kept) in finish(&with_symbols, &binary)? {
        println!("  {applet}: {bytes} bytes of its own, kept as {kept}");
    }
    verify(&binary)?;
    let rootfs = out.join("rootfs");
    rootfs::lay_out(&binary, &rootfs)?;
    let bytes = rootfs::measure(&rootfs)?;
    let size = fs::metadata(&binary).map_err(at("look at", &binary))?.len();
    println!("  {}: static, {size} bytes", binary.display());
    println!("  {}: {} bytes, {} as an image layer", rootfs.display(), bytes.content, bytes.layer);
    Ok(Dist { binary, with_symbols, rootfs, toolchain })
}

/// Compiles the workspace at `root` and returns the binary, symbols included.
pub(crate) fn compile(toolchain: &Toolchain, root: &Path, source: &Source) -> Result<PathBuf> {
    let target_dir = root.join("target/dist");
    // At a fixed address: 45 KB less than one that can be moved. Stack, heap and mappings lie at random all the same.
    let mut flags = ["-Ctarget-feature=+crt-static", "-Crelocation-model=static", "-Cforce-unwind-tables=no"]
        .map(str::to_owned)
        .to_vec();
    match &toolchain.sysroot {
        Some(sysroot) => {
            flags.push(format!("--sysroot={}", sysroot.display()));
            flags.extend([IMMEDIATE_ABORT.to_owned(), "-Zunstable-options".to_owned()]);
        }
        None => flags.push(format!("-Clink-arg=-Wl,-T,{}", discard_script(&target_dir)?.display())),
    }
    if toolchain.packs_relocations()? {
        flags.push("-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned());
    }
    // Functions with the same instructions become one, 57 KB. Of our linkers only Rust's own can do it.
    if let Some(folder) = toolchain.lld().filter(|_| toolchain.sysroot.is_some()) {
        flags.push("-Clink-arg=-fuse-ld=lld".to_owned());
        flags.push(format!("-Clink-arg=-B{}", folder.display()));
        flags.push("-Clink-arg=-Wl,--icf=all".to_owned());
    }
    // Older LLVMs know the outliner's modes by other names, so with the compiler of the recipe only.
    let mut settings = Vec::new();
    // Needs the list of what was folded, which the same linker prints.
    let packs = toolchain.lld().is_some() && toolchain.sysroot.is_some();
    if toolchain.sysroot.is_some() {
        flags.push("-Cllvm-args=-enable-machine-outliner=conservative-pgo".to_owned());
        settings.push("-Zprofile-rustflags".to_owned());
        for name in members()?.iter().map(String::as_str).chain(COLD_LIBRARIES.iter().copied()) {
            let cold = "['-Cllvm-args=-force-attribute=cold']";
            if !HOT.contains(&name) {
                settings.extend(["--config".to_owned(), format!("profile.dist.package.{name}.rustflags={cold}")]);
            }
        }
    }
    flags.push(format!("--remap-path-prefix={}=/netkit", root.display()));
    flags.extend(remap_cargo_home());

    let tool = TARGET.replace('-', "_");
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(root)
        .args(["build", "--locked", "--profile", "dist", "--package", "netkit", "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .args(settings)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        // How a released compiler is told to allow IMMEDIATE_ABORT.
        .env("RUSTC_BOOTSTRAP", "1")
        // For C in dependencies: no paths, no unwind tables.
        .env(
            format!("CFLAGS_{tool}"),
            format!("-fno-asynchronous-unwind-tables -ffile-prefix-map={}=/netkit", root.display()),
        );
    if packs {
        let own = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
        cargo.env(format!("CARGO_TARGET_{}_LINKER", tool.to_uppercase()), own);
        cargo.env(link::STANDS_IN, "1").env("NETKIT_PACKED", packed_applets()?);
    }
    if find("musl-gcc").is_some() {
        cargo.env(format!("CC_{tool}"), "musl-gcc");
    }
    for (name, value) in [
        ("NETKIT_COMMIT", source.commit.clone()),
        ("SOURCE_DATE_EPOCH", source.epoch.map(|seconds| seconds.to_string())),
    ] {
        match value {
            Some(value) => cargo.env(name, value),
            None => cargo.env_remove(name),
        };
    }
    run_command(&mut cargo)?;
    Ok(target_dir.join(TARGET).join("dist/netkit"))
}

/// The applet folders whose code the image keeps compressed, as the root manifest says.
fn packed_applets() -> Result<String> {
    let all = metadata(&["--no-deps"])?;
    let names = all.pointer("/metadata/netkit/packed").and_then(Value::as_array).into_iter().flatten();
    Ok(names.filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
}

/// The names of the workspace's packages that the binary is made of.
fn members() -> Result<Vec<String>> {
    let all = metadata(&["--no-deps"])?;
    let names = all.get("packages").and_then(Value::as_array).into_iter().flatten();
    let names = names.filter_map(|package| package.get("name").and_then(Value::as_str));
    Ok(names.filter(|name| *name != env!("CARGO_PKG_NAME")).map(str::to_owned).collect())
}

/// Removes the symbols, adds the list of dependencies, and compresses what is to be packed.
pub(crate) fn finish(from: &Path, to: &Path) -> Result<Vec<pack::Kept>> {
    let list = from.with_file_name("netkit.dep-v0");
    fs::write(&list, audit::section()?).map_err(at("write", &list))?;
    let fresh = to.with_extension("new");
    run_command(
        command("objcopy")
            .args(["--strip-all", "--remove-section=.comment"])
            .arg(format!("--add-section={}={}", audit::SECTION, list.display()))
            // Not loaded at run time: scanners read the file.
            .arg(format!("--set-section-flags={}=readonly,contents", audit::SECTION))
            .arg(from)
            .arg(&fresh),
    )
    .map_err(|error| format!("{error} (Debian package binutils)"))?;
    let bytes = fs::read(&fresh).map_err(at("read", &fresh))?;
    let packed = pack::pack(&bytes)?;
    fs::write(&fresh, packed.bytes).map_err(at("write", &fresh))?;
    fs::rename(&fresh, to).map_err(at("create", to))?;
    Ok(packed.applets)
}

/// Holds a released binary to what is promised of it.
fn verify(binary: &Path) -> Result<()> {
    let bytes = fs::read(binary).map_err(at("read", binary))?;
    let elf = Elf::new(&bytes)?;
    elf.check_static().map_err(|error| format!("{} is not static: {error}", binary.display()))?;
    let unwind: usize = elf
        .sections()?
        .iter()
        .filter(|section| [".eh_frame", ".gcc_except_table"].contains(&section.name.as_str()))
        .map(|section| section.size)
        .sum();
    if unwind > UNWIND_LIMIT {
        return Err(format!("{} carries {unwind} bytes of unwind tables", binary.display()));
    }
    let section = elf.section(audit::SECTION)?.ok_or("the list of dependencies is missing")?;
    audit::read(section).map(drop)
}

/// Maps the folders of dependencies' sources to a name that is the same everywhere.
pub(crate) fn remap_cargo_home() -> Option<String> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("CARGO_HOME").or_else(|| Some(set("HOME")?.join(".cargo")))?;
    Some(format!("--remap-path-prefix={}=/cargo", home.display()))
}

/// A linker script for a ready-made `std`, whose objects carry unwind tables: leaves out all but those that gcc's start
/// files refer to. `INSERT` makes ld add it to its own script (ld manual, "INSERT Command").
fn discard_script(dir: &Path) -> Result<PathBuf> {
    let keep = "EXCLUDE_FILE(*crtbegin*.o *crtend*.o)";
    let script = format!(
        "SECTIONS {{ /DISCARD/ : {{ *({keep} .eh_frame) *({keep} .gcc_except_table .gcc_except_table.*) }} }}\n\
         INSERT BEFORE .comment;\n"
    );
    fs::create_dir_all(dir).map_err(at("create", dir))?;
    let path = dir.join("no-unwind-tables.ld");
    fs::write(&path, script).map_err(at("write", &path))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_binary_is_refused() {
        // The test program itself is linked against the host's libc, except on a musl host.
        let own = std::env::current_exe().unwrap();
        if cfg!(target_env = "gnu") {
            assert!(verify(&own).unwrap_err().contains("is not static: it names an interpreter"));
        } else {
            assert!(verify(&own).unwrap_err().contains("the list of dependencies is missing"));
        }
    }
}
