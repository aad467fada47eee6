//! cd and pwd (POSIX.1-2024).

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::{rest, text};
use crate::ast::Bytes;
use crate::program::reason;
use crate::shell::{Shell, Unwind};

pub(super) fn cd(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let mut arguments = rest(words);
    let mut physical = false;
    while let [first, others @ ..] = arguments {
        match first.as_slice() {
            b"-P" => physical = true,
            b"-L" => physical = false,
            b"--" => {
                arguments = others;
                break;
            }
            _ => break,
        }
        arguments = others;
    }
    let mut show = false;
    let target = match arguments.first() {
        None => match shell.variable(b"HOME") {
            Some(home) if !home.is_empty() => home,
            // As dash and ash: nothing happens.
            _ => return Ok(0),
        },
        Some(word) if word == b"-" => {
            show = true;
            match shell.variable(b"OLDPWD") {
                Some(old) => old,
                None => return Ok(shell.complain(words, "OLDPWD not set", 2)),
            }
        }
        Some(word) => word.clone(),
    };
    let mut candidates = Vec::new();
    let relative = !target.starts_with(b"/")
        && !matches!(target.as_slice(), b"." | b"..")
        && !target.starts_with(b"./")
        && !target.starts_with(b"../");
    if relative && let Some(path) = shell.variable(b"CDPATH") {
        for dir in path.split(|byte| *byte == b':').filter(|dir| !dir.is_empty()) {
            candidates.push(([dir, b"/", &target].concat(), true));
        }
    }
    candidates.push((target.clone(), false));
    let here = shell.here.clone();
    for (path, announce) in candidates {
        let logical = if path.starts_with(b"/") { path.clone() } else { [here.as_slice(), b"/", &path].concat() };
        let wanted = if physical || here.is_empty() { path.clone() } else { normal(&logical) };
        if std::env::set_current_dir(OsStr::from_bytes(&wanted)).is_err() {
            continue;
        }
        let now = if physical || !wanted.starts_with(b"/") {
            std::env::current_dir().map(|path| path.into_os_string().into_vec()).unwrap_or(wanted)
        } else {
            wanted
        };
        shell.assign(b"OLDPWD", here)?;
        shell.here.clone_from(&now);
        shell.assign(b"PWD", now.clone())?;
        if show || announce {
            return Ok(shell.put(b"cd", &[now.as_slice(), b"\n"].concat()));
        }
        return Ok(0);
    }
    Ok(shell.complain(words, &format!("can't cd to {}", text(&target)), 2))
}

/// A path without `.`, `..` and doubled slashes (POSIX.1-2024, cd, step 8).
fn normal(path: &[u8]) -> Bytes {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    // Two slashes at the start may mean something to the system, so they stay.
    let double = path.starts_with(b"//") && !path.starts_with(b"///");
    let mut out = if double { b"//".to_vec() } else { b"/".to_vec() };
    out.extend(parts.join(&b'/'));
    out
}

pub(super) fn pwd(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let physical = rest(words).iter().any(|word| word == b"-P");
    let here = std::env::current_dir().map(|path| path.into_os_string().into_vec());
    let shown = match here {
        _ if !physical && !shell.here.is_empty() => shell.here.clone(),
        Ok(here) => here,
        Err(error) => return Ok(shell.complain(words, &reason(&error), 1)),
    };
    Ok(shell.put(b"pwd", &[shown.as_slice(), b"\n"].concat()))
}
