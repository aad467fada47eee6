//! Which processes hold a socket: the links below /proc/PID/fd (proc(5)).
//!
//! The inodes that are shown are collected first; without any, nothing is read. Every process is looked at, for several
//! may hold one socket and all of them are shown. A socket's processes are listed as the peer does, newest first.

use std::collections::HashMap;
use std::fs;
use std::mem::MaybeUninit;
use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, RawDir, openat, readlinkat_raw};

/// One descriptor of one process, or thread, that is a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    inode: u32,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) fd: u32,
    name: u32,
}

/// Holders of the sockets that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    /// Sorted by inode, within one inode in the order in which they were found.
    holders: Vec<Holder>,
    names: Vec<String>,
    /// Processes whose descriptors may not be seen.
    pub(crate) denied: usize,
}

impl Owners {
    /// Finds the holders of `wanted`, sorted and without repetition, among all processes of `proc`.
    pub(crate) fn find(proc: &Path, wanted: &[u32], threads: bool) -> Owners {
        let mut owners = Owners::default();
        if wanted.is_empty() {
            return owners;
        }
        let Ok(root) =
            openat(rustix::fs::CWD, proc, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        else {
            return owners;
        };
        let pids = numbers(root.as_fd());
        let workers = std::thread::available_parallelism().map_or(1, |count| count.get().min(4));
        let share = pids.len().div_ceil(workers).max(16);
        let scan = |part: &[u32]| {
            let mut found = Owners::default();
            let mut buffer = vec![MaybeUninit::uninit(); 32 << 10];
            for pid in part {
                found.process(root.as_fd(), *pid, *pid, wanted, &mut buffer);
                if threads {
                    found.threads(root.as_fd(), *pid, wanted, &mut buffer);
                }
            }
            found
        };
        std::thread::scope(|scope| {
            let mut parts = pids.chunks(share);
            let first = parts.next().unwrap_or_default();
            let others: Vec<_> = parts.map(|part| scope.spawn(move || scan(part))).collect();
            owners.add(scan(first));
            for other in others {
                if let Ok(found) = other.join() {
                    owners.add(found);
                }
            }
        });
        owners.holders.sort_by_key(|holder| holder.inode);
        owners
    }

    fn add(&mut self, other: Owners) {
        let base = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.extend(other.names);
        let moved = other.holders.into_iter().map(|holder| Holder { name: holder.name.saturating_add(base), ..holder });
        self.holders.extend(moved);
        self.denied += other.denied;
    }

    fn threads(&mut self, root: BorrowedFd<'_>, pid: u32, wanted: &[u32], buffer: &mut [MaybeUninit<u8>]) {
        let Ok(tasks) = open_directory(root, &format!("{pid}/task")) else { return };
        for tid in numbers(tasks.as_fd()).into_iter().filter(|tid| *tid != pid) {
            self.process(root, pid, tid, wanted, buffer);
        }
    }

    fn process(&mut self, root: BorrowedFd<'_>, pid: u32, tid: u32, wanted: &[u32], buffer: &mut [MaybeUninit<u8>]) {
        let directory = match open_directory(root, &format!("{tid}/fd")) {
            Ok(directory) => directory,
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => {
                self.denied += 1;
                return;
            }
            // It has ended meanwhile.
            Err(_) => return,
        };
        let mut name = None;
        let mut link = [0u8; 64];
        let mut entries = RawDir::new(&directory, buffer);
        let mut shut = false;
        while let Some(Ok(entry)) = entries.next() {
            let file = entry.file_name();
            let Some(fd) = decimal(file.to_bytes()) else { continue };
            let length = match readlinkat_raw(&directory, file, &mut link[..]) {
                Ok(length) => length,
                Err(error) => {
                    shut |= matches!(error, rustix::io::Errno::ACCESS | rustix::io::Errno::PERM);
                    continue;
                }
            };
            let inode = link
                .get(..length)
                .and_then(|target| target.strip_prefix(b"socket:["))
                .and_then(|target| target.strip_suffix(b"]"))
                .and_then(decimal);
            let Some(inode) = inode.filter(|inode| wanted.binary_search(inode).is_ok()) else { continue };
            let name = *name.get_or_insert_with(|| {
                self.names.push(comm(root, tid));
                u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX)
            });
            self.holders.push(Holder { inode, pid, tid, fd, name });
        }
        self.denied += usize::from(shut);
    }

    /// The holders of a socket, newest first.
    pub(crate) fn of(&self, inode: u32) -> impl Iterator<Item = (&str, &Holder)> {
        let start = self.holders.partition_point(|holder| holder.inode < inode);
        let end = self.holders.partition_point(|holder| holder.inode <= inode);
        let range = self.holders.get(start..end).unwrap_or_default();
        let wanted = if inode == 0 { &[][..] } else { range };
        wanted.iter().rev().map(|holder| {
            let name = usize::try_from(holder.name).ok().and_then(|at| self.names.get(at));
            (name.map_or("", String::as_str), holder)
        })
    }

