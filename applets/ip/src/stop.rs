//! How a command ends early: in the peer's words and with its status.

use netkit_core::{Error, Exit};

/// Why a command stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Said on stderr as it stands, as ip(8) says it.
    Peer(u8, String),
    /// Said in the house's form, `ip: ...`.
    House(Error),
}

pub(crate) type Res<T = ()> = Result<T, Stop>;

/// Status of ip(8) when it could not do what was asked (ip.c, EXIT_FAILURE).
pub(crate) const FAILED: u8 = 1;
/// Status of ip(8) when the kernel refused.
pub(crate) const REFUSED: u8 = 2;
/// Status of ip(8) for a command line it does not understand, exit(-1).
pub(crate) const USAGE: u8 = 255;

impl Stop {
    pub(crate) fn peer(status: u8, text: impl Into<String>) -> Stop {
        Stop::Peer(status, text.into())
    }

    /// A word that does not fit where it stands.
    pub(crate) fn wrong(argument: &str, why: &str) -> Stop {
        Stop::Peer(USAGE, format!("Error: argument \"{argument}\" is wrong: {why}"))
    }

    pub(crate) fn incomplete() -> Stop {
        Stop::peer(USAGE, "Command line is not complete. Try option \"help\"")
    }

    pub(crate) fn no_device(name: &str) -> Stop {
        Stop::Peer(FAILED, format!("Device \"{name}\" does not exist."))
    }

    /// The kernel's answer to one question.
    pub(crate) fn talk(error: netkit_nl::Error) -> Stop {
        match &error {
            netkit_nl::Error::Kernel { .. } => Stop::Peer(REFUSED, answer(&error)),
            _ => Stop::from(error),
        }
    }
}

/// `Error: WORDS.` or `RTNETLINK answers: WORDS`.
fn answer(error: &netkit_nl::Error) -> String {
    match error {
        netkit_nl::Error::Kernel { text, .. } if !text.is_empty() => {
            format!("Error: {text}{}", if text.ends_with('.') { "" } else { "." })
        }
        other => format!("RTNETLINK answers: {}", netkit_nl::describe(other.errno())),
    }
}

/// The kernel's refusal of a dump.
impl From<netkit_nl::Error> for Stop {
    fn from(error: netkit_nl::Error) -> Stop {
        match &error {
            netkit_nl::Error::Kernel { .. } => Stop::Peer(FAILED, format!("{}\nDump terminated", answer(&error))),
            netkit_nl::Error::System { .. } if error.is_unsupported() => Stop::House(
                Error::new(Exit(FAILED), error.to_string())
                    .hint("this kernel (gVisor?) has no such netlink family; /proc/net may have what you look for"),
            ),
            _ => Stop::House(Error::new(Exit(FAILED), error.to_string())),
        }
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Stop {
        Stop::House(Error::from(error))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::House(error)
    }
}
