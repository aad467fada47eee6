//! The DNS layer: hosts file, search list, every name server. Polite as long as the first server answers; then all of
//! them are asked at once, over UDP and TCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use netkit_dns::resolv_conf::ResolvConf;
use netkit_dns::simulate::Outcome;
use netkit_dns::transport::{Failure, udp_socket};
use netkit_probe::Family;
use netkit_wire::dns::{Name, Rcode, RrType};

use crate::ask::{Reply, over_tcp, over_udp, plain, survey};
use crate::dns_blame as blame;
use crate::report::{Layer, Report, millis};
use crate::world::World;

/// How long the first server may think before the others are asked too.
const POLITE: Duration = Duration::from_millis(1_200);
/// What a slow reply is: programs begin to notice.
pub(crate) const SLOW: Duration = Duration::from_millis(700);
/// glibc asks three servers at most (MAXNS).
const MOST_SERVERS: usize = 3;
/// Names tried at most.
const MOST_CANDIDATES: usize = 32;
/// Addresses tried at most.
const MOST_ADDRESSES: usize = 16;

/// One step of the search list.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: Name,
    /// What decided it, A first.
    pub(crate) replies: Vec<Reply>,
    pub(crate) elapsed: Duration,
}

impl Step {
    fn addresses(&self) -> Vec<IpAddr> {
        let mut found: Vec<IpAddr> = Vec::new();
        for address in self.replies.iter().flat_map(|reply| &reply.addresses) {
            if !found.contains(address) && found.len() < MOST_ADDRESSES {
                found.push(*address);
            }
        }
        found
    }

    /// The reply that tells most of how the step ended.
    pub(crate) fn outcome(&self) -> Outcome {
        let mut best = Outcome::Timeout;
        for reply in &self.replies {
            // What ends the search weighs more than what goes on with it.
            let weight = |outcome: &Outcome| match outcome {
                Outcome::Answer => 5,
                Outcome::Truncated => 4,
                Outcome::NoData => 3,
                Outcome::Rcode(_) => 2,
                Outcome::Failed(_) => 1,
                Outcome::Timeout => 0,
            };
            let better = weight(&reply.outcome) > weight(&best);
            if better {
                best = reply.outcome.clone();
            }
        }
        best
    }
}

/// Everything that was asked, for blame and for display.
pub(crate) struct Record {
    pub(crate) conf: ResolvConf,
    pub(crate) host: String,
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) types: Vec<RrType>,
    pub(crate) candidates: Vec<Name>,
    pub(crate) steps: Vec<Step>,
    /// Replies of surveys.
    pub(crate) surveyed: Vec<Reply>,
    /// Which server is asked.
    current: usize,
    pub(crate) found: Vec<IpAddr>,
    /// The servers were named by the user; resolv.conf has no part in it.
    pub(crate) named: bool,
}

/// Asks a server that the user named, over UDP and TCP.
pub(crate) fn ask_server(world: &World, servers: &[SocketAddr], text: &str, report: &mut Report) {
    let root = text.is_empty();
    let conf = ResolvConf { nameservers: servers.to_vec(), ..ResolvConf::default() };
    let host = if root { "." } else { text };
    let Some(mut record) = Record::new(world, host, conf, world.options.family, report) else { return };
    record.named = true;
    if root {
        record.types = vec![RrType::NS];
        record.candidates = vec![Name::root()];
    }
    let began = Instant::now();
    record.walk(world, report);
    let replies = record.steps.last().map(|step| step.replies.clone()).unwrap_or_default();
    // Of the root any answer will do: that the server speaks is all that was asked.
    let spoke = root && replies.iter().any(|reply| reply.spoke() && !reply.tcp);
    if record.found.is_empty() && !spoke {
        blame::failure(world, &mut record, report, began.elapsed());
        return;
    }
    for reply in &replies {
        report.fine(Layer::Dns, reply_text(reply), Some(reply.elapsed));
    }
    let Some(server) = replies.first().map(|reply| reply.server) else { return };
    let over = over_tcp(
        server,
        &record.candidates.first().cloned().unwrap_or_else(Name::root),
        &record.types,
        world.patience(),
    );
    if over.iter().any(Reply::spoke) {
        report.looked.push(format!("DNS of {server} over UDP and TCP"));
    } else {
        let how = over.first().map_or_else(String::new, reply_text);
        report.note(Layer::Dns, how.clone());
        let sentence =
            format!("{server} answers over UDP and not over TCP: answers that do not fit into a datagram are lost");
        let next = format!("netkit dig +tcp @{} -p {} {host}", server.ip(), server.port());
        report.faults.push(crate::report::Fault::impaired(Layer::Dns, "tcp_fails", sentence).evidence(how).next(next));
    }
    if !root {
        blame::success(world, &mut record, report);
    }
}

