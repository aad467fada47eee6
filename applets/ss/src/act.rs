//! `-E`, sockets as they end, and `-K`, which ends them.

use std::io::BufRead as _;
use std::rc::Rc;

use netkit_core::privilege::{Capability, missing};
use netkit_core::{Ctx, Error, Exit};
use netkit_nl::Message;
use netkit_nl::diag;

use crate::kernel::{self, Kernel};
use crate::run::{FAILED, Job, Page};
use crate::select::{Family, Table};
use crate::tour::Tour;

/// linux/sock_diag.h, enum sknetlink_groups, as bits.
const GROUPS: [(Table, Family, u32); 4] = [
    (Table::Tcp, Family::Inet, 1),
    (Table::Udp, Family::Inet, 2),
    (Table::Tcp, Family::Inet6, 4),
    (Table::Udp, Family::Inet6, 8),
];

fn refused(error: &netkit_nl::Error, wanted_for: &str) -> Error {
    let said = Error::new(FAILED, format!("{wanted_for}: {error}"));
    if error.is_denied() { said.hint(missing(Capability::NetAdmin, wanted_for, "listing sockets")) } else { said }
}

/// Prints sockets as they end, until the output closes or the process is ended.
pub(crate) fn events(ctx: &mut Ctx, job: &Job) -> Result<Exit, Error> {
    let chosen =
        GROUPS.iter().filter(|(table, family, _)| job.selection.has(*table) && job.selection.has_family(*family));
    let groups = chosen.fold(0, |groups, (_, _, bit)| groups | bit);
    if groups == 0 {
        return Err(Error::new(crate::filter::USAGE, "the kernel reports the end of TCP and UDP sockets only"));
    }
    let mut world = job.world()?;
    let mut page = Page::begin(ctx, job, true)?;
    page.flush(ctx)?;
    let mut kernel = Kernel::open().map_err(|error| refused(&error, "hearing of sockets that end"))?;
    let facts = Tour::new(&job.selection, None, job.extras(), None).known;
    let outcome = kernel.events(groups, &mut |socket| {
        let wanted = job.node.as_ref().is_none_or(|node| node.selects(socket, &facts));
        if !wanted || !job.selection.has_family(socket.family) || !job.selection.has(socket.table) {
            return true;
        }
        page.row(ctx, &mut world, socket) && page.flush(ctx).is_ok()
    });
    page.end(ctx)?;
    outcome.map(|()| Exit::OK).map_err(|error| refused(&error, "hearing of sockets that end"))
}

/// Ends the selected sockets and prints those that are gone.
pub(crate) fn kill(ctx: &mut Ctx, job: &Job) -> Result<Exit, Error> {
    let mut world = job.world()?;
    let mut tour = job.tour();
    tour.known.owners = Rc::clone(&world.owners);
    // What is ended is what was shown when the question was asked.
    let mut found: Vec<(Table, u16, Vec<u8>)> = Vec::new();
    tour.each(&mut |socket| {
        if !socket.fixed.is_empty() && job.lets_through(&mut world, socket) {
            found.push((socket.table, socket.protocol, socket.fixed.to_vec()));
        }
        true
    })?;
    if !found.is_empty() && !job.options.confirmed {
        ask(ctx, found.len())?;
    }
    let mut kernel = Kernel::open().map_err(|error| refused(&error, "ending sockets"))?;
    let mut page = Page::begin(ctx, job, false)?;
    let mut failure = None;
    for (table, protocol, payload) in &found {
        match kernel.destroy(payload, *protocol) {
            Ok(()) => {}
            // It has ended by itself, or it is of a kind that cannot be ended.
            Err(error) if error.is_unsupported() => continue,
            Err(error) => {
                failure = Some(refused(&error, "ending sockets"));
                break;
            }
        }
        let message = Message { kind: diag::BY_FAMILY, flags: 0, sequence: 0, port: 0, payload };
        if let Some(socket) = kernel::read(&message, *table)
            && !page.row(ctx, &mut world, &socket)
        {
            break;
        }
    }
    page.end(ctx)?;
    failure.map_or(Ok(Exit::OK), Err)
}

fn ask(ctx: &mut Ctx, count: usize) -> Result<(), Error> {
    let what = if count == 1 { "this socket".to_owned() } else { format!("these {count} sockets") };
    let _ = ctx.stdout.flush();
    let _ = write!(ctx.stderr, "{}: end {what} for good? [y/N] ", ctx.name);
    let _ = ctx.stderr.flush();
    let mut answer = String::new();
    let _ = std::io::Read::take(&mut ctx.stdin, 64).read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    if answer.is_empty() {
        let _ = writeln!(ctx.stderr);
    }
    Err(Error::new(FAILED, "nothing was ended; answer y, or give --yes"))
}
