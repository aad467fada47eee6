//! sort and uniq (POSIX.1-2017; coreutils 9.1 in the C locale). sort holds its whole input in memory.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufWriter, Read, Write};

use netkit_core::{Ctx, Error, Exit};

use crate::base::{Bytes, CHUNK, Outcome, Tool, after, at, lossy, number, part, path, wanted, wrong};

/// How a key is compared.
#[derive(Clone, Copy, Default)]
struct Order {
    /// `n g h M V R`, or 0 for bytes.
    kind: u8,
    reverse: bool,
    fold: bool,
    dictionary: bool,
    printable: bool,
    /// Blanks before the start and before the end do not count.
    blanks: (bool, bool),
    given: bool,
}

impl Order {
    fn set(&mut self, letter: u8, end: bool) -> bool {
        self.given = true;
        match letter {
            b'b' if end => self.blanks.1 = true,
            b'b' => self.blanks.0 = true,
            b'd' => self.dictionary = true,
            b'f' => self.fold = true,
            b'i' => self.printable = true,
            b'r' => self.reverse = true,
            b'n' | b'g' | b'h' | b'M' | b'V' | b'R' => self.kind = letter,
            _ => return false,
        }
        true
    }
}

/// A key: fields and characters counted from 0; `end.0` is `MAX` for the end of the line.
#[derive(Clone, Copy)]
struct Key {
    start: (usize, usize),
    end: (usize, usize),
    order: Order,
}

struct Sort {
    keys: Vec<Key>,
    order: Order,
    separator: Option<u8>,
    /// Lines that compare equal keep their order.
    stable: bool,
    unique: bool,
    seed: u64,
}

fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

impl Sort {
    /// The bytes of a key in a line.
    fn piece<'a>(&self, line: &'a [u8], key: &Key) -> &'a [u8] {
        let skip = |from: usize, wanted: bool| {
            from + after(line, from).iter().take_while(|byte| blank(**byte) == wanted).count()
        };
        let to_separator =
            |from: usize, sign: u8| from + after(line, from).iter().take_while(|byte| **byte != sign).count();
        let mut start = 0;
        for _ in 0..key.start.0 {
            if start >= line.len() {
                break;
            }
            start = match self.separator {
                Some(sign) => (to_separator(start, sign) + 1).min(line.len()),
                None => skip(skip(start, true), false),
            };
        }
        if key.order.blanks.0 {
            start = skip(start, true);
        }
        start = start.saturating_add(key.start.1).min(line.len());
        if key.end.0 == usize::MAX {
            return after(line, start);
        }
        let (mut fields, chars) = key.end;
        if chars == 0 {
            fields = fields.saturating_add(1);
        }
        let mut end = 0;
        while end < line.len() && fields > 0 {
            fields -= 1;
            match self.separator {
                Some(sign) => {
                    end = to_separator(end, sign);
                    if end < line.len() && (fields > 0 || chars > 0) {
                        end += 1;
                    }
                }
                None => end = skip(skip(end, true), false),
            }
        }
        if chars > 0 {
            if key.order.blanks.1 {
                end = skip(end, true);
            }
            end = end.saturating_add(chars).min(line.len());
        }
        part(line, start, end.max(start))
    }

    fn compare_keys(&self, a: &[u8], b: &[u8]) -> Ordering {
        if self.keys.is_empty() {
            return if self.order.given { self.compare_as(a, b, &self.order) } else { Ordering::Equal };
        }
        for key in &self.keys {
            let order = self.compare_as(self.piece(a, key), self.piece(b, key), &key.order);
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }

    fn compare_as(&self, a: &[u8], b: &[u8], order: &Order) -> Ordering {
        let result = match order.kind {
            b'n' => compare_numbers(a, b),
            b'g' => {
                let (a, b) = (general(a), general(b));
                let rank = |value: Option<f64>| value.map_or(0, |value| if value.is_nan() { 1 } else { 2 });
                rank(a).cmp(&rank(b)).then(a.unwrap_or(0.0).partial_cmp(&b.unwrap_or(0.0)).unwrap_or(Ordering::Equal))
            }
            b'h' => {
                let (first, second) = (unit_order(a), unit_order(b));
                first.cmp(&second).then_with(|| compare_numbers(a, b))
            }
            b'M' => month(a).cmp(&month(b)),
            b'V' => versions(a, b),
            b'R' => self.hash(a).cmp(&self.hash(b)).then_with(|| a.cmp(b)),
            _ => {
                let keep = |byte: &u8| {
                    !(order.dictionary && !byte.is_ascii_alphanumeric() && !blank(*byte)
                        || order.printable && !(32..127).contains(byte))
                };
                let change = |byte: &u8| if order.fold { byte.to_ascii_uppercase() } else { *byte };
                let skip = if order.blanks.0 && self.keys.is_empty() {
                    |text: &[u8]| text.iter().take_while(|byte| blank(**byte)).count()
                } else {
                    |_: &[u8]| 0
                };
                let (a, b) = (after(a, skip(a)), after(b, skip(b)));
                if order.fold || order.dictionary || order.printable {
                    a.iter().filter(|byte| keep(byte)).map(change).cmp(b.iter().filter(|byte| keep(byte)).map(change))
                } else {
                    a.cmp(b)
                }
            }
        };
        if order.reverse { result.reverse() } else { result }
    }

    fn hash(&self, text: &[u8]) -> u64 {
        text.iter()
            .fold(self.seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23))
    }

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        let order = self.compare_keys(a, b);
        if order != Ordering::Equal || self.stable || self.unique && (self.order.given || !self.keys.is_empty()) {
            return order;
        }
        let order = a.cmp(b);
        if self.order.reverse { order.reverse() } else { order }
    }
}

