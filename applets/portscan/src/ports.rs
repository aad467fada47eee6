//! Which ports: nmap's way of writing them, our own list of those that are worth asking first, and their names.

use netkit_core::text::printable;
use netkit_probe::Protocol;
use netkit_probe::services::Services;

/// TCP ports by how often they are worth asking in a cluster and around it, in our own judgement.
const TOP_TCP: &[u16] = &[
    80, 443, 22, 8080, 6443, 8443, 53, 10250, 3306, 5432, 6379, 9090, 3000, 9100, 2379, 2380, 27017, 5672, 9200, 25,
    21, 23, 110, 143, 993, 995, 587, 465, 389, 636, 3389, 445, 139, 135, 111, 2049, 5000, 5001, 8000, 8081, 8082, 8888,
    9000, 9092, 9093, 9094, 9153, 9099, 10256, 10257, 10259, 10249, 4240, 4244, 5473, 15001, 15006, 15010, 15012,
    15014, 15017, 15020, 15021, 15090, 4143, 4191, 4222, 8222, 6222, 11211, 15672, 5671, 1883, 8883, 2181, 2888, 3888,
    7000, 7001, 9042, 9160, 26379, 16379, 5984, 8086, 8125, 8126, 4317, 4318, 14268, 16686, 9411, 3100, 9080, 9443,
    10443, 8200, 8300, 8301, 8302, 8500, 8600, 4646, 4647, 2375, 2376, 5044, 5601, 9300, 7946, 179, 5900, 5901, 88,
    464, 1433, 1521, 1194, 500, 4500, 1723, 79, 113, 119, 37, 7, 9, 13, 19, 20, 26, 81, 82, 83, 84, 85, 90, 99, 100,
    106, 199, 255, 256, 427, 444, 512, 513, 514, 515, 543, 544, 548, 554, 631, 646, 873, 902, 989, 990, 992, 1025,
    1080, 1110, 1720, 1755, 1900, 2000, 2001, 2121, 2717, 3128, 3260, 3986, 4899, 5009, 5050, 5051, 5060, 5061, 5101,
    5190, 5357, 5631, 5666, 5800, 6000, 6001, 6646, 7070, 8008, 8009, 8025, 8083, 8084, 8085, 8087, 8088, 8089, 8090,
    8091, 8092, 8180, 8181, 8280, 8444, 8787, 8983, 9001, 9091, 9095, 9096, 9097, 9098, 9115, 9121, 9187, 9308, 9418,
    9445, 9901, 9999, 10000, 10248, 10251, 10252, 10255, 11434, 15000, 15004, 15443, 19999, 20000, 25672, 27018, 28017,
    30000, 32768, 49152, 49153, 49154, 49155, 49156, 49157, 50000, 50051, 60000,
];
/// The same for UDP.
const TOP_UDP: &[u16] = &[
    53, 123, 161, 137, 443, 8472, 4789, 51820, 6081, 500, 4500, 1194, 67, 68, 69, 111, 138, 162, 445, 514, 520, 1434,
    1645, 1646, 1812, 1813, 1900, 2049, 3478, 5004, 5060, 5353, 5355, 8125, 11211, 7946, 8301, 8302, 8600, 19, 7, 9,
    13, 17, 37, 88, 135, 139, 177, 389, 427, 464, 497, 515, 518, 593, 623, 626, 631, 749, 996, 997, 998, 999, 1022,
    1023, 1025, 1026, 1027, 1028, 1029, 1030, 1433, 1701, 1718, 1719, 2000, 2048, 2222, 2223, 3283, 3456, 3703, 4444,
    5000, 5632, 6343, 9200, 10000, 17185, 20031, 30718, 31337, 32768, 32769, 32771, 32815, 33281, 49152, 49153, 49154,
    51871,
];
/// Kubernetes' own and what runs beside it, which no registry names.
const CLUSTER: &[(u16, bool, &str)] = &[
    (2379, true, "etcd-client"),
    (2380, true, "etcd-server"),
    (4143, true, "linkerd-proxy"),
    (4191, true, "linkerd-admin"),
    (4240, true, "cilium-health"),
    (4244, true, "cilium-hubble"),
    (4789, false, "vxlan"),
    (5473, true, "calico-typha"),
    (6081, false, "geneve"),
    (6443, true, "kube-apiserver"),
    (8472, false, "flannel-vxlan"),
    (9090, true, "prometheus"),
    (9099, true, "calico-felix"),
    (9100, true, "node-exporter"),
    (9153, true, "coredns-metrics"),
    (10249, true, "kube-proxy-metrics"),
    (10250, true, "kubelet"),
    (10256, true, "kube-proxy-health"),
    (10257, true, "kube-controller"),
    (10259, true, "kube-scheduler"),
    (15001, true, "istio-outbound"),
    (15006, true, "istio-inbound"),
    (15021, true, "istio-health"),
    (15090, true, "istio-metrics"),
    (51820, false, "wireguard"),
];

