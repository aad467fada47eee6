//! jq-lite: takes JSON apart and puts it together, as jq does.
//!
//! - Peer: jq 1.8.2: its language, builtins, options, layout, colours, exit statuses and error texts.
//! - Deliberate differences: `--help` is ours; `--debug-dump-disasm`, `--debug-trace`, `--run-tests` and `--argfile` are
//!   refused by name; a file that cannot be read is named; a value is handed out with its last byte, also in the middle of
//!   a line, where jq waits for the line feed; a NUL in the input is an error, never the end of the line; no locale.
//!   Those of the language stand at its parts: `lang`, `natives`, `regex`, `time`, `encode`.
//! - Beyond the peer: `--from yaml` reads YAML streams (core schema of 1.2).
//! - Limits: nesting as in jq (10,000 open brackets and waiting keys in the input), decimal literals of any length, aliases
//!   in YAML that repeat a million values at most.
//! - Kernel interfaces: files and standard streams; /usr/share/zoneinfo for local times.
//! - Privilege: none.

mod args;
mod builtins;
mod encode;
mod exit;
pub mod host;
mod input;
mod lang;
mod lines;
mod map;
mod natives;
pub mod number;
pub mod read;
mod run;
mod stream;
mod time;
mod token;
pub mod value;
pub mod write;
pub mod yaml;

use netkit_core::{Applet, Group};

pub use lang::compile;

/// jq under its own name and the one fingers know.
pub static APPLETS: &[Applet] = &[Applet {
    name: "jq-lite",
    aliases: &["jq"],
    purpose: "take JSON apart and put it together",
    usage: "[OPTION ...] FILTER [FILE ...]\n[OPTION ...] --args FILTER [TEXT ...]\n[OPTION ...] --jsonargs FILTER [JSON ...]",
    group: Group::Shell,
    flags: args::FLAGS,
    capability: None,
    main: |ctx| run::run(ctx, compile),
}];
