//! A person at a terminal: a program behind a pseudo-terminal (pty(7)), what is typed to it, and what the screen shows.
//!
//! Nothing waits for a time to pass: what the program says is waited for by its text.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

use super::{Stop, tool};

/// How long a text may take to appear; a machine under load takes seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// Both ends of a new terminal. They are closed in whatever another trial starts at this moment (`O_CLOEXEC`, which
/// openpty(3) does not ask for): an end that lives on elsewhere hides that the other one is gone.
fn pair() -> Result<(File, File), Stop> {
    let failed = |what: &'static str| move |errno: nix::errno::Errno| format!("{what}: {errno}");
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).map_err(failed("posix_openpt"))?;
    grantpt(&master).map_err(failed("grantpt"))?;
    unlockpt(&master).map_err(failed("unlockpt"))?;
    let name = ptsname_r(&master).map_err(failed("ptsname_r"))?;
    let slave = File::options().read(true).write(true).custom_flags(nix::libc::O_NOCTTY).open(name)?;
    Ok((File::from(master.as_fd().try_clone_to_owned()?), slave))
}

fn set_size(master: &File, rows: u16, columns: u16) -> Result<(), Stop> {
    let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(master, size).map_err(|errno| format!("TIOCSWINSZ: {errno}").into())
}

#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    ended: bool,
}

/// A program and its terminal; both end when this is dropped.
pub struct Terminal {
    master: File,
    child: Child,
    said: Arc<(Mutex<Said>, Condvar)>,
    /// How much of what it said has been looked at.
    at: usize,
}

