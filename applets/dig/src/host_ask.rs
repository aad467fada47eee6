//! The lookup that `host` and `nslookup` share: servers in turn, tries, TCP after truncation, search list, transfers.
//!
//! It follows the order of events of BIND 9.18, like dig's own engine, but leaves every line about a reply to a
//! [`Face`], because the two programs show the same messages in unlike words.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use netkit_core::text::printable;
use netkit_core::{Error, Exit};
use netkit_dns::random::random_u64;
use netkit_dns::transport::{Failure, TcpConnection, udp_receive, udp_socket};
use netkit_wire::dns::{Class, Message, Name, Opcode, Query, Question, Rcode, RrType, Section, reverse_name};

use crate::engine::bare;
use crate::json::Attempt;
use crate::lookup::{Family, Globals, Server, Settings};
use crate::print::{self, Shown};
use crate::search::label_count;
use crate::session::{Env, Sink};
use crate::xfr::{Progress, Transfer};
use crate::{json, servers, yaml};

/// Seconds to wait for a UDP reply.
const UDP_TIMEOUT: u32 = 5;
/// Seconds to wait for a TCP connection, and for each message on it.
const TCP_TIMEOUT: u32 = 10;
/// Most times one lookup may start over, whatever makes it do so.
const RESTARTS: u32 = 64;

/// What is asked, and how.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The name as typed, or the reverse name of an address with its final dot.
    pub(crate) name: String,
    pub(crate) rtype: RrType,
    pub(crate) class: Class,
    /// RD.
    pub(crate) recurse: bool,
    pub(crate) tcp: bool,
    /// Attempts, at least 1.
    pub(crate) tries: u32,
    /// Seconds; `None` for what resolv.conf or BIND's default says.
    pub(crate) timeout: Option<Duration>,
    /// Use the search list.
    pub(crate) search: bool,
    /// Suffixes to append, in order.
    pub(crate) origins: Vec<String>,
    pub(crate) ndots: usize,
    /// SERVFAIL ends the lookup instead of leading to the next server.
    pub(crate) servfail_stops: bool,
    /// A reply without RA leads to the next server.
    pub(crate) check_ra: bool,
    /// Say why another server or TCP is used.
    pub(crate) comments: bool,
    /// Show replies that the search list passes over.
    pub(crate) show_search: bool,
    /// `ixfr=`
    pub(crate) serial: u32,
    pub(crate) port: u16,
    pub(crate) family: Family,
    /// Asked in turn; never empty.
    pub(crate) servers: Vec<Server>,
    /// NS first, then the SOA of each server named.
    pub(crate) compare_soa: bool,
    /// Status when the name is none.
    pub(crate) illegal: Exit,
    /// One object per reply, with this schema, and no text.
    pub(crate) json: Option<&'static str>,
}

/// A reply and how it came.
pub(crate) struct Reply<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) message: &'a Message,
    /// The name that was asked, with its suffix.
    pub(crate) name: &'a Name,
    pub(crate) rtype: RrType,
    pub(crate) server: &'a Server,
    pub(crate) peer: SocketAddr,
    /// It came over TCP; lookups that follow from it go there at once.
    pub(crate) tcp: bool,
}

