//! The machine: checks a program once, then runs it over packets.

use super::code::*;

/// Facts that the kernel knows beside the bytes of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ancillary {
    /// As in sll_pkttype of packet(7).
    pub packet_type: u32,
    /// Index of the interface.
    pub ifindex: u32,
    /// The VLAN tag that was taken off, all 16 bits.
    pub vlan: Option<u16>,
}

/// Why a program is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The instruction, counted from zero; the length of the program when its end is missing.
    pub at: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Steps after which a program with loops is given up, and selects nothing.
const MAX_STEPS: u32 = 100_000;

impl Program {
    /// A program from elsewhere.
    ///
    /// # Errors
    /// Names the first instruction that is unknown, jumps out of the program, uses a cell that does not exist, or divides
    /// by a constant zero.
    pub fn new(insns: Vec<Insn>) -> Result<Program, Invalid> {
        let length = insns.len();
        for (at, insn) in insns.iter().enumerate() {
            let wrong = |reason| Err(Invalid { at, reason });
            let inside = |skip: u32| usize::try_from(skip).is_ok_and(|skip| at + 1 + skip < length);
            let cell = usize::try_from(insn.k).is_ok_and(|cell| cell < CELLS);
            match insn.code & 7 {
                LD | LDX if insn.code & 0xe0 == MEM && !cell => return wrong("no such scratch cell"),
                ST | STX if !cell => return wrong("no such scratch cell"),
                LD | LDX if insn.code & 0xe0 > MSH || insn.code & 0x18 == 0x18 => return wrong("unknown load"),
                ALU if insn.code & 0xf0 > XOR => return wrong("unknown operation"),
                ALU if insn.code & X == 0 && matches!(insn.code & 0xf0, DIV | MOD) && insn.k == 0 => {
                    return wrong("division by zero");
                }
                JMP if insn.code & 0xf0 == JA => {
                    let back = usize::try_from(insn.k.wrapping_neg()).is_ok_and(|back| back <= at + 1);
                    if !inside(insn.k) && !back {
                        return wrong("jump out of the program");
                    }
                }
                JMP if insn.code & 0xf0 > JSET => return wrong("unknown jump"),
                JMP if !inside(insn.jt.into()) || !inside(insn.jf.into()) => return wrong("jump out of the program"),
                _ => {}
            }
        }
        match insns.last() {
            Some(last) if last.code & 7 == RET => Ok(Program { insns }),
            _ => Err(Invalid { at: length, reason: "the program does not end" }),
        }
    }

    /// How many bytes of the packet to keep; zero rejects it. `bytes` is what was captured of `length` bytes. Without
    /// `ancillary`, as for a file, a program that asks the kernel rejects.
    pub fn run(&self, bytes: &[u8], length: u32, ancillary: Option<&Ancillary>) -> u32 {
        let (mut a, mut x): (u32, u32) = (0, 0);
        let mut cells = [0u32; CELLS];
        let mut at = 0usize;
        let mut steps = 0;
        loop {
            let Some(insn) = self.insns.get(at) else { return 0 };
            at += 1;
            let k = insn.k;
            match insn.code & 7 {
                RET => return if insn.code & 0x18 == 0 { k } else { a },
                JMP => {
                    let operand = if insn.code & X != 0 { x } else { k };
                    let holds = match insn.code & 0xf0 {
                        JEQ => a == operand,
                        JGT => a > operand,
                        JGE => a >= operand,
                        JSET => a & operand != 0,
                        _ => {
                            let by = i32::from_ne_bytes(k.to_ne_bytes());
                            if by < 0 {
                                steps += 1;
                                if steps > MAX_STEPS {
                                    return 0;
                                }
                            }
                            at = at.saturating_add_signed(isize::try_from(by).unwrap_or_default());
                            continue;
                        }
                    };
                    at += usize::from(if holds { insn.jt } else { insn.jf });
                }
                LD | LDX => {
                    let value = match insn.code & 0xe0 {
                        ABS if k >= ANCILLARY => ancillary.and_then(|facts| fact(facts, k)),
                        ABS => fetch(bytes, u64::from(k), insn.code),
                        IND => fetch(bytes, u64::from(x) + u64::from(k), insn.code),
                        MSH => fetch(bytes, u64::from(k), B).map(|octet| (octet & 0xf) << 2),
                        MEM => usize::try_from(k).ok().and_then(|cell| cells.get(cell)).copied(),
                        LEN => Some(length),
                        _ => Some(k),
                    };
                    let Some(value) = value else { return 0 };
                    if insn.code & 7 == LD { a = value } else { x = value }
                }
                ST | STX => {
                    let value = if insn.code & 7 == ST { a } else { x };
                    match usize::try_from(k).ok().and_then(|cell| cells.get_mut(cell)) {
                        Some(cell) => *cell = value,
                        None => return 0,
                    }
                }
                ALU => {
                    let operand = if insn.code & X != 0 { x } else { k };
                    match compute(insn.code & 0xf0, a, operand) {
                        Some(value) => a = value,
                        None => return 0,
                    }
                }
                _ if insn.code & 0xf8 == TXA => a = x,
                _ => x = a,
            }
        }
    }
}

/// `a op operand`; nothing when it divides by zero.
pub(super) fn compute(op: u16, a: u32, operand: u32) -> Option<u32> {
    Some(match op {
        ADD => a.wrapping_add(operand),
        SUB => a.wrapping_sub(operand),
        MUL => a.wrapping_mul(operand),
        DIV => a.checked_div(operand)?,
        MOD => a.checked_rem(operand)?,
        OR => a | operand,
        AND => a & operand,
        XOR => a ^ operand,
        LSH => a.checked_shl(operand).unwrap_or(0),
        RSH => a.checked_shr(operand).unwrap_or(0),
        _ => a.wrapping_neg(),
    })
}

fn fetch(bytes: &[u8], at: u64, code: u16) -> Option<u32> {
    let at = usize::try_from(at).ok()?;
    let rest = bytes.get(at..)?;
    Some(match code & 0x18 {
        B => u32::from(*rest.first()?),
        H => u32::from(u16::from_be_bytes(*rest.first_chunk()?)),
        _ => u32::from_be_bytes(*rest.first_chunk()?),
    })
}

fn fact(facts: &Ancillary, k: u32) -> Option<u32> {
    match k {
        AD_PKTTYPE => Some(facts.packet_type),
        AD_IFINDEX => Some(facts.ifindex),
        AD_VLAN_TAG => Some(facts.vlan.unwrap_or_default().into()),
        AD_VLAN_PRESENT => Some(facts.vlan.is_some().into()),
        _ => None,
    }
}
