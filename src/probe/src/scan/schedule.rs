//! Which port to ask next, how long to wait for it, and whether to ask it again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Kind, Settings, State, Task, Verdict};
use crate::icmp::Offence;

/// The shortest and longest pause between datagrams to a host that limits its errors; Linux sends one a second.
const LEAST_PAUSE: Duration = Duration::from_millis(50);
const MOST_PAUSE: Duration = Duration::from_secs(1);
/// Requests between two looks at what came back.
const BURST: usize = 64;
/// Requests without an answer that are always allowed, however much is lost.
const LEAST_WINDOW: usize = 32;
/// Tasks held back for hosts that want pauses; no more are drawn then.
const MOST_HELD: usize = 4096;

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    /// It is under way, under this number of the medium's own.
    Sent(usize),
    /// The answer is known already.
    Told(Verdict),
    /// Not now: something is used up until an answer comes.
    Full,
}

/// What requests travel through.
pub trait Medium {
    /// Sends one request.
    fn ask(&mut self, task: Task) -> Asked;
    /// Nobody waits for the answer any more.
    fn forget(&mut self, number: usize);
    /// Waits for answers at most so long. False when there are more than it handed over, or requests that have not left.
    ///
    /// # Errors
    /// When nothing can be waited for at all.
    fn wait(&mut self, limit: Duration, heard: &mut Vec<(Task, Verdict)>) -> io::Result<bool>;
    /// Whether an answer to an earlier request for the same port can still come.
    fn answers_late(&self) -> bool;
}

/// What is known of one host's way.
#[derive(Debug, Default)]
struct Host {
    /// Smoothed round trip and its variation (RFC 6298, section 2).
    trips: Option<(Duration, Duration)>,
    /// The most repetitions after which something was answered.
    answered: u32,
    /// It sends errors for datagrams.
    errors: bool,
    /// Between two datagrams.
    pause: Duration,
    held: VecDeque<(Task, u32)>,
}

struct Flight {
    sent: Instant,
    tries: u32,
    generation: u64,
    number: usize,
}

/// Asks every task; `report` hears each verdict once, in the order they come. `stop` is asked now and then, and told
/// nothing; what was asked often enough by then is reported as silent.
///
/// # Errors
/// The medium's.
pub fn scan(
    medium: &mut dyn Medium,
    tasks: &mut dyn Iterator<Item = Task>,
    settings: &Settings,
    stop: &mut dyn FnMut() -> bool,
    report: &mut dyn FnMut(Task, Verdict),
) -> io::Result<()> {
    let limit = settings.parallel.max(1);
    let adaptive = medium.answers_late();
    let mut scan = Scan {
        settings,
        medium,
        flights: BTreeMap::new(),
        deadlines: BinaryHeap::new(),
        again: Vec::new(),
        silent: BTreeMap::new(),
        later: BinaryHeap::new(),
        held: 0,
        hosts: BTreeMap::new(),
        window: if adaptive { limit.min(1000) } else { limit },
        limit,
        adaptive,
        shrunk: Instant::now(),
        generation: 0,
        next_send: Instant::now(),
        report,
    };
    scan.run(tasks, stop)?;
    for task in std::mem::take(&mut scan.silent).into_keys() {
        scan.give_up(task);
    }
    for flight in std::mem::take(&mut scan.flights).into_values() {
        scan.medium.forget(flight.number);
    }
    Ok(())
}

struct Scan<'a> {
    settings: &'a Settings,
    medium: &'a mut dyn Medium,
    flights: BTreeMap<Task, Flight>,
    deadlines: BinaryHeap<Reverse<(Instant, Task, u64)>>,
    again: Vec<(Task, u32)>,
    /// Asked as often as seemed worth it; more losses may change that.
    silent: BTreeMap<Task, u32>,
    /// When hosts that want pauses may be asked next.
    later: BinaryHeap<Reverse<(Instant, IpAddr)>>,
    held: usize,
    hosts: BTreeMap<IpAddr, Host>,
    window: usize,
    limit: usize,
    adaptive: bool,
    shrunk: Instant,
    generation: u64,
    next_send: Instant,
    report: &'a mut dyn FnMut(Task, Verdict),
}

