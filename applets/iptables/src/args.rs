//! The command line of iptables(8) and iptables-save(8).

use netkit_core::text::printable;
use netkit_core::{Error, Exit};
use netkit_nf::Family;
use netkit_nf::list::Format;

use crate::views;

/// Which backend to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// Whichever holds rules; both if both do.
    Auto,
    Legacy,
    Nft,
    All,
}

/// What to print of which chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) chain: Option<String>,
    /// Counted from 1.
    pub(crate) number: Option<usize>,
}

impl Selection {
    /// Whether a chain is meant.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.chain.as_deref().is_none_or(|chain| chain == name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// `-L`
    List(Selection),
    /// `-S`
    Spec(Selection),
    /// iptables-save
    Save,
    Version,
    Help,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) action: Action,
    pub(crate) family: Family,
    pub(crate) backend: Backend,
    pub(crate) table: Option<String>,
    pub(crate) numeric: bool,
    pub(crate) verbose: bool,
    pub(crate) exact: bool,
    pub(crate) line_numbers: bool,
    /// `-c` of iptables-save
    pub(crate) counters: bool,
    pub(crate) netns: Option<String>,
    /// What goes beyond the peer.
    pub(crate) options: views::Options,
}

/// The verbs that change something, in every spelling (iptables(8), COMMANDS).
const VERBS: [(&str, &str); 11] = [
    ("-A", "--append"),
    ("-D", "--delete"),
    ("-I", "--insert"),
    ("-R", "--replace"),
    ("-F", "--flush"),
    ("-Z", "--zero"),
    ("-N", "--new-chain"),
    ("-X", "--delete-chain"),
    ("-P", "--policy"),
    ("-E", "--rename-chain"),
    ("-C", "--check"),
];

/// Options that read.
const READING: [(&str, &str); 14] = [
    ("-t", "--table"),
    ("-L", "--list"),
    ("-S", "--list-rules"),
    ("-n", "--numeric"),
    ("-v", "--verbose"),
    ("-x", "--exact"),
    ("--line-numbers", "--line-numbers"),
    ("-w", "--wait"),
    ("-W", "--wait-interval"),
    ("-M", "--modprobe"),
    ("-V", "--version"),
    ("-h", "--help"),
    ("-4", "--ipv4"),
    ("-6", "--ipv6"),
];

/// Options of a rule, which have no place beside a list.
const OF_RULES: [(&str, &str); 14] = [
    ("-p", "--protocol"),
    ("-p", "--proto"),
    ("-s", "--source"),
    ("-s", "--src"),
    ("-d", "--destination"),
    ("-d", "--dst"),
    ("-i", "--in-interface"),
    ("-o", "--out-interface"),
    ("-j", "--jump"),
    ("-g", "--goto"),
    ("-m", "--match"),
    ("-f", "--fragments"),
    ("-c", "--set-counters"),
    ("-b", "--bidirectional"),
];

/// Options of ours.
const OURS: [(&str, &str); 2] = [("--netns", "--netns"), ("--backend", "--backend")];

/// Options of iptables-save.
const SAVING: [(&str, &str); 9] = [
    ("-t", "--table"),
    ("-c", "--counters"),
    ("-M", "--modprobe"),
    ("-V", "--version"),
    ("-h", "--help"),
    ("-4", "--ipv4"),
    ("-6", "--ipv6"),
    ("-f", "--file"),
    ("-b", "--binary"),
];

/// The short name of a long option, which may be cut as long as it stays the only one.
fn short_of(option: &str, saving: bool) -> Option<&'static str> {
    let tables: &[&[(&str, &str)]] = if saving { &[&SAVING, &OURS] } else { &[&READING, &VERBS, &OF_RULES, &OURS] };
    let all = || tables.iter().flat_map(|table| table.iter());
    if let Some((short, _)) = all().find(|(_, long)| *long == option) {
        return Some(short);
    }
    let mut cut = all().filter(|(_, long)| option.len() > 2 && long.starts_with(option)).map(|(short, _)| *short);
    let first = cut.next()?;
    cut.all(|other| other == first).then_some(first)
}

impl Request {
    /// How `-L` shows rules.
    pub(crate) fn format(&self) -> Format {
        Format {
            numeric: self.numeric,
            verbose: self.verbose,
            exact: self.exact,
            line_numbers: self.line_numbers,
            names: Some(crate::names::lookup),
            hosts: Some(crate::names::host),
        }
    }

    /// What the name it was called by says.
    fn named(name: &str, action: Action) -> Request {
        let family = if name.starts_with("ip6") { Family::Ipv6 } else { Family::Ipv4 };
        let backend = match name {
            name if name.contains("-legacy") => Backend::Legacy,
            name if name.contains("-nft") => Backend::Nft,
            _ => Backend::Auto,
        };
        Request {
            action,
            family,
            backend,
            table: None,
            numeric: false,
            verbose: false,
            exact: false,
            line_numbers: false,
            counters: false,
            netns: None,
            options: views::Options::default(),
        }
    }
}

