//! The optimiser: McCanne's and Jacobson's, as libpcap has it.
//!
//! It decides more than speed. A comparison that is removed takes its load along, so a short packet may be selected that
//! would not be otherwise; and a filter that turns out to accept nothing is refused. Hence the same passes in the same order.

use super::FilterError;
use super::code::*;
use super::flow::{Flow, Set};
use super::graph::{Block, NONE, NOP, leaving_order, linear};

/// Larger graphs are left as they are: the sets take the square of the number of blocks, and the time more than that.
const MAX_BLOCKS: usize = 1500;
/// Rounds in which branches are moved only; two moves may undo each other for ever.
const MAX_MOVES: u32 = 100;
/// Rounds in all.
const MAX_ROUNDS: u32 = 2000;

/// Optimises and lays out.
///
/// # Errors
/// When the filter accepts nothing, or an operation turns out to be impossible.
pub(super) fn optimize(blocks: Vec<Block>, root: usize) -> Result<Program, FilterError> {
    let (blocks, root) = reachable(&blocks, root);
    if blocks.len() > MAX_BLOCKS {
        return linear(&blocks, root);
    }
    let mut flow = Flow::new(blocks, root);
    for with_statements in [false, true] {
        let (mut moves, mut rounds) = (0, 0);
        loop {
            flow.changed = false;
            flow.rewritten = false;
            round(&mut flow, with_statements)?;
            rounds += 1;
            moves = if flow.rewritten { 0 } else { moves + 1 };
            if !flow.changed || moves >= MAX_MOVES || rounds >= MAX_ROUNDS {
                break;
            }
        }
    }
    let Flow { mut blocks, mut root, .. } = flow;
    intern(&mut blocks, root);
    shorten(&mut blocks, &mut root);
    if blocks.get(root).is_some_and(|block| block.code == RET && block.k == 0) {
        return Err(FilterError::new("expression rejects all packets"));
    }
    linear(&blocks, root)
}

/// The blocks that can be reached, numbered as a walk that takes the true way first meets them.
fn reachable(blocks: &[Block], root: usize) -> (Vec<Block>, usize) {
    let mut number = vec![NONE; blocks.len()];
    let mut order = Vec::new();
    let mut stack = vec![root];
    while let Some(id) = stack.pop() {
        let (Some(block), Some(slot)) = (blocks.get(id), number.get_mut(id)) else { continue };
        if *slot != NONE {
            continue;
        }
        *slot = order.len();
        order.push(id);
        let [no, yes] = block.next;
        stack.push(no);
        stack.push(yes);
    }
    let renamed = |id: usize| number.get(id).copied().unwrap_or(NONE);
    let kept = order.iter().filter_map(|&id| blocks.get(id)).map(|block| {
        let mut block = block.clone();
        block.next = block.next.map(renamed);
        block
    });
    (kept.collect(), 0)
}

/// One round over the whole graph.
fn round(flow: &mut Flow, with_statements: bool) -> Result<(), FilterError> {
    flow.levels();
    flow.dominators();
    flow.uses();
    flow.edge_dominators();
    flow.entering_edges();
    flow.forget_values();
    let levels = std::mem::take(&mut flow.by_level);
    for &id in levels.iter().rev().flatten() {
        flow.block(id, with_statements)?;
    }
    if with_statements {
        return Ok(());
    }
    for &id in levels.iter().skip(1).flatten() {
        for way in [1, 0] {
            move_edge(flow, id, way);
        }
    }
    flow.entering_edges_of(&levels);
    for &id in levels.iter().skip(1).flatten() {
        pull_up(flow, id, 1);
        pull_up(flow, id, 0);
    }
    Ok(())
}

/// Leads an edge past comparisons whose result is known on it.
fn move_edge(flow: &mut Flow, id: usize, way: usize) {
    let mut target = flow.next(id, way);
    if flow.next(target, 1) == NONE {
        return;
    }
    let (yes, no) = (flow.next(target, 1), flow.next(target, 0));
    if yes == no && !flow.conflict(id, yes) {
        flow.changed = true;
        flow.set_next(id, way, yes);
        target = yes;
    }
    let count = flow.blocks.len();
    let known: Vec<usize> = flow.edge_sets.get(flow.edge(id, way)).map(Set::members).unwrap_or_default();
    'again: loop {
        for &edge in &known {
            let (from, taken) = if edge < count { (edge, 1) } else { (edge - count, 0) };
            let Some(past) = folded(flow, target, from, taken) else { continue };
            if flow.conflict(id, past) {
                continue;
            }
            flow.set_next(id, way, past);
            target = past;
            flow.changed = true;
            if flow.next(past, 1) == NONE {
                return;
            }
            continue 'again;
        }
        return;
    }
}

