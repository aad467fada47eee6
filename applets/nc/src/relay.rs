//! `--relay A B`: what socat does most often. A is connected to or listened on, then B, then bytes go both ways.
//!
//! An address is `tcp:HOST:PORT`, `tcp-l:[HOST:]PORT`, `tls:HOST:PORT`, `tls-l:[HOST:]PORT`, `udp:HOST:PORT`,
//! `udp-l:[HOST:]PORT`, `unix:PATH`, `unix-l:PATH`, with options behind commas: `fork` (a listener serves many at once),
//! `send-proxy=v1|v2` and `accept-proxy` (the PROXY protocol; outside of TLS), and for TLS `verify`, `trustfile=FILE`,
//! `cert=FILE`, `key=FILE`, `servername=NAME`, `alpn=NAME`. A header taken with `accept-proxy` is what `send-proxy` hands on.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use netkit_core::{Ctx, Error, Exit};
use netkit_probe::proxy_protocol::{Header, Version};
use netkit_probe::services::Services;
use netkit_probe::{Outcome, Plan, Protocol, connect, errno, resolve};
use netkit_tls::Acceptor;
use socket2::{Domain, Socket, Type};

use crate::args::{FAILURE, Opts};
use crate::ends::SocketEnd;
use crate::pump::{self, End, Limits};
use crate::session::{Kit, Session};
use crate::tls::{self, Tls};
use crate::unix::{self, Unlink};
use crate::{inlet, listen};

/// Connections served at once with `fork`, unless `--max-conns` says otherwise.
const MOST: usize = 4_096;
/// A thread here only waits and splices, or shakes hands.
const STACK: usize = 256 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Spec {
    place: Place,
    fork: bool,
    accept_proxy: bool,
    send_proxy: Option<Version>,
    tls: Tls,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Tcp(String, String),
    TcpListen(Option<String>, String),
    Udp(String, String),
    UdpListen(Option<String>, String),
    Unix(String),
    UnixListen(String),
}

impl Place {
    fn listens(&self) -> bool {
        matches!(self, Place::TcpListen(..) | Place::UdpListen(..) | Place::UnixListen(_))
    }

    fn is_udp(&self) -> bool {
        matches!(self, Place::Udp(..) | Place::UdpListen(..))
    }
}

impl Spec {
    /// Whether the port is a number or the name of a service; 0 lets the kernel choose one to listen on.
    fn check_port(&self, services: &Services, text: &str) -> Result<(), Error> {
        let (port, protocol) = match &self.place {
            Place::Tcp(_, port) | Place::TcpListen(_, port) => (port, Protocol::Tcp),
            Place::Udp(_, port) | Place::UdpListen(_, port) => (port, Protocol::Udp),
            Place::Unix(_) | Place::UnixListen(_) => return Ok(()),
        };
        let fine = services.port(port, protocol).is_some()
            || (port == "0" && self.place.listens())
            || crate::units::port(port).is_ok();
        let shown = netkit_core::text::printable;
        let refusal = || Error::usage(format!("--relay: `{}`: `{}` is no port", shown(text), shown(port)));
        if fine { Ok(()) } else { Err(refusal()) }
    }

