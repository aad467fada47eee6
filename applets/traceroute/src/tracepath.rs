//! tracepath: the way and its MTU, with nothing but a UDP socket and its error queue.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_core::{Applet, Ctx, Error, Exit, Flags, Group, flag, flags, front};
use netkit_probe::echo::{Entry, Found, take_entry};
use netkit_probe::errno::{reason, text};
use netkit_probe::{Family, Lookup, MtuDiscovery, resolve, reverse, watch_errors};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};

use crate::{hops_back, lookup, said};

pub(crate) const APPLET: Applet = Applet {
    name: "tracepath",
    aliases: &[],
    purpose: "the way to a host, and how large packets may be",
    usage: "[-46bn] [-l LENGTH] [-m HOPS] [-p PORT] HOST[/PORT]",
    group: Group::Connect,
    flags: FLAGS,
    capability: None,
    main: run,
};

const FLAGS: Flags = flags![
    flag("-n", "", "no names"),
    flag("-b", "", "names and addresses"),
    flag("-l", "LENGTH", "begin with packets of this length"),
    flag("-m", "HOPS", "at most this many (30)"),
    flag("-p", "PORT", "first port (44444)"),
    flag("-4", "", "IPv4 only"),
    flag("-6", "", "IPv6 only"),
    flag("-V", "", "version"),
    flag("--json", "", "one object at the end"),
    flag("--netns", "PID|PATH", "in another network namespace"),
];

/// How long an answer is waited for, and how often a hop is asked.
const PATIENCE: Duration = Duration::from_secs(1);
const TRIES: u32 = 3;
/// How often sending is tried while it is refused.
const SENDS: u32 = 10;
/// How often the size may change at one hop.
const MOST_CHANGES: u32 = 64;
/// Probes that are remembered by their port.
const SLOTS: u16 = 64;
const USAGE: Exit = Exit(255);
const FAILED: Exit = Exit(1);

#[derive(Clone, Debug)]
struct Opts {
    family: Family,
    numeric: bool,
    both: bool,
    length: Option<i64>,
    most: i64,
    port: Option<u16>,
    json: bool,
    netns: Option<String>,
    host: String,
}

/// How the command line ends early.
enum Early {
    /// Nothing, or this, and the synopsis.
    Usage(String),
    Failed(String),
    /// `-4` and `-6`.
    Families,
    Version,
    Help,
}

fn number(value: &str, low: i64, high: i64) -> Result<i64, Early> {
    let shown = printable(value);
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Early::Failed(format!("invalid argument: '{shown}'")));
    }
    value
        .parse()
        .ok()
        .filter(|number| (low..=high).contains(number))
        .ok_or_else(|| Early::Failed(format!("invalid argument: '{shown}': out of range: {low} <= value <= {high}")))
}

