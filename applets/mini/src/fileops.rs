//! cp, mv, rm, mkdir, rmdir, ln, chmod, chown, touch, readlink, realpath, basename, dirname, mktemp (POSIX.1-2017;
//! coreutils 9.1). Copies keep what -p says: mode, owner where allowed, times; no extended attributes.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, BufRead, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netkit_core::{Ctx, Error, Exit};
use netkit_sys::process::umask;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

use crate::base::{
    Bytes, CopyError, Outcome, Tool, after, at, base_name, copy, dir_name, join, lossy, path, wanted, wrong,
};
use crate::meta::{Names, change_mode, time_of, type_letter};

/// Whether stdin says yes.
pub(crate) fn yes(tool: &mut Tool<'_>) -> bool {
    let _ = tool.ctx.stderr.flush();
    let mut line = Bytes::new();
    let read = tool.ctx.stdin.read_until(b'\n', &mut line);
    read.is_ok() && matches!(at(&line, 0), b'y' | b'Y')
}

fn ask(tool: &mut Tool<'_>, question: &str) -> bool {
    let _ = tool.ctx.stdout.flush();
    let name = tool.ctx.name.clone();
    let _ = write!(tool.ctx.stderr, "{name}: {question} ");
    yes(tool)
}

fn link_data(name: &[u8]) -> io::Result<Metadata> {
    fs::symlink_metadata(path(name))
}

/// The mask, which reading changes and puts back.
pub(crate) fn mask() -> u32 {
    let mask = umask(0);
    umask(mask);
    mask
}

/// Sets access and modification time; a link itself with `follow` false.
pub(crate) fn set_times(name: &[u8], access: (i64, i64), change: (i64, i64), follow: bool) -> io::Result<()> {
    let time = |(seconds, nanos): (i64, i64)| Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: time(access), last_modification: time(change) };
    let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    Ok(utimensat(CWD, path(name), &times, flags)?)
}

/// Makes a FIFO or device.
pub(crate) fn make_node(name: &[u8], mode: u32, device: u64) -> io::Result<()> {
    let kind = FileType::from_raw_mode(mode);
    Ok(mknodat(CWD, path(name), kind, Mode::from_raw_mode(mode & 0o7777), device)?)
}

/// What cp and mv do.
struct Copy {
    recursive: bool,
    /// Links in the tree are followed; links on the command line are.
    follow: bool,
    follow_operands: bool,
    preserve: bool,
    owner: bool,
    force: bool,
    interactive: bool,
    keep: bool,
    update: bool,
    verbose: bool,
    /// `l` hard links, `s` symbolic links instead of copies.
    link: u8,
    remove_first: bool,
    moving: bool,
    hard: Vec<((u64, u64), Bytes)>,
}

/// Operands of cp, mv and ln: sources, and the directory or name they go to.
fn targets(tool: &mut Tool<'_>) -> Result<(Vec<Bytes>, Bytes, bool), Error> {
    let mut sources = std::mem::take(&mut tool.opts.rest);
    let dir = tool.opts.value(b't').map(<[u8]>::to_vec);
    if sources.is_empty() {
        return wrong(1, "missing file operand");
    }
    if let Some(dir) = dir {
        if !path(&dir).is_dir() {
            return wrong(1, &format!("target directory '{}': Not a directory", lossy(&dir)));
        }
        return Ok((sources, dir, true));
    }
    if sources.len() == 1 {
        let first = sources.first().map(|name| lossy(name)).unwrap_or_default();
        return wrong(1, &format!("missing destination file operand after '{first}'"));
    }
    let last = sources.pop().unwrap_or_default();
    let into = !tool.has(b'T') && path(&last).is_dir();
    if sources.len() > 1 && !into {
        if tool.has(b'T') {
            return wrong(1, &format!("extra operand '{}'", lossy(&last)));
        }
        return wrong(
            1,
            &format!(
                "target '{}': {}",
                lossy(&last),
                if path(&last).exists() { "Not a directory" } else { "No such file or directory" }
            ),
        );
    }
    if last.ends_with(b"/")
        && !into
        && tool.ctx.name != "mv"
        && sources.first().is_some_and(|name| !path(name).is_dir())
    {
        return wrong(1, &format!("cannot create regular file '{}': Not a directory", lossy(&last)));
    }
    Ok((sources, last, into))
}

pub(crate) fn cp(ctx: &mut Ctx) -> Outcome {
    let spec = "a.archive b d f.force H i.interactive l.link L.dereference n.no-clobber P.no-dereference p _1?preserve \
                _2:no-preserve R.recursive r s.symbolic-link t:target-directory T.no-target-directory u.update v.verbose \
                x.one-file-system _3.remove-destination _4.parents _5?reflink _6:sparse";
    let mut tool = Tool::new(ctx, spec, 1)?;
    if tool.has(b'b') || tool.has(b'x') {
        return wrong(1, "options -b and -x are not offered");
    }
    let archive = tool.has(b'a');
    let preserved = |what: &[u8]| {
        tool.opts
            .values(b'1')
            .any(|list| list.is_empty() || list.split(|byte| *byte == b',').any(|own| own == what || own == b"all"))
    };
    let recursive = archive || tool.opts.last(b"Rr") != 0;
    let follow = tool.opts.last(b"LPHda");
    let mut job = Copy {
        recursive,
        follow: follow == b'L' || follow == 0 && !recursive,
        follow_operands: matches!(follow, b'L' | b'H') || follow == 0 && !recursive,
        preserve: archive
            || tool.has(b'p')
            || preserved(b"mode")
            || preserved(b"timestamps")
            || preserved(b"ownership"),
        owner: archive || tool.has(b'p') || preserved(b"ownership"),
        force: tool.has(b'f'),
        interactive: tool.opts.last(b"in") == b'i',
        keep: tool.opts.last(b"in") == b'n',
        update: tool.has(b'u'),
        verbose: tool.has(b'v'),
        link: tool.opts.last(b"ls"),
        remove_first: tool.has(b'3'),
        moving: false,
        hard: Vec::new(),
    };
    let keep_path = tool.has(b'4');
    let (sources, target, into) = targets(&mut tool)?;
    for source in sources {
        let name = if keep_path {
            let parents = dir_name(&source);
            let dir = join(&target, parents.strip_prefix(b"/").unwrap_or(parents));
            if let Err(error) = fs::create_dir_all(path(&dir)) {
                tool.cannot("make directory", &dir, &error);
                continue;
            }
            join(&dir, base_name(&source))
        } else if into {
            let base = base_name(&source);
            if base == b".." || base == b"." { target.clone() } else { join(&target, base) }
        } else {
            target.clone()
        };
        job.one(&mut tool, &source, &name, true)?;
    }
    tool.done()
}

