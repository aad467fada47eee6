//! What is set on a socket before it connects or listens.

use std::io;
use std::time::Duration;

use nix::sys::socket::{SetSockOpt, setsockopt};
use nix::{libc, setsockopt_impl, sockopt_impl};
use socket2::{Socket, TcpKeepalive};

sockopt_impl!(
    /// ip(7): packets that arrive with a smaller TTL are dropped.
    MinTtl, SetOnly, libc::IPPROTO_IP, libc::IP_MINTTL, i32);
sockopt_impl!(
    /// linux/in6.h: the same for the hop limit; the C library has no name for number 73.
    MinHopCount, SetOnly, libc::IPPROTO_IPV6, IPV6_MINHOPCOUNT, i32);
sockopt_impl!(
    /// socket(7).
    Debug, SetOnly, libc::SOL_SOCKET, libc::SO_DEBUG, bool);

const IPV6_MINHOPCOUNT: i32 = 73;

/// Socket options; what is `None` or false stays as the kernel has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Outgoing TTL or hop limit.
    pub ttl: Option<u8>,
    /// Smallest TTL or hop limit accepted.
    pub min_ttl: Option<u8>,
    /// IPv4 type of service, or IPv6 traffic class.
    pub tos: Option<u8>,
    /// Receive buffer in bytes, as given to the kernel, which doubles it.
    pub receive_buffer: Option<usize>,
    /// Send buffer in bytes.
    pub send_buffer: Option<usize>,
    /// SO_BROADCAST.
    pub broadcast: bool,
    /// SO_DEBUG; wants CAP_NET_ADMIN.
    pub debug: bool,
    /// Interface to bind to by name (SO_BINDTODEVICE).
    pub interface: Option<String>,
    /// TCP_NODELAY.
    pub nodelay: bool,
    /// TCP keep-alive: the time before the first probe and between probes.
    pub keepalive: Option<Duration>,
}

impl Options {
    /// Applies them.
    ///
    /// # Errors
    /// What was being set, and the kernel's reason.
    pub fn apply(&self, socket: &Socket, ipv6: bool) -> Result<(), (&'static str, io::Error)> {
        let named = |what: &'static str| move |error: io::Error| (what, error);
        if self.broadcast {
            socket.set_broadcast(true).map_err(named("set broadcast"))?;
        }
        // Neither is worth failing for: a connection works without them.
        if self.nodelay {
            let _ = socket.set_tcp_nodelay(true);
        }
        if let Some(time) = self.keepalive {
            let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time).with_interval(time));
        }
        if self.debug {
            set(socket, Debug, true).map_err(named("set debug"))?;
        }
        if let Some(tos) = self.tos {
            if ipv6 {
                socket.set_tclass_v6(u32::from(tos)).map_err(named("set IPv6 traffic class"))?;
            } else {
                socket.set_tos_v4(u32::from(tos)).map_err(named("set IP ToS"))?;
            }
        }
        if let Some(size) = self.receive_buffer {
            socket.set_recv_buffer_size(size).map_err(named("set TCP receive buffer size"))?;
        }
        if let Some(size) = self.send_buffer {
            socket.set_send_buffer_size(size).map_err(named("set TCP send buffer size"))?;
        }
        if let Some(ttl) = self.ttl {
            if ipv6 {
                socket.set_unicast_hops_v6(u32::from(ttl)).map_err(named("set IPv6 unicast hops"))?;
            } else {
                socket.set_ttl_v4(u32::from(ttl)).map_err(named("set IP TTL"))?;
            }
        }
        if let Some(ttl) = self.min_ttl {
            if ipv6 {
                set(socket, MinHopCount, i32::from(ttl)).map_err(named("set IPv6 min hop count"))?;
            } else {
                set(socket, MinTtl, i32::from(ttl)).map_err(named("set IP min TTL"))?;
            }
        }
        if let Some(interface) = &self.interface {
            socket.bind_device(Some(interface.as_bytes())).map_err(named("bind to interface"))?;
        }
        Ok(())
    }
}

fn set<O: SetSockOpt<Val = V>, V>(socket: &Socket, option: O, value: V) -> io::Result<()> {
    setsockopt(socket, option, &value).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};

    #[test]
    fn both_families_take_them() {
        let options = Options {
            ttl: Some(7),
            min_ttl: Some(3),
            tos: Some(0x10),
            receive_buffer: Some(20_000),
            send_buffer: Some(20_000),
            broadcast: true,
            ..Options::default()
        };
        let v4 = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        options.apply(&v4, false).unwrap();
        assert_eq!((v4.ttl_v4().unwrap(), v4.tos_v4().unwrap()), (7, 0x10));
        let v6 = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        options.apply(&v6, true).unwrap();
        assert_eq!((v6.unicast_hops_v6().unwrap(), v6.tclass_v6().unwrap()), (7, 0x10));
        let odd = Options { interface: Some("no-such-if0".to_owned()), ..Options::default() };
        assert_eq!(odd.apply(&v4, false).unwrap_err().0, "bind to interface");
    }
}
