//! Pattern text to [`Node`]: Perl syntax with named groups and subexpression calls, as Oniguruma reads it.
//!
//! Without `(?m)`, `^` and `$` stand for the ends of the text: Oniguruma's Perl syntax begins in single-line mode.
//! Messages are Oniguruma's (doc/API, `onig_error_code_to_str`).

use super::ast::{Assert, ENDLESS, Node};
use super::class::{Class, Set};

/// Groups within groups; bounds the recursion here and in the compiler.
const MAX_DEPTH: u32 = 250;
/// Oniguruma's ONIG_MAX_REPEAT_NUM.
const MAX_REPEAT: u32 = 100_000;
/// Oniguruma's ONIG_MAX_CAPTURE_GROUP_NUM.
const MAX_GROUPS: u32 = 32_767;

const END_IN_GROUP: &str = "end pattern in group";
const UNMATCHED: &str = "end pattern with unmatched parenthesis";
const BAD_BACKREF: &str = "invalid backref number/name";
const BAD_TARGET: &str = "target of repeat operator is invalid";
const NO_TARGET: &str = "target of repeat operator is not specified";
const CLASS_END: &str = "premature end of char-class";

/// What an inline option or a jq flag can turn on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// `i`: case does not count.
    pub(super) fold: bool,
    /// `x`: spaces and comments do not count.
    pub(super) extended: bool,
    /// `(?s)`: a dot matches a newline.
    pub(super) dot_all: bool,
    /// `(?m)`: `^` and `$` at every line.
    pub(super) lines: bool,
}

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) node: Node,
    /// Number of capture groups.
    pub(super) groups: u32,
    /// Names with their groups, in order of appearance.
    pub(super) names: Vec<(String, u32)>,
    /// Groups that `\g` calls; 0 is the whole pattern.
    pub(super) called: Vec<u32>,
}

/// Reads a pattern.
pub(super) fn parse(pattern: &str, options: Options) -> Result<Parsed, String> {
    let mut parser = Parser {
        text: pattern.chars().collect(),
        at: 0,
        options,
        depth: 0,
        groups: 0,
        names: Vec::new(),
        backrefs: Vec::new(),
        calls: Vec::new(),
    };
    let mut node = parser.alternatives()?;
    if parser.at < parser.text.len() {
        return Err("unmatched close parenthesis".to_owned());
    }
    let called = parser.resolve(&mut node)?;
    Ok(Parsed { node, groups: parser.groups, names: parser.names, called })
}

/// A reference by number, relative number or name, as written.
#[derive(Clone, Debug)]
enum Reference {
    Number(u32),
    Relative(i64),
    Name(String),
}

struct Parser {
    text: Vec<char>,
    at: usize,
    options: Options,
    depth: u32,
    groups: u32,
    names: Vec<(String, u32)>,
    /// References to check when all groups are known; a node holds its index here until then.
    backrefs: Vec<Reference>,
    calls: Vec<Reference>,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn ahead(&self, offset: usize) -> Option<char> {
        self.text.get(self.at + offset).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let found = wanted.chars().enumerate().all(|(offset, c)| self.ahead(offset) == Some(c));
        if found {
            self.at += wanted.chars().count();
        }
        found
    }

