//! The rows of `cargo xtask bench` for the packet filter: 5,000 services with three endpoints each as kube-proxy writes
//! them, about 55,000 rules in 20,000 chains, in legacy tables and in nf_tables, each in a namespace of its own.
//!
//! Both tools print the same, which is checked before anything is measured.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Result;
use crate::process::{at, find, output_bytes};

const SERVICES: usize = 5_000;
const ENDPOINTS: usize = 3;
const RUNS: usize = 9;
/// KiB that no row may need more of.
const MEMORY: u64 = 40 * 1024;
/// The chain of the first service, which is the one that is read alone.
const ONE: &str = "KUBE-SVC-0000000000000000";

struct Row {
    title: &'static str,
    /// After the name of the backend's program, or of its `-save`.
    save: bool,
    words: &'static [&'static str],
    /// Ratios wanted, netkit to the peer, in legacy tables and in nf_tables.
    goals: [f64; 2],
}

const ROWS: &[Row] = &[
    Row { title: "save", save: true, words: &[], goals: [1.0, 0.75] },
    Row { title: "-S", save: false, words: &["-t", "nat", "-S"], goals: [1.0, 1.0] },
    Row { title: "-L -n -v", save: false, words: &["-t", "nat", "-L", "-n", "-v"], goals: [1.0, 1.0] },
    Row { title: "one chain, -S", save: false, words: &["-t", "nat", "-S", ONE], goals: [1.0, 1.0] },
    Row { title: "one chain of 5,000", save: false, words: &["-t", "nat", "-S", "KUBE-SERVICES"], goals: [1.0, 1.0] },
];

/// Runs every row in both backends, or says what is missing.
pub(crate) fn run(netkit: &Path) -> Result<()> {
    for (tool, package) in [("iptables-nft", "iptables"), ("unshare", "util-linux"), ("nsenter", "util-linux")] {
        if find(tool).is_none() {
            println!("skipped: iptables, because `{tool}` is not installed (Debian package {package})");
            return Ok(());
        }
    }
    let folder = super::Folder::new()?;
    let file = folder.0.join("rules");
    fs::write(&file, rules()).map_err(at("write", &file))?;
    for (backend, which) in [("legacy", 0), ("nft", 1)] {
        let scene = match Scene::new(backend, &file) {
            Ok(scene) => scene,
            Err(error) => {
                println!("skipped: iptables-{backend}, because the rules cannot be loaded here: {error}");
                continue;
            }
        };
        for row in ROWS {
            measure(netkit, &scene, backend, row, row.goals.get(which).copied().unwrap_or(1.0))?;
        }
    }
    Ok(())
}

fn measure(netkit: &Path, scene: &Scene, backend: &str, row: &Row, goal: f64) -> Result<()> {
    let name = format!("iptables-{backend}{}", if row.save { "-save" } else { "" });
    let peer = find(&name).ok_or("a program of iptables is gone")?;
    let ours = || scene.command(netkit, &[&[name.as_str()], row.words].concat());
    let theirs = || scene.command(&peer, row.words);
    same(row, &ours, &theirs)?;
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        our_times.push(super::sockets::time(ours())?);
        their_times.push(super::sockets::time(theirs())?);
    }
    let (our_median, our_best) = super::summary(&mut our_times);
    let (their_median, their_best) = super::summary(&mut their_times);
    let ratio = our_median / their_median;
    let verdict = if ratio <= goal { "PASS" } else { "MISS" };
    println!(
        "iptables-{backend}, {}, 55,000 rules, {RUNS} runs each: ratio {ratio:.3} ({:.3})  goal {goal:.2}: {verdict}",
        row.title,
        our_best / their_best
    );
    println!("    netkit     {our_median:>9.2} ms ({our_best:.2})");
    println!("    peer       {their_median:>9.2} ms ({their_best:.2})");
    let (our_peak, their_peak) = (super::sockets::peak(ours())?, super::sockets::peak(theirs())?);
    let verdict = if our_peak <= MEMORY { "PASS" } else { "MISS" };
    println!("    memory     {our_peak} KiB against {their_peak} KiB  goal at most {MEMORY} KiB: {verdict}");
    Ok(())
}

