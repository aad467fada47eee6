//! Small tools of the system: sleep, timeout, env, id, hostname, uname, which, seq, yes, stat, nproc, uptime, free, pause
//! (POSIX.1-2017; coreutils 9.1, procps 4.0).

use std::io::Write as _;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use netkit_core::{Ctx, Error, Exit, find};
use netkit_sys::process::{self, Change, Disposition};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::base::{Bytes, Outcome, Tool, after, at, duration, lossy, number, part, path, pause, wanted, words, wrong};
use crate::meta::{Names, device, full, mode_text, table};
use crate::spawn::{environment, in_path, replace, search_path, start};

/// Whether a process is gone.
pub(crate) fn is_gone(pid: i32) -> bool {
    process::kill(pid, 0).is_err_and(|error| error.raw_os_error() == Some(libc::ESRCH))
}

/// Waits, but not longer than somebody reads stdout; true when nobody does.
pub(crate) fn wait_or_closed(seconds: f64) -> bool {
    let out = std::io::stdout();
    let mut fds = [PollFd::new(out.as_fd(), PollFlags::empty())];
    let timeout =
        PollTimeout::try_from(Duration::from_secs_f64(seconds.clamp(0.01, 3600.0))).unwrap_or(PollTimeout::from(250u8));
    let ready = poll(&mut fds, timeout).is_ok_and(|count| count > 0);
    ready && fds.iter().any(|fd| fd.revents().is_some_and(|events| events.contains(PollFlags::POLLERR)))
}

pub(crate) fn truth(ctx: &mut Ctx) -> Outcome {
    Ok(Exit(u8::from(ctx.name == "false")))
}

pub(crate) fn sleep(ctx: &mut Ctx) -> Outcome {
    let tool = Tool::new(ctx, "", 1)?;
    if tool.opts.rest.is_empty() {
        return wrong(1, "missing operand");
    }
    let mut total = 0.0;
    for text in &tool.opts.rest {
        total += wanted(duration(text), "time interval", text, 1)?;
    }
    pause(total);
    tool.done()
}

/// Sleeps until a signal ends it, and reaps children that others left to it as PID 1.
pub(crate) fn wait_forever(ctx: &mut Ctx) -> Outcome {
    let tool = Tool::new(ctx, "", 1)?;
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let _ = process::set_signal(signal, Disposition::Note);
    }
    while !process::signal_pending() {
        while matches!(process::wait(-1, false, false), Ok(Some(_))) {}
        let _ = poll(&mut [], PollTimeout::from(1000u16));
    }
    tool.done()
}

pub(crate) fn timeout(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "+ k:kill-after s:signal v.verbose _f.foreground _p.preserve-status", 125)?;
    let mut rest = std::mem::take(&mut tool.opts.rest);
    if rest.len() < 2 {
        return wrong(125, "missing operand");
    }
    let limit = rest.remove(0);
    let seconds = wanted(duration(&limit), "time interval", &limit, 125)?;
    let mut signal = libc::SIGTERM;
    if let Some(text) = tool.opts.value(b's') {
        signal = wanted(crate::ps::signal(text), "signal", text, 125)?;
    }
    let mut kill_after = None;
    if let Some(text) = tool.opts.value(b'k') {
        kill_after = Some(wanted(duration(text), "time interval", text, 125)?);
    }
    let group = !tool.has(b'f');
    if group {
        // A group of its own, so that the children of the command get the signal as well.
        let _ = process::join_group(0, 0);
        // Reading from or writing to the terminal must not stop the command.
        for signal in [libc::SIGTTIN, libc::SIGTTOU] {
            let _ = process::set_signal(signal, Disposition::Ignore);
        }
    }
    for caught in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGCHLD] {
        let _ = process::set_signal(caught, Disposition::Note);
    }
    let pid = start(tool.ctx, &rest, false)?;
    let begin = Instant::now();
    let mut late = false;
    let mut sent: Option<Instant> = None;
    let send = |signal: i32| {
        let _ = process::kill(pid, signal);
        if group {
            let _ = process::set_signal(signal, Disposition::Ignore);
            let _ = process::kill(0, signal);
        }
        if signal != libc::SIGKILL && signal != libc::SIGCONT {
            let _ = process::kill(pid, libc::SIGCONT);
        }
    };
    let change = loop {
        if let Ok(Some((own, change))) = process::wait(pid, false, false)
            && own == pid
        {
            break change;
        }
        while let Some(caught) = process::take_signal() {
            if caught != libc::SIGCHLD {
                send(caught);
            }
        }
        if !late && seconds > 0.0 && begin.elapsed().as_secs_f64() >= seconds {
            late = true;
            if tool.has(b'v') {
                let text = format!(
                    "sending signal {} to command '{}'",
                    crate::ps::signal_name(signal),
                    rest.first().map(|word| lossy(word)).unwrap_or_default()
                );
                let line = format!("{}: {text}", tool.ctx.name);
                tool.ctx.say(&line);
            }
            send(signal);
            sent = Some(Instant::now());
        }
        if let (Some(moment), Some(after)) = (sent, kill_after)
            && moment.elapsed().as_secs_f64() >= after
        {
            let _ = process::kill(pid, libc::SIGKILL);
            sent = None;
            if let Ok((_, status)) = crate::spawn::wait(pid) {
                return Ok(Exit(status));
            }
        }
        let left = if late { 0.05 } else { (seconds - begin.elapsed().as_secs_f64()).clamp(0.001, 0.05) };
        let wait = if seconds > 0.0 { left } else { 0.05 };
        let _ = poll(&mut [], PollTimeout::try_from(Duration::from_secs_f64(wait)).unwrap_or(PollTimeout::from(50u8)));
    };
    let status = match change {
        Change::Exited(status) => status,
        Change::Killed { signal, .. } => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        _ => 0,
    };
    Ok(Exit(if late && !tool.has(b'p') && status != 137 { 124 } else { status }))
}

