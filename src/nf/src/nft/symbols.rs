//! Names of numbers, as nft(8) lists them. Of several names the one that nft prints comes first.

/// Names and numbers, in turn.
pub(crate) type Table = &'static str;

pub(crate) const NFPROTO: Table = "ipv4 2 ipv6 10";
pub(crate) const ETHER_TYPE: Table = "ip 2048 arp 2054 ip6 34525 8021q 33024 8021ad 34984";
pub(crate) const ARP_OP: Table = "request 1 reply 2 rrequest 3 rreply 4 inrequest 8 inreply 9 nak 10";
pub(crate) const ICMP_TYPE: Table = "echo-reply 0 destination-unreachable 3 source-quench 4 redirect 5 echo-request 8 router-advertisement 9 \
    router-solicitation 10 time-exceeded 11 parameter-problem 12 timestamp-request 13 timestamp-reply 14 \
    info-request 15 info-reply 16 address-mask-request 17 address-mask-reply 18";
pub(crate) const ICMPV6_TYPE: Table = "destination-unreachable 1 packet-too-big 2 time-exceeded 3 parameter-problem 4 echo-request 128 \
    echo-reply 129 mld-listener-query 130 mld-listener-report 131 mld-listener-done 132 nd-router-solicit 133 \
    nd-router-advert 134 nd-neighbor-solicit 135 nd-neighbor-advert 136 nd-redirect 137 \
    router-renumbering 138 ind-neighbor-solicit 141 ind-neighbor-advert 142 mld2-listener-report 143";
pub(crate) const TCP_FLAG: Table = "fin 1 syn 2 rst 4 psh 8 ack 16 urg 32 ecn 64 cwr 128";
pub(crate) const DCCP_TYPE: Table =
    "request 0 response 1 data 2 ack 3 dataack 4 closereq 5 close 6 reset 7 sync 8 syncack 9";
pub(crate) const MH_TYPE: Table = "binding-refresh-request 0 home-test-init 1 careof-test-init 2 home-test 3 careof-test 4 binding-update 5 \
    binding-acknowledgement 6 binding-error 7 fast-binding-update 8 fast-binding-acknowledgement 9 \
    fast-binding-advertisement 10 experimental-mobility-header 11 home-agent-switch-message 12";
/// ARPHRD_* (linux/if_arp.h)
pub(crate) const ARPHRD: Table = "ether 1 ppp 512 ipip 768 ipip6 769 loopback 772 sit 776 ipgre 778";
/// Bits of NFT_CT_STATE (linux/netfilter/nf_conntrack_common.h, NF_CT_STATE_BIT)
pub(crate) const CT_STATE: Table = "invalid 1 established 2 related 4 new 8 untracked 64";
pub(crate) const CT_DIRECTION: Table = "original 0 reply 1";
/// IPS_* (linux/netfilter/nf_conntrack_common.h)
pub(crate) const CT_STATUS: Table = "expected 1 seen-reply 2 assured 4 confirmed 8 snat 16 dnat 32 dying 512";
/// Bits of IPCT_*
pub(crate) const CT_EVENT: Table = "new 1 related 2 destroy 4 reply 8 assured 16 protoinfo 32 helper 64 mark 128 seqadj 256 secmark 512 \
    label 1024";
pub(crate) const PKTTYPE: Table = "host 0 broadcast 1 multicast 2 other 3";
pub(crate) const ICMP_CODE: Table = "net-unreachable 0 host-unreachable 1 prot-unreachable 2 port-unreachable 3 frag-needed 4 net-prohibited 9 \
    host-prohibited 10 admin-prohibited 13";
pub(crate) const ICMPV6_CODE: Table =
    "no-route 0 admin-prohibited 1 addr-unreachable 3 port-unreachable 4 policy-fail 5 reject-route 6";
