//! What is wrong with the look-up of a name: from the replies that were recorded to causes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use netkit_dns::resolv_conf::ResolvConf;
use netkit_dns::simulate::{self, Code, Outcome, Resolver};
use netkit_dns::transport::Failure;
use netkit_wire::dns::{Name, Rcode, RrType};

use crate::ask::{Reply, over_udp, plain, survey};
use crate::counters::Snapshot;
use crate::dns::{Record, SLOW, any, is_nxdomain, list, reply_text};
use crate::kernel::Kernel;
use crate::report::{Fault, Gravity, Layer, Report, millis};
use crate::silence::{self, Probe};
use crate::world::World;

/// Lines of evidence.
const MOST_EVIDENCE: usize = 10;
/// Queries that a search list may cost before it is worth a word.
const MANY_QUERIES: usize = 6;

/// resolv.conf cannot be read; resolvers go on with a server on this machine.
pub(crate) fn no_file(world: &World, host: &str, error: &io::Error, report: &mut Report) {
    let path = world.place(netkit_dns::RESOLV_CONF);
    let text = format!(
        "{} cannot be read ({}), so {host} is asked of {}",
        path.display(),
        kind(error),
        world.local_server().ip()
    );
    report.note(Layer::Dns, text);
}

fn kind(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist",
        io::ErrorKind::PermissionDenied => "permission denied",
        _ => "an error",
    }
}

fn evidence(record: &Record) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for reply in record.surveyed.iter().chain(record.steps.iter().flat_map(|step| &step.replies)) {
        let line = reply_text(reply);
        let told = lines.iter().any(|known| known.split(" (").next() == line.split(" (").next());
        if !told && lines.len() < MOST_EVIDENCE {
            lines.push(line);
        }
    }
    lines
}

fn servers_text(servers: &[SocketAddr]) -> String {
    let shown: Vec<String> = servers.iter().map(|server| server.ip().to_string()).collect();
    match shown.as_slice() {
        [one] => format!("the name server {one}"),
        many => format!("none of the name servers {}", many.join(", ")),
    }
}

/// `does not answer` for one, `answers` after "none of".
fn verb(servers: &[SocketAddr], one: &'static str, many: &'static str) -> &'static str {
    if servers.len() == 1 { one } else { many }
}

fn dig_command(record: &Record, server: Option<SocketAddr>) -> String {
    let at = server.or(record.servers.first().copied()).map_or_else(String::new, |server| {
        if server.port() == 53 {
            format!("@{} ", server.ip())
        } else {
            format!("@{} -p {} ", server.ip(), server.port())
        }
    });
    format!("netkit dig {at}{}", record.host)
}

/// No address was found.
pub(crate) fn failure(world: &World, record: &mut Record, report: &mut Report, elapsed: Duration) {
    let fault = cause(world, record, report);
    let lines = evidence(record);
    report.broken(fault.layer, fault.sentence.clone(), Some(elapsed));
    let fault = if fault.next.is_empty() { fault.next(dig_command(record, None)) } else { fault };
    report.faults.push(fault.all_evidence(lines));
}

fn cause(world: &World, record: &mut Record, report: &mut Report) -> Fault {
    let host = record.host.clone();
    let path = world.place(netkit_dns::RESOLV_CONF).display().to_string();
    if let (false, Err(error)) = (record.named, world.resolv_conf()) {
        let sentence = format!(
            "{path} cannot be read ({}), so no name server is known and {host} cannot be looked up",
            kind(&error)
        );
        return Fault::fatal(Layer::Dns, "resolv_conf", sentence).next("netkit cat /etc/resolv.conf");
    }
    if record.conf.nameservers.is_empty() {
        let sentence = format!("{path} names no name server, so {host} cannot be looked up");
        return Fault::fatal(Layer::Dns, "no_nameserver", sentence).next("netkit cat /etc/resolv.conf");
    }
    let last = record.steps.last().map_or(Outcome::Timeout, crate::dns::Step::outcome);
    match last {
        Outcome::Timeout => silent(world, record, report),
        Outcome::Failed(failure) => failed(world, record, &failure, report),
        Outcome::Truncated => {
            let why =
                record.surveyed.iter().find(|reply| reply.tcp).map_or_else(String::new, |reply| match &reply.outcome {
                    Outcome::Timeout => ", which is dropped".to_owned(),
                    Outcome::Failed(Failure::Refused) => ", which is refused".to_owned(),
                    other => format!(", which gives: {other}"),
                });
            let sentence = format!(
                "the answer for {host} does not fit into a datagram and has to be fetched over TCP port 53{why}"
            );
            Fault::fatal(Layer::Dns, "truncated_tcp_blocked", sentence)
                .next(format!("{} +tcp", dig_command(record, None)))
        }
        _ => answered(world, record),
    }
}

