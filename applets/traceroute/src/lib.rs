//! traceroute and tracepath: which routers are on the way, how far each is, and where packets stop fitting.
//!
//! - Peers: Dmitry Butskoy's traceroute 2.1.2 and iputils tracepath 20221126, as Debian 12 ships them: flags, texts,
//!   exit statuses.
//! - Deliberate differences: no method needs a capability where ICMP datagram sockets are allowed: TCP probes are
//!   connections with a small TTL instead of raw SYNs; a hop whose answers a later one overtook is not asked again;
//!   source routes (`-g`), MPLS (`-e`), AS numbers (`-A`), flow labels, raw protocols, DCCP and UDP-Lite are refused by
//!   name.
//! - Beyond the peers: `--json`, `--netns`.
//! - Kernel interfaces: IP_TTL, IP_RECVERR and the error queue, IP_MTU_DISCOVER, ICMP datagram sockets.
//! - Privilege: none; `-I` needs CAP_NET_RAW where net.ipv4.ping_group_range does not hold the group.

mod args;
mod engine;
mod tracepath;

use std::net::{IpAddr, SocketAddr};

use netkit_core::json::Value;
use netkit_core::privilege::{Capability, missing};
use netkit_core::text::printable;
use netkit_core::{Applet, Ctx, Error, Exit, Flags, Group, flag, flags, front};
use netkit_probe::{Family, Lookup, resolve, reverse};

use crate::args::{Method, Opts};
use crate::engine::{Failure, Probe, Trace, overhead};

/// traceroute and tracepath.
pub static APPLETS: &[Applet] = &[
    Applet {
        name: "traceroute",
        aliases: &["traceroute4", "traceroute6"],
        purpose: "the routers on the way to a host",
        usage: "[OPTION...] HOST [PACKET-LENGTH]",
        group: Group::Connect,
        flags: FLAGS,
        capability: None,
        main: run,
    },
    tracepath::APPLET,
];

const FLAGS: Flags = flags![
    flag("-I", "", "ICMP echoes (--icmp)"),
    flag("-T", "", "TCP connections, port 80 (--tcp)"),
    flag("-U", "", "UDP to one port, 53 (--udp)"),
    flag("-p", "PORT", "port; first port of plain UDP (33434), first number of ICMP (--port)"),
    flag("-n", "", "no names"),
    flag("-q", "COUNT", "probes for each hop, 1 to 10 (3) (--queries)"),
    flag("-m", "HOPS", "at most this many, up to 255 (30) (--max-hops)"),
    flag("-f", "HOP", "begin with this one (--first)"),
    flag("-w", "MAX,HERE,NEAR", "seconds to wait, and factors of what the hop and later ones took (5,3,10) (--wait)"),
    flag("-N", "COUNT", "probes on their way at once (16) (--sim-queries)"),
    flag("-z", "TIME", "between probes: seconds, above 10 milliseconds (--sendwait)"),
    flag("-F", "", "forbid fragments (--dont-fragment)"),
    flag("--mtu", "", "find the MTU of the path hop by hop; implies -F -N 1"),
    flag("--back", "", "say how far the way back is where it differs"),
    flag("-i", "INTERFACE", "send through it (--interface)"),
    flag("-s", "ADDRESS", "send from it (--source)"),
    flag("--sport", "PORT", "send from this port; implies -N 1"),
    flag("-t", "TOS", "type of service, or traffic class (--tos)"),
    flag("-r", "", "bypass the routing table"),
    flag("--fwmark", "MARK", "mark packets (CAP_NET_ADMIN)"),
    flag("-4", "", "IPv4 only"),
    flag("-6", "", "IPv6 only"),
    flag("-d", "", "SO_DEBUG (--debug)"),
    flag("-V", "", "version (--version)"),
    flag("--json", "", "one object at the end"),
    flag("--netns", "PID|PATH", "in another network namespace"),
    flag("--explain", "", "say what else is known"),
];

/// The peer whose output this is.
const PEER_VERSION: &str = "2.1.2";
/// Status for a usage error, and for a system call that failed.
const USAGE: Exit = Exit(2);
const FAILED: Exit = Exit(1);

/// Leaves with what was said already.
fn said(exit: Exit) -> Error {
    Error::new(exit, "")
}

