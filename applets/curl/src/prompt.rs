//! The question for a password that `-u` and `-U` do not tell (curl(1), "Enter host password for user").

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::config::Config;

/// Longest password read.
const MOST: usize = 2048;

/// Asks for what is missing in the operations' credentials: on the terminal, or from standard input where there is none.
pub(crate) fn complete(configs: &mut [Config], err: &mut dyn Write) {
    let several = configs.len() > 1;
    for (number, config) in (1..).zip(configs.iter_mut()) {
        let oauth = config.bearer.is_some();
        for (kind, login) in [("host", &mut config.user), ("proxy", &mut config.proxy_user)] {
            let Some(login) = login.as_mut() else { continue };
            // `;` begins login options, which stand for themselves.
            if login.contains(':') || login.starts_with(';') || (oauth && kind == "host") {
                continue;
            }
            let which = if several { format!(" on URL #{number}") } else { String::new() };
            let _ = write!(err, "Enter {kind} password for user '{}'{which}:", netkit_core::text::printable(login));
            let _ = err.flush();
            login.push(':');
            login.push_str(&answer(err).unwrap_or_default());
        }
    }
}

fn answer(err: &mut dyn Write) -> io::Result<String> {
    let mut source = match File::open("/dev/tty") {
        Ok(terminal) => terminal,
        Err(_) => File::from(io::stdin().as_fd().try_clone_to_owned()?),
    };
    let before = tcgetattr(&source).ok();
    if let Some(before) = &before {
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&source, SetArg::TCSAFLUSH, &silent)?;
    }
    let mut bytes = vec![0; MOST];
    // A terminal gives one line at a time, and so much is taken of anything else.
    let read = source.read(&mut bytes);
    if let Some(before) = &before {
        let _ = tcsetattr(&source, SetArg::TCSAFLUSH, before);
    }
    let _ = err.write_all(b"\n");
    bytes.truncate(read?.saturating_sub(1));
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
