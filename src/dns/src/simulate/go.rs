//! Go's own resolver: net/dnsclient_unix.go and net/dnsconfig_unix.go.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netkit_wire::dns::{Message, Name, Rcode, RrType};

use super::{
    Ask, Code, Dress, Family, Finding, LOCALHOST_V4, LOCALHOST_V6, Log, Outcome, Sources, World, over_tcp, own_domain,
};
use crate::transport::{Failure, udp_exchange};

const MAX_SERVERS: usize = 3;
const MAX_NDOTS: u32 = 15;
const AS_TYPED: &str = "the name as typed";
/// UDP size it announces in every query.
const EDNS_SIZE: u16 = 1232;

pub(super) fn look_up(name: &str, family: Family, world: &World, log: &mut Log) -> Finding {
    if let Ok(address) = name.split('%').next().unwrap_or(name).parse::<IpAddr>() {
        return if family.accepts(&address) {
            Finding::found(vec![address], "a literal address is never looked up")
        } else {
            Finding::failed(Code::NoName, "a literal address of the other family")
        };
    }
    if !is_domain_name(name) {
        return Finding::failed(Code::NoName, "not a valid domain name, so it is never asked");
    }
    let sources = Sources::read(world.nsswitch.as_deref(), false);
    let in_hosts: Vec<IpAddr> = world.hosts.addresses(name);
    let from_hosts = |hosts: &[IpAddr]| {
        let wanted: Vec<IpAddr> = hosts.iter().copied().filter(|address| family.accepts(address)).collect();
        if wanted.is_empty() {
            Finding::failed(Code::NoName, "the hosts file has it in the other family only")
        } else {
            Finding::found(wanted, "found in the hosts file")
        }
    };
    if sources.files && !sources.dns_first && !in_hosts.is_empty() {
        return from_hosts(&in_hosts);
    }
    let finding = if sources.dns {
        Stub::new(world).search(name, family, log)
    } else {
        Finding::failed(Code::NoName, "nsswitch.conf does not let it ask DNS")
    };
    if finding.code != Code::Ok && sources.files && sources.dns_first && !in_hosts.is_empty() {
        return from_hosts(&in_hosts);
    }
    finding
}

/// Letters, digits, hyphens and underscores, with at least one character that is no digit or dot.
fn is_domain_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let worded = name.bytes().any(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let labels_ok = name.trim_end_matches('.').split('.').all(|label| !label.starts_with('-') && !label.ends_with('-'));
    plain && worded && labels_ok && Name::parse(name).is_ok()
}

struct Stub {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
    attempts: u32,
    timeout: Duration,
    rotate: bool,
    single_request: bool,
    use_tcp: bool,
    /// Queries made so far, for `rotate`.
    turn: usize,
}

/// What one type's query came to.
enum Answer {
    Addresses(Vec<IpAddr>),
    Error(Trouble),
}

/// Go's kinds of failure.
#[derive(Clone, Copy)]
enum Trouble {
    NoSuchHost,
    /// SERVFAIL, silence or a closed port.
    Temporary,
    /// Any other response code.
    Misbehaving,
}

impl Stub {
    fn new(world: &World) -> Stub {
        let conf = world.resolv_conf.clone().unwrap_or_default();
        let servers = super::servers(conf.nameservers_loose.iter(), MAX_SERVERS, &[LOCALHOST_V4, LOCALHOST_V6], world);
        Stub {
            servers,
            ndots: usize::try_from(conf.ndots.min(MAX_NDOTS)).unwrap_or(1),
            attempts: conf.attempts.max(1),
            timeout: Duration::from_secs(u64::from(conf.timeout.max(1))),
            rotate: conf.rotate,
            single_request: conf.has("single-request") || conf.has("single-request-reopen"),
            use_tcp: conf.has("use-vc") || conf.has("usevc") || conf.has("tcp"),
            search: match conf.search_line {
                None => own_domain(&world.hostname),
                Some((true, words)) => words.into_iter().take(1).collect(),
                Some((false, words)) => words,
            },
            turn: 0,
        }
    }

    /// The names to try, in order; every suffix is tried whatever came before.
    fn names(&self, name: &str) -> Vec<(String, Name)> {
        let mut texts = Vec::new();
        if name.ends_with('.') {
            texts.push((AS_TYPED.to_owned(), name.to_owned()));
        } else {
            let enough = name.bytes().filter(|byte| *byte == b'.').count() >= self.ndots;
            let as_is = (AS_TYPED.to_owned(), format!("{name}."));
            if enough {
                texts.push(as_is.clone());
            }
            for (number, suffix) in (1..).zip(&self.search) {
                let suffix = suffix.trim_end_matches('.');
                if suffix.is_empty() {
                    continue;
                }
                texts.push((format!("search suffix {number} (`{suffix}`)"), format!("{name}.{suffix}.")));
            }
            if !enough {
                texts.push(as_is);
            }
        }
        // A name that is none, such as one that grew too long, is left out without a word.
        texts.into_iter().filter_map(|(what, text)| Name::parse(&text).ok().map(|name| (what, name))).collect()
    }

