//! ICMP errors from a socket's error queue (ip(7), ipv6(7), `struct sock_extended_err`): kind, code, and who sent them.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};

/// linux/errqueue.h.
const SO_EE_ORIGIN_ICMP: u8 = 2;
const SO_EE_ORIGIN_ICMP6: u8 = 3;
/// Errors read at once; a hostile flood must not keep us here.
const MOST: usize = 64;

/// One error of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// ICMPv6 (RFC 4443) rather than ICMP (RFC 792).
    pub v6: bool,
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The MTU that a "packet too big" names, in bytes; 0 otherwise.
    pub mtu: u32,
    /// The node that sent it, when the kernel says.
    pub offender: Option<IpAddr>,
    /// The error number it was translated to.
    pub errno: i32,
}

/// What an ICMP error amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// No service on that port, or a rule that says so.
    Port,
    /// The host cannot be reached.
    Host,
    /// The network cannot be reached.
    Network,
    /// A filter that admits to be one.
    Prohibited,
    /// TTL or hop limit used up on the way.
    TimeExceeded,
    /// The packet did not fit.
    TooBig,
    /// Anything else.
    Other,
}

impl IcmpError {
    /// What it amounts to.
    pub fn offence(&self) -> Offence {
        match (self.v6, self.kind, self.code) {
            (false, 3, 3) | (true, 1, 4) => Offence::Port,
            (false, 3, 9 | 10 | 13) | (true, 1, 1 | 5) => Offence::Prohibited,
            (false, 3, 1 | 7 | 12 | 14) | (true, 1, 3) => Offence::Host,
            (false, 3, 0 | 6 | 8 | 11) | (true, 1, 0 | 6) => Offence::Network,
            (false, 11, _) | (true, 3, _) => Offence::TimeExceeded,
            (false, 3, 4) | (true, 2, _) => Offence::TooBig,
            _ => Offence::Other,
        }
    }

    /// The registered name of type and code, if it has one.
    pub fn name(&self) -> Option<&'static str> {
        Some(match (self.v6, self.kind, self.code) {
            (false, 3, 0) => "network unreachable",
            (false, 3, 1) => "host unreachable",
            (false, 3, 2) => "protocol unreachable",
            (false, 3, 3) | (true, 1, 4) => "port unreachable",
            (false, 3, 4) => "fragmentation needed",
            (false, 3, 6) => "destination network unknown",
            (false, 3, 7) => "destination host unknown",
            (false, 3, 9) => "network administratively prohibited",
            (false, 3, 10) => "host administratively prohibited",
            (false, 3, 13) | (true, 1, 1) => "administratively prohibited",
            (false, 11, 0) | (true, 3, 0) => "time exceeded in transit",
            (false, 12, _) | (true, 4, _) => "parameter problem",
            (true, 1, 0) => "no route to destination",
            (true, 1, 2) => "beyond scope of source address",
            (true, 1, 3) => "address unreachable",
            (true, 1, 5) => "source address failed policy",
            (true, 1, 6) => "reject route to destination",
            (true, 2, _) => "packet too big",
            _ => return None,
        })
    }
}

impl fmt::Display for IcmpError {
    /// For example `ICMP 3/13 (administratively prohibited) from 10.1.0.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", if self.v6 { "ICMPv6" } else { "ICMP" }, self.kind, self.code)?;
        if let Some(name) = self.name() {
            write!(f, " ({name})")?;
        }
        if self.mtu > 0 {
            write!(f, ", mtu {}", self.mtu)?;
        }
        match self.offender {
            Some(address) => write!(f, " from {address}"),
            None => Ok(()),
        }
    }
}

