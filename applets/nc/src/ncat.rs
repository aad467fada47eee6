//! The personality of Nmap's ncat: its options, its words on stderr, its statuses (1: the network, 2: everything else).

use netkit_core::{Applet, Ctx, Error, Exit, Group, front};
use netkit_probe::{Attempt, Outcome, Protocol, connect, errno, resolve};

use crate::args::{FAILURE, Opts, Style, credentials, refused};
use crate::finding::{self, Finding};
use crate::session::Session;
use crate::{client, exit, inlet, ncat_listen, proxied, relay, tls, transfer, units, unix, wait};

/// ncat's entry.
pub(crate) const APPLET: Applet = Applet {
    name: "ncat",
    aliases: &[],
    purpose: "nc in the manner of Nmap's ncat",
    usage: "[options] [host] [port]\n-l [options] [host] [port]",
    group: Group::Connect,
    flags: crate::options::NCAT,
    capability: None,
    main: run,
};

/// ncat's port when none is named.
const DEFAULT_PORT: &str = "31337";
/// Its connect timeout.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    // Its messages begin like this whatever name it was called by.
    ctx.name = "Ncat".to_owned();
    let words = ctx.args_lossy();
    let opts = parse(&words)?;
    ctx.explain |= opts.explain;
    if opts.help {
        let page = front::help_page(&APPLET);
        ctx.stdout.write_all(page.as_bytes())?;
        return Ok(Exit::OK);
    }
    if opts.version {
        ctx.say(&format!("Ncat: netkit {}, in the manner of Ncat 7.93", ctx.build.version));
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
    check(&opts)?;
    tls::check(&opts)?;
    let mut session = Session::new(ctx, opts);
    let version = "Ncat: Version 7.93 ( https://nmap.org/ncat )";
    session.talk(version);
    let operands = session.opts.operands.clone();
    if session.opts.unix {
        let path = match operands.as_slice() {
            [path] => path.clone(),
            [] if session.opts.listen => return Err(quitting("You have to specify path to a socket to listen on.")),
            [] => return Err(quitting("You have to specify path to a socket to connect to.")),
            _ => return Err(quitting("Using Unix domain sockets and specifying port doesn't make sense.")),
        };
        return if session.opts.listen {
            ncat_listen::unix(&mut session, &path)
        } else {
            unix::connect(&mut session, &path)
        };
    }
    if session.opts.listen {
        let (host, port) = match operands.as_slice() {
            [] => (None, session.opts.source_port.clone().unwrap_or_else(|| DEFAULT_PORT.to_owned())),
            // A lone word is a port if it can be one.
            [word] if session.opts.source_port.is_none() && word.bytes().all(|byte| byte.is_ascii_digit()) => {
                (None, word.clone())
            }
            [host] => (Some(host.clone()), session.opts.source_port.clone().unwrap_or_else(|| DEFAULT_PORT.to_owned())),
            [host, port] => (Some(host.clone()), port.clone()),
            more => return Err(too_many(more)),
        };
        return ncat_listen::run(&mut session, host.as_deref(), port_of(&port)?);
    }
    let (host, port) = match operands.as_slice() {
        [] => return Err(quitting("You must specify a host to connect to.")),
        [host] => (host.clone(), DEFAULT_PORT.to_owned()),
        [host, port] => (host.clone(), port.clone()),
        more => return Err(too_many(more)),
    };
    connect_to(&mut session, &host, port_of(&port)?)
}

/// A fatal error in ncat's words: status 2.
fn quitting(text: &str) -> Error {
    Error::usage(format!("{text} QUITTING."))
}

fn too_many(operands: &[String]) -> Error {
    let ports: Vec<&str> = operands.iter().skip(1).map(String::as_str).collect();
    quitting(&format!("Got more than one port specification: {}.", ports.join(" ")))
}

fn port_of(text: &str) -> Result<u16, Error> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
        let shown = netkit_core::text::printable(text);
        quitting(&format!("Invalid port number \"{shown}\"."))
    })
}

fn check(opts: &Opts) -> Result<(), Error> {
    let refusal = [
        (opts.unix && opts.proxy.is_some(), "Proxy option not supported when using Unix domain sockets."),
        (opts.listen && opts.proxy.is_some(), "Invalid option combination: --proxy and -l."),
        (opts.listen && opts.zero, "Services designed for LISTENING can't be used with -z"),
        (opts.zero && opts.telnet, "Invalid option combination: -z and -t."),
        (opts.keep && !opts.listen, "Invalid option combination: `--keep-open' with connect."),
        (opts.max_conns.is_some() && !opts.listen, "Invalid option combination: `--max-conns' with connect."),
        (
            opts.listen && opts.keep && opts.protocol == Protocol::Udp,
            "UDP mode does not support the -k or --keep-open options, except with --exec or --sh-exec.",
        ),
    ];
    match refusal.into_iter().find(|(wrong, _)| *wrong) {
        Some((_, text)) => Err(quitting(text)),
        None => Ok(()),
    }
}

