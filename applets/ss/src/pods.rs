//! Pods and containers by the control group of a process: docker, containerd, CRI-O and podman under the systemd and
//! cgroupfs drivers, cgroup v1 and v2; names from the directories the kubelet makes for logs.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::os::linux::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Directories of a cgroup hierarchy that are looked at for an inode.
const MOST_DIRECTORIES: usize = 200_000;

/// What a cgroup path tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Container {
    /// The pod's UID with hyphens, or the 32 digits of a static pod.
    pub(crate) pod_uid: String,
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) name: String,
}

impl fmt::Display for Container {
    /// `NAMESPACE/POD/CONTAINER` as far as known; else the beginnings of the ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |id: &str| id.get(..12).unwrap_or(id).to_owned();
        if self.pod.is_empty() && self.pod_uid.is_empty() {
            return f.write_str(&short(&self.id));
        }
        if self.pod.is_empty() {
            write!(f, "pod:{}", short(&self.pod_uid))?;
        } else {
            write!(f, "{}/{}", self.namespace, self.pod)?;
        }
        match (self.name.is_empty(), self.id.is_empty()) {
            (false, _) => write!(f, "/{}", self.name),
            (true, false) => write!(f, "/{}", short(&self.id)),
            (true, true) => Ok(()),
        }
    }
}

impl Container {
    /// Whether `text` names its pod: `POD`, `NAMESPACE/POD`, or the beginning of the UID.
    pub(crate) fn is_pod(&self, text: &str) -> bool {
        !text.is_empty()
            && (self.pod == text
                || (!self.pod.is_empty() && format!("{}/{}", self.namespace, self.pod) == text)
                || (text.len() >= 8 && self.pod_uid.starts_with(text)))
    }

    /// Whether `text` is its name or the beginning of its id.
    pub(crate) fn is_container(&self, text: &str) -> bool {
        !text.is_empty() && (self.name == text || (text.len() >= 8 && self.id.starts_with(text)))
    }
}

/// Reads one cgroup path.
pub(crate) fn of_path(path: &str) -> Option<Container> {
    let mut container = Container::default();
    for part in path.split(['/', ':']) {
        let bare = part.strip_suffix(".slice").or_else(|| part.strip_suffix(".scope")).unwrap_or(part);
        // `kubepods-burstable-podUID`, `podUID`; CRI-O puts its monitor beside the container as `crio-conmon-ID`.
        if let Some(uid) = bare.rfind("pod").and_then(|at| bare.get(at + 3..)).and_then(pod_uid) {
            container.pod_uid = uid;
            container.id.clear();
            continue;
        }
        let id = bare.rsplit(['-', ':']).next().unwrap_or(bare);
        if id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            container.id = id.to_owned();
        }
    }
    (!container.id.is_empty() || !container.pod_uid.is_empty()).then_some(container)
}

/// A UID as either driver writes it: systemd turns the hyphens to underscores.
fn pod_uid(text: &str) -> Option<String> {
    let uid = text.replace('_', "-");
    let hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<&str> = uid.split('-').collect();
    let fits = match parts.as_slice() {
        [a, b, c, d, e] => hex(a, 8) && hex(b, 4) && hex(c, 4) && hex(d, 4) && hex(e, 12),
        [all] => hex(all, 32),
        _ => false,
    };
    fits.then_some(uid)
}

/// The container in the text of /proc/PID/cgroup: `ID:CONTROLLERS:PATH` a line, one for v2, several for v1.
fn of_cgroup_file(text: &str) -> Option<Container> {
    text.lines().take(64).filter_map(|line| line.splitn(3, ':').nth(2)).find_map(of_path)
}

/// Looks containers up, each process once.
#[derive(Debug)]
pub(crate) struct Pods {
    proc: PathBuf,
    by_pid: HashMap<u32, Option<Container>>,
    by_cgroup: HashMap<u64, Option<Container>>,
    /// By pod UID: namespace and name.
    pods: HashMap<String, (String, String)>,
    /// By container id: its name.
    containers: HashMap<String, String>,
}

