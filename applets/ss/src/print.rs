//! A socket as a row of the page.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::IpAddr;
use std::rc::Rc;

use netkit_nl::diag::{self, inet};
use netkit_nl::{Attrs, raw};

use crate::info;
use crate::layout::{Column, Layout};
use crate::names::{self, Interfaces, Services};
use crate::number::push_u64;
use crate::owners::Owners;
use crate::pods::{Cgroups, Container, Pods};
use crate::select::{Family, Table, state};
use crate::socket::{Socket, proto};

/// What is shown of each socket (ss(8), "OPTIONS").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Show {
    /// `-o`: timers.
    pub(crate) options: bool,
    /// `-e`
    pub(crate) details: bool,
    /// `-m`
    pub(crate) memory: bool,
    /// `-i`
    pub(crate) info: bool,
    /// `-p`
    pub(crate) processes: bool,
    /// `-T`
    pub(crate) threads: bool,
    pub(crate) tos: bool,
    pub(crate) cgroup: bool,
    pub(crate) inet_sockopt: bool,
    /// `-b`: the filter program of a packet socket.
    pub(crate) bpf: bool,
    /// `-O`
    pub(crate) oneline: bool,
    /// `-n`
    pub(crate) numeric: bool,
    /// `-r`
    pub(crate) resolve: bool,
    /// `-Q`
    pub(crate) no_queues: bool,
    /// `-H`
    pub(crate) no_header: bool,
    /// The column of pods and containers.
    pub(crate) pods: bool,
}

/// Turns an address into a host name.
pub(crate) type Resolve<'a> = &'a dyn Fn(IpAddr) -> Option<String>;

/// Everything a row needs beyond the socket itself.
pub(crate) struct World<'a> {
    pub(crate) show: Show,
    pub(crate) services: Services,
    pub(crate) interfaces: Interfaces,
    pub(crate) cgroups: Cgroups,
    pub(crate) owners: Rc<Owners>,
    pub(crate) pods: Option<Pods>,
    pub(crate) resolve: Resolve<'a>,
    pub(crate) hosts: HashMap<IpAddr, Option<String>>,
    pub(crate) protocols: HashMap<u16, String>,
    /// Inode of the latest SCTP endpoint: its associations follow it.
    pub(crate) sctp: u32,
}

impl World<'_> {
    /// The container of a socket: that of its newest process, else of its cgroup.
    pub(crate) fn container(&mut self, socket: &Socket<'_>) -> Option<&Container> {
        let pods = self.pods.as_mut()?;
        let pid = self.owners.of(socket.inode).map(|(_, holder)| holder.pid).next();
        if let Some(pid) = pid
            && pods.of_pid(pid).is_some()
        {
            return pods.of_pid(pid);
        }
        if socket.cgroup == 0 { None } else { pods.of_cgroup(socket.cgroup, &mut self.cgroups) }
    }

    fn host(&mut self, address: IpAddr) -> Option<&str> {
        let resolve = self.resolve;
        self.hosts.entry(address).or_insert_with(|| resolve(address)).as_deref()
    }
}

#[cfg(test)]
impl World<'_> {
    /// Nobody holds anything, and no name is known.
    pub(crate) fn for_test(show: Show) -> World<'static> {
        World {
            show,
            services: Services::default(),
            interfaces: Interfaces::of_proc("/nonexistent".into()),
            cgroups: Cgroups::default(),
            owners: Rc::default(),
            pods: None,
            resolve: &|_| None,
            hosts: HashMap::new(),
            protocols: HashMap::new(),
            sctp: 0,
        }
    }
}

