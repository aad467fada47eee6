//! Reading legacy x_tables (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h).
//!
//! Any socket of the family will do, so no raw socket is opened. Only tables that the kernel lists are asked for, because
//! asking for another one would create it. No lock is taken and nothing is written.

use std::fs;
use std::io;
use std::net::UdpSocket;
use std::ops::Deref;
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::libc;

/// IPT_SO_GET_INFO and IP6T_SO_GET_INFO
const GET_INFO: i32 = 64;
/// IPT_SO_GET_ENTRIES and IP6T_SO_GET_ENTRIES
const GET_ENTRIES: i32 = 65;
/// Octets of struct ipt_getinfo: name, valid_hooks, hook_entry[5], underflow[5], num_entries, size.
const INFO: usize = 84;
/// Octets of struct ipt_get_entries before the entries: name, size, padding to eight.
const ENTRIES_HEADER: usize = 40;
/// XT_TABLE_MAXNAMELEN
const NAME: usize = 32;
/// Largest table read, in bytes: some 600,000 rules. The size comes from the kernel, but memory is ours.
const LARGEST: usize = 256 << 20;
/// A table that changes between the two questions is asked for again, this often.
const ATTEMPTS: u32 = 16;

/// A table as the kernel hands it out, in one snapshot.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Bit n for hook n.
    pub valid_hooks: u32,
    /// Offset of each hook's first entry.
    pub hook_entry: [u32; 5],
    /// Offset of each hook's policy.
    pub underflow: [u32; 5],
    /// The entries.
    pub entries: Entries,
}

/// The kernel's answer, of which only the entries are seen; tens of megabytes are not moved to cut off its head.
#[derive(Clone, Debug)]
pub struct Entries {
    answer: Vec<u8>,
}

impl Deref for Entries {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.answer.get(ENTRIES_HEADER..).unwrap_or_default()
    }
}

/// Names of the tables that exist in this network namespace, in the kernel's order; IPv6's with `v6`.
///
/// # Errors
/// When the file is there and may not be read. No file means that the kernel has no legacy tables.
pub fn names(v6: bool) -> io::Result<Vec<String>> {
    let path = if v6 { "/proc/net/ip6_tables_names" } else { "/proc/net/ip_tables_names" };
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Reads a table.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN, ENOPROTOOPT where the kernel has no legacy tables, ENOENT for an unknown one.
pub fn read(table: &str, v6: bool) -> io::Result<Blob> {
    let socket = if v6 { UdpSocket::bind("[::1]:0") } else { UdpSocket::bind("127.0.0.1:0") };
    // A namespace without a loopback address still binds the wildcard.
    let socket = socket.or_else(|_| UdpSocket::bind(if v6 { "[::]:0" } else { "0.0.0.0:0" }))?;
    let level = if v6 { libc::SOL_IPV6 } else { libc::SOL_IP };
    let name = table.as_bytes();
    if name.len() >= NAME {
        return Err(Errno::ENAMETOOLONG.into());
    }
    for _ in 0..ATTEMPTS {
        let mut info = vec![0u8; INFO];
        copy(&mut info, 0, name);
        getsockopt(socket.as_raw_fd(), level, GET_INFO, &mut info)?;
        let word = |index: usize| -> u32 {
            let at = NAME + 4 * index;
            info.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
        };
        let words = |first: usize| std::array::from_fn(|index| word(first + index));
        let size = word(12);
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        if length > LARGEST {
            return Err(Errno::EFBIG.into());
        }
        let mut entries = vec![0u8; ENTRIES_HEADER + length];
        copy(&mut entries, 0, name);
        copy(&mut entries, NAME, &size.to_ne_bytes());
        match getsockopt(socket.as_raw_fd(), level, GET_ENTRIES, &mut entries) {
            // The size no longer fits: somebody changed the table.
            Err(error)
                if matches!(Errno::from_raw(error.raw_os_error().unwrap_or(0)), Errno::EAGAIN | Errno::EINVAL) => {}
            Err(error) => return Err(error),
            Ok(()) => {
                let entries = Entries { answer: entries };
                return Ok(Blob { valid_hooks: word(0), hook_entry: words(1), underflow: words(6), entries });
            }
        }
    }
    Err(Errno::EAGAIN.into())
}

fn copy(target: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = target.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// getsockopt(2) into a buffer whose first bytes are the question.
#[allow(unsafe_code)]
pub(crate) fn getsockopt(fd: RawFd, level: i32, option: i32, buffer: &mut [u8]) -> io::Result<()> {
    let mut length = libc::socklen_t::try_from(buffer.len()).map_err(|_| Errno::EFBIG)?;
    // SAFETY: `buffer` is writable for `length` octets and outlives the call, and the kernel writes no further than
    // `length`; the options used in this room hand out plain bytes and store no pointer.
    let outcome = unsafe { libc::getsockopt(fd, level, option, buffer.as_mut_ptr().cast(), &raw mut length) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
