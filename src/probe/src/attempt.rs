//! One attempt to reach one address, and how it ended.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::libc;

use crate::errno;
use crate::icmp::{IcmpError, Offence};

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handshake was completed; for UDP, a route exists and a source was chosen.
    Connected,
    /// A reset answered the SYN (RFC 9293, section 3.10.7).
    Reset,
    /// The handshake was completed, and a reset followed before the connection could be used.
    ResetAfterAccept,
    /// An ICMP error answered.
    Icmp(IcmpError),
    /// The next hop, or the host itself on its own link, did not answer ARP or neighbour discovery: the error came
    /// from this machine.
    NoNeighbor {
        /// Our own address, which the kernel names as the sender of the error.
        own: IpAddr,
    },
    /// Nothing came back in time.
    TimedOut,
    /// The routing table has no way there.
    NoRoute {
        /// ENETUNREACH, or EHOSTUNREACH for a route that says so.
        errno: i32,
    },
    /// A local rule or policy forbade it.
    NotPermitted {
        /// EPERM or EACCES.
        errno: i32,
    },
    /// The source address or port could not be taken.
    Bind {
        /// As bind(2) gave it.
        errno: i32,
    },
    /// A socket could not be made or an option not set.
    Local {
        /// What was being done.
        what: &'static str,
        /// Why not.
        errno: i32,
    },
    /// Another address won before this one was decided.
    Abandoned,
    /// Any other error number.
    Other {
        /// As the kernel gave it.
        errno: i32,
    },
}

impl Outcome {
    /// The error number a program without the error queue sees, if it ended with one.
    pub fn errno(&self) -> Option<i32> {
        Some(match self {
            Outcome::Connected | Outcome::Abandoned => return None,
            Outcome::Reset => libc::ECONNREFUSED,
            Outcome::ResetAfterAccept => libc::ECONNRESET,
            Outcome::Icmp(error) => error.errno,
            Outcome::NoNeighbor { .. } => libc::EHOSTUNREACH,
            Outcome::TimedOut => libc::ETIMEDOUT,
            Outcome::NotPermitted { errno }
            | Outcome::NoRoute { errno }
            | Outcome::Bind { errno }
            | Outcome::Local { errno, .. }
            | Outcome::Other { errno } => *errno,
        })
    }

    /// One word for tables and JSON.
    pub fn keyword(&self) -> &'static str {
        match self {
            Outcome::Connected => "connected",
            Outcome::Reset => "reset",
            Outcome::ResetAfterAccept => "accepted_then_reset",
            Outcome::Icmp(error) => match error.offence() {
                Offence::Port => "icmp_port_unreachable",
                Offence::Host => "icmp_host_unreachable",
                Offence::Network => "icmp_net_unreachable",
                Offence::Prohibited => "icmp_prohibited",
                Offence::TimeExceeded => "icmp_time_exceeded",
                Offence::TooBig => "icmp_too_big",
                Offence::Other => "icmp_other",
            },
            Outcome::NoNeighbor { .. } => "no_neighbor",
            Outcome::TimedOut => "timeout",
            Outcome::NoRoute { .. } => "no_route",
            Outcome::NotPermitted { .. } => "not_permitted",
            Outcome::Bind { .. } => "bind_failed",
            Outcome::Local { .. } => "local_error",
            Outcome::Abandoned => "abandoned",
            Outcome::Other { .. } => "error",
        }
    }
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Where to.
    pub address: SocketAddr,
    /// From the start of the whole connect to the start of this attempt.
    pub started_after: Duration,
    /// How long it took.
    pub elapsed: Duration,
    /// Our address and port, once the kernel or the user had chosen them.
    pub source: Option<SocketAddr>,
    /// How it ended.
    pub outcome: Outcome,
}

impl Attempt {
    /// What happened, in words that name who did it: one clause without a final dot.
    pub fn finding(&self) -> Finding<'_> {
        Finding(self)
    }
}

/// Prints an attempt as a clause.
#[derive(Debug)]
pub struct Finding<'a>(&'a Attempt);

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attempt { address, elapsed, .. } = self.0;
        let host = address.ip();
        match &self.0.outcome {
            Outcome::Connected => write!(f, "accepted in {}", millis(*elapsed)),
            Outcome::Reset => {
                write!(f, "answered with a reset after {}: nothing listens there", millis(*elapsed))
            }
            Outcome::ResetAfterAccept => {
                f.write_str("accepted, then reset at once: a proxy without a backend answers like this")
            }
            Outcome::Icmp(error) => {
                write!(f, "{error}")?;
                match (error.offence(), error.offender) {
                    (Offence::Port, Some(from)) if from == host => {
                        write!(f, ": the host itself, nothing listens on port {}", address.port())
                    }
                    (Offence::Port, Some(_)) => write!(
                        f,
                        ": not the host but a rule on the way (a Service without endpoints is rejected like this)"
                    ),
                    (Offence::Prohibited, _) => f.write_str(": a filter on the way forbids it"),
                    (Offence::Host | Offence::Network, Some(from)) if from != host => {
                        f.write_str(": that router cannot or will not deliver")
                    }
                    (Offence::TimeExceeded, _) => f.write_str(": TTL used up, or a routing loop"),
                    _ => Ok(()),
                }
            }
            Outcome::NoNeighbor { own } => write!(
                f,
                "no answer to ARP or neighbour discovery on our own link (error from our own address {own}): \
                 host down, or wrong subnet"
            ),
            Outcome::TimedOut => write!(
                f,
                "no answer from {host} in {}: dropped by a filter or policy, host down, or no way back",
                millis(*elapsed)
            ),
            Outcome::NoRoute { .. } => write!(f, "no route to {host} in this network namespace"),
            Outcome::NotPermitted { errno } => {
                write!(f, "{}: a rule of this machine forbids it", errno::text(*errno))
            }
            Outcome::Bind { errno } => write!(f, "the source cannot be taken: {}", errno::text(*errno)),
            Outcome::Local { what, errno } => write!(f, "{what}: {}", errno::text(*errno)),
            Outcome::Abandoned => f.write_str("another address was quicker"),
            Outcome::Other { errno } => f.write_str(&errno::text(*errno)),
        }
    }
}

/// Milliseconds with one decimal, for people.
fn millis(duration: Duration) -> String {
    let tenths = duration.as_micros() / 100;
    format!("{}.{} ms", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(outcome: Outcome) -> Attempt {
        Attempt {
            address: "10.0.0.7:80".parse().unwrap(),
            started_after: Duration::ZERO,
            elapsed: Duration::from_micros(1_250),
            source: None,
            outcome,
        }
    }

    #[test]
    fn who_refused() {
        let icmp = |offender: &str| IcmpError {
            v6: false,
            kind: 3,
            code: 3,
            mtu: 0,
            offender: Some(offender.parse().unwrap()),
            errno: libc::ECONNREFUSED,
        };
        let line = attempt(Outcome::Icmp(icmp("10.0.0.7"))).finding().to_string();
        assert!(line.contains("the host itself"), "{line}");
        let line = attempt(Outcome::Icmp(icmp("10.1.0.1"))).finding().to_string();
        assert!(line.contains("from 10.1.0.1: not the host but a rule"), "{line}");
        let line = attempt(Outcome::Reset).finding().to_string();
        assert!(line.contains("reset after 1.2 ms"), "{line}");
        assert_eq!(Outcome::Icmp(icmp("10.1.0.1")).errno(), Some(libc::ECONNREFUSED));
    }
}
