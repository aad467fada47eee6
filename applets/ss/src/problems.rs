//! `--problems`: what is wrong with the sockets of this namespace, each finding with its number and why it matters.
//!
//! The judgement is a pure function over what one pass collected, so that tests can hand it anything.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_nl::Attrs;
use netkit_nl::diag::{SkMemInfo, TcpInfo, inet};

use crate::names;
use crate::report;
use crate::run::Job;
use crate::select::{Table, state};
use crate::socket::Socket;
use crate::summary::counter;

/// Sockets of one kind at one place from which on it is a pile.
const PILE: u64 = 20;
/// TIME-WAIT sockets with one peer and port that are worth a word.
const MANY_TIME_WAIT: u64 = 1000;
/// Share of local ports in use towards one peer and port, per cent.
const PORTS_USED: u64 = 80;
/// Share of segments sent again, per cent, and how many must have been sent to tell.
const RETRANSMITTED: u64 = 2;
const ENOUGH_SEGMENTS: u64 = 1000;
/// Findings of one kind that are listed one by one.
const MOST_EACH: usize = 20;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    /// Stable name, for scripts.
    kind: &'static str,
    /// What and how much.
    what: String,
    why: &'static str,
}

/// What the pass collected.
#[derive(Debug, Default)]
struct Facts {
    /// Listeners: text, connections waiting, limit.
    full: Vec<(String, u32, u32)>,
    loopback_listeners: Vec<String>,
    /// Text, bytes, milliseconds of backoff or zero-window probes: nothing moves.
    stuck: Vec<(String, u32, &'static str)>,
    close_wait: BTreeMap<String, u64>,
    /// By local address, peer address and peer port: the connections that take a local port.
    ports: BTreeMap<(IpAddr, IpAddr, i64), u64>,
    /// By peer address and the service's port at our side.
    time_wait: BTreeMap<(IpAddr, i64), u64>,
    /// Half-open connections by listener.
    half_open: BTreeMap<i64, u64>,
    segments_sent: u64,
    segments_again: u64,
    /// Text, sent again, sent.
    worst: Vec<(String, u64, u64)>,
    ephemeral: u64,
    /// UDP sockets: text, datagrams dropped, bytes of the receive buffer.
    dropping: Vec<(String, u32, u32)>,
    /// ListenOverflows and ListenDrops of /proc/net/netstat.
    overflows: i64,
    drops: i64,
}

impl Facts {
    fn add(&mut self, socket: &Socket<'_>, holder: impl Fn() -> String) {
        let text = || report::end(socket, true);
        match (socket.table, socket.state) {
            (Table::Tcp, state::N_LISTEN) => {
                if socket.recv_q > socket.send_q && socket.send_q > 0 {
                    self.full.push((text(), socket.recv_q, socket.send_q));
                }
                if socket.local.is_some_and(|address| address.is_loopback()) {
                    self.loopback_listeners.push(format!("{} {}", text(), holder()));
                }
                return;
            }
            (Table::Tcp, state::N_CLOSE_WAIT) => *self.close_wait.entry(holder()).or_default() += 1,
            _ => {}
        }
        if socket.table != Table::Tcp {
            let memory =
                Attrs::new(socket.attributes).find(inet::SKMEMINFO).map(|memory| SkMemInfo::read(memory.value));
            if let Some(memory) = memory.filter(|memory| socket.table == Table::Udp && memory.drops > 0) {
                self.dropping.push((format!("{} {}", text(), holder()), memory.drops, memory.rcvbuf));
            }
            return;
        }
        let ends = socket.local.zip(socket.remote);
        if let Some((local, remote)) = ends {
            match socket.state {
                // SYN-RECV
                3 => *self.half_open.entry(socket.local_port).or_default() += 1,
                6 => *self.time_wait.entry((remote, socket.local_port)).or_default() += 1,
                _ => {}
            }
            if socket.remote_port != 0 {
                *self.ports.entry((local, remote, socket.remote_port)).or_default() += 1;
            }
        }
        if socket.send_q > 0 && socket.state == state::N_ESTABLISHED {
            let pair = || format!("{} -> {}", text(), report::end(socket, false));
            match socket.timer {
                4 => self.stuck.push((pair(), socket.send_q, "the peer's window is closed")),
                1 if socket.retransmits >= 3 => self.stuck.push((pair(), socket.send_q, "nothing is acknowledged")),
                _ => {}
            }
        }
        if let Some(info) = Attrs::new(socket.attributes).find(inet::INFO) {
            let info = TcpInfo::read(info.value);
            let (sent, again) = (u64::from(info.data_segs_out), u64::from(info.total_retrans));
            self.segments_sent += sent;
            self.segments_again += again;
            if sent >= ENOUGH_SEGMENTS && again * 100 >= sent * RETRANSMITTED {
                self.worst.push((format!("{} -> {}", text(), report::end(socket, false)), again, sent));
            }
        }
    }

