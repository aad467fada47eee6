//! The functions of jq 1.8.2: natives, those written in jq itself, and those that the compiler knows.

mod collections;
mod prelude;
mod system;
pub(crate) mod text;

use std::rc::Rc;

use crate::host::{Host, Settings};
use crate::lang::Fault;
use crate::lang::modules::Loader;
use crate::natives::{math, table};
use crate::time::Zone;
use crate::value::Value;

/// What a native may use besides its input.
pub(crate) struct Context<'h> {
    pub(crate) facts: &'h mut Facts,
    pub(crate) host: &'h mut dyn Host,
}

/// What stays the same from one input to the next.
pub(crate) struct Facts {
    zone: Option<Zone>,
    timezone: Option<String>,
    loader: Rc<Loader>,
}

impl Facts {
    /// Facts of these settings.
    pub(crate) fn new(settings: &Settings, loader: Rc<Loader>) -> Facts {
        let timezone = settings.env.get("TZ").and_then(Value::as_str).map(str::to_owned);
        Facts { zone: None, timezone, loader }
    }

    /// The local time zone, read when it is first asked for.
    fn zone(&mut self) -> &Zone {
        let timezone = self.timezone.as_deref();
        self.zone.get_or_insert_with(|| Zone::from_env(timezone))
    }
}

type Outcome = Result<Value, Fault>;

/// What a native runs.
#[derive(Clone, Copy)]
enum Run {
    /// One that takes its input over or asks the world.
    Own(fn(&mut Context<'_>, Value, &[Value]) -> Outcome),
    /// A function of values.
    Table(table::Function),
    /// C's mathematics.
    One(fn(f64) -> f64),
    Two(fn(f64, f64) -> f64),
}

/// A native: input and arguments to one output.
#[derive(Clone, Copy)]
pub(crate) struct Native {
    run: Run,
    /// Of several arguments with several outputs, the last varies slowest, as with jq's C functions; else the first.
    pub(crate) last_first: bool,
}

impl Native {
    /// Its output.
    pub(crate) fn call(&self, context: &mut Context<'_>, input: Value, args: &[Value]) -> Outcome {
        match self.run {
            Run::Own(run) => run(context, input, args),
            Run::Table(run) => Ok(run(&input, args, context.facts.zone())?),
            Run::One(run) => Ok(Value::number(run(table::number(&input)?))),
            Run::Two(run) => match args {
                [a, b] => Ok(Value::number(run(table::number(a)?, table::number(b)?))),
                _ => fail("two numbers are needed"),
            },
        }
    }
}

/// A native of this module with its name.
struct Named {
    name: &'static str,
    arity: usize,
    native: Native,
}

/// A function that the compiler turns into an operation of its own.
pub(crate) enum Special {
    Empty,
    Error,
    Path,
    GetPath,
    First,
    Range,
    RangeTo,
    Map,
    MapValues,
    Select,
    /// Called with `map([f])`.
    Keyed(Native),
    Constant(fn(&Settings) -> Value),
    SearchList,
    Builtins,
}

/// `@name` and `format(name)`.
pub(crate) const FORMAT: Native =
    Native { run: Run::Table(|input, args, _| formatted(input, args.first().unwrap_or(input))), last_first: true };

/// A value in a format whose name may begin with `@`.
fn formatted(input: &Value, name: &Value) -> Result<Value, Value> {
    match name {
        Value::String(text) if text.starts_with('@') => {
            crate::natives::format::format(input, &Value::from(text.trim_start_matches('@')))
        }
        _ => crate::natives::format::format(input, name),
    }
}

/// A value as text in a format; the name may begin with `@`.
pub(crate) fn format(name: &Rc<str>, value: &Value) -> Result<Rc<str>, Fault> {
    match (&**name, value) {
        ("@text", Value::String(text)) => Ok(text.clone()),
        _ => match formatted(value, &Value::String(name.clone()))? {
            Value::String(text) => Ok(text),
            _ => fail("a format gives a string"),
        },
    }
}

const fn own(name: &'static str, arity: usize, run: fn(&mut Context<'_>, Value, &[Value]) -> Outcome) -> Named {
    Named { name, arity, native: Native { run: Run::Own(run), last_first: true } }
}

/// One whose arguments are values in jq's definition: the first varies slowest.
const fn own_first(name: &'static str, arity: usize, run: fn(&mut Context<'_>, Value, &[Value]) -> Outcome) -> Named {
    Named { name, arity, native: Native { run: Run::Own(run), last_first: false } }
}

fn fail<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Error(Value::from(message.into())))
}