impl Copy {
    fn one(&mut self, tool: &mut Tool<'_>, from: &[u8], to: &[u8], operand: bool) -> Result<(), Error> {
        let follow = if operand { self.follow_operands } else { self.follow };
        let data = match if follow { fs::metadata(path(from)) } else { link_data(from) } {
            Ok(data) => data,
            Err(error) => {
                tool.cannot("stat", from, &error);
                return Ok(());
            }
        };
        let shown = |text: &[u8]| lossy(text);
        if data.is_dir() && !self.recursive {
            tool.complain(&format!("-r not specified; omitting directory '{}'", shown(from)));
            return Ok(());
        }
        let there = link_data(to).ok();
        let same = fs::metadata(path(to)).is_ok_and(|own| (own.dev(), own.ino()) == (data.dev(), data.ino()));
        if same && !(self.remove_first && data.is_symlink()) && !self.moving {
            if self.link == 0 || there.as_ref().is_some_and(|own| !own.is_symlink()) {
                tool.complain(&format!("'{}' and '{}' are the same file", shown(from), shown(to)));
                return Ok(());
            }
        }
        if let Some(own) = &there
            && !data.is_dir()
        {
            if self.keep || self.update && time_of(own, b'm') >= time_of(&data, b'm') {
                return Ok(());
            }
            if own.is_dir() {
                tool.complain(&format!("cannot overwrite directory '{}' with non-directory", shown(to)));
                return Ok(());
            }
            if self.interactive && !ask(tool, &format!("overwrite '{}'?", shown(to))) {
                return Ok(());
            }
        }
        if data.is_dir() {
            return self.directory(tool, from, to, &data, there.as_ref());
        }
        let id = (data.dev(), data.ino());
        if self.verbose {
            let text = format!("'{}' -> '{}'\n", shown(from), shown(to));
            tool.put(text.as_bytes())?;
        }
        let replace = there.is_some() && (self.remove_first || self.link != 0 || self.recursive && !data.is_file());
        if replace && (self.force || self.remove_first || self.recursive && self.link == 0) {
            let _ = fs::remove_file(path(to));
        }
        if self.preserve && self.recursive && data.nlink() > 1 {
            let held = self.hard.iter().find(|(own, _)| *own == id).map(|(_, name)| name.clone());
            if let Some(held) = held {
                let _ = fs::remove_file(path(to));
                if let Err(error) = fs::hard_link(path(&held), path(to)) {
                    tool.cannot("create hard link", to, &error);
                }
                return Ok(());
            }
            self.hard.push((id, to.to_vec()));
        }
        let result = match (self.link, type_letter(data.mode())) {
            (b'l', _) => fs::hard_link(path(from), path(to)),
            (b's', _) => symlink(path(from), path(to)),
            (_, b'l') => fs::read_link(path(from)).and_then(|target| symlink(target, path(to))),
            (_, b'-') => return self.regular(tool, from, to, &data),
            _ if !self.recursive && !self.moving => return self.regular(tool, from, to, &data),
            _ => make_node(to, data.mode(), data.rdev()),
        };
        if let Err(error) = result {
            let what = match (self.link, data.is_symlink()) {
                (b'l', _) => "create hard link",
                (b's', _) | (_, true) => "create symbolic link",
                _ => "create special file",
            };
            tool.cannot(what, to, &error);
            return Ok(());
        }
        if self.link == 0 {
            self.attributes(tool, to, &data);
        }
        Ok(())
    }

