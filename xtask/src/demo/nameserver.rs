//! Name servers on loopback, played by threads of the demo; each has one fault.
//!
//! Messages are read and written by hand (RFC 1035, section 4): one question, addresses as answers, nothing more.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::Result;

/// What a server says to a name and a type.
pub(super) enum Answer {
    /// IPv4 addresses; none is NODATA.
    Addresses(Vec<Ipv4Addr>),
    /// The name does not exist.
    NxDomain,
    /// The server could not find out.
    ServFail,
}

/// Decides by the name asked for (lower case, without the last dot) and the type's number.
pub(super) type Zone = fn(&str, u16) -> Answer;

/// A server to start: its last octet of 127.0.0.0/8, and its fault.
pub(super) struct Plan {
    /// The address.
    pub(super) address: Ipv4Addr,
    /// What it knows; `None` is a server that is reachable and never answers.
    pub(super) zone: Option<Zone>,
    /// Whether it answers over TCP too; otherwise connections are refused.
    pub(super) tcp: bool,
}

/// Number of the type A.
pub(super) const A: u16 = 1;
const OPT: u16 = 41;
const NOERROR: u8 = 0;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;
/// Second header byte pair: this is a reply, recursion available.
const QR: u8 = 0x80;
const TC: u8 = 0x02;
const RA: u8 = 0x80;
/// Largest reply over UDP to a query without EDNS, in bytes (RFC 1035, section 4.2.1).
const PLAIN_UDP: usize = 512;
/// What is offered in EDNS, in bytes.
const EDNS_UDP: u16 = 4096;

/// Starts all of them on one port, which is returned. Their threads end with the process.
pub(super) fn start(plans: &[Plan]) -> Result<u16> {
    let mut last = String::new();
    // A port that is free on the first address may be taken on another.
    for _ in 0..20 {
        match bind(plans) {
            Ok((port, bound)) => {
                for (plan, (udp, tcp)) in plans.iter().zip(bound) {
                    serve(plan.zone, udp, tcp);
                }
                return Ok(port);
            }
            Err(error) => last = error.to_string(),
        }
    }
    Err(format!("no port of 127.0.0.0/8 is free for the servers of the demo: {last}"))
}

type Bound = (UdpSocket, Option<TcpListener>);

fn bind(plans: &[Plan]) -> std::io::Result<(u16, Vec<Bound>)> {
    let mut port = 0;
    let mut bound = Vec::new();
    for plan in plans {
        let udp = UdpSocket::bind((plan.address, port))?;
        port = udp.local_addr()?.port();
        // Where TCP is to be refused, nobody else may listen either: bound once, then given back.
        let tcp = TcpListener::bind((plan.address, port))?;
        bound.push((udp, plan.tcp.then_some(tcp)));
    }
    Ok((port, bound))
}

fn serve(zone: Option<Zone>, udp: UdpSocket, tcp: Option<TcpListener>) {
    std::thread::spawn(move || {
        let mut query = [0; 4096];
        loop {
            let Ok((length, client)) = udp.recv_from(&mut query) else { continue };
            let from_here = matches!(client, SocketAddr::V4(v4) if v4.ip().is_loopback());
            if let (true, Some(zone), Some(query)) = (from_here, zone, query.get(..length))
                && let Some(reply) = reply(query, zone, false)
            {
                let _ = udp.send_to(&reply, client);
            }
        }
    });
    if let (Some(tcp), Some(zone)) = (tcp, zone) {
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let _ = converse(stream, zone);
            }
        });
    }
}

/// Answers the queries of one connection, each behind two bytes of length (RFC 1035, section 4.2.2).
fn converse(mut stream: TcpStream, zone: Zone) -> std::io::Result<()> {
    // One client at a time is enough here, so none may hold the line.
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query)?;
        let Some(reply) = reply(&query, zone, true) else { return Ok(()) };
        let length = u16::try_from(reply.len()).unwrap_or(u16::MAX);
        stream.write_all(&[&length.to_be_bytes(), reply.as_slice()].concat())?;
    }
}

/// The reply to a query with one question; nothing to anything else.
fn reply(query: &[u8], zone: Zone, tcp: bool) -> Option<Vec<u8>> {
    let question = Question::read(query)?;
    let (rcode, addresses) = match zone(&question.name, question.kind) {
        Answer::Addresses(addresses) => (NOERROR, addresses),
        Answer::NxDomain => (NXDOMAIN, Vec::new()),
        Answer::ServFail => (SERVFAIL, Vec::new()),
    };
    let whole = encode(query, &question, rcode, &addresses, false)?;
    let limit = if tcp { usize::from(u16::MAX) } else { question.udp_size.unwrap_or(PLAIN_UDP) };
    if whole.len() <= limit { Some(whole) } else { encode(query, &question, rcode, &[], true) }
}

