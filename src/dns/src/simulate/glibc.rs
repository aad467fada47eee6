//! The GNU C library: resolv/res_query.c decides what to ask, resolv/res_send.c whom and how often.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use netkit_wire::dns::{Message, Name, Rcode, RrType};

use super::{
    Ask, Code, Dress, Family, Finding, LOCALHOST_V4, Log, Outcome, Sources, World, literal, over_tcp, own_domain,
};
use crate::resolv_conf::ResolvConf;
use crate::transport::{Failure, udp_receive, udp_socket};

/// Limits of <resolv.h>.
const MAX_SERVERS: usize = 3;
const MAX_NDOTS: u32 = 15;
const MAX_ATTEMPTS: u32 = 5;
const MAX_TIMEOUT: u32 = 30;
/// UDP size that `options edns0` announces.
const EDNS_SIZE: u16 = 1200;

pub(super) fn look_up(name: &str, family: Family, world: &World, log: &mut Log) -> Finding {
    if let Some(address) = literal(name) {
        return if family.accepts(&address) {
            Finding::found(vec![address], "a literal address is never looked up")
        } else {
            Finding::failed(Code::AddrFamily, "a literal address of the other family")
        };
    }
    if !is_host_name(name) {
        return Finding::failed(Code::NoName, "not a valid host name, so it is never asked");
    }
    let sources = Sources::read(world.nsswitch.as_deref(), true);
    // The first line that has the name wins, or all with `multi on`; a final dot never matches.
    let in_hosts = || {
        let matching = world.hosts.entries.iter().filter(|entry| {
            family.accepts(&entry.address) && entry.names.iter().any(|own| own.eq_ignore_ascii_case(name))
        });
        let wanted = if multi(world.host_conf.as_deref()) { usize::MAX } else { 1 };
        let addresses: Vec<IpAddr> = matching.take(wanted).map(|entry| entry.address).collect();
        (!addresses.is_empty()).then(|| Finding::found(addresses, "found in the hosts file"))
    };
    if sources.files
        && !sources.dns_first
        && let Some(finding) = in_hosts()
    {
        return finding;
    }
    let mut finding = if sources.dns {
        Stub::new(world).search(name, family, log)
    } else {
        Finding::failed(Code::NoName, "nsswitch.conf does not let it ask DNS")
    };
    if finding.code != Code::Ok
        && sources.files
        && sources.dns_first
        && let Some(hosts) = in_hosts()
    {
        finding = hosts;
    }
    if !sources.unknown.is_empty() {
        finding.why.push_str(&format!(" (not played: nsswitch service {})", sources.unknown.join(", ")));
    }
    finding
}

/// Whether host.conf says `multi on`.
fn multi(host_conf: Option<&str>) -> bool {
    host_conf.unwrap_or("").lines().any(|line| {
        let mut words = line.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
        words.next() == Some("multi") && words.next() == Some("on")
    })
}

/// res_hnok: letters, digits, hyphen, underscore and dots, no hyphen first, valid lengths.
fn is_host_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    plain && !name.starts_with('-') && Name::parse(name).is_ok()
}

/// The resolver state of one process, with the options as glibc cuts them.
struct Stub {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
    attempts: u32,
    timeout: u32,
    rotate: bool,
    use_tcp: bool,
    no_aaaa: bool,
    no_tld_query: bool,
    single_request: bool,
    single_request_reopen: bool,
    dress: Dress,
    /// Where the next rotation starts.
    offset: usize,
}

/// What `res_nsend` hands up for one name.
enum Sent {
    /// At least one reply was accepted, in order of arrival.
    Replies(Vec<(RrType, Message)>),
    /// Every server's port was closed: the search ends at once.
    AllRefused,
    /// No usable reply; the code of the last one seen, if there was any.
    Nothing(Option<Rcode>),
}

/// h_errno of <netdb.h>.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HError {
    HostNotFound,
    TryAgain,
    NoRecovery,
    NoData,
}

/// One expansion of the name.
enum Tried {
    Found(Vec<IpAddr>),
    /// An answer without an address behind its aliases.
    Empty,
    Error(HError, Option<Rcode>),
    AllRefused,
}

