//! Following delegations: `+trace` and the first half of `+nssearch`.
//!
//! BIND asks the local resolver for the address of every name server on the way, and dies when that is what is broken.
//! Here the glue of the referral comes first, then the root hints, and the local resolver only for the rest.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use netkit_core::Error;
use netkit_dns::random::random_u64;
use netkit_dns::transport::{Failure, udp_exchange, udp_socket};
use netkit_wire::dns::{Message, Name, Record, RrType, Section};

use crate::engine::{Pass, Received, Run, Sent, TCP_TIMEOUT, UDP_TIMEOUT, bare};
use crate::exit;
use crate::link::{Carrier, Link};
use crate::lookup::{Server, Settings};
use crate::print;
use crate::servers;

/// Most name servers of the root that are followed.
const ROOT_SERVERS: usize = 20;

/// The root servers, `x.root-servers.net` (IANA, named.root).
const ROOT_HINTS: &[(&str, [u8; 4], [u16; 8])] = &[
    ("a", [198, 41, 0, 4], [0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30]),
    ("b", [170, 247, 170, 2], [0x2801, 0x1b8, 0x10, 0, 0, 0, 0, 0xb]),
    ("c", [192, 33, 4, 12], [0x2001, 0x500, 2, 0, 0, 0, 0, 0xc]),
    ("d", [199, 7, 91, 13], [0x2001, 0x500, 0x2d, 0, 0, 0, 0, 0xd]),
    ("e", [192, 203, 230, 10], [0x2001, 0x500, 0xa8, 0, 0, 0, 0, 0xe]),
    ("f", [192, 5, 5, 241], [0x2001, 0x500, 0x2f, 0, 0, 0, 0, 0xf]),
    ("g", [192, 112, 36, 4], [0x2001, 0x500, 0x12, 0, 0, 0, 0, 0xd0d]),
    ("h", [198, 97, 190, 53], [0x2001, 0x500, 1, 0, 0, 0, 0, 0x53]),
    ("i", [192, 36, 148, 17], [0x2001, 0x7fe, 0, 0, 0, 0, 0, 0x53]),
    ("j", [192, 58, 128, 30], [0x2001, 0x503, 0xc27, 0, 0, 0, 2, 0x30]),
    ("k", [193, 0, 14, 129], [0x2001, 0x7fd, 0, 0, 0, 0, 0, 1]),
    ("l", [199, 7, 83, 42], [0x2001, 0x500, 0x9f, 0, 0, 0, 0, 0x42]),
    ("m", [202, 12, 27, 33], [0x2001, 0xdc3, 0, 0, 0, 0, 0, 0x35]),
];

impl Run<'_, '_> {
    /// The pass that a reply of a delegation walk leads to, if it leads on.
    pub(crate) fn follow(&mut self, pass: &Pass, message: &Message) -> Result<Option<Pass>, Error> {
        if pass.root {
            let next = match self.referral(pass, message, Section::Answer)? {
                Some(next) => Some(next),
                None => self.referral(pass, message, Section::Authority)?,
            };
            if next.is_none() && pass.trace {
                self.warn("no root servers from the local resolver; starting from the built-in root hints");
                return Ok(Some(self.hinted(pass)));
            }
            return Ok(next);
        }
        if message.section(Section::Answer).next().is_some() {
            return Ok(None);
        }
        self.referral(pass, message, Section::Authority)
    }

    /// A pass that asks the built-in root servers.
    pub(crate) fn hinted(&mut self, pass: &Pass) -> Pass {
        self.resolver_failed = true;
        let mut next = self.next_hop(pass, Name::root());
        for (letter, v4, v6) in ROOT_HINTS {
            for address in [IpAddr::from(*v4), IpAddr::from(*v6)] {
                next.servers.push(server(address, &format!("{letter}.root-servers.net")));
            }
        }
        self.settle(&mut next.servers);
        next
    }

