//! `--wait DURATION host port[,port...] ...`: waits until every target accepts, with growing pauses, and tells what each
//! one did. Status 0 when all are there; otherwise 1, or with `--rc` that of the worst.

use std::io::Write as _;
use std::time::{Duration, Instant};

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_probe::{Attempt, LookupError, Nature, Outcome, Plan, Protocol, classify, connect, resolve};

use crate::args::{FAILURE, Opts, Style};
use crate::session::Session;
use crate::{exit, finding, units};

/// First pause between two rounds; each is twice the one before.
const FIRST: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(5);
/// Longest single attempt unless `-w` says otherwise: a lost SYN is sent again after one second.
const ATTEMPT: Duration = Duration::from_secs(3);
/// How long an accepted connection is watched.
const WINDOW: Duration = Duration::from_millis(150);

struct Goal {
    host: String,
    port: u16,
    tries: u32,
    ready_after: Option<Duration>,
    last: Last,
}

enum Last {
    Nothing,
    Lookup(LookupError),
    Attempt(Attempt),
    /// A handshake, and then the connection was closed: a proxy answers, nobody is behind it.
    Hollow(Attempt, Nature),
}

/// Waits.
pub(crate) fn run(ctx: &mut Ctx, opts: &Opts) -> Result<Exit, Error> {
    let limit = opts.wait_for.unwrap_or_default();
    if opts.protocol == Protocol::Udp || opts.unix || opts.listen {
        return Err(Error::usage("--wait knows TCP only: UDP silence would never prove that somebody is there"));
    }
    opts.check_unused(if opts.style == Style::Nc { "--wait" } else { "--wait-for" })?;
    let mut session = Session::new(ctx, opts.clone());
    let mut goals = goals(&session)?;
    let start = Instant::now();
    let mut pause = FIRST;
    loop {
        for goal in goals.iter_mut().filter(|goal| goal.ready_after.is_none()) {
            let left = limit.saturating_sub(start.elapsed());
            let patience = session.opts.timeout.unwrap_or(ATTEMPT).min(left.max(Duration::from_millis(50)));
            goal.attempt(&session, patience, start);
            if goal.ready_after.is_some() {
                let line = format!("{}: {} port {} is there", session.ctx.name, goal.host, goal.port);
                session.talk(&line);
            }
        }
        let left = limit.saturating_sub(start.elapsed());
        if goals.iter().all(|goal| goal.ready_after.is_some()) || left.is_zero() {
            break;
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST);
    }
    let worst = goals.iter().map(|goal| goal.status().0).max().unwrap_or(0);
    if session.opts.json {
        for goal in &goals {
            let record = goal.json(&session);
            finding::print(&mut session, &record)?;
        }
    } else {
        session.ctx.stdout.write_all(table(&goals).as_bytes())?;
    }
    Ok(if worst == 0 || session.opts.rc { Exit(worst) } else { FAILURE })
}

/// Pairs of operands: a host, then ports separated by commas.
fn goals(session: &Session<'_>) -> Result<Vec<Goal>, Error> {
    let operands = &session.opts.operands;
    if operands.is_empty() || !operands.len().is_multiple_of(2) {
        return Err(Error::usage("--wait DURATION wants pairs: host port[,port...]"));
    }
    let mut goals = Vec::new();
    for pair in operands.chunks_exact(2) {
        let [host, words] = pair else { continue };
        let words: Vec<String> = words.split(',').map(str::to_owned).collect();
        for port in units::ports(&words, Protocol::Tcp, &session.services)? {
            goals.push(Goal { host: host.clone(), port, tries: 0, ready_after: None, last: Last::Nothing });
        }
    }
    Ok(goals)
}

impl Goal {
    fn attempt(&mut self, session: &Session<'_>, patience: Duration, start: Instant) {
        self.tries += 1;
        let addresses = match resolve(&self.host, self.port, session.opts.family, &session.lookup) {
            Ok(addresses) => addresses,
            Err(error) => {
                self.last = Last::Lookup(error);
                return;
            }
        };
        let plan = Plan::new(addresses, Protocol::Tcp, Some(patience)).happy_eyeballs();
        let report = connect(&Plan { options: session.opts.socket.clone(), ..plan }, &mut |_| {});
        let winner = report.winning().cloned();
        let last = report.attempts.into_iter().rfind(|attempt| attempt.outcome != Outcome::Abandoned);
        self.last = match (report.socket, winner) {
            (Some(socket), Some(winner)) => match classify(&socket, WINDOW) {
                Ok(nature @ (Nature::Closed | Nature::Reset)) => Last::Hollow(winner, nature),
                _ => {
                    self.ready_after = Some(start.elapsed());
                    Last::Attempt(winner)
                }
            },
            _ => last.map_or(Last::Nothing, Last::Attempt),
        };
    }

    fn status(&self) -> Exit {
        match &self.last {
            _ if self.ready_after.is_some() => Exit::OK,
            Last::Nothing => FAILURE,
            Last::Lookup(_) => exit::DNS,
            Last::Attempt(attempt) => exit::of_outcome(&attempt.outcome, attempt.address.ip()),
            Last::Hollow(..) => exit::CLOSED,
        }
    }

    /// As in the records of `-z`.
    fn keyword(&self) -> &'static str {
        match &self.last {
            Last::Nothing => "never_tried",
            Last::Lookup(_) => "no_address",
            Last::Attempt(attempt) => attempt.outcome.keyword(),
            Last::Hollow(_, nature) => nature.keyword(),
        }
    }

    fn words(&self) -> String {
        match &self.last {
            Last::Nothing => "never tried".to_owned(),
            Last::Lookup(error) => match error.why() {
                Some(why) => format!("{error} ({why})"),
                None => error.to_string(),
            },
            Last::Attempt(attempt) => attempt.finding().to_string(),
            Last::Hollow(_, nature) => nature.to_string(),
        }
    }

    fn json(&self, session: &Session<'_>) -> Value {
        let last = match &self.last {
            Last::Attempt(attempt) | Last::Hollow(attempt, _) => Some(finding::attempt_json(attempt)),
            Last::Nothing | Last::Lookup(_) => None,
        };
        crate::transfer::schema(session)
            .with("host", self.host.as_str())
            .with("port", self.port)
            .with("ready", self.ready_after.is_some())
            .with("ready_after_us", self.ready_after.map(|after| after.as_micros()))
            .with("tries", self.tries)
            .with("finding", self.keyword())
            .with("detail", self.words())
            .with("last", last)
    }
}

fn table(goals: &[Goal]) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let wide = goals.iter().map(|goal| goal.host.len() + 6).max().unwrap_or(0).clamp(12, 60);
    let _ = writeln!(out, "{:<wide$} {:<6} {:>8} {:>5}  last result", "target", "state", "after", "tries");
    for goal in goals {
        let target = format!("{}:{}", goal.host, goal.port);
        let (state, after) = match goal.ready_after {
            Some(after) => ("ready", format!("{}.{:03} s", after.as_secs(), after.subsec_millis())),
            None => ("absent", "-".to_owned()),
        };
        let _ = writeln!(out, "{target:<wide$} {state:<6} {after:>8} {:>5}  {}", goal.tries, goal.words());
    }
    out
}
