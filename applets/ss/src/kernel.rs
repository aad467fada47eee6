//! Sockets from the kernel's dumps (sock_diag(7)).

use netkit_nl::diag::{self, InetMessage, NetlinkMessage, PacketMessage, SkMemInfo, UnixMessage, VsockMessage, inet};
use netkit_nl::{Attrs, Error, Message, Outcome, Protocol, Request};

use crate::select::{Family, Selection, Table, state};
use crate::socket::{Socket, proto};

/// What shall come with each socket besides the fixed part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extras {
    pub(crate) memory: bool,
    pub(crate) info: bool,
    pub(crate) tos: bool,
    /// `-e`, and everything JSON shows.
    pub(crate) details: bool,
}

/// A connection to the kernel's socket dump.
#[derive(Debug)]
pub(crate) struct Kernel {
    socket: netkit_nl::Socket,
}

/// Why a dump stopped: the kernel, or the visitor, whose own error stands elsewhere.
enum Stop {
    Kernel(Error),
    Visitor,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Kernel(error)
    }
}

impl Kernel {
    pub(crate) fn open() -> Result<Kernel, Error> {
        netkit_nl::Socket::open(Protocol::SockDiag).map(|socket| Kernel { socket })
    }

    /// Dumps the sockets of a table in one family; `program` is a filter the kernel runs. The dump ends early when
    /// `visit` returns false.
    pub(crate) fn each(
        &mut self,
        table: Table,
        family: Family,
        selection: &Selection,
        extras: Extras,
        program: Option<&[u8]>,
        visit: &mut dyn FnMut(&Socket<'_>) -> bool,
    ) -> Result<bool, Error> {
        let request = request(table, family, selection.states, extras, program);
        let outcome = self.socket.stream(&request, |message: Message<'_>| {
            let Some(socket) = read(&message, table) else { return Ok(()) };
            // Packet and netlink dumps know no states; a unix dump holds every type.
            if !selection.has(socket.table) {
                return Ok(());
            }
            if visit(&socket) { Ok(()) } else { Err(Stop::Visitor) }
        });
        match outcome {
            Ok(Outcome { interrupted, .. }) => Ok(interrupted),
            Err(Stop::Kernel(error)) => Err(error),
            // The rest of the dump is still under way on this socket.
            Err(Stop::Visitor) => {
                self.socket = netkit_nl::Socket::open(Protocol::SockDiag)?;
                Ok(false)
            }
        }
    }

    /// Ends a socket (SOCK_DESTROY); the message is the payload it was reported in.
    pub(crate) fn destroy(&mut self, payload: &[u8], protocol: u16) -> Result<(), Error> {
        let Some(message) = InetMessage::read(payload) else {
            return Err(Error::Malformed("a socket without identity"));
        };
        let protocol = u8::try_from(protocol).unwrap_or(u8::MAX);
        self.socket.exchange(&diag::inet_destroy(&message, protocol)).map(drop)
    }

