//! `--svc`, `--drops`, `--hits`, `--diff`, `--owners` and `--json` on the same stage.

use std::net::UdpSocket;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use super::scenarios::{self, KUBE_NFT};
use super::stage::{Packet, Place, Seen, Stage, inside, output};
use crate::lab::{self, Stop, TempDir, same, tool, trial};

const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("iptables_trace::services", services),
        trial("iptables_trace::drops_and_hits", drops_and_hits),
        trial("iptables_trace::owners", owners),
        trial("iptables_trace::diff", diff),
        trial("iptables_trace::json_is_lossless", lossless),
        trial("iptables_trace::text", text),
        trial("iptables_trace::wrong_questions", wrong),
        trial("iptables_trace::without_capability", unprivileged),
        trial("iptables_trace::nothing_is_changed", untouched),
    ]
}

struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

fn netkit(stage: &Stage, args: &[&str]) -> Result<Said, Stop> {
    let mut command = Command::new(lab::netkit());
    command.args(["iptables", "--netns", &stage.netns()]).args(args);
    let found = lab::run(&mut command, LIMIT)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { status: found.status.code(), out: text(&found.stdout), err: text(&found.stderr) })
}

fn json(stage: &Stage, args: &[&str]) -> Result<Value, Stop> {
    let said = netkit(stage, &[args, &["--json"]].concat())?;
    serde_json::from_str(&said.out).map_err(|error| Stop::Fail(format!("{args:?}: {error}: {} {}", said.out, said.err)))
}

fn load(stage: &Stage, script: &str) -> Result<(), Stop> {
    output(stage.command("sh").args(["-ec", script])).map(drop)
}

/// kube-proxy's iptables rules for one service with two endpoints, and one without.
fn kube_iptables(backend: &str) -> String {
    format!(
        "T=iptables-{backend}\n{}\n
        $T -t nat -A KUBE-SVC-WEB -m comment --comment 'default/web:dns -> 10.2.0.2:5353' -m statistic --mode random --probability 0.5 -j KUBE-SEP-A
        $T -t nat -A KUBE-SVC-WEB -m comment --comment 'default/web:dns -> 10.1.0.2:5353' -j KUBE-SEP-B
        $T -N KUBE-SERVICES
        $T -A KUBE-SERVICES -d 10.96.0.30/32 -p udp -m comment --comment 'default/gone has no endpoints' -m udp --dport 53 -j REJECT
        $T -A FORWARD -j KUBE-SERVICES",
        scenarios::expand("SERVICE\n")
    )
}

