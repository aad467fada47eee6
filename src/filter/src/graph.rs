//! The control-flow graph between the parser and the program: blocks that end in one comparison, joined by and, or, not.

use super::FilterError;
use super::code::{Insn, JA, JEQ, JMP, Program, RET};

/// No successor: the block returns, or its edge still waits for a target.
pub(super) const NONE: usize = usize::MAX;
/// Does nothing and is not put out; the optimiser leaves it where it removed something.
pub(super) const NOP: u16 = u16::MAX;
/// A program of more blocks is refused, in number. The kernel takes 4,096 instructions.
const MAX_BLOCKS: usize = 1 << 16;

/// A statement of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stmt {
    pub(super) code: u16,
    pub(super) k: u32,
    /// A jump inside the block: how many statements of the list to move on; else zero.
    pub(super) jt: i16,
    pub(super) jf: i16,
}

/// A statement that does not jump.
pub(super) fn stmt(code: u16, k: u32) -> Stmt {
    Stmt { code, k, jt: 0, jf: 0 }
}

/// Statements, then a comparison with two ways out, or a return.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) stmts: Vec<Stmt>,
    pub(super) code: u16,
    pub(super) k: u32,
    /// Where to go if the comparison does not hold, and if it does.
    pub(super) next: [usize; 2],
}

/// An edge: a block, and 1 for the way it takes when its comparison holds.
type Edge = (usize, usize);

/// Part of a condition: where it begins and the edges that leave it.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) head: usize,
    yes: Vec<Edge>,
    no: Vec<Edge>,
}

/// All blocks of a filter.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) blocks: Vec<Block>,
}

impl Graph {
    fn push(&mut self, block: Block) -> usize {
        self.blocks.push(block);
        self.blocks.len() - 1
    }

    /// Whether the filter is larger than anything we want to look at.
    pub(super) fn check(&self) -> Result<(), FilterError> {
        if self.blocks.len() > MAX_BLOCKS { Err(FilterError::new("expression is too large")) } else { Ok(()) }
    }

    /// A comparison after some statements.
    pub(super) fn test(&mut self, stmts: Vec<Stmt>, op: u16, k: u32) -> Code {
        let id = self.push(Block { stmts, code: JMP | op, k, next: [NONE; 2] });
        Code { head: id, yes: vec![(id, 1)], no: vec![(id, 0)] }
    }

    /// Always true or never, still written as a comparison.
    pub(super) fn constant(&mut self, holds: bool) -> Code {
        self.test(vec![stmt(0, u32::from(!holds))], JEQ, 0)
    }

    fn patch(&mut self, edges: &[Edge], target: usize) {
        for &(id, way) in edges {
            if let Some(slot) = self.blocks.get_mut(id).and_then(|block| block.next.get_mut(way)) {
                *slot = target;
            }
        }
    }

    /// `a`, and if it holds `b`.
    pub(super) fn and(&mut self, a: Code, b: Code) -> Code {
        self.patch(&a.yes, b.head);
        Code { head: a.head, yes: b.yes, no: joined(a.no, b.no) }
    }

    /// `a`, and if it does not hold `b`.
    pub(super) fn or(&mut self, a: Code, b: Code) -> Code {
        self.patch(&a.no, b.head);
        Code { head: a.head, yes: joined(a.yes, b.yes), no: b.no }
    }

    /// The opposite.
    pub(super) fn not(&self, code: Code) -> Code {
        Code { head: code.head, yes: code.no, no: code.yes }
    }

    /// Statements to run before everything else in `code`.
    pub(super) fn prepend(&mut self, code: &Code, mut stmts: Vec<Stmt>) {
        if let Some(block) = self.blocks.get_mut(code.head) {
            stmts.append(&mut block.stmts);
            block.stmts = stmts;
        }
    }

    /// Ends the graph: what holds returns `snaplen`, what does not returns nothing. Gives the first block.
    pub(super) fn finish(&mut self, code: Option<Code>, snaplen: u32) -> usize {
        let accept = self.push(Block { stmts: Vec::new(), code: RET, k: snaplen, next: [NONE; 2] });
        let Some(code) = code else { return accept };
        let reject = self.push(Block { stmts: Vec::new(), code: RET, k: 0, next: [NONE; 2] });
        self.patch(&code.yes, accept);
        self.patch(&code.no, reject);
        code.head
    }
}

fn joined(mut a: Vec<Edge>, mut b: Vec<Edge>) -> Vec<Edge> {
    if a.len() < b.len() {
        std::mem::swap(&mut a, &mut b);
    }
    a.append(&mut b);
    a
}

