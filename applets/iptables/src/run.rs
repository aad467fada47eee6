//! From the request to the text.

use std::fmt::Write as _;
use std::io::Write as _;

use netkit_core::privilege::{Capability, missing};
use netkit_core::{Ctx, Error, Exit, front};
use netkit_nf::list::{self, Format, Heading};
use netkit_nf::{Policy, Rule, save};
use netkit_sys::xtables;

use crate::args::{self, Action, Backend, Request, Selection};
use crate::backend::{self, Head, Nft, Table};

/// The version whose output is followed.
const PEER: &str = "1.8.11";

/// `iptables -L`, `-S`
pub(crate) fn list(ctx: &mut Ctx) -> Result<Exit, Error> {
    let request = args::list(&ctx.name, &ctx.args_lossy())?;
    run(ctx, &request)
}

/// `iptables-save`
pub(crate) fn save(ctx: &mut Ctx) -> Result<Exit, Error> {
    let request = args::save(&ctx.name, &ctx.args_lossy())?;
    run(ctx, &request)
}

fn run(ctx: &mut Ctx, request: &Request) -> Result<Exit, Error> {
    if request.action == Action::Help {
        let name = ctx.name.clone();
        let page = crate::APPLETS
            .iter()
            .find(|applet| applet.name == name || applet.aliases.contains(&name.as_str()))
            .map(front::help_page)
            .unwrap_or_default();
        ctx.stdout.write_all(page.as_bytes())?;
        return Ok(Exit::OK);
    }
    if let Some(target) = &request.netns {
        netkit_sys::netns::enter(target)?;
    }
    let (legacy, nft) = backends(request);
    if request.action == Action::Version {
        let word = match (&legacy, &nft) {
            (_, None) => "legacy",
            (Ok(names), Some(Err(_))) if !names.is_empty() => "legacy",
            (Ok(names), Some(Ok(nft))) if !names.is_empty() && nft.tables().is_empty() => "legacy",
            _ => "nf_tables",
        };
        let name = &ctx.name;
        let line = format!("{name} v{PEER} ({word})\n");
        ctx.stdout.write_all(line.as_bytes())?;
        return Ok(Exit::OK);
    }
    let tables = wanted(request)?;
    let only = match &request.action {
        Action::List(Selection { chain, .. }) | Action::Spec(Selection { chain, .. }) => chain.as_deref(),
        _ => None,
    };
    let write = writer(request);
    let mut shown: Vec<(&str, Table)> = Vec::new();
    let mut refused = None;
    match legacy {
        Ok(names) => {
            for name in names.iter().filter(|name| tables.is_none_or(|wanted| wanted == name.as_str())) {
                match backend::legacy(request.family, name, only, &*write) {
                    Ok(table) => shown.push(("legacy", table)),
                    Err(error) => refused = Some(error.to_string()),
                }
            }
        }
        Err(error) => refused = Some(error),
    }
    match nft {
        None => {}
        Some(Ok(mut nft)) => {
            let names: Vec<String> = nft
                .tables()
                .iter()
                .filter(|name| tables.is_none_or(|wanted| wanted == name.as_str()))
                .cloned()
                .collect();
            if !names.is_empty() {
                match nft.read(&names, only, &*write) {
                    Ok(read) => shown.extend(read.into_iter().map(|table| ("nf_tables", table))),
                    Err(error) => refused = Some(error.to_string()),
                }
            }
        }
        Some(Err(error)) => refused = Some(error),
    }
    if shown.is_empty() {
        if let Some(why) = refused {
            ctx.say(&missing(Capability::NetAdmin, "reading the packet filter", "nothing of it"));
            return Err(Error::new(Exit(4), format!("cannot read the packet filter: {why}")));
        }
        if let (Some(name), false) = (tables, request.action == Action::Save) {
            shown.extend(backend::empty(name).map(|table| ("none", table)));
        }
    }
    print(ctx, request, &shown)
}

/// Names of legacy tables, or why they cannot be known.
type Legacy = Result<Vec<String>, String>;

/// What each backend has, as far as it is wanted.
fn backends(request: &Request) -> (Legacy, Option<Result<Nft, String>>) {
    let legacy = match request.backend {
        Backend::Nft => Ok(Vec::new()),
        _ => xtables::names(request.family == netkit_nf::Family::Ipv6).map_err(|error| error.to_string()),
    };
    let nft = match request.backend {
        Backend::Legacy => None,
        _ => Some(Nft::open(request.family).map_err(|error| error.to_string())),
    };
    (legacy, nft)
}

/// The one table to show; all of them for iptables-save without `-t`.
///
/// # Errors
/// For a name that iptables does not know.
fn wanted(request: &Request) -> Result<Option<&str>, Error> {
    match (&request.table, &request.action) {
        (Some(name), _) if backend::TABLES.iter().any(|(known, _)| known == name) => Ok(Some(name)),
        (Some(name), _) => {
            Err(Error::new(Exit(3), format!("table '{}' does not exist", netkit_core::text::printable(name)))
                .hint("tables are filter, nat, mangle, raw and security"))
        }
        (None, Action::Save) => Ok(None),
        (None, _) => Ok(Some("filter")),
    }
}

