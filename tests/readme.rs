//! Every recipe of README.md is run, in an empty network namespace: none may be refused, crash or hang.

use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{self, Stop, trial};

const README: &str = include_str!("../README.md");
const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![trial("readme::recipes_are_not_refused", recipes)]
}

fn recipes() -> Result<(), Stop> {
    lab::namespaces()?;
    let lines = recipe_lines();
    if lines.len() < 10 {
        return Err(Stop::Fail(format!("only {} recipes found", lines.len())));
    }
    let mut wrong = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((&"netkit", arguments)) = words.split_first() else {
            wrong.push(format!("{line}: does not start with netkit"));
            continue;
        };
        // Nothing but a dead loopback in there: what is asked cannot be answered, only accepted or refused.
        // The recipes name the target's first process; the one that is surely here and ours is this test.
        let own = std::process::id().to_string();
        let from_pid = arguments.iter().position(|word| *word == "--from-pid").map(|at| at + 1);
        let arguments =
            arguments.iter().enumerate().map(|(at, word)| if Some(at) == from_pid { own.as_str() } else { word });
        let mut command = Command::new("unshare");
        command.arg("--net").arg(lab::netkit()).args(arguments);
        let out = lab::run(&mut command, LIMIT)?;
        let err = String::from_utf8_lossy(&out.stderr);
        match out.status.code() {
            None | Some(2 | 101 | 127) => wrong.push(format!("{line}: {}: {err}", out.status)),
            Some(_) if err.contains("Invalid option") || err.contains("panicked") => {
                wrong.push(format!("{line}: {err}"))
            }
            Some(_) => {}
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Stop::Fail(wrong.join("\n"))) }
}

/// Lines of the fenced blocks marked `sh recipe`.
fn recipe_lines() -> Vec<&'static str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in README.lines() {
        if line.starts_with("```") {
            inside = line == "```sh recipe";
        } else if inside && !line.trim().is_empty() {
            lines.push(line);
        }
    }
    lines
}
