#!/bin/sh
# First process of the lab's namespaces: sets up addresses and files, starts the servers, then waits for the end of
# its standard input. Whoever started it holds the other end; when that process dies, however it dies, this one
# ends, and the kernel ends everything else in the process namespace.
# usage: init.sh DIR
dir=$1
finish() { kill -9 -1 2>/dev/null; rm -rf "$dir"; exit 0; }
die() { echo "init: $*" > "$dir/failed"; cat > /dev/null; finish; }
trap finish TERM INT

ip link set lo up || die "lo"
# A server listens only on addresses an interface has, even on this one.
for host in 10 20 30 31 53; do ip addr add "127.0.0.$host/8" dev lo || die "127.0.0.$host"; done
for host in 10 20 30 53; do ip -6 addr add "fd00::$host/128" dev lo nodad || die "fd00::$host"; done
# 192.0.2.99 takes every packet and says nothing.
ip link add dark0 type veth peer name dark1 || die "veth pair"
ip addr add 192.0.2.254/24 dev dark0
ip link set dark0 arp off up
ip link set dark1 arp off up
ip neigh add 192.0.2.99 lladdr 02:00:00:00:00:99 dev dark0 nud permanent || die "neighbour"
ip route add unreachable 198.51.100.128/25 || die "route"
ip route add prohibit 198.51.100.0/25

mount --make-rprivate /
for file in resolv.conf hosts nsswitch.conf; do
	[ -e "/etc/$file" ] || : > "/etc/$file"
	mount --bind "$dir/etc/$file" "/etc/$file" || die "bind $file"
done
# A configuration of address ordering would make getaddrinfo's order that of this machine.
[ ! -e /etc/gai.conf ] || mount --bind /dev/null /etc/gai.conf

for server in root tld leaf second resolver; do
	named -f -n 1 -c "$dir/servers/$server.conf" > "$dir/log/$server.stdio" 2>&1 < /dev/null &
done
echo "$$" > "$dir/started"
cat > /dev/null
finish
