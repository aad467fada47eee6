//! mount, umount, df, du, chroot, nsenter (util-linux 2.38, coreutils 9.1; mount(2), statfs(2), setns(2)).

use std::fs::File;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use netkit_core::privilege::{Capability, missing};
use netkit_core::{Ctx, Error, Exit};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;
use nix::unistd::{Gid, Uid};

use crate::base::{Bytes, Outcome, Tool, after, at, join, lossy, number, octal, part, path, wanted, wrong};
use crate::glob;
use crate::meta::human;
use crate::spawn::{environment, replace, start, wait};

struct Mount {
    source: Bytes,
    target: Bytes,
    kind: Bytes,
    options: Bytes,
}

/// A field of /proc/mounts: blanks and backslashes stand there in octal.
fn unescape(text: &[u8]) -> Bytes {
    let mut out = Bytes::new();
    let mut from = 0;
    while from < text.len() {
        let value = octal(part(text, from + 1, from + 4)).filter(|_| at(text, from) == b'\\' && from + 4 <= text.len());
        match value.and_then(|value| u8::try_from(value).ok()) {
            Some(byte) => {
                out.push(byte);
                from += 4;
            }
            None => {
                out.push(at(text, from));
                from += 1;
            }
        }
    }
    out
}

fn mounts() -> Vec<Mount> {
    let text = std::fs::read("/proc/self/mounts").unwrap_or_default();
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let mut words = line.split(|byte| *byte == b' ').map(unescape);
            Some(Mount { source: words.next()?, target: words.next()?, kind: words.next()?, options: words.next()? })
        })
        .collect()
}

/// Where the file system of a file is mounted: the highest directory on the same device.
pub(crate) fn mount_point(name: &[u8]) -> Bytes {
    let Ok(place) = std::fs::canonicalize(path(name)) else { return b"?".to_vec() };
    let device = std::fs::metadata(&place).map(|data| data.dev()).unwrap_or(0);
    let mut last = place.as_path();
    for above in place.ancestors() {
        if std::fs::metadata(above).map(|data| data.dev()).unwrap_or(0) != device {
            break;
        }
        last = above;
    }
    last.as_os_str().as_bytes().to_vec()
}

/// The name of a file system's magic number (statfs(2)).
pub(crate) fn type_name(magic: u64) -> String {
    let name = match magic & 0xffff_ffff {
        0xef53 => "ext2/ext3",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlayfs",
        0x9fa0 => "proc",
        0x6265_6572 => "sysfs",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x6969 => "nfs",
        0x0027_e0eb => "cgroupfs",
        0x6367_7270 => "cgroup2fs",
        0x1cd1 => "devpts",
        0x1980_0202 => "mqueue",
        0x7371_7368 => "squashfs",
        0x6572_6f66 => "erofs",
        0x6573_5546 => "fuseblk",
        0x4d44 => "msdos",
        0x2fc1_2fc1 => "zfs",
        0x0102_1997 => "v9fs",
        other => return format!("UNKNOWN (0x{other:x})"),
    };
    name.to_owned()
}

