//! Many ports of many hosts at once, without any capability: connections that do not block and UDP sockets, an epoll(7)
//! over all of them, and each socket's error queue, which tells a firewall's ICMP from a host's own refusal.
//!
//! Tasks are drawn as there is room, so memory does not grow with their number. Only silence is asked again. A
//! connection is reset as soon as it stands, so nothing stays in TIME-WAIT.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Socket, Type};

use crate::Protocol;
use crate::echo::{Found, take_entry};
use crate::icmp::{IcmpError, Offence, watch_errors};
use crate::udp::{Ask, Service};

/// What a port is taken to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It took the connection, or answered.
    Open,
    /// The host itself refused.
    Closed,
    /// Something refused on the host's behalf, or nothing came back.
    Filtered,
    /// UDP: nothing came back, which proves nothing.
    OpenFiltered,
}

impl State {
    /// As nmap calls it.
    pub fn name(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Closed => "closed",
            State::Filtered => "filtered",
            State::OpenFiltered => "open|filtered",
        }
    }
}

/// What was found out about one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// See there.
    pub state: State,
    /// Why, in nmap's words.
    pub reason: &'static str,
    /// The error that answered, with who sent it.
    pub error: Option<IcmpError>,
    /// From the request to the answer, where one came.
    pub rtt: Option<Duration>,
}

/// One port to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Address and port.
    pub to: SocketAddr,
    /// The transport.
    pub protocol: Protocol,
}

/// How fast, how long, from where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Sockets at once.
    pub parallel: usize,
    /// The wait for an answer before any round trip is known, and its bounds afterwards.
    pub initial: Duration,
    /// See above.
    pub least: Duration,
    /// See above.
    pub most: Duration,
    /// How often silence is asked again.
    pub retries: u32,
    /// Requests a second.
    pub rate: Option<f64>,
    /// The address to send from.
    pub source: Option<SocketAddr>,
    /// The interface to send through.
    pub interface: Option<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            parallel: 512,
            initial: Duration::from_secs(1),
            least: Duration::from_millis(100),
            most: Duration::from_secs(10),
            retries: 2,
            rate: None,
            source: None,
            interface: None,
        }
    }
}

/// Round trips of one host (RFC 6298, section 2).
#[derive(Clone, Copy, Debug)]
struct Trips {
    smooth: Duration,
    variation: Duration,
}

struct Flight {
    socket: Socket,
    task: Task,
    sent: Instant,
    tries: u32,
    generation: u64,
}

/// Asks every task; `report` hears each verdict once, in the order they come. `stop` is asked now and then.
///
/// # Errors
/// When epoll(7) cannot be used at all.
pub fn scan(
    tasks: &mut dyn Iterator<Item = Task>,
    settings: &Settings,
    stop: &mut dyn FnMut() -> bool,
    report: &mut dyn FnMut(Task, Verdict),
) -> io::Result<()> {
    Scan {
        settings,
        epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
        flights: Vec::new(),
        free: Vec::new(),
        deadlines: BinaryHeap::new(),
        again: Vec::new(),
        trips: BTreeMap::new(),
        in_flight: 0,
        limit: settings.parallel.max(1),
        generation: 0,
        next_send: Instant::now(),
        report,
    }
    .run(tasks, stop)
}

struct Scan<'a> {
    settings: &'a Settings,
    epoll: Epoll,
    flights: Vec<Option<Flight>>,
    free: Vec<usize>,
    deadlines: BinaryHeap<Reverse<(Instant, usize, u64)>>,
    again: Vec<(Task, u32)>,
    trips: BTreeMap<IpAddr, Trips>,
    in_flight: usize,
    limit: usize,
    generation: u64,
    next_send: Instant,
    report: &'a mut dyn FnMut(Task, Verdict),
}

