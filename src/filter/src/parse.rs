//! The grammar. Code is made as soon as a primitive is complete, since some primitives move what follows them.

use std::net::Ipv6Addr;

use super::FilterError;
use super::address::{octets, promoted};
use super::arith::Value;
use super::code::*;
use super::r#gen::{Gen, Made};
use super::graph::Code;
use super::token::{Dir, Lexer, Proto, Span, Token};

/// Deepest nesting of parentheses and operators.
const MAX_DEPTH: u32 = 500;

/// What an address is the address of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Default,
    Host,
    Net,
    Port,
    PortRange,
    Gateway,
    Proto,
    ProtoChain,
    /// After something that leaves no qualifiers behind.
    Undefined,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Port => "port",
            Kind::PortRange => "portrange",
            Kind::Proto => "proto",
            Kind::ProtoChain => "protochain",
            Kind::Net => "net",
            _ => "host",
        }
    }
}

/// Qualifiers, which an address without any takes over from the one before it.
#[derive(Clone, Copy, Debug)]
struct Quals {
    proto: Proto,
    dir: Dir,
    kind: Kind,
}

const UNDEFINED: Quals = Quals { proto: Proto::Undefined, dir: Dir::Default, kind: Kind::Undefined };

/// A condition, the qualifiers it leaves, and whether it was an address alone.
struct Operand {
    code: Code,
    quals: Quals,
    is_id: bool,
}

/// What a parenthesis held.
enum Group {
    Condition(Operand),
    Value(Value),
    Number(u32),
}

struct Parser<'t, 'g, 'n> {
    lexer: Lexer<'t>,
    token: Token,
    span: Span,
    last: Span,
    state: &'g mut Gen<'n>,
    depth: u32,
    /// Inside parentheses behind qualifiers, where nothing but addresses stands.
    ids_only: bool,
}

/// Translates a whole filter; nothing for the empty one.
pub(super) fn parse(text: &str, state: &mut Gen<'_>) -> Result<Option<Code>, FilterError> {
    let mut lexer = Lexer::new(text);
    let (token, span) = lexer.next();
    let mut parser = Parser { lexer, token, span, last: span, state, depth: 0, ids_only: false };
    if parser.token == Token::End {
        return Ok(None);
    }
    let whole = parser.condition(UNDEFINED, false)?;
    if parser.token != Token::End {
        return Err(parser.syntax());
    }
    Ok(Some(whole.code))
}

type Parsed<T> = Result<T, FilterError>;