const FLAGS: &[(&[u8], MsFlags, bool)] = &[
    (b"ro", MsFlags::MS_RDONLY, true),
    (b"rw", MsFlags::MS_RDONLY, false),
    (b"nosuid", MsFlags::MS_NOSUID, true),
    (b"suid", MsFlags::MS_NOSUID, false),
    (b"nodev", MsFlags::MS_NODEV, true),
    (b"dev", MsFlags::MS_NODEV, false),
    (b"noexec", MsFlags::MS_NOEXEC, true),
    (b"exec", MsFlags::MS_NOEXEC, false),
    (b"sync", MsFlags::MS_SYNCHRONOUS, true),
    (b"remount", MsFlags::MS_REMOUNT, true),
    (b"bind", MsFlags::MS_BIND, true),
    (b"rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC), true),
    (b"noatime", MsFlags::MS_NOATIME, true),
    (b"nodiratime", MsFlags::MS_NODIRATIME, true),
    (b"relatime", MsFlags::MS_RELATIME, true),
    (b"private", MsFlags::MS_PRIVATE, true),
    (b"rprivate", MsFlags::MS_PRIVATE.union(MsFlags::MS_REC), true),
    (b"shared", MsFlags::MS_SHARED, true),
    (b"rshared", MsFlags::MS_SHARED.union(MsFlags::MS_REC), true),
    (b"slave", MsFlags::MS_SLAVE, true),
    (b"rslave", MsFlags::MS_SLAVE.union(MsFlags::MS_REC), true),
];

/// What a refused call was for, the capability that allows it, and what works without.
struct Need(&'static str, Capability, &'static str);

const MOUNTS: &str = "listing mounts";
const MOUNTING: Need = Need("mounting", Capability::SysAdmin, MOUNTS);
const UNMOUNTING: Need = Need("unmounting", Capability::SysAdmin, MOUNTS);
const FOLDER: Need = Need("changing the directory", Capability::SysAdmin, MOUNTS);
const ROOT: Need = Need("changing the root", Capability::SysChroot, "reading below /proc/PID/root");
const NAMESPACE: Need = Need("entering a namespace", Capability::SysAdmin, "");
const OPENING: Need = Need("looking into a process of somebody else", Capability::SysPtrace, "");

/// A refused call with what would allow it.
fn refused(status: u8, text: String, errno: Errno, Need(what, capability, still): Need) -> Error {
    let error = Error::new(Exit(status), format!("{text}: {}", errno.desc()));
    if [Errno::EPERM, Errno::EACCES].contains(&errno) { error.hint(missing(capability, what, still)) } else { error }
}

/// What belongs to another process and cannot be opened.
fn unopened(what: &str, error: &std::io::Error) -> Error {
    refused(1, format!("cannot open {what}"), Errno::from_raw(error.raw_os_error().unwrap_or(0)), OPENING)
}

pub(crate) fn mount(ctx: &mut Ctx) -> Outcome {
    let spec = "a.all f.fake l n.no-mtab o:options r.read-only t:types v.verbose w.rw,read-write B.bind R.rbind M.move \
                _1.make-private _2.make-rprivate _3.make-shared _4.make-rshared _5.make-slave _6.make-rslave";
    let mut tool = Tool::new(ctx, spec, 1)?;
    if tool.opts.last(b"afM") != 0 {
        return wrong(1, "options -a, -f and --move are not offered: there is no fstab here");
    }
    let operands = std::mem::take(&mut tool.opts.rest);
    let kind = tool.opts.value(b't').map(<[u8]>::to_vec);
    if operands.is_empty() {
        let mut out = Bytes::new();
        for own in mounts() {
            let chosen = kind.as_ref().is_none_or(|list| {
                let (inverted, list) = match list.strip_prefix(b"no") {
                    Some(rest) if mounts().iter().all(|own| own.kind != *list) => (true, rest),
                    _ => (false, list.as_slice()),
                };
                list.split(|byte| *byte == b',').any(|name| name == own.kind) != inverted
            });
            if chosen {
                out.extend_from_slice(
                    &[&own.source[..], b" on ", &own.target, b" type ", &own.kind, b" (", &own.options, b")\n"]
                        .concat(),
                );
            }
        }
        tool.put(&out)?;
        return tool.done();
    }
    let mut flags = MsFlags::empty();
    let mut data = Vec::new();
    let options: Vec<Bytes> =
        tool.opts.values(b'o').flat_map(|list| list.split(|byte| *byte == b',')).map(<[u8]>::to_vec).collect();
    let long: [(u8, &[u8]); 10] = [
        (b'r', b"ro"),
        (b'w', b"rw"),
        (b'B', b"bind"),
        (b'R', b"rbind"),
        (b'1', b"private"),
        (b'2', b"rprivate"),
        (b'3', b"shared"),
        (b'4', b"rshared"),
        (b'5', b"slave"),
        (b'6', b"rslave"),
    ];
    let long = long.iter().filter(|(id, _)| tool.has(*id)).map(|(_, name)| name.to_vec());
    for option in options.into_iter().chain(long.collect::<Vec<_>>()) {
        match FLAGS.iter().find(|(name, ..)| *name == option) {
            Some((_, flag, true)) => flags |= *flag,
            Some((_, flag, false)) => flags &= !*flag,
            None if option == b"defaults" || option.is_empty() => {}
            None => data.push(option),
        }
    }
    let change = MsFlags::MS_PRIVATE | MsFlags::MS_SHARED | MsFlags::MS_SLAVE;
    let (source, target) = match operands.as_slice() {
        [target] if flags.intersects(change | MsFlags::MS_REMOUNT) => (b"none".to_vec(), target.clone()),
        [target] => return wrong(1, &format!("{}: can't find in /etc/fstab.", lossy(target))),
        [source, target] => (source.clone(), target.clone()),
        _ => return wrong(1, "bad usage"),
    };
    let kinds = match kind {
        Some(kind) => vec![kind],
        None if flags.intersects(change | MsFlags::MS_BIND | MsFlags::MS_REMOUNT) => vec![b"none".to_vec()],
        None => {
            // Those the kernel knows that live on a device.
            let text = std::fs::read("/proc/filesystems").unwrap_or_default();
            let lines = text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"\t"));
            lines.map(<[u8]>::to_vec).collect()
        }
    };
    let data = data.join(&b',');
    let mut last = Errno::ENODEV;
    for kind in kinds {
        match nix::mount::mount(Some(path(&source)), path(&target), Some(path(&kind)), flags, Some(path(&data))) {
            Ok(()) => {
                let later = flags & (MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC);
                // A bind mount takes its other flags only in a second call (mount(2)).
                if flags.contains(MsFlags::MS_BIND) && !flags.contains(MsFlags::MS_REMOUNT) && !later.is_empty() {
                    let again = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | later;
                    nix::mount::mount(None::<&str>, path(&target), None::<&str>, again, None::<&str>)
                        .map_err(|errno| refused(32, lossy(&target), errno, MOUNTING))?;
                }
                return tool.done();
            }
            Err(errno) => last = errno,
        }
    }
    Err(refused(32, lossy(&target), last, MOUNTING))
}

