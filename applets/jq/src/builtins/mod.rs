//! The functions of jq 1.8.2: natives, those written in jq itself, and those that the compiler knows.

mod collections;
mod dates;
mod math;
mod patterns;
mod prelude;
mod strings;
mod system;
pub(crate) mod text;

use std::collections::HashMap;
use std::rc::Rc;

use crate::host::{Host, Settings};
use crate::lang::Fault;
use crate::lang::modules::Loader;
use crate::regex::{Flags, Regex};
use crate::time::Zone;
use crate::value::Value;

pub(crate) use strings::format;

/// What a native may use besides its input.
pub(crate) struct Context<'h> {
    pub(crate) facts: &'h mut Facts,
    pub(crate) host: &'h mut dyn Host,
}

/// What stays the same from one input to the next.
pub(crate) struct Facts {
    zone: Option<Zone>,
    timezone: Option<String>,
    regexes: HashMap<(Rc<str>, Flags), Rc<Regex>>,
    loader: Rc<Loader>,
}

impl Facts {
    /// Facts of these settings.
    pub(crate) fn new(settings: &Settings, loader: Rc<Loader>) -> Facts {
        let timezone = settings.env.get("TZ").and_then(Value::as_str).map(str::to_owned);
        Facts { zone: None, timezone, regexes: HashMap::new(), loader }
    }

    /// The local time zone, read when it is first asked for.
    fn zone(&mut self) -> &Zone {
        let timezone = self.timezone.as_deref();
        self.zone.get_or_insert_with(|| Zone::from_env(timezone))
    }
}

type Outcome = Result<Value, Fault>;

/// A native: input and arguments to one output.
pub(crate) struct Native {
    pub(crate) name: &'static str,
    pub(crate) arity: usize,
    pub(crate) run: fn(&mut Context<'_>, Value, &[Value]) -> Outcome,
    /// Of several arguments with several outputs, the last varies slowest, as with jq's C functions; else the first.
    pub(crate) last_first: bool,
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
    Keyed(&'static Native),
    Constant(fn(&Settings) -> Value),
    SearchList,
    Builtins,
}

/// `@name` and `format(name)`.
pub(crate) static FORMAT: Native = native_of("format", 1, strings::format_native);

const fn native_of(name: &'static str, arity: usize, run: fn(&mut Context<'_>, Value, &[Value]) -> Outcome) -> Native {
    Native { name, arity, run, last_first: true }
}

fn fail<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Error(Value::from(message.into())))
}

fn tables() -> [&'static [Native]; 6] {
    [collections::TABLE, strings::TABLE, math::TABLE, dates::TABLE, patterns::TABLE, system::TABLE]
}

/// The native of this name.
pub(crate) fn native(name: &str, arity: usize) -> Option<&'static Native> {
    if (name, arity) == ("format", 1) {
        return Some(&FORMAT);
    }
    tables().into_iter().flatten().find(|native| native.name == name && native.arity == arity)
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
        ("sort_by", 1) => Special::Keyed(&collections::SORT_BY),
        ("group_by", 1) => Special::Keyed(&collections::GROUP_BY),
        ("unique_by", 1) => Special::Keyed(&collections::UNIQUE_BY),
        ("min_by", 1) => Special::Keyed(&collections::MIN_BY),
        ("max_by", 1) => Special::Keyed(&collections::MAX_BY),
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
    let natives = tables().into_iter().flatten().map(|native| (native.name, native.arity));
    let written = prelude::DEFINITIONS.iter().map(|(name, arity, _)| (*name, *arity));
    let all = natives.chain(written).chain(SPECIALS).chain([("format", 1), ("get_jq_origin", 0)]);
    let visible = all.filter(|(name, _)| !name.starts_with('_'));
    visible.map(|(name, arity)| Value::from(format!("{name}/{arity}"))).collect()
}
