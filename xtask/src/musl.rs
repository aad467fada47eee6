//! Making the musl target available where there is only Rust for a glibc host, and Debian's packages.
//!
//! Wherever the source of the standard library can be had, `std` is built for us alone: without unwind tables (an
//! aborting program never reads them), without the code that reads debug information for backtraces, and small.
//! Next to rustup's ready-made one that saves 326,096 of 471,664 bytes in an almost empty netkit. The result is a
//! sysroot in the user's cache directory, made once for a compiler and recipe, and renamed into place when complete.
//!
//! In this order, and what is done is said:
//! 1. rustup's target, where it is installed or `rustup target add` gets it: its libc and start files, `std` from
//!    rustup's rust-src. Where that source cannot be had, rustup's ready-made `std`.
//! 2. the running compiler with Debian's `rust-src`, if it has exactly the compiler's version, and `musl-tools`;
//! 3. Debian's own compiler and source, `rustc-web`, `cargo-web` and `rust-web-src`, and `musl-tools`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process::{apt_install, at, command, find, output, run};
use crate::workspace::TARGET;

/// A panic is one undefined instruction: no message, no place, no formatting of either. 210 KB less in 5.4 MB; the
/// binary says something itself when that happens (`netkit_sys::crash`). Every crate must be compiled with the same.
pub(crate) const IMMEDIATE_ABORT: &str = "-Cpanic=immediate-abort";
/// How `std` is compiled. `embed-bitcode` lets fat LTO reach into it.
const STD_FLAGS: &[&str] = &[
    "-Zforce-unstable-if-unmarked",
    IMMEDIATE_ABORT,
    "-Zunstable-options",
    "-Cembed-bitcode=yes",
    "-Cforce-unwind-tables=no",
    "-Copt-level=s",
    "-Ccodegen-units=1",
];
/// Raised whenever the way a sysroot is made changes, so that older ones are not reused.
const RECIPE: &str = "3";
/// The start files and libc that a self-contained musl target links.
const MUSL_PARTS: &[&str] = &["crt1.o", "rcrt1.o", "Scrt1.o", "crti.o", "crtn.o", "libc.a"];
const GCC_PARTS: &[&str] = &["crtbegin.o", "crtbeginS.o", "crtbeginT.o", "crtend.o", "crtendS.o"];
/// Where Debian's musl-dev puts [`MUSL_PARTS`].
const DEBIAN_MUSL: &str = "/usr/lib/x86_64-linux-musl";
/// An archive without members (ar(5)). std names `-lunwind`, but nothing of it is called when panics abort and
/// backtraces are left out.
const EMPTY_ARCHIVE: &[u8] = b"!<arch>\n";

/// Which way is wanted; [`Way::Auto`] tries them in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Auto,
    Rustup,
    Prebuilt,
    DebianSource,
    DebianCompiler,
}

impl Way {
    /// The value of `--std`.
    pub(crate) fn parse(word: &str) -> Option<Way> {
        Some(match word {
            "auto" => Way::Auto,
            "rustup" => Way::Rustup,
            "prebuilt" => Way::Prebuilt,
            "rust-src" => Way::DebianSource,
            "rustc-web" => Way::DebianCompiler,
            _ => return None,
        })
    }
}

/// A compiler that can build for [`TARGET`].
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    /// Our own sysroot, or `None` for the compiler's.
    pub(crate) sysroot: Option<PathBuf>,
    /// One line for people: where compiler and `std` come from.
    pub(crate) origin: String,
}

impl Toolchain {
    /// Whether the start code of its libc applies packed relative relocations (`DT_RELR`): musl does since 1.2.4. They
    /// are a hundredth of the size of plain ones, 188 KB less; an older start code would skip them and crash.
    pub(crate) fn packs_relocations(&self) -> Result<bool> {
        let lib = match &self.sysroot {
            Some(sysroot) => sysroot.join("lib/rustlib").join(TARGET).join("lib"),
            None => Compiler::new(self.cargo.clone(), self.rustc.clone())?.target_dir(),
        };
        let libc = lib.join("self-contained/libc.a");
        let bytes = fs::read(&libc).map_err(at("read", &libc))?;
        Ok(musl_version(&bytes).is_some_and(|version| version >= [1, 2, 4]))
    }

