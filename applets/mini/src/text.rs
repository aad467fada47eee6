//! cat, head, tail, wc, tee, tac, rev: what passes text through or counts it (POSIX.1-2017; coreutils 9.1).

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;

use netkit_core::{Ctx, Error};

use crate::base::{
    Bytes, CHUNK, CopyError, Outcome, Tool, after, at, char_at, copy, lossy, open, part, path, size, stdin, utf8,
    wanted, words,
};

/// How one byte looks under -v: `^A`, `M-x`.
pub(crate) fn visible(byte: u8, out: &mut Bytes) {
    let mut low = byte;
    if byte >= 0x80 {
        out.extend_from_slice(b"M-");
        low &= 0x7f;
    }
    match low {
        0..32 => out.extend_from_slice(&[b'^', low + 64]),
        127 => out.extend_from_slice(b"^?"),
        _ => out.push(low),
    }
}

pub(crate) fn cat(ctx: &mut Ctx) -> Outcome {
    let spec = "A.show-all b.number-nonblank e E.show-ends n.number s.squeeze-blank t T.show-tabs u v.show-nonprinting";
    let mut tool = Tool::new(ctx, spec, 1)?;
    let any = |tool: &Tool<'_>, ids: &[u8]| tool.opts.last(ids) != 0;
    let (ends, tabs, shown) = (any(&tool, b"AeE"), any(&tool, b"AtT"), any(&tool, b"Aetv"));
    let (squeeze, filled) = (tool.has(b's'), tool.has(b'b'));
    let numbers = filled || tool.has(b'n');
    let plain = !ends && !tabs && !shown && !squeeze && !numbers;
    // The line begins here; so many empty lines came before; the line's number.
    let (mut begin, mut empty, mut line) = (true, 0, 0u64);
    for name in tool.inputs() {
        let Some(mut input) = tool.open(&name) else { continue };
        if plain {
            match copy(input.get_mut(), &mut tool.ctx.stdout) {
                Ok(_) => {}
                Err(CopyError::Read(error)) => tool.fail(&name, &error),
                Err(CopyError::Write(error)) => return Err(error.into()),
            }
            continue;
        }
        let mut out = Bytes::new();
        loop {
            out.clear();
            let used = match input.fill_buf() {
                Ok([]) => break,
                Ok(bytes) => {
                    for byte in bytes {
                        let byte = *byte;
                        if begin {
                            if byte == b'\n' {
                                empty += 1;
                                if squeeze && empty > 1 {
                                    continue;
                                }
                            } else {
                                empty = 0;
                            }
                            if numbers && !(filled && byte == b'\n') {
                                line += 1;
                                let _ = write!(out, "{line:6}\t");
                            }
                        }
                        begin = byte == b'\n';
                        match byte {
                            b'\n' => {
                                if ends {
                                    out.push(b'$');
                                }
                                out.push(b'\n');
                            }
                            b'\t' if tabs => out.extend_from_slice(b"^I"),
                            b'\t' => out.push(b'\t'),
                            _ if shown => visible(byte, &mut out),
                            _ => out.push(byte),
                        }
                    }
                    bytes.len()
                }
                Err(error) => {
                    tool.fail(&name, &error);
                    break;
                }
            };
            input.consume(used);
            tool.put(&out)?;
        }
    }
    tool.done()
}

/// `head -5` and `tail +5f` as POSIX had them once: the number becomes the value of -n.
fn old_style(ctx: &Ctx, plus: bool) -> Vec<Bytes> {
    let mut list = words(ctx);
    if let Some(first) = list.first_mut()
        && (at(first, 0) == b'-' || plus && at(first, 0) == b'+')
        && at(first, 1).is_ascii_digit()
    {
        let digits = first.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
        let (mut letter, mut unit, mut more) = (b'n', Bytes::new(), Bytes::new());
        for byte in after(first, digits + 1) {
            match byte {
                b'c' => letter = b'c',
                b'l' => letter = b'n',
                b'b' | b'k' | b'm' => {
                    letter = b'c';
                    unit = vec![if *byte == b'b' { b'b' } else { byte.to_ascii_uppercase() }];
                }
                other => more.push(*other),
            }
        }
        let sign: &[u8] = if at(first, 0) == b'+' { b"+" } else { b"" };
        let value = [&[b'-', letter], sign, part(first, 1, digits + 1), &unit].concat();
        *first = value;
        if !more.is_empty() {
            list.insert(1, [b"-", more.as_slice()].concat());
        }
    }
    list
}

