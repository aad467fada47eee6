//! Our own evaluation of a filter, for what the kernel's bytecode cannot do and for sources other than the kernel.

use std::net::IpAddr;

use super::Node;
use super::host::{ANY_PORT, Condition, Prefix};
use crate::select::Family;
use crate::socket::Socket;

/// What evaluation needs to know beyond the socket.
pub(crate) trait Facts {
    /// Whether the kernel hands out this port on its own (net.ipv4.ip_local_port_range).
    fn is_ephemeral(&self, port: i64) -> bool;
    /// Whether a process of this name, or with this number, holds the socket.
    fn held_by(&self, socket: &Socket<'_>, name: &str) -> bool;
}

impl Node {
    /// Whether the socket is selected.
    pub(crate) fn selects(&self, socket: &Socket<'_>, facts: &dyn Facts) -> bool {
        match self {
            Node::Autobound => autobound(socket, facts),
            Node::Local(condition) => {
                let (address, word) = (socket.local, socket.local_word);
                end(condition, socket, address, word, socket.local_port, socket.name)
            }
            Node::Remote(condition) => {
                let (address, word) = (socket.remote, socket.remote_word);
                end(condition, socket, address, word, socket.remote_port, socket.peer_name)
            }
            Node::LocalPortAtLeast(port) => socket.local_port >= *port,
            Node::LocalPortAtMost(port) => socket.local_port <= *port,
            Node::RemotePortAtLeast(port) => socket.remote_port >= *port,
            Node::RemotePortAtMost(port) => socket.remote_port <= *port,
            Node::Device(index) => socket.interface == *index,
            Node::Mark { mark, mask } => socket.mark & mask == *mark,
            Node::Cgroup(id) => socket.cgroup == *id,
            Node::Process(name) => facts.held_by(socket, name),
            Node::And(left, right) => left.selects(socket, facts) && right.selects(socket, facts),
            Node::Or(left, right) => left.selects(socket, facts) || right.selects(socket, facts),
            Node::Not(inner) => !inner.selects(socket, facts),
        }
    }
}

fn autobound(socket: &Socket<'_>, facts: &dyn Facts) -> bool {
    match socket.family {
        // The kernel names such a socket with five hexadecimal digits (unix_autobind).
        Family::Unix => match socket.name {
            None => true,
            Some([b'@', digits @ ..]) => {
                digits.len() == 5 && digits.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
            }
            Some(_) => false,
        },
        Family::Packet => socket.local_port == 0 && socket.local_word == 0,
        Family::Netlink => socket.local_port < 0,
        Family::Vsock => socket.local_port > 1023,
        Family::Inet | Family::Inet6 => facts.is_ephemeral(socket.local_port),
    }
}

fn end(
    condition: &Condition,
    socket: &Socket<'_>,
    address: Option<IpAddr>,
    word: u32,
    port: i64,
    name: Option<&[u8]>,
) -> bool {
    let port_fits = |wanted: i64| wanted == ANY_PORT || wanted == port;
    match (condition, socket.family) {
        (Condition::Inet { prefixes, port }, Family::Inet | Family::Inet6) => {
            port_fits(*port)
                && (prefixes.is_empty()
                    || address.is_some_and(|address| prefixes.iter().any(|prefix| covers(prefix, address))))
        }
        (Condition::Unix(pattern), Family::Unix) => glob(pattern.as_bytes(), name.unwrap_or_default()),
        (Condition::Packet { protocol, interface }, Family::Packet) => {
            port_fits(*interface) && protocol.is_none_or(|protocol| protocol == word)
        }
        (Condition::Netlink { protocol, port_id }, Family::Netlink) => {
            port_fits(*port_id) && protocol.is_none_or(|protocol| protocol == word)
        }
        (Condition::Vsock { cid, port }, Family::Vsock) => port_fits(*port) && cid.is_none_or(|cid| cid == word),
        _ => false,
    }
}

/// An IPv4 prefix also covers the IPv6 form of its addresses, as in the kernel (inet_diag_bc_run).
fn covers(prefix: &Prefix, address: IpAddr) -> bool {
    match (prefix.address, address) {
        (IpAddr::V4(wanted), IpAddr::V4(address)) => same_bits(&wanted.octets(), &address.octets(), prefix.bits),
        (IpAddr::V6(wanted), IpAddr::V6(address)) => same_bits(&wanted.octets(), &address.octets(), prefix.bits),
        (IpAddr::V4(wanted), IpAddr::V6(address)) => {
            address.to_ipv4_mapped().is_some_and(|address| same_bits(&wanted.octets(), &address.octets(), prefix.bits))
        }
        (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

pub(super) fn same_bits(left: &[u8], right: &[u8], bits: u8) -> bool {
    let mut rest = bits;
    for (a, b) in left.iter().zip(right) {
        if rest == 0 {
            return true;
        }
        let count = rest.min(8);
        if (a ^ b) >> (8 - count) != 0 {
            return false;
        }
        rest -= count;
    }
    rest == 0
}

/// fnmatch(3) without regard to case: `*`, `?`, `[set]`, `[!set]`, and a backslash that takes the next byte as it is.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    // Where to go on when a match fails: behind the latest star, one byte further on.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let matched = match pattern.get(at) {
            None if position == text.len() => return true,
            None => None,
            Some(b'*') => {
                retry = Some((at + 1, position));
                at += 1;
                continue;
            }
            Some(_) => text.get(position).and_then(|byte| one(pattern, at, *byte)),
        };
        match (matched, retry) {
            (Some(next), _) => {
                at = next;
                position += 1;
            }
            (None, Some((behind, from))) if from < text.len() => {
                retry = Some((behind, from + 1));
                (at, position) = (behind, from + 1);
            }
            (None, _) => return false,
        }
    }
}

/// Whether the element of the pattern at `at` matches a byte; then where the next element is.
fn one(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    match pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => match set(pattern, at + 1, byte) {
            Some((next, matched)) => matched.then_some(next),
            None => (byte == b'[').then_some(at + 1),
        },
        b'\\' => match pattern.get(at + 1) {
            Some(quoted) => quoted.eq_ignore_ascii_case(&byte).then_some(at + 2),
            None => (byte == b'\\').then_some(at + 1),
        },
        plain => plain.eq_ignore_ascii_case(&byte).then_some(at + 1),
    }
}

