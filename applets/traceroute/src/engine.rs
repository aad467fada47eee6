//! Sending probes with growing TTLs and collecting what comes back, without any capability: each UDP or TCP probe has a
//! socket of its own, whose error queue names the router; ICMP echoes share one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netkit_probe::echo::{Echo, Entry, Found, HEADER, take_entry};
use netkit_probe::errno::reason;
use netkit_probe::{IcmpError, MtuDiscovery, watch_errors};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use nix::{libc, setsockopt_impl, sockopt_impl};
use socket2::{Domain, Socket, Type};

use crate::args::{Method, Opts};

sockopt_impl!(
    /// socket(7).
    DontRoute, SetOnly, libc::SOL_SOCKET, libc::SO_DONTROUTE, bool);
sockopt_impl!(
    /// socket(7).
    Debug, SetOnly, libc::SOL_SOCKET, libc::SO_DEBUG, bool);

/// The header of IP and of UDP or ICMP, in octets.
pub(crate) fn overhead(v6: bool) -> usize {
    if v6 { 48 } else { 28 }
}

/// How often one echo is tried while the kernel tells of earlier ones.
const MOST_SENDS: u32 = 64;

/// One probe and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    pub(crate) sent: Option<Instant>,
    pub(crate) done: bool,
    pub(crate) from: Option<IpAddr>,
    pub(crate) rtt: Option<Duration>,
    /// What is written after the time: `!H`, `F=1400`.
    pub(crate) mark: String,
    /// The ICMP error, for JSON.
    pub(crate) error: Option<IcmpError>,
    /// The MTU that was learned here.
    pub(crate) mtu: Option<u32>,
    /// TTL with which the answer came.
    pub(crate) ttl: Option<u8>,
    /// The way ends here.
    pub(crate) last: bool,
    socket: Option<Socket>,
    seq: u16,
}

/// A system call that failed, as the peer says it.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

fn failed(what: &'static str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure(format!("{what}: {}", reason(&error)))
}

/// A trace under way.
pub(crate) struct Trace<'a> {
    opts: &'a Opts,
    to: SocketAddr,
    data: Vec<u8>,
    pub(crate) probes: Vec<Probe>,
    echo: Option<Echo>,
    port: u16,
    seq: u16,
    learned: Option<u32>,
}

