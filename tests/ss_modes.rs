//! What `ss` of netkit can and no peer does, what it refuses, what is left without privilege, and `netstat` against
//! Debian's net-tools: the real binary over the sockets of [`crate::ss_diff::scene`].

// An index into JSON yields null, not a panic.
#![allow(clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{self, Stop, same, trial};
use crate::ss_diff::scene::Scene;

const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("ss_modes::json", json),
        trial("ss_modes::words_that_stand_alone", shorthand),
        trial("ss_modes::groups", groups),
        trial("ss_modes::problems", problems),
        trial("ss_modes::files_in_place_of_the_kernel", from_proc),
        trial("ss_modes::another_process_without_privilege", of_process),
        trial("ss_modes::every_namespace", everywhere),
        trial("ss_modes::kill_asks", kill),
        trial("ss_modes::watch_and_events", watch),
        trial("ss_modes::bound_and_no_queues", bound),
        trial("ss_modes::pods", pods),
        trial("ss_modes::refused_by_name", refused),
        trial("ss_modes::privileges", privileges),
        trial("ss_modes::absent_tables", absent),
        trial("ss_modes::netstat", netstat),
    ]
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs netkit in the namespace of the scene.
fn ss(scene: &Scene, words: &str) -> Result<Output, Stop> {
    let mut command = scene.command(&lab::netkit());
    lab::run(command.args(words.split(' ')), LIMIT)
}

fn expect(what: &str, holds: bool, output: &Output) -> Result<(), Stop> {
    if holds {
        return Ok(());
    }
    Err(Stop::Fail(format!("{what}: {:?}\n{}\nstderr: {}", output.status, text(&output.stdout), text(&output.stderr))))
}

fn parsed(output: &Output) -> Result<Value, Stop> {
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {}", text(&output.stdout)).into())
}

fn json() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let rows = text(&ss(&scene, "ss -tanH")?.stdout).lines().count();
    let output = ss(&scene, "ss -tanp --json")?;
    let value = parsed(&output)?;
    same("schema", &value["schema"].to_string(), "\"ss/1\"")?;
    let sockets = value["sockets"].as_array().ok_or("no array")?;
    same("rows", &sockets.len().to_string(), &rows.to_string())?;
    let find = |state: &str, port: u16| sockets.iter().find(|s| s["state"] == state && s["local_port"] == port);
    let full = find("LISTEN", 7008).ok_or("no listener on 7008")?;
    same("queue", &format!("{} {}", full["accept_queue"], full["backlog"]), "2 1")?;
    let pid = scene.pid();
    same("process", &full["processes"][0]["pid"].to_string(), &pid.to_string())?;
    let busy = find("ESTAB", 7001).ok_or("no connection on 7001")?;
    same("bytes", &busy["tcp_info"]["bytes_received"].to_string(), "100")?;
    same("queue", &busy["recv_q_bytes"].to_string(), "100")?;
    let everything = parsed(&ss(&scene, "ss -an --json")?)?;
    for netid in ["nl", "p_raw", "p_dgr", "u_str", "u_dgr", "u_seq", "raw", "udp", "tcp"] {
        let seen = everything["sockets"].as_array().is_some_and(|list| list.iter().any(|s| s["netid"] == netid));
        expect(netid, seen, &output)?;
    }
    let summary = parsed(&ss(&scene, "ss -s --json")?)?;
    same("summary", &summary["schema"].to_string(), "\"ss-summary/1\"")
}