/// Every server was silent, for the last name at least.
fn silent(world: &World, record: &Record, report: &mut Report) -> Fault {
    let servers = servers_text(&record.servers);
    if let Some(reply) = record.surveyed.iter().find(|reply| reply.tcp && reply.is_final()) {
        let sentence =
            format!("{} answers over TCP and not over UDP: UDP port 53 is dropped on the way", reply.server.ip());
        return Fault::fatal(Layer::Dns, "udp_53_dropped", sentence)
            .next(format!("{} +tcp", dig_command(record, Some(reply.server))));
    }
    if let Some(spoke) = record.steps.iter().flat_map(|step| &step.replies).find(|reply| reply.spoke()) {
        let name = record.steps.last().map_or_else(String::new, |step| plain(&step.name));
        let sentence = format!(
            "the name server {} answers other names and is silent about {name}, so the search for {} ends there",
            spoke.server.ip(),
            record.host
        );
        return Fault::fatal(Layer::Dns, "silent_about_name", sentence)
            .next(format!("netkit dig @{} {name}", spoke.server.ip()));
    }
    // The first name of the search list may be the only one that is left without an answer.
    let short = world.patience().min(Duration::from_millis(500));
    let other = record.candidates.iter().rev().find(|name| record.steps.iter().all(|step| step.name != **name));
    if let (Some(server), Some(other), Some(silent)) = (record.servers.first(), other, record.steps.last())
        && over_udp(*server, other, &[RrType::A], short, short).iter().any(Reply::spoke)
    {
        let sentence = format!(
            "the name server {} answers for {} and is silent about {}, which comes first in the search list, so the search for {} ends there",
            server.ip(),
            plain(other),
            plain(&silent.name),
            record.host
        );
        return Fault::fatal(Layer::Dns, "silent_about_name", sentence).next(format!(
            "netkit dig @{} {}",
            server.ip(),
            plain(&silent.name)
        ));
    }
    let mut kernel = Kernel::default();
    let mut notes = Vec::new();
    for server in &record.servers {
        let before = Snapshot::take();
        let probe = Probe { target: *server, source: None, udp: true, before: &before };
        let known = silence::explain(world, &mut kernel, probe, report);
        if let Some(fault) = known.fault {
            let sentence = format!(
                "names cannot be looked up, because of the way to the name server {}: {}",
                server.ip(),
                fault.sentence
            );
            let layer = if fault.layer == Layer::Netfilter { Layer::Netfilter } else { Layer::Dns };
            let cause = if layer == Layer::Netfilter { fault.cause } else { "nameserver_unreachable" };
            let mut told = Fault::fatal(layer, cause, sentence).all_evidence(fault.evidence).next(fault.next);
            told.certain = fault.certain;
            return told;
        }
        notes.extend(known.open);
    }
    let verb = verb(&record.servers, "does not answer", "answers");
    let sentence = format!(
        "{servers} {verb}, neither over UDP nor over TCP, so {} cannot be looked up: wrong address in resolv.conf, server down, or port 53 dropped on the way",
        record.host
    );
    let mut fault = Fault::fatal(Layer::Dns, "nameserver_silent", sentence);
    fault.evidence.extend(notes.into_iter().take(1).map(|note| format!("not excluded here: {note}")));
    fault
}