impl<'a> Trace<'a> {
    /// `length` counts the headers.
    pub(crate) fn new(opts: &'a Opts, to: SocketAddr, length: usize) -> Trace<'a> {
        let size = length.saturating_sub(overhead(to.is_ipv6()));
        let count = usize::try_from(opts.most).unwrap_or(255) * opts.queries;
        let port = opts.port.unwrap_or(match opts.method {
            Method::Udp => 33_434,
            Method::UdpPort => 53,
            Method::Icmp => 1,
            Method::Tcp => 80,
        });
        Trace {
            opts,
            to,
            data: (0..size).map(|at| 0x40 | u8::try_from(at & 0x3f).unwrap_or(0)).collect(),
            probes: std::iter::repeat_with(Probe::default).take(count).collect(),
            echo: None,
            port,
            seq: port,
            learned: None,
        }
    }

    /// What fails before the first line: the one socket of ICMP, or that there is no way at all for TCP.
    pub(crate) fn prepare(&mut self) -> Result<(), Failure> {
        match self.opts.method {
            Method::Icmp => self.echo = Some(self.open_echo()?),
            Method::Tcp => {
                let domain = if self.v6() { Domain::IPV6 } else { Domain::IPV4 };
                let socket = Socket::new(domain, Type::DGRAM, None).map_err(failed("socket"))?;
                self.tune(&socket)?;
                let mut to = self.to;
                to.set_port(self.port);
                socket.connect(&to.into()).map_err(failed("connect"))?;
            }
            Method::Udp | Method::UdpPort => {}
        }
        Ok(())
    }

    fn v6(&self) -> bool {
        self.to.is_ipv6()
    }

    /// Runs to the end; `show` is handed each probe in its order once it is decided.
    pub(crate) fn run<E: From<Failure>>(
        &mut self,
        mut show: impl FnMut(usize, &[Probe]) -> Result<(), E>,
    ) -> Result<(), E> {
        let queries = self.opts.queries;
        let mut start = usize::try_from(self.opts.first - 1).unwrap_or(0) * queries;
        let mut end = self.probes.len();
        let mut last_sent: Option<Instant> = None;
        let pause = Duration::from_secs_f64(self.opts.pause);
        while start < end {
            let mut in_flight = 0;
            let mut next: Option<Instant> = None;
            let mut at = start;
            while at < end {
                let now = Instant::now();
                if at == start
                    && let Some(sent) = self.probe(at).filter(|probe| !probe.done).and_then(|probe| probe.sent)
                {
                    let expires = sent + self.patience(at);
                    if expires > now {
                        next = Some(expires);
                    } else {
                        self.expire(at);
                    }
                }
                let (done, last, sent) =
                    self.probe(at).map_or((true, false, true), |probe| (probe.done, probe.last, probe.sent.is_some()));
                if done {
                    if at == start {
                        show(at, &self.probes)?;
                        start += 1;
                    }
                    if last {
                        end = end.min((at / queries + 1) * queries);
                    }
                    at += 1;
                    continue;
                }
                if !sent {
                    if let Some(due) = last_sent.map(|last| last + pause)
                        && due > now
                    {
                        next = Some(next.map_or(due, |next| next.min(due)));
                        break;
                    }
                    let ttl = u32::try_from(at / queries + 1).unwrap_or(255);
                    self.send(at, ttl)?;
                    last_sent = Some(Instant::now());
                    if self.probe(at).is_some_and(|probe| probe.done) {
                        continue;
                    }
                    // The first one's time to expire is known from here on.
                    if at == start {
                        continue;
                    }
                }
                in_flight += 1;
                if in_flight >= self.opts.at_once {
                    break;
                }
                at += 1;
            }
            if start >= end {
                break;
            }
            if let Some(next) = next {
                self.wait(next.saturating_duration_since(Instant::now()))?;
            }
        }
        Ok(())
    }

    fn probe(&self, at: usize) -> Option<&Probe> {
        self.probes.get(at)
    }

    fn expire(&mut self, at: usize) {
        if let Some(probe) = self.probes.get_mut(at) {
            probe.done = true;
            probe.socket = None;
        }
    }

    /// How long this probe is waited for: less where its hop or a later one has shown how fast answers come.
    fn patience(&self, at: usize) -> Duration {
        let [most, here, near] = self.opts.wait;
        let queries = self.opts.queries;
        let rtt = |probe: &Probe| probe.rtt.map(|rtt| rtt.as_secs_f64());
        let mut seconds = most;
        if here > 0.0 {
            let first = at / queries * queries;
            let hop = self.probes.get(first..first + queries).unwrap_or_default();
            if let Some(slowest) = hop.iter().filter_map(rtt).reduce(f64::max) {
                seconds = ((slowest + 0.001) * here).min(most);
                return Duration::from_secs_f64(seconds);
            }
        }
        if near > 0.0 {
            let later = self.probes.get(at + 1..).unwrap_or_default();
            if let Some(found) = later.iter().find_map(rtt) {
                seconds = ((found + 0.001) * near).min(most);
            }
        }
        Duration::from_secs_f64(seconds)
    }

    fn tune(&self, socket: &Socket) -> Result<(), Failure> {
        let opts = self.opts;
        if opts.debug {
            setsockopt(socket, Debug, &true).map_err(io::Error::from).map_err(failed("setsockopt SO_DEBUG"))?;
        }
        if let Some(device) = &opts.device {
            socket.bind_device(Some(device.as_bytes())).map_err(failed("setsockopt SO_BINDTODEVICE"))?;
        }
        if opts.dont_route {
            setsockopt(socket, DontRoute, &true).map_err(io::Error::from).map_err(failed("setsockopt SO_DONTROUTE"))?;
        }
        if let Some(mark) = opts.mark {
            socket.set_mark(mark).map_err(failed("setsockopt SO_MARK"))?;
        }
        if let Some(tos) = opts.tos.map(u32::from) {
            let set = if self.v6() { socket.set_tclass_v6(tos) } else { socket.set_tos_v4(tos) };
            set.map_err(failed("setsockopt IP_TOS"))?;
        }
        let discovery = if opts.dont_fragment { MtuDiscovery::Probe } else { MtuDiscovery::Dont };
        discovery.apply(socket, self.v6()).map_err(failed("setsockopt IP_MTU_DISCOVER"))?;
        if opts.source.is_some() || opts.source_port.is_some() {
            let any = if self.v6() { IpAddr::from([0u16; 8]) } else { IpAddr::from([0u8; 4]) };
            let local = SocketAddr::new(opts.source.unwrap_or(any), opts.source_port.unwrap_or(0));
            if opts.source_port.is_some() {
                let _ = socket.set_reuse_address(true);
            }
            socket.bind(&local.into()).map_err(failed("bind"))?;
        }
        watch_errors(socket, self.v6(), true).map_err(failed("setsockopt IP_RECVERR"))?;
        let ttl = if self.v6() {
            setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)
        } else {
            setsockopt(socket, sockopt::Ipv4RecvTtl, &true)
        };
        ttl.map_err(io::Error::from).map_err(failed("setsockopt IP_RECVTTL"))
    }

