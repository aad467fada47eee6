//! Which ports: nmap's way of writing them, our own list of those that are worth asking first, and their names.

use std::collections::BTreeSet;

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

/// The name of a port, or `unknown`.
pub(crate) fn name(services: &Services, port: u16, protocol: Protocol) -> String {
    let tcp = protocol == Protocol::Tcp;
    let cluster = CLUSTER.iter().find(|(known, is_tcp, _)| *known == port && *is_tcp == tcp).map(|(.., name)| *name);
    cluster.or_else(|| services.name(port, protocol)).map_or_else(|| "unknown".to_owned(), printable)
}

/// The first `count` of our list.
pub(crate) fn top(count: usize, protocol: Protocol) -> BTreeSet<u16> {
    let list = if protocol == Protocol::Tcp { TOP_TCP } else { TOP_UDP };
    let mut ports: BTreeSet<u16> = list.iter().take(count).copied().collect();
    // Beyond the list, in order of their numbers: the well-known ones first.
    let mut next = 1u16;
    while ports.len() < count.min(65_535) && next < u16::MAX {
        ports.insert(next);
        next += 1;
    }
    ports
}

/// TCP and UDP ports as `-p` writes them.
///
/// # Errors
/// In nmap's words, without its last line.
pub(crate) fn parse(text: &str, services: &Services) -> Result<[BTreeSet<u16>; 2], String> {
    let mut ports = [BTreeSet::new(), BTreeSet::new()];
    // Without a letter, a port is of every protocol that is scanned.
    let mut which = [true, true];
    for part in text.split(',') {
        let mut part = part.trim();
        if let Some((letter, rest)) = part.split_once(':') {
            which = match letter {
                "T" | "t" => [true, false],
                "U" | "u" => [false, true],
                "S" | "s" | "P" | "p" => return Err("SCTP and IP protocols are not offered: use T: and U:".to_owned()),
                _ => return Err(format!("Your port specifications are illegal: {}", printable(text))),
            };
            part = rest;
        }
        let bounds = "Ports specified must be between 0 and 65535 inclusive";
        let number = |text: &str| -> Result<u16, String> { text.parse().map_err(|_| bounds.to_owned()) };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (low, high) = match part.split_once('-') {
            Some((low, high)) if digits(low) && digits(high) => {
                (if low.is_empty() { 1 } else { number(low)? }, if high.is_empty() { 65_535 } else { number(high)? })
            }
            None if !part.is_empty() && digits(part) => {
                let port = number(part)?;
                (port, port)
            }
            _ if part.is_empty() => return Err("Your port specifications are illegal: empty".to_owned()),
            _ => {
                let mut found = false;
                for (protocol, set, wanted) in named(&mut ports, which) {
                    if let Some(port) = services.port(part, protocol).filter(|_| wanted) {
                        set.insert(port);
                        found = true;
                    }
                    for (port, tcp, _) in CLUSTER.iter().filter(|(.., name)| *name == part) {
                        if wanted && *tcp == (protocol == Protocol::Tcp) {
                            set.insert(*port);
                            found = true;
                        }
                    }
                }
                if !found {
                    let part = printable(part);
                    return Err(format!("Found no matches for the service mask '{part}' and your specified protocols"));
                }
                continue;
            }
        };
        if low > high {
            return Err(format!("Your port range {low}-{high} is backwards. Did you mean {high}-{low}?"));
        }
        for (set, wanted) in ports.iter_mut().zip(which) {
            if wanted {
                set.extend(low..=high);
            }
        }
    }
    Ok(ports)
}

/// Numbers and ranges, with nothing in front of them.
///
/// # Errors
/// In nmap's words, without its last line.
pub(crate) fn numbers(text: &str) -> Result<Vec<u16>, String> {
    let [tcp, _] = parse(text, &Services::embedded())?;
    Ok(tcp.into_iter().collect())
}

fn named(ports: &mut [BTreeSet<u16>; 2], which: [bool; 2]) -> Vec<(Protocol, &mut BTreeSet<u16>, bool)> {
    [Protocol::Tcp, Protocol::Udp]
        .into_iter()
        .zip(ports.iter_mut())
        .zip(which)
        .map(|((protocol, set), wanted)| (protocol, set, wanted))
        .collect()
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
        let read = |text: &str| parse(text, &services).map(|[tcp, udp]| format!("{} {}", ranges(tcp), ranges(udp)));
        for (text, expected) in [
            ("22,80", "22,80 22,80"),
            ("1-3,5,4", "1-5 1-5"),
            ("T:80,443,U:53", "80,443 53"),
            ("https", "443 443"),
            ("kubelet", "10250 "),
            ("65530-", "65530-65535 65530-65535"),
            ("-3", "1-3 1-3"),
            ("0", "0 0"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("x", "Found no matches for the service mask 'x' and your specified protocols"),
            ("70000", "Ports specified must be between 0 and 65535 inclusive"),
            ("5-3", "Your port range 5-3 is backwards. Did you mean 3-5?"),
        ] {
            assert_eq!(read(text).unwrap_err(), expected);
        }
        assert!(read("").is_err() && read("1,,2").is_err() && read("Z:1").is_err());
    }

    #[test]
    fn lists_hold_no_port_twice() {
        for list in [TOP_TCP, TOP_UDP] {
            let unique: BTreeSet<u16> = list.iter().copied().collect();
            assert_eq!(unique.len(), list.len());
        }
        assert_eq!(top(100, Protocol::Tcp).len(), 100);
        assert_eq!(top(1000, Protocol::Udp).len(), 1000);
    }

    proptest::proptest! {
        #[test]
        fn any_text(text in "[-0-9,:TUa-z*]{0,24}|.{0,24}") {
            if let Ok([tcp, udp]) = parse(&text, &Services::embedded()) {
                let again = parse(&format!("T:{},U:{}", ranges(tcp.clone()), ranges(udp.clone())), &Services::embedded());
                if !tcp.is_empty() && !udp.is_empty() {
                    proptest::prop_assert_eq!(again, Ok([tcp, udp]));
                }
            }
        }
    }
}
