//! What only the kernel knows: routes, types of addresses, links, connections, members of sets.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netkit_nl::netfilter::{self, subsystem};
use netkit_nl::route::{Addr, Link as LinkHeader, Route as RouteHeader, family as af, kind};
use netkit_nl::{Attr, Protocol, Request, Socket, flags};

use super::packet::Packet;
use crate::model::Family;
use crate::nft::{Data, Element, attribute, command};

/// Types of routes and addresses (linux/rtnetlink.h).
pub mod rtn {
    #![allow(missing_docs)]
    pub const UNICAST: u8 = 1;
    pub const LOCAL: u8 = 2;
    pub const BROADCAST: u8 = 3;
    pub const ANYCAST: u8 = 4;
    pub const MULTICAST: u8 = 5;
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// ifindex
    pub index: u32,
    /// Its name.
    pub name: String,
    /// ARPHRD_*
    pub kind: u16,
    /// IFLA_GROUP
    pub group: u32,
    /// IFF_LOOPBACK
    pub loopback: bool,
    /// ifindex of the bridge, bond or VRF it belongs to; 0 for none.
    pub master: u32,
    /// It is a bridge, so what comes in by it came in by a port of it.
    pub bridge: bool,
}

/// A question to the routing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Where to.
    pub destination: IpAddr,
    /// Where from; `None` lets the kernel choose.
    pub source: Option<IpAddr>,
    /// ifindex of the interface it came in by; 0 for what starts here.
    pub input: u32,
    /// ifindex of the interface it must leave by; 0 for any.
    pub output: u32,
    /// Packet mark.
    pub mark: u32,
    /// Protocol and ports, which policy rules may ask for.
    pub flow: (u8, Option<u16>, Option<u16>),
    /// User of the socket.
    pub uid: Option<u32>,
}

impl Question {
    /// For a packet on its way.
    pub fn of(packet: &Packet, input: u32) -> Question {
        let ports = packet.has_ports();
        Question {
            destination: packet.destination,
            source: Some(packet.source),
            input,
            output: 0,
            mark: packet.mark,
            flow: (packet.protocol, packet.source_port(), packet.dport.filter(|_| ports)),
            uid: packet.uid,
        }
    }
}

/// What the routing answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// RTN_*
    pub kind: u8,
    /// ifindex of the interface out.
    pub output: u32,
    /// Next hop, if it is not the destination.
    pub gateway: Option<IpAddr>,
    /// The source address that the kernel would choose.
    pub source: Option<IpAddr>,
}

/// Both directions of a connection, as conntrack holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Source, destination, their ports; original direction first.
    pub tuples: [(IpAddr, IpAddr, u16, u16); 2],
    /// IPS_*
    pub status: u32,
    /// Connection mark.
    pub mark: u32,
    /// The question was in reply direction.
    pub reply: bool,
}

/// What an nf_tables set or map has for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is a member.
    Member,
    /// The data of a map.
    Value(Vec<u8>),
    /// The verdict of a verdict map, and its chain.
    Verdict(i32, Option<String>),
}

/// The kernel, or a stand-in for it.
pub trait Kernel {
    /// Where a packet goes, or the number of errno(3) with which routing refuses it.
    fn route(&self, question: &Question) -> Result<Route, i32>;
    /// RTN_* of an address by the local table; with `device` only its addresses count.
    fn address_type(&self, address: IpAddr, device: u32) -> Option<u8>;
    /// An interface by ifindex.
    fn link(&self, index: u32) -> Option<Link>;
    /// An interface by name.
    fn link_named(&self, name: &str) -> Option<Link>;
    /// The address that masquerading takes on an interface towards a next hop.
    fn source_on(&self, index: u32, towards: IpAddr) -> Option<IpAddr>;
    /// The connection to which a packet belongs; `Ok(None)` for none.
    fn connection(&self, packet: &Packet) -> Result<Option<Entry>, String>;
    /// Whether an IP set has an entry.
    fn in_set(&self, name: &str, entry: &SetEntry) -> Result<bool, String>;
    /// An nf_tables set's element by its key, or `None`.
    fn element(&self, family: u8, table: &str, set: &str, key: &[u8]) -> Result<Option<Found>, String>;
    /// A sysctl below /proc/sys/net.
    fn sysctl(&self, path: &str) -> Option<String>;
}

