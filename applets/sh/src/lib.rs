//! `sh`, alias `ash`: a POSIX shell that finds netkit's applets before PATH, so that one copied file is a whole toolbox.
//!
//! Follows: dash 0.5.12 for what scripts see (messages, statuses, `echo`), busybox ash for what people type beyond POSIX
//! (`${v:1:2}`, `${v/a/b}`, `[[`, `<<<`, `&>`, `$'...'`, `read -t`, `source`, `let`).
//!
//! Differences: applets come before PATH; `set -o pipefail` exists (dash 0.5.12 has none); nesting is bounded (500 levels
//! of syntax, 400 of functions), a command substitution takes at most 256 MiB; no `fc`, no vi mode, no arrays, no process
//! substitution.
//!
//! Kernel interfaces: fork(2), execve(2), waitpid(2), pipe2(2), dup2(2), sigaction(2), tcsetpgrp(3), termios(3).
//! Without privilege: everything.

mod arith;
mod ast;
mod builtins;
mod complete;
mod edit;
mod exec;
mod expand;
mod jobs;
mod parse;
mod pattern;
mod printf;
mod program;
mod read;
mod redirect;
mod shell;
mod signals;
mod terminal;
mod test;

use std::io::IsTerminal;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::rc::Rc;

use netkit_core::{Applet, Ctx, Error, Exit, Flag, Group, flags};
use netkit_sys::process::{self, Disposition};
use nix::libc;

use crate::ast::Bytes;
use crate::parse::{Parser, Source, Stop};
use crate::shell::{Shell, Unwind};

const fn flag(spelling: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { spelling, value, help }
}

/// The shell.
pub static APPLETS: &[Applet] = &[Applet {
    name: "sh",
    aliases: &["ash"],
    purpose: "a shell that finds the tools of this binary first",
    usage: "[-abCefimnsuvx] [-o OPTION] [FILE [ARGUMENT...]]\n-c [OPTIONS] COMMANDS [NAME [ARGUMENT...]]",
    group: Group::Shell,
    flags: flags![
        flag("-c", "COMMANDS", "run these commands"),
        flag("-s", "", "read commands from stdin"),
        flag("-i", "", "be interactive"),
        flag("-e", "", "end when a command fails"),
        flag("-u", "", "unset variables are errors"),
        flag("-x", "", "show commands as they run"),
        flag("-n", "", "read commands, run none"),
        flag("-v", "", "show lines as they are read"),
        flag("-f", "", "no path name expansion"),
        flag("-C", "", "> does not overwrite files"),
        flag("-a", "", "export every variable that is set"),
        flag("-o", "NAME", "an option by name: pipefail, errexit ..."),
    ],
    capability: None,
    main: run,
}];

enum Script {
    Text(Bytes),
    Stdin,
    File(Bytes),
}

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let mut shell = Shell::new(ctx.table, &ctx.env);
    shell.name = if ctx.argv0.is_empty() { ctx.name.clone().into_bytes() } else { ctx.argv0.as_bytes().to_vec() };
    if netkit_core::find(ctx.table, &called(&shell.name)).is_none() {
        shell.name = ctx.name.clone().into_bytes();
    }
    // Scripts own the low descriptors: the context's copy of stdout must not sit on one of them.
    ctx.stdout = Box::new(std::io::stdout());
    // std ignores it; the commands of a script must not inherit that.
    let _ = process::set_signal(libc::SIGPIPE, Disposition::Default);

    let arguments: Vec<Bytes> = ctx.args.iter().map(|word| word.clone().into_vec()).collect();
    if arguments.first().is_some_and(|word| word == b"--help") {
        let page = APPLETS.first().map(netkit_core::front::help_page).unwrap_or_default();
        ctx.stdout.write_all(page.as_bytes())?;
        return Ok(Exit::OK);
    }
    let script = match options(&mut shell, &arguments) {
        Ok(script) => script,
        Err(message) => {
            shell.line = 0;
            shell.say(&message);
            return Ok(Exit(2));
        }
    };
    let terminals = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if matches!(script, Script::Stdin) && terminals {
        shell.options.interactive = true;
    }
    if shell.options.interactive {
        return Ok(Exit(interactive(&mut shell, script)));
    }
    let result = match script {
        Script::Text(text) => command_string(&mut shell, text),
        Script::Stdin => shell.run_source(&mut Stdin { ended: false, echo: shell.options.verbose }),
        Script::File(path) => match std::fs::read(std::ffi::OsStr::from_bytes(&path)) {
            Ok(text) => {
                shell.name = path;
                shell.run_source(&mut parse::Text::new(text))
            }
            Err(error) => {
                shell.line = 0;
                let why = match error.kind() {
                    std::io::ErrorKind::NotFound => "No such file".to_owned(),
                    _ => program::reason(&error),
                };
                shell.say(&format!("cannot open {}: {why}", String::from_utf8_lossy(&path)));
                return Ok(Exit(2));
            }
        },
    };
    // What ended the script early has been said, and is in the status.
    let _ = result;
    Ok(Exit(shell.finish()))
}

fn called(argv0: &[u8]) -> String {
    let base = argv0.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    String::from_utf8_lossy(base).into_owned()
}

