//! One run: requests at their times, replies and errors as they come, and the closing lines.
//!
//! Time is kept in whole milliseconds between requests, as the peer keeps it: a bucket of `interval * preload`
//! milliseconds from which each request takes `interval`.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_probe::echo::{Echo, HEADER, Queued, Reply};
use netkit_probe::errno;
use netkit_probe::{IcmpError, Lookup, reverse};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::args::{NO_ANSWER, OTHER, Opts};
use crate::stats::{Stats, round_trip};
use crate::words;

/// The size of the time that a request carries: struct timeval of a 64-bit kernel.
const STAMP: usize = 16;
/// The shortest wait while something is on its way, in milliseconds.
const SHORTEST: i64 = 10;
/// The shortest interval of an unprivileged user, in milliseconds.
pub(crate) const USER_SHORTEST: i64 = 2;
/// Messages handled in a row before the clock is looked at again.
const BURST: usize = 4096;

/// SIGINT and SIGQUIT as a descriptor; without one, they do what they do by default.
#[derive(Debug)]
pub(crate) struct Signals(Option<SignalFd>);

impl Signals {
    pub(crate) fn new() -> Signals {
        let mut set = SigSet::empty();
        set.add(Signal::SIGINT);
        set.add(Signal::SIGQUIT);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Signals(set.thread_block().ok().and_then(|()| SignalFd::with_flags(&set, flags).ok()))
    }

    /// The next one that waits.
    pub(crate) fn next(&self) -> Option<Signal> {
        let info = self.0.as_ref()?.read_signal().ok()??;
        Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()
    }