/// Any of the 65,536 ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set(Vec<bool>);

impl Set {
    fn new() -> Set {
        Set(vec![false; 1 << 16])
    }

    pub(crate) fn has(&self, port: u16) -> bool {
        self.0.get(usize::from(port)).is_some_and(|is_in| *is_in)
    }

    /// True if it was not in.
    fn insert(&mut self, port: u16) -> bool {
        self.0.get_mut(usize::from(port)).is_some_and(|place| !std::mem::replace(place, true))
    }

    /// In order.
    pub(crate) fn list(&self) -> Vec<u16> {
        (0..=u16::MAX).zip(&self.0).filter(|(_, is_in)| **is_in).map(|(port, _)| port).collect()
    }
}

/// The name of a port, or `unknown`.
pub(crate) fn name(services: &Services, port: u16, protocol: Protocol) -> String {
    let tcp = protocol == Protocol::Tcp;
    let cluster = CLUSTER.iter().find(|(known, is_tcp, _)| *known == port && *is_tcp == tcp).map(|(.., name)| *name);
    cluster.or_else(|| services.name(port, protocol)).map_or_else(|| "unknown".to_owned(), printable)
}

/// The first `count` of our list.
pub(crate) fn top(count: usize, protocol: Protocol) -> Set {
    let list = if protocol == Protocol::Tcp { TOP_TCP } else { TOP_UDP };
    let mut ports = Set::new();
    // Beyond the list, in order of their numbers: the well-known ones first.
    let mut all = list.iter().copied().chain(1..u16::MAX);
    let mut left = count;
    while left > 0
        && let Some(port) = all.next()
    {
        left -= usize::from(ports.insert(port));
    }
    ports
}

/// TCP and UDP ports as `-p` writes them.
///
/// # Errors
/// In nmap's words, without its last line.
pub(crate) fn parse(text: &str, services: &Services) -> Result<[Set; 2], String> {
    let mut reader = Reader { rest: text, which: [true, true], ports: [Set::new(), Set::new()], services };
    reader.list(false)?;
    Ok(reader.ports)
}

struct Reader<'a> {
    rest: &'a str,
    /// Without a letter, a port is of every protocol that is scanned.
    which: [bool; 2],
    ports: [Set; 2],
    services: &'a Services,
}

fn illegal(number: u16) -> String {
    format!(
        "Error #{number}: Your port specifications are illegal.  Example of proper form: \
         \"-100,200-1024,T:3000-4000,U:60000-\""
    )
}

