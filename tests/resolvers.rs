//! `dig --as RESOLVER` against the resolver itself: in every case of tests/resolvers/cases.txt the real one (a small
//! program linked to glibc or musl, pure Go, dig) and the simulation must send the same queries, the simulation must
//! claim exactly what it sent, and both must come to the same result.
//!
//! The order of queries is compared as the wire shows it. Two freedoms are taken out first, both known from the data:
//! Go asks for A and AAAA from two threads, so within one name its queries are ordered by type; with `rotate` the
//! first server is random, so servers are numbered from the first one that was asked.

// An index into JSON yields null, not a panic; the others are constant.
#![allow(clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::recorder::{self, Case, Job, Query, Recording};
use crate::lab::{self, Skip, Stop, same, tool, trial};

const CASES: &str = include_str!("resolvers/cases.txt");

/// One trial per case and resolver.
pub fn trials() -> Vec<Trial> {
    let cases = match recorder::cases(CASES) {
        Ok(cases) => cases,
        Err(error) => return vec![trial("resolvers::cases", move || Err(Stop::Fail(error)))],
    };
    let mut trials = vec![
        trial("resolvers::recorder_repeats", recorder_repeats),
        trial("resolvers::lines_keep_what_matters", lines_keep_what_matters),
    ];
    for case in cases {
        for peer in Peer::ALL {
            // Go is no part of the promise: where it is installed it is a witness more.
            let absent = peer == Peer::Go && tool("go", "golang-go").is_err();
            if absent || !(case.only.is_empty() || case.only.iter().any(|name| name == peer.name())) {
                continue;
            }
            let case = case.clone();
            trials.push(trial(&format!("resolvers::{}::{}", peer.name(), case.name), move || agree(&case, peer)));
        }
    }
    trials
}

/// The real resolver and the simulation in the same situation.
fn agree(case: &Case, peer: Peer) -> Result<(), Stop> {
    lab::namespaces()?;
    let case = &peer.paced(case)?;
    let mut argv = vec![lab::netkit().display().to_string()];
    argv.extend(["dig", "--as", peer.name(), "--json"].map(str::to_owned));
    // -q, because a case asks for a name that begins with a hyphen.
    argv.push("-q".to_owned());
    argv.extend(case.ask.first().cloned());
    argv.extend(case.ask.get(1).map(|family| if family == "inet6" { "AAAA".to_owned() } else { "A".to_owned() }));
    let ours = Job { label: "netkit".to_owned(), argv, env: case.env.clone() };
    let theirs = peer.job(case)?;
    // Each in a lab of its own, both at once: most of the time is spent waiting for silent servers.
    let (real, simulated) = std::thread::scope(|scope| {
        let real = scope.spawn(|| recorder::record(case, &[theirs]));
        (real.join(), recorder::record(case, &[ours]))
    });
    let real = only(real.map_err(|_| "the recording of the real resolver died")??)?;
    let simulated = only(simulated?)?;

    let wire = |recording: &Recording| lines(case, peer, &recording.queries, Detail::Wire);
    same("queries, real resolver against simulation", &wire(&real), &wire(&simulated))?;
    let claim = Claim::read(&simulated, peer)?;
    let sent = lines(case, peer, &simulated.queries, Detail::Claim);
    same("queries, simulation as sent against as claimed", &sent, &lines(case, peer, &claim.queries, Detail::Claim))?;
    let verdict = peer.verdict(&real)?;
    if let Some(result) = verdict.result {
        same("result, real resolver against simulation", &result, &claim.result)?;
    }
    same("addresses, real resolver against simulation", &listed(&verdict.answers), &listed(&claim.answers))
}

fn only(mut recordings: Vec<Recording>) -> Result<Recording, Stop> {
    match recordings.len() {
        1 => Ok(recordings.remove(0)),
        other => Err(Stop::Fail(format!("{other} recordings instead of one"))),
    }
}

fn listed(answers: &BTreeSet<String>) -> String {
    answers.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
}

/// A real resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Glibc,
    Musl,
    Go,
    Dig,
}

/// What a resolver came to.
struct Verdict {
    /// `ok`, the name of an EAI code, or `crash`; none where the resolver has no such notion.
    result: Option<String>,
    answers: BTreeSet<String>,
}

impl Peer {
    const ALL: [Peer; 4] = [Peer::Glibc, Peer::Musl, Peer::Go, Peer::Dig];