impl Stub {
    fn new(world: &World) -> Stub {
        let mut conf = world.resolv_conf.clone().unwrap_or_default();
        if let Some(options) = &world.res_options {
            conf.add_options(options.split_whitespace());
        }
        let conf = &conf;
        let servers = super::servers(conf.nameservers.iter(), MAX_SERVERS, &[LOCALHOST_V4], world);
        let search = match &world.localdomain {
            Some(list) => list.split_whitespace().map(str::to_owned).collect(),
            None if conf.search.is_empty() => own_domain(&world.hostname),
            None => conf.search.clone(),
        };
        let reopen = conf.has("single-request-reopen");
        Stub {
            offset: usize::from(crate::random::random_u16()) % servers.len(),
            servers,
            search,
            ndots: usize::try_from(conf.ndots.min(MAX_NDOTS)).unwrap_or(1),
            attempts: conf.attempts.min(MAX_ATTEMPTS),
            timeout: conf.timeout.min(MAX_TIMEOUT),
            rotate: conf.rotate,
            use_tcp: conf.has("use-vc"),
            no_aaaa: conf.has("no-aaaa"),
            no_tld_query: conf.has("no-tld-query"),
            single_request: conf.has("single-request"),
            single_request_reopen: reopen,
            dress: dress(conf),
        }
    }

    /// __res_context_search.
    fn search(&mut self, name: &str, family: Family, log: &mut Log) -> Finding {
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let trailing_dot = name.ends_with('.');
        let mut as_is_error = None;
        let mut tried_as_is = false;
        let mut root_in_list = false;
        let mut got_nodata = false;
        let mut got_servfail = false;
        let mut last = HError::HostNotFound;

        if dots >= self.ndots || trailing_dot {
            match self.query(name, family, log) {
                Tried::Found(answers) => return Finding::found(answers, "the name as typed answered"),
                Tried::Empty => return Finding::failed(Code::NoName, "an alias without an address ends the search"),
                Tried::AllRefused if trailing_dot => return ended(HError::TryAgain),
                Tried::Error(error, _) if trailing_dot => return ended(error),
                Tried::AllRefused => as_is_error = Some(HError::TryAgain),
                Tried::Error(error, _) => as_is_error = Some(error),
            }
            tried_as_is = true;
        }
        let list = if trailing_dot { Vec::new() } else { self.search.clone() };
        for (number, suffix) in (1..).zip(&list) {
            let suffix = suffix.strip_prefix('.').unwrap_or(suffix);
            root_in_list |= suffix.is_empty();
            let full = if suffix.is_empty() { name.to_owned() } else { format!("{name}.{suffix}") };
            match self.query(&full, family, log) {
                Tried::Found(answers) => {
                    return Finding::found(answers, format!("search suffix {number} (`{suffix}`) answered"));
                }
                Tried::Empty => return Finding::failed(Code::NoName, "an alias without an address ends the search"),
                Tried::AllRefused => return Finding::failed(Code::Again, "every name server's port is closed"),
                Tried::Error(error, rcode) => {
                    last = error;
                    match error {
                        HError::HostNotFound => {}
                        HError::NoData => got_nodata = true,
                        HError::TryAgain if rcode == Some(Rcode::SERVFAIL) => got_servfail = true,
                        // Anything else ends the list.
                        _ => break,
                    }
                }
            }
        }
        let searched = !list.is_empty();
        let wanted = dots > 0 || !searched || !self.no_tld_query;
        if wanted && !tried_as_is && !root_in_list {
            match self.query(name, family, log) {
                Tried::Found(answers) => {
                    return Finding::found(answers, "the name as typed answered, after the search list");
                }
                Tried::Empty => return Finding::failed(Code::NoName, "an alias without an address ends the search"),
                Tried::AllRefused => last = HError::TryAgain,
                Tried::Error(error, _) => last = error,
            }
        }
        ended(match as_is_error {
            Some(error) => error,
            None if got_nodata => HError::NoData,
            None if got_servfail => HError::TryAgain,
            None => last,
        })
    }

    /// __res_context_query: both types at once, and the code of a failure.
    fn query(&mut self, full: &str, family: Family, log: &mut Log) -> Tried {
        let Ok(name) = Name::parse(full) else { return Tried::Error(HError::NoRecovery, None) };
        // With no-aaaa even AF_INET6 asks for A, and throws the answer away.
        let family_asked = if self.no_aaaa { Family::Inet } else { family };
        let asks = super::asks(&name, family_asked, self.dress);
        let replies = match self.send(&asks, log) {
            Sent::Replies(replies) => replies,
            Sent::AllRefused => return Tried::AllRefused,
            Sent::Nothing(rcode) => return Tried::Error(HError::TryAgain, rcode),
        };
        let full_answer = |message: &Message| message.rcode() == Rcode::NOERROR && message.header.counts[1] > 0;
        if replies.iter().any(|(_, message)| full_answer(message)) {
            let answers: Vec<IpAddr> = replies
                .iter()
                .filter_map(|(rtype, message)| {
                    asks.iter().find(|ask| ask.rtype == *rtype).map(|ask| ask.addresses(message))
                })
                .flatten()
                .filter(|address| family.accepts(address))
                .collect();
            return match answers.is_empty() {
                false => Tried::Found(answers),
                true if self.no_aaaa && family == Family::Inet6 => Tried::Error(HError::NoData, None),
                true => Tried::Empty,
            };
        }
        let Some((_, first)) = replies.first() else { return Tried::Error(HError::TryAgain, None) };
        let error = match first.rcode() {
            Rcode::NXDOMAIN => HError::HostNotFound,
            Rcode::SERVFAIL => HError::TryAgain,
            Rcode::NOERROR => HError::NoData,
            _ => HError::NoRecovery,
        };
        Tried::Error(error, Some(first.rcode()))
    }

