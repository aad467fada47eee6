//! base64, sha256sum and its like, xxd (coreutils 9.1; xxd of vim 9.0).

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};

use md5::Md5;
use netkit_core::text::hex;
use netkit_core::{Ctx, Error};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::base::{Bytes, CHUNK, Outcome, Tool, after, at, lossy, number, open, part, path, wanted, wrong};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn base64(ctx: &mut Ctx) -> Outcome {
    let mut tool = Tool::new(ctx, "d.decode D i.ignore-garbage w:wrap", 1)?;
    if let Some(extra) = tool.opts.rest.get(1) {
        return wrong(1, &format!("extra operand '{}'", lossy(extra)));
    }
    let mut wrap = 76;
    if let Some(text) = tool.opts.value(b'w') {
        wrap = usize::try_from(wanted(number(text), "wrap size", text, 1)?).unwrap_or(0);
    }
    let name = tool.inputs().pop().unwrap_or_default();
    let Some(mut input) = tool.open(&name) else { return tool.done() };
    if tool.opts.last(b"dD") != 0 {
        return decode(tool, &mut input, &name);
    }
    let mut buffer = vec![0; 3 << 14];
    let mut column = 0;
    loop {
        let mut have = 0;
        // Whole groups of three, except at the end.
        while have < buffer.len() {
            match input.read(buffer.get_mut(have..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tool.complain(&format!("read error: {}", crate::base::reason(&error)));
                    return tool.done();
                }
            }
        }
        if have == 0 {
            break;
        }
        let mut out = Bytes::with_capacity(have / 3 * 4 + 100);
        for group in part(&buffer, 0, have).chunks(3) {
            let value = (0..3).fold(0u32, |sum, index| sum << 8 | u32::from(at(group, index)));
            for index in 0..4 {
                let letter = at(ALPHABET, (value >> (18 - 6 * index) & 63) as usize);
                if wrap > 0 && column == wrap {
                    out.push(b'\n');
                    column = 0;
                }
                out.push(if index as usize > group.len() { b'=' } else { letter });
                column += 1;
            }
        }
        tool.put(&out)?;
    }
    if wrap > 0 && column > 0 {
        tool.put(b"\n")?;
    }
    tool.done()
}

fn decode(mut tool: Tool<'_>, input: &mut dyn BufRead, name: &[u8]) -> Outcome {
    let garbage = tool.has(b'i');
    let (mut value, mut digits, mut pads) = (0u32, 0, 0);
    loop {
        let mut out = Bytes::new();
        let mut bad = false;
        let used = match input.fill_buf() {
            Ok([]) => break,
            Ok(bytes) => {
                for byte in bytes {
                    let found = ALPHABET.iter().position(|own| own == byte);
                    match (found, byte) {
                        (Some(digit), _) if pads == 0 => {
                            value = value << 6 | u32::try_from(digit).unwrap_or(0);
                            digits += 1;
                            if digits == 4 {
                                out.extend_from_slice(after(&value.to_be_bytes(), 1));
                                (value, digits) = (0, 0);
                            }
                        }
                        (None, b'=') if digits + pads >= 2 && digits + pads < 4 && digits >= 2 => {
                            pads += 1;
                            if digits + pads == 4 {
                                let bytes = (value << (6 * pads)).to_be_bytes();
                                out.extend_from_slice(part(&bytes, 1, digits));
                                (value, digits, pads) = (0, 0, 0);
                            }
                        }
                        (_, b'\n') => {}
                        _ if garbage && found.is_none() && *byte != b'=' => {}
                        _ => {
                            bad = true;
                            break;
                        }
                    }
                }
                bytes.len()
            }
            Err(error) => {
                tool.fail(name, &error);
                return tool.done();
            }
        };
        input.consume(used);
        tool.put(&out)?;
        if bad {
            tool.complain("invalid input");
            return tool.done();
        }
    }
    if digits > 0 {
        // What was whole is given out before the complaint, as coreutils do.
        let bytes = (value << (6 * (4 - digits))).to_be_bytes();
        tool.put(part(&bytes, 1, digits))?;
        tool.complain("invalid input");
    }
    tool.done()
}