pub(crate) fn env(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "+ i.ignore-environment u:unset 0.null C:chdir S:split-string v", 125)?;
    if tool.opts.last(b"Sv") != 0 {
        return wrong(125, "options -S and -v are not offered");
    }
    let mut rest = std::mem::take(&mut tool.opts.rest);
    if rest.first().is_some_and(|word| word == b"-") {
        rest.remove(0);
        tool.ctx.env.clear();
    }
    if tool.has(b'i') {
        tool.ctx.env.clear();
    }
    for name in tool.opts.values(b'u').map(<[u8]>::to_vec).collect::<Vec<_>>() {
        tool.ctx.env.remove(std::ffi::OsStr::from_bytes(&name));
    }
    while let Some(equals) = rest.first().and_then(|word| word.iter().position(|byte| *byte == b'=')) {
        let word = rest.remove(0);
        let own = |text: &[u8]| std::ffi::OsString::from_vec(text.to_vec());
        tool.ctx.env.insert(own(part(&word, 0, equals)), own(after(&word, equals + 1)));
    }
    if rest.is_empty() {
        let end = if tool.has(b'0') { 0 } else { b'\n' };
        // In the order of the process, as far as it is still so.
        let mut list = environment(tool.ctx);
        let order: Vec<Bytes> =
            std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect();
        list.sort_by_key(|entry| order.iter().position(|own| own == entry).unwrap_or(usize::MAX));
        for mut entry in list {
            entry.push(end);
            tool.put(&entry)?;
        }
        return tool.done();
    }
    if let Some(dir) = tool.opts.value(b'C')
        && let Err(error) = std::env::set_current_dir(path(dir))
    {
        return wrong(125, &format!("cannot change directory to '{}': {}", lossy(dir), crate::base::reason(&error)));
    }
    tool.ctx.stdout.flush()?;
    let env = environment(tool.ctx);
    let (status, error) = replace(tool.ctx, &rest, &env, true);
    let name = rest.first().map(|word| lossy(word)).unwrap_or_default();
    wrong(status, &format!("'{name}': {}", crate::base::reason(&error)))
}

pub(crate) fn id(ctx: &mut Ctx) -> Outcome {
    let whoami = ctx.name == "whoami";
    let mut tool =
        Tool::new(ctx, if whoami { "" } else { "a G.groups g.group n.name r.real u.user z.zero Z.context" }, 1)?;
    if tool.has(b'Z') {
        return wrong(1, "--context (-Z) works only on an SELinux-enabled kernel");
    }
    let mut names = Names::default();
    let operand = tool.opts.rest.first().cloned();
    let (uid, gid, euid, egid, mut groups);
    match &operand {
        None => {
            (uid, euid) = (nix::unistd::getuid().as_raw(), nix::unistd::geteuid().as_raw());
            (gid, egid) = (nix::unistd::getgid().as_raw(), nix::unistd::getegid().as_raw());
            groups =
                nix::unistd::getgroups().unwrap_or_default().iter().map(|group| group.as_raw()).collect::<Vec<u32>>();
        }
        Some(name) => {
            let users = table("/etc/passwd");
            let user = users
                .iter()
                .find(|fields| fields.first() == Some(name) || fields.get(2).is_some_and(|own| own == name));
            let field = |index: usize| {
                user.and_then(|fields| fields.get(index))
                    .and_then(|text| number(text))
                    .and_then(|id| u32::try_from(id).ok())
            };
            let (Some(own), Some(group)) = (field(2), field(3)) else {
                return wrong(1, &format!("'{}': no such user", lossy(name)));
            };
            (uid, euid, gid, egid) = (own, own, group, group);
            let login = user.and_then(|fields| fields.first()).cloned().unwrap_or_default();
            groups = table("/etc/group")
                .iter()
                .filter(|fields| {
                    fields.get(3).is_some_and(|list| list.split(|byte| *byte == b',').any(|own| own == login))
                })
                .filter_map(|fields| u32::try_from(number(fields.get(2)?)?).ok())
                .collect();
        }
    }
    // The effective group comes first, each group once.
    groups.retain(|group| *group != egid);
    groups.insert(0, egid);
    if groups.len() > 1 && gid != egid {
        groups.retain(|group| *group != gid);
        groups.insert(0, gid);
    }
    let which = if whoami { b'u' } else { tool.opts.last(b"Ggu") };
    let real = tool.has(b'r');
    let by_name = whoami || tool.has(b'n');
    if which == 0 && (by_name || real) {
        return wrong(1, "cannot print only names or real IDs in default format");
    }
    let end = if tool.has(b'z') { 0 } else { b'\n' };
    let mut text = |id: u32, group: bool, tool: &mut Tool<'_>| -> Bytes {
        if !by_name {
            return id.to_string().into_bytes();
        }
        names.name(id, group).unwrap_or_else(|| {
            let what = if group { "group" } else { "user" };
            tool.complain(&format!("cannot find name for {what} ID {id}"));
            if whoami { Bytes::new() } else { id.to_string().into_bytes() }
        })
    };
    let mut out = match which {
        b'u' => text(if real { uid } else { euid }, false, &mut tool),
        b'g' => text(if real { gid } else { egid }, true, &mut tool),
        b'G' => {
            let list: Vec<Bytes> = groups.iter().map(|group| text(*group, true, &mut tool)).collect();
            list.join(&if end == 0 { 0 } else { b' ' })
        }
        _ => {
            let mut own = |id: u32, group: bool| match names.name(id, group) {
                Some(name) => format!("{id}({})", lossy(&name)),
                None => id.to_string(),
            };
            let mut line = format!("uid={} gid={}", own(uid, false), own(gid, true));
            if euid != uid {
                line += &format!(" euid={}", own(euid, false));
            }
            if egid != gid {
                line += &format!(" egid={}", own(egid, true));
            }
            let list: Vec<String> = groups.iter().map(|group| own(*group, true)).collect();
            line += &format!(" groups={}", list.join(","));
            line.into_bytes()
        }
    };
    if !(whoami && out.is_empty()) {
        out.push(end);
        tool.put(&out)?;
    }
    tool.done()
}

