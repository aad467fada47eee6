//! Rulesets made of dice, the same on every run: whatever comes out, the walk must say what the kernel does.
//!
//! `NETKIT_TRACE_SEEDS=1000-2000` plays others.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use serde_json::Value;

use super::scenarios::{Scenario, Truth};
use super::stage::{Packet, Place, Seen, Stage, output};
use super::{WAIT, clean, fits, verdict_fits, walk};
use crate::lab::Stop;

/// What is played without being asked for otherwise.
const SEEDS: Range<u64> = 0..12;

/// A generator whose numbers are as good as needed here (xorshift64*).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            dice.below(2);
        }
        dice
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0) % end
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// Conditions that go in every chain.
const ANYWHERE: &[&str] = &[
    "",
    "-s 10.1.0.0/24",
    "! -s 10.1.0.2/32",
    "-d 10.2.0.2/32",
    "! -d 10.2.0.0/24",
    "-d 10.96.0.0/12",
    "-p udp",
    "! -p tcp",
    "-p udp --dport 53",
    "-p udp ! --dport 1:100",
    "-p udp --sport 1024:65535",
    "-p udp -m multiport --dports 53,99,5000:6000",
    "-p udp -m multiport ! --ports 42000:43000",
    "-p tcp --syn",
    "-p tcp --tcp-flags ALL SYN,ACK",
    "-m mark --mark 1",
    "-m mark ! --mark 0/3",
    "-m conntrack --ctstate NEW",
    "-m conntrack --ctstate ESTABLISHED,RELATED",
    "-m conntrack ! --ctstate INVALID",
    "-m conntrack --ctstate UNTRACKED",
    "-m conntrack --ctstate DNAT",
    "-m conntrack ! --ctstate SNAT,DNAT",
    "-m conntrack --ctorigdst 10.96.0.1",
    "-m conntrack ! --ctorigsrc 10.1.0.0/24",
    "-m conntrack --ctreplsrc 10.2.0.0/24",
    "-m conntrack --ctproto 17 --ctorigdstport 53:99",
    "-m conntrack --ctstatus NONE",
    "-m addrtype --dst-type LOCAL",
    "-m addrtype ! --dst-type LOCAL",
    "-m addrtype --src-type LOCAL,UNICAST ! --dst-type MULTICAST",
    "-m iprange --dst-range 10.2.0.0-10.2.0.9",
    "-m iprange ! --src-range 10.1.0.1-10.1.0.9",
    "-m pkttype --pkt-type unicast",
    "-m set --match-set addresses src",
    "-m set ! --match-set addresses dst",
    "-m set --match-set ports dst,dst",
    "-m state --state NEW,INVALID",
    "-m connmark --mark 1/1",
    "-m connmark ! --mark 2",
    "-m statistic --mode random --probability 0.5",
    "-m comment --comment 'just so'",
    "-m tos --tos 0",
    "-m length --length 20:200",
];
const WITH_INPUT: &[&str] = &[
    "-i p0",
    "-i p+",
    "! -i s0",
    "-m addrtype --dst-type LOCAL --limit-iface-in",
    "-m physdev ! --physdev-is-in",
    "-m rpfilter",
];
const WITH_OUTPUT: &[&str] = &["-o s0", "! -o o0", "-o s+", "-o lo"];

/// Tables with their chains and what may happen in them.
const TABLES: &[(&str, &[&str], &[&str])] = &[
    (
        "raw",
        &["PREROUTING", "OUTPUT"],
        &["-j CT --notrack", "-j ACCEPT", "-j RETURN", "-j DROP", "-j MARK --set-mark 1", ""],
    ),
    (
        "mangle",
        &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
        &[
            "-j MARK --set-mark 1",
            "-j MARK --or-mark 2",
            "-j MARK --xor-mark 3",
            "-j MARK --set-xmark 0x10/0xff",
            "-j CONNMARK --set-mark 1",
            "-j CONNMARK --save-mark",
            "-j CONNMARK --restore-mark --nfmask 0xf --ctmask 0xf",
            "-j ACCEPT",
            "-j RETURN",
            "-j DROP",
            "-j TOS --set-tos 0x10",
        ],
    ),
    (
        "nat",
        &["PREROUTING", "OUTPUT"],
        &[
            "-j DNAT --to-destination 10.2.0.3",
            "-p udp -j DNAT --to-destination 10.2.0.2:99",
            "-j DNAT --to-destination 10.1.0.2",
            "-j DNAT --to-destination 10.2.0.1",
            "-p udp -j REDIRECT --to-ports 7000",
            "-j ACCEPT",
            "-j RETURN",
            "",
        ],
    ),
    (
        "nat",
        &["POSTROUTING", "INPUT"],
        &["-j SNAT --to-source 10.2.0.1", "-j SNAT --to-source 192.0.2.1", "-j ACCEPT", "-j RETURN", ""],
    ),
    ("nat", &["POSTROUTING"], &["-j MASQUERADE"]),
    (
        "filter",
        &["INPUT", "FORWARD", "OUTPUT"],
        &["-j ACCEPT", "-j DROP", "-j RETURN", "", "-j REJECT", "-j DROP", "-j ACCEPT"],
    ),
];