/// Reads a set whose bracket is open; `None` when it never closes.
fn set(pattern: &[u8], start: usize, byte: u8) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(start), Some(b'!' | b'^'));
    let mut at = start + usize::from(negated);
    let first = at;
    let byte = byte.to_ascii_lowercase();
    let mut found = false;
    loop {
        let low = *pattern.get(at)?;
        if low == b']' && at > first {
            return Some((at + 1, found != negated));
        }
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(b'-'), Some(high)) if *high != b']' => {
                found |= (low.to_ascii_lowercase()..=high.to_ascii_lowercase()).contains(&byte);
                at += 3;
            }
            _ => {
                found |= low.to_ascii_lowercase() == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, wanted) in [
            ("*", "", true),
            ("/run/*.sock", "/run/a.sock", true),
            ("/run/*.sock", "/run/a.sock.x", false),
            ("@?[0-9a-c]*", "@xB", true),
            ("@?[!0-9]", "@x1", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("*a*b*c*", "xxaxxbxxc", true),
            ("[", "[", true),
            ("RUN", "run", true),
            ("", "x", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn bits() {
        assert!(same_bits(&[10, 1, 2, 3], &[10, 1, 255, 0], 16));
        assert!(!same_bits(&[10, 1, 2, 3], &[10, 1, 255, 0], 17));
        assert!(same_bits(&[10, 1, 2, 3], &[99, 1, 2, 3], 0));
    }
}
