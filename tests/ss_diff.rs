//! `ss` against Debian's iproute2: the same command lines over the same sockets, in a namespace with every TCP state
//! ([`scene`]). The peer runs before and after ours; where both of its runs are equal, ours must be equal to them, after
//! masking what passes with time and what only one of the two versions prints.
//!
//! Debian's is older than the release that is followed: without `-p` it shows the header of a column without content, and
//! fills lines with blanks. Some cases, with both sides: `NETKIT_DIFF=-tan cargo test --test e2e -- ss_diff::cases`

pub mod scene;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::{self, Stop, trial};
use scene::Scene;

const CASES: &str = include_str!("golden/ss/cases.txt");
const FILTERS: &str = include_str!("golden/ss/filters.txt");
const KNOWN: &str = include_str!("golden/ss/known_differences.txt");
/// How many there must be at least.
const LEAST_CASES: usize = 120;
const LEAST_FILTERS: usize = 200;
/// How long one command may run.
const LIMIT: Duration = Duration::from_secs(300);
/// How often a case is looked at while sockets come and go under the peer's own two runs.
const MOST_CHANGES: usize = 20;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("ss_diff::cases", cases),
        trial("ss_diff::unprivileged", unprivileged),
        trial("ss_diff::filters", filters),
        trial("ss_diff::every_state_is_there", every_state),
    ]
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn peer() -> Result<PathBuf, Stop> {
    Ok(lab::tool("ss", "iproute2")?)
}

/// What one side printed: its lines, its status, and whether it said anything on standard error.
#[derive(Debug, PartialEq)]
struct Shown {
    lines: Vec<String>,
    status: Option<i32>,
    /// A row of the program's own socket was left out, whose name and number have their say in the widths.
    own: bool,
}

fn words(line: &str) -> Vec<String> {
    // `~` stands for a blank inside a word.
    line.split(' ').map(|word| word.replace('~', " ")).collect()
}

