//! Builtins about processes and their limits: kill, jobs, fg, bg, wait, umask, ulimit.

use netkit_sys::process;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{operands, rest, text};
use crate::ast::Bytes;
use crate::program::reason;
use crate::shell::{Shell, Unwind};
use crate::signals;

pub(super) fn kill(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let mut arguments = rest(words);
    let mut signal = libc::SIGTERM;
    let usage = "Usage: kill [-s sigspec | -signum | -sigspec] [pid | job]... or kill -l [exitstatus]";
    match arguments {
        [first, others @ ..] if first == b"-l" || first == b"-L" => {
            let Some(status) = others.first() else { return Ok(signal_list(shell)) };
            let number =
                text(status).parse::<i32>().ok().map(|status| if status > 128 { status - 128 } else { status });
            let name = match number {
                Some(number) => signals::name(number).map(str::to_owned),
                None => signals::parse(&text(status)).map(|number| number.to_string()),
            };
            return Ok(match name {
                Some(name) => shell.put(b"kill", format!("{name}\n").as_bytes()),
                None => shell.complain(words, &format!("invalid signal number or name: {}", text(status)), 2),
            });
        }
        [first, name, others @ ..] if first == b"-s" => {
            match signals::parse(&text(name)) {
                Some(number) => signal = number,
                None => return Ok(shell.complain(words, &format!("invalid signal number or name: {}", text(name)), 2)),
            }
            arguments = others;
        }
        [first, others @ ..] if first == b"--" => arguments = others,
        [first, others @ ..] if first.len() > 1 && first.first() == Some(&b'-') => {
            match signals::parse(&text(first.get(1..).unwrap_or_default())) {
                Some(number) => signal = number,
                None => return Ok(shell.complain(words, &format!("Illegal option {}", text(first)), 2)),
            }
            arguments = others;
        }
        _ => {}
    }
    if arguments.first().is_some_and(|word| word == b"--") {
        arguments = rest(arguments);
    }
    if arguments.is_empty() {
        return Ok(shell.complain(words, usage, 2));
    }
    let mut status = 0;
    for target in arguments {
        let pid = if target.first() == Some(&b'%') {
            match shell.jobs.named(target).and_then(|at| shell.jobs.list.get(at)) {
                Some(job) if shell.options.monitor => Some(-job.group),
                Some(job) => Some(job.group),
                None => {
                    status = shell.complain(words, &format!("No such job: {}", text(target)), 2);
                    continue;
                }
            }
        } else {
            text(target).parse().ok()
        };
        let Some(pid) = pid else {
            status = shell.complain(words, &format!("Illegal number: {}", text(target)), 2);
            continue;
        };
        if let Err(error) = process::kill(pid, signal) {
            let message =
                if error.raw_os_error() == Some(libc::ESRCH) { "No such process".to_owned() } else { reason(&error) };
            status = shell.complain(words, &message, 1);
        }
    }
    Ok(status)
}

pub(super) fn signal_list(shell: &mut Shell) -> u8 {
    let names: Vec<&str> = signals::all().collect();
    shell.put(b"kill", format!("{}\n", names.join("\n")).as_bytes())
}

pub(super) fn jobs(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let has = |letter: &[u8]| rest(words).iter().any(|word| word == letter);
    let lines = shell.job_lines(has(b"-p"), has(b"-l"));
    Ok(shell.put(b"jobs", &lines))
}

/// `fg` and `bg`.
pub(super) fn resume(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    if !shell.options.monitor {
        return Ok(shell.complain(words, "no job control", 2));
    }
    let name = operands(words).first().cloned().unwrap_or_else(|| b"%%".to_vec());
    let name = if name.first() == Some(&b'%') { name } else { [b"%".as_slice(), &name].concat() };
    let Some(job) = shell.jobs.named(&name).and_then(|at| shell.jobs.list.get_mut(at)) else {
        return Ok(shell.complain(words, &format!("No such job: {}", text(&name)), 2));
    };
    let (number, group) = (job.number, job.group);
    let line = format!("{}\n", job.text);
    if words.first().is_some_and(|word| word == b"fg") {
        shell.put(b"fg", line.as_bytes());
        return Ok(shell.foreground(number, true));
    }
    job.resume();
    let _ = process::kill(-group, libc::SIGCONT);
    Ok(shell.put(b"bg", format!("[{number}] {line}").as_bytes()))
}

pub(super) fn wait(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let arguments = operands(words);
    let status = if arguments.is_empty() {
        shell.wait_all()
    } else {
        let mut status = 0;
        for name in arguments {
            let pid = if name.first() == Some(&b'%') {
                match shell.jobs.named(name).and_then(|at| shell.jobs.list.get(at)) {
                    Some(job) => job.members.last().map(|(pid, _)| *pid),
                    None => {
                        return Ok(shell.complain(words, &format!("No such job: {}", text(name)), 2));
                    }
                }
            } else {
                text(name).parse().ok()
            };
            let Some(pid) = pid else {
                return Ok(shell.complain(words, &format!("Illegal number: {}", text(name)), 2));
            };
            status = shell.wait_child(pid)?;
        }
        status
    };
    shell.run_traps()?;
    Ok(status)
}

