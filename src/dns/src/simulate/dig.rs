//! `dig +search`: one type, one server after the other, and a search that goes on only after NXDOMAIN.

use std::net::SocketAddr;
use std::time::Duration;

use netkit_wire::dns::{Message, Name, NameError, Rcode, RrType};

use super::{Ask, Code, Dress, Family, Finding, LOCALHOST_V4, LOCALHOST_V6, Log, Outcome, World, over_tcp};
use crate::resolv_conf::server_address;
use crate::transport::{Failure, udp_exchange};

/// dig's own +tries and +timeout, where resolv.conf has no `attempts` and `timeout`.
const TRIES: u32 = 3;
const TIMEOUT: u32 = 5;
const EDNS_SIZE: u16 = 1232;
/// Servers that BIND's reader keeps.
const MAX_SERVERS: usize = 3;

pub(super) fn look_up(name: &str, family: Family, world: &World, log: &mut Log) -> Finding {
    let text = world.resolv_conf.as_ref().map_or("", |conf| conf.text.as_str());
    let conf = match Strict::parse(text) {
        Ok(conf) => conf,
        Err(line) => {
            return Finding::failed(
                Code::Fail,
                format!("dig refuses resolv.conf because of `{line}` and asks nothing"),
            );
        }
    };
    let servers = super::servers(conf.servers.iter(), MAX_SERVERS, &[LOCALHOST_V6, LOCALHOST_V4], world);
    // dig looks one type up; what it would be asked for is A unless told otherwise.
    let rtype = if family == Family::Inet6 { RrType::AAAA } else { RrType::A };
    let dots = name.bytes().filter(|byte| *byte == b'.').count();
    let enough = dots >= usize::try_from(conf.ndots).unwrap_or(usize::MAX);
    let mut names: Vec<(String, String)> = Vec::new();
    if !name.ends_with('.') && !enough {
        for (number, suffix) in (1..).zip(&conf.search) {
            let full = if suffix == "." { format!("{name}.") } else { format!("{name}.{suffix}") };
            names.push((format!("search suffix {number} (`{suffix}`)"), full));
        }
    }
    names.push(("the name as typed".to_owned(), name.to_owned()));
    for (what, text) in names {
        let full = match Name::parse(&text) {
            Ok(full) => full,
            // A name that grew too long is passed over; one that is none ends it.
            Err(NameError::TooLong) if text != name => continue,
            Err(error) => return Finding::failed(Code::Fail, format!("`{text}` is not a legal name ({error})")),
        };
        let ask = Ask::new(&full, rtype, Dress { ad: true, edns: Some(EDNS_SIZE) });
        let Some(message) = conf.ask(&ask, &servers, log) else {
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

/// resolv.conf as BIND's lib/irs reads it: as a stream of words, and all of it or nothing.
struct Strict {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: u32,
    tries: u32,
    timeout: Duration,
}

impl Strict {
    /// The offending line on failure.
    fn parse(text: &str) -> Result<Strict, String> {
        let mut conf =
            Strict { servers: Vec::new(), search: Vec::new(), ndots: 1, tries: TRIES, timeout: seconds(TIMEOUT) };
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let mut words = line.split_whitespace().take_while(|word| !word.starts_with(['#', ';']));
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().unwrap_or("");
                    match server_address(address).filter(|_| !address.contains('%')) {
                        Some(_) if conf.servers.len() == MAX_SERVERS => {}
                        Some(server) => conf.servers.push(server),
                        None => return Err(line.to_owned()),
                    }
                }
                Some("domain") => {
                    conf.search = words.by_ref().take(1).map(str::to_owned).collect();
                    if conf.search.is_empty() || words.next().is_some() {
                        return Err(line.to_owned());
                    }
                }
                Some("search") => {
                    let mut list: Vec<String> = words.map(str::to_owned).collect();
                    if list.is_empty() {
                        // Its reader skips the line end when it looks for the first word.
                        list = lines.next().unwrap_or("").split_whitespace().map(str::to_owned).collect();
                    }
                    conf.search = list;
                }
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        Ok(conf)
    }

    fn option(&mut self, word: &str) {
        let Some((key, number)) = word.split_once(':').and_then(|(key, text)| Some((key, text.parse::<u32>().ok()?)))
        else {
            return;
        };
        match key {
            "ndots" => self.ndots = number,
            "attempts" => self.tries = number.max(1),
            "timeout" if number > 0 => self.timeout = seconds(number),
            _ => {}
        }
    }

    /// The first server has all the tries, each further one a single try; a truncated reply starts over with TCP.
    fn ask(&self, ask: &Ask, servers: &[SocketAddr], log: &mut Log) -> Option<Message> {
        let mut tcp = false;
        for (at, server) in servers.iter().enumerate() {
            let mut tries = if at == 0 { self.tries } else { 1 };
            while tries > 0 {
                tries -= 1;
                if tcp {
                    let replies = over_tcp(&[ask], *server, self.timeout, log);
                    match replies.ok().and_then(|mut replies| replies.pop()) {
                        Some(message) => return Some(message),
                        None => continue,
                    }
                }
                let number = log.sent(*server, false, ask);
                let mut accept = |bytes: &[u8], _| ask.matches(bytes);
                match udp_exchange(*server, None, &ask.bytes, self.timeout, &mut accept) {
                    Ok(reply) => {
                        let message = Message::decode(reply.bytes).ok()?;
                        log.ended(number, ask.judge(&message));
                        if !message.header.tc {
                            return Some(message);
                        }
                        tcp = true;
                        tries = self.tries;
                    }
                    Err(Failure::TimedOut) => {}
                    Err(failure) => log.ended(number, Outcome::Failed(failure)),
                }
            }
        }
        None
    }
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(u64::from(number))
}