pub(crate) fn umount(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "a.all f.force l.lazy n r.read-only R.recursive t:types v.verbose q.quiet", 1)?;
    if tool.opts.last(b"art") != 0 {
        return wrong(1, "options -a, -r and -t are not offered");
    }
    let mut flags = MntFlags::empty();
    if tool.has(b'f') {
        flags |= MntFlags::MNT_FORCE;
    }
    if tool.has(b'l') {
        flags |= MntFlags::MNT_DETACH;
    }
    let operands = std::mem::take(&mut tool.opts.rest);
    if operands.is_empty() {
        return wrong(1, "bad usage");
    }
    for operand in operands {
        let place = std::fs::canonicalize(path(&operand))
            .map_or(operand.clone(), |place| place.as_os_str().as_bytes().to_vec());
        let own: Vec<Mount> = mounts();
        let target = own
            .iter()
            .rev()
            .find(|own| own.source == operand && own.source.starts_with(b"/") && own.target != place)
            .map_or(place, |own| own.target.clone());
        let mut list = vec![target.clone()];
        if tool.has(b'R') {
            list = own
                .iter()
                .map(|own| own.target.clone())
                .filter(|own| *own == target || own.starts_with(&join(&target, b"")))
                .rev()
                .collect();
        }
        for target in list {
            if let Err(errno) = nix::mount::umount2(path(&target), flags) {
                let why = match errno {
                    Errno::EINVAL => "not mounted.".to_owned(),
                    Errno::ENOENT => "no mount point specified.".to_owned(),
                    Errno::EBUSY => "target is busy.".to_owned(),
                    other => refused(32, String::new(), other, UNMOUNTING).message,
                };
                tool.complain(&format!("{}: {why}", lossy(&operand)));
                tool.status = 32;
            }
        }
    }
    tool.done()
}