impl Pods {
    /// Reads the kubelet's directories under `/` and, in a node's debug pod, under `/host`.
    pub(crate) fn load(proc: &Path) -> Pods {
        let mut pods = Pods {
            proc: proc.to_owned(),
            by_pid: HashMap::new(),
            by_cgroup: HashMap::new(),
            pods: HashMap::new(),
            containers: HashMap::new(),
        };
        for root in ["/", "/host"] {
            pods.read_names(Path::new(root));
        }
        pods
    }

    fn read_names(&mut self, root: &Path) {
        // NAMESPACE_POD_UID
        for name in entries(&root.join("var/log/pods")) {
            let mut parts = name.rsplitn(2, '_');
            if let (Some(uid), Some((namespace, pod))) =
                (parts.next(), parts.next().and_then(|rest| rest.split_once('_')))
            {
                self.pods.insert(uid.to_owned(), (namespace.to_owned(), pod.to_owned()));
            }
        }
        // POD_NAMESPACE_CONTAINER-ID.log
        for name in entries(&root.join("var/log/containers")) {
            let Some((front, id)) = name.strip_suffix(".log").and_then(|name| name.rsplit_once('-')) else { continue };
            if let Some(container) = front.rsplit('_').next() {
                self.containers.insert(id.to_owned(), container.to_owned());
            }
        }
    }

    fn name(&self, mut container: Container) -> Container {
        if let Some((namespace, pod)) = self.pods.get(&container.pod_uid) {
            (container.namespace, container.pod) = (namespace.clone(), pod.clone());
        }
        if let Some(name) = self.containers.get(&container.id) {
            container.name.clone_from(name);
        }
        container
    }

    /// The container of a process.
    pub(crate) fn of_pid(&mut self, pid: u32) -> Option<&Container> {
        if !self.by_pid.contains_key(&pid) {
            let text = fs::read_to_string(self.proc.join(format!("{pid}/cgroup"))).unwrap_or_default();
            let found = of_cgroup_file(&text).map(|container| self.name(container));
            self.by_pid.insert(pid, found);
        }
        self.by_pid.get(&pid)?.as_ref()
    }

    /// The container of a cgroup v2 directory: where no process is known, the socket still knows its cgroup.
    pub(crate) fn of_cgroup(&mut self, id: u64, cgroups: &mut Cgroups) -> Option<&Container> {
        if !self.by_cgroup.contains_key(&id) {
            let found = cgroups.path(id).and_then(of_path).map(|container| self.name(container));
            self.by_cgroup.insert(id, found);
        }
        self.by_cgroup.get(&id)?.as_ref()
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = String> {
    let list = fs::read_dir(directory).into_iter().flatten().flatten().take(100_000);
    list.filter_map(|entry| entry.file_name().into_string().ok())
}

/// Paths of cgroup v2 directories by inode, which is the kernel's id of the cgroup.
#[derive(Debug, Default)]
pub(crate) struct Cgroups {
    paths: Option<HashMap<u64, String>>,
}

impl Cgroups {
    /// The path from the root of the hierarchy, or nothing when no mount shows it.
    pub(crate) fn path(&mut self, id: u64) -> Option<&str> {
        let paths =
            self.paths.get_or_insert_with(|| mount_points().iter().map(|root| walk(root)).next().unwrap_or_default());
        paths.get(&id).map(String::as_str)
    }

    /// The inode of a directory, named from the root of the hierarchy or from that of the file system.
    pub(crate) fn id(path: &str) -> Option<u64> {
        let below = mount_points().into_iter().map(|root| root.join(path.trim_start_matches('/')));
        let mut candidates = std::iter::once(PathBuf::from(path)).filter(|whole| whole.is_absolute()).chain(below);
        candidates.find_map(|candidate| {
            let inside = mount_points().iter().any(|root| candidate.starts_with(root));
            let metadata = fs::metadata(&candidate).ok().filter(|metadata| inside && metadata.is_dir())?;
            Some(metadata.st_ino())
        })
    }
}

/// Where cgroup v2 is mounted (proc(5), mountinfo).
fn mount_points() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let point = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let is_cgroup2 = after.split(' ').next() == Some("cgroup2");
        before.split(' ').nth(4).filter(|_| is_cgroup2).map(PathBuf::from)
    };
    text.lines().filter_map(point).collect()
}