impl Reader<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn number(&mut self) -> Result<u16, String> {
        let end = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().map_err(|_| "Ports specified must be between 0 and 65535 inclusive".to_owned())
    }

    /// Up to the end, or to the bracket that closes a list of ports with names.
    fn list(&mut self, nested: bool) -> Result<(), String> {
        loop {
            self.blanks();
            if let Some((letter, rest)) = self.rest.split_once(':').filter(|(letter, _)| letter.len() == 1 && !nested) {
                self.which = match letter {
                    "T" => [true, false],
                    "U" => [false, true],
                    "S" | "P" => return Err("SCTP and IP protocols are not offered: use T: and U:".to_owned()),
                    _ => return Err(illegal(485)),
                };
                self.rest = rest;
                self.blanks();
            }
            match self.rest.chars().next() {
                Some('[') if nested => return Err("Can't nest [] brackets in -p switch".to_owned()),
                Some('[') => {
                    self.rest = self.rest.get(1..).unwrap_or("");
                    self.list(true)?;
                    self.rest = self.rest.strip_prefix(']').ok_or("Unmatched [ in port/protocol list")?;
                    self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
                }
                Some(']') if nested => return Ok(()),
                Some(']') => return Err("Unexpected ] character in port/protocol list".to_owned()),
                Some('-' | '0'..='9') => self.range(nested)?,
                Some('a'..='z' | '*' | '?') => self.mask()?,
                _ => return Err(illegal(485)),
            }
            if self.rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn range(&mut self, nested: bool) -> Result<(), String> {
        let low = if self.rest.starts_with('-') { 1 } else { self.number()? };
        self.blanks();
        let ends = |rest: &str| rest.is_empty() || rest.starts_with([',', ']']);
        let mut high = low;
        if let Some(rest) = self.rest.strip_prefix('-') {
            self.rest = rest;
            self.blanks();
            high = match self.rest.chars().next() {
                Some('0'..='9') => self.number()?,
                _ if ends(self.rest) => 65_535,
                _ => return Err(illegal(486)),
            };
            if high < low {
                return Err(format!("Your port range {low}-{high} is backwards. Did you mean {high}-{low}?"));
            }
        }
        self.blanks();
        if !ends(self.rest) {
            return Err(illegal(488));
        }
        self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
        for (at, protocol) in [Protocol::Tcp, Protocol::Udp].into_iter().enumerate() {
            let wanted = self.which.get(at).is_some_and(|wanted| *wanted);
            if let Some(set) = self.ports.get_mut(at).filter(|_| wanted) {
                for port in (low..=high).filter(|port| !nested || name(self.services, *port, protocol) != "unknown") {
                    set.insert(port);
                }
            }
        }
        Ok(())
    }

    /// Names, with the wildcards of a shell.
    fn mask(&mut self) -> Result<(), String> {
        let end = self.rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | ']')).unwrap_or(self.rest.len());
        let (mask, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix(',').unwrap_or(rest);
        let mut found = false;
        for (at, protocol) in [Protocol::Tcp, Protocol::Udp].into_iter().enumerate() {
            let wanted = self.which.get(at).is_some_and(|wanted| *wanted);
            let Some(set) = self.ports.get_mut(at).filter(|_| wanted) else { continue };
            let cluster = CLUSTER.iter().filter(|(_, tcp, _)| *tcp == (protocol == Protocol::Tcp));
            let cluster = cluster.map(|(port, _, name)| (*name, *port));
            for (_, port) in self.services.all(protocol).chain(cluster).filter(|(name, _)| matches(mask, name)) {
                set.insert(port);
                found = true;
            }
        }
        if found {
            return Ok(());
        }
        Err(format!("Found no matches for the service mask '{}' and your specified protocols", printable(mask)))
    }
}

