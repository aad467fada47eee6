//! The command line (ss(8), "OPTIONS"): getopt_long's rules, so that short options may be bundled, long ones shortened
//! to an unambiguous beginning, and both may stand behind the words of the filter.

use netkit_core::{Error, Exit, Flag, Flags, flags, text};

use crate::filter::USAGE;
use crate::print::Show;
use crate::select::{Family, Selection, Table, state};

/// What `--group-by` counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupBy {
    Peer,
    PeerPort,
    LocalPort,
    State,
    Process,
    Pod,
    Uid,
}

/// Rows, or what is made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    List,
    Group(GroupBy),
    /// Again and again, this many seconds apart, only what changed.
    Watch(u64),
    Problems,
    /// `-E`: sockets as they end.
    Events,
    /// `-K`: ends the sockets.
    Kill,
}

/// Where the sockets are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Here,
    /// `-N`, `--netns`
    Namespace(String),
    /// `--pid`: what /proc/PID/net shows.
    OfProcess(u32),
    /// `--all-netns`
    Everywhere,
}

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) show: Show,
    pub(crate) selection: Selection,
    /// States of `-a`, `-l`, `-B`, or of the words `state` and `exclude`; 0 when none was asked for.
    pub(crate) states: u32,
    pub(crate) words: Vec<String>,
    pub(crate) filter_file: Option<String>,
    pub(crate) summary: bool,
    pub(crate) mode: Mode,
    pub(crate) place: Place,
    /// Read /proc/net although the kernel has sock_diag.
    pub(crate) from_proc: bool,
    /// `--yes`: `-K` does not ask.
    pub(crate) confirmed: bool,
    pub(crate) json: bool,
    pub(crate) explain: bool,
    pub(crate) pod: Option<String>,
    pub(crate) container: Option<String>,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Help,
    Version,
    Run(Box<Options>),
}

const fn flag(spelling: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { spelling, value, help }
}

/// Every option, for help and completion.
pub(crate) const FLAGS: Flags = flags![
    flag("-t, --tcp", "", "TCP sockets"),
    flag("-u, --udp", "", "UDP sockets"),
    flag("-w, --raw", "", "raw sockets"),
    flag("-x, --unix", "", "unix sockets"),
    flag("-0, --packet", "", "packet sockets"),
    flag("-M, --mptcp", "", "MPTCP sockets"),
    flag("-S, --sctp", "", "SCTP sockets"),
    flag("--vsock", "", "sockets between virtual machines and hosts"),
    flag("-4, --ipv4", "", "only IPv4"),
    flag("-6, --ipv6", "", "only IPv6"),
    flag("-f, --family", "FAMILY", "inet, inet6, unix, link, netlink, vsock"),
    flag("-A, --query", "LIST", "tables by name, with ! to leave one out (also --socket)"),
    flag("-a, --all", "", "every state"),
    flag("-l, --listening", "", "only listening sockets"),
    flag("-B, --bound-inactive", "", "bound TCP sockets that neither listen nor connect"),
    flag("-n, --numeric", "", "ports and rates as plain numbers"),
    flag("-r, --resolve", "", "addresses as host names"),
    flag("-p, --processes", "", "processes that hold the socket"),
    flag("-T, --threads", "", "and their threads"),
    flag("-e, --extended", "", "uid, inode, cookie, cgroup, timers"),
    flag("-o, --options", "", "timers"),
    flag("-m, --memory", "", "socket memory"),
    flag("-i, --info", "", "what TCP measures"),
    flag("-b, --bpf", "", "filter programs of packet sockets"),
    flag("--tos", "", "type of service and class"),
    flag("--cgroup", "", "cgroup of the socket"),
    flag("--inet-sockopt", "", "socket options"),
    flag("-s, --summary", "", "totals"),
    flag("-E, --events", "", "sockets as they end"),
    flag("-K, --kill", "", "end the sockets, after a question"),
    flag("--yes", "", "no question"),
    flag("-H, --no-header", "", "no header"),
    flag("-Q, --no-queues", "", "no queues"),
    flag("-O, --oneline", "", "one line a socket"),
    flag("-F, --filter", "FILE", "read the filter from a file, - for stdin"),
    flag("-N, --net", "NAME", "in the network namespace of that name"),
    flag("--netns", "PID|PATH", "in the network namespace of a process or file"),
    flag("--pid", "PID", "what /proc/PID/net shows; needs no privilege"),
    flag("--all-netns", "", "in every network namespace that has a process"),
    flag("--from-proc", "", "read /proc/net, not sock_diag"),
    flag("--pods", "", "a column of pods and containers"),
    flag("--pod", "POD", "only sockets of a pod: NAME, NAMESPACE/NAME, UID"),
    flag("--container", "NAME|ID", "only sockets of a container"),
    flag("--group-by", "KEY", "count by peer, peer-port, local-port, state, process, pod, uid"),
    flag("--watch=", "SECONDS", "show what changes (1 second unless told)"),
    flag("--problems", "", "what is wrong, each finding with its number"),
    flag("--json", "", "JSON"),
    flag("--explain", "", "hints although stderr is no terminal"),
    flag("-h, --help", "", "this page"),
    flag("-V, --version", "", "version"),
];

