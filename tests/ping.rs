//! `ping`, `traceroute` and `tracepath` against Debian's, through a router that forwards, refuses and narrows: the text
//! must be equal after masking times, and so must the status. Ours runs as nobody without any capability, the peers as
//! root. What differs on purpose stands in tests/golden/ping/known_differences.txt.

#![allow(clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{self, Stop, TempDir, same, trial};

const LIMIT: Duration = Duration::from_secs(120);
/// Labs at once.
const WORKERS: usize = 6;
const CASES: &str = include_str!("golden/ping/cases.txt");
const KNOWN: &str = include_str!("golden/ping/known_differences.txt");

/// scanner 10.1.0.2 - 10.1.0.1 router 10.2.0.1 - 10.2.0.2 target; the second link carries 1,400 bytes, and the router
/// answers for hosts from .10 on as the rules say. Names are in a hosts file of the lab.
const SETUP: &str = r#"
set -e
mount -t tmpfs none /run
mkdir /run/netns
printf '127.0.0.1 localhost\n::1 localhost\n10.2.0.2 target.lab\nfd02::2 target6.lab\n10.1.0.1 router.lab\nfd01::1 router6.lab\n10.1.0.2 own.lab\n' > /run/hosts
mount --bind /run/hosts /etc/hosts
ip netns add router
ip netns add target
ip -batch - <<END
link set lo up
link add s0 type veth peer name r0 netns router
addr add 10.1.0.2/24 dev s0
addr add fd01::2/64 dev s0 nodad
link set s0 up
END
ip -n router -batch - <<END
link set lo up
link add r1 type veth peer name t0 netns target
addr add 10.1.0.1/24 dev r0
addr add fd01::1/64 dev r0 nodad
addr add 10.2.0.1/24 dev r1
addr add fd02::1/64 dev r1 nodad
link set r0 up
link set r1 mtu 1400
link set r1 up
END
ip -n target -batch - <<END
link set lo up
addr add 10.2.0.2/24 dev t0
addr add fd02::2/64 dev t0 nodad
link set t0 mtu 1400
link set t0 up
route add default via 10.2.0.1
route add default via fd02::1
END
ip -batch - <<END
route add 10.0.0.0/8 via 10.1.0.1
route add fd00::/12 via fd01::1
route add prohibit 198.51.100.0/24
END
cat > /run/settings <<END
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
echo 0 > /proc/sys/net/ipv4/icmp_ratemask
echo 100000 > /proc/sys/net/ipv4/icmp_msgs_per_sec
echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
END
for name in router target; do ip netns exec $name sh /run/settings; done
grep -v orward /run/settings | sh
echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range
ip netns exec router iptables-restore <<END
*filter
-A FORWARD -d 10.2.0.10 -j REJECT --reject-with icmp-admin-prohibited
-A FORWARD -d 10.2.0.11 -j REJECT --reject-with icmp-host-prohibited
-A FORWARD -d 10.2.0.12 -j REJECT --reject-with icmp-net-prohibited
-A FORWARD -d 10.2.0.13 -j REJECT --reject-with icmp-port-unreachable
-A FORWARD -d 10.2.0.14 -j REJECT --reject-with icmp-proto-unreachable
-A FORWARD -d 10.2.0.15 -j REJECT --reject-with icmp-net-unreachable
-A FORWARD -d 10.2.0.17 -j REJECT --reject-with icmp-host-unreachable
-A FORWARD -d 10.2.0.16 -j DROP
COMMIT
END
ip netns exec router ip6tables-restore <<END
*filter
-A FORWARD -d fd02::10 -j REJECT --reject-with icmp6-adm-prohibited
-A FORWARD -d fd02::11 -j REJECT --reject-with icmp6-no-route
-A FORWARD -d fd02::12 -j REJECT --reject-with icmp6-addr-unreachable
-A FORWARD -d fd02::13 -j REJECT --reject-with icmp6-port-unreachable
-A FORWARD -d fd02::14 -j REJECT --reject-with icmp6-policy-fail
-A FORWARD -d fd02::15 -j REJECT --reject-with icmp6-reject-route
-A FORWARD -d fd02::16 -j DROP
COMMIT
END
until ip -o link show s0 | grep -q 'state UP' && ip -n router -o link show r1 | grep -q 'state UP' \
    && ip -n router -o link show r0 | grep -q 'state UP' && ip -n target -o link show t0 | grep -q 'state UP'; do sleep 0.01; done
