//! tar: packing, in GNU's format (tar(5)): long names and links as members of their own, big numbers in base 256.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use netkit_core::{Error, Exit};

use crate::base::{Bytes, CHUNK, Tool, join, lossy, octal, part, path};
use crate::gzip::Gzip;
use crate::meta::{change_mode, device};
use crate::tar::{Job, listed, moment};
use crate::tar_read::{BLOCK, Member};

struct Pack<'a> {
    job: Job,
    out: &'a mut dyn Write,
    written: u64,
    /// Files with several names, under the first one.
    links: Vec<((u64, u64), Bytes)>,
    follow: bool,
    recursive: bool,
    time: Option<i64>,
    owner: (Option<Bytes>, Option<Bytes>),
    mode: Option<Bytes>,
    sorted: bool,
    buffer: Vec<u8>,
    /// Where the archive itself is, which is not packed.
    own: Option<(u64, u64)>,
}

pub(crate) fn create(tool: &mut Tool<'_>, job: Job, end: u8) -> Result<(), Error> {
    let fail = |text: String| Error::new(Exit(2), text);
    let to_stdout = job.archive == b"-";
    if to_stdout && tool.ctx.stdout_is_terminal {
        return Err(fail("Refusing to write archive contents to terminal (missing -f option?)".to_owned()));
    }
    if !tool.opts.seen.iter().any(|(id, _)| matches!(*id, 255 | b'T')) {
        return Err(fail("Cowardly refusing to create an empty archive".to_owned()));
    }
    let format = tool.opts.value(b'H').unwrap_or(b"gnu");
    if format != b"gnu" && format != b"oldgnu" {
        return Err(fail(format!("the format '{}' is not offered, gnu is", lossy(format))));
    }
    let mut own = None;
    let mut file: Box<dyn Write> = if to_stdout {
        tool.ctx.stdout.flush()?;
        let out = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?;
        Box::new(File::from(out))
    } else {
        let made = OpenOptions::new().write(true).create(true).truncate(true).open(path(&job.archive));
        let made = made
            .map_err(|error| fail(format!("{}: Cannot open: {}", lossy(&job.archive), crate::base::reason(&error))))?;
        own = made.metadata().ok().filter(Metadata::is_file).map(|data| (data.dev(), data.ino()));
        Box::new(made)
    };
    let mut buffered = BufWriter::with_capacity(CHUNK, &mut file);
    let name = &job.archive;
    let compress = tool.has(b'z') || tool.has(b'a') && (name.ends_with(b".gz") || name.ends_with(b".tgz"));
    if compress {
        let mut packer = Gzip::new(&mut buffered, 6, b"", 0)?;
        pack_all(tool, job, end, own, &mut packer)?;
        packer.finish()?;
    } else {
        pack_all(tool, job, end, own, &mut buffered)?;
    }
    Ok(buffered.flush()?)
}

/// Packs what the command line names, in its order.
fn pack_all(tool: &mut Tool<'_>, job: Job, end: u8, own: Option<(u64, u64)>, out: &mut dyn Write) -> Result<(), Error> {
    let fail = |text: String| Error::new(Exit(2), text);
    let mut pack = Pack {
        out,
        written: 0,
        links: Vec::new(),
        follow: tool.has(b'h'),
        recursive: !tool.has(b'n'),
        time: moment(tool)?,
        owner: (tool.opts.value(b'6').map(<[u8]>::to_vec), tool.opts.value(b'7').map(<[u8]>::to_vec)),
        mode: tool.opts.value(b'8').map(<[u8]>::to_vec),
        sorted: tool.opts.value(b'K') == Some(b"name"),
        buffer: vec![0; CHUNK],
        own,
        job,
    };
    for (id, word) in std::mem::take(&mut tool.opts.seen) {
        // The options are looked at again for messages.
        tool.opts.seen.push((id, word.clone()));
        match id {
            b'C' => std::env::set_current_dir(path(&word))
                .map_err(|error| fail(format!("{}: Cannot open: {}", lossy(&word), crate::base::reason(&error))))?,
            255 => pack.add(tool, &word)?,
            b'T' => {
                for name in listed(&word, end)? {
                    pack.add(tool, &name)?;
                }
            }
            _ => {}
        }
    }
    // Two empty blocks, and then whole records of twenty.
    let record = (20 * BLOCK) as u64;
    let total = (pack.written + 2 * BLOCK as u64).div_ceil(record) * record;
    let zeros = vec![0; usize::try_from(total - pack.written).unwrap_or(0)];
    Ok(pack.out.write_all(&zeros)?)
}

