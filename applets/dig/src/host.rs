//! host: the addresses of a name, the names of an address, in a line each.
//!
//! - Peer: BIND host 9.18.49, byte for byte where it prints text.
//! - Deliberate differences: the usage text is our own; a port that is no number is refused instead of read as 0; a
//!   record that cannot be read is shown as `TYPEn \# len hex` with a warning on stderr; `-m` and `-D` are refused by
//!   name.
//! - Beyond the peer: `--json`, `--from-pid`, `--netns`, `--help`.
//! - Kernel interfaces: UDP and TCP sockets; /etc/resolv.conf, /etc/hosts.
//! - Privilege: none, except for `--netns` (CAP_SYS_ADMIN) and another user's `--from-pid` (CAP_SYS_PTRACE).

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netkit_core::{Applet, Ctx, Error, Exit, Flags, Group, flag, flags, front};
use netkit_wire::dns::{Class, Message, Name, Rcode, Record, RrType, Section, Style};

use crate::engine::bare;
use crate::lookup::{Family, Format, Globals, Lookup, PORT, Settings};
use crate::personality::{self, Face, Reply, atoi, end_of_chain, rcode_text};
use crate::print::address;
use crate::session::{Env, Sink};
use crate::{Own, PEER_VERSION, numbers};

/// Tries at a server unless `-R` says otherwise; resolv.conf has no say in it.
const TRIES: u32 = 2;
/// Longest wait, in seconds: about thirty years, and a deadline can still be computed from it.
const TIMEOUT_MAX: u32 = 1 << 30;
const SCHEMA: &str = "host/1";

pub(crate) const APPLET: Applet = Applet {
    name: "host",
    aliases: &[],
    purpose: "addresses of a name, names of an address",
    usage: "[-aACdilnrsTUvVw46] [-c class] [-N ndots] [-p port] [-R number] [-t type] [-W time] name [server]",
    group: Group::Dns,
    flags: FLAGS,
    capability: None,
    main: run,
};

const FLAGS: Flags = flags![
    flag("-a", "", "all types, in full (-v -t ANY)"),
    flag("-A", "", "as -a, without RRSIG, NSEC and NSEC3"),
    flag("-c", "CLASS", "class"),
    flag("-C", "", "compare the SOA of every name server of the zone"),
    flag("-d", "", "same as -v"),
    flag("-i", "", "without effect; once the ip6.int tree"),
    flag("-l", "", "list the zone by transfer"),
    flag("-n", "", "without effect"),
    flag("-N", "NDOTS", "dots that make a name be asked as it is first"),
    flag("-p", "PORT", "port of the server"),
    flag("-r", "", "do not ask for recursion"),
    flag("-R", "NUMBER", "retries over UDP"),
    flag("-s", "", "SERVFAIL ends the lookup"),
    flag("-t", "TYPE", "type"),
    flag("-T", "", "over TCP"),
    flag("-U", "", "over UDP"),
    flag("-v", "", "replies in full"),
    flag("-V", "", "version"),
    flag("-w", "", "wait for ever"),
    flag("-W", "SECONDS", "wait so long for a reply"),
    flag("-4", "", "over IPv4 only"),
    flag("-6", "", "over IPv6 only"),
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
    let options = match Options::parse(&words) {
        Ok(options) => options,
        Err(Wrong::Usage(why)) => {
            if !why.is_empty() {
                ctx.say(&format!("{}: {why}", ctx.name));
            }
            ctx.say(&format!("usage: host {}", APPLET.usage));
            return Ok(Exit(1));
        }
        Err(Wrong::Version) => {
            ctx.say(&format!("host {PEER_VERSION}-netkit{}", ctx.build.version));
            return Ok(Exit::OK);
        }
        Err(Wrong::Fatal(error)) => return Err(error),
    };
    let env = Env::read(ctx.clock, own.from_pid.as_deref())?;
    if let Some(target) = &own.netns {
        netkit_sys::netns::enter(target)?;
    }
    let lookup = options.lookup(&env, json)?;
    let mut host = Host {
        verbose: options.verbose,
        list: options.list,
        almost_all: options.almost_all,
        default_lookups: options.default_lookups && lookup.settings.rtype != RrType::PTR,
        identify: options.compare,
        announce: options.server.is_some(),
        error: None,
        queue: VecDeque::from([lookup]),
    };
    personality::run(ctx, &env, &mut host)?;
    Ok(if host.error == Some(false) { Exit::OK } else { Exit(1) })
}

