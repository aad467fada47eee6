//! Hosts, networks and hardware addresses.

use std::net::{IpAddr, Ipv6Addr};

use super::FilterError;
use super::code::*;
use super::r#gen::{ETHER_ARP, ETHER_DECNET, ETHER_IP, ETHER_IP6, ETHER_RARP, From, Gen, Made};
use super::graph::Code;
use super::link;
use super::token::{Dir, Proto};

/// Says why an address of a wireless frame does not go with what stands behind it.
fn wireless(words: &str, what: &str) -> FilterError {
    let (verb, noun) = if words.contains(" and ") { ("are", "qualifiers") } else { ("is", "a valid qualifier") };
    if what == "wlan" {
        return FilterError::new(format!("{words} {verb} only supported on 802.11 with 802.11 headers"));
    }
    let noun = if noun == "qualifiers" { "valid qualifiers" } else { noun };
    FilterError::new(format!("{words} {verb} not {noun} for {what}"))
}

const ADDRESSES: &str = "addresses other than 802.11 MAC addresses";

impl Gen<'_> {
    /// Joins what `one` makes for the source and for the destination, as the direction wants it.
    pub(super) fn directed(&mut self, dir: Dir, what: &str, one: &mut dyn FnMut(&mut Self, bool) -> Made) -> Made {
        Ok(match dir {
            Dir::Src => one(self, true)?,
            Dir::Dst => one(self, false)?,
            Dir::And => {
                let (src, dst) = (one(self, true)?, one(self, false)?);
                self.and(src, dst)
            }
            Dir::Or | Dir::Default => {
                let (src, dst) = (one(self, true)?, one(self, false)?);
                self.or(src, dst)
            }
            Dir::Wireless(words) => return Err(wireless(words, what)),
        })
    }

    fn address4(&mut self, (address, mask): (u32, u32), dir: Dir, kind: u32, (src, dst): (u32, u32)) -> Made {
        self.directed(dir, ADDRESSES, &mut |this, is_src| {
            let kind = this.link_type(kind)?;
            let at = if is_src { src } else { dst };
            let equal = this.masked(From::Net, at, W, address, mask);
            Ok(this.and(kind, equal))
        })
    }

    /// An IPv4 host or network; `what` is the word for it in messages.
    pub(super) fn host4(&mut self, wanted: (u32, u32), proto: Proto, dir: Dir, what: &str) -> Made {
        use Proto as P;
        let text = match proto {
            P::Default => {
                let ip = self.host4(wanted, P::Ip, dir, what)?;
                // No ARP behind a label.
                if self.labels > 0 {
                    return Ok(ip);
                }
                let arp = self.host4(wanted, P::Arp, dir, what)?;
                let any = self.or(ip, arp);
                let rarp = self.host4(wanted, P::Rarp, dir, what)?;
                return Ok(self.or(any, rarp));
            }
            P::Ip => return self.address4(wanted, dir, ETHER_IP, (12, 16)),
            P::Arp => return self.address4(wanted, dir, ETHER_ARP, (14, 24)),
            P::Rarp => return self.address4(wanted, dir, ETHER_RARP, (14, 24)),
            P::Decnet => return self.decnet(wanted.0, dir),
            P::Link => format!("link-layer modifier applied to {what}"),
            P::Ip6 => "'ip6' modifier applied to ip host".to_owned(),
            P::Atalk => "AppleTalk host filtering not implemented".to_owned(),
            P::Aarp | P::Lat | P::Sca | P::Moprc | P::Mopdl | P::Iso | P::Ipx => {
                format!("{} host filtering not implemented", proto.name().to_ascii_uppercase())
            }
            other => format!("'{}' modifier applied to {what}", other.name()),
        };
        Err(FilterError::new(text))
    }

    /// An IPv6 host or network.
    pub(super) fn host6(&mut self, address: Ipv6Addr, prefix: u32, proto: Proto, dir: Dir, what: &str) -> Made {
        if !matches!(proto, Proto::Default | Proto::Ip6) {
            let text = match proto {
                Proto::Link => format!("link-layer modifier applied to ip6 {what}"),
                Proto::Atalk => "AppleTalk modifier applied to ip6 host".to_owned(),
                other => format!("'{}' modifier applied to ip6 {what}", other.name()),
            };
            return Err(FilterError::new(text));
        }
        let mask = if prefix == 0 { 0 } else { u128::MAX << (128 - prefix.min(128)) };
        let word =
            |value: u128, index: u32| u32::try_from(value >> (96 - 32 * index) & 0xffff_ffff).unwrap_or_default();
        let bits = u128::from(address);
        self.directed(dir, ADDRESSES, &mut |this, is_src| {
            let mut all = this.link_type(ETHER_IP6)?;
            let at = if is_src { 8 } else { 24 };
            for index in 0..4 {
                let part = this.masked(From::Net, at + 4 * index, W, word(bits, index), word(mask, index));
                all = this.and(all, part);
            }
            Ok(all)
        })
    }

    /// A DECnet node: its address stands, bytes swapped, in one of four places.
    fn decnet(&mut self, address: u32, dir: Dir) -> Made {
        let node = (address & 0xff) << 8 | address >> 8 & 0xff;
        self.directed(dir, ADDRESSES, &mut |this, is_src| {
            let (short, long) = if is_src { (5, 17) } else { (3, 9) };
            let forms = [
                (B, 0x02, 0x07, short),
                (H, 0x8102, 0xff07, short + 1),
                (B, 0x06, 0x07, long),
                (H, 0x8106, 0xff07, long + 1),
            ];
            let mut any: Option<Code> = None;
            for (size, flags, mask, at) in forms {
                let header = this.masked(From::Net, 2, size, flags, mask);
                let equal = this.equal(From::Net, at, H, node);
                let form = this.and(header, equal);
                any = Some(match any {
                    Some(any) => this.or(any, form),
                    None => form,
                });
            }
            let kind = this.link_type(ETHER_DECNET)?;
            Ok(match any {
                Some(any) => this.and(kind, any),
                None => kind,
            })
        })
    }

    /// Whether there is an inner Ethernet header: inside Geneve there need not be.
    fn inner_link(&mut self) -> Option<Code> {
        if !self.tunnelled {
            return None;
        }
        let stmts = vec![
            super::graph::stmt(LD | MEM, self.link_header.cell.unwrap_or_default()),
            super::graph::stmt(LDX | MEM, self.payload.cell.unwrap_or_default()),
        ];
        let none = self.graph.test(stmts, JEQ | X, 0);
        Some(self.not(none))
    }

    fn behind_inner_link(&mut self, code: Code, inner: Option<Code>) -> Code {
        match inner {
            Some(inner) => self.and(inner, code),
            None => code,
        }
    }

    /// A hardware address.
    pub(super) fn ether(&mut self, address: [u8; 6], dir: Dir) -> Made {
        if self.link != link::ETHERNET {
            return Err(FilterError::new(
                "ethernet addresses supported only on ethernet/FDDI/token ring/802.11/ATM LANE/Fibre Channel",
            ));
        }
        let inner = self.inner_link();
        let code = self.directed(dir, "wlan", &mut |this, is_src| {
            Ok(this.bytes(From::Link, if is_src { 6 } else { 0 }, &address))
        })?;
        Ok(self.behind_inner_link(code, inner))
    }

    /// A host by name.
    pub(super) fn host_by_name(&mut self, name: &str, proto: Proto, dir: Dir) -> Made {
        let unknown = |tail: &str| FilterError::new(format!("unknown host '{name}'{tail}"));
        match proto {
            Proto::Link if self.link != link::ETHERNET => {
                return Err(FilterError::new(
                    "only ethernet/FDDI/token ring/802.11/ATM LANE/Fibre Channel supports link-level host name",
                ));
            }
            Proto::Link => {
                let address =
                    self.names.ether(name).ok_or_else(|| FilterError::new(format!("unknown ether host '{name}'")))?;
                return self.ether(address, dir);
            }
            Proto::Decnet => {
                return Err(FilterError::new(format!(
                    "decnet name support not included, '{name}' cannot be translated\n"
                )));
            }
            _ => {}
        }
        // Where the link layer says nothing of its payload there is no ARP.
        let bare = self.type_field.is_none() && proto == Proto::Default;
        let (proto4, proto6) = if bare { (Proto::Ip, Proto::Ip6) } else { (proto, proto) };
        let found = self.names.host(name);
        if found.is_empty() {
            return Err(unknown(""));
        }
        let mut any: Option<Code> = None;
        for address in found {
            let one = match address {
                IpAddr::V4(_) if proto == Proto::Ip6 => continue,
                IpAddr::V6(_) if matches!(proto, Proto::Ip | Proto::Arp | Proto::Rarp) => continue,
                IpAddr::V4(address) => self.host4((u32::from(address), u32::MAX), proto4, dir, "host")?,
                IpAddr::V6(address) => self.host6(address, 128, proto6, dir, "host")?,
            };
            any = Some(match any {
                Some(any) => self.or(any, one),
                None => one,
            });
        }
        any.ok_or_else(|| unknown(" for specified address family"))
    }

    /// A network by name.
    pub(super) fn net_by_name(&mut self, name: &str, proto: Proto, dir: Dir) -> Made {
        let number = self.names.network(name).ok_or_else(|| FilterError::new(format!("unknown network '{name}'")))?;
        self.host4(promoted(number), proto, dir, "net")
    }

    /// Frames to everybody.
    pub(super) fn broadcast(&mut self, proto: Proto) -> Made {
        match proto {
            Proto::Default | Proto::Link if self.link == link::ETHERNET => {
                let inner = self.inner_link();
                let all = self.bytes(From::Link, 0, &[0xff; 6]);
                Ok(self.behind_inner_link(all, inner))
            }
            Proto::Default | Proto::Link => Err(FilterError::new("not a broadcast link")),
            Proto::Ip => {
                let mask = self
                    .netmask
                    .ok_or_else(|| FilterError::new("netmask not known, so 'ip broadcast' not supported"))?;
                let kind = self.link_type(ETHER_IP)?;
                let zeroes = self.masked(From::Net, 16, W, 0, !mask);
                let ones = self.masked(From::Net, 16, W, !mask, !mask);
                let either = self.or(zeroes, ones);
                Ok(self.and(kind, either))
            }
            _ => Err(FilterError::new("only link-layer/IP broadcast filters supported")),
        }
    }

    /// Frames or packets to a group.
    pub(super) fn multicast(&mut self, proto: Proto) -> Made {
        match proto {
            Proto::Default | Proto::Link if self.link == link::ETHERNET => {
                let inner = self.inner_link();
                let group = self.compare(JSET, (From::Link, 0, B), u32::MAX, 1);
                Ok(self.behind_inner_link(group, inner))
            }
            Proto::Ip => {
                let kind = self.link_type(ETHER_IP)?;
                let group = self.compare(JGE, (From::Net, 16, B), u32::MAX, 224);
                Ok(self.and(kind, group))
            }
            Proto::Ip6 => {
                let kind = self.link_type(ETHER_IP6)?;
                let group = self.equal(From::Net, 24, B, 255);
                Ok(self.and(kind, group))
            }
            _ => Err(FilterError::new(
                "link-layer multicast filters supported only on ethernet/FDDI/token ring/ARCNET/802.11/ATM LANE/Fibre Channel",
            )),
        }
    }
}

/// A number without its zero octets, moved to where an address begins, and the mask that goes with it.
pub(super) fn promoted(number: u32) -> (u32, u32) {
    let (mut number, mut mask) = (number, u32::MAX);
    while number != 0 && number & 0xff00_0000 == 0 {
        number <<= 8;
        mask <<= 8;
    }
    (number, mask)
}

/// One to four decimal octets, moved to the high end, and how many bits they fill.
pub(super) fn octets(text: &str) -> Option<(u32, u32)> {
    let mut value: u32 = 0;
    let mut bits = 0;
    for part in text.split('.') {
        let mut octet: u32 = 0;
        for digit in part.bytes() {
            octet = octet.checked_mul(10)?.checked_add(u32::from(digit.checked_sub(b'0')?))?;
            if octet > 255 {
                return None;
            }
        }
        value = value << 8 | octet;
        bits += 8;
    }
    Some((value.checked_shl(32 - bits).unwrap_or_default(), bits))
}