impl Scan<'_> {
    fn run(&mut self, tasks: &mut dyn Iterator<Item = Task>, stop: &mut dyn FnMut() -> bool) -> io::Result<()> {
        let mut heard = Vec::new();
        let mut full = false;
        loop {
            if stop() {
                return Ok(());
            }
            let (mut sent, mut drained) = (0, false);
            let room = self.room();
            full &= self.flights.len() >= room;
            while !full && self.flights.len() < room && sent < BURST && Instant::now() >= self.next_send {
                let Some((task, tries)) = self.next(tasks) else {
                    drained = true;
                    break;
                };
                full = !self.start(task, tries);
                sent += 1;
            }
            if drained && self.flights.is_empty() && self.later.is_empty() && !self.reconsider() {
                return Ok(());
            }
            let limit = self.patience_of_loop(sent, drained, full);
            full = false;
            let asked = Instant::now();
            let all = self.medium.wait(limit, &mut heard)?;
            for (task, verdict) in heard.drain(..) {
                self.told(task, verdict);
            }
            // Only what was silent when the kernel was asked: on a busy machine answers may wait for us, not we for them.
            if all {
                self.expire(asked);
            }
        }
    }

    /// How many requests may be under way: with a rate to keep, three times what silence alone would let through of it.
    fn room(&self) -> usize {
        let wanted = self.settings.least_rate.map_or(0.0, |rate| rate * 3.0 * self.settings.initial.as_secs_f64());
        self.window.max((wanted as usize).min(1 << 20))
    }

    /// How long to wait for answers before there is something else to do.
    fn patience_of_loop(&self, sent: usize, drained: bool, full: bool) -> Duration {
        const LONGEST: Duration = Duration::from_millis(200);
        let now = Instant::now();
        let until = |at: Instant| {
            // In whole milliseconds, rounded up: not to wake up before there is something to do.
            Duration::from_millis(
                u64::try_from(at.saturating_duration_since(now).as_micros().div_ceil(1000)).unwrap_or(200),
            )
        };
        let mut wait = self.deadlines.peek().map_or(LONGEST, |Reverse((at, ..))| until(*at));
        if let Some(Reverse((at, _))) = self.later.peek() {
            wait = wait.min(until(*at));
        }
        if full {
            return wait.min(Duration::from_millis(1));
        }
        if !drained && self.flights.len() < self.room() {
            let due = self.next_send.saturating_duration_since(now);
            // Rounded down: the last part of a millisecond is spent in the loop.
            wait = if sent == BURST { Duration::ZERO } else { wait.min(Duration::from_millis(due.as_millis() as u64)) };
        }
        wait.min(LONGEST)
    }

    /// The next request, with how often it was made before.
    fn next(&mut self, tasks: &mut dyn Iterator<Item = Task>) -> Option<(Task, u32)> {
        if let Some(Reverse((at, ip))) = self.later.peek().copied()
            && at <= Instant::now()
        {
            self.later.pop();
            let host = self.hosts.get_mut(&ip)?;
            let next = host.held.pop_front();
            self.held -= usize::from(next.is_some());
            if !host.held.is_empty() {
                self.later.push(Reverse((Instant::now() + host.pause, ip)));
            }
            if next.is_some() {
                return next;
            }
        }
        loop {
            let next = match self.again.pop() {
                Some(next) => next,
                None if self.held >= MOST_HELD => return None,
                None => (tasks.next()?, 0),
            };
            let paused = (next.0.kind == Kind::Udp)
                .then(|| self.hosts.get_mut(&next.0.to.ip()))
                .flatten()
                .filter(|host| !host.pause.is_zero());
            let Some(host) = paused else { return Some(next) };
            if host.held.is_empty() {
                self.later.push(Reverse((Instant::now() + host.pause, next.0.to.ip())));
            }
            host.held.push_back(next);
            self.held += 1;
        }
    }

    /// Sends one request. False when the medium has no room for it now.
    fn start(&mut self, task: Task, tries: u32) -> bool {
        let sent = Instant::now();
        if let Some(rate) = self.settings.rate.filter(|rate| *rate > 0.0) {
            self.next_send = self.next_send.max(sent) + Duration::from_secs_f64((1.0 / rate).min(1e6));
        }
        match self.medium.ask(task) {
            Asked::Sent(number) => {
                self.generation += 1;
                let generation = self.generation;
                self.deadlines.push(Reverse((sent + self.patience(task, tries), task, generation)));
                self.flights.insert(task, Flight { sent, tries, generation, number });
                true
            }
            Asked::Told(mut verdict) => {
                let answered = verdict.error.is_some() || matches!(verdict.state, State::Open | State::Closed);
                verdict.rtt = answered.then(|| sent.elapsed());
                self.learn(task, tries, &verdict);
                (self.report)(task, verdict);
                true
            }
            Asked::Full if self.flights.is_empty() && !self.adaptive => {
                (self.report)(task, super::local(nix::libc::EMFILE));
                true
            }
            Asked::Full => {
                // As many as there are now is what this machine allows.
                if !self.adaptive {
                    self.window = self.flights.len();
                    self.limit = self.window;
                }
                self.again.push((task, tries));
                false
            }
        }
    }

    fn patience(&self, task: Task, tries: u32) -> Duration {
        let Some(host) = self.hosts.get(&task.to.ip()) else { return self.settings.initial };
        let wait = host.trips.map_or(self.settings.initial, |(smooth, variation)| {
            (smooth + variation * 4).clamp(self.settings.least, self.settings.most)
        });
        // Where errors are counted out, the next one may be a second away.
        let again = tries > 0 && tries < self.retries(host);
        if task.kind == Kind::Udp && host.errors && again { wait.max(MOST_PAUSE) } else { wait }
    }

    /// How often silence of this host is asked again.
    fn retries(&self, host: &Host) -> u32 {
        let worth = if host.answered > 0 { host.answered + 2 } else { 0 };
        worth.max(self.settings.retries).min(self.settings.most_retries)
    }

    fn learn(&mut self, task: Task, tries: u32, verdict: &Verdict) {
        let host = self.hosts.entry(task.to.ip()).or_default();
        // An answer to one of several requests tells no round trip (Karn), unless each had a socket of its own.
        if let Some(rtt) = verdict.rtt.filter(|_| tries == 0 || !self.adaptive) {
            let (smooth, variation) = host.trips.unwrap_or((rtt, rtt / 2));
            let distance = smooth.abs_diff(rtt);
            host.trips = Some((smooth * 7 / 8 + rtt / 8, variation * 3 / 4 + distance / 4));
        }
        let refused = verdict.error.is_some_and(|error| error.offence() == Offence::Port);
        host.errors |= refused && task.kind == Kind::Udp;
        if tries == 0 {
            if self.window < self.limit {
                self.window += 1;
            }
            return;
        }
        host.answered = host.answered.max(tries);
        if task.kind == Kind::Udp && refused {
            host.pause = (host.pause * 2).clamp(LEAST_PAUSE, MOST_PAUSE);
        }
        // Errors are counted out by who sends them, which says nothing about the way.
        if self.adaptive && verdict.error.is_none() && self.shrunk.elapsed() > self.settings.least {
            self.window = (self.window / 2).max(LEAST_WINDOW).min(self.limit);
            self.shrunk = Instant::now();
        }
    }

    fn told(&mut self, task: Task, mut verdict: Verdict) {
        let Some(flight) = self.flights.remove(&task) else {
            // It comes late, but it comes.
            if let Some(tries) = self.silent.remove(&task) {
                self.learn(task, tries.max(1), &verdict);
                (self.report)(task, verdict);
            } else if let Some(at) = self.again.iter().position(|(again, _)| *again == task) {
                let (_, tries) = self.again.swap_remove(at);
                self.learn(task, tries.max(1), &verdict);
                (self.report)(task, verdict);
            }
            return;
        };
        // Nobody answered what did not leave this machine.
        let is_answer = verdict.error.is_some() || verdict.state != State::Filtered;
        verdict.rtt = is_answer.then(|| flight.sent.elapsed());
        self.learn(task, flight.tries, &verdict);
        (self.report)(task, verdict);
    }

    fn expire(&mut self, now: Instant) {
        while let Some(Reverse((at, task, generation))) = self.deadlines.peek().copied() {
            if at > now {
                return;
            }
            self.deadlines.pop();
            if self.flights.get(&task).map(|flight| flight.generation) != Some(generation) {
                continue;
            }
            let Some(flight) = self.flights.remove(&task) else { continue };
            self.medium.forget(flight.number);
            let most = self.hosts.get(&task.to.ip()).map_or(self.settings.retries, |host| self.retries(host));
            if flight.tries < most {
                self.again.push((task, flight.tries + 1));
            } else {
                self.silent.insert(task, flight.tries);
            }
        }
    }

    /// With everything else answered: asks those again whose hosts turned out to lose packets. False when none are left.
    fn reconsider(&mut self) -> bool {
        for (task, tries) in std::mem::take(&mut self.silent) {
            let most = self.hosts.get(&task.to.ip()).map_or(0, |host| self.retries(host));
            if tries < most {
                self.again.push((task, tries + 1));
            } else {
                self.give_up(task);
            }
        }
        !self.again.is_empty()
    }

    fn give_up(&mut self, task: Task) {
        (self.report)(task, Verdict::new(task.kind.silent(), "no-response"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers a port as often as its number says it is asked in vain first; nothing is ever waited for.
    struct Played {
        asked: BTreeMap<u16, u32>,
        ready: Vec<(Task, Verdict)>,
        under_way: usize,
        most: usize,
        room: usize,
    }

    impl Medium for Played {
        fn ask(&mut self, task: Task) -> Asked {
            if self.under_way >= self.room {
                return Asked::Full;
            }
            let asked = self.asked.entry(task.to.port()).or_default();
            *asked += 1;
            if *asked > u32::from(task.to.port() % 10) {
                self.ready.push((task, Verdict::new(State::Open, "syn-ack")));
            }
            self.under_way += 1;
            self.most = self.most.max(self.under_way);
            Asked::Sent(0)
        }

        fn forget(&mut self, _: usize) {
            self.under_way -= 1;
        }

        fn wait(&mut self, limit: Duration, heard: &mut Vec<(Task, Verdict)>) -> io::Result<bool> {
            if self.ready.is_empty() {
                std::thread::sleep(limit);
            }
            self.under_way -= self.ready.len();
            heard.append(&mut self.ready);
            Ok(true)
        }

        fn answers_late(&self) -> bool {
            false
        }
    }

    fn play(ports: &[u16], settings: &Settings, room: usize) -> (BTreeMap<u16, State>, Played) {
        let mut medium = Played { asked: BTreeMap::new(), ready: Vec::new(), under_way: 0, most: 0, room };
        let mut found = BTreeMap::new();
        let mut tasks = ports.iter().map(|port| Task { to: ([10, 0, 0, 1], *port).into(), kind: Kind::Connect });
        scan(&mut medium, &mut tasks, settings, &mut || false, &mut |task, verdict| {
            assert!(found.insert(task.to.port(), verdict.state).is_none());
        })
        .unwrap();
        (found, medium)
    }

    #[test]
    fn silence_is_asked_again_as_far_as_losses_go() {
        let settings = Settings {
            initial: Duration::from_millis(2),
            least: Duration::from_millis(1),
            retries: 2,
            ..Settings::default()
        };
        // Nothing answers late: ports that would answer after four times are given up after three.
        let (found, medium) = play(&[10, 20, 14], &settings, 9);
        assert_eq!(found[&14], State::Filtered);
        assert_eq!(medium.asked[&14], 3);
        // One port answered on the second repetition, so two more are worth it.
        let (found, medium) = play(&[10, 20, 14, 12], &settings, 9);
        assert_eq!(found[&14], State::Open);
        assert_eq!(medium.asked[&14], 5);
        // Not beyond what was allowed.
        let (found, _) = play(&[14, 12], &Settings { most_retries: 2, ..settings }, 9);
        assert_eq!(found[&14], State::Filtered);
    }

    #[test]
    fn no_more_than_there_is_room_for() {
        let ports: Vec<u16> = (0..500).map(|port| port * 10).collect();
        for (parallel, room) in [(7, 100), (100, 7)] {
            let (found, medium) = play(&ports, &Settings { parallel, ..Settings::default() }, room);
            assert_eq!(found.len(), 500);
            assert!(medium.most <= 7, "{}", medium.most);
        }
    }

    #[test]
    fn never_faster_than_asked_for() {
        let ports: Vec<u16> = (0..50).map(|port| port * 10).collect();
        let began = Instant::now();
        let (found, _) = play(&ports, &Settings { rate: Some(1000.0), ..Settings::default() }, 100);
        assert_eq!(found.len(), 50);
        assert!(began.elapsed() >= Duration::from_millis(49));
    }
}
