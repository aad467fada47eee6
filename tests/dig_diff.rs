//! The differential run: every command line of `golden/dig/cases.txt` with Debian's `dig` and with ours, in the same
//! namespaces against the same servers; output and exit status are compared byte for byte after masking.
//!
//! All of it:        `cargo test --test e2e -- dig_diff`
//! Another binary:   `NETKIT_BIN=dist/x86_64/netkit cargo test --test e2e -- dig_diff` (a release build is quicker)
//! Some cases, with a unified diff of each that differs (left: Debian's, right: ours):
//!                   `NETKIT_DIFF=+trace cargo test --test e2e -- dig_diff::cases`
//!                   `NETKIT_DIFF=` (empty) shows all that differ and are not in the reviewed list, `NETKIT_DIFF=dig` all.
//! What Debian's `dig` prints for some cases, also when nothing differs: the same with `NETKIT_SHOW=1` beside it.
//! The lab alone, to try things in by hand until Enter is pressed (it prints how to enter it):
//!                   `NETKIT_LAB_HOLD=1 cargo test -q --test e2e`
//! The harness itself, Debian's `dig` on both sides, which must be 100 %:
//!                   `NETKIT_BIN=/usr/bin/dig cargo test --test e2e -- dig_diff`
//!
//! Replies that Debian's `dig` hides or refuses have reviewed output of ours instead, see [`malformed`].
//!
//! `golden/dig/known_differences.txt` lists what differs on purpose, with the reason. A listed case that no longer
//! differs fails as well, so the list cannot rot.

mod malformed;
pub mod mask;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::hierarchy::Lab;
use crate::lab::{self, Stop, same, trial};
use mask::{Fixed, mask, usage};

const CASES: &str = include_str!("golden/dig/cases.txt");
const KNOWN: &str = include_str!("golden/dig/known_differences.txt");
/// How many cases run at once: most of the time is spent waiting for servers that never answer.
const WORKERS: usize = 6;
/// How long one command may run; the slowest wait for three tries of a few seconds.
const LIMIT: Duration = Duration::from_secs(300);
/// How many cases the run must have at least.
const LEAST: usize = 400;
/// How many differences are shown in full when nothing was asked for.
const SHOWN: usize = 12;

/// The trials of this module.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("dig_diff::masks_hide_only_what_they_name", masks),
        trial("dig_diff::reading_the_case_list", reading),
        trial("dig_diff::cases", differential),
        trial("dig_diff::malformed_replies", malformed::trial),
    ]
}

fn differential() -> Result<(), Stop> {
    let peer = lab::tool("dig", "bind9-dnsutils")?;
    let cases = cases(CASES)?;
    let known = known(KNOWN)?;
    let filter = std::env::var("NETKIT_DIFF").ok();
    let unknown: Vec<&&str> = known.keys().filter(|line| !cases.iter().any(|case| case.line == **line)).collect();
    if !unknown.is_empty() {
        return Err(Stop::Fail(format!("known_differences.txt lists what cases.txt does not have: {unknown:?}")));
    }
    let chosen: Vec<&Case> = match filter.as_deref() {
        None | Some("") => cases.iter().collect(),
        Some(part) => cases.iter().filter(|case| case.line.contains(part)).collect(),
    };
    if chosen.is_empty() {
        return Err(Stop::Fail(format!("no case contains {filter:?}")));
    }
    let lab = Lab::hierarchy()?;
    let sides = [lab.link("left", "dig", &peer)?, lab.link("right", "dig", &lab::netkit())?];
    let differences = run_all(&lab, &sides, &chosen)?;

    let total = chosen.len();
    let equal = total - differences.len();
    let percent = 100.0 * equal as f64 / total.max(1) as f64;
    say(&format!("dig differential: {equal} of {total} byte-equal ({percent:.1} %)"));

    let listed = |case: &Case| known.contains_key(case.line.as_str());
    let unlisted: Vec<&Difference<'_>> = differences.values().filter(|found| !listed(found.case)).collect();
    let shown: Vec<&Difference<'_>> = match filter.as_deref() {
        None => unlisted.iter().copied().take(SHOWN).collect(),
        Some("") => unlisted.clone(),
        Some(_) => differences.values().collect(),
    };
    for found in &shown {
        say(&found.unified(lab.dir())?);
    }
    if filter.is_some() {
        return match unlisted.len() {
            0 => Ok(()),
            count => Err(Stop::Fail(format!("{count} differ"))),
        };
    }
    let stale: Vec<&str> =
        known.keys().copied().filter(|line| !differences.values().any(|found| found.case.line == *line)).collect();
    let mut complaints = String::new();
    for found in &unlisted {
        complaints.push_str(&format!("differs: {}\n", found.case.line));
    }
    for line in stale {
        complaints.push_str(&format!("listed as different, but is equal: {line}\n"));
    }
    if total < LEAST {
        complaints.push_str(&format!("only {total} cases, at least {LEAST} were promised\n"));
    }
    if percent < 98.0 {
        complaints.push_str(&format!("{percent:.1} % equal, the goal is 98 %\n"));
    }
    if complaints.is_empty() { Ok(()) } else { Err(Stop::Fail(format!("{} unlisted\n{complaints}", unlisted.len()))) }
}

