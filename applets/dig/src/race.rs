//! `dig --race N NAME`: does this network lose one of two queries that leave one port at the same time?
//!
//! The C libraries send A and AAAA from one socket at once. Where two packets of one new UDP flow race through
//! connection tracking, one of them can be dropped, and the application waits five seconds. N pairs go out that
//! way and N pairs from separate sockets; if only the first kind loses queries, that race is the cause.

use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_dns::transport::{Failure, udp_receive, udp_socket};
use netkit_wire::dns::{Name, RrType};

use crate::modes::{Request, has_id, query};

/// No query was lost; some were; none was answered (dig's 9).
const NO_LOSS: Exit = Exit(0);
const LOSS: Exit = Exit(1);
const NO_REPLY: Exit = Exit(9);
const UDP_SIZE: u16 = 1232;
/// Upper bounds of the histogram's buckets, in milliseconds.
const BUCKETS: [(u64, &str); 5] = [(1, "<1ms"), (10, "<10ms"), (100, "<100ms"), (1000, "<1s"), (u64::MAX, ">=1s")];

/// How the queries of one kind fared.
struct Series {
    title: &'static str,
    rtts: Vec<Duration>,
    lost: u32,
    failures: Vec<Failure>,
}

impl Series {
    fn sent(&self) -> usize {
        self.rtts.len() + usize::try_from(self.lost).unwrap_or(0) + self.failures.len()
    }

    /// The value below which `percent` of the round trips lie.
    fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.rtts.len() * percent).div_ceil(100).max(1);
        self.rtts.get(rank - 1).copied()
    }

    fn histogram(&self) -> Vec<(&'static str, usize)> {
        let mut lower = Duration::ZERO;
        let mut rows = Vec::new();
        for (bound, label) in BUCKETS {
            let upper = Duration::from_millis(bound);
            rows.push((label, self.rtts.iter().filter(|rtt| **rtt >= lower && **rtt < upper).count()));
            lower = upper;
        }
        rows
    }
}

pub(crate) fn run(ctx: &mut Ctx, request: &Request, pairs: u32) -> Result<Exit, Error> {
    let name = request.full_name()?;
    let server = *request.servers()?.first().ok_or_else(|| Error::usage("no name server"))?;
    let shared = series("one socket for both", pairs, server, &name, request.timeout, true);
    let separate = series("a socket for each", pairs, server, &name, request.timeout, false);
    let verdict = sentence(&shared, &separate);
    if request.json {
        writeln!(ctx.stdout, "{}", json(&name, server, pairs, &[&shared, &separate], &verdict))?;
    } else {
        ctx.stdout.write_all(table(&name, server, pairs, &[&shared, &separate], &verdict).as_bytes())?;
    }
    Ok(if shared.rtts.is_empty() && separate.rtts.is_empty() {
        NO_REPLY
    } else if shared.lost + separate.lost > 0 || !shared.failures.is_empty() || !separate.failures.is_empty() {
        LOSS
    } else {
        NO_LOSS
    })
}

fn series(title: &'static str, pairs: u32, server: SocketAddr, name: &Name, timeout: Duration, shared: bool) -> Series {
    let mut series = Series { title, rtts: Vec::new(), lost: 0, failures: Vec::new() };
    for _ in 0..pairs {
        pair(&mut series, server, name, timeout, shared);
        // A server that answers nothing at all need not be asked N times.
        if series.rtts.is_empty() && series.sent() >= 6 {
            break;
        }
    }
    series.rtts.sort_unstable();
    series
}

/// Sends A and AAAA back to back, then collects both replies. Fresh sockets each time, since only the first
/// packets of a flow race.
fn pair(series: &mut Series, server: SocketAddr, name: &Name, timeout: Duration, shared: bool) {
    let sockets: Result<Vec<UdpSocket>, Failure> =
        (0..if shared { 1 } else { 2 }).map(|_| udp_socket(server, None)).collect();
    let sockets = match sockets {
        Ok(sockets) => sockets,
        Err(failure) => return series.failures.push(failure),
    };
    let queries = [RrType::A, RrType::AAAA].map(|rtype| query(name, rtype, UDP_SIZE, false));
    let started = Instant::now();
    for (index, (_, bytes)) in queries.iter().enumerate() {
        let socket = sockets.get(index).or(sockets.first());
        if let Some(Err(error)) = socket.map(|socket| socket.send(bytes)) {
            return series.failures.push(error.into());
        }
    }
    let mut open: Vec<u16> = queries.iter().map(|(id, _)| *id).collect();
    for index in 0..queries.len() {
        let Some(socket) = sockets.get(index).or(sockets.first()) else { continue };
        let mut answered = None;
        let mut accept = |reply: &[u8], _| {
            answered = open.iter().position(|id| has_id(reply, *id));
            answered.is_some()
        };
        match udp_receive(socket, server, started, timeout, &mut accept) {
            Ok(reply) => {
                if let Some(at) = answered {
                    open.remove(at);
                }
                series.rtts.push(reply.elapsed);
            }
            Err(Failure::TimedOut) => series.lost += 1,
            Err(failure) => series.failures.push(failure),
        }
    }
}

