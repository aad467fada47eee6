//! The terminal: raw mode, its width (termios(3), ioctl_tty(2)).

use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The terminal's settings before they were changed.
pub(crate) type Before = Termios;

/// Turns echo off; `None` when stdin is no terminal.
pub(crate) fn silence() -> Option<Before> {
    let stdin = std::io::stdin();
    let before = tcgetattr(stdin.as_fd()).ok()?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(stdin.as_fd(), OptionalActions::Drain, &silent).ok()?;
    Some(before)
}

/// Keys come one by one and unechoed; Ctrl-C is a key as well.
pub(crate) fn raw() -> Option<Before> {
    let stdin = std::io::stdin();
    let before = tcgetattr(stdin.as_fd()).ok()?;
    let mut raw = before.clone();
    raw.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN);
    raw.input_modes.remove(
        rustix::termios::InputModes::ICRNL | rustix::termios::InputModes::IXON | rustix::termios::InputModes::INLCR,
    );
    raw.special_codes[SpecialCodeIndex::VMIN] = 1;
    raw.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(stdin.as_fd(), OptionalActions::Drain, &raw).ok()?;
    Some(before)
}

pub(crate) fn restore(before: &Before) {
    let stdin = std::io::stdin();
    let _ = tcsetattr(stdin.as_fd(), OptionalActions::Drain, before);
}

/// Columns of the terminal; 80 where it does not say.
pub(crate) fn columns() -> usize {
    let stdin = std::io::stdin();
    tcgetwinsize(stdin.as_fd()).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80)
}
