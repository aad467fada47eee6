//! What the optimiser knows of a graph: levels, dominators, which cells are used, and the value that each holds.

use std::collections::BTreeMap;

use super::FilterError;
use super::code::*;
use super::graph::{Block, NONE, NOP, Stmt, leaving_order};
use super::vm::compute;

/// The scratch cells, A and X.
const ATOMS: usize = CELLS + 2;
const A_ATOM: usize = CELLS;
const X_ATOM: usize = CELLS + 1;
/// No value is known.
const UNKNOWN: u32 = 0;

/// A set of small numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Set(Vec<u64>);

impl Set {
    fn full(size: usize) -> Set {
        Set(vec![u64::MAX; size.div_ceil(64)])
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }

    fn insert(&mut self, member: usize) {
        if let Some(word) = self.0.get_mut(member / 64) {
            *word |= 1 << (member % 64);
        }
    }

    pub(super) fn has(&self, member: usize) -> bool {
        self.0.get(member / 64).is_some_and(|word| word >> (member % 64) & 1 == 1)
    }

    fn intersect(&mut self, other: &Set) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    /// In ascending order.
    pub(super) fn members(&self) -> Vec<usize> {
        let mut members = Vec::new();
        for (index, &word) in self.0.iter().enumerate() {
            let mut word = word;
            while word != 0 {
                members.push(index * 64 + usize::try_from(word.trailing_zeros()).unwrap_or_default());
                word &= word - 1;
            }
        }
        members
    }
}

/// Values by number: how each came about, and the constant if it is one.
#[derive(Debug, Default)]
struct Values {
    known: BTreeMap<(u16, u32, u32), u32>,
    constants: Vec<Option<u32>>,
}

impl Values {
    /// The number of the value that `code` makes of two others.
    fn of(&mut self, code: u16, a: u32, b: u32) -> u32 {
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX - 1) + 1;
        let constants = &mut self.constants;
        *self.known.entry((code, a, b)).or_insert_with(|| {
            let is_constant = matches!(code & 7, LD | LDX) && code & 0xe0 == IMM;
            constants.push(is_constant.then_some(a));
            next
        })
    }

    fn constant_of(&mut self, k: u32) -> u32 {
        self.of(LD | IMM, k, 0)
    }

    fn constant(&self, value: u32) -> Option<u32> {
        let index = usize::try_from(value).ok()?.checked_sub(1)?;
        self.constants.get(index).copied().flatten()
    }
}

/// A graph with everything derived from it. Block ids are indices.
pub(super) struct Flow {
    pub(super) blocks: Vec<Block>,
    pub(super) root: usize,
    /// Something was done in this round.
    pub(super) changed: bool,
    /// And it was more than moving a branch.
    pub(super) rewritten: bool,
    /// Blocks by their longest way to an end, each level in the order in which it is looked at.
    pub(super) by_level: Vec<Vec<usize>>,
    pub(super) dominating: Vec<Set>,
    /// Edges that every way to an edge takes: true ways first.
    pub(super) edge_sets: Vec<Set>,
    pub(super) entering: Vec<Vec<(usize, usize)>>,
    uses_in: Vec<u32>,
    uses_out: Vec<u32>,
    values: Values,
    holds: Vec<[u32; ATOMS]>,
    operands: Vec<u32>,
}

impl Flow {
    pub(super) fn new(blocks: Vec<Block>, root: usize) -> Flow {
        let count = blocks.len();
        Flow {
            blocks,
            root,
            changed: false,
            rewritten: false,
            by_level: Vec::new(),
            dominating: Vec::new(),
            edge_sets: Vec::new(),
            entering: Vec::new(),
            uses_in: vec![0; count],
            uses_out: vec![0; count],
            values: Values::default(),
            holds: vec![[UNKNOWN; ATOMS]; count],
            operands: vec![UNKNOWN; count],
        }
    }

    pub(super) fn next(&self, id: usize, way: usize) -> usize {
        self.blocks.get(id).and_then(|block| block.next.get(way)).copied().unwrap_or(NONE)
    }

    pub(super) fn set_next(&mut self, id: usize, way: usize, target: usize) {
        if let Some(slot) = self.blocks.get_mut(id).and_then(|block| block.next.get_mut(way)) {
            *slot = target;
        }
    }

