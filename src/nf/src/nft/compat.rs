//! From the expressions that iptables-nft writes back to the rule it was given.
//!
//! Only sequences that iptables itself can write are turned back. Anything else is refused with the expression's name, so
//! that a rule never says something other than the kernel does.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Expression, NftRule};
use crate::bytes::c_text;
use crate::model::{Counters, Extension, Family, Header, Interface, Masked, Not, Rule, Target, Verdict};

/// Why a rule has no iptables form: the name of the first expression that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign(pub String);

/// NFT_META_*
mod meta {
    pub(super) const MARK: u32 = 3;
    pub(super) const IIFNAME: u32 = 6;
    pub(super) const OIFNAME: u32 = 7;
    pub(super) const L4PROTO: u32 = 16;
    pub(super) const NFTRACE: u32 = 12;
}

/// The only register that iptables-nft uses, by its old and its new number (NFT_REG_1, NFT_REG32_00).
const REGISTERS: [u32; 2] = [1, 8];
/// NFT_CMP_*
mod operator {
    pub(super) const EQUAL: u32 = 0;
    pub(super) const NOT_EQUAL: u32 = 1;
    pub(super) const LESS_OR_EQUAL: u32 = 3;
    pub(super) const GREATER: u32 = 4;
    pub(super) const GREATER_OR_EQUAL: u32 = 5;
}

/// What the register holds.
#[derive(Clone, Copy)]
enum Loaded {
    Nothing,
    Payload { base: u32, offset: u32, length: u32 },
    Meta(u32),
}

struct State<'a> {
    family: Family,
    rule: Rule<'a>,
    loaded: Loaded,
    /// Of a bitwise expression since the load.
    mask: Option<&'a [u8]>,
    /// A constant, and the register that it was put into.
    constant: Option<(u32, &'a [u8])>,
}

/// The rule as iptables would have been told it.
///
/// # Errors
/// [`Foreign`] for what iptables cannot express.
pub fn rule<'a>(found: &NftRule<'a>, family: Family) -> Result<Rule<'a>, Foreign> {
    let rule =
        Rule { header: Header::default(), matches: Vec::new(), target: Target::None, counters: Counters::default() };
    let mut state = State { family, rule, loaded: Loaded::Nothing, mask: None, constant: None };
    for expression in &found.expressions {
        state.take(expression).ok_or_else(|| Foreign(expression.name().to_owned()))?;
    }
    Ok(state.rule)
}

