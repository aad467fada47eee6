//! musl: src/network/lookup_name.c decides what to ask, res_msend.c asks every server at once.
//!
//! Version 1.2.3: no TCP (that came with 1.2.4), and NODATA is reported as EAI_NONAME.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use netkit_wire::dns::{Message, Name, Rcode};

use super::{Ask, Code, Dress, Family, Finding, LOCALHOST_V4, Log, Outcome, World, asks, literal};

/// Limits of resolvconf.c.
const MAX_SERVERS: usize = 3;
const MAX_NDOTS: u32 = 15;
const MAX_ATTEMPTS: u32 = 10;
const MAX_TIMEOUT: u32 = 60;
/// Largest name in the search loop.
const MAX_NAME: usize = 256;

pub(super) fn look_up(name: &str, family: Family, world: &World, log: &mut Log) -> Finding {
    if name.is_empty() || name.len() >= 255 {
        return Finding::failed(Code::NoName, "empty, or longer than a name can be");
    }
    if let Some(address) = literal(name) {
        return if family.accepts(&address) {
            Finding::found(vec![address], "a literal address is never looked up")
        } else {
            Finding::failed(Code::NoName, "a literal address of the other family")
        };
    }
    // Every line that has exactly this name, in this case.
    let in_hosts: Vec<IpAddr> = world
        .hosts
        .entries
        .iter()
        .filter(|entry| entry.names.iter().any(|own| own == name))
        .map(|entry| entry.address)
        .collect();
    if !in_hosts.is_empty() {
        let wanted: Vec<IpAddr> = in_hosts.into_iter().filter(|address| family.accepts(address)).collect();
        return if wanted.is_empty() {
            Finding::failed(Code::NoName, "the hosts file has it in the other family only")
        } else {
            Finding::found(wanted, "found in the hosts file")
        };
    }
    Stub::new(world).search(name, family, log)
}

struct Stub {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
    attempts: u32,
    timeout: Duration,
}

/// One expansion of the name.
enum Tried {
    Found(Vec<IpAddr>),
    /// NXDOMAIN for one of the types: the next suffix is tried.
    NoSuchName,
    /// Anything else ends the search.
    End(Code, String),
}

impl Stub {
    fn new(world: &World) -> Stub {
        let conf = world.resolv_conf.clone().unwrap_or_default();
        // A scope on an address that is not link-local makes the line invalid to musl.
        let usable = |server: &&SocketAddr| match server {
            SocketAddr::V6(v6) => v6.scope_id() == 0 || v6.ip().is_unicast_link_local(),
            SocketAddr::V4(_) => true,
        };
        let servers = super::servers(conf.nameservers.iter().filter(usable), MAX_SERVERS, &[LOCALHOST_V4], world);
        Stub {
            servers,
            search: conf.search_line.map(|line| line.1).unwrap_or_default(),
            ndots: usize::try_from(conf.ndots.min(MAX_NDOTS)).unwrap_or(1),
            attempts: conf.attempts.min(MAX_ATTEMPTS),
            timeout: Duration::from_secs(u64::from(conf.timeout.min(MAX_TIMEOUT))),
        }
    }

    /// name_from_dns_search.
    fn search(&self, name: &str, family: Family, log: &mut Log) -> Finding {
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let bare = name.strip_suffix('.').unwrap_or(name);
        if bare.is_empty() || bare.ends_with('.') {
            return Finding::failed(Code::NoName, "two dots at the end");
        }
        let list: &[String] = if dots >= self.ndots || name.ends_with('.') { &[] } else { &self.search };
        for (number, suffix) in (1..).zip(list) {
            // A suffix that does not fit is passed over.
            if suffix.len() >= MAX_NAME - bare.len() - 1 {
                continue;
            }
            match self.query(&format!("{bare}.{suffix}"), family, log) {
                Tried::Found(answers) => {
                    return Finding::found(answers, format!("search suffix {number} (`{suffix}`) answered"));
                }
                Tried::NoSuchName => {}
                Tried::End(code, why) => {
                    return Finding::failed(
                        code,
                        format!("search suffix {number} (`{suffix}`) ended the search: {why}"),
                    );
                }
            }
        }
        match self.query(bare, family, log) {
            Tried::Found(answers) => Finding::found(answers, "the name as typed answered"),
            Tried::NoSuchName if list.is_empty() && !self.search.is_empty() && !name.ends_with('.') => Finding::failed(
                Code::NoName,
                format!("the name has {dots} dots, at least ndots:{}, so musl never tries the search list", self.ndots),
            ),
            Tried::NoSuchName => Finding::failed(Code::NoName, "every name that was tried does not exist"),
            Tried::End(code, why) => Finding::failed(code, why),
        }
    }

