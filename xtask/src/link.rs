//! The linker of `cargo xtask dist`: decides which functions and constants only a packed applet needs, and gives them
//! sections of their own, which `pack` then compresses.
//!
//! rustc calls this program in place of `cc` (see [`STANDS_IN`]), with one object whose functions and constants have a
//! section each. What the program can reach without entering a packed applet stays as it is, and what only one packed
//! applet can reach is that applet's. It links twice: the first link tells what is used at all and which functions are
//! folded into one; the second puts each applet's own into sections of its own, and its relocations are held against that:
//! nothing outside may refer to a packed section but the applet table, whose functions are called after
//! `netkit_sys::packed` has put them in place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::Result;
use crate::elf::{Elf, Target};
use crate::process::{at, command, output};

/// Set in the environment when this program is called in place of the linker.
pub(crate) const STANDS_IN: &str = "NETKIT_LINKER";
/// The argument that build.rs adds for us: the applet folders in the order of the table, `+` before the packed ones.
pub(crate) const APPLETS: &str = "--netkit-applets=";
/// How the sections of a packed applet begin; its name and the kind follow.
pub(crate) const PREFIX: &str = ".packed.";
/// The applet table of src/main.rs, as its mangled name ends.
const TABLE: &str = "6netkit5TABLE";
/// How rustc names its objects.
const RUST: &str = ".rcgu.o";
/// What is divided; everything else stays.
const KINDS: [&str; 2] = [".text", ".rodata"];
/// Links, as `cc` would have with these arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (ours, theirs): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|word| word.starts_with(APPLETS));
    let link = |more: &[String]| output(command("cc").args(&theirs).args(more));
    let Some(applets) = ours.first().and_then(|word| word.strip_prefix(APPLETS)) else {
        return link(&[]).map(drop);
    };
    let applets: Vec<Place> = applets.split(',').map(Place::parse).collect();
    let out = theirs.iter().skip_while(|word| **word != "-o").nth(1).ok_or("the linker's arguments have no -o")?;
    let out = PathBuf::from(out);
    let map = out.with_extension("map");
    let keep = ["-Wl,--emit-relocs".to_owned(), format!("-Wl,-Map={}", map.display())];

    let mut first = keep.to_vec();
    first.push("-Wl,--print-icf-sections".to_owned());
    let folded = folded(&link(&first)?);
    let objects: Vec<PathBuf> = theirs.iter().filter(|word| word.ends_with(RUST)).map(PathBuf::from).collect();
    let graph = Graph::read(&objects, &applets, &folded)?;
    let used = pieces(&fs::read_to_string(&map).map_err(at("read", &map))?);
    let script = out.with_extension("packed.ld");
    fs::write(&script, graph.homes(&used).script(&folded)).map_err(at("write", &script))?;

    let mut second = keep.to_vec();
    second.push(format!("-Wl,-T,{}", script.display()));
    link(&second)?;
    let bytes = fs::read(&out).map_err(at("read", &out))?;
    graph.check(&Elf::new(&bytes)?, &pieces(&fs::read_to_string(&map).map_err(at("read", &map))?))
}

/// An applet folder, and whether what is its own is packed.
struct Place {
    name: String,
    packed: bool,
}

impl Place {
    fn parse(word: &str) -> Place {
        let name = word.strip_prefix('+').unwrap_or(word);
        Place { name: name.to_owned(), packed: name != word }
    }
}

/// The sections that identical code folding dropped, by the one that it kept: they have to go where that one goes.
type Folded = BTreeMap<String, Vec<String>>;

fn folded(said: &str) -> Folded {
    let mut out = Folded::new();
    let mut kept = String::new();
    for line in said.lines() {
        let Some(name) = line.split_once(":(").and_then(|(_, name)| name.strip_suffix(')')) else { continue };
        if line.starts_with("selected section ") {
            name.clone_into(&mut kept);
        } else if line.trim_start().starts_with("removing identical section ") {
            out.entry(kept.clone()).or_default().push(name.to_owned());
        }
    }
    out
}

/// An input section where the linker put it.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    start: u64,
    end: u64,
    name: String,
    /// The output section.
    output: String,
}

