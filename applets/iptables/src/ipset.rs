//! ipset: IP sets as the kernel holds them.
//!
//! - Peer: ipset 7.17 (`list`, `save`, `test`), in plain, save and XML form.
//! - Deliberate differences: whatever would change a set is refused by name; nothing is looked up in DNS; output goes to
//!   stdout only.
//! - Beyond the peer: `--netns`.
//! - Kernel interfaces: nfnetlink, subsystem ipset (IPSET_CMD_LIST, IPSET_CMD_TEST).
//! - Privilege: CAP_NET_ADMIN for everything.

use std::io::Write as _;

use netkit_core::privilege::{Capability, missing};
use netkit_core::text::printable;
use netkit_core::{Ctx, Error, Exit, front};
use netkit_nf::ipset::{self, Depth, Head, Kind, Mode, Printer, attribute, command, data, flag};
use netkit_nl::netfilter::{request, subsystem};
use netkit_nl::{Attrs, Protocol, Request, Socket, flags};

use crate::element::{self, Part};

/// The version whose output is followed.
const PEER: &str = "v7.17, protocol version: 7";
/// IPSET_MAXNAMELEN, its final zero counted.
const NAME: usize = 32;
/// asm-generic/errno-base.h
const ENOENT: i32 = 2;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    mode: Option<Mode>,
    depth: Depth,
    sorted: bool,
    quiet: bool,
    netns: Option<String>,
    words: Vec<String>,
}

/// Commands of ipset(8), in the order in which a shortened one is looked up, with their old letters.
const COMMANDS: [(&str, &str); 14] = [
    ("create", "-N"),
    ("add", "-A"),
    ("del", "-D"),
    ("test", "-T"),
    ("destroy", "-X"),
    ("list", "-L"),
    ("save", "-S"),
    ("restore", "-R"),
    ("flush", "-F"),
    ("rename", "-E"),
    ("swap", "-W"),
    ("help", "-h"),
    ("version", "-v"),
    ("quit", "-Q"),
];

fn command_named(word: &str) -> Option<&'static str> {
    let long = word.strip_prefix("--").unwrap_or(word);
    let old = |(name, letter): &&(&'static str, &str)| *letter == word || (word.starts_with("--") && *name == long);
    let short =
        || COMMANDS.iter().find(|(name, _)| !word.starts_with('-') && !word.is_empty() && name.starts_with(word));
    COMMANDS.iter().find(old).or_else(short).map(|(name, _)| *name)
}

fn parse(words: &[String]) -> Result<Wanted, Error> {
    let mut wanted = Wanted::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        // Options have one dash or two before their long names.
        let option = match word.strip_prefix("--").or_else(|| word.strip_prefix('-')) {
            Some(name) if name.len() > 1 && !word.starts_with("--") => format!("--{name}"),
            _ => word.clone(),
        };
        let mut value = || {
            let message = || Error::usage(format!("Missing mandatory argument to option {}", printable(word)));
            words.next().cloned().ok_or_else(message)
        };
        match option.as_str() {
            "-o" | "--output" => {
                wanted.mode = Some(match value()?.as_str() {
                    "plain" => Mode::Plain,
                    "save" => Mode::Save,
                    "xml" => Mode::Xml,
                    other => {
                        let message = format!("Syntax error: unknown output mode '{}'", printable(other));
                        return Err(Error::new(Exit(1), message));
                    }
                });
            }
            "-s" | "--sorted" => wanted.sorted = true,
            "-q" | "--quiet" => wanted.quiet = true,
            "-n" | "--name" => wanted.depth = Depth::Names,
            "-t" | "--terse" => wanted.depth = Depth::Headers,
            "-!" | "--exist" => {}
            "-r" | "--resolve" => {
                return Err(Error::usage("-r (-resolve): this program looks up no names of addresses"));
            }
            "-f" | "--file" => {
                return Err(Error::usage("-f (-file): this program writes no file; redirect its output"));
            }
            "--netns" => wanted.netns = Some(value()?),
            _ => wanted.words.push(word.clone()),
        }
    }
    Ok(wanted)
}