/// The `==> name <==` above each of several files.
fn title(tool: &mut Tool<'_>, name: &[u8], first: &mut bool) -> Result<(), Error> {
    let shown: &[u8] = if name == b"-" { b"standard input" } else { name };
    let line = [if *first { b"" } else { &b"\n"[..] }, b"==> ", shown, b" <==\n"].concat();
    *first = false;
    tool.put(&line)
}

pub(crate) fn head(ctx: &mut Ctx) -> Outcome {
    let list = old_style(ctx, false);
    let mut tool = Tool::with(ctx, list, "c:bytes n:lines q.quiet,silent v.verbose z.zero-terminated", 1)?;
    let end = if tool.has(b'z') { 0 } else { b'\n' };
    let bytes = tool.opts.last(b"cn") == b'c';
    let text = tool.opts.value(if bytes { b'c' } else { b'n' }).unwrap_or(b"10").to_vec();
    let but = text.starts_with(b"-");
    let digits = if but || text.starts_with(b"+") { after(&text, 1) } else { &text };
    let count = wanted(size(digits), if bytes { "number of bytes" } else { "number of lines" }, digits, 1)?;
    let names = tool.inputs();
    let titles = tool.opts.last(b"qv") == b'v' || names.len() > 1 && !tool.has(b'q');
    let mut first = true;
    for name in names {
        let mut input = match open(&name) {
            Ok(input) => input,
            Err(error) => {
                tool.cannot_open(&name, &error);
                continue;
            }
        };
        if titles {
            title(&mut tool, &name, &mut first)?;
        }
        let result = match (bytes, but) {
            (_, true) => head_but(&mut tool, &mut input, bytes, count, end)?,
            _ => head_first(&mut tool, &mut input, bytes, count, end)?,
        };
        if let Err(error) = result {
            tool.complain(&format!("error reading '{}': {}", lossy(&name), crate::base::reason(&error)));
        }
        // What was read too far is left to whoever shares this file.
        let over = i64::try_from(input.buffer().len()).unwrap_or(0);
        if over > 0 && name == b"-" {
            tool.ctx.stdout.flush()?;
            let _ = input.get_mut().seek(SeekFrom::Current(-over));
        }
    }
    tool.done()
}

type Input = BufReader<File>;

fn head_first(
    tool: &mut Tool<'_>,
    input: &mut Input,
    bytes: bool,
    mut count: u64,
    end: u8,
) -> Result<io::Result<()>, Error> {
    while count > 0 {
        let used = match input.fill_buf() {
            Ok([]) => break,
            Ok(buffer) if bytes => {
                let take = usize::try_from(count).unwrap_or(usize::MAX).min(buffer.len());
                tool.ctx.stdout.write_all(part(buffer, 0, take))?;
                count -= take as u64;
                take
            }
            Ok(buffer) => {
                let mut take = buffer.len();
                for (index, _) in buffer.iter().enumerate().filter(|(_, byte)| **byte == end) {
                    count -= 1;
                    if count == 0 {
                        take = index + 1;
                        break;
                    }
                }
                tool.ctx.stdout.write_all(part(buffer, 0, take))?;
                take
            }
            Err(error) => return Ok(Err(error)),
        };
        input.consume(used);
    }
    Ok(Ok(()))
}

/// Everything but the last lines or bytes.
fn head_but(tool: &mut Tool<'_>, input: &mut Input, bytes: bool, count: u64, end: u8) -> Result<io::Result<()>, Error> {
    let keep = usize::try_from(count).unwrap_or(usize::MAX);
    let mut held = std::collections::VecDeque::new();
    let mut total = 0;
    let mut piece = Bytes::new();
    loop {
        piece.clear();
        let read = if bytes {
            piece.resize(CHUNK, 0);
            input.read(&mut piece).map(|count| piece.truncate(count))
        } else {
            input.read_until(end, &mut piece).map(drop)
        };
        if let Err(error) = read {
            return Ok(Err(error));
        }
        if piece.is_empty() {
            break;
        }
        let weight = |piece: &[u8]| if bytes { piece.len() } else { 1 };
        total += weight(&piece);
        held.push_back(piece.clone());
        while let Some(front) = held.front()
            && total - weight(front) >= keep
        {
            total -= weight(front);
            tool.ctx.stdout.write_all(front)?;
            held.pop_front();
        }
    }
    if bytes
        && total > keep
        && let Some(front) = held.front()
    {
        tool.ctx.stdout.write_all(part(front, 0, total - keep))?;
    }
    Ok(Ok(()))
}