/// One line of the list and what stands above it.
#[derive(Debug, Clone, PartialEq)]
struct Case {
    /// The line as written, which is also its name in the list of known differences.
    line: String,
    /// Variant of `/etc/resolv.conf`.
    resolv: String,
    /// HOME, below the lab's directory.
    home: String,
    /// Arguments after `dig`.
    arguments: Vec<String>,
    /// File given as standard input.
    stdin: Option<String>,
}

/// What one side printed.
#[derive(Debug, PartialEq)]
struct Printed {
    status: String,
    stdout: String,
    stderr: String,
}

impl Printed {
    fn text(&self) -> String {
        format!("exit: {}\n--- stdout\n{}--- stderr\n{}", self.status, self.stdout, self.stderr)
    }
}

#[derive(Debug)]
struct Difference<'a> {
    case: &'a Case,
    left: Printed,
    right: Printed,
}

impl Difference<'_> {
    /// What `diff -u` says, with the case as its title.
    fn unified(&self, dir: &Path) -> Result<String, Stop> {
        let files = [dir.join("diff.left"), dir.join("diff.right")];
        for (file, side) in files.iter().zip([&self.left, &self.right]) {
            std::fs::write(file, side.text())?;
        }
        let mut command = Command::new("diff");
        command.args(["-u", "--label", "Debian's dig", "--label", "ours"]).args(&files);
        let out = lab::run(&mut command, LIMIT)?;
        let title = format!("=== {} [resolv.conf {}]", self.case.line, self.case.resolv);
        Ok(format!("{title}\n{}", String::from_utf8_lossy(&out.stdout)))
    }
}

fn run_all<'a>(lab: &Lab, sides: &[PathBuf; 2], cases: &[&'a Case]) -> Result<BTreeMap<usize, Difference<'a>>, Stop> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeMap::new());
    let broken = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match compare(lab, sides, case) {
                        Ok(None) => {}
                        Ok(Some(difference)) => {
                            if let Ok(mut found) = found.lock() {
                                let number = cases.iter().position(|other| std::ptr::eq(*other, *case));
                                found.insert(number.unwrap_or(usize::MAX), difference);
                            }
                        }
                        Err(stop) => {
                            if let Ok(mut broken) = broken.lock() {
                                *broken = Some(stop);
                            }
                        }
                    }
                }
            });
        }
    });
    if let Some(stop) = broken.into_inner().map_err(|_| "a worker died")? {
        return Err(stop);
    }
    found.into_inner().map_err(|_| Stop::from("a worker died"))
}

fn compare<'a>(lab: &Lab, sides: &[PathBuf; 2], case: &'a Case) -> Result<Option<Difference<'a>>, Stop> {
    let [left, right] = sides;
    let left = print(lab, left, case)?;
    let right = print(lab, right, case)?;
    if std::env::var_os("NETKIT_SHOW").is_some() {
        say(&format!("=== {} [resolv.conf {}]\n{}", case.line, case.resolv, left.text()));
    }
    Ok((left != right).then_some(Difference { case, left, right }))
}

