//! What other resolvers would do here: their algorithms, played with real queries on the real resolv.conf and
//! hosts file, with every query recorded.
//!
//! The algorithms were established by recording what each library sends (see `tests/resolvers.rs`, which
//! repeats the comparison); versions followed: glibc 2.36, musl 1.2.3, Go 1.19, BIND dig 9.18 `+search`.

mod dig;
mod glibc;
mod go;
mod musl;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use netkit_wire::dns::{Class, Edns, Message, Name, Query, Question, Rcode, RrType, Section};

use crate::hosts::Hosts;
use crate::random::random_u16;
use crate::resolv_conf::ResolvConf;
use crate::transport::{Failure, TcpConnection};

/// Whose algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// The GNU C library's getaddrinfo(3).
    Glibc,
    /// musl's getaddrinfo.
    Musl,
    /// Go's own resolver (net.LookupIP without cgo).
    Go,
    /// `dig +search`.
    Dig,
}

impl Resolver {
    /// All of them, in the order they are reported.
    pub const ALL: [Resolver; 4] = [Resolver::Glibc, Resolver::Musl, Resolver::Go, Resolver::Dig];

    /// As the user writes it.
    pub fn name(self) -> &'static str {
        match self {
            Resolver::Glibc => "glibc",
            Resolver::Musl => "musl",
            Resolver::Go => "go",
            Resolver::Dig => "dig",
        }
    }
}

/// Which addresses are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Both.
    Unspecified,
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

impl Family {
    fn accepts(self, address: &IpAddr) -> bool {
        match self {
            Family::Unspecified => true,
            Family::Inet => address.is_ipv4(),
            Family::Inet6 => address.is_ipv6(),
        }
    }
}

/// Everything a resolver reads before it starts.
#[derive(Clone, Debug)]
pub struct World {
    /// resolv.conf; `None` when the file is absent.
    pub resolv_conf: Option<ResolvConf>,
    /// The hosts file.
    pub hosts: Hosts,
    /// nsswitch.conf as text, if there is one (nsswitch.conf(5)).
    pub nsswitch: Option<String>,
    /// host.conf as text, if there is one (host.conf(5)); glibc alone reads it.
    pub host_conf: Option<String>,
    /// LOCALDOMAIN in the environment (resolv.conf(5)); glibc alone honours it.
    pub localdomain: Option<String>,
    /// RES_OPTIONS in the environment; glibc alone honours it.
    pub res_options: Option<String>,
    /// This host's name, whose domain is the search list of last resort.
    pub hostname: String,
    /// Port of the servers; 53.
    pub port: u16,
}

/// How one query ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer that holds addresses of the kind asked for.
    Answer,
    /// NOERROR without any.
    NoData,
    /// A response code other than NOERROR.
    Rcode(Rcode),
    /// The reply did not fit into a datagram.
    Truncated,
    /// Nothing in time.
    Timeout,
    /// The transport failed.
    Failed(Failure),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Answer => f.write_str("NOERROR"),
            Outcome::NoData => f.write_str("NODATA"),
            Outcome::Rcode(rcode) => write!(f, "{rcode}"),
            Outcome::Truncated => f.write_str("truncated"),
            Outcome::Timeout => f.write_str("timeout"),
            Outcome::Failed(Failure::Refused) => f.write_str("refused"),
            Outcome::Failed(failure) => write!(f, "{failure}"),
        }
    }
}

/// One query that was sent.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// To whom.
    pub server: SocketAddr,
    /// Over TCP rather than UDP.
    pub tcp: bool,
    /// The full name asked.
    pub name: Name,
    /// A or AAAA.
    pub rtype: RrType,
    /// How it ended.
    pub outcome: Outcome,
    /// From the start of the look-up to sending.
    pub sent_after: Duration,
    /// From sending to the reply.
    pub rtt: Option<Duration>,
}