    /// The number of an edge in [`Flow::edge_sets`].
    pub(super) fn edge(&self, id: usize, way: usize) -> usize {
        if way == 1 { id } else { id + self.blocks.len() }
    }

    /// The value of A at the end of a block.
    pub(super) fn a(&self, id: usize) -> u32 {
        self.holds.get(id).map_or(UNKNOWN, |holds| holds[A_ATOM])
    }

    /// What a block compares A with.
    pub(super) fn operand(&self, id: usize) -> u32 {
        self.operands.get(id).copied().unwrap_or(UNKNOWN)
    }

    fn is_end(&self, id: usize) -> bool {
        self.next(id, 1) == NONE
    }

    pub(super) fn levels(&mut self) {
        let mut level = vec![0usize; self.blocks.len()];
        let mut by_level: Vec<Vec<usize>> = Vec::new();
        for id in leaving_order(&self.blocks, self.root, 1) {
            let above = |next: usize| level.get(next).map_or(0, |level| level + 1);
            let [no, yes] = self.blocks.get(id).map_or([NONE; 2], |block| block.next);
            let here = if yes == NONE { 0 } else { above(no).max(above(yes)) };
            if let Some(slot) = level.get_mut(id) {
                *slot = here;
            }
            if by_level.len() <= here {
                by_level.resize(here + 1, Vec::new());
            }
            if let Some(list) = by_level.get_mut(here) {
                list.push(id);
            }
        }
        for list in &mut by_level {
            list.reverse();
        }
        self.by_level = by_level;
    }

    /// Levels from the root on. Taken out while a round runs, in which the graph changes.
    fn root_first(&self) -> Vec<usize> {
        let mut order = leaving_order(&self.blocks, self.root, 1);
        order.reverse();
        order
    }

    pub(super) fn dominators(&mut self) {
        let count = self.blocks.len();
        let mut sets = vec![Set::full(count); count];
        if let Some(set) = sets.get_mut(self.root) {
            set.clear();
        }
        for id in self.root_first() {
            let Some(set) = sets.get_mut(id) else { continue };
            set.insert(id);
            let set = set.clone();
            for way in [1, 0] {
                if let Some(next) = sets.get_mut(self.next(id, way)) {
                    next.intersect(&set);
                }
            }
        }
        self.dominating = sets;
    }

    pub(super) fn edge_dominators(&mut self) {
        let count = self.blocks.len();
        let mut sets = vec![Set::full(2 * count); 2 * count];
        for way in [1, 0] {
            let edge = self.edge(self.root, way);
            if let Some(set) = sets.get_mut(edge) {
                set.clear();
            }
        }
        for id in self.root_first() {
            for way in [1, 0] {
                let edge = self.edge(id, way);
                let Some(set) = sets.get_mut(edge) else { continue };
                set.insert(edge);
                let next = self.next(id, way);
                if next == NONE {
                    continue;
                }
                let set = set.clone();
                for way in [1, 0] {
                    let after = self.edge(next, way);
                    if let Some(after) = sets.get_mut(after) {
                        after.intersect(&set);
                    }
                }
            }
        }
        self.edge_sets = sets;
    }

    pub(super) fn entering_edges(&mut self) {
        let levels = std::mem::take(&mut self.by_level);
        self.entering_edges_of(&levels);
        self.by_level = levels;
    }

    /// The edges into each block, the last found first.
    pub(super) fn entering_edges_of(&mut self, levels: &[Vec<usize>]) {
        let mut entering = vec![Vec::new(); self.blocks.len()];
        for &id in levels.iter().skip(1).rev().flatten() {
            for way in [1, 0] {
                if let Some(list) = entering.get_mut(self.next(id, way)) {
                    list.push((id, way));
                }
            }
        }
        for list in &mut entering {
            list.reverse();
        }
        self.entering = entering;
    }

