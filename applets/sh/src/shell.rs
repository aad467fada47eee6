//! The state of a shell: variables, functions, options, traps.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::rc::Rc;

use netkit_core::Applet;
use netkit_sys::process::{self, Fd};

use crate::arith;
use crate::ast::{Bytes, Command};
use crate::jobs::Jobs;
use crate::parse::{Aliases, is_name};

/// Functions that call each other deeper than this end the script instead of the process's stack.
pub(crate) const DEEPEST_CALL: u32 = 400;
/// Deeper than any script evaluates what it evaluates.
pub(crate) const DEEPEST_EVAL: u32 = 1000;

/// Why a list of commands is left early.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Unwind {
    /// `break N`: so many loops.
    Break(u32),
    Continue(u32),
    Return,
    /// The shell ends with its current status.
    Exit,
    /// An error that ends a script, but not a shell at a terminal (2.8.1). It has been said.
    Fatal,
    /// Ctrl-C at a terminal: back to the prompt.
    Interrupt,
}

/// A variable's value and attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variable {
    /// Unset variables may be exported or read-only.
    pub(crate) value: Option<Bytes>,
    pub(crate) exported: bool,
    pub(crate) readonly: bool,
}

/// `set -o` and its letters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) allexport: bool,
    pub(crate) errexit: bool,
    pub(crate) noglob: bool,
    pub(crate) interactive: bool,
    pub(crate) monitor: bool,
    pub(crate) noexec: bool,
    pub(crate) noclobber: bool,
    pub(crate) stdin: bool,
    pub(crate) nounset: bool,
    pub(crate) verbose: bool,
    pub(crate) xtrace: bool,
    pub(crate) pipefail: bool,
    pub(crate) notify: bool,
    pub(crate) ignoreeof: bool,
}

/// Every option: its letter (or a space) and name.
pub(crate) const OPTION_NAMES: &[(u8, &str)] = &[
    (b'e', "errexit"),
    (b'f', "noglob"),
    (b'I', "ignoreeof"),
    (b'i', "interactive"),
    (b'm', "monitor"),
    (b'n', "noexec"),
    (b's', "stdin"),
    (b'x', "xtrace"),
    (b'v', "verbose"),
    (b'C', "noclobber"),
    (b'a', "allexport"),
    (b'b', "notify"),
    (b'u', "nounset"),
    (b' ', "pipefail"),
];

impl Options {
    pub(crate) fn by_name(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "allexport" => &mut self.allexport,
            "errexit" => &mut self.errexit,
            "noglob" => &mut self.noglob,
            "interactive" => &mut self.interactive,
            "monitor" => &mut self.monitor,
            "noexec" => &mut self.noexec,
            "noclobber" => &mut self.noclobber,
            "stdin" => &mut self.stdin,
            "nounset" => &mut self.nounset,
            "verbose" => &mut self.verbose,
            "xtrace" => &mut self.xtrace,
            "pipefail" => &mut self.pipefail,
            "notify" => &mut self.notify,
            "ignoreeof" => &mut self.ignoreeof,
            _ => return None,
        })
    }

    pub(crate) fn by_letter(&mut self, letter: u8) -> Option<&mut bool> {
        let name = OPTION_NAMES.iter().find(|(own, _)| *own == letter && letter != b' ')?.1;
        self.by_name(name)
    }

    /// `$-`, in dash's order.
    fn letters(&self) -> Bytes {
        let mut copy = self.clone();
        OPTION_NAMES
            .iter()
            .rev()
            .filter(|(letter, name)| *letter != b' ' && copy.by_name(name).is_some_and(|on| *on))
            .map(|(letter, _)| *letter)
            .collect()
    }
}

/// What a trap does.
#[derive(Clone, Debug)]
pub(crate) enum Trap {
    Ignore,
    Run(Bytes),
}

/// The number `trap` gives to the end of the shell.
pub(crate) const EXIT_TRAP: i32 = 0;