fn shorthand() -> Result<(), Stop> {
    let scene = Scene::new()?;
    for (words, same_as) in [
        ("ss -H :7001", "ss -A inet -apH ( sport = :7001 or dport = :7001 )"),
        ("ss -H [::1]", "ss -A inet -apH ( src [::1] or dst [::1] )"),
        ("ss -H 127.0.0.0/8", "ss -A inet -apH ( src 127.0.0.0/8 or dst 127.0.0.0/8 )"),
        ("ss -tnH dport=:7001", "ss -tnH dport = :7001"),
        ("ss -tanH (sport=:7001 or dport=:7001)", "ss -tanH ( sport = :7001 or dport = :7001 )"),
    ] {
        let (short, long) = (ss(&scene, words)?, ss(&scene, same_as)?);
        same(words, &text(&short.stdout), &text(&long.stdout))?;
        expect(words, short.stdout.len() > 20, &short)?;
    }
    // By the name of the process: its sockets in state, and not those without one.
    let name = text(&std::fs::read(format!("/proc/{}/comm", scene.pid()))?);
    let output = ss(&scene, &format!("ss -tH {}", name.trim()))?;
    let shown = text(&output.stdout);
    expect("by name", shown.contains("127.0.0.1:7001") && !shown.contains("TIME-WAIT"), &output)?;
    expect("all are his", shown.lines().all(|line| line.contains(name.trim())), &output)?;
    let output = ss(&scene, "ss -tH nobody-of-this-name --explain")?;
    let none = output.stdout.is_empty() && text(&output.stderr).contains("no process called nobody-of-this-name");
    expect("nobody", none, &output)
}

fn groups() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let listeners = text(&ss(&scene, "ss -ltnH")?.stdout).lines().count();
    // -l also shows what is not connected, of which TCP has none.
    let value = parsed(&ss(&scene, "ss -tan --group-by state --json")?)?;
    let groups = value["groups"].as_array().ok_or("no groups")?;
    let listening = groups.iter().find(|group| group["key"] == "LISTEN").ok_or("no listeners")?;
    same("listeners", &listening["count"].to_string(), &listeners.to_string())?;
    for (key, part) in [
        ("process", format!("pid={}", scene.pid())),
        ("peer", "127.0.0.1".to_owned()),
        ("local-port", " 7001".to_owned()),
        ("peer-port", " 7001".to_owned()),
        ("uid", " 0 ".to_owned()),
        ("pod", " -".to_owned()),
    ] {
        let output = ss(&scene, &format!("ss -tan --group-by {key}"))?;
        expect(key, text(&output.stdout).contains(&part), &output)?;
    }
    Ok(())
}

fn problems() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let output = ss(&scene, "ss --problems")?;
    let shown = text(&output.stdout);
    for part in [
        "accept_queue_full: 127.0.0.1:7008: 2 connections wait to be accepted, limit 1",
        "listener_on_loopback: 127.0.0.1:7001",
    ] {
        expect(part, shown.contains(part), &output)?;
    }
    let stuck = shown.lines().any(|line| {
        line.starts_with("send_queue_stuck: 127.0.0.1:")
            && line.contains("-> 127.0.0.1:7009")
            && line.contains("window is closed")
    });
    expect("stuck", stuck, &output)?;
    same("status", &format!("{:?}", output.status.code()), "Some(1)")?;
    let value = parsed(&ss(&scene, "ss --problems --json")?)?;
    same("schema", &value["schema"].to_string(), "\"ss-problems/1\"")?;
    // Nothing is wrong with what is not selected.
    let calm = ss(&scene, "ss --problems sport = :7102")?;
    expect("calm", calm.status.success() && text(&calm.stdout).contains("no problems found"), &calm)
}

/// Rows without what /proc/net does not tell: interfaces, whether a socket takes IPv6 only, the limit of accept queues.
fn bare(output: &Output) -> Vec<String> {
    let row = |line: &str| {
        let line = line.replace("%lo", "").replace("[::]:", "*:");
        let listens = line.starts_with("LISTEN");
        let words = line.split_whitespace().enumerate();
        let words: Vec<&str> = words.filter(|(index, _)| !listens || *index != 2).map(|(_, word)| word).collect();
        words.join(" ")
    };
    let mut rows: Vec<String> = text(&output.stdout).lines().map(row).collect();
    rows.sort();
    rows
}

/// Both show the same, looked at while the first does not change.
fn agree(
    what: &str,
    first: &dyn Fn() -> Result<Output, Stop>,
    second: &dyn Fn() -> Result<Output, Stop>,
) -> Result<(), Stop> {
    for _ in 0..20 {
        let (before, other, after) = (bare(&first()?), second()?, bare(&first()?));
        expect(what, other.status.success() && !before.is_empty(), &other)?;
        let shown = bare(&other);
        if shown == before || shown == after {
            return Ok(());
        }
        if before == after {
            return same(what, &before.join("\n"), &shown.join("\n"));
        }
    }
    Err(Stop::Fail(format!("{what}: the sockets never rest")))
}

