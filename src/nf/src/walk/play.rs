//! One play of the walk: the packet's state, the choices made, and the hooks one after the other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::kernel::{Entry, Kernel, Link, Question as RouteQuestion, Route, rtn};
use super::packet::{Packet, State, endpoint};
use super::rules::{Base, CONNTRACK, EGRESS, INGRESS, NAT_DST, NAT_SRC, Rules};
use super::{Backend, From, Outcome, Question, Step, StepKind, Verdict};
use crate::model::Family;

/// Names of the hooks by number.
const HOOKS: [&str; 7] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING", "INGRESS", "EGRESS"];
pub(super) const PREROUTING: u8 = 0;
pub(super) const INPUT: u8 = 1;
pub(super) const FORWARD: u8 = 2;
pub(super) const OUTPUT: u8 = 3;
pub(super) const POSTROUTING: u8 = 4;

/// Why a play has a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The kernel throws dice: every option is part of the answer.
    Chance,
    /// It cannot be known: option 0 is assumed.
    Unknown,
}

/// A choice that was made.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) kind: Kind,
    pub(super) pick: usize,
    pub(super) options: usize,
    /// The rule it belongs to.
    pub(super) label: String,
}

/// Which way to go at each choice; beyond what is given, the first option.
pub(super) struct Script<'s> {
    given: &'s [usize],
    pub(super) taken: Vec<Taken>,
    share: f64,
}

impl<'s> Script<'s> {
    pub(super) fn new(given: &'s [usize]) -> Script<'s> {
        Script { given, taken: Vec::new(), share: 1.0 }
    }

    fn next(&mut self, kind: Kind, options: usize, label: String) -> usize {
        let pick = self.given.get(self.taken.len()).copied().unwrap_or(0);
        self.taken.push(Taken { kind, pick, options, label });
        pick
    }
}

/// What is known of a condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Truth {
    Yes,
    No,
    /// Why it cannot be decided.
    Unknown(String),
    /// It holds with this probability.
    Chance(f64),
}

impl Truth {
    pub(super) fn of(holds: bool) -> Truth {
        if holds { Truth::Yes } else { Truth::No }
    }

    pub(super) fn not(self, negated: bool) -> Truth {
        match self {
            Truth::Yes if negated => Truth::No,
            Truth::No if negated => Truth::Yes,
            Truth::Chance(share) if negated => Truth::Chance(1.0 - share),
            other => other,
        }
    }

    /// Both; a false one decides, whatever the other.
    pub(super) fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::No, _) | (_, Truth::No) => Truth::No,
            (Truth::Yes, other) | (other, Truth::Yes) => other,
            (Truth::Unknown(one), Truth::Unknown(two)) => Truth::Unknown(format!("{one}; {two}")),
            (Truth::Unknown(why), _) | (_, Truth::Unknown(why)) => Truth::Unknown(why),
            (Truth::Chance(one), Truth::Chance(two)) => Truth::Chance(one * two),
        }
    }
}

/// IPS_SRC_NAT and IPS_DST_NAT
pub(super) const SRC_NAT: u32 = 1 << 4;
pub(super) const DST_NAT: u32 = 1 << 5;

/// The connection as conntrack has it.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) state: State,
    /// Nothing of a packet is tracked before conntrack's own hook.
    pub(super) seen: bool,
    pub(super) entry: Option<Entry>,
    pub(super) status: u32,
    pub(super) mark: u32,
    /// Source and destination before any translation.
    pub(super) original: (IpAddr, IpAddr, Option<u16>, Option<u16>),
    source_done: bool,
    destination_done: bool,
}

/// How every play begins.
pub(super) struct Start {
    packet: Packet,
    local: bool,
    input: Option<Link>,
    connection: Connection,
    pub(super) notes: Vec<String>,
}

