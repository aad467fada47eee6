//! What every companion shares: its options, its files, its complaints, and careful ways into a slice.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use netkit_core::{Ctx, Error, Exit, find, front};

/// Text that need not be UTF-8.
pub(crate) type Bytes = Vec<u8>;
/// What a companion returns.
pub(crate) type Outcome = Result<Exit, Error>;

/// How much is read or written at once.
pub(crate) const CHUNK: usize = 1 << 17;

/// The bytes from `from` on; none when there are fewer.
pub(crate) fn after(text: &[u8], from: usize) -> &[u8] {
    text.get(from..).unwrap_or_default()
}

/// The bytes from `from` up to `to`, as far as there are any.
pub(crate) fn part(text: &[u8], from: usize, to: usize) -> &[u8] {
    let to = to.min(text.len());
    text.get(from.min(to)..to).unwrap_or_default()
}

/// The byte at `index`; 0 behind the end.
pub(crate) fn at(text: &[u8], index: usize) -> u8 {
    text.get(index).copied().unwrap_or(0)
}

/// Where `needle` is found first.
pub(crate) fn find_bytes(text: &[u8], needle: &[u8]) -> Option<usize> {
    let Some((first, others)) = needle.split_first() else { return Some(0) };
    let mut from = 0;
    loop {
        from += after(text, from).iter().position(|byte| byte == first)?;
        if after(text, from + 1).starts_with(others) {
            return Some(from);
        }
        from += 1;
    }
}

/// For messages only.
pub(crate) fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Bytes as a path.
pub(crate) fn path(text: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(text))
}

/// `dir/name`, without a second slash.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Bytes {
    let slash: &[u8] = if dir.is_empty() || dir.ends_with(b"/") { b"" } else { b"/" };
    [dir, slash, name].concat()
}

/// The last component, without the slashes behind it; `/` stays.
pub(crate) fn base_name(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let short = part(text, 0, end);
    if short.is_empty() {
        return part(text, 0, 1);
    }
    short.rsplit(|byte| *byte == b'/').next().unwrap_or(short)
}

/// Everything before the last component (dirname(1)).
pub(crate) fn dir_name(text: &[u8]) -> &[u8] {
    let trim = |text: &[u8]| text.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let short = part(text, 0, trim(text));
    let Some(slash) = short.iter().rposition(|byte| *byte == b'/') else {
        return if short.is_empty() && !text.is_empty() { b"/" } else { b"." };
    };
    match trim(part(short, 0, slash)) {
        0 => b"/",
        end => part(short, 0, end),
    }
}

/// The errno's text, without the number that std adds.
pub(crate) fn reason(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.find(" (os error") {
        text.truncate(at);
    }
    text
}

/// A decimal number and nothing else.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// A number in base eight.
pub(crate) fn octal(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 7 {
        return None;
    }
    text.iter().try_fold(0u32, |sum, byte| matches!(byte, b'0'..=b'7').then(|| sum * 8 + u32::from(byte - b'0')))
}

/// A count with a suffix as coreutils know them: `b` 512, `K` `KiB` 1024, `kB` 1000, and so on to `E`.
pub(crate) fn size(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let digits = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let suffix = after(text, digits);
    let count = if digits == 0 && !suffix.is_empty() { Some(1) } else { number(part(text, 0, digits)) };
    let unit = match suffix {
        b"" => 1,
        b"b" => 512,
        _ => {
            let letter = at(suffix, 0).to_ascii_uppercase();
            let power = u32::try_from(b"KMGTPE".iter().position(|own| *own == letter)?).ok()? + 1;
            match after(suffix, 1) {
                b"" | b"iB" => 1024u64.checked_pow(power)?,
                b"B" => 1000u64.checked_pow(power)?,
                _ => return None,
            }
        }
    };
    // More than fits is as good as endless.
    Some(count.unwrap_or(u64::MAX).saturating_mul(unit))
}

/// Seconds with a fraction and a unit `s m h d`; `None` for what is no duration (sleep(1)).
pub(crate) fn duration(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (digits, unit) = match text.chars().next_back()? {
        's' => (text.get(..text.len() - 1)?, 1.0),
        'm' => (text.get(..text.len() - 1)?, 60.0),
        'h' => (text.get(..text.len() - 1)?, 3600.0),
        'd' => (text.get(..text.len() - 1)?, 86400.0),
        _ => (text, 1.0),
    };
    if matches!(digits, "inf" | "infinity") {
        return Some(f64::INFINITY);
    }
    let plain = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let value: f64 = digits.parse().ok().filter(|_| plain)?;
    (value >= 0.0).then_some(value * unit)
}