/// The name in the Netid column.
pub(crate) fn netid(socket: &Socket<'_>) -> &'static str {
    match socket.table {
        Table::UnixStream => "u_str",
        Table::UnixDgram => "u_dgr",
        Table::UnixSeqpacket => "u_seq",
        Table::PacketRaw => "p_raw",
        Table::PacketDgram => "p_dgr",
        Table::Netlink => "nl",
        Table::VsockStream => "v_str",
        Table::VsockDgram => "v_dgr",
        _ => match socket.protocol {
            proto::TCP => "tcp",
            proto::UDP => "udp",
            proto::SCTP => "sctp",
            proto::MPTCP => "mptcp",
            proto::ICMPV6 => "icmp6",
            0 => "raw",
            _ => "???",
        },
    }
}

/// Prints one row.
pub(crate) fn row(
    layout: &mut Layout,
    world: &mut World<'_>,
    socket: &Socket<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let association = socket.table == Table::Sctp && world.sctp != 0 && world.sctp == socket.inode;
    layout.cell(Column::Netid, |cell| {
        if !association {
            cell.extend_from_slice(netid(socket).as_bytes());
        }
    });
    layout.cell(Column::State, |cell| {
        if association {
            let _ = write!(cell, "`- {}", info::sctp_state(socket.state));
        } else {
            cell.extend_from_slice(state::label(socket.state).as_bytes());
        }
    });
    for (column, queue) in [(Column::RecvQ, socket.recv_q), (Column::SendQ, socket.send_q)] {
        layout.cell(column, |cell| {
            let start = cell.len();
            push_u64(cell, u64::from(queue));
            // At least six wide, also where the header is not shown.
            cell.resize(cell.len().max(start + 6), b' ');
        });
    }
    layout.cell(Column::LocalAddress, |cell| push_end(cell, world, socket, true));
    layout.cell(Column::LocalPort, |cell| push_port(cell, world, socket, true));
    layout.cell(Column::PeerAddress, |cell| push_end(cell, world, socket, false));
    layout.cell(Column::PeerPort, |cell| push_port(cell, world, socket, false));
    layout.cell(Column::Pod, |cell| {
        let _ = match world.container(socket) {
            Some(container) => write!(cell, "{container}"),
            None => cell.write_all(b"-"),
        };
    });
    layout.cell(Column::Process, |cell| push_holders(cell, &world.owners, socket, world.show.threads));
    layout.cell(Column::Details, |cell| match socket.family {
        Family::Inet | Family::Inet6 => push_inet(cell, world, socket),
        Family::Unix => push_unix(cell, world.show, socket),
        Family::Packet => push_packet(cell, world, socket),
        Family::Netlink => push_netlink(cell, world.show, socket),
        Family::Vsock => {}
    });
    if socket.is_inet() {
        world.sctp = socket.inode;
    }
    layout.end_row(out)
}

/// An IP address as inet_ntop(3) writes it.
pub(crate) fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                push_u64(out, u64::from(octet));
            }
        }
        IpAddr::V6(address) => {
            let compatible = match address.segments() {
                [0, 0, 0, 0, 0, 0, high, _] if high != 0 => address.to_ipv4(),
                _ => None,
            };
            let _ = match compatible {
                Some(address) => write!(out, "::{address}"),
                None => write!(out, "{address}"),
            };
        }
    }
}

/// A name that anybody may choose, with control characters replaced and abstract names marked.
fn push_name(out: &mut Vec<u8>, name: &[u8]) {
    if name.iter().all(|byte| byte.is_ascii_graphic()) {
        return out.extend_from_slice(name);
    }
    let text = String::from_utf8_lossy(name);
    let text = if text.starts_with('\0') { text.replace('\0', "@") } else { text.into_owned() };
    out.extend_from_slice(netkit_core::text::printable(&text).as_bytes());
}

fn push_end(cell: &mut Vec<u8>, world: &mut World<'_>, socket: &Socket<'_>, local: bool) {
    let (address, word) = if local { (socket.local, socket.local_word) } else { (socket.remote, socket.remote_word) };
    match socket.family {
        Family::Inet | Family::Inet6 => {
            let Some(address) = address else { return };
            push_inet_address(cell, world, socket, address);
            if local && socket.interface != 0 {
                cell.push(b'%');
                cell.extend_from_slice(world.interfaces.name(socket.interface).as_bytes());
            }
            cell.push(b':');
        }
        Family::Unix => {
            let name = if local { socket.name } else { socket.peer_name };
            push_name(cell, name.map(unix_name).unwrap_or(b"*"));
            cell.push(b' ');
        }
        Family::Packet if local => {
            match names::ethertype(word) {
                _ if word == 3 => cell.push(b'*'),
                Some(name) if !world.show.numeric => cell.extend_from_slice(name.as_bytes()),
                _ => {
                    let _ = write!(cell, "[{word}]");
                }
            }
            cell.push(b':');
        }
        Family::Netlink if local => {
            match names::netlink(word).filter(|_| !world.show.numeric) {
                Some(name) => cell.extend_from_slice(name.as_bytes()),
                None => push_u64(cell, u64::from(word)),
            }
            cell.push(b':');
        }
        Family::Netlink if socket.connected => {
            let _ = write!(cell, "{}:", word.cast_signed());
        }
        Family::Packet | Family::Netlink => cell.push(b'*'),
        Family::Vsock => {
            match word {
                u32::MAX => cell.push(b'*'),
                word => push_u64(cell, u64::from(word)),
            }
            cell.push(b':');
        }
    }
}

