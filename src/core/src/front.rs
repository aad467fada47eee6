//! The front door: which applet was meant, and what `netkit` itself answers.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use crate::{Applet, Ctx, Error, Exit, Group, Powers, caps, civil_from_unix, find, install, manifest, text};

const USAGE: &str = "\
netkit: tools for when a pod cannot reach a service, in one static binary

usage: netkit APPLET [ARGUMENT...]
       netkit --list
       netkit --help [APPLET]
       netkit --version
       netkit caps [--json]
       netkit install [--hard|--symbolic|--copy] DIR
       netkit manifest debug|daemonset|initcontainer|imagevolume|custom-profile [--image IMAGE]
       netkit completion bash

A link named after an applet runs that applet. Without arguments, on a terminal, it is a shell.
";

/// Status of a shell that does not find a command (POSIX Shell, 2.8.2).
const NOT_FOUND: Exit = Exit(127);
/// The applet cannot be run: a shell's status for a program that cannot be executed.
const NOT_EXECUTABLE: Exit = Exit(126);

/// Runs what argv asks for and returns the status to leave with; every error has been said by then.
pub fn dispatch(ctx: &mut Ctx, powers: &Powers) -> Exit {
    Exit((powers.supervise)(&mut || serve(ctx, powers).0))
}

fn serve(ctx: &mut Ctx, powers: &Powers) -> Exit {
    let outcome = choose(ctx, powers);
    let flushed = ctx.stdout.flush().map_err(Error::from);
    let error = match (outcome, flushed) {
        (Ok(exit), Ok(())) => return exit,
        (Err(error), _) | (Ok(_), Err(error)) => error,
    };
    if !error.message.is_empty() {
        let line = format!("{}: {}", ctx.name, error.message);
        ctx.say(&line);
    }
    match &error.hint {
        // Which right is missing, and what grants it, is the error itself in other words: said to scripts too.
        Some(hint) if hint.contains(" needs CAP_") && ctx.var("NETKIT_HINTS") != Some("0") => ctx.say(hint),
        Some(hint) => ctx.hint(hint),
        None => {}
    }
    error.exit
}

fn choose(ctx: &mut Ctx, powers: &Powers) -> Result<Exit, Error> {
    let called_as = Path::new(&ctx.argv0).file_name().and_then(OsStr::to_str).unwrap_or("").to_owned();
    if let Some(applet) = find(ctx.table, &called_as) {
        return run(ctx, applet, called_as, powers);
    }
    let Some(first) = ctx.args.first().map(|arg| arg.to_string_lossy().into_owned()) else {
        if let Some(shell) = find(ctx.table, "sh").filter(|_| at_a_terminal(ctx)) {
            let greeting = caps::greeting(ctx);
            ctx.say(&greeting);
            return run(ctx, shell, "sh".to_owned(), powers);
        }
        ctx.stdout.write_all(USAGE.as_bytes())?;
        return Ok(Exit::OK);
    };
    ctx.args.remove(0);
    match first.as_str() {
        "--list" => list(ctx),
        "--help" | "-h" | "help" => help(ctx),
        "--version" | "-V" => version(ctx),
        "caps" => caps::run(ctx),
        "install" => install::run(ctx),
        "manifest" => manifest::run(ctx),
        "completion" => completion(ctx),
        name => match find(ctx.table, name) {
            Some(applet) => run(ctx, applet, first, powers),
            None => Err(unknown_applet(ctx, name)),
        },
    }
}

/// Somebody is there to type.
fn at_a_terminal(ctx: &Ctx) -> bool {
    ctx.stdout_is_terminal && ctx.stderr_is_terminal && std::io::stdin().is_terminal()
}

fn run(ctx: &mut Ctx, applet: &'static Applet, name: String, powers: &Powers) -> Result<Exit, Error> {
    ctx.name = name;
    (powers.call_oneself)(&ctx.name);
    (powers.unpack)(applet.main as usize)
        .map_err(|error| Error::new(NOT_EXECUTABLE, format!("cannot put its code in place: {error}")))?;
    (powers.raise)(caps::wanted(applet));
    (applet.main)(ctx)
}

fn unknown_applet(ctx: &Ctx, name: &str) -> Error {
    let known = entries(ctx).flat_map(|applet| std::iter::once(applet.name).chain(applet.aliases.iter().copied()));
    let shown = text::printable(name);
    let message = match text::nearest(name, known) {
        Some(near) => format!("no applet `{shown}`; did you mean `{near}`?"),
        None => format!("no applet `{shown}`; `netkit --list` shows them all"),
    };
    Error::new(NOT_FOUND, message)
}

