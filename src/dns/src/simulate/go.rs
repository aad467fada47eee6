//! Go's own resolver: net/dnsclient_unix.go and net/dnsconfig_unix.go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use netkit_wire::dns::{Message, Name, Rcode, RrType};

use super::{Ask, Code, Dress, Family, Finding, Log, Outcome, Sources, World, over_tcp, own_domain};
use crate::transport::{Failure, udp_exchange};

const MAX_SERVERS: usize = 3;
const MAX_NDOTS: u32 = 15;
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
    let sources = Sources::read(world.nsswitch.as_deref());
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
    use_tcp: bool,
    trust_ad: bool,
    /// Queries made so far, for `rotate`.
    turn: usize,
}

/// What one type's query came to.
enum Answer {
    Addresses(Vec<IpAddr>),
    NoSuchHost,
    Misbehaving,
}

impl Stub {
    fn new(world: &World) -> Stub {
        let conf = world.resolv_conf.clone().unwrap_or_default();
        let mut servers: Vec<SocketAddr> = conf.nameservers.iter().take(MAX_SERVERS).copied().collect();
        if servers.is_empty() {
            servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
            servers.push(SocketAddr::from((Ipv6Addr::LOCALHOST, 53)));
        }
        for server in &mut servers {
            server.set_port(world.port);
        }
        Stub {
            servers,
            ndots: usize::try_from(conf.ndots.min(MAX_NDOTS)).unwrap_or(1),
            attempts: conf.attempts.max(1),
            timeout: Duration::from_secs(u64::from(conf.timeout.max(1))),
            rotate: conf.rotate,
            use_tcp: conf.has("use-vc") || conf.has("usevc") || conf.has("tcp"),
            trust_ad: conf.has("trust-ad"),
            search: if conf.search.is_empty() { own_domain(&world.hostname) } else { conf.search },
            turn: 0,
        }
    }

    /// The names to try, in order; every suffix is tried whatever came before.
    fn names(&self, name: &str) -> Vec<(String, Name)> {
        let mut texts = Vec::new();
        if name.ends_with('.') {
            texts.push(("the name as typed".to_owned(), name.to_owned()));
        } else {
            let enough = name.bytes().filter(|byte| *byte == b'.').count() >= self.ndots;
            let as_is = ("the name as typed".to_owned(), format!("{name}."));
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
        let mut misbehaved = false;
        for (what, full) in self.names(name) {
            let mut answers = Vec::new();
            // Go asks both types at once from two sockets (in turn with single-request); asked in turn, the same
            // queries go out.
            for ask in super::asks(&full, family, Dress { ad: self.trust_ad, edns: Some(EDNS_SIZE) }) {
                match self.one_type(&ask, log) {
                    Answer::Addresses(addresses) => answers.extend(addresses),
                    Answer::NoSuchHost => {}
                    Answer::Misbehaving => misbehaved = true,
                }
            }
            if !answers.is_empty() {
                return Finding::found(answers, format!("{what} answered"));
            }
        }
        if misbehaved {
            Finding::failed(Code::Again, "no address, and a name server misbehaved or was silent")
        } else {
            Finding::failed(Code::NoName, "every name that was tried does not exist or has no address")
        }
    }

    /// tryOneName: each server in turn, `attempts` times over, until one answers or says that there is no such name.
    fn one_type(&mut self, ask: &Ask, log: &mut Log) -> Answer {
        let start = if self.rotate { self.turn } else { 0 };
        self.turn += 1;
        let count = self.servers.len();
        for _ in 0..self.attempts {
            for step in 0..count {
                let Some(server) = self.servers.get((start + step) % count).copied() else { continue };
                let Some(message) = self.exchange(ask, server, log) else { continue };
                let addresses = ask.addresses(&message);
                match message.rcode() {
                    Rcode::NOERROR if !addresses.is_empty() => return Answer::Addresses(addresses),
                    // A referral is no answer; the next server is asked.
                    Rcode::NOERROR if is_lame(&message) => {}
                    Rcode::NOERROR | Rcode::NXDOMAIN => return Answer::NoSuchHost,
                    _ => {}
                }
            }
        }
        Answer::Misbehaving
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