/// Sign, digits before and behind the point, without zeros that say nothing.
fn decimal(text: &[u8]) -> (bool, &[u8], &[u8], usize) {
    let start = text.iter().take_while(|byte| blank(**byte)).count();
    let negative = at(text, start) == b'-';
    let start = start + usize::from(negative);
    let digits = |from: usize| after(text, from).iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(start);
    let mut end = start + whole;
    let zeros = part(text, start, end).iter().take_while(|byte| **byte == b'0').count();
    let whole = part(text, start + zeros, end);
    let mut fraction: &[u8] = b"";
    if at(text, end) == b'.' {
        let count = digits(end + 1);
        fraction = part(text, end + 1, end + 1 + count);
        end += 1 + count;
        let used = fraction.iter().rposition(|byte| *byte != b'0').map_or(0, |last| last + 1);
        fraction = part(fraction, 0, used);
    }
    (negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction, end)
}

fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let ((a_negative, a_whole, a_fraction, _), (b_negative, b_whole, b_fraction, _)) = (decimal(a), decimal(b));
    if a_negative != b_negative {
        return b_negative.cmp(&a_negative);
    }
    let order = a_whole.len().cmp(&b_whole.len()).then(a_whole.cmp(b_whole)).then(a_fraction.cmp(b_fraction));
    if a_negative { order.reverse() } else { order }
}

/// The power of the unit behind a number, negative for negative numbers.
fn unit_order(text: &[u8]) -> i32 {
    let (negative, whole, fraction, end) = decimal(text);
    if whole.is_empty() && fraction.is_empty() {
        return 0;
    }
    let letter = at(text, end);
    let power = if letter == b'k' { Some(0) } else { b"KMGTPEZY".iter().position(|own| *own == letter) };
    let power = power.and_then(|power| i32::try_from(power).ok()).map_or(0, |power| power + 1);
    if negative { -power } else { power }
}

fn general(text: &[u8]) -> Option<f64> {
    let start = text.iter().take_while(|byte| blank(**byte)).count();
    let text = after(text, start);
    let mut end = text.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E')).count();
    if let Some(word) = text.get(..3).or(text.get(..4)).map(<[u8]>::to_ascii_lowercase)
        && (word.starts_with(b"nan") || word.starts_with(b"inf"))
    {
        end = 3;
    }
    if text.starts_with(b"-inf") {
        end = 4;
    }
    // The longest part that is a number.
    (1..=end).rev().find_map(|end| std::str::from_utf8(part(text, 0, end)).ok()?.parse().ok())
}

fn month(text: &[u8]) -> usize {
    let start = text.iter().take_while(|byte| blank(**byte)).count();
    let name = part(text, start, start + 3).to_ascii_uppercase();
    b"JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC".chunks(3).position(|own| own == name).map_or(0, |index| index + 1)
}

