//! A network namespace with sockets in every state, held by one process: this test binary, started once more.
//!
//! States that need a lost packet get one: a rule of nftables drops what a port sends from some moment on.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use nix::sys::socket as raw;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::lab::{self, Stop, TempDir};

/// When set, the test binary is not a test: it holds the sockets, with its files in the directory named here, until its
/// standard input ends.
const ENVIRONMENT: &str = "NETKIT_LAB_SOCKETS";

/// The exit status when this process was started to hold the sockets, else nothing.
pub fn helper() -> Option<ExitCode> {
    let directory = std::env::var(ENVIRONMENT).ok()?;
    let held = match hold(Path::new(&directory)) {
        Ok(held) => held,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "sockets: {why:?}");
            return Some(ExitCode::FAILURE);
        }
    };
    let _ = writeln!(std::io::stdout(), "ready");
    let _ = std::io::stdin().read(&mut [0]);
    drop(held);
    Some(ExitCode::SUCCESS)
}

/// The namespace; it ends with its process when dropped.
#[derive(Debug)]
pub struct Scene {
    child: Child,
    pub directory: TempDir,
}

impl Scene {
    pub fn new() -> Result<Scene, Stop> {
        lab::namespaces()?;
        for (tool, package) in
            [("nft", "nftables"), ("ip", "iproute2"), ("nsenter", "util-linux"), ("setpriv", "util-linux")]
        {
            lab::tool(tool, package)?;
        }
        let directory = TempDir::new("ss")?;
        let mut child = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", "ip link set lo up && exec \"$0\""])
            .arg(std::env::current_exe()?)
            .env(ENVIRONMENT, &directory.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = [0u8; 6];
        let ready = child.stdout.as_mut().ok_or("no stdout pipe")?.read_exact(&mut line);
        let scene = Scene { child, directory };
        match ready {
            Ok(()) if &line == b"ready\n" => Ok(scene),
            _ => Err("the process that holds the sockets did not get ready".into()),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A command inside the namespace.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.pid())).arg("--").arg(program);
        command.env_remove("COLUMNS").env("LC_ALL", "C");
        command
    }

    /// The same without any capability, as nobody.
    pub fn unprivileged(&self, program: &Path) -> Command {
        self.unprivileged_as(program, "65534")
    }

    /// The same without any capability, as another user.
    pub fn unprivileged_as(&self, program: &Path, uid: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.pid())).arg("--");
        poor(&mut command, uid, program);
        command
    }

    /// Outside the namespace, as nobody.
    pub fn nobody_outside(&self, program: &Path) -> Command {
        let mut command = Command::new("env");
        poor(&mut command, "65534", program);
        command
    }

    /// The binary under test where everybody may run it: it may lie in a directory that is root's alone.
    pub fn readable_copy(&self) -> Result<PathBuf, Stop> {
        lab::binary_for_everybody(&self.directory.0)
    }
}

fn poor(command: &mut Command, uid: &str, program: &Path) {
    command.args(["setpriv", &format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups"]);
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]).arg(program);
    command.env_remove("COLUMNS").env("LC_ALL", "C");
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything that must stay open.
#[derive(Default)]
struct Held {
    sockets: Vec<Socket>,
    listeners: Vec<UnixListener>,
    streams: Vec<UnixStream>,
    datagrams: Vec<UnixDatagram>,
    descriptors: Vec<std::os::fd::OwnedFd>,
}

impl Held {
    fn keep(&mut self, socket: Socket) {
        self.sockets.push(socket);
    }
}

fn v4(port: u16) -> SockAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
}

fn tcp4() -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn listener(port: u16, backlog: i32) -> std::io::Result<Socket> {
    let socket = tcp4()?;
    socket.bind(&v4(port))?;
    socket.listen(backlog)?;
    Ok(socket)
}

/// A connection: the client's end and the server's.
fn pair(port: u16) -> std::io::Result<(Socket, Socket, Socket)> {
    let listener = listener(port, 5)?;
    let client = tcp4()?;
    client.connect(&v4(port))?;
    let (server, _) = listener.accept()?;
    Ok((listener, client, server))
}

