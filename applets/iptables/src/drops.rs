//! `--drops`: whatever can drop or refuse a packet, what has counted most first.

use std::fmt::Write as _;
use std::io::Write as _;

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_nf::nft::{Expression, NftRule};
use netkit_nf::walk::{Native, Rules};
use netkit_nf::{Counters, Rule, Target, Verdict};

use crate::all::{self, Item, What};
use crate::args::Request;
use crate::views;

/// Something that stops packets.
pub(crate) struct Row {
    pub(crate) place: String,
    pub(crate) text: String,
    pub(crate) counters: Option<Counters>,
}

pub(crate) fn run(ctx: &mut Ctx, request: &Request) -> Result<Exit, Error> {
    let mut notes = Vec::new();
    let raws = views::raw_tables(request, request.family, &mut notes);
    let rules = views::rules(request, request.family, &raws, notes, &views::native_text);
    if rules.legacy.is_empty() && rules.native.is_none() && !rules.notes.is_empty() {
        let why = rules.notes.join("; ");
        return Err(views::refused(ctx, &why));
    }
    let mut rows = Vec::new();
    all::visit(&rules, &mut |item| {
        let wanted = request.table.as_deref().is_none_or(|table| table == item.table);
        if wanted && stops(&rules, item) {
            rows.push(Row { place: item.place(), text: item.text(&rules), counters: item.counters() });
        }
    });
    sort(&mut rows);
    let notes = rules.notes.clone();
    if request.options.json {
        let value = Value::object()
            .with("schema", "iptables-drops/1")
            .with("rules", rows.iter().map(value).collect::<Vec<_>>())
            .with("conntrack", conntrack())
            .with("notes", notes);
        ctx.stdout.write_all(value.pretty().as_bytes())?;
        return Ok(Exit::OK);
    }
    let mut out = String::new();
    if rows.is_empty() {
        out.push_str("no rule and no policy drops or rejects anything\n");
    } else {
        out.push_str("    pkts      bytes rule\n");
    }
    for row in &rows {
        push(&mut out, row);
    }
    ctx.stdout.write_all(out.as_bytes())?;
    for note in &notes {
        ctx.say(&format!("{}: {note}", ctx.name.clone()));
    }
    if let Some(line) = views::conntrack_line() {
        ctx.say(&line);
    }
    Ok(Exit::OK)
}

/// Most packets first; what does not count comes last.
pub(crate) fn sort(rows: &mut [Row]) {
    rows.sort_by_key(|row| {
        std::cmp::Reverse(row.counters.map(|counters| counters.packets.saturating_add(1)).unwrap_or(0))
    });
}

pub(crate) fn push(out: &mut String, row: &Row) {
    let _ = match row.counters {
        Some(counters) => writeln!(out, "{:8} {:10} {} {}", counters.packets, counters.bytes, row.place, row.text),
        None => writeln!(out, "{:>8} {:>10} {} {}", "-", "-", row.place, row.text),
    };
}

pub(crate) fn value(row: &Row) -> Value {
    Value::object()
        .with("place", row.place.as_str())
        .with("rule", row.text.as_str())
        .with("packets", row.counters.map(|counters| counters.packets))
        .with("bytes", row.counters.map(|counters| counters.bytes))
}

/// How full the connection table is.
pub(crate) fn conntrack() -> Value {
    match views::conntrack() {
        Some((count, max)) => Value::object().with("entries", count).with("limit", max),
        None => Value::Null,
    }
}

fn stops(rules: &Rules<'_>, item: &Item<'_>) -> bool {
    match &item.what {
        What::Head(head) => head.drops == Some(true),
        What::Rule(rule) => rule_stops(rule),
        What::Native(rule) => native_stops(rules.native.as_ref(), rule),
        What::Broken(_) => false,
    }
}

fn rule_stops(rule: &Rule<'_>) -> bool {
    match &rule.target {
        Target::Verdict(verdict) => *verdict == Verdict::Drop,
        Target::Extension(found) => matches!(&*found.name, "REJECT" | "DROP" | "TARPIT" | "DELUDE" | "STEAL"),
        _ => false,
    }
}

fn native_stops(native: Option<&Native>, rule: &NftRule<'_>) -> bool {
    rule.expressions.iter().any(|expression| match expression {
        Expression::Verdict { code, .. } => *code == 0,
        Expression::Reject { .. } => true,
        Expression::Target { name, .. } => name == "REJECT",
        // A verdict map drops where one of its elements says so.
        Expression::Lookup { set, to: Some(0), .. } => {
            native.is_some_and(|native| native.map_drops(rule.family, &rule.table, set))
        }
        _ => false,
    })
}
