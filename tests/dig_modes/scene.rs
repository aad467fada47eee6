//! A network and mount namespace with its own /etc and name servers that functions play, run by this process.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use serde_json::Value;

use crate::lab::server::{Script, Server};
use crate::lab::{self, Stop, TempDir, tool};

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How often a waiting thread looks whether it should end.
const TICK: Duration = Duration::from_millis(50);

/// A process that lives until its standard input ends, so at the latest with this process; dropping it ends it.
#[derive(Debug)]
pub struct Holder(Child);

impl Holder {
    /// Starts a command that prints a line when it is ready and then reads its standard input to the end.
    pub fn start(command: &mut Command) -> Result<Holder, Stop> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take();
        let holder = Holder(child);
        let mut line = String::new();
        BufReader::new(out.ok_or("no stdout pipe")?).read_line(&mut line)?;
        if line == "ready\n" { Ok(holder) } else { Err(Stop::Fail(format!("{command:?} is not ready: {line:?}"))) }
    }

    /// Its process id: a handle to its namespaces.
    pub fn pid(&self) -> String {
        self.0.id().to_string()
    }

    /// A command inside its network and mount namespaces, with an empty environment but PATH.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid(), "--net", "--mount", "--"]).arg(program.as_ref());
        bare(&mut command);
        command
    }

    /// A server inside its network namespace.
    pub fn serve(&self, address: SocketAddr, script: Arc<Script>) -> Result<Server, Stop> {
        self.inside(move || Server::start(address, script))
    }

    /// A server that has no TCP and is told who asks.
    pub fn serve_udp(&self, address: SocketAddr, script: impl Datagrams) -> Result<UdpOnly, Stop> {
        self.inside(move || UdpOnly::start(address, script))
    }

    /// Runs something in a thread that has moved there; threads that it starts stay there too.
    fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T, Stop> + Send) -> Result<T, Stop> {
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", self.pid()))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|errno| format!("setns: {errno}"))?;
                work()
            });
            thread.join().map_err(|_| "the thread in the namespace died")?
        })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Only PATH, as in a container.
pub fn bare(command: &mut Command) {
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

/// Namespaces with loopback only, and servers in them. The servers go first.
#[derive(Debug)]
pub struct Scene {
    servers: Vec<Server>,
    datagrams: Vec<UdpOnly>,
    pub holder: Holder,
    dir: TempDir,
}

impl Scene {
    /// `/etc` holds this resolv.conf and hosts and nothing else of interest.
    pub fn new(resolv: &str, hosts: &str) -> Result<Scene, Stop> {
        lab::namespaces()?;
        tool("ip", "iproute2")?;
        tool("nsenter", "util-linux")?;
        let dir = TempDir::new("scene")?;
        let etc = dir.0.join("etc");
        std::fs::create_dir_all(&etc)?;
        for (file, text) in [("resolv.conf", resolv), ("hosts", hosts), ("nsswitch.conf", "hosts: files dns\n")] {
            std::fs::write(etc.join(file), text)?;
        }
        // It removes the files as well, because this process may be killed.
        let script =
            "ip link set lo up && mount --bind \"$0\" /etc && echo ready && cat >/dev/null; rm -rf \"${0%/etc}\"";
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--propagation", "private", "sh", "-c", script]).arg(&etc);
        let holder = Holder::start(&mut command)?;
        Ok(Scene { servers: Vec::new(), datagrams: Vec::new(), holder, dir })
    }

    /// Moves resolv.conf to `target`, a path inside, and leaves an absolute symbolic link in its place.
    pub fn link_resolv_conf(&self, target: &str) -> Result<(), Stop> {
        let etc = self.dir.0.join("etc");
        let name = target.strip_prefix("/etc/").ok_or("the target must lie in /etc")?;
        std::fs::rename(etc.join("resolv.conf"), etc.join(name))?;
        Ok(std::os::unix::fs::symlink(target, etc.join("resolv.conf"))?)
    }

    /// A server on port 53 of `address`, over UDP and TCP.
    pub fn serve(&mut self, address: &str, script: Arc<Script>) -> Result<(), Stop> {
        let server = self.holder.serve(port53(address)?, script)?;
        self.servers.push(server);
        Ok(())
    }

    /// The same over UDP only.
    pub fn serve_udp(&mut self, address: &str, script: impl Datagrams) -> Result<(), Stop> {
        let server = self.holder.serve_udp(port53(address)?, script)?;
        self.datagrams.push(server);
        Ok(())
    }

    /// `netkit dig ARGUMENTS` inside.
    pub fn dig(&self, arguments: &[&str]) -> Result<Ran, Stop> {
        let mut command = self.holder.command(lab::netkit());
        Ran::of(command.arg("dig").args(arguments))
    }
}

fn port53(address: &str) -> Result<SocketAddr, Stop> {
    let address: IpAddr = address.parse().map_err(|error| format!("{address}: {error}"))?;
    Ok(SocketAddr::new(address, 53))
}

/// The reply to a query from a client, if there is one.
pub trait Datagrams: FnMut(&[u8], SocketAddr) -> Option<Vec<u8>> + Send + 'static {}
impl<F: FnMut(&[u8], SocketAddr) -> Option<Vec<u8>> + Send + 'static> Datagrams for F {}

/// A server without TCP.
#[derive(Debug)]
pub struct UdpOnly {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpOnly {
    fn start(address: SocketAddr, mut script: impl Datagrams) -> Result<UdpOnly, Stop> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(TICK))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 65_535];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
                if let Some(reply) = script(buffer.get(..length).unwrap_or_default(), client) {
                    let _ = socket.send_to(&reply, client);
                }
            }
        });
        Ok(UdpOnly { stop, thread: Some(thread) })
    }
}

