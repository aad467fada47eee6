//! portscan: who answers, who rejects, who is silent.
//!
//! - Peer: nmap 7.93: its way of writing targets and ports, its `-sT` and `-sU`, states, reasons, table, `-oN -oG -oX -oA`;
//!   masscan's `-oJ` and `-oL`.
//! - Deliberate differences: an ICMP error during a connect is a filter and not a closed port, and is shown with the
//!   address it came from; a refusal by UDP counts as closed only when the host itself sent it; the lists of ports to ask
//!   first and their names are our own and the system's; raw scans, scripts, versions and systems are refused by name.
//! - Beyond the peer: `--json` (an object a host), `--expect`, `--netns`.
//! - Kernel interfaces: connect(2) without blocking, epoll(7), the error queue (IP_RECVERR), ICMP datagram sockets.
//! - Privilege: none; `--netns` needs CAP_SYS_ADMIN.

mod args;
mod output;
mod ports;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netkit_core::text::printable;
use netkit_core::{Applet, Ctx, Error, Exit, Flags, Group, flag, flags, front};
use netkit_probe::echo::{Echo, Queued};
use netkit_probe::scan::{Settings, State, Task, Verdict, scan};
use netkit_probe::services::Services;
use netkit_probe::{Family, Lookup, Protocol, reverse};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::args::{Format, Opts, Wrong};
use crate::output::{Frame, Report};
use crate::targets::{Host, Targets};

/// portscan, and nmap for the fingers.
pub static APPLETS: &[Applet] = &[Applet {
    name: "portscan",
    aliases: &["nmap"],
    purpose: "which ports answer, which are rejected and by whom",
    usage: "[-sT] [-sU] [-p PORTS] [OPTION...] HOST|CIDR|RANGE...\n-sn [OPTION...] HOST|CIDR|RANGE...",
    group: Group::Connect,
    flags: FLAGS,
    capability: None,
    main: run,
}];

const FLAGS: Flags = flags![
    flag("-p", "PORTS", "22,80,1000-2000,https,T:80,U:53; -p- for all"),
    flag("-F", "", "the 100 ports most worth asking"),
    flag("--top-ports", "N", "so many of them (1000)"),
    flag("--exclude-ports", "PORTS", "not these"),
    flag("-sT", "", "TCP (the default)"),
    flag("-sU", "", "UDP, with questions of their own for known services"),
    flag("-sn", "", "only which hosts are there"),
    flag("-Pn", "", "take every host to be there"),
    flag("-n", "", "no names for addresses"),
    flag("-6", "", "IPv6"),
    flag("-iL", "FILE|-", "hosts from a file"),
    flag("--exclude", "HOSTS", "not these"),
    flag("--open", "", "only open ports"),
    flag("--reason", "", "why, and who said so"),
    flag("-v", "", "open ports as they are found, and hosts that are down"),
    flag("-T", "0-5", "how patient: 3 is normal, 5 quick"),
    flag("--max-retries", "N", "ask silent ports so often again (2)"),
    flag("--max-rate", "N", "requests a second at most"),
    flag("--max-parallelism", "N", "sockets at once"),
    flag("--host-timeout", "TIME", "give up on a host after this (500ms, 30s, 2m)"),
    flag("--initial-rtt-timeout", "TIME", "first wait (1s)"),
    flag("--min-rtt-timeout", "TIME", "shortest wait (100ms)"),
    flag("--max-rtt-timeout", "TIME", "longest wait (10s)"),
    flag("-e", "INTERFACE", "send through it"),
    flag("-S", "ADDRESS", "send from it"),
    flag("-g", "PORT", "send from this port"),
    flag("-oN", "FILE|-", "as text"),
    flag("-oG", "FILE|-", "a line a host"),
    flag("-oX", "FILE|-", "XML"),
    flag("-oA", "NAME", "all three"),
    flag("-oJ", "FILE|-", "masscan's JSON"),
    flag("-oL", "FILE|-", "masscan's list"),
    flag("--json", "", "one object a host"),
    flag("--expect", "LIST", "status 1 unless it is so: \"443 open, 9090 closed\""),
    flag("--netns", "PID|PATH", "in another network namespace"),
    flag("--explain", "", "say what else is known"),
];

