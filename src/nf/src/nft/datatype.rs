//! nft's datatypes: their numbers, as sets carry them, their names, and how a value of each is written.
//!
//! The numbers are nft's own (nft(8), DATA TYPES, gives the names); the kernel only keeps them for it. Values are held
//! as numbers of at most 128 bits, whose first octet in the packet is the most significant one.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::symbols;

/// What a name can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Of an interface, by index.
    Interface,
    /// Of a port, `-S`.
    Service,
    /// Of a user, `-u`.
    User,
    /// Of a group, `-u`.
    Group,
    /// Of a routing realm.
    Realm,
    /// Of a packet mark.
    Mark,
    /// Of a device group.
    DeviceGroup,
    /// Of a connection label, by bit.
    Label,
    /// Of a cgroup v2, by id: its path.
    Cgroup,
}

/// Looks a name up; what it does not know is written as a number.
pub type Names<'n> = dyn Fn(Name, u64) -> Option<String> + Sync + 'n;

/// How things are written.
#[derive(Clone, Copy)]
pub struct Style<'n> {
    /// `-n`: no symbolic names, except of interfaces.
    pub numeric_symbol: bool,
    /// `-y`
    pub numeric_priority: bool,
    /// `-p`
    pub numeric_protocol: bool,
    /// `-T`
    pub numeric_time: bool,
    /// `-s`: no counters.
    pub stateless: bool,
    /// `-t`: no elements of named sets.
    pub terse: bool,
    /// `-a`
    pub handles: bool,
    /// Names of numbers that depend on the host.
    pub names: &'n Names<'n>,
}

/// A datatype, by nft's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type(pub u8);

/// What the number of a value in the host's byte order, or in the network's, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As the machine keeps it.
    Host,
    /// Network order.
    Big,
}

/// The ground a type stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    /// A number, written in decimal.
    Decimal,
    /// A number, written in hexadecimal with at least this many digits.
    Hex(usize),
    /// Flags with names, or without.
    Flags,
    String,
    Octets,
    V4,
    V6,
    Interface,
    Time,
    Date,
    Hour,
    Classid,
    Named(Name),
    Label,
    Protocol,
    Service,
    Cgroup,
}

struct Info {
    name: &'static str,
    bits: u32,
    order: Order,
    base: Base,
    symbols: symbols::Table,
    /// Elements of a set on one line.
    per_line: usize,
    /// Ranges may be written as prefixes.
    prefix: bool,
}

const fn info(name: &'static str, bits: u32, order: Order, base: Base, symbols: symbols::Table, line: usize) -> Info {
    Info { name, bits, order, base, symbols, per_line: line, prefix: false }
}

const fn prefixed(name: &'static str, bits: u32, order: Order, base: Base, line: usize) -> Info {
    Info { name, bits, order, base, symbols: "", per_line: line, prefix: true }
}

use Base::{Decimal, Flags, Hex};
use Order::{Big, Host};

