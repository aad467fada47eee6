//! Nothing came back: who swallowed it? This machine's own filter, connection table, routes and neighbours are asked
//! before anything beyond is suspected.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netkit_core::privilege::{Capability, missing};
use netkit_probe::{Options, Outcome, Plan, Protocol, connect};

use crate::counters::{Counter, Snapshot, conntrack};
use crate::filter::{self, Finding, Stop};
use crate::kernel::{Iface, Kernel, same_network};
use crate::report::{Fault, Layer, Report};
use crate::world::World;

/// A packet that was sent and not answered.
#[derive(Clone, Copy)]
pub(crate) struct Probe<'a> {
    pub(crate) target: SocketAddr,
    /// The address it was sent from.
    pub(crate) source: Option<IpAddr>,
    pub(crate) udp: bool,
    /// Counters before it was sent.
    pub(crate) before: &'a Snapshot,
}

/// What is known of it.
#[derive(Default)]
pub(crate) struct Known {
    /// The cause, if it is on this machine or its links.
    pub(crate) fault: Option<Fault>,
    pub(crate) evidence: Vec<String>,
    /// Causes that remain possible here.
    pub(crate) open: Vec<String>,
    /// Where this machine's own rules send the connection instead.
    pub(crate) behind: Option<SocketAddr>,
    /// The rules could not be read.
    pub(crate) blind: bool,
}

/// Looks for the cause on this machine.
pub(crate) fn explain(world: &World, kernel: &mut Kernel, probe: Probe<'_>, report: &mut Report) -> Known {
    let mut known = Known::default();
    let target = probe.target;
    let way = match kernel.way(target.ip(), None) {
        Ok(way) => way,
        Err(error) => {
            known.evidence.push(format!("asked for the route, the kernel says: {error}"));
            return known;
        }
    };
    let source = probe.source.or(way.source);
    let interfaces = kernel.interfaces().unwrap_or_default();
    let iface = interfaces.iter().find(|iface| iface.index == way.output);
    if let Some(iface) = iface {
        if !iface.has_carrier() && !iface.is_loopback() {
            let sentence =
                format!("{} leads there and has no carrier: its cable, peer or pod network is gone", iface.name);
            known.fault = Some(
                Fault::fatal(Layer::Route, "no_carrier", sentence).next(format!("netkit ip link show {}", iface.name)),
            );
            return known;
        }
        if let Some(fault) = neighbour(kernel, iface, way.gateway.unwrap_or(target.ip()), target.ip()) {
            known.fault = Some(fault);
            return known;
        }
    }
    let after = Snapshot::take();
    let grown = |counter: Counter| after.grown(probe.before, counter);
    if let Some(fault) = full_table(&after, probe.before) {
        known.fault = Some(fault);
        return known;
    }
    if let Some(source) = source {
        known.fault = filtered(world, source, probe, report, &mut known);
        if known.fault.is_some() {
            return known;
        }
    }
    let mut lost_here = grown(Counter::RetransFail);
    if lost_here == 0 && known.blind && !probe.udp && !world.brief {
        // The counter moves with the first repetition of a SYN, after a second.
        let before = Snapshot::take();
        let plan = Plan::new(vec![target], Protocol::Tcp, Some(Duration::from_millis(1_300)));
        let tried = connect(&plan, &mut |_| {});
        if tried.socket.is_none() {
            lost_here = Snapshot::take().grown(&before, Counter::RetransFail);
        }
    }
    if lost_here > 0 {
        let sentence = format!(
            "this machine throws its own packets to {target} away before they leave: a DROP rule in OUTPUT, an eBPF program or a queue of {} does it",
            iface.map_or("the device", |iface| iface.name.as_str())
        );
        known.fault = Some(
            Fault::fatal(Layer::Netfilter, "dropped_here", sentence)
                .evidence(format!(
                    "TCPRetransFail in /proc/net/netstat grew by {lost_here} while the connection was tried"
                ))
                .next(trace_command(source, target, probe.udp)),
        );
        return known;
    }
    if grown(Counter::ReversePath) > 0 {
        let sentence = format!(
            "answers from {} arrive and the kernel throws them away: their source is routed through another interface (rp_filter)",
            target.ip()
        );
        known.fault = Some(
            Fault::fatal(Layer::Route, "reverse_path_filter", sentence)
                .evidence("IPReversePathFilter in /proc/net/netstat grew while the connection was tried")
                .next(format!("netkit ip why {}", target.ip())),
        );
        return known;
    }
    if grown(Counter::Checksum) > 0 {
        let sentence = format!(
            "answers arrive with wrong checksums and are thrown away (a broken offload on the way to {})",
            target.ip()
        );
        known.fault = Some(
            Fault::fatal(Layer::Tcp, "bad_checksums", sentence)
                .evidence("InCsumErrors in /proc/net/snmp grew while the connection was tried")
                .next("netkit tcpdump -nvv -c 10 tcp"),
        );
        return known;
    }
    if let (Some(iface), Some(source), false) = (iface, source, probe.udp) {
        known.fault =
            wrong_source(world, iface, way.gateway.unwrap_or(target.ip()), source, target, &mut known.evidence);
    }
    known
}

