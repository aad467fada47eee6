//! Rules of nf_tables: registers, and the expressions that fill, change and compare them.
//!
//! A register knows which of its bits are known, so that a condition on the others is undecided and not guessed.
//! Every rule is gone through twice: first its conditions alone, then, if it takes the packet, with what it does.

use std::borrow::Cow;
use std::net::IpAddr;

use super::base::At;
use super::kernel::{Found, Question, octets, rtn};
use super::packet::protocol;
use super::play::{Fate, INPUT, PREROUTING, Truth, Walk};
use super::xt_match::within;
use super::{Backend, Verdict};
use crate::model::{Extension, Family};
use crate::nft::{Expression, NftRule, compat, family};
use crate::save;

/// NFT_JUMP_STACK_SIZE
const DEEPEST: usize = 16;
/// Octets of all registers.
const SIZE: usize = 64;
/// Endpoints among which `numgen` and hashes may choose.
const MOST_ENDPOINTS: u32 = 1024;

/// Where a register begins; 1 to 4 are of 16 octets, 8 to 23 of four.
fn offset(register: u32) -> Option<usize> {
    match register {
        1..=4 => usize::try_from((register - 1) * 16).ok(),
        8..=23 => usize::try_from((register - 8) * 4).ok(),
        _ => None,
    }
}

/// Values and their bits that are known.
pub(super) struct Registers {
    bytes: [u8; SIZE],
    known: [u8; SIZE],
    /// Where a source port lies of which only the range is known.
    open_port: Option<usize>,
    /// Why the last unknown bits are.
    why: Cow<'static, str>,
}

impl Registers {
    fn new() -> Registers {
        Registers { bytes: [0; SIZE], known: [0; SIZE], open_port: None, why: Cow::Borrowed("not known") }
    }

    /// Writes, and fills the last word with zeros.
    fn store(&mut self, register: u32, value: &[u8], known: &[u8]) {
        let Some(at) = offset(register) else { return };
        let whole = value.len().next_multiple_of(4);
        if self.open_port.is_some_and(|port| (at..at + whole.max(1)).contains(&port)) {
            self.open_port = None;
        }
        for index in 0..whole {
            if let (Some(byte), Some(bits)) = (self.bytes.get_mut(at + index), self.known.get_mut(at + index)) {
                *byte = value.get(index).copied().unwrap_or(0);
                *bits = if index < value.len() { known.get(index).copied().unwrap_or(0) } else { u8::MAX };
            }
        }
    }

    fn put(&mut self, register: u32, value: &[u8]) {
        self.store(register, value, &[u8::MAX; SIZE]);
    }

    fn forget(&mut self, register: u32, length: usize, why: impl Into<Cow<'static, str>>) {
        self.store(register, &vec![0; length.min(SIZE)], &[]);
        self.why = why.into();
    }

    fn value(&self, register: u32, length: usize) -> Option<(&[u8], &[u8])> {
        let at = offset(register)?;
        Some((self.bytes.get(at..at + length)?, self.known.get(at..at + length)?))
    }

    /// The value, if all of it is known.
    pub(super) fn certain(&self, register: u32, length: usize) -> Option<&[u8]> {
        let (value, known) = self.value(register, length)?;
        known.iter().all(|bits| *bits == u8::MAX).then_some(value)
    }

    fn unknown(&self) -> Truth {
        Truth::Unknown(self.why.clone().into_owned())
    }
}

/// What follows an expression.
enum Next {
    Go(Truth),
    Verdict(i32, Option<String>),
    Fate(Fate),
}

const GO: Next = Next::Go(Truth::Yes);
const BREAK: Next = Next::Go(Truth::No);

/// What follows a rule.
enum After {
    NextRule,
    Back,
    Fate(Fate),
    Jump(String, bool),
}

/// Memory of the rule's two passes.
struct Pass {
    registers: Registers,
    /// Numbers that were drawn, in order.
    drawn: Vec<u32>,
    next: usize,
    /// The step, in the pass that acts.
    step: Option<usize>,
}