/// A line of a file in /proc, without its newline.
fn proc_line(name: &str) -> Bytes {
    let text = std::fs::read(name).unwrap_or_default();
    text.split(|byte| *byte == b'\n').next().unwrap_or_default().to_vec()
}

pub(crate) fn hostname(ctx: &mut Ctx) -> Outcome {
    let mut tool =
        Tool::new(ctx, "s.short f.fqdn,long d.domain i.ip-address I.all-ip-addresses y.yp,nis F:file a.alias b", 1)?;
    if tool.opts.last(b"yFabI") != 0 {
        return wrong(2, "options -a, -b, -F, -I and -y are not offered; `ip -br addr` shows all addresses");
    }
    if !tool.opts.rest.is_empty() {
        return wrong(2, "the name is shown, never set");
    }
    let name = nix::unistd::gethostname().map(|name| name.into_vec()).unwrap_or_default();
    let dot = name.iter().position(|byte| *byte == b'.').unwrap_or(name.len());
    // The hosts file has the domain and the addresses; no name server is asked.
    let hosts = std::fs::read("/etc/hosts").unwrap_or_default();
    let lines: Vec<Vec<&[u8]>> = hosts
        .split(|byte| *byte == b'\n')
        .map(|line| {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).collect()
        })
        .filter(|words: &Vec<&[u8]>| words.iter().skip(1).any(|word| *word == name))
        .collect();
    let long = lines.first().and_then(|words| words.get(1)).map_or_else(|| name.clone(), |word| word.to_vec());
    let mut out = match tool.opts.last(b"sfdi") {
        b's' => part(&name, 0, dot).to_vec(),
        b'f' => long,
        b'd' => {
            let dot = long.iter().position(|byte| *byte == b'.');
            match dot {
                Some(dot) => after(&long, dot + 1).to_vec(),
                None => return Ok(Exit(0)),
            }
        }
        b'i' => {
            let list: Vec<&[u8]> = lines.iter().filter_map(|words| words.first().copied()).collect();
            if list.is_empty() {
                return wrong(1, "Name or service not known");
            }
            list.join(&b' ')
        }
        _ => name,
    };
    out.push(b'\n');
    tool.put(&out)?;
    tool.done()
}

pub(crate) fn uname(ctx: &mut Ctx) -> Outcome {
    let spec = "a.all s.kernel-name n.nodename r.kernel-release v.kernel-version m.machine p.processor i.hardware-platform o.operating-system";
    let mut tool = Tool::new(ctx, spec, 1)?;
    if let Some(extra) = tool.opts.rest.first() {
        return wrong(1, &format!("extra operand '{}'", lossy(extra)));
    }
    let machine: &[u8] = match std::env::consts::ARCH {
        "x86" => b"i686",
        "arm" => b"armv7l",
        other => other.as_bytes(),
    };
    let all = tool.has(b'a');
    let mut list = Vec::new();
    for letter in b"snrvmpio" {
        let asked = tool.has(*letter) || all && !b"pi".contains(letter) || tool.opts.seen.is_empty() && *letter == b's';
        if asked {
            list.push(match letter {
                b's' => proc_line("/proc/sys/kernel/ostype"),
                b'n' => nix::unistd::gethostname().map(|name| name.into_vec()).unwrap_or_default(),
                b'r' => proc_line("/proc/sys/kernel/osrelease"),
                b'v' => proc_line("/proc/sys/kernel/version"),
                b'm' => machine.to_vec(),
                b'o' => b"GNU/Linux".to_vec(),
                _ => b"unknown".to_vec(),
            });
        }
    }
    let mut line = list.join(&b' ');
    line.push(b'\n');
    tool.put(&line)?;
    tool.done()
}

