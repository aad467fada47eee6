//! A scanner, a router with a firewall, and a target, in network namespaces of their own: every way in which a packet
//! can be refused or lost, one port each, for IPv4 and IPv6, TCP and UDP.
//!
//! ```text
//! scanner 10.1.0.2, fd01::2 --- 10.1.0.1, fd01::1 router 10.2.0.1, fd02::1 --- 10.2.0.2, fd02::2 target
//! ```
//! | where | what happens |
//! |---|---|
//! | target, ports of [`RULES`] | the router does what the rule says |
//! | target, port 1001 | nothing listens and no rule stands in the way |
//! | target, tcp 8000 to 8003 | open and silent, a banner, closed at once, reset at once |
//! | target, udp 8000 and 8001 | echoes; takes and never answers |
//! | 10.2.0.77, fd02::77 | nobody has this address on the target's link: the router says so |
//! | 10.1.0.77, fd01::77 | nobody has this address on the scanner's own link: the kernel says so |
//! | 10.9.0.1, fd09::1 | the router has no route |
//! | 203.0.113.1, 2001:db8::1 | the scanner has no route |
//! | 198.51.100.1, fd08::1 | the scanner's routing table prohibits it |

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{setsockopt, sockopt};

use super::{Stop, namespaces, tool};

/// How often a server looks whether the lab was dropped.
const TICK: Duration = Duration::from_millis(20);
/// How long the links may take to carry packets.
const PATIENCE: Duration = Duration::from_secs(60);
/// The router's address on the scanner's side: the offender of what the router refuses.
pub const ROUTER: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)), v6(1, 1)];
/// The target's address.
pub const TARGET: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(10, 2, 0, 2)), v6(2, 2)];
/// The scanner's own address.
pub const SCANNER: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2)), v6(1, 2)];

const fn v6(net: u16, host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd00 + net, 0, 0, 0, 0, 0, 0, host))
}

/// What the firewall does with a port.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Destination port.
    pub port: u16,
    /// The argument of `--reject-with` for IPv4, `DROP`, or nothing when the rule is for the other family only.
    pub four: &'static str,
    /// The same for IPv6.
    pub six: &'static str,
    /// ICMP type and code that the sender gets, by family.
    pub icmp: [Option<(u8, u8)>; 2],
}

/// The firewall, for TCP and UDP alike (`tcp-reset` is for TCP only).
pub const RULES: &[Rule] = &[
    Rule { port: 1002, four: "DROP", six: "DROP", icmp: [None, None] },
    Rule {
        port: 1003,
        four: "icmp-port-unreachable",
        six: "icmp6-port-unreachable",
        icmp: [Some((3, 3)), Some((1, 4))],
    },
    Rule {
        port: 1004,
        four: "icmp-admin-prohibited",
        six: "icmp6-adm-prohibited",
        icmp: [Some((3, 13)), Some((1, 1))],
    },
    Rule {
        port: 1005,
        four: "icmp-host-unreachable",
        six: "icmp6-addr-unreachable",
        icmp: [Some((3, 1)), Some((1, 3))],
    },
    Rule { port: 1006, four: "icmp-net-prohibited", six: "icmp6-policy-fail", icmp: [Some((3, 9)), Some((1, 5))] },
    Rule { port: 1007, four: "tcp-reset", six: "tcp-reset", icmp: [None, None] },
    Rule { port: 1008, four: "icmp-net-unreachable", six: "icmp6-no-route", icmp: [Some((3, 0)), Some((1, 0))] },
    Rule { port: 1009, four: "icmp-host-prohibited", six: "icmp6-reject-route", icmp: [Some((3, 10)), Some((1, 6))] },
    Rule { port: 1010, four: "icmp-proto-unreachable", six: "", icmp: [Some((3, 2)), None] },
];