impl Scan<'_> {
    fn run(&mut self, tasks: &mut dyn Iterator<Item = Task>, stop: &mut dyn FnMut() -> bool) -> io::Result<()> {
        let mut events = vec![EpollEvent::empty(); 512];
        let mut drained = false;
        loop {
            if stop() {
                return Ok(());
            }
            let mut sent = 0;
            while self.in_flight < self.limit && sent < 256 && Instant::now() >= self.next_send {
                let next = match self.again.pop() {
                    Some(next) => Some(next),
                    None => tasks.next().map(|task| (task, 0)),
                };
                let Some((task, tries)) = next else {
                    drained = true;
                    break;
                };
                self.start(task, tries);
                sent += 1;
            }
            if self.in_flight == 0 && drained && self.again.is_empty() {
                return Ok(());
            }
            drained = false;
            let now = Instant::now();
            let mut wait = self
                .deadlines
                .peek()
                .map_or(Duration::from_millis(200), |Reverse((at, ..))| at.saturating_duration_since(now));
            if self.in_flight < self.limit {
                // There may be more to send: not before its time, and at once where there is none.
                let due = self.next_send.saturating_duration_since(now);
                wait = if sent == 256 { Duration::ZERO } else { wait.min(due.max(Duration::from_millis(1))) };
            }
            let wait = wait.min(Duration::from_millis(200));
            let millis = u16::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(200);
            let asked = Instant::now();
            let count = match self.epoll.wait(&mut events, EpollTimeout::from(millis)) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(errno) => return Err(errno.into()),
            };
            for event in events.get(..count).unwrap_or_default() {
                self.ready(usize::try_from(event.data()).unwrap_or(usize::MAX));
            }
            // Only what was silent when the kernel was asked: on a busy machine answers may wait for us, not we for them.
            if count < events.len() {
                self.expire(asked);
            }
        }
    }

    fn patience(&self, host: IpAddr) -> Duration {
        self.trips.get(&host).map_or(self.settings.initial, |trips| {
            (trips.smooth + trips.variation * 4).clamp(self.settings.least, self.settings.most)
        })
    }

    fn learn(&mut self, host: IpAddr, rtt: Duration) {
        let trips = self.trips.entry(host).or_insert(Trips { smooth: rtt, variation: rtt / 2 });
        let distance = trips.smooth.abs_diff(rtt);
        trips.variation = trips.variation * 3 / 4 + distance / 4;
        trips.smooth = trips.smooth * 7 / 8 + rtt / 8;
    }

    fn open(&self, task: Task) -> io::Result<Socket> {
        let v6 = task.to.is_ipv6();
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let tcp = task.protocol == Protocol::Tcp;
        let kind = if tcp { Type::STREAM } else { Type::DGRAM };
        let socket = Socket::new(domain, kind.nonblocking().cloexec(), None)?;
        watch_errors(&socket, v6, true)?;
        if tcp {
            socket.set_linger(Some(Duration::ZERO))?;
        }
        if let Some(interface) = &self.settings.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        if let Some(source) = self.settings.source {
            socket.set_reuse_address(true)?;
            socket.bind(&source.into())?;
        }
        Ok(socket)
    }

    fn start(&mut self, task: Task, tries: u32) {
        if let Some(rate) = self.settings.rate.filter(|rate| *rate > 0.0) {
            let now = Instant::now();
            self.next_send = self.next_send.max(now) + Duration::from_secs_f64(1.0 / rate);
        }
        let socket = match self.open(task) {
            Ok(socket) => socket,
            Err(error) => {
                let full = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS));
                if full && self.in_flight > 0 {
                    // As many as there are now is what this machine allows.
                    self.limit = self.in_flight;
                    self.again.push((task, tries));
                } else {
                    (self.report)(task, local(error.raw_os_error().unwrap_or(0)));
                }
                return;
            }
        };
        let sent = Instant::now();
        let connected = socket.connect(&task.to.into());
        let outcome = match (task.protocol, connected) {
            (Protocol::Udp, Ok(())) => {
                let payload = payload(task.to.port());
                match socket.send(&payload) {
                    Ok(_) => None,
                    Err(error) => Some(error.raw_os_error().unwrap_or(0)),
                }
            }
            (Protocol::Tcp, Ok(())) => Some(0),
            (_, Err(error)) => match error.raw_os_error() {
                Some(libc::EINPROGRESS) => None,
                errno => Some(errno.unwrap_or(0)),
            },
        };
        if let Some(errno) = outcome {
            let verdict = conclude(&socket, task, errno, Some(sent.elapsed()));
            return self.told(task, verdict);
        }
        self.generation += 1;
        let generation = self.generation;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.flights.push(None);
            self.flights.len() - 1
        });
        let wanted = if task.protocol == Protocol::Tcp { EpollFlags::EPOLLOUT } else { EpollFlags::EPOLLIN };
        let event = EpollEvent::new(wanted, u64::try_from(slot).unwrap_or(u64::MAX));
        if let Err(errno) = self.epoll.add(socket.as_fd(), event) {
            self.free.push(slot);
            (self.report)(task, local(errno as i32));
            return;
        }
        self.deadlines.push(Reverse((sent + self.patience(task.to.ip()), slot, generation)));
        if let Some(place) = self.flights.get_mut(slot) {
            *place = Some(Flight { socket, task, sent, tries, generation });
            self.in_flight += 1;
        }
    }

    fn told(&mut self, task: Task, verdict: Verdict) {
        if let Some(rtt) = verdict.rtt {
            self.learn(task.to.ip(), rtt);
        }
        (self.report)(task, verdict);
    }

    fn take(&mut self, slot: usize) -> Option<Flight> {
        let flight = self.flights.get_mut(slot)?.take()?;
        self.free.push(slot);
        self.in_flight -= 1;
        Some(flight)
    }

    fn ready(&mut self, slot: usize) {
        let Some(flight) = self.take(slot) else { return };
        let rtt = flight.sent.elapsed();
        let errno = match flight.task.protocol {
            Protocol::Tcp => {
                flight.socket.take_error().ok().flatten().and_then(|error| error.raw_os_error()).unwrap_or(0)
            }
            Protocol::Udp => {
                let mut buffer = [std::mem::MaybeUninit::uninit(); 64];
                match flight.socket.recv(&mut buffer) {
                    Ok(_) => 0,
                    Err(error) => error.raw_os_error().unwrap_or(0),
                }
            }
        };
        let verdict = conclude(&flight.socket, flight.task, errno, Some(rtt));
        self.told(flight.task, verdict);
    }

    fn expire(&mut self, now: Instant) {
        while let Some(Reverse((at, slot, generation))) = self.deadlines.peek().copied() {
            if at > now {
                return;
            }
            self.deadlines.pop();
            let current = self.flights.get(slot).and_then(Option::as_ref).map(|flight| flight.generation);
            if current != Some(generation) {
                continue;
            }
            let Some(flight) = self.take(slot) else { continue };
            if flight.tries < self.settings.retries {
                self.again.push((flight.task, flight.tries + 1));
                continue;
            }
            let state = if flight.task.protocol == Protocol::Tcp { State::Filtered } else { State::OpenFiltered };
            (self.report)(flight.task, Verdict { state, reason: "no-response", error: None, rtt: None });
        }
    }
}

