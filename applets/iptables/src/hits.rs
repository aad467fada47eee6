//! `--hits SECONDS`: the rules whose counters moved.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::time::Duration;

use netkit_core::json::Value;
use netkit_core::{Ctx, Error, Exit};
use netkit_nf::Counters;
use netkit_nf::walk::Rules;

use crate::all::{self, Item, What};
use crate::args::Request;
use crate::drops::{self, Row};
use crate::views;

pub(crate) fn run(ctx: &mut Ctx, request: &Request, milliseconds: u64) -> Result<Exit, Error> {
    let mut before: HashMap<u64, Counters> = HashMap::new();
    read(ctx, request, &mut |rules, item| {
        if let Some(counters) = item.counters() {
            before.insert(key(rules, item), counters);
        }
    })?;
    let seconds = Duration::from_millis(milliseconds);
    ctx.say(&format!("counting for {} s", seconds.as_secs_f64()));
    std::thread::sleep(seconds);
    let mut rows = Vec::new();
    let mut fresh = 0;
    read(ctx, request, &mut |rules, item| {
        let Some(now) = item.counters() else { return };
        match before.get(&key(rules, item)) {
            Some(then) => {
                // Whoever zeroed the counters meanwhile makes them smaller.
                let moved = |now: u64, then: u64| now.checked_sub(then).unwrap_or(now);
                let packets = moved(now.packets, then.packets);
                if packets > 0 {
                    let counters = Some(Counters { packets, bytes: moved(now.bytes, then.bytes) });
                    rows.push(Row { place: item.place(), text: item.text(rules), counters });
                }
            }
            None => fresh += 1,
        }
    })?;
    drops::sort(&mut rows);
    if request.options.json {
        let value = Value::object()
            .with("schema", "iptables-hits/1")
            .with("interval_ms", milliseconds)
            .with("rules", rows.iter().map(drops::value).collect::<Vec<_>>())
            .with("new_rules", fresh);
        ctx.stdout.write_all(value.pretty().as_bytes())?;
        return Ok(Exit::OK);
    }
    let mut out = String::new();
    match rows.is_empty() {
        true => out.push_str("no counter moved\n"),
        false => out.push_str("    pkts      bytes rule\n"),
    }
    for row in &rows {
        drops::push(&mut out, row);
    }
    ctx.stdout.write_all(out.as_bytes())?;
    if fresh > 0 {
        ctx.say(&format!("{fresh} rules or chains are new or elsewhere since, and not compared"));
    }
    Ok(Exit::OK)
}

/// A rule is the same one if it says the same in the same place.
fn key(rules: &Rules<'_>, item: &Item<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    item.place().hash(&mut hasher);
    match &item.what {
        What::Native(rule) => rule.handle.hash(&mut hasher),
        _ => item.text(rules).hash(&mut hasher),
    }
    hasher.finish()
}

fn read(ctx: &mut Ctx, request: &Request, each: &mut dyn FnMut(&Rules<'_>, &Item<'_>)) -> Result<(), Error> {
    let mut notes = Vec::new();
    let raws = views::raw_tables(request, request.family, &mut notes);
    let rules = views::rules(request, request.family, &raws, notes, &views::native_text);
    if rules.legacy.is_empty() && rules.native.is_none() && !rules.notes.is_empty() {
        let why = rules.notes.join("; ");
        return Err(views::refused(ctx, &why));
    }
    all::visit(&rules, &mut |item| {
        if request.table.as_deref().is_none_or(|table| table == item.table) {
            each(&rules, item);
        }
    });
    Ok(())
}
