//! `ping --mtu`: the largest packet that reaches the host whole. Routers that say what fits are believed and then
//! tried; where they are silent, the size is halved until something comes through, which finds black holes as well.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_core::{Ctx, Error, Exit};
use netkit_probe::MtuDiscovery;
use netkit_probe::echo::{Echo, HEADER, Queued};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

use crate::args::{NO_ANSWER, OTHER, Opts};
use crate::socket::{self, Source};
use crate::stats::round_trip;
use crate::words;

/// How long an answer is waited for where `-W` does not say, and how often a size is tried before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(1);
const TRIES: u32 = 3;
/// What any path must carry (RFC 791 section 3.2, RFC 8200 section 5), in bytes.
const LEAST: u32 = 68;
const LEAST6: u32 = 1280;
/// What an IP packet can hold.
const MOST: u32 = 65_535;

/// What one size came to.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Answered(Duration),
    /// The MTU that was named, and by whom; the own machine where nobody.
    TooBig(u32, Option<IpAddr>),
    Lost,
    /// Another error, in words.
    Failed(String),
}

struct Search {
    echo: Echo,
    to: SocketAddr,
    seq: u16,
    patience: Duration,
    overhead: u32,
}

impl Search {
    /// Sends packets of `size` bytes, header included, until one is decided.
    fn attempt(&mut self, size: u32) -> Result<Step, Error> {
        let data = vec![0x2a; usize::try_from(size.saturating_sub(self.overhead)).unwrap_or(0)];
        let mut buffer = vec![0u8; 65_536 + 200];
        // What comes late for one try is as good for the next: the size is the same.
        let first = self.seq.wrapping_add(1);
        let ours = |seq: u16| u32::from(seq.wrapping_sub(first)) < TRIES;
        for _ in 0..TRIES {
            self.seq = self.seq.wrapping_add(1);
            let sent = Instant::now();
            let refused = self.echo.send(self.to, self.seq, &data).err();
            loop {
                while let Some(queued) = self.echo.take_error() {
                    match queued {
                        Queued::Local { mtu, .. } if mtu > 0 => return Ok(Step::TooBig(mtu, None)),
                        Queued::Local { errno, .. } => return Ok(Step::Failed(netkit_probe::errno::text(errno))),
                        Queued::Icmp { error, seq: Some(seq), .. } if ours(seq) => {
                            if error.mtu > 0 {
                                return Ok(Step::TooBig(error.mtu, error.offender));
                            }
                            let text = if error.v6 {
                                words::icmp6(error.kind, error.code, 0)
                            } else {
                                words::icmp(error.kind, error.code, 0)
                            };
                            let who = error.offender.map(|ip| format!("From {ip}: ")).unwrap_or_default();
                            return Ok(Step::Failed(format!("{who}{text}")));
                        }
                        Queued::Icmp { .. } => {}
                    }
                }
                if let Some(error) = &refused {
                    // A size that no packet can have is refused without an entry in the queue.
                    let too_big = error.raw_os_error() == Some(nix::libc::EMSGSIZE);
                    return Ok(if too_big { Step::Lost } else { Step::Failed(netkit_probe::errno::reason(error)) });
                }
                if let Ok(Some(reply)) = self.echo.receive(&mut buffer)
                    && matches!(reply.kind, 0 | 129)
                    && ours(reply.seq)
                    && reply.length == data.len() + HEADER
                {
                    return Ok(Step::Answered(sent.elapsed()));
                }
                let left = self.patience.saturating_sub(sent.elapsed());
                if left.is_zero() {
                    break;
                }
                let millis = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
                let mut polled = [PollFd::new(self.echo.as_fd(), PollFlags::POLLIN)];
                let waited = poll(&mut polled, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX));
                if let Err(errno) = waited
                    && errno != nix::errno::Errno::EINTR
                {
                    return Err(Error::new(OTHER, format!("poll: {errno}")));
                }
            }
        }
        Ok(Step::Lost)
    }
}