pub(crate) fn tail(ctx: &mut Ctx) -> Outcome {
    let list = old_style(ctx, true);
    let spec = "c:bytes n:lines q.quiet,silent v.verbose z.zero-terminated f F _1?follow s:sleep-interval _p:pid _r.retry \
                _m:max-unchanged-stats";
    let mut tool = Tool::with(ctx, list, spec, 1)?;
    let end = if tool.has(b'z') { 0 } else { b'\n' };
    let bytes = tool.opts.last(b"cn") == b'c';
    let text = tool.opts.value(if bytes { b'c' } else { b'n' }).unwrap_or(b"10").to_vec();
    let plus = text.starts_with(b"+");
    let digits = if plus || text.starts_with(b"-") { after(&text, 1) } else { &text };
    let count = wanted(size(digits), if bytes { "number of bytes" } else { "number of lines" }, digits, 1)?;
    let by_name = tool.has(b'F') || tool.opts.value(b'1') == Some(b"name");
    let follow = by_name || tool.opts.last(b"f1") != 0;
    let retry = tool.has(b'F') || tool.has(b'r');
    let mut wait = 0.25;
    if let Some(text) = tool.opts.value(b's') {
        wait = wanted(crate::base::duration(text), "number of seconds", text, 1)?;
    }
    let mut pid = None;
    if let Some(text) = tool.opts.value(b'p') {
        pid = Some(wanted(crate::base::number(text).and_then(|pid| i32::try_from(pid).ok()), "PID", text, 1)?);
    }
    let names = tool.inputs();
    let titles = tool.opts.last(b"qv") == b'v' || names.len() > 1 && !tool.has(b'q');
    let mut first = true;
    let mut followed = Vec::new();
    for name in names {
        let mut input = match open(&name) {
            Ok(input) => input,
            Err(error) => {
                tool.cannot_open(&name, &error);
                if follow && retry {
                    followed.push(Followed { name, file: None, size: 0 });
                }
                continue;
            }
        };
        if titles {
            title(&mut tool, &name, &mut first)?;
        }
        let read = if plus {
            tail_from(&mut tool, &mut input, bytes, count, end)?
        } else {
            tail_last(&mut tool, &mut input, bytes, count, end)?
        };
        if let Err(error) = read {
            tool.complain(&format!("error reading '{}': {}", lossy(&name), crate::base::reason(&error)));
            continue;
        }
        let size = input.stream_position().unwrap_or(0);
        followed.push(Followed { name, file: Some(input.into_inner()), size });
    }
    if follow && !followed.is_empty() {
        follow_files(&mut tool, followed, (by_name, retry, titles), wait, pid)?;
    }
    tool.done()
}

fn tail_from(
    tool: &mut Tool<'_>,
    input: &mut Input,
    bytes: bool,
    count: u64,
    end: u8,
) -> Result<io::Result<()>, Error> {
    let mut skip = count.saturating_sub(1);
    while skip > 0 {
        let used = match input.fill_buf() {
            Ok([]) => return Ok(Ok(())),
            Ok(buffer) if bytes => {
                let take = usize::try_from(skip).unwrap_or(usize::MAX).min(buffer.len());
                skip -= take as u64;
                take
            }
            Ok(buffer) => {
                let found = buffer.iter().position(|byte| *byte == end);
                skip -= u64::from(found.is_some());
                found.map_or(buffer.len(), |index| index + 1)
            }
            Err(error) => return Ok(Err(error)),
        };
        input.consume(used);
    }
    tool.put(input.buffer())?;
    let used = input.buffer().len();
    input.consume(used);
    match copy(input.get_mut(), &mut tool.ctx.stdout) {
        Ok(_) => Ok(Ok(())),
        Err(CopyError::Read(error)) => Ok(Err(error)),
        Err(CopyError::Write(error)) => Err(error.into()),
    }
}