/// Where `child` leads when it is known that `from` went the way `taken`; nothing if that says nothing about it.
fn folded(flow: &Flow, child: usize, from: usize, taken: usize) -> Option<usize> {
    let (block, before) = (flow.blocks.get(child)?, flow.blocks.get(from)?);
    if block.code != before.code || flow.a(child) != flow.a(from) {
        return None;
    }
    let [no, yes] = block.next;
    if flow.operand(child) == flow.operand(from) {
        // Same load, same operand, same result.
        return Some(if taken == 1 { yes } else { no });
    }
    (taken == 1 && block.code == JMP | JEQ).then_some(no)
}

/// In a chain of comparisons that all lead to the same place with `way`, moves one that compares what the blocks before
/// the chain have loaded to the chain's beginning.
fn pull_up(flow: &mut Flow, id: usize, way: usize) {
    let other = 1 - way;
    let entering = flow.entering.get(id).cloned().unwrap_or_default();
    let Some(&(first, _)) = entering.first() else { return };
    let loaded = flow.a(first);
    if entering.iter().any(|&(from, _)| flow.a(from) != loaded) {
        return;
    }
    let goal = flow.next(id, way);
    let belongs = |flow: &Flow, at: usize| {
        at != NONE && flow.next(at, way) == goal && flow.dominating.get(at).is_some_and(|set| set.has(id))
    };
    // The slot that holds the first block of the chain which compares something else.
    let mut slot = (first, if flow.next(first, 1) == id { 1 } else { 0 });
    let mut at_top = true;
    loop {
        let at = flow.next(slot.0, slot.1);
        if !belongs(flow, at) {
            return;
        }
        if flow.a(at) != loaded {
            break;
        }
        slot = (at, other);
        at_top = false;
    }
    let different = flow.next(slot.0, slot.1);
    let mut same = (different, other);
    loop {
        let at = flow.next(same.0, same.1);
        if !belongs(flow, at) {
            return;
        }
        if flow.a(at) == loaded {
            break;
        }
        same = (at, other);
    }
    let pulled = flow.next(same.0, same.1);
    flow.set_next(same.0, same.1, flow.next(pulled, other));
    flow.set_next(pulled, other, different);
    if at_top {
        for (from, _) in entering {
            let way = usize::from(flow.next(from, 1) == id);
            flow.set_next(from, way, pulled);
        }
    } else {
        flow.set_next(slot.0, slot.1, pulled);
    }
    flow.changed = true;
    flow.dominators();
}

/// Makes equal blocks one.
fn intern(blocks: &mut [Block], root: usize) {
    loop {
        let mut used = vec![false; blocks.len()];
        for id in leaving_order(blocks, root, 1) {
            if let Some(slot) = used.get_mut(id) {
                *slot = true;
            }
        }
        let is_used = |id: usize| used.get(id).copied().unwrap_or_default();
        let mut stands_for = vec![NONE; blocks.len()];
        for (id, block) in blocks.iter().enumerate().rev().filter(|(id, _)| is_used(*id)) {
            let twin =
                blocks.iter().enumerate().skip(id + 1).find(|(other, twin)| is_used(*other) && equal(block, twin));
            if let (Some((twin, _)), Some(slot)) = (twin, stands_for.get_mut(id)) {
                *slot = twin;
            }
        }
        let mut done = true;
        for block in blocks.iter_mut() {
            for next in &mut block.next {
                if let Some(&twin) = stands_for.get(*next)
                    && twin != NONE
                {
                    *next = twin;
                    done = false;
                }
            }
        }
        if done {
            return;
        }
    }
}

fn equal(a: &Block, b: &Block) -> bool {
    let live = |block: &Block| block.stmts.iter().filter(|stmt| stmt.code != NOP).copied().collect::<Vec<_>>();
    a.code == b.code && a.k == b.k && a.next == b.next && live(a) == live(b)
}

/// Skips blocks at the start that lead to one place only.
fn shorten(blocks: &mut [Block], root: &mut usize) {
    let mut before = Vec::new();
    while let Some(block) = blocks.get_mut(*root) {
        before.append(&mut block.stmts);
        let [no, yes] = block.next;
        if block.code & 7 != JMP || no != yes {
            break;
        }
        *root = yes;
    }
    if let Some(block) = blocks.get_mut(*root)
        && block.code & 7 != RET
    {
        block.stmts = before;
    }
}