/// Errors instead of answers.
fn failed(world: &World, record: &Record, failure: &Failure, report: &mut Report) -> Fault {
    let first = record.servers.first().copied();
    let host = &record.host;
    let shown = servers_text(&record.servers);
    match failure {
        Failure::Refused => {
            let verb = verb(&record.servers, "refuses", "accepts");
            let sentence = format!(
                "{shown} {verb} questions on port {}: no DNS server runs there, or the Service has no endpoints, so {host} cannot be looked up",
                first.map_or(53, |server| server.port())
            );
            let mut fault = Fault::fatal(Layer::Dns, "nameserver_refused", sentence);
            let mut kernel = Kernel::default();
            if let Some(server) = first
                && let Some(source) = kernel.way(server.ip(), None).ok().and_then(|way| way.source)
            {
                let before = Snapshot::default();
                let probe = Probe { target: server, source: Some(source), udp: true, before: &before };
                let mut known = silence::Known::default();
                if let Some(walked) = silence::filtered(world, source, probe, report, &mut known) {
                    let sentence = format!(
                        "names cannot be looked up, because of the way to the name server {}: {}",
                        server.ip(),
                        walked.sentence
                    );
                    return Fault { sentence, ..walked };
                }
                fault = fault.all_evidence(known.evidence);
            }
            fault
        }
        Failure::Unreachable(why) => {
            let mut kernel = Kernel::default();
            let refusal = first
                .filter(|server| kernel.way(server.ip(), None).is_err())
                .map(|server| crate::route::refused(&mut kernel, server.ip()));
            let verb = verb(&record.servers, "cannot be reached", "can be reached");
            let because = refusal.map_or_else(|| why.clone(), |fault| fault.sentence);
            let sentence = format!("{shown} {verb} ({because}), so {host} cannot be looked up");
            Fault::fatal(Layer::Dns, "nameserver_unreachable", sentence)
                .next(first.map_or_else(String::new, |server| format!("netkit ip why {}", server.ip())))
        }
        Failure::Other(why) if why.contains("ermission") || why.contains("not permitted") => {
            let mut fault = Fault::fatal(
                Layer::Netfilter,
                "dropped_here",
                format!(
                    "a rule of this machine forbids questions to {}, so {host} cannot be looked up",
                    first.map_or_else(String::new, |server| server.to_string())
                ),
            );
            let mut kernel = Kernel::default();
            if let Some(server) = first
                && let Some(source) = kernel.way(server.ip(), None).ok().and_then(|way| way.source)
            {
                let before = Snapshot::default();
                if let Some(full) = silence::full_table(&Snapshot::take(), &before) {
                    return full;
                }
                let probe = Probe { target: server, source: Some(source), udp: true, before: &before };
                let mut known = silence::Known::default();
                if let Some(walked) = silence::filtered(world, source, probe, report, &mut known) {
                    let sentence = format!("names cannot be looked up: {}", walked.sentence);
                    return Fault { sentence, ..walked };
                }
                fault = fault.next(silence::trace_command(Some(source), server, true));
            }
            fault.evidence("sending was refused with EPERM")
        }
        other => {
            let sentence = format!("asking {shown} fails with: {other}, so {host} cannot be looked up");
            Fault::fatal(Layer::Dns, "nameserver_failed", sentence)
        }
    }
}

