//! iptables-list against Debian's iptables: rulesets of ours are loaded with each backend in a namespace of their own, then both
//! print them.
//!
//! iptables 1.8.9 prints protocols as numbers with `-n`, older and newer versions their names; so do we, and the numbers
//! are turned into names before comparing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{self, Stop, TempDir, same, tool, trial};

/// Rulesets with the program that loads them.
const RULESETS: &[(&str, &str, &str)] = &[
    ("services", "iptables", include_str!("iptables/services.v4")),
    ("targets", "iptables", include_str!("iptables/targets.v4")),
    ("matches", "iptables", include_str!("iptables/matches.v4")),
    ("stateful", "iptables", include_str!("iptables/stateful.v4")),
    ("targets_v6", "ip6tables", include_str!("iptables/targets.v6")),
    // Every extension with its options at random, and two of them in a rule; what both backends take.
    ("extensions", "iptables", include_str!("iptables/extensions.v4")),
    ("extensions_v6", "ip6tables", include_str!("iptables/extensions.v6")),
    ("mixed", "iptables", include_str!("iptables/mixed.v4")),
    ("mixed_v6", "ip6tables", include_str!("iptables/mixed.v6")),
    // As kube-proxy, Calico, Cilium, Istio, Linkerd, flannel, kube-router, Docker, portmap, AWS, tailscale and firewalld write.
    ("clusters", "iptables", include_str!("iptables/clusters.v4")),
    ("clusters_v6", "ip6tables", include_str!("iptables/clusters.v6")),
];
/// What rules refer to: sets, and objects that count.
const SETUP: &str = "ip link set lo up
    for set in 's1 hash:ip counters' 's2 hash:ip,port counters' 's3 hash:ip,port,ip counters' 't1 hash:ip timeout 0' \
        'k1 hash:ip skbinfo' 'v1 hash:ip family inet6' 'cali40masq-ipam-pools hash:net' 'cali40all-ipam-pools hash:net' \
        'cali40all-hosts-net hash:net' 'cali60all-hosts-net hash:net family inet6'; do
        ipset create $set
    done
    nfacct add localhost_nps_accepted_pkts; nfacct add ct_state_invalid_dropped_pkts
";
const BACKENDS: [&str; 2] = ["legacy", "nft"];
/// Command lines after the name of the program.
const LINES: &[&str] = &[
    "-S",
    "-S -v",
    "-S INPUT",
    "-S INPUT 2",
    "-t nat -S",
    "-t mangle -S POSTROUTING",
    "-t raw -S",
    "-L -n",
    "-L",
    "-t mangle -L -v",
    "-t nat -L -v",
    "-t raw -L --line-numbers",
    "-t security -L -n -v",
    "-t security -S",
    "-t raw -nvL",
    "-nvL",
    "-nvxL --line-numbers",
    "-t mangle -L -n -v",
    "-t nat -nL",
    "-L INPUT 3 -n",
    "-L INPUT -nv",
    "-L NOPE -n",
    "-S NOPE",
];
/// How long one ruleset may take.
const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("iptables::nothing_is_made_or_changed", untouched),
        trial("iptables::foreign_rules_are_said", foreign),
        trial("iptables::sets_by_name", sets),
        trial("iptables::verbs_are_refused", refused),
        trial("iptables::command_lines", command_lines),
        trial("iptables::without_capability", unprivileged),
    ];
    for (name, program, rules) in RULESETS {
        for backend in BACKENDS {
            let title = format!("iptables::{backend}::{name}");
            trials.push(trial(&title, move || compare(program, backend, rules)));
        }
    }
    trials
}