    /// As `--as` takes it.
    fn name(self) -> &'static str {
        match self {
            Peer::Glibc => "glibc",
            Peer::Musl => "musl",
            Peer::Go => "go",
            Peer::Dig => "dig",
        }
    }

    /// The case with the times that suit the resolver. musl divides `timeout` by `attempts` and skips a round that it
    /// reaches too late, so on a busy machine its rounds must lie further apart than those of the others.
    fn paced(self, case: &Case) -> Result<Case, Stop> {
        if self != Peer::Musl {
            return Ok(case.clone());
        }
        Ok(recorder::cases(&case.text.replace("timeout:1", "timeout:2"))?.pop().ok_or("an empty case")?)
    }

    /// The command that makes the real resolver look up the name of the case.
    fn job(self, case: &Case) -> Result<Job, Stop> {
        let mut argv = vec![self.program()?.display().to_string()];
        if self == Peer::Dig {
            argv.extend(["-r", "+search", "+noall", "+answer", "+comments", "-q"].map(str::to_owned));
            argv.extend(case.ask.first().cloned());
            argv.extend(case.ask.get(1).filter(|family| *family == "inet6").map(|_| "AAAA".to_owned()));
        } else {
            argv.extend(case.ask.iter().cloned());
        }
        Ok(Job { label: self.name().to_owned(), argv, env: case.env.clone() })
    }

    /// The program, built once per run.
    fn program(self) -> Result<PathBuf, Stop> {
        static BUILT: [OnceLock<Result<PathBuf, Stop>>; 3] = [const { OnceLock::new() }; 3];
        let built = match self {
            Peer::Dig => return Ok(tool("dig", "bind9-dnsutils")?),
            Peer::Glibc => BUILT[0].get_or_init(|| {
                let compiler = tool("gcc", "gcc")?;
                build("glibc", |out| {
                    let mut command = Command::new(compiler);
                    command.args(["-x", "c", "-o"]).arg(out).arg(source("gai.c"));
                    command
                })
            }),
            Peer::Musl => BUILT[1].get_or_init(|| {
                let compiler = tool("musl-gcc", "musl-tools")?;
                build("musl", |out| {
                    let mut command = Command::new(compiler);
                    command.args(["-static", "-x", "c", "-o"]).arg(out).arg(source("gai.c"));
                    command
                })
            }),
            Peer::Go => BUILT[2].get_or_init(|| {
                let compiler = tool("go", "golang-go")?;
                build("go", |out| {
                    let mut command = Command::new(compiler);
                    // A cache beside the program: a home directory need not exist.
                    command.env("CGO_ENABLED", "0").env("GOCACHE", Path::new(TMP).join("go-cache"));
                    command.env("GOFLAGS", "-mod=mod").env("GO111MODULE", "off");
                    command.args(["build", "-o"]).arg(out).arg(source("gai.go"));
                    command
                })
            }),
        };
        match built {
            Ok(path) => Ok(path.clone()),
            Err(Stop::Skip(Skip(reason))) => Err(Stop::Skip(Skip(reason.clone()))),
            Err(Stop::Fail(message)) => Err(Stop::Fail(message.clone())),
        }
    }

    /// Reads what the real resolver printed.
    fn verdict(self, recording: &Recording) -> Result<Verdict, Stop> {
        if self == Peer::Dig {
            let records = recording.stdout.lines().filter(|line| !line.starts_with(';'));
            let address = |line: &str| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                matches!(fields.get(3), Some(&"A" | &"AAAA")).then(|| fields.get(4).copied().unwrap_or("").to_owned())
            };
            return Ok(Verdict { result: None, answers: records.filter_map(address).collect() });
        }
        // Ended by a signal: no status.
        if recording.status < 0 {
            return Ok(Verdict { result: Some("crash".to_owned()), answers: BTreeSet::new() });
        }
        let mut lines = recording.stdout.lines();
        let result = lines.next().and_then(|line| line.split(' ').next()).ok_or("the program printed nothing")?;
        let answers = lines.filter(|line| !line.starts_with("canonname ")).map(str::to_owned).collect();
        Ok(Verdict { result: Some(result.to_owned()), answers })
    }
}

/// A directory of cargo's for the use of this test binary.
const TMP: &str = env!("CARGO_TARGET_TMPDIR");

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/resolvers").join(name)
}

