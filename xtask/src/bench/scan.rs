//! The scan rows of `cargo xtask bench`: netkit's portscan against nmap, and masscan where it is there, through a router in
//! namespaces of their own: a host that refuses, a host that is silent, a /24, and UDP.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::sockets::{Holder, peak, time};
use crate::Result;
use crate::process::find;

/// Runs of each, taking turns.
const RUNS: usize = 3;

/// 10.1.0.2 scans through 10.1.0.1; 10.2.0.2 refuses, 10.2.0.99 is silent, 10.3.0.0/24 are 256 hosts in one.
const SETUP: &str = r#"
set -e
mount -t tmpfs none /run
mkdir /run/netns
ip netns add router
ip netns add target
ip link set lo up
ip link add s0 type veth peer name r0 netns router
ip addr add 10.1.0.2/24 dev s0
ip link set s0 up
for name in router target; do ip -n $name link set lo up; done
ip -n router link add r1 type veth peer name t0 netns target
ip -n router addr add 10.1.0.1/24 dev r0
ip -n router addr add 10.2.0.1/24 dev r1
ip -n router link set r0 up
ip -n router link set r1 up
ip -n target addr add 10.2.0.2/24 dev t0
ip -n target addr add 10.2.0.99/24 dev t0
ip -n target link set t0 up
ip -n target route add default via 10.2.0.1
ip -n target route add local 10.3.0.0/24 dev lo
ip -n router route add 10.3.0.0/24 via 10.2.0.2
ip route add default via 10.1.0.1
cat > /run/settings <<END
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 0 > /proc/sys/net/ipv4/icmp_ratemask
echo 1000000 > /proc/sys/net/ipv4/icmp_msgs_per_sec
END
for name in router target; do ip netns exec $name sh /run/settings; done
ip netns exec router iptables -A FORWARD -d 10.2.0.99 -j DROP
until ip -n target -o link show t0 | grep -q 'state UP'; do sleep 0.01; done
echo ready
read end
"#;

struct Row {
    title: &'static str,
    ours: &'static str,
    /// What nmap is given; the fastest of them counts.
    theirs: &'static [&'static str],
    /// Ratio wanted, netkit to nmap.
    goal: f64,
}

const ROWS: &[Row] = &[
    Row {
        title: "65,535 ports of a host that refuses, raw",
        ours: "-n -sS -p- 10.2.0.2",
        theirs: &["-n -sS -p- 10.2.0.2", "-n -sS -p- -T5 10.2.0.2", "-n -sS -p- -T5 --min-rate 50000 10.2.0.2"],
        goal: 0.5,
    },
    Row {
        title: "65,535 ports of a host that refuses, connections",
        ours: "-n -sT -p- 10.2.0.2",
        theirs: &["-n -sT -p- 10.2.0.2", "-n -sT -p- -T5 10.2.0.2"],
        goal: 1.0,
    },
    Row {
        title: "65,535 ports of a host that is silent, raw",
        ours: "-n -Pn -sS -p- -T5 --max-retries 1 --min-rate 20000 10.2.0.99",
        theirs: &["-n -Pn -sS -p- -T5 --max-retries 1 --min-rate 20000 10.2.0.99"],
        goal: 0.5,
    },
    Row {
        // nmap takes a minute for 4,000.
        title: "200 ports of a host that is silent, connections",
        ours: "-n -Pn -sT -p 1-200 -T5 --max-retries 1 10.2.0.99",
        theirs: &["-n -Pn -sT -p 1-200 -T5 --max-retries 1 10.2.0.99"],
        goal: 1.0,
    },
    Row {
        title: "100 ports of each host of a /24, raw",
        ours: "-n -sS -p 1-100 10.3.0.0/24",
        theirs: &["-n -sS -p 1-100 10.3.0.0/24", "-n -sS -p 1-100 -T5 10.3.0.0/24"],
        goal: 0.5,
    },
    Row {
        title: "100 ports by UDP",
        ours: "-n -sU -p 1-100 10.2.0.2",
        theirs: &["-n -sU -p 1-100 10.2.0.2", "-n -sU -p 1-100 -T4 10.2.0.2"],
        goal: 1.0,
    },
];

