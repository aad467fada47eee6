//! `cargo xtask demo`: a name that resolves in one container and not in another, and netkit saying why.
//!
//! Everything happens on loopback: the name servers are threads of this program, each with one fault, and the broken
//! container is a child with an /etc of its own ([`pod`]). Nothing is installed, nothing stays behind. The status is 0
//! only when netkit named every fault.

mod doctor;
mod nameserver;
mod pod;

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::musl::Way;
use crate::process::{at, command, find, output, run as run_command};
use crate::workspace::{TARGET, cargo, root};
use nameserver::{A, Answer, Plan};
use pod::Pod;

pub(crate) const USAGE: &str = "[--binary NETKIT]";

/// No command of the demo takes this long; past it something is wrong.
const LIMIT: Duration = Duration::from_secs(30);

const CLUSTER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 10);
const STALE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const SILENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 12);

/// What every pod of the namespace `default` has, and the site's own domain, as a DHCP server adds it to the node.
const SEARCH: &str = "search default.svc.cluster.local svc.cluster.local cluster.local corp.internal";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let binary = match arguments {
        [] => provide()?,
        [flag, path] if flag == "--binary" => std::fs::canonicalize(path).map_err(at("find", Path::new(path)))?,
        [flag, folder] if flag == pod::FLAG => return pod::live(folder),
        _ => return Err(format!("usage: cargo xtask demo {USAGE}")),
    };
    show(&binary)
}

fn show(binary: &Path) -> Result<()> {
    nameserver::loopback_works()?;
    let port = nameserver::start(&[
        Plan { address: CLUSTER, zone: Some(cluster), tcp: false },
        Plan { address: STALE, zone: Some(stale), tcp: true },
        Plan { address: SILENT, zone: None, tcp: false },
    ])?;
    let resolv_conf = |servers: &[Ipv4Addr]| {
        let lines: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        format!("{SEARCH}\n{lines}options ndots:5 timeout:1 attempts:1\n")
    };
    let first = resolv_conf(&[CLUSTER]);
    println!("\nTwo containers of one pod call api.example.com. The one from Debian (glibc) reaches it; the one from");
    println!("Alpine (musl) says \"Try again\". Both have this resolv.conf:\n");
    println!("{}", indented(&first));

    let steps = match (Pod::start("one", &first), Pod::start("three", &resolv_conf(&[CLUSTER, STALE, SILENT]))) {
        (Ok(one), Ok(three)) => {
            let failures = play(binary, &through_proc(&one, &three, port));
            drop((one, three));
            failures?
        }
        (Err(why), _) | (_, Err(why)) => {
            println!("A process with an /etc of its own cannot be made here ({why}).");
            println!("So the servers are named with @, and `dig --as`, which plays whole resolvers, is left out.");
            play(binary, &with_servers(port))?
        }
    };
    let (mut shown, mut failures) = steps;
    println!("And when it is not only names: `netkit doctor` walks the whole way and says which layer is broken.\n");
    let (more, missing) = play(binary, &doctor::steps(port)?)?;
    shown += more;
    failures.extend(missing);
    if failures.is_empty() {
        println!("netkit named {shown} of {shown} faults; the servers are gone and nothing is left behind.");
        return Ok(());
    }
    Err(format!("netkit did not say what it should:\n  {}", failures.join("\n  ")))
}

/// The replica that most pods ask: it knows the cluster, forwards corp.internal to a server that is down, and TCP to
/// it is blocked.
fn cluster(name: &str, kind: u16) -> Answer {
    let only_a = |addresses: Vec<Ipv4Addr>| Answer::Addresses(if kind == A { addresses } else { Vec::new() });
    match name {
        "api.example.com" => only_a(vec![Ipv4Addr::new(203, 0, 113, 7)]),
        "payments.default.svc.cluster.local" => only_a(vec![Ipv4Addr::new(10, 96, 0, 20)]),
        "web.default.svc.cluster.local" => only_a(vec![Ipv4Addr::LOCALHOST]),
        "workers.default.svc.cluster.local" => only_a((1..=40).map(|host| Ipv4Addr::new(10, 244, 3, host)).collect()),
        _ if name.ends_with(".corp.internal") => Answer::ServFail,
        _ => Answer::NxDomain,
    }
}

/// Another replica, which has lost its watch on the API server and answers as of yesterday.
fn stale(name: &str, kind: u16) -> Answer {
    match name {
        "payments.default.svc.cluster.local" if kind == A => Answer::Addresses(vec![Ipv4Addr::new(10, 96, 0, 77)]),
        _ => cluster(name, kind),
    }
}

/// One command and what is expected of it.
struct Step {
    /// dig or doctor.
    applet: &'static str,
    /// What is going on, before the command.
    before: &'static str,
    /// Words after `netkit APPLET`.
    words: String,
    /// What is piped in.
    stdin: String,
    /// A variable of the environment.
    env: Option<(&'static str, String)>,
    /// The exit status that says so.
    status: i32,
    /// What the output has to contain for the fault to be named.
    names: &'static [&'static str],
    /// What has been seen, after the output.
    after: &'static str,
}

