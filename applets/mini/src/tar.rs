//! tar (GNU tar 1.34): options, listing and unpacking. What leaves the directory is refused: names with `..`, and links that
//! point upwards or to the root are made only after all else, so that nothing is written through them.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, lchown, symlink};

use netkit_core::{Ctx, Error, Exit};

use crate::base::{Bytes, CHUNK, Outcome, Tool, after, at, dir_name, lossy, number, part, path, wanted, words, wrong};
use crate::fileops::{make_node, mask, set_times};
use crate::glob;
use crate::gzip::Gunzip;
use crate::meta::{Moment, Names, mode_text};
use crate::tar_read::{Member, Reader};

const SPEC: &str = "* c.create x.extract,get t.list r.append u.update A.catenate,concatenate d.diff,compare f:file z.gzip,gunzip,ungzip \
    j.bzip2 J.xz Z.compress a.auto-compress v.verbose p.preserve-permissions,same-permissions m.touch k.keep-old-files O.to-stdout \
    h.dereference C:directory X:exclude-from T:files-from P.absolute-names o S.sparse b:blocking-factor W.verify l.check-links B \
    i.ignore-zeros G g: M.multi-volume w.interactive,confirmation s U.unlink-first H:format V:label I:use-compress-program \
    _1:strip-components _2:exclude _3.no-same-owner _4.no-same-permissions _5.numeric-owner _6:owner _7:group _8:mode _9:mtime \
    _0.null _n.no-recursion _e.skip-old-files _D.keep-directory-symlink _E.overwrite _q.same-owner,preserve-order _N.totals \
    _R.remove-files _K:sort _y:transform,xform _Q:warning _L.no-xattrs,no-acls,no-selinux _F.xattrs,acls,selinux _Y?to-command \
    _J.one-top-level";

/// What packing and unpacking share.
pub(crate) struct Job {
    pub(crate) verbose: usize,
    pub(crate) archive: Bytes,
    pub(crate) excluded: Vec<Bytes>,
    pub(crate) numeric: bool,
    pub(crate) absolute: bool,
    pub(crate) names: Names,
    /// The note on leading slashes was made.
    pub(crate) noted: bool,
}