pub(crate) fn run(ctx: &mut Ctx, opts: &Opts, host: &str, addresses: &[SocketAddr]) -> Result<Exit, Error> {
    let mut to = *addresses.first().ok_or_else(|| Error::new(OTHER, "the name has no address"))?;
    let v6 = to.is_ipv6();
    let echo = socket::open(opts, v6)?;
    let source = match socket::source(ctx, opts, to)? {
        Source::Chosen(source) => source,
        Source::Unreachable(error) => return Err(error),
    };
    socket::configure(ctx, opts, &echo, source, &mut to)?;
    netkit_sys::capabilities::lower(0);
    // The kernel's memory of earlier paths must not answer in the network's place.
    let _ = MtuDiscovery::Probe.apply(echo.socket(), v6);
    let _ = echo.socket().set_send_buffer_size(1 << 18);
    let patience = if opts.linger_ms == Opts::default().linger_ms {
        PATIENCE
    } else {
        Duration::from_millis(u64::try_from(opts.linger_ms.max(1)).unwrap_or(1))
    };
    let mut search = Search { echo, to, seq: 0, patience, overhead: if v6 { 48 } else { 28 } };
    let host = printable(host);
    let mut steps = Vec::new();
    let mut limit: Option<IpAddr> = None;
    let mut black_hole = false;
    let (mut fits, mut above) = (0, MOST + 1);
    let mut size = if v6 { LEAST6 } else { LEAST };
    let mut failure = None;
    while fits + 1 < above {
        let step = search.attempt(size)?;
        show(ctx, opts, size, &step)?;
        steps.push(json(size, &step));
        match step {
            Step::Answered(_) => fits = size,
            Step::TooBig(mtu, who) if mtu < size => {
                above = above.min(mtu.saturating_add(1)).max(fits + 1);
                (limit, black_hole) = (who.or(limit), false);
            }
            // An MTU that is no smaller than what did not fit is no news.
            Step::TooBig(_, who) => (above, limit) = (size, who.or(limit)),
            Step::Lost => {
                above = size;
                black_hole = fits > 0 && size < MOST;
            }
            Step::Failed(text) => {
                failure = Some(text);
                break;
            }
        }
        if fits == 0 {
            failure = Some("no answer to the smallest packet".to_owned());
            break;
        }
        // What a router named is tried itself, then the halves; the first try beyond the least is the most.
        size = match steps.len() {
            1 => MOST,
            _ if above <= MOST && !black_hole => above - 1,
            _ => fits + (above - fits) / 2,
        };
        if size <= fits {
            break;
        }
    }
    let found = failure.is_none() && fits > 0;
    if opts.json {
        let value = Value::object()
            .with("schema", "ping-mtu/1")
            .with("host", host.as_str())
            .with("address", to.ip().to_string())
            .with("mtu", found.then_some(fits))
            .with("limited_by", limit.map(|ip| ip.to_string()))
            .with("black_hole", black_hole)
            .with("error", failure)
            .with("steps", Value::Array(steps));
        ctx.stdout.write_all(value.pretty().as_bytes())?;
    } else if found {
        let who = limit.map(|ip| format!(", limited by {ip}")).unwrap_or_default();
        let hole = if black_hole { "; larger packets are lost without an error (a black hole)" } else { "" };
        writeln!(ctx.stdout, "path MTU to {host} ({}): {fits} bytes{who}{hole}", to.ip())?;
    } else {
        writeln!(ctx.stdout, "path MTU to {host} ({}): {}", to.ip(), failure.unwrap_or_default())?;
    }
    Ok(if found { Exit::OK } else { NO_ANSWER })
}

fn show(ctx: &mut Ctx, opts: &Opts, size: u32, step: &Step) -> Result<(), Error> {
    if opts.json || opts.quiet {
        return Ok(());
    }
    let text = match step {
        Step::Answered(took) => {
            format!("answered, time={} ms", round_trip(i64::try_from(took.as_micros()).unwrap_or(i64::MAX)))
        }
        Step::TooBig(mtu, Some(who)) => format!("too big, mtu={mtu} says {who}"),
        Step::TooBig(mtu, None) => format!("too big, mtu={mtu} says this machine"),
        Step::Lost => "no answer".to_owned(),
        Step::Failed(text) => text.clone(),
    };
    writeln!(ctx.stdout, "{size} bytes: {text}")?;
    Ok(ctx.stdout.flush()?)
}

fn json(size: u32, step: &Step) -> Value {
    let value = Value::object().with("bytes", size);
    match step {
        Step::Answered(took) => value.with("result", "answered").with("rtt_us", took.as_micros()),
        Step::TooBig(mtu, who) => {
            value.with("result", "too_big").with("mtu", *mtu).with("from", who.map(|ip| ip.to_string()))
        }
        Step::Lost => value.with("result", "lost"),
        Step::Failed(text) => value.with("result", "failed").with("text", text.as_str()),
    }
}
