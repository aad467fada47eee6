//! Names to addresses and addresses to connections, with every attempt recorded (RFC 8305).

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use netkit_dns::hosts::Hosts;
use netkit_dns::resolv_conf::ResolvConf;
use netkit_dns::simulate::{self, Code, Family, Resolver, World};
use netkit_dns::transport::udp_socket;
use netkit_dns::{HOSTS, RESOLV_CONF};
use netkit_tls::{Ready, Transport};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

use netkit_http::url::loose_v4;

/// Addresses taken from one name at most.
const MOST: usize = 64;

/// A connected socket in non-blocking mode.
#[derive(Debug)]
pub(crate) struct Plain(Socket);

impl Plain {
    /// Takes a connected socket.
    ///
    /// # Errors
    /// When it cannot be made non-blocking.
    pub(crate) fn new(socket: Socket) -> io::Result<Plain> {
        socket.set_nonblocking(true)?;
        Ok(Plain(socket))
    }
}

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Plain {
    fn wait(&mut self, wanted: Ready, limit: Option<Duration>) -> io::Result<Ready> {
        wait(&self.0, wanted, limit)
    }

    fn finish(&mut self) {
        let _ = self.0.shutdown(std::net::Shutdown::Write);
    }
}

/// Milliseconds for poll(2), rounded up so that a wait never spins.
fn timeout(limit: Option<Duration>) -> PollTimeout {
    let Some(limit) = limit else { return PollTimeout::NONE };
    let millis = i32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}

fn wait<F: AsFd>(fd: &F, wanted: Ready, limit: Option<Duration>) -> io::Result<Ready> {
    let mut flags = PollFlags::empty();
    if wanted.read {
        flags |= PollFlags::POLLIN;
    }
    if wanted.write {
        flags |= PollFlags::POLLOUT;
    }
    let mut polled = [PollFd::new(fd.as_fd(), flags)];
    match poll(&mut polled, timeout(limit)) {
        Err(nix::errno::Errno::EINTR) => return Ok(Ready::default()),
        Err(errno) => return Err(errno.into()),
        Ok(_) => {}
    }
    let seen = polled.first().and_then(PollFd::revents).unwrap_or(PollFlags::empty());
    let broken = seen.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL);
    Ok(Ready {
        read: wanted.read && (seen.contains(PollFlags::POLLIN) || broken),
        write: wanted.write && (seen.contains(PollFlags::POLLOUT) || broken),
    })
}

/// Where names are looked up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookup {
    /// Look files up as this process sees them.
    pub(crate) from_pid: Option<u32>,
    /// Name servers instead of those of resolv.conf.
    pub(crate) servers: Vec<SocketAddr>,
}

/// What a look-up found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// In the order to try them.
    pub(crate) addresses: Vec<SocketAddr>,
    /// One sentence of how, or why not.
    pub(crate) why: String,
}

/// An address as inet_aton(3) or inet_pton(3) read it.
pub(crate) fn literal(host: &str, zone: Option<&str>, port: u16) -> Option<SocketAddr> {
    if let Some(v4) = loose_v4(host) {
        return Some(SocketAddr::from((v4, port)));
    }
    let v6: Ipv6Addr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let scope = zone.and_then(|zone| zone.parse().ok().or_else(|| interface_index(zone))).unwrap_or(0);
    Some(SocketAddrV6::new(v6, port, 0, scope).into())
}