/// Words one by one; a value may be glued to a long option with `=`, and short ones may stand together.
struct Words<'a> {
    words: std::iter::Peekable<std::slice::Iter<'a, String>>,
    /// Letters of a cluster that are still to be read.
    letters: Vec<char>,
}

impl<'a> Words<'a> {
    fn new(words: &'a [String]) -> Words<'a> {
        Words { words: words.iter().peekable(), letters: Vec::new() }
    }

    /// A value: the rest of the cluster, or the next word.
    fn value(&mut self, option: &str) -> Result<String, Error> {
        if !self.letters.is_empty() {
            return Ok(self.letters.drain(..).collect());
        }
        self.words.next().cloned().ok_or_else(|| Error::usage(format!("option \"{option}\" requires an argument")))
    }

    /// A value of one word or several, up to the next option; an arrow is none.
    fn sentence(&mut self, option: &str) -> Result<String, Error> {
        let mut text = self.value(option)?;
        while let Some(word) = self.words.next_if(|word| !word.starts_with('-') || word.starts_with("->")) {
            text.push(' ');
            text.push_str(word);
        }
        Ok(text)
    }

    /// The rest of the cluster, or the next word unless it is an option.
    fn optional(&mut self) -> Option<String> {
        if !self.letters.is_empty() {
            return Some(self.letters.drain(..).collect());
        }
        self.words.next_if(|word| !word.starts_with('-') && word.as_str() != "!").cloned()
    }
}

pub(crate) fn list(name: &str, words: &[String]) -> Result<Request, Error> {
    parse(name, words, false)
}

/// iptables-save leaves with 1 where iptables leaves with 2.
pub(crate) fn save(name: &str, words: &[String]) -> Result<Request, Error> {
    parse(name, words, true).map_err(|error| Error { exit: Exit(1), ..error })
}

fn parse(name: &str, words: &[String], saving: bool) -> Result<Request, Error> {
    let mut request = Request::named(name, if saving { Action::Save } else { Action::List(Selection::default()) });
    let mut words = Words::new(words);
    // The command, by its letter; and the letters of a list's options.
    let mut state = State { command: None, options: Vec::new(), saving };
    loop {
        let option = if words.letters.is_empty() {
            let Some(word) = words.words.next() else { break };
            match word.strip_prefix('-') {
                Some(letters) if !letters.starts_with('-') && !letters.is_empty() => {
                    words.letters = letters.chars().collect();
                    continue;
                }
                Some(_) => word.clone(),
                None => return Err(Error::usage(format!("Bad argument `{}'", printable(word)))),
            }
        } else {
            format!("-{}", words.letters.remove(0))
        };
        let (option, glued) = match option.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option.to_owned(), Some(value.to_owned())),
            _ => (option, None),
        };
        // Names of ours are never cut, so that the peer's can be cut as before.
        let own = option.starts_with("--") && views::NAMES.contains(&option.as_str());
        let short = if option.starts_with("--") && !own { short_of(&option, saving) } else { Some(option.as_str()) };
        let Some(short) = short else {
            return Err(Error::usage(format!("unknown option \"{}\"", printable(&option))));
        };
        one(&mut request, &mut words, &mut state, short, glued)?;
    }
    if saving || matches!(request.action, Action::Version | Action::Help) {
        return Ok(request);
    }
    request.options.check()?;
    // The peer wants a command; a list is what the name of this tool says.
    if state.command.is_none() && request.options.view.is_none() && name != "iptables-list" {
        return Err(Error::usage("no command specified"));
    }
    if let (Some("-S"), Some(option)) = (state.command, state.options.first()) {
        return Err(Error::usage(format!("Illegal option `{option}' with this command")));
    }
    Ok(request)
}

/// What the options so far say together.
struct State {
    command: Option<&'static str>,
    options: Vec<&'static str>,
    saving: bool,
}

impl State {
    fn command(&mut self, letter: &'static str) -> Result<(), Error> {
        match self.command.replace(letter) {
            None => Ok(()),
            Some(first) => Err(Error::usage(format!("Cannot use {letter} with {first}"))),
        }
    }
}

