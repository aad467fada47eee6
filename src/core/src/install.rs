//! `netkit install [--hard|--symbolic|--copy] DIR`: one name in DIR for every applet and alias.
//!
//! Needs no other tool, so it works in a `FROM scratch` container. Symbolic links are relative, so a
//! tree that is copied elsewhere keeps working. A second run changes nothing.

use std::fs;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};

use crate::{Ctx, Error, Exit, text};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Symbolic,
    Hard,
    /// One copy named `netkit` in DIR, and relative links to it: a directory that stands alone.
    Copy,
}

pub(crate) fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let (mode, dir) = parse(ctx)?;
    let binary = own_path(ctx)?;
    fs::create_dir_all(&dir).map_err(|error| failed("cannot create", &dir, &error))?;
    let dir = dir.canonicalize().map_err(|error| failed("cannot resolve", &dir, &error))?;

    let mut made = 0;
    let mut refused = Vec::new();
    let target = match mode {
        Mode::Copy => {
            let copy = dir.join("netkit");
            made += usize::from(copy_binary(&binary, &copy)?);
            copy
        }
        _ => binary,
    };
    let mut names: Vec<&str> = Vec::new();
    for applet in ctx.table.iter().flat_map(|entries| entries.iter()) {
        names.push(applet.name);
        names.extend(applet.aliases);
    }
    for name in &names {
        match place(mode, &target, &dir, name)? {
            Placed::New => made += 1,
            Placed::Already => {}
            Placed::Foreign => refused.push(*name),
        }
    }
    writeln!(ctx.stdout, "{}: {} names, {made} new", dir.display(), names.len() - refused.len())?;
    if refused.is_empty() {
        return Ok(Exit::OK);
    }
    Err(Error::new(
        Exit(1),
        format!(
            "left alone in {}, because a file that is not netkit has the name: {}",
            dir.display(),
            refused.join(" ")
        ),
    ))
}

fn parse(ctx: &Ctx) -> Result<(Mode, PathBuf), Error> {
    let mut mode = None;
    let mut dir = None;
    let mut only_operands = false;
    for arg in &ctx.args {
        let chosen = match arg.to_str() {
            Some("--") if !only_operands => {
                only_operands = true;
                continue;
            }
            Some("--symbolic") if !only_operands => Mode::Symbolic,
            Some("--hard") if !only_operands => Mode::Hard,
            Some("--copy") if !only_operands => Mode::Copy,
            Some(flag) if flag.starts_with('-') && !only_operands => {
                return Err(Error::usage(format!(
                    "install: no flag `{}`; there are --hard, --symbolic and --copy",
                    text::printable(flag)
                )));
            }
            _ => {
                if dir.replace(PathBuf::from(arg)).is_some() {
                    return Err(Error::usage("install: more than one DIR given"));
                }
                continue;
            }
        };
        if mode.replace(chosen).is_some_and(|before| before != chosen) {
            return Err(Error::usage("install: --hard, --symbolic and --copy exclude each other"));
        }
    }
    let dir = dir
        .filter(|dir| !dir.as_os_str().is_empty())
        .ok_or_else(|| Error::usage("install: which DIR? e.g. `netkit install /bin`"))?;
    Ok((mode.unwrap_or(Mode::Symbolic), dir))
}

/// Where this binary lies: /proc/self/exe, or argv[0] where /proc is hidden.
fn own_path(ctx: &Ctx) -> Result<PathBuf, Error> {
    if let Ok(path) = fs::read_link("/proc/self/exe")
        && path.is_file()
    {
        return Ok(path);
    }
    let argv0 = Path::new(&ctx.argv0);
    let candidates: Vec<PathBuf> = if argv0.components().count() > 1 || argv0.is_absolute() {
        vec![argv0.to_owned()]
    } else {
        std::env::split_paths(ctx.var("PATH").unwrap_or("/bin")).map(|dir| dir.join(argv0)).collect()
    };
    candidates.iter().find_map(|path| path.canonicalize().ok().filter(|path| path.is_file())).ok_or_else(|| {
        Error::new(Exit(1), "install: cannot tell where this binary lies (/proc is hidden and argv[0] does not say)")
    })
}

enum Placed {
    New,
    Already,
    Foreign,
}

fn place(mode: Mode, target: &Path, dir: &Path, name: &str) -> Result<Placed, Error> {
    let path = dir.join(name);
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("cannot look at", &path, &error)),
        Ok(found) => {
            let is_link = found.file_type().is_symlink();
            if is_right(mode, target, dir, &path, is_link) {
                return Ok(Placed::Already);
            }
            // Ours, but of another mode or to an older place: replaced. Anything else is the user's.
            if !is_ours(target, &path, is_link) {
                return Ok(Placed::Foreign);
            }
            fs::remove_file(&path).map_err(|error| failed("cannot replace", &path, &error))?;
        }
    }
    let result = match mode {
        Mode::Hard => fs::hard_link(target, &path),
        Mode::Symbolic | Mode::Copy => symlink(relative(dir, target), &path),
    };
    match result {
        Ok(()) => Ok(Placed::New),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Err(Error::new(
            Exit(1),
            format!(
                "install: {} is on another file system than {}: use --copy or --symbolic",
                dir.display(),
                target.display()
            ),
        )),
        Err(error) => Err(failed("cannot write", &path, &error)),
    }
}

fn is_right(mode: Mode, target: &Path, dir: &Path, path: &Path, is_link: bool) -> bool {
    match mode {
        Mode::Hard => !is_link && same_file(target, path),
        _ => is_link && fs::read_link(path).is_ok_and(|to| to == relative(dir, target)),
    }
}

fn is_ours(target: &Path, path: &Path, is_link: bool) -> bool {
    let to_netkit = fs::read_link(path).is_ok_and(|to| to.file_name() == target.file_name());
    same_file(target, path) || (is_link && to_netkit)
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
        _ => false,
    }
}

/// Copies through a temporary name, so that a reader never sees half a binary. Returns whether anything changed.
fn copy_binary(from: &Path, to: &Path) -> Result<bool, Error> {
    if same_file(from, to) {
        return Ok(false);
    }
    let bytes = fs::read(from).map_err(|error| failed("cannot read", from, &error))?;
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    let temporary = to.with_file_name(format!(".netkit.{}", std::process::id()));
    let written = fs::copy(from, &temporary).and_then(|_| fs::rename(&temporary, to));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(|error| failed("cannot write", to, &error))?;
    Ok(true)
}

/// The relative path from directory `dir` to `target`, both absolute and without links.
fn relative(dir: &Path, target: &Path) -> PathBuf {
    let from: Vec<Component<'_>> = dir.components().collect();
    let to: Vec<Component<'_>> = target.components().collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut path = PathBuf::new();
    for _ in from.iter().skip(shared) {
        path.push("..");
    }
    path.extend(to.iter().skip(shared));
    path
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(Exit(1), format!("install: {what} {}: {}", path.display(), reason(error)))
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only (choose a writable DIR, such as an emptyDir)".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths() {
        assert_eq!(relative(Path::new("/bin"), Path::new("/bin/netkit")), Path::new("netkit"));
        assert_eq!(relative(Path::new("/usr/local/bin"), Path::new("/bin/netkit")), Path::new("../../../bin/netkit"));
        assert_eq!(relative(Path::new("/"), Path::new("/x/netkit")), Path::new("x/netkit"));
    }
}