/// Writes a number into its field: octal, or base 256 where that has no room.
fn number(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    if digits < 21 && value >> (3 * digits) != 0 {
        for (index, byte) in field.iter_mut().rev().enumerate() {
            *byte =
                u8::try_from(value.checked_shr(8 * u32::try_from(index).unwrap_or(0)).unwrap_or(0) & 255).unwrap_or(0);
        }
        if let Some(first) = field.first_mut() {
            *first |= 0x80;
        }
        return;
    }
    let text = format!("{value:0digits$o}");
    for (place, byte) in field.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
}

fn text(field: &mut [u8], value: &[u8]) {
    for (place, byte) in field.iter_mut().zip(value) {
        *place = *byte;
    }
}

/// The block that describes a member.
fn header(own: &Member) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |from: usize, length: usize, act: &dyn Fn(&mut [u8])| {
        if let Some(field) = block.get_mut(from..from + length) {
            act(field);
        }
    };
    put(0, 100, &|field| text(field, &own.name));
    put(100, 8, &|field| number(field, u64::from(own.mode)));
    put(108, 8, &|field| number(field, u64::from(own.uid)));
    put(116, 8, &|field| number(field, u64::from(own.gid)));
    put(124, 12, &|field| number(field, own.size));
    put(136, 12, &|field| {
        number(field, own.time.0.cast_unsigned() & if own.time.0 < 0 { u64::MAX } else { u64::MAX >> 1 })
    });
    put(148, 8, &|field| text(field, b"        "));
    put(156, 1, &|field| text(field, &[own.kind]));
    put(157, 100, &|field| text(field, &own.link));
    put(257, 8, &|field| text(field, b"ustar  \0"));
    put(265, 31, &|field| text(field, &own.user));
    put(297, 31, &|field| text(field, &own.group));
    if matches!(own.kind, b'3' | b'4') {
        put(329, 8, &|field| number(field, own.device.0));
        put(337, 8, &|field| number(field, own.device.1));
    }
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    if let Some(field) = block.get_mut(148..155) {
        number(field, sum);
    }
    block
}

