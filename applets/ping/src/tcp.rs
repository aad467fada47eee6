//! `ping --tcp PORT`: a connection for each request, which every user may open, and which shows what echoes do not:
//! whether the service answers, and who refuses.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_core::{Ctx, Error, Exit};
use netkit_probe::{Attempt, Options, Outcome, Plan, Protocol, connect};
use nix::sys::signal::Signal;

use crate::args::{NO_ANSWER, OTHER, Opts};
use crate::run::Signals;
use crate::stats::{Stats, round_trip};

/// How long one connection may take where `-W` does not say.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) fn run(
    ctx: &mut Ctx,
    opts: &Opts,
    host: &str,
    addresses: &[SocketAddr],
    port: u16,
    signals: &Signals,
) -> Result<Exit, Error> {
    let mut to = *addresses.first().ok_or_else(|| Error::new(OTHER, "the name has no address"))?;
    to.set_port(port);
    let host = printable(host);
    let timeout = if opts.linger_ms == Opts::default().linger_ms {
        PATIENCE
    } else {
        Duration::from_millis(u64::try_from(opts.linger_ms.max(1)).unwrap_or(1))
    };
    let mut plan = Plan::new(vec![to], Protocol::Tcp, Some(timeout));
    plan.sources.extend(opts.source.map(|source| SocketAddr::new(source, 0)));
    plan.options = Options { ttl: opts.ttl, tos: opts.tos, interface: opts.device.clone(), ..Options::default() };
    if opts.json {
        let value = Value::object()
            .with("schema", "ping/1")
            .with("event", "start")
            .with("host", host.as_str())
            .with("address", to.ip().to_string())
            .with("port", u32::from(port));
        writeln!(ctx.stdout, "{value}")?;
    } else {
        writeln!(ctx.stdout, "PING {host} ({}) tcp port {port}", to.ip())?;
    }
    ctx.stdout.flush()?;
    let mut stats = Stats::new();
    let started = Instant::now();
    let mut last = started;
    let deadline = (opts.deadline_s > 0).then(|| started + Duration::from_secs(opts.deadline_s));
    let interval = Duration::from_millis(u64::try_from(opts.interval_ms.max(1)).unwrap_or(1));
    'requests: while opts.count == 0 || stats.transmitted < opts.count {
        last = Instant::now();
        stats.sending();
        let seq = stats.next_seq();
        stats.transmitted += 1;
        let mut attempt = None;
        let report = connect(&plan, &mut |ended: &Attempt| attempt = Some(ended.clone()));
        if let Some(socket) = &report.socket {
            // A reset leaves nothing behind in TIME-WAIT, here or there.
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
        if let Some(attempt) = attempt {
            tell(ctx, opts, &mut stats, seq, &attempt)?;
        }
        if opts.count > 0 && stats.transmitted >= opts.count {
            break;
        }
        loop {
            match signals.next() {
                Some(Signal::SIGQUIT) => ctx.say(&stats.status(true)),
                Some(_) => break 'requests,
                None => {}
            }
            let now = Instant::now();
            if deadline.is_some_and(|end| now >= end) {
                break 'requests;
            }
            let mut wait = (last + interval).saturating_duration_since(now);
            if wait.is_zero() {
                break;
            }
            if let Some(end) = deadline {
                wait = wait.min(end.saturating_duration_since(now));
            }
            signals.wait(None::<&std::fs::File>, wait).map_err(|error| Error::new(OTHER, format!("poll: {error}")))?;
        }
    }
    let between = last.duration_since(started);
    if opts.json {
        writeln!(ctx.stdout, "{}", stats.json(between, true))?;
    } else {
        ctx.stdout.write_all(stats.summary(&host, between, true, false).as_bytes())?;
    }
    let short = opts.deadline_s > 0 && stats.received < opts.count;
    Ok(if stats.received == 0 || short { NO_ANSWER } else { Exit::OK })
}

fn tell(ctx: &mut Ctx, opts: &Opts, stats: &mut Stats, seq: u16, attempt: &Attempt) -> Result<(), Error> {
    let micros = i64::try_from(attempt.elapsed.as_micros()).unwrap_or(i64::MAX);
    let connected = attempt.outcome == Outcome::Connected;
    if connected {
        stats.reply(seq, Some(micros), false);
    } else if !matches!(attempt.outcome, Outcome::TimedOut) {
        stats.acknowledge(seq);
        stats.errors += 1;
    }
    if opts.quiet {
        return Ok(());
    }
    if opts.json {
        let mut value = Value::object()
            .with("event", if connected { "reply" } else { "failure" })
            .with("seq", u32::from(seq))
            .with("outcome", attempt.outcome.keyword())
            .with("rtt_us", micros);
        if let Outcome::Icmp(error) = &attempt.outcome {
            value.set("type", u32::from(error.kind));
            value.set("code", u32::from(error.code));
            value.set("from", error.offender.map(|ip| ip.to_string()));
        }
        writeln!(ctx.stdout, "{value}")?;
    } else if connected {
        writeln!(ctx.stdout, "Connected to {}: tcp_seq={seq} time={} ms", attempt.address, round_trip(micros))?;
    } else {
        writeln!(ctx.stdout, "tcp_seq={seq} time={} ms: {}", round_trip(micros), attempt.finding())?;
    }
    Ok(ctx.stdout.flush()?)
}
