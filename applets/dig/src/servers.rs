//! Addresses of a server named on the command line or in a referral: literal, hosts file, then DNS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use netkit_dns::random::random_u64;
use netkit_dns::transport::{TcpConnection, udp_exchange, udp_socket};
use netkit_wire::dns::{Class, Message, Name, Query, Question, Rcode, RrType, Section};

use crate::lookup::{Family, PORT};
use crate::numbers::c_number;
use crate::session::Env;

/// Most addresses taken of one name.
const ADDRESSES: usize = 20;
/// Longest wait for a server whose resolv.conf does not say, in seconds.
const TIMEOUT: u32 = 5;
const NOT_FOUND: &str = "not found";
/// The resolver itself failed, in BIND's word.
pub(crate) const FAILURE: &str = "failure";
const FAMILY: &str = "address family not supported";

/// The addresses of `host`, with the zone of a scoped one, or why there are none in BIND's words.
pub(crate) fn resolve(env: &Env, host: &str, family: Family) -> Result<Vec<(IpAddr, u32)>, &'static str> {
    if let Some((address, scope)) = literal(host) {
        return match address {
            // With -6 an IPv4 address is carried along as a mapped one, and skipped when its turn comes.
            IpAddr::V4(v4) if family == Family::V6 => Ok(vec![(IpAddr::V6(v4.to_ipv6_mapped()), 0)]),
            _ if family.allows(address) => Ok(vec![(address, scope)]),
            _ => Err(FAMILY),
        };
    }
    if host.split_once('%').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok()) {
        return Err(FAILURE);
    }
    let allowed = |addresses: Vec<IpAddr>| -> Vec<(IpAddr, u32)> {
        addresses
            .into_iter()
            .filter(|address| family.allows(*address))
            .map(|address| (address, 0))
            .take(ADDRESSES)
            .collect()
    };
    let listed = allowed(env.hosts.addresses(host));
    if !listed.is_empty() {
        return Ok(sorted(listed));
    }
    let bare = host.strip_suffix('.').unwrap_or(host);
    if bare.eq_ignore_ascii_case("localhost") {
        return Ok(allowed(vec![IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::from([127, 0, 0, 1])]));
    }
    let found = allowed(ask(env, host, family)?);
    if found.is_empty() { Err(NOT_FOUND) } else { Ok(sorted(found)) }
}

/// The order of getaddrinfo(3), as far as it matters here (RFC 6724): addresses without a route last, IPv6 before IPv4.
fn sorted(mut addresses: Vec<(IpAddr, u32)>) -> Vec<(IpAddr, u32)> {
    addresses.sort_by_key(|(address, _)| {
        let unreachable = udp_socket(SocketAddr::new(*address, PORT), None).is_err();
        (unreachable, address.is_ipv4())
    });
    addresses
}

/// An address, an IPv6 one perhaps with `%zone`.
fn literal(host: &str) -> Option<(IpAddr, u32)> {
    let (address, zone) = match host.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (host, None),
    };
    let address: IpAddr = address.parse().ok().or_else(|| loose_v4(address).map(IpAddr::V4))?;
    let scope = match zone {
        None => 0,
        Some(_) if address.is_ipv4() => return None,
        // Only a link-local address goes with the name of an interface (RFC 4007, section 11.2 leaves it open).
        Some(zone) => zone.parse().ok().or_else(|| interface_index(zone).filter(|_| is_link_local(address)))?,
    };
    Some((address, scope))
}

