//! find (POSIX.1-2017; findutils 4.9): the tree.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use netkit_core::{Ctx, Error, Exit};

use crate::base::{Bytes, Outcome, Tool, after, base_name, join, lossy, options, path, words};
use crate::find_test::{Expression, Node, Way, parse};

/// A file on the way.
pub(crate) struct Entry<'a> {
    pub(crate) path: &'a [u8],
    /// Length of the operand it was found below.
    pub(crate) root: usize,
    pub(crate) depth: usize,
    pub(crate) data: &'a Metadata,
}

impl Entry<'_> {
    /// The name without its directory.
    pub(crate) fn name(&self) -> &[u8] {
        base_name(self.path)
    }

    /// The path below the operand.
    pub(crate) fn below(&self) -> &[u8] {
        let rest = after(self.path, self.root);
        rest.strip_prefix(b"/").unwrap_or(rest)
    }
}

/// What a walk is doing.
pub(crate) struct State {
    pub(crate) prune: bool,
    pub(crate) quit: bool,
    /// Arguments gathered for each `-exec ... +`, in the order of the expression.
    pub(crate) batches: Vec<Vec<Bytes>>,
    pub(crate) names: crate::meta::Names,
}

pub(crate) fn find(ctx: &mut Ctx) -> Outcome {
    let list = words(ctx);
    let starts =
        |word: &Bytes| word.len() > 1 && word.starts_with(b"-") || matches!(word.as_slice(), b"(" | b")" | b"!" | b",");
    let mut follow = b'P';
    let mut from = 0;
    for word in &list {
        match word.as_slice() {
            b"-L" | b"-H" | b"-P" => follow = word.get(1).copied().unwrap_or(b'P'),
            b"--help" => {
                options(Vec::new(), "").map_err(Error::usage)?;
                break;
            }
            _ => break,
        }
        from += 1;
    }
    let rest = list.get(from..).unwrap_or_default();
    let split = rest.iter().position(starts).unwrap_or(rest.len());
    let (operands, expression) = rest.split_at(split);
    ctx.args = if list.first().is_some_and(|word| word == b"--help") { vec!["--help".into()] } else { Vec::new() };
    let mut tool = Tool::new(ctx, "", 1)?;
    let now = tool.ctx.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = (i64::try_from(now.as_secs()).unwrap_or(0), i64::from(now.subsec_nanos()));
    let expression = parse(expression, now, follow == b'L').map_err(|text| Error::new(Exit(1), text))?;
    let mut operands = operands.to_vec();
    if operands.is_empty() {
        operands.push(b".".to_vec());
    }
    let mut state = State {
        prune: false,
        quit: false,
        batches: vec![Vec::new(); expression.batches],
        names: crate::meta::Names::default(),
    };
    for operand in &operands {
        let mut walk = Walk { expression: &expression, follow, root: operand.len(), device: None, above: Vec::new() };
        walk.visit(&mut tool, &mut state, operand, 0)?;
        if state.quit {
            break;
        }
    }
    crate::find_test::finish(&mut tool, &mut state, &expression.node)?;
    tool.done()
}

struct Walk<'a> {
    expression: &'a Expression,
    follow: u8,
    root: usize,
    device: Option<u64>,
    /// The directories above, for loops of symbolic links.
    above: Vec<(u64, u64)>,
}

impl Walk<'_> {
    fn visit(&mut self, tool: &mut Tool<'_>, state: &mut State, name: &[u8], depth: usize) -> Result<(), Error> {
        let follow = self.follow == b'L' || self.follow == b'H' && depth == 0;
        let link = std::fs::symlink_metadata(path(name));
        let data = if follow { std::fs::metadata(path(name)).or(link) } else { link };
        let data = match data {
            Ok(data) => data,
            Err(error) => {
                tool.complain(&format!("‘{}’: {}", lossy(name), crate::base::reason(&error)));
                return Ok(());
            }
        };
        let limits = &self.expression.limits;
        let device = *self.device.get_or_insert(data.dev());
        let entry = Entry { path: name, root: self.root, depth, data: &data };
        let inside = depth >= limits.least;
        state.prune = false;
        if inside && !limits.depth_first {
            self.test(tool, state, &entry)?;
        }
        let id = (data.dev(), data.ino());
        let descend = data.is_dir()
            && (!state.prune || limits.depth_first)
            && !state.quit
            && depth < limits.most
            && !(limits.one_device && data.dev() != device);
        if descend {
            if self.above.contains(&id) {
                tool.complain(&format!(
                    "File system loop detected; ‘{}’ is part of the same file system loop",
                    lossy(name)
                ));
            } else {
                self.above.push(id);
                self.children(tool, state, name, depth)?;
                self.above.pop();
            }
        }
        if inside && limits.depth_first && !state.quit {
            self.test(tool, state, &entry)?;
        }
        Ok(())
    }

    fn children(&mut self, tool: &mut Tool<'_>, state: &mut State, name: &[u8], depth: usize) -> Result<(), Error> {
        let entries = match std::fs::read_dir(path(name)) {
            Ok(entries) => entries,
            Err(error) => {
                tool.complain(&format!("‘{}’: {}", lossy(name), crate::base::reason(&error)));
                return Ok(());
            }
        };
        // Read to the end first: a deep tree must not hold a descriptor a level.
        let names: Vec<Bytes> = entries.flatten().map(|entry| entry.file_name().as_bytes().to_vec()).collect();
        for child in names {
            self.visit(tool, state, &join(name, &child), depth + 1)?;
            if state.quit {
                break;
            }
        }
        Ok(())
    }

    fn test(&self, tool: &mut Tool<'_>, state: &mut State, entry: &Entry<'_>) -> Result<(), Error> {
        let wanted = crate::find_test::holds(tool, state, entry, &self.expression.node)?;
        if wanted && self.expression.print {
            crate::find_test::holds(tool, state, entry, &Node::Print(Way::Line))?;
        }
        Ok(())
    }
}
