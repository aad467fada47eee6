//! `dig +search`: one type, one server after the other, and a search that goes on only after NXDOMAIN.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use netkit_wire::dns::{Message, Name, Rcode, RrType};

use super::{Ask, Code, Dress, Family, Finding, Log, Outcome, World, over_tcp};
use crate::transport::{Failure, udp_exchange};

/// dig's own +tries and +timeout.
const TRIES: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(5);
const EDNS_SIZE: u16 = 1232;

pub(super) fn look_up(name: &str, family: Family, world: &World, log: &mut Log) -> Finding {
    let conf = world.resolv_conf.clone().unwrap_or_default();
    let mut servers = conf.nameservers.clone();
    if servers.is_empty() {
        servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
    }
    for server in &mut servers {
        server.set_port(world.port);
    }
    // dig looks one type up; what it would be asked for is A unless told otherwise.
    let rtype = if family == Family::Inet6 { RrType::AAAA } else { RrType::A };
    let dots = name.bytes().filter(|byte| *byte == b'.').count();
    let enough = dots >= usize::try_from(conf.ndots).unwrap_or(usize::MAX);
    let mut names: Vec<(String, String)> = Vec::new();
    if !name.ends_with('.') && !enough {
        for (number, suffix) in (1..).zip(&conf.search) {
            names.push((
                format!("search suffix {number} (`{suffix}`)"),
                format!("{name}.{}", suffix.trim_start_matches('.')),
            ));
        }
    }
    names.push(("the name as typed".to_owned(), name.to_owned()));
    for (what, text) in names {
        let Ok(full) = Name::parse(&text) else {
            return Finding::failed(Code::Fail, format!("`{text}` is not a legal name"));
        };
        let ask = Ask::new(&full, rtype, Dress { ad: true, edns: Some(EDNS_SIZE) });
        let Some(message) = ask_servers(&ask, &servers, log) else {
            return Finding::failed(Code::Again, "no servers could be reached");
        };
        let answers = ask.addresses(&message);
        if !answers.is_empty() {
            return Finding::found(answers, format!("{what} answered"));
        }
        match message.rcode() {
            Rcode::NXDOMAIN => {}
            Rcode::NOERROR => {
                return Finding::failed(Code::NoData, format!("{what} has no {rtype} record, and dig stops there"));
            }
            rcode => return Finding::failed(Code::Again, format!("{what} gave {rcode}, and dig stops there")),
        }
    }
    let why = if enough && !conf.search.is_empty() && !name.ends_with('.') {
        format!("the name has {dots} dots, at least ndots:{}, so dig never tries the search list", conf.ndots)
    } else {
        "every name that was tried does not exist".to_owned()
    };
    Finding::failed(Code::NoName, why)
}

fn ask_servers(ask: &Ask, servers: &[SocketAddr], log: &mut Log) -> Option<Message> {
    for server in servers {
        for _ in 0..TRIES {
            let number = log.sent(*server, false, ask);
            let mut accept = |bytes: &[u8], _| ask.matches(bytes);
            match udp_exchange(*server, None, &ask.bytes, TIMEOUT, &mut accept) {
                Ok(reply) => {
                    let message = Message::decode(reply.bytes).ok()?;
                    log.ended(number, ask.judge(&message));
                    if !message.header.tc {
                        return Some(message);
                    }
                    return over_tcp(&[ask], *server, TIMEOUT, log).ok()?.pop();
                }
                Err(Failure::TimedOut) => {}
                Err(failure) => log.ended(number, Outcome::Failed(failure)),
            }
        }
    }
    None
}
