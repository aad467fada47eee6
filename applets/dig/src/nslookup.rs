//! nslookup: the question on the command line, or one a line on stdin.
//!
//! - Peer: BIND nslookup 9.18.49, byte for byte where it prints text.
//! - Deliberate differences: the usage text is our own; `d2` (a trace of BIND's event loop) is refused by name; a record
//!   that cannot be read is shown as `TYPEn \# len hex` with a warning on stderr.
//! - Beyond the peer: `--json`, `--from-pid`, `--netns`, `--help`.
//! - Kernel interfaces: UDP and TCP sockets; /etc/resolv.conf, /etc/hosts.
//! - Privilege: none, except for `--netns` (CAP_SYS_ADMIN) and another user's `--from-pid` (CAP_SYS_PTRACE).

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use netkit_core::text::printable;
use netkit_core::{Applet, Ctx, Error, Exit, Flags, Group, flag, flags, front};
use netkit_wire::dns::{Class, RrType};

use crate::lookup::{Family, Format, Globals, Lookup, PORT, Server, Settings};
use crate::nslookup_print::Printer;
use crate::personality;
use crate::session::Env;
use crate::{Own, PEER_VERSION, numbers};

const SCHEMA: &str = "nslookup/1";
/// Longest command line read at once, in bytes, as with BIND (COMMSIZE).
const LINE_MAX: u64 = 0xffff;
/// Longest timeout, in seconds: about thirty years, and a deadline can still be computed from it.
const TIMEOUT_MAX: u32 = 1 << 30;

pub(crate) const APPLET: Applet = Applet {
    name: "nslookup",
    aliases: &[],
    purpose: "addresses of a name, in many lines",
    usage: "[-option ...] name [server]\n[-option ...] [- server]",
    group: Group::Dns,
    flags: FLAGS,
    capability: None,
    main: run,
};

const FLAGS: Flags = flags![
    flag("-all", "", "show servers and settings"),
    flag("-class=", "CLASS", "class (cl)"),
    flag("-debug", "", "show every section, and suffixes that fail (nodebug)"),
    flag("-domain=", "NAME", "the only suffix to append (do)"),
    flag("-fail", "", "SERVFAIL ends the lookup (nofail)"),
    flag("-ndots=", "N", "dots that make a name be asked as it is first"),
    flag("-port=", "PORT", "port of the server (po)"),
    flag("-recurse", "", "ask for recursion (norecurse)"),
    flag("-retry=", "N", "attempts (ret)"),
    flag("-search", "", "use the search list (nosearch, defname, nodefname)"),
    flag("-timeout=", "SECONDS", "wait so long for a reply (t)"),
    flag("-type=", "TYPE", "type (ty, querytype, query, qu, q)"),
    flag("-vc", "", "over TCP (novc)"),
    flag("-version", "", "version"),
    flag("--json", "", "one JSON object per reply"),
    flag("--from-pid", "PID", "resolv.conf and hosts of that process"),
    flag("--netns", "PID|PATH", "from that network namespace"),
];

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let mut words = ctx.args_lossy();
    let own = Own::take(&mut words)?;
    ctx.explain |= own.explain;
    let json = words.iter().any(|word| word == "--json");
    words.retain(|word| word != "--json");
    if words.iter().any(|word| word == "--help") {
        ctx.stdout.write_all(front::help_page(&APPLET).as_bytes())?;
        return Ok(Exit::OK);
    }
    let env = Env::read(ctx.clock, own.from_pid.as_deref())?;
    if let Some(target) = &own.netns {
        netkit_sys::netns::enter(target)?;
    }
    let version = format!("nslookup {PEER_VERSION}-netkit{}", ctx.build.version);
    let mut session = Session::new(&env, json);
    let mut talk = Talk::default();
    let line = session.command_line(&env, &words, &mut talk);
    talk.hand_over(ctx, json)?;
    match line? {
        Line::Usage => {
            for usage in APPLET.usage.lines() {
                ctx.say(&format!("usage: nslookup {usage}"));
            }
            return Ok(Exit(1));
        }
        Line::Version => {
            ctx.say(&version);
            return Ok(Exit::OK);
        }
        Line::Question(question) => session.look_up(ctx, &env, *question)?,
        Line::Interactive => session.interactive(ctx, &env)?,
    }
    if !json {
        ctx.stdout.write_all(b"\n")?;
    }
    let printer = &session.printer;
    Ok(if printer.replied && !printer.failed { Exit::OK } else { Exit(1) })
}