fn print(lab: &Lab, program: &Path, case: &Case) -> Result<Printed, Stop> {
    // Found on PATH, so that both see the same argv[0], which some messages begin with.
    let mut command = lab.command(&case.resolv, "dig");
    let side = program.parent().unwrap_or(program).display();
    command.env("PATH", format!("{side}:/usr/sbin:/usr/bin:/sbin:/bin"));
    command.args(&case.arguments).env("HOME", lab.dir().join(&case.home));
    let out = match &case.stdin {
        None => lab::run(&mut command, LIMIT)?,
        Some(file) => {
            let file = std::fs::File::open(lab.dir().join("files").join(file))?;
            lab::run_with(&mut command, Stdio::from(file), LIMIT)?
        }
    };
    let fixed = Fixed::of(&case.line);
    let mut stdout = mask(&out.stdout, fixed);
    if case.arguments.iter().any(|argument| argument == "+nssearch") {
        stdout = sorted(&stdout);
    }
    Ok(Printed { status: format!("{}", out.status), stdout, stderr: usage(&mask(&out.stderr, fixed)) })
}

/// The servers of a zone are asked at the same time: whose answer comes first is chance.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.sort_unstable();
    lines.concat()
}

/// Reads the case list: `%resolv NAME` and `%home NAME` hold for the lines below them.
fn cases(text: &str) -> Result<Vec<Case>, Stop> {
    let mut cases: Vec<Case> = Vec::new();
    let mut seen = BTreeSet::new();
    let (mut resolv, mut home) = ("default".to_owned(), "home".to_owned());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("%resolv ") {
            resolv = name.to_owned();
        } else if let Some(name) = line.strip_prefix("%home ") {
            home = name.to_owned();
        } else if !line.is_empty() && !line.starts_with('#') {
            let mut words = words(line)?;
            let stdin = match words.iter().position(|word| word == "<") {
                Some(at) => words.split_off(at).pop(),
                None => None,
            };
            if words.first().map(String::as_str) != Some("dig") {
                return Err(Stop::Fail(format!("not a dig command line: {line}")));
            }
            words.remove(0);
            // The same line under another resolv.conf needs a name of its own.
            let name = if resolv == "default" && home == "home" {
                line.to_owned()
            } else {
                format!("[{}] {line}", if home == "home" { &resolv } else { &home })
            };
            if !seen.insert(name.clone()) {
                return Err(Stop::Fail(format!("twice in the list: {name}")));
            }
            cases.push(Case { line: name, resolv: resolv.clone(), home: home.clone(), arguments: words, stdin });
        }
    }
    Ok(cases)
}

/// Splits a line as a shell would: blanks, single and double quotes, backslash; nothing is expanded.
pub fn words(line: &str) -> Result<Vec<String>, Stop> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some('"') | None, '\\') => {
                let next = characters.next().ok_or_else(|| format!("backslash at the end: {line}"))?;
                let word = word.get_or_insert_default();
                if quote.is_some() && !matches!(next, '"' | '\\') {
                    word.push('\\');
                }
                word.push(next);
            }
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(character);
            }
            (None, ' ') => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err(Stop::Fail(format!("open quote: {line}")));
    }
    words.extend(word);
    Ok(words)
}

