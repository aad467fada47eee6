//! The TCP layer: every address at once, and for each that fails, who said so.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netkit_probe::{Attempt, IcmpError, Nature, Offence, Outcome, Plan, Protocol, classify, connect};
use nix::libc;
use socket2::Socket;

use crate::counters::Snapshot;
use crate::kernel::Kernel;
use crate::report::{Fault, Layer, Report, millis};
use crate::route;
use crate::silence::{self, Known, Probe};
use crate::world::World;

/// A connection, and where it leads.
pub(crate) struct Connected {
    pub(crate) socket: Socket,
    pub(crate) address: SocketAddr,
    /// The handshake.
    pub(crate) elapsed: Duration,
}

/// Connects to every address; the first of them in order that answers is kept.
pub(crate) fn reach(
    world: &World,
    kernel: &mut Kernel,
    addresses: &[SocketAddr],
    protocol: Protocol,
    report: &mut Report,
) -> Option<Connected> {
    let before = Snapshot::take();
    let mut plan = Plan::new(addresses.to_vec(), protocol, Some(world.patience()));
    plan.all = true;
    plan.stagger = Some(Duration::ZERO);
    let mut connected: Option<Connected> = None;
    let mut attempts: Vec<Attempt> = Vec::new();
    // One plan for each address, side by side, so that every socket can be kept or closed by itself.
    let reports: Vec<netkit_probe::Report> = std::thread::scope(|scope| {
        let plans = addresses.iter().map(|address| Plan { addresses: vec![*address], ..plan.clone() });
        let threads: Vec<_> = if addresses.len() == 1 {
            return vec![connect(&Plan { addresses: addresses.to_vec(), ..plan.clone() }, &mut |_| {})];
        } else {
            plans.map(|plan| scope.spawn(move || connect(&plan, &mut |_| {}))).collect()
        };
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    for mut one in reports {
        let winner = one.winning().cloned();
        if let (Some(socket), Some(attempt), true) = (one.socket.take(), winner, connected.is_none()) {
            connected = Some(Connected { socket, address: attempt.address, elapsed: attempt.elapsed });
        }
        attempts.append(&mut one.attempts);
    }
    let mut faults: Vec<(IpAddr, Fault)> = Vec::new();
    let layer = if protocol == Protocol::Udp { Layer::Udp } else { Layer::Tcp };
    for attempt in &attempts {
        if attempt.outcome == Outcome::Connected {
            if protocol == Protocol::Tcp {
                report.fine(layer, format!("{} accepted", attempt.address), Some(attempt.elapsed));
            }
            continue;
        }
        // A family that this machine does not have is skipped by every program at once.
        let spare = matches!(attempt.outcome, Outcome::NoRoute { .. }) && connected.is_some();
        let text = format!("{} {}", attempt.address, attempt.finding());
        if spare {
            report.note(layer, format!("{text}: programs skip it"));
            continue;
        }
        report.broken(layer, text, Some(attempt.elapsed));
        if faults.len() < 3 {
            let fault = blame(world, kernel, attempt, &before, protocol == Protocol::Udp, report);
            faults.push((attempt.address.ip(), fault));
        }
    }
    if let Some(found) = &connected {
        report.timings.push(("tcp", found.elapsed));
        report.reached = Some(found.address);
        report.source = found.socket.local_addr().ok().and_then(|local| local.as_socket());
        partly(addresses, found, faults, report);
        if protocol == Protocol::Tcp {
            report.looked.push(format!("TCP to {}", found.address));
        }
        return connected;
    }
    let count = faults.len();
    if let Some((_, mut fault)) = faults.into_iter().next() {
        if count > 1 || attempts.len() > 1 {
            let shown =
                attempts.iter().take(8).map(|attempt| format!("{}: {}", attempt.address, attempt.outcome.keyword()));
            fault.evidence.push(format!(
                "of {} addresses none answers: {}",
                attempts.len(),
                shown.collect::<Vec<_>>().join(", ")
            ));
        }
        report.faults.push(fault);
    }
    None
}

/// Some addresses work and some do not.
fn partly(addresses: &[SocketAddr], found: &Connected, faults: Vec<(IpAddr, Fault)>, report: &mut Report) {
    let Some((first, fault)) = faults.first().cloned() else { return };
    let dead: Vec<String> = faults.iter().map(|(address, _)| address.to_string()).collect();
    let other_family = |v6: bool| {
        addresses
            .iter()
            .filter(|address| address.is_ipv6() == v6)
            .all(|address| dead.contains(&address.ip().to_string()))
            && addresses.iter().any(|address| address.is_ipv6() == v6)
            && found.address.is_ipv6() != v6
    };
    let (cause, start) = if other_family(true) {
        ("ipv6_broken", format!("IPv4 works and IPv6 does not: {first}"))
    } else if other_family(false) {
        ("ipv4_broken", format!("IPv6 works and IPv4 does not: {first}"))
    } else {
        (
            "some_addresses_dead",
            format!(
                "{} of {} addresses do not work, so every so many connections fail: {first}",
                dead.len(),
                addresses.len()
            ),
        )
    };
    let mut told = Fault::impaired(fault.layer, cause, format!("{start}, because {}", fault.sentence));
    told.certain = fault.certain;
    told.evidence = fault.evidence;
    told.evidence.push(format!("{} answers", found.address));
    told.next = fault.next;
    report.faults.push(told);
}

/// The fault behind a failed attempt.
pub(crate) fn blame(
    world: &World,
    kernel: &mut Kernel,
    attempt: &Attempt,
    before: &Snapshot,
    udp: bool,
    report: &mut Report,
) -> Fault {
    let address = attempt.address;
    let host = address.ip();
    let source = attempt.source.map(|source| source.ip());
    let probe = Probe { target: address, source, udp, before };
    let finding = attempt.finding().to_string();
    let local = kernel.interfaces().unwrap_or_default();
    let is_own = |address: IpAddr| local.iter().any(|iface| iface.holds(address));
    let walk = |kernel: &mut Kernel, report: &mut Report, known: &mut Known| {
        let source = source.or_else(|| kernel.way(host, None).ok()?.source)?;
        silence::filtered(world, source, probe, report, known)
    };
    let mut known = Known::default();
    match &attempt.outcome {
        Outcome::Reset => {
            // A rule can reset in the name of the host.
            if let Some(fault) = walk(kernel, report, &mut known) {
                return fault;
            }
            let sentence = if let Some(behind) = known.behind {
                let whose = if is_own(behind.ip()) || behind.ip().is_loopback() {
                    "a sidecar of this machine that is not up"
                } else {
                    "the endpoint is up and nothing listens there"
                };
                format!(
                    "connection refused: a rule of this machine sends connections to {address} on to {behind}, and that refuses them: {whose}"
                )
            } else if is_own(host) {
                format!("{address}, an address of this machine itself, refused the connection: nothing listens there")
            } else {
                format!("connection refused: {host} is up and nothing listens on its port {}", address.port())
            };
            Fault::fatal(Layer::Tcp, "refused", sentence)
                .evidence(format!("a reset answered the SYN after {}", millis(attempt.elapsed)))
                .all_evidence(known.evidence)
                .next(if is_own(host) {
                    "netkit ss -ltn".to_owned()
                } else {
                    format!("netkit portscan -n -Pn --reason {host}")
                })
        }
        Outcome::ResetAfterAccept => Fault::fatal(Layer::Tcp, "accepted_then_reset", reset_words(address))
            .next(format!("netkit nc -zv --explain {host} {}", address.port())),
        Outcome::Icmp(error) => icmp(world, kernel, attempt, error, probe, report),
        Outcome::NoNeighbor { .. } => {
            let hop = kernel.way(host, None).ok().map(|way| (way.gateway.unwrap_or(host), way.output));
            let iface = hop.and_then(|(_, index)| local.iter().find(|iface| iface.index == index));
            let dead = hop.zip(iface).and_then(|((hop, _), iface)| silence::neighbour(kernel, iface, hop, host));
            if let Some(fault) = dead {
                return fault;
            }
            if let Some(fault) = walk(kernel, report, &mut known) {
                return fault;
            }
            Fault::fatal(Layer::Route, "dead_neighbour", finding).next(format!("netkit ip why {host}"))
        }
        Outcome::TimedOut => silent(world, kernel, attempt, before, report),
        Outcome::NoRoute { .. } => route::refused(kernel, host),
        Outcome::NotPermitted { .. } => {
            if let Err(error) = kernel.way(host, None)
                && error.errno() != 0
            {
                return route::refused(kernel, host);
            }
            if let Some(fault) = walk(kernel, report, &mut known) {
                return fault;
            }
            Fault::fatal(
                Layer::Netfilter,
                "forbidden_here",
                format!("a rule of this machine forbids connections to {address}"),
            )
            .evidence(finding)
            .next(silence::trace_command(source, address, false))
        }
        Outcome::Bind { errno } if *errno == libc::EADDRNOTAVAIL => Fault::fatal(
            Layer::Environment,
            "ports_exhausted",
            format!("no free source port is left for connections to {address}"),
        )
        .evidence(finding)
        .next("netkit ss -tan --group-by peer"),
        _ => Fault::fatal(Layer::Tcp, "error", format!("connecting to {address} failed: {finding}"))
            .next(format!("netkit ip why {host}")),
    }
}

pub(crate) fn reset_words(address: SocketAddr) -> String {
    format!(
        "{address} accepts the connection and closes it at once with a reset: a proxy or sidecar whose backend is down answers like this"
    )
}

/// An ICMP error answered.
fn icmp(
    world: &World,
    kernel: &mut Kernel,
    attempt: &Attempt,
    error: &IcmpError,
    probe: Probe<'_>,
    report: &mut Report,
) -> Fault {
    let address = attempt.address;
    let host = address.ip();
    let source = attempt.source.map(|source| source.ip());
    let local = kernel.interfaces().unwrap_or_default();
    let own = error.offender.is_none_or(|from| local.iter().any(|iface| iface.holds(from)));
    let said = error.to_string();
    let from = error.offender.map_or_else(|| "somebody".to_owned(), |from| from.to_string());
    let next = format!("netkit traceroute -n -T -p {} {host}", address.port());
    let mut known = Known::default();
    let walked = source.and_then(|source| silence::filtered(world, source, probe, report, &mut known));
    if let Some(fault) = walked {
        return fault.evidence(said);
    }
    if let Some(behind) = known.behind.filter(|_| !own || error.offender == Some(host)) {
        let layer = if error.offence() == Offence::Host { Layer::Route } else { Layer::Tcp };
        let sentence = format!(
            "a rule of this machine sends connections to {address} on to {behind}, and that endpoint is gone or closed: {said}"
        );
        return Fault::fatal(layer, "endpoint_unreachable", sentence)
            .all_evidence(known.evidence)
            .next(format!("netkit doctor tcp://{behind}"));
    }
    if own {
        let sentence = format!(
            "this machine itself rejects the connection to {address}: a REJECT rule of its own filter (a Service without endpoints is rejected like this)"
        );
        return Fault::fatal(Layer::Netfilter, "rejected_here", sentence)
            .evidence(said)
            .next(silence::trace_command(source, address, false));
    }
    let is_target = error.offender == Some(host);
    match (error.offence(), is_target) {
        (Offence::Port, true) => Fault::fatal(
            Layer::Tcp,
            "rejected_by_host",
            format!("the firewall of {host} itself rejects port {}: for a port that is merely closed a reset would come", address.port()),
        ),
        (Offence::Prohibited, true) => Fault::fatal(
            Layer::Tcp,
            "prohibited_by_host",
            format!("the firewall of {host} itself forbids port {}", address.port()),
        ),
        (Offence::Port, false) => Fault::fatal(
            Layer::Tcp,
            "rejected_by_device",
            format!("{from}, not {host}, rejects the connection: a REJECT rule there (a Service without endpoints is rejected like this)"),
        ),
        (Offence::Prohibited, false) => Fault::fatal(
            Layer::Tcp,
            "prohibited_by_device",
            format!("the device {from} on the way forbids connections to {address}"),
        ),
        (Offence::Host, _) => Fault::fatal(
            Layer::Route,
            "host_unreachable",
            format!("the router {from} cannot deliver to {host}: that host is down or gone"),
        ),
        (Offence::Network, _) => {
            Fault::fatal(Layer::Route, "network_unreachable", format!("the router {from} has no route to {host}"))
        }
        (Offence::TimeExceeded, _) => Fault::fatal(
            Layer::Route,
            "routing_loop",
            format!("packets to {host} go in circles (a routing loop): {from} says their time to live is exceeded"),
        ),
        (Offence::TooBig, _) => {
            Fault::fatal(Layer::Route, "mtu", format!("{from} says that packets to {host} are too big ({} bytes fit)", error.mtu))
        }
        (Offence::Other, _) => Fault::fatal(Layer::Tcp, "icmp", format!("{from} answered with {said}")),
    }
    .evidence(said)
    .next(next)
}

/// No answer at all.
fn silent(world: &World, kernel: &mut Kernel, attempt: &Attempt, before: &Snapshot, report: &mut Report) -> Fault {
    let address = attempt.address;
    let probe = Probe { target: address, source: attempt.source.map(|source| source.ip()), udp: false, before };
    let known = silence::explain(world, kernel, probe, report);
    let sent = format!("{} SYNs in {}, no answer of any kind", syns(attempt.elapsed), millis(attempt.elapsed));
    if let Some(fault) = known.fault {
        return fault.evidence(sent).all_evidence(known.evidence);
    }
    if let Some(behind) = known.behind {
        let own = kernel.interfaces().unwrap_or_default().iter().any(|iface| iface.holds(behind.ip()));
        let where_to = if own { "on this machine" } else { "an endpoint" };
        report.note(Layer::Tcp, format!("connections to {address} go on to {behind}, {where_to}"));
    }
    let beyond =
        if world.brief { crate::beyond::Beyond::default() } else { crate::beyond::look(world, address, report) };
    let mut fault = beyond.fault(address, &known.open);
    fault.evidence.insert(0, sent);
    fault.all_evidence(known.evidence).all_evidence(beyond.evidence)
}

/// SYNs that the kernel sends in so much time: at 0, 1, 3, 7 ... seconds (RFC 6298, section 5).
fn syns(elapsed: Duration) -> u32 {
    let mut count = 1;
    let mut at = 1;
    while elapsed.as_secs() >= at && count < 7 {
        count += 1;
        at = at * 2 + 1;
    }
    count
}

/// What an open connection does while nobody speaks; for protocols in which we do not speak.
pub(crate) fn watch(connected: &Connected, window: Duration, report: &mut Report) {
    let address = connected.address;
    match classify(&connected.socket, window) {
        Ok(nature @ (Nature::Silent | Nature::Banner(_))) => {
            report.fine(Layer::Tcp, format!("{address} {nature}"), None);
        }
        Ok(Nature::Closed) => {
            report.broken(Layer::Tcp, format!("{address} accepted, then closed at once"), None);
            let sentence = format!(
                "{address} accepts the connection and closes it at once: a proxy or sidecar without a backend, or a server that does not want this client"
            );
            let fault = Fault::fatal(Layer::Tcp, "accepted_then_closed", sentence);
            report.faults.push(fault.next(format!("netkit nc -v --explain {} {}", address.ip(), address.port())));
        }
        Ok(Nature::Reset) => {
            report.broken(Layer::Tcp, format!("{address} accepted, then reset at once"), None);
            let fault = Fault::fatal(Layer::Tcp, "accepted_then_reset", reset_words(address));
            report.faults.push(fault.next(format!("netkit nc -v --explain {} {}", address.ip(), address.port())));
        }
        Ok(Nature::Failed(errno)) => {
            let why = netkit_probe::errno::text(errno);
            report.broken(Layer::Tcp, format!("{address} accepted, then: {why}"), None);
            report.faults.push(Fault::fatal(Layer::Tcp, "error", format!("the connection to {address} broke: {why}")));
        }
        Err(error) => report.note(Layer::Tcp, format!("the connection cannot be watched: {error}")),
    }
}

/// Connections made at once to see whether packets get lost.
const BURST: usize = 10;
/// When the first SYN was not answered the second leaves after a second (RFC 6298, section 2).
const SECOND_SYN: Duration = Duration::from_millis(950);

/// How many of some connections made at once needed more than their first SYN.
fn burst(world: &World, address: SocketAddr) -> usize {
    let patience = world.patience().clamp(Duration::from_millis(1_200), Duration::from_millis(2_500));
    let plan = &Plan::new(vec![address], Protocol::Tcp, Some(patience));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..BURST).map(|_| scope.spawn(move || connect(plan, &mut |_| {}))).collect();
        let late = |report: &netkit_probe::Report| report.attempts.iter().any(|attempt| attempt.elapsed >= SECOND_SYN);
        threads.into_iter().filter_map(|thread| thread.join().ok()).filter(late).count()
    })
}

