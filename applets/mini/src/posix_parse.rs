//! POSIX regular expressions: text to a tree (POSIX.1-2017, XBD 9.3 and 9.4).

use crate::base::{after, at, char_at, number, part};
use crate::posix::{Set, Syntax, class_named};

/// No upper bound of a repeat.
pub(crate) const ENDLESS: u32 = u32::MAX;
/// RE_DUP_MAX of GNU's regex.
const DUP_MAX: u64 = 32767;
const MAX_DEPTH: usize = 200;

/// A piece of a pattern.
pub(crate) enum Node {
    Char(u32),
    Any,
    Set(usize),
    Cat(Vec<Node>),
    Alt(Vec<Node>),
    Repeat(Box<Node>, u32, u32),
    Group(usize, Box<Node>),
    Assert(u8),
    Back(usize),
}

/// Reads a pattern.
pub(crate) struct Parser<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) at: usize,
    pub(crate) syntax: Syntax,
    pub(crate) sets: Vec<Set>,
    pub(crate) groups: usize,
    /// Groups that are closed, a bit each.
    pub(crate) closed: u32,
    pub(crate) depth: usize,
    pub(crate) backs: bool,
}

pub(crate) type Parsed<T> = Result<T, String>;

pub(crate) fn bad<T>(text: &str) -> Parsed<T> {
    Err(text.to_owned())
}