    fn parse(text: &str) -> Result<Spec, Error> {
        let bad = |why: &str| Error::usage(format!("--relay: `{}`: {why}", netkit_core::text::printable(text)));
        let mut parts = text.split(',');
        let place = parts.next().unwrap_or("");
        let (kind, rest) =
            place.split_once(':').ok_or_else(|| bad("an address begins with tcp:, tcp-l: and the like"))?;
        let pair = || match rest.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() => {
                Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port.to_owned()))
            }
            _ => Err(bad("HOST:PORT is wanted")),
        };
        let bindable = || match rest.rsplit_once(':') {
            Some(_) => pair().map(|(host, port)| (Some(host), port)),
            None => Ok((None, rest.to_owned())),
        };
        let place = match kind {
            "tcp" | "tls" => pair().map(|(host, port)| Place::Tcp(host, port))?,
            "udp" => pair().map(|(host, port)| Place::Udp(host, port))?,
            "tcp-l" | "tls-l" => bindable().map(|(host, port)| Place::TcpListen(host, port))?,
            "udp-l" => bindable().map(|(host, port)| Place::UdpListen(host, port))?,
            "unix" if !rest.is_empty() => Place::Unix(rest.to_owned()),
            "unix-l" if !rest.is_empty() => Place::UnixListen(rest.to_owned()),
            "unix" | "unix-l" => return Err(bad("a path is wanted")),
            _ => return Err(bad("tcp, tcp-l, tls, tls-l, udp, udp-l, unix and unix-l are known")),
        };
        let tls = Tls { on: kind.starts_with("tls"), ..Tls::default() };
        let mut spec = Spec { place, fork: false, accept_proxy: false, send_proxy: None, tls };
        for option in parts {
            match option.split_once('=') {
                None if option == "fork" => spec.fork = true,
                None if option == "accept-proxy" => spec.accept_proxy = true,
                Some(("send-proxy", version)) => {
                    let known = crate::long::proxy_version(version).map_err(|error| bad(&error.message))?;
                    spec.send_proxy = Some(known);
                }
                None if spec.tls.on && option == "verify" => spec.tls.verify = true,
                Some((name, value))
                    if spec.tls.on && !value.is_empty() && name != "verify" && spec.tls.set(name, value) => {}
                _ => {
                    let tls = if spec.tls.on { ", verify, trustfile=, cert=, key=, servername=, alpn=" } else { "" };
                    let option = netkit_core::text::printable(option);
                    return Err(bad(&format!(
                        "no option `{option}`; there are fork, accept-proxy, send-proxy=v1|v2{tls}"
                    )));
                }
            }
        }
        if spec.fork && !matches!(spec.place, Place::TcpListen(..) | Place::UnixListen(_)) {
            return Err(bad("only tcp-l and unix-l can fork"));
        }
        if spec.accept_proxy && !matches!(spec.place, Place::TcpListen(..) | Place::UnixListen(_)) {
            return Err(bad("a header is accepted by a listener for streams"));
        }
        if spec.send_proxy.is_some() && !matches!(spec.place, Place::Tcp(..) | Place::Unix(_)) {
            return Err(bad("a header is sent by the side that connects a stream"));
        }
        let tls = &spec.tls;
        if spec.place.listens() && (tls.verify || tls.trust.is_some() || tls.name.is_some()) {
            return Err(bad("verify, trustfile and servername are for the side that connects"));
        }
        if tls.key.is_some() && tls.certificate.is_none() {
            return Err(bad("key wants cert"));
        }
        Ok(spec)
    }
}

/// Runs the relay.
pub(crate) fn run(ctx: &mut Ctx, opts: &Opts) -> Result<Exit, Error> {
    opts.check_unused("--relay")?;
    let [first, second] = opts.operands.as_slice() else {
        return Err(Error::usage("--relay wants two addresses, such as tcp-l:8080,fork tcp:svc:80"));
    };
    let (first, second) = (Spec::parse(first)?, Spec::parse(second)?);
    if second.fork {
        return Err(Error::usage("--relay: only the first address can fork"));
    }
    let mut session = Session::new(ctx, opts.clone());
    for (spec, text) in [&first, &second].into_iter().zip(&opts.operands) {
        spec.check_port(&session.services, text)?;
    }
    if first.place.listens() {
        return serve(&mut session, &first, &second);
    }
    let kit = session.kit();
    let acceptor = acceptor(&session, &second)?;
    let (near, header) = open(&kit, &first, None)?;
    let (far, _) = open(&kit, &second, header)?;
    let near = shake(&kit, &first, None, near)?;
    let far = shake(&kit, &second, acceptor.as_ref(), far)?;
    finish(join(near, far, opts)?)
}

/// What accepts TLS on a listening address.
fn acceptor(session: &Session<'_>, spec: &Spec) -> Result<Option<Acceptor>, Error> {
    match &spec.place {
        Place::TcpListen(host, _) if spec.tls.on => {
            spec.tls.acceptor(host.as_deref(), session.ctx.clock.unix_seconds()).map(Some)
        }
        _ => Ok(None),
    }
}

