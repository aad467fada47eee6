//! One lookup from first packet to last line: servers, retries, fallbacks, search list.
//!
//! The order of events follows BIND dig 9.18: tries are shared by the servers of a lookup, a UDP try is repeated at the
//! same server, a TCP one starts over with the first server, and SERVFAIL ends the lookup unless `+nofail`.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use netkit_core::Error;
use netkit_dns::random::random_u64;
use netkit_dns::transport::{Failure, udp_receive, udp_socket};
use netkit_wire::dns::tsig::{TsigError, Verifier, sign};
use netkit_wire::dns::{EdnsOption, Message, Name, Opcode, Rcode, RrType, Section};

use crate::exit;
use crate::explain;
use crate::incoming::Accepted;
use crate::json::{self, Attempt};
use crate::link::{Link, Trouble};
use crate::lookup::{Format, Globals, Lookup, Server, Settings};
use crate::personality::Face;
use crate::print;
use crate::query::{self, Asked};
use crate::session::{Carry, Env, Sink};
use crate::xfr::{Progress, Transfer};

/// Seconds to wait for a UDP reply.
pub(crate) const UDP_TIMEOUT: u32 = 5;
/// Seconds to wait for a TCP connection, and for each message on it.
pub(crate) const TCP_TIMEOUT: u32 = 10;
/// Most times one lookup may start over, whatever makes it do so.
const RESTARTS: u32 = 64;
/// Tolerance of TSIG timestamps, in seconds (RFC 8945, section 10).
const FUDGE: u16 = 300;
/// A TSIG error of its own numbering: the server finds our clock wrong (RFC 8945, section 3).
const BADTIME: Rcode = Rcode(18);
/// Octets of the client's half of a COOKIE option (RFC 7873, section 4).
pub(crate) const CLIENT_COOKIE: usize = 8;
/// Octets of a TSIG record besides names and MAC.
const TSIG_FIXED: usize = 26;

/// How a lookup ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// Status, should this be the last lookup.
    pub(crate) exit: u8,
    /// What makes dig stop at once, with its message.
    pub(crate) error: Option<Error>,
}

/// Runs one lookup; everything it has to say goes to `sink`.
///
/// Replies are shown as dig does, or by `face`.
pub(crate) fn run<'r>(
    lookup: &'r Lookup,
    env: &'r Env,
    carry: &'r mut Carry,
    sink: &'r mut Sink<'_>,
    face: Option<&'r mut dyn Face>,
) -> Done {
    let mut run = Run::new(lookup, env, carry, sink, face);
    let mut next = Some(run.first_pass());
    let mut error = None;
    let mut passes = 0;
    while let Some(pass) = next.take() {
        passes += 1;
        if passes > RESTARTS {
            error = Some(Error::new(exit::USAGE, "too many lookups"));
            break;
        }
        match run.pass(pass) {
            Ok(again) => next = again,
            Err(why) => error = Some(why),
        }
        if run.sink.broken.is_some() {
            break;
        }
    }
    run.explain();
    let exit = match run.reply_exit {
        Some(status) if lookup.globals.rc && run.exit == 0 => status,
        _ => run.exit,
    };
    Done { exit, error }
}

/// State that outlives a pass.
pub(crate) struct Run<'r, 's> {
    pub(crate) lookup: &'r Lookup,
    pub(crate) set: &'r Settings,
    pub(crate) globals: &'r Globals,
    pub(crate) env: &'r Env,
    pub(crate) carry: &'r mut Carry,
    pub(crate) sink: &'r mut Sink<'s>,
    /// Shows replies in its own words; without one they look as dig's do.
    pub(crate) face: Option<&'r mut dyn Face>,
    /// Not printed yet.
    pub(crate) banner: &'r str,
    pub(crate) exit: u8,
    pub(crate) reply_exit: Option<u8>,
    /// The local resolver did not answer a question of `+trace`.
    pub(crate) resolver_failed: bool,
    /// All signatures held so far.
    pub(crate) validated: bool,
    pub(crate) attempts: Vec<Attempt>,
    /// The last reply shown, kept for `+explain` and the NOTE.
    pub(crate) last: Option<Message>,
    /// Suffixes to append, in order; empty when the name is asked as it is.
    pub(crate) origins: Vec<String>,
    pub(crate) ndots: usize,
    /// The search list was asked for.
    pub(crate) search: bool,
    /// The name is an address, which no suffix completes.
    pub(crate) literal: bool,
}

