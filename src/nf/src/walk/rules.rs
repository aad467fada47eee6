//! Where rules come from: legacy tables in memory, nf_tables chains read when the walk enters them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use netkit_nl::netfilter::{request, subsystem};
use netkit_nl::{Dump, Protocol, Socket, flags};

use crate::legacy::Blob;
use crate::model::Family;
use crate::nft::{Data, Element, NftChain, NftRule, NftSet, NftTable, attribute, command, family as nfproto};

/// A legacy table that the caller has read.
pub struct LegacyTable<'a> {
    /// filter ...
    pub name: String,
    /// Its rules.
    pub blob: Blob<'a>,
}

/// Writes a native rule as nft does.
pub type NativeText<'a> = dyn Fn(&NftRule<'_>) -> String + 'a;

/// Everything that can be walked through, for one family of addresses.
pub struct Rules<'a> {
    /// ip or ip6
    pub family: Family,
    /// Legacy tables.
    pub legacy: Vec<LegacyTable<'a>>,
    /// nf_tables, if it may be read.
    pub native: Option<Native>,
    /// The name of an IP set.
    pub sets: &'a dyn Fn(u16) -> Option<String>,
    /// Text of rules that iptables has no words for.
    pub text: &'a NativeText<'a>,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// Rules of a chain, and the length of keys of a set, once read.
type Cache<K, V> = RefCell<HashMap<K, V>>;

/// nf_tables behind one socket.
pub struct Native {
    /// None for a recording.
    socket: Option<RefCell<Socket>>,
    /// Tables of the families a packet of IP can meet.
    pub tables: Vec<NftTable>,
    /// Their chains.
    pub chains: Vec<NftChain>,
    /// By family, table and name.
    index: HashMap<(u8, String, String), usize>,
    read: Cache<usize, Rc<[u8]>>,
    keys: Cache<(u8, String, String), usize>,
}

impl Native {
    /// Learns which tables and chains there are; rules are read later.
    ///
    /// # Errors
    /// EPERM without CAP_NET_ADMIN.
    pub fn open() -> Result<Native, netkit_nl::Error> {
        let mut socket = Socket::open(Protocol::Netfilter)?;
        let mut tables: Vec<NftTable> = Vec::new();
        let dump = socket.dump(&request(subsystem::NFTABLES, command::GET_TABLE, flags::DUMP, 0))?;
        tables.extend(dump.messages().filter_map(|message| NftTable::read(&message)));
        let dump = socket.dump(&request(subsystem::NFTABLES, command::GET_CHAIN, flags::DUMP, 0))?;
        let chains: Vec<NftChain> = dump.messages().filter_map(|message| NftChain::read(&message)).collect();
        let index = index(&chains);
        let (read, keys) = (RefCell::default(), RefCell::default());
        Ok(Native { socket: Some(RefCell::new(socket)), tables, chains, index, read, keys })
    }

    /// A recording: chains, and for each of them the messages with its rules. Sets are asked of the kernel's stand-in.
    pub fn recorded(tables: Vec<NftTable>, chains: Vec<NftChain>, rules: Vec<Vec<u8>>) -> Native {
        let index = index(&chains);
        let read = rules.into_iter().map(Rc::from).enumerate().collect();
        Native { socket: None, tables, chains, index, read: RefCell::new(read), keys: RefCell::default() }
    }

    /// Index of a chain.
    pub fn find(&self, family: u8, table: &str, name: &str) -> Option<usize> {
        self.index.get(&(family, table.to_owned(), name.to_owned())).copied()
    }

    /// The rules of a chain; empty when they cannot be read.
    pub fn rules(&self, chain: usize) -> Option<Rc<[u8]>> {
        if let Some(known) = self.read.borrow().get(&chain) {
            return Some(Rc::clone(known));
        }
        let dump: Rc<[u8]> = Rc::from(self.dump(chain)?.bytes());
        self.read.borrow_mut().insert(chain, Rc::clone(&dump));
        Some(dump)
    }

    /// As [`Native::rules`], but nothing is kept.
    pub fn dump(&self, chain: usize) -> Option<Dump> {
        let found = self.chains.get(chain)?;
        let ask = request(subsystem::NFTABLES, command::GET_RULE, flags::DUMP, found.family)
            .text(attribute::RULE_TABLE, &found.table)
            .text(attribute::RULE_CHAIN, &found.name);
        self.socket.as_ref()?.borrow_mut().dump(&ask).ok()
    }

    /// Octets of a set's key.
    pub(super) fn key_length(&self, family: u8, table: &str, set: &str) -> Option<usize> {
        let key = (family, table.to_owned(), set.to_owned());
        if let Some(known) = self.keys.borrow().get(&key) {
            return Some(*known);
        }
        let ask = request(subsystem::NFTABLES, command::GET_SET, 0, family)
            .text(attribute::SET_TABLE, table)
            .text(attribute::SET_NAME, set);
        let answer = self.socket.as_ref()?.borrow_mut().exchange(&ask).ok()?;
        let length = usize::try_from(NftSet::read(&answer.messages().next()?)?.key_length).ok()?;
        self.keys.borrow_mut().insert(key, length);
        Some(length)
    }
}