    /// Which cells each block needs at its start and leaves needed at its end.
    pub(super) fn uses(&mut self) {
        self.uses_out.fill(0);
        self.uses_in.fill(0);
        for id in leaving_order(&self.blocks, self.root, 1) {
            let Some(block) = self.blocks.get(id) else { continue };
            let (mut used, mut defined, mut killed) = (0u32, 0u32, 0u32);
            for stmt in &block.stmts {
                used |= atoms_used(stmt.code, stmt.k) & !defined;
                if let Some(atom) = atom_defined(stmt.code, stmt.k) {
                    if used >> atom & 1 == 0 {
                        killed |= 1 << atom;
                    }
                    defined |= 1 << atom;
                }
            }
            if block.code & 7 == JMP {
                used |= atoms_used(block.code, block.k) & !defined;
            }
            let after = |next: usize| self.uses_in.get(next).copied().unwrap_or_default();
            let out = if self.is_end(id) { 0 } else { block.next.iter().fold(0, |all, &next| all | after(next)) };
            if let (Some(slot_out), Some(slot_in)) = (self.uses_out.get_mut(id), self.uses_in.get_mut(id)) {
                *slot_out = out;
                *slot_in = used | out & !killed;
            }
        }
    }

    /// Whether going from `before` straight to behind `target` would change a value that is used there.
    pub(super) fn conflict(&self, before: usize, target: usize) -> bool {
        let used = self.uses_out.get(target).copied().unwrap_or_default();
        let (Some(here), Some(there)) = (self.holds.get(before), self.holds.get(target)) else { return false };
        here.iter().zip(there).enumerate().any(|(atom, (here, there))| used >> atom & 1 == 1 && here != there)
    }

    /// Values are numbered anew in each round.
    pub(super) fn forget_values(&mut self) {
        self.values = Values::default();
    }

    /// Works through one block. Constants are put in and statements removed only `with_statements`.
    pub(super) fn block(&mut self, id: usize, with_statements: bool) -> Result<(), FilterError> {
        let Some(mut block) = self.blocks.get(id).cloned() else { return Ok(()) };
        let mut holds = [UNKNOWN; ATOMS];
        let before = self.entering.get(id).map(Vec::as_slice).unwrap_or_default();
        let mut before = before.iter().filter_map(|(from, _)| self.holds.get(*from));
        if let Some(first) = before.next() {
            holds = *first;
            for other in before {
                for (value, other) in holds.iter_mut().zip(other) {
                    if *value != *other {
                        *value = UNKNOWN;
                    }
                }
            }
        }
        let (a, x) = (holds[A_ATOM], holds[X_ATOM]);
        for stmt in &mut block.stmts {
            self.statement(stmt, &mut holds, with_statements)?;
        }
        let out = self.uses_out.get(id).copied().unwrap_or_default();
        let unchanged = a != UNKNOWN && holds[A_ATOM] == a && x != UNKNOWN && holds[X_ATOM] == x;
        if with_statements && (out == 0 && unchanged || block.code & 7 == RET) {
            if !block.stmts.is_empty() {
                block.stmts.clear();
                self.rewrote();
            }
        } else {
            self.peephole(&mut block, out, &holds);
            self.dead_stores(&mut block, out);
        }
        let operand = if block.code & X == 0 { self.values.constant_of(block.k) } else { holds[X_ATOM] };
        if let (Some(slot), Some(values), Some(operands)) =
            (self.blocks.get_mut(id), self.holds.get_mut(id), self.operands.get_mut(id))
        {
            *slot = block;
            *values = holds;
            *operands = operand;
        }
        Ok(())
    }

    fn rewrote(&mut self) {
        self.changed = true;
        self.rewritten = true;
    }

    /// Notes that `atom` now holds `value`; a statement that changes nothing is dropped.
    fn store(&self, stmt: &mut Stmt, holds: &mut [u32; ATOMS], atom: usize, value: u32, alter: bool) {
        let Some(slot) = holds.get_mut(atom) else { return };
        if alter && value != UNKNOWN && *slot == value {
            stmt.code = NOP;
        } else {
            *slot = value;
        }
    }