const PLAIN_BEFORE: &str = "What everybody tries first. dig asks for the name as typed, and all is well:";
const PLAIN_AFTER: &str =
    "True, and no help: no application asks this way. ndots:5 sends them through the search list first.";
const PLAIN_NAMES: &[&str] = &["status: NOERROR", "203.0.113.7"];
const ALL_BEFORE: &str = "Another pod lists three name servers, and its calls to `payments` fail now and then.\n\
                          Ask all of them the same question:";
const ALL_AFTER: &str =
    "One replica is stale and one is dead: who gets the wrong address, or waits, is a matter of luck.";
const ALL_NAMES: &[&str] = &["2 name servers give 2 different answers", "no answer from 127.0.0.12 (timed out)"];
const PATH_BEFORE: &str = "And `workers`, a service with 40 endpoints, resolves for some programs only.\n\
                           Ask over UDP in three sizes, and over TCP:";
const PATH_AFTER: &str = "Programs without EDNS get a truncated reply and then need TCP, which something refuses.";
const PATH_NAMES: &[&str] = &["truncated", "connection refused", "UDP works, TCP does not"];

/// The steps that read the resolv.conf of another process.
fn through_proc(one: &Pod, three: &Pod, port: u16) -> Vec<Step> {
    let (one, three) = (one.pid(), three.pid());
    vec![
        Step {
            applet: "dig",
            stdin: String::new(),
            env: None,
            before: PLAIN_BEFORE,
            words: format!("--from-pid {one} -p {port} api.example.com"),
            status: 0,
            names: PLAIN_NAMES,
            after: PLAIN_AFTER,
        },
        Step {
            applet: "dig",
            stdin: String::new(),
            env: None,
            before: "Let netkit do what the resolvers of both containers do, on the container's own files:",
            words: format!("--from-pid {one} -p {port} --as glibc,musl,go,dig api.example.com"),
            status: 1,
            names: &[
                "api.example.com resolves for glibc, go, and not for musl, dig",
                "api.example.com.corp.internal",
                "SERVFAIL",
            ],
            after: "The upstream server for corp.internal is broken. glibc and Go pass over its SERVFAIL, musl gives up:\n\
                    take corp.internal out of the search list, set ndots:1, or call api.example.com. with a dot at the end.",
        },
        Step {
            applet: "dig",
            stdin: String::new(),
            env: None,
            before: ALL_BEFORE,
            words: format!("--from-pid {three} -p {port} +time=1 @all payments.default.svc.cluster.local"),
            status: 1,
            names: ALL_NAMES,
            after: ALL_AFTER,
        },
        Step {
            applet: "dig",
            stdin: String::new(),
            env: None,
            before: PATH_BEFORE,
            words: format!("--from-pid {one} -p {port} --path workers.default.svc.cluster.local"),
            status: 1,
            names: PATH_NAMES,
            after: PATH_AFTER,
        },
    ]
}

/// The same where no other process's files can be had.
fn with_servers(port: u16) -> Vec<Step> {
    vec![
        Step {
            applet: "dig",
            stdin: String::new(),
            env: None,
            before: PLAIN_BEFORE,
            words: format!("@{CLUSTER} -p {port} api.example.com"),
            status: 0,
            names: PLAIN_NAMES,
            after: PLAIN_AFTER,
        },
        Step {
            applet: "dig",
            stdin: String::new(),
            env: None,
            before: "Go through the last entry of the search list, as a resolver with ndots:5 does:",
            words: format!("@{CLUSTER} -p {port} +domain=corp.internal +ndots=5 +showsearch api.example.com"),
            status: 0,
            names: &["api.example.com.corp.internal", "status: SERVFAIL"],
            after: "The upstream server for corp.internal is broken. glibc and Go pass over its SERVFAIL, musl gives up.",
        },
        Step {
            applet: "dig",
            stdin: String::new(),
            env: None,
            before: ALL_BEFORE,
            words: format!("@all @{CLUSTER} @{STALE} @{SILENT} -p {port} +time=1 payments.default.svc.cluster.local"),
            status: 1,
            names: ALL_NAMES,
            after: ALL_AFTER,
        },
        Step {
            applet: "dig",
            stdin: String::new(),
            env: None,
            before: PATH_BEFORE,
            words: format!("@{CLUSTER} -p {port} --path workers.default.svc.cluster.local"),
            status: 1,
            names: PATH_NAMES,
            after: PATH_AFTER,
        },
    ]
}