/// One go through the servers with one query. What makes dig start over changes a copy of it.
#[derive(Clone)]
pub(crate) struct Pass {
    /// Index of the suffix in use.
    pub(crate) origin: Option<usize>,
    pub(crate) need_search: bool,
    pub(crate) done_as_is: bool,
    pub(crate) fresh: bool,
    /// Tries left.
    pub(crate) tries: u32,
    pub(crate) tcp: bool,
    pub(crate) edns: Option<u8>,
    /// COOKIE to send, once a server gave us one.
    pub(crate) cookie: Option<Vec<u8>>,
    pub(crate) seen_bad_cookie: bool,
    pub(crate) rtype: RrType,
    /// `+trace` is still following delegations.
    pub(crate) trace: bool,
    /// The first query of `+trace` or `+nssearch`.
    pub(crate) root: bool,
    pub(crate) servers: Vec<Server>,
    /// Zone whose servers these are.
    pub(crate) zone: Name,
}

/// The query of a pass.
pub(crate) struct Sent {
    pub(crate) name: Name,
    pub(crate) rtype: RrType,
    pub(crate) bytes: Vec<u8>,
    pub(crate) id: u16,
    pub(crate) cookie: Option<Vec<u8>>,
    pub(crate) edns: Option<u8>,
    pub(crate) verifier: Option<Verifier>,
    pub(crate) transfer: bool,
}

/// A reply and how it came.
pub(crate) struct Received {
    pub(crate) message: Message,
    pub(crate) peer: SocketAddr,
    pub(crate) elapsed: Duration,
    pub(crate) sent_at: SystemTime,
    pub(crate) at: SystemTime,
}

/// What to do after asking one server.
enum Step {
    /// The same server once more.
    Again,
    /// The next server.
    Next,
    /// From the start, changed.
    Restart(Box<Pass>),
    Done,
}

impl<'r, 's> Run<'r, 's> {
    fn new(
        lookup: &'r Lookup,
        env: &'r Env,
        carry: &'r mut Carry,
        sink: &'r mut Sink<'s>,
        face: Option<&'r mut dyn Face>,
    ) -> Run<'r, 's> {
        let globals: &Globals = &lookup.globals;
        let set = &lookup.settings;
        let origins = globals.origins.as_ref().unwrap_or(&env.resolv.search).clone();
        // An address is never completed by a suffix: ndots:5 would turn one slip into four queries.
        let literal = set.name.parse::<IpAddr>().is_ok();
        if literal && (set.rtype == RrType::A || set.rtype == RrType::AAAA) {
            sink.hints.push(format!("{} is an address; did you mean -x {}?", set.name, set.name));
        }
        Run {
            lookup,
            set,
            globals,
            env,
            carry,
            sink,
            face,
            banner: &lookup.banner,
            exit: 0,
            reply_exit: None,
            last: None,
            resolver_failed: false,
            validated: true,
            attempts: Vec::new(),
            origins,
            ndots: globals.ndots.unwrap_or(env.resolv.ndots) as usize,
            search: globals.search && set.search && !set.trace,
            literal,
        }
    }

