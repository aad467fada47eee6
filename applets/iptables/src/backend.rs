//! Both backends behind one view: tables, chains with their heads, and the rules as text.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::{self, Write};

use netkit_core::Error;
use netkit_nf::legacy::{Blob, Info, Span};
use netkit_nf::nft::{NftChain, NftRule, NftTable, attribute, command, compat};
use netkit_nf::{Counters, Family, Policy, Rule, Verdict};
use netkit_nl::netfilter::{request, subsystem};
use netkit_nl::{Message, Protocol, Socket, flags};
use netkit_sys::xtables;

use crate::nft::Native;

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

/// Writes one rule as the action wants it: chain, number, and the rule or, where iptables has no words for it, nft's.
pub(crate) type Writer<'w> = dyn Fn(&mut String, &str, usize, Result<&Rule<'_>, String>) + Sync + 'w;

/// Hands the rules of the chain with this index, as text, to a writer.
pub(crate) type Rules<'v> = dyn Fn(usize, &mut dyn Write) -> io::Result<()> + 'v;

/// A table whose chains come built-in ones first, the others by name.
pub(crate) struct View<'v> {
    /// legacy, nf_tables, or none for a table that nobody made.
    pub(crate) backend: &'static str,
    pub(crate) name: &'v str,
    pub(crate) heads: &'v [Head],
    pub(crate) rules: &'v Rules<'v>,
    /// Rules that iptables cannot express.
    pub(crate) foreign: usize,
}

/// Shows a table.
pub(crate) type Show<'s> = dyn FnMut(&View<'_>) -> Result<(), Error> + 's;

/// An empty table, as the kernel would make it.
pub(crate) fn empty(name: &str, show: &mut Show<'_>) -> Result<(), Error> {
    let heads = built_ins(name);
    show(&View { backend: "none", name, heads: &heads, rules: &|_, _| Ok(()), foreign: 0 })
}

fn built_ins(name: &str) -> Vec<Head> {
    let hooks = TABLES.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, hooks)| *hooks);
    hooks.iter().map(|hook| built_in(*hook)).collect()
}

fn built_in(hook: u8) -> Head {
    let name = netkit_nf::legacy::HOOKS.get(usize::from(hook)).copied().unwrap_or_default();
    let policy = Policy { hook, verdict: Verdict::Accept, counters: Counters::default() };
    Head { name: name.to_owned(), policy: Some(policy), references: 0 }
}

/// Built-in chains by their hooks, the others by name.
fn order(left: (Option<Policy>, &str), right: (Option<Policy>, &str)) -> Ordering {
    let key = |policy: Option<Policy>| policy.map_or(u8::MAX, |policy| policy.hook);
    key(left.0).cmp(&key(right.0)).then_with(|| left.1.cmp(right.1))
}

/// Why a table could not be shown.
pub(crate) enum Trouble {
    /// It could not be read.
    Read(String),
    /// It could not be printed.
    Print(Error),
}

impl From<netkit_nl::Error> for Trouble {
    fn from(error: netkit_nl::Error) -> Trouble {
        Trouble::Read(error.to_string())
    }
}

