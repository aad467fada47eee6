//! One wording for everything that needs a capability we do not hold.

use std::fs;

/// The capabilities applets ask for (capabilities(7)), by bit number in linux/capability.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// CAP_NET_BIND_SERVICE, bit 10.
    NetBindService,
    /// CAP_NET_ADMIN, bit 12.
    NetAdmin,
    /// CAP_NET_RAW, bit 13.
    NetRaw,
    /// CAP_SYS_PTRACE, bit 19.
    SysPtrace,
    /// CAP_SYS_ADMIN, bit 21.
    SysAdmin,
}

impl Capability {
    /// The name as capabilities(7) spells it.
    pub fn name(self) -> &'static str {
        match self {
            Capability::NetBindService => "CAP_NET_BIND_SERVICE",
            Capability::NetAdmin => "CAP_NET_ADMIN",
            Capability::NetRaw => "CAP_NET_RAW",
            Capability::SysPtrace => "CAP_SYS_PTRACE",
            Capability::SysAdmin => "CAP_SYS_ADMIN",
        }
    }

    fn bit(self) -> u32 {
        match self {
            Capability::NetBindService => 10,
            Capability::NetAdmin => 12,
            Capability::NetRaw => 13,
            Capability::SysPtrace => 19,
            Capability::SysAdmin => 21,
        }
    }

    /// The least `kubectl debug` profile that grants it.
    pub fn profile(self) -> &'static str {
        match self {
            Capability::SysPtrace | Capability::NetBindService => "general",
            Capability::NetAdmin | Capability::NetRaw => "netadmin",
            Capability::SysAdmin => "sysadmin",
        }
    }
}

/// One line: what is missing, what still works, which profile grants it.
pub fn missing(capability: Capability, wanted_for: &str, still_works: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    sentence(capability, wanted_for, still_works, &status)
}

fn sentence(capability: Capability, wanted_for: &str, still_works: &str, status: &str) -> String {
    let name = capability.name();
    let profile = capability.profile();
    let state = match (has(status, "CapBnd:", capability), has(status, "CapEff:", capability)) {
        (Some(false), _) => format!("{name} is outside this container's bounding set"),
        (Some(true), Some(false)) => format!("{name} is in the bounding set but not effective for this user"),
        (Some(true), Some(true)) => format!("{name} is held, yet the kernel or a seccomp profile refused"),
        _ => format!("{name} is missing"),
    };
    let still = if still_works.is_empty() { String::new() } else { format!("; still works: {still_works}") };
    format!("{wanted_for} needs {name}: {state}{still}; granted by: kubectl debug --profile={profile}")
}

fn has(status: &str, field: &str, capability: Capability) -> Option<bool> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let set = u64::from_str_radix(line.trim(), 16).ok()?;
    Some(set >> capability.bit() & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wording() {
        let status = "CapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb\n";
        let line = sentence(Capability::NetRaw, "capturing", "reading files", status);
        assert!(line.contains("in the bounding set but not effective"), "{line}");
        assert!(line.contains("--profile=netadmin"), "{line}");
        let line = sentence(Capability::SysAdmin, "entering a namespace", "", status);
        assert!(line.contains("outside this container's bounding set"), "{line}");
        assert!(sentence(Capability::SysAdmin, "x", "", "").contains("is missing"));
    }
}
