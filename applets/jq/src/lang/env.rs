//! What lives while a filter runs: slots, continuations, the path being tracked. All are chains that share their tails
//! and are dropped without recursion.

use std::rc::Rc;

use super::term::{Op, Pattern, Term};
use crate::value::{Map, Value};

/// Slots, innermost first.
pub(crate) type Env<'p> = Option<Rc<Slots<'p>>>;

/// One slot and those outside it.
pub(crate) struct Slots<'p> {
    pub(crate) slot: Slot<'p>,
    next: Env<'p>,
}

/// What a slot holds.
pub(crate) enum Slot<'p> {
    Value(Value),
    Closure(&'p Term, Env<'p>),
    /// Alternatives that were there when the label was met.
    Label(usize),
}

/// The slots with one more.
pub(crate) fn bind<'p>(env: &Env<'p>, slot: Slot<'p>) -> Env<'p> {
    Some(Rc::new(Slots { slot, next: env.clone() }))
}

/// The slot at a distance.
pub(crate) fn slot<'e, 'p>(env: &'e Env<'p>, distance: usize) -> Option<&'e Slot<'p>> {
    let mut here = env.as_ref()?;
    for _ in 0..distance {
        here = here.next.as_ref()?;
    }
    Some(&here.slot)
}

/// The slots without so many of the innermost.
pub(crate) fn leave<'p>(env: &Env<'p>, count: usize) -> Env<'p> {
    let mut here = env.as_ref();
    for _ in 0..count {
        here = here.and_then(|slots| slots.next.as_ref());
    }
    here.cloned()
}

impl Drop for Slots<'_> {
    fn drop(&mut self) {
        let mut rest = Vec::new();
        take_apart(self, &mut rest);
        while let Some(chain) = rest.pop() {
            if let Some(mut slots) = Rc::into_inner(chain) {
                take_apart(&mut slots, &mut rest);
            }
        }
    }
}

fn take_apart<'p>(slots: &mut Slots<'p>, rest: &mut Vec<Rc<Slots<'p>>>) {
    rest.extend(slots.next.take());
    if let Slot::Closure(_, env) = &mut slots.slot {
        rest.extend(env.take());
    }
}

/// Where a value goes next.
pub(crate) type Cont<'p> = Option<Rc<Link<'p>>>;

/// One step and those after it.
pub(crate) struct Link<'p> {
    pub(crate) frame: Frame<'p>,
    pub(crate) next: Cont<'p>,
}

impl Drop for Link<'_> {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(link) = next {
            next = Rc::into_inner(link).and_then(|mut link| link.next.take());
        }
    }
}

/// The path that is tracked, with the value that it leads to.
pub(crate) type Track = Option<Rc<Tracked>>;

/// Path and value.
pub(crate) struct Tracked {
    pub(crate) keys: Keys,
    pub(crate) at: Value,
}

/// Keys of a path, last first.
pub(crate) type Keys = Option<Rc<Key>>;

/// A key and those before it.
pub(crate) struct Key {
    pub(crate) key: Value,
    pub(crate) before: Keys,
}

impl Drop for Key {
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(key) = next {
            next = Rc::into_inner(key).and_then(|mut key| key.before.take());
        }
    }
}

/// The keys as an array.
pub(crate) fn path(keys: &Keys) -> Vec<Value> {
    let chain = std::iter::successors(keys.as_deref(), |key| key.before.as_deref());
    let mut path: Vec<Value> = chain.map(|key| key.key.clone()).collect();
    path.reverse();
    path
}

/// How far a pattern has come.
#[derive(Clone)]
pub(crate) struct Matching<'p> {
    pub(crate) env: Env<'p>,
    pub(crate) bound: Vec<Value>,
    /// Patterns with their values, the next one last; of an object, the members from a number on.
    pub(crate) todo: Vec<(&'p Pattern, usize, Value)>,
    pub(crate) goal: Goal<'p>,
}

