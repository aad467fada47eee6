//! gzip, gunzip, zcat (RFC 1951, RFC 1952; gzip 1.12), and the two streams that tar uses.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};
use netkit_core::{Ctx, Error};

use crate::base::{Bytes, CHUNK, Outcome, Tool, after, at, base_name, dir_name, join, lossy, part, path, stdin};
use crate::meta::time_of;

const TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// The check sum of RFC 1952, section 8, carried on over more bytes.
fn crc(sum: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!sum, |sum, byte| {
        let index = (sum ^ u32::from(*byte)) & 0xff;
        TABLE.get(index as usize).copied().unwrap_or(0) ^ (sum >> 8)
    })
}

fn broken(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.to_owned())
}

/// Reads what gzip wrote; several members count as one.
pub struct Gunzip<R: Read> {
    input: BufReader<R>,
    state: Box<InflateState>,
    sum: u32,
    length: u32,
    /// 0 before a member, 1 in it, 2 at the end.
    phase: u8,
    members: u64,
    /// Bytes behind the last member were left.
    garbage: bool,
    name: Bytes,
}

impl<R: Read> Gunzip<R> {
    /// Reads from `input`.
    pub fn new(input: BufReader<R>) -> Gunzip<R> {
        Gunzip {
            input,
            state: InflateState::new_boxed(DataFormat::Raw),
            sum: 0,
            length: 0,
            phase: 0,
            members: 0,
            garbage: false,
            name: Bytes::new(),
        }
    }

    fn bytes(&mut self, count: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; count];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Text up to a zero byte; only the beginning of a long one is kept.
    fn text(&mut self) -> io::Result<Bytes> {
        let mut text = Bytes::new();
        loop {
            match at(&self.bytes(1)?, 0) {
                0 => return Ok(text),
                byte if text.len() < 4096 => text.push(byte),
                _ => {}
            }
        }
    }

    /// The header of the next member; false when there is none.
    fn header(&mut self) -> io::Result<bool> {
        let first = loop {
            let mut one = [0];
            if self.input.read(&mut one)? == 0 {
                return if self.members == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(false) };
            }
            // Zeros behind a member are padding of tapes.
            if one != [0] || self.members == 0 {
                break at(&one, 0);
            }
        };
        let second = if first == 0x1f { self.bytes(1).map_or(0, |byte| at(&byte, 0)) } else { 0 };
        if (first, second) != (0x1f, 0x8b) {
            if self.members == 0 {
                return Err(broken("not in gzip format"));
            }
            self.garbage = true;
            return Ok(false);
        }
        let fixed = self.bytes(8)?;
        if at(&fixed, 0) != 8 {
            return Err(broken("unknown method of compression"));
        }
        let flags = at(&fixed, 1);
        if flags & 0xe0 != 0 {
            return Err(broken("has flags that are unknown"));
        }
        if flags & 4 != 0 {
            let length = self.bytes(2)?;
            let length = usize::from(at(&length, 0)) | usize::from(at(&length, 1)) << 8;
            self.bytes(length)?;
        }
        if flags & 8 != 0 {
            self.name = self.text()?;
        }
        if flags & 16 != 0 {
            self.text()?;
        }
        if flags & 2 != 0 {
            self.bytes(2)?;
        }
        self.state = InflateState::new_boxed(DataFormat::Raw);
        (self.sum, self.length) = (0, 0);
        self.members += 1;
        Ok(true)
    }

    fn trailer(&mut self) -> io::Result<()> {
        let bytes = self.bytes(8)?;
        let word =
            |from: usize| (0..4).fold(0u32, |sum, index| sum | u32::from(at(&bytes, from + index)) << (8 * index));
        if word(0) != self.sum {
            return Err(broken("invalid compressed data--crc error"));
        }
        if word(4) != self.length {
            return Err(broken("invalid compressed data--length error"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.phase {
                0 => self.phase = if self.header()? { 1 } else { 2 },
                1 => {
                    let input = self.input.fill_buf()?;
                    let ended = input.is_empty();
                    let result = inflate(&mut self.state, input, buffer, MZFlush::None);
                    let (read, written) = (result.bytes_consumed, result.bytes_written);
                    self.input.consume(read);
                    let fresh = part(buffer, 0, written);
                    self.sum = crc(self.sum, fresh);
                    self.length = self.length.wrapping_add(u32::try_from(written).unwrap_or(0));
                    match result.status {
                        Ok(MZStatus::StreamEnd) => {
                            self.trailer()?;
                            self.phase = 0;
                        }
                        Ok(_) | Err(MZError::Buf) if ended && written == 0 => {
                            return Err(io::ErrorKind::UnexpectedEof.into());
                        }
                        Ok(_) | Err(MZError::Buf) => {}
                        Err(_) => return Err(broken("invalid compressed data--format violated")),
                    }
                    if written > 0 {
                        return Ok(written);
                    }
                }
                _ => return Ok(0),
            }
        }
    }
}

/// Writes one member.
pub(crate) struct Gzip<'a> {
    output: &'a mut dyn Write,
    state: Box<CompressorOxide>,
    buffer: Vec<u8>,
    sum: u32,
    length: u32,
}

