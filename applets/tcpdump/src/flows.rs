//! `--flows`: one line a flow at the end, and in words what happened to it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use netkit_print::walk::{Segment, Walk};

use crate::holders::Holders;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Flows remembered at most; packets of further ones are counted and not looked at.
const MOST: usize = 1 << 18;

/// The two ends and the protocol, the lower end first.
type Key = (SocketAddr, SocketAddr, u8);

/// Times are nanoseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    flows: HashMap<Key, Flow>,
    /// In the order of their first packets.
    order: Vec<Key>,
    beyond: u64,
    /// Of a live capture: whose sockets these are.
    holders: Option<Holders>,
}

#[derive(Debug)]
struct Flow {
    /// Whoever spoke first.
    client: SocketAddr,
    server: SocketAddr,
    tunnel: &'static str,
    first: u64,
    last: u64,
    /// From the client, from the server.
    packets: [u64; 2],
    bytes: [u64; 2],
    syns: u32,
    syn_at: Option<u64>,
    answer_at: Option<u64>,
    handshake_at: Option<u64>,
    reset: Option<(usize, u64)>,
    fin: Option<usize>,
    retransmits: [u32; 2],
    zero_windows: [u32; 2],
    next: [Option<u32>; 2],
    hello: [bool; 2],
    icmp: Option<String>,
    /// Program and process at each end that is of this host.
    holders: [Option<String>; 2],
}

impl Flow {
    fn new(client: SocketAddr, server: SocketAddr, now: u64, tunnel: &'static str) -> Flow {
        Flow {
            client,
            server,
            tunnel,
            first: now,
            last: now,
            packets: [0; 2],
            bytes: [0; 2],
            syns: 0,
            syn_at: None,
            answer_at: None,
            handshake_at: None,
            reset: None,
            fin: None,
            retransmits: [0; 2],
            zero_windows: [0; 2],
            next: [None; 2],
            hello: [false; 2],
            icmp: None,
            holders: [None, None],
        }
    }

    fn segment(&mut self, side: usize, now: u64, segment: &Segment, payload: &[u8], length: usize) {
        let flags = segment.flags;
        if flags & SYN != 0 && side == 0 && flags & ACK == 0 {
            self.syns += 1;
            self.syn_at.get_or_insert(now);
        }
        if flags & (SYN | ACK) == SYN | ACK && side == 1 {
            self.answer_at.get_or_insert(now);
        }
        if flags & (SYN | ACK | RST) == ACK && side == 0 && self.answer_at.is_some() {
            self.handshake_at.get_or_insert(now);
        }
        if flags & RST != 0 {
            self.reset.get_or_insert((side, now));
        } else if flags & FIN != 0 {
            self.fin.get_or_insert(side);
        }
        if segment.window == 0 && flags & (RST | SYN) == 0 {
            bump(&mut self.zero_windows, side);
        }
        let size = (length as u32).wrapping_add(u32::from(flags & (SYN | FIN) != 0));
        let end = segment.seq.wrapping_add(size);
        let expected = self.next.get(side).copied().flatten();
        // What begins before the highest byte sent so far has been sent before; a probe of one byte is no data.
        let again = size > 0 && expected.is_some_and(|next| end.wrapping_sub(next) as i32 <= 0);
        if again && flags & RST == 0 {
            bump(&mut self.retransmits, side);
        } else if let Some(next) = self.next.get_mut(side) {
            *next = Some(end);
        }
        if let [0x16, 3, _, _, _, kind, ..] = payload
            && let Some(hello) = self.hello.get_mut(side)
        {
            *hello |= *kind == if side == 0 { 1 } else { 2 };
        }
    }