/// The last lines or bytes: from the end where the file can be positioned, else what the end of the stream left.
fn tail_last(
    tool: &mut Tool<'_>,
    input: &mut Input,
    bytes: bool,
    count: u64,
    end: u8,
) -> Result<io::Result<()>, Error> {
    let file = input.get_mut();
    let regular = file.metadata().is_ok_and(|data| data.is_file() && data.size() > 0);
    if regular && let (Ok(from), Ok(size)) = (file.stream_position(), file.seek(SeekFrom::End(0))) {
        let start = if bytes { Ok(size.saturating_sub(count)) } else { line_start(file, from, size, count, end) };
        let result = start.and_then(|start| file.seek(SeekFrom::Start(start.max(from))));
        if let Err(error) = result {
            return Ok(Err(error));
        }
        return match copy(file, &mut tool.ctx.stdout) {
            Ok(_) => Ok(Ok(())),
            Err(CopyError::Read(error)) => Ok(Err(error)),
            Err(CopyError::Write(error)) => Err(error.into()),
        };
    }
    let keep = usize::try_from(count).unwrap_or(usize::MAX);
    let mut held = std::collections::VecDeque::new();
    let mut total = 0;
    let mut piece = Bytes::new();
    loop {
        piece.clear();
        let read = if bytes {
            piece.resize(CHUNK, 0);
            input.read(&mut piece).map(|count| piece.truncate(count))
        } else {
            input.read_until(end, &mut piece).map(drop)
        };
        if let Err(error) = read {
            return Ok(Err(error));
        }
        if piece.is_empty() {
            break;
        }
        let weight = |piece: &[u8]| if bytes { piece.len() } else { 1 };
        total += weight(&piece);
        held.push_back(piece.clone());
        while let Some(front) = held.front()
            && total - weight(front) >= keep
        {
            total -= weight(front);
            held.pop_front();
        }
    }
    let mut skip = if bytes { total.saturating_sub(keep) } else { 0 };
    for piece in held {
        tool.put(after(&piece, skip))?;
        skip = 0;
    }
    Ok(Ok(()))
}

/// Where the last `count` lines begin.
fn line_start(file: &mut File, from: u64, size: u64, count: u64, end: u8) -> io::Result<u64> {
    if count == 0 {
        return Ok(size);
    }
    let mut buffer = vec![0; 1 << 16];
    let (mut place, mut left) = (size, count);
    while place > from {
        let begin = place.saturating_sub(buffer.len() as u64).max(from);
        let length = usize::try_from(place - begin).unwrap_or(0);
        file.seek(SeekFrom::Start(begin))?;
        let Some(piece) = buffer.get_mut(..length) else { break };
        file.read_exact(piece)?;
        for (index, _) in piece.iter().enumerate().rev().filter(|(_, byte)| **byte == end) {
            let behind = begin + index as u64 + 1;
            // The end of the last line ends no line before it.
            if behind < size {
                left -= 1;
                if left == 0 {
                    return Ok(behind);
                }
            }
        }
        place = begin;
    }
    Ok(from)
}

/// A file that -f watches.
struct Followed {
    name: Bytes,
    file: Option<File>,
    /// How far it was read, as far as that can be known.
    size: u64,
}

fn follow_files(
    tool: &mut Tool<'_>,
    mut list: Vec<Followed>,
    (by_name, retry, titles): (bool, bool, bool),
    wait: f64,
    pid: Option<i32>,
) -> Result<(), Error> {
    let mut last = list.len().wrapping_sub(1);
    let mut buffer = vec![0; CHUNK];
    loop {
        for (index, watched) in list.iter_mut().enumerate() {
            if by_name && watched.name != b"-" {
                reopen(tool, watched, retry);
            }
            let Some(file) = &mut watched.file else { continue };
            if let Ok(data) = file.metadata()
                && data.is_file()
                && data.size() < watched.size
            {
                tool.ctx.say(&format!("{}: {}: file truncated", tool.ctx.name, lossy(&watched.name)));
                let _ = file.seek(SeekFrom::Start(0));
                watched.size = 0;
            }
            loop {
                let count = match file.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => {
                        tool.complain(&format!(
                            "error reading '{}': {}",
                            lossy(&watched.name),
                            crate::base::reason(&error)
                        ));
                        break;
                    }
                };
                watched.size += count as u64;
                if titles && last != index {
                    title(tool, &watched.name, &mut false)?;
                }
                last = index;
                tool.put(part(&buffer, 0, count))?;
            }
        }
        tool.ctx.stdout.flush()?;
        if list.iter().all(|watched| watched.file.is_none()) && !retry {
            tool.complain("no files remaining");
            return Ok(());
        }
        if pid.is_some_and(crate::system::is_gone) {
            return Ok(());
        }
        if crate::system::wait_or_closed(wait) {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
    }
}

