//! Native rules: those of `nft/*.rules` are loaded by Debian's nft into a namespace of their own, then nft and netkit list them.
//!
//! Each `.rules` file has one rule a line: what is typed, not what is listed. Those of `-combined` are conditions of the others
//! put together at random, for what one condition makes of the next. `corrected.rules` are rules
//! that nft 1.0.6 lists wrongly or not at all; there the line itself is what must be shown.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{self, Skip, Stop, TempDir, same, tool, trial};

/// How long one ruleset may take.
const LIMIT: Duration = Duration::from_secs(300);
/// Rules in one chain: nft's own errors name a line, ours name a chain.
const CHAIN: usize = 40;
/// What chains and objects that rules refer to look like.
const HEAD: &str = include_str!("nft/head.nft");

struct Ruleset {
    name: &'static str,
    family: &'static str,
    hook: &'static str,
    rules: &'static str,
}

const fn ruleset(name: &'static str, family: &'static str, hook: &'static str, rules: &'static str) -> Ruleset {
    Ruleset { name, family, hook, rules }
}

const RULESETS: &[Ruleset] = &[
    ruleset("ip", "ip", "type filter hook prerouting priority 0;", include_str!("nft/ip.rules")),
    ruleset("ip-dnat", "ip", "type nat hook prerouting priority dstnat;", include_str!("nft/ip-dnat.rules")),
    ruleset("ip-snat", "ip", "type nat hook postrouting priority srcnat;", include_str!("nft/ip-snat.rules")),
    ruleset("ip6", "ip6", "type filter hook prerouting priority 0;", include_str!("nft/ip6.rules")),
    ruleset("ip6-dnat", "ip6", "type nat hook prerouting priority dstnat;", include_str!("nft/ip6-dnat.rules")),
    ruleset("inet", "inet", "type filter hook prerouting priority 0;", include_str!("nft/inet.rules")),
    ruleset("inet-dnat", "inet", "type nat hook prerouting priority dstnat;", include_str!("nft/inet-dnat.rules")),
    ruleset("ip-combined", "ip", "type filter hook prerouting priority 0;", include_str!("nft/ip-combined.rules")),
    ruleset("ip6-combined", "ip6", "type filter hook prerouting priority 0;", include_str!("nft/ip6-combined.rules")),
    ruleset(
        "inet-combined",
        "inet",
        "type filter hook prerouting priority 0;",
        include_str!("nft/inet-combined.rules"),
    ),
    ruleset("bridge", "bridge", "type filter hook prerouting priority 0;", include_str!("nft/bridge.rules")),
    ruleset("arp", "arp", "type filter hook input priority 0;", include_str!("nft/arp.rules")),
    ruleset("netdev", "netdev", "type filter hook ingress device lo priority 0;", include_str!("nft/netdev.rules")),
];
/// Options before `list ruleset`.
const OPTIONS: &[&str] = &["", "-a", "-n", "-s", "-y", "-p", "-t"];
/// Command lines for the ruleset of sets, objects and chains.
const LINES: &[&str] = &[
    "list ruleset",
    "-a list ruleset",
    "-n list ruleset",
    "-s list ruleset",
    "-t list ruleset",
    "-T list ruleset",
    "-y list ruleset",
    "list ruleset ip",
    "list ruleset bridge",
    "list ruleset ip6",
    "list tables",
    "list tables arp",
    "list table ip dorm",
    "list table tt",
    "list table nope",
    "list table ip6 t",
    "list chains",
    "list chains netdev",
    "-a list chains bridge",
    "list chain ip t other",
    "list chain t in1",
    "list chain ip t nope",
    "list sets",
    "list sets table ip t",
    "list sets inet",
    "list set ip t many",
    "list set t vm1",
    "list maps",
    "list map ip t vm1",
    "list meters",
    "list counters",
    "list counters table ip t",
    "list counter ip t cnt1",
    "-s list counter ip t cnt1",
    "list quotas",
    "list quota ip t q2",
    "list limits table ip t",
    "list limit ip t lim2",
    "list ct helpers table ip t",
    "list ct helper ip t ftp-std",
    "list ct timeout ip t policy2",
    "list ct expectation ip t exp1",
    "list synproxys",
    "list synproxy ip t sp1",
    "list secmarks",
    "list flowtables",
    "list counter ip t nope",
    "list set ip t nope",
    "list ruleset foo",
    "list foo",
];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("nft::objects_sets_and_chains", objects),
        trial("nft::objects_sets_and_chains_in_json", json_objects),
        trial("nft::first_and_last_values", edges),
        trial("nft::what_the_peer_lists_wrongly", corrected),
        trial("nft::tables_of_iptables", managed),
        trial("nft::verbs_are_refused", refused),
        trial("nft::without_capability", unprivileged),
    ];
    for ruleset in RULESETS {
        trials.push(trial(&format!("nft::{}", ruleset.name), move || rules(ruleset)));
    }
    trials
}

