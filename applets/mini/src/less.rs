//! less: a pager without terminfo. Into anything but a terminal it copies, as less does.

use std::io::{self, Read};
use std::os::fd::AsFd;

use netkit_core::{Ctx, Error};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcgetwinsize, tcsetattr};

use crate::base::{Bytes, CopyError, Outcome, Tool, char_at, copy, part};
use crate::posix::{Regex, Syntax};

/// The most text that is held; the rest of a longer input is not shown.
const MOST: u64 = 256 << 20;

pub(crate) fn less(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(
        ctx,
        "E e F.quit-if-one-screen i I N.LINE-NUMBERS n R.RAW-CONTROL-CHARS r S.chop-long-lines X.no-init q Q f",
        1,
    )?;
    if tool.opts.last(b"NS") != 0 {
        return crate::base::wrong(1, "options -N and -S are not offered");
    }
    let names = tool.inputs();
    if !tool.ctx.stdout_is_terminal {
        for name in names {
            let Some(mut input) = tool.open(&name) else { continue };
            match copy(input.get_mut(), &mut tool.ctx.stdout) {
                Ok(_) => {}
                Err(CopyError::Read(error)) => tool.fail(&name, &error),
                Err(CopyError::Write(error)) => return Err(error.into()),
            }
        }
        return tool.done();
    }
    let mut text = Bytes::new();
    for name in names {
        let Some(input) = tool.open(&name) else { continue };
        if let Err(error) = input.take(MOST).read_to_end(&mut text) {
            tool.fail(&name, &error);
        }
    }
    let mut pager = Pager { lines: Vec::new(), top: 0, rows: 24, columns: 80, pattern: None };
    pager.measure(&text);
    if pager.lines.len() < pager.rows && (tool.has(b'F') || tool.opts.last(b"Ee") != 0)
        || tool.status != 0 && text.is_empty()
    {
        tool.put(&text)?;
        return tool.done();
    }
    // Keys come from the terminal, whatever stdin is.
    let Ok(mut keys) = std::fs::File::open("/dev/tty") else {
        tool.put(&text)?;
        return tool.done();
    };
    let before = tcgetattr(keys.as_fd()).ok();
    if let Some(before) = &before {
        let mut raw = before.clone();
        raw.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        let _ = tcsetattr(keys.as_fd(), OptionalActions::Drain, &raw);
    }
    let result = pager.run(&mut tool, &text, &mut keys);
    if let Some(before) = &before {
        let _ = tcsetattr(keys.as_fd(), OptionalActions::Drain, before);
    }
    result?;
    tool.done()
}

struct Pager {
    /// Rows of the screen as parts of the text.
    lines: Vec<(usize, usize)>,
    top: usize,
    rows: usize,
    columns: usize,
    pattern: Option<Regex>,
}

impl Pager {
    /// Folds the text at the terminal's width.
    fn measure(&mut self, text: &[u8]) {
        if let Ok(size) = tcgetwinsize(io::stdout().as_fd()) {
            self.rows = usize::from(size.ws_row).max(2);
            self.columns = usize::from(size.ws_col).max(10);
        }
        self.lines.clear();
        let (mut start, mut column, mut from) = (0, 0, 0);
        while let Some((c, length)) = char_at(text, from, true) {
            let newline = c == 10;
            let width = if c == 9 { 8 - column % 8 } else { 1 };
            if newline || column + width > self.columns {
                self.lines.push((start, from));
                start = if newline { from + 1 } else { from };
                column = 0;
            }
            if !newline {
                column += width;
            }
            from += length;
        }
        if start < text.len() {
            self.lines.push((start, text.len()));
        }
        self.top = self.top.min(self.last());
    }

    fn last(&self) -> usize {
        self.lines.len().saturating_sub(self.rows - 1)
    }