pub(super) fn umask(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let arguments = operands(words);
    let symbolic = arguments.first().is_some_and(|word| word == b"-S");
    let Some(mode) = arguments.iter().find(|word| *word != b"-S") else {
        let mask = process::umask(0);
        process::umask(mask);
        let shown = if symbolic {
            let class = |shift: u32| {
                let allowed = !mask >> shift & 7;
                [(4, 'r'), (2, 'w'), (1, 'x')]
                    .iter()
                    .filter(|(bit, _)| allowed & bit != 0)
                    .map(|(_, letter)| *letter)
                    .collect::<String>()
            };
            format!("u={},g={},o={}\n", class(6), class(3), class(0))
        } else {
            format!("{mask:04o}\n")
        };
        return Ok(shell.put(b"umask", shown.as_bytes()));
    };
    let mode = text(mode);
    if mode.starts_with(|first: char| first.is_ascii_digit()) {
        return match u32::from_str_radix(&mode, 8) {
            Ok(mask) if mask <= 0o7777 => {
                process::umask(mask);
                Ok(0)
            }
            _ => Err(shell.fatal(&format!("umask: Illegal number: {mode}"))),
        };
    }
    let mask = process::umask(0);
    let changed = symbolic_mode(&mode, !mask & 0o777);
    process::umask(changed.map_or(mask, |allowed| !allowed & 0o777));
    match changed {
        Some(_) => Ok(0),
        None => Err(shell.fatal(&format!("umask: Illegal mode: {mode}"))),
    }
}

/// chmod(1)'s symbolic modes on `allowed`.
fn symbolic_mode(text: &str, mut allowed: u32) -> Option<u32> {
    for clause in text.split(',') {
        let at = clause.find(['=', '+', '-'])?;
        let (who, action) = clause.split_at(at);
        let mut mask = 0;
        for letter in who.chars() {
            mask |= match letter {
                'u' => 0o700,
                'g' => 0o070,
                'o' => 0o007,
                'a' => 0o777,
                _ => return None,
            };
        }
        if who.is_empty() {
            mask = 0o777;
        }
        let mut bits = 0;
        for letter in action.get(1..)?.chars() {
            bits |= match letter {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                _ => return None,
            };
        }
        match action.chars().next()? {
            '=' => allowed = allowed & !mask | bits & mask,
            '+' => allowed |= bits & mask,
            _ => allowed &= !(bits & mask),
        }
    }
    Some(allowed)
}

/// Letter, kernel's resource, unit in bytes (1 for counts), name.
const LIMITS: &[(u8, Resource, u64, &str)] = &[
    (b't', Resource::RLIMIT_CPU, 1, "time(seconds)"),
    (b'f', Resource::RLIMIT_FSIZE, 512, "file(blocks)"),
    (b'd', Resource::RLIMIT_DATA, 1024, "data(kbytes)"),
    (b's', Resource::RLIMIT_STACK, 1024, "stack(kbytes)"),
    (b'c', Resource::RLIMIT_CORE, 512, "coredump(blocks)"),
    (b'm', Resource::RLIMIT_RSS, 1024, "memory(kbytes)"),
    (b'l', Resource::RLIMIT_MEMLOCK, 1024, "locked memory(kbytes)"),
    (b'p', Resource::RLIMIT_NPROC, 1, "process"),
    (b'n', Resource::RLIMIT_NOFILE, 1, "nofiles"),
    (b'v', Resource::RLIMIT_AS, 1024, "vmemory(kbytes)"),
];

pub(super) fn ulimit(shell: &mut Shell, words: &[Bytes]) -> Result<u8, Unwind> {
    let (mut soft, mut hard, mut all) = (false, false, false);
    let mut which = b'f';
    let mut value = None;
    for word in rest(words) {
        match word.as_slice() {
            [b'-', letters @ ..] if !letters.is_empty() => {
                for letter in letters {
                    match letter {
                        b'S' => soft = true,
                        b'H' => hard = true,
                        b'a' => all = true,
                        letter if LIMITS.iter().any(|(own, ..)| own == letter) => which = *letter,
                        letter => {
                            let message = format!("ulimit: Illegal option -{}", char::from(*letter));
                            return Err(shell.fatal(&message));
                        }
                    }
                }
            }
            other => value = Some(text(other)),
        }
    }
    let shown = |limit: u64, unit: u64| {
        if limit == libc::RLIM_INFINITY { "unlimited".to_owned() } else { (limit / unit).to_string() }
    };
    if all {
        let mut out = String::new();
        for (_, resource, unit, name) in LIMITS {
            let Ok((low, high)) = getrlimit(*resource) else { continue };
            out.push_str(&format!("{name:<20} {}\n", shown(if hard { high } else { low }, *unit)));
        }
        return Ok(shell.put(b"ulimit", out.as_bytes()));
    }
    let Some((_, resource, unit, _)) = LIMITS.iter().find(|(own, ..)| *own == which) else { return Ok(2) };
    let (low, high) = match getrlimit(*resource) {
        Ok(limits) => limits,
        Err(errno) => return Ok(shell.complain(words, errno.desc(), 1)),
    };
    let Some(value) = value else {
        let line = format!("{}\n", shown(if hard && !soft { high } else { low }, *unit));
        return Ok(shell.put(b"ulimit", line.as_bytes()));
    };
    let limit = if value == "unlimited" {
        libc::RLIM_INFINITY
    } else {
        match value.parse::<u64>().ok().and_then(|number| number.checked_mul(*unit)) {
            Some(limit) => limit,
            None => return Err(shell.fatal("ulimit: bad number")),
        }
    };
    let both = soft == hard;
    let new_low = if both || soft { limit } else { low };
    let new_high = if both || hard { limit } else { high };
    match setrlimit(*resource, new_low, new_high) {
        Ok(()) => Ok(0),
        Err(errno) => Err(shell.fatal(&format!("ulimit: error setting limit ({})", errno.desc()))),
    }
}
