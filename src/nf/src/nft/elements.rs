//! Elements of sets and maps: from the kernel's keys, which are beginnings and ends of intervals, to what nft writes.

use std::rc::Rc;

use super::build::{exthdr, fib, keyed, payload, typed};
use super::datatype::{Order, Type};
use super::header;
use super::key::Keyed;
use super::set::{NftSet, flag};
use super::tree::{Elem, Expr, Kind, Stateful, constant, number};
use super::{Data, Element, Userdata};

/// Types of what nft keeps of a set (libnftnl's NFTNL_UDATA_SET_*).
mod note {
    pub(super) const KEY_ORDER: u8 = 0;
    pub(super) const DATA_ORDER: u8 = 1;
    pub(super) const KEY_TYPEOF: u8 = 3;
    pub(super) const DATA_TYPEOF: u8 = 4;
    pub(super) const DATA_INTERVAL: u8 = 6;
}

/// What the keys of a set are made of.
#[derive(Clone, Debug)]
pub struct Shape {
    /// One part, or those of a concatenation.
    pub parts: Vec<Expr>,
    /// How far a field of a few bits lies from the end of its octet.
    pub shift: u32,
}

impl Shape {
    /// Of a set, and what is looked up in it, if that is known.
    pub fn of(set: &NftSet, left: Option<&Expr>) -> Shape {
        let parts = match left.map(|left| (&left.kind, left)) {
            Some((Kind::Concat(parts), _)) => parts.iter().map(typed).collect(),
            Some((_, left)) if left.ty != Type::INVALID => vec![typed(left)],
            _ => match key_typeof(set) {
                Some(Expr { kind: Kind::Concat(parts), .. }) => parts.iter().map(typed).collect(),
                Some(left) => vec![typed(&left)],
                None => by_number(set.key_type, set.key_length, order_of(set, note::KEY_ORDER)),
            },
        };
        let mut shape = Shape { parts, shift: 0 };
        // Of raw bytes the set may know more than the rule.
        let own = types(set.key_type);
        if own.len() == shape.parts.len() {
            for (part, ty) in shape.parts.iter_mut().zip(own) {
                if part.ty == Type::HEX && !ty.is_integer() && ty.bits() == part.bits {
                    part.ty = ty;
                }
            }
        }
        if left.is_none() && set.has(flag::INTERVAL) {
            // The kernel compares octets, so that ranges only work in network order.
            shape.parts.iter_mut().for_each(|part| part.order = Order::Big);
        }
        shape
    }

    /// One key.
    pub fn key(&self, data: &[u8]) -> Expr {
        split(&self.parts, data)
    }
}

/// NFT's order of a set's keys or data, where the type does not say it: 1 host, 2 network.
fn order_of(set: &NftSet, kind: u8) -> Option<Order> {
    match Userdata(&set.userdata).number(kind)? {
        1 => Some(Order::Host),
        2 => Some(Order::Big),
        _ => None,
    }
}

/// Types by number, six bits a part, the last one lowest.
pub fn types(number: u32) -> Vec<Type> {
    let mut types: Vec<Type> = (0..5)
        .map(|index| number >> (index * 6) & 0x3f)
        .take_while(|part| *part != 0)
        .map(|part| Type::from_number(part).unwrap_or(Type::INVALID))
        .collect();
    types.reverse();
    if types.is_empty() { vec![Type::INVALID] } else { types }
}

fn by_number(number: u32, octets: u32, order: Option<Order>) -> Vec<Expr> {
    let types = types(number);
    let single = types.len() == 1;
    types
        .into_iter()
        .map(|ty| {
            let bits = if single || ty.bits() == 0 { octets.saturating_mul(8) } else { ty.bits() };
            let order = order.filter(|_| single).unwrap_or(ty.order());
            Expr::new(Kind::All, ty, order, bits)
        })
        .collect()
}

/// A constant for each part; parts begin at multiples of four octets.
pub fn split(parts: &[Expr], data: &[u8]) -> Expr {
    if let [part] = parts {
        return constant(data, part.ty, part.order);
    }
    let mut rest = data;
    let mut values = Vec::with_capacity(parts.len());
    for part in parts {
        let octets = usize::try_from(part.bits.div_ceil(8)).unwrap_or(0);
        let value = rest.get(..octets).unwrap_or(rest);
        values.push(constant(value, part.ty, part.order));
        rest = rest.get(octets.next_multiple_of(4)..).unwrap_or_default();
    }
    let bits = u32::try_from(data.len()).unwrap_or(0).saturating_mul(8);
    Expr::new(Kind::Concat(values), Type::INVALID, Order::Big, bits)
}

