//! What is spoken besides HTTP: a datagram, DNS, PostgreSQL, gRPC. Each says only as much as its protocol proves.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netkit_core::text::printable;
use netkit_http::h2::{Connection, Event};
use netkit_probe::udp::{Service, UdpFinding, probe};
use netkit_probe::{Attempt, Outcome, Plan, Protocol, connect as connect_all};
use netkit_tls::{Settings, Sources, Transport, read_by, write_by};

use crate::counters::Snapshot;
use crate::kernel::Kernel;
use crate::report::{Fault, Layer, Report, millis};
use crate::silence::{self, Probe};
use crate::target::Target;
use crate::tcp::{self, Connected};
use crate::world::World;

/// Bytes of an answer that are looked at.
const MOST: usize = 64 * 1024;

/// A datagram to each address: an answer, an ICMP error, or nothing, which proves nothing.
pub(crate) fn udp(world: &World, target: &Target, kernel: &mut Kernel, addresses: &[SocketAddr], report: &mut Report) {
    let service = Service::of_port(target.port);
    let before = Snapshot::take();
    for address in addresses.iter().take(4) {
        let made = connect_all(&Plan::new(vec![*address], Protocol::Udp, None), &mut |_| {});
        let Some(socket) = made.socket else {
            if let Some(attempt) = made.attempts.first() {
                report.broken(Layer::Udp, format!("{address} {}", attempt.finding()), None);
                let fault = tcp::blame(world, kernel, attempt, &before, true, report);
                report.faults.push(fault);
            }
            continue;
        };
        let source = socket.local_addr().ok().and_then(|local| local.as_socket());
        let began = Instant::now();
        // A port whose protocol we do not know gets an empty datagram: an ICMP error would still answer it.
        if service.is_none() {
            let _ = socket.send(&[]);
        }
        let found = match probe(&socket, address.ip(), service, world.patience()) {
            Ok(found) => found,
            Err(error) => {
                report.note(Layer::Udp, format!("{address} cannot be watched: {error}"));
                continue;
            }
        };
        let elapsed = began.elapsed();
        let next = format!("netkit nc -zuv --explain {} {}", address.ip(), address.port());
        match found {
            UdpFinding::Answered(_) | UdpFinding::Spoke(_) => {
                report.fine(Layer::Udp, format!("{address} {found}"), Some(elapsed));
                report.reached = Some(*address);
                report.looked.push(format!("UDP to {address}"));
                return;
            }
            UdpFinding::Failed(outcome) => {
                let source = source.map(|source| SocketAddr::new(source.ip(), source.port()));
                let attempt = Attempt { address: *address, started_after: Duration::ZERO, elapsed, source, outcome };
                report.broken(Layer::Udp, format!("{address} {}", attempt.finding()), Some(elapsed));
                let fault = refused(world, kernel, &attempt, &before, report).next(next);
                report.faults.push(fault);
            }
            UdpFinding::Silent(_) => {
                let probe =
                    Probe { target: *address, source: source.map(|source| source.ip()), udp: true, before: &before };
                let known = silence::explain(world, kernel, probe, report);
                report.line(Layer::Udp, crate::report::State::Broken, format!("{address} {found}"), Some(elapsed));
                let fault = known.fault.unwrap_or_else(|| {
                    let mut causes = vec!["the service takes datagrams and does not answer ours".to_owned(), "it drops them".to_owned(), "a filter on the way does".to_owned()];
                    causes.extend(known.open.iter().cloned());
                    let asked = service.map_or_else(|| "an empty datagram".to_owned(), |service| format!("a {} question", service.name()));
                    let sentence = format!("{address} answers {asked} with nothing, neither data nor an ICMP error; cannot tell which of: {}", causes.join(", "));
                    Fault::fatal(Layer::Udp, "silent", sentence).unsure().next(next)
                });
                report.faults.push(fault.all_evidence(known.evidence));
            }
        }
    }
}

fn refused(world: &World, kernel: &mut Kernel, attempt: &Attempt, before: &Snapshot, report: &mut Report) -> Fault {
    let address = attempt.address;
    let closed = match &attempt.outcome {
        Outcome::Reset => true,
        Outcome::Icmp(error) => {
            error.offence() == netkit_probe::Offence::Port && error.offender.is_none_or(|from| from == address.ip())
        }
        _ => false,
    };
    if closed {
        let sentence = format!(
            "{} is up and refused the datagram: nothing listens on its UDP port {}",
            address.ip(),
            address.port()
        );
        return Fault::fatal(Layer::Udp, "refused", sentence).evidence(attempt.finding().to_string());
    }
    let mut fault = tcp::blame(world, kernel, attempt, before, true, report);
    if fault.layer == Layer::Tcp {
        fault.layer = Layer::Udp;
    }
    fault
}

