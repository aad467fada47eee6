//! The container this process is in, as /proc shows it.

use std::fs;
use std::path::Path;

use crate::privilege::Standing;
use crate::text;

/// What matters of it; `None` is what /proc does not tell.
pub(super) struct Place {
    /// net.ipv4.ping_group_range, first and last (icmp(7)).
    pub(super) ping_range: Option<(u32, u32)>,
    pub(super) may_ping: Option<bool>,
    /// Whether anybody may listen on ports that usually are root's (ip(7), ip_unprivileged_port_start).
    pub(super) low_ports: bool,
    pub(super) read_only_root: Option<bool>,
    /// Folders for temporary files on a file system that can be written.
    pub(super) writable: Vec<&'static str>,
    /// Whether process 1 belongs to another container or to the node.
    pub(super) shared_processes: Option<bool>,
    /// The name of process 1.
    pub(super) first_process: Option<String>,
    /// What Kubernetes told the container.
    pub(super) pod: Option<String>,
    pub(super) namespace: Option<String>,
}

/// Where a container may write when its root is read-only.
const FOLDERS: [&str; 3] = ["/tmp", "/dev/shm", "/dev/termination-log"];

impl Place {
    pub(super) fn of(standing: &Standing) -> Place {
        let read = |path: &str| fs::read_to_string(path).ok();
        let ping_range = read("/proc/sys/net/ipv4/ping_group_range").and_then(|text| {
            let mut words = text.split_whitespace().map(str::parse);
            Some((words.next()?.ok()?, words.next()?.ok()?))
        });
        let may_ping = ping_range.and_then(|(first, last)| {
            let gid = standing.gid?;
            Some(standing.groups.iter().chain([&gid]).any(|group| (first..=last).contains(group)))
        });
        let mounts = read("/proc/self/mountinfo").unwrap_or_default();
        let read_only_root = read_only(&mounts, "/");
        let writable = FOLDERS
            .into_iter()
            .filter(|path| Path::new(path).exists() && read_only(&mounts, path) == Some(false))
            .collect();
        let first_process = read("/proc/1/comm").map(|name| text::printable(name.trim_end()));
        // kubelet sets the first in every container, and the host name is the pod's except in the node's network.
        let in_cluster = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        let name = |text: String| {
            let text = text.trim().to_owned();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
            (!text.is_empty() && text.bytes().all(plain)).then_some(text)
        };
        Place {
            ping_range,
            may_ping,
            low_ports: read("/proc/sys/net/ipv4/ip_unprivileged_port_start")
                .is_some_and(|text| text.trim().parse::<u32>().is_ok_and(|port| port <= 1)),
            read_only_root,
            writable,
            shared_processes: shared(),
            first_process,
            pod: in_cluster.then(|| std::env::var("HOSTNAME").ok()).flatten().and_then(name),
            namespace: read("/var/run/secrets/kubernetes.io/serviceaccount/namespace").and_then(name),
        }
    }

    pub(super) fn writable_text(&self) -> String {
        if self.read_only_root == Some(true) && !self.writable.is_empty() {
            return format!("; writable: {}", self.writable.join(" "));
        }
        String::new()
    }

    pub(super) fn processes_text(&self) -> String {
        let first = self.first_process.as_deref().unwrap_or("?");
        match self.shared_processes {
            Some(true) => format!("shared: process 1 is `{first}`, of another container or the node"),
            Some(false) => format!("this container's own: process 1 is `{first}`"),
            None => format!("unknown; process 1 is `{first}`"),
        }
    }
}

/// Whether the file system that holds `path` is read-only (proc_pid_mountinfo(5)): the mount's own flags or the file
/// system's. The last mount on a place hides those before.
fn read_only(mounts: &str, path: &str) -> Option<bool> {
    let mut best: Option<(usize, bool)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(place), Some(flags)) = (words.nth(4), words.next()) else { continue };
        let holds =
            place == "/" || path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !holds || best.is_some_and(|(length, _)| length > place.len()) {
            continue;
        }
        let of_system = line.split(" - ").nth(1).and_then(|rest| rest.split(' ').nth(2)).unwrap_or_default();
        let ro = |flags: &str| flags.split(',').any(|flag| flag == "ro");
        best = Some((place.len(), ro(flags) || ro(of_system)));
    }
    best.map(|(_, read_only)| read_only)
}

/// Whether process 1 lives in another container: its files or its control group are not ours.
fn shared() -> Option<bool> {
    if std::process::id() == 1 {
        return Some(false);
    }
    let link = |path: &str| fs::read_link(path).ok();
    if let (Some(own), Some(first)) = (link("/proc/self/ns/mnt"), link("/proc/1/ns/mnt")) {
        return Some(own != first);
    }
    // Another user's process does not show its namespaces; its control group everybody may read.
    let group = |path: &str| fs::read_to_string(path).ok().filter(|text| !text.trim().is_empty());
    match (group("/proc/self/cgroup"), group("/proc/1/cgroup")) {
        (Some(own), Some(first)) => Some(own != first),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_places_can_be_written() {
        let mounts = "1 0 0:1 / / rw,relatime - overlay overlay ro,lowerdir=/a\n\
                      2 1 0:2 / /tmp rw,nosuid shared:1 - tmpfs tmpfs rw,size=1k\n\
                      3 1 0:3 / /tm ro - tmpfs tmpfs rw\n\
                      broken line\n\
                      4 1 0:4 / /dev/shm rw - tmpfs shm rw\n\
                      5 1 0:4 / /dev/shm ro - tmpfs shm rw\n";
        for (path, expected) in
            [("/", true), ("/bin", true), ("/tmp", false), ("/tmp/x", false), ("/tm", true), ("/dev/shm", true)]
        {
            assert_eq!(read_only(mounts, path), Some(expected), "{path}");
        }
        assert_eq!(read_only("", "/"), None);
    }
}
