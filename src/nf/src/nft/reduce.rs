//! What nft leaves out and rewrites when it lists a rule: fields for raw loads, conditions that a later field implies, flags,
//! prefixes, ranges.
//!
//! A load from a header is only meaningful after the condition that says which header is there. nft adds that condition
//! when it was not typed, and leaves it out again where the field that needs it says as much. Here the position of
//! the last such condition is kept for each layer.

use super::build::{Builder, payload, typed};
use super::datatype::{Order, Type};
use super::elements;
use super::family;
use super::header::{self, Field, Protocol, base};
use super::key::{Keyed, meta};
use super::tree::{Expr, Kind, Op, Relation, Stmt, constant, number};

/// Which protocols the conditions so far have fixed.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// By [`base`].
    protocol: [Option<&'static Protocol>; 4],
    /// The statement that says which header follows, by layer: 1 link, 2 network, 3 transport.
    dependency: [Option<usize>; 5],
    /// Type of the ICMP message.
    icmp: Option<u8>,
}

impl Context {
    /// What a table's family fixes.
    pub(super) fn new(family: u8) -> Context {
        let mut context = Context::default();
        match family {
            family::IPV4 => context.set(&header::IP),
            family::IPV6 => context.set(&header::IP6),
            family::ARP => context.set(&header::ARP),
            family::BRIDGE => context.set(&header::ETHER),
            _ => context.set(&header::INET),
        }
        context
    }

    /// Conditions before a statement that does something stay, whatever follows.
    pub(super) fn settle(&mut self) {
        self.dependency = [None; 5];
    }

    /// The transport protocol that a condition has named.
    pub(super) fn transport(&self) -> Option<&'static str> {
        self.at(base::TRANSPORT).map(|protocol| protocol.name)
    }

    fn at(&self, layer: u32) -> Option<&'static Protocol> {
        self.protocol.get(usize::try_from(layer).ok()?).copied().flatten()
    }

    fn set(&mut self, protocol: &'static Protocol) {
        if let Some(place) = usize::try_from(protocol.base).ok().and_then(|at| self.protocol.get_mut(at)) {
            *place = Some(protocol);
        }
    }

    /// The field at this place that a message of the known type has.
    fn field(&self, layer: u32, fits: impl Fn(&Field) -> bool) -> Option<(&'static Protocol, &'static Field)> {
        let protocol = self.at(layer)?;
        let found = |protocol: &'static Protocol| {
            let field = protocol.fields.iter().find(|field| {
                let here = self.icmp.is_none_or(|kind| field.only.is_empty() || field.only.contains(&kind));
                here && fits(field)
            })?;
            Some((protocol, field))
        };
        // The Ethernet header does not go away behind a VLAN's.
        found(protocol).or_else(|| found(&header::ETHER).filter(|_| std::ptr::eq(protocol, &header::VLAN)))
    }
}

/// Where the condition is kept that a load from this layer needs.
fn place(layer: u32) -> usize {
    usize::try_from(layer).map_or(0, |layer| layer + 1)
}

