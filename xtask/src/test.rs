//! `cargo xtask test [--quick]`: every check, and at the end what was skipped, why, and one line with the numbers.
//!
//! A check that is no test of cargo's (formatting, lints, licences, the release build) counts as one. Under `CI` a skip
//! is a failure.

use std::io::{BufRead, BufReader, IsTerminal};
use std::process::{Command, Stdio};

use crate::dist::{self, Dist};
use crate::musl::Way;
use crate::process::{find, shown};
use crate::workspace::{cargo, root};
use crate::{Result, reproduce, size, walls};

pub(crate) const USAGE: &str = "[--quick]";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let quick = match arguments {
        [] => false,
        [flag] if flag == "--quick" => true,
        _ => return Err(format!("usage: cargo xtask test {USAGE}")),
    };
    let mut tally = Tally::default();
    tally.command("format", cargo().args(["fmt", "--all", "--check"]));
    tally.command(
        "clippy",
        cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    );
    tally.check("walls", || walls::run(&[]));
    tally.tests("unit tests", cargo().args(["test", "--no-fail-fast", "--workspace", "--lib", "--bins", "--locked"]));
    if !quick {
        full(&mut tally);
    }
    tally.finish()
}

fn full(tally: &mut Tally) {
    if find("cargo-deny").is_some() {
        tally.command("cargo deny", cargo().args(["deny", "check", "licenses", "bans", "sources"]));
    } else {
        tally.skip("cargo deny", "cargo-deny is not installed (cargo install cargo-deny --locked)");
    }
    if root().join("fuzz/Cargo.toml").is_file() {
        // Compiled only: running them needs a nightly compiler.
        tally.command("fuzz targets compile", cargo().args(["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml"]));
    }
    let dist = tally.check("dist", || dist::build(Way::Auto));
    let after = |check: fn(&Dist) -> Result<()>| match &dist {
        Some(dist) => check(dist),
        None => Err("not run, because dist failed".to_owned()),
    };
    tally.check("reproducible", || after(reproduce::check));
    tally.check("size", || after(size::check));
    if let Some(dist) = &dist {
        tally.tests("end to end", cargo().args(["test", "--test", "e2e", "--locked"]).env("NETKIT_BIN", &dist.binary));
    } else {
        tally.failed("end to end", "not run, because dist failed");
    }
}

/// What happened so far.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failures: Vec<String>,
    /// Name and reason.
    skips: Vec<(String, String)>,
}

impl Tally {
    fn check<T>(&mut self, name: &str, body: impl FnOnce() -> Result<T>) -> Option<T> {
        println!("== {name}");
        match body() {
            Ok(value) => {
                self.passed += 1;
                Some(value)
            }
            Err(error) => {
                self.failed(name, &error);
                None
            }
        }
    }

    fn command(&mut self, name: &str, command: &mut Command) {
        self.check(name, || crate::process::run(command));
    }

    fn failed(&mut self, name: &str, error: &str) {
        eprintln!("{name} FAILED: {error}");
        self.failures.push(format!("{name}: {}", error.lines().next().unwrap_or("")));
    }

    fn skip(&mut self, name: &str, reason: &str) {
        println!("== {name}\nskipped: {reason}");
        self.skips.push((name.to_owned(), reason.to_owned()));
    }

    /// Runs a `cargo test` and adds up what its test programs report.
    fn tests(&mut self, name: &str, command: &mut Command) {
        println!("== {name}");
        if let Err(error) = self.run_tests(command) {
            self.failed(name, &error);
        }
    }

    fn run_tests(&mut self, command: &mut Command) -> Result<()> {
        let named = shown(command);
        let mut child =
            command.stdout(Stdio::piped()).spawn().map_err(|error| format!("cannot run {named}: {error}"))?;
        let output = child.stdout.take().ok_or("no pipe")?;
        let before = self.failures.len();
        for line in BufReader::new(output).split(b'\n') {
            let line = line.map_err(|error| format!("cannot read what {named} says: {error}"))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            self.read_line(&line);
        }
        let status = child.wait().map_err(|error| format!("cannot wait for {named}: {error}"))?;
        // Failed tests were counted by name; a failure without one is the compiler's, or a crash.
        if status.success() || self.failures.len() > before {
            Ok(())
        } else {
            Err(format!("{named} failed ({status})"))
        }
    }

    /// One line of a test program: `test NAME ... ok`, `... FAILED` or `... ignored, REASON`.
    fn read_line(&mut self, line: &str) {
        let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) else {
            return;
        };
        let name = name.trim();
        match outcome.trim() {
            "ok" => self.passed += 1,
            "FAILED" => self.failures.push(name.to_owned()),
            outcome => {
                if let Some(reason) = outcome.strip_prefix("ignored") {
                    let reason = reason.trim_start_matches([',', ' ']).trim_start_matches("skipped: ");
                    let reason = if reason.is_empty() { "marked #[ignore]" } else { reason };
                    self.skips.push((name.to_owned(), reason.to_owned()));
                }
            }
        }
    }

    fn finish(self) -> Result<()> {
        self.finish_under(std::env::var_os("CI").is_some())
    }

    fn finish_under(mut self, ci: bool) -> Result<()> {
        if !self.skips.is_empty() {
            println!("\nskipped:");
        }
        for (name, reason) in &self.skips {
            println!("  {name}: {reason}");
            if ci {
                self.failures.push(format!("{name}: skipped, which CI does not allow: {reason}"));
            }
        }
        if !self.failures.is_empty() {
            println!("\nfailed:");
        }
        for failure in &self.failures {
            println!("  {failure}");
        }
        let mark = if std::io::stdout().is_terminal() { "\n" } else { "" };
        println!("{mark}{} passed, {} failed, {} skipped", self.passed, self.failures.len(), self.skips.len());
        if self.failures.is_empty() { Ok(()) } else { Err(format!("{} failed", self.failures.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_harnesses_are_counted() {
        let mut tally = Tally::default();
        for line in [
            "running 4 tests",
            "test a::b ... ok",
            "test front::x                 ... ok",
            "test c ... FAILED",
            "test d ... ignored",
            "test e ... ignored, skipped: `kdig` is not installed (Debian package knot-dnsutils)",
            "test result: FAILED. 2 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "  test looks ... ok",
        ] {
            tally.read_line(line);
        }
        assert_eq!((tally.passed, tally.failures.as_slice()), (2, ["c".to_owned()].as_slice()));
        assert_eq!(tally.skips[0], ("d".to_owned(), "marked #[ignore]".to_owned()));
        assert_eq!(tally.skips[1].1, "`kdig` is not installed (Debian package knot-dnsutils)");
    }

    #[test]
    fn a_skip_fails_under_ci_only() {
        let skipped = || Tally { passed: 1, failures: vec![], skips: vec![("a".into(), "b".into())] };
        assert_eq!(skipped().finish_under(false), Ok(()));
        assert!(skipped().finish_under(true).is_err());
    }

    #[test]
    fn a_command_that_fails_without_naming_a_test_is_a_failure() {
        let mut tally = Tally::default();
        tally.tests("compile", &mut Command::new("false"));
        assert_eq!((tally.passed, tally.failures.len()), (0, 1));
        tally.tests("fine", &mut Command::new("true"));
        assert_eq!(tally.failures.len(), 1);
    }
}
