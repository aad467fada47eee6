//! Options in OpenSSL's manner: one dash or two, the value in the next word.

use netkit_core::text::printable;
use netkit_core::{Ctx, Error, Exit};

/// What an option is: its name, whether it takes a value, whether it is offered.
pub(super) type Spec = (&'static str, Kind);

/// Kinds of options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Stands alone.
    Alone,
    /// With a value.
    Value,
    /// Not offered; known to OpenSSL.
    Refused,
}

/// Options in order and the other words.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) options: Vec<(&'static str, String)>,
    pub(super) rest: Vec<String>,
}

impl Words {
    /// The last value of an option.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(held, _)| *held == name).map(|(_, value)| value.as_str())
    }

    /// Whether it was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Every value of an option.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(held, _)| *held == name).map(|(_, value)| value.as_str())
    }

    /// A value that is a whole number.
    pub(super) fn number(&self, ctx: &mut Ctx, command: &str, name: &str) -> Result<Option<i64>, Error> {
        let Some(text) = self.value(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(wrong(ctx, command, &format!("Can't parse \"{}\" as a number", printable(text)))),
        }
    }
}

/// Says what is wrong with the command line, as OpenSSL does; the status is its 1.
pub(super) fn wrong(ctx: &mut Ctx, command: &str, what: &str) -> Error {
    ctx.say(&format!("{command}: {what}"));
    ctx.say(&format!("{command}: Use -help for summary."));
    Error::new(Exit(1), "")
}

/// Says it and leaves with status 1, without the name of the applet before it.
pub(super) fn stop(ctx: &mut Ctx, what: &str) -> Error {
    if !what.is_empty() {
        ctx.say(what);
    }
    Error::new(Exit(1), "")
}

/// Reads the words of one command.
///
/// # Errors
/// An unknown option and a missing value with OpenSSL's words and its status 1; one that is not offered with 2.
pub(super) fn read(ctx: &mut Ctx, command: &str, specs: &[Spec], words: &[String]) -> Result<Words, Error> {
    let mut out = Words::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let bare = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
        let Some(bare) = bare.filter(|_| word != "-") else {
            out.rest.push(word.clone());
            out.rest.extend(words.cloned());
            break;
        };
        if bare.is_empty() {
            out.rest.extend(words.cloned());
            break;
        }
        let (name, inline) = match bare.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (bare, None),
        };
        let shown = printable(name);
        let Some((name, kind)) = specs.iter().find(|(known, _)| *known == name) else {
            return Err(wrong(ctx, command, &format!("Unknown option: -{shown}")));
        };
        let value = match kind {
            Kind::Alone => String::new(),
            Kind::Refused => return Err(Error::usage(format!("{command}: -{name} is not offered"))),
            Kind::Value => match inline.or_else(|| words.next().cloned()) {
                Some(value) => value,
                None => return Err(wrong(ctx, command, &format!("Option -{name} needs a value"))),
            },
        };
        out.options.push((name, value));
    }
    Ok(out)
}