/// By number.
static TYPES: &[Info] = &[
    info("invalid", 0, Host, Hex(1), "", 1),
    info("verdict", 32, Host, Decimal, "", 1),
    info("nf_proto", 8, Host, Decimal, symbols::NFPROTO, 5),
    info("bitmask", 0, Host, Hex(1), "", 5),
    info("integer", 0, Host, Decimal, "", 5),
    info("string", 0, Host, Base::String, "", 1),
    info("ll_addr", 0, Big, Base::Octets, "", 1),
    prefixed("ipv4_addr", 32, Big, Base::V4, 2),
    prefixed("ipv6_addr", 128, Big, Base::V6, 1),
    info("ether_addr", 48, Big, Base::Octets, "", 1),
    info("ether_type", 16, Big, Hex(4), symbols::ETHER_TYPE, 1),
    info("arp_op", 16, Big, Decimal, symbols::ARP_OP, 5),
    info("inet_proto", 8, Big, Base::Protocol, "", 5),
    info("inet_service", 16, Big, Base::Service, "", 5),
    info("icmp_type", 8, Big, Decimal, symbols::ICMP_TYPE, 1),
    info("tcp_flag", 8, Big, Flags, symbols::TCP_FLAG, 5),
    info("dccp_pkttype", 4, Big, Decimal, symbols::DCCP_TYPE, 5),
    info("mh_type", 8, Big, Decimal, symbols::MH_TYPE, 1),
    info("time", 64, Host, Base::Time, "", 1),
    Info { prefix: true, ..info("mark", 32, Host, Base::Named(Name::Mark), "", 5) },
    info("iface_index", 32, Host, Base::Interface, "", 5),
    info("iface_type", 16, Host, Decimal, symbols::ARPHRD, 1),
    info("realm", 32, Host, Base::Named(Name::Realm), "", 1),
    info("classid", 32, Host, Base::Classid, "", 5),
    info("uid", 32, Host, Base::Named(Name::User), "", 5),
    info("gid", 32, Host, Base::Named(Name::Group), "", 5),
    info("ct_state", 32, Host, Flags, symbols::CT_STATE, 2),
    info("ct_dir", 8, Host, Decimal, symbols::CT_DIRECTION, 2),
    info("ct_status", 32, Host, Flags, symbols::CT_STATUS, 2),
    info("icmpv6_type", 8, Big, Decimal, symbols::ICMPV6_TYPE, 1),
    info("ct_label", 128, Host, Base::Label, "", 1),
    info("pkt_type", 8, Host, Decimal, symbols::PKTTYPE, 2),
    info("icmp_code", 8, Big, Decimal, symbols::ICMP_CODE, 1),
    info("icmpv6_code", 8, Big, Decimal, symbols::ICMPV6_CODE, 1),
    info("icmpx_code", 8, Big, Decimal, symbols::ICMPX_CODE, 1),
    info("devgroup", 32, Host, Base::Named(Name::DeviceGroup), "", 1),
    info("dscp", 6, Big, Hex(2), symbols::DSCP, 1),
    info("ecn", 2, Big, Hex(1), symbols::ECN, 1),
    info("fib_addrtype", 32, Host, Decimal, symbols::FIB_TYPE, 1),
    info("boolean", 1, Host, Decimal, symbols::BOOLEAN, 1),
    info("ct_event", 32, Host, Flags, symbols::CT_EVENT, 1),
    info("ifname", 128, Host, Base::String, "", 1),
    info("igmp_type", 8, Big, Decimal, symbols::IGMP_TYPE, 1),
    info("time", 64, Host, Base::Date, "", 1),
    info("hour", 32, Host, Base::Hour, "", 1),
    info("day", 8, Host, Decimal, symbols::DAY, 1),
    info("cgroupsv2", 64, Host, Base::Cgroup, "", 1),
    // One of ours: a number that is written in hexadecimal.
    info("integer", 0, Host, Hex(1), "", 5),
];

impl Type {
    /// Nothing known.
    pub const INVALID: Type = Type(0);
    /// verdict
    pub const VERDICT: Type = Type(1);
    /// nf_proto
    pub const NFPROTO: Type = Type(2);
    /// bitmask
    pub const BITMASK: Type = Type(3);
    /// integer
    pub const INTEGER: Type = Type(4);
    /// string
    pub const STRING: Type = Type(5);
    /// ipv4_addr
    pub const IPV4: Type = Type(7);
    /// ipv6_addr
    pub const IPV6: Type = Type(8);
    /// ether_addr
    pub const ETHER: Type = Type(9);
    /// ether_type
    pub const ETHER_TYPE: Type = Type(10);
    /// arp_op
    pub const ARP_OP: Type = Type(11);
    /// inet_proto
    pub const PROTOCOL: Type = Type(12);
    /// inet_service
    pub const SERVICE: Type = Type(13);
    /// icmp_type
    pub const ICMP_TYPE: Type = Type(14);
    /// tcp_flag
    pub const TCP_FLAG: Type = Type(15);
    /// dccp_pkttype
    pub const DCCP_TYPE: Type = Type(16);
    /// mh_type
    pub const MH_TYPE: Type = Type(17);
    /// time
    pub const TIME: Type = Type(18);
    /// mark
    pub const MARK: Type = Type(19);
    /// iface_index
    pub const IFINDEX: Type = Type(20);
    /// iface_type
    pub const IFTYPE: Type = Type(21);
    /// realm
    pub const REALM: Type = Type(22);
    /// classid
    pub const CLASSID: Type = Type(23);
    /// uid
    pub const UID: Type = Type(24);
    /// gid
    pub const GID: Type = Type(25);
    /// ct_state
    pub const CT_STATE: Type = Type(26);
    /// ct_dir
    pub const CT_DIR: Type = Type(27);
    /// ct_status
    pub const CT_STATUS: Type = Type(28);
    /// icmpv6_type
    pub const ICMPV6_TYPE: Type = Type(29);
    /// ct_label
    pub const CT_LABEL: Type = Type(30);
    /// pkt_type
    pub const PKTTYPE: Type = Type(31);
    /// icmp_code
    pub const ICMP_CODE: Type = Type(32);
    /// icmpv6_code
    pub const ICMPV6_CODE: Type = Type(33);
    /// icmpx_code
    pub const ICMPX_CODE: Type = Type(34);
    /// devgroup
    pub const DEVGROUP: Type = Type(35);
    /// dscp
    pub const DSCP: Type = Type(36);
    /// ecn
    pub const ECN: Type = Type(37);
    /// fib_addrtype
    pub const FIB_TYPE: Type = Type(38);
    /// boolean
    pub const BOOLEAN: Type = Type(39);
    /// ct_event
    pub const CT_EVENT: Type = Type(40);
    /// ifname
    pub const IFNAME: Type = Type(41);
    /// igmp_type
    pub const IGMP_TYPE: Type = Type(42);
    /// time of day and date
    pub const DATE: Type = Type(43);
    /// hour
    pub const HOUR: Type = Type(44);
    /// day
    pub const DAY: Type = Type(45);
    /// cgroupsv2
    pub const CGROUP: Type = Type(46);
    /// A number written in hexadecimal.
    pub const HEX: Type = Type(47);