/// Which records of a transfer are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    /// A, AAAA, NS and PTR.
    Addresses,
    All,
    One(RrType),
}

/// The command line.
#[derive(Debug)]
struct Options {
    name: String,
    server: Option<String>,
    rtype: Option<RrType>,
    class: Class,
    serial: u32,
    verbose: bool,
    list: List,
    almost_all: bool,
    default_lookups: bool,
    compare: bool,
    recurse: bool,
    tcp: bool,
    tcp_set: bool,
    servfail_stops: bool,
    ndots: Option<u32>,
    port: u16,
    tries: u32,
    /// Seconds.
    timeout: Option<u32>,
    family: Family,
    /// Status of what goes wrong from here on.
    fatal: Exit,
}

/// Why there is nothing to look up.
#[derive(Debug)]
enum Wrong {
    /// With what to say before the usage.
    Usage(String),
    Version,
    Fatal(Error),
}

impl Default for Options {
    fn default() -> Options {
        Options {
            name: String::new(),
            server: None,
            rtype: None,
            class: Class::IN,
            serial: 0,
            verbose: false,
            list: List::Addresses,
            almost_all: false,
            default_lookups: true,
            compare: false,
            recurse: true,
            tcp: false,
            tcp_set: false,
            servfail_stops: false,
            ndots: None,
            port: PORT,
            tries: TRIES,
            timeout: None,
            family: Family::Any,
            fatal: Exit(1),
        }
    }
}

impl Options {
    fn parse(words: &[String]) -> Result<Options, Wrong> {
        let mut options = Options::default();
        let mut letters = Vec::new();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next_if(|word| word.starts_with('-')) {
            if word == "--" {
                break;
            }
            let mut rest = word.get(1..).unwrap_or_default();
            if rest.is_empty() {
                return Err(Wrong::Usage("illegal option -- -".to_owned()));
            }
            while let Some(letter) = rest.chars().next() {
                rest = rest.get(letter.len_utf8()..).unwrap_or_default();
                if !"cmNpRtW".contains(letter) {
                    letters.push((letter, String::new()));
                    continue;
                }
                let value = if rest.is_empty() { words.next().cloned() } else { Some(rest.to_owned()) };
                let missing = || Wrong::Usage(format!("option requires an argument -- {letter}"));
                letters.push((letter, value.ok_or_else(missing)?));
                break;
            }
        }
        // BIND reads the line twice: what is wrong with the letters comes before what is wrong with the values.
        for (letter, _) in &letters {
            options.first_reading(*letter)?;
        }
        for (letter, value) in &letters {
            options.take(*letter, value)?;
        }
        options.name = words.next().cloned().ok_or_else(|| Wrong::Usage(String::new()))?;
        options.server = words.next().cloned();
        Ok(options)
    }

    fn first_reading(&mut self, letter: char) -> Result<(), Wrong> {
        let both = || Wrong::Fatal(Error::new(Exit(1), "only one of -4 and -6 allowed"));
        match letter {
            '4' if self.family == Family::V6 => return Err(both()),
            '6' if self.family == Family::V4 => return Err(both()),
            '4' => self.family = Family::V4,
            '6' => self.family = Family::V6,
            'V' => return Err(Wrong::Version),
            'm' | 'D' => {
                let what = if letter == 'm' { "memory" } else { "event loop" };
                let why = format!("-{letter} traces the {what} of BIND, which is not in here");
                return Err(Wrong::Fatal(Error::usage(why)));
            }
            'a' | 'A' | 'c' | 'C' | 'd' | 'i' | 'l' | 'n' | 'N' | 'p' | 'r' | 'R' | 's' | 't' | 'T' | 'U' | 'v'
            | 'w' | 'W' => {}
            _ => return Err(Wrong::Usage(format!("illegal option -- {letter}"))),
        }
        Ok(())
    }