/// Servers answered, without an address.
fn answered(world: &World, record: &mut Record) -> Fault {
    let host = record.host.clone();
    let replies: Vec<Reply> = record.steps.iter().flat_map(|step| step.replies.clone()).collect();
    let bad = |rcode: Rcode| move |reply: &Reply| reply.outcome == Outcome::Rcode(rcode);
    // What the other servers say, for every name that was tried.
    let names: Vec<Name> = record.candidates.iter().take(8).cloned().collect();
    let patience = world.patience().min(Duration::from_millis(1_500));
    if record.servers.len() > 1 {
        for name in &names {
            let all = survey(&record.servers, name, &record.types, patience);
            if let Some(better) = all.iter().find(|reply| reply.outcome == Outcome::Answer) {
                let first = record.servers.first().map_or_else(String::new, |server| server.ip().to_string());
                let says = replies.first().map_or_else(String::new, |reply| reply.outcome.to_string());
                let sentence = format!(
                    "the name servers disagree about {}: {first}, which programs ask first, says {says}, and {} knows it as {}",
                    plain(name),
                    better.server.ip(),
                    list(&better.addresses)
                );
                let next = format!("netkit dig @all {}", plain(name));
                record.surveyed.extend(all);
                return Fault::fatal(Layer::Dns, "servers_differ", sentence).next(next);
            }
            record.surveyed.extend(all);
        }
    }
    let server = replies.first().map_or_else(String::new, |reply| reply.server.ip().to_string());
    if !replies.is_empty() && replies.iter().all(|reply| reply.referral) {
        let sentence = format!(
            "the name server {server} does not look names up for others (lame): it refers to other servers instead of answering, so {host} cannot be looked up"
        );
        return Fault::fatal(Layer::Dns, "lame", sentence);
    }
    let all_of = |rcode: Rcode| !replies.is_empty() && replies.iter().all(bad(rcode));
    if all_of(Rcode::REFUSED) {
        let sentence = format!(
            "the name server {server} refuses to answer (REFUSED): it does not serve this client or this zone, so {host} cannot be looked up"
        );
        return Fault::fatal(Layer::Dns, "lame", sentence);
    }
    if let Some(reply) =
        replies.iter().find(|reply| matches!(reply.outcome, Outcome::Rcode(rcode) if rcode != Rcode::NXDOMAIN))
    {
        let own = plain(&reply.name);
        let Outcome::Rcode(rcode) = reply.outcome else {
            return Fault::fatal(Layer::Dns, "rcode", format!("{host} cannot be looked up"));
        };
        let why = match rcode {
            Rcode::SERVFAIL => "the servers behind it cannot be reached or give nonsense",
            Rcode::REFUSED => "it does not serve this zone",
            _ => "it cannot or will not answer",
        };
        let cause = if rcode == Rcode::SERVFAIL {
            "servfail"
        } else if rcode == Rcode::REFUSED {
            "lame"
        } else {
            "rcode"
        };
        let sentence = format!(
            "the name server {} answers {rcode} for {own}: {why}, so {host} cannot be looked up",
            reply.server.ip()
        );
        return Fault::fatal(Layer::Dns, cause, sentence)
            .next(format!("{} +tcp", dig_command(record, Some(reply.server))));
    }
    let dangling = replies
        .iter()
        .find(|reply| reply.leads_to.is_some() && (is_nxdomain(reply) || reply.outcome == Outcome::NoData));
    if let Some((reply, onward)) = dangling.and_then(|reply| Some((reply, reply.leads_to.clone()?))) {
        let how = if is_nxdomain(reply) { "does not exist (NXDOMAIN)" } else { "has no address (NODATA)" };
        let sentence = format!("{} is an alias (CNAME) of {onward}, which {how}", plain(&reply.name));
        return Fault::fatal(Layer::Dns, "dangling_alias", sentence)
            .next(format!("netkit dig @{} {onward}", reply.server.ip()));
    }
    if let Some(reply) = replies.iter().find(|reply| reply.outcome == Outcome::NoData) {
        let wanted: Vec<String> = record.types.iter().map(ToString::to_string).collect();
        let own = plain(&reply.name);
        let wanted = wanted.join(" nor ");
        let neither = if record.types.len() > 1 { "neither" } else { "no" };
        let sentence =
            format!("{own} exists and has {neither} {wanted} record (NODATA), so there is no address to connect to");
        return Fault::fatal(Layer::Dns, "nodata", sentence)
            .next(format!("netkit dig @{} {own} ANY", reply.server.ip()));
    }
    missing(world, record, &replies)
}