/// The native of this name.
pub(crate) fn native(name: &str, arity: usize) -> Option<Native> {
    if (name, arity) == ("format", 1) {
        return Some(FORMAT);
    }
    let own = collections::TABLE.iter().chain(system::TABLE);
    if let Some(found) = own.into_iter().find(|named| named.name == name && named.arity == arity) {
        return Some(found.native);
    }
    let run = match arity {
        0 => math::ONE.iter().find(|(known, _)| *known == name).map(|(_, run)| Run::One(*run)),
        2 => math::TWO.iter().find(|(known, _)| *known == name).map(|(_, run)| Run::Two(*run)),
        _ => None,
    };
    let listed = || table::TABLE.iter().find(|entry| entry.name == name && entry.arity == arity);
    let run = run.or_else(|| listed().map(|entry| Run::Table(entry.function)));
    run.map(|run| Native { run, last_first: true })
}

const SPECIALS: [(&str, usize); 23] = [
    ("empty", 0),
    ("error", 1),
    ("path", 1),
    ("getpath", 1),
    ("first", 1),
    ("range", 2),
    ("range", 1),
    ("map", 1),
    ("map_values", 1),
    ("select", 1),
    ("sort_by", 1),
    ("group_by", 1),
    ("unique_by", 1),
    ("min_by", 1),
    ("max_by", 1),
    ("infinite", 0),
    ("nan", 0),
    ("env", 0),
    ("have_decnum", 0),
    ("have_literal_numbers", 0),
    ("get_search_list", 0),
    ("builtins", 0),
    ("get_prog_origin", 0),
];

/// The operation of this name.
pub(crate) fn special(name: &str, arity: usize) -> Option<Special> {
    Some(match (name, arity) {
        ("empty", 0) => Special::Empty,
        ("error", 1) => Special::Error,
        ("path", 1) => Special::Path,
        ("getpath", 1) => Special::GetPath,
        ("first", 1) => Special::First,
        ("range", 2) => Special::Range,
        ("range", 1) => Special::RangeTo,
        ("map", 1) => Special::Map,
        ("map_values", 1) => Special::MapValues,
        ("select", 1) => Special::Select,
        ("sort_by", 1) => Special::Keyed(collections::SORT_BY.native),
        ("group_by", 1) => Special::Keyed(collections::GROUP_BY.native),
        ("unique_by", 1) => Special::Keyed(collections::UNIQUE_BY.native),
        ("min_by", 1) => Special::Keyed(collections::MIN_BY.native),
        ("max_by", 1) => Special::Keyed(collections::MAX_BY.native),
        ("infinite", 0) => Special::Constant(|_| Value::number(f64::INFINITY)),
        ("nan", 0) => Special::Constant(|_| Value::number(f64::NAN)),
        ("env", 0) => Special::Constant(|settings| Value::object(settings.env.clone())),
        ("have_decnum" | "have_literal_numbers", 0) => Special::Constant(|_| Value::Bool(true)),
        ("get_prog_origin", 0) => Special::Constant(|settings| settings.origin.display().to_string().into()),
        ("get_jq_origin", 0) => Special::Constant(|settings| settings.program.display().to_string().into()),
        ("get_search_list", 0) => Special::SearchList,
        ("builtins", 0) => Special::Builtins,
        _ => return None,
    })
}

/// The definition of a function that is written in jq.
pub(crate) fn prelude(name: &str, arity: usize) -> Option<&'static str> {
    prelude::DEFINITIONS.iter().find(|(known, count, _)| *known == name && *count == arity).map(|(.., text)| *text)
}

/// `builtins`: every name with its arity, without those that begin with an underscore.
pub(crate) fn names() -> Value {
    let mine = collections::TABLE.iter().chain(system::TABLE).map(|named| (named.name, named.arity));
    let listed = table::TABLE.iter().map(|entry| (entry.name, entry.arity));
    let one = math::ONE.iter().map(|(name, _)| (*name, 0));
    let two = math::TWO.iter().map(|(name, _)| (*name, 2));
    let written = prelude::DEFINITIONS.iter().map(|(name, arity, _)| (*name, *arity));
    let all = mine.chain(listed).chain(one).chain(two).chain(written).chain(SPECIALS).chain([("get_jq_origin", 0)]);
    let visible = all.filter(|(name, _)| !name.starts_with('_'));
    let unique: std::collections::BTreeSet<String> = visible.map(|(name, arity)| format!("{name}/{arity}")).collect();
    unique.into_iter().map(Value::from).collect()
}
