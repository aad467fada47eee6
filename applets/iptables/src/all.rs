//! Every rule of every backend, one after the other: what the views are made of.

use netkit_nf::legacy::HOOKS;
use netkit_nf::nft::{Expression, NftRule, compat, family as nfproto};
use netkit_nf::walk::Rules;
use netkit_nf::{Counters, Family, Rule, Verdict, save};

/// A chain's head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    /// Where it is hooked in, with its type and priority.
    pub(crate) hook: Option<String>,
    /// DROP or ACCEPT, of base chains.
    pub(crate) drops: Option<bool>,
    pub(crate) counters: Option<Counters>,
    pub(crate) references: u32,
}

/// What stands in a chain.
pub(crate) enum What<'i> {
    /// The chain itself, before its rules.
    Head(&'i Head),
    /// A rule that iptables has words for.
    Rule(&'i Rule<'i>),
    /// Any other one.
    Native(&'i NftRule<'i>),
    /// One that cannot be read, and why.
    Broken(String),
}

/// One of them, with its place.
pub(crate) struct Item<'i> {
    /// legacy or nft
    pub(crate) backend: &'static str,
    /// ip, ip6, inet ...
    pub(crate) family: &'static str,
    pub(crate) table: &'i str,
    pub(crate) chain: &'i str,
    /// From 1; 0 for the head.
    pub(crate) number: usize,
    pub(crate) what: What<'i>,
}

impl Item<'_> {
    /// As iptables-save or nft writes it.
    pub(crate) fn text(&self, rules: &Rules<'_>) -> String {
        match &self.what {
            What::Head(head) => match head.drops {
                Some(true) => "DROP".to_owned(),
                Some(false) => "ACCEPT".to_owned(),
                None => String::new(),
            },
            What::Rule(rule) => {
                let mut out = String::new();
                save::rule(&mut out, rules.family, self.chain, rule, false, rules.sets);
                out
            }
            What::Native(rule) => (rules.text)(rule),
            What::Broken(why) => format!("[{why}]"),
        }
    }

    pub(crate) fn counters(&self) -> Option<Counters> {
        match &self.what {
            What::Head(head) => head.counters,
            What::Rule(rule) => Some(rule.counters).filter(|_| self.backend == "legacy" || self.counts()),
            What::Native(rule) => rule.expressions.iter().find_map(|expression| match expression {
                Expression::Counter(counters) => Some(*counters),
                _ => None,
            }),
            What::Broken(_) => None,
        }
    }

    /// Rules of iptables-nft always count.
    fn counts(&self) -> bool {
        matches!(self.what, What::Rule(_))
    }

    /// `legacy filter INPUT 3`
    pub(crate) fn place(&self) -> String {
        let number = if self.number == 0 { "policy".to_owned() } else { self.number.to_string() };
        match self.backend {
            "legacy" => format!("legacy {} {} {number}", self.table, self.chain),
            _ => format!("nft {} {} {} {number}", self.family, self.table, self.chain),
        }
    }
}

/// The kernel's number of a family.
pub(crate) fn number(family: Family) -> u8 {
    if family == Family::Ipv4 { nfproto::IPV4 } else { nfproto::IPV6 }
}

/// Whether a table is one that iptables would show.
pub(crate) fn is_iptables(family: u8, table: &str) -> bool {
    matches!(family, nfproto::IPV4 | nfproto::IPV6) && crate::backend::TABLES.iter().any(|(name, _)| *name == table)
}

/// Backend, family, table, chain.
type Place<'i> = (&'static str, &'static str, &'i str, &'i str);

fn item<'i>((backend, family, table, chain): Place<'i>, number: usize, what: What<'i>) -> Item<'i> {
    Item { backend, family, table, chain, number, what }
}

/// Hands everything to `each`, and each rule in order.
pub(crate) fn visit(rules: &Rules<'_>, each: &mut dyn FnMut(&Item<'_>)) {
    let own = nfproto::name(number(rules.family));
    for table in &rules.legacy {
        for chain in &table.blob.chains {
            let hook = chain.policy.and_then(|policy| HOOKS.get(usize::from(policy.hook)));
            let head = Head {
                hook: hook.map(|hook| (*hook).to_owned()),
                drops: chain.policy.map(|policy| policy.verdict == Verdict::Drop),
                counters: chain.policy.map(|policy| policy.counters),
                references: chain.references,
            };
            let place = ("legacy", own, &*table.name, &*chain.name);
            each(&item(place, 0, What::Head(&head)));
            for (index, rule) in table.blob.rules(chain).enumerate() {
                match &rule {
                    Ok(rule) => each(&item(place, index + 1, What::Rule(rule))),
                    Err(malformed) => each(&item(place, index + 1, What::Broken(malformed.to_string()))),
                }
            }
        }
    }
    let Some(native) = &rules.native else { return };
    for (index, chain) in native.chains.iter().enumerate() {
        if chain.family != number(rules.family)
            && !matches!(chain.family, nfproto::INET | nfproto::NETDEV | nfproto::BRIDGE)
        {
            continue;
        }
        let head = Head {
            hook: chain.hook.as_ref().map(|hook| match HOOKS.get(usize::try_from(hook.number).unwrap_or(usize::MAX)) {
                Some(name) if chain.family != nfproto::NETDEV => {
                    format!("{} {} {}", name.to_ascii_lowercase(), hook.kind, hook.priority)
                }
                _ => format!("hook {} {} {}", hook.number, hook.kind, hook.priority),
            }),
            drops: chain.hook.as_ref().map(|hook| hook.policy == 0),
            counters: chain.hook.as_ref().and_then(|hook| hook.counters),
            references: chain.uses,
        };
        let place = ("nft", nfproto::name(chain.family), &*chain.table, &*chain.name);
        each(&item(place, 0, What::Head(&head)));
        let Some(dump) = native.dump(index) else {
            each(&item(place, 1, What::Broken("its rules cannot be read".to_owned())));
            continue;
        };
        let converts = is_iptables(chain.family, &chain.table);
        let family = if chain.family == nfproto::IPV6 { Family::Ipv6 } else { Family::Ipv4 };
        let found = dump.messages().filter_map(|message| NftRule::read(&message));
        for (index, found) in found.enumerate() {
            match compat::rule(&found, family) {
                Ok(rule) if converts => each(&item(place, index + 1, What::Rule(&rule))),
                _ => each(&item(place, index + 1, What::Native(&found))),
            }
        }
    }
}
