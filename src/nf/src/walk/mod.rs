//! The way of one packet through the filter: every hook in order of priority, over legacy x_tables and nf_tables.
//!
//! Nothing is sent and nothing is changed. A rule is decided with what the describer of the packet said and with what
//! the kernel answers (routes, address types, members of sets, connections); one that cannot be decided is named, is
//! assumed not to match, and the walk is played again as if it did, so that the report says whether that matters.
//! Chance (`statistic`, `numgen`) is played the other way round: every outcome is part of the answer, with its share.

mod base;
pub mod kernel;
mod native;
mod native_nat;
pub mod packet;
mod play;
mod rules;
mod xt;
mod xt_match;
mod xt_target;

#[cfg(test)]
mod tests;

pub use base::percent;
pub use kernel::{Kernel, Netlink};
pub use packet::{Packet, State};
pub use rules::{Base, LegacyTable, Native, NativeText, Place, Rules};

use crate::model::Counters;
use play::{Kind, Script, Walk};

/// Where the packet starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// In a pod or container behind one of this machine's interfaces.
    Pod,
    /// On this machine.
    Host,
    /// Beyond one of its interfaces.
    Outside,
}

/// A packet to walk with, and where it enters.
#[derive(Clone, Debug)]
pub struct Question {
    /// The packet.
    pub packet: Packet,
    /// `None`: on this machine if the source address is local, else outside.
    pub from: Option<From>,
    /// The interface it comes in by; `None`: the one that leads to the source address.
    pub input: Option<String>,
    /// `None`: as conntrack says, NEW where it knows nothing.
    pub state: Option<State>,
}

/// Which program wrote a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// ip_tables, ip6_tables.
    Legacy,
    /// nf_tables.
    Nft,
    /// The kernel itself: routing, connection tracking.
    Kernel,
}

impl Backend {
    /// A short word.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Legacy => "legacy",
            Backend::Nft => "nft",
            Backend::Kernel => "kernel",
        }
    }
}

/// What a step of the walk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// A rule that takes the packet.
    Rule,
    /// A rule that cannot be decided, taken as one that does not match.
    Undecided,
    /// The same rule, in the play in which it is taken to match.
    Supposed,
    /// The policy of a chain.
    Policy,
    /// Routing and connection tracking.
    Kernel,
}

impl StepKind {
    /// A short word.
    pub fn name(self) -> &'static str {
        match self {
            StepKind::Rule => "rule",
            StepKind::Undecided => "undecided",
            StepKind::Supposed => "supposed",
            StepKind::Policy => "policy",
            StepKind::Kernel => "kernel",
        }
    }
}

/// One step of the walk.
#[derive(Clone, Debug)]
pub struct Step {
    /// PREROUTING ...
    pub hook: &'static str,
    /// Who keeps the rule.
    pub backend: Backend,
    /// ip, ip6, inet, netdev; empty for legacy and the kernel's own.
    pub family: &'static str,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// Counted from 1; 0 for a policy.
    pub number: usize,
    /// As its tool writes it.
    pub text: String,
    /// What it has counted.
    pub counters: Option<Counters>,
    /// What this step is.
    pub kind: StepKind,
    /// What it did to the packet, or why it is undecided.
    pub effect: String,
}

impl Step {
    /// `legacy filter INPUT 3`, `nft inet t input policy`, `kernel route`.
    pub fn place(&self) -> String {
        if self.kind == StepKind::Kernel {
            return format!("kernel {}", self.table);
        }
        let family = if self.family.is_empty() { String::new() } else { format!("{} ", self.family) };
        let number = if self.number == 0 { "policy".to_owned() } else { self.number.to_string() };
        format!("{} {family}{} {} {number}", self.backend.name(), self.table, self.chain)
    }
}

/// What becomes of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It gets through.
    Accept,
    /// It is dropped silently.
    Drop,
    /// It is refused with an answer.
    Reject,
    /// A program in user space decides.
    Queue,
    /// The filter takes it out of the stack and handles it.
    Stolen,
    /// Routing refuses it.
    Unroutable,
}

impl Verdict {
    /// In capitals, as rules write it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Accept => "ACCEPT",
            Verdict::Drop => "DROP",
            Verdict::Reject => "REJECT",
            Verdict::Queue => "QUEUE",
            Verdict::Stolen => "STOLEN",
            Verdict::Unroutable => "UNROUTABLE",
        }
    }
}

/// One way that the packet can go.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// In order.
    pub steps: Vec<Step>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// In words: where it goes, what it is told.
    pub text: String,
    /// Index of the step that decided.
    pub decider: Option<usize>,
    /// How probable this way is, 0 to 1.
    pub share: f64,
    /// The packet at the end, translated.
    pub packet: Packet,
    /// Name of the interface it leaves by; none for one that is delivered or stopped.
    pub output: Option<String>,
}

impl Outcome {
    /// The step that decided.
    pub fn deciding(&self) -> Option<&Step> {
        self.decider.and_then(|index| self.steps.get(index))
    }

    /// Whether the packet fares the same.
    fn same_verdict(&self, other: &Outcome) -> bool {
        self.verdict == other.verdict
            && self.output == other.output
            && self.packet.destination == other.packet.destination
            && self.packet.dport == other.packet.dport
    }

    /// Whether the same rule makes it fare so.
    fn same_end(&self, other: &Outcome) -> bool {
        self.same_verdict(other) && self.deciding().map(Step::place) == other.deciding().map(Step::place)
    }
}