/// What is sent to a UDP port: a question of its own protocol where we know one, for silence is the rule otherwise.
fn payload(port: u16) -> Vec<u8> {
    if let Some(service) = Service::of_port(port) {
        return Ask::new(service).payload;
    }
    match port {
        // A node status request for any name (RFC 1002, section 4.2.17).
        137 => {
            let mut query = vec![0x13, 0x37, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 32, b'C', b'K'];
            query.extend_from_slice(&[b'A'; 30]);
            query.extend_from_slice(&[0, 0, 0x21, 0, 1]);
            query
        }
        // memcached: the frame header of its UDP protocol, and `version`.
        11_211 => b"\x00\x01\x00\x00\x00\x01\x00\x00version\r\n".to_vec(),
        // portmapper's null procedure (RFC 1833, RFC 5531).
        111 => {
            let words = [0x1337_0001u32, 0, 2, 100_000, 2, 0, 0, 0, 0, 0];
            words.iter().flat_map(|word| word.to_be_bytes()).collect()
        }
        _ => Vec::new(),
    }
}

fn local(errno: i32) -> Verdict {
    let reason = match errno {
        libc::EPERM | libc::EACCES => "perm-denied",
        libc::ENETUNREACH => "net-unreach",
        libc::EHOSTUNREACH => "host-unreach",
        libc::EADDRNOTAVAIL => "source-unavailable",
        _ => "local-error",
    };
    Verdict { state: State::Filtered, reason, error: None, rtt: None }
}

/// What an error number, 0 for none, and the error queue together say.
fn conclude(socket: &Socket, task: Task, errno: i32, rtt: Option<Duration>) -> Verdict {
    let verdict = |state, reason, error| Verdict { state, reason, error, rtt };
    let mut payload = [0u8; 64];
    while let Some(entry) = take_entry(socket, &mut payload) {
        if let Found::Icmp(error) = entry.found {
            return of_icmp(&error, task, rtt);
        }
    }
    if task.protocol == Protocol::Tcp && errno == 0 {
        // On one machine the port that the kernel chose may be the one asked for: then we met ourselves, and nobody
        // else can be there.
        let own = socket.local_addr().ok().and_then(|own| own.as_socket());
        if own.is_some_and(|own| (own.ip(), own.port()) == (task.to.ip(), task.to.port())) {
            return verdict(State::Closed, "conn-refused", None);
        }
    }
    match (task.protocol, errno) {
        // A reset that came after the handshake: somebody took the connection.
        (Protocol::Tcp, 0 | libc::ECONNRESET | libc::EPIPE) => verdict(State::Open, "syn-ack", None),
        (Protocol::Udp, 0) => verdict(State::Open, "udp-response", None),
        (Protocol::Tcp, libc::ECONNREFUSED) => verdict(State::Closed, "conn-refused", None),
        (Protocol::Udp, libc::ECONNREFUSED) => verdict(State::Closed, "port-unreach", None),
        (Protocol::Tcp, libc::ETIMEDOUT) => {
            Verdict { state: State::Filtered, reason: "no-response", error: None, rtt: None }
        }
        (_, errno) => local(errno),
    }
}

