//! find's expressions: reading and evaluating them.

use std::fs::{File, Metadata};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use netkit_core::Error;

use crate::base::{Bytes, Tool, after, at, base_name, dir_name, find_bytes, lossy, number, octal, part, path};
use crate::find::{Entry, State};
use crate::glob;
use crate::meta::{Moment, change_mode, mode_text, time_of, type_letter};
use crate::posix::{Regex, Syntax, sed_escape};
use crate::spawn;

/// What holds for the whole walk.
pub(crate) struct Limits {
    pub(crate) least: usize,
    pub(crate) most: usize,
    pub(crate) depth_first: bool,
    pub(crate) one_device: bool,
}

pub(crate) struct Expression {
    pub(crate) node: Node,
    pub(crate) limits: Limits,
    /// Nothing prints, so what fits is printed.
    pub(crate) print: bool,
    /// How many `-exec ... +` there are.
    pub(crate) batches: usize,
}

/// A number with its sign: more than, less than, exactly.
#[derive(Clone, Copy)]
pub(crate) struct Count {
    sign: u8,
    value: u64,
}

impl Count {
    fn fits(self, value: u64) -> bool {
        match self.sign {
            b'+' => value > self.value,
            b'-' => value < self.value,
            _ => value == self.value,
        }
    }
}

/// How a name is printed.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Line,
    Null,
    List,
}

/// Which text a pattern is held against.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Text {
    Name,
    Path,
    Link,
}

pub(crate) enum Node {
    True,
    False,
    And(Vec<Node>),
    Or(Vec<Node>),
    /// All are evaluated, the last one counts.
    List(Vec<Node>),
    Not(Box<Node>),
    Glob(Text, Bytes, u8),
    Regex(Box<Regex>),
    /// Type letters; true looks at what a link points to.
    Type(Bytes, bool),
    Size(Count, u64),
    /// Which time, in units of so many seconds.
    Age(u8, Count, i64),
    /// Which time is later than this moment.
    Newer(u8, (i64, i64)),
    /// `-perm`: sign and bits.
    Perm(u8, u32),
    /// `u g n i`: user, group, links, inode.
    Number(u8, Count),
    Same(u64, u64),
    Nameless(bool),
    Empty,
    Access(i32),
    Prune,
    Quit,
    Print(Way),
    Printf(Bytes, Option<File>),
    PrintTo(File, u8),
    Delete,
    /// Words, in the file's directory, ask before.
    Exec(Vec<Bytes>, bool, bool),
    /// Words, and which batch.
    Batch(Vec<Bytes>, usize, bool),
}

struct Parser<'a> {
    words: &'a [Bytes],
    at: usize,
    now: (i64, i64),
    day_start: bool,
    follow: bool,
    limits: Limits,
    actions: bool,
    batches: usize,
    depth: usize,
    extended: bool,
}

type Parsed<T> = Result<T, String>;

/// Reads an expression; the errors are findutils'.
pub(crate) fn parse(words: &[Bytes], now: (i64, i64), follow: bool) -> Result<Expression, String> {
    let mut parser = Parser {
        words,
        at: 0,
        now,
        day_start: false,
        follow,
        limits: Limits { least: 0, most: usize::MAX, depth_first: false, one_device: false },
        actions: false,
        batches: 0,
        depth: 0,
        extended: false,
    };
    let node = if words.is_empty() { Node::True } else { parser.list()? };
    if parser.at < words.len() {
        return Err("invalid expression; you have too many ')'".to_owned());
    }
    Ok(Expression { node, print: !parser.actions, limits: parser.limits, batches: parser.batches })
}