fn services() -> Result<(), Stop> {
    let stage = Stage::new()?;
    for backend in ["legacy", "nft"] {
        load(&stage, &kube_iptables(backend))?;
        let kind = format!("kube-proxy iptables ({backend})");
        let wanted = format!(
            "default/web:dns  10.96.0.20:53/udp  {kind}\n  10.2.0.2:5353  50%  0 packets  KUBE-SEP-A\n  \
             10.1.0.2:5353  50%  0 packets  KUBE-SEP-B\n"
        );
        let node_port = format!(
            "default/web:dns  port 30053/udp  {kind}, NodePort\n  10.2.0.2:5353  50%  0 packets  KUBE-SEP-A\n  \
             10.1.0.2:5353  50%  0 packets  KUBE-SEP-B\n"
        );
        for (asked, text) in [
            ("10.96.0.20:53", &wanted),
            ("10.96.0.20", &wanted),
            ("default/web:dns", &format!("{wanted}{node_port}")),
            ("web", &format!("{wanted}{node_port}")),
        ] {
            let said = netkit(&stage, &["--svc", asked])?;
            same(&format!("--svc {asked}"), text, &said.out)?;
            expect(said.status == Some(0), "status 0")?;
        }
        let said = netkit(&stage, &["--svc", "default/gone"])?;
        let gone = format!("default/gone  10.96.0.30:53/udp  {kind}\n  no endpoints: REJECT  0 packets\n");
        same("--svc default/gone", &gone, &said.out)?;
        expect(said.status == Some(1), "status 1 without endpoints")?;
        let said = netkit(&stage, &["--svc", "10.96.0.20:54"])?;
        expect(said.status == Some(1) && said.err.contains("10.96.0.20:54"), "an unknown service is named")?;
        // One packet is counted on the way of one endpoint; each backend gets a connection of its own.
        let port = if backend == "nft" { 43_000 } else { 43_001 };
        let packet = Packet::parse(&format!("udp 10.1.0.2:{port} -> 10.96.0.20:53"))?;
        let seen = stage.send(Place::Pod, &packet, None, Duration::from_millis(500))?;
        expect(matches!(seen, Seen::Received { .. }), &format!("{backend}: {seen:?}"))?;
        let report = json(&stage, &["--svc", "10.96.0.20"])?;
        let packets = report["services"][0]["endpoints"].as_array().into_iter().flatten();
        let sum: u64 = packets.filter_map(|endpoint| endpoint["packets"].as_u64()).sum();
        expect(sum == 1, &format!("{backend}: one packet among the endpoints: {report:#}"))?;
        super::clean(&stage)?;
    }
    // Clients that stick to an endpoint, and a node's own endpoints only, come by rules of their own.
    load(
        &stage,
        "T=iptables-nft; for chain in KUBE-SERVICES KUBE-NODEPORTS KUBE-SVC-S KUBE-SEP-1 KUBE-SEP-2 KUBE-EXT-S KUBE-SVL-S KUBE-MARK-MASQ; do $T -t nat -N $chain; done
         $T -t nat -A KUBE-SERVICES -d 10.96.0.40/32 -p tcp -m comment --comment 'shop/cart:http cluster IP' -m tcp --dport 80 -j KUBE-SVC-S
         $T -t nat -A KUBE-SERVICES -d 192.0.2.80/32 -p tcp -m comment --comment 'shop/cart:http loadbalancer IP' -m tcp --dport 80 -j KUBE-EXT-S
         $T -t nat -A KUBE-SVC-S ! -s 10.1.0.0/16 -d 10.96.0.40/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
         for n in 1 2; do
             $T -t nat -A KUBE-SVC-S -m comment --comment \"shop/cart:http -> 10.2.0.$n:80\" -m recent --name KUBE-SEP-$n --rcheck --seconds 100 --reap -j KUBE-SEP-$n
             $T -t nat -A KUBE-SEP-$n -s 10.2.0.$n/32 -j KUBE-MARK-MASQ
             $T -t nat -A KUBE-SEP-$n -p tcp -m recent --name KUBE-SEP-$n --set -m tcp -j DNAT --to-destination 10.2.0.$n:80
         done
         $T -t nat -A KUBE-SVC-S -m statistic --mode random --probability 0.5 -j KUBE-SEP-1; $T -t nat -A KUBE-SVC-S -j KUBE-SEP-2
         $T -t nat -A KUBE-EXT-S -s 10.1.0.0/16 -j KUBE-SVC-S; $T -t nat -A KUBE-EXT-S -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ
         $T -t nat -A KUBE-EXT-S -m addrtype --src-type LOCAL -j KUBE-SVC-S; $T -t nat -A KUBE-EXT-S -j KUBE-SVL-S; $T -t nat -A KUBE-SVL-S -j KUBE-SEP-2",
    )?;
    let said = netkit(&stage, &["--svc", "cart:http"])?;
    let wanted = "shop/cart:http  10.96.0.40:80/tcp  kube-proxy iptables (nft)\n  10.2.0.1:80  50%  0 packets  KUBE-SEP-1\n  \
                  10.2.0.2:80  50%  0 packets  KUBE-SEP-2\n\
                  shop/cart:http  192.0.2.80:80/tcp  kube-proxy iptables (nft)\n  10.2.0.2:80  100%  0 packets  KUBE-SEP-2\n";
    same("--svc with affinity", wanted, &said.out)?;
    super::clean(&stage)?;
    load(&stage, KUBE_NFT)?;
    let said = netkit(&stage, &["--svc", "default/web"])?;
    let wanted = "default/web:dns  10.96.0.20:53/udp  kube-proxy nftables\n  10.2.0.2:5353  50%  0 packets  endpoint-B1\n  \
                  10.2.0.3:5353  50%  0 packets  endpoint-B2\n\
                  default/web:dns  port 30053/udp  kube-proxy nftables, NodePort\n  10.2.0.2:5353  50%  0 packets  endpoint-B1\n  \
                  10.2.0.3:5353  50%  0 packets  endpoint-B2\n";
    same("--svc of nftables", wanted, &said.out)?;
    let said = netkit(&stage, &["--svc", "10.96.0.30"])?;
    same("no endpoints", "-  10.96.0.30:53/udp  kube-proxy nftables\n  no endpoints: REJECT\n", &said.out)
}