impl Pack<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self) -> Result<(), Error> {
        let over = usize::try_from(self.written % BLOCK as u64).unwrap_or(0);
        if over > 0 { self.write(part(&[0; BLOCK], over, BLOCK)) } else { Ok(()) }
    }

    /// A name or link that does not fit its field goes ahead as a member.
    fn long(&mut self, value: &[u8], kind: u8) -> Result<(), Error> {
        if value.len() <= 100 {
            return Ok(());
        }
        let own = Member {
            name: b"././@LongLink".to_vec(),
            kind,
            mode: 0o644,
            user: b"root".to_vec(),
            group: b"root".to_vec(),
            size: value.len() as u64 + 1,
            ..Member::default()
        };
        self.write(&header(&own))?;
        self.write(value)?;
        self.write(b"\0")?;
        self.pad()
    }

    fn add(&mut self, tool: &mut Tool<'_>, name: &[u8]) -> Result<(), Error> {
        if self.job.is_excluded(name) {
            return Ok(());
        }
        let data = match if self.follow { fs::metadata(path(name)) } else { fs::symlink_metadata(path(name)) } {
            Ok(data) => data,
            Err(error) => {
                tool.complain(&format!("{}: Cannot stat: {}", lossy(name), crate::base::reason(&error)));
                tool.status = 2;
                return Ok(());
            }
        };
        let kind = data.file_type();
        if kind.is_socket() {
            tool.ctx.say(&format!("{}: {}: socket ignored", tool.ctx.name, lossy(name)));
            return Ok(());
        }
        if self.own == Some((data.dev(), data.ino())) {
            tool.complain(&format!("{}: file is the archive; not dumped", lossy(name)));
            return Ok(());
        }
        let mut own = Member {
            name: self.job.relative(tool, name).to_vec(),
            mode: data.mode() & 0o7777,
            uid: data.uid(),
            gid: data.gid(),
            kind: match () {
                () if kind.is_dir() => b'5',
                () if kind.is_symlink() => b'2',
                () if kind.is_fifo() => b'6',
                () if kind.is_char_device() => b'3',
                () if kind.is_block_device() => b'4',
                () => b'0',
            },
            time: (self.time.unwrap_or(data.mtime()), 0),
            device: device(data.rdev()),
            ..Member::default()
        };
        if kind.is_dir() && !own.name.ends_with(b"/") {
            own.name.push(b'/');
        }
        self.ownership(&mut own);
        if let Some(spec) = &self.mode {
            own.mode = change_mode(spec, own.mode, kind.is_dir(), 0).or_else(|| octal(spec)).unwrap_or(own.mode);
        }
        let id = (data.dev(), data.ino());
        if data.nlink() > 1 && !kind.is_dir() {
            match self.links.iter().find(|(held, _)| *held == id) {
                Some((_, first)) => (own.kind, own.link) = (b'1', first.clone()),
                None => self.links.push((id, own.name.clone())),
            }
        }
        if own.kind == b'2' {
            own.link = match fs::read_link(path(name)) {
                Ok(target) => target.as_os_str().as_bytes().to_vec(),
                Err(error) => {
                    tool.complain(&format!("{}: Cannot readlink: {}", lossy(name), crate::base::reason(&error)));
                    tool.status = 2;
                    return Ok(());
                }
            };
        }
        let mut file = None;
        if own.kind == b'0' {
            own.size = data.size();
            match File::open(path(name)) {
                Ok(opened) => file = Some(opened),
                Err(error) => {
                    tool.complain(&format!("{}: Cannot open: {}", lossy(name), crate::base::reason(&error)));
                    tool.status = 2;
                    return Ok(());
                }
            }
        }
        self.job.show(tool, &own, false)?;
        self.long(&own.link.clone(), b'K')?;
        self.long(&own.name.clone(), b'L')?;
        self.write(&header(&own))?;
        if let Some(file) = file {
            self.content(tool, file, name, own.size)?;
        }
        if kind.is_dir() && self.recursive {
            self.children(tool, name)?;
        }
        Ok(())
    }

    fn ownership(&mut self, own: &mut Member) {
        // `name`, `name:id` or `id`.
        let mut apply = |given: &Option<Bytes>, id: &mut u32, group: bool| -> Bytes {
            let Some(given) = given else { return Bytes::new() };
            let mut pieces = given.splitn(2, |byte| *byte == b':');
            let (name, number) = (pieces.next().unwrap_or_default(), pieces.next());
            let found = match number {
                Some(number) => crate::base::number(number).and_then(|id| u32::try_from(id).ok()),
                None => self.job.names.id(name, group),
            };
            *id = found.unwrap_or(*id);
            if name.iter().all(u8::is_ascii_digit) { Bytes::new() } else { name.to_vec() }
        };
        let (user, group) = (apply(&self.owner.0, &mut own.uid, false), apply(&self.owner.1, &mut own.gid, true));
        if self.job.numeric {
            return;
        }
        own.user = if user.is_empty() { self.job.names.name(own.uid, false).unwrap_or_default() } else { user };
        own.group = if group.is_empty() { self.job.names.name(own.gid, true).unwrap_or_default() } else { group };
    }

    /// Exactly as many bytes as the header says, whatever happens to the file meanwhile.
    fn content(&mut self, tool: &mut Tool<'_>, mut file: File, name: &[u8], size: u64) -> Result<(), Error> {
        let mut left = size;
        let mut buffer = std::mem::take(&mut self.buffer);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let count = match file.read(buffer.get_mut(..most).unwrap_or_default()) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tool.complain(&format!("{}: Read error: {}", lossy(name), crate::base::reason(&error)));
                    tool.status = 2;
                    0
                }
            };
            if count == 0 {
                tool.complain(&format!("{}: File shrank by {left} bytes; padding with zeros", lossy(name)));
                buffer.fill(0);
                while left > 0 {
                    let piece = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                    self.write(part(&buffer, 0, piece))?;
                    left -= piece as u64;
                }
                break;
            }
            self.write(part(&buffer, 0, count))?;
            left -= count as u64;
        }
        self.buffer = buffer;
        self.pad()
    }

    fn children(&mut self, tool: &mut Tool<'_>, name: &[u8]) -> Result<(), Error> {
        match fs::read_dir(path(name)) {
            Ok(entries) => {
                let mut names: Vec<Bytes> =
                    entries.flatten().map(|entry| entry.file_name().as_bytes().to_vec()).collect();
                if self.sorted {
                    names.sort_unstable();
                }
                for child in names {
                    self.add(tool, &join(name, &child))?;
                }
            }
            Err(error) => {
                tool.complain(&format!("{}: Cannot open: {}", lossy(name), crate::base::reason(&error)));
                tool.status = 2;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar_read::Reader;

    #[test]
    fn headers_are_read_as_they_were_written() {
        let own = Member {
            name: b"dir/file".to_vec(),
            mode: 0o644,
            uid: 3_000_000,
            gid: 5,
            kind: b'0',
            size: 0,
            time: (1_700_000_000, 0),
            user: b"me".to_vec(),
            ..Member::default()
        };
        let mut block = header(&own).to_vec();
        block.extend_from_slice(&[0; 1024]);
        let mut input = block.as_slice();
        let mut reader = Reader::new(&mut input);
        let read = reader.next().unwrap().unwrap();
        assert_eq!(
            (read.name, read.mode, read.uid, read.time, read.user),
            (own.name, 0o644, 3_000_000, own.time, own.user)
        );
        assert!(reader.next().unwrap().is_none());
    }
}
