//! IP sets as the kernel dumps them (linux/netfilter/ipset/ip_set.h), and their text as ipset(8) prints it.
//!
//! Which parts an element has is said by the name of the set's type, so a type that this file does not know by name is
//! printed all the same. Numbers in attributes are in network order.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netkit_nl::{Attrs, Message};

use crate::bytes::{Shown, c_text};
use crate::ext::names::icmp_name;
use crate::model::Family;
use crate::save::protocol_name;

/// Octets of struct nfgenmsg.
const HEADER: usize = netkit_nl::netfilter::HEADER;

/// Commands of the protocol (enum ipset_cmd).
pub mod command {
    /// IPSET_CMD_LIST
    pub const LIST: u8 = 7;
    /// IPSET_CMD_TEST
    pub const TEST: u8 = 11;
}

/// IPSET_PROTOCOL: the version that every request names.
pub const PROTOCOL: u8 = 7;
/// IPSET_FLAG_LIST_SETNAME: names only.
pub const LIST_NAMES: u32 = 1 << 1;
/// IPSET_FLAG_LIST_HEADER: no elements.
pub const LIST_HEADERS: u32 = 1 << 2;
/// NLA_F_NET_BYTEORDER, which the kernel wants to see on numbers.
pub const NETWORK_ORDER: u16 = 0x4000;
/// The first error of ipset's own (IPSET_ERR_PRIVATE).
pub const PRIVATE_ERROR: i32 = 4096;

/// Attributes of a message.
pub mod attribute {
    /// IPSET_ATTR_PROTOCOL
    pub const PROTOCOL: u16 = 1;
    /// IPSET_ATTR_SETNAME
    pub const NAME: u16 = 2;
    /// IPSET_ATTR_TYPENAME
    pub const TYPE: u16 = 3;
    /// IPSET_ATTR_REVISION
    pub const REVISION: u16 = 4;
    /// IPSET_ATTR_FAMILY
    pub const FAMILY: u16 = 5;
    /// IPSET_ATTR_FLAGS
    pub const FLAGS: u16 = 6;
    /// IPSET_ATTR_DATA
    pub const DATA: u16 = 7;
    /// IPSET_ATTR_ADT
    pub const ELEMENTS: u16 = 8;
}

/// Attributes of a set or of an element, inside of IPSET_ATTR_DATA.
pub mod data {
    /// IPSET_ATTR_IP
    pub const IP: u16 = 1;
    /// IPSET_ATTR_IP_TO
    pub const IP_TO: u16 = 2;
    /// IPSET_ATTR_CIDR
    pub const CIDR: u16 = 3;
    /// IPSET_ATTR_PORT
    pub const PORT: u16 = 4;
    /// IPSET_ATTR_PORT_TO
    pub const PORT_TO: u16 = 5;
    /// IPSET_ATTR_TIMEOUT
    pub const TIMEOUT: u16 = 6;
    /// IPSET_ATTR_PROTO
    pub const PROTOCOL: u16 = 7;
    /// IPSET_ATTR_CADT_FLAGS
    pub const FLAGS: u16 = 8;
    /// IPSET_ATTR_MARK
    pub const MARK: u16 = 10;
    /// IPSET_ATTR_MARKMASK
    pub const MARK_MASK: u16 = 11;
    /// IPSET_ATTR_BITMASK
    pub const BIT_MASK: u16 = 12;
    /// IPSET_ATTR_INITVAL
    pub const INIT_VALUE: u16 = 17;
    /// IPSET_ATTR_HASHSIZE
    pub const HASH_SIZE: u16 = 18;
    /// IPSET_ATTR_MAXELEM
    pub const MAX_ELEMENTS: u16 = 19;
    /// IPSET_ATTR_NETMASK
    pub const NET_MASK: u16 = 20;
    /// IPSET_ATTR_BUCKETSIZE
    pub const BUCKET_SIZE: u16 = 21;
    /// IPSET_ATTR_SIZE
    pub const SIZE: u16 = 23;
    /// IPSET_ATTR_ELEMENTS
    pub const ELEMENTS: u16 = 24;
    /// IPSET_ATTR_REFERENCES
    pub const REFERENCES: u16 = 25;
    /// IPSET_ATTR_MEMSIZE
    pub const MEMORY: u16 = 26;
    /// IPSET_ATTR_ETHER
    pub const ETHER: u16 = 17;
    /// IPSET_ATTR_NAME
    pub const NAME: u16 = 18;
    /// IPSET_ATTR_NAMEREF
    pub const NAME_REFERENCE: u16 = 19;
    /// IPSET_ATTR_IP2
    pub const IP2: u16 = 20;
    /// IPSET_ATTR_CIDR2
    pub const CIDR2: u16 = 21;
    /// IPSET_ATTR_IFACE
    pub const INTERFACE: u16 = 23;
    /// IPSET_ATTR_BYTES
    pub const BYTES: u16 = 24;
    /// IPSET_ATTR_PACKETS
    pub const PACKETS: u16 = 25;
    /// IPSET_ATTR_COMMENT
    pub const COMMENT: u16 = 26;
    /// IPSET_ATTR_SKBMARK
    pub const SKB_MARK: u16 = 27;
    /// IPSET_ATTR_SKBPRIO
    pub const SKB_PRIORITY: u16 = 28;
    /// IPSET_ATTR_SKBQUEUE
    pub const SKB_QUEUE: u16 = 29;
}