impl<'a> State<'a> {
    fn take(&mut self, expression: &Expression<'a>) -> Option<()> {
        // Nothing follows a verdict or a target.
        if self.rule.target != Target::None && !matches!(expression, Expression::Counter(_)) {
            return None;
        }
        match expression {
            Expression::Payload { to, base, offset, length } => {
                self.load(*to, Loaded::Payload { base: *base, offset: *offset, length: *length })
            }
            Expression::Meta { to, key } => self.load(*to, Loaded::Meta(*key)),
            Expression::Bitwise { from, to, mask, xor } => {
                let plain = xor.iter().all(|byte| *byte == 0) && self.mask.is_none();
                self.mask = Some(*mask);
                (plain && REGISTERS.contains(from) && REGISTERS.contains(to)).then_some(())
            }
            Expression::Compare { from, operator, data } if REGISTERS.contains(from) => {
                match *operator {
                    operator::EQUAL => self.compare(false, data)?,
                    operator::NOT_EQUAL => self.compare(true, data)?,
                    // A range of ports that begins at 0 or ends at 65535.
                    other => {
                        let (Loaded::Payload { base: 2, offset, length: 2 }, None) = (self.loaded, self.mask) else {
                            return None;
                        };
                        let port = be16(data)?;
                        match other {
                            operator::LESS_OR_EQUAL => self.ports(offset, 0, port, false)?,
                            operator::GREATER => self.ports(offset, port.saturating_add(1), u16::MAX, false)?,
                            operator::GREATER_OR_EQUAL => self.ports(offset, port, u16::MAX, false)?,
                            _ => return None,
                        }
                    }
                }
                self.loaded = Loaded::Nothing;
                self.mask = None;
                Some(())
            }
            Expression::Range { from, negated, low, high } if REGISTERS.contains(from) => {
                let (low, high) = (be16(low)?, be16(high)?);
                match (self.loaded, self.mask) {
                    (Loaded::Payload { base: 2, offset, length: 2 }, None) => self.ports(offset, low, high, *negated),
                    _ => None,
                }
            }
            Expression::Counter(counters) => {
                self.rule.counters = *counters;
                Some(())
            }
            Expression::Verdict { code, chain } => {
                self.rule.target = match (*code, chain) {
                    (0, _) => Target::Verdict(Verdict::Drop),
                    (1, _) => Target::Verdict(Verdict::Accept),
                    (3, _) => Target::Verdict(Verdict::Queue),
                    (-5, _) => Target::Verdict(Verdict::Return),
                    (-3, Some(chain)) => Target::Chain { name: Cow::Owned(chain.clone()), goto: false },
                    (-4, Some(chain)) => Target::Chain { name: Cow::Owned(chain.clone()), goto: true },
                    _ => return None,
                };
                Some(())
            }
            Expression::Limit { rate, unit, burst, kind: 0, over: false } => {
                /// XT_LIMIT_SCALE, units a second.
                const SCALE: u64 = 10_000;
                let period = u32::try_from(SCALE.checked_mul(*unit)?.checked_div(*rate)?).ok()?;
                let mut data = vec![0; 40];
                put(&mut data, 0, &period.to_ne_bytes());
                put(&mut data, 4, &burst.to_ne_bytes());
                self.push("limit", 0, data);
                Some(())
            }
            Expression::Log { group: Some(group), prefix, snaplen, threshold, level: None, flags: 0 } => {
                let mut data = vec![0; 76];
                put(&mut data, 0, &snaplen.unwrap_or(0).to_ne_bytes());
                put(&mut data, 4, &group.to_ne_bytes());
                put(&mut data, 6, &threshold.unwrap_or(0).to_ne_bytes());
                put(&mut data, 8, &u16::from(snaplen.is_some()).to_ne_bytes());
                put(
                    &mut data,
                    12,
                    prefix
                        .as_deref()
                        .unwrap_or_default()
                        .as_bytes()
                        .get(..63)
                        .unwrap_or_else(|| prefix.as_deref().unwrap_or_default().as_bytes()),
                );
                self.rule.target =
                    Target::Extension(Extension { name: Cow::Borrowed("NFLOG"), revision: 0, data: Cow::Owned(data) });
                Some(())
            }
            Expression::Immediate { to, data } => {
                self.constant = Some((*to, data));
                Some(())
            }
            // TRACE is the one target that iptables-nft writes in this way.
            Expression::MetaSet { from, key: meta::NFTRACE } => {
                let (register, data) = self.constant.take()?;
                (register == *from && data.first() == Some(&1)).then_some(())?;
                let target = Extension { name: Cow::Borrowed("TRACE"), revision: 0, data: Cow::Borrowed(&[]) };
                self.rule.target = Target::Extension(target);
                Some(())
            }
            Expression::Match { name, revision, info } => {
                let revision = u8::try_from(*revision).ok()?;
                self.rule.matches.push(Extension { name: Cow::Owned(name.clone()), revision, data: info.clone() });
                Some(())
            }
            Expression::Target { name, revision, info } => {
                let revision = u8::try_from(*revision).ok()?;
                self.rule.target =
                    Target::Extension(Extension { name: Cow::Owned(name.clone()), revision, data: info.clone() });
                Some(())
            }
            _ => None,
        }
    }

    fn load(&mut self, register: u32, loaded: Loaded) -> Option<()> {
        self.loaded = loaded;
        self.mask = None;
        REGISTERS.contains(&register).then_some(())
    }

    fn push(&mut self, name: &'static str, revision: u8, data: Vec<u8>) {
        self.rule.matches.push(Extension { name: Cow::Borrowed(name), revision, data: Cow::Owned(data) });
    }

    fn compare(&mut self, negated: bool, data: &'a [u8]) -> Option<()> {
        let header = &mut self.rule.header;
        match (self.loaded, self.mask) {
            (Loaded::Meta(meta::IIFNAME), None) => header.input = Some(Not { negated, value: interface(data) }),
            (Loaded::Meta(meta::OIFNAME), None) => header.output = Some(Not { negated, value: interface(data) }),
            (Loaded::Meta(meta::L4PROTO), None) => {
                header.protocol = Some(Not { negated, value: u16::from(*data.first()?) });
            }
            (Loaded::Meta(meta::MARK), mask) => {
                let mask = mask.unwrap_or(&[0xff; 4]);
                let mut info = vec![0; 16];
                put(&mut info, 0, data.get(..4)?);
                put(&mut info, 4, mask.get(..4)?);
                put(&mut info, 8, &[u8::from(negated)]);
                self.push("mark", 1, info);
            }
            (Loaded::Payload { base: 1, offset, length }, mask) => {
                return self.network(offset, length, mask, negated, data);
            }
            (Loaded::Payload { base: 2, offset: offset @ (0 | 2), length: 2 }, None) => {
                let port = be16(data)?;
                return self.ports(offset, port, port, negated);
            }
            // Both ports at once: with a negation this is what iptables-nft makes of two negated ports.
            (Loaded::Payload { base: 2, offset: 0, length: 4 }, None) => {
                let (source, destination) = (be16(data)?, be16(data.get(2..)?)?);
                self.ports(0, source, source, negated)?;
                return self.ports(2, destination, destination, negated);
            }
            (Loaded::Payload { base: 2, offset: 13, length: 1 }, Some(mask)) => {
                let info = self.transport(6)?;
                put(info, 9, mask.get(..1)?);
                put(info, 10, data.get(..1)?);
                *info.get_mut(11)? |= if negated { 0x04 } else { 0 };
            }
            _ => return None,
        }
        Some(())
    }