/// SSLRequest, then a start-up message: what the server makes of it (PostgreSQL's protocol, section 54.7).
pub(crate) fn postgres(world: &World, target: &Target, connected: Connected, report: &mut Report) {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    let address = connected.address;
    let began = Instant::now();
    let next = format!("netkit nc -v --explain {} {}", address.ip(), address.port());
    let deadline = Some(began + world.patience());
    let fatal =
        |cause: &'static str, sentence: String| Fault::fatal(Layer::Application, cause, sentence).next(next.clone());
    let watched = connected.socket.try_clone().ok();
    let Ok(mut stream) = netkit_tls::Socket::new(connected.socket) else { return };
    let mut byte = [0u8; 1];
    let first = write_by(&mut stream, &SSL_REQUEST, deadline).and_then(|()| read_by(&mut stream, &mut byte, deadline));
    let offer = match (first, byte) {
        (Ok(1), [b'S']) => true,
        (Ok(1), [b'N']) => false,
        (Ok(1), [b'E']) => {
            report.faults.push(fatal(
                "error",
                format!("{address} answers the request for TLS with an error: too many connections, or an old server"),
            ));
            return;
        }
        (Ok(0), _) => {
            report.faults.push(fatal("closed", format!("{address} closes the connection at PostgreSQL's first message: no PostgreSQL there, or a proxy without a backend")).unsure());
            return;
        }
        (Ok(_), [other]) => {
            report.faults.push(fatal(
                "not_postgres",
                format!("{address} does not speak PostgreSQL: it answers with the byte 0x{other:02x}"),
            ));
            return;
        }
        (Err(error), _) => {
            let info = watched.as_ref().and_then(netkit_probe::tcp_info);
            let fault = crate::walk::unacknowledged(address, &info).unwrap_or_else(|| {
                fatal(
                    "no_answer",
                    format!(
                        "{address} accepted the connection and does not answer PostgreSQL's first message ({error})"
                    ),
                )
            });
            report.faults.push(fault);
            return;
        }
    };
    report.fine(
        Layer::Application,
        format!("PostgreSQL {} TLS", if offer { "offers" } else { "does not offer" }),
        Some(began.elapsed()),
    );
    let user = target.user.clone().unwrap_or_else(|| "postgres".to_owned());
    let database = if target.path.is_empty() { user.clone() } else { target.path.clone() };
    let mut transport: Box<dyn Transport> = Box::new(stream);
    if offer {
        let settings = Settings {
            // libpq does not verify unless it is told to.
            insecure: world.options.cacert.is_none(),
            sources: Sources { file: world.options.cacert.clone(), ..Sources::default() },
            certificate: world.options.cert.clone(),
            key: world.options.key.clone(),
            alpn: vec!["postgresql"],
            min: 2,
            max: 3,
            ..Settings::default()
        };
        let shake = Instant::now();
        match netkit_tls::connect(transport, &crate::tls::server_name(world, target), &settings, deadline) {
            Ok((tls, session)) => {
                crate::tls::accepted(world, target, &session, shake.elapsed(), report);
                transport = tls;
            }
            Err(error) => {
                report.broken(Layer::Tls, error.text.clone(), None);
                let fault = crate::tls::blame(world, target, address, &error);
                report.faults.push(fault.unwrap_or_else(|| {
                    fatal("handshake_stalls", format!("{address} says yes to TLS and does not go on with it"))
                }));
                return;
            }
        }
    }
    let mut body = vec![0, 3, 0, 0];
    for (name, value) in
        [("user", user.as_str()), ("database", database.as_str()), ("application_name", "netkit-doctor")]
    {
        body.extend_from_slice(name.as_bytes());
        body.push(0);
        body.extend(value.bytes().filter(|byte| *byte != 0));
        body.push(0);
    }
    body.push(0);
    let mut message = u32::try_from(body.len() + 4).unwrap_or(0).to_be_bytes().to_vec();
    message.extend_from_slice(&body);
    let sent = Instant::now();
    let answer = write_by(&mut *transport, &message, deadline).and_then(|()| one_message(&mut *transport, deadline));
    match answer {
        Ok((b'R', content)) => {
            // Only a login that needs nothing more is complete; Terminate ends it.
            let _ = write_by(&mut *transport, &[b'X', 0, 0, 0, 4], deadline);
            report.fine(
                Layer::Application,
                format!("PostgreSQL {} for {}", authentication(&content), printable(&user)),
                Some(sent.elapsed()),
            );
            report.looked.push("PostgreSQL's start-up, no login".to_owned());
        }
        Ok((b'E', content)) => {
            let (code, text) = error_fields(&content);
            let cause = match code.as_str() {
                "28000" => "access_refused",
                "3D000" => "no_such_database",
                "53300" => "too_many_connections",
                "57P03" => "starting_up",
                _ => "error",
            };
            report.broken(Layer::Application, format!("PostgreSQL says {code}: {text}"), Some(sent.elapsed()));
            report
                .faults
                .push(fatal(cause, format!("PostgreSQL at {address} is reached and refuses: {text} ({code})")));
        }
        Ok((kind, _)) => report.faults.push(fatal(
            "not_postgres",
            format!("{address} answers the start-up with a message of type 0x{kind:02x}, which is no PostgreSQL"),
        )),
        Err(error) => report
            .faults
            .push(fatal("no_answer", format!("PostgreSQL at {address} does not answer the start-up ({error})"))),
    }
}

