//! The command line in curl's grammar: options in any order, letters in clusters, `--no-`, `--next`, configuration files.

use std::path::{Path, PathBuf};

use netkit_core::text::printable;

use crate::apply;
use crate::config::{Config, Global, Node};
use crate::options::{self, Arg, Spec};
use crate::variable;

/// Longest chain of configuration files that name each other.
const MAX_DEPTH: u32 = 10;
/// Largest configuration file, in bytes.
const MAX_CONFIG: usize = 10 << 20;

/// What stands on the command line, beside transfers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Transfer,
    Help(String),
    Version,
}

/// A command line that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) text: String,
    pub(crate) status: u8,
    /// Whether the way to the help is shown.
    pub(crate) help: bool,
}

/// Why an option was not taken, in curl's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    Unknown,
    Missing,
    Number,
    Negative,
    TooLarge,
    NoPrefix,
    NotBoolean,
    Unsupported,
    /// Reading a file failed.
    Read,
    /// It is known and not offered.
    Refused(&'static str),
    /// Anything else, in words.
    Other(String),
}

impl Problem {
    fn words(&self) -> String {
        match self {
            Problem::Unknown => "is unknown".to_owned(),
            Problem::Missing => "requires parameter".to_owned(),
            Problem::Number => "expected a proper numerical parameter".to_owned(),
            Problem::Negative => "expected a positive numerical parameter".to_owned(),
            Problem::TooLarge => "too large number".to_owned(),
            Problem::NoPrefix => "the given option cannot be reversed with a --no- prefix".to_owned(),
            Problem::NotBoolean => "used '--no-' for option that is not a boolean".to_owned(),
            Problem::Unsupported => "a specified protocol is unsupported by libcurl".to_owned(),
            Problem::Read => "error encountered when reading a file".to_owned(),
            Problem::Refused(why) => format!("is not offered by netkit: {why}"),
            Problem::Other(text) => text.clone(),
        }
    }

    fn usage(&self, option: &str) -> Usage {
        let words = self.words();
        let status = match self {
            Problem::Read => 26,
            Problem::Unsupported => 1,
            _ => 2,
        };
        Usage { text: format!("option {}: {words}", printable(option)), status, help: true }
    }
}

/// The parser, and what it has read so far.
pub(crate) struct Parser {
    pub(crate) global: Global,
    pub(crate) done: Vec<Config>,
    pub(crate) current: Config,
    /// Lines for stderr that begin with `Warning: `.
    pub(crate) warnings: Vec<String>,
    /// Lines for stderr about configuration files.
    pub(crate) errors: Vec<String>,
    pub(crate) request: Request,
    pub(crate) home: Option<PathBuf>,
    /// Of `--variable`: name and content.
    pub(crate) variables: Vec<(String, Vec<u8>)>,
    /// Seconds since the epoch, for `-z`.
    pub(crate) now: i64,
    depth: u32,
}

impl Parser {
    pub(crate) fn new(home: Option<PathBuf>, now: i64) -> Parser {
        Parser {
            global: Global { parallel_max: 50, ..Global::default() },
            done: Vec::new(),
            current: Config::default(),
            warnings: Vec::new(),
            errors: Vec::new(),
            request: Request::Transfer,
            home,
            variables: Vec::new(),
            now,
            depth: 0,
        }
    }