impl Parser<'_> {
    fn peek(&self) -> &[u8] {
        self.words.get(self.at).map(Vec::as_slice).unwrap_or_default()
    }

    fn list(&mut self) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > 500 {
            return Err("expression too deep".to_owned());
        }
        let mut nodes = vec![self.or()?];
        while self.peek() == b"," {
            self.at += 1;
            nodes.push(self.or()?);
        }
        self.depth -= 1;
        Ok(if nodes.len() == 1 { nodes.pop().unwrap_or(Node::True) } else { Node::List(nodes) })
    }

    fn or(&mut self) -> Parsed<Node> {
        let mut nodes = vec![self.and()?];
        while matches!(self.peek(), b"-o" | b"-or") {
            self.at += 1;
            nodes.push(self.and()?);
        }
        Ok(if nodes.len() == 1 { nodes.pop().unwrap_or(Node::True) } else { Node::Or(nodes) })
    }

    fn and(&mut self) -> Parsed<Node> {
        let mut nodes = vec![self.not()?];
        loop {
            match self.peek() {
                b"-a" | b"-and" => self.at += 1,
                b"" | b")" | b"-o" | b"-or" | b"," => break,
                _ => {}
            }
            nodes.push(self.not()?);
        }
        Ok(if nodes.len() == 1 { nodes.pop().unwrap_or(Node::True) } else { Node::And(nodes) })
    }

    fn not(&mut self) -> Parsed<Node> {
        let mut negated = false;
        while matches!(self.peek(), b"!" | b"-not") {
            negated = !negated;
            self.at += 1;
        }
        let node = if self.peek() == b"(" {
            self.at += 1;
            if self.peek() == b")" {
                return Err("invalid expression; empty parentheses are not allowed.".to_owned());
            }
            let node = self.list()?;
            if self.peek() != b")" {
                return Err(
                    "invalid expression; I was expecting to find a ')' somewhere but did not see one.".to_owned()
                );
            }
            self.at += 1;
            node
        } else {
            self.primary()?
        };
        Ok(if negated { Node::Not(Box::new(node)) } else { node })
    }

    fn argument(&mut self, name: &[u8]) -> Parsed<Bytes> {
        let word = self.words.get(self.at).cloned().ok_or_else(|| format!("missing argument to `{}'", lossy(name)))?;
        self.at += 1;
        Ok(word)
    }

    fn count(&mut self, name: &[u8]) -> Parsed<Count> {
        let word = self.argument(name)?;
        let sign = at(&word, 0);
        let digits = if matches!(sign, b'+' | b'-') { after(&word, 1) } else { &word };
        let value =
            number(digits).ok_or_else(|| format!("invalid argument `{}' to `{}'", lossy(&word), lossy(name)))?;
        Ok(Count { sign, value })
    }

    fn limit(&mut self, name: &[u8]) -> Parsed<usize> {
        let word = self.argument(name)?;
        number(&word).and_then(|value| usize::try_from(value).ok()).ok_or_else(|| {
            format!("Expected a positive decimal integer argument to {}, but got ‘{}’", lossy(name), lossy(&word))
        })
    }

    fn reference(&mut self, name: &[u8]) -> Parsed<Metadata> {
        let file = self.argument(name)?;
        let data = if self.follow { std::fs::metadata(path(&file)) } else { std::fs::symlink_metadata(path(&file)) };
        data.map_err(|error| format!("‘{}’: {}", lossy(&file), crate::base::reason(&error)))
    }

    fn create(&mut self, name: &[u8]) -> Parsed<File> {
        let file = self.argument(name)?;
        File::create(path(&file)).map_err(|error| format!("‘{}’: {}", lossy(&file), crate::base::reason(&error)))
    }

    fn primary(&mut self) -> Parsed<Node> {
        let word = self.peek().to_vec();
        self.at += 1;
        let name = word.as_slice();
        let fold = if at(name, 1) == b'i' { glob::FOLD } else { 0 };
        Ok(match name {
            b"" | b")" => {
                return Err(
                    "invalid expression; you have used a binary operator with nothing before it or too many ')'"
                        .to_owned(),
                );
            }
            b"-true" => Node::True,
            b"-false" => Node::False,
            b"-name" | b"-iname" => Node::Glob(Text::Name, self.argument(name)?, fold),
            b"-path" | b"-wholename" | b"-ipath" | b"-iwholename" => Node::Glob(Text::Path, self.argument(name)?, fold),
            b"-lname" | b"-ilname" => Node::Glob(Text::Link, self.argument(name)?, fold),
            b"-regextype" => {
                let kind = self.argument(name)?;
                self.extended = match kind.as_slice() {
                    b"posix-extended" | b"egrep" | b"posix-egrep" | b"awk" | b"gnu-awk" | b"posix-awk" => true,
                    b"posix-basic" | b"sed" | b"grep" | b"ed" | b"emacs" | b"findutils-default" => false,
                    _ => return Err(format!("Unknown regular expression type ‘{}’", lossy(&kind))),
                };
                Node::True
            }
            b"-regex" | b"-iregex" => {
                let mut text = self.argument(name)?;
                if !self.extended {
                    text = from_emacs(&text);
                }
                let syntax = Syntax { extended: self.extended, fold: fold != 0, utf8: true, ..Syntax::default() };
                Node::Regex(Box::new(Regex::new(&text, syntax, true)?))
            }
            b"-type" | b"-xtype" => {
                let text = self.argument(name)?;
                let letters: Bytes = text.iter().copied().filter(|byte| *byte != b',').collect();
                if let Some(other) = letters.iter().find(|letter| !b"bcdpfls".contains(letter)) {
                    return Err(format!("Unknown argument to {}: {}", lossy(name), char::from(*other)));
                }
                if letters.is_empty() {
                    return Err(format!("Arguments to {} should contain at least one letter", lossy(name)));
                }
                Node::Type(letters, name == b"-xtype")
            }
            b"-size" => {
                let text = self.argument(name)?;
                let unit = match text.last() {
                    Some(b'c') => 1,
                    Some(b'w') => 2,
                    Some(b'k') => 1 << 10,
                    Some(b'M') => 1 << 20,
                    Some(b'G') => 1 << 30,
                    _ => 512,
                };
                let sign = at(&text, 0);
                let digits = if matches!(sign, b'+' | b'-') { after(&text, 1) } else { &text };
                let digits = match digits.split_last() {
                    Some((b'b' | b'c' | b'w' | b'k' | b'M' | b'G', rest)) => rest,
                    _ => digits,
                };
                let value = number(digits).ok_or_else(|| format!("Invalid argument `{}' to -size", lossy(&text)))?;
                Node::Size(Count { sign, value }, unit)
            }
            b"-mtime" | b"-atime" | b"-ctime" => Node::Age(at(name, 1), self.count(name)?, 86400),
            b"-mmin" | b"-amin" | b"-cmin" => Node::Age(at(name, 1), self.count(name)?, 60),
            b"-newer" | b"-anewer" | b"-cnewer" => {
                let which = if name == b"-newer" { b'm' } else { at(name, 1) };
                Node::Newer(which, time_of(&self.reference(name)?, b'm'))
            }
            _ if name.len() == 8 && name.starts_with(b"-newer") && b"acm".contains(&at(name, 6)) => {
                let moment = match at(name, 7) {
                    which @ (b'a' | b'c' | b'm') => time_of(&self.reference(name)?, which),
                    b't' => {
                        let text = self.argument(name)?;
                        let now = (self.now.0, u32::try_from(self.now.1).unwrap_or(0));
                        let (seconds, nanos) = crate::date::read(&text, now, false).ok_or_else(|| {
                            format!("I cannot figure out how to interpret ‘{}’ as a date or time", lossy(&text))
                        })?;
                        (seconds, i64::from(nanos))
                    }
                    _ => return Err(format!("unknown predicate `{}'", lossy(name))),
                };
                Node::Newer(at(name, 6), moment)
            }
            b"-daystart" => {
                self.day_start = true;
                let moment = Moment::new(self.now.0, 0, false);
                let into = moment.seconds + moment.zone.offset;
                self.now = (self.now.0 + 86400 - into.rem_euclid(86400), 0);
                Node::True
            }
            b"-perm" => {
                let text = self.argument(name)?;
                let sign = at(&text, 0);
                let spec = if matches!(sign, b'-' | b'/') { after(&text, 1) } else { &text };
                let bits = octal(spec).filter(|bits| *bits <= 0o7777).or_else(|| change_mode(spec, 0, false, 0));
                Node::Perm(sign, bits.ok_or_else(|| format!("invalid mode ‘{}’", lossy(&text)))?)
            }
            b"-user" | b"-group" => {
                let text = self.argument(name)?;
                let group = name == b"-group";
                let id = crate::meta::Names::default().id(&text, group).ok_or_else(|| {
                    let what = if group { "group" } else { "user" };
                    format!("‘{}’ is not the name of a known {what}", lossy(&text))
                })?;
                Node::Number(at(name, 1), Count { sign: 0, value: u64::from(id) })
            }
            b"-uid" | b"-gid" | b"-links" | b"-inum" => {
                let which = if name == b"-links" { b'n' } else { at(name, 1) };
                Node::Number(which, self.count(name)?)
            }
            b"-samefile" => {
                let data = self.reference(name)?;
                Node::Same(data.dev(), data.ino())
            }
            b"-nouser" => Node::Nameless(false),
            b"-nogroup" => Node::Nameless(true),
            b"-empty" => Node::Empty,
            b"-readable" => Node::Access(nix::libc::R_OK),
            b"-writable" => Node::Access(nix::libc::W_OK),
            b"-executable" => Node::Access(nix::libc::X_OK),
            b"-maxdepth" => {
                self.limits.most = self.limit(name)?;
                Node::True
            }
            b"-mindepth" => {
                self.limits.least = self.limit(name)?;
                Node::True
            }
            b"-depth" | b"-d" => {
                self.limits.depth_first = true;
                Node::True
            }
            b"-xdev" | b"-mount" => {
                self.limits.one_device = true;
                Node::True
            }
            b"-noleaf" | b"-warn" | b"-nowarn" | b"-ignore_readdir_race" | b"-noignore_readdir_race" => Node::True,
            b"-follow" => return Err("the predicate `-follow' is not offered: write -L before the paths".to_owned()),
            b"-prune" => Node::Prune,
            b"-quit" => Node::Quit,
            _ => return self.action(name),
        })
    }

    fn action(&mut self, name: &[u8]) -> Parsed<Node> {
        self.actions = true;
        Ok(match name {
            b"-print" => Node::Print(Way::Line),
            b"-print0" => Node::Print(Way::Null),
            b"-ls" => Node::Print(Way::List),
            b"-printf" => Node::Printf(self.argument(name)?, None),
            b"-fprint" | b"-fprint0" => Node::PrintTo(self.create(name)?, if name == b"-fprint" { b'\n' } else { 0 }),
            b"-fprintf" => {
                let file = self.create(name)?;
                Node::Printf(self.argument(name)?, Some(file))
            }
            b"-delete" => {
                self.limits.depth_first = true;
                Node::Delete
            }
            b"-exec" | b"-execdir" | b"-ok" | b"-okdir" => {
                let rest = self.words.get(self.at..).unwrap_or_default();
                let plus = |index: usize| {
                    index > 0
                        && rest.get(index).is_some_and(|word| word == b"+")
                        && rest.get(index - 1).is_some_and(|word| word == b"{}")
                };
                let ask = name.starts_with(b"-ok");
                let end = (0..rest.len())
                    .find(|index| rest.get(*index).is_some_and(|word| word == b";") || !ask && plus(*index));
                let Some(end) = end.filter(|end| *end > 0) else {
                    return Err(format!("missing argument to `{}'", lossy(name)));
                };
                let words = rest.get(..end).unwrap_or_default().to_vec();
                self.at += end + 1;
                let in_dir = name.ends_with(b"dir");
                if plus(end) {
                    let words = words.get(..end - 1).unwrap_or_default().to_vec();
                    self.batches += 1;
                    Node::Batch(words, self.batches - 1, in_dir)
                } else {
                    Node::Exec(words, in_dir, ask)
                }
            }
            _ if name.starts_with(b"-") => return Err(format!("unknown predicate `{}'", lossy(name))),
            _ => return Err(format!("paths must precede expression: `{}'", lossy(name))),
        })
    }
}

