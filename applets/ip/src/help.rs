//! The flag tables, which also make help and completion.

use netkit_core::{Ctx, Flag, Flags, flags};

use crate::stop::{Stop, USAGE};

const fn flag(spelling: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { spelling, value, help }
}

pub(crate) static FLAGS: Flags = flags![
    flag("-4", "", "IPv4 only; -6, -0 (link), -B (bridge), -M (MPLS) likewise"),
    flag("-6", "", "IPv6 only"),
    flag("-0", "", "link layer only"),
    flag("-family", "FAMILY", "inet, inet6, link, bridge or mpls"),
    flag("-brief", "", "a line for each link (-br)"),
    flag("-stats", "", "counters; twice for errors by kind (-s)"),
    flag("-details", "", "all the kernel says (-d)"),
    flag("-human", "", "counters with K, M, G (-h)"),
    flag("-iec", "", "with -h: powers of 1024"),
    flag("-json", "", "JSON (-j)"),
    flag("-pretty", "", "with -j: indented (-p)"),
    flag("-oneline", "", "one line for each record (-o)"),
    flag("-color", "", "colours: =always, =auto or =never (-c)"),
    flag("-netns", "NAME|PATH|PID", "in that network namespace (-n)"),
    flag("-all", "", "with netns exec: in every namespace (-a)"),
    flag("-Numeric", "", "numbers instead of names of tables and protocols (-N)"),
    flag("-timestamp", "", "monitor: say when (-t)"),
    flag("-tshort", "", "monitor: say when, shorter (-ts)"),
    flag("-Version", "", "version (-V)"),
    flag("--explain", "", "hints on stderr although it is no terminal"),
];

pub(crate) static BRIDGE_FLAGS: Flags = flags![
    flag("-stats", "", "when an entry was last used (-s)"),
    flag("-details", "", "all the kernel says of a port (-d)"),
    flag("-json", "", "JSON (-j)"),
    flag("-pretty", "", "with -j: indented (-p)"),
    flag("-oneline", "", "one line for each record (-o)"),
    flag("-color", "", "colours: =always, =auto or =never (-c)"),
    flag("-compressvlans", "", "ranges of VLANs on one line"),
    flag("-netns", "NAME|PATH|PID", "in that network namespace (-n)"),
    flag("-Version", "", "version (-V)"),
    flag("--explain", "", "hints on stderr although it is no terminal"),
];

/// Usage as iproute2 leaves it: on stderr, with status 255.
pub(crate) fn page(ctx: &Ctx, name: &str) -> Stop {
    let page = netkit_core::find(ctx.table, name).map(netkit_core::front::help_page).unwrap_or_default();
    let objects = if name == "ip" { OBJECTS } else { "" };
    Stop::peer(USAGE, format!("{page}\n{objects}").trim_end())
}

const OBJECTS: &str = "\
objects and commands (any may be cut short, as iproute2 resolves it):
  address  [show] [dev X] [up] [scope S] [to PREFIX] [label PATTERN] [master X] [type KIND] [FLAG]
  link     [show] [X] [up] [group G] [master X] [type KIND]
  route    [show] [table T|all|cache] [[root|match|exact] PREFIX] [dev X] [via A] [proto P] [scope S] [type T] [src A]
  route    get DST [from A] [iif X] [oif X] [mark M] [tos T] [vrf X] [ipproto P] [sport N] [dport N] [fibmatch]
  rule     [show] [from P] [to P] [iif X] [oif X] [table T] [fwmark M] [priority N]
  neigh    [show] [PREFIX] [dev X] [nud STATE] [proxy]
  netns    [list] | list-id | identify [PID] | pids NAME | exec NAME COMMAND...
  maddress [show] [dev X]      nexthop [show] | get id N      tunnel [show] [NAME]
  xfrm     state|policy [show]      monitor [OBJECT...] [file FILE]
  why      DST [from A] [mark M] [iif X]   what happens to a packet to DST, layer by layer
  bridge   fdb | link | vlan [show] [dev X]   (as `bridge fdb ...`)";
