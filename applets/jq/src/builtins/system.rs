//! The world outside: inputs, messages, the end of the run, modules.

use super::collections::with_one;

use super::{Native, fail, native_of};
use crate::lang::Fault;
use crate::value::Value;

pub(super) static TABLE: &[Native] = &[
    native_of("input", 0, |context, _, _| match context.host.next_input() {
        Some(Ok(value)) => Ok(value),
        Some(Err(message)) => fail(message),
        None => fail("break"),
    }),
    native_of("debug", 0, |context, input, _| {
        context.host.debug(&input);
        Ok(input)
    }),
    native_of("stderr", 0, |context, input, _| {
        context.host.stderr(&input);
        Ok(input)
    }),
    native_of("input_filename", 0, |context, _, _| Ok(context.host.input_filename())),
    native_of("input_line_number", 0, |context, _, _| Ok(Value::number(context.host.input_line_number() as f64))),
    native_of("halt", 0, |_, _, _| Err(Fault::Halt(0, None))),
    native_of("halt_error", 1, |_, input, args| {
        with_one(args, |status| match status.as_f64() {
            Some(status) => Err(Fault::Halt(status as i32, Some(input))),
            None => fail("halt_error/1: number required"),
        })
    }),
    native_of("modulemeta", 0, |context, input, _| match &input {
        Value::String(name) => Ok(context.facts.loader.meta(name)?),
        _ => fail("modulemeta input module name must be a string"),
    }),
];
