//! `read` (POSIX.1-2024), with `-p`, `-t`, `-n`, `-s`, `-d` as busybox ash has them.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netkit_sys::process;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::ast::Bytes;
use crate::parse::is_name;
use crate::shell::{Shell, Unwind};

/// A line longer than this is an error, not a reason to fill the memory.
const LONGEST: usize = 64 << 20;

#[derive(Default)]
struct Options {
    raw: bool,
    silent: bool,
    prompt: Bytes,
    timeout: Option<Duration>,
    count: Option<usize>,
    delimiter: Option<u8>,
}

pub(crate) fn read(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let mut options = Options::default();
    let mut at = 1;
    while let Some([b'-', letters @ ..]) = words.get(at).map(Vec::as_slice).filter(|word| word.len() > 1) {
        at += 1;
        if letters == b"-" {
            break;
        }
        let mut letters = letters.iter();
        while let Some(letter) = letters.next() {
            match letter {
                b'r' => options.raw = true,
                b's' => options.silent = true,
                b'p' | b't' | b'n' | b'd' => {
                    let left: Bytes = letters.by_ref().copied().collect();
                    let value = if left.is_empty() {
                        at += 1;
                        words.get(at - 1).cloned().unwrap_or_default()
                    } else {
                        left
                    };
                    let text = String::from_utf8_lossy(&value).into_owned();
                    let valid = match letter {
                        b'p' => {
                            options.prompt = value;
                            true
                        }
                        b'd' => {
                            options.delimiter = Some(value.first().copied().unwrap_or(0));
                            true
                        }
                        b't' => {
                            let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..1e9).contains(seconds));
                            options.timeout = seconds.map(Duration::from_secs_f64);
                            seconds.is_some()
                        }
                        _ => {
                            options.count = text.parse().ok();
                            options.count.is_some()
                        }
                    };
                    if !valid {
                        return Err(shell.fatal(&format!("read: Illegal number: {text}")));
                    }
                }
                letter => {
                    let message = format!("read: Illegal option -{}", char::from(*letter));
                    return Err(shell.fatal(&message));
                }
            }
        }
    }
    let names: Vec<Bytes> = words.get(at..).unwrap_or_default().to_vec();
    if names.is_empty() {
        return Err(shell.fatal("read: arg count"));
    }
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        let message = format!("read: {}: bad variable name", String::from_utf8_lossy(name));
        return Err(shell.fatal(&message));
    }
    if !options.prompt.is_empty() && is_terminal() {
        let _ = process::write_all(2, &options.prompt);
    }
    let echo = options.silent.then(crate::terminal::silence).flatten();
    let (line, status) = line(shell, &options);
    if let Some(before) = echo {
        crate::terminal::restore(&before);
    }
    let status = match status {
        Ok(status) => status,
        Err(message) => return Err(shell.fatal(&message)),
    };
    assign(shell, &names, &line)?;
    shell.run_traps()?;
    Ok(status)
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdin())
}

/// Bytes with a mark for those that a backslash quoted.
type Line = Vec<(u8, bool)>;

/// One byte at a time: what comes after the line is for the next command.
fn line(shell: &mut Shell, options: &Options) -> (Line, Result<u8, String>) {
    let mut line = Line::new();
    let end = options.delimiter.unwrap_or(b'\n');
    let deadline = options.timeout.map(|timeout| Instant::now() + timeout);
    let mut escaped = false;
    loop {
        if options.count.is_some_and(|count| line.len() >= count) {
            return (line, Ok(0));
        }
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            match ready(left) {
                Ok(true) => {}
                // As bash has it: 128 + SIGALRM; ash says 1.
                Ok(false) => return (line, Ok(1)),
                Err(()) => {}
            }
        }
        let mut byte = [0];
        let got = match shell.options.interactive {
            true => process::read_unless_signal(0, &mut byte),
            false => process::read(0, &mut byte),
        };
        match got {
            Ok(0) => return (line, Ok(1)),
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {
                if let Some(signal) = shell.pending_trap() {
                    return (line, Ok(u8::try_from(128 + signal).unwrap_or(u8::MAX)));
                }
                continue;
            }
            Err(_) => return (line, Ok(1)),
        }
        let [byte] = byte;
        if line.len() >= LONGEST {
            return (line, Err("read: line too long".to_owned()));
        }
        if escaped {
            escaped = false;
            // A backslash and a newline go away together.
            if byte != b'\n' {
                line.push((byte, true));
            }
        } else if byte == b'\\' && !options.raw {
            escaped = true;
        } else if byte == end {
            return (line, Ok(0));
        } else if byte != 0 {
            line.push((byte, false));
        }
    }
}

fn ready(left: Duration) -> Result<bool, ()> {
    let stdin = std::io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    poll(&mut fds, timeout).map(|count| count > 0).map_err(drop)
}

/// Splits a line as fields are split, the last name taking what is left (read, DESCRIPTION).
fn assign(shell: &mut Shell, names: &[Bytes], line: &Line) -> Result<(), Unwind> {
    let ifs = shell.variable(b"IFS").unwrap_or_else(|| b" \t\n".to_vec());
    let separates = |item: &(u8, bool)| !item.1 && ifs.contains(&item.0);
    let blank = |item: &(u8, bool)| separates(item) && item.0.is_ascii_whitespace();
    let text = |items: &[(u8, bool)]| items.iter().map(|(byte, _)| *byte).collect::<Bytes>();
    let mut rest = line.as_slice();
    let skip = |rest: &mut &[(u8, bool)]| {
        let count = rest.iter().take_while(|item| blank(item)).count();
        *rest = rest.get(count..).unwrap_or_default();
    };
    skip(&mut rest);
    for (index, name) in names.iter().enumerate() {
        if index + 1 < names.len() {
            let length = rest.iter().position(&separates).unwrap_or(rest.len());
            let (field, after) = rest.split_at(length);
            shell.assign(name, text(field))?;
            rest = after;
            skip(&mut rest);
            if rest.first().is_some_and(&separates) {
                rest = rest.get(1..).unwrap_or_default();
                skip(&mut rest);
            }
            continue;
        }
        let mut last = rest;
        while last.last().is_some_and(&blank) {
            last = last.get(..last.len() - 1).unwrap_or_default();
        }
        // A single separator at the end belongs to the field before it.
        if last.last().is_some_and(&separates) && last.iter().filter(|item| separates(item)).count() == 1 {
            last = last.get(..last.len() - 1).unwrap_or_default();
        }
        shell.assign(name, text(last))?;
    }
    Ok(())
}
