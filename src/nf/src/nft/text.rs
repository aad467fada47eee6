//! Statements and expressions in nft's words.

use std::fmt::Write as _;

use super::datatype::{self, Name, Style, Type};
use super::expression::Expression;
use super::family;
use super::header::base;
use super::key::{Keyed, meta};
use super::symbols;
use super::tree::{Elem, Expr, Kind, Op, Relation, Stateful, Stmt};

/// How deep expressions are followed: no deeper than a rule's registers can make them in earnest.
const DEPTH: u8 = 32;

/// Appends statements, a blank between two.
pub fn statements(out: &mut String, found: &[Stmt<'_>], style: &Style<'_>) {
    for (index, statement) in found.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        Text { out, style, depth: 0, ranges: false }.statement(statement);
    }
}

/// Appends an expression.
pub fn expression(out: &mut String, expr: &Expr, style: &Style<'_>) {
    Text { out, style, depth: 0, ranges: false }.expr(expr);
}

/// Appends an element.
pub fn element(out: &mut String, elem: &Elem, style: &Style<'_>) {
    Text { out, style, depth: 0, ranges: false }.elem(elem);
}

/// Appends a statement with a state of its own.
pub fn stateful(out: &mut String, found: &Stateful, style: &Style<'_>) {
    Text { out, style, depth: 0, ranges: false }.stateful(found, style.stateless);
}

/// Units of a rate in bytes, or of a number of bytes.
pub fn bytes_unit(bytes: u64) -> (u64, &'static str) {
    match bytes {
        0 => (0, "bytes"),
        _ if bytes.is_multiple_of(1 << 20) => (bytes >> 20, "mbytes"),
        _ if bytes.is_multiple_of(1 << 10) => (bytes >> 10, "kbytes"),
        _ => (bytes, "bytes"),
    }
}

/// The word for a span of seconds.
pub fn time_unit(seconds: u64) -> &'static str {
    match seconds {
        1 => "second",
        60 => "minute",
        3600 => "hour",
        86_400 => "day",
        604_800 => "week",
        _ => "error",
    }
}

/// NF_NAT_RANGE_* that are written, in order.
pub fn nat_flags(flags: u32) -> Vec<&'static str> {
    [(0x04, "random"), (0x10, "fully-random"), (0x08, "persistent")]
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, word)| *word)
        .collect()
}

/// The words of a verdict.
pub fn verdict(code: i32) -> Option<&'static str> {
    Some(match code {
        0 => "drop",
        1 => "accept",
        3 => "queue",
        -1 => "continue",
        -2 => "break",
        -3 => "jump",
        -4 => "goto",
        -5 => "return",
        _ => return None,
    })
}

/// The flags of a value, lowest first.
pub fn bits(value: u128) -> impl Iterator<Item = u128> {
    (0..128).map(|bit| 1_u128 << bit).filter(move |bit| value & bit != 0)
}

struct Text<'t, 'n> {
    out: &'t mut String,
    style: &'t Style<'n>,
    depth: u8,
    /// Within a range, where nothing has a name.
    ranges: bool,
}