impl Walk<'_> {
    /// A chain of nf_tables; `None` when the packet comes back from it.
    pub(super) fn native_chain(&mut self, index: usize, depth: usize) -> Option<Fate> {
        let rules = self.rules;
        let native = rules.native.as_ref()?;
        let chain = native.chains.get(index)?;
        let Some(dump) = native.rules(index) else {
            self.notes.push(format!("the rules of {} {} cannot be read", chain.table, chain.name));
            return None;
        };
        let mut at = At {
            backend: Backend::Nft,
            family: family::name(chain.family),
            table: chain.table.clone(),
            chain: chain.name.clone(),
            number: 0,
        };
        for message in netkit_nl::Messages::new(&dump) {
            let Some(rule) = NftRule::read(&message) else { continue };
            at.number += 1;
            if self.spend() {
                return Some(Fate::Accept(None));
            }
            match self.native_rule(&rule, &at) {
                After::NextRule => {}
                After::Back => return None,
                After::Fate(fate) => return Some(fate),
                After::Jump(name, goto) => {
                    let next = native.find(chain.family, &chain.table, &name);
                    let Some(next) = next.filter(|_| depth < DEEPEST) else {
                        self.notes.push(format!("{} {}: {name} cannot be entered", at.table, at.chain));
                        continue;
                    };
                    let fate = self.native_chain(next, depth + 1);
                    if fate.is_some() || goto {
                        return fate;
                    }
                }
            }
        }
        None
    }

    fn native_rule(&mut self, rule: &NftRule<'_>, at: &At) -> After {
        let mut pass = Pass { registers: Registers::new(), drawn: Vec::new(), next: 0, step: None };
        let mut truth = Truth::Yes;
        // A condition may ask for a mark that the same rule has just set.
        let marks = (self.packet.mark, self.connection.mark);
        // What stands behind a verdict is not reached, a counter as little as anything else.
        let mut counters = None;
        for expression in &rule.expressions {
            if let Expression::Counter(counted) = expression {
                counters = Some(*counted);
            }
            match self.express(expression, &mut pass, rule, at) {
                Next::Go(more) => truth = truth.and(more),
                Next::Verdict(..) | Next::Fate(_) => break,
            }
            if truth == Truth::No {
                break;
            }
        }
        (self.packet.mark, self.connection.mark) = marks;
        if truth == Truth::No {
            return After::NextRule;
        }
        let (own, rules) = (self.rules.family, self.rules);
        let text = || {
            let built_in = matches!(rule.family, family::IPV4 | family::IPV6)
                && matches!(&*rule.table, "filter" | "nat" | "mangle" | "raw" | "security");
            match compat::rule(rule, own) {
                Ok(found) if built_in => {
                    let mut out = String::new();
                    save::rule(&mut out, own, &rule.chain, &found, false, rules.sets);
                    out
                }
                _ => (rules.text)(rule),
            }
        };
        let Some(step) = self.takes(at, truth, counters, text) else { return After::NextRule };
        if !pass.drawn.is_empty() {
            let share = pass.drawn.iter().fold(String::new(), |text, number| format!("{text} {number}"));
            self.add_effect(step, &format!("draws{share}"));
        }
        pass = Pass { registers: Registers::new(), drawn: pass.drawn, next: 0, step: Some(step) };
        for expression in &rule.expressions {
            match self.express(expression, &mut pass, rule, at) {
                // A condition on what the rule itself has changed.
                Next::Go(Truth::No) => return After::NextRule,
                Next::Go(_) => {}
                Next::Fate(fate) => return After::Fate(fate),
                Next::Verdict(code, chain) => match (code, chain) {
                    (0, _) => return After::Fate(self.end(Verdict::Drop, String::new(), step)),
                    (1, _) => return After::Fate(Fate::Accept(Some(step))),
                    (2, _) => return After::Fate(self.end(Verdict::Stolen, "stolen".to_owned(), step)),
                    (-3 | -4, Some(chain)) => return After::Jump(chain, code == -4),
                    (-5, _) => return After::Back,
                    (-1, _) => {}
                    (-2, _) => return After::NextRule,
                    // NF_QUEUE keeps the queue's number in its upper half.
                    (code, _) if code & 0xff == 3 => {
                        return After::Fate(self.end(Verdict::Queue, format!("queue {}", code >> 16), step));
                    }
                    (code, _) => {
                        self.add_effect(step, &format!("unknown verdict {code}"));
                        return After::NextRule;
                    }
                },
            }
        }
        After::NextRule
    }

    /// One expression. What changes anything does so only in the pass that acts.
    fn express(&mut self, expression: &Expression<'_>, pass: &mut Pass, rule: &NftRule<'_>, at: &At) -> Next {
        let registers = &mut pass.registers;
        match expression {
            Expression::Payload { to, base, offset, length } => self.payload(registers, *to, *base, *offset, *length),
            Expression::Meta { to, key } => return self.meta(registers, *to, *key),
            Expression::Ct { to, key, direction } => return self.ct(registers, *to, *key, *direction),
            Expression::Fib { to, result, flags } => self.fib(registers, *to, *result, *flags),
            Expression::Exthdr { to, op, length, present, .. } => {
                let absent = match op {
                    // A TCP option, an SCTP chunk.
                    1 => self.packet.protocol != protocol::TCP,
                    3 => self.packet.protocol != protocol::SCTP,
                    _ => false,
                };
                match (absent, present) {
                    (true, true) => registers.put(*to, &[0]),
                    (true, false) => return BREAK,
                    (false, _) => {
                        let length = if *present { 1 } else { usize::try_from(*length).unwrap_or(SIZE) };
                        registers.forget(*to, length, "options and extension headers are not given");
                    }
                }
            }
            Expression::Rt { to, key } => match (key, self.route.as_ref().map(|route| route.gateway)) {
                (1 | 2, Some(gateway)) => registers.put(*to, &octets(gateway.unwrap_or(self.packet.destination))),
                _ => registers.forget(*to, 16, "rt: not known"),
            },
            Expression::Socket { to, .. } => registers.forget(*to, 8, "socket: not known which one it is"),
            Expression::Osf { to, .. } => registers.forget(*to, 16, "osf: not known"),
            Expression::Xfrm { to, .. } => registers.forget(*to, 16, "ipsec: not known"),
            Expression::Tunnel { to, .. } => registers.forget(*to, 4, "tunnel: not known"),
            Expression::Numgen { to, modulus, offset, .. } | Expression::Hash { to, modulus, offset, .. } => {
                let number = match pass.drawn.get(pass.next) {
                    Some(number) => *number,
                    None if *modulus > MOST_ENDPOINTS || *modulus == 0 => {
                        registers.forget(*to, 4, format!("one of {modulus}"));
                        return GO;
                    }
                    None => {
                        let options = usize::try_from(*modulus).unwrap_or(1);
                        let share = 1.0 / f64::from(*modulus);
                        let label = format!("{} {} {}", at.table, at.chain, at.number);
                        let pick = self.chance(options, |_| share, label);
                        let number = offset.wrapping_add(u32::try_from(pick).unwrap_or(0));
                        pass.drawn.push(number);
                        number
                    }
                };
                pass.next += 1;
                registers.put(*to, &number.to_ne_bytes());
            }
            Expression::Bitwise { from, to, mask, xor } => bitwise(registers, *from, *to, mask, xor),
            Expression::Shift { from, to, length, right, bits } => shift(registers, *from, *to, *length, *right, *bits),
            Expression::Byteorder { from, to, length, size, .. } => byteorder(registers, *from, *to, *length, *size),
            Expression::Immediate { to, data } => registers.put(*to, data),
            Expression::Compare { from, operator, data } => {
                return Next::Go(compare(registers, *from, *operator, data, self.packet.sport));
            }
            Expression::Range { from, negated, low, high } => {
                let port = offset(*from).filter(|at| registers.open_port == Some(*at) && low.len() == 2);
                if let (Some(_), [a, b], [c, d]) = (port, low, high) {
                    let (low, high) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                    let inside = within(self.packet.sport, low, high);
                    return Next::Go(inside.map_or_else(|| registers.unknown(), Truth::of).not(*negated));
                }
                let above = compare(registers, *from, 5, low, self.packet.sport);
                let below = compare(registers, *from, 3, high, self.packet.sport);
                return Next::Go(above.and(below).not(*negated));
            }
            Expression::Lookup { from, to, set, negated } => {
                return self.look(pass, rule, *from, *to, set, *negated);
            }
            Expression::Dynset { negated, expressions, op, .. } => {
                let limited = expressions.iter().any(|inner| !matches!(inner, Expression::Counter(_)));
                let truth = if limited { Truth::Unknown("limit of a set's element".to_owned()) } else { Truth::Yes };
                let delete = *op == 2;
                let truth = if delete { Truth::Unknown("whether the element was there".to_owned()) } else { truth };
                return Next::Go(truth.not(*negated));
            }
            Expression::Verdict { code, chain } => return Next::Verdict(*code, chain.clone()),
            Expression::Counter(_) | Expression::Last { .. } | Expression::Log { .. } | Expression::Dup { .. } => {}
            Expression::Flow { .. } | Expression::ExthdrSet { .. } | Expression::ExthdrReset { .. } => {}
            Expression::Limit { .. } => return Next::Go(Truth::Unknown("limit".to_owned())),
            Expression::Connlimit { .. } => return Next::Go(Truth::Unknown("ct count".to_owned())),
            Expression::Quota { .. } => return Next::Go(Truth::Unknown("quota".to_owned())),
            Expression::Object { kind, name } => match kind {
                // NFT_OBJECT_QUOTA, LIMIT and CONNLIMIT may stop here.
                2 | 4 | 5 => return Next::Go(Truth::Unknown(format!("object {name}"))),
                10 if pass.step.is_some() && self.is_syn() => {
                    let step = pass.step.unwrap_or(0);
                    return Next::Fate(self.end(Verdict::Stolen, "answered by synproxy".to_owned(), step));
                }
                _ => {}
            },
            Expression::ObjectMap { from, set } => {
                return self.look(pass, rule, *from, None, set, false);
            }
            Expression::Match { name, revision, info } => {
                let revision = u8::try_from(*revision).unwrap_or(u8::MAX);
                let data = Cow::Borrowed(&**info);
                return Next::Go(self.xt_match(&Extension { name: Cow::Borrowed(name), revision, data }));
            }
            Expression::Unknown { name, .. } => return Next::Go(Truth::Unknown(format!("expression {name}"))),
            acting => return self.act(acting, pass, at),
        }
        GO
    }

    pub(super) fn is_syn(&self) -> bool {
        self.packet.protocol == protocol::TCP && self.packet.flags & 0x12 == 0x02
    }

    /// What an expression does besides deciding.
    fn act(&mut self, expression: &Expression<'_>, pass: &mut Pass, at: &At) -> Next {
        let registers = &pass.registers;
        let number = |register: u32| registers.certain(register, 4).and_then(|bytes| bytes.first_chunk::<4>().copied());
        let Some(step) = pass.step else {
            match expression {
                Expression::MetaSet { from, key: 3 } => {
                    self.packet.mark = number(*from).map_or(self.packet.mark, u32::from_ne_bytes);
                }
                Expression::CtSet { from, key: 3, .. } => {
                    self.connection.mark = number(*from).map_or(self.connection.mark, u32::from_ne_bytes);
                }
                _ => {}
            }
            return GO;
        };
        match expression {
            Expression::MetaSet { from, key: 3 } => match number(*from) {
                Some(bytes) => self.set_mark(u32::from_ne_bytes(bytes), step),
                None => {
                    self.notes.push(format!("{} {} {}: the mark it sets is not known", at.table, at.chain, at.number))
                }
            },
            Expression::CtSet { from, key: 3, .. } => match number(*from) {
                Some(bytes) => self.set_connection_mark(u32::from_ne_bytes(bytes), step),
                None => self
                    .notes
                    .push(format!("{} {} {}: the connection mark it sets is not known", at.table, at.chain, at.number)),
            },
            Expression::PayloadSet { base: 1 | 2, .. } => {
                self.notes.push(format!("{} {} {} changes the packet itself", at.table, at.chain, at.number));
            }
            Expression::Notrack => self.exempt(step),
            Expression::Reject { kind, code } => {
                let text = self.reject_words(*kind, *code);
                return Next::Fate(self.end(Verdict::Reject, text, step));
            }
            Expression::Queue { number, total, flags, .. } => {
                let last = u32::from(*number) + u32::from((*total).max(1)) - 1;
                let range = if u32::from(*number) == last { String::new() } else { format!("-{last}") };
                let bypass = if flags & 1 != 0 { ", or past it if nobody listens" } else { "" };
                return Next::Fate(self.end(Verdict::Queue, format!("queue {number}{range}{bypass}"), step));
            }
            Expression::Forward { .. } => {
                return Next::Fate(self.end(Verdict::Stolen, "sent on by fwd".to_owned(), step));
            }
            Expression::Synproxy { .. } if self.is_syn() => {
                return Next::Fate(self.end(Verdict::Stolen, "answered by synproxy".to_owned(), step));
            }
            Expression::Nat { kind, address, port, .. } => {
                let (address, port) = (self.read_address(registers, *address), read_port(registers, *port));
                return Next::Fate(self.native_nat(*kind, address, port, step));
            }
            Expression::Masquerade { port, .. } => {
                let ports = read_port(registers, *port).ok().flatten();
                return Next::Fate(self.masquerade(ports.map(|port| (port, port)), step));
            }
            Expression::Redirect { port, .. } => {
                let port = read_port(registers, *port).ok().flatten();
                return Next::Fate(self.redirect(port, step));
            }
            Expression::Tproxy { address, port, .. } => {
                let to = self.read_address(registers, [*address, None]).ok().flatten();
                let port = read_port(registers, [*port, None]).ok().flatten();
                let any = self.packet.destination;
                if let Some(fate) = self.proxied(to.unwrap_or(any), port.unwrap_or(0), step) {
                    return Next::Fate(fate);
                }
            }
            Expression::Target { name, revision, info } => {
                let revision = u8::try_from(*revision).unwrap_or(u8::MAX);
                let found = Extension { name: Cow::Borrowed(name), revision, data: Cow::Borrowed(&**info) };
                if let Some(fate) = self.xt_target(&found, step, at) {
                    return Next::Fate(fate);
                }
            }
            _ => {}
        }
        GO
    }

    /// A set's or a map's element for what a register holds.
    fn look(
        &mut self,
        pass: &mut Pass,
        rule: &NftRule<'_>,
        from: u32,
        to: Option<u32>,
        set: &str,
        negated: bool,
    ) -> Next {
        let Some(native) = &self.rules.native else { return GO };
        let Some(length) = native.key_length(rule.family, &rule.table, set) else {
            return Next::Go(Truth::Unknown(format!("set {set} cannot be read")));
        };
        let Some(key) = pass.registers.certain(from, length) else {
            if to == Some(0) && pass.step.is_some() {
                self.notes.push(format!("where the map {set} leads is not known"));
            }
            return Next::Go(pass.registers.unknown());
        };
        match (self.kernel.element(rule.family, &rule.table, set, key), to) {
            (Err(why), _) => Next::Go(Truth::Unknown(format!("set {set}: {why}"))),
            (Ok(None), _) => Next::Go(Truth::of(negated)),
            (Ok(Some(_)), None) => Next::Go(Truth::of(!negated)),
            (Ok(Some(Found::Verdict(code, chain))), Some(_)) => Next::Verdict(code, chain),
            (Ok(Some(Found::Value(value))), Some(to)) => {
                pass.registers.put(to, value.get(..value.len().min(SIZE)).unwrap_or_default());
                GO
            }
            (Ok(Some(Found::Member)), Some(_)) => Next::Go(Truth::Unknown(format!("map {set} has no data"))),
        }
    }

    fn payload(&self, registers: &mut Registers, to: u32, base: u32, offset: u32, length: u32) {
        let (offset, length) =
            (usize::try_from(offset).unwrap_or(SIZE), usize::try_from(length).unwrap_or(SIZE).min(SIZE));
        let (value, known) = match base {
            0 => self.link_header(),
            1 => self.network_header(),
            2 => self.transport_header(),
            _ => (Vec::new(), Vec::new()),
        };
        let cut = |bytes: &[u8]| -> Vec<u8> {
            (offset..offset.saturating_add(length)).map(|at| bytes.get(at).copied().unwrap_or(0)).collect()
        };
        registers.store(to, &cut(&value), &cut(&known));
        registers.why = Cow::Borrowed(match base {
            0 => "link-layer addresses are not given",
            2 if offset < 2 => "the source port is not given",
            _ => "not given of the packet",
        });
        if base == 2 && offset == 0 && length >= 2 && self.packet.has_ports() && self.packet.source_port().is_none() {
            registers.open_port = self::offset(to);
        }
    }

    fn link_header(&self) -> (Vec<u8>, Vec<u8>) {
        let kind = if self.packet.source.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] };
        ([&[0; 12][..], &kind].concat(), [&[0; 12][..], &[u8::MAX; 2]].concat())
    }

    fn network_header(&self) -> (Vec<u8>, Vec<u8>) {
        let packet = &self.packet;
        let (ttl, ttl_known) = packet.ttl.map_or((0, 0), |ttl| (ttl, u8::MAX));
        let (length, length_known) = packet.length.map_or((0, 0), |length| (length, u8::MAX));
        let addresses = [octets(packet.source), octets(packet.destination)].concat();
        let all = vec![u8::MAX; addresses.len()];
        match packet.family() {
            Family::Ipv4 => {
                let [a, b] = length.to_be_bytes();
                // Whether it may be fragmented is not given, but it is whole.
                let head = [0x45, packet.tos, a, b, 0, 0, 0, 0, ttl, packet.protocol, 0, 0];
                let known =
                    [u8::MAX, u8::MAX, length_known, length_known, 0, 0, 0xbf, u8::MAX, ttl_known, u8::MAX, 0, 0];
                ([&head[..], &addresses].concat(), [&known[..], &all].concat())
            }
            Family::Ipv6 => {
                let [a, b] = length.saturating_sub(40).to_be_bytes();
                let head = [0x60 | packet.tos >> 4, packet.tos << 4, 0, 0, a, b, packet.protocol, ttl];
                let known = [u8::MAX, 0xf0, 0, 0, length_known, length_known, u8::MAX, ttl_known];
                ([&head[..], &addresses].concat(), [&known[..], &all].concat())
            }
        }
    }

    fn transport_header(&self) -> (Vec<u8>, Vec<u8>) {
        let packet = &self.packet;
        if packet.is_icmp() {
            return (vec![packet.icmp.0, packet.icmp.1], vec![u8::MAX; 2]);
        }
        if !packet.has_ports() {
            return (Vec::new(), Vec::new());
        }
        let [a, b] = packet.source_port().unwrap_or(0).to_be_bytes();
        let [c, d] = packet.dport.unwrap_or(0).to_be_bytes();
        let source = if packet.source_port().is_some() { u8::MAX } else { 0 };
        let mut value = vec![a, b, c, d];
        let mut known = vec![source, source, u8::MAX, u8::MAX];
        if packet.protocol == protocol::TCP {
            value.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, packet.flags]);
            known.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, u8::MAX]);
        }
        (value, known)
    }

    /// NFT_META_*
    fn meta(&self, registers: &mut Registers, to: u32, key: u32) -> Next {
        let packet = &self.packet;
        let v4 = packet.source.is_ipv4();
        let name = |link: Option<&super::kernel::Link>| {
            let mut field = [0; 16];
            for (slot, byte) in field.iter_mut().zip(link.map_or("", |link| &link.name).bytes().take(15)) {
                *slot = byte;
            }
            field
        };
        let (input, output) = (self.input_link(), self.output_link());
        let index = |link: Option<&super::kernel::Link>| link.map_or(0, |link| link.index).to_ne_bytes();
        match key {
            0 => match packet.length {
                Some(length) => registers.put(to, &u32::from(length).to_ne_bytes()),
                None => registers.forget(to, 4, "the length is not given"),
            },
            1 => registers.put(to, if v4 { &[0x08, 0x00] } else { &[0x86, 0xdd] }),
            3 => registers.put(to, &packet.mark.to_ne_bytes()),
            4 => registers.put(to, &index(input)),
            5 => registers.put(to, &index(output)),
            6 => registers.put(to, &name(input)),
            7 => registers.put(to, &name(output)),
            8 | 9 | 21 | 22 => {
                let Some(link) = (if matches!(key, 8 | 21) { input } else { output }) else { return BREAK };
                if key <= 9 {
                    registers.put(to, &link.kind.to_ne_bytes());
                } else {
                    registers.put(to, &link.group.to_ne_bytes());
                }
            }
            10 | 11 => {
                if !self.local || self.hook == PREROUTING || self.hook == INPUT {
                    return BREAK;
                }
                match if key == 10 { packet.uid } else { packet.gid } {
                    Some(id) => registers.put(to, &id.to_ne_bytes()),
                    None => registers.forget(to, 4, "the owner of the sender is not given"),
                }
            }
            15 => registers.put(to, &[if v4 { family::IPV4 } else { family::IPV6 }]),
            16 => registers.put(to, &[packet.protocol]),
            19 => {
                let kind = match self.kernel.address_type(packet.destination, 0) {
                    Some(rtn::BROADCAST) => 1,
                    Some(rtn::MULTICAST) => 2,
                    _ => 0,
                };
                registers.put(to, &[kind]);
            }
            key => registers.forget(to, 16, format!("meta key {key} is not known")),
        }
        GO
    }

    /// NFT_CT_*
    fn ct(&self, registers: &mut Registers, to: u32, key: u32, direction: Option<u8>) -> Next {
        if key == 0 {
            registers.put(to, &self.state_bit().to_ne_bytes());
            return GO;
        }
        if !self.has_connection() {
            return BREAK;
        }
        let connection = &self.connection;
        let tuples = self.tuples();
        let [original, reply] = &tuples;
        let (source, destination, sport, dport) = if direction == Some(1) { reply } else { original };
        let port = |registers: &mut Registers, port: Option<u16>| match port {
            Some(port) => registers.put(to, &port.to_be_bytes()),
            None => {
                registers.forget(to, 2, "the source port is not given");
                registers.open_port = offset(to);
            }
        };
        match key {
            1 => registers.put(to, &[u8::from(connection.entry.as_ref().is_some_and(|entry| entry.reply))]),
            2 => registers.put(to, &connection.status.to_ne_bytes()),
            3 => registers.put(to, &connection.mark.to_ne_bytes()),
            7 => registers.put(to, &[if source.is_ipv4() { family::IPV4 } else { family::IPV6 }]),
            8 | 19 | 21 => registers.put(to, &octets(*source)),
            9 | 20 | 22 => registers.put(to, &octets(*destination)),
            10 => registers.put(to, &[self.packet.protocol]),
            11 => port(registers, *sport),
            12 => port(registers, *dport),
            key => registers.forget(to, 16, format!("ct key {key} is not known")),
        }
        GO
    }

    /// NFTA_FIB_*: 1 oif, 2 oifname, 3 type of an address.
    fn fib(&self, registers: &mut Registers, to: u32, result: u32, flags: u32) {
        const SOURCE: u32 = 1;
        const MARK: u32 = 4;
        const IIF: u32 = 8;
        const OIF: u32 = 16;
        const PRESENT: u32 = 32;
        let address = if flags & SOURCE != 0 { self.packet.source } else { self.packet.destination };
        let device = match flags & (IIF | OIF) {
            IIF => self.input_link(),
            OIF => self.output_link(),
            _ => None,
        };
        if result == 3 {
            match self.kernel.address_type(address, device.map_or(0, |link| link.index)) {
                Some(kind) => registers.put(to, &u32::from(kind).to_ne_bytes()),
                None => registers.forget(to, 4, "the type of the address is not known"),
            }
            return;
        }
        let looped = self.input_link().is_some_and(|link| link.loopback);
        let found = if looped {
            self.input_link().cloned()
        } else {
            let back = Question {
                destination: address,
                source: None,
                input: 0,
                output: 0,
                mark: if flags & MARK != 0 { self.packet.mark } else { 0 },
                flow: (0, None, None),
                uid: None,
            };
            let route = self.kernel.route(&back).ok().filter(|route| route.kind == rtn::UNICAST);
            let link = route.and_then(|route| self.kernel.link(route.output));
            link.filter(|link| device.is_none_or(|device| device.index == link.index))
        };
        match (flags & PRESENT != 0, result) {
            (true, _) => registers.put(to, &[u8::from(found.is_some())]),
            (false, 1) => registers.put(to, &found.map_or(0, |link| link.index).to_ne_bytes()),
            (false, _) => {
                let mut field = [0; 16];
                let name = found.map(|link| link.name).unwrap_or_default();
                for (slot, byte) in field.iter_mut().zip(name.bytes().take(15)) {
                    *slot = byte;
                }
                registers.put(to, &field);
            }
        }
    }

    fn read_address(&self, registers: &Registers, pair: [Option<u32>; 2]) -> Result<Option<IpAddr>, ()> {
        let [Some(register), _] = pair else { return Ok(None) };
        let bytes = registers.certain(register, if self.packet.source.is_ipv4() { 4 } else { 16 }).ok_or(())?;
        let v4 = bytes.first_chunk::<4>().filter(|_| bytes.len() == 4).map(|octets| IpAddr::from(*octets));
        v4.or_else(|| bytes.first_chunk::<16>().map(|octets| IpAddr::from(*octets))).ok_or(()).map(Some)
    }
}