/// One end of a relay: TLS where the address says so.
fn shake(kit: &Kit, spec: &Spec, acceptor: Option<&Acceptor>, socket: Socket) -> Result<Box<dyn End>, Error> {
    let timeout = kit.opts.timeout;
    match (&spec.place, acceptor) {
        (_, Some(acceptor)) => {
            let peer = inlet::address_of(socket.peer_addr());
            tls::accept(acceptor, socket, timeout).map(|end| Box::new(end) as Box<dyn End>).map_err(|why| {
                let peer = peer.map_or_else(|| "the client".to_owned(), |peer| peer.to_string());
                Error::new(FAILURE, format!("TLS with {peer}: {why}"))
            })
        }
        (Place::Tcp(host, port), None) if spec.tls.on => match spec.tls.connect(socket, host, timeout) {
            Ok((end, _)) => Ok(Box::new(end)),
            Err(error) => {
                let text = netkit_core::text::printable(&error.text);
                Err(Error::new(FAILURE, format!("TLS with {host} port {port}: {text}")))
            }
        },
        _ => match relay_end(socket) {
            Ok(end) => Ok(Box::new(end)),
            Err(error) => Err(Error::new(FAILURE, errno::reason(&error))),
        },
    }
}

fn finish(outcome: pump::Outcome) -> Result<Exit, Error> {
    match outcome.faults.first() {
        None => Ok(Exit::OK),
        Some(fault) => {
            let doing = match fault.place {
                pump::Place::LocalRead => "reading from the first address",
                pump::Place::LocalWrite => "writing to the first address",
                pump::Place::FarRead => "reading from the second address",
                pump::Place::FarWrite => "writing to the second address",
            };
            Err(Error::new(FAILURE, format!("{doing}: {}", errno::reason(&fault.error))))
        }
    }
}

/// Bytes both ways until both sides are done.
fn join(mut near: Box<dyn End>, mut far: Box<dyn End>, opts: &Opts) -> Result<pump::Outcome, Error> {
    let failed = |error: std::io::Error| Error::new(FAILURE, errno::reason(&error));
    let limits = Limits { half_close: true, both_ways: true, idle: opts.idle, ..Limits::default() };
    let outcome = pump::run(&mut *near, &mut *far, &limits, None).map_err(failed)?;
    near.close(std::time::Duration::ZERO);
    far.close(std::time::Duration::ZERO);
    Ok(outcome)
}

/// A UDP listener has no peer yet and answers whoever sent last.
fn relay_end(socket: Socket) -> std::io::Result<SocketEnd> {
    let bound_only = socket.r#type()? == Type::DGRAM && socket.peer_addr().is_err();
    if bound_only { SocketEnd::unconnected(socket) } else { SocketEnd::new(socket) }
}

/// A socket for an address that connects; a header goes out first where one is asked for.
fn open(kit: &Kit, spec: &Spec, header: Option<Header>) -> Result<(Socket, Option<Header>), Error> {
    let socket = match &spec.place {
        Place::Tcp(host, port) => dial(kit, host, port, Protocol::Tcp)?,
        Place::Udp(host, port) => dial(kit, host, port, Protocol::Udp)?,
        Place::Unix(path) => {
            let failed = |error: std::io::Error| Error::new(FAILURE, format!("{path}: {}", errno::reason(&error)));
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
            unix::address(path).and_then(|address| socket.connect(&address)).map_err(failed)?;
            socket
        }
        listener => {
            let (bound, _name) = bind(kit, listener)?;
            if listener.is_udp() {
                return Ok((bound, None));
            }
            let (socket, _) =
                bound.accept().map_err(|error| Error::new(FAILURE, format!("accept: {}", errno::reason(&error))))?;
            let header = take_header(&socket, spec)?;
            return Ok((socket, header));
        }
    };
    if let Some(version) = spec.send_proxy {
        let header = header.unwrap_or_else(|| own_header(&socket));
        inlet::write_header(&socket, &header, version)
            .map_err(|error| Error::new(FAILURE, format!("sending the PROXY header: {}", errno::reason(&error))))?;
    }
    Ok((socket, None))
}