fn interface_index(name: &str) -> Option<u32> {
    let plain = !name.is_empty() && name.len() < 16 && !name.contains('/') && name != "..";
    let path = plain.then(|| format!("/sys/class/net/{name}/ifindex"))?;
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The addresses of a name as getaddrinfo(3) of the GNU C library would find them here.
pub(crate) fn resolve(host: &str, zone: Option<&str>, port: u16, family: Family, lookup: &Lookup) -> Found {
    let fits = |address: &IpAddr| match family {
        Family::Unspecified => true,
        Family::Inet => address.is_ipv4(),
        Family::Inet6 => address.is_ipv6(),
    };
    if let Some(address) = literal(host, zone, port) {
        return match fits(&address.ip()) {
            true => Found { addresses: vec![address], why: String::new() },
            false => Found { addresses: Vec::new(), why: "an address of the other family".to_owned() },
        };
    }
    let bare = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if bare == "localhost" || bare.ends_with(".localhost") {
        // RFC 6761, section 6.3: never asked of anybody.
        let both = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let addresses = both.into_iter().filter(fits).map(|ip| SocketAddr::new(ip, port)).collect();
        return Found { addresses, why: "localhost".to_owned() };
    }
    let place = |path: &str| match lookup.from_pid {
        Some(pid) => netkit_dns::path_of_pid(pid, path),
        None => Path::new(path).to_owned(),
    };
    let mut resolv_conf = ResolvConf::read(&place(RESOLV_CONF)).ok();
    if !lookup.servers.is_empty() {
        let mut conf = resolv_conf.unwrap_or_default();
        conf.nameservers.clone_from(&lookup.servers);
        conf.nameservers_loose.clone_from(&lookup.servers);
        resolv_conf = Some(conf);
    }
    let world = World {
        resolv_conf,
        hosts: Hosts::read(&place(HOSTS)).unwrap_or_default(),
        nsswitch: fs::read_to_string(place("/etc/nsswitch.conf")).ok(),
        host_conf: Some("multi on".to_owned()),
        localdomain: None,
        res_options: None,
        hostname: fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
        port: lookup.servers.first().map_or(53, SocketAddr::port),
    };
    let verdict = simulate::run(Resolver::Glibc, host, family, &world);
    let mut unique: Vec<IpAddr> = Vec::new();
    if verdict.code == Code::Ok {
        for address in verdict.answers {
            if unique.len() < MOST && !unique.contains(&address) {
                unique.push(address);
            }
        }
    }
    // RFC 6724 as far as it matters here: without a route last, IPv6 before IPv4.
    unique.sort_by_key(|address| (udp_socket(SocketAddr::new(*address, 53), None).is_err(), address.is_ipv4()));
    Found { addresses: unique.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(), why: verdict.why }
}

/// What is set on a socket before it connects.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Interface, address or host name to connect from, as `--interface` takes it.
    pub(crate) interface: Option<String>,
    /// First port and how many to try.
    pub(crate) local_port: Option<(u16, u16)>,
    /// TCP_NODELAY.
    pub(crate) nodelay: bool,
    /// Seconds between keep-alive probes, none when off.
    pub(crate) keepalive: Option<u64>,
    /// TCP Fast Open is not offered; type of service.
    pub(crate) tos: Option<u8>,
    /// How long after one attempt the other family's begins.
    pub(crate) stagger: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            interface: None,
            local_port: None,
            nodelay: true,
            keepalive: Some(60),
            tos: None,
            stagger: Duration::from_millis(200),
        }
    }
}

/// One attempt to reach one address.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// Where to.
    pub(crate) address: SocketAddr,
    /// From the start of connecting.
    pub(crate) started_after: Duration,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// `None` when connected; else the kernel's reason.
    pub(crate) error: Option<Refusal>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// connect(2) gave this number.
    Kernel(i32),
    /// No answer before the deadline.
    TimedOut,
    /// Another address was quicker.
    Abandoned,
    /// The source could not be bound; in words.
    Bind(String),
}

