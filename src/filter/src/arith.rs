//! Arithmetic, and comparisons of its results.

use super::FilterError;
use super::code::*;
use super::r#gen::{From, Gen, Made};
use super::graph::{Code, Stmt, stmt};
use super::token::Proto;

/// A value being computed: how, in which cell it ends, and what must hold for the packet to have it.
pub(super) struct Value {
    list: Vec<Stmt>,
    cell: u32,
    needs: Option<Code>,
}

impl Gen<'_> {
    fn value(&mut self, load: Stmt) -> Result<Value, FilterError> {
        let cell = self.take_cell()?;
        Ok(Value { list: vec![load, stmt(ST, cell)], cell, needs: None })
    }

    pub(super) fn number(&mut self, number: u32) -> Result<Value, FilterError> {
        self.value(stmt(LD | IMM, number))
    }

    pub(super) fn packet_length(&mut self) -> Result<Value, FilterError> {
        self.value(stmt(LD | LEN, 0))
    }

    pub(super) fn negate(&mut self, mut value: Value) -> Value {
        value.list.extend([stmt(LD | MEM, value.cell), stmt(ALU | NEG, 0), stmt(ST, value.cell)]);
        value
    }

    /// `a op b`. What `b` needs is forgotten, as libpcap does.
    pub(super) fn compute(&mut self, op: u16, mut a: Value, b: Value) -> Result<Value, FilterError> {
        let constant = b.list.first().filter(|load| load.code == LD | IMM).map(|load| load.k);
        match (op, constant) {
            (DIV, Some(0)) => return Err(FilterError::new("division by zero")),
            (MOD, Some(0)) => return Err(FilterError::new("modulus by zero")),
            (LSH | RSH, Some(32..)) => return Err(FilterError::new("shift by more than 31 bits")),
            _ => {}
        }
        a.list.extend(b.list);
        a.list.extend([stmt(LDX | MEM, b.cell), stmt(LD | MEM, a.cell), stmt(ALU | op | X, 0)]);
        self.free_cell(a.cell);
        self.free_cell(b.cell);
        a.cell = self.take_cell()?;
        a.list.push(stmt(ST, a.cell));
        Ok(a)
    }

    /// `size` octets of `proto` at the computed offset.
    pub(super) fn index(&mut self, proto: Proto, mut at: Value, size: u32) -> Result<Value, FilterError> {
        use Proto as P;
        let cell = self.take_cell()?;
        self.free_cell(at.cell);
        let size = match size {
            1 => B,
            2 => H,
            4 => W,
            _ => return Err(FilterError::new("data size must be 1, 2, or 4")),
        };
        let base = self.payload.k.wrapping_add(self.net);
        let (varying, k) = match proto {
            P::Link => (self.link_header.cell, self.link_header.k),
            P::Icmp6 => (self.payload.cell, base.wrapping_add(40)),
            _ => (self.payload.cell, base),
        };
        let mut list = Vec::new();
        match proto {
            P::Radio => return Err(FilterError::new("radio information not present in capture")),
            P::Sctp | P::Tcp | P::Udp | P::Icmp | P::Igmp | P::Igrp | P::Pim | P::Vrrp | P::Carp => {
                list.extend(self.load_header_length());
                list.extend([stmt(LD | MEM, at.cell), stmt(ALU | ADD | X, 0), stmt(MISC | TAX, 0)]);
            }
            P::Link
            | P::Ip
            | P::Arp
            | P::Rarp
            | P::Atalk
            | P::Decnet
            | P::Lat
            | P::Sca
            | P::Moprc
            | P::Mopdl
            | P::Ip6
            | P::Icmp6 => match varying {
                Some(cell) => list.extend([
                    stmt(LDX | MEM, cell),
                    stmt(LD | MEM, at.cell),
                    stmt(ALU | ADD | X, 0),
                    stmt(MISC | TAX, 0),
                ]),
                None => list.push(stmt(LDX | MEM, at.cell)),
            },
            _ => return Err(FilterError::new("unsupported index operation")),
        }
        list.push(stmt(LD | IND | size, k));
        at.list.extend(list);
        match proto {
            P::Link => {}
            P::Icmp6 => {
                let kind = self.abbreviation(P::Ip6)?;
                let kind = self.needs(at.needs.take(), kind);
                let next = self.equal(From::Net, 6, B, 58);
                at.needs = Some(self.and(kind, next));
            }
            P::Sctp | P::Tcp | P::Udp | P::Icmp | P::Igmp | P::Igrp | P::Pim | P::Vrrp | P::Carp => {
                let kind = self.abbreviation(proto)?;
                let whole = self.first_fragment();
                let carried = self.and(kind, whole);
                let carried = self.needs(at.needs.take(), carried);
                let ip = self.abbreviation(P::Ip)?;
                at.needs = Some(self.and(ip, carried));
            }
            _ => {
                let kind = self.abbreviation(proto)?;
                at.needs = Some(self.needs(at.needs.take(), kind));
            }
        }
        at.cell = cell;
        at.list.push(stmt(ST, cell));
        Ok(at)
    }

    fn needs(&mut self, before: Option<Code>, code: Code) -> Code {
        match before {
            Some(before) => self.and(before, code),
            None => code,
        }
    }

    /// `a op b`, or its opposite.
    pub(super) fn relation(&mut self, op: u16, mut a: Value, b: Value, reversed: bool) -> Made {
        a.list.extend(b.list);
        a.list.extend([stmt(LDX | MEM, b.cell), stmt(LD | MEM, a.cell)]);
        let op = if op == JEQ {
            a.list.push(stmt(ALU | SUB | X, 0));
            JEQ
        } else {
            op | X
        };
        let mut code = self.graph.test(a.list, op, 0);
        if reversed {
            code = self.not(code);
        }
        self.free_cell(a.cell);
        self.free_cell(b.cell);
        let needs = match (a.needs, b.needs) {
            (Some(a), Some(b)) => Some(self.and(a, b)),
            (a, b) => a.or(b),
        };
        Ok(match needs {
            Some(needs) => self.and(needs, code),
            None => code,
        })
    }

    /// `byte N op M`: `&` and `|` look at whatever is in A, as libpcap's do.
    pub(super) fn byte(&mut self, op: &str, at: u32, value: u32) -> Code {
        let (compare, reversed) = match op {
            "=" => (JEQ, false),
            "<" => (JGE, true),
            ">" => (JGT, false),
            _ => {
                let op = if op == "|" { OR } else { AND };
                let zero = self.graph.test(vec![stmt(ALU | op, value)], JEQ, 0);
                return self.not(zero);
            }
        };
        let code = self.compare(compare, (From::Link, at, B), u32::MAX, value);
        if reversed { self.not(code) } else { code }
    }
}
