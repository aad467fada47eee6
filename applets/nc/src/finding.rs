//! What lies behind a result: the attempts, the nature of an open port, what a UDP port answered.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_probe::udp::{self, Service, UdpFinding};
use netkit_probe::{Attempt, IcmpError, Nature, Outcome, Protocol, Report, TcpInfo, classify, errno, tcp_info};
use nix::sys::socket::{MsgFlags, recv};
use socket2::Socket;

use crate::args::FAILURE;
use crate::exit;
use crate::session::Session;
use crate::transfer::schema;

/// How long an open port is watched, unless --idle-timeout says otherwise. A local sidecar closes within a few milliseconds.
const WINDOW: Duration = Duration::from_millis(150);
/// How long a UDP port may take to answer, unless `-w` says otherwise.
const UDP_WINDOW: Duration = Duration::from_secs(2);

/// Everything known of one port.
#[derive(Default)]
pub(crate) struct Finding {
    host: String,
    port: u16,
    protocol: Option<Protocol>,
    attempts: Vec<Attempt>,
    winner: Option<usize>,
    nature: Option<Nature>,
    info: Option<TcpInfo>,
    udp: Option<UdpFinding>,
}

impl Finding {
    pub(crate) fn new(host: &str, port: u16, protocol: Protocol, report: &Report) -> Finding {
        Finding {
            host: host.to_owned(),
            port,
            protocol: Some(protocol),
            attempts: report.attempts.clone(),
            winner: report.winner,
            ..Finding::default()
        }
    }

    /// One record a port.
    pub(crate) fn json(&self, session: &Session<'_>) -> Value {
        let attempts: Vec<Value> = self.attempts.iter().map(attempt_json).collect();
        let mut record = schema(session)
            .with("host", self.host.as_str())
            .with("port", self.port)
            .with("protocol", self.protocol.map(Protocol::name))
            .with("finding", self.keyword());
        if let Some(Nature::Banner(bytes)) = &self.nature {
            record.set("banner", netkit_core::text::printable(&String::from_utf8_lossy(bytes)));
        }
        if let Some(info) = &self.info {
            record.set(
                "tcp_info",
                Value::object()
                    .with("rtt_us", info.rtt.as_micros())
                    .with("rtt_var_us", info.rtt_var.as_micros())
                    .with("snd_mss_bytes", info.snd_mss)
                    .with("pmtu_bytes", info.pmtu)
                    .with("retransmits", info.total_retrans),
            );
        }
        if let Some(UdpFinding::Failed(Outcome::Icmp(error))) = &self.udp {
            record.set("icmp", icmp_json(error));
        }
        if let Some(UdpFinding::Answered(text)) = &self.udp {
            record.set("answer", text.as_str());
        }
        record.with("attempts", attempts)
    }

    fn keyword(&self) -> &'static str {
        if let Some(udp) = &self.udp {
            return udp.keyword();
        }
        if let Some(nature) = &self.nature {
            return nature.keyword();
        }
        let decisive = self.winner.and_then(|index| self.attempts.get(index)).or(self.attempts.last());
        decisive.map_or("no_address", |attempt| attempt.outcome.keyword())
    }
}

/// One attempt.
pub(crate) fn attempt_json(attempt: &Attempt) -> Value {
    let mut record = Value::object()
        .with("address", attempt.address.ip().to_string())
        .with("port", attempt.address.port())
        .with("outcome", attempt.outcome.keyword())
        .with("started_after_us", attempt.started_after.as_micros())
        .with("elapsed_us", attempt.elapsed.as_micros())
        .with("source", attempt.source.map(|source| source.to_string()));
    match &attempt.outcome {
        Outcome::Icmp(error) => record.set("icmp", icmp_json(error)),
        Outcome::NoNeighbor { own } => record.set("offender", own.to_string()),
        _ => {}
    }
    if let Some(errno) = attempt.outcome.errno() {
        record.set("error", errno::text(errno));
    }
    record
}