/// IPSET_FLAG_*, the same number of which means one thing for a set and another for an element.
pub mod flag {
    /// IPSET_FLAG_BEFORE
    pub const BEFORE: u32 = 1;
    /// IPSET_FLAG_PHYSDEV
    pub const PHYSDEV: u32 = 1 << 1;
    /// IPSET_FLAG_NOMATCH
    pub const NO_MATCH: u32 = 1 << 2;
    /// IPSET_FLAG_WITH_COUNTERS
    pub const COUNTERS: u32 = 1 << 3;
    /// IPSET_FLAG_WITH_COMMENT
    pub const COMMENT: u32 = 1 << 4;
    /// IPSET_FLAG_WITH_SKBINFO
    pub const SKBINFO: u32 = 1 << 6;
    /// IPSET_FLAG_IFACE_WILDCARD
    pub const WILDCARD: u32 = 1 << 7;
}

/// How sets are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `-o plain`
    #[default]
    Plain,
    /// `-o save`: commands that make the sets.
    Save,
    /// `-o xml`
    Xml,
}

/// How much of a set is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// `-n`
    Names,
    /// `-t`
    Headers,
    /// Everything.
    #[default]
    All,
}

/// What a set's type says: how its elements are kept, and of which parts they consist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// hash:ip,port ...
    pub name: String,
    /// Of its addresses; `None` for sets that have none.
    pub family: Option<Family>,
}

impl Kind {
    /// The parts of an element: ip, net, port, mac, iface, mark, set.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.name.split_once(':').map_or("", |(_, parts)| parts).split(',')
    }

    fn is_hash(&self) -> bool {
        self.name.starts_with("hash:")
    }
}

/// What is told of a set before its elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Revision of the type.
    pub revision: u8,
}

impl Head {
    /// Reads it from the first message about a set; later ones have no type.
    pub fn read(message: &Message<'_>) -> Option<Head> {
        let attrs = message.attrs(HEADER);
        let family = match attrs.find(attribute::FAMILY).and_then(|attr| attr.u8()) {
            Some(2) => Some(Family::Ipv4),
            Some(10) => Some(Family::Ipv6),
            _ => None,
        };
        Some(Head {
            name: attrs.find(attribute::NAME)?.text(),
            kind: Kind { name: attrs.find(attribute::TYPE)?.text(), family },
            revision: attrs.find(attribute::REVISION).and_then(|attr| attr.u8()).unwrap_or(0),
        })
    }
}

