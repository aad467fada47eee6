//! The world outside: inputs, messages, the end of the run, modules.

use std::time::{SystemTime, UNIX_EPOCH};

use super::collections::with_one;

use super::{Named, fail, own};
use crate::lang::Fault;
use crate::value::Value;

pub(super) static TABLE: &[Named] = &[
    own("input", 0, |context, _, _| match context.host.next_input() {
        Some(Ok(value)) => Ok(value),
        Some(Err(message)) => fail(message),
        None => fail("break"),
    }),
    own("debug", 0, |context, input, _| {
        context.host.debug(&input);
        Ok(input)
    }),
    own("stderr", 0, |context, input, _| {
        context.host.stderr(&input);
        Ok(input)
    }),
    own("input_filename", 0, |context, _, _| Ok(context.host.input_filename())),
    own("input_line_number", 0, |context, _, _| Ok(Value::number(context.host.input_line_number() as f64))),
    own("now", 0, |_, _, _| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Value::number(now.as_micros() as f64 / 1e6))
    }),
    own("halt", 0, |_, _, _| Err(Fault::Halt(0, None))),
    own("halt_error", 1, |_, input, args| {
        with_one(args, |status| match status.as_f64() {
            Some(status) => Err(Fault::Halt(status as i32, Some(input))),
            None => fail("halt_error/1: number required"),
        })
    }),
    own("modulemeta", 0, |context, input, _| match &input {
        Value::String(name) => Ok(context.facts.loader.meta(name)?),
        _ => fail("modulemeta input module name must be a string"),
    }),
];
