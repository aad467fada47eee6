//! `--json`: chains and rules with their parts, the text of each rule, and the bytes of every extension.

use netkit_core::json::Value;
use netkit_core::text::hex;
use netkit_core::{Ctx, Error, Exit};
use netkit_nf::save::{masked, protocol_text};
use netkit_nf::walk::Rules;
use netkit_nf::{Extension, Interface, Rule, Target, ext};

use crate::all::{self, Item, What};
use crate::args::{Action, Request, Selection};
use crate::views;

pub(crate) fn run(ctx: &mut Ctx, request: &Request) -> Result<Exit, Error> {
    let mut notes = Vec::new();
    let raws = views::raw_tables(request, request.family, &mut notes);
    let rules = views::rules(request, request.family, &raws, notes, &views::native_text);
    if rules.legacy.is_empty() && rules.native.is_none() && !rules.notes.is_empty() {
        let why = rules.notes.join("; ");
        return Err(views::refused(ctx, &why));
    }
    let all = Selection::default();
    let selection = match &request.action {
        Action::List(selection) | Action::Spec(selection) => selection,
        _ => &all,
    };
    let table = match (&request.table, &request.action) {
        (Some(table), _) => Some(table.as_str()),
        (None, Action::Save) => None,
        (None, _) => Some("filter"),
    };
    // Chains one a line, so that a large table needs no large memory.
    let out: &mut dyn std::io::Write = &mut ctx.stdout;
    write!(out, "{{\"schema\":\"iptables/1\",\"chains\":[")?;
    let (mut failed, mut open, mut first_rule, mut found) = (None, false, true, false);
    all::visit(&rules, &mut |item| {
        let own = item.backend == "legacy" || all::is_iptables(all::number(rules.family), item.table);
        let wanted = own
            && item.family == netkit_nf::nft::family::name(all::number(rules.family))
            && table.is_none_or(|table| table == item.table)
            && selection.takes(item.chain)
            && (item.number == 0 || selection.number.is_none_or(|number| number == item.number));
        if !wanted || failed.is_some() {
            return;
        }
        let mut line = String::new();
        if let What::Head(head) = &item.what {
            line.push_str(if std::mem::replace(&mut open, true) { "]},\n" } else { "\n" });
            let mut value = place(item)
                .with("hook", head.hook.as_deref())
                .with("policy", head.drops.map(|drops| if drops { "DROP" } else { "ACCEPT" }));
            if head.drops.is_none() {
                value.set("references", head.references);
            }
            if let Some(counters) = head.counters {
                value.set("packets", counters.packets);
                value.set("bytes", counters.bytes);
            }
            let text = value.to_string();
            line.push_str(text.strip_suffix('}').unwrap_or(&text));
            line.push_str(",\"rules\":[");
            first_rule = true;
            found = true;
        } else {
            line.push_str(if std::mem::replace(&mut first_rule, false) { "\n" } else { ",\n" });
            line.push_str(&rule(&rules, item).to_string());
        }
        if let Err(error) = out.write_all(line.as_bytes()) {
            failed = Some(error);
        }
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    out.write_all(if open { b"]}\n]}\n" } else { b"]}\n" })?;
    if !found && selection.chain.is_some() {
        return Err(Error::new(Exit(1), "No chain/target/match by that name."));
    }
    Ok(Exit::OK)
}

fn place(item: &Item<'_>) -> Value {
    Value::object()
        .with("backend", item.backend)
        .with("family", item.family)
        .with("table", item.table)
        .with("chain", item.chain)
}

fn rule(rules: &Rules<'_>, item: &Item<'_>) -> Value {
    let mut value = Value::object().with("number", item.number);
    if let Some(counters) = item.counters() {
        value.set("packets", counters.packets);
        value.set("bytes", counters.bytes);
    }
    match &item.what {
        What::Rule(rule) => parts(&mut value, rules, rule),
        What::Native(rule) => {
            value.set("handle", rule.handle);
            value.set("native", true);
            value.set("expressions", rule.expressions.iter().map(|found| found.name()).collect::<Vec<_>>());
        }
        What::Broken(why) => value.set("error", why.as_str()),
        What::Head(_) => {}
    }
    value.set("raw", item.text(rules));
    value
}

fn parts(value: &mut Value, rules: &Rules<'_>, rule: &Rule<'_>) {
    let header = &rule.header;
    let mut put = |key: &str, negated: bool, text: String| {
        value.set(key, text);
        if negated {
            value.set(&format!("{key}_negated"), true);
        }
    };
    let addresses = [("source", &header.source), ("destination", &header.destination)];
    for (key, address) in addresses {
        if let Some(found) = address {
            put(key, found.negated, masked(&found.value));
        }
    }
    for (key, interface) in [("in", &header.input), ("out", &header.output)] {
        if let Some(found) = interface {
            put(key, found.negated, interface_text(&found.value));
        }
    }
    if let Some(found) = &header.protocol {
        put("protocol", found.negated, protocol_text(found.value, rules.family));
    }
    if let Some(found) = &header.fragment {
        put("fragment", found.negated, "later".to_owned());
    }
    let context = ext::Context {
        family: rules.family,
        protocol: header.protocol.as_ref().filter(|found| !found.negated).map_or(0, |found| found.value),
        numeric: true,
        save: true,
        names: None,
        sets: rules.sets,
    };
    let options = |found: &Extension<'_>, write: fn(&mut String, &Extension<'_>, &ext::Context<'_>)| {
        let mut text = String::new();
        write(&mut text, found, &context);
        extension(found).with("options", text.trim_start())
    };
    let matches: Vec<Value> = rule.matches.iter().map(|found| options(found, ext::save_match)).collect();
    value.set("matches", matches);
    match &rule.target {
        Target::None => {}
        Target::Verdict(verdict) => value.set("target", verdict.name().unwrap_or("unknown")),
        Target::Chain { name, goto } => value.set(if *goto { "goto" } else { "jump" }, &**name),
        Target::Extension(found) => {
            value.set("target", &*found.name);
            value.set("target_extension", options(found, ext::save_target));
        }
    }
}

fn interface_text(interface: &Interface<'_>) -> String {
    format!("{}{}", interface.name, if interface.prefix { "+" } else { "" })
}

fn extension(found: &Extension<'_>) -> Value {
    Value::object().with("name", &*found.name).with("revision", found.revision).with("data", hex(&found.data))
}
