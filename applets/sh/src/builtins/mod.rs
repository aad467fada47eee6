//! Commands the shell runs itself (POSIX.1-2024, Shell 2.14 and 1.6).

mod directory;
mod processes;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use netkit_sys::process;
use nix::libc;

use crate::ast::Bytes;
use crate::exec::Found;
use crate::parse::{is_name, reserved};
use crate::program::{reason, single_quoted};
use crate::shell::{OPTION_NAMES, Shell, Trap, Unwind};
use crate::signals;
use crate::{printf, read, test};
use directory::{cd, pwd};
use processes::{jobs, kill, resume, signal_list, ulimit, umask, wait};

/// Runs with its name and arguments, and returns its status.
pub(crate) type Builtin = fn(&mut Shell, &[Bytes]) -> Result<u8, Unwind>;

const SPECIAL: &[(&str, Builtin)] = &[
    (":", colon),
    (".", dot),
    ("break", leave_loop),
    ("continue", leave_loop),
    ("eval", eval),
    ("exec", exec),
    ("exit", exit),
    ("export", declare),
    ("local", local),
    ("readonly", declare),
    ("return", return_),
    ("set", set),
    ("shift", shift),
    ("source", dot),
    ("times", times),
    ("trap", trap),
    ("unset", unset),
];

const REGULAR: &[(&str, Builtin)] = &[
    ("[", bracket),
    ("alias", alias),
    ("bg", resume),
    ("cd", cd),
    ("command", command),
    ("echo", echo),
    ("false", |_, _| Ok(1)),
    ("fg", resume),
    ("getopts", getopts),
    ("hash", |_, _| Ok(0)),
    ("help", help),
    ("history", history),
    ("jobs", jobs),
    ("kill", kill),
    ("let", let_),
    ("printf", printf_),
    ("pwd", pwd),
    ("read", read::read),
    ("test", bracket),
    ("true", |_, _| Ok(0)),
    ("type", type_),
    ("ulimit", ulimit),
    ("umask", umask),
    ("unalias", unalias),
    ("wait", wait),
];

fn lookup(list: &[(&str, Builtin)], name: &[u8]) -> Option<Builtin> {
    list.iter().find(|(own, _)| own.as_bytes() == name).map(|(_, builtin)| *builtin)
}

pub(crate) fn special(name: &[u8]) -> Option<Builtin> {
    lookup(SPECIAL, name)
}

pub(crate) fn regular(name: &[u8]) -> Option<Builtin> {
    lookup(REGULAR, name)
}

/// Every name, for completion.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SPECIAL.iter().chain(REGULAR).map(|(name, _)| *name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn rest(words: &[Bytes]) -> &[Bytes] {
    words.get(1..).unwrap_or_default()
}

/// Operands after `--`, if there is one.
fn operands(words: &[Bytes]) -> &[Bytes] {
    match rest(words) {
        [first, others @ ..] if first == b"--" => others,
        all => all,
    }
}

impl Shell {
    /// Writes a builtin's output; 1 with a message when that fails.
    pub(crate) fn put(&mut self, name: &[u8], output: &[u8]) -> u8 {
        match process::write_all(1, output) {
            Ok(()) => 0,
            Err(error) => {
                self.say(&format!("{}: I/O error: {}", text(name), reason(&error)));
                1
            }
        }
    }

    /// A complaint of a builtin with its status.
    fn complain(&mut self, words: &[Bytes], message: &str, status: u8) -> u8 {
        let name = text(words.first().map(Vec::as_slice).unwrap_or_default());
        self.say(&format!("{name}: {message}"));
        status
    }

    /// A number as an operand.
    fn count(&mut self, words: &[Bytes], operand: &[u8]) -> Result<u32, Unwind> {
        match std::str::from_utf8(operand).ok().and_then(|text| text.parse::<u32>().ok()) {
            Some(count) => Ok(count),
            None => {
                let name = text(words.first().map(Vec::as_slice).unwrap_or_default());
                Err(self.fatal(&format!("{name}: Illegal number: {}", text(operand))))
            }
        }
    }
}

fn colon(_: &mut Shell, _: &[Bytes]) -> Result<u8, Unwind> {
    Ok(0)
}