/// What is said while connecting, in the order it happens.
#[derive(Clone, Debug)]
pub(crate) enum Event<'a> {
    /// An attempt begins.
    Trying(SocketAddr),
    /// An attempt failed.
    Failed(&'a Attempt, Option<SocketAddr>),
    /// The source was bound.
    Bound(&'a str),
}

/// Connects to the first address that accepts; the two families take turns, staggered.
///
/// # Errors
/// Nothing accepted: the attempts say why.
pub(crate) fn connect(
    addresses: &[SocketAddr],
    options: &Options,
    deadline: Option<Instant>,
    observe: &mut dyn FnMut(Event<'_>),
    attempts: &mut Vec<Attempt>,
) -> Option<(Socket, SocketAddr)> {
    struct Flight {
        socket: Socket,
        address: SocketAddr,
        began: Instant,
    }
    let start = Instant::now();
    let mut waiting = interleaved(addresses).into_iter().peekable();
    let mut flights: Vec<Flight> = Vec::new();
    let mut last = start;
    let note = |flight_address: SocketAddr, began: Instant, error: Option<Refusal>, local| {
        let attempt = Attempt {
            address: flight_address,
            started_after: began.saturating_duration_since(start),
            elapsed: began.elapsed(),
            error,
        };
        if attempt.error.as_ref().is_some_and(|error| *error != Refusal::Abandoned) {
            return (attempt, local);
        }
        (attempt, None)
    };
    loop {
        if flights.is_empty() || last.elapsed() >= options.stagger {
            if let Some(address) = waiting.next() {
                last = Instant::now();
                observe(Event::Trying(address));
                match begin(address, options, observe) {
                    Ok((socket, true)) => {
                        attempts.push(note(address, last, None, None).0);
                        return Some((socket, address));
                    }
                    Ok((socket, false)) => flights.push(Flight { socket, address, began: last }),
                    Err((refusal, local)) => {
                        let (attempt, local) = note(address, last, Some(refusal), local);
                        observe(Event::Failed(&attempt, local));
                        attempts.push(attempt);
                    }
                }
                continue;
            } else if flights.is_empty() {
                return None;
            }
        }
        let mut limit = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if limit.is_some_and(|limit| limit.is_zero()) {
            for flight in flights {
                attempts.push(note(flight.address, flight.began, Some(Refusal::TimedOut), None).0);
            }
            return None;
        }
        if waiting.peek().is_some() {
            let next = (last + options.stagger).saturating_duration_since(Instant::now());
            limit = Some(limit.map_or(next, |limit| limit.min(next)));
        }
        let mut polled: Vec<PollFd<'_>> =
            flights.iter().map(|flight| PollFd::new(flight.socket.as_fd(), PollFlags::POLLOUT)).collect();
        let _ = poll(&mut polled, timeout(limit));
        let ready: Vec<bool> = polled.iter().map(|one| one.revents().is_some_and(|seen| !seen.is_empty())).collect();
        let mut still = Vec::new();
        let mut winner = None;
        for (flight, ready) in flights.into_iter().zip(ready) {
            if !ready || winner.is_some() {
                still.push(flight);
                continue;
            }
            match flight.socket.take_error() {
                Ok(None) if flight.socket.peer_addr().is_ok() => winner = Some(flight),
                Ok(None) => still.push(flight),
                Ok(Some(error)) | Err(error) => {
                    let local = flight.socket.local_addr().ok().and_then(|local| local.as_socket());
                    let refusal = Refusal::Kernel(error.raw_os_error().unwrap_or(0));
                    let (attempt, local) = note(flight.address, flight.began, Some(refusal), local);
                    observe(Event::Failed(&attempt, local));
                    attempts.push(attempt);
                    // The next one need not wait for its turn.
                    last = start.checked_sub(options.stagger).unwrap_or(start);
                }
            }
        }
        if let Some(winner) = winner {
            for flight in still {
                attempts.push(note(flight.address, flight.began, Some(Refusal::Abandoned), None).0);
            }
            attempts.push(note(winner.address, winner.began, None, None).0);
            return Some((winner.socket, winner.address));
        }
        flights = still;
    }
}

fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut out = Vec::with_capacity(addresses.len());
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return out;
        }
        out.extend(pair.into_iter().flatten());
    }
}

type Begun = Result<(Socket, bool), (Refusal, Option<SocketAddr>)>;

