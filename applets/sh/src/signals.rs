//! Signals by name (signal(7)), traps, and what the shell itself does with each.

use netkit_sys::process::{self, Disposition};
use nix::libc;

use crate::shell::{EXIT_TRAP, Shell, Trap, Unwind};

const NAMES: &[(&str, i32, &str)] = &[
    ("HUP", libc::SIGHUP, "Hangup"),
    ("INT", libc::SIGINT, "Interrupt"),
    ("QUIT", libc::SIGQUIT, "Quit"),
    ("ILL", libc::SIGILL, "Illegal instruction"),
    ("TRAP", libc::SIGTRAP, "Trace/breakpoint trap"),
    ("ABRT", libc::SIGABRT, "Aborted"),
    ("BUS", libc::SIGBUS, "Bus error"),
    ("FPE", libc::SIGFPE, "Floating point exception"),
    ("KILL", libc::SIGKILL, "Killed"),
    ("USR1", libc::SIGUSR1, "User defined signal 1"),
    ("SEGV", libc::SIGSEGV, "Segmentation fault"),
    ("USR2", libc::SIGUSR2, "User defined signal 2"),
    ("PIPE", libc::SIGPIPE, "Broken pipe"),
    ("ALRM", libc::SIGALRM, "Alarm clock"),
    ("TERM", libc::SIGTERM, "Terminated"),
    ("STKFLT", libc::SIGSTKFLT, "Stack fault"),
    ("CHLD", libc::SIGCHLD, "Child exited"),
    ("CONT", libc::SIGCONT, "Continued"),
    ("STOP", libc::SIGSTOP, "Stopped (signal)"),
    ("TSTP", libc::SIGTSTP, "Stopped"),
    ("TTIN", libc::SIGTTIN, "Stopped (tty input)"),
    ("TTOU", libc::SIGTTOU, "Stopped (tty output)"),
    ("URG", libc::SIGURG, "Urgent I/O condition"),
    ("XCPU", libc::SIGXCPU, "CPU time limit exceeded"),
    ("XFSZ", libc::SIGXFSZ, "File size limit exceeded"),
    ("VTALRM", libc::SIGVTALRM, "Virtual timer expired"),
    ("PROF", libc::SIGPROF, "Profiling timer expired"),
    ("WINCH", libc::SIGWINCH, "Window changed"),
    ("POLL", libc::SIGPOLL, "I/O possible"),
    ("PWR", libc::SIGPWR, "Power failure"),
    ("SYS", libc::SIGSYS, "Bad system call"),
];

/// The name without `SIG`.
pub(crate) fn name(signal: i32) -> Option<&'static str> {
    if signal == EXIT_TRAP {
        return Some("EXIT");
    }
    NAMES.iter().find(|(_, number, _)| *number == signal).map(|(name, ..)| *name)
}

/// Every name in the order of the numbers.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, ..)| *name)
}

/// A signal by number or name, with or without `SIG`, in any case.
pub(crate) fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (0..65).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    if upper == "EXIT" {
        return Some(EXIT_TRAP);
    }
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES.iter().find(|(name, ..)| *name == bare).map(|(_, number, _)| *number)
}

/// What strsignal(3) says.
pub(crate) fn description(signal: i32) -> String {
    NAMES
        .iter()
        .find(|(_, number, _)| *number == signal)
        .map_or_else(|| format!("Signal {signal}"), |(.., text)| (*text).to_owned())
}

/// Whether a container's runtime started this shell, from outside the pid namespace, or our own process 1 did: SIGTERM
/// then means that the container shall end, and waiting for SIGKILL would take its whole grace period.
fn leads_the_container() -> bool {
    std::process::id() == 1 || std::os::unix::process::parent_id() <= 1
}

impl Shell {
    /// Signals of a shell at a terminal: Ctrl-C ends the command, not the shell (2.11).
    pub(crate) fn interactive_signals(&mut self) {
        let _ = process::set_signal(libc::SIGINT, Disposition::Note);
        let _ = process::set_signal(libc::SIGWINCH, Disposition::Note);
        for signal in [libc::SIGQUIT, libc::SIGTERM, libc::SIGTSTP, libc::SIGTTOU, libc::SIGTTIN] {
            let _ = process::set_signal(signal, Disposition::Ignore);
        }
        if leads_the_container() {
            let _ = process::set_signal(libc::SIGTERM, Disposition::Default);
        }
    }

