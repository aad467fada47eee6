//! ICMP messages in iputils' words.

use std::net::Ipv4Addr;

/// Destination unreachable by code (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1).
const UNREACHABLE: [&str; 16] = [
    "Destination Net Unreachable",
    "Destination Host Unreachable",
    "Destination Protocol Unreachable",
    "Destination Port Unreachable",
    "",
    "Source Route Failed",
    "Destination Net Unknown",
    "Destination Host Unknown",
    "Source Host Isolated",
    "Destination Net Prohibited",
    "Destination Host Prohibited",
    "Destination Net Unreachable for Type of Service",
    "Destination Host Unreachable for Type of Service",
    "Packet filtered",
    "Precedence Violation",
    "Precedence Cutoff",
];

/// A message of ICMP; `info` is the MTU, the pointer, or the gateway of a redirect.
pub(crate) fn icmp(kind: u8, code: u8, info: u32) -> String {
    match (kind, code) {
        (0, _) => "Echo Reply".to_owned(),
        (3, 4) => format!("Frag needed and DF set (mtu = {info})"),
        (3, code) => match UNREACHABLE.get(usize::from(code)) {
            Some(text) => (*text).to_owned(),
            None => format!("Dest Unreachable, Bad Code: {code}"),
        },
        (4, _) => "Source Quench".to_owned(),
        (5, code) => {
            let what = match code {
                0 => "Redirect Network".to_owned(),
                1 => "Redirect Host".to_owned(),
                2 => "Redirect Type of Service and Network".to_owned(),
                3 => "Redirect Type of Service and Host".to_owned(),
                code => format!("Redirect, Bad Code: {code}"),
            };
            format!("{what}(New nexthop: {})", Ipv4Addr::from(info))
        }
        (8, _) => "Echo Request".to_owned(),
        (11, 0) => "Time to live exceeded".to_owned(),
        (11, 1) => "Frag reassembly time exceeded".to_owned(),
        (11, code) => format!("Time exceeded, Bad Code: {code}"),
        (12, _) => format!("Parameter problem: pointer = {info}"),
        (kind, _) => format!("Bad ICMP type: {kind}"),
    }
}

/// A message of ICMPv6 (RFC 4443).
pub(crate) fn icmp6(kind: u8, code: u8, info: u32) -> String {
    match kind {
        1 => {
            let what = match code {
                0 => "No route",
                1 => "Administratively prohibited",
                2 => "Beyond scope of source address",
                3 => "Address unreachable",
                4 => "Port unreachable",
                code => return format!("Destination unreachable: Unknown code {code}"),
            };
            format!("Destination unreachable: {what}")
        }
        2 if code == 0 => format!("Packet too big: mtu={info}"),
        2 => format!("Packet too big: mtu={info}, code={code}"),
        3 => match code {
            0 => "Time exceeded: Hop limit".to_owned(),
            1 => "Time exceeded: Defragmentation failure".to_owned(),
            code => format!("Time exceeded: code {code}"),
        },
        4 => {
            let what = match code {
                0 => "Wrong header field ".to_owned(),
                1 => "Unknown header ".to_owned(),
                2 => "Unknown option ".to_owned(),
                code => format!("code {code} "),
            };
            format!("Parameter problem: {what}at {info}")
        }
        128 => "Echo request".to_owned(),
        129 => "Echo reply".to_owned(),
        kind => format!("unknown icmp type: {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown() {
        assert_eq!(icmp(3, 13, 0), "Packet filtered");
        assert_eq!(icmp(3, 4, 1400), "Frag needed and DF set (mtu = 1400)");
        assert_eq!(icmp(3, 16, 0), "Dest Unreachable, Bad Code: 16");
        assert_eq!(icmp(5, 1, 0x0a000001), "Redirect Host(New nexthop: 10.0.0.1)");
        assert_eq!(icmp(99, 0, 0), "Bad ICMP type: 99");
        assert_eq!(icmp6(1, 1, 0), "Destination unreachable: Administratively prohibited");
        assert_eq!(icmp6(2, 0, 1280), "Packet too big: mtu=1280");
        assert_eq!(icmp6(4, 1, 6), "Parameter problem: Unknown header at 6");
    }

    proptest::proptest! {
        #[test]
        fn any_message(kind: u8, code: u8, info: u32) {
            for text in [icmp(kind, code, info), icmp6(kind, code, info)] {
                proptest::prop_assert!(!text.is_empty() && !text.contains(char::is_control));
            }
        }
    }
}
