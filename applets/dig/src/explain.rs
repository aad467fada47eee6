//! `+explain`: one plain sentence on what the last reply means; and the NOTE that a search suffix would have helped.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use netkit_core::text::printable;
use netkit_dns::transport::udp_exchange;
use netkit_wire::dns::{EdnsOption, Message, Name, Rcode, RrType, Section};

use crate::json::Attempt;
use crate::modes::{has_id, query};
use crate::print;
use crate::session::Env;

/// What the sentence is made of.
pub(crate) struct Facts<'a> {
    /// The name as typed.
    pub(crate) typed: &'a str,
    /// The last reply shown, if any came.
    pub(crate) last: Option<&'a Message>,
    /// Every try, in order.
    pub(crate) attempts: &'a [Attempt],
    /// The search list was in use.
    pub(crate) searched: bool,
    /// Suffixes in resolv.conf.
    pub(crate) suffixes: usize,
}

/// The sentence.
pub(crate) fn sentence(facts: &Facts<'_>) -> String {
    let Some(message) = facts.last else { return no_reply(facts.attempts) };
    let server =
        facts.attempts.last().map_or_else(|| "the server".to_owned(), |attempt| print::address(attempt.server));
    let asked = message.questions.first();
    let name = asked.map_or_else(|| facts.typed.to_owned(), |question| question.name.to_string());
    let rtype = asked.map_or(RrType::A, |question| question.rtype);
    let mut out = match message.rcode() {
        Rcode::NOERROR => noerror(message, &server, &name, rtype),
        Rcode::NXDOMAIN => nxdomain(facts, message, &server, &name),
        Rcode::SERVFAIL => format!(
            "{server} tried and failed (SERVFAIL): its upstream is broken or unreachable, or DNSSEC validation failed; +cd tells which"
        ),
        Rcode::REFUSED => {
            format!("{server} refuses to answer this client or this zone (REFUSED): wrong server, or its access list")
        }
        Rcode::FORMERR => format!("{server} did not understand the query (FORMERR): try +noedns"),
        Rcode::NOTIMP => format!("{server} does not offer this kind of query (NOTIMP)"),
        rcode => format!("{server} answered {rcode}"),
    };
    if let Some(reason) = extended_error(message) {
        out.push_str(&format!("; the server says: {reason}"));
    }
    if let Some(fault) = &message.fault {
        out.push_str(&format!("; the reply itself is broken: {fault}"));
    }
    out
}

fn noerror(message: &Message, server: &str, name: &str, rtype: RrType) -> String {
    let answers: Vec<_> = message.section(Section::Answer).filter(|record| !record.is_pseudo()).collect();
    let wanted: Vec<_> = answers.iter().filter(|record| record.rtype == rtype || rtype == RrType::ANY).collect();
    let source = if message.header.aa { "with authority" } else { "from its cache or upstream" };
    if let Some(first) = wanted.first() {
        let aliased = answers.iter().any(|record| record.rtype == RrType::CNAME) && rtype != RrType::CNAME;
        let alias = if aliased { format!(" behind the alias for {}", first.owner) } else { String::new() };
        let ttl = wanted.iter().map(|record| record.ttl).min().unwrap_or(0);
        let plural = if wanted.len() == 1 { "record" } else { "records" };
        return format!(
            "{name} has {} {rtype} {plural}{alias}; {server} says so {source}, for the next {ttl} s",
            wanted.len()
        );
    }
    if answers.iter().any(|record| record.rtype == RrType::CNAME) {
        return format!("{name} is an alias, but what it points to has no {rtype} record here");
    }
    let referral = message.section(Section::Authority).find(|record| record.rtype == RrType::NS);
    match referral {
        Some(record) if !message.header.aa => format!(
            "{server} does not know and points to the servers of {}: it does not look things up for others",
            record.owner
        ),
        _ => format!("{name} exists, but has no {rtype} record (NODATA); {server} says so {source}"),
    }
}

fn nxdomain(facts: &Facts<'_>, message: &Message, server: &str, name: &str) -> String {
    let zone = message.section(Section::Authority).find(|record| record.rtype == RrType::SOA);
    let zone = zone.map_or_else(String::new, |record| format!(" in the zone {}", record.owner));
    let mut out = format!("{name} does not exist{zone} (NXDOMAIN), says {server}");
    if facts.searched {
        out.push_str(&format!("; the search list of {} suffixes was tried", facts.suffixes));
    } else if facts.suffixes > 0 && !facts.typed.ends_with('.') {
        out.push_str("; the search list was not used, so an application may still find it: try +search or --as all");
    }
    out
}

