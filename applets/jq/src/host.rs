//! The line between the filter and the world: what a filter is compiled against, what it may ask while it runs, what
//! comes out of it.

use std::path::PathBuf;

use crate::value::{Map, Value};

/// Inputs and talk, as the builtins see them.
pub trait Host {
    /// The next input, for `input` and `inputs`. `None` at the end; an error is the parser's text and can be caught.
    fn next_input(&mut self) -> Option<Result<Value, String>>;

    /// `input_filename`: the current file's name, `null` before the first and for none.
    fn input_filename(&self) -> Value;

    /// `input_line_number`: line feeds read from the current file.
    fn input_line_number(&mut self) -> u64;

    /// `debug`: shows `["DEBUG:", value]`.
    fn debug(&mut self, value: &Value);

    /// `stderr`: shows the value as it is, without line feed.
    fn stderr(&mut self, value: &Value);
}

/// A world without inputs, for constants and tests.
pub struct NoHost;

impl Host for NoHost {
    fn next_input(&mut self) -> Option<Result<Value, String>> {
        None
    }

    fn input_filename(&self) -> Value {
        Value::Null
    }

    fn input_line_number(&mut self) -> u64 {
        0
    }

    fn debug(&mut self, _: &Value) {}

    fn stderr(&mut self, _: &Value) {}
}

/// What a filter is compiled against.
pub struct Settings {
    /// `$name` of each, besides `$ENV` and `$__prog_args`.
    pub variables: Map,
    /// Where modules are looked for (`-L`); `None` for jq's usual places.
    pub library: Option<Vec<PathBuf>>,
    /// Directory that relative module paths start from: the filter file's, or the current one.
    pub origin: PathBuf,
    /// Directory of the program, `$ORIGIN` in library paths.
    pub program: PathBuf,
    /// Environment, for `$ENV` and `env`.
    pub env: Map,
    /// Home directory, `~` in library paths.
    pub home: Option<PathBuf>,
}

/// A compiled filter.
pub trait Filter {
    /// Runs it on one input and hands out each result as it comes.
    fn run(&mut self, input: Value, host: &mut dyn Host, emit: &mut dyn FnMut(Value) -> Result<(), Stop>) -> Outcome;
}

/// The receiver of results wants no more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop;

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// All results have been handed out.
    Done,
    /// An error that nothing caught, with its message.
    Error(Value),
    /// `halt` (status 0, no message) or `halt_error`.
    Halt {
        /// The status to leave with; only its low eight bits reach the shell.
        status: i32,
        /// What is shown: a string as it is, `null` not at all, anything else as JSON with a line feed.
        message: Option<Value>,
    },
    /// The receiver wanted no more.
    Stopped,
}