/// The client.
fn connect_to(session: &mut Session<'_>, host: &str, port: u16) -> Result<Exit, Error> {
    if let Some(proxy) = session.opts.proxy.clone() {
        let Some(socket) = proxied::open(session, &proxy, host, port)? else { return Ok(FAILURE) };
        session.talk(&format!("Ncat: Connected to proxy {proxy}"));
        return talk(session, socket, host, port);
    }
    let addresses = resolve(host, port, session.opts.family, &session.lookup)
        .map_err(|error| client::lookup_failed(session, host, port, &error))?;
    let total = addresses.len();
    let plan = client::plan(session, addresses)?;
    let verbose = session.opts.verbose > 0;
    let ctx = &mut *session.ctx;
    let mut tried = 0;
    let report = connect(&plan, &mut |attempt| {
        tried += 1;
        if attempt.outcome != Outcome::Connected {
            if verbose && tried < total {
                ctx.say(&format!("Ncat: Connection to {} failed: {}.", attempt.address.ip(), reason(attempt)));
                ctx.say("Ncat: Trying next address...");
            }
            finding::hint(ctx, &format!("{}: {}", attempt.address, attempt.finding()));
        }
    });
    let mut found = Finding::new(host, port, session.opts.protocol, &report);
    let winning = report.winning().cloned();
    let (Some(socket), Some(winning)) = (report.socket, winning) else {
        if session.opts.json {
            let record = found.json(session);
            finding::print(session, &record)?;
        }
        let last = report.attempts.last();
        let text = last.map_or_else(|| "no address".to_owned(), reason);
        let status = match (session.opts.rc, last) {
            (true, Some(attempt)) => exit::of_outcome(&attempt.outcome, attempt.address.ip()),
            _ => FAILURE,
        };
        return Err(Error::new(status, format!("{text}.")));
    };
    if !session.opts.tls.on {
        session.talk(&format!("Ncat: Connected to {}:{}.", winning.address.ip(), port));
    }
    if session.opts.zero && session.opts.tls.on {
        let began = std::time::Instant::now();
        let mut far = tls::far_of_connected(session, socket, host, port)?;
        far.close(std::time::Duration::ZERO);
        totals_in(session, 0, 0, began.elapsed());
        return Ok(Exit::OK);
    }
    if session.opts.zero {
        let mut status = Exit::OK;
        if session.opts.protocol == Protocol::Udp {
            status = udp_zero(session, &socket)?;
        } else {
            totals(session, 0, 0);
        }
        if session.findings_wanted() {
            let seen = finding::examine(session, &socket, winning.address, &mut found)?;
            status = if session.opts.rc { seen } else { status };
        }
        if session.opts.json {
            let record = found.json(session);
            finding::print(session, &record)?;
        }
        return Ok(status);
    }
    if session.opts.protocol == Protocol::Udp {
        let _ = netkit_probe::watch_errors(&socket, winning.address.is_ipv6(), false);
    }
    talk(session, socket, host, port)
}

/// `-zu`: an empty datagram, and two seconds for a refusal.
fn udp_zero(session: &mut Session<'_>, socket: &socket2::Socket) -> Result<Exit, Error> {
    use netkit_probe::udp::{UdpFinding, probe};
    let _ = socket.send(b"\0");
    let to = inlet::address_of(socket.peer_addr()).map_or(std::net::Ipv4Addr::LOCALHOST.into(), |to| to.ip());
    let window = std::time::Duration::from_secs(2);
    match probe(socket, to, None, window) {
        Ok(UdpFinding::Failed(outcome)) => {
            Err(Error::new(FAILURE, format!("{}.", errno::text(outcome.errno().unwrap_or(0)))))
        }
        _ => {
            session.talk("Ncat: UDP packet sent successfully");
            totals(session, 1, 0);
            Ok(Exit::OK)
        }
    }
}

fn reason(attempt: &Attempt) -> String {
    match &attempt.outcome {
        Outcome::TimedOut => "TIMEOUT".to_owned(),
        other => errno::text(other.errno().unwrap_or(0)),
    }
}