/// What a rule offers to an IP set: for each dimension the packet's source (true) or destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetEntry {
    /// One for each dimension.
    pub from_source: Vec<bool>,
    /// Source and destination.
    pub addresses: [IpAddr; 2],
    /// Ports of both, where known.
    pub ports: [Option<u16>; 2],
    /// IANA protocol number.
    pub protocol: u8,
    /// ICMP type and code.
    pub icmp: (u8, u8),
    /// Interfaces in and out.
    pub links: [Option<String>; 2],
    /// Packet mark.
    pub mark: u32,
}

/// An address of an interface: ifindex, bits of its network, secondary, RT_SCOPE_*.
type Own = (u32, u8, bool, u8, IpAddr);
/// A route of the local table: RTN_*, bits, ifindex, prefix.
type Local = (u8, u8, u32, IpAddr);

/// The running kernel, over rtnetlink and nfnetlink. Answers are kept, so that one walk sees one state.
#[derive(Default)]
pub struct Netlink {
    route_socket: RefCell<Option<Socket>>,
    filter_socket: RefCell<Option<Socket>>,
    links: RefCell<Option<Vec<Link>>>,
    addresses: RefCell<Option<Vec<Own>>>,
    local: RefCell<Option<Vec<Local>>>,
    routes: RefCell<HashMap<Question, Result<Route, i32>>>,
    sets: RefCell<HashMap<String, Result<SetKind, String>>>,
}

/// Attributes of routes (linux/rtnetlink.h, RTA_*).
mod rta {
    pub(super) const DST: u16 = 1;
    pub(super) const SRC: u16 = 2;
    pub(super) const IIF: u16 = 3;
    pub(super) const OIF: u16 = 4;
    pub(super) const GATEWAY: u16 = 5;
    pub(super) const PREFSRC: u16 = 7;
    pub(super) const TABLE: u16 = 15;
    pub(super) const MARK: u16 = 16;
    pub(super) const VIA: u16 = 18;
    pub(super) const UID: u16 = 25;
    pub(super) const IP_PROTO: u16 = 27;
    pub(super) const SPORT: u16 = 28;
    pub(super) const DPORT: u16 = 29;
}

/// asm-generic/errno-base.h
const ENOENT: i32 = 2;
const EIO: i32 = 5;
/// RT_TABLE_LOCAL
const LOCAL_TABLE: u32 = 255;

/// Octets of an address.
pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn family_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { af::INET } else { af::INET6 }
}

/// Whether two addresses of one family agree in their first `bits`.
pub(super) fn same_prefix(left: IpAddr, right: IpAddr, bits: u8) -> bool {
    let wide = |address| match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 4),
        IpAddr::V6(v6) => (u128::from(v6), 6),
    };
    let ((left, one), (right, other)) = (wide(left), wide(right));
    let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
    one == other && (left ^ right) & mask == 0
}

impl Netlink {
    /// One that has asked nothing yet.
    pub fn new() -> Netlink {
        Netlink::default()
    }

    fn with<T>(
        slot: &RefCell<Option<Socket>>,
        protocol: Protocol,
        work: impl FnOnce(&mut Socket) -> Result<T, netkit_nl::Error>,
    ) -> Result<T, netkit_nl::Error> {
        let mut slot = slot.borrow_mut();
        let socket = match &mut *slot {
            Some(socket) => socket,
            None => slot.insert(Socket::open(protocol)?),
        };
        work(socket)
    }

    fn ask(&self, request: &Request) -> Result<netkit_nl::Dump, netkit_nl::Error> {
        Netlink::with(&self.route_socket, Protocol::Route, |socket| socket.exchange(request))
    }

    fn dump(&self, request: &Request) -> Option<netkit_nl::Dump> {
        Netlink::with(&self.route_socket, Protocol::Route, |socket| socket.dump(request)).ok()
    }

    fn filter(&self, request: &Request) -> Result<netkit_nl::Dump, netkit_nl::Error> {
        Netlink::with(&self.filter_socket, Protocol::Netfilter, |socket| socket.exchange(request))
    }

