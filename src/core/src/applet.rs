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
    pub flags: Flags,
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

/// A table of flags, made by [`flags!`](crate::flags): the texts one after the other, each with its length before it. As
/// a slice of [`Flag`] it would have 48 bytes more a line, 40 KB in all.
#[derive(Clone, Copy, Debug)]
pub struct Flags(&'static [u8]);

impl Flags {
    /// None.
    pub const NONE: Flags = Flags(&[]);

    #[doc(hidden)]
    pub const fn packed(bytes: &'static [u8]) -> Flags {
        Flags(bytes)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The lines in their order.
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        let mut rest = self.0;
        let mut text = move || {
            let (length, behind) = rest.split_first()?;
            let (text, behind) = behind.split_at_checked(usize::from(*length))?;
            rest = behind;
            std::str::from_utf8(text).ok()
        };
        std::iter::from_fn(move || Some(Flag { spelling: text()?, value: text()?, help: text()? }))
    }
}

/// Bytes of a packed table.
#[doc(hidden)]
pub const fn packed_length(table: &[Flag]) -> usize {
    let mut length = 0;
    let mut rest = table;
    while let [first, behind @ ..] = rest {
        length += 3 + first.spelling.len() + first.value.len() + first.help.len();
        rest = behind;
    }
    length
}

/// The packed table. A text of more than 255 bytes does not compile.
#[doc(hidden)]
pub const fn pack<const LENGTH: usize>(table: &[Flag]) -> [u8; LENGTH] {
    let mut packed = [0; LENGTH];
    let mut free: &mut [u8] = &mut packed;
    let mut rest = table;
    while let [first, behind @ ..] = rest {
        free = pack_text(free, first.spelling);
        free = pack_text(free, first.value);
        free = pack_text(free, first.help);
        rest = behind;
    }
    assert!(free.is_empty());
    packed
}

const fn pack_text<'a>(free: &'a mut [u8], text: &str) -> &'a mut [u8] {
    assert!(text.len() <= 255);
    let (now, behind) = free.split_at_mut(1 + text.len());
    let (length, place) = now.split_at_mut(1);
    length.copy_from_slice(&[text.len() as u8]);
    place.copy_from_slice(text.as_bytes());
    behind
}

/// A table of flags from lines made by [`flag`].
#[macro_export]
macro_rules! flags {
    ($($line:expr),* $(,)?) => {{
        const TABLE: &[$crate::Flag] = &[$($line),*];
        const PACKED: [u8; $crate::packed_length(TABLE)] = $crate::pack(TABLE);
        $crate::Flags::packed(&PACKED)
    }};
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
    /// Makes sure that the function at this address can be called, in a binary that keeps some applets compressed.
    pub unpack: fn(usize) -> std::io::Result<()>,
    /// Names this process as ps(1) shows it.
    pub call_oneself: fn(&str),
    /// Runs a program and returns its status: as process 1 of a container, in a child that it looks after.
    pub supervise: fn(&mut dyn FnMut() -> u8) -> u8,
}

/// The applet of exactly this name or alias.
pub fn find(table: &[&'static [Applet]], name: &str) -> Option<&'static Applet> {
    table.iter().flat_map(|entries| entries.iter()).find(|applet| applet.name == name || applet.aliases.contains(&name))
}
