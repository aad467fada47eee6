//! What netkit asks of the packet filter beyond listing it: options, and the way to each view.

use std::cell::RefCell;

use netkit_core::privilege::{Capability, missing};
use netkit_core::{Ctx, Error, Exit};
use netkit_nf::Family;
use netkit_nf::legacy::{Blob, Info};
use netkit_nf::nft::{NftRule, Userdata};
use netkit_nf::walk::{self, LegacyTable, Rules};
use netkit_sys::xtables;

use crate::args::{Backend, Request};
use crate::nft::Native;
use crate::{diff, drops, hits, json, owners, svc, trace};

/// A view and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// `--trace`
    Trace(String),
    /// `--svc`
    Svc(String),
    /// `--drops`
    Drops,
    /// `--hits`, in milliseconds.
    Hits(u64),
    /// `--diff`
    Diff(String),
    /// `--owners`
    Owners,
}

/// Options of the views, as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) view: Option<View>,
    pub(crate) from: Option<String>,
    pub(crate) input: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) json: bool,
}

/// Their long names.
pub(crate) const NAMES: [&str; 9] =
    ["--trace", "--from", "--state", "--svc", "--drops", "--hits", "--diff", "--owners", "--json"];

/// Longest time that `--hits` counts.
const LONGEST_HITS: f64 = 86_400.0;

impl Options {
    /// Takes an option of ours; `None` when it is not one.
    pub(crate) fn take(
        &mut self,
        option: &str,
        value: &mut dyn FnMut() -> Result<String, Error>,
    ) -> Option<Result<(), Error>> {
        let view = match option {
            "--json" => {
                self.json = true;
                return Some(Ok(()));
            }
            "-i" => {
                let place = &mut self.input;
                return Some(value().map(|text| *place = Some(text)));
            }
            "--from" => {
                let place = &mut self.from;
                return Some(value().map(|text| *place = Some(text)));
            }
            "--state" => {
                let place = &mut self.state;
                return Some(value().map(|text| *place = Some(text)));
            }
            "--drops" => Ok(View::Drops),
            "--owners" => Ok(View::Owners),
            "--trace" => value().map(View::Trace),
            "--svc" => value().map(View::Svc),
            "--diff" => value().map(View::Diff),
            "--hits" => value().and_then(|text| seconds(&text)).map(View::Hits),
            _ => return None,
        };
        Some(view.and_then(|view| match self.view.replace(view) {
            None => Ok(()),
            Some(_) => Err(Error::usage(format!("{option}: one of --trace, --svc, --drops, --hits, --diff, --owners"))),
        }))
    }

    /// What belongs to `--trace` alone.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let tracing = matches!(self.view, Some(View::Trace(_)));
        for (option, given) in
            [("--from", self.from.is_some()), ("-i", self.input.is_some()), ("--state", self.state.is_some())]
        {
            if given && !tracing {
                return Err(Error::usage(format!("{option} goes with --trace only")));
            }
        }
        Ok(())
    }
}

fn seconds(text: &str) -> Result<u64, Error> {
    let wrong = || Error::usage(format!("--hits: '{}' is no number of seconds", netkit_core::text::printable(text)));
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = text.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
    if !(0.0..=LONGEST_HITS).contains(&number) {
        return Err(wrong());
    }
    // In whole milliseconds, and within bounds as just checked.
    format!("{:.0}", number * 1000.0).parse().map_err(|_| wrong())
}

/// A legacy table as it came from the kernel.
pub(crate) type Raw = (String, xtables::Blob);

/// Reads the legacy tables that exist; why not, for those that cannot be read.
pub(crate) fn raw_tables(request: &Request, family: Family, notes: &mut Vec<String>) -> Vec<Raw> {
    if request.backend == Backend::Nft {
        return Vec::new();
    }
    let v6 = family == Family::Ipv6;
    let names = match xtables::names(v6) {
        Ok(names) => names,
        Err(error) => {
            notes.push(format!("legacy tables cannot be read: {error}"));
            return Vec::new();
        }
    };
    let mut tables = Vec::new();
    for name in names {
        match xtables::read(&name, v6) {
            Ok(raw) => tables.push((name, raw)),
            Err(error) => notes.push(format!("the legacy table {name} cannot be read: {error}")),
        }
    }
    tables
}

