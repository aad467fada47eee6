//! Tables, chains, sets and objects in nft's words: what stands around rules and elements.

use std::fmt::Write as _;

use super::datatype::{Style, Type, push_time};
use super::elements;
use super::object::{NftFlowtable, NftObject, ObjectData};
use super::set::{NftSet, flag};
use super::symbols;
use super::text;
use super::tree::{Elem, Stateful, Stmt};
use super::{NftChain, NftHook, NftTable, Userdata, family};

fn handle(out: &mut String, number: u64, style: &Style<'_>) {
    if style.handles {
        let _ = write!(out, " # handle {number}");
    }
}

fn comment(out: &mut String, indent: &str, userdata: &[u8], kind: u8) {
    if let Some(text) = Userdata(userdata).text(kind) {
        let _ = writeln!(out, "{indent}comment \"{text}\"");
    }
}

/// Appends a table's first line, its comment and its flags; whether a blank line must follow before anything else.
pub fn table(out: &mut String, table: &NftTable, style: &Style<'_>) -> bool {
    let _ = write!(out, "table {} {} {{", family::name(table.family), table.name);
    handle(out, table.handle, style);
    out.push('\n');
    comment(out, "\t", &table.userdata, 0);
    let flags: Vec<&str> = table_flags(table.flags).collect();
    if !flags.is_empty() {
        let _ = writeln!(out, "\tflags {}", flags.join(","));
    }
    !flags.is_empty()
}

/// NFT_TABLE_F_* in words.
pub fn table_flags(flags: u32) -> impl Iterator<Item = &'static str> {
    [(1, "dormant"), (2, "owner"), (4, "persist")]
        .into_iter()
        .filter(move |(bit, _)| flags & bit != 0)
        .map(|(_, word)| word)
}

/// The name of a hook.
pub fn hook(family: u8, number: u32) -> &'static str {
    let names: &[&'static str] = match family {
        family::NETDEV => &["ingress", "egress"],
        family::ARP => &["input", "output"],
        _ => &["prerouting", "input", "forward", "output", "postrouting", "ingress"],
    };
    usize::try_from(number).ok().and_then(|number| names.get(number)).copied().unwrap_or("unknown")
}

/// Names of priorities, the hook in which they mean something, and their number (nft(8), Standard priority names).
fn priorities(family: u8) -> &'static [(&'static str, Option<u32>, i32)] {
    match family {
        family::BRIDGE => {
            &[("dstnat", Some(0), -300), ("filter", None, -200), ("out", Some(3), 100), ("srcnat", Some(4), 300)]
        }
        family::ARP | family::NETDEV => &[("filter", None, 0)],
        _ => &[
            ("raw", None, -300),
            ("mangle", None, -150),
            ("dstnat", Some(0), -100),
            ("filter", None, 0),
            ("security", None, 50),
            ("srcnat", Some(4), 100),
        ],
    }
}

/// Appends a priority: a name near it and how far it is from there, or the number.
pub fn priority(out: &mut String, family: u8, hook: u32, number: i32, style: &Style<'_>) {
    /// How far from a name it may be.
    const NEAR: i32 = 10;
    let named = priorities(family).iter().find_map(|(name, only, at)| {
        let distance = number.checked_sub(*at)?;
        let here = only.is_none_or(|only| only == hook);
        (here && (-NEAR..=NEAR).contains(&distance)).then_some((*name, distance))
    });
    let _ = match named.filter(|_| !style.numeric_priority) {
        Some((name, 0)) => write!(out, "{name}"),
        Some((name, distance)) if distance > 0 => write!(out, "{name} + {distance}"),
        Some((name, distance)) => write!(out, "{name} - {}", -distance),
        None => write!(out, "{number}"),
    };
}

/// Appends a chain's first line, its comment, and where it is hooked in.
pub fn chain(out: &mut String, chain: &NftChain, style: &Style<'_>) {
    let _ = write!(out, "\tchain {} {{", chain.name);
    handle(out, chain.handle, style);
    out.push('\n');
    comment(out, "\t\t", &chain.userdata, 0);
    let Some(base) = &chain.hook else { return };
    base_chain(out, chain, base, style);
}