impl Drop for UdpOnly {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What one command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub line: String,
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(command: &mut Command) -> Result<Ran, Stop> {
        let out = lab::run(command, LIMIT)?;
        Ok(Ran {
            line: format!("{command:?}"),
            status: out.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&out.stdout).into_owned(),
            err: String::from_utf8_lossy(&out.stderr).into_owned(),
        })
    }

    /// Fails with all that is known.
    pub fn fail<T>(&self, why: &str) -> Result<T, Stop> {
        let Ran { line, status, out, err } = self;
        Err(Stop::Fail(format!("{why}\n{line}\nexit {status}\n--- stdout\n{out}--- stderr\n{err}")))
    }

    pub fn claim(&self, holds: bool, what: &str) -> Result<&Ran, Stop> {
        if holds { Ok(self) } else { self.fail(&format!("does not hold: {what}")) }
    }

    pub fn exits(&self, status: i32) -> Result<&Ran, Stop> {
        self.claim(self.status == status, &format!("exit status {status}"))
    }

    /// Standard output contains `part`.
    pub fn says(&self, part: &str) -> Result<&Ran, Stop> {
        self.claim(self.out.contains(part), &format!("stdout has `{part}`"))
    }

    /// Standard error contains `part`.
    pub fn complains(&self, part: &str) -> Result<&Ran, Stop> {
        self.claim(self.err.contains(part), &format!("stderr has `{part}`"))
    }

    /// The one JSON object that standard output is.
    pub fn json(&self) -> Result<Value, Stop> {
        let [value] = self.jsons()?.try_into().or_else(|_| self.fail("stdout is not one JSON object"))?;
        Ok(value)
    }

    /// The JSON objects of standard output, one a line.
    pub fn jsons(&self) -> Result<Vec<Value>, Stop> {
        let mut values = Vec::new();
        for line in self.out.lines() {
            match serde_json::from_str::<Value>(line) {
                Ok(value) if value.is_object() => values.push(value),
                other => return self.fail(&format!("a line is no JSON object ({other:?}): {line}")),
            }
        }
        Ok(values)
    }

    /// Standard output, times masked, is the golden file `name`.
    pub fn golden(&self, name: &str) -> Result<&Ran, Stop> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dig_modes").join(name);
        let expected = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        lab::same(&format!("{name} against what was printed"), &expected, &masked(&self.out))?;
        Ok(self)
    }
}

/// Milliseconds with one decimal become `T`, with one blank before it.
pub fn masked(text: &str) -> String {
    let is_time = |word: &str| {
        let parts: Vec<&str> = word.split('.').collect();
        let digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        parts.len() == 2 && parts.iter().all(digits) && parts.last().is_some_and(|tail| tail.len() == 1)
    };
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        for word in line.split_inclusive(' ') {
            if is_time(word.trim_end()) {
                out.truncate(out.trim_end_matches(' ').len());
                out.push_str(" T");
                out.push_str(word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.'));
            } else {
                out.push_str(word);
            }
        }
    }
    out
}