    fn open_echo(&self) -> Result<Echo, Failure> {
        let echo = Echo::open(self.v6(), None).map_err(failed("socket"))?;
        self.tune(echo.socket())?;
        echo.socket().connect(&self.to.into()).map_err(failed("connect"))?;
        Ok(echo)
    }

    fn set_ttl(&self, socket: &Socket, ttl: u32) -> Result<(), Failure> {
        let set = if self.v6() { socket.set_unicast_hops_v6(ttl) } else { socket.set_ttl_v4(ttl) };
        set.map_err(failed("setsockopt IP_TTL"))
    }

    fn send(&mut self, at: usize, ttl: u32) -> Result<(), Failure> {
        if self.opts.method == Method::Icmp {
            return self.send_echo(at, ttl);
        }
        let mut to = self.to;
        to.set_port(self.port);
        if self.opts.method == Method::Udp {
            self.port = self.port.wrapping_add(1).max(1);
        }
        let tcp = self.opts.method == Method::Tcp;
        let domain = if self.v6() { Domain::IPV6 } else { Domain::IPV4 };
        let kind = if tcp { Type::STREAM } else { Type::DGRAM };
        loop {
            let socket = Socket::new(domain, kind, None).map_err(failed("socket"))?;
            self.tune(&socket)?;
            self.set_ttl(&socket, ttl)?;
            socket.set_nonblocking(true).map_err(failed("fcntl"))?;
            let began = Instant::now();
            let connected = socket.connect(&to.into());
            if let Some(probe) = self.probes.get_mut(at) {
                probe.sent = Some(began);
            }
            if tcp {
                return self.connecting(at, socket, connected);
            }
            connected.map_err(failed("connect"))?;
            let sent = Instant::now();
            let result = socket.send(&self.data);
            if let Some(probe) = self.probes.get_mut(at) {
                probe.sent = Some(sent);
                probe.socket = Some(socket);
            }
            let Err(error) = result else { return Ok(()) };
            if !self.refused(at, &error)? {
                return Ok(());
            }
        }
    }

