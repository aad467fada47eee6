//! What can still be learnt when a host is silent and this machine is not to blame: does it answer anything else, and
//! which is the last router that does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netkit_probe::{Offence, Options, Outcome, Plan, Protocol, connect};

use crate::report::{Fault, Layer, Report};
use crate::world::World;

/// Hops looked for.
const MOST_HOPS: u8 = 10;
/// A port that is hardly ever open (discard), and one that often is.
const OTHERS: [u16; 2] = [9, 22];

/// What was learnt.
#[derive(Default)]
pub(crate) struct Beyond {
    /// The host answered something else.
    pub(crate) alive: bool,
    /// Routers that answered, by hop.
    hops: Vec<(u8, IpAddr)>,
    pub(crate) evidence: Vec<String>,
}

/// Tries other ports of the host and short lives of packets, all at once.
pub(crate) fn look(world: &World, target: SocketAddr, report: &mut Report) -> Beyond {
    let mut found = Beyond::default();
    let patience = world.patience().min(Duration::from_millis(1_200));
    let try_one = |port: u16, ttl: Option<u8>| {
        let mut plan = Plan::new(vec![SocketAddr::new(target.ip(), port)], Protocol::Tcp, Some(patience));
        plan.options = Options { ttl, ..Options::default() };
        connect(&plan, &mut |_| {}).attempts.into_iter().next().map(|attempt| attempt.outcome)
    };
    let (others, hops) = std::thread::scope(|scope| {
        let others: Vec<_> = OTHERS
            .iter()
            .filter(|port| **port != target.port())
            .map(|port| (*port, scope.spawn(move || try_one(*port, None))))
            .collect();
        let hops: Vec<_> =
            (1..=MOST_HOPS).map(|ttl| (ttl, scope.spawn(move || try_one(target.port(), Some(ttl))))).collect();
        let others: Vec<_> = others.into_iter().map(|(port, thread)| (port, thread.join().ok().flatten())).collect();
        let hops: Vec<_> = hops.into_iter().map(|(ttl, thread)| (ttl, thread.join().ok().flatten())).collect();
        (others, hops)
    });
    for (port, outcome) in others {
        let answered = match outcome {
            Some(Outcome::Reset) => Some("refuses"),
            Some(Outcome::Connected | Outcome::ResetAfterAccept) => Some("accepts"),
            Some(Outcome::Icmp(error)) if error.offender == Some(target.ip()) => Some("rejects"),
            _ => None,
        };
        if let Some(how) = answered {
            found.alive = true;
            found.evidence.push(format!("{} is up: it {how} port {port}", target.ip()));
            break;
        }
    }
    for (ttl, outcome) in hops {
        if let Some(Outcome::Icmp(error)) = outcome
            && error.offence() == Offence::TimeExceeded
            && let Some(from) = error.offender
        {
            found.hops.push((ttl, from));
        }
    }
    if let Some((ttl, last)) = found.hops.last() {
        found.evidence.push(format!("the last router that answers is {last}, hop {ttl}"));
        report.note(Layer::Tcp, format!("the last router on the way that answers is {last}, hop {ttl}"));
    }
    found
}

impl Beyond {
    /// The verdict about a silent port; `open` are causes here that could not be excluded.
    pub(crate) fn fault(&self, target: SocketAddr, open: &[String]) -> Fault {
        let host = target.ip();
        let next = format!("netkit traceroute -n -T -p {} {host}", target.port());
        let mut fault = if self.alive && open.is_empty() {
            let sentence = format!(
                "{host} is up and port {} of it is silent: a firewall or network policy beyond this machine drops these connections, or its listen queue is full",
                target.port()
            );
            Fault::fatal(Layer::Tcp, "silent_port", sentence).unsure()
        } else if self.alive {
            let sentence = format!(
                "{host} is up and port {} of it is silent; cannot tell which of: a firewall or network policy that drops it, a full listen queue there, {}",
                target.port(),
                open.join(", ")
            );
            Fault::fatal(Layer::Tcp, "silent_port", sentence).unsure()
        } else {
            let mut causes =
                vec!["the host is down", "a firewall or network policy drops everything to it", "it has no way back"];
            causes.extend(open.iter().map(String::as_str));
            let last = self
                .hops
                .last()
                .map_or_else(String::new, |(ttl, last)| format!(" (packets get as far as {last}, hop {ttl})"));
            let sentence = format!("{target} is silent{last}; cannot tell which of: {}", causes.join(", "));
            Fault::fatal(Layer::Tcp, "silent", sentence).unsure()
        };
        fault.next = next;
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_is_said_so() {
        let target = "10.0.0.7:80".parse().unwrap();
        let dead = Beyond::default().fault(target, &["x".to_owned()]);
        assert!(!dead.certain && dead.sentence.contains("cannot tell which of") && dead.sentence.ends_with(", x"));
        let alive = Beyond { alive: true, ..Beyond::default() }.fault(target, &[]);
        assert!(!alive.certain && alive.sentence.contains("is up and port 80"));
    }
}