    fn judge(mut self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (listener, waiting, limit) in &self.full {
            found.push(Finding {
                kind: "accept_queue_full",
                what: format!("{listener}: {waiting} connections wait to be accepted, limit {limit}"),
                why: "new connections are dropped; clients see timeouts although the port is open",
            });
        }
        if self.overflows > 0 {
            found.push(Finding {
                kind: "listen_overflows",
                what: format!(
                    "{} accept queue overflows, {} connections dropped since the namespace began",
                    self.overflows, self.drops
                ),
                why: "a program accepts too slowly or its backlog is too small, at some time at least",
            });
        }
        for (pair, bytes, reason) in &self.stuck {
            found.push(Finding {
                kind: "send_queue_stuck",
                what: format!("{pair}: {bytes} bytes wait, {reason}"),
                why: "the other side does not read, or packets are lost on the way",
            });
        }
        for (socket, count, buffer) in &self.dropping {
            found.push(Finding {
                kind: "udp_drops",
                what: format!("{socket}: {count} datagrams dropped, receive buffer {buffer} bytes"),
                why: "the program reads too slowly for what arrives, or its buffer is too small for bursts",
            });
        }
        for (holder, count) in self.close_wait.iter().filter(|(_, count)| **count >= PILE) {
            found.push(Finding {
                kind: "close_wait_pile",
                what: format!("{count} sockets in CLOSE-WAIT: {holder}"),
                why: "the peer has closed and the program has not: a leak that ends with no descriptors left",
            });
        }
        found.extend(self.port_findings());
        for ((peer, port), count) in self.time_wait.iter().filter(|(_, count)| **count >= MANY_TIME_WAIT) {
            found.push(Finding {
                kind: "time_wait_from_one_client",
                what: format!("{count} sockets in TIME-WAIT with {peer} on local port {port}"),
                why: "that client opens a connection for each request; keepalive would spare both sides",
            });
        }
        for (port, count) in self.half_open.iter().filter(|(_, count)| **count >= PILE) {
            found.push(Finding {
                kind: "half_open_pile",
                what: format!("{count} connections in SYN-RECV on local port {port}"),
                why: "the answers get lost on the way back (asymmetric route, policy), or somebody floods",
            });
        }
        if self.segments_sent >= ENOUGH_SEGMENTS && self.segments_again * 100 >= self.segments_sent * RETRANSMITTED {
            found.push(Finding {
                kind: "retransmissions",
                what: format!("{} of {} data segments were sent again", self.segments_again, self.segments_sent),
                why: "the path loses packets",
            });
        }
        self.worst.sort_by_key(|(_, again, _)| std::cmp::Reverse(*again));
        for (pair, again, sent) in self.worst.iter().take(MOST_EACH) {
            found.push(Finding {
                kind: "retransmissions_of_one",
                what: format!("{pair}: {again} of {sent} data segments were sent again"),
                why: "the path to this peer loses packets",
            });
        }
        for listener in &self.loopback_listeners {
            found.push(Finding {
                kind: "listener_on_loopback",
                what: listener.trim_end().to_owned(),
                why: "reachable from inside this namespace only; a Service or probe that targets it gets refused",
            });
        }
        cut(found)
    }

    fn port_findings(&self) -> Vec<Finding> {
        let full = |count: u64| self.ephemeral > 0 && count * 100 >= self.ephemeral * PORTS_USED;
        self.ports
            .iter()
            .filter(|(_, count)| full(**count))
            .map(|((local, remote, port), count)| Finding {
                kind: "local_ports_exhausted",
                what: format!(
                    "{count} of {} local ports from {local} to {remote} port {port} are taken",
                    self.ephemeral
                ),
                why: "soon connect fails with EADDRNOTAVAIL; TIME-WAIT counts too",
            })
            .collect()
    }
}

/// At most so many of each kind, and a line that says how many more there are.
fn cut(found: Vec<Finding>) -> Vec<Finding> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut kept: Vec<Finding> = Vec::new();
    for finding in found {
        let count = counts.entry(finding.kind).or_default();
        *count += 1;
        if *count <= MOST_EACH {
            kept.push(finding);
        }
    }
    for (kind, count) in counts.into_iter().filter(|(_, count)| *count > MOST_EACH) {
        let like = kept.iter().rposition(|finding| finding.kind == kind);
        if let Some((at, finding)) = like.and_then(|at| Some((at, kept.get(at)?.clone()))) {
            let more = Finding { what: format!("and {} more of this kind", count - MOST_EACH), ..finding };
            kept.insert(at + 1, more);
        }
    }
    kept
}

