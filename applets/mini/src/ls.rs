//! ls (POSIX.1-2017; coreutils 9.1 in the C locale).

use std::cmp::Ordering;
use std::fs::Metadata;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use netkit_core::{Clock, Ctx, Error, SystemClock};

use crate::base::{Bytes, Outcome, Tool, columns, join, lossy, number, path, wanted};
use crate::glob;
use crate::meta::{Moment, Names, device, full, human, mode_text, time_of, type_letter};
use crate::sort::versions;

const SPEC: &str = "1 a.all A.almost-all d.directory l L.dereference H h.human-readable i.inode r.reverse R.recursive t S s.size \
    F?classify p C x m n.numeric-uid-gid o g G.no-group k.kibibytes q.hide-control-chars N.literal Q.quote-name u c U f X v b.escape \
    w:width B.ignore-backups I:ignore _0:hide _2?color _3.full-time _4:time-style _5:sort _6:time _7.si _8.group-directories-first \
    _9:indicator-style";

struct File {
    name: Bytes,
    /// Where it is.
    path: Bytes,
    data: Option<Metadata>,
    link: Option<Bytes>,
}

struct Ls {
    /// `l`, `C`, `x`, `m` or `1`.
    format: u8,
    time: u8,
    sort: u8,
    color: bool,
    /// `F`, `p` or 0.
    mark: u8,
    /// `q` control characters become `?`, `b` escapes, `Q` quotes, `s` as for a shell, or 0.
    quote: u8,
    owner: bool,
    group: bool,
    human: u64,
    unit: u64,
    style: u8,
    names: Names,
    follow: bool,
    stat: bool,
}

/// Now, for dates that leave out the year.
pub(crate) fn now() -> i64 {
    SystemClock.unix_seconds()
}

/// The date of `ls -l`: with the time when it was in the last half year, else with the year.
pub(crate) fn list_time(seconds: i64, now: i64, out: &mut Bytes) {
    // Half of a mean Gregorian year, as coreutils have it.
    let recent = seconds > now - 31_556_952 / 2 && seconds <= now;
    let moment = Moment::new(seconds, 0, false);
    moment.format(if recent { b"%b %e %H:%M" } else { b"%b %e  %Y" }, out);
}