/// Options before the script (sh(1)); what follows becomes `$0` and the positional parameters.
fn options(shell: &mut Shell, arguments: &[Bytes]) -> Result<Script, String> {
    let mut at = 0;
    let mut command = false;
    while let Some([sign @ (b'-' | b'+'), letters @ ..]) = arguments.get(at).map(Vec::as_slice) {
        at += 1;
        if *sign == b'-' && (letters.is_empty() || letters == b"-") {
            break;
        }
        for letter in letters {
            match letter {
                b'c' if *sign == b'-' => command = true,
                // A login shell would read profiles, of which there are none.
                b'l' => {}
                b'o' => {
                    let name =
                        String::from_utf8_lossy(arguments.get(at).map(Vec::as_slice).unwrap_or_default()).into_owned();
                    at += 1;
                    match shell.options.by_name(&name) {
                        Some(option) => *option = *sign == b'-',
                        None => return Err(format!("Illegal option -o {name}")),
                    }
                }
                letter => match shell.options.by_letter(*letter) {
                    Some(option) => *option = *sign == b'-',
                    None => return Err(format!("Illegal option {}{}", char::from(*sign), char::from(*letter))),
                },
            }
        }
    }
    let mut rest = arguments.get(at..).unwrap_or_default().iter().cloned();
    if command {
        let Some(text) = rest.next() else { return Err("-c requires an argument".to_owned()) };
        if let Some(name) = rest.next() {
            shell.name = name;
        }
        shell.positional = rest.collect();
        return Ok(Script::Text(text));
    }
    if shell.options.stdin {
        shell.positional = rest.collect();
        return Ok(Script::Stdin);
    }
    match rest.next() {
        None => {
            shell.options.stdin = true;
            Ok(Script::Stdin)
        }
        Some(file) => {
            shell.positional = rest.collect();
            Ok(Script::File(file))
        }
    }
}

/// `-c`: the last command replaces this process, so that signals reach it.
fn command_string(shell: &mut Shell, text: Bytes) -> Result<(), Unwind> {
    let mut source = parse::Text::new(text);
    let mut parser = Parser::new(&mut source, Rc::clone(&shell.aliases));
    loop {
        let list = match parser.next() {
            Ok(None) => return Ok(()),
            Err(stop) => return Err(shell.syntax_error(stop)),
            Ok(Some(list)) => list,
        };
        if shell.options.noexec {
            continue;
        }
        match list.items.as_slice() {
            [.., last] if shell.jobs.list.is_empty() && !last.background && parser.is_at_end() == Ok(true) => {
                return shell.run_last_list(&list);
            }
            _ => shell.run_list(&list)?,
        }
    }
}

/// Commands from stdin, read byte by byte: what follows a command's line is that command's input.
struct Stdin {
    ended: bool,
    echo: bool,
}

impl Source for Stdin {
    fn line(&mut self, _continued: bool) -> Result<Option<Bytes>, Stop> {
        let mut line = Bytes::new();
        while !self.ended && line.last() != Some(&b'\n') {
            let mut byte = [0];
            match process::read(0, &mut byte) {
                Ok(0) => self.ended = true,
                Ok(_) => line.extend_from_slice(&byte),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => self.ended = true,
            }
        }
        if self.echo {
            let _ = process::write_all(2, &line);
        }
        Ok((!line.is_empty()).then_some(line))
    }
}

/// A shell for a person.
fn interactive(shell: &mut Shell, script: Script) -> u8 {
    shell.interactive_signals();
    shell.take_terminal();
    if let Script::Text(text) = &script {
        let _ = shell.run_text(text);
        return shell.finish();
    }
    let mut lines = edit::Lines::new(shell);
    // A prompt that says where one is, unless the environment brings one.
    if shell.variable(b"PS1").as_deref() == Some(b"$ ") {
        shell.preset("PS1", b"\\h:\\w\\$ ");
    }
    loop {
        shell.tell_jobs();
        let list = {
            let aliases = Rc::clone(&shell.aliases);
            let mut source = lines.source(shell);
            let mut parser = Parser::new(&mut source, aliases);
            parser.next()
        };
        let result = match list {
            Ok(None) => {
                if lines.ended(shell) {
                    break;
                }
                continue;
            }
            Ok(Some(list)) => shell.run_list(&list),
            Err(stop) => Err(shell.syntax_error(stop)),
        };
        shell.loops = 0;
        shell.checked = 0;
        match result {
            Err(Unwind::Exit) => break,
            Err(Unwind::Interrupt) => {
                shell.status = 130;
            }
            // Ctrl-C in the last of the commands has nothing left to end.
            _ => {
                if shell.run_traps() == Err(Unwind::Exit) {
                    break;
                }
            }
        }
    }
    lines.keep(shell);
    shell.finish()
}

impl Shell {
    /// Job control: a process group of our own in the foreground of the terminal, if there is one.
    fn take_terminal(&mut self) {
        let Ok(terminal) = process::duplicate_away(2) else { return };
        if process::foreground(terminal).is_err() {
            process::close(terminal);
            return;
        }
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        // A session leader has a group already; setpgid then fails, which is fine.
        let _ = process::join_group(0, pid);
        if process::set_foreground(terminal, process::group()).is_err() {
            process::close(terminal);
            return;
        }
        self.terminal = Some(terminal);
        self.options.monitor = true;
    }
}
