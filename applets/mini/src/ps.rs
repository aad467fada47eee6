//! ps, pgrep, pkill and the names of signals (procps 4.0; proc(5)).

use std::io::Write as _;
use std::os::unix::fs::MetadataExt;

use netkit_core::{Ctx, Exit};
use netkit_sys::process;

use crate::base::{Bytes, Outcome, Tool, after, at, columns, lossy, number, part, wanted, words, wrong};
use crate::meta::{Moment, Names};
use crate::posix::{Regex, Syntax};

const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "POLL",
    "PWR", "SYS",
];

/// The number of a signal given by number or by name, with or without SIG (signal(7)).
pub(crate) fn signal(text: &[u8]) -> Option<i32> {
    if let Some(value) = number(text) {
        return i32::try_from(value).ok().filter(|value| *value <= 64);
    }
    let upper = lossy(text).to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let name = match name {
        "IO" => "POLL",
        "CLD" => "CHLD",
        "IOT" => "ABRT",
        "EXIT" => return Some(0),
        other => other,
    };
    SIGNALS.iter().position(|own| *own == name).and_then(|index| i32::try_from(index + 1).ok())
}

/// The name of a signal without SIG.
pub(crate) fn signal_name(signal: i32) -> String {
    let index = usize::try_from(signal).unwrap_or(0).wrapping_sub(1);
    SIGNALS.get(index).map_or_else(|| signal.to_string(), |name| (*name).to_owned())
}

/// A process as /proc shows it.
#[derive(Default)]
struct Process {
    pid: i64,
    /// Fields of /proc/PID/stat from the state on.
    stat: Vec<Bytes>,
    comm: Bytes,
    command: Bytes,
    uid: u32,
    gid: u32,
    real_uid: u32,
}

impl Process {
    fn read(pid: i64) -> Option<Process> {
        let dir = format!("/proc/{pid}");
        let text = std::fs::read(format!("{dir}/stat")).ok()?;
        let open = text.iter().position(|byte| *byte == b'(')?;
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let data = std::fs::metadata(&dir).ok();
        let mut command = std::fs::read(format!("{dir}/cmdline")).unwrap_or_default();
        while command.last() == Some(&0) {
            command.pop();
        }
        let stat = after(&text, close + 2).split(|byte| byte.is_ascii_whitespace()).map(<[u8]>::to_vec).collect();
        let mut own = Process {
            pid,
            stat,
            comm: part(&text, open + 1, close).to_vec(),
            command,
            uid: data.as_ref().map_or(0, MetadataExt::uid),
            gid: data.as_ref().map_or(0, MetadataExt::gid),
            real_uid: 0,
        };
        own.real_uid = own.uid;
        // The owner of the directory is root for processes that must not be looked into; the status tells.
        let status = std::fs::read(format!("{dir}/status")).unwrap_or_default();
        for line in status.split(|byte| *byte == b'\n') {
            let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
            let name = words.next();
            let mut id = || words.next().and_then(number).and_then(|id| u32::try_from(id).ok());
            match name {
                Some(b"Uid:") => {
                    own.real_uid = id().unwrap_or(own.real_uid);
                    own.uid = id().unwrap_or(own.uid);
                }
                Some(b"Gid:") => {
                    let _ = id();
                    own.gid = id().unwrap_or(own.gid);
                }
                _ => {}
            }
        }
        Some(own)
    }

    /// A field of stat, counted from 3 as in proc(5).
    fn field(&self, index: usize) -> i64 {
        let text = self.stat.get(index - 3).map(|text| lossy(text)).unwrap_or_default();
        text.parse().unwrap_or(0)
    }

    fn state(&self) -> u8 {
        self.stat.first().map_or(b'?', |text| at(text, 0))
    }

    /// The whole command line, or the name in brackets for what has none.
    fn arguments(&self) -> Bytes {
        if self.command.is_empty() {
            let mut text = [b"[", self.comm.as_slice(), b"]"].concat();
            if self.state() == b'Z' {
                text.extend_from_slice(b" <defunct>");
            }
            return text;
        }
        let shown = |byte: &u8| match byte {
            0 => b' ',
            1..32 | 127 => b'?',
            other => *other,
        };
        self.command.iter().map(shown).collect()
    }

