//! Asking the ports: how patient, how many at once, what is said meanwhile.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use netkit_core::{Error, Exit};
use netkit_probe::Protocol;
use netkit_probe::scan::{Connect, Kind, Medium, Settings, State, Task, Verdict, scan, scan_by_two};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::args::Opts;
use crate::output::Report;
use crate::{Job, QUIT, With, pending};

/// Descriptors that are left for everything else.
const SPARE: u64 = 40;
/// Sockets at once where nobody says.
const SOCKETS: usize = 2000;
/// Raw requests at once where nobody says.
const PACKETS: usize = 4096;
/// Connections for which a second processor is worth its thread, and how many at once there have to be.
const MANY: usize = 1024;
const SHARED: usize = 64;
/// Between two words about how far it is.
const PROGRESS: Duration = Duration::from_millis(500);

impl Job<'_> {
    pub(crate) fn settings(&self, with: With) -> Settings {
        let settings = settings(&self.opts, with);
        let room = self.raw.as_ref().filter(|_| with == With::Raw).map_or(usize::MAX, |raw| raw.room());
        Settings { parallel: settings.parallel.min(room), ..settings }
    }

    /// Runs one scan until it is done, `enough` says so, or the user does.
    pub(crate) fn scan(
        &mut self,
        tasks: &mut dyn Iterator<Item = Task>,
        settings: &Settings,
        with: With,
        enough: &mut dyn FnMut() -> bool,
        report: &mut dyn FnMut(Task, Verdict),
    ) -> Result<(), Error> {
        let interrupt = self.interrupt.as_ref();
        let mut stop = || enough() || interrupt.is_some_and(pending);
        let mut sockets = None;
        let medium: &mut dyn Medium = match (&mut self.raw, with) {
            (Some(raw), With::Raw) => raw,
            _ => sockets.insert(Connect::new(settings.source, settings.interface.clone()).map_err(failed)?),
        };
        scan(medium, tasks, settings, &mut stop, report).map_err(failed)
    }

    /// The same on two processors, for connections alone.
    fn scan_by_two(
        &self,
        tasks: &mut (dyn Iterator<Item = Task> + Send),
        settings: &Settings,
        enough: &mut dyn FnMut() -> bool,
        report: &mut dyn FnMut(Task, Verdict),
    ) -> Result<(), Error> {
        let interrupt = self.interrupt.as_ref();
        let mut stop = || enough() || interrupt.is_some_and(pending);
        let open = || Connect::new(settings.source, settings.interface.clone()).map_err(failed);
        scan_by_two([open()?, open()?], tasks, settings, &mut stop, report).map_err(failed)
    }

    /// Asks every port of every host that is up.
    pub(crate) fn ask(&mut self, reports: &mut [Report]) -> Result<(), Error> {
        let hosts: Vec<(usize, IpAddr)> =
            reports.iter().enumerate().filter(|(_, one)| one.up).map(|(at, one)| (at, one.address)).collect();
        let index: BTreeMap<IpAddr, usize> = hosts.iter().map(|(at, ip)| (*ip, *at)).collect();
        let slowest =
            hosts.iter().map(|(at, _)| reports.get(*at).and_then(|one| one.latency)).collect::<Option<Vec<_>>>();
        let slowest = slowest.and_then(|all| all.into_iter().max());
        let deadline = self.opts.host_timeout.map(|limit| Instant::now() + limit);
        let verbose = self.opts.verbose > 0 && !self.quiet;
        let wanted: usize = self.ports.iter().map(Vec::len).sum();
        let mut said = String::new();
        for (number, protocol) in [(0u8, Protocol::Tcp), (1, Protocol::Udp)] {
            let ports = self.ports.get(usize::from(number)).cloned().unwrap_or_default();
            if ports.is_empty() || hosts.is_empty() {
                continue;
            }
            let (kind, with) = self.kind(protocol);
            let mut settings = self.settings(with);
            // What finding the hosts took says how long their ports may take.
            if let Some(slowest) = slowest {
                settings.initial = (slowest * 4).clamp(settings.least, settings.initial.max(settings.least));
            }
            let times = self.opts.repeat.unwrap_or(1);
            let total = ports.len() * hosts.len() * usize::try_from(times).unwrap_or(1);
            let counts = std::cell::Cell::new((0usize, 0usize));
            let mut progress = Progress::new(self.ctx.stderr_is_terminal && !self.opts.json, protocol);
            for _ in 0..times {
                let mut tasks = ports
                    .iter()
                    .flat_map(|port| hosts.iter().map(move |(_, ip)| Task { to: SocketAddr::new(*ip, *port), kind }));
                let mut enough = || {
                    progress.tell(counts.get(), total);
                    deadline.is_some_and(|deadline| Instant::now() >= deadline)
                };
                let mut report = |task: Task, verdict: Verdict| {
                    let (done, open) = counts.get();
                    counts.set((done + 1, open + usize::from(verdict.state == State::Open)));
                    let Some(one) = index.get(&task.to.ip()).and_then(|at| reports.get_mut(*at)) else { return };
                    one.latency = one.latency.or(verdict.rtt);
                    if verbose && verdict.state == State::Open {
                        said += &format!("Discovered open port {}/{protocol} on {}\n", task.to.port(), one.address);
                    }
                    one.take((number, task.to.port()), verdict, times > 1);
                };
                let is_shared = kind == Kind::Connect
                    && total >= MANY
                    && settings.parallel >= SHARED
                    && settings.rate.is_none()
                    && settings.least_rate.is_none()
                    && std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
                match is_shared {
                    true => self.scan_by_two(&mut tasks, &settings, &mut enough, &mut report)?,
                    false => self.scan(&mut tasks, &settings, with, &mut enough, &mut report)?,
                }
            }
            progress.clear();
        }
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        for report in reports.iter_mut().filter(|report| report.up) {
            report.timed_out = late && report.ports.len() < wanted;
        }
        if self.opts.versions {
            self.versions(reports);
        }
        self.ctx.stdout.write_all(said.as_bytes())?;
        Ok(())
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::new(Exit(QUIT.0), format!("cannot wait for answers: {error}"))
}