    /// __res_context_send.
    fn send(&mut self, asks: &[Ask], log: &mut Log) -> Sent {
        let count = self.servers.len();
        let start = if self.rotate {
            self.offset += 1;
            self.offset % count
        } else {
            0
        };
        let mut state = Round { sockets: (0..count).map(|_| None).collect(), rcode: None, got_somewhere: false };
        for _ in 0..self.attempts {
            for step in 0..count {
                let index = (start + step) % count;
                let Some(server) = self.servers.get(index).copied() else { continue };
                if self.use_tcp {
                    if let Some(replies) = self.by_tcp(asks, server, log) {
                        return Sent::Replies(replies);
                    }
                    continue;
                }
                match self.datagrams(asks, server, index, &mut state, log) {
                    Datagrams::Replies(replies) => return Sent::Replies(replies),
                    Datagrams::NextServer => {}
                    Datagrams::Truncated => {
                        // The switch to TCP holds for the rest of this query.
                        for tcp_step in step..count {
                            let server = self.servers.get((start + tcp_step) % count).copied();
                            if let Some(replies) = server.and_then(|server| self.by_tcp(asks, server, log)) {
                                return Sent::Replies(replies);
                            }
                        }
                        return Sent::Nothing(state.rcode);
                    }
                }
            }
        }
        if !self.use_tcp && !state.got_somewhere && self.attempts > 0 {
            Sent::AllRefused
        } else {
            Sent::Nothing(state.rcode)
        }
    }

    /// send_vc: both queries over one connection, whatever came before.
    fn by_tcp(&self, asks: &[Ask], server: SocketAddr, log: &mut Log) -> Option<Vec<(RrType, Message)>> {
        let asks: Vec<&Ask> = asks.iter().collect();
        // glibc has no timeout of its own here; the kernel's is cut so that a verdict comes.
        let timeout = Duration::from_secs(u64::from(self.timeout.max(1)) * 4);
        let replies = over_tcp(&asks, server, timeout, log).ok()?;
        let typed = replies.into_iter().filter_map(|message| Some((message.questions.first()?.rtype, message)));
        Some(typed.collect())
    }

    /// Seconds to wait for a server: doubled for each place in the list, then shared among the servers.
    fn patience(&self, index: usize) -> Duration {
        let mut seconds = u64::from(self.timeout) << index.min(8);
        if index > 0 {
            seconds /= u64::try_from(self.servers.len()).unwrap_or(1).max(1);
        }
        Duration::from_secs(seconds.max(1))
    }

    /// send_dg: both queries from one socket, or one after the other with single-request.
    fn datagrams(
        &mut self,
        asks: &[Ask],
        server: SocketAddr,
        index: usize,
        round: &mut Round,
        log: &mut Log,
    ) -> Datagrams {
        loop {
            let Some(exchange) = self.one_pass(asks, server, index, round, log) else { return Datagrams::NextServer };
            match exchange {
                Pass::Done(replies) => return Datagrams::Replies(replies),
                Pass::Truncated => return Datagrams::Truncated,
                Pass::OneMissing(replies) => {
                    // A server that loses one of two queries from one port is asked again, first one after the
                    // other and then from separate ports; both habits stay for the rest of the process.
                    if !self.single_request && !self.single_request_reopen {
                        self.single_request = true;
                    } else if !self.single_request_reopen {
                        self.single_request_reopen = true;
                        round.close(index);
                    } else {
                        return Datagrams::Replies(replies);
                    }
                }
            }
        }
    }