/// Losses and delays of a connection, from TCP_INFO.
pub(crate) fn quality(world: &World, socket: &Socket, address: SocketAddr, handshake: Duration, report: &mut Report) {
    let Some(info) = netkit_probe::tcp_info(socket) else { return };
    // The first retransmission of a SYN comes after one second.
    let syn_lost = handshake >= SECOND_SYN && info.rtt < Duration::from_millis(900);
    let asked_again = report.faults.iter().any(|fault| matches!(fault.cause, "queries_lost" | "one_of_two_lost"));
    if syn_lost || info.total_retrans > 0 || asked_again {
        let late = if world.brief { 0 } else { burst(world, address) };
        if !syn_lost && late == 0 && info.total_retrans < 2 {
            if info.total_retrans > 0 {
                report.note(Layer::Tcp, format!("one segment to {address} had to be sent again"));
            }
            return;
        }
        let what = match (late, syn_lost) {
            (0, true) => "the first SYN or its answer was lost".to_owned(),
            (0, false) => format!("{} segments had to be sent again", info.total_retrans),
            (late, _) => format!("of {BURST} connections made at once {late} got no answer to their first SYN"),
        };
        let sentence = format!("packets get lost on the way to {address}: {what}");
        let fault = Fault::impaired(Layer::Tcp, "loss", sentence)
            .evidence(format!(
                "handshake {}, {} retransmitted, round trip {}",
                millis(handshake),
                info.total_retrans,
                millis(info.rtt)
            ))
            .next(format!("netkit doctor --repeat 50 {address}"));
        report.note(Layer::Tcp, fault.sentence.clone());
        // What was lost on the way to the name server was lost for the same reason.
        let place = if late > 0 && asked_again { 0 } else { report.faults.len() };
        report.faults.insert(place, fault);
    } else if info.rtt >= Duration::from_millis(400) {
        let sentence = format!("the way to {address} is slow: a round trip takes {}", millis(info.rtt));
        let fault = Fault::impaired(Layer::Tcp, "high_latency", sentence)
            .evidence(format!("handshake {}, smoothed round trip {}", millis(handshake), millis(info.rtt)))
            .next(format!("netkit traceroute -n -T -p {} {}", address.port(), address.ip()));
        report.note(Layer::Tcp, fault.sentence.clone());
        report.faults.push(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_syns() {
        let after = |millis: u64| syns(Duration::from_millis(millis));
        assert_eq!((after(500), after(1_500), after(3_100), after(8_000)), (1, 2, 3, 4));
    }
}