/// A file for `nft -f`, and how many rules it has.
fn file(ruleset: &Ruleset) -> (String, usize) {
    let (address, l3) = if ruleset.family == "ip6" { ("ipv6_addr", "ip6") } else { ("ipv4_addr", "ip") };
    let mut text = format!("table {} t {{\n", ruleset.family);
    // Conntrack and what stands on it is no business of the lower layers.
    let low = ["bridge", "arp", "netdev"].contains(&ruleset.family);
    for line in HEAD.lines().filter(|line| !low || !(line.contains("ct ") || line.contains("synproxy"))) {
        text.push_str(&line.replace("@ADDRESS@", address).replace("@L3@", l3));
        text.push('\n');
    }
    text.push_str("}\n");
    let lines: Vec<&str> = ruleset.rules.lines().filter(|line| !line.is_empty()).collect();
    for (number, rules) in lines.chunks(CHAIN).enumerate() {
        let _ = writeln!(text, "table {} t {{\n\tchain c{number} {{\n\t\t{}", ruleset.family, ruleset.hook);
        for rule in rules {
            let _ = writeln!(text, "\t\t{rule}");
        }
        text.push_str("\t}\n}\n");
    }
    (text, lines.len())
}

/// Loads a ruleset in a new namespace and runs both programs with each command line; texts as (peer, ours).
fn both(ruleset: &str, lines: &[String]) -> Result<Vec<(String, String)>, Stop> {
    lab::namespaces()?;
    tool("nft", "nftables")?;
    let dir = TempDir::new("nft")?;
    fs::write(dir.0.join("ruleset"), ruleset)?;
    let mut script = String::from(
        "ip link set lo up; ip link add d1 type dummy; export TZ=UTC
        nft -f $1/ruleset 2> $1/refused || { echo refused; exit 0; }\nset +e\n",
    );
    for (number, line) in lines.iter().enumerate() {
        let _ = writeln!(
            script,
            "nft {line} > $1/{number}.peer 2>/dev/null; echo \"status $?\" >> $1/{number}.peer
            $2 nft {line} > $1/{number}.ours 2>/dev/null; echo \"status $?\" >> $1/{number}.ours"
        );
    }
    let output = run(&dir.0, &script)?;
    if output.trim() == "refused" {
        let text = fs::read_to_string(dir.0.join("refused"))?;
        let first = text.lines().next().unwrap_or_default().to_owned();
        return Err(Stop::Skip(Skip(format!("this kernel or nft refuses the rules: {first}"))));
    }
    let text = |number: usize, side: &str| fs::read_to_string(dir.0.join(format!("{number}.{side}")));
    (0..lines.len()).map(|number| Ok((text(number, "peer")?, text(number, "ours")?))).collect()
}