/// Everything that can be read, for one family; `raws` are what [`raw_tables`] gave.
pub(crate) fn rules<'a>(
    request: &Request,
    family: Family,
    raws: &'a [Raw],
    mut notes: Vec<String>,
    text: &'a dyn Fn(&NftRule<'_>) -> String,
) -> Rules<'a> {
    let mut legacy = Vec::new();
    for (name, raw) in raws {
        let info = Info { valid_hooks: raw.valid_hooks, hook_entry: raw.hook_entry, underflow: raw.underflow };
        match Blob::read(family, &info, &raw.entries) {
            Ok(blob) => legacy.push(LegacyTable { name: name.clone(), blob }),
            Err(malformed) => notes.push(format!("the legacy table {name} cannot be read: {malformed}")),
        }
    }
    let native = match request.backend {
        Backend::Legacy => None,
        _ => match walk::Native::open() {
            Ok(native) => Some(native),
            // A kernel without nf_tables has no such rules.
            Err(error) if error.is_unsupported() => None,
            Err(error) => {
                notes.push(format!("nf_tables cannot be read: {error}"));
                None
            }
        },
    };
    Rules { family, legacy, native, sets: &crate::run::set_name, text, notes }
}

thread_local! {
    /// Opened with the first native rule.
    static NATIVE: RefCell<Native> = RefCell::default();
}

/// Text of a rule that iptables has no words for, as nft writes it, without what it has counted.
pub(crate) fn native_text(rule: &NftRule<'_>) -> String {
    let counted = NATIVE.with_borrow_mut(|native| native.text(rule));
    let mut words = counted.split(' ').peekable();
    let mut out = String::new();
    while let Some(word) = words.next() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if word == "counter" && words.peek() == Some(&"packets") {
            // packets N bytes M
            words.nth(3);
        }
    }
    if let Some(comment) = Userdata(rule.userdata).text(0) {
        out.push_str(&format!(" comment \"{comment}\""));
    }
    out
}

/// Shows a view.
pub(crate) fn run(ctx: &mut Ctx, request: &Request, view: &View) -> Result<Exit, Error> {
    match view {
        View::Trace(packet) => trace::run(ctx, request, packet),
        View::Svc(service) => svc::run(ctx, request, service),
        View::Drops => drops::run(ctx, request),
        View::Hits(time) => hits::run(ctx, request, *time),
        View::Diff(file) => diff::run(ctx, request, file),
        View::Owners => owners::run(ctx, request),
    }
}

/// `--json` of `-L`, `-S` and iptables-save.
pub(crate) fn run_json(ctx: &mut Ctx, request: &Request) -> Result<Exit, Error> {
    json::run(ctx, request)
}

/// Nothing could be read: what is missing, what still works.
pub(crate) fn refused(ctx: &mut Ctx, why: &str) -> Error {
    if let Some(line) = conntrack_line() {
        ctx.say(&line);
    }
    if let Some(services) = crate::ipvs::services().filter(|services| !services.is_empty()) {
        ctx.say(&format!("IPVS has {} services: --svc shows them", services.len()));
    }
    ctx.say(&missing(Capability::NetAdmin, "reading the packet filter", "conntrack's count, IPVS services"));
    Error::new(Exit(4), format!("cannot read the packet filter: {why}"))
}

/// How full the connection table is; nothing where the kernel tracks none.
pub(crate) fn conntrack() -> Option<(u64, u64)> {
    let read = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/proc/sys/net/netfilter/nf_conntrack_{name}")).ok()?.trim().parse().ok()
    };
    Some((read("count")?, read("max")?))
}

/// The same in words.
pub(crate) fn conntrack_line() -> Option<String> {
    let (count, max) = conntrack()?;
    let share = count.saturating_mul(100).checked_div(max).unwrap_or(0);
    let full = if max != 0 && share >= 90 { ": new connections are dropped when it is full" } else { "" };
    Some(format!("conntrack: {count} of {max} entries ({share}%){full}"))
}