    /// In a child: traps are forgotten, but what was ignored stays so.
    pub(crate) fn child_signals(&mut self, asynchronous: bool) {
        for (signal, trap) in std::mem::take(&mut self.traps) {
            match trap {
                Trap::Ignore => {
                    self.traps.insert(signal, Trap::Ignore);
                }
                Trap::Run(_) if signal != EXIT_TRAP => {
                    let _ = process::set_signal(signal, Disposition::Default);
                }
                Trap::Run(_) => {}
            }
        }
        if self.options.interactive && !self.subshell {
            let own = [
                libc::SIGINT,
                libc::SIGQUIT,
                libc::SIGTERM,
                libc::SIGTSTP,
                libc::SIGTTOU,
                libc::SIGTTIN,
                libc::SIGWINCH,
            ];
            for signal in own.into_iter().filter(|signal| !self.traps.contains_key(signal)) {
                let _ = process::set_signal(signal, Disposition::Default);
            }
        }
        if asynchronous && !self.options.monitor {
            for signal in [libc::SIGINT, libc::SIGQUIT] {
                let _ = process::set_signal(signal, Disposition::Ignore);
            }
        }
    }

    /// Sets, clears or ignores a signal for `trap`.
    pub(crate) fn set_trap(&mut self, signal: i32, trap: Option<Trap>) {
        if signal != EXIT_TRAP {
            if self.ignored_at_start.contains(&signal) {
                return;
            }
            let own = self.options.interactive && !self.subshell;
            let disposition = match &trap {
                Some(Trap::Run(_)) => Disposition::Note,
                Some(Trap::Ignore) => Disposition::Ignore,
                None if own && signal == libc::SIGINT => Disposition::Note,
                None if signal == libc::SIGTERM && leads_the_container() => Disposition::Default,
                None if own && [libc::SIGQUIT, libc::SIGTERM, libc::SIGTSTP].contains(&signal) => Disposition::Ignore,
                None => Disposition::Default,
            };
            match process::set_signal(signal, disposition) {
                Ok(true) if !self.traps.contains_key(&signal) && !own => {
                    // It was ignored when the shell was started: it stays so.
                    let _ = process::set_signal(signal, Disposition::Ignore);
                    self.ignored_at_start.push(signal);
                    return;
                }
                _ => {}
            }
        }
        match trap {
            Some(trap) => self.traps.insert(signal, trap),
            None => self.traps.remove(&signal),
        };
    }

    /// A signal that came and has a trap, or Ctrl-C at a terminal; it stays to be handled.
    pub(crate) fn pending_trap(&mut self) -> Option<i32> {
        while let Some(signal) = process::take_signal() {
            if signal == libc::SIGWINCH && !self.traps.contains_key(&signal) {
                continue;
            }
            self.arrived.push(signal);
        }
        self.arrived.first().copied()
    }

    /// Runs the traps of signals that came.
    ///
    /// # Errors
    /// What the trap's commands unwind to; [`Unwind::Interrupt`] for Ctrl-C at a terminal.
    pub(crate) fn run_traps(&mut self) -> Result<(), Unwind> {
        if !process::signal_pending() && self.arrived.is_empty() {
            return Ok(());
        }
        while self.pending_trap().is_some() {
            let signal = self.arrived.remove(0);
            match self.traps.get(&signal).cloned() {
                Some(Trap::Run(text)) => {
                    let status = self.status;
                    self.run_text(&text)?;
                    self.status = status;
                }
                Some(Trap::Ignore) => {}
                None if signal == libc::SIGINT => {
                    self.status = 130;
                    return Err(Unwind::Interrupt);
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Runs the EXIT trap, once, and returns the status to end with.
    pub(crate) fn finish(&mut self) -> u8 {
        if !self.exiting {
            // A trap whose signal came during the last command.
            let _ = self.run_traps();
            self.exiting = true;
            if let Some(Trap::Run(text)) = self.traps.remove(&EXIT_TRAP) {
                let status = self.status;
                self.loops = 0;
                // `exit` inside the trap without a status means the status from before it.
                match self.run_text(&text) {
                    Err(Unwind::Exit | Unwind::Fatal) => {}
                    _ => self.status = status,
                }
            }
        }
        self.status
    }
}
