//! One wording for everything that needs a capability we do not hold.

use std::fs;

/// The capabilities applets ask for (capabilities(7)), by bit number in linux/capability.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// CAP_NET_BIND_SERVICE, bit 10.
    NetBindService = 10,
    /// CAP_NET_ADMIN, bit 12.
    NetAdmin = 12,
    /// CAP_NET_RAW, bit 13.
    NetRaw = 13,
    /// CAP_SYS_CHROOT, bit 18.
    SysChroot = 18,
    /// CAP_SYS_PTRACE, bit 19.
    SysPtrace = 19,
    /// CAP_SYS_ADMIN, bit 21.
    SysAdmin = 21,
}

/// Every capability in the order of the bits (linux/capability.h), without `CAP_`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl Capability {
    /// The name as capabilities(7) spells it.
    pub fn name(self) -> &'static str {
        match self {
            Capability::NetBindService => "CAP_NET_BIND_SERVICE",
            Capability::NetAdmin => "CAP_NET_ADMIN",
            Capability::NetRaw => "CAP_NET_RAW",
            Capability::SysChroot => "CAP_SYS_CHROOT",
            Capability::SysPtrace => "CAP_SYS_PTRACE",
            Capability::SysAdmin => "CAP_SYS_ADMIN",
        }
    }

    /// Its bit in a set.
    pub fn bit(self) -> u64 {
        1 << self as u32
    }

    /// The least `kubectl debug` profile that grants it.
    pub fn profile(self) -> &'static str {
        match self {
            Capability::SysPtrace | Capability::NetBindService | Capability::SysChroot => "general",
            Capability::NetAdmin | Capability::NetRaw => "netadmin",
            Capability::SysAdmin => "sysadmin",
        }
    }
}

/// The names of a set, with `CAP_`; bits without a name by number.
pub(crate) fn names(set: u64) -> Vec<String> {
    (0..64)
        .filter(|bit| set >> bit & 1 == 1)
        .map(|bit| match NAMES.get(bit) {
            Some(name) => format!("CAP_{name}"),
            None => format!("CAP_{bit}"),
        })
        .collect()
}

/// What /proc/self/status says of this process's rights (proc_pid_status(5)); `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
    pub(crate) effective: Option<u64>,
    pub(crate) permitted: Option<u64>,
    pub(crate) bounding: Option<u64>,
    pub(crate) no_new_privs: Option<bool>,
    /// 0 none, 1 strict, 2 filter (seccomp(2)).
    pub(crate) seccomp: Option<u32>,
}