fn number(attrs: Attrs<'_>, kind: u16) -> Option<u64> {
    let value = attrs.find(kind)?.value;
    Some(match value.len() {
        1 => value.first().copied()?.into(),
        2 => u16::from_be_bytes(value.try_into().ok()?).into(),
        4 => u32::from_be_bytes(value.try_into().ok()?).into(),
        8 => u64::from_be_bytes(value.try_into().ok()?),
        _ => return None,
    })
}

fn short(attrs: Attrs<'_>, kind: u16) -> u32 {
    number(attrs, kind).and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

/// A nested IPSET_ATTR_IPADDR_IPV4 or _IPV6.
fn address(attrs: Attrs<'_>, kind: u16) -> Option<IpAddr> {
    let inner = attrs.find(kind)?.nested();
    let octets = inner.find(1).or_else(|| inner.find(2))?.value;
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(|octets| Ipv4Addr::from(octets).into()),
        16 => <[u8; 16]>::try_from(octets).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

fn text<'a>(attrs: Attrs<'a>, kind: u16) -> Option<Cow<'a, str>> {
    attrs.find(kind).map(|attr| c_text(attr.value))
}

/// A word with its value, if it has one.
type Property = (&'static str, Option<String>);

/// The properties a set was made with, in the order in which they are printed.
fn properties(kind: &Kind, attrs: Attrs<'_>) -> Vec<Property> {
    let mut found: Vec<Property> = Vec::new();
    let shown = |kind: u16| number(attrs, kind).map(|number| number.to_string());
    let mut push = |word: &'static str, value: Option<String>| {
        if value.is_some() {
            found.push((word, value));
        }
    };
    if kind.is_hash() {
        let family = if kind.family == Some(Family::Ipv6) { "inet6" } else { "inet" };
        // A set of hardware addresses has no family.
        push("family", kind.family.map(|_| family.to_owned()));
        push("hashsize", shown(data::HASH_SIZE));
        push("maxelem", shown(data::MAX_ELEMENTS));
        push("markmask", number(attrs, data::MARK_MASK).map(|mask| format!("0x{mask:08x}")));
    } else if kind.name.starts_with("bitmap:") {
        let range = match (address(attrs, data::IP), address(attrs, data::IP_TO)) {
            (Some(low), Some(high)) => Some(format!("{}-{}", Shown(low), Shown(high))),
            _ => number(attrs, data::PORT).map(|low| format!("{low}-{}", short(attrs, data::PORT_TO))),
        };
        push("range", range);
    } else {
        push("size", shown(data::SIZE));
    }
    push("netmask", if kind.name.starts_with("list:") { None } else { shown(data::NET_MASK) });
    push("bitmask", address(attrs, data::BIT_MASK).map(|mask| Shown(mask).to_string()));
    push("timeout", shown(data::TIMEOUT));
    let flags = short(attrs, data::FLAGS);
    for (bit, word) in [(flag::COUNTERS, "counters"), (flag::COMMENT, "comment"), (flag::SKBINFO, "skbinfo")] {
        if flags & bit != 0 {
            found.push((word, None));
        }
    }
    if kind.is_hash() {
        if let Some(size) = shown(data::BUCKET_SIZE) {
            found.push(("bucketsize", Some(size)));
        }
        if let Some(value) = number(attrs, data::INIT_VALUE) {
            found.push(("initval", Some(format!("0x{value:08x}"))));
        }
    }
    found
}

fn push_network(out: &mut String, attrs: Attrs<'_>, ip: u16, cidr: u16, is_net: bool) {
    let Some(address) = address(attrs, ip) else {
        out.push('?');
        return;
    };
    let _ = write!(out, "{}", Shown(address));
    let full = if address.is_ipv4() { 32 } else { 128 };
    if let Some(bits) = number(attrs, cidr).filter(|bits| is_net && *bits != full) {
        let _ = write!(out, "/{bits}");
    }
}