pub(crate) fn which(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "+ a s", 2)?;
    let search = search_path(tool.ctx);
    let names = std::mem::take(&mut tool.opts.rest);
    tool.status = u8::from(names.is_empty());
    for name in names {
        let found = in_path(&search, &name, tool.has(b'a'));
        if found.is_empty() {
            tool.status = 1;
        }
        for file in found {
            if !tool.has(b's') {
                let line = [file.as_slice(), b"\n"].concat();
                tool.put(&line)?;
            }
        }
    }
    tool.done()
}

pub(crate) fn yes(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "+", 1)?;
    let mut line = tool.opts.rest.join(&b' ');
    if tool.opts.rest.is_empty() {
        line.push(b'y');
    }
    line.push(b'\n');
    let block = line.repeat((16 << 10) / line.len() + 1);
    loop {
        tool.put(&block)?;
    }
}

/// A decimal number as an integer of so many units behind the point.
fn scaled(text: &[u8]) -> Option<(i128, usize)> {
    let negative = at(text, 0) == b'-';
    let digits = if matches!(at(text, 0), b'-' | b'+') { after(text, 1) } else { text };
    let dot = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    let (whole, fraction) = (part(digits, 0, dot), after(digits, dot + 1));
    if whole.is_empty() && fraction.is_empty() || whole.len() + fraction.len() > 30 {
        return None;
    }
    let value = whole
        .iter()
        .chain(fraction)
        .try_fold(0i128, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i128::from(byte - b'0')))?;
    Some((if negative { -value } else { value }, fraction.len()))
}

pub(crate) fn seq(ctx: &mut Ctx) -> Outcome {
    // Negative numbers are no options.
    let mut list = Vec::new();
    let mut numbers = false;
    for word in words(ctx) {
        if !numbers && at(&word, 0) == b'-' && (at(&word, 1).is_ascii_digit() || at(&word, 1) == b'.') {
            numbers = true;
            list.push(b"--".to_vec());
        }
        list.push(word);
    }
    let mut tool = Tool::with(ctx, list, "+ f:format s:separator w.equal-width", 1)?;
    if tool.has(b'f') && tool.has(b'w') {
        return wrong(1, "format string may not be specified when printing equal width strings");
    }
    let rest = std::mem::take(&mut tool.opts.rest);
    let mut values = Vec::new();
    for text in &rest {
        values.push(wanted(scaled(text), "floating point argument", text, 1)?);
    }
    let (first, step, last) = match values.as_slice() {
        [last] => ((1, 0), (1, 0), *last),
        [first, last] => (*first, (1, 0), *last),
        [first, step, last] => (*first, *step, *last),
        [] => return wrong(1, "missing operand"),
        _ => return wrong(1, &format!("extra operand '{}'", rest.get(3).map(|text| lossy(text)).unwrap_or_default())),
    };
    if step.0 == 0 {
        return wrong(1, "invalid Zero increment value: '0'");
    }
    let shown = first.1.max(step.1);
    let scale = shown.max(last.1);
    let to = |(value, digits): (i128, usize)| value * 10i128.pow(u32::try_from(scale - digits).unwrap_or(0));
    let (mut value, step, last) = (to(first), to(step), to(last));
    let text = |value: i128| {
        let value = value / 10i128.pow(u32::try_from(scale - shown).unwrap_or(0));
        let sign = if value < 0 { "-" } else { "" };
        let unit = 10u128.pow(u32::try_from(shown).unwrap_or(0));
        let (whole, fraction) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
        if shown == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction:0shown$}") }
    };
    let mut width = 0;
    if tool.has(b'w') {
        let end = value + (last - value) / step * step;
        width = text(value).len().max(text(end).len());
    }
    let format = tool.opts.value(b'f').map(<[u8]>::to_vec);
    let separator = tool.opts.value(b's').unwrap_or(b"\n").to_vec();
    let mut any = false;
    while if step > 0 { value <= last } else { value >= last } {
        if any {
            tool.put(&separator)?;
        }
        any = true;
        let mut piece = text(value);
        if let Some(format) = &format {
            piece = seq_format(format, &piece).ok_or_else(|| {
                Error::new(Exit(1), format!("format '{}' has no % directive that is offered (%f %g)", lossy(format)))
            })?;
        } else if width > piece.len() {
            let sign = usize::from(piece.starts_with('-'));
            piece.insert_str(sign, &"0".repeat(width - piece.len()));
        }
        tool.put(piece.as_bytes())?;
        value += step;
    }
    if any {
        tool.put(b"\n")?;
    }
    tool.done()
}

