//! Line editing without terminfo: the few sequences every terminal of today knows (ECMA-48), or none with TERM=dumb.

use netkit_sys::process;

use crate::ast::Bytes;
use crate::complete;
use crate::parse::{Source, Stop};
use crate::shell::Shell;
use crate::terminal;

/// The longest line that can be typed or pasted, in bytes.
const LONGEST: usize = 1 << 16;
/// How many lines history keeps.
const KEPT: usize = 1000;

/// What the prompt needs between commands.
pub(crate) struct Lines {
    plain: bool,
    ended: bool,
    /// Ctrl-D on an empty line while `ignoreeof` is set or jobs are stopped.
    warned: bool,
    file: Option<std::path::PathBuf>,
}

/// Lines of one command.
pub(crate) struct LineSource<'a> {
    lines: &'a mut Lines,
    shell: &'a mut Shell,
    command: String,
}

impl Lines {
    pub(crate) fn new(shell: &mut Shell) -> Lines {
        let dumb = shell.variable(b"TERM").is_none_or(|term| term.is_empty() || term == b"dumb");
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stdin());
        let home = shell
            .variable(b"HOME")
            .and_then(|home| String::from_utf8(home).ok())
            .filter(|home| !home.is_empty() && home != "/");
        let file = home.map(|home| std::path::Path::new(&home).join(".netkit_history"));
        if let Some(text) = file.as_ref().and_then(|file| std::fs::read(file).ok()).filter(|text| text.len() < 1 << 20)
        {
            shell.history = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
        }
        Lines { plain: dumb || !terminal, ended: false, warned: false, file }
    }

    pub(crate) fn source<'a>(&'a mut self, shell: &'a mut Shell) -> LineSource<'a> {
        LineSource { lines: self, shell, command: String::new() }
    }

    /// Whether the input has ended and the shell should too.
    pub(crate) fn ended(&mut self, shell: &mut Shell) -> bool {
        if !self.ended {
            return false;
        }
        let stopped = shell.jobs.list.iter().any(|job| job.stopped);
        if !self.plain && (stopped || shell.options.ignoreeof) && !self.warned {
            self.warned = true;
            self.ended = false;
            let text: &[u8] = if stopped { b"You have stopped jobs.\n" } else { b"Use \"exit\" to leave the shell.\n" };
            let _ = process::write_all(2, text);
            return false;
        }
        if !self.plain {
            let _ = process::write_all(2, b"exit\n");
        }
        true
    }

    /// Keeps the history for the next shell, where HOME can be written; a debug container's often cannot.
    pub(crate) fn keep(&self, shell: &Shell) {
        if let Some(file) = self.file.as_ref().filter(|_| !shell.history.is_empty()) {
            let _ = std::fs::write(file, shell.history.join("\n") + "\n");
        }
    }
}

impl Source for LineSource<'_> {
    fn line(&mut self, continued: bool) -> Result<Option<Bytes>, Stop> {
        if self.lines.ended {
            return Ok(None);
        }
        let name: &[u8] = if continued { b"PS2" } else { b"PS1" };
        let prompt = self.shell.prompt(name).unwrap_or_default();
        let prompt = shown_prompt(&prompt, self.shell);
        let line =
            if self.lines.plain { plain_line(&prompt, self.shell) } else { Editor::new(&prompt, self.shell).line() };
        match line {
            Line::Text(text) => {
                if !text.trim().is_empty() {
                    self.command.push_str(&text);
                    remember(self.shell, &self.command, continued);
                    self.command.push('\n');
                }
                self.lines.warned = false;
                Ok(Some(format!("{text}\n").into_bytes()))
            }
            Line::Cancelled => {
                self.shell.status = 130;
                Err(Stop::Interrupted)
            }
            Line::Ended => {
                self.lines.ended = true;
                Ok(None)
            }
        }
    }
}

