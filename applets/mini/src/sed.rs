//! sed at work (POSIX.1-2017; GNU sed 4.9).

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use netkit_core::{Ctx, Error, Exit};

use crate::base::{
    Bytes, CHUNK, Outcome, Tool, after, at, base_name, char_at, dir_name, join, lossy, number, open, part, path, utf8,
};
use crate::posix::Syntax;
use crate::sed_script::{Address, Argument, Command, Piece, Script, Substitute, parse};

/// A stream that is written, and whether its last line lacks a newline.
struct Output {
    to: Option<Box<dyn Write>>,
    open_line: bool,
}

/// What is printed at the end of a cycle.
enum Queued {
    Text(Bytes),
    File(Bytes),
}

struct Sed {
    script: Script,
    quiet: bool,
    end: u8,
    utf8: bool,
    unbuffered: bool,
    wrap: usize,
    /// Every file is a stream of its own; edited in place.
    separate: bool,
    in_place: Option<Bytes>,
    posix: bool,
    names: std::vec::IntoIter<Bytes>,
    input: Option<BufReader<File>>,
    name: Bytes,
    /// What the edited file becomes.
    temporary: Option<Bytes>,
    line: u64,
    space: Bytes,
    /// The line that was read had a newline.
    ended: bool,
    hold: Bytes,
    queue: Vec<Queued>,
    /// Index 0 is stdout, the others are the script's files.
    outputs: Vec<Output>,
    /// Files that `R` reads.
    readers: Vec<(Bytes, Option<BufReader<File>>)>,
    /// Per command: the range is active until this line; `MAX` while it waits for a pattern.
    ranges: Vec<Option<u64>>,
    last_pattern: Option<usize>,
}

const SPEC: &str = "n.quiet,silent e:expression f:file E.regexp-extended r i?in-place l:line-length s.separate \
                    u.unbuffered z.null-data _p.posix _S.sandbox _F.follow-symlinks";

pub(crate) fn sed(ctx: &mut Ctx) -> Outcome {
    let utf8 = utf8(ctx);
    let mut tool = Tool::new(ctx, SPEC, 1)?;
    let mut text: Option<Bytes> = None;
    for (id, value) in &tool.opts.seen {
        let mut piece = match id {
            b'e' => value.clone(),
            b'f' => {
                let mut content = Bytes::new();
                if let Err(error) = open(value).and_then(|mut file| io::Read::read_to_end(&mut file, &mut content)) {
                    let message = format!("couldn't open file {}: {}", lossy(value), crate::base::reason(&error));
                    return Err(Error::new(Exit(1), message));
                }
                content.pop_if(|byte| *byte == b'\n');
                content
            }
            _ => continue,
        };
        match &mut text {
            Some(text) => {
                text.push(b'\n');
                text.append(&mut piece);
            }
            None => text = Some(piece),
        }
    }
    let text = match text {
        Some(text) => text,
        None if tool.opts.rest.is_empty() => {
            return Err(Error::new(Exit(1), "no script: usage: sed [OPTION]... {SCRIPT} [FILE]..."));
        }
        None => tool.opts.rest.remove(0),
    };
    let syntax = Syntax { extended: tool.opts.last(b"Er") != 0, utf8, sed: true, ..Syntax::default() };
    let script = parse(&text, syntax).map_err(|error| Error::new(Exit(1), error))?;
    if tool.has(b'S') && script.commands.iter().any(|command| b"rRwW".contains(&command.letter)) {
        return Err(Error::new(Exit(1), "e/r/w commands disabled in sandbox mode"));
    }
    let wrap = match tool.opts.value(b'l') {
        None => 70,
        Some(text) => usize::try_from(crate::base::wanted(number(text), "line length", text, 1)?).unwrap_or(0),
    };
    let in_place = tool.opts.value(b'i').map(<[u8]>::to_vec);
    let mut outputs = vec![Output { to: None, open_line: false }];
    for name in &script.files {
        let to: Option<Box<dyn Write>> = match name.as_slice() {
            b"/dev/stdout" => None,
            b"/dev/stderr" => Some(Box::new(io::stderr())),
            _ => match File::create(path(name)) {
                Ok(file) => Some(Box::new(BufWriter::new(file))),
                Err(error) => {
                    let message = format!("couldn't open file {}: {}", lossy(name), crate::base::reason(&error));
                    return Err(Error::new(Exit(4), message));
                }
            },
        };
        outputs.push(Output { to, open_line: false });
    }
    let ranges = script.commands.iter().map(|_| None).collect();
    let mut sed = Sed {
        quiet: tool.has(b'n') || script.quiet,
        script,
        end: if tool.has(b'z') { 0 } else { b'\n' },
        utf8,
        unbuffered: tool.has(b'u'),
        wrap,
        separate: tool.has(b's') || in_place.is_some(),
        in_place,
        posix: tool.has(b'p'),
        names: tool.inputs().into_iter(),
        input: None,
        name: b"-".to_vec(),
        temporary: None,
        line: 0,
        space: Bytes::new(),
        ended: true,
        hold: Bytes::new(),
        queue: Vec::new(),
        outputs,
        readers: Vec::new(),
        ranges,
        last_pattern: None,
    };
    let status = sed.run(&mut tool)?;
    sed.close_input(&mut tool);
    for output in &mut sed.outputs {
        if let Some(to) = &mut output.to {
            to.flush()?;
        }
    }
    Ok(Exit(if status == 0 { tool.status } else { status }))
}