impl Text<'_, '_> {
    fn word(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn value(&mut self, ty: Type, value: u128, bits: u32) {
        if self.ranges {
            let style = Style {
                numeric_symbol: true,
                numeric_protocol: true,
                numeric_time: true,
                names: self.style.names,
                ..*self.style
            };
            let plain = |name: Name, number: u64| match name {
                Name::Service => None,
                _ => (style.names)(name, number),
            };
            let style = Style { names: &plain, ..style };
            datatype::push(self.out, ty, value, bits, &style);
        } else {
            datatype::push(self.out, ty, value, bits, self.style);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        if self.depth >= DEPTH {
            return self.word("...");
        }
        self.depth += 1;
        self.inner(expr);
        self.depth -= 1;
    }

    fn inner(&mut self, expr: &Expr) {
        match &expr.kind {
            Kind::Raw(data) => {
                let hex = netkit_core::text::hex(data);
                let _ = write!(self.out, "0x{hex}");
            }
            Kind::Value(value) if expr.ty.is_flags() && expr.ty != Type::CT_LABEL && *value != 0 => {
                self.flags(expr.ty, *value, expr.bits, " | ");
            }
            Kind::Value(value) => self.value(expr.ty, *value, expr.bits),
            Kind::Wildcard(value) => {
                let text = datatype::text(*value, expr.bits);
                let _ = write!(self.out, "\"{text}*\"");
            }
            Kind::Prefix(value, length) => {
                self.value(expr.ty, *value, expr.bits);
                let _ = write!(self.out, "/{length}");
            }
            Kind::Range(low, high) => {
                self.ranges = true;
                self.value(expr.ty, *low, expr.bits);
                self.word("-");
                self.value(expr.ty, *high, expr.bits);
                self.ranges = false;
            }
            Kind::Verdict { code, chain } => {
                match verdict(*code) {
                    Some(word) => self.word(word),
                    None => {
                        let _ = write!(self.out, "unknown verdict {code}");
                    }
                }
                if let Some(chain) = chain {
                    let _ = write!(self.out, " {chain}");
                }
            }
            Kind::All => self.word("*"),
            Kind::Payload { base: layer, offset, field } => match field {
                Some((protocol, field)) => {
                    let _ = write!(self.out, "{} {}", protocol.name, field.name);
                }
                None => {
                    let _ = write!(self.out, "@{},{offset},{}", base::name(*layer), expr.bits);
                }
            },
            Kind::Exthdr { op, kind, offset, present, field } => {
                self.exthdr(
                    *op,
                    *kind,
                    (*offset, expr.bits),
                    *present,
                    field.map(|(option, field)| (option.name, field.name)),
                );
            }
            Kind::Keyed { what, key, direction, extra } => self.keyed(*what, *key, *direction, *extra),
            Kind::Fib { result, flags } => self.fib(*result, *flags),
            Kind::Osf { ttl, version } => {
                self.word("osf ");
                self.word(match ttl {
                    1 => "ttl loose ",
                    2 => "ttl skip ",
                    _ => "",
                });
                self.word(if *version { "version" } else { "name" });
            }
            Kind::Numgen { modulus, random, offset } => {
                let word = if *random { "random" } else { "inc" };
                let _ = write!(self.out, "numgen {word} mod {modulus}");
                self.offset(*offset);
            }
            Kind::Hash { from, modulus, seed, offset } => {
                match from {
                    Some(from) => {
                        self.word("jhash ");
                        self.expr(from);
                    }
                    None => self.word("symhash"),
                }
                let _ = write!(self.out, " mod {modulus}");
                if let Some(seed) = seed.filter(|_| from.is_some()) {
                    let _ = write!(self.out, " seed 0x{seed:x}");
                }
                self.offset(*offset);
            }
            Kind::Binary(op, left, right) => {
                self.operand(*op, left);
                let _ = write!(self.out, " {} ", op.sign());
                self.operand(*op, right);
            }
            Kind::Concat(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        self.word(" . ");
                    }
                    self.expr(part);
                }
            }
            Kind::Set(elems) => {
                self.word("{ ");
                for (index, elem) in elems.iter().enumerate() {
                    if index > 0 {
                        self.word(", ");
                    }
                    self.elem(elem);
                }
                self.word(if elems.is_empty() { "}" } else { " }" });
            }
            Kind::SetRef(name) => {
                let _ = write!(self.out, "@{name}");
            }
            Kind::Map(key, set) => {
                self.expr(key);
                self.word(if expr.is_verdict() { " vmap " } else { " map " });
                self.expr(set);
            }
            Kind::Unknown(text) => self.word(text),
        }
    }

    fn offset(&mut self, offset: u32) {
        if offset > 0 {
            let _ = write!(self.out, " offset {offset}");
        }
    }

    /// In brackets where it binds weaker than what is around it.
    fn operand(&mut self, op: Op, side: &Expr) {
        let weaker = match &side.kind {
            Kind::Binary(own, ..) => own.rank() > op.rank(),
            Kind::Value(value) => {
                side.ty.is_flags() && side.ty != Type::CT_LABEL && value.count_ones() > 1 && Op::Or.rank() > op.rank()
            }
            _ => false,
        };
        if weaker {
            self.word("(");
        }
        self.expr(side);
        if weaker {
            self.word(")");
        }
    }

