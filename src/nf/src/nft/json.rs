//! The same in JSON, as libnftables-json(5) has it.

use std::fmt::Write as _;

use netkit_core::json::Value;

use super::datatype::{self, Style, Type, Written};
use super::expression::Expression;
use super::family;
use super::header::{self, base};
use super::key::Keyed;
use super::object::{NftFlowtable, NftObject, ObjectData};
use super::ruleset;
use super::set::{NftSet, flag};
use super::symbols;
use super::text::{bits, bytes_unit, log_flags, nat_flags, time_unit, verdict};
use super::tree::{Elem, Expr, Kind, Relation, Stateful, Stmt};
use super::{NftChain, NftRule, NftTable, Userdata};

/// How deep expressions are followed.
const DEPTH: u8 = 32;

/// Appends a value as libnftables writes it: a blank behind every comma and colon.
pub fn push(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                push(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, item)) in members.iter().enumerate() {
                let comma = if index > 0 { ", " } else { "" };
                let _ = write!(out, "{comma}\"{key}\": ");
                push(out, item);
            }
            out.push('}');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

fn one(key: &str, value: impl Into<Value>) -> Value {
    Value::object().with(key, value)
}

/// A single one stands for itself.
fn few(mut values: Vec<Value>) -> Value {
    match (values.len(), values.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            values.push(last);
            Value::Array(values)
        }
        (_, None) => Value::Null,
    }
}

fn words(words: &[&str]) -> Vec<Value> {
    words.iter().map(|word| Value::from(*word)).collect()
}

/// What libnftables says of itself.
pub fn metainfo(version: &str, release: &str) -> Value {
    let info = Value::object().with("version", version).with("release_name", release).with("json_schema_version", 1);
    one("metainfo", info)
}

/// A table.
pub fn table(found: &NftTable) -> Value {
    let mut value = Value::object()
        .with("family", family::name(found.family))
        .with("name", found.name.as_str())
        .with("handle", found.handle);
    let flags: Vec<&str> = ruleset::table_flags(found.flags).collect();
    if !flags.is_empty() {
        value.set("flags", few(words(&flags)));
    }
    one("table", value)
}

/// A chain.
pub fn chain(found: &NftChain) -> Value {
    let mut value = Value::object()
        .with("family", family::name(found.family))
        .with("table", found.table.as_str())
        .with("name", found.name.as_str())
        .with("handle", found.handle);
    if let Some(hook) = &found.hook {
        value.set("type", hook.kind.as_str());
        value.set("hook", ruleset::hook(found.family, hook.number));
        value.set("prio", hook.priority);
        value.set("policy", if hook.policy == 0 { "drop" } else { "accept" });
    }
    one("chain", value)
}

/// A rule.
pub fn rule(found: &NftRule<'_>, statements: &[Stmt<'_>], style: &Style<'_>) -> Value {
    let mut value = Value::object()
        .with("family", family::name(found.family))
        .with("table", found.table.as_str())
        .with("chain", found.chain.as_str())
        .with("handle", found.handle);
    if let Some(comment) = Userdata(found.userdata).text(0) {
        value.set("comment", comment);
    }
    let writer = Json { style, depth: 0 };
    value.set("expr", Value::Array(statements.iter().map(|statement| writer.statement(statement)).collect()));
    one("rule", value)
}

/// A set or map with its elements.
pub fn set(found: &NftSet, elems: &[Elem], style: &Style<'_>) -> Value {
    let mut value = Value::object()
        .with("family", family::name(found.family))
        .with("name", found.name.as_str())
        .with("table", found.table.as_str())
        .with("type", few(words(&ruleset::key_types(found))))
        .with("handle", found.handle);
    if let Some(comment) = ruleset::set_comment(found) {
        value.set("comment", comment);
    }
    if found.has(flag::MAP | flag::OBJECT) {
        value.set("map", ruleset::data_types(found).join(" . "));
    }
    if found.policy == 1 {
        value.set("policy", "memory");
    }
    if let Some(size) = found.size.filter(|size| *size > 0 && !found.has(flag::CONSTANT)) {
        value.set("size", size);
    }
    let flags: Vec<&str> = [(flag::CONSTANT, "constant"), (flag::INTERVAL, "interval"), (flag::TIMEOUT, "timeout")]
        .into_iter()
        .filter(|(bit, _)| found.has(*bit))
        .map(|(_, word)| word)
        .collect();
    if !flags.is_empty() {
        value.set("flags", Value::Array(words(&flags)));
    }
    if let Some(timeout) = found.timeout {
        value.set("timeout", timeout / 1000);
    }
    if let Some(interval) = found.gc_interval {
        value.set("gc-interval", interval / 1000);
    }
    let writer = Json { style, depth: 0 };
    if !elems.is_empty() {
        value.set("elem", Value::Array(elems.iter().map(|elem| writer.elem(elem)).collect()));
    }
    let plain = Json { style: &Style { stateless: true, ..*style }, depth: 0 };
    let statements: Vec<Value> =
        found.expressions().iter().map(|expression| plain.stateful(&Stateful::of(expression))).collect();
    if !statements.is_empty() {
        value.set("stmt", Value::Array(statements));
    }
    one(ruleset::set_word(found), value)
}

