//! cp and mv (POSIX.1-2017; coreutils 9.1). Copies keep what -p says: mode, owner where allowed, times; no extended attributes.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink};

use netkit_core::{Ctx, Error};

use crate::base::{Bytes, CopyError, Outcome, Tool, base_name, copy, dir_name, join, lossy, path, wrong};
use crate::fileops::{Remove, ask, link_data, make_node, mask, remove_tree, set_times};
use crate::meta::{time_of, type_letter};

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
pub(crate) fn targets(tool: &mut Tool<'_>) -> Result<(Vec<Bytes>, Bytes, bool), Error> {
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
        let other = self.link == 0 || there.as_ref().is_some_and(|own| !own.is_symlink());
        if same && other && !(self.remove_first && data.is_symlink()) && !self.moving {
            tool.complain(&format!("'{}' and '{}' are the same file", shown(from), shown(to)));
            return Ok(());
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
