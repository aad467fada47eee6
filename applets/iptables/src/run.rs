//! From the request to the text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use netkit_core::privilege::{Capability, missing};
use netkit_core::{Ctx, Error, Exit, front};
use netkit_nf::list::{self, Heading};
use netkit_nf::{Family, Policy, Rule, save};
use netkit_sys::{ipset, xtables};

use crate::args::{self, Action, Backend, Request, Selection};
use crate::backend::{self, Head, Nft, Trouble, View};
use crate::{names, owners, views};

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
    if let Some(view) = &request.options.view {
        wanted(request)?;
        return views::run(ctx, request, view);
    }
    if request.options.json && request.action != Action::Version {
        wanted(request)?;
        return views::run_json(ctx, request);
    }
    let (legacy, nft) = backends(request);
    if request.action == Action::Version {
        let word = match (&legacy, &nft) {
            (_, None) => "legacy",
            (Ok(names), Some(Err(_))) if !names.is_empty() => "legacy",
            (Ok(names), Some(Ok(nft))) if !names.is_empty() && nft.tables().is_empty() => "legacy",
            _ => "nf_tables",
        };
        let line = format!("{} v{PEER} ({word})\n", base_name(&ctx.name));
        ctx.stdout.write_all(line.as_bytes())?;
        return Ok(Exit::OK);
    }
    let tables = wanted(request)?;
    if request.backend == Backend::Nft
        && xtables::names(request.family == Family::Ipv6).is_ok_and(|names| !names.is_empty())
    {
        let base = if request.family == Family::Ipv6 { "ip6tables-legacy" } else { "iptables-legacy" };
        let save = if request.action == Action::Save { "-save" } else { "" };
        ctx.say(&format!("# Warning: {base} tables present, use {base}{save} to see them"));
    }
    let only = match &request.action {
        Action::List(Selection { chain, .. }) | Action::Spec(Selection { chain, .. }) => chain.as_deref(),
        _ => None,
    };
    let write = writer(request);
    let mut printer = Printer { request, backends: Vec::new(), found: false };
    let mut refused = None;
    let mut settle = |outcome: Result<(), Trouble>| match outcome {
        Ok(()) => Ok(()),
        Err(Trouble::Read(why)) => {
            refused = Some(why);
            Ok(())
        }
        Err(Trouble::Print(error)) => Err(error),
    };
    let is_wanted = |name: &&String| tables.is_none_or(|wanted| wanted == name.as_str());
    match legacy {
        Ok(names) => {
            for name in names.iter().filter(is_wanted) {
                let mut show = |view: &View<'_>| printer.show(ctx, view);
                settle(backend::legacy(request.family, name, &*write, &mut show))?;
            }
        }
        Err(why) => settle(Err(Trouble::Read(why)))?,
    }
    match nft {
        None => {}
        Some(Ok(mut nft)) => {
            let names: Vec<String> = nft.tables().iter().filter(is_wanted).cloned().collect();
            if !names.is_empty() {
                let mut show = |view: &View<'_>| printer.show(ctx, view);
                settle(nft.read(&names, only, &*write, &mut show))?;
            }
        }
        Some(Err(why)) => settle(Err(Trouble::Read(why)))?,
    }
    if printer.backends.is_empty() {
        if let Some(why) = refused {
            let still = readable(request.family == Family::Ipv6);
            ctx.say(&missing(Capability::NetAdmin, "reading the packet filter", &still));
            return Err(Error::new(Exit(4), format!("cannot read the packet filter: {why}")));
        }
        if let (Some(name), false) = (tables, request.action == Action::Save) {
            backend::empty(name, &mut |view| printer.show(ctx, view))?;
        }
    }
    if ["legacy", "nf_tables"].iter().all(|backend| printer.backends.contains(backend)) {
        let name = &ctx.name;
        ctx.say(&format!("{name}: both backends hold rules, and a packet passes both; legacy is shown first"));
        if request.backend == Backend::All {
            owners::say_findings(ctx, request);
        }
    }
    if only.is_some() && !printer.found {
        return Err(Error::new(Exit(1), "No chain/target/match by that name."));
    }
    Ok(Exit::OK)
}