/// The name of a unix socket without the zero byte at the end of a path.
fn unix_name(name: &[u8]) -> &[u8] {
    match name {
        [0, ..] => name,
        path => path.split(|byte| *byte == 0).next().unwrap_or_default(),
    }
}

fn push_inet_address(cell: &mut Vec<u8>, world: &mut World<'_>, socket: &Socket<'_>, address: IpAddr) {
    let only6 = || Attrs::new(socket.attributes).find(inet::SKV6ONLY).and_then(|flag| flag.u8()) == Some(1);
    if matches!(address, IpAddr::V6(address) if address.is_unspecified()) && !only6() {
        return cell.push(b'*');
    }
    if world.show.resolve
        && !address.is_unspecified()
        && let Some(name) = world.host(address)
    {
        return cell.extend_from_slice(name.as_bytes());
    }
    if address.is_ipv6() {
        cell.push(b'[');
    }
    push_address(cell, address);
    if address.is_ipv6() {
        cell.push(b']');
    }
}

fn push_port(cell: &mut Vec<u8>, world: &mut World<'_>, socket: &Socket<'_>, local: bool) {
    let port = if local { socket.local_port } else { socket.remote_port };
    let numeric = world.show.numeric;
    let decimal = |cell: &mut Vec<u8>| match u64::try_from(port) {
        Ok(port) => push_u64(cell, port),
        Err(_) => {
            let _ = write!(cell, "{port}");
        }
    };
    match socket.family {
        Family::Inet | Family::Inet6 if port == 0 => cell.push(b'*'),
        Family::Inet | Family::Inet6 => {
            let port16 = u16::try_from(port).unwrap_or(0);
            let name = match socket.table {
                _ if numeric => None,
                Table::Raw => {
                    let name = world.protocols.entry(port16).or_insert_with(|| names::ip_protocol(port16));
                    Some(name.as_str())
                }
                table => world.service(port16, table == Table::Udp),
            };
            match name {
                Some(name) => cell.extend_from_slice(name.as_bytes()),
                None => decimal(cell),
            }
        }
        Family::Packet if !local => {}
        Family::Packet if socket.interface == 0 => cell.push(b'*'),
        Family::Packet => cell.extend_from_slice(world.interfaces.name(socket.interface).as_bytes()),
        Family::Netlink if !local && !socket.connected => {}
        Family::Netlink if local && port == -1 => cell.push(b'*'),
        Family::Netlink if local && !numeric && port == 0 => cell.extend_from_slice(b"kernel"),
        Family::Netlink if local && !numeric && port > 0 => {
            let name = std::fs::read_to_string(format!("/proc/{port}/comm")).unwrap_or_default();
            if !name.is_empty() {
                let _ = write!(cell, "{}/", netkit_core::text::printable(name.trim_end()));
            }
            decimal(cell);
        }
        Family::Vsock if port == i64::from(u32::MAX) => cell.push(b'*'),
        _ => decimal(cell),
    }
}

impl World<'_> {
    /// The service of a port, unless the kernel hands the port out: then its name would mislead.
    fn service(&self, port: u16, udp: bool) -> Option<&str> {
        let (low, high) = self.services.ephemeral;
        if (low..=high).contains(&i64::from(port)) { None } else { self.services.name(port, udp) }
    }
}