fn begin(address: SocketAddr, options: &Options, observe: &mut dyn FnMut(Event<'_>)) -> Begun {
    let kernel = |error: io::Error| (Refusal::Kernel(error.raw_os_error().unwrap_or(0)), None);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).map_err(kernel)?;
    let _ = socket.set_tcp_nodelay(options.nodelay);
    if let Some(seconds) = options.keepalive {
        let probe = Duration::from_secs(seconds.max(1));
        let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(probe).with_interval(probe));
    }
    if let Some(tos) = options.tos {
        let _ =
            if address.is_ipv6() { socket.set_tclass_v6(u32::from(tos)) } else { socket.set_tos_v4(u32::from(tos)) };
    }
    bind(&socket, address, options, observe).map_err(|text| (Refusal::Bind(text), None))?;
    socket.set_nonblocking(true).map_err(kernel)?;
    match socket.connect(&address.into()) {
        Ok(()) => Ok((socket, true)),
        Err(error) if error.raw_os_error() == Some(nix::libc::EINPROGRESS) => Ok((socket, false)),
        Err(error) => {
            let local = socket.local_addr().ok().and_then(|local| local.as_socket());
            Err((Refusal::Kernel(error.raw_os_error().unwrap_or(0)), local))
        }
    }
}

fn bind(
    socket: &Socket,
    address: SocketAddr,
    options: &Options,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<(), String> {
    let mut source = None;
    if let Some(text) = &options.interface {
        let (device, host) = match (text.strip_prefix("if!"), text.strip_prefix("host!")) {
            (Some(device), _) => (Some(device), None),
            (_, Some(host)) => (None, Some(host)),
            _ => match text.strip_prefix("ifhost!").and_then(|both| both.split_once('!')) {
                Some((device, host)) => (Some(device), Some(host)),
                None if interface_index(text).is_some() => (Some(text.as_str()), None),
                None => (None, Some(text.as_str())),
            },
        };
        if let Some(device) = device {
            socket
                .bind_device(Some(device.as_bytes()))
                .map_err(|_| format!("Could not bind to interface '{device}'"))?;
            observe(Event::Bound(device));
        }
        if let Some(host) = host {
            let family = if address.is_ipv6() { Family::Inet6 } else { Family::Inet };
            let found = resolve(host, None, 0, family, &Lookup::default());
            let local = found.addresses.first().ok_or_else(|| format!("Couldn't bind to '{host}'"))?;
            source = Some(local.ip());
        }
    }
    if source.is_none() && options.local_port.is_none() {
        return Ok(());
    }
    let any: IpAddr = if address.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let source = source.unwrap_or(any);
    let (first, count) = options.local_port.unwrap_or((0, 1));
    let mut reason = String::new();
    for offset in 0..count.max(1) {
        let port = first.saturating_add(offset);
        match socket.bind(&SocketAddr::new(source, port).into()) {
            Ok(()) => return Ok(()),
            Err(error) => {
                reason = format!("bind failed with errno {}: {}", error.raw_os_error().unwrap_or(0), strerror(&error))
            }
        }
    }
    Err(reason)
}

/// The kernel's reason without the number, in the words of the C library.
pub(crate) fn strerror(error: &io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(nix::libc::ECONNREFUSED) => "Connection refused",
        Some(nix::libc::ENETUNREACH) => "Network is unreachable",
        Some(nix::libc::EHOSTUNREACH) => "No route to host",
        Some(nix::libc::ETIMEDOUT) => "Connection timed out",
        Some(nix::libc::ECONNRESET) => "Connection reset by peer",
        Some(nix::libc::EPIPE) => "Broken pipe",
        Some(nix::libc::EADDRNOTAVAIL) => "Cannot assign requested address",
        Some(nix::libc::EADDRINUSE) => "Address already in use",
        Some(nix::libc::ENOENT) => "No such file or directory",
        Some(nix::libc::EACCES) => "Permission denied",
        Some(nix::libc::EPERM) => "Operation not permitted",
        Some(nix::libc::EISDIR) => "Is a directory",
        _ => {
            let text = error.to_string();
            return text.split(" (os error").next().unwrap_or("").to_owned();
        }
    };
    text.to_owned()
}

/// Connects to a socket in the file system, or with `abstract_name` in the abstract namespace (unix(7)).
///
/// # Errors
/// As connect(2).
pub(crate) fn connect_unix(path: &str, abstract_name: bool) -> io::Result<Socket> {
    let address = if abstract_name { SockAddr::unix(format!("\0{path}"))? } else { SockAddr::unix(path)? };
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.connect(&address)?;
    Ok(socket)
}