fn one(
    request: &mut Request,
    words: &mut Words<'_>,
    state: &mut State,
    option: &str,
    glued: Option<String>,
) -> Result<(), Error> {
    let saving = state.saving;
    let value = |words: &mut Words<'_>| match &glued {
        Some(value) => Ok(value.clone()),
        None => words.value(option),
    };
    match option {
        "-t" => request.table = Some(value(words)?),
        "-V" => request.action = Action::Version,
        "-h" => request.action = Action::Help,
        "--netns" => request.netns = Some(value(words)?),
        "--backend" => {
            request.backend = match value(words)?.as_str() {
                "auto" => Backend::Auto,
                "legacy" => Backend::Legacy,
                "nft" => Backend::Nft,
                "all" => Backend::All,
                other => {
                    return Err(Error::usage(format!("--backend: '{other}' is none of auto, legacy, nft, all")));
                }
            }
        }
        "-M" => {
            value(words)?;
        }
        "-4" => request.family = Family::Ipv4,
        "-6" => request.family = Family::Ipv6,
        "-c" if saving => request.counters = true,
        "-f" if saving => {
            return Err(Error::usage("-f (--file): this program writes no file; redirect its output"));
        }
        "-L" if !saving => {
            state.command("-L")?;
            request.action = Action::List(selection(words, glued)?);
        }
        "-S" if !saving => {
            state.command("-S")?;
            request.action = Action::Spec(selection(words, glued)?);
        }
        "-n" if !saving => {
            request.numeric = true;
            state.options.push("-n");
        }
        "-v" if !saving => request.verbose = true,
        "-x" if !saving => {
            request.exact = true;
            state.options.push("-x");
        }
        "--line-numbers" if !saving => {
            request.line_numbers = true;
            state.options.push("--line-numbers");
        }
        "-w" | "-W" if !saving => {
            if glued.is_none() {
                words.optional();
            }
        }
        _ => {
            // Of the views iptables-save has only the form of its output.
            let mut given = || match option {
                "--trace" if glued.is_none() => words.sentence(option),
                _ => value(words),
            };
            if let Some(taken) = request.options.take(option, &mut given).filter(|_| !saving || option == "--json") {
                return taken;
            }
            if let Some((short, long)) = VERBS.iter().find(|(short, _)| option == *short && !saving) {
                let why = if *short == "-C" { "compares nothing" } else { "changes nothing" };
                return Err(Error::usage(format!("{short} ({long}): this program only reads and {why}"))
                    .hint("rules are changed with iptables itself, on the node"));
            }
            if OF_RULES.iter().any(|(short, _)| option == *short && !saving) {
                return Err(Error::usage(format!("Illegal option `{option}' with this command")));
            }
            return Err(Error::usage(format!("unknown option \"{}\"", printable(option))));
        }
    }
    Ok(())
}

fn selection(words: &mut Words<'_>, glued: Option<String>) -> Result<Selection, Error> {
    let chain = glued.or_else(|| words.optional());
    let number = match chain.as_ref().and_then(|_| words.optional()) {
        None => None,
        Some(text) => match text.parse() {
            Ok(number) if number > 0 => Some(number),
            _ => return Err(Error::usage(format!("Invalid rule number `{}'", printable(&text)))),
        },
    };
    Ok(Selection { chain, number })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str, line: &str) -> Result<Request, Error> {
        list(name, &line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn clusters_and_selections() {
        let request = parsed("iptables", "-t nat -nvL PREROUTING 3 --line-numbers -w 5").unwrap();
        assert!(request.numeric && request.verbose && request.line_numbers && !request.exact);
        assert_eq!(request.table.as_deref(), Some("nat"));
        let selection = Selection { chain: Some("PREROUTING".to_owned()), number: Some(3) };
        assert_eq!(request.action, Action::List(selection));
        let selection = Selection { chain: Some("INPUT".to_owned()), number: None };
        for line in ["-LINPUT", "--list=INPUT", "--list INPUT", "-nL INPUT --line"] {
            assert_eq!(parsed("iptables", line).unwrap().action, Action::List(selection.clone()), "{line}");
        }
        for line in ["-L -S", "-S -n", "-S -x", "-n", "-L -p tcp", "--lis", "-L x y"] {
            assert_eq!(parsed("iptables", line).unwrap_err().exit.0, 2, "{line}");
        }
        assert_eq!(parsed("iptables-list", "-n").unwrap().action, Action::List(Selection::default()));
        assert_eq!(parsed("iptables", "-tnat -S").unwrap().table.as_deref(), Some("nat"));
    }

    #[test]
    fn names_choose_family_and_backend() {
        assert_eq!(parsed("ip6tables-nft", "-L").unwrap().family, Family::Ipv6);
        assert_eq!(parsed("ip6tables-nft", "-L").unwrap().backend, Backend::Nft);
        assert_eq!(parsed("iptables-legacy", "-L").unwrap().backend, Backend::Legacy);
        assert_eq!(parsed("iptables", "-6 -L").unwrap().family, Family::Ipv6);
    }

    #[test]
    fn what_changes_rules_is_refused_by_name() {
        for (short, long) in VERBS {
            for spelling in [short, long] {
                let error = parsed("iptables", &format!("{spelling} INPUT")).unwrap_err();
                assert!(error.message.contains(short) && error.exit.0 == 2, "{spelling}");
            }
        }
        assert!(parsed("iptables", "-L INPUT 0").is_err() && parsed("iptables", "--what").is_err());
    }
}
