//! Counters of this network namespace that anybody may read (/proc/net/netstat, /proc/net/snmp,
//! /proc/net/stat/nf_conntrack): what grew while a probe was silent says who swallowed it.

use std::fs;

/// A counter, where it stands, and what it means when it grows while nothing comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    /// A retransmission that this machine itself refused to send: the filter, or the queue of a device.
    RetransFail,
    /// A packet that came in and was thrown away because its source is routed elsewhere (rp_filter).
    ReversePath,
    /// A segment whose checksum was wrong.
    Checksum,
    /// A datagram that came in and was thrown away.
    InDiscards,
    /// A datagram that was not sent for want of a route.
    NoRoutes,
    /// A packet that connection tracking dropped.
    ConntrackDrop,
}

const WATCHED: [(Counter, &str, &str, &str); 5] = [
    (Counter::RetransFail, "/proc/net/netstat", "TcpExt:", "TCPRetransFail"),
    (Counter::ReversePath, "/proc/net/netstat", "TcpExt:", "IPReversePathFilter"),
    (Counter::Checksum, "/proc/net/snmp", "Tcp:", "InCsumErrors"),
    (Counter::InDiscards, "/proc/net/snmp", "Ip:", "InDiscards"),
    (Counter::NoRoutes, "/proc/net/snmp", "Ip:", "OutNoRoutes"),
];

/// Values at one moment; what cannot be read is absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot(Vec<(Counter, u64)>);

impl Snapshot {
    /// Reads them.
    pub(crate) fn take() -> Snapshot {
        let mut found = Vec::new();
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let texts = [("/proc/net/netstat", read("/proc/net/netstat")), ("/proc/net/snmp", read("/proc/net/snmp"))];
        for (counter, file, group, name) in WATCHED {
            let text = texts.iter().find(|(path, _)| *path == file).map_or("", |(_, text)| text.as_str());
            found.extend(value(text, group, name).map(|number| (counter, number)));
        }
        found.extend(conntrack_drops(&read("/proc/net/stat/nf_conntrack")).map(|n| (Counter::ConntrackDrop, n)));
        Snapshot(found)
    }

    /// How much a counter grew since `before`.
    pub(crate) fn grown(&self, before: &Snapshot, counter: Counter) -> u64 {
        let at = |list: &Snapshot| list.0.iter().find(|(known, _)| *known == counter).map(|(_, number)| *number);
        match (at(self), at(before)) {
            (Some(now), Some(then)) => now.saturating_sub(then),
            _ => 0,
        }
    }
}

/// A number of a file whose lines come in pairs: names, then values.
pub(crate) fn value(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let place = lines.next()?.split_whitespace().position(|word| word == name)?;
    lines.next()?.split_whitespace().nth(place)?.parse().ok()
}

/// The sum of the column `drop`, a hexadecimal number for each processor.
pub(crate) fn conntrack_drops(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let place = lines.next()?.split_whitespace().position(|word| word == "drop")?;
    let of_line = |line: &str| u64::from_str_radix(line.split_whitespace().nth(place)?, 16).ok();
    Some(lines.filter_map(of_line).fold(0, u64::saturating_add))
}

/// Entries of the connection table, and the most there may be.
pub(crate) fn conntrack() -> Option<(u64, u64)> {
    let read = |name: &str| -> Option<u64> {
        fs::read_to_string(format!("/proc/sys/net/netfilter/nf_conntrack_{name}")).ok()?.trim().parse().ok()
    };
    Some((read("count")?, read("max")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_lines() {
        let text = "TcpExt: SyncookiesSent TCPRetransFail\nTcpExt: 1 42\nIpExt: InNoRoutes\nIpExt: 7\n";
        assert_eq!(value(text, "TcpExt:", "TCPRetransFail"), Some(42));
        assert_eq!(value(text, "IpExt:", "InNoRoutes"), Some(7));
        assert_eq!((value(text, "TcpExt:", "x"), value("TcpExt: a\n", "TcpExt:", "a")), (None, None));
        let text = "entries  searched found drop early_drop\n00000001 0 0 0000000a 0\n00000001 0 0 00000002 0\n";
        assert_eq!(conntrack_drops(text), Some(12));
    }

    #[test]
    fn growth() {
        let before = Snapshot(vec![(Counter::RetransFail, 5)]);
        let after = Snapshot(vec![(Counter::RetransFail, 7), (Counter::Checksum, 3)]);
        assert_eq!(after.grown(&before, Counter::RetransFail), 2);
        assert_eq!(after.grown(&before, Counter::Checksum), 0);
    }
}