/// Type and content of one message.
pub(crate) fn one_message(stream: &mut dyn Transport, deadline: Option<Instant>) -> std::io::Result<(u8, Vec<u8>)> {
    let mut input = Vec::new();
    loop {
        if let Some(([kind, a, b, c, d], rest)) = input.split_first_chunk::<5>() {
            let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
            if !(4..MOST).contains(&length) {
                return Err(std::io::Error::other("a message without a sensible length"));
            }
            if let Some(content) = rest.get(..length - 4) {
                return Ok((*kind, content.to_vec()));
            }
        }
        let mut buffer = [0u8; 4096];
        match read_by(stream, &mut buffer, deadline)? {
            0 => return Err(std::io::Error::other("it closed the connection")),
            length => input.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        }
    }
}

fn authentication(content: &[u8]) -> String {
    let kind = content.first_chunk::<4>().map(|four| u32::from_be_bytes(*four));
    match kind {
        Some(0) => "lets in without a password".to_owned(),
        Some(3) => "wants a password in clear".to_owned(),
        Some(5) => "wants a password (MD5)".to_owned(),
        Some(10) => "wants a password (SCRAM)".to_owned(),
        Some(other) => format!("wants authentication of kind {other}"),
        None => "says something about authentication".to_owned(),
    }
}

/// Code and message of an error (fields C and M).
fn error_fields(content: &[u8]) -> (String, String) {
    let (mut code, mut text) = (String::new(), String::new());
    for field in content.split(|byte| *byte == 0).take(64) {
        if let Some((kind, value)) = field.split_first() {
            let value = || printable(&String::from_utf8_lossy(value)).chars().take(200).collect::<String>();
            match kind {
                b'C' => code = value(),
                b'M' => text = value(),
                _ => {}
            }
        }
    }
    (code, text)
}