    fn regular(&mut self, tool: &mut Tool<'_>, from: &[u8], to: &[u8], data: &Metadata) -> Result<(), Error> {
        let mut input = match File::open(path(from)) {
            Ok(input) => input,
            Err(error) => {
                tool.complain(&format!("cannot open '{}' for reading: {}", lossy(from), crate::base::reason(&error)));
                return Ok(());
            }
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(data.mode() & 0o777);
        let mut output = options.open(path(to));
        if output.is_err() && self.force && fs::remove_file(path(to)).is_ok() {
            output = options.open(path(to));
        }
        let mut output = match output {
            Ok(output) => output,
            Err(error) => {
                tool.cannot("create regular file", to, &error);
                return Ok(());
            }
        };
        match copy(&mut input, &mut output) {
            Ok(_) => {}
            Err(CopyError::Read(error)) => {
                tool.complain(&format!("error reading '{}': {}", lossy(from), crate::base::reason(&error)))
            }
            Err(CopyError::Write(error)) => {
                tool.complain(&format!("error writing '{}': {}", lossy(to), crate::base::reason(&error)))
            }
        }
        drop(output);
        self.attributes(tool, to, data);
        Ok(())
    }

    fn directory(
        &mut self,
        tool: &mut Tool<'_>,
        from: &[u8],
        to: &[u8],
        data: &Metadata,
        there: Option<&Metadata>,
    ) -> Result<(), Error> {
        if there.is_some() && !path(to).is_dir() {
            tool.complain(&format!("cannot overwrite non-directory '{}' with directory '{}'", lossy(to), lossy(from)));
            return Ok(());
        }
        // A directory copied into itself would have no end.
        if let (Ok(source), Ok(target)) = (fs::canonicalize(path(from)), fs::canonicalize(path(dir_name(to))))
            && target.join(path(base_name(to))).starts_with(&source)
        {
            let what = if self.moving { "move" } else { "copy" };
            let why = if self.moving { "to a subdirectory of itself" } else { "into itself" };
            tool.complain(&format!("cannot {what} a directory, '{}', {why}, '{}'", lossy(from), lossy(to)));
            return Ok(());
        }
        if self.verbose {
            let text = format!("'{}' -> '{}'\n", lossy(from), lossy(to));
            tool.put(text.as_bytes())?;
        }
        if there.is_none()
            && let Err(error) = fs::DirBuilder::new().mode(data.mode() & 0o777 | 0o700).create(path(to))
        {
            tool.cannot("create directory", to, &error);
            return Ok(());
        }
        let entries = match fs::read_dir(path(from)) {
            Ok(entries) => entries,
            Err(error) => {
                tool.cannot("access", from, &error);
                return Ok(());
            }
        };
        let names: Vec<Bytes> = entries.flatten().map(|entry| entry.file_name().as_bytes().to_vec()).collect();
        for name in names {
            self.one(tool, &join(from, &name), &join(to, &name), false)?;
        }
        if self.preserve {
            self.attributes(tool, to, data);
        } else if there.is_none() {
            let _ = fs::set_permissions(path(to), Permissions::from_mode(data.mode() & 0o7777 & !mask()));
        }
        Ok(())
    }

    fn attributes(&self, tool: &mut Tool<'_>, to: &[u8], data: &Metadata) {
        if !self.preserve {
            return;
        }
        if self.owner {
            // Whoever may not give files away keeps them.
            let _ = lchown(path(to), Some(data.uid()), Some(data.gid()));
        }
        if !data.is_symlink()
            && let Err(error) = fs::set_permissions(path(to), Permissions::from_mode(data.mode() & 0o7777))
        {
            tool.complain(&format!("preserving permissions for '{}': {}", lossy(to), crate::base::reason(&error)));
        }
        let _ = set_times(to, time_of(data, b'a'), time_of(data, b'm'), false);
    }
}

pub(crate) fn mv(ctx: &mut Ctx) -> Outcome {
    let spec = "f.force i.interactive n.no-clobber t:target-directory T.no-target-directory u.update v.verbose";
    let mut tool = Tool::new(ctx, spec, 1)?;
    let mut job = Copy {
        recursive: true,
        follow: false,
        follow_operands: false,
        preserve: true,
        owner: true,
        force: true,
        interactive: tool.opts.last(b"fin") == b'i',
        keep: tool.opts.last(b"fin") == b'n',
        update: tool.has(b'u'),
        verbose: false,
        link: 0,
        remove_first: true,
        moving: true,
        hard: Vec::new(),
    };
    let verbose = tool.has(b'v');
    let (sources, target, into) = targets(&mut tool)?;
    for source in sources {
        let name = if into { join(&target, base_name(&source)) } else { target.clone() };
        let data = match link_data(&source) {
            Ok(data) => data,
            Err(error) => {
                tool.cannot("stat", &source, &error);
                continue;
            }
        };
        if let Ok(there) = link_data(&name) {
            if (there.dev(), there.ino()) == (data.dev(), data.ino()) && (data.nlink() == 1 || source == name) {
                tool.complain(&format!("'{}' and '{}' are the same file", lossy(&source), lossy(&name)));
                continue;
            }
            if job.keep || job.update && time_of(&there, b'm') >= time_of(&data, b'm') {
                continue;
            }
            if there.is_dir() && !data.is_dir() {
                tool.complain(&format!("cannot overwrite directory '{}' with non-directory", lossy(&name)));
                continue;
            }
            if !there.is_dir() && data.is_dir() {
                tool.complain(&format!(
                    "cannot overwrite non-directory '{}' with directory '{}'",
                    lossy(&name),
                    lossy(&source)
                ));
                continue;
            }
            if job.interactive && !ask(&mut tool, &format!("overwrite '{}'?", lossy(&name))) {
                continue;
            }
        }
        match fs::rename(path(&source), path(&name)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let interactive = std::mem::take(&mut job.interactive);
                let before = std::mem::take(&mut tool.status);
                job.one(&mut tool, &source, &name, true)?;
                job.interactive = interactive;
                if tool.status == 0 {
                    remove_tree(&mut tool, &source, &Remove { force: true, recursive: true, ..Remove::default() })?;
                }
                tool.status = tool.status.max(before);
            }
            Err(error) if error.raw_os_error() == Some(nix::libc::EINVAL) => {
                tool.complain(&format!(
                    "cannot move '{}' to a subdirectory of itself, '{}'",
                    lossy(&source),
                    lossy(&name)
                ));
                continue;
            }
            Err(error) => {
                tool.complain(&format!(
                    "cannot move '{}' to '{}': {}",
                    lossy(&source),
                    lossy(&name),
                    crate::base::reason(&error)
                ));
                continue;
            }
        }
        if verbose {
            let text = format!("renamed '{}' -> '{}'\n", lossy(&source), lossy(&name));
            tool.put(text.as_bytes())?;
        }
    }
    tool.done()
}

