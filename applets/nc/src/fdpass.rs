//! `-F`: hands the connected socket to whoever holds the other end of standard output (unix(7), SCM_RIGHTS).

use std::io::{self, IoSlice, IsTerminal};
use std::os::fd::{AsRawFd, BorrowedFd};

use netkit_core::Error;
use netkit_probe::errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::args::FAILURE;

/// Sends the descriptor with one byte, as every receiver expects at least one.
pub(crate) fn send(socket: BorrowedFd<'_>) -> Result<(), Error> {
    let stdout = io::stdout();
    if stdout.is_terminal() {
        return Err(Error::new(FAILURE, "Cannot pass file descriptor to tty"));
    }
    let descriptors = [socket.as_raw_fd()];
    let byte = [IoSlice::new(b"\0")];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(stdout.as_raw_fd(), &byte, &rights, MsgFlags::empty(), None)
        .map(|_| ())
        .map_err(|errno| Error::new(FAILURE, format!("sendmsg: {}", errno::text(errno as i32))))
}
