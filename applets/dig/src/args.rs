//! The command line: words in, lookups out. BIND's grammar: options before the first name hold for every lookup, those
//! after a name for that one; a few (`+short`, `-p`, `+timeout=` ...) hold for the whole line wherever they stand.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use netkit_core::{Error, text};
use netkit_wire::dns::{Class, RrType};

use crate::exit;
use crate::lookup::{Family, Format, Globals, KeyText, Lookup, Server, Settings};
use crate::numbers::decimal;
use crate::plus;

/// Longest batch or digrc line that is read, in words (BIND stops at 13 and 61 after the name).
const BATCH_WORDS: usize = 13;
const RC_WORDS: usize = 61;
/// Dash options without a value; they may be bundled.
const SINGLE: &str = "46dhimnruv";
/// Every dash option BIND knows.
const DASH: &str = "46bcdfhikmnpqrtvyx";

/// Finds the addresses of a server named on the command line.
pub(crate) type Resolve<'a> = &'a (dyn Fn(&str, Family) -> Result<Vec<(IpAddr, u32)>, &'static str> + Sync);

/// What a command line asks for besides lookups.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Run these, then the batch file if there is one.
    Run,
    /// `-h`
    Help,
    /// `-v`
    Version,
}

/// Reads command lines, one after another, each seeing what the earlier ones left behind.
pub(crate) struct Parser<'a> {
    pub(crate) globals: Globals,
    /// Copied into every new lookup.
    pub(crate) default: Settings,
    /// `-f`
    pub(crate) batch: Option<String>,
    /// Lines for stdout, in order.
    pub(crate) out: String,
    /// Lines for stderr, in order.
    pub(crate) err: String,
    resolve: Resolve<'a>,
    version: &'a str,
    /// The next greeting is the first one.
    first_banner: bool,
    /// Addresses of the latest `@server`.
    address_count: usize,
    /// A line of the batch file was neither empty nor a comment.
    batch_begun: bool,
}

/// Where a line comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Command,
    /// ~/.digrc: only options count.
    Config,
    Batch,
}

/// The lookups of one line while it is read.
pub(crate) struct Line {
    list: Vec<(Settings, String)>,
    current: Current,
    need_clone: bool,
    open_type_class: bool,
    first_name: bool,
    pub(crate) source: Source,
}