/// Finds the addresses of a host; faults and lines go to the report.
pub(crate) fn look_up(world: &World, host: &str, port: u16, report: &mut Report) -> Option<Vec<SocketAddr>> {
    let family = world.options.family;
    let began = Instant::now();
    if let Some((address, scope)) = netkit_probe::literal(host) {
        if !accepts(family, address) {
            let text = format!("{host} is an address of the other family than -{} asks for", digit(family));
            report.broken(Layer::Dns, text.clone(), None);
            report.faults.push(crate::report::Fault::fatal(Layer::Dns, "wrong_family", text));
            return None;
        }
        report.fine(Layer::Dns, format!("{host} is an address, no name is looked up"), None);
        let address = match address {
            IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, scope).into(),
            v4 => SocketAddr::new(v4, port),
        };
        return Some(vec![address]);
    }
    let finish = |mut found: Vec<IpAddr>, report: &mut Report| {
        order(&mut found);
        found.truncate(MOST_ADDRESSES);
        report.timings.push(("dns", began.elapsed()));
        report.looked.push("DNS".to_owned());
        Some(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    };
    let listed: Vec<IpAddr> =
        world.hosts().addresses(host).into_iter().filter(|address| accepts(family, *address)).collect();
    if !listed.is_empty() {
        let text = format!("{host} is {} by {}", list(&listed), world.place(netkit_dns::HOSTS).display());
        report.fine(Layer::Dns, text, Some(began.elapsed()));
        return finish(listed, report);
    }
    let bare = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if bare == "localhost" || bare.ends_with(".localhost") {
        let both = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let found: Vec<IpAddr> = both.into_iter().filter(|address| accepts(family, *address)).collect();
        report.fine(Layer::Dns, format!("{host} is {}", list(&found)), Some(began.elapsed()));
        return finish(found, report);
    }
    let conf = match world.resolv_conf() {
        Ok(conf) => conf,
        Err(error) => {
            blame::no_file(world, host, &error, report);
            ResolvConf::default()
        }
    };
    let mut record = Record::new(world, host, conf, family, report)?;
    record.walk(world, report);
    let elapsed = began.elapsed();
    if record.found.is_empty() {
        report.timings.push(("dns", elapsed));
        blame::failure(world, &mut record, report, elapsed);
        return None;
    }
    record.show(report);
    blame::success(world, &mut record, report);
    let found = record.found;
    finish(found, report)
}

impl Record {
    fn new(world: &World, host: &str, conf: ResolvConf, family: Family, report: &mut Report) -> Option<Record> {
        let wrong = |report: &mut Report, why: String| {
            let text = format!("'{}' cannot be looked up: {why}", netkit_core::text::printable(host));
            report.broken(Layer::Dns, text.clone(), None);
            report.faults.push(crate::report::Fault::fatal(Layer::Dns, "invalid_name", text));
            None
        };
        let own = match Name::parse(host) {
            Ok(name) => name,
            Err(error) => return wrong(report, error.to_string()),
        };
        let mut servers: Vec<SocketAddr> = conf.nameservers.iter().copied().take(MOST_SERVERS).collect();
        if servers.is_empty() {
            servers.push(world.local_server());
        }
        let types = match family {
            Family::Unspecified => vec![RrType::A, RrType::AAAA],
            Family::Inet => vec![RrType::A],
            Family::Inet6 => vec![RrType::AAAA],
        };
        let candidates = candidates(host, &own, &conf);
        Some(Record {
            conf,
            host: host.to_owned(),
            servers,
            types,
            candidates,
            steps: Vec::new(),
            surveyed: Vec::new(),
            current: 0,
            found: Vec::new(),
            named: false,
        })
    }

