//! portscan: who answers, who rejects, who is silent.
//!
//! - Peer: nmap 7.93: its way of writing targets and ports, its `-sS -sT -sA -sW -sM -sN -sF -sX -sU -sn -sL`, host discovery,
//!   states, reasons, table, `-oN -oG -oX -oA`; masscan's `-oJ` and `-oL`.
//! - Deliberate differences: an ICMP error during a connect is a filter and not a closed port, and is shown with the
//!   address it came from; a neighbour that does not answer is still asked under `-Pn`; the lists of ports to ask first and
//!   their names are our own and the system's; `-sV` knows banners, TLS and HTTP; scripts and systems are refused by name.
//! - Beyond the peer: `--json` (an object a host), `--repeat`, `--svc`, `--expect`, `--netns`.
//! - Kernel interfaces: connect(2) without blocking, epoll(7), the error queue (IP_RECVERR), ICMP datagram sockets; with
//!   CAP_NET_RAW raw(7) and packet(7); rtnetlink(7) for the way to a host.
//! - Privilege: none; CAP_NET_RAW for packets of our own, tried and not asked for; `--netns` needs CAP_SYS_ADMIN.

mod args;
mod ask;
mod discover;
mod output;
mod ports;
mod repeat;
mod service;
mod targets;
mod versions;
mod ways;
mod xml;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netkit_core::privilege::{Capability, missing};
use netkit_core::text::printable;
use netkit_core::{Applet, Ctx, Error, Exit, Flags, Group, flag, flags, front};
use netkit_probe::scan::{Kind, Raw, packet};
use netkit_probe::services::Services;
use netkit_probe::{Family, Lookup, Protocol, reverse};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::args::{Format, Opts, Wrong};
use crate::output::{Frame, Report};
use crate::targets::{Host, Targets};
use crate::ways::{Way, Ways};

/// portscan, and nmap for the fingers.
pub static APPLETS: &[Applet] = &[Applet {
    name: "portscan",
    aliases: &["nmap"],
    purpose: "which ports answer, which are rejected and by whom",
    usage: "[-sS|-sT|-sA|...] [-sU] [-p PORTS] [OPTION...] HOST|CIDR|RANGE...\n-sn [OPTION...] HOST|CIDR|RANGE...\n--svc NAME.NAMESPACE [-p PORTS] [OPTION...]",
    group: Group::Connect,
    flags: FLAGS,
    capability: Some(Capability::NetRaw),
    main: run,
}];