impl Standing {
    pub(crate) fn of_this_process() -> Standing {
        Standing::parse(&fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    pub(crate) fn parse(status: &str) -> Standing {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let set = |name: &str| field(name).and_then(|text| u64::from_str_radix(text, 16).ok());
        let number = |name: &str, at: usize| -> Option<u32> { field(name)?.split_whitespace().nth(at)?.parse().ok() };
        Standing {
            // Real, effective, saved, file system.
            uid: number("Uid:", 1),
            gid: number("Gid:", 1),
            groups: field("Groups:")
                .map_or_else(Vec::new, |text| text.split_whitespace().filter_map(|group| group.parse().ok()).collect()),
            effective: set("CapEff:"),
            permitted: set("CapPrm:"),
            bounding: set("CapBnd:"),
            no_new_privs: number("NoNewPrivs:", 0).map(|flag| flag != 0),
            seccomp: number("Seccomp:", 0),
        }
    }

    /// Where a capability that is wanted is lost, and the words after `granted by: `.
    pub(crate) fn lack(&self, capability: Capability) -> (String, String) {
        let name = capability.name();
        let has = |set: Option<u64>| set.map(|set| set & capability.bit() != 0);
        let profile = capability.profile();
        match (has(self.bounding), has(self.effective)) {
            (Some(false), _) => (
                format!("{name} is outside this container's bounding set"),
                format!("kubectl debug --profile={profile}{}", self.as_root()),
            ),
            (Some(true), Some(false)) => {
                let why = match self.no_new_privs {
                    Some(true) => " (no_new_privs: allowPrivilegeEscalation is false)",
                    _ => " (and this binary's file does not grant it)",
                };
                let user = self.uid.map_or("this user".to_owned(), |uid| format!("uid {uid}"));
                // A profile adds to the bounding set, which has it; what it does not change is the user.
                (
                    format!("{name} is in the bounding set but not effective for {user}{why}"),
                    format!("kubectl debug --profile={profile}, as root: `netkit manifest custom-profile`"),
                )
            }
            (Some(true), Some(true)) => (
                format!("{name} is held, yet the kernel or a seccomp profile refused"),
                "kubectl debug --profile=sysadmin".to_owned(),
            ),
            _ => (format!("{name} is missing"), format!("kubectl debug --profile={profile}")),
        }
    }

    /// No profile changes the user, and who is not root has of added capabilities only what the binary's file grants.
    fn as_root(&self) -> &'static str {
        match (self.uid, self.no_new_privs) {
            (Some(uid), Some(true)) if uid != 0 => " with runAsUser 0 (`netkit manifest custom-profile`)",
            _ => "",
        }
    }
}

/// One line: what is missing, what still works, which profile grants it.
pub fn missing(capability: Capability, wanted_for: &str, still_works: &str) -> String {
    sentence(capability, wanted_for, still_works, &Standing::of_this_process())
}

fn sentence(capability: Capability, wanted_for: &str, still_works: &str, standing: &Standing) -> String {
    let name = capability.name();
    let (state, remedy) = standing.lack(capability);
    let still = if still_works.is_empty() { String::new() } else { format!("; still works: {still_works}") };
    format!("{wanted_for} needs {name}: {state}{still}; granted by: {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(capability: Capability, still: &str, status: &str) -> String {
        sentence(capability, "x", still, &Standing::parse(status))
    }

    #[test]
    fn wording() {
        let status = "CapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb\n";
        let said = line(Capability::NetRaw, "reading files", status);
        assert!(said.contains("in the bounding set but not effective for this user"), "{said}");
        assert!(said.contains("--profile=netadmin"), "{said}");
        let said = line(Capability::SysAdmin, "", status);
        assert!(said.contains("outside this container's bounding set"), "{said}");
        assert!(line(Capability::SysAdmin, "", "").contains("is missing"));
        let held = "CapEff:\t0000000000002000\nCapBnd:\t0000000000002000\n";
        assert!(line(Capability::NetRaw, "", held).contains("seccomp"));
    }

    #[test]
    fn why_a_capability_of_the_bounding_set_is_not_held() {
        let status = "Uid:\t7\t7\t7\t7\nNoNewPrivs:\t1\nCapEff:\t0\nCapBnd:\t2000\n";
        let said = line(Capability::NetRaw, "", status);
        assert!(said.contains("uid 7 (no_new_privs"), "{said}");
        let said = line(Capability::SysPtrace, "", status);
        assert!(said.contains("--profile=general with runAsUser 0"), "{said}");
        let said = line(Capability::NetRaw, "", &status.replace("Privs:\t1", "Privs:\t0"));
        assert!(said.contains("file does not grant it"), "{said}");
    }

    #[test]
    fn fields_of_status() {
        let standing = Standing::parse(
            "Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t0 9 \nCapPrm:\t0000000000003000\nSeccomp:\t2\nNoNewPrivs:\tx\n",
        );
        assert_eq!((standing.uid, standing.gid, standing.groups.as_slice()), (Some(2), Some(6), [0, 9].as_slice()));
        assert_eq!((standing.permitted, standing.seccomp, standing.no_new_privs), (Some(0x3000), Some(2), None));
        assert_eq!(names(standing.permitted.unwrap() | 1 << 60), ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_60"]);
        assert_eq!(Capability::SysPtrace.name(), names(Capability::SysPtrace.bit())[0]);
    }
}