    /// The folder in which gcc finds the compiler's own lld as `ld.lld`; Debian's compiler has none.
    pub(crate) fn lld(&self) -> Option<PathBuf> {
        let compiler = Compiler::new(self.cargo.clone(), self.rustc.clone()).ok()?;
        let host = compiler.verbose.lines().find_map(|line| line.strip_prefix("host: "))?;
        let folder = compiler.sysroot.join("lib/rustlib").join(host).join("bin/gcc-ld");
        folder.join("ld.lld").is_file().then_some(folder)
    }

    /// This toolchain's cargo, told to use its own compiler.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = command(&self.cargo);
        cargo.env("RUSTC", &self.rustc);
        cargo
    }
}

/// Finds or makes a toolchain for [`TARGET`].
pub(crate) fn toolchain(way: Way) -> Result<Toolchain> {
    let own = Compiler::running()?;
    match way {
        Way::Rustup => rustup(&own),
        Way::Prebuilt => prebuilt(&own),
        Way::DebianSource => debian_source(&own),
        Way::DebianCompiler => debian_compiler(),
        Way::Auto => first_that_works(&own),
    }
}

fn first_that_works(own: &Compiler) -> Result<Toolchain> {
    // Without the target, rustup would be asked over the network each time; what an earlier run made comes first.
    if !own.has_target()
        && let Some(ready) = ready(own)
    {
        return Ok(ready);
    }
    let mut failures = Vec::new();
    let ways: [(&str, &dyn Fn() -> Result<Toolchain>); 4] = [
        ("rustup, std from source", &|| rustup(own)),
        ("rustup, std as it comes", &|| prebuilt(own)),
        ("Debian's rust-src", &|| debian_source(own)),
        ("Debian's rustc-web", &debian_compiler),
    ];
    for (name, way) in ways {
        match way() {
            Ok(toolchain) => return Ok(toolchain),
            Err(error) => {
                println!("  not by way of {name}: {error}");
                failures.push(name);
            }
        }
    }
    Err(format!("no way led to the target {TARGET} (tried {})", failures.join("; ")))
}

/// A toolchain that Debian's packages and an earlier run have completed.
fn ready(own: &Compiler) -> Option<Toolchain> {
    let made = |compiler: &Compiler| {
        let recipe = compiler.recipe(&debian_library(&compiler.release), &debian_parts().ok()?).ok()?;
        recipe.sysroot.is_dir().then(|| recipe.toolchain())
    };
    made(own).or_else(|| made(&Compiler::debian().ok()?))
}

/// rustup's target for libc and start files, `std` built from rustup's source.
fn rustup(own: &Compiler) -> Result<Toolchain> {
    own.add_target()?;
    let library = own.sysroot.join("lib/rustlib/src/rust/library");
    if !library.join("std").is_dir() {
        println!("  rustup component add rust-src");
        own.rustup(&["component", "add"], "rust-src")?;
    }
    let parts = files_of(&own.target_dir().join("self-contained"))?;
    own.recipe(&library, &parts)?.provide()
}

/// rustup's target with its ready-made `std`, which is larger.
fn prebuilt(own: &Compiler) -> Result<Toolchain> {
    own.add_target()?;
    Ok(Toolchain {
        cargo: own.cargo.clone(),
        rustc: own.rustc.clone(),
        sysroot: None,
        origin: format!("rustc {}, its ready-made std (larger than one built from source)", own.release),
    })
}

/// The running compiler and the Debian package `rust-src` of the same version.
fn debian_source(own: &Compiler) -> Result<Toolchain> {
    let library = debian_library(&own.release);
    if !library.is_dir() {
        let policy = output(command("apt-cache").args(["policy", "rust-src"]))?;
        let candidate = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: ")).unwrap_or("(none)");
        if !candidate.starts_with(&format!("{}+", own.release)) {
            return Err(format!("rust-src is {candidate}, the compiler {}", own.release));
        }
        apt_install(&["rust-src"])?;
    }
    apt_install(&["musl-tools", "gcc"])?;
    own.recipe(&library, &debian_parts()?)?.provide()
}

/// Debian's own compiler and source, which always move together.
fn debian_compiler() -> Result<Toolchain> {
    apt_install(&["rustc-web", "cargo-web", "rust-web-src", "musl-tools", "gcc"])?;
    let compiler = Compiler::debian()?;
    compiler.recipe(&debian_library(&compiler.release), &debian_parts()?)?.provide()
}

fn debian_library(release: &str) -> PathBuf {
    PathBuf::from(format!("/usr/src/rustc-{release}/library"))
}

