//! curl against Debian's curl over scripted conversations: each case names its command lines, the files it finds and what
//! the origin answers to which request. Both programs play it; the bytes of every request, standard output, the exit
//! status and the files left behind must be equal.
//!
//! The cases stand in `tests/curl/*.txt`. A line that begins with one of these starts a new item; in all of them `\r`,
//! `\n`, `\t`, `\0`, `\\` and `\xNN` stand for bytes:
//! - `## NAME`: a case.
//! - `$ WORDS`: a command line, words in single quotes where needed. `O` at the start of a word stands for the origin's
//!   URL, `D` for its address and port, `PORT` for the port, `BASE` for the directory of the case.
//! - `@ KEY [close]`: what the origin answers (`DADDR` its address) to the request whose target (or method and target) is KEY; several of the
//!   same KEY are used one after the other, and the last one goes on. The head's lines end in CRLF, the body's in LF, the
//!   last line's end is left out; `Content-Length: *` is filled in. With `close` the connection is
//!   closed afterwards, with `raw` the bytes are sent as they are.
//! - `< NAME`: a file of that name, its end of line at the end included; `< stdin` is standard input.
//! - `% proxy [LOGIN]`: a proxy for SOCKS and CONNECT runs as well; `SADDR` is its address and port, and what it was asked
//!   for is compared.
//! - `% env NAME=VALUE`, `% loud` (without `-s`, standard error is compared as well), `% verbose` (the lines of `-v` that
//!   show messages are compared), `% differs REASON` (known, and why), `% has TEXT` (stands in what netkit gave; it is what
//!   is checked where the peer is of no use).
//!
//! `NETKIT_DIFF=PATTERN` runs the cases whose name holds it and shows both sides.

#![allow(clippy::print_stderr)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::curl_diff::{collect, masked, words};
use crate::lab::origin::Origin;
use crate::lab::proxy::Running;
use crate::lab::{Stop, TempDir, netkit, run_with, tool, trial};

const LIMIT: Duration = Duration::from_secs(120);
/// Cases at a time; most of their time is waiting.
const WORKERS: usize = 8;

pub fn trials() -> Vec<Trial> {
    let Ok(entries) = fs::read_dir(directory()) else { return Vec::new() };
    let mut names: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    names.sort();
    let subject = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    names
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| trial(&format!("curl_cases::{}", subject(&path)), move || play(&path)))
        .collect()
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/curl")
}

#[derive(Clone, Debug, Default)]
struct Case {
    name: String,
    commands: Vec<String>,
    /// Key, bytes, whether the connection ends.
    replies: Vec<(String, Vec<u8>, bool)>,
    files: Vec<(String, Vec<u8>)>,
    env: Vec<(String, String)>,
    loud: bool,
    verbose: bool,
    /// A proxy beside the origin, and the login it wants.
    proxy: Option<String>,
    differs: Option<String>,
    has: Vec<String>,
}

/// Escapes of the case files.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'r') => out.push(b'\r'),
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'0') => out.push(0),
            Some(b'x') => {
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                out.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            Some(other) => out.push(other),
            None => out.push(b'\\'),
        }
    }
    out
}

/// A reply's head in CRLF, then its body.
fn reply(lines: &[&str]) -> Vec<u8> {
    let end = lines.iter().position(|line| line.is_empty());
    let (head, body) = lines.split_at_checked(end.unwrap_or(lines.len())).unwrap_or((lines, &[]));
    let body = unescaped(&body.get(1..).unwrap_or_default().join("\n"));
    let mut out = Vec::new();
    for line in head {
        let line = line.replace("Content-Length: *", &format!("Content-Length: {}", body.len()));
        out.extend(unescaped(&line));
        out.extend_from_slice(b"\r\n");
    }
    if end.is_some() {
        out.extend_from_slice(b"\r\n");
    }
    out.extend(body);
    out
}

