//! ping: does it answer, how fast, and if not, who says so.
//!
//! - Peer: iputils ping 20221126 (Debian 12): flags, texts, exit statuses (0 an answer, 1 none, 2 anything else).
//! - Deliberate differences: datagram sockets are tried before raw ones for every user; record route, timestamp and
//!   source route options (`-R`, `-T`, several hosts), flow labels and node information queries are refused by name; so
//!   is an interval below nothing; the host is shown as typed, not by its canonical name.
//! - Beyond the peer: `--tcp PORT` (connections instead of echoes), `--mtu` (the path's MTU, black holes included),
//!   `--json` (an object a line), `-M probe`, `--netns`, `ping6`.
//! - Kernel interfaces: ICMP datagram sockets and their error queue, raw sockets as a fallback, signalfd(2).
//! - Privilege: none where net.ipv4.ping_group_range holds the group (every Kubernetes node since 1.22 allows it by a
//!   safe sysctl), else CAP_NET_RAW; `--tcp` never needs any; `-m` needs CAP_NET_ADMIN, `--netns` CAP_SYS_ADMIN.

mod args;
mod mtu;
mod options;
mod run;
mod socket;
mod stats;
mod tcp;
mod words;

use std::net::SocketAddr;

use netkit_core::json::Value;
use netkit_core::text::printable;
use netkit_core::{Applet, Ctx, Error, Exit, Group, front};
use netkit_probe::{Family, Lookup, LookupError, resolve};

use crate::args::{NO_ANSWER, OTHER, Opts};
use crate::run::{Run, Signals, USER_SHORTEST};
use crate::socket::Source;

/// ping, also by the names that fix the family.
pub static APPLETS: &[Applet] = &[Applet {
    name: "ping",
    aliases: &["ping4", "ping6"],
    purpose: "does a host answer, and how fast",
    usage: "[OPTION...] HOST\n--tcp PORT [OPTION...] HOST\n--mtu [OPTION...] HOST",
    group: Group::Connect,
    flags: options::FLAGS,
    capability: Some(netkit_core::privilege::Capability::NetRaw),
    main: run,
}];

/// The peer whose output this is.
const PEER_VERSION: &str = "20221126";

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let words = ctx.args_lossy();
    let mut opts = args::parse(&words).or_else(|error| usage(ctx, error))?;
    ctx.explain |= opts.explain;
    if opts.help {
        ctx.stdout.write_all(page().as_bytes())?;
        // What asks for help in the peer's way has its status.
        return Ok(if words.iter().any(|word| word == "--help") { Exit::OK } else { OTHER });
    }
    if opts.version {
        writeln!(ctx.stdout, "ping from iputils {PEER_VERSION}, netkit {}", ctx.build.version)?;
        return Ok(Exit::OK);
    }
    match (ctx.name.as_str(), opts.family) {
        ("ping4", 6) | ("ping6", 4) => return Err(Error::new(OTHER, "only one -4 or -6 option may be specified")),
        ("ping4", _) => opts.family = 4,
        ("ping6", _) => opts.family = 6,
        _ => {}
    }
    let name = ctx.name.clone();
    for warning in &opts.warnings {
        ctx.say(&format!("{name}: {warning}"));
    }
    let host = match opts.operands.as_slice() {
        [] => return Err(Error::new(NO_ANSWER, "usage error: Destination address required")),
        [host] => host.clone(),
        _ => {
            let text = "one host at a time: routes through several hosts are not offered (no router follows them)";
            return Err(Error::new(OTHER, text));
        }
    };
    check(&opts, false)?;
    if let Some(netns) = &opts.netns {
        netkit_sys::netns::enter(netns)?;
    }
    let addresses = look_up(ctx, &opts, &host)?;
    let signals = Signals::new();
    if let Some(port) = opts.tcp {
        return tcp::run(ctx, &opts, &host, &addresses, port, &signals);
    }
    if opts.path_mtu {
        return mtu::run(ctx, &opts, &host, &addresses);
    }
    let mut left = addresses.into_iter().peekable();
    while let Some(to) = left.next() {
        match one(ctx, &opts, &host, to, &signals)? {
            Outcome::Done(exit) => return Ok(exit),
            Outcome::Unreachable(error) if left.peek().is_none() => return Err(error),
            Outcome::Unreachable(_) => {}
        }
    }
    Err(Error::new(OTHER, format!("{}: Name or service not known", printable(&host))))
}

/// A usage error is followed by the synopsis where the peer's is.
fn usage<T>(ctx: &mut Ctx, error: Error) -> Result<T, Error> {
    if error.message.starts_with("invalid option") || error.message.starts_with("option requires") {
        let name = ctx.name.clone();
        ctx.say(&format!("{name}: {}\n\n{}", error.message, page().trim_end()));
        return Err(Error { message: String::new(), ..error });
    }
    Err(error)
}

fn page() -> String {
    APPLETS.first().map(front::help_page).unwrap_or_default()
}