    /// Reads the whole command line.
    pub(crate) fn command_line(&mut self, words: &[String]) -> Result<(), Usage> {
        let first = words.first().map(String::as_str).unwrap_or("");
        let disabled = first == "--disable" || (first.starts_with("-q") && !first.starts_with("--"));
        if let (false, Some(path)) = (disabled, self.default_file())
            && let Ok(bytes) = std::fs::read(&path)
        {
            self.config_text(&String::from_utf8_lossy(&bytes), &path.to_string_lossy())?;
        }
        let mut rest = words.iter();
        let mut options = true;
        while let Some(word) = rest.next() {
            if options && word == "--" {
                options = false;
            } else if options && word.starts_with('-') && word.len() > 1 {
                let next = rest.as_slice().first().map(String::as_str);
                let used = self.word(word, next).map_err(|problem| problem.usage(&shown(word, &problem)))?;
                if used {
                    rest.next();
                }
            } else {
                self.url(word);
            }
            if self.request != Request::Transfer {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The operations, once everything has been read.
    pub(crate) fn finish(&mut self) -> Result<Vec<Config>, Usage> {
        let last = std::mem::take(&mut self.current);
        let mut all = std::mem::take(&mut self.done);
        all.push(last);
        for config in &mut all {
            if config.content_disposition && (config.include || config.head) {
                let text = "showing headers and --remote-header-name cannot be combined".to_owned();
                return Err(Usage { text, status: 2, help: true });
            }
            if config.nodes.iter().any(|node| node.url.is_none() && node.claimed) {
                self.warnings.push("Got more output options than URLs".to_owned());
            }
            config.nodes.retain(|node| node.url.is_some());
            config.form.finish();
        }
        Ok(all)
    }

    fn default_file(&self) -> Option<PathBuf> {
        let home = self.home.as_ref()?;
        [home.join(".curlrc"), home.join(".config/curlrc")].into_iter().find(|path| path.is_file())
    }

    /// One word that begins with a hyphen; tells whether the next one was its value.
    fn word(&mut self, word: &str, next: Option<&str>) -> Result<bool, Problem> {
        if let Some(name) = word.strip_prefix("--") {
            return self.long(name, next);
        }
        let mut letters = word.char_indices().skip(1).peekable();
        while let Some((at, letter)) = letters.next() {
            let spec = options::short(letter).ok_or(Problem::Unknown)?;
            if spec.arg == Arg::Text {
                let inline = word.get(at + letter.len_utf8()..).filter(|rest| !rest.is_empty());
                if let Some(value) = inline {
                    self.one(spec, value, true)?;
                    return Ok(false);
                }
                self.one(spec, next.ok_or(Problem::Missing)?, true)?;
                return Ok(true);
            }
            if letter == 'h' && letters.peek().is_none() {
                return self.help(next);
            }
            // `-N` is the letter of a long name that begins with `no-`.
            self.one(spec, "", true)?;
        }
        Ok(false)
    }

    fn long(&mut self, name: &str, next: Option<&str>) -> Result<bool, Problem> {
        if name == "help" {
            return self.help(next);
        }
        if let Some(bare) = name.strip_prefix("expand-") {
            let spec = options::long(bare).ok_or(Problem::Unknown)?;
            if spec.arg != Arg::Text {
                return Err(Problem::Other("expansion failure".to_owned()));
            }
            let value = next.ok_or(Problem::Missing)?;
            let expanded = variable::expand(self, value)?;
            self.one(spec, expanded.as_deref().unwrap_or(value), true)?;
            return Ok(true);
        }
        let (spec, on) = match options::long(name) {
            Some(spec) => (spec, true),
            None => {
                let bare = name.strip_prefix("no-").ok_or(Problem::Unknown)?;
                let spec = options::long(bare).ok_or(Problem::Unknown)?;
                match spec.arg {
                    Arg::Bool => (spec, false),
                    Arg::Text => return Err(Problem::NotBoolean),
                    Arg::None => return Err(Problem::NoPrefix),
                }
            }
        };
        if spec.arg != Arg::Text {
            self.one(spec, "", on)?;
            return Ok(false);
        }
        let value = next.ok_or(Problem::Missing)?;
        if value.starts_with('-')
            && value.len() > 2
            && value.chars().nth(1).is_some_and(|c| !c.is_ascii_digit())
            && self.depth == 0
            && matches!(spec.long, "output" | "user-agent" | "data" | "header" | "url")
            && options::long(value.trim_start_matches('-')).is_some()
        {
            self.warnings
                .push(format!("The argument '{value}' for option '--{}' looks like another option", spec.long));
        }
        self.one(spec, value, true)?;
        Ok(true)
    }

    fn help(&mut self, next: Option<&str>) -> Result<bool, Problem> {
        self.request = Request::Help(next.unwrap_or("").to_owned());
        Ok(next.is_some())
    }

    fn one(&mut self, spec: &'static Spec, value: &str, on: bool) -> Result<(), Problem> {
        if let Some(why) = spec.refused {
            // Turning off what is never on is no request.
            return if on { Err(Problem::Refused(why)) } else { Ok(()) };
        }
        match spec.long {
            "next" => self.next(),
            "version" => {
                self.request = Request::Version;
                Ok(())
            }
            "config" => self.config_file(value),
            "variable" => variable::set(self, value),
            "url" => match value.strip_prefix('@') {
                Some(file) => self.url_file(file),
                None => {
                    self.url(value);
                    Ok(())
                }
            },
            _ => apply::option(self, spec.long, value, on),
        }
    }

    /// Everything so far is one operation, what follows another.
    fn next(&mut self) -> Result<(), Problem> {
        if self.current.nodes.iter().all(|node| node.url.is_none()) {
            return Err(Problem::Other("missing URL before --next".to_owned()));
        }
        self.done.push(std::mem::take(&mut self.current));
        Ok(())
    }

    fn url(&mut self, url: &str) {
        let remote = self.current.remote_name_all;
        let nodes = &mut self.current.nodes;
        let at = match nodes.iter().position(|node| node.url.is_none()) {
            Some(at) => at,
            None => {
                nodes.push(Node::default());
                nodes.len() - 1
            }
        };
        if let Some(node) = nodes.get_mut(at) {
            node.url = Some(url.to_owned());
            if remote && !node.claimed {
                node.target = Some(crate::config::Target::Remote);
            }
        }
    }

    fn url_file(&mut self, file: &str) -> Result<(), Problem> {
        let text = String::from_utf8_lossy(&apply::read_file(file).map_err(|_| Problem::Read)?).into_owned();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            self.url(line);
            if let Some(node) = self.current.nodes.last_mut() {
                node.target = Some(crate::config::Target::Remote);
                node.claimed = true;
            }
        }
        Ok(())
    }

    /// `-K`.
    fn config_file(&mut self, name: &str) -> Result<(), Problem> {
        if self.depth >= MAX_DEPTH {
            return Err(Problem::Other("config files nest too deeply".to_owned()));
        }
        let bytes = apply::read_file(name).map_err(|_| Problem::Read)?;
        self.config_text(&String::from_utf8_lossy(&bytes), name).map_err(|_| Problem::Read)
    }

    fn config_text(&mut self, text: &str, name: &str) -> Result<(), Usage> {
        if text.len() > MAX_CONFIG {
            return Err(Usage { text: format!("{name}: too large"), status: 2, help: false });
        }
        self.depth += 1;
        for (number, line) in (1..).zip(text.lines()) {
            let Some(Line { option, value, loose }) = config_line(line) else { continue };
            let shown = if name == "-" { "<stdin>" } else { name };
            if loose {
                self.warnings.push(format!(
                    "{shown}:{number}: warning: '{}' uses unquoted whitespace in the option value that may cause \
                     side-effects. Consider double-quotes.",
                    printable(&option)
                ));
            }
            self.config_option(&option, value.as_deref()).map_err(|problem| {
                let why = problem.words();
                self.errors.push(format!("{shown}:{number}: warning: '{}' {why}", printable(&option)));
                problem.usage(&option)
            })?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn config_option(&mut self, option: &str, value: Option<&str>) -> Result<(), Problem> {
        if option.starts_with('-') && !option.starts_with("--") {
            self.word(option, value)?;
            return Ok(());
        }
        let name = option.trim_start_matches('-');
        let takes = options::long(name.strip_prefix("expand-").unwrap_or(name)).map(|spec| spec.arg);
        let value = match (takes, value) {
            (Some(Arg::Text), value) => value.filter(|value| !value.is_empty()),
            (None, _) => return self.long(name, None).map(|_| ()),
            (_, Some(value)) if !value.is_empty() => {
                return Err(Problem::Other("had unsupported trailing garbage".to_owned()));
            }
            _ => None,
        };
        self.long(name, value)?;
        Ok(())
    }
}

/// How the option is named in a message: a cluster shows the letter that was wrong.
fn shown(word: &str, problem: &Problem) -> String {
    if word.starts_with("--") {
        return word.to_owned();
    }
    let mut letters = word.chars().skip(1);
    let wrong = letters.find(|letter| match options::short(*letter) {
        None => true,
        Some(spec) => match problem {
            Problem::Unknown => false,
            Problem::Refused(why) => spec.refused == Some(why),
            _ => spec.arg == Arg::Text,
        },
    });
    match wrong {
        Some(letter) if word.chars().count() > 2 && !matches!(problem, Problem::Unknown) => format!("-{letter}"),
        _ => word.to_owned(),
    }
}

/// One line of a configuration file.
struct Line {
    option: String,
    value: Option<String>,
    /// Something stands behind a value without quotation marks.
    loose: bool,
}

/// Reads a line; `None` for a comment or nothing.
fn config_line(line: &str) -> Option<Line> {
    let line = line.trim_start();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let dashed = line.starts_with('-');
    let separator = |c: char| c.is_whitespace() || (!dashed && matches!(c, '=' | ':'));
    let end = line.find(separator).unwrap_or(line.len());
    let (option, rest) = line.split_at_checked(end)?;
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || (!dashed && matches!(c, '=' | ':')));
    let mut loose = false;
    let value = match rest.strip_prefix('"') {
        Some(quoted) => {
            let mut value = String::new();
            let mut chars = quoted.chars();
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' => match chars.next() {
                        Some('t') => value.push('\t'),
                        Some('n') => value.push('\n'),
                        Some('r') => value.push('\r'),
                        Some('v') => value.push('\u{b}'),
                        Some(other) => value.push(other),
                        None => {}
                    },
                    c => value.push(c),
                }
            }
            Some(value)
        }
        None if rest.trim_end().is_empty() => None,
        None => {
            let (value, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let behind = behind.trim_start();
            loose = !behind.is_empty() && !behind.starts_with('#');
            Some(value.to_owned())
        }
    };
    Some(Line { option: option.to_owned(), value, loose })
}

/// `~/` at the start stands for the home directory.
pub(crate) fn at_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Target;