    /// What a statement does to the values, and how it can be written with what is known of them.
    fn statement(&mut self, stmt: &mut Stmt, holds: &mut [u32; ATOMS], alter: bool) -> Result<(), FilterError> {
        let code = stmt.code;
        let cell = usize::try_from(stmt.k).unwrap_or(usize::MAX);
        let size = code & 0x18;
        match code & 7 {
            _ if code == NOP => {}
            LD | LDX => {
                let atom = if code & 7 == LD { A_ATOM } else { X_ATOM };
                let mut value = match code & 0xe0 {
                    IMM => self.values.constant_of(stmt.k),
                    MEM => holds.get(cell).copied().unwrap_or(UNKNOWN),
                    IND => {
                        let base = holds[X_ATOM];
                        match self.values.constant(base) {
                            Some(base) if alter => {
                                stmt.code = LD | ABS | size;
                                stmt.k = stmt.k.wrapping_add(base);
                                self.rewrote();
                                self.values.of(stmt.code, stmt.k, 0)
                            }
                            _ => self.values.of(code, stmt.k, base),
                        }
                    }
                    _ => self.values.of(code, stmt.k, 0),
                };
                if code & 0xe0 == MEM
                    && alter
                    && let Some(constant) = self.values.constant(value)
                {
                    stmt.code = code & 7 | IMM;
                    stmt.k = constant;
                    value = self.values.constant_of(constant);
                    self.rewrote();
                }
                self.store(stmt, holds, atom, value, alter);
            }
            ST => {
                let value = holds[A_ATOM];
                self.store(stmt, holds, cell, value, alter);
            }
            STX => {
                let value = holds[X_ATOM];
                self.store(stmt, holds, cell, value, alter);
            }
            ALU => self.arithmetic(stmt, holds, alter)?,
            MISC => {
                let (atom, value) = if code & 0xf8 == TXA { (A_ATOM, holds[X_ATOM]) } else { (X_ATOM, holds[A_ATOM]) };
                self.store(stmt, holds, atom, value, alter);
            }
            _ => {}
        }
        Ok(())
    }

    fn arithmetic(&mut self, stmt: &mut Stmt, holds: &mut [u32; ATOMS], alter: bool) -> Result<(), FilterError> {
        let (code, op) = (stmt.code, stmt.code & 0xf0);
        let a = holds[A_ATOM];
        let left = self.values.constant(a).filter(|_| alter);
        if op == NEG {
            if let Some(left) = left {
                (stmt.code, stmt.k) = (LD | IMM, left.wrapping_neg());
                holds[A_ATOM] = self.values.constant_of(stmt.k);
            } else {
                holds[A_ATOM] = self.values.of(code, a, 0);
            }
            return Ok(());
        }
        let mut right = stmt.k;
        if code & X != 0 {
            match self.values.constant(holds[X_ATOM]).filter(|_| alter) {
                Some(constant) if left.is_none() => {
                    (stmt.code, stmt.k) = (ALU | op, constant);
                    if matches!(op, LSH | RSH) && constant > 31 {
                        return Err(FilterError::new("shift by more than 31 bits"));
                    }
                    self.rewrote();
                    let operand = self.values.constant_of(constant);
                    holds[A_ATOM] = self.values.of(stmt.code, a, operand);
                    return Ok(());
                }
                Some(constant) => right = constant,
                None if left == Some(0) => {
                    if matches!(op, ADD | OR | XOR) {
                        stmt.code = MISC | TXA;
                        let value = holds[X_ATOM];
                        self.store(stmt, holds, A_ATOM, value, alter);
                    } else if matches!(op, MUL | DIV | MOD | AND | LSH | RSH) {
                        (stmt.code, stmt.k) = (LD | IMM, 0);
                        let value = self.values.constant_of(0);
                        self.store(stmt, holds, A_ATOM, value, alter);
                    } else {
                        holds[A_ATOM] = self.values.of(code, a, holds[X_ATOM]);
                    }
                    return Ok(());
                }
                None => {
                    holds[A_ATOM] = self.values.of(code, a, holds[X_ATOM]);
                    return Ok(());
                }
            }
        } else if alter && stmt.k == 0 {
            match op {
                ADD | SUB | LSH | RSH | OR | XOR => {
                    stmt.code = NOP;
                    return Ok(());
                }
                MUL | AND => {
                    stmt.code = LD | IMM;
                    holds[A_ATOM] = self.values.constant_of(0);
                    return Ok(());
                }
                _ => {}
            }
        }
        if let Some(left) = left {
            let result = compute(op, left, right)
                .ok_or_else(|| FilterError::new(if op == DIV { "division by zero" } else { "modulus by zero" }))?;
            (stmt.code, stmt.k) = (LD | IMM, result);
            // Folding is a change of its own.
            self.rewrote();
            holds[A_ATOM] = self.values.constant_of(result);
            return Ok(());
        }
        let operand = self.values.constant_of(right);
        holds[A_ATOM] = self.values.of(code, a, operand);
        Ok(())
    }