/// The shape of a map's data: type, order, bits.
pub fn data_shape(set: &NftSet) -> Expr {
    if set.data_type == 0xffff_ff00 {
        return Expr::new(Kind::All, Type::VERDICT, Order::Host, 32);
    }
    let bits = set.data_length.saturating_mul(8);
    match data_parts(set).as_slice() {
        [only] => Expr { bits, ..only.clone() },
        _ => Expr::new(Kind::All, Type::INVALID, Order::Big, bits),
    }
}

fn data_parts(set: &NftSet) -> Vec<Expr> {
    match data_typeof(set) {
        Some(Expr { kind: Kind::Concat(parts), .. }) => parts.iter().map(typed).collect(),
        Some(expr) => vec![typed(&expr)],
        None => {
            let octets = if has_data_intervals(set) { set.data_length / 2 } else { set.data_length };
            by_number(set.data_type, octets, order_of(set, note::DATA_ORDER))
        }
    }
}

/// Whether the data of a map are ranges: both ends, one after the other.
pub fn has_data_intervals(set: &NftSet) -> bool {
    Userdata(&set.userdata).number(note::DATA_INTERVAL).is_some_and(|number| number != 0)
}

/// The data of one element.
pub fn data(set: &NftSet, found: &Data<'_>) -> Expr {
    let bytes = match found {
        Data::Value(bytes) => bytes,
        Data::Verdict { code, chain } => {
            let kind = Kind::Verdict { code: *code, chain: chain.clone() };
            return Expr::new(kind, Type::VERDICT, Order::Host, 32);
        }
    };
    let parts = data_parts(set);
    if has_data_intervals(set) {
        let (low, high) = bytes.split_at(bytes.len() / 2);
        return between(&parts, low, high);
    }
    split(&parts, bytes)
}

/// Each part's range.
fn between(parts: &[Expr], low: &[u8], high: &[u8]) -> Expr {
    let (low, high) = (split(parts, low), split(parts, high));
    match (low.kind, high.kind) {
        (Kind::Concat(lows), Kind::Concat(highs)) => {
            let parts = lows.into_iter().zip(highs).map(|(low, high)| pair(&low, &high)).collect();
            Expr { kind: Kind::Concat(parts), ty: low.ty, order: low.order, bits: low.bits }
        }
        (low_kind, high_kind) => {
            let shell = Expr { kind: Kind::All, ty: low.ty, order: low.order, bits: low.bits };
            pair(&shell.with(low_kind), &shell.with(high_kind))
        }
    }
}

fn pair(low: &Expr, high: &Expr) -> Expr {
    match (&low.kind, &high.kind) {
        (Kind::Value(first), Kind::Value(last)) => ranged(low, *first, *last),
        _ => low.clone(),
    }
}

/// From one value to another, of this type.
fn ranged(shell: &Expr, low: u128, high: u128) -> Expr {
    let mut expr = shell.with(span(low, high, shell.ty, shell.bits));
    if let Kind::Wildcard(_) = expr.kind {
        expr.bits = expr.bits.saturating_sub((low ^ high).count_ones());
    }
    expr
}

/// A value, a prefix or a range.
pub fn span(low: u128, high: u128, ty: Type, bits: u32) -> Kind {
    if low == high {
        return Kind::Value(low);
    }
    let size = low ^ high;
    let free = size.count_ones();
    let aligned = size == size.checked_add(1).map_or(u128::MAX, |next| next - 1)
        && size.trailing_ones() == free
        && low & size == 0
        && high >= low;
    let length = bits.saturating_sub(free);
    match aligned {
        true if ty.has_prefixes() => Kind::Prefix(low, length),
        true if ty.is_text() && length.is_multiple_of(8) && length > 0 => {
            Kind::Wildcard(low.checked_shr(free).unwrap_or(0))
        }
        _ => Kind::Range(low, high),
    }
}

/// Gathers the elements of a set.
pub struct Collector<'s> {
    set: &'s NftSet,
    shape: Shape,
    /// With their keys, in the kernel's order.
    found: Vec<Found>,
    all: Option<Elem>,
}

struct Found {
    /// What they are sorted by.
    rank: Rank,
    /// The first key that does not belong to the interval before it.
    end: bool,
    elem: Elem,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Clone)]
enum Rank {
    Number(u128),
    Octets(Vec<u8>),
}