/// The peer's long options with their letters; `\u{1}` and below stand for those without one.
const LONG: &[(&str, char, bool)] = &[
    ("numeric", 'n', false),
    ("resolve", 'r', false),
    ("options", 'o', false),
    ("extended", 'e', false),
    ("memory", 'm', false),
    ("info", 'i', false),
    ("processes", 'p', false),
    ("threads", 'T', false),
    ("bpf", 'b', false),
    ("events", 'E', false),
    ("dccp", 'd', false),
    ("tcp", 't', false),
    ("sctp", 'S', false),
    ("udp", 'u', false),
    ("raw", 'w', false),
    ("unix", 'x', false),
    ("tipc", TIPC, false),
    ("vsock", VSOCK, false),
    ("all", 'a', false),
    ("listening", 'l', false),
    ("bound-inactive", 'B', false),
    ("ipv4", '4', false),
    ("ipv6", '6', false),
    ("packet", '0', false),
    ("family", 'f', true),
    ("socket", 'A', true),
    ("query", 'A', true),
    ("summary", 's', false),
    ("diag", 'D', true),
    ("filter", 'F', true),
    ("version", 'V', false),
    ("help", 'h', false),
    ("context", 'Z', false),
    ("contexts", 'z', false),
    ("net", 'N', true),
    ("tipcinfo", TIPCINFO, false),
    ("tos", TOS, false),
    ("cgroup", CGROUP, false),
    ("kill", 'K', false),
    ("no-header", 'H', false),
    ("no-queues", 'Q', false),
    ("xdp", XDP, false),
    ("mptcp", 'M', false),
    ("oneline", 'O', false),
    ("inet-sockopt", INET_SOCKOPT, false),
    ("bpf-maps", BPF_MAPS, false),
    ("bpf-map-id", BPF_MAPS, true),
];

const TIPC: char = '\u{1}';
const VSOCK: char = '\u{2}';
const TIPCINFO: char = '\u{3}';
const TOS: char = '\u{4}';
const CGROUP: char = '\u{5}';
const XDP: char = '\u{6}';
const INET_SOCKOPT: char = '\u{7}';
const BPF_MAPS: char = '\u{8}';

/// Short options, a colon behind those with a value (ss.c, main).
const SHORT: &str = "dhalBetuwxnro460spTbEf:mMiA:D:F:vVzZN:KHQSO";