pub(crate) fn main(ctx: &mut Ctx) -> Result<Exit, Error> {
    let wanted = parse(&ctx.args_lossy())?;
    let quiet = wanted.quiet;
    match run(ctx, &wanted) {
        Err(error) if quiet && error.exit == Exit(1) => Ok(Exit(1)),
        other => other,
    }
}

fn run(ctx: &mut Ctx, wanted: &Wanted) -> Result<Exit, Error> {
    let mut words = wanted.words.iter();
    let Some(word) = words.next() else { return Err(Error::usage("No command specified.")) };
    let Some(name) = command_named(word) else {
        return Err(Error::usage(format!("No command specified: unknown argument {}", printable(word))));
    };
    let rest: Vec<&str> = words.map(String::as_str).collect();
    match name {
        "help" => {
            let page = crate::APPLETS.iter().find(|applet| applet.name == "ipset").map(front::help_page);
            ctx.stdout.write_all(page.unwrap_or_default().as_bytes())?;
            return Ok(Exit::OK);
        }
        "version" => {
            writeln!(ctx.stdout, "ipset {PEER}")?;
            return Ok(Exit::OK);
        }
        "list" | "save" | "test" => {}
        verb => {
            return Err(Error::usage(format!("{verb}: this program only reads and changes nothing"))
                .hint("sets are changed with ipset itself, on the node"));
        }
    }
    if let Some(target) = &wanted.netns {
        netkit_sys::netns::enter(target)?;
    }
    let mut socket = Socket::open(Protocol::Netfilter).map_err(|error| refused(ctx, &error))?;
    if name == "test" {
        return test(ctx, &mut socket, &rest, wanted.quiet);
    }
    if let Some(extra) = rest.get(1) {
        return Err(Error::usage(format!("Unknown argument {}", printable(extra))));
    }
    let mode = wanted.mode.unwrap_or(if name == "save" { Mode::Save } else { Mode::Plain });
    list(ctx, &mut socket, rest.first().copied(), &mut Printer::new(mode, wanted.depth, wanted.sorted))
}

fn refused(ctx: &mut Ctx, error: &netkit_nl::Error) -> Error {
    if error.is_denied() {
        ctx.say(&missing(Capability::NetAdmin, "reading IP sets", "nothing of it"));
    }
    Error::new(Exit(1), format!("Kernel error received: {error}"))
}

fn asked(command: u8, extra: u16) -> Request {
    // NFPROTO_IPV4 stands here for all of them.
    request(subsystem::IPSET, command, extra, 2).attr(attribute::PROTOCOL, &[ipset::PROTOCOL])
}

fn named(request: Request, name: &str) -> Result<Request, Error> {
    if name.is_empty() || name.len() >= NAME {
        return Err(Error::new(Exit(1), "The set with the given name does not exist"));
    }
    Ok(request.text(attribute::NAME, name))
}

fn list(ctx: &mut Ctx, socket: &mut Socket, name: Option<&str>, printer: &mut Printer) -> Result<Exit, Error> {
    let mut ask = asked(command::LIST, flags::DUMP);
    if let Some(name) = name {
        ask = named(ask, name)?;
    }
    let filter = printer.filter();
    if filter != 0 {
        ask = ask.attr(attribute::FLAGS | ipset::NETWORK_ORDER, &filter.to_be_bytes());
    }
    let mut text = String::new();
    let mut begun = false;
    let outcome = socket.stream(&ask, |message| {
        if !std::mem::replace(&mut begun, true) {
            printer.begin(&mut text);
        }
        printer.message(&mut text, &message);
        let written = ctx.stdout.write_all(text.as_bytes());
        text.clear();
        written.map_err(Stop::Print)
    });
    match outcome {
        Ok(_) => {}
        Err(Stop::Print(error)) => return Err(error.into()),
        Err(Stop::Read(error)) if error.errno() == ENOENT => {
            return Err(Error::new(Exit(1), "The set with the given name does not exist"));
        }
        Err(Stop::Read(error)) => return Err(refused(ctx, &error)),
    }
    if !begun {
        printer.begin(&mut text);
    }
    printer.end(&mut text);
    ctx.stdout.write_all(text.as_bytes())?;
    Ok(Exit::OK)
}