    /// Walks the search list as glibc does, without its long waits.
    fn walk(&mut self, world: &World, report: &mut Report) {
        for name in self.candidates.clone() {
            let step = self.step(world, &name);
            let (outcome, addresses) = (step.outcome(), step.addresses());
            self.steps.push(step);
            if !addresses.is_empty() {
                self.found = addresses;
                return;
            }
            // A server that is silent or cannot be reached ends the search; one that fails does not.
            if matches!(outcome, Outcome::Timeout | Outcome::Failed(_) | Outcome::Truncated) {
                return;
            }
        }
        let _ = report;
    }

    fn step(&mut self, world: &World, name: &Name) -> Step {
        let began = Instant::now();
        let limit = world.patience().max(Duration::from_millis(50));
        let Some(server) = self.servers.get(self.current).copied() else {
            return Step { name: name.clone(), replies: Vec::new(), elapsed: began.elapsed() };
        };
        let polite = POLITE.min(limit);
        let mut replies = over_udp(server, name, &self.types, polite, polite);
        if replies.iter().any(Reply::is_final) {
            self.mend(server, name, &mut replies, limit);
        }
        if replies.iter().any(|reply| reply.outcome == Outcome::Truncated) {
            let over = over_tcp(server, name, &self.types, limit);
            if over.iter().any(Reply::is_final) {
                self.surveyed.extend(std::mem::replace(&mut replies, over));
            } else {
                self.surveyed.extend(over);
            }
        }
        if !replies.iter().all(|reply| reply.is_final())
            && !replies.iter().any(|reply| reply.outcome == Outcome::Answer)
        {
            self.surveyed.extend(replies.iter().cloned());
            let all = survey(&self.servers, name, &self.types, limit);
            let best = self
                .servers
                .iter()
                .position(|server| all.iter().any(|reply| reply.server == *server && !reply.tcp && reply.is_final()));
            // A server that answers over TCP alone helps nobody who asks over UDP first; it is kept for the blame.
            if let Some(index) = best {
                self.current = index;
                let chosen = self.servers.get(index).copied();
                replies = all.iter().filter(|reply| Some(reply.server) == chosen && !reply.tcp).cloned().collect();
            } else if let Some(spoke) = all.iter().find(|reply| reply.spoke() && !reply.tcp) {
                let server = spoke.server;
                replies = all.iter().filter(|reply| reply.server == server && !reply.tcp).cloned().collect();
            }
            self.surveyed.extend(all);
            if !world.brief && replies.iter().all(|reply| !reply.spoke()) {
                self.wait_longer(server, name, limit, &mut replies);
            }
        }
        Step { name: name.clone(), replies, elapsed: began.elapsed() }
    }

    /// Programs wait longer than we do: a server that answers within their time is slow, not dead.
    fn wait_longer(&self, server: SocketAddr, name: &Name, limit: Duration, replies: &mut Vec<Reply>) {
        let theirs = Duration::from_secs(u64::from(self.conf.timeout.clamp(1, 6))) + Duration::from_millis(200);
        let refused = replies.iter().any(|reply| matches!(reply.outcome, Outcome::Failed(_)));
        if refused || theirs <= limit {
            return;
        }
        let late = over_udp(server, name, &self.types, theirs, POLITE);
        if late.iter().any(Reply::spoke) {
            *replies = late;
        }
    }

    /// One of two questions was answered and the other was not: is it lost, or does that kind hang?
    fn mend(&mut self, server: SocketAddr, name: &Name, replies: &mut [Reply], limit: Duration) {
        for reply in replies.iter_mut().filter(|reply| reply.outcome == Outcome::Timeout) {
            let again = over_udp(server, name, &[reply.rtype], limit.min(Duration::from_millis(1_500)), Duration::ZERO);
            if let Some(mut again) = again.into_iter().next() {
                again.again = true;
                if again.spoke() {
                    *reply = again;
                }
            }
        }
    }

    fn show(&self, report: &mut Report) {
        let Some(step) = self.steps.last() else { return };
        let elapsed: Duration = self.steps.iter().map(|step| step.elapsed).sum();
        let server = step.replies.first().map_or_else(String::new, |reply| reply.server.ip().to_string());
        let mut text = format!("{} is {}", plain(&step.name), list(&self.found));
        if let Some(alias) = step.replies.iter().find_map(|reply| reply.alias.clone()) {
            text.push_str(&format!(" (alias of {alias})"));
        }
        text.push_str(&format!(", said {server}"));
        if self.steps.len() > 1 {
            text.push_str(&format!(", after {} names that do not exist", self.steps.len() - 1));
        }
        report.fine(Layer::Dns, text, Some(elapsed));
    }
}