/// Reads the command line.
///
/// # Errors
/// 255 for what getopt refuses, as the peer; 2 for an option that the peer has and we have not, by its name.
pub(crate) fn parse(words: &[String]) -> Result<Request, Error> {
    let mut reader = Reader::default();
    let mut rest = words.iter();
    let mut only_words = false;
    while let Some(word) = rest.next() {
        if only_words || word == "-" || !word.starts_with('-') {
            reader.words.push(word.clone());
        } else if word == "--" {
            only_words = true;
        } else if let Some(long) = word.strip_prefix("--") {
            reader.long(long, &mut || rest.next().cloned())?;
        } else {
            let bundle = word.strip_prefix('-').unwrap_or(word);
            for (index, letter) in bundle.char_indices() {
                let behind = bundle.get(index + letter.len_utf8()..).unwrap_or_default();
                if !takes_value(letter)? {
                    reader.apply(letter, "", &format!("-{letter}"))?;
                    continue;
                }
                let value = if behind.is_empty() { rest.next().cloned() } else { Some(behind.to_owned()) };
                let value =
                    value.ok_or_else(|| Error::new(USAGE, format!("option requires an argument -- '{letter}'")))?;
                reader.apply(letter, &value, &format!("-{letter}"))?;
                break;
            }
        }
        if let Some(request) = reader.done.take() {
            return Ok(request);
        }
    }
    reader.finish().map(|options| Request::Run(Box::new(options)))
}

fn takes_value(letter: char) -> Result<bool, Error> {
    match SHORT.find(letter).filter(|_| letter != ':') {
        Some(at) => Ok(SHORT.get(at + 1..).is_some_and(|behind| behind.starts_with(':'))),
        None => Err(Error::new(USAGE, format!("invalid option -- '{}'", text::printable(&letter.to_string())))
            .hint("`netkit --help ss` shows the options")),
    }
}

#[derive(Default)]
struct Reader {
    show: Show,
    selection: Selection,
    states: u32,
    words: Vec<String>,
    filter_file: Option<String>,
    summary: bool,
    events: bool,
    kill: bool,
    confirmed: bool,
    queried: bool,
    places: Vec<Place>,
    from_proc: bool,
    json: bool,
    explain: bool,
    pod: Option<String>,
    container: Option<String>,
    group: Option<GroupBy>,
    watch: Option<u64>,
    problems: bool,
    done: Option<Request>,
}

impl Reader {
    fn long(&mut self, word: &str, next: &mut dyn FnMut() -> Option<String>) -> Result<(), Error> {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let shown = format!("--{}", text::printable(name));
        if self.own(name, &inline, next)? {
            return Ok(());
        }
        let exact = LONG.iter().find(|(known, _, _)| *known == name);
        let begins: Vec<_> = LONG.iter().filter(|(known, _, _)| known.starts_with(name)).collect();
        let same = |list: &[&(&str, char, bool)]| list.windows(2).all(|pair| matches!(pair, [a, b] if a.1 == b.1));
        let found = match (exact, begins.as_slice()) {
            (Some(found), _) => found,
            (None, [found, ..]) if same(&begins) => found,
            (None, []) => return Err(unknown(&shown, name)),
            (None, several) => {
                let list: Vec<String> = several.iter().map(|(known, _, _)| format!("'--{known}'")).collect();
                let message = format!("option '{shown}' is ambiguous; possibilities: {}", list.join(" "));
                return Err(Error::new(USAGE, message));
            }
        };
        let value = match (found.2, inline) {
            (true, inline) => inline
                .or_else(next)
                .ok_or_else(|| Error::new(USAGE, format!("option '--{}' requires an argument", found.0)))?,
            (false, None) => String::new(),
            (false, Some(_)) => {
                return Err(Error::new(USAGE, format!("option '--{}' doesn't allow an argument", found.0)));
            }
        };
        self.apply(found.1, &value, &format!("--{}", found.0))
    }

