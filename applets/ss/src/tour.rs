//! One pass over every table that is selected, from the kernel where it can, from /proc/net where it must.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use netkit_core::Error;
use netkit_nl::Error as NetlinkError;

use crate::filter::Node;
use crate::filter::bytecode;
use crate::filter::evaluate::Facts;
use crate::kernel::{Extras, Kernel};
use crate::names;
use crate::owners::Owners;
use crate::procnet;
use crate::select::{Family, PACKET, Selection, Table, UNIX, VSOCK};
use crate::socket::Socket;

/// What evaluation asks for: the port range, and who holds a socket.
pub(crate) struct Known {
    ephemeral: (i64, i64),
    pub(crate) owners: Rc<Owners>,
}

impl Facts for Known {
    fn is_ephemeral(&self, port: i64) -> bool {
        (self.ephemeral.0..=self.ephemeral.1).contains(&port)
    }

    fn held_by(&self, socket: &Socket<'_>, name: &str) -> bool {
        self.owners.held_by(socket.inode, name)
    }
}

/// A pass that can be made again.
pub(crate) struct Tour<'a> {
    selection: &'a Selection,
    node: Option<&'a Node>,
    program: Option<Vec<u8>>,
    /// The kernel's verdict is not enough.
    evaluate: bool,
    extras: Extras,
    kernel: Option<Kernel>,
    /// Where the files of the namespace are.
    net: PathBuf,
    pub(crate) known: Known,
    /// A dump was interrupted: sockets may be missing or there twice.
    pub(crate) interrupted: bool,
    /// The kernel refused the filter for want of CAP_NET_ADMIN.
    pub(crate) denied: bool,
    /// Tables, as bits, that the kernel has no dump of and no file for.
    pub(crate) absent: u32,
}

/// Tables in the order in which the peer shows them.
const ORDER: [Table; 8] = [
    Table::Netlink,
    Table::PacketRaw,
    Table::UnixStream,
    Table::Raw,
    Table::Udp,
    Table::Tcp,
    Table::Sctp,
    Table::VsockStream,
];

impl<'a> Tour<'a> {
    /// With `files`, that directory is read and the kernel is not asked.
    pub(crate) fn new(
        selection: &'a Selection,
        node: Option<&'a Node>,
        extras: Extras,
        files: Option<&Path>,
    ) -> Tour<'a> {
        let program = node.and_then(bytecode::compile);
        // The kernel knows which ports were chosen; the peer also wants them in its range.
        let autobound = node.is_some_and(|node| node.any(&|node| *node == Node::Autobound));
        Tour {
            selection,
            node,
            evaluate: autobound || (node.is_some() && program.is_none()),
            program,
            extras,
            kernel: if files.is_some() { None } else { Kernel::open().ok() },
            net: files.unwrap_or(Path::new("/proc/net")).to_owned(),
            known: Known { ephemeral: names::ephemeral_range(), owners: Rc::default() },
            interrupted: false,
            denied: false,
            absent: 0,
        }
    }

    /// Whether the kernel itself is asked.
    pub(crate) fn has_kernel(&self) -> bool {
        self.kernel.is_some()
    }

    /// Visits every selected socket until `visit` returns false.
    ///
    /// # Errors
    /// When neither the kernel nor the file gives a table.
    pub(crate) fn each(&mut self, visit: &mut dyn FnMut(&Socket<'_>) -> bool) -> Result<(), Error> {
        let mut more = true;
        let mut seen = |socket: &Socket<'_>| {
            more = visit(socket);
            more
        };
        for table in ORDER.into_iter().chain([Table::Mptcp]) {
            let (wanted, families): (u32, &[Family]) = match table {
                Table::Netlink => (table.bit(), &[Family::Netlink]),
                Table::PacketRaw => (PACKET, &[Family::Packet]),
                Table::UnixStream => (UNIX, &[Family::Unix]),
                Table::VsockStream => (VSOCK, &[Family::Vsock]),
                _ => (table.bit(), &[Family::Inet, Family::Inet6]),
            };
            if self.selection.tables & wanted == 0 {
                continue;
            }
            // These have one state only, and no kernel checks it for them.
            let stateless = matches!(table, Table::Netlink | Table::PacketRaw);
            if stateless && self.selection.states & crate::select::state::CLOSE == 0 {
                continue;
            }
            for family in families.iter().filter(|family| self.selection.has_family(**family)) {
                self.table(table, *family, &mut seen)?;
            }
        }
        let _ = more;
        Ok(())
    }

    fn table(&mut self, table: Table, family: Family, visit: &mut dyn FnMut(&Socket<'_>) -> bool) -> Result<(), Error> {
        let inet = matches!(family, Family::Inet | Family::Inet6);
        let mut evaluate = self.evaluate || !inet;
        let mut program = self.program.clone().filter(|_| inet);
        if let Some(kernel) = &mut self.kernel {
            loop {
                let (node, known) = (self.node, &self.known);
                let mut any = false;
                let outcome =
                    kernel.each(table, family, self.selection, self.extras, program.as_deref(), &mut |socket| {
                        any = true;
                        let selected = !evaluate || node.is_none_or(|node| node.selects(socket, known));
                        !selected || visit(socket)
                    });
                match outcome {
                    Ok(interrupted) => {
                        self.interrupted |= interrupted;
                        return Ok(());
                    }
                    // An older kernel does not know an instruction; marks want CAP_NET_ADMIN.
                    Err(error) if program.is_some() && !any && (error.is_unsupported() || error.is_denied()) => {
                        self.denied |= error.is_denied();
                        (program, evaluate) = (None, true);
                    }
                    Err(error) if error.is_unsupported() && !any => break,
                    Err(NetlinkError::System { .. }) if !any => break,
                    Err(error) => return Err(Error::new(netkit_core::Exit(1), error.to_string())),
                }
            }
        }
        if matches!(table, Table::Sctp | Table::Mptcp | Table::VsockStream) {
            self.absent |= table.bit();
            return Ok(());
        }
        let (node, known) = (self.node, &self.known);
        let mut filtered = |socket: &Socket<'_>| {
            let selected = node.is_none_or(|node| node.selects(socket, known));
            !selected || visit(socket)
        };
        procnet::each(&self.net, table, family, self.selection, &mut filtered).map_err(|error| {
            let message = format!("cannot read {}: {error}", self.net.display());
            Error::new(netkit_core::Exit(1), message)
        })
    }
}
