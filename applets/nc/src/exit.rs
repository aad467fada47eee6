//! Statuses of `--rc`, which tell kinds of failure apart; without it they are the peers' 0 and 1 (ncat: 2).

use netkit_core::Exit;
use netkit_probe::udp::UdpFinding;
use netkit_probe::{IcmpError, Nature, Offence, Outcome};

/// The name was not found.
pub(crate) const DNS: Exit = Exit(2);
/// The host itself refused.
pub(crate) const REFUSED: Exit = Exit(3);
/// Nothing came back.
pub(crate) const TIMEOUT: Exit = Exit(4);
/// No way there, or something on the way forbids it.
pub(crate) const UNREACHABLE: Exit = Exit(5);
/// Accepted, then closed or reset at once.
pub(crate) const CLOSED: Exit = Exit(6);
/// UDP silence.
pub(crate) const NO_PROOF: Exit = Exit(7);

/// The status of one attempt at `host`.
pub(crate) fn of_outcome(outcome: &Outcome, host: std::net::IpAddr) -> Exit {
    match outcome {
        Outcome::Connected => Exit::OK,
        Outcome::Reset => REFUSED,
        Outcome::ResetAfterAccept => CLOSED,
        Outcome::Icmp(error) if from_host(error, host) => REFUSED,
        Outcome::TimedOut => TIMEOUT,
        Outcome::Icmp(_) | Outcome::NoNeighbor { .. } | Outcome::NoRoute { .. } | Outcome::NotPermitted { .. } => {
            UNREACHABLE
        }
        Outcome::Bind { .. } | Outcome::Local { .. } | Outcome::Abandoned | Outcome::Other { .. } => Exit(1),
    }
}

fn from_host(error: &IcmpError, host: std::net::IpAddr) -> bool {
    error.offence() == Offence::Port && error.offender == Some(host)
}

/// The status of an open TCP port.
pub(crate) fn of_nature(nature: &Nature) -> Exit {
    match nature {
        Nature::Silent | Nature::Banner(_) => Exit::OK,
        Nature::Closed | Nature::Reset => CLOSED,
        Nature::Failed(_) => Exit(1),
    }
}

/// The status of a UDP port.
pub(crate) fn of_udp(finding: &UdpFinding, host: std::net::IpAddr) -> Exit {
    match finding {
        UdpFinding::Answered(_) | UdpFinding::Spoke(_) => Exit::OK,
        UdpFinding::Failed(outcome) => of_outcome(outcome, host),
        UdpFinding::Silent(_) => NO_PROOF,
    }
}