/// Hosts that are looked at together.
const GROUP: usize = 64;
/// Descriptors that are left for everything else.
const SPARE: u64 = 40;
/// Sockets at once where nobody says.
const PARALLEL: usize = 2000;
/// Which ports tell whether a host is there.
const DISCOVERY: [u16; 2] = [443, 80];
/// The largest list of hosts read, in bytes.
const MAX_LIST: u64 = 16 << 20;
const QUIT: Exit = Exit(1);

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
    Job::new(ctx, opts)?.go(&words)
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

struct Job<'a> {
    ctx: &'a mut Ctx,
    opts: Opts,
    services: Services,
    ports: [Vec<u16>; 2],
    settings: Settings,
    sinks: Vec<Sink>,
    /// Nothing but what a file or pipe wants goes to standard output.
    quiet: bool,
    interrupt: Option<SignalFd>,
    expected: Vec<(Protocol, u16, String)>,
    failed: Vec<String>,
}

impl<'a> Job<'a> {
    fn new(ctx: &'a mut Ctx, opts: Opts) -> Result<Job<'a>, Error> {
        let services = Services::load();
        let ports = match chosen(&opts, &services) {
            Ok(ports) => ports,
            Err(text) => return Err(quit(ctx, &text)),
        };
        let expected = match opts.expect.as_deref().map(expectations).transpose() {
            Ok(list) => list.unwrap_or_default(),
            Err(text) => return Err(Error::usage(text)),
        };
        let mut sinks = Vec::new();
        for (format, path) in &opts.outputs {
            let file = match path.as_str() {
                "-" => None,
                path => Some(File::create(path).map_err(|error| {
                    Error::new(QUIT, format!("Failed to open output file {} for writing: {error}", printable(path)))
                })?),
            };
            sinks.push(Sink { format: *format, file, hosts: 0 });
        }
        let quiet = opts.json || sinks.iter().any(|sink| sink.file.is_none());
        let settings = settings(&opts);
        let mut set = SigSet::empty();
        set.add(Signal::SIGINT);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let interrupt = set.thread_block().ok().and_then(|()| SignalFd::with_flags(&set, flags).ok());
        Ok(Job { ctx, opts, services, ports, settings, sinks, quiet, interrupt, expected, failed: Vec::new() })
    }

    fn targets(&mut self) -> Result<Vec<Targets>, Error> {
        let family = if self.opts.v6 { Family::Inet6 } else { Family::Inet };
        let lookup = Lookup {
            localdomain: self.ctx.var("LOCALDOMAIN").map(str::to_owned),
            res_options: self.ctx.var("RES_OPTIONS").map(str::to_owned),
            ..Lookup::default()
        };
        let mut words = self.opts.targets.clone();
        if let Some(path) = self.opts.list.clone() {
            let reader: Box<dyn BufRead> = if path == "-" {
                Box::new(BufReader::new(std::io::stdin()))
            } else {
                let file = File::open(&path).map_err(|error| {
                    Error::new(QUIT, format!("Failed to open input file {} for reading: {error}", printable(&path)))
                })?;
                Box::new(BufReader::new(file))
            };
            let mut text = String::new();
            reader
                .take(MAX_LIST)
                .read_to_string(&mut text)
                .map_err(|error| Error::new(QUIT, format!("cannot read {}: {error}", printable(&path))))?;
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or(""));
            words.extend(lines.flat_map(str::split_whitespace).map(str::to_owned));
        }
        let mut targets = Vec::new();
        for word in words {
            match Targets::parse(&word, family, &lookup) {
                Ok(target) => targets.push(target),
                Err(text) => self.ctx.say(&text),
            }
        }
        if targets.is_empty() {
            self.ctx.say("WARNING: No targets were specified, so 0 hosts scanned.");
        }
        Ok(targets)
    }

