//! iptables-list: every rule of the packet filter, as iptables prints it, from both backends.
//!
//! - Peer: iptables 1.8.11 (`-L`, `-S`, `iptables-save`): every match and target; where Debian's 1.8.9 differs stands in README.md.
//! - Deliberate differences: nothing is ever changed, and verbs that would are refused by name; a table that the kernel
//!   has not made is shown empty, not made; names are never looked up in DNS; a rule that iptables cannot express is
//!   shown in its place as a comment in nft's words, and the others go on.
//! - Beyond the peer: `--backend auto|legacy|nft|all`, `--trace` (the walk itself is `netkit_nf::walk`), `--svc`, `--drops`, `--hits`, `--diff`,
//!   `--owners`, `--json`, `--netns`. `--trace` ends with 0 when the packet passes, 1 when it does not, 3 when a rule that cannot be decided
//!   could change that; `--diff` with 1 for differences, `--svc` with 1 for a service without endpoints.
//! - Kernel interfaces: getsockopt(IPT_SO_GET_ENTRIES) on a plain UDP socket, nfnetlink's nf_tables dumps,
//!   /proc/net/ip_tables_names. No lock is taken, no module loaded, no table made.
//! - Privilege: CAP_NET_ADMIN for everything but the names of the backends.

mod all;
mod args;
mod backend;
mod diff;
mod drops;
mod element;
mod hits;
mod ipset;
mod ipvs;
mod json;
mod names;
mod nft;
mod owners;
mod run;
mod svc;
mod svc_nft;
mod trace;
mod views;

use netkit_core::privilege::Capability;
use netkit_core::{Applet, Flags, Group, flag, flags};

const fn entry(name: &'static str, aliases: &'static [&'static str], purpose: &'static str) -> Applet {
    Applet {
        name,
        aliases,
        purpose,
        usage: "[-t TABLE] -L|-S [CHAIN [N]] [-n] [-v] [-x] [--line-numbers]\n\
                --trace PROTOCOL SOURCE[:PORT] DESTINATION[:PORT] [WORD VALUE]... [-i IF] [--from WHERE] [--state STATE]\n\
                --svc NAME|IP[:PORT]\n--drops\n--hits SECONDS\n--diff FILE\n--owners",
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
    Applet {
        name: "nft",
        aliases: &[],
        purpose: "native rules of nf_tables",
        usage: "[-anstj] list ruleset|tables|table|chain|set|map ...",
        group: Group::Kernel,
        flags: NFT_FLAGS,
        capability: Some(Capability::NetAdmin),
        main: nft::run,
    },
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

const LIST_FLAGS: Flags = flags![
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
    flag(
        "--trace",
        "PACKET",
        "walk a packet (with flags, mark, uid, gid, ttl, tos, length, type, code) through both backends: 0 it passes, 1 not, 3 undecided",
    ),
    flag("-i", "IF", "with --trace: where the packet comes in"),
    flag("--from", "WHERE", "with --trace: pod, host or outside"),
    flag("--state", "STATE", "with --trace: NEW, ESTABLISHED, RELATED, INVALID or UNTRACKED"),
    flag("--svc", "NAME|IP[:PORT]", "a service's endpoints with weight and packets"),
    flag("--drops", "", "whatever can drop or reject, by packets"),
    flag("--hits", "SECONDS", "rules whose counters moved meanwhile"),
    flag("--diff", "FILE", "what differs from a saved dump: 0 nothing, 1 something"),
    flag("--owners", "", "who wrote which rules, and what does not go together"),
    flag("--json", "", "any of these, or -L and -S, as JSON"),
    flag("--netns", "PID|PATH", "from that network namespace"),
];

const SET_FLAGS: Flags = flags![
    flag("-o", "plain|save|xml", "form of the output"),
    flag("-s", "", "elements of hashes in order"),
    flag("-t", "", "without the elements"),
    flag("-n", "", "names only"),
    flag("-q", "", "say nothing on stderr"),
    flag("-!", "", "without effect: nothing is made or removed"),
    flag("--netns", "PID|PATH", "from that network namespace"),
];

const SAVE_FLAGS: Flags = flags![
    flag("-t", "TABLE", "only this table"),
    flag("-c", "", "counters before each rule"),
    flag("-M", "PROGRAM", "without effect: no module is loaded"),
    flag("-V", "", "version and backend"),
    flag("--backend", "NAME", "auto, legacy, nft or all"),
    flag("--json", "", "as JSON"),
    flag("--netns", "PID|PATH", "from that network namespace"),
];

const NFT_FLAGS: Flags = flags![
    flag("-a", "", "handles"),
    flag("-n", "", "numbers instead of names"),
    flag("-s", "", "without counters"),
    flag("-t", "", "without the elements of sets"),
    flag("-j", "", "JSON, as libnftables-json(5)"),
    flag("-y", "", "priorities as numbers"),
    flag("-p", "", "protocols as numbers"),
    flag("-T", "", "times as seconds"),
    flag("-S", "", "ports by name"),
    flag("-u", "", "users and groups by name"),
    flag("-V", "", "version"),
    flag("--netns", "PID|PATH", "from that network namespace"),
];