/// Reads the reviewed list: `reason: ...`, then the cases it holds for.
pub fn known(text: &str) -> Result<BTreeMap<&str, &str>, Stop> {
    let mut known = BTreeMap::new();
    let mut reason = "";
    for line in text.lines() {
        if let Some(text) = line.strip_prefix("reason: ") {
            reason = text;
        } else if line.is_empty() {
            reason = "";
        } else if !line.starts_with('#') {
            if reason.is_empty() {
                return Err(Stop::Fail(format!("a known difference without a reason: {line}")));
            }
            known.insert(line, reason);
        }
    }
    Ok(known)
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn reading() -> Result<(), Stop> {
    let list = "# c\ndig a '+x y' \"b\\\"c\" d\\ e ''\n%resolv pod\ndig -f - < batch\n";
    let read = cases(list)?;
    let [first, second] = read.as_slice() else { return Err(Stop::Fail(format!("{read:?}"))) };
    same("words", &first.arguments.join("|"), "a|+x y|b\"c|d e|")?;
    same("name", &second.line, "[pod] dig -f - < batch")?;
    same("stdin", second.stdin.as_deref().unwrap_or("none"), "batch")?;
    same("rest", &second.arguments.join("|"), "-f|-")?;
    for wrong in ["dig 'open\n", "dog x\n", "dig a\ndig a\n", "dig x\\\n"] {
        if cases(wrong).is_ok() {
            return Err(Stop::Fail(format!("accepted: {wrong:?}")));
        }
    }
    if known("dig a\n").is_ok() || known("reason: r\n\ndig a\n").is_ok() {
        return Err("a difference without a reason was accepted".into());
    }
    same("reason", known("reason: r\ndig a\n")?.get("dig a").copied().unwrap_or("none"), "r")?;
    cases(CASES).map(|_| ())
}

/// Each mask: what it turns alike, and what it must leave different.
fn masks() -> Result<(), Stop> {
    let plain = Fixed::of("dig example");
    let alike = [
        (
            ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 1",
            ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 65535",
        ),
        (";; Query time: 0 msec", ";; Query time: 123 msec"),
        (";; WHEN: Fri Nov 20 19:55:26 UTC 2026", ";; WHEN: Sat Jan 01 00:00:00 UTC 2028"),
        ("; COOKIE: 0011223344556677 (good)", "; COOKIE: 8899aabbccddeeff (good)"),
        (";; Received 5 bytes from ::1#53(n) in 3 ms", ";; Received 5 bytes from ::1#53(n) in 40 ms"),
        ("1.2.3.4 from server ::1 in 3 ms.", "1.2.3.4 from server ::1 in 14 ms."),
        (";; Warning: ID mismatch: expected ID 3, got 2", ";; Warning: ID mismatch: expected ID 33, got 32"),
        ("; <<>> DiG 9.18.49-1~deb12u3-Debian <<>> a", "; <<>> DiG 9.20.1-netkit <<>> a"),
        ("DiG 9.18.49-1~deb12u3-Debian", "DiG 9.18.49"),
        ("      id: 12", "      id: 3456"),
        (
            "    query_time: !!timestamp 2026-11-20T23:19:14.123Z",
            "    query_time: !!timestamp 2027-01-02T03:04:05.006Z",
        ),
        (
            "k.\t0\tANY\tTSIG\thmac-sha256. 1790000000 300 32 AAAA BB= 17 NOERROR 0",
            "k.\t0\tANY\tTSIG\thmac-sha256. 1790000001 300 32 CCCC DD= 18 NOERROR 0",
        ),
    ];
    for (left, right) in alike {
        same("must be alike", &mask(left.as_bytes(), plain), &mask(right.as_bytes(), plain))?;
    }
    let trace = Fixed::of("dig a +trace");
    let (left, right) =
        (";; Received 5 bytes from ::1#53(n) in 3 ms", ";; Received 5 bytes from 127.0.0.1#53(n) in 3 ms");
    same("either family", &mask(left.as_bytes(), trace), &mask(right.as_bytes(), trace))?;
    if mask(left.as_bytes(), Fixed::of("dig -4 a +trace")) == mask(right.as_bytes(), Fixed::of("dig -4 a +trace")) {
        return Err("with one family the address must stay".into());
    }
    let different = [
        (
            ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 1",
            ";; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 1",
        ),
        (
            ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 1",
            ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: ",
        ),
        (";; Query time: 0 msec", ";; Query time: 0 usec"),
        (";; Query time: 0 msec", ";; Query time: 0  msec"),
        (";; WHEN: Fri Nov 20 19:55:26 UTC 2026", ";; WHEN: Fri Nov 20 19:55:26 CET 2026"),
        (";; WHEN: Sat Nov 01 19:55:26 UTC 2026", ";; WHEN: Sat Nov  1 19:55:26 UTC 2026"),
        ("; COOKIE: 0011223344556677 (good)", "; COOKIE: 0011223344556677 (bad)"),
        ("; COOKIE: 0011223344556677", "; COOKIE: 001122334455667788"),
        ("; COOKIE: 00112233445566aa", "; COOKIE: 00112233445566AA"),
        (";; Received 5 bytes from ::1#53(n) in 3 ms", ";; Received 6 bytes from ::1#53(n) in 3 ms"),
        ("1.2.3.4 from server ::1 in 3 ms.", "1.2.3.4 from server ::2 in 3 ms."),
        ("x in 3 ms.", "x in 4 ms."),
        ("; <<>> DiG 9.18 <<>> a", "; <<>> DiG 9.18 <<>> b"),
        ("      id: 12", "    id: 12"),
        (
            "    response_time: !!timestamp 2026-11-20T23:19:14.123Z",
            "    response_time: !!timestamp 2026-11-20T23:19:14Z",
        ),
        (";; MSG SIZE  rcvd: 51", ";; MSG SIZE  rcvd: 52"),
        (";; XFR size: 9 records (messages 1, bytes 321)", ";; XFR size: 9 records (messages 2, bytes 321)"),
        ("a.\t60\tIN\tA\t1.2.3.4", "a.\t61\tIN\tA\t1.2.3.4"),
        (
            "k.\t0\tANY\tTSIG\thmac-sha256. 1790000000 300 32 AAAA BB= 17 NOERROR 0",
            "k.\t0\tANY\tTSIG\thmac-sha256. 1790000000 300 32 AAAA BB= 17 BADSIG 0",
        ),
        (
            "k.\t0\tANY\tTSIG\thmac-sha256. 1790000000 300 32 AAAABB= 17 NOERROR 0",
            "k.\t0\tANY\tTSIG\thmac-sha256. 1790000000 300 32 AAAA BB= 17 NOERROR 0",
        ),
    ];
    for (left, right) in different {
        if mask(left.as_bytes(), plain) == mask(right.as_bytes(), plain) {
            return Err(Stop::Fail(format!("the mask hides a difference:\n{left}\n{right}")));
        }
    }
    let bad = ";; Got bad packet: FORMERR\n12 bytes\n";
    let blanks = " ".repeat(22);
    let alike = mask(format!("{bad}f0 4e 81 00 00 01 00 01 00 00 00 00{blanks}.N..........").as_bytes(), plain);
    same(
        "dump",
        &alike,
        &mask(format!("{bad}33 63 81 00 00 01 00 01 00 00 00 00{blanks}3c..........").as_bytes(), plain),
    )?;
    if alike == mask(format!("{bad}f0 4e 81 00 00 02 00 01 00 00 00 00{blanks}.N..........").as_bytes(), plain)
        || !mask(b"12 bytes\nf0 4e 81", plain).ends_with("f0 4e 81")
    {
        return Err("only the id of a dumped packet may be hidden".into());
    }
    let multi = |time: &str, mac: &str, id: &str, error: &str| {
        let text = format!("k.\t\t0 ANY TSIG hmac-sha256. {time} 300 32 (\n\t\t{mac} ) {id} {error} 0 \nk. 7 {id}");
        mask(text.as_bytes(), plain)
    };
    let first = multi("1790000000", "AAAA", "17", "NOERROR");
    if first.contains("17900") || first.contains("AAAA") || !first.ends_with("k. 7 17") {
        return Err(Stop::Fail(format!("TSIG in several lines: {first}")));
    }
    if first == multi("1790000000", "AAAA", "17", "BADSIG") || first == multi("1790000000", "AAAAA", "17", "NOERROR") {
        return Err("the mask hides a difference of TSIG in several lines".into());
    }
    same("usage", &usage("Invalid option: +x\nUsage:  dig a\nb\n"), &usage("Invalid option: +x\nUsage: dig c\n"))?;
    if usage("Invalid option: +x\nUsage:  dig a\n") == usage("Invalid option: +y\nUsage:  dig a\n")
        || usage("dig: a\n") == usage("dig: b\n")
        || usage("dig: a\n") == usage("dig: a\nUsage: dig x\n")
    {
        return Err("only the usage itself may be hidden".into());
    }
    let fixed = Fixed::of("dig +qid=1 +cookie=0011223344556677");
    for (left, right) in [
        (
            ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 1",
            ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 2",
        ),
        ("; COOKIE: 0011223344556677aa", "; COOKIE: 0011223344556688aa"),
        ("      id: 1", "      id: 2"),
    ] {
        if mask(left.as_bytes(), fixed) == mask(right.as_bytes(), fixed) {
            return Err(Stop::Fail(format!("given on the command line, but masked:\n{left}\n{right}")));
        }
    }
    Ok(())
}
