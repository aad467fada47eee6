//! What curl adds to the room that connects: streams that do not block, and the grammar of `--interface`.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

pub(crate) use netkit_probe::{Family, Found, Lookup, Outcome};
use netkit_tls::{Ready, Transport};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, SockAddr, Socket, Type};

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

/// An address as inet_aton(3) or inet_pton(3) read it; a zone that names no interface is left out.
pub(crate) fn literal(host: &str, zone: Option<&str>, port: u16) -> Option<SocketAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let scoped = zone.and_then(|zone| netkit_probe::literal(&format!("{bare}%{zone}")));
    let (address, scope) = scoped.or_else(|| netkit_probe::literal(bare))?;
    Some(match address {
        IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, scope).into(),
        v4 => SocketAddr::new(v4, port),
    })
}

/// The addresses of a name as getaddrinfo(3) of the GNU C library would find them here; without any, why there is none.
pub(crate) fn resolve(host: &str, zone: Option<&str>, port: u16, family: Family, lookup: &Lookup) -> Found {
    let none = |why: String| Found { addresses: Vec::new(), why };
    if let Some(address) = literal(host, zone, port) {
        return match (family, address.is_ipv4()) {
            (Family::Inet, false) | (Family::Inet6, true) => none("an address of the other family".to_owned()),
            _ => Found { addresses: vec![address], why: String::new() },
        };
    }
    match netkit_probe::look_up(host, port, family, lookup) {
        Ok(found) => found,
        Err(error) => none(error.why().map_or_else(|| error.to_string(), str::to_owned)),
    }
}

/// Where `--interface` says connections come from: a device, addresses, or both.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) device: Option<String>,
    pub(crate) sources: Vec<SocketAddr>,
}

/// Reads `--interface`: `if!NAME`, `host!NAME`, `ifhost!NAME!NAME`, or either without a mark.
///
/// # Errors
/// curl's sentence for a host that has no address.
pub(crate) fn origin(text: &str) -> Result<Origin, String> {
    let is_device = |name: &str| {
        !name.is_empty() && !name.contains('/') && Path::new("/sys/class/net").join(name).join("ifindex").exists()
    };
    let (device, host) = match (text.strip_prefix("if!"), text.strip_prefix("host!")) {
        (Some(device), _) => (Some(device), None),
        (_, Some(host)) => (None, Some(host)),
        _ => match text.strip_prefix("ifhost!").and_then(|both| both.split_once('!')) {
            Some((device, host)) => (Some(device), Some(host)),
            None if is_device(text) => (Some(text), None),
            None => (None, Some(text)),
        },
    };
    let mut sources = Vec::new();
    if let Some(host) = host {
        sources = resolve(host, None, 0, Family::Unspecified, &Lookup::default()).addresses;
        if sources.is_empty() {
            return Err(format!("Couldn't bind to '{host}'"));
        }
    }
    Ok(Origin { device: device.map(str::to_owned), sources })
}

/// Why an attempt failed, in the kernel's words.
pub(crate) fn outcome_text(outcome: &Outcome) -> String {
    match outcome.errno() {
        Some(errno) => strerror(&io::Error::from_raw_os_error(errno)),
        None => outcome.keyword().to_owned(),
    }
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