pub(crate) fn ls(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, SPEC, 2)?;
    let terminal = tool.ctx.stdout_is_terminal;
    let has = |id: u8| tool.has(id);
    let mut format = match tool.opts.last(b"1lCxmnogo") {
        b'n' | b'o' | b'g' | b'l' => b'l',
        0 => {
            if terminal {
                b'C'
            } else {
                b'1'
            }
        }
        other => other,
    };
    // -1 does not undo -l.
    if format == b'1' && [b'l', b'n', b'o', b'g'].iter().any(|id| has(*id)) {
        format = b'l';
    }
    let words = split_words(&tool);
    if words.full_time {
        format = b'l';
    }
    let sort = match tool.opts.last(b"tSUfXv") {
        0 if tool.opts.last(b"uc") != 0 && format != b'l' => b't',
        0 => words.sort,
        other => other,
    };
    let mut ls = Ls {
        format,
        time: match tool.opts.last(b"uc") {
            b'u' => b'a',
            b'c' => b'c',
            _ => words.time,
        },
        sort: if sort == b'f' { b'U' } else { sort },
        color: match words.color.as_deref() {
            None => false,
            Some(b"" | b"always" | b"yes" | b"force") => true,
            Some(b"auto" | b"tty" | b"if-tty") => terminal && tool.ctx.var("NO_COLOR").is_none(),
            Some(b"never" | b"no" | b"none") => false,
            Some(other) => return crate::base::wrong(2, &format!("invalid argument '{}' for '--color'", lossy(other))),
        },
        mark: match tool.opts.last(b"Fp") {
            0 => words.mark,
            other => other,
        },
        quote: match tool.opts.last(b"qNQb") {
            b'N' => 0,
            0 if terminal => b's',
            other => other,
        },
        owner: tool.opts.last(b"g") == 0,
        group: !(tool.has(b'o') || tool.has(b'G')),
        human: if words.si {
            1000
        } else if tool.has(b'h') {
            1024
        } else {
            0
        },
        unit: words.unit,
        style: words.style,
        names: Names::default(),
        follow: tool.has(b'L'),
        stat: false,
    };
    ls.stat = format == b'l'
        || tool.has(b'i')
        || tool.has(b's')
        || tool.has(b'R')
        || ls.color
        || ls.mark != 0
        || words.directories
        || b"tS".contains(&ls.sort);
    let width = match tool.opts.value(b'w') {
        None => columns(tool.ctx),
        Some(text) => usize::try_from(wanted(number(text), "line width", text, 2)?).unwrap_or(80),
    };
    let mut operands = std::mem::take(&mut tool.opts.rest);
    if operands.is_empty() {
        operands.push(b".".to_vec());
    }
    let several = operands.len() > 1 || tool.has(b'R');
    let (mut files, mut dirs) = (Vec::new(), Vec::new());
    for name in operands {
        let follow = ls.follow || !tool.has(b'd') && format != b'l' && ls.mark != b'F' || tool.has(b'H');
        let link = std::fs::symlink_metadata(path(&name));
        let target = if follow { std::fs::metadata(path(&name)) } else { link };
        let data =
            match target.or_else(|error| if ls.follow { Err(error) } else { std::fs::symlink_metadata(path(&name)) }) {
                Ok(data) => data,
                Err(error) => {
                    tool.cannot("access", &name, &error);
                    tool.status = 2;
                    continue;
                }
            };
        let is_dir = data.is_dir() && !tool.has(b'd');
        let file = ls.file(name.clone(), name, Some(data));
        if is_dir { dirs.push(file) } else { files.push(file) }
    }
    ls.order(&mut files, &tool, words.directories);
    let had_files = !files.is_empty();
    ls.show(&mut tool, &files, width, false)?;
    ls.order(&mut dirs, &tool, false);
    let mut first = !had_files;
    let mut walk = Walk { several, words, width, above: Vec::new() };
    for dir in dirs {
        walk.list(&mut ls, &mut tool, &dir.path, &mut first)?;
    }
    tool.done()
}

/// Options that have only long names.
struct Words {
    color: Option<Bytes>,
    full_time: bool,
    sort: u8,
    time: u8,
    mark: u8,
    si: bool,
    directories: bool,
    unit: u64,
    style: u8,
    hide: Vec<Bytes>,
}

/// In the table they have digits for letters.
fn split_words(tool: &Tool<'_>) -> Words {
    let mut words = Words {
        color: None,
        full_time: false,
        sort: 0,
        time: b'm',
        mark: 0,
        si: false,
        directories: false,
        unit: 1024,
        style: 0,
        hide: Vec::new(),
    };
    for (id, value) in &tool.opts.seen {
        match id {
            b'2' => words.color = Some(value.clone()),
            b'3' => {
                words.full_time = true;
                words.style = b'f';
            }
            b'4' => {
                words.style = match value.as_slice() {
                    b"full-iso" => b'f',
                    b"long-iso" => b'l',
                    b"iso" => b'i',
                    _ => 0,
                }
            }
            b'5' => {
                words.sort = match value.as_slice() {
                    b"time" => b't',
                    b"size" => b'S',
                    b"none" => b'U',
                    b"extension" => b'X',
                    b"version" => b'v',
                    _ => 0,
                }
            }
            b'6' => {
                words.time = match value.as_slice() {
                    b"atime" | b"access" | b"use" => b'a',
                    b"ctime" | b"status" => b'c',
                    _ => b'm',
                }
            }
            b'7' => words.si = true,
            b'8' => words.directories = true,
            b'9' => {
                words.mark = match value.as_slice() {
                    b"slash" => b'p',
                    b"classify" => b'F',
                    _ => 0,
                }
            }
            b'0' => words.hide.push(value.clone()),
            _ => {}
        }
    }
    words
}

struct Walk {
    several: bool,
    words: Words,
    width: usize,
    above: Vec<(u64, u64)>,
}

