//! tcpdump-lite: packets as they pass, and a line that says what happened.
//!
//! - Peer: tcpdump 4.99.6 with libpcap 1.10: flags, texts on both streams, exit statuses, what is printed of a packet.
//! - Deliberate differences: names only from /etc/hosts and /etc/services; not promiscuous unless `--promiscuous`; the user is never changed (`-Z` is taken and does
//!   nothing); port 8472 is VXLAN where its header is one; a file may hold interfaces of several link types; `-a`, `-E`,
//!   `-f`, `-H`, `-I`, `-m`, `-M`, `-u`, `-Y` and `-z` are refused by name.
//! - Beyond the peer: `--json`, `--flows`, `--dns`, `--http`, `--sni`, `--netns`, `--pid`, several `-i`.
//! - Kernel interfaces: none for files; packet(7) with a ring for interfaces; sock_diag(7) and /proc for `--flows`.
//! - Privilege: none for files; CAP_NET_RAW for interfaces.

mod args;
mod filters;
mod flows;
mod holders;
mod interfaces;
mod lines;
mod live;
mod names;
mod offline;
mod output;
mod rotate;

use netkit_core::privilege::Capability;
use netkit_core::{Applet, Ctx, Error, Exit, Group, front};

/// tcpdump-lite.
pub static APPLETS: &[Applet] = &[Applet {
    name: "tcpdump-lite",
    aliases: &["tcpdump"],
    purpose: "packets of an interface or a file, in words",
    usage: "[-AbdDefhHJKlLnNOpqStuUvxX#] [-i interface] [-r file] [-w file] [-c count] [expression]",
    group: Group::Packet,
    flags: args::FLAGS,
    capability: Some(Capability::NetRaw),
    main: run,
}];

/// The releases whose output this is; scripts read it.
const PEER_VERSION: &str = "tcpdump version 4.99.6 (netkit)\nlibpcap version 1.10.6 (netkit)";

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let opts = args::parse(&ctx.args_lossy())?;
    ctx.explain |= opts.explain;
    if opts.help {
        let page = APPLETS.first().map(front::help_page).unwrap_or_default();
        ctx.stdout.write_all(page.as_bytes())?;
        return Ok(Exit::OK);
    }
    if opts.version {
        ctx.say(PEER_VERSION);
        return Ok(Exit::OK);
    }
    if let Some(netns) = &opts.netns {
        netkit_sys::netns::enter(netns)?;
    }
    if opts.read.is_some() || opts.read_list.is_some() {
        return offline::run(ctx, &opts);
    }
    live::run(ctx, &opts)
}
