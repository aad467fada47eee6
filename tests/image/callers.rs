//! What calls the image, and how: kubectl, dashboards, cdebug, init containers, image volumes, builds that copy the
//! binary. The strings are those that such programs send.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Podman, contains, is_dig, status, text};
use crate::lab::terminal::Terminal;
use crate::lab::{Stop, TempDir, run_with, same};

/// What takes `tar`, `cat` and their kin.
type Body = fn(&Podman, &str, &str) -> Result<(), Stop>;

pub(super) const ALL: &[(&str, Body)] = &[
    ("prompts_at_a_terminal", prompt),
    ("answers_dashboards", dashboards),
    ("is_process_1", first_process),
    ("keeps_its_capabilities_when_copied", copied),
    ("starts_under_every_bounding_set", bounding_sets),
    ("is_installed_into_other_containers", installed),
    ("is_mounted_into_other_containers", mounted),
    ("moves_trees_as_kubectl_cp_does", kubectl_cp),
    ("serves_cdebug", cdebug),
];

const LIMIT: Duration = Duration::from_secs(300);

/// A running container that is removed when this is dropped.
struct Running<'a> {
    podman: &'a Podman,
    id: String,
}

impl<'a> Running<'a> {
    fn start(podman: &'a Podman, arguments: &[&str]) -> Result<Running<'a>, Stop> {
        let out = podman.run(&[&["run", "--detach"], arguments].concat())?;
        let id = text(&out.stdout).trim().to_owned();
        if !out.status.success() {
            return Err(format!("podman run {arguments:?}: {}", text(&out.stderr)).into());
        }
        Ok(Running { podman, id })
    }

    fn exec(&self, words: &[&str]) -> Result<std::process::Output, Stop> {
        self.podman.run(&[&["exec", self.id.as_str()], words].concat())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.podman.run(&["rm", "--force", "--time", "0", &self.id]);
    }
}

/// podman with a terminal of its own.
fn at_a_terminal(podman: &Podman, arguments: &[&str]) -> Result<Terminal, Stop> {
    let mut command = Command::new(&podman.program);
    podman.environment(command.args(arguments));
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TERM", "xterm");
    if let Some(home) = std::env::var_os("HOME") {
        command.env("HOME", home);
    }
    Terminal::start(&command, 24, 100)
}

/// What `sh -c` is given so that a shell waits until its container is stopped.
const IDLE: [&str; 3] = ["sh", "-c", "trap 'exit 0' TERM; while :; do read -t 3600 x <>/dev/zero; done"];

/// `kubectl debug -it POD --image=...` without a command.
fn prompt(podman: &Podman, image: &str, user: &str) -> Result<(), Stop> {
    let mark = if user.is_empty() { "# " } else { "$ " };
    let mut terminal = at_a_terminal(podman, &["run", "--rm", "-it", image])?;
    let greeting = terminal.expect(mark)?;
    for line in ["netkit ", "works here: ", "does not: "] {
        contains("greeting", &greeting, line)?;
    }
    terminal.command("jq -n 40+2 | jq .+1 | sh -c 'read x; echo got $x'", "got 43\r\n")?;
    terminal.expect(mark)?;
    terminal.send("exit 3\r")?;
    terminal.ends_with(3)?;
    // With a user that has no name, no home, and nothing to write to.
    let arguments = ["run", "--rm", "-it", "--user", "1000680000:0", "--read-only", "--cap-drop=ALL", image];
    let mut terminal = at_a_terminal(podman, &arguments)?;
    terminal.expect("$ ")?;
    terminal
        .command("netkit caps --json | jq -Mc '[.uid,.gid,.effective,.read_only_root]'", "[1000680000,0,[],true]")?;
    terminal.expect("$ ")?;
    terminal.send("\x04")?;
    terminal.ends_with(0)
}

/// What dashboards and editors send to find a shell, and `kubectl exec`.
fn dashboards(podman: &Podman, image: &str, _: &str) -> Result<(), Stop> {
    let idle = Running::start(podman, &[&[image], &IDLE[..]].concat())?;
    for (script, wanted) in [
        ("echo $((40+2)); ss -xan | { read x; echo ${x%% *}; }", "42\nNetid\n"),
        ("command -v bash >/dev/null || echo none", "none\n"),
        ("[ -x /bin/sh ] && echo there", "there\n"),
        ("echo '{\"a\":[1,2]}' | jq -c .a", "[1,2]\n"),
        ("cd /tmp && pwd && echo $PATH", "/tmp\n/bin\n"),
    ] {
        let out = idle.exec(&["sh", "-c", script])?;
        same(script, &text(&out.stdout), wanted)?;
    }
    for script in [
        "command -v bash >/dev/null && exec bash || exec sh",
        "(bash || ash || sh)",
        "TERM=xterm-256color; export TERM; [ -x /bin/bash ] && ([ -x /usr/bin/script ] && /usr/bin/script -q -c \
         \"/bin/bash\" /dev/null || exec /bin/bash) || exec /bin/sh",
        "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi",
        "clear; (bash || ash || sh)",
    ] {
        let mut terminal = at_a_terminal(podman, &["exec", "-it", &idle.id, "sh", "-c", script])?;
        terminal.expect("/")?;
        terminal.command("echo a$((1))b", "a1b\r\n").map_err(|stop| named(script, stop))?;
        terminal.send("exit\r")?;
        terminal.ends_with(0).map_err(|stop| named(script, stop))?;
    }
    // The command stands in the place of the entrypoint, found on the image's PATH, or follows it.
    is_dig(&idle.exec(&["dig", "-v"])?)?;
    is_dig(&idle.exec(&["/bin/netkit", "dig", "-v"])?)
}

fn named(what: &str, stop: Stop) -> Stop {
    match stop {
        Stop::Fail(said) => Stop::Fail(format!("{what}: {said}")),
        other => other,
    }
}

/// A container is stopped with SIGTERM: process 1 ends at once, whatever it is, and reaps what others left.
fn first_process(podman: &Podman, image: &str, _: &str) -> Result<(), Stop> {
    let commands: [(&[&str], &str); 7] = [
        (&["nc", "-l", "-k", "8080"], "143"),
        (&["sh", "-c", "while :; do :; done"], "143"),
        (&["sh", "-c", "while :; do read -t 3600 x <>/dev/zero; done"], "143"),
        (&["sh", "-c", "sleep 3600; echo never"], "143"),
        (&["sleep", "infinity"], "143"),
        (&["tail", "-f", "/dev/null"], "143"),
        // Kubernetes' own ends with 0 when it is told to.
        (&["pause"], "0"),
    ];
    for (words, ended) in commands {
        let running = Running::start(podman, &[&[image], words].concat())?;
        // SIGKILL would come after this many seconds, and the status would be 137.
        let stopped = podman.run(&["stop", "--time", "50", &running.id])?;
        same("stop", &status(&stopped), "0")?;
        let inspected = podman.run(&["inspect", "--format", "{{.State.ExitCode}}", &running.id])?;
        same(&format!("status of {words:?}"), text(&inspected.stdout).trim(), ended)?;
    }
    // Process 1 has one child; that child's orphans are gone once they have ended.
    let script = "(sh -c 'exit 0' & sh -c 'exit 0' &) ; echo $PPID; \
                  for i in 1 2 3; do sh -c :; done; \
                  while zombies=; for p in /proc/[0-9]*; do read -r a b state rest <$p/stat; \
                  [ \"$state\" = Z ] && zombies=yes; done 2>/dev/null; [ -n \"$zombies\" ]; do :; done; echo clean";
    let out = podman.run(&["run", "--rm", image, "sh", "-c", script])?;
    same("orphans", &text(&out.stdout), "1\nclean\n")?;
    // The status of the program is that of the container.
    for (script, wanted) in [("exit 42", "42"), ("kill -KILL $$", "137"), ("exit 0", "0")] {
        same(script, &status(&podman.run(&["run", "--rm", image, "sh", "-c", script])?), wanted)?;
    }
    // At a terminal the shell ends as well.
    let name = format!("terminal-{}-{}", std::process::id(), image.len());
    let mut terminal = at_a_terminal(podman, &["run", "--rm", "-it", "--name", &name, image])?;
    terminal.expect("/")?;
    terminal.command("echo $PPID", "1\r\n")?;
    let stopped = podman.run(&["stop", "--time", "50", &name])?;
    same("stop at a terminal", &status(&stopped), "0")?;
    terminal.ends_with(143)
}

fn caps(podman: &Podman, arguments: &[&str]) -> Result<Value, Stop> {
    let out = podman.run(arguments)?;
    serde_json::from_slice(&out.stdout)
        .map_err(|error| format!("{arguments:?}: {error}: {}{}", text(&out.stdout), text(&out.stderr)).into())
}

fn usable(caps: &Value) -> String {
    let names = caps.get("usable").and_then(Value::as_array).cloned().unwrap_or_default();
    names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

/// `COPY --from` through two stages into an image of somebody else's, under another name.
fn copied(podman: &Podman, image: &str, _: &str) -> Result<(), Stop> {
    let context = TempDir::new("copied")?;
    let recipe = format!(
        "FROM {image} AS from\nFROM scratch AS first\nCOPY --from=from /bin/netkit /tools/anything\n\
         FROM scratch\nCOPY --from=first /tools/ /opt/\nUSER 4711:4711\nENTRYPOINT [\"/opt/anything\"]\n"
    );
    fs::write(context.0.join("Containerfile"), recipe)?;
    let tag = format!("{}-copied", image.replace(':', "-"));
    let built = podman.run(&["build", "--quiet", "--tag", &tag, &context.0.to_string_lossy()])?;
    same("status of build", &status(&built), "0")?;
    let drop = ["run", "--rm", "--cap-drop=ALL", "--cap-add=NET_RAW", "--cap-add=SYS_PTRACE", &tag];
    let shown = caps(podman, &[&drop[..], &["caps", "--json"]].concat())?;
    same("what the copy may raise", &usable(&shown), "CAP_NET_RAW CAP_SYS_PTRACE")?;
    is_dig(&podman.run(&[&drop[..], &["dig", "-v"]].concat())?)?;
    // One file is the whole toolbox: the shell finds what is in it.
    let out = podman.run(&[&drop[..], &["sh", "-c", "echo '[40,2]' | jq add"]].concat())?;
    same("jq in the shell of the copy", &text(&out.stdout), "42\n")
}

/// It starts whatever the bounding set lacks, and raises what the set leaves and the applet wants, no more.
fn bounding_sets(podman: &Podman, image: &str, _: &str) -> Result<(), Stop> {
    let three = ["NET_ADMIN", "NET_RAW", "SYS_PTRACE"];
    for set in 0..8_usize {
        let mut flags = vec!["run", "--rm", "--cap-drop=ALL", "--user", "4711:4711"];
        let chosen: Vec<String> = three
            .iter()
            .enumerate()
            .filter(|(bit, _)| set >> bit & 1 == 1)
            .map(|(_, name)| format!("CAP_{name}"))
            .collect();
        let added: Vec<String> = chosen.iter().map(|name| format!("--cap-add={name}")).collect();
        flags.extend(added.iter().map(String::as_str));
        flags.push(image);
        let shown = caps(podman, &[&flags[..], &["caps", "--json"]].concat())?;
        same(&format!("set {chosen:?}"), &usable(&shown), &chosen.join(" "))?;
        // What runs as an applet holds what it wants and nothing else: the shell wants nothing, ss two of the three.
        let script =
            "while read -r name set; do case $name in CapPrm:|CapEff:) echo $set;; esac; done </proc/self/status";
        let out = podman.run(&[&flags[..], &["sh", "-c", script]].concat())?;
        same("what the shell holds", &text(&out.stdout), "0000000000000000\n0000000000000000\n")?;
    }
    Ok(())
}

/// `netkit install` as an init container does it, and the result in a container without a shell.
fn installed(podman: &Podman, image: &str, user: &str) -> Result<(), Stop> {
    let volume = TempDir::new("volume")?;
    fs::set_permissions(&volume.0, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    let mount = format!("{}:/netkit", volume.0.display());
    let out = podman.run(&["run", "--rm", "--read-only", "-v", &mount, image, "install", "--copy", "/netkit"])?;
    same("status of install", &status(&out), "0")?;
    let other = Running::start(podman, &["-v", &format!("{mount}:ro"), "localhost/server:1"])?;
    is_dig(&other.exec(&["/netkit/dig", "-v"])?)?;
    let out = other.exec(&["/netkit/sh", "-c", "echo '[40,2]' | jq add; ss -uan | { read a b; echo $a; }"])?;
    same("in the other container", &text(&out.stdout), "42\nState\n")?;
    // What `kubectl debug node/X` is followed by.
    let host = format!("{}:/host", volume.0.display());
    let out =
        podman.run(&["run", "--rm", "-v", &host, image, "chroot", "/host", "/sh", "-c", "echo /netk*; jq -n 42"])?;
    if user.is_empty() {
        return same("below /host", &text(&out.stdout), "/netkit\n42\n");
    }
    contains("what a user without the capability is told", &text(&out.stderr), "CAP_SYS_CHROOT")
}

/// The four pairs of commands of `kubectl cp`: both ways, with and without the owner's and mode's flags, and the retry
/// that goes on where a connection broke.
fn kubectl_cp(podman: &Podman, image: &str, _: &str) -> Result<(), Stop> {
    const MEGABYTE: usize = 1 << 20;
    let dir = TempDir::new("cp")?;
    let tree = dir.0.join("tree");
    fs::create_dir_all(tree.join("deep/er/and deeper"))?;
    // A hundred megabytes, none of them a hole.
    for number in 0..10_u8 {
        let line: Vec<u8> = (0..=255_u8).map(|byte| byte.wrapping_mul(number | 1) | 1).collect();
        fs::write(tree.join(format!("deep/part {number}")), line.repeat(10 * MEGABYTE / 256))?;
    }
    fs::write(tree.join("empty"), "")?;
    fs::write(tree.join("deep/er/and deeper/").join("n".repeat(120)), "a long name\n")?;
    std::os::unix::fs::symlink("deep/er", tree.join("link"))?;
    let host = |words: &[&str]| -> Result<(), Stop> {
        let out = crate::lab::run(
            Command::new(words.first().ok_or("no command")?).args(words.iter().skip(1)).current_dir(&dir.0),
            LIMIT,
        )?;
        if out.status.success() {
            Ok(())
        } else {
            Err(format!("{words:?}: {}{}", text(&out.stdout), text(&out.stderr)).into())
        }
    };
    host(&["tar", "cf", "in.tar", "tree"])?;
    let running = Running::start(podman, &[image, "sleep", "infinity"])?;
    let feed = |words: &[&str]| -> Result<(), Stop> {
        let mut command = Command::new(&podman.program);
        command.args(["exec", "-i", &running.id]).args(words);
        let stdin = fs::File::open(dir.0.join("in.tar"))?;
        let out = run_with(podman.environment(&mut command), stdin.into(), LIMIT)?;
        same(&format!("{words:?}"), &format!("{}{}", status(&out), text(&out.stderr)), "0")
    };
    running.exec(&["mkdir", "/tmp/one", "/tmp/two"])?;
    feed(&["tar", "-xmf", "-", "-C", "/tmp/one"])?;
    let small = Running::exec(
        &running,
        &["sh", "-c", "cd /tmp/one && find . -type f | wc -l && cat 'tree/link/and deeper/n'*"],
    )?;
    same("there", &text(&small.stdout), "12\na long name\n")?;
    // Back, compared file by file.
    let back = |words: &[&str], folder: &str| -> Result<Vec<u8>, Stop> {
        let out = running.exec(words)?;
        same(&format!("{words:?}"), &status(&out), "0")?;
        if !folder.is_empty() {
            fs::create_dir(dir.0.join(folder))?;
            fs::write(dir.0.join("out.tar"), &out.stdout)?;
            host(&["tar", "xf", "out.tar", "-C", folder])?;
        }
        Ok(out.stdout)
    };
    let whole = back(&["tar", "cf", "-", "/tmp/one/tree"], "back")?;
    host(&["diff", "-r", "--no-dereference", "tree", "back/tmp/one/tree"])?;
    // The rest of the stream from byte N, counted from 1.
    let half = whole.len() / 2;
    let script = format!("tar cf - '/tmp/one/tree' | tail -c+{}", half + 1);
    if back(&["sh", "-c", &script], "")? != whole.get(half..).unwrap_or_default() {
        return Err("the rest of the stream is not what came the first time".into());
    }
    // With what kubectl adds under --no-preserve.
    running.exec(&["rm", "-r", "/tmp/one"])?;
    feed(&["tar", "--no-same-permissions", "--no-same-owner", "-xmf", "-", "-C", "/tmp/two"])?;
    let counted = running.exec(&["sh", "-c", "cat /tmp/two/tree/deep/part* | wc -c"])?;
    same("bytes", text(&counted.stdout).trim(), &(100 * MEGABYTE).to_string())
}

/// The entry scripts in the manner of cdebug's: one that only finds its place, and one that moves into the other
/// container's root, with the tools behind a link that leads back.
fn cdebug(podman: &Podman, image: &str, user: &str) -> Result<(), Stop> {
    let other = Running::start(podman, &["localhost/server:1"])?;
    let shared = format!("container:{}", other.id);
    let beside = ["run", "--rm", "--network", &shared, "--pid", &shared, "--entrypoint", "sh", image, "-c"];
    let simple = "set -eu\n\
        if [ \"${HOME:-/}\" != \"/\" ]; then me=$(sh -c 'echo $PPID'); fi\n\
        [ \"$me\" = \"$$\" ] && ls -d /proc/$me/root/bin/ >/dev/null && ln -s /proc/$me/root/bin /tmp/.tools-1\n\
        export PATH=$PATH:/tmp/.tools-1\n\
        exec sh -c 'dig -v 2>&1 | cut -c1-3; cat /tmp/.tools-1/../etc/passwd | wc -l'\n";
    let out = podman.run(&[&beside[..], &[simple]].concat())?;
    same("simple", &(text(&out.stdout) + &text(&out.stderr)), "DiG\n2\n")?;
    if !user.is_empty() {
        // Another user's root is closed to who lacks CAP_SYS_PTRACE; cdebug itself moves only as root.
        return Ok(());
    }
    let moving = "set -eu\n\
        me=$(sh -c 'echo $PPID')\n\
        rm -rf /proc/1/root/.tools-2\n\
        ln -s /proc/$me/root/bin/ /proc/1/root/.tools-2\n\
        [ \"$(stat -c %F /proc/1/root/.tools-2 2>/dev/null || echo link)\" ]\n\
        cat > /.entry.sh <<EOF\n\
        #!/bin/sh\n\
        export PATH=$PATH:/.tools-2\n\
        chroot /proc/1/root sh -c 'ls /server; ss -uan | wc -l; jq -n $((40+2))'\n\
        EOF\n\
        exec sh /.entry.sh\n";
    let out = podman.run(&[&beside[..], &[&moving.replace("        EOF", "EOF")]].concat())?;
    same("moving", &(text(&out.stdout) + &text(&out.stderr)), "/server\n2\n42\n")
}

/// The image as a volume (Kubernetes 1.33 and later): its links lead inside it wherever it is mounted.
fn mounted(podman: &Podman, image: &str, _: &str) -> Result<(), Stop> {
    let mount = format!("type=image,source={image},destination=/somewhere/else");
    let other = Running::start(podman, &["--mount", &mount, "localhost/server:1"])?;
    is_dig(&other.exec(&["/somewhere/else/bin/dig", "-v"])?)?;
    let out = other.exec(&["/somewhere/else/bin/sh", "-c", "echo '[40,2]' | jq add"])?;
    same("in the other container", &text(&out.stdout), "42\n")?;
    // Through stdin, as `kubectl exec -i` does it.
    let mut command = Command::new(&podman.program);
    command.args(["exec", "-i", &other.id, "/somewhere/else/bin/jq", "-c", "."]);
    let input = TempDir::new("input")?;
    fs::write(input.0.join("json"), "{\"a\": 1}\n")?;
    let stdin = fs::File::open(input.0.join("json"))?;
    let out = run_with(podman.environment(&mut command), stdin.into(), LIMIT)?;
    same("stdin", &text(&out.stdout), "{\"a\":1}\n")
}