/// What rm does.
#[derive(Default)]
struct Remove {
    force: bool,
    recursive: bool,
    interactive: bool,
    empty: bool,
    verbose: bool,
}

pub(crate) fn rm(ctx: &mut Ctx) -> Outcome {
    let spec = "d.dir f.force i I r.recursive R v.verbose _1?preserve-root _2.no-preserve-root _3?interactive _4.one-file-system";
    let mut tool = Tool::new(ctx, spec, 1)?;
    let how = Remove {
        force: tool.opts.last(b"fi") == b'f',
        recursive: tool.opts.last(b"rR") != 0,
        interactive: tool.opts.last(b"fi") == b'i' || matches!(tool.opts.value(b'3'), Some(b"" | b"always")),
        empty: tool.has(b'd'),
        verbose: tool.has(b'v'),
    };
    let names = std::mem::take(&mut tool.opts.rest);
    if names.is_empty() {
        if how.force {
            return tool.done();
        }
        return wrong(1, "missing operand");
    }
    let once = tool.has(b'I') && (names.len() > 3 || how.recursive);
    if once
        && !ask(
            &mut tool,
            &format!("remove {} arguments{}?", names.len(), if how.recursive { " recursively" } else { "" }),
        )
    {
        return tool.done();
    }
    for name in names {
        let base = base_name(&name);
        if how.recursive && matches!(base, b"." | b"..") {
            tool.complain(&format!("refusing to remove '.' or '..' directory: skipping '{}'", lossy(&name)));
            continue;
        }
        if how.recursive && !tool.has(b'2') && fs::canonicalize(path(&name)).is_ok_and(|place| place.parent().is_none())
        {
            tool.complain(
                "it is dangerous to operate recursively on '/'\nrm: use --no-preserve-root to override this failsafe",
            );
            continue;
        }
        remove_tree(&mut tool, &name, &how)?;
    }
    tool.done()
}

/// True when it is gone.
fn remove_tree(tool: &mut Tool<'_>, name: &[u8], how: &Remove) -> Result<bool, Error> {
    let data = match link_data(name) {
        Ok(data) => data,
        Err(error) if how.force && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(true);
        }
        Err(error) => {
            tool.cannot("remove", name, &error);
            return Ok(false);
        }
    };
    let is_dir = data.is_dir();
    if is_dir && !how.recursive && !how.empty {
        tool.complain(&format!("cannot remove '{}': Is a directory", lossy(name)));
        return Ok(false);
    }
    let mut whole = true;
    if is_dir && how.recursive {
        match fs::read_dir(path(name)) {
            Ok(entries) => {
                let names: Vec<Bytes> = entries.flatten().map(|entry| entry.file_name().as_bytes().to_vec()).collect();
                if how.interactive
                    && !names.is_empty()
                    && !ask(tool, &format!("descend into directory '{}'?", lossy(name)))
                {
                    return Ok(false);
                }
                for child in names {
                    whole &= remove_tree(tool, &join(name, &child), how)?;
                }
            }
            Err(error) => {
                // An empty directory goes without being read.
                if fs::remove_dir(path(name)).is_err() {
                    tool.cannot("remove", name, &error);
                    return Ok(false);
                }
                return Ok(true);
            }
        }
    }
    if !whole {
        return Ok(false);
    }
    if how.interactive {
        let kind = match type_letter(data.mode()) {
            b'd' => "directory",
            b'l' => "symbolic link",
            b'-' if data.size() == 0 => "regular empty file",
            b'-' => "regular file",
            _ => "special file",
        };
        if !ask(tool, &format!("remove {kind} '{}'?", lossy(name))) {
            return Ok(false);
        }
    }
    let result = if is_dir { fs::remove_dir(path(name)) } else { fs::remove_file(path(name)) };
    if let Err(error) = result {
        tool.cannot("remove", name, &error);
        return Ok(false);
    }
    if how.verbose {
        let text = format!("removed {}'{}'\n", if is_dir { "directory " } else { "" }, lossy(name));
        tool.put(text.as_bytes())?;
    }
    Ok(true)
}

/// The mode of -m, from a directory's or file's usual one.
fn wanted_mode(tool: &Tool<'_>, usual: u32) -> Result<Option<u32>, Error> {
    let Some(text) = tool.opts.value(b'm') else { return Ok(None) };
    change_mode(text, usual, true, mask())
        .map(Some)
        .ok_or_else(|| Error::new(Exit(1), format!("invalid mode '{}'", lossy(text))))
}