    fn go(&mut self, words: &[String]) -> Result<Exit, Error> {
        let family = if self.opts.v6 { Family::Inet6 } else { Family::Inet };
        let exclude = self.opts.exclude.clone();
        let mut excluded = Vec::new();
        for word in exclude {
            match Targets::parse(&word, family, &Lookup::default()) {
                Ok(target) => excluded.push(target),
                Err(text) => return Err(quit(self.ctx, &format!("--exclude: {text}"))),
            }
        }
        let targets = self.targets()?;
        let started = Instant::now();
        let asked = [Protocol::Tcp, Protocol::Udp].into_iter().zip(self.ports.iter().cloned());
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
            asked: asked.filter(|(_, ports)| !ports.is_empty() && !self.opts.hosts_only).collect(),
        };
        if !self.quiet {
            let (version, date) = (frame.version, output::short_date(frame.began));
            writeln!(self.ctx.stdout, "Starting portscan (netkit {version}) at {date}")?;
        }
        self.each(|format| output::head(format, &frame))?;
        let mut group: Vec<Host> = Vec::new();
        'targets: for target in &targets {
            let mut index = 0;
            while let Some(host) = target.nth(index) {
                index += 1;
                if excluded.iter().any(|excluded| excluded.holds(host.address)) {
                    continue;
                }
                group.push(host);
                if group.len() >= GROUP {
                    frame.hosts += group.len() as u128;
                    frame.up += self.group(std::mem::take(&mut group))?;
                    if self.interrupted() {
                        break 'targets;
                    }
                }
            }
        }
        if !group.is_empty() {
            frame.hosts += group.len() as u128;
            frame.up += self.group(group)?;
        }
        if frame.hosts == 1 && frame.up == 0 && !self.quiet {
            let note = "Note: Host seems down. If it is really up, but blocking our ping probes, try -Pn";
            writeln!(self.ctx.stdout, "{note}")?;
        }
        (frame.ended, frame.elapsed) = (self.ctx.clock.unix_seconds(), started.elapsed());
        self.each(|format| output::tail(format, &frame))?;
        if !self.quiet {
            self.ctx.stdout.write_all(output::done(&frame).as_bytes())?;
        }
        for text in &self.failed {
            self.ctx.say(text);
        }
        Ok(if self.failed.is_empty() { Exit::OK } else { Exit(1) })
    }

    /// The same part of every output.
    fn each(&mut self, part: impl Fn(Format) -> String) -> Result<(), Error> {
        for sink in &mut self.sinks {
            let text = part(sink.format);
            match &mut sink.file {
                Some(file) => file.write_all(text.as_bytes())?,
                None => self.ctx.stdout.write_all(text.as_bytes())?,
            }
        }
        Ok(())
    }

    fn interrupted(&self) -> bool {
        self.interrupt.as_ref().is_some_and(|signals| {
            let mut polled = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            matches!(poll(&mut polled, PollTimeout::ZERO), Ok(1))
        })
    }

    /// Looks at some hosts together; returns how many are up.
    fn group(&mut self, hosts: Vec<Host>) -> Result<u128, Error> {
        let began = self.ctx.clock.unix_seconds();
        let mut reports: Vec<Report> = hosts
            .into_iter()
            .map(|host| Report {
                address: host.address,
                given: host.name,
                name: None,
                up: self.opts.no_discovery,
                reason: if self.opts.no_discovery { "user-set" } else { "no-response" },
                latency: None,
                ports: BTreeMap::new(),
                began,
                ended: began,
            })
            .collect();
        if !self.opts.no_discovery {
            self.discover(&mut reports)?;
        }
        if !self.opts.hosts_only {
            self.ask(&mut reports)?;
        }
        let ended = self.ctx.clock.unix_seconds();
        let mut up = 0;
        for mut report in reports {
            up += u128::from(report.up);
            report.ended = ended;
            if report.up && !self.opts.numeric {
                report.name = reverse(report.address, &Lookup::default());
            }
            self.check(&report);
            self.tell(&report)?;
        }
        Ok(up)
    }

    /// Which hosts are there: whoever takes or refuses a connection, or answers an echo.
    fn discover(&mut self, reports: &mut [Report]) -> Result<(), Error> {
        for report in reports.iter_mut().filter(|report| is_own(report.address)) {
            (report.up, report.reason) = (true, "localhost-response");
        }
        let waiting: Vec<IpAddr> = reports.iter().filter(|one| !one.up).map(|one| one.address).collect();
        let mut answers: BTreeMap<IpAddr, (&'static str, Option<Duration>)> = BTreeMap::new();
        echoes(&waiting, &mut answers);
        let left: Vec<IpAddr> = waiting.into_iter().filter(|ip| !answers.contains_key(ip)).collect();
        let mut tasks = DISCOVERY.iter().flat_map(|port| {
            left.iter().map(move |ip| Task { to: SocketAddr::new(*ip, *port), protocol: Protocol::Tcp })
        });
        let settings = Settings { retries: self.settings.retries.min(1), ..self.settings.clone() };
        let interrupt = self.interrupt.as_ref();
        scan(&mut tasks, &settings, &mut || pending(interrupt), &mut |task, verdict| {
            // A filter that answers for the host says nothing of the host.
            if matches!(verdict.state, State::Open | State::Closed) {
                answers.entry(task.to.ip()).or_insert((verdict.reason, verdict.rtt));
            }
        })
        .map_err(|error| Error::new(QUIT, format!("cannot wait for sockets: {error}")))?;
        for report in reports.iter_mut() {
            if let Some((reason, rtt)) = answers.get(&report.address) {
                (report.up, report.reason, report.latency) = (true, reason, *rtt);
            }
        }
        Ok(())
    }

    /// Asks every port of every host that is up.
    fn ask(&mut self, reports: &mut [Report]) -> Result<(), Error> {
        let hosts: Vec<(usize, IpAddr)> =
            reports.iter().enumerate().filter(|(_, one)| one.up).map(|(at, one)| (at, one.address)).collect();
        let index: BTreeMap<IpAddr, usize> = hosts.iter().map(|(at, ip)| (*ip, *at)).collect();
        // What finding the hosts took says how long their ports may take.
        let mut settings = self.settings.clone();
        let slowest =
            hosts.iter().map(|(at, _)| reports.get(*at).and_then(|one| one.latency)).collect::<Option<Vec<_>>>();
        if let Some(slowest) = slowest.and_then(|all| all.into_iter().max()) {
            settings.initial = (slowest * 4).clamp(settings.least, settings.initial.max(settings.least));
        }
        let deadline = self.opts.host_timeout.map(|limit| Instant::now() + limit);
        let verbose = self.opts.verbose && !self.quiet;
        let interrupt = self.interrupt.as_ref();
        let mut said = String::new();
        for (number, protocol) in [(0u8, Protocol::Tcp), (1, Protocol::Udp)] {
            let Some(ports) = self.ports.get(usize::from(number)) else { continue };
            let mut tasks = ports
                .iter()
                .flat_map(|port| hosts.iter().map(move |(_, ip)| Task { to: SocketAddr::new(*ip, *port), protocol }));
            let mut stop = || pending(interrupt) || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            let mut report = |task: Task, verdict: Verdict| {
                let Some(one) = index.get(&task.to.ip()).and_then(|at| reports.get_mut(*at)) else { return };
                one.latency = one.latency.or(verdict.rtt);
                if verbose && verdict.state == State::Open {
                    said += &format!("Discovered open port {}/{protocol} on {}\n", task.to.port(), one.address);
                }
                one.ports.insert((number, task.to.port()), verdict);
            };
            scan(&mut tasks, &settings, &mut stop, &mut report)
                .map_err(|error| Error::new(QUIT, format!("cannot wait for sockets: {error}")))?;
        }
        self.ctx.stdout.write_all(said.as_bytes())?;
        Ok(())
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
        for sink in &mut self.sinks {
            let text = output::host(sink.format, report, opts, services, sink.hosts == 0);
            sink.hosts += usize::from(!text.is_empty());
            match &mut sink.file {
                Some(file) => file.write_all(text.as_bytes())?,
                None => self.ctx.stdout.write_all(text.as_bytes())?,
            }
        }
        Ok(self.ctx.stdout.flush()?)
    }
}