fn run(mut command: Command, line: &str, ours: bool) -> Result<Shown, Stop> {
    let terminal = line.strip_prefix("TTY=").and_then(|rest| rest.split_once(' '));
    if ours {
        command.arg("ss");
    }
    command.args(words(terminal.map_or(line, |(_, rest)| rest)));
    if let Some((columns, _)) = terminal {
        // No word of these cases needs quoting.
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        let script = format!("stty cols {columns}; {}", words.join(" "));
        command = Command::new(lab::tool("script", "bsdutils")?);
        command.args(["-qec", &script, "/dev/null"]).env("LC_ALL", "C");
    }
    let output = lab::run(&mut command, LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<String> = text.lines().filter_map(mask).collect();
    Ok(Shown { own: lines.len() < text.lines().count(), lines, status: output.status.code() })
}

/// Blanks at the end of a line, times, fields of newer kernels that the peer does not know, and the sockets that the two
/// programs themselves ask with.
fn mask(line: &str) -> Option<String> {
    let mut text = line.trim_end().to_owned();
    if let Some(header) = text.strip_suffix("Process").filter(|header| header.contains("Peer Address:Port")) {
        text = header.trim_end().to_owned();
    }
    if text.starts_with("Total: ") {
        // The kernel frees what the run before had opened when it has time.
        text = "Total: N".to_owned();
    }
    let netlink = text.contains("tcpdiag:") || text.split_whitespace().any(|word| word.starts_with("4:"));
    if netlink && !text.contains("tcpdiag:kernel") && !text.contains(" 4:0") {
        return None;
    }
    for name in [
        "lastsnd:",
        "lastrcv:",
        "lastack:",
        "busy:",
        "rwnd_limited:",
        "sndbuf_limited:",
        "send ",
        "pacing_rate ",
        " seq:",
        " ssnoff:",
        " write_seq:",
        " snd_una:",
        " rcv_nxt:",
    ] {
        text = masked(&text, name);
    }
    for name in [
        " rcv_wnd:",
        " rehash:",
        " total_rto:",
        " total_rto_recoveries:",
        " total_rto_time:",
        " received_ce:",
        " last_data_sent:",
        " last_data_recv:",
        " last_ack_recv:",
        " subflows_total:",
        " retransmits:",
        " bytes_acked_mptcp:",
        " accecn_opt_seen:",
        " accecn_fail_mode:",
    ] {
        text = removed(&text, name);
    }
    // The time that is left, not which timer it is nor how often it fired.
    if let Some((before, timer)) = text.split_once("timer:(")
        && let [name, _, rest] = timer.splitn(3, ',').collect::<Vec<_>>().as_slice()
    {
        text = format!("{before}timer:({name},T,{rest}");
    }
    Some(text)
}

/// Replaces what follows `name` up to a blank.
fn masked(text: &str, name: &str) -> String {
    match text.split_once(name) {
        Some((before, value)) => {
            let rest = value.find(' ').map_or("", |end| &value[end..]);
            format!("{before}{name}N{rest}")
        }
        None => text.to_owned(),
    }
}

fn removed(text: &str, name: &str) -> String {
    match text.split_once(name) {
        Some((before, value)) => format!("{before}{}", value.find(' ').map_or("", |end| &value[end..])),
        None => text.to_owned(),
    }
}

/// The lines with single blanks, for pages whose columns the older peer makes wider.
fn squeezed(shown: &Shown) -> Vec<String> {
    shown.lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Whether both sides are equal. The peer shows a column of processes without content, and details within that column
/// where newer releases give them one of their own: then blanks do not count.
fn equal(line: &str, peer: &Shown, ours: &Shown) -> bool {
    let bundle = |letters: &str| {
        line.split(' ')
            .any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains(|c| letters.contains(c)))
    };
    let wider = ours.own || if bundle("p") { bundle("eomi") } else { !bundle("H") };
    peer == ours || (wider && peer.status == ours.status && squeezed(peer) == squeezed(ours))
}

type Make<'a> = &'a dyn Fn(&Path) -> Command;

/// Both sides of a case; nothing when equal.
fn compare(make: Make<'_>, line: &str) -> Result<Option<String>, Stop> {
    let (peer, netkit) = (peer()?, lab::netkit());
    for _ in 0..MOST_CHANGES {
        let before = run(make(&peer), line, false)?;
        let ours = run(make(&netkit), line, true)?;
        let after = run(make(&peer), line, false)?;
        if equal(line, &before, &ours) || equal(line, &after, &ours) {
            return Ok(None);
        }
        if before == after {
            let show = |shown: &Shown, other: &Shown| {
                let lines: Vec<&str> =
                    shown.lines.iter().filter(|line| !other.lines.contains(line)).map(String::as_str).collect();
                format!(
                    "status {:?}, {} lines, of which only here:\n{}",
                    shown.status,
                    shown.lines.len(),
                    lines.join("\n")
                )
            };
            let (peer, netkit) = (show(&before, &ours), show(&ours, &before));
            return Ok(Some(format!("{line}\n--- peer: {peer}\n--- netkit: {netkit}")));
        }
    }
    Err(Stop::Fail(format!("{line}: the sockets never rest")))
}

/// Runs the chosen lines and fails with every difference that is not reviewed.
fn differential(make: Make<'_>, list: &[&str]) -> Result<(), Stop> {
    let filter = std::env::var("NETKIT_DIFF").unwrap_or_default();
    let known: BTreeSet<&str> = lines(KNOWN).filter_map(|line| line.split_once(" # ")).map(|(case, _)| case).collect();
    let mut differing = Vec::new();
    for line in list.iter().filter(|line| line.contains(&filter)) {
        match (compare(make, line)?, known.contains(line)) {
            (None, false) | (Some(_), true) => {}
            (Some(text), false) => differing.push(text),
            (None, true) => differing.push(format!("{line}: listed as a known difference, but equal")),
        }
    }
    if differing.is_empty() {
        return Ok(());
    }
    Err(Stop::Fail(format!("{} of {} differ:\n{}", differing.len(), list.len(), differing.join("\n\n"))))
}

fn cases() -> Result<(), Stop> {
    let list: Vec<&str> = lines(CASES).collect();
    if list.len() < LEAST_CASES {
        return Err(Stop::Fail(format!("{} cases, at least {LEAST_CASES} are wanted", list.len())));
    }
    let scene = Scene::new()?;
    differential(&|program| scene.command(program), &list)
}

/// As nobody without capabilities: what the kernel tells anyone, both show.
fn unprivileged() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let copy = scene.readable_copy()?;
    let list = [
        "-tan",
        "-tuwan",
        "-taneH",
        "-tinH",
        "-xanH",
        "-s",
        "-tamnH",
        "-tanoH",
        "-f~netlink",
        "-an -f netlink",
        "-tn dport = :7001",
        "-MaH",
    ];
    let list: Vec<&str> = list.into_iter().filter(|line| !line.contains('~')).collect();
    let netkit = lab::netkit();
    differential(&|program| scene.unprivileged(if program == netkit { &copy } else { program }), &list)?;
    // Whose the sockets are, cannot be seen; the uid is shown in place of the process, and why with --explain.
    let mut command = scene.unprivileged(&copy);
    let output = lab::run(command.args(["ss", "-ltnp", "--explain"]), LIMIT)?;
    let (text, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if text.contains("uid:0") && talk.contains("CAP_SYS_PTRACE") && talk.lines().count() == 1 {
        return Ok(());
    }
    Err(Stop::Fail(format!("{text}\nstderr: {talk}")))
}

/// Netid and addresses of each row: what /proc/net knows as well.
fn selected(output: &Shown) -> BTreeSet<String> {
    let row = |line: &String| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [netid, state, _, _, local, remote, ..] => Some(format!("{netid} {state} {local} {remote}")),
            _ => None,
        }
    };
    output.lines.iter().filter_map(row).collect()
}