/// Start files and libc of Debian's musl and gcc, with an empty libunwind.
fn debian_parts() -> Result<Vec<PathBuf>> {
    let libgcc = output(command("gcc").arg("-print-libgcc-file-name"))?;
    let gcc = Path::new(&libgcc).parent().ok_or("gcc does not say where its files are")?;
    let musl = MUSL_PARTS.iter().map(|name| Path::new(DEBIAN_MUSL).join(name));
    let parts: Vec<PathBuf> = musl.chain(GCC_PARTS.iter().map(|name| gcc.join(name))).collect();
    match parts.iter().find(|part| !part.is_file()) {
        Some(missing) => Err(format!("{} is missing", missing.display())),
        None => Ok(parts),
    }
}

/// A compiler as installed, before it can build for [`TARGET`].
struct Compiler {
    cargo: PathBuf,
    rustc: PathBuf,
    /// `rustc -vV`, which identifies it exactly.
    verbose: String,
    /// Its version, such as 1.95.0.
    release: String,
    sysroot: PathBuf,
}

impl Compiler {
    /// The one that built xtask.
    fn running() -> Result<Compiler> {
        let cargo = PathBuf::from(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let rustc = cargo.with_file_name("rustc");
        let rustc = if rustc.is_file() { rustc } else { PathBuf::from("rustc") };
        Compiler::new(cargo, rustc)
    }

    /// The one of Debian's packages.
    fn debian() -> Result<Compiler> {
        Compiler::new(PathBuf::from("/usr/bin/cargo"), PathBuf::from("/usr/bin/rustc"))
    }

    fn new(cargo: PathBuf, rustc: PathBuf) -> Result<Compiler> {
        let verbose = output(command(&rustc).arg("-vV"))?;
        let release = verbose.lines().find_map(|line| line.strip_prefix("release: ")).unwrap_or("unknown").to_owned();
        let sysroot = PathBuf::from(output(command(&rustc).args(["--print", "sysroot"]))?);
        Ok(Compiler { cargo, rustc, verbose, release, sysroot })
    }

    fn target_dir(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(TARGET).join("lib")
    }

    fn has_target(&self) -> bool {
        self.target_dir().join("self-contained/libc.a").is_file()
    }

    fn add_target(&self) -> Result<()> {
        if self.has_target() {
            return Ok(());
        }
        println!("  rustup target add {TARGET}");
        self.rustup(&["target", "add"], TARGET)?;
        if self.has_target() { Ok(()) } else { Err("rustup added it, but not to the running compiler".to_owned()) }
    }

    fn rustup(&self, verb: &[&str], what: &str) -> Result<()> {
        let rustup = find("rustup").ok_or("there is no rustup")?;
        // rustup knows a toolchain by the name of its folder.
        let name = self.sysroot.file_name().ok_or("the compiler's sysroot has no name")?;
        output(command(rustup).args(verb).arg("--toolchain").arg(name).arg(what)).map(drop)
    }

    fn recipe(&self, library: &Path, parts: &[PathBuf]) -> Result<Recipe<'_>> {
        let mut identity = format!("{RECIPE}\n{}\n{}\n", self.verbose, STD_FLAGS.join(" ")).into_bytes();
        for part in parts {
            identity.extend(fs::read(part).map_err(at("read", part))?);
        }
        let sysroot = cache()?.join(format!("{}-{:016x}", self.release, fnv1a(&identity)));
        Ok(Recipe { compiler: self, library: library.to_owned(), parts: parts.to_vec(), sysroot })
    }
}

/// Everything that determines a sysroot of our own.
struct Recipe<'a> {
    compiler: &'a Compiler,
    library: PathBuf,
    parts: Vec<PathBuf>,
    /// Where it is, or will be.
    sysroot: PathBuf,
}