/// Waits that long; a duration that no clock can hold is for ever.
pub(crate) fn pause(seconds: f64) {
    match std::time::Duration::try_from_secs_f64(seconds) {
        Ok(time) if time.as_secs() < 1 << 40 => std::thread::sleep(time),
        _ => loop {
            std::thread::sleep(std::time::Duration::from_secs(1 << 30));
        },
    }
}

/// What was typed: options in their order, and operands.
#[derive(Default)]
pub(crate) struct Opts {
    /// The letter of each option with its value.
    pub(crate) seen: Vec<(u8, Bytes)>,
    /// Operands.
    pub(crate) rest: Vec<Bytes>,
}

impl Opts {
    /// Whether the option was given.
    pub(crate) fn has(&self, id: u8) -> bool {
        self.last(&[id]) != 0
    }

    /// Which of these came last; 0 when none did.
    pub(crate) fn last(&self, ids: &[u8]) -> u8 {
        self.seen.iter().rev().find(|(id, _)| ids.contains(id)).map_or(0, |(id, _)| *id)
    }

    /// How often the option was given.
    pub(crate) fn count(&self, id: u8) -> usize {
        self.seen.iter().filter(|(own, _)| *own == id).count()
    }

    /// The last value of the option.
    pub(crate) fn value(&self, id: u8) -> Option<&[u8]> {
        self.seen.iter().rev().find(|(own, _)| *own == id).map(|(_, value)| value.as_slice())
    }

    /// All values of the option.
    pub(crate) fn values(&self, id: u8) -> impl Iterator<Item = &[u8]> {
        self.seen.iter().filter(move |(own, _)| *own == id).map(|(_, value)| value.as_slice())
    }
}

/// One row of an option table: letter, whether the letter can be typed, `.` `:` (value) or `?` (value only when
/// attached), long names.
struct Row<'a> {
    id: u8,
    short: bool,
    kind: u8,
    long: &'a str,
}

/// The rows of a table: words such as `n:lines`, `q.quiet,silent`, `_c?color` (long only) or `x`. A `+` in front makes
/// the first operand end the options.
fn rows(spec: &str) -> impl Iterator<Item = Row<'_>> {
    spec.split_ascii_whitespace().filter(|word| *word != "+").map(|word| {
        let (short, word) = word.strip_prefix('_').map_or((true, word), |word| (false, word));
        let kind = at(word.as_bytes(), 1);
        Row {
            id: at(word.as_bytes(), 0),
            short,
            kind: if kind == 0 { b'.' } else { kind },
            long: word.get(2..).unwrap_or_default(),
        }
    })
}

/// Reads `words` by a table; what is wrong is said as getopt_long(3) does.
pub(crate) fn options(words: Vec<Bytes>, spec: &str) -> Result<Opts, String> {
    let mut opts = Opts::default();
    let first_ends = spec.starts_with('+');
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == b"--" {
            break;
        }
        if !word.starts_with(b"-") || word == b"-" {
            opts.rest.push(word);
            if first_ends {
                break;
            }
            continue;
        }
        if let Some(long) = word.strip_prefix(b"--") {
            let equals = long.iter().position(|byte| *byte == b'=');
            let name = part(long, 0, equals.unwrap_or(long.len()));
            let mut hits: Vec<(u8, u8)> = Vec::new();
            for row in rows(spec) {
                for own in row.long.split(',').filter(|own| own.as_bytes().starts_with(name)) {
                    if own.len() == name.len() {
                        hits.clear();
                    }
                    if own.len() == name.len() || !hits.iter().any(|(id, _)| *id == row.id) {
                        hits.push((row.id, row.kind));
                    }
                    if own.len() == name.len() {
                        break;
                    }
                }
                if hits.len() == 1 && row.long.split(',').any(|own| own.as_bytes() == name) {
                    break;
                }
            }
            let shown = lossy(name);
            let (id, kind) = match hits.as_slice() {
                [one] => *one,
                [] if b"help".starts_with(name) && !name.is_empty() => (0, b'.'),
                [] => return Err(format!("unrecognized option '--{shown}'")),
                _ => return Err(format!("option '--{shown}' is ambiguous")),
            };
            let value = match (kind, equals) {
                (b'.', Some(_)) => return Err(format!("option '--{shown}' doesn't allow an argument")),
                (_, Some(at)) => after(long, at + 1).to_vec(),
                (b':', None) => words.next().ok_or_else(|| format!("option '--{shown}' requires an argument"))?,
                _ => Bytes::new(),
            };
            opts.seen.push((id, value));
            continue;
        }
        let mut index = 1;
        while index < word.len() {
            let letter = at(&word, index);
            index += 1;
            let Some(row) = rows(spec).find(|row| row.short && row.id == letter) else {
                return Err(format!("invalid option -- '{}'", char::from(letter)));
            };
            let mut value = Bytes::new();
            if row.kind != b'.' {
                value = after(&word, index).to_vec();
                if value.is_empty() && row.kind == b':' {
                    value = words
                        .next()
                        .ok_or_else(|| format!("option requires an argument -- '{}'", char::from(letter)))?;
                }
                index = word.len();
            }
            opts.seen.push((letter, value));
        }
    }
    opts.rest.extend(words);
    Ok(opts)
}