/// Runs every row, or says what is missing.
pub(crate) fn run(netkit: &Path) -> Result<()> {
    for (tool, package) in [
        ("nmap", "nmap"),
        ("ip", "iproute2"),
        ("iptables", "iptables"),
        ("unshare", "util-linux"),
        ("nsenter", "util-linux"),
    ] {
        if find(tool).is_none() {
            println!("skipped: scan, because `{tool}` is not installed (Debian package {package})");
            return Ok(());
        }
    }
    let mut setup = Command::new("unshare");
    setup.args(["--net", "--mount", "--propagation", "private", "--", "sh", "-c", SETUP]);
    let mut scene = Holder::start(setup)?;
    if let Err(error) = scene.await_word("ready") {
        println!("skipped: scan, because there can be no namespaces here: {error}");
        return Ok(());
    }
    let within = |program: &Path, line: &str| {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", scene.id())).arg("--").arg(program);
        command.args(line.split(' '));
        command
    };
    let nmap = find("nmap").ok_or("nmap is gone")?;
    for row in ROWS {
        let ours = format!("portscan {}", row.ours);
        let mut times: Vec<(Vec<Duration>, u64)> = vec![(Vec::new(), 0); row.theirs.len() + 1];
        for _ in 0..RUNS {
            for (at, (list, spent)) in times.iter_mut().enumerate() {
                let command = match at.checked_sub(1).and_then(|at| row.theirs.get(at)) {
                    Some(line) => within(&nmap, line),
                    None => within(netkit, &ours),
                };
                let before = processor_ms();
                list.push(time(command)?);
                *spent += processor_ms().saturating_sub(before);
            }
        }
        let medians: Vec<(f64, f64, u64)> = times
            .iter_mut()
            .map(|(list, spent)| {
                let (median, best) = super::summary(list);
                (median, best, *spent / RUNS as u64)
            })
            .collect();
        let Some(((our_median, our_best, our_spent), theirs)) = medians.split_first() else { continue };
        let fastest = theirs.iter().map(|(median, ..)| *median).fold(f64::INFINITY, f64::min);
        let ratio = our_median / fastest;
        let verdict = if ratio <= row.goal { "PASS" } else { "MISS" };
        println!("{}, {RUNS} runs each: ratio {ratio:.3}  goal {:.2}: {verdict}", row.title, row.goal);
        println!("    netkit     {our_median:>9.2} ms ({our_best:.2}), {our_spent} ms of processors  {}", row.ours);
        for ((median, best, spent), line) in theirs.iter().zip(row.theirs) {
            println!("    nmap       {median:>9.2} ms ({best:.2}), {spent} ms of processors  {line}");
        }
    }
    let memory = peak(within(netkit, "portscan -n -Pn -sS -p 80 -oG /dev/null 10.3.0.0/24"))?;
    let whole = peak(within(netkit, "portscan -n -sS -p- 10.2.0.2"))?;
    println!("    memory     {memory} KiB for 256 hosts, {whole} KiB for 65,535 ports");
    masscan(&within)
}

/// What the processes waited for have taken of all processors, in milliseconds: with several at work, more than has passed
/// (cutime and cstime of proc_pid_stat(5), in hundredths of a second on every Linux there is).
fn processor_ms() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * 10
}

/// masscan finds its own way over Ethernet, or does not; how long it takes is for comparison only.
fn masscan(within: &dyn Fn(&Path, &str) -> Command) -> Result<()> {
    let Some(masscan) = find("masscan") else {
        println!("skipped: `masscan` is not installed (Debian package masscan)");
        return Ok(());
    };
    let line = "-p1-65535 10.2.0.2 --rate 100000 --wait 1 --adapter s0 --adapter-ip 10.1.0.2 --router-ip 10.1.0.1";
    match time(within(&masscan, line)) {
        Ok(took) => println!("    masscan    {:>9.2} ms  {line}", took.as_secs_f64() * 1000.0),
        Err(error) => println!("skipped: masscan, which does not run here: {error}"),
    }
    Ok(())
}