    /// Hears of sockets as they end (`groups`: linux/sock_diag.h, enum sknetlink_groups).
    pub(crate) fn events(&mut self, groups: u32, visit: &mut dyn FnMut(&Socket<'_>) -> bool) -> Result<(), Error> {
        self.socket.subscribe(groups)?;
        loop {
            let messages = match self.socket.next_datagram() {
                Ok(messages) => messages,
                Err(Error::Overrun) => continue,
                Err(error) => return Err(error),
            };
            for message in messages.filter(diag::is_answer) {
                let Some(socket) = read(&message, Table::Tcp) else { continue };
                if !visit(&socket) {
                    return Ok(());
                }
            }
        }
    }
}

fn request(table: Table, family: Family, states: u32, extras: Extras, program: Option<&[u8]>) -> Request {
    use diag::{netlink, packet, unix};
    let shown = |wanted: bool, bits: u32| if wanted { bits } else { 0 };
    let request = match table {
        Table::UnixDgram | Table::UnixStream | Table::UnixSeqpacket => {
            let show = unix::SHOW_NAME
                | unix::SHOW_PEER
                | unix::SHOW_RQLEN
                | shown(extras.memory, unix::SHOW_MEMINFO)
                | shown(extras.details, unix::SHOW_VFS | unix::SHOW_ICONS);
            diag::unix_request(states, show)
        }
        Table::PacketDgram | Table::PacketRaw => diag::packet_request(
            packet::SHOW_INFO
                | packet::SHOW_MEMINFO
                | packet::SHOW_FILTER
                | packet::SHOW_RING_CFG
                | packet::SHOW_FANOUT,
        ),
        Table::Netlink => diag::netlink_request(netlink::ALL_PROTOCOLS, netlink::SHOW_GROUPS | netlink::SHOW_MEMINFO),
        Table::VsockStream | Table::VsockDgram => diag::vsock_request(states),
        Table::Tcp | Table::Mptcp | Table::Udp | Table::Raw | Table::Sctp => {
            let bit = |wanted: bool, attributes: &[u16]| {
                attributes.iter().fold(0u8, |bits, attribute| bits | (u8::from(wanted) << (attribute - 1)))
            };
            let extensions = bit(extras.memory, &[inet::MEMINFO, inet::SKMEMINFO])
                | bit(extras.info, &[inet::INFO, inet::VEGASINFO, inet::CONG])
                | bit(extras.tos, &[inet::TOS, inet::TCLASS]);
            let protocol = Socket::new(table, family).protocol;
            diag::inet_request(family as u8, protocol, extensions, states)
        }
    };
    match program {
        Some(program) => request.attr(inet::REQ_BYTECODE, program),
        None => request,
    }
}

/// Reads one answer; `table` says which dump it belongs to.
pub(crate) fn read<'a>(message: &Message<'a>, table: Table) -> Option<Socket<'a>> {
    if !diag::is_answer(message) {
        return None;
    }
    let payload = message.payload;
    match *payload.first()? {
        diag::family::INET | diag::family::INET6 => inet_socket(payload, table),
        diag::family::UNIX => unix_socket(payload),
        diag::family::PACKET => packet_socket(payload),
        diag::family::NETLINK => netlink_socket(payload),
        diag::family::VSOCK => vsock_socket(payload),
        _ => None,
    }
}

fn inet_socket(payload: &[u8], table: Table) -> Option<Socket<'_>> {
    let message = InetMessage::read(payload)?;
    let family = if message.family == diag::family::INET { Family::Inet } else { Family::Inet6 };
    let mut socket = Socket::new(table, family);
    socket.state = message.state;
    (socket.local, socket.local_port) = (Some(message.src), i64::from(message.src_port));
    (socket.remote, socket.remote_port) = (Some(message.dst), i64::from(message.dst_port));
    (socket.recv_q, socket.send_q) = (message.rqueue, message.wqueue);
    (socket.inode, socket.uid) = (message.inode, message.uid);
    (socket.interface, socket.cookie) = (message.interface, message.cookie);
    (socket.timer, socket.expires, socket.retransmits) =
        (message.timer, message.expires_ms, u32::from(message.retrans));
    socket.fixed = payload;
    for attribute in message.attrs {
        match attribute.kind {
            inet::MARK => socket.mark = attribute.u32().unwrap_or(0),
            inet::CGROUP_ID => socket.cgroup = attribute.u64().unwrap_or(0),
            // MPTCP does not fit its eight bits.
            inet::PROTOCOL if table != Table::Mptcp => {
                socket.protocol = attribute.u8().map_or(socket.protocol, u16::from);
            }
            _ => {}
        }
    }
    if table == Table::Tcp && socket.protocol == proto::UDP {
        socket.table = Table::Udp;
    }
    socket.attributes = attributes(payload, InetMessage::LENGTH);
    Some(socket)
}

fn attributes(payload: &[u8], fixed: usize) -> &[u8] {
    payload.get(fixed..).unwrap_or_default()
}