/// Versions as Debian and coreutils order them: runs of other characters, then numbers, `~` before the end.
pub(crate) fn versions(a: &[u8], b: &[u8]) -> Ordering {
    let rank = |name: &[u8]| match name {
        b"" => 0,
        b"." => 1,
        b".." => 2,
        _ if at(name, 0) == b'.' => 3,
        _ => 4,
    };
    let order = rank(a).cmp(&rank(b));
    if order != Ordering::Equal {
        return order;
    }
    let (a_stem, b_stem) = (stem(a), stem(b));
    version_parts(a_stem, b_stem).then_with(|| version_parts(a, b)).then_with(|| a.cmp(b))
}

/// A name without what looks like file suffixes: `(\.[A-Za-z~][A-Za-z0-9~]*)*$`.
fn stem(name: &[u8]) -> &[u8] {
    let mut end = name.len();
    loop {
        let Some(dot) = part(name, 0, end).iter().rposition(|byte| *byte == b'.') else { return part(name, 0, end) };
        let suffix = part(name, dot + 1, end);
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'~';
        if dot == 0 || suffix.is_empty() || at(suffix, 0).is_ascii_digit() || !suffix.iter().all(good) {
            return part(name, 0, end);
        }
        end = dot;
    }
}

fn version_parts(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let digit = |text: &[u8], index: usize| at(text, index).is_ascii_digit();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        while i < a.len() && !digit(a, i) || j < b.len() && !digit(b, j) {
            let order = weight(a.get(i)).cmp(&weight(b.get(j)));
            if order != Ordering::Equal {
                return order;
            }
            i += 1;
            j += 1;
        }
        while at(a, i) == b'0' {
            i += 1;
        }
        while at(b, j) == b'0' {
            j += 1;
        }
        let (start, begin) = (i, j);
        while digit(a, i) {
            i += 1;
        }
        while digit(b, j) {
            j += 1;
        }
        let (x, y) = (part(a, start, i), part(b, begin, j));
        let order = x.len().cmp(&y.len()).then(x.cmp(y));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// `F[.C][OPTS][,F[.C][OPTS]]`.
fn parse_key(text: &[u8]) -> Result<Key, Error> {
    let bad = |what: &str| Error::new(Exit(2), format!("{what}: invalid field specification '{}'", lossy(text)));
    let mut from = 0;
    let mut count = |what: &str| {
        let digits = after(text, from).iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value = number(part(text, from, from + digits)).ok_or_else(|| {
            Error::new(Exit(2), format!("{what}: invalid count at start of '{}'", lossy(after(text, from))))
        });
        from += digits;
        value.map(|value| usize::try_from(value).unwrap_or(usize::MAX - 2))
    };
    let mut key = Key { start: (0, 0), end: (usize::MAX, 0), order: Order::default() };
    key.start.0 = count("invalid number at field start")?.checked_sub(1).ok_or_else(|| bad("field number is zero"))?;
    let mut place = from;
    if at(text, place) == b'.' {
        from = place + 1;
        let mut count = |what: &str| {
            let digits = after(text, from).iter().take_while(|byte| byte.is_ascii_digit()).count();
            let value = number(part(text, from, from + digits)).ok_or_else(|| bad(what));
            from += digits;
            value.map(|value| usize::try_from(value).unwrap_or(usize::MAX - 2))
        };
        key.start.1 =
            count("invalid number after '.'")?.checked_sub(1).ok_or_else(|| bad("character offset is zero"))?;
        place = from;
    }
    while key.order.set(at(text, place), false) {
        place += 1;
    }
    if at(text, place) == b',' {
        let digits = after(text, place + 1).iter().take_while(|byte| byte.is_ascii_digit()).count();
        let field = number(part(text, place + 1, place + 1 + digits)).ok_or_else(|| bad("invalid number after ','"))?;
        key.end.0 = usize::try_from(field).unwrap_or(1).checked_sub(1).ok_or_else(|| bad("field number is zero"))?;
        place += 1 + digits;
        if at(text, place) == b'.' {
            let digits = after(text, place + 1).iter().take_while(|byte| byte.is_ascii_digit()).count();
            let chars =
                number(part(text, place + 1, place + 1 + digits)).ok_or_else(|| bad("invalid number after '.'"))?;
            key.end.1 = usize::try_from(chars).unwrap_or(0);
            place += 1 + digits;
        }
        while key.order.set(at(text, place), true) {
            place += 1;
        }
    }
    // `set` marks an order as given also for the letter that it refused.
    key.order.given = after(text, 0).iter().any(u8::is_ascii_alphabetic);
    if place < text.len() {
        return Err(bad("stray character in field spec"));
    }
    Ok(key)
}

pub(crate) fn sort(ctx: &mut Ctx) -> Outcome {
    let spec = "b.ignore-leading-blanks d.dictionary-order f.ignore-case g.general-numeric-sort \
                h.human-numeric-sort i.ignore-nonprinting M.month-sort n.numeric-sort R.random-sort r.reverse \
                V.version-sort c?check C m.merge k:key o:output s.stable S:buffer-size t:field-separator \
                T:temporary-directory u.unique z.zero-terminated _p:parallel _w:sort";
    let list = crate::base::words(ctx)
        .into_iter()
        // -c takes no value when it is short.
        .map(|word| if word == b"-c" { b"--check".to_vec() } else { word })
        .collect();
    let mut tool = Tool::with(ctx, list, spec, 2)?;
    let end = if tool.has(b'z') { 0 } else { b'\n' };
    let mut order = Order::default();
    for (id, _) in &tool.opts.seen {
        if b"bdfghiMnRrV".contains(id) {
            order.set(*id, false);
        }
    }
    if let Some(word) = tool.opts.value(b'w') {
        let known: [(&[u8], u8); 6] = [
            (b"numeric", b'n'),
            (b"general-numeric", b'g'),
            (b"human-numeric", b'h'),
            (b"month", b'M'),
            (b"version", b'V'),
            (b"random", b'R'),
        ];
        let kind = known.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind);
        order.set(wanted(kind, "argument for '--sort'", word, 2)?, false);
    }
    order.blanks.1 = order.blanks.0;
    let separator = match tool.opts.value(b't') {
        None => None,
        Some(b"\\0") => Some(0),
        Some([one]) => Some(*one),
        Some(b"") => return wrong(2, "empty tab"),
        Some(text) => return wrong(2, &format!("multi-character tab '{}'", lossy(text))),
    };
    let mut keys = Vec::new();
    for text in tool.opts.values(b'k') {
        let mut key = parse_key(text)?;
        if !key.order.given {
            key.order = order;
        }
        keys.push(key);
    }
    let seed =
        tool.ctx.clock.now().duration_since(std::time::UNIX_EPOCH).map_or(1, |time| u64::from(time.subsec_nanos()));
    // -r alone orders nothing by itself: it turns the last comparison round.
    let only_reverse = !tool.opts.seen.iter().any(|(id, _)| b"bdfghiMnRV w".contains(id));
    order.given = order.given && !only_reverse;
    let sort = Sort { keys, order, separator, stable: tool.has(b's'), unique: tool.has(b'u'), seed };
    let check = tool.opts.last(b"cC");
    let quiet = check == b'C' || tool.opts.value(b'c').is_some_and(|value| matches!(value, b"quiet" | b"silent"));
    let output = tool.opts.value(b'o').map(<[u8]>::to_vec);
    let names = tool.inputs();
    if check != 0 && names.len() > 1 {
        return wrong(
            2,
            &format!("extra operand '{}' not allowed with -c", names.get(1).map_or(String::new(), |n| lossy(n))),
        );
    }
    let mut text = Bytes::new();
    for name in &names {
        let mut input = match crate::base::open(name) {
            Ok(input) => input,
            Err(error) => return wrong(2, &format!("cannot read: {}: {}", lossy(name), crate::base::reason(&error))),
        };
        if let Err(error) = input.read_to_end(&mut text) {
            return wrong(2, &format!("read failed: {}: {}", lossy(name), crate::base::reason(&error)));
        }
        if text.last().is_some_and(|last| *last != end) {
            text.push(end);
        }
    }
    let mut lines = Vec::new();
    let mut from = 0;
    while let Some(length) = after(&text, from).iter().position(|byte| *byte == end) {
        lines.push((from, from + length));
        from += length + 1;
    }
    let line = |(from, to): &(usize, usize)| part(&text, *from, *to);
    if check != 0 {
        let fine = |order: Ordering| if sort.unique { order == Ordering::Less } else { order != Ordering::Greater };
        let wrong_at = lines.windows(2).position(|pair| match pair {
            [a, b] => !fine(sort.compare(line(a), line(b))),
            _ => false,
        });
        let Some(index) = wrong_at else { return tool.done() };
        if !quiet {
            let name = names.first().map_or(String::new(), |name| lossy(name));
            let text = lines.get(index + 1).map_or(&b""[..], line);
            tool.complain(&format!("{name}:{}: disorder: {}", index + 2, lossy(text)));
        }
        return Ok(Exit(1));
    }
    lines.sort_by(|a, b| sort.compare(line(a), line(b)));
    if sort.unique {
        lines.dedup_by(|b, a| sort.compare(line(a), line(b)) == Ordering::Equal);
    }
    let mut file;
    let out: &mut dyn Write = match output {
        None => &mut tool.ctx.stdout,
        Some(name) => match File::create(path(&name)) {
            Ok(created) => {
                file = BufWriter::with_capacity(CHUNK, created);
                &mut file
            }
            Err(error) => return wrong(2, &format!("open failed: {}: {}", lossy(&name), crate::base::reason(&error))),
        },
    };
    for (from, to) in &lines {
        out.write_all(part(&text, *from, *to + 1))?;
    }
    out.flush()?;
    tool.done()
}