/// The next hop, if nobody answers for it.
pub(crate) fn neighbour(kernel: &mut Kernel, iface: &Iface, hop: IpAddr, target: IpAddr) -> Option<Fault> {
    let state = kernel.neighbour(hop, iface)?;
    if !state.is_dead() {
        return None;
    }
    let (who, what) = if hop == target {
        (format!("{hop} is on our own link"), "the host is down, gone, or the address is wrong")
    } else {
        (format!("the gateway {hop} for {target}"), "without it nothing leaves this network")
    };
    let asks = if hop.is_ipv4() { "ARP" } else { "neighbour discovery" };
    let verb = if hop == target { "and does not answer" } else { "does not answer" };
    let sentence = format!("{who} {verb} {asks} on {}: {what}", iface.name);
    Some(
        Fault::fatal(Layer::Route, "dead_neighbour", sentence)
            .evidence(format!("neighbour {hop} dev {} is {}", iface.name, state.name()))
            .next(format!("netkit ip neigh show dev {}", iface.name)),
    )
}

/// The connection table is full, or has just thrown packets away.
pub(crate) fn full_table(after: &Snapshot, before: &Snapshot) -> Option<Fault> {
    let dropped = after.grown(before, Counter::ConntrackDrop);
    let (count, max) = conntrack().unwrap_or((0, 0));
    let full = max > 0 && count >= max;
    if !full && dropped == 0 {
        return None;
    }
    let sentence = if full {
        format!(
            "the connection table of this machine (conntrack) is full ({count} of {max} entries): new connections are dropped"
        )
    } else {
        format!(
            "connection tracking of this machine threw {dropped} packets away while this was tried ({count} of {max} entries in use)"
        )
    };
    let mut fault = Fault::fatal(Layer::Netfilter, "conntrack_full", sentence).next("netkit ss -s");
    if full {
        fault = fault.evidence(format!("nf_conntrack_count {count}, nf_conntrack_max {max}"));
    }
    if dropped > 0 {
        fault = fault.evidence(format!("column drop of /proc/net/stat/nf_conntrack grew by {dropped}"));
    }
    Some(fault)
}

/// The walk through this machine's filter.
pub(crate) fn filtered(
    world: &World,
    source: IpAddr,
    probe: Probe<'_>,
    report: &mut Report,
    known: &mut Known,
) -> Option<Fault> {
    match filter::walk(source, probe.target, probe.udp, Some(world.uid)) {
        Finding::Stopped(stop) => {
            report.broken(Layer::Netfilter, format!("{} {}", stop.place, stop.rule), None);
            Some(stopped(&stop, source, probe))
        }
        Finding::Passes { behind, steps } => {
            let to = behind.map_or_else(String::new, |behind| format!(", translated to {behind}"));
            report.fine(Layer::Netfilter, format!("the filter of this machine lets it pass ({steps} steps{to})"), None);
            known.evidence.push(format!("this machine's own filter lets it pass{to}"));
            known.behind = behind;
            None
        }
        Finding::Open { why, .. } => {
            report.note(Layer::Netfilter, format!("cannot be decided: {why}"));
            known.open.push(format!("a rule of this machine that cannot be decided from here ({why})"));
            None
        }
        Finding::Unseen { why, denied } => {
            let line = if denied {
                missing(
                    Capability::NetAdmin,
                    "reading the packet filter",
                    "counters and errors that packets leave behind",
                )
            } else {
                format!("the packet filter cannot be read: {why}")
            };
            report.unseen(Layer::Netfilter, line);
            known.blind = true;
            known.open.push("a rule of this machine's filter, which may not be read from here".to_owned());
            None
        }
    }
}

/// The words for a rule that stops the connection.
pub(crate) fn stopped(stop: &Stop, source: IpAddr, probe: Probe<'_>) -> Fault {
    let target = probe.target;
    let lower = stop.rule.to_ascii_lowercase();
    let next = trace_command(Some(source), target, probe.udp);
    let rule = format!("{} {}", stop.place, stop.rule);
    if let Some(service) = stop.service.clone().or_else(|| without_endpoints(&stop.rule)) {
        let sentence = format!(
            "the Service {service} at {target} has no endpoints: kube-proxy's rule on this machine rejects the connection"
        );
        return Fault::fatal(Layer::Netfilter, "no_endpoints", sentence)
            .evidence(rule)
            .next(kubectl_endpoints(&service));
    }
    let verb = match (stop.drops, stop.answer) {
        (true, false) => "drops (DROP) the connection",
        (true, true) => "drops (DROP) the answers of the connection",
        (false, _) => "rejects (REJECT) the connection",
    };
    let policy = ["cali-", "cilium", "kube-router", "networkpolicy", "weave", "antrea", "policy_agent"];
    let whose = if policy.iter().any(|word| lower.contains(word) || stop.place.to_ascii_lowercase().contains(word)) {
        " (a network policy's)"
    } else {
        ""
    };
    let share = if stop.share < 100 { format!(" {} % of the time", stop.share) } else { String::new() };
    let sentence = format!("a rule of this machine{whose} {verb} to {target}{share}: {}", short_rule(stop));
    let cause = if stop.drops { "dropped_here" } else { "rejected_here" };
    Fault::fatal(Layer::Netfilter, cause, sentence).evidence(rule).next(next)
}

