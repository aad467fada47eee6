//! The command line of nft(8): options, then one command or several between semicolons.

use netkit_core::Error;
use netkit_nf::nft::family;

/// Options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) handles: bool,
    pub(crate) numeric: bool,
    pub(crate) numeric_priority: bool,
    pub(crate) numeric_protocol: bool,
    pub(crate) numeric_time: bool,
    pub(crate) services: bool,
    pub(crate) users: bool,
    pub(crate) stateless: bool,
    pub(crate) terse: bool,
    pub(crate) json: bool,
    pub(crate) netns: Option<String>,
}

/// What an object of a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Chain,
    Set,
    Map,
    Meter,
    Flowtable,
    /// NFT_OBJECT_*
    Object(u32),
}

/// A thing to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Ruleset {
        family: u8,
    },
    Tables {
        family: u8,
    },
    Table {
        family: u8,
        table: String,
    },
    /// Of all tables, or of one.
    Many {
        what: What,
        family: u8,
        table: Option<String>,
    },
    One {
        what: What,
        family: u8,
        table: String,
        name: String,
    },
    /// `list hooks`, which needs another part of the kernel.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    List(Vec<Command>),
    Version,
    Build,
    Help,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) options: Options,
    pub(crate) action: Action,
}

/// Verbs of nft(8) that change something, or that wait for changes.
const VERBS: [&str; 15] = [
    "add", "create", "insert", "replace", "delete", "destroy", "flush", "rename", "reset", "monitor", "import",
    "export", "describe", "get", "include",
];

/// Options that nft has and that make no sense here.
const REFUSED: [(&str, &str, &str); 8] = [
    ("-f", "--file", "commands are not read from files"),
    ("-i", "--interactive", "there is no command line of its own"),
    ("-c", "--check", "nothing is ever applied"),
    ("-o", "--optimize", "nothing is ever applied"),
    ("-e", "--echo", "nothing is ever applied"),
    ("-d", "--debug", "there is nothing to debug"),
    ("-I", "--includepath", "commands are not read from files"),
    ("-D", "--define", "commands are not read from files"),
];

pub(crate) fn parse(words: &[String]) -> Result<Request, Error> {
    let mut options = Options::default();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        if word == "--" {
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, glued) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            if name == "netns" {
                let value = glued.or_else(|| words.get(at).cloned());
                if !word.contains('=') {
                    at += 1;
                }
                options.netns = Some(value.ok_or_else(|| Error::usage("option \"--netns\" requires an argument"))?);
            } else if let Some(action) = option(&mut options, &format!("--{name}"))? {
                return Ok(Request { options, action });
            }
            continue;
        }
        match word.strip_prefix('-') {
            Some(letters) if !letters.is_empty() => {
                for letter in letters.chars() {
                    if let Some(action) = option(&mut options, &format!("-{letter}"))? {
                        return Ok(Request { options, action });
                    }
                }
            }
            _ => {
                at -= 1;
                break;
            }
        }
    }
    let rest = words.get(at..).unwrap_or_default();
    if let Some(late) = rest.iter().find(|word| word.starts_with('-') && word.len() > 1) {
        return Err(Error::new(
            netkit_core::Exit(1),
            format!("syntax error, options must be specified before commands: '{late}'"),
        ));
    }
    let line = rest.join(" ");
    let mut commands = Vec::new();
    for part in line.split([';', '\n']) {
        let words: Vec<&str> = part.split_whitespace().map(|word| word.trim_matches('"')).collect();
        if !words.is_empty() {
            commands.push(command(&words)?);
        }
    }
    if commands.is_empty() {
        return Err(Error::usage("no command: list ruleset, list tables, list table FAMILY NAME ..."));
    }
    Ok(Request { options, action: Action::List(commands) })
}