    fn take(&mut self, letter: char, value: &str) -> Result<(), Wrong> {
        match letter {
            'a' | 'A' => {
                self.almost_all |= letter == 'A';
                self.set_type(RrType::ANY);
                self.list = List::All;
                self.verbose = true;
                self.default_lookups = false;
            }
            'c' => {
                self.class = value.parse().map_err(|_| invalid("class", value))?;
                self.default_lookups = false;
            }
            'C' => {
                self.rtype = Some(RrType::NS);
                self.class = Class::IN;
                self.compare = true;
                self.default_lookups = false;
            }
            'd' | 'v' => self.verbose = true,
            'l' => {
                self.tcp = true;
                self.rtype = Some(RrType::AXFR);
                self.fatal = Exit(3);
            }
            'N' => self.ndots = Some(u32::try_from(atoi(value)).unwrap_or(0)),
            'p' => {
                let port = numbers::decimal(value, u32::from(u16::MAX)).ok().and_then(|port| u16::try_from(port).ok());
                let bad = || Wrong::Fatal(Error::new(Exit(1), format!("invalid port: {value}")));
                self.port = port.ok_or_else(bad)?;
            }
            'r' => self.recurse = false,
            'R' => self.tries = u32::try_from(atoi(value).saturating_add(1)).unwrap_or(TRIES).max(TRIES),
            's' => self.servfail_stops = true,
            't' => self.take_type(value)?,
            'T' | 'U' => {
                self.tcp = letter == 'T';
                self.tcp_set = true;
            }
            // About thirty years: long enough, and a deadline can still be computed from it.
            'w' => self.timeout = Some(TIMEOUT_MAX),
            'W' => self.timeout = Some(u32::try_from(atoi(value)).unwrap_or(1).clamp(1, TIMEOUT_MAX)),
            _ => {}
        }
        Ok(())
    }

    fn take_type(&mut self, value: &str) -> Result<(), Wrong> {
        let (rtype, serial) = match value.get(..5).filter(|head| head.eq_ignore_ascii_case("ixfr=")) {
            Some(_) => (RrType::IXFR, u32::try_from(atoi(value.get(5..).unwrap_or_default())).unwrap_or(0)),
            None => (value.parse().map_err(|_| invalid("type", value))?, 0),
        };
        self.set_type(rtype);
        self.list = List::One(rtype);
        match rtype {
            RrType::AXFR => {
                self.list = List::All;
                self.verbose = true;
                self.tcp = true;
            }
            RrType::IXFR => {
                self.serial = serial;
                self.tcp = true;
            }
            RrType::ANY => {
                self.list = List::All;
                self.tcp |= !self.tcp_set;
            }
            _ => {}
        }
        self.default_lookups = false;
        Ok(())
    }

    /// A zone listing stays one, whatever type is asked for besides.
    fn set_type(&mut self, rtype: RrType) {
        if self.rtype != Some(RrType::AXFR) {
            self.rtype = Some(rtype);
        }
    }

    fn lookup(&self, env: &Env, json: bool) -> Result<Lookup, Error> {
        let servers = personality::servers_for(env, self.server.as_deref(), self.family)
            .map_err(|error| Error { exit: self.fatal, ..error })?;
        let reverse = personality::reverse_text(&self.name);
        let (name, rtype) = match reverse {
            Some(name) => (name, RrType::PTR),
            None => (self.name.clone(), self.rtype.unwrap_or(RrType::A)),
        };
        let settings = Settings {
            name,
            rtype: if self.compare { RrType::NS } else { rtype },
            class: self.class,
            rd: self.recurse,
            tcp: self.tcp,
            tries: Some(self.tries),
            // An address is never completed from the search list.
            search: self.name.parse::<IpAddr>().is_err(),
            servfail_stops: self.servfail_stops,
            check_ra: self.server.is_none(),
            comments: false,
            ixfr_serial: self.serial,
            servers,
            nssearch: self.compare,
            ..personality::plain_settings()
        };
        let globals = Globals {
            search: true,
            ndots: self.ndots,
            timeout: self.timeout,
            port: Some(self.port),
            family: self.family,
            format: if json { Format::Json } else { Format::Text },
            schema: SCHEMA,
            illegal: self.fatal,
            ..Globals::default()
        };
        Ok(Lookup { settings, globals: globals.into(), banner: String::new() })
    }
}

/// BIND ends this message with an empty line.
fn invalid(what: &str, value: &str) -> Wrong {
    let value = netkit_core::text::printable(value);
    Wrong::Fatal(Error::new(Exit(2), format!("invalid {what}: {value}\n")))
}

/// What host shows.
struct Host {
    verbose: bool,
    list: List,
    almost_all: bool,
    /// AAAA and MX follow an A.
    default_lookups: bool,
    /// Each line names its server first.
    identify: bool,
    /// The server named by the user is still to be announced.
    announce: bool,
    /// `None` until a reply came, then whether one was bad.
    error: Option<bool>,
    queue: VecDeque<Lookup>,
}

impl Face for Host {
    fn queue(&mut self) -> &mut VecDeque<Lookup> {
        &mut self.queue
    }

    fn trying(&mut self, sink: &mut Sink<'_>, name: &Name) {
        if self.verbose {
            let _ = writeln!(sink.out, "Trying \"{}\"", bare(name));
        }
    }