/// Emacs' syntax, find's own, has `+` and `?` as operators without backslash.
fn from_emacs(text: &[u8]) -> Bytes {
    let mut out = Bytes::new();
    let mut from = 0;
    let mut bracket = false;
    while from < text.len() {
        let byte = at(text, from);
        from += 1;
        match byte {
            b'\\' if !bracket => {
                let next = at(text, from);
                from += 1;
                if !matches!(next, b'+' | b'?') {
                    out.push(b'\\');
                }
                out.push(next);
                continue;
            }
            b'[' => bracket = true,
            b']' => bracket = false,
            b'+' | b'?' if !bracket && !out.is_empty() => out.push(b'\\'),
            _ => {}
        }
        out.push(byte);
    }
    out
}

/// Whether the file fits; actions act.
pub(crate) fn holds(tool: &mut Tool<'_>, state: &mut State, entry: &Entry<'_>, node: &Node) -> Result<bool, Error> {
    let data = entry.data;
    Ok(match node {
        Node::True => true,
        Node::False => false,
        Node::And(nodes) => {
            for node in nodes {
                if state.quit || !holds(tool, state, entry, node)? {
                    return Ok(false);
                }
            }
            true
        }
        Node::Or(nodes) => {
            for node in nodes {
                if state.quit || holds(tool, state, entry, node)? {
                    return Ok(true);
                }
            }
            false
        }
        Node::List(nodes) => {
            let mut last = false;
            for node in nodes {
                last = holds(tool, state, entry, node)?;
            }
            last
        }
        Node::Not(node) => !holds(tool, state, entry, node)?,
        Node::Glob(text, pattern, flags) => match text {
            Text::Name => glob::matches(pattern, entry.name(), *flags),
            Text::Path => glob::matches(pattern, entry.path, *flags),
            Text::Link => std::fs::read_link(path(entry.path))
                .is_ok_and(|target| glob::matches(pattern, target.as_os_str().as_bytes(), *flags)),
        },
        Node::Regex(regex) => regex.is_match(entry.path).map_err(Error::usage)?,
        Node::Type(letters, target) => {
            let mode = if *target && data.is_symlink() {
                std::fs::metadata(path(entry.path)).map_or(data.mode(), |data| data.mode())
            } else {
                data.mode()
            };
            let letter = type_letter(mode);
            letters.contains(if letter == b'-' { &b'f' } else { &letter })
        }
        Node::Size(count, unit) => count.fits(data.size().div_ceil(*unit)),
        Node::Age(which, count, unit) => {
            let (seconds, nanos) = time_of(data, *which);
            let (now, now_nanos) = match tool.ctx.clock.now().duration_since(std::time::UNIX_EPOCH) {
                Ok(now) => (i64::try_from(now.as_secs()).unwrap_or(0), i64::from(now.subsec_nanos())),
                Err(_) => (0, 0),
            };
            let age = now - seconds - i64::from(nanos > now_nanos);
            if *unit == 60 {
                let value = i64::try_from(count.value).unwrap_or(i64::MAX / 60).saturating_mul(60);
                match count.sign {
                    b'+' => age >= value,
                    b'-' => age < value,
                    _ => (value - 60..value).contains(&age),
                }
            } else {
                count.sign == b'-' && age < 0 || u64::try_from(age / unit).is_ok_and(|age| count.fits(age))
            }
        }
        Node::Newer(which, moment) => time_of(data, *which) > *moment,
        Node::Perm(sign, bits) => {
            let mode = data.mode() & 0o7777;
            match sign {
                b'-' => mode & bits == *bits,
                b'/' => *bits == 0 || mode & bits != 0,
                _ => mode == *bits,
            }
        }
        Node::Number(which, count) => count.fits(match which {
            b'u' => u64::from(data.uid()),
            b'g' => u64::from(data.gid()),
            b'n' => data.nlink(),
            _ => data.ino(),
        }),
        Node::Same(device, inode) => (data.dev(), data.ino()) == (*device, *inode),
        Node::Nameless(group) => state.names.name(if *group { data.gid() } else { data.uid() }, *group).is_none(),
        Node::Empty => {
            if data.is_dir() {
                std::fs::read_dir(path(entry.path)).is_ok_and(|mut list| list.next().is_none())
            } else {
                data.is_file() && data.size() == 0
            }
        }
        Node::Access(mode) => netkit_sys::process::access(path(entry.path).as_os_str(), *mode),
        Node::Prune => {
            state.prune = true;
            true
        }
        Node::Quit => {
            state.quit = true;
            true
        }
        Node::Print(way) => {
            let text = match way {
                Way::Line => [entry.path, b"\n"].concat(),
                Way::Null => [entry.path, b"\0"].concat(),
                Way::List => listed(state, entry),
            };
            tool.put(&text)?;
            true
        }
        Node::Printf(format, file) => {
            let text = formatted(state, entry, format);
            match file {
                Some(file) => {
                    let mut to: &File = file;
                    to.write_all(&text)?;
                }
                None => tool.put(&text)?,
            }
            true
        }
        Node::PrintTo(file, end) => {
            let mut to: &File = file;
            to.write_all(&[entry.path, &[*end]].concat())?;
            true
        }
        Node::Delete => {
            if entry.path == b"." {
                return Ok(true);
            }
            let result = if data.is_dir() {
                std::fs::remove_dir(path(entry.path))
            } else {
                std::fs::remove_file(path(entry.path))
            };
            if let Err(error) = &result {
                tool.complain(&format!("cannot delete ‘{}’: {}", lossy(entry.path), crate::base::reason(error)));
            }
            result.is_ok()
        }
        Node::Exec(words, in_dir, ask) => {
            let own = if *in_dir { [b"./", base_name(entry.path)].concat() } else { entry.path.to_vec() };
            let words: Vec<Bytes> = words.iter().map(|word| substitute(word, &own)).collect();
            if *ask && !asked(tool, &words, entry.path)? {
                return Ok(false);
            }
            run(tool, words, if *in_dir { Some(dir_name(entry.path)) } else { None })? == 0
        }
        Node::Batch(_, index, in_dir) => {
            let own = if *in_dir { [b"./", base_name(entry.path)].concat() } else { entry.path.to_vec() };
            let mut full = false;
            if let Some(batch) = state.batches.get_mut(*index) {
                batch.push(own);
                full = *in_dir || batch.iter().map(|word| word.len() + 1).sum::<usize>() > 100 << 10;
            }
            if full {
                let dir = if *in_dir { Some(dir_name(entry.path)) } else { None };
                flush(tool, state, node, dir)?;
            }
            true
        }
    })
}

