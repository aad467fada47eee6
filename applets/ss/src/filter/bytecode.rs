//! Filters as bytecode of the kernel's socket dump (linux/inet_diag.h, INET_DIAG_REQ_BYTECODE).
//!
//! An instruction is four bytes, `code yes no(16)`, and what its code wants behind them. `yes` and `no` say how many
//! bytes further on the program goes on. A program accepts by reaching its end and rejects by going four bytes past it,
//! so programs join by moving the jumps that reject.

use std::net::IpAddr;

use super::Node;
use super::host::{ANY_PORT, Condition, Prefix};

/// INET_DIAG_BC_*.
mod code {
    pub(super) const JMP: u8 = 1;
    pub(super) const S_GE: u8 = 2;
    pub(super) const S_LE: u8 = 3;
    pub(super) const D_GE: u8 = 4;
    pub(super) const D_LE: u8 = 5;
    pub(super) const AUTO: u8 = 6;
    pub(super) const S_COND: u8 = 7;
    pub(super) const D_COND: u8 = 8;
    pub(super) const DEV_COND: u8 = 9;
    pub(super) const MARK_COND: u8 = 10;
    pub(super) const CGROUP_COND: u8 = 13;
}

/// Linux's AF_INET and AF_INET6.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// The attribute's length field has 16 bits and counts its own header.
const LONGEST: usize = 65_000;

/// The program of a filter, or nothing when a part of it has no counterpart in bytecode.
pub(crate) fn compile(node: &Node) -> Option<Vec<u8>> {
    build(node).filter(|program| program.len() <= LONGEST)
}

fn build(node: &Node) -> Option<Vec<u8>> {
    Some(match node {
        Node::Autobound => instruction(code::AUTO, &[]),
        Node::Local(condition) => host(code::S_COND, condition)?,
        Node::Remote(condition) => host(code::D_COND, condition)?,
        Node::LocalPortAtLeast(port) => limit(code::S_GE, *port)?,
        Node::LocalPortAtMost(port) => limit(code::S_LE, *port)?,
        Node::RemotePortAtLeast(port) => limit(code::D_GE, *port)?,
        Node::RemotePortAtMost(port) => limit(code::D_LE, *port)?,
        Node::Device(index) => instruction(code::DEV_COND, &index.to_ne_bytes()),
        Node::Mark { mark, mask } => {
            let bytes = [mark.to_ne_bytes(), mask.to_ne_bytes()].concat();
            instruction(code::MARK_COND, &bytes)
        }
        Node::Cgroup(id) => instruction(code::CGROUP_COND, &id.to_ne_bytes()),
        Node::Process(_) => return None,
        Node::And(left, right) => both(build(left)?, build(right)?)?,
        Node::Or(left, right) => either(build(left)?, build(right)?)?,
        Node::Not(inner) => {
            let mut program = build(inner)?;
            // What accepts runs into a jump past the end, what rejects goes over it to the end.
            program.extend(jump(8)?);
            program
        }
    })
}

fn instruction(code: u8, operand: &[u8]) -> Vec<u8> {
    // Operands have at most 24 bytes.
    let yes = u8::try_from(4 + operand.len()).unwrap_or(u8::MAX);
    let no = u16::from(yes) + 4;
    let mut out = vec![code, yes];
    out.extend(no.to_ne_bytes());
    out.extend(operand);
    out
}

fn jump(over: usize) -> Option<Vec<u8>> {
    let mut out = vec![code::JMP, 4];
    out.extend(u16::try_from(over).ok()?.to_ne_bytes());
    Some(out)
}

/// The port of a limit stands where another instruction would have its jump.
fn limit(code: u8, port: i64) -> Option<Vec<u8>> {
    let port = u16::try_from(port).ok()?;
    let mut operand = vec![0, 0];
    operand.extend(port.to_ne_bytes());
    Some(instruction(code, &operand))
}