/// Compiles under a name of this process and then renames, so that two runs do not disturb each other.
fn build(name: &str, command: impl FnOnce(&Path) -> Command) -> Result<PathBuf, Stop> {
    let path = Path::new(TMP).join(format!("gai-{name}"));
    let fresh = Path::new(TMP).join(format!("gai-{name}-{}", std::process::id()));
    let out = lab::run(&mut command(&fresh), Duration::from_secs(120))?;
    if !out.status.success() {
        return Err(Stop::Fail(format!("building gai for {name}: {}", String::from_utf8_lossy(&out.stderr))));
    }
    std::fs::rename(&fresh, &path)?;
    Ok(path)
}

/// What `dig --as RESOLVER --json` says that it did.
struct Claim {
    queries: Vec<Query>,
    answers: BTreeSet<String>,
    result: String,
}

impl Claim {
    fn read(recording: &Recording, peer: Peer) -> Result<Claim, Stop> {
        let wrong = |what: &str| Stop::Fail(format!("{what} in: {}{}", recording.stdout, recording.stderr));
        let value: Value = serde_json::from_str(&recording.stdout).map_err(|error| wrong(&error.to_string()))?;
        if value["schema"] != "dig.as/1" {
            return Err(wrong("no schema dig.as/1"));
        }
        let [resolver] = value["resolvers"].as_array().map(Vec::as_slice).unwrap_or_default() else {
            return Err(wrong("not one resolver"));
        };
        if resolver["resolver"] != peer.name() || resolver["why"].as_str().is_none_or(str::is_empty) {
            return Err(wrong("another resolver, or no reason,"));
        }
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| wrong("a string is missing"));
        let mut queries = Vec::new();
        for entry in resolver["queries"].as_array().ok_or_else(|| wrong("no queries"))? {
            if entry["port"] != 53 {
                return Err(wrong("a port that is not 53"));
            }
            let refused = entry["transport"] == "tcp" && entry["outcome"] == "refused";
            queries.push(Query {
                server: text(&entry["server"])?,
                transport: if refused { "tcp-refused".to_owned() } else { text(&entry["transport"])? },
                name: text(&entry["name"])?,
                rtype: text(&entry["type"])?,
                socket: 0,
                flags: String::new(),
                id: 0,
                time_us: 0,
            });
        }
        let answers = resolver["answers"].as_array().ok_or_else(|| wrong("no answers"))?;
        let answers = answers.iter().map(text).collect::<Result<_, _>>()?;
        Ok(Claim { queries, answers, result: text(&resolver["result"])? })
    }
}

/// How much of a query is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// Also the flags, and the sockets if the case asks for it.
    Wire,
    /// Server, transport, type and name.
    Claim,
}