fn entries(ctx: &Ctx) -> impl Iterator<Item = &'static Applet> + use<> {
    ctx.table.iter().flat_map(|entries| entries.iter())
}

fn list(ctx: &mut Ctx) -> Result<Exit, Error> {
    no_more_arguments(ctx, "--list")?;
    let mut out = String::new();
    for group in [Group::Dns, Group::Connect, Group::Kernel, Group::Packet, Group::Shell] {
        let members: Vec<&Applet> = entries(ctx).filter(|applet| applet.group == group).collect();
        if members.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{}:", group.title());
        for applet in members {
            let mut names = applet.name.to_owned();
            for alias in applet.aliases {
                let _ = write!(names, ", {alias}");
            }
            let _ = writeln!(out, "  {names:<22} {}", applet.purpose);
        }
    }
    ctx.stdout.write_all(out.as_bytes())?;
    Ok(Exit::OK)
}

fn help(ctx: &mut Ctx) -> Result<Exit, Error> {
    let Some(name) = ctx.args.first().map(|arg| arg.to_string_lossy().into_owned()) else {
        ctx.stdout.write_all(USAGE.as_bytes())?;
        return Ok(Exit::OK);
    };
    ctx.args.remove(0);
    no_more_arguments(ctx, "--help APPLET")?;
    let applet = find(ctx.table, &name).ok_or_else(|| unknown_applet(ctx, &name))?;
    let page = help_page(applet);
    ctx.stdout.write_all(page.as_bytes())?;
    Ok(Exit::OK)
}

/// The help text of one applet, made from its table entry.
pub fn help_page(applet: &Applet) -> String {
    let mut out = format!("{}: {}\n\n", applet.name, applet.purpose);
    for (index, form) in applet.usage.lines().enumerate() {
        let _ = writeln!(out, "{} {} {form}", if index == 0 { "usage:" } else { "      " }, applet.name);
    }
    if !applet.aliases.is_empty() {
        let _ = writeln!(out, "\nalso called: {}", applet.aliases.join(", "));
    }
    if !applet.flags.is_empty() {
        out.push('\n');
    }
    for flag in applet.flags.iter() {
        let left = match (flag.value, flag.spelling.ends_with('=')) {
            ("", _) => flag.spelling.to_owned(),
            (value, true) => format!("{}{value}", flag.spelling),
            (value, false) => format!("{} {value}", flag.spelling),
        };
        let _ = writeln!(out, "  {left:<26} {}", flag.help);
    }
    if let Some(capability) = applet.capability {
        let _ = writeln!(
            out,
            "\nfull function with {} (kubectl debug --profile={})",
            capability.name(),
            capability.profile()
        );
    }
    out
}

fn version(ctx: &mut Ctx) -> Result<Exit, Error> {
    no_more_arguments(ctx, "--version")?;
    let build = ctx.build;
    // Only SOURCE_DATE_EPOCH is ever printed, so that the same commit gives the same bytes.
    let built = match build.epoch.parse::<i64>() {
        Ok(seconds) => {
            let date = civil_from_unix(seconds);
            format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)
        }
        Err(_) => "unknown (SOURCE_DATE_EPOCH was not set)".to_owned(),
    };
    writeln!(
        ctx.stdout,
        "netkit {}\ncommit: {}\nbuilt: {built}\ntarget: {}\nroots: {}",
        build.version, build.commit, build.target, build.trust_roots
    )?;
    Ok(Exit::OK)
}

/// Bash completion: `netkit` completes applet names and, after one, its flags; each applet name completes its flags.
fn completion(ctx: &mut Ctx) -> Result<Exit, Error> {
    let shell = ctx.args.first().map(|arg| arg.to_string_lossy().into_owned());
    match shell.as_deref() {
        Some("bash") => {}
        Some(other) => {
            return Err(Error::usage(format!(
                "completion for `{}` is not offered, only `bash` is",
                text::printable(other)
            )));
        }
        None => return Err(Error::usage("completion needs the name of a shell: `netkit completion bash`")),
    }
    ctx.args.remove(0);
    no_more_arguments(ctx, "completion bash")?;
    let mut names = Vec::new();
    let mut cases = String::new();
    for applet in entries(ctx) {
        let all: Vec<&str> = std::iter::once(applet.name).chain(applet.aliases.iter().copied()).collect();
        let flags: Vec<&str> = applet.flags.iter().map(|flag| flag.spelling).collect();
        let _ = writeln!(cases, "        {}) words='{}' ;;", all.join("|"), flags.join(" "));
        names.extend(all);
    }
    let names = names.join(" ");
    write!(
        ctx.stdout,
        "# bash completion for netkit; load it with: source <(netkit completion bash)\n\
         _netkit_flags() {{\n    local words=''\n    case \"$1\" in\n{cases}    esac\n    printf '%s' \"$words\"\n}}\n\
         _netkit() {{\n\
         \x20   local cur=\"${{COMP_WORDS[COMP_CWORD]}}\" name=\"${{COMP_WORDS[0]##*/}}\" words\n\
         \x20   if [ -z \"$(_netkit_flags \"$name\")\" ]; then\n\
         \x20       if [ \"$COMP_CWORD\" -eq 1 ]; then\n\
         \x20           words='{names} --list --help --version caps install manifest completion'\n\
         \x20       else\n\
         \x20           words=\"$(_netkit_flags \"${{COMP_WORDS[1]}}\")\"\n\
         \x20       fi\n\
         \x20   else\n\
         \x20       words=\"$(_netkit_flags \"$name\")\"\n\
         \x20   fi\n\
         \x20   COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n\
         }}\n\
         complete -o default -F _netkit netkit {names}\n"
    )?;
    Ok(Exit::OK)
}