impl<'a> Builder<'_, 'a> {
    /// Finds out which fields are loaded, and drops the conditions that they imply.
    pub(super) fn complete(&mut self, expr: &mut Expr) {
        self.trim(expr);
        self.unshift(expr);
        match &mut expr.kind {
            Kind::Payload { .. } => {
                self.identify(expr);
                self.imply(expr);
            }
            Kind::Exthdr { .. } => self.dependency_of_option(expr),
            Kind::Binary(op, left, right) => {
                self.complete(left);
                let shell = typed(left);
                if !matches!(op, Op::Left | Op::Right) && matches!(right.kind, Kind::Value(_)) {
                    right.ty = shell.ty;
                }
                // What is computed from a mark is one, what is computed from raw bytes is a number.
                (expr.ty, expr.order) = (shell.ty, shell.order);
            }
            Kind::Concat(parts) => parts.iter_mut().for_each(|part| self.complete(part)),
            Kind::Map(key, _) => self.complete(key),
            Kind::Hash { from: Some(from), .. } => self.complete(from),
            _ => {}
        }
    }

    fn identify(&self, expr: &mut Expr) {
        let Kind::Payload { base: layer, offset, field } = &mut expr.kind else { return };
        if field.is_some() {
            return;
        }
        let exact = |candidate: &Field| candidate.offset == *offset && candidate.bits == expr.bits;
        *field = self.context.field(*layer, exact).or_else(|| {
            // Ports lie at the same place in every protocol that has them.
            let free = *layer == base::TRANSPORT && self.context.at(*layer).is_none();
            let port = header::TH.fields.iter().find(|candidate| exact(candidate)).filter(|_| free)?;
            Some((&header::TH, port))
        });
        if let Some((_, field)) = field {
            expr.ty = field.ty;
        }
    }

    /// For a field of four or six bits: what was loaded around it and masked becomes the field itself. How far its value
    /// lies from the end of what was loaded.
    pub(super) fn trim(&self, expr: &mut Expr) -> Option<u32> {
        let Kind::Binary(Op::And, left, right) = &expr.kind else { return None };
        let Kind::Value(mask) = right.kind else { return None };
        let (low, width) = (mask.trailing_zeros(), mask.count_ones());
        if mask == 0 || mask.checked_shr(low)?.count_ones() != mask.checked_shr(low)?.trailing_ones() {
            return None;
        }
        let skipped = left.bits.checked_sub(low + width)?;
        let new = match &left.kind {
            Kind::Payload { base: layer, offset, field: None } => {
                let at = offset.saturating_add(skipped);
                let here = |field: &Field| field.offset == at && field.bits == width;
                let field = self.context.field(*layer, here)?;
                let kind = Kind::Payload { base: *layer, offset: at, field: Some(field) };
                Expr::new(kind, field.1.ty, Order::Big, width)
            }
            Kind::Exthdr { op, kind, offset, present, .. } => {
                let at = offset.saturating_add(skipped);
                let field = header::option_field(*op, *kind, at, width)?;
                let kind = Kind::Exthdr { op: *op, kind: *kind, offset: at, present: *present, field: Some(field) };
                Expr::new(kind, field.1.ty, Order::Big, width)
            }
            _ => return None,
        };
        *expr = new;
        Some(low)
    }

    /// A field of a few bits that was moved to the end of its octet is the field.
    fn unshift(&self, expr: &mut Expr) {
        let Kind::Binary(Op::Right, inner, by) = &expr.kind else { return };
        let mut field = (**inner).clone();
        if let (Some(low), Kind::Value(by)) = (self.trim(&mut field), &by.kind)
            && *by == u128::from(low)
        {
            *expr = field;
        }
    }

    fn statement(&self, at: usize) -> Option<&Stmt<'a>> {
        self.statements.get(at)?.as_ref()
    }

    fn dependency(&self, at: usize) -> Option<usize> {
        self.context.dependency.get(at).copied().flatten()
    }

    fn forget(&mut self, at: usize) {
        let place = self.context.dependency.get_mut(at).and_then(Option::take);
        if let Some(statement) = place.and_then(|index| self.statements.get_mut(index)) {
            *statement = None;
        }
    }

    /// The next statement is the condition for loads of this layer.
    fn remember(&mut self, at: usize) {
        let next = self.statements.len();
        if let Some(place) = self.context.dependency.get_mut(at) {
            *place = Some(next);
        }
    }

    /// Drops the condition that this field implies.
    fn imply(&mut self, expr: &Expr) {
        let Kind::Payload { base: layer, field, .. } = &expr.kind else { return };
        let at = place(*layer);
        let at = match (self.dependency(at), *layer) {
            (Some(_), _) => at,
            (None, _) => return,
        };
        let Some(Stmt::Match { left, right, .. }) = self.dependency(at).and_then(|index| self.statement(index)) else {
            return;
        };
        let said = match &left.kind {
            Kind::Payload { base: layer, field, .. } => Some((*layer, *field)),
            _ => None,
        };
        let value = match right.kind {
            Kind::Value(value) => Some(value),
            _ => None,
        };
        let mixed = matches!(self.family, family::BRIDGE | family::NETDEV | family::INET);
        let drop = match (*layer, said) {
            // The network protocol's own field also says which network protocol it is.
            (base::TRANSPORT, Some((base::NETWORK, _))) if mixed => false,
            (base::TRANSPORT, Some((base::TRANSPORT, Some((protocol, _))))) => {
                // The type of an ICMP message, where only one type has the field.
                let kind = value.and_then(|value| u8::try_from(value).ok());
                field.is_some_and(|(own, field)| {
                    std::ptr::eq(own, protocol) && field.only.len() == 1 && field.only.first().copied() == kind
                })
            }
            (base::TRANSPORT, _) => field.is_some_and(|(protocol, _)| !std::ptr::eq(protocol, &header::TH)),
            (base::LINK, Some((_, Some((protocol, _))))) => {
                let vlan =
                    field.is_some_and(|(own, own_field)| std::ptr::eq(own, &header::VLAN) && own_field.name != "type");
                // A VLAN's fields imply 802.1Q, nothing else does; 802.1ad must be said.
                let other = value != Some(0x8100) && value != Some(0x88a8);
                !std::ptr::eq(protocol, &header::VLAN) && if vlan { value == Some(0x8100) } else { other }
            }
            _ => true,
        };
        if drop {
            self.forget(at);
        }
    }

    /// Options and extension headers lie in the header that the condition names.
    pub(super) fn dependency_of_option(&mut self, expr: &Expr) {
        let Kind::Exthdr { op, .. } = expr.kind else { return };
        let layer = if matches!(op, 0 | 2) { base::NETWORK } else { base::TRANSPORT };
        let at = place(layer);
        let Some(Stmt::Match { left, .. }) = self.dependency(at).and_then(|index| self.statement(index)) else {
            return;
        };
        let network = matches!(left.kind, Kind::Payload { base: base::NETWORK, .. });
        let mixed = matches!(self.family, family::BRIDGE | family::NETDEV | family::INET);
        if layer == base::NETWORK || !(network && mixed) {
            self.forget(at);
        }
    }

    /// A condition on a register, against a constant.
    pub(super) fn compare(&mut self, relation: Relation, mut left: Expr, right: Expr) {
        let Kind::Raw(data) = &right.kind else { return self.matched(relation, left, right) };
        let exact = matches!(relation, Relation::Equal | Relation::NotEqual);
        if let (Kind::Payload { .. }, true) = (&left.kind, exact) {
            return self.expand(relation, left, data);
        }
        let loaded = left.bits;
        let shift = self.trim(&mut left);
        self.complete(&mut left);
        let shell = typed(&left);
        let mut right = match (&left.kind, &left) {
            (Kind::Concat(parts), _) => concat(parts, data),
            // A whole name ends with a zero, the beginning of one does not.
            (_, Expr { ty, bits, .. }) if ty.is_text() && right.bits < *bits && data.last() != Some(&0) => {
                Expr { kind: Kind::Wildcard(number(data, *ty, Order::Big).unwrap_or(0)), ..shell.with(Kind::All) }
            }
            // The first octets of an address are a prefix of it.
            (_, Expr { ty, bits, order: Order::Big, .. }) if ty.has_prefixes() && right.bits < *bits => {
                let value = number(data, *ty, Order::Big).unwrap_or(0).checked_shl(bits - right.bits).unwrap_or(0);
                shell.with(Kind::Prefix(value, right.bits))
            }
            _ if shell.ty.is_text() => constant(data, shell.ty, shell.order),
            _ => Expr { bits: shell.bits.max(right.bits), ..constant(data, shell.ty, shell.order) },
        };
        if let Kind::Wildcard(_) = right.kind {
            right.bits = u32::try_from(data.len()).unwrap_or(0).saturating_mul(8);
        }
        if let (Some(shift), Kind::Value(value)) = (shift, &mut right.kind) {
            debug_assert!(loaded > shift, "a trimmed field lies within what was loaded");
            *value = value.checked_shr(shift).unwrap_or(0);
            right.bits = left.bits;
        }
        self.matched(relation, left, right);
    }

    /// Bytes of a header compared with a constant: one condition for each field that lies there.
    fn expand(&mut self, relation: Relation, left: Expr, data: &[u8]) {
        let Kind::Payload { base: layer, mut offset, .. } = left.kind else { return };
        let mut rest = u32::try_from(data.len()).unwrap_or(0).saturating_mul(8);
        let Some(value) = number(data, Type::INTEGER, Order::Big) else {
            let right = constant(data, Type::HEX, Order::Big);
            return self.push(Stmt::Match { relation, left, right });
        };
        while rest > 0 {
            let below = u128::MAX.checked_shr(128 - rest).unwrap_or(0) & value;
            let known = self.context.field(layer, |field| field.offset == offset && field.bits <= rest);
            let (expr, right) = match known {
                Some(field) => {
                    let bits = field.1.bits;
                    let kind = Kind::Payload { base: layer, offset, field: Some(field) };
                    let expr = Expr::new(kind, field.1.ty, Order::Big, bits);
                    let right = expr.with(Kind::Value(below.checked_shr(rest - bits).unwrap_or(0)));
                    (expr, right)
                }
                None => self.remainder(layer, offset, rest, below),
            };
            (offset, rest) = (offset.saturating_add(expr.bits), rest.saturating_sub(expr.bits.max(1)));
            // A prefix compares fewer bits than the field has.
            if matches!(right.kind, Kind::Prefix(..)) {
                rest = 0;
            }
            self.condition(relation, expr, right);
        }
    }

    /// What no field begins with: the first octets of a longer one, or raw bytes.
    fn remainder(&self, layer: u32, offset: u32, bits: u32, value: u128) -> (Expr, Expr) {
        let mut expr = payload(layer, 0, 0);
        expr.kind = Kind::Payload { base: layer, offset, field: None };
        expr.bits = bits;
        self.identify(&mut expr);
        if let Kind::Payload { field: Some(_), .. } = expr.kind {
            let right = expr.with(Kind::Value(value));
            return (expr, right);
        }
        let longer = |field: &Field| {
            field.offset == offset && field.bits > bits && field.ty.has_prefixes() && bits.is_multiple_of(8)
        };
        if let Some(field) = self.context.field(layer, longer) {
            let kind = Kind::Payload { base: layer, offset, field: Some(field) };
            let expr = Expr::new(kind, field.1.ty, Order::Big, field.1.bits);
            let shifted = value.checked_shl(field.1.bits - bits).unwrap_or(0);
            let right = expr.with(Kind::Prefix(shifted, bits));
            return (expr, right);
        }
        let right = Expr::new(Kind::Value(value), Type::HEX, Order::Big, bits);
        (expr, right)
    }

    /// A condition on one field, which may be the one that names the next protocol.
    fn condition(&mut self, relation: Relation, left: Expr, right: Expr) {
        let Kind::Payload { base: layer, field, .. } = left.kind else { return };
        let equal = relation == Relation::Equal;
        let mut key = false;
        let mut at = place(layer) + 1;
        if let (Some((protocol, field)), Kind::Value(value), true) = (field, &right.kind, equal) {
            key =
                protocol.next.and_then(|next| protocol.fields.get(next)).is_some_and(|next| std::ptr::eq(next, field));
            if let Some(upper) = protocol.above(*value).filter(|_| key) {
                self.context.set(upper);
                if upper.base == layer {
                    at -= 1;
                }
            }
            let icmp = std::ptr::eq(protocol, &header::ICMP) || std::ptr::eq(protocol, &header::ICMPV6);
            if icmp && field.offset == 0 {
                self.context.icmp = u8::try_from(*value).ok();
                (key, at) = (true, place(layer));
            }
        }
        self.imply(&left);
        if key {
            self.remember(at);
        }
        self.finish(relation, left, right);
    }

    /// A condition whose sides are known.
    pub(super) fn matched(&mut self, relation: Relation, mut left: Expr, mut right: Expr) {
        if let (Kind::Keyed { what, key, .. }, Relation::Equal) = (&left.kind, relation) {
            self.keyed_condition(*what, *key, &right);
        }
        if self.merged(relation, &left, &right) {
            return;
        }
        if let Kind::Binary(Op::And, inner, mask) = &left.kind
            && let (Kind::Value(bits), Kind::Value(value)) = (&mask.kind, &right.kind)
            && matches!(relation, Relation::Equal | Relation::NotEqual)
        {
            // One flag out of itself is left as it is.
            let same = bits == value && bits.count_ones() == 1;
            if inner.ty.is_flags() && !same {
                return self.flags(relation, inner, mask, *value, &right);
            }
            let width = inner.bits.clamp(1, 128);
            let ones = (bits << (128 - width)).leading_ones();
            if inner.ty.has_prefixes() && ones == bits.count_ones() && ones < width {
                right.kind = Kind::Prefix(*value, ones);
                left = (**inner).clone();
            }
        }
        self.finish(relation, left, right);
    }

    fn finish(&mut self, relation: Relation, left: Expr, right: Expr) {
        self.push(Stmt::Match { relation, left, right });
    }

    /// `&` with named flags: any of them, none of them, or some of them out of some.
    fn flags(&mut self, relation: Relation, inner: &Expr, mask: &Expr, value: u128, right: &Expr) {
        let left = inner.clone();
        if value == 0 {
            let relation = if relation == Relation::NotEqual { Relation::Any } else { Relation::None };
            return self.push(Stmt::Match { relation, left, right: mask.clone() });
        }
        let negated = relation == Relation::NotEqual;
        self.push(Stmt::Flags { negated, left, value: right.clone(), mask: mask.clone() });
    }

    /// At least and at most the same thing is a range.
    fn merged(&mut self, relation: Relation, left: &Expr, right: &Expr) -> bool {
        if relation != Relation::LessOrEqual {
            return false;
        }
        let Some(Some(Stmt::Match { relation: before, left: same, right: low })) = self.statements.last_mut() else {
            return false;
        };
        if *before != Relation::GreaterOrEqual || same != left {
            return false;
        }
        match (&low.kind, &right.kind) {
            (Kind::Value(first), Kind::Value(last)) => {
                let kind = Kind::Range(*first, *last);
                *low = Expr { kind, ..right.clone() };
                *before = Relation::Equal;
                true
            }
            _ => false,
        }
    }

    /// A key that names a protocol.
    fn keyed_condition(&mut self, what: Keyed, key: u32, right: &Expr) {
        let Kind::Value(value) = right.kind else { return };
        match (what, key) {
            (Keyed::Meta, meta::L4PROTO) | (Keyed::Ct, 10) => {
                let upper = header::TRANSPORT_UPPER.iter().find(|(known, _)| u128::from(*known) == value);
                if let Some((_, protocol)) = upper {
                    self.context.set(protocol);
                }
                if what == Keyed::Ct {
                    return;
                }
                let at = place(base::NETWORK);
                if self.dependency(at).is_some() && self.icmp_implies_network(value) {
                    self.forget(at);
                }
                self.remember(place(base::TRANSPORT));
            }
            (Keyed::Meta, meta::NFPROTO | meta::PROTOCOL) | (Keyed::Ct, 7) => {
                let protocol = match value {
                    2 if key != meta::PROTOCOL => Some(&header::IP),
                    10 if key != meta::PROTOCOL => Some(&header::IP6),
                    _ if key == meta::PROTOCOL => header::ETHER.above(value),
                    _ => None,
                };
                // In a table of one family nothing else gets this far.
                let mixed = matches!(self.family, family::BRIDGE | family::NETDEV | family::INET);
                if let Some(protocol) = protocol.filter(|_| mixed) {
                    self.context.set(protocol);
                }
                self.remember(place(base::NETWORK));
            }
            (Keyed::Meta, meta::IIFTYPE) => {
                if value == 1 && self.family != family::BRIDGE {
                    self.context.set(&header::ETHER);
                }
                self.remember(place(base::LINK));
            }
            _ => {}
        }
    }

    /// ICMP is only there behind IPv4, ICMPv6 only behind IPv6.
    fn icmp_implies_network(&self, protocol: u128) -> bool {
        let at = place(base::NETWORK);
        let Some(Stmt::Match { left, right, .. }) = self.dependency(at).and_then(|index| self.statement(index)) else {
            return false;
        };
        let key = match left.kind {
            // Every packet of the table's own family is one of conntrack's.
            Kind::Keyed { what: Keyed::Ct, .. } => return matches!(self.family, family::IPV4 | family::IPV6),
            Kind::Keyed { what: Keyed::Meta, key, .. } => key,
            Kind::Payload { base: base::LINK, .. } => meta::PROTOCOL,
            _ => return false,
        };
        let network = match (key, &right.kind) {
            (meta::NFPROTO, Kind::Value(2)) | (meta::PROTOCOL, Kind::Value(0x0800)) => 1,
            (meta::NFPROTO, Kind::Value(10)) | (meta::PROTOCOL, Kind::Value(0x86dd)) => 58,
            _ => return false,
        };
        protocol == network
    }

    /// A write to a header; of a field that is no whole octets the rest was loaded before and is written back.
    pub(super) fn write(&mut self, mut left: Expr, right: Expr) {
        let (kept, ored) = match &right.kind {
            Kind::Binary(Op::Or, inner, ored) if inner.kind != left.kind => match (&inner.kind, &ored.kind) {
                (Kind::Binary(Op::And, from, mask), Kind::Value(ored)) if from.kind == left.kind => {
                    (value(mask).map(|mask| mask & !ored), *ored)
                }
                _ => (None, 0),
            },
            Kind::Binary(Op::And, from, mask) if from.kind == left.kind => (value(mask), 0),
            // All ones.
            Kind::Binary(Op::Or, from, ored) if from.kind == left.kind => {
                let ored = value(ored).unwrap_or(0);
                (Some(!ored), ored)
            }
            _ => (None, 0),
        };
        let width = left.bits.clamp(1, 128);
        if let Some(kept) = kept {
            let mask = !kept & (u128::MAX >> (128 - width));
            let shell = left.with(Kind::Value(mask));
            let mut field = left.with(Kind::Binary(Op::And, Box::new(left.clone()), Box::new(shell)));
            if let Some(shift) = self.trim(&mut field) {
                self.imply(&field);
                let right = field.with(Kind::Value(ored.checked_shr(shift).unwrap_or(0)));
                return self.push(Stmt::Set { left: field, right });
            }
        }
        self.complete(&mut left);
        let right = match right {
            Expr { kind: Kind::Raw(data), .. } => {
                let shell = typed(&left);
                constant(&data, shell.ty, Order::Big)
            }
            mut other => {
                self.complete(&mut other);
                other
            }
        };
        self.push(Stmt::Set { left, right });
    }

    pub(super) fn reject(&mut self, kind: u32, code: u8) {
        let transport = place(base::TRANSPORT);
        let (mut own, mut verbose) = (self.family, false);
        match self.family {
            family::IPV4 | family::IPV6 => {
                if kind == 1 && self.dependency(transport).is_some() {
                    self.forget(transport);
                }
            }
            _ if kind == 2 => {}
            _ => {
                verbose = true;
                own = match self.context.at(base::NETWORK) {
                    Some(protocol) if std::ptr::eq(protocol, &header::IP6) => family::IPV6,
                    Some(protocol) if std::ptr::eq(protocol, &header::IP) => family::IPV4,
                    _ => 0,
                };
                if kind == 0 && self.dependency(place(base::NETWORK)).is_some() {
                    self.forget(place(base::NETWORK));
                }
            }
        }
        self.push(Stmt::Reject { kind, code, family: own, verbose });
    }
}

fn value(expr: &Expr) -> Option<u128> {
    match expr.kind {
        Kind::Value(value) => Some(value),
        _ => None,
    }
}

/// A constant for each part.
fn concat(parts: &[Expr], data: &[u8]) -> Expr {
    let shapes: Vec<Expr> = parts.iter().map(typed).collect();
    elements::split(&shapes, data)
}