fn push_holders(cell: &mut Vec<u8>, owners: &Owners, socket: &Socket<'_>, threads: bool) {
    let mut any = false;
    for (name, holder) in owners.of(socket.inode) {
        cell.extend_from_slice(if any { b"," } else { b" users:(" });
        any = true;
        let _ = write!(cell, "(\"{name}\",pid={},", holder.pid);
        if threads {
            let _ = write!(cell, "tid={},", holder.tid);
        }
        let _ = write!(cell, "fd={})", holder.fd);
    }
    if any {
        cell.push(b')');
    } else if owners.denied > 0 && socket.inode != 0 && socket.is_inet() {
        // The peer leaves it empty; whose it is, is known all the same.
        let _ = write!(cell, " uid:{}", socket.uid);
    }
}

/// Milliseconds the way the peer shortens them: `204ms`, `1.204sec`, `12sec`, `2min13sec`, `14min`.
fn push_timer(cell: &mut Vec<u8>, milliseconds: u32) {
    let (minutes, seconds, millis) = (milliseconds / 60_000, milliseconds / 1000 % 60, milliseconds % 1000);
    let (seconds, millis) = match minutes {
        0 if seconds > 9 => (seconds, 0),
        0 => (seconds, millis),
        1..=9 => (seconds, 0),
        _ => (0, 0),
    };
    if minutes > 0 {
        let _ = write!(cell, "{minutes}min");
    }
    let _ = match (seconds, millis) {
        (0, 0) => Ok(()),
        (0, millis) => write!(cell, "{millis:03}ms"),
        (seconds, 0) => write!(cell, "{seconds}sec"),
        (seconds, millis) => write!(cell, "{seconds}.{millis:03}sec"),
    };
}

/// Names of timers (linux/inet_diag.h).
pub(crate) fn timer_name(timer: u8) -> &'static str {
    match timer {
        0 => "off",
        1 => "on",
        2 => "keepalive",
        3 => "timewait",
        4 => "persist",
        _ => "unknown",
    }
}

/// `<->`: which directions are still open.
fn push_shutdown(cell: &mut Vec<u8>, mask: Option<u8>) {
    if let Some(mask) = mask {
        let (receive, send) = (if mask & 1 == 0 { '<' } else { '-' }, if mask & 2 == 0 { '>' } else { '-' });
        let _ = write!(cell, " {receive}-{send}");
    }
}

fn new_line(cell: &mut Vec<u8>, oneline: bool, text: &str) {
    cell.extend_from_slice(if oneline { b" " } else { b"\n\t" });
    cell.extend_from_slice(text.as_bytes());
}

fn push_inet(cell: &mut Vec<u8>, world: &mut World<'_>, socket: &Socket<'_>) {
    let show = world.show;
    let attrs = Attrs::new(socket.attributes);
    let byte = |kind: u16| attrs.find(kind).and_then(|attribute| attribute.u8());
    if show.options && socket.timer != 0 {
        let name = if socket.table == Table::Sctp { "T3_RTX" } else { timer_name(socket.timer) };
        let _ = write!(cell, " timer:({name},");
        push_timer(cell, socket.expires);
        let _ = write!(cell, ",{})", socket.retransmits);
    }
    if show.details {
        if socket.uid != 0 {
            let _ = write!(cell, " uid:{}", socket.uid);
        }
        let _ = write!(cell, " ino:{} sk:{:x}", socket.inode, socket.cookie);
        if socket.mark != 0 {
            let _ = write!(cell, " fwmark:0x{:x}", socket.mark);
        }
        push_cgroup(cell, world, socket);
        if let Some(only) = byte(inet::SKV6ONLY).filter(|_| socket.family == Family::Inet6) {
            let _ = write!(cell, " v6only:{only}");
        }
        push_shutdown(cell, byte(inet::SHUTDOWN));
    }
    if show.tos {
        for (kind, name) in [(inet::TOS, "tos"), (inet::TCLASS, "tclass"), (inet::CLASS_ID, "class_id")] {
            if let Some(value) = attrs.find(kind).and_then(|attribute| attribute.number()) {
                let _ = if value == 0 { write!(cell, " {name}:0") } else { write!(cell, " {name}:{value:#x}") };
            }
        }
    }
    if show.cgroup {
        push_cgroup(cell, world, socket);
    }
    if show.inet_sockopt
        && let Some(options) = attrs.find(inet::SOCKOPT).filter(|options| options.value.len() >= 2)
    {
        new_line(cell, show.oneline, "inet-sockopt: (");
        for name in socket_options(options.value) {
            let _ = write!(cell, " {name}");
        }
        cell.push(b')');
    }
    if show.memory || (show.info && socket.table != Table::Udp) {
        if let Some(legacy) = &socket.legacy {
            return info::push_legacy(cell, legacy);
        }
        if !show.oneline {
            cell.extend_from_slice(b"\n\t");
        }
        info::push_info(cell, socket, show.options, show.numeric);
    }
}