/// A companion at work.
pub(crate) struct Tool<'a> {
    /// The world.
    pub(crate) ctx: &'a mut Ctx,
    /// What was typed.
    pub(crate) opts: Opts,
    /// The status to leave with.
    pub(crate) status: u8,
}

/// The arguments as bytes.
pub(crate) fn words(ctx: &Ctx) -> Vec<Bytes> {
    ctx.args.iter().map(|word| word.clone().into_vec()).collect()
}

impl<'a> Tool<'a> {
    /// Reads the command line; `bad` is the peer's status for a wrong one.
    pub(crate) fn new(ctx: &'a mut Ctx, spec: &str, bad: u8) -> Result<Tool<'a>, Error> {
        let words = words(ctx);
        Tool::with(ctx, words, spec, bad)
    }

    /// The same for words that were prepared.
    pub(crate) fn with(ctx: &'a mut Ctx, words: Vec<Bytes>, spec: &str, bad: u8) -> Result<Tool<'a>, Error> {
        let opts = options(words, spec).map_err(|text| Error::new(Exit(bad), text))?;
        if opts.has(0) {
            if let Some(applet) = find(ctx.table, &ctx.name) {
                ctx.stdout.write_all(front::help_page(applet).as_bytes())?;
            }
            return Err(Error::new(Exit::OK, ""));
        }
        Ok(Tool { ctx, opts, status: 0 })
    }

    /// Whether the option was given.
    pub(crate) fn has(&self, id: u8) -> bool {
        self.opts.has(id)
    }

    /// Writes to stdout.
    pub(crate) fn put(&mut self, text: &[u8]) -> Result<(), Error> {
        Ok(self.ctx.stdout.write_all(text)?)
    }

    /// Complains and goes on; the status will be 1.
    pub(crate) fn complain(&mut self, text: &str) {
        let line = format!("{}: {text}", self.ctx.name);
        self.ctx.say(&line);
        self.status = self.status.max(1);
    }

    /// Complains of a file.
    pub(crate) fn fail(&mut self, what: &[u8], error: &io::Error) {
        self.complain(&format!("{}: {}", lossy(what), reason(error)));
    }

    /// Complains in the way of `cp` and its like: `cannot DO 'FILE': reason`.
    pub(crate) fn cannot(&mut self, action: &str, what: &[u8], error: &io::Error) {
        self.complain(&format!("cannot {action} '{}': {}", lossy(what), reason(error)));
    }

    /// Complains of a file that does not open, as head and tail do.
    pub(crate) fn cannot_open(&mut self, what: &[u8], error: &io::Error) {
        self.complain(&format!("cannot open '{}' for reading: {}", lossy(what), reason(error)));
    }

    /// The operands, or `-` when there are none.
    pub(crate) fn inputs(&mut self) -> Vec<Bytes> {
        let mut names = std::mem::take(&mut self.opts.rest);
        if names.is_empty() {
            names.push(b"-".to_vec());
        }
        names
    }

    /// Opens an operand, complaining when that fails.
    pub(crate) fn open(&mut self, name: &[u8]) -> Option<BufReader<File>> {
        match open(name) {
            Ok(file) => Some(file),
            Err(error) => {
                self.fail(name, &error);
                None
            }
        }
    }

    /// Reads a line with its end; false at the end of the input, and after an error, which has been said.
    pub(crate) fn line(&mut self, input: &mut BufReader<File>, name: &[u8], end: u8, line: &mut Bytes) -> bool {
        match read_line(input, end, line) {
            Ok(more) => more,
            Err(error) => {
                self.fail(name, &error);
                false
            }
        }
    }

    /// The end.
    pub(crate) fn done(self) -> Outcome {
        Ok(Exit(self.status))
    }
}

/// A usage error with the peer's status.
pub(crate) fn wrong<T>(status: u8, text: &str) -> Result<T, Error> {
    Err(Error::new(Exit(status), text))
}

/// A number that an option wants, or the message coreutils have for another text.
pub(crate) fn wanted<T>(value: Option<T>, what: &str, text: &[u8], status: u8) -> Result<T, Error> {
    value.ok_or_else(|| Error::new(Exit(status), format!("invalid {what}: '{}'", lossy(text))))
}

/// stdin as a file of its own.
pub(crate) fn stdin() -> io::Result<File> {
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

/// Opens a file, or stdin for `-`.
pub(crate) fn open(name: &[u8]) -> io::Result<BufReader<File>> {
    let file = if name == b"-" { stdin()? } else { File::open(path(name))? };
    Ok(BufReader::with_capacity(CHUNK, file))
}

/// Reads a line with its end into `line`; false at the end of the input.
pub(crate) fn read_line(input: &mut BufReader<File>, end: u8, line: &mut Bytes) -> io::Result<bool> {
    line.clear();
    Ok(input.read_until(end, line)? > 0)
}

/// Copies everything and says how much that was.
pub(crate) fn copy(input: &mut dyn Read, output: &mut dyn Write) -> Result<u64, CopyError> {
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                output.write_all(part(&buffer, 0, count)).map_err(CopyError::Write)?;
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Read(error)),
        }
    }
}

