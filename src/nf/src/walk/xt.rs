//! Rules of x_tables: header, matches, target, and the jumps between chains.

use std::net::IpAddr;

use super::base::At;
use super::play::{Fate, Truth, Walk};
use super::{Backend, Verdict};
use crate::model::{self, Header, Interface, Masked, Not, Rule, Target};
use crate::save;

/// Jumps within jumps. The kernel allows as many as there are chains, yet no table of ours comes near this.
pub(super) const DEEPEST: usize = 256;

impl Walk<'_> {
    /// A chain of a legacy table; `None` when the packet comes back from it.
    pub(super) fn xt_chain(&mut self, table: usize, chain: usize, depth: usize) -> Option<Fate> {
        let rules = self.rules;
        let from = rules.legacy.get(table)?;
        let span = from.blob.chains.get(chain)?;
        let mut at = At {
            backend: Backend::Legacy,
            family: "",
            table: from.name.clone(),
            chain: span.name.to_string(),
            number: 0,
        };
        for rule in from.blob.rules(span) {
            at.number += 1;
            let rule = match rule {
                Ok(rule) => rule,
                Err(malformed) => {
                    self.notes.push(format!("table {}: {malformed}: what follows is not seen", from.name));
                    return None;
                }
            };
            if self.spend() {
                return Some(Fate::Accept(None));
            }
            let truth = self.xt_rule(&rule);
            if truth == Truth::No {
                continue;
            }
            let family = rules.family;
            let text = || {
                let mut out = String::new();
                save::rule(&mut out, family, &span.name, &rule, false, rules.sets);
                out
            };
            let Some(step) = self.takes(&at, truth, Some(rule.counters), text) else { continue };
            match &rule.target {
                Target::None => {}
                Target::Verdict(verdict) => match verdict {
                    model::Verdict::Accept => return Some(Fate::Accept(Some(step))),
                    model::Verdict::Drop => return Some(self.end(Verdict::Drop, String::new(), step)),
                    model::Verdict::Return => return None,
                    model::Verdict::Queue => return Some(self.end(Verdict::Queue, "queue 0".to_owned(), step)),
                    model::Verdict::Unknown(number) => {
                        self.add_effect(step, &format!("unknown verdict {number}"));
                    }
                },
                Target::Chain { name, goto } => {
                    let Some(next) = from.blob.chains.iter().position(|chain| chain.name == *name) else { continue };
                    if depth >= DEEPEST {
                        self.notes.push(format!("more than {DEEPEST} jumps within jumps: {name} is not entered"));
                        continue;
                    }
                    let fate = self.xt_chain(table, next, depth + 1);
                    if fate.is_some() || *goto {
                        return fate;
                    }
                }
                Target::Extension(found) => {
                    if let Some(fate) = self.xt_target(found, step, &at) {
                        return Some(fate);
                    }
                }
            }
        }
        None
    }

    /// Counts a rule; true when there were too many.
    pub(super) fn spend(&mut self) -> bool {
        self.budget = self.budget.saturating_sub(1);
        if self.budget == 0 {
            self.notes.push("given up: too many rules on the way".to_owned());
        }
        self.budget == 0
    }

    fn xt_rule(&self, rule: &Rule<'_>) -> Truth {
        let mut truth = self.xt_header(&rule.header);
        for found in &rule.matches {
            if truth == Truth::No {
                break;
            }
            truth = truth.and(self.xt_match(found));
        }
        truth
    }

    fn xt_header(&self, header: &Header<'_>) -> Truth {
        let packet = &self.packet;
        let address = |wanted: &Option<Not<Masked>>, address| {
            wanted.as_ref().is_none_or(|wanted| under(&wanted.value, address) != wanted.negated)
        };
        let link = |wanted: &Option<Not<Interface<'_>>>, name: &str| {
            wanted.as_ref().is_none_or(|wanted| named(&wanted.value, name) != wanted.negated)
        };
        let protocol = header
            .protocol
            .as_ref()
            .is_none_or(|wanted| (wanted.value == 0 || wanted.value == u16::from(packet.protocol)) != wanted.negated);
        // The packet is whole, so no later fragment.
        let fragment = header.fragment.as_ref().is_none_or(|wanted| wanted.negated);
        Truth::of(
            address(&header.source, packet.source)
                && address(&header.destination, packet.destination)
                && link(&header.input, self.input_name())
                && link(&header.output, self.output_name())
                && protocol
                && fragment,
        )
    }

    /// The interface in that rules of this hook see; empty where there is none.
    pub(super) fn input_name(&self) -> &str {
        self.input_link().map_or("", |link| &link.name)
    }

    /// The interface out that rules of this hook see.
    pub(super) fn output_name(&self) -> &str {
        self.output_link().map_or("", |link| &link.name)
    }

    /// The interface in, in hooks that have one: what starts here has none until it comes back by the loopback device.
    pub(super) fn input_link(&self) -> Option<&super::kernel::Link> {
        use super::play::{OUTPUT, POSTROUTING};
        let none = self.hook == OUTPUT || (self.hook == POSTROUTING && self.local);
        self.input.as_ref().filter(|_| !none)
    }

    /// The interface out, in hooks behind routing.
    pub(super) fn output_link(&self) -> Option<&super::kernel::Link> {
        use super::play::{FORWARD, OUTPUT, POSTROUTING};
        let has = matches!(self.hook, FORWARD | OUTPUT | POSTROUTING) || self.hook == super::rules::EGRESS;
        self.output.as_ref().filter(|_| has)
    }
}

/// Whether an address lies under another one's mask.
pub(super) fn under(wanted: &Masked, address: IpAddr) -> bool {
    match (address, wanted.address, wanted.mask) {
        (IpAddr::V4(found), IpAddr::V4(address), IpAddr::V4(mask)) => {
            u32::from(found) & u32::from(mask) == u32::from(address)
        }
        (IpAddr::V6(found), IpAddr::V6(address), IpAddr::V6(mask)) => {
            u128::from(found) & u128::from(mask) == u128::from(address)
        }
        _ => false,
    }
}

fn named(wanted: &Interface<'_>, name: &str) -> bool {
    if wanted.prefix { name.starts_with(&*wanted.name) } else { *wanted.name == *name }
}
