//! Certificates and TLS servers for the trials.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{Stop, TempDir, run, tool};

const LIMIT: Duration = Duration::from_secs(300);

/// Runs openssl with the words of `line` in `dir`.
pub fn openssl(dir: &Path, line: &str) -> Result<(), Stop> {
    let openssl = tool("openssl", "openssl")?;
    let output = run(Command::new(openssl).args(line.split(' ')).current_dir(dir), LIMIT)?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}

/// A directory with `ca.pem` (with `ca.key`) and `s.pem` (with `s.key`), which is for localhost and 127.0.0.1.
pub fn certificates(label: &str) -> Result<TempDir, Stop> {
    let dir = TempDir::new(label)?;
    let d = &dir.0;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(d, &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /O=Lab/CN=LabCA -days 30"))?;
    openssl(d, &format!("req {key} -keyout s.key -out s.csr -subj /O=Acme/CN=localhost"))?;
    fs::write(d.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1")?;
    openssl(d, "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out s.pem -days 30 -extfile names")?;
    Ok(dir)
}

/// A port of 127.0.0.1 on which nobody listens but whoever is told of it here, as long as this process runs.
///
/// A port that was free a moment ago may be another trial's by the time a server listens on it, and may not stay one where
/// nobody listens. So it lies outside of the range from which the kernel picks ports (ip(7), `ip_local_port_range`), and a
/// socket that does not listen holds it: a server that sets SO_REUSEADDR, as servers do, may listen there all the same, and
/// another run of these trials finds it taken.
pub fn free_port() -> Result<u16, Stop> {
    static HELD: Mutex<Vec<Socket>> = Mutex::new(Vec::new());
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
    let first: u32 = range.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(32_768);
    // Five digits each, so that what is printed is equally wide.
    let count = first.saturating_sub(10_000).clamp(1_000, 22_000);
    for _ in 0..count {
        // Two runs begin at different places.
        let number = std::process::id().wrapping_mul(611).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        let port = u16::try_from(10_000 + number).map_err(|error| error.to_string())?;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        if socket.bind(&address.into()).is_ok() {
            // Only now: with it, it would have got what another holds in the same way.
            socket.set_reuse_address(true)?;
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
            return Ok(port);
        }
    }
    Err("no port is free".into())
}

/// A process that ends with the value.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a server and waits until something listens on `port`, without connecting to it.
    pub fn listening(command: &mut Command, port: u16) -> Result<Running, Stop> {
        let mut running = Running(command.spawn()?);
        let until = Instant::now() + LIMIT;
        while !is_listening(port) {
            if Instant::now() > until || running.0.try_wait()?.is_some() {
                return Err(format!("{command:?} does not listen on {port}").into());
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        Ok(running)
    }

    /// Starts `openssl s_server` on a port of its own choice, which it says itself: a port that was free a moment ago may
    /// have gone to another trial. What it prints afterwards is thrown away.
    pub fn accepting(command: &mut Command) -> Result<(Running, u16), Stop> {
        use std::io::BufRead as _;
        command.args(["-accept", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut running = Running(command.spawn()?);
        let out = running.0.stdout.take().ok_or("no stdout pipe")?;
        let mut lines = std::io::BufReader::new(out);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            let port = line.trim().strip_prefix("ACCEPT ").and_then(|at| at.rsplit_once(':')?.1.parse().ok());
            if let Some(port) = port {
                std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
                return Ok((running, port));
            }
            line.clear();
        }
        Err(format!("{command:?} does not listen").into())
    }

    /// Waits for the end; past the limit it is killed and that is an error.
    pub fn finish(mut self) -> Result<std::process::ExitStatus, Stop> {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > until {
                return Err("a server did not end".into());
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

/// State 0A of /proc/net/tcp.
fn is_listening(port: u16) -> bool {
    let wanted = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|path| fs::read_to_string(path).ok()).any(|text| {
        text.lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            let local = words.next().unwrap_or("");
            local.ends_with(&wanted) && words.nth(1) == Some("0A")
        })
    })
}

/// A pipe whose writing end the caller keeps: input that does not end.
pub fn open_input() -> Result<(Stdio, std::io::PipeWriter), Stop> {
    let (reader, writer) = std::io::pipe()?;
    Ok((reader.into(), writer))
}
