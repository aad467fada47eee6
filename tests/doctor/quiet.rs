//! What doctor costs and what it leaves behind: packets of a healthy path against one curl, by the links' counters; and
//! everything it looks at, before and after.

use std::path::Path;

use super::format::{self, World};
use super::stage::{self, Stage};
use super::{LIMIT, wanted};
use crate::lab::{self, Stop, TempDir};

/// Packets more than one curl that a healthy path may take.
const MORE: u64 = 12;

fn world(text: &str) -> Result<World, Stop> {
    let worlds = format::parse(text).map_err(Stop::Fail)?;
    worlds.into_iter().next().ok_or_else(|| "no world".into())
}

/// Packets that went over the client's link in both directions, without those that neighbours send by themselves: the
/// packet filter counts IP only, and there is no multicast to count.
fn packets(stage: &Stage) -> Result<u64, Stop> {
    let output = lab::run(&mut stage.shell("client", "nft -j list table inet count"), LIMIT)?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| Stop::Fail(format!("{error}: {}", String::from_utf8_lossy(&output.stderr))))?;
    let objects = report["nftables"].as_array().into_iter().flatten();
    Ok(objects.filter_map(|object| object["counter"]["packets"].as_u64()).sum())
}

const COUNTERS: &str = "table inet count { counter sent { }; counter received { }; \
    chain o { type filter hook postrouting priority 1000; oif eth0 meta pkttype host meta l4proto { tcp, udp, icmp } counter name sent; }; \
    chain i { type filter hook prerouting priority -1000; iif eth0 meta l4proto { tcp, udp, icmp } counter name received; }; }";

/// One healthy path, asked by curl and by doctor.
pub fn healthy() -> Result<(), Stop> {
    wanted()?;
    let certificates = stage::certificates()?;
    let place = TempDir::new("worlds-bin")?;
    let binary = lab::binary_for_everybody(&place.0)?;
    for url in ["http://web.shop.svc.cluster.local/", "http://10.2.0.10/", "https://web.shop.svc.cluster.local/"] {
        let text = format!(
            "== healthy\ntarget {url}\nlayer none\nclient nft '{COUNTERS}'\ndaemon server 443 nginx -c @W@/nginx-tls.conf\n"
        );
        let stage = Stage::new(&world(&text)?, &certificates.0)?;
        // Neighbours are known and every program has run once.
        for _ in 0..2 {
            run(&stage, Path::new("curl"), &["-sS", "-o", "/dev/null", "-m", "30", url])?;
        }
        settle(&stage)?;
        let start = packets(&stage)?;
        run(&stage, Path::new("curl"), &["-sS", "-o", "/dev/null", "-m", "30", url])?;
        settle(&stage)?;
        let curl = packets(&stage)? - start;
        let start = packets(&stage)?;
        let said = run(&stage, &binary, &["doctor", "--timeout", "30", url])?;
        settle(&stage)?;
        let doctor = packets(&stage)? - start;
        if doctor > curl + MORE {
            return Err(Stop::Fail(format!("{url}: curl took {curl} packets, doctor {doctor}:\n{said}")));
        }
        if !said.contains("nothing is broken here") {
            return Err(Stop::Fail(format!("{url}: {said}")));
        }
        if std::env::var_os("NETKIT_WORLDS").is_some() {
            return Err(Stop::Fail(format!("{url}: curl {curl} packets, doctor {doctor}:\n{said}")));
        }
    }
    Ok(())
}

/// Until no connection is on its way to its end: its last packets would be counted to whoever comes next.
fn settle(stage: &Stage) -> Result<(), Stop> {
    let script = "until [ -z \"$(ss -Htan state established state fin-wait-1 state fin-wait-2 state closing state last-ack state close-wait)\" ]; do sleep 0.01; done";
    let output = lab::run(&mut stage.shell("client", script), LIMIT)?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}

fn run(stage: &Stage, program: &Path, args: &[&str]) -> Result<String, Stop> {
    let output = lab::run(stage.command(false, program).args(args), LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(text) } else { Err(Stop::Fail(format!("{program:?} {args:?}: {text}"))) }
}