/// Shows a legacy table. A rule is decoded when it is written.
///
/// # Errors
/// As getsockopt(2), or a table whose offsets do not fit together.
pub(crate) fn legacy(family: Family, name: &str, write: &Writer<'_>, show: &mut Show<'_>) -> Result<(), Trouble> {
    let raw = xtables::read(name, family == Family::Ipv6).map_err(|error| Trouble::Read(error.to_string()))?;
    let info = Info { valid_hooks: raw.valid_hooks, hook_entry: raw.hook_entry, underflow: raw.underflow };
    let blob = Blob::read(family, &info, &raw.entries)
        .map_err(|malformed| Trouble::Read(format!("table {name}: {malformed}")))?;
    let head =
        |chain: &Span<'_>| Head { name: chain.name.to_string(), policy: chain.policy, references: chain.references };
    let mut places: Vec<&Span<'_>> = blob.chains.iter().collect();
    places.sort_by(|left, right| order((left.policy, &left.name), (right.policy, &right.name)));
    let heads: Vec<Head> = places.iter().map(|chain| head(chain)).collect();
    let rules = |index: usize, out: &mut dyn Write| -> io::Result<()> {
        let Some(chain) = places.get(index) else { return Ok(()) };
        let mut text = String::new();
        for (number, rule) in blob.rules(chain).enumerate() {
            let rule = rule.map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed.to_string()))?;
            write(&mut text, &chain.name, number + 1, Ok(&rule));
            out.write_all(text.as_bytes())?;
            text.clear();
        }
        Ok(())
    };
    show(&View { backend: "legacy", name, heads: &heads, rules: &rules, foreign: 0 }).map_err(Trouble::Print)
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

    /// The chain of this name in each of the tables that has one; the others are not read.
    fn one_chain(&mut self, tables: &[String], name: &str) -> Result<Vec<NftChain>, netkit_nl::Error> {
        let mut chains = Vec::new();
        for table in tables {
            let ask = request(subsystem::NFTABLES, command::GET_CHAIN, 0, number(self.family))
                .text(attribute::CHAIN_TABLE, table)
                .text(attribute::CHAIN_NAME, name);
            match self.socket.exchange(&ask) {
                Ok(answer) => chains.extend(answer.messages().filter_map(|message| NftChain::read(&message))),
                Err(error) if error.errno() == ENOENT => {}
                Err(error) => return Err(error),
            }
        }
        Ok(chains)
    }

    /// Shows `tables`, or one chain of one of them. What is large is read chain by chain over several sockets: the kernel
    /// continues a dump of everything by walking from its beginning again.
    ///
    /// # Errors
    /// The kernel's refusal or a failed system call.
    pub(crate) fn read(
        &mut self,
        tables: &[String],
        only: Option<&str>,
        write: &Writer<'_>,
        show: &mut Show<'_>,
    ) -> Result<(), Trouble> {
        let chains = match only {
            Some(only) => self.one_chain(tables, only)?,
            None => {
                let ask = request(subsystem::NFTABLES, command::GET_CHAIN, flags::DUMP, number(self.family));
                let read = |message: Message<'_>| NftChain::read(&message);
                let wanted = |chain: &NftChain| tables.contains(&chain.table);
                self.socket.dump(&ask)?.messages().filter_map(read).filter(wanted).collect()
            }
        };
        let total: u64 = chains.iter().map(|chain| u64::from(chain.uses)).sum();
        let mut texts: Vec<Text> = Vec::with_capacity(chains.len());
        let mut native = Native::default();
        if only.is_some() || total > LARGE {
            let share = chains.len().div_ceil(if only.is_some() { 1 } else { READERS }).max(1);
            let family = self.family;
            let read = std::thread::scope(|scope| {
                let readers: Vec<_> =
                    chains.chunks(share).map(|chains| scope.spawn(move || by_chain(family, chains, write))).collect();
                readers.into_iter().map(|reader| reader.join()).collect::<Vec<_>>()
            });
            for part in read {
                texts.extend(part.map_err(|_| Trouble::Read("a reader of chains failed".to_owned()))??);
            }
        } else {
            let ask = request(subsystem::NFTABLES, command::GET_RULE, flags::DUMP, number(self.family));
            let family = self.family;
            let places: HashMap<(&str, &str), usize> = chains
                .iter()
                .enumerate()
                .map(|(place, chain)| ((chain.table.as_str(), chain.name.as_str()), place))
                .collect();
            texts.resize_with(chains.len(), Text::default);
            self.socket.stream(&ask, |message| {
                if let Some(found) = NftRule::read(&message)
                    && let Some(place) = places.get(&(found.table.as_str(), found.chain.as_str()))
                    && let Some(text) = texts.get_mut(*place)
                {
                    text.add(&found, family, write, &mut native);
                }
                Ok::<(), netkit_nl::Error>(())
            })?;
        }
        for name in tables {
            let mut foreign = 0;
            let mut own: Vec<(Head, Text)> = Vec::new();
            for (chain, text) in chains.iter().zip(&mut texts).filter(|(chain, _)| chain.table == *name) {
                let text = std::mem::take(text);
                let policy = chain.hook.as_ref().and_then(|hook| {
                    Some(Policy {
                        hook: u8::try_from(hook.number).ok()?,
                        verdict: if hook.policy == 0 { Verdict::Drop } else { Verdict::Accept },
                        counters: hook.counters.unwrap_or_default(),
                    })
                });
                // The kernel counts a chain's own rules among its users.
                let references = chain.uses.saturating_sub(u32::try_from(text.rules).unwrap_or(u32::MAX));
                foreign += text.foreign;
                own.push((Head { name: chain.name.clone(), policy, references }, text));
            }
            // iptables-nft makes a table's chains one by one, and shows those that are not there yet as empty.
            for head in built_ins(name) {
                if only.is_none_or(|only| only == head.name) && own.iter().all(|(known, _)| known.name != head.name) {
                    own.push((head, Text::default()));
                }
            }
            own.sort_by(|(left, _), (right, _)| order((left.policy, &left.name), (right.policy, &right.name)));
            let (heads, texts): (Vec<Head>, Vec<Text>) = own.into_iter().unzip();
            let rules = |index: usize, out: &mut dyn Write| match texts.get(index) {
                Some(text) => out.write_all(text.text.as_bytes()),
                None => Ok(()),
            };
            show(&View { backend: "nf_tables", name, heads: &heads, rules: &rules, foreign })
                .map_err(Trouble::Print)?;
        }
        Ok(())
    }
}

/// Rules above which chains are read one by one.
const LARGE: u64 = 4_096;
/// Sockets that read chains at once.
const READERS: usize = 4;

/// The rules of a chain as text.
#[derive(Default)]
struct Text {
    rules: usize,
    foreign: usize,
    text: String,
}

impl Text {
    fn add(&mut self, found: &NftRule<'_>, family: Family, write: &Writer<'_>, native: &mut Native) {
        self.rules += 1;
        match compat::rule(found, family) {
            Ok(rule) => write(&mut self.text, &found.chain, self.rules, Ok(&rule)),
            Err(compat::Foreign(_)) => {
                self.foreign += 1;
                write(&mut self.text, &found.chain, self.rules, Err(native.text(found)));
            }
        }
    }
}

/// asm-generic/errno-base.h
const ENOENT: i32 = 2;

/// The rules of each of these chains, in the same order.
fn by_chain(family: Family, chains: &[NftChain], write: &Writer<'_>) -> Result<Vec<Text>, netkit_nl::Error> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    let mut texts = Vec::with_capacity(chains.len());
    let mut native = Native::default();
    for chain in chains {
        let ask = request(subsystem::NFTABLES, command::GET_RULE, flags::DUMP, number(family))
            .text(attribute::RULE_TABLE, &chain.table)
            .text(attribute::RULE_CHAIN, &chain.name);
        let mut text = Text::default();
        let read = socket.stream(&ask, |message| {
            if let Some(found) = NftRule::read(&message) {
                text.add(&found, family, write, &mut native);
            }
            Ok::<(), netkit_nl::Error>(())
        });
        match read {
            // Somebody removed the chain meanwhile.
            Err(error) if error.errno() == ENOENT => {}
            other => {
                other?;
            }
        }
        texts.push(text);
    }
    Ok(texts)
}
