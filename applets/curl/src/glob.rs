//! URL globbing: `{a,b}`, `[1-5]`, `[001-100:10]`, `[a-z:2]`.

/// Most URLs one pattern may stand for.
const MAX: u64 = 1 << 40;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Fixed(String),
    Set(Vec<String>),
    Letters { first: u8, step: u64, count: u64 },
    Numbers { first: u64, step: u64, width: usize, count: u64 },
}

impl Piece {
    fn count(&self) -> u64 {
        match self {
            Piece::Fixed(_) => 1,
            Piece::Set(words) => u64::try_from(words.len()).unwrap_or(u64::MAX),
            Piece::Letters { count, .. } | Piece::Numbers { count, .. } => *count,
        }
    }

    fn at(&self, index: u64) -> String {
        match self {
            Piece::Fixed(text) => text.clone(),
            Piece::Set(words) => {
                usize::try_from(index).ok().and_then(|index| words.get(index)).cloned().unwrap_or_default()
            }
            Piece::Letters { first, step, .. } => {
                let value = u64::from(*first) + index * step;
                u8::try_from(value).map(|byte| char::from(byte).to_string()).unwrap_or_default()
            }
            Piece::Numbers { first, step, width, .. } => format!("{:0width$}", first + index * step),
        }
    }
}

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    pieces: Vec<Piece>,
}

/// One URL of a pattern, and what each of its brackets stood for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) url: String,
    pub(crate) parts: Vec<String>,
}

impl Glob {
    /// A text that stands for itself.
    pub(crate) fn literal(text: &str) -> Glob {
        Glob { pieces: vec![Piece::Fixed(text.to_owned())] }
    }

    /// Reads a pattern; the error tells what is wrong and at which column.
    pub(crate) fn parse(text: &str) -> Result<Glob, String> {
        let wrong = |what: &str, at: usize| {
            format!("{what} in URL position {at}:\n{text}\n{}^", " ".repeat(at.saturating_sub(1)))
        };
        let mut pieces = Vec::new();
        let mut fixed = String::new();
        let mut rest = text;
        let place = |rest: &str| text.len() - rest.len() + 1;
        while let Some(c) = rest.chars().next() {
            let after = rest.get(c.len_utf8()..).unwrap_or("");
            match c {
                '\\' if after.starts_with(['{', '}', '[', ']']) => {
                    fixed.push_str(after.get(..1).unwrap_or(""));
                    rest = after.get(1..).unwrap_or("");
                }
                '{' => {
                    pieces.push(Piece::Fixed(std::mem::take(&mut fixed)));
                    let (words, behind) = set(after).map_err(|what| wrong(what, place(rest)))?;
                    pieces.push(Piece::Set(words));
                    rest = behind;
                }
                '[' => match after.split_once(']') {
                    // An IPv6 address is no range.
                    Some((inner, _)) if is_ipv6(inner) => {
                        let length = inner.len() + 2;
                        fixed.push_str(rest.get(..length).unwrap_or(""));
                        rest = rest.get(length..).unwrap_or("");
                    }
                    // `[]` stands for itself.
                    Some(("", behind)) => {
                        fixed.push_str("[]");
                        rest = behind;
                    }
                    Some((inner, behind)) => {
                        pieces.push(Piece::Fixed(std::mem::take(&mut fixed)));
                        pieces.push(range(inner).ok_or_else(|| wrong("bad range", place(after) + read_so_far(after)))?);
                        rest = behind;
                    }
                    None => return Err(wrong("bad range", place(after) + read_so_far(after))),
                },
                '}' | ']' => return Err(wrong("unmatched close brace/bracket", place(rest))),
                c => {
                    fixed.push(c);
                    rest = after;
                }
            }
        }
        pieces.push(Piece::Fixed(fixed));
        let glob = Glob { pieces };
        let total = glob.pieces.iter().try_fold(1u64, |total, piece| total.checked_mul(piece.count()));
        if total.is_none_or(|total| total > MAX) {
            return Err(wrong("range overflow", 1));
        }
        Ok(glob)
    }

    /// How many URLs it stands for.
    pub(crate) fn count(&self) -> u64 {
        self.pieces.iter().map(Piece::count).product()
    }

    /// The URL of that number; the last bracket turns fastest.
    pub(crate) fn at(&self, mut index: u64) -> Match {
        let mut texts = Vec::new();
        for piece in self.pieces.iter().rev() {
            let count = piece.count().max(1);
            texts.push((piece.at(index % count), !matches!(piece, Piece::Fixed(_))));
            index /= count;
        }
        texts.reverse();
        Match {
            url: texts.iter().map(|(text, _)| text.as_str()).collect(),
            parts: texts.into_iter().filter(|(_, pattern)| *pattern).map(|(text, _)| text).collect(),
        }
    }
}