fn remember(shell: &mut Shell, command: &str, continued: bool) {
    let text = command.replace('\n', " ");
    if continued && !shell.history.is_empty() {
        shell.history.pop();
    }
    if shell.history.last() != Some(&text) {
        shell.history.push(text);
    }
    let excess = shell.history.len().saturating_sub(KEPT);
    shell.history.drain(..excess);
}

/// The prompt; `\w`, `\h`, `\u` and `\$` as busybox ash has them.
fn shown_prompt(prompt: &[u8], shell: &Shell) -> String {
    let mut out = String::new();
    let text = String::from_utf8_lossy(prompt);
    let mut chars = text.chars();
    while let Some(letter) = chars.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match chars.next() {
            Some('w') => {
                let here = shell.variable(b"PWD").unwrap_or_default();
                let home = shell.variable(b"HOME").unwrap_or_default();
                let here = String::from_utf8_lossy(&here).into_owned();
                let home = String::from_utf8_lossy(&home).into_owned();
                match here
                    .strip_prefix(&home)
                    .filter(|rest| home.len() > 1 && (rest.is_empty() || rest.starts_with('/')))
                {
                    Some(rest) => out.push_str(&format!("~{rest}")),
                    None => out.push_str(&here),
                }
            }
            Some('h') => out.push_str(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim()),
            Some('u') => out.push_str(&nix::unistd::geteuid().to_string()),
            Some('$') => out.push(if nix::unistd::geteuid().is_root() { '#' } else { '$' }),
            Some('n') => out.push('\n'),
            Some('e') => out.push('\u{1b}'),
            Some('[' | ']') => {}
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

enum Line {
    Text(String),
    Cancelled,
    Ended,
}

/// A line as the terminal's own editing gives it.
fn plain_line(prompt: &str, shell: &mut Shell) -> Line {
    let _ = process::write_all(2, prompt.as_bytes());
    let mut line = Bytes::new();
    loop {
        let mut byte = [0];
        match process::read_unless_signal(0, &mut byte) {
            Ok(0) if line.is_empty() => return Line::Ended,
            Ok(0) => break,
            Ok(_) if byte == [b'\n'] => break,
            Ok(_) => line.extend_from_slice(&byte),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                if shell.pending_trap() == Some(nix::libc::SIGINT) && !shell.traps.contains_key(&nix::libc::SIGINT) {
                    shell.arrived.clear();
                    let _ = process::write_all(2, b"\n");
                    return Line::Cancelled;
                }
            }
            Err(_) => return Line::Ended,
        }
    }
    Line::Text(String::from_utf8_lossy(&line).into_owned())
}

/// A key as the terminal sends it.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    Char(char),
    Control(u8),
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    Delete,
    WordLeft,
    WordRight,
    WordDelete,
    Resized,
    Ended,
    Unknown,
}

struct Editor<'a> {
    shell: &'a mut Shell,
    /// What is printed before the line; its last line alone is redrawn.
    prompt: String,
    text: Vec<char>,
    at: usize,
    /// Row of the cursor below the row where the prompt began, as last drawn.
    row: usize,
    /// Which line of history is shown; its length means the line being typed.
    place: usize,
    typed: Vec<char>,
    killed: Vec<char>,
    tabs: u32,
}