    /// What a connect that does not block came to.
    fn connecting(&mut self, at: usize, socket: Socket, connected: io::Result<()>) -> Result<(), Failure> {
        match connected {
            Ok(()) => {
                self.reached(at, self.to.ip());
                reset(&socket);
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::EINPROGRESS) => {
                    if let Some(probe) = self.probes.get_mut(at) {
                        probe.socket = Some(socket);
                    }
                }
                Some(libc::ECONNREFUSED) => self.reached(at, self.to.ip()),
                _ => return Err(failed("connect")(error)),
            },
        }
        Ok(())
    }

    fn send_echo(&mut self, at: usize, ttl: u32) -> Result<(), Failure> {
        let seq = self.seq;
        self.seq = self.seq.wrapping_add(1);
        let mut outcome = Ok(());
        for _ in 0..MOST_SENDS {
            let Some(echo) = self.echo.take() else { return Ok(()) };
            let set = self.set_ttl(echo.socket(), ttl);
            let began = Instant::now();
            let result = echo.send(self.to, seq, &self.data);
            let mut payload = [0u8; 256];
            let entry = if result.is_err() { take_entry(&echo, &mut payload) } else { None };
            self.echo = Some(echo);
            set?;
            if let Some(probe) = self.probes.get_mut(at) {
                (probe.sent, probe.seq) = (Some(began), seq);
            }
            let Err(error) = result else { return Ok(()) };
            match entry {
                Some(Entry { found: Found::Local { mtu, .. }, .. }) if mtu > 0 => {
                    let smaller = self.opts.mtu && self.shrink(mtu);
                    if !smaller {
                        self.too_big(at, mtu);
                        return Ok(());
                    }
                }
                // An error that an earlier probe met shows at the next call, and is not about this one.
                Some(entry) => {
                    self.echo_entry(&entry, &payload);
                }
                None if self.beyond_any(&error) => {
                    self.shrink(65_535);
                }
                None => {}
            }
            outcome = Err(failed("send")(error));
        }
        outcome
    }

    /// Whether the packet is larger than any can be, of which the kernel says no more than that.
    fn beyond_any(&self, error: &io::Error) -> bool {
        let most = 65_535 - overhead(self.v6());
        self.opts.mtu && error.raw_os_error() == Some(libc::EMSGSIZE) && self.data.len() > most
    }

    fn too_big(&mut self, at: usize, mtu: u32) {
        if let Some(probe) = self.probes.get_mut(at) {
            finish(probe);
            probe.mark = format!("!F-{mtu}");
            (probe.mtu, probe.last) = (Some(mtu), true);
        }
    }

    /// The own kernel did not send. True when the packet is now smaller and should go out again.
    fn refused(&mut self, at: usize, error: &io::Error) -> Result<bool, Failure> {
        if error.raw_os_error() != Some(libc::EMSGSIZE) {
            // What an earlier packet met is told by the next call too; the queue has it.
            let pending = self.probes.get(at).and_then(|probe| probe.socket.as_ref()).is_some_and(|socket| {
                let mut none = [PollFd::new(socket.as_fd(), PollFlags::POLLERR)];
                matches!(poll(&mut none, PollTimeout::ZERO), Ok(1))
            });
            return if pending { Ok(false) } else { Err(Failure(format!("send: {}", reason(error)))) };
        }
        let mut payload = [0u8; 64];
        let socket = self.probes.get(at).and_then(|probe| probe.socket.as_ref());
        let entry = socket.and_then(|socket| take_entry(socket, &mut payload));
        let mtu = match entry.map(|entry| entry.found) {
            Some(Found::Local { mtu, .. }) if mtu > 0 => mtu,
            _ if self.beyond_any(error) => 65_535,
            _ => return Err(Failure(format!("send: {}", reason(error)))),
        };
        if self.opts.mtu {
            return Ok(self.shrink(mtu));
        }
        self.too_big(at, mtu);
        Ok(false)
    }

    /// Makes packets fit; false where they already do.
    fn shrink(&mut self, mtu: u32) -> bool {
        let size = usize::try_from(mtu).unwrap_or(0).saturating_sub(overhead(self.v6()));
        if size >= self.data.len() {
            return false;
        }
        self.data.truncate(size);
        self.learned = Some(mtu);
        true
    }

    /// Waits for answers, and takes them.
    fn wait(&mut self, limit: Duration) -> Result<(), Failure> {
        let mut polled = Vec::new();
        let mut indexes = Vec::new();
        if let Some(echo) = &self.echo {
            polled.push(PollFd::new(echo.as_fd(), PollFlags::POLLIN));
        }
        let events = if self.opts.method == Method::Tcp { PollFlags::POLLOUT } else { PollFlags::POLLIN };
        for (at, probe) in self.probes.iter().enumerate().filter(|(_, probe)| !probe.done) {
            if let Some(socket) = &probe.socket {
                polled.push(PollFd::new(socket.as_fd(), events));
                indexes.push(at);
            }
        }
        let millis = i32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        match poll(&mut polled, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(failed("poll")(errno.into())),
        }
        let ready: Vec<usize> = polled
            .iter()
            .skip(usize::from(self.echo.is_some()))
            .zip(&indexes)
            .filter(|(fd, _)| fd.revents().is_some_and(|events| !events.is_empty()))
            .map(|(_, at)| *at)
            .collect();
        drop(polled);
        for at in ready {
            self.collect(at);
        }
        while self.echo.is_some() && self.collect_echo() {}
        Ok(())
    }

    /// Takes what one UDP or TCP probe's socket has.
    fn collect(&mut self, at: usize) {
        let to = self.to.ip();
        let tcp = self.opts.method == Method::Tcp;
        let Some(socket) = self.probes.get_mut(at).and_then(|probe| probe.socket.take()) else { return };
        let mut payload = [0u8; 64];
        if let Some(entry) = take_entry(&socket, &mut payload) {
            if self.answered(at, &entry) {
                return;
            }
        } else if tcp {
            match socket.take_error() {
                Ok(None) => {
                    reset(&socket);
                    return self.reached(at, to);
                }
                Ok(Some(error)) if error.raw_os_error() == Some(libc::ECONNREFUSED) => return self.reached(at, to),
                _ => {}
            }
        } else {
            let mut buffer = [std::mem::MaybeUninit::uninit(); 64];
            if socket.recv(&mut buffer).is_ok() {
                return self.reached(at, to);
            }
        }
        if let Some(probe) = self.probes.get_mut(at).filter(|probe| !probe.done) {
            probe.socket = Some(socket);
        }
    }

    /// Takes one thing that the echo socket has; false when there is none.
    fn collect_echo(&mut self) -> bool {
        let Some(echo) = self.echo.take() else { return false };
        let mut payload = [0u8; 256];
        let entry = take_entry(&echo, &mut payload);
        let mut buffer = vec![0u8; 65_600];
        let reply = if entry.is_none() { echo.receive(&mut buffer) } else { Ok(None) };
        self.echo = Some(echo);
        if let Some(entry) = entry {
            self.echo_entry(&entry, &payload);
            return true;
        }
        match reply {
            Ok(Some(reply)) => {
                let found = self.waiting(reply.seq).filter(|_| matches!(reply.kind, 0 | 129));
                if let Some(at) = found {
                    self.reached(at, reply.from.ip());
                    if let Some(probe) = self.probes.get_mut(at) {
                        probe.ttl = reply.ttl;
                    }
                }
                true
            }
            Ok(None) => true,
            // An error that came from the queue shows once more.
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// The probe that waits under this number.
    fn waiting(&self, seq: u16) -> Option<usize> {
        self.probes.iter().position(|probe| probe.sent.is_some() && !probe.done && probe.seq == seq)
    }

    /// An entry of the queue of the echo socket, with the request that caused it.
    fn echo_entry(&mut self, entry: &Entry, payload: &[u8]) {
        let header = payload.first_chunk::<HEADER>().filter(|_| entry.length >= HEADER);
        let seq = header.map(|[.., s0, s1]| u16::from_be_bytes([*s0, *s1]));
        if let Some(at) = seq.and_then(|seq| self.waiting(seq)) {
            self.answered(at, entry);
        }
    }

    /// An entry of the queue answers a probe. False where the probe must go out again.
    fn answered(&mut self, at: usize, entry: &Entry) -> bool {
        let error = match entry.found {
            Found::Icmp(error) => error,
            Found::Local { errno, mtu } => {
                if mtu > 0 && self.opts.mtu && self.shrink(mtu) {
                    self.again(at);
                    return true;
                }
                if let Some(probe) = self.probes.get_mut(at) {
                    finish(probe);
                    probe.mark = if mtu > 0 { format!("!F-{mtu}") } else { format!("!<{errno}>") };
                    probe.last = true;
                }
                return true;
            }
        };
        if error.mtu > 0 && self.opts.mtu && self.shrink(error.mtu) {
            self.again(at);
            return true;
        }
        let learned = self.learned.take();
        let Some(probe) = self.probes.get_mut(at) else { return true };
        finish(probe);
        (probe.from, probe.ttl, probe.error) = (error.offender, entry.ttl, Some(error));
        (probe.mark, probe.last) = verdict(&error);
        if let Some(mtu) = learned {
            probe.mtu = Some(mtu);
            probe.mark = format!("F={mtu}{}{}", if probe.mark.is_empty() { "" } else { " " }, probe.mark);
        }
        true
    }

    /// Forgets that a probe was sent.
    fn again(&mut self, at: usize) {
        if let Some(probe) = self.probes.get_mut(at) {
            (probe.sent, probe.socket) = (None, None);
        }
    }

    /// The destination itself answered.
    fn reached(&mut self, at: usize, from: IpAddr) {
        let learned = self.learned.take();
        let Some(probe) = self.probes.get_mut(at) else { return };
        finish(probe);
        (probe.from, probe.last, probe.mtu) = (Some(from), true, learned);
        if let Some(mtu) = learned {
            probe.mark = format!("F={mtu}");
        }
    }
}

fn finish(probe: &mut Probe) {
    probe.done = true;
    probe.rtt = probe.sent.map(|sent| sent.elapsed());
    probe.socket = None;
}

/// Ends a connection at once, so that neither side keeps it.
fn reset(socket: &Socket) {
    let _ = socket.set_linger(Some(Duration::ZERO));
}

/// What is written for an ICMP error, and whether the way ends there.
fn verdict(error: &IcmpError) -> (String, bool) {
    let mark = match (error.v6, error.kind, error.code) {
        (false, 11, 0) | (true, 3, 0) => return (String::new(), false),
        (false, 3, 3) | (true, 1, 4) => "",
        (false, 3, 0 | 6 | 8 | 11) | (true, 1, 0) => "!N",
        (false, 3, 1 | 7 | 12) | (true, 1, 2 | 3) => "!H",
        (false, 3, 2) | (true, 4, 1) => "!P",
        (false, 3, 4) | (true, 2, _) => return (format!("!F-{}", error.mtu), true),
        (false, 3, 5) => "!S",
        (false, 3, 9 | 10 | 13) | (true, 1, 1) => "!X",
        (false, 3, 14) => "!V",
        (false, 3, 15) => "!C",
        (false, 3, code) | (true, 1, code) => return (format!("!<{code}>"), true),
        (_, kind, code) => return (format!("!<{kind}-{code}>"), true),
    };
    (mark.to_owned(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks() {
        let error = |v6, kind, code, mtu| IcmpError { v6, kind, code, mtu, offender: None, errno: 0 };
        for (v6, kind, code, mark, last) in [
            (false, 11, 0, "", false),
            (true, 3, 0, "", false),
            (false, 3, 3, "", true),
            (true, 1, 4, "", true),
            (false, 3, 13, "!X", true),
            (false, 3, 200, "!<200>", true),
            (true, 1, 6, "!<6>", true),
            (false, 12, 0, "!<12-0>", true),
            (true, 4, 1, "!P", true),
        ] {
            assert_eq!(verdict(&error(v6, kind, code, 0)), (mark.to_owned(), last), "{kind}/{code}");
        }
        assert_eq!(verdict(&error(false, 3, 4, 1400)), ("!F-1400".to_owned(), true));
    }
}