/// The sum of a stream, in hexadecimal.
fn digest(kind: &str, input: &mut dyn Read) -> io::Result<String> {
    let mut buffer = vec![0; CHUNK];
    let mut pump = |update: &mut dyn FnMut(&[u8])| -> io::Result<()> {
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => update(part(&buffer, 0, count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    };
    Ok(match kind {
        "md5sum" => {
            let mut state = Md5::new();
            pump(&mut |bytes| state.update(bytes))?;
            hex(&state.finalize())
        }
        "sha1sum" => {
            let mut state = Sha1::new();
            pump(&mut |bytes| state.update(bytes))?;
            hex(&state.finalize())
        }
        "sha512sum" => {
            let mut state = Sha512::new();
            pump(&mut |bytes| state.update(bytes))?;
            hex(&state.finalize())
        }
        _ => {
            let mut state = Sha256::new();
            pump(&mut |bytes| state.update(bytes))?;
            hex(&state.finalize())
        }
    })
}

/// Digits of each sum and its name in --tag lines.
fn properties(kind: &str) -> (usize, &'static str) {
    match kind {
        "md5sum" => (32, "MD5"),
        "sha1sum" => (40, "SHA1"),
        "sha512sum" => (128, "SHA512"),
        _ => (64, "SHA256"),
    }
}

pub(crate) fn sum(ctx: &mut Ctx) -> Outcome {
    let kind = ctx.name.clone();
    let spec = "b.binary c.check t.text w.warn z.zero _1.tag _2.quiet _3.status _4.strict _5.ignore-missing";
    let mut tool = Tool::new(ctx, spec, 1)?;
    let names = tool.inputs();
    if tool.has(b'c') {
        for name in names {
            check(&mut tool, &kind, &name)?;
        }
        return tool.done();
    }
    let (_, title) = properties(&kind);
    for name in names {
        let result = open(&name).and_then(|mut input| digest(&kind, input.get_mut()));
        let digits = match result {
            Ok(digits) => digits,
            Err(error) => {
                tool.fail(&name, &error);
                continue;
            }
        };
        let mut shown = name.clone();
        let mut mark: &[u8] = b"";
        if !tool.has(b'z') && name.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r')) {
            mark = b"\\";
            shown.clear();
            for byte in &name {
                match byte {
                    b'\\' => shown.extend_from_slice(b"\\\\"),
                    b'\n' => shown.extend_from_slice(b"\\n"),
                    b'\r' => shown.extend_from_slice(b"\\r"),
                    other => shown.push(*other),
                }
            }
        }
        let end: &[u8] = if tool.has(b'z') { b"\0" } else { b"\n" };
        let line = if tool.has(b'1') {
            [mark, title.as_bytes(), b" (", &shown, b") = ", digits.as_bytes(), end].concat()
        } else {
            let sign: &[u8] = if tool.opts.last(b"bt") == b'b' { b" *" } else { b"  " };
            [mark, digits.as_bytes(), sign, &shown, end].concat()
        };
        tool.put(&line)?;
    }
    tool.done()
}

/// A line of a list: the sum and the name.
fn entry(line: &[u8], kind: &str) -> Option<(String, Bytes)> {
    let (length, title) = properties(kind);
    let escaped = line.starts_with(b"\\");
    let line = if escaped { after(line, 1) } else { line };
    let (digits, name) = match line.strip_prefix(title.as_bytes()).and_then(|rest| rest.strip_prefix(b" (")) {
        Some(rest) => {
            let close = rest.windows(4).rposition(|window| window == b") = ")?;
            (after(rest, close + 4), part(rest, 0, close))
        }
        None => {
            let digits = part(line, 0, length);
            let rest = after(line, length);
            if at(rest, 0) != b' ' || !matches!(at(rest, 1), b' ' | b'*') {
                return None;
            }
            (digits, after(rest, 2))
        }
    };
    if digits.len() != length || !digits.iter().all(u8::is_ascii_hexdigit) || name.is_empty() {
        return None;
    }
    let mut name = name.to_vec();
    if escaped {
        let text = name.clone();
        name.clear();
        let mut bytes = text.into_iter();
        while let Some(byte) = bytes.next() {
            match (byte, byte == b'\\') {
                (_, true) => name.push(match bytes.next()? {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    other => other,
                }),
                _ => name.push(byte),
            }
        }
    }
    Some((lossy(digits).to_ascii_lowercase(), name))
}

fn check(tool: &mut Tool<'_>, kind: &str, list: &[u8]) -> Result<(), Error> {
    let Some(mut input) = tool.open(list) else { return Ok(()) };
    let (mut good, mut bad, mut missing, mut odd, mut seen) = (0u64, 0u64, 0u64, 0u64, 0u64);
    let mut line = Bytes::new();
    let status = tool.has(b'3');
    while tool.line(&mut input, list, b'\n', &mut line) {
        line.pop_if(|byte| *byte == b'\n');
        line.pop_if(|byte| *byte == b'\r');
        if line.starts_with(b"#") {
            continue;
        }
        let Some((wanted, name)) = entry(&line, kind) else {
            odd += 1;
            continue;
        };
        seen += 1;
        match open(&name).and_then(|mut input| digest(kind, input.get_mut())) {
            Ok(own) => {
                let same = own == wanted;
                if same {
                    good += 1
                } else {
                    bad += 1
                }
                if !status && !(same && tool.has(b'2')) {
                    let line = [name.as_slice(), if same { b": OK\n" } else { b": FAILED\n" }].concat();
                    tool.put(&line)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && tool.has(b'5') => {}
            Err(error) => {
                missing += 1;
                tool.fail(&name, &error);
                if !status {
                    let line = [name.as_slice(), b": FAILED open or read\n"].concat();
                    tool.put(&line)?;
                }
            }
        }
    }
    if seen == 0 {
        tool.complain(&format!("{}: no properly formatted checksum lines found", lossy(list)));
        return Ok(());
    }
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    let name = tool.ctx.name.clone();
    if !status {
        for (count, text) in [
            (odd, format!("{odd} line{} improperly formatted", if odd == 1 { " is" } else { "s are" })),
            (missing, format!("{missing} listed file{} could not be read", plural(missing))),
            (bad, format!("{bad} computed checksum{} did NOT match", plural(bad))),
        ] {
            if count > 0 {
                tool.ctx.say(&format!("{name}: WARNING: {text}"));
            }
        }
    }
    if tool.has(b'5') && good == 0 && bad == 0 {
        tool.complain(&format!("{}: no file was verified", lossy(list)));
    }
    if bad > 0 || missing > 0 || odd > 0 && tool.has(b'4') {
        tool.status = 1;
    }
    Ok(())
}

/// A number as xxd takes it: decimal, `0x` hexadecimal, `0` octal.
fn amount(text: &[u8]) -> Option<u64> {
    match text {
        [b'0', b'x' | b'X', rest @ ..] => u64::from_str_radix(std::str::from_utf8(rest).ok()?, 16).ok(),
        [b'0', rest @ ..] if !rest.is_empty() => crate::base::octal(rest).map(u64::from),
        _ => number(text),
    }
}

pub(crate) fn xxd(ctx: &mut Ctx) -> Outcome {
    // vim's xxd knows no long options of GNU's kind, but -ps and the like.
    let list = crate::base::words(ctx)
        .into_iter()
        .map(|word| match word.as_slice() {
            b"-ps" | b"-postscript" | b"-plain" => b"-p".to_vec(),
            b"-len" => b"-l".to_vec(),
            b"-cols" => b"-c".to_vec(),
            b"-revert" => b"-r".to_vec(),
            b"-seek" | b"-skip" => b"-s".to_vec(),
            _ => word,
        })
        .collect();
    let mut tool =
        Tool::with(ctx, list, "a b c:cols C d E e g:groupsize h i l:len n: o: p.plain,ps r.revert s:seek u v", 1)?;
    if tool.opts.last(b"CEhnv") != 0 {
        return wrong(1, "options -C, -E, -h, -n and -v are not offered");
    }
    let value = |id: u8| -> Result<Option<u64>, Error> {
        let Some(text) = tool.opts.value(id) else { return Ok(None) };
        wanted(amount(text), "number", text, 1).map(Some)
    };
    let seek_text = tool.opts.value(b's').unwrap_or(b"0").to_vec();
    let (plain, bits, include) = (tool.has(b'p'), tool.has(b'b'), tool.has(b'i'));
    let usual = if plain {
        30
    } else if include {
        12
    } else if bits {
        6
    } else {
        16
    };
    let columns = usize::try_from(value(b'c')?.unwrap_or(usual)).unwrap_or(0);
    let columns =
        if columns == 0 { if plain { usize::MAX } else { usize::try_from(usual).unwrap_or(16) } } else { columns };
    if !plain && columns > 256 {
        return wrong(1, "invalid number of columns (max. 256).");
    }
    let little = tool.has(b'e');
    let group = value(b'g')?.map(|group| usize::try_from(group).unwrap_or(0));
    let group = group.unwrap_or(if bits {
        1
    } else if little {
        4
    } else {
        2
    });
    let group = if group == 0 || group > columns { columns } else { group };
    let length = value(b'l')?;
    let offset = value(b'o')?.unwrap_or(0);
    let mut names = std::mem::take(&mut tool.opts.rest).into_iter();
    let name = names.next().unwrap_or_else(|| b"-".to_vec());
    let output = names.next().filter(|name| name != b"-");
    let mut input = match open(&name) {
        Ok(input) => input,
        Err(error) => {
            tool.fail(&name, &error);
            tool.status = 2;
            return tool.done();
        }
    };
    let revert = tool.has(b'r');
    if let Some(output) = output {
        match OpenOptions::new().write(true).create(true).truncate(!revert).open(path(&output)) {
            Ok(file) => tool.ctx.stdout = Box::new(io::BufWriter::new(file)),
            Err(error) => {
                tool.fail(&output, &error);
                tool.status = 3;
                return tool.done();
            }
        }
    }
    if revert {
        return back(tool, &mut input, plain);
    }
    let from_end = seek_text.starts_with(b"-");
    let digits = if from_end || seek_text.starts_with(b"+") { after(&seek_text, 1) } else { &seek_text };
    let skip = wanted(amount(digits), "number", &seek_text, 1)?;
    let mut place = skip;
    let file: &mut File = input.get_mut();
    if from_end {
        match file.seek(SeekFrom::End(-i64::try_from(skip).unwrap_or(i64::MAX))) {
            Ok(at) => place = at,
            Err(_) => return wrong(4, "Sorry, cannot seek."),
        }
    } else if skip > 0 && file.seek(SeekFrom::Start(skip)).is_err() {
        io::copy(&mut input.by_ref().take(skip), &mut io::sink())?;
    }
    let mut source = input.take(length.unwrap_or(u64::MAX));
    let upper = tool.has(b'u');
    let pair = |byte: u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
    let mut row = vec![0; if columns == usize::MAX { CHUNK } else { columns }];
    if include {
        return included(tool, &mut source, &name, columns, upper);
    }
    let mut zeros = 0u64;
    let mut held = Bytes::new();
    loop {
        let mut have = 0;
        while have < row.len() {
            match source.read(row.get_mut(have..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tool.fail(&name, &error);
                    tool.status = 2;
                    return tool.done();
                }
            }
        }
        if have == 0 {
            break;
        }
        let bytes = part(&row, 0, have);
        let mut line = Bytes::new();
        if plain {
            bytes.iter().for_each(|byte| line.extend_from_slice(pair(*byte).as_bytes()));
            if columns != usize::MAX {
                line.push(b'\n');
            }
            tool.put(&line)?;
            place += have as u64;
            continue;
        }
        let _ = if tool.has(b'd') {
            write!(line, "{:08}: ", place + offset)
        } else {
            write!(line, "{:08x}: ", place + offset)
        };
        let cell = if bits { 8 } else { 2 };
        for start in (0..columns).step_by(group) {
            let own = part(bytes, start, (start + group).min(columns));
            let width = group.min(columns - start);
            let empty = " ".repeat(cell * (width - own.len()));
            let text = |byte: &u8| if bits { format!("{byte:08b}") } else { pair(*byte) };
            if little {
                line.extend_from_slice(empty.as_bytes());
                own.iter().rev().for_each(|byte| line.extend_from_slice(text(byte).as_bytes()));
            } else {
                own.iter().for_each(|byte| line.extend_from_slice(text(byte).as_bytes()));
                line.extend_from_slice(empty.as_bytes());
            }
            line.push(b' ');
        }
        line.push(b' ');
        line.extend(bytes.iter().map(|byte| if (32..127).contains(byte) { *byte } else { b'.' }));
        line.push(b'\n');
        place += have as u64;
        // -a shows one line for many of zeros.
        if tool.has(b'a') && bytes.iter().all(|byte| *byte == 0) {
            zeros += 1;
            if zeros > 1 {
                held = line;
                continue;
            }
        } else {
            if zeros > 1 {
                let mark = if zeros > 2 { b"*\n".to_vec() } else { std::mem::take(&mut held) };
                tool.put(&mark)?;
            }
            zeros = 0;
        }
        tool.put(&line)?;
    }
    if zeros > 1 {
        if zeros > 2 {
            tool.put(b"*\n")?;
        }
        tool.put(&held)?;
    }
    if plain && columns == usize::MAX && place > skip {
        tool.put(b"\n")?;
    }
    tool.done()
}

/// `-i`: an array in C.
fn included(mut tool: Tool<'_>, source: &mut dyn Read, name: &[u8], columns: usize, upper: bool) -> Outcome {
    let mut bytes = Bytes::new();
    source.take(64 << 20).read_to_end(&mut bytes)?;
    let named = name != b"-";
    let mut symbol: String = lossy(name).chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if symbol.starts_with(|c: char| c.is_ascii_digit()) {
        symbol.insert_str(0, "__");
    }
    let mut out = if named { format!("unsigned char {symbol}[] = {{\n") } else { String::new() };
    let rows: Vec<String> = bytes
        .chunks(columns)
        .map(|row| {
            let cells: Vec<String> =
                row.iter().map(|byte| if upper { format!("0X{byte:02X}") } else { format!("0x{byte:02x}") }).collect();
            format!("  {}", cells.join(", "))
        })
        .collect();
    out.push_str(&rows.join(",\n"));
    if !rows.is_empty() {
        out.push('\n');
    }
    if named {
        out.push_str(&format!("}};\nunsigned int {symbol}_len = {};\n", bytes.len()));
    }
    tool.put(out.as_bytes())?;
    tool.done()
}

/// `-r`: text to bytes.
fn back(mut tool: Tool<'_>, input: &mut dyn BufRead, plain: bool) -> Outcome {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut place = 0u64;
    let mut line = Bytes::new();
    let mut held: Option<u32> = None;
    loop {
        line.clear();
        if input.take(1 << 16).read_until(b'\n', &mut line)? == 0 {
            return tool.done();
        }
        let mut out = Bytes::new();
        if plain {
            for byte in &line {
                match (digit(*byte), held) {
                    (Some(high), None) => held = Some(high),
                    (Some(low), Some(high)) => {
                        out.push(u8::try_from(high << 4 | low).unwrap_or(0));
                        held = None;
                    }
                    _ => {}
                }
            }
            tool.put(&out)?;
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let text = std::str::from_utf8(part(&line, 0, colon)).unwrap_or_default();
        let Ok(start) = u64::from_str_radix(text.trim(), 16) else { continue };
        if start < place {
            tool.complain("Sorry, cannot seek backwards.");
            tool.status = 5;
            return tool.done();
        }
        if start - place > 1 << 30 {
            return wrong(5, "an offset leaves a gap of more than 1 GiB");
        }
        let mut gap = start - place;
        while gap > 0 {
            let piece = usize::try_from(gap.min(1 << 16)).unwrap_or(0);
            tool.put(&vec![0; piece])?;
            gap -= piece as u64;
        }
        place = start;
        let mut from = colon + 1;
        loop {
            // Two blanks end the bytes.
            while at(&line, from) == b' ' && at(&line, from + 1) != b' ' {
                from += 1;
            }
            match (digit(at(&line, from)), digit(at(&line, from + 1))) {
                (Some(high), Some(low)) if out.len() < 256 => out.push(u8::try_from(high << 4 | low).unwrap_or(0)),
                _ => break,
            }
            from += 2;
        }
        place += out.len() as u64;
        tool.put(&out)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_nothing_and_of_abc() {
        let sum = |kind: &str, text: &str| digest(kind, &mut text.as_bytes()).unwrap();
        assert_eq!(sum("md5sum", ""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(sum("sha1sum", "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(sum("sha256sum", "abc").starts_with("ba7816bf8f01cfea"));
        assert!(sum("sha512sum", "abc").starts_with("ddaf35a193617aba"));
    }

    #[test]
    fn lines_of_lists() {
        let line = format!("{}  name", "a".repeat(32));
        assert_eq!(entry(line.as_bytes(), "md5sum").map(|(_, name)| name), Some(b"name".to_vec()));
        assert!(entry(b"short  name", "md5sum").is_none());
        let tagged = format!("MD5 (x y) = {}", "B".repeat(32));
        assert_eq!(entry(tagged.as_bytes(), "md5sum"), Some(("b".repeat(32), b"x y".to_vec())));
    }
}
