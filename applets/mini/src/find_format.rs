//! What find prints: -ls and -printf.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use crate::base::{Bytes, after, at, lossy, number, octal, part, path};
use crate::find::{Entry, State};
use crate::meta::{Moment, mode_text, time_of, type_letter};
use crate::posix::sed_escape;

/// The line of -ls.
pub(crate) fn listed(state: &mut State, entry: &Entry<'_>) -> Bytes {
    let data = entry.data;
    let mut out = Bytes::new();
    let _ = write!(out, "{:9} {:6} ", data.ino(), data.blocks().div_ceil(2));
    out.append(&mut mode_text(data.mode()));
    let (user, group) = (lossy(&state.names.shown(data.uid(), false)), lossy(&state.names.shown(data.gid(), true)));
    let _ = write!(out, " {:3} {user:8} {group:8} {:8} ", data.nlink(), data.size());
    crate::ls::list_time(data.mtime(), crate::ls::now(), &mut out);
    out.push(b' ');
    out.extend_from_slice(entry.path);
    if data.is_symlink()
        && let Ok(target) = std::fs::read_link(path(entry.path))
    {
        out.extend_from_slice(b" -> ");
        out.extend_from_slice(target.as_os_str().as_bytes());
    }
    out.push(b'\n');
    out
}

/// `-printf`.
pub(crate) fn formatted(state: &mut State, entry: &Entry<'_>, format: &[u8]) -> Bytes {
    let data = entry.data;
    let mut out = Bytes::new();
    let mut from = 0;
    while from < format.len() {
        let byte = at(format, from);
        from += 1;
        if byte == b'\\' && from < format.len() {
            let rest = after(format, from);
            if matches!(at(rest, 0), b'0'..=b'7') {
                let digits = rest.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                out.push(u8::try_from(octal(part(rest, 0, digits)).unwrap_or(0) & 255).unwrap_or(0));
                from += digits;
                continue;
            }
            from += 1;
            match at(rest, 0) {
                b'c' => return out,
                b'b' => out.push(8),
                letter @ (b'a' | b'f' | b'n' | b'r' | b't' | b'v') => {
                    out.push(sed_escape(&[letter]).map_or(letter, |(byte, _)| byte))
                }
                b'\\' => out.push(b'\\'),
                other => out.extend_from_slice(&[b'\\', other]),
            }
            continue;
        }
        if byte != b'%' || from >= format.len() {
            out.push(byte);
            continue;
        }
        let flags = after(format, from).iter().take_while(|byte| b"-+ 0#".contains(byte)).count();
        let (left, zero) =
            (part(format, from, from + flags).contains(&b'-'), part(format, from, from + flags).contains(&b'0'));
        from += flags;
        let digits = after(format, from).iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
        let width =
            number(part(format, from, from + digits)).and_then(|width| usize::try_from(width).ok()).unwrap_or(0);
        from += digits;
        let letter = at(format, from);
        from += 1;
        let link = || {
            std::fs::read_link(path(entry.path))
                .map(|target| target.as_os_str().as_bytes().to_vec())
                .unwrap_or_default()
        };
        let text: Bytes = match letter {
            b'%' => b"%".to_vec(),
            b'p' => entry.path.to_vec(),
            b'f' => entry.name().to_vec(),
            b'h' => match entry.path.iter().rposition(|byte| *byte == b'/') {
                Some(slash) => part(entry.path, 0, slash).to_vec(),
                None => b".".to_vec(),
            },
            b'P' => entry.below().to_vec(),
            b'H' => part(entry.path, 0, entry.root).to_vec(),
            b's' => data.size().to_string().into_bytes(),
            b'b' => data.blocks().to_string().into_bytes(),
            b'k' => data.blocks().div_ceil(2).to_string().into_bytes(),
            b'd' => entry.depth.to_string().into_bytes(),
            b'D' => data.dev().to_string().into_bytes(),
            b'i' => data.ino().to_string().into_bytes(),
            b'n' => data.nlink().to_string().into_bytes(),
            b'm' => format!("{:o}", data.mode() & 0o7777).into_bytes(),
            b'M' => mode_text(data.mode()),
            b'u' => state.names.shown(data.uid(), false),
            b'g' => state.names.shown(data.gid(), true),
            b'U' => data.uid().to_string().into_bytes(),
            b'G' => data.gid().to_string().into_bytes(),
            b'l' => link(),
            b'y' | b'Y' => {
                let mut mode = data.mode();
                let mut text = None;
                if letter == b'Y' && data.is_symlink() {
                    match std::fs::metadata(path(entry.path)) {
                        Ok(data) => mode = data.mode(),
                        Err(_) => text = Some(b"N".to_vec()),
                    }
                }
                let kind = type_letter(mode);
                text.unwrap_or_else(|| vec![if kind == b'-' { b'f' } else { kind }])
            }
            b'a' | b'c' | b't' | b'A' | b'C' | b'T' => {
                let which = match letter.to_ascii_lowercase() {
                    b't' => b'm',
                    other => other,
                };
                let (seconds, nanos) = time_of(data, which);
                let mut kind = b"a b e H:M:S Y".to_vec();
                if letter.is_ascii_uppercase() {
                    kind = vec![at(format, from)];
                    from += 1;
                }
                let mut text = Bytes::new();
                let moment = Moment::new(seconds, u32::try_from(nanos).unwrap_or(0), false);
                let fraction = format!("{nanos:09}0");
                match kind.as_slice() {
                    b"@" => text.extend_from_slice(format!("{seconds}.{fraction}").as_bytes()),
                    b"S" => {
                        moment.format(b"%S.", &mut text);
                        text.extend_from_slice(fraction.as_bytes());
                    }
                    b"T" | b"X" => {
                        moment.format(b"%H:%M:%S.", &mut text);
                        text.extend_from_slice(fraction.as_bytes());
                    }
                    b"+" => {
                        moment.format(b"%Y-%m-%d+%H:%M:%S.", &mut text);
                        text.extend_from_slice(fraction.as_bytes());
                    }
                    [one] => moment.format(&[b'%', *one], &mut text),
                    _ => {
                        moment.format(b"%a %b %e %H:%M:%S.", &mut text);
                        text.extend_from_slice(fraction.as_bytes());
                        moment.format(b" %Y", &mut text);
                    }
                }
                text
            }
            other => vec![b'%', other],
        };
        let fill = std::iter::repeat_n(if zero && !left { b'0' } else { b' ' }, width.saturating_sub(text.len()));
        if left {
            out.extend_from_slice(&text);
            out.extend(fill);
        } else {
            out.extend(fill);
            out.extend_from_slice(&text);
        }
    }
    out
}