impl Recipe<'_> {
    fn toolchain(&self) -> Toolchain {
        Toolchain {
            cargo: self.compiler.cargo.clone(),
            rustc: self.compiler.rustc.clone(),
            sysroot: Some(self.sysroot.clone()),
            origin: format!("rustc {}, std built from {}", self.compiler.release, self.library.display()),
        }
    }

    fn provide(&self) -> Result<Toolchain> {
        if !self.sysroot.is_dir() {
            println!("  building std from {} (about a minute, once)", self.library.display());
            println!("  into {}", self.sysroot.display());
            let work = self.sysroot.with_extension(format!("tmp{}", std::process::id()));
            let made = self.make(&work);
            let cleaned = fs::remove_dir_all(&work).map_err(at("remove", &work));
            made.and(cleaned)?;
        }
        Ok(self.toolchain())
    }

    fn make(&self, work: &Path) -> Result<()> {
        let build = work.join("build");
        let compiler_home = self.compiler.verbose.lines().find_map(|line| line.strip_prefix("commit-hash: "));
        let mut flags: Vec<String> = STD_FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        // The same prefix that ready-made libraries carry, so that panic messages name no folder of this machine.
        let rust = self.library.parent().unwrap_or(&self.library);
        flags.push(format!("--remap-path-prefix={}=/rustc/{}", rust.display(), compiler_home.unwrap_or("unknown")));
        flags.extend(crate::dist::remap_cargo_home());
        run(command(&self.compiler.cargo)
            .env("RUSTC", &self.compiler.rustc)
            // std uses unstable features; this is how a released compiler is told to allow them.
            .env("RUSTC_BOOTSTRAP", "1")
            // Keeps std's copies of public crates apart from ours of the same name and version.
            .env("__CARGO_DEFAULT_LIB_METADATA", "netkit")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            .args(["build", "--quiet", "--locked", "--release", "--package", "std", "--no-default-features"])
            // 131 KB in a netkit of 4 MB, most of it one short sort for each type instead of two long ones; `jq sort_by`
            // takes a fifth longer, numbers sort faster.
            .args(["--features", "optimize_for_size"])
            .args(["--target", TARGET, "--manifest-path"])
            .arg(self.library.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&build))?;

        let finished = work.join("sysroot");
        let lib = finished.join("lib/rustlib").join(TARGET).join("lib");
        let contained = lib.join("self-contained");
        fs::create_dir_all(&contained).map_err(at("create", &contained))?;
        for rlib in files_of(&build.join(TARGET).join("release/deps"))? {
            if rlib.extension().is_some_and(|extension| extension == "rlib") {
                copy_into(&rlib, &lib)?;
            }
        }
        for part in &self.parts {
            copy_into(part, &contained)?;
        }
        let unwind = contained.join("libunwind.a");
        fs::write(&unwind, EMPTY_ARCHIVE).map_err(at("write", &unwind))?;
        match fs::rename(&finished, &self.sysroot) {
            // Another run was faster and made the same.
            Err(_) if self.sysroot.is_dir() => Ok(()),
            renamed => renamed.map_err(at("create", &self.sysroot)),
        }
    }
}

/// `$XDG_CACHE_HOME/netkit`, or `~/.cache/netkit` (XDG Base Directory Specification).
fn cache() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let dir = base.ok_or("neither XDG_CACHE_HOME nor HOME is set")?.join("netkit");
    fs::create_dir_all(&dir).map_err(at("create", &dir))?;
    Ok(dir)
}

/// musl's version as its libc.a holds it: a text of three numbers, ended by a zero byte.
fn musl_version(libc: &[u8]) -> Option<[u32; 3]> {
    libc.split(|byte| *byte == 0).find_map(|text| {
        // What stands before the text in the archive need not end with a zero byte.
        let start = text.len() - text.iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let text = std::str::from_utf8(text.get(start..)?).ok()?;
        let mut numbers = text.split('.').map(|number| number.parse().ok());
        let version = [numbers.next()??, numbers.next()??, numbers.next()??];
        (version[0] == 1 && numbers.next().is_none()).then_some(version)
    })
}

fn files_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .map_err(at("list", dir))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|p| p.is_file())
        .collect();
    files.sort();
    Ok(files)
}

fn copy_into(file: &Path, dir: &Path) -> Result<()> {
    let name = file.file_name().ok_or_else(|| format!("{} has no name", file.display()))?;
    fs::copy(file, dir.join(name)).map(drop).map_err(at("copy", file))
}

/// FNV-1a, 64 bits: names a folder, protects nothing.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_known_values() {
        // http://www.isthe.com/chongo/src/fnv/test_fnv.c: "" and "foobar".
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn version_of_a_libc() {
        assert_eq!(musl_version(b"!<arch>\nx\0\x011.2.5\0more"), Some([1, 2, 5]));
        assert_eq!(musl_version(b"10.2.5\x002.0\x001.2\0"), None);
        assert!([1, 2, 3] < [1, 2, 4] && [1, 10, 0] > [1, 2, 4]);
    }

    #[test]
    fn ways_have_names() {
        assert_eq!(Way::parse("rustc-web"), Some(Way::DebianCompiler));
        assert_eq!(Way::parse("wombat"), None);
    }
}