fn parse(words: &[String]) -> Result<Opts, Early> {
    const INT: i64 = i32::MAX as i64;
    let mut opts = Opts {
        family: Family::Unspecified,
        numeric: false,
        both: false,
        length: None,
        most: 30,
        port: None,
        json: false,
        netns: None,
        host: String::new(),
    };
    let mut hosts = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--" => hosts.extend(words.by_ref().cloned()),
            "--json" => opts.json = true,
            "--help" => return Err(Early::Help),
            "--explain" => {}
            "--netns" => {
                let value = words.next().cloned();
                opts.netns = Some(value.ok_or_else(|| Early::Usage("--netns needs a value".to_owned()))?);
            }
            _ if word.len() > 1 && word.starts_with('-') => {
                let mut rest = word.get(1..).unwrap_or_default().chars();
                while let Some(letter) = rest.next() {
                    match letter {
                        '4' | '6' => {
                            let family = if letter == '4' { Family::Inet } else { Family::Inet6 };
                            if opts.family != Family::Unspecified && opts.family != family {
                                return Err(Early::Families);
                            }
                            opts.family = family;
                        }
                        'n' => opts.numeric = true,
                        'b' => opts.both = true,
                        'V' => return Err(Early::Version),
                        'l' | 'm' | 'p' => {
                            let inline = rest.as_str();
                            let value = if inline.is_empty() { words.next().cloned() } else { Some(inline.to_owned()) };
                            let value = value
                                .ok_or_else(|| Early::Usage(format!("option requires an argument -- '{letter}'")))?;
                            match letter {
                                'l' => opts.length = Some(number(&value, i64::MIN, INT)?),
                                'm' => opts.most = number(&value, 0, 255)?,
                                _ => opts.port = u16::try_from(number(&value, 0, 65_535)?).ok(),
                            }
                            break;
                        }
                        other => {
                            let shown = printable(&other.to_string());
                            return Err(Early::Usage(format!("invalid option -- '{shown}'")));
                        }
                    }
                }
            }
            _ => hosts.push(word.clone()),
        }
    }
    let [host] = hosts.as_slice() else { return Err(Early::Usage(String::new())) };
    // The port may follow the host where -p does not say it.
    opts.port = opts.port.filter(|port| *port != 0);
    opts.host = match host.split_once('/') {
        Some((name, port)) if opts.port.is_none() => {
            opts.port = port.parse().ok();
            name.to_owned()
        }
        _ => host.clone(),
    };
    Ok(opts)
}

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let name = ctx.name.clone();
    let opts = match parse(&ctx.args_lossy()) {
        Ok(opts) => opts,
        Err(Early::Version) => {
            writeln!(ctx.stdout, "tracepath from iputils 20221126, netkit {}", ctx.build.version)?;
            return Ok(Exit::OK);
        }
        Err(Early::Help) => {
            ctx.stdout.write_all(front::help_page(&APPLET).as_bytes())?;
            return Ok(Exit::OK);
        }
        Err(Early::Families) => {
            return Err(Error::new(Exit(2), "Only one -4 or -6 option may be specified"));
        }
        Err(Early::Failed(message)) => return Err(Error::new(FAILED, message)),
        Err(Early::Usage(message)) => {
            if !message.is_empty() {
                ctx.say(&format!("{name}: {message}"));
            }
            let page = front::help_page(&APPLET);
            ctx.say(&format!("\n{}", page.trim_end()));
            return Err(said(USAGE));
        }
    };
    if let Some(netns) = &opts.netns {
        netkit_sys::netns::enter(netns)?;
    }
    let found = resolve(&opts.host, 0, opts.family, &lookup(ctx))
        .map_err(|error| Error::new(FAILED, format!("{}: {error}", printable(&opts.host))))?;
    let Some(to) = found.first().copied() else { return Err(said(FAILED)) };
    let overhead = if to.is_ipv6() { 48 } else { 28 };
    let most = if to.is_ipv6() { 128_000 } else { 65_535 };
    let mtu = match opts.length {
        None => most,
        Some(length) if length <= overhead => {
            let text = format!("pktlen must be within: {overhead} < value <= {}", i32::MAX);
            return Err(Error::new(FAILED, text));
        }
        Some(length) => length.min(most),
    };
    let mut path = Path::new(ctx, &opts, to, u32::try_from(mtu).unwrap_or(65_535))?;
    path.walk()
}

/// What a look at the queue came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing was there.
    Nothing,
    /// Something was, and the way goes on.
    Further,
    /// The way ends here.
    End,
}

struct Path<'a> {
    ctx: &'a mut Ctx,
    opts: &'a Opts,
    socket: Socket,
    to: SocketAddr,
    base: u16,
    mtu: u32,
    overhead: u32,
    slot: u16,
    /// When and with which TTL the probe to `base + index` was sent.
    sent: Vec<Option<(u8, Instant)>>,
    there: Option<u8>,
    back: Option<u32>,
    rows: Vec<Value>,
}

fn failed(what: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::new(FAILED, format!("{what}: {}", reason(&error)))
}

