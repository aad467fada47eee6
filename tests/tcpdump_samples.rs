//! tcpdump-lite on sample captures with the text that tcpdump 4.99.6 prints, where they lie beside the checkout: none is
//! stored here. `NETKIT_TCPDUMP_TESTS=DIR` takes another folder with a `TESTLIST`; `NETKIT_TCPDUMP_SHOW=1` shows differences.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{self, Skip, Stop, trial};

const LIMIT: Duration = Duration::from_secs(120);
/// Percent of the captures that must be equal to the byte.
const WANTED: usize = 97;

/// The trials of this module.
pub fn trials() -> Vec<Trial> {
    vec![trial("tcpdump::samples", samples)]
}

fn folder() -> PathBuf {
    match std::env::var_os("NETKIT_TCPDUMP_TESTS") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/tcpdump"),
    }
}

fn samples() -> Result<(), Stop> {
    let folder = folder();
    let Ok(list) = fs::read_to_string(folder.join("TESTLIST")) else {
        let reason = "tcpdump's sample captures are not beside the checkout (../shared/data/tcpdump)";
        return Err(Skip(reason.to_owned()).into());
    };
    let (mut cases, mut equal) = (0, 0);
    let mut report = String::new();
    for line in list.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, capture, expected, options @ ..] = words.as_slice() else {
            return Err(format!("TESTLIST: {line}").into());
        };
        // One of them brings its own time format.
        let special = options.contains(&"SPECIAL_t");
        let mut command = Command::new(lab::netkit());
        command.args(["tcpdump", "-#", "-n", "-r"]).arg(folder.join(capture)).env("TZ", "GMT0");
        command.args(options.iter().filter(|option| **option != "SPECIAL_t"));
        if !special {
            command.arg("-tttt");
        }
        let output = lab::run(&mut command, LIMIT)?;
        let wanted = fs::read(folder.join(expected))?;
        cases += 1;
        if output.stdout == wanted {
            equal += 1;
        } else {
            let (got, wanted) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&wanted));
            let first = got.lines().zip(wanted.lines()).find(|(got, wanted)| got != wanted).unwrap_or_default();
            let _ = writeln!(report, "{name}\n  wanted {}\n  got    {}", first.1, first.0);
        }
    }
    if std::env::var_os("NETKIT_TCPDUMP_SHOW").is_some() {
        let _ = writeln!(std::io::stderr(), "{report}{equal} of {cases} captures equal");
    }
    if equal * 100 < cases * WANTED || cases == 0 {
        return Err(format!("{equal} of {cases} captures equal\n{report}").into());
    }
    Ok(())
}