impl Start {
    pub(super) fn of(kernel: &dyn Kernel, question: &Question) -> Result<Start, String> {
        let packet = question.packet.clone();
        let mut notes = Vec::new();
        let is_own = packet.source.is_loopback() || kernel.address_type(packet.source, 0) == Some(rtn::LOCAL);
        let local = match question.from {
            Some(From::Host) => true,
            Some(From::Pod | From::Outside) => false,
            None => is_own && question.input.is_none(),
        };
        let mut input = None;
        if let Some(name) = &question.input {
            if question.from == Some(From::Host) {
                return Err(format!("a packet from the host does not come in by {name}"));
            }
            input = Some(kernel.link_named(name).ok_or_else(|| format!("there is no interface {name}"))?);
        } else if !local {
            let back = RouteQuestion {
                destination: packet.source,
                source: None,
                input: 0,
                output: 0,
                mark: 0,
                flow: (0, None, None),
                uid: None,
            };
            let index = kernel.route(&back).ok().map_or(0, |route| route.output);
            input = kernel.link(index);
            match &input {
                None => {
                    let source = packet.source;
                    return Err(format!("no route leads to {source}, so -i must say where it comes in"));
                }
                Some(link) if link.loopback => {
                    return Err(format!("{} is an address of this host: --from host, or -i", packet.source));
                }
                Some(link) => notes.push(format!("it comes in by {}, which leads to {}", link.name, packet.source)),
            }
        }
        if let Some(port) = input.take_if(|link| link.master != 0) {
            // The network layer sees what the port belongs to.
            let master = kernel.link(port.master);
            notes.push(format!(
                "{} is a port of {}, which is what rules see",
                port.name,
                master.as_ref().map_or("?", |link| &link.name)
            ));
            input = master.or(Some(port));
        }
        notes.extend(besides(kernel, &packet, input.as_ref()));
        let mut entry = None;
        if !matches!(question.state, Some(State::New | State::Invalid | State::Untracked)) {
            match kernel.connection(&packet) {
                Ok(found) => entry = found,
                Err(why) => notes.push(format!("conntrack cannot be asked: {why}")),
            }
        }
        let state = question.state.unwrap_or(match &entry {
            // IPS_SEEN_REPLY
            Some(entry) if entry.reply || entry.status & 2 != 0 => State::Established,
            _ => State::New,
        });
        if question.state == Some(State::Established) && entry.is_none() {
            notes.push("conntrack has no such connection, so none of its translations are known".to_owned());
        }
        let ports = packet.has_ports();
        let (sport, dport) = (packet.source_port(), packet.dport.filter(|_| ports));
        let connection = Connection {
            state,
            seen: false,
            status: entry.as_ref().map_or(0, |entry| entry.status),
            mark: entry.as_ref().map_or(0, |entry| entry.mark),
            original: (packet.source, packet.destination, sport, dport),
            entry,
            source_done: false,
            destination_done: false,
        };
        Ok(Start { packet, local, input, connection, notes })
    }

    pub(super) fn state(&self) -> State {
        self.connection.state
    }

    pub(super) fn input_name(&self) -> Option<String> {
        self.input.as_ref().map(|link| link.name.clone())
    }
}

/// What else may have a hand in it, beyond what rules show.
fn besides(kernel: &dyn Kernel, packet: &Packet, input: Option<&Link>) -> Vec<String> {
    let mut notes = Vec::new();
    for (link, who) in [("cilium_host", "Cilium"), ("bpfin.cali", "Calico")] {
        if kernel.link_named(link).is_some() {
            notes.push(format!("{who} has eBPF programs here, which may take packets before any rule sees them"));
        }
    }
    if let Some(bridge) = input.filter(|link| link.bridge) {
        let towards = RouteQuestion {
            destination: packet.destination,
            source: None,
            input: 0,
            output: 0,
            mark: 0,
            flow: (0, None, None),
            uid: None,
        };
        let near = kernel
            .route(&towards)
            .is_ok_and(|route| route.kind == rtn::UNICAST && route.output == bridge.index && route.gateway.is_none());
        let file = if packet.source.is_ipv4() { "bridge-nf-call-iptables" } else { "bridge-nf-call-ip6tables" };
        if near {
            let value = kernel.sysctl(&format!("bridge/{file}")).unwrap_or_else(|| "not there".to_owned());
            notes.push(format!(
                "source and destination are on the bridge {}: frames between them meet rules only with {file} 1 (it is {value})",
                bridge.name
            ));
        }
    }
    notes
}

