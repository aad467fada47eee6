//! The blob of a legacy table (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h,
//! linux/netfilter/x_tables.h), as IPT_SO_GET_ENTRIES returns it.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use crate::bytes::{Fields, c_text};
use crate::model::{Counters, Extension, Family, Header, Interface, Masked, Not, Policy, Rule, Target, Verdict};

/// Names of the built-in chains by hook (enum nf_inet_hooks).
pub const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// What IPT_SO_GET_INFO tells of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Bit n for hook n.
    pub valid_hooks: u32,
    /// Offset of each hook's first entry.
    pub hook_entry: [u32; 5],
    /// Offset of each hook's policy.
    pub underflow: [u32; 5],
}

/// Why a blob cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Offset of the entry, in bytes.
    pub offset: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in the entry at byte {}", self.what, self.offset)
    }
}

/// Where the parts of an entry lie.
struct Layout {
    /// sizeof(struct ipt_entry)
    size: usize,
    interfaces: usize,
    protocol: usize,
    flags: usize,
    inverted: usize,
    target_offset: usize,
    counters: usize,
    goto: u8,
}

const IPV4: Layout = Layout {
    size: 112,
    interfaces: 16,
    protocol: 80,
    flags: 82,
    inverted: 83,
    target_offset: 88,
    counters: 96,
    goto: 0x02,
};
const IPV6: Layout = Layout {
    size: 168,
    interfaces: 64,
    protocol: 128,
    flags: 131,
    inverted: 132,
    target_offset: 140,
    counters: 152,
    goto: 0x04,
};

/// IPT_F_FRAG
const FRAGMENT: u8 = 0x01;
/// Bits of invflags, the same in both families.
mod inverted {
    pub(super) const INPUT: u8 = 0x01;
    pub(super) const OUTPUT: u8 = 0x02;
    pub(super) const SOURCE: u8 = 0x08;
    pub(super) const DESTINATION: u8 = 0x10;
    pub(super) const FRAGMENT: u8 = 0x20;
    pub(super) const PROTOCOL: u8 = 0x40;
}

/// Octets of struct xt_entry_match and xt_entry_target before their data.
const EXTENSION_HEADER: usize = 32;
/// XT_FUNCTION_MAXNAMELEN
const NAME: usize = 29;

/// An entry, cut out of the blob.
#[derive(Clone)]
struct Entry<'a> {
    offset: usize,
    bytes: &'a [u8],
    target: Fields<'a>,
    target_at: usize,
}

impl<'a> Entry<'a> {
    fn at(blob: &'a [u8], offset: usize, layout: &Layout) -> Result<Entry<'a>, Malformed> {
        let wrong = |what| Malformed { offset, what };
        let rest = Fields(blob.get(offset..).unwrap_or_default());
        let target_at = usize::from(rest.u16(layout.target_offset).ok_or(wrong("end of data"))?);
        let length = usize::from(rest.u16(layout.target_offset + 2).ok_or(wrong("end of data"))?);
        let bytes = rest.bytes(0, length).ok_or(wrong("length beyond the end"))?;
        if target_at < layout.size || length < target_at + EXTENSION_HEADER {
            return Err(wrong("target outside the entry"));
        }
        let target = Fields(bytes.get(target_at..).unwrap_or_default());
        let size = usize::from(target.u16(0).unwrap_or(0));
        if size < EXTENSION_HEADER || size > target.0.len() {
            return Err(wrong("target of a wrong length"));
        }
        Ok(Entry { offset, bytes, target: Fields(target.0.get(..size).unwrap_or_default()), target_at })
    }

    fn end(&self) -> usize {
        self.offset + self.bytes.len()
    }

    fn target_name(&self) -> &'a [u8] {
        let field = self.target.0.get(2..2 + NAME).unwrap_or_default();
        field.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The verdict of a standard target.
    fn verdict(&self) -> Option<i32> {
        self.target_name().is_empty().then(|| self.target.i32(EXTENSION_HEADER)).flatten()
    }
}

/// A chain of a blob: where its rules lie.
#[derive(Clone, Debug)]
pub struct Span<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Of a built-in chain.
    pub policy: Option<Policy>,
    /// Rules that jump here.
    pub references: u32,
    start: usize,
    end: usize,
}