/// From now on nothing that this port sends arrives.
fn mute(port: u16) -> Result<(), Stop> {
    let rule = format!("add rule inet lab out tcp sport {port} drop");
    let made = Command::new("nft").arg(rule).status()?;
    if made.success() { Ok(()) } else { Err("nft does not add a rule".into()) }
}

fn hold(directory: &Path) -> Result<Held, Stop> {
    let mut held = Held::default();
    for command in ["add table inet lab", "add chain inet lab out { type filter hook output priority 0; }"] {
        if !Command::new("nft").arg(command).status()?.success() {
            return Err("nft does not work here".into());
        }
    }
    connections(&mut held)?;
    lost_packets(&mut held)?;
    other_tcp(&mut held)?;
    datagrams(&mut held)?;
    other_families(&mut held, directory)?;
    Ok(held)
}

/// States that come about by themselves.
fn connections(held: &mut Held) -> Result<(), Stop> {
    // Data waits to be read at both ends; the client's descriptor is there twice.
    let (listening, client, server) = pair(7001)?;
    client.send(&[1; 100])?;
    server.send(&[2; 50])?;
    held.keep(client.try_clone()?);
    [listening, client, server].into_iter().for_each(|socket| held.keep(socket));
    // CLOSE-WAIT and FIN-WAIT-2
    let (listening, client, server) = pair(7002)?;
    server.shutdown(std::net::Shutdown::Write)?;
    [listening, client, server].into_iter().for_each(|socket| held.keep(socket));
    // TIME-WAIT, which the kernel keeps for a minute, without descriptors.
    let (listening, client, server) = pair(7003)?;
    drop(client);
    let mut rest = [0u8; 1];
    let _ = (&server).read(&mut rest)?;
    drop(server);
    held.keep(listening);
    // An accept queue beyond its limit.
    held.keep(listener(7008, 1)?);
    for _ in 0..2 {
        let client = tcp4()?;
        client.connect(&v4(7008))?;
        held.keep(client);
    }
    // A window that the server never opens again.
    let (listening, client, server) = pair(7009)?;
    client.set_nonblocking(true)?;
    while client.send(&[3; 65_536]).is_ok() {}
    [listening, client, server].into_iter().for_each(|socket| held.keep(socket));
    Ok(())
}

/// States in which an answer is missing.
fn lost_packets(held: &mut Held) -> Result<(), Stop> {
    // SYN-SENT and SYN-RECV
    held.keep(listener(7004, 5)?);
    mute(7004)?;
    let client = tcp4()?;
    client.set_nonblocking(true)?;
    let _ = client.connect(&v4(7004));
    held.keep(client);
    // LAST-ACK
    let (listening, client, server) = pair(7005)?;
    client.shutdown(std::net::Shutdown::Write)?;
    let mut rest = [0u8; 1];
    let _ = (&server).read(&mut rest)?;
    mute(7005)?;
    server.shutdown(std::net::Shutdown::Write)?;
    [listening, client, server].into_iter().for_each(|socket| held.keep(socket));
    // FIN-WAIT-1
    let (listening, client, server) = pair(7006)?;
    mute(7006)?;
    server.shutdown(std::net::Shutdown::Write)?;
    [listening, client, server].into_iter().for_each(|socket| held.keep(socket));
    // CLOSING at the server, FIN-WAIT-1 at the client
    let (listening, client, server) = pair(7007)?;
    mute(7007)?;
    server.shutdown(std::net::Shutdown::Write)?;
    client.shutdown(std::net::Shutdown::Write)?;
    [listening, client, server].into_iter().for_each(|socket| held.keep(socket));
    // SYN-SENT to nobody, with nothing to come back
    mute(7010)?;
    let client = tcp4()?;
    client.bind(&v4(7010))?;
    client.set_nonblocking(true)?;
    let _ = client.connect(&v4(7011));
    held.keep(client);
    Ok(())
}