/// `%[0-][width][.precision](f|g)` within text.
fn seq_format(format: &[u8], value: &str) -> Option<String> {
    let percent = format.iter().position(|byte| *byte == b'%')?;
    let mut from = percent + 1;
    let mut flags = Bytes::new();
    while b"-+0 #".contains(&at(format, from)) && at(format, from) != 0 {
        flags.push(at(format, from));
        from += 1;
    }
    let digits = |from: usize| after(format, from).iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let count = digits(from);
    let width = usize::try_from(number(part(format, from, from + count)).unwrap_or(0)).ok()?;
    from += count;
    let mut precision = None;
    if at(format, from) == b'.' {
        let count = digits(from + 1);
        precision = Some(usize::try_from(number(part(format, from + 1, from + 1 + count)).unwrap_or(0)).ok()?);
        from += 1 + count;
    }
    let float: f64 = value.parse().ok()?;
    let mut body = match at(format, from) {
        b'f' => format!("{float:.*}", precision.unwrap_or(6)),
        b'g' => {
            if float != 0.0 && !(1e-5..1e6).contains(&float.abs()) && precision.is_none() {
                // Six digits, as an exponent of at least two digits.
                let text = format!("{float:.5e}");
                let (mantissa, exponent) = text.split_once('e')?;
                let mantissa = if mantissa.contains('.') {
                    mantissa.trim_end_matches('0').trim_end_matches('.')
                } else {
                    mantissa
                };
                let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
                format!("{mantissa}e{sign}{exponent:0>2}")
            } else {
                let whole = format!("{:.0}", float.abs().trunc()).len();
                let text = format!("{float:.*}", precision.unwrap_or(6).saturating_sub(whole));
                if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
            }
        }
        _ => return None,
    };
    if flags.contains(&b'+') && float >= 0.0 {
        body.insert(0, '+');
    }
    let missing = width.saturating_sub(body.len());
    if flags.contains(&b'-') {
        body.push_str(&" ".repeat(missing));
    } else if flags.contains(&b'0') {
        body.insert_str(usize::from(body.starts_with(['-', '+'])), &"0".repeat(missing));
    } else {
        body.insert_str(0, &" ".repeat(missing));
    }
    let tail = lossy(after(format, from + 1)).replace("%%", "%");
    Some(lossy(part(format, 0, percent)) + &body + &tail)
}

pub(crate) fn nproc(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "_a.all _i:ignore", 1)?;
    let mut count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    if tool.has(b'a') {
        let text = lossy(&proc_line("/sys/devices/system/cpu/present"));
        count = text.rsplit(['-', ',']).next().and_then(|last| last.parse::<u64>().ok()).map_or(count, |last| last + 1);
    }
    if let Some(text) = tool.opts.value(b'i') {
        count = count.saturating_sub(wanted(number(text), "number", text, 1)?).max(1);
    }
    let line = format!("{count}\n");
    tool.put(line.as_bytes())?;
    tool.done()
}

pub(crate) fn uptime(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "p.pretty s.since", 1)?;
    let line = lossy(&proc_line("/proc/uptime"));
    let up: i64 = line.split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let now = crate::date::now(tool.ctx).0;
    let mut out = Bytes::new();
    let moment =
        |seconds: i64, format: &[u8], out: &mut Bytes| crate::meta::Moment::new(seconds, 0, false).format(format, out);
    let (days, hours, minutes) = (up / 86400, up / 3600 % 24, up / 60 % 60);
    if tool.has(b's') {
        moment(now - up, b"%Y-%m-%d %H:%M:%S\n", &mut out);
    } else if tool.has(b'p') {
        let list: Vec<String> = [(days / 7, "week"), (days % 7, "day"), (hours, "hour"), (minutes, "minute")]
            .iter()
            .filter(|(count, what)| *count > 0 || *what == "minute" && up < 60)
            .map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        out = format!("up {}\n", list.join(", ")).into_bytes();
    } else {
        moment(now, b" %H:%M:%S up ", &mut out);
        if days > 0 {
            let _ = write!(out, "{days} day{}, ", if days == 1 { "" } else { "s" });
        }
        let _ = if hours > 0 { write!(out, "{hours:2}:{minutes:02}, ") } else { write!(out, "{minutes} min, ") };
        let load = lossy(&proc_line("/proc/loadavg"));
        let list: Vec<&str> = load.split(' ').take(3).collect();
        let _ = writeln!(out, " 0 users,  load average: {}", list.join(", "));
    }
    tool.put(&out)?;
    tool.done()
}

