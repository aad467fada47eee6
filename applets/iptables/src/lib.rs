//! iptables-list: every rule of the packet filter, as iptables prints it, from both backends.
//!
//! - Peer: iptables 1.8.11 (`-L`, `-S`, `iptables-save`): every match and target; where Debian's 1.8.9 differs stands in README.md.
//! - Deliberate differences: nothing is ever changed, and verbs that would are refused by name; a table that the kernel
//!   has not made is shown empty, not made; names are never looked up in DNS; a rule that iptables cannot express is
//!   shown in its place as a comment that says so, and the others go on.
//! - Beyond the peer: `--backend auto|legacy|nft|all`, `--netns`.
//! - Kernel interfaces: getsockopt(IPT_SO_GET_ENTRIES) on a plain UDP socket, nfnetlink's nf_tables dumps,
//!   /proc/net/ip_tables_names. No lock is taken, no module loaded, no table made.
//! - Privilege: CAP_NET_ADMIN for everything but the names of the backends.

mod args;
mod backend;
mod element;
mod ipset;
mod names;
mod run;

use netkit_core::privilege::Capability;
use netkit_core::{Applet, Flag, Group, flag};

const fn entry(name: &'static str, aliases: &'static [&'static str], purpose: &'static str) -> Applet {
    Applet {
        name,
        aliases,
        purpose,
        usage: "[-t TABLE] -L|-S [CHAIN [N]] [-n] [-v] [-x] [--line-numbers]",
        group: Group::Kernel,
        flags: LIST_FLAGS,
        capability: Some(Capability::NetAdmin),
        main: run::list,
    }
}

const fn save(name: &'static str, aliases: &'static [&'static str], purpose: &'static str) -> Applet {
    Applet {
        name,
        aliases,
        purpose,
        usage: "[-t TABLE] [-c]",
        group: Group::Kernel,
        flags: SAVE_FLAGS,
        capability: Some(Capability::NetAdmin),
        main: run::save,
    }
}

/// The list, and the names that fingers know.
pub static APPLETS: &[Applet] = &[
    entry("iptables-list", &["iptables", "iptables-legacy", "iptables-nft"], "rules of the packet filter, IPv4"),
    entry("ip6tables", &["ip6tables-legacy", "ip6tables-nft"], "rules of the packet filter, IPv6"),
    save("iptables-save", &["iptables-legacy-save", "iptables-nft-save"], "all rules as text to restore, IPv4"),
    save("ip6tables-save", &["ip6tables-legacy-save", "ip6tables-nft-save"], "all rules as text to restore, IPv6"),
    Applet {
        name: "ipset",
        aliases: &[],
        purpose: "IP sets: list, save, test",
        usage: "[-o plain|save|xml] [-s] [-t|-n] list|save [SET] | test SET ELEMENT",
        group: Group::Kernel,
        flags: SET_FLAGS,
        capability: Some(Capability::NetAdmin),
        main: ipset::main,
    },
];

const LIST_FLAGS: &[Flag] = &[
    flag("-L", "[CHAIN [N]]", "list the rules of a chain, or of all"),
    flag("-S", "[CHAIN [N]]", "the same as commands"),
    flag("-t", "TABLE", "filter, nat, mangle, raw or security (filter)"),
    flag("-n", "", "numbers instead of names"),
    flag("-v", "", "counters and interfaces"),
    flag("-x", "", "exact counters"),
    flag("--line-numbers", "", "number the rules"),
    flag("-4", "", "IPv4"),
    flag("-6", "", "IPv6"),
    flag("-w", "[SECONDS]", "without effect: no lock is needed to read"),
    flag("-V", "", "version and backend"),
    flag("--backend", "NAME", "auto, legacy, nft or all"),
    flag("--netns", "PID|PATH", "from that network namespace"),
];

const SET_FLAGS: &[Flag] = &[
    flag("-o", "plain|save|xml", "form of the output"),
    flag("-s", "", "elements of hashes in order"),
    flag("-t", "", "without the elements"),
    flag("-n", "", "names only"),
    flag("-q", "", "say nothing on stderr"),
    flag("-!", "", "without effect: nothing is made or removed"),
    flag("--netns", "PID|PATH", "from that network namespace"),
];

const SAVE_FLAGS: &[Flag] = &[
    flag("-t", "TABLE", "only this table"),
    flag("-c", "", "counters before each rule"),
    flag("-M", "PROGRAM", "without effect: no module is loaded"),
    flag("-V", "", "version and backend"),
    flag("--backend", "NAME", "auto, legacy, nft or all"),
    flag("--netns", "PID|PATH", "from that network namespace"),
];