impl Terminal {
    /// Starts `command` as the leader of a session whose terminal has this size.
    ///
    /// # Errors
    /// A skip without setsid(1).
    pub fn start(command: &Command, rows: u16, columns: u16) -> Result<Terminal, Stop> {
        let setsid = tool("setsid", "util-linux")?;
        let (master, slave) = pair()?;
        set_size(&master, rows, columns)?;
        let mut started = Command::new(setsid);
        started.arg("--ctty").arg(command.get_program()).args(command.get_args());
        started.env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                started.env(name, value);
            }
        }
        if let Some(dir) = command.get_current_dir() {
            started.current_dir(dir);
        }
        let end = || slave.try_clone().map(Stdio::from);
        started.stdin(end()?).stdout(end()?).stderr(end()?);
        let child = started.spawn()?;
        drop(started);
        drop(slave);
        let mut reader = master.try_clone()?;
        let said: Arc<(Mutex<Said>, Condvar)> = Arc::default();
        let ours = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                // EIO is what a master reads when nobody has the other end open any more.
                let count = reader.read(&mut buffer).unwrap_or(0);
                let Ok(mut said) = ours.0.lock() else { return };
                said.bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
                said.ended = count == 0;
                ours.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Ok(Terminal { master, child, said, at: 0 })
    }

    /// Types.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn send(&mut self, keys: &str) -> Result<(), Stop> {
        Ok(self.master.write_all(keys.as_bytes())?)
    }

    /// Waits until `text` has been said after what was waited for before, and returns what came up to its end.
    ///
    /// # Errors
    /// When it does not come, with what came instead.
    pub fn expect(&mut self, text: &str) -> Result<String, Stop> {
        if text.is_empty() {
            return Ok(String::new());
        }
        let until = Instant::now() + LIMIT;
        let mut said = self.said.0.lock().map_err(|_| "the reader died")?;
        loop {
            let rest = said.bytes.get(self.at..).unwrap_or_default();
            if let Some(place) = rest.windows(text.len()).position(|window| window == text.as_bytes()) {
                let end = place + text.len();
                let seen = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
                self.at += end;
                return Ok(seen);
            }
            let left = until.saturating_duration_since(Instant::now());
            if said.ended || left.is_zero() {
                let rest = String::from_utf8_lossy(rest).into_owned();
                let why = match (said.ended, self.child.try_wait()) {
                    (false, _) => "it did not come".to_owned(),
                    (true, Ok(Some(status))) => format!("it ended with {status}"),
                    (true, _) => "its terminal was closed".to_owned(),
                };
                return Err(format!("waiting for {text:?}: {why}; there was {rest:?}").into());
            }
            said = self.said.1.wait_timeout(said, left).map_err(|_| "the reader died")?.0;
        }
    }

    /// Types a command with its Enter and waits for `text` after the line that was typed has been echoed.
    ///
    /// # Errors
    /// As [`Terminal::expect`].
    pub fn command(&mut self, line: &str, text: &str) -> Result<String, Stop> {
        self.send(line)?;
        self.send("\r")?;
        self.expect("\r\n")?;
        self.expect(text)
    }

    /// Changes the size of the window.
    ///
    /// # Errors
    /// As ioctl_tty(2).
    pub fn resize(&mut self, rows: u16, columns: u16) -> Result<(), Stop> {
        set_size(&self.master, rows, columns)
    }

    /// The process id of the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it said so far.
    pub fn all(&self) -> Vec<u8> {
        self.said.0.lock().map(|said| said.bytes.clone()).unwrap_or_default()
    }

    /// Waits for the program's end.
    ///
    /// # Errors
    /// When it does not end.
    pub fn ends(&mut self) -> Result<ExitStatus, Stop> {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > until {
                return Err(format!("it did not end; it said {:?}", String::from_utf8_lossy(&self.all())).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// As [`Terminal::ends`], with a status; a program that a signal ended has 128 and the signal's number.
    ///
    /// # Errors
    /// When it does not end, or with another status.
    pub fn ends_with(&mut self, wanted: i32) -> Result<(), Stop> {
        let status = self.ends()?;
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        if code == Some(wanted) { Ok(()) } else { Err(format!("ended with {status}, not {wanted}").into()) }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a terminal of this width shows after these bytes, a line for each row that was written to: the few control
/// sequences that the line editor uses (ECMA-48), and a margin that wraps with the next character, as xterm's does.
///
/// # Errors
/// Names the sequence that is not known here.
pub fn screen(bytes: &[u8], columns: usize) -> Result<Vec<String>, Stop> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut input: VecDeque<char> = text.chars().collect();
    let mut rows: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0usize, 0usize);
    while let Some(letter) = input.pop_front() {
        match letter {
            '\r' => column = 0,
            '\n' => row += 1,
            '\u{8}' => column = column.saturating_sub(1),
            '\u{7}' => {}
            '\u{1b}' => {
                if input.pop_front() != Some('[') {
                    return Err("an escape that is no control sequence".into());
                }
                let mut number = String::new();
                let last = loop {
                    match input.pop_front() {
                        Some(letter) if letter.is_ascii_digit() || letter == ';' => number.push(letter),
                        Some(letter) => break letter,
                        None => break 'm',
                    }
                };
                let count: usize = number.parse().unwrap_or(1);
                match last {
                    'A' => row = row.saturating_sub(count),
                    'B' => row += count,
                    'C' => column = (column + count).min(columns - 1),
                    'D' => column = column.saturating_sub(count),
                    'H' => (row, column) = (0, 0),
                    'J' if number == "2" => rows.iter_mut().for_each(Vec::clear),
                    'J' => {
                        rows.truncate(row + 1);
                        if let Some(cells) = rows.get_mut(row) {
                            cells.truncate(column);
                        }
                    }
                    'K' => {
                        if let Some(cells) = rows.get_mut(row) {
                            cells.truncate(column);
                        }
                    }
                    'm' => {}
                    other => return Err(format!("CSI {number}{other}").into()),
                }
            }
            letter => {
                if column == columns {
                    row += 1;
                    column = 0;
                }
                while rows.len() <= row {
                    rows.push(Vec::new());
                }
                if let Some(cells) = rows.get_mut(row) {
                    while cells.len() <= column {
                        cells.push(' ');
                    }
                    if let Some(cell) = cells.get_mut(column) {
                        *cell = letter;
                    }
                }
                column += 1;
            }
        }
        while rows.len() <= row {
            rows.push(Vec::new());
        }
    }
    Ok(rows.into_iter().map(|cells| cells.into_iter().collect::<String>().trim_end().to_owned()).collect())
}
