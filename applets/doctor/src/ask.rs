//! Questions to name servers: a pair of them from one socket, as every C library sends A and AAAA, and surveys of all
//! servers at once. Every reply is recorded.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use netkit_dns::random::random_u16;
use netkit_dns::simulate::Outcome;
use netkit_dns::transport::{Failure, TcpConnection, udp_receive, udp_socket};
use netkit_probe::{take_errors, watch_errors};
use netkit_wire::dns::{Class, Message, Name, Query, Question, Rcode, RrType, Section};

/// Addresses taken from one reply at most.
const MOST_ADDRESSES: usize = 64;

/// One question and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) server: SocketAddr,
    pub(crate) name: Name,
    pub(crate) rtype: RrType,
    pub(crate) tcp: bool,
    pub(crate) outcome: Outcome,
    pub(crate) elapsed: Duration,
    pub(crate) addresses: Vec<IpAddr>,
    /// The name that the addresses belong to, at the end of aliases.
    pub(crate) alias: Option<String>,
    /// Where the last alias of the answer leads, whether there are addresses behind it or not.
    pub(crate) leads_to: Option<String>,
    /// The zone whose SOA stands in the authority section.
    pub(crate) zone: Option<String>,
    /// It names other servers instead of an answer, and does not ask them for us (RFC 8499, "lame").
    pub(crate) referral: bool,
    /// Sent again because the first one got lost.
    pub(crate) again: bool,
}

impl Reply {
    fn new(server: SocketAddr, name: &Name, rtype: RrType, tcp: bool) -> Reply {
        Reply {
            server,
            name: name.clone(),
            rtype,
            tcp,
            outcome: Outcome::Timeout,
            elapsed: Duration::ZERO,
            addresses: Vec::new(),
            alias: None,
            leads_to: None,
            zone: None,
            referral: false,
            again: false,
        }
    }

    /// It settles the question: addresses, none of this kind, or no such name.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.outcome, Outcome::Answer | Outcome::NoData | Outcome::Rcode(Rcode::NXDOMAIN)) && !self.referral
    }

    /// Anything came back from a server, whatever it says.
    pub(crate) fn spoke(&self) -> bool {
        !matches!(self.outcome, Outcome::Timeout | Outcome::Failed(_))
    }

    fn read(&mut self, message: &Message) {
        let wanted = |rtype: RrType| move |record: &&netkit_wire::dns::Record| record.rtype == rtype;
        let found = message.section(Section::Answer).filter(wanted(self.rtype));
        self.addresses = found.filter_map(|record| message.rdata_ip(record)).take(MOST_ADDRESSES).collect();
        let last = message.section(Section::Answer).filter(wanted(self.rtype)).last();
        let aliases = message.section(Section::Answer).filter(wanted(RrType::CNAME));
        self.leads_to = aliases.last().and_then(|record| message.rdata_name(record)).map(|name| plain(&name));
        self.alias = last.map(|record| plain(&record.owner)).filter(|owner| *owner != plain(&self.name));
        let soa = message.section(Section::Authority).find(|record| record.rtype == RrType::SOA);
        let soa_absent = soa.is_none();
        self.zone = soa.map(|record| plain(&record.owner));
        let empty = message.rcode() == Rcode::NOERROR && message.section(Section::Answer).next().is_none();
        self.referral = empty && soa_absent && !message.header.aa && !message.header.ra && !message.header.tc;
        self.outcome = if message.header.tc {
            Outcome::Truncated
        } else if message.rcode() != Rcode::NOERROR {
            Outcome::Rcode(message.rcode())
        } else if self.addresses.is_empty() {
            Outcome::NoData
        } else {
            Outcome::Answer
        };
    }
}

/// A name without its final dot, safe to print.
pub(crate) fn plain(name: &Name) -> String {
    let text = name.to_string();
    if text == "." { text } else { netkit_core::text::printable(text.trim_end_matches('.')) }
}

/// A question under way.
struct Flight {
    id: u16,
    bytes: Vec<u8>,
    reply: Reply,
    done: bool,
}

