//! UDP probes. Silence proves nothing, so a port with a known protocol gets a question that a server there answers.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use netkit_dns::random::{random_u16, random_u64};
use netkit_wire::dns::{Class, Message, Name, Query, Question, RrType};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use socket2::Socket;

use crate::attempt::Outcome;
use crate::connect::{explained, of_error};
use crate::icmp::take_errors;

/// A protocol we can ask a question in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Port 53 and 5353: a DNS query for the root's name servers (RFC 1035).
    Dns,
    /// Port 123: a client request (RFC 5905).
    Ntp,
    /// Port 161: SNMPv3 engine discovery, which needs no community or user (RFC 3414, section 4).
    Snmp,
    /// Port 443: an Initial of a version that no server has, so that it names those it has (RFC 9000, section 6).
    Quic,
}

impl Service {
    /// The service that a port is registered for, if we know how to ask it.
    pub fn of_port(port: u16) -> Option<Service> {
        Some(match port {
            53 | 5353 => Service::Dns,
            123 => Service::Ntp,
            161 => Service::Snmp,
            443 | 8443 => Service::Quic,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Service::Dns => "DNS",
            Service::Ntp => "NTP",
            Service::Snmp => "SNMP",
            Service::Quic => "QUIC",
        }
    }
}

/// A question, and how its answer is told from other bytes.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What to send.
    pub payload: Vec<u8>,
    service: Service,
    token: Vec<u8>,
}

impl Ask {
    /// A fresh question with unpredictable identifiers.
    pub fn new(service: Service) -> Ask {
        match service {
            Service::Dns => {
                let id = random_u16();
                let question = Question { name: Name::root(), rtype: RrType::NS, class: Class::IN };
                Ask { payload: Query::new(id, question).encode(), service, token: id.to_be_bytes().to_vec() }
            }
            Service::Ntp => {
                // Leap 0, version 4, mode 3; the transmit timestamp comes back as the origin timestamp.
                let token = random_u64().to_be_bytes().to_vec();
                let mut payload = vec![0u8; 40];
                payload.splice(..1, [0x23]);
                payload.extend_from_slice(&token);
                Ask { payload, service, token }
            }
            Service::Snmp => {
                // The message id must fit a positive INTEGER of four octets.
                let id = (random_u64() as u32 & 0x3fff_ffff) | 0x4000_0000;
                let token = id.to_be_bytes().to_vec();
                Ask { payload: snmp_discovery(&token), service, token }
            }
            Service::Quic => {
                let token = random_u64().to_be_bytes().to_vec();
                // Long header, fixed bit, version of the reserved pattern ?a?a?a?a.
                let mut payload = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8];
                payload.extend_from_slice(&random_u64().to_be_bytes());
                payload.push(8);
                payload.extend_from_slice(&token);
                // Shorter datagrams are not answered (RFC 9000, section 14.1).
                payload.resize(1200, 0);
                Ask { payload, service, token }
            }
        }
    }

    /// What an answer shows, in words; `None` for bytes that answer something else.
    pub fn answer(&self, bytes: &[u8]) -> Option<String> {
        match self.service {
            Service::Dns => {
                let message = Message::decode(bytes.to_vec()).ok()?;
                let ours = message.header.qr && message.header.id.to_be_bytes() == *self.token;
                ours.then(|| format!("DNS answered {}", message.rcode()))
            }
            Service::Ntp => {
                let origin = bytes.get(24..32)?;
                let (first, stratum) = (bytes.first()?, bytes.get(1)?);
                (first & 7 == 4 && origin == self.token).then(|| format!("NTP answered, stratum {stratum}"))
            }
            Service::Snmp => {
                snmp_reply(bytes, &self.token)?;
                Some("SNMP answered with its engine".to_owned())
            }
            Service::Quic => {
                let (head, rest) = bytes.split_first_chunk::<5>()?;
                let [first, version @ ..] = head;
                if first & 0x80 == 0 || *version != [0; 4] {
                    return None;
                }
                // Our source connection id comes back as the destination's.
                let (length, rest) = rest.split_first()?;
                let (id, rest) = rest.split_at_checked(usize::from(*length))?;
                if id != self.token {
                    return None;
                }
                let (length, rest) = rest.split_first()?;
                let versions = rest.get(usize::from(*length)..)?;
                let listed: Vec<String> =
                    versions.chunks_exact(4).take(8).map(|one| format!("0x{}", netkit_core::text::hex(one))).collect();
                Some(format!("QUIC answered, versions {}", listed.join(" ")))
            }
        }
    }
}

