//! curl through proxies that others wrote: squid and tinyproxy for HTTP, microsocks for SOCKS. Debian's curl and netkit are
//! given the same command lines; what they print, their statuses and what reaches the origin must be equal.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::curl_diff::{masked, words};
use crate::lab::origin::Origin;
use crate::lab::tls::free_port;
use crate::lab::{Stop, TempDir, netkit, run, same, tool, trial};

const LIMIT: Duration = Duration::from_secs(120);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("curl_proxies::squid", || through("squid", squid, HTTP)),
        trial("curl_proxies::tinyproxy", || through("tinyproxy", tinyproxy, HTTP)),
        trial("curl_proxies::microsocks", || through("microsocks", microsocks, SOCKS)),
    ]
}

/// `PROXY` is the proxy's address and port; the rest is as in `curl_diff`.
const HTTP: &[&str] = &[
    "-x PROXY O/a",
    "-x http://PROXY/ O/a?b=c",
    "-i -x PROXY O/status",
    "-I -x PROXY O/a",
    "-d x=y -x PROXY O/a",
    "-T up.txt -x PROXY O/a",
    "-X DELETE -x PROXY O/a",
    "-H 'X: y' -A agent -e ref -b c=d -x PROXY O/a",
    "-u u:p -x PROXY O/a",
    "-L -x PROXY O/redirect",
    "-x PROXY O/a O/b",
    "-r 1-2 -x PROXY O/a",
    "-p -x PROXY O/a",
    "-p -x PROXY O/a O/b",
    "-p -L -x PROXY O/redirect",
    "-p -d x=y -x PROXY O/a",
    "-p -T up.txt -x PROXY O/a",
    "-0 -p -x PROXY O/a",
    "-p -x PROXY -w %{http_connect}|%{http_code}|%{num_connects} O/a",
    "-x PROXY -w %{http_connect}|%{http_code}|%{num_connects} O/a O/b",
    "--proxy1.0 PROXY -p O/a",
    "-p -x PROXY -w %{http_connect}|%{http_code}|%{exitcode} http://127.0.0.1:1/",
    "-x PROXY -o /dev/null -w %{http_code}|%{exitcode} http://127.0.0.1:1/",
    "-f -x PROXY http://127.0.0.1:1/",
    "-x PROXY --noproxy 127.0.0.1 O/a",
    "-x PROXY O/chunked",
    "--compressed -x PROXY O/a",
    "-p -x PROXY --connect-to h.test:80:127.0.0.1:PORT http://h.test/a",
];

const SOCKS: &[&str] = &[
    "--socks5 PROXY O/a",
    "--socks5-hostname PROXY O/a",
    "--socks5-hostname PROXY http://localhost:PORT/a",
    "-x socks5://PROXY O/a O/b",
    "-x socks5h://PROXY -d x=y O/a",
    "-x socks5h://PROXY -L O/redirect",
    "-x socks5h://u:p@PROXY O/a",
    "--preproxy socks5h://PROXY -x D http://h.test/a",
    "--socks5 PROXY -w %{http_code}|%{exitcode}|%{proxy_ssl_verify_result} http://127.0.0.1:1/",
    "--socks5-hostname PROXY http://nosuch.invalid/",
    "--socks4 PROXY O/a",
];