fn from_proc() -> Result<(), Stop> {
    let scene = Scene::new()?;
    for words in ["-tanH", "-uanH", "-wanH", "-0anQH", "-tanpH", "-ltnH", "-tnH state established"] {
        let kernel = || ss(&scene, &format!("ss {words}"));
        agree(words, &kernel, &|| ss(&scene, &format!("ss --from-proc {words}")))?;
    }
    let output = ss(&scene, "ss --from-proc -taniH")?;
    expect("-i of the file", text(&output.stdout).contains("cwnd:10"), &output)
}

/// From outside, without entering the namespace and without any capability.
fn of_process() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let copy = scene.readable_copy()?;
    let outside = || {
        let mut command = scene.nobody_outside(&copy);
        lab::run(command.args(["ss", "-tanH", "--pid", &scene.pid().to_string()]), LIMIT)
    };
    agree("rows", &|| ss(&scene, "ss -tanH"), &outside)?;
    // The first line counts sockets that the kernel has still to free.
    let rest = |output: Output| text(&output.stdout).lines().skip(1).map(str::to_owned).collect::<Vec<_>>().join("\n");
    let pid = scene.pid().to_string();
    for _ in 0..20 {
        let before = rest(ss(&scene, "ss -s")?);
        let output = rest(lab::run(scene.nobody_outside(&copy).args(["ss", "-s", "--pid", &pid]), LIMIT)?);
        let after = rest(ss(&scene, "ss -s")?);
        if output == before || output == after {
            break;
        }
        // What waits in TIME-WAIT goes after a minute.
        if before == after {
            same("totals", &output, &after)?;
        }
    }
    let output = lab::run(Command::new(lab::netkit()).args(["ss", "--pid", "4194999"]), LIMIT)?;
    expect("no such process", text(&output.stderr) == "ss: --pid: there is no process 4194999\n", &output)
}

fn everywhere() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let copy = scene.readable_copy()?;
    let link = std::fs::read_link(format!("/proc/{}/ns/net", scene.pid()))?;
    let inode = link.to_string_lossy().trim_start_matches("net:[").trim_end_matches(']').to_owned();
    let words = ["ss", "--all-netns", "-ltn", "sport", "=", ":7008"];
    let privileged = lab::run(Command::new(lab::netkit()).args(words), LIMIT)?;
    let poor = lab::run(scene.nobody_outside(&copy).args(words).arg("--explain"), LIMIT)?;
    // Nobody may read whose namespace it is, but what is in it.
    for (output, title) in [(&privileged, format!("# netns {inode} ")), (&poor, format!(" pid {} (", scene.pid()))] {
        let shown = text(&output.stdout);
        let behind = shown.split(&title).nth(1).unwrap_or_default();
        let own = behind.split("# netns").next().unwrap_or_default();
        expect("in its namespace", own.contains("127.0.0.1:7008"), output)?;
    }
    expect("why", text(&poor.stderr).contains("CAP_SYS_"), &poor)?;
    let output = lab::run(Command::new(lab::netkit()).args(words).arg("--json"), LIMIT)?;
    for line in text(&output.stdout).lines() {
        let value: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let schema = value["schema"].as_str().unwrap_or_default();
        expect(line, matches!(schema, "ss/1" | "ss-netns/1"), &output)?;
    }
    Ok(())
}

