//! Straight evaluation of terms that need no alternatives: most of what filters are made of.
//!
//! The stack it takes is bounded by the nesting of the filter's text, for nothing here calls a function of the filter.

use super::ast::BinOp;
use super::env::{Env, Slot, bind, slot};
use super::machine::{Fault, Machine, key_error, not_iterable};
use super::ops;
use super::term::{Class, Op, Piece, Term};
use crate::builtins;
use crate::value::{List, Map, Value};

/// A receiver of outputs.
type Sink<'s, 'p, 'h> = dyn FnMut(&mut Machine<'p, 'h>, Value) -> Result<(), Fault> + 's;

/// Part of the input or of the filter that a term stands for, without taking hold of it.
fn peek<'v>(term: &'v Term, input: &'v Value) -> Option<&'v Value> {
    match &term.op {
        Op::Identity => Some(input),
        Op::Const(value) => Some(value),
        Op::Field(base, Value::String(key), _) => match peek(base, input)? {
            Value::Object(map) => map.get(key),
            _ => None,
        },
        _ => None,
    }
}

impl<'p, 'h> Machine<'p, 'h> {
    /// The output of a simple term; `None` for none.
    pub(super) fn direct(&mut self, term: &'p Term, env: &Env<'p>, input: Value) -> Result<Option<Value>, Fault> {
        Ok(Some(match &term.op {
            Op::Identity => input,
            Op::Empty => return Ok(None),
            Op::Const(value) => value.clone(),
            Op::Var(at) => match slot(env, *at) {
                Some(Slot::Value(value)) => value.clone(),
                _ => return Err(Fault::Error("no such variable".into())),
            },
            Op::Pipe(parts) => match self.direct(&parts.0, env, input)? {
                Some(value) => return self.direct(&parts.1, env, value),
                None => return Ok(None),
            },
            Op::Field(base, key, optional) => {
                if let Some(value) = peek(term, &input) {
                    return Ok(Some(value.clone()));
                }
                let Some(base) = self.direct(base, env, input)? else { return Ok(None) };
                match ops::index(&base, key) {
                    Ok(value) => value,
                    Err(_) if *optional => return Ok(None),
                    Err(error) => return Err(error.into()),
                }
            }
            Op::Index(parts, optional) => {
                let Some(key) = self.direct(&parts.1, env, input.clone())? else { return Ok(None) };
                let Some(base) = self.direct(&parts.0, env, input)? else { return Ok(None) };
                match ops::index(&base, &key) {
                    Ok(value) => value,
                    Err(_) if *optional => return Ok(None),
                    Err(error) => return Err(error.into()),
                }
            }
            Op::Slice(parts, optional) => {
                let Some(start) = self.direct(&parts.1, env, input.clone())? else { return Ok(None) };
                let Some(end) = self.direct(&parts.2, env, input.clone())? else { return Ok(None) };
                let Some(base) = self.direct(&parts.0, env, input)? else { return Ok(None) };
                match ops::slice(&base, &start, &end) {
                    Ok(value) => value,
                    Err(_) if *optional => return Ok(None),
                    Err(error) => return Err(error.into()),
                }
            }
            Op::Array(inner) => {
                let mut items = Vec::new();
                self.each(inner, env, input, &mut |_, value| {
                    items.push(value);
                    Ok(())
                })?;
                Value::array(items)
            }
            Op::Object(pairs) => {
                let mut map = Map::with_capacity(pairs.len());
                for (key, value) in pairs {
                    let key = match self.direct(key, env, input.clone())? {
                        Some(Value::String(key)) => key,
                        Some(other) => return Err(Fault::Error(key_error(&other))),
                        None => return Ok(None),
                    };
                    let Some(value) = self.direct(value, env, input.clone())? else { return Ok(None) };
                    map.insert(key, value);
                }
                Value::object(map)
            }
            Op::Text(format, pieces) => return self.text(format, pieces, env, &input),
            Op::Negate(inner) => match self.direct(inner, env, input)? {
                Some(value) => ops::negate(value)?,
                None => return Ok(None),
            },
            Op::Binary(op, parts) => {
                if !matches!(op, BinOp::Add | BinOp::Sub | BinOp::Mul | BinOp::Div | BinOp::Mod)
                    && let (Some(left), Some(right)) = (peek(&parts.0, &input), peek(&parts.1, &input))
                {
                    return Ok(Some(Value::Bool(ops::compare(*op, left, right)?)));
                }
                let Some(right) = self.direct(&parts.1, env, input.clone())? else { return Ok(None) };
                // The input is moved, so that a sum that grows is changed in place.
                let Some(left) = self.direct(&parts.0, env, input)? else { return Ok(None) };
                ops::binary(*op, left, right)?
            }
            Op::And(parts) | Op::Or(parts) => {
                let decided = matches!(&term.op, Op::Or(_));
                let Some(left) = self.direct(&parts.0, env, input.clone())? else { return Ok(None) };
                if left.is_truthy() == decided {
                    return Ok(Some(Value::Bool(decided)));
                }
                let Some(right) = self.direct(&parts.1, env, input)? else { return Ok(None) };
                Value::Bool(right.is_truthy())
            }
            Op::Alt(parts) => match self.direct(&parts.0, env, input.clone())? {
                Some(value) if value.is_truthy() => value,
                _ => return self.direct(&parts.1, env, input),
            },
            Op::If(parts) => {
                let truth = match peek(&parts.0, &input) {
                    Some(value) => value.is_truthy(),
                    None => match self.direct(&parts.0, env, input.clone())? {
                        Some(value) => value.is_truthy(),
                        None => return Ok(None),
                    },
                };
                return self.direct(if truth { &parts.1 } else { &parts.2 }, env, input);
            }
            Op::Try(body, handler) => match (self.direct(body, env, input), handler) {
                (Err(Fault::Error(error)), Some(handler)) => return self.direct(handler, env, error),
                (Err(Fault::Error(_)), None) => return Ok(None),
                (result, _) => return result,
            },
            Op::Reduce(parts) => {
                let Some(mut state) = self.direct(&parts.init, env, input.clone())? else { return Ok(None) };
                let update = &parts.update;
                self.each(&parts.source, env, input, &mut |machine, value| {
                    let inner = bind(env, Slot::Value(value));
                    state = machine.direct(update, &inner, std::mem::take(&mut state))?.unwrap_or_default();
                    Ok(())
                })?;
                state
            }
            Op::Bind(parts) => {
                let Some(value) = self.direct(&parts.0, env, input.clone())? else { return Ok(None) };
                return self.direct(&parts.2, &bind(env, Slot::Value(value)), input);
            }
            Op::Native(native, args) => {
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    let Some(value) = self.direct(arg, env, input.clone())? else { return Ok(None) };
                    values.push(value);
                }
                native.call(&mut self.context, input, &values)?
            }
            Op::Error(inner) => match self.direct(inner, env, input)? {
                Some(value) => return Err(Fault::Error(value)),
                None => return Ok(None),
            },
            Op::GetPath(inner) => {
                let Some(keys) = self.direct(inner, env, input.clone())? else { return Ok(None) };
                ops::get_path(&input, &keys)?
            }
            Op::First(inner) => {
                let mut first = None;
                let result = self.each(inner, env, input, &mut |_, value| {
                    first = Some(value);
                    Err(Fault::Enough)
                });
                return match (result, first) {
                    (Err(Fault::Enough) | Ok(()), first) => Ok(first),
                    (Err(fault), _) => Err(fault),
                };
            }
            _ => return Err(Fault::Error("not a simple term".into())),
        }))
    }

    fn text(
        &mut self,
        format: &std::rc::Rc<str>,
        pieces: &'p [Piece],
        env: &Env<'p>,
        input: &Value,
    ) -> Result<Option<Value>, Fault> {
        let mut text = String::new();
        // From the last to the first, as jq evaluates them: the first complaint is that of the last piece.
        let mut values = Vec::with_capacity(pieces.len());
        for piece in pieces.iter().rev() {
            values.push(match piece {
                Piece::Plain(_) => None,
                Piece::Value(term) => match self.direct(term, env, input.clone())? {
                    Some(value) => Some(builtins::format(format, &value)?),
                    None => return Ok(None),
                },
            });
        }
        for (piece, value) in pieces.iter().zip(values.iter().rev()) {
            match (piece, value) {
                (Piece::Plain(plain), _) => text.push_str(plain),
                (_, Some(value)) => text.push_str(value),
                _ => {}
            }
        }
        Ok(Some(text.into()))
    }

    /// Hands each output of a plain term to the receiver.
    pub(super) fn each(
        &mut self,
        term: &'p Term,
        env: &Env<'p>,
        input: Value,
        sink: &mut Sink<'_, 'p, 'h>,
    ) -> Result<(), Fault> {
        if term.class == Class::Simple {
            return match self.direct(term, env, input)? {
                Some(value) => sink(self, value),
                None => Ok(()),
            };
        }
        match &term.op {
            Op::Pipe(parts) => {
                let right = &parts.1;
                self.each(&parts.0, env, input, &mut |machine, value| machine.each(right, env, value, sink))
            }
            Op::Comma(parts) => {
                self.each(&parts.0, env, input.clone(), sink)?;
                self.each(&parts.1, env, input, sink)
            }
            Op::Field(base, key, optional) => {
                self.each(base, env, input, &mut |machine, base| match ops::index(&base, key) {
                    Ok(value) => sink(machine, value),
                    Err(_) if *optional => Ok(()),
                    Err(error) => Err(error.into()),
                })
            }
            Op::Index(parts, optional) => {
                let Some(key) = self.direct(&parts.1, env, input.clone())? else { return Ok(()) };
                self.each(&parts.0, env, input, &mut |machine, base| match ops::index(&base, &key) {
                    Ok(value) => sink(machine, value),
                    Err(_) if *optional => Ok(()),
                    Err(error) => Err(error.into()),
                })
            }
            Op::Iterate(base, optional) => {
                self.each(base, env, input, &mut |machine, base| machine.items(base, *optional, sink))
            }
            Op::If(parts) => {
                let Some(condition) = self.direct(&parts.0, env, input.clone())? else { return Ok(()) };
                self.each(if condition.is_truthy() { &parts.1 } else { &parts.2 }, env, input, sink)
            }
            Op::Bind(parts) => {
                let Some(value) = self.direct(&parts.0, env, input.clone())? else { return Ok(()) };
                self.each(&parts.2, &bind(env, Slot::Value(value)), input, sink)
            }
            Op::Range(parts) => {
                let Some(start) = self.direct(&parts.0, env, input.clone())? else { return Ok(()) };
                let Some(end) = self.direct(&parts.1, env, input)? else { return Ok(()) };
                let (Some(mut at), Some(end)) = (start.as_f64(), end.as_f64()) else {
                    return Err(Fault::Error("Range bounds must be numeric".into()));
                };
                let mut first = Some(start);
                while at < end {
                    sink(self, first.take().unwrap_or_else(|| Value::number(at)))?;
                    at += 1.0;
                }
                Ok(())
            }
            _ => Err(Fault::Error("not a plain term".into())),
        }
    }

    /// Hands on each item; those of a container that nobody else holds are moved.
    fn items(&mut self, base: Value, optional: bool, sink: &mut Sink<'_, 'p, 'h>) -> Result<(), Fault> {
        match base {
            Value::Array(list) => {
                for item in List::unshare(list) {
                    sink(self, item)?;
                }
                Ok(())
            }
            Value::Object(map) => {
                for slot in 0..map.slots() {
                    if let Some((_, value)) = map.slot(slot) {
                        sink(self, value.clone())?;
                    }
                }
                Ok(())
            }
            _ if optional => Ok(()),
            other => Err(Fault::Error(not_iterable(&other))),
        }
    }
}