/// The health service over HTTP/2 (grpc.health.v1).
pub(crate) fn grpc(world: &World, target: &Target, connected: Connected, report: &mut Report) {
    let address = connected.address;
    let next = format!("netkit tls-probe --alpn h2 {}:{}", target.bracketed(), target.port);
    let fatal =
        |cause: &'static str, sentence: String| Fault::fatal(Layer::Application, cause, sentence).next(next.clone());
    let watched = connected.socket.try_clone().ok();
    let Ok(plain) = netkit_tls::Socket::new(connected.socket) else { return };
    let mut stream: Box<dyn Transport> = Box::new(plain);
    let began = Instant::now();
    let deadline = Some(began + world.patience());
    if target.tls {
        let settings = Settings {
            sources: Sources {
                file: world.options.cacert.clone(),
                directory: None,
                env_file: world.cert_file.clone(),
                env_directory: world.cert_dir.clone(),
            },
            certificate: world.options.cert.clone(),
            key: world.options.key.clone(),
            alpn: vec!["h2"],
            min: 2,
            max: 3,
            ..Settings::default()
        };
        match netkit_tls::connect(stream, &crate::tls::server_name(world, target), &settings, deadline) {
            Ok((tls, session)) => {
                crate::tls::accepted(world, target, &session, began.elapsed(), report);
                if session.alpn.as_deref() != Some("h2") {
                    report.faults.push(
                        Fault::fatal(
                            Layer::Tls,
                            "alpn",
                            format!("{address} does not agree to HTTP/2 (ALPN h2), without which there is no gRPC"),
                        )
                        .next(next),
                    );
                    return;
                }
                stream = tls;
            }
            Err(error) => {
                report.broken(Layer::Tls, error.text.clone(), None);
                let fault = crate::tls::blame(world, target, address, &error);
                report.faults.push(fault.unwrap_or_else(|| {
                    Fault::fatal(
                        Layer::Tls,
                        "handshake_stalls",
                        format!("{address} takes the ClientHello and says nothing"),
                    )
                }));
                return;
            }
        }
    }
    let scheme = if target.tls { "https" } else { "http" };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let fields = [
        pair(":method", "POST"),
        pair(":scheme", scheme),
        pair(":path", "/grpc.health.v1.Health/Check"),
        pair(":authority", &target.authority()),
        pair("te", "trailers"),
        pair("content-type", "application/grpc"),
        pair("user-agent", "netkit-doctor"),
    ];
    let mut h2 = Connection::default();
    h2.request(&fields.map(Into::into), false);
    // An empty message: no compression, no bytes.
    h2.data(&[0, 0, 0, 0, 0], true);
    let sent = Instant::now();
    match health(&mut *stream, &mut h2, deadline) {
        Ok(found) => grpc_answer(address, &found, sent.elapsed(), &next, report),
        Err(why) => {
            let info = watched.as_ref().and_then(netkit_probe::tcp_info);
            let fault = if why.is_empty() { crate::walk::unacknowledged(address, &info) } else { None };
            let words = if why.is_empty() { format!("says nothing for {}", millis(world.patience())) } else { why };
            report.faults.push(fault.unwrap_or_else(|| fatal("not_http2", format!("{address} accepts the connection and does not speak HTTP/2, without which there is no gRPC: it {words}"))));
        }
    }
}

/// What the health service answered.
#[derive(Default)]
pub(crate) struct Health {
    pub(crate) status: String,
    grpc_status: Option<String>,
    pub(crate) message: String,
    content_type: String,
    body: Vec<u8>,
    server: String,
}

pub(crate) fn health(
    stream: &mut dyn Transport,
    h2: &mut Connection,
    deadline: Option<Instant>,
) -> Result<Health, String> {
    let mut found = Health::default();
    let mut input: Vec<u8> = Vec::new();
    loop {
        let out = std::mem::take(&mut h2.out);
        if !out.is_empty() {
            write_by(stream, &out, deadline).map_err(|error| error.to_string())?;
        }
        loop {
            let (used, event) = h2.feed(&input).map_err(|failure| {
                // The first line: what follows in an answer of HTTP/1 is headers, a date among them.
                let text = String::from_utf8_lossy(&input);
                let shown: String = printable(text.lines().next().unwrap_or_default()).chars().take(60).collect();
                format!("says \"{shown}\" ({failure})")
            })?;
            input.drain(..used.min(input.len()));
            match event {
                None => break,
                Some(Event::Headers { fields, end }) => {
                    for pair in fields {
                        let (name, value) = (printable(&pair.0), printable(&pair.1));
                        match name.as_str() {
                            ":status" => found.status = value,
                            "grpc-status" => found.grpc_status = Some(value),
                            "grpc-message" => found.message = value,
                            "content-type" => found.content_type = value,
                            "server" => found.server = value,
                            _ => {}
                        }
                    }
                    if end {
                        return Ok(found);
                    }
                }
                Some(Event::Data { length, skip, end }) => {
                    let bytes: Vec<u8> = input.drain(..length.min(input.len())).collect();
                    input.drain(..skip.min(input.len()));
                    if found.body.len() < MOST {
                        found.body.extend_from_slice(&bytes);
                    }
                    if end {
                        return Ok(found);
                    }
                }
                Some(Event::Reset(code)) => {
                    return Err(format!("resets the request ({})", netkit_http::h2::error_name(code)));
                }
                Some(Event::GoAway { code, .. }) => {
                    return Err(format!("ends the connection ({})", netkit_http::h2::error_name(code)));
                }
                Some(Event::Window) => {}
            }
        }
        // What keeps coming must not hold us for ever.
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err("answers without end".to_owned());
        }
        if !h2.out.is_empty() {
            continue;
        }
        let mut buffer = [0u8; 16 * 1024];
        match read_by(stream, &mut buffer, deadline) {
            Ok(0) => return Err("closes the connection".to_owned()),
            Ok(length) => input.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => return Err(String::new()),
            Err(error) => return Err(format!("breaks the connection ({error})")),
        }
    }
}

