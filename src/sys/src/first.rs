//! Process 1 of a container (pid_namespaces(7)): reaps what others leave, passes signals on, ends when its one program does.
//!
//! The kernel gives process 1 no default actions: a program that sets no handler would not end on SIGTERM. So the program
//! itself runs as a child, with every default in force.

use std::os::fd::AsFd;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::process::{self, Change};

/// `si_code` of a signal that the kernel itself sent, as the terminal's driver does (sigaction(2)).
const SI_KERNEL: i32 = 0x80;

/// Signals that a terminal sends to the whole foreground group, which the child is in or has given to another.
const OF_TERMINALS: [i32; 4] = [libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP, libc::SIGWINCH];

/// Runs `program` and returns its status. In process 1 it runs in a child; its status is then 128 and the signal's number
/// if a signal ended it. Where no child can be made it runs here.
pub fn supervise(program: &mut dyn FnMut() -> u8) -> u8 {
    if std::process::id() != 1 {
        return program();
    }
    let mut before = SigSet::empty();
    let held = SigSet::all();
    let Ok(signals) = nix::sys::signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&held), Some(&mut before))
        .and_then(|()| SignalFd::with_flags(&held, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK))
    else {
        let _ = before.thread_set_mask();
        return program();
    };
    let child = process::fork(|| {
        let _ = before.thread_set_mask();
        program()
    });
    let Ok(child) = child else {
        let _ = before.thread_set_mask();
        return program();
    };
    loop {
        if let Some(status) = reap(child) {
            return status;
        }
        let _ = poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
        while let Ok(Some(info)) = signals.read_signal() {
            let signal = i32::try_from(info.ssi_signo).unwrap_or_default();
            let heard_already = info.ssi_code == SI_KERNEL && OF_TERMINALS.contains(&signal);
            if signal != libc::SIGCHLD && !heard_already {
                let _ = process::kill(child, signal);
            }
        }
    }
}

/// Takes in everything that has ended; the status of `child` if that is among it.
fn reap(child: i32) -> Option<u8> {
    loop {
        match process::wait(-1, false, false) {
            Ok(Some((pid, Change::Exited(status)))) if pid == child => return Some(status),
            Ok(Some((pid, Change::Killed { signal, .. }))) if pid == child => {
                return Some(u8::try_from(128 + signal).unwrap_or(u8::MAX));
            }
            Ok(Some(_)) => {}
            Ok(None) => return None,
            // Without children: somebody else has taken the status.
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Some(0),
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn elsewhere_it_only_runs_the_program() {
        assert_eq!(super::supervise(&mut || 7), 7);
    }
}
