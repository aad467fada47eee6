//! Who may do what: every user, capability set and root file system that a cluster gives a debug container, and in each
//! what every applet can do. The outcome is the table in README, which stands between two marks.
//!
//! `NETKIT_BLESS=1` writes the table as it came out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Podman, status, text, workspace};
use crate::lab::{Stop, same};

const BEGIN: &str = "<!-- who may do what: written by tests/image/matrix.rs -->\n";
const END: &str = "<!-- end -->\n";
/// podman takes part of its time waiting for the kernel.
const WORKERS: usize = 3;

const USERS: [&str; 3] = ["0:0", "65532:65532", "1000680000:0"];

/// Column of the table, and podman's arguments. Kubernetes drops everything and adds what is asked for.
const SETS: [(&str, &[&str]); 6] = [
    ("default", &[]),
    ("all dropped", &["--cap-drop=ALL"]),
    ("NET_RAW", &["--cap-drop=ALL", "--cap-add=NET_RAW"]),
    ("NET_ADMIN", &["--cap-drop=ALL", "--cap-add=NET_ADMIN"]),
    ("SYS_PTRACE", &["--cap-drop=ALL", "--cap-add=SYS_PTRACE"]),
    ("default, no_new_privs", &["--security-opt=no-new-privileges"]),
];

/// What is tried (the other container has no resolv.conf, which only who may look knows): its row, the commands, and a text that only success prints. Nothing of it leaves the container. What
/// fails must name the capability that it wants.
const ROWS: &[Row] = &[
    ("`dig`", "dig +tries=1 +time=5 @127.0.0.1 -p 5300 refused.example", "status: REFUSED"),
    ("`host`", "host -W 5 -R 1 -p 5300 refused.example 127.0.0.1", "REFUSED"),
    ("`nslookup`", "nslookup -port=5300 -timeout=5 -retry=0 refused.example 127.0.0.1", "REFUSED"),
    ("`curl`", "curl -sS -m 5 http://127.0.0.1:9/", "Failed to connect"),
    ("`wget`", "wget -T 5 -t 1 -O - http://127.0.0.1:9/", "refused"),
    ("`tls-probe`", "tls-probe --timeout 5 127.0.0.1:9", "nothing listens there"),
    ("`openssl x509`", "openssl x509 -noout </dev/null", "Could not read cert"),
    ("`nc`", "nc -zv -w 5 127.0.0.1 9", "refused"),
    ("`ncat`", "ncat -z -v -w 5 127.0.0.1 9", "refused"),
    ("`portscan`", "portscan -n -Pn -p 9 127.0.0.1", "closed"),
    ("`ping --tcp`", "ping --tcp 9 -c 1 -W 5 127.0.0.1", "nothing listens there"),
    ("`ping`", "ping -c 1 -W 5 127.0.0.1", "1 received"),
    ("`traceroute`", "traceroute -n -w 5 127.0.0.1", " 1  127.0.0.1"),
    ("`traceroute -I`", "traceroute -I -n -w 5 127.0.0.1", " 1  127.0.0.1"),
    ("`tracepath`", "tracepath -n 127.0.0.1", "reached"),
    (
        "`ip addr`, `route`, `rule`, `neigh`, `why`",
        "ip addr && ip route && ip rule && ip neigh && ip why 127.0.0.1",
        "dev lo",
    ),
    ("`ip xfrm`", "ip --explain xfrm policy && echo fine", "fine"),
    ("`bridge`", "bridge link && echo fine", "fine"),
    ("`ss`", "ss -uan", ":5300"),
    ("`ss -p`, others' processes", "ss --explain -uanp sport = :5300", "users:((\"server\""),
    ("`ss -K`", "ss --explain -K --yes -uan sport = :5301 && echo fine", "fine"),
    ("`netstat`", "netstat -uan", ":5300"),
    ("`iptables`", "iptables -S && echo fine", "fine"),
    ("`ip6tables-save`", "ip6tables-save && echo fine", "fine"),
    ("`nft`", "nft list ruleset && echo fine", "fine"),
    ("`ipset`", "ipset list && echo fine", "fine"),
    ("`tcpdump -d`", "tcpdump -d -y EN10MB port 53", "ret"),
    (
        "`tcpdump -i`",
        "{ tcpdump -i lo -n -c 1 tcp port 9 & p=$!; \
         while read -r a b state rest </proc/$p/stat && [ \"$state\" != Z ]; do nc -z 127.0.0.1 9; done; wait $p; }",
        "1 packet captured",
    ),
    ("`jq`", "jq -n 40+2", "42"),
    ("`sh`", "sh -c 'echo $((40+2))'", "42"),
    ("`dig --from-pid`, others' process", "dig +explain --from-pid 1 @127.0.0.1 -p 5300 x.example", "No such file"),
    ("`--netns`", "ss --explain --netns 1 -uan", ":5300"),
    ("`cat`, `ls`, `ps`, `grep`, `tar`, `find` and the shell's other companions", COMPANIONS, "fine"),
    ("`chroot`", "chroot / /bin/sh -c 'echo fine'", "fine"),
    ("`nsenter -n`", "nsenter -t 1 -n /bin/sh -c 'echo fine'", "fine"),
];

