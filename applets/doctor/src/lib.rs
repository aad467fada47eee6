//! doctor: one command that names the broken layer.
//!
//! - Ours; it follows no peer. It walks environment, DNS, route, netfilter, TCP, TLS and HTTP to one target as a program
//!   would, stops being polite at the first layer that is broken, and ends with one sentence, what supports it, and
//!   the next command.
//! - Exit statuses: 0 nothing is broken; 1 doctor itself failed; 2 usage; 3 DNS; 4 route; 5 netfilter; 6 TCP or UDP;
//!   7 TLS; 8 HTTP or whatever is spoken instead (`application`); 9 the environment (proxies, clock, ports). A layer that
//!   works partly (one of several addresses, every other request, far too slowly) has its status too.
//! - `--json`: one object, schema `doctor/1`. `lines`: layer, state (fine, note, broken, unseen), text, elapsed_us.
//!   `verdict`: layer (null when nothing is broken), cause (a word that stays), certain (false: the sentence names several
//!   causes), sentence, evidence, next. `faults`: everything found, each with its gravity (fatal, impaired, advice).
//!   `timings` in microseconds, `not_looked_at` for what was out of reach, `looked_at` for how far it came.
//! - Kernel interfaces: sockets and their error queues, TCP_INFO, rtnetlink and the packet filter read-only, counters in
//!   /proc/net. Nothing is written anywhere, except `--termination-log`.
//! - Privilege: none needed. Without CAP_NET_ADMIN the rules of the packet filter cannot be read, and errors and counters
//!   that packets leave behind have to do; `--netns` and `--pid` need CAP_SYS_ADMIN and CAP_SYS_PTRACE.

mod applications;
mod args;
mod ask;
mod beyond;
mod counters;
mod dns;
mod dns_blame;
mod environment;
mod exchange;
mod filter;
#[cfg(test)]
mod hostile;
mod http;
mod kernel;
mod proxy;
mod repeat;
mod report;
mod route;
mod show;
mod silence;
mod size;
mod target;
mod tcp;
mod tls;
mod versus;
mod walk;
mod world;

use netkit_core::json::Value;
use netkit_core::privilege::Capability;
use netkit_core::{Applet, Ctx, Error, Exit, Group, front};

use crate::args::Options;
use crate::target::Target;
use crate::world::World;

/// doctor.
pub static APPLETS: &[Applet] = &[Applet {
    name: "doctor",
    aliases: &[],
    purpose: "which layer is broken between here and there",
    usage: "[OPTION...] URL|HOST:PORT|SERVICE/NAMESPACE[:PORT]\n[OPTION...] tcp://HOST:PORT|udp://HOST:PORT|tls://HOST[:PORT]\n[OPTION...] dns://SERVER[/NAME]|postgres://[USER@]HOST[/DATABASE]|grpc://HOST[:PORT]",
    group: Group::Connect,
    flags: args::FLAGS,
    capability: Some(Capability::NetAdmin),
    main: run,
}];

/// Most bytes that Kubernetes takes from a termination log.
const TERMINATION_LOG: usize = 4_096;

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let words = ctx.args_lossy();
    let options = args::parse(&words)?;
    if options.help {
        let page = APPLETS.first().map(front::help_page).unwrap_or_default();
        ctx.stdout.write_all(page.as_bytes())?;
        return Ok(Exit::OK);
    }
    let world = World::new(ctx, &options);
    let mut target = Target::parse(&options.target)?;
    target.learn_port(&world.service_ports);
    if let Some(netns) = &options.netns {
        netkit_sys::netns::enter(netns)?;
    }
    let (text, verdict, exit) = if let Some(count) = options.repeat {
        let found = repeat::run(&world, &target, count);
        let text = if options.json { found.value().pretty() } else { found.text(options.quiet) };
        (text, found.verdict(), found.exit())
    } else if !options.versus.is_empty() || options.pid.is_some() {
        let found = versus::run(&world, &target)?;
        let text = if options.json { found.value().pretty() } else { found.text(options.quiet) };
        (text, found.verdict(), found.exit())
    } else {
        let report = walk::walk(&world, &target, walk::Depth::Whole);
        let verdict = show::verdict(&report);
        let text = if options.json {
            header(show::value(&report)).pretty()
        } else if options.quiet {
            verdict.clone()
        } else {
            show::text(&report, ctx.stdout_is_terminal)
        };
        (text, verdict, report.exit())
    };
    ctx.stdout.write_all(text.as_bytes())?;
    record(ctx, &options, &verdict);
    Ok(exit)
}

/// The schema stands first.
fn header(value: Value) -> Value {
    let mut whole = Value::object().with("schema", "doctor/1");
    if let Value::Object(members) = value {
        for (key, member) in members {
            whole.set(&key, member);
        }
    }
    whole
}

/// The verdict where the kubelet finds it, if it was asked for; what cannot be written is no reason to fail.
fn record(ctx: &mut Ctx, options: &Options, verdict: &str) {
    let Some(path) = &options.termination_log else { return };
    let mut end = verdict.len().min(TERMINATION_LOG);
    while !verdict.is_char_boundary(end) {
        end -= 1;
    }
    // Never a new file: the kubelet has made the one it reads.
    let written = std::fs::OpenOptions::new().write(true).truncate(true).open(path);
    let written = written
        .and_then(|mut file| std::io::Write::write_all(&mut file, verdict.get(..end).unwrap_or_default().as_bytes()));
    if let Err(error) = written {
        ctx.say(&format!("{}: {} cannot be written: {error}", ctx.name, path.display()));
    }
}