fn run(dir: &Path, script: &str) -> Result<String, Stop> {
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-uc", script, "sh"]).arg(dir).arg(lab::netkit());
    let output = lab::run(&mut command, LIMIT)?;
    if !output.status.success() {
        return Err(Stop::Fail(format!("the script failed: {}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn rules(ruleset: &Ruleset) -> Result<(), Stop> {
    let (text, count) = file(ruleset);
    let lines: Vec<String> =
        OPTIONS.iter().map(|options| format!("{options} list ruleset").trim().to_owned()).collect();
    let found = both(&text, &lines)?;
    for (line, (peer, ours)) in lines.iter().zip(&found) {
        if peer.lines().count() < count {
            return Err(Stop::Fail(format!("{line}: nft lists fewer lines than there are rules")));
        }
        same(&format!("nft {line}"), peer, ours)?;
    }
    let lines: Vec<String> = ["-j", "-j -s"].iter().map(|options| format!("{options} list ruleset")).collect();
    let found = both(&text, &lines)?;
    for (line, (peer, ours)) in lines.iter().zip(&found) {
        let (peer, ours) = members(peer, ours);
        if peer.lines().count() < count {
            return Err(Stop::Fail(format!("{line}: nft lists fewer members than there are rules")));
        }
        same(&format!("nft {line}"), &peer, &ours)?;
    }
    Ok(())
}

/// Members of the list, one a line, without those where nft 1.0.6 has no JSON: it puts text in its place.
fn members(peer: &str, ours: &str) -> (String, String) {
    let whole = |text: &str| {
        let mut text = text.to_owned();
        for kind in ["rule", "chain", "table", "set", "map"] {
            text = text.replace(&format!("}}, {{\"{kind}\": {{\"family"), &format!("\n{kind}\": {{\"family"));
        }
        text
    };
    let split = |text: &str| whole(text).lines().map(str::to_owned).collect::<Vec<String>>();
    let is_text = |member: &str| member.contains("\"add @") || member.contains("\"update @");
    let (peer, ours) = (split(peer), split(ours));
    if peer.len() != ours.len() {
        return (peer.join("\n"), ours.join("\n"));
    }
    // A table's flags are bytes from elsewhere there.
    let mask = |member: &str| match member.split_once("\"flags\": \"") {
        Some((before, _)) if member.starts_with("table\"") => format!("{before}FLAGS"),
        _ => member.to_owned(),
    };
    let pairs = peer.iter().zip(&ours).filter(|(peer, _)| !is_text(peer));
    let (peer, ours): (Vec<String>, Vec<String>) = pairs.map(|(peer, ours)| (mask(peer), mask(ours))).unzip();
    (peer.join("\n"), ours.join("\n"))
}

fn json_objects() -> Result<(), Stop> {
    const LINES: &[&str] = &[
        "-j list ruleset",
        "-j -t list ruleset",
        "-j list tables",
        "-j list table arp a",
        "-j list chains netdev",
        "-j list chain ip t in1",
        "-j list sets table ip t",
        "-j list set ip t cnt",
        "-j list maps",
        "-j list map ip t vm1",
        "-j list counters",
        "-j list counter ip t cnt1",
        "-j list quotas",
        "-j list ct helper ip t ftp-std",
        "-j list flowtables",
        "-j list chain ip t nope",
    ];
    let lines: Vec<String> = LINES.iter().map(|line| (*line).to_owned()).collect();
    let found = both(include_str!("nft/objects.nft"), &lines)?;
    for (line, (peer, ours)) in lines.iter().zip(&found) {
        let (peer, ours) = members(&without_expires(peer), &without_expires(ours));
        same(&format!("nft {line}"), &peer, &ours)?;
    }
    Ok(())
}

/// What is left of a timeout differs between two looks at it.
fn without_expires(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split("\"expires\": ").enumerate() {
        out.push_str(if index == 0 { part } else { part.trim_start_matches(|c: char| c.is_ascii_digit()) });
    }
    out
}

fn objects() -> Result<(), Stop> {
    let lines: Vec<String> = LINES.iter().map(|line| (*line).to_owned()).collect();
    let found = both(include_str!("nft/objects.nft"), &lines)?;
    for (line, (peer, ours)) in lines.iter().zip(&found) {
        same(&format!("nft {line}"), &mask(peer), &mask(ours))?;
    }
    Ok(())
}

/// What is left of a timeout differs between two looks at it.
fn mask(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split("expires ").enumerate() {
        if index == 0 {
            out.push_str(part);
            continue;
        }
        let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        out.push_str("expires LEFT");
        out.push_str(&part[end..]);
    }
    out
}

/// Addresses, numbers, times and names at the ends of what there is.
fn edges() -> Result<(), Stop> {
    let lines: Vec<String> = ["list ruleset", "-n list ruleset"].iter().map(|line| (*line).to_owned()).collect();
    for (line, (peer, ours)) in lines.iter().zip(both(include_str!("nft/edges.nft"), &lines)?) {
        same(&format!("nft {line}"), &mask(&peer), &mask(&ours))?;
    }
    let lines = vec!["-j list ruleset".to_owned()];
    for (peer, ours) in both(include_str!("nft/edges.nft"), &lines)? {
        same("nft -j list ruleset", &without_expires(&peer), &without_expires(&ours))?;
    }
    Ok(())
}

/// Tables that iptables-nft made: Debian's nft asks libxtables for words, and warns on stderr.
fn managed() -> Result<(), Stop> {
    lab::namespaces()?;
    tool("nft", "nftables")?;
    tool("iptables-nft-restore", "iptables")?;
    let dir = TempDir::new("nft")?;
    fs::write(dir.0.join("rules"), include_str!("nft/managed.v4"))?;
    let script = "iptables-nft-restore < $1/rules || exit 1
        for line in '' -s -n -j; do
            nft $line list ruleset >> $1/peer 2>> $1/peer.errors
            $2 nft $line list ruleset >> $1/ours 2>> $1/ours.errors
        done; true";
    run(&dir.0, script)?;
    let text = |name: &str| fs::read_to_string(dir.0.join(name));
    if text("peer")?.matches("counter").count() < 300 {
        return Err("nft lists fewer rules than were loaded".into());
    }
    same("nft list ruleset", &text("peer")?, &text("ours")?)?;
    // Nothing is asked of libxtables for JSON, and so nobody is warned.
    same("warnings", &text("peer.errors")?, &text("ours.errors")?)
}

fn corrected() -> Result<(), Stop> {
    let rules = include_str!("nft/corrected.rules");
    for rule in rules.lines() {
        let hook = "type filter hook prerouting priority 0;";
        let text = format!("table ip t {{\n chain c {{\n {hook}\n {} \n }}\n}}\n", rule.replace(" | ", "|"));
        let lines = vec!["list chain ip t c".to_owned()];
        let found = both(&text, &lines)?;
        let ours = found.first().map(|(_, ours)| ours.clone()).unwrap_or_default();
        let shown = ours.lines().nth(3).unwrap_or_default().trim();
        same("a corrected rule", rule, shown)?;
    }
    Ok(())
}

fn refused() -> Result<(), Stop> {
    for line in
        ["add table x", "flush ruleset", "delete table ip t", "-f /dev/null", "-i", "monitor", "insert rule t c drop"]
    {
        let mut command = Command::new(lab::netkit());
        command.arg("nft").args(line.split_whitespace());
        let output = lab::run(&mut command, LIMIT)?;
        let text = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(2) || !text.contains("only lists") {
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
    command.arg(lab::netkit()).args(["nft", "list", "ruleset"]);
    let output = lab::run(&mut command, LIMIT)?;
    let text = String::from_utf8_lossy(&output.stderr);
    let said = text.contains("CAP_NET_ADMIN") && text.contains("--profile=netadmin");
    if output.status.code() == Some(1) && said {
        return Ok(());
    }
    Err(Stop::Fail(format!("status {:?}: {text}", output.status.code())))
}