fn encode(query: &[u8], question: &Question, rcode: u8, addresses: &[Ipv4Addr], cut: bool) -> Option<Vec<u8>> {
    let recursion_desired = query.get(2)? & 0x01;
    let mut reply = query.get(..2)?.to_vec();
    reply.push(QR | recursion_desired | if cut { TC } else { 0 });
    reply.push(RA | rcode);
    let additional = u16::from(question.udp_size.is_some());
    for count in [1, u16::try_from(addresses.len()).ok()?, 0, additional] {
        reply.extend_from_slice(&count.to_be_bytes());
    }
    reply.extend_from_slice(query.get(12..question.end)?);
    for address in addresses {
        // The name asked for, by a pointer to it; type A, class IN, a TTL of 30 seconds, four bytes.
        reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4]);
        reply.extend_from_slice(&address.octets());
    }
    if additional == 1 {
        // RFC 6891, section 6.1.2: root, type, size, extended rcode, version, flags, no options.
        reply.push(0);
        reply.extend_from_slice(&OPT.to_be_bytes());
        reply.extend_from_slice(&EDNS_UDP.to_be_bytes());
        reply.extend_from_slice(&[0; 6]);
    }
    Some(reply)
}

/// The question of a query, and what its OPT record says.
struct Question {
    name: String,
    kind: u16,
    /// Where the question section ends.
    end: usize,
    /// UDP size offered, in bytes; `None` without EDNS.
    udp_size: Option<usize>,
}

impl Question {
    fn read(query: &[u8]) -> Option<Question> {
        let word = |at: usize| Some(u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]));
        let is_query = *query.get(2)? & QR == 0;
        if !is_query || word(4)? != 1 {
            return None;
        }
        let mut labels = Vec::new();
        let mut at = 12;
        loop {
            let length = usize::from(*query.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
            at += length;
        }
        let end = at + 4;
        // The OPT record is the first and only one of a query that carries no key.
        let edns = query.get(end..end + 3) == Some(&[0, 0, 41]);
        let udp_size = if edns { Some(usize::from(word(end + 3)?).max(PLAIN_UDP)) } else { None };
        Some(Question { name: labels.join("."), kind: word(at)?, end, udp_size })
    }
}

/// Whether 127.0.0.0/8 can be used at all.
pub(super) fn loopback_works() -> Result<()> {
    UdpSocket::bind((IpAddr::from(Ipv4Addr::LOCALHOST), 0))
        .map(drop)
        .map_err(|error| format!("the loopback interface cannot be used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str, kind: u16) -> Answer {
        match (name, kind) {
            ("big", A) => Answer::Addresses(vec![Ipv4Addr::LOCALHOST; 40]),
            ("small", A) => Answer::Addresses(vec![Ipv4Addr::LOCALHOST]),
            _ => Answer::NxDomain,
        }
    }

    fn query(label: &str, edns: Option<u16>) -> Vec<u8> {
        let mut query = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
        query.push(u8::try_from(label.len()).unwrap());
        query.extend_from_slice(label.as_bytes());
        query.extend_from_slice(&[0, 0, 1, 0, 1]);
        if let Some(size) = edns {
            query.extend_from_slice(&[0, 0, 41]);
            query.extend_from_slice(&size.to_be_bytes());
            query.extend_from_slice(&[0; 6]);
        }
        query
    }

    #[test]
    fn a_large_reply_is_cut_over_small_udp_only() {
        let tc = |bytes: &[u8]| bytes[2] & TC != 0;
        let cut = reply(&query("big", None), zone, false).unwrap();
        assert!(tc(&cut) && cut.len() <= PLAIN_UDP);
        for (edns, tcp) in [(None, true), (Some(1232), false)] {
            let whole = reply(&query("big", edns), zone, tcp).unwrap();
            assert!(!tc(&whole) && whole.len() > PLAIN_UDP, "{edns:?} {tcp}");
        }
    }

    #[test]
    fn replies_carry_id_question_and_rcode() {
        let bytes = reply(&query("SMALL", None), zone, false).unwrap();
        assert_eq!(bytes[..2], [7, 9]);
        assert_eq!((bytes[2], bytes[3] & 0x0f, bytes[7]), (QR | 1, NOERROR, 1));
        assert!(bytes.ends_with(&[127, 0, 0, 1]));
        let bytes = reply(&query("none", None), zone, false).unwrap();
        assert_eq!((bytes[3] & 0x0f, bytes[7]), (NXDOMAIN, 0));
    }

    #[test]
    fn what_is_no_query_gets_no_reply() {
        let mut response = query("small", None);
        response[2] |= QR;
        assert!(reply(&response, zone, false).is_none());
        for length in 0..query("small", Some(1232)).len() {
            // Cut anywhere: either a reply or nothing, never a panic.
            let _ = reply(&query("small", Some(1232))[..length], zone, false);
        }
    }
}