/// Prints the findings; status 1 when there are any, beyond listeners on loopback.
pub(crate) fn run(ctx: &mut Ctx, job: &Job) -> Result<Exit, Error> {
    let world = job.world_with_owners()?;
    let mut tour = job.tour_with_info();
    tour.known.owners = Rc::clone(&world.owners);
    let (low, high) = names::ephemeral_range();
    let mut facts = Facts { ephemeral: u64::try_from(high - low + 1).unwrap_or(0), ..Facts::default() };
    let net = job.files.as_deref().unwrap_or(Path::new("/proc/net"));
    let netstat = fs::read_to_string(net.join("netstat")).unwrap_or_default();
    facts.overflows = counter(&netstat, "TcpExt", "ListenOverflows").unwrap_or(0);
    facts.drops = counter(&netstat, "TcpExt", "ListenDrops").unwrap_or(0);
    tour.each(&mut |socket| {
        facts.add(socket, || match world.owners.of(socket.inode).next() {
            Some((name, holder)) => format!("{name} pid={}", holder.pid),
            None => format!("uid={}", socket.uid),
        });
        true
    })?;
    let found = facts.judge();
    let serious = found.iter().any(|finding| finding.kind != "listener_on_loopback");
    if job.options.json {
        let list: Vec<Value> = found
            .iter()
            .map(|finding| {
                Value::object().with("kind", finding.kind).with("what", finding.what.as_str()).with("why", finding.why)
            })
            .collect();
        writeln!(ctx.stdout, "{}", Value::object().with("schema", "ss-problems/1").with("problems", list))?;
    } else if found.is_empty() {
        writeln!(ctx.stdout, "no problems found")?;
    }
    if !job.options.json {
        for finding in &found {
            writeln!(ctx.stdout, "{}: {}\n    {}", finding.kind, finding.what, finding.why)?;
        }
    }
    Ok(Exit(u8::from(serious)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::Family;

    fn tcp(state: u8, local_port: i64, remote_port: i64) -> Socket<'static> {
        Socket {
            state,
            local: Some("10.0.0.1".parse().unwrap()),
            remote: Some("10.0.0.2".parse().unwrap()),
            local_port,
            remote_port,
            ..Socket::new(Table::Tcp, Family::Inet)
        }
    }

    fn kinds(sockets: &[Socket<'_>], facts: Facts) -> Vec<&'static str> {
        let mut facts = facts;
        for socket in sockets {
            facts.add(socket, || "app pid=7".to_owned());
        }
        facts.judge().into_iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn a_healthy_namespace_has_none() {
        let listener = Socket { send_q: 128, recv_q: 128, ..tcp(10, 80, 0) };
        let busy = Socket { send_q: 9000, timer: 1, ..tcp(1, 80, 40_000) };
        assert_eq!(kinds(&[listener, busy, tcp(6, 80, 40_001), tcp(8, 80, 40_002)], Facts::default()), [""; 0]);
    }

    #[test]
    fn each_kind() {
        let full = Socket { recv_q: 129, send_q: 128, ..tcp(10, 80, 0) };
        assert_eq!(kinds(&[full], Facts::default()), ["accept_queue_full"]);
        assert_eq!(kinds(&[], Facts { overflows: 3, drops: 4, ..Facts::default() }), ["listen_overflows"]);
        let stuck = Socket { send_q: 1, timer: 4, ..tcp(1, 80, 40_000) };
        let lost = Socket { send_q: 1, timer: 1, retransmits: 3, ..tcp(1, 80, 40_001) };
        assert_eq!(kinds(&[stuck, lost], Facts::default()), ["send_queue_stuck", "send_queue_stuck"]);
        // SKMEMINFO: nine words, the last is the drops.
        let memory: Vec<u8> = [&40u16.to_ne_bytes()[..], &7u16.to_ne_bytes(), &[0; 32], &5u32.to_ne_bytes()].concat();
        let udp = Socket { attributes: &memory, ..Socket::new(Table::Udp, Family::Inet) };
        assert_eq!(kinds(&[udp], Facts::default()), ["udp_drops"]);
        let pile: Vec<Socket<'_>> = (0..20).map(|port| tcp(8, 80, 40_000 + port)).collect();
        assert_eq!(kinds(&pile, Facts::default()), ["close_wait_pile"]);
        let local = Socket { local: Some("127.0.0.1".parse().unwrap()), ..tcp(10, 80, 0) };
        assert_eq!(kinds(&[local], Facts::default()), ["listener_on_loopback"]);
        let outgoing: Vec<Socket<'_>> = (0..8).map(|port| tcp(1, 40_000 + port, 443)).collect();
        assert_eq!(kinds(&outgoing, Facts { ephemeral: 10, ..Facts::default() }), ["local_ports_exhausted"]);
        let waiting: Vec<Socket<'_>> = (0..1000).map(|port| tcp(6, 80, 2000 + port)).collect();
        assert_eq!(kinds(&waiting, Facts::default()), ["time_wait_from_one_client"]);
        let half: Vec<Socket<'_>> = (0..20).map(|port| tcp(3, 80, 2000 + port)).collect();
        assert_eq!(kinds(&half, Facts::default()), ["half_open_pile"]);
        let lossy = Facts { segments_sent: 1000, segments_again: 20, ..Facts::default() };
        assert_eq!(kinds(&[], lossy), ["retransmissions"]);
    }

    #[test]
    fn a_flood_of_findings_is_cut() {
        let listeners: Vec<Socket<'_>> =
            (0..50).map(|port| Socket { recv_q: 9, send_q: 1, ..tcp(10, port, 0) }).collect();
        let mut facts = Facts::default();
        listeners.iter().for_each(|socket| facts.add(socket, String::new));
        let found = facts.judge();
        assert_eq!(found.len(), MOST_EACH + 1);
        assert_eq!(found.last().unwrap().what, "and 30 more of this kind");
    }
}