    fn parse(words: &[&str]) -> Result<Vec<Config>, Usage> {
        let words: Vec<String> = std::iter::once("-q").chain(words.iter().copied()).map(str::to_owned).collect();
        let mut parser = Parser::new(None, 0);
        parser.command_line(&words)?;
        parser.finish()
    }

    #[test]
    fn clusters_and_values() {
        let configs = parse(&["-sSLo", "f", "-XPUT", "http://a", "--next", "-d", "x", "b", "-O"]).unwrap();
        assert_eq!(configs.len(), 2);
        assert!(configs[0].location);
        assert_eq!(configs[0].request.as_deref(), Some("PUT"));
        assert_eq!(configs[0].nodes[0].target, Some(Target::File("f".to_owned())));
        assert_eq!(configs[1].data.as_deref(), Some(&b"x"[..]));
        assert_eq!(configs[1].nodes[0].target, Some(Target::Remote));
        assert!(!configs[1].location);
    }

    #[test]
    fn refused_by_name() {
        let error = |words: &[&str]| parse(words).unwrap_err();
        assert_eq!(error(&["--nosuch", "a"]).text, "option --nosuch: is unknown");
        assert_eq!(error(&["-o"]).text, "option -o: requires parameter");
        assert!(error(&["--http3", "a"]).text.contains("use --http2"));
        assert_eq!(error(&["--no-url", "a"]).text, "option --no-url: used '--no-' for option that is not a boolean");
        assert_eq!(error(&["-d", "@/nonexistent/file", "a"]).status, 26);
        assert_eq!(error(&["-m", "x", "a"]).text, "option -m: expected a proper numerical parameter");
    }

    proptest::proptest! {
        #[test]
        fn any_line_of_a_config_file(line in "[ -]{0,3}(url|-s|max-time|x|é)?[ =:\t]{0,3}(\"|\\\\|[a-z# ]|\\PC){0,12}") {
            if let Some(read) = config_line(&line) {
                proptest::prop_assert!(read.option.len() + read.value.map_or(0, |value| value.len()) <= line.len());
            }
        }
    }

    #[test]
    fn lines_of_a_config_file() {
        let line = |text: &str| config_line(text).map(|line| (line.option, line.value.unwrap_or_default()));
        assert_eq!(line("# c"), None);
        assert_eq!(line("url = \"a \\\"b\\t\"").unwrap(), ("url".to_owned(), "a \"b\t".to_owned()));
        assert_eq!(line("-o:x").unwrap().0, "-o:x");
        assert_eq!(line("user-agent: x y").unwrap().1, "x");
        assert_eq!(line("silent").unwrap().1, "");
    }
}