/// Name, commands, and what only success prints.
type Row = (&'static str, &'static str, &'static str);

const COMPANIONS: &str = "cat /etc/passwd | grep -c root && ls -l /bin | head -n 2 | wc -l && ps | tail -n 1 && \
     tar cf - /etc | tar tf - | sort | sed -n 1p && find /etc -name passwd | xargs sha256sum | cut -d' ' -f1 && \
     id -u && date -u +%Y && echo fine";

/// What a row printed under each user, set and root file system; by row.
type Outcomes = Vec<BTreeMap<(usize, usize, bool), Result<(), String>>>;

pub(super) fn as_readme_says(podman: &Podman, image: &str, _: &str) -> Result<(), Stop> {
    let other = podman.start_server()?;
    let outcomes = tried(podman, image, &other)?;
    same("removal", &status(&podman.run(&["rm", "--force", "--time", "0", &other])?), "0")?;
    let table = table(&outcomes)?;
    let path = workspace().join("README.md");
    let readme = fs::read_to_string(&path)?;
    let (before, there, after) = parts(&readme).ok_or("README.md has no marks for the table")?;
    if std::env::var_os("NETKIT_BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}"))?;
        return Ok(());
    }
    same("table of README.md (NETKIT_BLESS=1 writes it)", &table, there)
}

fn parts(readme: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (table, after) = rest.split_once(END)?;
    Some((before, table, after))
}

fn tried(podman: &Podman, image: &str, other: &str) -> Result<Outcomes, Stop> {
    let mut script = String::new();
    for (number, (_, commands, _)) in ROWS.iter().enumerate() {
        // A line before and after each, with the row's number.
        let _ = writeln!(script, "echo '=== {number}'; {{ {commands}; }} 2>&1; echo");
    }
    let mut all: Vec<(usize, usize, bool)> = Vec::new();
    for user in 0..USERS.len() {
        for set in 0..SETS.len() {
            all.extend([(user, set, false), (user, set, true)]);
        }
    }
    let next = AtomicUsize::new(0);
    let found: Mutex<Outcomes> = Mutex::new(vec![BTreeMap::new(); ROWS.len()]);
    let failed: Mutex<Vec<Stop>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match try_one(podman, image, other, *case, &script) {
                        Ok(said) => {
                            let Ok(mut found) = found.lock() else { return };
                            for (row, outcome) in found.iter_mut().zip(said) {
                                row.insert(*case, outcome);
                            }
                        }
                        Err(stop) => {
                            if let Ok(mut failed) = failed.lock() {
                                failed.push(stop);
                            }
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().map_err(|_| "a worker died")?;
    if let Some(stop) = failed.into_iter().next() {
        return Err(stop);
    }
    Ok(found.into_inner().map_err(|_| "a worker died")?)
}

/// One container: the outcome of each row, and what it printed where it did not succeed.
fn try_one(
    podman: &Podman,
    image: &str,
    other: &str,
    (user, set, read_only): (usize, usize, bool),
    script: &str,
) -> Result<Vec<Result<(), String>>, Stop> {
    let shared = format!("container:{other}");
    let mut arguments = vec!["run", "--rm", "--network", &shared, "--pid", &shared];
    arguments.extend(["--user", USERS.get(user).copied().unwrap_or_default()]);
    arguments.extend(SETS.get(set).map_or(&[][..], |(_, flags)| flags));
    if read_only {
        arguments.push("--read-only");
    }
    arguments.extend([image, "sh", "-c", script]);
    let out = podman.run(&arguments)?;
    let stdout = text(&out.stdout);
    let mut lines = Vec::new();
    for (number, (row, _, wanted)) in ROWS.iter().enumerate() {
        let start = format!("=== {number}\n");
        let said = stdout.split_once(&start).map(|(_, rest)| rest.split("\n=== ").next().unwrap_or_default());
        let Some(said) = said else {
            return Err(format!("{arguments:?}: no outcome of {row}: {stdout}{}", text(&out.stderr)).into());
        };
        lines.push(if said.contains(wanted) { Ok(()) } else { Err(said.trim().to_owned()) });
    }
    Ok(lines)
}

fn table(outcomes: &Outcomes) -> Result<String, Stop> {
    let mut out = "|".to_owned();
    for (name, _) in [("", &[][..])].iter().chain(SETS.iter()) {
        let _ = write!(out, " {name} |");
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(SETS.len()));
    out.push('\n');
    let mut everywhere = Vec::new();
    let mut wrong = BTreeSet::new();
    for ((row, ..), found) in ROWS.iter().zip(outcomes) {
        if found.values().all(Result::is_ok) {
            everywhere.push(*row);
            continue;
        }
        let _ = write!(out, "| {row} |");
        for (set, (name, _)) in SETS.iter().enumerate() {
            let mut able = BTreeSet::new();
            for (user, who) in USERS.iter().enumerate() {
                let [rw, ro] = [false, true].map(|read_only| found.get(&(user, set, read_only)).cloned());
                let (Some(rw), Some(ro)) = (rw, ro) else { return Err(format!("{row}, {name}: not tried").into()) };
                for outcome in [&rw, &ro] {
                    if let Err(said) = outcome
                        && !said.contains("CAP_")
                    {
                        wrong.insert(format!("{row}: names no capability: {said}"));
                    }
                }
                if rw.is_ok() != ro.is_ok() {
                    wrong.insert(format!("{row}, {name}, user {who}: read-only changes it: {rw:?} {ro:?}"));
                }
                if rw.is_ok() {
                    able.insert(*who);
                }
            }
            let shown: Vec<&str> = USERS.iter().copied().filter(|user| able.contains(user)).collect();
            let shown = match shown.len() {
                0 => "no".to_owned(),
                3 => "yes".to_owned(),
                _ => shown.join(" "),
            };
            let _ = write!(out, " {shown} |");
        }
        out.push('\n');
    }
    if !wrong.is_empty() {
        return Err(wrong.into_iter().collect::<Vec<_>>().join("\n").into());
    }
    let _ = writeln!(out, "\nYes for all of them: {}.", everywhere.join(", "));
    Ok(out)
}