    /// The name servers that `section` of a reply refers to.
    fn referral(&mut self, pass: &Pass, message: &Message, section: Section) -> Result<Option<Pass>, Error> {
        if section == Section::Authority && message.section(section).any(|record| record.rtype == RrType::SOA) {
            return Ok(None);
        }
        let mut next: Option<Pass> = None;
        let (mut horizontal, mut bad) = (false, false);
        let mut unknown: Option<String> = None;
        let records: Vec<&Record> = message.section(section).filter(|record| record.rtype == RrType::NS).collect();
        for record in records.into_iter().take(if pass.root { ROOT_SERVERS } else { usize::MAX }) {
            if pass.trace && !pass.root {
                if record.owner == pass.zone {
                    if !horizontal {
                        self.warn("BAD (HORIZONTAL) REFERRAL");
                    }
                    horizontal = true;
                } else if !record.owner.ends_with(&pass.zone) {
                    if !bad {
                        self.warn("BAD REFERRAL");
                    }
                    bad = true;
                    continue;
                }
            }
            let Some(target) = message.rdata_name(record) else { continue };
            let label = bare(&target);
            if next.is_none() {
                next = Some(self.next_hop(pass, record.owner.clone()));
            }
            match self.addresses(message, &target, &label) {
                Ok(addresses) => {
                    if let Some(next) = next.as_mut() {
                        next.servers.extend(addresses.into_iter().map(|address| server(address, &label)));
                    }
                }
                Err(why) => {
                    let shown = netkit_core::text::printable(&label);
                    self.warn_plain(&format!("couldn't get address for '{shown}': {why}"));
                    unknown.get_or_insert(shown);
                }
            }
        }
        let Some(mut next) = next else { return Ok(None) };
        if next.servers.is_empty() {
            return match unknown {
                // The reason stands on stdout already; these are BIND's words for the end of it.
                Some(name) => Err(Error::new(exit::USAGE, format!("couldn't get address for '{name}': no more"))),
                None => Ok(None),
            };
        }
        self.settle(&mut next.servers);
        Ok(Some(next))
    }

    fn next_hop(&self, pass: &Pass, zone: Name) -> Pass {
        let mut next = pass.clone();
        next.servers.clear();
        next.zone = zone;
        next.root = false;
        next.rtype = if self.set.nssearch { RrType::SOA } else { self.set.rtype };
        next
    }

