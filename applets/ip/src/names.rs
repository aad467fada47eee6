//! Numbers that have names: in the kernel's headers, and in /etc/iproute2 where an administrator adds some.

use std::collections::BTreeMap;
use std::fs;

/// Names known without any file (linux/rtnetlink.h).
const TABLES: &[(u32, &str)] = &[(0, "unspec"), (253, "default"), (254, "main"), (255, "local")];
const PROTOCOLS: &[(u32, &str)] = &[
    (0, "unspec"),
    (1, "redirect"),
    (2, "kernel"),
    (3, "boot"),
    (4, "static"),
    (8, "gated"),
    (9, "ra"),
    (10, "mrt"),
    (11, "zebra"),
    (12, "bird"),
    (13, "dnrouted"),
    (14, "xorp"),
    (15, "ntk"),
    (16, "dhcp"),
    (18, "keepalived"),
    (42, "babel"),
    (99, "openr"),
    (186, "bgp"),
    (187, "isis"),
    (188, "ospf"),
    (189, "rip"),
    (192, "eigrp"),
];
const SCOPES: &[(u32, &str)] = &[(0, "global"), (200, "site"), (253, "link"), (254, "host"), (255, "nowhere")];
const KINDS: &[&str] = &[
    "none",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
    "xresolve",
];

/// The tables of names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// `-N`: numbers only.
    pub(crate) numeric: bool,
    tables: BTreeMap<u32, String>,
    protocols: BTreeMap<u32, String>,
    scopes: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
    fields: BTreeMap<u32, String>,
    realms: BTreeMap<u32, String>,
}

impl Names {
    /// Those of the headers and of /etc/iproute2, where it exists.
    pub(crate) fn load(numeric: bool) -> Names {
        let with = |builtin: &[(u32, &str)], file: &str| {
            let mut map: BTreeMap<u32, String> = builtin.iter().map(|(id, name)| (*id, (*name).to_owned())).collect();
            read_into(&mut map, &format!("/etc/iproute2/{file}"));
            let mut extra: Vec<_> = fs::read_dir(format!("/etc/iproute2/{file}.d"))
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
                .collect();
            extra.sort();
            for path in extra {
                read_into(&mut map, &path.to_string_lossy());
            }
            map
        };
        Names {
            numeric,
            tables: with(TABLES, "rt_tables"),
            protocols: with(PROTOCOLS, "rt_protos"),
            scopes: with(SCOPES, "rt_scopes"),
            groups: with(&[(0, "default")], "group"),
            fields: with(&[], "rt_dsfield"),
            realms: with(&[(0, "unknown")], "rt_realms"),
        }
    }

    fn name(&self, map: &BTreeMap<u32, String>, id: u32) -> String {
        match map.get(&id) {
            Some(name) if !self.numeric => name.clone(),
            _ => id.to_string(),
        }
    }

    pub(crate) fn table(&self, id: u32) -> String {
        self.name(&self.tables, id)
    }

    pub(crate) fn protocol(&self, id: u32) -> String {
        self.name(&self.protocols, id)
    }

    pub(crate) fn scope(&self, id: u32) -> String {
        self.name(&self.scopes, id)
    }

    pub(crate) fn group(&self, id: u32) -> String {
        self.name(&self.groups, id)
    }

    pub(crate) fn realm(&self, id: u32) -> String {
        self.name(&self.realms, id)
    }

    /// Type of service: a name, or 0x with at least two digits.
    pub(crate) fn field(&self, id: u8) -> String {
        match self.fields.get(&u32::from(id)) {
            Some(name) if !self.numeric => name.clone(),
            _ => format!("0x{id:02x}"),
        }
    }

    pub(crate) fn table_id(&self, word: &str) -> Option<u32> {
        id(&self.tables, word)
    }

    pub(crate) fn protocol_id(&self, word: &str) -> Option<u32> {
        id(&self.protocols, word)
    }

    pub(crate) fn scope_id(&self, word: &str) -> Option<u32> {
        id(&self.scopes, word)
    }

    pub(crate) fn group_id(&self, word: &str) -> Option<u32> {
        id(&self.groups, word)
    }

    pub(crate) fn realm_id(&self, word: &str) -> Option<u32> {
        id(&self.realms, word)
    }