const FLAGS: Flags = flags![
    flag("-p", "PORTS", "22,80,1000-2000,https,T:80,U:53; -p- for all"),
    flag("-F", "", "the 100 ports most worth asking"),
    flag("--top-ports", "N", "so many of them (1000)"),
    flag("--exclude-ports", "PORTS", "not these"),
    flag("-sS", "", "TCP by packets of our own (the default where they are allowed)"),
    flag("-sT", "", "TCP by connecting (the default elsewhere)"),
    flag("-sA", "", "TCP: which ports a filter lets through; -sW as well, by the window"),
    flag("-sF", "", "TCP by FIN; -sN by nothing, -sX by FIN, PSH and URG, -sM by FIN and ACK"),
    flag("-sU", "", "UDP, with questions of their own for known services"),
    flag("-sn", "", "only which hosts are there"),
    flag("-sL", "", "only list the hosts"),
    flag("-sV", "", "what open ports say: banner, TLS, HTTP"),
    flag("-Pn", "", "take every host to be there"),
    flag("-PS", "PORTS", "find hosts by SYN; -PA by ACK, -PU by UDP"),
    flag("-PE", "", "find hosts by ICMP echo; -PP by timestamp, -PM by mask"),
    flag("--disable-arp-ping", "", "do not ask neighbours for their link address"),
    flag("-n", "", "no names for addresses"),
    flag("-6", "", "IPv6"),
    flag("--resolve-all", "", "every address of a name, not only its first"),
    flag("-iL", "FILE|-", "hosts from a file"),
    flag("--exclude", "HOSTS", "not these"),
    flag("--excludefile", "FILE", "not the hosts in it"),
    flag("--open", "", "only open ports"),
    flag("--reason", "", "why, and who said so"),
    flag("-v", "", "open ports as they are found, and hosts that are down"),
    flag("-T", "0-5", "how patient: 3 is normal, 5 quick"),
    flag("--max-retries", "N", "ask silent ports so often again (2)"),
    flag("--max-rate", "N", "requests a second at most"),
    flag("--min-rate", "N", "requests a second at least"),
    flag("--scan-delay", "TIME", "between two requests"),
    flag("--max-parallelism", "N", "requests at once"),
    flag("--host-timeout", "TIME", "give up on a host after this (500ms, 30s, 2m)"),
    flag("--initial-rtt-timeout", "TIME", "first wait (1s)"),
    flag("--min-rtt-timeout", "TIME", "shortest wait (100ms)"),
    flag("--max-rtt-timeout", "TIME", "longest wait (10s)"),
    flag("-e", "INTERFACE", "send through it"),
    flag("-S", "ADDRESS", "send from it"),
    flag("-g", "PORT", "send from this port"),
    flag("--ttl", "N", "TTL of packets of our own (64)"),
    flag("--unprivileged", "", "no packets of our own"),
    flag("-oN", "FILE|-", "as text"),
    flag("-oG", "FILE|-", "a line a host"),
    flag("-oX", "FILE|-", "XML"),
    flag("-oA", "NAME", "all three"),
    flag("-oJ", "FILE|-", "masscan's JSON"),
    flag("-oL", "FILE|-", "masscan's list"),
    flag("--append-output", "", "add to files instead of replacing them"),
    flag("--json", "", "one object a host"),
    flag("--repeat", "N", "ask every port so often; how often it answered, and how fast"),
    flag("--svc", "NAME.NS", "a Kubernetes Service: its address, then each endpoint"),
    flag("--expect", "LIST", "status 1 unless it is so: \"443 open, 9090 closed\""),
    flag("--netns", "PID|PATH", "in another network namespace"),
    flag("--from-pid", "PID", "in the network namespace of this process"),
    flag("--explain", "", "say what else is known"),
];

/// Hosts that are looked for together.
const GROUP: usize = 4096;
/// Ports, over all hosts, whose results are held at once.
const MOST_RESULTS: usize = 1 << 18;
/// The largest list of hosts read, in bytes.
const MAX_LIST: u64 = 16 << 20;
const QUIT: Exit = Exit(1);
/// As nmap warns.
const FAKE: &str = "WARNING: If -S is being used to fake your source address, you may also have to use -e <interface> and -Pn .  \
                    If you are using it to specify your real source address, you can ignore this warning.";
/// As a shell reports SIGINT.
const INTERRUPTED: Exit = Exit(130);

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let words = ctx.args_lossy();
    let opts = match args::parse(&words) {
        Ok(opts) => opts,
        Err(Wrong(1, text)) => return Err(quit(ctx, &text)),
        Err(Wrong(2, text)) => return Err(Error::usage(text)),
        Err(Wrong(status, text)) => {
            let name = ctx.name.clone();
            ctx.say(&format!("{name}: {text}\nSee the output of {name} -h for a summary of options."));
            return Err(Error::new(Exit(status), ""));
        }
    };
    ctx.explain |= opts.explain;
    if opts.help || words.is_empty() {
        let page = APPLETS.first().map(front::help_page).unwrap_or_default();
        ctx.stdout.write_all(page.as_bytes())?;
        return Ok(if words.is_empty() { Exit(255) } else { Exit::OK });
    }
    if opts.version {
        writeln!(ctx.stdout, "portscan, netkit {}, in the manner of nmap 7.93", ctx.build.version)?;
        return Ok(Exit::OK);
    }
    if let Some(netns) = &opts.netns {
        netkit_sys::netns::enter(netns)?;
    }
    let mut job = Job::new(ctx, opts)?;
    job.go(&words)
}