impl<'a> Gzip<'a> {
    /// Begins a member; name and time go into its header (RFC 1952, 2.3).
    pub(crate) fn new(output: &'a mut dyn Write, level: u8, name: &[u8], time: u32) -> io::Result<Gzip<'a>> {
        let extra = match level {
            9 => 2,
            1 => 4,
            _ => 0,
        };
        let mut head = vec![0x1f, 0x8b, 8, if name.is_empty() { 0 } else { 8 }];
        head.extend_from_slice(&time.to_le_bytes());
        head.extend_from_slice(&[extra, 3]);
        if !name.is_empty() {
            head.extend_from_slice(name);
            head.push(0);
        }
        output.write_all(&head)?;
        let flags = create_comp_flags_from_zip_params(i32::from(level), -15, 0);
        Ok(Gzip { output, state: Box::new(CompressorOxide::new(flags)), buffer: vec![0; CHUNK], sum: 0, length: 0 })
    }

    fn feed(&mut self, mut bytes: &[u8], flush: MZFlush) -> io::Result<()> {
        loop {
            let result = deflate(&mut self.state, bytes, &mut self.buffer, flush);
            self.output.write_all(part(&self.buffer, 0, result.bytes_written))?;
            bytes = after(bytes, result.bytes_consumed);
            match result.status {
                Ok(MZStatus::StreamEnd) => return Ok(()),
                Ok(_) | Err(MZError::Buf) => {
                    let full = result.bytes_written == self.buffer.len();
                    if bytes.is_empty() && flush == MZFlush::None && !full {
                        return Ok(());
                    }
                }
                Err(_) => return Err(broken("cannot compress")),
            }
        }
    }

    /// Ends the member.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.feed(b"", MZFlush::Finish)?;
        let mut tail = self.sum.to_le_bytes().to_vec();
        tail.extend_from_slice(&self.length.to_le_bytes());
        self.output.write_all(&tail)
    }
}

impl Write for Gzip<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sum = crc(self.sum, bytes);
        self.length = self.length.wrapping_add(u32::try_from(bytes.len()).unwrap_or(0));
        self.feed(bytes, MZFlush::None)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What to do with each file.
struct Job {
    unpack: bool,
    to_stdout: bool,
    force: bool,
    keep: bool,
    list: bool,
    test: bool,
    no_name: bool,
    use_name: bool,
    quiet: bool,
    recursive: bool,
    verbose: bool,
    level: u8,
    suffix: Bytes,
    totals: (u64, u64, u64),
}