impl Parser<'_> {
    fn rest(&self) -> &[u8] {
        after(self.text, self.at)
    }

    /// Whether an operator stands here: itself when extended, behind a backslash when basic.
    fn operator(&self, sign: u8) -> bool {
        if self.syntax.extended {
            at(self.rest(), 0) == sign && !self.rest().is_empty()
        } else {
            self.rest().starts_with(&[b'\\', sign])
        }
    }

    fn skip_operator(&mut self) {
        self.at += if self.syntax.extended { 1 } else { 2 };
    }

    pub(crate) fn alternatives(&mut self) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return bad("Regular expression too big");
        }
        let mut list = vec![self.sequence()?];
        while self.operator(b'|') {
            self.skip_operator();
            list.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(if list.len() == 1 { list.pop().unwrap_or(Node::Cat(Vec::new())) } else { Node::Alt(list) })
    }

    fn sequence(&mut self) -> Parsed<Node> {
        let mut list: Vec<Node> = Vec::new();
        // In basic expressions a `*` at the beginning stands for itself.
        let mut begin = true;
        loop {
            if self.rest().is_empty() || self.operator(b'|') || self.operator(b')') && self.depth > 1 {
                return Ok(Node::Cat(list));
            }
            if self.syntax.extended && self.syntax.sed && self.operator(b')') {
                return bad("Unmatched ) or \\)");
            }
            if !self.syntax.extended && self.operator(b')') {
                return bad("Unmatched ) or \\)");
            }
            let anchor = at(self.rest(), 0) == b'^' && (self.syntax.extended || begin);
            let star = self.syntax.extended || !begin;
            if list.is_empty() && self.repeat(star)?.is_some() {
                if self.syntax.sed || !self.syntax.extended {
                    return bad("Invalid preceding regular expression");
                }
                continue;
            }
            let mut node = self.atom(begin)?;
            begin = anchor && begin;
            while let Some((low, high)) = self.repeat(!begin || self.syntax.extended)? {
                node = Node::Repeat(Box::new(node), low, high);
            }
            list.push(node);
        }
    }

    /// A repeat operator, if one stands here.
    fn repeat(&mut self, star: bool) -> Parsed<Option<(u32, u32)>> {
        let found = if at(self.rest(), 0) == b'*' && star {
            self.at += 1;
            return Ok(Some((0, ENDLESS)));
        } else if self.operator(b'+') {
            (1, ENDLESS)
        } else if self.operator(b'?') {
            (0, 1)
        } else if self.operator(b'{') {
            return self.interval();
        } else {
            return Ok(None);
        };
        self.skip_operator();
        Ok(Some(found))
    }

    fn interval(&mut self) -> Parsed<Option<(u32, u32)>> {
        let from = self.at + if self.syntax.extended { 1 } else { 2 };
        let close: &[u8] = if self.syntax.extended { b"}" } else { b"\\}" };
        let rest = after(self.text, from);
        let inside = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b',')).unwrap_or(rest.len());
        let (body, behind) = (part(rest, 0, inside), after(rest, inside));
        let comma = body.iter().position(|byte| *byte == b',');
        let low = part(body, 0, comma.unwrap_or(body.len()));
        let high = comma.map(|comma| after(body, comma + 1));
        let low_value = if low.is_empty() && high.is_some() { Some(0) } else { number(low) };
        let high_value = match high {
            None => low_value,
            Some(b"") => Some(u64::from(ENDLESS)),
            Some(text) => number(text),
        };
        let (Some(low), Some(high), true) = (low_value, high_value, behind.starts_with(close)) else {
            if self.syntax.extended && !self.syntax.sed {
                return Ok(None);
            }
            return bad(if behind.is_empty() { "Unmatched { or \\{" } else { "Invalid content of \\{\\}" });
        };
        if low > DUP_MAX || high > DUP_MAX && high != u64::from(ENDLESS) {
            return bad("Regular expression too big");
        }
        if low > high {
            return bad("Invalid content of \\{\\}");
        }
        self.at = from + inside + close.len();
        Ok(Some((u32::try_from(low).unwrap_or(0), u32::try_from(high).unwrap_or(ENDLESS))))
    }

    fn class_atom(&mut self, class: usize, negated: bool) -> Node {
        self.sets.push(Set { negated, ranges: Vec::new(), classes: vec![class] });
        Node::Set(self.sets.len() - 1)
    }

    fn atom(&mut self, begin: bool) -> Parsed<Node> {
        let extended = self.syntax.extended;
        if self.operator(b'(') {
            self.skip_operator();
            self.groups += 1;
            let number = self.groups;
            let inside = self.alternatives()?;
            if !self.operator(b')') {
                return bad("Unmatched ( or \\(");
            }
            self.skip_operator();
            if number < 10 {
                self.closed |= 1 << number;
            }
            return Ok(Node::Group(number, Box::new(inside)));
        }
        let byte = at(self.rest(), 0);
        match byte {
            b'\\' => return self.escape(),
            b'.' => {
                self.at += 1;
                return Ok(Node::Any);
            }
            b'[' => {
                self.at += 1;
                return self.bracket();
            }
            b'^' if extended || begin => {
                self.at += 1;
                return Ok(Node::Assert(b'^'));
            }
            b'$' => {
                let behind = after(self.rest(), 1);
                let last = behind.is_empty() || behind.starts_with(b"\\)") || behind.starts_with(b"\\|");
                if extended || last {
                    self.at += 1;
                    return Ok(Node::Assert(b'$'));
                }
            }
            _ => {}
        }
        let (c, length) = char_at(self.text, self.at, self.syntax.utf8).unwrap_or((0, 1));
        self.at += length;
        Ok(Node::Char(c))
    }

    fn escape(&mut self) -> Parsed<Node> {
        let Some(byte) = self.rest().get(1).copied() else { return bad("Trailing backslash") };
        self.at += 2;
        let found = match byte {
            b'w' => self.class_atom(12, false),
            b'W' => self.class_atom(12, true),
            b's' => self.class_atom(5, false),
            b'S' => self.class_atom(5, true),
            b'b' | b'B' | b'<' | b'>' | b'`' | b'\'' => Node::Assert(byte),
            b'1'..=b'9' => {
                let number = usize::from(byte - b'0');
                if self.closed & 1 << number == 0 {
                    return bad("Invalid back reference");
                }
                self.backs = true;
                Node::Back(number)
            }
            _ => {
                if self.syntax.sed
                    && let Some((value, length)) = sed_escape(after(self.text, self.at - 1))
                {
                    self.at += length - 1;
                    return Ok(Node::Char(if value < 0x80 { u32::from(value) } else { 0x11_0000 + u32::from(value) }));
                }
                self.at -= 1;
                let (c, length) = char_at(self.text, self.at, self.syntax.utf8).unwrap_or((0, 1));
                self.at += length;
                Node::Char(c)
            }
        };
        Ok(found)
    }

    fn bracket(&mut self) -> Parsed<Node> {
        const UNMATCHED: &str = "Unmatched [, [^, [:, [., or [=";
        let mut set = Set::default();
        if at(self.rest(), 0) == b'^' {
            set.negated = true;
            self.at += 1;
        }
        let begin = self.at;
        loop {
            let byte = *self.rest().first().ok_or(UNMATCHED)?;
            if byte == b']' && self.at > begin {
                self.at += 1;
                break;
            }
            let low = match self.element(&mut set)? {
                Some(c) => c,
                None => continue,
            };
            let mut high = low;
            if at(self.rest(), 0) == b'-' && !matches!(at(self.rest(), 1), b']') && self.rest().len() > 1 {
                self.at += 1;
                high = match self.element(&mut set)? {
                    Some(c) => c,
                    None => return bad("Invalid range end"),
                };
                if high < low {
                    return bad("Invalid range end");
                }
            }
            set.ranges.push((low, high));
        }
        self.sets.push(set);
        Ok(Node::Set(self.sets.len() - 1))
    }

    /// One member of a bracket expression; `None` when it was a class, which the set has now.
    fn element(&mut self, set: &mut Set) -> Parsed<Option<u32>> {
        let kind = at(self.rest(), 1);
        if at(self.rest(), 0) == b'[' && matches!(kind, b':' | b'=' | b'.') {
            let inside = after(self.rest(), 2);
            let close = inside.windows(2).position(|pair| pair == [kind, b']']);
            let Some(close) = close else { return bad("Unmatched [, [^, [:, [., or [=") };
            let name = part(inside, 0, close);
            if kind == b':' {
                let mut class = class_named(name).ok_or("Invalid character class name")?;
                if self.syntax.fold && matches!(class, 3 | 4) {
                    class = 0;
                }
                set.classes.push(class);
                self.at += close + 4;
                return Ok(None);
            }
            let single = char_at(name, 0, self.syntax.utf8).filter(|(_, length)| *length == name.len());
            let Some((c, _)) = single else { return bad("Invalid collation character") };
            self.at += close + 4;
            return Ok(Some(c));
        }
        if self.syntax.sed
            && at(self.rest(), 0) == b'\\'
            && let Some((value, length)) = sed_escape(after(self.rest(), 1))
        {
            self.at += length + 1;
            return Ok(Some(if value < 0x80 { u32::from(value) } else { 0x11_0000 + u32::from(value) }));
        }
        let (c, length) = char_at(self.text, self.at, self.syntax.utf8).ok_or("Unmatched [, [^, [:, [., or [=")?;
        self.at += length;
        Ok(Some(c))
    }
}

/// What GNU sed makes of the letters behind a backslash: the byte and how many letters that took.
pub(crate) fn sed_escape(text: &[u8]) -> Option<(u8, usize)> {
    let simple = match at(text, 0) {
        b'a' => 7,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => 13,
        b't' => 9,
        b'v' => 11,
        b'c' if text.len() > 1 => return Some((at(text, 1).to_ascii_uppercase() ^ 0x40, 2)),
        letter @ (b'd' | b'o' | b'x') => {
            let (base, most) = match letter {
                b'd' => (10, 3),
                b'o' => (8, 3),
                _ => (16, 2),
            };
            let (mut value, mut length) = (0u32, 1);
            while length <= most
                && let Some(digit) = char::from(at(text, length)).to_digit(base)
            {
                value = value * base + digit;
                length += 1;
            }
            return (length > 1).then_some((u8::try_from(value & 255).unwrap_or(0), length));
        }
        _ => return None,
    };
    Some((simple, 1))
}