    fn info(self) -> &'static Info {
        const UNKNOWN: &Info = &info("unknown", 0, Host, Hex(1), "", 1);
        TYPES.get(usize::from(self.0)).unwrap_or(UNKNOWN)
    }

    /// From a number of six bits in a set's description; `None` for one that nft does not have.
    pub fn from_number(number: u32) -> Option<Type> {
        u8::try_from(number).ok().filter(|number| (1..Type::HEX.0).contains(number)).map(Type)
    }

    /// Its name in nft(8).
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Bits of a value, 0 if they vary.
    pub fn bits(self) -> u32 {
        self.info().bits
    }

    /// Byte order of its values in registers and sets.
    pub fn order(self) -> Order {
        self.info().order
    }

    /// Elements of a set on one line.
    pub fn per_line(self) -> usize {
        self.info().per_line
    }

    /// Whether ranges may be written as prefixes.
    pub fn has_prefixes(self) -> bool {
        self.info().prefix
    }

    /// Whether values are made of flags with names.
    pub fn is_flags(self) -> bool {
        matches!(self.info().base, Base::Flags | Base::Label)
    }

    /// Whether values are text.
    pub fn is_text(self) -> bool {
        self.info().base == Base::String
    }

    /// Whether values are plain numbers.
    pub fn is_integer(self) -> bool {
        self == Type::INTEGER || self == Type::HEX || self == Type::INVALID
    }

    /// The name of a value, if it has one in a table.
    pub fn symbol(self, value: u128) -> Option<&'static str> {
        symbols::name(self.info().symbols, value)
    }
}

/// What a value looks like in JSON, where it differs from text.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// As text, without the quotes that the text has around it.
    Text(String),
    /// As a number.
    Number(u128),
}

/// Appends a value as text.
pub fn push(out: &mut String, ty: Type, value: u128, bits: u32, style: &Style<'_>) {
    let info = ty.info();
    let bits = bits.min(128);
    let named = |name: Name| u64::try_from(value).ok().and_then(|value| (style.names)(name, value));
    if !info.symbols.is_empty() {
        if !style.numeric_symbol
            && let Some(name) = ty.symbol(value)
        {
            let quote = if ty == Type::DAY { "\"" } else { "" };
            let _ = write!(out, "{quote}{name}{quote}");
            return;
        }
        return push_number(out, if info.base == Flags { Hex(1) } else { info.base }, value);
    }
    match info.base {
        Base::String => {
            let text = text(value, bits);
            let _ = write!(out, "\"{text}\"");
        }
        Base::Octets => {
            for index in (0..bits.div_ceil(8)).rev() {
                let _ = write!(out, "{:02x}{}", octet(value, index), if index > 0 { ":" } else { "" });
            }
        }
        Base::V4 => {
            let _ = write!(out, "{}", Ipv4Addr::from(u32::try_from(value).unwrap_or(u32::MAX)));
        }
        Base::V6 => push_v6(out, Ipv6Addr::from(value)),
        Base::Interface => match named(Name::Interface) {
            Some(name) => {
                let _ = write!(out, "\"{name}\"");
            }
            None => push_number(out, Decimal, value),
        },
        Base::Time => push_time(out, u64::try_from(value).unwrap_or(u64::MAX), style.numeric_time),
        Base::Date => push_date(out, u64::try_from(value).unwrap_or(u64::MAX)),
        Base::Hour => push_hour(out, u64::try_from(value).unwrap_or(u64::MAX)),
        Base::Classid => match u32::try_from(value).unwrap_or(u32::MAX) {
            u32::MAX => out.push_str("root"),
            0 => out.push_str("none"),
            handle => {
                let _ = write!(out, "{:x}:{:x}", handle >> 16, handle & 0xffff);
            }
        },
        Base::Named(name) => {
            let plain = if name == Name::Mark { Hex(8) } else { Decimal };
            let quotes = !matches!(name, Name::Mark);
            match named(name).filter(|_| !style.numeric_symbol || matches!(name, Name::User | Name::Group)) {
                Some(known) if quotes => {
                    let _ = write!(out, "\"{known}\"");
                }
                Some(known) => out.push_str(&known),
                None => push_number(out, plain, value),
            }
        }
        Base::Label => {
            let bit = value.trailing_zeros();
            match (style.names)(Name::Label, u64::from(bit)).filter(|_| !style.numeric_symbol) {
                _ if value == 0 => out.push('0'),
                Some(name) => {
                    let _ = write!(out, "\"{name}\"");
                }
                None if value.count_ones() == 1 => {
                    let _ = write!(out, "{bit}");
                }
                None => push_number(out, Hex(1), value),
            }
        }
        Base::Protocol => match u16::try_from(value).ok().and_then(symbols::protocol) {
            Some(name) if !style.numeric_protocol => out.push_str(name),
            _ => push_number(out, Decimal, value),
        },
        Base::Service => match named(Name::Service) {
            Some(name) => {
                let _ = write!(out, "\"{name}\"");
            }
            None => push_number(out, Decimal, value),
        },
        Base::Cgroup => match named(Name::Cgroup) {
            Some(path) => {
                let _ = write!(out, "\"{path}\"");
            }
            None => push_number(out, Decimal, value),
        },
        plain @ (Decimal | Hex(_) | Flags) => push_number(out, plain, value),
    }
}