impl Walk {
    fn list(&mut self, ls: &mut Ls, tool: &mut Tool<'_>, dir: &[u8], first: &mut bool) -> Result<(), Error> {
        let entries = match std::fs::read_dir(path(dir)) {
            Ok(entries) => entries,
            Err(error) => {
                tool.complain(&format!("cannot open directory '{}': {}", lossy(dir), crate::base::reason(&error)));
                tool.status = tool.status.max(if self.above.is_empty() { 2 } else { 1 });
                return Ok(());
            }
        };
        let id = std::fs::metadata(path(dir)).map_or((0, 0), |data| (data.dev(), data.ino()));
        if self.above.contains(&id) {
            tool.complain(&format!("{}: not listing already-listed directory", lossy(dir)));
            tool.status = 2;
            return Ok(());
        }
        let all = tool.opts.last(b"aAf");
        let mut files = Vec::new();
        if matches!(all, b'a' | b'f') {
            files.extend([b".".to_vec(), b"..".to_vec()]);
        }
        for entry in entries.flatten() {
            let name = entry.file_name().as_bytes().to_vec();
            let hidden = self.words.hide.iter().any(|pattern| all == 0 && glob::matches(pattern, &name, glob::DOT));
            let ignored = tool.opts.values(b'I').any(|pattern| glob::matches(pattern, &name, glob::DOT));
            let backup = tool.has(b'B') && name.ends_with(b"~");
            if !(name.starts_with(b".") && all == 0 || hidden || ignored || backup) {
                files.push(name);
            }
        }
        let mut list = Vec::new();
        for name in files {
            let place = join(dir, &name);
            let mut data = None;
            if ls.stat {
                let result = if ls.follow {
                    std::fs::metadata(path(&place)).or_else(|_| std::fs::symlink_metadata(path(&place)))
                } else {
                    std::fs::symlink_metadata(path(&place))
                };
                match result {
                    Ok(found) => data = Some(found),
                    Err(error) => {
                        tool.cannot("access", &place, &error);
                        if error.kind() == std::io::ErrorKind::NotFound {
                            continue;
                        }
                    }
                }
            }
            list.push(ls.file(name, place, data));
        }
        ls.order(&mut list, tool, self.words.directories);
        if self.several {
            let text = [if *first { b"" } else { &b"\n"[..] }, &ls.quoted(dir), b":\n"].concat();
            tool.put(&text)?;
        }
        *first = false;
        ls.show(tool, &list, self.width, true)?;
        if tool.has(b'R') {
            self.above.push(id);
            for file in list {
                let is_dir = file.data.as_ref().is_some_and(Metadata::is_dir);
                if is_dir && !matches!(file.name.as_slice(), b"." | b"..") {
                    self.list(ls, tool, &file.path, first)?;
                }
            }
            self.above.pop();
        }
        Ok(())
    }
}

impl Ls {
    fn file(&self, name: Bytes, place: Bytes, data: Option<Metadata>) -> File {
        let mut link = None;
        if (self.format == b'l' || self.color || self.mark != 0) && data.as_ref().is_some_and(Metadata::is_symlink) {
            link = std::fs::read_link(path(&place)).ok().map(|target| target.as_os_str().as_bytes().to_vec());
        }
        File { name, path: place, data, link }
    }

    fn order(&self, files: &mut [File], tool: &Tool<'_>, directories: bool) {
        let reverse = tool.has(b'r');
        if self.sort != b'U' {
            let size = |file: &File| file.data.as_ref().map_or(0, Metadata::size);
            let time = |file: &File| file.data.as_ref().map_or((0, 0), |data| time_of(data, self.time));
            let suffix = |file: &File| {
                let dot = file.name.iter().rposition(|byte| *byte == b'.');
                dot.map_or(Bytes::new(), |dot| crate::base::after(&file.name, dot).to_vec())
            };
            files.sort_by(|a, b| {
                let order = match self.sort {
                    b't' => time(b).cmp(&time(a)),
                    b'S' => size(b).cmp(&size(a)),
                    b'X' => suffix(a).cmp(&suffix(b)),
                    b'v' => versions(&a.name, &b.name),
                    _ => Ordering::Equal,
                };
                let order = order.then_with(|| a.name.cmp(&b.name));
                if reverse { order.reverse() } else { order }
            });
        }
        if directories {
            files.sort_by_key(|file| !std::fs::metadata(path(&file.path)).is_ok_and(|data| data.is_dir()));
        }
    }