/// How a cycle ends.
enum Flow {
    /// With the space printed unless -n.
    Next,
    /// Without.
    Delete,
    /// From the start without a new line.
    Again,
    /// Altogether, with a status, printing the space or not.
    Quit(u8, bool),
}

impl Sed {
    fn run(&mut self, tool: &mut Tool<'_>) -> Result<u8, Error> {
        let mut again = false;
        loop {
            if !again && !self.read(tool, false)? {
                return Ok(0);
            }
            let flow = self.cycle(tool)?;
            again = matches!(flow, Flow::Again);
            if matches!(flow, Flow::Next | Flow::Quit(_, true)) && !self.quiet {
                let space = std::mem::take(&mut self.space);
                self.put(tool, 0, &space, self.ended)?;
                self.space = space;
            }
            if !matches!(flow, Flow::Quit(_, false)) {
                self.flush_queue(tool)?;
            }
            if self.unbuffered {
                tool.ctx.stdout.flush()?;
            }
            if let Flow::Quit(status, _) = flow {
                self.dump(tool)?;
                return Ok(status);
            }
        }
    }

    /// After `q` an edited file keeps the rest of its lines.
    fn dump(&mut self, tool: &mut Tool<'_>) -> Result<(), Error> {
        if self.temporary.is_none() {
            return Ok(());
        }
        let Some(mut input) = self.input.take() else { return Ok(()) };
        let mut rest = Bytes::new();
        if io::Read::read_to_end(&mut input, &mut rest).is_ok() && !rest.is_empty() {
            let ended = rest.pop_if(|byte| *byte == b'\n').is_some();
            self.put(tool, 0, &rest, ended)?;
        }
        self.input = Some(input);
        Ok(())
    }

    /// Writes a line to one of the outputs.
    fn put(&mut self, tool: &mut Tool<'_>, index: usize, text: &[u8], ended: bool) -> Result<(), Error> {
        let end = [self.end];
        let Some(output) = self.outputs.get_mut(index) else { return Ok(()) };
        let to: &mut dyn Write = match &mut output.to {
            Some(to) => to,
            None => &mut tool.ctx.stdout,
        };
        if std::mem::replace(&mut output.open_line, !ended) {
            to.write_all(&end)?;
        }
        to.write_all(text)?;
        if ended {
            to.write_all(&end)?;
        }
        if index > 0 {
            to.flush()?;
        }
        Ok(())
    }

