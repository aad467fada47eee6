//! Without any capability: connections that do not block and UDP sockets, an epoll(7) over all of them, and each socket's
//! error queue, which tells a firewall's ICMP from a host's own refusal.
//!
//! A connection is reset as soon as it stands, so nothing stays in TIME-WAIT.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Socket, Type};

use super::{Asked, Kind, Medium, State, Task, Verdict, local, of_icmp, payload};
use crate::echo::{Found, take_entry};
use crate::icmp::watch_errors;

/// Events taken at once.
const EVENTS: usize = 512;

/// Sockets, one a request.
#[derive(Debug)]
pub struct Connect {
    epoll: Epoll,
    source: Option<SocketAddr>,
    interface: Option<String>,
    flights: Vec<Option<(Socket, Task)>>,
    free: Vec<usize>,
    events: Vec<EpollEvent>,
}

impl Connect {
    /// Sends from an address and through an interface, where they are given.
    ///
    /// # Errors
    /// When epoll(7) cannot be used at all.
    pub fn new(source: Option<SocketAddr>, interface: Option<String>) -> io::Result<Connect> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let events = vec![EpollEvent::empty(); EVENTS];
        Ok(Connect { epoll, source, interface, flights: Vec::new(), free: Vec::new(), events })
    }

    fn open(&self, task: Task) -> io::Result<Socket> {
        let v6 = task.to.is_ipv6();
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let tcp = task.kind != Kind::Udp;
        let kind = if tcp { Type::STREAM } else { Type::DGRAM };
        let socket = Socket::new(domain, kind.nonblocking().cloexec(), None)?;
        watch_errors(&socket, v6, true)?;
        if tcp {
            socket.set_linger(Some(Duration::ZERO))?;
        }
        if let Some(interface) = &self.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        if let Some(source) = self.source {
            socket.set_reuse_address(true)?;
            socket.bind(&source.into())?;
        }
        Ok(socket)
    }

    fn take(&mut self, number: usize) -> Option<(Socket, Task)> {
        let flight = self.flights.get_mut(number)?.take()?;
        self.free.push(number);
        Some(flight)
    }

    fn ready(&mut self, number: usize) -> Option<(Task, Verdict)> {
        let (socket, task) = self.take(number)?;
        let errno = if task.kind == Kind::Udp {
            let mut buffer = [std::mem::MaybeUninit::uninit(); 64];
            socket.recv(&mut buffer).err()
        } else {
            socket.take_error().ok().flatten()
        };
        let errno = errno.map_or(0, |error| error.raw_os_error().unwrap_or(0));
        Some((task, conclude(&socket, task, errno)))
    }
}

impl Medium for Connect {
    fn ask(&mut self, task: Task) -> Asked {
        let socket = match self.open(task) {
            Ok(socket) => socket,
            Err(error) => {
                return match error.raw_os_error() {
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS) => Asked::Full,
                    errno => Asked::Told(local(errno.unwrap_or(0))),
                };
            }
        };
        let outcome = match (task.kind, socket.connect(&task.to.into())) {
            (Kind::Udp, Ok(())) => match socket.send(&payload(task.to.port())) {
                Ok(_) => None,
                Err(error) => Some(error.raw_os_error().unwrap_or(0)),
            },
            (_, Ok(())) => Some(0),
            (_, Err(error)) => match error.raw_os_error() {
                Some(libc::EINPROGRESS) => None,
                errno => Some(errno.unwrap_or(0)),
            },
        };
        if let Some(errno) = outcome {
            return Asked::Told(conclude(&socket, task, errno));
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.flights.push(None);
            self.flights.len() - 1
        });
        let wanted = if task.kind == Kind::Udp { EpollFlags::EPOLLIN } else { EpollFlags::EPOLLOUT };
        let event = EpollEvent::new(wanted, u64::try_from(number).unwrap_or(u64::MAX));
        if let Err(errno) = self.epoll.add(socket.as_fd(), event) {
            self.free.push(number);
            return Asked::Told(local(errno as i32));
        }
        if let Some(place) = self.flights.get_mut(number) {
            *place = Some((socket, task));
        }
        Asked::Sent(number)
    }

    fn forget(&mut self, number: usize) {
        self.take(number);
    }

    fn wait(&mut self, limit: Duration, heard: &mut Vec<(Task, Verdict)>) -> io::Result<bool> {
        let millis = u16::try_from(limit.as_millis()).unwrap_or(u16::MAX);
        let count = match self.epoll.wait(&mut self.events, EpollTimeout::from(millis)) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        for at in 0..count {
            let number = self.events.get(at).map_or(u64::MAX, EpollEvent::data);
            heard.extend(self.ready(usize::try_from(number).unwrap_or(usize::MAX)));
        }
        Ok(count < EVENTS)
    }

    fn answers_late(&self) -> bool {
        false
    }
}

/// What an error number, 0 for none, and the error queue together say.
fn conclude(socket: &Socket, task: Task, errno: i32) -> Verdict {
    let mut payload = [0u8; 64];
    while let Some(entry) = take_entry(socket, &mut payload) {
        if let Found::Icmp(error) = entry.found {
            return of_icmp(&error, task.to.ip(), task.kind);
        }
    }
    let udp = task.kind == Kind::Udp;
    if !udp && errno == 0 {
        // On one machine the port that the kernel chose may be the one asked for: then we met ourselves, and nobody
        // else can be there.
        let own = socket.local_addr().ok().and_then(|own| own.as_socket());
        if own.is_some_and(|own| (own.ip(), own.port()) == (task.to.ip(), task.to.port())) {
            return Verdict::new(State::Closed, "conn-refused");
        }
    }
    let (state, reason) = match (udp, errno) {
        // A reset that came after the handshake: somebody took the connection.
        (false, 0 | libc::ECONNRESET | libc::EPIPE) => (State::Open, "syn-ack"),
        (true, 0) => (State::Open, "udp-response"),
        (false, libc::ECONNREFUSED) => (State::Closed, "conn-refused"),
        (true, libc::ECONNREFUSED) => (State::Closed, "port-unreach"),
        (false, libc::ETIMEDOUT) => (State::Filtered, "no-response"),
        (_, errno) => return local(errno),
    };
    Verdict::new(state, reason)
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, scan};
    use super::*;
    use std::net::{IpAddr, TcpListener, UdpSocket};

    fn all(tasks: Vec<Task>, settings: &Settings) -> Vec<(Task, Verdict)> {
        let mut found = Vec::new();
        let mut medium = Connect::new(None, None).unwrap();
        let mut tasks = tasks.into_iter();
        let report = &mut |task, verdict| found.push((task, verdict));
        scan(&mut medium, &mut tasks, settings, &mut || false, report).unwrap();
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
            Task { to: open, kind: Kind::Connect },
            Task { to: closed, kind: Kind::Connect },
            Task { to: silent.local_addr().unwrap(), kind: Kind::Udp },
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
            .map(|port| Task { to: SocketAddr::new(IpAddr::from([127, 0, 0, 9]), port), kind: Kind::Connect })
            .collect();
        let found = all(tasks.clone(), &Settings { parallel: 3, ..Settings::default() });
        assert_eq!(found.len(), tasks.len());
        assert!(found.windows(2).all(|pair| pair[0].0 != pair[1].0));
    }
}
