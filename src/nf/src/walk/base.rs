//! Base chains: their rules, then their policy; and how a rule becomes a step of the report.

use super::play::{End, Fate, Truth, Walk};
use super::rules::{Base, Place};
use super::{Backend, Step, StepKind, Verdict};
use crate::model::{self, Counters};
use crate::nft::family;

/// Where a rule stands.
#[derive(Clone)]
pub(super) struct At {
    pub(super) backend: Backend,
    pub(super) family: &'static str,
    pub(super) table: String,
    pub(super) chain: String,
    /// From 1; 0 for the policy.
    pub(super) number: usize,
}

impl Walk<'_> {
    /// A base chain to its end.
    pub(super) fn base(&mut self, base: &Base) -> Fate {
        match base.place {
            Place::Legacy(table) => self.legacy_base(table),
            Place::Native(chain) => self.native_base(chain),
        }
    }

    fn legacy_base(&mut self, index: usize) -> Fate {
        let rules = self.rules;
        let Some(table) = rules.legacy.get(index) else { return Fate::Accept(None) };
        let hook = self.hook;
        let own = |chain: &crate::legacy::Span<'_>| chain.policy.is_some_and(|policy| policy.hook == hook);
        let Some(at) = table.blob.chains.iter().position(own) else { return Fate::Accept(None) };
        if let Some(fate) = self.xt_chain(index, at, 0) {
            return fate;
        }
        let Some((name, policy)) =
            table.blob.chains.get(at).and_then(|chain| Some((chain.name.to_string(), chain.policy?)))
        else {
            return Fate::Accept(None);
        };
        let drop = policy.verdict == model::Verdict::Drop;
        let at = At { backend: Backend::Legacy, family: "", table: table.name.clone(), chain: name, number: 0 };
        self.policy(at, drop, Some(policy.counters))
    }

    fn native_base(&mut self, index: usize) -> Fate {
        if let Some(fate) = self.native_chain(index, 0) {
            return fate;
        }
        let rules = self.rules;
        let Some(chain) = rules.native.as_ref().and_then(|native| native.chains.get(index)) else {
            return Fate::Accept(None);
        };
        let hook = chain.hook.as_ref();
        let drop = hook.is_some_and(|hook| hook.policy == 0);
        let at = At {
            backend: Backend::Nft,
            family: family::name(chain.family),
            table: chain.table.clone(),
            chain: chain.name.clone(),
            number: 0,
        };
        self.policy(at, drop, hook.and_then(|hook| hook.counters))
    }

    fn policy(&mut self, at: At, drop: bool, counters: Option<Counters>) -> Fate {
        let text = if drop { "DROP" } else { "ACCEPT" };
        let place = format!("{} {}", at.table, at.chain);
        let step = self.step(&at, StepKind::Policy, text.to_owned(), counters, String::new());
        if drop {
            return self.end(Verdict::Drop, format!("by the policy of {place}"), step);
        }
        Fate::Accept(Some(step))
    }

    /// Adds a step; its index.
    pub(super) fn step(
        &mut self,
        at: &At,
        kind: StepKind,
        text: String,
        counters: Option<Counters>,
        effect: String,
    ) -> usize {
        self.steps.push(Step {
            hook: self.hook_name(),
            backend: at.backend,
            family: at.family,
            table: at.table.clone(),
            chain: at.chain.clone(),
            number: at.number,
            text,
            counters,
            kind,
            effect,
        });
        self.steps.len() - 1
    }

    /// Says more of a step.
    pub(super) fn add_effect(&mut self, step: usize, effect: &str) {
        if let Some(step) = self.steps.get_mut(step) {
            if !step.effect.is_empty() {
                step.effect.push_str(", ");
            }
            step.effect.push_str(effect);
        }
    }

    /// The walk ends at a step.
    pub(super) fn end(&mut self, verdict: Verdict, text: String, step: usize) -> Fate {
        Fate::End(End { verdict, text, decider: Some(step) })
    }

    /// Decides whether a rule takes the packet, throwing dice and supposing where that is what is left. A rule that
    /// does is a step, whose index is given.
    pub(super) fn takes(
        &mut self,
        at: &At,
        truth: Truth,
        counters: Option<Counters>,
        text: impl FnOnce() -> String,
    ) -> Option<usize> {
        match truth {
            Truth::No => None,
            Truth::Yes => Some(self.step(at, StepKind::Rule, text(), counters, String::new())),
            Truth::Chance(share) => {
                if share <= 0.0 {
                    return None;
                }
                let share = share.min(1.0);
                let label = format!("{} {} {}", at.table, at.chain, at.number);
                // A rule that is certain has no other way out.
                if share < 1.0 {
                    let pick = self.chance(2, |pick| if pick == 0 { share } else { 1.0 - share }, label);
                    if pick == 1 {
                        return None;
                    }
                }
                let effect = format!("probability {}", percent(share));
                Some(self.step(at, StepKind::Rule, text(), counters, effect))
            }
            Truth::Unknown(why) => {
                let place = Step {
                    hook: self.hook_name(),
                    backend: at.backend,
                    family: at.family,
                    table: at.table.clone(),
                    chain: at.chain.clone(),
                    number: at.number,
                    text: String::new(),
                    counters: None,
                    kind: StepKind::Undecided,
                    effect: String::new(),
                }
                .place();
                let supposed = self.suppose(format!("{place} ({why})"));
                let (kind, words) = match supposed {
                    true => (StepKind::Supposed, format!("supposed to match: {why}")),
                    false => (StepKind::Undecided, format!("assumed not matching: {why}")),
                };
                let step = self.step(at, kind, text(), counters, words);
                supposed.then_some(step)
            }
        }
    }
}

/// A share of one, in per cent with at most two digits behind the point.
pub fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}%")
}
