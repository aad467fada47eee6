//! ncat as a listener: one connection, or with `-k` many at once whose input is merged and who all get what is typed.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use netkit_core::{Error, Exit};
use netkit_probe::{Family, Protocol, errno, resolve};
use netkit_tls::{Acceptor, Transport};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};
use socket2::{Domain, Socket, Type};

use crate::args::{FAILURE, Opts};
use crate::session::Session;
use crate::{inlet, listen, tls, transfer};

/// ncat's own limit on systems with enough descriptors.
const MOST: usize = 100;
/// Bytes kept for a client that does not read; one that falls further behind is waited for.
const QUEUE: usize = 1 << 16;
const CHUNK: usize = 1 << 14;

/// TCP and UDP.
pub(crate) fn run(session: &mut Session<'_>, host: Option<&str>, port: u16) -> Result<Exit, Error> {
    tls::prepare(session, host)?;
    let listeners = bind(session, host, port)?;
    for (_, bound) in &listeners {
        session.talk(&format!("Ncat: Listening on {}:{}", bound.ip(), bound.port()));
    }
    let sockets: Vec<Socket> = listeners.into_iter().map(|(socket, _)| socket).collect();
    if session.opts.protocol == Protocol::Udp {
        return udp(session, sockets);
    }
    if session.opts.keep {
        return many(session, &sockets);
    }
    let (socket, from) = accept_one(&sockets)?;
    drop(sockets);
    announce(session, from.as_socket());
    single(session, socket)
}

/// Unix stream sockets.
pub(crate) fn unix(session: &mut Session<'_>, path: &str) -> Result<Exit, Error> {
    let failed = |error: io::Error| Error::usage(format!("bind to {path}: {}. QUITTING.", errno::reason(&error)));
    let datagrams = session.opts.protocol == Protocol::Udp;
    let kind = if datagrams { Type::DGRAM } else { Type::STREAM };
    let socket = Socket::new(Domain::UNIX, kind, None).map_err(failed)?;
    crate::unix::address(path).and_then(|at| socket.bind(&at)).map_err(failed)?;
    session.talk(&format!("Ncat: Listening on {path}"));
    if datagrams {
        return single(session, socket);
    }
    socket.listen(listen::BACKLOG).map_err(failed)?;
    let sockets = [socket];
    if session.opts.keep {
        return many(session, &sockets);
    }
    let (socket, _) = accept_one(&sockets)?;
    session.talk("Ncat: Connection from a client on Unix domain socket.");
    single(session, socket)
}

/// A given address, or both wildcards.
fn bind(session: &Session<'_>, host: Option<&str>, port: u16) -> Result<Vec<(Socket, SocketAddr)>, Error> {
    let kit = session.kit();
    let wildcard = host.is_none();
    let addresses: Vec<SocketAddr> = match host {
        Some(host) => resolve(host, port, kit.opts.family, &kit.lookup)
            .map_err(|error| Error::usage(format!("Could not resolve hostname \"{host}\": {error}. QUITTING.")))?,
        None => {
            let both: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
            let wanted = both.into_iter().filter(|address| match kit.opts.family {
                Family::Unspecified => true,
                Family::Inet => address.is_ipv4(),
                Family::Inet6 => address.is_ipv6(),
            });
            wanted.map(|address| SocketAddr::new(address, port)).collect()
        }
    };
    let mut listeners = Vec::new();
    let mut last = None;
    for address in addresses {
        let opened = open(&kit.opts, address);
        match opened {
            Ok(socket) => {
                let bound = inlet::address_of(socket.local_addr()).unwrap_or(address);
                listeners.push((socket, bound));
                if !wildcard {
                    break;
                }
            }
            Err(error) => last = Some((address, error)),
        }
    }
    match (listeners.is_empty(), last) {
        (true, Some((address, error))) => {
            let text = errno::reason(&error);
            Err(Error::usage(format!("bind to {}:{}: {text}. QUITTING.", address.ip(), address.port())))
        }
        (true, None) => Err(Error::usage("Unable to open any listening sockets. QUITTING.")),
        (false, _) => Ok(listeners),
    }
}