/// NXDOMAIN for every name of the search list.
fn missing(world: &World, record: &mut Record, replies: &[Reply]) -> Fault {
    let host = record.host.clone();
    let zone = replies.iter().rev().find_map(|reply| reply.zone.clone());
    let tried: Vec<String> = record.steps.iter().map(|step| plain(&step.name)).collect();
    let better = if record.named { None } else { elsewhere(world, record) };
    if let Some((name, found)) = better {
        let search = if record.conf.search.is_empty() {
            "there is no search list".to_owned()
        } else {
            format!("the search list is {}", record.conf.search.join(" "))
        };
        let sentence = format!(
            "{host} is not found because the search list of resolv.conf lacks its suffix ({search}): {name} exists ({})",
            list(&found)
        );
        return Fault::fatal(Layer::Dns, "search", sentence)
            .evidence(format!("tried in vain: {}", tried.join(", ")))
            .next(format!("netkit dig +search +showsearch {host}"));
    }
    let whose = zone.map_or_else(String::new, |zone| {
        format!(" ({} says so)", if zone == "." { "the root".to_owned() } else { format!("the zone {zone}") })
    });
    let names = if tried.len() > 1 {
        format!(", nor does it with any suffix of the search list ({} names tried)", tried.len())
    } else {
        String::new()
    };
    let sentence =
        format!("the name {host} does not exist{whose}{names}: it is misspelt, in another namespace, or not created");
    Fault::fatal(Layer::Dns, "nxdomain", sentence)
        .evidence(format!("tried: {}", tried.join(", ")))
        .next(format!("netkit dig +search +showsearch {host}"))
}

/// The name under suffixes that clusters have and this search list lacks.
fn elsewhere(world: &World, record: &mut Record) -> Option<(String, Vec<std::net::IpAddr>)> {
    let mut domains: Vec<String> = vec!["cluster.local".to_owned()];
    for suffix in &record.conf.search {
        let parts: Vec<&str> = suffix.trim_end_matches('.').split('.').collect();
        // A suffix of the cluster's, or a parent of any suffix.
        if let Some(at) = parts.iter().position(|part| *part == "svc") {
            domains.push(parts.get(at + 1..).unwrap_or_default().join("."));
        }
        domains.extend(
            (1..parts.len()).filter_map(|at| parts.get(at..)).filter(|rest| rest.len() > 1).map(|rest| rest.join(".")),
        );
    }
    let bare = record.host.trim_end_matches('.');
    let mut names: Vec<String> = Vec::new();
    for domain in domains {
        names.push(format!("{bare}.svc.{domain}"));
        names.push(format!("{bare}.default.svc.{domain}"));
        names.push(format!("{bare}.{domain}"));
    }
    let mut seen: Vec<Name> = record.candidates.clone();
    let server = *record.steps.last()?.replies.first().map(|reply| &reply.server)?;
    let patience = world.patience().min(Duration::from_millis(1_000));
    for text in names.into_iter().take(24) {
        let Ok(name) = Name::parse(&text) else { continue };
        if seen.contains(&name) {
            continue;
        }
        seen.push(name.clone());
        let found = crate::ask::over_udp(server, &name, &[RrType::A, RrType::AAAA], patience, patience / 4);
        // A silent server is asked no further.
        if found.iter().all(|reply| !reply.spoke()) {
            return None;
        }
        let addresses: Vec<std::net::IpAddr> = found.iter().flat_map(|reply| reply.addresses.clone()).collect();
        if !addresses.is_empty() {
            record.surveyed.extend(found);
            return Some((plain(&name), addresses));
        }
    }
    None
}