fn lookup(ctx: &Ctx) -> Lookup {
    Lookup {
        localdomain: ctx.var("LOCALDOMAIN").map(str::to_owned),
        res_options: ctx.var("RES_OPTIONS").map(str::to_owned),
        ..Lookup::default()
    }
}

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let words = ctx.args_lossy();
    let lookup = lookup(ctx);
    let mut opts = match args::parse(&words, &lookup) {
        Ok(opts) => opts,
        Err(message) => {
            ctx.say(&message);
            return Err(said(USAGE));
        }
    };
    ctx.explain |= opts.explain;
    if opts.help || (words.is_empty() && !opts.version) {
        let page = APPLETS.first().map(front::help_page).unwrap_or_default();
        ctx.stdout.write_all(page.as_bytes())?;
        return Ok(Exit::OK);
    }
    if opts.version {
        let version = ctx.build.version;
        writeln!(
            ctx.stdout,
            "Modern traceroute for Linux, version {PEER_VERSION}, in the manner of; netkit {version}"
        )?;
        return Ok(Exit::OK);
    }
    match ctx.name.as_str() {
        "traceroute6" => opts.family = Family::Inet6,
        "traceroute4" => opts.family = Family::Inet,
        _ => {}
    }
    if let Some(netns) = &opts.netns {
        netkit_sys::netns::enter(netns)?;
    }
    let Some((host, index)) = opts.host.clone() else {
        ctx.say("Specify \"host\" missing argument.");
        return Err(said(USAGE));
    };
    let to = match resolve(&host, 0, opts.family, &lookup) {
        // IPv4 comes first where the name has both.
        Ok(found) => found.iter().find(|address| address.is_ipv4()).or(found.first()).copied(),
        Err(error) => {
            let host = printable(&host);
            ctx.say(&format!(
                "{host}: {error}\nCannot handle \"host\" cmdline arg `{host}' on position 1 (argc {index})"
            ));
            return Err(said(USAGE));
        }
    };
    let Some(to) = to else { return Err(said(USAGE)) };
    if let Err(message) = args::check(&mut opts) {
        ctx.say(&message);
        return Err(said(USAGE));
    }
    if opts.source.is_some_and(|source| source.is_ipv4() != to.is_ipv4()) {
        ctx.say("IP version mismatch in addresses specified");
        return Err(said(USAGE));
    }
    trace(ctx, &opts, &printable(&host), to)
}

/// The whole length of a packet, headers included.
fn length(opts: &Opts, v6: bool) -> usize {
    let standard = if v6 { 80 } else { 60 };
    match (opts.method, opts.length) {
        (Method::Tcp, _) => standard,
        (_, None) if opts.mtu => 65_000,
        (_, None) => standard,
        (_, Some(length)) => length.max(overhead(v6)),
    }
}

