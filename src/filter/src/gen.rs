//! What is known while a filter is translated: where headers lie, which scratch cells are taken; and loads relative to them.

use super::code::*;
use super::graph::{Code, Graph, Stmt, stmt};
use super::token::Proto;
use super::{FilterError, Names, Options, Source, link};

/// Largest length in a type field of Ethernet; above it the field is a type.
pub(super) const ETHER_MTU: u32 = 1500;
/// EtherType of IPv4.
pub(super) const ETHER_IP: u32 = 0x0800;
/// EtherType of ARP.
pub(super) const ETHER_ARP: u32 = 0x0806;
/// EtherType of reverse ARP.
pub(super) const ETHER_RARP: u32 = 0x8035;
/// EtherType of IPv6.
pub(super) const ETHER_IP6: u32 = 0x86dd;
/// EtherType of IPX.
const ETHER_IPX: u32 = 0x8137;
/// EtherType of DECnet.
pub(super) const ETHER_DECNET: u32 = 0x6003;
/// EtherType of AppleTalk.
const ETHER_ATALK: u32 = 0x809b;
/// EtherType of AppleTalk's ARP.
const ETHER_AARP: u32 = 0x80f3;
/// Service access points of 802.2: IP, spanning tree, IPX, NetBEUI, ISO.
const SAP_IP: u32 = 0x06;
pub(super) const SAP_STP: u32 = 0x42;
pub(super) const SAP_IPX: u32 = 0xe0;
pub(super) const SAP_NETBEUI: u32 = 0xf0;
pub(super) const SAP_ISO: u32 = 0xfe;
/// Address families in loopback headers, as Linux numbers them.
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

/// A place in the packet: a constant, and the content of a scratch cell if a header before it varies in length.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offset {
    pub(super) k: u32,
    pub(super) cell: Option<u32>,
}

/// What an offset counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The innermost link-layer header.
    Link,
    /// Its type field.
    Type,
    /// The 802.2 header behind it.
    Llc,
    /// The label before the current one.
    Label,
    /// The network header.
    Net,
    /// The network header, were there no SNAP header.
    NetNoSnap,
    /// Behind an IPv4 header.
    Over4,
    /// Behind the fixed header of IPv6.
    Over6,
}

/// The translator.
pub(super) struct Gen<'a> {
    pub(super) graph: Graph,
    pub(super) names: &'a mut dyn Names,
    pub(super) source: Source,
    pub(super) netmask: Option<u32>,
    /// Type of the innermost link layer so far.
    pub(super) link: u32,
    pub(super) link_header: Offset,
    pub(super) outer_header: Offset,
    /// Where the type of the payload stands; nothing where the link layer has no such field.
    pub(super) type_field: Option<Offset>,
    pub(super) payload: Offset,
    pub(super) net: u32,
    pub(super) net_no_snap: u32,
    pub(super) labels: u32,
    pub(super) vlans: u32,
    /// Inside Geneve.
    pub(super) tunnelled: bool,
    cells: [bool; CELLS],
    cell: usize,
    /// Cells that hold what live VLAN tags add, to be zeroed at the start.
    pub(super) zeroed: Vec<u32>,
    /// The program has loops.
    pub(super) unoptimizable: bool,
}

pub(super) type Made = Result<Code, FilterError>;

