//! `ip` and `bridge` against Debian's iproute2: every command line of tests/golden/ip/cases.txt runs with both over the
//! same namespaces (tests/ip_diff/scene.sh). Text, standard error and status must be equal after masking what moves by
//! itself; JSON must be equal as values. The peer is asked before and after ours, and only a moment at rest counts.
//! What differs on purpose stands in tests/golden/ip/known_differences.txt. NETKIT_DIFF=PATTERN shows the differences.

mod kinds;
mod mask;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::lab::{self, Stop, TempDir, same};

const LIMIT: Duration = Duration::from_secs(300);
const CASES: &str = include_str!("golden/ip/cases.txt");
const KNOWN: &str = include_str!("golden/ip/known_differences.txt");
const SCENE: &str = include_str!("ip_diff/scene.sh");

pub fn trials() -> Vec<Trial> {
    vec![
        lab::trial("ip_diff::masks", mask::masks),
        lab::trial("ip_diff::same_as_the_peer", same_as_the_peer),
        lab::trial("ip_diff::kinds_as_json", kinds_as_json),
        lab::trial("ip_diff::nothing_is_changed", nothing_is_changed),
        lab::trial("ip_diff::broken_recordings", broken_recordings),
        lab::trial("ip_diff::streams_of_changes", streams_of_changes),
        lab::trial("ip_diff::why", why),
        lab::trial("ip_diff::without_privilege", without_privilege),
    ]
}

