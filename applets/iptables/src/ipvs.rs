//! IPVS as /proc/net/ip_vs shows it: services and their real servers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) weight: u64,
    /// Connections, active and not.
    pub(crate) connections: (u64, u64),
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// tcp, udp, sctp; `fwmark` for one by mark.
    pub(crate) protocol: String,
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) scheduler: String,
    pub(crate) servers: Vec<Server>,
}

/// All services; nothing where the kernel has no IPVS, or hides it.
pub(crate) fn services() -> Option<Vec<Service>> {
    std::fs::read_to_string("/proc/net/ip_vs").ok().map(|text| read(&text))
}

/// `0A600001:01BB`, or `[fd00:0000:...:0001]:01BB`, ports in hexadecimal.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().ok()?.into(),
        None if address.len() == 8 => Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?).into(),
        None => return None,
    };
    Some((address, port))
}

fn read(text: &str) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["->", to, _, weight, active, inactive, ..] => {
                let number = |word: &str| word.parse().unwrap_or(0);
                if let (Some((address, port)), Some(service)) = (end(to), services.last_mut()) {
                    let connections = (number(active), number(inactive));
                    service.servers.push(Server { address, port, weight: number(weight), connections });
                }
            }
            [protocol @ ("TCP" | "UDP" | "SCTP"), at, scheduler, ..] => {
                if let Some((address, port)) = end(at) {
                    let (protocol, scheduler) = (protocol.to_ascii_lowercase(), (*scheduler).to_owned());
                    services.push(Service { protocol, address: Some(address), port, scheduler, servers: Vec::new() });
                }
            }
            ["FWM", _, scheduler, ..] => {
                let (protocol, scheduler) = ("fwmark".to_owned(), (*scheduler).to_owned());
                services.push(Service { protocol, address: None, port: 0, scheduler, servers: Vec::new() });
            }
            _ => {}
        }
    }
    services
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families() {
        let text = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n\
                    \x20 -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n\
                    TCP  0A600001:01BB rr\n  -> C0A80A02:192B      Masq    1      3          7\n\
                    UDP  [fd00:0000:0000:0000:0000:0000:0000:000a]:0035 wrr persistent 10800\n\
                    \x20 -> [fd00:0000:0000:0000:0000:0000:0000:0014]:0035      Masq    2      0          1\n";
        let services = read(text);
        assert_eq!(services.len(), 2);
        assert_eq!((services[0].protocol.as_str(), services[0].port), ("tcp", 443));
        assert_eq!(services[0].address, Some("10.96.0.1".parse().unwrap()));
        let server = &services[0].servers[0];
        assert_eq!((server.address.to_string().as_str(), server.port, server.weight), ("192.168.10.2", 6443, 1));
        assert_eq!(server.connections, (3, 7));
        assert_eq!(services[1].servers[0].address, "fd00::14".parse::<IpAddr>().unwrap());
        assert_eq!(services[1].scheduler, "wrr");
        assert!(read("TCP  nonsense rr\n -> x Masq 1 2 3").is_empty());
    }
}