pub(crate) const ICMPX_CODE: Table = "no-route 0 port-unreachable 1 host-unreachable 2 admin-prohibited 3";
pub(crate) const DSCP: Table = "cs0 0 cs1 8 cs2 16 cs3 24 cs4 32 cs5 40 cs6 48 cs7 56 lephb 1 af11 10 af12 12 af13 14 af21 18 af22 20 \
    af23 22 af31 26 af32 28 af33 30 af41 34 af42 36 af43 38 va 44 ef 46";
pub(crate) const ECN: Table = "not-ect 0 ect1 1 ect0 2 ce 3";
/// RTN_* (linux/rtnetlink.h)
pub(crate) const FIB_TYPE: Table =
    "unspec 0 unicast 1 local 2 broadcast 3 anycast 4 multicast 5 blackhole 6 unreachable 7 prohibit 8";
pub(crate) const BOOLEAN: Table = "missing 0 exists 1";
pub(crate) const IGMP_TYPE: Table = "membership-query 17 membership-report-v1 18 membership-report-v2 22 membership-report-v3 34 \
    leave-group 23";
pub(crate) const DAY: Table = "Sunday 0 Monday 1 Tuesday 2 Wednesday 3 Thursday 4 Friday 5 Saturday 6";
/// LOG_*, and nft's own for audit.
pub(crate) const LOG_LEVEL: Table = "emerg 0 alert 1 crit 2 err 3 warn 4 notice 5 info 6 debug 7 audit 8";
/// Keywords of IANA's protocol numbers as /etc/protocols of a Debian system has them.
const PROTOCOLS: Table = "ip 0 icmp 1 igmp 2 ggp 3 ipencap 4 st 5 tcp 6 egp 8 igp 9 pup 12 udp 17 hmp 20 xns-idp 22 rdp 27 \
    iso-tp4 29 dccp 33 xtp 36 ddp 37 idpr-cmtp 38 ipv6 41 ipv6-route 43 ipv6-frag 44 idrp 45 rsvp 46 gre 47 \
    esp 50 ah 51 skip 57 ipv6-icmp 58 ipv6-nonxt 59 ipv6-opts 60 rspf 73 vmtp 81 eigrp 88 ospf 89 ax.25 93 \
    ipip 94 etherip 97 encap 98 pim 103 ipcomp 108 vrrp 112 l2tp 115 isis 124 sctp 132 fc 133 \
    mobility-header 135 udplite 136 mpls-in-ip 137 manet 138 hip 139 shim6 140 wesp 141 rohc 142 ethernet 143";

/// The name of a protocol of IP.
pub(crate) fn protocol(number: u16) -> Option<&'static str> {
    name(PROTOCOLS, u128::from(number))
}

/// The name of a number. Tables are short, and as text they take a quarter of the room that pairs would.
pub(crate) fn name(table: Table, number: u128) -> Option<&'static str> {
    let number = u32::try_from(number).ok()?;
    let mut words = table.split(' ');
    while let (Some(name), Some(found)) = (words.next(), words.next()) {
        if found.parse() == Ok(number) {
            return Some(name);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_number() {
        for table in [
            NFPROTO,
            ETHER_TYPE,
            ARP_OP,
            ICMP_TYPE,
            ICMPV6_TYPE,
            TCP_FLAG,
            DCCP_TYPE,
            MH_TYPE,
            ARPHRD,
            CT_STATE,
            CT_DIRECTION,
            CT_STATUS,
            CT_EVENT,
            PKTTYPE,
            ICMP_CODE,
            ICMPV6_CODE,
            ICMPX_CODE,
            DSCP,
            ECN,
            FIB_TYPE,
            BOOLEAN,
            IGMP_TYPE,
            DAY,
            LOG_LEVEL,
            PROTOCOLS,
        ] {
            let words: Vec<&str> = table.split(' ').collect();
            assert!(words.len().is_multiple_of(2), "{table}");
            for pair in words.chunks(2) {
                assert_eq!(name(table, pair[1].parse().unwrap()), Some(pair[0]), "{table}");
            }
        }
        assert_eq!(protocol(6), Some("tcp"));
        assert_eq!(name(DSCP, 3), None);
        assert_eq!(name("", 0), None);
    }
}