pub(crate) fn mkdir(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "m:mode p.parents v.verbose", 1)?;
    let mode = wanted_mode(&tool, 0o777)?;
    let (parents, verbose) = (tool.has(b'p'), tool.has(b'v'));
    let names = std::mem::take(&mut tool.opts.rest);
    if names.is_empty() {
        return wrong(1, "missing operand");
    }
    for name in names {
        let mut steps = vec![name.clone()];
        if parents {
            let mut at = name.as_slice();
            while dir_name(at).len() < at.len() && !matches!(dir_name(at), b"." | b"/") {
                at = dir_name(at);
                steps.push(at.to_vec());
            }
            steps.reverse();
        }
        let last = steps.len() - 1;
        for (index, step) in steps.iter().enumerate() {
            if parents && path(step).is_dir() {
                continue;
            }
            if let Err(error) = fs::create_dir(path(step)) {
                tool.complain(&format!("cannot create directory '{}': {}", lossy(step), crate::base::reason(&error)));
                break;
            }
            if verbose {
                let text = format!("{}: created directory '{}'\n", tool.ctx.name, lossy(step));
                tool.put(text.as_bytes())?;
            }
            if let Some(mode) = mode.filter(|_| index == last) {
                let _ = fs::set_permissions(path(step), Permissions::from_mode(mode));
            } else if index < last
                && let Ok(data) = link_data(step)
            {
                // Whoever makes the parents must be able to go on in them.
                let _ = fs::set_permissions(path(step), Permissions::from_mode(data.mode() & 0o7777 | 0o300));
            }
        }
    }
    tool.done()
}

pub(crate) fn rmdir(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "p.parents v.verbose _i.ignore-fail-on-non-empty", 1)?;
    let names = std::mem::take(&mut tool.opts.rest);
    if names.is_empty() {
        return wrong(1, "missing operand");
    }
    for name in names {
        let mut at = name.as_slice();
        loop {
            if tool.has(b'v') {
                let text = format!("{}: removing directory, '{}'\n", tool.ctx.name, lossy(at));
                tool.put(text.as_bytes())?;
            }
            if let Err(error) = fs::remove_dir(path(at)) {
                let full = error.kind() == io::ErrorKind::DirectoryNotEmpty;
                if !(full && tool.has(b'i')) {
                    tool.complain(&format!("failed to remove '{}': {}", lossy(at), crate::base::reason(&error)));
                }
                break;
            }
            let above = dir_name(at);
            if !tool.has(b'p') || matches!(above, b"." | b"/") {
                break;
            }
            at = above;
        }
    }
    tool.done()
}

pub(crate) fn ln(ctx: &mut Ctx) -> Outcome {
    let spec = "f.force i.interactive n.no-dereference r.relative s.symbolic t:target-directory T.no-target-directory v.verbose L.logical P.physical";
    let mut tool = Tool::new(ctx, spec, 1)?;
    let (symbolic, relative) = (tool.has(b's'), tool.has(b'r'));
    if tool.opts.rest.len() == 1 && !tool.has(b't') {
        tool.opts.rest.push(b".".to_vec());
    }
    let last_is_link =
        tool.has(b'n') && tool.opts.rest.last().is_some_and(|name| link_data(name).is_ok_and(|data| data.is_symlink()));
    if last_is_link {
        tool.opts.seen.push((b'T', Bytes::new()));
    }
    let (sources, target, into) = targets(&mut tool)?;
    for source in sources {
        let name = if into { join(&target, base_name(&source)) } else { target.clone() };
        let what = if symbolic { "symbolic link" } else { "hard link" };
        if !symbolic {
            match link_data(&source) {
                Err(error) => {
                    tool.complain(&format!("failed to access '{}': {}", lossy(&source), crate::base::reason(&error)));
                    continue;
                }
                Ok(data) if data.is_dir() => {
                    tool.complain(&format!("{}: hard link not allowed for directory", lossy(&source)));
                    continue;
                }
                Ok(_) => {}
            }
        }
        let there = link_data(&name);
        if let Ok(there) = &there
            && (tool.has(b'f') || tool.has(b'i'))
        {
            let same =
                !symbolic && link_data(&source).is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()));
            if same {
                tool.complain(&format!("'{}' and '{}' are the same file", lossy(&source), lossy(&name)));
                continue;
            }
            if there.is_dir() {
                tool.complain(&format!("{}: cannot overwrite directory", lossy(&name)));
                continue;
            }
            if tool.has(b'i') && !ask(&mut tool, &format!("replace '{}'?", lossy(&name))) {
                continue;
            }
            if let Err(error) = fs::remove_file(path(&name)) {
                tool.cannot("remove", &name, &error);
                continue;
            }
        }
        let to = if relative && symbolic { relative_to(&source, dir_name(&name)) } else { source.clone() };
        let result = if symbolic {
            symlink(path(&to), path(&name))
        } else if tool.has(b'L') {
            fs::canonicalize(path(&source)).and_then(|source| fs::hard_link(source, path(&name)))
        } else {
            fs::hard_link(path(&source), path(&name))
        };
        if let Err(error) = result {
            let arrow = if symbolic { String::new() } else { format!(" => '{}'", lossy(&source)) };
            tool.complain(&format!(
                "failed to create {what} '{}'{arrow}: {}",
                lossy(&name),
                crate::base::reason(&error)
            ));
        } else if tool.has(b'v') {
            let text = format!("'{}' {} '{}'\n", lossy(&name), if symbolic { "->" } else { "=>" }, lossy(&to));
            tool.put(text.as_bytes())?;
        }
    }
    tool.done()
}