const PACKETS: &[(Place, &str)] = &[
    (Place::Pod, "udp 10.1.0.2 -> 10.2.0.2:53"),
    (Place::Pod, "udp 10.1.0.2 -> 10.96.0.1:53"),
    (Place::Pod, "udp 10.1.0.2 -> 10.1.0.1:5300"),
    (Place::Pod, "tcp 10.1.0.2 -> 10.2.0.3:80"),
    (Place::Outside, "udp 192.0.2.2 -> 192.0.2.1:30053"),
    (Place::Outside, "udp 192.0.2.2 -> 10.2.0.2:53"),
    (Place::Host, "udp 10.2.0.1 -> 10.2.0.2:53"),
    (Place::Host, "udp 192.0.2.1 -> 10.96.0.1:53"),
    (Place::Host, "tcp 10.2.0.1 -> 10.2.0.2:80"),
];

fn xtables(dice: &mut Dice, tool: &str) -> String {
    let mut script =
        String::from("ipset create addresses hash:ip; ipset add addresses 10.1.0.2; ipset add addresses 10.2.0.2\n");
    script.push_str(
        "ipset create ports hash:net,port; ipset add ports 10.2.0.0/24,udp:53; ipset add ports 10.96.0.0/16,udp:1-99\n",
    );
    for table in ["raw", "mangle", "nat", "filter"] {
        let _ = writeln!(script, "{tool} -t {table} -N A; {tool} -t {table} -N B");
    }
    for _ in 0..8 + dice.below(12) {
        let (table, chains, targets) = TABLES[dice.below(TABLES.len())];
        let chain = dice.pick(chains);
        // Chains of the user's hold what fits every hook of the table.
        let inner = dice.below(4) == 0 && table != "nat";
        let place = if inner { dice.pick(&["A", "B"]) } else { chain };
        let mut words = vec![dice.pick(ANYWHERE)];
        if dice.below(3) == 0 {
            words.push(dice.pick(ANYWHERE));
        }
        if !inner && dice.below(3) == 0 {
            let input = matches!(chain, "PREROUTING" | "INPUT" | "FORWARD");
            words.push(dice.pick(if input { WITH_INPUT } else { WITH_OUTPUT }));
        }
        let target = match dice.below(5) {
            0 if place != "A" && place != "B" && table != "nat" => dice.pick(&["-j A", "-g A", "-j B"]),
            1 if place == "A" => "-j B",
            _ => dice.pick(targets),
        };
        // What does not go together is refused by the loader, and the next one comes.
        let _ = writeln!(script, "{tool} -t {table} -A {place} {} {target} 2>/dev/null || true", words.join(" "));
    }
    for chain in ["INPUT", "FORWARD", "OUTPUT"] {
        if dice.below(5) == 0 {
            let _ = writeln!(script, "{tool} -P {chain} DROP");
        }
    }
    script
}