fn other_tcp(held: &mut Held) -> Result<(), Stop> {
    let both = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    both.set_only_v6(false)?;
    both.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 7101)).into())?;
    both.listen(7)?;
    let client = tcp4()?;
    client.connect(&v4(7101))?;
    held.keep(both.accept()?.0);
    held.keep(client);
    let client = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    client.connect(&SocketAddr::from((Ipv6Addr::LOCALHOST, 7101)).into())?;
    held.keep(both.accept()?.0);
    held.keep(client);
    held.keep(both);
    let only = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    only.set_only_v6(true)?;
    only.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 7102)).into())?;
    only.listen(3)?;
    held.keep(only);
    // Marks, an interface, a type of service, keepalive.
    let (listening, client, server) = pair(7201)?;
    client.set_mark(0x42)?;
    client.set_keepalive(true)?;
    server.set_mark(0x1042)?;
    SockRef::from(&server).set_tos_v4(0x10)?;
    [listening, client, server].into_iter().for_each(|socket| held.keep(socket));
    let bound = tcp4()?;
    bound.bind_device(Some(b"lo"))?;
    bound.bind(&v4(7202))?;
    bound.listen(2)?;
    held.keep(bound);
    // A port with a name in every services file, and one in the range of local ports.
    held.keep(listener(80, 4)?);
    held.keep(listener(40_001, 4)?);
    // Kernels without MPTCP have none to show.
    if let Ok(mptcp) = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP)) {
        mptcp.bind(&v4(7301))?;
        mptcp.listen(5)?;
        let client = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP))?;
        client.connect(&v4(7301))?;
        held.keep(mptcp.accept()?.0);
        held.keep(mptcp);
        held.keep(client);
    }
    Ok(())
}

fn datagrams(held: &mut Held) -> Result<(), Stop> {
    let server = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    server.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 53)).into())?;
    let client = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    client.connect(&v4(53))?;
    client.send(&[4; 20])?;
    held.keep(server);
    held.keep(client);
    let v6 = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
    v6.set_only_v6(true)?;
    v6.bind(&SocketAddr::from((Ipv6Addr::LOCALHOST, 5353)).into())?;
    held.keep(v6);
    for (domain, protocol) in [(Domain::IPV4, Protocol::ICMPV4), (Domain::IPV6, Protocol::ICMPV6)] {
        held.keep(Socket::new(domain, Type::RAW, Some(protocol))?);
    }
    Ok(())
}

fn other_families(held: &mut Held, directory: &Path) -> Result<(), Stop> {
    let path = directory.join("listener.sock");
    let listener = UnixListener::bind(&path)?;
    held.streams.push(UnixStream::connect(&path)?);
    held.streams.push(listener.accept()?.0);
    held.listeners.push(listener);
    let (left, right) = UnixStream::pair()?;
    held.streams.extend([left, right]);
    let datagram = UnixDatagram::bind(directory.join("datagram.sock"))?;
    let sender = UnixDatagram::unbound()?;
    sender.connect(directory.join("datagram.sock"))?;
    sender.send(&[5; 30])?;
    held.datagrams.extend([datagram, sender]);
    let sequenced = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
    sequenced.bind(&SockAddr::unix("\0netkit-sequenced")?)?;
    sequenced.listen(1)?;
    held.keep(sequenced);
    // Every frame, IPv4, and the changes of links.
    let open = |family, kind, protocol| {
        raw::socket(family, kind, raw::SockFlag::SOCK_CLOEXEC, protocol).map_err(std::io::Error::from)
    };
    use raw::{AddressFamily, SockProtocol, SockType};
    held.descriptors.push(open(AddressFamily::Packet, SockType::Raw, SockProtocol::EthAll)?);
    held.descriptors.push(open(AddressFamily::Packet, SockType::Datagram, SockProtocol::EthIp)?);
    let route = open(AddressFamily::Netlink, SockType::Raw, SockProtocol::NetlinkRoute)?;
    raw::bind(std::os::fd::AsRawFd::as_raw_fd(&route), &raw::NetlinkAddr::new(0, 1)).map_err(std::io::Error::from)?;
    held.descriptors.push(route);
    // Packets that were sent on the way here have arrived before anybody looks.
    std::thread::sleep(Duration::from_millis(50));
    Ok(())
}