/// The code getaddrinfo returns, or the nearest to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Addresses were found.
    Ok,
    /// EAI_NONAME: the name does not exist.
    NoName,
    /// EAI_NODATA: it exists without such an address.
    NoData,
    /// EAI_AGAIN: try again, no server gave a usable answer.
    Again,
    /// EAI_FAIL: a server gave an answer that ends the matter.
    Fail,
    /// EAI_ADDRFAMILY: a literal of the other family.
    AddrFamily,
    /// The resolver itself dies.
    Crash,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Code::Ok => "ok",
            Code::NoName => "EAI_NONAME",
            Code::NoData => "EAI_NODATA",
            Code::Again => "EAI_AGAIN",
            Code::Fail => "EAI_FAIL",
            Code::AddrFamily => "EAI_ADDRFAMILY",
            Code::Crash => "crash",
        })
    }
}

/// What a resolver would return, and how it came to that.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whose.
    pub resolver: Resolver,
    /// Every query in the order sent.
    pub attempts: Vec<Attempt>,
    /// The addresses.
    pub answers: Vec<IpAddr>,
    /// The status.
    pub code: Code,
    /// One sentence.
    pub why: String,
    /// From start to end.
    pub elapsed: Duration,
}

/// Runs one resolver's algorithm for `name`. Takes as long as that resolver would.
pub fn run(resolver: Resolver, name: &str, family: Family, world: &World) -> Verdict {
    let mut log = Log::new();
    let finding = match resolver {
        Resolver::Glibc => glibc::look_up(name, family, world, &mut log),
        Resolver::Musl => musl::look_up(name, family, world, &mut log),
        Resolver::Go => go::look_up(name, family, world, &mut log),
        Resolver::Dig => dig::look_up(name, family, world, &mut log),
    };
    let elapsed = log.started.elapsed();
    Verdict {
        resolver,
        attempts: log.attempts,
        answers: finding.answers,
        code: finding.code,
        why: finding.why,
        elapsed,
    }
}

/// An end result.
struct Finding {
    answers: Vec<IpAddr>,
    code: Code,
    why: String,
}

impl Finding {
    fn failed(code: Code, why: impl Into<String>) -> Finding {
        Finding { answers: Vec::new(), code, why: why.into() }
    }

    fn found(answers: Vec<IpAddr>, why: impl Into<String>) -> Finding {
        Finding { answers, code: Code::Ok, why: why.into() }
    }
}

/// The record of queries, and the clock they are timed with.
struct Log {
    started: Instant,
    attempts: Vec<Attempt>,
}

impl Log {
    fn new() -> Log {
        Log { started: Instant::now(), attempts: Vec::new() }
    }

    /// Notes a query that is being sent; its outcome is a timeout until something better is known.
    fn sent(&mut self, server: SocketAddr, tcp: bool, ask: &Ask) -> usize {
        self.attempts.push(Attempt {
            server,
            tcp,
            name: ask.name.clone(),
            rtype: ask.rtype,
            outcome: Outcome::Timeout,
            sent_after: self.started.elapsed(),
            rtt: None,
        });
        self.attempts.len() - 1
    }

    fn ended(&mut self, index: usize, outcome: Outcome) {
        let now = self.started.elapsed();
        if let Some(attempt) = self.attempts.get_mut(index) {
            attempt.rtt = Some(now.saturating_sub(attempt.sent_after));
            attempt.outcome = outcome;
        }
    }
}

/// One query about to be sent, possibly several times.
struct Ask {
    name: Name,
    rtype: RrType,
    id: u16,
    bytes: Vec<u8>,
}

/// What a resolver puts into its queries.
#[derive(Clone, Copy, Default)]
struct Dress {
    /// AD bit (options trust-ad, or dig).
    ad: bool,
    /// UDP size of an OPT record, if one is sent.
    edns: Option<u16>,
}