    /// Whether a process of this name holds it. The kernel keeps 15 bytes of a name.
    pub(crate) fn held_by(&self, inode: u32, name: &str) -> bool {
        let cut: &[u8] = name.as_bytes().get(..15).unwrap_or(name.as_bytes());
        self.of(inode).any(|(held, _)| held.as_bytes() == cut)
    }
}

fn open_directory(root: BorrowedFd<'_>, path: &str) -> rustix::io::Result<OwnedFd> {
    openat(root, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Entries of a directory that are numbers, in the directory's order.
fn numbers(directory: BorrowedFd<'_>) -> Vec<u32> {
    let mut buffer = vec![MaybeUninit::uninit(); 32 << 10];
    let mut entries = RawDir::new(directory, &mut buffer);
    let mut found = Vec::new();
    while let Some(Ok(entry)) = entries.next() {
        found.extend(decimal(entry.file_name().to_bytes()));
    }
    found
}

fn decimal(digits: &[u8]) -> Option<u32> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// The name of a process, safe to print: the process chooses it.
fn comm(root: BorrowedFd<'_>, tid: u32) -> String {
    let mut bytes = [0u8; 64];
    let length = openat(root, format!("{tid}/comm"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|file| rustix::io::read(&file, &mut bytes[..]))
        .unwrap_or(0);
    let name = bytes.get(..length).unwrap_or_default();
    let name = name.strip_suffix(b"\n").unwrap_or(name);
    netkit_core::text::printable(&String::from_utf8_lossy(name))
}

/// A network namespace that has a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Namespace {
    /// Of /proc/PID/net/dev, which any user may ask for; it differs between namespaces.
    key: u64,
    /// Of the namespace itself, 0 where that may not be seen (PTRACE_MODE_READ).
    pub(crate) inode: u64,
    /// The first process in it.
    pub(crate) pid: u32,
}

/// Every network namespace that has a process, by that of the first.
pub(crate) fn namespaces(proc: &Path) -> Vec<Namespace> {
    let Ok(root) = openat(rustix::fs::CWD, proc, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    else {
        return Vec::new();
    };
    let mut seen: HashMap<u64, Namespace> = HashMap::new();
    for pid in numbers(root.as_fd()) {
        let Ok(metadata) = fs::metadata(proc.join(format!("{pid}/net/dev"))) else { continue };
        let key = std::os::linux::fs::MetadataExt::st_ino(&metadata);
        let link = fs::read_link(proc.join(format!("{pid}/ns/net"))).unwrap_or_default();
        let inode = link.to_str().and_then(|link| link.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok());
        let known = seen.entry(key).or_insert(Namespace { key, inode: 0, pid });
        known.pid = pid.min(known.pid);
        known.inode = inode.unwrap_or(known.inode);
    }
    let mut list: Vec<Namespace> = seen.into_values().collect();
    list.sort_by_key(|namespace| namespace.pid);
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::linux::fs::MetadataExt as _;

    #[test]
    fn own_sockets_are_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let twin = socket.try_clone().unwrap();
        let inode = fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().st_ino();
        let inode = u32::try_from(inode).unwrap();
        let owners = Owners::find(Path::new("/proc"), &[inode], false);
        let own: Vec<u32> = owners
            .of(inode)
            .filter(|(_, holder)| holder.pid == std::process::id())
            .map(|(_, holder)| holder.fd)
            .collect();
        let (low, high) = (socket.as_raw_fd().cast_unsigned(), twin.as_raw_fd().cast_unsigned());
        assert_eq!(own, [low.max(high), low.min(high)]);
        assert!(owners.of(0).next().is_none() && owners.of(inode ^ 1).next().is_none());
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        assert!(owners.held_by(inode, name.trim_end()) && !owners.held_by(inode, "nobody"));
        let threads = Owners::find(Path::new("/proc"), &[inode], true);
        assert!(threads.of(inode).any(|(_, holder)| holder.tid != holder.pid));
    }

    #[test]
    fn nothing_wanted_nothing_read() {
        assert!(Owners::find(Path::new("/nonexistent"), &[1], false).holders.is_empty());
        assert!(Owners::find(Path::new("/proc"), &[], false).holders.is_empty());
    }

    #[test]
    fn own_namespace_is_listed() {
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let own = own.to_str().unwrap().trim_start_matches("net:[").trim_end_matches(']').parse::<u64>().unwrap();
        assert!(namespaces(Path::new("/proc")).iter().any(|namespace| namespace.inode == own));
    }
}