pub(crate) fn free(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "b.bytes k.kibi m.mebi g.gibi h.human t.total w.wide", 1)?;
    let text = lossy(&std::fs::read("/proc/meminfo").unwrap_or_default());
    let field = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    let shift = match tool.opts.last(b"bkmgh") {
        b'b' => -10,
        b'm' => 10,
        b'g' => 20,
        _ => 0,
    };
    let human = tool.opts.last(b"bkmgh") == b'h';
    let shown = |value: u64| {
        if human {
            let text = crate::meta::human(value * 1024, 1024);
            if text.ends_with(|c: char| c.is_ascii_digit()) { text + "B" } else { text + "i" }
        } else if shift < 0 {
            (value << 10).to_string()
        } else {
            (value >> shift).to_string()
        }
    };
    let (total, unused, available) = (field("MemTotal"), field("MemFree"), field("MemAvailable"));
    let (buffers, cached) = (field("Buffers"), field("Cached") + field("SReclaimable"));
    let used = total.saturating_sub(available);
    let (swap, swap_free) = (field("SwapTotal"), field("SwapFree"));
    let mut rows: Vec<(&str, Vec<u64>)> = vec![
        ("Mem:", vec![total, used, unused, field("Shmem"), buffers + cached, available]),
        ("Swap:", vec![swap, swap - swap_free.min(swap), swap_free]),
    ];
    let mut heads = vec!["total", "used", "free", "shared", "buff/cache", "available"];
    if tool.has(b'w') {
        heads = vec!["total", "used", "free", "shared", "buffers", "cache", "available"];
        if let Some((_, row)) = rows.first_mut() {
            *row = vec![total, used, unused, field("Shmem"), buffers, cached, available];
        }
    }
    if tool.has(b't') {
        rows.push(("Total:", vec![total + swap, used + swap - swap_free.min(swap), unused + swap_free]));
    }
    let mut out = " ".repeat(7);
    for head in &heads {
        out += &format!(" {head:>11}");
    }
    for (name, row) in rows {
        out += &format!("\n{name:7}");
        for value in row {
            out += &format!(" {:>11}", shown(value));
        }
    }
    out.push('\n');
    tool.put(out.as_bytes())?;
    tool.done()
}

pub(crate) fn stat(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "c:format _1:printf f.file-system L.dereference t.terse", 1)?;
    let names = std::mem::take(&mut tool.opts.rest);
    if names.is_empty() {
        return wrong(1, "missing operand");
    }
    let system = tool.has(b'f');
    let printf = tool.opts.last(b"c1") == b'1';
    let given = tool.opts.value(tool.opts.last(b"c1")).map(<[u8]>::to_vec);
    let mut users = Names::default();
    for name in names {
        let mut out = Bytes::new();
        if system {
            let data = match rustix::fs::statfs(path(&name)) {
                Ok(data) => data,
                Err(error) => {
                    tool.complain(&format!(
                        "cannot read file system information for '{}': {}",
                        lossy(&name),
                        crate::base::reason(&error.into())
                    ));
                    continue;
                }
            };
            let format = given.clone().unwrap_or_else(|| {
                b"  File: \"%n\"\n    ID: %-8i Namelen: %-7l Type: %T\nBlock size: %-10s Fundamental block size: %S\nBlocks: Total: %-10b Free: %-10f Available: %a\nInodes: Total: %-10c Free: %d".to_vec()
            });
            #[allow(clippy::unnecessary_cast)]
            expand(&format, printf, &mut out, &mut |letter| {
                Some(match letter {
                    b'n' => name.clone(),
                    b'b' => data.f_blocks.to_string().into_bytes(),
                    b'f' => data.f_bfree.to_string().into_bytes(),
                    b'a' => data.f_bavail.to_string().into_bytes(),
                    b'c' => data.f_files.to_string().into_bytes(),
                    b'd' => data.f_ffree.to_string().into_bytes(),
                    b's' => data.f_bsize.to_string().into_bytes(),
                    b'S' => data.f_frsize.to_string().into_bytes(),
                    b'l' => data.f_namelen.to_string().into_bytes(),
                    b't' => format!("{:x}", data.f_type).into_bytes(),
                    b'T' => crate::mounts::type_name(data.f_type as u64).into_bytes(),
                    b'i' => b"0".to_vec(),
                    _ => return None,
                })
            });
        } else {
            let data = match if tool.has(b'L') {
                std::fs::metadata(path(&name))
            } else {
                std::fs::symlink_metadata(path(&name))
            } {
                Ok(data) => data,
                Err(error) => {
                    tool.complain(&format!("cannot statx '{}': {}", lossy(&name), crate::base::reason(&error)));
                    continue;
                }
            };
            let terse: &[u8] = b"%n %s %b %f %u %g %D %i %h %t %T %X %Y %Z %W %o";
            let special = matches!(crate::meta::type_letter(data.mode()), b'b' | b'c');
            let links = if special { "%-5h Device type: %Hr,%Lr" } else { "%h" };
            let long = format!(
                "  File: %N\n  Size: %-10s\tBlocks: %-10b IO Block: %-6o %F\nDevice: %Hd,%Ld\tInode: %-11i Links: {links}\nAccess: (%04a/%10.10A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)\nAccess: %x\nModify: %y\nChange: %z\n Birth: %w"
            );
            let format =
                given.clone().unwrap_or_else(|| if tool.has(b't') { terse.to_vec() } else { long.into_bytes() });
            expand(&format, printf, &mut out, &mut |letter| {
                let (major, minor) = device(data.rdev());
                let birth = data.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
                let text = match letter {
                    b'n' => return Some(name.clone()),
                    b'N' => {
                        let mut text = [b"'", name.as_slice(), b"'"].concat();
                        if given.is_none() {
                            text = name.clone();
                        }
                        if let Ok(target) = std::fs::read_link(path(&name))
                            && data.is_symlink()
                        {
                            let target = target.as_os_str().as_bytes().to_vec();
                            let target =
                                if given.is_none() { target } else { [b"'", target.as_slice(), b"'"].concat() };
                            text.extend_from_slice(&[b" -> ", target.as_slice()].concat());
                        }
                        return Some(text);
                    }
                    b's' => data.size().to_string(),
                    b'b' => data.blocks().to_string(),
                    b'B' => "512".to_owned(),
                    b'o' => data.blksize().to_string(),
                    b'a' => format!("{:o}", data.mode() & 0o7777),
                    b'A' => return Some(mode_text(data.mode())),
                    b'f' => format!("{:x}", data.mode()),
                    b'F' => kind(&data).to_owned(),
                    b'u' => data.uid().to_string(),
                    b'g' => data.gid().to_string(),
                    b'U' => return Some(users.name(data.uid(), false).unwrap_or_else(|| b"UNKNOWN".to_vec())),
                    b'G' => return Some(users.name(data.gid(), true).unwrap_or_else(|| b"UNKNOWN".to_vec())),
                    b'i' => data.ino().to_string(),
                    b'h' => data.nlink().to_string(),
                    b'd' => data.dev().to_string(),
                    b'D' => format!("{:x}", data.dev()),
                    // The letters with H and L in front arrive as capitals of no other use.
                    1 => device(data.dev()).0.to_string(),
                    2 => device(data.dev()).1.to_string(),
                    b't' => format!("{major:x}"),
                    b'T' => format!("{minor:x}"),
                    b'r' => data.rdev().to_string(),
                    b'R' => format!("{:x}", data.rdev()),
                    3 => major.to_string(),
                    4 => minor.to_string(),
                    b'm' => return Some(crate::mounts::mount_point(&name)),
                    b'x' => return Some(full(data.atime(), data.atime_nsec())),
                    b'y' => return Some(full(data.mtime(), data.mtime_nsec())),
                    b'z' => return Some(full(data.ctime(), data.ctime_nsec())),
                    b'w' => match birth {
                        Some(time) => {
                            return Some(full(
                                i64::try_from(time.as_secs()).unwrap_or(0),
                                i64::from(time.subsec_nanos()),
                            ));
                        }
                        None => "-".to_owned(),
                    },
                    b'X' => data.atime().to_string(),
                    b'Y' => data.mtime().to_string(),
                    b'Z' => data.ctime().to_string(),
                    b'W' => birth.map_or(0, |time| time.as_secs()).to_string(),
                    _ => return None,
                };
                Some(text.into_bytes())
            });
        }
        if !printf {
            out.push(b'\n');
        }
        tool.put(&out)?;
    }
    tool.done()
}