fn push_port(out: &mut String, attrs: Attrs<'_>) {
    let port = short(attrs, data::PORT);
    let Some(protocol) = number(attrs, data::PROTOCOL) else {
        let _ = write!(out, "{port}");
        return;
    };
    let protocol = u16::try_from(protocol).unwrap_or(0);
    // 0 is no protocol here.
    let _ = match protocol_name(protocol).filter(|_| protocol != 0) {
        Some(name) => write!(out, "{name}:"),
        None => write!(out, "{protocol}:"),
    };
    let (kind, code) = (u8::try_from(port >> 8 & 0xff).unwrap_or(0), u8::try_from(port & 0xff).unwrap_or(0));
    let _ = match (protocol, icmp_name(protocol, kind, code)) {
        (1 | 58, Some(name)) => write!(out, "{name}"),
        (1 | 58, None) => write!(out, "{kind}/{code}"),
        _ => write!(out, "{port}"),
    };
}

/// Appends an element's parts, as `-A` would be told them.
pub fn push_element(out: &mut String, kind: &Kind, attrs: Attrs<'_>) {
    let mut addresses = 0;
    for (index, part) in kind.parts().enumerate() {
        let before = out.len();
        if index > 0 {
            out.push(',');
        }
        match part {
            "ip" | "net" => {
                let (ip, cidr) = if addresses == 0 { (data::IP, data::CIDR) } else { (data::IP2, data::CIDR2) };
                addresses += 1;
                push_network(out, attrs, ip, cidr, part == "net");
            }
            "port" => push_port(out, attrs),
            "mac" => match attrs.find(data::ETHER) {
                Some(found) => {
                    for (index, octet) in found.value.iter().take(6).enumerate() {
                        let _ = write!(out, "{}{octet:02X}", if index > 0 { ":" } else { "" });
                    }
                }
                // Of a bitmap, whose hardware address may be learnt later.
                None => out.truncate(before),
            },
            "iface" => {
                if short(attrs, data::FLAGS) & flag::PHYSDEV != 0 {
                    out.push_str("physdev:");
                }
                out.push_str(&text(attrs, data::INTERFACE).unwrap_or_default());
            }
            "mark" => {
                let _ = write!(out, "0x{:08x}", short(attrs, data::MARK));
            }
            "set" => out.push_str(&text(attrs, data::NAME).unwrap_or_default()),
            other => {
                let _ = write!(out, "[{other}]");
            }
        }
    }
}

/// What an element carries besides, in the order in which it is printed.
fn extras(attrs: Attrs<'_>) -> Vec<Property> {
    let mut found: Vec<Property> = Vec::new();
    let flags = short(attrs, data::FLAGS);
    if let Some(timeout) = number(attrs, data::TIMEOUT) {
        found.push(("timeout", Some(timeout.to_string())));
    }
    for (bit, word) in [(flag::NO_MATCH, "nomatch"), (flag::WILDCARD, "wildcard")] {
        if flags & bit != 0 {
            found.push((word, None));
        }
    }
    for (kind, word) in [(data::PACKETS, "packets"), (data::BYTES, "bytes")] {
        if let Some(count) = number(attrs, kind) {
            found.push((word, Some(count.to_string())));
        }
    }
    if let Some(comment) = text(attrs, data::COMMENT) {
        found.push(("comment", Some(format!("\"{comment}\""))));
    }
    if let Some(both) = number(attrs, data::SKB_MARK) {
        let (mark, mask) = (both >> 32, both & u64::from(u32::MAX));
        let full = mask == u64::from(u32::MAX);
        let shown = if full { format!("0x{mark:x}") } else { format!("0x{mark:x}/0x{mask:x}") };
        found.push(("skbmark", Some(shown)));
    }
    if let Some(priority) = number(attrs, data::SKB_PRIORITY) {
        found.push(("skbprio", Some(format!("{:x}:{:x}", priority >> 16, priority & 0xffff))));
    }
    if let Some(queue) = number(attrs, data::SKB_QUEUE) {
        found.push(("skbqueue", Some(queue.to_string())));
    }
    found
}