pub(crate) fn gzip(ctx: &mut Ctx) -> Outcome {
    let called = ctx.name.clone();
    let spec = "c.stdout,to-stdout d.decompress,uncompress f.force k.keep l.list n.no-name N.name q.quiet r.recursive S:suffix t.test v.verbose \
                1.fast 2 3 4 5 6 7 8 9.best _R.rsyncable _s.synchronous";
    let mut tool = Tool::new(ctx, spec, 1)?;
    let level = match tool.opts.last(b"123456789") {
        0 => 6,
        digit => digit - b'0',
    };
    let mut job = Job {
        unpack: called != "gzip" || tool.opts.last(b"dlt") != 0,
        to_stdout: called == "zcat" || tool.has(b'c'),
        force: tool.has(b'f'),
        keep: tool.has(b'k'),
        list: tool.has(b'l'),
        test: tool.has(b't'),
        no_name: tool.has(b'n'),
        use_name: tool.opts.last(b"nN") == b'N',
        quiet: tool.has(b'q'),
        recursive: tool.has(b'r'),
        verbose: tool.has(b'v'),
        level,
        suffix: tool.opts.value(b'S').unwrap_or(b".gz").to_vec(),
        totals: (0, 0, 0),
    };
    let names = tool.inputs();
    let several = names.len() > 1;
    if job.list {
        tool.put(b"         compressed        uncompressed  ratio uncompressed_name\n")?;
    }
    for name in names {
        job.file(&mut tool, &name)?;
    }
    if job.list && several {
        let (packed, plain, _) = job.totals;
        let line = format!("{packed:19} {plain:19} {} (totals)\n", ratio(packed, plain));
        tool.put(line.as_bytes())?;
    }
    tool.done()
}

fn ratio(packed: u64, plain: u64) -> String {
    if plain == 0 {
        return "  0.0%".to_owned();
    }
    let (packed, plain) = (i128::from(packed), i128::from(plain));
    let tenths = ((plain - packed) * 1000 + plain.signum() * plain / 2).div_euclid(plain);
    format!(
        "{:>3}.{}%",
        if tenths < 0 { format!("-{}", -tenths / 10) } else { (tenths / 10).to_string() },
        (tenths % 10).abs()
    )
}

impl Job {
    /// Complains with status 2, which is a warning's.
    fn warn(&self, tool: &mut Tool<'_>, text: &str) {
        if self.quiet {
            return;
        }
        let before = tool.status;
        tool.complain(text);
        tool.status = if before == 1 { 1 } else { 2 };
    }

