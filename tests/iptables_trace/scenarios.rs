//! The scenarios: rules, a packet, and what is to become of it. The stage says what really did.

use super::stage::Place::{self, Host, Outside, Pod, Server};

/// What the author expects; a scenario in which something else happens shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It is received there.
    At(Place),
    Dropped,
    Refused,
}

use Truth::{At, Dropped, Refused};

#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// A script; `$T` and `$T6` are iptables and ip6tables of the backend.
    pub rules: &'static str,
    pub from: Place,
    pub packet: &'static str,
    /// Further arguments of `--trace`.
    pub args: &'static str,
    /// Packets sent before.
    pub before: &'static [(Place, &'static str)],
    /// Where the host listens.
    pub local: Option<u16>,
    pub truth: Truth,
    /// The walk must say that it is undecided.
    pub open: bool,
}

const PLAIN: Scenario = Scenario {
    name: "",
    rules: "",
    from: Pod,
    packet: "",
    args: "",
    before: &[],
    local: None,
    truth: Dropped,
    open: false,
};

/// A service as kube-proxy's iptables mode lays it out; `$T` adds the rules.
const SERVICE: &str = "
$T -t nat -N KUBE-SERVICES; $T -t nat -N KUBE-POSTROUTING; $T -t nat -N KUBE-MARK-MASQ; $T -t nat -N KUBE-NODEPORTS
$T -t nat -N KUBE-SVC-WEB; $T -t nat -N KUBE-SEP-A; $T -t nat -N KUBE-SEP-B; $T -t nat -N KUBE-EXT-WEB
$T -t nat -A PREROUTING -m comment --comment 'kubernetes service portals' -j KUBE-SERVICES
$T -t nat -A OUTPUT -m comment --comment 'kubernetes service portals' -j KUBE-SERVICES
$T -t nat -A POSTROUTING -m comment --comment 'kubernetes postrouting rules' -j KUBE-POSTROUTING
$T -t nat -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
$T -t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
$T -t nat -A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
$T -t nat -A KUBE-POSTROUTING -m comment --comment 'kubernetes service traffic requiring SNAT' -j MASQUERADE --random-fully
$T -t nat -A KUBE-SERVICES -d 10.96.0.20/32 -p udp -m comment --comment 'default/web:dns cluster IP' -m udp --dport 53 -j KUBE-SVC-WEB
$T -t nat -A KUBE-SERVICES -m comment --comment 'kubernetes service nodeports' -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
$T -t nat -A KUBE-NODEPORTS -p udp -m comment --comment default/web:dns -m udp --dport 30053 -j KUBE-EXT-WEB
$T -t nat -A KUBE-EXT-WEB -m comment --comment 'masquerade traffic for default/web:dns external destinations' -j KUBE-MARK-MASQ
$T -t nat -A KUBE-EXT-WEB -j KUBE-SVC-WEB
$T -t nat -A KUBE-SVC-WEB ! -s 10.1.0.0/24 -d 10.96.0.20/32 -p udp -m udp --dport 53 -j KUBE-MARK-MASQ
$T -t nat -A KUBE-SEP-A -s 10.2.0.2/32 -m comment --comment default/web:dns -j KUBE-MARK-MASQ
$T -t nat -A KUBE-SEP-A -p udp -m udp -j DNAT --to-destination 10.2.0.2:5353
$T -t nat -A KUBE-SEP-B -s 10.1.0.2/32 -m comment --comment default/web:dns -j KUBE-MARK-MASQ
$T -t nat -A KUBE-SEP-B -p udp -m udp -j DNAT --to-destination 10.1.0.2:5353
$T -N KUBE-FORWARD; $T -N KUBE-SVC-REJECT; $T -A FORWARD -j KUBE-FORWARD; $T -A FORWARD -m conntrack --ctstate NEW -j KUBE-SVC-REJECT
$T -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
$T -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
$T -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
";

macro_rules! service {
    ($more:literal) => {
        concat!("SERVICE\n", $more)
    };
}

/// What a script's first word stands for.
pub fn expand(rules: &str) -> String {
    rules.replace("SERVICE\n", SERVICE).replace("KUBE\n", &format!("{KUBE_NFT}\n"))
}

