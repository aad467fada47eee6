//! What each applet wants of the kernel's privileges: one line for each function that needs any.

use crate::privilege::Capability::{self, NetAdmin, NetBindService, NetRaw, SysAdmin, SysChroot, SysPtrace};

/// What does instead of the capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    Nothing,
    /// A group within net.ipv4.ping_group_range (icmp(7)).
    PingGroup,
    /// net.ipv4.ip_unprivileged_port_start at 0 or so (ip(7)).
    LowPorts,
}

/// A function of an applet and the capabilities that it takes, all of them.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) applet: &'static str,
    pub(super) function: &'static str,
    pub(super) wants: &'static [Capability],
    pub(super) instead: Instead,
    /// Whether it is what the applet is for; without it only `rest` is left.
    pub(super) whole: bool,
    /// What works without it, empty for nothing.
    pub(super) rest: &'static str,
}

const fn part(applet: &'static str, function: &'static str, wants: &'static [Capability]) -> Need {
    Need { applet, function, wants, instead: Instead::Nothing, whole: false, rest: "" }
}

const fn whole(applet: &'static str, function: &'static str, wants: &'static [Capability], rest: &'static str) -> Need {
    Need { applet, function, wants, instead: Instead::Nothing, whole: true, rest }
}

/// Opening another process's namespace and moving into it (setns(2)).
const ENTER: &[Capability] = &[SysAdmin, SysPtrace];

/// By the applet's name. What every applet has stands under `*`.
pub(super) const NEEDS: &[Need] = &[
    part("dig", "--from-pid of another user's process", &[SysPtrace]),
    part("host", "--from-pid of another user's process", &[SysPtrace]),
    part("nslookup", "--from-pid of another user's process", &[SysPtrace]),
    part("curl", "--from-pid of another user's process", &[SysPtrace]),
    part("nc", "--from-pid of another user's process", &[SysPtrace]),
    part("nc", "-D", &[NetAdmin]),
    Need { instead: Instead::LowPorts, ..part("nc", "listening below port 1024", &[NetBindService]) },
    Need { instead: Instead::LowPorts, ..part("ncat", "listening below port 1024", &[NetBindService]) },
    Need { instead: Instead::PingGroup, ..whole("ping", "ICMP echoes", &[NetRaw], "--tcp PORT") },
    part("ping", "-m", &[NetAdmin]),
    Need { instead: Instead::PingGroup, ..part("traceroute", "-I", &[NetRaw]) },
    part("ss", "-p for other users' processes", &[SysPtrace]),
    part("ss", "-K, filters by fwmark", &[NetAdmin]),
    part("netstat", "-p for other users' processes", &[SysPtrace]),
    part("ip", "xfrm", &[NetAdmin]),
    part("ip", "netns identify and pids for other users' processes", &[SysPtrace]),
    part("ip", "-n, netns exec", ENTER),
    whole("tcpdump-lite", "live capture", &[NetRaw], "-r, -D, -L, -d"),
    part("tcpdump-lite", "--pid", ENTER),
    whole("iptables-list", "reading rules", &[NetAdmin], ""),
    whole("nft", "reading rules", &[NetAdmin], ""),
    whole("ipset", "reading sets", &[NetAdmin], ""),
    whole("chroot", "changing the root", &[SysChroot], ""),
    whole("nsenter", "entering namespaces", ENTER, ""),
    part("*", "--netns PID", ENTER),
];