    /// Options that the peer does not have. They are not shortened, so that none of the peer's becomes ambiguous.
    fn own(
        &mut self,
        name: &str,
        inline: &Option<String>,
        next: &mut dyn FnMut() -> Option<String>,
    ) -> Result<bool, Error> {
        let switch = match name {
            "json" => Some(&mut self.json),
            "explain" => Some(&mut self.explain),
            "yes" => Some(&mut self.confirmed),
            "from-proc" => Some(&mut self.from_proc),
            "problems" => Some(&mut self.problems),
            "pods" => Some(&mut self.show.pods),
            _ => None,
        };
        if let Some(switch) = switch {
            if inline.is_some() {
                return Err(Error::usage(format!("--{name} takes no value")));
            }
            *switch = true;
            return Ok(true);
        }
        if name == "all-netns" {
            self.places.push(Place::Everywhere);
            return Ok(true);
        }
        if name == "watch" {
            let seconds = inline.as_deref().unwrap_or("1");
            let valid = seconds.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
            self.watch = Some(valid.ok_or_else(|| bad(name, seconds, "wants seconds, 1 to 86400"))?);
            return Ok(true);
        }
        if !matches!(name, "pid" | "netns" | "pod" | "container" | "group-by") {
            return Ok(false);
        }
        let value = inline.clone().or_else(next).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| Error::usage(format!("--{name} needs a value")))?;
        match name {
            "pid" => {
                let pid = value.parse().ok().filter(|pid| *pid > 0);
                let pid = pid.ok_or_else(|| bad(name, &value, "wants the number of a process"))?;
                self.places.push(Place::OfProcess(pid));
            }
            "netns" => self.places.push(Place::Namespace(value)),
            "pod" => self.pod = Some(value),
            "container" => self.container = Some(value),
            _ => {
                self.group = Some(match value.as_str() {
                    "peer" => GroupBy::Peer,
                    "peer-port" | "dport" => GroupBy::PeerPort,
                    "local-port" | "sport" => GroupBy::LocalPort,
                    "state" => GroupBy::State,
                    "process" => GroupBy::Process,
                    "pod" => GroupBy::Pod,
                    "uid" => GroupBy::Uid,
                    _ => {
                        let keys = "wants peer, peer-port, local-port, state, process, pod or uid";
                        return Err(bad(name, &value, keys));
                    }
                });
            }
        }
        Ok(true)
    }

    fn apply(&mut self, letter: char, value: &str, shown: &str) -> Result<(), Error> {
        let show = &mut self.show;
        match letter {
            'n' => show.numeric = true,
            'r' => show.resolve = true,
            'o' => show.options = true,
            'e' => (show.options, show.details) = (true, true),
            'm' => show.memory = true,
            'i' => show.info = true,
            'p' => show.processes = true,
            'T' => show.threads = true,
            'b' => (show.options, show.bpf) = (true, true),
            'H' => show.no_header = true,
            'Q' => show.no_queues = true,
            'O' => show.oneline = true,
            TOS => show.tos = true,
            CGROUP => show.cgroup = true,
            INET_SOCKOPT => show.inet_sockopt = true,
            't' => self.selection.add(Table::Tcp),
            'u' => self.selection.add(Table::Udp),
            'w' => self.selection.add(Table::Raw),
            'M' => self.selection.add(Table::Mptcp),
            'S' => self.selection.add(Table::Sctp),
            'x' => self.selection.add_family(Family::Unix),
            '0' => self.selection.add_family(Family::Packet),
            '4' => self.selection.add_family(Family::Inet),
            '6' => self.selection.add_family(Family::Inet6),
            VSOCK => self.selection.add_family(Family::Vsock),
            'a' => self.states = state::ALL,
            'l' => self.states = state::LISTEN | state::CLOSE,
            'B' => self.states = state::BOUND_INACTIVE,
            's' => self.summary = true,
            'E' => self.events = true,
            'K' => self.kill = true,
            'N' => self.places.push(Place::Namespace(named_namespace(value))),
            'f' => return self.family(value),
            'A' => return self.query(value),
            'F' if self.filter_file.is_some() => {
                return Err(Error::new(USAGE, "more than one filter file"));
            }
            'F' => self.filter_file = Some(value.to_owned()),
            'h' => self.done = Some(Request::Help),
            'v' | 'V' => self.done = Some(Request::Version),
            other => return Err(refused(other, shown)),
        }
        Ok(())
    }

    fn family(&mut self, value: &str) -> Result<(), Error> {
        match Family::named(value) {
            Some(family) => self.selection.add_family(family),
            None if value == "help" => self.done = Some(Request::Help),
            None if matches!(value, "tipc" | "xdp") => return Err(refused_table(value)),
            None => return Err(Error::new(USAGE, format!("\"{}\" is invalid family", text::printable(value)))),
        }
        Ok(())
    }

    fn query(&mut self, value: &str) -> Result<(), Error> {
        if !std::mem::replace(&mut self.queried, true) {
            self.selection.tables = 0;
            self.selection.untouched = false;
            if self.states == 0 {
                self.states = state::CONNECTED;
            }
        }
        for word in value.split(',') {
            if matches!(word.trim_start_matches('!'), "dccp" | "tipc" | "xdp") {
                // What is never there need not be left out.
                if word.starts_with('!') {
                    continue;
                }
                return Err(refused_table(word));
            }
            if !self.selection.query(word) {
                let message = format!("\"{}\" is illegal socket table id", text::printable(word));
                return Err(Error::new(USAGE, message));
            }
        }
        Ok(())
    }

    /// `state NAME` and `exclude NAME` before the filter.
    fn finish(mut self) -> Result<Options, Error> {
        let mut words = self.words.into_iter().peekable();
        let mut seen = false;
        while let Some(word) = words.next_if(|word| matches!(word.as_str(), "state" | "exclude" | "excl")) {
            let name = words.next().ok_or_else(|| Error::new(USAGE, format!("`{word}` needs the name of a state")))?;
            let set = state::named(&name)
                .ok_or_else(|| Error::new(USAGE, format!("wrong state name: {}", text::printable(&name))))?;
            if word == "state" {
                self.states = if seen { self.states | set } else { set };
            } else {
                self.states = if seen { self.states } else { state::ALL } & !set;
            }
            seen = true;
        }
        let modes = [
            self.group.map(Mode::Group),
            self.watch.map(Mode::Watch),
            self.problems.then_some(Mode::Problems),
            self.events.then_some(Mode::Events),
            self.kill.then_some(Mode::Kill),
        ];
        let mut modes = modes.into_iter().flatten();
        let mode = modes.next().unwrap_or(Mode::List);
        if modes.next().is_some() {
            return Err(Error::usage("only one of --group-by, --watch, --problems, -E and -K at a time"));
        }
        let mut places = self.places.into_iter();
        let place = places.next().unwrap_or(Place::Here);
        if places.next().is_some() {
            return Err(Error::usage("only one of -N, --netns, --pid and --all-netns at a time"));
        }
        if matches!(mode, Mode::Events | Mode::Kill)
            && (self.from_proc || !matches!(place, Place::Here | Place::Namespace(_)))
        {
            return Err(Error::usage(
                "-E and -K need sock_diag in one namespace: not with --pid, --all-netns or --from-proc",
            ));
        }
        if place == Place::Everywhere && (mode != Mode::List || self.summary) {
            return Err(Error::usage(
                "--all-netns lists sockets; the other modes look at one namespace, see --netns and --pid",
            ));
        }
        let pods = self.pod.is_some() || self.container.is_some() || self.show.pods;
        Ok(Options {
            show: Show { pods, ..self.show },
            selection: self.selection,
            states: self.states,
            words: words.collect(),
            filter_file: self.filter_file,
            summary: self.summary,
            mode,
            place,
            from_proc: self.from_proc,
            confirmed: self.confirmed,
            json: self.json,
            explain: self.explain,
            pod: self.pod,
            container: self.container,
        })
    }
}