/// Runs and prints the steps; returns how many there were and what is missing in their output.
fn play(binary: &Path, steps: &[Step]) -> Result<(usize, Vec<String>)> {
    let mut failures = Vec::new();
    for (step, number) in steps.iter().zip(1..) {
        let typed = format!("netkit {} {}", step.applet, step.words);
        let set = step.env.as_ref().map_or_else(String::new, |(name, value)| format!("{name}={value} "));
        println!("--- {number} of {} ---\n{}\n\n  $ {set}{typed}\n", steps.len(), step.before);
        if !step.stdin.is_empty() {
            println!("with this on its standard input:\n\n{}", indented(&step.stdin));
        }
        let mut run = command(binary);
        // The user's own settings must not change what is shown.
        run.arg(step.applet).args(step.words.split(' ')).env("HOME", "/nonexistent");
        for name in OWN_SETTINGS {
            run.env_remove(name);
        }
        if let Some((name, value)) = &step.env {
            run.env(name, value);
        }
        let (status, text) = finish(&mut run, &step.stdin)?;
        println!("{}\n", indented(text.trim()));
        if !step.after.is_empty() {
            println!("=> {}\n", step.after.replace('\n', "\n   "));
        }
        for part in step.names.iter().filter(|part| !text.contains(**part)) {
            failures.push(format!("{typed}: no `{part}` in what it said"));
        }
        if status != Some(step.status) {
            failures.push(format!("{typed}: status {status:?}, not {}", step.status));
        }
    }
    Ok((steps.len(), failures))
}

/// Variables that change what is shown.
const OWN_SETTINGS: [&str; 14] = [
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "http_proxy",
    "https_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "NETKIT_HINTS",
];

/// Runs to the end, at most [`LIMIT`]; the exit status and all that was said.
fn finish(command: &mut Command, input: &str) -> Result<(Option<i32>, String)> {
    let named = crate::process::shown(command);
    let mut child = command
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run {named}: {error}"))?;
    // Far less than a pipe holds, and gone with its writer.
    if let Some(mut pipe) = child.stdin.take() {
        let _ = pipe.write_all(input.as_bytes());
    }
    let (Some(mut out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("no pipes".to_owned());
    };
    let deadline = Instant::now() + LIMIT;
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = out.read_to_end(&mut text);
        let _ = err.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{named} did not end within {} s", LIMIT.as_secs()));
            }
        }
    };
    let text = reader.join().map_err(|_| "a thread died".to_owned())?;
    Ok((status.code(), text))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect()
}

/// The binary to show: the static one where everything it is built with is on this machine, else an ordinary one.
/// Nothing is downloaded or installed for it, apart from the dependencies that cargo fetches.
fn provide() -> Result<PathBuf> {
    let why = match way() {
        Some(way) => match crate::dist::build(way) {
            Ok(dist) => return Ok(dist.binary),
            Err(error) => error,
        },
        None => "what the static binary is built with is not on this machine".to_owned(),
    };
    println!("demo: {why};");
    println!("  so this is an ordinary build. `cargo xtask dist` installs what is missing and builds the static one.");
    run_command(cargo().args(["build", "--quiet", "--locked", "--release", "--package", "netkit"]))?;
    Ok(root().join("target/release/netkit"))
}

/// How dist can build without fetching anything.
fn way() -> Option<Way> {
    find("objcopy")?;
    let own = std::env::var_os("CARGO")
        .map_or_else(|| PathBuf::from("rustc"), |cargo| PathBuf::from(cargo).with_file_name("rustc"));
    let own = if own.is_file() { own } else { PathBuf::from("rustc") };
    let sysroot = PathBuf::from(output(command(&own).args(["--print", "sysroot"])).ok()?).join("lib/rustlib");
    let has_source = sysroot.join("src/rust/library/std").is_dir();
    if sysroot.join(TARGET).join("lib/self-contained/libc.a").is_file() {
        return Some(if has_source { Way::Auto } else { Way::Prebuilt });
    }
    find("musl-gcc")?;
    let library = |rustc: &Path| {
        let version = output(command(rustc).arg("-vV")).ok()?;
        let release = version.lines().find_map(|line| line.strip_prefix("release: "))?;
        Path::new("/usr/src").join(format!("rustc-{release}/library/std")).is_dir().then_some(())
    };
    if library(&own).is_some() {
        return Some(Way::DebianSource);
    }
    library(Path::new("/usr/bin/rustc"))
        .filter(|()| Path::new("/usr/bin/cargo").is_file())
        .map(|()| Way::DebianCompiler)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_is_not_named_is_reported() {
        let step = Step {
            applet: "dig",
            before: "",
            words: "x".to_owned(),
            stdin: String::new(),
            env: None,
            status: 0,
            names: &["wombat"],
            after: "",
        };
        // echo prints its words, among them no wombat.
        let (shown, failures) = play(Path::new("/bin/echo"), &[step]).unwrap();
        assert_eq!((shown, failures.len()), (1, 1));
        assert!(failures[0].contains("no `wombat`"), "{failures:?}");
    }
}
