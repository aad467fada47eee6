//! The command line of iptables(8) and iptables-save(8).

use netkit_core::Error;
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

impl Request {
    /// How `-L` shows rules.
    pub(crate) fn format(&self) -> Format {
        Format { numeric: self.numeric, verbose: self.verbose, exact: self.exact, line_numbers: self.line_numbers }
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

    /// The next word unless it is an option.
    fn optional(&mut self) -> Option<String> {
        if !self.letters.is_empty() {
            return None;
        }
        self.words.next_if(|word| !word.starts_with('-') && word.as_str() != "!").cloned()
    }
}

pub(crate) fn list(name: &str, words: &[String]) -> Result<Request, Error> {
    parse(name, words, false)
}

pub(crate) fn save(name: &str, words: &[String]) -> Result<Request, Error> {
    parse(name, words, true)
}

fn parse(name: &str, words: &[String], saving: bool) -> Result<Request, Error> {
    // Without any word the list is what is wanted; iptables itself would only complain.
    let mut request = Request::named(name, if saving { Action::Save } else { Action::List(Selection::default()) });
    let mut words = Words::new(words);
    loop {
        let option = if words.letters.is_empty() {
            let Some(word) = words.words.next() else { break };
            match word.strip_prefix('-') {
                Some(letters) if !letters.starts_with('-') && !letters.is_empty() => {
                    words.letters = letters.chars().collect();
                    continue;
                }
                Some(_) => word.clone(),
                None => return Err(Error::usage(format!("unexpected argument '{word}'"))),
            }
        } else {
            format!("-{}", words.letters.remove(0))
        };
        let (option, glued) = match option.split_once('=') {
            Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
            None => (option, None),
        };
        one(&mut request, &mut words, &option, glued, saving)?;
    }
    request.options.check()?;
    Ok(request)
}

fn one(
    request: &mut Request,
    words: &mut Words<'_>,
    option: &str,
    glued: Option<String>,
    saving: bool,
) -> Result<(), Error> {
    let value = |words: &mut Words<'_>| match &glued {
        Some(value) => Ok(value.clone()),
        None => words.value(option),
    };
    match option {
        "-t" | "--table" => request.table = Some(value(words)?),
        "-V" | "--version" => request.action = Action::Version,
        "-h" | "--help" => request.action = Action::Help,
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
        "-M" | "--modprobe" => {
            value(words)?;
        }
        "-4" | "--ipv4" => request.family = Family::Ipv4,
        "-6" | "--ipv6" => request.family = Family::Ipv6,
        "-c" | "--counters" if saving => request.counters = true,
        "-L" | "--list" if !saving => request.action = Action::List(selection(words)?),
        "-S" | "--list-rules" if !saving => request.action = Action::Spec(selection(words)?),
        "-n" | "--numeric" if !saving => request.numeric = true,
        "-v" | "--verbose" if !saving => request.verbose = true,
        "-x" | "--exact" if !saving => request.exact = true,
        "--line-numbers" if !saving => request.line_numbers = true,
        "-w" | "--wait" | "-W" | "--wait-interval" if !saving => {
            words.optional();
        }
        _ => {
            // Of the views iptables-save has only the form of its output.
            if let Some(taken) = request.options.take(option, || value(words)).filter(|_| !saving || option == "--json")
            {
                return taken;
            }
            if let Some((short, long)) = VERBS.iter().find(|(short, long)| option == *short || option == *long) {
                let why = if *short == "-C" { "compares nothing" } else { "changes nothing" };
                return Err(Error::usage(format!("{short} ({long}): this program only reads and {why}"))
                    .hint("rules are changed with iptables itself, on the node"));
            }
            return Err(Error::usage(format!("unknown option \"{option}\"")));
        }
    }
    Ok(())
}

fn selection(words: &mut Words<'_>) -> Result<Selection, Error> {
    let chain = words.optional();
    let number = match chain.as_ref().and_then(|_| words.optional()) {
        None => None,
        Some(text) => match text.parse() {
            Ok(number) if number > 0 => Some(number),
            _ => return Err(Error::usage(format!("invalid rule number '{text}'"))),
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
        assert_eq!(parsed("iptables", "-Ln").unwrap().action, Action::List(Selection::default()));
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
