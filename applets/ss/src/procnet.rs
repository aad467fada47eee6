//! /proc/net/{tcp,tcp6,udp,udp6,raw,raw6,unix,packet,netlink} (proc(5)): what is left where sock_diag is missing, and of
//! another namespace that cannot be entered.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::select::{Family, Selection, Table, state};
use crate::socket::{Legacy, Socket};

/// Bytes of a line that are read; the kernel's are shorter.
const LONGEST_LINE: usize = 4096;
/// Unix socket flag __SO_ACCEPTCON: it listens.
const ACCEPTS: u32 = 1 << 16;

/// Reads one file under `net`, giving each socket to `visit` until it returns false.
///
/// # Errors
/// That of opening or reading the file; a file that is missing because the kernel lacks the protocol is no error.
pub(crate) fn each(
    net: &Path,
    table: Table,
    family: Family,
    selection: &Selection,
    visit: &mut dyn FnMut(&Socket<'_>) -> bool,
) -> io::Result<()> {
    let name = match (table, family) {
        (Table::Tcp, Family::Inet) => "tcp",
        (Table::Tcp, Family::Inet6) => "tcp6",
        (Table::Udp, Family::Inet) => "udp",
        (Table::Udp, Family::Inet6) => "udp6",
        (Table::Raw, Family::Inet) => "raw",
        (Table::Raw, Family::Inet6) => "raw6",
        (_, Family::Unix) => "unix",
        (_, Family::Packet) => "packet",
        (_, Family::Netlink) => "netlink",
        // The kernel shows sctp, mptcp and vsock in no file of this kind.
        _ => return Ok(()),
    };
    let file = match File::open(net.join(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    read(&mut BufReader::with_capacity(1 << 16, file), table, family, selection, visit)
}

/// As [`each`], from any reader.
fn read(
    input: &mut dyn BufRead,
    table: Table,
    family: Family,
    selection: &Selection,
    visit: &mut dyn FnMut(&Socket<'_>) -> bool,
) -> io::Result<()> {
    let mut line = Vec::new();
    let mut first = true;
    loop {
        line.clear();
        if io::Read::take(&mut *input, LONGEST_LINE as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if std::mem::take(&mut first) {
            continue;
        }
        let socket = match family {
            Family::Unix => unix_line(&line),
            Family::Packet => text(&line).and_then(packet_line),
            Family::Netlink => text(&line).and_then(netlink_line),
            _ => text(&line).and_then(|line| inet_line(line, table, family)),
        };
        let Some(socket) = socket else { continue };
        if !selection.has(socket.table) || selection.states >> socket.state & 1 == 0 {
            continue;
        }
        if !visit(&socket) {
            return Ok(());
        }
    }
}

fn text(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line).ok()
}

fn hex32(word: &str) -> Option<u32> {
    u32::from_str_radix(word, 16).ok()
}

/// `sl local rem st tx:rx tr:when retrnsmt uid timeout inode ref pointer [rto ato pingpong cwnd ssthresh]`
fn inet_line(line: &str, table: Table, family: Family) -> Option<Socket<'_>> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let mut socket = Socket::new(table, family);
    let (local, local_port) = inet_address(words.next()?, family)?;
    let (remote, remote_port) = inet_address(words.next()?, family)?;
    (socket.local, socket.local_port) = (Some(local), local_port);
    (socket.remote, socket.remote_port) = (Some(remote), remote_port);
    socket.state = u8::try_from(hex32(words.next()?)?).ok().filter(|state| *state < 32)?;
    let (send_q, recv_q) = words.next()?.split_once(':')?;
    (socket.send_q, socket.recv_q) = (hex32(send_q)?, hex32(recv_q)?);
    let (timer, expires) = words.next()?.split_once(':')?;
    socket.timer = u8::try_from(hex32(timer)?).unwrap_or(u8::MAX);
    // In ticks of 1/100 s (USER_HZ).
    socket.expires = hex32(expires)?.saturating_mul(10);
    let retransmits = hex32(words.next()?)?;
    socket.uid = words.next()?.parse().ok()?;
    let probes: u32 = words.next()?.parse().ok()?;
    socket.retransmits = if socket.timer == 1 { retransmits } else { probes };
    socket.inode = words.next()?.parse().ok()?;
    words.next();
    socket.cookie = words.next().and_then(|word| u64::from_str_radix(word, 16).ok()).unwrap_or(0);
    if table != Table::Tcp {
        socket.timer = 0;
        if table == Table::Raw {
            socket.protocol = 0;
        }
        return Some(socket);
    }
    let mut number = || words.next().and_then(|word| word.parse::<i64>().ok());
    if let (Some(rto), Some(ato), Some(quick_ack), Some(cwnd), Some(ssthresh)) =
        (number(), number(), number(), number(), number())
    {
        let small = |value: i64| u32::try_from(value).unwrap_or(0);
        socket.legacy = Some(Legacy {
            rto: small(rto),
            ato: small(ato),
            quick_ack: small(quick_ack),
            cwnd: small(cwnd),
            ssthresh: i32::try_from(ssthresh).unwrap_or(-1),
        });
    }
    Some(socket)
}

/// The address as 32-bit words of the machine's own byte order, a colon, the port.
fn inet_address(word: &str, family: Family) -> Option<(IpAddr, i64)> {
    let (address, port) = word.split_once(':')?;
    let port = i64::from(u16::from_str_radix(port, 16).ok()?);
    if family == Family::Inet {
        return Some((IpAddr::V4(Ipv4Addr::from(hex32(address)?.to_ne_bytes())), port));
    }
    let mut octets = [0u8; 16];
    for (index, slot) in octets.chunks_exact_mut(4).enumerate() {
        slot.copy_from_slice(&hex32(address.get(index * 8..index * 8 + 8)?)?.to_ne_bytes());
    }
    Some((IpAddr::V6(Ipv6Addr::from(octets)), port))
}

/// `Num: RefCount Protocol Flags Type St Inode [Path]`; the path may hold any byte but a line feed.
fn unix_line(line: &[u8]) -> Option<Socket<'_>> {
    let mut rest = line.strip_suffix(b"\n").unwrap_or(line);
    let mut word = || -> Option<&[u8]> {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
        let (word, tail) = rest.split_at_checked(end)?;
        rest = tail;
        Some(word).filter(|word| !word.is_empty())
    };
    word()?;
    let mut hex = || word().and_then(text).and_then(hex32);
    let (references, _) = (hex()?, hex()?);
    let (flags, kind, connection) = (hex()?, hex()?, hex()?);
    let inode = word().and_then(text)?.parse().ok()?;
    let table = match kind {
        1 => Table::UnixStream,
        5 => Table::UnixSeqpacket,
        _ => Table::UnixDgram,
    };
    let mut socket = Socket::new(table, Family::Unix);
    socket.inode = inode;
    socket.references = references;
    socket.local_port = i64::from(inode);
    // SS_UNCONNECTED, SS_CONNECTING, SS_CONNECTED, SS_DISCONNECTING of linux/net.h.
    socket.state = match connection {
        _ if flags & ACCEPTS != 0 => state::N_LISTEN,
        2 => 2,
        3 => state::N_ESTABLISHED,
        4 => 11,
        _ => state::N_CLOSE,
    };
    socket.name = rest.strip_prefix(b" ").filter(|name| !name.is_empty());
    Some(socket)
}

/// `sk RefCnt Type Proto Iface R Rmem User Inode`
fn packet_line(line: &str) -> Option<Socket<'_>> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [pointer, _, kind, protocol, interface, _, memory, uid, inode, ..] = words.as_slice() else { return None };
    let table = if *kind == "3" { Table::PacketRaw } else { Table::PacketDgram };
    let mut socket = Socket::new(table, Family::Packet);
    socket.state = state::N_CLOSE;
    socket.cookie = u64::from_str_radix(pointer, 16).unwrap_or(0);
    socket.local_word = hex32(protocol)?;
    socket.interface = interface.parse().ok()?;
    socket.local_port = i64::from(socket.interface);
    socket.recv_q = memory.parse().ok()?;
    socket.uid = uid.parse().ok()?;
    socket.inode = inode.parse().ok()?;
    Some(socket)
}

/// `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`
fn netlink_line(line: &str) -> Option<Socket<'_>> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [pointer, protocol, port, groups, rmem, wmem, callback, rest @ ..] = words.as_slice() else { return None };
    let mut socket = Socket::new(Table::Netlink, Family::Netlink);
    socket.state = state::N_CLOSE;
    socket.cookie = u64::from_str_radix(pointer, 16).unwrap_or(0);
    socket.local_word = protocol.parse().ok()?;
    // Printed as unsigned by the kernel, signed everywhere else.
    socket.local_port = i64::from(port.parse::<u32>().ok()?.cast_signed());
    socket.remote_port = -1;
    socket.groups = hex32(groups)?;
    (socket.recv_q, socket.send_q) = (rmem.parse().ok()?, wmem.parse().ok()?);
    socket.callback = u64::from_str_radix(callback, 16).unwrap_or(0);
    socket.inode = rest.get(2).and_then(|word| word.parse().ok()).unwrap_or(0);
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all() -> Selection {
        let mut selection = Selection::default();
        selection.query("all");
        selection.states = state::ALL;
        selection.complete();
        selection
    }

    fn one(text: &str, table: Table, family: Family, check: impl Fn(&Socket<'_>)) {
        let mut count = 0;
        let text = format!("header\n{text}\n");
        read(&mut text.as_bytes(), table, family, &all(), &mut |socket| {
            count += 1;
            check(socket);
            true
        })
        .unwrap();
        assert_eq!(count, 1, "{text}");
    }

    #[test]
    fn lines_of_each_file() {
        // cat /proc/net/tcp
        one(
            "   0: 0100007F:1F90 0200007F:A1B2 01 00000010:00000020 01:00000014 00000003  1000        0 12345 2 00000000abcdef01 20 4 30 10 -1",
            Table::Tcp,
            Family::Inet,
            |socket| {
                assert_eq!(socket.local, Some("127.0.0.1".parse().unwrap()));
                assert_eq!((socket.local_port, socket.remote_port, socket.state), (8080, 41394, 1));
                assert_eq!((socket.send_q, socket.recv_q, socket.uid, socket.inode), (16, 32, 1000, 12345));
                assert_eq!((socket.timer, socket.expires, socket.retransmits), (1, 200, 3));
                assert_eq!(socket.legacy.unwrap().cwnd, 10);
            },
        );
        one(
            "   0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1 0 100 0 0 10 0",
            Table::Tcp,
            Family::Inet6,
            |socket| assert_eq!((socket.local, socket.state), (Some("::1".parse().unwrap()), 10)),
        );
        one(
            "0000000000000000: 00000002 00000000 00010000 0001 01 22222 /run/a b.sock",
            Table::UnixStream,
            Family::Unix,
            |socket| assert_eq!((socket.name, socket.state, socket.inode), (Some(&b"/run/a b.sock"[..]), 10, 22222)),
        );
        one("00000000abc 3      3    0003   2     1 512    0      900", Table::PacketRaw, Family::Packet, |socket| {
            assert_eq!((socket.local_word, socket.interface, socket.recv_q, socket.inode), (3, 2, 512, 900))
        });
        one(
            "0000000012 0   4294963000 00000001 0        0        00000000ff 2        0        901",
            Table::Netlink,
            Family::Netlink,
            |socket| assert_eq!((socket.local_port, socket.groups, socket.inode), (-4296, 1, 901)),
        );
    }

    proptest! {
        #[test]
        fn hostile_lines_do_no_harm(line in "[ -~]{0,120}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for (table, family) in [
                (Table::Tcp, Family::Inet), (Table::Tcp, Family::Inet6), (Table::Udp, Family::Inet), (Table::Raw, Family::Inet6),
                (Table::UnixDgram, Family::Unix), (Table::PacketRaw, Family::Packet), (Table::Netlink, Family::Netlink),
            ] {
                let input = [b"h\n", line.as_bytes(), b"\n", &bytes].concat();
                read(&mut input.as_slice(), table, family, &all(), &mut |_| true).unwrap();
            }
        }
    }
}