fn grpc_answer(address: SocketAddr, found: &Health, elapsed: Duration, next: &str, report: &mut Report) {
    // A message of HealthCheckResponse: field 1, varint; 1 is SERVING.
    let serving = match found.body.as_slice() {
        [0, _, _, _, _, 8, status, ..] => Some(*status),
        [0, 0, 0, 0, 0] => Some(0),
        _ => None,
    };
    let fatal =
        |cause: &'static str, sentence: String| Fault::fatal(Layer::Application, cause, sentence).next(next.to_owned());
    let text =
        format!("gRPC health: HTTP {}, grpc-status {}", found.status, found.grpc_status.as_deref().unwrap_or("none"));
    let fault = match (found.grpc_status.as_deref(), serving) {
        (Some("0"), Some(1)) => None,
        (Some("0"), None | Some(0 | 3)) => {
            report.note(
                Layer::Application,
                "the health service answers and does not say how the server is, so only gRPC itself is proven",
            );
            None
        }
        (Some("0"), Some(2)) => Some(fatal(
            "not_serving",
            format!("the gRPC server at {address} is reached and says of itself that it is NOT_SERVING"),
        )),
        (Some("0"), Some(other)) => Some(fatal(
            "health",
            format!("the gRPC server at {address} is reached and gives the health status {other}"),
        )),
        // Without the health service the server still speaks gRPC, which is all that was asked.
        (Some("12"), _) => {
            report.note(
                Layer::Application,
                "the server has no health service (UNIMPLEMENTED), so only gRPC itself is proven",
            );
            None
        }
        (Some("14"), _) => Some(fatal(
            "unavailable",
            format!("{address} answers UNAVAILABLE: a gRPC proxy without a backend ({})", found.message),
        )),
        (Some("16" | "7"), _) => {
            report.note(Layer::Application, format!("the health service wants credentials ({})", found.message));
            None
        }
        (Some(code), _) => Some(fatal(
            "grpc_status",
            format!("the gRPC server at {address} answers with status {code} ({})", found.message),
        )),
        (None, _) => Some(fatal(
            "not_grpc",
            format!(
                "{address} speaks HTTP/2 and no gRPC: it answers {} {} {}",
                found.status, found.content_type, found.server
            ),
        )),
    };
    match fault {
        Some(fault) => {
            report.broken(Layer::Application, text, Some(elapsed));
            report.faults.push(fault);
        }
        None => {
            report.fine(Layer::Application, text, Some(elapsed));
            report.looked.push("gRPC".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_of_a_database(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (code, text) = error_fields(&bytes);
            prop_assert!(!code.contains(char::is_control) && text.chars().count() <= 200);
            let _ = authentication(&bytes);
        }
    }

    #[test]
    fn errors_of_postgres() {
        let content = b"SFATAL\0C3D000\0Mdatabase \"x\" does not exist\0\0";
        assert_eq!(error_fields(content), ("3D000".to_owned(), "database \"x\" does not exist".to_owned()));
        assert_eq!(authentication(&[0, 0, 0, 10]), "wants a password (SCRAM)");
    }

    #[test]
    fn health_in_words() {
        let address = "10.0.0.1:50051".parse().unwrap();
        let of = |status: Option<&str>, body: &[u8]| {
            let mut report = Report::default();
            let found = Health {
                status: "200".to_owned(),
                grpc_status: status.map(str::to_owned),
                body: body.to_vec(),
                ..Health::default()
            };
            grpc_answer(address, &found, Duration::ZERO, "", &mut report);
            report.verdict().map(|fault| fault.cause)
        };
        assert_eq!(of(Some("0"), &[0, 0, 0, 0, 2, 8, 1]), None);
        assert_eq!(of(Some("0"), &[0, 0, 0, 0, 2, 8, 2]), Some("not_serving"));
        assert_eq!(of(Some("12"), &[]), None);
        assert_eq!(of(None, &[]), Some("not_grpc"));
    }
}