/// Where a proxy runs, until it is dropped.
struct Proxy {
    child: Child,
    address: SocketAddr,
    /// What it leaves in shared memory when it is killed begins with this.
    service: String,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if !self.service.is_empty() && entry.file_name().to_string_lossy().starts_with(&self.service) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl Proxy {
    /// Waits until `command`, which was told to listen on `address`, does.
    fn start(command: &mut Command, address: SocketAddr, service: String) -> Result<Proxy, Stop> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut proxy = Proxy { child, address, service };
        let until = Instant::now() + LIMIT;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > until || proxy.child.try_wait()?.is_some() {
                return Err(format!("{command:?} does not listen").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(proxy)
    }
}

/// An address on which only we listen.
fn free() -> Result<SocketAddr, Stop> {
    Ok(([127, 0, 0, 1], free_port()?).into())
}

fn squid(dir: &Path) -> Result<Proxy, Stop> {
    let squid = tool("squid", "squid")?;
    let address = free()?;
    let service = format!("netkit{}", std::process::id());
    let logs = dir.join("squid");
    fs::create_dir(&logs)?;
    // It becomes Debian's user for proxies, who writes the log.
    let mode = run(Command::new("chmod").args(["-R", "a+rwx"]).arg(dir), LIMIT)?;
    same("chmod", &format!("{:?}", mode.status.code()), "Some(0)")?;
    let conf = dir.join("squid.conf");
    fs::write(
        &conf,
        format!(
            "http_port {address}\npid_filename none\naccess_log none\ncache_log {}/log\ncache deny all\ncache_mem 1 MB\n\
             cache_effective_user proxy\nnetdb_filename none\nlogfile_rotate 0\nshutdown_lifetime 0 seconds\n\
             pinger_enable off\nhttp_access allow all\nvia off\nforwarded_for delete\nvisible_hostname lab\n",
            logs.display()
        ),
    )?;
    Proxy::start(Command::new(squid).args(["-N", "-n", &service, "-f"]).arg(conf), address, service.clone())
}

fn tinyproxy(dir: &Path) -> Result<Proxy, Stop> {
    let tinyproxy = tool("tinyproxy", "tinyproxy")?;
    let address = free()?;
    let conf = dir.join("tinyproxy.conf");
    let log = dir.join("tinyproxy.log");
    fs::write(
        &conf,
        format!(
            "Listen {}\nPort {}\nTimeout 30\nMaxClients 20\nDisableViaHeader Yes\nLogFile \"{}\"\n",
            address.ip(),
            address.port(),
            log.display()
        ),
    )?;
    Proxy::start(Command::new(tinyproxy).args(["-d", "-c"]).arg(conf), address, String::new())
}

fn microsocks(_dir: &Path) -> Result<Proxy, Stop> {
    let microsocks = tool("microsocks", "microsocks")?;
    let address = free()?;
    let port = address.port().to_string();
    Proxy::start(Command::new(microsocks).args(["-i", "127.0.0.1", "-p", &port]), address, String::new())
}

fn answer(head: &str) -> (Vec<u8>, bool) {
    let target = head.split(' ').nth(1).unwrap_or("");
    let sent = |text: &str| if head.starts_with("HEAD") { String::new() } else { text.to_owned() };
    let text = if target.ends_with("/redirect") {
        "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n".to_owned()
    } else if target.ends_with("/chunked") {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned()
    } else {
        format!("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n{}", sent("hello\n"))
    };
    (text.into_bytes(), false)
}

fn through(name: &str, start: fn(&Path) -> Result<Proxy, Stop>, lines: &[&str]) -> Result<(), Stop> {
    let peer = tool("curl", "curl")?;
    let dir = TempDir::new("curl-proxies")?;
    let proxy = start(&dir.0)?;
    fs::write(dir.0.join("up.txt"), "uploaded")?;
    let mut wrong = Vec::new();
    for line in lines {
        let mut both = Vec::new();
        for binary in [&peer, &netkit()] {
            let origin = Origin::start(Arc::new(answer))?;
            let (address, port) = (origin.address.to_string(), origin.address.port().to_string());
            let base = dir.0.to_string_lossy().into_owned();
            let mask = |bytes: &[u8]| {
                let text = masked(&String::from_utf8_lossy(bytes), &address, &port, &base);
                // What a proxy says of itself holds the time, in a head and in a page.
                text.lines()
                    .filter(|line| !line.starts_with("Date:") && !line.contains("Generated "))
                    .fold(String::new(), |text, line| text + line + "\n")
            };
            let mut command = Command::new(binary);
            if binary == &netkit() {
                command.arg("curl");
            }
            command.args(["-q", "-s"]).current_dir(&dir.0).env_clear().env("HOME", &dir.0).env("NETKIT_HINTS", "0");
            let text = line.replace("PROXY", &proxy.address.to_string());
            let output = run(command.args(words(&text, &origin, &dir.0)), LIMIT)?;
            // A proxy keeps its connections to the origin; what the client saw was recorded before it was answered.
            let mut requests: Vec<String> = origin.so_far().iter().map(|request| mask(request)).collect();
            requests.retain(|request| !request.trim().is_empty());
            let status = output.status.code().unwrap_or(-1);
            both.push(format!("status {status}\n{}\n{}", mask(&output.stdout), requests.join("----\n")));
        }
        if let [theirs, ours] = both.as_slice()
            && theirs != ours
        {
            wrong.push(format!("## {line}\n--- curl\n{theirs}\n--- netkit\n{ours}"));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{name}: {} of {}\n{}", wrong.len(), lines.len(), wrong.join("\n")).into())
    }
}