fn expect(holds: bool, what: &str) -> Result<(), Stop> {
    if holds { Ok(()) } else { Err(Stop::Fail(what.to_owned())) }
}

fn drops_and_hits() -> Result<(), Stop> {
    let stage = Stage::new()?;
    load(
        &stage,
        "iptables-legacy -A FORWARD -p udp --dport 53 -j DROP; iptables-legacy -A FORWARD -p udp --dport 54 -j REJECT
         iptables-legacy -P INPUT DROP; iptables-legacy -A FORWARD -j ACCEPT
         iptables-nft -t mangle -A PREROUTING -p udp --dport 99 -j DROP
         nft -f - <<END
table inet fw {
    map verdicts { type inet_service : verdict; elements = { 5 : drop, 6 : accept }; }
    map kind { type inet_service : verdict; elements = { 7 : accept }; }
    chain f { type filter hook forward priority 5; policy drop; tcp dport vmap @verdicts; tcp dport vmap @kind; counter accept; tcp dport 9 reject with tcp reset; }
}
END",
    )?;
    for port in [43_100, 43_101] {
        let packet = Packet::parse(&format!("udp 10.1.0.2:{port} -> 10.2.0.2:53"))?;
        stage.send(Place::Pod, &packet, None, Duration::from_millis(100))?;
    }
    let report = json(&stage, &["--drops"])?;
    let rows: Vec<String> = report["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| format!("{} {}", row["packets"], row["place"].as_str().unwrap_or_default()))
        .collect();
    expect(
        rows.first().map(String::as_str) == Some("2 legacy filter FORWARD 1"),
        &format!("the busiest first: {rows:?}"),
    )?;
    let mut rest = rows.get(1..).unwrap_or_default().to_vec();
    rest.sort();
    let wanted = [
        "0 legacy filter FORWARD 2",
        "0 legacy filter INPUT policy",
        "0 nft ip mangle PREROUTING 1",
        "null nft inet fw f 1",
        "null nft inet fw f 4",
        "null nft inet fw f policy",
    ];
    expect(rest == wanted, &format!("what can drop: {rest:?}"))?;
    expect(report["conntrack"]["limit"].as_u64().is_some_and(|limit| limit > 0), "conntrack's limit")?;

    // Packets come all the time, so that it does not matter when the counting begins and ends.
    let stop = AtomicBool::new(false);
    let said = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            inside(stage.space(Place::Pod)?, || {
                let socket = UdpSocket::bind("10.1.0.2:0")?;
                while !stop.load(Ordering::Relaxed) {
                    socket.send_to(b"lab", "10.2.0.2:53")?;
                    std::thread::sleep(Duration::from_millis(2));
                }
                Ok(())
            })
        });
        let said = netkit(&stage, &["--hits", "1"]);
        stop.store(true, Ordering::Relaxed);
        sender.join().map_err(|_| Stop::Fail("the sender died".to_owned()))??;
        said
    })?;
    let lines: Vec<&str> = said.out.lines().skip(1).collect();
    let hit = matches!(lines.as_slice(), [line] if line.contains("legacy filter FORWARD 1 -A FORWARD -p udp -m udp --dport 53 -j DROP"));
    expect(hit && said.status == Some(0), &format!("only the rule that drops moves:\n{}{}", said.out, said.err))?;
    let said = netkit(&stage, &["--hits", "0"])?;
    same("nothing moves", "no counter moved\n", &said.out)
}

