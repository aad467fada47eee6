//! A router between a pod, a server and the world outside, each in a network namespace, and what really becomes of a
//! packet there: who receives it, who is told off, and which rules counted it.
//!
//! ```text
//! pod 10.1.0.2, fd01::2 --- p0 10.1.0.1, fd01::1 router s0 10.2.0.1, fd02::1 --- server 10.2.0.2 and .3, fd02::2 and ::3
//!                                                router o0 192.0.2.1, fd03::1 --- outside 192.0.2.2, fd03::2
//! ```
//! The three others answer nothing: their filter drops what their packet sockets have seen. Neighbours are permanent, so
//! that no other packets are about.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, socket};
use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::{Stop, TempDir, namespaces, tool};

/// How long the kernel may have packets waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names of the namespaces; the router's is the holder's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Pod,
    Server,
    Outside,
    Host,
}

pub const PEERS: [(Place, &str); 3] = [(Place::Pod, "pod"), (Place::Server, "server"), (Place::Outside, "outside")];

const SETUP: &str = r#"
set -e
mount -t tmpfs none /run
mkdir /run/netns
# Of the router, as of every namespace made here, the default must not depend on this machine's.
for name in pod server outside; do ip netns add $name; done
ip -batch - <<END
link set lo up
link add p0 address 02:00:00:00:01:01 type veth peer name eth0 address 02:00:00:00:01:02 netns pod
link add s0 address 02:00:00:00:02:01 type veth peer name eth0 address 02:00:00:00:02:02 netns server
link add o0 address 02:00:00:00:03:01 type veth peer name eth0 address 02:00:00:00:03:02 netns outside
END
for name in router pod server outside; do
    run=
    [ $name = router ] || run="ip netns exec $name"
    $run sh -c 'for link in all default $(ls /sys/class/net); do
        [ $link != lo ] || continue
        f=/proc/sys/net/ipv6/conf/$link
        [ -d $f ] || continue
        echo 0 > $f/accept_ra; echo 0 > $f/router_solicitations; echo 1 > $f/addr_gen_mode 2>/dev/null || true
    done'
done
ip -batch - <<END
addr add 10.1.0.1/24 dev p0
addr add 10.2.0.1/24 dev s0
addr add 192.0.2.1/24 dev o0
addr add fd01::1/64 dev p0 nodad
addr add fd02::1/64 dev s0 nodad
addr add fd03::1/64 dev o0 nodad
link set p0 up
link set s0 up
link set o0 up
END
net() {
    ip -n $1 -batch - <<END
link set lo up
addr add $2/24 dev eth0
addr add $3/64 dev eth0 nodad
link set eth0 up
neigh replace ${2%.*}.1 lladdr 02:00:00:00:0$4:01 dev eth0 nud permanent
neigh replace ${3%::*}::1 lladdr 02:00:00:00:0$4:01 dev eth0 nud permanent
route add default via ${2%.*}.1
route add default via ${3%::*}::1
END
    ip netns exec $1 nft -f - <<END
table inet mute {
    chain in { type filter hook prerouting priority -1000; policy drop; }
    chain out { type filter hook output priority 0; icmpv6 type { mld-listener-report, mld2-listener-report, nd-router-solicit, nd-neighbor-solicit } drop; }
}
END
}
net pod 10.1.0.2 fd01::2 1
net server 10.2.0.2 fd02::2 2
net outside 192.0.2.2 fd03::2 3
ip -n server addr add 10.2.0.3/24 dev eth0
ip -n server -6 addr add fd02::3/64 dev eth0 nodad
ip -batch - <<END
neigh replace 10.1.0.2 lladdr 02:00:00:00:01:02 dev p0 nud permanent
neigh replace 10.2.0.2 lladdr 02:00:00:00:02:02 dev s0 nud permanent
neigh replace 10.2.0.3 lladdr 02:00:00:00:02:02 dev s0 nud permanent
neigh replace 192.0.2.2 lladdr 02:00:00:00:03:02 dev o0 nud permanent
neigh replace fd01::2 lladdr 02:00:00:00:01:02 dev p0 nud permanent
neigh replace fd02::2 lladdr 02:00:00:00:02:02 dev s0 nud permanent
neigh replace fd02::3 lladdr 02:00:00:00:02:02 dev s0 nud permanent
neigh replace fd03::2 lladdr 02:00:00:00:03:02 dev o0 nud permanent
route add default via 192.0.2.2
route add default via fd03::2
END
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
echo 0 > /proc/sys/net/ipv4/icmp_ratemask
echo 0 > /proc/sys/net/ipv4/conf/all/send_redirects
for link in p0 s0 o0; do echo 0 > /proc/sys/net/ipv4/conf/$link/send_redirects; done
for link in p0 s0 o0; do until ip -o link show $link | grep -q 'state UP'; do sleep 0.01; done; done
echo ready
cat > /dev/null
"#;

