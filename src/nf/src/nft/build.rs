//! From the kernel's expressions, which pass values in registers, to statements.

use std::rc::Rc;

use super::datatype::{Order, Type};
use super::elements;
use super::expression::Expression;
use super::key::Keyed;
use super::reduce::Context;
use super::set::{NftSet, flag};
use super::tree::{Expr, Kind, Op, Relation, Stateful, Stmt, constant, number, unknown};
use super::xtables::{self, Found};
use super::{Data, Element, NftRule, family};

/// Where sets come from.
pub trait Source {
    /// A set of a table.
    fn set(&mut self, family: u8, table: &str, name: &str) -> Option<Rc<NftSet>>;

    /// Its elements, one by one, in the kernel's order.
    fn elements(&mut self, set: &NftSet, each: &mut dyn FnMut(&Element<'_>));

    /// The kind of an object that a map of objects has (NFT_OBJECT_*) is the set's own; nothing is asked here.
    fn is_empty(&self) -> bool {
        false
    }
}

/// A source without sets.
pub struct NoSets;

impl Source for NoSets {
    fn set(&mut self, _: u8, _: &str, _: &str) -> Option<Rc<NftSet>> {
        None
    }

    fn elements(&mut self, _: &NftSet, _: &mut dyn FnMut(&Element<'_>)) {}

    fn is_empty(&self) -> bool {
        true
    }
}

/// Registers of four octets.
const REGISTERS: usize = 20;

/// Turns one rule's expressions into statements.
pub struct Builder<'s, 'a> {
    pub(super) family: u8,
    table: String,
    source: &'s mut dyn Source,
    registers: [Option<Expr>; REGISTERS],
    /// Removed ones are gone.
    pub(super) statements: Vec<Option<Stmt<'a>>>,
    pub(super) context: Context,
}

/// The statements of a rule.
pub fn statements<'a>(rule: &NftRule<'a>, source: &mut dyn Source) -> Vec<Stmt<'a>> {
    let mut builder = Builder {
        family: rule.family,
        table: rule.table.clone(),
        source,
        registers: [const { None }; REGISTERS],
        statements: Vec::new(),
        context: Context::new(rule.family),
    };
    for expression in &rule.expressions {
        if builder.take(expression).is_none() {
            builder.push(Stmt::Unknown(unknown(expression)));
        }
    }
    builder.statements.into_iter().flatten().collect()
}

/// NFT_REG_1 to NFT_REG_4 and NFT_REG32_00 to NFT_REG32_15, as the number of their first four octets.
fn slot(register: u32) -> Option<usize> {
    let register = usize::try_from(register).ok()?;
    match register {
        1..=4 => Some((register - 1) * 4),
        8..=23 => Some(register - 8),
        _ => None,
    }
}

impl<'a> Builder<'_, 'a> {
    pub(super) fn push(&mut self, statement: Stmt<'a>) {
        if !matches!(statement, Stmt::Match { .. } | Stmt::Flags { .. }) {
            self.context.settle();
        }
        self.statements.push(Some(statement));
    }

    fn load(&mut self, register: u32, expr: Expr) -> Option<()> {
        /// More than any rule of sense has: what a register holds is copied with every use.
        const LIMIT: usize = 100;
        let expr = match expr.weight(LIMIT) {
            LIMIT.. => expr.with(Kind::Unknown("...".to_owned())),
            _ => expr,
        };
        *self.registers.get_mut(slot(register)?)? = Some(expr);
        Some(())
    }

    fn register(&self, register: u32) -> Option<Expr> {
        self.registers.get(slot(register)?)?.clone()
    }

    /// A key of `octets`, which may lie in several registers.
    fn key(&self, register: u32, octets: u32) -> Option<Expr> {
        let first = self.register(register)?;
        if first.bits >= octets.saturating_mul(8) || octets <= 4 || first.bits == 0 {
            return Some(first);
        }
        let (mut at, mut left) = (slot(register)?, octets);
        let mut parts = Vec::new();
        while left > 0 {
            let part = self.registers.get(at)?.clone()?;
            let words = part.bits.div_ceil(32).max(1);
            at += usize::try_from(words).ok()?;
            left = left.saturating_sub(words.saturating_mul(4));
            parts.push(part);
        }
        Some(Expr::new(Kind::Concat(parts), Type::INVALID, Order::Big, octets.saturating_mul(8)))
    }

    fn keyed(&mut self, to: u32, what: Keyed, key: u32, direction: Option<u8>, extra: u32) -> Option<()> {
        let expr = keyed(what, key, direction, extra, self.family);
        self.load(to, expr)
    }

    fn take(&mut self, expression: &Expression<'a>) -> Option<()> {
        match expression {
            Expression::Payload { to, base, offset, length } => self.load(*to, payload(*base, *offset, *length)),
            Expression::Meta { to, key } => self.keyed(*to, Keyed::Meta, *key, None, 0),
            Expression::Ct { to, key, direction } => self.keyed(*to, Keyed::Ct, *key, *direction, 0),
            Expression::Rt { to, key } => self.keyed(*to, Keyed::Rt, *key, None, 0),
            Expression::Socket { to, key, level } => self.keyed(*to, Keyed::Socket, *key, None, *level),
            Expression::Xfrm { to, key, direction, number } => {
                self.keyed(*to, Keyed::Xfrm, *key, Some(*direction), *number)
            }
            Expression::Exthdr { to, kind, offset, length, op, present } => {
                let expr = exthdr(*op, *kind, *offset, *length, *present);
                self.load(*to, expr)
            }
            Expression::Fib { to, result, flags } => self.load(*to, fib(*result, *flags)),
            Expression::Osf { to, ttl, flags } => {
                let kind = Kind::Osf { ttl: *ttl, version: flags & 1 != 0 };
                self.load(*to, Expr::new(kind, Type::STRING, Order::Host, 128))
            }
            Expression::Numgen { to, modulus, kind, offset } => {
                let kind = Kind::Numgen { modulus: *modulus, random: *kind == 1, offset: *offset };
                self.load(*to, Expr::new(kind, Type::INTEGER, Order::Host, 32))
            }
            Expression::Hash { from, to, length, modulus, seed, offset, kind } => {
                let from = if *kind == 0 { Some(Box::new(self.key(*from, *length)?)) } else { None };
                let kind = Kind::Hash { from, modulus: *modulus, seed: *seed, offset: *offset };
                self.load(*to, Expr::new(kind, Type::INTEGER, Order::Host, 32))
            }
            Expression::Immediate { to, data } => self.load(*to, Expr::raw(data)),
            Expression::Bitwise { from, to, mask, xor } => self.bitwise(*from, *to, mask, xor),
            Expression::Shift { from, to, right, bits, .. } => {
                let left = self.register(*from)?;
                let by = Expr::new(Kind::Value(u128::from(*bits)), Type::INTEGER, Order::Host, 32);
                let op = if *right { Op::Right } else { Op::Left };
                let shell = left.with(Kind::All);
                self.load(*to, shell.with(Kind::Binary(op, Box::new(left), Box::new(by))))
            }
            Expression::Byteorder { from, to, op, .. } => {
                let order = if *op == 0 { Order::Host } else { Order::Big };
                let expr = Expr { order, ..self.register(*from)? };
                self.load(*to, expr)
            }
            Expression::Compare { from, operator, data } => {
                let left = self.key(*from, u32::try_from(data.len()).ok()?)?;
                self.compare(Relation::read(*operator)?, left, Expr::raw(data));
                Some(())
            }
            Expression::Range { from, negated, low, high } => self.range(*from, *negated, low, high),
            Expression::Lookup { from, to, set, negated } => self.lookup(*from, *to, set, *negated),
            Expression::Verdict { code, chain } => {
                let verdict = Kind::Verdict { code: *code, chain: chain.clone() };
                self.push(Stmt::Verdict(Expr::new(verdict, Type::VERDICT, Order::Host, 32)));
                Some(())
            }
            Expression::MetaSet { from, key } => {
                let left = keyed(Keyed::Meta, *key, None, 0, self.family);
                self.assign(left, *from)
            }
            Expression::CtSet { from, key, direction } => {
                let left = keyed(Keyed::Ct, *key, *direction, 0, self.family);
                self.assign(left, *from)
            }
            Expression::PayloadSet { from, base, offset, length } => {
                let right = self.key(*from, *length)?;
                self.write(payload(*base, *offset, *length), right);
                Some(())
            }
            Expression::ExthdrSet { from, kind, offset, length, op } => {
                let left = exthdr(*op, *kind, *offset, *length, false);
                self.assign(left, *from)
            }
            Expression::ExthdrReset { kind, op } => {
                let left = exthdr(*op, *kind, 0, 1, true);
                self.dependency_of_option(&left);
                self.push(Stmt::Reset(left));
                Some(())
            }
            Expression::Dynset { .. } => self.dynset(expression),
            Expression::Nat { kind, family, address, port, flags } => {
                let name = if *kind == 0 { "snat" } else { "dnat" };
                self.nat(name, *family, *address, *port, *flags)
            }
            Expression::Masquerade { port, flags } => self.nat("masquerade", 0, [None; 2], *port, *flags),
            Expression::Redirect { port, flags } => self.nat("redirect", 0, [None; 2], *port, *flags),
            Expression::Tproxy { family, address, port } => {
                let address = self.optional(*address, address_type(*family))?;
                let port = self.optional(*port, Type::SERVICE)?;
                let family = if self.family == family::INET { *family } else { 0 };
                self.push(Stmt::Tproxy { family, address, port });
                Some(())
            }
            Expression::Reject { kind, code } => {
                self.reject(*kind, *code);
                Some(())
            }
            Expression::Queue { number, total, flags, from } => {
                let number = match from {
                    Some(register) => self.value(*register, Type::INTEGER, Order::Host)?,
                    None => queues(*number, *total),
                };
                self.push(Stmt::Queue { number, flags: *flags });
                Some(())
            }
            Expression::Dup { address, device } => {
                let address = self.optional(*address, address_type(u32::from(self.family)))?;
                let device = self.optional(*device, Type::IFINDEX)?;
                self.push(Stmt::Dup { address, device });
                Some(())
            }
            Expression::Forward { address, device, family } => {
                let family = family.unwrap_or(0);
                let address = self.optional(*address, address_type(family))?;
                let device = self.optional(*device, Type::IFINDEX)?;
                self.push(Stmt::Forward { family, address, device });
                Some(())
            }
            Expression::Object { kind, name } => {
                let name = Expr::new(Kind::Unknown(name.clone()), Type::STRING, Order::Host, 0);
                self.push(Stmt::Object { kind: *kind, name });
                Some(())
            }
            Expression::ObjectMap { from, set } => {
                let found = self.source.set(self.family, &self.table, set);
                let octets = found.as_ref().map_or(0, |set| set.key_length);
                let mut key = self.key(*from, octets)?;
                self.complete(&mut key);
                let kind = found.as_ref().map_or(0, |set| set.object_type);
                let (right, _) = self.contents(found, set, &key, 0);
                let name = Expr::new(Kind::Map(Box::new(key), Box::new(right)), Type::STRING, Order::Host, 0);
                self.push(Stmt::Object { kind, name });
                Some(())
            }
            Expression::Match { name, revision, info } => {
                self.extension(&Found { target: false, name, revision: *revision, info });
                Some(())
            }
            Expression::Target { name, revision, info } => {
                self.extension(&Found { target: true, name, revision: *revision, info });
                Some(())
            }
            Expression::Tunnel { .. } | Expression::Unknown { .. } => None,
            other => {
                let statement = match Stateful::read(other) {
                    Some(stateful) => Stmt::Stateful(stateful),
                    None => Stmt::Plain(other.clone()),
                };
                self.push(statement);
                Some(())
            }
        }
    }

    fn extension(&mut self, found: &Found<'_>) {
        let words = xtables::words(found, self.family, self.context.transport());
        self.push(Stmt::Extension { target: found.target, name: found.name.to_owned(), words });
    }

    fn bitwise(&mut self, from: u32, to: u32, mask: &[u8], xor: &[u8]) -> Option<()> {
        let left = self.register(from)?;
        let read = |data: &[u8]| number(data, left.ty, left.order);
        let (Some(mask), Some(xor)) = (read(mask), read(xor)) else {
            let shell = left.with(Kind::Unknown("bitwise".to_owned()));
            return self.load(to, shell);
        };
        let bits = left.bits.clamp(1, 128);
        let full = u128::MAX >> (128 - bits);
        // Bits that come out set whatever goes in were or-ed, the rest of xor was one.
        let ored = xor & !mask & full;
        let xored = xor & mask;
        let kept = (mask | ored) & full;
        let shell = left.with(Kind::All);
        let mut expr = left;
        for (op, operand, needed) in
            [(Op::And, kept, kept != full), (Op::Xor, xored, xored != 0), (Op::Or, ored, ored != 0)]
        {
            if needed {
                let right = shell.with(Kind::Value(operand));
                expr = shell.with(Kind::Binary(op, Box::new(expr), Box::new(right)));
            }
        }
        self.load(to, expr)
    }

    fn range(&mut self, from: u32, negated: bool, low: &[u8], high: &[u8]) -> Option<()> {
        let mut left = self.key(from, u32::try_from(low.len()).ok()?)?;
        self.complete(&mut left);
        let (low, high) = (number(low, left.ty, left.order)?, number(high, left.ty, left.order)?);
        let right = typed(&left).with(Kind::Range(low, high));
        let relation = if negated { Relation::NotEqual } else { Relation::Equal };
        self.matched(relation, left, right);
        Some(())
    }

    fn lookup(&mut self, from: u32, to: Option<u32>, name: &str, negated: bool) -> Option<()> {
        let found = self.source.set(self.family, &self.table, name);
        let octets = found.as_ref().map_or(0, |set| set.key_length);
        let mut left = self.key(from, octets)?;
        let shift = self.trim(&mut left).unwrap_or(0);
        self.complete(&mut left);
        let (right, data) = self.contents(found, name, &left, shift);
        let Some(to) = to else {
            let relation = if negated { Relation::NotEqual } else { Relation::Equal };
            self.matched(relation, left, right);
            return Some(());
        };
        let map = Expr { kind: Kind::Map(Box::new(left), Box::new(right)), ..data };
        if to == 0 {
            self.push(Stmt::Verdict(map));
            return Some(());
        }
        self.load(to, map)
    }

    /// What is written for a set: its name, or its elements if it belongs to this rule. And the type of its data.
    fn contents(&mut self, found: Option<Rc<NftSet>>, name: &str, left: &Expr, shift: u32) -> (Expr, Expr) {
        let reference = |left: &Expr| left.with(Kind::SetRef(name.to_owned()));
        let Some(set) = found else {
            return (reference(left), Expr::new(Kind::All, Type::INVALID, Order::Host, 0));
        };
        let data = elements::data_shape(&set);
        if !set.has(flag::ANONYMOUS) {
            return (reference(left), data);
        }
        let shape = elements::Shape { shift, ..elements::Shape::of(&set, Some(left)) };
        let mut collector = elements::Collector::new(&set, shape);
        self.source.elements(&set, &mut |element| collector.add(element));
        (left.with(Kind::Set(Rc::new(collector.finish()))), data)
    }

    fn assign(&mut self, left: Expr, from: u32) -> Option<()> {
        let right = self.value(from, left.ty, left.order)?;
        if let Kind::Exthdr { .. } = left.kind {
            self.dependency_of_option(&left);
        }
        self.push(Stmt::Set { left, right });
        Some(())
    }

    /// A register's expression, a constant read as what it is used for.
    fn value(&mut self, register: u32, ty: Type, order: Order) -> Option<Expr> {
        let octets = ty.bits().div_ceil(8);
        let mut expr = match self.register(register)? {
            Expr { kind: Kind::Raw(data), .. } => return Some(constant(&data, ty, order)),
            // Text may be shorter than the register, numbers are not taken apart.
            _ if ty.is_text() => self.register(register)?,
            _ => self.key(register, octets)?,
        };
        self.complete(&mut expr);
        Some(expr)
    }

    /// As [`Builder::value`], if there is a register. `None` if it holds nothing.
    #[allow(clippy::option_option)]
    fn optional(&mut self, register: Option<u32>, ty: Type) -> Option<Option<Expr>> {
        match register {
            None => Some(None),
            Some(register) => self.value(register, ty, ty.order()).map(Some),
        }
    }

    fn nat(
        &mut self,
        name: &'static str,
        family: u32,
        address: [Option<u32>; 2],
        port: [Option<u32>; 2],
        flags: u32,
    ) -> Option<()> {
        /// NF_NAT_RANGE_NETMAP
        const NETMAP: u32 = 0x40;
        let whole = |register: Option<u32>, builder: &Self| {
            let register = builder.register(register?)?;
            matches!(register.kind, Kind::Map(..)).then_some(register)
        };
        let mut forced = false;
        let mut ports = port;
        let address = match whole(address[0], self) {
            // A map gives address and port, or a range, at once.
            Some(mut map) => {
                let wide = map.bits > address_type(family).bits();
                forced = wide;
                if wide {
                    ports = [None; 2];
                }
                self.complete(&mut map);
                Some(map)
            }
            None => self.span(address, address_type(family))?,
        };
        let port = self.span(ports, Type::SERVICE)?;
        let prefix = flags & NETMAP != 0;
        let said = self.family == family::INET
            || forced
            || (prefix && matches!(&address, Some(Expr { kind: Kind::Map(..), .. })));
        let family = if said { family } else { 0 };
        self.push(Stmt::Nat { name, family, prefix, address, port, flags });
        Some(())
    }

    /// One value, or a range of two.
    #[allow(clippy::option_option)]
    fn span(&mut self, registers: [Option<u32>; 2], ty: Type) -> Option<Option<Expr>> {
        let low = self.optional(registers[0], ty)?;
        let high = self.optional(registers[1], ty)?;
        Some(match (low, high) {
            (Some(Expr { kind: Kind::Value(low), bits, .. }), Some(Expr { kind: Kind::Value(high), .. }))
                if low != high =>
            {
                let shell = Expr::new(Kind::All, ty, ty.order(), bits);
                Some(shell.with(elements::span(low, high, ty, bits)))
            }
            (low, _) => low,
        })
    }

    fn dynset(&mut self, expression: &Expression<'a>) -> Option<()> {
        let Expression::Dynset { set, op, key, data, timeout, expressions, .. } = expression else { return None };
        let found = self.source.set(self.family, &self.table, set);
        let octets = found.as_ref().map_or(0, |set| set.key_length);
        let mut key = self.key(*key, octets)?;
        if let (Kind::Raw(bytes), Some(found)) = (&key.kind, &found) {
            key = elements::Shape::of(found, None).key(bytes);
        }
        self.complete(&mut key);
        let data = match data {
            None => None,
            Some(register) => {
                let shape = found.as_ref().map(|set| elements::data_shape(set));
                let (ty, order) = shape.as_ref().map_or((Type::INVALID, Order::Host), |shape| (shape.ty, shape.order));
                let octets = found.as_ref().map_or(0, |set| set.data_length);
                let mut value = match self.key(*register, octets)? {
                    Expr { kind: Kind::Raw(bytes), .. } => match &found {
                        Some(set) => elements::data(set, &Data::Value(&bytes)),
                        None => constant(&bytes, ty, order),
                    },
                    other => other,
                };
                self.complete(&mut value);
                Some(value)
            }
        };
        let verb = match op {
            0 => "add",
            1 => "update",
            _ => "delete",
        };
        let meter = found.as_ref().filter(|set| set.has(flag::ANONYMOUS)).map(|set| set.size.unwrap_or(0));
        self.push(Stmt::Dynset {
            verb,
            set: set.clone(),
            meter,
            key,
            timeout: *timeout,
            statements: expressions.iter().map(Stateful::of).collect(),
            data,
        });
        Some(())
    }
}

/// The type of an address of NFPROTO_*.
fn address_type(family: u32) -> Type {
    if family == u32::from(family::IPV6) { Type::IPV6 } else { Type::IPV4 }
}

fn queues(first: u16, total: u16) -> Expr {
    let (low, high) = (u128::from(first), u128::from(first) + u128::from(total.max(1)) - 1);
    let kind = if low == high { Kind::Value(low) } else { Kind::Range(low, high) };
    Expr::new(kind, Type::INTEGER, Order::Big, 16)
}

/// The type, order and size of an expression, for what it is compared with.
pub(super) fn typed(expr: &Expr) -> Expr {
    let raw = matches!(expr.kind, Kind::Payload { field: None, .. } | Kind::Exthdr { field: None, .. });
    let ty = match (&expr.kind, expr.ty) {
        (Kind::Exthdr { present: true, .. }, ty) => ty,
        (_, Type::INTEGER | Type::INVALID) if raw => Type::HEX,
        (Kind::Binary(_, left, _), Type::INTEGER) => typed(left).ty,
        (_, ty) => ty,
    };
    Expr::new(Kind::All, ty, expr.order, expr.bits)
}

pub(super) fn payload(base: u32, offset: u32, length: u32) -> Expr {
    let kind = Kind::Payload { base, offset: offset.saturating_mul(8), field: None };
    Expr::new(kind, Type::INTEGER, Order::Big, length.saturating_mul(8))
}

pub(super) fn keyed(what: Keyed, key: u32, direction: Option<u8>, extra: u32, family: u8) -> Expr {
    let kind = Kind::Keyed { what, key, direction, extra };
    match what.key(key) {
        // Addresses of conntrack by the table's family.
        Some(known) if what == Keyed::Ct && known.ty == Type::INVALID => {
            let ty = address_type(u32::from(family));
            Expr::new(kind, ty, Order::Big, ty.bits())
        }
        Some(known) => Expr::new(kind, known.ty, known.order, known.bits),
        None => Expr::new(kind, Type::HEX, Order::Host, 0),
    }
}

pub(super) fn exthdr(op: u32, kind: u8, offset: u32, length: u32, present: bool) -> Expr {
    let (offset, bits) = (offset.saturating_mul(8), length.saturating_mul(8));
    let field = super::header::option_field(op, kind, offset, bits).filter(|_| !present);
    let ty = match field {
        _ if present => Type::BOOLEAN,
        Some((_, field)) => field.ty,
        None => Type::INTEGER,
    };
    Expr::new(Kind::Exthdr { op, kind, offset, present, field }, ty, Order::Big, bits)
}

pub(super) fn fib(result: u32, flags: u32) -> Expr {
    /// NFTA_FIB_F_PRESENT
    const PRESENT: u32 = 32;
    let (ty, bits) = match result {
        _ if flags & PRESENT != 0 => (Type::BOOLEAN, 8),
        1 => (Type::IFINDEX, 32),
        2 => (Type::IFNAME, 128),
        3 => (Type::FIB_TYPE, 32),
        _ => (Type::HEX, 32),
    };
    Expr::new(Kind::Fib { result, flags }, ty, Order::Host, bits)
}
