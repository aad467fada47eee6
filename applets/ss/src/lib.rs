//! ss: what sockets there are, in which state, whose, and what TCP knows of them.
//!
//! - Peer: iproute2's ss, in the form of its newest release (7.1): no Process header unless processes are asked for, and no
//!   blanks at the end of a line unless it is a terminal's.
//! - Deliberate differences: `-K` asks before it ends anything (`--yes` does not); a filter needs no blanks around its
//!   operators; terms the kernel's bytecode cannot express are evaluated here, and nothing is cut to 16 bits; a socket
//!   whose process may not be seen shows its uid; TCP-MD5 keys are shown by their length; a kernel without a protocol is
//!   no error; the process of a netlink socket is named. DCCP, TIPC, XDP, SELinux contexts, maps of BPF programs and raw
//!   dumps (`-D`) are refused by name.
//! - Beyond the peer: `--json`, `ss :443`, `ss nginx`, `ss 10.0.0.5`, `--pods`, `--pod`, `--container`, `--all-netns`,
//!   `--pid`, `--from-proc`, `--group-by`, `--watch`, `--problems`.
//! - Kernel interfaces: sock_diag(7) over netlink; /proc/net where that is missing; /proc/PID/fd for processes.
//! - Privilege: none. CAP_SYS_PTRACE names the processes of other users, CAP_NET_ADMIN filters by mark, ends sockets and
//!   hears of their end, CAP_SYS_ADMIN enters other namespaces.

mod act;
mod args;
mod filter;
mod info;
mod json;
mod kernel;
mod layout;
mod names;
mod netstat;
mod number;
mod owners;
mod pods;
mod print;
mod problems;
mod procnet;
mod report;
mod reverse;
mod run;
mod select;
mod socket;
mod summary;
mod tour;

use std::io::Write as _;

use netkit_core::privilege::Capability;
use netkit_core::{Applet, Ctx, Error, Exit, Group, front};

/// ss, and netstat, which shows the same in the form of an older program.
pub static APPLETS: &[Applet] = &[
    Applet {
        name: "ss",
        aliases: &[],
        purpose: "sockets, their states, processes and pods",
        usage: "[option ...] [state STATE | exclude STATE] [FILTER]\n[option ...] :PORT | ADDRESS | PROCESS",
        group: Group::Kernel,
        flags: args::FLAGS,
        capability: Some(Capability::SysPtrace),
        main: run,
    },
    netstat::APPLET,
];

/// The release whose output this is; scripts read it.
const PEER_VERSION: &str = "7.1.0";

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    match args::parse(&ctx.args_lossy())? {
        args::Request::Help => {
            let page = APPLETS.first().map(front::help_page).unwrap_or_default();
            ctx.stdout.write_all(page.as_bytes())?;
            Ok(Exit::OK)
        }
        args::Request::Version => {
            writeln!(ctx.stdout, "ss utility, iproute2-{PEER_VERSION}-netkit{}", ctx.build.version)?;
            Ok(Exit::OK)
        }
        args::Request::Run(options) => run::run(ctx, *options),
    }
}