fn kill() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let copy = scene.readable_copy()?;
    let count = |scene: &Scene| -> Result<usize, Stop> {
        Ok(text(&ss(scene, "ss -tnH state established dport = :7201")?.stdout).lines().count())
    };
    same("before", &count(&scene)?.to_string(), "1")?;
    // No answer is no.
    let output = ss(&scene, "ss -K -tn dport = :7201")?;
    expect("asked", text(&output.stderr).contains("end this socket for good? [y/N]"), &output)?;
    same("status", &format!("{:?}", output.status.code()), "Some(1)")?;
    same("not ended", &count(&scene)?.to_string(), "1")?;
    let output = lab::run(
        scene.unprivileged(&copy).args(["ss", "-K", "--yes", "--explain", "-tn", "dport", "=", ":7201"]),
        LIMIT,
    )?;
    expect("not allowed", !output.status.success() && text(&output.stderr).contains("CAP_NET_ADMIN"), &output)?;
    same("still there", &count(&scene)?.to_string(), "1")?;
    let mut command = scene.command(&lab::netkit());
    let mut child = command
        .args(["ss", "-K", "-tnH", "dport", "=", ":7201"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().ok_or("no stdin")?.write_all(b"y\n")?;
    let output = child.wait_with_output()?;
    expect("shown", output.status.success() && text(&output.stdout).contains("127.0.0.1:7201"), &output)?;
    same("ended", &count(&scene)?.to_string(), "0")
}

/// Lines of a command that runs on, until one satisfies `wanted`.
fn follow(mut command: Command, ready: &str, act: impl FnOnce() -> Result<(), Stop>, wanted: &str) -> Result<(), Stop> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(child.stdout.take().ok_or("no stdout")?);
    let outcome = (|| -> Result<(), Stop> {
        let mut line = String::new();
        output.read_line(&mut line)?;
        if !line.contains(ready) {
            return Err(Stop::Fail(format!("begins with {line}")));
        }
        act()?;
        let mut seen = line;
        loop {
            let mut line = String::new();
            if output.read_line(&mut line)? == 0 {
                return Err(Stop::Fail(format!("ended without {wanted}:\n{seen}")));
            }
            seen.push_str(&line);
            if line.contains(wanted) {
                return Ok(());
            }
        }
    })();
    child.kill()?;
    child.wait()?;
    outcome
}

fn watch() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let end = |port: u16| -> Result<(), Stop> {
        let output = ss(&scene, &format!("ss -K --yes -tn dport = :{port}"))?;
        expect("ended", output.status.success() && output.stdout.len() > 40, &output)
    };
    let command = |words: &str| {
        // Whatever happens it does not outlive its time.
        let mut command = Command::new("timeout");
        let inner = scene.command(&lab::netkit());
        command.arg("60").arg(inner.get_program()).args(inner.get_args()).args(words.split(' '));
        command
    };
    follow(command("ss --watch=1 -tn"), "watching", || end(7201), "gone     tcp 127.0.0.1:")?;
    // A descriptor that is closed takes its UDP socket along at once.
    let open_and_close = || -> Result<(), Stop> {
        let mut command = scene.command(std::path::Path::new("bash"));
        let output = lab::run(command.args(["-c", "exec 3<>/dev/udp/127.0.0.1/53"]), LIMIT)?;
        expect("a socket", output.status.success(), &output)
    };
    follow(command("ss -unE"), "Recv-Q", open_and_close, "127.0.0.1:53")
}

/// `-B` and `-Q`, which Debian's release does not know yet.
fn bound() -> Result<(), Stop> {
    lab::namespaces()?;
    // Children of a thread are in the namespace of the thread.
    let shown = || -> Result<[Output; 4], Stop> {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).map_err(std::io::Error::from)?;
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&std::net::SocketAddr::from(([0, 0, 0, 0], 7400)).into())?;
        let run = |words: &str| lab::run(Command::new(lab::netkit()).args(words.split(' ')), LIMIT);
        Ok([run("ss -tnHB")?, run("ss -tanH")?, run("ss -tnH")?, run("ss -tanQ")?])
    };
    let outcome = std::thread::spawn(shown).join().map_err(|_| "the thread died")?;
    let [bound, all, connected, bare] = outcome?;
    // Kernels before 6.8 do not tell.
    if all.stdout.is_empty() {
        return Err(Stop::Skip(lab::Skip("this kernel does not list bound sockets".to_owned())));
    }
    expect("-B", text(&bound.stdout).starts_with("0      0      0.0.0.0:7400"), &bound)?;
    expect("-a", text(&all.stdout).starts_with("UNCONN 0      0      0.0.0.0:7400"), &all)?;
    expect("neither", connected.stdout.is_empty(), &connected)?;
    expect(
        "-Q",
        text(&bare.stdout) == "State  Local Address:Port Peer Address:Port\nUNCONN       0.0.0.0:7400      0.0.0.0:*\n",
        &bare,
    )
}