/// What of the packet filter can be read without CAP_NET_ADMIN, with what it says.
fn readable(v6: bool) -> String {
    let number = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/netfilter/{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let mut found = Vec::new();
    if let Ok(names) = xtables::names(v6)
        && !names.is_empty()
    {
        found.push(format!("the names of legacy tables ({})", names.join(", ")));
    }
    if let (Some(count), Some(limit)) = (number("nf_conntrack_count"), number("nf_conntrack_max")) {
        found.push(format!("conntrack's count ({count} of {limit})"));
    }
    if std::path::Path::new("/proc/net/ip_vs").exists() {
        found.push("IPVS services (/proc/net/ip_vs)".to_owned());
    }
    if found.is_empty() { "nothing of it".to_owned() } else { found.join(", ") }
}

/// The name that the peer gives itself: without the backend.
fn base_name(name: &str) -> String {
    let name = if name == "iptables-list" { "iptables" } else { name };
    ["-legacy", "-nft"].iter().fold(name.to_owned(), |name, backend| name.replace(backend, ""))
}

/// Names of legacy tables, or why they cannot be known.
type Legacy = Result<Vec<String>, String>;

/// What each backend has, as far as it is wanted.
fn backends(request: &Request) -> (Legacy, Option<Result<Nft, String>>) {
    let legacy = match request.backend {
        Backend::Nft => Ok(Vec::new()),
        _ => xtables::names(request.family == Family::Ipv6).map_err(|error| error.to_string()),
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
        (Some(name), action) => {
            let status = if *action == Action::Save { 1 } else { 3 };
            Err(Error::new(Exit(status), format!("table '{}' does not exist", netkit_core::text::printable(name)))
                .hint("tables are filter, nat, mangle, raw and security"))
        }
        (None, Action::Save) => Ok(None),
        (None, _) => Ok(Some("filter")),
    }
}

fn writer(request: &Request) -> Box<backend::Writer<'static>> {
    let family = request.family;
    let format = request.format();
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
            (Ok(rule), Action::List(_)) => list::rule(out, family, rule, number, format, &set_name),
            (Ok(rule), Action::Spec(_)) => {
                save::rule_with(out, family, chain, rule, verbose, &set_name, Some(names::lookup));
                out.push('\n');
            }
            (Ok(rule), _) => {
                if counters {
                    let _ = write!(out, "[{}:{}] ", rule.counters.packets, rule.counters.bytes);
                }
                save::rule_with(out, family, chain, rule, false, &set_name, Some(names::lookup));
                out.push('\n');
            }
            (Err(native), _) => {
                let _ = writeln!(out, "# nft: {native}");
            }
        }
    })
}

/// The name of an IP set, each asked for once.
pub(crate) fn set_name(index: u16) -> Option<String> {
    static KNOWN: Mutex<BTreeMap<u16, Option<String>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(index).or_insert_with(|| ipset::name(index).ok().flatten()).clone()
}

/// Prints tables as they are read.
struct Printer<'r> {
    request: &'r Request,
    /// Of the tables shown so far.
    backends: Vec<&'static str>,
    /// A chain that was asked for was there.
    found: bool,
}

impl Printer<'_> {
    fn show(&mut self, ctx: &mut Ctx, view: &View<'_>) -> Result<(), Error> {
        match &self.request.action {
            Action::Save => self.save(ctx, view)?,
            Action::Spec(selection) => self.spec(ctx, view, selection)?,
            Action::List(selection) => self.list(ctx, view, selection)?,
            Action::Version | Action::Help => {}
        }
        self.backends.push(view.backend);
        if view.foreign > 0 {
            let (name, table, rules) = (&ctx.name, view.name, view.foreign);
            ctx.say(&format!(
                "{name}: table {table}: {rules} rules have no iptables form and are shown as nft has them"
            ));
        }
        Ok(())
    }

    fn save(&self, ctx: &mut Ctx, view: &View<'_>) -> Result<(), Error> {
        let (program, suffix) = if view.backend == "legacy" { ("", "") } else { ("nft-", " (nf_tables)") };
        let base = if self.request.family == Family::Ipv6 { "ip6tables" } else { "iptables" };
        let when = ctime(&netkit_core::civil_from_unix(ctx.clock.unix_seconds()));
        let out = &mut ctx.stdout;
        writeln!(out, "# Generated by {base}-{program}save v{PEER}{suffix} on {when}\n*{}", view.name)?;
        for head in view.heads {
            let (policy, counters) = policy(head);
            writeln!(out, ":{} {policy} [{}:{}]", head.name, counters.packets, counters.bytes)?;
        }
        for index in 0..view.heads.len() {
            (view.rules)(index, out)?;
        }
        writeln!(out, "COMMIT\n# Completed on {when}")?;
        Ok(())
    }

    fn spec(&mut self, ctx: &mut Ctx, view: &View<'_>, selection: &Selection) -> Result<(), Error> {
        let out = &mut ctx.stdout;
        let chosen = || view.heads.iter().enumerate().filter(|(_, head)| selection.takes(&head.name));
        for (_, head) in chosen().filter(|_| selection.number.is_none()) {
            let (policy, counters) = policy(head);
            if head.policy.is_none() {
                writeln!(out, "-N {}", head.name)?;
            } else if self.request.verbose {
                writeln!(out, "-P {} {policy} -c {} {}", head.name, counters.packets, counters.bytes)?;
            } else {
                writeln!(out, "-P {} {policy}", head.name)?;
            }
        }
        for (index, _) in chosen() {
            self.found = true;
            (view.rules)(index, out)?;
        }
        Ok(())
    }

    fn list(&mut self, ctx: &mut Ctx, view: &View<'_>, selection: &Selection) -> Result<(), Error> {
        let mut text = String::new();
        for (index, head) in view.heads.iter().enumerate().filter(|(_, head)| selection.takes(&head.name)) {
            if std::mem::replace(&mut self.found, true) {
                text.push('\n');
            }
            if selection.number.is_none() {
                let heading = Heading { name: &head.name, policy: head.policy, references: head.references };
                list::heading(&mut text, &heading, self.request.format());
            }
            ctx.stdout.write_all(text.as_bytes())?;
            text.clear();
            (view.rules)(index, &mut ctx.stdout)?;
        }
        Ok(())
    }
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