impl Native {
    /// Hands every element of a set or map to `each`; nothing when it cannot be read.
    pub fn elements(&self, family: u8, table: &str, set: &str, each: &mut dyn FnMut(&Element<'_>)) {
        let ask = request(subsystem::NFTABLES, command::GET_ELEMENT, flags::DUMP, family)
            .text(attribute::ELEMENTS_TABLE, table)
            .text(attribute::ELEMENTS_SET, set);
        let Some(Ok(dump)) = self.socket.as_ref().map(|socket| socket.borrow_mut().dump(&ask)) else { return };
        for message in dump.messages() {
            for element in Element::read_all(&message) {
                each(&element);
            }
        }
    }

    /// Whether a verdict map has an element that drops.
    pub fn map_drops(&self, family: u8, table: &str, set: &str) -> bool {
        let mut drops = false;
        self.elements(family, table, set, &mut |element| {
            drops |= matches!(element.data, Some(Data::Verdict { code: 0, .. }));
        });
        drops
    }
}

fn index(chains: &[NftChain]) -> HashMap<(u8, String, String), usize> {
    let key = |chain: &NftChain| (chain.family, chain.table.clone(), chain.name.clone());
    chains.iter().enumerate().map(|(index, chain)| (key(chain), index)).collect()
}

/// Where a base chain's rules lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Index of the legacy table.
    Legacy(usize),
    /// Index of the chain.
    Native(usize),
}

/// A chain that is hooked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Lower comes first.
    pub priority: i32,
    /// Translates addresses: asked once a connection.
    pub is_nat: bool,
    /// May change what routing goes by: mangle's OUTPUT, type route.
    pub reroutes: bool,
    /// Where its rules are.
    pub place: Place,
}

/// Priorities of the legacy tables (linux/netfilter_ipv4.h); that of nat is the one for destinations.
const PRIORITIES: [(&str, i32); 5] = [("raw", -300), ("mangle", -150), ("nat", -100), ("filter", 0), ("security", 50)];
/// NF_IP_PRI_NAT_SRC
pub(super) const NAT_SRC: i32 = 100;
/// NF_IP_PRI_NAT_DST
pub(super) const NAT_DST: i32 = -100;
/// NF_IP_PRI_CONNTRACK
pub(super) const CONNTRACK: i32 = -200;
/// NF_INET_INGRESS, and the number this walk gives to netdev's egress.
pub(super) const INGRESS: u8 = 5;
/// See [`INGRESS`].
pub(super) const EGRESS: u8 = 6;

impl Rules<'_> {
    /// The base chains of a hook, in the order in which the kernel calls them. At the same priority the one registered
    /// last comes first, which for nf_tables shows in the handles; between the backends it does not show.
    pub fn bases(&self, hook: u8, device: Option<&str>) -> Vec<Base> {
        let mut bases: Vec<(Base, (u64, u64))> = Vec::new();
        for (index, table) in self.legacy.iter().enumerate().filter(|_| hook <= 4) {
            let hooked = table.blob.chains.iter().any(|chain| chain.policy.is_some_and(|policy| policy.hook == hook));
            let known = PRIORITIES.iter().find(|(name, _)| *name == table.name);
            if let (true, Some((name, priority))) = (hooked, known) {
                let is_nat = *name == "nat";
                let priority = if is_nat && matches!(hook, 1 | 4) { NAT_SRC } else { *priority };
                let reroutes = *name == "mangle" && hook == 3;
                bases.push((Base { priority, is_nat, reroutes, place: Place::Legacy(index) }, (u64::MAX, 0)));
            }
        }
        let own = if self.family == Family::Ipv4 { nfproto::IPV4 } else { nfproto::IPV6 };
        for (index, chain) in self.native.iter().flat_map(|native| native.chains.iter().enumerate()) {
            let Some(at) = &chain.hook else { continue };
            let table = self.native.iter().flat_map(|native| &native.tables);
            let table = table.into_iter().find(|table| table.family == chain.family && table.name == chain.table);
            let dormant = table.is_some_and(|table| table.flags & 1 != 0);
            let here = match chain.family {
                nfproto::NETDEV => (at.number == 0 && hook == INGRESS) || (at.number == 1 && hook == EGRESS),
                family if family == own || family == nfproto::INET => at.number == u32::from(hook) && hook <= INGRESS,
                _ => false,
            };
            let on_device = hook < INGRESS || at.devices.iter().any(|name| device == Some(name.as_str()));
            if here && !dormant && on_device {
                let base = Base {
                    priority: at.priority,
                    is_nat: at.kind == "nat",
                    reroutes: at.kind == "route",
                    place: Place::Native(index),
                };
                bases.push((base, (table.map_or(0, |table| table.handle), chain.handle)));
            }
        }
        bases.sort_by(|(left, made), (right, later)| left.priority.cmp(&right.priority).then(later.cmp(made)));
        bases.into_iter().map(|(base, _)| base).collect()
    }
}
