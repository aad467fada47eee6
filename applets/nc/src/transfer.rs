//! Standard input and output on one side, a connection on the other.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use netkit_core::json::Value;
use netkit_core::{Error, Exit};
use netkit_probe::errno;

use crate::args::{FAILURE, Style};
use crate::ends::Stdio;
use crate::pump::{self, End, Fault, Limits, Outcome, Place, Stop};
use crate::session::Session;

/// How long the goodbye of TLS may take with `--send-only`.
const GOODBYE: Duration = Duration::from_secs(2);

/// Pumps until the end, and turns what went wrong into a message and a status.
pub(crate) fn run(session: &mut Session<'_>, far: &mut dyn End, peer: &str) -> Result<Outcome, Error> {
    let opts = &session.opts;
    let ncat = opts.style == Style::Ncat;
    let limits = Limits {
        // Where nothing is ever read its end is no news.
        half_close: opts.half_close && (opts.listen || !opts.recv_only),
        quit: opts.quit,
        idle: opts.idle,
        // Who only sends goes on although the other side has nothing to say.
        end_with_far: (opts.listen || ncat) && !opts.send_only,
        receive: opts.receive,
        interval: opts.interval,
        end_with_local: opts.send_only,
        both_ways: false,
    };
    let mut taps = session.taps()?;
    let (input, output) = (io::stdin(), io::stdout());
    let mut local =
        Stdio { input: (!opts.no_stdin && !opts.recv_only).then(|| input.as_fd()), output: Some(output.as_fd()) };
    let tap = taps.as_mut().map(|taps| taps as &mut dyn pump::Tap);
    let outcome = pump::run(&mut local, far, &limits, tap)
        .map_err(|error| Error::new(FAILURE, format!("polling {peer}: {}", errno::reason(&error))))?;
    // Leaving with the end of the input alone, the peer may still be sending.
    if let Some(remark) = far.remark() {
        let line = format!("{}: {peer}: {remark}", session.ctx.name);
        session.talk(&line);
    }
    let opts = &session.opts;
    far.close(if opts.send_only { GOODBYE } else { Duration::ZERO });
    Ok(outcome)
}

/// What a fault costs: a message for each and a status, or nothing.
pub(crate) fn verdict(session: &mut Session<'_>, outcome: &Outcome, peer: &str) -> Result<Exit, Error> {
    if session.opts.json {
        report(session, outcome, peer);
    }
    let ncat = session.opts.style == Style::Ncat;
    let mut faults = outcome.faults.iter();
    let Some(first) = faults.next() else {
        if ncat && outcome.stop == Stop::Idle {
            let millis = session.opts.idle.unwrap_or_default().as_millis();
            // The listener calls it fatal.
            let (status, end) = if session.opts.listen { (Exit::USAGE, " QUITTING.") } else { (FAILURE, "") };
            return Err(Error::new(status, format!("Idle timeout expired ({millis} ms).{end}")));
        }
        return Ok(Exit::OK);
    };
    let rest: Vec<String> = faults.map(|fault| sentence(fault, peer)).collect();
    if first.place == Place::LocalWrite && first.error.kind() == io::ErrorKind::BrokenPipe {
        return Err(Error::new(Exit::PIPE, ""));
    }
    let message = if ncat && matches!(first.place, Place::FarRead | Place::FarWrite) {
        format!("{}.", errno::reason(&first.error))
    } else {
        sentence(first, peer)
    };
    for line in rest {
        let line = format!("{}: {line}", session.ctx.name);
        session.ctx.hint(&line);
    }
    let status = if ncat && first.place == Place::LocalWrite { Exit::USAGE } else { FAILURE };
    Err(Error::new(status, message))
}

fn sentence(fault: &Fault, peer: &str) -> String {
    let reason = errno::reason(&fault.error);
    match fault.place {
        Place::LocalRead => format!("reading standard input: {reason}"),
        Place::LocalWrite => format!("writing standard output: {reason}"),
        Place::FarRead => format!("reading from {peer}: {reason}"),
        Place::FarWrite => format!("writing to {peer}: {reason}"),
    }
}

/// stdout belongs to the data, so the record goes to stderr.
fn report(session: &mut Session<'_>, outcome: &Outcome, peer: &str) {
    let faults: Vec<String> = outcome.faults.iter().map(|fault| sentence(fault, peer)).collect();
    let record = schema(session)
        .with("peer", peer)
        .with("sent_bytes", outcome.sent)
        .with("received_bytes", outcome.received)
        .with(
            "end",
            match outcome.stop {
                Stop::Done => "done",
                Stop::Idle => "idle",
                Stop::Quit => "quit",
            },
        )
        .with("errors", faults);
    session.ctx.say(&record.to_string());
}

/// An object with the schema key.
pub(crate) fn schema(session: &Session<'_>) -> Value {
    Value::object().with("schema", format!("nc/{}", session.ctx.build.version))
}
