//! [`Node`] to a flat program for the matcher. The program is as long as the pattern: nothing is unrolled.

use super::ast::{Assert, ENDLESS, Node};
use super::class::{Set, fold};
use super::parse::Parsed;

/// Matches one character.
#[derive(Clone, Debug)]
pub(super) enum One {
    Char(char),
    /// A folded character.
    Fold(char),
    /// Any; true takes a newline too.
    Any(bool),
    Set(Box<Set>),
}

impl One {
    /// Whether `c` is what is wanted.
    pub(super) fn has(&self, c: char) -> bool {
        match self {
            One::Char(wanted) => c == *wanted,
            One::Fold(wanted) => fold(c) == *wanted,
            One::Any(newline) => *newline || c != '\n',
            One::Set(set) => set.has(c),
        }
    }
}

/// One step. Targets are indices into the program.
#[derive(Clone, Debug)]
pub(super) enum Step {
    One(One),
    /// One character repeated, without a frame for each.
    Run {
        one: One,
        min: u32,
        max: u32,
        greedy: bool,
    },
    Jump(usize),
    /// Goes on with the next step, and to this one when that fails.
    OrElse(usize),
    /// Puts the place into a capture slot.
    Save(usize),
    /// The start of a group that is called, kept aside until its end.
    Open,
    /// The end of such a group.
    Close(usize),
    Assert(Assert),
    Keep,
    /// Steps back this many characters.
    Back(u32),
    Look,
    LookEnd,
    /// A negative look; goes to this step when its inside fails.
    NotLook(usize),
    NotLookEnd,
    Atomic,
    AtomicEnd,
    BackRef(Vec<u32>, bool),
    /// Goes to the step unless one of the groups has matched.
    Cond(Vec<u32>, usize),
    Call(usize),
    Return,
    /// Sets a loop's count to none.
    LoopBegin(usize),
    /// The head of a loop: `exit` is behind it.
    Loop {
        register: usize,
        min: u32,
        max: u32,
        greedy: bool,
        exit: usize,
    },
    /// The foot of a loop.
    LoopEnd {
        register: usize,
        head: usize,
    },
    Match,
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    /// Capture groups, without the whole match.
    pub(super) groups: usize,
    pub(super) names: Vec<(String, u32)>,
    /// Loop registers; each has a count and the place where the iteration began.
    pub(super) registers: usize,
    /// A match can only begin where the text begins.
    pub(super) anchored: bool,
    /// The first character of every match.
    pub(super) first: Option<char>,
}

/// Lays the pattern out.
pub(super) fn compile(parsed: Parsed) -> Result<Program, String> {
    let groups = usize::try_from(parsed.groups).unwrap_or(0);
    let mut compiler = Compiler {
        steps: Vec::new(),
        called: parsed.called,
        entries: vec![None; groups + 1],
        calls: Vec::new(),
        registers: 0,
    };
    let whole = compiler.called.contains(&0);
    if whole {
        compiler.steps.push(Step::Call(2));
        compiler.steps.push(Step::Match);
        if let Some(entry) = compiler.entries.first_mut() {
            *entry = Some(2);
        }
    }
    compiler.node(&parsed.node);
    compiler.steps.push(if whole { Step::Return } else { Step::Match });
    compiler.link()?;
    let (anchored, first) = head(&parsed.node);
    Ok(Program { steps: compiler.steps, groups, names: parsed.names, registers: compiler.registers, anchored, first })
}

/// Whether a match is bound to the start of the text, and with which character it begins.
fn head(node: &Node) -> (bool, Option<char>) {
    match node {
        Node::Assert(Assert::Start) => (true, None),
        Node::Char(c, false) => (false, Some(*c)),
        Node::Cat(nodes) => nodes.first().map_or((false, None), head),
        Node::Group(_, node) | Node::Atomic(node) => head(node),
        Node::Repeat { node, min, .. } if *min > 0 => head(node),
        _ => (false, None),
    }
}

struct Compiler {
    steps: Vec<Step>,
    called: Vec<u32>,
    /// Where each group begins, as far as it has been laid out.
    entries: Vec<Option<usize>>,
    /// Calls to link: step and group.
    calls: Vec<(usize, u32)>,
    registers: usize,
}

impl Compiler {
    /// Appends a step that is completed later.
    fn hole(&mut self) -> usize {
        self.steps.push(Step::Match);
        self.steps.len() - 1
    }

