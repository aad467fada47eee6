//! The proxy's password, typed at the terminal without being shown.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};

use netkit_core::Error;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::args::FAILURE;

/// Longest line read.
const MOST: u64 = 1_024;

/// Asks on the controlling terminal.
pub(crate) fn ask(prompt: &str) -> Result<String, Error> {
    let failed = || Error::new(FAILURE, "Unable to read proxy passphrase").hint("give it as -P user:password");
    let mut tty = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| failed())?;
    let shown = tcgetattr(&tty).map_err(|_| failed())?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&tty, SetArg::TCSAFLUSH, &hidden).map_err(|_| failed())?;
    let mut line = String::new();
    let typed = tty
        .write_all(prompt.as_bytes())
        .and_then(|()| BufReader::new(std::io::Read::take(&tty, MOST)).read_line(&mut line));
    let _ = tcsetattr(&tty, SetArg::TCSAFLUSH, &shown);
    let _ = tty.write_all(b"\n");
    typed.map_err(|_| failed())?;
    Ok(line.trim_end_matches('\n').to_owned())
}