/// The input sections of a map that lld wrote (columns: address, load address, size, alignment, and an output section,
/// indented by 8 an input section, by 16 a symbol) that are loaded, in the order of their addresses.
fn pieces(map: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let (mut output, mut loaded) = (String::new(), false);
    for line in map.lines() {
        let mut rest = line;
        let mut number = |radix| {
            let word = rest.trim_start();
            let (number, behind) = word.split_once(' ')?;
            rest = behind;
            u64::from_str_radix(number, radix).ok()
        };
        let Some(start) = number(16) else { continue };
        let (Some(_), Some(size), Some(_)) = (number(16), number(16), number(10)) else { continue };
        let text = rest.trim_start();
        match rest.len() - text.len() {
            0 => {
                // What is not loaded has no address.
                loaded = start != 0;
                text.clone_into(&mut output);
            }
            8 if loaded => {
                let Some((_, name)) = text.rsplit_once(":(") else { continue };
                out.push(Piece {
                    start,
                    end: start + size,
                    name: name.trim_end_matches(')').to_owned(),
                    output: output.clone(),
                });
            }
            _ => {}
        }
    }
    out.retain(|piece| piece.end > piece.start);
    out.sort_by_key(|piece| piece.start);
    out
}

/// A section of rustc's objects: one function or constant, and all that were folded into it.
#[derive(Debug, Default)]
struct Node {
    name: String,
    edges: BTreeSet<usize>,
    /// Something outside rustc's objects may refer to it, or it is not of the kinds that are divided.
    stays: bool,
    /// A section of this name was seen.
    seen: bool,
}

/// Who refers to whom.
struct Graph<'a> {
    applets: &'a [Place],
    nodes: Vec<Node>,
    /// By applet folder: its table, and the functions in it.
    entries: Vec<(usize, Vec<usize>)>,
}

impl<'a> Graph<'a> {
    fn read(objects: &[PathBuf], applets: &'a [Place], folded: &Folded) -> Result<Graph<'a>> {
        let mut nodes: Vec<Node> = Vec::new();
        let kept_for: BTreeMap<&String, &String> =
            folded.iter().flat_map(|(kept, dropped)| dropped.iter().map(move |name| (name, kept))).collect();
        let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
        let mut global: BTreeMap<String, usize> = BTreeMap::new();
        // Table, place in it, target: in the order of the places, which is the order of the applets.
        let mut places: BTreeSet<(usize, u64, usize)> = BTreeSet::new();
        let mut outside: Vec<(usize, String)> = Vec::new();
        let mut table = None;
        for object in objects {
            let bytes = fs::read(object).map_err(at("read", object))?;
            let elf = Elf::new(&bytes)?;
            let mut numbers = Vec::new();
            for section in elf.sections()? {
                let name = kept_for.get(&section.name).map_or(&section.name, |kept| kept);
                let number = *by_name.entry(name.clone()).or_insert_with(|| {
                    nodes.push(Node { name: name.clone(), stays: !may_move(name), ..Node::default() });
                    nodes.len() - 1
                });
                // A name that occurs twice cannot be told apart in a linker script.
                if name == &section.name && section.is_loaded() && !seen_once(&mut nodes, number) {
                    nodes.get_mut(number).ok_or("no such section")?.stays = true;
                }
                numbers.push(number);
            }
            let node = |section: usize| numbers.get(section).copied().ok_or("a symbol of no section");
            for definition in elf.definitions()? {
                let number = node(definition.section)?;
                if definition.name.ends_with(TABLE) {
                    table = Some(number);
                }
                if definition.global {
                    nodes.get_mut(number).ok_or("no such section")?.stays = true;
                    global.insert(definition.name, number);
                }
            }
            for reference in elf.references()? {
                let from = node(reference.from)?;
                match reference.to {
                    Target::Section(section) => {
                        let to = node(section)?;
                        nodes.get_mut(from).ok_or("no such section")?.edges.insert(to);
                        places.insert((from, reference.offset, to));
                    }
                    Target::Name(name) => outside.push((from, name)),
                }
            }
        }
        for (from, name) in outside {
            if let (Some(node), Some(to)) = (nodes.get_mut(from), global.get(&name)) {
                node.edges.insert(*to);
            }
        }
        // static TABLE -> the folders' slices -> the applets -> their functions.
        let table = table.ok_or("the applet table has no symbol")?;
        let of = |from: usize| places.range((from, 0, 0)..(from + 1, 0, 0)).map(|(_, _, to)| *to);
        let folders: Vec<usize> = of(table).flat_map(of).collect();
        if folders.len() != applets.len() {
            return Err(format!("the applet table has {} folders, {} were named", folders.len(), applets.len()));
        }
        let is_function = |node: &usize| nodes.get(*node).is_some_and(|node| node.name.starts_with(".text"));
        let entries = folders.into_iter().map(|folder| (folder, of(folder).filter(is_function).collect())).collect();
        Ok(Graph { applets, nodes, entries })
    }

    /// Everything that can be reached from `from`; the functions of the tables in `closed` not through these.
    fn reach(&self, from: impl IntoIterator<Item = usize>, closed: &BTreeMap<usize, &[usize]>) -> BTreeSet<usize> {
        let mut waiting: Vec<usize> = from.into_iter().collect();
        let mut seen: BTreeSet<usize> = waiting.iter().copied().collect();
        while let Some(node) = waiting.pop() {
            let shut = closed.get(&node).copied().unwrap_or_default();
            for next in self.nodes.get(node).map(|node| &node.edges).into_iter().flatten() {
                if !shut.contains(next) && seen.insert(*next) {
                    waiting.push(*next);
                }
            }
        }
        seen
    }

    /// Divides what the first link used.
    fn homes(&self, used: &[Piece]) -> Homes<'_> {
        let packed = || self.applets.iter().zip(&self.entries).filter(|(applet, _)| applet.packed);
        let closed = packed().map(|(_, (table, functions))| (*table, functions.as_slice())).collect();
        let used: BTreeSet<&str> = used.iter().map(|piece| piece.name.as_str()).collect();
        let staying = self.nodes.iter().enumerate().filter(|(_, node)| node.stays && used.contains(node.name.as_str()));
        let resident = self.reach(staying.map(|(number, _)| number), &closed);
        let reached: Vec<BTreeSet<usize>> = packed()
            .map(|(_, (_, functions))| &self.reach(functions.iter().copied(), &BTreeMap::new()) - &resident)
            .collect();
        let mut owners: BTreeMap<usize, usize> = BTreeMap::new();
        for node in reached.iter().flatten() {
            *owners.entry(*node).or_default() += 1;
        }
        let own = |node: &&usize| owners.get(*node) == Some(&1);
        Homes(
            packed()
                .zip(&reached)
                .map(|((applet, _), reached)| {
                    let nodes = reached.iter().filter(own).filter_map(|node| self.nodes.get(*node));
                    (applet.name.as_str(), nodes.map(|node| node.name.as_str()).collect())
                })
                .collect(),
        )
    }