/// Names of the bits of struct inet_diag_sockopt.
pub(crate) fn socket_options(bytes: &[u8]) -> impl Iterator<Item = &'static str> {
    const NAMES: [&str; 11] = [
        "recverr",
        "is_icsk",
        "freebind",
        "hdrincl",
        "mc_loop",
        "transparent",
        "mc_all",
        "nodefrag",
        "bind_addr_no_port",
        "recverr_rfc4884",
        "defer_connect",
    ];
    let bits = raw::u16(bytes, 0).map(u16::to_ne_bytes).map_or(0, u16::from_le_bytes);
    NAMES.into_iter().enumerate().filter(move |(bit, _)| bits >> bit & 1 != 0).map(|(_, name)| name)
}

fn push_cgroup(cell: &mut Vec<u8>, world: &mut World<'_>, socket: &Socket<'_>) {
    if socket.cgroup != 0 {
        let _ = match world.cgroups.path(socket.cgroup) {
            Some(path) => write!(cell, " cgroup:{path}"),
            None => write!(cell, " cgroup:unreachable:{:x}", socket.cgroup),
        };
    }
}

fn push_unix(cell: &mut Vec<u8>, show: Show, socket: &Socket<'_>) {
    let attrs = Attrs::new(socket.attributes);
    if show.memory {
        info::push_memory(cell, socket.attributes, diag::unix::MEMINFO);
    }
    if !show.details {
        return;
    }
    push_shutdown(cell, attrs.find(diag::unix::SHUTDOWN).and_then(|mask| mask.u8()));
    if let Some(vfs) = attrs.find(diag::unix::VFS) {
        // struct unix_diag_vfs; the device in the kernel's own form, twelve bits of major above twenty of minor.
        let (inode, device) = (vfs.u32().unwrap_or(0), raw::u32(vfs.value, 4).unwrap_or(0));
        let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
        let _ = write!(cell, " ino:{inode} dev:{major}/{minor}");
    }
    if let Some(waiting) = attrs.find(diag::unix::ICONS) {
        cell.extend_from_slice(b" peers:");
        for peer in waiting.value.chunks_exact(4) {
            let _ = write!(cell, " {}", raw::u32(peer, 0).unwrap_or(0));
        }
    }
}

fn push_packet(cell: &mut Vec<u8>, world: &World<'_>, socket: &Socket<'_>) {
    let show = world.show;
    let attrs = Attrs::new(socket.attributes);
    if show.details {
        if socket.uid != 0 {
            let _ = write!(cell, " uid:{}", socket.uid);
        }
        let _ = write!(cell, " ino:{} sk:{:x}", socket.inode, socket.cookie);
        if let Some(info) = attrs.find(diag::packet::INFO) {
            push_packet_info(cell, info.value, show.oneline);
        }
        for (kind, name) in [(diag::packet::RX_RING, "ring_rx("), (diag::packet::TX_RING, "ring_tx(")] {
            let Some(ring) = attrs.find(kind) else { continue };
            let word = |index: usize| raw::u32(ring.value, index * 4).unwrap_or(0);
            new_line(cell, show.oneline, name);
            let _ = write!(
                cell,
                "blk_size:{},blk_nr:{},frm_size:{},frm_nr:{},tmo:{},features:0x{:x})",
                word(0),
                word(1),
                word(2),
                word(3),
                word(4),
                word(6)
            );
        }
        if let Some(fanout) = attrs.find(diag::packet::FANOUT).and_then(|fanout| fanout.u32()) {
            new_line(cell, show.oneline, "fanout(");
            let names = ["hash", "lb", "cpu", "roll", "random", "qm"];
            let kind = fanout >> 16;
            let _ = write!(cell, "id:{},type:", fanout & 0xffff);
            let _ = match usize::try_from(kind).ok().and_then(|kind| names.get(kind)) {
                Some(name) => write!(cell, "{name})"),
                None => write!(cell, "0x{kind:x})"),
            };
        }
    }
    if show.bpf
        && let Some(program) = attrs.find(diag::packet::FILTER)
    {
        // struct sock_filter: code, two jumps, operand.
        new_line(cell, show.oneline, "");
        let _ = write!(cell, "bpf filter ({}): ", program.value.len() / 8);
        for step in program.value.chunks_exact(8) {
            let [code, operand] = [raw::u16(step, 0).map(u32::from), raw::u32(step, 4)].map(|part| part.unwrap_or(0));
            let [yes, no] = [2, 3].map(|at| raw::u8(step, at).unwrap_or(0));
            let _ = write!(cell, " 0x{code:02x} {yes} {no} {operand},");
        }
    }
    if show.memory {
        info::push_memory(cell, socket.attributes, diag::packet::MEMINFO);
    }
}