/// What the command line asks for.
#[derive(Debug)]
enum Line {
    Question(Box<Settings>),
    Interactive,
    Version,
    Usage,
}

/// Text about the settings. It goes to stdout as with BIND, but to stderr where stdout carries JSON.
#[derive(Default)]
struct Talk(String);

impl Talk {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn hand_over(&mut self, ctx: &mut Ctx, json: bool) -> Result<(), Error> {
        let text = std::mem::take(&mut self.0);
        if json {
            let _ = ctx.stderr.write_all(text.as_bytes());
        } else {
            ctx.stdout.write_all(text.as_bytes())?;
            ctx.stdout.flush()?;
        }
        Ok(())
    }
}

/// Everything `set` can change.
struct Session {
    /// As typed, for `set all`.
    type_text: String,
    class_text: String,
    rtype: RrType,
    class: Class,
    search: bool,
    origins: Vec<String>,
    ndots: u32,
    port: u16,
    /// Seconds, 0 for BIND's default.
    timeout: u32,
    tries: u32,
    recurse: bool,
    /// `vc`, `novc`; unsaid, ANY goes over TCP and the rest over UDP.
    tcp: Option<bool>,
    servfail_stops: bool,
    check_ra: bool,
    servers: Vec<Server>,
    json: bool,
    printer: Printer,
}

impl Session {
    fn new(env: &Env, json: bool) -> Session {
        Session {
            type_text: "A".to_owned(),
            class_text: "IN".to_owned(),
            rtype: RrType::A,
            class: Class::IN,
            search: true,
            origins: env.resolv.search.clone(),
            ndots: env.resolv.ndots,
            port: PORT,
            timeout: env.timeout().unwrap_or(0),
            tries: env.tries(),
            recurse: true,
            tcp: None,
            servfail_stops: false,
            check_ra: true,
            servers: env.servers(Family::Any),
            json,
            printer: Printer::default(),
        }
    }

    fn command_line(&mut self, env: &Env, words: &[String], talk: &mut Talk) -> Result<Line, Error> {
        let (mut question, mut have_name, mut have_server) = (None, false, false);
        for word in words {
            match word.strip_prefix('-') {
                Some("") => have_name = true,
                Some(option) if has_prefix(option, "ver") => return Ok(Line::Version),
                Some(option) => {
                    if is_d2(option) {
                        return Err(Error::usage(D2));
                    }
                    self.set(option, talk);
                }
                None if !have_name => {
                    have_name = true;
                    question = Some(Box::new(self.question(word)));
                }
                None if have_server => return Ok(Line::Usage),
                None => {
                    have_server = true;
                    self.use_server(env, word)?;
                }
            }
        }
        Ok(question.map_or(Line::Interactive, Line::Question))
    }

