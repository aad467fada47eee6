//! A small Internet in namespaces of its own: real name servers on three levels and a recursive resolver.
//!
//! | address | who |
//! |---|---|
//! | 127.0.0.10, fd00::10 | the root |
//! | 127.0.0.20, fd00::20 | `example.`, `test.`, `arpa.`, `local.` |
//! | 127.0.0.30, fd00::30, ::1 | `zone.example.`, `types.example.` and all other leaf zones |
//! | 127.0.0.31 | a second server of `pair.example.`: older serial, insists on cookies |
//! | 127.0.0.53, fd00::53 | the resolver, with a copy of the root zone above; keeps nothing in its cache |
//! | 127.0.0.66 | replies that no honest server sends, see [`super::rogue`] |
//! | 127.0.0.98 | nobody listens |
//! | 192.0.2.99 | takes packets, never answers |
//! | 198.51.100.1, 198.51.100.200, 203.0.113.1 | prohibited, host unreachable, no route |
//!
//! Zones, configurations and the variants of `/etc/resolv.conf` lie in `tests/lab/hierarchy/`. Inside the lab
//! `/etc/resolv.conf`, `/etc/hosts` and `/etc/nsswitch.conf` are the lab's; outside nothing changes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use super::{Stop, TempDir, namespaces, rogue, run, tool, trial};

/// Root of the files the lab is made from.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/hierarchy");
/// The name servers, as named in `servers/`.
const SERVERS: [&str; 5] = ["root", "tld", "leaf", "second", "resolver"];
/// Zones made from `transfer.zone`.
const TRANSFERS: [&str; 5] = ["axfr.example", "noaxfr.example", "tsig.example", "ixfr.example", "private.example"];
/// How long the servers may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// When set, the test binary only starts a lab, says where it is, and keeps it until its standard input ends or a line
/// is typed.
const HOLD: &str = "NETKIT_LAB_HOLD";

/// The running lab; dropping it ends every process in it and removes its files.
#[derive(Debug)]
pub struct Lab {
    holder: Child,
    rogue: Option<Child>,
    dir: TempDir,
}