pub(crate) struct Shell {
    pub(crate) variables: HashMap<Bytes, Variable>,
    /// What `local` hides, innermost function last.
    pub(crate) locals: Vec<Vec<(Bytes, Option<Variable>)>>,
    pub(crate) functions: HashMap<Bytes, Rc<Command>>,
    pub(crate) aliases: Rc<RefCell<Aliases>>,
    pub(crate) positional: Vec<Bytes>,
    pub(crate) name: Bytes,
    /// The working directory as `cd` got there; `$PWD` may be set to anything.
    pub(crate) here: Bytes,
    pub(crate) status: u8,
    pub(crate) options: Options,
    /// `$!`.
    pub(crate) background: Option<i32>,
    /// `$$`: of the shell itself, also in its subshells.
    pub(crate) pid: i32,
    pub(crate) line: u32,
    pub(crate) traps: BTreeMap<i32, Trap>,
    /// Signals that were ignored when the shell began: a script cannot trap them (2.15, trap).
    pub(crate) ignored_at_start: Vec<i32>,
    pub(crate) jobs: Jobs,
    pub(crate) loops: u32,
    pub(crate) calls: u32,
    /// `eval` within `eval`, each of which holds its own copy of what is left.
    pub(crate) evals: u32,
    /// Files under `.`, for `return`.
    pub(crate) sourced: u32,
    /// Inside a condition, where `set -e` has no effect.
    pub(crate) checked: u32,
    /// Inside a subshell: no prompt, no job control.
    pub(crate) subshell: bool,
    /// Whether the EXIT trap runs or ran.
    pub(crate) exiting: bool,
    pub(crate) table: &'static [&'static [Applet]],
    /// Where this program can be started again from.
    pub(crate) own: Option<Bytes>,
    pub(crate) terminal: Option<Fd>,
    /// getopts: the argument and the byte in it that come next.
    pub(crate) getopts: (usize, usize),
    /// Status of the last command substitution, for an assignment without a command.
    pub(crate) substituted: Option<u8>,
    /// What `$PS4` stands for while xtrace itself expands it.
    pub(crate) tracing: bool,
    pub(crate) history: Vec<String>,
    /// Signals that were taken from the handler and wait for their traps.
    pub(crate) arrived: Vec<i32>,
    random: u64,
}