impl Job {
    /// Whether a pattern excludes the name: as a whole, or its end after any slash.
    pub(crate) fn is_excluded(&self, name: &[u8]) -> bool {
        let name = name.strip_suffix(b"/").unwrap_or(name);
        self.excluded.iter().any(|pattern| {
            let pattern = pattern.strip_suffix(b"/").unwrap_or(pattern);
            let ends = name.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(index, _)| index + 1);
            std::iter::once(0).chain(ends).any(|from| {
                // A directory that is excluded takes along what is below it.
                let rest = after(name, from);
                let cuts = rest.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(index, _)| index);
                cuts.chain(std::iter::once(rest.len())).any(|end| glob::matches(pattern, part(rest, 0, end), 0))
            })
        })
    }

    /// The name without a leading slash or `..`, which is said once.
    pub(crate) fn relative<'a>(&mut self, tool: &mut Tool<'_>, name: &'a [u8]) -> &'a [u8] {
        if self.absolute {
            return name;
        }
        let mut from = name.iter().take_while(|byte| **byte == b'/').count();
        while after(name, from).starts_with(b"../") {
            from += 3 + after(name, from + 3).iter().take_while(|byte| **byte == b'/').count();
        }
        if from > 0 && !std::mem::replace(&mut self.noted, true) {
            tool.ctx.say(&format!(
                "{}: Removing leading `{}' from member names",
                tool.ctx.name,
                lossy(part(name, 0, from))
            ));
        }
        let rest = after(name, from);
        if rest.is_empty() || rest == b".." { b"." } else { rest }
    }

    /// The line of -v and -t.
    pub(crate) fn line(&self, own: &Member, listing: bool) -> Bytes {
        let level = if listing { self.verbose + 1 } else { self.verbose };
        if level < 2 {
            return [own.name.as_slice(), b"\n"].concat();
        }
        let kind = match own.kind {
            b'1' => 0,
            b'2' => 0o120_000,
            b'3' => 0o020_000,
            b'4' => 0o060_000,
            b'5' => 0o040_000,
            b'6' => 0o010_000,
            _ => 0o100_000,
        };
        let mut mode = mode_text(own.mode | kind);
        if own.kind == b'1' {
            mode.splice(..1, *b"h");
        }
        let named = |name: &[u8], id: u32| if name.is_empty() || self.numeric { id.to_string() } else { lossy(name) };
        let (user, group) = (named(&own.user, own.uid), named(&own.group, own.gid));
        let size = match own.kind {
            b'3' | b'4' => format!("{},{}", own.device.0, own.device.1),
            b'1'..=b'6' => "0".to_owned(),
            _ => own.size.to_string(),
        };
        let pad = 17usize.saturating_sub(user.len() + group.len() + size.len());
        let mut out = mode;
        let _ = write!(out, " {user}/{group} {}{size} ", " ".repeat(pad));
        Moment::new(own.time.0, 0, false).format(b"%Y-%m-%d %H:%M ", &mut out);
        out.extend_from_slice(&own.name);
        match own.kind {
            b'2' => out.extend_from_slice(&[b" -> ", own.link.as_slice()].concat()),
            b'1' => out.extend_from_slice(&[b" link to ", own.link.as_slice()].concat()),
            _ => {}
        }
        out.push(b'\n');
        out
    }

    /// Shows a line: on stdout, or on stderr when the archive goes there.
    pub(crate) fn show(&self, tool: &mut Tool<'_>, own: &Member, listing: bool) -> Result<(), Error> {
        if !listing && self.verbose == 0 {
            return Ok(());
        }
        let line = self.line(own, listing);
        if !listing && self.archive == b"-" && tool.has(b'c') || tool.has(b'O') {
            let _ = tool.ctx.stderr.write_all(&line);
            return Ok(());
        }
        tool.put(&line)
    }
}

/// `tar xvf FILE`: the letters become options, each with its value from the words behind.
fn old_style(mut list: Vec<Bytes>) -> Vec<Bytes> {
    if list.first().is_none_or(|first| first.starts_with(b"-") || first.is_empty()) {
        return list;
    }
    let letters = list.remove(0);
    let mut out = Vec::new();
    let mut rest = list.into_iter();
    for letter in letters {
        out.push(vec![b'-', letter]);
        if b"fCXTbgHVI".contains(&letter)
            && let Some(value) = rest.next()
        {
            out.push(value);
        }
    }
    out.extend(rest);
    out
}