fn owners() -> Result<(), Stop> {
    let stage = Stage::new()?;
    let empty = netkit(&stage, &["--owners"])?;
    expect(empty.out.starts_with("no rules in either backend\n"), &empty.out)?;
    load(&stage, &kube_iptables("legacy"))?;
    load(&stage, &kube_iptables("nft"))?;
    load(
        &stage,
        "T=iptables-nft; $T -N cali-FORWARD; $T -A FORWARD -m comment --comment 'cali:wUHhoiAYhphO9Mso' -j cali-FORWARD
         $T -t nat -N DOCKER; $T -t nat -A POSTROUTING -m comment --comment 'flanneld masq' -j MASQUERADE
         $T -t nat -N ISTIO_OUTPUT; $T -t nat -A OUTPUT -p tcp -j ISTIO_OUTPUT; $T -t nat -N CNI-HOSTPORT-DNAT
         ip6tables-nft -N ts-input; ip6tables-legacy -A INPUT -p tcp --dport 1 -j DROP; nft add table inet firewalld
         nft add chain inet firewalld filter_INPUT; $T -N CILIUM_FORWARD; $T -N KUBE-ROUTER-INPUT; $T -A INPUT -p udp -j DROP",
    )?;
    let report = json(&stage, &["--owners"])?;
    let rows: Vec<String> = report["owners"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            let word = |key: &str| row[key].as_str().unwrap_or_default();
            format!("{}/{}/{} {} {}", word("owner"), word("backend"), word("family"), row["chains"], row["rules"])
        })
        .collect();
    for wanted in [
        "(nobody known)/legacy/ip6 0 1",
        "(nobody known)/nft/ip 0 1",
        "CNI portmap/nft/ip 1 0",
        "Calico/nft/ip 1 1",
        "Cilium/nft/ip 1 0",
        "Docker/nft/ip 1 0",
        "Istio/nft/ip 1 1",
        "firewalld/nft/inet 1 0",
        "flannel/nft/ip 0 1",
        "kube-router/nft/ip 1 0",
        "tailscale/nft/ip6 1 0",
    ] {
        expect(rows.iter().any(|row| row == wanted), &format!("{wanted} is missing in {rows:#?}"))?;
    }
    let kube = |backend: &str| rows.iter().any(|row| row.starts_with(&format!("kube-proxy iptables/{backend}/ip ")));
    expect(kube("legacy") && kube("nft"), "kube-proxy in both")?;
    let findings = report["findings"].to_string();
    expect(findings.contains("split-brain: kube-proxy iptables"), &findings)?;
    expect(findings.contains("both backends hold rules") && findings.contains("Cilium"), &findings)?;
    let said = netkit(&stage, &["--backend", "all", "-S"])?;
    expect(said.err.contains("split-brain: kube-proxy iptables"), &said.err)
}

fn diff() -> Result<(), Stop> {
    let stage = Stage::new()?;
    let dir = TempDir::new("iptables-diff")?;
    let file = dir.0.join("saved");
    let path = file.to_string_lossy().into_owned();
    for backend in ["legacy", "nft"] {
        let tool = format!("iptables-{backend}");
        load(&stage, &kube_iptables(backend))?;
        let saved = output(stage.command(format!("{tool}-save")).arg("-c"))?;
        std::fs::write(&file, &saved)?;
        let said = netkit(&stage, &["--diff", &path])?;
        expect(
            said.status == Some(0) && said.out.is_empty(),
            &format!("{backend}: nothing differs: {}{}", said.out, said.err),
        )?;
        // Counters, comments, dates and the order of chains are no differences.
        let mut lines: Vec<String> = saved.lines().map(|line| line.replace("cluster IP", "another comment")).collect();
        let heads: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with(":KUBE-S")).collect();
        lines.swap(heads[0], heads[1]);
        std::fs::write(&file, lines.join("\n").replace("[0:0] -A", "[7:9] -A"))?;
        let said = netkit(&stage, &["--diff", &path])?;
        same(&format!("{backend}: no differences"), "", &said.out)?;
        load(
            &stage,
            &format!(
                "{tool} -P FORWARD DROP; {tool} -D KUBE-FORWARD 1; {tool} -t nat -A KUBE-SEP-A -j RETURN; {tool} -t nat -N NEW; {tool} -t mangle -N OTHER"
            ),
        )?;
        let said = netkit(&stage, &["--diff", &path])?;
        let wanted = "*filter\n- :FORWARD ACCEPT\n+ :FORWARD DROP\n- -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n\
                      *nat\n+ -A KUBE-SEP-A -j RETURN\n+ :NEW -\n";
        same(&format!("{backend}: --diff"), wanted, &said.out)?;
        expect(said.status == Some(1), "status 1")?;
        super::clean(&stage)?;
    }
    std::fs::write(&file, "table ip x {\n}\n")?;
    let said = netkit(&stage, &["--diff", &path])?;
    expect(said.status == Some(2) && said.err.contains("line 1"), &said.err)?;
    let said = netkit(&stage, &["--diff", "/nonexistent/file"])?;
    expect(said.status == Some(2) && said.err.contains("/nonexistent/file"), &said.err)
}