/// The names a resolver with this configuration tries, in its order (resolv.conf(5), ndots).
pub(crate) fn candidates(host: &str, own: &Name, conf: &ResolvConf) -> Vec<Name> {
    if host.ends_with('.') {
        return vec![own.clone()];
    }
    let dots = u32::try_from(host.bytes().filter(|byte| *byte == b'.').count()).unwrap_or(u32::MAX);
    let ndots = conf.ndots.min(15);
    let mut names: Vec<Name> = Vec::new();
    if dots >= ndots {
        names.push(own.clone());
    }
    for suffix in conf.search.iter().take(MOST_CANDIDATES) {
        if let Some(name) = Name::parse(suffix).ok().and_then(|suffix| own.concat(&suffix).ok()) {
            names.push(name);
        }
    }
    if dots < ndots {
        names.push(own.clone());
    }
    let mut seen: Vec<Name> = Vec::new();
    names.retain(|name| {
        let new = !seen.contains(name);
        seen.push(name.clone());
        new
    });
    names
}

fn accepts(family: Family, address: IpAddr) -> bool {
    match family {
        Family::Unspecified => true,
        Family::Inet => address.is_ipv4(),
        Family::Inet6 => address.is_ipv6(),
    }
}

fn digit(family: Family) -> u8 {
    if family == Family::Inet6 { 6 } else { 4 }
}

/// The order of RFC 6724 as far as it matters: without a route last, IPv6 before IPv4.
fn order(found: &mut [IpAddr]) {
    found.sort_by_key(|address| {
        let unreachable = udp_socket(SocketAddr::new(*address, 53), None).is_err();
        (unreachable, address.is_ipv4())
    });
}

/// Addresses for people, a long list cut.
pub(crate) fn list(found: &[IpAddr]) -> String {
    let shown: Vec<String> = found.iter().take(4).map(ToString::to_string).collect();
    let more = found.len().saturating_sub(4);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// How one reply reads in evidence.
pub(crate) fn reply_text(reply: &Reply) -> String {
    let over = if reply.tcp { "TCP" } else { "UDP" };
    let result = match &reply.outcome {
        Outcome::Answer => list(&reply.addresses),
        Outcome::NoData if reply.referral => "a referral to other servers".to_owned(),
        Outcome::NoData => "no such record".to_owned(),
        Outcome::Rcode(rcode) => rcode.to_string(),
        Outcome::Truncated => "truncated".to_owned(),
        Outcome::Timeout => "no answer".to_owned(),
        Outcome::Failed(Failure::Refused) if reply.tcp => "connection refused".to_owned(),
        Outcome::Failed(Failure::Refused) => "ICMP port unreachable".to_owned(),
        Outcome::Failed(failure) => failure.to_string(),
    };
    let again = if reply.again { ", only when asked again" } else { "" };
    let name = plain(&reply.name);
    format!("{} over {over}, {name} {}: {result}{again} ({})", reply.server.ip(), reply.rtype, millis(reply.elapsed))
}

/// Whether any reply of this kind says so.
pub(crate) fn any(replies: &[Reply], test: impl Fn(&Reply) -> bool) -> bool {
    replies.iter().any(test)
}

/// NXDOMAIN, which ends nothing but this name.
pub(crate) fn is_nxdomain(reply: &Reply) -> bool {
    reply.outcome == Outcome::Rcode(Rcode::NXDOMAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_list() {
        let conf = ResolvConf::parse("search a.b c\noptions ndots:2\n");
        let of = |host: &str| -> Vec<String> {
            candidates(host, &Name::parse(host).unwrap(), &conf).iter().map(plain).collect()
        };
        assert_eq!(of("x"), ["x.a.b", "x.c", "x"]);
        assert_eq!(of("x.y.z"), ["x.y.z", "x.y.z.a.b", "x.y.z.c"]);
        assert_eq!(of("x."), ["x"]);
    }

    #[test]
    fn addresses_for_people() {
        let five: Vec<IpAddr> = (1..=6).map(|n| IpAddr::from([10, 0, 0, n])).collect();
        assert_eq!(list(&five), "10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4 and 2 more");
    }
}