/// Blocks in the order in which a walk that looks at the `first` way, then the other, leaves them.
pub(super) fn leaving_order(blocks: &[Block], root: usize, first: usize) -> Vec<usize> {
    let mut seen = vec![false; blocks.len()];
    let mut order = Vec::new();
    let mut stack = vec![(root, false)];
    while let Some((id, left)) = stack.pop() {
        if left {
            order.push(id);
            continue;
        }
        let (Some(block), Some(mark)) = (blocks.get(id), seen.get_mut(id)) else { continue };
        if std::mem::replace(mark, true) {
            continue;
        }
        stack.push((id, true));
        let [no, yes] = block.next;
        let (early, late) = if first == 1 { (yes, no) } else { (no, yes) };
        stack.push((late, false));
        stack.push((early, false));
    }
    order
}

/// Lays the blocks out in a line. A way of more than 255 instructions gets a jump of its own beside the comparison.
pub(super) fn linear(blocks: &[Block], root: usize) -> Result<Program, FilterError> {
    let mut order = leaving_order(blocks, root, 0);
    order.reverse();
    // Per block: whether the false and the true way need a jump of their own.
    let mut far = vec![[false; 2]; blocks.len()];
    loop {
        let mut start = vec![0usize; blocks.len()];
        let mut at = 0;
        for &id in &order {
            let (Some(slot), Some(block), Some(far)) = (start.get_mut(id), blocks.get(id), far.get(id)) else {
                continue;
            };
            *slot = at;
            at += live(&block.stmts).count() + 1 + usize::from(far[0]) + usize::from(far[1]);
        }
        let mut program = Vec::with_capacity(at);
        let mut again = false;
        for &id in &order {
            let (Some(block), Some(far)) = (blocks.get(id), far.get_mut(id)) else { continue };
            statements(block, &mut program)?;
            if block.code & 7 != JMP {
                program.push(Insn { code: block.code, jt: 0, jf: 0, k: block.k });
                continue;
            }
            let here = program.len();
            let distance = |way: usize| {
                let target = block.next.get(way).and_then(|&id| start.get(id)).copied().unwrap_or_default();
                target.saturating_sub(here + 1)
            };
            let mut insn = Insn { code: block.code, jt: 0, jf: 0, k: block.k };
            let mut jumps = Vec::new();
            for way in [1, 0] {
                let reach = distance(way);
                let is_far = far.get(way).copied().unwrap_or_default();
                let skip = if is_far {
                    jumps.push(reach);
                    jumps.len() - 1
                } else {
                    reach
                };
                let Ok(skip) = u8::try_from(skip) else {
                    if let Some(slot) = far.get_mut(way) {
                        *slot = true;
                    }
                    again = true;
                    continue;
                };
                if way == 1 { insn.jt = skip } else { insn.jf = skip }
            }
            program.push(insn);
            for (extra, reach) in jumps.into_iter().enumerate() {
                let k = u32::try_from(reach.saturating_sub(extra + 1)).unwrap_or(u32::MAX);
                program.push(Insn { code: JMP | JA, jt: 0, jf: 0, k });
            }
        }
        if !again {
            return Ok(Program { insns: program });
        }
    }
}

fn live(stmts: &[Stmt]) -> impl Iterator<Item = &Stmt> {
    stmts.iter().filter(|stmt| stmt.code != NOP)
}

/// The statements of a block, with the jumps between them counted in instructions.
fn statements(block: &Block, program: &mut Vec<Insn>) -> Result<(), FilterError> {
    for (index, stmt) in block.stmts.iter().enumerate() {
        if stmt.code == NOP {
            continue;
        }
        let mut insn = Insn { code: stmt.code, jt: 0, jf: 0, k: stmt.k };
        if stmt.code & 7 == JMP {
            let reach = |by: i16| {
                let target = index.saturating_add_signed(isize::from(by));
                let count = |range: Option<&[Stmt]>| range.map_or(0, |stmts| live(stmts).count());
                if target > index {
                    i64::try_from(count(block.stmts.get(index + 1..target))).unwrap_or(i64::MAX)
                } else {
                    -1 - i64::try_from(count(block.stmts.get(target..index))).unwrap_or(i64::MAX)
                }
            };
            if stmt.code == JMP | JA {
                // Backwards only in `protochain`, as a two's complement.
                let [_, _, _, _, bytes @ ..] = reach(stmt.jt).to_be_bytes();
                insn.k = u32::from_be_bytes(bytes);
            } else {
                let near = |by| u8::try_from(reach(by)).map_err(|_| FilterError::new("expression is too large"));
                (insn.jt, insn.jf) = (near(stmt.jt)?, near(stmt.jf)?);
            }
        }
        program.push(insn);
    }
    Ok(())
}