    fn flush_queue(&mut self, tool: &mut Tool<'_>) -> Result<(), Error> {
        for queued in std::mem::take(&mut self.queue) {
            match queued {
                Queued::Text(text) => {
                    let body = text.strip_suffix(&[b'\n']).unwrap_or(&text);
                    self.raw(tool, body, true)?;
                }
                Queued::File(name) => {
                    let name: &[u8] = if name == b"/dev/stdin" { b"-" } else { &name };
                    let mut content = Bytes::new();
                    if let Ok(mut file) = open(name)
                        && io::Read::read_to_end(&mut file, &mut content).is_ok()
                        && !content.is_empty()
                    {
                        self.raw(tool, &content, false)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Text that has its own newlines.
    fn raw(&mut self, tool: &mut Tool<'_>, text: &[u8], newline: bool) -> Result<(), Error> {
        let Some(output) = self.outputs.first_mut() else { return Ok(()) };
        let to: &mut dyn Write = match &mut output.to {
            Some(to) => to,
            None => &mut tool.ctx.stdout,
        };
        if std::mem::take(&mut output.open_line) {
            to.write_all(&[self.end])?;
        }
        to.write_all(text)?;
        if newline {
            to.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Opens the next file that can be read; false when there is none.
    fn next_file(&mut self, tool: &mut Tool<'_>) -> Result<bool, Error> {
        self.close_input(tool);
        for name in self.names.by_ref() {
            let is_dir = name != b"-" && std::fs::metadata(path(&name)).is_ok_and(|data| data.is_dir());
            if is_dir {
                let what = if self.in_place.is_some() { "couldn't edit" } else { "read error on" };
                let why = if self.in_place.is_some() { "not a regular file" } else { "Is a directory" };
                tool.complain(&format!("{what} {}: {why}", lossy(&name)));
                tool.status = if self.in_place.is_some() { 4 } else { 2 };
                continue;
            }
            let file = match open(&name) {
                Ok(file) => file,
                Err(error) => {
                    tool.complain(&format!("can't read {}: {}", lossy(&name), crate::base::reason(&error)));
                    tool.status = 2;
                    continue;
                }
            };
            if self.separate {
                self.line = 0;
                self.ranges.iter_mut().for_each(|range| *range = None);
            }
            if self.in_place.is_some() && name != b"-" {
                let temporary = join(dir_name(&name), format!(".sed{}", std::process::id()).as_bytes());
                let made = OpenOptions::new().write(true).create_new(true).open(path(&temporary));
                match made {
                    Ok(made) => {
                        if let Ok(data) = file.get_ref().metadata() {
                            let mode = std::fs::Permissions::from_mode(data.mode() & 0o7777);
                            let _ = std::os::unix::fs::fchown(&made, Some(data.uid()), Some(data.gid()));
                            let _ = made.set_permissions(mode);
                        }
                        if let Some(output) = self.outputs.first_mut() {
                            output.to = Some(Box::new(BufWriter::with_capacity(CHUNK, made)));
                            output.open_line = false;
                        }
                        self.temporary = Some(temporary);
                    }
                    Err(error) => {
                        tool.complain(&format!(
                            "couldn't open temporary file {}: {}",
                            lossy(&temporary),
                            crate::base::reason(&error)
                        ));
                        tool.status = 4;
                        continue;
                    }
                }
            }
            self.name = name;
            self.input = Some(file);
            return Ok(true);
        }
        Ok(false)
    }

    /// Ends the current file; an edited one takes its place.
    fn close_input(&mut self, tool: &mut Tool<'_>) {
        self.input = None;
        let Some(temporary) = self.temporary.take() else { return };
        let mut result = Ok(());
        if let Some(output) = self.outputs.first_mut()
            && let Some(mut to) = output.to.take()
        {
            result = to.flush();
            output.open_line = false;
        }
        let suffix = self.in_place.clone().unwrap_or_default();
        if result.is_ok() && !suffix.is_empty() {
            let base = base_name(&self.name);
            let backup = if suffix.contains(&b'*') {
                suffix.split(|byte| *byte == b'*').collect::<Vec<_>>().join(base)
            } else {
                [base, &suffix].concat()
            };
            let backup = if backup.contains(&b'/') { backup } else { join(dir_name(&self.name), &backup) };
            result = std::fs::rename(path(&self.name), path(&backup));
        }
        if let Err(error) = result.and_then(|()| std::fs::rename(path(&temporary), path(&self.name))) {
            tool.complain(&format!("cannot rename {}: {}", lossy(&temporary), crate::base::reason(&error)));
            tool.status = 4;
            let _ = std::fs::remove_file(path(&temporary));
        }
    }

    /// Whether no line is left; with separate files, none in this one.
    fn at_end(&mut self, tool: &mut Tool<'_>) -> Result<bool, Error> {
        loop {
            if let Some(input) = &mut self.input
                && input.fill_buf().is_ok_and(|buffer| !buffer.is_empty())
            {
                return Ok(false);
            }
            if self.separate && self.input.is_some() || self.names.len() == 0 {
                return Ok(true);
            }
            if !self.next_file(tool)? {
                return Ok(true);
            }
        }
    }

    /// Reads a line into the space, or behind a newline there.
    fn read(&mut self, tool: &mut Tool<'_>, append: bool) -> Result<bool, Error> {
        loop {
            if let Some(input) = &mut self.input {
                let from = if append { self.space.len() + 1 } else { 0 };
                if append {
                    self.space.push(self.end);
                } else {
                    self.space.clear();
                }
                match input.read_until(self.end, &mut self.space) {
                    Ok(0) => self.space.truncate(from.saturating_sub(1)),
                    Ok(_) => {
                        self.ended = self.space.pop_if(|byte| *byte == self.end).is_some();
                        self.line += 1;
                        return Ok(true);
                    }
                    Err(error) => {
                        self.space.truncate(from.saturating_sub(1));
                        tool.complain(&format!("read error on {}: {}", lossy(&self.name), crate::base::reason(&error)));
                        tool.status = 2;
                    }
                }
            }
            if !self.next_file(tool)? {
                return Ok(false);
            }
        }
    }

    fn fits(&mut self, tool: &mut Tool<'_>, address: &Address) -> Result<bool, Error> {
        Ok(match address {
            Address::Line(line) => self.line == *line,
            Address::Step(first, step) => self.line >= *first && (self.line - first).is_multiple_of(*step),
            Address::Last => self.at_end(tool)?,
            Address::Pattern(pattern) => self.found(*pattern)?,
            Address::Plus(_) | Address::Multiple(_) => false,
        })
    }

    fn found(&mut self, pattern: Option<usize>) -> Result<bool, Error> {
        self.last_pattern = pattern.or(self.last_pattern);
        let regex = self.last_pattern.and_then(|index| self.script.patterns.get(index));
        let Some(regex) = regex else { return Err(Error::new(Exit(1), "no previous regular expression")) };
        regex.is_match(&self.space).map_err(|error| Error::new(Exit(1), error))
    }

    fn selected(&mut self, tool: &mut Tool<'_>, index: usize, command: &Command) -> Result<bool, Error> {
        let Some(first) = &command.first else { return Ok(true) };
        let Some(second) = &command.second else { return self.fits(tool, first) };
        let mut active = self.ranges.get(index).copied().flatten();
        let mut chosen = true;
        if command.zero && self.line == 1 && active.is_none() {
            active = Some(u64::MAX);
        }
        match active {
            Some(u64::MAX) => {
                if self.fits(tool, second)? {
                    active = None;
                }
            }
            Some(end) => {
                // A range whose end has passed is over, and its command does not run unless the range begins anew.
                if self.line >= end {
                    active = None;
                }
                if self.line > end {
                    chosen = match first {
                        Address::Line(line) => *line == self.line,
                        _ => self.fits(tool, first)?,
                    };
                }
            }
            None => {
                chosen = self.fits(tool, first)? && !(command.zero && matches!(first, Address::Line(0)));
                if chosen {
                    active = match second {
                        Address::Line(line) => (*line > self.line).then_some(*line),
                        Address::Plus(count) => (*count > 0).then_some(self.line.saturating_add(*count)),
                        Address::Multiple(step) if *step > 0 => {
                            let end = self.line.div_ceil(*step).saturating_mul(*step);
                            (end > self.line).then_some(end)
                        }
                        Address::Multiple(_) => None,
                        Address::Last => (!self.at_end(tool)?).then_some(u64::MAX),
                        _ => Some(u64::MAX),
                    };
                }
            }
        }
        if let Some(place) = self.ranges.get_mut(index) {
            *place = active;
        }
        Ok(chosen)
    }

    fn cycle(&mut self, tool: &mut Tool<'_>) -> Result<Flow, Error> {
        // The commands are borrowed while the rest of the state changes.
        let commands = std::mem::take(&mut self.script.commands);
        let result = self.commands(tool, &commands);
        self.script.commands = commands;
        result
    }

    fn commands(&mut self, tool: &mut Tool<'_>, commands: &[Command]) -> Result<Flow, Error> {
        let mut replaced = false;
        let mut index = 0;
        while let Some(command) = commands.get(index) {
            index += 1;
            if self.selected(tool, index - 1, command)? == command.negated {
                if command.letter == b'{'
                    && let Argument::Target(end) = command.argument
                {
                    index = end;
                }
                continue;
            }
            match (command.letter, &command.argument) {
                (b'b', Argument::Target(to)) => index = *to,
                (b't', Argument::Target(to)) => {
                    if std::mem::take(&mut replaced) {
                        index = *to;
                    }
                }
                (b'T', Argument::Target(to)) => {
                    if !std::mem::take(&mut replaced) {
                        index = *to;
                    }
                }
                (b's', Argument::Substitute(own)) => replaced |= self.substitute(tool, own)?,
                (b'y', Argument::Map(map)) => self.translate(map),
                (b'p', _) => self.print_space(tool, 0, usize::MAX)?,
                (b'P', _) => {
                    let end = self.space.iter().position(|byte| *byte == self.end).unwrap_or(usize::MAX);
                    self.print_space(tool, 0, end)?;
                }
                (b'd', _) => return Ok(Flow::Delete),
                (b'D', _) => match self.space.iter().position(|byte| *byte == self.end) {
                    None => return Ok(Flow::Delete),
                    Some(end) => {
                        self.space.drain(..=end);
                        return Ok(Flow::Again);
                    }
                },
                (b'n', _) => {
                    if self.at_end(tool)? && (self.names.len() == 0) {
                        return Ok(if self.posix { Flow::Quit(0, false) } else { Flow::Quit(0, true) });
                    }
                    if !self.quiet {
                        self.print_space(tool, 0, usize::MAX)?;
                    }
                    self.flush_queue(tool)?;
                    if !self.read(tool, false)? {
                        return Ok(Flow::Quit(0, false));
                    }
                }
                (b'N', _) => {
                    if self.at_end(tool)? && (self.names.len() == 0) {
                        return Ok(Flow::Quit(0, !self.posix));
                    }
                    self.flush_queue(tool)?;
                    if !self.read(tool, true)? {
                        return Ok(Flow::Quit(0, true));
                    }
                }
                (b'g', _) => self.space.clone_from(&self.hold),
                (b'G', _) => {
                    self.space.push(self.end);
                    self.space.extend_from_slice(&self.hold);
                }
                (b'h', _) => self.hold.clone_from(&self.space),
                (b'H', _) => {
                    self.hold.push(self.end);
                    self.hold.extend_from_slice(&self.space);
                }
                (b'x', _) => std::mem::swap(&mut self.hold, &mut self.space),
                (b'z', _) => self.space.clear(),
                (b'a', Argument::Text(text)) => self.queue.push(Queued::Text(text.clone())),
                (b'i', Argument::Text(text)) => self.raw(tool, text, false)?,
                (b'c', Argument::Text(text)) => {
                    let over = command.second.is_none() || self.ranges.get(index - 1).copied().flatten().is_none();
                    if over || command.negated {
                        self.raw(tool, text, false)?;
                    }
                    return Ok(Flow::Delete);
                }
                (b'r', Argument::Text(name)) => self.queue.push(Queued::File(name.clone())),
                (b'R', Argument::Text(name)) => self.read_queued(name),
                (b'w', Argument::File(file)) => self.print_space(tool, file + 1, usize::MAX)?,
                (b'W', Argument::File(file)) => {
                    let end = self.space.iter().position(|byte| *byte == self.end).unwrap_or(usize::MAX);
                    self.print_space(tool, file + 1, end)?;
                }
                (b'=', _) => {
                    let text = format!("{}\n", self.line);
                    self.raw(tool, text.as_bytes(), false)?;
                }
                (b'F', _) => {
                    let text = [self.name.as_slice(), b"\n"].concat();
                    self.raw(tool, &text, false)?;
                }
                (b'l', argument) => {
                    let wrap = match argument {
                        Argument::Number(wrap) => usize::try_from(*wrap).unwrap_or(0),
                        _ => self.wrap,
                    };
                    let text = shown(&self.space, wrap);
                    self.raw(tool, &text, false)?;
                }
                (letter @ (b'q' | b'Q'), argument) => {
                    let status = match argument {
                        Argument::Number(status) => u8::try_from(status & 255).unwrap_or(0),
                        _ => 0,
                    };
                    return Ok(Flow::Quit(status, letter == b'q'));
                }
                _ => {}
            }
        }
        Ok(Flow::Next)
    }

    fn print_space(&mut self, tool: &mut Tool<'_>, output: usize, end: usize) -> Result<(), Error> {
        let space = std::mem::take(&mut self.space);
        let ended = self.ended || end != usize::MAX;
        let result = self.put(tool, output, part(&space, 0, end), ended);
        self.space = space;
        result
    }

    fn read_queued(&mut self, name: &[u8]) {
        let found = self.readers.iter().position(|(own, _)| own == name);
        let index = found.unwrap_or_else(|| {
            let source: &[u8] = if name == b"/dev/stdin" { b"-" } else { name };
            self.readers.push((name.to_vec(), open(source).ok()));
            self.readers.len() - 1
        });
        if let Some((_, Some(reader))) = self.readers.get_mut(index) {
            let mut line = Bytes::new();
            if reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                self.queue.push(Queued::Text(line));
            }
        }
    }

    fn translate(&mut self, map: &[(Bytes, Bytes)]) {
        let mut out = Bytes::with_capacity(self.space.len());
        let mut from = 0;
        while let Some((_, length)) = char_at(&self.space, from, self.utf8) {
            let own = part(&self.space, from, from + length);
            let to = map.iter().find(|(from, _)| from == own).map_or(own, |(_, to)| to.as_slice());
            out.extend_from_slice(to);
            from += length;
        }
        self.space = out;
    }

    fn substitute(&mut self, tool: &mut Tool<'_>, own: &Substitute) -> Result<bool, Error> {
        self.last_pattern = own.pattern.or(self.last_pattern);
        let Some(regex) = self.last_pattern.and_then(|index| self.script.patterns.get(index)) else {
            return Err(Error::new(Exit(1), "no previous regular expression"));
        };
        let space = &self.space;
        let mut out = Bytes::new();
        let (mut from, mut count, mut done) = (0, 0u64, false);
        let mut last_end = None;
        while from <= space.len() {
            let found = regex.find(space, from, space.len()).map_err(|error| Error::new(Exit(1), error))?;
            let Some((start, end)) = found else { break };
            out.extend_from_slice(part(space, from, start));
            if !(start == end && last_end == Some(start)) {
                count += 1;
                if count >= own.number {
                    done = true;
                    replace(&mut out, &own.pieces, &|number| {
                        let (start, end) = if number == 0 { (start, end) } else { regex.group(number)? };
                        Some(part(space, start, end))
                    });
                } else {
                    out.extend_from_slice(part(space, start, end));
                }
            }
            last_end = Some(end);
            from = end;
            if start == end {
                let length = char_at(space, end, self.utf8).map_or(1, |(_, length)| length);
                out.extend_from_slice(part(space, end, end + length));
                from = end + length;
            }
            if done && !own.global {
                break;
            }
        }
        if !done {
            return Ok(false);
        }
        out.extend_from_slice(after(space, from));
        self.space = out;
        if own.print {
            self.print_space(tool, 0, usize::MAX)?;
        }
        if let Some(file) = own.file {
            self.print_space(tool, file + 1, usize::MAX)?;
        }
        Ok(true)
    }
}

/// Writes a replacement with its changes of case.
fn replace<'a>(out: &mut Bytes, pieces: &[Piece], group: &dyn Fn(usize) -> Option<&'a [u8]>) {
    let (mut case, mut once) = (b'E', 0);
    for piece in pieces {
        let text = match piece {
            Piece::Text(text) => text.as_slice(),
            Piece::Group(number) => group(*number).unwrap_or_default(),
            Piece::Case(letter) => {
                match letter {
                    b'l' | b'u' => once = *letter,
                    _ => case = *letter,
                }
                continue;
            }
        };
        if case == b'E' && once == 0 || text.is_empty() {
            out.extend_from_slice(text);
            continue;
        }
        let mut from = 0;
        while let Some((_, length)) = char_at(text, from, true) {
            let own = part(text, from, from + length);
            let way = match std::mem::take(&mut once) {
                0 => case,
                once => once.to_ascii_uppercase(),
            };
            match (std::str::from_utf8(own), way) {
                (Ok(text), b'U') => out.extend_from_slice(text.to_uppercase().as_bytes()),
                (Ok(text), b'L') => out.extend_from_slice(text.to_lowercase().as_bytes()),
                _ => out.extend_from_slice(own),
            }
            from += length;
        }
    }
}

/// The space as `l` shows it.
fn shown(space: &[u8], wrap: usize) -> Bytes {
    let width = wrap.saturating_sub(1);
    let mut out = Bytes::new();
    let mut column = 0;
    for byte in space {
        let mut piece = Bytes::new();
        let short = b"\x07\x08\x0c\n\r\t\x0b\\".iter().position(|own| own == byte);
        match short {
            Some(index) => piece.extend_from_slice(&[b'\\', at(b"abfnrtv\\", index)]),
            None if (32..127).contains(byte) => piece.push(*byte),
            None => {
                let _ = write!(piece, "\\{byte:03o}");
            }
        }
        if width > 0 && column + piece.len() > width {
            out.extend_from_slice(b"\\\n");
            column = 0;
        }
        column += piece.len();
        out.append(&mut piece);
    }
    out.extend_from_slice(b"$\n");
    out
}