/// What silence and refusal mean, told apart by how the tries ended.
fn no_reply(attempts: &[Attempt]) -> String {
    let servers: BTreeSet<String> = attempts.iter().map(|attempt| print::address(attempt.server)).collect();
    let list = servers.into_iter().collect::<Vec<_>>().join(", ");
    if attempts.is_empty() {
        return "no query could be sent".to_owned();
    }
    let all = |what: &str| {
        attempts.iter().all(|attempt| attempt.outcome.as_ref().is_err_and(|failure| failure.contains(what)))
    };
    if all("refused") {
        format!("nothing listens on {list}: the host is there and rejects; wrong port, or the server is not running")
    } else if all("timed out") {
        format!("{list} stayed silent: wrong address, a policy that drops, or a server that is down")
    } else if all("unreachable") {
        format!("there is no way to {list}: no route, or a router says unreachable")
    } else {
        let failures: BTreeSet<String> = attempts.iter().filter_map(|attempt| attempt.outcome.clone().err()).collect();
        format!("no usable answer from {list}: {}", failures.into_iter().collect::<Vec<_>>().join(", "))
    }
}

fn extended_error(message: &Message) -> Option<String> {
    let option = message.opt()?.options.into_iter().find(|option| option.code == EdnsOption::EDE)?;
    Some(printable(&option.decoded(None)?))
}

/// How long the NOTE may take, all in all.
const NOTE_TIMEOUT: Duration = Duration::from_secs(1);
/// Suffixes tried for it.
const NOTE_SUFFIXES: usize = 6;

/// After a bare look-up that found nothing: whether a search suffix would have. Asks the same server.
pub(crate) fn note(typed: &str, rtype: RrType, server: Option<SocketAddr>, env: &Env) -> Option<String> {
    if typed.ends_with('.') || typed.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let target = server?;
    let started = env.clock.instant();
    for suffix in env.resolv.search.iter().take(NOTE_SUFFIXES) {
        let full = format!("{typed}.{}", suffix.trim_start_matches('.'));
        let Ok(name) = Name::parse(&full) else { continue };
        let left = NOTE_TIMEOUT.checked_sub(started.elapsed())?;
        let (id, bytes) = query(&name, rtype, 1232, false);
        let reply = udp_exchange(target, None, &bytes, left, &mut |reply, _| has_id(reply, id)).ok()?;
        let message = Message::decode(reply.bytes).ok()?;
        if message.rcode() == Rcode::NOERROR && message.section(Section::Answer).next().is_some() {
            return Some(format!(
                ";; NOTE: {name} does have {rtype} records; dig does not use the search list unless +search is given"
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use netkit_wire::dns::{Class, Query, Question};

    fn reply(rcode: u8, aa: bool) -> Message {
        let question = Question { name: Name::parse("web").unwrap(), rtype: RrType::A, class: Class::IN };
        let mut query = Query::new(1, question);
        query.header.qr = true;
        query.header.rcode = rcode;
        query.header.aa = aa;
        Message::decode(query.encode()).unwrap()
    }

    fn attempt(outcome: Result<Rcode, String>) -> Attempt {
        Attempt { server: "10.0.0.10:53".parse().unwrap(), transport: "udp", elapsed: Duration::ZERO, outcome }
    }

    fn said(last: Option<&Message>, attempts: &[Attempt], searched: bool) -> String {
        sentence(&Facts { typed: "web", last, attempts, searched, suffixes: 3 })
    }

    #[test]
    fn sentences() {
        let tried = [attempt(Ok(Rcode::NOERROR))];
        let nx = reply(3, true);
        assert!(
            said(Some(&nx), &tried, false)
                .contains("web. does not exist (NXDOMAIN), says 10.0.0.10#53; the search list was not used")
        );
        assert!(said(Some(&nx), &tried, true).contains("search list of 3 suffixes was tried"));
        assert!(said(Some(&reply(0, true)), &tried, false).contains("exists, but has no A record (NODATA)"));
        assert!(said(Some(&reply(2, false)), &tried, false).contains("SERVFAIL"));
        assert!(said(None, &[attempt(Err("timed out".into()))], false).contains("stayed silent"));
        assert!(
            said(None, &[attempt(Err("connection refused".into()))], false).contains("nothing listens on 10.0.0.10#53")
        );
        assert!(said(None, &[], false).contains("no query could be sent"));
    }
}
