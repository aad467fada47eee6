//! Replies that cannot be read to their end. Debian's `dig` hides the records in them, or all of the message; ours shows
//! what can be read and says what cannot, so here our masked output is compared with reviewed files.
//!
//! Each file of `golden/dig/malformed/` holds the command line, then one or more lines `peer lacks: TEXT` (our output has
//! it, Debian's has not) or `peer says: TEXT` (the other way round; `\n` is a line's end), an empty line, our output.
//!
//! To write the outputs anew (and then to read them): `NETKIT_GOLDEN=write cargo test --test e2e -- dig_diff::malformed`

use std::path::{Path, PathBuf};

use super::{cases, print, say};
use crate::lab::hierarchy::Lab;
use crate::lab::{self, Stop};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/dig/malformed");
/// How many files there must be at least: a lost directory must not pass.
const LEAST: usize = 50;

/// The trial.
pub fn trial() -> Result<(), Stop> {
    let peer = lab::tool("dig", "bind9-dnsutils")?;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(FILES)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.sort_unstable();
    if files.len() < LEAST {
        return Err(Stop::Fail(format!("only {} files in {FILES}, at least {LEAST} were promised", files.len())));
    }
    let lab = Lab::hierarchy()?;
    let sides = [lab.link("left", "dig", &peer)?, lab.link("right", "dig", &lab::netkit())?];
    let write = std::env::var("NETKIT_GOLDEN").is_ok_and(|value| value == "write");
    let mut complaints = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file)?;
        if let Err(why) = check(&lab, &sides, &text, write.then_some(file)) {
            let name = file.file_name().unwrap_or_default().display();
            complaints.push(format!(
                "{name}: {}",
                match why {
                    Stop::Fail(why) => why,
                    other => format!("{other:?}"),
                }
            ));
        }
    }
    say(&format!("malformed replies: {} of {} as reviewed", files.len() - complaints.len(), files.len()));
    if complaints.is_empty() { Ok(()) } else { Err(Stop::Fail(complaints.join("\n"))) }
}

fn check(lab: &Lab, [left, right]: &[PathBuf; 2], text: &str, write: Option<&PathBuf>) -> Result<(), Stop> {
    let (head, reviewed) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let line = head.lines().next().unwrap_or("");
    let read = cases(line)?;
    let [case] = read.as_slice() else { return Err(Stop::Fail(format!("no command line: {line}"))) };
    let theirs = print(lab, left, case)?.text();
    let ours = print(lab, right, case)?.text();
    if let Some(file) = write {
        store(file, head, &ours)?;
    } else if ours != reviewed {
        return Err(Stop::Fail(format!("not as reviewed\n--- reviewed\n{reviewed}\n--- printed\n{ours}")));
    }
    let mut told = 0;
    for line in head.lines().skip(1) {
        let (has, has_not, part) = match line.split_once(": ") {
            Some(("peer lacks", part)) => (&ours, &theirs, part.replace("\\n", "\n")),
            Some(("peer says", part)) => (&theirs, &ours, part.replace("\\n", "\n")),
            _ => return Err(Stop::Fail(format!("neither `peer lacks: ` nor `peer says: `: {line}"))),
        };
        told += 1;
        if !has.contains(&part) || has_not.contains(&part) {
            return Err(Stop::Fail(format!("not true: {line}\n--- Debian's\n{theirs}\n--- ours\n{ours}")));
        }
    }
    if told == 0 { Err(Stop::Fail(format!("nothing said about the peer, which printed:\n{theirs}"))) } else { Ok(()) }
}

fn store(file: &Path, head: &str, ours: &str) -> Result<(), Stop> {
    Ok(std::fs::write(file, format!("{head}\n\n{ours}"))?)
}
