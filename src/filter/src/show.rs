//! A program as text: what `tcpdump -d`, `-dd` and `-ddd` print.

use std::fmt::Write as _;

use super::code::*;

/// How to write a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// One instruction a line, in words (`-d`).
    Words,
    /// As initialisers of an array in C (`-dd`).
    C,
    /// Decimal numbers, their count first (`-ddd`).
    Decimal,
}

impl Program {
    /// The whole program, each line ended.
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        if style == Style::Decimal {
            let _ = writeln!(out, "{}", self.insns.len());
        }
        for (at, insn) in self.insns.iter().enumerate() {
            let Insn { code, jt, jf, k } = *insn;
            let _ = match style {
                Style::Words => writeln!(out, "{}", words(at, insn)),
                Style::C => writeln!(out, "{{ 0x{code:x}, {jt}, {jf}, 0x{k:08x} }},"),
                Style::Decimal => writeln!(out, "{code} {jt} {jf} {k}"),
            };
        }
        out
    }
}

/// Facts of the kernel by offset from [`ANCILLARY`], in fours.
const FACTS: [&str; 16] = [
    "proto",
    "type",
    "ifidx",
    "nla",
    "nlan",
    "mark",
    "queue",
    "hatype",
    "rxhash",
    "cpu",
    "xor_x",
    "vlan_tci",
    "vlanp",
    "poff",
    "random",
    "vlan_tpid",
];

fn words(at: usize, insn: &Insn) -> String {
    let Insn { code, k, .. } = *insn;
    // Offsets and numbers are shown signed, bit patterns in hexadecimal.
    let signed = i32::from_ne_bytes(k.to_ne_bytes());
    let suffix = match code & 0x18 {
        H => "h",
        B => "b",
        _ => "",
    };
    let mut name = String::new();
    let operand = match code & 7 {
        LD | LDX => {
            name.push_str(if code & 7 == LD { "ld" } else { "ldx" });
            let mode = code & 0xe0;
            if matches!(mode, ABS | IND | MSH) {
                name.push_str(suffix);
            }
            match mode {
                IMM => format!("#0x{k:x}"),
                ABS => match fact(k) {
                    Some(fact) => format!("[{fact}]"),
                    None => format!("[{signed}]"),
                },
                IND => format!("[x + {signed}]"),
                MEM => format!("M[{k}]"),
                LEN => "#pktlen".to_owned(),
                _ => format!("4*([{signed}]&0xf)"),
            }
        }
        ST | STX => {
            name.push_str(if code & 7 == ST { "st" } else { "stx" });
            format!("M[{k}]")
        }
        ALU => {
            let op = code & 0xf0;
            name.push_str(match op {
                ADD => "add",
                SUB => "sub",
                MUL => "mul",
                DIV => "div",
                OR => "or",
                AND => "and",
                LSH => "lsh",
                RSH => "rsh",
                NEG => "neg",
                MOD => "mod",
                _ => "xor",
            });
            match op {
                NEG => String::new(),
                _ if code & X != 0 => "x".to_owned(),
                OR | AND | XOR => format!("#0x{k:x}"),
                _ => format!("#{signed}"),
            }
        }
        JMP => {
            let op = code & 0xf0;
            name.push_str(match op {
                JEQ => "jeq",
                JGT => "jgt",
                JGE => "jge",
                JSET => "jset",
                _ => "ja",
            });
            match op {
                JA => {
                    let here = u32::try_from(at).unwrap_or(u32::MAX);
                    format!("{}", k.wrapping_add(here).wrapping_add(1))
                }
                _ if code & X != 0 => "x".to_owned(),
                _ => format!("#0x{k:x}"),
            }
        }
        RET => {
            name.push_str("ret");
            if code & 0x18 == 0 { format!("#{signed}") } else { String::new() }
        }
        _ => {
            name.push_str(if code & 0xf8 == TXA { "txa" } else { "tax" });
            String::new()
        }
    };
    if code & 7 == JMP && code & 0xf0 != JA {
        let (jt, jf) = (at + 1 + usize::from(insn.jt), at + 1 + usize::from(insn.jf));
        return format!("({at:03}) {name:<8} {operand:<16} jt {jt}\tjf {jf}");
    }
    format!("({at:03}) {name:<8} {operand}")
}

fn fact(k: u32) -> Option<&'static str> {
    let number = k.checked_sub(ANCILLARY)?;
    let name = FACTS.get(usize::try_from(number / 4).ok()?).copied()?;
    (number % 4 == 0).then_some(name)
}