fn host(code: u8, condition: &Condition) -> Option<Vec<u8>> {
    let Condition::Inet { prefixes, port } = condition else { return None };
    let port = i32::try_from(*port).ok().filter(|port| *port >= 0 || i64::from(*port) == ANY_PORT)?;
    let one = |prefix: Option<&Prefix>| {
        let (family, bits, address) = match prefix {
            None => (0, 0, vec![0; 4]),
            Some(Prefix { address: IpAddr::V4(address), bits }) => (AF_INET, *bits, address.octets().to_vec()),
            Some(Prefix { address: IpAddr::V6(address), bits }) => (AF_INET6, *bits, address.octets().to_vec()),
        };
        // struct inet_diag_hostcond: family, prefix length, two bytes of padding, port, address.
        let mut operand = vec![family, bits, 0, 0];
        operand.extend(port.to_ne_bytes());
        operand.extend(address);
        instruction(code, &operand)
    };
    let mut programs = prefixes.iter().map(|prefix| one(Some(prefix)));
    let first = programs.next().unwrap_or_else(|| one(None));
    programs.try_fold(first, either)
}

fn both(mut left: Vec<u8>, right: Vec<u8>) -> Option<Vec<u8>> {
    let length = left.len();
    let mut at = 0;
    while let Some(rest) = left.get_mut(at..) {
        let [code, yes, no_low, no_high, ..] = rest else { break };
        let no = usize::from(u16::from_ne_bytes([*no_low, *no_high]));
        if at + no == length + 4 {
            [*no_low, *no_high] = u16::try_from(no + right.len()).ok()?.to_ne_bytes();
        }
        // A jump has only `no`; the next instruction stands right behind it all the same.
        at += if *code == code::JMP { 4 } else { usize::from(*yes).max(4) };
    }
    left.extend(right);
    Some(left)
}

fn either(mut left: Vec<u8>, right: Vec<u8>) -> Option<Vec<u8>> {
    left.extend(jump(right.len() + 4)?);
    left.extend(right);
    Some(left)
}

#[cfg(test)]
pub(crate) mod interpreter {
    //! What the kernel does with a program, for comparison with our own evaluation.

    use super::*;
    use crate::filter::evaluate::same_bits;
    use crate::select::Family;
    use crate::socket::Socket;

    /// Runs a program over a socket. `autobound` is what the kernel's AUTO would say.
    pub(crate) fn accepts(program: &[u8], socket: &Socket<'_>, autobound: bool) -> bool {
        let mut at = 0;
        while at < program.len() {
            let rest = &program[at..];
            let no = usize::from(u16::from_ne_bytes([rest[2], rest[3]]));
            let yes = match rest[0] {
                code::JMP => false,
                code::AUTO => autobound,
                code::S_GE => socket.local_port >= i64::from(u16::from_ne_bytes([rest[6], rest[7]])),
                code::S_LE => socket.local_port <= i64::from(u16::from_ne_bytes([rest[6], rest[7]])),
                code::D_GE => socket.remote_port >= i64::from(u16::from_ne_bytes([rest[6], rest[7]])),
                code::D_LE => socket.remote_port <= i64::from(u16::from_ne_bytes([rest[6], rest[7]])),
                code::S_COND => host_condition(rest, socket, socket.local, socket.local_port),
                code::D_COND => host_condition(rest, socket, socket.remote, socket.remote_port),
                code::DEV_COND => socket.interface == word(rest, 4),
                code::MARK_COND => socket.mark & word(rest, 8) == word(rest, 4),
                code::CGROUP_COND => socket.cgroup == u64::from_ne_bytes(rest[4..12].try_into().unwrap()),
                other => panic!("no instruction {other}"),
            };
            let step = if yes { usize::from(rest[1]) } else { no };
            assert!(step >= 4 && step.is_multiple_of(4) && at + step <= program.len() + 4, "a jump of {step} at {at}");
            at += step;
        }
        at == program.len()
    }

    fn word(rest: &[u8], at: usize) -> u32 {
        u32::from_ne_bytes(rest[at..at + 4].try_into().unwrap())
    }

    fn host_condition(rest: &[u8], socket: &Socket<'_>, address: Option<IpAddr>, port: i64) -> bool {
        let (family, bits, wanted) = (rest[4], rest[5], i64::from(word(rest, 8).cast_signed()));
        if wanted != -1 && wanted != port {
            return false;
        }
        let address: Vec<u8> = match address {
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets().to_vec(),
            None => vec![],
        };
        let own = if socket.family == Family::Inet { AF_INET } else { AF_INET6 };
        if family != 0 && family != own {
            let mapped = address.len() == 16 && address[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255];
            return own == AF_INET6 && family == AF_INET && mapped && same_bits(&address[12..], &rest[12..16], bits);
        }
        bits == 0 || same_bits(&address, &rest[12..usize::from(rest[1])], bits)
    }
}