/// An object.
pub fn object(found: &NftObject) -> Value {
    let mut value = Value::object()
        .with("family", family::name(found.family))
        .with("name", found.name.as_str())
        .with("table", found.table.as_str())
        .with("handle", found.handle);
    if let Some(comment) = Userdata(&found.userdata).text(0) {
        value.set("comment", comment);
    }
    match &found.data {
        ObjectData::Counter(counters) => {
            value.set("packets", counters.packets);
            value.set("bytes", counters.bytes);
        }
        ObjectData::Quota { bytes, consumed, flags } => {
            value.set("bytes", *bytes);
            value.set("used", *consumed);
            value.set("inv", flags & 1 != 0);
        }
        ObjectData::Limit { rate, unit, burst, kind, over } => {
            let bytes = *kind == 1;
            let ((rate, rate_unit), (burst, burst_unit)) = if bytes {
                (bytes_unit(*rate), bytes_unit(u64::from(*burst)))
            } else {
                ((*rate, "packets"), (u64::from(*burst), "packets"))
            };
            value.set("rate", rate);
            value.set("per", time_unit(*unit));
            if *over {
                value.set("inv", true);
            }
            if bytes {
                value.set("rate_unit", rate_unit);
            }
            value.set("burst", burst);
            if bytes {
                value.set("burst_unit", burst_unit);
            }
        }
        ObjectData::Helper { name, l3proto, l4proto } => {
            value.set("type", name.as_str());
            value.set("protocol", ruleset::protocol(*l4proto));
            value.set("l3proto", ruleset::l3(*l3proto));
        }
        ObjectData::Timeout { l3proto, l4proto, values } => {
            value.set("protocol", ruleset::protocol(*l4proto));
            value.set("l3proto", ruleset::l3(*l3proto));
            let mut policy = Value::object();
            for (name, seconds) in ruleset::timeout_policy(*l4proto, values) {
                policy.set(name, seconds);
            }
            value.set("policy", policy);
        }
        ObjectData::Expectation { l3proto, l4proto, port, timeout, size } => {
            value.set("protocol", ruleset::protocol(*l4proto));
            value.set("dport", *port);
            value.set("timeout", *timeout);
            value.set("size", *size);
            value.set("l3proto", ruleset::l3(*l3proto));
        }
        ObjectData::Secmark { context } => value.set("context", context.as_str()),
        ObjectData::Synproxy { mss, wscale, flags } => synproxy(&mut value, *mss, *wscale, *flags),
        ObjectData::Unknown(bytes) => value.set("data", netkit_core::text::hex(bytes)),
    }
    one(ruleset::object_word(found.kind), value)
}

/// A flowtable.
pub fn flowtable(found: &NftFlowtable) -> Value {
    let mut devices: Vec<&str> = found.devices.iter().map(String::as_str).collect();
    devices.sort_unstable();
    let mut value = Value::object()
        .with("family", family::name(found.family))
        .with("name", found.name.as_str())
        .with("table", found.table.as_str())
        .with("handle", found.handle)
        .with("hook", "ingress")
        .with("prio", found.priority);
    if !devices.is_empty() {
        value.set("dev", few(words(&devices)));
    }
    one("flowtable", value)
}

fn synproxy(value: &mut Value, mss: u16, wscale: u8, flags: u32) {
    if flags & 1 != 0 {
        value.set("mss", mss);
    }
    if flags & 2 != 0 {
        value.set("wscale", wscale);
    }
    let known: Vec<&str> = [(8, "timestamp"), (4, "sack-perm")]
        .into_iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, word)| word)
        .collect();
    if !known.is_empty() {
        value.set("flags", few(words(&known)));
    }
}