fn substitute(word: &[u8], own: &[u8]) -> Bytes {
    let mut out = Bytes::new();
    let mut rest = word;
    while let Some(place) = find_bytes(rest, b"{}") {
        out.extend_from_slice(part(rest, 0, place));
        out.extend_from_slice(own);
        rest = after(rest, place + 2);
    }
    out.extend_from_slice(rest);
    out
}

fn asked(tool: &mut Tool<'_>, words: &[Bytes], name: &[u8]) -> Result<bool, Error> {
    let command = words.first().map(|word| lossy(word)).unwrap_or_default();
    tool.ctx.stdout.flush()?;
    let _ = write!(tool.ctx.stderr, "< {command} ... {} > ? ", lossy(name));
    Ok(crate::fileops::yes(tool))
}

/// Runs a command, in a directory if there is one.
fn run(tool: &mut Tool<'_>, words: Vec<Bytes>, dir: Option<&[u8]>) -> Result<u8, Error> {
    let Some(dir) = dir else { return spawn::run(tool.ctx, &words) };
    let here = std::env::current_dir();
    if let Err(error) = std::env::set_current_dir(path(dir)) {
        tool.fail(dir, &error);
        return Ok(1);
    }
    let status = spawn::run(tool.ctx, &words);
    if let Ok(here) = here {
        let _ = std::env::set_current_dir(here);
    }
    status
}

fn flush(tool: &mut Tool<'_>, state: &mut State, node: &Node, dir: Option<&[u8]>) -> Result<(), Error> {
    let Node::Batch(words, index, _) = node else { return Ok(()) };
    let Some(batch) = state.batches.get_mut(*index) else { return Ok(()) };
    if batch.is_empty() {
        return Ok(());
    }
    let mut words = words.clone();
    words.append(batch);
    if run(tool, words, dir)? != 0 {
        tool.status = 1;
    }
    Ok(())
}

/// Runs what the batches still hold.
pub(crate) fn finish(tool: &mut Tool<'_>, state: &mut State, node: &Node) -> Result<(), Error> {
    match node {
        Node::And(nodes) | Node::Or(nodes) | Node::List(nodes) => {
            for node in nodes {
                finish(tool, state, node)?;
            }
            Ok(())
        }
        Node::Not(node) => finish(tool, state, node),
        node => flush(tool, state, node, None),
    }
}

fn listed(state: &mut State, entry: &Entry<'_>) -> Bytes {
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
fn formatted(state: &mut State, entry: &Entry<'_>, format: &[u8]) -> Bytes {
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