pub(crate) fn df(ctx: &mut Ctx) -> Outcome {
    let spec = "a.all B:block-size h.human-readable H.si i.inodes k l.local m P.portability t:type T.print-type x:exclude-type _1.total _2?output";
    let mut tool = Tool::new(ctx, spec, 1)?;
    if tool.opts.last(b"12") != 0 {
        return wrong(1, "options --total and --output are not offered");
    }
    let operands = std::mem::take(&mut tool.opts.rest);
    let list = mounts();
    let mut chosen = Vec::new();
    if operands.is_empty() {
        let mut seen = Vec::new();
        for own in list.iter().rev() {
            let Ok(data) = std::fs::metadata(path(&own.target)) else { continue };
            let hidden = !tool.has(b'a') && seen.contains(&data.dev());
            seen.push(data.dev());
            if !hidden {
                chosen.push((own, own.target.clone()));
            }
        }
        chosen.reverse();
    } else {
        for operand in operands {
            if let Err(error) = std::fs::metadata(path(&operand)) {
                tool.fail(&operand, &error);
                continue;
            }
            let point = mount_point(&operand);
            // A device stands for what is mounted from it.
            let real = std::fs::canonicalize(path(&operand))
                .map(|place| place.as_os_str().as_bytes().to_vec())
                .unwrap_or_default();
            let found = list
                .iter()
                .rev()
                .find(|own| own.source == real)
                .or_else(|| list.iter().rev().find(|own| own.target == point));
            match found {
                Some(own) => chosen.push((own, operand)),
                None => tool.complain(&format!("{}: no mount point found", lossy(&operand))),
            }
        }
    }
    let kinds = |id: u8, own: &Mount| {
        tool.opts.values(id).any(|list| list.split(|byte| *byte == b',').any(|kind| kind == own.kind))
    };
    let (inodes, with_kind) = (tool.has(b'i'), tool.has(b'T'));
    let unit = match tool.opts.last(b"hHkmB") {
        b'h' => 0,
        b'H' => 1,
        b'm' => 1 << 20,
        b'B' => {
            let text = tool.opts.value(b'B').unwrap_or_default();
            wanted(crate::base::size(text).filter(|unit| *unit > 1), "--block-size argument", text, 1)?
        }
        _ => 1024,
    };
    let head = match unit {
        _ if inodes => "Inodes".to_owned(),
        0 | 1 => "Size".to_owned(),
        1024 if tool.has(b'P') => "1024-blocks".to_owned(),
        1024 => "1K-blocks".to_owned(),
        1_048_576 if tool.opts.last(b"mB") == b'm' => "1M-blocks".to_owned(),
        other if other % 1024 == 0 => format!("{}-blocks", human(other, 1024).replace(".0", "")),
        other => format!("{other}B-blocks"),
    };
    let middle: [&str; 3] = match (inodes, unit) {
        (true, _) => ["IUsed", "IFree", "IUse%"],
        (false, 0 | 1) => ["Used", "Avail", "Use%"],
        _ if tool.has(b'P') => ["Used", "Available", "Capacity"],
        _ => ["Used", "Available", "Use%"],
    };
    let mut rows: Vec<Vec<String>> = vec![vec!["Filesystem".into()]];
    if let Some(row) = rows.first_mut() {
        if with_kind {
            row.push("Type".into());
        }
        row.push(head);
        row.extend(middle.iter().map(|text| (*text).to_owned()));
        row.push("Mounted on".into());
    }
    let all_asked = tool.has(b'a') || tool.has(b't');
    for (own, asked) in chosen {
        if tool.has(b't') && !kinds(b't', own) || kinds(b'x', own) {
            continue;
        }
        let Ok(data) = rustix::fs::statvfs(path(&own.target)) else {
            continue;
        };
        if data.f_blocks == 0 && !all_asked && own.target == asked {
            continue;
        }
        let (total, free, available) = if inodes {
            (data.f_files, data.f_ffree, data.f_ffree)
        } else {
            (data.f_blocks * data.f_frsize, data.f_bfree * data.f_frsize, data.f_bavail * data.f_frsize)
        };
        let used = total.saturating_sub(free);
        let shown = |value: u64| match unit {
            0 => human(value, 1024),
            1 => human(value, 1000),
            _ if inodes => value.to_string(),
            unit => value.div_ceil(unit).to_string(),
        };
        let sum = used + available;
        let percent =
            if sum == 0 { "-".to_owned() } else { format!("{}%", (u128::from(used) * 100).div_ceil(u128::from(sum))) };
        let mut row = vec![lossy(&own.source)];
        if with_kind {
            row.push(lossy(&own.kind));
        }
        row.extend([shown(total), shown(used), shown(available), percent, lossy(&own.target)]);
        rows.push(row);
    }
    if rows.len() == 1 && tool.status == 0 {
        return wrong(1, "no file systems processed");
    }
    let mut out = String::new();
    let columns = rows.first().map_or(0, Vec::len);
    let mut widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max().unwrap_or(0))
        .collect();
    // coreutils' least widths.
    let least = if with_kind { [14, 4, 5, 5, 5, 4] } else { [14, 5, 5, 5, 4, 0] };
    for (width, least) in widths.iter_mut().zip(least) {
        *width = (*width).max(least);
    }
    if rows.len() > 1 || tool.status == 0 {
        for row in &rows {
            for (column, (text, width)) in row.iter().zip(&widths).enumerate() {
                let missing = " ".repeat(width.saturating_sub(text.chars().count()));
                let last = column + 1 == columns;
                let left = column == 0 || with_kind && column == 1;
                if column > 0 {
                    out.push(' ');
                }
                match (last, left) {
                    (true, _) => out.push_str(text),
                    (_, true) => out.push_str(&(text.clone() + &missing)),
                    _ => out.push_str(&(missing + text)),
                }
            }
            out.push('\n');
        }
    }
    tool.put(out.as_bytes())?;
    tool.done()
}