fn base_chain(out: &mut String, chain: &NftChain, base: &NftHook, style: &Style<'_>) {
    /// NFT_CHAIN_HW_OFFLOAD
    const OFFLOAD: u32 = 2;
    let _ = write!(out, "\t\ttype {} hook {}", base.kind, hook(chain.family, base.number));
    let mut devices: Vec<&str> = base.devices.iter().map(String::as_str).collect();
    devices.sort_unstable();
    match devices.as_slice() {
        [] => {}
        [only] => {
            let _ = write!(out, " device \"{only}\"");
        }
        several => {
            let _ = write!(out, " devices = {{ {} }}", several.join(", "));
        }
    }
    out.push_str(" priority ");
    priority(out, chain.family, base.number, base.priority, style);
    out.push_str(if base.policy == 0 { "; policy drop;" } else { "; policy accept;" });
    if chain.flags & OFFLOAD != 0 {
        out.push_str(" flags offload;");
    }
    out.push('\n');
}

/// Appends a rule: statements, comment, handle, line end.
pub fn rule(out: &mut String, statements: &[Stmt<'_>], number: u64, userdata: &[u8], style: &Style<'_>) {
    out.push_str("\t\t");
    text::statements(out, statements, style);
    if let Some(text) = Userdata(userdata).text(0) {
        let _ = write!(out, " comment \"{text}\"");
    }
    handle(out, number, style);
    out.push('\n');
}

/// The word for what a set is: set, map or meter.
pub fn set_word(set: &NftSet) -> &'static str {
    if set.has(flag::MAP | flag::OBJECT) {
        "map"
    } else if is_meter(set) {
        "meter"
    } else {
        "set"
    }
}

/// Whether a set came with a rule's `meter`.
pub fn is_meter(set: &NftSet) -> bool {
    set.has(flag::ANONYMOUS) && set.has(flag::EVAL)
}

/// The names of the types of a set's keys.
pub fn key_types(set: &NftSet) -> Vec<&'static str> {
    elements::types(set.key_type).into_iter().map(Type::name).collect()
}

/// The names of the types of a map's data.
pub fn data_types(set: &NftSet) -> Vec<&'static str> {
    if set.has(flag::OBJECT) {
        return vec![object_word(set.object_type)];
    }
    match set.data_type {
        0xffff_ff00 => vec!["verdict"],
        number => elements::types(number).into_iter().map(Type::name).collect(),
    }
}

/// NFT_SET_* that are written. That elements may expire goes without saying where they do so by default.
pub fn set_flags(set: &NftSet) -> Vec<&'static str> {
    let shown = flag::CONSTANT | flag::EVAL | flag::INTERVAL | if set.timeout.is_none() { flag::TIMEOUT } else { 0 };
    if !set.has(shown) {
        return Vec::new();
    }
    [(flag::CONSTANT, "constant"), (flag::EVAL, "dynamic"), (flag::INTERVAL, "interval"), (flag::TIMEOUT, "timeout")]
        .into_iter()
        .filter(|(bit, _)| set.has(*bit))
        .map(|(_, word)| word)
        .collect()
}

/// Whether overlapping elements are merged.
pub fn auto_merge(set: &NftSet) -> bool {
    Userdata(&set.userdata).number(2).is_some_and(|number| number != 0)
}

/// The comment of a set.
pub fn set_comment(set: &NftSet) -> Option<String> {
    Userdata(&set.userdata).text(7)
}

