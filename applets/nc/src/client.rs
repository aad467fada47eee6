//! nc as a client: connect, scan, talk.

use std::net::SocketAddr;

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_probe::{Attempt, Family, LookupError, Outcome, Plan, Protocol, Report, connect, errno, resolve};
use socket2::Socket;

use crate::args::{FAILURE, Style};
use crate::finding::{self, Finding};
use crate::session::Session;
use crate::{exit, fdpass, inlet, proxied, tls, transfer, units};

/// Connects to each port in turn.
pub(crate) fn run(session: &mut Session<'_>, host: &str, words: &[String]) -> Result<Exit, Error> {
    let mut ports = units::ports(words, session.opts.protocol, &session.services)?;
    if session.opts.random {
        shuffle(&mut ports);
    }
    let mut open = false;
    let mut worst = Exit::OK;
    for (index, port) in ports.iter().enumerate() {
        if let (Some(pause), true) = (session.opts.interval, index > 0) {
            std::thread::sleep(pause);
        }
        let done = one(session, host, *port)?;
        open |= done == Exit::OK;
        worst = Exit(worst.0.max(done.0));
    }
    Ok(if open { Exit::OK } else { worst })
}

/// One port: its status, as `--rc` has it; without that 0 or 1.
fn one(session: &mut Session<'_>, host: &str, port: u16) -> Result<Exit, Error> {
    if let Some(proxy) = session.opts.proxy.clone() {
        let Some(socket) = proxied::open(session, &proxy, host, port)? else { return Ok(FAILURE) };
        let mut found = Finding::default();
        return opened(session, host, port, None, socket, &mut found);
    }
    let addresses = match resolve(host, port, session.opts.family, &session.lookup) {
        Ok(addresses) => addresses,
        Err(error) => {
            if session.opts.json {
                let nothing = Report { socket: None, winner: None, attempts: Vec::new() };
                let record = Finding::new(host, port, session.opts.protocol, &nothing).json(session);
                finding::print(session, &record)?;
            }
            return Err(lookup_failed(session, host, port, &error));
        }
    };
    let plan = plan(session, addresses)?;
    let report = attempt(session, host, &plan);
    let mut found = Finding::new(host, port, session.opts.protocol, &report);
    let Report { socket, winner, attempts } = report;
    let winning = winner.and_then(|index| attempts.get(index)).cloned();
    if let (Some(socket), Some(winning)) = (socket, &winning) {
        return opened(session, host, port, Some(winning.address), socket, &mut found);
    }
    if session.opts.json {
        let record = found.json(session);
        finding::print(session, &record)?;
    }
    let last = attempts.last();
    // A source that cannot be taken, or an option that cannot be set, is the user's mistake and ends the run.
    match last.map(|attempt| &attempt.outcome) {
        Some(Outcome::Bind { errno }) => {
            return Err(Error::new(FAILURE, format!("bind failed: {}", errno::text(*errno))));
        }
        Some(Outcome::Local { what, errno }) if *what != "socket" => {
            return Err(Error::new(FAILURE, format!("{what}: {}", errno::text(*errno))));
        }
        _ => {}
    }
    let status = last.map_or(FAILURE, |attempt| exit::of_outcome(&attempt.outcome, attempt.address.ip()));
    Ok(if session.opts.rc { status } else { FAILURE })
}

/// The peer's words for a name that was not found, and why.
pub(crate) fn lookup_failed(session: &Session<'_>, host: &str, port: u16, error: &LookupError) -> Error {
    let status = match (session.opts.rc, session.opts.style) {
        (true, _) => exit::DNS,
        (false, Style::Nc) => FAILURE,
        (false, Style::Ncat) => Exit(2),
    };
    let text = match session.opts.style {
        Style::Nc => format!("getaddrinfo for host \"{host}\" port {port}: {error}"),
        Style::Ncat => format!("Could not resolve hostname \"{host}\": {error}. QUITTING."),
    };
    let failed = Error::new(status, netkit_core::text::printable(&text));
    match error.why() {
        Some(why) => failed.hint(format!("{why}; see: netkit dig --as all {host}")),
        None => failed,
    }
}

/// What to connect to, with source and options.
pub(crate) fn plan(session: &Session<'_>, addresses: Vec<SocketAddr>) -> Result<Plan, Error> {
    let opts = &session.opts;
    let mut sources = Vec::new();
    if opts.source.is_some() || opts.source_port.is_some() {
        let port = match &opts.source_port {
            None => 0,
            Some(text) => match session.services.port(text, opts.protocol) {
                Some(port) => port,
                None if text.bytes().any(|byte| !byte.is_ascii_digit()) => {
                    return Err(Error::new(FAILURE, "getaddrinfo: Servname not supported for ai_socktype"));
                }
                None => units::port(text)?,
            },
        };
        let failed = |error: &LookupError| Error::new(FAILURE, format!("getaddrinfo: {error}"));
        sources = match &opts.source {
            Some(source) => {
                resolve(source, port, Family::Unspecified, &session.lookup).map_err(|error| failed(&error))?
            }
            None => vec![([0, 0, 0, 0], port).into(), (std::net::Ipv6Addr::UNSPECIFIED, port).into()],
        };
        let fits = |address: &SocketAddr| sources.iter().any(|source| source.is_ipv4() == address.is_ipv4());
        if !addresses.iter().any(fits) {
            return Err(Error::new(FAILURE, "getaddrinfo: Address family for hostname not supported"));
        }
    }
    let plan = Plan::new(addresses, opts.protocol, opts.timeout);
    // Without a use for the finding, errors that nc rides out are ridden out too.
    let watch = session.findings_wanted();
    Ok(Plan { sources, options: opts.socket.clone(), all: opts.all_ips, watch, ..plan })
}

