//! ip and bridge: what the kernel knows of links, addresses, routes, rules and neighbours.
//!
//! - Peer: iproute2 6.1 (Debian 12): text byte for byte, JSON as values, exit statuses 0, 1, 2 and 255.
//! - Deliberate differences: nothing is ever changed; a verb that would is refused by name with status 2. `-r` (names for
//!   addresses), `-batch` and details of SR-IOV functions are not offered. `-n` takes a name below /run/netns, a path, or the number of a process.
//! - Beyond the peer: `ip why DST`, `-j` in `monitor` (one object a line), names of protocols and tables without any file.
//! - Kernel interfaces: rtnetlink and xfrm over netlink, setns(2), /run/netns, /proc/net for multicast groups.
//! - Privilege: none for reading; `-n` and `netns exec` need CAP_SYS_ADMIN, xfrm needs CAP_NET_ADMIN.

mod addr;
mod bridge;
mod bridge_port;
mod help;
mod link;
mod link_bond;
mod link_kind;
mod link_stats;
mod link_tunnel;
mod maddr;
mod monitor;
mod names;
mod neigh;
mod netns;
mod nexthop;
mod objects;
mod options;
mod out;
mod route;
mod route_print;
mod rule;
mod stop;
mod tunnel;
mod why;
mod words;
mod world;
mod xfrm;

use std::io::Write as _;

use netkit_core::{Applet, Ctx, Error, Exit, Group};

use crate::options::Parsed;
use crate::stop::{Res, Stop};
use crate::words::Words;
use crate::world::World;

/// ip, and bridge for the view of its ports.
pub static APPLETS: &[Applet] = &[
    Applet {
        name: "ip",
        aliases: &[],
        purpose: "show links, addresses, routes, rules, neighbours",
        usage: "[OPTION...] OBJECT [COMMAND [ARGUMENT...]]\nwhy DESTINATION",
        group: Group::Kernel,
        flags: help::FLAGS,
        capability: None,
        main: run,
    },
    Applet {
        name: "bridge",
        aliases: &[],
        purpose: "show forwarding entries and ports of bridges and VXLANs",
        usage: "[OPTION...] { fdb | link | vlan } [show] [dev DEVICE]",
        group: Group::Kernel,
        flags: help::BRIDGE_FLAGS,
        capability: None,
        main: run_bridge,
    },
];

/// iproute2's version whose output this is.
const PEER_VERSION: &str = "6.1.0";

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    finish(ctx, ip)
}

fn run_bridge(ctx: &mut Ctx) -> Result<Exit, Error> {
    finish(ctx, bridge::main)
}

/// Says what went wrong in the form it came in.
fn finish(ctx: &mut Ctx, command: fn(&mut Ctx) -> Res<Exit>) -> Result<Exit, Error> {
    match command(ctx) {
        Ok(exit) => Ok(exit),
        Err(Stop::House(error)) => Err(error),
        Err(Stop::Peer(status, text)) => {
            if !text.is_empty() {
                ctx.say(&text);
            }
            Ok(Exit(status))
        }
    }
}

fn ip(ctx: &mut Ctx) -> Res<Exit> {
    let mut words = Words::new(ctx.args_lossy());
    let options = match options::parse(ctx, &mut words)? {
        Parsed::Run(options) => options,
        Parsed::Version => {
            writeln!(ctx.stdout, "ip utility, iproute2-{PEER_VERSION}, netkit {}", ctx.build.version)?;
            return Ok(Exit::OK);
        }
        Parsed::Help => return Err(help::page(ctx, "ip")),
    };
    let Some(object) = words.next() else { return Err(help::page(ctx, "ip")) };
    let mut world = World::new(options);
    objects::run(ctx, &mut world, &object, &mut words)
}
