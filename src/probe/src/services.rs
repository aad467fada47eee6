//! Service names and ports (RFC 6335): `/etc/services` where there is one, and the common names of IANA's registry for
//! images that have none.

use std::fs;

use crate::Protocol;

/// Largest file read, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Name, port, and whether it is used over TCP and UDP.
const COMMON: &[(&str, u16, bool, bool)] = &[
    ("tcpmux", 1, true, false),
    ("echo", 7, true, true),
    ("discard", 9, true, true),
    ("systat", 11, true, false),
    ("daytime", 13, true, true),
    ("chargen", 19, true, true),
    ("ftp-data", 20, true, false),
    ("ftp", 21, true, false),
    ("ssh", 22, true, false),
    ("telnet", 23, true, false),
    ("smtp", 25, true, false),
    ("time", 37, true, true),
    ("whois", 43, true, false),
    ("tacacs", 49, true, true),
    ("domain", 53, true, true),
    ("bootps", 67, false, true),
    ("bootpc", 68, false, true),
    ("tftp", 69, false, true),
    ("gopher", 70, true, false),
    ("finger", 79, true, false),
    ("http", 80, true, false),
    ("kerberos", 88, true, true),
    ("pop3", 110, true, false),
    ("sunrpc", 111, true, true),
    ("auth", 113, true, false),
    ("nntp", 119, true, false),
    ("ntp", 123, false, true),
    ("epmap", 135, true, false),
    ("netbios-ns", 137, false, true),
    ("netbios-dgm", 138, false, true),
    ("netbios-ssn", 139, true, false),
    ("imap2", 143, true, false),
    ("snmp", 161, true, true),
    ("snmp-trap", 162, true, true),
    ("bgp", 179, true, false),
    ("irc", 194, true, true),
    ("ldap", 389, true, true),
    ("svrloc", 427, true, true),
    ("https", 443, true, true),
    ("microsoft-ds", 445, true, true),
    ("kpasswd", 464, true, true),
    ("submissions", 465, true, false),
    ("isakmp", 500, false, true),
    ("exec", 512, true, false),
    ("login", 513, true, false),
    ("shell", 514, true, false),
    ("syslog", 514, false, true),
    ("printer", 515, true, false),
    ("route", 520, false, true),
    ("dhcpv6-client", 546, false, true),
    ("dhcpv6-server", 547, false, true),
    ("rtsp", 554, true, true),
    ("nntps", 563, true, false),
    ("submission", 587, true, false),
    ("ipp", 631, true, false),
    ("ldaps", 636, true, true),
    ("domain-s", 853, true, true),
    ("rsync", 873, true, false),
    ("ftps-data", 989, true, false),
    ("ftps", 990, true, false),
    ("telnets", 992, true, false),
    ("imaps", 993, true, false),
    ("pop3s", 995, true, false),
    ("socks", 1080, true, false),
    ("openvpn", 1194, true, true),
    ("ms-sql-s", 1433, true, false),
    ("ms-sql-m", 1434, false, true),
    ("l2f", 1701, false, true),
    ("radius", 1812, true, true),
    ("radius-acct", 1813, true, true),
    ("nfs", 2049, true, true),
    ("iscsi-target", 3260, true, false),
    ("mysql", 3306, true, false),
    ("ms-wbt-server", 3389, true, false),
    ("nut", 3493, true, false),
    ("svn", 3690, true, false),
    ("epmd", 4369, true, false),
    ("ipsec-nat-t", 4500, false, true),
    ("sip", 5060, true, true),
    ("sip-tls", 5061, true, true),
    ("xmpp-client", 5222, true, false),
    ("xmpp-server", 5269, true, false),
    ("mdns", 5353, false, true),
    ("postgresql", 5432, true, false),
    ("amqps", 5671, true, false),
    ("amqp", 5672, true, false),
    ("x11", 6000, true, false),
    ("redis", 6379, true, false),
    ("ircs-u", 6697, true, false),
    ("http-alt", 8080, true, true),
    ("git", 9418, true, false),
];

/// The table in use.
#[derive(Clone, Debug)]
pub struct Services {
    entries: Vec<(String, u16, Protocol)>,
}

impl Services {
    /// `/etc/services` if it can be read, the embedded table otherwise.
    pub fn load() -> Services {
        match fs::read("/etc/services") {
            Ok(mut bytes) => {
                bytes.truncate(MAX_BYTES);
                Services::parse(&String::from_utf8_lossy(&bytes))
            }
            Err(_) => Services::embedded(),
        }
    }

    /// The common names.
    pub fn embedded() -> Services {
        let mut entries = Vec::new();
        for (name, port, tcp, udp) in COMMON {
            for (used, protocol) in [(*tcp, Protocol::Tcp), (*udp, Protocol::Udp)] {
                if used {
                    entries.push(((*name).to_owned(), *port, protocol));
                }
            }
        }
        Services { entries }
    }

    /// Reads the text of services(5); lines that are not well formed, and other transports, are passed over.
    pub fn parse(text: &str) -> Services {
        let mut entries = Vec::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or("").split_whitespace();
            let (Some(name), Some((port, protocol))) =
                (words.next(), words.next().and_then(|word| word.split_once('/')))
            else {
                continue;
            };
            let protocol = match protocol {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                _ => continue,
            };
            let Ok(port) = port.parse() else { continue };
            for name in std::iter::once(name).chain(words) {
                entries.push((name.to_owned(), port, protocol));
            }
        }
        Services { entries }
    }

    /// The port of a service name, as getservbyname(3).
    pub fn port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        self.entries.iter().find(|(own, _, used)| own == name && *used == protocol).map(|(_, port, _)| *port)
    }

    /// Every name of a protocol, with its port.
    pub fn all(&self, protocol: Protocol) -> impl Iterator<Item = (&str, u16)> {
        self.entries.iter().filter(move |(.., used)| *used == protocol).map(|(name, port, _)| (name.as_str(), *port))
    }

    /// The name of a port, as getservbyport(3).
    pub fn name(&self, port: u16, protocol: Protocol) -> Option<&str> {
        let found = self.entries.iter().find(|(_, own, used)| *own == port && *used == protocol);
        found.map(|(name, _, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables() {
        let table = Services::embedded();
        assert_eq!(table.port("http", Protocol::Tcp), Some(80));
        assert_eq!(table.name(53, Protocol::Udp), Some("domain"));
        assert_eq!(table.port("http", Protocol::Udp), None);
        let table = Services::parse("# x\nodd 8009/tcp alias # c\nbad\nbad x/tcp\nbad 99999/tcp\nz 1/sctp\n");
        assert_eq!(table.port("alias", Protocol::Tcp), Some(8009));
        assert_eq!(table.name(8009, Protocol::Tcp), Some("odd"));
        assert_eq!(table.entries.len(), 2);
    }
}
