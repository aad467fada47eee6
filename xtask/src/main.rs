//! What a maintainer types: `cargo xtask COMMAND`.
//!
//! One file per command, listed in [`COMMANDS`]; what several commands need (the workspace's facts,
//! running processes, reading ELF files) has a file of its own.
// The house bans the print macros because they panic on a closed pipe; here a maintainer reads along, and that is fine.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod audit;
mod bench;
mod demo;
mod dist;
mod elf;
mod image;
mod link;
mod musl;
mod pack;
mod process;
mod reproduce;
mod rootfs;
mod size;
mod test;
mod walls;
mod workspace;

use std::process::ExitCode;

/// The error of every command: one sentence, with the path or command it is about.
pub(crate) type Result<T> = std::result::Result<T, String>;

struct Command {
    name: &'static str,
    usage: &'static str,
    purpose: &'static str,
    run: fn(&[String]) -> Result<()>,
}

/// Adding a command is one line here and one `mod` line above.
const COMMANDS: &[Command] = &[
    Command { name: "demo", usage: demo::USAGE, purpose: "netkit at work on a broken resolv.conf", run: demo::run },
    Command { name: "dist", usage: dist::USAGE, purpose: "the static binary and its root file system", run: dist::run },
    Command { name: "image", usage: image::USAGE, purpose: "the scratch image", run: image::run },
    Command { name: "test", usage: test::USAGE, purpose: "all tests, or the quick ones", run: test::run },
    Command { name: "bench", usage: bench::USAGE, purpose: "speed against the peers, as ratios", run: bench::run },
    Command { name: "size", usage: size::USAGE, purpose: "bytes by crate and by applet", run: size::run },
    Command { name: "walls", usage: "", purpose: "who may call whom (DESIGN.md, section 2)", run: walls::run },
    Command { name: "reproduce", usage: "", purpose: "build again elsewhere, compare bytes", run: reproduce::run },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if std::env::var_os(link::STANDS_IN).is_some() {
        return status("linker", link::run(&words));
    }
    let Some((name, rest)) = words.split_first() else {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    };
    if ["--help", "-h", "help"].contains(&name.as_str()) {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprintln!("xtask: no command `{name}`\n{}", usage());
        return ExitCode::from(2);
    };
    status(name, (command.run)(rest))
}

fn status(name: &str, result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask {name}: {message}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    let mut text = String::from("usage: cargo xtask COMMAND\n\n");
    for command in COMMANDS {
        let left = format!("{} {}", command.name, command.usage);
        text.push_str(&format!("  {left:<58} {}\n", command.purpose));
    }
    text
}