/// The words of `stat` for a file's type.
fn kind(data: &std::fs::Metadata) -> &'static str {
    match crate::meta::type_letter(data.mode()) {
        b'd' => "directory",
        b'l' => "symbolic link",
        b'-' if data.size() == 0 => "regular empty file",
        b'-' => "regular file",
        b'b' => "block special file",
        b'c' => "character special file",
        b'p' => "fifo",
        b's' => "socket",
        _ => "weird file",
    }
}

/// A format of `stat`: `%`, flags, width, a letter; with `printf` also escapes.
fn expand(format: &[u8], printf: bool, out: &mut Bytes, value: &mut dyn FnMut(u8) -> Option<Bytes>) {
    let mut from = 0;
    while from < format.len() {
        let byte = at(format, from);
        from += 1;
        if byte == b'\\' && printf && from < format.len() {
            match crate::posix::sed_escape(after(format, from)) {
                Some((byte, length)) => {
                    out.push(byte);
                    from += length;
                }
                None => {
                    let digits =
                        after(format, from).iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                    if digits > 0 {
                        let value = crate::base::octal(part(format, from, from + digits)).unwrap_or(0);
                        out.push(u8::try_from(value & 255).unwrap_or(0));
                        from += digits;
                    } else {
                        out.push(at(format, from));
                        from += 1;
                    }
                }
            }
            continue;
        }
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let begin = from;
        while b"-0+ #'".contains(&at(format, from)) && from < format.len() {
            from += 1;
        }
        let flags = part(format, begin, from);
        let digits = |from: usize| after(format, from).iter().take(5).take_while(|byte| byte.is_ascii_digit()).count();
        let count = digits(from);
        let width = usize::try_from(number(part(format, from, from + count)).unwrap_or(0)).unwrap_or(0);
        from += count;
        let mut most = usize::MAX;
        if at(format, from) == b'.' {
            let count = digits(from + 1);
            most = usize::try_from(number(part(format, from + 1, from + 1 + count)).unwrap_or(0)).unwrap_or(0);
            from += 1 + count;
        }
        let mut letter = at(format, from);
        from += 1;
        if matches!(letter, b'H' | b'L') && matches!(at(format, from), b'd' | b'r') {
            letter = match (letter, at(format, from)) {
                (b'H', b'd') => 1,
                (b'L', b'd') => 2,
                (b'H', _) => 3,
                _ => 4,
            };
            from += 1;
        }
        if letter == b'%' {
            out.push(b'%');
            continue;
        }
        let text = match value(letter) {
            Some(text) => part(&text, 0, most).to_vec(),
            None => b"?".to_vec(),
        };
        let missing = width.saturating_sub(text.len());
        let zero = flags.contains(&b'0') && !flags.contains(&b'-');
        let fill = std::iter::repeat_n(if zero { b'0' } else { b' ' }, missing);
        if flags.contains(&b'-') {
            out.extend_from_slice(&text);
            out.extend(fill);
        } else {
            out.extend(fill);
            out.extend_from_slice(&text);
        }
    }
}