impl Lab {
    /// Starts the servers and waits until all of them answer.
    ///
    /// # Errors
    /// A skip without root, iproute2, util-linux or BIND; a failure with the servers' own words when one does not start.
    pub fn hierarchy() -> Result<Lab, Stop> {
        namespaces()?;
        tool("named", "bind9")?;
        tool("nsupdate", "bind9-dnsutils")?;
        tool("ip", "iproute2")?;
        tool("nsenter", "util-linux")?;
        let dir = TempDir::new("lab")?;
        lay_out(&dir.0)?;
        // The holder reads a pipe of which only this process has the other end.
        let holder = Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "sh"])
            .arg(dir.0.join("init.sh"))
            .arg(&dir.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut lab = Lab { holder, rogue: None, dir };
        lab.wait_for_servers()?;
        lab.write_journal()?;
        lab.start_rogue()?;
        Ok(lab)
    }

    /// The lab's directory: `files/` is the working directory of commands, `home/` their HOME.
    pub fn dir(&self) -> &Path {
        &self.dir.0
    }

    /// A command that will run inside the lab with an empty environment but PATH, HOME, TZ and LC_ALL.
    ///
    /// `resolv` names the variant of `/etc/resolv.conf` (`default`, `pod`, `broken`, ...).
    pub fn command(&self, resolv: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.holder.id().to_string(), "--net", "--mount", "--", "/bin/sh"])
            .arg(self.dir.0.join("enter.sh"))
            .arg(&self.dir.0)
            .arg(resolv)
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.dir.0.join("home"))
            .env("TZ", "UTC")
            .env("LC_ALL", "C");
        command
    }

    /// Runs `argv` inside the lab to its end, at most `limit`.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time; its own exit status is in the output.
    pub fn exec(&self, argv: &[&str], limit: Duration) -> Result<Output, Stop> {
        let (program, arguments) = argv.split_first().ok_or("an empty command")?;
        run(self.command("default", program).args(arguments), limit)
    }

    /// A symbolic link `dig` (or whatever `name`) to `target`, so that argv\[0\] of two programs is alike.
    pub fn link(&self, side: &str, name: &str, target: &Path) -> Result<PathBuf, Stop> {
        let dir = self.dir.0.join(side);
        fs::create_dir_all(&dir)?;
        let link = dir.join(name);
        std::os::unix::fs::symlink(fs::canonicalize(target)?, &link)?;
        Ok(link)
    }

    fn wait_for_servers(&mut self) -> Result<(), Stop> {
        let deadline = Instant::now() + PATIENCE;
        for server in SERVERS {
            let log = self.dir.0.join("log").join(server);
            while !fs::read_to_string(&log).is_ok_and(|text| text.lines().any(|line| line.ends_with(": running"))) {
                if let Ok(reason) = fs::read_to_string(self.dir.0.join("failed")) {
                    return Err(Stop::Fail(format!("the lab does not start: {reason}")));
                }
                if Instant::now() > deadline || self.holder.try_wait()?.is_some() {
                    let said = fs::read_to_string(log.with_extension("stdio")).unwrap_or_default();
                    let logged = fs::read_to_string(&log).unwrap_or_default();
                    return Err(Stop::Fail(format!("name server `{server}` does not run:\n{said}{logged}")));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            let text = fs::read_to_string(&log)?;
            if let Some(line) = text.lines().find(|line| line.contains("not loaded due to errors")) {
                return Err(Stop::Fail(format!("name server `{server}`: {line}\n{text}")));
            }
        }
        Ok(())
    }

    /// Two updates, so that IXFR from serial 1 and 2 has something to send.
    fn write_journal(&self) -> Result<(), Stop> {
        let updates = [
            "update add new.ixfr.example. 60 A 192.0.2.7\nupdate delete a.ixfr.example. A\n",
            "update add new.ixfr.example. 60 A 192.0.2.8\nupdate add last.ixfr.example. 60 TXT \"end\"\n",
        ];
        for (number, update) in updates.iter().enumerate() {
            let name = self.dir.0.join(format!("update{number}"));
            let text = format!("local 127.0.0.30\nserver 127.0.0.30\nzone ixfr.example.\n{update}send\n");
            fs::write(&name, text)?;
            let name = name.display().to_string();
            let out = self.exec(&["nsupdate", &name], Duration::from_secs(60))?;
            if !out.status.success() {
                let log = fs::read_to_string(self.dir.0.join("log/leaf")).unwrap_or_default();
                let said = String::from_utf8_lossy(&out.stderr);
                return Err(Stop::Fail(format!("nsupdate: {said}\n{log}")));
            }
        }
        Ok(())
    }

    /// This test binary once more, inside, as the server of impossible replies.
    fn start_rogue(&mut self) -> Result<(), Stop> {
        let mut command = self.command("default", std::env::current_exe()?);
        command.env(rogue::ENVIRONMENT, "127.0.0.66:53").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut ready = [0_u8; 1];
        let told = child.stdout.take().ok_or("no stdout pipe").map(|mut out| std::io::Read::read(&mut out, &mut ready));
        self.rogue = Some(child);
        match told? {
            Ok(1) => Ok(()),
            other => Err(Stop::Fail(format!("the rogue server does not start: {other:?}"))),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut rogue) = self.rogue.take() {
            let _ = rogue.kill();
            let _ = rogue.wait();
        }
        drop(self.holder.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.holder.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // --kill-child takes the first process of the namespace along, and so all of them.
                let _ = self.holder.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Copies the lab's files to `dir`, with `@DIR@` and `@ZONE@` filled in.
fn lay_out(dir: &Path) -> Result<(), Stop> {
    let source = Path::new(SOURCE);
    for sub in ["log", "run", "home"] {
        fs::create_dir_all(dir.join(sub))?;
    }
    for script in ["init.sh", "enter.sh"] {
        fs::copy(source.join(script), dir.join(script))?;
    }
    let here = dir.display().to_string();
    for sub in ["zones", "servers", "etc", "files", "home.digrc"] {
        fs::create_dir_all(dir.join(sub))?;
        for entry in fs::read_dir(source.join(sub))? {
            let path = entry?.path();
            let Some(name) = path.file_name() else { continue };
            // Some batch files hold bytes that are not text.
            let target = dir.join(sub).join(name);
            match String::from_utf8(fs::read(&path)?) {
                Ok(text) => fs::write(target, text.replace("@DIR@", &here))?,
                Err(raw) => fs::write(target, raw.as_bytes())?,
            }
        }
    }
    fs::copy(dir.join("etc/resolv.conf.default"), dir.join("etc/resolv.conf"))?;
    let zones = dir.join("zones");
    let transfer = fs::read_to_string(zones.join("transfer.zone"))?;
    for zone in TRANSFERS {
        fs::write(zones.join(format!("{zone}.zone")), transfer.replace("@ZONE@", zone))?;
    }
    let current = fs::read_to_string(zones.join("pair.example.zone"))?;
    fs::write(zones.join("pair.example.old"), current.replacen("2024010107", "2024010106", 1))?;
    Ok(())
}

/// The exit status when this process was started to hold a lab, see [`HOLD`].
pub fn helper() -> Option<ExitCode> {
    std::env::var_os(HOLD)?;
    let held = Lab::hierarchy().and_then(|lab| {
        let mut out = std::io::stdout();
        writeln!(out, "{}", lab.dir().display())?;
        writeln!(out, "enter: nsenter --target {} --net --mount -- bash", lab.holder.id())?;
        out.flush()?;
        std::io::stdin().read_line(&mut String::new())?;
        Ok(())
    });
    if let Err(why) = &held {
        let _ = writeln!(std::io::stderr(), "{why:?}");
    }
    Some(if held.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The trials of the lab itself.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("lab::nothing_is_left_when_dropped", || left_behind(false)),
        trial("lab::nothing_is_left_when_the_test_is_killed", || left_behind(true)),
    ]
}

/// Starts a process that holds a lab and ends it, by end of input or by SIGKILL: servers and files must go too.
fn left_behind(kill: bool) -> Result<(), Stop> {
    // What would be skipped in there is skipped here, with the reason.
    namespaces()?;
    tool("named", "bind9")?;
    tool("nsupdate", "bind9-dnsutils")?;
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.env(HOLD, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut dir = String::new();
    let mut out = BufReader::new(child.stdout.take().ok_or("no stdout pipe")?);
    out.read_line(&mut dir)?;
    let dir = PathBuf::from(dir.trim());
    let running = processes(&dir);
    if kill {
        child.kill()?;
    } else {
        drop(child.stdin.take());
    }
    child.wait()?;
    drop(out);
    // The holder, five servers and the rogue one; else the search below finds nothing because it cannot.
    if running < 6 || dir.as_os_str().is_empty() {
        return Err(Stop::Fail(format!("only {running} processes belonged to the lab in {}", dir.display())));
    }
    let deadline = Instant::now() + PATIENCE;
    while dir.exists() || processes(&dir) > 0 {
        if Instant::now() > deadline {
            return Err(Stop::Fail(format!("{}: still {} processes", dir.display(), processes(&dir))));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// How many processes name `dir` on their command line.
fn processes(dir: &Path) -> usize {
    let Some(dir) = dir.to_str().filter(|dir| !dir.is_empty()) else { return 0 };
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|cmdline| String::from_utf8_lossy(cmdline).contains(dir))
        .count()
}