impl Ask {
    fn new(name: &Name, rtype: RrType, dress: Dress) -> Ask {
        let id = random_u16();
        let mut query = Query::new(id, Question { name: name.clone(), rtype, class: Class::IN });
        query.header.ad = dress.ad;
        query.edns = dress.edns.map(|udp_size| Edns { udp_size, ..Edns::default() });
        Ask { name: name.clone(), rtype, id, bytes: query.encode() }
    }

    /// The reply as a message, if it answers this query.
    fn matches(&self, bytes: &[u8]) -> bool {
        bytes.first_chunk::<2>() == Some(&self.id.to_be_bytes())
    }

    fn judge(&self, message: &Message) -> Outcome {
        if message.header.tc {
            Outcome::Truncated
        } else if message.rcode() != Rcode::NOERROR {
            Outcome::Rcode(message.rcode())
        } else if self.addresses(message).is_empty() {
            Outcome::NoData
        } else {
            Outcome::Answer
        }
    }

    /// Addresses of the kind asked for, at the end of whatever aliases the answer holds.
    fn addresses(&self, message: &Message) -> Vec<IpAddr> {
        message
            .section(Section::Answer)
            .filter(|record| record.rtype == self.rtype)
            .filter_map(|record| message.rdata_ip(record))
            .collect()
    }
}

/// The questions of a family, A first.
fn asks(name: &Name, family: Family, dress: Dress) -> Vec<Ask> {
    let mut asks = Vec::new();
    if family != Family::Inet6 {
        asks.push(Ask::new(name, RrType::A, dress));
    }
    if family != Family::Inet {
        asks.push(Ask::new(name, RrType::AAAA, dress));
    }
    asks
}

/// All queries of `asks` over one connection, one after the other. Stops at the first failure.
fn over_tcp(asks: &[&Ask], server: SocketAddr, timeout: Duration, log: &mut Log) -> Result<Vec<Message>, Failure> {
    let connected = TcpConnection::connect(server, None, timeout).inspect_err(|failure| {
        for ask in asks {
            let index = log.sent(server, true, ask);
            log.ended(index, Outcome::Failed(failure.clone()));
        }
    });
    let mut connection = connected?;
    let mut replies = Vec::new();
    let deadline = Instant::now() + timeout;
    let mut open = Vec::new();
    for ask in asks {
        let index = log.sent(server, true, ask);
        open.push((index, *ask));
        connection.send(&ask.bytes).inspect_err(|failure| log.ended(index, Outcome::Failed(failure.clone())))?;
    }
    while !open.is_empty() {
        let bytes = match connection.receive(deadline) {
            Ok(bytes) => bytes,
            Err(failure) => {
                for (index, _) in open {
                    log.ended(index, Outcome::Failed(failure.clone()));
                }
                return Err(failure);
            }
        };
        let Some(at) = open.iter().position(|(_, ask)| ask.matches(&bytes)) else { continue };
        let (index, ask) = open.remove(at);
        let message = Message::decode(bytes).map_err(|fault| Failure::Other(fault.to_string()))?;
        log.ended(index, ask.judge(&message));
        replies.push(message);
    }
    Ok(replies)
}

/// An IPv4 address as inet_aton(3) reads it: one to four parts, decimal, octal or hexadecimal.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 {
        return None;
    }
    let number = |part: &str| -> Option<u32> {
        let lower = part.to_ascii_lowercase();
        match lower.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None if part.len() > 1 && part.starts_with('0') => u32::from_str_radix(part, 8).ok(),
            None if part.bytes().all(|byte| byte.is_ascii_digit()) => part.parse().ok(),
            None => None,
        }
    };
    let mut value = 0u32;
    for (index, part) in leading.iter().enumerate() {
        let octet = u8::try_from(number(part)?).ok()?;
        value |= u32::from(octet) << (24 - 8 * u32::try_from(index).ok()?);
    }
    let tail = number(last)?;
    let room = 32 - 8 * u32::try_from(leading.len()).ok()?;
    if room < 32 && tail >> room != 0 {
        return None;
    }
    Some(Ipv4Addr::from(value | tail))
}

