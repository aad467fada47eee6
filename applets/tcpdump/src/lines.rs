//! `--json`, `--dns`, `--http` and `--sni`: one line for what matters.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_print::walk::Walk;
use netkit_wire::dns::{Message, Section};
use netkit_wire::pcap::Record;

/// Queries that wait for their answer, at most.
const MOST: usize = 1 << 16;

fn ends(walk: &Walk<'_>) -> (SocketAddr, SocketAddr) {
    (SocketAddr::new(walk.source, walk.ports.0), SocketAddr::new(walk.destination, walk.ports.1))
}

fn end(end: SocketAddr) -> String {
    format!("{}.{}", end.ip(), end.port())
}

/// One object; `line` is what tcpdump would say of the packet.
pub(crate) fn json(number: u64, record: &Record<'_>, walk: Option<&Walk<'_>>, line: &str) -> Value {
    let mut out = Value::object()
        .with("schema", "netkit-tcpdump/1")
        .with("number", number)
        .with("time_ns", record.seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(record.nanos)))
        .with("link", record.link)
        .with("length_bytes", record.length)
        .with("captured_bytes", record.data.len());
    if let Some(walk) = walk {
        out.set("source", walk.source.to_string());
        out.set("destination", walk.destination.to_string());
        out.set("protocol", walk.protocol);
        if walk.ports != (0, 0) {
            out.set("source_port", walk.ports.0);
            out.set("destination_port", walk.ports.1);
        }
        if let Some(tcp) = &walk.tcp {
            let flags: String =
                "FSRP.UEW".chars().enumerate().filter(|(bit, _)| tcp.flags >> bit & 1 == 1).map(|(_, c)| c).collect();
            out.set("tcp_flags", flags);
            out.set("seq", tcp.seq);
            out.set("ack", tcp.ack);
            out.set("window", tcp.window);
        }
        out.set("payload_bytes", walk.payload_length);
        if let Some(vlan) = walk.vlan {
            out.set("vlan", vlan);
        }
        if !walk.tunnel.is_empty() {
            out.set("tunnel", walk.tunnel);
        }
    }
    out.set("text", line);
    out
}

/// Queries and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Dns {
    waiting: HashMap<(SocketAddr, SocketAddr, u16), (u64, String)>,
}

impl Dns {
    /// The line of an answer, if this packet is one.
    pub(crate) fn add(&mut self, now: u64, walk: &Walk<'_>) -> Option<String> {
        let (source, destination) = ends(walk);
        let ours = |port: u16| matches!(port, 53 | 5353 | 5355);
        if !ours(walk.ports.0) && !ours(walk.ports.1) {
            return None;
        }
        let bytes = if walk.protocol == 6 { walk.payload.get(2..)? } else { walk.payload };
        let message = Message::decode(bytes.to_vec()).ok()?;
        let id = u16::from_be_bytes(bytes.first_chunk::<2>().copied()?);
        let response = bytes.get(2).is_some_and(|flags| flags & 0x80 != 0);
        let question = message.questions.first().map_or_else(
            || "?".to_owned(),
            |question| format!("{} {}", printable(&question.name.to_string()), question.rtype),
        );
        if !response {
            if self.waiting.len() < MOST {
                self.waiting.entry((source, destination, id)).or_insert((now, question));
            }
            return None;
        }
        let took = self.waiting.remove(&(destination, source, id)).map(|(asked, _)| now.saturating_sub(asked));
        let answers = message.section(Section::Answer).count();
        let mut line =
            format!("{} > {}: {question} {}, {answers} answers", end(destination), end(source), message.rcode());
        if let Some(took) = took {
            let _ = write!(line, ", {}.{:03} ms", took / 1_000_000, took / 1000 % 1000);
        }
        Some(line)
    }

    /// Lines of what nobody answered.
    pub(crate) fn unanswered(&self) -> Vec<String> {
        let mut rest: Vec<_> = self.waiting.iter().collect();
        rest.sort_by_key(|(_, (asked, _))| *asked);
        let line = |(key, value): &(&(SocketAddr, SocketAddr, u16), &(u64, String))| {
            format!("{} > {}: {} no answer", end(key.0), end(key.1), value.1)
        };
        rest.iter().map(line).collect()
    }
}

/// Request or status line, and the host asked for.
pub(crate) fn http(walk: &Walk<'_>) -> Option<String> {
    const FIRST: [&str; 10] =
        ["GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "PATCH ", "OPTIONS ", "CONNECT ", "TRACE ", "HTTP/1."];
    if walk.protocol != 6 || !FIRST.iter().any(|word| walk.payload.starts_with(word.as_bytes())) {
        return None;
    }
    let (source, destination) = ends(walk);
    let text = String::from_utf8_lossy(walk.payload.get(..4096).unwrap_or(walk.payload)).into_owned();
    let mut lines = text.split("\r\n");
    let mut line = format!("{} > {}: {}", end(source), end(destination), printable(lines.next()?));
    let host = lines.take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim().to_owned())
    });
    if let Some(host) = host {
        let _ = write!(line, " (host {})", printable(&host));
    }
    Some(line)
}

/// The server name of a ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3).
pub(crate) fn sni(walk: &Walk<'_>) -> Option<String> {
    let (source, destination) = ends(walk);
    let [0x16, 3, _, _, _, 1, hello @ ..] = walk.payload else { return None };
    let name = server_name(hello);
    let name = name.map_or_else(|| "no server name".to_owned(), |name| printable(&String::from_utf8_lossy(name)));
    Some(format!("{} > {}: ClientHello {name}", end(source), end(destination)))
}

/// From the length of the handshake message on.
fn server_name(hello: &[u8]) -> Option<&[u8]> {
    let pair = |bytes: &[u8], at: usize| Some(usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
    let mut at = 3 + 2 + 32;
    at += 1 + usize::from(*hello.get(at)?);
    at += 2 + pair(hello, at)?;
    at += 1 + usize::from(*hello.get(at)?);
    let size = pair(hello, at)?;
    at += 2;
    let extensions = hello.get(at..at + size).or_else(|| hello.get(at..))?;
    let mut at = 0;
    while at + 4 <= extensions.len() {
        let (kind, size) = (pair(extensions, at)?, pair(extensions, at + 2)?);
        let value = extensions.get(at + 4..at + 4 + size)?;
        if kind == 0 {
            let size = pair(value, 3)?;
            return value.get(5..5 + size);
        }
        at += 4 + size;
    }
    None
}
