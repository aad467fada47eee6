//! Connecting to the addresses of a target, one after the other or staggered (RFC 8305), with every attempt recorded.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Socket, Type};

use crate::Protocol;
use crate::attempt::{Attempt, Outcome};
use crate::icmp::{IcmpError, Offence, take_errors, watch_errors};
use crate::options::Options;

/// What to connect to, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order they are tried.
    pub addresses: Vec<SocketAddr>,
    /// The transport.
    pub protocol: Protocol,
    /// How long each attempt may take; the kernel's own limit (about two minutes for TCP) when `None`.
    pub timeout: Option<Duration>,
    /// When all attempts end, whatever each of them may take.
    pub deadline: Option<Instant>,
    /// Start the next attempt this long after the last one although it is undecided (RFC 8305 recommends 250 ms).
    /// `None`: one after the other.
    pub stagger: Option<Duration>,
    /// Try every address even after one has answered; the first connection is the one returned.
    pub all: bool,
    /// Sources to bind, the first one of the right family is taken; port 0 lets the kernel choose.
    pub sources: Vec<SocketAddr>,
    /// The first of so many local ports to try, where the source names none.
    pub local_ports: Option<(u16, u16)>,
    /// Read the error queue, so that who refused is known. IPv6 errors that the kernel would ride out then end an attempt
    /// at once.
    pub watch: bool,
    /// Socket options.
    pub options: Options,
}

impl Plan {
    /// One after the other, nothing bound, no options.
    pub fn new(addresses: Vec<SocketAddr>, protocol: Protocol, timeout: Option<Duration>) -> Plan {
        Plan {
            addresses,
            protocol,
            timeout,
            deadline: None,
            stagger: None,
            all: false,
            sources: Vec::new(),
            local_ports: None,
            watch: true,
            options: Options::default(),
        }
    }

