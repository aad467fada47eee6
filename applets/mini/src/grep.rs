//! grep, egrep, fgrep (POSIX.1-2017; GNU grep 3.8). `-P` runs on jq's engine, over lines that are UTF-8.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::unix::ffi::OsStrExt;

use netkit_core::{Ctx, Error, Exit};

use crate::base::{
    Bytes, Outcome, Tool, after, at, char_at, join, lossy, number, open, part, path, read_line, utf8, wanted,
};
use crate::glob;
use crate::posix::{Regex, Syntax};

const SPEC: &str = "E.extended-regexp F.fixed-strings G.basic-regexp P.perl-regexp e:regexp f:file i.ignore-case y \
    _0.no-ignore-case w.word-regexp x.line-regexp v.invert-match c.count l.files-with-matches L.files-without-match \
    o.only-matching q.quiet,silent s.no-messages n.line-number H.with-filename h.no-filename b.byte-offset r.recursive \
    R.dereference-recursive A:after-context B:before-context C:context m:max-count Z.null z.null-data a.text I U.binary \
    _k?color,colour _j:include _t:exclude _d:exclude-dir _u.line-buffered _p:label _g:group-separator \
    _N.no-group-separator _V:binary-files 0 1 2 3 4 5 6 7 8 9";

/// The patterns.
struct Patterns {
    list: Vec<Regex>,
    perl: Vec<netkit_regex::Regex>,
    word: bool,
    utf8: bool,
}

impl Patterns {
    fn perl(&self, line: &[u8], from: usize) -> Result<Option<(usize, usize)>, String> {
        let Ok(text) = std::str::from_utf8(line) else { return Ok(None) };
        let mut best: Option<(usize, usize)> = None;
        for regex in &self.perl {
            let next = regex.find(text, from).map_err(|error| error.to_string())?;
            // \K in a look behind can put the start before the place that was asked for.
            let next = next.map(|(start, end)| (start.max(from), end.max(from)));
            if let Some(next) = next
                && best.is_none_or(|(start, end)| (next.0, usize::MAX - next.1) < (start, usize::MAX - end))
            {
                best = Some(next);
            }
        }
        Ok(best)
    }

    /// The leftmost match from `from` on, and of those the longest.
    fn find(&self, line: &[u8], from: usize) -> Result<Option<(usize, usize)>, String> {
        if !self.perl.is_empty() {
            return self.perl(line, from);
        }
        let mut best: Option<(usize, usize)> = None;
        for regex in &self.list {
            let found =
                if self.word { self.find_word(regex, line, from)? } else { regex.find(line, from, line.len())? };
            if let Some((start, end)) = found
                && best.is_none_or(|(own, other)| start < own || start == own && end > other)
            {
                best = Some((start, end));
            }
        }
        Ok(best)
    }

    /// A match with no word character beside it: shorter ones at the same place are tried before later places.
    fn find_word(&self, regex: &Regex, line: &[u8], mut from: usize) -> Result<Option<(usize, usize)>, String> {
        let word = |index: usize| {
            char_at(line, index, self.utf8)
                .is_some_and(|(c, _)| c == u32::from('_') || char::from_u32(c).is_some_and(char::is_alphanumeric))
        };
        let before = |index: usize| {
            let mut start = index;
            while start > 0 {
                start -= 1;
                if !self.utf8 || at(line, start) & 0xc0 != 0x80 {
                    return word(start);
                }
            }
            false
        };
        while from <= line.len() {
            let Some((start, longest)) = regex.find(line, from, line.len())? else { return Ok(None) };
            if !before(start) {
                let mut end = longest;
                loop {
                    if !word(end) && end > start || end == start && !word(end) {
                        return Ok(Some((start, end)));
                    }
                    if end <= start {
                        break;
                    }
                    match regex.find(line, start, end - 1)? {
                        Some((own, shorter)) if own == start => end = shorter,
                        _ => break,
                    }
                }
            }
            from = start + char_at(line, start, self.utf8).map_or(1, |(_, length)| length);
        }
        Ok(None)
    }