    fn every_link<T>(&self, pick: impl Fn(&[Link]) -> Option<T>) -> Option<T> {
        let mut links = self.links.borrow_mut();
        let known = links.get_or_insert_with(|| {
            let ask = Request::new(kind::GET_LINK, flags::DUMP, &LinkHeader::default().bytes());
            let Some(dump) = self.dump(&ask) else { return Vec::new() };
            let read = |message: netkit_nl::Message<'_>| {
                let header = LinkHeader::read(message.payload)?;
                let attrs = message.attrs(LinkHeader::LENGTH);
                // IFLA_IFNAME 3, IFLA_MASTER 10, IFLA_LINKINFO 18 with IFLA_INFO_KIND 1, IFLA_GROUP 27
                let info = attrs.find(18).and_then(|info| info.nested().find(1)).map(|kind| kind.text());
                Some(Link {
                    index: u32::try_from(header.index).ok()?,
                    name: attrs.find(3)?.text(),
                    kind: header.arp,
                    group: attrs.find(27).and_then(|attr| attr.u32()).unwrap_or(0),
                    loopback: header.flags & 0x8 != 0,
                    master: attrs.find(10).and_then(|attr| attr.u32()).unwrap_or(0),
                    bridge: info.as_deref() == Some("bridge"),
                })
            };
            dump.messages().filter_map(read).collect()
        });
        pick(known)
    }

    fn ask_route(&self, question: &Question) -> Result<Route, i32> {
        let bits = if question.destination.is_ipv4() { 32 } else { 128 };
        let header = RouteHeader {
            family: family_of(question.destination),
            dst_len: bits,
            src_len: if question.source.is_some() { bits } else { 0 },
            ..RouteHeader::default()
        };
        let mut request = Request::new(kind::GET_ROUTE, 0, &header.bytes());
        request.put(rta::DST, &octets(question.destination));
        if let Some(source) = question.source {
            request.put(rta::SRC, &octets(source));
        }
        for (attribute, number) in [(rta::IIF, question.input), (rta::OIF, question.output), (rta::MARK, question.mark)]
        {
            if number != 0 {
                request.put(attribute, &number.to_ne_bytes());
            }
        }
        if let Some(uid) = question.uid {
            request.put(rta::UID, &uid.to_ne_bytes());
        }
        let (protocol, sport, dport) = question.flow;
        // The kernel takes these three only for the protocols that it knows here (fib_multipath and rtm_getroute_parse_ip_proto).
        if matches!(protocol, 1 | 6 | 17 | 58) {
            request.put(rta::IP_PROTO, &[protocol]);
            for (attribute, port) in [(rta::SPORT, sport), (rta::DPORT, dport)] {
                if let (Some(port), 6 | 17) = (port, protocol) {
                    request.put(attribute, &port.to_be_bytes());
                }
            }
        }
        let answer = self.ask(&request).map_err(|error| if error.errno() == 0 { EIO } else { error.errno() })?;
        let message = answer.messages().next().ok_or(EIO)?;
        let header = RouteHeader::read(message.payload).ok_or(EIO)?;
        let attrs = message.attrs(RouteHeader::LENGTH);
        let ip = |kind: u16| attrs.find(kind).and_then(|attr| attr.ip());
        let via = || attrs.find(rta::VIA).and_then(|attr| Attr { kind: 0, value: attr.value.get(2..)? }.ip());
        Ok(Route {
            kind: header.kind,
            output: attrs.find(rta::OIF).and_then(|attr| attr.u32()).unwrap_or(0),
            gateway: ip(rta::GATEWAY).or_else(via),
            source: ip(rta::PREFSRC),
        })
    }
}

impl Kernel for Netlink {
    fn route(&self, question: &Question) -> Result<Route, i32> {
        if let Some(known) = self.routes.borrow().get(question) {
            return known.clone();
        }
        let answer = self.ask_route(question);
        self.routes.borrow_mut().insert(question.clone(), answer.clone());
        answer
    }