fn short_rule(stop: &Stop) -> String {
    let text = if stop.place.ends_with("policy") {
        format!("the policy of {}", stop.place.trim_end_matches(" policy"))
    } else {
        format!("{}: {}", stop.place, stop.rule)
    };
    text.chars().take(160).collect()
}

/// The Service that a rule of kube-proxy's names as having no endpoints.
fn without_endpoints(rule: &str) -> Option<String> {
    let at = rule.find(" has no endpoints").or_else(|| rule.find(" has no local endpoints"))?;
    let before = rule.get(..at)?;
    let name = before.rsplit(['"', ' ']).next()?;
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

pub(crate) fn kubectl_endpoints(service: &str) -> String {
    let (namespace, name) = service.split_once('/').unwrap_or(("default", service));
    format!(
        "kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={}",
        name.split(':').next().unwrap_or(name)
    )
}

pub(crate) fn trace_command(source: Option<IpAddr>, target: SocketAddr, udp: bool) -> String {
    let kind = if udp { "udp" } else { "tcp" };
    let source = source.map_or_else(|| "SOURCE".to_owned(), |source| source.to_string());
    format!("netkit iptables --trace {kind} {source} {target}")
}

/// The address the kernel chose may be one that nobody finds the way back to; another one of the interface is tried.
fn wrong_source(
    world: &World,
    iface: &Iface,
    hop: IpAddr,
    source: IpAddr,
    target: SocketAddr,
    evidence: &mut Vec<String>,
) -> Option<Fault> {
    let usual = |address: &IpAddr| address.is_ipv4() == target.is_ipv4() && *address != source;
    let near = iface.addresses.iter().find(|(own, bits)| usual(own) && same_network(*own, hop, *bits));
    let (other, _) = near?;
    if iface.addresses.iter().any(|(own, bits)| *own == source && same_network(source, hop, *bits)) {
        return None;
    }
    evidence.push(format!("the source chosen is {source}, which is not in the network of {} ({other})", iface.name));
    let patience = world.patience().min(Duration::from_secs(2));
    let mut plan = Plan::new(vec![target], Protocol::Tcp, Some(patience));
    plan.sources = vec![SocketAddr::new(*other, 0)];
    plan.options = Options::default();
    let tried = connect(&plan, &mut |_| {});
    if !tried.attempts.iter().any(|attempt| matches!(attempt.outcome, Outcome::Connected | Outcome::Reset)) {
        return None;
    }
    let sentence = format!(
        "packets leave with the source {source}, to which {target} has no way back; from {other}, the address of {}, it answers",
        iface.name
    );
    Some(
        Fault::fatal(Layer::Route, "wrong_source", sentence)
            .evidence(format!("from {other} the same connection was answered"))
            .next(format!("netkit ip route get {}", target.ip())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_without_endpoints_is_named() {
        let rule = "-A KUBE-SERVICES -d 10.96.7.7/32 -p tcp -m comment --comment \"default/web:http has no endpoints\" -m tcp --dport 80 -j REJECT";
        assert_eq!(without_endpoints(rule).as_deref(), Some("default/web:http"));
        assert_eq!(
            kubectl_endpoints("default/web:http"),
            "kubectl -n default get endpointslices -l kubernetes.io/service-name=web"
        );
        assert_eq!(without_endpoints("-A X -j DROP"), None);
    }

    #[test]
    fn words_for_rules() {
        let before = Snapshot::default();
        let probe = Probe { target: "10.0.0.7:80".parse().unwrap(), source: None, udp: false, before: &before };
        let stop = Stop {
            drops: true,
            place: "legacy filter OUTPUT 1".to_owned(),
            rule: "-A OUTPUT -p tcp -m tcp --dport 80 -j DROP".to_owned(),
            answer: false,
            share: 100,
            service: None,
        };
        let fault = stopped(&stop, "10.0.0.1".parse().unwrap(), probe);
        assert_eq!((fault.layer, fault.cause, fault.certain), (Layer::Netfilter, "dropped_here", true));
        assert!(fault.sentence.contains("drops (DROP) the connection to 10.0.0.7:80"), "{}", fault.sentence);
        assert_eq!(fault.next, "netkit iptables --trace tcp 10.0.0.1 10.0.0.7:80");
    }
}
