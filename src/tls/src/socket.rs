//! A connected socket as a [`Transport`].

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Shutdown, shutdown};

use crate::transport::{Ready, Transport};

/// A stream socket of any family in non-blocking mode.
#[derive(Debug)]
pub struct Socket(File);

impl Socket {
    /// Takes a connected socket.
    ///
    /// # Errors
    /// When it cannot be made non-blocking.
    pub fn new(fd: impl Into<OwnedFd>) -> io::Result<Socket> {
        let fd: OwnedFd = fd.into();
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
        fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Socket(File::from(fd)))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Socket {
    fn wait(&mut self, wanted: Ready, limit: Option<Duration>) -> io::Result<Ready> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, wanted.read);
        flags.set(PollFlags::POLLOUT, wanted.write);
        let mut polled = [PollFd::new(self.0.as_fd(), flags)];
        // Rounded up, so that a wait never spins.
        let timeout = limit.map_or(PollTimeout::NONE, |limit| {
            let millis = i32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut polled, timeout) {
            Err(Errno::EINTR) => return Ok(Ready::default()),
            Err(errno) => return Err(errno.into()),
            Ok(_) => {}
        }
        let seen = polled.first().and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        let broken = seen.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL);
        Ok(Ready {
            read: wanted.read && (seen.contains(PollFlags::POLLIN) || broken),
            write: wanted.write && (seen.contains(PollFlags::POLLOUT) || broken),
        })
    }

    fn finish(&mut self) {
        let _ = shutdown(self.0.as_raw_fd(), Shutdown::Write);
    }
}
