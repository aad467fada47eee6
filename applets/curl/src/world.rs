//! The streams and settings that transfers share, also between threads, and how what happens is shown.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netkit_core::Clock;

use crate::config::{Global, Trace};

/// A stream several transfers write to.
pub(crate) type Shared = Arc<Mutex<Box<dyn Write + Send>>>;

pub(crate) fn lock<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The world as transfers see it.
pub(crate) struct World {
    pub(crate) global: Global,
    pub(crate) out: Shared,
    pub(crate) err: Shared,
    pub(crate) trace: Shared,
    pub(crate) stdout_is_terminal: bool,
    pub(crate) env: BTreeMap<OsString, OsString>,
    pub(crate) clock: &'static dyn Clock,
    /// `8.14.1-netkitX.Y.Z`.
    pub(crate) version: String,
    /// The name errors begin with.
    pub(crate) name: String,
    pub(crate) hints: bool,
    /// What `--repeat` and `--json-report` tell at the end.
    pub(crate) summaries: Mutex<Vec<crate::explain::Summary>>,
}

/// Our own standard output or error, to be shared; unbuffered, as a partial body must be seen.
pub(crate) fn standard(fd: &impl AsFd) -> Box<dyn Write + Send> {
    match fd.as_fd().try_clone_to_owned() {
        Ok(fd) => Box::new(File::from(fd)),
        Err(_) => Box::new(io::sink()),
    }
}

impl World {
    pub(crate) fn var(&self, name: &str) -> Option<&str> {
        self.env.get(OsStr::new(name)).and_then(|value| value.to_str()).filter(|value| !value.is_empty())
    }

    /// A line on stderr unless `-s` forbids it, with `-S` or without.
    pub(crate) fn warn(&self, text: &str) {
        if !self.global.silent {
            self.say(&wrapped("Warning: ", text));
        }
    }

    /// A remark that only `-v` shows.
    pub(crate) fn note(&self, text: &str) {
        if self.global.trace != Trace::Off && !self.global.silent {
            self.say(&wrapped("Note: ", text));
        }
    }

    /// Text on stderr, always.
    pub(crate) fn say(&self, text: &str) {
        let _ = lock(&self.err).write_all(text.as_bytes());
    }

    pub(crate) fn hint(&self, text: &str) {
        if self.hints && self.var("NETKIT_HINTS") != Some("0") {
            self.say(&format!("{text}\n"));
        }
    }

    /// Opens what `--trace`, `--stderr` and the like name: `-` is stdout, `%` stderr.
    pub(crate) fn sink(name: &str, out: &Shared, err: &Shared) -> io::Result<Shared> {
        Ok(match name {
            "-" => out.clone(),
            "%" => err.clone(),
            path => {
                let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
                Arc::new(Mutex::new(Box::new(file)))
            }
        })
    }
}

/// As curl wraps its remarks: at 79 columns, every line with the prefix.
pub(crate) fn wrapped(prefix: &str, text: &str) -> String {
    let width = 79 - prefix.len();
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        out.push_str(prefix);
        if rest.len() <= width {
            out.push_str(rest);
            out.push('\n');
            break;
        }
        let head = (0..=width).rev().find_map(|end| rest.get(..end)).unwrap_or("");
        let cut = head.rfind(' ').filter(|at| *at > 0).map_or(head.len(), |at| at + 1).max(1);
        let (line, behind) = rest.split_at_checked(cut).unwrap_or((rest, ""));
        out.push_str(line);
        out.push('\n');
        rest = behind;
    }
    out
}

/// Shows what a transfer does, in the form that was asked for.
pub(crate) struct Tracer<'w> {
    world: &'w World,
    /// A data marker was printed and nothing else since.
    marked: bool,
    /// Bodies go to the terminal, so markers would be in the way.
    pub(crate) no_markers: bool,
    /// Transfer and connection, for `--trace-ids`.
    pub(crate) ids: (u64, Option<u64>),
}

/// What kind of bytes are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    HeaderOut,
    HeaderIn,
    DataOut,
    DataIn,
}

