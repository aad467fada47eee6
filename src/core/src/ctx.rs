//! What an applet is given: its arguments, streams, environment, clock and the applet table.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, LineWriter, Write};
use std::os::fd::AsFd;

use crate::{Applet, Build, Clock, SystemClock};

/// The world as one applet sees it.
pub struct Ctx {
    /// The name it was called by; errors start with it.
    pub name: String,
    /// argv[0] as handed in; empty when argv was.
    pub argv0: OsString,
    /// Arguments after the name.
    pub args: Vec<OsString>,
    /// Input data.
    pub stdin: Box<dyn BufRead>,
    /// Output data.
    pub stdout: Box<dyn Write>,
    /// Talk.
    pub stderr: Box<dyn Write>,
    /// Whether stdout is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether stderr is a terminal.
    pub stderr_is_terminal: bool,
    /// Set by `--explain`: hints appear although stderr is no terminal.
    pub explain: bool,
    /// Environment at start.
    pub env: BTreeMap<OsString, OsString>,
    /// Time.
    pub clock: &'static dyn Clock,
    /// Every applet of this build.
    pub table: &'static [&'static [Applet]],
    /// Facts of this build.
    pub build: &'static Build,
}

impl Ctx {
    /// The context of the running process.
    pub fn from_process(table: &'static [&'static [Applet]], build: &'static Build) -> Ctx {
        let mut argv = std::env::args_os();
        let argv0 = argv.next().unwrap_or_default();
        let out = io::stdout();
        let stdout_is_terminal = out.is_terminal();
        // A pipe or file gets a large buffer, which std's own line-buffered handle would defeat.
        let stdout: Box<dyn Write> = match out.as_fd().try_clone_to_owned() {
            Ok(fd) if !stdout_is_terminal => Box::new(BufWriter::with_capacity(1 << 16, File::from(fd))),
            _ => Box::new(LineWriter::new(out)),
        };
        Ctx {
            name: "netkit".to_owned(),
            argv0,
            args: argv.collect(),
            stdin: Box::new(BufReader::new(io::stdin())),
            stdout,
            stderr: Box::new(io::stderr()),
            stdout_is_terminal,
            stderr_is_terminal: io::stderr().is_terminal(),
            explain: false,
            env: std::env::vars_os().collect(),
            clock: &SystemClock,
            table,
            build,
        }
    }

    /// An environment variable that is set and valid UTF-8.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.get(OsStr::new(name)).and_then(|value| value.to_str())
    }

    /// Arguments as text; an argument that is not UTF-8 keeps a replacement mark where it is broken,
    /// so that the message which refuses it can show it.
    pub fn args_lossy(&self) -> Vec<String> {
        self.args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect()
    }

    /// One line of advice or verdict on stderr, subject to the house rule on hints:
    /// a terminal or `--explain`, and never with NETKIT_HINTS=0.
    pub fn hint(&mut self, line: &str) {
        if self.hints_wanted() {
            self.say(line);
        }
    }

    /// Whether [`Ctx::hint`] would print.
    pub fn hints_wanted(&self) -> bool {
        (self.stderr_is_terminal || self.explain) && self.var("NETKIT_HINTS") != Some("0")
    }

    /// One line on stderr, always. A closed stderr is no reason to stop.
    pub fn say(&mut self, line: &str) {
        let _ = self.stdout.flush();
        let _ = writeln!(self.stderr, "{line}");
        let _ = self.stderr.flush();
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A stream whose content the test can read afterwards.
    #[derive(Clone, Default)]
    pub(crate) struct Shared(pub(crate) Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Shared {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    pub(crate) fn ctx(
        argv: &[&str],
        table: &'static [&'static [Applet]],
        build: &'static Build,
    ) -> (Ctx, Shared, Shared) {
        let (out, err) = (Shared::default(), Shared::default());
        let mut words = argv.iter().map(OsString::from);
        let ctx = Ctx {
            name: "netkit".to_owned(),
            argv0: words.next().unwrap_or_default(),
            args: words.collect(),
            stdin: Box::new(io::empty()),
            stdout: Box::new(out.clone()),
            stderr: Box::new(err.clone()),
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            explain: false,
            env: BTreeMap::new(),
            clock: &SystemClock,
            table,
            build,
        };
        (ctx, out, err)
    }
}