impl<'a> Gen<'a> {
    pub(super) fn new(options: &Options, names: &'a mut dyn Names) -> Result<Gen<'a>, FilterError> {
        let (kind, payload, net_no_snap) = match options.link {
            link::ETHERNET => (Some(12), 14, 3),
            link::NULL | link::LOOP => (Some(0), 4, 0),
            link::PPP | link::PPP_HDLC | link::C_HDLC => (Some(2), 4, 0),
            link::PPP_ETHER => (Some(6), 8, 0),
            link::RAW | link::IPV4 | link::IPV6 => (None, 0, 0),
            link::LINUX_SLL => (Some(14), 16, 0),
            link::LINUX_SLL2 => (Some(0), 20, 0),
            other => return Err(FilterError::new(format!("filters for link-layer type {other} are not supported"))),
        };
        let offset = |k| Offset { k, cell: None };
        Ok(Gen {
            graph: Graph::default(),
            names,
            source: options.source,
            netmask: options.netmask,
            link: options.link,
            link_header: offset(0),
            outer_header: offset(0),
            type_field: kind.map(offset),
            payload: offset(payload),
            net: 0,
            net_no_snap,
            labels: 0,
            vlans: 0,
            tunnelled: false,
            cells: [false; CELLS],
            cell: 0,
            zeroed: Vec::new(),
            unoptimizable: false,
        })
    }

    /// Zeroes, before everything, the cells that live VLAN tags add to.
    pub(super) fn initialise(&mut self, code: &Code) {
        if self.zeroed.is_empty() {
            return;
        }
        let mut stmts = vec![stmt(LD | IMM, 0)];
        stmts.extend(self.zeroed.iter().map(|&cell| stmt(ST, cell)));
        self.graph.prepend(code, stmts);
    }

    /// A scratch cell of one's own.
    pub(super) fn take_cell(&mut self) -> Result<u32, FilterError> {
        for _ in 0..CELLS {
            match self.cells.get_mut(self.cell) {
                Some(taken) if !*taken => {
                    *taken = true;
                    return Ok(u32::try_from(self.cell).unwrap_or_default());
                }
                _ => self.cell = (self.cell + 1) % CELLS,
            }
        }
        Err(FilterError::new("too many registers needed to evaluate expression"))
    }

    pub(super) fn free_cell(&mut self, cell: u32) {
        if let Some(taken) = usize::try_from(cell).ok().and_then(|cell| self.cells.get_mut(cell)) {
            *taken = false;
        }
    }

    /// Whether the packets come from a file; then nothing can be asked of the kernel.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.source, Source::File { .. })
    }