fn pending(signals: Option<&SignalFd>) -> bool {
    signals.is_some_and(|signals| {
        let mut polled = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut polled, PollTimeout::ZERO), Ok(1))
    })
}

/// Whether the address is one of this machine's: it can be bound.
fn is_own(ip: IpAddr) -> bool {
    !ip.is_multicast() && !ip.is_unspecified() && std::net::UdpSocket::bind((ip, 0)).is_ok()
}

/// One echo to each host, where this user may send them, and a second for the answers.
fn echoes(hosts: &[IpAddr], answers: &mut BTreeMap<IpAddr, (&'static str, Option<Duration>)>) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let Some(first) = hosts.first() else { return };
    let Ok(echo) = Echo::open(first.is_ipv6(), None) else { return };
    let mut sent: BTreeMap<IpAddr, Instant> = BTreeMap::new();
    let mut buffer = [0u8; 2048];
    for (seq, ip) in (1u16..).zip(hosts) {
        sent.insert(*ip, Instant::now());
        let _ = echo.send(SocketAddr::new(*ip, 0), seq, &[0x2a; 16]);
        while let Some(Queued::Icmp { .. } | Queued::Local { .. }) = echo.take_error() {}
    }
    let deadline = Instant::now() + PATIENCE;
    while answers.len() < hosts.len() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let millis = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(1000);
        let mut polled = [PollFd::new(echo.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut polled, PollTimeout::try_from(millis).unwrap_or(PollTimeout::ZERO));
        match echo.receive(&mut buffer) {
            Ok(Some(reply)) if matches!(reply.kind, 0 | 129) => {
                let ip = reply.from.ip();
                if let Some(at) = sent.get(&ip) {
                    answers.entry(ip).or_insert(("echo-reply", Some(at.elapsed())));
                }
            }
            Ok(_) => {}
            Err(_) => while echo.take_error().is_some() {},
        }
    }
}

/// The ports of both protocols.
fn chosen(opts: &Opts, services: &Services) -> Result<[Vec<u16>; 2], String> {
    let mut sets = match (&opts.ports, opts.top) {
        (Some(text), _) => ports::parse(text, services)?,
        (None, count) => {
            let count = count.unwrap_or(1000);
            if count == 0 {
                return Err("--top-ports should be an integer 1 or greater".to_owned());
            }
            [ports::top(count, Protocol::Tcp), ports::top(count, Protocol::Udp)]
        }
    };
    if let Some(text) = &opts.exclude_ports {
        let excluded = ports::parse(text, services)?;
        for (set, excluded) in sets.iter_mut().zip(excluded) {
            set.retain(|port| !excluded.contains(port));
        }
    }
    let [tcp, udp] = sets;
    let list = |wanted: bool, set: BTreeSet<u16>| if wanted { set.into_iter().collect() } else { Vec::new() };
    let ports = [list(opts.tcp, tcp), list(opts.udp, udp)];
    if ports.iter().all(Vec::is_empty) && !opts.hosts_only {
        return Err("None of the ports asked for are of a protocol that is scanned (-sT, -sU)".to_owned());
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

/// Patience by the timing template, and as many sockets as this process may have.
fn settings(opts: &Opts) -> Settings {
    let millis = Duration::from_millis;
    let (initial, most, retries) = match opts.timing {
        5 => (millis(250), millis(300), 1),
        4 => (millis(500), millis(1250), 2),
        _ => (millis(1000), millis(10_000), 2),
    };
    let mut parallel = opts.parallel.unwrap_or(if opts.timing < 3 { 1 } else { PARALLEL });
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = hard.min(u64::try_from(parallel).unwrap_or(u64::MAX).saturating_add(SPARE));
        let raised = wanted > soft && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok();
        let allowed = if raised { wanted } else { soft };
        parallel = parallel.min(usize::try_from(allowed.saturating_sub(SPARE)).unwrap_or(usize::MAX)).max(1);
    }
    let source = match (opts.source, opts.source_port) {
        (None, None) => None,
        (source, port) => {
            let any = if opts.v6 { IpAddr::from([0u16; 8]) } else { IpAddr::from([0u8; 4]) };
            Some(SocketAddr::new(source.unwrap_or(any), port.unwrap_or(0)))
        }
    };
    let least = opts.least.unwrap_or(millis(100));
    Settings {
        parallel,
        initial: opts.initial.unwrap_or(initial),
        least,
        most: opts.most.unwrap_or(most).max(least),
        retries: opts.retries.unwrap_or(retries),
        rate: opts.rate.or(match opts.timing {
            0 => Some(1.0 / 300.0),
            1 => Some(1.0 / 15.0),
            2 => Some(2.5),
            _ => None,
        }),
        source,
        interface: opts.interface.clone(),
    }
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