/// A packet as the scenario and `--trace` both write it.
#[derive(Clone, Debug)]
pub struct Packet {
    pub protocol: String,
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

impl Packet {
    /// Reads `udp 10.1.0.2:4000 -> 10.2.0.2:53`; for icmp ports are 0.
    pub fn parse(text: &str) -> Result<Packet, Stop> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let end = |text: &str| -> Result<SocketAddr, Stop> {
            let whole = text.parse().or_else(|_| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 0)));
            whole.map_err(|_| Stop::Fail(format!("{text} is no end")))
        };
        match words.as_slice() {
            [protocol, source, "->", destination, ..] => {
                Ok(Packet { protocol: (*protocol).to_owned(), source: end(source)?, destination: end(destination)? })
            }
            _ => Err(Stop::Fail(format!("{text} is no packet"))),
        }
    }
}

/// What was seen of the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A peer, or the host itself, got it: where, and between which addresses and to which port.
    Received { at: Place, source: IpAddr, destination: IpAddr, port: u16 },
    /// The sender was told off.
    Refused,
    /// Nobody heard of it.
    Lost,
}

/// Packets counted by rules: `legacy filter INPUT 3`, `nft ip filter INPUT 3`.
pub type Counts = BTreeMap<String, u64>;

/// One of the others.
#[derive(Debug)]
struct Peer {
    place: Place,
    space: File,
    eye: OwnedFd,
}

/// The running stage.
#[derive(Debug)]
pub struct Stage {
    holder: Child,
    peers: Vec<Peer>,
    host: File,
    /// Of the lock of legacy tables: it is one file for all namespaces, and another trial must not make a loader fail.
    lock: TempDir,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Runs something in a thread in a namespace.
pub fn inside<T: Send>(space: &File, work: impl FnOnce() -> Result<T, Stop> + Send) -> Result<T, Stop> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(space, CloneFlags::CLONE_NEWNET).map_err(|errno| Stop::Fail(format!("setns: {errno}")))?;
            work()
        });
        thread.join().map_err(|_| Stop::Fail("the thread in the namespace died".to_owned()))?
    })
}