impl<'s> Collector<'s> {
    /// For a set whose keys have this shape.
    pub fn new(set: &'s NftSet, shape: Shape) -> Collector<'s> {
        Collector { set, shape, found: Vec::new(), all: None }
    }

    /// Takes one element.
    pub fn add(&mut self, element: &Element<'_>) {
        let interval = self.set.has(flag::INTERVAL);
        let key = match (element.key, element.key_end) {
            _ if element.is_catch_all() => Expr::new(Kind::All, Type::INVALID, Order::Host, 0),
            (Some(low), Some(high)) => between(&self.shape.parts, low, high),
            (Some(low), None) => self.shape.key(low),
            (None, _) => return,
        };
        let rank = match (element.key, &key.kind) {
            (_, Kind::Value(value)) if key.ty.is_flags() && !interval => {
                // Of several flags the lowest counts.
                Rank::Number(value & value.wrapping_neg())
            }
            (Some(bytes), Kind::Value(_)) if key.ty.is_text() && !interval => {
                number(bytes, Type::INTEGER, Order::Host).map_or(Rank::Octets(bytes.to_vec()), Rank::Number)
            }
            (_, Kind::Value(value)) => Rank::Number(*value),
            (Some(_), Kind::Concat(parts)) => Rank::Octets(packed(parts)),
            (Some(bytes), _) => Rank::Octets(bytes.to_vec()),
            (None, _) => Rank::Number(u128::MAX),
        };
        let elem = Elem {
            key,
            data: element.data.as_ref().map(|found| data(self.set, found)),
            object: element.object.clone(),
            timeout: element.timeout,
            expiration: element.expiration,
            comment: Userdata(element.userdata).text(0),
            statements: element.expressions.iter().map(Stateful::of).collect(),
        };
        if element.is_catch_all() {
            self.all = Some(elem);
            return;
        }
        self.found.push(Found { rank, end: element.is_interval_end(), elem });
    }

    /// In nft's order.
    pub fn finish(mut self) -> Vec<Elem> {
        let concat = self.shape.parts.len() > 1;
        let ranges = self.set.has(flag::INTERVAL);
        // An end comes before the beginning that has the same key. Ranges of concatenations
        // stay as they are.
        if !(ranges && concat) {
            self.sort();
        }
        let mut elems = Vec::with_capacity(self.found.len() + 1);
        if ranges && !concat {
            let mut found = self.found.into_iter().peekable();
            while let Some(Found { elem, end, .. }) = found.next() {
                if end {
                    continue;
                }
                let next = found.peek().and_then(|next| match next.elem.key.kind {
                    Kind::Value(value) => Some(value),
                    _ => None,
                });
                elems.push(interval(elem, next));
            }
        } else {
            elems.extend(self.found.into_iter().filter(|found| !found.end).map(|found| found.elem));
        }
        if self.shape.shift > 0 {
            elems.iter_mut().for_each(|elem| shift(&mut elem.key, self.shape.shift));
        }
        elems.extend(self.all);
        elems
    }

    /// By key; of those that rank the same, the last one first.
    fn sort(&mut self) {
        self.found.reverse();
        self.found.sort_by(|left, right| left.rank.cmp(&right.rank).then_with(|| right.end.cmp(&left.end)));
    }
}

/// Moves a field of a few bits from where it lies in its octets to their end.
fn shift(key: &mut Expr, by: u32) {
    let moved = |value: u128| value.checked_shr(by).unwrap_or(0);
    match &mut key.kind {
        Kind::Value(value) => *value = moved(*value),
        Kind::Range(low, high) => {
            (*low, *high) = (moved(*low), moved(*high));
            if low == high {
                key.kind = Kind::Value(*low);
            }
        }
        _ => {}
    }
}

/// From a key to before the next.
fn interval(mut elem: Elem, next: Option<u128>) -> Elem {
    if let Kind::Value(low) = elem.key.kind {
        let bits = elem.key.bits.clamp(1, 128);
        let high = next.map_or(u128::MAX >> (128 - bits), |next| next.saturating_sub(1));
        elem.key = ranged(&elem.key, low, high);
    }
    elem
}

/// The parts' octets one behind the other, the last one first: what nft sorts concatenations by.
fn packed(parts: &[Expr]) -> Vec<u8> {
    let mut octets = Vec::new();
    for part in parts {
        let value = match part.kind {
            Kind::Value(value) | Kind::Prefix(value, _) | Kind::Range(value, _) => value,
            _ => 0,
        };
        let count = usize::try_from(part.bits.div_ceil(8)).unwrap_or(0).min(16);
        let bytes = value.to_be_bytes();
        let own = bytes.get(16 - count..).unwrap_or_default();
        if part.order == Order::Host && !part.ty.is_text() {
            octets.extend(own.iter().rev());
        } else {
            octets.extend(own);
        }
    }
    octets.reverse();
    octets
}

/// What a key is said to be the type of, in a set that was made with `typeof`.
pub fn key_typeof(set: &NftSet) -> Option<Expr> {
    described(Userdata(&set.userdata).find(note::KEY_TYPEOF)?, set.family, 0)
}

/// The same for the data of a map.
pub fn data_typeof(set: &NftSet) -> Option<Expr> {
    described(Userdata(&set.userdata).find(note::DATA_TYPEOF)?, set.family, 0)
}

/// An expression as nft describes it in a set's notes: its kind, and what is to be known of it. The numbers are nft's own.
fn described(bytes: &[u8], family: u8, depth: u8) -> Option<Expr> {
    let notes = Userdata(bytes);
    let inner = Userdata(notes.find(1).unwrap_or_default());
    let number = |kind: u8| inner.number(kind);
    Some(match notes.number(0)? {
        7 => {
            let (protocol, index) = (usize::try_from(number(0)?).ok()?, usize::try_from(number(1)?).ok()?);
            match header::BY_NUMBER.get(protocol).copied().flatten() {
                Some(protocol) => {
                    // Index 0 is nobody's, and the flag of a VLAN has two names.
                    let twice = usize::from(protocol.name == "vlan" && index > 2);
                    let field = protocol.fields.get(index.checked_sub(1 + twice)?)?;
                    let kind =
                        Kind::Payload { base: protocol.base, offset: field.offset, field: Some((protocol, field)) };
                    Expr::new(kind, field.ty, Order::Big, field.bits)
                }
                None => {
                    let (base, offset, bits) = (number(2)?.checked_sub(1)?, number(3)?, number(4)?);
                    let mut expr = payload(base, 0, 0);
                    (expr.kind, expr.bits) = (Kind::Payload { base, offset, field: None }, bits);
                    expr
                }
            }
        }
        8 => {
            let (number_of, index, op) = (number(0)?, usize::try_from(number(1)?).ok()?, number(2).unwrap_or(0));
            // nft numbers IPv6's extension headers by itself, and their fields from 1.
            let (kind, index) = match (op, number_of) {
                (0, own) => {
                    (*[0, 0, 43, 43, 43, 43, 44, 60, 135].get(usize::try_from(own).ok()?)?, index.checked_sub(1)?)
                }
                (_, own) => (u8::try_from(own).ok()?, index),
            };
            let mut fields =
                header::options(op, kind).flat_map(|option| option.fields.iter().map(move |f| (option, f)));
            let (_, field) = fields.nth(index)?;
            let mut expr = exthdr(op, kind, 0, 0, false);
            if let Kind::Exthdr { offset, field: found, .. } = &mut expr.kind {
                (*offset, *found) = (field.offset, header::option_field(op, kind, field.offset, field.bits));
            }
            (expr.ty, expr.bits) = (field.ty, field.bits);
            expr
        }
        9 => keyed(Keyed::Meta, number(0)?, None, 0, family),
        10 => keyed(Keyed::Socket, number(0)?, None, number(1).unwrap_or(0), family),
        11 => Expr::new(Kind::Osf { ttl: 0, version: false }, Type::STRING, Order::Host, 128),
        12 => {
            let direction = number(1).and_then(|direction| u8::try_from(direction).ok()).filter(|found| *found < 2);
            keyed(Keyed::Ct, number(0)?, direction, 0, family)
        }
        13 if depth == 0 => {
            // A list, numbered from 0, of nested descriptions.
            let parts: Vec<Expr> = (0..8).map_while(|index| described(inner.find(index)?, family, depth + 1)).collect();
            if parts.is_empty() {
                // Of a concatenation of types: those say it all.
                return None;
            }
            Expr::new(Kind::Concat(parts), Type::INVALID, Order::Big, 0)
        }
        23 => {
            let kind = Kind::Numgen { random: number(0)? == 1, modulus: number(1)?, offset: number(2).unwrap_or(0) };
            Expr::new(kind, Type::INTEGER, Order::Host, 32)
        }
        25 => keyed(Keyed::Rt, number(0)?, None, 0, family),
        26 => fib(number(0)?, number(1)?),
        27 => {
            let direction = u8::try_from(number(2).unwrap_or(0)).ok();
            keyed(Keyed::Xfrm, number(0)?, direction, number(1).unwrap_or(0), family)
        }
        _ => return None,
    })
}

/// Shared by all who look at the same set.
pub type Shared = Rc<NftSet>;