    fn first_pass(&self) -> Pass {
        let set = self.set;
        Pass {
            origin: None,
            need_search: false,
            done_as_is: false,
            fresh: true,
            tries: set.tries.unwrap_or_else(|| self.env.tries()),
            tcp: set.tcp,
            edns: set.edns,
            cookie: set.cookie_value.clone(),
            seen_bad_cookie: false,
            rtype: set.rtype,
            trace: set.trace,
            root: set.trace || set.nssearch,
            servers: if set.servers.is_empty() { self.env.servers(self.globals.family) } else { set.servers.clone() },
            zone: Name::root(),
        }
    }

    /// Asks the servers of a pass in turn.
    fn pass(&mut self, mut pass: Pass) -> Result<Option<Pass>, Error> {
        let Some(name) = self.name(&mut pass)? else { return Ok(self.next_origin(&pass)) };
        if let (Some(face), Format::Text) = (self.face.as_deref_mut(), self.globals.format) {
            face.trying(self.sink, &name);
        }
        let mut sent = self.prepare(&mut pass, name);
        if self.set.nssearch && !pass.root {
            self.ask_all(&pass, &sent);
            return Ok(None);
        }
        let mut at = 0;
        while let Some(server) = pass.servers.get(at).cloned() {
            let last = at + 1 == pass.servers.len();
            if let Some(mapped) = self.mapped(&server) {
                self.warn(&format!("Skipping mapped address '{mapped}'"));
                if last {
                    self.warn("No acceptable nameservers");
                }
                at += 1;
                continue;
            }
            let step = if pass.tcp {
                self.over_tcp(&mut pass, &mut sent, &server, last)?
            } else {
                self.over_udp(&mut pass, &mut sent, &server, last)?
            };
            self.sink.flush();
            match step {
                Step::Again => {}
                Step::Next => at += 1,
                Step::Restart(pass) => return Ok(Some(*pass)),
                Step::Done => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The IPv4-mapped address (RFC 4291, 2.5.5.2) that `server` amounts to when only IPv6 may be used.
    fn mapped(&self, server: &Server) -> Option<std::net::Ipv6Addr> {
        let from_v6 = self.globals.source.is_some_and(|source| source.is_ipv6());
        match server.address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map(|_| v6),
            IpAddr::V4(v4) if from_v6 => Some(v4.to_ipv6_mapped()),
            IpAddr::V4(_) => None,
        }
    }

    /// Builds and signs the query; a large one goes over TCP.
    fn prepare(&mut self, pass: &mut Pass, name: Name) -> Sent {
        let set = self.set;
        let rtype = if pass.trace && pass.root { RrType::NS } else { pass.rtype };
        let walking = (set.trace || set.nssearch) && !pass.root;
        let edns = query::edns_version(set, pass.edns);
        let cookie = set.cookie.then(|| pass.cookie.clone().unwrap_or_else(|| self.env.cookie.to_vec()));
        let id = set.qid.unwrap_or_else(|| {
            let [high, low, ..] = random_u64().to_be_bytes();
            u16::from_be_bytes([high, low])
        });
        let key = self.env.key.as_ref();
        let signature = key.map_or(0, |key| {
            key.name.wire().len()
                + key.algorithm.name().wire().len()
                + TSIG_FIXED
                + usize::from(key.algorithm.bits.unwrap_or(256) / 8)
        });
        let asked = Asked { id, name: &name, rtype, may_recurse: !walking, edns, cookie: cookie.as_deref(), signature };
        let mut bytes = query::encode(set, &asked);
        let verifier = key.map(|key| {
            let mac = sign(&mut bytes, key, self.tsig_time(), FUDGE);
            Verifier::new(key.clone(), mac)
        });
        const UDP_QUERY_MAX: usize = 512;
        if bytes.len() > UDP_QUERY_MAX || rtype == RrType::AXFR {
            pass.tcp = true;
        }
        let transfer = rtype == RrType::AXFR || (rtype == RrType::IXFR && pass.tcp);
        let cookie = cookie.filter(|_| edns.is_some());
        Sent { name, rtype, bytes, id, cookie, edns, verifier, transfer }
    }

    /// The time that signatures carry and are judged by, in seconds of Unix time.
    fn tsig_time(&self) -> u64 {
        let now = || u64::try_from(self.env.clock.unix_seconds()).unwrap_or(0);
        self.globals.fuzz_time.map_or_else(now, u64::from)
    }

    pub(crate) fn timeout(&self, default: u32) -> Duration {
        let seconds = self.globals.timeout.or_else(|| self.env.timeout()).unwrap_or(default);
        Duration::from_secs(u64::from(seconds))
    }

    /// Where `server` listens.
    pub(crate) fn target(&self, server: &Server) -> SocketAddr {
        let port = server.port.or(self.globals.port).unwrap_or_else(|| self.set.carrier(true).port());
        match server.address {
            IpAddr::V6(v6) => std::net::SocketAddrV6::new(v6, port, 0, server.scope).into(),
            IpAddr::V4(_) => SocketAddr::new(server.address, port),
        }
    }

    fn over_udp(&mut self, pass: &mut Pass, sent: &mut Sent, server: &Server, last: bool) -> Result<Step, Error> {
        let target = self.target(server);
        let started = Instant::now();
        let sent_at = self.env.clock.now();
        let socket = match udp_socket(target, self.globals.source) {
            Ok(socket) => socket,
            Err(failure) => {
                self.record_failure(target, "udp", started, &failure);
                let line = format!(
                    "UDP setup with {}({}) for {} failed: {failure}.",
                    print::address(target),
                    server.address,
                    netkit_core::text::printable(&self.set.name)
                );
                return Ok(self.cannot_start(pass, &line, last));
            }
        };
        self.exit = 0;
        let outcome = match socket.send(&sent.bytes) {
            Err(error) => Err(Failure::from(error)),
            Ok(_) => {
                self.show_query(sent, server, target, false, sent_at);
                let timeout = self.timeout(UDP_TIMEOUT);
                let mut found = None;
                let reply = udp_receive(&socket, target, started, timeout, &mut |bytes, _| {
                    let Some(message) = self.accept(sent, bytes) else { return false };
                    found = Some(message);
                    true
                });
                reply.map(|reply| (reply, found))
            }
        };
        match outcome {
            Ok((reply, Some(Ok(message)))) => {
                let received =
                    Received { message, peer: reply.from, elapsed: reply.elapsed, sent_at, at: self.env.clock.now() };
                self.record_reply(target, "udp", &received);
                self.reply(pass, sent, server, &received, last)
            }
            Ok((_, Some(Err(())))) => Ok(Step::Done),
            Ok((_, None)) => Ok(self.lost(pass, target, "udp", started, &Failure::TimedOut, last)),
            Err(failure) => Ok(self.lost(pass, target, "udp", started, &failure, last)),
        }
    }

    fn over_tcp(&mut self, pass: &mut Pass, sent: &mut Sent, server: &Server, last: bool) -> Result<Step, Error> {
        let target = self.target(server);
        let started = Instant::now();
        let timeout = self.timeout(TCP_TIMEOUT);
        let carrier = self.set.carrier(true);
        let word = carrier.keyword();
        let kept = self.carry.connection.take();
        let kept = kept.filter(|connection| connection.peer() == target && connection.carrier() == carrier);
        let connected =
            kept.map_or_else(|| Link::connect(self.set, &server.label, target, self.globals.source, timeout), Ok);
        let mut connection = match connected {
            Ok(connection) => connection,
            Err(Trouble::Exchange(failure)) => {
                self.exit = 0;
                return Ok(self.lost(pass, target, word, started, &failure, last));
            }
            Err(trouble @ (Trouble::Certificate(_) | Trouble::Context(_))) => {
                let line = match &trouble {
                    Trouble::Certificate(why) => {
                        let server = print::address(target);
                        format!("TLS peer certificate verification for {server} failed: {why}")
                    }
                    Trouble::Context(why) => (*why).to_owned(),
                    _ => String::new(),
                };
                self.record_failure(target, word, started, &trouble.into());
                self.warn(&line);
                // The status of the peer; `+rc` tells.
                self.exit = 0;
                self.reply_exit = Some(exit::NO_REPLY);
                return Ok(Step::Done);
            }
            Err(Trouble::Connect(failure)) => {
                self.record_failure(target, word, started, &failure);
                let line = format!(
                    "Connection to {}({}) for {} failed: {failure}.",
                    print::address(target),
                    server.address,
                    netkit_core::text::printable(&self.set.name)
                );
                return Ok(self.cannot_start(pass, &line, last));
            }
        };
        self.exit = 0;
        let asked = Instant::now();
        let sent_at = self.env.clock.now();
        if let Err(failure) = connection.send(&sent.bytes, asked + timeout) {
            return Ok(self.lost(pass, target, word, asked, &failure, last));
        }
        self.show_query(sent, server, target, true, sent_at);
        let mut transfer = Transfer::new(sent.rtype, self.set.ixfr_serial);
        loop {
            let bytes = match connection.receive(Instant::now() + timeout) {
                Ok(bytes) => bytes,
                Err(failure) => return Ok(self.lost(pass, target, word, asked, &failure, last)),
            };
            let message = match self.accept_stream(sent, &bytes, transfer.size.messages > 0) {
                Accepted::Reply(message) => message,
                Accepted::Skip => continue,
                Accepted::Stop => return Ok(Step::Done),
            };
            let received = Received {
                message,
                peer: connection.peer(),
                elapsed: asked.elapsed(),
                sent_at,
                at: self.env.clock.now(),
            };
            if !sent.transfer {
                self.record_reply(target, word, &received);
                let step = self.reply(pass, sent, server, &received, last)?;
                if self.globals.keep_open {
                    self.carry.connection = Some(connection);
                }
                return Ok(step);
            }
            if let Some(step) = self.transferred(pass, sent, server, &received, &mut transfer, last)? {
                if self.globals.keep_open {
                    self.carry.connection = Some(connection);
                }
                return Ok(step);
            }
            self.sink.flush_if_large();
            if self.sink.broken.is_some() {
                return Ok(Step::Done);
            }
        }
    }

    /// One message of a transfer; `None` while more are to come.
    fn transferred(
        &mut self,
        pass: &mut Pass,
        sent: &mut Sent,
        server: &Server,
        received: &Received,
        transfer: &mut Transfer,
        last: bool,
    ) -> Result<Option<Step>, Error> {
        if transfer.size.messages == 0 {
            self.record_reply(received.peer, self.set.carrier(true).keyword(), received);
            if let Some(step) = self.detour(pass, sent, server, received, last) {
                return Ok(Some(step));
            }
        }
        self.verify(sent, &received.message);
        self.reply_exit = Some(exit::of_reply(&received.message));
        self.print(pass, sent, server, received, transfer.size.messages);
        match transfer.feed(&received.message) {
            Progress::More => Ok(None),
            Progress::Complete => {
                self.footer(pass, server, received, Some(transfer.size));
                Ok(Some(Step::Done))
            }
            Progress::Failed(line) => {
                if self.globals.format != Format::Json {
                    self.sink.out.push_str(line);
                }
                Ok(Some(Step::Done))
            }
        }
    }

    /// A socket could not be had. BIND says that no server could be reached before each new start, too.
    fn cannot_start(&mut self, pass: &mut Pass, line: &str, last: bool) -> Step {
        self.warn(line);
        self.exit = exit::NO_REPLY;
        if pass.tries > 1 {
            pass.tries -= 1;
            self.error("no servers could be reached");
            return Step::Restart(Box::new(pass.clone()));
        }
        if !last {
            return Step::Next;
        }
        if let Some(step) = self.root_hints(pass) {
            return step;
        }
        self.no_servers();
        Step::Done
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
        self.record_failure(target, transport, started, failure);
        self.warn(&format!("communications error to {}: {failure}", print::address(target)));
        if pass.tries > 1 {
            pass.tries -= 1;
            return if pass.tcp { Step::Restart(Box::new(pass.clone())) } else { Step::Again };
        }
        if !last {
            return Step::Next;
        }
        if let Some(step) = self.root_hints(pass) {
            return step;
        }
        self.print_banner_for_failure();
        self.no_servers();
        self.exit = exit::NO_REPLY;
        Step::Done
    }

    /// `+trace` with a broken local resolver starts from the addresses every resolver ships.
    fn root_hints(&mut self, pass: &Pass) -> Option<Step> {
        if !(pass.trace && pass.root) {
            return None;
        }
        self.warn("no root servers from the local resolver; starting from the built-in root hints");
        Some(Step::Restart(Box::new(self.hinted(pass))))
    }

    fn no_servers(&mut self) {
        if self.globals.format == Format::Json {
            let line = json::no_reply(self.set, self.globals, &self.attempts);
            self.sink.out.push_str(&line);
        } else {
            self.error("no servers could be reached");
        }
    }

    /// `+explain`, and the NOTE that a search suffix would have helped.
    fn explain(&mut self) {
        if self.globals.explain {
            let facts = explain::Facts {
                typed: &self.set.name,
                last: self.last.as_ref(),
                attempts: &self.attempts,
                searched: self.search,
                suffixes: self.env.resolv.search.len(),
            };
            let line = format!(";; {}\n", explain::sentence(&facts));
            self.sink.err.push_str(&line);
        }
        let Some(message) = self.last.take() else { return };
        let nothing = matches!(message.rcode(), Rcode::NXDOMAIN | Rcode::NOERROR)
            && message.section(Section::Answer).next().is_none()
            && !message.header.tc;
        let bare = !self.search && !self.set.trace && !self.set.nssearch;
        if self.env.hints && nothing && bare && message.header.opcode == Opcode::QUERY {
            let rtype = message.questions.first().map_or(RrType::A, |question| question.rtype);
            let server = self.attempts.last().map(|attempt| attempt.server);
            self.sink.hints.extend(explain::note(&self.set.name, rtype, server, self.env));
        }
    }

    /// Reasons to ask again instead of showing this reply.
    fn detour(
        &mut self,
        pass: &mut Pass,
        sent: &Sent,
        server: &Server,
        received: &Received,
        last: bool,
    ) -> Option<Step> {
        let message = &received.message;
        let rcode = message.rcode();
        let opt = message.opt();
        if let (Rcode::BADVERS, Some(opt), Some(own)) = (rcode, &opt, pass.edns)
            && opt.version < own
            && self.set.edns_negotiation
        {
            self.comment(&format!("BADVERS, retrying with EDNS version {}.", opt.version));
            pass.edns = Some(opt.version);
            return Some(Step::Restart(Box::new(pass.clone())));
        }
        if message.header.tc && !self.set.ignore_tc && !pass.tcp {
            if pass.cookie.is_none() && self.set.cookie && opt.is_some() {
                self.learn_cookie(pass, sent, message);
            }
            self.comment("Truncated, retrying in TCP mode.");
            pass.tcp = true;
            return Some(Step::Restart(Box::new(pass.clone())));
        }
        if rcode == Rcode::BADCOOKIE
            && !pass.tcp
            && self.set.cookie
            && self.set.retry_bad_cookie
            && self.learn_cookie(pass, sent, message)
        {
            if self.set.show_bad_cookie {
                self.print(pass, sent, server, received, 0);
                self.footer(pass, server, received, None);
            }
            let how = if pass.seen_bad_cookie { " in TCP mode" } else { "" };
            self.comment(&format!("BADCOOKIE, retrying{how}."));
            pass.tcp |= pass.seen_bad_cookie;
            pass.seen_bad_cookie = true;
            return Some(Step::Restart(Box::new(pass.clone())));
        }
        let failed = rcode == Rcode::SERVFAIL;
        let no_recursion = self.set.check_ra && !message.header.ra && self.set.rd;
        if no_recursion || (failed && !self.set.servfail_stops) {
            let what = if failed { "SERVFAIL reply" } else { "recursion not available" };
            let from = server.address;
            if !last && (!self.set.nssearch || pass.root) {
                self.comment(&format!("Got {what} from {from}, trying next server"));
                return Some(Step::Next);
            }
            self.comment(&format!("Got {what} from {from}"));
        }
        None
    }

    /// Judges the reply's cookie and keeps it for the next query. Whether our own half came back.
    fn learn_cookie(&mut self, pass: &mut Pass, sent: &Sent, message: &Message) -> bool {
        let Some(opt) = message.opt() else { return false };
        let Some(option) = opt.options.iter().find(|option| option.code == EdnsOption::COOKIE) else { return false };
        let own = sent.cookie.as_deref().and_then(|cookie| cookie.get(..CLIENT_COOKIE));
        match (own, option.data.get(..CLIENT_COOKIE)) {
            (Some(own), Some(echoed)) if own == echoed => {
                pass.cookie = Some(option.data.clone());
                true
            }
            (Some(_), Some(_)) => {
                self.warn("Warning: Client COOKIE mismatch");
                false
            }
            _ => {
                self.warn("Warning: COOKIE bad token (too short)");
                false
            }
        }
    }

    /// A reply to something other than a transfer.
    fn reply(
        &mut self,
        pass: &mut Pass,
        sent: &mut Sent,
        server: &Server,
        received: &Received,
        last: bool,
    ) -> Result<Step, Error> {
        if let Some(step) = self.detour(pass, sent, server, received, last) {
            return Ok(step);
        }
        let message = &received.message;
        self.verify(sent, message);
        self.reply_exit = Some(exit::of_reply(message));
        if self.globals.explain || self.env.hints {
            self.last = Some(message.clone());
        }
        if pass.cookie.is_some() && self.set.cookie && message.opt().is_none() {
            self.warn("expected opt record in response");
        } else if self.set.cookie {
            self.learn_cookie(pass, sent, message);
        }
        let rcode = message.rcode();
        let mut next = None;
        if rcode == Rcode::NXDOMAIN && (pass.origin.is_some() || pass.need_search) {
            next = self.next_origin(pass);
            if next.is_none() || self.globals.show_search {
                let banner = self.banner;
                self.print(pass, sent, server, received, 0);
                self.footer(pass, server, received, None);
                if next.is_some() {
                    // Every step of a shown search greets anew.
                    self.banner = banner;
                }
            }
        } else {
            if !self.set.nssearch {
                self.print(pass, sent, server, received, 0);
            }
            if pass.trace || self.set.nssearch {
                next = self.follow(pass, message)?;
            }
        }
        if rcode == Rcode::NOERROR || pass.origin.is_none() {
            self.footer(pass, server, received, None);
        }
        Ok(match next {
            Some(next) => Step::Restart(Box::new(next)),
            None => Step::Done,
        })
    }

    fn verify(&mut self, sent: &mut Sent, message: &Message) {
        let now = self.tsig_time();
        let Some(verifier) = sent.verifier.as_mut() else { return };
        if let Err(why) = verifier.check(message, now) {
            self.validated = false;
            let why = match why {
                TsigError::BadTime | TsigError::Server(BADTIME) => "clocks are unsynchronized".to_owned(),
                other => other.to_string(),
            };
            self.warn(&format!("Couldn't verify signature: {why}"));
        }
    }
}

/// A name without its final dot, as BIND writes it in messages; the root stays `.`.
pub(crate) fn bare(name: &Name) -> String {
    let text = name.to_string();
    match text.strip_suffix('.') {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_names() {
        assert_eq!(bare(&Name::root()), ".");
        assert_eq!(bare(&Name::parse("a.b").unwrap()), "a.b");
    }
}