/// An address was found; what was wrong on the way to it.
pub(crate) fn success(world: &World, record: &mut Record, report: &mut Report) {
    let mut faults: Vec<Fault> = Vec::new();
    let host = record.host.clone();
    let conf = record.conf.clone();
    let all: Vec<Reply> =
        record.surveyed.iter().chain(record.steps.iter().flat_map(|step| &step.replies)).cloned().collect();
    let winner = record.steps.last().and_then(|step| step.replies.first()).map(|reply| reply.server);
    for (index, server) in record.servers.iter().enumerate() {
        let own: Vec<&Reply> = all.iter().filter(|reply| reply.server == *server).collect();
        if own.is_empty() || Some(*server) == winner {
            continue;
        }
        let udp = || own.iter().filter(|reply| !reply.tcp);
        let Some(worst) = udp().next() else { continue };
        let ordinal = if index == 0 { "first" } else { "next" };
        let other = winner.map_or_else(String::new, |server| server.ip().to_string());
        if udp().all(|reply| !reply.spoke()) {
            let refused = udp().all(|reply| matches!(reply.outcome, Outcome::Failed(_)));
            let (cause, sentence) = if refused {
                (
                    "first_nameserver_refused",
                    format!(
                        "the {ordinal} name server {} of resolv.conf does not serve ({}); programs that go on to {other} still get an answer",
                        server.ip(),
                        worst.outcome
                    ),
                )
            } else {
                (
                    "first_nameserver_dead",
                    format!(
                        "the {ordinal} name server {} of resolv.conf does not answer: every look-up with glibc waits {} s before {other} is asked",
                        server.ip(),
                        conf.timeout
                    ),
                )
            };
            faults.push(Fault::impaired(Layer::Dns, cause, sentence));
        } else if udp().all(|reply| !reply.is_final()) {
            let sentence = format!(
                "the {ordinal} name server {} of resolv.conf answers {} instead of the address; {other} knows it",
                server.ip(),
                worst.outcome
            );
            faults.push(Fault::impaired(Layer::Dns, "lame_nameserver", sentence));
        }
    }
    let sunk =
        |address: &std::net::IpAddr| address.is_unspecified() || (address.is_loopback() && !host.contains("localhost"));
    if !record.named && record.found.iter().all(sunk) {
        let blocked = if record.found.iter().all(std::net::IpAddr::is_unspecified) {
            "a resolver that blocks names answers like this"
        } else {
            "programs reach themselves by it"
        };
        let text = format!("{host} is answered with {}, which is this machine itself: {blocked}", list(&record.found));
        report.note(Layer::Dns, text.clone());
        let gravity =
            if record.found.iter().all(std::net::IpAddr::is_unspecified) { Gravity::Fatal } else { Gravity::Advice };
        report.faults.push(Fault::new(Layer::Dns, "sinkhole", gravity, text));
    }
    let last = record.steps.last().map(|step| step.replies.clone()).unwrap_or_default();
    let lost: Vec<&Reply> = all
        .iter()
        .filter(|reply| Some(reply.server) == winner && !reply.tcp && reply.outcome == Outcome::Timeout)
        .collect();
    let both = lost.len() >= record.types.len() && last.iter().all(Reply::spoke);
    if let (true, Some(reply)) = (both, lost.first()) {
        let sentence = format!(
            "the name server {} left the first questions for {} without an answer and answered them when asked again: queries or answers get lost, and programs wait {} s each time",
            reply.server.ip(),
            plain(&reply.name),
            conf.timeout
        );
        faults.push(Fault::impaired(Layer::Dns, "queries_lost", sentence));
    }
    for reply in last.iter().filter(|reply| reply.outcome == Outcome::Timeout) {
        let sentence = format!(
            "the name server {} answers for {host} and leaves {} questions without an answer: programs that ask for both wait {} s for nothing",
            reply.server.ip(),
            reply.rtype,
            conf.timeout * conf.attempts.max(1)
        );
        let cause = if reply.rtype == RrType::AAAA { "aaaa_hangs" } else { "a_hangs" };
        faults.push(Fault::impaired(Layer::Dns, cause, sentence));
    }
    if let Some(reply) = last.iter().find(|reply| reply.again) {
        let sentence = format!(
            "of the two questions for {host} that are sent at once, {} answers one and the other is lost: a race in connection tracking does this, and programs wait {} s",
            reply.server.ip(),
            conf.timeout
        );
        faults.push(Fault::impaired(Layer::Dns, "one_of_two_lost", sentence).unsure());
    }
    for reply in last.iter().filter(|reply| {
        matches!(reply.outcome, Outcome::Rcode(rcode) if rcode != Rcode::NXDOMAIN) || is_nxdomain(reply)
    }) {
        let sentence = format!(
            "the name server {} answers {} for the {} record of {host}, although it exists: musl and others give up at this",
            reply.server.ip(),
            reply.outcome,
            reply.rtype
        );
        faults.push(Fault::impaired(Layer::Dns, "one_family_fails", sentence));
    }
    let truncated = any(&record.surveyed, |reply| reply.outcome == Outcome::Truncated);
    let tcp_failed = record.surveyed.iter().find(|reply| reply.tcp && !reply.spoke());
    if let (true, Some(reply)) = (truncated, tcp_failed) {
        let sentence = format!(
            "answers for {host} do not fit into a datagram, and TCP port 53 of {} does not work: programs with glibc or Go fail, others use the part that fits",
            reply.server.ip()
        );
        faults.push(Fault::impaired(Layer::Dns, "truncated_tcp_blocked", sentence));
    } else if truncated {
        report.note(Layer::Dns, "the answer did not fit into a datagram and was fetched over TCP");
    }
    let queries: usize = record.steps.iter().map(|step| step.replies.len()).sum();
    let wasted: Duration = record.steps.iter().rev().skip(1).map(|step| step.elapsed).sum();
    let slowest = last
        .iter()
        .chain(record.steps.iter().flat_map(|step| &step.replies))
        .filter(|reply| reply.spoke() && !reply.again)
        .max_by_key(|reply| reply.elapsed);
    if let Some(slow) = slowest.filter(|reply| reply.elapsed >= SLOW) {
        let sentence = format!(
            "the name server {} is slow: it took {} for {}",
            slow.server.ip(),
            millis(slow.elapsed),
            plain(&slow.name)
        );
        faults.push(Fault::impaired(Layer::Dns, "slow_nameserver", sentence));
    } else if wasted >= SLOW {
        let sentence = format!(
            "{} of {queries} queries for {host} were for names that do not exist (ndots:{}), and took {}: write it with a dot at the end, or lower ndots",
            queries - last.len(),
            conf.ndots,
            millis(wasted)
        );
        faults.push(Fault::impaired(Layer::Dns, "ndots_fanout", sentence));
    } else if queries >= MANY_QUERIES && record.steps.len() > 2 {
        let text = format!(
            "{} of {queries} queries for {host} were for names that do not exist (ndots:{}, {} suffixes); {host}. with a dot at the end asks once",
            queries - last.len(),
            conf.ndots,
            conf.search.len()
        );
        report.note(Layer::Dns, text.clone());
        report.faults.push(Fault::new(Layer::Dns, "ndots_fanout", Gravity::Advice, text));
    }
    let doubtful = record
        .steps
        .iter()
        .flat_map(|step| &step.replies)
        .chain(&record.surveyed)
        .any(|reply| !reply.is_final() && reply.outcome != Outcome::Truncated);
    if doubtful {
        faults.extend(others(world, record, report));
    }
    let next = dig_command(record, winner);
    let lines = evidence(record);
    for fault in faults {
        report.note(Layer::Dns, fault.sentence.clone());
        let fault = if fault.next.is_empty() { fault.next(next.clone()) } else { fault };
        report.faults.push(fault.all_evidence(lines.clone()));
    }
}