    /// What happened, in words.
    fn verdict(&self, protocol: u8) -> String {
        if let Some(icmp) = &self.icmp {
            return icmp.clone();
        }
        let answered = self.packets.get(1).is_some_and(|count| *count > 0);
        if protocol != 6 {
            return match (answered, self.packets.first()) {
                (true, _) => "answered".to_owned(),
                (false, Some(1)) => "one packet, no answer".to_owned(),
                (false, _) => format!("{} packets, no answer", self.packets.first().unwrap_or(&0)),
            };
        }
        let who = |side: usize| if side == 0 { "client" } else { "server" };
        let mut words = Vec::new();
        if let (Some(syn), None) = (self.syn_at, self.answer_at) {
            match self.reset {
                Some((1, at)) => words
                    .push(format!("refused after {}: nothing listens, or a rule rejects", ms(at.saturating_sub(syn)))),
                _ if answered => {
                    words.push("the SYN is seen, the SYN/ACK is not: one direction is missing here".to_owned())
                }
                _ => words.push(format!("SYN x{}, no answer: dropped on the path, or nobody is there", self.syns)),
            }
            return words.concat();
        }
        if self.answer_at.is_some() && self.handshake_at.is_none() {
            words.push("SYN/ACK came, the client never acknowledged it".to_owned());
        } else if self.hello == [true, false] {
            words.push("handshake done, ClientHello sent, no ServerHello".to_owned());
        } else if self.syn_at.is_some() && self.bytes == [0, 0] {
            words.push("handshake done, no data".to_owned());
        }
        match (self.reset, self.fin) {
            (Some((side, _)), _) => words.push(format!("reset by the {}", who(side))),
            (None, Some(side)) => words.push(format!("closed by the {}", who(side))),
            (None, None) => words.push("still open".to_owned()),
        }
        for (side, count) in self.retransmits.iter().enumerate().filter(|entry| *entry.1 > 0) {
            words.push(format!("{count} sent again by the {}", who(side)));
        }
        for (side, count) in self.zero_windows.iter().enumerate().filter(|entry| *entry.1 > 0) {
            words.push(format!("the {} did not read (window 0 x{count})", who(side)));
        }
        words.join("; ")
    }
}

fn bump(counts: &mut [u32; 2], side: usize) {
    if let Some(count) = counts.get_mut(side) {
        *count += 1;
    }
}

fn ms(nanos: u64) -> String {
    format!("{}.{:03} ms", nanos / 1_000_000, nanos / 1000 % 1000)
}

fn key(a: SocketAddr, b: SocketAddr, protocol: u8) -> Key {
    if a <= b { (a, b, protocol) } else { (b, a, protocol) }
}

/// Packets of a flow with which its ends are looked for: later, whoever held the socket is known, or gone.
const TRIES: u64 = 4;

impl Flows {
    /// The flows of a live capture, whose ends may be sockets of this host.
    pub(crate) fn live(&mut self) {
        self.holders = Some(Holders::default());
    }

    /// Takes a packet.
    pub(crate) fn add(&mut self, now: u64, walk: &Walk<'_>) {
        let source = SocketAddr::new(walk.source, walk.ports.0);
        let destination = SocketAddr::new(walk.destination, walk.ports.1);
        if matches!(walk.protocol, 1 | 58) {
            self.icmp(walk);
        }
        let key = key(source, destination, walk.protocol);
        if !self.flows.contains_key(&key) {
            if self.flows.len() >= MOST {
                self.beyond += 1;
                return;
            }
            // A capture that begins with the SYN/ACK still knows who called.
            let answer = walk.tcp.is_some_and(|segment| segment.flags & (SYN | ACK) == SYN | ACK);
            let (client, server) = if answer { (destination, source) } else { (source, destination) };
            self.flows.insert(key, Flow::new(client, server, now, walk.tunnel));
            self.order.push(key);
        }
        let Some(flow) = self.flows.get_mut(&key) else { return };
        flow.last = now;
        let side = usize::from(source != flow.client);
        if let (Some(packets), Some(bytes)) = (flow.packets.get_mut(side), flow.bytes.get_mut(side)) {
            *packets += 1;
            *bytes += walk.payload_length as u64;
        }
        if let Some(holders) = &mut self.holders
            && flow.packets.iter().sum::<u64>() <= TRIES
        {
            for (at, own, other) in [(0, flow.client, flow.server), (1, flow.server, flow.client)] {
                if let Some(holder) = flow.holders.get_mut(at).filter(|holder| holder.is_none()) {
                    *holder = holders.of(own, other, key.2);
                }
            }
        }
        if let Some(segment) = &walk.tcp {
            flow.segment(side, now, segment, walk.payload, walk.payload_length);
        }
    }

