//! Which hosts are there.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netkit_core::Error;
use netkit_probe::echo::{Echo, Queued};
use netkit_probe::scan::{Kind, Settings, State, Task, Verdict, packet};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::output::Report;
use crate::ways::Way;
use crate::{Job, With};

/// Which ports tell whether a host is there, without raw packets.
const DISCOVERY: [u16; 2] = [443, 80];
/// How long a neighbour may take to answer.
const NEIGHBOUR: Duration = Duration::from_millis(400);
/// How long hosts of which nothing is known may take.
const PATIENCE: Duration = Duration::from_secs(1);
const ROUNDS: u32 = 2;

impl Job<'_> {
    /// Which hosts of a group are there. All of them leave by ways of the same kind.
    pub(crate) fn discover(&mut self, reports: &mut [Report], way: Option<Way>) -> Result<(), Error> {
        for report in reports.iter_mut() {
            let own = way.map_or_else(|| is_own(report.address), |way| way.local);
            if own && report.reason != "user-set" {
                (report.up, report.reason) = (true, "localhost-response");
            }
        }
        let direct = way.filter(|way| way.direct && !self.opts.no_arp);
        let link = direct.and_then(|way| self.ways.as_mut()?.link(way.ifindex));
        if let (Some(link), Some(raw)) = (link, &mut self.raw) {
            raw.link = Some(link);
            // Silence of a neighbour says that nobody is there; who was told to be up stays so.
            return self.rounds(reports, &[(Kind::Neighbour, 0)], With::Raw, NEIGHBOUR);
        }
        if self.opts.no_discovery {
            return Ok(());
        }
        let v6 = self.opts.v6;
        let raw = self.raw.is_some();
        let asked = self.opts.pings.clone();
        let mut kinds: Vec<(Kind, u16)> = Vec::new();
        let mut echo = asked.is_empty();
        let with = if raw { With::Raw } else { With::Sockets };
        let segment = |flags: u8| if raw { Kind::Segment(flags) } else { Kind::Connect };
        for (letter, ports) in &asked {
            let kind = match letter {
                'S' => segment(packet::SYN),
                'A' => segment(packet::ACK),
                'U' => Kind::Udp,
                'P' | 'M' if !raw || v6 => continue,
                'P' => Kind::Icmp(13),
                'M' => Kind::Icmp(17),
                _ => {
                    echo = true;
                    continue;
                }
            };
            kinds.extend(ports.iter().map(|port| (kind, *port)));
            if ports.is_empty() {
                kinds.push((kind, 0));
            }
        }
        if raw && echo {
            kinds.push((Kind::Icmp(if v6 { 128 } else { 8 }), 0));
        }
        if asked.is_empty() {
            match raw {
                true => {
                    kinds.extend([(segment(packet::SYN), 443), (segment(packet::ACK), 80)]);
                    kinds.extend((!v6).then_some((Kind::Icmp(13), 0)));
                }
                false => kinds.extend(DISCOVERY.map(|port| (Kind::Connect, port))),
            }
        }
        if !raw && echo {
            let waiting: Vec<IpAddr> = reports.iter().filter(|one| !one.up).map(|one| one.address).collect();
            let mut answers = BTreeMap::new();
            echoes(&waiting, &mut answers);
            for report in reports.iter_mut() {
                if let Some(rtt) = answers.get(&report.address) {
                    (report.up, report.reason, report.latency) = (true, "echo-reply", Some(*rtt));
                }
            }
        }
        self.rounds(reports, &kinds, with, PATIENCE)
    }

    /// Asks in every way at once, and those who kept silent again.
    fn rounds(
        &mut self,
        reports: &mut [Report],
        kinds: &[(Kind, u16)],
        with: With,
        patience: Duration,
    ) -> Result<(), Error> {
        let base = self.settings(with);
        let most = base.most.min(patience);
        let settings = Settings { retries: 0, most_retries: 0, most, initial: base.initial.min(most), ..base };
        // Who may still turn out to be there; others have been said to be unreachable.
        let told = |report: &Report| report.up && report.reason != "user-set";
        let mut waiting: BTreeMap<IpAddr, usize> = reports
            .iter()
            .enumerate()
            .filter(|(_, report)| !told(report))
            .map(|(at, report)| (report.address, at))
            .collect();
        for _ in 0..ROUNDS {
            let left: Vec<IpAddr> = waiting.keys().copied().collect();
            if left.is_empty() || self.interrupted() {
                break;
            }
            // The same question to every host, then the next one.
            let mut tasks = kinds
                .iter()
                .flat_map(|(kind, port)| left.iter().map(|ip| Task { to: SocketAddr::new(*ip, *port), kind: *kind }));
            let open = std::cell::Cell::new(left.len());
            let mut report = |task: Task, verdict: Verdict| {
                let host = task.to.ip();
                let from = verdict.error.and_then(|error| error.offender);
                // A filter that answers for the host says nothing of it.
                let up = match verdict.state {
                    State::Open | State::Closed | State::Unfiltered => true,
                    _ => from == Some(host),
                };
                if up {
                    let Some(one) = waiting.remove(&host).and_then(|at| reports.get_mut(at)) else { return };
                    (one.up, one.reason, one.reason_ttl) = (true, verdict.reason, verdict.ttl);
                    (one.latency, one.mac) = (verdict.rtt, verdict.mac);
                    open.set(open.get().saturating_sub(1));
                }
            };
            self.scan(&mut tasks, &settings, with, &mut || open.get() == 0, &mut report)?;
        }
        Ok(())
    }
}

/// Whether the address is one of this machine's: it can be bound.
fn is_own(ip: IpAddr) -> bool {
    !ip.is_multicast() && !ip.is_unspecified() && std::net::UdpSocket::bind((ip, 0)).is_ok()
}

/// One echo to each host, where this user may send them, and a second for the answers.
fn echoes(hosts: &[IpAddr], answers: &mut BTreeMap<IpAddr, Duration>) {
    let Some(first) = hosts.first() else { return };
    let Ok(echo) = Echo::open(first.is_ipv6(), None) else { return };
    let mut sent: BTreeMap<IpAddr, Instant> = BTreeMap::new();
    let mut buffer = [0u8; 2048];
    let mut hear = |wait: i32, sent: &BTreeMap<IpAddr, Instant>| {
        let mut polled = [PollFd::new(echo.as_fd(), PollFlags::POLLIN)];
        while matches!(poll(&mut polled, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO)), Ok(1..)) {
            match echo.receive(&mut buffer) {
                Ok(Some(reply)) if matches!(reply.kind, 0 | 129) => {
                    let ip = reply.from.ip();
                    if let Some(at) = sent.get(&ip) {
                        answers.entry(ip).or_insert(at.elapsed());
                    }
                }
                Ok(_) => {}
                Err(_) => while echo.take_error().is_some() {},
            }
            if answers.len() >= hosts.len() || wait > 0 {
                break;
            }
        }
        answers.len() >= hosts.len()
    };
    for (seq, ip) in (1u16..=u16::MAX).cycle().zip(hosts) {
        sent.insert(*ip, Instant::now());
        let _ = echo.send(SocketAddr::new(*ip, 0), seq, &[0x2a; 16]);
        while let Some(Queued::Icmp { .. } | Queued::Local { .. }) = echo.take_error() {}
        // Answers must not overflow what the kernel holds for us.
        hear(0, &sent);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let millis = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(1000);
        if left.is_zero() || hear(millis, &sent) {
            return;
        }
    }
}
