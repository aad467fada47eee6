//! The matcher: backtracking with its own stack, so that neither a deep pattern nor a long text can exhaust the thread's.
//!
//! The stack holds choices (where to go on after a failure) and the old values of whatever has changed since: undoing a
//! choice restores captures, loop counts, marks and the call stack. Failures are counted as Oniguruma counts them.

use super::ast::Assert;
use super::class::{Class, fold};
use super::program::{One, Program, Step, UNBOUNDED};

/// Oniguruma's default for one attempt (DEFAULT_RETRY_LIMIT_IN_MATCH).
const MATCH_RETRIES: u64 = 10_000_000;
/// All attempts of one search together.
const SEARCH_RETRIES: u64 = 200_000_000;
/// Steps of one search, for what repeats without failing.
const SEARCH_STEPS: u64 = 2_000_000_000;
/// Frames, of 32 bytes each.
const MAX_STACK: usize = 2_000_000;
/// Loop registers kept for calls (`\g`), those to come back to and those that did.
const MAX_KEPT: usize = 2_000_000;

/// A place that no group has reached.
pub(super) const UNSET: usize = usize::MAX;

enum Frame {
    /// Go on at this step and place.
    Choice(usize, usize),
    /// Give one character of a run back, down to `least`; then go on at the step.
    GiveBack {
        step: usize,
        least: usize,
        at: usize,
    },
    /// Take one more character of the run at this step; so many have been taken.
    TakeMore {
        step: usize,
        at: usize,
        taken: u32,
    },
    Slot(usize, usize),
    Register(usize, (u32, usize)),
    /// A mark was pushed.
    Unmark,
    /// This mark was popped.
    Mark(usize),
    /// A call was made.
    Uncall,
    /// A call with this index into `returned` came back.
    Recall(usize),
}

/// Where to return to, and the loop registers of the caller.
#[derive(Clone)]
struct Caller {
    step: usize,
    registers: Vec<(u32, usize)>,
}

/// One search over one text.
pub(super) struct Matcher<'a> {
    program: &'a Program,
    text: &'a str,
    /// `l`: the longest match wins.
    longest: bool,
    /// `n`: an empty match is none.
    not_empty: bool,
    slots: Vec<usize>,
    registers: Vec<(u32, usize)>,
    marks: Vec<usize>,
    calls: Vec<Caller>,
    returned: Vec<Caller>,
    stack: Vec<Frame>,
    retries: u64,
    steps: u64,
}

