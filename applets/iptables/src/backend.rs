//! Both backends behind one view: tables, chains with their heads, and the rules as text.

use std::collections::HashMap;
use std::io;

use netkit_nf::legacy::{Blob, Info};
use netkit_nf::nft::{NftChain, NftRule, NftTable, command, compat};
use netkit_nf::{Counters, Family, Policy, Rule, Verdict};
use netkit_nl::netfilter::{request, subsystem};
use netkit_nl::{Protocol, Socket, flags};
use netkit_sys::xtables;

/// Tables that iptables knows, in the order in which iptables-nft-save prints them, with the hooks of their built-in chains.
pub(crate) const TABLES: [(&str, &[u8]); 5] = [
    ("mangle", &[0, 1, 2, 3, 4]),
    ("security", &[1, 2, 3]),
    ("raw", &[0, 3]),
    ("filter", &[1, 2, 3]),
    ("nat", &[0, 1, 3, 4]),
];

/// What is known of a chain besides its rules.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) name: String,
    pub(crate) policy: Option<Policy>,
    pub(crate) references: u32,
}

/// Writes one rule as the action wants it: chain, number, and the rule or why iptables has no words for it.
pub(crate) type Writer<'w> = dyn Fn(&mut String, &str, usize, Result<&Rule<'_>, String>) + 'w;

/// A table whose chains come built-in ones first, the others by name.
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) chains: Vec<(Head, String)>,
    /// Rules that iptables cannot express.
    pub(crate) foreign: usize,
}

/// An empty table, as the kernel would make it.
pub(crate) fn empty(name: &str) -> Option<Table> {
    let (_, hooks) = TABLES.iter().find(|(known, _)| *known == name)?;
    let chains = hooks.iter().map(|hook| (built_in(*hook), String::new())).collect();
    Some(Table { name: name.to_owned(), chains, foreign: 0 })
}

fn built_in(hook: u8) -> Head {
    let name = netkit_nf::legacy::HOOKS.get(usize::from(hook)).copied().unwrap_or_default();
    let policy = Policy { hook, verdict: Verdict::Accept, counters: Counters::default() };
    Head { name: name.to_owned(), policy: Some(policy), references: 0 }
}

fn sort(chains: &mut [(Head, String)]) {
    let key = |head: &Head| head.policy.map_or(u8::MAX, |policy| policy.hook);
    chains.sort_by(|(left, _), (right, _)| key(left).cmp(&key(right)).then_with(|| left.name.cmp(&right.name)));
}

/// Reads a legacy table. Rules of chains other than `only` are not decoded.
///
/// # Errors
/// As getsockopt(2), and InvalidData for a table whose offsets do not fit together.
pub(crate) fn legacy(family: Family, name: &str, only: Option<&str>, write: &Writer<'_>) -> io::Result<Table> {
    let raw = xtables::read(name, family == Family::Ipv6)?;
    let info = Info { valid_hooks: raw.valid_hooks, hook_entry: raw.hook_entry, underflow: raw.underflow };
    let wrong = |malformed: netkit_nf::legacy::Malformed| {
        io::Error::new(io::ErrorKind::InvalidData, format!("table {name}: {malformed}"))
    };
    let blob = Blob::read(family, &info, &raw.entries).map_err(wrong)?;
    let mut chains = Vec::with_capacity(blob.chains.len());
    for chain in &blob.chains {
        let mut text = String::new();
        if only.is_none_or(|only| only == chain.name) {
            for (index, rule) in blob.rules(chain).enumerate() {
                write(&mut text, &chain.name, index + 1, Ok(&rule.map_err(wrong)?));
            }
        }
        let head = Head { name: chain.name.to_string(), policy: chain.policy, references: chain.references };
        chains.push((head, text));
    }
    sort(&mut chains);
    Ok(Table { name: name.to_owned(), chains, foreign: 0 })
}

/// NFPROTO_IPV4 and NFPROTO_IPV6
fn number(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    }
}

/// The nf_tables side, one socket for all questions.
pub(crate) struct Nft {
    socket: Socket,
    family: Family,
    tables: Vec<String>,
}

