//! cut and tr (POSIX.1-2017; coreutils 9.1, which counts bytes in both).

use std::io::Read;

use netkit_core::{Ctx, Error, Exit};

use crate::base::{Bytes, CHUNK, Outcome, Tool, after, at, lossy, number, octal, part, wrong};
use crate::posix::{byte_in_class, class_named};

/// Ranges counted from 1, ordered, those that overlap made one.
fn ranges(text: &[u8], fields: bool) -> Result<Vec<(u64, u64)>, Error> {
    let fail = |text: String| Error::new(Exit(1), text);
    let zero = || {
        fail(if fields { "fields are numbered from 1" } else { "byte/character positions are numbered from 1" }.into())
    };
    let mut list = Vec::new();
    for piece in text.split(|byte| matches!(byte, b',' | b' ' | b'\t')) {
        let bad = || {
            let what = if fields { "invalid field value" } else { "invalid byte/character position" };
            fail(format!("{what} '{}'", lossy(piece)))
        };
        let Some(dash) = piece.iter().position(|byte| *byte == b'-') else {
            if piece.is_empty() {
                return Err(zero());
            }
            let one = number(piece).ok_or_else(bad)?;
            list.push((one, one));
            continue;
        };
        let (low, high) = (part(piece, 0, dash), after(piece, dash + 1));
        if low.is_empty() && high.is_empty() {
            return Err(fail("invalid range with no endpoint: -".into()));
        }
        let low = if low.is_empty() { 1 } else { number(low).ok_or_else(bad)? };
        let high = if high.is_empty() { u64::MAX } else { number(high).ok_or_else(bad)? };
        if low > high {
            return Err(fail("invalid decreasing range".into()));
        }
        list.push((low, high));
    }
    if list.iter().any(|(low, _)| *low == 0) {
        return Err(zero());
    }
    list.sort_unstable();
    list.dedup_by(|next, held| {
        let joined = next.0 <= held.1;
        if joined {
            held.1 = held.1.max(next.1);
        }
        joined
    });
    Ok(list)
}

pub(crate) fn cut(ctx: &mut Ctx) -> Outcome {
    let spec = "b:bytes c:characters d:delimiter f:fields n s.only-delimited z.zero-terminated _o:output-delimiter \
                _m.complement";
    let mut tool = Tool::new(ctx, spec, 1)?;
    let end = if tool.has(b'z') { 0 } else { b'\n' };
    let mode = tool.opts.last(b"bcf");
    if tool.opts.seen.iter().filter(|(id, _)| b"bcf".contains(id)).count() > 1 {
        return wrong(1, "only one type of list may be specified");
    }
    let Some(list) = tool.opts.value(mode) else {
        return wrong(1, "you must specify a list of bytes, characters, or fields");
    };
    let fields = mode == b'f';
    let mut list = ranges(list, fields)?;
    if tool.has(b'm') {
        let mut others = Vec::new();
        let mut next = 1;
        for (low, high) in &list {
            if *low > next {
                others.push((next, low - 1));
            }
            next = high.saturating_add(1);
        }
        if next < u64::MAX {
            others.push((next, u64::MAX));
        }
        list = others;
    }
    let delimiter = match tool.opts.value(b'd') {
        Some(_) if !fields => {
            return wrong(1, "an input delimiter may be specified only when operating on fields");
        }
        None => b'\t',
        Some(b"") => 0,
        Some([one]) => *one,
        Some(_) => return wrong(1, "the delimiter must be a single character"),
    };
    let only = tool.has(b's');
    if only && !fields {
        return wrong(1, "suppressing non-delimited lines makes sense\n\tonly when operating on fields");
    }
    let output = tool.opts.value(b'o').map(<[u8]>::to_vec);
    let joint = output.clone().unwrap_or(if fields { vec![delimiter] } else { Bytes::new() });
    let mut line = Bytes::new();
    let mut out = Bytes::new();
    for name in tool.inputs() {
        let Some(mut input) = tool.open(&name) else { continue };
        while tool.line(&mut input, &name, end, &mut line) {
            line.pop_if(|byte| *byte == end);
            out.clear();
            if fields {
                if !line.contains(&delimiter) {
                    if only {
                        continue;
                    }
                    out.extend_from_slice(&line);
                } else {
                    let mut first = true;
                    let mut range = list.iter().peekable();
                    for (index, field) in (1u64..).zip(line.split(|byte| *byte == delimiter)) {
                        while range.peek().is_some_and(|(_, high)| *high < index) {
                            range.next();
                        }
                        let Some((low, _)) = range.peek() else { break };
                        if *low <= index {
                            if !first {
                                out.extend_from_slice(&joint);
                            }
                            first = false;
                            out.extend_from_slice(field);
                        }
                    }
                }
            } else {
                for (low, high) in &list {
                    let small = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
                    let piece = part(&line, small(*low) - 1, small(*high));
                    if small(*low) > line.len() {
                        break;
                    }
                    if !out.is_empty() {
                        out.extend_from_slice(&joint);
                    }
                    out.extend_from_slice(piece);
                }
            }
            out.push(end);
            tool.put(&out)?;
        }
    }
    tool.done()
}