    fn flags(&mut self, ty: Type, value: u128, width: u32, between: &str) {
        if value == 0 {
            return self.value(ty, 0, width);
        }
        for (index, bit) in bits(value).enumerate() {
            if index > 0 {
                self.word(between);
            }
            self.value(ty, bit, width);
        }
    }

    /// Flags that stand for themselves: a comma between two.
    fn list(&mut self, expr: &Expr) {
        match expr.kind {
            Kind::Value(value) if expr.ty.is_flags() => self.flags(expr.ty, value, expr.bits, ","),
            _ => self.expr(expr),
        }
    }

    fn exthdr(&mut self, op: u32, kind: u8, place: (u32, u32), present: bool, field: Option<(&str, &str)>) {
        let found = super::header::options(op, kind).next().map(|option| option.name);
        self.word(match op {
            0 if present => "exthdr ",
            1 => "tcp option ",
            2 => "ip option ",
            3 => "sctp chunk ",
            4 => "dccp option ",
            _ => "",
        });
        let (offset, bits) = place;
        let _ = match (field, found) {
            (Some((option, field)), _) => write!(self.out, "{option} {field}"),
            (None, Some(name)) if present => write!(self.out, "{name}"),
            (None, None) if present => write!(self.out, "{kind}"),
            (None, _) => write!(self.out, "@{kind},{offset},{bits}"),
        };
    }

