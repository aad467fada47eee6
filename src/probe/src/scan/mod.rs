//! Many ports of many hosts at once. One scheduler for all of it (which to ask next, how long to wait, what to ask
//! again), over two media: sockets as everybody may open them ([`Connect`]), and raw packets ([`Raw`]).
//!
//! Tasks are drawn as there is room, so memory does not grow with their number. Only silence is asked again, and as often
//! as the losses that were seen make it worth.

mod connect;
pub mod packet;
mod post;
mod raw;
mod schedule;
mod two;

use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::libc;

use crate::Protocol;
use crate::icmp::{IcmpError, Offence};
use crate::udp::{Ask, Service};

pub use connect::Connect;
pub use raw::{Link, Raw};
pub use schedule::{Asked, Medium, scan};
pub use two::scan_by_two;

/// What a port is taken to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It took the connection, or answered.
    Open,
    /// The host itself refused.
    Closed,
    /// Something refused on the host's behalf, or nothing came back.
    Filtered,
    /// It can be reached; whether it is open was not asked.
    Unfiltered,
    /// Nothing came back, which proves nothing.
    OpenFiltered,
}

impl State {
    /// As nmap calls it.
    pub fn name(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Closed => "closed",
            State::Filtered => "filtered",
            State::Unfiltered => "unfiltered",
            State::OpenFiltered => "open|filtered",
        }
    }
}

/// How a port or host is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A connection by connect(2).
    Connect,
    /// A datagram; over a socket or raw.
    Udp,
    /// A segment with these flags, see [`packet`].
    Segment(u8),
    /// As `Segment(ACK)`, with the window of the reset as the answer.
    Window,
    /// ICMP or ICMPv6 of this type: 8 or 128 echo, 13 time, 17 mask.
    Icmp(u8),
    /// ARP or neighbour discovery on the link.
    Neighbour,
}

impl Kind {
    /// The transport.
    pub fn protocol(self) -> Protocol {
        if self == Kind::Udp { Protocol::Udp } else { Protocol::Tcp }
    }

    /// What silence means.
    fn silent(self) -> State {
        match self {
            Kind::Connect | Kind::Window | Kind::Segment(packet::SYN | packet::ACK) => State::Filtered,
            _ => State::OpenFiltered,
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
    /// TTL or hop limit of the answer, where it was seen.
    pub ttl: Option<u8>,
    /// The link-layer address of a neighbour.
    pub mac: Option<[u8; 6]>,
}

impl Verdict {
    fn new(state: State, reason: &'static str) -> Verdict {
        Verdict { state, reason, error: None, rtt: None, ttl: None, mac: None }
    }
}

/// One port to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Address and port.
    pub to: SocketAddr,
    /// How.
    pub kind: Kind,
}

// By port first: what is under way is looked up for every answer, and a port mostly tells it.
impl Ord for Task {
    fn cmp(&self, other: &Task) -> Ordering {
        let port = self.to.port().cmp(&other.to.port());
        port.then_with(|| self.to.cmp(&other.to)).then_with(|| self.kind.cmp(&other.kind))
    }
}

impl PartialOrd for Task {
    fn partial_cmp(&self, other: &Task) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How fast, how long, from where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests without an answer at once.
    pub parallel: usize,
    /// The wait for an answer before any round trip is known, and its bounds afterwards.
    pub initial: Duration,
    /// See above.
    pub least: Duration,
    /// See above.
    pub most: Duration,
    /// How often silence is asked again where nothing was lost so far.
    pub retries: u32,
    /// How often at most where something was.
    pub most_retries: u32,
    /// Requests a second, at most.
    pub rate: Option<f64>,
    /// Requests a second, at least: so many are sent without waiting for answers.
    pub least_rate: Option<f64>,
    /// The address and port to send from.
    pub source: Option<SocketAddr>,
    /// The interface to send through.
    pub interface: Option<String>,
    /// TTL or hop limit of raw packets.
    pub ttl: u8,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            parallel: 512,
            initial: Duration::from_secs(1),
            least: Duration::from_millis(100),
            most: Duration::from_secs(10),
            retries: 2,
            most_retries: 10,
            rate: None,
            least_rate: None,
            source: None,
            interface: None,
            ttl: 64,
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

/// What an error number of a system call means: the packet did not leave this machine.
fn local(errno: i32) -> Verdict {
    let reason = match errno {
        libc::EPERM | libc::EACCES => "perm-denied",
        libc::ENETUNREACH => "net-unreach",
        libc::EHOSTUNREACH => "host-unreach",
        libc::EADDRNOTAVAIL => "source-unavailable",
        _ => "local-error",
    };
    Verdict::new(State::Filtered, reason)
}

/// The state that an ICMP error means, with its reason in nmap's words, which has fewer than ICMPv6 has codes.
fn of_icmp(error: &IcmpError, host: IpAddr, kind: Kind) -> Verdict {
    let own = error.offender == Some(host);
    let state = match (kind, error.offence()) {
        (Kind::Udp, Offence::Port) if own => State::Closed,
        _ => State::Filtered,
    };
    let reason = match (error.v6, error.kind, error.code) {
        (false, 3, 0 | 6 | 11) => "net-unreach",
        (false, 3, 1 | 7 | 8 | 12) | (true, 1, 3) => "host-unreach",
        (false, 3, 2) => "proto-unreach",
        (false, 3, 3) | (true, 1, 4) => "port-unreach",
        (false, 3, 9) => "net-prohibited",
        (false, 3, 10) => "host-prohibited",
        (false, 3, _) | (true, 1, 1 | 5) => "admin-prohibited",
        (true, 1, 0) => "no-route",
        (true, 1, 2) => "beyond-scope",
        (true, 1, 6) => "reject-route",
        (false, 11, _) | (true, 3, _) => "time-exceeded",
        _ => "icmp-error",
    };
    Verdict { error: Some(*error), ..Verdict::new(state, reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_by_who_sends_them() {
        let host: IpAddr = [10, 0, 0, 1].into();
        let error = |kind, code, from: &str| IcmpError {
            v6: false,
            kind,
            code,
            mtu: 0,
            offender: Some(from.parse().unwrap()),
            errno: 0,
        };
        let closed = of_icmp(&error(3, 3, "10.0.0.1"), host, Kind::Udp);
        assert_eq!((closed.state, closed.reason), (State::Closed, "port-unreach"));
        assert_eq!(of_icmp(&error(3, 3, "10.0.0.2"), host, Kind::Udp).state, State::Filtered);
        assert_eq!(of_icmp(&error(3, 3, "10.0.0.1"), host, Kind::Connect).state, State::Filtered);
        assert_eq!(of_icmp(&error(3, 13, "10.0.0.2"), host, Kind::Connect).reason, "admin-prohibited");
    }

    #[test]
    fn silence_by_what_was_asked() {
        assert_eq!(Kind::Segment(packet::SYN).silent(), State::Filtered);
        assert_eq!(Kind::Segment(packet::FIN).silent(), State::OpenFiltered);
        assert_eq!(Kind::Udp.silent(), State::OpenFiltered);
    }
}