    /// Up to a closing parenthesis or the end. Options set inside end with the group, not with an alternative.
    fn alternatives(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("parse depth limit over".to_owned());
        }
        let outer = self.options;
        let mut branches = vec![self.sequence()?];
        while self.eat("|") {
            branches.push(self.sequence()?);
        }
        self.options = outer;
        self.depth -= 1;
        Ok(if branches.len() == 1 { branches.pop().unwrap_or(Node::Empty) } else { Node::Alt(branches) })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        while let Some(c) = self.peek() {
            match c {
                '|' | ')' => break,
                c if self.options.extended && c.is_whitespace() => self.at += 1,
                '#' if self.options.extended => while !matches!(self.next(), None | Some('\n')) {},
                '\\' if self.ahead(1) == Some('Q') => {
                    self.at += 2;
                    self.quoted(&mut nodes)?;
                }
                '\\' if self.ahead(1) == Some('E') => self.at += 2,
                _ => {
                    if let Some(atom) = self.atom()? {
                        nodes.push(self.repeats(atom)?);
                    }
                }
            }
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.pop().unwrap_or(Node::Empty),
            _ => Node::Cat(nodes),
        })
    }

    /// `\Q...\E`; a repeat after it belongs to its last character.
    fn quoted(&mut self, nodes: &mut Vec<Node>) -> Result<(), String> {
        while self.peek().is_some() && !self.eat("\\E") {
            let last = self.ahead(1).is_none() || self.ahead(1) == Some('\\') && self.ahead(2) == Some('E');
            let Some(c) = self.next() else { break };
            let mut node = Node::Char(c, self.options.fold);
            if last {
                self.eat("\\E");
                node = self.repeats(node)?;
                nodes.push(node);
                break;
            }
            nodes.push(node);
        }
        Ok(())
    }

    /// The repeat operators after an atom.
    fn repeats(&mut self, mut node: Node) -> Result<Node, String> {
        loop {
            if self.options.extended {
                while self.peek().is_some_and(char::is_whitespace) {
                    self.at += 1;
                }
            }
            let (min, max) = match self.peek() {
                Some('*') => (0, ENDLESS),
                Some('+') => (1, ENDLESS),
                Some('?') => (0, 1),
                Some('{') => {
                    let before = self.at;
                    match self.interval()? {
                        Some(bounds) => {
                            // Stands on the closing brace, like the others on their only character.
                            self.at -= 1;
                            bounds
                        }
                        None => {
                            self.at = before;
                            return Ok(node);
                        }
                    }
                }
                _ => return Ok(node),
            };
            self.at += 1;
            if matches!(node, Node::Assert(_) | Node::Look { .. } | Node::Keep) {
                return Err(BAD_TARGET.to_owned());
            }
            let lazy = self.eat("?");
            let possessive = !lazy && self.eat("+");
            node = Node::Repeat { node: Box::new(node), min, max, greedy: !lazy };
            if possessive {
                node = Node::Atomic(Box::new(node));
            }
        }
    }

    /// `{n}`, `{n,}` or `{n,m}`; anything else is literal text.
    fn interval(&mut self) -> Result<Option<(u32, u32)>, String> {
        self.at += 1;
        let Some(min) = self.number() else { return Ok(None) };
        let max = if self.eat(",") {
            if self.peek() == Some('}') { Some(ENDLESS) } else { self.number() }
        } else {
            Some(min)
        };
        let Some(max) = max else { return Ok(None) };
        if !self.eat("}") {
            return Ok(None);
        }
        if min > MAX_REPEAT || max > MAX_REPEAT && max != ENDLESS {
            return Err("too big number for repeat range".to_owned());
        }
        if max < min {
            return Err("upper is smaller than lower in repeat range".to_owned());
        }
        Ok(Some((min, max)))
    }

    /// Digits, if there are any; too large a number stays large.
    fn number(&mut self) -> Option<u32> {
        let begin = self.at;
        let mut value = 0u32;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            value = value.saturating_mul(10).saturating_add(digit).min(ENDLESS - 1);
            self.at += 1;
        }
        (self.at > begin).then_some(value)
    }

    /// One atom; `None` for what stands for nothing, such as a comment.
    fn atom(&mut self) -> Result<Option<Node>, String> {
        let fold = self.options.fold;
        let Some(c) = self.next() else { return Ok(None) };
        Ok(Some(match c {
            '.' => Node::Any(self.options.dot_all),
            '^' => Node::Assert(if self.options.lines { Assert::LineStart } else { Assert::Start }),
            '$' => Node::Assert(if self.options.lines { Assert::LineEnd } else { Assert::LastEnd }),
            '[' => Node::Set(self.bracket()?),
            '(' => return self.group(),
            '*' | '+' | '?' => return Err(NO_TARGET.to_owned()),
            '\\' => return self.escape().map(Some),
            c => Node::Char(c, fold),
        }))
    }

    fn escape(&mut self) -> Result<Node, String> {
        let fold = self.options.fold;
        let Some(c) = self.next() else { return Err("end pattern at escape".to_owned()) };
        let set = |class, complement| Node::Set(Set::of(class, complement));
        let any = |behind: Node| Node::Cat(vec![Node::Any(true), behind]);
        Ok(match c {
            'd' | 'D' => set(Class::Digit, c == 'D'),
            'w' | 'W' => set(Class::Word, c == 'W'),
            's' | 'S' => set(Class::Space, c == 'S'),
            'p' | 'P' if self.peek() == Some('{') => {
                let (class, complement) = self.property()?;
                set(class, complement != (c == 'P'))
            }
            'N' => Node::Any(false),
            'O' => Node::Any(true),
            'R' => {
                let crlf = Node::Cat(vec![Node::Char('\r', false), Node::Char('\n', false)]);
                let one = Set {
                    ranges: vec![('\n', '\r'), ('\u{85}', '\u{85}'), ('\u{2028}', '\u{2029}')],
                    ..Set::default()
                };
                Node::Atomic(Box::new(Node::Alt(vec![crlf, Node::Set(one)])))
            }
            'X' => {
                let repeat = |node| Node::Repeat { node: Box::new(node), min: 0, max: ENDLESS, greedy: true };
                let marks = || repeat(set(Class::property("m").unwrap_or(Class::Any), false));
                let crlf = Node::Cat(vec![Node::Char('\r', false), Node::Char('\n', false)]);
                let joined = repeat(Node::Cat(vec![Node::Char('\u{200d}', false), any(marks())]));
                Node::Atomic(Box::new(Node::Alt(vec![crlf, Node::Cat(vec![any(marks()), joined])])))
            }
            'b' => Node::Assert(Assert::WordEdge),
            'B' => Node::Assert(Assert::NotWordEdge),
            'A' => Node::Assert(Assert::Start),
            'z' => Node::Assert(Assert::End),
            'Z' => Node::Assert(Assert::LastEnd),
            'G' => Node::Assert(Assert::SearchStart),
            'K' => Node::Keep,
            'k' if matches!(self.peek(), Some('<' | '\'')) => {
                let reference = self.reference()?;
                self.backref(reference, fold)
            }
            'g' if matches!(self.peek(), Some('<' | '\'')) => {
                let reference = self.reference()?;
                self.calls.push(reference);
                Node::Call(u32::try_from(self.calls.len() - 1).unwrap_or(u32::MAX))
            }
            '1'..='9' => {
                let begin = self.at;
                self.at -= 1;
                let number = self.number().unwrap_or(0);
                if number <= 9 || number <= self.groups {
                    return Ok(self.backref(Reference::Number(number), fold));
                }
                self.at = begin;
                Node::Char(self.character(c)?, fold)
            }
            c => Node::Char(self.character(c)?, fold),
        })
    }

    /// The character that an escape stands for; the letter `c` after the backslash has been read.
    fn character(&mut self, c: char) -> Result<char, String> {
        let code = |value: u32| char::from_u32(value).ok_or_else(|| "invalid code point value".to_owned());
        Ok(match c {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\x0c',
            'a' => '\x07',
            'e' => '\x1b',
            'c' => match self.next() {
                None => return Err("end pattern at control".to_owned()),
                Some('?') => '\x7f',
                Some(c) => code(u32::from(c) & 0x1f)?,
            },
            'x' if self.peek() == Some('{') && self.ahead(1).is_some_and(|c| c.is_ascii_hexdigit()) => {
                self.at += 1;
                let value = self.digits(16, 8);
                if !self.eat("}") {
                    return Err("invalid code point value".to_owned());
                }
                if value > 0x10_ffff {
                    return Err("too big wide-char value".to_owned());
                }
                code(value)?
            }
            'x' => code(self.digits(16, 2))?,
            '0'..='7' => {
                self.at -= 1;
                code(self.digits(8, 3))?
            }
            c => c,
        })
    }

    fn digits(&mut self, radix: u32, most: usize) -> u32 {
        let mut value = 0u32;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(radix)) else { break };
            value = value.saturating_mul(radix).saturating_add(digit);
            self.at += 1;
        }
        value
    }

    /// `{name}` or `{^name}` after `\p`.
    fn property(&mut self) -> Result<(Class, bool), String> {
        self.at += 1;
        let complement = self.eat("^");
        let name = self.until('}');
        let class = name.as_deref().and_then(Class::property);
        class
            .map(|class| (class, complement))
            .ok_or_else(|| format!("invalid character property name {{{}}}", name.unwrap_or_default()))
    }

    /// Text up to `end`, which is eaten too; `None`, and nothing eaten, when it never comes.
    fn until(&mut self, end: char) -> Option<String> {
        let rest = self.text.get(self.at..)?;
        let length = rest.iter().position(|&c| c == end)?;
        let text = rest.iter().take(length).collect();
        self.at += length + 1;
        Some(text)
    }

    /// A bracket expression; the opening bracket has been read.
    fn bracket(&mut self) -> Result<Set, String> {
        let mut set = Set { negated: self.eat("^"), fold: self.options.fold, ..Set::default() };
        let mut first = true;
        loop {
            let Some(c) = self.next() else { return Err(CLASS_END.to_owned()) };
            if c == ']' {
                // A bracket that comes first is a member, provided that another one closes.
                if !first {
                    return Ok(set);
                }
                if !self.text.get(self.at..).unwrap_or_default().contains(&']') {
                    return Err("empty char-class".to_owned());
                }
            }
            first = false;
            let Some(low) = self.member(c, &mut set)? else {
                // A range cannot begin with a named set.
                if self.peek() == Some('-') && self.ahead(1).is_some_and(|c| c != ']') {
                    return Err("unmatched range specifier in char-class".to_owned());
                }
                continue;
            };
            if self.peek() == Some('-') && self.ahead(1).is_some_and(|c| c != ']') {
                self.at += 1;
                let Some(c) = self.next() else { return Err(CLASS_END.to_owned()) };
                let Some(high) = self.member(c, &mut set)? else {
                    return Err("char-class value at end of range".to_owned());
                };
                if high < low {
                    return Err("empty range in char class".to_owned());
                }
                set.ranges.push((low, high));
            } else {
                set.ranges.push((low, low));
            }
        }
    }

    /// One member of a bracket expression: a character, or a named set that is put into `set`.
    fn member(&mut self, c: char, set: &mut Set) -> Result<Option<char>, String> {
        if c == '[' && self.peek() == Some(':') {
            let before = self.at;
            self.at += 1;
            let complement = self.eat("^");
            let name = self.until(':').filter(|name| name.chars().all(|c| c.is_ascii_alphabetic()));
            if let Some(name) = name
                && self.eat("]")
            {
                let class = Class::posix(&name).ok_or("invalid POSIX bracket type")?;
                set.classes.push((class, complement));
                return Ok(None);
            }
            self.at = before;
            return Ok(Some(c));
        }
        if c != '\\' {
            return Ok(Some(c));
        }
        let Some(c) = self.next() else { return Err("end pattern at escape".to_owned()) };
        let class = match c {
            'd' | 'D' => (Class::Digit, c == 'D'),
            'w' | 'W' => (Class::Word, c == 'W'),
            's' | 'S' => (Class::Space, c == 'S'),
            'p' | 'P' if self.peek() == Some('{') => {
                let (class, complement) = self.property()?;
                (class, complement != (c == 'P'))
            }
            'b' => return Ok(Some('\x08')),
            c => return self.character(c).map(Some),
        };
        set.classes.push(class);
        Ok(None)
    }

    /// After an opening parenthesis.
    fn group(&mut self) -> Result<Option<Node>, String> {
        if self.peek() == Some('*') {
            return Err("undefined callout name".to_owned());
        }
        if !self.eat("?") {
            let number = self.new_group()?;
            let node = self.alternatives()?;
            self.close()?;
            return Ok(Some(Node::Group(number, Box::new(node))));
        }
        let look = |behind, negative| (behind, negative);
        let (behind, negative) = match self.next() {
            None => return Err(END_IN_GROUP.to_owned()),
            Some('#') => loop {
                match self.next() {
                    None => return Err(END_IN_GROUP.to_owned()),
                    Some('\\') => self.at += 1,
                    Some(')') => return Ok(None),
                    Some(_) => {}
                }
            },
            Some(':') => {
                let node = self.alternatives()?;
                self.close()?;
                // Kept apart, so that a repeat takes all of it.
                let bare = matches!(node, Node::Assert(_) | Node::Look { .. } | Node::Keep);
                return Ok(Some(if bare { Node::Cat(vec![node]) } else { node }));
            }
            Some('>') => {
                let node = self.alternatives()?;
                self.close()?;
                return Ok(Some(Node::Atomic(Box::new(node))));
            }
            Some('=') => look(false, false),
            Some('!') => look(false, true),
            Some('<') if self.peek() == Some('=') => {
                self.at += 1;
                look(true, false)
            }
            Some('<') if self.peek() == Some('!') => {
                self.at += 1;
                look(true, true)
            }
            Some('<') => return self.named('>').map(Some),
            Some('\'') => return self.named('\'').map(Some),
            Some('(') => return self.condition().map(Some),
            Some('~') => return Err("undefined group option: the absent operator (?~ is not offered".to_owned()),
            Some('{') => return Err("undefined group option: callouts (?{ are not offered".to_owned()),
            Some(c) => return self.inline_options(c),
        };
        let before = self.groups;
        let mut node = self.alternatives()?;
        self.close()?;
        if behind {
            node.reduce_head();
            // Nothing can be captured by what must not be there.
            if node.width().is_none() || negative && self.groups > before {
                return Err("invalid pattern in look-behind".to_owned());
            }
        }
        Ok(Some(Node::Look { behind, negative, node: Box::new(node) }))
    }

    fn close(&mut self) -> Result<(), String> {
        if self.eat(")") { Ok(()) } else { Err(UNMATCHED.to_owned()) }
    }

    fn new_group(&mut self) -> Result<u32, String> {
        self.groups += 1;
        if self.groups > MAX_GROUPS {
            return Err("too many capture groups are specified".to_owned());
        }
        Ok(self.groups)
    }

    fn named(&mut self, end: char) -> Result<Node, String> {
        let rest: String = self.text.get(self.at..).unwrap_or_default().iter().collect();
        let Some(name) = self.until(end) else { return Err(format!("invalid group name <{rest}>")) };
        if name.is_empty() {
            return Err("group name is empty".to_owned());
        }
        if name.starts_with(|c: char| c.is_ascii_digit() || c == '-') || name.contains([')', '(']) {
            return Err(format!("invalid group name <{name}>"));
        }
        let number = self.new_group()?;
        self.names.push((name, number));
        let node = self.alternatives()?;
        self.close()?;
        Ok(Node::Group(number, Box::new(node)))
    }

    /// `(?(1)yes|no)`; both parentheses before the condition have been read.
    fn condition(&mut self) -> Result<Node, String> {
        let reference = match self.peek() {
            Some('<' | '\'') => {
                let reference = self.reference()?;
                self.close()?;
                reference
            }
            _ => {
                let text = self.until(')').ok_or(END_IN_GROUP)?;
                Reference::Number(text.parse().map_err(|_| "invalid backref number/name".to_owned())?)
            }
        };
        self.backrefs.push(reference);
        let index = u32::try_from(self.backrefs.len() - 1).unwrap_or(u32::MAX);
        let outer = self.options;
        let yes = self.sequence()?;
        let no = if self.eat("|") { self.sequence()? } else { Node::Empty };
        self.options = outer;
        if self.peek() == Some('|') {
            return Err("invalid conditional pattern".to_owned());
        }
        self.close()?;
        Ok(Node::Cond { groups: vec![index], yes: Box::new(yes), no: Box::new(no) })
    }

    /// `(?imsx-imsx)` for the rest of the group, or `(?imsx-imsx:...)`.
    fn inline_options(&mut self, first: char) -> Result<Option<Node>, String> {
        let mut options = self.options;
        let mut on = true;
        let mut c = first;
        loop {
            match c {
                '-' => on = false,
                'i' => options.fold = on,
                'x' => options.extended = on,
                's' => options.dot_all = on,
                'm' => options.lines = on,
                ')' => {
                    self.options = options;
                    return Ok(None);
                }
                ':' => {
                    let outer = std::mem::replace(&mut self.options, options);
                    let node = self.alternatives()?;
                    self.options = outer;
                    self.close()?;
                    return Ok(Some(node));
                }
                _ => return Err("undefined group option".to_owned()),
            }
            c = self.next().ok_or(END_IN_GROUP)?;
        }
    }

    /// `<name>` or `'name'` after `\k` or `\g`.
    fn reference(&mut self) -> Result<Reference, String> {
        let end = if self.next() == Some('<') { '>' } else { '\'' };
        let rest: String = self.text.get(self.at..).unwrap_or_default().iter().collect();
        let Some(name) = self.until(end) else { return Err(format!("invalid group name <{rest}>")) };
        if name.is_empty() {
            return Err("group name is empty".to_owned());
        }
        if let Some(back) = name.strip_prefix('-') {
            let back: i64 = back.parse().map_err(|_| format!("invalid group name <{name}>"))?;
            return Ok(Reference::Relative(i64::from(self.groups) + 1 - back));
        }
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return name.parse().map(Reference::Number).map_err(|_| format!("invalid group name <{name}>"));
        }
        Ok(Reference::Name(name))
    }

    fn backref(&mut self, reference: Reference, fold: bool) -> Node {
        self.backrefs.push(reference);
        Node::BackRef(vec![u32::try_from(self.backrefs.len() - 1).unwrap_or(u32::MAX)], fold)
    }

    /// Puts group numbers where the references are, now that every group is known; returns the called groups.
    fn resolve(&self, node: &mut Node) -> Result<Vec<u32>, String> {
        let mut called = Vec::new();
        self.resolve_in(node, &mut called)?;
        called.sort_unstable();
        called.dedup();
        Ok(called)
    }

    fn resolve_in(&self, node: &mut Node, called: &mut Vec<u32>) -> Result<(), String> {
        match node {
            Node::Cat(nodes) | Node::Alt(nodes) => nodes.iter_mut().try_for_each(|node| self.resolve_in(node, called)),
            Node::Repeat { node, .. } | Node::Group(_, node) | Node::Atomic(node) | Node::Look { node, .. } => {
                self.resolve_in(node, called)
            }
            Node::BackRef(groups, _) => {
                *groups = self.targets(groups, &self.backrefs)?;
                Ok(())
            }
            Node::Cond { groups, yes, no } => {
                *groups = self.targets(groups, &self.backrefs)?;
                self.resolve_in(yes, called)?;
                self.resolve_in(no, called)
            }
            Node::Call(index) => {
                let reference = usize::try_from(*index).ok().and_then(|index| self.calls.get(index));
                let (number, written) = match reference {
                    Some(Reference::Number(number)) => (i64::from(*number), number.to_string()),
                    Some(Reference::Relative(number)) => (*number, number.to_string()),
                    Some(Reference::Name(name)) => {
                        let found = self.names.iter().find(|(known, _)| known == name);
                        let Some((_, number)) = found else { return Err(format!("undefined name <{name}> reference")) };
                        (i64::from(*number), name.clone())
                    }
                    None => return Err(BAD_BACKREF.to_owned()),
                };
                let number = u32::try_from(number).ok().filter(|&number| number <= self.groups);
                let Some(number) = number else { return Err(format!("undefined group <{written}> reference")) };
                *index = number;
                called.push(number);
                Ok(())
            }
            Node::Empty | Node::Char(..) | Node::Any(_) | Node::Set(_) | Node::Assert(_) | Node::Keep => Ok(()),
        }
    }

    /// The groups that a back reference means; several when a name is used more than once.
    fn targets(&self, indices: &[u32], references: &[Reference]) -> Result<Vec<u32>, String> {
        let index = indices.first().and_then(|&index| usize::try_from(index).ok());
        let reference = index.and_then(|index| references.get(index)).ok_or(BAD_BACKREF)?;
        let number = match reference {
            Reference::Number(number) => i64::from(*number),
            Reference::Relative(number) => *number,
            Reference::Name(name) => {
                let groups: Vec<u32> =
                    self.names.iter().rev().filter(|(known, _)| known == name).map(|(_, number)| *number).collect();
                if groups.is_empty() {
                    return Err(format!("undefined name <{name}> reference"));
                }
                return Ok(groups);
            }
        };
        match u32::try_from(number) {
            Ok(number) if number >= 1 && number <= self.groups => Ok(vec![number]),
            _ => Err(BAD_BACKREF.to_owned()),
        }
    }
}