    /// name_from_dns.
    fn query(&self, full: &str, family: Family, log: &mut Log) -> Tried {
        let name = match Name::parse(full) {
            // A suffix of `.` gives two dots at the end, from which 1.2.3 makes a query that no server understands.
            _ if full.ends_with("..") => return Tried::End(Code::Again, "the query for `..` is malformed".to_owned()),
            Ok(name) => name,
            Err(error) => return Tried::End(Code::NoName, format!("`{full}` cannot be asked ({error})")),
        };
        if self.attempts == 0 {
            return Tried::End(Code::Crash, "options attempts:0 makes musl divide by zero".to_owned());
        }
        let asks = asks(&name, family, Dress::default());
        let replies = match self.send(&asks, log) {
            Ok(replies) => replies,
            Err(error) => return Tried::End(Code::Again, format!("no socket could be used: {error}")),
        };
        for (reply, ask) in replies.iter().zip(&asks) {
            let Some(message) = reply else {
                return Tried::End(Code::Again, format!("no usable answer to the {} query", ask.rtype));
            };
            match Rcode(u16::from(message.header.rcode)) {
                Rcode::NXDOMAIN => return Tried::NoSuchName,
                Rcode::NOERROR => {}
                rcode => return Tried::End(Code::Fail, format!("{rcode}")),
            }
        }
        let answers: Vec<IpAddr> = replies
            .iter()
            .zip(&asks)
            .filter_map(|(reply, ask)| reply.as_ref().map(|message| ask.addresses(message)))
            .flatten()
            .collect();
        if !answers.is_empty() {
            return Tried::Found(answers);
        }
        let truncated = replies.iter().flatten().any(|message| message.header.tc);
        let why = if truncated {
            "the reply was truncated, and musl before 1.2.4 has no TCP"
        } else {
            "it exists without an address (NODATA)"
        };
        Tried::End(Code::NoName, why.to_owned())
    }

    /// __res_msend: every query to every server at once, again each timeout/attempts until all are answered.
    fn send(&self, asks: &[Ask], log: &mut Log) -> io::Result<Vec<Option<Message>>> {
        let sockets = Sockets::open(&self.servers)?;
        let mut replies: Vec<Option<Message>> = asks.iter().map(|_| None).collect();
        let mut sent: Vec<(usize, usize, SocketAddr)> = Vec::new();
        let mut retries_on_servfail = 0;
        let interval = self.timeout / self.attempts.max(1);
        let started = Instant::now();
        let mut last_round: Option<Instant> = None;
        while started.elapsed() < self.timeout && replies.iter().any(Option::is_none) {
            if last_round.is_none_or(|last| last.elapsed() >= interval) {
                for (at, ask) in asks.iter().enumerate().filter(|(at, _)| replies.get(*at).is_some_and(Option::is_none))
                {
                    for server in &self.servers {
                        sent.push((at, log.sent(*server, false, ask), *server));
                        let _ = sockets.send(&ask.bytes, *server);
                    }
                }
                last_round = Some(Instant::now());
                retries_on_servfail = 2 * asks.len();
            }
            let until_round =
                last_round.map_or(Duration::ZERO, |last| (last + interval).saturating_duration_since(Instant::now()));
            let Some((bytes, from)) = sockets.receive(until_round)? else { continue };
            if !self.servers.contains(&from) {
                continue;
            }
            let Some(at) = asks.iter().position(|ask| ask.matches(&bytes)) else { continue };
            if replies.get(at).is_some_and(Option::is_some) {
                continue;
            }
            let Ok(message) = Message::decode(bytes) else { continue };
            let Some(ask) = asks.get(at) else { continue };
            // The oldest query to that server that is still open is the one answered.
            let number = sent
                .iter()
                .position(|(query, number, server)| *query == at && *server == from && log.is_open(*number))
                .and_then(|position| sent.get(position).map(|entry| entry.1));
            if let Some(number) = number {
                log.ended(number, ask.judge(&message));
            }
            match message.header.rcode {
                0 | 3 => {
                    if let Some(place) = replies.get_mut(at) {
                        *place = Some(message);
                    }
                }
                2 if retries_on_servfail > 0 => {
                    retries_on_servfail -= 1;
                    sent.push((at, log.sent(from, false, ask), from));
                    let _ = sockets.send(&ask.bytes, from);
                }
                // Refusals and the rest are passed over as if nothing had come.
                _ => {}
            }
        }
        Ok(replies)
    }
}

impl Log {
    fn is_open(&self, number: usize) -> bool {
        self.attempts.get(number).is_some_and(|attempt| attempt.outcome == Outcome::Timeout)
    }
}

/// musl asks servers of both families from one IPv6 socket; two sockets here send the same datagrams.
struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

impl Sockets {
    fn open(servers: &[SocketAddr]) -> io::Result<Sockets> {
        let needed = |v4: bool| servers.iter().any(|server| server.is_ipv4() == v4);
        let v4 = needed(true).then(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).transpose()?;
        let v6 = needed(false).then(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))).transpose()?;
        Ok(Sockets { v4, v6 })
    }

    fn send(&self, bytes: &[u8], server: SocketAddr) -> io::Result<usize> {
        let socket = if server.is_ipv4() { &self.v4 } else { &self.v6 };
        socket.as_ref().map_or(Ok(0), |socket| socket.send_to(bytes, server))
    }

    /// The next datagram on either socket, or nothing within `wait`.
    fn receive(&self, wait: Duration) -> io::Result<Option<(Vec<u8>, SocketAddr)>> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;

        let sockets: Vec<&UdpSocket> = self.v4.iter().chain(&self.v6).collect();
        let mut fds: Vec<PollFd<'_>> =
            sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        // Rounded up, so that the wait does not end just before the round is due.
        let milliseconds = u16::try_from(wait.as_millis().saturating_add(1)).unwrap_or(u16::MAX);
        if poll(&mut fds, PollTimeout::from(milliseconds))? == 0 {
            return Ok(None);
        }
        let ready = fds.iter().position(|fd| fd.any().unwrap_or(false));
        let Some(socket) = ready.and_then(|at| sockets.get(at)) else { return Ok(None) };
        // musl 1.2.3 has room for 512 octets and takes what fits.
        let mut buffer = [0u8; 512];
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => Ok(Some((buffer.get(..length).unwrap_or_default().to_vec(), from))),
            Err(_) => Ok(None),
        }
    }
}
