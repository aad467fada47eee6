//! Regular expressions as POSIX and GNU have them, basic and extended, over bytes: the leftmost match and of those the
//! longest (POSIX.1-2017, XBD 9; the escapes of GNU's regex: `\w \W \s \S \b \B \< \> \+ \? \|`, `` \` `` and `\'`).
//!
//! Own code beside `netkit-regex`, which has Perl's rules, wants UTF-8 and stops at a retry limit. This one takes any
//! bytes and time in proportion to text and pattern: every choice is tried once at a place. Only back references, which
//! need more, are bounded by a number of steps. Of several ways to the longest match the groups show the first one that a
//! greedy matcher finds, not POSIX's subpatterns from the left, which differ in cases such as `\(a\|ab\)\(c\|bcd\)`.

use std::cell::RefCell;

use crate::base::{after, at, char_at, number, part};

/// How a pattern is read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Syntax {
    /// Extended, not basic.
    pub(crate) extended: bool,
    /// Case does not count.
    pub(crate) fold: bool,
    /// Characters are UTF-8.
    pub(crate) utf8: bool,
    /// `^` and `$` also stand at newlines.
    pub(crate) lines: bool,
    /// sed's escapes (`\n \t \x41`), and errors where grep takes an operator for itself.
    pub(crate) sed: bool,
}

/// No upper bound of a repeat.
const ENDLESS: u32 = u32::MAX;
/// RE_DUP_MAX of GNU's regex.
const DUP_MAX: u64 = 32767;
const MAX_STEPS: usize = 1 << 16;
const MAX_DEPTH: usize = 200;
/// Entries of the stack, eight bytes each.
const MAX_STACK: usize = 1 << 24;
/// Words of the note of tried choices, eight bytes each.
const MAX_NOTES: usize = 1 << 25;
/// Steps of one search with back references.
const MAX_TRIES: u64 = 50_000_000;
const UNSET: usize = usize::MAX;
/// Marks a stack entry that restores a slot.
const RESTORE: u32 = 1 << 31;

enum Node {
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

/// A bracket expression.
#[derive(Default)]
struct Set {
    negated: bool,
    ranges: Vec<(u32, u32)>,
    /// Indices into [`CLASSES`].
    classes: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Step {
    Char(u32),
    Any,
    Set(usize),
    /// Tries the first target, then the second; the third number is its own among all choices.
    Split(u32, u32, u32),
    Jump(u32),
    Save(usize),
    Assert(u8),
    Back(usize),
    /// Notes the place where a turn of a loop begins.
    Mark(usize),
    /// Ends a turn that took nothing.
    Check(usize),
    Match,
}

const CLASSES: [&str; 13] = [
    "alpha", "digit", "alnum", "upper", "lower", "space", "blank", "punct", "print", "graph", "cntrl", "xdigit", "word",
];

/// Whether a character is of the class with this name's index.
fn in_class(class: usize, c: u32) -> bool {
    if let Ok(byte) = u8::try_from(c)
        && byte < 0x80
    {
        return match class {
            0 => byte.is_ascii_alphabetic(),
            1 => byte.is_ascii_digit(),
            2 => byte.is_ascii_alphanumeric(),
            3 => byte.is_ascii_uppercase(),
            4 => byte.is_ascii_lowercase(),
            5 => matches!(byte, b' ' | 9..=13),
            6 => matches!(byte, b' ' | 9),
            7 => byte.is_ascii_punctuation(),
            8 => matches!(byte, 32..=126),
            9 => byte.is_ascii_graphic(),
            10 => byte.is_ascii_control(),
            11 => byte.is_ascii_hexdigit(),
            _ => byte.is_ascii_alphanumeric() || byte == b'_',
        };
    }
    let Some(c) = char::from_u32(c) else { return false };
    match class {
        0 | 2 | 12 => c.is_alphanumeric(),
        3 => c.is_uppercase(),
        4 => c.is_lowercase(),
        5 => c.is_whitespace() && !matches!(c, '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{85}'),
        7 => !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control(),
        8 => !c.is_control(),
        9 => !c.is_control() && !c.is_whitespace(),
        10 => c.is_control(),
        _ => false,
    }
}

/// The byte class of a POSIX name, for tr(1).
pub(crate) fn class_named(name: &[u8]) -> Option<usize> {
    CLASSES.iter().take(12).position(|own| own.as_bytes() == name)
}

/// Whether a byte below 0x80 is of the class.
pub(crate) fn byte_in_class(class: usize, byte: u8) -> bool {
    byte < 0x80 && in_class(class, u32::from(byte))
}

fn other_case(c: u32, upper: bool) -> u32 {
    let Some(c) = char::from_u32(c) else { return c };
    if c.is_ascii() {
        return u32::from(if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() });
    }
    let first = if upper { c.to_uppercase().next() } else { c.to_lowercase().next() };
    u32::from(first.unwrap_or(c))
}

impl Set {
    fn holds(&self, c: u32) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
            || self.classes.iter().any(|class| in_class(*class, c))
    }