/// The way from a directory to a file, through their common part.
fn relative_to(file: &[u8], dir: &[u8]) -> Bytes {
    let (file, dir) = (resolve(file, b'm').unwrap_or_default(), resolve(dir, b'm').unwrap_or_default());
    let parts = |text: &[u8]| -> Vec<Bytes> {
        text.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let (file, dir) = (parts(&file), parts(&dir));
    let common = file.iter().zip(&dir).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(b"..".to_vec(), dir.len() - common);
    let list: Vec<Bytes> = up.chain(file.into_iter().skip(common)).collect();
    if list.is_empty() { b".".to_vec() } else { list.join(&b'/') }
}

pub(crate) fn chmod(ctx: &mut Ctx) -> Outcome {
    // A mode such as -x looks like an option.
    let mut words = crate::base::words(ctx);
    let looks = |word: &Bytes| {
        word.len() > 1 && word.starts_with(b"-") && after(word, 1).iter().all(|byte| b"rwxXstugo,+-=0".contains(byte))
    };
    let mode = words.iter().position(looks).map(|index| words.remove(index));
    let mut tool =
        Tool::with(ctx, words, "c.changes f.quiet,silent R.recursive v.verbose _r:reference _p.preserve-root", 1)?;
    let mut names = std::mem::take(&mut tool.opts.rest);
    let mode = match (tool.opts.value(b'r'), mode) {
        (Some(file), _) => match fs::metadata(path(file)) {
            Ok(data) => format!("{:05o}", data.mode() & 0o7777).into_bytes(),
            Err(error) => {
                return wrong(
                    1,
                    &format!("failed to get attributes of '{}': {}", lossy(file), crate::base::reason(&error)),
                );
            }
        },
        (None, Some(mode)) => mode,
        (None, None) if names.is_empty() => return wrong(1, "missing operand"),
        (None, None) => names.remove(0),
    };
    if names.is_empty() {
        return wrong(1, &format!("missing operand after '{}'", lossy(&mode)));
    }
    wanted(change_mode(&mode, 0, false, 0), "mode", &mode, 1)?;
    for name in names {
        chmod_one(&mut tool, &name, &mode, true)?;
    }
    tool.done()
}

fn chmod_one(tool: &mut Tool<'_>, name: &[u8], spec: &[u8], operand: bool) -> Result<(), Error> {
    let data = match link_data(name)
        .and_then(|data| if data.is_symlink() && operand { fs::metadata(path(name)) } else { Ok(data) })
    {
        Ok(data) => data,
        Err(error) => {
            if !tool.has(b'f') {
                tool.complain(&format!("cannot access '{}': {}", lossy(name), crate::base::reason(&error)));
            }
            tool.status = 1;
            return Ok(());
        }
    };
    if data.is_symlink() {
        return Ok(());
    }
    let before = data.mode() & 0o7777;
    let mode = change_mode(spec, before, data.is_dir(), mask()).unwrap_or(before);
    match fs::set_permissions(path(name), Permissions::from_mode(mode)) {
        Err(error) => {
            if !tool.has(b'f') {
                tool.complain(&format!("changing permissions of '{}': {}", lossy(name), crate::base::reason(&error)));
            }
            tool.status = 1;
        }
        Ok(()) if tool.has(b'v') || tool.has(b'c') && mode != before => {
            let text = |mode: u32| format!("{mode:04o} ({})", lossy(after(&crate::meta::mode_text(mode), 1)));
            let line = if mode == before {
                format!("mode of '{}' retained as {}\n", lossy(name), text(mode))
            } else {
                format!("mode of '{}' changed from {} to {}\n", lossy(name), text(before), text(mode))
            };
            tool.put(line.as_bytes())?;
        }
        Ok(()) => {}
    }
    if data.is_dir() && tool.has(b'R') {
        each_child(tool, name, &mut |tool, child| chmod_one(tool, child, spec, false))?;
    }
    Ok(())
}

/// Does something with every name in a directory.
fn each_child(
    tool: &mut Tool<'_>,
    name: &[u8],
    act: &mut dyn FnMut(&mut Tool<'_>, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    match fs::read_dir(path(name)) {
        Ok(entries) => {
            let names: Vec<Bytes> = entries.flatten().map(|entry| entry.file_name().as_bytes().to_vec()).collect();
            for child in names {
                act(tool, &join(name, &child))?;
            }
        }
        Err(error) => {
            tool.complain(&format!("cannot read directory '{}': {}", lossy(name), crate::base::reason(&error)))
        }
    }
    Ok(())
}

pub(crate) fn chown(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "c.changes f.quiet,silent h.no-dereference R.recursive v.verbose _r:reference", 1)?;
    let mut names = std::mem::take(&mut tool.opts.rest);
    if tool.opts.last(b"cvr") != 0 {
        return wrong(1, "options -c, -v and --reference are not offered");
    }
    if names.is_empty() {
        return wrong(1, "missing operand");
    }
    let spec = names.remove(0);
    if names.is_empty() {
        return wrong(1, &format!("missing operand after '{}'", lossy(&spec)));
    }
    let mut table = Names::default();
    let colon = spec.iter().position(|byte| *byte == b':');
    let (user, group) = match (tool.ctx.name.as_str(), colon) {
        ("chgrp", _) => (&b""[..], spec.as_slice()),
        (_, Some(colon)) => (crate::base::part(&spec, 0, colon), after(&spec, colon + 1)),
        (_, None) => (spec.as_slice(), &b""[..]),
    };
    let mut id = |name: &[u8], is_group: bool| -> Result<Option<u32>, Error> {
        if name.is_empty() {
            return Ok(None);
        }
        wanted(table.id(name, is_group), if is_group { "group" } else { "user" }, &spec, 1).map(Some)
    };
    let owner = (id(user, false)?, id(group, true)?);
    for name in names {
        chown_one(&mut tool, &name, owner)?;
    }
    tool.done()
}

