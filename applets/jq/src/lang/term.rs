//! A filter whose names are resolved, as the machine runs it.
//!
//! Variables, closures and labels live in one chain of slots; a number is the distance from the innermost.

use std::rc::Rc;

use super::ast::BinOp;
use crate::builtins::Native;
use crate::value::Value;

/// What it takes to run a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// At most one output, and no recursion: evaluated straight to a value.
    Simple,
    /// Any number of outputs, and no recursion: each is handed to a receiver.
    Plain,
    /// Needs the machine with its stack of alternatives.
    General,
}

/// An operation and its class.
pub(crate) struct Term {
    pub(crate) op: Op,
    pub(crate) class: Class,
}

/// One piece of a string.
pub(crate) enum Piece {
    /// Text as it is.
    Plain(Rc<str>),
    /// A value in the format of the string.
    Value(Term),
}

/// Reduce, foreach.
pub(crate) struct Loop {
    pub(crate) source: Term,
    pub(crate) pattern: Destructure,
    pub(crate) init: Term,
    pub(crate) update: Term,
    /// Of foreach only.
    pub(crate) extract: Option<Term>,
}

/// Alternative patterns; all bind the same variables in the same order of slots.
pub(crate) struct Destructure {
    /// Slots that are bound.
    pub(crate) variables: usize,
    pub(crate) patterns: Vec<Pattern>,
}

/// One pattern. Slots count from the first variable of the [`Destructure`].
pub(crate) enum Pattern {
    Var(usize),
    Array(Vec<Pattern>),
    Object(Vec<(Option<usize>, Term, Option<Pattern>)>),
}

/// What a function gets for a parameter.
pub(crate) enum Arg {
    /// A filter, with the caller's slots.
    Filter(Term),
    /// The caller's own parameter, handed on.
    Slot(usize),
}

/// An operation.
pub(crate) enum Op {
    Identity,
    Empty,
    Const(Value),
    Var(usize),
    Closure(usize),
    Pipe(Box<(Term, Term)>),
    Comma(Box<(Term, Term)>),
    Field(Box<Term>, Value, bool),
    /// Base, key.
    Index(Box<(Term, Term)>, bool),
    /// Base, start, end.
    Slice(Box<(Term, Term, Term)>, bool),
    Iterate(Box<Term>, bool),
    Array(Box<Term>),
    Object(Vec<(Term, Term)>),
    Text(Rc<str>, Vec<Piece>),
    Negate(Box<Term>),
    Binary(BinOp, Box<(Term, Term)>),
    And(Box<(Term, Term)>),
    Or(Box<(Term, Term)>),
    Alt(Box<(Term, Term)>),
    If(Box<(Term, Term, Term)>),
    Try(Box<Term>, Option<Box<Term>>),
    Reduce(Box<Loop>),
    Foreach(Box<Loop>),
    Bind(Box<(Term, Destructure, Term)>),
    Label(Box<Term>),
    Break(usize),
    /// Function, slots to leave, parameters.
    Call(usize, usize, Vec<Arg>),
    Native(Native, Vec<Term>),
    Error(Box<Term>),
    Path(Box<Term>),
    GetPath(Box<Term>),
    /// Paths, value.
    Assign(Box<(Term, Term)>),
    /// Paths, update.
    Modify(Box<(Term, Term)>),
    First(Box<Term>),
    /// From, to.
    Range(Box<(Term, Term)>),
}

/// A function: its body runs with the slots of its definition and those of its parameters.
pub(crate) struct Func {
    pub(crate) body: Term,
}

/// A filter with its functions.
pub(crate) struct Program {
    pub(crate) main: Term,
    pub(crate) funcs: Vec<Option<Func>>,
}

impl Term {
    /// A term of the class that its operation has.
    pub(crate) fn new(op: Op) -> Term {
        let class = class(&op);
        Term { op, class }
    }

    /// `.`
    pub(crate) fn identity() -> Term {
        Term::new(Op::Identity)
    }
}

/// The class of something with at most one output, when all its parts have.
fn single<'a>(parts: impl IntoIterator<Item = &'a Term>) -> Class {
    let worst = parts.into_iter().map(|part| part.class).max().unwrap_or(Class::Simple);
    if worst == Class::Simple { Class::Simple } else { Class::General }
}

fn single_pattern(destructure: &Destructure) -> bool {
    matches!(destructure.patterns.as_slice(), [Pattern::Var(0)]) && destructure.variables == 1
}

fn class(op: &Op) -> Class {
    match op {
        Op::Identity | Op::Empty | Op::Const(_) | Op::Var(_) => Class::Simple,
        Op::Closure(_) | Op::Label(_) | Op::Break(_) | Op::Call(..) => Class::General,
        Op::Assign(_) | Op::Modify(_) | Op::Path(_) => Class::General,
        Op::Pipe(parts) => parts.0.class.max(parts.1.class),
        Op::Comma(parts) => parts.0.class.max(parts.1.class).max(Class::Plain),
        Op::Field(base, ..) => base.class,
        Op::Iterate(base, _) => base.class.max(Class::Plain),
        Op::Index(parts, _) => match parts.1.class {
            Class::Simple => parts.0.class,
            _ => Class::General,
        },
        Op::Slice(parts, _) => single([&parts.0, &parts.1, &parts.2]),
        Op::Array(inner) | Op::First(inner) => match inner.class {
            Class::General => Class::General,
            _ => Class::Simple,
        },
        Op::Object(pairs) => single(pairs.iter().flat_map(|(key, value)| [key, value])),
        Op::Text(_, pieces) => single(pieces.iter().filter_map(|piece| match piece {
            Piece::Value(term) => Some(term),
            Piece::Plain(_) => None,
        })),
        Op::Negate(inner) | Op::Error(inner) | Op::GetPath(inner) => single([&**inner]),
        Op::Binary(_, parts) | Op::And(parts) | Op::Or(parts) => single([&parts.0, &parts.1]),
        Op::Alt(parts) => single([&parts.0, &parts.1]),
        Op::If(parts) => match parts.0.class {
            Class::Simple => parts.1.class.max(parts.2.class),
            _ => Class::General,
        },
        Op::Try(body, handler) => match handler {
            None => single([&**body]),
            Some(handler) => single([&**body, &**handler]),
        },
        Op::Reduce(parts) => {
            let inner = single([&parts.init, &parts.update]);
            match (inner, parts.source.class) {
                (Class::Simple, Class::Simple | Class::Plain) if single_pattern(&parts.pattern) => Class::Simple,
                _ => Class::General,
            }
        }
        Op::Foreach(_) => Class::General,
        Op::Bind(parts) => match parts.0.class {
            Class::Simple if single_pattern(&parts.1) => parts.2.class,
            _ => Class::General,
        },
        Op::Native(_, args) => single(args),
        Op::Range(parts) => match single([&parts.0, &parts.1]) {
            Class::Simple => Class::Plain,
            _ => Class::General,
        },
    }
}