struct Du {
    all: bool,
    depth: usize,
    apparent: bool,
    device: Option<u64>,
    one_device: bool,
    separate: bool,
    follow: bool,
    follow_operands: bool,
    /// 0 and 1 for human sizes.
    unit: u64,
    every_link: bool,
    excluded: Vec<Bytes>,
    seen: std::collections::BTreeSet<(u64, u64)>,
    end: u8,
}

pub(crate) fn du(ctx: &mut Ctx) -> Outcome {
    let spec = "0.null a.all b.bytes B:block-size c.total d:max-depth D.dereference-args H h.human-readable k L.dereference l.count-links m P.no-dereference \
                s.summarize S.separate-dirs x.one-file-system _1.apparent-size _2:exclude _3.si";
    let mut tool = Tool::new(ctx, spec, 1)?;
    let mut depth = usize::MAX;
    if let Some(text) = tool.opts.value(b'd') {
        depth = usize::try_from(wanted(number(text), "maximum depth", text, 1)?).unwrap_or(usize::MAX);
    }
    if tool.has(b's') {
        if tool.has(b'a') {
            return wrong(1, "cannot both summarize and show all entries");
        }
        if depth != usize::MAX && depth != 0 {
            return wrong(1, &format!("warning: summarizing conflicts with --max-depth={depth}"));
        }
        depth = 0;
    }
    let unit = match tool.opts.last(b"bBhkm3") {
        b'b' => 1,
        b'B' => {
            let text = tool.opts.value(b'B').unwrap_or_default();
            wanted(crate::base::size(text).filter(|unit| *unit > 0), "--block-size argument", text, 1)?
        }
        b'm' => 1 << 20,
        b'h' => 0,
        b'3' => u64::MAX,
        _ => 1024,
    };
    let mut du = Du {
        all: tool.has(b'a'),
        depth,
        apparent: tool.has(b'1') || tool.has(b'b'),
        device: None,
        one_device: tool.has(b'x'),
        separate: tool.has(b'S'),
        follow: tool.opts.last(b"LP") == b'L',
        follow_operands: tool.opts.last(b"LDH") != 0,
        unit,
        every_link: tool.has(b'l'),
        excluded: tool.opts.values(b'2').map(<[u8]>::to_vec).collect(),
        seen: std::collections::BTreeSet::new(),
        end: if tool.has(b'0') { 0 } else { b'\n' },
    };
    let mut operands = std::mem::take(&mut tool.opts.rest);
    if operands.is_empty() {
        operands.push(b".".to_vec());
    }
    let mut total = 0;
    for operand in operands {
        du.device = None;
        total += du.visit(&mut tool, &operand, 0)?.unwrap_or(0);
    }
    if tool.has(b'c') {
        du.show(&mut tool, total, b"total")?;
    }
    tool.done()
}