/// What follows when all is bound.
#[derive(Clone)]
pub(crate) enum Goal<'p> {
    Body(&'p Term, Value),
    Reduce(&'p Term, usize),
    Foreach(&'p Term, Option<&'p Term>, usize),
}

/// A step of a continuation.
#[derive(Clone)]
pub(crate) enum Frame<'p> {
    Then(&'p Term, Env<'p>),
    /// A subexpression has given the key; the base comes next.
    Base {
        base: &'p Term,
        env: Env<'p>,
        input: Value,
        track: Track,
        optional: bool,
    },
    Index(Value, bool),
    Field(&'p Value, bool),
    SliceStart {
        op: &'p Op,
        env: Env<'p>,
        input: Value,
        track: Track,
    },
    SliceEnd {
        op: &'p Op,
        env: Env<'p>,
        input: Value,
        track: Track,
        start: Value,
    },
    Slice(Value, Value, bool),
    Iterate(bool),
    Collect(usize),
    ObjectKey {
        pairs: &'p [(Term, Term)],
        at: usize,
        map: Map,
        env: Env<'p>,
        input: Value,
        track: Track,
    },
    ObjectValue {
        pairs: &'p [(Term, Term)],
        at: usize,
        map: Map,
        key: Rc<str>,
        env: Env<'p>,
        input: Value,
        track: Track,
    },
    Negate,
    BinaryRight {
        op: &'p Op,
        env: Env<'p>,
        input: Value,
        track: Track,
    },
    BinaryLeft {
        op: &'p Op,
        right: Value,
        track: Track,
    },
    Logic {
        op: &'p Op,
        env: Env<'p>,
        input: Value,
    },
    Truth,
    Alt(usize),
    Branch {
        then: &'p Term,
        otherwise: &'p Term,
        env: Env<'p>,
        input: Value,
        track: Track,
    },
    TryDone(usize),
    Bind {
        op: &'p Op,
        env: Env<'p>,
        input: Value,
        track: Track,
    },
    Key(Box<Matching<'p>>, Track),
    ReduceInit {
        op: &'p Op,
        env: Env<'p>,
        input: Value,
    },
    Source {
        op: &'p Op,
        env: Env<'p>,
        mark: usize,
    },
    ReduceStep(usize),
    ForeachStep {
        extract: Option<&'p Term>,
        env: Env<'p>,
        mark: usize,
    },
    NativeArg {
        op: &'p Op,
        env: Env<'p>,
        input: Value,
        track: Track,
        done: Vec<Value>,
    },
    Error,
    PathEnd(Track),
    GetPath {
        input: Value,
        track: Track,
    },
    AssignValue {
        op: &'p Op,
        env: Env<'p>,
        input: Value,
        track: Track,
    },
    AssignStep {
        mark: usize,
        value: Value,
    },
    ModifyStep {
        mark: usize,
        update: &'p Term,
        env: Env<'p>,
    },
    ModifyDone {
        mark: usize,
        keys: Keys,
    },
    First(usize),
    RangeStart {
        op: &'p Op,
        env: Env<'p>,
        input: Value,
        track: Track,
    },
    RangeEnd {
        start: Value,
        track: Track,
    },
}

/// Something to come back to.
pub(crate) enum Choice<'p> {
    Eval {
        term: &'p Term,
        env: Env<'p>,
        input: Value,
        cont: Cont<'p>,
        track: Track,
    },
    Iterate {
        container: Value,
        at: usize,
        cont: Cont<'p>,
        track: Track,
    },
    Range {
        at: f64,
        end: f64,
        cont: Cont<'p>,
        track: Track,
    },
    Try {
        handler: Option<&'p Term>,
        env: Env<'p>,
        cont: Cont<'p>,
        track: Track,
    },
    /// Behind the output of a `try`: errors from there on are not its own.
    TryExit(usize),
    Alt {
        right: &'p Term,
        env: Env<'p>,
        input: Value,
        cont: Cont<'p>,
        track: Track,
        found: bool,
    },
    Collect {
        items: Vec<Value>,
        cont: Cont<'p>,
        track: Track,
    },
    Reduce {
        state: Value,
        cont: Cont<'p>,
        track: Track,
    },
    Foreach {
        state: Value,
    },
    /// Another pattern to try after an error.
    Pattern {
        op: &'p Op,
        next: usize,
        env: Env<'p>,
        value: Value,
        goal: Goal<'p>,
        cont: Cont<'p>,
        track: Track,
    },
    Modify {
        state: Value,
        deleted: Vec<Value>,
        cont: Cont<'p>,
        track: Track,
    },
    /// The update gave nothing.
    ModifyEmpty {
        mark: usize,
        keys: Keys,
    },
}