fn dot(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let Some(name) = operands(words).first().cloned() else {
        return Err(shell.fatal(".: filename argument required"));
    };
    let path = if name.contains(&b'/') {
        Some(name.clone())
    } else {
        let dirs = shell.variable(b"PATH").unwrap_or_default();
        dirs.split(|byte| *byte == b':')
            .map(|dir| if dir.is_empty() { name.clone() } else { [dir, b"/", &name].concat() })
            .find(|path| std::fs::metadata(OsStr::from_bytes(path)).is_ok_and(|data| !data.is_dir()))
    };
    let Some(path) = path else {
        return Err(shell.fatal(&format!(".: {}: not found", text(&name))));
    };
    let script = match std::fs::read(OsStr::from_bytes(&path)) {
        Ok(script) => script,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(shell.fatal(&format!(".: cannot open {}: No such file", text(&path))));
        }
        Err(error) => return Err(shell.fatal(&format!(".: cannot open {}: {}", text(&path), reason(&error)))),
    };
    if shell.sourced > 100 {
        return Err(shell.fatal(".: nested too deeply"));
    }
    shell.sourced += 1;
    shell.status = 0;
    let line = shell.line;
    let result = shell.run_source(&mut crate::parse::Text::new(script));
    shell.line = line;
    shell.sourced -= 1;
    match result {
        Ok(()) | Err(Unwind::Return) => Ok(shell.status),
        Err(unwind) => Err(unwind),
    }
}

fn leave_loop(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let count = match operands(words).first() {
        None => 1,
        Some(operand) => {
            let operand = operand.clone();
            let count = shell.count(words, &operand)?;
            if count == 0 {
                let name = text(words.first().map(Vec::as_slice).unwrap_or_default());
                return Err(shell.fatal(&format!("{name}: Illegal number: 0")));
            }
            count
        }
    };
    if shell.loops == 0 {
        return Ok(0);
    }
    shell.status = 0;
    let count = count.min(shell.loops);
    Err(if words.first().is_some_and(|word| word == b"break") { Unwind::Break(count) } else { Unwind::Continue(count) })
}

fn eval(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    if shell.evals >= crate::shell::DEEPEST_EVAL {
        return Err(shell.fatal("eval: nested too deeply"));
    }
    let script = operands(words).join(&b' ');
    shell.status = 0;
    shell.evals += 1;
    let result = shell.run_text(&script);
    shell.evals -= 1;
    result?;
    Ok(shell.status)
}

fn exec(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let arguments = operands(words);
    let Some(name) = arguments.first() else { return Ok(0) };
    let found = match shell.find(name, false) {
        found @ (Found::Applet | Found::File(_)) => found,
        // A builtin has no file; PATH may have one.
        _ => shell.in_path(name).map_or(Found::Missing, Found::File),
    };
    if matches!(found, Found::Missing) {
        shell.say(&format!("exec: {}: not found", text(name)));
        shell.status = 127;
        return Err(if shell.options.interactive { Unwind::Fatal } else { Unwind::Exit });
    }
    shell.status = shell.exec_program(&found, arguments);
    Err(if shell.options.interactive { Unwind::Fatal } else { Unwind::Exit })
}

fn exit(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    if let Some(operand) = operands(words).first().cloned() {
        let count = shell.count(words, &operand)?;
        shell.status = u8::try_from(count & 0xff).unwrap_or(0);
    }
    Err(Unwind::Exit)
}

fn return_(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    if let Some(operand) = operands(words).first().cloned() {
        let count = shell.count(words, &operand)?;
        shell.status = u8::try_from(count & 0xff).unwrap_or(0);
    }
    // Outside of functions and files dash leaves the script.
    Err(if shell.calls > 0 || shell.sourced > 0 { Unwind::Return } else { Unwind::Exit })
}