    /// Waits for `socket`, for a signal, or for `timeout`.
    pub(crate) fn wait(&self, socket: Option<&impl AsFd>, timeout: Duration) -> io::Result<()> {
        let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(2);
        polled.extend(socket.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)));
        polled.extend(self.0.as_ref().map(|signals| PollFd::new(signals.as_fd(), PollFlags::POLLIN)));
        let millis = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        match poll(&mut polled, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Everything of one run.
pub(crate) struct Run<'a> {
    pub(crate) ctx: &'a mut Ctx,
    pub(crate) opts: &'a Opts,
    pub(crate) echo: Echo,
    pub(crate) to: SocketAddr,
    pub(crate) host: String,
    /// Addresses are shown without names.
    pub(crate) numeric: bool,
    stats: Stats,
    data: Vec<u8>,
    timing: bool,
    interval: i64,
    /// Microseconds added to the interval of `-A` while the own queue is full.
    addend: i64,
    tokens: i64,
    refused: i64,
    started: Instant,
    last: Option<Instant>,
    exit_at: Option<Instant>,
    stop: bool,
    user_latency: bool,
    /// The address shown last, with its name.
    shown: Option<(IpAddr, String)>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        ctx: &'a mut Ctx,
        opts: &'a Opts,
        echo: Echo,
        to: SocketAddr,
        host: String,
        numeric: bool,
    ) -> Run<'a> {
        let mut data: Vec<u8> = (0..opts.size).map(|at| u8::try_from(at & 0xff).unwrap_or(0)).collect();
        if let Some(pattern) = opts.pattern.as_ref().filter(|pattern| !pattern.is_empty()) {
            for (slot, byte) in data.iter_mut().zip(pattern.iter().cycle()) {
                *slot = *byte;
            }
        }
        Run {
            ctx,
            opts,
            echo,
            to,
            host,
            numeric,
            stats: Stats::new(),
            data,
            timing: opts.size >= STAMP,
            interval: if opts.flood && !opts.interval_given { 0 } else { opts.interval_ms },
            addend: 0,
            tokens: 0,
            refused: 0,
            started: Instant::now(),
            last: None,
            exit_at: None,
            stop: false,
            user_latency: opts.user_latency,
            shown: None,
        }
    }

    /// Sends and listens until it is time to end.
    pub(crate) fn go(&mut self, signals: &Signals) -> Result<Exit, Error> {
        self.started = Instant::now();
        let deadline = (self.opts.deadline_s > 0).then(|| self.started + Duration::from_secs(self.opts.deadline_s));
        let mut buffer = vec![0u8; self.opts.size + 200];
        loop {
            while let Some(signal) = signals.next() {
                match signal {
                    Signal::SIGQUIT => {
                        let status = self.stats.status(self.timing);
                        self.ctx.say(&status);
                    }
                    _ => self.stop = true,
                }
            }
            let now = Instant::now();
            let over = [deadline, self.exit_at].into_iter().flatten().any(|end| now >= end);
            let answered = self.stats.received + self.stats.errors;
            if self.stop
                || over
                || (self.opts.count > 0 && answered >= self.opts.count)
                || (self.opts.deadline_s > 0 && self.stats.errors > 0)
            {
                break;
            }
            let mut next;
            loop {
                next = self.send()?;
                next = self.schedule_exit(next);
                if next > 0 {
                    break;
                }
            }
            let mut wait = Duration::from_millis(u64::try_from(next).unwrap_or(0));
            for end in [deadline, self.exit_at].into_iter().flatten() {
                wait = wait.min(end.saturating_duration_since(Instant::now()));
            }
            signals.wait(Some(&self.echo), wait).map_err(|error| failed("poll", &error))?;
            self.listen(&mut buffer)?;
        }
        self.finish()
    }

    /// After the last request: how long the last answers are waited for.
    fn schedule_exit(&mut self, next: i64) -> i64 {
        let all_sent = self.opts.count > 0 && self.stats.transmitted >= self.opts.count && self.opts.deadline_s == 0;
        if !all_sent || self.exit_at.is_some() {
            return next;
        }
        let micros = if self.stats.received > 0 {
            (2 * self.stats.max).max(1000 * self.interval)
        } else {
            1000 * self.opts.linger_ms
        };
        let micros = u64::try_from(micros).unwrap_or(0);
        self.exit_at = Some(Instant::now() + Duration::from_micros(micros));
        // A wait of nothing would never come to the listening.
        next.max(i64::try_from(micros / 1000).unwrap_or(i64::MAX)).max(1)
    }

    /// Sends a request if one is due; returns in how many milliseconds to come back.
    fn send(&mut self) -> Result<i64, Error> {
        let sent = self.stats.transmitted;
        if self.stop || (self.opts.count > 0 && sent >= self.opts.count && self.opts.deadline_s == 0) {
            return Ok(1000);
        }
        let now = Instant::now();
        match self.last {
            None => self.tokens = self.interval * (self.opts.preload - 1),
            Some(last) => {
                let passed = i64::try_from(now.duration_since(last).as_millis()).unwrap_or(i64::MAX / 4);
                if self.interval == 0 && passed < SHORTEST && self.stats.in_flight() >= self.opts.preload {
                    return Ok(SHORTEST - passed);
                }
                let full = self.interval.saturating_mul(self.opts.preload);
                let have = (passed + self.tokens).min(full);
                if have < self.interval {
                    return Ok(self.interval - have);
                }
                self.tokens = have - self.interval;
            }
        }
        self.last = Some(now);
        if self.opts.outstanding && sent > 0 && !self.stats.was_seen(self.stats.next_seq().wrapping_sub(1)) {
            self.outstanding()?;
        }
        self.stats.sending();
        let seq = self.stats.next_seq();
        if self.timing {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let stamp = [since.as_secs().to_ne_bytes(), u64::from(since.subsec_micros()).to_ne_bytes()].concat();
            if let Some(slot) = self.data.get_mut(..STAMP) {
                slot.copy_from_slice(&stamp);
            }
        }
        let result = self.echo.send(self.to, seq, &self.data);
        let Err(error) = result else {
            self.refused = 0;
            self.stats.transmitted += 1;
            if self.opts.flood && !self.opts.quiet {
                self.raw(".")?;
            }
            return Ok(self.interval - self.tokens);
        };
        self.not_sent(&error)
    }

    fn not_sent(&mut self, error: &io::Error) -> Result<i64, Error> {
        match error.raw_os_error() {
            Some(libc::ENOBUFS | libc::ENOMEM) => {
                self.tokens = 0;
                self.addend += (self.stats.smooth / 8).min(50_000);
                if self.opts.adaptive {
                    self.adapt();
                }
                let wait = self.interval.max(SHORTEST) / 2;
                let wait = wait.clamp(SHORTEST, 500);
                self.refused += 1;
                if self.refused * wait < self.opts.linger_ms {
                    return Ok(wait);
                }
            }
            Some(libc::EAGAIN) => {
                self.tokens += self.interval;
                return Ok(SHORTEST);
            }
            _ => {}
        }
        let queued = self.echo.take_error();
        // The peer names the refusal only where somebody on the way has caused it.
        let named = matches!(queued, Some(Queued::Icmp { seq: Some(_), .. }));
        match queued {
            Some(queued) => self.error(queued)?,
            None => self.ctx.hint(&format!("not sent: {}", errno::reason(error))),
        }
        self.stats.transmitted += 1;
        if named && !self.opts.quiet {
            if self.opts.flood {
                self.raw("E")?;
            } else {
                self.local("sendmsg", &errno::reason(error), 0)?;
            }
        }
        self.tokens = 0;
        Ok(self.interval.max(SHORTEST))
    }

    fn adapt(&mut self) {
        let estimate = if self.stats.smooth > 0 { self.stats.smooth / 8 } else { self.interval * 1000 };
        self.interval = (estimate + self.addend + 500) / 1000;
        if !nix::unistd::getuid().is_root() {
            self.interval = self.interval.max(USER_SHORTEST);
        }
    }

    /// Takes everything that waits.
    fn listen(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        for _ in 0..BURST {
            match self.echo.receive(buffer) {
                Ok(Some(reply)) => self.reply(&reply, buffer)?,
                Ok(None) => {}
                Err(error) => match (error.kind(), self.echo.take_error()) {
                    (_, Some(queued)) => self.error(queued)?,
                    (ErrorKind::WouldBlock | ErrorKind::Interrupted, None) => break,
                    (_, None) => {
                        self.local("recvmsg", &errno::reason(&error), 0)?;
                        break;
                    }
                },
            }
            if self.stats.in_flight() == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The address, with its name before it where names are wanted.
    fn name(&mut self, address: SocketAddr) -> String {
        let ip = address.ip();
        if let Some((known, text)) = &self.shown
            && *known == ip
        {
            return text.clone();
        }
        let scope = match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => {
                let index = nix::net::if_::if_indextoname(v6.scope_id());
                index.ok().and_then(|name| name.into_string().ok()).map(|name| format!("%{name}"))
            }
            _ => None,
        };
        let text = format!("{ip}{}", scope.unwrap_or_default());
        let name = if self.numeric || self.stop { None } else { reverse(ip, &Lookup::default()) };
        let text = name.map_or(text.clone(), |name| format!("{name} ({text})"));
        self.shown = Some((ip, text.clone()));
        text
    }

    fn stamp(&self) -> String {
        if !self.opts.timestamps {
            return String::new();
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("[{}.{:06}] ", since.as_secs(), since.subsec_micros())
    }

    fn event(&mut self, mut value: Value) -> Result<(), Error> {
        if self.opts.timestamps {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            value.set("at_us", since.as_micros());
        }
        writeln!(self.ctx.stdout, "{value}")?;
        self.ctx.stdout.flush()?;
        Ok(())
    }

    fn raw(&mut self, text: &str) -> Result<(), Error> {
        if !self.opts.json {
            self.ctx.stdout.write_all(text.as_bytes())?;
            self.ctx.stdout.flush()?;
        }
        Ok(())
    }

    fn outstanding(&mut self) -> Result<(), Error> {
        let seq = self.stats.next_seq().wrapping_sub(1);
        if self.opts.json {
            return self.event(Value::object().with("event", "no_answer_yet").with("seq", u32::from(seq)));
        }
        let stamp = self.stamp();
        self.raw(&format!("{stamp}no answer yet for icmp_seq={seq}\n"))
    }

    /// Something that this machine refused.
    fn local(&mut self, what: &str, text: &str, mtu: u32) -> Result<(), Error> {
        if self.opts.json {
            let mut value = Value::object().with("event", "local_error").with("text", text);
            if mtu > 0 {
                value.set("mtu", mtu);
            }
            return self.event(value);
        }
        let name = self.ctx.name.clone();
        let mtu = match (mtu, self.to.is_ipv6()) {
            (0, _) => String::new(),
            (mtu, false) => format!(", mtu={mtu}"),
            (mtu, true) => format!(", mtu: {mtu}"),
        };
        self.ctx.say(&format!("{name}: {what}: {text}{mtu}"));
        Ok(())
    }

    fn error(&mut self, queued: Queued) -> Result<(), Error> {
        match queued {
            Queued::Local { errno, mtu } => {
                if self.opts.quiet {
                    return Ok(());
                }
                self.stats.errors += 1;
                if self.opts.flood {
                    return self.raw("E");
                }
                let text = if errno == libc::EMSGSIZE { "message too long".to_owned() } else { errno::text(errno) };
                self.local("local error", &text, mtu)
            }
            // Without a number it is about somebody else's request.
            Queued::Icmp { seq: None, .. } => Ok(()),
            Queued::Icmp { error, seq: Some(seq), .. } => {
                self.stats.acknowledge(seq);
                self.stats.errors += 1;
                if self.opts.quiet {
                    return Ok(());
                }
                if self.opts.flood {
                    return self.raw("\u{8}E");
                }
                self.icmp_error(&error, seq)
            }
        }
    }

    fn icmp_error(&mut self, error: &IcmpError, seq: u16) -> Result<(), Error> {
        let info = error.mtu;
        let text = if error.v6 {
            words::icmp6(error.kind, error.code, info)
        } else {
            words::icmp(error.kind, error.code, info)
        };
        if self.opts.json {
            let mut value = Value::object()
                .with("event", "icmp_error")
                .with("seq", u32::from(seq))
                .with("from", error.offender.map(|ip| ip.to_string()))
                .with("type", u32::from(error.kind))
                .with("code", u32::from(error.code))
                .with("text", text);
            if error.mtu > 0 {
                value.set("mtu", error.mtu);
            }
            return self.event(value);
        }
        let from = error.offender.map_or_else(|| "0.0.0.0".to_owned(), |ip| self.name(SocketAddr::new(ip, 0)));
        let stamp = self.stamp();
        self.raw(&format!("{stamp}From {from} icmp_seq={seq} {text}\n"))
    }

    /// Microseconds from the time that the data carry.
    fn round_trip(&mut self, reply: &Reply, data: &[u8]) -> Option<i64> {
        let stamp = data.get(..STAMP).filter(|_| self.timing)?;
        let (seconds, micros) = stamp.split_first_chunk::<8>()?;
        let micros = i64::from_ne_bytes(*micros.first_chunk::<8>()?);
        let then = i64::from_ne_bytes(*seconds).saturating_mul(1_000_000).saturating_add(micros);
        let since = |at: SystemTime| {
            let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(at.as_micros()).unwrap_or(i64::MAX).saturating_sub(then)
        };
        let mut passed = since(if self.user_latency { SystemTime::now() } else { reply.at });
        if passed < 0 {
            let text = format!(
                "{}: Warning: time of day goes back ({passed}us), taking countermeasures",
                self.ctx.name.clone()
            );
            self.ctx.say(&text);
            passed = if self.user_latency { 0 } else { since(SystemTime::now()).max(0) };
            self.user_latency = true;
        }
        // What comes back may say anything; a year is long enough.
        Some(passed.min(31_536_000_000_000))
    }

    fn reply(&mut self, reply: &Reply, buffer: &[u8]) -> Result<(), Error> {
        let data = buffer.get(reply.data..).and_then(|rest| rest.get(..reply.length - HEADER)).unwrap_or_default();
        let expected = if self.to.is_ipv6() { 129 } else { 0 };
        if reply.kind != expected {
            return self.redirect(reply, data);
        }
        let rtt = self.round_trip(reply, data);
        let duplicate = self.stats.reply(reply.seq, rtt, reply.corrupt);
        if self.opts.adaptive && rtt.is_some() && !reply.corrupt {
            self.adapt();
        }
        if self.opts.quiet {
            return Ok(());
        }
        if self.opts.flood {
            return self.raw(if reply.corrupt { "\u{8}C" } else { "\u{8} \u{8}" });
        }
        let many = self.opts.broadcast || self.to.ip().is_multicast();
        let stranger = !many && !self.to.ip().is_unspecified() && reply.from.ip() != self.to.ip();
        if self.opts.json {
            return self.reply_event(reply, rtt, duplicate, stranger);
        }
        let from = self.name(reply.from);
        let mut line = format!("{}{} bytes from {from}: icmp_seq={}", self.stamp(), reply.length, reply.seq);
        if self.opts.verbose && self.echo.is_raw() {
            line += &format!(" ident={}", reply.ident);
        }
        if let Some(ttl) = reply.ttl {
            line += &format!(" ttl={ttl}");
        }
        if reply.length < self.opts.size + HEADER {
            return self.raw(&(line + " (truncated)\n"));
        }
        if let Some(rtt) = rtt {
            line += &format!(" time={} ms", round_trip(rtt));
        }
        for (said, text) in [
            (duplicate && (!many || self.opts.verbose), " (DUP!)"),
            (reply.corrupt, " (BAD CHECKSUM!)"),
            (stranger, " (DIFFERENT ADDRESS!)"),
        ] {
            if said {
                line += text;
            }
        }
        line += &wrong_data(&self.data, data);
        if self.opts.audible {
            line.push('\u{7}');
        }
        line.push('\n');
        self.raw(&line)
    }

    fn reply_event(&mut self, reply: &Reply, rtt: Option<i64>, duplicate: bool, stranger: bool) -> Result<(), Error> {
        let mut value = Value::object()
            .with("event", "reply")
            .with("seq", u32::from(reply.seq))
            .with("from", reply.from.ip().to_string())
            .with("bytes", reply.length)
            .with("ttl", reply.ttl.map(u32::from))
            .with("rtt_us", rtt);
        for (said, key) in [
            (duplicate, "duplicate"),
            (reply.corrupt, "bad_checksum"),
            (stranger, "different_address"),
            (reply.length < self.opts.size + HEADER, "truncated"),
        ] {
            if said {
                value.set(key, true);
            }
        }
        self.event(value)
    }

    /// What only a raw IPv4 socket sees: a router that knows a better way, or asks for less.
    fn redirect(&mut self, reply: &Reply, data: &[u8]) -> Result<(), Error> {
        if self.to.is_ipv6() || !matches!(reply.kind, 4 | 5) || self.opts.quiet || self.opts.flood {
            return Ok(());
        }
        // The data are the header of our request and its first octets.
        let header = usize::from(data.first().copied().unwrap_or(0) & 15) * 4;
        let to = data.get(16..20).and_then(|bytes| bytes.first_chunk::<4>()).map(|bytes| IpAddr::from(*bytes));
        let Some([8, _, _, _, i0, i1, s0, s1]) = data.get(header..).and_then(|inner| inner.first_chunk::<8>()) else {
            return Ok(());
        };
        if to != Some(self.to.ip()) || u16::from_be_bytes([*i0, *i1]) != self.echo.ident() {
            return Ok(());
        }
        // The gateway stands where an echo has its identifier and number.
        let gateway = (u32::from(reply.ident) << 16) | u32::from(reply.seq);
        let text = words::icmp(reply.kind, reply.code, gateway);
        let seq = u16::from_be_bytes([*s0, *s1]);
        if self.opts.json {
            return self.event(
                Value::object()
                    .with("event", "redirect")
                    .with("seq", u32::from(seq))
                    .with("from", reply.from.ip().to_string())
                    .with("text", text),
            );
        }
        let from = self.name(reply.from);
        let stamp = self.stamp();
        self.raw(&format!("{stamp}From {from}: icmp_seq={seq} {text}\n"))
    }

    fn finish(&mut self) -> Result<Exit, Error> {
        let between = self.last.map(|last| last.duration_since(self.started)).unwrap_or_default();
        if self.opts.json {
            let value = self.stats.json(between, self.timing);
            self.event(value)?;
        } else {
            let gaps = self.interval == 0 || self.opts.flood || self.opts.adaptive;
            let text = self.stats.summary(&self.host, between, self.timing, gaps);
            self.raw(&text)?;
        }
        let short = self.opts.deadline_s > 0 && self.stats.received < self.opts.count;
        Ok(if self.stats.received == 0 || short { NO_ANSWER } else { Exit::OK })
    }
}

fn failed(what: &str, error: &io::Error) -> Error {
    Error::new(OTHER, format!("{what}: {}", errno::reason(error)))
}

/// Where the data that came back are not those that were sent: the first such octet, and all that came.
fn wrong_data(sent: &[u8], came: &[u8]) -> String {
    let differs = sent.iter().zip(came).enumerate().skip(STAMP).find(|(_, (sent, came))| sent != came);
    let Some((at, (sent, was))) = differs else { return String::new() };
    let mut text = format!("\nwrong data byte #{at} should be 0x{sent:x} but was 0x{was:x}");
    for (at, byte) in came.iter().enumerate().skip(STAMP) {
        if at % 32 == STAMP {
            text += &format!("\n#{at}\t");
        }
        text += &format!("{byte:x} ");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_on_the_way() {
        let sent: Vec<u8> = (0..40).collect();
        let mut came = sent.clone();
        assert_eq!(wrong_data(&sent, &came), "");
        // The time in front is not compared.
        came[3] ^= 1;
        assert_eq!(wrong_data(&sent, &came), "");
        came[20] = 0xff;
        let text = wrong_data(&sent, &came);
        assert!(
            text.starts_with("\nwrong data byte #20 should be 0x14 but was 0xff\n#16\t10 11 12 13 ff 15 "),
            "{text}"
        );
    }
}
