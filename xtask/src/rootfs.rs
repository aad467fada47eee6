//! The image's root file system: the binary, a link for every name it answers to, and the few files that programs and
//! container runtimes look for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::Result;
use crate::process::{at, command, output};

/// passwd(5). The home is the only folder that is always writable; the login shell is the binary, which says what it can do.
const PASSWD: &str = "root:x:0:0:root:/tmp:/bin/netkit\nnonroot:x:65532:65532:nonroot:/tmp:/bin/netkit\n";
/// group(5).
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";

/// `cap_net_admin,cap_net_raw,cap_sys_ptrace=p` as the attribute `security.capability` holds it: `struct vfs_cap_data` of
/// linux/capability.h, revision 2. Permitted only: with the effective bit the binary would not start at all where the
/// bounding set lacks one of them (execve(2), EPERM). netkit raises what an applet needs by itself.
const GRANT: [u8; 20] = [
    0, 0, 0, 2, // revision and flags, little-endian
    0x00, 0x30, 0x08, 0x00, // permitted: bits 12, 13 and 19
    0, 0, 0, 0, // inheritable
    0, 0, 0, 0, 0, 0, 0, 0, // bits from 32 up of both
];

/// Bytes of a root file system, counted in two ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    /// Content of the files and of the links.
    pub(crate) content: u64,
    /// As a layer of the image: tar with 512-byte headers and padding (pax(1), ustar).
    pub(crate) layer: u64,
}

/// Lays out `dir` anew around `binary`. `netkit install` itself makes the links.
pub(crate) fn lay_out(binary: &Path, dir: &Path) -> Result<()> {
    let fresh = dir.with_extension("new");
    remove(&fresh)?;
    for (name, mode) in [("", 0o755), ("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)] {
        let path = fresh.join(name);
        fs::create_dir_all(&path).map_err(at("create", &path))?;
        set_mode(&path, mode)?;
    }
    let copy = fresh.join("bin/netkit");
    fs::copy(binary, &copy).map_err(at("copy to", &copy))?;
    set_mode(&copy, 0o755)?;
    for (name, content) in [("passwd", PASSWD), ("group", GROUP)] {
        let path = fresh.join("etc").join(name);
        fs::write(&path, content).map_err(at("write", &path))?;
        set_mode(&path, 0o644)?;
    }
    output(command(&copy).args(["install", "--symbolic"]).arg(fresh.join("bin")))?;
    // Copying and changing modes or owners take the attribute away: it comes last.
    let granted = rustix::fs::setxattr(&copy, "security.capability", &GRANT, rustix::fs::XattrFlags::empty());
    if let Err(error) = granted {
        println!(
            "  bin/netkit grants no capabilities: {error} (root may set them; other users of the image will miss them)"
        );
    }
    remove(dir)?;
    fs::rename(&fresh, dir).map_err(at("create", dir))
}

/// Measures a tree without following links.
pub(crate) fn measure(dir: &Path) -> Result<Bytes> {
    // Two empty blocks end a tar file.
    let mut sum = Bytes { content: 0, layer: 1024 };
    add(dir, &mut sum)?;
    Ok(sum)
}

fn add(dir: &Path, sum: &mut Bytes) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(at("list", dir))? {
        let path = entry.map_err(at("list", dir))?.path();
        let facts = fs::symlink_metadata(&path).map_err(at("look at", &path))?;
        sum.layer += 512;
        if facts.is_dir() {
            add(&path, sum)?;
        } else if facts.is_symlink() {
            sum.content += facts.len();
        } else {
            sum.content += facts.len();
            sum.layer += facts.len().next_multiple_of(512);
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(at("set the mode of", path))
}

fn remove(dir: &Path) -> Result<()> {
    if dir.exists() { fs::remove_dir_all(dir).map_err(at("remove", dir)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_counts() {
        let dir = std::env::temp_dir().join(format!("xtask-rootfs-{}", std::process::id()));
        fs::create_dir_all(dir.join("bin")).unwrap();
        fs::write(dir.join("bin/a"), [0; 600]).unwrap();
        std::os::unix::fs::symlink("a", dir.join("bin/b")).unwrap();
        let measured = measure(&dir);
        fs::remove_dir_all(&dir).unwrap();
        // bin, a and its two blocks, b, and the end mark.
        assert_eq!(measured, Ok(Bytes { content: 601, layer: 512 + 512 + 1024 + 512 + 1024 }));
    }
}