/// Appends a set's lines before its elements.
pub fn set(out: &mut String, set: &NftSet, style: &Style<'_>) {
    let _ = write!(out, "\t{} {} {{", set_word(set), set.name);
    handle(out, set.handle, style);
    out.push_str("\n\t\t");
    // Ranges as data are said with their type only.
    let described = elements::key_typeof(set).filter(|_| !elements::has_data_intervals(set));
    match &described {
        Some(key) => {
            out.push_str("typeof ");
            text::expression(out, key, style);
        }
        None => {
            let _ = write!(out, "type {}", key_types(set).join(" . "));
        }
    }
    if set.has(flag::MAP | flag::OBJECT) {
        out.push_str(" : ");
        if elements::has_data_intervals(set) {
            out.push_str("interval ");
        }
        match elements::data_typeof(set).filter(|_| described.is_some()) {
            Some(data) if set.data_type != 0xffff_ff00 => text::expression(out, &data, style),
            _ => out.push_str(&data_types(set).join(" . ")),
        }
    }
    out.push('\n');
    if set.policy == 1 {
        out.push_str("\t\tpolicy memory\n");
    }
    if let Some(size) = set.size.filter(|size| *size > 0 && !set.has(flag::CONSTANT)) {
        let _ = writeln!(out, "\t\tsize {size}");
    }
    let flags = set_flags(set);
    if !flags.is_empty() {
        let _ = writeln!(out, "\t\tflags {}", flags.join(","));
    }
    let expressions = set.expressions();
    if !expressions.is_empty() {
        out.push_str("\t\t");
        for (index, expression) in expressions.iter().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            let style = Style { stateless: true, ..*style };
            text::stateful(out, &Stateful::of(expression), &style);
        }
        out.push('\n');
    }
    if auto_merge(set) {
        out.push_str("\t\tauto-merge\n");
    }
    if let Some(timeout) = set.timeout {
        out.push_str("\t\ttimeout ");
        push_time(out, timeout, style.numeric_time);
        out.push('\n');
    }
    if let Some(interval) = set.gc_interval {
        out.push_str("\t\tgc-interval ");
        push_time(out, u64::from(interval), style.numeric_time);
        out.push('\n');
    }
    if let Some(text) = set_comment(set) {
        let _ = writeln!(out, "\t\tcomment \"{text}\"");
    }
}

/// Appends the elements of a named set, with line breaks as nft has them.
pub fn elements(out: &mut String, set: &NftSet, elems: &[Elem], style: &Style<'_>) {
    if elems.is_empty() {
        return;
    }
    let types = elements::Shape::of(set, None).parts;
    let per_line = match types.as_slice() {
        [only] => only.ty.per_line(),
        _ => 1,
    };
    out.push_str("\t\telements = { ");
    for (index, elem) in elems.iter().enumerate() {
        if index > 0 {
            out.push_str(if index.is_multiple_of(per_line.max(1)) { ",\n\t\t\t     " } else { ", " });
        }
        text::element(out, elem, style);
    }
    out.push_str(" }\n");
}

/// The word for an object of this kind.
pub fn object_word(kind: u32) -> &'static str {
    match kind {
        1 => "counter",
        2 => "quota",
        3 => "ct helper",
        4 => "limit",
        5 => "ct count",
        6 => "tunnel",
        7 => "ct timeout",
        8 => "secmark",
        9 => "ct expectation",
        10 => "synproxy",
        _ => "unknown",
    }
}

/// The name of a protocol of the transport layer.
pub fn protocol(number: u8) -> String {
    symbols::protocol(u16::from(number)).map_or_else(|| number.to_string(), str::to_owned)
}

/// Names of conntrack's states with a timeout of their own, from attribute 1 on (CTA_TIMEOUT_TCP_*, CTA_TIMEOUT_UDP_*), and
/// the usual seconds, which are not written.
pub fn timeout_states(protocol: u8) -> &'static [(&'static str, u32)] {
    match protocol {
        6 => &[
            ("syn_sent", 120),
            ("syn_recv", 60),
            ("established", 432_000),
            ("fin_wait", 120),
            ("close_wait", 60),
            ("last_ack", 30),
            ("time_wait", 120),
            ("close", 10),
            ("syn_sent2", 120),
            ("retrans", 300),
            ("unack", 300),
        ],
        17 => &[("unreplied", 30), ("replied", 180)],
        _ => &[],
    }
}

/// The states of a timeout policy that differ from the usual.
pub fn timeout_policy(protocol: u8, values: &[(u16, u32)]) -> Vec<(&'static str, u32)> {
    values
        .iter()
        .filter_map(|(kind, seconds)| {
            let at = usize::from(*kind).checked_sub(1)?;
            let (name, usual) = timeout_states(protocol).get(at)?;
            (usual != seconds).then_some((*name, *seconds))
        })
        .collect()
}