/// The first address, how many bits of it count, and the whole element as text.
type Key = (u128, Reverse<u64>, String);

/// Prints sets from the messages of a dump, one after the other.
#[derive(Debug, Default)]
pub struct Printer {
    mode: Mode,
    depth: Depth,
    sorted: bool,
    set: Option<Head>,
    /// Elements that wait to be sorted: what orders them, and the line.
    waiting: Vec<(Key, String)>,
    any: bool,
}

impl Printer {
    /// With `sorted` the elements of hashes come in the order of their text, numbers within it by their value. What can
    /// be restored is always whole.
    pub fn new(mode: Mode, depth: Depth, sorted: bool) -> Printer {
        let depth = if mode == Mode::Save { Depth::All } else { depth };
        Printer { mode, depth, sorted, ..Printer::default() }
    }

    /// The flags that ask the kernel for no more than is printed.
    pub fn filter(&self) -> u32 {
        match self.depth {
            Depth::Names => LIST_NAMES,
            Depth::Headers => LIST_HEADERS,
            Depth::All => 0,
        }
    }

    /// What stands before the first set.
    pub fn begin(&self, out: &mut String) {
        if self.mode == Mode::Xml {
            out.push_str("<ipsets>\n");
        }
    }

    /// What stands after the last set.
    pub fn end(&mut self, out: &mut String) {
        self.close(out);
        if self.mode == Mode::Xml {
            out.push_str("</ipsets>\n");
        }
    }

    /// Prints what a message says.
    pub fn message(&mut self, out: &mut String, message: &Message<'_>) {
        let attrs = message.attrs(HEADER);
        if self.depth == Depth::Names {
            if let Some(name) = attrs.find(attribute::NAME) {
                let _ = match self.mode {
                    Mode::Xml => writeln!(out, "<ipset name=\"{}\"/>", name.text()),
                    _ => writeln!(out, "{}", name.text()),
                };
            }
            return;
        }
        if let Some(head) = Head::read(message) {
            self.close(out);
            let made = attrs.find(attribute::DATA).map_or(Attrs::new(&[]), |attr| attr.nested());
            self.open(out, &head, made);
            self.set = Some(head);
        }
        if self.depth != Depth::All {
            return;
        }
        let Some(set) = &self.set else { return };
        let sort = self.sorted && set.kind.is_hash();
        for element in attrs.find(attribute::ELEMENTS).into_iter().flat_map(|list| list.nested()) {
            let attrs = element.nested();
            if !sort {
                push_line(out, self.mode, set, attrs);
                continue;
            }
            let (mut key, mut line) = (String::new(), String::new());
            push_element(&mut key, &set.kind, attrs);
            push_line(&mut line, self.mode, set, attrs);
            // Addresses by their value, the narrower network first.
            let first = address(attrs, data::IP).map_or(0, |found| match found {
                IpAddr::V4(v4) => u32::from(v4).into(),
                IpAddr::V6(v6) => v6.into(),
            });
            let bits = number(attrs, data::CIDR).unwrap_or(u64::from(u8::MAX));
            self.waiting.push(((first, Reverse(bits), key), line));
        }
    }

