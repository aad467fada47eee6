//! What the kernel says about routes, links, addresses and neighbours, over one rtnetlink socket (rtnetlink(7)). Only
//! questions are sent, and none of them needs a privilege.

use std::net::IpAddr;

use netkit_nl::route::{Addr, Link, Neighbour, Route, family, kind};
use netkit_nl::{Attr, Error, Protocol, Request, Socket, flags};

/// RTA_* (linux/rtnetlink.h).
mod rta {
    pub(super) const DST: u16 = 1;
    pub(super) const SRC: u16 = 2;
    pub(super) const OIF: u16 = 4;
    pub(super) const GATEWAY: u16 = 5;
    pub(super) const PREFSRC: u16 = 7;
    pub(super) const METRICS: u16 = 8;
    pub(super) const VIA: u16 = 18;
    /// RTAX_MTU, within METRICS.
    pub(super) const MTU: u16 = 2;
}
/// RTN_*
pub(crate) const LOCAL: u8 = 2;
const UNICAST: u8 = 1;
/// IFF_UP, IFF_LOOPBACK, IFF_POINTOPOINT, IFF_NOARP, IFF_LOWER_UP
const UP: u32 = 1;
const LOOPBACK: u32 = 8;
const POINT_TO_POINT: u32 = 0x10;
const NO_ARP: u32 = 0x80;
const LOWER_UP: u32 = 0x1_0000;

/// Where the kernel would send a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// RTN_*
    pub(crate) kind: u8,
    /// ifindex
    pub(crate) output: i32,
    pub(crate) gateway: Option<IpAddr>,
    /// The source address chosen.
    pub(crate) source: Option<IpAddr>,
    /// In bytes, where the route or what ICMP taught sets it.
    pub(crate) mtu: Option<u32>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Iface {
    pub(crate) index: i32,
    pub(crate) name: String,
    flags: u32,
    pub(crate) mtu: u32,
    pub(crate) addresses: Vec<(IpAddr, u8)>,
}

impl Iface {
    pub(crate) fn is_up(&self) -> bool {
        self.flags & UP != 0
    }

    pub(crate) fn has_carrier(&self) -> bool {
        self.flags & LOWER_UP != 0
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.flags & LOOPBACK != 0
    }

    /// Whether hosts on it are found by ARP or neighbour discovery.
    fn has_neighbours(&self) -> bool {
        self.flags & (LOOPBACK | NO_ARP | POINT_TO_POINT) == 0
    }

    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|(own, _)| *own == address)
    }
}

/// NUD_* (linux/neighbour.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nud(pub(crate) u16);

impl Nud {
    /// As `ip neigh` writes it.
    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            1 => "INCOMPLETE",
            2 => "REACHABLE",
            4 => "STALE",
            8 => "DELAY",
            0x10 => "PROBE",
            0x20 => "FAILED",
            0x40 => "NOARP",
            0x80 => "PERMANENT",
            _ => "NONE",
        }
    }

    /// Nobody answers for it.
    pub(crate) fn is_dead(self) -> bool {
        self.0 & 0x21 != 0
    }

    /// It answered lately, so the host is there.
    pub(crate) fn is_alive(self) -> bool {
        self.0 & 0x02 != 0
    }
}

/// The socket, opened with the first question.
#[derive(Default)]
pub(crate) struct Kernel {
    socket: Option<Socket>,
}

impl Kernel {
    fn socket(&mut self) -> Result<&mut Socket, Error> {
        if self.socket.is_none() {
            self.socket = Some(Socket::open(Protocol::Route)?);
        }
        self.socket.as_mut().ok_or(Error::Malformed("no socket"))
    }

    /// Asks for the way to `destination`, from `source` if that is fixed.
    ///
    /// # Errors
    /// The kernel's refusal: ENETUNREACH without a route, EACCES prohibit, EINVAL blackhole, EHOSTUNREACH unreachable.
    pub(crate) fn way(&mut self, destination: IpAddr, source: Option<IpAddr>) -> Result<Way, Error> {
        let (inet, bits) = if destination.is_ipv4() { (family::INET, 32) } else { (family::INET6, 128) };
        let head = Route { family: inet, dst_len: bits, ..Route::default() };
        let mut request = Request::new(kind::GET_ROUTE, 0, &head.bytes()).attr(rta::DST, &octets(destination));
        if let Some(source) = source {
            request = request.attr(rta::SRC, &octets(source));
        }
        let answer = self.socket()?.exchange(&request)?;
        let nothing = Error::Malformed("no route in the answer");
        let message = answer.messages().next().ok_or(nothing.clone())?;
        let route = Route::read(message.payload).ok_or(nothing)?;
        let attrs = message.attrs(Route::LENGTH);
        let gateway = attrs.find(rta::GATEWAY).and_then(|attr| attr.ip()).or_else(|| {
            let via = attrs.find(rta::VIA)?;
            Attr { kind: 0, value: via.value.get(2..)? }.ip()
        });
        // IPv6 says a refusing route in the answer rather than by an error.
        let refused = match route.kind {
            6 => Some(nix::libc::EINVAL),
            7 => Some(nix::libc::EHOSTUNREACH),
            8 => Some(nix::libc::EACCES),
            _ => None,
        };
        if let Some(errno) = refused {
            return Err(Error::Kernel { errno, text: String::new() });
        }
        let metrics = attrs.find(rta::METRICS).map(|attr| attr.nested());
        Ok(Way {
            kind: route.kind,
            output: attrs.find(rta::OIF).and_then(|attr| attr.i32()).unwrap_or(0),
            gateway,
            source: attrs.find(rta::PREFSRC).and_then(|attr| attr.ip()).or(source),
            mtu: metrics.and_then(|metrics| metrics.find(rta::MTU)?.u32()).filter(|mtu| *mtu > 0),
        })
    }