/// Says what is wrong and that nothing was done.
fn quit(ctx: &mut Ctx, text: &str) -> Error {
    ctx.say(&format!("{text}\nQUITTING!"));
    Error::new(QUIT, "")
}

struct Sink {
    format: Format,
    /// Standard output where there is none.
    file: Option<File>,
    hosts: usize,
}

/// What requests go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum With {
    Sockets,
    Raw,
}

pub(crate) struct Job<'a> {
    ctx: &'a mut Ctx,
    opts: Opts,
    services: Services,
    ports: [Vec<u16>; 2],
    /// The letter of the scan of TCP ports.
    scan: char,
    raw: Option<Raw>,
    ways: Option<Ways>,
    sinks: Vec<Sink>,
    /// Nothing but what a file or pipe wants goes to standard output.
    quiet: bool,
    interrupt: Option<SignalFd>,
    expected: Vec<(Protocol, u16, String)>,
    failed: Vec<String>,
}

impl<'a> Job<'a> {
    fn new(ctx: &'a mut Ctx, mut opts: Opts) -> Result<Job<'a>, Error> {
        let services = Services::load();
        // Repetitions are told apart by their source ports, which raw packets share.
        let allowed = opts.raw != Some(false) && opts.repeat.is_none() && !opts.list_only;
        let (raw, refused) = match allowed.then(|| Raw::open(opts.v6, &ask::settings(&opts, With::Raw))) {
            Some(Ok(raw)) => (Some(raw), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let scan = opts.tcp.unwrap_or(if raw.is_some() { 'S' } else { 'T' });
        let mut fallen = false;
        if raw.is_none() && scan != 'T' {
            if scan != 'S' || opts.raw == Some(true) {
                let hint = missing(Capability::NetRaw, "this scan", "`-sT`, `-sU`, `-sn`");
                return Err(quit(ctx, "You requested a scan type which requires root privileges.").hint(hint));
            }
            fallen = opts.repeat.is_none();
        }
        let scan = if raw.is_none() { 'T' } else { scan };
        if let Some(error) = refused.filter(|_| fallen || opts.raw == Some(true)) {
            let why = if error.kind() == std::io::ErrorKind::PermissionDenied {
                missing(Capability::NetRaw, "sending packets of our own", "-sT, which is used instead")
            } else {
                format!("packets of our own cannot be sent ({error}); -sT is used instead")
            };
            ctx.say(&format!("{}: {why}", ctx.name.clone()));
        }
        let quiet = opts.json || opts.outputs.iter().any(|(_, path)| path == "-");
        if !quiet {
            let (version, date) = (ctx.build.version, output::short_date(ctx.clock.unix_seconds()));
            writeln!(ctx.stdout, "Starting portscan (netkit {version}) at {date}")?;
        }
        if opts.source.is_some() {
            ctx.say(FAKE);
        }
        let explicit = opts.ports.is_some() || opts.top.is_some();
        if opts.hosts_only && explicit {
            let text = "You cannot use -F (fast scan) or -p (explicit port selection) when not doing a port scan";
            return Err(quit(ctx, text));
        }
        if opts.tcp.is_none() && !opts.udp {
            opts.tcp = Some(scan);
        }
        let ports = match chosen(ctx, &opts, &services) {
            Ok(ports) => ports,
            Err(text) => {
                if opts.outputs.iter().any(|(format, path)| *format == Format::Xml && path == "-") {
                    ctx.stdout.write_all(xml::failure(&text, ctx.clock.unix_seconds()).as_bytes())?;
                }
                return Err(quit(ctx, &text));
            }
        };
        let expected = match opts.expect.as_deref().map(expectations).transpose() {
            Ok(list) => list.unwrap_or_default(),
            Err(text) => return Err(Error::usage(text)),
        };
        let mut sinks = Vec::new();
        for (format, path) in &opts.outputs {
            let file = match path.as_str() {
                "-" => None,
                path => {
                    let mut open = OpenOptions::new();
                    open.create(true).write(true).append(opts.append).truncate(!opts.append);
                    Some(open.open(path).map_err(|error| {
                        let kind = match format {
                            Format::Normal => "normal",
                            Format::Grepable => "machine",
                            Format::Xml => "XML",
                            Format::MasscanJson | Format::List => "masscan",
                        };
                        let text = netkit_probe::errno::reason(&error);
                        let number = error.raw_os_error().unwrap_or(0);
                        let path = printable(path);
                        let text = format!("Failed to open {kind} output file {path} for writing: {text} ({number})");
                        quit(ctx, &text)
                    })?)
                }
            };
            sinks.push(Sink { format: *format, file, hosts: 0 });
        }
        let mut set = SigSet::empty();
        set.add(Signal::SIGINT);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let interrupt = set.thread_block().ok().and_then(|()| SignalFd::with_flags(&set, flags).ok());
        let ways = raw.as_ref().and_then(|_| Ways::open(opts.interface.as_deref()));
        Ok(Job { ctx, opts, services, ports, scan, raw, ways, sinks, quiet, interrupt, expected, failed: Vec::new() })
    }

    /// How ports of a protocol are asked, and through what.
    pub(crate) fn kind(&self, protocol: Protocol) -> (Kind, With) {
        let raw = if self.raw.is_some() { With::Raw } else { With::Sockets };
        let segment = |flags: u8| (Kind::Segment(flags), With::Raw);
        match (protocol, self.scan) {
            (Protocol::Udp, _) => (Kind::Udp, raw),
            (_, 'S') => segment(packet::SYN),
            (_, 'A') => segment(packet::ACK),
            (_, 'W') => (Kind::Window, With::Raw),
            (_, 'M') => segment(packet::FIN | packet::ACK),
            (_, 'N') => segment(0),
            (_, 'F') => segment(packet::FIN),
            (_, 'X') => segment(packet::FIN | packet::PSH | packet::URG),
            _ => (Kind::Connect, With::Sockets),
        }
    }

    fn family(&self) -> Family {
        if self.opts.v6 { Family::Inet6 } else { Family::Inet }
    }

    fn lookup(&self) -> Lookup {
        Lookup {
            localdomain: self.ctx.var("LOCALDOMAIN").map(str::to_owned),
            res_options: self.ctx.var("RES_OPTIONS").map(str::to_owned),
            ..Lookup::default()
        }
    }

    /// The words of a file, or of standard input.
    fn words_of(&mut self, path: &str, what: &str) -> Result<Vec<String>, Error> {
        let reader: Box<dyn BufRead> = if path == "-" {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            match File::open(path) {
                Ok(file) => Box::new(BufReader::new(file)),
                Err(error) => {
                    let text = netkit_probe::errno::reason(&error);
                    let number = error.raw_os_error().unwrap_or(0);
                    self.ctx
                        .say(&format!("Failed to open {what} file {} for reading: {text} ({number})", printable(path)));
                    return Err(Error::new(QUIT, ""));
                }
            }
        };
        let mut bytes = Vec::new();
        reader
            .take(MAX_LIST)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::new(QUIT, format!("cannot read {}: {error}", printable(path))))?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or(""));
        Ok(lines.flat_map(str::split_whitespace).map(str::to_owned).collect())
    }

    fn targets(&mut self) -> Result<Vec<Targets>, Error> {
        let (family, lookup) = (self.family(), self.lookup());
        let mut words = self.opts.targets.clone();
        if let Some(path) = self.opts.list.clone() {
            words.extend(self.words_of(&path, "input")?);
        }
        let mut targets = Vec::new();
        for word in words {
            match Targets::parse(&word, family, &lookup) {
                Ok((target, warning)) => {
                    warning.iter().for_each(|text| self.ctx.say(text));
                    targets.push(target);
                }
                Err(text) => {
                    self.ctx.say(&text);
                    let skipped = xml::skipped(&word);
                    self.each(|format| if format == Format::Xml { skipped.clone() } else { String::new() })?;
                }
            }
        }
        Ok(targets)
    }

    fn excluded(&mut self) -> Result<Vec<Targets>, Error> {
        let mut words = self.opts.exclude.clone();
        if let Some(path) = self.opts.exclude_file.clone() {
            words.extend(self.words_of(&path, "exclude")?);
        }
        let (family, lookup) = (self.family(), self.lookup());
        let mut excluded = Vec::new();
        for word in words {
            match Targets::parse(&word, family, &lookup) {
                Ok((target, _)) => excluded.push(target),
                Err(text) => return Err(quit(self.ctx, &format!("--exclude: {text}"))),
            }
        }
        Ok(excluded)
    }

    fn go(&mut self, words: &[String]) -> Result<Exit, Error> {
        let started = Instant::now();
        let asked = [Protocol::Tcp, Protocol::Udp].into_iter().zip(self.ports.iter().cloned());
        let hosts_only = self.opts.hosts_only || self.opts.list_only;
        let (tcp, udp) = (self.opts.tcp.is_some(), self.opts.udp);
        let mut frame = Frame {
            version: self.ctx.build.version,
            args: std::iter::once(self.ctx.name.as_str())
                .chain(words.iter().map(String::as_str))
                .map(printable)
                .collect::<Vec<_>>()
                .join(" "),
            began: self.ctx.clock.unix_seconds(),
            ended: 0,
            elapsed: Duration::ZERO,
            hosts: 0,
            up: 0,
            scan: self.scan,
            verbose: self.opts.verbose,
            asked: asked
                .filter(|(protocol, _)| !hosts_only && if *protocol == Protocol::Tcp { tcp } else { udp })
                .collect(),
        };
        self.each(|format| output::head(format, &frame))?;
        let excluded = self.excluded()?;
        let targets = self.targets()?;
        let mut broken = false;
        for name in self.opts.service.clone() {
            let (good, hosts) = self.service(&name)?;
            broken |= !good;
            frame.hosts += hosts;
            frame.up += hosts;
        }
        let mut group: Vec<Host> = Vec::new();
        for target in &targets {
            let mut index = 0;
            while let Some(host) = target.nth(index, self.opts.all_addresses) {
                index += 1;
                if excluded.iter().any(|excluded| excluded.holds(host.address)) {
                    continue;
                }
                group.push(host);
                if group.len() >= GROUP {
                    self.batch(std::mem::take(&mut group), &mut frame)?;
                }
                if self.interrupted() {
                    break;
                }
            }
        }
        self.batch(group, &mut frame)?;
        if frame.hosts == 0 {
            self.ctx.say("WARNING: No targets were specified, so 0 hosts scanned.");
        }
        if frame.hosts == 1 && frame.up == 0 && !self.quiet && !self.opts.no_discovery && !self.opts.list_only {
            let note = "Note: Host seems down. If it is really up, but blocking our ping probes, try -Pn";
            writeln!(self.ctx.stdout, "{note}")?;
        }
        (frame.ended, frame.elapsed) = (self.ctx.clock.unix_seconds(), started.elapsed());
        self.each(|format| output::tail(format, &frame))?;
        if !self.quiet {
            self.ctx.stdout.write_all(output::done(&frame).as_bytes())?;
        }
        for text in std::mem::take(&mut self.failed) {
            self.ctx.say(&text);
            broken = true;
        }
        if self.interrupted() {
            let name = self.ctx.name.clone();
            self.ctx.say(&format!("{name}: interrupted: this is what was known by then"));
            return Ok(INTERRUPTED);
        }
        Ok(if broken { Exit(1) } else { Exit::OK })
    }

    /// The same part of every output.
    fn each(&mut self, part: impl Fn(Format) -> String) -> Result<(), Error> {
        for at in 0..self.sinks.len() {
            let text = self.sinks.get(at).map(|sink| part(sink.format)).unwrap_or_default();
            self.put(at, &text)?;
        }
        Ok(())
    }

    fn put(&mut self, at: usize, text: &str) -> Result<(), Error> {
        match self.sinks.get_mut(at).and_then(|sink| sink.file.as_mut()) {
            Some(file) => file.write_all(text.as_bytes())?,
            None => self.ctx.stdout.write_all(text.as_bytes())?,
        }
        Ok(())
    }

    pub(crate) fn interrupted(&self) -> bool {
        self.interrupt.as_ref().is_some_and(pending)
    }

    /// Looks at hosts together: finds those that leave by the same way together, in the order of the first of each kind,
    /// and then asks the ports of all.
    fn batch(&mut self, hosts: Vec<Host>, frame: &mut Frame) -> Result<(), Error> {
        let mut left = hosts;
        while !left.is_empty() && !self.interrupted() {
            // A host that is named again is looked at again.
            left = self.different(left, frame)?;
        }
        Ok(())
    }

    /// Looks at each host once; returns those that are named more than once.
    fn different(&mut self, hosts: Vec<Host>, frame: &mut Frame) -> Result<Vec<Host>, Error> {
        let mut groups: Vec<(Option<Way>, Vec<Report>)> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut twice = Vec::new();
        let began = self.ctx.clock.unix_seconds();
        for host in hosts {
            if !seen.insert(host.address) {
                twice.push(host);
                continue;
            }
            let way = self.ways.as_mut().and_then(|ways| ways.to(host.address));
            let report = Report::new(host, self.opts.no_discovery, began);
            match groups.iter_mut().find(|(known, _)| *known == way) {
                Some((_, group)) => group.push(report),
                None => groups.push((way, vec![report])),
            }
        }
        if let Some(raw) = &mut self.raw {
            raw.next_hosts();
        }
        let mut reports = Vec::new();
        for (way, mut group) in groups {
            frame.hosts += group.len() as u128;
            if !self.opts.list_only {
                self.discover(&mut group, way)?;
            }
            reports.append(&mut group);
        }
        frame.up += self.group(reports)?;
        Ok(twice)
    }

    /// Asks the ports of hosts and tells everything; returns how many are up.
    fn group(&mut self, mut reports: Vec<Report>) -> Result<u128, Error> {
        let scanned = !self.opts.hosts_only && !self.opts.list_only;
        for report in &reports {
            if scanned && report.up && !matches!(report.reason, "user-set" | "localhost-response") {
                let text = xml::hint(report);
                for at in 0..self.sinks.len() {
                    if self.sinks.get(at).is_some_and(|sink| sink.format == Format::Xml) {
                        self.put(at, &text)?;
                    }
                }
            }
        }
        let ports: usize = self.ports.iter().map(Vec::len).sum();
        let together = (MOST_RESULTS / ports.max(1)).max(1);
        let mut up = 0;
        while !reports.is_empty() {
            let rest = reports.split_off(together.min(reports.len()));
            if scanned {
                self.ask(&mut reports)?;
            }
            let ended = self.ctx.clock.unix_seconds();
            for mut report in std::mem::replace(&mut reports, rest) {
                up += u128::from(report.up);
                report.ended = ended;
                if (report.up || self.opts.list_only) && !self.opts.numeric {
                    report.name = reverse(report.address, &Lookup::default());
                }
                self.check(&report);
                self.tell(&report)?;
            }
        }
        Ok(up)
    }

    /// What was expected of a host and is not so.
    fn check(&mut self, report: &Report) {
        for (protocol, port, state) in &self.expected {
            let number = u8::from(*protocol == Protocol::Udp);
            let found = match report.ports.get(&(number, *port)) {
                _ if !report.up => "host down",
                Some(verdict) => verdict.state.name(),
                None => "not asked",
            };
            if found != state {
                self.failed.push(format!("{}: {port}/{protocol} is {found}, expected {state}", report.address));
            }
        }
    }

    fn tell(&mut self, report: &Report) -> Result<(), Error> {
        let (opts, services) = (&self.opts, &self.services);
        if opts.json {
            writeln!(self.ctx.stdout, "{}", output::json(report, services))?;
        } else if !self.quiet {
            let text = output::host(Format::Normal, report, opts, services, true);
            self.ctx.stdout.write_all(text.as_bytes())?;
        }
        let mut texts = Vec::new();
        for sink in &mut self.sinks {
            let text = output::host(sink.format, report, opts, services, sink.hosts == 0);
            sink.hosts += usize::from(!text.is_empty());
            texts.push(text);
        }
        for (at, text) in texts.iter().enumerate() {
            self.put(at, text)?;
        }
        Ok(self.ctx.stdout.flush()?)
    }
}

fn pending(signals: &SignalFd) -> bool {
    let mut polled = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut polled, PollTimeout::ZERO), Ok(1))
}