/// Appends an object.
pub fn object(out: &mut String, object: &NftObject, style: &Style<'_>) {
    let _ = write!(out, "\t{} {} {{", object_word(object.kind), object.name);
    handle(out, object.handle, style);
    out.push('\n');
    comment(out, "\t\t", &object.userdata, 0);
    match &object.data {
        ObjectData::Counter(counters) => {
            if !style.stateless {
                let _ = writeln!(out, "\t\tpackets {} bytes {}", counters.packets, counters.bytes);
            }
        }
        ObjectData::Quota { bytes, consumed, flags } => {
            line(out, "quota ", &Stateful::Quota { bytes: *bytes, consumed: *consumed, over: flags & 1 != 0 }, style);
        }
        ObjectData::Limit { rate, unit, burst, kind, over } => {
            let limit = Stateful::Limit { rate: *rate, unit: *unit, burst: *burst, bytes: *kind == 1, over: *over };
            line(out, "limit ", &limit, style);
        }
        ObjectData::Helper { name, l3proto, l4proto } => {
            let _ = write!(out, "\t\ttype \"{name}\" protocol {}\n\t\tl3proto {}\n", protocol(*l4proto), l3(*l3proto));
        }
        ObjectData::Timeout { l3proto, l4proto, values } => {
            let _ = write!(out, "\t\tprotocol {}\n\t\tl3proto {}\n", protocol(*l4proto), l3(*l3proto));
            let policy: Vec<String> =
                timeout_policy(*l4proto, values).iter().map(|(name, seconds)| format!("{name} : {seconds}")).collect();
            let _ = writeln!(out, "\t\tpolicy = {{ {} }}", policy.join(", "));
        }
        ObjectData::Expectation { l3proto, l4proto, port, timeout, size } => {
            let _ = write!(out, "\t\tprotocol {}\n\t\tdport {port}\n\t\ttimeout ", protocol(*l4proto));
            push_time(out, u64::from(*timeout), style.numeric_time);
            let _ = write!(out, "\n\t\tsize {size}\n\t\tl3proto {}\n", l3(*l3proto));
        }
        ObjectData::Secmark { context } => {
            let _ = writeln!(out, "\t\t\"{context}\"");
        }
        ObjectData::Synproxy { mss, wscale, flags } => {
            for part in text::synproxy(*mss, *wscale, *flags) {
                let _ = writeln!(out, "\t\t{part}");
            }
        }
        ObjectData::Unknown(bytes) => {
            let _ = writeln!(out, "\t\tunknown {} {}", object.kind, netkit_core::text::hex(bytes));
        }
    }
    out.push_str("\t}\n");
}

/// A statement's words without its name.
fn line(out: &mut String, name: &str, found: &Stateful, style: &Style<'_>) {
    let mut words = String::new();
    text::stateful(&mut words, found, style);
    let _ = writeln!(out, "\t\t{}", words.strip_prefix(name).unwrap_or(&words));
}

/// NFPROTO_* of what conntrack keeps for an object.
pub fn l3(number: u16) -> &'static str {
    u8::try_from(number).map_or("unknown", family::name)
}

/// Appends a flowtable.
pub fn flowtable(out: &mut String, found: &NftFlowtable, style: &Style<'_>) {
    let _ = write!(out, "\tflowtable {} {{", found.name);
    handle(out, found.handle, style);
    out.push_str("\n\t\thook ingress priority ");
    priority(out, family::NETDEV, 0, found.priority, style);
    out.push('\n');
    let mut devices: Vec<&str> = found.devices.iter().map(String::as_str).collect();
    devices.sort_unstable();
    if !devices.is_empty() {
        let _ = writeln!(out, "\t\tdevices = {{ {} }}", devices.join(", "));
    }
    for (bit, words) in [(1, "flags offload"), (2, "counter")] {
        if found.flags & bit != 0 {
            let _ = writeln!(out, "\t\t{words}");
        }
    }
    out.push_str("\t}\n");
}