/// An SNMPv3 get-request with empty engine, user and context: the agent reports its engine id.
fn snmp_discovery(id: &[u8]) -> Vec<u8> {
    let tlv = |tag: u8, parts: &[&[u8]]| {
        let body = parts.concat();
        // Never above 127 octets here.
        let mut out = vec![tag, u8::try_from(body.len()).unwrap_or(0)];
        out.extend_from_slice(&body);
        out
    };
    let integer = |bytes: &[u8]| tlv(2, &[bytes]);
    let octets = |bytes: &[u8]| tlv(4, &[bytes]);
    let global = tlv(0x30, &[&integer(id), &integer(&[0, 0xff, 0xe3]), &octets(&[4]), &integer(&[3])]);
    let zero = integer(&[0]);
    let security = tlv(0x30, &[&octets(&[]), &zero, &zero, &octets(&[]), &octets(&[]), &octets(&[])]);
    let pdu = tlv(0xa0, &[&integer(id), &zero, &zero, &tlv(0x30, &[])]);
    let scoped = tlv(0x30, &[&octets(&[]), &octets(&[]), &pdu]);
    tlv(0x30, &[&integer(&[3]), &global, &octets(&security), &scoped])
}

/// Whether these bytes are a Report or Response of version 3 that repeats our message id (RFC 3412, section 6; RFC 3416,
/// section 3): bytes that only come back are a request.
fn snmp_reply(bytes: &[u8], id: &[u8]) -> Option<()> {
    let expect =
        |bytes, tag| element(bytes).filter(|(found, ..)| *found == tag).map(|(_, inside, rest)| (inside, rest));
    let (message, _) = expect(bytes, 0x30)?;
    let (version, message) = expect(message, 2)?;
    let (global, message) = expect(message, 0x30)?;
    let (message_id, _) = expect(global, 2)?;
    let (_security, message) = expect(message, 4)?;
    let (scoped, _) = expect(message, 0x30)?;
    let (_engine, scoped) = expect(scoped, 4)?;
    let (_context, pdu) = expect(scoped, 4)?;
    let (kind, ..) = element(pdu)?;
    (version == [3] && message_id == id && matches!(kind, 0xa2 | 0xa8)).then_some(())
}

/// The first BER element: its tag, its contents, and what follows (X.690, section 8.1). Tags of one octet and lengths of
/// at most two, which is all that fits into a datagram.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (length, rest) = match bytes.get(1..)? {
        [short @ 0..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (inside, after) = rest.split_at_checked(length)?;
    Some((*bytes.first()?, inside, after))
}

/// What a UDP port did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpFinding {
    /// It answered in the protocol asked; in words.
    Answered(String),
    /// It sent bytes that answer nothing we asked.
    Spoke(usize),
    /// An error came back.
    Failed(Outcome),
    /// Nothing, which proves nothing.
    Silent(Duration),
}

impl UdpFinding {
    /// One word for tables and JSON.
    pub fn keyword(&self) -> &'static str {
        match self {
            UdpFinding::Answered(_) => "answered",
            UdpFinding::Spoke(_) => "spoke",
            UdpFinding::Failed(outcome) => outcome.keyword(),
            UdpFinding::Silent(_) => "open_or_filtered",
        }
    }
}

impl fmt::Display for UdpFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UdpFinding::Answered(text) => f.write_str(text),
            UdpFinding::Spoke(length) => write!(f, "{length} bytes came back, so somebody listens"),
            UdpFinding::Failed(_) => f.write_str("an error came back"),
            UdpFinding::Silent(waited) => write!(
                f,
                "neither an answer nor an ICMP error in {} ms: open or filtered, nothing is proven",
                waited.as_millis()
            ),
        }
    }
}