    /// Glue, root hints, then the local resolver.
    fn addresses(&mut self, message: &Message, target: &Name, label: &str) -> Result<Vec<IpAddr>, &'static str> {
        let family = self.globals.family;
        let allowed = |address: &IpAddr| family.allows(*address);
        let glue: Vec<IpAddr> = message
            .section(Section::Additional)
            .filter(|record| record.owner == *target)
            .filter_map(|record| message.rdata_ip(record))
            .filter(allowed)
            .collect();
        if !glue.is_empty() {
            return Ok(glue);
        }
        let lower = label.to_ascii_lowercase();
        let hint = ROOT_HINTS.iter().find(|(letter, ..)| lower.strip_prefix(letter) == Some(".root-servers.net"));
        // The name is complete: no suffix belongs to it. A resolver that failed once is not waited for again.
        let resolved = match self.resolver_failed {
            true => Err(servers::FAILURE),
            false => servers::resolve(self.env, &target.to_string(), self.globals.family),
        };
        self.resolver_failed |= resolved == Err(servers::FAILURE);
        match resolved {
            Ok(addresses) => Ok(addresses.into_iter().map(|(address, _)| address).collect()),
            Err(why) => match hint {
                Some((_, v4, v6)) => Ok([IpAddr::from(*v4), IpAddr::from(*v6)].into_iter().filter(allowed).collect()),
                None => Err(why),
            },
        }
    }

    /// Leaves out families without a route, as long as one remains, and shuffles the rest.
    fn settle(&mut self, servers: &mut Vec<Server>) {
        let allowed = self.globals.family;
        servers.retain(|server| allowed.allows(server.address));
        let reachable: Vec<bool> =
            servers.iter().map(|server| udp_socket(self.target(server), self.globals.source).is_ok()).collect();
        let skipped = reachable.iter().filter(|reachable| !**reachable).count();
        if skipped > 0 && skipped < servers.len() {
            let mut keep = reachable.into_iter();
            servers.retain(|_| keep.next().unwrap_or(true));
            self.sink.hints.push(format!("{skipped} name server addresses left out: there is no route to them"));
        }
        for at in (1..servers.len()).rev() {
            let other = usize::try_from(random_u64() % (at as u64 + 1)).unwrap_or(0);
            servers.swap(at, other);
        }
    }

    /// `+nssearch`: the SOA from every server at once, shown as the replies come in.
    pub(crate) fn ask_all(&mut self, pass: &Pass, sent: &Sent) {
        let timeout = self.timeout(if pass.tcp { TCP_TIMEOUT } else { UDP_TIMEOUT });
        let (sender, replies) = std::sync::mpsc::channel();
        let (source, settings) = (self.globals.source, self.set);
        let targets: Vec<(Server, SocketAddr)> =
            pass.servers.iter().map(|server| (server.clone(), self.target(server))).collect();
        let (mut answered, started) = (false, Instant::now());
        let carrier = settings.carrier(pass.tcp);
        let transport = carrier.keyword();
        std::thread::scope(|scope| {
            for (server, target) in targets {
                let sender = sender.clone();
                let bytes = &sent.bytes;
                scope.spawn(move || {
                    let stream = (carrier != Carrier::Udp).then_some((settings, server.label.as_str()));
                    let outcome = ask_one(target, source, bytes, sent.id, timeout, stream);
                    let _ = sender.send((server, target, outcome));
                });
            }
            drop(sender);
            for (server, target, outcome) in replies {
                match outcome {
                    Ok((bytes, elapsed)) => {
                        let Some(message) = self.decode(&bytes) else { continue };
                        if !self.belongs(sent, &message) {
                            continue;
                        }
                        answered = true;
                        self.reply_exit = Some(exit::of_reply(&message));
                        let now = self.env.clock.now();
                        let received = Received { message, peer: target, elapsed, sent_at: now, at: now };
                        self.record_reply(target, transport, &received);
                        self.print(pass, sent, &server, &received, 0);
                        if self.face.is_some() {
                            self.footer(pass, &server, &received, None);
                        }
                    }
                    Err(failure) => {
                        self.record_failure(target, transport, started, &failure);
                        self.warn(&format!("communications error to {}: {failure}", print::address(target)));
                    }
                }
                self.sink.flush();
            }
        });
        self.exit = 0;
        if !answered {
            self.error("NS servers could not be reached");
            self.exit = exit::NO_REPLY;
        }
    }

    fn warn_plain(&mut self, line: &str) {
        let apart = self.face.is_some() || (self.globals.short && !self.set.nssearch);
        let to = if apart { &mut self.sink.err } else { &mut self.sink.out };
        to.push_str(line);
        to.push('\n');
    }
}

type RawReply = (Vec<u8>, Duration);

fn ask_one(
    target: SocketAddr,
    source: Option<SocketAddr>,
    query: &[u8],
    id: u16,
    timeout: Duration,
    stream: Option<(&Settings, &str)>,
) -> Result<RawReply, Failure> {
    let started = Instant::now();
    if let Some((settings, label)) = stream {
        let mut connection = Link::connect(settings, label, target, source, timeout)?;
        connection.send(query, started + timeout)?;
        let bytes = connection.receive(Instant::now() + timeout)?;
        return Ok((bytes, started.elapsed()));
    }
    let ours = |bytes: &[u8]| bytes.get(..2).is_some_and(|head| head == id.to_be_bytes());
    let reply = udp_exchange(target, source, query, timeout, &mut |bytes, _| ours(bytes))?;
    Ok((reply.bytes, reply.elapsed))
}

fn server(address: IpAddr, label: &str) -> Server {
    Server { address, scope: 0, port: None, label: label.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirteen_roots() {
        assert_eq!(ROOT_HINTS.len(), 13);
        let letters: String = ROOT_HINTS.iter().map(|(letter, ..)| *letter).collect();
        assert_eq!(letters, "abcdefghijklm");
    }
}