/// For each expression the set that ss selects, the set that the kernel selects for us, and the set of our own evaluation
/// over /proc/net are the same. A `k` before an expression: /proc/net lacks what it asks for. A `d`: the peer differs, on
/// purpose of ours; the file says why.
fn filters() -> Result<(), Stop> {
    let list: Vec<&str> = lines(FILTERS).collect();
    if list.len() < LEAST_FILTERS {
        return Err(Stop::Fail(format!("{} filters, at least {LEAST_FILTERS} are wanted", list.len())));
    }
    let scene = Scene::new()?;
    let (peer, netkit) = (peer()?, lab::netkit());
    let chosen = std::env::var("NETKIT_DIFF").unwrap_or_default();
    let mut differing = Vec::new();
    let mut selecting = 0;
    for entry in list.iter().filter(|entry| entry.contains(&chosen)) {
        let (differs, entry) = entry.strip_prefix("d ").map_or((false, *entry), |rest| (true, rest));
        let (kernel_only, filter) = entry.strip_prefix("k ").map_or((false, entry), |rest| (true, rest));
        let line = format!("-tuanH {filter}");
        let files = format!("-tuanH --from-proc {filter}");
        let mut verdict = Err(format!("{filter}: the sockets never rest"));
        for _ in 0..MOST_CHANGES {
            let before = run(scene.command(&peer), &line, false)?;
            let ours = run(scene.command(&netkit), &line, true)?;
            let own = if kernel_only { None } else { Some(run(scene.command(&netkit), &files, true)?) };
            let after = run(scene.command(&peer), &line, false)?;
            let (wanted, got) = (selected(&before), selected(&ours));
            let agree = wanted == got
                && own.as_ref().is_none_or(|own| without_devices(&wanted) == without_devices(&selected(own)));
            if differs
                && wanted != got
                && own.as_ref().is_none_or(|own| without_devices(&got) == without_devices(&selected(own)))
            {
                verdict = Ok(());
                break;
            }
            if agree && !differs && before.status == ours.status {
                selecting += usize::from(!wanted.is_empty());
                verdict = Ok(());
                break;
            }
            if before == after {
                let own = own.map(|own| without_devices(&selected(&own)));
                let files = without_devices(&wanted);
                let own = own.unwrap_or_else(|| files.clone());
                let not_in = |left: &BTreeSet<String>, right: &BTreeSet<String>| {
                    left.difference(right).map(|row| format!("\n  {row}")).collect::<String>()
                };
                verdict = Err(format!(
                    "{filter}: status {:?} and {:?}\nonly ss:{}\nonly the kernel for us:{}\nonly ss, not our own evaluation:{}\nonly our own evaluation:{}",
                    before.status,
                    ours.status,
                    not_in(&wanted, &got),
                    not_in(&got, &wanted),
                    not_in(&files, &own),
                    not_in(&own, &files)
                ));
                break;
            }
        }
        differing.extend(verdict.err());
    }
    if chosen.is_empty() && selecting < list.len() / 2 {
        differing.push(format!("only {selecting} of {} filters select anything", list.len()));
    }
    if differing.is_empty() {
        Ok(())
    } else {
        Err(Stop::Fail(format!("{} differ:\n{}", differing.len(), differing.join("\n\n"))))
    }
}

/// /proc/net does not say to which interface a socket is bound, nor whether it takes IPv6 only.
fn without_devices(set: &BTreeSet<String>) -> BTreeSet<String> {
    set.iter().map(|row| row.replace("%lo", "").replace("[::]:", "*:")).collect()
}

fn every_state() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let mut command = scene.command(&lab::netkit());
    let output = lab::run(command.args(["ss", "-tanH"]), LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let states: BTreeSet<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let missing: Vec<&str> = [
        "ESTAB",
        "SYN-SENT",
        "SYN-RECV",
        "FIN-WAIT-1",
        "FIN-WAIT-2",
        "TIME-WAIT",
        "CLOSE-WAIT",
        "LAST-ACK",
        "LISTEN",
        "CLOSING",
    ]
    .into_iter()
    .filter(|state| !states.contains(state))
    .collect();
    if missing.is_empty() { Ok(()) } else { Err(Stop::Fail(format!("no socket is in {missing:?}:\n{text}"))) }
}