impl<'a> Path<'a> {
    fn new(ctx: &'a mut Ctx, opts: &'a Opts, to: SocketAddr, mtu: u32) -> Result<Path<'a>, Error> {
        let v6 = to.is_ipv6();
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM, None).map_err(failed("socket"))?;
        // What the kernel knows of the path already is told as the first finding.
        MtuDiscovery::Do.apply(&socket, v6).map_err(failed("IP_MTU_DISCOVER"))?;
        watch_errors(&socket, v6, true).map_err(failed("IP_RECVERR"))?;
        let ttl = if v6 {
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)
        } else {
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)
        };
        ttl.map_err(std::io::Error::from).map_err(failed("IP_RECVTTL"))?;
        let _ = socket.set_send_buffer_size(1 << 18);
        socket.set_nonblocking(true).map_err(failed("fcntl"))?;
        Ok(Path {
            ctx,
            opts,
            socket,
            to,
            base: opts.port.filter(|port| *port != 0).unwrap_or(44_444),
            mtu,
            overhead: if v6 { 48 } else { 28 },
            slot: 0,
            sent: vec![None; usize::from(SLOTS)],
            there: None,
            back: None,
            rows: Vec::new(),
        })
    }

    fn walk(&mut self) -> Result<Exit, Error> {
        let mut ended = false;
        'hops: for ttl in 1..=u8::try_from(self.opts.most).unwrap_or(255) {
            let set = if self.to.is_ipv6() {
                self.socket.set_unicast_hops_v6(u32::from(ttl))
            } else {
                self.socket.set_ttl_v4(u32::from(ttl))
            };
            set.map_err(failed("IP_TTL"))?;
            let mut changes = 0;
            let mut tries = 0;
            let progress = loop {
                let before = self.mtu;
                let progress = self.probe(ttl)?;
                // With another size the same hop is asked again.
                if self.mtu != before && changes < MOST_CHANGES {
                    (changes, tries) = (changes + 1, 0);
                    continue;
                }
                tries += 1;
                if progress != Progress::Nothing || tries >= TRIES {
                    break progress;
                }
            };
            match progress {
                Progress::End => {
                    ended = true;
                    break 'hops;
                }
                Progress::Further => {}
                Progress::Nothing => {
                    self.say(&format!("{ttl:2}:  no reply\n"))?;
                    self.rows.push(Value::object().with("ttl", u32::from(ttl)).with("reply", Value::Null));
                }
            }
        }
        if !ended {
            self.say(&format!("     Too many hops: pmtu {}\n", self.mtu))?;
        }
        self.finish()
    }

    fn finish(&mut self) -> Result<Exit, Error> {
        if self.opts.json {
            let value = Value::object()
                .with("schema", "tracepath/1")
                .with("host", printable(&self.opts.host))
                .with("address", self.to.ip().to_string())
                .with("pmtu", self.mtu)
                .with("hops_there", self.there.map(u32::from))
                .with("hops_back", self.back)
                .with("findings", Value::Array(std::mem::take(&mut self.rows)));
            self.ctx.stdout.write_all(value.pretty().as_bytes())?;
            return Ok(Exit::OK);
        }
        let mut text = format!("     Resume: pmtu {} ", self.mtu);
        if let Some(there) = self.there {
            text += &format!("hops {there} ");
        }
        if let Some(back) = self.back {
            text += &format!("back {back} ");
        }
        text.push('\n');
        self.say(&text)?;
        Ok(Exit::OK)
    }

    fn say(&mut self, text: &str) -> Result<(), Error> {
        if !self.opts.json {
            self.ctx.stdout.write_all(text.as_bytes())?;
            self.ctx.stdout.flush()?;
        }
        Ok(())
    }

    fn probe(&mut self, ttl: u8) -> Result<Progress, Error> {
        let mut sent = false;
        let (mut tries, mut changes) = (0, 0);
        while tries < SENDS {
            tries += 1;
            let size = usize::try_from(self.mtu.saturating_sub(self.overhead)).unwrap_or(0);
            let data = vec![0u8; size];
            let mut to = self.to;
            to.set_port(self.base.wrapping_add(self.slot));
            if let Some(slot) = self.sent.get_mut(usize::from(self.slot)) {
                *slot = Some((ttl, Instant::now()));
            }
            if self.socket.send_to(&data, &to.into()).is_ok() {
                sent = true;
                break;
            }
            let progress = self.look(ttl)?;
            if let Some(slot) = self.sent.get_mut(usize::from(self.slot)) {
                *slot = None;
            }
            match progress {
                Progress::End => return Ok(Progress::End),
                // The size has changed, most likely.
                Progress::Further if changes < MOST_CHANGES => (tries, changes) = (0, changes + 1),
                Progress::Further => return Ok(Progress::Further),
                Progress::Nothing => {}
            }
        }
        self.slot = (self.slot + 1) % SLOTS;
        if !sent {
            self.say(&format!("{ttl:2}:  send failed\n"))?;
            return Ok(Progress::End);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let millis = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(0);
            let mut polled = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut polled, PollTimeout::try_from(millis).unwrap_or(PollTimeout::ZERO)) {
                Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => return Err(failed("poll")(errno.into())),
                Ok(_) => break,
            }
        }
        let mut buffer = [std::mem::MaybeUninit::uninit(); 64];
        if self.socket.recv(&mut buffer).is_ok() {
            self.say(&format!("{ttl:2}?: reply received 8)\n"))?;
            return Ok(Progress::End);
        }
        self.look(ttl)
    }

    /// Takes what the error queue has.
    fn look(&mut self, ttl: u8) -> Result<Progress, Error> {
        let mut progress = Progress::Nothing;
        let mut payload = [0u8; 64];
        while let Some(entry) = take_entry(&self.socket, &mut payload) {
            progress = Progress::Further;
            if self.entry(ttl, &entry)? {
                return Ok(Progress::End);
            }
        }
        Ok(progress)
    }

    /// Tells one entry; true when the way ends with it.
    fn entry(&mut self, ttl: u8, entry: &Entry) -> Result<bool, Error> {
        let slot = entry.to.map(|to| to.port().wrapping_sub(self.base)).filter(|slot| *slot < SLOTS);
        let probe = slot.and_then(|slot| self.sent.get_mut(usize::from(slot))).and_then(Option::take);
        let took = probe.map(|(_, sent)| sent.elapsed());
        let hop = probe.map(|(hop, _)| hop);
        let back = entry.ttl.map(hops_back);
        let time = |took: Duration| format!("{:3}.{:03}ms ", took.as_micros() / 1000, took.as_micros() % 1000);
        let mut row = Value::object().with("ttl", u32::from(hop.unwrap_or(ttl)));
        row.set("rtt_us", took.map(|took| took.as_micros()));
        let error = match entry.found {
            Found::Local { errno, mtu } => {
                row.set("from", Value::Null);
                let mut text = format!("{ttl:2}?: {:<32} ", "[LOCALHOST]");
                // IPv4 does not say which packet it refused.
                if let (true, Some(took)) = (self.to.is_ipv6(), took) {
                    text += &time(took);
                }
                self.say(&text)?;
                return self.outcome(row, errno, mtu, None, None);
            }
            Found::Icmp(error) => error,
        };
        let who = error.offender.unwrap_or(self.to.ip());
        row.set("from", who.to_string());
        let mut text = match hop {
            Some(hop) => format!("{hop:2}:  "),
            None => format!("{ttl:2}?: "),
        };
        text += &format!("{:<52} ", self.name(who));
        if let Some(took) = took {
            text += &time(took);
        }
        self.say(&text)?;
        let expired = matches!((error.v6, error.kind, error.code), (false, 11, 0) | (true, 3, 0));
        if expired {
            let asymmetric = back.filter(|back| *back != u32::from(hop.unwrap_or(ttl)));
            let text = asymmetric.map(|back| format!("asymm {back:2} ")).unwrap_or_default();
            row.set("hops_back", back);
            self.rows.push(row);
            self.say(&(text + "\n"))?;
            return Ok(false);
        }
        self.outcome(row, error.errno, error.mtu, Some(hop.unwrap_or(ttl)), back)
    }

    fn name(&self, ip: IpAddr) -> String {
        let name = if self.opts.numeric { None } else { reverse(ip, &Lookup::default()) };
        match name {
            Some(name) if self.opts.both => format!("{name} ({ip})"),
            Some(name) => name,
            None if self.opts.both && !self.opts.numeric => format!("{ip} ({ip})"),
            None => ip.to_string(),
        }
    }

    /// The end of a line, by error number; true when the way ends with it.
    fn outcome(
        &mut self,
        mut row: Value,
        errno: i32,
        mtu: u32,
        hop: Option<u8>,
        back: Option<u32>,
    ) -> Result<bool, Error> {
        let (word, end) = match errno {
            libc::ETIMEDOUT => ("", false),
            libc::EMSGSIZE => {
                row.set("pmtu", mtu);
                self.rows.push(row);
                self.mtu = mtu.max(self.overhead + 1).min(self.mtu);
                self.say(&format!("pmtu {mtu}\n"))?;
                return Ok(false);
            }
            libc::ECONNREFUSED => {
                (self.there, self.back) = (hop, back);
                ("reached", true)
            }
            libc::EPROTO => ("!P", true),
            libc::EHOSTUNREACH => ("!H", true),
            libc::ENETUNREACH => ("!N", true),
            libc::EACCES => ("!A", true),
            other => {
                row.set("error", text(other));
                self.rows.push(row);
                self.say("\n")?;
                let name = self.ctx.name.clone();
                self.ctx.say(&format!("{name}: NET ERROR: {}", text(other)));
                return Ok(true);
            }
        };
        row.set("result", word);
        self.rows.push(row);
        self.say(&format!("{word}\n"))?;
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Opts, Early> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn words() {
        let opts = read("-nl1000 -m 3 h/80").ok().unwrap();
        assert_eq!(
            (opts.numeric, opts.length, opts.most, opts.port, opts.host.as_str()),
            (true, Some(1000), 3, Some(80), "h")
        );
        let opts = read("-p 99 h/80").ok().unwrap();
        assert_eq!((opts.port, opts.host.as_str()), (Some(99), "h/80"));
        assert!(matches!(read("-4 -6 h"), Err(Early::Families)));
        for (line, text) in [
            ("-l x h", "invalid argument: 'x'"),
            ("-m 256 h", "invalid argument: '256': out of range: 0 <= value <= 255"),
        ] {
            assert!(matches!(read(line), Err(Early::Failed(said)) if said == text), "{line}");
        }
        assert!(matches!(read("-z h"), Err(Early::Usage(said)) if said == "invalid option -- 'z'"));
        assert!(matches!(read("a b"), Err(Early::Usage(said)) if said.is_empty()));
    }
}
