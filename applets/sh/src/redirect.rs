//! Redirections (POSIX.1-2024, Shell 2.7), done on the process's own descriptors and undone afterwards.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use netkit_sys::process::{self, FIRST_PRIVATE, Fd};
use nix::libc;

use crate::ast::{Action, Bytes, Redirect};
use crate::program::reason;
use crate::shell::{Shell, Unwind};

/// What a descriptor was before: a copy of it, or `None` where it was closed.
pub(crate) type Saved = Vec<(Fd, Option<Fd>)>;

/// The most a here-document writes into a pipe, which holds this much without a reader (pipe(7)).
const PIPE_HOLDS: usize = 4096;

impl Shell {
    /// Redirects and says what must be put back; `None` when one failed, which has been said and undone.
    ///
    /// # Errors
    /// What the expansion of a word unwinds to.
    pub(crate) fn redirect(&mut self, redirects: &[Redirect]) -> Result<Option<Saved>, Unwind> {
        let mut saved = Saved::new();
        for redirect in redirects {
            match self.redirect_one(redirect, Some(&mut saved)) {
                Ok(Ok(())) => {}
                Ok(Err(message)) => {
                    self.restore(saved);
                    self.say(&message);
                    self.status = 2;
                    return Ok(None);
                }
                Err(unwind) => {
                    self.restore(saved);
                    return Err(unwind);
                }
            }
        }
        Ok(Some(saved))
    }

    /// Redirects for the rest of this process; false when one failed, with the status set.
    pub(crate) fn redirect_for_good(&mut self, redirects: &[Redirect]) -> Result<bool, Unwind> {
        for redirect in redirects {
            if let Err(message) = self.redirect_one(redirect, None)? {
                self.say(&message);
                self.status = 2;
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) fn restore(&mut self, saved: Saved) {
        for (fd, copy) in saved.into_iter().rev() {
            match copy {
                Some(copy) => {
                    let _ = process::duplicate(copy, fd);
                    process::close(copy);
                }
                None => process::close(fd),
            }
        }
    }

    /// `exec` without a command: what was redirected stays.
    pub(crate) fn keep(&mut self, saved: Saved) {
        for copy in saved.into_iter().filter_map(|(_, copy)| copy) {
            process::close(copy);
        }
    }

    /// One redirection; the inner error is a message.
    fn redirect_one(&mut self, redirect: &Redirect, saved: Option<&mut Saved>) -> Result<Result<(), String>, Unwind> {
        let fd = redirect.fd;
        let open = match &redirect.action {
            Action::Read(word) => {
                let path = self.expand_text(word)?;
                open(&path, libc::O_RDONLY, "open")
            }
            Action::Write { word, clobber } => {
                let path = self.expand_text(word)?;
                let refuses = self.options.noclobber && !clobber;
                let is_file = || std::fs::metadata(OsStr::from_bytes(&path)).is_ok_and(|data| data.is_file());
                if refuses && is_file() {
                    Err(format!("cannot create {}: File exists", String::from_utf8_lossy(&path)))
                } else {
                    open(&path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC, "create")
                }
            }
            Action::Append(word) => {
                let path = self.expand_text(word)?;
                open(&path, libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND, "create")
            }
            Action::ReadWrite(word) => {
                let path = self.expand_text(word)?;
                open(&path, libc::O_RDWR | libc::O_CREAT, "create")
            }
            Action::Both { word, append } => {
                let path = self.expand_text(word)?;
                let mode = if *append { libc::O_APPEND } else { libc::O_TRUNC };
                match open(&path, libc::O_WRONLY | libc::O_CREAT | mode, "create") {
                    Ok(opened) => {
                        let mut saved = saved;
                        save(1, &mut saved);
                        save(2, &mut saved);
                        let _ = place(opened, 1);
                        let _ = process::duplicate(1, 2);
                        return Ok(Ok(()));
                    }
                    Err(message) => Err(message),
                }
            }
            Action::Here(word) => {
                let text = self.expand_text(&word.borrow())?;
                here(&text)
            }
            Action::Duplicate(word) => {
                let text = self.expand_text(word)?;
                return Ok(duplicate(&text, fd, saved));
            }
        };
        let mut saved = saved;
        Ok(open.and_then(|opened| {
            save(fd, &mut saved);
            place(opened, fd)
        }))
    }
}

/// Keeps a copy of what `fd` is, once.
fn save(fd: Fd, saved: &mut Option<&mut Saved>) {
    let Some(saved) = saved else { return };
    if saved.iter().all(|(known, _)| *known != fd) {
        saved.push((fd, process::duplicate_away(fd).ok()));
    }
}

/// Moves an opened descriptor to the number it shall have.
fn place(opened: Fd, fd: Fd) -> Result<(), String> {
    if opened != fd {
        let result = process::duplicate(opened, fd);
        process::close(opened);
        return result.map_err(|error| format!("{fd}: {}", reason(&error)));
    }
    Ok(())
}

fn open(path: &[u8], flags: i32, verb: &str) -> Result<Fd, String> {
    let opened = process::open(path, flags, 0o666).map_err(|error| {
        let why = match (error.raw_os_error(), verb) {
            (Some(libc::ENOENT), "open") => "No such file".to_owned(),
            (Some(libc::ENOENT), _) => "Directory nonexistent".to_owned(),
            _ => reason(&error),
        };
        format!("cannot {verb} {}: {why}", String::from_utf8_lossy(path))
    })?;
    // A number above the script's own, so that it does not stand in the way of one.
    if opened < FIRST_PRIVATE {
        let away = process::duplicate_away(opened);
        process::close(opened);
        return away.map_err(|error| reason(&error));
    }
    Ok(opened)
}

fn duplicate(text: &[u8], fd: Fd, saved: Option<&mut Saved>) -> Result<(), String> {
    let mut saved = saved;
    if text == b"-" {
        save(fd, &mut saved);
        process::close(fd);
        return Ok(());
    }
    let number =
        std::str::from_utf8(text).ok().and_then(|text| text.parse::<Fd>().ok()).filter(|from| *from < FIRST_PRIVATE);
    let Some(from) = number else { return Err(format!("{}: Bad fd number", String::from_utf8_lossy(text))) };
    if !process::is_open(from) {
        return Err(format!("{from}: Bad file descriptor"));
    }
    if from == fd {
        return Ok(());
    }
    save(fd, &mut saved);
    process::duplicate(from, fd).map_err(|error| format!("{from}: {}", reason(&error)))
}

/// A descriptor to read a here-document from: a pipe when it fits, otherwise fed by a child.
fn here(text: &Bytes) -> Result<Fd, String> {
    let failed = |error: std::io::Error| format!("here-document: {}", reason(&error));
    let (from, to) = process::pipe().map_err(failed)?;
    if text.len() <= PIPE_HOLDS {
        let written = process::write_all(to, text);
        process::close(to);
        written.map_err(failed)?;
    } else {
        let fed = process::fork(|| {
            process::close(from);
            u8::from(process::write_all(to, text).is_err())
        });
        process::close(to);
        fed.map_err(failed)?;
    }
    let away = process::duplicate_away(from);
    process::close(from);
    away.map_err(failed)
}