    /// Fields of the IP header.
    fn network(
        &mut self,
        offset: u32,
        length: u32,
        mask: Option<&'a [u8]>,
        negated: bool,
        data: &'a [u8],
    ) -> Option<()> {
        let header = &mut self.rule.header;
        let (source, destination, width) = match self.family {
            Family::Ipv4 => (12, 16, 4),
            Family::Ipv6 => (8, 24, 16),
        };
        match (self.family, offset, length) {
            (_, at, length) if (at == source || at == destination) && length <= width => {
                let value = masked(self.family, data, mask, length as usize)?;
                let place = if at == source { &mut header.source } else { &mut header.destination };
                *place = Some(Not { negated, value });
            }
            // The protocol of IPv4.
            (Family::Ipv4, 9, 1) if mask.is_none() => {
                header.protocol = Some(Not { negated, value: u16::from(*data.first()?) });
            }
            // A fragment's offset is not 0.
            (Family::Ipv4, 6, 2) if mask == Some(&[0x1f, 0xff]) && data == [0, 0] => {
                header.fragment = Some(Not { negated: !negated, value: () });
            }
            _ => return None,
        }
        Some(())
    }

    fn ports(&mut self, offset: u32, low: u16, high: u16, negated: bool) -> Option<()> {
        let protocol = self.rule.header.protocol.as_ref().filter(|protocol| !protocol.negated)?.value;
        let inverted_at = match protocol {
            6 => 11,
            17 => 8,
            _ => return None,
        };
        let (at, bit) = match offset {
            0 => (0, 0x01),
            2 => (4, 0x02),
            _ => return None,
        };
        let info = self.transport(protocol)?;
        put(info, at, &low.to_ne_bytes());
        put(info, at + 2, &high.to_ne_bytes());
        *info.get_mut(inverted_at)? |= if negated { bit } else { 0 };
        Some(())
    }

    /// The structure of the tcp or udp match, made when first wanted.
    fn transport(&mut self, protocol: u16) -> Option<&mut Vec<u8>> {
        let named = self.rule.header.protocol.as_ref().is_some_and(|found| !found.negated && found.value == protocol);
        let (name, size) = match protocol {
            6 => ("tcp", 12),
            17 => ("udp", 10),
            _ => return None,
        };
        if !named {
            return None;
        }
        if !self.rule.matches.iter().any(|found| found.name == name) {
            let mut data = vec![0; size];
            for at in [2, 6] {
                put(&mut data, at, &u16::MAX.to_ne_bytes());
            }
            self.push(name, 0, data);
        }
        let found = self.rule.matches.iter_mut().find(|found| found.name == name)?;
        Some(found.data.to_mut())
    }
}

fn put(data: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = data.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn be16(data: &[u8]) -> Option<u16> {
    data.first_chunk::<2>().map(|octets| u16::from_be_bytes(*octets))
}

/// A whole name comes with its final zero, the beginning of one without.
fn interface(data: &[u8]) -> Interface<'_> {
    Interface { name: c_text(data), prefix: !data.contains(&0) }
}

/// An address of which `length` octets were loaded, perhaps masked.
fn masked(family: Family, data: &[u8], mask: Option<&[u8]>, length: usize) -> Option<Masked> {
    let mut ones = vec![0xff; length];
    if let Some(mask) = mask {
        ones.copy_from_slice(mask.get(..length)?);
    }
    let data = data.get(..length)?;
    Some(match family {
        Family::Ipv4 => {
            Masked { address: ip(Ipv4Addr::from(padded::<4>(data)?)), mask: ip(Ipv4Addr::from(padded::<4>(&ones)?)) }
        }
        Family::Ipv6 => {
            Masked { address: ip(Ipv6Addr::from(padded::<16>(data)?)), mask: ip(Ipv6Addr::from(padded::<16>(&ones)?)) }
        }
    })
}

fn ip(address: impl Into<IpAddr>) -> IpAddr {
    address.into()
}

fn padded<const N: usize>(data: &[u8]) -> Option<[u8; N]> {
    let mut whole = [0; N];
    whole.get_mut(..data.len())?.copy_from_slice(data);
    Some(whole)
}
