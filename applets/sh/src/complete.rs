//! What Tab offers: commands, the flags of an applet, host names, files.

use std::collections::BTreeSet;
use std::path::Path;

use netkit_core::{Flags, Group, find};

use crate::builtins;
use crate::shell::Shell;

/// The most names offered.
const MOST: usize = 2000;

pub(crate) struct Candidates {
    /// Where in the line the word begins that they replace.
    pub(crate) start: usize,
    pub(crate) list: Vec<String>,
}

/// What could stand at the end of `line`.
pub(crate) fn candidates(shell: &Shell, line: &str) -> Candidates {
    let start = line.rfind([' ', '\t', ';', '|', '&', '(', '`', '>', '<', '=']).map_or(0, |at| at + 1);
    let word = line.get(start..).unwrap_or_default();
    let head = line.get(..start).unwrap_or_default();
    let command_start = head.rfind([';', '|', '&', '(', '`']).map_or(0, |at| at + 1);
    let mut words = head.get(command_start..).unwrap_or_default().split_whitespace().filter(|word| !word.contains('='));
    let mut list: BTreeSet<String> = BTreeSet::new();
    let mut offer = |text: &str| {
        if text.starts_with(word) && list.len() < MOST {
            list.insert(text.to_owned());
        }
    };
    match words.next() {
        None if !word.contains('/') => {
            builtins::names().for_each(&mut offer);
            for applet in shell.table.iter().flat_map(|entries| entries.iter()) {
                offer(applet.name);
                applet.aliases.iter().for_each(|alias| offer(alias));
            }
            shell
                .functions
                .keys()
                .chain(shell.aliases.borrow().keys())
                .for_each(|name| offer(&String::from_utf8_lossy(name)));
            let path = shell.variable(b"PATH").unwrap_or_default();
            for dir in String::from_utf8_lossy(&path).split(':').filter(|dir| !dir.is_empty()) {
                for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                    offer(&entry.file_name().to_string_lossy());
                }
            }
        }
        Some(name) if word.starts_with(['-', '+']) => {
            let name = if name == "netkit" { words.next().unwrap_or(name) } else { name };
            for flag in find(shell.table, name).map_or(Flags::NONE, |applet| applet.flags).iter() {
                flag.spelling.split([',', ' ']).filter(|text| !text.is_empty()).for_each(&mut offer);
            }
        }
        command => {
            let network =
                command.and_then(|name| find(shell.table, name)).is_some_and(|applet| applet.group != Group::Shell);
            if network && !word.contains('/') {
                hosts().iter().for_each(|host| offer(host));
            }
            files(word, &mut list);
        }
    }
    Candidates { start, list: list.into_iter().collect() }
}

/// Names of the hosts file, and the search list's domains.
fn hosts() -> Vec<String> {
    let read =
        |path: &str| std::fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    let mut names = Vec::new();
    for line in read("/etc/hosts").lines() {
        let line = line.split('#').next().unwrap_or_default();
        names.extend(line.split_whitespace().skip(1).map(str::to_owned));
    }
    for line in read("/etc/resolv.conf").lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("search" | "domain") => names.extend(words.map(str::to_owned)),
            Some("nameserver") => names.extend(words.next().map(str::to_owned)),
            _ => {}
        }
    }
    names.truncate(MOST);
    names
}

fn files(word: &str, list: &mut BTreeSet<String>) {
    let (dir, name) = word.rsplit_once('/').map_or(("", word), |(dir, name)| (dir, name));
    let prefix = if word.contains('/') { format!("{dir}/") } else { String::new() };
    let place = if prefix.is_empty() { "." } else { prefix.as_str() };
    for entry in std::fs::read_dir(Path::new(place)).into_iter().flatten().flatten() {
        let own = entry.file_name().to_string_lossy().into_owned();
        if !own.starts_with(name) || own.starts_with('.') && !name.starts_with('.') || list.len() >= MOST {
            continue;
        }
        let is_dir = std::fs::metadata(entry.path()).is_ok_and(|data| data.is_dir());
        list.insert(format!("{prefix}{own}{}", if is_dir { "/" } else { "" }));
    }
}