const NATIVE: &[&str] = &[
    "ip saddr 10.1.0.0/24",
    "ip saddr != 10.1.0.2",
    "ip daddr { 10.2.0.2, 10.2.0.3, 10.96.0.1 }",
    "ip daddr != { 10.2.0.0/24 }",
    "ip daddr @nets",
    "ip daddr . udp dport @pairs",
    "ip daddr . meta l4proto . th dport { 10.2.0.2 . udp . 53, 10.96.0.1 . udp . 1-99 }",
    "meta l4proto { tcp, udp }",
    "meta l4proto != tcp",
    "udp dport 53",
    "udp dport != 1-100",
    "udp dport vmap { 53 : jump a, 30053 : goto b }",
    "th dport { 80, 5000-6000 }",
    "tcp flags syn / syn,ack",
    "tcp flags & (fin|ack) == ack",
    "meta mark 1",
    "meta mark and 0x3 != 0",
    "meta mark & 0xff > 1",
    "ct state new",
    "ct state established,related",
    "ct state != invalid",
    "ct state untracked",
    "ct status dnat",
    "ct status & (snat | dnat) != 0",
    "ct original ip daddr 10.96.0.1",
    "ct original proto-dst 53",
    "ct reply ip saddr 10.2.0.0/24",
    "ct mark 1",
    "ct mark != 2",
    "ct direction original",
    "fib daddr type local",
    "fib daddr type != { local, broadcast }",
    "fib saddr . iif oif exists",
    "fib saddr oifname p0",
    "iifname p0",
    "iifname { \"p*\", s0 }",
    "iifname != s0",
    "oifname s0",
    "oifname != o0",
    "meta nfproto ipv4",
    "ip protocol udp",
    "ip ttl < 5",
    "ip version 4",
    "ip frag-off & 0x1fff == 0",
    "ip dscp cs0",
    "meta pkttype host",
    "numgen random mod 2 0",
    "meta iiftype ether",
    "iif lo",
    "",
];
const ACTIONS: &[&str] = &[
    "accept",
    "drop",
    "return",
    "",
    "meta mark set 1",
    "meta mark set mark or 2",
    "meta mark set mark xor 3",
    "ct mark set 1",
    "ct mark set meta mark",
    "meta mark set ct mark",
    "jump a",
    "goto b",
    "jump b",
    "reject",
    "reject with icmpx type admin-prohibited",
    "meta mark set 0x10 meta mark 0x10 accept",
    "continue",
];

fn native(dice: &mut Dice) -> String {
    let mut script = String::from(
        "nft add table inet t; nft add chain inet t a; nft add chain inet t b
         nft add set inet t nets '{ type ipv4_addr; flags interval; elements = { 10.2.0.0/25, 10.96.0.0-10.96.0.9 }; }'
         nft add set inet t pairs '{ type ipv4_addr . inet_service; elements = { 10.2.0.2 . 53, 192.0.2.1 . 30053 }; }'\n",
    );
    let hooks = ["prerouting", "input", "forward", "output", "postrouting"];
    let mut chains: Vec<(String, &str, bool)> = Vec::new();
    for number in 0..3 + dice.below(4) {
        let hook = dice.pick(&hooks);
        let nat = dice.below(4) == 0 && hook != "forward";
        let priority = match nat {
            true => dice.pick(&["-100", "-90", "100"]),
            false => dice.pick(&["-300", "-150", "-10", "0", "0", "5", "50"]),
        };
        let kind = match (nat, hook) {
            (true, _) => "nat",
            (false, "output") => dice.pick(&["filter", "route"]),
            _ => "filter",
        };
        let policy = if !nat && dice.below(6) == 0 { "drop" } else { "accept" };
        let _ = writeln!(
            script,
            "nft add chain inet t c{number} '{{ type {kind} hook {hook} priority {priority}; policy {policy}; }}' 2>/dev/null || true"
        );
        chains.push((format!("c{number}"), hook, nat));
    }
    for _ in 0..10 + dice.below(14) {
        let at = dice.below(chains.len() + 1);
        let (name, hook, nat) =
            chains.get(at).map_or((dice.pick(&["a", "b"]), "", false), |(name, hook, nat)| (name, *hook, *nat));
        let action = match (nat, hook, dice.below(3)) {
            (true, "prerouting" | "output", 0 | 1) => dice.pick(&[
                "meta nfproto ipv4 dnat ip to 10.2.0.3",
                "meta l4proto udp dnat ip to 10.2.0.2:99",
                "meta l4proto udp redirect to :7000",
                "dnat ip to 10.1.0.2",
            ]),
            (true, _, 0 | 1) => dice.pick(&["masquerade", "snat ip to 10.2.0.1"]),
            _ => dice.pick(ACTIONS),
        };
        let action = if name == "a" && action.contains(" a") || name == "b" && !hook.is_empty() { "" } else { action };
        let (one, two) = (dice.pick(NATIVE), if dice.below(3) == 0 { dice.pick(NATIVE) } else { "" });
        let _ = writeln!(script, "nft add rule inet t {name} '{one} {two} counter {action}' 2>/dev/null || true");
    }
    script
}

/// The router's own multicast reports would be counted too.
const QUIET: &str = "nft add table ip6 quiet; nft add chain ip6 quiet out '{ type filter hook output priority -1000; }'
    nft add rule ip6 quiet out icmpv6 type '{ mld-listener-report, mld2-listener-report, nd-router-solicit }' drop";