/// One line on a terminal that says how far it is.
struct Progress {
    shown: bool,
    wanted: bool,
    next: Instant,
    protocol: Protocol,
}

impl Progress {
    fn new(wanted: bool, protocol: Protocol) -> Progress {
        Progress { shown: false, wanted, next: Instant::now() + PROGRESS, protocol }
    }

    fn tell(&mut self, (done, open): (usize, usize), total: usize) {
        let now = Instant::now();
        if !self.wanted || now < self.next {
            return;
        }
        self.next = now + PROGRESS;
        self.shown = true;
        let percent = done * 100 / total.max(1);
        let _ =
            write!(std::io::stderr(), "\r\x1b[K{done} of {total} {} ports ({percent} %), {open} open", self.protocol);
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Patience by the timing template, and as many requests at once as there may be.
pub(crate) fn settings(opts: &Opts, with: With) -> Settings {
    let millis = Duration::from_millis;
    let timing = opts.timing.unwrap_or(3);
    let (initial, most, retries, most_retries) = match timing {
        5 => (millis(250), millis(300), 1, 2),
        4 => (millis(500), millis(1250), 2, 6),
        _ => (millis(1000), millis(10_000), 2, 10),
    };
    let most_retries = opts.retries.unwrap_or(most_retries);
    let usual = if with == With::Raw { PACKETS } else { SOCKETS };
    let mut parallel = opts.parallel.unwrap_or(if timing < 3 { 1 } else { usual });
    if with == With::Sockets
        && let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
    {
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
        retries: retries.min(most_retries),
        most_retries,
        rate: opts.rate.or(match timing {
            0 => Some(1.0 / 300.0),
            1 => Some(1.0 / 15.0),
            2 => Some(2.5),
            _ => None,
        }),
        least_rate: opts.least_rate,
        source,
        interface: opts.interface.clone(),
        ttl: opts.ttl.unwrap_or(64),
    }
}