fn pods() -> Result<(), Stop> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let mounted = mounts.lines().filter(|line| line.contains(" - cgroup2 ")).find_map(|line| line.split(' ').nth(4));
    let root = std::path::PathBuf::from(mounted.ok_or(lab::Skip("no cgroup2 is mounted".to_owned()))?);
    let top = root.join(format!("netkit-lab-{}", std::process::id()));
    let uid = "6a5b4c3d-1e2f-4a5b-8c7d-0123456789ab";
    let id = "0123456789abcdef".repeat(4);
    if std::fs::create_dir(&top).is_err() {
        return Err(Stop::Skip(lab::Skip("cgroup2 is not writable".to_owned())));
    }
    let pod = top.join(format!("pod{uid}"));
    let leaf = pod.join(&id);
    let outcome = (|| -> Result<(), Stop> {
        std::fs::create_dir_all(&leaf)?;
        let scene = Scene::new()?;
        std::fs::write(leaf.join("cgroup.procs"), scene.pid().to_string())?;
        // The kubelet's directory, in a mount namespace of its own so that nothing is left.
        let script = format!(
            "mount -t tmpfs none /var/log && mkdir -p /var/log/pods/shop_web-7d_{uid} /var/log/containers && \
             touch /var/log/containers/web-7d_shop_app-{id}.log && exec nsenter --net=/proc/{}/ns/net \"$@\"",
            scene.pid()
        );
        let run = |words: &str| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--", "sh", "-c", &script, "sh"]).arg(lab::netkit()).args(words.split(' '));
            lab::run(&mut command, LIMIT)
        };
        let output = run("ss -ltn --pods sport = :7001")?;
        expect("column", text(&output.stdout).contains(" shop/web-7d/app"), &output)?;
        for (words, some) in
            [("--pod web-7d", true), ("--pod shop/web-7d", true), ("--pod other", false), ("--container app", true)]
        {
            let output = run(&format!("ss -ltnH {words} sport = :7001"))?;
            expect(words, output.stdout.is_empty() != some, &output)?;
        }
        let value = parsed(&run("ss -ltn --pods --json sport = :7001")?)?;
        same("json", &value["sockets"][0]["container"]["pod"].to_string(), "\"web-7d\"")?;
        drop(scene);
        Ok(())
    })();
    for directory in [&leaf, &pod, &top] {
        // The group is empty as soon as the kernel has reaped its process.
        for _ in 0..200 {
            if std::fs::remove_dir(directory).is_ok() || !directory.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    outcome
}

fn refused() -> Result<(), Stop> {
    for (words, message) in [
        ("ss -d", "ss: -d is not offered: Linux dropped DCCP in 6.16"),
        ("ss -Z", "ss: -Z is not offered: SELinux contexts are not read"),
        ("ss --tipc", "ss: --tipc is not offered: TIPC sockets are not offered"),
        ("ss --xdp", "ss: --xdp is not offered: XDP sockets are not offered"),
        ("ss -D x", "ss: -D is not offered: use --json to keep what is shown"),
        ("ss --bpf-maps", "ss: --bpf-maps is not offered: maps of BPF programs are not read"),
        ("netstat -rn", "netstat: -r is not offered; use `ip route`"),
        ("netstat -s", "netstat: -s is not offered; use `ss -s`, and `ss --problems` for what the counters mean"),
    ] {
        let output = lab::run(Command::new(lab::netkit()).args(words.split(' ')), LIMIT)?;
        same(words, &format!("{}{:?}", text(&output.stderr), output.status.code()), &format!("{message}\nSome(2)"))?;
    }
    Ok(())
}

/// The cells of README's table: what works for whom. `denied` is what stands on standard error where it does not.
fn privileges() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let copy = scene.readable_copy()?;
    let pid = scene.pid().to_string();
    let namespace = format!("/proc/{pid}/ns/net");
    let cells: &[(&str, &str, &str)] = &[
        ("ss -tan", ":7001", ""),
        ("ss -tanei", "cgroup:", ""),
        ("ss -xanm", "skmem:", ""),
        ("ss -s", "TCP:", ""),
        ("ss --problems sport = :7008", "accept_queue_full", ""),
        ("ss -tan --from-proc", ":7001", ""),
        ("ss -ltnp sport = :7001", "users:((", "CAP_SYS_PTRACE"),
        ("ss -tan fwmark = 0x42", "ESTAB", "CAP_NET_ADMIN"),
        ("ss -K --yes -tn dport = :7001", ":7001", "CAP_NET_ADMIN"),
        ("ss -tan --netns NS", ":7002", "CAP_SYS_"),
    ];
    for (words, shown, denied) in cells {
        let words = words.replace("NS", &namespace);
        for uid in ["65534", "65532"] {
            let mut command = scene.unprivileged_as(&copy, uid);
            let output = lab::run(command.args(words.split(' ')).arg("--explain"), LIMIT)?;
            let (out, err) = (text(&output.stdout), text(&output.stderr));
            let holds =
                if denied.is_empty() { out.contains(shown) } else { !out.contains(shown) && err.contains(denied) };
            expect(&format!("{words} as {uid}"), holds, &output)?;
        }
        let output = ss(&scene, &format!("{words} --explain"))?;
        expect(&format!("{words} with everything"), text(&output.stdout).contains(shown), &output)?;
    }
    // The processes of the same user are named without any capability.
    let script = format!("exec 3<>/dev/udp/127.0.0.1/53; exec \"{}\" ss -uanpH state established", copy.display());
    let mut command = scene.unprivileged_as(std::path::Path::new("bash"), "65532");
    let output = lab::run(command.args(["-c", &script]), LIMIT)?;
    expect("own process", text(&output.stdout).contains("users:((\"ss\",pid="), &output)
}

