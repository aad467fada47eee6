//! What can go wrong with a request.

use std::fmt;

use nix::errno::Errno;

/// Why a netlink request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A system call failed.
    System {
        /// What was attempted, e.g. `open a netlink socket`.
        doing: &'static str,
        /// Number of errno(3).
        errno: i32,
    },
    /// The kernel refused the request.
    Kernel {
        /// Number of errno(3), positive.
        errno: i32,
        /// The kernel's own words, possibly empty.
        text: String,
    },
    /// The receive buffer ran over and messages are lost (ENOBUFS); asking again helps, listening may go on.
    Overrun,
    /// The answer does not hold together.
    Malformed(&'static str),
}

impl Error {
    pub(crate) fn system(doing: &'static str) -> impl FnOnce(Errno) -> Error {
        move |errno| Error::System { doing, errno: errno as i32 }
    }

    /// The number of errno(3) behind it, 0 if there is none.
    pub fn errno(&self) -> i32 {
        match self {
            Error::System { errno, .. } | Error::Kernel { errno, .. } => *errno,
            Error::Overrun => Errno::ENOBUFS as i32,
            Error::Malformed(_) => 0,
        }
    }

    /// Whether this kernel does not have what was asked (no netlink, no such family, no such module).
    pub fn is_unsupported(&self) -> bool {
        let kinds = [Errno::EPROTONOSUPPORT, Errno::EAFNOSUPPORT, Errno::EOPNOTSUPP, Errno::ENOENT, Errno::EINVAL];
        kinds.contains(&Errno::from_raw(self.errno()))
    }

    /// Whether a privilege is missing.
    pub fn is_denied(&self) -> bool {
        [Errno::EPERM, Errno::EACCES].contains(&Errno::from_raw(self.errno()))
    }
}

/// The words for a number of errno(3), as strerror(3) has them.
pub fn describe(errno: i32) -> String {
    match Errno::from_raw(errno) {
        Errno::UnknownErrno => format!("Unknown error {errno}"),
        known => known.desc().to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::System { doing, errno } => write!(f, "cannot {doing}: {}", describe(*errno)),
            Error::Kernel { errno, text } if text.is_empty() => f.write_str(&describe(*errno)),
            Error::Kernel { errno, text } => write!(f, "{text} ({})", describe(*errno)),
            Error::Overrun => f.write_str("the netlink buffer ran over, messages are lost"),
            Error::Malformed(what) => write!(f, "the kernel's answer is malformed: {what}"),
        }
    }
}

impl std::error::Error for Error {}