/// `export` and `readonly`.
fn declare(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let verb = words.first().cloned().unwrap_or_default();
    let export = verb == b"export";
    let mut names = rest(words);
    let mut withdraw = false;
    while let [first, others @ ..] = names {
        match first.as_slice() {
            b"-p" => {}
            b"-n" if export => withdraw = true,
            b"--" => {
                names = others;
                break;
            }
            [b'-', letter, ..] => {
                let message = format!("{}: Illegal option -{}", text(&verb), char::from(*letter));
                return Err(shell.fatal(&message));
            }
            _ => break,
        }
        names = others;
    }
    if names.is_empty() {
        let mut lines: Vec<Bytes> = shell
            .variables
            .iter()
            .filter(|(_, variable)| if export { variable.exported } else { variable.readonly })
            .map(|(name, variable)| match &variable.value {
                Some(value) => [&verb, b" ".as_slice(), name, b"=", &single_quoted(value), b"\n"].concat(),
                None => [&verb, b" ".as_slice(), name, b"\n"].concat(),
            })
            .collect();
        lines.sort();
        return Ok(shell.put(&verb, &lines.concat()));
    }
    for word in names {
        let (name, value) = split(word);
        if !is_name(name) {
            return Err(shell.fatal(&format!("{}: {}: bad variable name", text(&verb), text(name))));
        }
        if let Some(value) = value {
            shell.assign(name, value.to_vec())?;
        }
        let variable = shell.variables.entry(name.to_vec()).or_default();
        if export { variable.exported = !withdraw } else { variable.readonly = true }
    }
    Ok(0)
}

/// `name=value`, or a name alone.
fn split(word: &[u8]) -> (&[u8], Option<&[u8]>) {
    match word.iter().position(|byte| *byte == b'=') {
        Some(at) => (word.get(..at).unwrap_or_default(), word.get(at + 1..)),
        None => (word, None),
    }
}

fn local(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    if shell.locals.is_empty() {
        return Err(shell.fatal("local: not in a function"));
    }
    for word in operands(words) {
        let (name, value) = split(word);
        if !is_name(name) {
            return Err(shell.fatal(&format!("local: {}: bad variable name", text(name))));
        }
        let before = shell.variables.get(name).cloned();
        if let Some(frame) = shell.locals.last_mut()
            && frame.iter().all(|(known, _)| known != name)
        {
            frame.push((name.to_vec(), before));
        }
        // Without a value it keeps the one from outside, as in dash.
        if let Some(value) = value {
            shell.assign(name, value.to_vec())?;
        }
    }
    Ok(0)
}

fn set(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    if words.len() == 1 {
        let mut lines: Vec<Bytes> = shell
            .variables
            .iter()
            .filter_map(|(name, variable)| {
                Some([name.as_slice(), b"=", &single_quoted(variable.value.as_ref()?), b"\n"].concat())
            })
            .collect();
        lines.sort();
        return Ok(shell.put(b"set", &lines.concat()));
    }
    let mut arguments = rest(words).iter();
    let mut positional = None;
    while let Some(word) = arguments.next() {
        match word.as_slice() {
            b"--" => {
                positional = Some(arguments.cloned().collect());
                break;
            }
            b"-" => {
                shell.options.xtrace = false;
                shell.options.verbose = false;
                let left: Vec<Bytes> = arguments.cloned().collect();
                positional = (!left.is_empty()).then_some(left);
                break;
            }
            [sign @ (b'-' | b'+'), letters @ ..] => {
                for letter in letters {
                    if *letter == b'o' {
                        match arguments.next() {
                            None => return Ok(option_list(shell, *sign == b'+')),
                            Some(name) => shell.set_option(&text(name), *sign == b'-')?,
                        }
                        continue;
                    }
                    let Some(option) = shell.options.by_letter(*letter) else {
                        let message = format!("set: Illegal option {}{}", char::from(*sign), char::from(*letter));
                        return Err(shell.fatal(&message));
                    };
                    *option = *sign == b'-';
                }
            }
            _ => {
                positional = Some(std::iter::once(word).chain(arguments).cloned().collect());
                break;
            }
        }
    }
    if let Some(positional) = positional {
        shell.positional = positional;
        shell.getopts = (1, 0);
    }
    Ok(0)
}

impl Shell {
    /// `set -o NAME`.
    pub(crate) fn set_option(&mut self, name: &str, on: bool) -> Result<(), Unwind> {
        match self.options.by_name(name) {
            Some(option) => {
                *option = on;
                Ok(())
            }
            None => Err(self.fatal(&format!("set: Illegal option -o {name}"))),
        }
    }
}