    /// Every interface with its addresses.
    ///
    /// # Errors
    /// A kernel without rtnetlink.
    pub(crate) fn interfaces(&mut self) -> Result<Vec<Iface>, Error> {
        let mut found: Vec<Iface> = Vec::new();
        let links = self.socket()?.dump(&Request::new(kind::GET_LINK, flags::DUMP, &Link::default().bytes()))?;
        for message in links.messages().filter(|message| message.kind == kind::NEW_LINK) {
            let Some(link) = Link::read(message.payload) else { continue };
            let attrs = message.attrs(Link::LENGTH);
            found.push(Iface {
                index: link.index,
                // IFLA_IFNAME and IFLA_MTU
                name: attrs.find(3).map(|attr| attr.text()).unwrap_or_default(),
                flags: link.flags,
                mtu: attrs.find(4).and_then(|attr| attr.u32()).unwrap_or(0),
                addresses: Vec::new(),
            });
        }
        let addresses = self.socket()?.dump(&Request::new(kind::GET_ADDR, flags::DUMP, &Addr::default().bytes()))?;
        for message in addresses.messages().filter(|message| message.kind == kind::NEW_ADDR) {
            let Some(head) = Addr::read(message.payload) else { continue };
            let attrs = message.attrs(Addr::LENGTH);
            // IFA_LOCAL, or IFA_ADDRESS where both ends are the same.
            let address = attrs.find(2).or_else(|| attrs.find(1)).and_then(|attr| attr.ip());
            let iface = found.iter_mut().find(|iface| u32::try_from(iface.index) == Ok(head.index));
            if let (Some(address), Some(iface)) = (address, iface) {
                iface.addresses.push((address, head.prefix));
            }
        }
        Ok(found)
    }

    /// The state of a neighbour on an interface; `None` when the kernel knows none.
    pub(crate) fn neighbour(&mut self, address: IpAddr, iface: &Iface) -> Option<Nud> {
        if !iface.has_neighbours() {
            return None;
        }
        let inet = if address.is_ipv4() { family::INET } else { family::INET6 };
        let head = Neighbour { family: inet, ..Neighbour::default() };
        let dump = self.socket().ok()?.dump(&Request::new(kind::GET_NEIGH, flags::DUMP, &head.bytes())).ok()?;
        dump.messages().filter(|message| message.kind == kind::NEW_NEIGH).find_map(|message| {
            let neighbour = Neighbour::read(message.payload)?;
            let own = message.attrs(Neighbour::LENGTH).find(1)?.ip()?;
            (neighbour.index == iface.index && own == address && neighbour.family == inet)
                .then_some(Nud(neighbour.state))
        })
    }

    /// Whether there is a default route of this family.
    pub(crate) fn has_default(&mut self, v6: bool) -> Option<bool> {
        let head = Route { family: if v6 { family::INET6 } else { family::INET }, ..Route::default() };
        let dump = self.socket().ok()?.dump(&Request::new(kind::GET_ROUTE, flags::DUMP, &head.bytes())).ok()?;
        let found = dump.messages().filter(|message| message.kind == kind::NEW_ROUTE).any(|message| {
            Route::read(message.payload)
                .is_some_and(|route| route.dst_len == 0 && route.kind == UNICAST && route.family == head.family)
        });
        Some(found)
    }
}

/// Whether two addresses share a prefix of so many bits.
pub(crate) fn same_network(left: IpAddr, right: IpAddr, bits: u8) -> bool {
    let (left, right) = (octets(left), octets(right));
    if left.len() != right.len() {
        return false;
    }
    let mut bits = usize::from(bits);
    left.iter().zip(&right).all(|(one, other)| {
        let here = bits.min(8);
        bits -= here;
        let mask = (0xff00u16 >> here) as u8;
        (one ^ other) & mask == 0
    })
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(same_network(ip("10.0.0.1"), ip("10.0.0.254"), 24) && same_network(ip("1.1.1.1"), ip("2.2.2.2"), 0));
        assert!(!same_network(ip("10.0.0.1"), ip("10.0.1.1"), 24) && !same_network(ip("10.0.0.1"), ip("::1"), 0));
        assert!(same_network(ip("10.0.0.1"), ip("10.0.1.1"), 23) && same_network(ip("fd00::1"), ip("fd00::2"), 126));
    }

    #[test]
    fn the_way_to_oneself() {
        let mut kernel = Kernel::default();
        // A sandbox without rtnetlink has nothing to compare.
        let Ok(way) = kernel.way("127.0.0.1".parse().unwrap(), None) else { return };
        assert_eq!(way.kind, LOCAL);
        let interfaces = kernel.interfaces().unwrap();
        assert!(interfaces.iter().any(|iface| iface.index == way.output && iface.is_loopback()));
    }
}