fn parse(text: &str) -> Result<Vec<Case>, Stop> {
    let mut cases: Vec<Case> = Vec::new();
    let mut lines = text.lines().peekable();
    let starts = |line: &str| ["## ", "$ ", "@ ", "< ", "% ", "# "].iter().any(|mark| line.starts_with(mark));
    while let Some(line) = lines.next() {
        let mut block = Vec::new();
        while let Some(next) = lines.next_if(|next| !starts(next)) {
            block.push(next);
        }
        // Blank lines between items are layout.
        let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        if mark == "##" {
            cases.push(Case { name: rest.trim().to_owned(), ..Case::default() });
            continue;
        }
        if mark == "# " || line.is_empty() {
            continue;
        }
        let case = cases.last_mut().ok_or("something stands before the first case")?;
        match mark {
            "$ " => case.commands.push(rest.to_owned()),
            "@ " => {
                if block.last().is_some_and(|last| last.is_empty()) && block.iter().filter(|l| l.is_empty()).count() > 1
                {
                    block.pop();
                }
                if let Some(key) = rest.strip_suffix(" raw") {
                    case.replies.push((key.to_owned(), unescaped(&block.concat()), false));
                    continue;
                }
                let (key, close) = match rest.strip_suffix(" close") {
                    Some(key) => (key, true),
                    None => (rest, false),
                };
                case.replies.push((key.to_owned(), reply(&block), close));
            }
            "< " => {
                if block.last().is_some_and(|last| last.is_empty()) {
                    block.pop();
                }
                let mut content = unescaped(&block.join("\n"));
                if !block.is_empty() {
                    content.push(b'\n');
                }
                // `\` at the very end leaves the last end of line out.
                if content.ends_with(b"\\\n") {
                    content.truncate(content.len() - 2);
                }
                case.files.push((rest.to_owned(), content));
            }
            "% " => {
                let (word, value) = rest.split_once(' ').unwrap_or((rest, ""));
                match word {
                    "loud" => case.loud = true,
                    "verbose" => case.verbose = true,
                    "proxy" => case.proxy = Some(value.to_owned()),
                    "differs" => case.differs = Some(value.to_owned()),
                    "has" => case.has.push(String::from_utf8_lossy(&unescaped(value)).into_owned()),
                    "env" => {
                        let (name, value) = value.split_once('=').ok_or("an environment variable without a value")?;
                        case.env.push((name.to_owned(), value.to_owned()));
                    }
                    other => return Err(format!("{}: unknown word {other}", case.name).into()),
                }
            }
            _ => return Err(format!("{}: unknown line {line}", case.name).into()),
        }
    }
    Ok(cases)
}

/// The target of a request without scheme and host.
fn local(target: &str) -> &str {
    match target.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => target,
    }
}

fn answer(case: &Case, head: &str, served: &Mutex<HashMap<String, usize>>) -> (Vec<u8>, bool) {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let bare = target.split('?').next().unwrap_or("");
    let keys = [
        format!("{method} {target}"),
        format!("{method} {}", local(target)),
        target.to_owned(),
        local(target).to_owned(),
        local(bare).to_owned(),
        "*".to_owned(),
    ];
    let found = keys.iter().find(|key| case.replies.iter().any(|(own, _, _)| own == *key));
    let Some(key) = found else {
        return (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n".to_vec(), false);
    };
    let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
    let count = served.entry(key.clone()).or_insert(0);
    let fitting: Vec<_> = case.replies.iter().filter(|(own, _, _)| own == key).collect();
    let last = fitting.last().copied();
    let Some((_, bytes, close)) = fitting.get(*count).copied().or(last) else { return (Vec::new(), true) };
    *count += 1;
    (bytes.clone(), *close)
}

/// Names of the origin in a reply.
fn substituted(bytes: Vec<u8>, address: &str) -> Vec<u8> {
    match String::from_utf8(bytes) {
        Ok(text) => {
            text.replace("DADDR", address).replace("PORT", address.rsplit(':').next().unwrap_or("")).into_bytes()
        }
        Err(error) => error.into_bytes(),
    }
}

struct Outcome {
    text: String,
    /// What was said on standard error, only shown.
    said: String,
}

fn outcome(binary: &Path, case: &Case) -> Result<Outcome, Stop> {
    let served = Mutex::new(HashMap::new());
    let script = case.clone();
    let place = Arc::new(OnceLock::new());
    let known = place.clone();
    let origin = Origin::start(Arc::new(move |head: &str| {
        let (bytes, close) = answer(&script, head, &served);
        (substituted(bytes, known.get().map_or("", String::as_str)), close)
    }))?;
    let _ = place.set(origin.address.to_string());
    let dir = TempDir::new("curl-cases")?;
    let address = origin.address.to_string();
    let port = origin.address.port().to_string();
    let base = dir.0.to_string_lossy().into_owned();
    let proxy = match &case.proxy {
        Some(login) => Some(Running::start((!login.is_empty()).then(|| login.clone()))?),
        None => None,
    };
    let beside = proxy.as_ref().map(|proxy| proxy.address.to_string()).unwrap_or_default();
    let expand = |text: &str| text.replace("DADDR", &address).replace("PORT", &port).replace("BASE", &base);
    for (name, content) in case.files.iter().filter(|(name, _)| name != "stdin") {
        let path = dir.0.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match String::from_utf8(content.clone()) {
            Ok(text) => fs::write(&path, expand(&text))?,
            Err(_) => fs::write(&path, content)?,
        }
        // One fixed day, as it may be shown or sent.
        let old = std::time::UNIX_EPOCH + Duration::from_secs(784_111_777);
        fs::File::options().write(true).open(&path)?.set_modified(old)?;
    }
    let mut text = String::new();
    let mut said = String::new();
    let mask = |bytes: &[u8]| masked(&String::from_utf8_lossy(bytes), &address, &port, &base);
    for line in &case.commands {
        let mut command = Command::new(binary);
        if binary == netkit() {
            command.arg("curl");
        }
        command.arg("-q");
        if !case.loud && !case.verbose {
            command.arg("-s");
        }
        let words = words(line, &origin, &dir.0);
        command.args(words.into_iter().map(|word| word.replace("SADDR", &beside))).current_dir(&dir.0);
        command
            .env_clear()
            .env("HOME", &dir.0)
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("NETKIT_HINTS", "0");
        for (name, value) in &case.env {
            command.env(name, expand(value));
        }
        let stdin = match case.files.iter().find(|(name, _)| name == "stdin") {
            None => Stdio::null(),
            Some((_, input)) => {
                let path = dir.0.join("stdin.tmp");
                fs::write(&path, input)?;
                let opened = fs::File::open(&path)?;
                fs::remove_file(&path)?;
                Stdio::from(opened)
            }
        };
        let output = run_with(&mut command, stdin, LIMIT)?;
        let _ = writeln!(text, "status {}", output.status.code().unwrap_or(-1));
        let _ = writeln!(text, "stdout:\n{}", mask(&output.stdout));
        let errors = mask(&output.stderr);
        if case.loud {
            let _ = writeln!(text, "stderr:\n{}", without_numbers(&errors));
        } else if case.verbose {
            let kept: String = errors.split_inclusive('\n').filter(|line| !line.starts_with("* ")).collect();
            let _ = writeln!(text, "stderr:\n{}", without_numbers(&kept));
        }
        said.push_str(&errors);
    }
    let _ = writeln!(text, "requests:");
    let mut requests: Vec<String> = origin.take().iter().map(|request| mask(request)).collect();
    if case.commands.iter().any(|line| line.starts_with("-Z ")) {
        requests.sort();
    }
    for request in requests {
        let _ = writeln!(text, "{request}\n----");
    }
    for line in proxy.iter().flat_map(Running::asked) {
        let _ = writeln!(text, "proxy: {}", mask(line.as_bytes()));
    }
    let mut files = BTreeMap::new();
    collect(&dir.0, &dir.0, &mut files)?;
    for (path, content) in files {
        let content = mask(&content);
        let shown: String = content.chars().take(2000).collect();
        let _ = writeln!(text, "file {} ({}):\n{shown}", path.display(), content.len());
    }
    Ok(Outcome { text, said })
}

/// Times and the lines of the meter depend on the clock.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive(['\n', '\r']) {
        let trimmed = line.trim_start_matches('\r');
        let meter = trimmed.split_whitespace().count() >= 11 && trimmed.contains("--:--:--");
        if meter || trimmed == "\r" {
            continue;
        }
        match line.find(" after ").and_then(|at| Some((at, at + line.get(at..)?.find(" ms")?))) {
            Some((from, to)) => {
                let _ = write!(out, "{} after N{}", &line[..from], &line[to..]);
            }
            None => out.push_str(line),
        }
    }
    out
}

