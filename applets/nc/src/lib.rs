//! nc: connects, listens, and says honestly what it found.
//!
//! - Peers: netcat-openbsd 1.219 as Debian ships it (`nc`, `netcat`), and Nmap's ncat 7.93 (`ncat`): flags, texts on
//!   stderr, exit statuses, who closes first.
//! - Deliberate differences: an error that costs bytes (a reset, a full disk) is said and gives status 1, where nc ends
//!   with 0; a reader of stdout that has gone gives 141; the listen queue is as long as the kernel allows; a UDP
//!   datagram without bytes is no end; `-e`, `-c` and their like are refused; a certificate made on the
//!   spot has a P-256 key.
//! - Beyond the peers: the finding behind each result (`--explain`, or stderr a terminal), `--rc`, `--all-ips`,
//!   `--wait`, `--relay`, `--tls` (ncat's `--ssl` options under both names), `--hex-dump`, `--proxy-protocol`, `--json`, `--netns`, `--from-pid`.
//! - Kernel interfaces: TCP, UDP and Unix sockets, their error queues, TCP_INFO, splice(2); /etc/services if there.
//! - Privilege: none, except for ports below 1024 (CAP_NET_BIND_SERVICE), `-D` (CAP_NET_ADMIN), `--netns`.

mod args;
mod client;
mod ends;
mod exit;
mod fdpass;
mod finding;
mod inlet;
mod listen;
mod long;
mod ncat;
mod ncat_listen;
mod options;
mod password;
mod proxied;
mod pump;
mod relay;
mod session;
mod taps;
mod tls;
mod transfer;
mod units;
mod unix;
mod wait;

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use netkit_core::{Applet, Ctx, Error, Exit, Group, front};
use netkit_probe::proxy::Kind as ProxyKind;
use netkit_probe::{Family, Protocol};
use nix::sys::socket::SockaddrStorage;

use crate::args::{FAILURE, Opts, usage};
use crate::session::Session;

/// The synopsis of nc.
pub(crate) const NC_USAGE: &str = "[-46bCDdFhklNnrtUuvz] [-I bytes] [-i seconds] [-M ttl] [-m minttl] [-O bytes]\n\
[-P user] [-p port] [-q seconds] [-s address] [-T tos] [-W count] [-w seconds]\n\
[-X 4|4a|5|connect] [-x proxy[:port]] [host] [port ...]\n\
--wait DURATION host port[,port...] ...\n\
--relay A B";

/// nc and ncat.
pub static APPLETS: &[Applet] = &[
    Applet {
        name: "nc",
        aliases: &["netcat"],
        purpose: "connect, listen, scan, relay",
        usage: NC_USAGE,
        group: Group::Connect,
        flags: options::NC,
        capability: None,
        main: run,
    },
    ncat::APPLET,
];

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let words = ctx.args_lossy();
    if words.is_empty() {
        return synopsis(ctx, usage(""));
    }
    let opts = args::parse(&words).or_else(|error| synopsis(ctx, error))?;
    ctx.explain |= opts.explain;
    if opts.help {
        let page = APPLETS.first().map(front::help_page).unwrap_or_default();
        ctx.stdout.write_all(page.as_bytes())?;
        return Ok(Exit::OK);
    }
    if opts.version {
        ctx.say(&format!("netkit nc {}, in the manner of netcat-openbsd 1.219", ctx.build.version));
        return Ok(Exit::OK);
    }
    if let Some(netns) = &opts.netns {
        netkit_sys::netns::enter(netns)?;
    }
    if opts.relay {
        return relay::run(ctx, &opts);
    }
    if opts.wait_for.is_some() {
        return wait::run(ctx, &opts);
    }
    let call = Call::of(&opts).or_else(|error| synopsis(ctx, error))?;
    check(&opts, &call)?;
    tls::check(&opts)?;
    let mut session = Session::new(ctx, opts);
    match call {
        Call::Unix { path } if session.opts.listen => unix::listen(&mut session, &path),
        Call::Unix { path } => unix::connect(&mut session, &path),
        Call::Listen { host, port } => listen::run(&mut session, host.as_deref(), &port),
        Call::Connect { host, ports } => client::run(&mut session, &host, &ports),
    }
}

/// A usage error with nothing before the synopsis has no name in front, as everywhere.
fn synopsis<T>(ctx: &mut Ctx, error: Error) -> Result<T, Error> {
    if error.message.starts_with("usage: ") {
        ctx.say(&error.message);
        return Err(Error { message: String::new(), ..error });
    }
    Err(error)
}

/// What the operands ask for.
enum Call {
    Unix { path: String },
    Listen { host: Option<String>, port: String },
    Connect { host: String, ports: Vec<String> },
}

impl Call {
    fn of(opts: &Opts) -> Result<Call, Error> {
        let fail = |text: &str| Error::new(FAILURE, text);
        if opts.unix {
            return match opts.operands.as_slice() {
                [] => Err(fail("missing socket pathname")),
                [path] => Ok(Call::Unix { path: path.clone() }),
                _ => Err(fail("cannot use port with -U")),
            };
        }
        if opts.listen {
            let (host, port) = match (opts.operands.as_slice(), &opts.source_port) {
                ([], Some(port)) => (opts.source.clone(), port.clone()),
                ([], None) => return Err(fail("missing port number")),
                ([port], None) => (opts.source.clone(), port.clone()),
                ([host, port], None) if opts.source.is_none() => (Some(host.clone()), port.clone()),
                _ => return Err(usage("")),
            };
            return Ok(Call::Listen { host, port });
        }
        match opts.operands.as_slice() {
            [] => Err(usage("")),
            [_] => Err(fail("missing port number")),
            [host, ports @ ..] => Ok(Call::Connect { host: host.clone(), ports: ports.to_vec() }),
        }
    }
}

/// What does not go together, in the peer's words.
fn check(opts: &Opts, call: &Call) -> Result<(), Error> {
    let unix = matches!(call, Call::Unix { .. });
    let refusal = [
        (opts.listen && opts.zero, "cannot use -z and -l"),
        (opts.keep && !opts.listen, "must use -l with -k"),
        (opts.pass_fd && unix, "cannot use -F and -U"),
        (opts.proxy.is_some() && opts.protocol == Protocol::Udp, "no proxy support for UDP mode"),
        (opts.proxy.is_some() && opts.listen, "no proxy support for listen"),
        (opts.proxy.is_some() && unix, "no proxy support for unix sockets"),
        (opts.proxy.is_some() && opts.source.is_some(), "no proxy support for local source address"),
        (
            opts.proxy_protocol.is_some() && opts.protocol == Protocol::Udp,
            "the PROXY protocol stands before a stream, so not with -u",
        ),
    ];
    for (wrong, text) in refusal {
        if wrong {
            return Err(Error::new(FAILURE, text));
        }
    }
    if opts.zero && opts.proxy_protocol.is_some() {
        return Err(Error::new(FAILURE, "--proxy-protocol sends a header and -z sends nothing"));
    }
    if opts.family == Family::Inet6 && opts.proxy.is_some() && opts.proxy_kind == ProxyKind::Socks4 {
        return Err(Error::new(FAILURE, "SOCKSv4 has no IPv6 addresses"));
    }
    Ok(())
}

/// An IPv4 or IPv6 address that the kernel filled in.
pub(crate) fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    storage.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into())
}
