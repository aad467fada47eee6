# A host with one of every link this kernel can make, addresses, policy, routes of every shape and neighbours.
# Run in a network and a mount namespace of its own; nothing here moves by itself once it stands.
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/netns
for kind in all default; do
    echo 0 > /proc/sys/net/ipv6/conf/$kind/accept_dad
    echo 0 > /proc/sys/net/ipv6/conf/$kind/router_solicitations
    echo 0 > /proc/sys/net/ipv6/conf/$kind/accept_ra
done
ip link set lo up
ip netns add other
ip link add v0 type veth peer name v1
ip link add w0 type veth peer name w1 netns other
ip link add br0 type bridge mcast_snooping 0 forward_delay 0
ip link set v1 master br0
ip link add vx0 type vxlan id 42 local 10.0.0.1 dev v0 dstport 4789
ip link add vx6 type vxlan id 43 remote 10.0.0.9 dstport 4789 ttl 5 nolearning
ip link add mv0 link v0 type macvlan mode bridge
ip link add mt0 link v0 type macvtap
ip link add ifb0 type ifb
ip tuntap add t0 mode tun
ip tuntap add tp0 mode tap multi_queue
for link in v0 v1 br0 w0 vx0 mv0; do ip link set $link up; done
ip -n other link set w1 up
# The kernel takes up to a second to notice carriers; addresses and routes of IPv6 follow.
for link in v0 v1 br0 w0 mv0; do
    tries=0
    until ip -o link show $link | grep -q 'state UP' && ip -o -6 addr show dev $link scope link | grep -q fe80; do
        tries=$((tries + 1))
        [ $tries -lt 400 ]
        sleep 0.05
    done
done
ip link set v0 alias "the uplink"
ip link property add dev v0 altname uplink-long-name
ip link set w0 group 7
ip link set mt0 mtu 1400
ip addr add 10.0.0.1/24 dev v0
ip addr add 10.0.0.2/24 dev v0
ip addr add 10.9.0.1 peer 10.9.0.2/32 dev v0
ip addr add 10.0.3.1/24 brd + dev v0 label v0:x valid_lft 30000 preferred_lft 20000
ip addr add 2001:db8::1/64 dev v0 nodad
ip addr add 2001:db8:1::1/64 dev v0 nodad valid_lft 30000 preferred_lft 0
ip addr add 2001:db8:5::1 peer 2001:db8:5::2/128 dev v0 nodad
ip addr add 192.168.7.1/24 dev w0
ip -n other addr add 192.168.7.2/24 dev w1
ip route add default via 10.0.0.254
ip route add 10.1.0.0/16 via 10.0.0.254 dev v0 metric 100 mtu 1400 advmss 1300 src 10.0.0.2 proto static
ip route add 10.2.0.0/16 nexthop via 10.0.0.253 dev v0 weight 2 nexthop via 192.168.7.2 dev w0 weight 1
ip route add blackhole 10.3.0.0/16
ip route add unreachable 10.4.0.0/16
ip route add prohibit 10.5.0.0/16 table 100
ip route add throw 10.6.0.0/16 table 100
ip route add 10.7.0.0/16 dev v0 scope link table 200
ip route add 10.8.0.0/16 via inet6 fe80::1 dev v0
ip route add 10.10.0.0/16 dev v0 tos 0x10 rtt 100 rttvar 2000 hoplimit 5 mtu lock 1300 initcwnd 10 congctl reno quickack 1
ip route add 10.14.0.0/16 via 10.1.0.1 dev v0 onlink features ecn rto_min 1500
ip route add 10.15.0.0/16 dev v0 realm 3/4
ip route add default via 10.0.0.252 table 1000
ip -6 route add 2001:db8:2::/48 via 2001:db8::2 dev v0 metric 50
ip -6 route add 2001:db8:3::/48 nexthop via 2001:db8::2 dev v0 nexthop via 2001:db8::3 dev v0 weight 3
ip -6 route add unreachable 2001:db8:4::/48
ip -6 route add default via fe80::1 dev v0 pref high
ip -6 route add 2001:db8:6::/48 dev v0 expires 5000
ip -6 route add 2001:db8:7::/48 from 2001:db8::/64 dev v0
ip -6 route add 2001:db8:8::/48 via 2001:db8::2 table 100 mtu 1300
ip nexthop add id 1 via 10.0.0.250 dev v0
ip nexthop add id 2 via 10.0.0.251 dev v0
ip nexthop add id 3 group 1,2/2,3
ip nexthop add id 4 blackhole
ip nexthop add id 5 via fe80::5 dev v0
ip nexthop add id 6 dev v0 proto static
ip route add 10.12.0.0/16 nhid 1
ip route add 10.13.0.0/16 nhid 3
ip rule add from 10.0.0.0/8 table 100 pref 100
ip rule add fwmark 0x10/0xff table 200 pref 200
ip rule add iif v0 oif w0 lookup 100 pref 300
ip rule add to 10.20.0.0/16 prohibit pref 400
ip rule add not from 10.30.0.0/16 tos 0x10 goto 400 pref 350
ip rule add ipproto tcp sport 1000-2000 dport 80 lookup main pref 500
ip rule add ipproto udp dport 53 lookup 1000 pref 510
ip rule add uidrange 0-100 lookup main suppress_prefixlength 0 pref 600
ip rule add iif nothere lookup main suppress_ifgroup default pref 601
ip rule add from 10.30.0.0/16 lookup main realms 3/4 pref 650
ip rule add pref 800 blackhole
ip rule add pref 801 goto 900
ip rule add fwmark 7 unreachable pref 802 protocol static
ip -6 rule add from 2001:db8::/32 lookup 100 pref 100
ip -6 rule add to 2001:db8:9::/48 unreachable pref 110
ip neigh add 10.0.0.254 lladdr 02:00:00:00:00:01 dev v0
ip neigh add 10.0.0.253 lladdr 02:00:00:00:00:02 dev v0 nud stale
ip neigh add 10.0.0.252 dev v0 nud failed
ip neigh add 10.0.0.251 lladdr 02:00:00:00:00:04 dev v0 nud noarp
ip neigh add 10.0.0.250 lladdr 02:00:00:00:00:05 dev v0 extern_learn protocol zebra nud stale
ip neigh add 2001:db8::2 lladdr 02:00:00:00:00:03 dev v0 router
ip neigh add proxy 10.0.0.77 dev v0
ip neigh add proxy 2001:db8::77 dev v0
bridge fdb add 02:00:00:00:00:09 dev vx0 dst 10.0.0.77
bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.78 vni 7 port 4790 via v0
bridge fdb add 02:00:00:00:00:0a dev v1 master static
bridge fdb add 02:00:00:00:00:0b dev v1 master static sticky
ip maddr add 33:33:00:00:00:05 dev v0
ip xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 5 mode tunnel
ip xfrm policy add src 10.2.0.0/16 dst 10.1.0.0/16 proto tcp sport 80 dir fwd priority 7 action block
ip xfrm policy add src 2001:db8::/32 dst 2001:db8:1::/48 dir in mark 0x5 mask 0xff if_id 0x9 tmpl proto ah mode transport level use
mkdir -p /run/scene
cp "$KINDS" /run/scene/kinds
: > /run/scene/ready
exec sleep 600