/// The namespaces, alive as long as this value.
struct Scene {
    holder: Child,
    dir: TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Scene {
    fn new() -> Result<Scene, Stop> {
        lab::namespaces()?;
        lab::tool("ip", "iproute2")?;
        lab::tool("nsenter", "util-linux")?;
        let dir = TempDir::new("ip")?;
        let script = dir.0.join("scene.sh");
        std::fs::write(&script, SCENE)?;
        let recording = dir.0.join("kinds");
        std::fs::write(&recording, kinds::recording())?;
        let errors = std::fs::File::create(dir.0.join("errors"))?;
        let holder = Command::new("unshare")
            .args(["--net", "--mount", "sh"])
            .arg(&script)
            .env("KINDS", &recording)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()?;
        let mut scene = Scene { holder, dir };
        scene.wait()?;
        Ok(scene)
    }

    /// Until the script has become the process that holds everything.
    fn wait(&mut self) -> Result<(), Stop> {
        let ready = PathBuf::from(format!("/proc/{}/root/run/scene/ready", self.holder.id()));
        let deadline = Instant::now() + LIMIT;
        while !ready.exists() {
            let ended = self.holder.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let errors = std::fs::read_to_string(self.dir.0.join("errors"))?;
                if ["Unknown device type", "not supported", "/dev/net/tun"].iter().any(|sign| errors.contains(sign)) {
                    return Err(lab::Skip(format!("this kernel lacks what the scene is made of: {errors}")).into());
                }
                return Err(Stop::Fail(format!("the scene does not stand ({ended:?}): {errors}")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// A program inside.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "-t", &self.holder.id().to_string(), "--", program]);
        command.env_remove("COLORFGBG").env_remove("NO_COLOR").env("LC_ALL", "C").env("TZ", "UTC");
        command
    }

    /// The peer's answer and ours to one question, at a moment when the peer says the same before and after ours:
    /// the kernel counts packets and forgets neighbours whenever it likes.
    fn both(&self, line: &str) -> Result<(mask::Answer, mask::Answer), Stop> {
        let mut before = self.answer(false, line)?;
        for _ in 0..20 {
            let ours = self.answer(true, line)?;
            let after = self.answer(false, line)?;
            if before == after || ours == before {
                return Ok((before, ours));
            }
            before = after;
        }
        Err(Stop::Fail(format!("`{line}`: the scene never rests")))
    }

    fn answer(&self, ours: bool, line: &str) -> Result<mask::Answer, Stop> {
        let mut words = line.split_whitespace();
        let program = words.next().ok_or("an empty case")?;
        let mut command = if ours {
            let mut command = self.command(&lab::netkit().to_string_lossy());
            command.arg(program);
            command
        } else {
            self.command(&lab::tool(program, "iproute2")?.to_string_lossy())
        };
        let output = lab::run(command.args(words), LIMIT)?;
        Ok(mask::Answer::new(line, &output))
    }
}

/// Case to reason.
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

fn same_as_the_peer() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let known = known()?;
    let wanted = std::env::var("NETKIT_DIFF").ok();
    let mut seen = 0;
    let mut wrong = Vec::new();
    let cases: Vec<&str> = CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    if let Some(case) = known.keys().find(|case| !cases.contains(case)) {
        return Err(Stop::Fail(format!("known_differences.txt lists `{case}`, which is no case")));
    }
    for case in &cases {
        if wanted.as_ref().is_some_and(|pattern| !case.contains(pattern.as_str())) {
            continue;
        }
        seen += 1;
        let (before, ours) = scene.both(case)?;
        let equal = ours == before;
        match (equal, known.get(case)) {
            (true, None) => {}
            (true, Some(_)) => wrong.push(format!("`{case}` is listed as different and is equal")),
            (false, Some(_)) if wanted.is_none() => {}
            (false, _) => wrong.push(format!("`{case}`\n{}", before.against(&ours))),
        }
    }
    if wrong.is_empty() && (seen >= 250 || wanted.is_some()) {
        return Ok(());
    }
    Err(Stop::Fail(format!("{} of {seen} cases:\n{}", wrong.len(), wrong.join("\n"))))
}

/// The peer prints JSON only of what the kernel answers, so a small library (tests/ip_diff/answer.c) answers in the
/// kernel's place with the recording; ours reads the same recording as a file. Every kind must give the same values.
fn kinds_as_json() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let compiler = lab::tool("gcc", "gcc")?;
    let (source, library, recording) =
        (scene.dir.0.join("answer.c"), scene.dir.0.join("answer.so"), scene.dir.0.join("kinds"));
    std::fs::write(&source, include_str!("ip_diff/answer.c"))?;
    let compiled = lab::run(Command::new(compiler).args(["-shared", "-fPIC", "-o"]).args([&library, &source]), LIMIT)?;
    if !compiled.status.success() {
        return Err(Stop::Fail(String::from_utf8_lossy(&compiled.stderr).into_owned()));
    }
    let peer = scene
        .command("env")
        .arg(format!("LD_PRELOAD={}", library.display()))
        .arg(format!("RECORDING={}", recording.display()))
        .args(["ip", "-j", "-d", "link"])
        .output()?;
    let text = String::from_utf8_lossy(&peer.stdout);
    let peer: Vec<serde_json::Value> =
        serde_json::from_str(&text).map_err(|error| format!("the peer: {error}: {text}"))?;
    let ours = lab::run(
        scene.command(&lab::netkit().to_string_lossy()).args(["ip", "-j", "-d", "monitor", "file"]).arg(&recording),
        LIMIT,
    )?;
    let mut compared = 0;
    for line in String::from_utf8_lossy(&ours.stdout).lines() {
        let ours: serde_json::Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let name = ours.get("ifname").and_then(serde_json::Value::as_str).unwrap_or_default();
        let peer = peer.iter().find(|link| link.get("ifname").and_then(serde_json::Value::as_str) == Some(name));
        let part = |link: Option<&serde_json::Value>| {
            let parts =
                ["flags", "address", "broadcast", "permaddr", "linkinfo", "altnames", "parentdev", "promiscuity"];
            let shown = parts.map(|key| {
                format!("{key}: {}", link.and_then(|link| link.get(key)).unwrap_or(&serde_json::Value::Null))
            });
            shown.join("\n")
        };
        same(name, &part(peer), &part(Some(&ours)))?;
        compared += 1;
    }
    if compared >= 35 { Ok(()) } else { Err(Stop::Fail(format!("only {compared} links were compared"))) }
}

/// Every verb that would change something is refused by name with status 2, and nothing has changed.
fn nothing_is_changed() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let state = |scene: &Scene| -> Result<String, Stop> {
        let mut all = String::new();
        for line in [
            "ip -d addr",
            "ip route show table all",
            "ip rule",
            "ip neigh show nud permanent",
            "ip nexthop",
            "ip netns",
        ] {
            all += &scene.answer(false, line)?.out;
        }
        Ok(all)
    };
    let before = state(&scene)?;
    for (line, verb) in [
        ("ip link set v0 down", "ip link set"),
        ("ip l s v0 down", "ip link set"),
        ("ip link add d9 type dummy", "ip link add"),
        ("ip link del v0", "ip link delete"),
        ("ip link property add dev v0 altname x", "ip link property"),
        ("ip addr add 10.99.0.1/24 dev v0", "ip address add"),
        ("ip a d 10.0.0.1/24 dev v0", "ip address delete"),
        ("ip addr flush dev v0", "ip address flush"),
        ("ip -6 addr change ::5/64 dev v0", "ip address change"),
        ("ip route add 10.99.0.0/16 dev v0", "ip route add"),
        ("ip route del default", "ip route delete"),
        ("ip route replace default dev v0", "ip route replace"),
        ("ip r flush table main", "ip route flush"),
        ("ip rule add pref 9 table 9", "ip rule add"),
        ("ip rule del pref 100", "ip rule delete"),
        ("ip neigh add 10.0.0.9 dev v0", "ip neighbor add"),
        ("ip n flush all", "ip neighbor flush"),
        ("ip nexthop add id 9 blackhole", "ip nexthop add"),
        ("ip nexthop flush", "ip nexthop flush"),
        ("ip netns add x9", "ip netns add"),
        ("ip netns del other", "ip netns delete"),
        ("ip maddr add 33:33:00:00:00:09 dev v0", "ip maddress add"),
        ("ip tunnel add x9 mode ipip", "ip tunnel add"),
        ("ip xfrm state flush", "ip xfrm state flush"),
        ("ip xfrm policy del dir in", "ip xfrm policy delete"),
        ("bridge fdb add 02:00:00:00:00:99 dev v1 master", "bridge fdb add"),
        ("bridge link set dev v1 cost 9", "bridge link set"),
        ("bridge vlan add vid 9 dev v1", "bridge vlan add"),
    ] {
        let answer = scene.answer(true, line)?;
        let program = line.split(' ').next().unwrap_or_default();
        let expected =
            format!("{program}: `{verb}` would change the system, and this {program} only reads; nothing was done");
        same(line, &format!("{}{} {:?}", answer.out, answer.err, answer.status), &format!("{expected} Some(2)"))?;
    }
    for line in
        ["ip -b file", "ip -force link", "ip -r route", "ip mroute", "ip token", "ip -loops 3 link", "ip vrf exec x y"]
    {
        let answer = scene.answer(true, line)?;
        if answer.status != Some(2) || !answer.err.contains("not offered") {
            return Err(Stop::Fail(format!("{line}: {:?} {}", answer.status, answer.err)));
        }
    }
    same("the state of the kernel", &before, &state(&scene)?)
}

/// Cut, flipped and random recordings: no crash, no hang, nothing that a terminal would obey.
fn broken_recordings() -> Result<(), Stop> {
    let dir = TempDir::new("ip-broken")?;
    let whole = kinds::recording();
    let file = dir.0.join("recording");
    // A fixed linear congruential sequence: the same inputs on every run.
    let mut state = 12345u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below.max(1)
    };
    for round in 0..250 {
        let mut bytes = whole.clone();
        for _ in 0..1 + round % 7 {
            let at = random(bytes.len());
            let value = u8::try_from(random(256)).unwrap_or(0);
            bytes.splice(at..=at, [value]);
        }
        // Other kinds of messages take the same bytes: addresses, routes, neighbours, rules, ids, nexthops.
        let kind = [16u16, 17, 20, 24, 28, 32, 88, 104, 15, 99].get(round % 10).copied().unwrap_or(16);
        bytes.splice(4..6, kind.to_ne_bytes());
        if round % 3 == 0 {
            bytes.truncate(random(bytes.len()));
        }
        std::fs::write(&file, &bytes)?;
        let mut command = Command::new(lab::netkit());
        let flags = [&["-d"][..], &["-j", "-d"], &["-s", "-d", "-o"]].get(round % 3).copied().unwrap_or_default();
        command.arg("ip").args(flags).args(["monitor", "label", "file"]).arg(&file);
        let output = lab::run(&mut command, LIMIT)?;
        let fine = matches!(output.status.code(), Some(0 | 1));
        if !fine || output.stdout.contains(&0x1b) || output.stdout.len() > 4 << 20 {
            let kept = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Stop::Fail(format!("round {round}: {:?} {kept}", output.status)));
        }
    }
    Ok(())
}