for address in 10.1.0.1 10.2.0.2 fd01::1 fd02::2; do
    until ping -c1 -W1 -n $address > /dev/null 2>&1; do sleep 0.05; done
done
echo ready
cat > /dev/null
"#;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("ping::same_as_the_peers", same_as_the_peers),
        trial("ping::json", json),
        trial("ping::tcp", tcp),
        trial("ping::path_mtu", path_mtu),
        trial("ping::interrupted", interrupted),
        trial("ping::where_no_socket_is_allowed", forbidden),
        trial("ping::refused_by_name", refused),
    ]
}

struct Lab {
    holder: Child,
    dir: TempDir,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Lab {
    fn new() -> Result<Lab, Stop> {
        lab::namespaces()?;
        for (tool, package) in [
            ("ip", "iproute2"),
            ("nsenter", "util-linux"),
            ("setpriv", "util-linux"),
            ("iptables-restore", "iptables"),
            ("ping", "iputils-ping"),
        ] {
            lab::tool(tool, package)?;
        }
        let dir = TempDir::new("ping")?;
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private", "sh", "-c", SETUP])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut ready = String::new();
        let out = holder.stdout.take().ok_or("no pipe")?;
        BufReader::new(out).read_line(&mut ready)?;
        let mut lab = Lab { holder, dir };
        if ready.trim_end() != "ready" {
            drop(lab.holder.stdin.take());
            let mut said = String::new();
            lab.holder.stderr.take().ok_or("no pipe")?.read_to_string(&mut said)?;
            return Err(Stop::Fail(format!("the lab did not start: {said}")));
        }
        lab::binary_for_everybody(&lab.dir.0)?;
        Ok(lab)
    }

    fn binary(&self) -> PathBuf {
        self.dir.0.join("netkit")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "-t", &self.holder.id().to_string(), "--", program]);
        command.env("LC_ALL", "C");
        command
    }

    /// netkit as nobody without capabilities.
    fn ours(&self) -> Command {
        let mut command = self.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]);
        command.args(["--no-new-privs", "--"]).arg(self.binary());
        command
    }

    fn run(&self, line: &str) -> Result<Output, Stop> {
        lab::run(self.ours().args(line.split(' ')), LIMIT)
    }

    /// What paths have told of their MTU is forgotten, so that both programs find it out.
    fn forget(&self) -> Result<(), Stop> {
        for family in ["-4", "-6"] {
            lab::run(self.command("ip").args([family, "route", "flush", "cache"]), LIMIT)?;
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Numbers of times are hidden, one mark each; what moves with them likewise.
fn mask(line: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let number = |word: &str| {
        let bare = word.trim_end_matches("ms").trim_end_matches(',');
        !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit() || b"./".contains(&byte))
    };
    let words: Vec<&str> = line.split(' ').collect();
    for (at, word) in words.iter().enumerate() {
        let after = words.get(at + 1).copied().unwrap_or("");
        let before = if at > 0 { words.get(at - 1).copied().unwrap_or("") } else { "" };
        let timed = number(word) && (after.starts_with("ms") || word.ends_with("ms"));
        if word.strip_prefix("time=").is_some_and(number) {
            out.push("time=T".to_owned());
        } else if timed || (before == "pipe" && number(word)) {
            out.push("T".to_owned());
        } else if word.starts_with('[') && word.ends_with(']') && word.contains('.') {
            out.push("[D]".to_owned());
        } else if word.is_empty() {
            // Padding before a number.
        } else if word.strip_suffix("reached").is_some_and(|time| time.ends_with("ms")) {
            out.push("T reached".to_owned());
        } else if word.contains("ms") && word.starts_with(|c: char| c.is_ascii_digit()) {
            let rest = word.split_once("ms").map_or("", |(_, rest)| rest);
            out.push(format!("T{rest}"));
        } else {
            out.push((*word).to_owned());
        }
    }
    out.join(" ")
}

/// Status, text and errors; a usage page is only that.
fn shown(output: &Output) -> String {
    let lines = |bytes: &[u8]| text(bytes).lines().map(|line| mask(line) + "\n").collect::<String>();
    let err = text(&output.stderr);
    let said = match err.split_once("\n\n") {
        _ if err.starts_with("\nUsage") || err.starts_with("\ntracepath: ") => "(page)\n".to_owned(),
        Some((first, rest)) if rest.contains("Options:") || rest.contains("usage: ") => format!("{first}\n(page)\n"),
        _ => lines(&output.stderr),
    };
    format!("{:?}\n{}{said}", output.status.code(), lines(&output.stdout))
}

fn known() -> Result<BTreeMap<&'static str, &'static str>, Stop> {
    let mut map = BTreeMap::new();
    let mut reason = None;
    for line in KNOWN.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("reason: ") {
            Some(words) => reason = Some(words),
            None if line.is_empty() => reason = None,
            None => {
                map.insert(line, reason.ok_or_else(|| format!("known_differences.txt: no reason for `{line}`"))?);
            }
        }
    }
    Ok(map)
}