impl Flight {
    fn new(server: SocketAddr, name: &Name, rtype: RrType, tcp: bool) -> Flight {
        let id = random_u16();
        let question = Question { name: name.clone(), rtype, class: Class::IN };
        Flight {
            id,
            bytes: Query::new(id, question).encode(),
            reply: Reply::new(server, name, rtype, tcp),
            done: false,
        }
    }

    /// Takes a message that answers this question.
    fn take(&mut self, bytes: &[u8], elapsed: Duration) -> bool {
        if self.done || bytes.first_chunk::<2>() != Some(&self.id.to_be_bytes()) {
            return false;
        }
        let Ok(message) = Message::decode(bytes.to_vec()) else { return false };
        let asked = message.questions.first();
        let same = asked.is_none_or(|asked| {
            asked.rtype == self.reply.rtype && asked.name.to_lowercase() == self.reply.name.to_lowercase()
        });
        if !message.header.qr || !same {
            return false;
        }
        self.done = true;
        self.reply.elapsed = elapsed;
        self.reply.read(&message);
        true
    }

    fn fail(&mut self, failure: &Failure, elapsed: Duration) {
        if !self.done {
            self.done = true;
            self.reply.elapsed = elapsed;
            self.reply.outcome = match failure {
                Failure::TimedOut => Outcome::Timeout,
                other => Outcome::Failed(other.clone()),
            };
        }
    }
}

/// Asks one server over UDP, both questions from one socket. When one of them is answered the other is given `second`
/// more.
pub(crate) fn over_udp(
    server: SocketAddr,
    name: &Name,
    types: &[RrType],
    first: Duration,
    second: Duration,
) -> Vec<Reply> {
    let mut flights: Vec<Flight> = types.iter().map(|rtype| Flight::new(server, name, *rtype, false)).collect();
    let started = Instant::now();
    let give_up = |flights: &mut Vec<Flight>, failure: &Failure| {
        flights.iter_mut().for_each(|flight| flight.fail(failure, started.elapsed()));
    };
    let socket = match udp_socket(server, None) {
        Ok(socket) => socket,
        Err(failure) => {
            give_up(&mut flights, &failure);
            return flights.into_iter().map(|flight| flight.reply).collect();
        }
    };
    // As glibc does, so that a router's word ends the wait (res_init's IP_RECVERR).
    let _ = watch_errors(&socket, server.is_ipv6(), true);
    // What ICMP says is no rule of ours, whatever the errno: some of its codes come as EACCES.
    let said = |failure: Failure| match take_errors(&socket).pop() {
        Some(error) if failure != Failure::Refused => Failure::Unreachable(error.to_string()),
        _ => failure,
    };
    // The second send may be told of the first one's ICMP error, which is then not told again.
    let sent: Result<(), Failure> =
        flights.iter().try_for_each(|flight| socket.send(&flight.bytes).map(drop).map_err(Failure::from));
    if let Err(failure) = sent {
        give_up(&mut flights, &said(failure));
    }
    let mut patience = first;
    while flights.iter().any(|flight| !flight.done) {
        let received = {
            let flights = &mut flights;
            let mut accept = |bytes: &[u8], _: SocketAddr| {
                let elapsed = started.elapsed();
                flights.iter_mut().any(|flight| flight.take(bytes, elapsed))
            };
            udp_receive(&socket, server, started, patience, &mut accept)
        };
        match received {
            Ok(_) => patience = patience.max(started.elapsed() + second),
            Err(failure) => give_up(&mut flights, &said(failure)),
        }
    }
    flights.into_iter().map(|flight| flight.reply).collect()
}