/// Runs a script in a new network namespace; `$1` is the folder, `$2` netkit.
fn scripted(dir: &Path, script: &str) -> Result<String, Stop> {
    lab::namespaces()?;
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-euc", script, "sh"]).arg(dir).arg(lab::netkit());
    // The lock of legacy tables is one file for all namespaces; another trial must not make the peer fail.
    command.env("XTABLES_LOCKFILE", dir.join("xtables.lock"));
    let output = lab::run(&mut command, LIMIT)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Stop::Fail(format!("the script failed: {text}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn compare(program: &str, backend: &str, rules: &str) -> Result<(), Stop> {
    let peer = format!("{program}-{backend}");
    tool(&peer, "iptables")?;
    let dir = TempDir::new("iptables")?;
    fs::write(dir.0.join("rules"), rules)?;
    let mut script = String::new();
    if rules.contains("-set ") || rules.contains("nfacct") {
        tool("ipset", "ipset")?;
        tool("nfacct", "nfacct")?;
        script.push_str(SETUP);
    }
    script.push_str(&format!("{peer}-restore < \"$1/rules\"\n"));
    let run = |number: usize, line: &str| {
        format!(
            "set +e; {peer}{line} > $1/{number}.peer 2>/dev/null; echo \"status $?\" >> $1/{number}.peer\n\
             $2 {peer}{line} > $1/{number}.ours 2>/dev/null; echo \"status $?\" >> $1/{number}.ours; set -e\n"
        )
    };
    for (number, line) in LINES.iter().enumerate() {
        script.push_str(&run(number, &format!(" {line}")));
    }
    for (number, line) in ["-save", "-save -c", "-save -t filter"].iter().enumerate() {
        script.push_str(&run(LINES.len() + number, line));
    }
    scripted(&dir.0, &script)?;
    let mut compared = 0;
    for number in 0..LINES.len() + 3 {
        let text = |side: &str| fs::read_to_string(dir.0.join(format!("{number}.{side}"))).map(|text| mask(&text));
        let line = LINES.get(number).copied().unwrap_or("save");
        same(&format!("{peer} {line}"), &text("peer")?, &text("ours")?)?;
        compared += 1;
    }
    if compared < LINES.len() + 3 {
        return Err("fewer comparisons than command lines".into());
    }
    Ok(())
}

/// Without dates and versions; protocols of a list by name.
fn mask(text: &str) -> String {
    let mut target = 0;
    let mut out = String::new();
    // iptables 1.8.9 ends a list of instructions with a zero byte.
    let mut text = text.replace('\0', "");
    // Names that 1.8.11 knows and 1.8.9 does not.
    for (number, name) in [("130", "mld-listener-query"), ("131", "mld-listener-report"), ("132", "mld-listener-done")]
    {
        for blank in ["", " !"] {
            let space = if blank.is_empty() { " " } else { "" };
            let old = format!("ipv6-icmp{blank}type {number}\n");
            text = text.replace(&old, &format!("ipv6-icmp{blank}{space}{name}\n"));
        }
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.contains("target     prot opt") {
            // With exact counters the titles are two columns wider than the numbers.
            let wider = if line.contains("    pkts      bytes") { 2 } else { 0 };
            target = line.find("target").map_or(0, |column| column - wider);
        }
        let named = by_name(line, target);
        out.push_str(named.as_deref().unwrap_or(line));
        out.push('\n');
    }
    out
}

/// The line with its protocol's name, if it has a number where the protocol stands.
fn by_name(line: &str, column: usize) -> Option<String> {
    let rest = line.get(column..)?;
    let width = rest.find(' ').map_or(rest.len(), |end| end.max(9));
    let at = column + width + 2;
    let field = line.get(at..)?;
    let digits = field.find(|c: char| !c.is_ascii_digit())?;
    let name = match field.get(..digits)? {
        "0" => "all",
        "1" => "icmp",
        "6" => "tcp",
        "17" => "udp",
        "33" => "dccp",
        "50" => "esp",
        "51" => "ah",
        "58" => "ipv6-icmp",
        "108" => "ipcomp",
        "132" => "sctp",
        "135" => "mobility-header",
        "136" => "udplite",
        _ => return None,
    };
    let after = field.get(digits.max(4) + 1..)?;
    Some(format!("{}{name:<4} {after}", line.get(..at)?))
}

/// Reading makes no table, and leaves every rule and counter as it was.
fn untouched() -> Result<(), Stop> {
    tool("iptables-legacy", "iptables")?;
    let dir = TempDir::new("iptables")?;
    let script = "ip link set lo up
        for name in iptables-list ip6tables iptables-legacy; do
            for table in filter nat mangle raw security; do $2 $name -t $table -nvL > /dev/null; done
        done
        $2 iptables-save; $2 ip6tables-save
        cat /proc/net/ip_tables_names /proc/net/ip6_tables_names; nft list ruleset 2>/dev/null || true";
    let text = scripted(&dir.0, script)?;
    same("what is there afterwards", "", text.trim())?;
    // A table that nobody made is shown as the kernel would make it.
    let text = scripted(&dir.0, "$2 iptables-list -t nat -S")?;
    same("an empty table", "-P PREROUTING ACCEPT\n-P INPUT ACCEPT\n-P OUTPUT ACCEPT\n-P POSTROUTING ACCEPT\n", &text)
}

/// A native rule in iptables' table is said to be one, and the rules around it are shown.
fn foreign() -> Result<(), Stop> {
    tool("iptables-nft", "iptables")?;
    tool("nft", "nftables")?;
    let dir = TempDir::new("iptables")?;
    let script = "iptables-nft -A FORWARD -p tcp --dport 80 -j ACCEPT
        nft add rule ip filter FORWARD ip saddr '{ 192.0.2.1, 192.0.2.5 }' drop
        iptables-nft -A FORWARD -j RETURN
        $2 iptables-list -S FORWARD 2>&1";
    let text = scripted(&dir.0, script)?;
    let lines: Vec<&str> = text.lines().collect();
    let shown = matches!(
        lines.as_slice(),
        [
            "-P FORWARD ACCEPT",
            "-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT",
            comment,
            "-A FORWARD -j RETURN",
            said,
        ] if *comment == "# nft: ip saddr { 192.0.2.1, 192.0.2.5 } drop" && said.contains("1 rules have no iptables form")
    );
    if shown { Ok(()) } else { Err(Stop::Fail(format!("shown was:\n{text}"))) }
}

/// Rules know IP sets by number, people by name.
fn sets() -> Result<(), Stop> {
    tool("ipset", "ipset")?;
    tool("iptables-nft", "iptables")?;
    let dir = TempDir::new("iptables")?;
    let script = "ipset create plain hash:ip; ipset create counted hash:ip,port counters
        for backend in legacy nft; do
            iptables-$backend -A INPUT -m set --match-set plain src -j DROP
            iptables-$backend -A INPUT -m set ! --match-set counted src,dst --packets-gt 5 ! --update-counters
            iptables-$backend -A INPUT -m set --match-set plain dst --return-nomatch
            iptables-$backend -A INPUT -j SET --add-set plain src --exist --timeout 50
            iptables-$backend -A INPUT -j SET --del-set counted src,dst
            iptables-$backend -t mangle -A INPUT -j SET --map-set plain src --map-mark
            for line in '-S' '-L' '-t mangle -S'; do
                iptables-$backend $line >> $1/peer 2>/dev/null
                $2 iptables-$backend $line >> $1/ours
            done
        done";
    scripted(&dir.0, script)?;
    let (peer, ours) = (fs::read_to_string(dir.0.join("peer"))?, fs::read_to_string(dir.0.join("ours"))?);
    if peer.matches("plain").count() < 10 {
        return Err("the sets were not used".into());
    }
    same("rules with sets", &mask(&peer), &mask(&ours))
}

/// Command lines that are cut, glued, repeated or wrong: both print the same and leave with the same status.
fn command_lines() -> Result<(), Stop> {
    const CASES: &str = "-L INPUT 2;-L INPUT 1 --line-numbers -v;-S INPUT 2 -v;-S INPUT 9;-L INPUT 9;-S FORWARD -v;-S UC;-S -v;\
        -L UC -vx;-vL UC --line-numbers;-L NOPE;-S NOPE 1;-t nope -L;-t nat -L;-L --line;-w -L;-L -w 3;-w5 -L;-L INPUT x;\
        -L INPUT 0;-L a b c;-v;;-L -S;-L -L;-S -S INPUT;--list INPUT --verbose;--lis INPUT;--list-rules=INPUT;-LINPUT;\
        -SINPUT;-L --table=nat;-tnat -S;-L -p tcp;-L -j DROP;-L -x;-S -n;-S --line-numbers;-S -x;-L -c 1 2;-L -4;\
        -S INPUT -t filter -t nat;--bogus;-bogus;-L bogus;-t raw -S;-t security -L;-L INPUT --exact -v;-L --num INPUT x;-Lv;\
        -t;-L -t;--verbo -L;-L --s 1.2.3.4";
    tool("iptables-legacy", "iptables")?;
    let dir = TempDir::new("iptables")?;
    let script = "for b in legacy nft; do
            iptables-$b -N UC; iptables-$b -A INPUT -p tcp --dport 80 -j UC; iptables-$b -A INPUT -j DROP
            iptables-$b -A UC -j RETURN; iptables-$b -t nat -A POSTROUTING -j MASQUERADE; iptables-$b -P FORWARD DROP
            set +e
            while read -r line; do
                theirs=$(iptables-$b $line 2>/dev/null; echo \"status $?\")
                ours=$($2 iptables-$b $line 2>/dev/null; echo \"status $?\")
                [ \"$theirs\" = \"$ours\" ] || printf 'iptables-%s %s\\n-- theirs\\n%s\\n-- ours\\n%s\\n' $b \"$line\" \"$theirs\" \"$ours\"
            done < $1/lines
            set -e
            iptables-$b -t nat -F; iptables-$b -F
        done";
    let lines: Vec<&str> = CASES.split(';').map(str::trim).collect();
    fs::write(dir.0.join("lines"), lines.join("\n") + "\n")?;
    let text = scripted(&dir.0, script)?;
    same("command lines", "", text.trim())
}

fn refused() -> Result<(), Stop> {
    for line in ["-A INPUT -j DROP", "-F", "-P INPUT DROP", "--delete-chain x", "-t nat -Z", "-C INPUT -j DROP"] {
        let mut command = Command::new(lab::netkit());
        command.arg("iptables").args(line.split_whitespace());
        let output = lab::run(&mut command, LIMIT)?;
        let text = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(2) || !text.contains("only reads") {
            return Err(Stop::Fail(format!("{line}: status {:?}, {text}", output.status.code())));
        }
    }
    Ok(())
}

/// Without CAP_NET_ADMIN the line says what is missing and which profile grants it.
fn unprivileged() -> Result<(), Stop> {
    lab::namespaces()?;
    tool("setpriv", "util-linux")?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]);
    command.arg(lab::netkit()).args(["iptables", "-S"]);
    let output = lab::run(&mut command, LIMIT)?;
    let text = String::from_utf8_lossy(&output.stderr);
    let said = text.contains("CAP_NET_ADMIN") && text.contains("--profile=netadmin");
    let counted =
        !Path::new("/proc/sys/net/netfilter/nf_conntrack_count").exists() || text.contains("conntrack's count (");
    if output.status.code() == Some(4) && said && counted {
        return Ok(());
    }
    Err(Stop::Fail(format!("status {:?}: {text}", output.status.code())))
}