fn no_more_arguments(ctx: &Ctx, after: &str) -> Result<(), Error> {
    match ctx.args.first() {
        None => Ok(()),
        Some(extra) => Err(Error::usage(format!(
            "unexpected argument `{}` after {after}",
            text::printable(&extra.to_string_lossy())
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctx::testing;
    use crate::{Build, Flags, flag, flags};

    static BUILD: Build = Build { version: "1.2.3", commit: "abc", epoch: "86400", target: "t", trust_roots: "r" };
    const FLAGS: Flags = flags![flag("-x", "ADDR", "reverse"), flag("+time=", "N", "seconds")];
    static TABLE: &[&[Applet]] = &[&[Applet {
        name: "echo-args",
        aliases: &["ea"],
        purpose: "prints its arguments",
        usage: "[ARG...]",
        group: Group::Shell,
        flags: FLAGS,
        capability: None,
        main: |ctx| {
            let line = format!("{} {}\n", ctx.name, ctx.args_lossy().join("|"));
            ctx.stdout.write_all(line.as_bytes())?;
            Ok(Exit(7))
        },
    }]];

    static POWERS: Powers =
        Powers { raise: |_| {}, unpack: |_| Ok(()), call_oneself: |_| {}, supervise: |program| program() };

    fn call(argv: &[&str]) -> (u8, String, String) {
        let (mut ctx, out, err) = testing::ctx(argv, TABLE, &BUILD);
        let exit = dispatch(&mut ctx, &POWERS);
        (exit.0, out.text(), err.text())
    }

    #[test]
    fn names_and_aliases_dispatch_by_exact_basename() {
        assert_eq!(call(&["/usr/bin/echo-args", "a", "b"]), (7, "echo-args a|b\n".into(), String::new()));
        assert_eq!(call(&["ea", "a"]).1, "ea a\n");
        assert_eq!(call(&["anything", "ea", "a"]).1, "ea a\n");
        // A suffix is not enough.
        assert_eq!(call(&["my-echo-args", "a"]).0, 127);
    }

    #[test]
    fn empty_argv_and_no_arguments_print_usage() {
        assert_eq!(call(&[]).0, 0);
        assert!(call(&[""]).1.contains("usage: netkit APPLET"));
        assert!(call(&["netkit"]).1.contains("usage: netkit APPLET"));
    }

    #[test]
    fn unknown_applet_names_the_nearest() {
        let (status, out, err) = call(&["netkit", "echo-arg"]);
        assert_eq!((status, out.as_str()), (127, ""));
        assert_eq!(err, "netkit: no applet `echo-arg`; did you mean `echo-args`?\n");
    }

    #[test]
    fn list_help_version_completion() {
        assert_eq!(call(&["netkit", "--list"]).1, "shell:\n  echo-args, ea          prints its arguments\n");
        let page = call(&["netkit", "--help", "ea"]).1;
        assert!(page.contains("  -x ADDR  ") && page.contains("  +time=N  "), "{page}");
        assert_eq!(
            call(&["netkit", "--version"]).1,
            "netkit 1.2.3\ncommit: abc\nbuilt: 1970-01-02\ntarget: t\nroots: r\n"
        );
        assert_eq!(call(&["netkit", "--version", "x"]).0, 2);
        assert!(call(&["netkit", "completion", "bash"]).1.contains("echo-args|ea) words='-x +time='"));
        assert_eq!(call(&["netkit", "completion", "fish"]).0, 2);
    }
}