impl Stage {
    pub fn new() -> Result<Stage, Stop> {
        namespaces()?;
        tool("ip", "iproute2")?;
        tool("nsenter", "util-linux")?;
        tool("nft", "nftables")?;
        tool("ipset", "ipset")?;
        for name in ["iptables-legacy", "iptables-nft", "iptables-legacy-save"] {
            tool(name, "iptables")?;
        }
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private", "sh", "-c", SETUP, "sh"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut ready = String::new();
        let out = holder.stdout.take().ok_or("no pipe")?;
        BufReader::new(out).read_line(&mut ready)?;
        let host = File::open(format!("/proc/{}/ns/net", holder.id()))?;
        let mut stage = Stage { holder, peers: Vec::new(), host, lock: TempDir::new("iptables-lock")? };
        if ready.trim_end() != "ready" {
            drop(stage.holder.stdin.take());
            let mut said = String::new();
            stage.holder.stderr.take().ok_or("no pipe")?.read_to_string(&mut said)?;
            return Err(Stop::Fail(format!("the stage was not built: {said}")));
        }
        for (place, name) in PEERS {
            let space = File::open(format!("/proc/{}/root/run/netns/{name}", stage.holder.id()))?;
            let eye = inside(&space, || {
                let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
                socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)
                    .map_err(|errno| Stop::Fail(format!("a packet socket: {errno}")))
            })?;
            stage.peers.push(Peer { place, space, eye });
        }
        Ok(stage)
    }

    /// The router's namespace, for `--netns`.
    pub fn netns(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }

    /// A command on the router.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.netns())).arg("--").arg(program);
        command.env("XTABLES_LOCKFILE", self.lock.0.join("lock"));
        command
    }

    pub fn space(&self, place: Place) -> Result<&File, Stop> {
        if place == Place::Host {
            return Ok(&self.host);
        }
        let found = self.peers.iter().find(|peer| peer.place == place);
        found.map(|peer| &peer.space).ok_or_else(|| Stop::Fail("no such peer".to_owned()))
    }

    /// What each rule has counted, of both backends; legacy ones of one family.
    pub fn counts(&self, v6: bool) -> Result<Counts, Stop> {
        let mut counts = Counts::new();
        let save = if v6 { "ip6tables-legacy-save" } else { "iptables-legacy-save" };
        let text = output(self.command(save).arg("-c"))?;
        let mut table = String::new();
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = name.to_owned();
                numbers.clear();
            }
            let Some((counters, rule)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] -A ")) else {
                continue;
            };
            let chain = rule.split(' ').next().unwrap_or_default();
            let number = numbers.entry(chain.to_owned()).or_default();
            *number += 1;
            let packets = counters.split(':').next().and_then(|packets| packets.parse().ok()).unwrap_or(0);
            counts.insert(format!("legacy {table} {chain} {number}"), packets);
        }
        let text = output(self.command("nft").args(["-j", "list", "ruleset"]))?;
        let all: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("nft -j: {error}"))?;
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for object in all["nftables"].as_array().into_iter().flatten() {
            let rule = &object["rule"];
            if rule.is_null() {
                continue;
            }
            let word = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
            let place = format!("nft {} {} {}", word("family"), word("table"), word("chain"));
            let number = numbers.entry(place.clone()).or_default();
            *number += 1;
            let counter =
                rule["expr"].as_array().into_iter().flatten().find_map(|part| part["counter"]["packets"].as_u64());
            if let Some(packets) = counter {
                counts.insert(format!("{place} {number}"), packets);
            }
        }
        Ok(counts)
    }

    /// Forgets what arrived so far.
    pub fn clear(&self) {
        for peer in &self.peers {
            while self.look(peer).is_some() {}
        }
    }

    /// The next packet that came in at a peer, beginning with its network header.
    fn look(&self, peer: &Peer) -> Option<Vec<u8>> {
        /// PACKET_OUTGOING
        const OUTGOING: u8 = 4;
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = recvfrom::<LinkAddr>(peer.eye.as_raw_fd(), &mut buffer).ok()?;
            if from.is_none_or(|from| from.pkttype() == OUTGOING) {
                continue;
            }
            return Some(buffer[..length].to_vec());
        }
    }

    /// Sends a packet and says what became of it. `local` is the port on which the host itself listens.
    pub fn send(&self, from: Place, packet: &Packet, local: Option<u16>, wait: Duration) -> Result<Seen, Stop> {
        self.clear();
        let v6 = packet.source.is_ipv6();
        let listener = match local {
            Some(port) => Some(inside(&self.host, || {
                let any: SocketAddr = if v6 {
                    (IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED), port).into()
                } else {
                    ([0, 0, 0, 0], port).into()
                };
                let socket = Socket::new(Domain::for_address(any), Type::DGRAM, None)?;
                if v6 {
                    socket.set_only_v6(true)?;
                }
                // Which address it came to is not asked for: the destination is told by a connection below.
                socket.bind(&any.into())?;
                let socket: UdpSocket = socket.into();
                socket.set_nonblocking(true)?;
                Ok(socket)
            })?),
            None => None,
        };
        let (sender, blocked) = inside(self.space(from)?, || transmit(packet))?;
        let until = Instant::now() + wait;
        let mut idle = 0;
        loop {
            if let Some(listener) = &listener
                && let Ok((_, source)) = listener.recv_from(&mut [0; 100])
            {
                let port = listener.local_addr()?.port();
                return Ok(Seen::Received {
                    at: Place::Host,
                    source: source.ip(),
                    destination: packet.destination.ip(),
                    port,
                });
            }
            for peer in &self.peers {
                while let Some(bytes) = self.look(peer) {
                    if let Some(seen) = read(&bytes, peer.place, from, packet) {
                        return Ok(seen);
                    }
                }
            }
            if from == Place::Host && sender.take_error()?.is_some() {
                return Ok(Seen::Refused);
            }
            // A refusal by the own filter is known at once; its answer, if there is one, comes by the loopback device.
            let enough = if blocked { until - wait * 3 / 4 } else { until };
            idle = if backlog()? == 0 { idle + 1 } else { 0 };
            if Instant::now() > enough && (idle > 2 || Instant::now() > until + PATIENCE) {
                return Ok(Seen::Lost);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Packets that wait for the kernel to look at them, on all processors: a busy one puts off what it has received. Kernels
/// before 5.10 do not tell (the twelfth column of `/proc/net/softnet_stat`, net/core/net-procfs.c).
fn backlog() -> Result<u64, Stop> {
    let text = std::fs::read_to_string("/proc/net/softnet_stat")?;
    let waiting =
        |line: &str| line.split_ascii_whitespace().nth(11).and_then(|word| u64::from_str_radix(word, 16).ok());
    Ok(text.lines().filter_map(waiting).sum())
}

/// Sends one packet; whether the own filter refused.
fn transmit(packet: &Packet) -> Result<(Socket, bool), Stop> {
    let domain = Domain::for_address(packet.source);
    let (kind, protocol) = match packet.protocol.as_str() {
        "udp" => (Type::DGRAM, None),
        "tcp" => (Type::STREAM, None),
        "icmp" if packet.source.is_ipv4() => (Type::RAW, Some(Protocol::ICMPV4)),
        "icmp" => (Type::RAW, Some(Protocol::ICMPV6)),
        other => return Err(Stop::Fail(format!("{other} cannot be sent"))),
    };
    let socket = Socket::new(domain, kind, protocol)?;
    socket.set_nonblocking(true)?;
    socket.bind(&packet.source.into())?;
    let connected = socket.connect(&packet.destination.into());
    let sent = match packet.protocol.as_str() {
        "tcp" => connected,
        "udp" => connected.and_then(|()| socket.send(b"lab").map(drop)),
        _ => {
            // Echo request; the kernel fills in ICMPv6's checksum.
            let mut echo = vec![if packet.source.is_ipv4() { 8 } else { 128 }, 0, 0, 0, 0x12, 0x34, 0, 1];
            let sum: u32 = echo.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
            let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or(u16::MAX);
            echo[2..4].copy_from_slice(&sum.to_be_bytes());
            connected.and_then(|()| socket.send(&echo).map(drop))
        }
    };
    let blocked = match sent {
        Ok(()) => false,
        Err(error) if error.raw_os_error() == Some(nix::libc::EINPROGRESS) => false,
        Err(error) if error.raw_os_error() == Some(nix::libc::EPERM) => true,
        Err(error) => return Err(Stop::Fail(format!("sending {packet:?}: {error}"))),
    };
    Ok((socket, blocked))
}

/// What a received packet says about the one that was sent.
fn read(bytes: &[u8], at: Place, from: Place, sent: &Packet) -> Option<Seen> {
    let v6 = bytes.first()? >> 4 == 6;
    let (protocol, source, destination, rest): (u8, IpAddr, IpAddr, &[u8]) = if v6 {
        let ip = |at: usize| -> Option<IpAddr> { Some(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?.into()) };
        (*bytes.get(6)?, ip(8)?, ip(24)?, bytes.get(40..)?)
    } else {
        let ip = |at: usize| -> Option<IpAddr> { Some(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?.into()) };
        let header = usize::from(bytes.first()? & 15) * 4;
        (*bytes.get(9)?, ip(12)?, ip(16)?, bytes.get(header..)?)
    };
    let kind = *rest.first()?;
    let icmp = matches!(protocol, 1 | 58);
    let error = icmp && if v6 { kind < 128 } else { matches!(kind, 3 | 11) };
    let reset = protocol == 6 && rest.get(13)? & 4 != 0;
    if (error || reset) && at == from {
        return Some(Seen::Refused);
    }
    let same = match sent.protocol.as_str() {
        "tcp" => protocol == 6 && !reset,
        "udp" => protocol == 17,
        _ => icmp && matches!(kind, 8 | 128),
    };
    let port = if icmp { 0 } else { u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]) };
    same.then_some(Seen::Received { at, source, destination, port })
}

/// What a command prints; a failure is one of the trial.
pub fn output(command: &mut Command) -> Result<String, Stop> {
    let found = crate::lab::run(command, Duration::from_secs(120))?;
    if !found.status.success() {
        return Err(Stop::Fail(format!("{command:?}: {}", String::from_utf8_lossy(&found.stderr))));
    }
    Ok(String::from_utf8_lossy(&found.stdout).into_owned())
}
