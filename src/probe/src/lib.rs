//! Connecting and probing: names to addresses, connections with every attempt recorded, and what a port does once it
//! is open. Knows no flags and prints nothing.
//!
//! Blocking sockets and poll(2); nothing here wants a privilege. Who refused is read from the socket's error queue
//! (ip(7), `IP_RECVERR`), which tells a firewall's ICMP from a host's reset without a raw socket.

mod attempt;
mod classify;
mod connect;
pub mod echo;
pub mod errno;
mod icmp;
mod options;
pub mod proxy;
pub mod proxy_protocol;
mod resolve;
pub mod scan;
pub mod services;
mod tcp_info;
pub mod udp;

pub use attempt::{Attempt, Outcome};
pub use classify::{Nature, classify};
pub use connect::{Event, Plan, Report, connect, connect_observed};
pub use echo::MtuDiscovery;
pub use icmp::{IcmpError, Offence, take_errors, watch_errors};
pub use options::Options;
pub use resolve::{Family, Found, Lookup, LookupError, literal, look_up, resolve, reverse};
pub use tcp_info::{TcpInfo, tcp_info};

use std::fmt;
use std::net::SocketAddr;

/// The transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP (RFC 9293).
    Tcp,
    /// UDP (RFC 768).
    Udp,
}

impl Protocol {
    /// As `/etc/protocols` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is to be reached: a name as the user wrote it, and where it led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As typed.
    pub host: String,
    /// 1 to 65,535.
    pub port: u16,
    /// Every address of the name, in the order they are to be tried.
    pub addresses: Vec<SocketAddr>,
}

impl Target {
    /// Looks `host` up as getaddrinfo(3) would here.
    ///
    /// # Errors
    /// See [`LookupError`].
    pub fn look_up(host: &str, port: u16, family: Family, lookup: &Lookup) -> Result<Target, LookupError> {
        let addresses = resolve(host, port, family, lookup)?;
        Ok(Target { host: host.to_owned(), port, addresses })
    }
}
