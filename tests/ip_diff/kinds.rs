//! Links of kinds that the running kernel may lack, as messages in the form `ip monitor file` reads: both programs are
//! shown the same bytes, so their words for every kind can be compared on any kernel.

use std::net::{IpAddr, Ipv4Addr};

const MAC: &[u8] = &[2, 0, 0, 0, 0, 1];

/// Attributes being written.
#[derive(Clone, Default)]
struct Attrs(Vec<u8>);

impl Attrs {
    fn raw(mut self, kind: u16, value: &[u8]) -> Attrs {
        self.0.extend_from_slice(&u16::try_from(value.len() + 4).unwrap_or(u16::MAX).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn u8(self, kind: u16, value: u8) -> Attrs {
        self.raw(kind, &[value])
    }

    fn u16(self, kind: u16, value: u16) -> Attrs {
        self.raw(kind, &value.to_ne_bytes())
    }

    fn be16(self, kind: u16, value: u16) -> Attrs {
        self.raw(kind, &value.to_be_bytes())
    }

    fn u32(self, kind: u16, value: u32) -> Attrs {
        self.raw(kind, &value.to_ne_bytes())
    }

    fn be32(self, kind: u16, value: u32) -> Attrs {
        self.raw(kind, &value.to_be_bytes())
    }

    fn text(self, kind: u16, value: &str) -> Attrs {
        self.raw(kind, &[value.as_bytes(), &[0]].concat())
    }

    fn ip(self, kind: u16, value: &str) -> Attrs {
        self.raw(kind, &octets(value))
    }

    fn flag(self, kind: u16) -> Attrs {
        self.raw(kind, &[])
    }

    fn nest(self, kind: u16, inner: Attrs) -> Attrs {
        self.raw(kind, &inner.0)
    }
}

fn octets(text: &str) -> Vec<u8> {
    match text.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// One link.
struct Link {
    name: &'static str,
    arp: u16,
    address: Vec<u8>,
    broadcast: Vec<u8>,
    flags: u32,
    /// IFLA_LINKINFO.
    info: Attrs,
    extra: Attrs,
}

impl Link {
    fn ether(name: &'static str, kind: &str, data: Attrs) -> Link {
        let info = Attrs::default().text(1, kind);
        let info = if data.0.is_empty() { info } else { info.nest(2, data) };
        let (address, broadcast) = (MAC.to_vec(), vec![0xff; 6]);
        Link { name, arp: 1, address, broadcast, flags: 0x1043, info, extra: Attrs::default() }
    }

    /// A tunnel between two addresses, of a hardware type of its own.
    fn tunnel(name: &'static str, kind: &str, arp: u16, ends: (&str, &str), data: Attrs) -> Link {
        let flags = if octets(ends.1).iter().all(|byte| *byte == 0) { 0x81 } else { 0x91 };
        Link { arp, address: octets(ends.0), broadcast: octets(ends.1), flags, ..Link::ether(name, kind, data) }
    }

    fn port(name: &'static str, kind: &str, data: Attrs) -> Link {
        let info = Attrs::default().text(1, "veth").text(4, kind).nest(5, data);
        Link { info, ..Link::ether(name, "veth", Attrs::default()) }
    }

    fn message(&self, index: i32) -> Vec<u8> {
        let mut attrs = Attrs::default()
            .text(3, self.name)
            .u32(4, 1500)
            .text(6, "noqueue")
            .u8(16, 6)
            .u8(17, 0)
            .u32(27, 0)
            .u32(13, 1000)
            .u32(30, 0);
        if !self.address.is_empty() {
            attrs = attrs.raw(1, &self.address).raw(2, &self.broadcast);
        }
        attrs.0.extend_from_slice(&self.extra.0);
        let attrs = attrs.nest(18, self.info.clone());
        let mut payload = vec![0, 0];
        payload.extend_from_slice(&self.arp.to_ne_bytes());
        payload.extend_from_slice(&index.to_ne_bytes());
        payload.extend_from_slice(&self.flags.to_ne_bytes());
        payload.extend_from_slice(&[0; 4]);
        payload.extend_from_slice(&attrs.0);
        let mut out = u32::try_from(payload.len() + 16).unwrap_or(u32::MAX).to_ne_bytes().to_vec();
        out.extend_from_slice(&16u16.to_ne_bytes()); // RTM_NEWLINK
        out.resize(16, 0);
        out.extend_from_slice(&payload);
        out
    }
}

/// Every kind with its options on and off.
pub(super) fn recording() -> Vec<u8> {
    let none = Attrs::default;
    let mut links = vec![Link::ether("dummy0", "dummy", none()), Link::ether("future0", "brandnew", none().u32(1, 1))];
    links.extend(vlans());
    links.extend(bonds());
    links.extend(ip_tunnels());
    links.extend(gre_tunnels());
    links.extend(ip6_tunnels());
    links.extend(overlays());
    links.extend([
        Link::ether("vrf0", "vrf", none().u32(1, 10)),
        Link::port("port1", "vrf", none().u32(1, 10)),
        Link { arp: 0xfffe, address: Vec::new(), ..Link::ether("wg0", "wireguard", none()) },
        Link::ether("ipvlan0", "ipvlan", none().u16(1, 1).u16(2, 1)),
        Link::ether("ipvlan1", "ipvlan", none().u16(1, 0).u16(2, 0)),
        Link::ether("ipvtap1", "ipvtap", none().u16(1, 2).u16(2, 2)),
        Link::ether(
            "mac0",
            "macvlan",
            none()
                .u32(1, 16)
                .u16(2, 1)
                .nest(5, none().raw(4, &[2, 0, 0, 0, 0, 7]).raw(4, &[2, 0, 0, 0, 0, 8]))
                .u32(6, 2)
                .u32(8, 2)
                .u32(7, 1000),
        ),
        Link::ether("mac1", "macvlan", none().u32(1, 1).u16(2, 0)),
        Link::ether("mac2", "macvlan", none().u32(1, 8).u16(2, 2)),
        Link::ether("xfrm0", "xfrm", none().u32(1, 1).u32(2, 7)),
    ]);
    let mut odd = Link::ether("odd0", "dummy", none());
    odd.flags = 0x11043 | 0x100 | 0x200 | 0x400 | 0x20000 | 0x40000 | 0x8000;
    odd.extra = none()
        .text(20, "an alias")
        .raw(54, &[2, 0, 0, 0, 0, 0x99])
        .u8(39, 1)
        .nest(52, none().text(53, "alt1").text(53, "alt2"))
        .u32(10, 100)
        .u32(37, 77)
        .text(38, "p0")
        .raw(34, &[1, 2, 3])
        .raw(36, &[1, 2])
        .text(56, "0000:00:03.0")
        .text(57, "pci")
        .u32(61, 1)
        .u32(50, 68)
        .u32(51, 9000)
        .u32(31, 4)
        .u32(32, 4)
        .u32(41, 65536)
        .u32(40, 65535)
        .nest(26, none().nest(10, none().u8(8, 1)));
    links.push(odd);
    (1000..).zip(&links).flat_map(|(index, link)| link.message(index)).collect()
}

fn vlans() -> Vec<Link> {
    let none = Attrs::default;
    let pair = |a: u32, b: u32| [a.to_ne_bytes(), b.to_ne_bytes()].concat();
    vec![
        Link::ether(
            "vlan7",
            "vlan",
            none()
                .u16(1, 7)
                .raw(2, &pair(0x1f, u32::MAX))
                .be16(5, 0x8100)
                .nest(3, none().raw(1, &pair(1, 2)))
                .nest(4, none().raw(1, &pair(3, 4)).raw(1, &pair(5, 6))),
        ),
        Link::ether("vlan8", "vlan", none().u16(1, 8).raw(2, &pair(1, u32::MAX)).be16(5, 0x88a8)),
        Link::ether("vlan9", "vlan", none().u16(1, 9)),
    ]
}

fn bonds() -> Vec<Link> {
    let none = Attrs::default;
    vec![
        Link::ether(
            "bond0",
            "bond",
            none()
                .u8(1, 1)
                .u32(2, 987)
                .u32(3, 100)
                .u32(4, 200)
                .u32(5, 200)
                .u8(6, 1)
                .u32(7, 0)
                .u32(9, 2)
                .u32(10, 0)
                .u32(11, 986)
                .u8(12, 1)
                .u8(13, 2)
                .u8(14, 1)
                .u32(15, 1)
                .u8(16, 1)
                .u8(17, 0)
                .u32(18, 1)
                .u32(19, 0)
                .u32(20, 1)
                .u8(21, 1)
                .u8(22, 0)
                .u8(27, 1)
                .u32(28, 0)
                .u8(29, 0)
                .u8(30, 2),
        ),
        Link::ether(
            "bond1",
            "bond",
            none()
                .u8(1, 4)
                .u32(3, 100)
                .u8(21, 0)
                .u8(22, 2)
                .nest(23, none().u16(1, 1).u16(2, 2).u16(3, 9).u16(4, 1).raw(5, &[1, 2, 3, 4, 5, 6]))
                .u16(24, 65535)
                .u16(25, 3)
                .raw(26, &[2, 0, 0, 0, 0, 7])
                .nest(8, none().ip(0, "10.0.0.1").ip(1, "10.0.0.2"))
                .u8(14, 3),
        ),
        Link::port(
            "port0",
            "bond",
            none()
                .u8(1, 0)
                .u8(2, 0)
                .u32(3, 5)
                .raw(4, &[2, 0, 0, 0, 0, 5])
                .u16(5, 0)
                .u16(6, 1)
                .u8(7, 63)
                .u16(8, 61)
                .u32(9, 3),
        ),
        Link::port("port2", "bond", none().u8(1, 1).u8(2, 2).u32(3, 0)),
    ]
}

fn ip_tunnels() -> Vec<Link> {
    let none = Attrs::default;
    let ends = ("10.0.0.1", "10.0.0.2");
    let base = || none().u32(1, 0).ip(2, ends.0).ip(3, ends.1).u8(4, 64).u8(5, 0).u8(10, 1);
    let no_encap = |attrs: Attrs| attrs.u16(15, 0).u16(16, 0).be16(17, 0).be16(18, 0).u32(20, 0);
    vec![
        Link::tunnel("ipip0", "ipip", 768, ends, no_encap(base().u8(9, 4))),
        Link::tunnel(
            "ipip1",
            "ipip",
            768,
            ("10.0.0.1", "0.0.0.0"),
            none()
                .u32(1, 985)
                .ip(2, "10.0.0.1")
                .ip(3, "0.0.0.0")
                .u8(4, 0)
                .u8(5, 0x10)
                .u8(10, 0)
                .u8(9, 0)
                .u16(15, 1)
                .u16(16, 5)
                .be16(17, 99)
                .be16(18, 98)
                .u32(20, 7),
        ),
        Link::tunnel("ipip2", "ipip", 768, ends, no_encap(base().u8(5, 1).u8(9, 137)).flag(19)),
        Link::tunnel(
            "sit0",
            "sit",
            776,
            ends,
            no_encap(base().u8(9, 41).u16(8, 1).ip(11, "2002::").u16(13, 16).u32(12, 0).u16(14, 0)),
        ),
        Link::tunnel(
            "sit1",
            "sit",
            776,
            ends,
            no_encap(base().u8(9, 41).u16(8, 0).ip(11, "2001:db8::").u16(13, 32).ip(12, "10.0.0.0").u16(14, 8)),
        ),
        Link::tunnel("vti0", "vti", 768, ends, none().be32(2, 5).be32(3, 6).ip(4, ends.0).ip(5, ends.1).u32(6, 3)),
    ]
}

fn gre_tunnels() -> Vec<Link> {
    let none = Attrs::default;
    let ends = ("10.0.0.1", "10.0.0.2");
    let six = ("2001:db8::1", "2001:db8::2");
    let no_encap = |attrs: Attrs| attrs.u16(14, 0).u16(15, 0).be16(16, 0).be16(17, 0).u32(20, 0);
    vec![
        Link::tunnel(
            "gre0",
            "gre",
            778,
            ends,
            no_encap(
                none()
                    .u32(1, 0)
                    .be16(2, 0x2000)
                    .be16(3, 0x3000)
                    .be32(4, 5)
                    .be32(5, 0x0102_0304)
                    .ip(6, ends.0)
                    .ip(7, ends.1)
                    .u8(8, 0)
                    .u8(9, 0)
                    .u8(10, 1),
            ),
        ),
        Link::ether(
            "gretap0",
            "gretap",
            none()
                .u32(1, 984)
                .be16(2, 0xb000)
                .be16(3, 0xb000)
                .be32(4, 5)
                .be32(5, 6)
                .ip(6, ends.0)
                .ip(7, ends.1)
                .u8(8, 9)
                .u8(9, 1)
                .u8(10, 0)
                .u16(14, 2)
                .u16(15, 7)
                .be16(16, 11)
                .be16(17, 12)
                .u8(19, 1)
                .u32(20, 8)
                .flag(18),
        ),
        Link::tunnel(
            "ip6gre0",
            "ip6gre",
            823,
            six,
            no_encap(
                none()
                    .u32(1, 0)
                    .be16(2, 0x2000)
                    .be16(3, 0)
                    .be32(4, 5)
                    .be32(5, 0)
                    .ip(6, six.0)
                    .ip(7, six.1)
                    .u8(8, 64)
                    .u8(11, 4)
                    .be32(12, 0x0011_2345)
                    .u32(13, 2),
            ),
        ),
    ]
}

fn ip6_tunnels() -> Vec<Link> {
    let none = Attrs::default;
    let six = ("2001:db8::1", "2001:db8::2");
    let base = |index: u32| none().u32(1, index).ip(2, six.0).ip(3, six.1);
    let no_encap = |attrs: Attrs| attrs.u16(15, 0).u16(16, 0).be16(17, 0).be16(18, 0);
    vec![
        Link::tunnel(
            "ip6tnl0",
            "ip6tnl",
            769,
            six,
            no_encap(base(0).u8(4, 64).u8(6, 4).be32(7, 0).u32(8, 0).u8(9, 0).u32(20, 0)),
        ),
        Link::tunnel(
            "ip6tnl1",
            "ip6tnl",
            769,
            six,
            no_encap(base(983).u8(4, 0).u8(6, 0).be32(7, 0x0021_2345).u32(8, 0x79).u8(9, 41).u32(20, 9)),
        ),
        Link::tunnel(
            "ip6tnl2",
            "ip6tnl",
            769,
            six,
            no_encap(base(0).u8(4, 1).u8(6, 0).be32(7, 0).u32(8, 0x6).u8(9, 4).u32(20, 9)),
        ),
    ]
}

fn overlays() -> Vec<Link> {
    let none = Attrs::default;
    let ports = |low: u16, high: u16| [low.to_be_bytes(), high.to_be_bytes()].concat();
    vec![
        Link::ether(
            "geneve0",
            "geneve",
            none()
                .u32(1, 77)
                .ip(2, "10.0.0.2")
                .u8(3, 0)
                .u8(4, 0)
                .be16(5, 6081)
                .u8(8, 0)
                .u8(9, 0)
                .u8(10, 0)
                .be32(11, 0)
                .u8(12, 0),
        ),
        Link::ether(
            "geneve1",
            "geneve",
            none()
                .u32(1, 78)
                .ip(7, "2001:db8::2")
                .u8(3, 7)
                .u8(4, 1)
                .be16(5, 6081)
                .flag(6)
                .u8(8, 1)
                .u8(9, 1)
                .u8(10, 1)
                .be32(11, 0x1234)
                .u8(12, 1)
                .u8(13, 1)
                .flag(14),
        ),
        Link::ether(
            "vx1",
            "vxlan",
            none()
                .u32(1, 7)
                .ip(2, "239.1.1.1")
                .u32(3, 1)
                .ip(4, "10.0.0.1")
                .u8(5, 1)
                .u8(6, 1)
                .u8(7, 0)
                .u32(8, 0)
                .u32(9, 0)
                .raw(10, &ports(1000, 2000))
                .u8(11, 1)
                .u8(12, 1)
                .u8(13, 1)
                .u8(14, 1)
                .be16(15, 4789)
                .u8(18, 0)
                .u8(19, 1)
                .u8(20, 1)
                .u8(21, 1)
                .u8(22, 1)
                .flag(23)
                .flag(27)
                .be32(26, 0x12345)
                .u8(29, 1)
                .u8(28, 1)
                .u8(25, 0),
        ),
        Link::ether(
            "vx2",
            "vxlan",
            none()
                .u32(1, 8)
                .ip(16, "2001:db8::1")
                .ip(17, "2001:db8::5")
                .u8(5, 0)
                .u8(6, 0x10)
                .u8(7, 1)
                .u32(8, 300)
                .u32(9, 100)
                .raw(10, &ports(0, 0))
                .u8(11, 0)
                .be16(15, 8472)
                .u8(18, 1)
                .u8(29, 2)
                .u8(28, 0)
                .u8(25, 1),
        ),
    ]
}
