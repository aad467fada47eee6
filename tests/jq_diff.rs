//! The differential run: the command lines of `jq_diff/cases.txt` with Debian's `jq` (1.6) and with ours; standard output,
//! standard error and exit status are compared byte for byte, nothing is masked.
//!
//! The cases keep to what jq has not changed since 1.6. `jq_diff/known_differences.txt` lists the ones that show what it has
//! changed, with the reason; a listed case that is equal fails as well, so the list cannot rot.
//!
//! All of it:            `cargo test --test e2e -- jq_diff`
//! Another binary:       `NETKIT_BIN=dist/x86_64/netkit cargo test --test e2e -- jq_diff`
//! Some cases in full:   `NETKIT_DIFF=--stream cargo test --test e2e -- jq_diff::cases` (empty: all that differ unlisted)
//! The harness itself:   `NETKIT_BIN=/usr/bin/jq cargo test --test e2e -- jq_diff::cases` (only the list may complain)

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::dig_diff::{known, words};
use crate::lab::{self, Stop, TempDir, same, trial};

const CASES: &str = include_str!("jq_diff/cases.txt");
const KNOWN: &str = include_str!("jq_diff/known_differences.txt");
/// How many command lines the run must have at least.
const LEAST: usize = 300;
/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(120);
/// Differences shown in full when nothing was asked for.
const SHOWN: usize = 10;

/// What every case finds in its directory.
const FILES: &[(&str, &str)] = &[
    ("a.json", "{\"a\":1,\"b\":[2,\"x\"]}\n"),
    ("b.json", "{\"a\":2}\n{\"a\":3}\n"),
    ("bad.json", "{\"a\":1}\n{\"a\":\n]\n"),
    ("empty.json", ""),
    ("numbers.json", "1\n2\n3"),
    ("more.json", "4\n5\n"),
    ("lines.txt", "one\ntwo\n\nlast"),
    ("filter.jq", "# picks\n.a\n"),
    ("twice.jq", "def twice: . * 2;\n\n# closing comment\n.a | twice"),
    ("lib/m.jq", "def inc: . + 1; def name: \"m\";"),
    ("lib/data.json", "{\"x\":1}\n[2]\n"),
    (
        "pods.json",
        "{\"kind\":\"List\",\"items\":[{\"metadata\":{\"name\":\"web-0\",\"labels\":{\"app\":\"web\"}},\"status\":{\"phase\":\
         \"Running\",\"restarts\":3}},{\"metadata\":{\"name\":\"db-0\",\"labels\":{\"app\":\"db\",\"tier\":\"back\"}},\
         \"status\":{\"phase\":\"Pending\",\"restarts\":0}},{\"metadata\":{\"name\":\"web-1\",\"labels\":{\"app\":\"web\"}},\
         \"status\":{\"phase\":\"Running\",\"restarts\":1}}]}\n",
    ),
];

/// The trials of this module.
pub fn trials() -> Vec<Trial> {
    vec![trial("jq_diff::reading_the_case_list", reading), trial("jq_diff::cases", differential)]
}

#[derive(Clone, Debug, PartialEq)]
struct Case {
    /// The command line with what stands above it; its name in the list of known differences.
    name: String,
    arguments: Vec<String>,
    stdin: Vec<u8>,
    env: Option<(String, String)>,
}

fn differential() -> Result<(), Stop> {
    let peer = lab::tool("jq", "jq")?;
    let cases = cases(CASES)?;
    let known = known(KNOWN)?;
    let filter = std::env::var("NETKIT_DIFF").ok();
    let dir = TempDir::new("jq-diff")?;
    let sides = [("left", peer), ("right", lab::netkit())].map(|(side, program)| -> Result<PathBuf, Stop> {
        let place = dir.0.join(side);
        fs::create_dir_all(&place)?;
        // Both are called jq, which messages may begin with.
        symlink(program, place.join("jq"))?;
        Ok(place.join("jq"))
    });
    let [left, right] = sides;
    let (left, right) = (left?, right?);
    let files = dir.0.join("files");
    for (name, content) in FILES {
        let path = files.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&files))?;
        fs::write(&path, content)?;
    }
    let mut complaints = Vec::new();
    let mut shown = 0;
    let mut equal = 0;
    let chosen = |case: &Case| filter.as_deref().is_none_or(|part| case.name.contains(part));
    for case in cases.iter().filter(|case| chosen(case)) {
        let (ours, theirs) = (print(&right, &files, case)?, print(&left, &files, case)?);
        let listed = known.contains_key(case.name.as_str());
        if ours == theirs {
            equal += 1;
            if listed {
                complaints.push(format!("listed as different, but is equal: {}", case.name));
            }
            continue;
        }
        if !listed {
            complaints.push(format!("differs: {}", case.name));
        }
        if (!listed && shown < SHOWN) || filter.as_deref().is_some_and(|part| !part.is_empty()) {
            shown += 1;
            say(&format!("=== {}\n--- Debian's jq\n{theirs}\n--- ours\n{ours}", case.name));
        }
    }
    for line in known.keys().filter(|line| !cases.iter().any(|case| case.name == **line)) {
        complaints.push(format!("listed as different, but not in the list of cases: {line}"));
    }
    if cases.len() < LEAST {
        complaints.push(format!("only {} command lines, at least {LEAST} were promised", cases.len()));
    }
    say(&format!("jq differential: {equal} of {} equal, {} known differences", cases.len(), known.len()));
    if complaints.is_empty() { Ok(()) } else { Err(Stop::Fail(complaints.join("\n"))) }
}