    /// An error about a packet belongs to that packet's flow.
    fn icmp(&mut self, walk: &Walk<'_>) {
        let [kind, code, _, _, _, _, _, _, quoted @ ..] = walk.payload else { return };
        let text = match (walk.protocol, kind, code) {
            (1, 3, 0) | (58, 1, 0) => "no route",
            (1, 3, 1) | (58, 1, 3) => "host unreachable",
            (1, 3, 3) | (58, 1, 4) => "port unreachable: nothing listens, or a rule rejects",
            (1, 3, 4) | (58, 2, _) => "packet too big: the path's MTU is smaller",
            (1, 3, 9 | 10 | 13) | (58, 1, 1) => "administratively prohibited: a REJECT rule there",
            (1, 11, _) | (58, 3, _) => "time exceeded: a loop, or too many hops",
            (1, 3, _) | (58, 1, _) => "unreachable",
            _ => return,
        };
        let Some(inner) = netkit_print::walk::walk(101, quoted, 65_535) else { return };
        let about = key(
            SocketAddr::new(inner.source, inner.ports.0),
            SocketAddr::new(inner.destination, inner.ports.1),
            inner.protocol,
        );
        if let Some(flow) = self.flows.get_mut(&about) {
            flow.icmp.get_or_insert_with(|| format!("ICMP from {}: {text}", walk.source));
        }
    }

    /// The lines.
    pub(crate) fn report(&self) -> String {
        let mut out = String::new();
        for key in &self.order {
            let Some(flow) = self.flows.get(key) else { continue };
            let protocol = match key.2 {
                6 => "tcp",
                17 => "udp",
                1 => "icmp",
                58 => "icmp6",
                132 => "sctp",
                _ => "ip",
            };
            let end = |end: SocketAddr| match (end.port(), end.ip()) {
                (0, address) => address.to_string(),
                (port, IpAddr::V6(address)) => format!("{address}.{port}"),
                (port, address) => format!("{address}.{port}"),
            };
            let holder = |at: usize| match flow.holders.get(at) {
                Some(Some(holder)) => format!(" ({holder})"),
                _ => String::new(),
            };
            let _ = write!(out, "{protocol} {}{} > {}{}", end(flow.client), holder(0), end(flow.server), holder(1));
            if !flow.tunnel.is_empty() {
                let _ = write!(out, " in {}", flow.tunnel);
            }
            let [there, back] = flow.packets;
            let [sent, received] = flow.bytes;
            let _ = write!(
                out,
                ": {there}+{back} packets, {sent}+{received} bytes, {}",
                ms(flow.last.saturating_sub(flow.first))
            );
            if let (Some(syn), Some(done)) = (flow.syn_at, flow.answer_at) {
                let _ = write!(out, ", handshake {}", ms(done.saturating_sub(syn)));
            }
            let _ = writeln!(out, ": {}", flow.verdict(key.2));
        }
        if self.beyond > 0 {
            let _ = writeln!(out, "{} packets of further flows are not in this list", self.beyond);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(ports: (u16, u16), flags: u8, length: usize) -> Walk<'static> {
        let address = IpAddr::from([10, 0, 0, 1]);
        let tcp = Some(Segment { seq: 1, ack: 0, flags, window: 1 });
        Walk {
            source: address,
            destination: address,
            protocol: 6,
            ports,
            tcp,
            payload: &[],
            payload_length: length,
            vlan: None,
            tunnel: "",
        }
    }

    #[test]
    fn a_capture_may_run_backwards() {
        let mut flows = Flows::default();
        flows.add(9_000_000, &walk((1, 2), SYN, 0));
        flows.add(8_000_000, &walk((2, 1), RST | ACK, 0));
        let report = flows.report();
        assert!(report.contains(", 0.000 ms: refused after 0.000 ms"), "{report}");
        // As a record may say of itself.
        flows.add(8_000_000, &walk((1, 2), SYN, u32::MAX as usize));
    }
}