#[derive(Clone, Copy)]
struct Json<'j, 'n> {
    style: &'j Style<'n>,
    depth: u8,
}

impl Json<'_, '_> {
    fn value(&self, ty: Type, value: u128, bits: u32) -> Value {
        if ty == Type::BOOLEAN {
            return Value::Bool(value != 0);
        }
        match datatype::written(ty, value, bits, self.style) {
            Written::Text(text) => text.into(),
            // What has a name but for this one is text all the same.
            Written::Number(number) if ty == Type::REALM || ty == Type::IFINDEX => number.to_string().into(),
            Written::Number(number) => number.into(),
        }
    }

    /// Flags that stand for themselves.
    fn list(&self, expr: &Expr) -> Value {
        match expr.kind {
            Kind::Value(value) if expr.ty.is_flags() && value != 0 => {
                few(bits(value).map(|bit| self.value(expr.ty, bit, expr.bits)).collect())
            }
            _ => self.expr(expr),
        }
    }

    fn expr(mut self, expr: &Expr) -> Value {
        self.depth += 1;
        if self.depth > DEPTH {
            return Value::Null;
        }
        let written = |value: u128| self.value(expr.ty, value, expr.bits);
        match &expr.kind {
            Kind::Raw(data) => netkit_core::text::hex(data).into(),
            Kind::Value(value) if expr.ty.is_flags() && expr.ty != Type::CT_LABEL && value.count_ones() > 1 => {
                let mut flags = bits(*value).map(written);
                let first = flags.next().unwrap_or(Value::Null);
                flags.fold(first, |left, right| one("|", vec![left, right]))
            }
            Kind::Value(value) => written(*value),
            Kind::Wildcard(value) => format!("{}*", datatype::text(*value, expr.bits)).into(),
            Kind::Prefix(value, length) => {
                one("prefix", Value::object().with("addr", written(*value)).with("len", *length))
            }
            Kind::Range(low, high) => {
                let style = Style { numeric_protocol: true, ..*self.style };
                let plain = Json { style: &style, depth: 0 };
                one("range", vec![plain.value(expr.ty, *low, expr.bits), plain.value(expr.ty, *high, expr.bits)])
            }
            Kind::Verdict { code, chain } => {
                let word = verdict(*code).map_or_else(|| format!("unknown {code}"), str::to_owned);
                let target = chain.as_ref().map(|chain| one("target", chain.as_str()));
                one(&word, target)
            }
            Kind::All => "*".into(),
            Kind::Payload { base: layer, offset, field } => {
                let inner = match field {
                    Some((protocol, field)) => {
                        Value::object().with("protocol", protocol.name).with("field", field.name)
                    }
                    None => {
                        Value::object().with("base", base::name(*layer)).with("offset", *offset).with("len", expr.bits)
                    }
                };
                one("payload", inner)
            }
            Kind::Exthdr { op, kind, offset, present, field } => {
                let name = match (field, header::options(*op, *kind).next()) {
                    (Some((option, _)), _) => Some(option.name),
                    (None, option) => option.map(|option| option.name).filter(|_| *present),
                };
                let inner = match (name, field) {
                    (Some(name), Some((_, field))) => Value::object().with("name", name).with("field", field.name),
                    (Some(name), None) => one("name", name),
                    (None, _) => Value::object()
                        .with("base", *kind)
                        .with("offset", *offset)
                        .with("len", if *present { 8 } else { expr.bits }),
                };
                let word = match op {
                    1 => "tcp option",
                    2 => "ip option",
                    3 => "sctp chunk",
                    4 => "dccp option",
                    _ => "exthdr",
                };
                one(word, inner)
            }
            Kind::Keyed { what, key, direction, extra } => keyed(*what, *key, *direction, *extra),
            Kind::Fib { result, flags } => {
                let result = match result {
                    1 => "oif",
                    2 => "oifname",
                    3 => "type",
                    _ => "unknown",
                };
                let known: Vec<&str> = [(1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif")]
                    .into_iter()
                    .filter(|(bit, _)| flags & bit != 0)
                    .map(|(_, word)| word)
                    .collect();
                one("fib", one("result", result).with("flags", Value::Array(words(&known))))
            }
            Kind::Osf { ttl, version } => {
                let mut inner = one("key", if *version { "version" } else { "name" });
                match ttl {
                    1 => inner.set("ttl", "loose"),
                    2 => inner.set("ttl", "skip"),
                    _ => {}
                }
                one("osf", inner)
            }
            Kind::Numgen { modulus, random, offset } => {
                let mode = if *random { "random" } else { "inc" };
                one("numgen", one("mode", mode).with("mod", *modulus).with("offset", *offset))
            }
            Kind::Hash { from, modulus, seed, offset } => {
                let mut inner = one("mod", *modulus);
                if let Some(seed) = seed.filter(|_| from.is_some()) {
                    inner.set("seed", seed);
                }
                if *offset > 0 {
                    inner.set("offset", *offset);
                }
                match from {
                    Some(from) => one("jhash", inner.with("expr", self.expr(from))),
                    None => one("symhash", inner),
                }
            }
            Kind::Binary(op, left, right) => one(op.sign(), vec![self.expr(left), self.expr(right)]),
            Kind::Concat(parts) => one("concat", parts.iter().map(|part| self.expr(part)).collect::<Vec<_>>()),
            Kind::Set(elems) => one("set", elems.iter().map(|elem| self.elem(elem)).collect::<Vec<_>>()),
            Kind::SetRef(name) => format!("@{name}").into(),
            Kind::Map(key, set) => {
                let word = if expr.is_verdict() { "vmap" } else { "map" };
                one(word, one("key", self.expr(key)).with("data", self.expr(set)))
            }
            Kind::Unknown(text) => text.as_str().into(),
        }
    }

    fn elem(self, elem: &Elem) -> Value {
        let mut key = self.expr(&elem.key);
        // What is left of a timeout is a state too, but libnftables says it all the same.
        let left = elem.expiration;
        if elem.timeout.is_some() || left.is_some() || elem.comment.is_some() || !elem.statements.is_empty() {
            let mut inner = one("val", key);
            if let Some(timeout) = elem.timeout {
                inner.set("timeout", timeout / 1000);
            }
            if let Some(left) = left {
                inner.set("expires", left / 1000);
            }
            if let Some(comment) = &elem.comment {
                inner.set("comment", comment.as_str());
            }
            for statement in &elem.statements {
                if let Value::Object(members) = self.stateful(statement) {
                    members.into_iter().for_each(|(name, value)| inner.set(&name, value));
                }
            }
            key = one("elem", inner);
        }
        match (&elem.data, &elem.object) {
            (Some(data), _) => vec![key, self.expr(data)].into(),
            (None, Some(object)) => vec![key, object.as_str().into()].into(),
            (None, None) => key,
        }
    }

    fn stateful(&self, found: &Stateful) -> Value {
        let stateless = self.style.stateless;
        match found {
            Stateful::Counter { .. } if stateless => one("counter", Value::Null),
            Stateful::Counter { packets, bytes } => one("counter", one("packets", *packets).with("bytes", *bytes)),
            Stateful::Quota { bytes, consumed, over } => {
                let (number, unit) = bytes_unit(*bytes);
                let mut inner = one("val", number).with("val_unit", unit);
                if *over {
                    inner.set("inv", true);
                }
                if !stateless && *consumed > 0 {
                    let (number, unit) = bytes_unit(*consumed);
                    inner.set("used", number);
                    inner.set("used_unit", unit);
                }
                one("quota", inner)
            }
            Stateful::Limit { rate, unit, burst, bytes, over } => {
                let (rate, rate_unit) = if *bytes { bytes_unit(*rate) } else { (*rate, "packets") };
                let (burst, burst_unit) =
                    if *bytes { bytes_unit(u64::from(*burst)) } else { (u64::from(*burst), "packets") };
                let mut inner = one("rate", rate).with("burst", burst).with("per", time_unit(*unit));
                if *over {
                    inner.set("inv", true);
                }
                if *bytes {
                    inner.set("rate_unit", rate_unit);
                    inner.set("burst_unit", burst_unit);
                }
                one("limit", inner)
            }
            Stateful::Connlimit { count, over } => {
                let mut inner = one("val", *count);
                if *over {
                    inner.set("inv", true);
                }
                one("ct count", inner)
            }
            Stateful::Last { ago } => one("last", ago.filter(|_| !stateless).map(|ago| one("used", ago))),
            Stateful::Unknown(text) => one("unknown", text.as_str()),
        }
    }

    fn statement(self, statement: &Stmt<'_>) -> Value {
        match statement {
            Stmt::Match { relation, left, right } => {
                let (op, right) = match relation {
                    Relation::Any => ("in", self.list(right)),
                    Relation::None => ("!", self.list(right)),
                    other => (other.sign(), self.compared(left, right)),
                };
                matched(op, self.expr(left), right)
            }
            Stmt::Flags { negated, left, value, mask } => {
                let left = one("&", vec![self.expr(left), self.list(mask)]);
                matched(if *negated { "!=" } else { "==" }, left, self.list(value))
            }
            Stmt::Verdict(verdict) => self.expr(verdict),
            Stmt::Stateful(found) => self.stateful(found),
            Stmt::Set { left, right } => {
                let right = match left.kind {
                    Kind::Keyed { what: Keyed::Ct, .. } => self.list(right),
                    _ => self.expr(right),
                };
                one("mangle", one("key", self.expr(left)).with("value", right))
            }
            Stmt::Reset(option) => one("reset", self.expr(option)),
            Stmt::Nat { name, family, prefix, address, port, flags } => {
                let mut inner = Value::object();
                if let Some(word) = address_family(*family) {
                    inner.set("family", word);
                }
                self.optional(&mut inner, "addr", address.as_ref());
                self.optional(&mut inner, "port", port.as_ref());
                let mut known = nat_flags(*flags);
                if *prefix {
                    known.push("netmap");
                }
                if !known.is_empty() {
                    inner.set("flags", few(words(&known)));
                }
                if *prefix {
                    inner.set("type_flags", "prefix");
                }
                one(name, or_null(inner))
            }
            Stmt::Tproxy { family, address, port } => {
                let mut inner = Value::object();
                if let Some(word) = address_family(*family) {
                    inner.set("family", word);
                }
                self.optional(&mut inner, "addr", address.as_ref());
                self.optional(&mut inner, "port", port.as_ref());
                one("tproxy", inner)
            }
            Stmt::Reject { kind, code, family, .. } => {
                let (word, ty) = match (kind, *family) {
                    (1, _) => return one("reject", one("type", "tcp reset")),
                    (2, _) => ("icmpx", Type::ICMPX_CODE),
                    (_, 0) => return one("reject", Value::Null),
                    (_, family::IPV6) => ("icmpv6", Type::ICMPV6_CODE),
                    _ => ("icmp", Type::ICMP_CODE),
                };
                one("reject", one("type", word).with("expr", self.value(ty, u128::from(*code), 8)))
            }
            Stmt::Queue { number, flags } => {
                let mut inner = one("num", self.expr(number));
                let known: Vec<&str> = [(1, "bypass"), (2, "fanout")]
                    .into_iter()
                    .filter(|(bit, _)| flags & bit != 0)
                    .map(|(_, word)| word)
                    .collect();
                if !known.is_empty() {
                    inner.set("flags", few(words(&known)));
                }
                one("queue", inner)
            }
            Stmt::Dup { address, device } => {
                let mut inner = Value::object();
                match (address, device) {
                    (None, Some(device)) => inner.set("addr", self.expr(device)),
                    _ => {
                        self.optional(&mut inner, "addr", address.as_ref());
                        self.optional(&mut inner, "dev", device.as_ref());
                    }
                }
                one("dup", inner)
            }
            Stmt::Forward { family, address, device } => {
                let mut inner = Value::object();
                self.optional(&mut inner, "dev", device.as_ref());
                if let Some(word) = address_family(*family).filter(|_| address.is_some()) {
                    inner.set("family", word);
                }
                self.optional(&mut inner, "addr", address.as_ref());
                one("fwd", inner)
            }
            Stmt::Dynset { .. } => self.dynset(statement),
            Stmt::Object { kind, name } => {
                let word = ruleset::object_word(*kind);
                one(word, self.expr(name))
            }
            Stmt::Extension { target, name, .. } => {
                one("xt", one("type", if *target { "target" } else { "match" }).with("name", name.as_str()))
            }
            Stmt::Plain(expression) => plain(expression),
            Stmt::Unknown(text) => one("unknown", text.as_str()),
        }
    }

    fn optional(self, inner: &mut Value, name: &str, expr: Option<&Expr>) {
        if let Some(expr) = expr {
            inner.set(name, self.expr(expr));
        }
    }

    /// Several flags of a header, compared with all of it, are a number.
    fn compared(self, left: &Expr, right: &Expr) -> Value {
        match (&left.kind, &right.kind) {
            (Kind::Payload { .. }, Kind::Value(value)) if right.ty.is_flags() => {
                self.value(right.ty, *value, right.bits)
            }
            _ => self.expr(right),
        }
    }

    fn dynset(self, statement: &Stmt<'_>) -> Value {
        let Stmt::Dynset { verb, set, meter, key, timeout, statements, data } = statement else { return Value::Null };
        let mut elem = self.expr(key);
        if let Some(timeout) = timeout {
            elem = one("elem", one("val", elem).with("timeout", timeout / 1000));
        }
        let plain = Json { style: &Style { stateless: true, ..*self.style }, depth: 0 };
        let statements: Vec<Value> = statements.iter().map(|statement| plain.stateful(statement)).collect();
        if let Some(size) = meter {
            let inner = one("key", elem).with("stmt", few(statements)).with("size", *size).with("name", set.as_str());
            return one("meter", inner);
        }
        let mut inner = one("op", *verb).with("elem", elem);
        if let Some(data) = data {
            inner.set("data", self.expr(data));
        }
        inner.set(if data.is_some() { "map" } else { "set" }, format!("@{set}"));
        if !statements.is_empty() {
            inner.set("stmt", Value::Array(statements));
        }
        one(if data.is_some() { "map" } else { "set" }, inner)
    }
}

/// Of addresses: ip or ip6.
fn address_family(number: u32) -> Option<&'static str> {
    let number = u8::try_from(number).ok()?;
    matches!(number, family::IPV4 | family::IPV6).then(|| family::name(number))
}

fn matched(op: &str, left: Value, right: Value) -> Value {
    one("match", one("op", op).with("left", left).with("right", right))
}

fn or_null(value: Value) -> Value {
    match value {
        Value::Object(members) if members.is_empty() => Value::Null,
        other => other,
    }
}

fn keyed(what: Keyed, key: u32, direction: Option<u8>, extra: u32) -> Value {
    let name = what.key(key).map_or_else(|| format!("unknown-{key}"), |known| known.name.to_owned());
    let side = |[first, second]: [&'static str; 2]| direction.map(|side| if side == 0 { first } else { second });
    let mut inner = one("key", name.as_str());
    let word = match what {
        Keyed::Meta => "meta",
        Keyed::Ct => {
            if let Some(side) = side(["original", "reply"]) {
                inner.set("dir", side);
            }
            "ct"
        }
        Keyed::Rt => {
            if let Some((family, key)) = name.split_once(' ') {
                inner = one("key", key).with("family", family);
            }
            "rt"
        }
        Keyed::Socket => {
            if key == 3 {
                inner.set("level", extra);
            }
            "socket"
        }
        Keyed::Xfrm => {
            if let Some((family, key)) = name.split_once(' ') {
                inner = one("key", key).with("family", family);
            }
            inner.set("dir", side(["in", "out"]));
            inner.set("spnum", extra);
            "ipsec"
        }
    };
    one(word, inner)
}

fn plain(expression: &Expression<'_>) -> Value {
    match expression {
        Expression::Log { group, prefix, snaplen, threshold, level, flags } => {
            /// LOG_WARNING, nft's default.
            const WARNING: u32 = 4;
            let mut inner = Value::object();
            if let Some(prefix) = prefix {
                inner.set("prefix", prefix.as_str());
            }
            if let Some(group) = group {
                inner.set("group", *group);
            }
            if let Some(snaplen) = snaplen.filter(|snaplen| *snaplen > 0) {
                inner.set("snaplen", snaplen);
            }
            if let Some(threshold) = threshold.filter(|threshold| *threshold > 0) {
                inner.set("queue-threshold", threshold);
            }
            let named = |level: u32| symbols::name(symbols::LOG_LEVEL, u128::from(level));
            if let Some(name) = level.filter(|level| *level != WARNING).and_then(named) {
                inner.set("level", name);
            }
            // Here each option of TCP has a name of its own.
            let mut known = Vec::new();
            for word in log_flags(*flags) {
                match word {
                    "tcp sequence,options" => known.extend(["tcp sequence", "tcp options"]),
                    other => known.push(other),
                }
            }
            if !known.is_empty() {
                inner.set("flags", few(words(&known)));
            }
            one("log", or_null(inner))
        }
        Expression::Notrack => one("notrack", Value::Null),
        Expression::Synproxy { mss, wscale, flags } => {
            let mut inner = Value::object();
            synproxy(&mut inner, *mss, *wscale, *flags);
            one("synproxy", or_null(inner))
        }
        Expression::Flow { table } => one("flow", one("op", "add").with("flowtable", format!("@{table}"))),
        other => one("unknown", super::tree::unknown(other)),
    }
}