/// Looks whether the name stands for another file now.
fn reopen(tool: &mut Tool<'_>, watched: &mut Followed, retry: bool) {
    let shown = lossy(&watched.name);
    let id = |data: std::fs::Metadata| (data.dev(), data.ino());
    let now = std::fs::metadata(path(&watched.name)).map(id);
    let held = watched.file.as_ref().and_then(|file| file.metadata().ok()).map(id);
    match now {
        Err(error) => {
            if held.is_some() && retry {
                tool.complain(&format!("'{shown}' has become inaccessible: {}", crate::base::reason(&error)));
                watched.file = None;
                watched.size = 0;
            }
        }
        Ok(now) if held != Some(now) => {
            if let Ok(file) = File::open(path(&watched.name)) {
                let what = if held.is_some() { "been replaced" } else { "appeared" };
                tool.ctx.say(&format!("{}: '{shown}' has {what};  following new file", tool.ctx.name));
                watched.file = Some(file);
                watched.size = 0;
            }
        }
        Ok(_) => {}
    }
}

pub(crate) fn wc(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "c.bytes l.lines L.max-line-length m.chars w.words", 1)?;
    let wide = utf8(tool.ctx);
    let mut chosen: Vec<bool> = b"lwmcL".iter().map(|id| tool.has(*id)).collect();
    if !chosen.contains(&true) {
        chosen = vec![true, true, false, true, false];
    }
    let implicit = tool.opts.rest.is_empty();
    let names = tool.inputs();
    // As wide as the sum of all sizes; seven where a size is not known beforehand.
    let columns = chosen.iter().filter(|one| **one).count();
    let mut width = 1;
    if columns > 1 || names.len() > 1 {
        let (mut sum, mut least) = (0u64, 1);
        for name in &names {
            let data =
                if name == b"-" { stdin().and_then(|file| file.metadata()) } else { std::fs::metadata(path(name)) };
            match data {
                Ok(data) if data.is_file() => sum += data.size(),
                Ok(_) => least = 7,
                Err(_) => {}
            }
        }
        width = sum.to_string().len().max(least);
    }
    let only_bytes = chosen == [false, false, false, true, false];
    let only_lines = chosen == [true, false, false, false, false];
    let mut totals = [0u64; 5];
    let many = names.len() > 1;
    for name in names {
        let Some(mut input) = tool.open(&name) else { continue };
        let counts = if only_bytes || only_lines {
            count_fast(input.get_mut(), only_lines)
        } else {
            count_all(&mut input, wide)
        };
        let counts = match counts {
            Ok(counts) => counts,
            Err(error) => {
                tool.fail(&name, &error);
                [0; 5]
            }
        };
        for (index, (total, count)) in totals.iter_mut().zip(counts).enumerate() {
            *total = if index == 4 { (*total).max(count) } else { *total + count };
        }
        let shown: &[u8] = if implicit { b"" } else { &name };
        wc_line(&mut tool, &chosen, &counts, width, shown)?;
    }
    if many {
        wc_line(&mut tool, &chosen, &totals, width, b"total")?;
    }
    tool.done()
}

fn wc_line(tool: &mut Tool<'_>, chosen: &[bool], counts: &[u64], width: usize, name: &[u8]) -> Result<(), Error> {
    let mut line = Bytes::new();
    for (count, _) in counts.iter().zip(chosen).filter(|(_, chosen)| **chosen) {
        if !line.is_empty() {
            line.push(b' ');
        }
        let _ = write!(line, "{count:width$}");
    }
    if !name.is_empty() {
        line.push(b' ');
        line.extend_from_slice(name);
    }
    line.push(b'\n');
    tool.put(&line)
}

fn count_fast(file: &mut File, lines: bool) -> io::Result<[u64; 5]> {
    let mut counts = [0; 5];
    let mut buffer = vec![0; CHUNK];
    if !lines
        && let Ok(data) = file.metadata()
        && data.is_file()
        && data.size() > 0
    {
        let place = file.stream_position()?;
        counts[3] = data.size().saturating_sub(place);
        return Ok(counts);
    }
    loop {
        let count = match file.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if count == 0 {
            return Ok(counts);
        }
        counts[3] += count as u64;
        // Sums of 128 bytes fit into one, which lets the compiler count many at once.
        for piece in part(&buffer, 0, count).chunks(128) {
            counts[0] += u64::from(piece.iter().fold(0u8, |sum, byte| sum + u8::from(*byte == b'\n')));
        }
    }
}