/// Run with iptables-legacy and with iptables-nft.
pub const IPTABLES: &[Scenario] = &[
    Scenario { name: "nothing", rules: "$T -A INPUT -p igmp -j DROP", packet: "udp 10.1.0.2 -> 10.2.0.2:53", truth: At(Server), ..PLAIN },
    Scenario { name: "forward drop", rules: "$T -A FORWARD -p udp --dport 53 -j DROP", packet: "udp 10.1.0.2 -> 10.2.0.2:53", ..PLAIN },
    Scenario {
        name: "forward policy",
        rules: "$T -P FORWARD DROP; $T -A FORWARD -p tcp --dport 80 -j ACCEPT; $T -A FORWARD -p udp -j MARK --set-mark 1",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "tcp to an open port",
        rules: "$T -P FORWARD DROP; $T -A FORWARD -p tcp --dport 80:90 --syn -j ACCEPT",
        packet: "tcp 10.1.0.2 -> 10.2.0.2:85",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "reject with port unreachable",
        rules: "$T -A FORWARD -s 10.1.0.0/24 -d 10.2.0.0/24 -p udp -j REJECT",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: Refused,
        ..PLAIN
    },
    Scenario {
        name: "reject with admin prohibited",
        rules: "$T -A FORWARD -i p0 -o s0 -p udp -m multiport --dports 1000:1010,53 -j REJECT --reject-with icmp-admin-prohibited",
        packet: "udp 10.1.0.2 -> 10.2.0.3:1004",
        truth: Refused,
        ..PLAIN
    },
    Scenario {
        name: "reject with a reset",
        rules: "$T -A FORWARD -p tcp -m tcp --tcp-flags SYN,ACK SYN -j REJECT --reject-with tcp-reset",
        packet: "tcp 10.1.0.2 -> 10.2.0.2:443",
        truth: Refused,
        ..PLAIN
    },
    Scenario {
        name: "ping is let through by type",
        rules: "$T -P FORWARD DROP; $T -A FORWARD -p icmp --icmp-type 0 -j DROP; $T -A FORWARD -p icmp --icmp-type 8 -j ACCEPT",
        packet: "icmp 10.1.0.2 -> 10.2.0.2",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "input of the host",
        rules: "$T -P INPUT DROP; $T -A INPUT -i o0 -j DROP; $T -A INPUT -m addrtype --dst-type LOCAL -p udp --dport 5300 -j ACCEPT",
        packet: "udp 10.1.0.2 -> 10.1.0.1:5300",
        local: Some(5300),
        truth: At(Host),
        ..PLAIN
    },
    Scenario {
        name: "input is refused",
        rules: "$T -A INPUT -p udp -m udp --dport 5301 -j DROP",
        packet: "udp 10.1.0.2 -> 10.2.0.1:5301",
        local: Some(5301),
        ..PLAIN
    },
    Scenario {
        name: "output of the host by owner",
        rules: "$T -A OUTPUT -p udp -m owner --uid-owner 1-99 -j ACCEPT; $T -A OUTPUT -p udp -m owner --uid-owner 0 -j DROP",
        from: Host,
        packet: "udp 10.2.0.1 -> 10.2.0.2:53",
        args: "uid 0",
        ..PLAIN
    },
    Scenario {
        name: "an unknown owner is undecided",
        rules: "$T -A OUTPUT -p udp -m owner --uid-owner 0 -j DROP",
        from: Host,
        packet: "udp 10.2.0.1 -> 10.2.0.2:53",
        open: true,
        ..PLAIN
    },
    Scenario {
        name: "output of the host is rejected",
        rules: "$T -A OUTPUT -d 10.2.0.2/32 -p udp -j REJECT --reject-with icmp-host-prohibited",
        from: Host,
        packet: "udp 10.2.0.1 -> 10.2.0.2:53",
        truth: Refused,
        ..PLAIN
    },
    Scenario {
        name: "masquerade",
        rules: "$T -t nat -A POSTROUTING -s 10.1.0.0/24 ! -d 10.0.0.0/8 -j MASQUERADE",
        packet: "udp 10.1.0.2 -> 192.0.2.2:53",
        truth: At(Outside),
        ..PLAIN
    },
    Scenario {
        name: "snat to a fixed address",
        rules: "$T -t nat -A POSTROUTING -o o0 -j SNAT --to-source 192.0.2.1",
        packet: "tcp 10.1.0.2 -> 192.0.2.2:80",
        truth: At(Outside),
        ..PLAIN
    },
    Scenario {
        name: "dnat and the route behind it",
        rules: "$T -t nat -A PREROUTING -d 192.0.2.1/32 -p udp --dport 8053 -j DNAT --to-destination 10.2.0.3:53
                $T -A FORWARD -d 10.2.0.3/32 -p udp --dport 53 -m conntrack --ctstate DNAT -j ACCEPT; $T -P FORWARD DROP",
        from: Outside,
        packet: "udp 192.0.2.2 -> 192.0.2.1:8053",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "redirect to the host",
        rules: "$T -t nat -A PREROUTING -p udp --dport 53 -j REDIRECT --to-ports 5302; $T -A INPUT -p udp --dport 5302 -j ACCEPT; $T -A INPUT -p udp -j DROP",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        local: Some(5302),
        truth: At(Host),
        ..PLAIN
    },
    Scenario {
        name: "netmap",
        rules: "$T -t nat -A PREROUTING -d 172.16.5.0/24 -j NETMAP --to 10.2.0.0/24",
        packet: "udp 10.1.0.2 -> 172.16.5.3:99",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "marks from mangle decide in filter",
        rules: "$T -t mangle -A PREROUTING -i p0 -j MARK --set-xmark 0x10/0xf0; $T -t mangle -A PREROUTING -m mark --mark 0x10/0x10 -j MARK --or-mark 0x2
                $T -A FORWARD -m mark ! --mark 0x12 -j ACCEPT; $T -A FORWARD -m mark --mark 0x12/0xff -j DROP",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "a mark leads by another route",
        rules: "$T -t mangle -A PREROUTING -p udp --dport 77 -j MARK --set-mark 7
                ip rule add fwmark 7 table 77; ip route add default via 192.0.2.2 dev o0 table 77
                $T -A FORWARD -o s0 -j DROP; $T -A FORWARD -o o0 -p udp -j ACCEPT",
        packet: "udp 10.1.0.2 -> 10.2.0.2:77",
        truth: At(Outside),
        ..PLAIN
    },
    Scenario {
        name: "a mark of the host's own packet leads by another route",
        rules: "$T -t mangle -A OUTPUT -p udp --dport 78 -j MARK --set-mark 8
                ip rule add fwmark 8 table 78; ip route add default via 192.0.2.2 dev o0 table 78",
        from: Host,
        packet: "udp 10.2.0.1 -> 10.2.0.2:78",
        truth: At(Outside),
        ..PLAIN
    },
    Scenario {
        name: "connection marks",
        rules: "$T -t mangle -A PREROUTING -j CONNMARK --set-xmark 0x5/0xff; $T -t mangle -A FORWARD -j CONNMARK --restore-mark
                $T -A FORWARD -m connmark --mark 5 -m mark --mark 5 -p udp -j DROP",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "an answer is established",
        rules: "$T -P FORWARD DROP; $T -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; $T -A FORWARD -i p0 -p udp --dport 53 -j ACCEPT",
        from: Server,
        packet: "udp 10.2.0.2:53 -> 10.1.0.2:41000",
        before: &[(Pod, "udp 10.1.0.2:41000 -> 10.2.0.2:53")],
        truth: At(Pod),
        ..PLAIN
    },
    Scenario {
        name: "an answer goes back through the translation",
        rules: "$T -t nat -A PREROUTING -d 10.96.0.9/32 -p udp --dport 53 -j DNAT --to-destination 10.2.0.2:5353
                $T -A FORWARD -m conntrack --ctstate ESTABLISHED --ctorigdst 10.96.0.9 -j ACCEPT; $T -A FORWARD -i s0 -j DROP",
        from: Server,
        packet: "udp 10.2.0.2:5353 -> 10.1.0.2:41001",
        before: &[(Pod, "udp 10.1.0.2:41001 -> 10.96.0.9:53")],
        truth: At(Pod),
        ..PLAIN
    },
    Scenario {
        name: "not tracked",
        rules: "$T -t raw -A PREROUTING -p udp --dport 53 -j CT --notrack; $T -t nat -A PREROUTING -p udp -j DNAT --to-destination 10.2.0.3
                $T -A FORWARD -m conntrack --ctstate UNTRACKED -j ACCEPT; $T -A FORWARD -m conntrack --ctstate NEW -j DROP",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "jumps, goto and return",
        rules: "$T -N A; $T -N B; $T -N C; $T -A FORWARD -p udp -j A; $T -A FORWARD -p udp -j DROP
                $T -A A -s 10.1.0.9/32 -j DROP; $T -A A -g B; $T -A A -j DROP; $T -A B -j C; $T -A B -d 10.2.0.2/32 -j RETURN
                $T -A C -p udp --sport 1:1023 -j DROP; $T -A C -p tcp -j DROP; $T -A C -j RETURN",
        packet: "udp 10.1.0.2:40404 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "ranges, lengths and kinds",
        rules: "$T -A FORWARD -m iprange --src-range 10.1.0.5-10.1.0.9 -j DROP; $T -A FORWARD -m pkttype --pkt-type broadcast -j DROP
                $T -A FORWARD -m iprange --dst-range 10.2.0.2-10.2.0.3 -m length --length 28:40 -p udp -j ACCEPT; $T -A FORWARD -j DROP",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        args: "length 31",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "an ipset of addresses",
        rules: "ipset create banned$S hash:ip; ipset add banned$S 10.1.0.2; $T -A FORWARD -m set ! --match-set banned$S src -j ACCEPT
                $T -A FORWARD -m set --match-set banned$S src -j DROP",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "an ipset of networks and ports",
        rules: "ipset create open$S hash:net,port; ipset add open$S 10.2.0.0/24,udp:53; $T -P FORWARD DROP
                $T -A FORWARD -m set --match-set open$S dst,dst -j ACCEPT",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "an ipset with the interface",
        rules: "ipset create by$S hash:net,iface; ipset add by$S 10.1.0.0/24,p0; $T -A FORWARD -m set --match-set by$S src,src -j REJECT",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: Refused,
        ..PLAIN
    },
    Scenario {
        name: "recent is undecided",
        rules: "$T -A FORWARD -m recent --name lab$S --set; $T -A FORWARD -p udp -m recent --name lab$S --rcheck --seconds 60 -j DROP",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        open: true,
        ..PLAIN
    },
    Scenario {
        name: "limit is undecided",
        rules: "$T -A FORWARD -p udp -m limit --limit 1/hour --limit-burst 3 -j ACCEPT; $T -P FORWARD DROP",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: At(Server),
        open: true,
        ..PLAIN
    },
    Scenario {
        name: "chance between two",
        rules: "$T -t nat -A PREROUTING -d 10.96.0.1/32 -p udp -m statistic --mode random --probability 0.5 -j DNAT --to-destination 10.2.0.2
                $T -t nat -A PREROUTING -d 10.96.0.1/32 -p udp -j DNAT --to-destination 10.2.0.3",
        packet: "udp 10.1.0.2 -> 10.96.0.1:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "service with two endpoints",
        rules: service!(
            "$T -t nat -A KUBE-SVC-WEB -m comment --comment 'default/web:dns -> 10.2.0.2:5353' -m statistic --mode random --probability 1.0 -j KUBE-SEP-A
             $T -t nat -A KUBE-SVC-WEB -m comment --comment 'default/web:dns -> 10.1.0.2:5353' -j KUBE-SEP-B"
        ),
        packet: "udp 10.1.0.2 -> 10.96.0.20:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "hairpin to oneself",
        rules: service!("$T -t nat -A KUBE-SVC-WEB -j KUBE-SEP-B"),
        packet: "udp 10.1.0.2 -> 10.96.0.20:53",
        truth: At(Pod),
        ..PLAIN
    },
    Scenario {
        name: "service from the host is masqueraded",
        rules: service!("$T -t nat -A KUBE-SVC-WEB -j KUBE-SEP-A"),
        from: Host,
        packet: "udp 192.0.2.1 -> 10.96.0.20:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "node port from outside",
        rules: service!("$T -t nat -A KUBE-SVC-WEB -j KUBE-SEP-A"),
        from: Outside,
        packet: "udp 192.0.2.2 -> 192.0.2.1:30053",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "service without endpoints",
        rules: "$T -N KUBE-SERVICES; $T -A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES
                $T -A KUBE-SERVICES -d 10.96.0.30/32 -p udp -m comment --comment 'default/gone has no endpoints' -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable",
        packet: "udp 10.1.0.2 -> 10.96.0.30:53",
        truth: Refused,
        ..PLAIN
    },
    Scenario {
        name: "a policy in Calico's shape drops",
        rules: "$T -N cali-FORWARD; $T -N cali-from-wl; $T -N cali-fw-p0; $T -N cali-pro-default; $T -N cali-po-web
                $T -A FORWARD -m comment --comment 'cali:wUHhoiAYhphO9Mso' -j cali-FORWARD
                $T -A cali-FORWARD -j MARK --set-xmark 0x0/0xe0000; $T -A cali-FORWARD -i p+ -j cali-from-wl
                $T -A cali-FORWARD -m mark --mark 0x10000/0x10000 -j ACCEPT
                $T -A cali-from-wl -i p0 -g cali-fw-p0; $T -A cali-from-wl -m comment --comment 'Unknown interface' -j DROP
                $T -A cali-fw-p0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; $T -A cali-fw-p0 -m conntrack --ctstate INVALID -j DROP
                $T -A cali-fw-p0 -j MARK --set-xmark 0x0/0x10000; $T -A cali-fw-p0 -j MARK --set-xmark 0x0/0x20000
                $T -A cali-fw-p0 -m mark --mark 0x0/0x20000 -j cali-po-web; $T -A cali-fw-p0 -m mark --mark 0x10000/0x10000 -j RETURN
                $T -A cali-fw-p0 -m comment --comment 'Drop if no policies passed packet' -m mark --mark 0x0/0x20000 -j DROP
                $T -A cali-po-web -p tcp -m multiport --dports 80,443 -j MARK --set-xmark 0x10000/0x10000",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "the same policy lets its port pass",
        rules: "$T -P FORWARD DROP; $T -N cali-fw-p0; $T -N cali-po-web; $T -A FORWARD -i p0 -g cali-fw-p0
                $T -A cali-fw-p0 -m mark --mark 0x0/0x20000 -j cali-po-web; $T -A cali-fw-p0 -m mark --mark 0x10000/0x10000 -j ACCEPT
                $T -A cali-fw-p0 -j DROP; $T -A cali-po-web -p tcp -m multiport --dports 80,443 -j MARK --set-xmark 0x10000/0x10000
                $T -A cali-po-web -m mark --mark 0x10000/0x10000 -j RETURN; $T -A cali-po-web -j DROP",
        packet: "tcp 10.1.0.2 -> 10.2.0.2:443",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "reverse path filter",
        rules: "$T -t raw -A PREROUTING -m rpfilter --invert -j DROP; $T -A FORWARD -j ACCEPT",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "device group",
        rules: "ip link set p0 group 7; $T -A FORWARD -m devgroup --src-group 0x7 -p udp -j DROP",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "ipv6 forward drop",
        rules: "$T6 -A FORWARD -s fd01::/64 -p udp --dport 53 -j DROP",
        packet: "udp fd01::2 -> [fd02::2]:53",
        ..PLAIN
    },
    Scenario {
        name: "ipv6 reject",
        rules: "$T6 -A FORWARD -i p0 -p tcp --dport 53 -j REJECT --reject-with icmp6-adm-prohibited",
        packet: "tcp fd01::2 -> [fd02::2]:53",
        truth: Refused,
        ..PLAIN
    },
    Scenario {
        name: "ipv6 masquerade",
        rules: "$T6 -t nat -A POSTROUTING -o o0 -s fd01::/64 -j MASQUERADE; $T6 -A FORWARD -p udp -j ACCEPT",
        packet: "udp fd01::2 -> [fd03::2]:53",
        truth: At(Outside),
        ..PLAIN
    },
    Scenario {
        name: "ipv6 dnat",
        rules: "$T6 -t nat -A PREROUTING -d fd96::1/128 -p udp --dport 53 -j DNAT --to-destination [fd02::3]:5353",
        packet: "udp fd01::2 -> [fd96::1]:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "ipv6 input by type of address",
        rules: "$T6 -A INPUT -m addrtype ! --dst-type LOCAL -j DROP; $T6 -A INPUT -p udp --dport 5303 -j ACCEPT; $T6 -A INPUT -p udp -j DROP",
        packet: "udp fd01::2 -> [fd01::1]:5303",
        local: Some(5303),
        truth: At(Host),
        ..PLAIN
    },
    Scenario {
        name: "ipv6 ping",
        rules: "$T6 -A FORWARD -p icmpv6 --icmpv6-type echo-request -j DROP",
        packet: "icmp fd01::2 -> fd02::2",
        ..PLAIN
    },
    Scenario {
        name: "no route",
        rules: "ip route add unreachable 203.0.113.0/24; $T -A FORWARD -j ACCEPT",
        packet: "udp 10.1.0.2 -> 203.0.113.5:53",
        truth: Refused,
        ..PLAIN
    },
    Scenario {
        name: "the host to itself passes both ways",
        rules: "$T -A INPUT -i lo -p udp --dport 5304 -j ACCEPT; $T -P INPUT DROP; $T -A OUTPUT -o lo -p udp -j ACCEPT",
        from: Host,
        packet: "udp 10.1.0.1 -> 10.2.0.1:5304",
        local: Some(5304),
        truth: At(Host),
        ..PLAIN
    },
];