/// A literal address, for the two C libraries.
fn literal(name: &str) -> Option<IpAddr> {
    if let Some(v4) = inet_aton(name) {
        return Some(v4.into());
    }
    name.split('%').next().and_then(|bare| bare.parse::<Ipv6Addr>().ok()).map(IpAddr::from)
}

/// What the `hosts:` line of nsswitch.conf lets a resolver do.
#[derive(Debug, PartialEq, Eq)]
struct Sources {
    files: bool,
    dns: bool,
    dns_first: bool,
    /// Services we cannot play, by name.
    unknown: Vec<String>,
}

impl Sources {
    /// Without a file or line the order is files, then dns (nsswitch.conf(5)). Go passes over the actions in brackets.
    fn read(text: Option<&str>, actions: bool) -> Sources {
        let line = text.and_then(|text| {
            text.lines()
                .map(|line| line.split('#').next().unwrap_or(""))
                .find_map(|line| line.trim().strip_prefix("hosts:"))
        });
        let Some(line) = line else {
            return Sources { files: true, dns: true, dns_first: false, unknown: Vec::new() };
        };
        let mut sources = Sources { files: false, dns: false, dns_first: false, unknown: Vec::new() };
        let spaced = line.replace('[', " [").replace(']', "] ");
        let mut last_known = true;
        for word in spaced.split_whitespace() {
            match word {
                "files" => sources.files = true,
                "dns" => {
                    sources.dns = true;
                    sources.dns_first = !sources.files;
                }
                // After a service that we play, "not found" is then the end.
                action if action.starts_with('[') => {
                    if actions && last_known && action.to_ascii_uppercase().contains("NOTFOUND=RETURN") {
                        break;
                    }
                }
                other => sources.unknown.push(other.to_owned()),
            }
            last_known = matches!(word, "files" | "dns");
        }
        sources
    }
}

/// The servers a resolver asks: the first `limit` of those listed, or the local host where it falls back to.
fn servers<'a>(
    listed: impl Iterator<Item = &'a SocketAddr>,
    limit: usize,
    fallback: &[IpAddr],
    world: &World,
) -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> = listed.take(limit).copied().collect();
    if servers.is_empty() {
        servers.extend(fallback.iter().map(|address| SocketAddr::new(*address, world.port)));
    }
    for server in &mut servers {
        server.set_port(world.port);
    }
    servers
}

const LOCALHOST_V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOCALHOST_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// The part of this host's name behind the first dot.
fn own_domain(hostname: &str) -> Vec<String> {
    hostname
        .split_once('.')
        .map(|(_, domain)| domain.to_owned())
        .filter(|domain| !domain.is_empty())
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_inet_aton_reads_them() {
        let v4 = |text: &str| inet_aton(text).map(|address| address.to_string());
        assert_eq!(v4("127.1").as_deref(), Some("127.0.0.1"));
        assert_eq!(v4("0x7f.0.0.010").as_deref(), Some("127.0.0.8"));
        assert_eq!(v4("1.2.3.4").as_deref(), Some("1.2.3.4"));
        assert_eq!(v4("16909060").as_deref(), Some("1.2.3.4"));
        for bad in ["", "1.2.3.4.5", "1.2.3.256", "256.1", "a", "1..2", "1.2.3.4."] {
            assert_eq!(v4(bad), None, "{bad}");
        }
    }

    #[test]
    fn name_service_switch() {
        let read = |line| Sources::read(Some(line), true);
        assert_eq!(Sources::read(None, true), read("passwd: files\n"));
        let sources = read("hosts: files mdns4_minimal [NOTFOUND=return] dns # x\n");
        assert!(sources.files && sources.dns && sources.unknown == ["mdns4_minimal"]);
        assert!(!read("hosts: files [NOTFOUND=return] dns").dns);
        assert!(read("hosts: dns files").dns_first);
    }
}
