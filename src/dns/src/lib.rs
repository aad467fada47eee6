//! resolv.conf and hosts, the transports of a stub resolver, and the algorithms of other resolvers played
//! on the real configuration with every attempt recorded.

pub mod hosts;
pub mod random;
pub mod resolv_conf;
pub mod simulate;
pub mod transport;

pub use netkit_core::rooted;

use std::path::PathBuf;

/// Where this process finds a file that the resolver reads.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The static table.
pub const HOSTS: &str = "/etc/hosts";

/// Most that is read of nsswitch.conf and host.conf, in bytes.
pub const MAX_CONF: u64 = 1 << 20;

/// `path` as process `pid` sees it, through its root directory, with its own symbolic links followed in there.
/// A container's files are reached this way from a debug container that shares its process namespace
/// (proc(5), /proc/PID/root).
pub fn path_of_pid(pid: u32, path: &str) -> PathBuf {
    rooted::path_in(&PathBuf::from(format!("/proc/{pid}/root")), path)
}
