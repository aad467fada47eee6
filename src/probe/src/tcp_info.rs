//! TCP_INFO (tcp(7)): what the kernel knows of a connection.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::socket::getsockopt;
use nix::{getsockopt_impl, libc, sockopt_impl};

/// The head of `struct tcp_info` in linux/tcp.h, as it has been since Linux 2.6.31; newer kernels add at the end and
/// cut what they return to the size asked for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(unreachable_pub)] // The macro below makes a public trait name it.
pub struct Raw {
    state: u8,
    ca_state: u8,
    retransmits: u8,
    probes: u8,
    backoff: u8,
    options: u8,
    wscale: u8,
    flags: u8,
    /// rto, ato, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets, four times, pmtu, rcv_ssthresh, rtt, rttvar,
    /// snd_ssthresh, snd_cwnd, advmss, reordering, rcv_rtt, rcv_space, total_retrans.
    words: [u32; 24],
}

sockopt_impl!(RawInfo, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, Raw);

/// The part that tells something about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Its variation.
    pub rtt_var: Duration,
    /// Largest segment sent, in bytes.
    pub snd_mss: u32,
    /// Path MTU as the kernel knows it, in bytes.
    pub pmtu: u32,
    /// Segments sent again since the connection began.
    pub total_retrans: u32,
    /// Segments sent and not yet acknowledged.
    pub unacked: u32,
}

/// Asks the kernel; `None` when it does not say (no TCP socket, or a sandbox kernel).
pub fn tcp_info<F: AsFd>(socket: &F) -> Option<TcpInfo> {
    let raw = getsockopt(socket, RawInfo).ok()?;
    let word = |index: usize| raw.words.get(index).copied().unwrap_or(0);
    Some(TcpInfo {
        rtt: Duration::from_micros(u64::from(word(15))),
        rtt_var: Duration::from_micros(u64::from(word(16))),
        snd_mss: word(2),
        pmtu: word(13),
        total_retrans: word(23),
        unacked: word(4),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn a_connection_on_loopback() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let info = tcp_info(&stream).unwrap();
        assert!(info.snd_mss >= 536 && info.pmtu > info.snd_mss, "{info:?}");
        assert_eq!(info.total_retrans, 0);
        assert!(tcp_info(&UdpSocket::bind("127.0.0.1:0").unwrap()).is_none());
    }
}