/// The value for JSON: text without quotes, or a number.
pub fn written(ty: Type, value: u128, bits: u32, style: &Style<'_>) -> Written {
    let info = ty.info();
    let number = match info.base {
        _ if !info.symbols.is_empty() => ty.symbol(value).is_none() || style.numeric_symbol,
        Decimal | Hex(_) | Flags => true,
        Base::Time => {
            // Seconds, where text says hours and minutes.
            return Written::Number(value / 1000);
        }
        _ => false,
    };
    if ty == Type::BOOLEAN {
        return Written::Number(value);
    }
    if number {
        return Written::Number(value);
    }
    let mut out = String::new();
    push(&mut out, ty, value, bits, style);
    let text = out.trim_matches('"');
    match text.parse::<u128>() {
        Ok(number) if !out.starts_with('"') => Written::Number(number),
        _ if matches!(info.base, Base::Named(Name::Mark)) && text.starts_with("0x") => Written::Number(value),
        _ => Written::Text(text.to_owned()),
    }
}

fn octet(value: u128, index: u32) -> u8 {
    u8::try_from(value.checked_shr(index * 8).unwrap_or(0) & 0xff).unwrap_or(0)
}

fn push_number(out: &mut String, base: Base, value: u128) {
    let _ = match base {
        Hex(width) => write!(out, "0x{value:0width$x}"),
        Flags => write!(out, "0x{value:x}"),
        _ => write!(out, "{value}"),
    };
}

/// Text up to its first zero, control characters made visible.
pub fn text(value: u128, bits: u32) -> String {
    let bytes: Vec<u8> =
        (0..bits.min(128).div_ceil(8)).rev().map(|index| octet(value, index)).take_while(|octet| *octet != 0).collect();
    netkit_core::text::printable(&String::from_utf8_lossy(&bytes))
}

/// As inet_ntop(3) of glibc, which writes the low half of what looks like an IPv4-compatible address in dots.
fn push_v6(out: &mut String, address: Ipv6Addr) {
    let value = u128::from(address);
    let _ = match u32::try_from(value) {
        Ok(low) if low > 0xffff => write!(out, "::{}", Ipv4Addr::from(low)),
        _ => write!(out, "{address}"),
    };
}

/// Appends milliseconds as days, hours, minutes, seconds and milliseconds; or as seconds.
pub fn push_time(out: &mut String, milliseconds: u64, numeric: bool) {
    if numeric {
        let _ = write!(out, "{}s", milliseconds / 1000);
        return;
    }
    let seconds = milliseconds / 1000;
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (milliseconds % 1000, "ms"),
    ];
    for (number, unit) in parts {
        if number > 0 {
            let _ = write!(out, "{number}{unit}");
        }
    }
    if milliseconds == 0 {
        out.push_str("0s");
    }
}

/// Nanoseconds since 1970, as a day and an hour of UTC.
fn push_date(out: &mut String, nanoseconds: u64) {
    let civil = netkit_core::civil_from_unix(i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(0));
    let _ = write!(
        out,
        "\"{}-{:02}-{:02} {:02}:{:02}:{:02}\"",
        civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second
    );
}

/// Seconds since midnight of UTC.
fn push_hour(out: &mut String, seconds: u64) {
    let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "\"{hours:02}:{minutes:02}");
    if seconds > 0 {
        let _ = write!(out, ":{seconds:02}");
    }
    out.push('"');
}