/// Lines, words, characters, bytes, and the longest line.
fn count_all(input: &mut Input, wide: bool) -> io::Result<[u64; 5]> {
    let mut counts = [0; 5];
    let (mut word, mut column) = (false, 0u64);
    let mut line = Bytes::new();
    // Lines only so that no character is cut; a long one is taken in pieces.
    loop {
        line.clear();
        let read = input.by_ref().take(CHUNK as u64).read_until(b'\n', &mut line)?;
        if read == 0 {
            counts[1] += u64::from(word);
            counts[4] = counts[4].max(column);
            return Ok(counts);
        }
        while wide && line.len() >= CHUNK && at(&line, line.len() - 1) >= 0x80 {
            let mut one = [0];
            if input.read(&mut one)? == 0 {
                break;
            }
            line.extend_from_slice(&one);
        }
        counts[3] += line.len() as u64;
        let mut from = 0;
        while let Some((c, length)) = char_at(&line, from, wide) {
            from += length;
            counts[2] += u64::from(c < 0x11_0000 || !wide);
            let space = matches!(c, 9..=13 | 32) || c > 0x80 && char::from_u32(c).is_some_and(char::is_whitespace);
            if space {
                counts[1] += u64::from(word);
                word = false;
            } else if c > 32 && c != 127 && c < 0x11_0000 {
                word = true;
            }
            match c {
                10 | 12 | 13 => {
                    counts[4] = counts[4].max(column);
                    column = 0;
                    counts[0] += u64::from(c == 10);
                }
                9 => column += 8 - column % 8,
                _ if c >= 32 && c != 127 && c < 0x11_0000 => column += 1,
                _ => {}
            }
        }
    }
}

pub(crate) fn tee(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "a.append i.ignore-interrupts p _o?output-error", 1)?;
    if tool.has(b'i') {
        let _ = netkit_sys::process::set_signal(nix::libc::SIGINT, netkit_sys::process::Disposition::Ignore);
    }
    let append = tool.has(b'a');
    let keep = tool.has(b'p') || tool.has(b'o');
    let mut outputs: Vec<(Bytes, File)> = Vec::new();
    for name in std::mem::take(&mut tool.opts.rest) {
        match OpenOptions::new().write(true).create(true).append(append).truncate(!append).open(path(&name)) {
            Ok(file) => outputs.push((name, file)),
            Err(error) => tool.fail(&name, &error),
        }
    }
    let mut input = stdin()?;
    let mut buffer = vec![0; CHUNK];
    let mut open = true;
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tool.complain(&format!("read error: {}", crate::base::reason(&error)));
                break;
            }
        };
        let piece = part(&buffer, 0, count);
        if open && let Err(error) = tool.ctx.stdout.write_all(piece).and_then(|()| tool.ctx.stdout.flush()) {
            if !keep {
                return Err(error.into());
            }
            open = false;
        }
        let mut broken = Vec::new();
        for (name, file) in &mut outputs {
            if let Err(error) = file.write_all(piece) {
                broken.push((name.clone(), error));
            }
        }
        for (name, error) in broken {
            tool.fail(&name, &error);
            outputs.retain(|(own, _)| *own != name);
        }
        if outputs.is_empty() && !open {
            break;
        }
    }
    tool.done()
}

pub(crate) fn tac(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "", 1)?;
    for name in tool.inputs() {
        let Some(mut input) = tool.open(&name) else { continue };
        let mut text = Bytes::new();
        if let Err(error) = input.read_to_end(&mut text) {
            tool.fail(&name, &error);
            continue;
        }
        let mut end = text.len();
        while end > 0 {
            let start = part(&text, 0, end - 1).iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
            tool.put(part(&text, start, end))?;
            end = start;
        }
    }
    tool.done()
}

pub(crate) fn rev(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "", 1)?;
    let wide = utf8(tool.ctx);
    let mut line = Bytes::new();
    for name in tool.inputs() {
        let Some(mut input) = tool.open(&name) else { continue };
        while tool.line(&mut input, &name, b'\n', &mut line) {
            let newline = line.pop_if(|byte| *byte == b'\n').is_some();
            // In place: the bytes of each character backwards, then all of them.
            let mut from = 0;
            while let Some((_, length)) = char_at(&line, from, wide) {
                if let Some(one) = line.get_mut(from..from + length) {
                    one.reverse();
                }
                from += length;
            }
            line.reverse();
            tool.put(&line)?;
            if newline {
                tool.put(b"\n")?;
            }
        }
    }
    tool.done()
}