/// Asks one server over TCP.
pub(crate) fn over_tcp(server: SocketAddr, name: &Name, types: &[RrType], patience: Duration) -> Vec<Reply> {
    let mut flights: Vec<Flight> = types.iter().map(|rtype| Flight::new(server, name, *rtype, true)).collect();
    let started = Instant::now();
    match TcpConnection::connect(server, None, patience) {
        Err(failure) => flights.iter_mut().for_each(|flight| flight.fail(&failure, started.elapsed())),
        Ok(mut connection) => {
            for flight in &mut flights {
                let asked = connection.send(&flight.bytes);
                let received = asked.and_then(|()| connection.receive(started + patience));
                match received {
                    Ok(bytes) => {
                        if !flight.take(&bytes, started.elapsed()) {
                            flight.fail(&Failure::Other("an answer to another question".to_owned()), started.elapsed());
                        }
                    }
                    Err(failure) => flight.fail(&failure, started.elapsed()),
                }
            }
        }
    }
    flights.into_iter().map(|flight| flight.reply).collect()
}

/// Asks every server at once, over UDP, and those that do not answer over TCP as well.
pub(crate) fn survey(servers: &[SocketAddr], name: &Name, types: &[RrType], patience: Duration) -> Vec<Reply> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = servers
            .iter()
            .map(|server| {
                scope.spawn(move || {
                    let mut replies = over_udp(*server, name, types, patience, patience / 2);
                    let silent = replies.iter().all(|reply| !reply.spoke());
                    if silent || replies.iter().any(|reply| reply.outcome == Outcome::Truncated) {
                        replies.extend(over_tcp(*server, name, types, patience));
                    }
                    replies
                })
            })
            .collect();
        asked.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::UdpSocket;

    proptest! {
        #[test]
        fn any_message_of_a_name_server(tail in proptest::collection::vec(any::<u8>(), 0..120), flags in any::<u16>(), counts in any::<[u8; 3]>()) {
            let name = Name::parse("a.example").unwrap();
            let mut flight = Flight::new("10.0.0.1:53".parse().unwrap(), &name, RrType::A, false);
            // Header and question as they were asked; what follows is anybody's.
            let mut bytes = flight.id.to_be_bytes().to_vec();
            bytes.extend_from_slice(&(flags | 0x8000).to_be_bytes());
            for count in [1, counts[0] % 4, counts[1] % 4, counts[2] % 4] {
                bytes.extend_from_slice(&[0, count]);
            }
            bytes.extend_from_slice(b"\x01a\x07example\x00\x00\x01\x00\x01");
            bytes.extend_from_slice(&tail);
            prop_assert!(flight.take(&bytes, Duration::ZERO));
            let reply = flight.reply;
            prop_assert!(reply.addresses.len() <= MOST_ADDRESSES);
            for name in [reply.alias, reply.leads_to, reply.zone].into_iter().flatten() {
                prop_assert!(!name.chars().any(char::is_control));
            }
        }
    }

    /// A server on loopback that answers A with an address and leaves AAAA without an answer.
    fn half_a_server() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0u8; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let query = &buffer[..length];
                if query[length - 4..length - 2] != [0, 1] {
                    continue;
                }
                let mut reply = query.to_vec();
                reply[2] |= 0x80;
                reply[7] = 1;
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
                let _ = socket.send_to(&reply, from);
            }
        });
        address
    }

    #[test]
    fn one_of_two_questions_is_answered() {
        let server = half_a_server();
        let name = Name::parse("a.example").unwrap();
        let wait = Duration::from_millis(2_000);
        let replies = over_udp(server, &name, &[RrType::A, RrType::AAAA], wait, Duration::from_millis(50));
        assert_eq!(replies[0].outcome, Outcome::Answer);
        assert_eq!(replies[0].addresses, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(replies[1].outcome, Outcome::Timeout);
        assert!(replies[0].is_final() && !replies[1].spoke());
    }

    #[test]
    fn a_closed_port_is_no_silence() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = socket.local_addr().unwrap();
        drop(socket);
        let name = Name::parse("a.example").unwrap();
        let replies = survey(&[server], &name, &[RrType::A], Duration::from_secs(20));
        assert!(replies.iter().all(|reply| reply.outcome == Outcome::Failed(Failure::Refused)), "{replies:?}");
        assert_eq!(replies.iter().filter(|reply| reply.tcp).count(), 1);
    }
}