pub(crate) fn clear(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "x T:", 1)?;
    tool.put(if tool.has(b'x') { b"\x1b[H\x1b[2J" } else { b"\x1b[H\x1b[2J\x1b[3J" })?;
    tool.done()
}

pub(crate) fn tty(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "s.silent,quiet", 2)?;
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stdin());
    let name =
        std::fs::read_link("/proc/self/fd/0").map(|name| name.as_os_str().as_bytes().to_vec()).unwrap_or_default();
    if !tool.has(b's') {
        let line = if terminal { [name.as_slice(), b"\n"].concat() } else { b"not a tty\n".to_vec() };
        tool.put(&line)?;
    }
    Ok(Exit(u8::from(!terminal)))
}

pub(crate) fn watch(ctx: &mut Ctx) -> Outcome {
    let spec = "+ b.beep c.color d?differences e.errexit g.chgexit n:interval p.precise t.no-title x.exec";
    let mut tool = Tool::new(ctx, spec, 1)?;
    if tool.opts.last(b"bdp") != 0 {
        return wrong(1, "options -b, -d and -p are not offered");
    }
    let rest = std::mem::take(&mut tool.opts.rest);
    if rest.is_empty() {
        return wrong(1, "missing command");
    }
    let mut interval = 2.0;
    if let Some(text) = tool.opts.value(b'n') {
        interval = f64::max(wanted(duration(text), "interval", text, 1)?, 0.1);
    }
    let line = rest.join(&b' ');
    let command = if tool.has(b'x') { rest } else { vec![b"sh".to_vec(), b"-c".to_vec(), line.clone()] };
    let mut before: Option<Bytes> = None;
    loop {
        let (from, to) = process::pipe()?;
        tool.ctx.stdout.flush()?;
        let env = environment(tool.ctx);
        let shared: &Ctx = tool.ctx;
        let pid = process::fork(|| {
            let _ = process::duplicate(to, 1);
            let _ = process::duplicate(to, 2);
            replace(shared, &command, &env, true).0
        })?;
        process::close(to);
        let mut output = Bytes::new();
        let mut buffer = vec![0; 1 << 14];
        loop {
            match process::read(from, &mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    // What does not fit on any screen is not kept.
                    if output.len() < 1 << 20 {
                        output.extend_from_slice(part(&buffer, 0, count));
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        process::close(from);
        let (_, status) = crate::spawn::wait(pid)?;
        let size = rustix::termios::tcgetwinsize(std::io::stdout().as_fd()).ok();
        let rows = size.map_or(24, |size| usize::from(size.ws_row.max(3)));
        let columns = crate::base::columns(tool.ctx);
        let mut screen = b"\x1b[H\x1b[2J".to_vec();
        let mut left = rows;
        if !tool.has(b't') {
            let mut date = Bytes::new();
            let now = crate::date::now(tool.ctx).0;
            crate::meta::Moment::new(now, 0, false).format(b"%a %b %e %H:%M:%S %Y", &mut date);
            let head = format!("Every {interval:.1}s: {}", lossy(&line));
            let gap = columns.saturating_sub(head.len() + date.len()).max(1);
            screen.extend_from_slice(format!("{head}{}{}\n\n", " ".repeat(gap), lossy(&date)).as_bytes());
            left = rows.saturating_sub(2);
        }
        let lines: Vec<&[u8]> =
            output.split(|byte| *byte == b'\n').take(left).map(|line| part(line, 0, columns)).collect();
        screen.extend_from_slice(&lines.join(&b'\n'));
        tool.put(&screen)?;
        tool.ctx.stdout.flush()?;
        if tool.has(b'e') && status != 0 {
            return Ok(Exit(status));
        }
        if tool.has(b'g') && before.as_ref().is_some_and(|own| *own != output) {
            return Ok(Exit::OK);
        }
        before = Some(output);
        if wait_or_closed(interval) {
            return Ok(Exit::PIPE);
        }
    }
}

/// Whether a name is an applet of this build.
pub(crate) fn is_applet(ctx: &Ctx, name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(|name| find(ctx.table, name).is_some())
}