/// kube-proxy's nftables mode, one service with an endpoint, one without.
pub const KUBE_NFT: &str = "nft -f - <<END
table ip kube-proxy {
    set cluster-ips { type ipv4_addr; elements = { 10.96.0.20, 10.96.0.30 }; }
    map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.96.0.30 . udp . 53 : goto reject-chain, 10.96.0.31 . udp . 53 : drop }; }
    map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }
    map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.96.0.20 . udp . 53 : goto service-AAAA-default/web/udp/dns }; }
    map service-nodeports { type inet_proto . inet_service : verdict; elements = { udp . 30053 : goto external-AAAA-default/web/udp/dns }; }
    set nodeport-ips { type ipv4_addr; elements = { 192.0.2.1 }; }
    chain filter-prerouting { type filter hook prerouting priority -110; policy accept; ct state new counter jump firewall-check; }
    chain firewall-check { ip daddr 10.96.0.99 drop; }
    chain filter-forward { type filter hook forward priority -110; policy accept; ct state new counter jump service-endpoints-check; ct state new counter jump cluster-ips-check; }
    chain filter-output { type filter hook output priority -110; policy accept; ct state new counter jump service-endpoints-check; }
    chain filter-output-post-dnat { type filter hook output priority -90; policy accept; ct state new counter jump cluster-ips-check; }
    chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }
    chain cluster-ips-check { ip daddr @cluster-ips counter reject comment \"Reject traffic to invalid ports of ClusterIPs\"; }
    chain nat-prerouting { type nat hook prerouting priority -100; policy accept; counter jump services; }
    chain nat-output { type nat hook output priority -100; policy accept; counter jump services; }
    chain nat-postrouting { type nat hook postrouting priority 100; policy accept; counter jump masquerading; }
    chain services {
        ip daddr . meta l4proto . th dport vmap @service-ips
        ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
    }
    chain masquerading { meta mark & 0x4000 == 0 counter return; meta mark set meta mark ^ 0x4000; counter masquerade fully-random; }
    chain mark-for-masquerade { meta mark set meta mark | 0x4000 counter; }
    chain reject-chain { counter reject; }
    chain service-AAAA-default/web/udp/dns { ip daddr 10.96.0.20 udp dport 53 ip saddr != 10.1.0.0/24 counter jump mark-for-masquerade; numgen random mod 2 vmap { 0 : goto endpoint-B1, 1 : goto endpoint-B2 }; }
    chain external-AAAA-default/web/udp/dns { counter jump mark-for-masquerade; counter goto service-AAAA-default/web/udp/dns; }
    chain endpoint-B1 { ip saddr 10.2.0.2 counter jump mark-for-masquerade; meta l4proto udp counter dnat to 10.2.0.2:5353; }
    chain endpoint-B2 { ip saddr 10.2.0.3 counter jump mark-for-masquerade; meta l4proto udp counter dnat to 10.2.0.3:5353; }
}
END";