fn print(program: &Path, files: &Path, case: &Case) -> Result<String, Stop> {
    // Found on PATH, so that both see the same argv[0], which some messages of 1.6 begin with.
    let mut command = Command::new("jq");
    command.args(&case.arguments).current_dir(files).env_clear();
    command.env("PATH", program.parent().unwrap_or(program)).env("HOME", "/nonexistent").env("TZ", "UTC");
    if let Some((name, value)) = &case.env {
        command.env(name, value);
    }
    let input = files.join("../stdin");
    fs::write(&input, &case.stdin)?;
    let out = lab::run_with(&mut command, Stdio::from(fs::File::open(&input)?), LIMIT)?;
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).replace('\x1b', "\\e").replace('\x1e', "\\x1e").replace('\0', "\\0")
    };
    Ok(format!("{}\nstdout: {}\nstderr: {}", out.status, text(&out.stdout), text(&out.stderr)))
}

/// Reads the case list. `%in TEXT` is standard input for the lines below, `%env NAME=VALUE` holds for them too, each until
/// the next of its kind; `{x|y|}` in a line makes one command of each alternative.
fn cases(text: &str) -> Result<Vec<Case>, Stop> {
    let mut cases = Vec::new();
    let mut names = BTreeSet::new();
    let (mut stdin, mut env) = (String::new(), None);
    for line in text.lines() {
        if let Some(text) = line.strip_prefix("%in") {
            stdin = text.trim_start().to_owned();
        } else if let Some(text) = line.strip_prefix("%env") {
            env = text.trim_start().split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        } else if !line.is_empty() && !line.starts_with('#') {
            for line in alternatives(line) {
                let mut words = words(&line)?;
                if words.is_empty() || words.remove(0) != "jq" {
                    return Err(Stop::Fail(format!("not a jq command line: {line}")));
                }
                let mut name = line;
                if let Some((variable, value)) = &env {
                    name = format!("{variable}={value} {name}");
                }
                if !stdin.is_empty() {
                    name = format!("{name} <<< {stdin}");
                }
                if !names.insert(name.clone()) {
                    return Err(Stop::Fail(format!("twice in the list: {name}")));
                }
                cases.push(Case { name, arguments: words, stdin: bytes(&stdin)?, env: env.clone() });
            }
        }
    }
    Ok(cases)
}

/// The line with each of the alternatives in its first `{a|b}`, and so on for the next. Braces without a bar stay.
fn alternatives(line: &str) -> Vec<String> {
    let Some(rest) = line.strip_prefix("jq {") else { return vec![line.to_owned()] };
    let Some((choices, tail)) = rest.split_once('}') else { return vec![line.to_owned()] };
    choices
        .split('|')
        .map(|choice| format!("jq {choice}{}", if choice.is_empty() { tail.trim_start() } else { tail }))
        .collect()
}

/// Resolves `\n`, `\t`, `\\` and `\xNN`.
fn bytes(text: &str) -> Result<Vec<u8>, Stop> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let (escape, tail) = rest.split_first().ok_or("a backslash at the end")?;
        rest = tail;
        match escape {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'x' => {
                let (digits, tail) = rest.split_at_checked(2).ok_or("\\x without digits")?;
                let digits = std::str::from_utf8(digits).map_err(|error| error.to_string())?;
                out.push(u8::from_str_radix(digits, 16).map_err(|error| format!("\\x{digits}: {error}"))?);
                rest = tail;
            }
            // Everything else is JSON's own.
            other => out.extend([b'\\', *other]),
        }
    }
    Ok(out)
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn reading() -> Result<(), Stop> {
    let read = cases("%in 1\\n\njq {-c|-r|} '.a b'\n%env A=b\n%in\njq -n 1\n")?;
    let names: Vec<&str> = read.iter().map(|case| case.name.as_str()).collect();
    same("names", &names.join("; "), "jq -c '.a b' <<< 1\\n; jq -r '.a b' <<< 1\\n; jq '.a b' <<< 1\\n; A=b jq -n 1")?;
    let first = read.first().ok_or("no case")?;
    same("words", &first.arguments.join("|"), "-c|.a b")?;
    same("stdin", &String::from_utf8_lossy(&first.stdin), "1\n")?;
    same("escapes", &format!("{:?}", bytes(r"\x1e\t\u00e9")?), r#"[30, 9, 92, 117, 48, 48, 101, 57]"#)?;
    for wrong in ["dig x", "jq 1\njq 1", "jq 'open"] {
        if cases(wrong).is_ok() {
            return Err(Stop::Fail(format!("accepted: {wrong:?}")));
        }
    }
    cases(CASES).map(|_| ())
}