fn talk(session: &mut Session<'_>, socket: socket2::Socket, host: &str, port: u16) -> Result<Exit, Error> {
    if let Some(version) = session.opts.proxy_protocol {
        inlet::send_header(&socket, version)?;
    }
    let began = std::time::Instant::now();
    let peer = format!("{host} port {port}");
    let mut far = tls::far_of_connected(session, socket, host, port)?;
    let outcome = transfer::run(session, &mut *far, &peer)?;
    let status = transfer::verdict(session, &outcome, &peer);
    if outcome.faults.is_empty() && status.is_ok() {
        let elapsed = began.elapsed();
        totals_in(session, outcome.sent, outcome.received, elapsed);
    }
    status
}

fn totals(session: &mut Session<'_>, sent: u64, received: u64) {
    totals_in(session, sent, received, std::time::Duration::ZERO);
}

fn totals_in(session: &mut Session<'_>, sent: u64, received: u64, elapsed: std::time::Duration) {
    let hundredths = elapsed.as_millis() / 10;
    let (whole, part) = (hundredths / 100, hundredths % 100);
    session.talk(&format!("Ncat: {sent} bytes sent, {received} bytes received in {whole}.{part:02} seconds."));
}

/// ncat's command line: short options in clusters, long ones with a value behind `=` or in the next word.
fn parse(words: &[String]) -> Result<Opts, Error> {
    let mut opts = Opts::new(Style::Ncat);
    opts.half_close = true;
    opts.proxy_kind = netkit_probe::proxy::Kind::Http;
    opts.timeout = Some(TIMEOUT);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            opts.operands.extend(words.by_ref().cloned());
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, inline) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let mut value = || inline.clone().or_else(|| words.next().cloned());
            if !crate::long::take(&mut opts, name, inline.as_deref(), &mut value)? {
                return Err(unknown(&format!("unrecognized option '--{}'", netkit_core::text::printable(name))));
            }
        } else if let Some(cluster) = word.strip_prefix('-').filter(|cluster| !cluster.is_empty()) {
            let mut rest = cluster.chars();
            while let Some(flag) = rest.next() {
                if !"cegGmdoxipswP".contains(flag) {
                    switch(&mut opts, flag)?;
                    continue;
                }
                let inline = rest.as_str();
                let value = if inline.is_empty() { words.next().cloned() } else { Some(inline.to_owned()) };
                let value = value.ok_or_else(|| unknown(&format!("option requires an argument -- '{flag}'")))?;
                option(&mut opts, flag, &value)?;
                break;
            }
        } else {
            opts.operands.push(word.clone());
        }
    }
    Ok(opts)
}

fn unknown(text: &str) -> Error {
    Error::usage(format!("{text}\nNcat: Try `--help' for the options offered. QUITTING."))
}

fn switch(opts: &mut Opts, flag: char) -> Result<(), Error> {
    use netkit_probe::Family;
    match flag {
        '4' => opts.family = Family::Inet,
        '6' => opts.family = Family::Inet6,
        'U' => opts.unix = true,
        'C' => opts.crlf = true,
        'h' => opts.help = true,
        'l' => opts.listen = true,
        'k' => opts.keep = true,
        'n' => opts.numeric = true,
        't' => opts.telnet = true,
        'u' => opts.protocol = Protocol::Udp,
        'v' => opts.verbose = opts.verbose.saturating_add(1),
        'z' => opts.zero = true,
        _ => return Err(unknown(&format!("invalid option -- '{flag}'"))),
    }
    Ok(())
}

fn option(opts: &mut Opts, flag: char, value: &str) -> Result<(), Error> {
    let time = || units::duration(value).ok_or_else(|| quitting(&format!("Invalid time specification \"{value}\".")));
    match flag {
        'c' | 'e' => {
            return Err(refused(&format!("-{flag}"), "running programs for peers is left out on purpose; see --relay"));
        }
        'g' | 'G' => return Err(refused(&format!("-{flag}"), "the internet drops source routes (RFC 7126)")),
        'm' => {
            let count = value.parse().ok().filter(|count| *count > 0);
            opts.max_conns = Some(count.ok_or_else(|| quitting(&format!("Invalid number \"{value}\".")))?);
        }
        'd' => opts.interval = Some(time()?),
        'o' => opts.output = Some(value.to_owned()),
        'x' => opts.hex_dump = Some(Some(value.to_owned())),
        'i' => opts.idle = Some(time()?),
        'p' => {
            // For a listener it is the port, for a client the source port.
            port_of(value).map_err(|_| quitting(&format!("Invalid source port \"{value}\".")))?;
            opts.source_port = Some(value.to_owned());
        }
        's' => opts.source = Some(value.to_owned()),
        'w' => opts.timeout = Some(time()?),
        _ => opts.proxy_user = Some(credentials(value)),
    }
    Ok(())
}