    /// The terminal's name, or `?`.
    fn terminal(&self) -> String {
        let device = u64::try_from(self.field(7) & 0xffff_ffff).unwrap_or(0);
        match crate::meta::device(device) {
            (136..=143, minor) => format!("pts/{minor}"),
            (4, minor) if minor < 64 => format!("tty{minor}"),
            (4, minor) => format!("ttyS{}", minor - 64),
            (5, 1) => "console".to_owned(),
            (0, _) => "?".to_owned(),
            (major, minor) => format!("{major}:{minor}"),
        }
    }
}

fn processes() -> Vec<Process> {
    let mut pids: Vec<i64> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids.into_iter().filter_map(Process::read).collect()
}

/// What all columns are computed from.
struct World {
    /// Now and at boot, in seconds since the epoch.
    now: i64,
    uptime: f64,
    memory: u64,
    names: Names,
}

/// The clock ticks of /proc: sysconf(_SC_CLK_TCK) is 100 on every Linux that netkit runs on.
const TICKS: i64 = 100;
const PAGE: i64 = 4;

/// Columns: name, heading, width (negative is left-aligned).
const COLUMNS: &[(&str, &str, i32)] = &[
    ("pid", "PID", 7),
    ("tgid", "TGID", 7),
    ("ppid", "PPID", 7),
    ("pgid", "PGID", 7),
    ("pgrp", "PGRP", 7),
    ("sid", "SID", 7),
    ("sess", "SESS", 7),
    ("tty", "TT", -8),
    ("tt", "TT", -8),
    ("tname", "TTY", -8),
    ("user", "USER", -8),
    ("euser", "EUSER", -8),
    ("ruser", "RUSER", -8),
    ("uname", "USER", -8),
    ("group", "GROUP", -8),
    ("egroup", "EGROUP", -8),
    ("uid", "UID", 5),
    ("euid", "EUID", 5),
    ("ruid", "RUID", 5),
    ("gid", "GID", 5),
    ("egid", "EGID", 5),
    ("stat", "STAT", -4),
    ("s", "S", -1),
    ("state", "S", -1),
    ("pcpu", "%CPU", 4),
    ("%cpu", "%CPU", 4),
    ("c", "C", 2),
    ("pmem", "%MEM", 4),
    ("%mem", "%MEM", 4),
    ("vsz", "VSZ", 6),
    ("vsize", "VSZ", 6),
    ("rss", "RSS", 5),
    ("rssize", "RSS", 5),
    ("nice", "NI", 3),
    ("ni", "NI", 3),
    ("pri", "PRI", 3),
    ("nlwp", "NLWP", 4),
    ("thcount", "THCNT", 5),
    ("time", "TIME", 8),
    ("cputime", "TIME", 8),
    ("etime", "ELAPSED", 11),
    ("etimes", "ELAPSED", 7),
    ("start", "STARTED", 8),
    ("stime", "STIME", 5),
    ("start_time", "START", 5),
    ("lstart", "STARTED", 24),
    ("wchan", "WCHAN", -6),
    ("comm", "COMMAND", -15),
    ("ucmd", "CMD", -15),
    ("ucomm", "COMMAND", -15),
    ("cmd", "CMD", -27),
    ("args", "COMMAND", -27),
    ("command", "COMMAND", -27),
];