/// How a table leaves the packet, unless it goes on.
pub(super) struct End {
    pub(super) verdict: Verdict,
    pub(super) text: String,
    pub(super) decider: Option<usize>,
}

/// What the rules of a chain say.
pub(super) enum Fate {
    /// This table lets it pass.
    Accept(Option<usize>),
    /// Nobody sees it any more.
    End(End),
}

/// A play.
pub(super) struct Walk<'w> {
    pub(super) rules: &'w Rules<'w>,
    pub(super) kernel: &'w dyn Kernel,
    pub(super) script: Script<'w>,
    pub(super) packet: Packet,
    pub(super) connection: Connection,
    pub(super) hook: u8,
    /// It was made on this machine and has a socket.
    pub(super) local: bool,
    pub(super) input: Option<Link>,
    pub(super) output: Option<Link>,
    pub(super) route: Option<Route>,
    pub(super) steps: Vec<Step>,
    pub(super) notes: Vec<String>,
    /// Rules that may still be looked at.
    pub(super) budget: usize,
    decider: Option<usize>,
}

impl<'w> Walk<'w> {
    pub(super) fn new(
        rules: &'w Rules<'w>,
        kernel: &'w dyn Kernel,
        start: &Start,
        script: Script<'w>,
        budget: usize,
    ) -> Walk<'w> {
        Walk {
            rules,
            kernel,
            script,
            packet: start.packet.clone(),
            connection: start.connection.clone(),
            hook: if start.local { OUTPUT } else { PREROUTING },
            local: start.local,
            input: start.input.clone(),
            output: None,
            route: None,
            steps: Vec::new(),
            notes: Vec::new(),
            budget,
            decider: None,
        }
    }

    pub(super) fn run(&mut self) -> Outcome {
        let end = self.stages();
        let packet = self.packet.clone();
        let stays = end.verdict != Verdict::Accept || self.hook == INPUT;
        Outcome {
            steps: std::mem::take(&mut self.steps),
            verdict: end.verdict,
            text: end.text,
            decider: end.decider,
            share: self.script.share,
            packet,
            output: self.output.as_ref().filter(|_| !stays).map(|link| link.name.clone()),
        }
    }

    /// A choice, its probabilities told by `share` for each option.
    pub(super) fn chance(&mut self, options: usize, share: impl Fn(usize) -> f64, label: String) -> usize {
        let pick = self.script.next(Kind::Chance, options, label);
        self.script.share *= share(pick);
        pick
    }

    /// Whether an undecided rule is supposed to match in this play.
    pub(super) fn suppose(&mut self, label: String) -> bool {
        self.script.next(Kind::Unknown, 2, label) == 1
    }

    pub(super) fn hook_name(&self) -> &'static str {
        HOOKS.get(usize::from(self.hook)).copied().unwrap_or_default()
    }

    /// Adds what the kernel itself does.
    fn own_step(&mut self, what: &str, effect: String) -> usize {
        self.steps.push(Step {
            hook: self.hook_name(),
            backend: Backend::Kernel,
            family: "",
            table: what.to_owned(),
            chain: String::new(),
            number: 0,
            text: String::new(),
            counters: None,
            kind: StepKind::Kernel,
            effect,
        });
        self.steps.len() - 1
    }

    /// All stages in order.
    fn stages(&mut self) -> End {
        match self.all_stages() {
            Ok(text) => End { verdict: Verdict::Accept, text, decider: self.decider },
            Err(end) => end,
        }
    }

    fn all_stages(&mut self) -> Result<String, End> {
        if self.local {
            self.look_up("route", 0)?;
            self.pass(OUTPUT)?;
            self.pass(POSTROUTING)?;
            let Some(out) = self.output.clone().filter(|link| link.loopback) else {
                return self.leave("sent");
            };
            // What goes to an address of this host comes back by the loopback device.
            self.input = Some(out);
            self.output = None;
        }
        if !self.local {
            self.pass(INGRESS)?;
        }
        self.pass(PREROUTING)?;
        let index = self.input.as_ref().map_or(0, |link| link.index);
        // What was routed on its way out keeps that route over the loopback device.
        if !self.local {
            self.look_up("route", index)?;
        }
        let kind = self.route.as_ref().map_or(rtn::UNICAST, |route| route.kind);
        if self.local || matches!(kind, rtn::LOCAL | rtn::BROADCAST | rtn::ANYCAST | rtn::MULTICAST) {
            self.output = None;
            self.pass(INPUT)?;
            let end = endpoint(self.packet.destination, self.packet.dport.filter(|_| self.packet.has_ports()));
            return Ok(format!("delivered to {end} on this host"));
        }
        self.forwarding()?;
        self.pass(FORWARD)?;
        self.pass(POSTROUTING)?;
        self.leave("forwarded")
    }

    fn leave(&mut self, how: &str) -> Result<String, End> {
        self.pass(EGRESS)?;
        self.hook = POSTROUTING;
        let name = self.output.as_ref().map_or("?", |link| link.name.as_str());
        let via = self.route.as_ref().and_then(|route| route.gateway);
        let via = via.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
        let end = endpoint(self.packet.destination, self.packet.dport.filter(|_| self.packet.has_ports()));
        let source = endpoint(self.packet.source, self.packet.source_port());
        Ok(format!("{how} by {name}{via} to {end} from {source}"))
    }

    /// IPv6 asks only after routing whether forwarding is on; IPv4's routing has asked already.
    fn forwarding(&mut self) -> Result<(), End> {
        let off = self.packet.family() == Family::Ipv6
            && self.kernel.sysctl("ipv6/conf/all/forwarding").as_deref() == Some("0");
        if !off {
            return Ok(());
        }
        let text = "net.ipv6.conf.all.forwarding is 0".to_owned();
        let decider = Some(self.own_step("forwarding", text.clone()));
        Err(End { verdict: Verdict::Unroutable, text, decider })
    }

    /// Routes the packet as it is now.
    fn look_up(&mut self, what: &str, input: u32) -> Result<(), End> {
        let mut question = RouteQuestion::of(&self.packet, input);
        if input == 0 && self.kernel.address_type(self.packet.source, 0) != Some(rtn::LOCAL) {
            // A source that is not ours would be refused; the route itself does not depend on it.
            question.source = None;
        }
        match self.kernel.route(&question) {
            Ok(route) => {
                self.output = self.kernel.link(route.output);
                let words = self.route_words(&route);
                if self.route.as_ref() != Some(&route) {
                    self.own_step(what, words);
                }
                self.route = Some(route);
                Ok(())
            }
            Err(errno) => {
                let text = self.refusal(errno, input);
                let decider = Some(self.own_step(what, text.clone()));
                Err(End { verdict: Verdict::Unroutable, text, decider })
            }
        }
    }

    fn route_words(&self, route: &Route) -> String {
        let link = self.kernel.link(route.output).map_or_else(|| route.output.to_string(), |link| link.name);
        let destination = self.packet.destination;
        match (route.kind, route.gateway) {
            (rtn::LOCAL, _) => format!("{destination} is local"),
            (rtn::BROADCAST, _) => format!("{destination} is a broadcast address"),
            (rtn::MULTICAST, _) => format!("{destination} is a multicast address"),
            (_, Some(gateway)) => format!("{destination} by {link} via {gateway}"),
            (_, None) => format!("{destination} by {link}"),
        }
    }

    fn refusal(&self, errno: i32, input: u32) -> String {
        const EXDEV: i32 = 18;
        const EINVAL: i32 = 22;
        const EHOSTUNREACH: i32 = 113;
        let (source, destination) = (self.packet.source, self.packet.destination);
        let why = netkit_nl::describe(errno);
        match errno {
            EXDEV => format!("{source} may not come in here: reverse path filter ({why})"),
            EINVAL if input != 0 => format!("{source} -> {destination} may not come in here: martian ({why})"),
            EHOSTUNREACH if input != 0 => format!("no way to {destination}, or forwarding is off here ({why})"),
            _ => format!("no way to {destination} ({why})"),
        }
    }

    /// One hook: base chains by priority, and between them conntrack and translation.
    fn pass(&mut self, hook: u8) -> Result<(), End> {
        self.hook = hook;
        let device = match hook {
            EGRESS => self.output.as_ref(),
            _ => self.input.as_ref(),
        };
        let device = device.map(|link| link.name.clone());
        let bases = self.rules.bases(hook, device.as_deref());
        let nat_at = match hook {
            PREROUTING | OUTPUT => Some(NAT_DST),
            INPUT | POSTROUTING => Some(NAT_SRC),
            _ => None,
        };
        let mut tracked = !matches!(hook, PREROUTING | OUTPUT) || self.connection.seen;
        let mut translated = nat_at.is_none();
        let (mut nat, mut filters): (Vec<Base>, Vec<Base>) = bases.into_iter().partition(|base| base.is_nat);
        self.order(&mut filters, "");
        if self.asks_nat() {
            self.order(&mut nat, " nat");
        }
        for base in &filters {
            if !tracked && base.priority >= CONNTRACK {
                tracked = true;
                self.connection.seen = true;
            }
            if !translated && nat_at.is_some_and(|at| base.priority >= at) {
                translated = true;
                self.translate(&nat)?;
            }
            self.filter(base)?;
        }
        if !tracked {
            self.connection.seen = true;
        }
        if !translated {
            self.translate(&nat)?;
        }
        Ok(())
    }

    /// Legacy and native chains at one priority: which was hooked in first does not show anywhere, so both are played.
    fn order(&mut self, filters: &mut [Base], what: &str) {
        let native = |base: &Base| matches!(base.place, super::Place::Native(_));
        let mixed = filters
            .iter()
            .any(|one| native(one) && filters.iter().any(|other| !native(other) && other.priority == one.priority));
        if mixed {
            let hook = self.hook_name();
            self.notes
                .push(format!("{hook}{what}: legacy and nf_tables hook in at one priority; shown is legacy first"));
        }
        if mixed && self.suppose(format!("{} in {}{what}", super::ORDER, self.hook_name())) {
            filters.sort_by_key(|base| (base.priority, !native(base)));
        }
    }

    fn filter(&mut self, base: &Base) -> Result<(), End> {
        let before = (self.packet.source, self.packet.destination, self.packet.mark, self.packet.tos);
        match self.base(base) {
            Fate::Accept(decider) => {
                // The last word of the hook that decides about passing.
                if matches!(self.hook, INPUT | FORWARD | OUTPUT) && decider.is_some() {
                    self.decider = decider;
                }
            }
            Fate::End(end) => return Err(end),
        }
        let after = (self.packet.source, self.packet.destination, self.packet.mark, self.packet.tos);
        if base.reroutes && self.hook == OUTPUT && before != after {
            self.look_up("re-route", 0)?;
        }
        Ok(())
    }

    /// Whether rules are asked how to translate: not for what conntrack knows already.
    fn asks_nat(&self) -> bool {
        matches!(self.connection.state, State::New | State::Related) && self.connection.entry.is_none()
    }

    /// Address translation: rules are asked for the first packet of a connection, once for each end of it; afterwards
    /// what they said holds.
    fn translate(&mut self, nat: &[Base]) -> Result<(), End> {
        let destination = matches!(self.hook, PREROUTING | OUTPUT);
        let before = (self.packet.destination, self.packet.dport, self.packet.source);
        if !self.connection.seen || matches!(self.connection.state, State::Untracked | State::Invalid) {
            return Ok(());
        }
        if self.asks_nat() {
            let done = if destination { self.connection.destination_done } else { self.connection.source_done };
            if done {
                return Ok(());
            }
            for base in nat {
                match self.base(base) {
                    Fate::Accept(_) => {}
                    Fate::End(end) => return Err(end),
                }
                if if destination { self.connection.destination_done } else { self.connection.source_done } {
                    break;
                }
            }
            if destination {
                self.connection.destination_done = true;
            } else {
                self.connection.source_done = true;
            }
        } else if let Some(entry) = self.connection.entry.clone() {
            self.apply(&entry, destination);
        }
        let after = (self.packet.destination, self.packet.dport, self.packet.source);
        if self.hook == OUTPUT && before != after {
            self.look_up("re-route", 0)?;
        }
        Ok(())
    }

    /// What conntrack remembers of an earlier packet's translation.
    fn apply(&mut self, entry: &Entry, destination: bool) {
        let [original, reply] = entry.tuples;
        // The other direction's tuple, turned round, is what the packet looks like after translation.
        let other = if entry.reply { original } else { reply };
        let ports = self.packet.has_ports();
        if destination {
            if (self.packet.destination, self.packet.dport.unwrap_or(0)) != (other.0, other.2) {
                self.packet.destination = other.0;
                if ports {
                    self.packet.dport = Some(other.2);
                }
                let effect = format!("destination is {}", endpoint(other.0, ports.then_some(other.2)));
                self.own_step("conntrack", effect);
            }
        } else if (self.packet.source, self.packet.source_port().unwrap_or(0)) != (other.1, other.3) {
            self.packet.source = other.1;
            if ports {
                self.packet.sport = (other.3, other.3);
            }
            let effect = format!("source is {}", endpoint(other.1, ports.then_some(other.3)));
            self.own_step("conntrack", effect);
        }
    }

    /// Sets up the destination's translation, and says how.
    pub(super) fn set_destination(&mut self, address: Option<IpAddr>, port: Option<u16>) -> String {
        if let Some(address) = address {
            self.packet.destination = address;
        }
        if let Some(port) = port.filter(|_| self.packet.has_ports()) {
            self.packet.dport = Some(port);
        }
        self.connection.destination_done = true;
        let (_, to, _, port) = self.connection.original;
        let ports = self.packet.has_ports();
        let now = (self.packet.destination, self.packet.dport.filter(|_| ports));
        if (to, port) != now {
            self.connection.status |= DST_NAT;
        }
        format!("destination {} -> {}", endpoint(to, port), endpoint(now.0, now.1))
    }

    /// Sets up the source's translation, and says how.
    pub(super) fn set_source(&mut self, address: Option<IpAddr>, ports: Option<(u16, u16)>) -> String {
        let was = self.packet.source;
        if let Some(address) = address {
            self.packet.source = address;
        }
        if let Some(ports) = ports.filter(|_| self.packet.has_ports()) {
            self.packet.sport = ports;
        }
        self.connection.source_done = true;
        if was != self.packet.source || ports.is_some() {
            self.connection.status |= SRC_NAT;
        }
        format!("source {was} -> {}", endpoint(self.packet.source, self.packet.source_port()))
    }

    /// The address of this host that REDIRECT sends to.
    pub(super) fn own_address(&self) -> Option<IpAddr> {
        let v4 = self.packet.family() == Family::Ipv4;
        if self.hook == OUTPUT {
            return Some(if v4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        let link = self.input.as_ref()?;
        let any: IpAddr = if v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        self.kernel.source_on(link.index, any)
    }

    /// The address that masquerading takes.
    pub(super) fn masquerade_address(&self) -> Option<IpAddr> {
        let link = self.output.as_ref()?;
        let towards = self.route.as_ref().and_then(|route| route.gateway).unwrap_or(self.packet.destination);
        self.kernel.source_on(link.index, towards)
    }
}