/// An IPv4 address as inet_aton(3) reads it: one to four parts, decimal, octal or hexadecimal, the last one filling up.
fn loose_v4(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').map(|part| c_number(part, u32::MAX).ok()).collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    let room = 4usize.checked_sub(leading.len())?;
    let limit = 1u64 << (8 * room);
    if room == 0 || leading.iter().any(|part| *part > 255) || u64::from(*last) >= limit {
        return None;
    }
    let high = leading.iter().fold(0u64, |sum, part| sum << 8 | u64::from(*part));
    u32::try_from(high * limit + u64::from(*last)).ok().map(Ipv4Addr::from)
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn interface_index(name: &str) -> Option<u32> {
    let plain = !name.is_empty() && name.len() < 16 && !name.contains('/') && name != "..";
    let path = plain.then(|| format!("/sys/class/net/{name}/ifindex"))?;
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Asks the servers of resolv.conf, with the search list as the C library walks it.
fn ask(env: &Env, host: &str, family: Family) -> Result<Vec<IpAddr>, &'static str> {
    let name = Name::parse(host).map_err(|_| NOT_FOUND)?;
    let dots = host.matches('.').count();
    let mut candidates = Vec::new();
    if !host.ends_with('.') {
        candidates.extend(env.resolv.search.iter().filter_map(|suffix| name.concat(&Name::parse(suffix).ok()?).ok()));
    }
    if dots >= env.resolv.ndots as usize {
        candidates.insert(0, name);
    } else {
        candidates.push(name);
    }
    let mut worst = NOT_FOUND;
    for candidate in candidates {
        let mut found = Vec::new();
        for (rtype, wanted) in [(RrType::AAAA, family != Family::V4), (RrType::A, family != Family::V6)] {
            if wanted {
                match query(env, &candidate, rtype) {
                    Some(message) => found.extend(addresses(&message, rtype)),
                    None => worst = FAILURE,
                }
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(worst)
}

fn addresses(message: &Message, rtype: RrType) -> Vec<IpAddr> {
    let answers = message.section(Section::Answer).filter(|record| record.rtype == rtype);
    answers.filter_map(|record| message.rdata_ip(record)).collect()
}

/// A reply that settles the question (NOERROR or NXDOMAIN) from the first server that gives one.
fn query(env: &Env, name: &Name, rtype: RrType) -> Option<Message> {
    let question = Question { name: name.clone(), rtype, class: Class::IN };
    let timeout = Duration::from_secs(u64::from(env.timeout().unwrap_or(TIMEOUT)));
    // The C library, which finds BIND's servers, knows only 127.0.0.1 when resolv.conf names none.
    let family = if env.resolv.nameservers.is_empty() { Family::V4 } else { Family::Any };
    for _ in 0..env.resolv.attempts.clamp(1, 5) {
        for server in env.servers(family) {
            let target = SocketAddr::new(server.address, PORT);
            let [high, low, ..] = random_u64().to_be_bytes();
            let id = u16::from_be_bytes([high, low]);
            let bytes = Query::new(id, question.clone()).encode();
            let ours = |message: &Message| {
                message.header.qr && message.header.id == id && message.questions.contains(&question)
            };
            let mut reply = None;
            let sent = udp_exchange(target, None, &bytes, timeout, &mut |datagram, _| {
                reply = Message::decode(datagram.to_vec()).ok().filter(ours);
                reply.is_some()
            });
            if sent.is_err() {
                continue;
            }
            let mut reply = reply?;
            if reply.header.tc {
                let over_tcp = || {
                    let mut connection = TcpConnection::connect(target, None, timeout).ok()?;
                    connection.send(&bytes).ok()?;
                    Message::decode(connection.receive(Instant::now() + timeout).ok()?).ok().filter(ours)
                };
                reply = over_tcp().unwrap_or(reply);
            }
            if matches!(reply.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) {
                return Some(reply);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        assert_eq!(literal("10.0.0.1"), Some((IpAddr::from([10, 0, 0, 1]), 0)));
        assert_eq!(literal("fe80::1%7"), Some(("fe80::1".parse().unwrap(), 7)));
        assert_eq!(literal("10.0.0.1%7"), None);
        assert_eq!(literal("fe80::1%../../x"), None);
        assert_eq!(literal("a.example"), None);
        assert_eq!(loose_v4("127.30"), Some(Ipv4Addr::new(127, 0, 0, 30)));
        assert_eq!(loose_v4("2130706433"), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(loose_v4("0x7f.1"), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(loose_v4("1.2.3.4.5"), None);
        assert_eq!(loose_v4("127.16777216"), None);
        assert_eq!(loose_v4("1..2"), None);
    }
}