/// Asks over a connected UDP socket whose error queue is on, twice at most, and waits until `timeout` is over.
///
/// # Errors
/// When the socket cannot be waited on.
pub fn probe(socket: &Socket, target: IpAddr, service: Option<Service>, timeout: Duration) -> io::Result<UdpFinding> {
    let began = Instant::now();
    let deadline = began + timeout;
    let question = service.map(Ask::new);
    let source = socket.local_addr().ok().and_then(|local| local.as_socket()).map(|local| local.ip());
    let failed = |errno: i32| UdpFinding::Failed(explained(socket, errno, target, source));
    let mut sends = 2;
    let mut send_at = began;
    loop {
        let now = Instant::now();
        if let (true, Some(question)) = (sends > 0 && now >= send_at, &question) {
            sends -= 1;
            send_at = now + timeout / 2;
            match socket.send(&question.payload) {
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(errno) if errno != Errno::EAGAIN as i32 => return Ok(failed(errno)),
                    _ => {}
                },
            }
        }
        let wake = if sends > 0 && question.is_some() { send_at.min(deadline) } else { deadline };
        let left = wake.saturating_duration_since(Instant::now());
        let millis = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)) {
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
            Ok(0) if Instant::now() >= deadline => return Ok(UdpFinding::Silent(began.elapsed())),
            Ok(0) => continue,
            Ok(_) => {}
        }
        let mut buffer = [0u8; 2048];
        match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                let answer = question.as_ref().and_then(|question| question.answer(bytes));
                return Ok(answer.map_or(UdpFinding::Spoke(length), UdpFinding::Answered));
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {
                // The error itself has been reported to an earlier call; the queue still tells whose it was.
                let errors = take_errors(socket);
                if let Some(error) = errors.last() {
                    return Ok(UdpFinding::Failed(of_error(*error, target, source)));
                }
                if Instant::now() >= deadline {
                    return Ok(UdpFinding::Silent(began.elapsed()));
                }
            }
            Err(errno) => return Ok(failed(errno as i32)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plan, Protocol, connect};
    use proptest::prelude::*;
    use std::net::UdpSocket;

    fn connected(address: std::net::SocketAddr) -> Socket {
        connect(&Plan::new(vec![address], Protocol::Udp, None), &mut |_| {}).socket.unwrap()
    }

    #[test]
    fn answers_are_told_from_noise() {
        let ntp = Ask::new(Service::Ntp);
        assert_eq!(ntp.payload.len(), 48);
        let mut reply = vec![0x24, 2];
        reply.resize(24, 0);
        reply.extend_from_slice(&ntp.payload[40..48]);
        reply.resize(48, 0);
        assert_eq!(ntp.answer(&reply).as_deref(), Some("NTP answered, stratum 2"));
        reply[24] ^= 1;
        assert_eq!(ntp.answer(&reply), None);
        let quic = Ask::new(Service::Quic);
        assert_eq!(quic.payload.len(), 1200);
        let mut reply = vec![0x80, 0, 0, 0, 0, 8];
        reply.extend_from_slice(&quic.payload[15..23]);
        reply.push(8);
        reply.extend_from_slice(&quic.payload[6..14]);
        reply.extend_from_slice(&[0, 0, 0, 1]);
        assert_eq!(quic.answer(&reply).as_deref(), Some("QUIC answered, versions 0x00000001"));
        let snmp = Ask::new(Service::Snmp);
        assert_eq!(usize::from(snmp.payload[1]) + 2, snmp.payload.len());
        // Our own question come back is no answer; the same as a Report is one, and with another id again none.
        assert_eq!(snmp.answer(&snmp.payload), None);
        let mut reply = snmp.payload.clone();
        let pdu = reply.iter().rposition(|byte| *byte == 0xa0).unwrap();
        reply[pdu] = 0xa8;
        assert_eq!(snmp.answer(&reply).as_deref(), Some("SNMP answered with its engine"));
        for cut in 0..reply.len() {
            assert_eq!(snmp.answer(&reply[..cut]), None);
        }
        let id = reply.windows(4).position(|four| four == snmp.token).unwrap();
        reply[id + 3] ^= 1;
        assert_eq!(snmp.answer(&reply), None);
    }

    #[test]
    fn a_server_a_silent_port_and_a_closed_one() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 512];
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            buffer[2] |= 0x80;
            server.send_to(&buffer[..length], from).unwrap();
        });
        let finding = probe(&connected(address), address.ip(), Some(Service::Dns), Duration::from_secs(20)).unwrap();
        assert_eq!(finding, UdpFinding::Answered("DNS answered NOERROR".to_owned()));
        thread.join().unwrap();

        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let finding = probe(&connected(address), address.ip(), Some(Service::Ntp), Duration::from_millis(20)).unwrap();
        assert!(matches!(finding, UdpFinding::Silent(_)));

        drop(silent);
        let finding = probe(&connected(address), address.ip(), Some(Service::Quic), Duration::from_secs(20)).unwrap();
        let UdpFinding::Failed(Outcome::Icmp(error)) = finding else { panic!("{finding:?}") };
        assert_eq!(error.offender, Some(address.ip()));
    }

    proptest! {
        #[test]
        fn any_reply(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for service in [Service::Dns, Service::Ntp, Service::Snmp, Service::Quic] {
                prop_assert_eq!(Ask::new(service).answer(&bytes), None);
            }
        }
    }
}