impl<'a> Editor<'a> {
    fn new(prompt: &str, shell: &'a mut Shell) -> Editor<'a> {
        let place = shell.history.len();
        let (before, last) = prompt.rsplit_once('\n').map_or(("", prompt), |(before, last)| (before, last));
        if !before.is_empty() {
            let _ = process::write_all(2, format!("{before}\r\n").as_bytes());
        }
        Editor {
            shell,
            prompt: last.to_owned(),
            text: Vec::new(),
            at: 0,
            row: 0,
            place,
            typed: Vec::new(),
            killed: Vec::new(),
            tabs: 0,
        }
    }

    fn line(mut self) -> Line {
        let Some(before) = terminal::raw() else { return plain_line(&self.prompt, self.shell) };
        self.draw();
        let line = self.keys();
        self.at = self.text.len();
        self.draw();
        let last: &[u8] = match line {
            Line::Text(_) => b"\r\n",
            Line::Cancelled => b"^C\r\n",
            Line::Ended => b"",
        };
        // In this order: who sees the line end and types on, types to the terminal as commands have it.
        terminal::restore(&before);
        let _ = process::write_all(2, last);
        line
    }

    fn keys(&mut self) -> Line {
        let mut next = None;
        loop {
            let key = next.take().unwrap_or_else(|| self.key());
            self.tabs = if key == Key::Control(9) { self.tabs + 1 } else { 0 };
            match key {
                Key::Char(letter) => {
                    if self.text.len() < LONGEST {
                        self.text.insert(self.at.min(self.text.len()), letter);
                        self.at += 1;
                        if self.append(letter) {
                            continue;
                        }
                    }
                }
                Key::Control(b'\r' | b'\n') => return Line::Text(self.text.iter().collect()),
                // Ctrl-C
                Key::Control(3) => return Line::Cancelled,
                // Ctrl-D
                Key::Control(4) if self.text.is_empty() => return Line::Ended,
                Key::Control(4) | Key::Delete => {
                    if self.at < self.text.len() {
                        self.text.remove(self.at);
                    }
                }
                Key::Ended => return Line::Ended,
                Key::Control(8 | 127) => {
                    if self.at > 0 {
                        self.at -= 1;
                        self.text.remove(self.at);
                    }
                }
                Key::Control(1) | Key::Home => self.at = 0,
                Key::Control(5) | Key::End => self.at = self.text.len(),
                Key::Control(2) | Key::Left => self.at = self.at.saturating_sub(1),
                Key::Control(6) | Key::Right => self.at = (self.at + 1).min(self.text.len()),
                Key::WordLeft => self.at = self.word_before(),
                Key::WordRight => self.at = self.word_after(),
                // Ctrl-K
                Key::Control(11) => self.killed = self.text.split_off(self.at),
                // Ctrl-U
                Key::Control(21) => {
                    self.killed = self.text.drain(..self.at).collect();
                    self.at = 0;
                }
                // Ctrl-W
                Key::Control(23) => {
                    let start = self.space_before();
                    self.killed = self.text.drain(start..self.at).collect();
                    self.at = start;
                }
                Key::WordDelete => {
                    let start = self.word_before();
                    self.killed = self.text.drain(start..self.at).collect();
                    self.at = start;
                }
                // Ctrl-Y
                Key::Control(25) => {
                    let killed = self.killed.clone();
                    let count = killed.len();
                    self.text.splice(self.at..self.at, killed);
                    self.at += count;
                }
                // Ctrl-L
                Key::Control(12) => {
                    let _ = process::write_all(2, b"\x1b[H\x1b[2J");
                    self.row = 0;
                }
                // Ctrl-R
                Key::Control(18) => next = self.search(),
                Key::Control(9) => self.complete(),
                Key::Control(16) | Key::Up => self.history(-1),
                Key::Control(14) | Key::Down => self.history(1),
                // The first prompt after attaching is often lost; a change of size draws it again.
                Key::Resized => {}
                Key::Control(_) | Key::Unknown => continue,
            }
            self.draw();
        }
    }

    /// A byte from the terminal; 0 at its end, `None` when a signal came first.
    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        match process::read_unless_signal(0, &mut byte) {
            Ok(1) => Some(byte[0]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => None,
            _ => Some(0),
        }
    }

    fn key(&mut self) -> Key {
        let first = match self.byte() {
            None => {
                self.shell.pending_trap();
                return Key::Resized;
            }
            Some(0) => return Key::Ended,
            Some(byte) => byte,
        };
        match first {
            27 => self.escape(),
            0..32 | 127 => Key::Control(first),
            32..127 => Key::Char(char::from(first)),
            _ => {
                let length = match first {
                    0xc2..=0xdf => 2,
                    0xe0..=0xef => 3,
                    0xf0..=0xf4 => 4,
                    _ => return Key::Unknown,
                };
                let mut bytes = vec![first];
                while bytes.len() < length {
                    bytes.extend(self.byte());
                }
                std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next()).map_or(Key::Unknown, Key::Char)
            }
        }
    }

