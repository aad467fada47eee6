//! The instruction set of the classic packet filter machine (linux/filter.h, the BSD packet filter's paper), and programs of it.

/// Instruction class: load into A.
pub(super) const LD: u16 = 0x00;
/// Load into X.
pub(super) const LDX: u16 = 0x01;
/// Store A.
pub(super) const ST: u16 = 0x02;
/// Store X.
pub(super) const STX: u16 = 0x03;
/// Arithmetic on A.
pub(super) const ALU: u16 = 0x04;
/// Jump.
pub(super) const JMP: u16 = 0x05;
/// Return.
pub(super) const RET: u16 = 0x06;
/// Between A and X.
pub(super) const MISC: u16 = 0x07;

/// Size of a load: four octets.
pub(super) const W: u16 = 0x00;
/// Two octets.
pub(super) const H: u16 = 0x08;
/// One octet.
pub(super) const B: u16 = 0x10;

/// Mode of a load: a constant.
pub(super) const IMM: u16 = 0x00;
/// At a fixed offset.
pub(super) const ABS: u16 = 0x20;
/// At X and an offset.
pub(super) const IND: u16 = 0x40;
/// A scratch cell.
pub(super) const MEM: u16 = 0x60;
/// Length of the packet.
pub(super) const LEN: u16 = 0x80;
/// Four times the low half of an octet: the length of an IPv4 header.
pub(super) const MSH: u16 = 0xa0;

/// Operation: addition.
pub(super) const ADD: u16 = 0x00;
/// Subtraction.
pub(super) const SUB: u16 = 0x10;
/// Multiplication.
pub(super) const MUL: u16 = 0x20;
/// Division.
pub(super) const DIV: u16 = 0x30;
/// Bitwise or.
pub(super) const OR: u16 = 0x40;
/// Bitwise and.
pub(super) const AND: u16 = 0x50;
/// Shift left.
pub(super) const LSH: u16 = 0x60;
/// Shift right.
pub(super) const RSH: u16 = 0x70;
/// Negation.
pub(super) const NEG: u16 = 0x80;
/// Remainder.
pub(super) const MOD: u16 = 0x90;
/// Exclusive or.
pub(super) const XOR: u16 = 0xa0;

/// Jump always.
pub(super) const JA: u16 = 0x00;
/// If equal.
pub(super) const JEQ: u16 = 0x10;
/// If greater.
pub(super) const JGT: u16 = 0x20;
/// If greater or equal.
pub(super) const JGE: u16 = 0x30;
/// If a bit is set.
pub(super) const JSET: u16 = 0x40;

/// The operand is X, not a constant.
pub(super) const X: u16 = 0x08;
/// A to X.
pub(super) const TAX: u16 = 0x00;
/// X to A.
pub(super) const TXA: u16 = 0x80;

/// Scratch cells of the machine.
pub(super) const CELLS: usize = 16;

/// Offsets from here on are facts of the kernel about the packet (SKF_AD_OFF).
pub(super) const ANCILLARY: u32 = 0xffff_f000;
/// Where the packet came from or went to, as in sll_pkttype (SKF_AD_PKTTYPE).
pub(super) const AD_PKTTYPE: u32 = ANCILLARY + 4;
/// Index of the interface (SKF_AD_IFINDEX).
pub(super) const AD_IFINDEX: u32 = ANCILLARY + 8;
/// The VLAN tag that the kernel took off (SKF_AD_VLAN_TAG).
pub(super) const AD_VLAN_TAG: u32 = ANCILLARY + 44;
/// Whether there was one (SKF_AD_VLAN_TAG_PRESENT).
pub(super) const AD_VLAN_PRESENT: u32 = ANCILLARY + 48;

/// One instruction, as in `struct sock_filter` of linux/filter.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Insn {
    /// Class, size or operation, mode.
    pub code: u16,
    /// Instructions to skip if the condition holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// A compiled filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub(super) insns: Vec<Insn>,
}

impl Program {
    /// The instructions in order.
    pub fn insns(&self) -> &[Insn] {
        &self.insns
    }
}