/// Why a dump was not read to its end.
enum Stop {
    Read(netkit_nl::Error),
    Print(std::io::Error),
}

impl From<netkit_nl::Error> for Stop {
    fn from(error: netkit_nl::Error) -> Stop {
        Stop::Read(error)
    }
}

/// What the kernel knows of a set's type.
fn kind_of(ctx: &mut Ctx, socket: &mut Socket, name: &str) -> Result<Kind, Error> {
    let ask = named(asked(command::LIST, flags::DUMP), name)?
        .attr(attribute::FLAGS | ipset::NETWORK_ORDER, &ipset::LIST_HEADERS.to_be_bytes());
    match socket.dump(&ask) {
        Ok(answer) => answer
            .messages()
            .find_map(|message| Head::read(&message))
            .map(|head| head.kind)
            .ok_or_else(|| Error::new(Exit(1), "The kernel says nothing of this set")),
        Err(error) if error.errno() == ENOENT => Err(Error::new(Exit(1), "The set with the given name does not exist")),
        Err(error) => Err(refused(ctx, &error)),
    }
}

fn test(ctx: &mut Ctx, socket: &mut Socket, words: &[&str], quiet: bool) -> Result<Exit, Error> {
    let missing = |which: &str| Error::usage(format!("Missing {which}mandatory argument to command test"));
    let (name, text) = match words {
        [] => return Err(missing("")),
        [_] => return Err(missing("second ")),
        [name, text, ..] => (*name, *text),
    };
    let kind = kind_of(ctx, socket, name)?;
    let mut parts = element::parse(&kind, text)?;
    let mut after = None;
    let mut rest = words.iter().skip(2);
    while let Some(word) = rest.next() {
        let is_list = kind.name.starts_with("list:");
        match *word {
            "nomatch" if kind.parts().any(|part| part == "net") => parts.set_flag(flag::NO_MATCH),
            "before" | "after" if is_list => {
                let reference = rest.next().ok_or_else(|| missing(""))?;
                if *word == "before" {
                    parts.set_flag(flag::BEFORE);
                }
                parts.push(data::NAME_REFERENCE, Part::Octets([reference.as_bytes(), &[0]].concat()));
                after = Some(*reference);
            }
            other => return Err(Error::usage(format!("Unknown argument: `{}'", printable(other)))),
        }
    }
    let ask = named(asked(command::TEST, flags::ACK), name)?.nest(attribute::DATA, |inner| parts.fill(inner));
    // The message repeats the element without its flags.
    let mut shown = String::new();
    let request = parts.without_flags().fill(Request::new(0, 0, &[])).finish(0);
    ipset::push_element(&mut shown, &kind, Attrs::new(request.get(16..).unwrap_or_default()));
    if let Some(after) = after {
        shown.push_str(" after ");
        shown.push_str(after);
    }
    let (status, line) = match socket.exchange(&ask) {
        Ok(_) => (Exit::OK, format!("Warning: {shown} is in set {name}.")),
        Err(error) if error.errno() >= ipset::PRIVATE_ERROR => (Exit(1), format!("{shown} is NOT in set {name}.")),
        Err(error) => return Err(refused(ctx, &error)),
    };
    if !quiet {
        ctx.say(&line);
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn commands_by_their_beginning_and_old_letters() {
        for (word, name) in
            [("li", "list"), ("-L", "list"), ("--list", "list"), ("tes", "test"), ("s", "save"), ("de", "del")]
        {
            assert_eq!(command_named(word), Some(name), "{word}");
        }
        assert_eq!(command_named("bogus"), None);
        assert_eq!(command_named("-z"), None);
    }

    #[test]
    fn options_stand_anywhere() {
        let wanted = parse(&words("-o xml list -terse x --sorted")).unwrap();
        assert_eq!((wanted.mode, wanted.depth, wanted.sorted), (Some(Mode::Xml), Depth::Headers, true));
        assert_eq!(wanted.words, ["list", "x"]);
        assert_eq!(parse(&words("list -o")).unwrap_err().exit, Exit(2));
        assert_eq!(parse(&words("list -o bogus")).unwrap_err().exit, Exit(1));
        assert_eq!(parse(&words("list -f x")).unwrap_err().exit, Exit(2));
    }
}
