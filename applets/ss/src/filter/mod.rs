//! The filter language (ss(8), "EXPRESSION"): words in, a tree out.
//!
//! The peer's grammar has one level for `and`, `or` and mere juxtaposition: they bind from left to right, so
//! `a or b and c` is `(a or b) and c`. `not` takes one term. Beyond the peer: operators and parentheses need no blanks
//! around them (`(dport=:443)`), an IPv6 address without a port needs no brackets, and a word that stands alone is a
//! port (`:443`), an address (`10.0.0.5`) or the name of a process (`nginx`).

pub(crate) mod bytecode;
pub(crate) mod evaluate;
mod host;

use netkit_core::{Error, Exit, text};

pub(crate) use host::Condition;

use crate::select::Selection;

/// Status of a term that cannot be read.
const BAD_TERM: Exit = Exit(1);
/// Status of a usage error: the peer's exit(-1).
pub(crate) const USAGE: Exit = Exit(255);
/// Terms and operators a filter may have. It bounds the recursion over the tree.
const MOST_NODES: usize = 1000;

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// The local port was chosen by the kernel.
    Autobound,
    Local(Condition),
    Remote(Condition),
    LocalPortAtLeast(i64),
    LocalPortAtMost(i64),
    RemotePortAtLeast(i64),
    RemotePortAtMost(i64),
    /// Bound to this interface.
    Device(u32),
    Mark {
        mark: u32,
        mask: u32,
    },
    /// In the cgroup v2 directory with this inode.
    Cgroup(u64),
    /// Held by a process of this name.
    Process(String),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
}

impl Node {
    fn and(self, other: Node) -> Node {
        Node::And(Box::new(self), Box::new(other))
    }

    fn or(self, other: Node) -> Node {
        Node::Or(Box::new(self), Box::new(other))
    }

    fn negated(self) -> Node {
        Node::Not(Box::new(self))
    }

    /// Whether any part of the tree satisfies `test`.
    pub(crate) fn any(&self, test: &dyn Fn(&Node) -> bool) -> bool {
        test(self)
            || match self {
                Node::And(left, right) | Node::Or(left, right) => left.any(test) || right.any(test),
                Node::Not(inner) => inner.any(test),
                _ => false,
            }
    }
}

/// What words in a filter are looked up in.
pub(crate) trait Lookup {
    /// Port of a service, in the tables selected. The error is the name when udp and tcp disagree.
    fn service(&self, name: &str, udp: bool, tcp: bool) -> Result<Option<u16>, ()>;
    /// Addresses of a host name.
    fn host(&self, name: &str) -> Vec<std::net::IpAddr>;
    /// Index of an interface.
    fn interface(&self, name: &str) -> Option<u32>;
    /// Inode of a cgroup v2 directory.
    fn cgroup(&self, path: &str) -> Option<u64>;
}

/// A filter, and whether it used the words that stand alone.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) node: Option<Node>,
    /// A word stood alone: it asks for every state, and for the process.
    pub(crate) shorthand: bool,
}