fn chown_one(tool: &mut Tool<'_>, name: &[u8], owner: (Option<u32>, Option<u32>)) -> Result<(), Error> {
    let result = if tool.has(b'h') || tool.has(b'R') {
        lchown(path(name), owner.0, owner.1)
    } else {
        std::os::unix::fs::chown(path(name), owner.0, owner.1)
    };
    if let Err(error) = result {
        if !tool.has(b'f') {
            let what = if error.kind() == io::ErrorKind::NotFound { "cannot access" } else { "changing ownership of" };
            tool.complain(&format!("{what} '{}': {}", lossy(name), crate::base::reason(&error)));
        }
        tool.status = 1;
        return Ok(());
    }
    if tool.has(b'R') && link_data(name).is_ok_and(|data| data.is_dir()) {
        each_child(tool, name, &mut |tool, child| chown_one(tool, child, owner))?;
    }
    Ok(())
}

pub(crate) fn touch(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "a c.no-create d:date f h.no-dereference m r:reference t: _1:time", 1)?;
    let now = crate::date::now(tool.ctx);
    let present = (now.0, i64::from(now.1));
    let mut times = (present, present);
    if let Some(file) = tool.opts.value(b'r') {
        match fs::metadata(path(file)) {
            Ok(data) => times = (time_of(&data, b'a'), time_of(&data, b'm')),
            Err(error) => {
                return wrong(
                    1,
                    &format!("failed to get attributes of '{}': {}", lossy(file), crate::base::reason(&error)),
                );
            }
        }
    }
    if let Some(text) = tool.opts.value(b'd') {
        let (seconds, nanos) = wanted(crate::date::read(text, now, false), "date format", text, 1)?;
        times = ((seconds, i64::from(nanos)), (seconds, i64::from(nanos)));
    }
    if let Some(text) = tool.opts.value(b't') {
        // [[CC]YY]MMDDhhmm[.ss]
        let dot = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
        let (digits, seconds) = (crate::base::part(text, 0, dot), after(text, dot + 1));
        let year = Bytes::from(match digits.len() {
            8 => crate::meta::Moment::new(now.0, 0, false).civil.year.to_string(),
            10 => {
                format!("{}{}", if at(digits, 0) < b'7' { "20" } else { "19" }, lossy(crate::base::part(digits, 0, 2)))
            }
            _ => lossy(crate::base::part(digits, 0, 4)),
        });
        let rest = after(digits, digits.len().saturating_sub(8));
        let field = |from: usize| lossy(crate::base::part(rest, from, from + 2));
        let seconds = if seconds.is_empty() { "00".to_owned() } else { lossy(seconds) };
        let iso = format!("{}-{}-{} {}:{}:{seconds}", lossy(&year), field(0), field(2), field(4), field(6));
        let (seconds, _) = wanted(crate::date::read(iso.as_bytes(), now, false), "date format", text, 1)?;
        times = ((seconds, 0), (seconds, 0));
    }
    let word = tool.opts.value(b'1').unwrap_or_default();
    let access = tool.has(b'a') || matches!(word, b"atime" | b"access" | b"use");
    let change = tool.has(b'm') || matches!(word, b"mtime" | b"modify");
    let names = std::mem::take(&mut tool.opts.rest);
    if names.is_empty() {
        return wrong(1, "missing file operand");
    }
    for name in names {
        let follow = !tool.has(b'h');
        if !path(&name).exists() && link_data(&name).is_err() {
            if tool.has(b'c') || !follow {
                continue;
            }
            if let Err(error) = OpenOptions::new().write(true).create(true).truncate(false).open(path(&name)) {
                tool.cannot("touch", &name, &error);
                continue;
            }
        }
        let mut own = times;
        if access != change
            && let Ok(data) = fs::metadata(path(&name))
        {
            if access {
                own.1 = time_of(&data, b'm');
            } else {
                own.0 = time_of(&data, b'a');
            }
        }
        if let Err(error) = set_times(&name, own.0, own.1, follow) {
            tool.complain(&format!("setting times of '{}': {}", lossy(&name), crate::base::reason(&error)));
        }
    }
    tool.done()
}