fn own_header(socket: &Socket) -> Header {
    match (inlet::address_of(socket.local_addr()), inlet::address_of(socket.peer_addr())) {
        (Some(source), Some(destination)) => Header::Proxied { source, destination },
        _ => Header::Unknown,
    }
}

/// What the far side is told: the header the client sent, or the client itself.
fn take_header(socket: &Socket, spec: &Spec) -> Result<Option<Header>, Error> {
    if spec.accept_proxy {
        return inlet::receive_header(socket).map(Some).map_err(|why| Error::new(FAILURE, why));
    }
    let ends = (inlet::address_of(socket.peer_addr()), inlet::address_of(socket.local_addr()));
    Ok(match ends {
        (Some(source), Some(destination)) => Some(Header::Proxied { source, destination }),
        _ => Some(Header::Unknown),
    })
}

fn dial(kit: &Kit, host: &str, port: &str, protocol: Protocol) -> Result<Socket, Error> {
    let number = match kit.services.port(port, protocol) {
        Some(number) => number,
        None => crate::units::port(port)?,
    };
    let addresses = resolve(host, number, kit.opts.family, &kit.lookup)
        .map_err(|error| Error::new(FAILURE, format!("{host}: {error}")))?;
    let plan = Plan::new(addresses, protocol, kit.opts.timeout);
    let report = connect(&Plan { options: kit.opts.socket.clone(), ..plan }, &mut |_| {});
    if let Some(socket) = report.socket {
        if protocol == Protocol::Udp {
            let ipv6 = inlet::address_of(socket.peer_addr()).is_some_and(|address: SocketAddr| address.is_ipv6());
            let _ = netkit_probe::watch_errors(&socket, ipv6, false);
        }
        return Ok(socket);
    }
    let telling = report.attempts.iter().rfind(|attempt| attempt.outcome != Outcome::Abandoned);
    let why = telling.map_or("no address".to_owned(), |attempt| attempt.finding().to_string());
    Err(Error::new(FAILURE, format!("{host} port {number}: {why}")))
}

/// A listening socket, and the name it leaves in the file system, which goes when the relay does.
fn bind(kit: &Kit, place: &Place) -> Result<(Socket, Option<Unlink>), Error> {
    let named = |error: Error| {
        let on = match place {
            Place::TcpListen(Some(host), port) | Place::UdpListen(Some(host), port) => format!("{host} port {port}"),
            Place::TcpListen(None, port) | Place::UdpListen(None, port) => format!("port {port}"),
            _ => String::new(),
        };
        Error { message: format!("cannot listen on {on}: {}", error.message), ..error }
    };
    match place {
        Place::TcpListen(host, port) => {
            let (socket, _) = listen::bind(kit, host.as_deref(), port, Protocol::Tcp).map_err(named)?;
            let failed = |error: std::io::Error| Error::new(FAILURE, errno::reason(&error));
            socket.listen(listen::BACKLOG).map_err(failed)?;
            Ok((socket, None))
        }
        Place::UdpListen(host, port) => {
            listen::bind(kit, host.as_deref(), port, Protocol::Udp).map(|(socket, _)| (socket, None)).map_err(named)
        }
        Place::UnixListen(path) => {
            let failed = |error: std::io::Error| Error::new(FAILURE, format!("{path}: {}", errno::reason(&error)));
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
            unix::address(path).and_then(|at| socket.bind(&at)).map_err(failed)?;
            let name = Unlink::of(path);
            socket.listen(listen::BACKLOG).map_err(failed)?;
            Ok((socket, name))
        }
        Place::Tcp(..) | Place::Udp(..) | Place::Unix(_) => Err(Error::new(FAILURE, "not a listener")),
    }
}

/// One connection from its header to its end.
fn one(kit: &Kit, near: Socket, first: &Spec, second: &Spec, acceptors: &Acceptors) -> Result<Exit, Error> {
    let header = take_header(&near, first)?;
    // Before the far side is bothered.
    let near = shake(kit, first, acceptors.0.as_ref(), near)?;
    let (far, _) = open(kit, second, header)?;
    let far = shake(kit, second, acceptors.1.as_ref(), far)?;
    finish(join(near, far, &kit.opts)?)
}