    fn interactive(&mut self, ctx: &mut Ctx, env: &Env) -> Result<(), Error> {
        let prompt = std::io::stdin().is_terminal();
        let mut line = Vec::new();
        loop {
            if prompt {
                ctx.stdout.write_all(b"> ")?;
                ctx.stdout.flush()?;
            }
            line.clear();
            let read = ctx.stdin.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
            if read.map_err(|error| Error::new(Exit(1), format!("cannot read standard input: {error}")))? == 0 {
                return Ok(());
            }
            let mut talk = Talk::default();
            let text = String::from_utf8_lossy(&line).into_owned();
            let mut words = text.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty());
            let Some(word) = words.next() else { continue };
            let argument = words.next();
            match (word.to_ascii_lowercase().as_str(), argument) {
                ("set", Some(option)) if is_d2(option) => ctx.say(&format!("{}: {D2}", ctx.name)),
                ("set", Some(option)) => self.set(option, &mut talk),
                ("server" | "lserver", _) => {
                    if let Some(server) = argument {
                        self.use_server(env, server)?;
                    }
                    self.check_ra = false;
                    self.show_servers(&mut talk);
                }
                ("exit", _) => return Ok(()),
                ("help" | "?", _) => talk.line(&format!("The '{word}' command is not yet implemented.")),
                ("finger" | "root" | "ls" | "view", _) => {
                    talk.line(&format!("The '{word}' command is not implemented."));
                }
                _ => {
                    self.look_up(ctx, env, self.question(word))?;
                }
            }
            talk.hand_over(ctx, self.json)?;
        }
    }

    fn use_server(&mut self, env: &Env, text: &str) -> Result<(), Error> {
        self.servers = personality::servers_for(env, Some(text), Family::Any)?;
        self.check_ra = false;
        Ok(())
    }

    /// The question as the settings stand now; what `set` changes afterwards does not reach it.
    fn question(&self, word: &str) -> Settings {
        let (name, rtype, reverse) = match personality::reverse_text(word) {
            Some(name) => (name, RrType::PTR, true),
            None => (word.to_owned(), self.rtype, false),
        };
        Settings {
            name,
            rtype,
            class: self.class,
            rd: self.recurse,
            tcp: self.tcp.unwrap_or(rtype == RrType::ANY),
            tries: Some(self.tries.max(1)),
            servfail_stops: self.servfail_stops,
            // An address is never completed from the search list.
            search: !reverse,
            ..personality::plain_settings()
        }
    }

    fn look_up(&mut self, ctx: &mut Ctx, env: &Env, question: Settings) -> Result<(), Error> {
        self.printer.no_a = false;
        let settings = Settings { servers: self.servers.clone(), check_ra: self.check_ra, ..question };
        let globals = Globals {
            search: self.search,
            show_search: self.printer.debug,
            ndots: Some(self.ndots),
            timeout: (self.timeout != 0).then_some(self.timeout.min(TIMEOUT_MAX)),
            origins: Some(self.origins.clone()),
            port: Some(self.port),
            format: if self.json { Format::Json } else { Format::Text },
            schema: SCHEMA,
            ..Globals::default()
        };
        self.printer.queue.push_back(Lookup { settings, globals: globals.into(), banner: String::new() });
        personality::run(ctx, env, &mut self.printer)
    }

    fn show_servers(&self, talk: &mut Talk) {
        for server in &self.servers {
            let port = server.port.unwrap_or(self.port);
            talk.line(&format!("Default server: {}\nAddress: {}#{port}", server.label, server.address));
        }
    }

    fn show_all(&self, talk: &mut Talk) {
        self.show_servers(talk);
        let choose = |on: bool, yes: &'static str, no: &'static str| if on { yes } else { no };
        let out = &mut talk.0;
        let _ = writeln!(
            out,
            "\nSet options:\n  {}\t\t\t{}\t\tnod2\n  {}\t\t{}",
            choose(self.tcp == Some(true), "vc", "novc"),
            choose(self.printer.debug, "debug", "nodebug"),
            choose(self.search, "search", "nosearch"),
            choose(self.recurse, "recurse", "norecurse"),
        );
        let (timeout, tries, port, ndots) = (self.timeout, self.tries, self.port, self.ndots);
        let _ = writeln!(out, "  timeout = {timeout}\t\tretry = {tries}\tport = {port}\tndots = {ndots}");
        let _ = writeln!(out, "  querytype = {:<8}\tclass = {}", self.type_text, self.class_text);
        let _ = writeln!(out, "  srchlist = {}", self.origins.join("/"));
    }

    fn set(&mut self, option: &str, talk: &mut Talk) {
        if let Some((key, value)) = option.split_once('=') {
            if self.assign(&key.to_ascii_lowercase(), value, talk) {
                return;
            }
        } else if self.switch(option, talk) {
            return;
        }
        talk.line(&format!("*** Invalid option: {}", printable(option)));
    }

    /// `key=value`; whether there is such a key.
    fn assign(&mut self, key: &str, value: &str, talk: &mut Talk) -> bool {
        match key {
            "class" | "cl" => match value.parse() {
                Ok(class) => (self.class, self.class_text) = (class, value.to_owned()),
                Err(_) => talk.line(&format!("unknown query class: {}", printable(value))),
            },
            "type" | "ty" | "querytype" | "query" | "qu" | "q" => match value.parse() {
                Ok(rtype) => {
                    (self.rtype, self.type_text) = (rtype, value.to_owned());
                    self.printer.type_set = true;
                }
                Err(_) => talk.line(&format!("unknown query type: {}", printable(value))),
            },
            "domain" | "do" => {
                self.origins = vec![value.to_owned()];
                self.search = true;
            }
            "port" | "po" => {
                let number = number("port", value, u32::from(u16::MAX), talk);
                self.port = number.and_then(|port| u16::try_from(port).ok()).unwrap_or(self.port);
            }
            "timeout" | "t" => self.timeout = number("timeout", value, u32::MAX, talk).unwrap_or(self.timeout),
            "retry" | "ret" => self.tries = number("tries", value, i32::MAX.unsigned_abs(), talk).unwrap_or(self.tries),
            "ndots" => self.ndots = number("ndots", value, 128, talk).unwrap_or(self.ndots),
            _ => return false,
        }
        true
    }

    /// A word that may be cut short; whether there is such a word.
    fn switch(&mut self, option: &str, talk: &mut Talk) -> bool {
        let word = option.to_ascii_lowercase();
        let is = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
        if is("all", 3) {
            self.show_all(talk);
        } else if is("recurse", 3) || is("norecurse", 5) {
            self.recurse = is("recurse", 3);
        } else if is("defname", 3) || is("search", 3) {
            self.search = true;
        } else if is("nodefname", 5) || is("nosearch", 5) {
            self.search = false;
        } else if is("vc", 2) || is("novc", 4) {
            self.tcp = Some(is("vc", 2));
        } else if is("debug", 3) || is("nodebug", 5) {
            self.printer.debug = is("debug", 3);
        } else if is("fail", 3) || is("nofail", 5) {
            self.servfail_stops = is("fail", 3);
        } else {
            // Both are what we do anyway.
            return is("nod2", 4) || is("sil", 3);
        }
        true
    }
}