/// Both print the same, but for the date, the version, and protocols that iptables 1.8.9 lists by number.
fn same(row: &Row, ours: &dyn Fn() -> Command, theirs: &dyn Fn() -> Command) -> Result<()> {
    let lines = |command: &dyn Fn() -> Command| -> Result<Vec<String>> {
        let text = String::from_utf8_lossy(&output_bytes(&mut command())?).into_owned();
        let plain = |line: &str| line.replace(" 6    --", " tcp  --").replace(" 0    --", " all  --");
        Ok(text.lines().filter(|line| !line.starts_with('#')).map(plain).collect())
    };
    let (our_lines, their_lines) = (lines(ours)?, lines(theirs)?);
    if our_lines == their_lines && our_lines.len() > 1 {
        return Ok(());
    }
    let pair = our_lines.iter().zip(&their_lines).find(|(left, right)| left != right);
    Err(format!("{}: {} lines against {}, first different: {pair:?}", row.title, our_lines.len(), their_lines.len()))
}

/// What kube-proxy would write.
fn rules() -> String {
    let mut chains = String::from(":KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n:KUBE-POSTROUTING - [0:0]\n");
    let mut rules = String::from(
        "-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
         -A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
         -A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING\n\
         -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n\
         -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n\
         -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0\n\
         -A KUBE-POSTROUTING -j MASQUERADE --random-fully\n",
    );
    for service in 0..SERVICES {
        let name = format!("ns-{}/service-{service}:http", service % 50);
        let address = format!("10.96.{}.{}", service / 250, service % 250 + 1);
        let chain = format!("KUBE-SVC-{service:016X}");
        let _ = writeln!(chains, ":{chain} - [0:0]");
        let _ = write!(
            rules,
            "-A KUBE-SERVICES -d {address}/32 -p tcp -m comment --comment \"{name} cluster IP\" -m tcp --dport 80 -j {chain}\n\
             -A {chain} ! -s 10.244.0.0/16 -d {address}/32 -p tcp -m comment --comment \"{name} cluster IP\" -m tcp --dport 80 \
             -j KUBE-MARK-MASQ\n"
        );
        for endpoint in 0..ENDPOINTS {
            let number = service * ENDPOINTS + endpoint;
            let (own, pod) =
                (format!("KUBE-SEP-{number:016X}"), format!("10.244.{}.{}", number / 250, number % 250 + 1));
            let chance = match ENDPOINTS - endpoint {
                1 => String::new(),
                #[allow(clippy::cast_precision_loss)]
                left => format!(" -m statistic --mode random --probability {:.11}", 1.0 / left as f64),
            };
            let _ = writeln!(chains, ":{own} - [0:0]");
            let _ = write!(
                rules,
                "-A {chain} -m comment --comment \"{name} -> {pod}:8080\"{chance} -j {own}\n\
                 -A {own} -s {pod}/32 -m comment --comment \"{name}\" -j KUBE-MARK-MASQ\n\
                 -A {own} -p tcp -m comment --comment \"{name}\" -m tcp -j DNAT --to-destination {pod}:8080\n"
            );
        }
    }
    let built_in: String =
        ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"].map(|chain| format!(":{chain} ACCEPT [0:0]\n")).concat();
    format!("*nat\n{built_in}{chains}{rules}COMMIT\n")
}

/// A namespace with the rules; dropping it ends it.
struct Scene {
    keeper: Child,
}

impl Scene {
    fn new(backend: &str, file: &Path) -> Result<Scene> {
        let program: PathBuf = find(&format!("iptables-{backend}-restore")).ok_or("no iptables-restore")?;
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "sh", "-c", "\"$0\" < \"$1\" && echo ready && read end"]).arg(program).arg(file);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = command.spawn().map_err(|error| error.to_string())?;
        let output = keeper.stdout.take().ok_or("no pipe")?;
        let scene = Scene { keeper };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        if line.trim() == "ready" { Ok(scene) } else { Err("iptables-restore refuses them".to_owned()) }
    }

    fn command(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.keeper.id())).arg("--").arg(program).args(words);
        command
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
