//! Exit statuses of dig (dig(1), "RETURN CODES"), and those of `+rc`.

use netkit_core::Exit;
use netkit_wire::dns::{Message, Rcode, Section};

/// Bad arguments, or a server name that does not resolve (BIND's status 1).
pub(crate) const USAGE: Exit = Exit(1);
/// The batch file cannot be opened.
pub(crate) const BATCH_FILE: Exit = Exit(8);
/// No server answered.
pub(crate) const NO_REPLY: u8 = 9;
/// Internal error; BIND also uses it for a name or number that does not parse.
pub(crate) const INTERNAL: Exit = Exit(10);

/// Status of a reply under `+rc`, this applet's own: 0 answer, 2 NODATA, 3 NXDOMAIN, 4 SERVFAIL, 5 REFUSED, 6 any other rcode.
pub(crate) fn of_reply(message: &Message) -> u8 {
    match message.rcode() {
        Rcode::NOERROR if message.section(Section::Answer).next().is_some() => 0,
        Rcode::NOERROR => 2,
        Rcode::NXDOMAIN => 3,
        Rcode::SERVFAIL => 4,
        Rcode::REFUSED => 5,
        _ => 6,
    }
}