impl<'w> Tracer<'w> {
    pub(crate) fn new(world: &'w World, no_markers: bool, transfer: u64) -> Tracer<'w> {
        Tracer { world, marked: false, no_markers, ids: (transfer, None) }
    }

    pub(crate) fn on(&self) -> bool {
        self.world.global.trace != Trace::Off
    }

    fn prefix(&self) -> String {
        let mut out = String::new();
        if self.world.global.trace_time {
            let since = self.world.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
            let c = netkit_core::civil_from_unix(seconds);
            out = format!("{:02}:{:02}:{:02}.{:06} ", c.hour, c.minute, c.second, since.subsec_micros());
        }
        if self.world.global.trace_ids {
            match self.ids.1 {
                Some(connection) => out.push_str(&format!("[{}-{connection}] ", self.ids.0)),
                None => out.push_str(&format!("[{}-x] ", self.ids.0)),
            }
        }
        out
    }

    /// One line about what happens.
    pub(crate) fn info(&mut self, text: &str) {
        let text = netkit_core::text::printable(text);
        let line = match self.world.global.trace {
            Trace::Off => return,
            Trace::Verbose => format!("{}* {text}\n", self.prefix()),
            Trace::Ascii(_) | Trace::Hex(_) => format!("{}== Info: {text}\n", self.prefix()),
        };
        self.marked = false;
        let _ = lock(&self.world.trace).write_all(line.as_bytes());
    }

    /// Bytes of a request or response.
    pub(crate) fn bytes(&mut self, kind: Kind, bytes: &[u8]) {
        match self.world.global.trace {
            Trace::Off => {}
            Trace::Verbose => self.verbose(kind, bytes),
            Trace::Ascii(_) | Trace::Hex(_) => {
                let hex = matches!(self.world.global.trace, Trace::Hex(_));
                let title = match kind {
                    Kind::HeaderOut => "=> Send header",
                    Kind::HeaderIn => "<= Recv header",
                    Kind::DataOut => "=> Send data",
                    Kind::DataIn => "<= Recv data",
                };
                let mut text = format!("{}{title}, {} bytes (0x{:x})\n", self.prefix(), bytes.len(), bytes.len());
                dump(&mut text, bytes, hex);
                let _ = lock(&self.world.trace).write_all(text.as_bytes());
            }
        }
    }

    fn verbose(&mut self, kind: Kind, bytes: &[u8]) {
        let mut out = Vec::with_capacity(bytes.len() + 64);
        match kind {
            Kind::HeaderOut | Kind::HeaderIn => {
                let mark = if kind == Kind::HeaderOut { "> " } else { "< " };
                for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                    out.extend_from_slice(self.prefix().as_bytes());
                    out.extend_from_slice(mark.as_bytes());
                    if self.world.global.secrets {
                        out.extend_from_slice(line);
                    } else {
                        out.extend_from_slice(&redacted(line));
                    }
                }
                self.marked = false;
            }
            Kind::DataOut | Kind::DataIn => {
                if self.marked || self.no_markers {
                    return;
                }
                let mark = if kind == Kind::DataOut { "} " } else { "{ " };
                out.extend_from_slice(format!("{}{mark}[{} bytes data]\n", self.prefix(), bytes.len()).as_bytes());
                self.marked = true;
            }
        }
        let _ = lock(&self.world.trace).write_all(&out);
    }
}

/// A header line without what must not land in a log or a ticket.
fn redacted(line: &[u8]) -> Vec<u8> {
    const SECRET: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];
    let colon = line.iter().position(|byte| *byte == b':');
    let name = colon.and_then(|at| line.get(..at)).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or("");
    if !SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
        return line.to_vec();
    }
    let ending = if line.ends_with(b"\r\n") { "\r\n" } else { "\n" };
    let value = String::from_utf8_lossy(line.get(name.len() + 1..).unwrap_or_default()).trim().to_owned();
    let kept = match value.split_once(' ') {
        Some((scheme, _)) if name.to_ascii_lowercase().ends_with("authorization") => format!("{scheme} "),
        _ => match value.split_once('=') {
            Some((key, rest)) if name.eq_ignore_ascii_case("set-cookie") => {
                let attributes = rest.find(';').and_then(|at| rest.get(at..)).unwrap_or("");
                return format!("{name}: {key}=[redacted]{attributes}{ending}").into_bytes();
            }
            _ => String::new(),
        },
    };
    format!("{name}: {kept}[redacted]{ending}").into_bytes()
}

/// Offset, hexadecimal digits, text: 16 bytes a line, or 64 without the digits.
fn dump(out: &mut String, bytes: &[u8], hex: bool) {
    use std::fmt::Write as _;
    let width = if hex { 16 } else { 64 };
    let mut at = 0;
    while at < bytes.len() {
        let _ = write!(out, "{at:04x}: ");
        let row = bytes.get(at..(at + width).min(bytes.len())).unwrap_or_default();
        if hex {
            for column in 0..width {
                match row.get(column) {
                    Some(byte) => {
                        let _ = write!(out, "{byte:02x} ");
                    }
                    None => out.push_str("   "),
                }
            }
        }
        let mut used = row.len();
        let mut column = 0;
        while let Some(byte) = row.get(column) {
            // Without digits a line end breaks the line.
            if !hex && *byte == b'\r' && bytes.get(at + column + 1) == Some(&b'\n') {
                used = column + 2;
                break;
            }
            out.push(if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' });
            column += 1;
            if !hex && bytes.get(at + column) == Some(&b'\r') && bytes.get(at + column + 1) == Some(&b'\n') {
                used = column + 2;
                break;
            }
        }
        out.push('\n');
        at += used.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let show = |line: &str| String::from_utf8(redacted(line.as_bytes())).unwrap();
        assert_eq!(show("Authorization: Basic abc\r\n"), "Authorization: Basic [redacted]\r\n");
        assert_eq!(show("cookie: a=b\r\n"), "cookie: [redacted]\r\n");
        assert_eq!(show("Set-Cookie: a=b; path=/\r\n"), "Set-Cookie: a=[redacted]; path=/\r\n");
        assert_eq!(show("Host: a\r\n"), "Host: a\r\n");
    }

    #[test]
    fn dumps() {
        let mut out = String::new();
        dump(&mut out, b"GET / HTTP/1.1\r\nA: b\r\n\r\n", false);
        assert_eq!(out, "0000: GET / HTTP/1.1\n0010: A: b\n0016: \n");
        out.clear();
        dump(&mut out, b"ab\0", true);
        assert_eq!(out, format!("0000: 61 62 00 {}ab.\n", "   ".repeat(13)));
    }

    #[test]
    fn wrapping() {
        let text = wrapped("Warning: ", &"word ".repeat(30));
        assert!(text.lines().all(|line| line.starts_with("Warning: ") && line.len() <= 80), "{text}");
    }
}