    fn search(&mut self, name: &str, family: Family, log: &mut Log) -> Finding {
        let mut last = None;
        for (what, full) in self.names(name) {
            let mut answers = Vec::new();
            let asks = super::asks(&full, family, Dress { ad: false, edns: Some(EDNS_SIZE) });
            for answer in self.both_types(&asks, log) {
                match answer {
                    Answer::Addresses(addresses) => answers.extend(addresses),
                    // What the name as typed came to is what is reported.
                    Answer::Error(trouble) if last.is_none() || what == AS_TYPED => last = Some(trouble),
                    Answer::Error(_) => {}
                }
            }
            if !answers.is_empty() {
                return Finding::found(answers, format!("{what} answered"));
            }
        }
        match last {
            Some(Trouble::Temporary) => {
                Finding::failed(Code::Again, "no address, and a name server failed or was silent")
            }
            Some(Trouble::Misbehaving) => Finding::failed(Code::Fail, "no address, and a name server misbehaved"),
            _ => Finding::failed(Code::NoName, "every name that was tried does not exist or has no address"),
        }
    }

    /// Both types at once from two sockets, or one after the other with `single-request`.
    fn both_types(&mut self, asks: &[Ask], log: &mut Log) -> Vec<Answer> {
        let starts: Vec<usize> =
            asks.iter().enumerate().map(|(at, _)| if self.rotate { self.turn + at } else { 0 }).collect();
        self.turn += asks.len();
        if self.single_request {
            return asks.iter().zip(starts).map(|(ask, start)| self.one_type(ask, start, log)).collect();
        }
        let started = log.started;
        let stub = &*self;
        let done: Vec<(Answer, Log)> = std::thread::scope(|scope| {
            let threads: Vec<_> = asks
                .iter()
                .zip(starts)
                .map(|(ask, start)| {
                    scope.spawn(move || {
                        let mut log = Log { started, attempts: Vec::new() };
                        (stub.one_type(ask, start, &mut log), log)
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let mut answers = Vec::new();
        let mut attempts = Vec::new();
        for (answer, part) in done {
            answers.push(answer);
            attempts.extend(part.attempts);
        }
        attempts.sort_by_key(|attempt| attempt.sent_after);
        log.attempts.extend(attempts);
        answers
    }

    /// tryOneName: each server in turn, `attempts` times over, until one answers or says that there is no such name.
    fn one_type(&self, ask: &Ask, start: usize, log: &mut Log) -> Answer {
        let count = self.servers.len();
        let mut trouble = Trouble::Temporary;
        for _ in 0..self.attempts {
            for step in 0..count {
                let Some(server) = self.servers.get((start + step) % count).copied() else { continue };
                let Some(message) = self.exchange(ask, server, log) else {
                    trouble = Trouble::Temporary;
                    continue;
                };
                let addresses = ask.addresses(&message);
                trouble = match message.rcode() {
                    Rcode::NOERROR if !addresses.is_empty() => return Answer::Addresses(addresses),
                    // A referral is no answer; the next server is asked.
                    Rcode::NOERROR if is_lame(&message) => Trouble::Misbehaving,
                    Rcode::NOERROR | Rcode::NXDOMAIN => return Answer::Error(Trouble::NoSuchHost),
                    Rcode::SERVFAIL => Trouble::Temporary,
                    _ => Trouble::Misbehaving,
                };
            }
        }
        Answer::Error(trouble)
    }

    fn exchange(&self, ask: &Ask, server: SocketAddr, log: &mut Log) -> Option<Message> {
        if !self.use_tcp {
            let number = log.sent(server, false, ask);
            let mut accept = |bytes: &[u8], _| ask.matches(bytes);
            let message = match udp_exchange(server, None, &ask.bytes, self.timeout, &mut accept) {
                Ok(reply) => Message::decode(reply.bytes).ok()?,
                Err(Failure::TimedOut) => return None,
                Err(failure) => {
                    log.ended(number, Outcome::Failed(failure));
                    return None;
                }
            };
            log.ended(number, ask.judge(&message));
            if !message.header.tc {
                return Some(message);
            }
        }
        over_tcp(&[ask], server, self.timeout, log).ok()?.pop()
    }
}

fn is_lame(message: &Message) -> bool {
    let header = &message.header;
    !header.aa
        && !header.ra
        && header.counts[1] == 0
        && message.records.iter().all(|record| record.rtype != RrType::SOA)
}
