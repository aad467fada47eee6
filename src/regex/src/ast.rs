//! What a pattern says, before it is a program.

use super::class::Set;

/// No upper bound.
pub(super) const ENDLESS: u32 = u32::MAX;

/// A piece of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Empty,
    /// One character; true compares without case.
    Char(char, bool),
    /// `.`; true matches a newline too.
    Any(bool),
    Set(Set),
    Cat(Vec<Node>),
    Alt(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: u32,
        greedy: bool,
    },
    /// A capture group, numbered from 1.
    Group(u32, Box<Node>),
    Atomic(Box<Node>),
    Look {
        behind: bool,
        negative: bool,
        node: Box<Node>,
    },
    Assert(Assert),
    /// The text of one of these groups, whichever has one; true compares without case.
    BackRef(Vec<u32>, bool),
    /// `\g<...>`: the group's pattern once more.
    Call(u32),
    /// `(?(1)yes|no)`.
    Cond {
        groups: Vec<u32>,
        yes: Box<Node>,
        no: Box<Node>,
    },
    /// `\K`.
    Keep,
}

/// Places that have no width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assert {
    /// `\A`, and `^` outside `(?m)`.
    Start,
    /// `^` in `(?m)`.
    LineStart,
    /// `\z`.
    End,
    /// `\Z`, and `$` outside `(?m)`: the end, or before a newline there.
    LastEnd,
    /// `$` in `(?m)`.
    LineEnd,
    /// `\G`: where this search began.
    SearchStart,
    WordEdge,
    NotWordEdge,
}

impl Node {
    /// Its length in characters when that is the same for every match.
    pub(super) fn width(&self) -> Option<u32> {
        match self {
            Node::Empty | Node::Look { .. } | Node::Assert(_) | Node::Keep => Some(0),
            Node::Char(..) | Node::Any(_) | Node::Set(_) => Some(1),
            Node::Cat(nodes) => nodes.iter().try_fold(0u32, |sum, node| sum.checked_add(node.width()?)),
            Node::Alt(nodes) => {
                let first = nodes.first().map_or(Some(0), Node::width)?;
                nodes.iter().all(|node| node.width() == Some(first)).then_some(first)
            }
            Node::Repeat { node, min, max, .. } => {
                if min == max {
                    node.width()?.checked_mul(*min)
                } else {
                    None
                }
            }
            Node::Group(_, node) | Node::Atomic(node) => node.width(),
            Node::BackRef(..) | Node::Call(_) | Node::Cond { .. } => None,
        }
    }

    /// A repetition at the head of a look-behind matters only in its shortest form; Oniguruma reduces it so.
    pub(super) fn reduce_head(&mut self) {
        match self {
            Node::Cat(nodes) => {
                if let Some(first) = nodes.first_mut() {
                    first.reduce_head();
                }
            }
            Node::Alt(nodes) => nodes.iter_mut().for_each(Node::reduce_head),
            Node::Repeat { min, max, .. } => *max = *min,
            _ => {}
        }
    }
}