    fn matches(&self, line: &[u8]) -> Result<bool, String> {
        if self.perl.is_empty() && !self.word {
            for regex in &self.list {
                if regex.is_match(line)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        Ok(self.find(line, 0)?.is_some())
    }
}

struct Grep {
    patterns: Patterns,
    invert: bool,
    /// `c`, `l`, `L`, `q`, or 0 for lines.
    mode: u8,
    only: bool,
    numbers: bool,
    offsets: bool,
    names: bool,
    before: usize,
    behind: usize,
    most: u64,
    end: u8,
    null: bool,
    color: bool,
    /// 0 binary files are noted, `t` text, `w` without match.
    binary: u8,
    separator: Option<Bytes>,
    quiet: bool,
    line_buffered: bool,
    label: Bytes,
    includes: Vec<(bool, Bytes)>,
    exclude_dirs: Vec<Bytes>,
    /// Something was selected; something went wrong.
    found: bool,
    failed: bool,
    /// A group of lines was printed before.
    printed: bool,
}

fn bad<T>(text: &str) -> Result<T, Error> {
    Err(Error::new(Exit(2), text))
}

pub(crate) fn grep(ctx: &mut Ctx) -> Outcome {
    let name = ctx.name.clone();
    let wide = utf8(ctx);
    let mut tool = Tool::new(ctx, SPEC, 2)?;
    let mut text: Vec<Bytes> = Vec::new();
    let mut given = false;
    for (id, value) in &tool.opts.seen {
        match id {
            b'e' => {
                given = true;
                text.extend(value.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
            }
            b'f' => {
                given = true;
                let mut content = Bytes::new();
                let read = open(value).and_then(|mut file| io::Read::read_to_end(&mut file, &mut content));
                if let Err(error) = read {
                    return bad(&format!("{}: {}", lossy(value), crate::base::reason(&error)));
                }
                let content = content.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or_else(|| content.clone());
                if !content.is_empty() || !std::fs::metadata(path(value)).is_ok_and(|data| data.len() == 0) {
                    text.extend(content.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
                }
            }
            _ => {}
        }
    }
    if !given {
        if tool.opts.rest.is_empty() {
            return bad("usage: grep [OPTION]... PATTERNS [FILE]...");
        }
        let first = tool.opts.rest.remove(0);
        text.extend(first.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
    }
    let kind = match (tool.opts.last(b"EFGP"), name.as_str()) {
        (0, "egrep") => b'E',
        (0, "fgrep") => b'F',
        (0, _) => b'G',
        (kind, _) => kind,
    };
    let fold = matches!(tool.opts.last(b"iy0"), b'i' | b'y');
    let syntax = Syntax { extended: kind == b'E', fold, utf8: wide, ..Syntax::default() };
    let whole = tool.has(b'x');
    let mut patterns = Patterns { list: Vec::new(), perl: Vec::new(), word: tool.has(b'w') && !whole, utf8: wide };
    for pattern in &text {
        if kind == b'P' {
            let mut own = lossy(pattern);
            if whole {
                own = format!("^(?:{own})$");
            } else if patterns.word {
                own = format!("(?<!\\w)(?:{own})(?!\\w)");
            }
            let flags = netkit_regex::Flags { global: true, fold, ..netkit_regex::Flags::default() };
            match netkit_regex::Regex::new(&own, flags) {
                Ok(regex) => patterns.perl.push(regex),
                Err(error) => return bad(&error.to_string()),
            }
            continue;
        }
        let regex =
            if kind == b'F' { Regex::literal(pattern, syntax, whole) } else { Regex::new(pattern, syntax, whole) };
        patterns.list.push(regex.or_else(|error| bad(&error))?);
    }
    let mut context = None;
    let digits: Bytes = tool.opts.seen.iter().map(|(id, _)| *id).filter(u8::is_ascii_digit).collect();
    let digits: Bytes = if tool.has(b'0') && digits == b"0" && fold { Bytes::new() } else { digits };
    if !digits.is_empty() {
        context = number(&digits);
    }
    let length = |id: u8, other: Option<u64>| -> Result<Option<u64>, Error> {
        match tool.opts.value(id) {
            None => Ok(other),
            Some(text) => number(text)
                .map(Some)
                .ok_or_else(|| Error::new(Exit(2), format!("{}: invalid context length argument", lossy(text)))),
        }
    };
    context = length(b'C', context)?;
    let small = |value: Option<u64>| usize::try_from(value.unwrap_or(0)).unwrap_or(usize::MAX);
    let (before, behind) = (length(b'B', context)?, length(b'A', context)?);
    let most = match tool.opts.value(b'm') {
        None => u64::MAX,
        Some(text) if at(text, 0) == b'-' && number(after(text, 1)).is_some() => u64::MAX,
        Some(text) => wanted(number(text), "max count", text, 2)?,
    };
    let recursive = tool.opts.last(b"rR");
    let mut mode = tool.opts.last(b"clL");
    if tool.has(b'c') && tool.opts.last(b"lL") == 0 {
        mode = b'c';
    } else if tool.opts.last(b"lL") != 0 {
        mode = tool.opts.last(b"lL");
    }
    if tool.has(b'q') {
        mode = b'q';
    }
    let color = match tool.opts.value(b'k') {
        Some(b"always" | b"yes" | b"force") => true,
        Some(b"" | b"auto" | b"tty" | b"if-tty") => tool.ctx.stdout_is_terminal && tool.ctx.var("NO_COLOR").is_none(),
        None | Some(b"never" | b"no" | b"none") => false,
        Some(other) => return bad(&format!("invalid argument '{}' for '--color'", lossy(other))),
    };
    let mut operands = std::mem::take(&mut tool.opts.rest);
    let whole_dir = operands.is_empty() && recursive != 0;
    if operands.is_empty() {
        operands.push(if recursive != 0 { b".".to_vec() } else { b"-".to_vec() });
    }
    let several = operands.len() > 1 || recursive != 0 && operands.first().is_some_and(|name| path(name).is_dir());
    let separator =
        if tool.opts.last(b"gN") == b'N' { None } else { Some(tool.opts.value(b'g').unwrap_or(b"--").to_vec()) };
    let mut grep = Grep {
        patterns,
        invert: tool.has(b'v'),
        mode,
        only: tool.has(b'o'),
        numbers: tool.has(b'n'),
        offsets: tool.has(b'b'),
        names: match tool.opts.last(b"Hh") {
            b'H' => true,
            b'h' => false,
            _ => several,
        },
        before: if tool.has(b'o') { 0 } else { small(before) },
        behind: if tool.has(b'o') { 0 } else { small(behind) },
        most,
        end: if tool.has(b'z') { 0 } else { b'\n' },
        null: tool.has(b'Z'),
        color,
        binary: match (tool.opts.last(b"aIV"), tool.opts.value(b'V')) {
            (b'a', _) | (b'V', Some(b"text")) => b't',
            (b'I', _) | (b'V', Some(b"without-match")) => b'w',
            (b'V', Some(b"binary")) | (0, _) => 0,
            (_, other) => {
                return bad(&format!("invalid argument '{}' for '--binary-files'", lossy(other.unwrap_or_default())));
            }
        },
        separator,
        quiet: tool.has(b's'),
        line_buffered: tool.has(b'u'),
        label: tool.opts.value(b'p').unwrap_or(b"(standard input)").to_vec(),
        includes: tool
            .opts
            .seen
            .iter()
            .filter(|(id, _)| b"jt".contains(id))
            .map(|(id, value)| (*id == b'j', value.clone()))
            .collect(),
        exclude_dirs: tool.opts.values(b'd').map(|text| text.strip_suffix(b"/").unwrap_or(text).to_vec()).collect(),
        found: false,
        failed: false,
        printed: false,
    };
    for operand in operands {
        let strip = if whole_dir { 2 } else { 0 };
        grep.walk(&mut tool, &operand, recursive, strip, true)?;
        if grep.mode == b'q' && grep.found {
            return Ok(Exit::OK);
        }
    }
    Ok(Exit(if grep.failed { 2 } else { u8::from(!grep.found) }))
}

impl Grep {
    fn complain(&mut self, tool: &mut Tool<'_>, name: &[u8], error: &io::Error) {
        self.failed = true;
        if !self.quiet {
            tool.fail(name, error);
        }
    }

    fn excluded(&self, name: &[u8]) -> bool {
        let base = crate::base::base_name(name);
        let fits = |pattern: &[u8]| glob::matches(pattern, base, 0) || glob::matches(pattern, name, 0);
        let mut out = self.includes.first().is_some_and(|(include, _)| *include);
        for (include, pattern) in &self.includes {
            if fits(pattern) {
                out = !include;
            }
        }
        out
    }

    fn walk(
        &mut self,
        tool: &mut Tool<'_>,
        name: &[u8],
        recursive: u8,
        strip: usize,
        operand: bool,
    ) -> Result<(), Error> {
        if name == b"-" && operand {
            let mut input = BufReader::new(crate::base::stdin()?);
            let label = self.label.clone();
            return self.file(tool, &mut input, &label);
        }
        let data = if operand || recursive == b'R' {
            std::fs::metadata(path(name))
        } else {
            std::fs::symlink_metadata(path(name))
        };
        let data = match data {
            Ok(data) => data,
            Err(error) => {
                self.complain(tool, name, &error);
                return Ok(());
            }
        };
        if data.is_dir() && recursive != 0 {
            let base = crate::base::base_name(name);
            if self.exclude_dirs.iter().any(|pattern| glob::matches(pattern, base, 0) || pattern == name) {
                return Ok(());
            }
            let entries = match std::fs::read_dir(path(name)) {
                Ok(entries) => entries,
                Err(error) => {
                    self.complain(tool, name, &error);
                    return Ok(());
                }
            };
            for entry in entries.flatten() {
                let child = join(name, entry.file_name().as_bytes());
                self.walk(tool, &child, recursive, strip, false)?;
                if self.mode == b'q' && self.found {
                    break;
                }
            }
            return Ok(());
        }
        if recursive != 0 && !operand && !data.is_file() || self.excluded(name) {
            return Ok(());
        }
        match open(name) {
            Ok(mut input) => self.file(tool, &mut input, after(name, strip)),
            Err(error) => {
                self.complain(tool, name, &error);
                Ok(())
            }
        }
    }

    fn file(&mut self, tool: &mut Tool<'_>, input: &mut BufReader<File>, name: &[u8]) -> Result<(), Error> {
        let broken = |text: String| Error::new(Exit(2), format!("{}: {text}", lossy(name)));
        let head = match io::BufRead::fill_buf(input) {
            Ok(head) => head,
            Err(error) => {
                self.complain(tool, name, &error);
                return Ok(());
            }
        };
        let mut binary = self.binary != b't' && self.end != 0 && part(head, 0, 1 << 15).contains(&0);
        if binary && self.binary == b'w' {
            return Ok(());
        }
        let mut held: VecDeque<(u64, u64, Bytes)> = VecDeque::new();
        let (mut count, mut behind, mut line_number, mut offset) = (0u64, 0usize, 0u64, 0u64);
        let mut last_printed = 0;
        let mut line = Bytes::new();
        if self.most == 0 && self.mode == 0 {
            return Ok(());
        }
        loop {
            match read_line(input, self.end, &mut line) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.complain(tool, name, &error);
                    break;
                }
            }
            line_number += 1;
            let begin = offset;
            offset += line.len() as u64;
            line.pop_if(|byte| *byte == self.end);
            let selected = count < self.most && self.patterns.matches(&line).map_err(broken)? != self.invert;
            if !selected {
                if self.mode != 0 {
                    if count >= self.most {
                        break;
                    }
                    continue;
                }
                if behind > 0 {
                    behind -= 1;
                    self.print(tool, name, &line, (line_number, begin), false)?;
                    last_printed = line_number;
                } else if count >= self.most {
                    break;
                } else if self.before > 0 {
                    if held.len() >= self.before {
                        held.pop_front();
                    }
                    held.push_back((line_number, begin, line.clone()));
                }
                continue;
            }
            count += 1;
            self.found = true;
            match self.mode {
                b'q' => return Ok(()),
                b'l' | b'L' => break,
                b'c' => continue,
                _ => {}
            }
            let unclean =
                self.end != 0 && (line.contains(&0) || self.patterns.utf8 && std::str::from_utf8(&line).is_err());
            binary |= self.binary != b't' && unclean;
            if binary {
                if self.binary != b'w' {
                    let text = format!("{}: {}: binary file matches", tool.ctx.name, lossy(name));
                    tool.ctx.say(&text);
                }
                return Ok(());
            }
            let context = self.before > 0 || self.behind > 0;
            let first = held.front().map_or(line_number, |(number, ..)| *number);
            if context
                && self.printed
                && (last_printed == 0 || first > last_printed + 1)
                && let Some(separator) = &self.separator
            {
                let text = if self.color {
                    [b"\x1b[36m\x1b[K".as_slice(), separator, b"\x1b[m\x1b[K\n"].concat()
                } else {
                    [separator.as_slice(), b"\n"].concat()
                };
                tool.put(&text)?;
            }
            for (number, begin, text) in std::mem::take(&mut held) {
                self.print(tool, name, &text, (number, begin), false)?;
            }
            self.print(tool, name, &line, (line_number, begin), true)?;
            self.printed = true;
            last_printed = line_number;
            behind = self.behind;
            if self.line_buffered || tool.ctx.stdout_is_terminal {
                tool.ctx.stdout.flush()?;
            }
            if count >= self.most && behind == 0 {
                break;
            }
        }
        // With a limit reached, what follows is left to whoever shares the file.
        if count >= self.most && self.most > 0 {
            let over = i64::try_from(input.buffer().len()).unwrap_or(0);
            let _ = io::Seek::seek(input.get_mut(), io::SeekFrom::Current(-over));
        }
        match self.mode {
            b'c' => {
                let mut text = Bytes::new();
                if self.names {
                    self.colored(&mut text, b"35", name);
                    if self.null { text.push(0) } else { self.colored(&mut text, b"36", b":") }
                }
                let _ = writeln!(text, "{count}");
                tool.put(&text)
            }
            b'l' | b'L' if (self.mode == b'l') == (count > 0) => {
                let mut text = Bytes::new();
                self.colored(&mut text, b"35", name);
                text.push(if self.null { 0 } else { b'\n' });
                tool.put(&text)
            }
            _ => Ok(()),
        }
    }

    fn colored(&self, out: &mut Bytes, code: &[u8], text: &[u8]) {
        if self.color && !text.is_empty() {
            out.extend_from_slice(&[b"\x1b[", code, b"m\x1b[K", text, b"\x1b[m\x1b[K"].concat());
        } else {
            out.extend_from_slice(text);
        }
    }

    fn head(&self, out: &mut Bytes, name: &[u8], number: u64, offset: u64, sign: u8) {
        if self.names {
            self.colored(out, b"35", name);
            if self.null { out.push(0) } else { self.colored(out, b"36", &[sign]) }
        }
        for (wanted, value) in [(self.numbers, number), (self.offsets, offset)] {
            if wanted {
                self.colored(out, b"32", value.to_string().as_bytes());
                self.colored(out, b"36", &[sign]);
            }
        }
    }

    fn print(
        &mut self,
        tool: &mut Tool<'_>,
        name: &[u8],
        line: &[u8],
        (number, offset): (u64, u64),
        selected: bool,
    ) -> Result<(), Error> {
        let sign = if selected { b':' } else { b'-' };
        let mut out = Bytes::new();
        let broken = |text: String| Error::new(Exit(2), format!("{}: {text}", lossy(name)));
        if self.only {
            if self.invert {
                return Ok(());
            }
            let mut from = 0;
            while from <= line.len()
                && let Some((start, end)) = self.patterns.find(line, from).map_err(broken)?
            {
                if end > start {
                    self.head(&mut out, name, number, offset + start as u64, sign);
                    self.colored(&mut out, b"01;31", part(line, start, end));
                    out.push(self.end);
                }
                from = end.max(
                    start
                        + char_at(line, start, self.patterns.utf8)
                            .map_or(1, |(_, length)| length.min(end.max(start + 1) - start)),
                );
            }
            return tool.put(&out);
        }
        self.head(&mut out, name, number, offset, sign);
        if self.color && selected != self.invert {
            let mut from = 0;
            while from <= line.len()
                && let Some((start, end)) = self.patterns.find(line, from).map_err(broken)?
            {
                let end_of_copy = end.max((start + 1).min(line.len()));
                out.extend_from_slice(part(line, from, start));
                self.colored(&mut out, b"01;31", part(line, start, end));
                if end == start {
                    out.extend_from_slice(part(line, start, end_of_copy));
                }
                from = end_of_copy;
                if from >= line.len() {
                    break;
                }
            }
            out.extend_from_slice(after(line, from));
        } else {
            out.extend_from_slice(line);
        }
        out.push(self.end);
        tool.put(&out)
    }
}