    fn received(&mut self, sink: &mut Sink<'_>, bytes: u64, from: SocketAddr, elapsed: Duration) {
        if self.verbose {
            let _ = writeln!(sink.out, "Received {bytes} bytes from {} in {} ms", address(from), elapsed.as_millis());
        }
    }

    fn reply(&mut self, sink: &mut Sink<'_>, reply: &Reply<'_>) {
        let was_bad = self.error == Some(true);
        let rcode = reply.message.rcode();
        self.error = Some(was_bad || rcode != Rcode::NOERROR);
        if rcode == Rcode::NOERROR && self.default_lookups && reply.rtype == RrType::A {
            self.follow(reply);
        }
        if reply.lookup.globals.format == Format::Json {
            return;
        }
        if std::mem::take(&mut self.announce) {
            let (label, peer) = (&reply.server.label, address(reply.peer));
            let _ = write!(sink.out, "Using domain server:\nName: {label}\nAddress: {peer}\nAliases: \n\n");
        }
        if rcode != Rcode::NOERROR {
            self.not_found(&mut sink.out, reply, rcode);
            return;
        }
        if self.verbose {
            self.full(sink, reply);
            return;
        }
        let mut any = false;
        for record in records(reply.message, Section::Answer) {
            any = true;
            if self.wanted(reply, record.rtype) {
                self.line(sink, reply, record);
            }
        }
        if !any && !self.default_lookups {
            let _ = writeln!(sink.out, "{} has no {} record", bare(reply.name), reply.rtype);
        }
    }
}

/// The records of a section without OPT and TSIG.
fn records(message: &Message, section: Section) -> impl Iterator<Item = &Record> {
    message.section(section).filter(|record| !record.is_pseudo())
}

impl Host {
    /// Puts AAAA and MX of the name that the CNAME chain ends in after an A.
    fn follow(&mut self, reply: &Reply<'_>) {
        let name = bare(&end_of_chain(reply.message, reply.name));
        for rtype in [RrType::AAAA, RrType::MX] {
            self.queue.push_back(personality::following(reply, name.clone(), rtype));
        }
    }

    fn not_found(&self, out: &mut String, reply: &Reply<'_>, rcode: Rcode) {
        let asked = bare(reply.name);
        let name = if rcode == Rcode::NXDOMAIN { reply.lookup.settings.name.as_str() } else { asked.as_str() };
        let name = netkit_core::text::printable(name);
        let (number, text) = (rcode.0, rcode_text(rcode));
        if self.identify {
            let server = reply.server.address;
            let _ = write!(out, "Nameserver {server}:\n\t{name} not found: {number}({text})\n");
        } else {
            let _ = writeln!(out, "Host {name} not found: {number}({text})");
        }
    }

    /// A transfer shows what was asked for, `-A` hides signatures.
    fn wanted(&self, reply: &Reply<'_>, rtype: RrType) -> bool {
        let listed = match self.list {
            List::Addresses => matches!(rtype, RrType::A | RrType::AAAA | RrType::NS | RrType::PTR),
            List::All => true,
            List::One(one) => rtype == one,
        };
        let signature = matches!(rtype, RrType::RRSIG | RrType::NSEC | RrType::NSEC3);
        (reply.rtype != RrType::AXFR || listed) && !(self.almost_all && signature)
    }

    fn line(&self, sink: &mut Sink<'_>, reply: &Reply<'_>, record: &Record) {
        let (data, fault) = reply.message.rdata_text_or_unknown(record, &Style::default());
        let verb = match record.rtype {
            _ if fault.is_some() => format!("has TYPE{} record", record.rtype.0),
            RrType(1) => "has address".to_owned(),
            RrType(2) => "name server".to_owned(),
            RrType(5) => "is an alias for".to_owned(),
            RrType(11) => "has well known services".to_owned(),
            RrType(12) => "domain name pointer".to_owned(),
            RrType(13) => "host information".to_owned(),
            RrType(15) => "mail is handled by".to_owned(),
            RrType(16) => "descriptive text".to_owned(),
            RrType(19) => "x25 address".to_owned(),
            RrType(20) => "ISDN address".to_owned(),
            RrType(24) => "has signature".to_owned(),
            RrType(25) => "has key".to_owned(),
            RrType(28) => "has IPv6 address".to_owned(),
            RrType(29) => "location".to_owned(),
            other => format!("has {other} record"),
        };
        if self.identify {
            let _ = write!(sink.out, "Nameserver {}:\n\t", reply.server.address);
        }
        let _ = writeln!(sink.out, "{} {verb} {data}", bare(&record.owner));
        if let Some(fault) = fault {
            warn(sink, record, &fault);
        }
    }