/// Tries the addresses and says each result as it comes.
fn attempt(session: &mut Session<'_>, host: &str, plan: &Plan) -> Report {
    let verbose = session.opts.verbose > 0;
    let numeric = session.opts.numeric;
    let ctx: &mut Ctx = session.ctx;
    let all = plan.all;
    let protocol = plan.protocol;
    connect(plan, &mut |attempt| {
        if verbose && let Some(line) = failure_line(host, protocol, numeric, attempt) {
            let line = format!("{}: {line}", ctx.name);
            ctx.say(&line);
        }
        if attempt.outcome != Outcome::Connected || all {
            let line = format!("{}: {}", attempt.address, attempt.finding());
            finding::hint(ctx, &line);
        }
    })
}

/// The same for an attempt that has ended before.
pub(crate) fn tell_attempt(session: &mut Session<'_>, host: &str, attempt: &Attempt) {
    let (protocol, numeric) = (session.opts.protocol, session.opts.numeric);
    if let Some(line) = failure_line(host, protocol, numeric, attempt) {
        let line = format!("{}: {line}", session.ctx.name);
        session.talk(&line);
        let line = format!("{}: {}", attempt.address, attempt.finding());
        finding::hint(session.ctx, &line);
    }
}

/// nc's line for an attempt that failed.
fn failure_line(host: &str, protocol: Protocol, numeric: bool, attempt: &Attempt) -> Option<String> {
    let reason = match &attempt.outcome {
        Outcome::Connected | Outcome::Abandoned | Outcome::Bind { .. } | Outcome::Local { .. } => return None,
        Outcome::TimedOut => "timed out: Operation now in progress".to_owned(),
        other => format!("failed: {}", errno::text(other.errno().unwrap_or(0))),
    };
    let shown = with_address(host, attempt.address, numeric);
    Some(format!("connect to {shown} port {} ({protocol}) {reason}", attempt.address.port()))
}

/// `localhost (127.0.0.1)`, or the address alone where it was given as such or with `-n`.
fn with_address(host: &str, address: SocketAddr, numeric: bool) -> String {
    if numeric {
        return host.to_owned();
    }
    let ip = address.ip().to_string();
    let bare = host.split('%').next().unwrap_or(host);
    if bare == ip { host.to_owned() } else { format!("{host} ({ip})") }
}

/// A port that answered.
fn opened(
    session: &mut Session<'_>,
    host: &str,
    port: u16,
    address: Option<SocketAddr>,
    socket: Socket,
    found: &mut Finding,
) -> Result<Exit, Error> {
    let protocol = session.opts.protocol;
    let mut status = Exit::OK;
    let mut proven = true;
    if protocol == Protocol::Udp && session.opts.zero && session.opts.verbose > 0 && !finding::udp_knock(&socket) {
        proven = false;
    }
    if proven && session.opts.verbose > 0 {
        let service = if session.opts.numeric { None } else { session.services.name(port, protocol) };
        let service = service.unwrap_or("*");
        let shown =
            address.map_or_else(|| host.to_owned(), |address| with_address(host, address, session.opts.numeric));
        let line = format!("Connection to {shown} {port} port [{protocol}/{service}] succeeded!");
        session.talk(&line);
    }
    if session.opts.zero && session.opts.tls.on {
        tls::far_of_connected(session, socket, host, port)?.close(std::time::Duration::ZERO);
        return Ok(Exit::OK);
    }
    if session.opts.zero {
        if session.findings_wanted()
            && let Some(address) = address
        {
            status = finding::examine(session, &socket, address, found)?;
        }
        if session.opts.json {
            let record: Value = found.json(session);
            finding::print(session, &record)?;
        }
        return Ok(match (session.opts.rc, proven) {
            (true, _) => status,
            (false, true) => Exit::OK,
            (false, false) => FAILURE,
        });
    }
    if let Some(address) = address
        && protocol == Protocol::Udp
    {
        let _ = netkit_probe::watch_errors(&socket, address.is_ipv6(), false);
    }
    if session.opts.pass_fd {
        use std::os::fd::AsFd;
        fdpass::send(socket.as_fd())?;
        return Ok(Exit::OK);
    }
    if let Some(version) = session.opts.proxy_protocol {
        inlet::send_header(&socket, version)?;
    }
    let peer = format!("{host} port {port}");
    let mut far = tls::far_of_connected(session, socket, host, port)?;
    let outcome = transfer::run(session, &mut *far, &peer)?;
    transfer::verdict(session, &outcome, &peer)
}

/// A random order (Fisher and Yates).
fn shuffle(ports: &mut [u16]) {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let state = RandomState::new();
    for last in (1..ports.len()).rev() {
        let mut hasher = state.build_hasher();
        hasher.write_usize(last);
        let drawn = usize::try_from(hasher.finish() % (last as u64 + 1)).unwrap_or(0);
        ports.swap(last, drawn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_loses_nothing() {
        let mut ports: Vec<u16> = (1..=500).collect();
        let before = ports.clone();
        shuffle(&mut ports);
        assert_ne!(ports, before);
        ports.sort_unstable();
        assert_eq!(ports, before);
    }

    #[test]
    fn names_and_addresses() {
        let address = "127.0.0.1:80".parse().unwrap();
        assert_eq!(with_address("localhost", address, false), "localhost (127.0.0.1)");
        assert_eq!(with_address("127.0.0.1", address, false), "127.0.0.1");
    }
}