/// Bytes read and bytes not yet taken by the device, out of SK_MEMINFO.
fn memory(attrs: Attrs<'_>, kind: u16) -> Option<SkMemInfo> {
    attrs.find(kind).map(|attribute| SkMemInfo::read(attribute.value))
}

fn unix_socket(payload: &[u8]) -> Option<Socket<'_>> {
    let message = UnixMessage::read(payload)?;
    let table = match message.kind {
        1 => Table::UnixStream,
        5 => Table::UnixSeqpacket,
        _ => Table::UnixDgram,
    };
    let mut socket = Socket::new(table, Family::Unix);
    socket.state = message.state;
    (socket.inode, socket.local_port) = (message.inode, i64::from(message.inode));
    socket.cookie = message.cookie;
    for attribute in message.attrs {
        match attribute.kind {
            diag::unix::NAME => socket.name = Some(attribute.value),
            diag::unix::PEER => socket.remote_port = attribute.u32().map_or(0, i64::from),
            diag::unix::RQLEN => {
                socket.recv_q = attribute.u32().unwrap_or(0);
                socket.send_q = netkit_nl::raw::u32(attribute.value, 4).unwrap_or(0);
            }
            diag::unix::UID => socket.uid = attribute.u32().unwrap_or(0),
            _ => {}
        }
    }
    socket.attributes = attributes(payload, 16);
    Some(socket)
}

fn packet_socket(payload: &[u8]) -> Option<Socket<'_>> {
    let message = PacketMessage::read(payload)?;
    let table = if message.kind == 3 { Table::PacketRaw } else { Table::PacketDgram };
    let mut socket = Socket::new(table, Family::Packet);
    socket.state = state::N_CLOSE;
    (socket.inode, socket.cookie, socket.local_word) = (message.inode, message.cookie, u32::from(message.protocol));
    socket.recv_q = memory(message.attrs, diag::packet::MEMINFO).map_or(0, |memory| memory.rmem_alloc);
    socket.interface = message.attrs.find(diag::packet::INFO).and_then(|info| info.u32()).unwrap_or(0);
    socket.local_port = i64::from(socket.interface);
    socket.uid = message.attrs.find(diag::packet::UID).and_then(|uid| uid.u32()).unwrap_or(0);
    socket.attributes = attributes(payload, 16);
    Some(socket)
}

fn netlink_socket(payload: &[u8]) -> Option<Socket<'_>> {
    let message = NetlinkMessage::read(payload)?;
    let mut socket = Socket::new(Table::Netlink, Family::Netlink);
    socket.state = state::N_CLOSE;
    socket.local_word = u32::from(message.protocol);
    // The kernel's port ids of sockets that nobody bound are negative when read as the peer reads them.
    socket.local_port = i64::from(message.port.cast_signed());
    socket.remote_port = -1;
    socket.connected = message.state == 1;
    if socket.connected {
        socket.remote_port = i64::from(message.dst_port.cast_signed());
        socket.remote_word = message.dst_group;
    }
    socket.inode = message.inode;
    if let Some(memory) = memory(message.attrs, diag::netlink::MEMINFO) {
        (socket.recv_q, socket.send_q) = (memory.rmem_alloc, memory.wmem_alloc);
    }
    socket.groups = message.attrs.find(diag::netlink::GROUPS).and_then(|groups| groups.u32()).unwrap_or(0);
    socket.attributes = attributes(payload, 28);
    Some(socket)
}