/// What would be otherwise if undecided rules matched.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// The rules that are supposed to match, by place and reason.
    pub suppose: Vec<String>,
    /// What would become of the packet.
    pub verdict: Verdict,
    /// In words.
    pub text: String,
    /// The step that would decide.
    pub decider: Option<String>,
    /// The packet itself would fare otherwise, so that it is not only another rule that decides.
    pub matters: bool,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Report {
    /// Every way that chance leaves open, undecided rules not matching.
    pub outcomes: Vec<Outcome>,
    /// Ends that are possible besides, if undecided rules match.
    pub alternatives: Vec<Alternative>,
    /// There are more ways than were played, or rules that could not be read.
    pub truncated: bool,
    /// What should be known of the answer.
    pub notes: Vec<String>,
    /// The connection's state that was assumed or found.
    pub state: State,
    /// The interface it comes in by.
    pub input: Option<String>,
}

/// Rules that one play may look at, and all plays together: far more than any ruleset of ours needs, and an end for
/// one that leads in circles.
const MOST_RULES: usize = 500_000;
/// See [`MOST_RULES`].
const MOST_RULES_IN_ALL: usize = 8_000_000;
/// Ways that are played because of chance.
const MOST_OUTCOMES: usize = 512;
/// Ways that are played because of undecided rules.
const MOST_SUPPOSED: usize = 128;
/// Undecided rules that are supposed to match at once.
const MOST_AT_ONCE: usize = 2;

/// How a supposition about the order of the backends begins.
const ORDER: &str = "nf_tables before legacy";

/// Walks.
///
/// # Errors
/// A line that says what of the question does not fit this machine, such as an interface that is not there.
pub fn walk(rules: &Rules<'_>, kernel: &dyn Kernel, question: &Question) -> Result<Report, String> {
    let start = play::Start::of(kernel, question)?;
    let mut report = Report {
        outcomes: Vec::new(),
        alternatives: Vec::new(),
        // What could not be read may decide.
        truncated: !rules.notes.is_empty(),
        notes: rules.notes.clone(),
        state: start.state(),
        input: start.input_name(),
    };
    report.notes.extend(start.notes.iter().cloned());
    let mut pending: Vec<Vec<usize>> = vec![Vec::new()];
    let mut supposed: Vec<Vec<usize>> = Vec::new();
    let mut played = 0;
    let mut left = MOST_RULES_IN_ALL;
    let mut suppositions: Vec<(Vec<String>, Outcome)> = Vec::new();
    loop {
        let (given, is_supposed) = match (pending.pop(), supposed.is_empty()) {
            (Some(given), _) => (given, false),
            (None, false) => (supposed.remove(0), true),
            (None, true) => break,
        };
        played += 1;
        let most = if is_supposed { MOST_OUTCOMES + MOST_SUPPOSED } else { MOST_OUTCOMES };
        if left == 0 || played > most || (is_supposed && suppositions.len() >= MOST_SUPPOSED) {
            report.truncated = true;
            if is_supposed {
                break;
            }
            continue;
        }
        let budget = MOST_RULES.min(left);
        let mut walk = Walk::new(rules, kernel, &start, Script::new(&given), budget);
        let outcome = walk.run();
        left -= budget - walk.budget;
        let given_up = walk.budget == 0;
        if given_up {
            report.truncated = true;
            pending.clear();
            supposed.clear();
        }
        let taken = walk.script.taken;
        for note in walk.notes {
            if !report.notes.contains(&note) {
                report.notes.push(note);
            }
        }
        let flips = taken.iter().filter(|choice| choice.kind == Kind::Unknown && choice.pick > 0).count();
        // Everything that was open beyond what was given is played the other way too.
        for (index, choice) in taken.iter().enumerate().skip(if given_up { taken.len() } else { given.len() }) {
            for pick in (0..choice.options).rev().filter(|pick| *pick != choice.pick) {
                let mut other: Vec<usize> = taken.iter().take(index).map(|choice| choice.pick).collect();
                other.push(pick);
                match choice.kind {
                    Kind::Chance if is_supposed => supposed.push(other),
                    Kind::Chance => pending.push(other),
                    Kind::Unknown if flips < MOST_AT_ONCE => supposed.push(other),
                    Kind::Unknown => {}
                }
                if pending.len() + supposed.len() > 4 * (MOST_OUTCOMES + MOST_SUPPOSED) {
                    report.truncated = true;
                    break;
                }
            }
        }
        if is_supposed {
            let suppose = taken.iter().filter(|choice| choice.kind == Kind::Unknown && choice.pick > 0);
            suppositions.push((suppose.map(|choice| choice.label.clone()).collect(), outcome));
        } else {
            report.outcomes.push(outcome);
        }
    }
    for (suppose, outcome) in suppositions {
        let matters = !report.outcomes.iter().any(|known| known.same_verdict(&outcome));
        // Of what passes both backends anyway, the order does not matter.
        let only_order = outcome.verdict == Verdict::Accept && suppose.iter().all(|label| label.starts_with(ORDER));
        let known = report.outcomes.iter().any(|known| known.same_end(&outcome)) || (only_order && !matters);
        let decider = outcome.deciding().map(Step::place);
        let told = report
            .alternatives
            .iter()
            .any(|known| known.verdict == outcome.verdict && known.decider == decider && known.text == outcome.text);
        if !known && !told {
            let (verdict, text) = (outcome.verdict, outcome.text);
            report.alternatives.push(Alternative { suppose, verdict, text, decider, matters });
        }
    }
    Ok(report)
}
