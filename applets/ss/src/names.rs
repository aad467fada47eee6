//! Names of numbers: services, IP protocols, ethertypes, netlink protocols, interfaces.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

/// Transport names that /etc/services tells apart.
pub(crate) const TCP: &str = "tcp";
pub(crate) const UDP: &str = "udp";

/// Ports by name and names by port.
#[derive(Debug, Default)]
pub(crate) struct Services {
    /// Ports the kernel hands out, first and last.
    pub(crate) ephemeral: (i64, i64),
    by_port: HashMap<(u16, bool), String>,
    by_name: HashMap<(String, bool), u16>,
}

/// Used where no /etc/services exists, as in an image from scratch: names of the IANA registry that one meets in a
/// cluster, with the transports they run on.
const BUILT_IN: &str = "\
ftp 21 t\nssh 22 t\ntelnet 23 t\nsmtp 25 t\ndomain 53 tu\nbootps 67 u\nbootpc 68 u\ntftp 69 u\nhttp 80 t\nkerberos 88 tu
pop3 110 t\nsunrpc 111 tu\nntp 123 u\nimap2 143 t\nsnmp 161 tu\nsnmp-trap 162 tu\nbgp 179 t\nldap 389 tu\nhttps 443 tu
microsoft-ds 445 tu\nsubmission 587 t\nsyslog 514 u\nldaps 636 tu\ndomain-s 853 tu\nrsync 873 t\nimaps 993 t\npop3s 995 t
openvpn 1194 tu\nms-sql-s 1433 t\nradius 1812 u\nmqtt 1883 t\nnfs 2049 tu\nmysql 3306 t\nxmpp-client 5222 t\nmdns 5353 u
postgresql 5432 t\namqps 5671 t\namqp 5672 t\nredis 6379 t\nhttp-alt 8080 tu\n";

impl Services {
    /// The system's table, or the built-in one where there is none.
    pub(crate) fn load() -> Services {
        let mut services = match fs::read_to_string("/etc/services") {
            Ok(text) => Services::parse(&text),
            Err(_) => Services::built_in(),
        };
        services.ephemeral = ephemeral_range();
        services
    }

    /// services(5): name, port/transport, aliases. The first line of a port or name counts.
    fn parse(text: &str) -> Services {
        let mut services = Services::default();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let (Some(name), Some((port, transport))) = (words.next(), words.next().and_then(|w| w.split_once('/')))
            else {
                continue;
            };
            let Ok(port) = port.parse() else { continue };
            if transport != TCP && transport != UDP {
                continue;
            }
            services.add(name, port, transport == UDP);
            for alias in words {
                services.by_name.entry((alias.to_owned(), transport == UDP)).or_insert(port);
            }
        }
        services
    }

    fn built_in() -> Services {
        let mut services = Services::default();
        for line in BUILT_IN.lines() {
            let mut words = line.split(' ');
            if let (Some(name), Some(Ok(port)), Some(on)) = (words.next(), words.next().map(str::parse), words.next()) {
                for udp in [false, true].into_iter().filter(|udp| on.contains(if *udp { 'u' } else { 't' })) {
                    services.add(name, port, udp);
                }
            }
        }
        services
    }

    fn add(&mut self, name: &str, port: u16, udp: bool) {
        self.by_port.entry((port, udp)).or_insert_with(|| name.to_owned());
        self.by_name.entry((name.to_owned(), udp)).or_insert(port);
    }

    pub(crate) fn name(&self, port: u16, udp: bool) -> Option<&str> {
        self.by_port.get(&(port, udp)).map(String::as_str)
    }

    pub(crate) fn port(&self, name: &str, udp: bool) -> Option<u16> {
        self.by_name.get(&(name.to_owned(), udp)).copied()
    }
}

/// The range the kernel takes local ports from; its default when that cannot be read.
pub(crate) fn ephemeral_range() -> (i64, i64) {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut words = text.split_whitespace().map(str::parse);
    match (words.next(), words.next()) {
        (Some(Ok(low)), Some(Ok(high))) => (low, high),
        _ => (32_768, 60_999),
    }
}

/// Names of IP protocols (IANA protocol numbers) as getprotobynumber(3) gives them.
pub(crate) fn ip_protocol(number: u16) -> String {
    if let Ok(text) = fs::read_to_string("/etc/protocols") {
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            if let (Some(name), Some(found)) = (words.next(), words.next())
                && found.parse() == Ok(number)
            {
                return name.to_owned();
            }
        }
    }
    let name = match number {
        1 => "icmp",
        2 => "igmp",
        6 => "tcp",
        17 => "udp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "ipv6-icmp",
        89 => "ospf",
        112 => "vrrp",
        132 => "sctp",
        _ => return format!("ipproto-{number}"),
    };
    name.to_owned()
}