    fn address_type(&self, address: IpAddr, device: u32) -> Option<u8> {
        match address {
            IpAddr::V4(v4) if v4.is_broadcast() || v4.octets().first() == Some(&0) => return Some(rtn::BROADCAST),
            address if address.is_multicast() => return Some(rtn::MULTICAST),
            _ => {}
        }
        let mut local = self.local.borrow_mut();
        let known = local.get_or_insert_with(|| {
            let mut found = Vec::new();
            for family in [af::INET, af::INET6] {
                let header = RouteHeader { family, ..RouteHeader::default() };
                let Some(dump) = self.dump(&Request::new(kind::GET_ROUTE, flags::DUMP, &header.bytes())) else {
                    continue;
                };
                for message in dump.messages() {
                    let Some(header) = RouteHeader::read(message.payload) else { continue };
                    let attrs = message.attrs(RouteHeader::LENGTH);
                    let table = attrs.find(rta::TABLE).and_then(|attr| attr.u32()).unwrap_or(header.table.into());
                    let zero = || {
                        if family == af::INET { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
                    };
                    let address = attrs.find(rta::DST).and_then(|attr| attr.ip()).unwrap_or_else(zero);
                    let index = attrs.find(rta::OIF).and_then(|attr| attr.u32()).unwrap_or(0);
                    if table == LOCAL_TABLE {
                        found.push((header.kind, header.dst_len, index, address));
                    }
                }
            }
            found
        });
        let best = known
            .iter()
            .filter(|(_, bits, index, prefix)| {
                same_prefix(*prefix, address, *bits) && (device == 0 || *index == device)
            })
            .max_by_key(|(_, bits, ..)| *bits);
        Some(best.map_or(rtn::UNICAST, |(kind, ..)| *kind))
    }

    fn link(&self, index: u32) -> Option<Link> {
        self.every_link(|links| links.iter().find(|link| link.index == index).cloned())
    }

    fn link_named(&self, name: &str) -> Option<Link> {
        self.every_link(|links| links.iter().find(|link| link.name == name).cloned())
    }

    /// As inet_select_addr and ipv6_dev_get_saddr do it: a global address whose network holds the next hop, else the first one.
    fn source_on(&self, index: u32, towards: IpAddr) -> Option<IpAddr> {
        let mut addresses = self.addresses.borrow_mut();
        let known = addresses.get_or_insert_with(|| {
            let Some(dump) = self.dump(&Request::new(kind::GET_ADDR, flags::DUMP, &Addr::default().bytes())) else {
                return Vec::new();
            };
            let read = |message: netkit_nl::Message<'_>| {
                let header = Addr::read(message.payload)?;
                let attrs = message.attrs(Addr::LENGTH);
                // IFA_LOCAL 2, IFA_ADDRESS 1; on a point-to-point link the latter is the peer's. IFA_F_SECONDARY 0x01
                let address = attrs.find(2).or_else(|| attrs.find(1))?.ip()?;
                Some((header.index, header.prefix, header.flags & 1 != 0, header.scope, address))
            };
            dump.messages().filter_map(read).collect()
        });
        let fits = |own: bool| {
            known.iter().filter(move |(at, _, secondary, scope, address)| {
                (*at == index) == own && !secondary && *scope == 0 && address.is_ipv4() == towards.is_ipv4()
            })
        };
        let near = fits(true).find(|(_, bits, .., address)| same_prefix(*address, towards, *bits));
        near.or_else(|| fits(true).next()).or_else(|| fits(false).next()).map(|(.., address)| *address)
    }

