//! The evaluator: a term, its slots, an input, a continuation, and a stack of alternatives to come back to.
//!
//! Nothing of a filter's own depth is on the machine's stack: continuations and alternatives live in memory, and a call
//! in the last place adds neither. What needs neither goes straight through [`super::direct`].
//! Paths are tracked as jq does it: by the identity of the value that the path has led to.

mod paths;

use std::rc::Rc;

use super::env::{Choice, Cont, Env, Frame, Goal, Link, Matching, Slot, Track, Tracked, bind, leave, path, slot};
use super::ops;
use super::term::{Arg, Class, Destructure, Op, Pattern, Program, Term};
use crate::builtins::{Context, Facts};
use crate::host::{Host, Outcome, Stop};
use crate::value::{Map, Value};

/// Alternatives that may wait; each takes some hundred bytes.
const MAX_CHOICES: usize = 1 << 24;

/// Why an evaluation ended without a value.
#[derive(Debug)]
pub(crate) enum Fault {
    /// An error, which `try` catches.
    Error(Value),
    /// `halt` and `halt_error`.
    Halt(i32, Option<Value>),
    /// The receiver of outputs has enough.
    Enough,
}

impl From<Value> for Fault {
    fn from(value: Value) -> Fault {
        Fault::Error(value)
    }
}

/// Runs a filter on one input.
pub(crate) fn run(
    program: &Program,
    facts: &mut Facts,
    input: Value,
    host: &mut dyn Host,
    emit: &mut dyn FnMut(Value) -> Result<(), Stop>,
) -> Outcome {
    let context = Context { facts, host };
    let mut machine = Machine { program, context, choices: Vec::new(), cont: None, track: None };
    let mut state = State::Eval(&program.main, None, input);
    loop {
        state = match state {
            State::Eval(term, env, input) => machine.eval(term, env, input),
            State::Give(value) => match machine.cont.take() {
                Some(link) => machine.step(link, value),
                None => match emit(value) {
                    Ok(()) => State::Back,
                    Err(Stop) => return Outcome::Stopped,
                },
            },
            State::Match(matching) => machine.matching(matching),
            State::Back => match machine.back() {
                Some(state) => state,
                None => return Outcome::Done,
            },
            State::Raise(Fault::Error(error)) => match machine.raise(error) {
                Ok(state) => state,
                Err(error) => return Outcome::Error(error),
            },
            State::Raise(Fault::Halt(status, message)) => return Outcome::Halt { status, message },
            State::Raise(Fault::Enough) => State::Back,
        };
        if machine.choices.len() > MAX_CHOICES {
            return Outcome::Error("too many alternatives".into());
        }
    }
}

enum State<'p> {
    Eval(&'p Term, Env<'p>, Value),
    Give(Value),
    Match(Box<Matching<'p>>),
    Back,
    Raise(Fault),
}

fn raise<'p>(message: impl Into<String>) -> State<'p> {
    State::Raise(Fault::Error(Value::from(message.into())))
}

/// The state, and the evaluation of simple terms.
pub(super) struct Machine<'p, 'h> {
    pub(super) program: &'p Program,
    pub(super) context: Context<'h>,
    choices: Vec<Choice<'p>>,
    cont: Cont<'p>,
    track: Track,
}