impl Du {
    fn show(&self, tool: &mut Tool<'_>, bytes: u64, name: &[u8]) -> Result<(), Error> {
        let size = match self.unit {
            0 => human(bytes, 1024),
            u64::MAX => human(bytes, 1000),
            unit => bytes.div_ceil(unit).to_string(),
        };
        let line = [size.as_bytes(), b"\t", name, &[self.end]].concat();
        tool.put(&line)
    }

    fn visit(&mut self, tool: &mut Tool<'_>, name: &[u8], depth: usize) -> Result<Option<u64>, Error> {
        let base = crate::base::base_name(name);
        if self.excluded.iter().any(|pattern| glob::matches(pattern, base, 0) || glob::matches(pattern, name, 0)) {
            return Ok(None);
        }
        let follow = self.follow || depth == 0 && self.follow_operands;
        let data = match if follow { std::fs::metadata(path(name)) } else { std::fs::symlink_metadata(path(name)) } {
            Ok(data) => data,
            Err(error) => {
                tool.cannot("access", name, &error);
                return Ok(None);
            }
        };
        if self.one_device && data.dev() != *self.device.get_or_insert(data.dev()) {
            return Ok(None);
        }
        let once = data.is_dir() || data.nlink() > 1 && !self.every_link;
        if once && !self.seen.insert((data.dev(), data.ino())) {
            return Ok(None);
        }
        let own = if self.apparent {
            if data.is_file() || data.is_symlink() || data.is_dir() { data.size() } else { 0 }
        } else {
            data.blocks() * 512
        };
        let mut sum = own;
        let mut inside = 0;
        if data.is_dir() {
            match std::fs::read_dir(path(name)) {
                Ok(entries) => {
                    let names: Vec<Bytes> =
                        entries.flatten().map(|entry| entry.file_name().as_bytes().to_vec()).collect();
                    for child in names {
                        let child = join(name, &child);
                        let is_dir = std::fs::symlink_metadata(path(&child)).is_ok_and(|data| data.is_dir());
                        let size = self.visit(tool, &child, depth + 1)?.unwrap_or(0);
                        if self.separate && is_dir { inside += size } else { sum += size }
                    }
                }
                Err(error) => {
                    tool.complain(&format!("cannot read directory '{}': {}", lossy(name), crate::base::reason(&error)));
                }
            }
        }
        if depth <= self.depth && (data.is_dir() || self.all || depth == 0) {
            self.show(tool, sum, name)?;
        }
        Ok(Some(sum + inside))
    }
}

