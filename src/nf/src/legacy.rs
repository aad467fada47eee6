//! The blob of a legacy table (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h,
//! linux/netfilter/x_tables.h), as IPT_SO_GET_ENTRIES returns it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use crate::bytes::{Fields, c_text};
use crate::model::{
    Chain, Counters, Extension, Family, Header, Interface, Masked, Not, Policy, Rule, Table, Target, Verdict,
};

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
struct Entry<'a> {
    offset: usize,
    bytes: &'a [u8],
    target: Fields<'a>,
    target_name: Cow<'a, str>,
    target_at: usize,
}

/// Reads a table.
///
/// # Errors
/// When sizes and offsets do not fit together.
pub fn table<'a>(name: &'a str, family: Family, info: &Info, blob: &'a [u8]) -> Result<Table<'a>, Malformed> {
    let layout = if family == Family::Ipv4 { &IPV4 } else { &IPV6 };
    let entries = entries(blob, layout)?;
    let heads = heads(&entries, info);
    let names: HashMap<usize, &Cow<'a, str>> = heads.iter().map(|(first, name, _)| (*first, name)).collect();
    let mut chains: Vec<Chain<'a>> = Vec::with_capacity(heads.len());
    let mut at = 0;
    let mut references: HashMap<Cow<'a, str>, u32> = HashMap::new();
    for (index, (first, chain_name, hook)) in heads.iter().enumerate() {
        // The chain ends before its last entry, which is the policy or the implicit return; the next head begins after it.
        let next = heads.get(index + 1).map(|(next, _, next_hook)| (*next, next_hook.is_none()));
        while entries.get(at).is_some_and(|entry| entry.offset < *first) {
            at += 1;
        }
        let mut rules = Vec::new();
        let mut last = None;
        while let Some(entry) = entries.get(at) {
            let over = match (next, hook) {
                (_, Some(hook)) => entry.offset > offset_of(info.underflow, *hook),
                (Some((next, _)), None) => entries.get(at + 1).is_some_and(|after| after.offset >= next),
                (None, None) => entry.target_name == "ERROR",
            };
            if over {
                break;
            }
            rules.push(entry);
            at += 1;
        }
        // A user chain's last entry is its implicit RETURN, a built-in chain's its policy.
        if let Some(entry) = rules.pop() {
            last = Some(entry);
        }
        let policy = match (hook, last) {
            (Some(hook), Some(entry)) => Some(Policy {
                hook: *hook,
                verdict: Verdict::from_standard(entry.target.i32(EXTENSION_HEADER).unwrap_or(0)),
                counters: counters(entry, layout),
            }),
            _ => None,
        };
        let rules: Result<Vec<Rule<'a>>, Malformed> =
            rules.into_iter().map(|entry| rule(entry, family, layout, &names)).collect();
        let rules = rules?;
        for rule in &rules {
            if let Target::Chain { name, .. } = &rule.target {
                *references.entry(name.clone()).or_default() += 1;
            }
        }
        chains.push(Chain { name: chain_name.clone(), policy, rules, references: 0 });
    }
    for chain in &mut chains {
        chain.references = references.get(&chain.name).copied().unwrap_or(0);
    }
    Ok(Table { name: Cow::Borrowed(name), family, chains })
}

fn offset_of(offsets: [u32; 5], hook: u8) -> usize {
    offsets.get(usize::from(hook)).map_or(0, |offset| *offset as usize)
}

/// Cuts the blob into entries.
fn entries<'a>(blob: &'a [u8], layout: &Layout) -> Result<Vec<Entry<'a>>, Malformed> {
    let mut found = Vec::new();
    let mut offset = 0;
    while offset < blob.len() {
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
        let target = Fields(target.0.get(..size).unwrap_or_default());
        let target_name = target.text(2, NAME).unwrap_or_default();
        found.push(Entry { offset, bytes, target, target_name, target_at });
        offset += length;
    }
    Ok(found)
}

/// First rule, name and hook of each chain, in the order of the blob.
fn heads<'a>(entries: &[Entry<'a>], info: &Info) -> Vec<(usize, Cow<'a, str>, Option<u8>)> {
    let mut heads = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let hook = (0u8..5)
            .find(|hook| info.valid_hooks >> hook & 1 == 1 && offset_of(info.hook_entry, *hook) == entry.offset);
        if let Some(hook) = hook {
            let name = HOOKS.get(usize::from(hook)).copied().unwrap_or_default();
            heads.push((entry.offset, Cow::Borrowed(name), Some(hook)));
        } else if entry.target_name == "ERROR"
            && let Some(next) = entries.get(index + 1)
        {
            // The last ERROR entry of the blob is its end mark and heads nothing.
            let field = entry.target.0.get(EXTENSION_HEADER..).unwrap_or_default();
            heads.push((next.offset, c_text(field), None));
        }
    }
    heads
}

fn counters(entry: &Entry<'_>, layout: &Layout) -> Counters {
    let fields = Fields(entry.bytes);
    Counters { packets: fields.u64(layout.counters).unwrap_or(0), bytes: fields.u64(layout.counters + 8).unwrap_or(0) }
}

fn rule<'a>(
    entry: &Entry<'a>,
    family: Family,
    layout: &Layout,
    names: &HashMap<usize, &Cow<'a, str>>,
) -> Result<Rule<'a>, Malformed> {
    let wrong = |what| Malformed { offset: entry.offset, what };
    let fields = Fields(entry.bytes);
    let header = header(fields, family, layout).ok_or(wrong("end of data"))?;
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
    let target = if entry.target_name.is_empty() {
        match entry.target.i32(EXTENSION_HEADER).ok_or(wrong("target of a wrong length"))? {
            number if number < 0 => Target::Verdict(Verdict::from_standard(number)),
            number => {
                let offset = usize::try_from(number).unwrap_or(usize::MAX);
                if offset == entry.offset + entry.bytes.len() {
                    Target::None
                } else {
                    let name = names.get(&offset).ok_or(wrong("jump to where no chain begins"))?;
                    Target::Chain { name: (*name).clone(), goto }
                }
            }
        }
    } else {
        Target::Extension(extension(entry.target))
    };
    Ok(Rule { header, matches, target, counters: counters(entry, layout) })
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