    /// The whole reply, as `-v` shows it.
    fn full(&self, sink: &mut Sink<'_>, reply: &Reply<'_>) {
        let message = reply.message;
        let header = &message.header;
        let status = rcode_text(message.rcode());
        let out = &mut sink.out;
        let _ = writeln!(out, ";; ->>HEADER<<- opcode: {}, status: {status}, id: {}", header.opcode, header.id);
        out.push_str(";; flags:");
        crate::print::flags(out, header);
        let [questions, answers, authorities, additionals] = header.counts;
        let _ = writeln!(
            out,
            "; QUERY: {questions}, ANSWER: {answers}, AUTHORITY: {authorities}, ADDITIONAL: {additionals}"
        );
        if let Some(opt) = message.opt() {
            let _ = writeln!(out, ";; EDNS: version: {}, udp={}", opt.version, opt.udp_size);
        }
        let style = Style::default();
        if !message.questions.is_empty() {
            out.push_str("\n;; QUESTION SECTION:\n");
            for question in &message.questions {
                out.push(';');
                if self.wanted(reply, question.rtype) {
                    out.push_str(&Message::question_line(question, &style));
                    out.push('\n');
                }
            }
        }
        for section in [Section::Answer, Section::Authority, Section::Additional] {
            if records(message, section).next().is_none() {
                continue;
            }
            let _ = write!(sink.out, "\n;; {} SECTION:\n", section.title());
            for record in records(message, section).filter(|record| self.wanted(reply, record.rtype)) {
                let (line, fault) = message.record_line(record, &style);
                sink.out.push_str(&line);
                sink.out.push('\n');
                if let Some(fault) = fault {
                    warn(sink, record, &fault);
                }
            }
        }
        sink.out.push('\n');
    }
}

/// Says that a record is shown as bytes, on stderr, where it does not disturb a script.
pub(crate) fn warn(sink: &mut Sink<'_>, record: &Record, fault: &netkit_wire::dns::Fault) {
    let _ = writeln!(sink.err, ";; WARNING: malformed {} record shown as bytes: {fault}", record.rtype);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Wrong> {
        Options::parse(&line.split_whitespace().map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn letters_cluster_and_take_values() {
        let options = parse("-vtmx -W2 -R 3 -N 4 -p 5353 name server").unwrap();
        assert_eq!((options.verbose, options.rtype, options.tries), (true, Some(RrType::MX), 4));
        assert_eq!((options.timeout, options.ndots, options.port), (Some(2), Some(4), 5353));
        assert_eq!((options.name.as_str(), options.server.as_deref()), ("name", Some("server")));
        assert!(!options.default_lookups);
    }

    #[test]
    fn a_listing_stays_a_listing() {
        let options = parse("-l -t mx zone").unwrap();
        assert_eq!((options.rtype, options.list), (Some(RrType::AXFR), List::One(RrType::MX)));
        assert!(options.tcp);
        assert_eq!(options.fatal, Exit(3));
    }

    #[test]
    fn values_out_of_reason_are_brought_in() {
        let options = parse("-W 0 -R -7 -N x name").unwrap();
        assert_eq!((options.timeout, options.tries, options.ndots), (Some(1), 2, Some(0)));
    }

    #[test]
    fn what_is_refused() {
        let usage = |line: &str| match parse(line) {
            Err(Wrong::Usage(why)) => why,
            other => format!("{other:?}"),
        };
        assert_eq!(usage("-Z"), "illegal option -- Z");
        assert_eq!(usage("-t"), "option requires an argument -- t");
        assert_eq!(usage("-v"), "");
        let status = |line: &str| match parse(line) {
            Err(Wrong::Fatal(error)) => error.exit.0,
            _ => 255,
        };
        assert_eq!([status("-t nope a"), status("-c nope a"), status("-m trace a"), status("-D a")], [2, 2, 2, 2]);
        assert_eq!([status("-4 -6 a"), status("-p x a"), status("-p 65536 a")], [1, 1, 1]);
        assert!(matches!(parse("-t nope -V"), Err(Wrong::Version)));
    }

    #[test]
    fn serial_of_an_incremental_transfer() {
        let options = parse("-t IXFR=42 zone").unwrap();
        assert_eq!((options.rtype, options.serial, options.tcp), (Some(RrType::IXFR), 42, true));
    }
}