/// Words that begin a term or join two.
const KEYWORDS: [&str; 16] = [
    "dst",
    "src",
    "dport",
    "sport",
    "dev",
    "fwmark",
    "cgroup",
    "autobound",
    "and",
    "or",
    "not",
    "state",
    "exclude",
    "established",
    "listening",
    "connected",
];
/// Names before an operator.
const NAMES: [&str; 7] = ["dst", "src", "dport", "sport", "dev", "fwmark", "cgroup"];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Not,
    And,
    Or,
    Open,
    Close,
    Compare(Compare),
    Name(&'static str),
    Autobound,
    Word(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    NotEqual,
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// Reads the words of a filter. An address with a family prefix narrows `selection` to that family.
///
/// # Errors
/// Names the word that does not fit; status 1 for a term that cannot be read, 255 for a broken expression.
pub(crate) fn parse(words: &[String], selection: &mut Selection, lookup: &dyn Lookup) -> Result<Parsed, Error> {
    let tokens = tokens(words);
    if tokens.len() > MOST_NODES {
        return Err(Error::new(USAGE, format!("the filter has more than {MOST_NODES} words")));
    }
    let mut parser = Parser { tokens: &tokens, at: 0, selection, lookup, shorthand: false };
    let node = if tokens.is_empty() { None } else { Some(parser.list()?) };
    match parser.tokens.get(parser.at) {
        None => Ok(Parsed { node, shorthand: parser.shorthand }),
        Some(token) => Err(syntax(Some(token))),
    }
}

fn syntax(at: Option<&Token>) -> Error {
    let shown = match at {
        None => "its end".to_owned(),
        Some(Token::Word(word)) => format!("\"{}\"", text::printable(word)),
        Some(Token::Name(name)) => format!("\"{name}\""),
        Some(Token::Autobound) => "\"autobound\"".to_owned(),
        Some(Token::Not) => "\"not\"".to_owned(),
        Some(Token::And) => "\"and\"".to_owned(),
        Some(Token::Or) => "\"or\"".to_owned(),
        Some(Token::Open) => "\"(\"".to_owned(),
        Some(Token::Close) => "\")\"".to_owned(),
        Some(Token::Compare(_)) => "an operator".to_owned(),
    };
    Error::new(USAGE, format!("syntax error in the filter at {shown}"))
        .hint("as in: ss -tn 'state established ( dport = :443 or sport = :443 )'")
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    selection: &'a mut Selection,
    lookup: &'a dyn Lookup,
    shorthand: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn list(&mut self) -> Result<Node, Error> {
        let mut node = self.term()?;
        loop {
            node = match self.peek() {
                None | Some(Token::Close) => return Ok(node),
                Some(Token::Or) => {
                    self.at += 1;
                    node.or(self.term()?)
                }
                Some(Token::And) => {
                    self.at += 1;
                    node.and(self.term()?)
                }
                Some(_) => node.and(self.term()?),
            };
        }
    }

    fn term(&mut self) -> Result<Node, Error> {
        match self.next() {
            Some(Token::Open) => {
                let inner = self.list()?;
                match self.next() {
                    Some(Token::Close) => Ok(inner),
                    other => Err(syntax(other.as_ref())),
                }
            }
            Some(Token::Not) => Ok(self.term()?.negated()),
            Some(Token::Autobound) => Ok(Node::Autobound),
            Some(Token::Name(name)) => self.comparison(name),
            Some(Token::Word(word)) => self.alone(&word),
            other => Err(syntax(other.as_ref())),
        }
    }

    fn comparison(&mut self, name: &'static str) -> Result<Node, Error> {
        let compare = match self.peek() {
            Some(Token::Compare(compare)) => {
                let compare = *compare;
                self.at += 1;
                compare
            }
            _ => Compare::Equal,
        };
        let ports = matches!(name, "dport" | "sport");
        let allowed = match compare {
            Compare::Equal => true,
            Compare::NotEqual => ports || !matches!(name, "dst" | "src"),
            _ => ports,
        };
        let word = match self.next() {
            Some(Token::Word(word)) if allowed => word,
            // Keywords are values where one must stand: a host, or a device, may be called `dev`.
            Some(Token::Name(word)) if allowed && !ports => word.to_owned(),
            _ if !allowed => return Err(syntax(self.tokens.get(self.at.saturating_sub(2)))),
            other => return Err(syntax(other.as_ref())),
        };
        let node = match name {
            "dev" => Node::Device(self.device(&word)?),
            "fwmark" => mark(&word)?,
            "cgroup" => Node::Cgroup(
                self.lookup
                    .cgroup(&word)
                    .ok_or_else(|| Error::new(BAD_TERM, format!("cannot parse cgroup {}", text::printable(&word))))?,
            ),
            _ => return self.address(name, compare, &word),
        };
        Ok(if compare == Compare::NotEqual { node.negated() } else { node })
    }

    fn address(&mut self, name: &str, compare: Compare, word: &str) -> Result<Node, Error> {
        let ports = matches!(name, "dport" | "sport");
        let local = matches!(name, "src" | "sport");
        let condition = host::read(word, ports, self.selection, self.lookup)?;
        let port = condition.port();
        let side = |condition| if local { Node::Local(condition) } else { Node::Remote(condition) };
        let at_least = |port| if local { Node::LocalPortAtLeast(port) } else { Node::RemotePortAtLeast(port) };
        let at_most = |port| if local { Node::LocalPortAtMost(port) } else { Node::RemotePortAtMost(port) };
        Ok(match compare {
            Compare::Equal => side(condition),
            Compare::NotEqual => side(condition).negated(),
            Compare::AtLeast => at_least(port),
            Compare::AtMost => at_most(port),
            Compare::Above => at_most(port).negated(),
            Compare::Below => at_least(port).negated(),
        })
    }

    fn device(&self, word: &str) -> Result<u32, Error> {
        let number = || host::number(word).and_then(|number| u32::try_from(number).ok());
        self.lookup.interface(word).or_else(number).ok_or_else(|| {
            Error::new(BAD_TERM, format!("cannot parse device: no interface is called \"{}\"", text::printable(word)))
        })
    }

    /// A port, an address or a process on its own.
    fn alone(&mut self, word: &str) -> Result<Node, Error> {
        self.shorthand = true;
        let address = |this: &mut Self, ports: bool| -> Result<Node, Error> {
            let condition = host::read(word, ports, this.selection, this.lookup)?;
            Ok(Node::Local(condition.clone()).or(Node::Remote(condition)))
        };
        if word.starts_with(':') && !word.starts_with("::") {
            return address(self, true);
        }
        if host::looks_numeric(word) {
            return address(self, false);
        }
        let near = text::nearest(word, KEYWORDS).filter(|near| *near != word && word.len() > 2);
        if let Some(near) = near {
            let message = format!("\"{}\" is no filter; did you mean `{near}`?", text::printable(word));
            return Err(Error::new(USAGE, message));
        }
        let plain = |c: char| c.is_alphanumeric() || "-_.+:/@".contains(c);
        if word.is_empty() || !word.chars().all(plain) || matches!(word, "state" | "exclude" | "excl") {
            return Err(syntax(Some(&Token::Word(word.to_owned()))));
        }
        Ok(Node::Process(word.to_owned()))
    }
}

/// `MARK[/MASK]`, each in C's notation.
fn mark(word: &str) -> Result<Node, Error> {
    let whole = |part: &str| host::number(part).and_then(|number| u32::try_from(number).ok());
    let (mark, mask) = match word.split_once('/') {
        Some((mark, mask)) => (whole(mark), whole(mask)),
        None => (whole(word), Some(u32::MAX)),
    };
    match (mark, mask) {
        (Some(mark), Some(mask)) => Ok(Node::Mark { mark, mask }),
        _ => Err(Error::new(BAD_TERM, format!("cannot parse mark {}", text::printable(word)))),
    }
}

/// Splits words at blanks, a backslash taking the next character as it is, and again where an operator or a
/// parenthesis is glued to its neighbour.
fn tokens(words: &[String]) -> Vec<Token> {
    let mut out = Vec::new();
    let mut open = 0usize;
    for word in words {
        let mut piece = String::new();
        let (mut escaped, mut used) = (false, false);
        let mut chars = word.chars();
        loop {
            match chars.next() {
                Some('\\') => {
                    (escaped, used) = (true, true);
                    piece.extend(chars.next());
                }
                Some(' ' | '\t') | None if used => {
                    push_piece(&mut out, &mut open, &piece, escaped);
                    piece.clear();
                    (escaped, used) = (false, false);
                }
                Some(' ' | '\t') => {}
                Some(c) => {
                    used = true;
                    piece.push(c);
                }
                None => break,
            }
            if chars.as_str().is_empty() && !used {
                break;
            }
        }
    }
    out
}

fn push_piece(out: &mut Vec<Token>, open: &mut usize, piece: &str, escaped: bool) {
    if escaped {
        return out.push(Token::Word(piece.to_owned()));
    }
    let mut rest = piece;
    while let Some(inner) = rest.strip_prefix('(') {
        out.push(Token::Open);
        *open += 1;
        rest = inner;
    }
    let mut closing = 0;
    while let Some(inner) = rest.strip_suffix(')').filter(|_| *open > closing) {
        closing += 1;
        rest = inner;
    }
    // `!(` and `!dport`; `!=` is an operator.
    if let Some(inner) = rest.strip_prefix('!').filter(|inner| !inner.is_empty() && !inner.starts_with('=')) {
        out.push(Token::Not);
        return push_piece(out, open, &format!("{inner}{}", ")".repeat(closing)), false);
    }
    if !rest.is_empty() {
        push_word(out, rest);
    }
    for _ in 0..closing {
        out.push(Token::Close);
        *open -= 1;
    }
}

fn push_word(out: &mut Vec<Token>, word: &str) {
    if let Some(token) = keyword(word) {
        return out.push(token);
    }
    for name in NAMES {
        let Some(rest) = word.strip_prefix(name) else { continue };
        let signs = rest.len() - rest.trim_start_matches(['=', '!', '<', '>']).len();
        let (Some(sign), Some(value)) = (rest.get(..signs), rest.get(signs..)) else { continue };
        if let Some(Token::Compare(compare)) = keyword(sign) {
            out.extend([Token::Name(name), Token::Compare(compare)]);
            if !value.is_empty() {
                out.push(Token::Word(value.to_owned()));
            }
            return;
        }
    }
    // `dport =:443`
    let signs = word.len() - word.trim_start_matches(['=', '!', '<', '>']).len();
    if let (Some(Token::Compare(compare)), Some(value)) =
        (word.get(..signs).and_then(keyword), word.get(signs..).filter(|value| !value.is_empty()))
    {
        return out.extend([Token::Compare(compare), Token::Word(value.to_owned())]);
    }
    out.push(Token::Word(word.to_owned()));
}

fn keyword(word: &str) -> Option<Token> {
    Some(match word {
        "!" | "not" => Token::Not,
        "&" | "&&" | "and" => Token::And,
        "|" | "||" | "or" => Token::Or,
        "(" => Token::Open,
        ")" => Token::Close,
        "=" | "==" | "eq" => Token::Compare(Compare::Equal),
        "!=" | "ne" | "neq" => Token::Compare(Compare::NotEqual),
        ">=" | "ge" | "geq" => Token::Compare(Compare::AtLeast),
        "<=" | "le" | "leq" => Token::Compare(Compare::AtMost),
        ">" | "gt" => Token::Compare(Compare::Above),
        "<" | "lt" => Token::Compare(Compare::Below),
        "autobound" => Token::Autobound,
        name => Token::Name(NAMES.into_iter().find(|known| *known == name)?),
    })
}

#[cfg(test)]
mod tests;