/// Lines of a file that names files or patterns.
pub(crate) fn listed(name: &[u8], end: u8) -> Result<Vec<Bytes>, Error> {
    let mut text = Bytes::new();
    crate::base::open(name).and_then(|mut file| file.read_to_end(&mut text)).map_err(|error| {
        Error::new(Exit(2), format!("{}: Cannot open: {}", lossy(name), crate::base::reason(&error)))
    })?;
    Ok(text.split(|byte| *byte == end).filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
}

pub(crate) fn tar(ctx: &mut Ctx) -> Outcome {
    let list = old_style(words(ctx));
    let mut tool = Tool::with(ctx, list, SPEC, 64)?;
    let refused: [(&[u8], &str); 4] = [
        (b"jJZI", "only gzip is offered (-z)"),
        (b"ruAdWGgMwVy", "-r, -u, -A, -d, -g, -M, -V, -w, -W and --transform are not offered"),
        (b"SRFYJ", "--sparse, --remove-files, --xattrs, --to-command and --one-top-level are not offered"),
        (b"i", "-i is not offered"),
    ];
    for (letters, text) in refused {
        if tool.opts.last(letters) != 0 {
            return wrong(2, text);
        }
    }
    let modes = [b'c', b'x', b't'].iter().filter(|id| tool.has(**id)).count();
    if modes == 0 {
        return wrong(2, "You must specify one of the '-cxt' options");
    }
    if modes > 1 {
        return wrong(2, "You may not specify more than one '-cxt' option");
    }
    let archive =
        tool.opts.value(b'f').map_or_else(|| tool.ctx.var("TAPE").unwrap_or("-").as_bytes().to_vec(), <[u8]>::to_vec);
    let end = if tool.has(b'0') { 0 } else { b'\n' };
    let mut excluded: Vec<Bytes> = tool.opts.values(b'2').map(<[u8]>::to_vec).collect();
    for file in tool.opts.values(b'X') {
        excluded.append(&mut listed(file, b'\n')?);
    }
    let job = Job {
        verbose: tool.opts.count(b'v'),
        archive,
        excluded,
        numeric: tool.has(b'5'),
        absolute: tool.has(b'P'),
        names: Names::default(),
        noted: false,
    };
    if tool.has(b'c') {
        crate::tar_write::create(&mut tool, job, end)?;
    } else {
        let mut chosen = std::mem::take(&mut tool.opts.rest);
        for file in tool.opts.values(b'T') {
            chosen.append(&mut listed(file, end)?);
        }
        unpack(&mut tool, job, chosen)?;
    }
    if tool.status > 1 {
        let line = format!("{}: Exiting with failure status due to previous errors", tool.ctx.name);
        tool.ctx.say(&line);
    }
    tool.done()
}

/// A symbolic link that waits for the end.
struct Waiting {
    target: Bytes,
    owner: (u32, u32),
    time: (i64, i64),
}

struct Unpack {
    job: Job,
    chosen: Vec<(Bytes, bool)>,
    strip: usize,
    owner: bool,
    permissions: bool,
    mask: u32,
    to_stdout: bool,
    keep: bool,
    skip_old: bool,
    touch: bool,
    waiting: BTreeMap<Bytes, Waiting>,
    /// Directories whose mode and time are set at the end.
    dirs: Vec<(Bytes, u32, (i64, i64))>,
}

fn failed(tool: &mut Tool<'_>, name: &[u8], what: &str, error: &io::Error) {
    tool.complain(&format!("{}: {what}: {}", lossy(name), crate::base::reason(error)));
    tool.status = 2;
}

fn unpack(tool: &mut Tool<'_>, job: Job, chosen: Vec<Bytes>) -> Result<(), Error> {
    let name = job.archive.clone();
    let file = if name == b"-" { crate::base::stdin() } else { File::open(path(&name)) };
    let file = file.map_err(|error| {
        let text = format!(
            "{}: Cannot open: {}\ntar: Error is not recoverable: exiting now",
            lossy(&name),
            crate::base::reason(&error)
        );
        Error::new(Exit(2), text)
    })?;
    for dir in tool.opts.values(b'C') {
        std::env::set_current_dir(path(dir)).map_err(|error| {
            Error::new(Exit(2), format!("{}: Cannot open: {}", lossy(dir), crate::base::reason(&error)))
        })?;
    }
    let mut strip = 0;
    if let Some(text) = tool.opts.value(b'1') {
        strip = usize::try_from(wanted(number(text), "number of elements", text, 2)?).unwrap_or(usize::MAX);
    }
    let root = nix::unistd::geteuid().is_root();
    let mut unpack = Unpack {
        job,
        chosen: chosen.into_iter().map(|name| (name.strip_suffix(b"/").unwrap_or(&name).to_vec(), false)).collect(),
        strip,
        owner: match tool.opts.last(b"3oq") {
            b'3' | b'o' => false,
            b'q' => true,
            _ => root,
        },
        permissions: match tool.opts.last(b"4p") {
            b'4' => false,
            b'p' => true,
            _ => root,
        },
        mask: mask(),
        to_stdout: tool.has(b'O'),
        keep: tool.has(b'k'),
        skip_old: tool.has(b'e'),
        touch: tool.has(b'm'),
        waiting: BTreeMap::new(),
        dirs: Vec::new(),
    };
    let mut input = BufReader::with_capacity(CHUNK, file);
    let head = input.fill_buf().map(|head| part(head, 0, 6).to_vec()).unwrap_or_default();
    let packed = head.starts_with(&[0x1f, 0x8b]);
    if head.starts_with(b"BZh") || head.starts_with(b"\xfd7zXZ") || head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return wrong(2, "the archive is compressed by bzip2, xz or zstd, which are not offered");
    }
    if tool.has(b'z') && !packed && !head.is_empty() {
        return wrong(2, "the archive is not in gzip format");
    }
    let list = tool.has(b't');
    let mut gunzip;
    let mut plain;
    let source: &mut dyn Read = if packed {
        gunzip = Gunzip::new(input);
        &mut gunzip
    } else {
        plain = input;
        &mut plain
    };
    let mut reader = Reader::new(source);
    loop {
        match reader.next() {
            Ok(Some(member)) => {
                if let Err(error) = unpack.member(tool, &mut reader, member, list)? {
                    failed(tool, &name, "Cannot read", &error);
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                tool.complain(&crate::base::reason(&error));
                tool.status = 2;
                break;
            }
        }
    }
    // Whoever writes the archive into a pipe shall not die of a reader that goes before the padding.
    let _ = io::copy(source, &mut io::sink());
    unpack.finish(tool);
    Ok(())
}

impl Unpack {
    fn wanted(&mut self, name: &[u8]) -> bool {
        let name = name.strip_suffix(b"/").unwrap_or(name);
        let mut any = self.chosen.is_empty();
        for (own, seen) in &mut self.chosen {
            let below = name.strip_prefix(own.as_slice()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
            any |= below;
            *seen |= below;
        }
        any && !self.job.is_excluded(name)
    }

    fn member(
        &mut self,
        tool: &mut Tool<'_>,
        reader: &mut Reader<'_>,
        member: Member,
        list: bool,
    ) -> Result<io::Result<()>, Error> {
        if !self.wanted(&member.name) {
            return Ok(Ok(()));
        }
        if list {
            self.job.show(tool, &member, true)?;
            return Ok(Ok(()));
        }
        let mut name = self.job.relative(tool, &member.name).to_vec();
        for _ in 0..self.strip {
            let slash = name.iter().position(|byte| *byte == b'/');
            name = slash.map_or(Bytes::new(), |slash| {
                after(&name, slash).iter().copied().skip_while(|byte| *byte == b'/').collect()
            });
        }
        if name.is_empty() {
            return Ok(Ok(()));
        }
        let upwards = |name: &[u8]| name.split(|byte| *byte == b'/').any(|part| part == b"..");
        if upwards(&name) && !self.job.absolute {
            tool.complain(&format!("{}: Member name contains '..'", lossy(&member.name)));
            tool.status = 2;
            return Ok(Ok(()));
        }
        if name.contains(&0) {
            tool.complain("a member's name contains a zero byte");
            tool.status = 2;
            return Ok(Ok(()));
        }
        if self.to_stdout {
            if member.kind == b'0' {
                self.job.show(tool, &member, false)?;
                let mut buffer = vec![0; CHUNK];
                loop {
                    match reader.content(&mut buffer) {
                        Ok(0) => break,
                        Ok(count) => tool.put(part(&buffer, 0, count))?,
                        Err(error) => return Ok(Err(error)),
                    }
                }
            }
            return Ok(Ok(()));
        }
        self.job.show(tool, &member, false)?;
        if name.ends_with(b"/") && member.kind != b'5' {
            name.pop();
        }
        let place = name.strip_suffix(b"/").unwrap_or(&name).to_vec();
        let is_dir = member.kind == b'5';
        let there = fs::symlink_metadata(path(&place)).ok();
        if let Some(data) = &there
            && !(is_dir && data.is_dir())
        {
            if self.skip_old {
                return Ok(Ok(()));
            }
            if self.keep {
                failed(tool, &name, "Cannot open", &io::Error::from_raw_os_error(nix::libc::EEXIST));
                return Ok(Ok(()));
            }
            if !(is_dir && data.is_symlink() && tool.has(b'D')) {
                let removed = if data.is_dir() { fs::remove_dir(path(&place)) } else { fs::remove_file(path(&place)) };
                if let Err(error) = removed {
                    failed(tool, &name, "Cannot open", &error);
                    return Ok(Ok(()));
                }
            }
        }
        self.waiting.remove(&place);
        let parent = dir_name(&place);
        if parent != b"."
            && fs::symlink_metadata(path(parent)).is_err()
            && let Err(error) = fs::create_dir_all(path(parent))
        {
            failed(tool, &name, "Cannot mkdir", &error);
            return Ok(Ok(()));
        }
        let result = match member.kind {
            b'5' => self.directory(tool, &member, &place, there.is_some_and(|data| data.is_dir())),
            b'2' => self.link(tool, &member, &place),
            b'1' => self.hard_link(tool, &member, &place),
            b'3' | b'4' | b'6' => self.node(tool, &member, &place),
            b'0' => return self.regular(tool, reader, &member, &place),
            b'V' => Ok(()),
            other => {
                tool.complain(&format!(
                    "{}: Unknown file type '{}', extracted as normal file",
                    lossy(&name),
                    lossy(&[other])
                ));
                return self.regular(tool, reader, &member, &place);
            }
        };
        if let Err(error) = result {
            failed(tool, &name, if is_dir { "Cannot mkdir" } else { "Cannot create" }, &error);
        }
        Ok(Ok(()))
    }

    fn mode(&self, member: &Member) -> u32 {
        if self.permissions { member.mode } else { member.mode & 0o777 & !self.mask }
    }

    fn owner(&mut self, tool: &mut Tool<'_>, member: &Member, place: &[u8]) -> (u32, u32) {
        let mut id = |name: &[u8], id: u32, group: bool| {
            if self.job.numeric || name.is_empty() {
                id
            } else {
                self.job.names.id(name, group).filter(|_| !name.iter().all(u8::is_ascii_digit)).unwrap_or(id)
            }
        };
        let owner = (id(&member.user, member.uid, false), id(&member.group, member.gid, true));
        if self.owner
            && let Err(error) = lchown(path(place), Some(owner.0), Some(owner.1))
        {
            failed(tool, place, &format!("Cannot change ownership to uid {}, gid {}", owner.0, owner.1), &error);
        }
        owner
    }

    fn directory(&mut self, tool: &mut Tool<'_>, member: &Member, place: &[u8], there: bool) -> io::Result<()> {
        if !there && !path(place).is_dir() {
            fs::create_dir(path(place))?;
        }
        if place == b"." && !self.permissions {
            return Ok(());
        }
        self.owner(tool, member, place);
        // Until the end, its files must be possible.
        let mode = self.mode(member);
        fs::set_permissions(path(place), fs::Permissions::from_mode(mode | 0o700))?;
        self.dirs.push((place.to_vec(), mode, member.time));
        Ok(())
    }

    fn link(&mut self, tool: &mut Tool<'_>, member: &Member, place: &[u8]) -> io::Result<()> {
        let upwards = member.link.split(|byte| *byte == b'/').any(|part| part == b"..");
        if member.link.starts_with(b"/") || upwards {
            let owner = (member.uid, member.gid);
            self.waiting.insert(place.to_vec(), Waiting { target: member.link.clone(), owner, time: member.time });
            return Ok(());
        }
        symlink(path(&member.link), path(place))?;
        self.owner(tool, member, place);
        if !self.touch {
            let _ = set_times(place, member.time, member.time, false);
        }
        Ok(())
    }

    fn hard_link(&mut self, tool: &mut Tool<'_>, member: &Member, place: &[u8]) -> io::Result<()> {
        let mut target = self.job.relative(tool, &member.link).to_vec();
        for _ in 0..self.strip {
            let slash = target.iter().position(|byte| *byte == b'/');
            target = slash.map_or(Bytes::new(), |slash| after(&target, slash + 1).to_vec());
        }
        if target.split(|byte| *byte == b'/').any(|part| part == b"..") && !self.job.absolute {
            return Err(io::Error::other("the link's target contains '..'"));
        }
        if let Some(waiting) = self.waiting.get(&target) {
            let copy = Waiting { target: waiting.target.clone(), owner: waiting.owner, time: waiting.time };
            self.waiting.insert(place.to_vec(), copy);
            return Ok(());
        }
        fs::hard_link(path(&target), path(place))
    }

    fn node(&mut self, tool: &mut Tool<'_>, member: &Member, place: &[u8]) -> io::Result<()> {
        let kind = match member.kind {
            b'3' => 0o020_000,
            b'4' => 0o060_000,
            _ => 0o010_000,
        };
        make_node(
            place,
            kind | member.mode & 0o777,
            rustix::fs::makedev(
                u32::try_from(member.device.0).unwrap_or(0),
                u32::try_from(member.device.1).unwrap_or(0),
            ),
        )?;
        self.owner(tool, member, place);
        fs::set_permissions(path(place), fs::Permissions::from_mode(self.mode(member)))?;
        if !self.touch {
            let _ = set_times(place, member.time, member.time, false);
        }
        Ok(())
    }

    fn regular(
        &mut self,
        tool: &mut Tool<'_>,
        reader: &mut Reader<'_>,
        member: &Member,
        place: &[u8],
    ) -> Result<io::Result<()>, Error> {
        let mode = self.mode(member);
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode & 0o777 & if self.owner { 0o700 } else { 0o777 })
            .open(path(place));
        let mut file = match made {
            Ok(file) => file,
            Err(error) => {
                failed(tool, place, "Cannot open", &error);
                return Ok(Ok(()));
            }
        };
        let mut buffer = vec![0; CHUNK];
        loop {
            match reader.content(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    if let Err(error) = file.write_all(part(&buffer, 0, count)) {
                        failed(tool, place, "Cannot write", &error);
                        return Ok(Ok(()));
                    }
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        drop(file);
        self.owner(tool, member, place);
        if let Err(error) = fs::set_permissions(path(place), fs::Permissions::from_mode(mode)) {
            failed(tool, place, "Cannot change mode", &error);
        }
        if !self.touch
            && let Err(error) = set_times(place, member.time, member.time, false)
        {
            failed(tool, place, "Cannot utime", &error);
        }
        Ok(Ok(()))
    }

    /// Links that waited, then modes and times of directories, the deepest first; names that were not found.
    fn finish(&mut self, tool: &mut Tool<'_>) {
        for (place, waiting) in std::mem::take(&mut self.waiting) {
            if let Err(error) = symlink(path(&waiting.target), path(&place)) {
                failed(tool, &place, "Cannot create symlink", &error);
                continue;
            }
            if self.owner {
                let _ = lchown(path(&place), Some(waiting.owner.0), Some(waiting.owner.1));
            }
            if !self.touch {
                let _ = set_times(&place, waiting.time, waiting.time, false);
            }
        }
        for (place, mode, time) in std::mem::take(&mut self.dirs).into_iter().rev() {
            // A directory that became something else is left alone.
            if !fs::symlink_metadata(path(&place)).is_ok_and(|data| data.is_dir()) {
                continue;
            }
            let _ = fs::set_permissions(path(&place), fs::Permissions::from_mode(mode));
            if !self.touch {
                let _ = set_times(&place, time, time, false);
            }
        }
        for (name, seen) in std::mem::take(&mut self.chosen) {
            if !seen {
                tool.complain(&format!("{}: Not found in archive", lossy(&name)));
                tool.status = 2;
            }
        }
    }
}

/// The moment of --mtime.
pub(crate) fn moment(tool: &Tool<'_>) -> Result<Option<i64>, Error> {
    let Some(text) = tool.opts.value(b'9') else { return Ok(None) };
    if matches!(at(text, 0), b'/' | b'.')
        && let Ok(data) = fs::metadata(path(text))
    {
        return Ok(Some(std::os::unix::fs::MetadataExt::mtime(&data)));
    }
    let read = crate::date::read(text, crate::date::now(tool.ctx), false);
    wanted(read, "date", text, 2).map(|(seconds, _)| Some(seconds))
}