/// Turns the error queue of an IPv4 or IPv6 socket on or off. On an established TCP connection it should be off: the
/// kernel otherwise ends the connection for errors it would ride out.
///
/// # Errors
/// The kernel's.
pub fn watch_errors<F: AsFd>(socket: &F, ipv6: bool, on: bool) -> io::Result<()> {
    if ipv6 {
        // An IPv4-mapped peer reports through the IPv4 option.
        let _ = setsockopt(socket, sockopt::Ipv4RecvErr, &on);
        setsockopt(socket, sockopt::Ipv6RecvErr, &on)?;
    } else {
        setsockopt(socket, sockopt::Ipv4RecvErr, &on)?;
    }
    Ok(())
}

/// Takes the ICMP errors that wait on the queue, oldest first.
pub fn take_errors<F: AsFd>(socket: &F) -> Vec<IcmpError> {
    let mut errors = Vec::new();
    for _ in 0..MOST {
        let mut payload = [0u8; 128];
        let mut parts = [IoSliceMut::new(&mut payload)];
        let mut control = nix::cmsg_space!([u8; 256]);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let Ok(message) = recvmsg::<SockaddrStorage>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut control), flags)
        else {
            break;
        };
        let Ok(controls) = message.cmsgs() else { continue };
        for control in controls {
            match control {
                ControlMessageOwned::Ipv4RecvErr(error, from) => {
                    let from = from.map(|from| IpAddr::V4(Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr))));
                    errors.extend(icmp(&error, from));
                }
                ControlMessageOwned::Ipv6RecvErr(error, from) => {
                    let from = from.map(|from| IpAddr::V6(Ipv6Addr::from(from.sin6_addr.s6_addr)).to_canonical());
                    errors.extend(icmp(&error, from));
                }
                _ => {}
            }
        }
    }
    errors
}

pub(crate) fn icmp(error: &libc::sock_extended_err, from: Option<IpAddr>) -> Option<IcmpError> {
    let v6 = match error.ee_origin {
        SO_EE_ORIGIN_ICMP => false,
        SO_EE_ORIGIN_ICMP6 => true,
        _ => return None,
    };
    let too_big = matches!((v6, error.ee_type, error.ee_code), (false, 3, 4) | (true, 2, _));
    Some(IcmpError {
        v6,
        kind: error.ee_type,
        code: error.ee_code,
        mtu: if too_big { error.ee_info } else { 0 },
        offender: from.filter(|address| !address.is_unspecified()),
        errno: i32::try_from(error.ee_errno).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_closed_udp_port_names_the_host_itself() {
        for host in ["127.0.0.1", "::1"] {
            let address: IpAddr = host.parse().unwrap();
            let Ok(closed) = UdpSocket::bind((address, 0)) else { continue };
            let target = closed.local_addr().unwrap();
            drop(closed);
            let socket = UdpSocket::bind((address, 0)).unwrap();
            watch_errors(&socket, address.is_ipv6(), true).unwrap();
            socket.connect(target).unwrap();
            socket.send(b"x").unwrap();
            // Loopback delivers the error before send returns; recv reports it and leaves the queue in place.
            let mut buffer = [0u8; 8];
            assert_eq!(socket.recv(&mut buffer).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            let errors = take_errors(&socket);
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert_eq!(errors[0].offence(), Offence::Port);
            assert_eq!(errors[0].offender, Some(address));
            assert!(errors[0].to_string().contains(&format!("(port unreachable) from {host}")), "{}", errors[0]);
        }
    }

    #[test]
    fn names_and_offences() {
        let error = |v6, kind, code, mtu| IcmpError { v6, kind, code, mtu, offender: None, errno: 0 };
        assert_eq!(error(false, 3, 13, 0).offence(), Offence::Prohibited);
        assert_eq!(error(true, 1, 1, 0).offence(), Offence::Prohibited);
        assert_eq!(error(false, 11, 0, 0).offence(), Offence::TimeExceeded);
        assert_eq!(error(true, 2, 0, 1400).to_string(), "ICMPv6 2/0 (packet too big), mtu 1400");
        assert_eq!(error(false, 3, 200, 0).to_string(), "ICMP 3/200");
    }
}