/// `monitor` tells of what happens, in text as the peer does and in JSON one object a line.
fn streams_of_changes() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let changes = "ip addr add 10.77.0.1/24 dev w0; ip route add 10.78.0.0/16 via 10.77.0.9; ip rule add pref 77 table 77; \
                   ip neigh add 10.77.0.8 lladdr 02:00:00:00:00:08 dev w0; ip link set w0 mtu 1400; ip rule del pref 77; \
                   ip route del 10.78.0.0/16; ip addr del 10.77.0.1/24 dev w0; ip link set w0 mtu 1500; ip neigh del 10.77.0.8 dev w0";
    let hops = "ip nexthop add id 71 via 10.0.0.240 dev v0; ip nexthop add id 72 blackhole; \
                ip nexthop add id 73 via fe80::73 dev v0; ip nexthop add id 74 group 71,3; \
                ip nexthop replace id 71 via 10.0.0.241 dev v0 onlink; ip nexthop del id 74; ip nexthop del id 73; \
                ip nexthop del id 72; ip nexthop del id 71";
    let watch = |program: &str, flags: &str, objects: &str, changes: &str| -> Result<String, Stop> {
        // The watcher runs until the marker, an address nobody else adds, has been told of.
        let script = format!(
            ": > /run/scene/seen; {program} {flags} monitor {objects} > /run/scene/seen 2>/run/scene/seen.err & watcher=$!; \
             n=0; until grep -q 10.66.0.1 /run/scene/seen; do ip addr add 10.66.0.1/32 dev lo; sleep 0.05; \
             ip addr del 10.66.0.1/32 dev lo; n=$((n+1)); [ $n -lt 400 ] || break; done; \
             {changes}; ip addr add 10.67.0.1/32 dev lo; n=0; until grep -q 10.67.0.1 /run/scene/seen; do sleep 0.05; \
             n=$((n+1)); [ $n -lt 400 ] || break; done; ip addr del 10.67.0.1/32 dev lo; \
             kill $watcher; wait $watcher 2>/dev/null; cat /run/scene/seen.err >&2; \
             sed '/10.66.0.1/d; /10.67.0.1/d' /run/scene/seen"
        );
        let output = lab::run(scene.command("sh").args(["-c", &script]), LIMIT)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let ours = lab::netkit().to_string_lossy().into_owned() + " ip";
    let all = "link address route rule";
    let quiet = |text: String| -> String {
        text.lines().filter(|line| !line.contains("valid_lft")).map(|line| format!("{line}\n")).collect()
    };
    // The marker is an address, so addresses are watched as well.
    for (flags, objects) in [("", "nexthop address"), ("-d", "address nexthop"), ("-o", "address nexthop")] {
        let peer = quiet(watch("ip", flags, objects, hops)?);
        for part in ["id 71 via 10.0.0.240 dev v0", "blackhole", "group 71,3", "Deleted id 72 "] {
            if !peer.contains(part) {
                return Err(Stop::Fail(format!("the peer did not see {part:?}: {peer}")));
            }
        }
        same(&format!("monitor {flags} {objects}"), &peer, &quiet(watch(&ours, flags, objects, hops)?))?;
    }
    for flags in ["", "-4", "-o", "-d"] {
        let peer = quiet(watch("ip", flags, all, changes)?);
        if !peer.contains("10.78.0.0/16") || !peer.contains("mtu 1400") && flags != "-4" {
            return Err(Stop::Fail(format!("the peer saw too little: {peer}")));
        }
        same(&format!("monitor {flags}"), &peer, &quiet(watch(&ours, flags, all, changes)?))?;
    }
    let json = watch(&ours, "-j", "nexthop link address route rule", &format!("{changes}; {hops}"))?;
    let mut objects = Vec::new();
    for line in json.lines() {
        let value: serde_json::Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        objects.push(value.get("object").and_then(|value| value.as_str()).unwrap_or_default().to_owned());
    }
    for object in ["link", "address", "route", "rule", "nexthop"] {
        if !objects.iter().any(|seen| seen == object) {
            return Err(Stop::Fail(format!("no {object} among {objects:?}\n{json}")));
        }
    }
    Ok(())
}