    /// Patterns of neighbours in a block, and comparisons whose result is known.
    fn peephole(&mut self, block: &mut Block, out: u32, holds: &[u32; ATOMS]) {
        let live: Vec<usize> = (0..block.stmts.len()).filter(|&at| code_at(block, at) != NOP).collect();
        if block.stmts.is_empty() {
            return;
        }
        // The first of the list even if it was removed: one live statement behind it is not looked at.
        let mut last = 0;
        let mut index = 0;
        while let Some(&here) = live.get(index) {
            // What an earlier pattern removed is gone.
            let mut following = Vec::with_capacity(4);
            let mut next_index = index + 1;
            let mut at = index + 1;
            while following.len() < 4
                && let Some(&stmt) = live.get(at)
            {
                if code_at(block, stmt) != NOP {
                    if following.is_empty() {
                        next_index = at;
                    }
                    following.push(stmt);
                }
                at += 1;
            }
            if code_at(block, here) == NOP {
                index += 1;
                continue;
            }
            let Some(&next) = following.first() else { break };
            last = next;
            index = next_index;
            self.neighbours(block, out, here, &following);
        }
        let Block { stmts, code, k, next } = block;
        let uses_a = out >> A_ATOM & 1 == 1;
        if *code == JMP | JEQ && !uses_a {
            let known_x = self.values.constant(holds[X_ATOM]);
            if let Some(stmt) = stmts.get_mut(last) {
                let mut done = true;
                match stmt.code {
                    op if op == ALU | SUB | X => match known_x {
                        Some(x) => *k = k.wrapping_add(x),
                        None if *k == 0 => *code = JMP | JEQ | X,
                        None => done = false,
                    },
                    op if op == ALU | SUB => *k = k.wrapping_add(stmt.k),
                    op if op == ALU | AND && *k == 0 => {
                        *k = stmt.k;
                        *code = JMP | JSET;
                        next.reverse();
                    }
                    _ => done = false,
                }
                if done {
                    stmt.code = NOP;
                    self.changed = true;
                    self.rewritten = true;
                }
            }
        }
        let [no, yes] = next;
        if *code == JMP | JSET {
            if *k == 0 {
                *yes = *no;
            }
            if *k == u32::MAX {
                *no = *yes;
            }
        }
        if *code & 7 == JMP
            && *code & X != 0
            && let Some(x) = self.values.constant(holds[X_ATOM])
        {
            *code &= !X;
            *k = x;
        }
        if *code & 0x0f == JMP
            && let Some(a) = self.values.constant(holds[A_ATOM])
        {
            let result = match *code & 0xf0 {
                JEQ => a == *k,
                JGT => a > *k,
                JGE => a >= *k,
                _ => a & *k != 0,
            };
            if *no != *yes {
                self.changed = true;
                self.rewritten = true;
            }
            if result { *no = *yes } else { *yes = *no }
        }
    }