    fn fill(&mut self, at: usize, step: Step) {
        if let Some(hole) = self.steps.get_mut(at) {
            *hole = step;
        }
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Empty => {}
            Node::Char(..) | Node::Any(_) | Node::Set(_) => {
                if let Some(one) = one(node) {
                    self.steps.push(Step::One(one));
                }
            }
            Node::Cat(nodes) => nodes.iter().for_each(|node| self.node(node)),
            Node::Alt(nodes) => self.alternatives(nodes),
            Node::Repeat { node, min, max, greedy } => self.repeat(node, *min, *max, *greedy),
            Node::Group(number, node) => self.group(*number, node),
            Node::Atomic(node) => {
                self.steps.push(Step::Atomic);
                self.node(node);
                self.steps.push(Step::AtomicEnd);
            }
            Node::Look { behind, negative, node } => {
                let begin = self.hole();
                if *behind {
                    self.steps.push(Step::Back(node.width().unwrap_or(0)));
                }
                self.node(node);
                if *negative {
                    self.steps.push(Step::NotLookEnd);
                    let after = self.steps.len();
                    self.fill(begin, Step::NotLook(after));
                } else {
                    self.steps.push(Step::LookEnd);
                    self.fill(begin, Step::Look);
                }
            }
            Node::Assert(assert) => self.steps.push(Step::Assert(*assert)),
            Node::BackRef(groups, fold) => self.steps.push(Step::BackRef(groups.clone(), *fold)),
            Node::Call(number) => {
                let at = self.hole();
                self.calls.push((at, *number));
            }
            Node::Cond { groups, yes, no } => {
                let test = self.hole();
                self.node(yes);
                let over = self.hole();
                let otherwise = self.steps.len();
                self.fill(test, Step::Cond(groups.clone(), otherwise));
                self.node(no);
                let after = self.steps.len();
                self.fill(over, Step::Jump(after));
            }
            Node::Keep => self.steps.push(Step::Keep),
        }
    }

    fn alternatives(&mut self, nodes: &[Node]) {
        let mut jumps = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            if index + 1 == nodes.len() {
                self.node(node);
                continue;
            }
            let choice = self.hole();
            self.node(node);
            jumps.push(self.hole());
            let next = self.steps.len();
            self.fill(choice, Step::OrElse(next));
        }
        let after = self.steps.len();
        for jump in jumps {
            self.fill(jump, Step::Jump(after));
        }
    }

    fn group(&mut self, number: u32, node: &Node) {
        let slot = usize::try_from(number).unwrap_or(0);
        if !self.called.contains(&number) {
            self.steps.push(Step::Save(slot * 2));
            self.node(node);
            self.steps.push(Step::Save(slot * 2 + 1));
            return;
        }
        // The body of a group that is called is a subroutine, called in its own place as well.
        let entry = self.steps.len() + 2;
        self.steps.push(Step::Call(entry));
        let over = self.hole();
        if let Some(known) = self.entries.get_mut(slot) {
            *known = Some(entry);
        }
        self.steps.push(Step::Open);
        self.node(node);
        self.steps.push(Step::Close(slot));
        self.steps.push(Step::Return);
        let after = self.steps.len();
        self.fill(over, Step::Jump(after));
    }

    fn repeat(&mut self, node: &Node, min: u32, max: u32, greedy: bool) {
        if let Some(one) = one(node) {
            self.steps.push(Step::Run { one, min, max, greedy });
            return;
        }
        if max == 0 {
            // Never entered here, but its groups may be called.
            let over = self.hole();
            self.node(node);
            let after = self.steps.len();
            self.fill(over, Step::Jump(after));
            return;
        }
        if (min, max) == (1, 1) {
            return self.node(node);
        }
        if (min, max, greedy) == (0, 1, true) {
            let choice = self.hole();
            self.node(node);
            let after = self.steps.len();
            return self.fill(choice, Step::OrElse(after));
        }
        let register = self.registers;
        self.registers += 1;
        self.steps.push(Step::LoopBegin(register));
        let head = self.hole();
        self.node(node);
        self.steps.push(Step::LoopEnd { register, head });
        let exit = self.steps.len();
        self.fill(head, Step::Loop { register, min, max, greedy, exit });
    }

    /// Gives the calls their targets and refuses a group that can only call itself before anything is read.
    fn link(&mut self) -> Result<(), String> {
        for (at, number) in std::mem::take(&mut self.calls) {
            let entry = usize::try_from(number).ok().and_then(|slot| self.entries.get(slot).copied().flatten());
            let Some(entry) = entry else { return Err(format!("undefined group <{number}> reference")) };
            self.fill(at, Step::Call(entry));
        }
        let entries: Vec<usize> = self.entries.iter().copied().flatten().collect();
        if entries.iter().any(|&entry| self.never_ends(entry)) {
            return Err("never ending recursion".to_owned());
        }
        Ok(())
    }

    /// Follows the only way from `entry` until a character is wanted, a choice is offered, or it comes back.
    fn never_ends(&self, entry: usize) -> bool {
        let mut at = entry;
        for _ in 0..=self.steps.len() {
            match self.steps.get(at) {
                Some(Step::Call(target)) if *target == entry => return true,
                Some(Step::Call(target) | Step::Jump(target)) => at = *target,
                Some(
                    Step::Open
                    | Step::Save(_)
                    | Step::Atomic
                    | Step::Look
                    | Step::Assert(_)
                    | Step::LoopBegin(_)
                    | Step::Keep,
                ) => at += 1,
                Some(Step::Loop { min, .. }) if *min > 0 => at += 1,
                _ => return false,
            }
        }
        true
    }
}

/// The node as a single character, if it is one.
fn one(node: &Node) -> Option<One> {
    match node {
        Node::Char(c, true) if !c.is_ascii() || c.is_ascii_alphabetic() => Some(One::Fold(fold(*c))),
        Node::Char(c, _) => Some(One::Char(*c)),
        Node::Any(newline) => Some(One::Any(*newline)),
        Node::Set(set) => Some(One::Set(Box::new(set.clone()))),
        _ => None,
    }
}

/// No bound on the repetitions of a [`Step::Run`] or [`Step::Loop`].
pub(super) const UNBOUNDED: u32 = ENDLESS;