const D2: &str = "d2 traces the event loop of BIND, which is not in here";

fn is_d2(option: &str) -> bool {
    option.eq_ignore_ascii_case("d2")
}

/// Whether `text` starts with `prefix`, whatever the case.
fn has_prefix(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn number(what: &str, value: &str, max: u32, talk: &mut Talk) -> Option<u32> {
    numbers::decimal(value, max).map_err(|why| talk.line(&format!("invalid {what} '{}': {why}", printable(value)))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use netkit_core::SystemClock;
    use netkit_dns::resolv_conf::ResolvConf;

    fn env() -> Env {
        Env {
            resolv: ResolvConf::parse("nameserver 192.0.2.1\nsearch a.test b.test\noptions ndots:2 attempts:4\n"),
            hosts: netkit_dns::hosts::Hosts::default(),
            clock: &SystemClock,
            key: None,
            key_failed: false,
            cookie: [0; 8],
            hints: false,
        }
    }

    fn after(line: &str) -> (Session, Result<Line, Error>, String) {
        let env = env();
        let mut session = Session::new(&env, false);
        let mut talk = Talk::default();
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        let done = session.command_line(&env, &words, &mut talk);
        (session, done, talk.0)
    }

    #[test]
    fn settings_as_typed() {
        let (_, done, text) = after("-vc -nosearch -norec -t=3 -po=54 -cl=ch -q=txt -all");
        assert!(matches!(done.unwrap(), Line::Interactive));
        assert_eq!(
            text,
            "Default server: 192.0.2.1\nAddress: 192.0.2.1#54\n\nSet options:\n  vc\t\t\tnodebug\t\tnod2\n  nosearch\t\t\
             norecurse\n  timeout = 3\t\tretry = 4\tport = 54\tndots = 2\n  querytype = txt     \tclass = ch\n  \
             srchlist = a.test/b.test\n"
        );
    }

    #[test]
    fn words_may_be_cut_short_but_not_long() {
        let (_, _, text) = after("-all1 -deb -debugx -recur -nodef -silent -nof -sea -se");
        assert_eq!(
            text,
            "*** Invalid option: all1\n*** Invalid option: debugx\n*** Invalid option: silent\n\
             *** Invalid option: nof\n*** Invalid option: se\n"
        );
    }

    #[test]
    fn a_lookup_keeps_the_type_it_was_typed_under() {
        let (session, done, _) = after("www -type=mx 192.0.2.7");
        let Line::Question(lookup) = done.unwrap() else { panic!("a lookup") };
        assert_eq!((lookup.rtype, session.rtype), (RrType::A, RrType::MX));
        assert_eq!(session.servers.first().map(|server| server.label.as_str()), Some("192.0.2.7"));
        assert!(!session.check_ra);
    }

    #[test]
    fn addresses_become_reverse_names() {
        let (_, done, _) = after("-type=mx 192.0.2.7");
        let Line::Question(lookup) = done.unwrap() else { panic!("a lookup") };
        assert_eq!((lookup.name.as_str(), lookup.rtype), ("7.2.0.192.in-addr.arpa.", RrType::PTR));
    }

    #[test]
    fn what_stops_at_once() {
        assert!(matches!(after("-VERSION www").1.unwrap(), Line::Version));
        assert!(matches!(after("www 192.0.2.1 192.0.2.2").1.unwrap(), Line::Usage));
        assert!(matches!(after("- 192.0.2.1").1.unwrap(), Line::Interactive));
        assert_eq!(after("-d2 www").1.unwrap_err().exit, Exit(2));
        assert_eq!(
            after("-retry=x -port=65536").2,
            "invalid tries 'x': not a valid number\ninvalid port '65536': out of range\n"
        );
    }
}
