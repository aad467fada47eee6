//! Entering another network namespace (setns(2), network_namespaces(7)).

use std::fs::File;
use std::io;

use netkit_core::privilege::{Capability, missing};
use netkit_core::{Error, Exit};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

/// Moves the calling thread into the network namespace of a process (`PID`) or of a bound file (`PATH`).
/// Threads started later inherit it; threads that run already do not.
///
/// # Errors
/// Names the namespace and says whether it does not exist or which capability is missing.
pub fn enter(target: &str) -> Result<(), Error> {
    let is_pid = !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_digit());
    let path = if is_pid { format!("/proc/{target}/ns/net") } else { target.to_owned() };
    let file = File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if is_pid => Error::usage(format!("--netns: there is no process {target}")),
        io::ErrorKind::PermissionDenied => Error::new(
            Exit(1),
            format!("--netns: cannot open {path}: permission denied"),
        )
        .hint(missing(Capability::SysPtrace, "opening another process's namespace", "")),
        _ => Error::new(Exit(1), format!("--netns: cannot open {path}: {error}")),
    })?;
    setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| match errno {
        Errno::EPERM => Error::new(Exit(1), format!("--netns: not allowed to enter {path}")).hint(missing(
            Capability::SysAdmin,
            "entering another network namespace",
            "everything in this one",
        )),
        Errno::EINVAL => Error::usage(format!("--netns: {path} is not a network namespace")),
        other => Error::new(Exit(1), format!("--netns: cannot enter {path}: {other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_namespace_is_named() {
        assert!(enter("/dev/null").is_err_and(|error| error.message.contains("/dev/null")));
        assert!(enter("4294967295").is_err_and(|error| error.message.contains("no process 4294967295")));
        assert!(enter("/nonexistent/ns").is_err());
    }
}
