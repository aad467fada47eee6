//! The error type owns exit status, message and hint; `src/main.rs` alone turns it into an exit.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// Exit status of an applet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// All is well.
    pub const OK: Exit = Exit(0);
    /// Usage error of our own tools.
    pub const USAGE: Exit = Exit(2);
    /// The status of a process that died of SIGPIPE, as a shell reports it (128 + 13).
    pub const PIPE: Exit = Exit(141);
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.0)
    }
}

/// Why an applet stopped: one line for the user, a status, and possibly a hint.
#[derive(Debug)]
pub struct Error {
    /// The line after `name: `; empty when there is nothing to say.
    pub message: String,
    /// The status to leave with.
    pub exit: Exit,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Error {
    /// An error with a status of the peer's.
    pub fn new(exit: Exit, message: impl Into<String>) -> Error {
        Error { message: message.into(), exit, hint: None }
    }

    /// A usage error of our own (status 2).
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Exit::USAGE, message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// For writes to stdout only: a closed pipe ends quietly, anything else is said.
/// Socket and file errors are mapped where they happen, with the operation and the address.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Error::new(Exit::PIPE, "")
        } else {
            Error::new(Exit(1), format!("cannot write output: {error}"))
        }
    }
}