    /// With the addresses of both families taking turns and attempts staggered (RFC 8305, sections 4 and 5).
    #[must_use]
    pub fn happy_eyeballs(mut self) -> Plan {
        let first_is_v6 = self.addresses.first().is_some_and(SocketAddr::is_ipv6);
        let (first, second): (Vec<_>, Vec<_>) =
            self.addresses.drain(..).partition(|address| address.is_ipv6() == first_is_v6);
        let (mut first, mut second) = (first.into_iter(), second.into_iter());
        loop {
            let pair = [first.next(), second.next()];
            if pair == [None, None] {
                break;
            }
            self.addresses.extend(pair.into_iter().flatten());
        }
        self.stagger = Some(Duration::from_millis(250));
        self
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// The connection, in blocking mode.
    pub socket: Option<Socket>,
    /// Which of `attempts` it belongs to.
    pub winner: Option<usize>,
    /// Every attempt in the order it ended.
    pub attempts: Vec<Attempt>,
}

impl Report {
    /// The attempt that led to the connection.
    pub fn winning(&self) -> Option<&Attempt> {
        self.winner.and_then(|index| self.attempts.get(index))
    }
}

/// An attempt that is under way.
struct Flight {
    socket: Socket,
    began: Instant,
    attempt: Attempt,
    /// ICMP errors that did not end it.
    soft: Vec<IcmpError>,
}

impl Flight {
    fn ended(self, outcome: Outcome) -> (Option<Socket>, Attempt) {
        let attempt = Attempt { outcome, elapsed: self.began.elapsed(), ..self.attempt };
        (Some(self.socket), attempt)
    }
}

/// What is told while connecting, in the order it happens.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// An attempt is about to begin.
    Begins(SocketAddr),
    /// One has ended.
    Ended(&'a Attempt),
}

/// Connects. `observe` hears of each attempt as it ends.
pub fn connect(plan: &Plan, observe: &mut dyn FnMut(&Attempt)) -> Report {
    connect_observed(plan, &mut |event| {
        if let Event::Ended(attempt) = event {
            observe(attempt);
        }
    })
}

/// Connects. `observe` hears of each attempt as it begins and as it ends.
pub fn connect_observed(plan: &Plan, observe: &mut dyn FnMut(Event<'_>)) -> Report {
    let start = Instant::now();
    let mut report = Report::default();
    let mut flights: Vec<Flight> = Vec::new();
    let mut waiting = plan.addresses.iter();
    let mut next = waiting.next();
    let mut last_began = start;
    let end = |observe: &mut dyn FnMut(Event<'_>), report: &mut Report, socket: Option<Socket>, attempt: Attempt| {
        observe(Event::Ended(&attempt));
        if let (Outcome::Connected, None, Some(socket)) = (&attempt.outcome, report.winner, socket) {
            let _ = socket.set_nonblocking(false);
            if plan.protocol == Protocol::Tcp {
                let _ = watch_errors(&socket, attempt.address.is_ipv6(), false);
            }
            report.winner = Some(report.attempts.len());
            report.socket = Some(socket);
        }
        report.attempts.push(attempt);
    };
    loop {
        if report.winner.is_some() && !plan.all {
            for flight in flights.drain(..) {
                let (_, attempt) = flight.ended(Outcome::Abandoned);
                end(observe, &mut report, None, attempt);
            }
            return report;
        }
        let due = flights.is_empty() || plan.stagger.is_some_and(|delay| last_began.elapsed() >= delay);
        if let (Some(address), true) = (next, due) {
            last_began = Instant::now();
            observe(Event::Begins(*address));
            match begin(plan, *address, start) {
                Ok((flight, None)) => flights.push(flight),
                Ok((flight, Some(outcome))) => {
                    let (socket, attempt) = flight.ended(outcome);
                    end(observe, &mut report, socket, attempt);
                }
                Err(attempt) => end(observe, &mut report, None, *attempt),
            }
            next = waiting.next();
        }
        if flights.is_empty() {
            if next.is_none() {
                return report;
            }
            continue;
        }
        let now = Instant::now();
        let deadlines = flights.iter().filter_map(|flight| Some(flight.began + plan.timeout?));
        let start_next = next.and(plan.stagger).map(|delay| last_began + delay);
        let wake = deadlines.chain(start_next).chain(plan.deadline).min();
        let ready = wait(&flights, wake.map(|at| at.saturating_duration_since(now)));
        let late = plan.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if late {
            next = None;
            waiting = [].iter();
        }
        let mut still = Vec::new();
        for (mut flight, ready) in flights.drain(..).zip(ready) {
            if ready == Ready::Errors {
                // Taken from the queue, or poll would not wait any more.
                flight.soft.extend(take_errors(&flight.socket));
                flight.soft.truncate(64);
            }
            let outcome = if ready == Ready::Decided {
                decided(&flight)
            } else if plan.timeout.is_some_and(|limit| flight.began.elapsed() >= limit) || late {
                // An error that the kernel did not take as final still tells more than silence.
                flight.soft.last().map_or(Outcome::TimedOut, |error| Outcome::Icmp(*error))
            } else {
                still.push(flight);
                continue;
            };
            let (socket, attempt) = flight.ended(outcome);
            end(observe, &mut report, socket, attempt);
        }
        flights = still;
    }
}

/// Starts an attempt: under way, decided at once, or failed before there was a connection to speak of.
fn begin(plan: &Plan, address: SocketAddr, start: Instant) -> Result<(Flight, Option<Outcome>), Box<Attempt>> {
    let began = Instant::now();
    let mut attempt = Attempt {
        address,
        started_after: began.saturating_duration_since(start),
        elapsed: Duration::ZERO,
        source: None,
        outcome: Outcome::TimedOut,
    };
    let kind = match plan.protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
    };
    let made = Socket::new(Domain::for_address(address), kind, None)
        .map_err(|error| ("socket", error))
        .and_then(|socket| plan.options.apply(&socket, address.is_ipv6()).map(|()| socket));
    let socket = match made {
        Ok(socket) => socket,
        Err((what, error)) => {
            attempt.outcome = Outcome::Local { what, errno: number(&error) };
            return Err(Box::new(attempt));
        }
    };
    // Without the error queue (a sandbox kernel) the error number alone must do.
    if plan.watch {
        let _ = watch_errors(&socket, address.is_ipv6(), true);
    }
    if let Err(errno) = bind(plan, &socket, address) {
        attempt.outcome = Outcome::Bind { errno };
        return Err(Box::new(attempt));
    }
    let _ = socket.set_nonblocking(true);
    let outcome = match socket.connect(&address.into()) {
        Ok(()) => Some(Outcome::Connected),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => None,
        Err(error) => Some(immediate(number(&error))),
    };
    attempt.source = socket.local_addr().ok().and_then(|local| local.as_socket()).filter(|local| local.port() != 0);
    Ok((Flight { socket, began, attempt, soft: Vec::new() }, outcome))
}

/// Takes the source and port that were asked for, if any were.
fn bind(plan: &Plan, socket: &Socket, address: SocketAddr) -> Result<(), i32> {
    let mut source = plan.sources.iter().find(|source| source.is_ipv4() == address.is_ipv4()).copied();
    if plan.local_ports.is_some() && source.is_none() {
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        source = Some(SocketAddr::new(any, 0));
    }
    let Some(mut source) = source else { return Ok(()) };
    // A fixed source port must be usable again although an earlier connection lingers.
    let _ = socket.set_reuse_address(true);
    let (first, count) = plan.local_ports.unwrap_or((source.port(), 1));
    let mut errno = libc::EADDRINUSE;
    for port in first..=first.saturating_add(count.max(1) - 1) {
        source.set_port(port);
        match socket.bind(&source.into()) {
            Ok(()) => return Ok(()),
            Err(error) => errno = number(&error),
        }
    }
    Err(errno)
}

/// connect(2) failed before a packet left.
fn immediate(errno: i32) -> Outcome {
    match errno {
        libc::ECONNREFUSED => Outcome::Reset,
        libc::ENETUNREACH | libc::EHOSTUNREACH => Outcome::NoRoute { errno },
        libc::EPERM | libc::EACCES => Outcome::NotPermitted { errno },
        libc::EADDRNOTAVAIL | libc::EADDRINUSE => Outcome::Bind { errno },
        errno => Outcome::Other { errno },
    }
}

fn number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// What poll(2) says of an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ready {
    No,
    /// Only the error queue has something.
    Errors,
    Decided,
}