/// A table that the kernel lacks is no error, and said to whoever asked for it.
fn absent() -> Result<(), Stop> {
    let output = lab::run(Command::new(lab::netkit()).args(["ss", "-Sa", "--explain"]), LIMIT)?;
    let known = text(&output.stderr).is_empty();
    let said = text(&output.stderr) == "this kernel does not list SCTP sockets\n";
    expect("-S", output.status.success() && (known || said), &output)?;
    let output = lab::run(Command::new(lab::netkit()).args(["ss", "-a", "--explain"]), LIMIT)?;
    expect("nobody asked", !text(&output.stderr).contains("SCTP"), &output)
}

fn netstat() -> Result<(), Stop> {
    let peer = lab::tool("netstat", "net-tools")?;
    let scene = Scene::new()?;
    let run = |program: &std::path::Path, words: &[&str]| -> Result<String, Stop> {
        let output = lab::run(scene.command(program).args(words), LIMIT)?;
        // Timers run on, and the two programs' own sockets are theirs.
        let time = |line: &str| match line.split_once(" (") {
            Some((before, timer)) if timer.contains('/') => {
                format!("{before} (T{}", timer.split_once('/').map_or("", |(_, rest)| rest))
            }
            _ => line.to_owned(),
        };
        Ok(text(&output.stdout).lines().map(time).collect::<Vec<_>>().join("\n"))
    };
    let lines = [
        "-tulpn",
        "-tlnp",
        "-an",
        "-tan",
        "-tanp",
        "-anp",
        "-ltn",
        "-lun",
        "-tn",
        "-un",
        "-wan",
        "-xan",
        "-xln",
        "-xanp",
        "-4an",
        "-6an",
        "-tane",
        "-tanpeo",
        "-tano",
        "-plnt",
        "-tuwan",
        "--tcp --all --numeric",
        "-tnW",
    ];
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let ours: Vec<&str> = std::iter::once("netstat").chain(words.iter().copied()).collect();
        let mut verdict = Ok(());
        for _ in 0..20 {
            let before = run(&peer, &words)?;
            let shown = run(&lab::netkit(), &ours)?;
            let after = run(&peer, &words)?;
            verdict = if shown == before || shown == after { Ok(()) } else { same(line, &before, &shown) };
            if verdict.is_ok() || before == after {
                break;
            }
        }
        verdict?;
    }
    Ok(())
}
