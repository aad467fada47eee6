//! stat (coreutils 9.1; stat(2), statfs(2)).

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use netkit_core::Ctx;

use crate::base::{Bytes, Outcome, Tool, after, at, lossy, number, part, path, wrong};
use crate::meta::{Names, device, full, mode_text};

pub(crate) fn stat(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "c:format _1:printf f.file-system L.dereference t.terse", 1)?;
    let names = std::mem::take(&mut tool.opts.rest);
    if names.is_empty() {
        return wrong(1, "missing operand");
    }
    let system = tool.has(b'f');
    let printf = tool.opts.last(b"c1") == b'1';
    let given = tool.opts.value(tool.opts.last(b"c1")).map(<[u8]>::to_vec);
    let mut users = Names::default();
    for name in names {
        let mut out = Bytes::new();
        if system {
            let data = match rustix::fs::statfs(path(&name)) {
                Ok(data) => data,
                Err(error) => {
                    tool.complain(&format!(
                        "cannot read file system information for '{}': {}",
                        lossy(&name),
                        crate::base::reason(&error.into())
                    ));
                    continue;
                }
            };
            let format = given.clone().unwrap_or_else(|| {
                b"  File: \"%n\"\n    ID: %-8i Namelen: %-7l Type: %T\nBlock size: %-10s Fundamental block size: %S\nBlocks: Total: %-10b Free: %-10f Available: %a\nInodes: Total: %-10c Free: %d".to_vec()
            });
            #[allow(clippy::unnecessary_cast)]
            expand(&format, printf, &mut out, &mut |letter| {
                Some(match letter {
                    b'n' => name.clone(),
                    b'b' => data.f_blocks.to_string().into_bytes(),
                    b'f' => data.f_bfree.to_string().into_bytes(),
                    b'a' => data.f_bavail.to_string().into_bytes(),
                    b'c' => data.f_files.to_string().into_bytes(),
                    b'd' => data.f_ffree.to_string().into_bytes(),
                    b's' => data.f_bsize.to_string().into_bytes(),
                    b'S' => data.f_frsize.to_string().into_bytes(),
                    b'l' => data.f_namelen.to_string().into_bytes(),
                    b't' => format!("{:x}", data.f_type).into_bytes(),
                    b'T' => crate::mounts::type_name(data.f_type as u64).into_bytes(),
                    b'i' => b"0".to_vec(),
                    _ => return None,
                })
            });
        } else {
            let data = match if tool.has(b'L') {
                std::fs::metadata(path(&name))
            } else {
                std::fs::symlink_metadata(path(&name))
            } {
                Ok(data) => data,
                Err(error) => {
                    tool.complain(&format!("cannot statx '{}': {}", lossy(&name), crate::base::reason(&error)));
                    continue;
                }
            };
            let terse: &[u8] = b"%n %s %b %f %u %g %D %i %h %t %T %X %Y %Z %W %o";
            let special = matches!(crate::meta::type_letter(data.mode()), b'b' | b'c');
            let links = if special { "%-5h Device type: %Hr,%Lr" } else { "%h" };
            let long = format!(
                "  File: %N\n  Size: %-10s\tBlocks: %-10b IO Block: %-6o %F\nDevice: %Hd,%Ld\tInode: %-11i Links: {links}\nAccess: (%04a/%10.10A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)\nAccess: %x\nModify: %y\nChange: %z\n Birth: %w"
            );
            let format =
                given.clone().unwrap_or_else(|| if tool.has(b't') { terse.to_vec() } else { long.into_bytes() });
            expand(&format, printf, &mut out, &mut |letter| {
                let (major, minor) = device(data.rdev());
                let birth = data.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
                let text = match letter {
                    b'n' => return Some(name.clone()),
                    b'N' => {
                        let mut text = [b"'", name.as_slice(), b"'"].concat();
                        if given.is_none() {
                            text = name.clone();
                        }
                        if let Ok(target) = std::fs::read_link(path(&name))
                            && data.is_symlink()
                        {
                            let target = target.as_os_str().as_bytes().to_vec();
                            let target =
                                if given.is_none() { target } else { [b"'", target.as_slice(), b"'"].concat() };
                            text.extend_from_slice(&[b" -> ", target.as_slice()].concat());
                        }
                        return Some(text);
                    }
                    b's' => data.size().to_string(),
                    b'b' => data.blocks().to_string(),
                    b'B' => "512".to_owned(),
                    b'o' => data.blksize().to_string(),
                    b'a' => format!("{:o}", data.mode() & 0o7777),
                    b'A' => return Some(mode_text(data.mode())),
                    b'f' => format!("{:x}", data.mode()),
                    b'F' => kind(&data).to_owned(),
                    b'u' => data.uid().to_string(),
                    b'g' => data.gid().to_string(),
                    b'U' => return Some(users.name(data.uid(), false).unwrap_or_else(|| b"UNKNOWN".to_vec())),
                    b'G' => return Some(users.name(data.gid(), true).unwrap_or_else(|| b"UNKNOWN".to_vec())),
                    b'i' => data.ino().to_string(),
                    b'h' => data.nlink().to_string(),
                    b'd' => data.dev().to_string(),
                    b'D' => format!("{:x}", data.dev()),
                    // The letters with H and L in front arrive as capitals of no other use.
                    1 => device(data.dev()).0.to_string(),
                    2 => device(data.dev()).1.to_string(),
                    b't' => format!("{major:x}"),
                    b'T' => format!("{minor:x}"),
                    b'r' => data.rdev().to_string(),
                    b'R' => format!("{:x}", data.rdev()),
                    3 => major.to_string(),
                    4 => minor.to_string(),
                    b'm' => return Some(crate::mounts::mount_point(&name)),
                    b'x' => return Some(full(data.atime(), data.atime_nsec())),
                    b'y' => return Some(full(data.mtime(), data.mtime_nsec())),
                    b'z' => return Some(full(data.ctime(), data.ctime_nsec())),
                    b'w' => match birth {
                        Some(time) => {
                            return Some(full(
                                i64::try_from(time.as_secs()).unwrap_or(0),
                                i64::from(time.subsec_nanos()),
                            ));
                        }
                        None => "-".to_owned(),
                    },
                    b'X' => data.atime().to_string(),
                    b'Y' => data.mtime().to_string(),
                    b'Z' => data.ctime().to_string(),
                    b'W' => birth.map_or(0, |time| time.as_secs()).to_string(),
                    _ => return None,
                };
                Some(text.into_bytes())
            });
        }
        if !printf {
            out.push(b'\n');
        }
        tool.put(&out)?;
    }
    tool.done()
}

