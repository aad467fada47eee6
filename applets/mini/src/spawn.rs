//! Running other programs: netkit's own applets first, then PATH; and xargs.

use std::io::{self, BufRead, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use netkit_core::{Ctx, Error, Exit, find};
use netkit_sys::process::{self, Change, Disposition};
use nix::libc;

use crate::base::{Bytes, Outcome, Tool, after, at, find_bytes, join, lossy, number, part, path, wanted, wrong};

/// The environment as exec wants it.
pub(crate) fn environment(ctx: &Ctx) -> Vec<Bytes> {
    ctx.env.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect()
}

/// Where a program is found: every match in PATH, or the name itself when it has a slash.
pub(crate) fn in_path(list: &[u8], name: &[u8], all: bool) -> Vec<Bytes> {
    let runs = |file: &[u8]| {
        std::fs::metadata(path(file)).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    if name.contains(&b'/') {
        return if runs(name) { vec![name.to_vec()] } else { Vec::new() };
    }
    let mut found = Vec::new();
    for dir in list.split(|byte| *byte == b':') {
        let file = join(if dir.is_empty() { b"." } else { dir }, name);
        if runs(&file) {
            found.push(file);
            if !all {
                break;
            }
        }
    }
    found
}

/// PATH, or where programs usually are.
pub(crate) fn search_path(ctx: &Ctx) -> Bytes {
    let set = ctx.env.get(std::ffi::OsStr::new("PATH")).map(|value| value.as_bytes().to_vec());
    set.unwrap_or_else(|| b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_vec())
}

/// Replaces this process. Returns only when that failed: the status a shell would give, and why. `own` allows applets.
pub(crate) fn replace(ctx: &Ctx, words: &[Bytes], env: &[Bytes], own: bool) -> (u8, io::Error) {
    let _ = process::set_signal(libc::SIGPIPE, Disposition::Default);
    let name = words.first().map(Vec::as_slice).unwrap_or_default();
    if own && std::str::from_utf8(name).is_ok_and(|name| find(ctx.table, name).is_some()) {
        let mut program = b"/proc/self/exe".to_vec();
        if std::fs::read_link("/proc/self/exe").is_err() {
            program = process::started_as().unwrap_or_default();
        }
        let error = process::exec(&program, words, env);
        if error.kind() != io::ErrorKind::NotFound {
            return (126, error);
        }
    }
    let search = search_path(ctx);
    let file = in_path(&search, name, false).into_iter().next().unwrap_or_else(|| name.to_vec());
    if name.is_empty() || !file.contains(&b'/') {
        return (127, io::Error::from_raw_os_error(libc::ENOENT));
    }
    let mut error = process::exec(&file, words, env);
    if error.raw_os_error() == Some(libc::ENOEXEC) {
        // A script without #! is the shell's (execvp(3)).
        let mut shell = vec![b"sh".to_vec(), file.clone()];
        shell.extend(words.iter().skip(1).cloned());
        error = process::exec(b"/bin/sh", &shell, env);
    }
    (if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }, error)
}

/// Starts a program; a failure to start is said by the child, which ends with 126 or 127.
pub(crate) fn start(ctx: &mut Ctx, words: &[Bytes], no_stdin: bool) -> Result<i32, Error> {
    ctx.stdout.flush()?;
    let env = environment(ctx);
    let name = ctx.name.clone();
    let shared: &Ctx = ctx;
    process::fork(|| {
        if no_stdin && let Ok(null) = process::open(b"/dev/null", libc::O_RDONLY, 0) {
            let _ = process::duplicate(null, 0);
        }
        let (status, error) = replace(shared, words, &env, true);
        let command = words.first().map(|word| lossy(word)).unwrap_or_default();
        let line = format!("{name}: {command}: {}\n", crate::base::reason(&error));
        let _ = process::write_all(2, line.as_bytes());
        status
    })
    .map_err(|error| Error::new(Exit(1), format!("cannot fork: {}", crate::base::reason(&error))))
}

/// Waits for a child, or any with -1; its number and its status as a shell gives it.
pub(crate) fn wait(pid: i32) -> io::Result<(i32, u8)> {
    loop {
        match process::wait(pid, true, false) {
            Ok(Some((pid, Change::Exited(status)))) => return Ok((pid, status)),
            Ok(Some((pid, Change::Killed { signal, .. }))) => {
                return Ok((pid, u8::try_from(128 + signal).unwrap_or(u8::MAX)));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Starts a program and waits for it.
pub(crate) fn run(ctx: &mut Ctx, words: &[Bytes]) -> Result<u8, Error> {
    let pid = start(ctx, words, false)?;
    wait(pid).map(|(_, status)| status).map_err(Error::from)
}

/// Hands over to the shell's builtin of this name, which is the same tool.
pub(crate) fn builtin(ctx: &mut Ctx) -> Outcome {
    let Some(shell) = find(ctx.table, "sh") else {
        return wrong(126, "this build has no shell, whose builtin this is");
    };
    let name = ctx.name.clone();
    let mut words: Vec<std::ffi::OsString> = vec!["-c".into(), format!("{name} \"$@\"").into(), "sh".into()];
    words.append(&mut ctx.args);
    ctx.args = words;
    ctx.argv0 = "sh".into();
    netkit_sys::packed::unpack(shell.main as usize)?;
    (shell.main)(ctx)
}

struct Xargs {
    command: Vec<Bytes>,
    /// `-I`: replaced in the command.
    mark: Option<Bytes>,
    most: usize,
    lines: usize,
    size: usize,
    parallel: usize,
    trace: bool,
    exact: bool,
    status: u8,
    running: usize,
    stop: bool,
}

impl Xargs {
    /// Bytes the words take for the kernel.
    fn weight(words: &[Bytes]) -> usize {
        words.iter().map(|word| word.len() + 1).sum()
    }

    fn reap(&mut self) -> Result<(), Error> {
        if self.running == 0 {
            return Ok(());
        }
        let (_, status) = wait(-1)?;
        self.running -= 1;
        self.status = self.status.max(match status {
            0 => 0,
            255 => 124,
            126 | 127 => status,
            129.. => 125,
            _ => 123,
        });
        self.stop |= matches!(status, 255 | 126 | 127 | 129..);
        Ok(())
    }

    fn start(&mut self, tool: &mut Tool<'_>, items: &[Bytes]) -> Result<(), Error> {
        let mut words = self.command.clone();
        match &self.mark {
            Some(mark) => {
                let item = items.first().cloned().unwrap_or_default();
                for word in words.iter_mut().skip(1) {
                    let mut out = Bytes::new();
                    let mut rest = word.as_slice();
                    while let Some(place) = find_bytes(rest, mark) {
                        out.extend_from_slice(part(rest, 0, place));
                        out.extend_from_slice(&item);
                        rest = after(rest, place + mark.len());
                    }
                    out.extend_from_slice(rest);
                    *word = out;
                }
            }
            None => words.extend_from_slice(items),
        }
        if self.trace {
            let line: Vec<String> = words.iter().map(|word| lossy(word)).collect();
            tool.ctx.say(&line.join(" "));
        }
        while self.running >= self.parallel {
            self.reap()?;
        }
        if self.stop {
            return Ok(());
        }
        start(tool.ctx, &words, true)?;
        self.running += 1;
        if self.parallel == 1 {
            self.reap()?;
        }
        Ok(())
    }
}

pub(crate) fn xargs(ctx: &mut Ctx) -> Outcome {
    let spec = "+ 0.null a:arg-file d:delimiter E: e?eof I: i?replace L: l?max-lines n:max-args P:max-procs \
                r.no-run-if-empty s:max-chars t.verbose x.exit";
    let mut tool = Tool::new(ctx, spec, 1)?;
    let count = |id: u8, least: u64| -> Result<Option<usize>, Error> {
        let Some(text) = tool.opts.value(id).filter(|text| id != b'l' || !text.is_empty()) else { return Ok(None) };
        let value = number(text).filter(|value| *value >= least);
        let value = value.ok_or_else(|| {
            let shown = lossy(text);
            Error::new(Exit(1), format!("invalid number \"{shown}\" for -{} option", char::from(id)))
        })?;
        Ok(Some(usize::try_from(value).unwrap_or(usize::MAX)))
    };
    let mut command = tool.opts.rest.clone();
    if command.is_empty() {
        command.push(b"echo".to_vec());
    }
    // The last of -I, -L and -n counts.
    let last = tool.opts.last(b"IiLln");
    let mark = match last {
        b'I' => tool.opts.value(b'I').map(<[u8]>::to_vec),
        b'i' => Some(tool.opts.value(b'i').filter(|text| !text.is_empty()).unwrap_or(b"{}").to_vec()),
        _ => None,
    };
    let by_line = matches!(last, b'L' | b'l') || mark.is_some();
    let mut xargs = Xargs {
        most: count(b'n', 1)?.filter(|_| last == b'n').unwrap_or(usize::MAX),
        lines: match last {
            b'L' => count(b'L', 1)?.unwrap_or(1),
            b'l' => count(b'l', 1)?.unwrap_or(1),
            _ => usize::MAX,
        },
        size: count(b's', 1)?.unwrap_or(128 << 10).min(1 << 20),
        parallel: match count(b'P', 0)? {
            Some(0) => 1000,
            Some(count) => count.min(1000),
            None => 1,
        },
        trace: tool.has(b't'),
        exact: tool.has(b'x'),
        command,
        mark,
        status: 0,
        running: 0,
        stop: false,
    };
    let delimiter = match tool.opts.last(b"0d") {
        b'0' => Some(0),
        b'd' => {
            let text = tool.opts.value(b'd').unwrap_or_default();
            let value = match text {
                [one] => Some(*one),
                [b'\\', b'0'] => Some(0),
                [b'\\', b'\\'] => Some(b'\\'),
                [b'\\', rest @ ..] => crate::posix::sed_escape(rest).map(|(value, _)| value),
                _ => None,
            };
            Some(wanted(value, "input delimiter specification", text, 1)?)
        }
        _ => None,
    };
    let eof = tool.opts.value(b'E').or(tool.opts.value(b'e')).filter(|text| !text.is_empty()).map(<[u8]>::to_vec);
    let source = tool.opts.value(b'a').unwrap_or(b"-").to_vec();
    let Some(input) = tool.open(&source) else { return tool.done() };
    let mut reader = Reader { input, delimiter, whole_lines: xargs.mark.is_some() && delimiter.is_none() };
    let fixed = Xargs::weight(&xargs.command);
    let (mut items, mut weight, mut lines, mut ran) = (Vec::new(), fixed, 0, false);
    loop {
        let item = match reader.next() {
            Ok(item) => item,
            Err(text) => {
                tool.complain(text);
                break;
            }
        };
        let Some((item, line_ends)) = item else { break };
        if eof.as_ref() == Some(&item) {
            break;
        }
        if xargs.mark.is_some() {
            xargs.start(&mut tool, &[item])?;
            ran = true;
            if xargs.stop {
                break;
            }
            continue;
        }
        if weight + item.len() + 1 > xargs.size {
            if items.is_empty() || xargs.exact {
                tool.complain("argument line too long");
                xargs.stop = true;
                break;
            }
            xargs.start(&mut tool, &items)?;
            ran = true;
            items.clear();
            (weight, lines) = (fixed, 0);
        }
        weight += item.len() + 1;
        items.push(item);
        lines += usize::from(line_ends);
        if items.len() >= xargs.most || by_line && lines >= xargs.lines {
            xargs.start(&mut tool, &items)?;
            ran = true;
            items.clear();
            (weight, lines) = (fixed, 0);
        }
        if xargs.stop {
            break;
        }
    }
    if !xargs.stop && tool.status == 0 && (!items.is_empty() || !ran && !tool.has(b'r') && xargs.mark.is_none()) {
        xargs.start(&mut tool, &items)?;
    }
    while xargs.running > 0 {
        xargs.reap()?;
    }
    tool.status = tool.status.max(xargs.status);
    tool.done()
}

/// Takes the input apart: by a delimiter, or by blanks, quotes and backslashes.
struct Reader {
    input: io::BufReader<std::fs::File>,
    delimiter: Option<u8>,
    whole_lines: bool,
}

impl Reader {
    /// The next item and whether its line ended there.
    fn next(&mut self) -> Result<Option<(Bytes, bool)>, &'static str> {
        let mut item = Bytes::new();
        if let Some(delimiter) = self.delimiter {
            let read = self.input.read_until(delimiter, &mut item).map_err(|_| "read error")?;
            item.pop_if(|byte| *byte == delimiter);
            return Ok((read > 0).then_some((item, true)));
        }
        let mut started = false;
        let mut quote = 0;
        let mut one = [0];
        let mut blank_end = false;
        loop {
            if self.input.read(&mut one).map_err(|_| "read error")? == 0 {
                if quote != 0 {
                    return Err("unmatched quote; by default quotes are special to xargs unless you use the -0 option");
                }
                return Ok(started.then_some((item, true)));
            }
            let byte = at(&one, 0);
            if quote != 0 {
                if byte == quote {
                    quote = 0;
                } else if byte == b'\n' {
                    return Err("unmatched quote; by default quotes are special to xargs unless you use the -0 option");
                } else {
                    item.push(byte);
                }
                continue;
            }
            match byte {
                b'\n' if started => return Ok(Some((item, !blank_end))),
                b'\n' => {}
                b' ' | b'\t' | 11 | 12 | 13 if !(self.whole_lines && started) => {
                    if started {
                        // A blank at the end of a line joins it with the next one (POSIX, -L).
                        let line_ends = self.skip_blanks();
                        return Ok(Some((item, line_ends)));
                    }
                }
                b'\'' | b'"' => {
                    quote = byte;
                    started = true;
                }
                b'\\' => {
                    started = true;
                    if self.input.read(&mut one).map_err(|_| "read error")? > 0 {
                        item.push(at(&one, 0));
                    }
                }
                _ => {
                    started = true;
                    item.push(byte);
                }
            }
            blank_end = false;
        }
    }

    /// Skips blanks behind an item; true at the end of the input.
    fn skip_blanks(&mut self) -> bool {
        loop {
            let Ok(buffer) = self.input.fill_buf() else { return true };
            match buffer.first() {
                None => return true,
                Some(b' ' | b'\t') => self.input.consume(1),
                Some(_) => return false,
            }
        }
    }
}