/// `ip netns` keeps its namespaces in one directory; a path is taken as it is.
fn named_namespace(value: &str) -> String {
    if value.contains('/') { value.to_owned() } else { format!("/run/netns/{value}") }
}

fn bad(name: &str, value: &str, wants: &str) -> Error {
    Error::usage(format!("--{name} {wants}, not `{}`", text::printable(value)))
}

fn unknown(shown: &str, name: &str) -> Error {
    let own = ["json", "problems", "group-by", "all-netns", "container", "watch", "from-proc", "pods", "netns"];
    let near = text::nearest(name, LONG.iter().map(|(known, _, _)| *known).chain(own));
    let error = Error::new(USAGE, format!("unrecognized option '{shown}'"));
    match near {
        Some(near) => error.hint(format!("did you mean --{near}?")),
        None => error.hint("`netkit --help ss` shows the options"),
    }
}

fn refused_table(name: &str) -> Error {
    Error::new(Exit::USAGE, format!("{} sockets are not offered", text::printable(name)))
}

fn refused(letter: char, shown: &str) -> Error {
    let why = match letter {
        'd' => "Linux dropped DCCP in 6.16",
        'D' => "use --json to keep what is shown",
        'Z' | 'z' => "SELinux contexts are not read",
        TIPC | TIPCINFO => "TIPC sockets are not offered",
        XDP => "XDP sockets are not offered",
        BPF_MAPS => "maps of BPF programs are not read",
        _ => "no such option here",
    };
    Error::new(Exit::USAGE, format!("{shown} is not offered: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        match parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()) {
            Ok(Request::Run(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error(line: &str) -> Error {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).unwrap_err()
    }

    #[test]
    fn bundles_and_long_names() {
        assert_eq!(options("-tulpn"), options("--tcp --udp --listening --processes --numeric"));
        assert_eq!(options("-tanp"), options("--proc -t --all -n"));
        assert_eq!(options("-ftcp".replace("tcp", "inet").as_str()), options("--family=inet"));
        assert_eq!(options("-A tcp,udp"), options("--socket=tcp,udp"));
        assert_eq!(options("-e"), options("-eo"));
    }

    #[test]
    fn options_stand_anywhere() {
        assert_eq!(options("state established dport = :80 -tn"), options("-tn state established dport = :80"));
        assert_eq!(options("-t -- -n").words, ["-n"]);
    }

    #[test]
    fn states() {
        assert_eq!(options("state established state listening").states, state::ESTABLISHED | state::LISTEN);
        assert_eq!(options("-a state established").states, state::ESTABLISHED);
        assert_eq!(options("exclude established").states, state::ALL & !state::ESTABLISHED);
        assert_eq!(options("-l").states, state::LISTEN | state::CLOSE);
        assert_eq!(options("-t").states, 0);
        assert_eq!(options("-A tcp").states, state::CONNECTED);
    }

    #[test]
    fn refusals() {
        for (line, status, part) in [
            ("-Y", 255, "invalid option -- 'Y'"),
            ("-f", 255, "requires an argument -- 'f'"),
            ("-f nosuch", 255, "\"nosuch\" is invalid family"),
            ("-A nosuch", 255, "\"nosuch\" is illegal socket table id"),
            ("state nosuch", 255, "wrong state name: nosuch"),
            ("state", 255, "needs the name of a state"),
            ("--nosuch", 255, "unrecognized option '--nosuch'"),
            ("--tipc=1", 255, "doesn't allow an argument"),
            ("--no", 255, "ambiguous"),
            ("-d", 2, "-d is not offered"),
            ("--dccp", 2, "--dccp is not offered"),
            ("-Z", 2, "-Z is not offered"),
            ("--xdp", 2, "--xdp is not offered"),
            ("-D x", 2, "-D is not offered"),
            ("-A dccp", 2, "dccp sockets"),
            ("--watch=0", 2, "--watch wants seconds"),
            ("--pid x", 2, "--pid wants"),
            ("--group-by x", 2, "--group-by wants"),
            ("--json=1", 2, "takes no value"),
            ("-K --problems", 2, "only one of"),
            ("--pid 1 --all-netns", 2, "only one of"),
            ("-K --pid 1", 2, "need sock_diag"),
            ("--all-netns --problems", 2, "one namespace"),
            ("--all-netns -s", 2, "one namespace"),
            ("-F a -F b", 255, "more than one filter file"),
        ] {
            let error = error(line);
            assert_eq!(error.exit.0, status, "{line}: {error}");
            assert!(error.message.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn every_option_of_the_page_is_read() {
        for flag in FLAGS.iter() {
            for spelling in flag.spelling.split(", ") {
                let value = match (spelling, flag.value) {
                    (_, "") => vec![],
                    (_, "FAMILY") => vec!["inet"],
                    (_, "LIST") => vec!["tcp"],
                    (_, "KEY") => vec!["peer"],
                    ("--watch=", _) => vec![],
                    _ => vec!["1"],
                };
                let spelling = spelling.replace("--watch=", "--watch=2");
                let words: Vec<String> = std::iter::once(spelling.as_str()).chain(value).map(str::to_owned).collect();
                assert!(parse(&words).is_ok(), "{words:?}");
            }
        }
    }
}