fn seeds() -> Range<u64> {
    let asked = std::env::var("NETKIT_TRACE_SEEDS").ok();
    let range = asked.as_deref().and_then(|text| text.split_once('-'));
    range.and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?)).unwrap_or(SEEDS)
}

/// Plays them all with one loader; what differs is told with its script.
pub(super) fn play(loader: &str) -> Result<(), Stop> {
    let stage = Stage::new()?;
    let (mut failed, mut decided, mut counted) = (String::new(), 0, 0);
    let range = seeds();
    let all = range.end - range.start;
    for seed in range {
        let mut dice = Dice::new(seed);
        let script = match loader {
            "native" => native(&mut dice),
            "mixed" => {
                let first = xtables(&mut dice, "iptables-legacy");
                first + &native(&mut dice)
            }
            tool => xtables(&mut dice, tool),
        };
        let (from, text) = PACKETS[dice.below(PACKETS.len())];
        output(stage.command("sh").args(["-ec", &format!("{QUIET}\n{script}")]))?;
        let result = one(&stage, seed, from, text);
        clean(&stage)?;
        match result {
            Ok((sure, moved)) => {
                decided += u64::from(sure);
                counted += moved;
            }
            Err(Stop::Fail(why)) => failed.push_str(&format!("\n== seed {seed}\n{script}{why}")),
            Err(skip) => return Err(skip),
        }
    }
    if !failed.is_empty() {
        return Err(Stop::Fail(failed));
    }
    // Rules that nobody meets, or packets that stay undecided, would show nothing.
    if decided * 2 < all || counted < all {
        return Err(Stop::Fail(format!("of {all} packets {decided} were decided, and {counted} rules counted")));
    }
    Ok(())
}

/// One packet: whether the walk was sure, and how many rules counted it.
fn one(stage: &Stage, seed: u64, from: Place, text: &str) -> Result<(bool, u64), Stop> {
    let mut packet = Packet::parse(text)?;
    packet.source.set_port(20_000 + u16::try_from(seed % 40_000).unwrap_or(0));
    let args = if packet.protocol == "udp" { "length 31 ttl 64" } else { "length 60 ttl 64" };
    let scenario = Scenario {
        name: "random",
        rules: "",
        from,
        packet: "",
        args,
        before: &[],
        local: None,
        truth: Truth::Dropped,
        open: false,
    };
    let report = walk(stage, &scenario, &packet)?;
    let outcomes = report["outcomes"].as_array().cloned().unwrap_or_default();
    let delivered = outcomes.iter().find(|way| way["verdict"] == "ACCEPT" && way["output"].is_null());
    let port =
        delivered.and_then(|way| way["packet"]["destination_port"].as_u64()).and_then(|port| u16::try_from(port).ok());
    let before = stage.counts(false)?;
    let seen = stage.send(from, &packet, port.filter(|_| packet.protocol == "udp"), WAIT)?;
    let after = stage.counts(false)?;
    let moved: BTreeSet<String> = after
        .iter()
        .filter(|(place, count)| before.get(*place) != Some(count))
        .map(|(place, _)| place.clone())
        .collect();
    let sure = report["decided"] == Value::Bool(true);
    // Which backend comes first cannot be known; that the verdict does not depend on it was said.
    let either = report["notes"].to_string().contains("hook in at one priority");
    // A handshake with the host itself is seen by nobody.
    let blind = packet.protocol == "tcp" && delivered.is_some();
    // What is refused makes an answer, which rules count too.
    let right = outcomes.iter().any(|way| match seen {
        _ if either && verdict_fits(way, &seen) => true,
        Seen::Refused => verdict_fits(way, &seen),
        // Rules may swallow the answer itself.
        Seen::Lost if way["verdict"] == "REJECT" => way["decided_by"].as_str().is_some_and(|by| moved.contains(by)),
        _ => fits(way, &seen, &moved, &after),
    });
    let possible = !sure
        && (outcomes.iter().any(|way| verdict_fits(way, &seen))
            || report["alternatives"].as_array().into_iter().flatten().any(|way| verdict_fits(way, &seen)));
    if right || possible || blind {
        return Ok((sure, u64::try_from(moved.len()).unwrap_or(0)));
    }
    Err(Stop::Fail(format!("{packet:?} from {from:?}\nseen: {seen:?}\nmoved: {moved:?}\nwalk: {report:#}")))
}