/// What does not go together, and what only root may; `after` the first line, as the peer looks at intervals then.
fn check(opts: &Opts, after: bool) -> Result<(), Error> {
    let refuse = |text: String| Err(Error::new(OTHER, text));
    if opts.tcp.is_some() && opts.path_mtu {
        return refuse("--tcp and --mtu are two questions: ask them one after the other".to_owned());
    }
    if opts.tcp.is_some() || opts.path_mtu {
        return Ok(());
    }
    let root = nix::unistd::getuid().is_root();
    if !root && opts.preload > 3 {
        return refuse(format!("cannot set preload to value greater than 3: {}", opts.preload));
    }
    let interval = if opts.flood && !opts.interval_given { 0 } else { opts.interval_ms };
    if after && !root && interval < USER_SHORTEST {
        return refuse(format!("cannot flood; minimal interval allowed for user is {USER_SHORTEST}ms"));
    }
    if interval >= i64::from(i32::MAX) / opts.preload {
        return refuse(format!("illegal preload and/or interval: {interval}"));
    }
    Ok(())
}

/// The addresses of the host, in the order they are to be tried.
fn look_up(ctx: &Ctx, opts: &Opts, host: &str) -> Result<Vec<SocketAddr>, Error> {
    let family = match opts.family {
        4 => Family::Inet,
        6 => Family::Inet6,
        _ => Family::Unspecified,
    };
    let lookup = Lookup {
        localdomain: ctx.var("LOCALDOMAIN").map(str::to_owned),
        res_options: ctx.var("RES_OPTIONS").map(str::to_owned),
        ..Lookup::default()
    };
    resolve(host, 0, family, &lookup).map_err(|error: LookupError| {
        let text = format!("{}: {error}", printable(host));
        match error.why() {
            Some(why) => Error::new(OTHER, text).hint(why.to_owned()),
            None => Error::new(OTHER, text),
        }
    })
}

/// How trying one address ended.
enum Outcome {
    Done(Exit),
    Unreachable(Error),
}

fn one(ctx: &mut Ctx, opts: &Opts, host: &str, mut to: SocketAddr, signals: &Signals) -> Result<Outcome, Error> {
    if !opts.json
        && !opts.quiet
        && let Some(pattern) = &opts.pattern
    {
        writeln!(ctx.stdout, "PATTERN: 0x{}", netkit_core::text::hex(pattern))?;
    }
    let echo = socket::open(opts, to.is_ipv6())?;
    if opts.verbose && !opts.json {
        let family = if to.is_ipv6() { "AF_INET6" } else { "AF_INET" };
        writeln!(ctx.stdout, "ai->ai_family: {family}, ai->ai_canonname: '{}'", printable(host))?;
    }
    if !echo.is_raw() && socket::needs_scope(opts, to) {
        let name = ctx.name.clone();
        ctx.say(&format!(
            "{name}: Warning: IPv6 link-local address on ICMP datagram socket may require ifname or scope-id => use: \
             address%<ifname|scope-id>"
        ));
    }
    let source = match socket::source(ctx, opts, to)? {
        Source::Chosen(source) => source,
        Source::Unreachable(error) => return Ok(Outcome::Unreachable(error)),
    };
    socket::configure(ctx, opts, &echo, source, &mut to)?;
    // No further socket is opened.
    netkit_sys::capabilities::lower(0);
    let literal = netkit_probe::literal(host).is_some();
    announce(ctx, opts, host, to, source, literal)?;
    check(opts, true)?;
    let host = printable(host);
    Run::new(ctx, opts, echo, to, host, opts.numeric || literal).go(signals).map(Outcome::Done)
}

/// The first line.
fn announce(
    ctx: &mut Ctx,
    opts: &Opts,
    host: &str,
    to: SocketAddr,
    source: std::net::IpAddr,
    literal: bool,
) -> Result<(), Error> {
    let host = printable(host);
    let packet = opts.size + 8 + if to.is_ipv6() { 40 } else { 20 };
    let from_shown = opts.device.is_some() || opts.strict_source;
    if opts.json {
        let mut value = Value::object()
            .with("schema", "ping/1")
            .with("event", "start")
            .with("host", host)
            .with("address", to.ip().to_string())
            .with("data_bytes", opts.size)
            .with("packet_bytes", packet);
        if from_shown {
            value.set("source", source.to_string());
        }
        value.set("interface", opts.device.clone());
        writeln!(ctx.stdout, "{value}")?;
        return Ok(ctx.stdout.flush()?);
    }
    let from = if from_shown {
        format!("from {source} {}: ", printable(opts.device.as_deref().unwrap_or("")))
    } else {
        String::new()
    };
    let size = opts.size;
    if to.is_ipv6() {
        let scope = match to {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => nix::net::if_::if_indextoname(v6.scope_id()).ok(),
            _ => None,
        };
        let scope = scope.and_then(|name| name.into_string().ok()).map(|name| format!("%{name}"));
        let ip = format!("{}{}", to.ip(), scope.unwrap_or_default());
        let shown = match netkit_probe::reverse(to.ip(), &Lookup::default()).filter(|_| !literal && !opts.numeric) {
            Some(name) => format!("{name} ({ip})"),
            None => ip,
        };
        writeln!(ctx.stdout, "PING {host}({shown}) {from}{size} data bytes")?;
    } else {
        writeln!(ctx.stdout, "PING {host} ({}) {from}{size}({packet}) bytes of data.", to.ip())?;
    }
    Ok(ctx.stdout.flush()?)
}