    /// The rest of a sequence after ESC (ECMA-48, and xterm's cursor keys).
    fn escape(&mut self) -> Key {
        match self.byte() {
            Some(b'[') => {
                let mut parameters = Bytes::new();
                loop {
                    let Some(byte) = self.byte() else { return Key::Unknown };
                    if byte.is_ascii_digit() || byte == b';' {
                        parameters.push(byte);
                        if parameters.len() > 16 {
                            return Key::Unknown;
                        }
                        continue;
                    }
                    let modified = parameters.ends_with(b";5") || parameters.ends_with(b";3");
                    return match (byte, parameters.as_slice()) {
                        (b'A', _) => Key::Up,
                        (b'B', _) => Key::Down,
                        (b'C', _) if modified => Key::WordRight,
                        (b'D', _) if modified => Key::WordLeft,
                        (b'C', _) => Key::Right,
                        (b'D', _) => Key::Left,
                        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
                        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
                        (b'~', b"3") => Key::Delete,
                        _ => Key::Unknown,
                    };
                }
            }
            Some(b'O') => match self.byte() {
                Some(b'A') => Key::Up,
                Some(b'B') => Key::Down,
                Some(b'C') => Key::Right,
                Some(b'D') => Key::Left,
                Some(b'H') => Key::Home,
                Some(b'F') => Key::End,
                _ => Key::Unknown,
            },
            Some(b'b') => Key::WordLeft,
            Some(b'f') => Key::WordRight,
            Some(127 | 8) => Key::WordDelete,
            _ => Key::Unknown,
        }
    }

    fn is_word(&self, at: usize) -> bool {
        self.text.get(at).is_some_and(|letter| letter.is_alphanumeric() || *letter == '_')
    }

    fn word_before(&self) -> usize {
        let mut at = self.at;
        while at > 0 && !self.is_word(at - 1) {
            at -= 1;
        }
        while at > 0 && self.is_word(at - 1) {
            at -= 1;
        }
        at
    }

    fn word_after(&self) -> usize {
        let mut at = self.at;
        while at < self.text.len() && !self.is_word(at) {
            at += 1;
        }
        while at < self.text.len() && self.is_word(at) {
            at += 1;
        }
        at
    }

    fn space_before(&self) -> usize {
        let space = |at: usize| self.text.get(at).is_some_and(|letter| letter.is_whitespace());
        let mut at = self.at;
        while at > 0 && space(at - 1) {
            at -= 1;
        }
        while at > 0 && !space(at - 1) {
            at -= 1;
        }
        at
    }

    fn history(&mut self, step: isize) {
        let Some(place) = self.place.checked_add_signed(step).filter(|place| *place <= self.shell.history.len()) else {
            return;
        };
        if self.place == self.shell.history.len() {
            self.typed = std::mem::take(&mut self.text);
        }
        self.place = place;
        self.text = match self.shell.history.get(place) {
            Some(line) => line.chars().collect(),
            None => std::mem::take(&mut self.typed),
        };
        self.at = self.text.len();
    }