    /// A name as it is shown.
    fn quoted(&self, name: &[u8]) -> Bytes {
        let mut out = Bytes::new();
        match self.quote {
            b'q' => {
                let control = |byte: &u8| if *byte < 32 || *byte == 127 { b'?' } else { *byte };
                out.extend(name.iter().map(control));
            }
            b'b' | b'Q' => {
                let double = self.quote == b'Q';
                if double {
                    out.push(b'"');
                }
                for byte in name {
                    match b"\x07\x08\x0c\n\r\t\x0b\\".iter().position(|own| own == byte) {
                        Some(index) => out.extend_from_slice(&[b'\\', crate::base::at(b"abfnrtv\\", index)]),
                        None if *byte == b'"' && double => out.extend_from_slice(b"\\\""),
                        None if *byte == b' ' && !double => out.extend_from_slice(b"\\ "),
                        None if *byte < 32 || *byte == 127 => {
                            let _ = write!(out, "\\{byte:03o}");
                        }
                        None => out.push(*byte),
                    }
                }
                if double {
                    out.push(b'"');
                }
            }
            b's' => {
                let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./+,:@%^=".contains(byte) || *byte >= 0x80;
                if name.iter().any(|byte| *byte < 32 || *byte == 127) {
                    out.extend(name.iter().map(|byte| if *byte < 32 || *byte == 127 { b'?' } else { *byte }));
                } else if name.iter().all(plain) && !name.is_empty() {
                    out.extend_from_slice(name);
                } else if name.contains(&b'\'') && !name.iter().any(|byte| b"\"$`\\!".contains(byte)) {
                    out.extend_from_slice(&[b"\"", name, b"\""].concat());
                } else {
                    out.push(b'\'');
                    for byte in name {
                        if *byte == b'\'' {
                            out.extend_from_slice(b"'\\''");
                        } else {
                            out.push(*byte);
                        }
                    }
                    out.push(b'\'');
                }
            }
            _ => out.extend_from_slice(name),
        }
        out
    }