/// The ports of both protocols.
fn chosen(ctx: &mut Ctx, opts: &Opts, services: &Services) -> Result<[Vec<u16>; 2], String> {
    let sets = match (&opts.ports, opts.top) {
        (Some(text), _) => ports::parse(text, services)?,
        (None, count) => {
            let count = count.unwrap_or(1000);
            if count == 0 {
                return Err("--top-ports should be an integer 1 or greater".to_owned());
            }
            [ports::top(count, Protocol::Tcp), ports::top(count, Protocol::Udp)]
        }
    };
    let mut sets = sets.map(|set| set.list());
    if let Some(text) = &opts.exclude_ports {
        let excluded = ports::parse(text, services)?;
        for (set, excluded) in sets.iter_mut().zip(excluded) {
            set.retain(|port| !excluded.has(*port));
        }
    }
    if let Some(text) = &opts.ports {
        for (letter, wanted, option, name) in
            [('U', opts.udp, "-sU", "UDP"), ('T', opts.tcp.is_some(), "-sT, -sS", "TCP")]
        {
            let lower = letter.to_ascii_lowercase();
            if !wanted
                && !opts.hosts_only
                && text.split(',').any(|part| part.trim_start().starts_with([letter, lower]) && part.contains(':'))
            {
                let text = format!(
                    "WARNING: Your ports include \"{letter}:\" but you haven't specified {name} scan with {option}."
                );
                ctx.say(&text);
            }
        }
    }
    let [tcp, udp] = sets;
    let ports =
        [(opts.tcp.is_some(), tcp), (opts.udp, udp)].map(|(wanted, list)| if wanted { list } else { Vec::new() });
    for (list, wanted, name, small) in ports
        .iter()
        .zip([(opts.tcp.is_some(), "a TCP", "tcp"), (opts.udp, "UDP", "udp")])
        .map(|(l, (w, n, s))| (l, w, n, s))
    {
        if wanted && list.is_empty() && !opts.hosts_only {
            let kind = if small == "tcp" { "scan type" } else { "scan" };
            ctx.say(&format!(
                "WARNING: {name} {kind} was requested, but no {small} ports were specified.  Skipping this scan type."
            ));
        }
    }
    Ok(ports)
}

/// `443 open, 53/udp open, 9090 closed`.
fn expectations(text: &str) -> Result<Vec<(Protocol, u16, String)>, String> {
    text.split(',')
        .map(|part| {
            let wrong = || format!("--expect: not a port and a state: {}", printable(part));
            let (port, state) = part.trim().split_once(' ').ok_or_else(wrong)?;
            let (port, protocol) = match port.split_once('/') {
                Some((port, "tcp")) => (port, Protocol::Tcp),
                Some((port, "udp")) => (port, Protocol::Udp),
                Some(_) => return Err(wrong()),
                None => (port, Protocol::Tcp),
            };
            let state = state.trim();
            if !["open", "closed", "filtered", "open|filtered"].contains(&state) {
                return Err(wrong());
            }
            Ok((protocol, port.parse().map_err(|_| wrong())?, state.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected() {
        let list = expectations("443 open, 53/udp open|filtered,9090 closed").unwrap();
        assert_eq!(list.len(), 3);
        assert_eq!(list[1], (Protocol::Udp, 53, "open|filtered".to_owned()));
        for bad in ["443", "x open", "443 ajar", "443/sctp open", ""] {
            assert!(expectations(bad).is_err(), "{bad}");
        }
    }
}