/// Whose settings an option changes.
enum Current {
    Default,
    /// A batch line's own, before its first name.
    Pending(Box<Settings>),
    /// The latest of the list.
    Last,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(resolve: Resolve<'a>, version: &'a str) -> Parser<'a> {
        Parser {
            globals: Globals::default(),
            default: Settings::default(),
            batch: None,
            out: String::new(),
            err: String::new(),
            resolve,
            version,
            first_banner: true,
            address_count: 0,
            batch_begun: false,
        }
    }

    /// Looks over the dash options first: an unknown one or a missing value is refused before anything is read.
    /// Returns whether ~/.digrc is wanted.
    pub(crate) fn scan(&mut self, words: &[String]) -> Result<bool, Error> {
        let mut wanted = true;
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let Some(bundle) = word.strip_prefix('-') else { continue };
            if bundle.starts_with('-') {
                continue;
            }
            let option = bundle.trim_start_matches(|c| SINGLE.contains(c));
            for letter in bundle.chars().take(bundle.len() - option.len()) {
                let family = match letter {
                    'r' => {
                        wanted = false;
                        continue;
                    }
                    '4' => Family::V4,
                    '6' => Family::V6,
                    _ => continue,
                };
                if self.globals.family != Family::Any && self.globals.family != family {
                    return Err(Error::new(exit::USAGE, "only one of -4 and -6 allowed"));
                }
                self.globals.family = family;
            }
            let Some(letter) = option.chars().next() else { continue };
            let takes_next = option.len() == letter.len_utf8();
            if !DASH.contains(letter) || (takes_next && rest.next().is_none()) {
                return Err(self.invalid("-", option));
            }
        }
        Ok(wanted)
    }

    /// Lines of ~/.digrc: options only.
    pub(crate) fn config(&mut self, content: &str) -> Result<(), Error> {
        for line in content.lines() {
            let words: Vec<String> = line.split_whitespace().take(RC_WORDS).map(str::to_owned).collect();
            self.read(&words, Source::Config)?;
        }
        Ok(())
    }

    /// The command line proper.
    pub(crate) fn command_line(&mut self, words: &[String]) -> Result<(Request, Vec<Lookup>), Error> {
        self.read(words, Source::Command)
    }

    /// One line of a batch file. Empty lines and comments give nothing as long as no other line came before them; later
    /// ones are read like any line, as BIND 9.18 does: an empty one asks for the root's name servers.
    pub(crate) fn batch_line(&mut self, line: &str) -> Result<(Request, Vec<Lookup>), Error> {
        if line.is_empty() || (!self.batch_begun && line.starts_with(['\r', '\n', '#', ';'])) {
            return Ok((Request::Run, Vec::new()));
        }
        self.batch_begun = true;
        let words: Vec<String> = line
            .split([' ', '\t', '\r', '\n'])
            .filter(|w| !w.is_empty())
            .take(BATCH_WORDS)
            .map(str::to_owned)
            .collect();
        self.read(&words, Source::Batch)
    }

    fn read(&mut self, words: &[String], source: Source) -> Result<(Request, Vec<Lookup>), Error> {
        let batch = source == Source::Batch;
        let mut line = Line {
            list: Vec::new(),
            current: if batch { Current::Pending(Box::new(self.default.clone())) } else { Current::Default },
            need_clone: !batch,
            open_type_class: true,
            first_name: true,
            source,
        };
        let mut at = 0;
        while let Some(word) = words.get(at) {
            at += 1;
            if word.starts_with('%') {
                break;
            }
            if let Some(server) = word.strip_prefix('@') {
                if !self.server(&mut line, server)? {
                    return Ok((Request::Run, Vec::new()));
                }
            } else if let Some(option) = word.strip_prefix('+') {
                plus::apply(self, &mut line, option)?;
            } else if let Some(option) = word.strip_prefix('-') {
                match self.dash(&mut line, option, words.get(at).map(String::as_str), words)? {
                    Dash::Done => {}
                    Dash::TookNext => at += 1,
                    Dash::Stop(request) => return Ok((request, Vec::new())),
                }
            } else if !(line.open_type_class && self.type_or_class(&mut line, word)?) && source != Source::Config {
                self.name(&mut line, word, words);
            }
        }
        if source == Source::Command && self.batch.is_none() && line.list.is_empty() || batch && line.list.is_empty() {
            self.name(&mut line, ".", words);
            if let Some((settings, _)) = line.list.last_mut() {
                settings.rtype = RrType::NS;
                settings.type_set = true;
            }
        }
        let globals = Arc::new(self.globals.clone());
        let lookups = line
            .list
            .into_iter()
            .map(|(settings, banner)| Lookup { settings, globals: Arc::clone(&globals), banner })
            .collect();
        Ok((Request::Run, lookups))
    }

    /// What there is to say so far: on stdout as with BIND, unless that carries JSON, and on stderr.
    pub(crate) fn take_said(&mut self) -> (String, String) {
        let (out, err) = (std::mem::take(&mut self.out), std::mem::take(&mut self.err));
        if self.globals.format == Format::Json { (String::new(), out + &err) } else { (out, err) }
    }

    /// The settings that the next option changes.
    pub(crate) fn settings<'s>(&'s mut self, line: &'s mut Line) -> &'s mut Settings {
        let default = &mut self.default;
        match &mut line.current {
            Current::Default => default,
            Current::Pending(settings) => settings,
            Current::Last => line.list.last_mut().map_or(default, |(settings, _)| settings),
        }
    }

    /// Whether options now change what every later lookup starts from.
    pub(crate) fn at_default(&self, line: &Line) -> bool {
        matches!(line.current, Current::Default)
    }

    /// A new lookup for `name`.
    fn name(&mut self, line: &mut Line, name: &str, words: &[String]) {
        let mut settings = match std::mem::replace(&mut line.current, Current::Last) {
            Current::Pending(pending) if !line.need_clone => *pending,
            _ => self.default.clone(),
        };
        line.need_clone = true;
        name.clone_into(&mut settings.name);
        let banner = if line.first_name { self.banner(words) } else { String::new() };
        line.first_name = false;
        line.list.push((settings, banner));
    }

    fn banner(&mut self, words: &[String]) -> String {
        if !self.globals.cmd {
            return String::new();
        }
        let mut banner = String::new();
        if self.first_banner {
            banner.push('\n');
        }
        banner.push_str("; <<>> DiG ");
        banner.push_str(self.version);
        banner.push_str(" <<>>");
        for word in words {
            banner.push(' ');
            banner.push_str(word);
        }
        banner.push('\n');
        if self.first_banner {
            match self.address_count {
                0 => {}
                1 => banner.push_str("; (1 server found)\n"),
                count => banner.push_str(&format!("; ({count} servers found)\n")),
            }
            banner.push_str(";; global options:");
            banner.push_str(if self.globals.short { " +short" } else { "" });
            banner.push_str(" +cmd\n");
        }
        self.first_banner = false;
        banner
    }

    /// `@server`: an address, `address#port`, a name, or `tcp://` before any of them.
    /// False when a batch line is to be skipped.
    fn server(&mut self, line: &mut Line, word: &str) -> Result<bool, Error> {
        let mut host = word;
        if let Some((scheme, rest)) = word.split_once("://") {
            match scheme {
                "tcp" | "udp" => {
                    let settings = self.settings(line);
                    settings.tcp = scheme == "tcp";
                    settings.tcp_set = true;
                    host = rest.trim_end_matches('/');
                }
                "tls" | "https" | "http" => return self.secure_server(line, scheme, rest),
                "quic" | "h3" => {
                    return Err(Error::usage(format!("@{scheme}:// is not offered: use @tls:// or @https://")));
                }
                _ => {}
            }
        }
        let (host, port) = match host.split_once('#') {
            None => (host, None),
            Some((host, port)) => match decimal(port, u32::from(u16::MAX)) {
                Ok(number) => (host, u16::try_from(number).ok()),
                Err(why) => {
                    self.out.push_str(&format!("invalid port number '{}': {why}\n", text::printable(port)));
                    return Err(Error::new(exit::USAGE, "Couldn't parse port number"));
                }
            },
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match (self.resolve)(bare, self.globals.family) {
            Ok(addresses) => {
                self.address_count = addresses.len();
                let servers = addresses.into_iter().map(|(address, scope)| Server {
                    address,
                    scope,
                    port,
                    label: bare.to_owned(),
                });
                self.settings(line).servers.extend(servers);
                Ok(true)
            }
            Err(why) => {
                let shown = text::printable(bare);
                if line.source == Source::Batch {
                    self.address_count = 0;
                    self.err.push_str(&format!("couldn't get address for '{shown}': {why}: skipping lookup\n"));
                    return Ok(false);
                }
                Err(Error::new(exit::USAGE, format!("couldn't get address for '{shown}': {why}")))
            }
        }
    }

    /// `tls://HOST[:PORT]`, `https://HOST[:PORT][/PATH]` and the same with `http`.
    fn secure_server(&mut self, line: &mut Line, scheme: &str, rest: &str) -> Result<bool, Error> {
        let (place, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if path.len() > 1 && (scheme == "tls" || !crate::link::path_is_valid(path)) {
            let shown = text::printable(path);
            return Err(Error::usage(format!("@{scheme}://: `{shown}` is no path that could be asked")));
        }
        let settings = self.settings(line);
        settings.tcp = true;
        settings.tcp_set = true;
        settings.secure.tls = scheme == "tls";
        settings.secure.http = scheme != "tls";
        settings.secure.plain = scheme == "http";
        if path.len() > 1 {
            settings.secure.path = Some(path.to_owned());
        }
        // A port stands behind a colon here, and behind a hash as everywhere in dig.
        let host = match place.rsplit_once(':') {
            Some((host, port)) if place.ends_with(|last: char| last.is_ascii_digit()) => {
                let bracketed = host.starts_with('[') && host.ends_with(']');
                if bracketed || !host.contains(':') { format!("{host}#{port}") } else { place.to_owned() }
            }
            _ => place.to_owned(),
        };
        self.server(line, &host)
    }

    /// Takes a word as type or class; false when it is neither.
    fn type_or_class(&mut self, line: &mut Line, word: &str) -> Result<bool, Error> {
        if let Some(serial) = ixfr(word) {
            self.ixfr(line, serial)?;
        } else if let Ok(rtype) = word.parse::<RrType>() {
            if rtype == RrType::IXFR {
                self.err.push_str(";; Warning, ixfr requires a serial number\n");
                return Ok(true);
            }
            self.set_type(line, rtype);
        } else if let Ok(class) = word.parse::<Class>() {
            self.set_class(line, class);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn set_type(&mut self, line: &mut Line, rtype: RrType) {
        self.warn_extra_type(line);
        let (question, comments) = (self.globals.question_asked, self.globals.comments_asked);
        let remember = line.source != Source::Config || line.open_type_class;
        let settings = self.settings(line);
        settings.rtype = rtype;
        settings.type_set |= remember;
        settings.ixfr_serial = 0;
        if rtype == RrType::AXFR {
            settings.question = question;
            settings.comments = comments;
        } else if rtype == RrType::ANY && !settings.tcp_set {
            settings.tcp = true;
        }
    }

    fn ixfr(&mut self, line: &mut Line, serial: &str) -> Result<(), Error> {
        self.warn_extra_type(line);
        let serial = self
            .number(serial, u32::MAX, "serial number")
            .ok_or_else(|| Error::new(exit::USAGE, "Couldn't parse serial number"))?;
        let (question, comments) = (self.globals.question_asked, self.globals.comments_asked);
        let settings = self.settings(line);
        settings.rtype = RrType::IXFR;
        settings.type_set = true;
        settings.ixfr_serial = serial;
        settings.question = question;
        settings.comments = comments;
        if !settings.tcp_set {
            settings.tcp = true;
        }
        Ok(())
    }

    fn warn_extra_type(&mut self, line: &mut Line) {
        if self.settings(line).type_set {
            self.err.push_str(";; Warning, extra type option\n");
        }
    }

    fn set_class(&mut self, line: &mut Line, class: Class) {
        if self.settings(line).class_set {
            self.err.push_str(";; Warning, extra class option\n");
        }
        let settings = self.settings(line);
        settings.class = class;
        settings.class_set = true;
    }

    /// One `-...` word: bundled single letters, then perhaps one option with a value.
    fn dash(&mut self, line: &mut Line, word: &str, next: Option<&str>, words: &[String]) -> Result<Dash, Error> {
        if let Some(long) = word.strip_prefix('-') {
            return match long {
                "json" => {
                    plus::apply(self, line, "json")?;
                    Ok(Dash::Done)
                }
                "help" => Ok(Dash::Stop(Request::Help)),
                "version" => Ok(Dash::Stop(Request::Version)),
                _ => Err(self.invalid("-", word)),
            };
        }
        let mut option = word;
        while let Some(letter) = option.chars().next().filter(|letter| SINGLE.contains(*letter)) {
            match letter {
                'h' => return Ok(Dash::Stop(Request::Help)),
                'v' => return Ok(Dash::Stop(Request::Version)),
                'u' => self.settings(line).usec = true,
                'd' if option.len() > 1 && "debug".starts_with(option) => return Ok(Dash::Done),
                // -4, -6 and -r were seen by `scan`; -d, -i, -m and -n have no meaning here.
                _ => {}
            }
            option = option.get(1..).unwrap_or("");
            if option.is_empty() {
                return Ok(Dash::Done);
            }
        }
        let letter = option.chars().next();
        let inline = option.get(letter.map_or(0, char::len_utf8)..).filter(|value| !value.is_empty());
        let Some(value) = inline.or(next) else { return Err(self.invalid("-", option)) };
        match letter {
            Some('b') => self.source(value)?,
            Some('c') => {
                line.open_type_class = false;
                match value.parse::<Class>() {
                    Ok(class) => self.set_class(line, class),
                    Err(_) => {
                        if self.settings(line).class_set {
                            self.err.push_str(";; Warning, extra class option\n");
                        }
                        let shown = text::printable(value);
                        self.err.push_str(&format!(";; Warning, ignoring invalid class {shown}\n"));
                    }
                }
            }
            Some('f') => self.batch = Some(value.to_owned()),
            Some('k') => self.globals.key_file = Some(value.to_owned()),
            Some('p') => {
                let port = self.number(value, u32::from(u16::MAX), "port number");
                let port = port.ok_or_else(|| Error::new(exit::USAGE, "Couldn't parse port number"))?;
                self.globals.port = u16::try_from(port).ok();
            }
            Some('q') => {
                if line.source != Source::Config {
                    self.name(line, value, words);
                }
            }
            Some('t') => {
                line.open_type_class = false;
                if let Some(serial) = ixfr(value) {
                    self.ixfr(line, serial)?;
                } else {
                    match value.parse::<RrType>() {
                        Ok(rtype) if rtype != RrType::IXFR => self.set_type(line, rtype),
                        _ => {
                            let shown = text::printable(value);
                            self.err.push_str(&format!(";; Warning, ignoring invalid type {shown}\n"));
                        }
                    }
                }
            }
            Some('x') => {
                if line.source != Source::Config {
                    self.name(line, &reverse(value), words);
                    let settings = self.settings(line);
                    if !settings.type_set {
                        settings.rtype = RrType::PTR;
                    }
                    if !settings.class_set {
                        settings.class = Class::IN;
                    }
                }
            }
            Some('y') => self.key(value)?,
            _ => return Err(self.invalid("-", option)),
        }
        Ok(if inline.is_some() { Dash::Done } else { Dash::TookNext })
    }

    /// `-b address[#port]`
    fn source(&mut self, value: &str) -> Result<(), Error> {
        let (address, port) = match value.split_once('#') {
            None => (value, 0),
            Some((address, port)) => {
                let port = self.number(port, u32::from(u16::MAX), "port number");
                (address, port.ok_or_else(|| Error::new(exit::USAGE, "Couldn't parse port number"))?)
            }
        };
        let address = address.parse::<IpAddr>().ok().filter(|address| self.globals.family.allows(*address));
        let address =
            address.ok_or_else(|| Error::new(exit::USAGE, format!("invalid address {}", text::printable(value))))?;
        self.globals.source = Some(SocketAddr::new(address, u16::try_from(port).unwrap_or(0)));
        Ok(())
    }

    /// `-y [algorithm:]name:secret`
    fn key(&mut self, value: &str) -> Result<(), Error> {
        let parts: Vec<&str> = value.splitn(3, ':').collect();
        self.globals.key_text = Some(match parts.as_slice() {
            [algorithm, name, secret] => KeyText {
                algorithm: Some((*algorithm).to_owned()),
                name: (*name).to_owned(),
                secret: (*secret).to_owned(),
            },
            [name, secret] => KeyText {
                algorithm: Some("hmac-md5".to_owned()),
                name: (*name).to_owned(),
                secret: (*secret).to_owned(),
            },
            _ => {
                self.err.push_str(USAGE);
                return Err(Error::new(exit::USAGE, ""));
            }
        });
        Ok(())
    }

    /// Reads a decimal number; says on stdout, as BIND does, why it is none.
    pub(crate) fn number(&mut self, value: &str, max: u32, what: &str) -> Option<u32> {
        match decimal(value, max) {
            Ok(number) => Some(number),
            Err(why) => {
                self.out.push_str(&format!("invalid {what} '{}': {why}\n", text::printable(value)));
                None
            }
        }
    }

    /// The refusal of an option nobody knows.
    pub(crate) fn invalid(&mut self, sign: &str, option: &str) -> Error {
        self.err.push_str(&format!("Invalid option: {sign}{}\n{USAGE}", text::printable(option)));
        let mut error = Error::new(exit::USAGE, "");
        if sign == "+" {
            let word = option.strip_prefix("no").unwrap_or(option);
            if let Some(near) = text::nearest(word, crate::options::names()) {
                error = error.hint(format!("did you mean +{near}?"));
            }
        }
        error
    }
}

/// What a dash word did.
enum Dash {
    Done,
    TookNext,
    Stop(Request),
}

/// What follows a refused option.
const USAGE: &str = "\
Usage: dig [@server] [name] [type] [class] [-option] [+option] [name ...]
`netkit --help dig` lists every option.
";

fn ixfr(word: &str) -> Option<&str> {
    word.get(..5).filter(|head| head.eq_ignore_ascii_case("ixfr=")).and_then(|_| word.get(5..))
}

/// The name that `-x` asks for: ip6.arpa for an IPv6 address, else the dotted parts reversed below in-addr.arpa, whether
/// they are numbers or not (RFC 2317 delegations).
pub(crate) fn reverse(value: &str) -> String {
    if let Ok(IpAddr::V6(v6)) = value.parse::<IpAddr>() {
        let name = netkit_wire::dns::reverse_name(IpAddr::V6(v6)).to_string();
        return name;
    }
    let mut name = String::new();
    for part in value.rsplit('.') {
        name.push_str(part);
        name.push('.');
    }
    name.push_str("in-addr.arpa.");
    name
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
