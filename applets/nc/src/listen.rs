//! nc as a listener.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use netkit_core::{Error, Exit};
use netkit_probe::{Family, LookupError, Protocol, errno, resolve};
use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Socket, Type};

use crate::args::FAILURE;
use crate::ends::SocketEnd;
use crate::session::{Kit, Session};
use crate::{inlet, tls, transfer, units};

/// The kernel cuts it to net.core.somaxconn; nc's own 1 loses connections that come at once.
pub(crate) const BACKLOG: i32 = 4_096;

/// Serves one peer, or with `-k` one after the other.
pub(crate) fn run(session: &mut Session<'_>, host: Option<&str>, port: &str) -> Result<Exit, Error> {
    let protocol = session.opts.protocol;
    tls::prepare(session, host)?;
    let (socket, bound) = bind(&session.kit(), host, port, protocol)?;
    let udp = protocol == Protocol::Udp;
    let line = format!("Bound on {} {}", session_host(session, bound), bound.port());
    if udp {
        session.talk(&line);
    } else {
        socket.listen(BACKLOG).map_err(|error| Error::new(FAILURE, errno::reason(&error)))?;
        session.talk(&line.replacen("Bound", "Listening", 1));
    }
    match (udp, session.opts.keep) {
        (true, true) => hear_everybody(session, socket),
        (true, false) => hear_one(session, socket),
        (false, keep) => loop {
            let status = serve(session, &socket)?;
            if !keep {
                return Ok(status);
            }
        },
    }
}

fn session_host(session: &Session<'_>, bound: SocketAddr) -> String {
    session.host_name(bound)
}