fn play(path: &Path) -> Result<(), Stop> {
    let peer = tool("curl", "curl")?;
    let mut cases = parse(&fs::read_to_string(path)?)?;
    if let Ok(show) = std::env::var("NETKIT_DIFF") {
        cases.retain(|case| case.name.contains(&show));
    }
    let mut names = std::collections::BTreeSet::new();
    if let Some(twice) = cases.iter().find(|case| !names.insert(case.name.as_str())) {
        return Err(format!("two cases are called {}", twice.name).into());
    }
    let queue = Mutex::new(cases.iter().collect::<VecDeque<_>>());
    let wrong = Mutex::new(Vec::new());
    let pop = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = pop() {
                    if let Err(why) = compare(&peer, case) {
                        let text = format!("## {}\n{why}", case.name);
                        wrong.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    wrong.sort();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n\n")).into())
    }
}

fn compare(peer: &Path, case: &Case) -> Result<(), String> {
    let show = |stop: Stop| format!("{stop:?}");
    let ours = outcome(&netkit(), case).map_err(show)?;
    if let Some(missing) = case.has.iter().find(|wanted| !ours.text.contains(wanted.as_str())) {
        return Err(format!("lacks {missing:?} in\n{}\n{}", ours.text, ours.said));
    }
    let theirs = outcome(peer, case).map_err(show)?;
    match (&case.differs, ours.text == theirs.text) {
        (Some(_), true) => Err("no longer differs".to_owned()),
        (Some(reason), false) if reason.is_empty() || case.has.is_empty() => {
            Err("a known difference states its reason, and what netkit gives instead".to_owned())
        }
        (None, false) => {
            Err(format!("--- curl\n{}\n({})\n--- netkit\n{}\n({})", theirs.text, theirs.said, ours.text, ours.said))
        }
        _ => Ok(()),
    }
}