    fn file(&mut self, tool: &mut Tool<'_>, name: &[u8]) -> Result<(), Error> {
        if name == b"-" {
            if !self.unpack && !self.force && tool.ctx.stdout_is_terminal {
                tool.complain("compressed data not written to a terminal. Use -f to force compression.");
                return Ok(());
            }
            if self.unpack && !self.force && io::stdin().is_terminal() {
                tool.complain("compressed data not read from a terminal. Use -f to force decompression.");
                return Ok(());
            }
            return self.stream(tool, stdin()?, b"stdin", true, &mut None);
        }
        let mut name = name.to_vec();
        let mut data = fs::symlink_metadata(path(&name)).and_then(|data| {
            if data.is_symlink() && (self.force || self.to_stdout || self.list || self.test) {
                fs::metadata(path(&name))
            } else {
                Ok(data)
            }
        });
        if data.is_err() && self.unpack {
            let longer = [name.as_slice(), &self.suffix].concat();
            if let Ok(found) = fs::metadata(path(&longer)) {
                data = Ok(found);
                name = longer;
            }
        }
        let data = match data {
            Ok(data) => data,
            Err(error) => {
                if self.unpack && error.kind() == io::ErrorKind::NotFound && !name.ends_with(&self.suffix) {
                    let longer = [name.as_slice(), &self.suffix].concat();
                    tool.fail(&longer, &error);
                } else {
                    tool.fail(&name, &error);
                }
                return Ok(());
            }
        };
        if data.is_dir() {
            if !self.recursive {
                self.warn(tool, &format!("{} is a directory -- ignored", lossy(&name)));
                return Ok(());
            }
            let entries = match fs::read_dir(path(&name)) {
                Ok(entries) => entries,
                Err(error) => {
                    tool.fail(&name, &error);
                    return Ok(());
                }
            };
            let names: Vec<Bytes> = entries.flatten().map(|entry| entry.file_name().as_bytes().to_vec()).collect();
            for child in names {
                self.file(tool, &join(&name, &child))?;
            }
            return Ok(());
        }
        if !data.is_file() && !self.to_stdout {
            self.warn(tool, &format!("{} is not a directory or a regular file - ignored", lossy(&name)));
            return Ok(());
        }
        let input = match File::open(path(&name)) {
            Ok(input) => input,
            Err(error) => {
                tool.fail(&name, &error);
                return Ok(());
            }
        };
        if self.to_stdout || self.list || self.test {
            if !self.unpack && self.to_stdout && name.ends_with(&self.suffix) && !self.force {
                self.warn(tool, &format!("{} already has {} suffix -- unchanged", lossy(&name), lossy(&self.suffix)));
                return Ok(());
            }
            return self.stream(tool, input, &name, false, &mut None);
        }
        let target = match self.target(&name) {
            Ok(target) => target,
            Err(text) => {
                if self.unpack {
                    self.warn(tool, &text);
                } else if !self.quiet {
                    // For gzip, this is no failure.
                    let line = format!("{}: {text}", tool.ctx.name);
                    tool.ctx.say(&line);
                }
                return Ok(());
            }
        };
        let mut head = [0; 2];
        if self.unpack && input.read_at(&mut head, 0).is_ok() && head != [0x1f, 0x8b] {
            tool.complain(&format!("{}: not in gzip format", lossy(&name)));
            tool.status = 1;
            return Ok(());
        }
        if fs::symlink_metadata(path(&target)).is_ok() {
            if !self.force {
                let question = format!("{} already exists; do you wish to overwrite (y or n)? ", lossy(&target));
                let asked = io::stdin().is_terminal();
                if asked {
                    let _ = write!(tool.ctx.stderr, "{}: {question}", tool.ctx.name);
                }
                if !asked || !crate::fileops::yes(tool) {
                    self.warn(tool, &format!("{} already exists;\tnot overwritten", lossy(&target)));
                    return Ok(());
                }
            }
            let _ = fs::remove_file(path(&target));
        }
        let output = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path(&target)) {
            Ok(output) => output,
            Err(error) => {
                tool.fail(&target, &error);
                return Ok(());
            }
        };
        let before = std::mem::take(&mut tool.status);
        let mut output = Some(BufWriter::with_capacity(CHUNK, output));
        self.stream(tool, input, &name, false, &mut output)?;
        if let Some(mut output) = output
            && let Err(error) = output.flush()
        {
            tool.fail(&target, &error);
        }
        if tool.status == 1 {
            let _ = fs::remove_file(path(&target));
        } else {
            let _ = std::os::unix::fs::lchown(path(&target), Some(data.uid()), Some(data.gid()));
            let _ = fs::set_permissions(path(&target), fs::Permissions::from_mode(data.mode() & 0o7777));
            let _ = crate::fileops::set_times(&target, time_of(&data, b'a'), time_of(&data, b'm'), false);
            if !self.keep
                && let Err(error) = fs::remove_file(path(&name))
            {
                tool.fail(&name, &error);
            }
        }
        tool.status = tool.status.max(before);
        Ok(())
    }

    /// The name of the result.
    fn target(&self, name: &[u8]) -> Result<Bytes, String> {
        if !self.unpack {
            let known: [&[u8]; 5] = [&self.suffix, b".tgz", b".taz", b"-gz", b".z"];
            if let Some(own) = known.iter().find(|suffix| name.ends_with(suffix) && name.len() > suffix.len())
                && !self.force
            {
                return Err(format!("{} already has {} suffix -- unchanged", lossy(name), lossy(own)));
            }
            return Ok([name, &self.suffix].concat());
        }
        let ends: [(&[u8], &[u8]); 7] = [
            (&self.suffix, b""),
            (b".gz", b""),
            (b".tgz", b".tar"),
            (b".taz", b".tar"),
            (b".z", b""),
            (b"-gz", b""),
            (b".Z", b""),
        ];
        for (end, new) in ends {
            if let Some(stem) = name.strip_suffix(end).filter(|stem| !stem.is_empty() && !stem.ends_with(b"/")) {
                return Ok([stem, new].concat());
            }
        }
        Err(format!("{}: unknown suffix -- ignored", lossy(name)))
    }

    fn stream(
        &mut self,
        tool: &mut Tool<'_>,
        input: File,
        name: &[u8],
        is_stdin: bool,
        output: &mut Option<BufWriter<File>>,
    ) -> Result<(), Error> {
        let data = input.metadata().ok();
        let size = data.as_ref().map_or(0, MetadataExt::size);
        let mut sink = io::sink();
        let out: &mut dyn Write = match output {
            Some(output) => output,
            None if self.list || self.test => &mut sink,
            None => &mut tool.ctx.stdout,
        };
        let mut buffer = vec![0; CHUNK];
        let mut total = 0u64;
        let mut failure: Option<String> = None;
        let mut garbage = false;
        let mut inner = Bytes::new();
        if self.unpack {
            let mut input = BufReader::with_capacity(CHUNK, input);
            let magic = input.fill_buf().is_ok_and(|head| head.starts_with(&[0x1f, 0x8b]));
            if self.force && self.to_stdout && !magic {
                // With -f, what is not compressed passes as it is.
                match crate::base::copy(&mut input, out) {
                    Ok(_) => {}
                    Err(crate::base::CopyError::Write(error)) => return Err(error.into()),
                    Err(crate::base::CopyError::Read(error)) => failure = Some(crate::base::reason(&error)),
                }
            } else {
                let mut reader = Gunzip::new(input);
                loop {
                    match reader.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(count) => {
                            total += count as u64;
                            out.write_all(part(&buffer, 0, count))?;
                        }
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                            failure = Some("unexpected end of file".to_owned());
                            break;
                        }
                        Err(error) => {
                            failure = Some(crate::base::reason(&error));
                            break;
                        }
                    }
                }
                garbage = reader.garbage;
                inner = reader.name;
            }
        } else {
            let (own, time) = match &data {
                Some(data) if !is_stdin && !self.no_name => {
                    (base_name(name).to_vec(), u32::try_from(data.mtime()).unwrap_or(0))
                }
                _ => (Bytes::new(), 0),
            };
            let mut input = input;
            let mut packer = Gzip::new(out, self.level, &own, time)?;
            loop {
                match input.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        total += count as u64;
                        packer.write_all(part(&buffer, 0, count))?;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        failure = Some(crate::base::reason(&error));
                        break;
                    }
                }
            }
            packer.finish()?;
        }
        if let Some(text) = failure {
            tool.complain(&format!("{}: {text}", lossy(name)));
            tool.status = 1;
            return Ok(());
        }
        if garbage {
            self.warn(tool, &format!("{}: decompression OK, trailing garbage ignored", lossy(name)));
        }
        let stem = if self.use_name && !inner.is_empty() {
            join(dir_name(name), base_name(&inner))
        } else {
            self.target(name).ok().filter(|_| !is_stdin).unwrap_or_else(|| name.to_vec())
        };
        if self.list {
            self.totals = (self.totals.0 + size, self.totals.1 + total, self.totals.2 + 1);
            let shown = if is_stdin { b"stdout".to_vec() } else { stem };
            let line = [format!("{size:19} {total:19} {} ", ratio(size, total)).as_bytes(), &shown, b"\n"].concat();
            tool.put(&line)?;
        } else if self.test && self.verbose {
            tool.ctx.say(&format!("{}:\t OK", lossy(name)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(text: &[u8]) -> Bytes {
        let mut out = Bytes::new();
        let mut packer = Gzip::new(&mut out, 6, b"name", 5).unwrap();
        packer.write_all(text).unwrap();
        packer.finish().unwrap();
        out
    }

    fn unpacked(bytes: &[u8]) -> io::Result<Bytes> {
        let mut out = Bytes::new();
        Gunzip::new(BufReader::new(bytes)).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn there_and_back() {
        let text: Bytes = (0..300_000u32).map(|n| u8::try_from(n * n % 251).unwrap()).collect();
        let bytes = packed(&text);
        assert_eq!(unpacked(&bytes).unwrap(), text);
        assert_eq!(
            unpacked(&[bytes.clone(), packed(b"more"), vec![0, 0]].concat()).unwrap(),
            [text, b"more".to_vec()].concat()
        );
        assert_eq!(unpacked(&packed(b"")).unwrap(), b"");
        let mut bad = bytes.clone();
        let last = bad.len() - 6;
        bad[last] ^= 1;
        assert!(unpacked(&bad).is_err());
        assert!(unpacked(part(&bytes, 0, 100)).is_err());
        assert!(unpacked(b"no").is_err());
        assert_eq!(crc(0, b"123456789"), 0xcbf4_3926);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            let mut input = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
            input.extend_from_slice(&bytes);
            let _ = unpacked(&input);
        }
    }
}