pub(crate) fn uniq(ctx: &mut Ctx) -> Outcome {
    let spec = "c.count d.repeated D _a?all-repeated f:skip-fields i.ignore-case s:skip-chars u.unique w:check-chars \
                z.zero-terminated";
    let mut tool = Tool::new(ctx, spec, 1)?;
    let end = if tool.has(b'z') { 0 } else { b'\n' };
    let count = |id: u8, other: usize| -> Result<usize, Error> {
        let Some(text) = tool.opts.value(id) else { return Ok(other) };
        let what = match id {
            b'f' => "invalid number of fields to skip",
            b's' => "invalid number of bytes to skip",
            _ => "invalid number of bytes to compare",
        };
        let value = number(text).ok_or_else(|| Error::new(Exit(1), format!("{}: {what}", lossy(text))))?;
        Ok(usize::try_from(value).unwrap_or(usize::MAX))
    };
    let (fields, chars, width) = (count(b'f', 0)?, count(b's', 0)?, count(b'w', usize::MAX)?);
    let (counts, repeated, unique, fold) = (tool.has(b'c'), tool.has(b'd'), tool.has(b'u'), tool.has(b'i'));
    let all = tool.opts.last(b"Da") != 0;
    if counts && all {
        return wrong(1, "printing all duplicated lines and repeat counts is meaningless");
    }
    let mut names = std::mem::take(&mut tool.opts.rest).into_iter();
    let input_name = names.next().unwrap_or_else(|| b"-".to_vec());
    let output_name = names.next().filter(|name| name != b"-");
    if let Some(extra) = names.next() {
        return wrong(1, &format!("extra operand '{}'", lossy(&extra)));
    }
    let Some(mut input) = tool.open(&input_name) else { return tool.done() };
    if let Some(name) = output_name {
        match File::create(path(&name)) {
            Ok(file) => tool.ctx.stdout = Box::new(BufWriter::new(file)),
            Err(error) => {
                tool.fail(&name, &error);
                return tool.done();
            }
        }
    }
    let key = |line: &[u8]| -> Bytes {
        let mut from = 0;
        let line = line.strip_suffix(&[end]).unwrap_or(line);
        for _ in 0..fields {
            if from >= line.len() {
                break;
            }
            from += after(line, from).iter().take_while(|byte| blank(**byte)).count();
            from += after(line, from).iter().take_while(|byte| !blank(**byte)).count();
        }
        let from = from.saturating_add(chars).min(line.len());
        let mut key = part(line, from, from.saturating_add(width)).to_vec();
        if fold {
            key.make_ascii_lowercase();
        }
        key
    };
    let mut held = Bytes::new();
    if !tool.line(&mut input, &input_name, end, &mut held) {
        return tool.done();
    }
    let mut held_key = key(&held);
    let mut times = 1u64;
    let mut next = Bytes::new();
    loop {
        let more = tool.line(&mut input, &input_name, end, &mut next);
        let next_key = if more { key(&next) } else { Bytes::new() };
        let same = more && next_key == held_key;
        // With -D every line of a group is printed, otherwise the first.
        let last = !same;
        let wanted = if all { same || times > 1 } else { last && !(repeated && times == 1 || unique && times > 1) };
        if wanted && !(all && unique) {
            if held.last() != Some(&end) {
                held.push(end);
            }
            if counts {
                let text = format!("{times:7} ");
                tool.put(text.as_bytes())?;
            }
            tool.put(&held)?;
        }
        if !more {
            return tool.done();
        }
        if same {
            times += 1;
            if all {
                std::mem::swap(&mut held, &mut next);
            }
        } else {
            times = 1;
            std::mem::swap(&mut held, &mut next);
            held_key = next_key;
        }
    }
}