    /// Ctrl-R: the latest line that holds what is typed. Returns the key that ended the search, which then acts on it.
    fn search(&mut self) -> Option<Key> {
        let mut wanted = String::new();
        let mut skip = 0;
        let prompt = std::mem::take(&mut self.prompt);
        let last = loop {
            let found = self
                .shell
                .history
                .iter()
                .rev()
                .filter(|line| !wanted.is_empty() && line.contains(&wanted))
                .nth(skip)
                .cloned();
            if let Some(line) = &found {
                self.text = line.chars().collect();
                self.at = self.text.len();
            }
            self.prompt = format!("(search) {wanted}: ");
            self.draw();
            match self.key() {
                Key::Char(letter) => {
                    wanted.push(letter);
                    skip = 0;
                }
                Key::Control(8 | 127) => {
                    wanted.pop();
                    skip = 0;
                }
                Key::Control(18) => skip += usize::from(found.is_some()),
                Key::Control(3 | 7) => {
                    self.text.clear();
                    self.at = 0;
                    break None;
                }
                Key::Resized => {}
                key => break Some(key),
            }
        };
        self.prompt = prompt;
        last
    }

    fn complete(&mut self) {
        let before: String = self.text.iter().take(self.at).collect();
        let found = complete::candidates(self.shell, &before);
        let start = before.get(..found.start).map_or(0, |text| text.chars().count());
        let Some(first) = found.list.first() else { return };
        let mut common: String = first.clone();
        for other in &found.list {
            let shared = common.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
            common = common.chars().take(shared).collect();
        }
        let typed = before.get(found.start..).unwrap_or_default().to_owned();
        if found.list.len() == 1 && !common.ends_with('/') {
            common.push(' ');
        }
        if common.len() > typed.len() {
            let new: Vec<char> = common.chars().collect();
            let count = new.len();
            self.text.splice(start..self.at, new);
            self.at = start + count;
            return;
        }
        if self.tabs > 1 {
            let width = terminal::columns();
            let widest = found.list.iter().map(|text| text.chars().count()).max().unwrap_or(0) + 2;
            let each = (width / widest).max(1);
            let mut out = "\r\n".to_owned();
            for row in found.list.chunks(each).take(100) {
                for text in row {
                    out.push_str(&format!("{text:<widest$}"));
                }
                out.truncate(out.trim_end().len());
                out.push_str("\r\n");
            }
            let _ = process::write_all(2, out.as_bytes());
            self.row = 0;
        }
    }

    /// A character at the end of the line needs no more than itself, unless it fills the row: a pasted text would else
    /// be drawn as often as it has characters.
    fn append(&self, letter: char) -> bool {
        let end = visible(&self.prompt) + self.text.len();
        if self.at != self.text.len() || letter.is_control() || end.is_multiple_of(terminal::columns()) {
            return false;
        }
        process::write_all(2, letter.encode_utf8(&mut [0; 4]).as_bytes()).is_ok()
    }

    /// Draws prompt and line again, over the rows they took before.
    fn draw(&mut self) {
        let width = terminal::columns();
        let prompt_width = visible(&self.prompt);
        let mut out = String::new();
        if self.row > 0 {
            out.push_str(&format!("\x1b[{}A", self.row));
        }
        out.push_str("\r\x1b[J");
        out.push_str(&self.prompt);
        out.extend(self.text.iter().map(|letter| if letter.is_control() { '?' } else { *letter }));
        let end = prompt_width + self.text.len();
        let cursor = prompt_width + self.at;
        // A full last column leaves the cursor on it: a blank moves it on.
        if end.is_multiple_of(width) && end > 0 {
            out.push_str(" \r");
        }
        let up = end / width - cursor / width;
        if up > 0 {
            out.push_str(&format!("\x1b[{up}A"));
        }
        out.push('\r');
        if !cursor.is_multiple_of(width) {
            out.push_str(&format!("\x1b[{}C", cursor % width));
        }
        self.row = cursor / width;
        let _ = process::write_all(2, out.as_bytes());
    }
}

/// Columns of a prompt, without its escape sequences.
fn visible(text: &str) -> usize {
    let mut count = 0;
    let mut within = false;
    for letter in text.chars() {
        match letter {
            '\u{1b}' => within = true,
            letter if within => within = !letter.is_ascii_alphabetic(),
            letter if letter.is_control() => {}
            _ => count += 1,
        }
    }
    count
}
