//! The language: from the text of a filter to its results.

pub(crate) mod ast;
mod compile;
mod direct;
mod env;
mod lex;
mod machine;
pub(crate) mod modules;
pub(crate) mod ops;
mod parse;
mod term;
#[cfg(test)]
mod tests;

pub(crate) use machine::Fault;

use std::rc::Rc;

use crate::builtins::Facts;
use crate::host::{Filter, Host, Outcome, Settings, Stop};
use crate::value::Value;
use modules::Loader;

/// A compiled filter.
struct Compiled {
    program: term::Program,
    facts: Facts,
}

/// Compiles a filter.
///
/// # Errors
/// What jq says, without its closing line.
pub fn compile(text: &str, settings: &Settings) -> Result<Box<dyn Filter>, Vec<String>> {
    let (program, loader): (_, Rc<Loader>) = compile::compile(text, settings)?;
    Ok(Box::new(Compiled { program, facts: Facts::new(settings, loader) }))
}

impl Filter for Compiled {
    fn run(&mut self, input: Value, host: &mut dyn Host, emit: &mut dyn FnMut(Value) -> Result<(), Stop>) -> Outcome {
        machine::run(&self.program, &mut self.facts, input, host, emit)
    }
}