/// The state that an ICMP error means, with its reason.
fn of_icmp(error: &IcmpError, task: Task, rtt: Option<Duration>) -> Verdict {
    let own = error.offender == Some(task.to.ip());
    let state = match (task.protocol, error.offence()) {
        (Protocol::Udp, Offence::Port) if own => State::Closed,
        _ => State::Filtered,
    };
    let reason = match (error.v6, error.kind, error.code) {
        (false, 3, 0 | 6 | 11) => "net-unreach",
        (false, 3, 1 | 7 | 8 | 12) => "host-unreach",
        (false, 3, 2) => "proto-unreach",
        (false, 3, 3) | (true, 1, 4) => "port-unreach",
        (false, 3, 9) => "net-prohibited",
        (false, 3, 10) => "host-prohibited",
        (false, 3, _) | (true, 1, 1) => "admin-prohibited",
        (true, 1, 0) => "no-route",
        (true, 1, 2) => "beyond-scope",
        (true, 1, 3) => "addr-unreach",
        (true, 1, 5) => "failed-policy",
        (true, 1, 6) => "reject-route",
        (false, 11, _) | (true, 3, _) => "time-exceeded",
        _ => "icmp-error",
    };
    Verdict { state, reason, error: Some(*error), rtt }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    fn all(tasks: Vec<Task>, settings: &Settings) -> Vec<(Task, Verdict)> {
        let mut found = Vec::new();
        scan(&mut tasks.into_iter(), settings, &mut || false, &mut |task, verdict| found.push((task, verdict)))
            .unwrap();
        found.sort_by_key(|(task, _)| task.to);
        found
    }

    #[test]
    fn open_and_closed_on_loopback() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        // A port that was just given back; nobody takes it in between but by bad luck.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tasks = vec![
            Task { to: open, protocol: Protocol::Tcp },
            Task { to: closed, protocol: Protocol::Tcp },
            Task { to: silent.local_addr().unwrap(), protocol: Protocol::Udp },
        ];
        let settings = Settings {
            initial: Duration::from_millis(50),
            least: Duration::from_millis(10),
            retries: 1,
            ..Settings::default()
        };
        for (task, verdict) in all(tasks, &settings) {
            let expected = match task {
                task if task.to == open => (State::Open, "syn-ack"),
                task if task.to == closed => (State::Closed, "conn-refused"),
                _ => (State::OpenFiltered, "no-response"),
            };
            assert_eq!((verdict.state, verdict.reason), expected, "{task:?}");
        }
    }

    #[test]
    fn every_task_is_answered_once_with_few_sockets() {
        let tasks: Vec<Task> = (1..400u16)
            .map(|port| Task { to: SocketAddr::new(IpAddr::from([127, 0, 0, 9]), port), protocol: Protocol::Tcp })
            .collect();
        let found = all(tasks.clone(), &Settings { parallel: 3, ..Settings::default() });
        assert_eq!(found.len(), tasks.len());
        assert!(found.windows(2).all(|pair| pair[0].0 != pair[1].0));
    }

    #[test]
    fn errors_by_who_sends_them() {
        let task = Task { to: "10.0.0.1:80".parse().unwrap(), protocol: Protocol::Udp };
        let error = |kind, code, from: &str| IcmpError {
            v6: false,
            kind,
            code,
            mtu: 0,
            offender: Some(from.parse().unwrap()),
            errno: 0,
        };
        let closed = of_icmp(&error(3, 3, "10.0.0.1"), task, None);
        assert_eq!((closed.state, closed.reason), (State::Closed, "port-unreach"));
        assert_eq!(of_icmp(&error(3, 3, "10.0.0.2"), task, None).state, State::Filtered);
        let tcp = Task { protocol: Protocol::Tcp, ..task };
        assert_eq!(of_icmp(&error(3, 3, "10.0.0.1"), tcp, None).state, State::Filtered);
        assert_eq!(of_icmp(&error(3, 13, "10.0.0.2"), tcp, None).reason, "admin-prohibited");
    }
}