    fn draw(&self, tool: &mut Tool<'_>, text: &[u8]) -> Result<(), Error> {
        let mut out = b"\x1b[H\x1b[2J".to_vec();
        for index in 0..self.rows - 1 {
            match self.lines.get(self.top + index) {
                Some((from, to)) => {
                    // Control characters of the text must not move the cursor.
                    for byte in part(text, *from, *to) {
                        match byte {
                            b'\t' | 32..=126 | 0x80.. => out.push(*byte),
                            b'\r' => {}
                            other => crate::text::visible(*other, &mut out),
                        }
                    }
                }
                None => out.push(b'~'),
            }
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(if self.top >= self.last() { b"\x1b[7m(END)\x1b[0m" } else { b":" });
        tool.put(&out)?;
        tool.ctx.stdout.flush()?;
        Ok(())
    }

    fn run(&mut self, tool: &mut Tool<'_>, text: &[u8], keys: &mut dyn Read) -> Result<(), Error> {
        loop {
            self.measure(text);
            self.draw(tool, text)?;
            let mut key = [0; 8];
            let Ok(count) = keys.read(&mut key) else { return Ok(()) };
            let page = self.rows - 1;
            match part(&key, 0, count) {
                [] | [b'q' | b'Q' | 3, ..] => {
                    tool.put(b"\r\x1b[K")?;
                    return Ok(());
                }
                [b' ' | b'f' | 6 | 22, ..] | b"\x1b[6~" => self.top += page,
                [b'b' | 2, ..] | b"\x1b[5~" => self.top = self.top.saturating_sub(page),
                [b'd' | 4, ..] => self.top += page / 2,
                [b'u' | 21, ..] => self.top = self.top.saturating_sub(page / 2),
                [b'j' | b'e' | b'\n' | b'\r' | 14, ..] | b"\x1b[B" | b"\x1bOB" => self.top += 1,
                [b'k' | b'y' | 16, ..] | b"\x1b[A" | b"\x1bOA" => self.top = self.top.saturating_sub(1),
                [b'g' | b'<', ..] | b"\x1b[H" | b"\x1b[1~" => self.top = 0,
                [b'G' | b'>', ..] | b"\x1b[F" | b"\x1b[4~" => self.top = self.last(),
                [b'/', ..] => self.ask(tool, text, keys)?,
                [b'n', ..] => self.search(text, self.top + 1),
                _ => {}
            }
            self.top = self.top.min(self.last());
        }
    }

    /// Reads a pattern and goes to where it matches next.
    fn ask(&mut self, tool: &mut Tool<'_>, text: &[u8], keys: &mut dyn Read) -> Result<(), Error> {
        let mut word = Bytes::new();
        loop {
            tool.put(&[b"\r\x1b[K/", word.as_slice()].concat())?;
            tool.ctx.stdout.flush()?;
            let mut key = [0];
            if keys.read(&mut key).map_or(true, |count| count == 0) {
                return Ok(());
            }
            match key {
                [b'\n' | b'\r'] => break,
                [27 | 3] => return Ok(()),
                [8 | 127] => drop(word.pop()),
                [byte] if word.len() < 500 => word.push(byte),
                _ => {}
            }
        }
        if !word.is_empty() {
            let syntax = Syntax { extended: true, utf8: true, ..Syntax::default() };
            self.pattern = Regex::new(&word, syntax, false).or_else(|_| Regex::literal(&word, syntax, false)).ok();
        }
        self.search(text, self.top + 1);
        Ok(())
    }

    fn search(&mut self, text: &[u8], from: usize) {
        let Some(pattern) = &self.pattern else { return };
        let hit = self
            .lines
            .iter()
            .enumerate()
            .skip(from)
            .find(|(_, (start, end))| pattern.is_match(part(text, *start, *end)).unwrap_or(false));
        if let Some((index, _)) = hit {
            self.top = index;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded() {
        let mut pager = Pager { lines: Vec::new(), top: 0, rows: 24, columns: 10, pattern: None };
        pager.measure(b"short\n\nend");
        assert_eq!(pager.lines, [(0, 5), (6, 6), (7, 10)]);
    }
}