/// struct packet_diag_info: interface, version, reserve, copy threshold, timestamp, flags.
fn push_packet_info(cell: &mut Vec<u8>, info: &[u8], oneline: bool) {
    let word = |index: usize| raw::u32(info, index * 4).unwrap_or(0);
    let flags = word(5);
    new_line(cell, oneline, "");
    let _ = write!(cell, "ver:{} cpy_thresh:{} flags( ", word(1), word(3));
    if flags & 1 != 0 {
        cell.extend_from_slice(b"running");
    }
    for (bit, name) in [(2, " auxdata"), (4, " origdev"), (8, " vnethdr"), (16, " loss")] {
        if flags & bit != 0 {
            cell.extend_from_slice(name.as_bytes());
        }
    }
    cell.extend_from_slice(if flags == 0 { b"0 )" } else { b" )" });
}

fn push_netlink(cell: &mut Vec<u8>, show: Show, socket: &Socket<'_>) {
    if show.details {
        // The dump gives no kernel addresses; /proc/net/netlink may.
        let address = if socket.attributes.is_empty() { socket.cookie } else { 0 };
        let _ = write!(cell, " sk={address:x} cb={:x} groups=0x{:08x}", socket.callback, socket.groups);
    }
    if show.memory {
        cell.push(b'\t');
        info::push_memory(cell, socket.attributes, diag::netlink::MEMINFO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_shortened() {
        for (milliseconds, wanted) in [
            (204, "204ms"),
            (4, "004ms"),
            (1204, "1.204sec"),
            (9000, "9sec"),
            (12_345, "12sec"),
            (133_000, "2min13sec"),
            (840_000, "14min"),
            (845_000, "14min"),
            (0, ""),
        ] {
            let mut cell = Vec::new();
            push_timer(&mut cell, milliseconds);
            assert_eq!(String::from_utf8(cell).unwrap(), wanted);
        }
    }

    #[test]
    fn addresses_as_inet_ntop_writes_them() {
        for text in ["10.0.0.1", "::", "::1", "::ffff:10.0.0.1", "::1.2.3.4", "2001:db8::1", "1:0:0:2::3", "fe80::1"] {
            let mut cell = Vec::new();
            push_address(&mut cell, text.parse().unwrap());
            assert_eq!(String::from_utf8(cell).unwrap(), text);
        }
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        let shown = |name: &[u8]| {
            let mut cell = Vec::new();
            push_name(&mut cell, unix_name(name));
            String::from_utf8_lossy(&cell).into_owned()
        };
        assert_eq!(shown(b"/run/x\0junk"), "/run/x");
        assert_eq!(shown(b"\0ab\0c"), "@ab@c");
        assert_eq!(shown(b"/a\x1b[2J"), "/a.[2J");
        assert_eq!(shown("/a\u{9b}2J".as_bytes()), "/a.2J");
        assert_eq!(shown(b"/a\x9b2J"), "/a\u{fffd}2J");
    }

    #[test]
    fn option_bits() {
        assert_eq!(
            socket_options(&[0x52, 0x04]).collect::<Vec<_>>(),
            ["is_icsk", "mc_loop", "mc_all", "defer_connect"]
        );
    }
}