/// How tracing ends early.
enum Stop {
    Failed(Failure),
    Output(Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

fn trace(ctx: &mut Ctx, opts: &Opts, host: &str, to: SocketAddr) -> Result<Exit, Error> {
    let length = length(opts, to.is_ipv6());
    let mut trace = Trace::new(opts, to, length);
    if let Err(Failure(message)) = trace.prepare() {
        ctx.say(&format!("\n{message}"));
        let denied = opts.method == Method::Icmp && message.ends_with("Operation not permitted");
        return Err(if denied {
            said(FAILED).hint(missing(
                Capability::NetRaw,
                "sending ICMP echoes where net.ipv4.ping_group_range does not allow this group",
                "UDP and TCP (-T)",
            ))
        } else {
            said(FAILED)
        });
    }
    if !opts.json {
        write!(ctx.stdout, "traceroute to {host} ({}), {} hops max, {length} byte packets", to.ip(), opts.most)?;
        ctx.stdout.flush()?;
    }
    let mut hops: Vec<Value> = Vec::new();
    let mut names = Names { numeric: opts.numeric, known: Vec::new() };
    let outcome = trace.run(|at, probes| {
        if opts.json {
            collect(&mut hops, opts, &mut names, at, probes);
            return Ok(());
        }
        show(ctx, opts, &mut names, at, probes).map_err(Stop::Output)
    });
    match outcome {
        Ok(()) => {}
        Err(Stop::Output(error)) => return Err(error),
        Err(Stop::Failed(Failure(message))) => {
            ctx.say(&format!("\n{message}"));
            return Err(said(FAILED));
        }
    }
    if opts.json {
        let reached = trace.probes.iter().any(|probe| probe.last && probe.from == Some(to.ip()));
        let value = Value::object()
            .with("schema", "traceroute/1")
            .with("host", host)
            .with("address", to.ip().to_string())
            .with("max_hops", opts.most)
            .with("packet_bytes", length)
            .with("reached", reached)
            .with("hops", Value::Array(hops));
        ctx.stdout.write_all(value.pretty().as_bytes())?;
    } else {
        ctx.stdout.write_all(b"\n")?;
    }
    Ok(Exit::OK)
}

/// Names of addresses, each looked up once.
struct Names {
    numeric: bool,
    known: Vec<(IpAddr, Option<String>)>,
}

impl Names {
    fn name(&mut self, ip: IpAddr) -> Option<String> {
        if self.numeric {
            return None;
        }
        if let Some((_, name)) = self.known.iter().find(|(known, _)| *known == ip) {
            return name.clone();
        }
        let name = reverse(ip, &Lookup::default());
        self.known.push((ip, name.clone()));
        name
    }
}

/// How many hops an answer has come, from the TTL that is left: senders begin with 64, 128 or 255.
fn hops_back(ttl: u8) -> u32 {
    let ttl = u32::from(ttl);
    match ttl {
        0..=64 => 65 - ttl,
        65..=128 => 129 - ttl,
        _ => 256 - ttl,
    }
}

fn show(ctx: &mut Ctx, opts: &Opts, names: &mut Names, at: usize, probes: &[Probe]) -> Result<(), Error> {
    let Some(probe) = probes.get(at) else { return Ok(()) };
    let hop = at / opts.queries + 1;
    let first = at.is_multiple_of(opts.queries);
    let mut text = if first { format!("\n{hop:2} ") } else { String::new() };
    match probe.from {
        None => text += " *",
        Some(ip) => {
            // The last answer of the same hop, if there is one.
            let earlier = probes.get(at - at % opts.queries..at).unwrap_or_default();
            let before = earlier.iter().rev().find(|earlier| earlier.from.is_some());
            let same = before.is_some_and(|before| before.from == Some(ip) && (!opts.back || before.ttl == probe.ttl));
            if !same {
                text += &match names.name(ip) {
                    Some(name) => format!(" {name} ({ip})"),
                    None if opts.numeric => format!(" {ip}"),
                    None => format!(" {ip} ({ip})"),
                };
                if let Some(back) = probe.ttl.filter(|_| opts.back).map(hops_back)
                    && usize::try_from(back).ok() != Some(hop)
                {
                    text += &format!(" '-{back}'");
                }
            }
        }
    }
    if let Some(rtt) = probe.rtt {
        let micros = rtt.as_micros();
        text += &format!("  {}.{:03} ms", micros / 1000, micros % 1000);
    }
    if !probe.mark.is_empty() {
        text += &format!(" {}", probe.mark);
    }
    ctx.stdout.write_all(text.as_bytes())?;
    Ok(ctx.stdout.flush()?)
}

fn collect(hops: &mut Vec<Value>, opts: &Opts, names: &mut Names, at: usize, probes: &[Probe]) {
    let Some(probe) = probes.get(at) else { return };
    let answer = match probe.rtt {
        None => Value::Null,
        Some(rtt) => {
            let mut value = Value::object()
                .with("from", probe.from.map(|ip| ip.to_string()))
                .with("name", probe.from.and_then(|ip| names.name(ip)))
                .with("rtt_us", rtt.as_micros())
                .with("reply_ttl", probe.ttl.map(u32::from));
            if let Some(error) = &probe.error {
                value.set("icmp_type", u32::from(error.kind));
                value.set("icmp_code", u32::from(error.code));
            }
            if !probe.mark.is_empty() {
                value.set("mark", probe.mark.as_str());
            }
            if let Some(mtu) = probe.mtu {
                value.set("mtu", mtu);
            }
            value
        }
    };
    if at.is_multiple_of(opts.queries) || hops.is_empty() {
        let hop = Value::object().with("ttl", at / opts.queries + 1).with("probes", Value::Array(vec![answer]));
        hops.push(hop);
    } else if let Some(Value::Object(members)) = hops.last_mut()
        && let Some((_, Value::Array(list))) = members.last_mut()
    {
        list.push(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back() {
        for (ttl, hops) in [(64, 1), (63, 2), (128, 1), (100, 29), (255, 1), (250, 6), (0, 65)] {
            assert_eq!(hops_back(ttl), hops, "{ttl}");
        }
    }
}