/// Which sockets are decided, after at most `limit`.
fn wait(flights: &[Flight], limit: Option<Duration>) -> Vec<Ready> {
    let mut polled: Vec<PollFd<'_>> =
        flights.iter().map(|flight| PollFd::new(flight.socket.as_fd(), PollFlags::POLLOUT)).collect();
    // Rounded up, or the last millisecond would be spent spinning.
    let timeout = limit.map_or(PollTimeout::NONE, |limit| {
        let millis = limit.as_micros().div_ceil(1000);
        PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
    });
    if poll(&mut polled, timeout).is_err() {
        return vec![Ready::No; flights.len()];
    }
    let ready = |fd: &PollFd<'_>| match fd.revents().unwrap_or(PollFlags::empty()) {
        flags if flags.is_empty() => Ready::No,
        flags if flags.intersects(PollFlags::POLLOUT | PollFlags::POLLHUP | PollFlags::POLLNVAL) => Ready::Decided,
        _ => Ready::Errors,
    };
    polled.iter().map(ready).collect()
}

/// poll(2) says that the attempt has ended one way or the other.
fn decided(flight: &Flight) -> Outcome {
    let errno = match flight.socket.take_error() {
        Ok(None) => return Outcome::Connected,
        Ok(Some(error)) | Err(error) => number(&error),
    };
    let address = flight.attempt.address.ip();
    let source = flight.attempt.source.map(|source| source.ip());
    explained(&flight.socket, errno, address, source)
}

/// An ICMP "host unreachable" that we sent ourselves means that the next hop did not answer.
pub(crate) fn of_error(error: IcmpError, target: IpAddr, source: Option<IpAddr>) -> Outcome {
    match error.offender {
        Some(own) if error.offence() == Offence::Host && Some(own) == source && own != target => {
            Outcome::NoNeighbor { own }
        }
        _ => Outcome::Icmp(error),
    }
}