/// Ethertypes (linux/if_ether.h) by the names iproute2 gives them.
const ETHERTYPES: &[(u32, &str)] = &[
    (0x0060, "loop"),
    (0x0200, "pup"),
    (0x0201, "pupat"),
    (0x0800, "ip"),
    (0x0805, "x25"),
    (0x0806, "arp"),
    (0x08ff, "bpq"),
    (0x0a00, "ieeepup"),
    (0x0a01, "ieeepupat"),
    (0x6000, "dec"),
    (0x6001, "dna_dl"),
    (0x6002, "dna_rc"),
    (0x6003, "dna_rt"),
    (0x6004, "lat"),
    (0x6005, "diag"),
    (0x6006, "cust"),
    (0x6007, "sca"),
    (0x8035, "rarp"),
    (0x809b, "atalk"),
    (0x80f3, "aarp"),
    (0x8137, "ipx"),
    (0x86dd, "ipv6"),
    (0x8863, "ppp_disc"),
    (0x8864, "ppp_ses"),
    (0x884c, "atmmpoa"),
    (0x8884, "atmfate"),
    (0x88cc, "LLDP"),
    (0x88e3, "mrp"),
    (0x8847, "mpls_uc"),
    (0x8848, "mpls_mc"),
    (0x88ca, "tipc"),
    (0x8100, "802.1Q"),
    (0x88a8, "802.1ad"),
    (0x88f7, "ptp"),
    (0x22f0, "tsn"),
    (0x0003, "all"),
    (0x0001, "802_3"),
    (0x0002, "ax25"),
    (0x0004, "802_2"),
    (0x0005, "snap"),
    (0x0009, "localtalk"),
];

pub(crate) fn ethertype(number: u32) -> Option<&'static str> {
    ETHERTYPES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// The number of a name, or of a number in C's notation; hexadecimal without `0x` is what iproute2 takes here.
pub(crate) fn ethertype_number(name: &str) -> Option<u32> {
    let known = ETHERTYPES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(number, _)| *number);
    known.or_else(|| {
        let digits = name.strip_prefix("0x").unwrap_or(name);
        u16::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')).map(u32::from)
    })
}

/// Netlink protocols (linux/netlink.h) by the names of iproute2's nl_protos.
const NETLINK: &[(u32, &str)] = &[
    (0, "rtnl"),
    (1, "unused"),
    (2, "usersock"),
    (3, "fw"),
    (4, "tcpdiag"),
    (5, "nflog"),
    (6, "xfrm"),
    (7, "selinux"),
    (8, "iscsi"),
    (9, "audit"),
    (10, "fiblookup"),
    (11, "connector"),
    (12, "nft"),
    (13, "ip6fw"),
    (14, "dec-rt"),
    (15, "uevent"),
    (16, "genl"),
    (18, "scsi-trans"),
    (19, "ecryptfs"),
    (20, "rdma"),
    (21, "crypto"),
];

pub(crate) fn netlink(number: u32) -> Option<&'static str> {
    NETLINK.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

pub(crate) fn netlink_number(name: &str) -> Option<u32> {
    let known = NETLINK.iter().find(|(_, known)| *known == name).map(|(number, _)| *number);
    known.or_else(|| name.parse().ok())
}

/// Interfaces of the namespace that is looked at, asked for once each.
#[derive(Debug, Default)]
pub(crate) struct Interfaces {
    names: HashMap<u32, String>,
    /// /proc/PID/net of another namespace that cannot be entered: its dev_mcast lists indices with names.
    foreign: Option<PathBuf>,
}

impl Interfaces {
    pub(crate) fn of_proc(net: PathBuf) -> Interfaces {
        Interfaces { names: HashMap::new(), foreign: Some(net) }
    }

    /// The name, or `ifN` when there is none by that index.
    pub(crate) fn name(&mut self, index: u32) -> &str {
        if let Some(net) = self.foreign.take() {
            self.names = multicast_table(&fs::read_to_string(net.join("dev_mcast")).unwrap_or_default());
        }
        self.names.entry(index).or_insert_with(|| ask_name(index).unwrap_or_else(|| format!("if{index}")))
    }
}

fn multicast_table(text: &str) -> HashMap<u32, String> {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
    };
    text.lines().filter_map(row).collect()
}

fn ioctl_socket() -> Option<rustix::fd::OwnedFd> {
    use rustix::net::{AddressFamily, SocketType, socket};
    socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()
}

fn ask_name(index: u32) -> Option<String> {
    let name = rustix::net::netdevice::index_to_name(ioctl_socket()?, index).ok()?;
    Some(name)
}

/// The index of an interface of this namespace (netdevice(7), SIOCGIFINDEX).
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    rustix::net::netdevice::name_to_index(ioctl_socket()?, name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_of_a_file() {
        let services = Services::parse("# x\nhttp 80/tcp www # web\nhttp 80/sctp\nodd\ndomain 53/udp\nbad x/tcp\n");
        assert_eq!(services.name(80, false), Some("http"));
        assert_eq!((services.port("www", false), services.port("domain", false)), (Some(80), None));
        assert_eq!(services.port("domain", true), Some(53));
    }

    #[test]
    fn services_without_a_file() {
        let services = Services::built_in();
        assert_eq!((services.port("https", false), services.name(53, true)), (Some(443), Some("domain")));
        assert_eq!(services.name(22, true), None);
        assert_eq!(services.by_name.len(), BUILT_IN.lines().map(|line| line.rsplit(' ').next().unwrap().len()).sum());
    }

    #[test]
    fn numbers_by_name() {
        assert_eq!(
            (ethertype_number("arp"), ethertype_number("0x88cc"), ethertype_number("zz")),
            (Some(0x806), Some(0x88cc), None)
        );
        assert_eq!((netlink_number("genl"), netlink_number("16"), netlink_number("x")), (Some(16), Some(16), None));
        assert!(!ip_protocol(58).is_empty());
    }

    #[test]
    fn interfaces_of_a_foreign_namespace() {
        let table = multicast_table(
            "2    eth0            1     0     01005e000001\n2    eth0  1 0 333300000001\n7 veth0 1 0 x\n",
        );
        assert_eq!(
            (table.get(&2).map(String::as_str), table.get(&7).map(String::as_str)),
            (Some("eth0"), Some("veth0"))
        );
    }
}