/// Of the first and the second address.
type Acceptors = (Option<Acceptor>, Option<Acceptor>);

/// The first address listens: one connection, or with `fork` each in a thread of its own.
fn serve(session: &mut Session<'_>, first: &Spec, second: &Spec) -> Result<Exit, Error> {
    let kit = session.kit();
    let acceptors = (acceptor(session, first)?, acceptor(session, second)?);
    let (listener, _name) = bind(&kit, &first.place)?;
    if session.opts.verbose > 0 {
        let place = inlet::address_of(listener.local_addr()).map_or_else(String::new, |at| format!(" on {at}"));
        let line = format!("{}: relay listens{place}", session.ctx.name);
        session.talk(&line);
    }
    if first.place.is_udp() {
        let (far, _) = open(&kit, second, None)?;
        let far = shake(&kit, second, acceptors.1.as_ref(), far)?;
        return finish(join(shake(&kit, first, None, listener)?, far, &session.opts)?);
    }
    let most = session.opts.max_conns.unwrap_or(MOST);
    let running = Arc::new(AtomicUsize::new(0));
    loop {
        let near = match listener.accept() {
            Ok((near, _)) => near,
            Err(error) if listen::passing(&error) => continue,
            // Out of descriptors: wait for a connection to end instead of spinning.
            Err(error) if first.fork && error.raw_os_error() == Some(nix::libc::EMFILE) => {
                std::thread::sleep(std::time::Duration::from_millis(100));
                continue;
            }
            Err(error) => return Err(Error::new(FAILURE, format!("accept: {}", errno::reason(&error)))),
        };
        if !first.fork {
            return one(&kit, near, first, second, &acceptors);
        }
        if running.load(Ordering::Acquire) >= most {
            let line = format!("{}: {most} connections are open, one more was closed", session.ctx.name);
            session.ctx.say(&line);
            continue;
        }
        running.fetch_add(1, Ordering::AcqRel);
        let (kit, first, second, acceptors) = (kit.clone(), first.clone(), second.clone(), acceptors.clone());
        let (counter, name) = (Arc::clone(&running), session.ctx.name.clone());
        let begun = std::thread::Builder::new().stack_size(STACK).spawn(move || {
            if let Err(error) = one(&kit, near, &first, &second, &acceptors) {
                // Written at once, in one piece: the thread that holds the context is waiting for the next connection.
                let _ = std::io::stderr().write_all(format!("{name}: {}\n", error.message).as_bytes());
            }
            counter.fetch_sub(1, Ordering::AcqRel);
        });
        if let Err(error) = begun {
            running.fetch_sub(1, Ordering::AcqRel);
            let line = format!("{}: no thread for a connection: {}", session.ctx.name, errno::reason(&error));
            session.ctx.say(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let spec = Spec::parse("tcp-l:[::1]:8080,fork,accept-proxy").unwrap();
        assert_eq!(spec.place, Place::TcpListen(Some("::1".to_owned()), "8080".to_owned()));
        assert!(spec.fork && spec.accept_proxy);
        assert_eq!(Spec::parse("tcp-l:80").unwrap().place, Place::TcpListen(None, "80".to_owned()));
        let spec = Spec::parse("tcp:svc:80,send-proxy=v2").unwrap();
        assert_eq!(spec.send_proxy, Some(Version::V2));
        assert_eq!(Spec::parse("unix:/a:b").unwrap().place, Place::Unix("/a:b".to_owned()));
        let spec = Spec::parse("tls:h:1,verify,trustfile=/ca,servername=n").unwrap();
        assert!(spec.tls.on && spec.tls.verify && spec.tls.name.as_deref() == Some("n"));
        for bad in [
            "",
            "tcp",
            "tcp:80",
            "tcp:h:80,fork",
            "udp:h:1,send-proxy=v1",
            "x:y:1",
            "unix:",
            "tls:h",
            "tcp:h:1,x",
            "tcp:h:1,verify",
            "tls-l:1,verify",
            "tls:h:1,key=k",
        ] {
            assert!(Spec::parse(bad).is_err(), "{bad}");
        }
    }
}