fn open(opts: &Opts, address: SocketAddr) -> io::Result<Socket> {
    let udp = opts.protocol == Protocol::Udp;
    let socket = Socket::new(Domain::for_address(address), if udp { Type::DGRAM } else { Type::STREAM }, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    opts.socket.apply(&socket, address.is_ipv6()).map_err(|(_, error)| error)?;
    socket.bind(&address.into())?;
    if !udp {
        socket.listen(listen::BACKLOG)?;
        // Several are waited on at once: accept must not block on one whose client has gone again.
        socket.set_nonblocking(true)?;
    }
    Ok(socket)
}

fn announce(session: &mut Session<'_>, from: Option<SocketAddr>) {
    match from {
        Some(from) => {
            session.talk(&format!("Ncat: Connection from {}.", from.ip()));
            session.talk(&format!("Ncat: Connection from {}:{}.", from.ip(), from.port()));
        }
        None => session.talk("Ncat: Connection from a client on Unix domain socket."),
    }
}

fn accept_one(listeners: &[Socket]) -> Result<(Socket, socket2::SockAddr), Error> {
    loop {
        let mut polled: Vec<PollFd<'_>> =
            listeners.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        let _ = poll(&mut polled, PollTimeout::NONE);
        let ready: Vec<bool> = polled.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        for (listener, _) in listeners.iter().zip(ready).filter(|(_, ready)| *ready) {
            match listener.accept() {
                Ok(accepted) => return Ok(accepted),
                Err(error) if listen::passing(&error) => {}
                Err(error) => return Err(Error::new(FAILURE, format!("accept: {}.", errno::reason(&error)))),
            }
        }
    }
}

fn single(session: &mut Session<'_>, socket: Socket) -> Result<Exit, Error> {
    if session.opts.proxy_protocol.is_some() {
        let header = inlet::receive_header(&socket).map_err(|why| Error::new(FAILURE, why))?;
        session.talk(&format!("Ncat: PROXY protocol: {header}"));
    }
    let peer = inlet::address_of(socket.peer_addr()).map_or_else(|| "the client".to_owned(), |at| at.ip().to_string());
    let mut far = tls::far_of_accepted(session, socket, &peer)?;
    let outcome = transfer::run(session, &mut *far, "the client")?;
    transfer::verdict(session, &outcome, "the client")
}

/// The first datagram decides whom we talk to.
fn udp(session: &mut Session<'_>, sockets: Vec<Socket>) -> Result<Exit, Error> {
    let failed = |error: io::Error| Error::new(FAILURE, errno::reason(&error));
    let index = loop {
        let mut polled: Vec<PollFd<'_>> =
            sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        let _ = poll(&mut polled, PollTimeout::NONE);
        if let Some(index) = polled.iter().position(|fd| fd.any().unwrap_or(false)) {
            break index;
        }
    };
    let Some(socket) = sockets.into_iter().nth(index) else { return Ok(FAILURE) };
    let mut byte = [std::mem::MaybeUninit::uninit()];
    let (_, from) = socket.peek_from(&mut byte).map_err(failed)?;
    socket.connect(&from).map_err(failed)?;
    if let Some(from) = from.as_socket() {
        session.talk(&format!("Ncat: Connection from {}.", from.ip()));
    }
    single(session, socket)
}

/// A client of many.
struct Client {
    /// Waited for; the stream holds a copy of the descriptor.
    socket: Socket,
    stream: Box<dyn Transport>,
    queue: VecDeque<u8>,
    reading: bool,
    /// Encrypted bytes have not left yet.
    waiting: bool,
    /// There may be more that is decrypted already, which poll does not see.
    more: bool,
}

impl Client {
    /// Writes what the socket takes now; false when the client is gone.
    fn drain(&mut self) -> bool {
        while !self.queue.is_empty() {
            let (front, _) = self.queue.as_slices();
            match self.stream.write(front) {
                Ok(length) => {
                    self.queue.drain(..length.min(self.queue.len()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        match self.stream.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return false,
            flushed => self.waiting = flushed.is_err(),
        }
        true
    }

    /// Without TLS the bare socket; with it the handshake happens as bytes come and go.
    fn new(socket: Socket, acceptor: Option<&Acceptor>) -> Result<Client, String> {
        let copy = socket.try_clone().and_then(netkit_tls::Socket::new).map_err(|error| error.to_string())?;
        let stream: Box<dyn Transport> = match acceptor {
            None => Box::new(copy),
            Some(acceptor) => acceptor.begin(Box::new(copy))?,
        };
        Ok(Client { socket, stream, queue: VecDeque::new(), reading: true, waiting: false, more: false })
    }
}

/// `-k`: what clients send is merged into stdout, what is typed goes to all of them.
fn many(session: &mut Session<'_>, listeners: &[Socket]) -> Result<Exit, Error> {
    for listener in listeners {
        let _ = listener.set_nonblocking(true);
    }
    let most = session.opts.max_conns.unwrap_or(MOST);
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let mut typed = !session.opts.recv_only && !session.opts.no_stdin;
    let mut clients: Vec<Client> = Vec::new();
    let mut chunk = vec![0u8; CHUNK];
    let mut taps = session.taps()?;
    loop {
        // Typed bytes wait until there is room with everybody.
        let room = clients.iter().all(|client| client.queue.len() < QUEUE);
        let take = typed && room && !clients.is_empty();
        let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(clients.len() + 3);
        for client in &clients {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, client.reading);
            flags.set(PollFlags::POLLOUT, !client.queue.is_empty() || client.waiting);
            polled.push(PollFd::new(client.socket.as_fd(), flags));
        }
        polled.extend(listeners.iter().map(|listener| PollFd::new(listener.as_fd(), PollFlags::POLLIN)));
        if take {
            polled.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        let more = clients.iter().any(|client| client.more);
        match poll(&mut polled, if more { PollTimeout::ZERO } else { PollTimeout::NONE }) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::new(FAILURE, errno::text(errno as i32))),
        }
        let seen: Vec<PollFlags> = polled.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect();
        drop(polled);
        let (of_clients, rest) = seen.split_at_checked(clients.len()).unwrap_or((&[], &[]));
        let (of_listeners, of_stdin) = rest.split_at_checked(listeners.len()).unwrap_or((&[], &[]));

        let mut gone = Vec::new();
        for (index, (client, flags)) in clients.iter_mut().zip(of_clients).enumerate() {
            let readable = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
            if client.reading && (client.more || flags.intersects(readable)) {
                let got = client.stream.read(&mut chunk);
                client.more = session.acceptor.is_some() && matches!(got, Ok(1..));
                match got {
                    Ok(0) => gone.push(index),
                    Ok(length) => {
                        let mut bytes = chunk.get(..length).unwrap_or_default().to_vec();
                        if let Some(taps) = &mut taps {
                            taps.watch(crate::pump::Way::In, &mut bytes).map_err(Error::from)?;
                        }
                        if !session.opts.send_only {
                            put(&stdout, &bytes)?;
                        }
                    }
                    Err(error) if listen::passing(&error) && error.kind() != io::ErrorKind::ConnectionReset => {}
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => gone.push(index),
                    Err(error) => {
                        let why = netkit_tls::handshake_text(&error);
                        session.ctx.say(&format!("Ncat: reading from a client: {why}."));
                        gone.push(index);
                    }
                }
            }
            if flags.contains(PollFlags::POLLOUT) && !client.drain() {
                gone.push(index);
            }
        }
        gone.dedup();
        if of_stdin.iter().any(|flags| !flags.is_empty()) {
            match read(&stdin, &mut chunk) {
                Ok(0) => typed = false,
                Ok(length) => {
                    let mut bytes = chunk.get(..length).unwrap_or_default().to_vec();
                    if let Some(taps) = &mut taps {
                        taps.watch(crate::pump::Way::Out, &mut bytes).map_err(Error::from)?;
                    }
                    for client in &mut clients {
                        client.queue.extend(&bytes);
                        let _ = client.drain();
                    }
                }
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => {
                    return Err(Error::new(FAILURE, format!("reading standard input: {}.", errno::text(errno as i32))));
                }
            }
        }
        for index in gone.into_iter().rev() {
            if index < clients.len() {
                clients.swap_remove(index).stream.finish();
            }
        }
        for (listener, flags) in listeners.iter().zip(of_listeners) {
            if flags.is_empty() {
                continue;
            }
            match listener.accept() {
                Ok((socket, from)) => {
                    announce(session, from.as_socket());
                    if clients.len() >= most {
                        session.talk(&format!(
                            "Ncat: New connection denied: connection limit reached ({})",
                            clients.len()
                        ));
                        continue;
                    }
                    match Client::new(socket, session.acceptor.as_ref()) {
                        Ok(client) => clients.push(client),
                        Err(why) => session.ctx.say(&format!("Ncat: {why}.")),
                    }
                }
                Err(error) if listen::passing(&error) => {}
                Err(error) => session.ctx.say(&format!("Ncat: accept: {}.", errno::reason(&error))),
            }
        }
    }
}

/// All of it, waiting where stdout has no room: that is what holds the clients back.
fn put(stdout: &io::Stdout, mut bytes: &[u8]) -> Result<(), Error> {
    while !bytes.is_empty() {
        match write(stdout, bytes) {
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut polled = [PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)];
                let _ = poll(&mut polled, PollTimeout::NONE);
            }
            Err(Errno::EPIPE) => return Err(Error::new(Exit::PIPE, "")),
            Err(errno) => {
                return Err(Error::new(FAILURE, format!("writing standard output: {}", errno::text(errno as i32))));
            }
        }
    }
    Ok(())
}