fn is_ipv6(inner: &str) -> bool {
    let address = inner.split('%').next().unwrap_or("");
    address.contains(':') && address.parse::<std::net::Ipv6Addr>().is_ok()
}

fn set(text: &str) -> Result<(Vec<String>, &str), &'static str> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => word.extend(chars.next().map(|(_, c)| c)),
            ',' => words.push(std::mem::take(&mut word)),
            '}' => {
                if words.is_empty() && word.is_empty() {
                    return Err("empty string within braces");
                }
                words.push(word);
                return Ok((words, text.get(at + 1..).unwrap_or("")));
            }
            '{' | '[' => return Err("nested brace"),
            ']' => return Err("unexpected close bracket"),
            c => word.push(c),
        }
    }
    Err("unmatched brace")
}

fn range(inner: &str) -> Option<Piece> {
    let (span, step) = match inner.split_once(':') {
        Some((span, step)) => (span, step.parse::<u64>().ok().filter(|step| *step > 0)?),
        None => (inner, 1),
    };
    let (first, last) = span.split_once('-')?;
    if let ([first], [last]) = (first.as_bytes(), last.as_bytes())
        && first.is_ascii_alphabetic()
        && last.is_ascii_alphabetic()
    {
        let distance = u64::from(last.checked_sub(*first)?);
        return fits(step, distance).then_some(Piece::Letters { first: *first, step, count: distance / step + 1 });
    }
    if !first.bytes().all(|b| b.is_ascii_digit()) || !last.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let width = if first.starts_with('0') { first.len() } else { 0 };
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let distance = last.checked_sub(first)?;
    (width <= 64 && fits(step, distance)).then_some(Piece::Numbers {
        first,
        step,
        width,
        count: distance.checked_div(step)?.checked_add(1)?,
    })
}

/// How many bytes of a bad range of numbers curl has read before it gives up; its message points there.
fn read_so_far(text: &str) -> usize {
    let digits = |from: usize| text.bytes().skip(from).take_while(u8::is_ascii_digit).count();
    let next = |at: usize| text.as_bytes().get(at).copied();
    let first = digits(0);
    if first == 0 || next(first) != Some(b'-') {
        return 0;
    }
    let last = digits(first + 1);
    let mut at = first + 1 + last;
    if last == 0 {
        return first + 1;
    }
    let mut read = first + 1;
    if next(at) == Some(b':') {
        read = at + 1;
        at += 1 + digits(at + 1);
    }
    if next(at) == Some(b']') { at + 1 } else { read }
}

/// A step leads from the first to the last at most.
fn fits(step: u64, distance: u64) -> bool {
    if distance == 0 { step == 1 } else { step <= distance }
}

/// An output name in which `#1` stands for what the first bracket stood for.
pub(crate) fn substitute(name: &str, parts: &[String]) -> String {
    let mut out = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('#') {
        out.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let number: Option<usize> = after.get(..digits).and_then(|digits| digits.parse().ok());
        match number.and_then(|number| parts.get(number.checked_sub(1)?)) {
            Some(part) => {
                out.push_str(part);
                rest = after.get(digits..).unwrap_or("");
            }
            None => {
                out.push('#');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_pattern(text in "([a-c]|[\\[\\]{},:-]|[0-9]{1,3}|\\\\|é){0,16}") {
            if let Ok(glob) = Glob::parse(&text) {
                let count = glob.count();
                prop_assert!(count <= MAX);
                for index in (0..count.min(50)).chain(count.checked_sub(1)) {
                    let found = glob.at(index);
                    prop_assert!(found.url.len() <= 8 * text.len());
                    substitute("#1#2#9#", &found.parts);
                }
            }
        }
    }

    fn all(text: &str) -> Vec<String> {
        let glob = Glob::parse(text).unwrap();
        (0..glob.count()).map(|index| glob.at(index).url).collect()
    }

    #[test]
    fn patterns() {
        assert_eq!(all("a{b,c}[1-2]"), ["ab1", "ab2", "ac1", "ac2"]);
        assert_eq!(all("[08-10]"), ["08", "09", "10"]);
        assert_eq!(all("[a-e:2]"), ["a", "c", "e"]);
        assert_eq!(all("http://[::1]/[1-1]"), ["http://[::1]/1"]);
        assert_eq!(all("\\{a\\}"), ["{a}"]);
        for bad in ["{a", "[1-", "a}", "[b-a]", "[1-99999999999999999]", "{}", "[x]", "[1-2:0]"] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(substitute("x#1-#2#3", &["a".into(), "b".into()]), "xa-b#3");
    }
}