/// Native rules.
pub const NATIVE: &[Scenario] = &[
    Scenario { name: "kube-proxy service", rules: KUBE_NFT, packet: "udp 10.1.0.2 -> 10.96.0.20:53", truth: At(Server), ..PLAIN },
    Scenario { name: "kube-proxy without endpoints", rules: KUBE_NFT, packet: "udp 10.1.0.2 -> 10.96.0.30:53", truth: Refused, ..PLAIN },
    Scenario { name: "kube-proxy without local endpoints", rules: KUBE_NFT, packet: "udp 10.1.0.2 -> 10.96.0.31:53", ..PLAIN },
    Scenario { name: "kube-proxy wrong port", rules: KUBE_NFT, packet: "udp 10.1.0.2 -> 10.96.0.20:54", truth: Refused, ..PLAIN },
    Scenario { name: "kube-proxy node port", rules: KUBE_NFT, from: Outside, packet: "udp 192.0.2.2 -> 192.0.2.1:30053", truth: At(Server), ..PLAIN },
    Scenario { name: "kube-proxy from the host", rules: KUBE_NFT, from: Host, packet: "udp 192.0.2.1 -> 10.96.0.20:53", truth: At(Server), ..PLAIN },
    Scenario { name: "kube-proxy from the host without endpoints", rules: KUBE_NFT, from: Host, packet: "udp 192.0.2.1 -> 10.96.0.30:53", truth: Refused, ..PLAIN },
    Scenario {
        name: "an interval set",
        rules: "nft -f - <<END
table inet fw {
    set nets { type ipv4_addr; flags interval; elements = { 10.2.0.0/25, 10.9.0.0-10.9.0.9 }; }
    chain f { type filter hook forward priority 0; policy accept; ip daddr != @nets counter accept; ip daddr @nets udp dport { 50-60, 99 } counter drop; counter; }
}
END",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "outside an interval",
        rules: "nft -f - <<END
table inet fw {
    chain f { type filter hook forward priority 0; policy drop; ip daddr 10.2.0.128/25 counter drop; udp dport 54-60 counter drop; meta l4proto { tcp, udp } counter accept; }
}
END",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "concatenated ranges",
        rules: "nft -f - <<END
table ip fw {
    set pairs { type ipv4_addr . inet_service; flags interval; elements = { 10.2.0.0/24 . 50-60 }; }
    chain f { type filter hook forward priority 0; policy accept; ip daddr . udp dport @pairs counter reject with icmp type host-prohibited; }
}
END",
        packet: "udp 10.1.0.2 -> 10.2.0.3:55",
        truth: Refused,
        ..PLAIN
    },
    Scenario {
        name: "accept ends one chain only",
        rules: "nft -f - <<END
table inet one { chain f { type filter hook forward priority -10; policy drop; counter accept; }; }
table inet two { chain f { type filter hook forward priority 10; policy accept; meta nfproto ipv4 counter drop; }; }
END",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "the later chain of one priority comes first",
        rules: "nft -f - <<END
table inet one { chain f { type filter hook forward priority 0; policy accept; counter reject; }; }
table inet two { chain f { type filter hook forward priority 0; policy accept; counter drop; }; }
END",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "ct state map",
        rules: "nft -f - <<END
table inet fw {
    chain new { udp dport 53 counter accept; counter drop; }
    chain f { type filter hook forward priority 0; policy drop; ct state vmap { established : accept, related : accept, invalid : drop, new : jump new }; }
}
END",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "fib says local",
        rules: "nft -f - <<END
table inet fw {
    chain p { type filter hook prerouting priority raw; policy accept; fib saddr . iif oif missing counter drop; fib daddr type local counter meta mark set 0x33; }
    chain i { type filter hook input priority 0; policy drop; meta mark 0x33 udp dport 5310 counter accept; }
}
END",
        packet: "udp 10.1.0.2 -> 10.2.0.1:5310",
        local: Some(5310),
        truth: At(Host),
        ..PLAIN
    },
    Scenario {
        name: "dnat by map",
        rules: "nft -f - <<END
table ip n {
    map to { type inet_service : ipv4_addr . inet_service; elements = { 8053 : 10.2.0.3 . 53, 8054 : 10.2.0.2 . 54 }; }
    chain p { type nat hook prerouting priority dstnat; policy accept; ip daddr 192.0.2.1 meta l4proto udp counter dnat ip addr . port to udp dport map @to; }
}
END",
        from: Outside,
        packet: "udp 192.0.2.2 -> 192.0.2.1:8053",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "the first translation wins",
        rules: "nft -f - <<END
table ip one { chain p { type nat hook prerouting priority -110; policy accept; udp dport 53 counter dnat to 10.2.0.3; }; }
table ip two { chain p { type nat hook prerouting priority -90; policy accept; udp dport 53 counter dnat to 10.2.0.2:99; }; }
END",
        packet: "udp 10.1.0.2 -> 10.96.0.1:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "redirect to the host",
        rules: "nft add table ip n; nft add chain ip n p '{ type nat hook prerouting priority dstnat; }'; nft add rule ip n p udp dport 53 counter redirect to :5311",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        local: Some(5311),
        truth: At(Host),
        ..PLAIN
    },
    Scenario {
        name: "masquerade with a mark",
        rules: "nft -f - <<END
table inet n {
    chain f { type filter hook forward priority mangle; policy accept; iifname p0 oifname o0 counter meta mark set 0x9; }
    chain p { type nat hook postrouting priority srcnat; policy accept; meta mark & 0xf == 0x9 counter masquerade; }
}
END",
        packet: "udp 10.1.0.2 -> 192.0.2.2:53",
        truth: At(Outside),
        ..PLAIN
    },
    Scenario {
        name: "verdict map by interface",
        rules: "nft -f - <<END
table inet fw {
    chain pods { meta l4proto udp counter goto web; counter accept; }
    chain web { th dport { 80, 443 } counter accept; }
    chain f { type filter hook forward priority 0; policy drop; iifname vmap { p0 : jump pods, s0 : drop }; counter; }
}
END",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "source port unknown is undecided",
        rules: "nft add table inet fw; nft add chain inet fw f '{ type filter hook forward priority 0; }'; nft add rule inet fw f udp sport 40000-50000 counter drop",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        args: "no source port",
        open: true,
        ..PLAIN
    },
    Scenario {
        name: "source port outside what is possible",
        rules: "nft add table inet fw; nft add chain inet fw f '{ type filter hook forward priority 0; }'; nft add rule inet fw f udp sport 1-1023 counter drop; nft add rule inet fw f udp sport '>=' 1024 counter accept",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        args: "no source port",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "limit over is undecided",
        rules: "nft add table inet fw; nft add chain inet fw f '{ type filter hook forward priority 0; }'; nft add rule inet fw f udp dport 53 limit rate over 1/hour burst 1 packets counter drop; nft add rule inet fw f counter",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: At(Server),
        open: true,
        ..PLAIN
    },
    Scenario {
        name: "ingress of a device",
        rules: "nft add table netdev d; nft add chain netdev d i '{ type filter hook ingress device p0 priority 0; }'; nft add rule netdev d i ip daddr 10.2.0.2 udp dport 53 counter drop",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "ingress of another device",
        rules: "nft add table netdev d; nft add chain netdev d i '{ type filter hook ingress device s0 priority 0; }'; nft add rule netdev d i ip daddr 10.2.0.2 udp dport 53 counter drop",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "not tracked",
        rules: "nft -f - <<END
table inet fw {
    chain p { type filter hook prerouting priority raw; policy accept; udp dport 53 counter notrack; }
    chain f { type filter hook forward priority 0; policy accept; ct state untracked counter reject with icmpx type admin-prohibited; ct state new counter drop; }
}
END",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: Refused,
        ..PLAIN
    },
    Scenario {
        name: "conntrack is not there before its hook",
        rules: "nft -f - <<END
table inet fw {
    chain p { type filter hook prerouting priority raw; policy accept; ct state new counter drop; ct state invalid counter; }
    chain f { type filter hook forward priority 0; policy accept; ct state new counter accept; counter drop; }
}
END",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "an established answer",
        rules: "nft -f - <<END
table inet fw { chain f { type filter hook forward priority 0; policy drop; ct state established,related counter accept; iifname p0 counter accept; }; }
END",
        from: Server,
        packet: "udp 10.2.0.2:53 -> 10.1.0.2:41002",
        before: &[(Pod, "udp 10.1.0.2:41002 -> 10.2.0.2:53")],
        truth: At(Pod),
        ..PLAIN
    },
    Scenario {
        name: "ipv6 set and reject",
        rules: "nft -f - <<END
table ip6 fw {
    set bad { type ipv6_addr; flags interval; elements = { fd01::/64 }; }
    chain f { type filter hook forward priority 0; policy accept; ip6 saddr @bad tcp dport 443 counter reject with tcp reset; }
}
END",
        packet: "tcp fd01::2 -> [fd02::2]:443",
        truth: Refused,
        ..PLAIN
    },
    Scenario {
        name: "ipv6 hop limit and extension headers",
        rules: "nft -f - <<END
table inet fw { chain f { type filter hook forward priority 0; policy accept; ip6 hoplimit 1 counter drop; ip6 nexthdr udp ip6 daddr fd02::2 counter drop; }; }
END",
        packet: "udp fd01::2 -> [fd02::2]:53",
        args: "ttl 64",
        ..PLAIN
    },
    Scenario {
        name: "a dormant table",
        rules: "nft -f - <<END
table inet fw { flags dormant; chain f { type filter hook forward priority 0; policy drop; counter drop; }; }
END",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        truth: At(Server),
        ..PLAIN
    },
    Scenario {
        name: "route type chain re-routes",
        rules: "ip rule add fwmark 9 table 79; ip route add default via 192.0.2.2 dev o0 table 79
nft add table ip m; nft add chain ip m o '{ type route hook output priority mangle; }'; nft add rule ip m o udp dport 79 counter meta mark set 9",
        from: Host,
        packet: "udp 10.2.0.1 -> 10.2.0.2:79",
        truth: At(Outside),
        ..PLAIN
    },
    Scenario {
        name: "tcp flags and marks of the connection",
        rules: "nft -f - <<END
table inet fw {
    chain p { type filter hook prerouting priority mangle; policy accept; tcp flags & (syn | ack) == syn counter ct mark set 0x42; }
    chain f { type filter hook forward priority 0; policy accept; ct mark 0x42 tcp dport 80 counter drop; }
}
END",
        packet: "tcp 10.1.0.2 -> 10.2.0.2:80",
        ..PLAIN
    },
];