impl<'p> Machine<'p, '_> {
    fn push(&mut self, frame: Frame<'p>) {
        self.cont = Some(Rc::new(Link { frame, next: self.cont.take() }));
    }

    /// The value in hand, or the way back.
    fn given(&mut self, result: Result<Option<Value>, Fault>) -> State<'p> {
        match result {
            Ok(Some(value)) => State::Give(value),
            Ok(None) => State::Back,
            Err(fault) => State::Raise(fault),
        }
    }

    /// Evaluates a part whose paths do not count; `frame` gets its value and brings the path back.
    fn part(&mut self, frame: Frame<'p>, term: &'p Term, env: Env<'p>, input: Value) -> State<'p> {
        self.push(frame);
        self.track = None;
        State::Eval(term, env, input)
    }

    fn eval(&mut self, term: &'p Term, env: Env<'p>, input: Value) -> State<'p> {
        if term.class == Class::Simple && (self.track.is_none() || outside_paths(&term.op)) {
            let result = self.direct(term, &env, input);
            return self.given(result);
        }
        let op = &term.op;
        match op {
            Op::Identity => State::Give(input),
            Op::Empty => State::Back,
            Op::Const(value) => State::Give(value.clone()),
            Op::Var(at) => match slot(&env, *at) {
                Some(Slot::Value(value)) => State::Give(value.clone()),
                _ => raise("no such variable"),
            },
            Op::Closure(at) => match slot(&env, *at) {
                Some(Slot::Closure(term, env)) => State::Eval(term, env.clone(), input),
                _ => raise("no such parameter"),
            },
            Op::Pipe(parts) => {
                self.push(Frame::Then(&parts.1, env.clone()));
                State::Eval(&parts.0, env, input)
            }
            Op::Comma(parts) => {
                let choice = Choice::Eval {
                    term: &parts.1,
                    env: env.clone(),
                    input: input.clone(),
                    cont: self.cont.clone(),
                    track: self.track.clone(),
                };
                self.choices.push(choice);
                State::Eval(&parts.0, env, input)
            }
            Op::Field(base, key, optional) => {
                self.push(Frame::Field(key, *optional));
                State::Eval(base, env, input)
            }
            Op::Index(parts, optional) => {
                let track = self.track.clone();
                let frame =
                    Frame::Base { base: &parts.0, env: env.clone(), input: input.clone(), track, optional: *optional };
                self.part(frame, &parts.1, env, input)
            }
            Op::Slice(parts, _) => {
                let track = self.track.clone();
                let frame = Frame::SliceStart { op, env: env.clone(), input: input.clone(), track };
                self.part(frame, &parts.1, env, input)
            }
            Op::Iterate(base, optional) => {
                self.push(Frame::Iterate(*optional));
                State::Eval(base, env, input)
            }
            Op::Array(inner) => {
                let choice = Choice::Collect { items: Vec::new(), cont: self.cont.take(), track: self.track.clone() };
                let mark = self.choices.len();
                self.choices.push(choice);
                self.push(Frame::Collect(mark));
                State::Eval(inner, env, input)
            }
            Op::Object(pairs) => self.object(pairs, 0, Map::new(), env, input),
            // With parts that are simple it would not be here.
            Op::Text(..) => raise("not a simple string"),
            Op::Negate(inner) => {
                self.push(Frame::Negate);
                State::Eval(inner, env, input)
            }
            Op::Binary(_, parts) => {
                let track = self.track.clone();
                let frame = Frame::BinaryRight { op, env: env.clone(), input: input.clone(), track };
                self.part(frame, &parts.1, env, input)
            }
            Op::And(parts) | Op::Or(parts) => {
                self.push(Frame::Logic { op, env: env.clone(), input: input.clone() });
                State::Eval(&parts.0, env, input)
            }
            Op::Alt(parts) => {
                let mark = self.choices.len();
                self.choices.push(Choice::Alt {
                    right: &parts.1,
                    env: env.clone(),
                    input: input.clone(),
                    cont: self.cont.clone(),
                    track: self.track.clone(),
                    found: false,
                });
                self.push(Frame::Alt(mark));
                State::Eval(&parts.0, env, input)
            }
            Op::If(parts) => {
                let (then, otherwise) = (&parts.1, &parts.2);
                if parts.0.class == Class::Simple {
                    return match self.direct(&parts.0, &env, input.clone()) {
                        Ok(Some(value)) if value.is_truthy() => State::Eval(then, env, input),
                        Ok(Some(_)) => State::Eval(otherwise, env, input),
                        Ok(None) => State::Back,
                        Err(fault) => State::Raise(fault),
                    };
                }
                let track = self.track.clone();
                let frame = Frame::Branch { then, otherwise, env: env.clone(), input: input.clone(), track };
                self.part(frame, &parts.0, env, input)
            }
            Op::Try(body, handler) => {
                let mark = self.choices.len();
                self.choices.push(Choice::Try {
                    handler: handler.as_deref(),
                    env: env.clone(),
                    cont: self.cont.clone(),
                    track: self.track.clone(),
                });
                self.push(Frame::TryDone(mark));
                State::Eval(body, env, input)
            }
            Op::Reduce(parts) | Op::Foreach(parts) => {
                self.push(Frame::ReduceInit { op, env: env.clone(), input: input.clone() });
                State::Eval(&parts.init, env, input)
            }
            Op::Bind(parts) => {
                let track = self.track.clone();
                let frame = Frame::Bind { op, env: env.clone(), input: input.clone(), track };
                self.part(frame, &parts.0, env, input)
            }
            Op::Label(body) => {
                let inner = bind(&env, Slot::Label(self.choices.len()));
                State::Eval(body, inner, input)
            }
            Op::Break(at) => match slot(&env, *at) {
                Some(Slot::Label(mark)) => {
                    self.choices.truncate(*mark);
                    State::Back
                }
                _ => raise("break"),
            },
            Op::Call(number, levels, args) => {
                let Some(Some(func)) = self.program.funcs.get(*number) else { return raise("no such function") };
                let mut inner = leave(&env, *levels);
                for arg in args {
                    inner = match arg {
                        Arg::Filter(term) => bind(&inner, Slot::Closure(term, env.clone())),
                        Arg::Slot(at) => match slot(&env, *at) {
                            Some(Slot::Closure(term, env)) => bind(&inner, Slot::Closure(term, env.clone())),
                            _ => return raise("no such parameter"),
                        },
                    };
                }
                State::Eval(&func.body, inner, input)
            }
            Op::Native(native, args) => {
                let first = if native.last_first { args.last() } else { args.first() };
                match first {
                    None => {
                        let result = native.call(&mut self.context, input, &[]);
                        self.given(result.map(Some))
                    }
                    Some(first) => {
                        let track = self.track.clone();
                        let frame =
                            Frame::NativeArg { op, env: env.clone(), input: input.clone(), track, done: Vec::new() };
                        self.part(frame, first, env, input)
                    }
                }
            }
            Op::Error(inner) => {
                self.push(Frame::Error);
                State::Eval(inner, env, input)
            }
            Op::Path(inner) => {
                let outer = self.track.take();
                self.push(Frame::PathEnd(outer));
                self.track = Some(Rc::new(Tracked { keys: None, at: input.clone() }));
                State::Eval(inner, env, input)
            }
            Op::GetPath(inner) => {
                let track = self.track.clone();
                self.part(Frame::GetPath { input: input.clone(), track }, inner, env, input)
            }
            Op::Assign(parts) => {
                let track = self.track.clone();
                let frame = Frame::AssignValue { op, env: env.clone(), input: input.clone(), track };
                self.part(frame, &parts.1, env, input)
            }
            Op::Modify(parts) => {
                let mark = self.choices.len();
                self.choices.push(Choice::Modify {
                    state: input.clone(),
                    deleted: Vec::new(),
                    cont: self.cont.take(),
                    track: self.track.take(),
                });
                self.push(Frame::ModifyStep { mark, update: &parts.1, env: env.clone() });
                self.track = Some(Rc::new(Tracked { keys: None, at: input.clone() }));
                State::Eval(&parts.0, env, input)
            }
            Op::First(inner) => {
                self.push(Frame::First(self.choices.len()));
                State::Eval(inner, env, input)
            }
            Op::Range(parts) => {
                let track = self.track.clone();
                let frame = Frame::RangeStart { op, env: env.clone(), input: input.clone(), track };
                self.part(frame, &parts.0, env, input)
            }
        }
    }

    /// The next member of an object.
    fn object(&mut self, pairs: &'p [(Term, Term)], at: usize, map: Map, env: Env<'p>, input: Value) -> State<'p> {
        match pairs.get(at) {
            None => State::Give(Value::object(map)),
            Some((key, _)) => {
                let track = self.track.clone();
                let frame = Frame::ObjectKey { pairs, at, map, env: env.clone(), input: input.clone(), track };
                self.part(frame, key, env, input)
            }
        }
    }

    /// Hands a value to the next step.
    fn step(&mut self, link: Rc<Link<'p>>, value: Value) -> State<'p> {
        let frame = match Rc::try_unwrap(link) {
            Ok(mut link) => {
                self.cont = link.next.take();
                std::mem::replace(&mut link.frame, Frame::Truth)
            }
            Err(link) => {
                self.cont = link.next.clone();
                link.frame.clone()
            }
        };
        match frame {
            Frame::Then(term, env) => State::Eval(term, env, value),
            Frame::Base { base, env, input, track, optional } => {
                self.track = track;
                self.push(Frame::Index(value, optional));
                State::Eval(base, env, input)
            }
            Frame::Index(key, optional) => self.index(&value, &key, optional),
            Frame::Field(key, optional) => self.index(&value, key, optional),
            Frame::SliceStart { op, env, input, track } => {
                let Op::Slice(parts, _) = op else { return State::Back };
                let frame = Frame::SliceEnd { op, env: env.clone(), input: input.clone(), track, start: value };
                self.part(frame, &parts.2, env, input)
            }
            Frame::SliceEnd { op, env, input, track, start } => {
                let Op::Slice(parts, optional) = op else { return State::Back };
                self.track = track;
                self.push(Frame::Slice(start, value, *optional));
                State::Eval(&parts.0, env, input)
            }
            Frame::Slice(start, end, optional) => self.index(&value, &ops::slice_key(start, end), optional),
            Frame::Iterate(optional) => self.iterate(value, optional),
            Frame::Collect(mark) => {
                if let Some(Choice::Collect { items, .. }) = self.choices.get_mut(mark) {
                    items.push(value);
                }
                State::Back
            }
            Frame::ObjectKey { pairs, at, map, env, input, track } => {
                let key = match value {
                    Value::String(key) => key,
                    other => return State::Raise(Fault::Error(key_error(&other))),
                };
                let Some((_, member)) = pairs.get(at) else { return State::Back };
                let frame = Frame::ObjectValue { pairs, at, map, key, env: env.clone(), input: input.clone(), track };
                self.part(frame, member, env, input)
            }
            Frame::ObjectValue { pairs, at, mut map, key, env, input, track } => {
                self.track = track;
                map.insert(key, value);
                self.object(pairs, at + 1, map, env, input)
            }
            Frame::Negate => match ops::negate(value) {
                Ok(value) => State::Give(value),
                Err(error) => State::Raise(error.into()),
            },
            Frame::BinaryRight { op, env, input, track } => {
                let Op::Binary(_, parts) = op else { return State::Back };
                self.part(Frame::BinaryLeft { op, right: value, track }, &parts.0, env, input)
            }
            Frame::BinaryLeft { op, right, track } => {
                self.track = track;
                let Op::Binary(op, _) = op else { return State::Back };
                match ops::binary(*op, value, right) {
                    Ok(value) => State::Give(value),
                    Err(error) => State::Raise(error.into()),
                }
            }
            Frame::Logic { op, env, input } => {
                let (Op::And(parts) | Op::Or(parts)) = op else { return State::Back };
                let decided = matches!(op, Op::Or(_));
                if value.is_truthy() == decided {
                    return State::Give(Value::Bool(decided));
                }
                self.push(Frame::Truth);
                State::Eval(&parts.1, env, input)
            }
            Frame::Truth => State::Give(Value::Bool(value.is_truthy())),
            Frame::Alt(mark) => {
                if !value.is_truthy() {
                    return State::Back;
                }
                if let Some(Choice::Alt { found, .. }) = self.choices.get_mut(mark) {
                    *found = true;
                }
                State::Give(value)
            }
            Frame::Branch { then, otherwise, env, input, track } => {
                self.track = track;
                State::Eval(if value.is_truthy() { then } else { otherwise }, env, input)
            }
            Frame::TryDone(mark) => {
                // Where nothing of the body is left to come back to, the `try` itself is done.
                if self.choices.len() == mark + 1 {
                    self.choices.pop();
                } else {
                    self.choices.push(Choice::TryExit(mark));
                }
                State::Give(value)
            }
            Frame::Bind { op, env, input, track } => {
                self.track = track;
                let Op::Bind(parts) = op else { return State::Back };
                if let ([Pattern::Var(0)], 1) = (parts.1.patterns.as_slice(), parts.1.variables) {
                    return State::Eval(&parts.2, bind(&env, Slot::Value(value)), input);
                }
                self.destructure(&parts.1, 0, op, env, value, Goal::Body(&parts.2, input))
            }
            Frame::Key(mut matching, track) => {
                self.track = track;
                let Some((pattern @ Pattern::Object(members), at, object)) = matching.todo.pop() else {
                    return State::Back;
                };
                let Some((name, _, inner)) = members.get(at) else { return State::Back };
                let member = match ops::index(&object, &value) {
                    Ok(member) => member,
                    Err(error) => return State::Raise(error.into()),
                };
                if let Some(place) = name.and_then(|name| matching.bound.get_mut(name)) {
                    *place = member.clone();
                }
                matching.todo.push((pattern, at + 1, object));
                if let Some(inner) = inner {
                    matching.todo.push((inner, 0, member));
                }
                State::Match(matching)
            }
            Frame::ReduceInit { op, env, input } => self.start_loop(op, env, input, value),
            Frame::Source { op, env, mark } => {
                let (Op::Reduce(parts) | Op::Foreach(parts)) = op else { return State::Back };
                let goal = match op {
                    Op::Reduce(_) => Goal::Reduce(&parts.update, mark),
                    _ => Goal::Foreach(&parts.update, parts.extract.as_ref(), mark),
                };
                if let ([Pattern::Var(0)], 1) = (parts.pattern.patterns.as_slice(), parts.pattern.variables) {
                    return self.reach(goal, bind(&env, Slot::Value(value)));
                }
                self.destructure(&parts.pattern, 0, op, env, value, goal)
            }
            Frame::ReduceStep(mark) => {
                if let Some(Choice::Reduce { state, .. }) = self.choices.get_mut(mark) {
                    *state = value;
                }
                State::Back
            }
            Frame::ForeachStep { extract, env, mark } => {
                if let Some(Choice::Foreach { state }) = self.choices.get_mut(mark) {
                    *state = value.clone();
                }
                match extract {
                    Some(extract) => State::Eval(extract, env, value),
                    None => State::Give(value),
                }
            }
            Frame::NativeArg { op, env, input, track, mut done } => {
                let Op::Native(native, args) = op else { return State::Back };
                done.push(value);
                let next = if native.last_first {
                    args.len().checked_sub(done.len() + 1).and_then(|at| args.get(at))
                } else {
                    args.get(done.len())
                };
                if let Some(next) = next {
                    let frame = Frame::NativeArg { op, env: env.clone(), input: input.clone(), track, done };
                    return self.part(frame, next, env, input);
                }
                self.track = track;
                if native.last_first {
                    done.reverse();
                }
                let result = native.call(&mut self.context, input, &done);
                self.given(result.map(Some))
            }
            Frame::Error => State::Raise(Fault::Error(value)),
            Frame::PathEnd(outer) => {
                if let Some(error) = self.not_a_path(&value) {
                    return error;
                }
                let keys = self.track.take().and_then(|track| track.keys.clone());
                self.track = outer;
                State::Give(Value::array(path(&keys)))
            }
            Frame::GetPath { input, track } => {
                self.track = track;
                self.get_path(&input, &value)
            }
            Frame::AssignValue { op, env, input, track } => {
                let Op::Assign(parts) = op else { return State::Back };
                let mark = self.choices.len();
                self.choices.push(Choice::Reduce { state: input.clone(), cont: self.cont.take(), track });
                self.push(Frame::AssignStep { mark, value });
                self.track = Some(Rc::new(Tracked { keys: None, at: input.clone() }));
                State::Eval(&parts.0, env, input)
            }
            Frame::AssignStep { mark, value: new } => {
                if let Some(error) = self.not_a_path(&value) {
                    return error;
                }
                let keys = self.track.take().and_then(|track| track.keys.clone());
                let Some(Choice::Reduce { state, .. }) = self.choices.get_mut(mark) else { return State::Back };
                let root = std::mem::take(state);
                match ops::set_path(root, &Value::array(path(&keys)), new) {
                    Ok(changed) => {
                        *state = changed;
                        State::Back
                    }
                    Err(error) => State::Raise(error.into()),
                }
            }
            Frame::ModifyStep { mark, update, env } => {
                if let Some(error) = self.not_a_path(&value) {
                    return error;
                }
                drop(value);
                let keys = self.track.take().and_then(|track| track.keys.clone());
                self.modify(mark, update, env, keys)
            }
            Frame::ModifyDone { mark, keys } => self.modified(mark, &keys, value),
            Frame::First(mark) => {
                self.choices.truncate(mark);
                State::Give(value)
            }
            Frame::RangeStart { op, env, input, track } => {
                let Op::Range(parts) = op else { return State::Back };
                self.part(Frame::RangeEnd { start: value, track }, &parts.1, env, input)
            }
            Frame::RangeEnd { start, track } => {
                self.track = track;
                match (start.as_f64(), value.as_f64()) {
                    (Some(at), Some(end)) => self.range(at, end, start),
                    _ => raise("Range bounds must be numeric"),
                }
            }
        }
    }

    fn range(&mut self, at: f64, end: f64, first: Value) -> State<'p> {
        if at.is_nan() || at >= end {
            return State::Back;
        }
        if at + 1.0 < end {
            let (cont, track) = (self.cont.clone(), self.track.clone());
            self.choices.push(Choice::Range { at: at + 1.0, end, cont, track });
        }
        State::Give(first)
    }

    fn start_loop(&mut self, op: &'p Op, env: Env<'p>, input: Value, state: Value) -> State<'p> {
        let (Op::Reduce(parts) | Op::Foreach(parts)) = op else { return State::Back };
        let mark = self.choices.len();
        let choice = match op {
            Op::Reduce(_) => Choice::Reduce { state, cont: self.cont.take(), track: self.track.clone() },
            _ => Choice::Foreach { state },
        };
        self.choices.push(choice);
        self.push(Frame::Source { op, env: env.clone(), mark });
        State::Eval(&parts.source, env, input)
    }

    /// Begins with one of the patterns; the next one waits for an error.
    fn destructure(
        &mut self,
        patterns: &'p Destructure,
        at: usize,
        op: &'p Op,
        env: Env<'p>,
        value: Value,
        goal: Goal<'p>,
    ) -> State<'p> {
        let Some(pattern) = patterns.patterns.get(at) else { return State::Back };
        if at + 1 < patterns.patterns.len() {
            self.choices.push(Choice::Pattern {
                op,
                next: at + 1,
                env: env.clone(),
                value: value.clone(),
                goal: goal.clone(),
                cont: self.cont.clone(),
                track: self.track.clone(),
            });
        }
        let bound = vec![Value::Null; patterns.variables];
        State::Match(Box::new(Matching { env, bound, todo: vec![(pattern, 0, value)], goal }))
    }

    /// The next pattern against its value.
    fn matching(&mut self, mut matching: Box<Matching<'p>>) -> State<'p> {
        let Some((pattern, at, value)) = matching.todo.pop() else {
            let env = matching.bound.into_iter().fold(matching.env, |env, value| bind(&env, Slot::Value(value)));
            return self.reach(matching.goal, env);
        };
        match pattern {
            Pattern::Var(name) => {
                if let Some(place) = matching.bound.get_mut(*name) {
                    *place = value;
                }
            }
            Pattern::Array(items) => {
                for (at, item) in items.iter().enumerate().rev() {
                    match ops::index(&value, &Value::number(at as f64)) {
                        Ok(inner) => matching.todo.push((item, 0, inner)),
                        Err(error) => return State::Raise(error.into()),
                    }
                }
            }
            Pattern::Object(members) => {
                if let Some((_, key, _)) = members.get(at) {
                    let env = matching
                        .bound
                        .iter()
                        .fold(matching.env.clone(), |env, value| bind(&env, Slot::Value(value.clone())));
                    matching.todo.push((pattern, at, value.clone()));
                    let track = self.track.clone();
                    return self.part(Frame::Key(matching, track), key, env, value);
                }
            }
        }
        State::Match(matching)
    }

    /// Goes on with everything bound.
    fn reach(&mut self, goal: Goal<'p>, env: Env<'p>) -> State<'p> {
        match goal {
            Goal::Body(body, input) => State::Eval(body, env, input),
            Goal::Reduce(update, mark) => {
                let state = match self.choices.get_mut(mark) {
                    Some(Choice::Reduce { state, .. }) => std::mem::take(state),
                    _ => return State::Back,
                };
                self.push(Frame::ReduceStep(mark));
                State::Eval(update, env, state)
            }
            Goal::Foreach(update, extract, mark) => {
                let state = match self.choices.get_mut(mark) {
                    Some(Choice::Foreach { state }) => std::mem::take(state),
                    _ => return State::Back,
                };
                self.push(Frame::ForeachStep { extract, env: env.clone(), mark });
                State::Eval(update, env, state)
            }
        }
    }

    /// The last alternative; `None` when there is none.
    fn back(&mut self) -> Option<State<'p>> {
        Some(match self.choices.pop()? {
            Choice::Eval { term, env, input, cont, track } => {
                (self.cont, self.track) = (cont, track);
                State::Eval(term, env, input)
            }
            Choice::Iterate { container, at, cont, track } => {
                (self.cont, self.track) = (cont, track);
                self.next_item(container, at)
            }
            Choice::Range { at, end, cont, track } => {
                (self.cont, self.track) = (cont, track);
                self.range(at, end, Value::number(at))
            }
            Choice::Try { .. } | Choice::TryExit(_) | Choice::Foreach { .. } | Choice::Pattern { .. } => State::Back,
            Choice::Alt { found: true, .. } => State::Back,
            Choice::Alt { right, env, input, cont, track, .. } => {
                (self.cont, self.track) = (cont, track);
                State::Eval(right, env, input)
            }
            Choice::Collect { items, cont, track } => {
                (self.cont, self.track) = (cont, track);
                State::Give(Value::array(items))
            }
            Choice::Reduce { state, cont, track } => {
                (self.cont, self.track) = (cont, track);
                State::Give(state)
            }
            Choice::Modify { state, deleted, cont, track } => {
                (self.cont, self.track) = (cont, track);
                if deleted.is_empty() {
                    return Some(State::Give(state));
                }
                match ops::delete_paths(state, &Value::array(deleted)) {
                    Ok(value) => State::Give(value),
                    Err(error) => State::Raise(error.into()),
                }
            }
            Choice::ModifyEmpty { mark, keys } => self.unmodified(mark, &keys),
        })
    }

    /// Looks for who catches an error.
    fn raise(&mut self, error: Value) -> Result<State<'p>, Value> {
        while let Some(choice) = self.choices.pop() {
            match choice {
                Choice::TryExit(mark) => self.choices.truncate(mark),
                Choice::Try { handler, env, cont, track } => {
                    (self.cont, self.track) = (cont, track);
                    return Ok(match handler {
                        Some(handler) => State::Eval(handler, env, error),
                        None => State::Back,
                    });
                }
                Choice::Pattern { op, next, env, value, goal, cont, track } => {
                    (self.cont, self.track) = (cont, track);
                    let patterns = match op {
                        Op::Bind(parts) => &parts.1,
                        Op::Reduce(parts) | Op::Foreach(parts) => &parts.pattern,
                        _ => continue,
                    };
                    return Ok(self.destructure(patterns, next, op, env, value, goal));
                }
                _ => {}
            }
        }
        Err(error)
    }
}

/// Operations that leave the tracked path as it is, whatever their parts do.
fn outside_paths(op: &Op) -> bool {
    matches!(op, Op::Const(_) | Op::Var(_) | Op::Binary(..) | Op::Object(_) | Op::Text(..) | Op::Native(..))
}

/// The error of a key that is no string.
pub(super) fn key_error(key: &Value) -> Value {
    format!("Cannot use {} as object key", crate::builtins::text::shown(key)).into()
}

/// The error of `.[]`.
pub(super) fn not_iterable(value: &Value) -> Value {
    format!("Cannot iterate over {}", crate::builtins::text::shown(value)).into()
}