/// The first of the addresses that can be bound.
pub(crate) fn bind(
    kit: &Kit,
    host: Option<&str>,
    port: &str,
    protocol: Protocol,
) -> Result<(Socket, SocketAddr), Error> {
    let opts = &kit.opts;
    let number = match kit.services.port(port, protocol) {
        Some(number) => number,
        None if port == "0" => 0,
        None if port.bytes().any(|byte| !byte.is_ascii_digit()) => {
            return Err(Error::new(FAILURE, "getaddrinfo: Servname not supported for ai_socktype"));
        }
        None => units::port(port)?,
    };
    let addresses = match host {
        Some(host) => {
            let failed = |error: LookupError| Error::new(FAILURE, format!("getaddrinfo: {error}"));
            resolve(host, number, opts.family, &kit.lookup).map_err(failed)?
        }
        None => {
            let both: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
            let wanted = both.into_iter().filter(|address| match opts.family {
                Family::Unspecified => true,
                Family::Inet => address.is_ipv4(),
                Family::Inet6 => address.is_ipv6(),
            });
            wanted.map(|address| SocketAddr::new(address, number)).collect()
        }
    };
    let mut last = Error::new(FAILURE, "no address to bind");
    for address in addresses {
        match open(kit, address, protocol) {
            Ok(socket) => {
                let bound = inlet::address_of(socket.local_addr()).unwrap_or(address);
                return Ok((socket, bound));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A bound socket.
pub(crate) fn open(kit: &Kit, address: SocketAddr, protocol: Protocol) -> Result<Socket, Error> {
    let kind = match protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
    };
    let plain = |error: std::io::Error| {
        let failed = Error::new(FAILURE, errno::reason(&error));
        if error.kind() == std::io::ErrorKind::PermissionDenied {
            let wanted = netkit_core::privilege::Capability::NetBindService;
            return failed.hint(netkit_core::privilege::missing(wanted, "a port below 1024", "ports from 1024 up"));
        }
        failed
    };
    let socket = Socket::new(Domain::for_address(address), kind, None).map_err(plain)?;
    socket.set_reuse_address(true).map_err(plain)?;
    // As Debian's nc: two listeners on one port share what comes.
    let _ = setsockopt(&socket, sockopt::ReusePort, &true);
    if address.is_ipv6() {
        let _ = socket.set_only_v6(true);
    }
    kit.opts
        .socket
        .apply(&socket, address.is_ipv6())
        .map_err(|(what, error)| Error::new(FAILURE, format!("{what}: {}", errno::reason(&error))))?;
    socket.bind(&address.into()).map_err(plain)?;
    Ok(socket)
}

/// One TCP connection from accept to close.
fn serve(session: &mut Session<'_>, listener: &Socket) -> Result<Exit, Error> {
    let (socket, from) = loop {
        match listener.accept() {
            Ok(accepted) => break accepted,
            // A peer that has gone again before we got to it is no reason to stop listening (accept(2)).
            Err(error) if passing(&error) => {}
            Err(error) => return Err(Error::new(FAILURE, format!("accept: {}", errno::reason(&error)))),
        }
    };
    let from = from.as_socket().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
    if session.opts.verbose > 0 {
        let line = format!("Connection received on {} {}", session.host_name(from), from.port());
        session.talk(&line);
    }
    let peer = format!("{} port {}", from.ip(), from.port());
    if session.opts.proxy_protocol.is_some() {
        match inlet::receive_header(&socket) {
            Ok(header) => session.talk(&format!("PROXY protocol: {header}")),
            Err(why) => {
                let error = Error::new(FAILURE, format!("{peer}: {why}"));
                return stay(session, Err(error));
            }
        }
    }
    if session.opts.pass_fd {
        use std::os::fd::AsFd;
        crate::fdpass::send(socket.as_fd())?;
        return Ok(Exit::OK);
    }
    let mut far = match tls::far_of_accepted(session, socket, &peer) {
        Ok(far) => far,
        Err(error) => return stay(session, Err(error)),
    };
    let outcome = transfer::run(session, &mut *far, &peer)?;
    let status = transfer::verdict(session, &outcome, &peer);
    stay(session, status)
}

/// Errors that belong to one connection, not to the listener.
pub(crate) fn passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(error.kind(), Kind::Interrupted | Kind::ConnectionAborted | Kind::ConnectionReset | Kind::WouldBlock)
}

/// With `-k` an error of one connection is said and the next one served; an output that is gone ends it all.
pub(crate) fn stay(session: &mut Session<'_>, status: Result<Exit, Error>) -> Result<Exit, Error> {
    match status {
        Err(error)
            if session.opts.keep && error.exit != Exit::PIPE && !error.message.starts_with("writing standard") =>
        {
            let line = format!("{}: {}", session.ctx.name, error.message);
            session.ctx.say(&line);
            Ok(error.exit)
        }
        other => other,
    }
}

/// UDP: the first datagram decides whom we talk to.
fn hear_one(session: &mut Session<'_>, socket: Socket) -> Result<Exit, Error> {
    let failed = |error: std::io::Error| Error::new(FAILURE, errno::reason(&error));
    let from = loop {
        let mut byte = [0u8];
        let mut parts = [std::io::IoSliceMut::new(&mut byte)];
        match recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, None, MsgFlags::MSG_PEEK) {
            Ok(message) => match message.address.as_ref().and_then(crate::socket_address) {
                Some(from) => break from,
                None => continue,
            },
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
    };
    socket.connect(&from.into()).map_err(failed)?;
    if session.opts.verbose > 0 {
        let line = format!("Connection received on {} {}", session.host_name(from), from.port());
        session.talk(&line);
    }
    let peer = format!("{} port {}", from.ip(), from.port());
    let mut far = SocketEnd::new(socket).map_err(failed)?;
    let outcome = transfer::run(session, &mut far, &peer)?;
    transfer::verdict(session, &outcome, &peer)
}

/// UDP with `-k`: datagrams from everybody; what is typed goes to the last one who sent.
fn hear_everybody(session: &mut Session<'_>, socket: Socket) -> Result<Exit, Error> {
    let failed = |error: std::io::Error| Error::new(FAILURE, errno::reason(&error));
    let mut far = SocketEnd::unconnected(socket).map_err(failed)?;
    let outcome = transfer::run(session, &mut far, "the last sender")?;
    transfer::verdict(session, &outcome, "the last sender")
}