pub(crate) fn chroot(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "+ _g:groups _s.skip-chdir _u:userspec", 125)?;
    let mut rest = std::mem::take(&mut tool.opts.rest);
    if rest.is_empty() {
        return wrong(125, "missing operand");
    }
    let root = rest.remove(0);
    if rest.is_empty() {
        let shell = tool.ctx.var("SHELL").unwrap_or("/bin/sh").as_bytes().to_vec();
        rest = vec![shell, b"-i".to_vec()];
    }
    let mut table = crate::meta::Names::default();
    if let Err(errno) = nix::unistd::chroot(path(&root)) {
        return Err(refused(125, format!("cannot change root directory to '{}'", lossy(&root)), errno, ROOT));
    }
    if !tool.has(b's')
        && let Err(error) = std::env::set_current_dir("/")
    {
        return wrong(125, &format!("cannot chdir to root directory: {}", crate::base::reason(&error)));
    }
    let spec = tool.opts.value(b'u').unwrap_or_default();
    let colon = spec.iter().position(|byte| *byte == b':').unwrap_or(spec.len());
    let (user, group) = (part(spec, 0, colon), after(spec, colon + 1));
    let mut groups = Vec::new();
    for name in tool.opts.values(b'g').flat_map(|list| list.split(|byte| *byte == b',')).filter(|name| !name.is_empty())
    {
        groups.push(Gid::from_raw(wanted(table.id(name, true), "group", name, 125)?));
    }
    let failed = |errno: Errno, what: &str| Error::new(Exit(125), format!("failed to set {what}: {}", errno.desc()));
    if tool.has(b'g') || !spec.is_empty() {
        nix::unistd::setgroups(&groups).map_err(|errno| failed(errno, "supplemental groups"))?;
    }
    if !group.is_empty() {
        let id = wanted(table.id(group, true), "group", group, 125)?;
        nix::unistd::setgid(Gid::from_raw(id)).map_err(|errno| failed(errno, "group-ID"))?;
    }
    if !user.is_empty() {
        let id = wanted(table.id(user, false), "user", user, 125)?;
        nix::unistd::setuid(Uid::from_raw(id)).map_err(|errno| failed(errno, "user-ID"))?;
    }
    tool.ctx.stdout.flush()?;
    let env = environment(tool.ctx);
    // Inside another root its own programs are meant, not ours.
    let (status, error) = replace(tool.ctx, &rest, &env, false);
    let name = rest.first().map(|word| lossy(word)).unwrap_or_default();
    wrong(status, &format!("failed to run command '{name}': {}", crate::base::reason(&error)))
}

