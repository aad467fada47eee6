//! nft: the native rules, as `nft list` prints them.
//!
//! - Peer: nftables 1.0.6 as Debian ships it: text, JSON, exit statuses.
//! - Deliberate differences: nothing is ever changed, and verbs that would are refused by name with status 2; addresses
//!   are never looked up in DNS; times are those of UTC; what cannot be decoded is shown as `unknown` with its bytes, and the
//!   others go on; where nft crashes or prints a rule that says something else than the kernel does, we do not follow.
//! - Where 1.0.6 is wrong: fields of four or six bits in concatenations and as what is written (`ip dscp . ip saddr { ... }`, `icmp type
//!   set`), numbers of two octets under `-n -j`, `-j` of a dormant table and of `add @map { ... }`, a condition on the network protocol that
//!   `reject with tcp reset` or a TCP option makes it drop, states with DNAT or SNAT among others in `-m conntrack`.
//! - Beyond the peer: `--netns`.
//! - Kernel interfaces: nfnetlink's nf_tables dumps, one chain at a time, so that neither the kernel walks a large table
//!   again and again nor memory grows with it; interface names over rtnetlink.
//! - Privilege: CAP_NET_ADMIN.

mod args;
mod kernel;
mod names;
mod native;
mod show;

use netkit_core::privilege::{Capability, missing};
use netkit_core::{Ctx, Error, Exit, front};

use args::Action;
pub(crate) use native::Native;

/// What libnftables says of itself; scripts read it in JSON.
const VERSION: &str = "1.0.6";
const RELEASE: &str = "Lester Gooch #5";

/// `nft`
pub(crate) fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let words = ctx.args_lossy();
    if words.is_empty() {
        return Err(Error::new(Exit(1), "no command: list ruleset, list tables, list table FAMILY NAME ..."));
    }
    let request = args::parse(&words)?;
    match &request.action {
        Action::Help => {
            let page =
                crate::APPLETS.iter().find(|applet| applet.name == "nft").map(front::help_page).unwrap_or_default();
            ctx.stdout.write_all(page.as_bytes())?;
            return Ok(Exit::OK);
        }
        Action::Version | Action::Build => {
            writeln!(ctx.stdout, "nftables v{VERSION} ({RELEASE})")?;
            if request.action == Action::Build {
                ctx.stdout.write_all(b"  cli:\t\tno\n  json:\t\tyes\n  minigmp:\tno\n  libxtables:\tno\n")?;
            }
            return Ok(Exit::OK);
        }
        Action::List(_) => {}
    }
    if let Some(target) = &request.options.netns {
        netkit_sys::netns::enter(target)?;
    }
    let Action::List(commands) = &request.action else { return Ok(Exit::OK) };
    match show::run(ctx, &request.options, commands) {
        Ok(()) => Ok(Exit::OK),
        Err(show::Trouble::Print(error)) => Err(error),
        Err(show::Trouble::Absent(what)) => Err(Error::new(Exit(1), format!("No such file or directory: {what}"))),
        Err(show::Trouble::Read(error)) => {
            if error.is_denied() {
                ctx.say(&missing(Capability::NetAdmin, "reading the packet filter", "nothing of it"));
            }
            Err(Error::new(Exit(1), format!("cannot read the packet filter: {error}")))
        }
    }
}