    /// Whether nothing but an applet's table refers to its packed sections from outside, in a linked file.
    fn check(&self, elf: &Elf<'_>, pieces: &[Piece]) -> Result<()> {
        let home = |section: &str| {
            let (name, _) = section.strip_prefix(PREFIX)?.rsplit_once('.')?;
            self.applets.iter().position(|applet| applet.name == name)
        };
        let sections = elf.sections()?;
        for relocation in elf.relocations()? {
            let Some(section) = sections.get(relocation.section) else { continue };
            let Some(applet) = home(&section.name) else { continue };
            let index = pieces.partition_point(|piece| piece.start <= relocation.place);
            let from = index.checked_sub(1).and_then(|index| pieces.get(index)).ok_or("a reference from nowhere")?;
            let table = self.entries.get(applet).and_then(|(table, _)| self.nodes.get(*table));
            if home(&from.output) != Some(applet) && table.is_none_or(|table| table.name != from.name) {
                return Err(format!("{} of {} refers to {}, which is packed", from.name, from.output, section.name));
            }
        }
        Ok(())
    }
}

/// Whether a section is of the kinds that are divided. Constants that the linker merges have no place of their own.
fn may_move(name: &str) -> bool {
    let merged = [".rodata.cst", ".rodata.str"].iter().any(|start| name.starts_with(start));
    KINDS.iter().any(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.'))) && !merged
}

/// Whether a section of this name comes for the first time.
fn seen_once(nodes: &mut [Node], number: usize) -> bool {
    nodes.get_mut(number).is_some_and(|node| !std::mem::replace(&mut node.seen, true))
}

/// By packed applet: the sections that are its own.
struct Homes<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl Homes<'_> {
    /// The linker script that gives them sections of their own, each on pages of its own; lld adds it to its usual layout
    /// (LLVM's documentation, "Linker Script implementation notes": INSERT).
    fn script(&self, folded: &Folded) -> String {
        let mut out = "SECTIONS {\n".to_owned();
        for (applet, names) in &self.0 {
            for kind in KINDS {
                let _ = writeln!(out, "  {PREFIX}{applet}{kind} : ALIGN(4096) {{");
                for name in names.iter().filter(|name| name.starts_with(kind)) {
                    let _ = write!(out, "    *{RUST}({name}");
                    for twin in folded.get(*name).into_iter().flatten() {
                        let _ = write!(out, " {twin}");
                    }
                    out.push_str(")\n");
                }
                out.push_str("  }\n");
            }
        }
        out.push_str("} INSERT AFTER .bss;\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "\
             VMA              LMA     Size Align Out     In      Symbol
          202000           202000       30    16 .rodata
          202000           202000       10    16         <internal>:(.rodata.cst16)
          202010           202010       20     8         /t/netkit.x-cgu.0.rcgu.o:(.rodata..Lanon.ab.1)
          300000           300000       20     4 .text
          300000           300000       10     4         /t/netkit.x-cgu.0.rcgu.o:(.text.unlikely._RNvC1a)
          300000           300000       10     1                 a
          300010           300010        0     1         /t/crti.o:(.text)
          300010           300010       10     1         /t/libc.a(exit.o):(.text.exit)
               0                0       20     1 .comment
               0                0       20     1         <internal>:(.comment)
";

    #[test]
    fn a_map_is_read() {
        let piece = |start, end, name: &str, output: &str| Piece {
            start,
            end,
            name: name.to_owned(),
            output: output.to_owned(),
        };
        let expected = [
            piece(0x20_2000, 0x20_2010, ".rodata.cst16", ".rodata"),
            piece(0x20_2010, 0x20_2030, ".rodata..Lanon.ab.1", ".rodata"),
            piece(0x30_0000, 0x30_0010, ".text.unlikely._RNvC1a", ".text"),
            piece(0x30_0010, 0x30_0020, ".text.exit", ".text"),
        ];
        assert_eq!(pieces(MAP), expected);
        let may_move: Vec<bool> = expected.iter().map(|piece| may_move(&piece.name)).collect();
        assert_eq!(may_move, [false, true, true, true]);
        assert!(
            ![".text", ".data.x", ".rodata", ".rodata.str1.1", ".textual"].iter().any(|name| super::may_move(name))
        );
    }

    #[test]
    fn what_was_folded_follows() {
        let said = "selected section a.rcgu.o:(.text.a)\n  removing identical section a.rcgu.o:(.text.b)\n  \
                    removing identical section a.rcgu.o:(.text.c)\nselected section a.rcgu.o:(.text.d)\n";
        let folded = folded(said);
        assert_eq!(folded.len(), 1);
        assert_eq!(folded.get(".text.a").unwrap(), &[".text.b", ".text.c"]);
    }

    /// start -> the tables of a (resident), b and c (packed) -> their functions -> what these share.
    fn graph(applets: &[Place]) -> Graph<'_> {
        let names = ["start", "a", "b", "c", "of_a", "of_b", "of_b_2", "of_b_and_c", "of_a_and_b", "of_c"];
        let edges: [&[usize]; 10] = [&[1, 2, 3], &[4], &[5], &[9], &[8], &[6, 7, 8], &[5], &[], &[], &[7]];
        let node = |(name, edges): (&str, &[usize])| Node {
            name: format!(".text.{name}"),
            edges: edges.iter().copied().collect(),
            stays: name == "start",
            seen: true,
        };
        Graph {
            applets,
            nodes: names.into_iter().zip(edges).map(node).collect(),
            entries: vec![(1, vec![4]), (2, vec![5]), (3, vec![9])],
        }
    }

    fn used(graph: &Graph<'_>) -> Vec<Piece> {
        let piece = |node: &Node| Piece { start: 0, end: 1, name: node.name.clone(), output: ".text".to_owned() };
        graph.nodes.iter().map(piece).collect()
    }

    #[test]
    fn only_what_is_reached_through_one_packed_applet_is_its_own() {
        let applets: Vec<Place> = ["a", "+b", "+c"].map(Place::parse).into_iter().collect();
        let mut graph = graph(&applets);
        let homes = graph.homes(&used(&graph));
        assert_eq!(homes.0, [("b", vec![".text.of_b", ".text.of_b_2"]), ("c", vec![".text.of_c"])]);
        let script = homes.script(&[(".text.of_c".to_owned(), vec![".text.twin".to_owned()])].into());
        assert!(script.contains("  .packed.b.text : ALIGN(4096) {\n    *.rcgu.o(.text.of_b)\n"), "{script}");
        assert!(script.contains("    *.rcgu.o(.text.of_c .text.twin)\n"), "{script}");
        // Something that has to stay keeps what it refers to.
        graph.nodes[6].stays = true;
        assert_eq!(graph.homes(&used(&graph)).0, [("b", vec![]), ("c", vec![".text.of_c"])]);
    }
}