    fn has(&self, c: u32, syntax: Syntax) -> bool {
        if c >= 0x11_0000 && syntax.utf8 {
            return false;
        }
        let found =
            self.holds(c) || syntax.fold && (self.holds(other_case(c, false)) || self.holds(other_case(c, true)));
        found != self.negated
    }
}

/// Reads a pattern.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    syntax: Syntax,
    sets: Vec<Set>,
    groups: usize,
    /// Groups that are closed, a bit each.
    closed: u32,
    depth: usize,
    backs: bool,
}

type Parsed<T> = Result<T, String>;

fn bad<T>(text: &str) -> Parsed<T> {
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

    fn alternatives(&mut self) -> Parsed<Node> {
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
                if self.syntax.extended && self.syntax.sed || !self.syntax.extended {
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

/// A compiled pattern.
pub(crate) struct Regex {
    steps: Vec<Step>,
    sets: Vec<Set>,
    /// Groups, without the whole.
    pub(crate) groups: usize,
    syntax: Syntax,
    backs: bool,
    /// Bytes a match can begin with; none when that is not known.
    first: Option<[bool; 256]>,
    /// A match can only begin at the beginning.
    anchored: bool,
    splits: u32,
    marks: usize,
    machine: RefCell<Machine>,
}

/// What a search needs besides the pattern.
#[derive(Default)]
struct Machine {
    notes: Vec<u64>,
    stack: Vec<(u32, u32)>,
    slots: Vec<usize>,
    best: Vec<usize>,
}

impl Regex {
    /// Compiles; the error is GNU's text. `whole` binds it to a line's both ends (grep -x).
    pub(crate) fn new(pattern: &[u8], syntax: Syntax, whole: bool) -> Result<Regex, String> {
        let mut parser =
            Parser { text: pattern, at: 0, syntax, sets: Vec::new(), groups: 0, closed: 0, depth: 0, backs: false };
        let node = parser.alternatives()?;
        if parser.at < pattern.len() {
            return bad("Unmatched ) or \\)");
        }
        Regex::build(node, parser.sets, parser.groups, parser.backs, syntax, whole)
    }

    /// A text that stands for itself (grep -F).
    pub(crate) fn literal(text: &[u8], syntax: Syntax, whole: bool) -> Result<Regex, String> {
        let mut list = Vec::new();
        let mut from = 0;
        while let Some((c, length)) = char_at(text, from, syntax.utf8) {
            list.push(Node::Char(c));
            from += length;
        }
        Regex::build(Node::Cat(list), Vec::new(), 0, false, syntax, whole)
    }

    fn build(
        node: Node,
        sets: Vec<Set>,
        groups: usize,
        backs: bool,
        syntax: Syntax,
        whole: bool,
    ) -> Result<Regex, String> {
        let node = if whole { Node::Cat(vec![Node::Assert(b'^'), node, Node::Assert(b'$')]) } else { node };
        let mut regex = Regex {
            steps: Vec::new(),
            sets,
            groups,
            syntax,
            backs,
            first: None,
            anchored: false,
            splits: 0,
            marks: 0,
            machine: RefCell::new(Machine::default()),
        };
        regex.emit(&node)?;
        regex.steps.push(Step::Match);
        regex.anchored = !syntax.lines && matches!(regex.steps.first(), Some(Step::Assert(b'^' | b'`')));
        let mut bytes = [false; 256];
        let mut seen = vec![false; regex.steps.len()];
        if regex.heads(0, &mut bytes, &mut seen) {
            regex.first = Some(bytes);
        }
        Ok(regex)
    }

    fn push(&mut self, step: Step) -> Result<usize, String> {
        if self.steps.len() >= MAX_STEPS {
            return bad("Regular expression too big");
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn here(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(0)
    }

    fn split(&mut self) -> Result<usize, String> {
        self.splits += 1;
        self.push(Step::Split(0, 0, self.splits - 1))
    }

    fn aim(&mut self, split: usize, to: u32, or: u32) {
        if let Some(Step::Split(first, second, _)) = self.steps.get_mut(split) {
            (*first, *second) = (to, or);
        }
    }

    fn emit(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::Char(c) => {
                let c = if self.syntax.fold { other_case(*c, false) } else { *c };
                self.push(Step::Char(c))?;
            }
            Node::Any => drop(self.push(Step::Any)?),
            Node::Set(set) => drop(self.push(Step::Set(*set))?),
            Node::Assert(kind) => drop(self.push(Step::Assert(*kind))?),
            Node::Back(group) => drop(self.push(Step::Back(*group))?),
            Node::Cat(nodes) => {
                for node in nodes {
                    self.emit(node)?;
                }
            }
            Node::Group(number, node) => {
                self.push(Step::Save(number * 2))?;
                self.emit(node)?;
                self.push(Step::Save(number * 2 + 1))?;
            }
            Node::Alt(nodes) => {
                let mut jumps = Vec::new();
                for (index, node) in nodes.iter().enumerate() {
                    let last = index + 1 == nodes.len();
                    let split = if last { None } else { Some(self.split()?) };
                    let begin = self.here();
                    self.emit(node)?;
                    if let Some(split) = split {
                        jumps.push(self.push(Step::Jump(0))?);
                        let next = self.here();
                        self.aim(split, begin, next);
                    }
                }
                let end = self.here();
                for jump in jumps {
                    if let Some(Step::Jump(to)) = self.steps.get_mut(jump) {
                        *to = end;
                    }
                }
            }
            Node::Repeat(node, low, high) => {
                for _ in 0..*low {
                    self.emit(node)?;
                }
                if *high == ENDLESS {
                    let split = self.split()?;
                    let mark = self.marks;
                    self.marks += 1;
                    let begin = self.here();
                    if self.backs {
                        self.push(Step::Mark(mark))?;
                    }
                    self.emit(node)?;
                    if self.backs {
                        self.push(Step::Check(mark))?;
                    }
                    self.push(Step::Jump(u32::try_from(split).unwrap_or(0)))?;
                    let end = self.here();
                    self.aim(split, begin, end);
                } else {
                    let mut splits = Vec::new();
                    for _ in *low..*high {
                        let split = self.split()?;
                        splits.push((split, self.here()));
                        self.emit(node)?;
                    }
                    let end = self.here();
                    for (split, begin) in splits {
                        self.aim(split, begin, end);
                    }
                }
            }
        }
        Ok(())
    }

    /// Collects the bytes a match can begin with; false when it may be any, or none.
    fn heads(&self, from: usize, bytes: &mut [bool; 256], seen: &mut [bool]) -> bool {
        let mut list = vec![from];
        while let Some(step) = list.pop() {
            match seen.get_mut(step) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            let mut high = self.syntax.fold && self.syntax.utf8;
            let mut add = |byte: u8| {
                if let Some(place) = bytes.get_mut(usize::from(byte)) {
                    *place = true;
                }
            };
            match self.steps.get(step) {
                Some(Step::Char(c)) => {
                    let c = *c;
                    if c < 0x80 {
                        add(u8::try_from(c).unwrap_or(0));
                        if self.syntax.fold {
                            add(u8::try_from(other_case(c, true)).unwrap_or(0));
                        }
                    } else {
                        high = true;
                    }
                }
                Some(Step::Set(set)) => {
                    for byte in 0..0x80 {
                        if self.sets.get(*set).is_some_and(|set| set.has(u32::from(byte), self.syntax)) {
                            add(byte);
                        }
                    }
                    high = true;
                }
                Some(Step::Split(first, second, _)) => {
                    list.push(*first as usize);
                    list.push(*second as usize);
                }
                Some(Step::Jump(to)) => list.push(*to as usize),
                Some(Step::Save(_) | Step::Assert(_) | Step::Mark(_)) => list.push(step + 1),
                _ => return false,
            }
            if high {
                (0x80..=0xff).for_each(&mut add);
            }
        }
        true
    }

    /// Whether there is a match at all.
    pub(crate) fn is_match(&self, text: &[u8]) -> Result<bool, String> {
        Ok(self.search(text, 0, text.len(), false)?.is_some())
    }

    /// The first match from `from` on that ends at `limit` at the latest; its groups are in [`Regex::group`] then.
    pub(crate) fn find(&self, text: &[u8], from: usize, limit: usize) -> Result<Option<(usize, usize)>, String> {
        self.search(text, from, limit, true)
    }

    /// A group of the match that was found last.
    pub(crate) fn group(&self, number: usize) -> Option<(usize, usize)> {
        let machine = self.machine.borrow();
        let (start, end) = (*machine.best.get(number * 2)?, *machine.best.get(number * 2 + 1)?);
        (start != UNSET && end != UNSET && start <= end).then_some((start, end))
    }

    fn search(&self, text: &[u8], from: usize, limit: usize, longest: bool) -> Result<Option<(usize, usize)>, String> {
        let machine = &mut *self.machine.borrow_mut();
        machine.notes.clear();
        let mut base = from;
        let mut start = from;
        let mut tries = 0;
        while start <= limit {
            if let Some(first) = &self.first {
                let skip = part(text, start, limit)
                    .iter()
                    .position(|byte| first.get(usize::from(*byte)).is_some_and(|wanted| *wanted));
                match skip {
                    Some(skip) => start += skip,
                    None => return Ok(None),
                }
            }
            if self.anchored && start > 0 {
                return Ok(None);
            }
            if start - base > 1 << 16 {
                machine.notes.clear();
                base = start;
            }
            if self.run(machine, text, (base, start, limit), longest, &mut tries)? {
                return Ok(machine.best.get(..2).and_then(|pair| Some((*pair.first()?, *pair.last()?))));
            }
            start += char_at(text, start, self.syntax.utf8).map_or(1, |(_, length)| length);
        }
        Ok(None)
    }

    /// Tries at one place.
    fn run(
        &self,
        machine: &mut Machine,
        text: &[u8],
        (base, start, limit): (usize, usize, usize),
        longest: bool,
        tries: &mut u64,
    ) -> Result<bool, String> {
        let groups = (self.groups + 1) * 2;
        let save = longest || self.backs;
        let Machine { notes, stack, slots, best } = machine;
        slots.clear();
        slots.resize(groups + if self.backs { self.marks } else { 0 }, UNSET);
        let mut found = None;
        stack.clear();
        let small = |value: usize| u32::try_from(value).map_err(|_| "line too long".to_owned());
        stack.push((0, small(start)?));
        small(text.len())?;
        while let Some((step, place)) = stack.pop() {
            if step & RESTORE != 0 {
                if let Some(slot) = slots.get_mut((step & !RESTORE) as usize) {
                    *slot = if place == u32::MAX { UNSET } else { place as usize };
                }
                continue;
            }
            let (mut step, mut pos) = (step as usize, place as usize);
            loop {
                let Some(current) = self.steps.get(step) else { break };
                step += 1;
                match *current {
                    Step::Char(wanted) => {
                        let Some((c, length)) = char_at(text, pos, self.syntax.utf8) else { break };
                        if c != wanted && !(self.syntax.fold && other_case(c, false) == wanted) {
                            break;
                        }
                        pos += length;
                    }
                    Step::Any => {
                        let Some((c, length)) = char_at(text, pos, self.syntax.utf8) else { break };
                        if c >= 0x11_0000 && self.syntax.utf8 {
                            break;
                        }
                        pos += length;
                    }
                    Step::Set(set) => {
                        let Some((c, length)) = char_at(text, pos, self.syntax.utf8) else { break };
                        if !self.sets.get(set).is_some_and(|set| set.has(c, self.syntax)) {
                            break;
                        }
                        pos += length;
                    }
                    Step::Jump(to) => step = to as usize,
                    Step::Split(first, second, own) => {
                        if self.backs {
                            *tries += 1;
                            if *tries > MAX_TRIES {
                                return bad("too many ways to match a back reference");
                            }
                        } else {
                            let bit = (pos - base) * self.splits as usize + own as usize;
                            let word = bit / 64;
                            if word >= notes.len() {
                                if word > MAX_NOTES {
                                    return bad("line too long for this expression");
                                }
                                notes.resize(word + 64, 0);
                            }
                            let Some(word) = notes.get_mut(word) else { break };
                            if *word >> (bit % 64) & 1 == 1 {
                                break;
                            }
                            *word |= 1 << (bit % 64);
                        }
                        if stack.len() > MAX_STACK {
                            return bad("line too long for this expression");
                        }
                        stack.push((second, small(pos)?));
                        step = first as usize;
                    }
                    Step::Save(index) => {
                        if save && let Some(slot) = slots.get_mut(index) {
                            if self.splits > 0 {
                                let before = if *slot == UNSET { u32::MAX } else { small(*slot)? };
                                stack.push((RESTORE | small(index)?, before));
                            }
                            *slot = pos;
                        }
                    }
                    Step::Mark(mark) => {
                        if let Some(slot) = slots.get_mut(groups + mark) {
                            let before = if *slot == UNSET { u32::MAX } else { small(*slot)? };
                            stack.push((RESTORE | small(groups + mark)?, before));
                            *slot = pos;
                        }
                    }
                    Step::Check(mark) => {
                        if slots.get(groups + mark) == Some(&pos) {
                            break;
                        }
                    }
                    Step::Assert(kind) => {
                        if !self.holds(kind, text, pos) {
                            break;
                        }
                    }
                    Step::Back(group) => {
                        let wanted = match (slots.get(group * 2), slots.get(group * 2 + 1)) {
                            (Some(start), Some(end)) if *start != UNSET && *end != UNSET => part(text, *start, *end),
                            _ => break,
                        };
                        let own = part(text, pos, pos + wanted.len());
                        let same = if self.syntax.fold { own.eq_ignore_ascii_case(wanted) } else { own == wanted };
                        if !same {
                            break;
                        }
                        pos += wanted.len();
                    }
                    Step::Match => {
                        if pos <= limit && found.is_none_or(|end| pos > end) {
                            found = Some(pos);
                            best.clear();
                            best.extend_from_slice(part_of(slots, groups));
                            for (slot, value) in best.iter_mut().zip([start, pos]) {
                                *slot = value;
                            }
                            if !longest || pos == limit {
                                return Ok(true);
                            }
                        }
                        break;
                    }
                }
            }
        }
        Ok(found.is_some())
    }

    fn holds(&self, kind: u8, text: &[u8], pos: usize) -> bool {
        let word = |c: Option<(u32, usize)>| c.is_some_and(|(c, _)| in_class(12, c));
        let before = || {
            let mut from = pos.checked_sub(1)?;
            if self.syntax.utf8 {
                while pos - from < 4 && from > 0 && at(text, from) & 0xc0 == 0x80 {
                    from -= 1;
                }
                if char_at(text, from, true).is_none_or(|(_, length)| from + length != pos) {
                    from = pos - 1;
                }
            }
            char_at(text, from, self.syntax.utf8)
        };
        let (left, right) = (word(before()), word(char_at(text, pos, self.syntax.utf8)));
        match kind {
            b'^' => pos == 0 || self.syntax.lines && at(text, pos - 1) == b'\n',
            b'$' => pos == text.len() || self.syntax.lines && at(text, pos) == b'\n',
            b'`' => pos == 0,
            b'\'' => pos == text.len(),
            b'b' => left != right,
            b'B' => left == right,
            b'<' => !left && right,
            _ => left && !right,
        }
    }
}

fn part_of(slots: &[usize], count: usize) -> &[usize] {
    slots.get(..count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, extended: bool, text: &str) -> Option<(usize, usize)> {
        let syntax = Syntax { extended, utf8: true, ..Syntax::default() };
        Regex::new(pattern.as_bytes(), syntax, false).unwrap().find(text.as_bytes(), 0, text.len()).unwrap()
    }

    #[test]
    fn leftmost_and_longest() {
        assert_eq!(found("a|ab|abc", true, "xabcd"), Some((1, 4)));
        assert_eq!(found("(a|ab)(c|bcd)*", true, "abcd"), Some((0, 4)));
        assert_eq!(found("x*", true, "aax"), Some((0, 0)));
        assert_eq!(found("a\\{2,3\\}", false, "baaaa"), Some((1, 4)));
        assert_eq!(found("*a", false, "b*a"), Some((1, 3)));
        assert_eq!(found("\\(^a\\)b*", false, "abb"), Some((0, 3)));
        assert_eq!(found("\\(a*\\)b\\1", false, "xaabaa"), Some((1, 6)));
        assert_eq!(found("é.é", true, "aéxé"), Some((1, 6)));
        assert_eq!(found("\\<b", true, "ab b"), Some((3, 4)));
        assert_eq!(found("[]a]+", true, "x]a]"), Some((1, 4)));
        assert_eq!(found("a{,2}b", true, "aaab"), Some((1, 4)));
        assert_eq!(found("(a*)*b", true, &"a".repeat(5000)), None);
    }

    #[test]
    fn what_is_no_pattern() {
        let error = |pattern: &str, extended| {
            Regex::new(pattern.as_bytes(), Syntax { extended, ..Syntax::default() }, false).err().unwrap_or_default()
        };
        assert_eq!(error("\\(", false), "Unmatched ( or \\(");
        assert_eq!(error("[a", false), "Unmatched [, [^, [:, [., or [=");
        assert_eq!(error("a\\", false), "Trailing backslash");
        assert_eq!(error("\\1", false), "Invalid back reference");
        assert_eq!(error("(((a{1000}){1000}){1000})", true), "Regular expression too big");
        assert_eq!(error(&"(".repeat(10_000), true), "Regular expression too big");
        assert_eq!(error("[b-a]", true), "Invalid range end");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(pattern in "[ab*+?(){}|\\[\\]^$.\\\\1,2-]{0,12}", text in "[ab\\n]{0,30}", extended: bool) {
            let syntax = Syntax { extended, ..Syntax::default() };
            if let Ok(regex) = Regex::new(pattern.as_bytes(), syntax, false)
                && let Ok(Some((start, end))) = regex.find(text.as_bytes(), 0, text.len())
            {
                assert!(start <= end && end <= text.len());
            }
        }
    }
}