/// Both backends at once.
pub const MIXED: &[Scenario] = &[
    Scenario {
        name: "accepted by one, dropped by the other",
        rules: "iptables-nft -A FORWARD -p udp --dport 53 -j DROP; iptables-legacy -A FORWARD -p udp -j ACCEPT",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "translated by legacy, refused natively",
        rules: "iptables-legacy -t nat -A PREROUTING -d 10.96.0.7/32 -p udp -j DNAT --to-destination 10.2.0.3:5353
                nft add table inet fw; nft add chain inet fw f '{ type filter hook forward priority 5; }'; nft add rule inet fw f ip daddr 10.2.0.3 udp dport 5353 counter reject",
        packet: "udp 10.1.0.2 -> 10.96.0.7:53",
        truth: Refused,
        ..PLAIN
    },
    Scenario {
        name: "marked natively, dropped by legacy",
        rules: "nft add table inet m; nft add chain inet m p '{ type filter hook prerouting priority -160; }'; nft add rule inet m p udp dport 53 counter meta mark set 0x5
                iptables-legacy -t mangle -A PREROUTING -m mark --mark 5 -j MARK --set-mark 6; iptables-legacy -A FORWARD -m mark --mark 6 -j DROP",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        ..PLAIN
    },
    Scenario {
        name: "service in nftables, policy in legacy",
        rules: concat!("KUBE\n", "iptables-legacy -A FORWARD -i p0 -d 10.2.0.0/24 -p udp --dport 5353 -j DROP"),
        packet: "udp 10.1.0.2 -> 10.96.0.20:53",
        ..PLAIN
    },
    Scenario {
        name: "refused or dropped, whichever comes first",
        rules: "iptables-legacy -A FORWARD -p udp -j REJECT; iptables-nft -A FORWARD -p udp -j DROP",
        packet: "udp 10.1.0.2 -> 10.2.0.2:53",
        open: true,
        ..PLAIN
    },
];