/// Every rule that iptables-save shows is there, with the same text.
fn lossless() -> Result<(), Stop> {
    let stage = Stage::new()?;
    for backend in ["legacy", "nft"] {
        load(&stage, &kube_iptables(backend))?;
        let saved = output(&mut stage.command(format!("iptables-{backend}-save")))?;
        let mut wanted: Vec<&str> = saved.lines().filter(|line| line.starts_with("-A ")).collect();
        let mut command = Command::new(lab::netkit());
        command.args([format!("iptables-{backend}-save"), "--json".to_owned(), "--netns".to_owned(), stage.netns()]);
        let report: Value =
            serde_json::from_str(&output(&mut command)?).map_err(|error| format!("no JSON: {error}"))?;
        let chains = || report["chains"].as_array().into_iter().flatten();
        let rules = chains().flat_map(|chain| chain["rules"].as_array().into_iter().flatten());
        let mut found: Vec<&str> = rules.clone().filter_map(|rule| rule["raw"].as_str()).collect();
        wanted.sort_unstable();
        found.sort_unstable();
        same(&format!("{backend}: rules"), &wanted.join("\n"), &found.join("\n"))?;
        let statistic = rules
            .flat_map(|rule| rule["matches"].as_array().into_iter().flatten())
            .find(|found| found["name"] == "statistic")
            .ok_or("no statistic match")?;
        expect(statistic["options"] == "--mode random --probability 0.50000000000", &statistic.to_string())?;
        expect(statistic["data"].as_str().is_some_and(|data| data.len() >= 24), "the bytes")?;
        let report = json(&stage, &["-L", "FORWARD", "--backend", backend])?;
        let head = &report["chains"][0];
        expect(head["policy"] == "ACCEPT" && head["rules"][0]["jump"] == "KUBE-FORWARD", &head.to_string())?;
        super::clean(&stage)?;
    }
    Ok(())
}

/// The text of a walk, once in full.
fn text() -> Result<(), Stop> {
    let stage = Stage::new()?;
    load(
        &stage,
        "iptables-legacy -t nat -A PREROUTING -d 10.96.0.1/32 -p tcp --dport 443 -j DNAT --to-destination 10.2.0.2:6443
         iptables-legacy -A FORWARD -p tcp --dport 6443 -j MARK --set-mark 1
         iptables-legacy -A FORWARD -m recent --name x --rcheck -j DROP; iptables-legacy -A FORWARD -o s0 -j ACCEPT",
    )?;
    let said = netkit(&stage, &["--trace", "tcp 10.1.0.2 -> 10.96.0.1:443", "--from", "pod"])?;
    let wanted = "tcp 10.1.0.2 -> 10.96.0.1:443, NEW, in by p0
PREROUTING  legacy nat PREROUTING 1 [0:0] -A PREROUTING -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.2.0.2:6443  => destination 10.96.0.1:443 -> 10.2.0.2:6443
PREROUTING  route: 10.2.0.2 by s0
FORWARD     legacy filter FORWARD 1 [0:0] -A FORWARD -p tcp -m tcp --dport 6443 -j MARK --set-xmark 0x1/0xffffffff  => mark 0x0 -> 0x1
FORWARD     legacy filter FORWARD 2 [0:0] -A FORWARD -m recent --rcheck --name x --mask 255.255.255.255 --rsource -j DROP  => assumed not matching: recent
FORWARD     legacy filter FORWARD 3 [0:0] -A FORWARD -o s0 -j ACCEPT
POSTROUTING legacy nat POSTROUTING policy [0:0] ACCEPT
note: it comes in by p0, which leads to 10.1.0.2
verdict: ACCEPT forwarded by s0 to 10.2.0.2:6443 from 10.1.0.2
decided by: legacy filter FORWARD 3 -A FORWARD -o s0 -j ACCEPT
undecided: it would be DROP by legacy filter FORWARD 2, if this holds: legacy filter FORWARD 2 (recent)
";
    same("--trace", wanted, &said.out)?;
    expect(said.status == Some(3), "status 3")
}

