//! Signals as something to wait for beside other descriptors (signalfd(2)), so that nothing runs in a handler.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What a capture listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// SIGINT, SIGTERM or SIGHUP: come to an end.
    End,
    /// SIGUSR1: say how far you are.
    Report,
    /// SIGUSR2: write out what is held back.
    Flush,
}

/// SIGINT, SIGTERM, SIGHUP (unless it was ignored from the start, as nohup(1) arranges), SIGUSR1 and SIGUSR2 of this
/// thread, held back for [`Signals::take`].
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
}

impl Signals {
    /// From now on.
    ///
    /// # Errors
    /// As signalfd(2).
    pub fn hold() -> Result<Signals, Errno> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2] {
            set.add(signal);
        }
        if !ignored(Signal::SIGHUP) {
            set.add(Signal::SIGHUP);
        }
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Signals { descriptor: SignalFd::with_flags(&set, flags)? })
    }

    /// The next signal that came, if one did. Does not wait.
    ///
    /// # Errors
    /// As read(2).
    pub fn take(&mut self) -> Result<Option<Wish>, Errno> {
        let Some(info) = self.descriptor.read_signal()? else { return Ok(None) };
        let number = i32::try_from(info.ssi_signo).unwrap_or_default();
        Ok(Some(match Signal::try_from(number) {
            Ok(Signal::SIGUSR1) => Wish::Report,
            Ok(Signal::SIGUSR2) => Wish::Flush,
            _ => Wish::End,
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Whether `signal` is ignored, as /proc/self/status tells.
fn ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal as i32 - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::pthread::{pthread_kill, pthread_self};

    #[test]
    fn a_signal_waits_until_it_is_asked_for() {
        std::thread::spawn(|| {
            let mut signals = Signals::hold().unwrap();
            assert_eq!(signals.take(), Ok(None));
            pthread_kill(pthread_self(), Signal::SIGUSR1).unwrap();
            assert_eq!(signals.take(), Ok(Some(Wish::Report)));
            assert_eq!(signals.take(), Ok(None));
        })
        .join()
        .unwrap();
    }
}