/// Which side of a copy failed.
pub(crate) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Columns of the terminal, from COLUMNS or the terminal itself.
pub(crate) fn columns(ctx: &Ctx) -> usize {
    let set = ctx.var("COLUMNS").and_then(|text| text.parse().ok()).filter(|count| *count > 0);
    set.or_else(|| {
        let size = rustix::termios::tcgetwinsize(io::stdout().as_fd()).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    })
    .unwrap_or(80)
}

/// Whether characters are UTF-8: the locale says so (locale(7): LC_ALL, LC_CTYPE, LANG).
pub(crate) fn utf8(ctx: &Ctx) -> bool {
    let value = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| ctx.var(name).filter(|v| !v.is_empty()));
    value.is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

/// The first character: its number and length. Outside UTF-8, and for broken bytes, one byte counted from 0x110000 on.
pub(crate) fn char_at(text: &[u8], from: usize, utf8: bool) -> Option<(u32, usize)> {
    let first = *text.get(from)?;
    if first < 0x80 {
        return Some((u32::from(first), 1));
    }
    if utf8 {
        let length = match first {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 0,
        };
        let found = text.get(from..from + length).and_then(|bytes| std::str::from_utf8(bytes).ok());
        if let Some(c) = found.and_then(|text| text.chars().next()) {
            return Some((u32::from(c), length));
        }
    }
    Some((0x11_0000 + u32::from(first), 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<Bytes> {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn options_as_getopt_reads_them() {
        let spec = "n:lines q.quiet,silent z _c?color v";
        let opts =
            options(list(&["-qn5", "a", "--li=7", "--color", "--color=x", "--", "-v"]), spec).unwrap_or_default();
        assert_eq!(opts.value(b'n'), Some(&b"7"[..]));
        assert_eq!(opts.values(b'n').count(), 2);
        assert_eq!((opts.count(b'c'), opts.value(b'c')), (2, Some(&b"x"[..])));
        assert_eq!(opts.rest, list(&["a", "-v"]));
        assert_eq!(options(list(&["-c"]), spec).err().as_deref(), Some("invalid option -- 'c'"));
        assert_eq!(options(list(&["--quit"]), spec).err().as_deref(), Some("unrecognized option '--quit'"));
        assert_eq!(options(list(&["-n"]), spec).err().as_deref(), Some("option requires an argument -- 'n'"));
        assert_eq!(
            options(list(&["--quiet=1"]), spec).err().as_deref(),
            Some("option '--quiet' doesn't allow an argument")
        );
        let first = options(list(&["a", "-q"]), "+ q").unwrap_or_default();
        assert_eq!((first.rest.len(), first.seen.len()), (2, 0));
    }

    #[test]
    fn names_of_paths() {
        for (text, dir, base) in [
            ("/a/b", "/a", "b"),
            ("a", ".", "a"),
            ("/", "/", "/"),
            ("a//b//", "a", "b"),
            ("/a", "/", "a"),
            ("", ".", ""),
        ] {
            assert_eq!(
                (lossy(dir_name(text.as_bytes())), lossy(base_name(text.as_bytes()))),
                (dir.into(), base.into())
            );
        }
    }

    #[test]
    fn sizes_and_durations() {
        assert_eq!(size(b"2K"), Some(2048));
        assert_eq!(size(b"1kB"), Some(1000));
        assert_eq!(size(b"3b"), Some(1536));
        assert_eq!(size(b"x"), None);
        assert_eq!(size(b""), None);
        assert_eq!(duration(b"1.5m"), Some(90.0));
        assert_eq!(duration(b"1x"), None);
        assert_eq!(duration(b"-1"), None);
        assert_eq!(duration(b""), None);
    }
}