fn option(options: &mut Options, word: &str) -> Result<Option<Action>, Error> {
    match word {
        "-a" | "--handle" => options.handles = true,
        "-n" | "--numeric" => options.numeric = true,
        "-y" | "--numeric-priority" => options.numeric_priority = true,
        "-p" | "--numeric-protocol" => options.numeric_protocol = true,
        "-T" | "--numeric-time" => options.numeric_time = true,
        "-S" | "--service" => options.services = true,
        "-u" | "--guid" => options.users = true,
        "-s" | "--stateless" => options.stateless = true,
        "-t" | "--terse" => options.terse = true,
        "-j" | "--json" => options.json = true,
        // Addresses are never looked up in DNS, with or without it.
        "-N" | "--reversedns" => {
            return Err(Error::usage("-N (--reversedns): names are never looked up in DNS").hint("dig -x ADDRESS does"));
        }
        "-v" | "--version" => return Ok(Some(Action::Version)),
        "-V" => return Ok(Some(Action::Build)),
        "-h" | "--help" => return Ok(Some(Action::Help)),
        _ => {
            if let Some((short, long, why)) = REFUSED.iter().find(|(short, long, _)| word == *short || word == *long) {
                return Err(Error::usage(format!("{short} ({long}): this program only lists, {why}")));
            }
            return Err(Error::new(netkit_core::Exit(1), format!("unknown option \"{word}\"")));
        }
    }
    Ok(None)
}

/// The family of a word, if it names one.
fn family_of(word: &str) -> Option<u8> {
    [family::INET, family::IPV4, family::IPV6, family::ARP, family::BRIDGE, family::NETDEV]
        .into_iter()
        .find(|number| family::name(*number) == word)
}

/// Words one after the other.
struct Words<'w> {
    words: std::iter::Peekable<std::slice::Iter<'w, &'w str>>,
    line: &'w [&'w str],
}

impl<'w> Words<'w> {
    fn next(&mut self, wanted: &str) -> Result<&'w str, Error> {
        self.words
            .next()
            .copied()
            .ok_or_else(|| self.syntax(&format!("syntax error, unexpected end, expecting {wanted}")))
    }

    fn eat(&mut self, word: &str) -> bool {
        self.words.next_if(|next| **next == word).is_some()
    }

    fn family(&mut self) -> Option<u8> {
        let found = self.words.peek().and_then(|word| family_of(word))?;
        self.words.next();
        Some(found)
    }

    fn syntax(&self, what: &str) -> Error {
        Error::new(netkit_core::Exit(1), format!("{what}: {}", netkit_core::text::printable(&self.line.join(" "))))
    }
}

/// What can be listed: the word for one, the word for many, and what it is.
const THINGS: [(&str, &str, What); 11] = [
    ("chain", "chains", What::Chain),
    ("set", "sets", What::Set),
    ("map", "maps", What::Map),
    ("meter", "meters", What::Meter),
    ("flowtable", "flowtables", What::Flowtable),
    ("counter", "counters", What::Object(1)),
    ("quota", "quotas", What::Object(2)),
    ("limit", "limits", What::Object(4)),
    ("secmark", "secmarks", What::Object(8)),
    ("synproxy", "synproxys", What::Object(10)),
    ("tunnel", "tunnels", What::Object(6)),
];

fn command(line: &[&str]) -> Result<Command, Error> {
    let mut words = Words { words: line.iter().peekable(), line };
    match words.next("list")? {
        "list" => {}
        verb if VERBS.contains(&verb) => {
            return Err(Error::usage(format!("{verb}: this program only lists and changes nothing"))
                .hint("rules are changed with nft itself, on the node"));
        }
        other => return Err(words.syntax(&format!("syntax error, unexpected '{other}'"))),
    }
    let thing = words.next("ruleset, tables, table, chains, chain, sets, set, maps, map ...")?;
    let command = match thing {
        "ruleset" => Command::Ruleset { family: words.family().unwrap_or(0) },
        "tables" => Command::Tables { family: words.family().unwrap_or(0) },
        "table" => {
            let family = words.family().unwrap_or(family::IPV4);
            Command::Table { family, table: words.next("the name of a table")?.to_owned() }
        }
        "hooks" => {
            while words.words.next().is_some() {}
            Command::Nothing
        }
        "ct" => {
            let kind = words.next("helper, timeout or expectation")?;
            let (number, many) = match kind {
                "helper" => (3, false),
                "helpers" => (3, true),
                "timeout" => (7, words.words.peek() == Some(&&"table")),
                "timeouts" => (7, true),
                "expectation" => (9, words.words.peek() == Some(&&"table")),
                "expectations" => (9, true),
                other => return Err(words.syntax(&format!("syntax error, unexpected '{other}'"))),
            };
            thing_of(&mut words, What::Object(number), many)?
        }
        other => {
            let found = THINGS.iter().find(|(one, many, _)| other == *one || other == *many);
            let Some((_, many, what)) = found else {
                return Err(words.syntax(&format!("syntax error, unexpected '{other}'")));
            };
            thing_of(&mut words, *what, other == *many)?
        }
    };
    match words.words.next() {
        None => Ok(command),
        Some(extra) => Err(words.syntax(&format!("syntax error, unexpected '{extra}'"))),
    }
}