/// A set of tr, written out.
struct Set {
    bytes: Bytes,
    /// Where a `[c*]` fills up, and with what.
    fill: Option<(usize, u8)>,
    /// Where `[:lower:]` and `[:upper:]` stand: place and which.
    cases: Vec<(usize, usize)>,
    other_class: bool,
}

fn tr_escape(text: &[u8]) -> (u8, usize) {
    let digits = after(text, 1).iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    if digits > 0 {
        let value = octal(part(text, 1, 1 + digits)).unwrap_or(0);
        return match u8::try_from(value) {
            Ok(byte) => (byte, 1 + digits),
            // Three digits above 377: the first two, as coreutils do.
            Err(_) => (u8::try_from(value / 8).unwrap_or(0), digits),
        };
    }
    match text.get(1) {
        None => (b'\\', 1),
        Some(letter) => {
            let byte = match letter {
                b'a' => 7,
                b'b' => 8,
                b'f' => 12,
                b'n' => 10,
                b'r' => 13,
                b't' => 9,
                b'v' => 11,
                other => *other,
            };
            (byte, 2)
        }
    }
}

fn tr_set(text: &[u8], second: bool) -> Result<Set, Error> {
    let mut set = Set { bytes: Bytes::new(), fill: None, cases: Vec::new(), other_class: false };
    let mut from = 0;
    let one = |from: usize| match at(text, from) {
        b'\\' => tr_escape(after(text, from)),
        byte => (byte, 1),
    };
    while from < text.len() {
        let rest = after(text, from);
        if rest.starts_with(b"[:")
            && let Some(close) = crate::base::find_bytes(after(rest, 2), b":]")
        {
            let name = part(rest, 2, 2 + close);
            if let Some(class) = class_named(name) {
                if matches!(class, 3 | 4) {
                    set.cases.push((set.bytes.len(), class));
                } else {
                    set.other_class = true;
                }
                set.bytes.extend((0..=255u8).filter(|byte| byte_in_class(class, *byte)));
                from += close + 4;
                continue;
            }
            return wrong(1, &format!("invalid character class '{}'", lossy(name)));
        }
        if rest.starts_with(b"[=") && rest.get(3..5) == Some(b"=]") {
            set.bytes.push(at(rest, 2));
            from += 5;
            continue;
        }
        if at(rest, 0) == b'[' && rest.len() > 3 {
            let (byte, length) = one(from + 1);
            let star = 1 + length;
            if at(rest, star) == b'*'
                && let Some(close) = after(rest, star).iter().position(|byte| *byte == b']')
            {
                let digits = part(rest, star + 1, star + close);
                let count = if at(digits, 0) == b'0' { octal(digits).map(u64::from) } else { number(digits) };
                if digits.is_empty() || count.is_some() {
                    if !second {
                        return wrong(1, "the [c*] repeat construct may not appear in string1");
                    }
                    match count {
                        None | Some(0) => {
                            if set.fill.is_some() {
                                return wrong(1, "only one [c*] repeat construct may appear in string2");
                            }
                            set.fill = Some((set.bytes.len(), byte));
                        }
                        Some(count) => {
                            let count = usize::try_from(count).unwrap_or(usize::MAX).min(1 << 16);
                            set.bytes.extend(std::iter::repeat_n(byte, count));
                        }
                    }
                    from += star + close + 1;
                    continue;
                }
            }
        }
        let (low, length) = one(from);
        from += length;
        if at(text, from) == b'-' && from + 1 < text.len() {
            let (high, length) = one(from + 1);
            if high < low {
                let shown = format!("{}-{}", char::from(low), char::from(high));
                return wrong(1, &format!("range-endpoints of '{shown}' are in reverse collating sequence order"));
            }
            from += 1 + length;
            set.bytes.extend(low..=high);
        } else {
            set.bytes.push(low);
        }
    }
    Ok(set)
}