fn option_list(shell: &mut Shell, commands: bool) -> u8 {
    let mut out = if commands { String::new() } else { "Current option settings\n".to_owned() };
    let mut options = shell.options.clone();
    for (_, name) in OPTION_NAMES {
        let on = options.by_name(name).is_some_and(|on| *on);
        if commands {
            out.push_str(&format!("set {}o {name}\n", if on { '-' } else { '+' }));
        } else {
            out.push_str(&format!("{name:<15} {}\n", if on { "on" } else { "off" }));
        }
    }
    shell.put(b"set", out.as_bytes())
}

fn shift(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let count = match operands(words).first().cloned() {
        None => 1,
        Some(operand) => usize::try_from(shell.count(words, &operand)?).unwrap_or(usize::MAX),
    };
    if count > shell.positional.len() {
        return Err(shell.fatal("shift: can't shift that many"));
    }
    shell.positional.drain(..count);
    shell.getopts = (1, 0);
    Ok(0)
}

fn times(shell: &mut Shell, _: &[Bytes]) -> Result<u8, Unwind> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let mut out = String::new();
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let Ok(usage) = getrusage(who) else { return Ok(1) };
        let shown = |time: nix::sys::time::TimeVal| {
            let micros = time.num_microseconds();
            format!("{}m{}.{:06}s", micros / 60_000_000, micros / 1_000_000 % 60, micros % 1_000_000)
        };
        out.push_str(&format!("{} {}\n", shown(usage.user_time()), shown(usage.system_time())));
    }
    Ok(shell.put(b"times", out.as_bytes()))
}

fn trap(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let arguments = operands(words);
    let list = arguments.is_empty() || arguments.first().is_some_and(|word| word == b"-p");
    if list {
        let mut out = Bytes::new();
        for (signal, trap) in &shell.traps {
            let action = match trap {
                Trap::Ignore => b"''".to_vec(),
                Trap::Run(text) => single_quoted(text),
            };
            let name = signals::name(*signal).map_or_else(|| signal.to_string(), str::to_owned);
            out.extend([b"trap -- ".as_slice(), &action, b" ", name.as_bytes(), b"\n"].concat());
        }
        return Ok(shell.put(b"trap", &out));
    }
    if arguments.first().is_some_and(|word| word == b"-l") {
        return Ok(signal_list(shell));
    }
    // A lone number or signal name clears its trap.
    let (action, names) = match arguments {
        [first, others @ ..]
            if others.is_empty() || std::str::from_utf8(first).is_ok_and(|text| text.parse::<u32>().is_ok()) =>
        {
            let _ = first;
            (None, arguments)
        }
        [first, others @ ..] if first == b"-" => (None, others),
        [first, others @ ..] if first.is_empty() => (Some(Trap::Ignore), others),
        [first, others @ ..] => (Some(Trap::Run(first.clone())), others),
        [] => (None, arguments),
    };
    let mut status = 0;
    for name in names {
        match signals::parse(&text(name)) {
            Some(signal) => shell.set_trap(signal, action.clone()),
            None => status = shell.complain(words, &format!("{}: bad trap", text(name)), 1),
        }
    }
    Ok(status)
}

fn unset(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let mut names = rest(words);
    let mut functions = false;
    while let [first, others @ ..] = names {
        match first.as_slice() {
            b"-f" => functions = true,
            b"-v" => functions = false,
            b"--" => {
                names = others;
                break;
            }
            [b'-', letter, ..] => {
                let message = format!("unset: Illegal option -{}", char::from(*letter));
                return Err(shell.fatal(&message));
            }
            _ => break,
        }
        names = others;
    }
    for name in names {
        if functions {
            shell.functions.remove(name);
        } else if is_name(name) {
            shell.unset(name)?;
        } else {
            return Err(shell.fatal(&format!("unset: {}: bad variable name", text(name))));
        }
    }
    Ok(0)
}