fn icmp_json(error: &IcmpError) -> Value {
    Value::object()
        .with("version", if error.v6 { 6u8 } else { 4 })
        .with("type", error.kind)
        .with("code", error.code)
        .with("name", error.name())
        .with("offender", error.offender.map(|address| address.to_string()))
}

/// Our extra line, on stderr, under the house rule on hints.
pub(crate) fn hint(ctx: &mut Ctx, line: &str) {
    ctx.hint(&format!("finding: {line}"));
}

/// A record on stdout.
pub(crate) fn print(session: &mut Session<'_>, record: &Value) -> Result<(), Error> {
    writeln!(session.ctx.stdout, "{record}")?;
    session.ctx.stdout.flush()?;
    Ok(())
}

/// What `nc -zuv` does: datagrams of one byte, a second apart; false when an error came back.
pub(crate) fn udp_knock(socket: &Socket) -> bool {
    // Without the error queue the kernel tells of closed ports only, and so does nc; the finding has the rest.
    let final_error = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    let gone = |socket: &Socket| match socket.take_error() {
        Ok(error) => error.is_some_and(|error| final_error(&error)),
        Err(_) => true,
    };
    // One to provoke the error, four a second apart in case something on the way needs longer.
    for round in 0..5u8 {
        if round > 1 {
            std::thread::sleep(Duration::from_secs(1));
        }
        // Asking for the error first keeps send from reporting, and clearing, an older one.
        let sent = socket.send(b"X");
        if sent.is_err_and(|error| final_error(&error)) || gone(socket) {
            return false;
        }
    }
    true
}

/// Looks closer at a port that answered; the status is that of `--rc`.
pub(crate) fn examine(
    session: &mut Session<'_>,
    socket: &Socket,
    address: SocketAddr,
    found: &mut Finding,
) -> Result<Exit, Error> {
    let failed = |error: std::io::Error| Error::new(FAILURE, format!("{address}: {}", errno::reason(&error)));
    if session.opts.protocol == Protocol::Udp {
        // Answers to the bytes that nc itself sends say that somebody listens, but not in which protocol.
        let mut buffer = [0u8; 64];
        let spoke = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT).ok();
        let service = Service::of_port(address.port());
        let window = session.opts.timeout.unwrap_or(UDP_WINDOW);
        let finding = match (spoke, service) {
            (Some(length), None) => UdpFinding::Spoke(length),
            // Without a question of our own, one byte has to provoke the ICMP error.
            (None, None) if session.opts.verbose == 0 => {
                let _ = socket.send(b"X");
                udp::probe(socket, address.ip(), None, window).map_err(failed)?
            }
            _ => udp::probe(socket, address.ip(), service, window).map_err(failed)?,
        };
        let line = match &finding {
            UdpFinding::Failed(outcome) => {
                let attempt = Attempt {
                    address,
                    started_after: Duration::ZERO,
                    elapsed: window,
                    source: None,
                    outcome: outcome.clone(),
                };
                format!("{address}: {}", attempt.finding())
            }
            other => format!("{address}: {other}"),
        };
        hint(session.ctx, &line);
        let status = exit::of_udp(&finding, address.ip());
        found.udp = Some(finding);
        return Ok(status);
    }
    let nature = classify(socket, session.opts.watch.unwrap_or(WINDOW)).map_err(failed)?;
    found.info = tcp_info(socket);
    let mut line = format!("{address}: {nature}");
    if let Some(info) = &found.info {
        line.push_str(&format!(
            " (rtt {}.{:03} ms, mss {}, {} retransmits)",
            info.rtt.as_micros() / 1000,
            info.rtt.as_micros() % 1000,
            info.snd_mss,
            info.total_retrans
        ));
    }
    hint(session.ctx, &line);
    let status = exit::of_nature(&nature);
    found.nature = Some(nature);
    Ok(status)
}