fn vsock_socket(payload: &[u8]) -> Option<Socket<'_>> {
    let message = VsockMessage::read(payload)?;
    let table = if message.kind == 1 { Table::VsockStream } else { Table::VsockDgram };
    let mut socket = Socket::new(table, Family::Vsock);
    socket.state = message.state;
    (socket.local_word, socket.local_port) = (message.src_cid, i64::from(message.src_port));
    (socket.remote_word, socket.remote_port) = (message.dst_cid, i64::from(message.dst_port));
    (socket.inode, socket.cookie) = (message.inode, message.cookie);
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::layout::Layout;
    use crate::print::{self, Show, World};
    use netkit_nl::Messages;
    use proptest::prelude::*;

    #[test]
    fn every_family_is_dumped_by_this_kernel() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = i64::from(listener.local_addr().unwrap().port());
        let mut selection = Selection::default();
        selection.query("all");
        selection.states = state::ALL;
        selection.complete();
        // A sandbox without sock_diag has nothing to show here; procnet is tested on its own.
        let Ok(mut kernel) = Kernel::open() else { return };
        let mut found = 0;
        kernel
            .each(
                Table::Tcp,
                Family::Inet,
                &selection,
                Extras { info: true, ..Extras::default() },
                None,
                &mut |socket| {
                    found += usize::from(socket.local_port == port && socket.state == state::N_LISTEN);
                    true
                },
            )
            .unwrap();
        assert_eq!(found, 1);
        // A visitor that has seen enough ends the dump, and the next one works.
        kernel.each(Table::Tcp, Family::Inet, &selection, Extras::default(), None, &mut |_| false).unwrap();
        let mut unix = 0;
        kernel
            .each(Table::Netlink, Family::Netlink, &selection, Extras::default(), None, &mut |_| {
                unix += 1;
                true
            })
            .unwrap();
        assert!(unix > 0);
    }

    /// An attribute with a length that is right, or nearly.
    fn attribute() -> impl Strategy<Value = Vec<u8>> {
        (0u16..24, 0i32..3, proptest::collection::vec(any::<u8>(), 0..400)).prop_map(|(kind, lie, value)| {
            let length = u16::try_from(value.len() + 4).unwrap().saturating_add_signed(i16::try_from(lie).unwrap() - 1);
            let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        })
    }

    proptest! {
        #[test]
        fn hostile_answers_are_printed(
            family in prop_oneof![Just(1u8), Just(2), Just(10), Just(16), Just(17), Just(40)],
            fixed in proptest::collection::vec(any::<u8>(), 72),
            attributes in proptest::collection::vec(attribute(), 0..6),
        ) {
            let length = match family { 1 | 17 => 16, 16 => 28, 40 => 36, _ => 72 };
            let mut payload = fixed[..length].to_vec();
            payload[0] = family;
            payload.extend(attributes.concat());
            let message = Request::new(diag::BY_FAMILY, 0, &payload).finish(1);
            let show = Show {
                options: true, details: true, memory: true, info: true, processes: true, threads: true, tos: true,
                cgroup: true, inet_sockopt: true, bpf: true, numeric: true, ..Show::default()
            };
            let mut world = World::for_test(show);
            let mut layout = Layout::new(Some(80), true);
            let mut out = Vec::new();
            for message in Messages::new(&message) {
                for table in [Table::Tcp, Table::Udp, Table::Mptcp, Table::Sctp] {
                    if let Some(socket) = read(&message, table) {
                        print::row(&mut layout, &mut world, &socket, &mut out).unwrap();
                        let record = json::record(&mut world, &socket).to_string();
                        prop_assert!(!record.bytes().any(|byte| byte < b' '));
                    }
                }
            }
            layout.flush(&mut out).unwrap();
            // Line feeds and tabs are the page's own; nothing else may move a cursor.
            prop_assert!(!out.iter().any(|byte| *byte < b' ' && !matches!(byte, b'\n' | b'\t')), "{:?}", String::from_utf8_lossy(&out));
        }

        #[test]
        fn hostile_answers_do_no_harm(family in 0u8..60, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut payload = bytes;
            if let Some(first) = payload.first_mut() {
                *first = family;
            }
            let message = Request::new(diag::BY_FAMILY, 0, &payload).finish(1);
            for message in Messages::new(&message) {
                for table in Table::ALL {
                    let _ = read(&message, table);
                }
            }
        }
    }
}