/// Everything that doctor looks at, as the kernel and the files have it, and the two directories that are the world's own
/// (others write into /tmp meanwhile). What changes by itself is left out: counters of packets, times, states of
/// neighbours that were used, sockets in TIME-WAIT.
const LOOK: &str = "for t in raw mangle nat filter; do iptables-legacy -t $t -S; ip6tables-legacy -t $t -S; done; nft -s list ruleset; \
    ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; ip addr | sed s/valid_lft.*//; \
    ip neigh | sed \"s/ [A-Z]* *$//\"; ss -Htan state all | grep -v TIME-WAIT; ss -Huan; ss -Hxan | wc -l; ss -Hwan; \
    conntrack -C 2>/dev/null; find /etc /run -xdev -newer /run/mark 2>/dev/null; \
    sysctl -a 2>/dev/null | grep -e ^net.ipv[46].conf -e ^net.ipv4.tcp -e ^net.netfilter | grep -v -e fib_multipath -e tcp_mem -e count; \
    ls /proc/sys/net/netfilter 2>/dev/null; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names";

/// Worlds in which everything that doctor can touch is there, one for each of its ways.
const TOUCHED: [&str; 4] = [
    "== http\ntarget http://web.shop.svc.cluster.local/\nlayer none\nclient iptables-legacy -A OUTPUT -p udp --dport 99 -j DROP\n",
    "== refused\ntarget http://10.2.0.11/\nlayer tcp\nclient nft 'table inet t { chain c { type filter hook output priority 0; tcp dport 99 drop; }; }'\n",
    "== mtu\ntarget http://10.2.0.11/\nlayer route\nserve tcp 10.2.0.11:80 http 200 body=20000\nrouter ip link set r0 mtu 1280\nrouter iptables-legacy -A OUTPUT -p icmp -j DROP\n",
    "== dropped\ntarget http://10.2.0.10/\nlayer tcp\nrouter iptables-legacy -A FORWARD -d 10.2.0.10 -p tcp --dport 80 -j DROP\n",
];

/// What is there before is there after, and nothing else.
pub fn untouched() -> Result<(), Stop> {
    wanted()?;
    let certificates = stage::certificates()?;
    let place = TempDir::new("worlds-bin")?;
    let binary = lab::binary_for_everybody(&place.0)?;
    for text in TOUCHED {
        let world = world(text)?;
        let stage = Stage::new(&world, &certificates.0)?;
        // Whoever comes first makes the kernel look for neighbours and load its tables.
        // What is closed and not answered, or not closed by the other side, is forgotten soon (ip-sysctl).
        let mut first = stage.shell("client", "for f in tcp_fin_timeout tcp_orphan_retries; do echo 1 > /proc/sys/net/ipv4/$f; done; \
            iptables-legacy-save >/dev/null; ip6tables-legacy-save > /dev/null; nft list ruleset > /dev/null; \
            ping -c 1 -W 1 10.1.0.1 >/dev/null; curl -s -m 1 -o /dev/null http://web.shop.svc.cluster.local/; touch /run/mark; sleep 0.02");
        lab::run(&mut first, LIMIT)?;
        settle(&stage)?;
        let before = look(&stage)?;
        let output =
            lab::run(stage.command(false, &binary).args(["doctor", "--timeout", "1"]).args(&world.target), LIMIT)?;
        if output.stdout.is_empty() {
            return Err(Stop::Fail(format!("{}: {}", world.name, String::from_utf8_lossy(&output.stderr))));
        }
        settle(&stage)?;
        lab::same(&world.name, &before, &look(&stage)?)?;
    }
    Ok(())
}

fn look(stage: &Stage) -> Result<String, Stop> {
    let output = lab::run(&mut stage.shell("client", LOOK), LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // A search that cannot find anything would find nothing changed.
    for part in ["10.1.0.1", "default", "-P OUTPUT ACCEPT", "net.ipv4.conf"] {
        if !text.contains(part) {
            return Err(Stop::Fail(format!("`{part}` is missing in what is compared:\n{text}")));
        }
    }
    Ok(text)
}