fn thing_of(words: &mut Words<'_>, what: What, many: bool) -> Result<Command, Error> {
    if !many {
        let family = words.family().unwrap_or(family::IPV4);
        let table = words.next("the name of a table")?.to_owned();
        return Ok(Command::One { what, family, table, name: words.next("a name")?.to_owned() });
    }
    if what != What::Chain && words.eat("table") {
        let family = words.family().unwrap_or(family::IPV4);
        return Ok(Command::Many { what, family, table: Some(words.next("the name of a table")?.to_owned()) });
    }
    Ok(Command::Many { what, family: words.family().unwrap_or(0), table: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, Error> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    fn only(line: &str) -> Command {
        match parsed(line).unwrap().action {
            Action::List(commands) if commands.len() == 1 => commands[0].clone(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn what_is_listed() {
        assert_eq!(only("list ruleset"), Command::Ruleset { family: 0 });
        assert_eq!(only("-a list ruleset inet"), Command::Ruleset { family: family::INET });
        assert_eq!(only("list table t"), Command::Table { family: family::IPV4, table: "t".to_owned() });
        let one = |what, name: &str| Command::One {
            what,
            family: family::IPV6,
            table: "t".to_owned(),
            name: name.to_owned(),
        };
        assert_eq!(only("list chain ip6 t c"), one(What::Chain, "c"));
        assert_eq!(only("list ct helper ip6 t h"), one(What::Object(3), "h"));
        let many = Command::Many { what: What::Object(1), family: family::IPV4, table: Some("t".to_owned()) };
        assert_eq!(only("list counters table t"), many);
        assert_eq!(only("list sets arp"), Command::Many { what: What::Set, family: family::ARP, table: None });
        let Action::List(two) = parsed("list tables; list ruleset").unwrap().action else { panic!() };
        assert_eq!(two.len(), 2);
    }

    #[test]
    fn options_come_first_and_may_stand_together() {
        let options = parsed("-nn -sat --json list ruleset").unwrap().options;
        assert!(options.numeric && options.stateless && options.handles && options.terse && options.json);
        assert_eq!(parsed("list ruleset -a").unwrap_err().exit.0, 1);
        assert_eq!(parsed("--netns 1 list ruleset").unwrap().options.netns.as_deref(), Some("1"));
        assert_eq!(parsed("--netns=/x list ruleset").unwrap().options.netns.as_deref(), Some("/x"));
    }

    #[test]
    fn what_changes_rules_is_refused_by_name() {
        for verb in VERBS {
            let error = parsed(&format!("{verb} table ip t")).unwrap_err();
            assert!(error.message.contains(verb) && error.exit.0 == 2, "{verb}");
        }
        for (short, long, _) in REFUSED {
            for word in [short, long] {
                let error = parsed(&format!("{word} list ruleset")).unwrap_err();
                assert!(error.message.contains(long) && error.exit.0 == 2, "{word}");
            }
        }
        for wrong in ["list", "list nothing", "list table", "list ruleset ip x", "list chain t", "what"] {
            assert_eq!(parsed(wrong).unwrap_err().exit.0, 1, "{wrong}");
        }
    }
}
