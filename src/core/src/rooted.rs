//! Paths as another process sees them: symbolic links are followed inside its root, not ours.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// Where `path` lies below `root` once every symbolic link has been followed as if `root` were `/`.
/// An absolute link, such as a resolv.conf that points into /run, would otherwise lead into our own files.
/// A name that does not exist is returned as it stands, so that opening it gives the error.
///
/// # Errors
/// A loop of links, or a directory on the way that may not be read.
pub fn resolve(root: &Path, path: &str) -> io::Result<PathBuf> {
    let mut left: Vec<PathBuf> = components(Path::new(path));
    left.reverse();
    let mut done: Vec<PathBuf> = Vec::new();
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == Path::new("..") {
            done.pop();
            continue;
        }
        done.push(part);
        let here = join(root, &done);
        let is_link = match fs::symlink_metadata(&here) {
            Ok(found) => found.file_type().is_symlink(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if is_link {
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::other(format!("too many symbolic links below {}", root.display())));
            }
            let target = fs::read_link(&here)?;
            if target.is_absolute() {
                done.clear();
            } else {
                done.pop();
            }
            left.extend(components(&target).into_iter().rev());
        }
    }
    Ok(join(root, &done))
}

/// As [`resolve`]; where the way cannot be followed the plain path is returned, and opening it says why.
pub fn path_in(root: &Path, path: &str) -> PathBuf {
    resolve(root, path).unwrap_or_else(|_| root.join(path.trim_start_matches('/')))
}

/// O_NONBLOCK (asm-generic/fcntl.h, the same on every architecture that we build for).
const NONBLOCK: i32 = 0o4000;

/// Reads at most `most` bytes of a file in a place that somebody else fills: what stands there may be a pipe nobody writes
/// to, or /dev/zero.
///
/// # Errors
/// As open(2) and read(2).
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = fs::OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path)?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As [`read`], as text; what is not UTF-8 is replaced.
///
/// # Errors
/// As open(2) and read(2).
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    read(path, most).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Names and `..`; the root itself and `.` say nothing here.
fn components(path: &Path) -> Vec<PathBuf> {
    let telling = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(telling).map(|part| PathBuf::from(part.as_os_str())).collect()
}

fn join(root: &Path, parts: &[PathBuf]) -> PathBuf {
    let mut path = root.to_owned();
    path.extend(parts);
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_has_no_end_is_cut() {
        assert_eq!(read(Path::new("/dev/zero"), 1000).unwrap(), [0; 1000]);
        assert_eq!(read_text(Path::new("/dev/null"), 1000).unwrap(), "");
        assert!(read(Path::new("/"), 1000).is_err());
    }

    #[test]
    fn links_stay_inside_the_root() {
        let root = std::env::temp_dir().join(format!("netkit-rooted-{}", std::process::id()));
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::create_dir_all(root.join("run/x")).unwrap();
        fs::write(root.join("run/x/resolv.conf"), "inside").unwrap();
        symlink("/run/link", root.join("etc/resolv.conf")).unwrap();
        symlink("x/../x/resolv.conf", root.join("run/link")).unwrap();
        symlink("../../../../etc/passwd", root.join("etc/out")).unwrap();
        symlink("loop", root.join("etc/loop")).unwrap();
        assert_eq!(resolve(&root, "/etc/resolv.conf").unwrap(), root.join("run/x/resolv.conf"));
        assert_eq!(resolve(&root, "/etc/out").unwrap(), root.join("etc/passwd"));
        assert_eq!(resolve(&root, "/etc/none").unwrap(), root.join("etc/none"));
        assert!(resolve(&root, "/etc/loop").is_err());
        fs::remove_dir_all(&root).unwrap();
    }
}