pub(crate) fn nsenter(ctx: &mut Ctx) -> Outcome {
    let spec = "+ a.all t:target m?mount u?uts i?ipc n?net p?pid C?cgroup U?user T?time S:setuid G:setgid r?root w?wd F.no-fork _p.preserve-credentials e";
    let mut tool = Tool::new(ctx, spec, 1)?;
    let mut rest = std::mem::take(&mut tool.opts.rest);
    if tool.has(b'e') {
        return wrong(1, "option -e is not offered");
    }
    if rest.is_empty() {
        rest.push(tool.ctx.var("SHELL").unwrap_or("/bin/sh").as_bytes().to_vec());
    }
    let target = match tool.opts.value(b't') {
        None => None,
        Some(text) => Some(wanted(number(text), "process ID", text, 1)?),
    };
    let kinds: [(u8, &str, CloneFlags); 8] = [
        (b'U', "user", CloneFlags::CLONE_NEWUSER),
        (b'C', "cgroup", CloneFlags::CLONE_NEWCGROUP),
        (b'i', "ipc", CloneFlags::CLONE_NEWIPC),
        (b'u', "uts", CloneFlags::CLONE_NEWUTS),
        (b'n', "net", CloneFlags::CLONE_NEWNET),
        (b'p', "pid", CloneFlags::CLONE_NEWPID),
        (b'm', "mnt", CloneFlags::CLONE_NEWNS),
        (b'T', "time", CloneFlags::from_bits_retain(0x80)),
    ];
    let mut opened = Vec::new();
    let all = tool.has(b'a');
    let own = |name: &str| std::fs::metadata(format!("/proc/self/ns/{name}")).map(|data| data.ino()).ok();
    for (id, name, flag) in kinds {
        if !tool.has(id) && !all {
            continue;
        }
        let file = match (tool.opts.value(id).filter(|file| !file.is_empty()), target) {
            (Some(file), _) => lossy(file),
            (None, Some(pid)) => format!("/proc/{pid}/ns/{name}"),
            (None, None) => return wrong(1, "no target PID specified for --all or a namespace without a file"),
        };
        let handle = match File::open(&file) {
            Ok(handle) => handle,
            Err(_) if all && !tool.has(id) && name == "time" => continue,
            Err(error) => return Err(unopened(&file, &error)),
        };
        // Entering the user namespace one is in already is refused by the kernel.
        let same = handle.metadata().map(|data| data.ino()).ok() == own(name);
        if !(same && (all || id == b'U')) {
            opened.push((handle, flag, file));
        }
    }
    // A user namespace gives its rights over the others only once it is entered; a kernel that refuses it first allows it last.
    let root = match (tool.has(b'r'), tool.opts.value(b'r'), target) {
        (false, ..) => None,
        (true, Some(dir), _) if !dir.is_empty() => Some(lossy(dir)),
        (true, _, Some(pid)) => Some(format!("/proc/{pid}/root")),
        _ => return wrong(1, "--root needs a directory or a target"),
    };
    let root = root.map(File::open).transpose().map_err(|error| unopened("the root", &error))?;
    let work = match (tool.has(b'w'), tool.opts.value(b'w'), target) {
        (false, ..) => None,
        (true, Some(dir), _) if !dir.is_empty() => Some(lossy(dir)),
        (true, _, Some(pid)) => Some(format!("/proc/{pid}/cwd")),
        _ => return wrong(1, "--wd needs a directory or a target"),
    };
    let work = work.map(File::open).transpose().map_err(|error| unopened("the directory", &error))?;
    let (mut other_mounts, mut new_pid) = (false, false);
    for (handle, flag, file) in opened {
        nix::sched::setns(handle, flag)
            .map_err(|errno| refused(1, format!("reassociate to namespace '{file}' failed"), errno, NAMESPACE))?;
        other_mounts |= flag == CloneFlags::CLONE_NEWNS;
        new_pid |= flag == CloneFlags::CLONE_NEWPID;
    }
    if let Some(root) = &root {
        nix::unistd::fchdir(root).map_err(|errno| refused(1, "chdir failed".to_owned(), errno, ROOT))?;
        nix::unistd::chroot(".").map_err(|errno| refused(1, "chroot failed".to_owned(), errno, ROOT))?;
        other_mounts = true;
    }
    if let Some(work) = &work {
        nix::unistd::fchdir(work).map_err(|errno| refused(1, "chdir failed".to_owned(), errno, FOLDER))?;
    }
    let failed = |errno: Errno, what: &str| Error::new(Exit(1), format!("{what} failed: {}", errno.desc()));
    if let Some(text) = tool.opts.value(b'G') {
        let id = wanted(number(text).and_then(|id| u32::try_from(id).ok()), "group ID", text, 1)?;
        nix::unistd::setgid(Gid::from_raw(id)).map_err(|errno| failed(errno, "setgid"))?;
    }
    if let Some(text) = tool.opts.value(b'S') {
        let id = wanted(number(text).and_then(|id| u32::try_from(id).ok()), "user ID", text, 1)?;
        nix::unistd::setuid(Uid::from_raw(id)).map_err(|errno| failed(errno, "setuid"))?;
    }
    if new_pid && !tool.has(b'F') {
        // The namespace holds for children only.
        let pid = start(tool.ctx, &rest, false)?;
        return Ok(Exit(wait(pid)?.1));
    }
    tool.ctx.stdout.flush()?;
    let env = environment(tool.ctx);
    let (status, error) = replace(tool.ctx, &rest, &env, !other_mounts);
    let name = rest.first().map(|word| lossy(word)).unwrap_or_default();
    wrong(status, &format!("failed to execute {name}: {}", crate::base::reason(&error)))
}
