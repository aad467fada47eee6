//! `-s`: totals from /proc/net/sockstat, sockstat6 and snmp (proc(5)).

use std::fs;
use std::io;
use std::path::Path;

use netkit_core::json::Value;

/// Figures of one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) sockets: i64,
    pub(crate) established: i64,
    pub(crate) tcp_allocated: i64,
    pub(crate) tcp_orphaned: i64,
    pub(crate) tcp_time_wait: i64,
    /// In use: IPv4, IPv6.
    pub(crate) raw: [i64; 2],
    pub(crate) udp: [i64; 2],
    pub(crate) tcp: [i64; 2],
    pub(crate) fragments: [i64; 2],
}

impl Summary {
    /// Reads the files under `net`, e.g. /proc/net.
    ///
    /// # Errors
    /// When sockstat cannot be read; the others are allowed to be missing.
    pub(crate) fn read(net: &Path) -> io::Result<Summary> {
        let text = |name: &str| fs::read_to_string(net.join(name));
        let mut summary = Summary::default();
        summary.add(&text("sockstat")?);
        summary.add(&text("sockstat6").unwrap_or_default());
        summary.established = counter(&text("snmp").unwrap_or_default(), "Tcp", "CurrEstab").unwrap_or(0);
        Ok(summary)
    }

    fn add(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let Some(name) = words.next().and_then(|name| name.strip_suffix(':')) else { continue };
            let pairs: Vec<&str> = words.collect();
            for pair in pairs.chunks_exact(2) {
                let [key, value] = pair else { continue };
                let value: i64 = value.parse().unwrap_or(0);
                match (name, *key) {
                    ("sockets", "used") => self.sockets = value,
                    ("TCP", "inuse") => self.tcp = [value, self.tcp[1]],
                    ("TCP", "orphan") => self.tcp_orphaned = value,
                    ("TCP", "tw") => self.tcp_time_wait = value,
                    ("TCP", "alloc") => self.tcp_allocated = value,
                    ("TCP6", "inuse") => self.tcp = [self.tcp[0], value],
                    ("UDP", "inuse") => self.udp = [value, self.udp[1]],
                    ("UDP6", "inuse") => self.udp = [self.udp[0], value],
                    ("RAW", "inuse") => self.raw = [value, self.raw[1]],
                    ("RAW6", "inuse") => self.raw = [self.raw[0], value],
                    ("FRAG", "inuse") => self.fragments = [value, self.fragments[1]],
                    ("FRAG6", "inuse") => self.fragments = [self.fragments[0], value],
                    _ => {}
                }
            }
        }
    }

    fn tcp_total(&self) -> i64 {
        self.tcp_allocated + self.tcp_time_wait
    }

    fn tcp_closed(&self) -> i64 {
        self.tcp_allocated - (self.tcp.iter().sum::<i64>() - self.tcp_time_wait)
    }

    /// The rows of the table: name, IPv4, IPv6.
    fn rows(&self) -> [(&'static str, [i64; 2]); 5] {
        let inet = [0, 1]
            .map(|side: usize| [self.raw, self.udp, self.tcp].iter().filter_map(|pair| pair.get(side)).sum::<i64>());
        [("RAW", self.raw), ("UDP", self.udp), ("TCP", self.tcp), ("INET", inet), ("FRAG", self.fragments)]
    }

    /// The peer's page. On anything but a terminal blanks at the end of a line are left out.
    pub(crate) fn text(&self, terminal: bool) -> String {
        let mut out = format!(
            "Total: {}\nTCP:   {} (estab {}, closed {}, orphaned {}, timewait {})\n\nTransport Total     IP        IPv6\n",
            self.sockets,
            self.tcp_total(),
            self.established,
            self.tcp_closed(),
            self.tcp_orphaned,
            self.tcp_time_wait
        );
        for (name, [v4, v6]) in self.rows() {
            let line = format!("{name}\t  {:<9} {v4:<9} {v6:<9}", v4 + v6);
            out.push_str(if terminal { &line } else { line.trim_end() });
            out.push('\n');
        }
        out.push('\n');
        out
    }

    /// As one record.
    pub(crate) fn json(&self) -> Value {
        let mut value = Value::object().with("sockets", self.sockets).with(
            "tcp",
            Value::object()
                .with("total", self.tcp_total())
                .with("established", self.established)
                .with("closed", self.tcp_closed())
                .with("orphaned", self.tcp_orphaned)
                .with("time_wait", self.tcp_time_wait),
        );
        for (name, [v4, v6]) in self.rows() {
            let row = Value::object().with("total", v4 + v6).with("ipv4", v4).with("ipv6", v6);
            value.set(&format!("{}_in_use", name.to_ascii_lowercase()), row);
        }
        value
    }
}

/// A figure of /proc/net/snmp or netstat: a line of names, then a line of numbers, each after the same word.
pub(crate) fn counter(text: &str, group: &str, name: &str) -> Option<i64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':')).filter(|(found, _)| *found == group);
    let (names, values) = (lines.next()?.1, lines.next()?.1);
    let (_, value) = names.split_whitespace().zip(values.split_whitespace()).find(|(found, _)| *found == name)?;
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_page() {
        let mut summary = Summary::default();
        // cat /proc/net/sockstat /proc/net/sockstat6
        summary.add("sockets: used 21\nTCP: inuse 1 orphan 0 tw 2 alloc 11 mem 1\nUDP: inuse 3 mem 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\nTCP6: inuse 4\nUDP6: inuse 5\nodd\n");
        summary.established = 7;
        let text = summary.text(true);
        assert!(
            text.starts_with("Total: 21\nTCP:   13 (estab 7, closed 8, orphaned 0, timewait 2)\n\nTransport"),
            "{text}"
        );
        assert!(text.contains("\nINET\t  13        4         9        \n"), "{text}");
        assert!(summary.text(false).contains("\nINET\t  13        4         9\n"));
        assert!(summary.json().to_string().contains("\"udp_in_use\":{\"total\":8,\"ipv4\":3,\"ipv6\":5}"));
    }

    #[test]
    fn counters_by_name() {
        let text = "Ip: A B\nIp: 1 2\nTcp: X CurrEstab\nTcp: 5 9\n";
        assert_eq!(counter(text, "Tcp", "CurrEstab"), Some(9));
        assert_eq!((counter(text, "Tcp", "A"), counter("Tcp: X\n", "Tcp", "X")), (None, None));
    }
}