fn milliseconds(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "-".to_owned(), |duration| format!("{:.1}", duration.as_secs_f64() * 1000.0))
}

fn table(name: &Name, server: SocketAddr, pairs: u32, all: &[&Series], verdict: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(out, ";; {pairs} pairs of A and AAAA for {name} to {}#{}", server.ip(), server.port());
    let _ = writeln!(
        out,
        "{:<22} {:>6} {:>6} {:>7} {:>9} {:>9} {:>9}",
        "", "SENT", "LOST", "FAILED", "P50 MS", "P99 MS", "MAX MS"
    );
    for series in all {
        let _ = writeln!(
            out,
            "{:<22} {:>6} {:>6} {:>7} {:>9} {:>9} {:>9}",
            series.title,
            series.sent(),
            series.lost,
            series.failures.len(),
            milliseconds(series.percentile(50)),
            milliseconds(series.percentile(99)),
            milliseconds(series.rtts.last().copied())
        );
    }
    for series in all {
        let buckets: Vec<String> =
            series.histogram().into_iter().map(|(label, count)| format!("{label} {count}")).collect();
        let _ = writeln!(out, ";; {}: {}, lost {}", series.title, buckets.join(", "), series.lost);
    }
    if let Some(failure) = all.iter().flat_map(|series| &series.failures).next() {
        let _ = writeln!(out, ";; first failure: {failure}");
    }
    let _ = writeln!(out, ";; VERDICT: {verdict}");
    out
}

fn sentence(shared: &Series, separate: &Series) -> String {
    if shared.rtts.is_empty() && separate.rtts.is_empty() {
        return "the server answered nothing, so there is no race to see".to_owned();
    }
    match (shared.lost, separate.lost) {
        (0, 0) => "no query was lost either way".to_owned(),
        (lost, 0) => format!(
            "{lost} queries were lost only when A and AAAA shared a socket: the connection-tracking race; \
             `options single-request-reopen` (glibc) or a node-local DNS cache avoids it"
        ),
        (0, lost) => format!("{lost} queries were lost from separate sockets only, so this is not the socket race"),
        (a, b) => format!("queries were lost both ways ({a} and {b}): plain packet loss or an overloaded server"),
    }
}

fn json(name: &Name, server: SocketAddr, pairs: u32, all: &[&Series], verdict: &str) -> Value {
    let micros = |duration: Option<Duration>| duration.map(|duration| duration.as_micros());
    let series = |series: &&Series| {
        let mut histogram = Value::object();
        for (label, count) in series.histogram() {
            histogram.set(label, count);
        }
        Value::object()
            .with("sockets", series.title)
            .with("sent", series.sent())
            .with("lost", series.lost)
            .with("failed", series.failures.len())
            .with("p50_us", micros(series.percentile(50)))
            .with("p99_us", micros(series.percentile(99)))
            .with("max_us", micros(series.rtts.last().copied()))
            .with("histogram", histogram)
    };
    Value::object()
        .with("schema", "dig.race/1")
        .with("name", name.to_string())
        .with("server", server.ip().to_string())
        .with("port", server.port())
        .with("pairs", pairs)
        .with("series", all.iter().map(series).collect::<Vec<_>>())
        .with("verdict", verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_verdicts() {
        let series = |rtts: &[u64], lost| Series {
            title: "t",
            rtts: rtts.iter().map(|ms| Duration::from_millis(*ms)).collect(),
            lost,
            failures: Vec::new(),
        };
        let some = series(&[1, 2, 3, 4], 0);
        assert_eq!(some.percentile(50), Some(Duration::from_millis(2)));
        assert_eq!(some.percentile(99), Some(Duration::from_millis(4)));
        assert_eq!(series(&[], 1).percentile(50), None);
        assert_eq!(some.histogram().iter().map(|row| row.1).sum::<usize>(), 4);
        assert!(sentence(&series(&[1], 3), &some).contains("connection-tracking race"));
        assert!(sentence(&series(&[], 3), &series(&[], 3)).contains("answered nothing"));
        assert!(sentence(&some, &some).contains("no query was lost"));
    }
}