/// Whether a name fits a mask in which `*` stands for any text and `?` for any character.
fn matches(mask: &str, name: &str) -> bool {
    let (mask, name) = (mask.as_bytes(), name.as_bytes());
    let (mut at, mut to) = (0, 0);
    // Where to go on when the text behind the last star does not fit.
    let mut star: Option<(usize, usize)> = None;
    while to < name.len() {
        match (mask.get(at), name.get(to)) {
            (Some(b'*'), _) => {
                star = Some((at + 1, to));
                at += 1;
            }
            (Some(b'?'), Some(_)) => (at, to) = (at + 1, to + 1),
            (Some(a), Some(b)) if a == b => (at, to) = (at + 1, to + 1),
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (at, to) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    mask.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// Numbers and ranges, with nothing in front of them.
///
/// # Errors
/// In nmap's words, without its last line.
pub(crate) fn numbers(text: &str) -> Result<Vec<u16>, String> {
    let [tcp, _] = parse(text, &Services::embedded())?;
    Ok(tcp.list())
}

/// Numbers in ranges, as nmap lists them.
pub(crate) fn ranges(ports: impl IntoIterator<Item = u16>) -> String {
    let mut text = String::new();
    let mut open: Option<(u16, u16)> = None;
    let mut push = |(low, high): (u16, u16)| {
        if !text.is_empty() {
            text.push(',');
        }
        text += &if low == high { low.to_string() } else { format!("{low}-{high}") };
    };
    for port in ports {
        open = match open {
            Some((low, high)) if high.checked_add(1) == Some(port) => Some((low, port)),
            Some(done) => {
                push(done);
                Some((port, port))
            }
            None => Some((port, port)),
        };
    }
    if let Some(done) = open {
        push(done);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications() {
        let services = Services::embedded();
        let read = |text: &str| {
            parse(text, &services).map(|[tcp, udp]| format!("{} {}", ranges(tcp.list()), ranges(udp.list())))
        };
        for (text, expected) in [
            ("22,80", "22,80 22,80"),
            ("1-3,5,4", "1-5 1-5"),
            ("T:80,443,U:53", "80,443 53"),
            ("https", "443 443"),
            ("kubelet", "10250 "),
            ("65530-", "65530-65535 65530-65535"),
            ("-3", "1-3 1-3"),
            ("0", "0 0"),
            ("80,443,", "80,443 80,443"),
            ("[1-9],12", "1,7,9,12 7,9,12"),
            ("kube*", "6443,10249-10250,10256-10257,10259 "),
            ("http?", "443 443"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("x", "Found no matches for the service mask 'x' and your specified protocols"),
            ("70000", "Ports specified must be between 0 and 65535 inclusive"),
            ("1-2-3", &illegal(488)),
            (",", &illegal(485)),
            ("X", &illegal(485)),
            ("--", &illegal(486)),
            ("[1", "Unmatched [ in port/protocol list"),
            ("1]", "Unexpected ] character in port/protocol list"),
            ("5-3", "Your port range 5-3 is backwards. Did you mean 3-5?"),
        ] {
            assert_eq!(read(text).unwrap_err(), expected);
        }
        assert!(read("").is_err() && read("1,,2").is_err() && read("1 2").is_err() && read("Z:1").is_err());
    }

    #[test]
    fn lists_hold_no_port_twice() {
        for list in [TOP_TCP, TOP_UDP] {
            let mut unique = Set::new();
            assert!(list.iter().all(|port| unique.insert(*port)));
        }
        assert_eq!(top(100, Protocol::Tcp).list().len(), 100);
        assert_eq!(top(1000, Protocol::Udp).list().len(), 1000);
        // All but the first and the last number, as there are no more.
        assert_eq!(top(70_000, Protocol::Tcp).list().len(), 65_534);
    }

    proptest::proptest! {
        #[test]
        fn any_text(text in "[-0-9,:TUa-z*?\\[\\] ]{0,24}|.{0,24}") {
            if let Ok([tcp, udp]) = parse(&text, &Services::embedded()) {
                let again = parse(&format!("T:{},U:{}", ranges(tcp.list()), ranges(udp.list())), &Services::embedded());
                if !tcp.list().is_empty() && !udp.list().is_empty() {
                    proptest::prop_assert_eq!(again, Ok([tcp, udp]));
                }
            }
        }
    }
}