fn alias(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let show = |name: &[u8], value: &[u8]| [name, b"=", &single_quoted(value), b"\n"].concat();
    let arguments = operands(words);
    let aliases = std::rc::Rc::clone(&shell.aliases);
    if arguments.is_empty() {
        let mut lines: Vec<Bytes> = aliases.borrow().iter().map(|(name, value)| show(name, value)).collect();
        lines.sort();
        return Ok(shell.put(b"alias", &lines.concat()));
    }
    let mut status = 0;
    for word in arguments {
        match split(word) {
            (name, Some(value)) if !name.is_empty() => {
                aliases.borrow_mut().insert(name.to_vec(), value.to_vec());
            }
            (name, _) => {
                let line = aliases.borrow().get(name).map(|value| show(name, value));
                match line {
                    Some(line) => {
                        shell.put(b"alias", &line);
                    }
                    None => status = shell.complain(words, &format!("{} not found", text(name)), 1),
                }
            }
        }
    }
    Ok(status)
}

fn unalias(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let arguments = operands(words);
    if arguments.first().is_some_and(|word| word == b"-a") {
        shell.aliases.borrow_mut().clear();
        return Ok(0);
    }
    let mut status = 0;
    for name in arguments {
        let removed = shell.aliases.borrow_mut().remove(name);
        if removed.is_none() {
            status = shell.complain(words, &format!("{} not found", text(name)), 1);
        }
    }
    Ok(status)
}

fn echo(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    Ok(shell.put(b"echo", &printf::echo(rest(words))))
}

fn printf_(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let [format, arguments @ ..] = operands(words) else {
        return Ok(shell.complain(words, "usage: printf format [arg ...]", 2));
    };
    let (output, complaints) = printf::printf(format, arguments);
    let status = shell.put(b"printf", &output);
    for complaint in &complaints {
        shell.complain(words, complaint, 1);
    }
    Ok(if complaints.is_empty() { status } else { complaint_status(&complaints) })
}

fn complaint_status(complaints: &[String]) -> u8 {
    // A wrong format is a usage error in dash.
    if complaints.iter().any(|text| text.contains("invalid directive") || text.contains("missing format")) {
        2
    } else {
        1
    }
}

/// `test` and `[`.
fn bracket(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let mut arguments = rest(words);
    if words.first().is_some_and(|word| word == b"[") {
        match arguments {
            [inner @ .., last] if last == b"]" => arguments = inner,
            _ => return Ok(shell.complain(words, "missing ]", 2)),
        }
    }
    Ok(match test::evaluate(arguments) {
        Ok(value) => u8::from(!value),
        Err(message) => shell.complain(words, &message, 2),
    })
}

fn let_(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let mut value = 0;
    for word in rest(words) {
        value = shell.compute(word)?;
    }
    Ok(u8::from(value == 0))
}

fn getopts(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let [options, name, given @ ..] = rest(words) else {
        return Ok(shell.complain(words, "Usage: getopts optstring var [arg...]", 2));
    };
    let (options, name) = (options.clone(), name.clone());
    let arguments = if given.is_empty() { shell.positional.clone() } else { given.to_vec() };
    let quiet = options.first() == Some(&b':');
    let (mut index, mut within) = shell.getopts;
    let finish = |shell: &mut Shell, index: usize| {
        shell.assign(b"OPTIND", index.to_string().into_bytes())?;
        shell.getopts = (index, 0);
        shell.assign(&name, b"?".to_vec())?;
        Ok(1)
    };
    let Some(word) = index.checked_sub(1).and_then(|at| arguments.get(at)) else { return finish(shell, index) };
    if within == 0 {
        if word == b"--" {
            return finish(shell, index + 1);
        }
        if word.first() != Some(&b'-') || word.len() < 2 {
            return finish(shell, index);
        }
        within = 1;
    }
    let letter = word.get(within).copied().unwrap_or(b'?');
    within += 1;
    let known = options.iter().position(|own| *own == letter && letter != b':');
    let mut value = vec![letter];
    let mut argument = None;
    match known {
        None => {
            if quiet {
                argument = Some(vec![letter]);
            } else {
                shell.say(&format!("Illegal option -{}", char::from(letter)));
            }
            value = b"?".to_vec();
        }
        Some(at) if options.get(at + 1) == Some(&b':') => {
            if within < word.len() {
                argument = Some(word.get(within..).unwrap_or_default().to_vec());
            } else {
                index += 1;
                match index.checked_sub(1).and_then(|at| arguments.get(at)) {
                    Some(next) => argument = Some(next.clone()),
                    None if quiet => {
                        argument = Some(vec![letter]);
                        value = b":".to_vec();
                    }
                    None => {
                        shell.say(&format!("No arg for -{} option", char::from(letter)));
                        value = b"?".to_vec();
                    }
                }
            }
            within = word.len();
        }
        Some(_) => {}
    }
    if within >= word.len() {
        index += 1;
        within = 0;
    }
    shell.assign(b"OPTIND", index.to_string().into_bytes())?;
    shell.getopts = (index, within);
    match argument {
        Some(argument) => shell.assign(b"OPTARG", argument)?,
        None => {
            shell.variables.remove(b"OPTARG".as_slice());
        }
    }
    shell.assign(&name, value)?;
    Ok(0)
}