    fn keyed(&mut self, what: Keyed, key: u32, direction: Option<u8>, extra: u32) {
        let known = what.key(key).map(|known| known.name);
        let side =
            |[first, second]: [&'static str; 2]| direction.map_or("", |side| if side == 0 { first } else { second });
        match what {
            Keyed::Meta if meta::is_bare(key) => {}
            Keyed::Meta => self.word("meta "),
            Keyed::Ct => {
                self.word("ct ");
                self.word(side(["original ", "reply "]));
            }
            Keyed::Rt => self.word("rt "),
            Keyed::Socket => self.word("socket "),
            Keyed::Xfrm => {
                self.word("ipsec ");
                self.word(side(["in ", "out "]));
                if extra > 0 {
                    let _ = write!(self.out, "spnum {extra} ");
                }
            }
        }
        match known {
            Some(name) => self.word(name),
            None => {
                let _ = write!(self.out, "unknown-{key}");
            }
        }
        if what == Keyed::Socket && key == 3 {
            let _ = write!(self.out, " level {extra}");
        }
    }

    fn fib(&mut self, result: u32, flags: u32) {
        self.word("fib ");
        let words = [(1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif")];
        for (index, (_, word)) in words.iter().filter(|(bit, _)| flags & bit != 0).enumerate() {
            if index > 0 {
                self.word(" . ");
            }
            self.word(word);
        }
        match result {
            1 => self.word(" oif"),
            2 => self.word(" oifname"),
            3 => self.word(" type"),
            other => {
                let _ = write!(self.out, " unknown-{other}");
            }
        }
    }

    fn elem(&mut self, elem: &Elem) {
        self.expr(&elem.key);
        for statement in &elem.statements {
            self.word(" ");
            self.stateful(statement, self.style.stateless);
        }
        if let Some(timeout) = elem.timeout {
            self.word(" timeout ");
            datatype::push_time(self.out, timeout, self.style.numeric_time);
        }
        if let Some(left) = elem.expiration.filter(|_| !self.style.stateless) {
            self.word(" expires ");
            datatype::push_time(self.out, left, self.style.numeric_time);
        }
        if let Some(comment) = &elem.comment {
            let _ = write!(self.out, " comment \"{comment}\"");
        }
        if let Some(object) = &elem.object {
            let _ = write!(self.out, " : \"{object}\"");
        }
        if let Some(data) = &elem.data {
            self.word(" : ");
            self.expr(data);
        }
    }

    fn stateful(&mut self, found: &Stateful, stateless: bool) {
        match found {
            Stateful::Counter { packets, bytes } => {
                self.word("counter");
                if !stateless {
                    let _ = write!(self.out, " packets {packets} bytes {bytes}");
                }
            }
            Stateful::Quota { bytes, consumed, over } => {
                let (number, unit) = bytes_unit(*bytes);
                let _ = write!(self.out, "quota {}{number} {unit}", if *over { "over " } else { "" });
                if !stateless && *consumed > 0 {
                    let (number, unit) = bytes_unit(*consumed);
                    let _ = write!(self.out, " used {number} {unit}");
                }
            }
            Stateful::Limit { rate, unit, burst, bytes, over } => {
                self.word("limit ");
                self.rate(*rate, *unit, *burst, *bytes, *over);
            }
            Stateful::Connlimit { count, over } => {
                let _ = write!(self.out, "ct count {}{count}", if *over { "over " } else { "" });
            }
            Stateful::Last { ago } => {
                self.word("last");
                match ago {
                    _ if stateless => {}
                    Some(ago) => {
                        self.word(" used ");
                        datatype::push_time(self.out, *ago, self.style.numeric_time);
                    }
                    None => self.word(" used never"),
                }
            }
            Stateful::Unknown(text) => {
                let _ = write!(self.out, "unknown {text}");
            }
        }
    }

    /// Five packets are the usual burst.
    fn rate(&mut self, rate: u64, unit: u64, burst: u32, bytes: bool, over: bool) {
        self.word(if over { "rate over " } else { "rate " });
        let unit = time_unit(unit);
        if bytes {
            let (number, size) = bytes_unit(rate);
            let _ = write!(self.out, "{number} {size}/{unit}");
            if burst > 0 {
                let (number, size) = bytes_unit(u64::from(burst));
                let _ = write!(self.out, " burst {number} {size}");
            }
        } else {
            let _ = write!(self.out, "{rate}/{unit}");
            if burst > 0 && burst != 5 {
                let _ = write!(self.out, " burst {burst} packets");
            }
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Match { relation, left, right } => self.relation(*relation, left, right),
            Stmt::Flags { negated, left, value, mask } => {
                self.expr(left);
                self.word(if *negated { " != " } else { " " });
                self.list(value);
                self.word(" / ");
                self.list(mask);
            }
            Stmt::Verdict(verdict) => self.expr(verdict),
            Stmt::Stateful(found) => self.stateful(found, self.style.stateless),
            Stmt::Set { left, right } => {
                self.expr(left);
                self.word(" set ");
                match left.kind {
                    Kind::Keyed { what: Keyed::Ct, .. } => self.list(right),
                    _ => self.expr(right),
                }
            }
            Stmt::Reset(option) => {
                self.word("reset ");
                self.expr(option);
            }
            Stmt::Nat { name, family, prefix, address, port, flags } => {
                self.word(name);
                if address.is_some() || port.is_some() {
                    self.family(*family);
                    self.word(if *prefix { " prefix to" } else { " to" });
                }
                self.target(address.as_ref(), port.as_ref());
                for (index, flag) in nat_flags(*flags).iter().enumerate() {
                    self.word(if index == 0 { " " } else { "," });
                    self.word(flag);
                }
            }
            Stmt::Tproxy { family, address, port } => {
                self.word("tproxy");
                self.family(*family);
                self.word(" to");
                self.target(address.as_ref(), port.as_ref());
            }
            Stmt::Reject { kind, code, family, verbose } => self.reject(*kind, *code, *family, *verbose),
            Stmt::Queue { number, flags } => {
                self.word("queue");
                for (index, (_, word)) in
                    [(1, "bypass"), (2, "fanout")].iter().filter(|(bit, _)| flags & bit != 0).enumerate()
                {
                    self.word(if index == 0 { " flags " } else { "," });
                    self.word(word);
                }
                self.word(" to ");
                self.expr(number);
            }
            Stmt::Dup { address, device } => {
                self.word("dup");
                self.out_of(address.as_ref(), device.as_ref());
            }
            Stmt::Forward { family, address, device } => {
                self.word("fwd");
                if address.is_some() {
                    self.family(*family);
                }
                self.out_of(address.as_ref(), device.as_ref());
            }
            Stmt::Dynset { verb, set, meter, key, timeout, statements, data } => {
                let _ = match meter {
                    Some(size) => write!(self.out, "meter {set} size {size} {{ "),
                    None => write!(self.out, "{verb} @{set} {{ "),
                };
                self.expr(key);
                if let Some(timeout) = timeout {
                    self.word(" timeout ");
                    datatype::push_time(self.out, *timeout, self.style.numeric_time);
                }
                for statement in statements {
                    self.word(" ");
                    self.stateful(statement, true);
                }
                if let Some(data) = data {
                    self.word(" : ");
                    self.expr(data);
                }
                self.word(" }");
            }
            Stmt::Object { kind, name } => {
                self.word(object_word(*kind));
                self.word(" ");
                match &name.kind {
                    Kind::Unknown(name) => {
                        let _ = write!(self.out, "\"{name}\"");
                    }
                    _ => self.expr(name),
                }
            }
            Stmt::Extension { target, name, words } => match words {
                Some(words) => self.word(words),
                None => {
                    let kind = if *target { "target" } else { "match" };
                    let _ = write!(self.out, "xt {kind} {name}");
                }
            },
            Stmt::Plain(expression) => self.plain(expression),
            Stmt::Unknown(text) => {
                let _ = write!(self.out, "unknown {text}");
            }
        }
    }

    fn relation(&mut self, relation: Relation, left: &Expr, right: &Expr) {
        self.expr(left);
        let flags = right.ty.is_flags()
            && match right.kind {
                Kind::Value(value) => {
                    let single = value.count_ones() <= 1 || matches!(left.kind, Kind::Payload { .. });
                    single && right.ty != Type::CT_LABEL
                }
                _ => false,
            };
        let computed = matches!(left.kind, Kind::Binary(..));
        match relation {
            Relation::Any => self.word(" "),
            Relation::Equal if !flags && !computed => self.word(" "),
            other => {
                let _ = write!(self.out, " {} ", other.sign());
            }
        }
        match (&left.kind, &right.kind) {
            _ if matches!(relation, Relation::Any | Relation::None) => self.list(right),
            // Several flags of a header are a number.
            (Kind::Payload { .. }, Kind::Value(value)) if right.ty.is_flags() => {
                self.value(right.ty, *value, right.bits);
            }
            _ => self.expr(right),
        }
    }

    fn family(&mut self, family: u32) {
        if family == u32::from(family::IPV4) {
            self.word(" ip");
        } else if family == u32::from(family::IPV6) {
            self.word(" ip6");
        }
    }

    /// address:port, IPv6 addresses in brackets if there is a port.
    fn target(&mut self, address: Option<&Expr>, port: Option<&Expr>) {
        if address.is_some() || port.is_some() {
            self.word(" ");
        }
        match address {
            Some(address) if port.is_some() && address.ty == Type::IPV6 => match address.kind {
                Kind::Value(_) => {
                    self.word("[");
                    self.expr(address);
                    self.word("]");
                }
                Kind::Range(low, high) => {
                    for (index, end) in [low, high].into_iter().enumerate() {
                        self.word(if index == 0 { "[" } else { "-[" });
                        self.value(address.ty, end, address.bits);
                        self.word("]");
                    }
                }
                _ => self.expr(address),
            },
            Some(address) => self.expr(address),
            None => {}
        }
        if let Some(port) = port {
            self.word(":");
            self.expr(port);
        }
    }

    fn out_of(&mut self, address: Option<&Expr>, device: Option<&Expr>) {
        if address.is_some() || device.is_some() {
            self.word(" to ");
        }
        match (address, device) {
            (Some(address), Some(device)) => {
                self.expr(address);
                self.word(" device ");
                self.expr(device);
            }
            (Some(only), None) | (None, Some(only)) => self.expr(only),
            (None, None) => {}
        }
    }

    fn reject(&mut self, kind: u32, code: u8, family: u8, verbose: bool) {
        self.word("reject");
        let (word, ty, usual) = match (kind, family) {
            (1, _) => return self.word(" with tcp reset"),
            (2, _) => ("icmpx", Type::ICMPX_CODE, 1),
            // No condition says which protocol it is: the code has two meanings.
            (0, 0) => return,
            (0, family::IPV6) => ("icmpv6", Type::ICMPV6_CODE, 4),
            (0, _) => ("icmp", Type::ICMP_CODE, 3),
            (other, _) => {
                let _ = write!(self.out, " with unknown-{other} {code}");
                return;
            }
        };
        if code != usual || verbose {
            let _ = write!(self.out, " with {word} ");
            self.value(ty, u128::from(code), 8);
        }
    }

    fn plain(&mut self, expression: &Expression<'_>) {
        match expression {
            Expression::Log { group, prefix, snaplen, threshold, level, flags } => {
                self.word("log");
                if let Some(prefix) = prefix {
                    let _ = write!(self.out, " prefix \"{prefix}\"");
                }
                if let Some(group) = group {
                    let _ = write!(self.out, " group {group}");
                }
                if let Some(snaplen) = snaplen.filter(|snaplen| *snaplen > 0) {
                    let _ = write!(self.out, " snaplen {snaplen}");
                }
                if let Some(threshold) = threshold.filter(|threshold| *threshold > 0) {
                    let _ = write!(self.out, " queue-threshold {threshold}");
                }
                self.log_options(*level, *flags);
            }
            Expression::Notrack => self.word("notrack"),
            Expression::Synproxy { mss, wscale, flags } => {
                self.word("synproxy");
                for part in synproxy(*mss, *wscale, *flags) {
                    self.word(" ");
                    self.word(&part);
                }
            }
            Expression::Flow { table } => {
                let _ = write!(self.out, "flow add @{table}");
            }
            other => {
                let _ = write!(self.out, "unknown {}", super::tree::unknown(other));
            }
        }
    }

    fn log_options(&mut self, level: Option<u32>, flags: u32) {
        /// LOG_WARNING, nft's default.
        const WARNING: u32 = 4;
        if let Some(level) = level.filter(|level| *level != WARNING) {
            match symbols::name(symbols::LOG_LEVEL, u128::from(level)) {
                Some(name) => {
                    let _ = write!(self.out, " level {name}");
                }
                None => {
                    let _ = write!(self.out, " level unknown-{level}");
                }
            }
        }
        for word in log_flags(flags) {
            self.word(" flags ");
            self.word(word);
        }
    }
}

/// NF_LOG_* in words, as they follow `flags`.
pub fn log_flags(flags: u32) -> Vec<&'static str> {
    /// All but the mark that the kernel logs to netlink.
    const ALL: u32 = 0x2f;
    if flags & ALL == ALL {
        return vec!["all"];
    }
    let tcp = match flags & 3 {
        1 => Some("tcp sequence"),
        2 => Some("tcp options"),
        3 => Some("tcp sequence,options"),
        _ => None,
    };
    let others = [(4, "ip options"), (8, "skuid"), (0x20, "ether")];
    tcp.into_iter().chain(others.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| *word)).collect()
}

/// What a synproxy offers (NF_SYNPROXY_OPT_*): maximum segment size, window scale, and the rest on one line.
pub fn synproxy(mss: u16, wscale: u8, flags: u32) -> Vec<String> {
    let mut parts = Vec::new();
    if flags & 1 != 0 {
        parts.push(format!("mss {mss}"));
    }
    if flags & 2 != 0 {
        parts.push(format!("wscale {wscale}"));
    }
    let words = match flags & 0x0c {
        0x08 => "timestamp",
        0x04 => "sack-perm",
        0x0c => "timestamp sack-perm",
        _ => return parts,
    };
    parts.push(words.to_owned());
    parts
}

/// How a rule refers to an object of this kind.
pub fn object_word(kind: u32) -> &'static str {
    match kind {
        1 => "counter name",
        2 => "quota name",
        3 => "ct helper set",
        4 => "limit name",
        7 => "ct timeout set",
        8 => "meta secmark set",
        9 => "ct expectation set",
        10 => "synproxy name",
        _ => "unknown object",
    }
}