    fn connection(&self, packet: &Packet) -> Result<Option<Entry>, String> {
        let Some(ports) = ports_of(packet) else { return Ok(None) };
        let v6 = packet.source.is_ipv6();
        // CTA_TUPLE_IP 1, CTA_TUPLE_PROTO 2; CTA_IP_V4_SRC 1 and V6_SRC 3; CTA_PROTO_NUM 1, ports 2 and 3, ICMP 4 to 6, ICMPv6 7 to 9
        let first = if v6 { 3 } else { 1 };
        // The answer says that more follows, though nothing does: only the acknowledgement ends it.
        let ask = netfilter::request(subsystem::CONNTRACK, 1, flags::ACK, family_of(packet.source));
        let request = ask.nest(1, |tuple| {
            tuple
                .nest(1, |ip| ip.attr(first, &octets(packet.source)).attr(first + 1, &octets(packet.destination)))
                .nest(2, |proto| {
                    let proto = proto.attr(1, &[packet.protocol]);
                    proto.attr(2, &ports.0.to_be_bytes()).attr(3, &ports.1.to_be_bytes())
                })
        });
        let answer = match self.filter(&request) {
            Ok(answer) => answer,
            Err(error) if error.errno() == ENOENT => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let read = || {
            let message = answer.messages().next()?;
            let attrs = message.attrs(netfilter::HEADER);
            let tuple = |kind: u16| {
                let tuple = attrs.find(kind)?.nested();
                let (ip, proto) = (tuple.find(1)?.nested(), tuple.find(2)?.nested());
                let address = |kind: u16| ip.find(kind).and_then(|attr| attr.ip());
                let port = |kind: u16| proto.find(kind).and_then(|attr| attr.be16()).unwrap_or(0);
                Some((address(first)?, address(first + 1)?, port(2), port(3)))
            };
            let number = |kind: u16| attrs.find(kind).and_then(|attr| attr.be32()).unwrap_or(0);
            let original = tuple(1)?;
            let reply = original != (packet.source, packet.destination, ports.0, ports.1);
            // CTA_STATUS 3, CTA_MARK 8
            Some(Entry { tuples: [original, tuple(2)?], status: number(3), mark: number(8), reply })
        };
        read().map(Some).ok_or_else(|| "conntrack's answer cannot be read".to_owned())
    }

    fn in_set(&self, name: &str, entry: &SetEntry) -> Result<bool, String> {
        let kind = {
            let mut sets = self.sets.borrow_mut();
            sets.entry(name.to_owned()).or_insert_with(|| self.set_kind(name)).clone()?
        };
        self.test_set(name, &kind, entry)
    }

    fn element(&self, family: u8, table: &str, set: &str, key: &[u8]) -> Result<Option<Found>, String> {
        for catch_all in [false, true] {
            // NFTA_SET_ELEM_LIST_ELEMENTS 3; of an element the key is 1 and the flags are 3, NFT_SET_ELEM_CATCHALL 2
            let request = netfilter::request(subsystem::NFTABLES, command::GET_ELEMENT, 0, family)
                .text(attribute::ELEMENTS_TABLE, table)
                .text(attribute::ELEMENTS_SET, set)
                .nest(3, |list| {
                    list.nest(1, |element| match catch_all {
                        false => element.nest(1, |data| data.attr(1, key)),
                        true => element.attr(3, &2u32.to_be_bytes()),
                    })
                });
            match self.filter(&request) {
                Ok(answer) => {
                    let message = answer.messages().next();
                    // The end of an interval is where it is over: the key lies behind it.
                    let element = message.and_then(|message| Element::read_all(&message).next());
                    if let Some(element) = element.filter(|element| !element.is_interval_end()) {
                        return Ok(Some(match element.data {
                            None => Found::Member,
                            Some(Data::Value(value)) => Found::Value(value.to_vec()),
                            Some(Data::Verdict { code, chain }) => Found::Verdict(code, chain),
                        }));
                    }
                }
                Err(error) if error.errno() == ENOENT => {}
                // Older kernels do not know the flag.
                Err(_) if catch_all => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(None)
    }

    fn sysctl(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(format!("/proc/sys/net/{path}")).ok().map(|text| text.trim().to_owned())
    }
}

/// Ports by which conntrack knows a packet; `None` when they are not known.
fn ports_of(packet: &Packet) -> Option<(u16, u16)> {
    if packet.has_ports() {
        return Some((packet.source_port()?, packet.dport?));
    }
    // An ICMP entry is known by its identifier, which nobody names; other protocols have zeros.
    (!packet.is_icmp()).then_some((0, 0))
}

/// How entries of an IP set look.
#[derive(Clone, Debug)]
struct SetKind {
    /// hash:ip,port ...
    name: String,
    family: Family,
}

/// IPSET_ATTR_*
mod ipset {
    pub(super) const PROTOCOL: u16 = 1;
    pub(super) const SETNAME: u16 = 2;
    pub(super) const TYPENAME: u16 = 3;
    pub(super) const FAMILY: u16 = 5;
    pub(super) const DATA: u16 = 7;
    pub(super) const IP: u16 = 1;
    pub(super) const PORT: u16 = 4;
    pub(super) const PROTO: u16 = 7;
    pub(super) const MARK: u16 = 10;
    pub(super) const IP2: u16 = 20;
    pub(super) const IFACE: u16 = 23;
    /// IPSET_CMD_TEST
    pub(super) const TEST: u8 = 11;
    /// IPSET_CMD_HEADER
    pub(super) const HEADER: u8 = 12;
    /// The protocol that kernels since 2011 speak.
    pub(super) const VERSION: u8 = 6;
    /// Errors from here on are ipset's own (IPSET_ERR_PRIVATE).
    pub(super) const PRIVATE: i32 = 4096;
}

impl Netlink {
    fn set_kind(&self, name: &str) -> Result<SetKind, String> {
        let request = netfilter::request(subsystem::IPSET, ipset::HEADER, 0, af::INET)
            .attr(ipset::PROTOCOL, &[ipset::VERSION])
            .text(ipset::SETNAME, name);
        let answer = self.filter(&request).map_err(|error| format!("set {name}: {error}"))?;
        let message = answer.messages().next().ok_or("ipset gave no answer")?;
        let attrs = message.attrs(netfilter::HEADER);
        let family = attrs.find(ipset::FAMILY).and_then(|attr| attr.u8()).unwrap_or(af::INET);
        let kind = attrs.find(ipset::TYPENAME).map(|attr| attr.text()).unwrap_or_default();
        Ok(SetKind { name: kind, family: if family == af::INET6 { Family::Ipv6 } else { Family::Ipv4 } })
    }

    /// IPSET_CMD_TEST: the kernel answers with success or with an error of its own.
    fn test_set(&self, name: &str, kind: &SetKind, entry: &SetEntry) -> Result<bool, String> {
        let (method, parts) = kind.name.split_once(':').unwrap_or_default();
        if method == "list" {
            return Err(format!("{name} is a list of sets"));
        }
        // A set of one family never has addresses of the other one.
        if parts != "mac"
            && method == "hash"
            && (kind.family == Family::Ipv4) != entry.addresses.iter().all(IpAddr::is_ipv4)
        {
            return Ok(false);
        }
        let mut data = Request::new(0, 0, &[]);
        let mut addresses = 0;
        let mut open: Option<String> = None;
        for (part, from_source) in parts.split(',').zip(entry.from_source.iter().chain(std::iter::repeat(&false))) {
            let side = usize::from(!from_source);
            match part {
                "ip" | "net" => {
                    let kind = if addresses == 0 { ipset::IP } else { ipset::IP2 };
                    addresses += 1;
                    let Some(address) = entry.addresses.get(side) else { continue };
                    let inner = if address.is_ipv4() { 1 } else { 2 };
                    // NLA_F_NET_BYTEORDER
                    data = data.nest(kind, |ip| ip.attr(inner | 0x4000, &octets(*address)));
                }
                "port" => {
                    let icmp = matches!(entry.protocol, 1 | 58);
                    let port = if icmp {
                        Some(u16::from_be_bytes([entry.icmp.0, entry.icmp.1]))
                    } else {
                        entry.ports.get(side).copied().flatten()
                    };
                    match port {
                        Some(port) => data = data.attr(ipset::PORT | 0x4000, &port.to_be_bytes()),
                        None => open = Some("the port is not known".to_owned()),
                    }
                    if method == "hash" {
                        data = data.attr(ipset::PROTO, &[entry.protocol]);
                    }
                }
                "iface" => match entry.links.get(side).and_then(Option::as_deref) {
                    Some(link) => data = data.text(ipset::IFACE, link),
                    None => open = Some("no such interface here".to_owned()),
                },
                "mark" => data = data.attr(ipset::MARK | 0x4000, &entry.mark.to_be_bytes()),
                other => open = Some(format!("{other} of the packet is not known")),
            }
        }
        if let Some(open) = open {
            return Err(format!("set {name}: {open}"));
        }
        // What was built is a message; its attributes stand behind the header.
        let built = data.finish(0);
        let inner = built.get(16..).unwrap_or_default();
        let request = netfilter::request(subsystem::IPSET, ipset::TEST, flags::ACK, af::INET)
            .attr(ipset::PROTOCOL, &[ipset::VERSION])
            .text(ipset::SETNAME, name)
            .attr(ipset::DATA | 0x8000, inner);
        match self.filter(&request) {
            Ok(_) => Ok(true),
            Err(error) if error.errno() > ipset::PRIVATE => Ok(false),
            Err(error) => Err(format!("set {name}: {error}")),
        }
    }
}