impl<'a> Matcher<'a> {
    /// A matcher of `program` on `text`.
    pub(super) fn new(program: &'a Program, text: &'a str, longest: bool, not_empty: bool) -> Matcher<'a> {
        Matcher {
            program,
            text,
            longest,
            not_empty,
            slots: vec![UNSET; program.groups * 2 + 2],
            registers: vec![(0, 0); program.registers],
            marks: Vec::new(),
            calls: Vec::new(),
            returned: Vec::new(),
            stack: Vec::new(),
            retries: 0,
            steps: 0,
        }
    }

    /// The slots of the first match that begins at `from` or later: byte offsets, two a group, [`UNSET`] for no part.
    pub(super) fn search(&mut self, from: usize) -> Result<Option<&[usize]>, String> {
        (self.retries, self.steps) = (0, 0);
        let mut at = from;
        loop {
            if self.program.anchored && at > 0 {
                return Ok(None);
            }
            if let Some(first) = self.program.first {
                match self.text.get(at..).and_then(|rest| rest.find(first)) {
                    Some(skip) => at += skip,
                    None => return Ok(None),
                }
            }
            if self.attempt(at, from)? {
                return Ok(Some(&self.slots));
            }
            match self.after(at) {
                Some((_, next)) => at = next,
                None => return Ok(None),
            }
        }
    }

    /// The character at `at` and the place behind it.
    fn after(&self, at: usize) -> Option<(char, usize)> {
        match self.text.as_bytes().get(at) {
            Some(&byte) if byte < 0x80 => Some((char::from(byte), at + 1)),
            Some(_) => self.text.get(at..)?.chars().next().map(|c| (c, at + c.len_utf8())),
            None => None,
        }
    }

    /// The character before `at` and its place.
    fn before(&self, at: usize) -> Option<(char, usize)> {
        self.text.get(..at)?.chars().next_back().map(|c| (c, at - c.len_utf8()))
    }

    fn attempt(&mut self, begin: usize, searched_from: usize) -> Result<bool, String> {
        self.slots.fill(UNSET);
        self.marks.clear();
        self.calls.clear();
        self.returned.clear();
        self.stack.clear();
        self.put(0, begin);
        self.stack.clear();
        let limit = self.retries + MATCH_RETRIES;
        let (mut step, mut at) = (0, begin);
        let mut best: Option<Vec<usize>> = None;
        loop {
            match self.step(step, at, begin, searched_from, &mut best)? {
                Some((next, place)) => (step, at) = (next, place),
                None if best.is_some() && !self.longest => break,
                None => {
                    self.retries += 1;
                    if self.retries > limit {
                        return Err("retry-limit-in-match over".to_owned());
                    }
                    if self.retries > SEARCH_RETRIES {
                        return Err("retry-limit-in-search over".to_owned());
                    }
                    match self.backtrack() {
                        Some((next, place)) => (step, at) = (next, place),
                        None => break,
                    }
                }
            }
            self.steps += 1;
            if self.steps > SEARCH_STEPS {
                return Err("retry-limit-in-search over".to_owned());
            }
            let kept = (self.calls.len() + self.returned.len()).saturating_mul(self.registers.len() + 1);
            if self.stack.len() > MAX_STACK || kept > MAX_KEPT {
                return Err("match-stack limit over".to_owned());
            }
        }
        let found = best.is_some();
        if let Some(best) = best {
            self.slots = best;
        }
        Ok(found)
    }

    fn put(&mut self, slot: usize, value: usize) {
        if let Some(held) = self.slots.get_mut(slot) {
            self.stack.push(Frame::Slot(slot, *held));
            *held = value;
        }
    }

    fn register(&mut self, register: usize, value: (u32, usize)) {
        if let Some(held) = self.registers.get_mut(register) {
            self.stack.push(Frame::Register(register, *held));
            *held = value;
        }
    }

    fn mark(&mut self, value: usize) {
        self.marks.push(value);
        self.stack.push(Frame::Unmark);
    }

    fn unmark(&mut self) -> Option<usize> {
        let value = self.marks.pop()?;
        self.stack.push(Frame::Mark(value));
        Some(value)
    }

    /// Takes one step; `None` is a failure, or a match when `best` was set.
    fn step(
        &mut self,
        step: usize,
        at: usize,
        begin: usize,
        searched_from: usize,
        best: &mut Option<Vec<usize>>,
    ) -> Result<Option<(usize, usize)>, String> {
        let program = self.program;
        let Some(current) = program.steps.get(step) else { return Ok(None) };
        let next = Some((step + 1, at));
        Ok(match current {
            Step::One(one) => match self.after(at) {
                Some((c, behind)) if one.has(c) => Some((step + 1, behind)),
                _ => None,
            },
            Step::Run { one, min, max, greedy } => self.run(step, at, one, (*min, *max, *greedy)),
            Step::Jump(target) => Some((*target, at)),
            Step::OrElse(target) => {
                self.stack.push(Frame::Choice(*target, at));
                next
            }
            Step::Save(slot) => {
                self.put(*slot, at);
                next
            }
            Step::Open => {
                self.mark(at);
                next
            }
            Step::Close(group) => {
                let opened = self.unmark().unwrap_or(at);
                self.put(group * 2, opened);
                self.put(group * 2 + 1, at);
                next
            }
            Step::Assert(assert) => self.holds(*assert, at, searched_from).then_some((step + 1, at)),
            Step::Keep => {
                self.put(0, at);
                next
            }
            Step::Back(count) => {
                let mut place = at;
                for _ in 0..*count {
                    match self.before(place) {
                        Some((_, earlier)) => place = earlier,
                        None => return Ok(None),
                    }
                }
                Some((step + 1, place))
            }
            Step::Look => {
                self.mark(at);
                self.mark(self.stack.len());
                next
            }
            Step::LookEnd => {
                self.cut();
                let place = self.unmark().unwrap_or(at);
                Some((step + 1, place))
            }
            Step::NotLook(after) => {
                let depth = self.stack.len();
                self.stack.push(Frame::Choice(*after, at));
                self.mark(depth);
                next
            }
            Step::NotLookEnd => {
                // What must not be there is there: back to before the look, over its own choice too.
                let depth = self.marks.last().copied().unwrap_or(0);
                while self.stack.len() > depth {
                    if let Some(frame) = self.stack.pop() {
                        self.undo(frame);
                    }
                }
                None
            }
            Step::Atomic => {
                self.mark(self.stack.len());
                next
            }
            Step::AtomicEnd => {
                self.cut();
                next
            }
            Step::BackRef(groups, fold_case) => self.back_reference(groups, *fold_case, at).map(|at| (step + 1, at)),
            Step::Cond(groups, otherwise) => {
                let set = groups.iter().any(|&group| self.group(group).is_some());
                Some((if set { step + 1 } else { *otherwise }, at))
            }
            Step::Call(target) => {
                self.calls.push(Caller { step: step + 1, registers: self.registers.clone() });
                self.stack.push(Frame::Uncall);
                Some((*target, at))
            }
            Step::Return => {
                let Some(caller) = self.calls.pop() else { return Ok(None) };
                for (register, value) in caller.registers.iter().enumerate() {
                    self.register(register, *value);
                }
                let target = caller.step;
                self.stack.push(Frame::Recall(self.returned.len()));
                self.returned.push(caller);
                Some((target, at))
            }
            Step::LoopBegin(register) => {
                self.register(*register, (0, UNSET));
                next
            }
            Step::Loop { register, min, max, greedy, exit } => {
                let (count, _) = self.registers.get(*register).copied().unwrap_or_default();
                if count >= *max && *max != UNBOUNDED {
                    return Ok(Some((*exit, at)));
                }
                if count >= *min {
                    if *greedy {
                        self.stack.push(Frame::Choice(*exit, at));
                    } else {
                        // The way into the loop is taken by a choice that stands at its head again: see TakeMore.
                        self.stack.push(Frame::TakeMore { step, at, taken: count });
                        return Ok(Some((*exit, at)));
                    }
                }
                self.register(*register, (count, at));
                next
            }
            Step::LoopEnd { register, head } => {
                let (count, began) = self.registers.get(*register).copied().unwrap_or_default();
                if began == at {
                    // Nothing was read: more rounds would read nothing either.
                    return Ok(Some((step + 1, at)));
                }
                self.register(*register, (count.saturating_add(1), began));
                Some((*head, at))
            }
            Step::Match => {
                let start = self.slots.first().copied().unwrap_or(begin);
                if self.not_empty && start == at {
                    return Ok(None);
                }
                let ends = best.as_ref().and_then(|slots| slots.get(1).copied());
                if ends.is_none_or(|end| at > end) {
                    let mut slots = self.slots.clone();
                    if let Some(end) = slots.get_mut(1) {
                        *end = at;
                    }
                    *best = Some(slots);
                }
                None
            }
        })
    }

    /// One character many times.
    fn run(
        &mut self,
        step: usize,
        at: usize,
        one: &One,
        (min, max, greedy): (u32, u32, bool),
    ) -> Option<(usize, usize)> {
        let (mut place, mut count, mut least) = (at, 0, at);
        let wanted = if greedy { max } else { min };
        while count < wanted || wanted == UNBOUNDED {
            match self.after(place) {
                Some((c, behind)) if one.has(c) => place = behind,
                _ => break,
            }
            count = count.saturating_add(1);
            if count == min {
                least = place;
            }
        }
        if count < min {
            return None;
        }
        if greedy && place > least {
            self.stack.push(Frame::GiveBack { step: step + 1, least, at: place });
        } else if !greedy && (max == UNBOUNDED || count < max) {
            self.stack.push(Frame::TakeMore { step, at: place, taken: count });
        }
        Some((step + 1, place))
    }

    /// Removes the choices since the last mark but keeps what is needed to undo further back.
    fn cut(&mut self) {
        let depth = self.marks.last().copied().unwrap_or(0);
        let choice =
            |frame: &Frame| matches!(frame, Frame::Choice(..) | Frame::GiveBack { .. } | Frame::TakeMore { .. });
        let mut kept = depth;
        for index in depth..self.stack.len() {
            if self.stack.get(index).is_some_and(|frame| !choice(frame)) {
                self.stack.swap(kept, index);
                kept += 1;
            }
        }
        self.stack.truncate(kept);
        self.unmark();
    }

    fn undo(&mut self, frame: Frame) {
        match frame {
            Frame::Slot(slot, value) => {
                if let Some(held) = self.slots.get_mut(slot) {
                    *held = value;
                }
            }
            Frame::Register(register, value) => {
                if let Some(held) = self.registers.get_mut(register) {
                    *held = value;
                }
            }
            Frame::Unmark => {
                self.marks.pop();
            }
            Frame::Mark(value) => self.marks.push(value),
            Frame::Uncall => {
                self.calls.pop();
            }
            Frame::Recall(index) => {
                if let Some(caller) = self.returned.get(index) {
                    self.calls.push(caller.clone());
                }
                self.returned.truncate(index);
            }
            Frame::Choice(..) | Frame::GiveBack { .. } | Frame::TakeMore { .. } => {}
        }
    }

    /// Back to the last choice.
    fn backtrack(&mut self) -> Option<(usize, usize)> {
        loop {
            match self.stack.pop()? {
                Frame::Choice(step, at) => return Some((step, at)),
                Frame::GiveBack { step, least, at } => {
                    let (_, earlier) = self.before(at)?;
                    if earlier > least {
                        self.stack.push(Frame::GiveBack { step, least, at: earlier });
                    }
                    return Some((step, earlier));
                }
                Frame::TakeMore { step, at, taken } => match self.program.steps.get(step) {
                    Some(Step::Run { one, max, .. }) => {
                        if let Some((c, behind)) = self.after(at)
                            && one.has(c)
                        {
                            let taken = taken.saturating_add(1);
                            if *max == UNBOUNDED || taken < *max {
                                self.stack.push(Frame::TakeMore { step, at: behind, taken });
                            }
                            return Some((step + 1, behind));
                        }
                    }
                    Some(Step::Loop { register, .. }) => {
                        self.register(*register, (taken, at));
                        return Some((step + 1, at));
                    }
                    _ => {}
                },
                frame => self.undo(frame),
            }
        }
    }

    /// The bytes of a group that has matched.
    fn group(&self, group: u32) -> Option<(usize, usize)> {
        let slot = usize::try_from(group).ok()? * 2;
        let (start, end) = (self.slots.get(slot).copied()?, self.slots.get(slot + 1).copied()?);
        (start != UNSET && end != UNSET && start <= end).then_some((start, end))
    }

    fn back_reference(&self, groups: &[u32], fold_case: bool, at: usize) -> Option<usize> {
        let rest = self.text.get(at..)?;
        groups.iter().find_map(|&group| {
            let (start, end) = self.group(group)?;
            let wanted = self.text.get(start..end)?;
            if !fold_case {
                return rest.starts_with(wanted).then_some(at + wanted.len());
            }
            let mut place = at;
            for c in wanted.chars() {
                let (found, behind) = self.after(place)?;
                if fold(found) != fold(c) {
                    return None;
                }
                place = behind;
            }
            Some(place)
        })
    }

    fn holds(&self, assert: Assert, at: usize, searched_from: usize) -> bool {
        let end = self.text.len();
        let word = |side: Option<(char, usize)>| side.is_some_and(|(c, _)| Class::Word.has(c));
        let edge = || word(self.before(at)) != word(self.after(at));
        let newline = |side: Option<(char, usize)>| side.is_some_and(|(c, _)| c == '\n');
        match assert {
            Assert::Start => at == 0,
            Assert::LineStart => at == 0 || newline(self.before(at)) && at < end,
            Assert::End => at == end,
            Assert::LastEnd => at == end || at + 1 == end && newline(self.after(at)),
            Assert::LineEnd => at == end || newline(self.after(at)),
            Assert::SearchStart => at == searched_from,
            Assert::WordEdge => edge(),
            Assert::NotWordEdge => !edge(),
        }
    }
}
