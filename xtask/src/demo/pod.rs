//! A process that sees another /etc, as a container's processes do: `dig --from-pid` reads it through /proc/PID/root.
//!
//! It is this program again, started with [`FLAG`]: it makes a folder, changes its root to it, and waits until its
//! stdin ends, which it does whatever happens to the demo; then it removes the folder. chroot(2) needs CAP_SYS_CHROOT.
//! Who does not have it gets it in a user namespace of its own, where the system allows that.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::Result;
use crate::process::{at, command, find};

/// Makes this program a pod.
pub(super) const FLAG: &str = "--pod";
/// What it says once it is one.
const READY: &str = "ready";
const HOSTS: &str = "127.0.0.1 localhost\n";
const NSSWITCH: &str = "hosts: files dns\n";

/// A running pod; dropping it ends the process and waits until it has cleaned up.
pub(super) struct Pod {
    child: Child,
    /// Closing it is the sign to end.
    stdin: Option<ChildStdin>,
}

impl Pod {
    /// Starts one with this resolv.conf, by whichever way works.
    pub(super) fn start(name: &str, resolv_conf: &str) -> Result<Pod> {
        let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let directly = Pod::spawn(&mut command(&own), name, resolv_conf);
        let Err(refused) = directly else { return directly };
        let Some(unshare) = find("unshare") else {
            return Err(format!("{refused}; and there is no unshare(1) to get that right in a user namespace"));
        };
        let mut inside = command(unshare);
        inside.args(["--user", "--map-root-user", "--"]).arg(&own);
        Pod::spawn(&mut inside, name, resolv_conf).map_err(|error| format!("{refused}; in a user namespace: {error}"))
    }

    fn spawn(command: &mut Command, name: &str, resolv_conf: &str) -> Result<Pod> {
        let folder = format!("netkit-demo-{}-{name}", std::process::id());
        command
            .args(["demo", FLAG, &folder])
            .current_dir(std::env::temp_dir())
            // Ctrl-C is for the demo; this process ends, and cleans up, when the demo has gone.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start a child: {error}"))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(mut stderr)) = (stdin, stdout, stderr) else {
            return Err("no pipes".to_owned());
        };
        // If it is gone already, its stderr says why.
        let _ = stdin.write_all(resolv_conf.as_bytes()).and_then(|()| stdin.write_all(&[0]));
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let mut pod = Pod { child, stdin: Some(stdin) };
        if line.trim() == READY {
            return Ok(pod);
        }
        pod.stdin = None;
        let mut said = String::new();
        let _ = stderr.read_to_string(&mut said);
        let reason = said.lines().last().unwrap_or("it ended without a word");
        Err(reason.trim_start_matches("xtask demo: ").to_owned())
    }

    /// Its number, for `--from-pid`.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.wait();
    }
}

/// The other side: lives in `folder`, below the working directory, until stdin ends.
pub(super) fn live(folder: &str) -> Result<()> {
    let folder = Path::new(folder);
    fs::DirBuilder::new().mode(0o700).create(folder).map_err(at("create", folder))?;
    let lived = live_in(folder);
    // chroot(2) leaves the working directory where it was, so the folder still has its name here.
    fs::remove_dir_all(folder).map_err(at("remove", folder))?;
    lived
}

fn live_in(folder: &Path) -> Result<()> {
    let mut stdin = BufReader::new(std::io::stdin());
    let mut resolv_conf = Vec::new();
    stdin.read_until(0, &mut resolv_conf).map_err(|error| format!("cannot read stdin: {error}"))?;
    resolv_conf.pop();
    let etc = folder.join("etc");
    fs::create_dir(&etc).map_err(at("create", &etc))?;
    for (name, text) in
        [("resolv.conf", resolv_conf.as_slice()), ("hosts", HOSTS.as_bytes()), ("nsswitch.conf", NSSWITCH.as_bytes())]
    {
        let path = etc.join(name);
        fs::write(&path, text).map_err(at("write", &path))?;
    }
    std::os::unix::fs::chroot(folder).map_err(|error| format!("chroot: {error}"))?;
    println!("{READY}");
    let mut rest = Vec::new();
    let _ = stdin.read_to_end(&mut rest);
    Ok(())
}