impl Parser<'_, '_, '_> {
    fn syntax(&self) -> FilterError {
        let error = match &self.token {
            Token::Bad(error) => error.clone(),
            _ => FilterError::new("can't parse filter expression: syntax error"),
        };
        error.at(self.span)
    }

    fn bump(&mut self) -> Parsed<Token> {
        let (token, span) = self.lexer.next();
        self.last = std::mem::replace(&mut self.span, span);
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn eat(&mut self, op: &str) -> Parsed<()> {
        if self.is(op) {
            self.bump()?;
            return Ok(());
        }
        Err(self.syntax())
    }

    fn is(&self, op: &str) -> bool {
        matches!(&self.token, Token::Op(found) if *found == op)
    }

    fn number(&mut self) -> Parsed<u32> {
        let Token::Number(number) = self.token else { return Err(self.syntax()) };
        self.bump()?;
        Ok(number)
    }

    /// A number, perhaps in parentheses; nothing when there is none.
    fn optional_number(&mut self) -> Parsed<Option<u32>> {
        // A parenthesis here can open nothing but a number.
        let mut open = 0u32;
        while self.is("(") {
            self.bump()?;
            open += 1;
        }
        if open == 0 && !matches!(self.token, Token::Number(_)) {
            return Ok(None);
        }
        let number = self.number()?;
        for _ in 0..open {
            self.eat(")")?;
        }
        Ok(Some(number))
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FilterError::new("can't parse filter expression: memory exhausted").at(self.span));
        }
        Ok(())
    }

    fn made(&self, made: Made) -> Made {
        made.map_err(|error| error.at(self.last))
    }

    /// Operands joined by `and` and `or`, from the left, neither binding closer than the other. The first may be an address
    /// alone where `id` says so.
    fn condition(&mut self, outer: Quals, id: bool) -> Parsed<Operand> {
        let first = self.operand(outer, id)?;
        self.joined(first)
    }

    fn joined(&mut self, mut left: Operand) -> Parsed<Operand> {
        // A list that begins with an address in parentheses goes on with addresses only.
        let only_ids = left.is_id;
        loop {
            let is_and = match self.token {
                Token::And => true,
                Token::Or => false,
                _ => return Ok(left),
            };
            self.bump()?;
            if only_ids && !self.may_be_id() {
                return Err(self.syntax());
            }
            let outside = self.ids_only;
            self.ids_only |= only_ids;
            let right = self.operand(left.quals, true)?;
            self.ids_only = outside;
            if only_ids && !right.is_id {
                return Err(self.syntax());
            }
            let code =
                if is_and { self.state.and(left.code, right.code) } else { self.state.or(left.code, right.code) };
            left = Operand { code, quals: right.quals, is_id: only_ids };
        }
    }

    /// Whether what stands here can follow a complete primitive.
    fn is_complete(&self) -> bool {
        matches!(self.token, Token::End | Token::And | Token::Or | Token::Op(")"))
    }

    /// Whether an address can begin here.
    fn may_be_id(&self) -> bool {
        matches!(
            self.token,
            Token::Name(_)
                | Token::Ip4(_)
                | Token::Ip6(..)
                | Token::Ether(_)
                | Token::Arcnet(_)
                | Token::Number(_)
                | Token::Not
                | Token::Op("(")
        )
    }

    /// One primitive, negated any number of times. An address without qualifiers where `id` allows one.
    fn operand(&mut self, outer: Quals, id: bool) -> Parsed<Operand> {
        let mut negated = false;
        while self.token == Token::Not {
            self.bump()?;
            negated = !negated;
        }
        let mut operand = self.primitive(outer, id)?;
        if negated {
            operand.code = self.state.not(operand.code);
        }
        Ok(operand)
    }

    fn term(code: Code) -> Operand {
        Operand { code, quals: UNDEFINED, is_id: false }
    }

    fn primitive(&mut self, outer: Quals, id: bool) -> Parsed<Operand> {
        match &self.token {
            Token::Op("(") => match self.group(outer, id, self.ids_only)? {
                Group::Condition(operand) => Ok(operand),
                Group::Value(value) => {
                    let value = self.operators(value, None)?;
                    self.relation(value)
                }
                Group::Number(number) => self.after_number(number, outer, id),
            },
            Token::Number(number) => {
                let number = *number;
                self.bump()?;
                self.after_number(number, outer, id)
            }
            Token::Op("-") | Token::Len => {
                let value = self.arithmetic(None)?;
                self.relation(value)
            }
            Token::Proto(proto) => {
                let proto = *proto;
                self.bump()?;
                if self.is("[") {
                    let value = self.indexed(proto)?;
                    let value = self.operators(value, None)?;
                    return self.relation(value);
                }
                self.qualified(proto, true)
            }
            Token::Name(_) | Token::Ip4(_) | Token::Ip6(..) | Token::Ether(_) | Token::Arcnet(_) if id => {
                self.id(outer)
            }
            Token::Src
            | Token::Dst
            | Token::Wireless(_)
            | Token::Host
            | Token::Net
            | Token::Port
            | Token::PortRange
            | Token::ProtoWord
            | Token::ProtoChain
            | Token::Gateway
            | Token::Broadcast
            | Token::Multicast
            | Token::Type
            | Token::Subtype
            | Token::Direction => self.qualified(Proto::Default, false),
            _ => {
                let made = self.other()?;
                Ok(Self::term(self.made(made)?))
            }
        }
    }

    /// A number is an address if nothing follows that computes or compares.
    fn after_number(&mut self, number: u32, outer: Quals, id: bool) -> Parsed<Operand> {
        if self.operator().is_none() && self.comparison().is_none() {
            if !id || !self.is_complete() {
                return Err(self.syntax());
            }
            let made = self.numeric(number, None, outer);
            let code = self.made(made)?;
            return Ok(Operand { code, quals: outer, is_id: true });
        }
        let value = self.state.number(number).map_err(|error| error.at(self.last))?;
        let value = self.operators(value, None)?;
        self.relation(value)
    }

    fn relation(&mut self, left: Value) -> Parsed<Operand> {
        let Some((op, reversed)) = self.comparison() else { return Err(self.syntax()) };
        self.bump()?;
        let right = self.arithmetic(None)?;
        let made = self.state.relation(op, left, right, reversed);
        Ok(Self::term(self.made(made)?))
    }

    /// The comparison that stands here: what the machine has, and whether its opposite is meant.
    fn comparison(&self) -> Option<(u16, bool)> {
        let Token::Op(op) = self.token else { return None };
        Some(match op {
            ">" => (JGT, false),
            ">=" => (JGE, false),
            "=" => (JEQ, false),
            "<=" => (JGT, true),
            "<" => (JGE, true),
            "!=" => (JEQ, true),
            _ => return None,
        })
    }

    /// The operator that stands here, and how it binds; `%` and `^` bind to what follows, whatever stands before.
    fn operator(&self) -> Option<(u16, Option<u8>)> {
        let Token::Op(op) = self.token else { return None };
        Some(match op {
            "|" => (OR, Some(1)),
            "&" => (AND, Some(2)),
            "<<" => (LSH, Some(3)),
            ">>" => (RSH, Some(3)),
            "+" => (ADD, Some(4)),
            "-" => (SUB, Some(4)),
            "*" => (MUL, Some(5)),
            "/" => (DIV, Some(5)),
            "%" => (MOD, None),
            "^" => (XOR, None),
            _ => return None,
        })
    }

    /// An operand and the operators behind it that bind closer than `outer`, the one before.
    fn arithmetic(&mut self, outer: Option<Option<u8>>) -> Parsed<Value> {
        self.deeper()?;
        let value = match self.token {
            Token::Number(number) => {
                self.bump()?;
                self.state.number(number).map_err(|error| error.at(self.last))?
            }
            Token::Len => {
                self.bump()?;
                self.state.packet_length().map_err(|error| error.at(self.last))?
            }
            Token::Proto(proto) => {
                self.bump()?;
                if !self.is("[") {
                    return Err(self.syntax());
                }
                self.indexed(proto)?
            }
            Token::Op("-") => {
                self.bump()?;
                let value = self.arithmetic(Some(Some(6)))?;
                self.state.negate(value)
            }
            Token::Op("(") => match self.group(UNDEFINED, false, false)? {
                Group::Value(value) => value,
                Group::Number(number) => self.state.number(number).map_err(|error| error.at(self.last))?,
                Group::Condition(_) => return Err(self.syntax()),
            },
            _ => return Err(self.syntax()),
        };
        let value = self.operators(value, outer)?;
        self.depth -= 1;
        Ok(value)
    }

    fn operators(&mut self, mut left: Value, outer: Option<Option<u8>>) -> Parsed<Value> {
        while let Some((op, binding)) = self.operator() {
            let taken = match (outer, binding) {
                (Some(Some(outer)), Some(inner)) => inner > outer,
                _ => true,
            };
            if !taken {
                break;
            }
            self.bump()?;
            let right = self.arithmetic(Some(binding))?;
            left = self.state.compute(op, left, right).map_err(|error| error.at(self.last))?;
        }
        Ok(left)
    }

    /// `[offset]` or `[offset:size]` behind a protocol.
    fn indexed(&mut self, proto: Proto) -> Parsed<Value> {
        self.eat("[")?;
        let at = self.arithmetic(None)?;
        let mut size = 1;
        if self.is(":") {
            self.bump()?;
            size = self.number()?;
        }
        self.eat("]")?;
        self.state.index(proto, at, size).map_err(|error| error.at(self.last))
    }

    /// A parenthesis holds a condition, addresses, a value or a number.
    fn group(&mut self, outer: Quals, id: bool, ids_only: bool) -> Parsed<Group> {
        self.deeper()?;
        self.eat("(")?;
        if ids_only && !self.may_be_id() {
            return Err(self.syntax());
        }
        let outside = std::mem::replace(&mut self.ids_only, ids_only);
        let group = match &self.token {
            Token::Op("(") => match self.group(outer, id, ids_only)? {
                Group::Number(number) => self.grouped_number(number, outer, id)?,
                Group::Value(value) => self.grouped_value(value)?,
                Group::Condition(first) => Group::Condition(self.joined(first)?),
            },
            Token::Number(number) => {
                let number = *number;
                self.bump()?;
                self.grouped_number(number, outer, id)?
            }
            Token::Op("-") | Token::Len => {
                let value = self.arithmetic(None)?;
                self.grouped_value(value)?
            }
            Token::Proto(proto) => {
                let proto = *proto;
                self.bump()?;
                if self.is("[") {
                    let value = self.indexed(proto)?;
                    let value = self.operators(value, None)?;
                    self.grouped_value(value)?
                } else {
                    let first = self.qualified(proto, true)?;
                    Group::Condition(self.joined(first)?)
                }
            }
            _ => Group::Condition(self.condition(outer, id)?),
        };
        self.eat(")")?;
        self.ids_only = outside;
        self.depth -= 1;
        if let Group::Condition(mut operand) = group {
            // Addresses in parentheses keep their qualifiers; conditions have those from before the parenthesis.
            if !operand.is_id {
                operand.quals = outer;
            }
            return Ok(Group::Condition(operand));
        }
        Ok(group)
    }

    fn grouped_number(&mut self, number: u32, outer: Quals, id: bool) -> Parsed<Group> {
        if self.is(")") {
            return Ok(Group::Number(number));
        }
        if self.operator().is_some() || self.comparison().is_some() {
            let value = self.state.number(number).map_err(|error| error.at(self.last))?;
            let value = self.operators(value, None)?;
            return self.grouped_value(value);
        }
        let first = self.after_number(number, outer, id)?;
        Ok(Group::Condition(self.joined(first)?))
    }

    fn grouped_value(&mut self, value: Value) -> Parsed<Group> {
        let value = self.operators(value, None)?;
        if self.is(")") {
            return Ok(Group::Value(value));
        }
        let first = self.relation(value)?;
        Ok(Group::Condition(self.joined(first)?))
    }

    /// What stands behind an optional protocol: qualifiers and an address, or a primitive of its own.
    fn qualified(&mut self, proto: Proto, named: bool) -> Parsed<Operand> {
        match self.token {
            Token::Broadcast => {
                self.bump()?;
                let made = self.state.broadcast(proto);
                return Ok(Self::term(self.made(made)?));
            }
            Token::Multicast => {
                self.bump()?;
                let made = self.state.multicast(proto);
                return Ok(Self::term(self.made(made)?));
            }
            Token::Type | Token::Subtype | Token::Direction => {
                let error = self.wireless_frame()?;
                return Err(error.at(self.last));
            }
            _ => {}
        }
        let mut dir = Dir::Default;
        match self.token {
            Token::Src | Token::Dst => {
                let is_src = self.bump()? == Token::Src;
                dir = if is_src { Dir::Src } else { Dir::Dst };
                let joint = match self.token {
                    Token::And => Some(Dir::And),
                    Token::Or => Some(Dir::Or),
                    _ => None,
                };
                if let Some(joint) = joint {
                    self.bump()?;
                    let wanted = if is_src { Token::Dst } else { Token::Src };
                    if self.token != wanted {
                        return Err(self.syntax());
                    }
                    self.bump()?;
                    dir = joint;
                }
            }
            Token::Wireless(words) => {
                self.bump()?;
                dir = Dir::Wireless(words);
            }
            _ => {}
        }
        let directed = dir != Dir::Default;
        let kind = match self.token {
            Token::Host => Kind::Host,
            Token::Net => Kind::Net,
            Token::Port => Kind::Port,
            Token::PortRange => Kind::PortRange,
            Token::ProtoWord if !directed => Kind::Proto,
            Token::ProtoChain if !directed => Kind::ProtoChain,
            Token::Gateway if !directed => Kind::Gateway,
            _ => Kind::Default,
        };
        if kind == Kind::Default && !directed {
            if !named || !self.is_complete() {
                return Err(self.syntax());
            }
            let made = self.state.abbreviation(proto);
            return Ok(Self::term(self.made(made)?));
        }
        if kind != Kind::Default {
            self.bump()?;
        }
        let quals = Quals { proto, dir, kind };
        let mut operand = self.address(quals)?;
        operand.is_id = false;
        Ok(operand)
    }

    /// The address behind qualifiers: one, or several in parentheses.
    fn address(&mut self, quals: Quals) -> Parsed<Operand> {
        let mut negated = false;
        while self.token == Token::Not {
            self.bump()?;
            negated = !negated;
        }
        let mut operand = match self.token {
            Token::Op("(") => match self.group(quals, true, true)? {
                Group::Condition(operand) if operand.is_id => operand,
                Group::Number(number) => {
                    let made = self.numeric(number, None, quals);
                    Operand { code: self.made(made)?, quals, is_id: true }
                }
                _ => return Err(self.syntax()),
            },
            Token::Number(number) => {
                self.bump()?;
                let made = self.numeric(number, None, quals);
                Operand { code: self.made(made)?, quals, is_id: true }
            }
            _ => self.id(quals)?,
        };
        if negated {
            operand.code = self.state.not(operand.code);
        }
        Ok(operand)
    }

    /// One address that is no number.
    fn id(&mut self, quals: Quals) -> Parsed<Operand> {
        let Quals { proto, dir, kind } = quals;
        let token = match self.token {
            Token::Name(_) | Token::Ip4(_) | Token::Ip6(..) | Token::Ether(_) | Token::Arcnet(_) => self.bump()?,
            _ => return Err(self.syntax()),
        };
        let made = match token {
            Token::Name(name) => self.named(&name, quals),
            Token::Ip4(text) if self.is("/") => {
                self.bump()?;
                let prefix = self.number()?;
                self.network4(&text, None, prefix, quals)
            }
            Token::Ip4(text) if self.token == Token::Mask => {
                self.bump()?;
                let Token::Ip4(mask) = self.token.clone() else { return Err(self.syntax()) };
                self.bump()?;
                self.network4(&text, Some(&mask), 0, quals)
            }
            Token::Ip4(text) => match kind {
                Kind::Port | Kind::PortRange | Kind::Proto | Kind::ProtoChain => {
                    Err(FilterError::new(format!("'{}' modifier applied to ip host", kind.word())))
                }
                _ if proto == Proto::Decnet => self.decnet(&text, quals),
                _ => match octets(&text) {
                    Some((number, bits)) => self.numeric(number, Some(bits), quals),
                    None => Err(FilterError::new(format!("invalid IPv4 address '{text}'"))),
                },
            },
            Token::Ip6(address, text) => {
                let prefix = if self.is("/") {
                    self.bump()?;
                    Some(self.number()?)
                } else {
                    None
                };
                self.network6((address, &text), prefix, quals)
            }
            Token::Ether(address) => match kind {
                Kind::Host | Kind::Default if proto == Proto::Link => self.state.ether(address, dir),
                _ => Err(FilterError::new("ethernet address used in non-ether expression")),
            },
            _ => Err(FilterError::new("aid supported only on ARCnet")),
        };
        let code = self.made(made)?;
        Ok(Operand { code, quals, is_id: true })
    }

    fn network6(&mut self, (address, text): (Ipv6Addr, &str), prefix: Option<u32>, quals: Quals) -> Made {
        let bits = prefix.unwrap_or(128);
        if bits > 128 {
            return Err(FilterError::new("mask length must be <= 128"));
        }
        if u128::from(address).checked_shl(bits).unwrap_or_default() != 0 {
            return Err(FilterError::new(format!("non-network bits set in \"{text}/{bits}\"")));
        }
        match quals.kind {
            Kind::Default | Kind::Host if bits != 128 => Err(FilterError::new("Mask syntax for networks only")),
            Kind::Default | Kind::Host | Kind::Net => {
                self.state.host6(address, bits, quals.proto, quals.dir, quals.kind.word())
            }
            _ => Err(FilterError::new("invalid qualifier against IPv6 address")),
        }
    }

    fn network4(&mut self, text: &str, mask: Option<&str>, prefix: u32, quals: Quals) -> Made {
        let address =
            |text: &str| octets(text).ok_or_else(|| FilterError::new(format!("invalid IPv4 address '{text}'")));
        let (number, _) = address(text)?;
        let mask = match mask {
            Some(words) => {
                let (mask, _) = address(words)?;
                if number & !mask != 0 {
                    return Err(FilterError::new(format!("non-network bits set in \"{text} mask {words}\"")));
                }
                mask
            }
            None if prefix > 32 => return Err(FilterError::new("mask length must be <= 32")),
            None => {
                let mask = if prefix == 0 { 0 } else { u32::MAX << (32 - prefix) };
                if number & !mask != 0 {
                    return Err(FilterError::new(format!("non-network bits set in \"{text}/{prefix}\"")));
                }
                mask
            }
        };
        match quals.kind {
            Kind::Net => self.state.host4((number, mask), quals.proto, quals.dir, "net"),
            _ => Err(FilterError::new("Mask syntax for networks only")),
        }
    }

    fn decnet(&mut self, text: &str, quals: Quals) -> Made {
        let node = || {
            let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
            let (area, node) = (parts.next()??, parts.next()??);
            Some(area << 10 & 0xfc00 | node & 0x3ff)
        };
        let number = node().ok_or_else(|| FilterError::new(format!("malformed decnet address '{text}'")))?;
        self.numeric(number, None, quals)
    }

    /// An address or port written as a number. Octets with dots already stand where they belong, and fill `bits`.
    fn numeric(&mut self, number: u32, bits: Option<u32>, quals: Quals) -> Made {
        let Quals { proto, dir, kind } = quals;
        match kind {
            Kind::Default | Kind::Host | Kind::Net => match proto {
                Proto::Decnet => self.state.host4((number, 0), proto, dir, kind.word()),
                Proto::Link => Err(FilterError::new("illegal link layer address")),
                _ => {
                    let wanted = match bits {
                        Some(bits) => (number, u32::MAX.checked_shl(32 - bits).unwrap_or_default()),
                        None if kind == Kind::Net => promoted(number),
                        None => (number, u32::MAX),
                    };
                    self.state.host4(wanted, proto, dir, kind.word())
                }
            },
            Kind::Port => self.state.port(number, proto, dir),
            Kind::PortRange => self.state.port_range((number, number), proto, dir),
            Kind::Gateway => Err(FilterError::new("'gateway' requires a name")),
            Kind::Proto => self.state.protocol(number, proto),
            Kind::ProtoChain => self.state.chain(number, proto),
            Kind::Undefined => Err(FilterError::new("syntax error in filter expression")),
        }
    }

    fn named(&mut self, name: &str, quals: Quals) -> Made {
        let Quals { proto, dir, kind } = quals;
        match kind {
            Kind::Default | Kind::Host => self.state.host_by_name(name, proto, dir),
            Kind::Net => self.state.net_by_name(name, proto, dir),
            Kind::Port => self.state.port_by_name(name, proto, dir),
            Kind::PortRange => self.state.range_by_name(name, proto, dir),
            Kind::Gateway => Err(FilterError::new("'gateway' not supported in this configuration")),
            Kind::Proto => self.state.protocol_by_name(name, proto),
            Kind::ProtoChain => self.state.chain_by_name(name, proto),
            Kind::Undefined => Err(FilterError::new("syntax error in filter expression")),
        }
    }

    /// Primitives of one word, and those with a number of their own.
    fn other(&mut self) -> Parsed<Made> {
        let token = match &self.token {
            Token::Less
            | Token::Greater
            | Token::Byte
            | Token::Inbound
            | Token::Outbound
            | Token::IfIndex
            | Token::Vlan
            | Token::Mpls
            | Token::Pppoed
            | Token::Pppoes
            | Token::Geneve
            | Token::Llc
            | Token::Atm(..)
            | Token::Ss7(..)
            | Token::Pf(..) => self.bump()?,
            _ => return Err(self.syntax()),
        };
        Ok(match token {
            Token::Less => {
                let bytes = self.number()?;
                let above = self.state.length(JGT, bytes);
                Ok(self.state.not(above))
            }
            Token::Greater => {
                let bytes = self.number()?;
                Ok(self.state.length(JGE, bytes))
            }
            Token::Byte => {
                let at = self.number()?;
                let op = match self.token {
                    Token::Op(op @ ("&" | "|" | "<" | ">" | "=")) => op,
                    _ => return Err(self.syntax()),
                };
                self.bump()?;
                let value = self.number()?;
                Ok(self.state.byte(op, at, value))
            }
            Token::Inbound => self.state.direction(false),
            Token::Outbound => self.state.direction(true),
            Token::IfIndex => {
                let index = self.number()?;
                self.state.interface(index)
            }
            Token::Vlan => {
                let tag = self.optional_number()?;
                self.state.vlan(tag)
            }
            Token::Mpls => {
                let label = self.optional_number()?;
                self.state.mpls(label)
            }
            Token::Pppoed => self.state.pppoe_discovery(),
            Token::Pppoes => {
                let session = self.optional_number()?;
                self.state.pppoe_session(session)
            }
            Token::Geneve => {
                let network = self.optional_number()?;
                self.state.geneve(network)
            }
            Token::Llc => match self.token.clone() {
                Token::Name(name) => {
                    self.bump()?;
                    self.state.llc_kind(&name)
                }
                Token::Pf("rnr", _) => {
                    self.bump()?;
                    self.state.llc_kind("rnr")
                }
                _ => self.state.llc(),
            },
            Token::Atm(word, with_value) => self.foreign(word, with_value, "raw ATM")?,
            Token::Ss7(word, with_value, on) => self.foreign(word, with_value, on)?,
            Token::Pf(word, operand) => return Err(self.packet_filter(word, operand)?.at(self.last)),
            _ => return Err(self.syntax()),
        })
    }

    /// A word of another link layer, with its value.
    fn foreign(&mut self, word: &str, with_value: bool, on: &str) -> Parsed<Made> {
        if with_value {
            if self.comparison().is_some() || self.is("(") {
                self.bump()?;
            }
            self.number()?;
        }
        Ok(Err(FilterError::new(format!("'{word}' supported only on {on}"))))
    }

    /// A word of OpenBSD's packet filter.
    fn packet_filter(&mut self, word: &str, operand: u8) -> Parsed<FilterError> {
        const REASONS: [&str; 15] = [
            "match",
            "bad-offset",
            "fragment",
            "short",
            "normalize",
            "memory",
            "bad-timestamp",
            "congestion",
            "ip-option",
            "proto-cksum",
            "state-mismatch",
            "state-insert",
            "state-limit",
            "src-limit",
            "synproxy",
        ];
        const ACTIONS: [&str; 13] = [
            "pass",
            "accept",
            "drop",
            "block",
            "scrub",
            "noscrub",
            "nat",
            "nonat",
            "binat",
            "nobinat",
            "rdr",
            "nordr",
            "synproxy-drop",
        ];
        let name = match (self.token.clone(), operand) {
            (Token::Name(name), 0 | 2 | 3) => name,
            (Token::Number(_), 1 | 2) => String::new(),
            _ => return Err(self.syntax()),
        };
        self.bump()?;
        let known = |list: &[&str]| name.is_empty() || list.iter().any(|known| known.eq_ignore_ascii_case(&name));
        Ok(FilterError::new(match operand {
            2 if !known(&REASONS) => format!("unknown PF reason \"{name}\""),
            3 if !known(&ACTIONS) => format!("unknown PF action \"{name}\""),
            _ => format!("{word} supported only on PF linktype"),
        }))
    }

    /// `type`, `subtype` and `dir` of wireless frames.
    fn wireless_frame(&mut self) -> Parsed<FilterError> {
        const TYPES: [&str; 5] = ["data", "mgt", "management", "ctl", "control"];
        const DIRECTIONS: [&str; 4] = ["nods", "tods", "fromds", "dstods"];
        let word = self.bump()?;
        let known = |list: &[&str], name: &str| list.iter().any(|known| known.eq_ignore_ascii_case(name));
        let only = FilterError::new("802.11 link-layer types supported only on 802.11");
        let name = match self.token.clone() {
            Token::Name(name) => Some(name),
            Token::Number(number) if word != Token::Subtype => {
                if word == Token::Type && number & !0x0c != 0 {
                    return Err(FilterError::new(format!("invalid 802.11 type value 0x{number:02x}")).at(self.span));
                }
                None
            }
            _ => return Err(self.syntax()),
        };
        let here = self.span;
        self.bump()?;
        match (word, name) {
            (Token::Type, Some(name)) if !known(&TYPES, &name) => {
                Err(FilterError::new(format!("unknown 802.11 type name \"{name}\"")).at(here))
            }
            (Token::Type, name) => {
                if self.token != Token::Subtype {
                    return Ok(only);
                }
                self.bump()?;
                let class = match name.as_deref().map(str::to_ascii_lowercase).as_deref() {
                    Some("mgt" | "management") => Some(0),
                    Some("ctl" | "control") => Some(1),
                    Some("data") => Some(2),
                    _ => None,
                };
                match self.token.clone() {
                    Token::Name(name) => {
                        let list = class.and_then(|class| SUBTYPES.get(class).copied()).unwrap_or_default();
                        if !known(list, &name) {
                            let text = format!("unknown 802.11 subtype name \"{name}\"");
                            return Err(FilterError::new(text).at(self.span));
                        }
                    }
                    Token::Number(number) if number & !0xf0 != 0 => {
                        let text = format!("invalid 802.11 subtype value 0x{number:02x}");
                        return Err(FilterError::new(text).at(self.span));
                    }
                    Token::Number(_) => {}
                    _ => return Err(self.syntax()),
                }
                self.bump()?;
                Ok(only)
            }
            (Token::Subtype, Some(name)) if !SUBTYPES.iter().any(|list| known(list, &name)) => {
                Err(FilterError::new("unknown 802.11 type name").at(here))
            }
            (Token::Subtype, _) => Ok(only),
            (_, Some(name)) if !known(&DIRECTIONS, &name) => Err(FilterError::new("unknown 802.11 direction").at(here)),
            _ => Ok(FilterError::new("frame direction supported only with 802.11 headers")),
        }
    }
}

/// Subtypes of management, control and data frames of IEEE 802.11.
const SUBTYPES: [&[&str]; 3] = [
    &[
        "assocreq",
        "assoc-req",
        "assocresp",
        "assoc-resp",
        "reassocreq",
        "reassoc-req",
        "reassocresp",
        "reassoc-resp",
        "probereq",
        "probe-req",
        "proberesp",
        "probe-resp",
        "beacon",
        "atim",
        "disassoc",
        "disassociation",
        "auth",
        "authentication",
        "deauth",
        "deauthentication",
    ],
    &["ps-poll", "rts", "cts", "ack", "cf-end", "cf-end-ack"],
    &[
        "data",
        "data-cf-ack",
        "data-cf-poll",
        "data-cf-ack-poll",
        "null",
        "cf-ack",
        "cf-poll",
        "cf-ack-poll",
        "qos-data",
        "qos-data-cf-ack",
        "qos-data-cf-poll",
        "qos-data-cf-ack-poll",
        "qos",
        "qos-cf-poll",
        "qos-cf-ack-poll",
    ],
];
