//! `dig --as glibc,musl,go,dig NAME`: what each resolver would ask here, what it would return, and why they differ.

use std::fmt::Write as _;
use std::fs;

use netkit_core::json::Value;
use netkit_core::rooted;
use netkit_core::{Ctx, Error, Exit};
use netkit_dns::hosts::Hosts;
use netkit_dns::resolv_conf::ResolvConf;
use netkit_dns::simulate::{self, Attempt, Code, Family, Resolver, Verdict, World};
use netkit_dns::{HOSTS, RESOLV_CONF};
use netkit_wire::dns::RrType;

use crate::modes::Request;

/// Status when every resolver finds an address.
const ALL_FIND: Exit = Exit(0);
/// Status when at least one does not.
const SOME_FAIL: Exit = Exit(1);

pub(crate) fn run(ctx: &mut Ctx, request: &Request, resolvers: &[Resolver]) -> Result<Exit, Error> {
    let family = match request.rtype {
        None => Family::Unspecified,
        Some(RrType::A) => Family::Inet,
        Some(RrType::AAAA) => Family::Inet6,
        Some(other) => {
            return Err(Error::usage(format!(
                "--as looks addresses up as getaddrinfo(3) does, so only A and AAAA, not {other}"
            )));
        }
    };
    let world = world(ctx, request)?;
    // One after the other: their queries must not be mixed up at the server.
    let verdicts: Vec<Verdict> =
        resolvers.iter().map(|resolver| simulate::run(*resolver, &request.name, family, &world)).collect();
    if request.json {
        writeln!(ctx.stdout, "{}", json(request, &verdicts))?;
    } else {
        ctx.stdout.write_all(text(request, &world, &verdicts).as_bytes())?;
    }
    Ok(if verdicts.iter().all(|verdict| verdict.code == Code::Ok) { ALL_FIND } else { SOME_FAIL })
}

fn world(ctx: &Ctx, request: &Request) -> Result<World, Error> {
    let failed = |path: &std::path::Path, error: std::io::Error| {
        Error::new(Exit(1), format!("cannot read {}: {error}", path.display()))
    };
    let path = request.path(RESOLV_CONF);
    let resolv_conf = match ResolvConf::read(&path) {
        Ok(conf) => Some(conf),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && request.from_pid.is_none() => None,
        Err(error) => return Err(failed(&path, error)),
    };
    let path = request.path(HOSTS);
    let hosts = Hosts::read(&path).map_err(|error| failed(&path, error))?;
    // Another process's environment is its own; only ours is known without reading its memory.
    let own = |name: &str| if request.from_pid.is_none() { ctx.var(name).map(str::to_owned) } else { None };
    Ok(World {
        resolv_conf,
        hosts,
        nsswitch: rooted::read_text(&request.path("/etc/nsswitch.conf"), netkit_dns::MAX_CONF).ok(),
        host_conf: rooted::read_text(&request.path("/etc/host.conf"), netkit_dns::MAX_CONF).ok(),
        localdomain: own("LOCALDOMAIN"),
        res_options: own("RES_OPTIONS"),
        hostname: fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
        port: request.port,
    })
}

fn result(verdict: &Verdict) -> String {
    match verdict.code {
        Code::Ok => {
            let addresses: Vec<String> = verdict.answers.iter().map(ToString::to_string).collect();
            addresses.join(" ")
        }
        code => code.to_string(),
    }
}

fn text(request: &Request, world: &World, verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    let conf = world.resolv_conf.clone().unwrap_or_default();
    let _ = writeln!(
        out,
        ";; {}: {} name server{}, search [{}], options [{}]",
        request.path(RESOLV_CONF).display(),
        conf.nameservers.len(),
        if conf.nameservers.len() == 1 { "" } else { "s" },
        conf.search.join(" "),
        conf.options.join(" ")
    );
    for warning in &conf.warnings {
        let _ = writeln!(out, ";; WARNING: {warning}");
    }
    for verdict in verdicts {
        let count = verdict.attempts.len();
        let _ = writeln!(
            out,
            "\n;; {}: {}, {count} {} in {} ms",
            verdict.resolver.name(),
            result(verdict),
            if count == 1 { "query" } else { "queries" },
            verdict.elapsed.as_millis()
        );
        for attempt in &verdict.attempts {
            let _ = writeln!(
                out,
                "{:>6} ms  {:<22} {:<4} {:<5} {:<40} {}",
                attempt.sent_after.as_millis(),
                server(attempt),
                transport(attempt),
                attempt.rtype,
                attempt.name,
                attempt.outcome
            );
        }
        let _ = writeln!(out, "   {}", verdict.why);
    }
    let _ = writeln!(out, "\n;; VERDICT: {}", sentence(&request.name, verdicts));
    out
}

fn server(attempt: &Attempt) -> String {
    format!("{}#{}", attempt.server.ip(), attempt.server.port())
}

fn transport(attempt: &Attempt) -> &'static str {
    if attempt.tcp { "tcp" } else { "udp" }
}

/// One plain sentence on who finds the name and who does not.
fn sentence(name: &str, verdicts: &[Verdict]) -> String {
    let (found, lost): (Vec<&Verdict>, Vec<&Verdict>) = verdicts.iter().partition(|verdict| verdict.code == Code::Ok);
    let names = |list: &[&Verdict]| list.iter().map(|verdict| verdict.resolver.name()).collect::<Vec<_>>().join(", ");
    match (found.first(), lost.first()) {
        (Some(first), None) => {
            let set = |verdict: &Verdict| {
                let mut set = verdict.answers.clone();
                set.sort_unstable();
                set
            };
            // dig looks up one type only, so it may hold less without being wrong.
            let same = found
                .iter()
                .filter(|verdict| verdict.resolver != Resolver::Dig)
                .all(|verdict| set(verdict) == set(first));
            if same {
                format!("{name} resolves for every one of them")
            } else {
                format!("{name} resolves, but not to the same addresses")
            }
        }
        (None, Some(first)) => format!("{name} resolves for none of them: {}", first.why),
        (Some(_), Some(first)) => {
            format!("{name} resolves for {}, and not for {}: {}", names(&found), names(&lost), first.why)
        }
        (None, None) => "no resolver was chosen".to_owned(),
    }
}

fn json(request: &Request, verdicts: &[Verdict]) -> Value {
    let query = |attempt: &Attempt| {
        Value::object()
            .with("server", attempt.server.ip().to_string())
            .with("port", attempt.server.port())
            .with("transport", transport(attempt))
            .with("name", attempt.name.to_string())
            .with("type", attempt.rtype.to_string())
            .with("outcome", attempt.outcome.to_string())
            .with("sent_us", attempt.sent_after.as_micros())
            .with("rtt_us", attempt.rtt.map(|rtt| rtt.as_micros()))
    };
    let resolver = |verdict: &Verdict| {
        Value::object()
            .with("resolver", verdict.resolver.name())
            .with("queries", verdict.attempts.iter().map(query).collect::<Vec<_>>())
            .with("answers", verdict.answers.iter().map(ToString::to_string).collect::<Vec<_>>())
            .with("result", verdict.code.to_string())
            .with("why", verdict.why.as_str())
            .with("elapsed_us", verdict.elapsed.as_micros())
    };
    Value::object()
        .with("schema", "dig.as/1")
        .with("name", request.name.as_str())
        .with("resolvers", verdicts.iter().map(resolver).collect::<Vec<_>>())
        .with("verdict", sentence(&request.name, verdicts))
}
