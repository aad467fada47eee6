//! What a command name stands for, starting programs, and showing commands for `set -x`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;

use netkit_sys::process;
use nix::libc;

use crate::ast::{Bytes, Command, Kind, Word};
use crate::builtins;
use crate::exec::Found;
use crate::parse::{Parser, Text};
use crate::shell::{Shell, Unwind};

impl Shell {
    /// What a name stands for: special builtins, functions, builtins, applets, then PATH.
    pub(crate) fn find(&self, name: &[u8], functions: bool) -> Found {
        if name.contains(&b'/') {
            return Found::File(name.to_vec());
        }
        if let Some(builtin) = builtins::special(name) {
            return Found::Special(builtin);
        }
        if functions && let Some(body) = self.functions.get(name) {
            return Found::Function(Rc::clone(body));
        }
        if let Some(builtin) = builtins::regular(name) {
            return Found::Builtin(builtin);
        }
        if self.is_applet(name) && self.own.is_some() {
            return Found::Applet;
        }
        self.in_path(name).map_or(Found::Missing, Found::File)
    }

    /// The file that PATH has for a name: an executable one if there is one.
    pub(crate) fn in_path(&self, name: &[u8]) -> Option<Bytes> {
        let path = self
            .variable(b"PATH")
            .unwrap_or_else(|| b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_vec());
        let mut fallback = None;
        for dir in path.split(|byte| *byte == b':') {
            let file = if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() };
            let Ok(data) = std::fs::metadata(OsStr::from_bytes(&file)) else { continue };
            if !data.is_file() {
                continue;
            }
            if data.permissions().mode() & 0o111 != 0 {
                return Some(file);
            }
            fallback.get_or_insert(file);
        }
        fallback
    }

    /// Replaces this process by a program; returns with a status when that is not possible.
    pub(super) fn become_program(
        &mut self,
        found: &Found,
        command: &Rc<Command>,
        assignments: &[(Bytes, Word)],
        words: &[Bytes],
    ) -> Result<(), Unwind> {
        if !self.redirect_for_good(&command.redirects)? {
            return Ok(());
        }
        self.assign_for_now(assignments)?;
        self.status = self.exec_program(found, words);
        Ok(())
    }

    /// execve(2) of what was found; the status when it fails: 126 or 127 (2.8.2).
    pub(crate) fn exec_program(&mut self, found: &Found, words: &[Bytes]) -> u8 {
        let name = words.first().cloned().unwrap_or_default();
        let shown = String::from_utf8_lossy(&name).into_owned();
        let environment = self.environment();
        let (path, what) = match found {
            Found::Applet => (self.own.clone().unwrap_or_default(), "applet"),
            Found::File(path) => (path.clone(), "file"),
            _ => {
                self.say(&format!("{shown}: not found"));
                return 127;
            }
        };
        let error = process::exec(&path, words, &environment);
        match error.raw_os_error() {
            Some(libc::ENOEXEC) if what == "file" => self.run_script(&path, words),
            Some(libc::ENOENT | libc::ENOTDIR) => {
                self.say(&format!("{shown}: not found"));
                127
            }
            _ => {
                self.say(&format!("{shown}: {}", reason(&error)));
                126
            }
        }
    }

    /// A text file without `#!`: a script for this shell.
    pub(super) fn run_script(&mut self, path: &[u8], words: &[Bytes]) -> u8 {
        let Some(own) = self.own.clone() else {
            self.say("this program's own file cannot be found");
            return 126;
        };
        let mut arguments = vec![b"sh".to_vec(), path.to_vec()];
        arguments.extend(words.get(1..).unwrap_or_default().iter().cloned());
        let error = process::exec(&own, &arguments, &self.environment());
        self.say(&format!("{}: {}", String::from_utf8_lossy(path), reason(&error)));
        126
    }

    // ---- set -x

    pub(super) fn trace(&mut self, assignments: &[(Bytes, Word)], words: &[Bytes]) -> Result<(), Unwind> {
        let mut shown = Vec::new();
        for (name, word) in assignments {
            let value = self.expand_assignment(word)?;
            shown.push([name.as_slice(), b"=", &quote(&value)].concat());
        }
        shown.extend(words.iter().map(|word| quote(word)));
        self.trace_line(&shown.join(&b' '))
    }

    pub(super) fn trace_line(&mut self, line: &[u8]) -> Result<(), Unwind> {
        let prefix = self.prompt(b"PS4")?;
        let text = [prefix.as_slice(), line, b"\n"].concat();
        let _ = process::write_all(2, &text);
        Ok(())
    }

    /// A prompt variable with its expansions done.
    pub(crate) fn prompt(&mut self, name: &[u8]) -> Result<Bytes, Unwind> {
        let text = self.variable(name).unwrap_or_default();
        if self.tracing || !text.contains(&b'$') && !text.contains(&b'`') {
            return Ok(text);
        }
        self.tracing = true;
        let (xtrace, status) = (std::mem::take(&mut self.options.xtrace), self.status);
        // `\$` is the editor's, as `\w` is: it stays what it is.
        let kept: Bytes = if name == b"PS4" { text.clone() } else { replace(&text, b"\\$", &[1]) };
        let mut source = Text::new([b"\"".as_slice(), &kept, b"\""].concat());
        let word = Parser::new(&mut source, Rc::clone(&self.aliases)).next();
        let expanded = match word {
            Ok(Some(list)) => {
                match list.items.first().and_then(|item| item.first.commands.first()).map(|command| &command.kind) {
                    Some(Kind::Simple { words, .. }) => match words.first() {
                        Some(word) => self.expand_text(word),
                        None => Ok(text),
                    },
                    _ => Ok(text),
                }
            }
            _ => Ok(text),
        };
        self.tracing = false;
        (self.options.xtrace, self.status) = (xtrace, status);
        expanded.map(|text| replace(&text, &[1], b"\\$"))
    }
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Bytes {
    let mut out = Bytes::new();
    let mut rest = text;
    while let Some(first) = rest.first() {
        match rest.strip_prefix(from) {
            Some(after) => {
                out.extend_from_slice(to);
                rest = after;
            }
            None => {
                out.push(*first);
                rest = rest.get(1..).unwrap_or_default();
            }
        }
    }
    out
}

/// A word as the shell would read it again.
pub(crate) fn quote(text: &[u8]) -> Bytes {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(byte);
    if !text.is_empty() && text.iter().all(plain) {
        return text.to_vec();
    }
    single_quoted(text)
}

pub(crate) fn single_quoted(text: &[u8]) -> Bytes {
    let mut out = b"'".to_vec();
    for byte in text {
        if *byte == b'\'' {
            out.extend_from_slice(b"'\"'\"'");
        } else {
            out.push(*byte);
        }
    }
    out.push(b'\'');
    out
}

/// An errno in the words of strerror(3).
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