/// The namespaces. The kernel removes them when the holder ends, which it does when this process does.
const SETUP: &str = r#"
set -e
mount -t tmpfs none /run
mkdir /run/netns
ip netns add router
ip netns add target
ip -batch - <<END
link set lo up
link add s0 type veth peer name r0 netns router
addr add 10.1.0.2/24 dev s0
addr add fd01::2/64 dev s0 nodad
link set s0 up
END
ip -n router -batch - <<END
link set lo up
link add r1 type veth peer name t0 netns target
addr add 10.1.0.1/24 dev r0
addr add fd01::1/64 dev r0 nodad
addr add 10.2.0.1/24 dev r1
addr add fd02::1/64 dev r1 nodad
link set r0 up
link set r1 up
END
ip -n target -batch - <<END
link set lo up
addr add 10.2.0.2/24 dev t0
addr add fd02::2/64 dev t0 nodad
link set t0 up
route add default via 10.2.0.1
route add default via fd02::1
END
ip -batch - <<END
route add 10.0.0.0/8 via 10.1.0.1
route add fd00::/12 via fd01::1
route add prohibit 198.51.100.0/24
route add prohibit fd08::/64
END
# No ICMP error may be lost to a rate limit. A limit of 0 for IPv4 would do the opposite for "network unreachable",
# which has a limit of its own that shares the tokens.
cat > /run/settings <<END
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
echo 0 > /proc/sys/net/ipv4/icmp_ratemask
echo 100000 > /proc/sys/net/ipv4/icmp_msgs_per_sec
echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
for link in /proc/sys/net/ipv?/neigh/*; do
    echo 3 > \$link/mcast_solicit
    echo 100 > \$link/retrans_time_ms
done
END
for name in router target; do ip netns exec $name sh /run/settings; done
grep -v orward /run/settings | sh
printf '%s' "$1" | ip netns exec router iptables-restore
printf '%s' "$2" | ip netns exec router ip6tables-restore
for link in s0 "-n router r0" "-n router r1" "-n target t0"; do
    name=${link##* }
    space=${link% *}
    [ "$space" != "$link" ] || space=
    until ip $space -o link show $name | grep -q 'state UP'; do sleep 0.01; done
done
echo ready
cat > /dev/null
"#;

/// The running lab.
#[derive(Debug)]
pub struct Firewall {
    holder: Child,
    stop: Arc<AtomicBool>,
    servers: Vec<JoinHandle<()>>,
}

impl Firewall {
    /// Makes the namespaces, the rules and the target's servers.
    ///
    /// # Errors
    /// A skip without root, iproute2, util-linux or iptables.
    pub fn new() -> Result<Firewall, Stop> {
        namespaces()?;
        tool("ip", "iproute2")?;
        tool("nsenter", "util-linux")?;
        tool("iptables-restore", "iptables")?;
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private", "sh", "-c", SETUP, "sh"])
            .args([rules(false), rules(true)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut ready = String::new();
        let out = holder.stdout.take().ok_or("no pipe")?;
        BufReader::new(out).read_line(&mut ready)?;
        let mut lab = Firewall { holder, stop: Arc::default(), servers: Vec::new() };
        if ready.trim_end() != "ready" {
            drop(lab.holder.stdin.take());
            let mut said = String::new();
            lab.holder.stderr.take().ok_or("no pipe")?.read_to_string(&mut said)?;
            return Err(Stop::Fail(format!("the firewall lab did not start: {said}")));
        }
        lab.serve()?;
        lab.warm_up()?;
        Ok(lab)
    }

    fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// Packets that the scanner has sent over its link, counted within the system call that sends them.
    ///
    /// # Errors
    /// When the link is not there any more.
    pub fn sent(&self) -> Result<u64, Stop> {
        let text = std::fs::read_to_string(format!("/proc/{}/net/dev", self.pid()))?;
        let counts = text.lines().find_map(|line| line.trim_start().strip_prefix("s0:")).ok_or("no link s0")?;
        // The tenth column.
        let sent = counts.split_ascii_whitespace().nth(9).and_then(|count| count.parse().ok());
        Ok(sent.ok_or("no count of packets")?)
    }

    /// A command on the scanner, as this user.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.pid())).arg("--").arg(program.as_ref());
        command
    }

    /// A command on the router, as this user.
    pub fn on_router(&self, program: impl AsRef<Path>) -> Command {
        self.beyond("router", program)
    }

    /// A command on the target, as this user.
    pub fn at_target(&self, program: impl AsRef<Path>) -> Command {
        self.beyond("target", program)
    }

    fn beyond(&self, name: &str, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/root/run/netns/{name}", self.pid())).arg("--").arg(program.as_ref());
        command
    }

    /// A command on the scanner as nobody, with no capability and no way to get one.
    pub fn unprivileged(&self, program: impl AsRef<Path>) -> Result<Command, Stop> {
        let setpriv = tool("setpriv", "util-linux")?;
        let mut command = self.command(setpriv);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]);
        command.args(["--no-new-privs", "--"]).arg(program.as_ref());
        Ok(command)
    }

    /// Runs something in a thread on the scanner.
    pub fn on_scanner<T: Send>(&self, work: impl FnOnce() -> Result<T, Stop> + Send) -> Result<T, Stop> {
        let space = std::fs::File::open(format!("/proc/{}/ns/net", self.pid()))?;
        inside(space, work)
    }

    /// Runs something in a thread on the target.
    fn on_target<T: Send>(&self, work: impl FnOnce() -> Result<T, Stop> + Send) -> Result<T, Stop> {
        let space = std::fs::File::open(format!("/proc/{}/root/run/netns/target", self.pid()))?;
        inside(space, work)
    }

    /// Waits until the target can be reached: the first packets of a fresh link may be lost.
    fn warm_up(&self) -> Result<(), Stop> {
        self.on_scanner(|| {
            for address in TARGET {
                let until = Instant::now() + PATIENCE;
                while TcpStream::connect_timeout(&(address, 8000).into(), TICK * 25).is_err() {
                    if Instant::now() > until {
                        return Err(Stop::Fail(format!("{address} cannot be reached through the router")));
                    }
                    std::thread::sleep(TICK);
                }
            }
            Ok(())
        })
    }

    fn serve(&mut self) -> Result<(), Stop> {
        for address in TARGET {
            for (port, manner) in
                [(8000, Manner::Silent), (8001, Manner::Banner), (8002, Manner::Close), (8003, Manner::Reset)]
            {
                let listener = self.on_target(|| Ok(TcpListener::bind((address, port))?))?;
                listener.set_nonblocking(true)?;
                let stop = Arc::clone(&self.stop);
                self.servers.push(std::thread::spawn(move || accept(&listener, manner, &stop)));
            }
            for (port, answers) in [(8000, true), (8001, false)] {
                let socket = self.on_target(|| Ok(UdpSocket::bind((address, port))?))?;
                socket.set_read_timeout(Some(TICK))?;
                let stop = Arc::clone(&self.stop);
                self.servers.push(std::thread::spawn(move || echo(&socket, answers, &stop)));
            }
        }
        Ok(())
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for server in self.servers.drain(..) {
            let _ = server.join();
        }
        // The end of its standard input is its end.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

fn inside<T: Send>(space: std::fs::File, work: impl FnOnce() -> Result<T, Stop> + Send) -> Result<T, Stop> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            setns(space, CloneFlags::CLONE_NEWNET).map_err(|errno| format!("setns: {errno}"))?;
            work()
        });
        thread.join().map_err(|_| "the thread in the namespace died")?
    })
}

/// For `iptables-restore`.
fn rules(six: bool) -> String {
    let mut text = String::from("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n");
    for rule in RULES {
        let with = if six { rule.six } else { rule.four };
        for protocol in ["tcp", "udp"] {
            let head = format!("-A FORWARD -i r0 -p {protocol} --dport {}", rule.port);
            let _ = match with {
                "" => Ok(()),
                "DROP" => writeln!(text, "{head} -j DROP"),
                "tcp-reset" if protocol == "udp" => Ok(()),
                _ => writeln!(text, "{head} -j REJECT --reject-with {with}"),
            };
        }
    }
    text + "COMMIT\n"
}

#[derive(Debug, Clone, Copy)]
enum Manner {
    Silent,
    Banner,
    Close,
    Reset,
}

fn accept(listener: &TcpListener, manner: Manner, stop: &AtomicBool) {
    let mut open: Vec<TcpStream> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        match manner {
            Manner::Silent => open.push(stream),
            Manner::Banner => {
                let _ = stream.write_all(b"220 lab ready\r\n");
                open.push(stream);
            }
            Manner::Close => {}
            Manner::Reset => {
                let _ = setsockopt(&stream, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 });
            }
        }
    }
}

fn echo(socket: &UdpSocket, answers: bool, stop: &AtomicBool) {
    let mut buffer = [0; 65_535];
    while !stop.load(Ordering::Relaxed) {
        if let (Ok((length, from)), true) = (socket.recv_from(&mut buffer), answers) {
            let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), from);
        }
    }
}