fn wrong() -> Result<(), Stop> {
    let stage = Stage::new()?;
    for (args, part) in [
        (&["--trace", "tcp 10.1.0.2"][..], "form"),
        (&["--trace", "tcp", "10.1.0.2", "10.2.0.2:1", "what"], "what"),
        (&["--trace", "tcp 10.1.0.2 -> 10.2.0.2"], "port"),
        (&["--trace", "tcp 10.1.0.2 -> 10.2.0.2:1", "-i", "nope"], "nope"),
        (&["--trace", "tcp 10.1.0.2 -> 10.2.0.2:1", "--from", "moon"], "moon"),
        (&["--trace", "tcp 10.1.0.2 -> 10.2.0.2:1", "--state", "SLEEPY"], "SLEEPY"),
        (&["--from", "pod"], "--trace"),
        (&["--trace"], "--trace"),
        (&["--hits", "soon"], "soon"),
        (&["--hits", "-1"], "-1"),
        (&["--hits", "1e99"], "1e99"),
        (&["--drops", "--owners"], "--owners"),
        (&["--svc"], "--svc"),
    ] {
        let said = netkit(&stage, args)?;
        expect(
            said.status == Some(2) && said.err.contains(part),
            &format!("{args:?}: {:?} {}", said.status, said.err),
        )?;
    }
    Ok(())
}

fn unprivileged() -> Result<(), Stop> {
    lab::namespaces()?;
    tool("setpriv", "util-linux")?;
    for args in [
        &["--drops"][..],
        &["--owners"],
        &["--svc", "10.0.0.1"],
        &["--trace", "udp 10.0.0.1 -> 10.0.0.2:1"],
        &["--hits", "0"],
    ] {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]);
        command.arg(lab::netkit()).arg("iptables").args(args);
        let found = lab::run(&mut command, LIMIT)?;
        let said = String::from_utf8_lossy(&found.stderr);
        let named = said.contains("CAP_NET_ADMIN") && said.contains("--profile=netadmin") && said.contains("conntrack");
        expect(found.status.code() == Some(4) && named, &format!("{args:?}: {:?} {said}", found.status.code()))?;
    }
    Ok(())
}

/// No view makes a table or moves a counter.
fn untouched() -> Result<(), Stop> {
    let stage = Stage::new()?;
    let views: &[&[&str]] = &[
        &["--drops"],
        &["--owners"],
        &["--hits", "0"],
        &["--svc", "10.0.0.1"],
        &["--trace", "udp 10.1.0.2 -> 10.2.0.2:1"],
        &["--trace", "udp fd01::2 -> [fd02::2]:1"],
        &["-S", "--json"],
    ];
    for view in views {
        netkit(&stage, view)?;
    }
    let names = "cat /proc/net/ip_tables_names /proc/net/ip6_tables_names; nft list ruleset";
    same("tables made", "", output(stage.command("sh").args(["-c", names]))?.trim())?;
    load(&stage, &kube_iptables("legacy"))?;
    load(&stage, KUBE_NFT)?;
    let all = |stage: &Stage| -> Result<String, Stop> {
        let text = output(stage.command("sh").args(["-c", "iptables-legacy-save -c; nft list ruleset"]))?;
        Ok(text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n"))
    };
    let before = all(&stage)?;
    for view in views {
        netkit(&stage, view)?;
    }
    same("rules and counters", &before, &all(&stage)?)
}