    fn mark(&self, mode: u32) -> &'static [u8] {
        match (self.mark, type_letter(mode)) {
            (b'F' | b'p', b'd') => b"/",
            (b'F', b'l') => b"@",
            (b'F', b'p') => b"|",
            (b'F', b's') => b"=",
            (b'F', b'-') if mode & 0o111 != 0 => b"*",
            _ => b"",
        }
    }

    fn color(&self, mode: u32, broken: bool) -> &'static [u8] {
        match type_letter(mode) {
            b'd' if mode & 0o1002 == 0o1002 => b"30;42",
            b'd' if mode & 0o002 != 0 => b"34;42",
            b'd' if mode & 0o1000 != 0 => b"37;44",
            b'd' => b"01;34",
            b'l' if broken => b"40;31;01",
            b'l' => b"01;36",
            b'p' => b"40;33",
            b's' => b"01;35",
            b'b' | b'c' => b"40;33;01",
            _ if mode & 0o4000 != 0 => b"37;41",
            _ if mode & 0o2000 != 0 => b"30;43",
            _ if mode & 0o111 != 0 => b"01;32",
            _ => b"",
        }
    }

    /// The name with colour and mark, and how wide it is.
    fn cell(&self, file: &File, out: &mut Bytes) -> usize {
        let name = self.quoted(&file.name);
        let mode = file.data.as_ref().map_or(0, Metadata::mode);
        let broken = file.link.is_some() && std::fs::metadata(path(&file.path)).is_err();
        let color = if self.color { self.color(mode, broken) } else { b"" };
        if color.is_empty() {
            out.extend_from_slice(&name);
        } else {
            out.extend_from_slice(&[b"\x1b[", color, b"m", &name, b"\x1b[0m"].concat());
        }
        let long_link = self.format == b'l' && file.link.is_some();
        let mark = if long_link { b"" } else { self.mark(mode) };
        out.extend_from_slice(mark);
        String::from_utf8_lossy(&name).chars().count() + mark.len()
    }

    fn size(&self, bytes: u64) -> String {
        if self.human > 0 { human(bytes, self.human) } else { bytes.to_string() }
    }

    fn blocks(&self, data: &Metadata) -> String {
        let bytes = data.blocks() * 512;
        if self.human > 0 { human(bytes, self.human) } else { bytes.div_ceil(self.unit).to_string() }
    }

    fn show(&mut self, tool: &mut Tool<'_>, files: &[File], width: usize, inside: bool) -> Result<(), Error> {
        let (inodes, sizes) = (tool.has(b'i'), tool.has(b's'));
        let mut out = Bytes::new();
        if inside && (self.format == b'l' || sizes) {
            let sum: u64 = files.iter().filter_map(|file| file.data.as_ref()).map(|data| data.blocks() * 512).sum();
            let text = if self.human > 0 { human(sum, self.human) } else { sum.div_ceil(self.unit).to_string() };
            let _ = writeln!(out, "total {text}");
        }
        let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        let inode = |file: &File| file.data.as_ref().map_or("?".to_owned(), |data| data.ino().to_string());
        let inode_width = if inodes { widest(&mut files.iter().map(|file| inode(file).len())) } else { 0 };
        let block = |file: &File, ls: &Ls| file.data.as_ref().map_or("?".to_owned(), |data| ls.blocks(data));
        let block_width = if sizes { widest(&mut files.iter().map(|file| block(file, self).len())) } else { 0 };
        let columns_of = matches!(self.format, b'C' | b'x' | b'l');
        let prefix = |file: &File, ls: &Ls, out: &mut Bytes| {
            if inodes {
                let _ = write!(out, "{:>1$} ", inode(file), if columns_of { inode_width } else { 0 });
            }
            if sizes {
                let _ = write!(out, "{:>1$} ", block(file, ls), if columns_of { block_width } else { 0 });
            }
        };
        match self.format {
            b'l' => {
                self.long(tool, files, &prefix, &mut out);
            }
            b'1' => {
                for file in files {
                    prefix(file, self, &mut out);
                    self.cell(file, &mut out);
                    out.push(b'\n');
                }
            }
            b'm' => {
                let mut column = 0;
                for (index, file) in files.iter().enumerate() {
                    let mut cell = Bytes::new();
                    prefix(file, self, &mut cell);
                    let before = cell.len();
                    let length = self.cell(file, &mut cell) + before;
                    if index > 0 {
                        out.push(b',');
                        column += 1;
                        if column + 1 + length + 1 > width && width > 0 {
                            out.push(b'\n');
                            column = 0;
                        } else {
                            out.push(b' ');
                            column += 1;
                        }
                    }
                    column += length;
                    out.append(&mut cell);
                }
                if !files.is_empty() {
                    out.push(b'\n');
                }
            }
            _ => {
                let cells: Vec<(Bytes, usize)> = files
                    .iter()
                    .map(|file| {
                        let mut cell = Bytes::new();
                        prefix(file, self, &mut cell);
                        let before = cell.len();
                        let length = self.cell(file, &mut cell) + before;
                        (cell, length)
                    })
                    .collect();
                in_columns(&cells, width, self.format == b'x', &mut out);
            }
        }
        tool.put(&out)
    }

    fn long(&mut self, tool: &Tool<'_>, files: &[File], prefix: &dyn Fn(&File, &Ls, &mut Bytes), out: &mut Bytes) {
        let numeric = tool.has(b'n');
        let mut rows: Vec<[String; 5]> = Vec::new();
        for file in files {
            let Some(data) = &file.data else {
                rows.push(["?".into(), "?".into(), "?".into(), "?".into(), String::new()]);
                continue;
            };
            let mut owner = |id: u32, group: bool| {
                if numeric { id.to_string() } else { lossy(&self.names.shown(id, group)) }
            };
            let (user, group) = (owner(data.uid(), false), owner(data.gid(), true));
            let mut minor = String::new();
            let size = if matches!(type_letter(data.mode()), b'b' | b'c') {
                let (major, own) = device(data.rdev());
                minor = own.to_string();
                format!("{major},")
            } else {
                self.size(data.size())
            };
            rows.push([data.nlink().to_string(), user, group, size, minor]);
        }
        let mut widths = [0usize; 5];
        for row in &rows {
            for (width, text) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.chars().count());
            }
        }
        // Device numbers share the column of sizes.
        let [links, users, groups, mut sizes, minors] = widths;
        let devices = minors > 0;
        let majors = rows.iter().filter(|row| !row[4].is_empty()).map(|row| row[3].len()).max().unwrap_or(0);
        if devices {
            sizes = rows.iter().filter(|row| row[4].is_empty()).map(|row| row[3].len()).max().unwrap_or(0);
            sizes = sizes.max(majors + 1 + minors);
        }
        let now = now();
        for (file, row) in files.iter().zip(&rows) {
            prefix(file, self, out);
            let mode = file.data.as_ref().map_or_else(|| b"??????????".to_vec(), |data| mode_text(data.mode()));
            out.extend_from_slice(&mode);
            let _ = write!(out, " {:>links$}", row[0]);
            if self.owner {
                let _ = write!(out, " {:<users$}", row[1]);
            }
            if self.group {
                let _ = write!(out, " {:<groups$}", row[2]);
            }
            if row[4].is_empty() {
                let _ = write!(out, " {:>sizes$} ", row[3]);
            } else {
                let text = format!("{:>2$} {:>minors$}", row[3], row[4], sizes.saturating_sub(1 + minors));
                let _ = write!(out, " {text} ");
            }
            match &file.data {
                None => out.extend_from_slice(b"           ?"),
                Some(data) => {
                    let (seconds, nanos) = time_of(data, self.time);
                    match self.style {
                        b'f' => out.append(&mut full(seconds, nanos)),
                        b'l' => Moment::new(seconds, 0, false).format(b"%Y-%m-%d %H:%M", out),
                        b'i' => {
                            let recent = seconds > now - 31_556_952 / 2 && seconds <= now;
                            let format: &[u8] = if recent { b"%m-%d %H:%M" } else { b"%Y-%m-%d " };
                            Moment::new(seconds, 0, false).format(format, out);
                        }
                        _ => list_time(seconds, now, out),
                    }
                }
            }
            out.push(b' ');
            self.cell(file, out);
            if let Some(target) = &file.link {
                out.extend_from_slice(b" -> ");
                let mode = std::fs::metadata(path(&file.path)).map_or(0, |data| data.mode());
                out.extend_from_slice(&self.quoted(target));
                out.extend_from_slice(self.mark(mode));
            }
            out.push(b'\n');
        }
    }
}

