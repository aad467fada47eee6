//! Services of kube-proxy's nftables mode: maps from addresses to chains, chains that draw a number.

use std::net::IpAddr;

use netkit_nf::nft::{Data, Expression, NftRule, family as nfproto};
use netkit_nf::walk::Native;
use netkit_nf::walk::packet::endpoint;
use netkit_nf::{Counters, Family};

use crate::svc::{Endpoint, Service, Wanted};

/// kube-proxy's table.
const TABLE: &str = "kube-proxy";
/// Maps by address, protocol and port; by protocol and port; what has no endpoints.
const MAPS: [(&str, &str); 3] =
    [("service-ips", ""), ("service-nodeports", ", NodePort"), ("no-endpoint-services", "")];

/// Address, protocol, port, and the verdict with its chain.
type Entry = (Option<IpAddr>, u8, u16, i32, Option<String>);

/// Finds services and their endpoints.
pub(crate) fn collect(native: &Native, table: u8, family: Family, wanted: &Wanted, services: &mut Vec<Service>) {
    let owned = native.tables.iter().any(|known| known.family == table && known.name == TABLE);
    if !owned {
        return;
    }
    for (map, suffix) in MAPS.into_iter().chain([("no-endpoint-nodeports", ", NodePort")]) {
        let mut entries: Vec<Entry> = Vec::new();
        native.elements(table, TABLE, map, &mut |element| {
            let (Some(key), Some(Data::Verdict { code, chain })) = (element.key, &element.data) else { return };
            // Each part of a concatenation takes a multiple of four octets.
            let width = if family == Family::Ipv4 { 4 } else { 16 };
            let (address, rest) = if map.ends_with("nodeports") {
                (None, key)
            } else {
                (address(key, width), key.get(width..).unwrap_or_default())
            };
            if let [protocol, _, _, _, high, low, ..] = rest {
                entries.push((address, *protocol, u16::from_be_bytes([*high, *low]), *code, chain.clone()));
            }
        });
        for (address, protocol, port, code, chain) in entries {
            let name = chain.as_deref().map(service_name).unwrap_or_default();
            if !wanted.is(address, Some(port), &name) {
                continue;
            }
            let mut service = Service {
                name,
                address,
                port: Some(port),
                protocol: netkit_nf::save::protocol_text(u16::from(protocol), family),
                kind: format!("kube-proxy nftables{suffix}"),
                endpoints: Vec::new(),
                refused: None,
            };
            match (code, chain) {
                (0, _) => service.refused = Some(("DROP", None)),
                (_, Some(chain)) if chain.starts_with("reject") => service.refused = Some(("REJECT", None)),
                (_, Some(chain)) => endpoints(native, table, &chain, 1.0, 0, &mut service.endpoints),
                _ => {}
            }
            services.push(service);
        }
    }
}

fn address(key: &[u8], width: usize) -> Option<IpAddr> {
    if width == 4 {
        return key.first_chunk::<4>().map(|octets| IpAddr::from(*octets));
    }
    key.first_chunk::<16>().map(|octets| IpAddr::from(*octets))
}

/// `service-2QRHZV4L-default/kubernetes/tcp/https` and its relatives name what they are for.
fn service_name(chain: &str) -> String {
    let mut parts = chain.split('/');
    let head = parts.next().unwrap_or_default();
    // Prefix and hash are before the namespace, which may have dashes of its own.
    let namespace = head.splitn(3, '-').nth(2).unwrap_or(head);
    let Some(name) = parts.next() else { return String::new() };
    let port = parts.nth(1).filter(|port| !port.is_empty());
    match port {
        Some(port) => format!("{namespace}/{name}:{port}"),
        None => format!("{namespace}/{name}"),
    }
}

/// Follows jumps, draws and maps down to the rules that translate.
fn endpoints(native: &Native, table: u8, chain: &str, share: f64, depth: u8, found: &mut Vec<Endpoint>) {
    const DEEPEST: u8 = 6;
    const MOST: usize = 10_000;
    let dump = native.find(table, TABLE, chain).and_then(|index| native.dump(index));
    let Some(dump) = dump.filter(|_| depth < DEEPEST && found.len() < MOST) else { return };
    for message in dump.messages() {
        let Some(rule) = NftRule::read(&message) else { continue };
        let mut counters: Option<Counters> = None;
        let mut constants: Vec<(u32, &[u8])> = Vec::new();
        let mut drawn = None;
        // For some packets only: those of a source, or of clients that stick to an endpoint.
        let source = if table == nfproto::IPV6 { 8 } else { 12 };
        let partial = rule.expressions.iter().any(|expression| match expression {
            Expression::Payload { base: 1, offset, .. } => *offset == source,
            Expression::Lookup { to: None, .. } | Expression::Fib { .. } => true,
            _ => false,
        });
        for expression in &rule.expressions {
            match expression {
                Expression::Counter(counted) => counters = Some(*counted),
                Expression::Immediate { to, data } => constants.push((*to, data)),
                Expression::Numgen { modulus, .. } | Expression::Hash { modulus, .. } => drawn = Some(*modulus),
                Expression::Nat { kind: 1, address, port, .. } => {
                    let constant = |register: Option<u32>| {
                        let register = register?;
                        constants.iter().rev().find(|(to, _)| *to == register).map(|(_, data)| *data)
                    };
                    let width = if table == nfproto::IPV6 { 16 } else { 4 };
                    let to = constant(address[0]).and_then(|data| self::address(data, width));
                    let port = constant(port[0])
                        .and_then(|data| data.first_chunk::<2>())
                        .map(|port| u16::from_be_bytes(*port));
                    found.push(Endpoint {
                        address: to.map_or_else(|| "?".to_owned(), |to| endpoint(to, port)),
                        share: Some(share),
                        counters,
                        via: chain.to_owned(),
                    });
                }
                Expression::Lookup { set, to: Some(0), .. } => {
                    let mut next: Vec<String> = Vec::new();
                    native.elements(table, TABLE, set, &mut |element| {
                        if let Some(Data::Verdict { chain: Some(chain), .. }) = &element.data {
                            next.push(chain.clone());
                        }
                    });
                    let all = drawn.unwrap_or(1).max(1);
                    next.sort();
                    for chain in next {
                        endpoints(native, table, &chain, share / f64::from(all), depth + 1, found);
                    }
                }
                Expression::Verdict { code: -3 | -4, chain: Some(chain) } if !chain.starts_with("mark") && !partial => {
                    endpoints(native, table, chain, share, depth + 1, found);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_chains() {
        assert_eq!(service_name("service-2QRHZV4L-default/kubernetes/tcp/https"), "default/kubernetes:https");
        assert_eq!(service_name("external-ABCDEFGH-kube-system/dns/udp/"), "kube-system/dns");
        assert_eq!(service_name("reject-chain"), "");
    }
}
