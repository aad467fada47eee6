//! jq-lite by cases: what a filter gives for an input, to the byte.
//!
//! A file `jq_cases/SUBJECT.cases` is a list of cases, separated by blank lines; a line beginning with `#` is a comment.
//!
//! ```text
//! ? FILTER          the filter; a second such line continues it on a line of its own
//! @ ARGUMENT ...    more arguments, split at spaces
//! < INPUT           a line of standard input; without any, the input is null
//! > OUTPUT          a line of standard output, which is printed with -c
//! ! MESSAGE         the error that ends it: `jq: error (at <place>): MESSAGE` and status 5
//! !! TEXT           the program is refused: status 3, and TEXT is a part of what is said
//! = STATUS          another status
//! ```
//!
//! Expected results are those of jq 1.8.2. `NETKIT_JQ_TESTS=FILE` runs a file in jq's own test format instead of
//! the samples beside the checkout and prints how many of its cases are equal in value and how many to the byte;
//! `NETKIT_JQ_SHOW=1` prints those that differ.

mod samples;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{self, Stop, TempDir, trial};

const LIMIT: Duration = Duration::from_secs(120);

/// Subject and cases of every file.
const FILES: &[(&str, &str)] = &[
    ("assignment", include_str!("jq_cases/assignment.cases")),
    ("basic", include_str!("jq_cases/basic.cases")),
    ("builtins", include_str!("jq_cases/builtins.cases")),
    ("control", include_str!("jq_cases/control.cases")),
    ("dates", include_str!("jq_cases/dates.cases")),
    ("errors", include_str!("jq_cases/errors.cases")),
    ("formats", include_str!("jq_cases/formats.cases")),
    ("kubernetes", include_str!("jq_cases/kubernetes.cases")),
    ("numbers", include_str!("jq_cases/numbers.cases")),
    ("paths", include_str!("jq_cases/paths.cases")),
    ("regex", include_str!("jq_cases/regex.cases")),
    ("streams", include_str!("jq_cases/streams.cases")),
    ("strings", include_str!("jq_cases/strings.cases")),
    ("syntax", include_str!("jq_cases/syntax.cases")),
];

/// The trials of this module: one a subject, and the samples.
pub fn trials() -> Vec<Trial> {
    let subjects = FILES.iter().map(|&(name, text)| trial(&format!("jq_cases::{name}"), move || subject(name, text)));
    subjects.chain([trial("jq_cases::samples", samples::run)]).collect()
}

/// One case of a file.
#[derive(Debug, Default)]
struct Case {
    /// Line of the filter in its file, from 1.
    line: usize,
    filter: String,
    arguments: Vec<String>,
    input: String,
    output: String,
    error: Option<String>,
    refused: Option<String>,
    status: Option<i32>,
}

fn read(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    let mut fresh = true;
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() {
            fresh = true;
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        if mark == "?" && fresh {
            cases.push(Case { line: index + 1, filter: rest.to_owned(), ..Case::default() });
            fresh = false;
            continue;
        }
        let case = cases.last_mut().filter(|_| !fresh).ok_or(format!("line {}: no case begins here", index + 1))?;
        match mark {
            "?" => case.filter = format!("{}\n{rest}", case.filter),
            "@" => case.arguments.extend(rest.split(' ').map(str::to_owned)),
            "<" => case.input.push_str(&format!("{rest}\n")),
            ">" => case.output.push_str(&format!("{rest}\n")),
            "!" => case.error = Some(rest.to_owned()),
            "!!" => case.refused = Some(rest.to_owned()),
            "=" => case.status = Some(rest.parse().map_err(|_| format!("line {}: no status", index + 1))?),
            _ => return Err(format!("line {}: unknown mark {mark}", index + 1)),
        }
    }
    Ok(cases)
}

/// Runs jq-lite with this standard input, from a file so that nothing can block.
fn jq(dir: &Path, arguments: &[&str], input: &str) -> Result<Output, Stop> {
    let file = dir.join("input");
    std::fs::write(&file, input)?;
    let mut command = Command::new(lab::netkit());
    command.arg("jq").args(arguments).current_dir(dir).env("NO_COLOR", "1").env("TZ", "UTC0").env_remove("JQ_COLORS");
    // What the runner of jq's own tests sets.
    command.env("PAGER", "less");
    lab::run_with(&mut command, Stdio::from(std::fs::File::open(&file)?), LIMIT)
}

fn subject(name: &str, text: &str) -> Result<(), Stop> {
    let cases = read(text)?;
    let dir = TempDir::new("jq-cases")?;
    let mut differ = Vec::new();
    for case in &cases {
        let mut arguments = vec!["-c"];
        arguments.extend(case.arguments.iter().map(String::as_str));
        arguments.push(&case.filter);
        let input = if case.input.is_empty() { "null\n" } else { &case.input };
        let output = jq(&dir.0, &arguments, input)?;
        if let Some(why) = difference(case, &output) {
            differ.push(format!("{name}.cases:{}: {}\n{why}", case.line, case.filter));
        }
    }
    if differ.is_empty() {
        return Ok(());
    }
    Err(format!("{} of {} cases differ\n{}", differ.len(), cases.len(), differ.join("\n")).into())
}

/// What is not as the case wants it.
fn difference(case: &Case, output: &Output) -> Option<String> {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let status = case.status.unwrap_or(match (&case.refused, &case.error) {
        (Some(_), _) => 3,
        (None, Some(_)) => 5,
        (None, None) => 0,
    });
    let mut why = Vec::new();
    if out != case.output {
        why.push(format!("  wanted {:?}\n  got    {out:?}", case.output));
    }
    if output.status.code() != Some(status) {
        why.push(format!("  wanted status {status}, got {:?}", output.status));
    }
    if let Some(error) = &case.error {
        // The place depends on where the input came from; the message does not.
        let said = err.trim_end_matches('\n').strip_prefix("jq: error (at ").and_then(|rest| rest.split_once("): "));
        if said.map(|(_, message)| message) != Some(error.as_str()) {
            why.push(format!("  wanted error {error:?}\n  got    {err:?}"));
        }
    } else if let Some(text) = &case.refused {
        if !err.contains(text.as_str()) {
            why.push(format!("  wanted to be refused with {text:?}\n  got    {err:?}"));
        }
    } else if case.status.is_none()
        && !err.is_empty()
        && !case.filter.contains("debug")
        && !case.filter.contains("stderr")
    {
        why.push(format!("  wanted nothing on stderr, got {err:?}"));
    }
    (!why.is_empty()).then(|| why.join("\n"))
}