fn long_time(seconds: i64) -> String {
    let (days, hours, minutes, seconds) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    if days > 0 {
        format!("{days}-{hours:02}:{minutes:02}:{seconds:02}")
    } else if hours > 0 {
        format!("{hours:02}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

impl World {
    fn cell(&mut self, own: &Process, column: &str) -> Bytes {
        let started = own.field(22) / TICKS;
        #[allow(clippy::cast_possible_truncation)]
        let up = self.uptime as i64;
        let elapsed = (up - started).max(0);
        let begin = self.now - elapsed;
        let used = own.field(14) + own.field(15);
        let percent = if elapsed > 0 { used * 1000 / TICKS / elapsed } else { 0 };
        let moment = |format: &[u8]| {
            let mut out = Bytes::new();
            Moment::new(begin, 0, false).format(format, &mut out);
            out
        };
        let seconds = used / TICKS;
        let text = match column {
            "pid" | "tgid" => own.pid.to_string(),
            "ppid" => own.field(4).to_string(),
            "pgid" | "pgrp" => own.field(5).to_string(),
            "sid" | "sess" => own.field(6).to_string(),
            "tty" | "tt" | "tname" => own.terminal(),
            "user" | "euser" | "uname" | "ruser" | "group" | "egroup" => {
                let (id, group) = match column {
                    "ruser" => (own.real_uid, false),
                    "group" | "egroup" => (own.gid, true),
                    _ => (own.uid, false),
                };
                let name = self.names.shown(id, group);
                // A name that does not fit is cut with a mark, as procps does.
                return if name.len() > 8 { [part(&name, 0, 7), b"+"].concat() } else { name };
            }
            "uid" | "euid" => own.uid.to_string(),
            "ruid" => own.real_uid.to_string(),
            "gid" | "egid" => own.gid.to_string(),
            "s" | "state" => char::from(own.state()).to_string(),
            "stat" => {
                let mut text = char::from(own.state()).to_string();
                let nice = own.field(19);
                for (wanted, letter) in [
                    (nice < 0, '<'),
                    (nice > 0, 'N'),
                    (own.field(6) == own.pid, 's'),
                    (own.field(20) > 1, 'l'),
                    (own.field(8) == own.field(5) && own.field(8) > 0, '+'),
                ] {
                    if wanted {
                        text.push(letter);
                    }
                }
                text
            }
            "pcpu" | "%cpu" => format!("{}.{}", percent / 10, percent % 10),
            "c" => (percent / 10).min(99).to_string(),
            "pmem" | "%mem" => {
                let rss = u64::try_from(own.field(24) * PAGE).unwrap_or(0);
                let share = (rss * 1000).checked_div(self.memory).unwrap_or(0);
                format!("{}.{}", share / 10, share % 10)
            }
            "vsz" | "vsize" => (own.field(23) / 1024).to_string(),
            "rss" | "rssize" => (own.field(24) * PAGE).to_string(),
            "nice" | "ni" => own.field(19).to_string(),
            "pri" => (39 - own.field(18)).to_string(),
            "nlwp" | "thcount" => own.field(20).to_string(),
            "time" | "cputime" => {
                let days = if seconds >= 86400 { format!("{}-", seconds / 86400) } else { String::new() };
                format!("{days}{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
            }
            "bsdtime" => format!("{}:{:02}", seconds / 60, seconds % 60),
            "etime" => long_time(elapsed),
            "etimes" => elapsed.to_string(),
            "lstart" => return moment(b"%a %b %e %H:%M:%S %Y"),
            "start" if elapsed < 86400 => return moment(b"%H:%M:%S"),
            "start" => return moment(b"  %b %d"),
            "stime" | "start_time" => {
                let today = (self.now.div_euclid(86400), begin.div_euclid(86400));
                return moment(if today.0 == today.1 { b"%H:%M" } else { b"%b%d" });
            }
            "wchan" => {
                let text = std::fs::read(format!("/proc/{}/wchan", own.pid)).unwrap_or_default();
                if text.is_empty() || text == b"0" { "-".to_owned() } else { lossy(part(&text, 0, 6)) }
            }
            "comm" | "ucmd" | "ucomm" => {
                let mut text = own.comm.clone();
                if own.state() == b'Z' {
                    text.extend_from_slice(b" <defunct>");
                }
                return text;
            }
            _ => return own.arguments(),
        };
        text.into_bytes()
    }
}

/// The number a text column is ordered by, or the text itself.
fn order(world: &mut World, a: &Process, b: &Process, column: &str) -> std::cmp::Ordering {
    let (x, y) = match column {
        "pcpu" | "%cpu" | "time" | "cputime" => (a.field(14) + a.field(15), b.field(14) + b.field(15)),
        "pmem" | "%mem" | "rss" | "rssize" => (a.field(24), b.field(24)),
        "vsz" | "vsize" => (a.field(23), b.field(23)),
        "start" | "stime" | "start_time" | "lstart" => (a.field(22), b.field(22)),
        "etime" | "etimes" => (b.field(22), a.field(22)),
        _ => {
            let (x, y) = (lossy(&world.cell(a, column)), lossy(&world.cell(b, column)));
            return match (x.parse::<i64>(), y.parse::<i64>()) {
                (Ok(x), Ok(y)) => x.cmp(&y),
                _ => x.cmp(&y),
            };
        }
    };
    x.cmp(&y)
}

pub(crate) fn ps(ctx: &mut Ctx) -> Outcome {
    // The first operand may be BSD's options, without a dash.
    let mut list = words(ctx);
    let mut bsd = Bytes::new();
    if let Some(first) = list.first()
        && !first.is_empty()
        && first.iter().all(|byte| b"auxwefljT".contains(byte))
    {
        bsd = list.remove(0);
    }
    let spec = "A e f F l a d w H j T x o:format p:pid,quick-pid q: C: u:user U:User g: G:Group t:tty _1:ppid _n.no-headers,no-heading \
                _s:sort _h.headers _W:cols,columns,width k: _f.forest";
    let mut tool = Tool::with(ctx, list, spec, 1)?;
    if tool.opts.last(b"FHTgGtjd") != 0 || bsd.iter().any(|byte| b"fjTl".contains(byte)) {
        return wrong(1, "of the options, F, H, T, g, G, j, t and the tree views are not offered");
    }
    if let Some(extra) = tool.opts.rest.iter().find(|word| number(word).is_none()) {
        return wrong(1, &format!("unsupported option (BSD syntax): '{}'", lossy(extra)));
    }
    let now = crate::date::now(tool.ctx).0;
    let text = |name: &str| lossy(&std::fs::read(name).unwrap_or_default());
    let memory = text("/proc/meminfo");
    let mut world = World {
        now,
        uptime: text("/proc/uptime").split(' ').next().and_then(|up| up.parse().ok()).unwrap_or(0.0),
        memory: memory.split_whitespace().nth(1).and_then(|total| total.parse().ok()).unwrap_or(0),
        names: Names::default(),
    };
    let mut chosen: Vec<(String, String, i32)> = Vec::new();
    for list in tool.opts.values(b'o') {
        let list = lossy(list);
        let mut rest = list.as_str();
        while !rest.is_empty() {
            let end = rest.find([',', ' ', '=']).unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            let found = COLUMNS.iter().find(|(own, ..)| *own == name.to_ascii_lowercase());
            let Some((own, head, width)) = found else {
                if name.is_empty() {
                    rest = behind.get(1..).unwrap_or_default();
                    continue;
                }
                return wrong(1, &format!("unknown user-defined format specifier \"{name}\""));
            };
            // A heading after `=` takes the rest.
            if let Some(head) = behind.strip_prefix('=') {
                let (head, next) = match head.find(',') {
                    Some(comma) if head.starts_with(',') => ("", head.get(comma + 1..).unwrap_or_default()),
                    _ => (head, ""),
                };
                chosen.push(((*own).to_owned(), head.to_owned(), *width));
                rest = next;
                continue;
            }
            chosen.push(((*own).to_owned(), (*head).to_owned(), *width));
            rest = behind.get(1..).unwrap_or_default();
        }
    }
    let user_list = bsd.contains(&b'u');
    if chosen.is_empty() {
        let list: &[(&str, &str, i32)] = if user_list {
            &[
                ("user", "USER", -8),
                ("pid", "PID", 7),
                ("%cpu", "%CPU", 4),
                ("%mem", "%MEM", 4),
                ("vsz", "VSZ", 6),
                ("rss", "RSS", 5),
                ("tty", "TTY", -8),
                ("stat", "STAT", -4),
                ("start_time", "START", 5),
                ("bsdtime", "TIME", 6),
                ("args", "COMMAND", -27),
            ]
        } else if tool.has(b'f') {
            &[
                ("user", "UID", -8),
                ("pid", "PID", 7),
                ("ppid", "PPID", 7),
                ("c", "C", 2),
                ("stime", "STIME", 5),
                ("tty", "TTY", -8),
                ("time", "TIME", 8),
                ("args", "CMD", -27),
            ]
        } else if tool.has(b'l') {
            &[
                ("s", "S", -1),
                ("uid", "UID", 5),
                ("pid", "PID", 7),
                ("ppid", "PPID", 7),
                ("c", "C", 2),
                ("pri", "PRI", 3),
                ("ni", "NI", 3),
                ("vsz", "SZ", 6),
                ("wchan", "WCHAN", -6),
                ("tty", "TTY", -8),
                ("time", "TIME", 8),
                ("comm", "CMD", -15),
            ]
        } else if bsd.is_empty() {
            &[("pid", "PID", 7), ("tty", "TTY", -8), ("time", "TIME", 8), ("comm", "CMD", -15)]
        } else {
            &[
                ("pid", "PID", 7),
                ("tty", "TTY", -8),
                ("stat", "STAT", -4),
                ("bsdtime", "TIME", 6),
                ("args", "COMMAND", -27),
            ]
        };
        chosen = list.iter().map(|(name, head, width)| ((*name).to_owned(), (*head).to_owned(), *width)).collect();
    }
    let split = |id: u8| -> Vec<Bytes> {
        let pieces = tool.opts.values(id).flat_map(|list| list.split(|byte| matches!(byte, b',' | b' ')));
        pieces.filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let mut pids = split(b'p');
    pids.extend(split(b'q'));
    pids.extend(tool.opts.rest.iter().cloned());
    let mut wanted_pids = Vec::new();
    for text in &pids {
        wanted_pids.push(i64::try_from(wanted(number(text), "process ID", text, 1)?).unwrap_or(-1));
    }
    let parents: Vec<i64> = split(b'1').iter().filter_map(|text| i64::try_from(number(text)?).ok()).collect();
    let commands = split(b'C');
    let mut users = Vec::new();
    for (id, name) in
        split(b'u').into_iter().map(|name| (b'u', name)).chain(split(b'U').into_iter().map(|name| (b'U', name)))
    {
        let Some(user) = world.names.id(&name, false) else {
            return wrong(1, &format!("user name does not exist: {}", lossy(&name)));
        };
        users.push((id, user));
    }
    let any = !wanted_pids.is_empty() || !parents.is_empty() || !commands.is_empty() || !users.is_empty();
    let everybody = tool.opts.last(b"Ae") != 0 || bsd.contains(&b'a') && bsd.contains(&b'x');
    let own_terminal = Process::read(i64::from(std::process::id())).map_or((0, 0), |own| (own.field(7), own.uid));
    let mut rows: Vec<Process> = processes()
        .into_iter()
        .filter(|own| {
            if everybody {
                return true;
            }
            if any {
                return wanted_pids.contains(&own.pid)
                    || parents.contains(&own.field(4))
                    || commands.iter().any(|name| part(name, 0, 15) == own.comm.as_slice())
                    || users
                        .iter()
                        .any(|(id, user)| if *id == b'u' { own.uid == *user } else { own.real_uid == *user });
            }
            let terminal = own.field(7) != 0;
            if tool.has(b'a') {
                return terminal && own.field(6) != own.pid;
            }
            match (bsd.contains(&b'a'), bsd.contains(&b'x') || tool.has(b'x')) {
                (true, _) => terminal,
                (false, true) => own.uid == own_terminal.1,
                _ => own.uid == own_terminal.1 && own.field(7) == own_terminal.0,
            }
        })
        .collect();
    for list in tool.opts.values(b's').chain(tool.opts.values(b'k')) {
        let keys: Vec<String> = lossy(list).split(',').map(str::to_owned).collect();
        if let Some(key) =
            keys.iter().find(|key| !COLUMNS.iter().any(|(own, ..)| *own == key.trim_start_matches(['-', '+'])))
        {
            return wrong(1, &format!("unknown sort specifier '{key}'"));
        }
        rows.sort_by(|a, b| {
            for key in &keys {
                let column = key.trim_start_matches(['-', '+']);
                let order = order(&mut world, a, b, column);
                let order = if key.starts_with('-') { order.reverse() } else { order };
                if order.is_ne() {
                    return order;
                }
            }
            std::cmp::Ordering::Equal
        });
    }
    let mut out = Bytes::new();
    let heads = chosen.iter().any(|(_, head, _)| !head.is_empty()) && !tool.has(b'n') && !bsd.contains(&b'h');
    let limit = match tool.opts.value(b'W') {
        Some(text) => usize::try_from(wanted(number(text), "number of columns", text, 1)?).unwrap_or(80),
        None if tool.ctx.stdout_is_terminal && tool.count_w(&bsd) == 0 => columns(tool.ctx),
        None => usize::MAX,
    };
    let line = |cells: Vec<Bytes>, out: &mut Bytes| {
        let mut text = Bytes::new();
        let last = cells.len().saturating_sub(1);
        let mut debt = 0usize;
        for (index, (cell, (_, head, width))) in cells.iter().zip(&chosen).enumerate() {
            let left = *width < 0;
            let width = usize::try_from(width.abs()).unwrap_or(0).max(head.len());
            // A cell that is too wide takes the room of its neighbours.
            let room = width.saturating_sub(std::mem::take(&mut debt));
            let fill = room.saturating_sub(cell.len());
            debt = cell.len().saturating_sub(room);
            if !left {
                text.extend(std::iter::repeat_n(b' ', fill));
            }
            text.extend_from_slice(cell);
            if left && index < last {
                text.extend(std::iter::repeat_n(b' ', fill));
            }
            if index < last {
                text.push(b' ');
            }
        }
        text.truncate(limit);
        out.extend_from_slice(&text);
        out.push(b'\n');
    };
    if heads {
        line(chosen.iter().map(|(_, head, _)| head.clone().into_bytes()).collect(), &mut out);
    }
    for own in &rows {
        let cells = chosen.iter().map(|(name, ..)| world.cell(own, name)).collect();
        line(cells, &mut out);
    }
    tool.put(&out)?;
    Ok(Exit(u8::from(rows.is_empty())))
}

impl Tool<'_> {
    /// How often width was asked for.
    fn count_w(&self, bsd: &[u8]) -> usize {
        self.opts.count(b'w') + bsd.iter().filter(|byte| **byte == b'w').count()
    }
}

pub(crate) fn pgrep(ctx: &mut Ctx) -> Outcome {
    let kill = ctx.name == "pkill";
    let mut list = words(ctx);
    let mut number_of = nix::libc::SIGTERM;
    if kill
        && let Some(first) = list.first()
        && first.len() > 1
        && at(first, 0) == b'-'
        && let Some(found) = signal(after(first, 1))
            .filter(|_| at(first, 1).is_ascii_digit() || at(first, 1).is_ascii_uppercase() && first.len() > 2)
    {
        number_of = found;
        list.remove(0);
    }
    let spec = "a.list-full c.count d:delimiter e.echo f.full g:pgroup G:group i.ignore-case l.list-name n.newest o.oldest P:parent \
                s:session _1:signal t:terminal u:euid U:uid v.inverse x.exact r:runstates";
    let mut tool = Tool::with(ctx, list, spec, 2)?;
    if let Some(text) = tool.opts.value(b'1') {
        number_of = wanted(signal(text), "signal", text, 2)?;
    }
    if tool.opts.last(b"gsr") != 0 {
        return wrong(2, "options -g, -s and -r are not offered");
    }
    let pattern = tool.opts.rest.first().cloned();
    if let Some(extra) = tool.opts.rest.get(1) {
        return wrong(2, &format!("only one pattern can be provided, not also '{}'", lossy(extra)));
    }
    let regex = match &pattern {
        None if tool.opts.last(b"PuUGt") == 0 => return wrong(2, "no matching criteria specified"),
        None => None,
        Some(text) => {
            let syntax = Syntax { extended: true, fold: tool.has(b'i'), utf8: true, ..Syntax::default() };
            let whole = tool.has(b'x');
            Some(Regex::new(text, syntax, whole).map_err(|text| netkit_core::Error::new(Exit(2), text))?)
        }
    };
    let mut names = Names::default();
    let mut ids = |id: u8, group: bool| -> Result<Vec<u32>, netkit_core::Error> {
        let mut list = Vec::new();
        for name in tool.opts.values(id).flat_map(|list| list.split(|byte| *byte == b',')) {
            list.push(wanted(names.id(name, group), if group { "group name" } else { "user name" }, name, 2)?);
        }
        Ok(list)
    };
    let (effective, real, groups) = (ids(b'u', false)?, ids(b'U', false)?, ids(b'G', true)?);
    let mut parents = Vec::new();
    for text in tool.opts.values(b'P').flat_map(|list| list.split(|byte| *byte == b',')) {
        parents.push(i64::try_from(wanted(number(text), "process ID", text, 2)?).unwrap_or(-1));
    }
    let terminals: Vec<String> =
        tool.opts.values(b't').flat_map(|list| list.split(|byte| *byte == b',')).map(lossy).collect();
    let own_pid = i64::from(std::process::id());
    let mut found = Vec::new();
    for own in processes() {
        if own.pid == own_pid {
            continue;
        }
        let text = if tool.has(b'f') && !own.command.is_empty() { own.arguments() } else { own.comm.clone() };
        let fits = (effective.is_empty() || effective.contains(&own.uid))
            && (real.is_empty() || real.contains(&own.real_uid))
            && (groups.is_empty() || groups.contains(&own.gid))
            && (parents.is_empty() || parents.contains(&own.field(4)))
            && (terminals.is_empty() || terminals.contains(&own.terminal()))
            && match &regex {
                None => true,
                Some(regex) => regex.is_match(&text).map_err(netkit_core::Error::usage)?,
            };
        if fits != tool.has(b'v') {
            found.push((own, text));
        }
    }
    match tool.opts.last(b"no") {
        b'n' => found = found.into_iter().max_by_key(|(own, _)| (own.field(22), own.pid)).into_iter().collect(),
        b'o' => found = found.into_iter().min_by_key(|(own, _)| (own.field(22), own.pid)).into_iter().collect(),
        _ => {}
    }
    let mut out = Bytes::new();
    if kill {
        for (own, _) in &found {
            match process::kill(i32::try_from(own.pid).unwrap_or(0), number_of) {
                Ok(()) if tool.has(b'e') => {
                    let _ = writeln!(out, "{} killed (pid {})", lossy(&own.comm), own.pid);
                }
                Ok(()) => {}
                Err(error) => {
                    let text = format!("killing pid {} failed: {}", own.pid, crate::base::reason(&error));
                    tool.complain(&text);
                }
            }
        }
        if tool.has(b'c') {
            let _ = writeln!(out, "{}", found.len());
        }
        tool.put(&out)?;
        return Ok(Exit(if found.is_empty() { 1 } else { tool.status }));
    }
    if tool.has(b'c') {
        let _ = writeln!(out, "{}", found.len());
    } else {
        let delimiter = tool.opts.value(b'd').unwrap_or(b"\n").to_vec();
        for (index, (own, text)) in found.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(&delimiter);
            }
            let _ = write!(out, "{}", own.pid);
            if tool.has(b'a') {
                out.push(b' ');
                out.append(&mut if own.command.is_empty() { own.comm.clone() } else { own.arguments() });
            } else if tool.has(b'l') {
                out.push(b' ');
                out.extend_from_slice(text);
            }
        }
        if !found.is_empty() {
            out.push(b'\n');
        }
    }
    tool.put(&out)?;
    Ok(Exit(u8::from(found.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names() {
        assert_eq!(signal(b"SIGKILL"), Some(9));
        assert_eq!(signal(b"term"), Some(15));
        assert_eq!(signal(b"0"), Some(0));
        assert_eq!(signal(b"NOPE"), None);
        assert_eq!(signal_name(15), "TERM");
    }

    #[test]
    fn this_process_is_there() {
        let own = Process::read(i64::from(std::process::id())).unwrap_or_default();
        assert_eq!(own.pid, i64::from(std::process::id()));
        assert!(!own.comm.is_empty() && own.field(4) > 0);
    }
}