/// Each layer that can be at fault is named, and the status says whether one is.
fn why() -> Result<(), Stop> {
    let scene = Scene::new()?;
    // Question, status, what the screen must say.
    for (question, status, lines) in [
        (
            "10.1.2.3",
            0,
            &[
                "table       main",
                "route       10.1.0.0/16 via 10.0.0.254 dev v0",
                "PERMANENT",
                "mtu         1400 (link 1500, route 1400)",
            ][..],
        ),
        ("127.0.0.1", 0, &["rule        0:\tfrom all lookup local", "mtu         65536 (link 65536)"]),
        ("192.168.7.2", 0, &["neighbour   192.168.7.2 on w0: not asked for yet", "link        4: w0@if"]),
        ("10.12.1.1", 0, &["route       10.12.0.0/16 nhid 1", "neighbour   10.0.0.250 dev v0"]),
        (
            "10.3.1.1",
            1,
            &[
                "route       blackhole 10.3.0.0/16",
                "refused     Invalid argument",
                "problem     the route is of type blackhole",
            ],
        ),
        ("10.4.1.1", 1, &["problem     the route is of type unreachable"]),
        (
            "10.20.1.1",
            1,
            &[
                "rule        400:\tfrom all to 10.20.0.0/16 prohibit",
                "refused     Permission denied",
                "problem     the rule forbids it",
            ],
        ),
        ("10.0.0.252", 1, &["FAILED", "problem     10.0.0.252 does not answer on v0"]),
        ("203.0.113.1", 1, &["rule        800:\tfrom all blackhole", "problem     the rule forbids it"]),
        ("10.7.1.1 mark 0x10", 0, &["rule        200:\tfrom all fwmark 0x10/0xff lookup 200", "table       200"]),
        ("203.0.113.1 ipproto udp dport 53", 1, &["lookup 1000", "problem     10.0.0.252 does not answer on v0"]),
        ("2001:db8:2::1", 0, &["route       2001:db8:2::/48 via 2001:db8::2 dev v0", "router PERMANENT"]),
        (
            "2001:db8:9::1",
            1,
            &["rule        110:\tfrom all to 2001:db8:9::/48 unreachable", "problem     the rule forbids it"],
        ),
    ] {
        let answer = scene.answer(true, &format!("ip why {question}"))?;
        let missing: Vec<_> = lines.iter().filter(|line| !answer.out.contains(**line)).collect();
        if answer.status != Some(status) || !missing.is_empty() || !answer.err.is_empty() {
            return Err(Stop::Fail(format!(
                "{question}: {:?}, without {missing:?}\n{}{}",
                answer.status, answer.out, answer.err
            )));
        }
    }
    let output =
        lab::run(scene.command(&lab::netkit().to_string_lossy()).args(["ip", "-j", "why", "10.0.0.252"]), LIMIT)?;
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let at = |pointer: &str| value.pointer(pointer).map(ToString::to_string).unwrap_or_default();
    let shown = [
        "/schema",
        "/rule/table",
        "/answer/dev",
        "/neighbour/state/0",
        "/link/ifname",
        "/mtu/effective",
        "/problems/0",
    ]
    .map(at);
    let expected = r#""ip-why/1" "main" "v0" "FAILED" "v0" 1500 "10.0.0.252 does not answer on v0""#;
    same("JSON", expected, &shown.join(" "))?;
    let answer = scene.answer(true, "ip why")?;
    same(
        "no destination",
        "need at least a destination address Some(1)",
        &format!("{} {:?}", answer.err, answer.status),
    )
}