    fn neighbours(&mut self, block: &mut Block, out: u32, here: usize, following: &[usize]) {
        let stmt_at = |at: usize| block.stmts.get(at).copied();
        let (Some(s), Some(next)) = (stmt_at(here), following.first().copied().and_then(stmt_at)) else { return };
        let mut write = |at: usize, code: u16, k: u32| {
            if let Some(stmt) = block.stmts.get_mut(at) {
                stmt.code = code;
                stmt.k = k;
            }
        };
        let next_at = following.first().copied().unwrap_or_default();
        if s.code == ST && next.code == LDX | MEM && s.k == next.k {
            write(next_at, MISC | TAX, next.k);
            self.rewrote();
        }
        let next_code = if s.code == ST && next.code == LDX | MEM && s.k == next.k { MISC | TAX } else { next.code };
        if s.code == LD | IMM && next_code == MISC | TAX {
            write(here, LDX | IMM, s.k);
            write(next_at, MISC | TXA, next.k);
            self.rewrote();
            return;
        }
        // `proto[x]`: a constant, perhaps a header's length in X, their sum to X, a load from there.
        if s.code != LD | IMM || out >> X_ATOM & 1 == 1 {
            return;
        }
        let skip = usize::from(next_code == LDX | MSH | B);
        let mut rest = following.iter().skip(skip).copied();
        let (Some(add), Some(tax), Some(load)) = (rest.next(), rest.next(), rest.next()) else { return };
        let code = |at: usize| stmt_code(&block.stmts, at);
        let loads = code(load) & 7 == LD && code(load) & 0xe0 == IND;
        if code(add) != ALU | ADD | X || code(tax) != MISC | TAX || !loads {
            return;
        }
        for at in [here, add, tax] {
            if let Some(stmt) = block.stmts.get_mut(at) {
                stmt.code = NOP;
            }
        }
        if let Some(stmt) = block.stmts.get_mut(load) {
            stmt.k = stmt.k.wrapping_add(s.k);
        }
        self.rewrote();
    }

    /// Removes what is written and never read.
    fn dead_stores(&mut self, block: &mut Block, out: u32) {
        let mut written: [Option<usize>; ATOMS] = [None; ATOMS];
        let mut dead = Vec::new();
        let ends = (block.code, block.k);
        let all = block.stmts.iter().map(|stmt| (stmt.code, stmt.k)).chain([ends]);
        for (at, (code, k)) in all.enumerate() {
            let used = atoms_used(code, k);
            for (atom, slot) in written.iter_mut().enumerate() {
                if used >> atom & 1 == 1 {
                    *slot = None;
                }
            }
            if let Some(slot) = atom_defined(code, k).and_then(|atom| written.get_mut(atom))
                && let Some(before) = slot.replace(at)
            {
                dead.push(before);
            }
        }
        let at_end = written.iter().enumerate().filter(|(atom, _)| out >> atom & 1 == 0);
        dead.extend(at_end.filter_map(|(_, slot)| *slot));
        for at in dead {
            if let Some(stmt) = block.stmts.get_mut(at) {
                stmt.code = NOP;
                self.changed = true;
                self.rewritten = true;
            }
        }
    }
}

fn stmt_code(stmts: &[Stmt], at: usize) -> u16 {
    stmts.get(at).map_or(NOP, |stmt| stmt.code)
}

fn code_at(block: &Block, at: usize) -> u16 {
    stmt_code(&block.stmts, at)
}

/// The atoms that an instruction reads, as bits.
fn atoms_used(code: u16, k: u32) -> u32 {
    const A_BIT: u32 = 1 << A_ATOM;
    const X_BIT: u32 = 1 << X_ATOM;
    if code == NOP {
        return 0;
    }
    let cell = 1u32.checked_shl(k).filter(|_| k < 16).unwrap_or_default();
    match code & 7 {
        RET => {
            if code & 0x18 == 0x10 {
                A_BIT
            } else {
                0
            }
        }
        LD | LDX => match code & 0xe0 {
            IND => X_BIT,
            MEM => cell,
            _ => 0,
        },
        ST => A_BIT,
        STX => X_BIT,
        JMP | ALU if code & X != 0 => A_BIT | X_BIT,
        JMP | ALU => A_BIT,
        _ if code & 0xf8 == TXA => X_BIT,
        _ => A_BIT,
    }
}

/// The atom that an instruction writes.
fn atom_defined(code: u16, k: u32) -> Option<usize> {
    if code == NOP {
        return None;
    }
    match code & 7 {
        LD | ALU => Some(A_ATOM),
        LDX => Some(X_ATOM),
        ST | STX => usize::try_from(k).ok().filter(|cell| *cell < CELLS),
        MISC if code & 0xf8 == TXA => Some(A_ATOM),
        MISC => Some(X_ATOM),
        _ => None,
    }
}