/// How musl and Go fare with what glibc gets past.
fn others(world: &World, record: &Record, report: &mut Report) -> Option<Fault> {
    let mut conf = ResolvConf::parse(&format!("{}\noptions timeout:1 attempts:1\n", record.conf.text));
    conf.search.clone_from(&record.conf.search);
    let port = world.options.dns_port;
    conf.nameservers.iter_mut().chain(&mut conf.nameservers_loose).for_each(|server| server.set_port(port));
    let played = simulate::World {
        resolv_conf: Some(conf),
        hosts: world.hosts(),
        nsswitch: None,
        host_conf: None,
        localdomain: world.localdomain.clone(),
        res_options: None,
        hostname: String::new(),
        port,
    };
    let family = world.options.family;
    let verdicts: Vec<simulate::Verdict> = std::thread::scope(|scope| {
        let threads: Vec<_> = [Resolver::Musl, Resolver::Go]
            .into_iter()
            .map(|resolver| {
                scope.spawn({
                    let (host, played) = (&record.host, &played);
                    move || simulate::run(resolver, host, family, played)
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let failing: Vec<&simulate::Verdict> = verdicts.iter().filter(|verdict| verdict.code != Code::Ok).collect();
    let first = failing.first()?;
    let names: Vec<&str> = failing.iter().map(|verdict| verdict.resolver.name()).collect();
    let sentence = format!("{} resolves for glibc and not for {}: {}", record.host, names.join(" and "), first.why);
    report.note(Layer::Dns, sentence.clone());
    Some(
        Fault::impaired(Layer::Dns, "resolvers_differ", sentence)
            .next(format!("netkit dig --as glibc,musl,go {}", record.host)),
    )
}