fn writer(request: &Request) -> Box<backend::Writer<'static>> {
    let family = request.family;
    let format = Format {
        numeric: request.numeric,
        verbose: request.verbose,
        exact: request.exact,
        line_numbers: request.line_numbers,
    };
    let (verbose, counters) = (request.verbose, request.counters);
    let number_wanted = match &request.action {
        Action::List(selection) | Action::Spec(selection) => selection.number,
        _ => None,
    };
    let action = request.action.clone();
    Box::new(move |out: &mut String, chain: &str, number: usize, rule: Result<&Rule<'_>, String>| {
        if number_wanted.is_some_and(|wanted| wanted != number) {
            return;
        }
        match (rule, &action) {
            (Ok(rule), Action::List(_)) => list::rule(out, family, rule, number, format),
            (Ok(rule), Action::Spec(_)) => {
                save::rule(out, family, chain, rule, verbose);
                out.push('\n');
            }
            (Ok(rule), _) => {
                if counters {
                    let _ = write!(out, "[{}:{}] ", rule.counters.packets, rule.counters.bytes);
                }
                save::rule(out, family, chain, rule, false);
                out.push('\n');
            }
            (Err(why), _) => {
                let _ = writeln!(out, "# nft: rule {number} of {chain} has no iptables form ({why})");
            }
        }
    })
}

fn print(ctx: &mut Ctx, request: &Request, shown: &[(&str, Table)]) -> Result<Exit, Error> {
    let mut found = false;
    for (backend, table) in shown {
        let mut out = String::new();
        match &request.action {
            Action::Save => {
                let program = if *backend == "legacy" { "" } else { "nft-" };
                let base = if request.family == netkit_nf::Family::Ipv6 { "ip6tables" } else { "iptables" };
                let suffix = if *backend == "legacy" { "" } else { " (nf_tables)" };
                let now = netkit_core::civil_from_unix(ctx.clock.unix_seconds());
                let when = ctime(&now);
                let _ = write!(out, "# Generated by {base}-{program}save v{PEER}{suffix} on {when}\n*{}\n", table.name);
                for (head, _) in &table.chains {
                    let (policy, counters) = policy(head);
                    let _ = writeln!(out, ":{} {policy} [{}:{}]", head.name, counters.packets, counters.bytes);
                }
                ctx.stdout.write_all(out.as_bytes())?;
                for (_, rules) in &table.chains {
                    ctx.stdout.write_all(rules.as_bytes())?;
                }
                let end = format!("COMMIT\n# Completed on {when}\n");
                ctx.stdout.write_all(end.as_bytes())?;
                found = true;
            }
            Action::Spec(selection) => {
                let chosen: Vec<&(Head, String)> = choose(table, selection);
                found |= !chosen.is_empty();
                for (head, _) in chosen.iter().filter(|_| selection.number.is_none()) {
                    let (policy, counters) = policy(head);
                    let letter = if head.policy.is_some() { 'P' } else { 'N' };
                    let _ = write!(out, "-{letter} {}", head.name);
                    if head.policy.is_some() {
                        let _ = write!(out, " {policy}");
                        if request.verbose {
                            let _ = write!(out, " -c {} {}", counters.packets, counters.bytes);
                        }
                    }
                    out.push('\n');
                }
                ctx.stdout.write_all(out.as_bytes())?;
                for (_, rules) in chosen {
                    ctx.stdout.write_all(rules.as_bytes())?;
                }
            }
            Action::List(selection) => {
                let format = Format {
                    numeric: request.numeric,
                    verbose: request.verbose,
                    exact: request.exact,
                    line_numbers: request.line_numbers,
                };
                let chosen: Vec<&(Head, String)> = choose(table, selection);
                for (index, (head, rules)) in chosen.iter().enumerate() {
                    if index > 0 || found {
                        out.push('\n');
                    }
                    if selection.number.is_none() {
                        let heading = Heading { name: &head.name, policy: head.policy, references: head.references };
                        list::heading(&mut out, &heading, format);
                    }
                    ctx.stdout.write_all(out.as_bytes())?;
                    out.clear();
                    ctx.stdout.write_all(rules.as_bytes())?;
                }
                found |= !chosen.is_empty();
            }
            Action::Version | Action::Help => {}
        }
        if table.foreign > 0 {
            ctx.say(&format!(
                "{}: table {}: {} rules have no iptables form; nft shows them",
                ctx.name, table.name, table.foreign
            ));
        }
    }
    let both = shown.iter().any(|(backend, _)| *backend == "legacy")
        && shown.iter().any(|(backend, _)| *backend == "nf_tables");
    if both {
        ctx.say(&format!(
            "{}: both backends hold rules, and a packet passes both: legacy first shown, nf_tables after",
            ctx.name
        ));
    }
    match &request.action {
        Action::List(Selection { chain: Some(_), .. }) | Action::Spec(Selection { chain: Some(_), .. }) if !found => {
            Err(Error::new(Exit(1), "No chain/target/match by that name."))
        }
        _ => Ok(Exit::OK),
    }
}

fn choose<'t>(table: &'t Table, selection: &Selection) -> Vec<&'t (Head, String)> {
    table.chains.iter().filter(|(head, _)| selection.chain.as_ref().is_none_or(|wanted| *wanted == head.name)).collect()
}

fn policy(head: &Head) -> (&'static str, netkit_nf::Counters) {
    match head.policy {
        Some(Policy { verdict, counters, .. }) => (verdict.name().unwrap_or("-"), counters),
        None => ("-", netkit_nf::Counters::default()),
    }
}

/// As ctime(3), in UTC.
fn ctime(now: &netkit_core::Civil) -> String {
    let (day, month) = (now.weekday_name(), now.month_name());
    format!("{day} {month} {:2} {:02}:{:02}:{:02} {}", now.day, now.hour, now.minute, now.second, now.year)
}