    fn open(&mut self, out: &mut String, head: &Head, made: Attrs<'_>) {
        let Head { name, kind, revision } = head;
        let properties = properties(kind, made);
        let push_words = |out: &mut String| {
            for (word, value) in &properties {
                let _ = match value {
                    Some(value) => write!(out, " {word} {value}"),
                    None => write!(out, " {word}"),
                };
            }
        };
        let (memory, references) = (short(made, data::MEMORY), short(made, data::REFERENCES));
        let elements = number(made, data::ELEMENTS);
        match self.mode {
            Mode::Save => {
                let _ = write!(out, "create {name} {}", kind.name);
                push_words(out);
                out.push('\n');
            }
            Mode::Plain => {
                if self.any {
                    out.push('\n');
                }
                let _ = write!(out, "Name: {name}\nType: {}\nRevision: {revision}\nHeader:", kind.name);
                push_words(out);
                let _ = write!(out, "\nSize in memory: {memory}\nReferences: {references}\n");
                if let Some(elements) = elements {
                    let _ = writeln!(out, "Number of entries: {elements}");
                }
                if self.depth == Depth::All {
                    out.push_str("Members:\n");
                }
            }
            Mode::Xml => {
                let _ = write!(
                    out,
                    "<ipset name=\"{name}\">\n<type>{}</type>\n<revision>{revision}</revision>\n<header>",
                    kind.name
                );
                for (word, value) in &properties {
                    push_tag(out, word, value.as_deref());
                }
                let _ = write!(out, "\n<memsize>{memory}</memsize>\n<references>{references}</references>\n");
                if let Some(elements) = elements {
                    let _ = writeln!(out, "<numentries>{elements}</numentries>");
                }
                out.push_str("</header>\n");
                if self.depth == Depth::All {
                    out.push_str("<members>\n");
                }
            }
        }
        self.any = true;
    }

    fn close(&mut self, out: &mut String) {
        if self.set.take().is_none() {
            return;
        }
        self.waiting.sort_by(|((left, left_bits, left_text), _), ((right, right_bits, right_text), _)| {
            let order = left.cmp(right).then_with(|| left_bits.cmp(right_bits));
            order.then_with(|| by_version(left_text, right_text))
        });
        for (_, line) in self.waiting.drain(..) {
            out.push_str(&line);
        }
        if self.mode == Mode::Xml {
            out.push_str(if self.depth == Depth::All { "</members>\n</ipset>\n" } else { "</ipset>\n" });
        }
    }
}

fn push_tag(out: &mut String, word: &str, value: Option<&str>) {
    let _ = match value {
        Some(value) => write!(out, "<{word}>{value}</{word}>"),
        None => write!(out, "<{word}/>"),
    };
}

/// One element with its line end.
fn push_line(out: &mut String, mode: Mode, set: &Head, attrs: Attrs<'_>) {
    match mode {
        Mode::Save => {
            let _ = write!(out, "add {} ", set.name);
        }
        Mode::Plain => {}
        Mode::Xml => out.push_str("<member><elem>"),
    }
    push_element(out, &set.kind, attrs);
    if mode == Mode::Xml {
        out.push_str("</elem>");
    }
    for (word, value) in extras(attrs) {
        match (mode, value) {
            (Mode::Xml, value) => push_tag(out, word, value.as_deref()),
            (_, Some(value)) => {
                let _ = write!(out, " {word} {value}");
            }
            (_, None) => {
                let _ = write!(out, " {word}");
            }
        }
    }
    out.push_str(if mode == Mode::Xml { "</member>\n" } else { "\n" });
}

/// Texts by their characters, and runs of digits by their value.
fn by_version(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (left_digits, right_digits) = (digits(left), digits(right));
        if left_digits > 0 && right_digits > 0 {
            let (left_run, left_rest) = left.split_at(left_digits);
            let (right_run, right_rest) = right.split_at(right_digits);
            let order = left_digits.cmp(&right_digits).then_with(|| left_run.cmp(right_run));
            if order.is_ne() {
                return order;
            }
            (left, right) = (left_rest, right_rest);
            continue;
        }
        match (left.split_first(), right.split_first()) {
            (Some((one, left_rest)), Some((other, right_rest))) if one == other => {
                (left, right) = (left_rest, right_rest);
            }
            (one, other) => return one.map(|(byte, _)| byte).cmp(&other.map(|(byte, _)| byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_by_value() {
        let mut texts = ["10.0.0.1", "1.2.3.10", "1.2.3.9", "1.2.3.4", "::1"];
        texts.sort_by(|left, right| by_version(left, right));
        assert_eq!(texts, ["1.2.3.4", "1.2.3.9", "1.2.3.10", "10.0.0.1", "::1"]);
    }
}