impl Nft {
    /// Opens the socket and learns which of iptables' tables there are.
    ///
    /// # Errors
    /// EPERM without CAP_NET_ADMIN.
    pub(crate) fn open(family: Family) -> Result<Nft, netkit_nl::Error> {
        let mut socket = Socket::open(Protocol::Netfilter)?;
        let ask = request(subsystem::NFTABLES, command::GET_TABLE, flags::DUMP, number(family));
        let found: Vec<String> = socket
            .dump(&ask)?
            .messages()
            .filter_map(|message| NftTable::read(&message))
            .map(|table| table.name)
            .collect();
        let tables = TABLES.iter().map(|(name, _)| (*name).to_owned()).filter(|name| found.contains(name)).collect();
        Ok(Nft { socket, family, tables })
    }

    /// Tables that exist, in iptables-nft-save's order.
    pub(crate) fn tables(&self) -> &[String] {
        &self.tables
    }

    /// Reads `tables` in one dump of chains and one of rules, or one chain's rules alone.
    ///
    /// # Errors
    /// The kernel's refusal or a failed system call.
    pub(crate) fn read(
        &mut self,
        tables: &[String],
        only: Option<&str>,
        write: &Writer<'_>,
    ) -> Result<Vec<Table>, netkit_nl::Error> {
        let ask = request(subsystem::NFTABLES, command::GET_CHAIN, flags::DUMP, number(self.family));
        let chains: Vec<NftChain> =
            self.socket.dump(&ask)?.messages().filter_map(|message| NftChain::read(&message)).collect();
        let mut texts: HashMap<(String, String), (usize, String)> = HashMap::new();
        let mut foreign: HashMap<String, usize> = HashMap::new();
        let mut ask = request(subsystem::NFTABLES, command::GET_RULE, flags::DUMP, number(self.family));
        if let [table] = tables {
            // The kernel filters by table, and by chain within it.
            ask = ask.text(netkit_nf::nft::attribute::RULE_TABLE, table);
            if let Some(chain) = only {
                ask = ask.text(netkit_nf::nft::attribute::RULE_CHAIN, chain);
            }
        }
        let family = self.family;
        let mut place: Option<((String, String), (usize, String))> = None;
        self.socket.stream(&ask, |message| {
            let Some(found) = NftRule::read(&message) else { return Ok::<(), netkit_nl::Error>(()) };
            // Rules of a chain come one after another, so one buffer is open at a time.
            let same = place.as_ref().is_some_and(|((table, chain), _)| *table == found.table && *chain == found.chain);
            if !same {
                let key = (found.table.clone(), found.chain.clone());
                let open = texts.remove(&key).unwrap_or_default();
                if let Some((key, text)) = place.replace((key, open)) {
                    texts.insert(key, text);
                }
            }
            if let Some((_, (count, text))) = &mut place {
                *count += 1;
                match compat::rule(&found, family) {
                    Ok(rule) => write(text, &found.chain, *count, Ok(&rule)),
                    Err(compat::Foreign(name)) => {
                        *foreign.entry(found.table.clone()).or_default() += 1;
                        write(text, &found.chain, *count, Err(format!("handle {}: {name}", found.handle)));
                    }
                }
            }
            Ok(())
        })?;
        texts.extend(place);
        let mut read = Vec::new();
        for name in tables {
            let mut own: Vec<(Head, String)> = Vec::new();
            for chain in chains.iter().filter(|chain| chain.table == *name) {
                let (rules, text) = texts.remove(&(name.clone(), chain.name.clone())).unwrap_or_default();
                let policy = chain.hook.as_ref().and_then(|hook| {
                    Some(Policy {
                        hook: u8::try_from(hook.number).ok()?,
                        verdict: if hook.policy == 0 { Verdict::Drop } else { Verdict::Accept },
                        counters: hook.counters.unwrap_or_default(),
                    })
                });
                // The kernel counts a chain's own rules among its users.
                let references = chain.uses.saturating_sub(u32::try_from(rules).unwrap_or(u32::MAX));
                own.push((Head { name: chain.name.clone(), policy, references }, text));
            }
            // iptables-nft makes a table's chains one by one, and shows those that are not there yet as empty.
            for (head, text) in empty(name).map(|table| table.chains).unwrap_or_default() {
                if own.iter().all(|(known, _)| known.name != head.name) {
                    own.push((head, text));
                }
            }
            sort(&mut own);
            read.push(Table { name: name.clone(), chains: own, foreign: foreign.get(name).copied().unwrap_or(0) });
        }
        Ok(read)
    }
}