fn read_port(registers: &Registers, pair: [Option<u32>; 2]) -> Result<Option<u16>, ()> {
    let [Some(register), _] = pair else { return Ok(None) };
    let bytes = registers.certain(register, 2).and_then(|bytes| bytes.first_chunk::<2>()).ok_or(())?;
    Ok(Some(u16::from_be_bytes(*bytes)))
}

fn bitwise(registers: &mut Registers, from: u32, to: u32, mask: &[u8], xor: &[u8]) {
    let Some((value, known)) = registers.value(from, mask.len()) else { return };
    let xored = xor.iter().copied().chain(std::iter::repeat(0));
    let value: Vec<u8> = value.iter().zip(mask).zip(xored).map(|((value, mask), xor)| value & mask ^ xor).collect();
    // What the mask takes away is known whatever it was.
    let known: Vec<u8> = known.iter().zip(mask).map(|(known, mask)| known | !mask).collect();
    registers.store(to, &value, &known);
}

/// As the kernel does it: in words of the host's order, the first one being the highest.
fn shift(registers: &mut Registers, from: u32, to: u32, length: u32, right: bool, bits: u32) {
    let length = usize::try_from(length).unwrap_or(SIZE).min(SIZE);
    let words: Option<Vec<u32>> = registers.certain(from, length.next_multiple_of(4)).map(|bytes| {
        bytes
            .chunks_exact(4)
            .filter_map(|chunk| chunk.first_chunk::<4>())
            .map(|word| u32::from_ne_bytes(*word))
            .collect()
    });
    let (Some(mut words), 1..=31) = (words, bits) else {
        registers.forget(to, length, "shifted bits are not known");
        return;
    };
    let mut carry = 0;
    let each: Box<dyn Iterator<Item = &mut u32>> =
        if right { Box::new(words.iter_mut()) } else { Box::new(words.iter_mut().rev()) };
    for word in each {
        let (moved, out) = match right {
            true => (*word >> bits | carry, *word << (32 - bits)),
            false => (*word << bits | carry, *word >> (32 - bits)),
        };
        *word = moved;
        carry = out;
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    registers.put(to, bytes.get(..length).unwrap_or_default());
}

fn byteorder(registers: &mut Registers, from: u32, to: u32, length: u32, size: u32) {
    let (length, size) = (usize::try_from(length).unwrap_or(SIZE).min(SIZE), usize::try_from(size).unwrap_or(4).max(1));
    let Some((value, known)) = registers.value(from, length) else { return };
    let turned = |bytes: &[u8]| -> Vec<u8> {
        if cfg!(target_endian = "big") {
            return bytes.to_vec();
        }
        bytes.chunks(size).flat_map(|chunk| chunk.iter().rev().copied().collect::<Vec<u8>>()).collect()
    };
    let (value, known) = (turned(value), turned(known));
    registers.store(to, &value, &known);
}

/// NFT_CMP_*, bytes compared as memcmp(3) does.
fn compare(registers: &Registers, from: u32, operator: u32, data: &[u8], sport: (u16, u16)) -> Truth {
    let Some((value, known)) = registers.value(from, data.len()) else { return registers.unknown() };
    let certain = known.iter().all(|bits| *bits == u8::MAX);
    if let (Some(_), [high, low]) = (offset(from).filter(|at| registers.open_port == Some(*at)), data) {
        let port = u16::from_be_bytes([*high, *low]);
        let truth = match operator {
            0 => within(sport, port, port),
            1 => within(sport, port, port).map(|inside| !inside),
            2 => port.checked_sub(1).map_or(Some(false), |below| within(sport, 0, below)),
            3 => within(sport, 0, port),
            4 => port.checked_add(1).map_or(Some(false), |above| within(sport, above, u16::MAX)),
            _ => within(sport, port, u16::MAX),
        };
        return truth.map_or_else(|| registers.unknown(), Truth::of);
    }
    if operator <= 1 {
        let differs = value.iter().zip(known).zip(data).any(|((value, known), data)| (value ^ data) & known != 0);
        return match (differs, certain) {
            (true, _) => Truth::of(operator == 1),
            (false, true) => Truth::of(operator == 0),
            (false, false) => registers.unknown(),
        };
    }
    if !certain {
        return registers.unknown();
    }
    Truth::of(match operator {
        2 => value < data,
        3 => value <= data,
        4 => value > data,
        _ => value >= data,
    })
}