/// What a program makes of the events.
pub(crate) trait Face {
    /// A query for this name is about to leave.
    fn trying(&mut self, _sink: &mut Sink<'_>, _name: &Name) {}
    /// A reply to show.
    fn reply(&mut self, sink: &mut Sink<'_>, reply: &Reply<'_>);
    /// A lookup ended with a reply: octets in all, from whom, and the time since the query left.
    fn received(&mut self, _sink: &mut Sink<'_>, _bytes: u64, _from: SocketAddr, _elapsed: Duration) {}
}

/// The reply of a server, owned.
struct Received {
    message: Message,
    peer: SocketAddr,
    local: Option<SocketAddr>,
    elapsed: Duration,
    sent_at: SystemTime,
}

/// One go through the servers. What makes a lookup start over changes a copy of it.
#[derive(Clone)]
struct Pass {
    /// Index of the suffix in use.
    origin: Option<usize>,
    need_search: bool,
    done_as_is: bool,
    fresh: bool,
    tries: u32,
    tcp: bool,
}

enum Step {
    Again,
    Next,
    Restart(Pass),
    /// The name servers of a zone, for `compare_soa`.
    Compare(Vec<Server>, Name),
    Done,
}

/// Runs one lookup. Whether any server replied.
///
/// # Errors
/// When the name is none.
pub(crate) fn run(ask: &Ask, env: &Env, face: &mut dyn Face, sink: &mut Sink<'_>) -> Result<bool, Error> {
    let mut run = Run { ask, env, face, sink, attempts: Vec::new(), replied: false };
    let mut next =
        Some(Pass { origin: None, need_search: false, done_as_is: false, fresh: true, tries: ask.tries, tcp: ask.tcp });
    for _ in 0..RESTARTS {
        let Some(pass) = next.take() else { break };
        next = run.pass(pass)?;
        run.sink.flush();
        if run.sink.broken.is_some() {
            break;
        }
    }
    Ok(run.replied)
}

struct Run<'r, 's> {
    ask: &'r Ask,
    env: &'r Env,
    face: &'r mut dyn Face,
    sink: &'r mut Sink<'s>,
    attempts: Vec<Attempt>,
    replied: bool,
}

/// A query on its way.
struct Sent {
    question: Question,
    id: u16,
    bytes: Vec<u8>,
}

impl Sent {
    fn new(ask: &Ask, name: Name, rtype: RrType, recurse: bool) -> Sent {
        let [high, low, ..] = random_u64().to_be_bytes();
        let id = u16::from_be_bytes([high, low]);
        let question = Question { name, rtype, class: ask.class };
        let mut query = Query::new(id, question.clone());
        let transfer = rtype == RrType::AXFR || rtype == RrType::IXFR;
        query.header.rd = recurse && !transfer;
        query.ixfr = (rtype == RrType::IXFR).then(|| (question.name.clone(), ask.serial));
        Sent { id, bytes: query.encode(), question }
    }
}

impl Run<'_, '_> {
    fn pass(&mut self, mut pass: Pass) -> Result<Option<Pass>, Error> {
        let Some(name) = self.name(&mut pass)? else { return Ok(self.next_origin(&pass)) };
        if self.ask.json.is_none() {
            self.face.trying(self.sink, &name);
        }
        let rtype = if self.ask.compare_soa { RrType::NS } else { self.ask.rtype };
        pass.tcp |= rtype == RrType::AXFR;
        let sent = Sent::new(self.ask, name, rtype, self.ask.recurse);
        let ask = self.ask;
        let mut at = 0;
        while let Some(server) = ask.servers.get(at) {
            let last = at + 1 == ask.servers.len();
            if let (Family::V6, Some(mapped)) = (ask.family, mapped(server)) {
                self.talk(&format!("Skipping mapped address '{mapped}'"));
                if last {
                    self.talk("No acceptable nameservers");
                }
                at += 1;
                continue;
            }
            let step = if pass.tcp {
                self.over_tcp(&mut pass, &sent, server, last)
            } else {
                self.over_udp(&mut pass, &sent, server, last)
            };
            self.sink.flush();
            match step {
                Step::Again => {}
                Step::Next => at += 1,
                Step::Restart(pass) => return Ok(Some(pass)),
                Step::Compare(servers, zone) => {
                    self.compare(&servers, zone, pass.tcp);
                    return Ok(None);
                }
                Step::Done => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The name of this pass; `None` when a suffix makes it too long.
    fn name(&mut self, pass: &mut Pass) -> Result<Option<Name>, Error> {
        let text = &self.ask.name;
        if pass.fresh {
            if text.matches('.').count() >= self.ask.ndots || !self.ask.search {
                pass.done_as_is = true;
                pass.need_search = self.ask.search;
            } else {
                pass.origin = (!self.ask.origins.is_empty()).then_some(0);
            }
            pass.fresh = false;
        }
        let Some(origin) = pass.origin.and_then(|index| self.ask.origins.get(index)) else {
            let illegal =
                |why| Error::new(self.ask.illegal, format!("'{}' is not a legal name ({why})", printable(text)));
            return Name::parse(text).map(Some).map_err(illegal);
        };
        let legal = |text: &str| {
            let illegal =
                |why| Error::new(Exit(1), format!("'{}' is not in legal name syntax ({why})", printable(text)));
            Name::parse(text).map_err(illegal)
        };
        let (suffix, name) = (legal(origin)?, legal(text)?);
        if is_absolute(text) {
            return Ok(Some(name));
        }
        Ok(name.concat(&suffix).ok())
    }

    /// The pass with the next suffix, if the search list has one and the name qualifies.
    fn next_origin(&self, pass: &Pass) -> Option<Pass> {
        let (ask, text) = (self.ask, &self.ask.name);
        let enough = Name::parse(text).is_ok_and(|name| label_count(&name) > ask.ndots);
        if !ask.search || is_absolute(text) || enough {
            return None;
        }
        let mut next = pass.clone();
        match pass.origin {
            None if !pass.need_search => return None,
            None => {
                next.origin = (!ask.origins.is_empty()).then_some(0);
                next.need_search = false;
            }
            Some(index) if index + 1 < ask.origins.len() => next.origin = Some(index + 1),
            Some(_) if pass.done_as_is => return None,
            Some(_) => next.origin = None,
        }
        Some(next)
    }

    fn timeout(&self, default: u32) -> Duration {
        let seconds = || Duration::from_secs(u64::from(self.env.timeout().unwrap_or(default)));
        self.ask.timeout.unwrap_or_else(seconds)
    }

    fn target(&self, server: &Server) -> SocketAddr {
        let port = server.port.unwrap_or(self.ask.port);
        match server.address {
            IpAddr::V6(v6) => std::net::SocketAddrV6::new(v6, port, 0, server.scope).into(),
            IpAddr::V4(_) => SocketAddr::new(server.address, port),
        }
    }

    fn over_udp(&mut self, pass: &mut Pass, sent: &Sent, server: &Server, last: bool) -> Step {
        let target = self.target(server);
        let (started, sent_at) = (Instant::now(), self.env.clock.now());
        let socket = match udp_socket(target, None) {
            Ok(socket) => socket,
            Err(failure) => {
                self.record(target, "udp", started.elapsed(), Err(failure.to_string()));
                let line = format!("UDP setup with {} failed: {failure}.", self.path(server, target));
                return self.cannot_start(pass, &line, last);
            }
        };
        let timeout = self.timeout(UDP_TIMEOUT);
        let mut found = None;
        let outcome = socket.send(&sent.bytes).map_err(Failure::from).and_then(|_| {
            udp_receive(&socket, target, started, timeout, &mut |bytes, _| {
                found = self.accept(sent, bytes);
                found.is_some()
            })
        });
        match (outcome, found) {
            (Ok(reply), Some(Ok(message))) => {
                let (peer, local, elapsed) = (reply.from, None, reply.elapsed);
                self.record(target, "udp", elapsed, Ok(message.rcode()));
                let received = Received { message, peer, local, elapsed, sent_at };
                self.reply(pass, sent, server, &received, last)
            }
            (Ok(_), Some(Err(()))) => Step::Done,
            (Ok(_), None) => self.lost(pass, target, "udp", started, &Failure::TimedOut, last),
            (Err(failure), _) => self.lost(pass, target, "udp", started, &failure, last),
        }
    }

    fn over_tcp(&mut self, pass: &mut Pass, sent: &Sent, server: &Server, last: bool) -> Step {
        let target = self.target(server);
        let (started, sent_at) = (Instant::now(), self.env.clock.now());
        let timeout = self.timeout(TCP_TIMEOUT);
        let mut connection = match TcpConnection::connect(target, None, timeout) {
            Ok(connection) => connection,
            Err(failure) => {
                self.record(target, "tcp", started.elapsed(), Err(failure.to_string()));
                let line = format!("Connection to {} failed: {failure}.", self.path(server, target));
                return self.cannot_start(pass, &line, last);
            }
        };
        let asked = Instant::now();
        if let Err(failure) = connection.send(&sent.bytes) {
            return self.lost(pass, target, "tcp", asked, &failure, last);
        }
        let rtype = sent.question.rtype;
        let mut transfer = Transfer::new(rtype, self.ask.serial);
        loop {
            let bytes = match connection.receive(Instant::now() + timeout) {
                Ok(bytes) => bytes,
                Err(failure) => return self.lost(pass, target, "tcp", asked, &failure, last),
            };
            let message = match self.accept(sent, &bytes) {
                Some(Ok(message)) => message,
                // On a stream nothing better follows a stranger.
                Some(Err(())) | None => return Step::Done,
            };
            let (peer, local, elapsed) = (connection.peer(), Some(connection.local()), asked.elapsed());
            let received = Received { message, peer, local, elapsed, sent_at };
            if transfer.size.messages == 0 {
                self.record(target, "tcp", elapsed, Ok(received.message.rcode()));
            }
            if rtype != RrType::AXFR && rtype != RrType::IXFR {
                return self.reply(pass, sent, server, &received, last);
            }
            let first = transfer.size.messages == 0;
            if let Some(step) = first.then(|| self.unsuitable(&received.message, server, last)).flatten() {
                return step;
            }
            self.show(sent, server, &received, true);
            match transfer.feed(&received.message) {
                Progress::More => {}
                Progress::Complete => {
                    self.finish(transfer.size.bytes, &received);
                    return Step::Done;
                }
                Progress::Failed(line) => {
                    if self.ask.json.is_none() {
                        self.sink.out.push_str(line);
                    }
                    return Step::Done;
                }
            }
            self.sink.flush_if_large();
            if self.sink.broken.is_some() {
                return Step::Done;
            }
        }
    }

    fn path(&self, server: &Server, target: SocketAddr) -> String {
        format!("{}({}) for {}", print::address(target), server.address, printable(&self.ask.name))
    }

    /// A socket could not be had. BIND says that no server could be reached before each new start, too.
    fn cannot_start(&mut self, pass: &mut Pass, line: &str, last: bool) -> Step {
        self.talk(line);
        if pass.tries > 1 {
            pass.tries -= 1;
            self.talk("no servers could be reached");
            return Step::Restart(pass.clone());
        }
        if last { self.nobody() } else { Step::Next }
    }

    /// The exchange failed under way.
    fn lost(
        &mut self,
        pass: &mut Pass,
        target: SocketAddr,
        transport: &'static str,
        started: Instant,
        failure: &Failure,
        last: bool,
    ) -> Step {
        self.record(target, transport, started.elapsed(), Err(failure.to_string()));
        self.talk(&format!("communications error to {}: {failure}", print::address(target)));
        if pass.tries > 1 {
            pass.tries -= 1;
            return if pass.tcp { Step::Restart(pass.clone()) } else { Step::Again };
        }
        if last { self.nobody() } else { Step::Next }
    }

    fn nobody(&mut self) -> Step {
        match self.ask.json {
            Some(schema) => {
                let settings = self.settings();
                let line = with_schema(json::no_reply(&settings, &self.attempts), schema);
                self.sink.out.push_str(&line);
            }
            None => self.talk("no servers could be reached"),
        }
        Step::Done
    }

    /// A message of ours, `Err` when it is unreadable, `None` when it belongs to someone else.
    fn accept(&mut self, sent: &Sent, bytes: &[u8]) -> Option<Result<Message, ()>> {
        let Some([high, low, flags, ..]) = bytes.get(..12) else {
            self.talk("Warning: short (< header size) message received");
            return None;
        };
        let id = u16::from_be_bytes([*high, *low]);
        if id != sent.id {
            self.talk(&format!("Warning: ID mismatch: expected ID {}, got {id}", sent.id));
            return None;
        }
        if flags & 0x80 == 0 {
            self.talk("Warning: query response not set");
        }
        let message = match Message::decode(bytes.to_vec()) {
            Ok(message) if message.questions.len() == usize::from(message.header.counts[0]) => message,
            Ok(message) => return self.unreadable(bytes, message.fault.as_ref().map_or("", |fault| &fault.what)),
            Err(fault) => return self.unreadable(bytes, &fault.what),
        };
        if message.header.opcode != Opcode::QUERY {
            let got = message.header.opcode;
            self.talk(&format!("Warning: Opcode mismatch: expected QUERY, got {got}"));
            return None;
        }
        if let Some(fault) = &message.fault {
            // What came before it is shown, where the peer shows nothing but bytes.
            self.sink.err.push_str(&format!(";; WARNING: message ended early: {fault}\n"));
        }
        for question in &message.questions {
            if *question != sent.question {
                let shown = bare(&question.name);
                self.talk(&format!(";; Question section mismatch: got {shown}/{}/{}", question.rtype, question.class));
                return None;
            }
        }
        Some(Ok(message))
    }

    fn unreadable(&mut self, bytes: &[u8], what: &str) -> Option<Result<Message, ()>> {
        self.talk(&format!("Got bad packet: {what}"));
        if self.ask.json.is_none() {
            print::hex_dump(&mut self.sink.out, bytes);
        }
        Some(Err(()))
    }

    /// A reply to something other than a transfer.
    fn reply(&mut self, pass: &mut Pass, sent: &Sent, server: &Server, received: &Received, last: bool) -> Step {
        let message = &received.message;
        if message.header.tc && !pass.tcp {
            self.comment("Truncated, retrying in TCP mode.");
            pass.tcp = true;
            return Step::Restart(pass.clone());
        }
        if let Some(step) = self.unsuitable(message, server, last) {
            return step;
        }
        let rcode = message.rcode();
        let mut next = Step::Done;
        if rcode == Rcode::NXDOMAIN && (pass.origin.is_some() || pass.need_search) {
            let more = self.next_origin(pass);
            if more.is_none() || self.ask.show_search {
                // BIND counts the octets here and, when no suffix was used, once more below.
                self.show(sent, server, received, pass.tcp);
                self.finish(message.bytes.len() as u64, received);
            }
            next = more.map_or(Step::Done, Step::Restart);
        } else if self.ask.compare_soa {
            self.replied = true;
            let named = self.name_servers(message);
            if !named.is_empty() {
                next = Step::Compare(named, sent.question.name.clone());
            }
        } else {
            self.show(sent, server, received, pass.tcp);
        }
        if rcode == Rcode::NOERROR || pass.origin.is_none() {
            self.finish(received.message.bytes.len() as u64, received);
        }
        next
    }

    /// Whether another server should be asked, when there is one.
    fn unsuitable(&mut self, message: &Message, server: &Server, last: bool) -> Option<Step> {
        let failed = message.rcode() == Rcode::SERVFAIL;
        let no_recursion = self.ask.check_ra && !message.header.ra && self.ask.recurse;
        if !no_recursion && (!failed || self.ask.servfail_stops) {
            return None;
        }
        let what = if failed { "SERVFAIL reply" } else { "recursion not available" };
        let then = if last { "" } else { ", trying next server" };
        self.comment(&format!("Got {what} from {}{then}", server.address));
        (!last).then_some(Step::Next)
    }

    /// The addresses of the name servers in a reply, looked up as the C library does.
    fn name_servers(&mut self, message: &Message) -> Vec<Server> {
        let mut section = Section::Answer;
        let is_ns = |section| message.section(section).any(|record| record.rtype == RrType::NS);
        if !is_ns(Section::Answer) {
            section = Section::Authority;
        }
        let mut found: Vec<Server> = Vec::new();
        for record in message.section(section).filter(|record| record.rtype == RrType::NS) {
            let Some(label) = message.rdata_name(record).map(|name| bare(&name)) else { continue };
            match servers::resolve(self.env, &label, self.ask.family) {
                Ok(addresses) => found.extend(addresses.into_iter().map(|(address, scope)| Server {
                    address,
                    scope,
                    port: None,
                    label: label.clone(),
                })),
                Err(why) => {
                    let text = format!("couldn't get address for '{}': {why}\n", printable(&label));
                    self.sink.err.push_str(&text);
                }
            }
        }
        found
    }

    /// The SOA from every server at once, shown as the replies come in.
    fn compare(&mut self, servers: &[Server], zone: Name, tcp: bool) {
        let sent = Sent::new(self.ask, zone, RrType::SOA, false);
        if self.ask.json.is_none() {
            self.face.trying(self.sink, &sent.question.name);
        }
        let timeout = self.timeout(if tcp { TCP_TIMEOUT } else { UDP_TIMEOUT });
        let (sender, replies) = std::sync::mpsc::channel();
        let targets: Vec<(&Server, SocketAddr)> = servers.iter().map(|server| (server, self.target(server))).collect();
        let mut answered = false;
        std::thread::scope(|scope| {
            for (server, target) in targets {
                let (sender, sent) = (sender.clone(), &sent);
                scope.spawn(move || {
                    let _ = sender.send((server, target, ask_one(target, sent, timeout, tcp)));
                });
            }
            drop(sender);
            for (server, target, outcome) in replies {
                let transport = if tcp { "tcp" } else { "udp" };
                match outcome {
                    Ok((bytes, local, elapsed)) => {
                        let Some(Ok(message)) = self.accept(&sent, &bytes) else { continue };
                        answered = true;
                        self.record(target, transport, elapsed, Ok(message.rcode()));
                        let sent_at = self.env.clock.now();
                        let received = Received { message, peer: target, local, elapsed, sent_at };
                        self.show(&sent, server, &received, tcp);
                        self.finish(received.message.bytes.len() as u64, &received);
                    }
                    Err(failure) => {
                        self.record(target, transport, timeout, Err(failure.to_string()));
                        self.talk(&format!("communications error to {}: {failure}", print::address(target)));
                    }
                }
                self.sink.flush();
            }
        });
        if !answered {
            self.talk("NS servers could not be reached");
        }
    }

    fn show(&mut self, sent: &Sent, server: &Server, received: &Received, tcp: bool) {
        self.replied = true;
        let (rtype, name) = (sent.question.rtype, &sent.question.name);
        let reply = Reply { ask: self.ask, message: &received.message, name, rtype, server, peer: received.peer, tcp };
        self.face.reply(self.sink, &reply);
        if let Some(schema) = self.ask.json {
            let (settings, globals) = (self.settings(), Globals::default());
            let shown = Shown {
                settings: &settings,
                globals: &globals,
                message: &received.message,
                sending: false,
                sent_cookie: None,
                sent_edns: None,
                sequence: 0,
                from: None,
                short_type: false,
            };
            let wire = yaml::Exchange {
                peer: received.peer,
                source: received.local,
                tcp,
                sent_at: received.sent_at,
                received_at: self.env.clock.now(),
            };
            let mut line = String::new();
            json::reply(&mut line, &shown, &wire, server, received.elapsed, &self.attempts);
            self.sink.out.push_str(&with_schema(line, schema));
        }
    }

    /// What dig's JSON printer wants to know of a lookup.
    fn settings(&self) -> Settings {
        Settings { name: self.ask.name.clone(), rtype: self.ask.rtype, class: self.ask.class, ..Settings::default() }
    }

    fn finish(&mut self, bytes: u64, received: &Received) {
        if self.ask.json.is_none() {
            self.face.received(self.sink, bytes, received.peer, received.elapsed);
        }
    }

    fn record(
        &mut self,
        server: SocketAddr,
        transport: &'static str,
        elapsed: Duration,
        outcome: Result<Rcode, String>,
    ) {
        if self.ask.json.is_some() {
            self.attempts.push(Attempt { server, transport, elapsed, outcome });
        }
    }

    fn comment(&mut self, text: &str) {
        if self.ask.comments {
            self.talk(text);
        }
    }

    /// What BIND says about the exchange, on stdout as there.
    fn talk(&mut self, text: &str) {
        if self.ask.json.is_none() {
            self.sink.out.push_str(";; ");
            self.sink.out.push_str(text);
            self.sink.out.push('\n');
        }
    }
}

/// The IPv4-mapped address (RFC 4291, 2.5.5.2) of a server that only IPv4 reaches.
fn mapped(server: &Server) -> Option<Ipv6Addr> {
    match server.address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map(|_| v6),
        IpAddr::V4(v4) => Some(v4.to_ipv6_mapped()),
    }
}

/// The reverse name of an address as text, or nothing when it is none. BIND writes the final dot for IPv4 only.
pub(crate) fn reverse_text(text: &str) -> Option<String> {
    match text.parse().ok()? {
        address @ IpAddr::V4(_) => Some(reverse_name(address).to_string()),
        address @ IpAddr::V6(_) => Some(bare(&reverse_name(address))),
    }
}

type RawReply = (Vec<u8>, Option<SocketAddr>, Duration);

fn ask_one(target: SocketAddr, sent: &Sent, timeout: Duration, tcp: bool) -> Result<RawReply, Failure> {
    let started = Instant::now();
    if tcp {
        let mut connection = TcpConnection::connect(target, None, timeout)?;
        connection.send(&sent.bytes)?;
        let bytes = connection.receive(Instant::now() + timeout)?;
        return Ok((bytes, Some(connection.local()), started.elapsed()));
    }
    let ours = |bytes: &[u8]| bytes.get(..2).is_some_and(|head| head == sent.id.to_be_bytes());
    let reply = netkit_dns::transport::udp_exchange(target, None, &sent.bytes, timeout, &mut |bytes, _| ours(bytes))?;
    Ok((reply.bytes, None, reply.elapsed))
}

/// dig's JSON line under the schema of another applet.
fn with_schema(line: String, schema: &str) -> String {
    line.replacen("\"dig/1\"", &format!("\"{schema}\""), 1)
}

/// Whether the text ends in a dot that is not escaped.
fn is_absolute(text: &str) -> bool {
    match text.strip_suffix('.') {
        Some(rest) => rest.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0,
        None => false,
    }
}

/// The servers a command line names, or those of resolv.conf.
///
/// # Errors
/// BIND's sentence when a name has no address.
pub(crate) fn servers_for(env: &Env, named: Option<&str>, family: Family) -> Result<Vec<Server>, Error> {
    let Some(text) = named else { return Ok(env.servers(family)) };
    let found = servers::resolve(env, text, family)
        .map_err(|why| Error::new(Exit(1), format!("couldn't get address for '{}': {why}", printable(text))))?;
    let server = |(address, scope)| Server { address, scope, port: None, label: text.to_owned() };
    Ok(found.into_iter().map(server).collect())
}

/// Text of a number that C's atoi(3) would read; no digits make 0.
pub(crate) fn atoi(text: &str) -> i64 {
    let trimmed = text.trim_start();
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let value = digits
        .bytes()
        .take_while(u8::is_ascii_digit)
        .fold(0i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -value } else { value }
}

/// rcode with RFC 6895's numbers, `?n` beyond BIND's table.
pub(crate) fn rcode_text(rcode: Rcode) -> String {
    match rcode.0 {
        0..=10 | 16 => rcode.to_string(),
        n @ 11..=15 => format!("RESERVED{n}"),
        n => format!("?{n}"),
    }
}

/// The name at the end of a CNAME chain that starts at `name`.
pub(crate) fn end_of_chain(message: &Message, name: &Name) -> Name {
    let mut at = name.clone();
    for _ in message.section(Section::Answer) {
        let mut aliases = message.section(Section::Answer).filter(|r| r.rtype == RrType::CNAME && r.owner == at);
        let Some(next) = aliases.next().and_then(|record| message.rdata_name(record)) else { break };
        at = next;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_c_reads_them() {
        assert_eq!((atoi("12x"), atoi("x"), atoi("-3"), atoi(" +4")), (12, 0, -3, 4));
    }

    #[test]
    fn response_codes() {
        assert_eq!(rcode_text(Rcode::NXDOMAIN), "NXDOMAIN");
        assert_eq!(rcode_text(Rcode(12)), "RESERVED12");
        assert_eq!(rcode_text(Rcode(16)), "BADVERS");
        assert_eq!(rcode_text(Rcode(23)), "?23");
    }

    #[test]
    fn chains_end_even_when_they_loop() {
        // a.x. CNAME b.x., b.x. CNAME a.x.
        let mut bytes = vec![0, 1, 0x80, 0, 0, 0, 0, 2, 0, 0, 0, 0];
        for (owner, target) in [(b'a', b'b'), (b'b', b'a')] {
            bytes.extend_from_slice(&[1, owner, 1, b'x', 0, 0, 5, 0, 1, 0, 0, 0, 0, 0, 5, 1, target, 1, b'x', 0]);
        }
        let message = Message::decode(bytes).unwrap();
        assert_eq!(end_of_chain(&message, &Name::parse("a.x").unwrap()), Name::parse("a.x").unwrap());
        assert_eq!(end_of_chain(&message, &Name::parse("c.x").unwrap()), Name::parse("c.x").unwrap());
    }
}