fn same_as_the_peers() -> Result<(), Stop> {
    for (line, masked) in [
        ("64 bytes from ::1: icmp_seq=1 ttl=64 time=0.021 ms", "64 bytes from ::1: icmp_seq=1 ttl=64 time=T ms"),
        (" 1  10.1.0.1  0.016 ms F=1500  0.007 ms", "1 10.1.0.1 T ms F=1500 T ms"),
        (" 2:  10.2.0.2      0.022ms reached", "2: 10.2.0.2 T reached"),
        ("rtt min/avg/max/mdev = 0.1/0.2/0.3/0.1 ms", "rtt min/avg/max/mdev = T ms"),
        (
            "1 packets transmitted, 0 received, 100% packet loss, time 12ms",
            "1 packets transmitted, 0 received, 100% packet loss, time T",
        ),
    ] {
        same("masked", &mask(line), masked)?;
    }
    lab::tool("traceroute", "traceroute")?;
    lab::tool("tracepath", "iputils-tracepath")?;
    let known = known()?;
    let wanted = std::env::var("NETKIT_DIFF").ok();
    let all = CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let cases: Vec<&str> =
        all.filter(|case| wanted.as_ref().is_none_or(|pattern| case.contains(pattern.as_str()))).collect();
    if let Some(case) = known.keys().find(|case| wanted.is_none() && !cases.contains(case)) {
        return Err(Stop::Fail(format!("known_differences.txt lists `{case}`, which is no case")));
    }
    // Most cases wait, so several labs share them.
    let labs: Vec<Lab> = (0..WORKERS.min(cases.len())).map(|_| Lab::new()).collect::<Result<_, _>>()?;
    let parts: Vec<Result<Vec<String>, Stop>> = std::thread::scope(|scope| {
        let workers: Vec<_> = labs
            .iter()
            .enumerate()
            .map(|(first, lab)| {
                let (known, cases, shown) = (&known, &cases, wanted.is_some());
                scope.spawn(move || {
                    let own = cases.iter().skip(first).step_by(WORKERS);
                    own.filter_map(|case| compare(lab, case, known, shown).transpose()).collect()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err("a worker died".into()))).collect()
    });
    let mut wrong = Vec::new();
    for part in parts {
        wrong.extend(part?);
    }
    if wrong.is_empty() && (cases.len() >= 400 || wanted.is_some()) {
        return Ok(());
    }
    Err(Stop::Fail(format!("{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"))))
}

/// What is wrong with one case, if anything is.
/// traceroute waits for a hop's further answers three times as long as its first one took: some microseconds here, so on a
/// busy machine it shows a star for one that was late. Behind a time a star counts as one.
fn unhurried(shown: &str) -> String {
    let line = |line: &str| {
        let mut timed = false;
        let words = line.split(' ').map(|word| {
            timed |= word == "T";
            if word == "*" && timed { "T ms" } else { word }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    shown.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn compare(lab: &Lab, case: &str, known: &BTreeMap<&str, &str>, always: bool) -> Result<Option<String>, Stop> {
    let mut words = case.split(' ');
    let program = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    lab.forget()?;
    let peer = shown(&lab::run(lab.command(program).args(&words), LIMIT)?);
    lab.forget()?;
    let ours = shown(&lab::run(lab.ours().arg(program).args(&words), LIMIT)?);
    Ok(match (peer == ours || unhurried(&peer) == unhurried(&ours), known.get(case)) {
        (true, None) => None,
        (true, Some(_)) => Some(format!("`{case}` is listed as different and is equal")),
        (false, Some(_)) if !always => None,
        (false, _) => Some(format!("`{case}`\n--- peer\n{peer}--- ours\n{ours}")),
    })
}

fn parsed(text: &str) -> Result<Value, Stop> {
    serde_json::from_str(text).map_err(|error| Stop::Fail(format!("{error}: {text}")))
}

fn json() -> Result<(), Stop> {
    let lab = Lab::new()?;
    let output = lab.run("ping --json -c 2 -i 0.01 10.2.0.2")?;
    let lines: Vec<Value> = text(&output.stdout).lines().map(parsed).collect::<Result<_, _>>()?;
    let events: Vec<String> = lines.iter().map(|line| line["event"].to_string()).collect();
    same("events", &events.join(" "), r#""start" "reply" "reply" "summary""#)?;
    let reply = &lines[1];
    same("reply", &format!("{} {} {}", reply["seq"], reply["ttl"], reply["from"]), r#"1 63 "10.2.0.2""#)?;
    same("schema", &lines[0]["schema"].to_string(), "\"ping/1\"")?;
    same("summary", &lines[3]["loss_percent"].as_f64().map_or("none".to_owned(), |loss| loss.to_string()), "0")?;
    let output = lab.run("ping --json -c 1 -W 1 10.2.0.10")?;
    let lines: Vec<Value> = text(&output.stdout).lines().map(parsed).collect::<Result<_, _>>()?;
    let error = &lines[1];
    let shown = format!("{} {} {} {}", error["event"], error["type"], error["code"], error["from"]);
    same("error", &shown, r#""icmp_error" 3 13 "10.1.0.1""#)?;
    let output = lab.run("traceroute --json --mtu 10.2.0.2")?;
    let value = parsed(&text(&output.stdout))?;
    same("trace", &value["schema"].to_string(), "\"traceroute/1\"")?;
    let at = |pointer: &str| value.pointer(pointer).map(ToString::to_string).unwrap_or_default();
    let shown =
        ["/reached", "/hops/0/probes/0/from", "/hops/0/probes/0/name", "/hops/0/probes/0/mtu", "/hops/1/probes/0/mtu"];
    same("hops", &shown.map(at).join(" "), r#"true "10.1.0.1" "router.lab" 1500 1400"#)?;
    let value = parsed(&text(&lab.run("tracepath --json fd02::2")?.stdout))?;
    let shown = format!("{} {} {}", value["schema"], value["pmtu"], value["hops_there"]);
    same("path", &shown, "\"tracepath/1\" 1400 2")
}

fn tcp() -> Result<(), Stop> {
    let lab = Lab::new()?;
    // The target's own stack refuses; the router's rule forbids; a listener takes.
    for (host, part, status) in [
        ("10.2.0.2", "nothing listens there", 1),
        ("fd02::2", "nothing listens there", 1),
        ("10.2.0.10", "ICMP 3/13 (administratively prohibited) from 10.1.0.1", 1),
    ] {
        let output = lab.run(&format!("ping --tcp 81 -c 1 {host}"))?;
        let shown = text(&output.stdout);
        if output.status.code() != Some(status) || !shown.contains(part) {
            return Err(Stop::Fail(format!("{host}: {:?}\n{shown}{}", output.status, text(&output.stderr))));
        }
    }
    let listener = format!(
        "\"{0}\" nc -l 127.0.0.1 7000 > /dev/null & server=$!; n=0; \
         until \"{0}\" ss -ltnH sport = :7000 | grep -q LISTEN; do sleep 0.01; n=$((n+1)); [ $n -lt 1000 ] || break; done; \
         \"{0}\" ping --tcp 7000 -c 1 127.0.0.1; status=$?; kill $server 2>/dev/null; wait; exit $status",
        lab.binary().display()
    );
    let output = lab::run(lab.command("sh").args(["-c", &listener]), LIMIT)?;
    let shown = text(&output.stdout);
    if output.status.code() != Some(0) || !shown.contains("Connected to 127.0.0.1:7000: tcp_seq=1 time=") {
        return Err(Stop::Fail(format!("a listener: {:?}\n{shown}{}", output.status, text(&output.stderr))));
    }
    Ok(())
}

/// What a router says is believed and tried; where it says nothing, halving finds the size.
fn path_mtu() -> Result<(), Stop> {
    let lab = Lab::new()?;
    for (host, router) in [("10.2.0.2", "10.1.0.1"), ("fd02::2", "fd01::1")] {
        let output = lab.run(&format!("ping --mtu -q {host}"))?;
        same(host, &text(&output.stdout), &format!("path MTU to {host} ({host}): 1400 bytes, limited by {router}\n"))?;
    }
    // From here on nobody is told.
    for tables in ["iptables", "ip6tables"] {
        let kind = if tables == "iptables" { "icmp" } else { "icmpv6" };
        let flag = if tables == "iptables" { "--icmp-type" } else { "--icmpv6-type" };
        let name = if tables == "iptables" { "fragmentation-needed" } else { "packet-too-big" };
        let rule = format!("ip netns exec router {tables} -A OUTPUT -p {kind} {flag} {name} -j DROP");
        let output = lab::run(lab.command("sh").args(["-c", &rule]), LIMIT)?;
        same("rule", &text(&output.stderr), "")?;
    }
    lab.forget()?;
    let output = lab.run("ping --mtu -q -W 0.3 10.2.0.2")?;
    let expected =
        "path MTU to 10.2.0.2 (10.2.0.2): 1400 bytes; larger packets are lost without an error (a black hole)\n";
    same("black hole", &text(&output.stdout), expected)?;
    let output = lab.run("ping --mtu -q -W 0.3 10.2.0.16")?;
    same("silence", &format!("{:?}", output.status.code()), "Some(1)")
}

fn interrupted() -> Result<(), Stop> {
    let lab = Lab::new()?;
    let script = format!(
        "\"{}\" ping -i 0.05 127.0.0.1 > /run/seen 2>&1 & p=$!; n=0; \
         until grep -q icmp_seq=2 /run/seen; do sleep 0.01; n=$((n+1)); [ $n -lt 2000 ] || break; done; \
         kill -QUIT $p; n=0; until grep -q 'packets, 0%' /run/seen; do sleep 0.01; n=$((n+1)); [ $n -lt 2000 ] || break; done; \
         kill -INT $p; wait $p; echo \"status $?\" >> /run/seen; cat /run/seen",
        lab.binary().display()
    );
    // A shell without job control has its background children ignore SIGINT; bash with -m does not.
    let output = lab::run(lab.command("bash").args(["-m", "-c", &script]), LIMIT)?;
    let shown = text(&output.stdout);
    let fine =
        shown.contains("min/avg/ewma/max") && shown.contains("received, 0% packet loss") && shown.contains("status 0");
    if fine { Ok(()) } else { Err(Stop::Fail(format!("{shown}{}", text(&output.stderr)))) }
}

/// Neither kind of socket: what is missing is named, and what works without.
fn forbidden() -> Result<(), Stop> {
    let lab = Lab::new()?;
    lab::run(lab.command("sh").args(["-c", "echo '1 0' > /proc/sys/net/ipv4/ping_group_range"]), LIMIT)?;
    let output = lab.run("ping --explain -c 1 127.0.0.1")?;
    let said = text(&output.stderr);
    same("status", &format!("{:?}", output.status.code()), "Some(2)")?;
    if !said.starts_with("ping: socket: ") || !said.contains("CAP_NET_RAW") || !said.contains("--tcp") {
        return Err(Stop::Fail(said));
    }
    // UDP and its error queue need nothing.
    let output = lab.run("traceroute -n -q 1 10.2.0.2")?;
    same("traceroute", &text(&output.stdout).lines().count().to_string(), "3")?;
    // Root has raw sockets.
    let output = lab::run(lab.command(&lab.binary().to_string_lossy()).args(["ping", "-c1", "-v", "10.2.0.2"]), LIMIT)?;
    let shown = text(&output.stdout);
    if shown.contains(" ident=") && output.status.success() { Ok(()) } else { Err(Stop::Fail(shown)) }
}

fn refused() -> Result<(), Stop> {
    for (line, status) in [
        ("ping -R 127.0.0.1", 2),
        ("ping -T tsonly 127.0.0.1", 2),
        ("ping -F 1 ::1", 2),
        ("ping -N help ::1", 2),
        ("ping 127.0.0.1 127.0.0.2", 2),
        ("traceroute -g 1.2.3.4 127.0.0.1", 2),
        ("traceroute -e 127.0.0.1", 2),
        ("traceroute -A 127.0.0.1", 2),
        ("traceroute -D 127.0.0.1", 2),
        ("traceroute -UL 127.0.0.1", 2),
        ("traceroute -P 1 127.0.0.1", 2),
        ("traceroute -O info 127.0.0.1", 2),
        ("traceroute -T --mtu 127.0.0.1", 2),
    ] {
        let output = lab::run(Command::new(lab::netkit()).args(line.split(' ')), LIMIT)?;
        let said = text(&output.stderr);
        if output.status.code() != Some(status) || !said.contains("not offered") {
            return Err(Stop::Fail(format!("{line}: {:?} {said}", output.status)));
        }
    }
    Ok(())
}