/// `command -v`, `command -V`, and what is left of `command` otherwise.
fn command(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    match rest(words) {
        [flag, names @ ..] if flag == b"-v" || flag == b"-V" => {
            let verbose = flag == b"-V";
            let mut status = 0;
            for name in names {
                let line = shell.describe(name, verbose);
                match line {
                    Some(line) => {
                        shell.put(b"command", format!("{line}\n").as_bytes());
                    }
                    None if verbose => {
                        shell.put(b"command", format!("{}: not found\n", text(name)).as_bytes());
                        status = 127;
                    }
                    None => status = 127,
                }
            }
            Ok(status)
        }
        [] => Ok(0),
        // `-p`: the standard path; applets come first anyway.
        [flag, others @ ..] if flag == b"-p" => run_again(shell, others),
        [flag, ..] => {
            let message = format!("command: Illegal option {}", text(flag));
            Err(shell.fatal(&message))
        }
    }
}

fn run_again(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let line = words.iter().map(|word| single_quoted(word)).collect::<Vec<_>>().join(&b' ');
    shell.run_text(&[b"command ".as_slice(), &line].concat())?;
    Ok(shell.status)
}

impl Shell {
    fn describe(&self, name: &[u8], verbose: bool) -> Option<String> {
        let shown = text(name);
        if reserved(name) {
            return Some(if verbose { format!("{shown} is a shell keyword") } else { shown });
        }
        if let Some(value) = self.aliases.borrow().get(name) {
            let value = text(value);
            return Some(if verbose {
                format!("{shown} is an alias for {value}")
            } else {
                format!("alias {shown}='{value}'")
            });
        }
        let kind = match self.find(name, true) {
            Found::Special(_) => "is a special shell builtin".to_owned(),
            Found::Function(_) => "is a shell function".to_owned(),
            Found::Builtin(_) => "is a shell builtin".to_owned(),
            Found::Applet => "is a netkit applet".to_owned(),
            Found::File(path) => {
                if !process::access(OsStr::from_bytes(&path), libc::X_OK) {
                    return None;
                }
                return Some(if verbose { format!("{shown} is {}", text(&path)) } else { text(&path) });
            }
            Found::Missing => return None,
        };
        Some(if verbose { format!("{shown} {kind}") } else { shown })
    }
}

fn type_(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let mut status = 0;
    for name in operands(words) {
        let line = shell.describe(name, true).unwrap_or_else(|| {
            status = 127;
            format!("{}: not found", text(name))
        });
        shell.put(b"type", format!("{line}\n").as_bytes());
    }
    Ok(status)
}

fn history(shell: &mut Shell, _: &[Bytes]) -> Result<u8, Unwind> {
    let lines: String =
        shell.history.iter().enumerate().map(|(index, line)| format!("{:5}  {line}\n", index + 1)).collect();
    Ok(shell.put(b"history", lines.as_bytes()))
}

fn help(shell: &mut Shell, _: &[Bytes]) -> Result<u8, Unwind> {
    let mut out = "Built into the shell:\n ".to_owned();
    let mut names: Vec<&str> = names().collect();
    names.sort_unstable();
    for name in names {
        out.push(' ');
        out.push_str(name);
    }
    out.push_str("\nnetkit --list shows the tools, netkit --help NAME what one of them can do.\n");
    Ok(shell.put(b"help", out.as_bytes()))
}
