//! The rows of native rules of `cargo xtask bench`: 5,000 services with three endpoints each, as kube-proxy's nftables mode writes
//! them (55,000 rules, 20,000 chains, 5,000 maps), loaded by `nft` into a namespace and listed by both.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::sockets::{Holder, peak, time};
use crate::Result;
use crate::process::{find, output_bytes};

const SERVICES: u32 = 5000;
const ENDPOINTS: u32 = 3;
/// No row may be slower than the real tool.
const GOAL: f64 = 1.0;
/// Most memory, in KiB.
const MEMORY: u64 = 40 * 1024;

/// Command lines and how often they run.
const ROWS: &[(&[&str], usize)] = &[
    (&["list", "ruleset"], 3),
    (&["-j", "list", "ruleset"], 3),
    (&["list", "chain", "ip", "kube-proxy", "services"], 5),
    (&["list", "map", "ip", "kube-proxy", "service-ips"], 5),
    (&["list", "chains"], 5),
];

/// Runs every row, or says what is missing.
pub(crate) fn run(netkit: &Path) -> Result<()> {
    for (tool, package) in [("nft", "nftables"), ("unshare", "util-linux"), ("nsenter", "util-linux")] {
        if find(tool).is_none() {
            println!("skipped: native rules, because `{tool}` is not installed (Debian package {package})");
            return Ok(());
        }
    }
    let file = Ruleset::write()?;
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-c", "nft -f \"$0\" && echo ready && read end"]).arg(&file.0);
    let mut keeper = match Holder::start(command) {
        Ok(keeper) => keeper,
        Err(error) => {
            println!("skipped: native rules, because they cannot be loaded here: {error}");
            return Ok(());
        }
    };
    if let Err(error) = keeper.await_word("ready") {
        println!("skipped: native rules, because they cannot be loaded here: {error}");
        return Ok(());
    }
    let nft = find("nft").ok_or("nft is gone")?;
    let within = |program: &Path, words: &[&str]| {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", keeper.id())).arg("--").arg(program).args(words);
        command
    };
    for (words, runs) in ROWS {
        let ours = || within(netkit, &[&["nft"], *words].concat());
        let theirs = || within(&nft, words);
        if output_bytes(&mut ours())? != output_bytes(&mut theirs())? {
            return Err(format!("nft {}: the two list different things", words.join(" ")));
        }
        let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
        for _ in 0..*runs {
            our_times.push(time(ours())?);
            their_times.push(time(theirs())?);
        }
        let (our_median, our_best) = super::summary(&mut our_times);
        let (their_median, their_best) = super::summary(&mut their_times);
        let ratio = our_median / their_median;
        let verdict = if ratio <= GOAL { "PASS" } else { "MISS" };
        println!(
            "nft {}, 55,000 rules, {runs} runs each: ratio {ratio:.3} ({:.3})  goal {GOAL:.2}: {verdict}",
            words.join(" "),
            our_best / their_best
        );
        println!("    netkit     {our_median:>9.2} ms ({our_best:.2})");
        println!("    nft        {their_median:>9.2} ms ({their_best:.2})");
        let (our_peak, their_peak) = (peak(ours())?, peak(theirs())?);
        let verdict = if our_peak <= MEMORY { "PASS" } else { "MISS" };
        println!("    memory     {our_peak} KiB against {their_peak} KiB  goal at most {MEMORY} KiB: {verdict}");
    }
    Ok(())
}

/// The file to load, removed at the end.
struct Ruleset(PathBuf);

impl Ruleset {
    fn write() -> Result<Ruleset> {
        let path = std::env::temp_dir().join(format!("netkit-bench-{}.nft", std::process::id()));
        fs::write(&path, ruleset()).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Ruleset(path))
    }
}

impl Drop for Ruleset {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn address(first: u32, number: u32) -> String {
    format!("{first}.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255)
}

fn ruleset() -> String {
    let mut text = String::from(
        "table ip kube-proxy {\n\tset cluster-ips { type ipv4_addr; }\n\
         \tmap service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }\n\
         \tchain mark-for-masquerade { meta mark set meta mark or 0x4000; }\n",
    );
    let mut elements = (String::new(), String::new());
    for service in 0..SERVICES {
        let name = |endpoint: u32| {
            let pod = address(172, service * ENDPOINTS + endpoint);
            (format!("endpoint-{service:05}-ns/svc{service}/tcp/p80__{pod}/80"), pod)
        };
        let mut map = Vec::new();
        for endpoint in 0..ENDPOINTS {
            let (chain, pod) = name(endpoint);
            let _ = writeln!(
                text,
                "\tchain {chain} {{ ip saddr {pod} jump mark-for-masquerade; meta l4proto tcp dnat to {pod}:80; counter; }}"
            );
            map.push(format!("{endpoint} : goto {chain}"));
        }
        let (own, ip) = (format!("service-{service:05}-ns/svc{service}/tcp/p80"), address(10, service));
        let _ = writeln!(
            text,
            "\tchain {own} {{ ip daddr {ip} tcp dport 80 ip saddr != 10.244.0.0/16 jump mark-for-masquerade; \
             numgen random mod {ENDPOINTS} vmap {{ {} }}; }}",
            map.join(", ")
        );
        let comma = if service > 0 { ",\n" } else { "" };
        let _ = write!(elements.0, "{comma}{ip}");
        let _ = write!(elements.1, "{comma}{ip} . tcp . 80 : goto {own}");
    }
    let _ = writeln!(
        text,
        "\tchain services {{ ip daddr . meta l4proto . th dport vmap @service-ips; }}\n\
         \tchain nat-prerouting {{ type nat hook prerouting priority dstnat; policy accept; jump services; }}\n}}\n\
         add element ip kube-proxy cluster-ips {{ {} }}\nadd element ip kube-proxy service-ips {{ {} }}",
        elements.0, elements.1
    );
    text
}