/// The words of `stat` for a file's type.
fn kind(data: &std::fs::Metadata) -> &'static str {
    match crate::meta::type_letter(data.mode()) {
        b'd' => "directory",
        b'l' => "symbolic link",
        b'-' if data.size() == 0 => "regular empty file",
        b'-' => "regular file",
        b'b' => "block special file",
        b'c' => "character special file",
        b'p' => "fifo",
        b's' => "socket",
        _ => "weird file",
    }
}

/// A format of `stat`: `%`, flags, width, a letter; with `printf` also escapes.
fn expand(format: &[u8], printf: bool, out: &mut Bytes, value: &mut dyn FnMut(u8) -> Option<Bytes>) {
    let mut from = 0;
    while from < format.len() {
        let byte = at(format, from);
        from += 1;
        if byte == b'\\' && printf && from < format.len() {
            match crate::posix::sed_escape(after(format, from)) {
                Some((byte, length)) => {
                    out.push(byte);
                    from += length;
                }
                None => {
                    let digits =
                        after(format, from).iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                    if digits > 0 {
                        let value = crate::base::octal(part(format, from, from + digits)).unwrap_or(0);
                        out.push(u8::try_from(value & 255).unwrap_or(0));
                        from += digits;
                    } else {
                        out.push(at(format, from));
                        from += 1;
                    }
                }
            }
            continue;
        }
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let begin = from;
        while b"-0+ #'".contains(&at(format, from)) && from < format.len() {
            from += 1;
        }
        let flags = part(format, begin, from);
        let digits = |from: usize| after(format, from).iter().take(5).take_while(|byte| byte.is_ascii_digit()).count();
        let count = digits(from);
        let width = usize::try_from(number(part(format, from, from + count)).unwrap_or(0)).unwrap_or(0);
        from += count;
        let mut most = usize::MAX;
        if at(format, from) == b'.' {
            let count = digits(from + 1);
            most = usize::try_from(number(part(format, from + 1, from + 1 + count)).unwrap_or(0)).unwrap_or(0);
            from += 1 + count;
        }
        let mut letter = at(format, from);
        from += 1;
        if matches!(letter, b'H' | b'L') && matches!(at(format, from), b'd' | b'r') {
            letter = match (letter, at(format, from)) {
                (b'H', b'd') => 1,
                (b'L', b'd') => 2,
                (b'H', _) => 3,
                _ => 4,
            };
            from += 1;
        }
        if letter == b'%' {
            out.push(b'%');
            continue;
        }
        let text = match value(letter) {
            Some(text) => part(&text, 0, most).to_vec(),
            None => b"?".to_vec(),
        };
        let missing = width.saturating_sub(text.len());
        let zero = flags.contains(&b'0') && !flags.contains(&b'-');
        let fill = std::iter::repeat_n(if zero { b'0' } else { b' ' }, missing);
        if flags.contains(&b'-') {
            out.extend_from_slice(&text);
            out.extend(fill);
        } else {
            out.extend(fill);
            out.extend_from_slice(&text);
        }
    }
}