    pub(super) fn link_name(&self) -> &'static str {
        link_name(self.link)
    }

    /// Loads `size` at `offset` from `from` into A.
    pub(super) fn load(&self, from: From, offset: u32, size: u16) -> Vec<Stmt> {
        let at = |place: Offset, more: u32| {
            let k = place.k.wrapping_add(more).wrapping_add(offset);
            match place.cell {
                Some(cell) => vec![stmt(LDX | MEM, cell), stmt(LD | IND | size, k)],
                None => vec![stmt(LD | ABS | size, k)],
            }
        };
        match from {
            From::Link => at(self.link_header, 0),
            From::Type => at(self.type_field.unwrap_or_default(), 0),
            From::Llc => at(self.payload, 0),
            From::Label => at(self.payload, self.net.wrapping_sub(4)),
            From::Net => at(self.payload, self.net),
            From::NetNoSnap => at(self.payload, self.net_no_snap),
            From::Over6 => at(self.payload, self.net.wrapping_add(40)),
            From::Over4 => {
                let mut stmts = self.load_header_length();
                stmts.push(stmt(LD | IND | size, self.payload.k.wrapping_add(self.net).wrapping_add(offset)));
                stmts
            }
        }
    }

    /// Loads the length of the IPv4 header, and what varies before it, into X.
    pub(super) fn load_header_length(&self) -> Vec<Stmt> {
        let k = self.payload.k.wrapping_add(self.net);
        match self.payload.cell {
            None => vec![stmt(LDX | MSH | B, k)],
            Some(cell) => vec![
                stmt(LDX | MEM, cell),
                stmt(LD | IND | B, k),
                stmt(ALU | AND, 0xf),
                stmt(ALU | LSH, 2),
                stmt(ALU | ADD | X, 0),
                stmt(MISC | TAX, 0),
            ],
        }
    }

    /// Compares what stands at `offset` from `from`, under `mask`, by `op`.
    pub(super) fn compare(&mut self, op: u16, (from, offset, size): (From, u32, u16), mask: u32, k: u32) -> Code {
        let mut stmts = self.load(from, offset, size);
        if mask != u32::MAX {
            stmts.push(stmt(ALU | AND, mask));
        }
        self.graph.test(stmts, op, k)
    }

    /// Equal to `k`.
    pub(super) fn equal(&mut self, from: From, offset: u32, size: u16, k: u32) -> Code {
        self.compare(JEQ, (from, offset, size), u32::MAX, k)
    }

    /// Equal to `k` under `mask`.
    pub(super) fn masked(&mut self, from: From, offset: u32, size: u16, k: u32, mask: u32) -> Code {
        self.compare(JEQ, (from, offset, size), mask, k)
    }

    /// Equal to a string of octets, compared from its end in the largest steps.
    pub(super) fn bytes(&mut self, from: From, offset: u32, bytes: &[u8]) -> Code {
        let mut all: Option<Code> = None;
        let mut left = bytes;
        while !left.is_empty() {
            let step = match left.len() {
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
            let (before, tail) = left.split_at(left.len() - step);
            let k = tail.iter().fold(0u32, |k, byte| k << 8 | u32::from(*byte));
            let size = [B, H, W].get(step / 2).copied().unwrap_or(W);
            let at = offset.wrapping_add(u32::try_from(before.len()).unwrap_or_default());
            let part = self.equal(from, at, size, k);
            all = Some(match all {
                Some(all) => self.graph.and(all, part),
                None => part,
            });
            left = before;
        }
        all.unwrap_or_else(|| self.graph.constant(true))
    }

    pub(super) fn and(&mut self, a: Code, b: Code) -> Code {
        self.graph.and(a, b)
    }

    pub(super) fn or(&mut self, a: Code, b: Code) -> Code {
        self.graph.or(a, b)
    }

    pub(super) fn not(&mut self, code: Code) -> Code {
        self.graph.not(code)
    }

    /// The frame has a length where its type would stand.
    pub(super) fn has_length(&mut self) -> Code {
        let above = self.compare(JGT, (From::Type, 0, H), u32::MAX, ETHER_MTU);
        self.not(above)
    }

    fn snap(&mut self, organisation: u32, kind: u32) -> Code {
        let [_, a, b, c] = organisation.to_be_bytes();
        let [_, _, high, low] = kind.to_be_bytes();
        self.bytes(From::Llc, 0, &[0xaa, 0xaa, 0x03, a, b, c, high, low])
    }

    /// The payload of the link layer is `proto`: an EtherType, or a service access point.
    pub(super) fn link_type(&mut self, proto: u32) -> Made {
        if self.labels > 0 {
            return self.label_type(proto);
        }
        Ok(match self.link {
            link::ETHERNET => self.ether_type(proto),
            link::LINUX_SLL => self.cooked_type(proto),
            link::RAW => match proto {
                ETHER_IP => self.masked(From::Link, 0, B, 0x40, 0xf0),
                ETHER_IP6 => self.masked(From::Link, 0, B, 0x60, 0xf0),
                _ => self.graph.constant(false),
            },
            link::IPV4 => self.graph.constant(proto == ETHER_IP),
            link::IPV6 => self.graph.constant(proto == ETHER_IP6),
            link::PPP | link::PPP_HDLC | link::PPP_ETHER => self.equal(From::Type, 0, H, ppp_type(proto)),
            link::C_HDLC if proto == SAP_ISO => self.equal(From::Type, 0, H, SAP_ISO << 8 | SAP_ISO),
            link::NULL | link::LOOP => self.family(proto),
            _ => self.equal(From::Type, 0, H, proto),
        })
    }

    /// The address family of a loopback header. In a file IPv6 has the number of one of the BSDs, which differ.
    fn family(&mut self, proto: u32) -> Code {
        const NETBSD: u32 = 24;
        const FREEBSD: u32 = 28;
        const DARWIN: u32 = 30;
        match proto {
            ETHER_IP => self.one_family(AF_INET),
            ETHER_IP6 if self.is_file() => {
                let netbsd = self.one_family(NETBSD);
                let freebsd = self.one_family(FREEBSD);
                let either = self.or(netbsd, freebsd);
                let darwin = self.one_family(DARWIN);
                self.or(darwin, either)
            }
            ETHER_IP6 => self.one_family(AF_INET6),
            _ => self.graph.constant(false),
        }
    }

    /// In network order, or in the order of whoever wrote the file.
    fn one_family(&mut self, family: u32) -> Code {
        let swapped = matches!(self.source, Source::File { swapped: true });
        let k = match (self.link, swapped) {
            (link::LOOP, _) => family,
            (_, true) => family.swap_bytes().to_be(),
            _ => family.to_be(),
        };
        self.equal(From::Link, 0, W, k)
    }

    fn ether_type(&mut self, proto: u32) -> Code {
        match proto {
            SAP_ISO | SAP_IP | SAP_NETBEUI => {
                let length = self.has_length();
                let saps = self.equal(From::Llc, 0, H, proto << 8 | proto);
                self.and(length, saps)
            }
            SAP_IPX => {
                let novell = self.novell();
                let length = self.has_length();
                let inside = self.and(length, novell);
                let outside = self.equal(From::Type, 0, H, ETHER_IPX);
                self.or(outside, inside)
            }
            ETHER_ATALK | ETHER_AARP => {
                let length = self.has_length();
                let snap = self.apple_snap(proto);
                let inside = self.and(length, snap);
                let outside = self.equal(From::Type, 0, H, proto);
                self.or(outside, inside)
            }
            0..=ETHER_MTU => {
                let length = self.has_length();
                let sap = self.equal(From::Llc, 0, B, proto);
                self.and(length, sap)
            }
            _ => self.equal(From::Type, 0, H, proto),
        }
    }

    /// IPX behind 802.2: with SNAP, by its service access point, or straight behind the length.
    fn novell(&mut self) -> Code {
        let sap = self.equal(From::Llc, 0, B, SAP_IPX);
        let bare = self.equal(From::Llc, 0, H, 0xffff);
        let plain = self.or(sap, bare);
        let snap = self.snap(0, ETHER_IPX);
        self.or(snap, plain)
    }

    fn apple_snap(&mut self, proto: u32) -> Code {
        if proto == ETHER_ATALK { self.snap(0x08_0007, ETHER_ATALK) } else { self.snap(0, ETHER_AARP) }
    }

    /// Linux cooked version 1: type 4 announces 802.2, type 1 a frame of Novell's.
    fn cooked_type(&mut self, proto: u32) -> Code {
        match proto {
            SAP_ISO | SAP_IP | SAP_NETBEUI => {
                let llc = self.equal(From::Type, 0, H, 4);
                let saps = self.equal(From::Llc, 0, H, proto << 8 | proto);
                self.and(llc, saps)
            }
            SAP_IPX => {
                let sap = self.equal(From::Llc, 0, B, SAP_IPX);
                let snap = self.snap(0, ETHER_IPX);
                let either = self.or(sap, snap);
                let llc = self.equal(From::Type, 0, H, 4);
                let inside = self.and(llc, either);
                let bare = self.equal(From::Type, 0, H, 1);
                let inside = self.or(bare, inside);
                let outside = self.equal(From::Type, 0, H, ETHER_IPX);
                self.or(outside, inside)
            }
            ETHER_ATALK | ETHER_AARP => {
                let llc = self.equal(From::Type, 0, H, 4);
                let snap = self.apple_snap(proto);
                let inside = self.and(llc, snap);
                let outside = self.equal(From::Type, 0, H, proto);
                self.or(outside, inside)
            }
            0..=ETHER_MTU => {
                let llc = self.equal(From::Type, 0, H, 4);
                let sap = self.equal(From::Llc, 0, B, proto);
                self.and(llc, sap)
            }
            _ => self.equal(From::Type, 0, H, proto),
        }
    }

    /// A protocol by its own name alone.
    pub(super) fn abbreviation(&mut self, proto: Proto) -> Made {
        use Proto as P;
        let ether = |proto| match proto {
            P::Ip => ETHER_IP,
            P::Arp => ETHER_ARP,
            P::Rarp => ETHER_RARP,
            P::Atalk => ETHER_ATALK,
            P::Aarp => ETHER_AARP,
            P::Decnet => ETHER_DECNET,
            P::Sca => 0x6007,
            P::Lat => 0x6004,
            P::Mopdl => 0x6001,
            P::Moprc => 0x6002,
            P::Ip6 => ETHER_IP6,
            P::Iso => SAP_ISO,
            P::Stp => SAP_STP,
            P::Ipx => SAP_IPX,
            P::Netbeui => SAP_NETBEUI,
            _ => u32::MAX,
        };
        match proto {
            P::Sctp => self.protocol(132, P::Default),
            P::Tcp => self.protocol(6, P::Default),
            P::Udp => self.protocol(17, P::Default),
            P::Icmp => self.protocol(1, P::Ip),
            P::Igmp => self.protocol(2, P::Ip),
            P::Igrp => self.protocol(9, P::Ip),
            P::Pim => self.protocol(103, P::Default),
            P::Vrrp | P::Carp => self.protocol(112, P::Ip),
            P::Icmp6 => self.protocol(58, P::Ip6),
            P::Ah => self.protocol(51, P::Default),
            P::Esp => self.protocol(50, P::Default),
            P::Esis => self.protocol(0x82, P::Iso),
            P::Isis => self.protocol(0x83, P::Iso),
            P::Clnp => self.protocol(0x81, P::Iso),
            P::L1 => self.isis(&[15, 17, 18, 24, 26]),
            P::L2 => self.isis(&[16, 17, 20, 25, 27]),
            P::Iih => self.isis(&[15, 16, 17]),
            P::Lsp => self.isis(&[18, 20]),
            P::Snp => self.isis(&[24, 25, 26, 27]),
            P::Csnp => self.isis(&[24, 25]),
            P::Psnp => self.isis(&[26, 27]),
            P::Link => Err(FilterError::new("link layer applied in wrong context")),
            P::Radio => Err(FilterError::new("'radio' is not a valid protocol type")),
            P::Default | P::Undefined => Err(FilterError::new("syntax error in filter expression")),
            other => self.link_type(ether(other)),
        }
    }

    /// Any of some kinds of IS-IS packets. The first two stand in their order, each further one before all others.
    fn isis(&mut self, kinds: &[u32]) -> Made {
        let mut any: Option<Code> = None;
        for (index, kind) in kinds.iter().enumerate() {
            let one = self.protocol(*kind, Proto::Isis)?;
            any = Some(match any {
                None => one,
                Some(any) if index == 1 => self.or(any, one),
                Some(any) => self.or(one, any),
            });
        }
        Ok(any.unwrap_or_else(|| self.graph.constant(false)))
    }
}

/// How PPP numbers the protocol (RFC 1661, IANA's registry of PPP DLL protocol numbers).
fn ppp_type(proto: u32) -> u32 {
    match proto {
        ETHER_IP => 0x0021,
        ETHER_IP6 => 0x0057,
        ETHER_DECNET => 0x0027,
        ETHER_ATALK => 0x0029,
        0x0600 => 0x0025,
        SAP_ISO => 0x0023,
        SAP_STP => 0x0031,
        SAP_IPX => 0x002b,
        other => other,
    }
}

/// The name of a link-layer type in messages.
pub(super) fn link_name(link: u32) -> &'static str {
    match link {
        link::NULL => "BSD loopback",
        link::ETHERNET => "Ethernet",
        link::PPP => "PPP",
        link::PPP_HDLC => "PPP over serial",
        link::PPP_ETHER => "PPPoE",
        link::RAW => "Raw IP",
        link::C_HDLC => "Cisco HDLC",
        link::LOOP => "OpenBSD loopback",
        link::LINUX_SLL => "Linux cooked v1",
        link::IPV4 => "Raw IPv4",
        link::IPV6 => "Raw IPv6",
        _ => "Linux cooked v2",
    }
}
