//! Regular expressions as jq has them: Oniguruma's Perl syntax with named groups, over UTF-8.
//!
//! Own code, because no kept crate is right: `regress` knows no atomic groups, possessive repeats, `\A`, `\G`, `\K` or
//! subexpression calls; `fancy-regex` has other rules for `^`, `$`, `(?m)`, `\h` and names, and no retry limit in
//! Oniguruma's sense. Bytes added to a release build of an empty program (opt-level z, fat LTO, abort, x86-64):
//! fancy-regex 0.20 with Unicode 1,102 K, regress 0.12 737 K, regex-syntax alone as a source of Unicode sets 587 K;
//! this module 192 K, of which 51 K are unicode-general-category and 29 K unicode-script, for `\p{...}` and `\w`.
//!
//! What is there: groups, named groups, `\1` `\k<n>` `\g<n>`, look-ahead and look-behind, atomic groups, possessive and
//! lazy repeats, intervals, conditionals, inline options `imsx`, `\Q..\E`, POSIX brackets, categories and scripts, `\K`
//! `\G` `\R` `\X` (a base with its marks and joiners). Refused by name: the absent operator and callouts.
//! Deliberate differences from Oniguruma 6.9: a character whose other case is several (`ß`, `ﬀ`) has no other case;
//! `(?-i)` works; `l` is the longest in every case; block names and emoji properties are unknown names.
//!
//! Safe with hostile patterns and texts: the pattern's nesting is bounded, the matcher keeps its own stack with a limit,
//! and failures are counted; running over is the error `retry-limit-in-match over`, as in Oniguruma.

mod ast;
mod class;
mod exec;
mod parse;
mod program;
mod unicode;

use std::fmt;

use exec::{Matcher, UNSET};
use program::Program;

/// A pattern or a search that failed, in the words that jq's error has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex failure: {}", self.0)
    }
}

/// The letters after the pattern: `match(re; flags)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// `g`: every match, not only the first.
    pub global: bool,
    /// `i`: case does not count.
    pub fold: bool,
    /// `x`: spaces and comments in the pattern do not count.
    pub extended: bool,
    /// `p` (and `m`): a dot matches a newline. `s`, single line, is how Perl syntax begins: accepted, changes nothing.
    pub dot_all: bool,
    /// `n`: an empty match is none.
    pub not_empty: bool,
    /// `l`: the longest match at a place, not the first.
    pub longest: bool,
}

impl Flags {
    /// Reads the letters; the error is jq's whole message.
    pub fn parse(letters: &str) -> Result<Flags, String> {
        let mut flags = Flags::default();
        for letter in letters.chars() {
            match letter {
                'g' => flags.global = true,
                'i' => flags.fold = true,
                'x' => flags.extended = true,
                's' => {}
                'p' | 'm' => flags.dot_all = true,
                'n' => flags.not_empty = true,
                'l' => flags.longest = true,
                _ => return Err(format!("{letters} is not a valid modifier string")),
            }
        }
        Ok(flags)
    }
}

/// A part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte behind the last.
    pub end: usize,
    /// Characters before it.
    pub offset: usize,
    /// Characters in it.
    pub length: usize,
}

/// One match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The whole match.
    pub span: Span,
    /// The groups in order of their numbers; `None` for one that took no part (offset -1 and string null in jq).
    /// In an empty match, jq puts every group that took part where the match is, and leaves it empty.
    pub captures: Vec<Option<Span>>,
}

/// A compiled pattern with its flags.
#[derive(Debug)]
pub struct Regex {
    program: Program,
    names: Vec<Option<String>>,
    flags: Flags,
}

impl Regex {
    /// Compiles a pattern.
    pub fn new(pattern: &str, flags: Flags) -> Result<Regex, Error> {
        let options =
            parse::Options { fold: flags.fold, extended: flags.extended, dot_all: flags.dot_all, lines: false };
        let program = parse::parse(pattern, options).and_then(program::compile).map_err(Error)?;
        let mut names = vec![None; program.groups];
        for (name, number) in &program.names {
            let index = usize::try_from(*number).unwrap_or(0).wrapping_sub(1);
            if let Some(place) = names.get_mut(index) {
                *place = Some(name.clone());
            }
        }
        Ok(Regex { program, names, flags })
    }

    /// The name of each capture group, in order of their numbers.
    pub fn names(&self) -> &[Option<String>] {
        &self.names
    }

    /// Whether the pattern matches anywhere.
    pub fn is_match(&self, text: &str) -> Result<bool, Error> {
        Ok(self.matcher(text).search(0).map_err(Error)?.is_some())
    }

    /// Where the first match at or behind byte `from` begins and ends.
    ///
    /// # Errors
    /// A search that failed, as [`Regex::matches`].
    pub fn find(&self, text: &str, from: usize) -> Result<Option<(usize, usize)>, Error> {
        let Some(from) = (from..=text.len()).find(|at| text.is_char_boundary(*at)) else { return Ok(None) };
        let mut matcher = self.matcher(text);
        let found = matcher.search(from).map_err(Error)?;
        // \K in a look can put the start behind the end.
        Ok(found.map(|slots| pair(slots, 0).map_or((from, from), |(start, end)| (start.min(end), end))))
    }

    fn matcher<'a>(&'a self, text: &'a str) -> Matcher<'a> {
        Matcher::new(&self.program, text, self.flags.longest, self.flags.not_empty)
    }

    /// The first match, or all of them with `g`. After an empty match the search goes on one character further, and it
    /// goes on at the very end as well: `"ab" | [match("";"g")]` has three.
    pub fn matches(&self, text: &str) -> Result<Vec<Match>, Error> {
        let mut found = Vec::new();
        let mut counter = Counter { text, byte: 0, characters: 0 };
        let mut from = 0;
        let mut matcher = self.matcher(text);
        while from <= text.len() {
            let Some(slots) = matcher.search(from).map_err(Error)? else { break };
            let whole = pair(slots, 0).unwrap_or((from, from));
            // \K in a look can put the start behind the end.
            let span = counter.span(whole.0.min(whole.1), whole.1);
            let empty = span.start == span.end;
            let captures = (1..=self.program.groups)
                .map(|group| {
                    let (start, end) = pair(slots, group)?;
                    Some(if empty { span } else { counter.span(start, end) })
                })
                .collect();
            found.push(Match { span, captures });
            if !self.flags.global {
                break;
            }
            from = if empty {
                span.end + text.get(span.end..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
            } else {
                span.end
            };
        }
        Ok(found)
    }
}

fn pair(slots: &[usize], group: usize) -> Option<(usize, usize)> {
    let (start, end) = (slots.get(group * 2).copied()?, slots.get(group * 2 + 1).copied()?);
    (start != UNSET && end != UNSET).then_some((start, end.max(start)))
}

/// Counts characters from the place it counted to last, in either direction.
struct Counter<'a> {
    text: &'a str,
    byte: usize,
    characters: usize,
}

impl Counter<'_> {
    fn to(&mut self, byte: usize) -> usize {
        let between = |a: usize, b: usize| self.text.get(a..b).map_or(0, |part| part.chars().count());
        if byte >= self.byte {
            self.characters += between(self.byte, byte);
        } else {
            self.characters = self.characters.saturating_sub(between(byte, self.byte));
        }
        self.byte = byte;
        self.characters
    }

    fn span(&mut self, start: usize, end: usize) -> Span {
        let offset = self.to(start);
        Span { start, end, offset, length: self.to(end).saturating_sub(offset) }
    }
}

#[cfg(test)]
mod tests;