fn table(bytes: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    for byte in bytes {
        if let Some(place) = table.get_mut(usize::from(*byte)) {
            *place = true;
        }
    }
    table
}

pub(crate) fn tr(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "+ c.complement C d.delete s.squeeze-repeats t.truncate-set1", 1)?;
    let (delete, squeeze) = (tool.has(b'd'), tool.has(b's'));
    let complement = tool.opts.last(b"cC") != 0;
    let operands = std::mem::take(&mut tool.opts.rest);
    let most = if delete && !squeeze { 1 } else { 2 };
    let least = if delete == squeeze { 2 } else { 1 };
    let Some(first) = operands.first() else { return wrong(1, "missing operand") };
    if operands.len() < least {
        let why = if squeeze {
            "Two strings must be given when both deleting and squeezing repeats."
        } else {
            "Two strings must be given when translating."
        };
        return wrong(1, &format!("missing operand after '{}'\n{why}", lossy(first)));
    }
    if let Some(extra) = operands.get(most) {
        return wrong(1, &format!("extra operand '{}'", lossy(extra)));
    }
    let mut one = tr_set(first, false)?;
    let had_class = one.other_class || !one.cases.is_empty();
    if complement {
        let members = table(&one.bytes);
        one.bytes = (0..=255u8).filter(|byte| !members.get(usize::from(*byte)).is_some_and(|own| *own)).collect();
        one.cases.clear();
    }
    let two = operands.get(1).map(|text| tr_set(text, true)).transpose()?;
    let translate = !delete && two.is_some();
    let mut map: Bytes = (0..=255).collect();
    let mut squeezed = [false; 256];
    if let Some(mut two) = two {
        if let Some((place, byte)) = two.fill {
            let missing = one.bytes.len().saturating_sub(two.bytes.len());
            let tail = two.bytes.split_off(place);
            two.bytes.extend(std::iter::repeat_n(byte, missing));
            two.bytes.extend(tail);
        }
        if translate {
            if two.other_class {
                return wrong(
                    1,
                    "when translating, the only character classes that may appear in\nstring2 are 'upper' and 'lower'",
                );
            }
            if two.cases.iter().any(|(place, _)| !one.cases.iter().any(|(own, _)| own == place)) {
                return wrong(1, "misaligned [:upper:] and/or [:lower:] construct");
            }
            if tool.has(b't') {
                one.bytes.truncate(two.bytes.len());
            } else if two.bytes.is_empty() && !one.bytes.is_empty() {
                return wrong(1, "when not truncating set1, string2 must be non-empty");
            }
            if complement && had_class && table(&two.bytes).iter().filter(|own| **own).count() > 1 {
                return wrong(
                    1,
                    "when translating with complemented character classes,\nstring2 must map all characters in the domain to one",
                );
            }
            let last = two.bytes.last().copied();
            for (index, byte) in one.bytes.iter().enumerate() {
                let to = two.bytes.get(index).copied().or(last);
                if let (Some(place), Some(to)) = (map.get_mut(usize::from(*byte)), to) {
                    *place = to;
                }
            }
        }
        squeezed = table(&two.bytes);
    } else if squeeze {
        squeezed = table(&one.bytes);
    }
    let deleted = if delete { table(&one.bytes) } else { [false; 256] };
    let mut input = crate::base::stdin()?;
    let mut buffer = vec![0; CHUNK];
    let mut out = Bytes::with_capacity(CHUNK);
    let mut before = None;
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return tool.done(),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tool.complain(&format!("read error: {}", crate::base::reason(&error)));
                return tool.done();
            }
        };
        out.clear();
        for byte in part(&buffer, 0, count) {
            let is = |set: &[bool; 256], byte: u8| set.get(usize::from(byte)).is_some_and(|own| *own);
            if delete && is(&deleted, *byte) {
                continue;
            }
            let byte = map.get(usize::from(*byte)).copied().unwrap_or(*byte);
            if squeeze {
                if before == Some(byte) && is(&squeezed, byte) {
                    continue;
                }
                before = Some(byte);
            }
            out.push(byte);
        }
        tool.put(&out)?;
    }
}
