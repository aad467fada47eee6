//! Where a body goes: stdout or a file that is opened with the first byte, and never silently short.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::net::strerror;
use netkit_http::{Code, Failure};

use crate::world::{World, lock};

/// A body's destination.
pub(crate) struct Output<'w> {
    world: &'w World,
    path: Option<PathBuf>,
    file: Option<File>,
    /// Bytes are added to what the file holds (`-C`).
    pub(crate) append: bool,
    /// The name came from the server (`-J`).
    from_server: bool,
    /// `--clobber`, `--no-clobber`.
    clobber: Option<bool>,
    /// The file was opened in this transfer.
    pub(crate) opened: bool,
    mode: u32,
    create_dirs: bool,
    /// Bytes written to it in this transfer.
    pub(crate) written: u64,
    /// Bytes that were in the file before.
    pub(crate) before: u64,
    terminal: bool,
    /// Bytes nobody asked for on a terminal.
    forced: bool,
}

impl<'w> Output<'w> {
    /// `None` is stdout.
    pub(crate) fn new(
        world: &'w World,
        path: Option<PathBuf>,
        config: &crate::config::Config,
        forced: bool,
    ) -> Output<'w> {
        let terminal = path.is_none() && world.stdout_is_terminal;
        Output {
            world,
            path,
            file: None,
            append: false,
            from_server: false,
            clobber: config.clobber,
            opened: false,
            mode: config.file_mode,
            create_dirs: config.create_dirs,
            written: 0,
            before: 0,
            terminal,
            forced,
        }
    }

    pub(crate) fn is_stdout(&self) -> bool {
        self.path.is_none()
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The name came from the server.
    pub(crate) fn rename(&mut self, path: PathBuf) -> Result<(), Failure> {
        self.path = Some(path);
        self.from_server = true;
        self.open()
    }

    /// Writes bytes of the body or, with `-i`, of the head.
    pub(crate) fn write(&mut self, bytes: &[u8], head: bool) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.path.is_none() {
            if self.terminal && !head && !self.forced && bytes.contains(&0) && self.written == 0 {
                self.world.warn(
                    "Binary output can mess up your terminal. Use \"--output -\" to tell curl to output it to your \
                     terminal anyway, or consider \"--output <FILE>\" to save to a file.",
                );
                return Err(refused(bytes.len()));
            }
            // What the server sends must not drive the terminal.
            let shown = if self.terminal && !self.forced { harmless(bytes) } else { None };
            lock(&self.world.out).write_all(shown.as_deref().unwrap_or(bytes)).map_err(|_| refused(bytes.len()))?;
        } else {
            self.open()?;
            if let Some(file) = &mut self.file {
                file.write_all(bytes).map_err(|_| refused(bytes.len()))?;
            }
        }
        self.written += u64::try_from(bytes.len()).unwrap_or(0);
        Ok(())
    }

    /// Opens the file although nothing has been written: an empty body makes an empty file.
    pub(crate) fn open(&mut self) -> Result<(), Failure> {
        let (Some(path), None) = (&self.path, &self.file) else { return Ok(()) };
        if self.create_dirs
            && let Some(parent) = path.parent()
            && let Err(error) = fs::create_dir_all(parent)
        {
            self.world.warn(&format!("Failed to create directory {}: {}", parent.display(), strerror(&error)));
            return Err(Failure::new(Code::Write, "Failed writing received data to disk/application"));
        }
        let exclusive = match self.clobber {
            Some(clobber) => !clobber,
            None => self.from_server,
        };
        let mut options = OpenOptions::new();
        options.write(true).mode(self.mode);
        if self.append {
            options.append(true).create(true);
        } else if exclusive {
            options.create_new(true);
        } else {
            options.create(true).truncate(true);
        }
        let mut opened = options.open(path);
        // Without clobbering the first free name with a number is taken.
        for number in 1..100 {
            if self.clobber != Some(false)
                || self.append
                || !matches!(&opened, Err(e) if e.kind() == io::ErrorKind::AlreadyExists)
            {
                break;
            }
            opened = options.open(format!("{}.{number}", path.display()));
        }
        match opened {
            Ok(file) => {
                self.file = Some(file);
                self.opened = true;
                Ok(())
            }
            Err(error) => {
                self.world.warn(&format!("Failed to open the file {}: {}", path.display(), strerror(&error)));
                Err(Failure::new(Code::Write, "client returned ERROR on write, 0 passed, 0 returned"))
            }
        }
    }

    /// Throws away what a failed attempt wrote, before the next one.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.set_len(self.before)?;
            std::io::Seek::seek(file, std::io::SeekFrom::Start(self.before))?;
        }
        self.written = 0;
        Ok(())
    }

    /// Closes it; a full disk may only show now.
    pub(crate) fn close(&mut self) -> Result<(), Failure> {
        match self.file.take() {
            Some(mut file) => file.flush().map_err(|_| Failure::new(Code::Write, "Failed writing received data")),
            None => Ok(()),
        }
    }

    /// Sets the time of last modification (`-R`).
    pub(crate) fn set_time(&self, seconds: i64) {
        let (Some(path), Ok(seconds)) = (&self.path, u64::try_from(seconds)) else { return };
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let set = File::options().write(true).open(path).and_then(|file| file.set_modified(time));
        if let Err(error) = set {
            self.world.warn(&format!("Failed to set filetime {seconds} on '{}': {}", path.display(), strerror(&error)));
        }
    }
}

