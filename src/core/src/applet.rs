//! The applet contract: one visible table of data and function pointers.

use crate::privilege::Capability;
use crate::{Ctx, Error, Exit};

/// One name under which netkit can be called, with everything the front door needs to know of it.
#[derive(Clone, Copy)]
pub struct Applet {
    /// The name asked for, as in `netkit NAME`.
    pub name: &'static str,
    /// Further names of the same entry.
    pub aliases: &'static [&'static str],
    /// One line: what it is for.
    pub purpose: &'static str,
    /// Synopsis, one form a line, without the leading name.
    pub usage: &'static str,
    /// Where `--list` shows it.
    pub group: Group,
    /// The flags offered, for help and completion.
    pub flags: &'static [Flag],
    /// The capability that unlocks its full function, if it has use for one.
    pub capability: Option<Capability>,
    /// Runs the applet.
    pub main: fn(&mut Ctx) -> Result<Exit, Error>,
}

/// One flag as help and completion show it.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// As typed, e.g. `-p` or `+tcp`.
    pub spelling: &'static str,
    /// Placeholder of its value, empty when it takes none.
    pub value: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// One line of a flag table.
pub const fn flag(spelling: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { spelling, value, help }
}

/// Headings of `netkit --list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Names and addresses.
    Dns,
    /// Connections.
    Connect,
    /// What the kernel holds.
    Kernel,
    /// Packets.
    Packet,
    /// Companions of the shell.
    Shell,
}

impl Group {
    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Group::Dns => "names",
            Group::Connect => "connections",
            Group::Kernel => "kernel state",
            Group::Packet => "packets",
            Group::Shell => "shell",
        }
    }
}

/// Facts of this build, for `--version`.
#[derive(Debug)]
pub struct Build {
    /// Semantic version of the workspace.
    pub version: &'static str,
    /// Abbreviated commit, or `unknown`.
    pub commit: &'static str,
    /// SOURCE_DATE_EPOCH in seconds, or empty.
    pub epoch: &'static str,
    /// Target triple.
    pub target: &'static str,
    /// The built-in trust roots: crate, version and its date.
    pub trust_roots: &'static str,
}

/// What the front door needs of the kernel. This room makes no system calls, so it is handed them.
#[derive(Clone, Copy, Debug)]
pub struct Powers {
    /// Makes effective what of a set of capabilities is permitted, a bit for each by its number in linux/capability.h,
    /// and gives up what else is permitted.
    pub raise: fn(u64),
    /// Names this process as ps(1) shows it.
    pub call_oneself: fn(&str),
    /// Runs a program and returns its status: as process 1 of a container, in a child that it looks after.
    pub supervise: fn(&mut dyn FnMut() -> u8) -> u8,
}

/// The applet of exactly this name or alias.
pub fn find(table: &[&'static [Applet]], name: &str) -> Option<&'static Applet> {
    table.iter().flat_map(|entries| entries.iter()).find(|applet| applet.name == name || applet.aliases.contains(&name))
}