    pub(crate) fn field_id(&self, word: &str) -> Option<u8> {
        self.fields
            .iter()
            .find(|(_, name)| *name == word)
            .map(|(id, _)| *id)
            .or_else(|| u32::from_str_radix(word.trim_start_matches("0x"), 16).ok())
            .and_then(|id| u8::try_from(id).ok())
    }
}

fn id(map: &BTreeMap<u32, String>, word: &str) -> Option<u32> {
    map.iter().find(|(_, name)| *name == word).map(|(id, _)| *id).or_else(|| crate::words::number(word))
}

fn read_into(map: &mut BTreeMap<u32, String>, path: &str) {
    let Ok(text) = fs::read_to_string(path) else { return };
    for line in text.lines() {
        let mut parts = line.split_whitespace();
        if let (Some(id), Some(name)) = (parts.next().and_then(crate::words::number), parts.next()) {
            map.insert(id, netkit_core::text::printable(name));
        }
    }
}

/// RTN_*.
pub(crate) fn kind(id: u8) -> String {
    KINDS.get(usize::from(id)).map_or_else(|| id.to_string(), |name| (*name).to_owned())
}

/// The number of a route's type.
pub(crate) fn kind_id(word: &str) -> Option<u8> {
    KINDS.iter().position(|name| *name == word).or_else(|| word.parse().ok()).and_then(|at| u8::try_from(at).ok())
}

/// Hardware types (linux/if_arp.h).
pub(crate) fn arp_type(id: u16) -> String {
    let name = match id {
        0 => "generic",
        1 => "ether",
        8 => "atm",
        24 => "ieee1394",
        32 => "infiniband",
        256 => "slip",
        280 => "can",
        290 => "mctp",
        512 => "ppp",
        519 => "rawip",
        768 => "ipip",
        769 => "tunnel6",
        772 => "loopback",
        776 => "sit",
        778 => "gre",
        801 => "ieee802.11",
        802 => "ieee802.11/prism",
        803 => "ieee802.11/radiotap",
        804 => "ieee802.15.4",
        820 => "phonet",
        821 => "phonet_pipe",
        822 => "caif",
        823 => "gre6",
        824 => "netlink",
        825 => "6lowpan",
        826 => "vsockmon",
        0xfffe => "none",
        0xffff => "void",
        other => return format!("[{other}]"),
    };
    name.to_owned()
}

/// A link-layer address: an IP address where the device is a tunnel, else octets.
pub(crate) fn hardware_address(bytes: &[u8], arp: u16) -> String {
    let ip = netkit_nl::Attr { kind: 0, value: bytes }.ip();
    match (arp, ip) {
        (768 | 776 | 778, Some(ip)) if ip.is_ipv4() => crate::words::ip_text(ip),
        (769 | 823, Some(ip)) if ip.is_ipv6() => crate::words::ip_text(ip),
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"),
    }
}

/// IP protocols of a host without /etc/protocols; only those that routing rules and transforms name.
const IP_PROTOCOLS: &[(u8, &str)] = &[
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipencap"),
    (6, "tcp"),
    (17, "udp"),
    (41, "ipv6"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "ipv6-icmp"),
    (132, "sctp"),
];

/// Name and number of each line of protocols(5).
fn protocols_file() -> Vec<(u8, String)> {
    let text = fs::read_to_string("/etc/protocols").unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let name = words.next()?;
        Some((words.next()?.parse().ok()?, netkit_core::text::printable(name)))
    };
    text.lines().filter_map(line).collect()
}

/// The name of an IP protocol, as getprotobynumber(3) finds it.
pub(crate) fn ip_protocol(id: u8) -> Option<String> {
    let listed = protocols_file().into_iter().find(|(known, _)| *known == id).map(|(_, name)| name);
    listed.or_else(|| IP_PROTOCOLS.iter().find(|(known, _)| *known == id).map(|(_, name)| (*name).to_owned()))
}

/// The number of an IP protocol that is named or numbered.
pub(crate) fn ip_protocol_id(word: &str) -> Option<u8> {
    let listed = protocols_file().into_iter().find(|(_, name)| name == word).map(|(id, _)| id);
    let known = || IP_PROTOCOLS.iter().find(|(_, name)| *name == word).map(|(id, _)| *id);
    listed.or_else(known).or_else(|| word.parse().ok())
}