fn refused(length: usize) -> Failure {
    Failure::new(Code::Write, format!("Failure writing output to destination, passed {length} returned 0"))
}

/// A copy without control bytes other than white space, where there are any.
fn harmless(bytes: &[u8]) -> Option<Vec<u8>> {
    let wild = |byte: &u8| (*byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t')) || *byte == 0x7f || *byte == 0x9b;
    // 0x9b is a control only outside UTF-8; there it is a continuation, which must stay.
    let utf8 = std::str::from_utf8(bytes).is_ok();
    let strange = |byte: &u8| wild(byte) && !(utf8 && *byte == 0x9b);
    let control = |text: &str| text.chars().any(|c| ('\u{80}'..='\u{9f}').contains(&c));
    if utf8 && std::str::from_utf8(bytes).is_ok_and(control) {
        let text = String::from_utf8_lossy(bytes);
        return Some(
            text.chars()
                .map(|c| if c.is_control() && !matches!(c, '\n' | '\r' | '\t') { '.' } else { c })
                .collect::<String>()
                .into_bytes(),
        );
    }
    bytes.iter().any(&strange).then(|| bytes.iter().map(|byte| if strange(byte) { b'.' } else { *byte }).collect())
}

/// The name after the last slash of a path, for `-O`.
pub(crate) fn remote_name(path: &str) -> Option<String> {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or("");
    (!name.is_empty()).then(|| name.to_owned())
}

/// The file name of a Content-Disposition field (RFC 6266), without any directory, as curl finds it: `filename=` in lower
/// case at the start of a parameter, perhaps in quotation marks of either kind, without escapes.
pub(crate) fn disposition_name(value: &str) -> Option<String> {
    let mut rest = value;
    let text = loop {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
        if let Some(text) = rest.strip_prefix("filename=") {
            break text;
        }
        rest = rest.split_once(';')?.1;
    };
    let stop = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let raw = match stop {
        Some(quote) => text.get(1..).and_then(|text| text.split(quote).next()),
        None => text.split(';').next(),
    };
    let name = raw.unwrap_or("").rsplit(['/', '\\']).next().unwrap_or("");
    let safe: String = name.chars().filter(|c| !c.is_control()).collect();
    (!safe.is_empty() && safe != "." && safe != "..").then_some(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_the_server() {
        assert_eq!(disposition_name("attachment; filename=\"a b\"; x"), Some("a b".to_owned()));
        assert_eq!(disposition_name("attachment; filename=../../etc/passwd"), Some("passwd".to_owned()));
        assert_eq!(disposition_name("filename='x;y'"), Some("x;y".to_owned()));
        assert_eq!(disposition_name("attachment; filename=\"..\""), None);
        assert_eq!(disposition_name("inline"), None);
        assert_eq!(remote_name("/a/b/"), Some("b".to_owned()));
        assert_eq!(remote_name("/"), None);
    }

    #[test]
    fn terminals_are_safe() {
        assert_eq!(harmless(b"a\x1b[2Jb\n"), Some(b"a.[2Jb\n".to_vec()));
        assert_eq!(harmless("grün\n".as_bytes()), None);
        assert_eq!(harmless("a\u{9b}b".as_bytes()), Some(b"a.b".to_vec()));
    }
}