impl Shell {
    pub(crate) fn new(table: &'static [&'static [Applet]], environment: &BTreeMap<OsString, OsString>) -> Shell {
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        let mut shell = Shell {
            variables: HashMap::new(),
            locals: Vec::new(),
            functions: HashMap::new(),
            aliases: Rc::default(),
            positional: Vec::new(),
            name: b"sh".to_vec(),
            here: Bytes::new(),
            status: 0,
            options: Options::default(),
            background: None,
            pid,
            line: 1,
            traps: BTreeMap::new(),
            ignored_at_start: Vec::new(),
            jobs: Jobs::default(),
            loops: 0,
            calls: 0,
            evals: 0,
            sourced: 0,
            checked: 0,
            subshell: false,
            exiting: false,
            table,
            own: own_path(),
            terminal: None,
            getopts: (1, 0),
            substituted: None,
            tracing: false,
            history: Vec::new(),
            arrived: Vec::new(),
            random: u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        };
        for (name, value) in environment {
            let name = name.as_bytes();
            if is_name(name) {
                let value = Some(value.as_bytes().to_vec());
                shell.variables.insert(name.to_vec(), Variable { value, exported: true, readonly: false });
            }
        }
        // What the environment says of these is not believed (2.5.3).
        for (name, value) in [("IFS", " \t\n"), ("OPTIND", "1"), ("PS1", "$ "), ("PS2", "> "), ("PS4", "+ ")] {
            let known = name.starts_with("PS") && shell.variables.contains_key(name.as_bytes());
            if !known {
                shell.preset(name, value.as_bytes());
            }
        }
        shell.preset("PPID", std::os::unix::process::parent_id().to_string().as_bytes());
        let here = std::env::current_dir().map(|path| path.into_os_string().into_vec()).unwrap_or_default();
        let logical = shell.variable(b"PWD").filter(|pwd| same_place(pwd, &here));
        shell.here = logical.unwrap_or(here);
        let here = shell.here.clone();
        shell.preset("PWD", &here);
        shell
    }

    /// Sets a variable that the shell itself provides; its export stays as it was.
    pub(crate) fn preset(&mut self, name: &str, value: &[u8]) {
        self.variables.entry(name.as_bytes().to_vec()).or_default().value = Some(value.to_vec());
    }

    pub(crate) fn variable(&self, name: &[u8]) -> Option<Bytes> {
        match name {
            b"LINENO" => Some(self.line.to_string().into_bytes()),
            b"RANDOM" if !self.variables.contains_key(name) => {
                let mixed = (self.random ^ u64::from(self.line)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                Some(((mixed >> 40) & 0x7fff).to_string().into_bytes())
            }
            _ => self.variables.get(name)?.value.clone(),
        }
    }

    /// Everything after `$` but `@` and `*`.
    pub(crate) fn special(&self, name: &[u8]) -> Option<Bytes> {
        let number = |number: String| Some(number.into_bytes());
        match name {
            b"?" => number(self.status.to_string()),
            b"#" => number(self.positional.len().to_string()),
            b"$" => number(self.pid.to_string()),
            b"!" => self.background.and_then(|pid| number(pid.to_string())),
            b"-" => Some(self.options.letters()),
            b"0" => Some(self.name.clone()),
            [b'0'..=b'9', ..] => {
                let index: usize = std::str::from_utf8(name).ok()?.parse().ok()?;
                match index.checked_sub(1) {
                    None => Some(self.name.clone()),
                    Some(index) => self.positional.get(index).cloned(),
                }
            }
            _ => self.variable(name),
        }
    }

    /// Gives a variable a value.
    ///
    /// # Errors
    /// [`Unwind::Fatal`] for one that is read-only.
    pub(crate) fn assign(&mut self, name: &[u8], value: Bytes) -> Result<(), Unwind> {
        if self.variables.get(name).is_some_and(|variable| variable.readonly) {
            let message = format!("{}: is read only", String::from_utf8_lossy(name));
            return Err(self.fatal(&message));
        }
        let export = self.options.allexport;
        let variable = self.variables.entry(name.to_vec()).or_default();
        variable.value = Some(value);
        variable.exported |= export;
        match name {
            b"OPTIND" => {
                let value = self.variable(b"OPTIND").and_then(|text| String::from_utf8(text).ok()?.parse().ok());
                self.getopts = (value.unwrap_or(1).max(1), 0);
            }
            b"RANDOM" => {
                self.variables.remove(name);
            }
            _ => {}
        }
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        Ok(())
    }

    /// # Errors
    /// [`Unwind::Fatal`] for one that is read-only.
    pub(crate) fn unset(&mut self, name: &[u8]) -> Result<(), Unwind> {
        if self.variables.get(name).is_some_and(|variable| variable.readonly) {
            let message = format!("unset: {}: is read only", String::from_utf8_lossy(name));
            return Err(self.fatal(&message));
        }
        self.variables.remove(name);
        Ok(())
    }

    /// The environment of commands: `NAME=value`, sorted.
    pub(crate) fn environment(&self) -> Vec<Bytes> {
        let mut list: Vec<Bytes> = self
            .variables
            .iter()
            .filter(|(_, variable)| variable.exported)
            .filter_map(|(name, variable)| {
                let value = variable.value.as_ref()?;
                Some([name.as_slice(), b"=", value].concat())
            })
            .collect();
        list.sort();
        list
    }

    /// Says what is wrong, as `name: line: message`.
    pub(crate) fn say(&self, message: &str) {
        let text = if self.options.interactive && !self.subshell && self.calls == 0 && self.sourced == 0 {
            format!("{}: {message}\n", String::from_utf8_lossy(&self.name))
        } else {
            format!("{}: {}: {message}\n", String::from_utf8_lossy(&self.name), self.line)
        };
        // A closed stderr is no reason to stop.
        let _ = process::write_all(2, text.as_bytes());
    }

    /// Says what is wrong and ends the script with status 2.
    pub(crate) fn fatal(&mut self, message: &str) -> Unwind {
        self.say(message);
        self.status = 2;
        Unwind::Fatal
    }

    /// Whether this binary answers to a name; `netkit` itself is one, under whatever name the file lies here.
    pub(crate) fn is_applet(&self, name: &[u8]) -> bool {
        std::str::from_utf8(name).is_ok_and(|name| name == "netkit" || netkit_core::find(self.table, name).is_some())
    }
}

impl arith::Variables for Shell {
    fn value(&self, name: &[u8]) -> Option<Bytes> {
        self.variable(name)
    }

    fn assign(&mut self, name: &[u8], value: i64) -> Result<(), String> {
        if self.variables.get(name).is_some_and(|variable| variable.readonly) {
            return Err(format!("{}: is read only", String::from_utf8_lossy(name)));
        }
        Shell::assign(self, name, value.to_string().into_bytes()).map_err(|_| "cannot be set".to_owned())
    }
}

/// Whether two paths name one directory.
fn same_place(logical: &[u8], physical: &[u8]) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place =
        |path: &[u8]| std::fs::metadata(std::ffi::OsStr::from_bytes(path)).ok().map(|data| (data.dev(), data.ino()));
    logical.first() == Some(&b'/') && place(logical).is_some_and(|one| Some(one) == place(physical))
}

/// The path of this program, also where /proc is hidden and after the working directory changed.
fn own_path() -> Option<Bytes> {
    if let Ok(path) = std::fs::read_link("/proc/self/exe") {
        // A file that was replaced is still there under this name.
        if path.exists() {
            return Some(path.into_os_string().into_vec());
        }
        return Some(b"/proc/self/exe".to_vec());
    }
    let started = OsString::from_vec(process::started_as()?);
    std::path::absolute(started).ok().map(|path| path.into_os_string().into_vec())
}