/// Turns an error number into what the error queue says of it.
pub(crate) fn explained<F: AsFd>(socket: &F, errno: i32, target: IpAddr, source: Option<IpAddr>) -> Outcome {
    // The queue may also hold errors that did not end the attempt; the one that did has its number.
    let errors = take_errors(socket);
    let cause = errors.iter().rev().find(|error| error.errno == errno).or(errors.last());
    if let Some(error) = cause {
        return of_error(*error, target, source);
    }
    match errno {
        libc::ECONNREFUSED => Outcome::Reset,
        libc::ETIMEDOUT => Outcome::TimedOut,
        // A reset to the SYN is ECONNREFUSED: this one came behind a finished handshake.
        libc::ECONNRESET => Outcome::ResetAfterAccept,
        libc::EPERM | libc::EACCES => Outcome::NotPermitted { errno },
        libc::ENETUNREACH => Outcome::NoRoute { errno },
        errno => Outcome::Other { errno },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    fn plan(addresses: Vec<SocketAddr>) -> Plan {
        Plan::new(addresses, Protocol::Tcp, Some(Duration::from_secs(20)))
    }

    fn closed() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[test]
    fn the_first_that_answers_wins_and_all_are_recorded() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let mut seen = 0;
        let report = connect(&plan(vec![closed(), open, closed()]), &mut |_| seen += 1);
        let kinds: Vec<&Outcome> = report.attempts.iter().map(|attempt| &attempt.outcome).collect();
        assert_eq!(kinds, [&Outcome::Reset, &Outcome::Connected]);
        assert_eq!((report.winner, seen), (Some(1), 2));
        let source = report.winning().unwrap().source.unwrap();
        assert_eq!(report.socket.unwrap().local_addr().unwrap().as_socket(), Some(source));
        let all = Plan { all: true, ..plan(vec![open, closed(), open]) };
        let report = connect(&all, &mut |_| {});
        assert_eq!((report.winner, report.attempts.len()), (Some(0), 3));
    }

    #[test]
    fn nothing_to_try_and_nothing_that_answers() {
        assert!(connect(&plan(Vec::new()), &mut |_| {}).socket.is_none());
        let report = connect(&plan(vec![closed()]).happy_eyeballs(), &mut |_| {});
        assert!(report.socket.is_none());
        assert_eq!(report.attempts[0].outcome, Outcome::Reset);
    }

    #[test]
    fn families_take_turns() {
        let list = ["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1"].map(|text| text.parse().unwrap());
        let order: Vec<String> =
            plan(list.to_vec()).happy_eyeballs().addresses.iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"]);
    }

    #[test]
    fn a_source_that_is_not_ours_and_one_that_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let foreign = Plan { sources: vec!["192.0.2.1:0".parse().unwrap()], ..plan(vec![open]) };
        let report = connect(&foreign, &mut |_| {});
        assert_eq!(report.attempts[0].outcome, Outcome::Bind { errno: libc::EADDRNOTAVAIL });
        let own = Plan { sources: vec!["127.0.0.9:0".parse().unwrap()], ..plan(vec![open]) };
        let report = connect(&own, &mut |_| {});
        assert_eq!(report.attempts[0].source.unwrap().ip().to_string(), "127.0.0.9");
    }

    #[test]
    fn beginnings_are_told_and_a_deadline_ends_all() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let mut told = Vec::new();
        connect_observed(&plan(vec![closed(), open]), &mut |event| match event {
            Event::Begins(_) => told.push("begins"),
            Event::Ended(_) => told.push("ended"),
        });
        assert_eq!(told, ["begins", "ended", "begins", "ended"]);
        // A port of ours in a range of which the first is taken.
        let ports = Plan { local_ports: Some((open.port(), 20)), ..plan(vec![open]) };
        let report = connect(&ports, &mut |_| {});
        assert!(report.winning().is_some_and(|won| won.source.is_some()), "{:?}", report.attempts);
    }

    #[test]
    fn udp_connects_without_a_packet() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let report = connect(&Plan::new(vec![address], Protocol::Udp, None), &mut |_| {});
        assert_eq!(report.attempts[0].outcome, Outcome::Connected);
    }
}