    /// One sending of all queries to one server. `None` moves on to the next server.
    fn one_pass(
        &mut self,
        asks: &[Ask],
        server: SocketAddr,
        index: usize,
        round: &mut Round,
        log: &mut Log,
    ) -> Option<Pass> {
        let one_by_one = self.single_request || self.single_request_reopen;
        let mut replies: Vec<(RrType, Message)> = Vec::new();
        let mut failed = 0usize;
        let mut open: Vec<(usize, &Ask)> = Vec::new();
        let mut waiting = asks.iter();
        if round.sockets.get(index).is_some_and(Option::is_none) {
            let socket = match udp_socket(server, None) {
                Ok(socket) => socket,
                Err(failure) => {
                    let index = log.sent(server, false, asks.first()?);
                    log.ended(index, Outcome::Failed(failure));
                    return None;
                }
            };
            round.keep(index, socket);
        }
        let mut started = Instant::now();
        for ask in waiting.by_ref().take(if one_by_one { 1 } else { asks.len() }) {
            open.push((round.send(index, server, ask, log), ask));
        }
        while !open.is_empty() {
            let socket = round.socket(index)?;
            let mut accept = |bytes: &[u8], _| open.iter().any(|(_, ask)| ask.matches(bytes)) && bytes.len() >= 12;
            let reply = match udp_receive(socket, server, started, self.patience(index), &mut accept) {
                Ok(reply) => reply,
                Err(Failure::TimedOut) => {
                    round.got_somewhere = true;
                    return if replies.is_empty() { None } else { Some(Pass::OneMissing(replies)) };
                }
                Err(failure) => {
                    for (index, _) in &open {
                        log.ended(*index, Outcome::Failed(failure.clone()));
                    }
                    round.close(index);
                    return None;
                }
            };
            round.got_somewhere = true;
            let Ok(message) = Message::decode(reply.bytes) else { continue };
            let Some(at) = open.iter().position(|(_, ask)| ask.matches(&message.bytes)) else { continue };
            let (number, ask) = open.remove(at);
            log.ended(number, ask.judge(&message));
            let rcode = Rcode(u16::from(message.header.rcode));
            if replies.is_empty() {
                round.rcode = Some(rcode);
            }
            if matches!(rcode, Rcode::SERVFAIL | Rcode::NOTIMP | Rcode::REFUSED) || is_lame(&message) {
                if failed > 0 || !replies.is_empty() {
                    return if replies.is_empty() { None } else { Some(Pass::Done(replies)) };
                }
                // One query alone, or the first of two in turn, is not waited for any longer.
                if asks.len() == 1 || one_by_one {
                    if asks.len() == 1 {
                        round.close(index);
                    }
                    return None;
                }
                failed += 1;
                continue;
            }
            if message.header.tc {
                round.close(index);
                return Some(Pass::Truncated);
            }
            replies.push((ask.rtype, message));
            if one_by_one && let Some(next) = waiting.next() {
                if self.single_request_reopen {
                    round.close(index);
                    round.keep(index, udp_socket(server, None).ok()?);
                }
                started = Instant::now();
                open.push((round.send(index, server, next, log), next));
            }
        }
        if replies.is_empty() { None } else { Some(Pass::Done(replies)) }
    }
}

enum Datagrams {
    Replies(Vec<(RrType, Message)>),
    Truncated,
    NextServer,
}

enum Pass {
    Done(Vec<(RrType, Message)>),
    Truncated,
    /// Time ran out after the first of two replies.
    OneMissing(Vec<(RrType, Message)>),
}

/// What lives for one call of res_nsend.
struct Round {
    sockets: Vec<Option<UdpSocket>>,
    /// Response code of the reply that lies in the answer buffer.
    rcode: Option<Rcode>,
    got_somewhere: bool,
}

impl Round {
    fn socket(&self, index: usize) -> Option<&UdpSocket> {
        self.sockets.get(index).and_then(Option::as_ref)
    }

    fn keep(&mut self, index: usize, socket: UdpSocket) {
        if let Some(place) = self.sockets.get_mut(index) {
            *place = Some(socket);
        }
    }

    fn close(&mut self, index: usize) {
        if let Some(place) = self.sockets.get_mut(index) {
            *place = None;
        }
    }

    fn send(&self, index: usize, server: SocketAddr, ask: &Ask, log: &mut Log) -> usize {
        let number = log.sent(server, false, ask);
        if let Some(socket) = self.socket(index)
            && socket.send(&ask.bytes).is_err()
        {
            // An ICMP error for the query before is reported here and keeps this one from leaving;
            // glibc hands both to the kernel in one call, so they do leave together.
            let _ = socket.send(&ask.bytes);
        }
        number
    }
}

/// A referral in answer to a recursive query.
fn is_lame(message: &Message) -> bool {
    let header = &message.header;
    header.rcode == 0 && header.counts[1] == 0 && !header.aa && !header.ra && header.counts[3] == 0
}

fn dress(conf: &ResolvConf) -> Dress {
    Dress { ad: conf.has("trust-ad"), edns: conf.has("edns0").then_some(EDNS_SIZE) }
}

fn ended(error: HError) -> Finding {
    match error {
        HError::HostNotFound => Finding::failed(Code::NoName, "every name that was tried does not exist"),
        HError::NoData => Finding::failed(Code::NoData, "a name exists, but without an address of the kind asked for"),
        HError::TryAgain => Finding::failed(Code::Again, "no name server gave a usable answer"),
        HError::NoRecovery => Finding::failed(Code::NoName, "a name server gave an answer that ends the matter"),
    }
}