/// A path without links and dots: all must exist with `e`, all but the last with `f`, none with `m`.
pub(crate) fn resolve(name: &[u8], mode: u8) -> io::Result<Bytes> {
    let whole = fs::canonicalize(path(name)).map(|place| place.as_os_str().as_bytes().to_vec());
    if whole.is_ok() || mode == b'e' {
        return whole;
    }
    if name.is_empty() {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    // A link that leads nowhere is followed to where its target would be.
    if let Ok(target) = fs::read_link(path(name)) {
        let target = join_target(dir_name(name), target.as_os_str().as_bytes());
        if target != name {
            return resolve_missing(&target, mode, 40);
        }
    }
    resolve_missing(name, mode, 40)
}

fn join_target(dir: &[u8], target: &[u8]) -> Bytes {
    if target.starts_with(b"/") { target.to_vec() } else { join(dir, target) }
}

fn resolve_missing(name: &[u8], mode: u8, left: usize) -> io::Result<Bytes> {
    if left == 0 {
        return Err(io::Error::from_raw_os_error(nix::libc::ELOOP));
    }
    if let Ok(place) = fs::canonicalize(path(name)) {
        return Ok(place.as_os_str().as_bytes().to_vec());
    }
    if let Ok(target) = fs::read_link(path(name)) {
        return resolve_missing(&join_target(dir_name(name), target.as_os_str().as_bytes()), mode, left - 1);
    }
    let (dir, base) = (dir_name(name), base_name(name));
    let parent = match fs::canonicalize(path(dir)) {
        Ok(place) => place.as_os_str().as_bytes().to_vec(),
        Err(_) if mode == b'm' && dir.len() < name.len() => resolve_missing(dir, mode, left)?,
        Err(error) => return Err(error),
    };
    Ok(match base {
        b"." => parent,
        b".." => dir_name(&parent).to_vec(),
        _ => join(&parent, base),
    })
}

pub(crate) fn readlink(ctx: &mut Ctx) -> Outcome {
    let real = ctx.name == "realpath";
    let spec = if real {
        "e.canonicalize-existing m.canonicalize-missing L.logical P.physical q.quiet s.strip,no-symlinks z.zero _t:relative-to"
    } else {
        "f.canonicalize e.canonicalize-existing m.canonicalize-missing n.no-newline q.quiet s.silent v.verbose z.zero"
    };
    let mut tool = Tool::new(ctx, spec, 1)?;
    if real && tool.opts.last(b"sL") != 0 {
        return wrong(1, "options -s and -L are not offered: links are always resolved");
    }
    let mode = match tool.opts.last(b"fem") {
        0 if real => b'f',
        other => other,
    };
    let names = std::mem::take(&mut tool.opts.rest);
    if names.is_empty() {
        return wrong(1, "missing operand");
    }
    let end: &[u8] = match (tool.has(b'z'), tool.has(b'n') && names.len() == 1) {
        (true, _) => b"\0",
        (false, true) => b"",
        _ => b"\n",
    };
    let base = tool.opts.value(b't').filter(|_| real).map(<[u8]>::to_vec);
    for name in names {
        let result = if mode == 0 {
            fs::read_link(path(&name)).map(|target| target.as_os_str().as_bytes().to_vec())
        } else {
            resolve(&name, mode)
        };
        match result {
            Ok(mut text) => {
                if let Some(base) = &base {
                    text = relative_to(&text, base);
                }
                text.extend_from_slice(end);
                tool.put(&text)?;
            }
            Err(error) => {
                if real && !tool.has(b'q') || tool.has(b'v') {
                    tool.fail(&name, &error);
                }
                tool.status = 1;
            }
        }
    }
    tool.done()
}

pub(crate) fn basename(ctx: &mut Ctx) -> Outcome {
    let dir = ctx.name == "dirname";
    let spec = if dir { "+ z.zero" } else { "+ a.multiple s:suffix z.zero" };
    let mut tool = Tool::new(ctx, spec, 1)?;
    let mut names = std::mem::take(&mut tool.opts.rest);
    if names.is_empty() {
        return wrong(1, "missing operand");
    }
    let end = if tool.has(b'z') { 0 } else { b'\n' };
    let mut suffix = tool.opts.value(b's').map(<[u8]>::to_vec).unwrap_or_default();
    if !dir && !tool.has(b'a') && !tool.has(b's') {
        if let Some(extra) = names.get(2) {
            return wrong(1, &format!("extra operand '{}'", lossy(extra)));
        }
        if names.len() == 2 {
            suffix = names.pop().unwrap_or_default();
        }
    }
    for name in names {
        let mut text = if dir { dir_name(&name) } else { base_name(&name) };
        if let Some(short) = text.strip_suffix(suffix.as_slice()).filter(|short| !short.is_empty()) {
            text = short;
        }
        let line = [text, &[end]].concat();
        tool.put(&line)?;
    }
    tool.done()
}

pub(crate) fn mktemp(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "d.directory p?tmpdir q.quiet t u.dry-run _s:suffix", 1)?;
    let mut names = std::mem::take(&mut tool.opts.rest);
    let given = names.pop();
    let mut template = given.clone().unwrap_or_else(|| b"tmp.XXXXXXXXXX".to_vec());
    if let Some(suffix) = tool.opts.value(b's') {
        template.extend_from_slice(suffix);
    }
    if given.is_none() || tool.has(b'p') || tool.has(b't') {
        let own = tool.opts.value(b'p').filter(|dir| !dir.is_empty()).map(<[u8]>::to_vec);
        let dir = own.unwrap_or_else(|| {
            tool.ctx.var("TMPDIR").filter(|dir| !dir.is_empty()).unwrap_or("/tmp").as_bytes().to_vec()
        });
        template = join(&dir, &template);
    }
    let end = template.iter().rposition(|byte| *byte == b'X').map_or(0, |last| last + 1);
    let count = crate::base::part(&template, 0, end).iter().rev().take_while(|byte| **byte == b'X').count();
    if count < 3 {
        return wrong(1, &format!("too few X's in template '{}'", lossy(&given.unwrap_or_default())));
    }
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos()
        ^ u128::from(std::process::id()) << 40;
    for _ in 0..100 {
        let mut name = template.clone();
        for byte in name.iter_mut().take(end).rev().take(count) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let letters = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
            *byte = at(letters, usize::try_from(seed >> 60 & 0xf_ffff).unwrap_or(0) % 62);
        }
        let made = if tool.has(b'u') {
            Ok(())
        } else if tool.has(b'd') {
            fs::DirBuilder::new().mode(0o700).create(path(&name))
        } else {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path(&name)).map(drop)
        };
        match made {
            Ok(()) => {
                name.push(b'\n');
                tool.put(&name)?;
                return tool.done();
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                let what = if tool.has(b'd') { "directory" } else { "file" };
                if tool.has(b'q') {
                    return Ok(Exit(1));
                }
                return wrong(
                    1,
                    &format!(
                        "failed to create {what} via template '{}': {}",
                        lossy(&template),
                        crate::base::reason(&error)
                    ),
                );
            }
        }
    }
    wrong(1, "every name that was tried exists already")
}