/// The queries as lines, without the two freedoms described at the top of this file.
fn lines(case: &Case, peer: Peer, queries: &[Query], detail: Detail) -> String {
    let mut queries = queries.to_vec();
    if peer == Peer::Go {
        // A stable sort within each run of one name: the order within a type stays.
        for run in queries.chunk_by_mut(|one, next| one.name == next.name) {
            run.sort_by(|one, next| one.rtype.cmp(&next.rtype));
        }
    }
    if case.rotates() && peer != Peer::Musl {
        let servers = case.nameservers();
        let place = |query: &Query| servers.iter().position(|server| *server == query.server);
        if let Some(first) = queries.first().and_then(place) {
            for query in &mut queries {
                if let Some(place) = place(query) {
                    query.server = format!("first+{}", (place + servers.len() - first) % servers.len());
                }
            }
        }
    }
    let mut lines: Vec<String> = Vec::new();
    let mut before = None;
    for query in &queries {
        let mut line = match (query.transport.as_str(), detail) {
            // The connection failed before a name was sent, so there is none on the wire.
            ("tcp-refused", _) => format!("{} tcp refused", query.server),
            (_, Detail::Claim) => format!("{} {} {} {}", query.server, query.transport, query.rtype, query.name),
            (_, Detail::Wire) => query.line(),
        };
        if detail == Detail::Wire && case.sockets && before.is_some() {
            line.push_str(if before == Some(query.socket) { " same socket" } else { " other socket" });
        }
        before = Some(query.socket);
        // One connection serves A and AAAA: its refusal may be claimed for each.
        let again = detail == Detail::Claim && query.transport == "tcp-refused" && lines.last() == Some(&line);
        if !again {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// The recorder itself: the same look-up twice gives the same lines, and it sees each kind of thing that the cases rely on.
fn recorder_repeats() -> Result<(), Stop> {
    lab::namespaces()?;
    let cases = recorder::cases(CASES)?;
    let expected = [
        ("ndots5_second_suffix", 4, "127.0.0.1 udp A a.b.default.svc.cluster.local. [rd]"),
        ("first_closed", 4, "127.0.0.1 udp A ext.example.com. [rd]"),
        ("trust_ad", 2, "127.0.0.1 udp A ext.example.com. [rd ad]"),
        ("edns0", 2, "127.0.0.1 udp A ext.example.com. [rd edns=1200]"),
        ("ipv6_nameserver", 2, "::1 udp A ext.example.com. [rd]"),
        ("use_vc", 2, "127.0.0.1 tcp A ext.example.com. [rd]"),
        ("use_vc_closed", 3, "127.0.0.1 tcp refused"),
        ("hosts_hit", 0, ""),
    ];
    for (name, count, first) in expected {
        let case = cases.iter().find(|case| case.name == name).ok_or("a case is gone")?;
        let job = Peer::Glibc.job(case)?;
        let twice = recorder::record(case, &[job.clone(), job])?;
        let [one, two] = twice.as_slice() else { return Err("not two recordings".into()) };
        let text = lines(case, Peer::Glibc, &one.queries, Detail::Wire);
        same(name, &text, &lines(case, Peer::Glibc, &two.queries, Detail::Wire))?;
        same(name, &text.lines().count().to_string(), &count.to_string())?;
        same(name, text.lines().next().unwrap_or(""), first)?;
    }
    Ok(())
}

/// The freedoms go no further than they are meant to.
fn lines_keep_what_matters() -> Result<(), Stop> {
    let query = |server: &str, rtype: &str, name: &str, socket: i64| Query {
        server: server.to_owned(),
        transport: "udp".to_owned(),
        name: name.to_owned(),
        rtype: rtype.to_owned(),
        socket,
        flags: "rd".to_owned(),
        id: 1,
        time_us: 0,
    };
    let plain = Case::default();
    let (a, b) = (query("127.0.0.1", "A", "x.", 1), query("127.0.0.1", "AAAA", "x.", 1));
    let forth = [a.clone(), b.clone()];
    let back = [b.clone(), a.clone()];
    let differ = |one: String, two: String| if one == two { Err(Stop::Fail(one)) } else { Ok(()) };
    differ(lines(&plain, Peer::Glibc, &forth, Detail::Wire), lines(&plain, Peer::Glibc, &back, Detail::Wire))?;
    same("go", &lines(&plain, Peer::Go, &forth, Detail::Wire), &lines(&plain, Peer::Go, &back, Detail::Wire))?;
    // The order of the names stays, for Go too.
    let names = [a.clone(), query("127.0.0.1", "A", "y.", 1)];
    let names_back = [names[1].clone(), a.clone()];
    differ(lines(&plain, Peer::Go, &names, Detail::Wire), lines(&plain, Peer::Go, &names_back, Detail::Wire))?;

    let text = "case r\nresolv nameserver 127.0.0.1\nresolv nameserver 127.0.0.2\nresolv options ndots:5 rotate\n";
    let rotating = recorder::cases(text)?.pop().ok_or("no case")?;
    let from = |first: &str, second: &str| [query(first, "A", "x.", 1), query(second, "A", "y.", 2)];
    let (one, two) = (from("127.0.0.1", "127.0.0.2"), from("127.0.0.2", "127.0.0.1"));
    same(
        "rotate",
        &lines(&rotating, Peer::Glibc, &one, Detail::Wire),
        &lines(&rotating, Peer::Glibc, &two, Detail::Wire),
    )?;
    differ(
        lines(&rotating, Peer::Glibc, &one, Detail::Wire),
        lines(&rotating, Peer::Glibc, &from("127.0.0.1", "127.0.0.1"), Detail::Wire),
    )?;
    let sockets = Case { sockets: true, ..Case::default() };
    let reopened = [a, query("127.0.0.1", "AAAA", "x.", 2)];
    differ(lines(&sockets, Peer::Glibc, &forth, Detail::Wire), lines(&sockets, Peer::Glibc, &reopened, Detail::Wire))
}