/// Fills as few lines as fit, down the columns or across the lines.
fn in_columns(cells: &[(Bytes, usize)], width: usize, across: bool, out: &mut Bytes) {
    let count = cells.len();
    if count == 0 {
        return;
    }
    let most = if width == 0 { count } else { count.min((width / 3).max(1)) };
    let layout = |columns: usize| -> (usize, Vec<usize>) {
        let rows = count.div_ceil(columns);
        let mut widths = vec![0usize; columns];
        for (index, (_, length)) in cells.iter().enumerate() {
            let column = if across { index % columns } else { index / rows };
            let gap = if column + 1 == columns { 0 } else { 2 };
            if let Some(width) = widths.get_mut(column) {
                *width = (*width).max(length + gap);
            }
        }
        (rows, widths)
    };
    let mut columns = most;
    let (mut rows, mut widths) = layout(columns);
    while columns > 1 && width > 0 && widths.iter().sum::<usize>() >= width {
        columns -= 1;
        (rows, widths) = layout(columns);
    }
    for row in 0..rows {
        let mut column = 0;
        let (mut place, mut wanted) = (0, 0);
        while column < columns {
            let index = if across { row * columns + column } else { column * rows + row };
            let Some((cell, length)) = cells.get(index) else { break };
            // Tabs where they fit, as coreutils do.
            while place < wanted {
                let stop = place / 8 * 8 + 8;
                if wanted / 8 > (place + 1) / 8 {
                    out.push(b'\t');
                    place = stop;
                } else {
                    out.push(b' ');
                    place += 1;
                }
            }
            out.extend_from_slice(cell);
            place += length;
            wanted += widths.get(column).copied().unwrap_or(0);
            column += 1;
        }
        out.push(b'\n');
    }
}
