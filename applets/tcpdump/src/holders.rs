//! Whose socket an end of a flow is: sock_diag(7) tells its inode, /proc/PID/fd who holds that, the control group and
//! the host name which pod that is. What may not be seen is left out.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use netkit_core::text::printable;
use netkit_nl::diag::{self, InetMessage};
use netkit_nl::{Protocol, Socket};

/// The kernel is not asked more often than this, however many flows begin.
const PAUSE: Duration = Duration::from_millis(20);

/// A socket's own end, the other end (port 0 for one that listens), IP protocol and inode.
type Entry = (SocketAddr, SocketAddr, u8, u32);

/// What was known when the kernel was asked last.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    asked: Option<Instant>,
    sockets: Vec<Entry>,
    /// By inode.
    names: HashMap<u32, String>,
}

impl Holders {
    /// Program, process and pod of the socket at `own`, if it is one of this host.
    pub(crate) fn of(&mut self, own: SocketAddr, other: SocketAddr, protocol: u8) -> Option<String> {
        if !matches!(protocol, 6 | 17) {
            return None;
        }
        let inode = match self.inode(own, other, protocol) {
            Some(inode) => inode,
            None => {
                self.ask()?;
                self.inode(own, other, protocol)?
            }
        };
        if !self.names.contains_key(&inode) {
            self.names = names();
        }
        self.names.get(&inode).cloned()
    }

    /// The socket that fits best: connected, else bound to the address, else to the port.
    fn inode(&self, own: SocketAddr, other: SocketAddr, protocol: u8) -> Option<u32> {
        let fits = |entry: &&Entry| entry.2 == protocol && entry.0.port() == own.port() && entry.3 != 0;
        let rank = |entry: &Entry| match () {
            () if entry.1 == other && entry.0 == own => 3,
            () if entry.1.port() == 0 && entry.0 == own => 2,
            () if entry.1.port() == 0 && entry.0.ip().is_unspecified() => 1,
            () => 0,
        };
        let found = self.sockets.iter().filter(fits).max_by_key(|entry| rank(entry)).filter(|entry| rank(entry) > 0)?;
        // Whoever is bound to the port alone may be on another host: only an address of this one tells.
        let local = |address: IpAddr| address.is_loopback() || self.sockets.iter().any(|entry| entry.0.ip() == address);
        (rank(found) > 1 || local(own.ip())).then_some(found.3)
    }

    /// Asks the kernel for all sockets; nothing when that was done a moment ago.
    fn ask(&mut self) -> Option<()> {
        if self.asked.is_some_and(|then| then.elapsed() < PAUSE) {
            return None;
        }
        let mut socket = Socket::open(Protocol::SockDiag).ok()?;
        self.sockets.clear();
        for (family, protocol) in [(2, 6), (10, 6), (2, 17), (10, 17)] {
            let Ok(dump) = socket.dump(&diag::inet_request(family, u16::from(protocol), 0, u32::MAX)) else { continue };
            for message in dump.messages().filter(diag::is_answer) {
                let Some(found) = InetMessage::read(message.payload) else { continue };
                let end = |address: IpAddr, port| SocketAddr::new(address.to_canonical(), port);
                let (own, other) = (end(found.src, found.src_port), end(found.dst, found.dst_port));
                self.sockets.push((own, other, protocol, found.inode));
            }
        }
        self.asked = Some(Instant::now());
        Some(())
    }
}

/// All processes by the sockets they hold; of several the one with the lowest number.
fn names() -> HashMap<u32, String> {
    let mut found = HashMap::new();
    let Ok(processes) = fs::read_dir("/proc") else { return found };
    let mut pids: Vec<u32> = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    for pid in pids {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        let mut name = None;
        for file in files.flatten() {
            let link = fs::read_link(file.path()).unwrap_or_default();
            let inode = link.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode {
                let name = name.get_or_insert_with(|| describe(pid));
                found.entry(inode).or_insert_with(|| name.clone());
            }
        }
    }
    found
}

/// `NAME PID`, and the pod where the process is in one.
fn describe(pid: u32) -> String {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let mut text = format!("{} {pid}", printable(read("comm").trim()));
    if let Some(uid) = pod_uid(&read("cgroup")) {
        // The kubelet names the host after the pod; where that file cannot be seen, the pod's own number must do.
        let host = read("root/etc/hostname");
        let pod = if host.trim().is_empty() { uid } else { host.trim().to_owned() };
        let _ = write!(text, " pod {}", printable(&pod));
    }
    text
}

/// The number of the pod in the path of a control group, as the kubelet's two drivers write it: `pod` and a UUID, in one
/// of them with underscores.
fn pod_uid(cgroup: &str) -> Option<String> {
    cgroup.split(['/', '\n', ':']).find_map(|part| {
        let part = part.strip_suffix(".slice").unwrap_or(part);
        let uid = part.rsplit("pod").next().filter(|uid| uid.len() < part.len())?.replace('_', "-");
        let fits = uid.len() == 36 && uid.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        fits.then_some(uid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_in_the_paths_of_both_drivers() {
        let uid = "0f2d3a55-8a2c-4f0e-9b7e-1c2d3e4f5a6b";
        let systemd = "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0f2d3a55_8a2c_4f0e_9b7e_1c2d3e4f5a6b.slice/cri-containerd-aa.scope\n";
        let cgroupfs = format!("12:cpu:/kubepods/besteffort/pod{uid}/aabb\n0::/\n");
        assert_eq!(pod_uid(systemd).as_deref(), Some(uid));
        assert_eq!(pod_uid(&cgroupfs).as_deref(), Some(uid));
        assert_eq!(pod_uid("0::/user.slice/podman-1234.scope\n"), None);
        assert_eq!(pod_uid("0::/\n"), None);
    }

    #[test]
    fn the_nearest_socket() {
        let end = |text: &str| text.parse::<SocketAddr>().unwrap();
        let sockets = vec![
            (end("0.0.0.0:80"), end("0.0.0.0:0"), 6, 1),
            (end("10.0.0.1:80"), end("10.0.0.9:4000"), 6, 2),
            (end("0.0.0.0:80"), end("0.0.0.0:0"), 17, 3),
        ];
        let holders = Holders { sockets, ..Holders::default() };
        assert_eq!(holders.inode(end("10.0.0.1:80"), end("10.0.0.9:4000"), 6), Some(2));
        assert_eq!(holders.inode(end("10.0.0.1:80"), end("10.0.0.9:4001"), 6), Some(1));
        assert_eq!(holders.inode(end("10.0.0.5:80"), end("10.0.0.9:4001"), 6), None);
        assert_eq!(holders.inode(end("127.0.0.1:80"), end("127.0.0.1:9"), 17), Some(3));
        assert_eq!(holders.inode(end("10.0.0.1:81"), end("10.0.0.9:4001"), 6), None);
    }
}