/// A table that has been looked through once. Rules are decoded when they are wanted, one at a time, because a large
/// cluster's table has tens of thousands of them.
pub struct Blob<'a> {
    family: Family,
    bytes: &'a [u8],
    /// In the order of the blob, so by where they begin.
    pub chains: Vec<Span<'a>>,
}

impl<'a> Blob<'a> {
    /// Looks through a table.
    ///
    /// # Errors
    /// When sizes and offsets do not fit together.
    pub fn read(family: Family, info: &Info, bytes: &'a [u8]) -> Result<Blob<'a>, Malformed> {
        let layout = layout(family);
        // A chain takes two entries of its own and seldom less than two rules; what is not used costs no memory.
        let mut chains: Vec<Span<'a>> = Vec::with_capacity(bytes.len() / (4 * layout.size));
        // Where jumps go.
        let mut jumps: Vec<u32> = Vec::new();
        // The chain that is being walked, and where its last entry began.
        let mut open: Option<usize> = None;
        let mut previous = 0;
        let mut offset = 0;
        while offset < bytes.len() {
            let entry = Entry::at(bytes, offset, layout)?;
            let hook =
                (0u8..5).find(|hook| info.valid_hooks >> hook & 1 == 1 && offset_of(info.hook_entry, *hook) == offset);
            if entry.target_name() == b"ERROR" {
                // What came before the head of a chain is the implicit return of the one before it.
                if let Some(chain) = open.take().and_then(|index| chains.get_mut(index)) {
                    chain.end = previous;
                }
                if entry.end() < bytes.len() {
                    let name = c_text(entry.target.0.get(EXTENSION_HEADER..).unwrap_or_default());
                    open = Some(chains.len());
                    let (start, end) = (entry.end(), entry.end());
                    chains.push(Span { name, policy: None, references: 0, start, end });
                }
            } else if let Some(hook) = hook {
                open = Some(chains.len());
                let name = Cow::Borrowed(HOOKS.get(usize::from(hook)).copied().unwrap_or_default());
                let policy = Policy { hook, verdict: Verdict::Accept, counters: Counters::default() };
                chains.push(Span { name, policy: Some(policy), references: 0, start: offset, end: offset });
            }
            if let Some(index) = open
                && let Some(chain) = chains.get_mut(index)
                && let Some(policy) = &mut chain.policy
                && offset_of(info.underflow, policy.hook) == offset
            {
                policy.verdict = Verdict::from_standard(entry.verdict().unwrap_or(0));
                policy.counters = counters(&entry, layout);
                chain.end = offset;
                open = None;
            }
            if let Some(target) = entry.verdict().and_then(|verdict| u32::try_from(verdict).ok())
                && target as usize != entry.end()
            {
                jumps.push(target);
            }
            previous = offset;
            offset = entry.end();
        }
        let mut blob = Blob { family, bytes, chains };
        for target in jumps {
            if let Some(chain) = blob.begins_at(target as usize).and_then(|index| blob.chains.get_mut(index)) {
                chain.references += 1;
            }
        }
        Ok(blob)
    }

    /// Index of the user's chain that begins at an offset.
    fn begins_at(&self, offset: usize) -> Option<usize> {
        let index = self.chains.binary_search_by_key(&offset, |chain| chain.start).ok()?;
        self.chains.get(index).filter(|chain| chain.policy.is_none()).map(|_| index)
    }

    /// The rules of a chain, in order.
    pub fn rules(&self, chain: &Span<'a>) -> impl Iterator<Item = Result<Rule<'a>, Malformed>> {
        let (layout, end) = (layout(self.family), chain.end);
        let mut offset = chain.start;
        std::iter::from_fn(move || {
            (offset < end).then(|| {
                let entry = Entry::at(self.bytes, offset, layout).inspect_err(|_| offset = end)?;
                offset = entry.end();
                self.rule(&entry, layout)
            })
        })
    }

    /// The name of the chain that begins at an offset.
    fn chain_at(&self, offset: usize) -> Option<Cow<'a, str>> {
        self.begins_at(offset).and_then(|index| self.chains.get(index)).map(|chain| chain.name.clone())
    }

    fn rule(&self, entry: &Entry<'a>, layout: &Layout) -> Result<Rule<'a>, Malformed> {
        let wrong = |what| Malformed { offset: entry.offset, what };
        let fields = Fields(entry.bytes);
        let header = header(fields, self.family, layout).ok_or(wrong("end of data"))?;
        let mut matches = Vec::new();
        let mut at = layout.size;
        while at < entry.target_at {
            let found = Fields(entry.bytes.get(at..entry.target_at).unwrap_or_default());
            let size = usize::from(found.u16(0).ok_or(wrong("match of a wrong length"))?);
            if size < EXTENSION_HEADER || size > found.0.len() {
                return Err(wrong("match of a wrong length"));
            }
            matches.push(extension(Fields(found.0.get(..size).unwrap_or_default())));
            at += size;
        }
        let goto = fields.u8(layout.flags).unwrap_or(0) & layout.goto != 0;
        let target = if entry.target_name().is_empty() {
            match entry.verdict().ok_or(wrong("target of a wrong length"))? {
                number if number < 0 => Target::Verdict(Verdict::from_standard(number)),
                number => {
                    let offset = usize::try_from(number).unwrap_or(usize::MAX);
                    if offset == entry.end() {
                        Target::None
                    } else {
                        let name = self.chain_at(offset).ok_or(wrong("jump to where no chain begins"))?;
                        Target::Chain { name, goto }
                    }
                }
            }
        } else {
            Target::Extension(extension(entry.target))
        };
        Ok(Rule { header, matches, target, counters: counters(entry, layout) })
    }
}

fn layout(family: Family) -> &'static Layout {
    if family == Family::Ipv4 { &IPV4 } else { &IPV6 }
}

fn offset_of(offsets: [u32; 5], hook: u8) -> usize {
    offsets.get(usize::from(hook)).map_or(0, |offset| *offset as usize)
}

fn counters(entry: &Entry<'_>, layout: &Layout) -> Counters {
    let fields = Fields(entry.bytes);
    Counters { packets: fields.u64(layout.counters).unwrap_or(0), bytes: fields.u64(layout.counters + 8).unwrap_or(0) }
}

fn extension(fields: Fields<'_>) -> Extension<'_> {
    Extension {
        name: fields.text(2, NAME).unwrap_or_default(),
        revision: fields.u8(2 + NAME).unwrap_or(0),
        data: Cow::Borrowed(fields.0.get(EXTENSION_HEADER..).unwrap_or_default()),
    }
}

fn header<'a>(fields: Fields<'a>, family: Family, layout: &Layout) -> Option<Header<'a>> {
    let width = usize::from(family.bits() / 8);
    let flags = fields.u8(layout.flags)?;
    let inverted = fields.u8(layout.inverted)?;
    let address = |index: usize, bit: u8| -> Option<Option<Not<Masked>>> {
        let address = fields.address(index * width, family)?;
        let mask = fields.address((index + 2) * width, family)?;
        let negated = inverted & bit != 0;
        let any = is_zero(mask) && is_zero(address) && !negated;
        Some((!any).then_some(Not { negated, value: Masked { address, mask } }))
    };
    let interface = |index: usize, bit: u8| -> Option<Option<Not<Interface<'a>>>> {
        const IFNAMSIZ: usize = 16;
        let name = fields.bytes(layout.interfaces + index * IFNAMSIZ, IFNAMSIZ)?;
        let mask = fields.bytes(layout.interfaces + (index + 2) * IFNAMSIZ, IFNAMSIZ)?;
        let negated = inverted & bit != 0;
        // The mask of a whole name covers its final zero too; that of a prefix ends before the `+`, which stays in the name.
        let masked = mask.iter().take_while(|byte| **byte != 0).count();
        let whole = c_text(name);
        let prefix = masked <= whole.len();
        let name = if prefix { c_text(name.get(..masked).unwrap_or_default()) } else { whole };
        let any = masked == 0 && !negated;
        Some((!any).then_some(Not { negated, value: Interface { name, prefix } }))
    };
    let protocol = fields.u16(layout.protocol)?;
    let not_protocol = inverted & inverted::PROTOCOL != 0;
    let fragment = (family == Family::Ipv4 && flags & FRAGMENT != 0)
        .then_some(Not { negated: inverted & inverted::FRAGMENT != 0, value: () });
    Some(Header {
        source: address(0, inverted::SOURCE)?,
        destination: address(1, inverted::DESTINATION)?,
        input: interface(0, inverted::INPUT)?,
        output: interface(1, inverted::OUTPUT)?,
        protocol: (protocol != 0 || not_protocol).then_some(Not { negated: not_protocol, value: protocol }),
        fragment,
    })
}

fn is_zero(address: IpAddr) -> bool {
    address.is_unspecified()
}