fn walk(root: &Path) -> HashMap<u64, String> {
    let mut paths = HashMap::new();
    let mut waiting = vec![(root.to_owned(), "/".to_owned())];
    while let Some((directory, shown)) = waiting.pop() {
        let Ok(metadata) = fs::metadata(&directory) else { continue };
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = netkit_core::text::printable(&entry.file_name().to_string_lossy());
                waiting.push((entry.path(), format!("{}/{name}", shown.trim_end_matches('/'))));
            }
        }
        paths.insert(metadata.st_ino(), shown);
        if paths.len() >= MOST_DIRECTORIES {
            break;
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "6a5b4c3d-1e2f-4a5b-8c7d-0123456789ab";

    #[test]
    fn drivers_and_runtimes() {
        let under = UID.replace('-', "_");
        for (path, pod) in [
            (format!("/kubepods/besteffort/pod{UID}/{ID}"), true),
            (format!("/kubepods/pod{UID}/{ID}"), true),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{under}.slice/cri-containerd-{ID}.scope"
                ),
                true,
            ),
            (format!("/kubepods.slice/kubepods-pod{under}.slice/crio-{ID}.scope/container"), true),
            (format!("/kubepods.slice/kubepods-pod{under}.slice/docker-{ID}.scope"), true),
            (
                format!(
                    "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{under}.slice/cri-containerd-{ID}.scope"
                ),
                true,
            ),
            (format!("/../../kubepods/pod{UID}/{ID}"), true),
            (format!("/system.slice/containerd.service/kubepods-burstable-pod{under}.slice:cri-containerd:{ID}"), true),
            (format!("/docker/{ID}"), false),
            (format!("/system.slice/docker-{ID}.scope"), false),
            (format!("/machine.slice/libpod-{ID}.scope/container"), false),
        ] {
            let container = of_path(&path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(container.id, ID, "{path}");
            assert_eq!(container.pod_uid == UID, pod, "{path}");
        }
        for path in ["/", "/user.slice/user-0.slice", "/system.slice/podman.service", "/kubepods.slice", ""] {
            assert_eq!(of_path(path), None, "{path}");
        }
    }

    #[test]
    fn both_versions_of_the_file() {
        let v1 = format!("12:pids:/kubepods/pod{UID}/{ID}\n1:name=systemd:/kubepods/pod{UID}/{ID}\n0::/\n");
        assert_eq!(of_cgroup_file(&v1).unwrap().id, ID);
        assert_eq!(of_cgroup_file(&format!("0::/docker/{ID}\n")).unwrap().pod_uid, "");
        assert_eq!(of_cgroup_file("0::/\n"), None);
    }

    #[test]
    fn names_from_the_log_directories() {
        let root = std::env::temp_dir().join(format!("netkit-pods-{}", std::process::id()));
        fs::create_dir_all(root.join(format!("var/log/pods/shop_web-7d_{UID}"))).unwrap();
        fs::create_dir_all(root.join("var/log/containers")).unwrap();
        fs::write(root.join(format!("var/log/containers/web-7d_shop_app-{ID}.log")), "").unwrap();
        let mut pods = Pods::load(Path::new("/nonexistent"));
        pods.read_names(&root);
        fs::remove_dir_all(&root).unwrap();
        let named = pods.name(of_path(&format!("/kubepods/pod{UID}/{ID}")).unwrap());
        assert_eq!(named.to_string(), "shop/web-7d/app");
        assert!(
            named.is_pod("web-7d") && named.is_pod("shop/web-7d") && named.is_pod(&UID[..8]) && !named.is_pod("web")
        );
        assert!(named.is_container("app") && named.is_container(&ID[..12]) && !named.is_container(""));
        let unnamed = of_path(&format!("/docker/{ID}")).unwrap();
        assert_eq!(unnamed.to_string(), &ID[..12]);
        assert_eq!(of_path(&format!("/kubepods/pod{UID}/{ID}")).unwrap().to_string(), "pod:6a5b4c3d-1e2/0123456789ab");
    }
}