/// What works as nobody: everything but namespaces and transforms.
fn without_privilege() -> Result<(), Stop> {
    let scene = Scene::new()?;
    let copy = lab::binary_for_everybody(&scene.dir.0)?;
    let nobody = |arguments: &str| -> Result<(String, String, Option<i32>), Stop> {
        let mut command = scene.command("setpriv");
        command.args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
        ]);
        command.arg(&copy).args(arguments.split(' '));
        let output = lab::run(&mut command, LIMIT)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((text(&output.stdout), text(&output.stderr), output.status.code()))
    };
    lab::tool("setpriv", "util-linux")?;
    for (arguments, expected) in [
        ("ip addr", "inet 10.0.0.1/24"),
        ("ip -d link", "vxlan id 42"),
        ("ip route show table all", "prohibit 10.5.0.0/16"),
        ("ip route get 127.0.0.1", "local 127.0.0.1 dev lo"),
        ("ip rule", "lookup main"),
        ("ip neigh", "10.0.0.254"),
        ("ip nexthop", "id 4 blackhole"),
        ("ip maddr", "33:33:00:00:00:05"),
        ("ip netns", "other"),
        ("ip netns identify", ""),
        ("ip why 127.0.0.1", "lookup local"),
        ("bridge fdb", "dst 10.0.0.77"),
    ] {
        let (out, err, status) = nobody(arguments)?;
        if status != Some(0) || !out.contains(expected) || !err.is_empty() {
            return Err(Stop::Fail(format!("{arguments}: {status:?}\n{out}{err}")));
        }
    }
    let (_, err, _) = nobody("ip --explain netns pids other")?;
    if !err.contains("CAP_SYS_PTRACE") {
        return Err(Stop::Fail(format!("netns pids: {err}")));
    }
    for (arguments, capability) in [
        ("ip --explain -n other addr", "CAP_SYS_ADMIN"),
        ("ip --explain xfrm policy", "CAP_NET_ADMIN"),
        ("ip --explain netns identify 1", "CAP_SYS_PTRACE"),
        ("ip --explain netns exec other true", "CAP_SYS_ADMIN"),
    ] {
        let (out, err, status) = nobody(arguments)?;
        if status == Some(0) || !err.contains(capability) {
            return Err(Stop::Fail(format!("{arguments}: {status:?}\n{out}{err}")));
        }
    }
    Ok(())
}
